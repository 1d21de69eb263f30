"""`simreal demo`: the whole loop on the Qube, once, with a report at the end."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from simreal.deploy.drivers import open_driver
from simreal.deploy.loop import deploy
from simreal.deploy.outcome import Outcome
from simreal.deploy.policy import load_policy
from simreal.evaluate import (
    Evaluation,
    axis_labels,
    evaluate,
    load_candidate,
    summary_rows,
)
from simreal.evaluation_page import add_evaluation
from simreal.experiment import load_experiment
from simreal.export import Exported, export
from simreal.figure import wire_figure
from simreal.goal_in_log import goal_share_of_log
from simreal.logs.messages import LogMessages, read_messages
from simreal.physics.model import compile_model
from simreal.report import Page, line_chart
from simreal.robots import load_robot
from simreal.run import Run
from simreal.train import start_run, train

EXPERIMENT = "qube_swingup"
EPISODES = 200
DRIVER = "sim:mass=1.1,motor_strength=0.9,action_latency_ms=8,sensor_latency_ms=4"
"""A robot that is not the nominal one."""
FLIGHT_SECONDS = 15.0
FRAME_RATE = 25

ProgressBar = Callable[[int], AbstractContextManager[Callable[[Any], None]]]


def run_demo(folder: Path, seed: int, console: Console, progress: ProgressBar) -> Path:
    """Train, evaluate, export, deploy, report; the path of the report."""
    began = time.monotonic()
    folder = _free_folder(folder)

    def say(text: str) -> None:
        console.print(f"[{time.monotonic() - began:3.0f} s] {text}", soft_wrap=True)

    experiment = load_experiment(EXPERIMENT)
    say(f"1/5 train {EXPERIMENT} with {experiment.agent}: every episode another robot")
    run = start_run(experiment, seed, folder / "run")
    with progress(experiment.total_steps) as show:
        if not train(run, listen=show):
            say(f"interrupted; go on with: {run.command_to_go_on}")
            raise KeyboardInterrupt
    say(f"2/5 evaluate over {EPISODES} randomized robots")
    evaluation = evaluate(load_candidate(run.path), EPISODES)
    say("    " + ", ".join(f"{name} {value}" for name, value in summary_rows(evaluation.summary)[:3]))
    say("3/5 export to one ONNX file")
    exported = export(run, folder / "policy.onnx")
    say(f"    graph and agent differ by at most {exported.parity:.1e}")
    say(f"4/5 deploy for {FLIGHT_SECONDS:g} s in real time on {DRIVER}")
    log_path = folder / "flight.mcap"
    policy = load_policy(exported.path)
    driver = open_driver(DRIVER, policy.contract.robot.name, policy.contract.provenance.task)
    outcome = deploy(policy, driver, FLIGHT_SECONDS, log_path)
    log = read_messages(log_path)
    planned = round(FLIGHT_SECONDS * policy.contract.control_rate)
    stood = goal_share_of_log(log, experiment.task, planned)
    say(
        f"    {outcome.overruns} overruns of {outcome.cycles} cycles; the pole stood "
        f"{100 * stood:.0f} % of the second half"
    )
    if outcome.fault is not None:
        say(f"    the flight ended early by a fault: {outcome.fault}")
    say("5/5 report")
    report = folder / "report.html"
    _report(run, evaluation, exported, outcome, log, stood, time.monotonic() - began).write(report)
    say("done")
    console.print(f"\nreport: {report}\n\nnext:\n" + _next_commands(folder), soft_wrap=True)
    return report


def _free_folder(folder: Path) -> Path:
    """The folder, or the first numbered one beside it that is free: an old demo is kept."""
    number, candidate = 1, folder
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _next_commands(folder: Path) -> str:
    policy = folder / "policy.onnx"
    return (
        f"  simreal inspect {policy}\n"
        f"  simreal evaluate {policy} --vary mass=0.5:1.5:5 --report sweep.html\n"
        f"  simreal deploy {policy} --driver sim:mass=1.3,action_latency_ms=12 --log flight.mcap\n"
        "  simreal train qube_swingup -o agent=sac\n"
        "  simreal list"
    )


def _report(
    run: Run,
    evaluation: Evaluation,
    exported: Exported,
    outcome: Outcome,
    log: LogMessages,
    stood: float,
    seconds: float,
) -> Page:
    page = Page("simreal demo: Qube swing-up, from simulation to (emulated) hardware")
    page.text(
        f"Made in {seconds:.0f} s by `simreal demo`. The robot of the deployment runs in a "
        f"process of its own, in real time: {DRIVER}."
    )
    _add_flight(page, outcome, log, stood)
    page.heading("Training")
    metrics = np.genfromtxt(run.metrics, delimiter=",", names=True)
    steps = np.atleast_1d(metrics["step"]) / 1e6
    page.picture(
        line_chart(
            {"success": (steps, np.atleast_1d(metrics["success"]))},
            "million environment steps",
            "success of recent episodes",
        )
    )
    add_evaluation(page, evaluation, axis_labels(run.experiment()))
    page.heading("Export")
    page.text(
        f"{exported.path.name}: graph and agent differ by at most {exported.parity:.1e} over "
        f"{exported.observations} observations."
    )
    page.heading("Next")
    page.code(_next_commands(exported.path.parent))
    return page


def _add_flight(page: Page, outcome: Outcome, log: LogMessages, stood: float) -> None:
    page.heading("Deployment")
    if outcome.fault is not None:
        page.text(f"Ended early by a fault: {outcome.fault}")
    page.text(
        f"The pole stood {100 * stood:.0f} % of the second half. {outcome.cycles} cycles, "
        f"{outcome.overruns} overruns. What the encoders saw (drag to turn):"
    )
    position = log.array("/state", "joint_position")
    model = compile_model(load_robot("qube"))
    every = max(1, round(100 / FRAME_RATE))
    page.motion(wire_figure(model, position[::every]), FRAME_RATE)
    seconds = 1e-9 * (np.array(log.times["/state"]) - log.times["/state"][0])
    page.picture(
        line_chart({"arm": (seconds, position[:, 0]), "pendulum": (seconds, position[:, 1])}, "s", "rad")
    )
    command = log.array("/command")
    if len(command):
        page.picture(line_chart({"motor": (seconds[: len(command)], command[:, 0])}, "s", "V"))
    page.table(
        ("ms", "p50", "p90", "p99", "max"),
        [
            (name, *(f"{row[key]:.3f}" for key in ("p50_ms", "p90_ms", "p99_ms", "max_ms")))
            for name, row in outcome.timing.items()
        ],
    )
