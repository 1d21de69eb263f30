"""The figures that simreal claims, each measured by a command of `simreal bench`.

A file per subject returns numbers, which `simreal.cli.bench` prints; `timing` holds what they share;
`lint_faults` and `log_faults` are faults to be planted and found.
"""
