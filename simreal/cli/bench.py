"""`simreal bench`: the figures that simreal claims, as commands."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simreal.cli_types import OVERRIDE_OPTION, PATH, NumberRange, numbers_by_name, print_json

if TYPE_CHECKING:
    from simreal.adapt.alignment import LossName
    from simreal.bench.alignment import Lead


def _tell(text: str) -> None:
    click.echo(text, err=True)


@click.group()
def bench() -> None:
    """Measure the figures that simreal claims; each prints its numbers as JSON."""


@bench.command("env")
@click.option("--experiment", default="qube_swingup", show_default=True)
@click.option("--simulations", type=click.IntRange(min=1), default=512, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=9, show_default=True)
@click.option(
    "--envpool", help="Also time an environment of EnvPool, such as Go1JoystickFlatTerrain-v1."
)
def bench_env(experiment: str, simulations: int, repeats: int, envpool: str | None) -> None:
    """Environment steps/s with everything on, against bare Batch.step."""
    from simreal.bench.environment import environment_speed

    print_json(environment_speed(experiment, simulations, repeats, envpool))


@bench.command("solve")
@click.option("--experiment", default="qube_swingup", show_default=True)
@click.option("--agent", default="ppo", show_default=True, help="As in an experiment.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True)
@click.option("--limit", type=float, default=None, help="s to give up after.")
def bench_solve(experiment: str, agent: str, seeds: tuple[int, ...], limit: float | None) -> None:
    """Seconds of training until the goal holds in 90 % of the second half of episodes."""
    from simreal.bench.solving import time_to_solve

    print_json(time_to_solve(experiment, agent, seeds, limit, _tell))


@bench.command("cameras")
@click.option("--experiment", default="so101_reach_pixels", show_default=True)
@click.option("--size", type=click.IntRange(8, 1024), default=84, show_default=True)
@click.option("--simulations", type=click.IntRange(min=32), default=128, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=9, show_default=True)
def bench_cameras(experiment: str, size: int, simulations: int, repeats: int) -> None:
    """Images/s of a camera with randomized visuals, against mujoco.Renderer as it comes."""
    from simreal.bench.cameras import camera_speed

    print_json(camera_speed(experiment, size, simulations, repeats))


@bench.command("replay")
@click.argument("policy", type=PATH)
@click.option("--episodes", type=click.IntRange(min=1), default=64, show_default=True)
def bench_replay(policy: Path, episodes: int) -> None:
    """Replay recorded episodes alone and compare the trajectories bit by bit."""
    from simreal.bench.policies import replay_identity

    print_json(replay_identity(policy, episodes))


@bench.command("parity")
@click.argument("run_path", metavar="RUN", type=PATH)
@click.argument("policy", type=PATH)
@click.option("--episodes", type=click.IntRange(min=1), default=200, show_default=True)
def bench_parity(run_path: Path, policy: Path, episodes: int) -> None:
    """Agent against exported policy: actions on observations, and evaluations."""
    from simreal.bench.policies import export_parity

    print_json(export_parity(run_path, policy, episodes))


@bench.command("deploy")
@click.argument("policy", type=PATH)
@click.option("--driver", default="sim", show_default=True)
@click.option("--duration", type=float, default=60.0, show_default=True)
def bench_deploy(policy: Path, driver: str, duration: float) -> None:
    """Deploy in real time: overruns, latencies, and whether the goal holds."""
    from simreal.bench.policies import deployment

    print_json(deployment(policy, driver, duration))


LOOP_FIGURES = ("overhead", "load", "fast", "processor", "memory")


@bench.command("loop")
@click.option("--only", multiple=True, type=click.Choice(LOOP_FIGURES), default=LOOP_FIGURES)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "as_numbers", is_flag=True, help="As JSON instead of a table.")
def bench_loop(only: tuple[str, ...], repeats: int, as_numbers: bool) -> None:
    """The control loop in real time: overhead, lateness under load, 1 kHz, processor, memory."""
    from simreal.bench.loop import measure, table

    found = measure(list(only), repeats, _tell)
    print_json(found) if as_numbers else click.echo(table(found))


@bench.command("reset")
@click.option("--experiment", default="qube_everything", show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=256, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=15, show_default=True)
def bench_reset(experiment: str, batch: int, repeats: int) -> None:
    """Cost of a reset with all dynamics parameters drawn, in physics steps."""
    from simreal.bench.randomization import reset_cost

    print_json(reset_cost(experiment, batch, repeats))


@bench.command("randomization")
@click.option("--experiment", default="qube_everything", show_default=True)
@click.option("--simulations", type=click.IntRange(min=1), default=512, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=9, show_default=True)
def bench_randomization(experiment: str, simulations: int, repeats: int) -> None:
    """Environment steps/s with everything randomized, against nothing."""
    from simreal.bench.randomization import randomization_speed

    print_json(randomization_speed(experiment, simulations, repeats))


@bench.command("inertia")
@click.option("--robot", default="qube", show_default=True)
@click.option("--draws", type=click.IntRange(min=1), default=10_000, show_default=True)
def bench_inertia(robot: str, draws: int) -> None:
    """Sampled inertias over the widest ranges that are not physically consistent."""
    from simreal.bench.randomization import inertia_consistency

    print_json(inertia_consistency(robot, draws))


@bench.command("lint")
def bench_lint() -> None:
    """Planted faults that lint finds, and shipped experiments that it flags."""
    from simreal.bench.lint import planted_faults

    print_json(planted_faults())


@bench.command("logs")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
def bench_logs(seeds: int) -> None:
    """Planted faults that check-log finds, and by which check."""
    from simreal.bench.logs import planted_logs

    print_json(planted_logs(seeds))


@bench.command("outside")
@click.argument("randomized", type=PATH)
@click.argument("plain", type=PATH)
@click.option("--worlds", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--beyond", type=NumberRange(min=0.0), default=0.2, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def bench_outside(randomized: Path, plain: Path, worlds: int, beyond: float, seed: int) -> None:
    """A policy trained with randomization against one without, outside of the trained ranges."""
    from simreal.bench.ranges import outside_ranges

    print_json(outside_ranges(randomized, plain, worlds, beyond, seed))


@bench.command("online")
@click.option("--run-folder", type=PATH, default=Path("runs/online"), show_default=True)
@click.option("--experiment", default="qube_swingup", show_default=True)
@click.option(
    "--arm",
    "arms",
    multiple=True,
    type=click.Choice(["plain", "history", "recurrent", "rma"]),
    default=("plain", "history", "recurrent", "rma"),
    show_default=True,
)
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2, 3, 4), show_default=True)
@click.option("--steps", type=click.IntRange(min=1), default=2_000_000, show_default=True)
@click.option("--worlds", type=click.IntRange(min=1), default=256, show_default=True)
def bench_online(
    run_folder: Path,
    experiment: str,
    arms: tuple[str, ...],
    seeds: tuple[int, ...],
    steps: int,
    worlds: int,
) -> None:
    """Policies that find out their world, against plain randomization, beyond the trained ranges.

    Trains what is not trained yet, each with as many steps; may be stopped and gone on with.
    """
    from simreal.bench.online import compare_online

    print_json(compare_online(run_folder, experiment, arms, seeds, steps, worlds, _tell))


@bench.command("alignment")
@click.option("--folder", type=PATH, default=Path("runs/alignment"), show_default=True)
@click.option(
    "--experiment",
    default="so101_reach_pixels",
    show_default=True,
    help="With a camera and held_out_visuals; its own visual randomization is taken away.",
)
@click.option(
    "--loss",
    "losses",
    multiple=True,
    type=click.Choice(["coral", "mmd", "adversarial"]),
    default=("mmd",),
    show_default=True,
    help="One arm for each.",
)
@click.option(
    "--weight",
    type=NumberRange(min=0.0, min_open=True),
    default=1.0,
    show_default=True,
    help="Of the loss, beside that of an imitation; other agents align by steps of their own.",
)
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Of each training; as the experiment has it if absent.",
)
@click.option(
    "--images",
    type=click.IntRange(min=256),
    default=4_000,
    show_default=True,
    help="Of the robot, without rewards, states or actions: of each episode's first second, every "
    "fourth control step.",
)
@click.option(
    "--lead",
    type=click.Choice(["policy", "teacher"]),
    default="policy",
    show_default=True,
    help="Who moves the robot while it is filmed: the policy trained without alignment, or the "
    "experiment's teacher, in place of a person who leads the arm.",
)
@click.option("--episodes", type=click.IntRange(min=2), default=200, show_default=True)
@OVERRIDE_OPTION
def bench_alignment(
    folder: Path,
    experiment: str,
    losses: tuple["LossName", ...],
    weight: float,
    seeds: tuple[int, ...],
    steps: int | None,
    images: int,
    lead: "Lead",
    episodes: int,
    overrides: tuple[str, ...],
) -> None:
    """Success in an unseen visual world with alignment to its images, against without.

    The held-out visual world stands for the robot. Policies are trained without visual randomization,
    with equal seeds and steps: one as it comes; and one for each --loss, whose encoder is aligned with
    unlabelled images of the robot. It tells of each: success in its own and in the robot's world, and
    how well a fresh discriminator tells features of the two apart (0.5 is chance). Goes on where it was
    stopped.
    """
    from simreal.bench.alignment import Plan, with_and_without

    plan = Plan(folder, experiment, overrides, losses, weight, steps, images, lead, episodes, _tell)
    print_json(with_and_without(plan, seeds))


@bench.command("robot-tuning")
@click.option("--folder", type=PATH, default=Path("runs/robot_tuning"), show_default=True)
@click.option("--robot", default="qube", show_default=True)
@click.option("--target", default="a", show_default=True, help="Of the transfer benchmark.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True)
@click.option("--steps", type=click.IntRange(min=1), default=600_000, show_default=True)
@click.option("--seconds", type=NumberRange(min=10.0), default=300.0, show_default=True)
@click.option("--episodes", type=click.IntRange(min=2), default=200, show_default=True)
@OVERRIDE_OPTION
def bench_robot_tuning(
    folder: Path,
    robot: str,
    target: str,
    seeds: tuple[int, ...],
    steps: int,
    seconds: float,
    episodes: int,
    overrides: tuple[str, ...],
) -> None:
    """Minutes of learning on a hidden robot: return before and after, and violations.

    Through the real loop and supervisor, in the hidden robot's own time; goes on where it was stopped.
    """
    from simreal.adapt.online_session import OnlineConfig
    from simreal.bench.robot_tuning import Plan, tune_on_hidden
    from simreal.config import override, parse

    config = parse(OnlineConfig, override({}, overrides))
    plan = Plan(folder, robot, target, steps, seconds, episodes, config, _tell)
    print_json(tune_on_hidden(plan, seeds))


@bench.command("ranges")
@click.argument("automatic", type=PATH)
@click.argument("by_hand", type=PATH)
@click.option("--episodes", type=click.IntRange(min=1), default=400, show_default=True)
def bench_ranges(automatic: Path, by_hand: Path, episodes: int) -> None:
    """Ranges of automatic randomization against hand-set ones, with the success in each."""
    from simreal.bench.ranges import compare_ranges

    print_json(compare_ranges(automatic, by_hand, episodes))


@bench.command("engines")
@click.option("--json", "as_numbers", is_flag=True, help="As JSON instead of a table.")
def bench_engines(as_numbers: bool) -> None:
    """Physics that MuJoCo and PyBullet must share, by numbers, and the speed of both."""
    from simreal.bench.engines import as_json, as_table, engine_speeds, shared_physics

    rows, speeds = shared_physics(), engine_speeds()
    if as_numbers:
        print_json(as_json(rows, speeds))
    else:
        click.echo(as_table(rows, speeds))


@bench.command("experience")
@click.option("--steps", type=click.IntRange(min=100), default=1_000_000, show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=256, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=9, show_default=True)
@click.option(
    "--images", is_flag=True, help="Stacks of images instead of numbers: 14 GB at a million steps."
)
def bench_experience(steps: int, batch: int, repeats: int, images: bool) -> None:
    """Replay of experience: its memory, and draws by priority against even ones."""
    from simreal.bench.experience import experience_cost

    print_json(experience_cost(steps, batch, repeats, images))


@bench.command("games")
@click.option(
    "--game", "games", multiple=True, default=("breakout", "space_invaders"), show_default=True
)
@click.option("--variant", "names", multiple=True, help="Of the deep Q-network; all if absent.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True)
@click.option("--steps", type=click.IntRange(min=5_000), default=100_000, show_default=True)
@click.option("--results", type=PATH, default="games.json", show_default=True, help="Goes on from it.")
def bench_games(
    games: tuple[str, ...], names: tuple[str, ...], seeds: tuple[int, ...], steps: int, results: Path
) -> None:
    """DQN, each of its improvements, Rainbow, and QR-DQN on games of MinAtar, at one budget."""
    from simreal.bench.games import compare_on_games

    print_json(compare_on_games(games, names, seeds, steps, results, _tell))


@bench.group("bus")
def bench_bus() -> None:
    """Round trips of drivers over real protocols, against the bare library in the same run."""


@bench_bus.command("feetech")
@click.option("--rounds", type=click.IntRange(min=100), default=2000, show_default=True)
def bench_bus_feetech(rounds: int) -> None:
    """Six Feetech STS servos over a pseudo-terminal: the driver against Feetech's bare SDK."""
    from simreal.bench.servo import servo_round_trips

    print_json(servo_round_trips("feetech", rounds))


@bench_bus.command("dynamixel")
@click.option("--rounds", type=click.IntRange(min=100), default=2000, show_default=True)
def bench_bus_dynamixel(rounds: int) -> None:
    """Six Dynamixel X servos over a pseudo-terminal: the driver against ROBOTIS's bare SDK."""
    from simreal.bench.servo import servo_round_trips

    print_json(servo_round_trips("dynamixel", rounds))


@bench_bus.command("can")
@click.option("--rounds", type=click.IntRange(min=1), default=2000, show_default=True)
def bench_bus_can(rounds: int) -> None:
    """Six CAN motors over slcan on a terminal: the driver against bare python-can."""
    from simreal.bench.can import can_round_trips

    print_json(can_round_trips(rounds))


@bench_bus.command("unitree")
@click.option("--rounds", type=click.IntRange(min=40), default=2000, show_default=True)
def bench_bus_unitree(rounds: int) -> None:
    """A Go2's LowCmd and LowState over DDS: packed bytes against the IDL classes."""
    from simreal.bench.unitree import bus_speed

    print_json(bus_speed(rounds))


@bench.command("flights")
@click.argument("policy", type=PATH)
@click.option(
    "--driver",
    required=True,
    type=click.Choice(["feetech", "dynamixel", "can", "unitree"]),
    help="Over whose wire; it says which robot is emulated.",
)
@click.option("--flights", "number", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--duration", type=NumberRange(min=1.0), help="s; that of an episode if absent.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="As of `simreal emulate`.")
def bench_flights(
    policy: Path,
    driver: str,
    number: int,
    duration: float | None,
    seed: int,
    settings: tuple[str, ...],
) -> None:
    """Success of a policy over the wire of an emulated robot in real time, and in evaluation."""
    from simreal.bench.flights import flights

    parameters = numbers_by_name("--set", settings)
    print_json(flights(policy, driver, number, duration, seed, parameters, _tell))


SUITE_TASKS = ("cheetah-run", "walker-walk", "reacher-easy")


def _suite_names(tasks: Iterable[str]) -> list[str]:
    """Names of tasks of dm_control as experiments have them, with or without the prefix in front."""
    from simreal.experiment import SUITE_PREFIX

    return [SUITE_PREFIX + task.removeprefix(SUITE_PREFIX) for task in tasks]


@bench.command("suite")
@click.option("--task", "tasks", multiple=True, default=SUITE_TASKS, show_default=True)
@click.option("--simulations", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--processes", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--list", "lists", is_flag=True, help="Instead, tell which tasks run on the batch.")
def bench_suite(
    tasks: tuple[str, ...], simulations: int, processes: int, repeats: int, lists: bool
) -> None:
    """Steps/s of tasks of dm_control through the adapter, against SubprocVecEnv over the same."""
    from simreal.bench.suite import suite_speed, suite_tasks

    names = _suite_names(tasks)
    print_json(suite_tasks() if lists else suite_speed(names, simulations, processes, repeats, _tell))


@bench.command("suite-return")
@click.option("--task", "tasks", multiple=True, default=SUITE_TASKS, show_default=True)
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True)
@click.option("--steps", type=click.IntRange(min=1), default=3_000_000, show_default=True)
@click.option("--simulations", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--episodes", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--results", type=PATH, default="returns.json", show_default=True, help="Goes on from it.")
def bench_suite_return(
    tasks: tuple[str, ...],
    seeds: tuple[int, ...],
    steps: int,
    simulations: int,
    episodes: int,
    results: Path,
) -> None:
    """Return of PPO through the adapter, against stable-baselines3 on plain dm_control."""
    from simreal.bench.suite import suite_return

    names = _suite_names(tasks)
    print_json(suite_return(names, seeds, steps, simulations, episodes, results, _tell))


@bench.command("identify")
@click.argument(
    "what", type=click.Choice(["qube", "go2", "pendulum", "coverage", "truth", "latency", "sysid"])
)
@click.option("--data", type=PATH, help="Folder of real logs; SIMREAL_REAL_LOGS if absent.")
@click.option(
    "--hold-out",
    multiple=True,
    metavar="PART",
    help="Of the names of the Qube's logs, such as a day or an excitation; each day if absent.",
)
@click.option(
    "--by-group", multiple=True, metavar="NAME", help="Of the unknowns, one that differs by day."
)
@click.option("--draws", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--windows", type=click.IntRange(min=1), default=72, show_default=True)
def bench_identify(
    what: str,
    data: Path | None,
    hold_out: tuple[str, ...],
    by_group: tuple[str, ...],
    draws: int,
    windows: int,
) -> None:
    """Identification on real logs, of synthetic truth, and beside mujoco.sysid."""
    from simreal.bench import identify as figures
    from simreal.bench import identify_truth as made_up
    from simreal.bench.identify_sysid import beside_sysid

    match what:
        case "qube":
            print_json(figures.qube(data, hold_out, _tell, by_group))
        case "go2":
            print_json(figures.go2(data, _tell))
        case "pendulum":
            print_json(figures.pendulum(data, _tell, by_group))
        case "coverage":
            print_json(figures.band_coverage(data, hold_out, _tell, by_group))
        case "truth":
            print_json(made_up.truth(draws, _tell))
        case "latency":
            print_json(made_up.latency((3.0, 5.5, 9.0, 14.2, 19.0, 25.0), _tell))
        case _:
            print_json(beside_sysid(data, windows, _tell))


@bench.command("residual")
@click.option("--data", type=PATH, help="Folder of real logs; SIMREAL_REAL_LOGS if absent.")
@click.option("--day", "days", multiple=True, help="Of the Qube's logs, to hold out; all if absent.")
@click.option("--all-joints", is_flag=True, help="Let the residual act on the pendulum, too.")
@click.option("--iterations", type=click.IntRange(min=1), default=12, show_default=True)
def bench_residual(data: Path | None, days: tuple[str, ...], all_joints: bool, iterations: int) -> None:
    """What a residual model adds to identification on real logs, held out by day."""
    from simreal.bench import residual as figures

    print_json(figures.qube(data, days, all_joints, iterations, _tell))
