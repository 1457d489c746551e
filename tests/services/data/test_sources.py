import hashlib
import os
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from upath import UPath

from contrasweep.services.data.sources import Digests, Sources
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.store import FORMAT, json_digest
from contrasweep.trainers.data.transforms import build_transforms

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]


def quiet(step: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def cache(tmp_path: Path) -> UPath:
    return UPath(tmp_path / ".digests.json")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files of one size and one time, as out of an archive."""
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for number, path in enumerate(paths):
        np.save(path, np.full(3, number))
        os.utime(path, (0, 0))
    return paths


def test_what_is_known_is_not_read_again(files: list[Path], cache: UPath) -> None:
    read: list[int] = []
    for _ in range(2):
        found = Digests(cache).of(files, lambda step, done, total: read.append(done))
        assert found == {path: sha256(path) for path in files}
    assert read == [1, 2]


def test_files_that_change_places_are_read_again(files: list[Path], cache: UPath, tmp_path: Path) -> None:
    Digests(cache).of(files, quiet)
    files[0].rename(tmp_path / "c")
    files[1].rename(files[0])
    (tmp_path / "c").rename(files[1])
    assert Digests(cache).of(files, quiet) == {path: sha256(path) for path in files}


def test_a_file_that_changes_while_digests_are_taken_is_read_again(files: list[Path], cache: UPath) -> None:
    def change(step: str, done: int, total: int) -> None:
        np.save(files[0], np.full(3, 9))

    Digests(cache).of(files, change)
    assert Digests(cache).of(files, quiet)[files[0]] == sha256(files[0])


def test_a_folder_may_hold_names_that_are_no_text(cache: UPath, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/IM\xff")).write_bytes(b"slice")
    expected = hashlib.sha256(b"IM\xff\0" + hashlib.sha256(b"slice").hexdigest().encode() + b"\n").hexdigest()
    assert Digests(cache).of([folder], quiet) == {folder: expected}


def test_an_image_in_two_files_has_the_digest_of_both(tmp_path: Path, cache: UPath) -> None:
    image = nib.Nifti1Pair(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    nib.save(image, tmp_path / "a.img")
    halves = [tmp_path / "a.hdr", tmp_path / "a.img"]
    before = Digests(cache).of(halves, quiet)
    assert len(set(before.values())) == 1
    assert before[halves[0]] not in ("", *map(sha256, halves))
    for half in halves:
        content = bytearray(half.read_bytes())
        content[-1] ^= 1
        half.write_bytes(content)
        after = Digests(cache).of(halves, quiet)
        assert after[halves[0]] == after[halves[1]] != before[halves[0]]
        before = after
    halves[1].unlink()
    assert Digests(cache).of(halves, quiet) == dict.fromkeys(halves, sha256(halves[0])) | {halves[1]: ""}


@pytest.mark.parametrize("affine", [None, "sform", "qform"])
def test_the_form_that_counts_is_in_the_version_where_one_is_named(affine: str | None, tmp_path: Path) -> None:
    config = DataConfig(participants="p.tsv", image="{participant_id}.nii", label="age", affine=affine)
    sources = Sources(config, tmp_path, build_transforms((), tmp_path), (), ())
    content = {
        "format": FORMAT,
        "label": "age",
        "dtype": "float32",
        "subjects": [],
        "rejected": [],
        "transforms": [],
        "files": [],
    }  # of stores that were made before there was a choice
    assert sources.version({}) == json_digest(content if affine is None else {**content, "affine": affine})


def of_images(image: str | dict[str, str], *paths: Path) -> Sources:
    """One scan of these files."""
    config = DataConfig(participants="p.tsv", image=image, label="age")
    subject = Subject("a", "a", paths, 30.0, "F", {"age": 30.0}, {"sex": "F"}, {}, image_names=config.image_names)
    return Sources(config, Path(), build_transforms((), Path()), (subject,), ())


def test_one_image_is_in_the_version_as_it_always_was() -> None:
    sources = of_images("{participant_id}.npy", Path("a.npy"))
    content = {
        "format": FORMAT,
        "label": "age",
        "dtype": "float32",
        "subjects": [["a", "a", "d1", 30.0, "F", {"age": 30.0}, {"sex": "F"}, {}]],
        "rejected": [],
        "transforms": [],
        "files": [],
    }  # of stores that were made before there could be several
    assert sources.version({Path("a.npy"): "d1"}) == json_digest(content)


def test_every_image_its_name_and_its_place_are_in_the_version() -> None:
    t1, t2 = Path("t1.npy"), Path("t2.npy")
    digests = {t1: "d1", t2: "d2"}
    named = {"t1": "{participant_id}/t1.npy", "t2": "{participant_id}/t2.npy"}
    versions = [
        of_images(named, t1, t2).version(digests),
        of_images(named, t1, t2).version({**digests, t1: "d3"}),
        of_images(named, t1, t2).version({**digests, t2: "d3"}),
        of_images(dict(reversed(named.items())), t2, t1).version(digests),
        of_images({"t1": named["t1"], "flair": named["t2"]}, t1, t2).version(digests),
        of_images({"t1": named["t1"]}, t1).version(digests),
        of_images(named["t1"], t1).version(digests),
    ]
    assert len(set(versions)) == len(versions)
    assert of_images(named, t1, t2).version(digests) == versions[0]


def test_members_of_an_archive_are_other_sources_and_change_with_it(cache: UPath, tmp_path: Path) -> None:
    def write(*contents: str) -> None:
        with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
            for name, content in zip("ab", contents, strict=True):
                archive.writestr(f"{name}.csv", content)

    members = [tmp_path / "scan.zip" / "a.csv", tmp_path / "scan.zip" / "b.csv"]
    read: list[int] = []
    write("1,2", "1,2")
    before = Digests(cache).of(members, lambda step, done, total: read.append(done))
    assert len({*before.values(), ""}) == 3
    assert Digests(cache).of(members, lambda step, done, total: read.append(done)) == before
    assert read == [1, 2]
    write("1,2", "1,3")
    after = Digests(cache).of(members, quiet)
    assert all(after[member] != before[member] for member in members)
