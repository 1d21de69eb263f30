"""Logs that a command fits to are refused where a fit could only mislead."""

from pathlib import Path

import pytest

from simreal.cli.recordings import refuse_twice
from simreal.errors import UserError


def test_logs_of_the_same_content_are_both_named(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.mcap", "b.mcap", "copy.mcap")]
    for path, content in zip(paths, ("one", "two", "one"), strict=True):
        path.write_text(content)
    refuse_twice(paths[:2])
    for twice in (paths, [paths[0], paths[0]]):
        with pytest.raises(UserError) as raised:
            refuse_twice(twice)
        assert str(raised.value).startswith(f"{twice[-1]}: the same content as {paths[0]}")
