"""A file that has just been added is found in the source tree, and nothing else is taken for one."""

import subprocess
import sys
from pathlib import Path

import pytest

from simreal.fresh_module import fresh_module_hint


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in ("simreal/tasks/mine.py", "robots/arm/__init__.py", "deploy/drivers/can/driver.py"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("simreal.tasks.mine", "simreal/tasks/mine.py"),
        ("simreal.robots.arm", "robots/arm/__init__.py"),
        ("simreal.deploy.drivers.can.driver", "deploy/drivers/can/driver.py"),
        ("simreal.tasks.other", None),
        ("simreal", None),
        ("torch", None),
        ("", None),
    ],
)
def test_a_new_file_is_named_with_its_mend(root: Path, name: str, file: str | None) -> None:
    hint = fresh_module_hint(name, root)
    if file is None:
        assert hint is None
    else:
        assert hint is not None
        assert hint.startswith(f"{root / file} is not installed yet: run `make install` in {root}")


def test_the_command_line_says_so() -> None:
    program = (
        "import sys, simreal.cli.main, simreal.fresh_module as fresh\n"
        "hint = fresh.fresh_module_hint\n"
        "simreal.cli.main.fresh_module_hint = lambda name: 'MEND ' + name if name else None\n"
        "sys.modules['simreal.suite.tasks'] = None\n"
        "sys.argv = ['simreal', 'list']\n"
        "simreal.cli.main.main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: MEND simreal.suite.tasks\n")
