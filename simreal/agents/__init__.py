"""Learning agents: the algorithms of stable-baselines3, configured, normalized, saved without pickle."""
