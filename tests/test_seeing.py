"""A policy that sees, from training to its file; small, since its export alone takes seconds."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from simreal.agents.exported import act_with, exported
from simreal.deploy.cameras import CameraError, open_eyes
from simreal.deploy.drivers import open_driver
from simreal.deploy.loop import deploy
from simreal.deploy.policy import GOLDEN_KEY, Policy, load_policy, packed, unpacked
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.evaluate import evaluate, in_held_out_world, load_candidate
from simreal.experiment import load_experiment
from simreal.export import Exported, export
from simreal.images import Images
from simreal.make_environment import make_environment
from simreal.run import Run
from simreal.spaces import STATE
from simreal.tasks.patterns import TRAINING
from simreal.teacher import find_teacher
from simreal.train import load_agent, start_run, train
from simreal.vec_env import SimrealVecEnv

TINY = [
    "ppo.simulations=8",
    "ppo.batch_size=16",
    "teacher.updates=2",
    "train.total_steps=256",
    "episode_length=0.4",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Exported]:
    folder = tmp_path_factory.mktemp("seeing")
    run = start_run(load_experiment("so101_reach_pixels", TINY), 0, folder / "run")
    assert train(run, find_teacher=find_teacher)
    return run, export(run, folder / "policy.onnx")


@pytest.fixture(scope="module")
def policy(trained: tuple[Run, Exported]) -> Policy:
    return load_policy(trained[1].path)


@pytest.mark.long
def test_graph_and_agent_agree_on_images(trained: tuple[Run, Exported], policy: Policy) -> None:
    run, result = trained
    assert result.parity <= 1e-4
    agent, env = load_agent(run, 16)
    observation = env.reset(seed=5)
    found = policy.act(observation, env.images)
    np.testing.assert_allclose(
        found, act_with(exported(agent, env.contract), observation, env.images), atol=1e-4
    )
    inference = policy.inference()
    one = inference(observation[3], {name: images[3] for name, images in env.images.items()})
    np.testing.assert_allclose(one, found[3], atol=1e-5)


@pytest.mark.long
def test_what_is_seen_matters(policy: Policy) -> None:
    shape = policy.contract.cameras[0].shape
    observation = np.array(policy.golden.observation[:1], dtype=np.float32)
    dark = {"front": np.zeros((1, *shape), np.uint8)}
    bright = {"front": np.full((1, *shape), 255, np.uint8)}
    assert np.abs(policy.act(observation, dark) - policy.act(observation, bright)).max() > 1e-3


def test_golden_vectors_hold_images_and_replay(policy: Policy) -> None:
    assert policy.golden_mismatch() is None
    image = policy.golden.images_at(0, policy.contract)["front"]
    assert image.shape == policy.contract.cameras[0].shape
    assert image.std() > 5


def test_a_file_whose_images_are_damaged_is_refused(
    trained: tuple[Run, Exported], tmp_path: Path
) -> None:
    graph = onnx.load(trained[1].path)
    for entry in graph.metadata_props:
        if entry.key == GOLDEN_KEY:
            entry.value = entry.value.replace('"front":["', '"front":["AAAA')
    path = tmp_path / "damaged.onnx"
    onnx.save(graph, path)
    with pytest.raises(UserError, match=r"damaged golden vectors: .*packed image"):
        load_policy(path)


def test_packing_loses_nothing_and_bounds_what_it_unpacks() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 7)).astype(np.uint8)
    np.testing.assert_array_equal(unpacked(packed(image), (3, 5, 7)), image)
    with pytest.raises(ValueError, match="other than 10 bytes"):
        unpacked(packed(np.zeros(10**7, np.uint8)), (10,))


def test_both_visual_worlds_can_be_evaluated(trained: tuple[Run, Exported]) -> None:
    candidate = load_candidate(trained[1].path)
    held_out = in_held_out_world(candidate)
    here, there = evaluate(candidate, 4, seed=1), evaluate(held_out, 4, seed=1)
    assert "table_texture[table]" in here.episodes[0].draw
    assert (
        here.episodes[0].draw["table_texture[table]"]
        < len(TRAINING) - 0.5
        < there.episodes[0].draw["table_texture[table]"]
    )
    assert here.episodes[0].draw["mass[gripper]"] == there.episodes[0].draw["mass[gripper]"]


def test_an_episode_begins_with_an_image_of_its_own_start() -> None:
    env = make_environment(load_experiment("so101_reach_pixels", TINY), 8, threads=1)
    assert isinstance(env, BatchEnv)
    vec = SimrealVecEnv(env)
    seen = vec.reset()
    ball = env.physics.model.body("ball").mocapid[0]
    np.testing.assert_allclose(env.physics.mark_position[:, ball, :2], env.command[:, :2])  # type: ignore[attr-defined]
    before = seen["front"].copy()
    for _ in range(10):
        vec.step_async(np.zeros((8, 6), np.float32))
        seen, _, done, infos = vec.step_wait()
    assert done.all()
    last = np.stack([info["terminal_observation"]["front"] for info in infos])
    changed = np.abs(last.astype(int) - seen["front"]).mean(axis=(1, 2, 3))
    assert (changed > 5).all()  # another world, with other colours
    np.testing.assert_array_equal(before.shape, seen["front"].shape)
    assert infos[0]["terminal_observation"][STATE].shape == seen[STATE][0].shape


def test_a_teacher_of_other_actions_is_refused() -> None:
    experiment = load_experiment("so101_reach_pixels", [*TINY, "action.scale=0.3"])
    env = make_environment(experiment, 2, threads=1)
    assert isinstance(env, BatchEnv)
    with pytest.raises(UserError, match="has another action than what it is to teach"):
        find_teacher("so101_reach", env)


def test_a_policy_file_that_sees_is_read_without_simulator_or_torch(
    trained: tuple[Run, Exported],
) -> None:
    code = (
        "import sys; from simreal.deploy.policy import load_policy;"
        f"assert load_policy({str(trained[1].path)!r}).golden_mismatch() is None;"
        "assert not {'torch', 'mujoco', 'numba', 'cv2'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def filmed(path: Path) -> str:
    """A film of something grey that lasts two minutes."""
    cv2 = pytest.importorskip("cv2", reason="the extra `cameras` is not installed")
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (96, 96))
    for _ in range(3000):
        video.write(np.full((96, 96, 3), 90, np.uint8))
    video.release()
    return str(path)


def test_a_policy_that_sees_runs_on_a_camera(policy: Policy, tmp_path: Path) -> None:
    film = filmed(tmp_path / "film.avi")
    for _ in range(5):
        eyes = open_eyes(policy.contract, {"front": film})
        outcome = deploy(policy, open_driver("sim", "so101", "so101_reach_pixels"), 0.6, eyes=eyes)
        if outcome.check not in ("gap", "deadline_misses", "stale_state"):
            break  # a busy machine may stop one flight for its own lateness, not five
    assert outcome.ended_by == "duration", outcome.fault
    assert outcome.cycles > 10


@pytest.mark.long
def test_a_camera_that_goes_dark_is_a_fault(policy: Policy) -> None:
    class Dark:
        def see(self, now: float, first: bool) -> Images:
            raise CameraError("camera front shows nothing new for 1.00 s")

        def close(self) -> None:
            pass

    outcome = deploy(policy, open_driver("sim", "so101", "so101_reach_pixels"), 0.5, eyes=Dark())
    assert (outcome.ended_by, outcome.check) == ("fault", "stale_state")
    assert outcome.fault == "camera front shows nothing new for 1.00 s"


def test_the_cameras_of_a_policy_must_be_given(policy: Policy) -> None:
    with pytest.raises(UserError, match="sees through front: give --camera front=SOURCE"):
        open_eyes(policy.contract, {})
    with pytest.raises(UserError, match=r"--camera frnt: this policy has none of that name.*front"):
        open_eyes(policy.contract, {"frnt": "0"})
