"""Training: reproducible, resumable after a kill, and interruptible. Tiny, but real."""

import csv
import dataclasses
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import yaml
from stable_baselines3.common.base_class import BaseAlgorithm
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from simreal.agents.exported import find_normalizer
from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.episodes import Episode
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.robots import load_robot
from simreal.robots.loader import robot_has_changed
from simreal.run import EPISODE_COLUMNS, Run, Table, episode_row, last_episodes
from simreal.run_facts import Adapted
from simreal.train import TrainingStatus, load_agent, planned_steps, start_run, train
from simreal.vec_env import SimrealVecEnv

torch.set_num_threads(1)  # tests run beside each other: more threads would only wait for a core

SIMREAL = Path(sys.executable).with_name("simreal")
CHECKPOINT_EVERY = 128
FOR_EVER = 10**9
TINY = {
    "ppo": ["ppo.simulations=8", "ppo.rollout_steps=16", "ppo.batch_size=32"],
    "recurrent_ppo": [
        "recurrent_ppo.simulations=8",
        "recurrent_ppo.rollout_steps=16",
        "recurrent_ppo.batch_size=32",
        "recurrent_ppo.memory=8",
    ],
    "sac": ["sac.simulations=8", "sac.learning_starts=64", "sac.gradient_steps=1", "sac.batch_size=32"],
    "td3": ["td3.simulations=8", "td3.learning_starts=64", "td3.gradient_steps=1", "td3.batch_size=32"],
    **{
        name: [
            "action.bins=3",
            f"{name}.simulations=8",
            f"{name}.learning_starts=64",
            f"{name}.gradient_steps=1",
            f"{name}.batch_size=32",
        ]
        for name in ("dqn", "rainbow", "qrdqn")
    },
}


def overrides(agent: str, steps: int = 600) -> list[str]:
    return [
        f"agent={agent}",
        *TINY[agent],
        f"{agent}.hidden_layers=[16]",
        "episode_length=0.2",
        f"train.total_steps={steps}",
        f"train.checkpoint_every={CHECKPOINT_EVERY}",
    ]


def begin(path: Path, agent: str = "ppo", steps: int = 600, seed: int = 0) -> Run:
    return start_run(load_experiment("qube_swingup", overrides(agent, steps)), seed, path)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def weights(run: Run) -> torch.Tensor:
    agent, _ = load_agent(run)
    return torch.cat([each.detach().ravel() for each in agent.policy.parameters()])


class Process:
    """A real `simreal train`, that is killed at the end of a test at the latest."""

    def __init__(self, *arguments: str) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [SIMREAL, "train", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def wait_until(self, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + 600
        while not ready():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)

    def finish(self) -> tuple[int, str, str]:
        output, errors = self.process.communicate(timeout=600)
        return self.process.returncode, output, errors

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def options(assignments: list[str]) -> list[str]:
    return [part for assignment in assignments for part in ("-o", assignment)]


def test_a_training_leaves_all_that_a_run_promises(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", seed=5)
    told: list[TrainingStatus] = []
    meanwhile: list[str | None] = []

    def listen(status: TrainingStatus) -> None:
        told.append(status)
        meanwhile.append(run.unfinished)

    assert train(run, listen=listen)
    assert meanwhile[0] is not None and meanwhile[0].endswith(" of 600 steps")
    assert run.unfinished is None
    assert run.facts().finished is True
    assert run.facts().steps == 640  # whole rollouts of 8 * 16
    assert told[-1].steps == 640
    steps = [int(path.stem[5:]) for path in sorted(run.checkpoints.glob("step_*.pt"))]
    assert steps == [512, 640]
    contract = run.contract()
    assert contract.provenance.seed == 5
    assert contract == load_agent(run)[1].contract.model_copy(update={"provenance": contract.provenance})
    assert run.experiment() == load_experiment("qube_swingup", overrides("ppo"))
    assert yaml.safe_load((run.path / "config.yaml").read_text())["ppo"]["rollout_steps"] == 16
    events = EventAccumulator(str(next(run.path.glob("tensorboard/*"))))
    events.Reload()
    assert {"train/loss", "time/fps", "rollout/ep_rew_mean"} <= set(events.Tags()["scalars"])


def test_each_episode_is_recorded_with_its_seed_and_draw(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", seed=5)
    train(run)
    with run.episodes.open(newline="") as file:
        rows = list(csv.DictReader(file))
    env = BatchEnv(run.experiment(), 1, 5)
    assert list(rows[0]) == ["step", *EPISODE_COLUMNS, *env.randomizer.columns]
    assert len(rows) >= 8 * (640 // 8 // 20)  # episodes of at most 20 steps
    begun = {int(seed) for seed in episode_seed(5, np.arange(200))}
    seeds = np.array([int(row["seed"]) for row in rows], dtype=np.uint64)
    assert {int(seed) for seed in seeds} <= begun
    assert len(set(seeds.tolist())) == len(rows)
    drawn = env.randomizer.draw(EpisodeRandom(seeds)).values
    recorded = [[float(row[name]) for name in env.randomizer.columns] for row in rows]
    np.testing.assert_array_equal(drawn, recorded)
    for row in rows:
        assert row["ended_by"] in ("time_limit", "arm_beyond_limit")
        assert (int(row["length"]) == 20) >= (row["ended_by"] == "time_limit")


@pytest.mark.parametrize(
    "agent",
    [
        "ppo",
        pytest.param("recurrent_ppo", marks=pytest.mark.long),
        "sac",
        pytest.param("td3", marks=pytest.mark.long),
        pytest.param("dqn", marks=pytest.mark.long),
        "rainbow",
        pytest.param("qrdqn", marks=pytest.mark.long),
    ],
)
def test_the_same_seed_gives_the_same_episodes_bit_for_bit(agent: str, tmp_path: Path) -> None:
    runs = [begin(tmp_path / str(n), agent, 400, seed) for n, seed in enumerate((1, 1, 2))]
    for run in runs:
        train(run)
        torch.rand(7)  # what happens between two runs does not matter
        np.random.random(3)
    first, same, other = (run.episodes.read_bytes() for run in runs)
    assert first.count(b"\n") > 10
    assert first == same
    assert first != other
    assert torch.equal(weights(runs[0]), weights(runs[1]))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[str], int]:
    """What a process left that was killed in its training: rows, and the steps of its checkpoint."""
    run = Run(tmp_path_factory.mktemp("killed") / "run")
    arguments = ["qube_swingup", *options(overrides("ppo", FOR_EVER)), "--run", str(run.path)]
    with Process(*arguments, "--seed", "3") as process:
        process.wait_until(lambda: run.episodes.exists() and len(rows_of(run.episodes)) > 60)
        process.wait_until(lambda: len(list(run.checkpoints.glob("step_*.pt"))) == 2)
        with pytest.raises(UserError, match="another process is training here"):
            train(run, resume=True)
        process.process.send_signal(signal.SIGKILL)
        assert process.finish()[0] == -signal.SIGKILL
    _, *rows, _ = run.episodes.read_bytes().decode().split("\r\n")  # the last may be cut in two
    cut = int(run.latest_checkpoint().stem[5:])
    return run, [row for row in rows if int(row.split(",")[0]) <= cut], cut


@pytest.mark.long
def test_a_fresh_process_gives_the_same_episodes_bit_for_bit(
    killed: tuple[Run, list[str], int], tmp_path: Path
) -> None:
    _, expected, cut = killed
    run = begin(tmp_path / "run", steps=FOR_EVER, seed=3)
    train(run, stop_early=lambda agent: agent.num_timesteps >= cut)
    found = [",".join(row) for row in rows_of(run.episodes)]
    assert len(expected) > 30
    assert found[: len(expected)] == expected


def test_what_was_killed_goes_on_from_its_last_checkpoint(
    killed: tuple[Run, list[str], int], tmp_path: Path
) -> None:
    left, expected, cut = killed
    run = Run(shutil.copytree(left.path, tmp_path / "run"))
    before = weights(run)
    assert train(run, resume=True, total_steps=cut + 640)
    rows = rows_of(run.episodes)
    steps = [int(row[0]) for row in rows]
    assert steps == sorted(steps)
    assert [",".join(row) for row in rows if int(row[0]) <= cut] == expected
    assert cut < steps[-1] <= cut + 640
    assert len({row[1] for row in rows}) == len(rows)
    metric_steps = [int(row[0]) for row in rows_of(run.metrics)]
    assert metric_steps == sorted(metric_steps)
    assert run.facts().steps == cut + 640
    assert not torch.equal(weights(run), before)


@pytest.mark.long
def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    settings = [*overrides("sac", FOR_EVER), "train.checkpoint_every=1000000000"]
    with Process("qube_swingup", *options(settings), "--run", str(run.path)) as process:
        process.wait_until(lambda: run.metrics.exists() and len(rows_of(run.metrics)) > 0)
        assert [path.name for path in run.checkpoints.iterdir()] == [run.checkpoint_path(0).name]
        process.process.send_signal(signal.SIGINT)
        status, output, errors = process.finish()
    assert (status, errors) == (130, "")
    assert f"simreal train --resume --run {run.path}" in output
    assert run.facts().finished is False
    cut = run.facts().steps
    agent, _ = load_agent(run)
    assert agent.num_timesteps == cut
    assert float(find_normalizer(agent).count) == cut
    assert train(run, resume=True, total_steps=cut + 200)
    assert run.facts().steps == cut + 200
    assert run.facts().finished is True
    rows = rows_of(run.episodes)
    assert len({row[1] for row in rows}) == len(rows)


def test_sigterm_ends_a_training_with_a_checkpoint_and_gives_the_signal_back(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", steps=FOR_EVER)
    before = signal.getsignal(signal.SIGTERM)

    def terminate(agent: BaseAlgorithm) -> bool:
        if agent.num_timesteps >= 256:
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    assert train(run, stop_early=terminate) is False
    assert (run.facts().finished, run.facts().steps) == (False, 264)
    assert run.latest_checkpoint() == run.checkpoint_path(264)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_that_was_stopped_keeps_what_off_policy_learning_needs(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", "td3", steps=320)
    train(run)
    content = torch.load(run.latest_checkpoint(), weights_only=True)
    assert content["replay"]["place"] == 40
    train(run, resume=True, total_steps=480)
    content = torch.load(run.latest_checkpoint(), weights_only=True)
    assert content["replay"]["place"] == 60
    assert content["episodes_begun"] >= 16


def test_resuming_what_is_done_changes_nothing_and_more_steps_go_on(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    train(run)
    before = {path.name: path.read_bytes() for path in (run.episodes, run.metrics)}
    learned = weights(run)
    assert train(Run.open(run.path), resume=True)
    assert {path.name: path.read_bytes() for path in (run.episodes, run.metrics)} == before
    assert torch.equal(weights(run), learned)
    assert run.facts().steps == 640
    assert train(run, resume=True, total_steps=900)
    assert run.facts().steps == 1024
    assert run.episodes.read_bytes().startswith(before["episodes.csv"])
    assert not torch.equal(weights(run), learned)


@pytest.mark.parametrize(
    ("agent", "asked", "planned"), [("ppo", 600, 640), ("ppo", 640, 640), ("td3", 601, 608)]
)
def test_steps_are_planned_in_whole_rollouts(
    agent: str, asked: int, planned: int, tmp_path: Path
) -> None:
    run = begin(tmp_path / "run", agent, asked)
    assert planned_steps(run) == planned
    train(run)
    assert run.facts().steps == run.steps_kept() == planned


def test_a_resumed_run_knows_its_recent_episodes(tmp_path: Path) -> None:
    """What is shown first is the mean of what was there, not of nothing."""
    run, finished = begin(tmp_path / "run"), list[Episode]()
    train(run)
    env = SimrealVecEnv(BatchEnv(run.experiment(), 8, run.seed))
    env.reset()
    while len(finished) < 20:
        env.step(np.zeros((8, 1)))
        finished += env.take_finished()
    table = Table(tmp_path / "episodes.csv", [*EPISODE_COLUMNS, *env.batch.randomizer.columns])
    for step, episode in enumerate(finished):
        table.add(step, episode_row(episode))
    table.close()
    expected = [dataclasses.replace(each, tag=0, metrics={}) for each in finished[-5:]]
    assert last_episodes(tmp_path / "episodes.csv", 5) == expected
    assert len(last_episodes(tmp_path / "episodes.csv", 500)) == len(finished)
    kept = [float(row[2]) for row in rows_of(run.episodes)]
    told: list[TrainingStatus] = []
    train(run, resume=True, total_steps=1024, listen=told.append)
    new = [float(row[2]) for row in rows_of(run.episodes)][len(kept) :]
    assert 0 < len(new) < len(kept)
    assert told[-1].mean_return == pytest.approx(np.mean([*kept, *new]))


def test_resuming_a_run_that_was_stopped_while_it_started_trains_it_from_the_start(
    tmp_path: Path,
) -> None:
    stopped, whole = begin(tmp_path / "stopped"), begin(tmp_path / "whole")
    train(stopped, resume=True)
    train(whole)
    assert rows_of(stopped.episodes) == rows_of(whole.episodes)
    assert stopped.steps_kept() == whole.steps_kept() > 0


def test_an_adapted_run_without_a_checkpoint_does_not_begin_from_nothing(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    with run.changing_facts() as facts:
        facts.adapted = Adapted(method="finetune")
    with pytest.raises(UserError, match="begin from another run's policy"):
        train(run, resume=True)


def test_a_hostile_checkpoint_in_a_run_is_refused(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    run.checkpoint_path(5).write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    for use in (lambda: train(run, resume=True), lambda: load_agent(run)):
        with pytest.raises(UserError, match="not a usable checkpoint"):
            use()


def test_what_cannot_be_built_leaves_no_folder(tmp_path: Path) -> None:
    for wrong in ("pins.mas=1.0", "control_rate=99", "action.scale=[1, 2]"):
        with pytest.raises(UserError):
            start_run(load_experiment("qube_swingup", [wrong]), 0, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_an_agent_that_cannot_be_built_leaves_no_folder_unless_it_was_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("simreal.train.build_agent", fail)
    for resume in (True, False):
        run = begin(tmp_path / str(resume))
        with pytest.raises(MemoryError):
            train(run, resume)
        assert run.path.exists() == resume


def test_an_empty_folder_of_the_user_is_kept_with_the_reason_why_nothing_came_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    monkeypatch.setattr("simreal.train.build_agent", Mock(side_effect=UserError("no such agent")))
    for name in ("folder", "link"):
        with pytest.raises(UserError, match="no such agent"):
            train(begin(tmp_path / name))
        assert not list((tmp_path / name).iterdir())
    assert (tmp_path / "link").is_symlink()


def test_what_is_asked_to_stop_early_stops_with_a_checkpoint(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", steps=FOR_EVER)
    train(run, stop_early=lambda agent: agent.num_timesteps >= 256)
    assert 256 <= run.facts().steps <= 256 + 2 * 128
    assert run.latest_checkpoint().exists()


@pytest.mark.parametrize("agent", ["ppo", "sac"])
def test_numbers_that_run_off_end_it_with_the_last_good_policy(tmp_path: Path, agent: str) -> None:
    changed = [*overrides(agent), f"{agent}.learning_rate=1e30"]
    run = start_run(load_experiment("qube_swingup", changed), 0, tmp_path / "run")
    for resume in (False, True):
        with pytest.raises(UserError, match=r"numbers ran off after .* a smaller learning_rate"):
            train(run, resume=resume)
    policy = load_agent(run)[0].policy
    assert all(bool(torch.isfinite(each).all()) for each in policy.parameters())


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from simreal.run import Run
from simreal.train import train
run, began = Run(Path({run!r})), []
def fill(status):
    if not began:  # a limit on files stands in for a full disk
        began.append(resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY)))
try:
    train(run, listen=fill)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.long
def test_a_full_disk_ends_it_in_one_message_and_with_the_last_checkpoint(tmp_path: Path) -> None:
    """Whichever file is the first that does not fit."""
    run = begin(tmp_path / "run", steps=FOR_EVER)
    program = FULL.format(run=str(run.path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert done.stdout.startswith("UserError"), done.stdout + done.stderr
    assert "goes on after" in done.stdout or "is the disk full?" in done.stdout
    assert load_agent(run)


def test_the_normalizer_has_seen_every_observation_of_the_run(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    train(run)
    agent, env = load_agent(run)
    normalizer = find_normalizer(agent)
    assert float(normalizer.count) == 640
    # The last two observations are previous actions; the others have their own spread.
    assert (normalizer.variance > 0).all()
    assert not torch.allclose(normalizer.variance, torch.ones(env.observation_size).double())


def test_a_schedule_moves_is_written_and_goes_on_where_it_was(tmp_path: Path) -> None:
    widening = "schedule={type: by_step, start_width: 0.0, steps: 1000}"
    config = load_experiment("qube_swingup", [*overrides("ppo"), widening])
    run = start_run(config, 0, tmp_path / "run")
    assert train(run, total_steps=512)
    rows = [row for row in rows_of(run.schedule) if row[1] == "mass[arm]"]
    widths = [float(high) - float(low) for _, _, low, high, _ in rows]
    assert widths[0] == 0.0
    assert widths == sorted(widths)
    _, env = load_agent(run)
    assert env.randomizer.schedule.state()["width"] == pytest.approx(widths[-1] / 0.4)
    assert train(run, resume=True, total_steps=1024)
    resumed = [row for row in rows_of(run.schedule) if row[1] == "mass[arm]"]
    assert [int(row[0]) for row in resumed] == sorted({int(row[0]) for row in resumed})
    assert float(resumed[-1][3]) - float(resumed[-1][2]) > widths[-1]
    draws = np.array([[float(x) for x in row[7:]] for row in rows_of(run.episodes)])
    early, late = draws[:8, 0], draws[-8:, 0]
    assert np.abs(late - 1.0).mean() > 2.0 * np.abs(early - 1.0).mean()


def test_a_schedule_is_written_once_for_each_step_even_if_the_training_was_killed_there(
    tmp_path: Path,
) -> None:
    widening = "schedule={type: by_step, start_width: 0.0, steps: 1000}"
    config = load_experiment("qube_swingup", [*overrides("ppo"), widening, "train.checkpoint_every=1"])
    run = start_run(config, 0, tmp_path / "run")
    assert train(run, total_steps=512)
    run.latest_checkpoint().unlink()  # that of the end; a kill leaves one between two updates
    before = rows_of(run.schedule)
    assert int(before[-1][0]) == run.steps_kept() > 0
    assert train(run, resume=True, total_steps=512)
    assert rows_of(run.schedule) == before


@pytest.mark.long
def test_automatic_randomization_follows_the_success_of_its_probes(tmp_path: Path) -> None:
    """Every episode of 0.2 s fails to swing up: the ranges shrink to the model."""
    automatic = "schedule={type: adr, start_share: 0.5, queue_length: 2, boundary_share: 1.0}"
    config = load_experiment("qube_swingup", [*overrides("ppo"), automatic])
    run = start_run(config, 0, tmp_path / "run")
    assert train(run, total_steps=6000)
    first, last = ({}, {})
    for _, column, low, high, _ in rows_of(run.schedule):
        first.setdefault(column, float(high) - float(low))
        last[column] = float(high) - float(low)
    assert sum(last.values()) < 0.8 * sum(first.values())
    assert all(last[column] <= first[column] for column in first)


def test_the_pace_is_that_after_the_first_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first rollout warms everything up, of which no time to go can be reckoned."""
    monkeypatch.setattr("simreal.train.PACED_AFTER", 0.0)
    told: list[TrainingStatus] = []
    train(begin(tmp_path / "run"), listen=told.append)
    paced = [each for each in told if not math.isnan(each.steps_per_second)]
    assert paced
    assert min(each.steps for each in paced) > 128  # a rollout of 8 * 16


def test_a_run_knows_when_its_robot_is_no_longer_that_of_its_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = begin(tmp_path / "run").contract()
    assert not robot_has_changed(trained)
    robot = load_robot("qube")
    heavier = tmp_path / "model.xml"
    heavier.write_text(robot.model_path.read_text("utf-8").replace("<mujoco", "<mujoco ", 1), "utf-8")
    changed = dataclasses.replace(robot, model_path=heavier)
    monkeypatch.setattr("simreal.robots.loader.load_robot", lambda name: changed)
    assert robot_has_changed(trained)
    older = trained.provenance.model_copy(update={"robot_sha256": ""})
    assert not robot_has_changed(trained.model_copy(update={"provenance": older}))
