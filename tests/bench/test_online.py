"""The comparison of policies that find out their world: its targets, its intervals, and one tiny run."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import simreal.bench.online as module
from simreal.bench.online import beyond_ranges, compare_online, interquartile
from simreal.experiment import load_experiment

torch.set_num_threads(1)


def test_targets_lie_beyond_the_ranges_in_the_columns_named_and_nowhere_else() -> None:
    experiment = load_experiment("qube_swingup")
    target = beyond_ranges(experiment, 64)
    ranges = module.make_environment(experiment, 1, threads=1).randomizer.trained_ranges()
    for column, each in enumerate(ranges):
        values = target.draws[:, column]
        outside = (values < each.low) | (values > each.high)
        assert outside.all() if each.name in target.bands else not outside.any(), each.name
    latency = next(place for place, each in enumerate(ranges) if each.name.startswith("action_latency"))
    assert target.draws[:, latency].min() >= 18.0 and target.draws[:, latency].max() <= 21.0
    assert {name.partition("[")[0] for name in target.bands} == set(module.TARGET)


def test_the_interquartile_mean_leaves_out_the_ends() -> None:
    found = interquartile(np.array([0.0, 0.5, 0.6, 0.7, 100.0]))
    assert found["value"] == pytest.approx(0.6)
    assert found["low"] is not None and found["high"] is not None
    assert found["low"] <= 0.6 <= found["high"]
    assert interquartile(np.array([0.3])) == {"value": 0.3, "low": None, "high": None}


@pytest.mark.long
def test_a_comparison_trains_judges_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("ppo.simulations=8", "ppo.rollout_steps=16", "ppo.hidden_layers=[8]", "episode_length=0.3")
    tiny = {"plain": ("", small), "rma": ("", (*small, "adaptation=rma"))}
    monkeypatch.setattr(module, "ARMS", tiny)
    monkeypatch.setattr(module, "TARGET", ("action_latency_ms",))
    told: list[str] = []
    found = compare_online(tmp_path, "qube_swingup", ["plain", "rma"], [0, 1], 256, 16, told.append)
    assert len(told) == len(found["runs"]) == 4
    assert {each["steps"] for each in found["runs"]} == {256}
    assert set(found["arms"]) == {"plain", "rma"}
    assert json.loads((tmp_path / "results.json").read_text()) == json.loads(json.dumps(found))
    stamps = [path.stat().st_mtime_ns for path in tmp_path.glob("*/checkpoints/*")]
    again = compare_online(tmp_path, "qube_swingup", ["plain", "rma"], [0, 1], 256, 16, told.append)
    assert again == found
    assert [path.stat().st_mtime_ns for path in tmp_path.glob("*/checkpoints/*")] == stamps
