"""What is said of identified robots that cover less than they are to of what was held out."""

import math
from pathlib import Path

from simreal.cli_types import errors


def warn_of_coverage(file: Path, coverage: float | None, flown: str) -> None:
    """Say how much is covered, where that is too little, and what may mend it.

    Args:
        file: of the identified robots.
        coverage: of what was held out, if known.
        flown: what only flights on the robot tell then.
    """
    from simreal.randomization.posterior import BAND, is_uncovered

    if coverage is None or coverage >= BAND:
        return
    no_better = (
        ". Policies that were trained among robots that cover no more than half were no better on the "
        "real one than before"
    )
    errors.print(
        # Rounded down: 89.7 % is not 90.
        f"{file} covers {math.floor(100 * coverage)} % of what was held out, where it is to cover "
        f"{100 * BAND:.0f} %: the robot may have something that none of its parameters describes, or "
        f"differ by day. simreal identify may find it with more --parameters; until then only flights "
        f"{flown}{no_better if is_uncovered(coverage) else ''}",
        style="yellow",
        soft_wrap=True,
    )
