import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.contract import CameraTerm
from simreal.errors import UserError
from simreal.images import ImagePipeline, prepared, shrunk


def camera(**changes: object) -> CameraTerm:
    return CameraTerm.model_validate({"name": "eye", "width": 6, "height": 4} | changes)


@given(st.integers(4, 40), st.integers(6, 40), st.integers(0, 255))
def test_a_plain_frame_of_any_size_stays_plain(rows: int, columns: int, grey: int) -> None:
    seen = prepared(np.full((rows, columns, 3), grey, np.uint8), camera())
    assert seen.shape == (3, 4, 6)
    assert (seen == grey).all()


@given(st.integers(1, 4))
def test_whole_multiples_are_means_of_blocks(times: int) -> None:
    rng = np.random.default_rng(times)
    frame = rng.integers(0, 256, (2, 4 * times, 6 * times, 3)).astype(np.uint8)
    blocks = frame.reshape(2, 4, times, 6, times, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(shrunk(frame, 4, 6), blocks, atol=1e-3)


def test_the_middle_is_kept_and_nothing_stretched() -> None:
    frame = np.zeros((40, 100, 3), np.uint8)
    frame[:, 20:80] = 255  # 60 wide, as of 6 by 4
    assert (prepared(frame, camera()) == 255).all()


def test_grey_and_depth_are_one_channel() -> None:
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 200
    assert (prepared(red, camera(kind="grey")) == 60).all()
    depth = np.full((4, 6), 1.5)
    depth[0, 0], depth[0, 1], depth[0, 2] = np.inf, np.nan, 0.0
    seen = prepared(depth, camera(kind="depth", near=1.0, far=2.0))[0]
    assert seen[1, 1] == 128
    assert list(seen[0, :3]) == [255, 255, 0]


def test_a_batch_and_one_robot_see_the_same() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 5, 8, 10, 3)).astype(np.uint8)
    many, one = ImagePipeline([camera(stack=3)], (5,)), ImagePipeline([camera(stack=3)])
    for number, frame in enumerate(frames):
        (many.push if number else many.begin)("eye", frame)
        (one.push if number else one.begin)("eye", frame[2])
    np.testing.assert_array_equal(many.images["eye"][2], one.images["eye"])
    newest = prepared(frames[-1, 2], camera())
    np.testing.assert_array_equal(one.images["eye"][:3], newest)


def test_some_rows_may_begin_anew() -> None:
    pipeline = ImagePipeline([camera(stack=2)], (3,))
    frames = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((3, 4, 6, 3), np.uint8)
    pipeline.begin("eye", frames)
    pipeline.begin("eye", frames[:1] + 9, np.array([1]))
    assert pipeline.images["eye"][:, :, 0, 0].tolist() == [[0] * 6, [9] * 6, [2] * 6]


def test_what_no_camera_can_be_is_refused() -> None:
    with pytest.raises(ValueError, match="near 2"):
        camera(near=2.0, far=1.0)
    with pytest.raises(ValueError, match="cannot look at its own place"):
        camera(mount={"position": [0, 0, 1], "look_at": [0, 0, 1], "field_of_view": 1.0})
    with pytest.raises((ValueError, UserError)):
        camera(name="no name")
