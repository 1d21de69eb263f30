"""Names of drawn values: ``mass`` of a whole robot, ``mass[arm]`` of one part of it."""


def split_column(name: str) -> tuple[str, str]:
    """The parameter, or entry, and the part; the part is empty if there is none."""
    parameter, _, part = name.partition("[")
    return parameter, part.removesuffix("]")


def parameter_of(name: str) -> str:
    """The parameter, or entry, whatever the part."""
    return split_column(name)[0]


def axis_label(name: str, operation: str, unit: str) -> str:
    """A column of the randomization with what its values are in, for the axis of a picture."""
    return f"{name} ({'x nominal' if operation == 'scale' else unit})".removesuffix(" (1)")
