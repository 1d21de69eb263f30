"""From logs to a simulator that matches: identification, with honest uncertainty."""
