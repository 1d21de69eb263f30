from pathlib import Path

from simreal.bench.kept_results import kept


def test_what_stands_in_the_file_is_not_made_again(tmp_path: Path) -> None:
    path, made = tmp_path / "deep" / "results.json", list[int]()

    def make() -> float:
        made.append(len(made))
        return 0.5 + len(made)

    assert [kept(path, key, make) for key in ("a", "b", "a")] == [1.5, 2.5, 1.5]
    assert kept(path, "b", lambda: 9.0) == 2.5 and len(made) == 2
