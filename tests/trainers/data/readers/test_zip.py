"""Members of archives are read as the files that they are, and nothing else is unpacked."""

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import UnreadableError
from tests.trainers.data import scans

VALUES = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A bulk file: two volumes, a DICOM series, and what is none."""
    scans.write_nifti(tmp_path / "T1.nii.gz", VALUES)
    scans.write_nifti(tmp_path / "T1_brain.nii.gz", VALUES + 7)
    scans.write_dicom_series(tmp_path / "series", VALUES)
    with zipfile.ZipFile(tmp_path / "1000011_20252_2_0.ZIP", "w") as archive:
        for name in ("T1.nii.gz", "T1_brain.nii.gz"):
            archive.write(tmp_path / name, f"T1/{name}")
        for file in sorted((tmp_path / "series").iterdir()):
            archive.write(file, f"DICOM/{file.name}")
        archive.writestr("T1/notes.txt", "see 2")
        archive.writestr("../../climbs.npy", b"x")
        link = zipfile.ZipInfo("link.csv")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "../participants.tsv")
    return tmp_path / "1000011_20252_2_0.ZIP"


@pytest.mark.parametrize(("name", "more"), [("T1/T1.nii.gz", 0), ("T1/T1_brain.nii.gz", 7)])
def test_a_member_is_read_as_the_file_that_it_is(packed: Path, name: str, more: int) -> None:
    image, header = readers.read(packed / name), readers.read_header(packed / name)
    np.testing.assert_array_equal(image.values[0], VALUES + more)
    assert header.shape == image.values.shape
    assert readers.files(packed / name) == (packed,)


def test_a_folder_of_members_is_a_series(packed: Path) -> None:
    series = readers.read(packed.with_name("series"))
    np.testing.assert_array_equal(readers.read(packed / "DICOM").values, series.values)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("T1/T2.nii.gz", "1000011_20252_2_0.ZIP holds no 'T1/T2.nii.gz'"),
        ("t1/T1.nii.gz", "holds no 't1/T1.nii.gz'"),
        ("T1/notes.txt", "line 1, column 1 is 'see', no number"),
        ("climbs.npy", "holds no 'climbs.npy'"),
        ("T1/T1.nii", "holds no 'T1/T1.nii'; did you mean 'T1/T1.nii.gz'"),
        ("../../climbs.npy", "'../../climbs.npy' climbs out of the archive"),
        ("link.csv", "'link.csv' is a link in the archive"),
    ],
)
def test_what_is_not_in_it(packed: Path, name: str, reason: str) -> None:
    for read in (readers.read, readers.read_header):
        with pytest.raises(UnreadableError, match=reason):
            read(packed / name)


def test_damaged_and_encrypted_archives(packed: Path) -> None:
    content = packed.read_bytes()
    packed.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableError, match=r"is no .zip archive that can be read, or a damaged one"):
        readers.read(packed / "T1/T1.nii.gz")
    flagged = bytearray(content)
    place = flagged.index(b"PK\x01\x02")
    flagged[place + 8] |= 1
    packed.write_bytes(flagged)
    with pytest.raises(UnreadableError, match=r"'T1/T1.nii.gz' is encrypted"):
        readers.read(packed / "T1/T1.nii.gz")


def test_a_name_that_is_there_twice_is_refused(packed: Path) -> None:
    with zipfile.ZipFile(packed, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.write(packed.with_name("T1_brain.nii.gz"), "T1/T1.nii.gz")
    with pytest.raises(UnreadableError, match=r"^'T1/T1.nii.gz' is twice in the archive"):
        readers.read(packed / "T1/T1.nii.gz")


def test_a_damaged_member_in_a_sound_archive_is_blamed_on_the_member(tmp_path: Path) -> None:
    cut = scans.write_nifti(tmp_path / "T1.nii.gz", VALUES).read_bytes()[:-20]
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        archive.writestr("T1.nii.gz", cut)
    with pytest.raises(UnreadableError, match=r"^ends early: its gzip stream is cut off"):
        readers.read(tmp_path / "scan.zip" / "T1.nii.gz")


def test_nothing_is_left_behind(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    readers.read(packed / "T1/T1.nii.gz")
    with pytest.raises(UnreadableError):
        readers.read(packed / "T1/notes.txt")
    assert not list(scratch.iterdir())
