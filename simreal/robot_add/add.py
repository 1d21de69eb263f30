"""The verbs: audit a model and write a robot's folder from it, and audit a robot again."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from simreal.errors import UserError
from simreal.lint.finding import Finding, sorted_findings
from simreal.lint.model_checks import check_file, check_model, described_posture
from simreal.lint.model_file import ModelFile, read_model
from simreal.lint.robot_checks import check_robot_file
from simreal.physics.model import compile_model
from simreal.robot_add.assets import missing_assets, without_missing
from simreal.robot_add.checks import check_subject
from simreal.robot_add.describe import robot_yaml
from simreal.robot_add.first_experiment import experiment_yaml, task_of
from simreal.robot_add.naming import refuse_name
from simreal.robot_add.own_model import OwnModel, write_own_model
from simreal.robot_add.posture import default_posture
from simreal.robot_add.readme import readme
from simreal.robot_add.safety import Safety
from simreal.robot_add.source import Source, open_source
from simreal.robot_add.subject import make_subject
from simreal.robot_add.urdf import Base, JointLimits, read_urdf
from simreal.robot_add.written import not_written, write_sums
from simreal.robots import load_robot
from simreal.robots.loader import DESCRIPTION, own_folder, read_robot


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a model.

    Attributes:
        folder: of the robot; None if errors were in the way, and nothing was written.
        experiment: name of its first experiment.
        findings: of the audit, errors first; places are those of the model that was given.
        notes: what was settled in the copy, for people.
    """

    folder: Path | None
    experiment: str
    findings: list[Finding]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Read:
    """A model as far as it can be read."""

    file: ModelFile | None
    findings: list[Finding]
    limits: Mapping[str, JointLimits]
    mimics: tuple[str, ...] = ()
    massless: tuple[str, ...] = ()


def add_robot(path: Path, name: str, base: Base | None = None, replace: bool = False) -> Added:
    """Audit a model, and write a robot's folder unless there are errors.

    Args:
        path: an MJCF or a URDF.
        name: of the robot: lower-case letters, digits and underscores.
        base: whether a URDF's root is free or fixed; by the shape of its tree if absent.
        replace: whether a robot of that name that was added before may go.

    Raises:
        UserError: a name that is none or is taken, a file that is no model, or a robot to replace in
            whose folder something is somebody's own.
    """
    refuse_name(name, replace)
    source = open_source(path)
    if base is not None and source.kind == "mjcf":
        raise UserError(
            f"{path}: --base is for URDF; an MJCF says itself: <freejoint/> in the body of its base"
        )
    with tempfile.TemporaryDirectory(prefix="simreal-") as scratch:
        read = _read_urdf(source, Path(scratch), base) if source.kind == "urdf" else _read_mjcf(source)
        findings = sorted_findings([*read.findings, *_audit(read)])
        faulty = any(each.severity == "error" for each in findings)
        if faulty or read.file is None or read.file.compiled is None:
            return Added(None, "", findings, [])
        return _write(source, read, read.file, name, findings, replace)


def check_robot(name: str) -> list[Finding]:
    """Audit a robot as it stands in its folder, its `robot.yaml` included.

    Raises:
        UserError: no such robot, or a `robot.yaml` that cannot be read.
    """
    robot = load_robot(name)
    file, findings = read_model(robot.model_path)
    findings += check_robot_file(robot)
    if file is None:
        return sorted_findings(findings)
    findings += [*missing_assets(file), *check_model(file, robot.description)]
    if file.compiled is None:
        return sorted_findings(findings)
    qpos = described_posture(file.compiled, robot.description)
    subject = make_subject(file, file.compiled, qpos, described=robot.description.joints)
    return sorted_findings([*findings, *check_subject(subject)])


def _read_mjcf(source: Source) -> _Read:
    file, unusable = read_model(source.path)
    if file is None:
        return _Read(None, unusable, {})
    missing = list(missing_assets(file))
    if missing:  # the rest is told in the same round, as far as it can be
        return _Read(without_missing(file) or file, missing, {})
    return _Read(file, unusable, {})


def _read_urdf(source: Source, scratch: Path, base: Base | None) -> _Read:
    urdf, findings = read_urdf(source, scratch, base)
    if urdf is None:
        return _Read(None, findings, {})
    return _Read(urdf.file, findings, urdf.limits, urdf.mimics, urdf.massless)


def _audit(read: _Read) -> list[Finding]:
    if read.file is None:
        return []
    found = list(check_file(read.file))
    if read.file.compiled is None:
        return found
    posture = default_posture(read.file.compiled)
    known = posture.qpos, posture.source, read.limits, read.massless, read.mimics
    return [*found, *check_subject(make_subject(read.file, read.file.compiled, *known))]


def _write(
    source: Source, read: _Read, file: ModelFile, name: str, findings: list[Finding], replace: bool
) -> Added:
    """Make the whole folder elsewhere, and give it its name last."""
    target = own_folder() / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target.parent)) / name
    except OSError as error:
        raise UserError(f"{target.parent}: cannot be written: {error.strerror}") from None
    try:
        staging.mkdir()
        own = write_own_model(file.spec, staging, name, read.limits, read.mimics)
        safety = Safety(own.model, read.limits, own.estimated, own.imu is not None)
        _describe(staging, name, own, read.limits, safety)
        notes = [*own.notes, *safety.notes(), *_copy_licence(source.path.parent, staging)]
        (staging / "README.md").write_text(readme(name, source.path, findings, notes), encoding="utf-8")
        write_sums(staging)
        staging.chmod(0o755)
        if replace and target.exists():
            _refuse_somebodys(target)
            target.rename(staging.parent / "before")  # which goes with its folder
        if target.exists():
            raise UserError(f"{target}: exists already; nothing was written")
        staging.rename(target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(staging.parent, ignore_errors=True)
    return Added(target, f"{name}_{task_of(own.model)}", findings, notes)


def _refuse_somebodys(folder: Path) -> None:
    """What a user wrote or changed is not thrown away."""
    own = not_written(folder)
    if own:
        raise UserError(
            f"{folder}: {', '.join(own[:5])}{', ...' * (len(own) > 5)}: not as `robot add` wrote it, "
            "so the folder is not replaced; move it away, or choose another name"
        )


def _describe(
    folder: Path, name: str, own: OwnModel, limits: Mapping[str, JointLimits], safety: Safety
) -> None:
    """Write `robot.yaml` and a first experiment, and read the robot back as everybody will."""
    imu = None if own.imu is None else own.imu.sensors
    text = robot_yaml(name, own.model, own.default_position, limits, imu, safety)
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")
    robot = read_robot(folder)
    model = compile_model(robot)
    experiment = experiment_yaml(robot.config, model)
    (folder / f"{name}_{task_of(model)}.yaml").write_text(experiment, encoding="utf-8")


def _copy_licence(source: Path, folder: Path) -> list[str]:
    """Most models are somebody's, and their terms go where the model goes."""
    found = sorted(each for each in source.glob("LICEN[CS]E*") if each.is_file())[:3]
    for each in found:
        shutil.copyfile(each, folder / each.name)
    return [f"licence: {', '.join(each.name for each in found)}"] if found else []
