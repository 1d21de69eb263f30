"""The pages that teach by code: what they show is run here, and does what they say."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from simreal.cli.main import cli
from simreal.env import BatchEnv
from simreal.experiment import load_experiment
from simreal.lint import lint_experiment
from simreal.robots import load_robot

DOCS = Path(__file__).resolve().parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language on a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIMREAL_ROBOTS", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestTasks:
    """docs/tasks.md"""

    @pytest.fixture
    def written(self, folder: Path) -> str:
        (code,), (experiment,) = blocks("tasks.md", "python"), blocks("tasks.md", "yaml")
        assert len((code + experiment).splitlines()) < 60
        (folder / "arm_angle.py").write_text(code)
        (folder / "arm_angle.yaml").write_text(experiment)
        return "arm_angle.yaml"

    def test_the_task_is_sound(self, written: str) -> None:
        assert lint_experiment(written) == []

    def test_the_task_rewards_what_it_asks_for(self, written: str) -> None:
        """A proportional controller of the arm does better than none, by the task's own measure."""
        env, errors = BatchEnv(load_experiment(written), 8, threads=1), {}
        for gain in (0.0, 5.0):
            env.reset(0)
            action, episodes = np.zeros((8, 1)), []
            for _ in range(400):
                episodes += env.step(action).episodes
                off = env.command[:, :1] - env.physics.joint_position[:, :1]
                action = gain * off - 0.3 * gain * env.physics.joint_velocity[:, :1]
            errors[gain] = np.mean([each.metrics["error"] for each in episodes])
        assert errors[5.0] < 0.5 * errors[0.0]


class TestDevelopment:
    """docs/development.md"""

    def test_every_file_and_name_that_its_tables_send_to_is_there(self) -> None:
        root, text = DOCS.parent, (DOCS / "development.md").read_text(encoding="utf-8")
        rows = [line for line in text.split("## To add something")[1].splitlines() if "|" in line]
        listed = set(re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`|(docs/\w+\.md)", "\n".join(rows)))
        paths = {code or page for code, page in listed}
        assert len(paths) > 30
        assert [path for path in sorted(paths) if not (root / path).exists()] == []
        for name, path in re.findall(r"`(\w+)` (?:in|of) `([\w/]+\.py)`", "\n".join(rows)):
            assert re.search(rf"^(class |def |){name}\b", (root / path).read_text("utf-8"), re.MULTILINE)


class TestRobots:
    """docs/robots.md"""

    def test_the_example_says_what_the_page_says(self, folder: Path) -> None:
        (model, _), (session,) = blocks("robots.md", "xml"), blocks("robots.md", "console")
        (folder / "their_arm.urdf").write_text(model)
        output: list[str] = []
        for line in session.splitlines():
            if line.startswith("$ "):
                done = CliRunner().invoke(cli, line.removeprefix("$ simreal ").split())
                assert done.exit_code == 0, (line, done.output)
                shown = done.output.replace(str(folder / "own"), "~/.local/share/simreal/robots")
                output = shown.replace(f"{folder}/", "").splitlines()
            else:
                assert line == output.pop(0)

    def test_its_sts3215_is_that_of_the_so101(self) -> None:
        robot = load_robot("so101")
        default, content = blocks("robots.md", "xml")[1], blocks("robots.md", "yaml")[0]
        told = set(re.findall(r'(\w+)="([^"]*)"', default))
        assert told and told <= set(re.findall(r'(\w+)="([^"]*)"', robot.model_path.read_text("utf-8")))
        document = yaml.safe_load(content)
        own = robot.config.model_dump(mode="json")
        assert document.pop("sensing")["encoder_resolution"] == own["sensing"]["encoder_resolution"]
        assert set(document["safety"].pop("stall").values()) == set(own["safety"]["stall"].values())
        assert document["safety"] == {key: own["safety"][key] for key in document["safety"]}
        speeds, rates = own["safety"]["joint_velocity"], own["safety"]["command_rate"]
        text = (DOCS / "robots.md").read_text(encoding="utf-8")
        for key, value in (("joint_velocity", speeds["gripper"]), ("command_rate", rates["gripper"])):
            assert f"`{key}: {value:g}`" in text
        assert f"`velocity_limit: {robot.description.joints[0].velocity_limit:g}`" in text

    def test_every_check_that_it_lists_exists(self) -> None:
        """And each that exists is listed."""
        text = (DOCS / "robots.md").read_text(encoding="utf-8")
        table = text[text.index("| check |") : text.index("## What is settled")]
        listed = set(re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\|(.*?)\|", table, re.MULTILINE))))
        lint = DOCS.parent / "simreal" / "lint"
        own = [lint / f"{name}_checks.py" for name in ("model", "angle", "timestep")]
        own += (DOCS.parent / "simreal" / "robot_add").rglob("*.py")
        told, found = DOCS.parent / "simreal" / "physics" / "contradictions.py", set()
        for path in own:
            found |= set(re.findall(r'"(?:warning|error)",\s*"([a-z-]+)"', path.read_text()))
        no_checks = {"control-range", "warning"}  # of robot.yaml alone; of a type's two words
        assert sorted(found - listed - no_checks) == []
        sources = "".join(path.read_text() for path in [*own, *lint.glob("*.py"), told])
        assert [check for check in sorted(listed) if f'"{check}"' not in sources] == []
