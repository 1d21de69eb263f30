"""Emulated servos on a serial bus: memory and motor of one, the wire of a bus, and an arm of them."""
