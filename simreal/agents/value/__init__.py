"""Agents that learn what actions are worth: deep Q-networks and what improves them, up to Rainbow."""
