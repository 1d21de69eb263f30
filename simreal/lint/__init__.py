"""Finds faults in experiments and robot models before a training meets them, with line and mend."""

from simreal.lint.finding import Finding
from simreal.lint.linter import lint, lint_experiment

__all__ = ["Finding", "lint", "lint_experiment"]
