"""Torques beyond the model: what they do to the motion, and the file that they come from."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.make_environment import make_environment
from simreal.randomization.posterior import Source
from simreal.randomization.residual import read_residual, write_residual
from tests.constant_residual import FEATURES, constant_residual


def environment(path: Path | None, *overrides: str, count: int = 2) -> BatchEnv:
    given = ["randomization={}", *overrides]
    if path is not None:
        given.append(f"residual={{file: {path}, penalty: 0.5}}")
    env = make_environment(load_experiment("qube_swingup", given), count, threads=1)
    assert isinstance(env, BatchEnv)
    env.reset(seed=0)
    return env


def pushed(env: BatchEnv, steps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Positions after some steps under one voltage, and the rewards on the way."""
    rewards = [env.step(np.full((env.count, 1), 0.1)).reward for _ in range(steps)]
    return env.physics.joint_position.copy(), np.array(rewards)


def test_a_constant_residual_is_a_torque_offset(tmp_path: Path) -> None:
    write_residual(tmp_path / "r.npz", constant_residual(0.004))
    offset = "randomization.torque_offset={distribution: {type: constant, value: 0.004}}"
    with_residual, _ = pushed(environment(tmp_path / "r.npz"))
    with_offset, _ = pushed(environment(None, offset))
    without, _ = pushed(environment(None))
    assert np.allclose(with_residual, with_offset, atol=1e-6)
    assert np.abs(with_residual - without).max() > 0.02


def test_its_strength_is_a_parameter_like_any_other(tmp_path: Path) -> None:
    write_residual(tmp_path / "r.npz", constant_residual(0.004))
    constant = "randomization.residual_strength={distribution: {type: constant, value: 0.0}}"
    off, _ = pushed(environment(tmp_path / "r.npz", constant))
    without, _ = pushed(environment(None))
    assert np.array_equal(off, without)
    uniform = "randomization.residual_strength={distribution: {type: uniform, low: 0.0, high: 1.0}}"
    env = environment(tmp_path / "r.npz", uniform, count=4)
    assert env.randomizer.columns == ["residual_strength[arm]"]
    assert len(np.unique(pushed(env)[0][:, 0])) == 4


def test_a_robot_without_one_has_no_strength() -> None:
    constant = "randomization.residual_strength={distribution: {type: constant, value: 0.0}}"
    with pytest.raises(UserError, match="has nothing that residual_strength acts on"):
        environment(None, constant)


def test_disagreement_costs_reward(tmp_path: Path) -> None:
    write_residual(tmp_path / "one.npz", constant_residual())
    write_residual(tmp_path / "many.npz", constant_residual(spread=0.3))
    sure, unsure = (pushed(environment(tmp_path / f"{name}.npz"), 1)[1] for name in ("one", "many"))
    disagreement = np.std([-0.3, 0.0, 0.3])
    assert sure - unsure == pytest.approx(np.full_like(sure, 0.5 * disagreement))


def test_torque_keeps_its_limit_wherever_the_robot_is() -> None:
    wild = replace(constant_residual(), weights=((np.full((3, FEATURES, 1), 9.0), np.zeros((3, 1))),))
    seen = np.random.default_rng(0).standard_normal((50, FEATURES)) * 100.0
    torque, _ = wild.torque(seen)
    assert np.abs(torque).max() <= 0.05


@settings(max_examples=25)
@given(st.integers(1, 6), st.integers(1, 9), st.floats(0.001, 0.1))
def test_a_file_gives_back_every_bit(
    tmp_path_factory: pytest.TempPathFactory, members: int, width: int, period: float
) -> None:
    random = np.random.default_rng(width)
    layers = (
        (random.standard_normal((members, FEATURES, width)), random.standard_normal((members, width))),
        (random.standard_normal((members, width, 1)), random.standard_normal((members, 1))),
    )
    log = Source(file="a.mcap", sha256="0" * 64)
    constant = constant_residual(period=period)
    given_model = replace(constant, weights=layers, provenance="ä", sources=(log,))
    path = tmp_path_factory.mktemp("r") / "r.npz"
    write_residual(path, given_model)
    found = read_residual(path)
    seen = random.standard_normal((4, FEATURES))
    assert np.array_equal(found.members(seen), given_model.members(seen))
    assert (found.period, found.provenance, found.joints) == (period, "ä", ("arm", "pendulum"))
    assert found.sources == (log,)


def test_other_files_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_residual(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UserError, match="expected what simreal fit-actuator writes"):
        read_residual(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", header=np.array(json.dumps({"format": "x"})))
    with pytest.raises(UserError, match="not a residual model"):
        read_residual(tmp_path / "other.npz")
    np.savez(tmp_path / "pickle.npz", header=np.array([{"format": "x"}], dtype=object))
    with pytest.raises(UserError, match="expected what simreal fit-actuator writes"):
        read_residual(tmp_path / "pickle.npz")
    np.savez(tmp_path / "list.npz", header=np.array("[]"))
    with pytest.raises(UserError, match="expected what simreal fit-actuator writes"):
        read_residual(tmp_path / "list.npz")
    for change in (
        {"mean": np.zeros(3)},
        {"strength": np.nan},
        {"period": np.nan},
        {"history": 10**12},
        {"driven": np.array([7])},
    ):
        write_residual(tmp_path / "bad.npz", replace(constant_residual(), **change))
        with pytest.raises(UserError, match="do not fit together"):
            read_residual(tmp_path / "bad.npz")


def test_another_robot_and_another_rate_are_refused(tmp_path: Path) -> None:
    write_residual(tmp_path / "rate.npz", constant_residual(period=0.02))
    with pytest.raises(UserError, match="fit-actuator --rate 100"):
        environment(tmp_path / "rate.npz")
    write_residual(tmp_path / "robot.npz", replace(constant_residual(), robot="go2"))
    with pytest.raises(UserError, match="of robot go2, not of qube"):
        environment(tmp_path / "robot.npz")
