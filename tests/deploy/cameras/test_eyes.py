import numpy as np
import pytest

from simreal.contract import CameraTerm
from simreal.deploy.cameras import CameraError, Eyes, Newest


def looking(**changes: object) -> tuple[Eyes, Newest]:
    term = CameraTerm.model_validate({"name": "eye", "width": 4, "height": 4} | changes)
    newest = Newest()
    return Eyes([term], {"eye": newest}), newest


def frame(grey: int) -> np.ndarray:
    return np.full((4, 4, 3), grey, np.uint8)


def shown(eyes: Eyes, now: float, first: bool = False) -> list[int]:
    """The grey of each frame of the stack, the newest first."""
    return eyes.see(now, first)["eye"][::3, 0, 0].tolist()  # type: ignore[no-any-return]


def test_each_new_frame_is_seen_once_and_the_newest_is_first() -> None:
    eyes, newest = looking(stack=3)
    newest.put(frame(1), 0.0)
    assert shown(eyes, 0.01, first=True) == [1, 1, 1]
    assert shown(eyes, 0.05) == [1, 1, 1]
    newest.put(frame(2), 0.06)
    newest.put(frame(3), 0.08)  # the one before is never seen
    assert shown(eyes, 0.10) == [3, 1, 1]
    assert shown(eyes, 0.12) == [3, 1, 1]
    assert shown(eyes, 0.13, first=True) == [3, 3, 3]


def test_a_camera_that_is_faster_than_in_training_is_slowed_down() -> None:
    eyes, newest = looking(stack=2, rate=10.0)
    seen = []
    for number in range(10):
        newest.put(frame(number), 0.033 * number)
        seen.append(shown(eyes, 0.033 * number + 0.001)[0])
    assert seen == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9]


def test_a_camera_that_shows_nothing_new_is_told_with_its_name() -> None:
    eyes, newest = looking()
    with pytest.raises(CameraError, match="camera eye shows nothing yet"):
        eyes.see(0.0, True)
    newest.put(frame(1), 1.0)
    eyes.see(1.1, True)
    with pytest.raises(CameraError, match=r"camera eye shows nothing new for 0.50 s"):
        eyes.see(1.5, False)
