"""The report of what an estimator finds out: R² of latents whose truth is known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from simreal.adapt import latent as module
from simreal.adapt.latent import _parameter_rows, latent_report
from simreal.cli.main import cli
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.run import Run
from simreal.train import load_agent, start_run, train

torch.set_num_threads(1)

TINY = (
    "adaptation=rma",
    "ppo.simulations=16",
    "ppo.rollout_steps=16",
    "ppo.batch_size=64",
    "ppo.hidden_layers=[16]",
    "rma.history=10",
    "rma.channels=8",
    "rma.latent=2",
    "episode_length=0.6",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = start_run(
        load_experiment("qube_swingup", [*TINY, "train.total_steps=2048"]),
        0,
        tmp_path_factory.mktemp("rma") / "run",
    )
    train(made)
    return made


def test_the_report_says_what_the_estimator_is_worth(run: Run) -> None:
    report = latent_report(run, 64)
    assert report.episodes == len(report.with_estimate) == len(report.with_truth) == 64
    assert sum(each.share for each in report.entries) == pytest.approx(1.0)
    weighted = sum(each.share * each.estimated for each in report.entries)
    assert report.explained == pytest.approx(weighted)
    assert report.explained < 1.0
    # An encoder that was hardly trained is nearly linear: parameters share out its variance.
    assert 0.5 < sum(each.share for each in report.parameters) < 1.5
    assert [e.seed for e in report.with_estimate] == [e.seed for e in report.with_truth]
    assert [e.draw for e in report.with_estimate] == [e.draw for e in report.with_truth]


def test_an_estimator_that_is_right_explains_everything(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module._with_estimates

    def right(*given: object) -> tuple[object, ...]:
        _, truth, *rest = real(*given)  # type: ignore[arg-type]
        return truth, truth, *rest

    monkeypatch.setattr(module, "_with_estimates", right)
    report = latent_report(run, 64)
    assert report.explained == pytest.approx(1.0)
    for each in report.parameters:
        assert each.estimated == pytest.approx(each.encoded)
    assert report.by_time.min() == pytest.approx(1.0)


def test_parameters_are_read_off_a_latent_by_what_is_in_it() -> None:
    """Mass makes nine tenths of the latent's variance, friction the rest, of which nothing is known."""
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((400, 3))
    truth = np.stack([3.0 * draws[:, 0], draws[:, 1]], axis=1)
    estimates = np.repeat(truth[None], 5, axis=0)
    estimates[..., 1] = rng.standard_normal((5, 400))
    known = np.ones((5, 400), dtype=bool)
    rows = {each.name: each for each in _parameter_rows(("m", "f", "x"), draws, truth, estimates, known)}
    assert list(rows) == ["m", "f", "x"]
    assert rows["m"].share == pytest.approx(0.9, abs=0.03)
    assert rows["f"].share == pytest.approx(0.1, abs=0.03)
    assert rows["m"].encoded > 0.99 and rows["m"].estimated > 0.99
    assert rows["f"].encoded > 0.99 and rows["f"].estimated < 0.1
    assert rows["x"].encoded < 0.1


def test_a_run_that_does_not_adapt_is_refused(tmp_path: Path) -> None:
    plain = start_run(load_experiment("qube_swingup"), 0, tmp_path / "run")
    with pytest.raises(UserError, match="train it with -o adaptation=rma"):
        latent_report(plain)


def test_the_command_prints_tables_or_numbers_and_writes_a_page(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    shown = CliRunner().invoke(cli, ["latent", str(run.path), "--episodes", "32", "--report", str(page)])
    assert shown.exit_code == 0, shown.output
    assert "latent[1]" in shown.output and "mass" in shown.output
    assert "<svg" in page.read_text("utf-8")
    numbers = CliRunner().invoke(cli, ["latent", str(run.path), "--episodes", "32", "--json"])
    found = json.loads(numbers.output)
    names = {each["name"] for each in found["parameters"]}
    assert names and names <= set(load_agent(run)[1].randomizer.columns)
    assert 0.0 <= found["with_truth"]["success"]["value"] <= 1.0
