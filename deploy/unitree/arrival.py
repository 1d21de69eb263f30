"""When a measurement arrived that is looked for only now and then."""


class ArrivalClock:
    """Tells arrivals, between two looks, by the sender's clock, whatever that shows.

    The reader keeps the newest message alone, so one that is found has come since the last look. Where
    in between follows from when it was sent: the smallest difference between finding and sending that
    was ever seen is that of a message which had hardly to wait. A sender's clock that is set anew can
    move an arrival within that interval only.
    """

    def __init__(self, now: float) -> None:
        """Begin to look, at s of our clock."""
        self._looked = now
        self._offset: float | None = None

    def looked(self, now: float) -> None:
        """Nothing had come."""
        self._looked = now

    def arrived(self, sent: float, now: float) -> float:
        """When what is found now arrived.

        Args:
            sent: s of the sender's clock.
            now: s of ours.

        Returns:
            s of our clock.
        """
        least = now - sent if self._offset is None else min(self._offset, now - sent)
        if sent + least < self._looked:
            # The sender's clock was set back, or runs slow: this cannot have come before the look.
            least = self._looked - sent
        self._offset, self._looked = least, now
        return sent + least
