from simreal.bench_cameras import camera_speed


def test_each_way_to_an_image_is_timed() -> None:
    found = camera_speed("so101_reach_pixels", 16, 32, 1)
    assert found["ray_cast"]["median"] > found["ray_cast_as_taken"]["median"] * 0.5 > 0
    if "no_open_gl" not in found:
        assert found["ray_cast_times"]["median"] > 1.0
