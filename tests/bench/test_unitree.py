"""The benchmarks of Unitree robots, small."""

import pytest

pytest.importorskip("cyclonedds")

from simreal.bench.unitree import bus_speed


@pytest.mark.long
def test_packed_messages_cost_less_than_those_of_the_idl_classes() -> None:
    result = bus_speed(200)
    assert result["same bytes"]
    packed, by_field = (
        result[f"write, {how}, checksum known"]["p50_ms"] for how in ("packed", "IDL classes")
    )
    assert packed < by_field
    assert result["round trip"]["answered"] > 0.8 * result["round trip"]["asked"]
