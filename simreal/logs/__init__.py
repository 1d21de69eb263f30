"""Robot logs: one form in memory (`robot_log`), and the files that it is read from and written to."""
