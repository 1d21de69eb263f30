"""Domain randomization: declared parameters, drawn per episode, recorded, replayed."""
