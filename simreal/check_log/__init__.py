"""Checks of robot logs: what is wrong with a recording, before anything is learned from it.

Each check is a pure function of a `Subject` that returns one `Finding`; its thresholds stand above it.
"""
