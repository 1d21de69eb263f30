"""Where the command `simreal` begins: Ctrl-C while all else is imported is no traceback either."""

import signal


def main() -> None:
    """Entry point: import the commands, and run the one that is asked for."""
    # An exception would end somewhere within NumPy's or torch's imports, which tell of it in their
    # own ways; what `nohup` or a shell's & started goes on ignoring the signal.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from simreal.cli.main import main as run

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()
