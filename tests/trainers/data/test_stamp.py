import os
from pathlib import Path

import pytest

from contrasweep.trainers.data.stamp import stamp


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two files of one size and one time, as out of an archive."""
    files = tmp_path / "a", tmp_path / "b"
    for file in files:
        file.write_text(file.name)
        os.utime(file, (0, 0))
    return files


def test_a_file_that_is_only_read_keeps_its_stamp(two: tuple[Path, Path]) -> None:
    before = stamp(two[0])
    two[0].read_text()
    assert stamp(two[0]) == before


def test_a_file_written_anew_with_its_old_size_and_time_is_another(two: tuple[Path, Path]) -> None:
    before = stamp(two[0])
    two[0].write_text("c")
    os.utime(two[0], (0, 0))
    assert stamp(two[0]) != before


def test_files_that_change_places_are_told_apart(two: tuple[Path, Path], tmp_path: Path) -> None:
    before = [stamp(file) for file in two]
    two[0].rename(tmp_path / "c")
    two[1].rename(two[0])
    (tmp_path / "c").rename(two[1])
    assert all(stamp(file) != was for file, was in zip(two, before, strict=True))


def test_no_file_has_no_stamp(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        stamp(tmp_path / "a")
