"""Writes a robot's README: where it comes from, what was settled, and what is doubtful."""

from pathlib import Path

from simreal.lint.finding import Finding


def readme(name: str, source: Path, findings: list[Finding], notes: list[str]) -> str:
    """The text of a README.

    Args:
        name: of the robot.
        source: the model that it was made from.
        findings: of the audit of that model.
        notes: what was settled in the copy.
    """
    lines = [
        f"# {name}",
        "",
        f"Made by `simreal robot add` from the model `{source.name}` in the folder",
        f"`{source.parent.name}`, the source of every number that is not listed here.",
        "`simreal robot check " + name + "` audits it again.",
        "",
        "## Settled in this copy",
        "",
        *(f"- {note}" for note in notes),
        "",
        "## Found in the source",
        "",
        *(
            f"- {each.severity}, {Path(each.where).name}: {each.what}. Mend: {each.mend}"
            for each in findings
        ),
        *([] if findings else ["Nothing."]),
        "",
    ]
    return "\n".join(lines)
