"""The posterior file: what identification found and training draws from.

Samples rather than ranges: parameters that a log cannot tell apart (a heavier arm, a stronger motor)
leave a narrow, tilted cloud, and only whole rows of it fit the robot.

    format: simreal-posterior
    version: 1
    robot: qube
    parameters:
    - {name: 'mass[arm]', unit: '1', operation: scale, low: 0.5, high: 2.0}
    - {name: action_latency_ms, unit: ms, operation: absolute, low: 0.0, high: 30.0}
    samples:
    - [1.08, 11.2]
    - [1.11, 12.9]
    weights: [0.4, 0.6]
    coverage: 0.93
    sources:
    - {file: a.mcap, sha256: 9f86d0...}
    provenance: simreal identify, 72 windows of 1 s
"""

import sys
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeGuard, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from simreal.config import Config, Document, parse, read_document
from simreal.errors import UserError, nearest
from simreal.files import digest, write_text

FORMAT: Final = "simreal-posterior"
VERSION: Final = 1
BAND = 0.9
"""Share of measurements that the samples' predictions are to cover."""
COVERED, NOT_COVERED = 0.85, 0.5
"""Of what was held out, where identified robots count in full, and where they are no robots like it."""


def is_uncovered(coverage: float | None) -> TypeGuard[float]:
    """Whether identified robots are none like the real one: they cover `NOT_COVERED`, or less.

    Where nobody knows what they cover, they are taken for robots like it.
    """
    return coverage is not None and coverage <= NOT_COVERED


SizedT = TypeVar("SizedT", bound=Sized)


def some(items: SizedT) -> SizedT:
    """Refuse an empty list. Pydantic's min_length would also complain where each item has a fault."""
    if not len(items):
        raise ValueError("needs at least one")
    return items


class PosteriorParameter(Config):
    """An identified quantity and the bounds that it was sought within, which every sample keeps."""

    name: str = Field(min_length=1)
    """As the randomizer names its columns: ``mass[arm]``, ``action_latency_ms``."""
    unit: str
    operation: Literal["absolute", "scale", "add"]
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self


class Source(Config):
    """A log that something was learned from."""

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def sources_of(logs: Sequence[Path]) -> tuple[Source, ...]:
    """Logs by name and SHA-256."""
    return tuple(Source(file=path.name, sha256=digest(path)) for path in logs)


def refuse_twice(paths: Sequence[Path], sources: Sequence[Source], why: str) -> None:
    """A log counts once.

    Args:
        paths: of the logs.
        sources: what they are, in the same order.
        why: a second time does harm.

    Raises:
        UserError: two logs of the same content.
    """
    known: dict[str, Path] = {}
    for path, source in zip(paths, sources, strict=True):
        if source.sha256 in known:
            raise UserError(
                f"{path}: the same content as {known[source.sha256]}, and {why}: give it once"
            )
        known[source.sha256] = path


def _row_fits(row: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
    """Check one sample against the parameters; here, so that the error names its line."""
    parameters: tuple[PosteriorParameter, ...] = info.data.get("parameters", ())
    if not parameters:  # they are at fault themselves, and have been reported
        return row
    if len(row) != len(parameters):
        raise ValueError(f"{len(row)} numbers for {len(parameters)} parameters")
    for value, parameter in zip(row, parameters, strict=True):
        if not parameter.low <= value <= parameter.high:
            raise ValueError(
                f"{parameter.name} is {value:g}, outside {parameter.low:g} to {parameter.high:g}"
            )
    return row


Row = Annotated[tuple[float, ...], AfterValidator(_row_fits)]


class Posterior(Config):
    """Samples of identified parameters, as likely as their weights."""

    format: Literal["simreal-posterior"] = FORMAT
    version: Literal[1] = VERSION
    robot: str
    parameters: Annotated[tuple[PosteriorParameter, ...], AfterValidator(some)]
    samples: Annotated[tuple[Row, ...], AfterValidator(some)]
    """One row per sample, one number per parameter in their order."""
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    """One per sample; their scale does not matter. All alike if absent."""
    coverage: float | None = Field(default=None, ge=0, le=1)
    """Share of held-out measurements that the samples cover, of the joint that is covered least, where
    they are to cover `BAND`; None where nobody knows."""
    sources: tuple[Source, ...] = ()
    provenance: str = ""
    """How the samples were made, for people."""

    @field_validator("parameters")
    @classmethod
    def _names_differ(cls, parameters: tuple[PosteriorParameter, ...]) -> Any:
        names = [parameter.name for parameter in parameters]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} stands here twice")
        return parameters

    @field_validator("weights")
    @classmethod
    def _weights_fit(cls, weights: tuple[float, ...] | None, info: ValidationInfo) -> Any:
        samples = info.data.get("samples")
        if weights is None or samples is None:
            return weights
        if len(weights) != len(samples):
            raise ValueError(f"{len(weights)} weights for {len(samples)} samples")
        if not any(weights):
            raise ValueError("all are zero")
        return weights

    @property
    def names(self) -> list[str]:
        """Names of the parameters, in the order of a row."""
        return [parameter.name for parameter in self.parameters]

    def column(self, name: str) -> int:
        """Place of a parameter in a row.

        Raises:
            UserError: no parameter has this name.
        """
        if name not in self.names:
            raise UserError(f"no column {name!r}: {nearest(name, self.names)}")
        return self.names.index(name)

    def weighted_samples(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The samples that can be drawn, (n, parameters), and their weights, (n,), all above zero."""
        samples = np.array(self.samples)
        weights = np.ones(len(samples)) if self.weights is None else np.array(self.weights)
        return samples[weights > 0], weights[weights > 0]


def read_posterior(path: Path) -> Posterior:
    """Read a posterior file. One that has not changed since is not read again.

    Raises:
        UserError: no such file, or one with faults, each with its line.
    """
    try:
        state = path.stat()
    except FileNotFoundError:
        within = "" if path.is_absolute() else f" (relative paths start at {Path.cwd()})"
        raise UserError(f"{path}: no such file{within}") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    return _read(path, (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=16)
def _read(path: Path, _state: tuple[int, ...]) -> Posterior:
    document = read_document(path)
    _check_kind(document)
    return parse(Posterior, document.data, document)


def _check_kind(document: Document) -> None:
    """Refuse another kind of file with one message, instead of one for each of its keys."""
    if document.data.get("format") != FORMAT:
        raise UserError(f"{document.source}: not a posterior file: 'format: {FORMAT}' is missing")
    if document.data.get("version") != VERSION:
        raise UserError(
            f"{document.where(('version',))}: version {document.data.get('version')} of the format, "
            f"this simreal reads version {VERSION}"
        )


def write_posterior(path: Path, posterior: Posterior) -> None:
    """Write a posterior file, whole or not at all, one line per sample and every bit of it.

    Raises:
        UserError: the disk or the folder refuses.
    """
    data = posterior.model_dump(mode="json", exclude_none=True)
    # default_flow_style=None: what holds only plain values goes on one line.
    write_text(
        path,
        yaml.dump(data, Dumper=_Dumper, default_flow_style=None, sort_keys=False, width=sys.maxsize),
    )


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes a text such as ``1e5``, which `Document` would read as a number."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        try:
            float(text)
        except ValueError:
            return self.represent_str(text)
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="'")


_Dumper.add_representer(str, _Dumper.represent_text)


@contextmanager
def as_fault() -> Iterator[None]:
    """Raise a `UserError` as the ValueError that pydantic reports with its place in a configuration."""
    try:
        yield
    except UserError as error:
        raise ValueError(str(error)) from None
