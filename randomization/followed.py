"""What an experiment randomizes and its engine cannot follow: refused by name, with a mend."""

from collections.abc import Iterable, Sequence

from simreal.errors import UserError
from simreal.randomization.randomizer import DrawnPart, Randomizer


def refuse_not_followed(randomizer: Randomizer, engine: str) -> None:
    """Raise one `UserError` that names all entries which the engine of a world does nothing with."""
    found = randomizer.not_followed()
    if found:
        raise UserError(refusal(randomizer, found, engine))


def refusal(randomizer: Randomizer, parts: Iterable[DrawnPart], engine: str) -> str:
    """One line for each part, with the pins that would do."""
    lines = []
    for part in parts:
        pins = ", ".join(f"{name}={value:g}" for name, value in _shortest_pins(randomizer, part).items())
        what = f"{part.parameter.name} ({part.parameter.description})"
        lines.append(f"  randomization.{part.entry}: {what}; pin {pins}")
    return f"engine {engine} cannot follow, unlike mujoco:\n" + "\n".join(lines)


def nominal_pins(randomizer: Randomizer, parts: Sequence[DrawnPart]) -> dict[str, float]:
    """Every column of some parts, and the value that means "as in the model"."""
    return {
        name: float(value)
        for part in parts
        for name, value in zip(randomizer.columns[part.columns], part.nominal, strict=True)
    }


def _shortest_pins(randomizer: Randomizer, part: DrawnPart) -> dict[str, float]:
    """The entry's name stands for all of its columns where one value does."""
    pins = nominal_pins(randomizer, [part])
    if len(set(pins.values())) == 1 and not part.config.is_joint:
        return {part.entry: next(iter(pins.values()))}
    return pins
