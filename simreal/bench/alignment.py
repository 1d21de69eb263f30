"""Whether alignment helps a policy that sees: trained in one visual world, judged in another.

A robot stands in one room: for each seed, one look that is drawn from the held-out visual world of an
experiment, in which things beside the task still move. A policy is trained without visual randomization
but that of the camera's pose, from the same seed with equally many steps: once as it comes, and once
for each loss, its encoder aligned with images that the robot's camera would have filmed. Nothing else of
that room is used in training: no reward, no joint and no action.

The pose of the robot's camera is one of those of training. Another one would show things elsewhere, so
that features which say where they are could not look alike: a pose is measured, not aligned.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from simreal.adapt.alignment import AlignDuringTraining, AlignmentConfig, LossName, separability
from simreal.agents.images import encoder_of
from simreal.bench.kept_results import kept
from simreal.callbacks import Tell
from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, SeedArray, episode_seed
from simreal.episodes import begin_episodes
from simreal.errors import UserError
from simreal.evaluate import Act, load_candidate, run_episodes, whole_batches
from simreal.experiment import ExperimentConfig, is_visual, load_experiment
from simreal.files import write_atomically
from simreal.make_environment import make_environment
from simreal.run import Run
from simreal.statistics import paired_interval, share_interval
from simreal.teacher import Teacher, find_teacher
from simreal.train import load_agent
from simreal.transfer_bench.trainings import trained

Film = NDArray[np.uint8]
"""(n, channels, height, width), one episode after the other."""
Lead = Literal["policy", "teacher"]

WITHOUT = "without"
WORLDS = ("own", "held_out")
APART = 4
"""Control steps between two images of a film: those between show almost the same."""
SHOWN_SECONDS = 1.0
"""Of each episode in a film: many goals in few minutes. A robot that has arrived stands still."""
OWN_TO_ROBOTS = 4
"""Images of the simulation for each of the robot that it is aligned with: they cost nothing."""
FILM_SEED, SHOWN_SEED, JUDGE_SEED = 41_000, 42_000, 43_000
"""Of what is aligned with, of what separability is judged by, and of episodes that count."""
OWN_FILM_SEED = 44_000
"""Of the simulation's images that are aligned: of other episodes than the robot's."""
ROOM_SEED = 40_000
POSE = ("camera_position", "camera_rotation", "camera_field_of_view")
"""Entries of where a camera is: those of training hold for the robot, too."""
MOVING = ("distractor_position", "camera_latency")
"""Entries of a visual world that differ by episode in one room, too."""
ROWS_AT_ONCE = 512
"""Through an encoder."""


@dataclass(frozen=True)
class Plan:
    """What is done for each seed.

    Attributes:
        folder: of the runs, films and results.
        name: of an experiment with a camera and a held-out visual world.
        overrides: of it.
        losses: of the arms that align.
        weight: of the losses.
        steps: environment steps of each training; as many as the experiment has, if None.
        images: of the robot.
        lead: who moves the robot while it is filmed: the policy that was trained without alignment, as
            well or badly as it can; or the experiment's teacher, as a person would who leads the arm.
        episodes: by which each policy is judged in each world, the same for all.
        tell: hears what is done.
    """

    folder: Path
    name: str
    overrides: tuple[str, ...]
    losses: tuple[LossName, ...]
    weight: float
    steps: int | None
    images: int
    lead: Lead
    episodes: int
    tell: Tell

    @cached_property
    def own(self) -> ExperimentConfig:
        """The world of the trainings.

        Raises:
            UserError: it has no held-out world, not one camera, or not the teacher that is to lead.
        """
        experiment = load_experiment(self.name, self.overrides)
        if len(experiment.cameras) != 1:
            raise UserError(f"{self.name}: has {len(experiment.cameras)} cameras, and one is aligned")
        if self.lead == "teacher" and experiment.teacher is None:
            raise UserError(f"{self.name}: has no teacher to lead the robot: --lead policy")
        experiment.in_held_out_world()  # refused now, not after the first training
        return with_pose_of(experiment.without_visuals(), experiment)

    @cached_property
    def _rooms(self) -> dict[int, ExperimentConfig]:
        """By seed, as far as they were asked for: to draw one takes a whole environment."""
        return {}

    def robots(self, seed: int) -> ExperimentConfig:
        """The room of a seed's robot."""
        if seed not in self._rooms:
            elsewhere = with_pose_of(self.own.in_held_out_world(), self.own)
            self._rooms[seed] = in_one_room(elsewhere, seed)
        return self._rooms[seed]

    @property
    def total_steps(self) -> int:
        """Of each training."""
        return self.steps or self.own.total_steps

    @property
    def camera(self) -> str:
        """The policy's."""
        return self.own.cameras[0].name

    def home(self, seed: int) -> Path:
        """Folder of a seed, of its own for each experiment and number of steps."""
        room = self.robots(seed).model_dump_json()
        text = f"{self.total_steps} {self.own.model_dump_json()} {room}"
        name = f"{self.own.task}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        return self.folder / name / f"seed{seed}"

    def arm(self, loss: str) -> str:
        """Name of an arm's folder."""
        return f"{loss}-{self.weight:g}-{self.images}-{self.lead}"


def with_pose_of(experiment: ExperimentConfig, other: ExperimentConfig) -> ExperimentConfig:
    """An experiment whose cameras are drawn, once for each episode, as those of another."""
    kept = {name: entry for name, entry in experiment.randomization.items() if not name.startswith(POSE)}
    pose = {
        name: entry.model_copy(update={"within_episode": False})
        for name, entry in other.randomization.items()
        if name.startswith(POSE)
    }
    return experiment.model_copy(update={"randomization": kept | pose})


def in_one_room(experiment: ExperimentConfig, seed: int) -> ExperimentConfig:
    """A held-out visual world whose look is drawn once, for all episodes.

    What a frame takes to arrive is drawn for each episode as before, and so is where things lie that
    have nothing to do with the task.
    """
    randomizer = make_environment(experiment.from_start(), 1, threads=1).randomizer
    drawn = randomizer.draw(EpisodeRandom(episode_seed(ROOM_SEED + seed, np.arange(1)))).values[0]
    held = [
        name
        for name, entry in experiment.randomization.items()
        if is_visual(name, entry) and not name.startswith(MOVING)
    ]
    pins = {
        column: float(value)
        for column, value in zip(randomizer.columns, drawn, strict=True)
        if column.partition("[")[0] in held
    }
    return experiment.model_copy(update={"pins": experiment.pins | pins})


def with_and_without(plan: Plan, seeds: Sequence[int]) -> dict[str, Any]:
    """Train, film, align, and judge; what is done already is not done again.

    A training that was stopped goes on from its last checkpoint, where an imitation has forgotten its
    moments: to compare to the last digit, let it run through.

    Separability is that of the encoder's features of images from episodes that no training saw, led
    likewise in both worlds. Its interval counts images, of which those of an episode are alike: the
    true one is wider.

    Args:
        plan: for each seed.
        seeds: of trainings.

    Raises:
        UserError: an experiment that cannot be aligned.
    """
    found: list[dict[str, Any]] = []
    for seed in seeds:
        arms = {WITHOUT: _arm(plan, seed, None)} | {loss: _arm(plan, seed, loss) for loss in plan.losses}
        found.append({"seed": seed, "arms": {arm: _shown(each, arms) for arm, each in arms.items()}})
    episodes, steps = _filmed(plan.own, plan.images)
    seconds = episodes * steps / plan.own.control_rate
    return {
        "experiment": plan.name,
        "steps": plan.total_steps,
        "weight": plan.weight,
        "images": plan.images,
        "robot_minutes": seconds / 60.0,
        "led_by": plan.lead,
        "episodes": plan.episodes,
        "seeds": found,
        "mean_gain": {
            loss: {where: _mean_gain(found, loss, where) for where in WORLDS} for loss in plan.losses
        },
    }


def _mean_gain(found: Sequence[dict[str, Any]], loss: str, where: str) -> float:
    """Over the seeds."""
    return float(np.mean([each["arms"][loss]["gain"][where].value for each in found]))


def _arm(plan: Plan, seed: int, loss: LossName | None) -> dict[str, Any]:
    """Separability, and 0 or 1 for each episode in each world."""
    name = WITHOUT if loss is None else plan.arm(loss)
    results = plan.home(seed) / "results.json"
    shown_as = f"{name} judged by {plan.images} images of {plan.lead}, {plan.episodes} episodes"
    result: dict[str, Any] = kept(results, shown_as, partial(_judged, plan, seed, loss, name))
    told = ", ".join(f"{where} {100 * np.mean(result[where]):.1f} %" for where in WORLDS)
    apart = 100 * result["separability"][0]
    plan.tell(f"seed {seed}, {name}: told apart in {apart:.1f} %; success {told}")
    return result


def _judged(plan: Plan, seed: int, loss: LossName | None, name: str) -> dict[str, Any]:
    run = _trained(plan, seed, loss, name)
    plan.tell(f"judging {run.path}")
    own, robots = (_features(run, plan.camera, film) for film in _shown_films(plan, seed))
    act = load_candidate(run.path).act
    result: dict[str, Any] = {"separability": separability(own, robots)}
    for where, world in zip(WORLDS, (plan.own, plan.robots(seed)), strict=True):
        episodes = run_episodes(act, world, plan.episodes, JUDGE_SEED)
        result[where] = [int(each.success) for each in episodes]
    return result


def _trained(plan: Plan, seed: int, loss: LossName | None, name: str) -> Run:
    beside = None
    if loss is not None:
        config = AlignmentConfig(loss=loss, weight=plan.weight)
        film = _kept_film(plan, seed, plan.robots(seed), FILM_SEED, plan.images)
        simulated = _kept_film(plan, seed, plan.own, OWN_FILM_SEED, OWN_TO_ROBOTS * plan.images)
        beside = AlignDuringTraining(film, config, seed, plan.camera, simulated)
    return trained(seed, plan.home(seed) / name, plan.own, plan.total_steps, plan.tell, beside)


def _shown_films(plan: Plan, seed: int) -> tuple[Film, Film]:
    """Of both worlds: what separability is judged by."""
    worlds = plan.own, plan.robots(seed)
    own, robots = (_kept_film(plan, seed, world, SHOWN_SEED, plan.images) for world in worlds)
    return own, robots


def _kept_film(plan: Plan, seed: int, world: ExperimentConfig, film_seed: int, images: int) -> Film:
    where = "own" if world is plan.own else "held_out"
    path = plan.home(seed) / f"{where}-{images}-{plan.lead}-{film_seed}.npy"
    if not path.is_file():
        plan.tell(f"filming {path}")
        leader: Act | str
        if plan.lead == "teacher":
            assert plan.own.teacher is not None
            leader = plan.own.teacher.policy
        else:
            leader = load_candidate(_trained(plan, seed, None, WITHOUT).path).act
        film = film_episodes(world, leader, plan.camera, images, film_seed + 1_000_000 * seed)

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.save(file, film)

        write_atomically(path, write)
    kept_film: Film = np.load(path)
    return kept_film


def _filmed(experiment: ExperimentConfig, images: int) -> tuple[int, int]:
    """How many episodes a film of so many images shows, and how many steps of each."""
    steps = min(experiment.episode_steps, math.ceil(SHOWN_SECONDS * experiment.control_rate))
    return math.ceil(images / math.ceil(steps / APART)), steps


def film_episodes(
    experiment: ExperimentConfig, leader: Act | str, camera: str, number: int, seed: int
) -> Film:
    """What a camera shows as numbered episodes begin, every few control steps.

    Args:
        experiment: where.
        leader: a policy that acts there, or the name or file of a teacher.
        camera: whose images.
        number: of images.
        seed: of the episodes.
    """
    episodes, steps = _filmed(experiment, number)
    batches, count = whole_batches(episodes)
    env = BatchEnv(experiment.from_start(), count)
    act, teacher = (leader, None) if callable(leader) else (None, find_teacher(leader, env))
    parts = []
    for batch in range(batches):
        seeds = episode_seed(seed, count * batch + np.arange(count))
        parts.append(_film_batch(env, act, teacher, camera, seeds, steps))
    return np.concatenate(parts)[:number]


def _film_batch(
    env: BatchEnv,
    act: Act | None,
    teacher: Teacher | None,
    camera: str,
    seeds: SeedArray,
    steps: int,
) -> Film:
    """The first steps of one episode in each simulation."""
    count = len(seeds)
    observation = env.begin(np.arange(count), seeds)
    if act is not None:
        begin_episodes(act)
    action, begun = np.zeros((count, env.action_size), np.float32), np.ones(count, dtype=bool)
    images = []
    for step in range(steps):
        if step % APART == 0:
            images.append(env.images[camera].copy())
        if act is not None:
            action = act(observation, env.images)
        elif teacher is not None:
            action = teacher(action, begun)
        done = env.step(action)
        observation, begun = done.observation, done.terminated | done.truncated
    whole = np.stack(images, axis=1)
    return whole.reshape(-1, *whole.shape[2:])


def _features(run: Run, camera: str, film: Film) -> NDArray[np.float32]:
    """(n, size) what the encoder of a run's policy makes of images."""
    encoder = encoder_of(load_agent(run)[0].policy, camera).eval()
    with torch.no_grad():
        parts = np.array_split(film, math.ceil(len(film) / ROWS_AT_ONCE))
        return np.concatenate([encoder(torch.from_numpy(part)).numpy() for part in parts])


def _shown(arm: dict[str, Any], arms: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """With intervals: of shares Wilson's, of gains over the arm without that of paired episodes."""
    without = arms[WITHOUT]
    found: dict[str, Any] = {
        "separability": arm["separability"],
        "success": {where: share_interval(sum(arm[where]), len(arm[where])) for where in WORLDS},
    }
    if arm is not without:
        found["gain"] = {
            where: paired_interval(np.subtract(arm[where], without[where]).tolist()) for where in WORLDS
        }
    return found
