"""`simreal identify` and `simreal design`: from logs to a simulator that matches, and what to record."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD

from simreal.cli.coverage import warn_of_coverage
from simreal.cli.progress import progress
from simreal.cli.recordings import read_recordings
from simreal.cli.report_option import REPORT_OPTION
from simreal.cli_types import MAPPING_OPTION, PATH, NumberRange, console, errors, numbers_by_name
from simreal.errors import UserError, nearest
from simreal.files import refuse_taken
from simreal.tables import folded_table, keep_names_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from simreal.contract import Contract
    from simreal.identification.identify import Identification
    from simreal.randomization.posterior import Posterior
    from simreal.robots import Robot


def find_robot(name: str) -> "Robot":
    """The robot of that name, or of an experiment of that name."""
    from simreal.experiment import ExperimentConfig, NoExperimentError, load_any_experiment
    from simreal.robots import load_robot, robot_names

    if name in robot_names():
        return load_robot(name)
    try:
        experiment = load_any_experiment(name)
    except NoExperimentError:
        raise UserError(
            f"no robot or experiment {name!r}: {nearest(name, robot_names())}, or a YAML file"
        ) from None
    if not isinstance(experiment, ExperimentConfig):
        raise UserError(f"{name}: no robot of simreal's stands behind a task of dm_control")
    return load_robot(experiment.robot)


@click.command()
@click.argument("robot", metavar="ROBOT|EXPERIMENT")
@click.option("--log", "logs", type=PATH, multiple=True, required=True, help="A log; may be repeated.")
@MAPPING_OPTION
@click.option(
    "--parameters",
    "stages",
    multiple=True,
    metavar="NAME[,NAME...]",
    help="What to find: NAME, NAME[PATTERN], NAME=LOW:HIGH, NAME@group (differs by day and excitation), "
    "NAME@log. Repeated, each adds to the model before.",
)
@click.option("--hold-out", multiple=True, metavar="PATTERN", help="Logs or groups to judge by.")
@click.option("--set", "held", multiple=True, metavar="NAME=VALUE", help="A parameter that is known.")
@click.option("--fixed-base", is_flag=True, help="The robot's base was held.")
@click.option("--input", "channel", help="Channel that drove the actuators, such as joint_effort.")
@click.option("--window", type=NumberRange(min=0.02), default=0.5, show_default=True, help="s.")
@click.option("--stride", type=NumberRange(min=0.01), help="s between windows; --window if absent.")
@click.option("--timestep", type=NumberRange(min=1e-5), help="s; the model's own if absent.")
@click.option("--velocities", is_flag=True, help="Let reported velocities count, not positions alone.")
@click.option(
    "--simulations",
    type=click.IntRange(min=100),
    metavar="N",
    help="Learn the posterior from N simulated robots a round, by simulation-based inference (sbi).",
)
@click.option("--policy", type=PATH, help="Exported policy to hold against what was found.")
@click.option("-o", "--output", type=PATH, default=Path("identified.yaml"), show_default=True)
@REPORT_OPTION
def identify(
    robot: str,
    logs: tuple[Path, ...],
    mapping: str | None,
    stages: tuple[str, ...],
    hold_out: tuple[str, ...],
    held: tuple[str, ...],
    fixed_base: bool,
    channel: str | None,
    window: float,
    stride: float | None,
    timestep: float | None,
    velocities: bool,
    simulations: int | None,
    policy: Path | None,
    output: Path,
    report: Path | None,
) -> None:
    """Find the parameters of ROBOT from logs of it, and write them as a randomization."""
    from simreal.deploy.policy import load_policy
    from simreal.identification.fitting import Cutting
    from simreal.identification.identify import identify as run
    from simreal.identification.identify import posterior
    from simreal.identification.nested_models import nested_models
    from simreal.identification.simulator import Setup
    from simreal.identification.unknowns import read_asked
    from simreal.randomization.posterior import write_posterior

    nested = [[read_asked(name) for name in _names(stage)] for stage in stages]
    machine = find_robot(robot)
    contract = None if policy is None else load_policy(policy).contract
    if contract is not None and contract.robot.name != machine.name:
        raise UserError(f"{policy}: a policy of robot {contract.robot.name}, not of {machine.name}")
    refuse_taken(output, "-o")
    setup = Setup(machine, fixed_base, timestep, numbers_by_name("--set", held))
    recordings, sources = read_recordings(logs, mapping, machine, channel)
    nested = nested or nested_models(setup.world(1, {}))
    with _progress() as tell:
        found = run(
            setup,
            recordings,
            nested,
            Cutting(window, stride, velocities),
            hold_out,
            tell,
            simulations,
        )
    _print(found)
    if report is not None:
        from simreal.identification.page import write_page

        write_page(found, report)
        console.print(f"report: {report}")
    if found.run_off:
        raise UserError(
            f"in {found.run_off} of {len(found.nominal.windows)} held-out windows the simulated robot "
            "runs off beyond all numbers: nothing written. Logs and model do not belong together: see "
            "simreal check-log"
        )
    if found.nominal_suffices:
        raise UserError(
            "no model predicts the held-out logs better than the robot's model as it is, by more than a "
            "standard error: nothing written. Train without --randomization, or see simreal "
            "check-log and simreal design for logs that tell more"
        )
    made = posterior(found, sources)
    write_posterior(output, made)
    warn_of_coverage(output, made.coverage, "on it tell what a policy is worth that is trained with it")
    if contract is not None:
        _hold_against(contract, str(policy), output)
    console.print(f"written: {output}\nnext:\n{_next(found, made, robot, output)}", soft_wrap=True)


def _next(found: "Identification", made: "Posterior", robot: str, output: Path) -> str:
    """What to do with a result: record or ask more where it tells too little, else train."""
    from simreal.identification.torque_scale import torque_scales
    from simreal.identification.verdict import verdict, wider
    from simreal.randomization.posterior import is_uncovered

    said = verdict(found)
    covered = not is_uncovered(made.coverage)
    again = f"  simreal identify {robot} --log LOG... --parameters"
    lines = []
    if said.at_bounds:
        lines.append(f"{again} '{','.join(map(str, wider(found)))}'    # wider bounds")
    # No log tells more of what only its bound held back.
    wanted = tuple(dict.fromkeys((*said.hardly_told, *said.confounded)))
    if not said.at_bounds and not said.sound:
        wanted = wanted or tuple(map(str, found.best.asked))
    if wanted:
        excitation = f"excitation_{output.stem}.yaml"
        lines += [
            f"  simreal design {robot} --parameters '{','.join(wanted)}' -o {excitation}",
            f"  simreal deploy --excite {excitation} --driver DRIVER --log LOG.mcap    "
            "# and identify with that log, too",
        ]
    if torque_scales(found):
        lines.append(f"{again} '{','.join(_with_masses(found))}'    # is a mass wrong?")
    if not covered:
        lines += [
            f"{again} NAME,...    # more of them",
            f"  simreal fit-actuator LOG... --robot {robot} --randomization {output} --rate HZ    "
            "# or what none of them describes, for simreal finetune --residual",
        ]
    if said.at_bounds:
        lacking = "with an unknown at its bound no other is to be trusted"
    elif not said.sound:
        lacking = "the logs tell too little of what it draws"
    else:
        lacking = "too little of what was held out is covered"
    train = f"simreal train EXPERIMENT --randomization {output}"
    ready = said.sound and covered
    lines.append(f"  {train}" if ready else f"not yet: {train}: {lacking}, as said above")
    return "\n".join(lines)


def _with_masses(found: "Identification") -> list[str]:
    """What was asked for, masses in place of what they would only trade places with."""
    traded = ("motor_strength", "kp", "kd", "joint_armature")
    return ["mass", *(str(each) for each in found.best.asked if each.name not in traded)]


def _names(stage: str) -> list[str]:
    """Split at commas outside of brackets."""
    names, depth = [""], 0
    for letter in stage:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            names.append("")
        else:
            names[-1] += letter
    found = [name.strip() for name in names if name.strip()]
    if not found:
        raise UserError(f"--parameters {stage!r}: no name in it, such as joint_damping or mass[PART]")
    return found


@contextmanager
def _progress() -> "Iterator[Callable[[str], None]]":
    """A line that changes in a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield lambda text: console.print(text, soft_wrap=True)
        return
    with console.status("reading") as status:
        yield lambda text: status.update(text)


def _print(found: "Identification") -> None:
    from simreal.identification.identify import describe_pushes, describe_widening
    from simreal.identification.page import combination_lines, model_rows, nominal_row, parameter_rows
    from simreal.identification.torque_scale import torque_scales
    from simreal.identification.verdict import verdict

    if said := verdict(found).describe():
        errors.print(said, style="yellow", soft_wrap=True)
    for scale in torque_scales(found):
        errors.print(scale.describe(), style="yellow", soft_wrap=True)
    table = folded_table("parameter", "value", "deviation", "bounds", "", box=SIMPLE_HEAD)
    for row in parameter_rows(found):
        table.add_row(*row)
    console.print(keep_names_whole(table))
    for spread in found.best.fitted.spreads:
        console.print(spread.describe(), soft_wrap=True)
    models = folded_table("unknowns", "held-out error", "score above the best", "", box=SIMPLE_HEAD)
    for unknowns, error, *rest in (nominal_row(found), *model_rows(found)):
        lines = unknowns.replace(", ", "\n").replace(" + ", "\n")
        models.add_row(lines, error.replace(", ", "\n"), *rest)
    console.print(keep_names_whole(models))
    for line in (*describe_pushes(found), *combination_lines(found)):
        errors.print(line, style="yellow", soft_wrap=True)
    console.print(f"{found.split.how}; {describe_widening(found)}", soft_wrap=True)


@click.command()
@click.argument("robot", metavar="ROBOT|EXPERIMENT")
@click.option(
    "--parameters", required=True, metavar="NAME[,NAME...]", help="What a log of it is to tell."
)
@click.option("--duration", type=NumberRange(min=2.0), default=10.0, show_default=True, help="s.")
@click.option("--rate", type=NumberRange(min=1.0), default=100.0, show_default=True, help="Hz.")
@click.option("--highest", type=NumberRange(min=0.4), default=5.0, show_default=True, help="Hz.")
@click.option("--fixed-base", is_flag=True, help="The robot's base will be held.")
@click.option("-o", "--output", type=PATH, default=Path("excitation.yaml"), show_default=True)
def design(
    robot: str,
    parameters: str,
    duration: float,
    rate: float,
    highest: float,
    fixed_base: bool,
    output: Path,
) -> None:
    """Find commands for ROBOT, within its limits, whose log tells PARAMETERS best."""
    from simreal.excitation_file import write_excitation
    from simreal.identification.design import GENERATIONS, design_excitation
    from simreal.identification.simulator import Setup
    from simreal.identification.unknowns import read_asked

    asked = [read_asked(name) for name in _names(parameters)]
    if rate < 2.0 * highest:
        raise UserError(
            f"--rate {rate:g}: too slow for sines of {highest:g} Hz: at least {2.0 * highest:g} Hz, "
            "or a lower --highest"
        )
    setup = Setup(find_robot(robot), fixed_base)
    refuse_taken(output, "-o")
    with progress(1 + GENERATIONS, "rounds") as show:

        def tell(text: str, done: int) -> None:
            if done == 0:  # nothing is known of how long it takes before the first round
                errors.print(text, soft_wrap=True)
            else:
                show(text, done)

        found = design_excitation(setup, asked, duration, rate, highest, tell)
    write_excitation(output, found.excitation)
    for joint in setup.robot.description.joints:
        excursion, speed = found.reach[joint.name]
        furthest = f"{excursion:.3g} {joint.unit} and {speed:.3g} {joint.unit}/s from zero"
        console.print(f"{joint.name}: at most {furthest}, in simulation")
    console.print(
        f"written: {output}, {found.excitation.duration:g} s; deviations of {len(found.names)} unknowns "
        f"{found.gain:.2f} times smaller than with all frequencies alike",
        soft_wrap=True,
    )


def _hold_against(contract: "Contract", name: str, identified: Path) -> None:
    from simreal.adapt.outside_trained import outside_trained
    from simreal.randomization.posterior import read_posterior

    remarks = outside_trained(read_posterior(identified), contract)
    for remark in remarks:
        errors.print(remark, style="yellow", soft_wrap=True)
    if not remarks:
        console.print(f"{name}: was trained for robots like this one")
