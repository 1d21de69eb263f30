"""The command line: a file per verb; `main` is the entry point, `bench` the figures."""
