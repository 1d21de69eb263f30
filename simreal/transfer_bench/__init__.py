"""The experiment that decides: what each way from simulation to a hidden robot is worth."""
