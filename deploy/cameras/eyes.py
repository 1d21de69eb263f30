"""The cameras of a policy: what the newest frames of all of them make."""

from collections.abc import Mapping, Sequence

from simreal.contract import CameraTerm, Contract
from simreal.deploy.cameras.capture import Capture
from simreal.deploy.cameras.frames import NO_EYES, CameraError, Frame, Newest, Sees
from simreal.errors import UserError, nearest
from simreal.images import ImagePipeline, Images

PATIENCE = 5.0
"""s for a camera's first frame: some take that long to find their exposure."""
STALE = 0.3
"""s without a new frame, or three periods of a slower camera, from when on a camera shows nothing."""
EARLY = 0.2
"""Share of a period by which a frame of a slow camera may come early."""


class Eyes:
    """Cameras of one robot, through the pipeline of the simulation."""

    def __init__(self, terms: Sequence[CameraTerm], newest: Mapping[str, Newest]) -> None:
        """Look through cameras that show something already.

        Args:
            terms: of the contract.
            newest: name of each camera to what holds its frames.
        """
        self._pipeline, self._newest = ImagePipeline(terms), newest
        self._seen: dict[str, Frame] = {}
        self._captures: list[Capture] = []

    def see(self, now: float, first: bool) -> Images:
        """See `Sees.see`."""
        for name, newest in self._newest.items():
            frame, term = newest.get(), self._pipeline.terms[name]
            if frame is None or now - frame.taken_at > max(STALE, 3.0 / (term.rate or 1e9)):
                age = "nothing yet" if frame is None else f"nothing new for {now - frame.taken_at:.2f} s"
                raise CameraError(f"camera {name} shows {age}")
            if first or name not in self._seen:
                self._pipeline.begin(name, frame.pixels)
                self._seen[name] = frame
            elif self._is_next(frame, self._seen[name], term):
                self._pipeline.push(name, frame.pixels)
                self._seen[name] = frame
        return self._pipeline.images

    def _is_next(self, frame: Frame, last: Frame, term: CameraTerm) -> bool:
        """Whether a frame is another, and as much later as the policy was trained to expect."""
        if frame.number == last.number:
            return False
        return term.rate is None or frame.taken_at - last.taken_at >= (1.0 - EARLY) / term.rate

    def close(self) -> None:
        """Give back the cameras that `open_eyes` opened."""
        for capture in self._captures:
            capture.close()


def open_eyes(contract: Contract, sources: Mapping[str, str]) -> Sees:
    """Open the cameras of a policy.

    Args:
        contract: of the policy.
        sources: name of each camera to what OpenCV opens: see `Capture`.

    Raises:
        UserError: a camera that the policy does not have or that is not given, one that cannot be opened
            or shows nothing, or a policy that sees depth.
    """
    terms = {term.name: term for term in contract.cameras}
    for name in sources:
        if name not in terms:
            raise UserError(
                f"--camera {name}: this policy has none of that name: {nearest(name, terms)}"
            )
    missing = [name for name in terms if name not in sources]
    if missing:
        raise UserError(
            f"this policy sees through {', '.join(terms)}: give --camera "
            + " --camera ".join(f"{name}=SOURCE" for name in missing)
        )
    if not terms:
        return NO_EYES
    if any(term.kind == "depth" for term in terms.values()):
        raise UserError("this policy sees depth, which no camera driver gives yet")
    captures: dict[str, Capture] = {}
    try:
        for name, term in terms.items():
            captures[name] = Capture(sources[name], term)
            if captures[name].newest.wait(PATIENCE) is None:
                raise UserError(f"camera {name}: {sources[name]}: shows nothing within {PATIENCE:g} s")
    except BaseException:
        for capture in captures.values():
            capture.close()
        raise
    eyes = Eyes(tuple(terms.values()), {name: capture.newest for name, capture in captures.items()})
    eyes._captures = list(captures.values())
    return eyes
