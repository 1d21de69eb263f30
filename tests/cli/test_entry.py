"""Ctrl-C while the command is still being imported."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.{usual})
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r} and not done:
            done.append(name)
            {what}
done = []
sys.meta_path.insert(0, Interrupted())
from simreal.cli.entry import main
main()
"""
SENT = "os.kill(os.getpid(), signal.SIGINT)"


def ends(usual: str, module: str, what: str, *arguments: str) -> tuple[int, str]:
    """The exit status and what is said of it, where something happens as a module is imported."""
    program = PROGRAM.format(usual=usual, module=module, what=what)
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.strip()  # click ends the line in which a terminal shows ^C


@pytest.mark.parametrize("module", ["click", "simreal.cli.watch", "numpy", "pydantic"])
def test_ctrl_c_during_the_first_imports_ends_it_without_a_word(module: str) -> None:
    assert ends("default_int_handler", module, SENT, "list") == (-signal.SIGINT, "")


@pytest.mark.parametrize("what", [SENT, "raise ImportError('broken off') from KeyboardInterrupt()"])
def test_ctrl_c_during_the_imports_of_a_verb_ends_it_without_a_word(what: str) -> None:
    assert ends("default_int_handler", "torch", what, "train", "qube_swingup") == (130, "")


def test_an_import_that_fails_by_itself_is_not_taken_for_ctrl_c() -> None:
    status, said = ends("SIG_DFL", "torch", "raise ImportError('broken')", "train", "qube_swingup")
    assert status == 1 and "ImportError: broken" in said


@pytest.mark.long
def test_what_ignores_ctrl_c_goes_on() -> None:
    status, said = ends("SIG_IGN", "numpy", SENT, "list", "agents")
    assert (status, said) == (0, "")
