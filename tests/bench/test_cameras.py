import pytest

from simreal.bench.cameras import camera_speed


@pytest.mark.long
def test_each_way_to_an_image_is_timed() -> None:
    """Which one is faster, a test on a shared machine cannot say."""
    found = camera_speed("so101_reach_pixels", 16, 32, 1)
    ways = {"ray_cast", "ray_cast_as_taken"}
    if "no_open_gl" not in found:
        ways |= {"lean_open_gl", "mujoco_renderer"}
        assert found["ray_cast_times"]["median"] > 0.0
    assert all(found[way]["min"] > 0.0 for way in ways)
