"""Experiments that ship with simreal, as YAML."""
