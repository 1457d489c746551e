from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from contrasweep.services.records.looks import Looks
from contrasweep.services.settings import Settings

TEST = ("s1", "s2")


def test_every_look_counts_whatever_the_sweep_is_called(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert Looks(settings, "v1", TEST).add("one-1", phase=0, trial=3) == 1
    assert Looks(settings, "v1", TEST[::-1]).add("renamed-2", phase=0, trial=3) == 2
    assert Looks(settings, "v1", TEST).add("one-1", phase=1, trial=3) == 3, "an extended sweep reads it again"
    assert Looks(settings, "v1", TEST).add("one-1", phase=1, trial=3) == 3, "but one that was cut off goes on"
    assert Looks(settings, "v2", TEST).add("one-1", phase=0, trial=3) == 1
    assert Looks(settings, "v1", ("s1",)).add("one-1", phase=0, trial=3) == 1
    assert [(look.sweep, look.phase) for look in Looks(settings, "v1", TEST).all()] == [
        ("one-1", 0),
        ("renamed-2", 0),
        ("one-1", 1),
    ]


def test_a_home_that_was_emptied_does_not_forget_what_the_storage_has(tmp_path: Path) -> None:
    storage = str(tmp_path / "storage")
    Looks(Settings(home=tmp_path / "old", storage_path=storage), "v1", TEST).add("one-1", 0, 3)
    assert Looks(Settings(home=tmp_path / "new", storage_path=storage), "v1", TEST).add("two-2", 0, 3) == 2


def test_sweeps_that_look_at_the_same_moment_are_all_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: Looks(Settings(home=tmp_path), "v1", TEST).add(f"s-{n}", 0, 0), range(100)))
    assert len(Looks(Settings(home=tmp_path), "v1", TEST).all()) == 100


def test_a_sweep_that_reads_several_stores_looks_at_all_of_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert Looks(settings, "v1 v2", TEST).add("one-1", phase=0, trial=3) == 1
    assert Looks(settings, "v2", TEST).add("two-2", phase=0, trial=3) == 2
    assert len(Looks(settings, "v1", TEST).all()) == 1
    assert len(Looks(settings, "v1 v2", TEST).all()) == 2, "one look at both counts once"


def test_a_damaged_line_is_in_the_other_file_and_takes_no_other_along(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, storage_path=str(tmp_path / "storage"))
    for sweep in ("one-1", "two-2"):
        Looks(settings, "v1", TEST).add(sweep, 0, 3)
    (path,) = (tmp_path / "test-looks").iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    assert Looks(settings, "v1", TEST).add("three-3", 0, 3) == 3
    assert len(path.read_text().splitlines()) == 3, "a line of its own, behind what was cut off"
