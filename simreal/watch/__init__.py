"""A robot's log, finished or growing, as a page in a browser on this computer."""
