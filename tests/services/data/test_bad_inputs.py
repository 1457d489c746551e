"""Bad inputs: each is rejected by name and counted, or ends in one line; nobody else's tensor changes."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import nibabel as nib
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset

from contrasweep.services.cli.app import USER_ERROR
from contrasweep.services.data.prepare import prepare
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.participants import read_subjects
from contrasweep.trainers.data.store import VolumeStore
from contrasweep.trainers.data.transforms import build_transforms
from contrasweep.trainers.data.volume import load_scan
from contrasweep.trainers.errors import UserError
from tests.services.data.command_line import Ended, contrasweep
from tests.trainers.data.scans import write_dicom_series, write_nifti, write_video

__all__ = ["contrasweep"]

ROOT = Path(__file__).resolve().parents[3]
SHAPE = (6, 5, 4)
GOOD = tuple(f"good-{number:02d}" for number in range(12))
NOT_ROOT = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""Before a command, has it obey permissions where these tests run as root."""

IMAGE = "{participant_id}.nii.gz"
Values = NDArray[Any]


def volume(name: str) -> Values:
    """Whole numbers [X, Y, Z], others for each name."""
    return np.random.default_rng(crc32(name.encode())).integers(0, 1000, SHAPE).astype(np.float32)


# What may be wrong with one scan ------------------------------------------------------------------------------------


def cut(path: Path, keep: int) -> None:
    """Keep the first bytes of a file, or leave out the last."""
    path.write_bytes(path.read_bytes()[:keep])


def truncated(path: Path, values: Values, keep: int) -> None:
    cut(write_nifti(path, values), keep)


def text(path: Path, values: Values, content: bytes = b"this is no scan\n" * 40) -> None:
    path.write_bytes(content)


def with_voxel(path: Path, values: Values, voxel: float) -> None:
    values[1, 2, 3] = voxel
    write_nifti(path, values)


def bytes_changed(path: Path, values: Values, at: int, to: bytes) -> None:
    """Overwrite a few bytes of an uncompressed NIfTI file, packed again where the ending says so."""
    write_nifti(path, values)
    content = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    content[at : at + len(to)] = to
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else bytes(content))


def header_in_gzip(path: Path, values: Values) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(write_nifti(path, values).read_bytes())[:352]))


def bit_flipped(path: Path, values: Values) -> None:
    """The last byte of the checksum of the data in a gzip file."""
    content = bytearray(write_nifti(path, values).read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)


def forms(path: Path, values: Values, sform: Values | None, qform: Values | None) -> None:
    image = nib.Nifti1Image(values, None)
    image.set_sform(sform, code=1 if sform is not None else 0)
    image.set_qform(qform, code=1 if qform is not None else 0)
    nib.save(image, path)


def link(path: Path, values: Values, target: str) -> None:
    path.symlink_to(target)


def link_to_file(path: Path, values: Values) -> None:
    path.symlink_to(write_nifti(path.parents[1] / "elsewhere.nii.gz", values))


def locked(path: Path, values: Values) -> None:
    write_nifti(path, values).chmod(0)


def in_locked_folder(path: Path, values: Values) -> None:
    path.parent.mkdir()
    write_nifti(path, values)
    path.parent.chmod(0)


def locked_folder(path: Path, values: Values) -> None:
    dicom(path, values)
    path.chmod(0)


def dicom(path: Path, values: Values, **how: Any) -> None:
    write_dicom_series(path, values.astype(np.int16), **how)


def two_series(path: Path, values: Values) -> None:
    for name in ("first", "second"):
        dicom(path, values, name=f"{name}-{{index}}.dcm")


def slice_cut_off(path: Path, values: Values) -> None:
    dicom(path, values)
    cut(path / "IM0002.dcm", -20)


def last_slices_missing(path: Path, values: Values) -> None:
    def of_all(dataset: FileDataset, index: int) -> None:
        dataset.NumberOfSlices = values.shape[2]

    dicom(path, values, change=of_all, skip=[values.shape[2] - 1])


def video(path: Path, values: Values, frames: int) -> None:
    write_video(path, np.random.default_rng(0).integers(0, 255, (frames, 16, 16), dtype=np.uint8))


def video_cut_off(path: Path, values: Values) -> None:
    video(path, values, 30)
    cut(path, path.stat().st_size // 2)


def array(path: Path, values: Values, content: Any) -> None:
    np.save(path, content, allow_pickle=True)


def archive(path: Path, values: Values) -> None:
    np.savez(path, first=values, second=values)


def picture(path: Path, values: Values, shape: tuple[int, ...]) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)).save(path)


def picture_cut_off(path: Path, values: Values) -> None:
    picture(path, values, (64, 64))
    cut(path, -2000)


def decomposed(path: Path, values: Values) -> None:
    """As macOS names files: the accent is a character of its own."""
    write_nifti(path.with_name(unicodedata.normalize("NFD", path.name)), values)


def turned(path: Path, values: Values, axes: str) -> None:
    """The same voxels in the same places, written along other axes."""
    target = nib.orientations.axcodes2ornt(axes)
    image = nib.Nifti1Image(values, np.eye(4))
    nib.save(image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(np.eye(4)), target)), path)


def big_endian(path: Path, values: Values) -> None:
    header = nib.Nifti1Header(endianness=">")
    nib.save(nib.Nifti1Image(values.astype(">f4"), np.eye(4), header), path)


FLIPPED = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Scan:
    """`write` leaves at a path what there is of `volume(name)`; `reason` is why it is rejected, None: it is stored.

    `file` is what the table has for it, after the case's name where it begins with a point; `label` its label.
    """

    write: Callable[[Path, Values], object] | None
    reason: str | None = None
    file: str = ".nii.gz"
    label: str = "33.5"

    def file_of(self, name: str) -> str:
        """What the table has in the column `file`."""
        return name + self.file if re.match(r"\.\w", self.file) else self.file


def row(label: str, reason: str) -> Scan:
    """A good scan in a bad row."""
    return Scan(write_nifti, reason, label=label)


def bad(write: Callable[..., object], reason: str, file: str = ".nii.gz", **how: Any) -> Scan:
    return Scan(partial(write, **how), reason, file)


def good(write: Callable[..., object], file: str = ".nii.gz", **how: Any) -> Scan:
    return Scan(partial(write, **how), None, file)


SCANS = {
    # files
    "zero bytes": bad(text, "is empty", content=b""),
    "truncated gzip": bad(truncated, "ends early: its gzip stream is cut off", keep=200),
    "truncated in the last byte": bad(truncated, "ends early: its gzip stream is cut off", keep=-1),
    "bit flipped in gzip": bad(bit_flipped, "is damaged: CRC check failed.*"),
    "text as gzip": bad(text, "is no gzip file"),
    "wrong magic": bad(bytes_changed, "is no NIfTI file", ".nii", at=344, to=b"xyz\0"),
    "wrong magic in gzip": bad(bytes_changed, "is no NIfTI file", at=344, to=b"xyz\0"),
    "text as nifti": bad(text, "is no NIfTI file", ".nii"),
    "gzip under a plain name": bad(text, "is a gzip file: .*", ".nii", content=gzip.compress(b"0" * 999)),
    "header without data": bad(
        truncated, "ends early: its header promises 832 bytes, the file has 352", ".nii", keep=352
    ),
    "half the data": bad(truncated, "ends early: .*", ".nii", keep=600),
    "header without data in gzip": bad(
        header_in_gzip, "ends early: it unpacks to fewer bytes than its header promises"
    ),
    "half a header": bad(truncated, "ends early: it has 100 bytes, a header 348", ".nii", keep=100),
    "a promise of terabytes": bad(
        bytes_changed, "(ends early|claims) .*", at=42, to=np.full(3, 30000, np.int16).tobytes()
    ),
    "missing file": Scan(None, "no such image"),
    "dangling link": bad(link, "is a link to ../annex/MD5E-1, which is missing.*", target="../annex/MD5E-1"),
    "link to itself": bad(link, "cannot be opened: Too many levels of symbolic links", target="link to itself.nii.gz"),
    "name too long": Scan(None, "cannot be opened: File name too long", "x" * 300 + ".nii.gz"),
    "directory": bad(lambda path, values: path.mkdir(), "is a folder that holds no DICOM images"),
    "pipe": bad(lambda path, values: os.mkfifo(path), "is no regular file"),
    "no permission": bad(locked, "no permission to read"),
    "no permission to the folder": bad(in_locked_folder, "cannot be opened: Permission denied", ".locked/a.nii.gz"),
    "no permission to a folder of slices": bad(locked_folder, "cannot be read: .*Permission denied", ".locked"),
    "unknown ending": bad(text, r"no reader for the ending '\.xyz'; .*", ".xyz"),
    "no ending": bad(text, r"no reader for the ending ''; .*", "no-ending"),
    # voxels
    "nan voxel": bad(with_voxel, "1 of 120 voxels are not finite; SignalFillEmpty: .* fills them", voxel=np.nan),
    "inf voxel": bad(with_voxel, "1 of 120 voxels are not finite", voxel=np.inf),
    "constant image": bad(
        lambda path, values: write_nifti(path, np.full(SHAPE, 7.0)), "has no contrast: every voxel is 7"
    ),
    "complex numbers": bad(
        lambda path, values: write_nifti(path, values.astype(np.complex64)), "holds complex numbers; .*"
    ),
    # shapes
    "wrong dimensions": bad(
        lambda path, values: write_nifti(path, values[:, :, 1:]),
        r"shape \(1, 6, 5, 3\) differs from the others' \(1, 6, 5, 4\)",
    ),
    "transposed": bad(
        lambda path, values: write_nifti(path, values.transpose(2, 1, 0)), r"shape \(1, 4, 5, 6\) differs .*"
    ),
    "2D where 3D is expected": bad(
        lambda path, values: write_nifti(path, values[:, :, 0]), r"shape \(1, 6, 5\) differs .*"
    ),
    "4D where 3D is expected": bad(
        lambda path, values: write_nifti(path, np.stack([values, values + 1], 3)), r"shape \(2, 6, 5, 4\) differs .*"
    ),
    "three channels": bad(
        lambda path, values: write_nifti(path, np.stack([values] * 3, 3)[..., None, :]),
        r"shape \(3, 6, 5, 4\) differs .*",
    ),
    "5D": bad(lambda path, values: write_nifti(path, np.zeros((*SHAPE, 2, 3))), "has shape 6 x 5 x 4 x 2 x 3; .*"),
    "picture in colour": bad(picture, r"shape \(3, 5, 4\) differs .*", ".png", shape=(5, 4, 3)),
    # place
    "sform and qform disagree": bad(
        forms, "sform says RAS 1 x 1 x 1 mm, qform LAS 1 x 1 x 1 mm; .*", sform=np.eye(4), qform=FLIPPED
    ),
    "sform and qform disagree in size": bad(
        forms, "sform says RAS 1 x 1 x 1 mm, qform RAS 2 x 2 x 2 mm; .*", sform=np.eye(4), qform=np.diag([2, 2, 2, 1])
    ),
    "voxels of no size": bad(bytes_changed, "says that its voxels measure 1 x 0 x 1 mm", at=84, to=bytes(4)),
    "affine that is nan": bad(bytes_changed, "its affine is not finite", at=280, to=np.float32(np.nan).tobytes()),
    # other formats
    "dicom slice missing": bad(dicom, "has uneven slices, one may be missing: 2 mm between .*", ".d", skip=[2]),
    "dicom last slice missing": bad(last_slices_missing, "has slices at 3 of 4 places", ".d"),
    "dicom slice cut off": bad(slice_cut_off, "IM0002.dcm .*", ".d"),
    "dicom series mixed": bad(two_series, "holds 2 series: .*; a folder of one is needed", ".d"),
    "video without frames": bad(video, "(holds no frames|is no AVI, .*)", ".avi", frames=0),
    "video cut off": bad(video_cut_off, "(ends early: .*|is no AVI, .*)", ".avi"),
    "csv with ragged rows": bad(text, "line 2 has 2 cells, line 1 has 3", ".csv", content=b"1.5,2,3\n4,5\n6,7,8\n"),
    "csv with text": bad(text, "line 2, column 1 is 'x', no number", ".csv", content=b"1.5,2,3\nx,5,4\n"),
    "pickled array": bad(array, "holds object; real numbers are needed", ".npy", content=np.array([{"a": 1}])),
    "archive of two arrays": bad(archive, "holds 2 arrays: first, second; a file with one is needed", ".npz"),
    "picture cut off": bad(picture_cut_off, "cannot be read: .*truncated.*", ".png"),
    # rows
    "label that is text": row("young", "label is no finite number: column 'age' is 'young'"),
    "label that is nan": row("NaN", "missing label: column 'age' is 'NaN'"),
    "label that is inf": row("inf", "label is no finite number: column 'age' is 'inf'"),
    "label that is empty": row("", "missing label: column 'age' is ''"),
    "label that is censored": row("89+", r"label '89\+' is censored; data.censored: keep reads it as 89"),
    "label with a comma": row("33,5", r"label is no finite number: .* is '33,5' \(a decimal comma\? write a point\)"),
    "label in thousands": row("1_000", "label is no finite number: .*"),
    "file that is n/a": Scan(None, "missing value: column 'file' is 'n/a'", "n/a"),
    "path that climbs out": Scan(None, "'../outside.nii.gz' climbs out of scans/", "../outside.nii.gz"),
    "path that climbs out late": Scan(None, ".* climbs out of scans/", "a/b/../../../outside.nii.gz"),
    # looks bad, is good
    "ünïcödé": good(write_nifti),
    "decomposed é": good(decomposed),
    "blanks in  names": good(write_nifti),
    "glob [a-z]*?{x} characters": good(write_nifti),
    "quote's $HOME %s \\n": good(write_nifti),
    "-rf": good(write_nifti),
    "ending in capitals": good(write_nifti, ".NII.GZ"),
    "link": good(link_to_file),
    "flipped left to right": good(turned, axes="LAS"),
    "axes in another order": good(turned, axes="PSR"),
    "qform alone": good(forms, sform=None, qform=np.eye(4)),
    "sform alone": good(forms, sform=np.eye(4), qform=None),
    "no form": good(lambda path, values: forms(path, values[::-1], None, None)),  # radiological, as ANALYZE was
    "big-endian": good(big_endian, ".nii"),
    "double precision": good(lambda path, values: write_nifti(path, values.astype(np.float64))),
    "dicom series": good(dicom, ".d"),
    "dicom series without endings": good(dicom, ".d", name="{index}"),
    "dicom series flipped": good(lambda path, values: dicom(path, values[::-1], affine=np.array(FLIPPED)), ".d"),
    "voxels of two millimetres": good(write_nifti, affine=np.diag([2.0, 2.0, 2.0, 1.0])),
}


def write_scans(folder: Path) -> None:
    """A table of good subjects and of all cases, their scans, and two more that no row names."""
    scans = folder / "scans"
    scans.mkdir()
    rows = [f"{name}\t{name}.nii.gz\t{20 + number}" for number, name in enumerate(GOOD)]
    for name in GOOD:
        write_nifti(scans / f"{name}.nii.gz", volume(name))
    for name, case in SCANS.items():
        rows.append(f"{name}\t{case.file_of(name)}\t{case.label}")
        if case.write is not None:
            case.write(scans / case.file_of(name), volume(name))
    for path in (folder / "outside.nii.gz", scans / "image without subject.nii.gz"):
        write_nifti(path, volume(path.name))
    (folder / "participants.tsv").write_text("\n".join(["participant_id\tfile\tage", *rows]) + "\n")


def write_spec(folder: Path, **data: Any) -> Path:
    document = {
        "name": "bad",
        "data": {"label": "age", **data},
        "model": {"encoder": "resnet18", "spatial_dims": 3, "width": 0.0625, "head_hidden": 8},
        "training": {"epochs": 2, "batch_size": 2},
        "search": {"spaces": ["dynlocrep"], "racing": None},
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@dataclass(frozen=True)
class Inspected:
    """How `contrasweep inspect` of all of them ended, and the store that it left."""

    code: int
    out: str
    err: str
    store: VolumeStore


@pytest.fixture(scope="module")
def inspected(tmp_path_factory: pytest.TempPathFactory) -> Inspected:
    folder = tmp_path_factory.mktemp("bad inputs")
    write_scans(folder)
    write_spec(folder, participants="participants.tsv", image="scans/{file}")
    ended = subprocess.run(
        [*NOT_ROOT, sys.executable, "-c", "from contrasweep.services.cli import main; main()", "inspect", "study.yaml"],
        cwd=folder,
        env={**os.environ, "CONTRASWEEP_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=200,
    )
    (made,) = (folder / "home" / "volumes").glob("*/manifest.json")
    return Inspected(ended.returncode, ended.stdout, ended.stderr, VolumeStore.open(made.parent))


def images(store: VolumeStore) -> dict[str, Values]:
    """Stored values [C, *S] by subject."""
    rows = store.read_rows(np.arange(len(store.subjects)))
    return {subject.id: image for subject, image in zip(store.subjects, rows, strict=True)}


@pytest.mark.ray
@pytest.mark.parametrize("name", SCANS)
def test_a_scan_is_rejected_by_name_or_stored_as_it_is(name: str, inspected: Inspected) -> None:
    case, stored = SCANS[name], images(inspected.store)
    reasons = [left_out.reason for left_out in inspected.store.manifest.rejected if left_out.subject == name]
    if case.reason is None:
        assert not reasons
        np.testing.assert_array_equal(stored[name], volume(name)[None])
    else:
        assert len(reasons) == 1
        assert re.fullmatch(case.reason, reasons[0])
        assert name not in stored


@pytest.mark.ray
def test_everyone_else_is_stored_and_the_rejected_are_counted(inspected: Inspected) -> None:
    stored, bad = images(inspected.store), [name for name, case in SCANS.items() if case.reason]
    assert sorted(stored) == sorted([*GOOD, *(set(SCANS) - set(bad))])
    for name in GOOD:
        np.testing.assert_array_equal(stored[name], volume(name)[None])
    assert [subject.label for subject in inspected.store.subjects if subject.id in GOOD] == [*range(20, 32)]
    assert sorted(left_out.subject for left_out in inspected.store.manifest.rejected) == sorted(bad)
    assert f"{len(bad)} of {len(SCANS) + len(GOOD)} scans are rejected" in inspected.out


@pytest.mark.ray
def test_what_is_odd_and_no_reason_to_reject_is_noticed(inspected: Inspected) -> None:
    assert re.search(r"mixed spacings \(no transform .*voxels of two millimetres \(2 × 2 × 2 mm\)", inspected.out)
    assert re.search(r"mixed orientations .*flipped left to right \(LAS\)", inspected.out)
    assert "volumes that do not tell their orientation, taken as LAS (1): no form" in inspected.out
    assert re.search(r"images that no row names \(1\): .*/image without subject.nii.gz", inspected.out)


@pytest.mark.ray
def test_nothing_else_is_said_and_the_end_is_good(inspected: Inspected) -> None:
    assert (inspected.code, inspected.err) == (0, "")
    assert "Traceback" not in inspected.out
    assert str(ROOT) not in inspected.store.manifest.model_dump_json()


def test_mixed_spacings_become_one_by_the_transform_and_the_anatomy_stays_where_it_is(tmp_path: Path) -> None:
    """A ramp in space, x + 10 y + 100 z at x, y, z mm, on three grids."""
    spacings = {"fine": (1.0, 1.0, 1.0), "coarse": (2.0, 2.0, 2.0), "thick": (1.0, 1.0, 4.0)}
    for name, spacing in spacings.items():
        grid = [np.arange(0, 24, step) for step in spacing]
        x, y, z = np.meshgrid(*grid, indexing="ij")
        write_nifti(tmp_path / f"{name}.nii.gz", x + 10 * y + 100 * z, np.diag([*spacing, 1.0]))
    (tmp_path / "people.csv").write_text("participant_id,age\nfine,20\ncoarse,30\nthick,40\n")
    config = DataConfig(participants="people.csv", image=IMAGE, label="age")
    subjects, _ = read_subjects(config, tmp_path)
    pipeline = build_transforms([{"Spacing": {"pixdim": [2, 2, 2]}}], tmp_path)
    stored = {subject.id: load_scan(subject, pipeline, "float32").values for subject in subjects}
    x, y, z = np.indices((10, 10, 10)) * 2
    for values in stored.values():
        np.testing.assert_allclose(values[0, :10, :10, :10], x + 10 * y + 100 * z, rtol=1e-4, atol=1e-2)


def test_voxels_that_are_nan_are_no_obstacle_where_a_transform_fills_them(tmp_path: Path) -> None:
    values = volume("a")
    values[0, 0] = np.nan
    write_nifti(tmp_path / "a.nii.gz", values)
    (tmp_path / "people.csv").write_text("participant_id,age\na,20\n")
    (subject,), _ = read_subjects(DataConfig(participants="people.csv", image=IMAGE, label="age"), tmp_path)
    scan = load_scan(subject, build_transforms([{"SignalFillEmpty": {"replacement": -1.0}}], tmp_path), "float32")
    np.testing.assert_array_equal(scan.values, np.where(np.isnan(values), -1, values)[None])
    (source,) = scan.sources
    told = (source.minimum, source.maximum, source.mean)
    np.testing.assert_allclose(told, (np.nanmin(values), np.nanmax(values), np.nanmean(values)), rtol=1e-6)


# What may be wrong with the table and what the spec says of it ------------------------------------------------------

PEOPLE = "participant_id,age,sex\na,20.5,F\nb,30,M\nc,40.25,F\nd,50,M\ne,60,F\n"


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the scans of five good subjects and their table, for a test to spoil."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))
    for name in "abcde":
        write_nifti(tmp_path / f"{name}.nii.gz", volume(name))
    (tmp_path / "people.csv").write_text(PEOPLE)
    return tmp_path


@pytest.mark.parametrize(
    "content",
    {
        "as it should be": PEOPLE.encode(),
        "BOM": PEOPLE.encode("utf-8-sig"),
        "CRLF": PEOPLE.replace("\n", "\r\n").encode(),
        "BOM and CRLF": PEOPLE.replace("\n", "\r\n").encode("utf-8-sig"),
        "CR": PEOPLE.replace("\n", "\r").encode(),
        "quoted decimals": PEOPLE.replace("20.5", '"20.5"').replace("40.25", '" 40.25 "').encode(),
        "exponents": PEOPLE.replace("20.5", "+2.05e1").encode(),
        "unnamed index": ("," + PEOPLE.replace("\n", "\n0,").removesuffix("0,")).encode(),
        "blank lines": PEOPLE.replace("\n", "\n\n").encode(),
    }.items(),
    ids=lambda case: case[0],
)
def test_a_table_is_read_however_it_was_written(content: tuple[str, bytes], people: Path) -> None:
    (people / "people.csv").write_bytes(content[1])
    subjects, rejected = read_subjects(DataConfig(participants="people.csv", image=IMAGE, label="age"), people)
    assert {subject.id: subject.label for subject in subjects} == {
        "a": 20.5,
        "b": 30.0,
        "c": 40.25,
        "d": 50.0,
        "e": 60.0,
    }
    assert not rejected
    for subject in subjects:
        values = load_scan(subject, build_transforms([], people), "float32").values
        np.testing.assert_array_equal(values, volume(subject.id)[None])


Tables = tuple[str | bytes | None, Mapping[str, Any], str]

TABLES: dict[str, Tables] = {
    "no table": (None, {"participants": "peple.csv"}, r"no such file: \S*/peple.csv; did you mean 'people.csv'\?"),
    "table is a folder": (None, {"participants": "home"}, "data.participants: is a folder"),
    "table of another kind": (
        None,
        {"participants": "a.nii.gz"},
        r"a.nii.gz ends in '.gz'; allowed: .csv, .parquet, .tsv, .txt, .xls, .xlsx",
    ),
    "empty table": ("", {}, "people.csv has no rows"),
    "header alone": ("participant_id,age\n", {}, "people.csv has no rows"),
    "binary table": (b"\x00\x01" * 99, {}, "is no UTF-8 text: line 1 holds a NUL byte"),
    "utf-16 table": (PEOPLE.encode("utf-16"), {}, "is UTF-16; save it as UTF-8"),
    "latin-1 table": (PEOPLE.replace("F", "é").encode("latin-1"), {}, "is not UTF-8: line 2 holds the byte 0xe9"),
    "semicolons": (PEOPLE.replace(",", ";"), {}, "it seems to be separated by semicolons"),
    "ragged rows": ("participant_id,age\na,20,5\nb,30,1\n", {}, "line 2 has more values than the 2 columns"),
    "short rows": (PEOPLE.replace("30,M", "30"), {}, "line 3 has 2 values for 3 columns"),
    "open quote": (PEOPLE.replace(",F", ',"F', 1), {}, "line 2 cannot be read: .*is a quote .* not closed"),
    "duplicate columns": (PEOPLE.replace("sex", "age"), {}, "has the column 'age' 2 times"),
    "subject twice": (PEOPLE + "a,50,F\n", {}, "a: has 2 different rows, in lines 2, 7"),
    "unknown label": (None, {"label": "agee"}, "data.label: people.csv has no column 'agee'; did you mean 'age'"),
    "unknown id": (None, {"id": "subject"}, "data.id: people.csv has no column 'subject'"),
    "unknown group": (None, {"group": "gender"}, "data.group: people.csv has no column 'gender'"),
    "unknown stratum": (None, {"split": {"stratify": ["site"]}}, "data.split.stratify: .* has no column 'site'"),
    "unknown column in image": (None, {"image": "{file}"}, "data.image: people.csv has no column 'file'"),
    "no column in image": (None, {"image": "a.nii.gz"}, "data.image: 'a.nii.gz' names no column"),
    "unknown key": (None, {"lable": "age"}, "data.lable: unknown key; did you mean 'label'"),
    "labels of text": (None, {"label": "sex"}, "column 'sex' of people.csv holds no numbers; the first value is 'F'"),
    "decimal commas": (
        re.sub(r"(\d+)(?:\.(\d+))?", r'"\1,0\2"', PEOPLE),
        {},
        r"holds no numbers; the first value is '20,05' \(a decimal comma\? write a point\)",
    ),
    "equal labels": (re.sub(r"[\d.]+", "30", PEOPLE), {}, "the range of 'age' is zero: all 5 labels are 30"),
    "no image at all": (None, {"image": "{participant_id}.nii"}, "5 of 5 subjects are rejected.*a: no such image"),
    "too many rejected": (
        PEOPLE.replace("30", "n/a"),
        {},
        "1 of 5 subjects are rejected, more than .* b: missing label",
    ),
    "transform of another shape": (
        None,
        {"transforms": [{"Resize": {"spatial_size": [4, 4]}}]},
        "none of the 5 images can be used; first: .*a.nii.gz: data.transforms\\[0\\] .* fails on shape",
    ),
    "transform of what a picture lacks": (
        None,
        {"transforms": [{"CLAHE": {}}]},
        r"a.nii.gz: CLAHE takes pictures; this image is \[1, 6, 5, 4\]",
    ),
    "no bids folder": (None, {"participants": None, "image": None, "bids": "set", "suffix": "T1w"}, "no such folder"),
}


@pytest.mark.parametrize("name", TABLES)
def test_an_unusable_table_or_spec_is_one_line(name: str, people: Path, contrasweep: Callable[..., Ended]) -> None:
    content, changes, message = TABLES[name]
    (people / "home").mkdir()
    if content is not None:
        (people / "people.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    data = {"participants": "people.csv", "image": IMAGE, **changes}
    write_spec(people, **{key: value for key, value in data.items() if value is not None})
    ended = contrasweep("validate", "study.yaml")
    assert ended.code == USER_ERROR
    assert re.fullmatch(f"error: .*{message}.*\n", ended.err)


# What may happen to a store -----------------------------------------------------------------------------------------

SUBJECTS = tuple(f"s{number:02d}" for number in range(24))
CONFIG = DataConfig(participants="people.tsv", image=IMAGE, label="age", normalize="training")


def quiet(step: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good scans and their table."""
    folder = tmp_path_factory.mktemp("study")
    for name in SUBJECTS:
        write_nifti(folder / f"{name}.nii.gz", volume(name))
    rows = [f"{name}\t{20 + number}" for number, name in enumerate(SUBJECTS)]
    (folder / "people.tsv").write_text("\n".join(["participant_id\tage", *rows]) + "\n")
    return folder


@pytest.fixture(scope="module")
def made(study: Path, ray_local: None) -> VolumeStore:
    """Its store, of two shards."""
    return prepare(CONFIG, study, study / "volumes", quiet).store


@pytest.fixture
def spoilt(made: VolumeStore, tmp_path: Path) -> Path:
    """A copy of the store for a test to spoil."""
    shutil.copytree(str(made.folder), tmp_path / "volumes" / made.folder.name)
    return tmp_path / "volumes" / made.folder.name


def changed(store: Path, **changes: Any) -> None:
    """Edit the manifest by hand."""
    path = store / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def relabelled(store: Path) -> None:
    subjects = json.loads((store / "manifest.json").read_text())["subjects"]
    subjects[3]["label"] = 99.0
    changed(store, subjects=subjects)


def reordered(store: Path, key: str) -> None:
    changed(store, **{key: json.loads((store / "manifest.json").read_text())[key][::-1]})


def flipped(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 8
    path.write_bytes(content)


def swapped(store: Path) -> None:
    first, second = store / SHARDS[0], store / SHARDS[1]
    first.rename(store / "aside")
    second.rename(first)
    (store / "aside").rename(second)


SHARDS = ("shard-00000.parquet", "shard-00001.parquet")
DAMAGED = "missing, cut short or changed since written; contrasweep prepare makes it again"
EDITED = "manifest.json: was changed since it was written: .*; delete .* and prepare again"

STORES: dict[str, tuple[Callable[[Path], object], str, bool]] = {
    "shard truncated": (lambda store: cut(store / SHARDS[0], -100), f"{SHARDS[0]} {DAMAGED}", True),
    "shard bit-flipped": (lambda store: flipped(store / SHARDS[1], 500), f"{SHARDS[1]} {DAMAGED}", True),
    "shard emptied": (lambda store: cut(store / SHARDS[1], 0), f"{SHARDS[1]} {DAMAGED}", True),
    "shard lost": (lambda store: (store / SHARDS[1]).unlink(), f"{SHARDS[1]} {DAMAGED}", True),
    "shards swapped": (swapped, f"{SHARDS[0]}, {SHARDS[1]} {DAMAGED}", True),
    "manifest lost": (lambda store: (store / "manifest.json").unlink(), "no manifest.json in it", True),
    "manifest cut short": (lambda store: cut(store / "manifest.json", 900), "delete .* and prepare again", False),
    "manifest emptied": (lambda store: cut(store / "manifest.json", 0), "delete .* and prepare again", False),
    "newer format": (partial(changed, format=99), "'format' 99 is of a newer contrasweep; this one reads up to", False),
    "axes exchanged": (partial(changed, image_shape=[1, 4, 5, 6]), EDITED, False),
    "other dtype": (partial(changed, dtype="float16"), EDITED, False),
    "label changed": (relabelled, EDITED, False),
    "subjects reordered": (partial(reordered, key="subjects"), EDITED, False),
    "shards reordered": (partial(reordered, key="shards"), EDITED, False),
    "unknown key": (partial(changed, colour="red"), "manifest.json: 'colour': Extra inputs are not permitted", False),
    "no number": (partial(changed, image_shape="wide"), "manifest.json: 'image_shape': Input should be", False),
    "splits edited": (
        lambda store: next(store.glob("splits-*.json")).write_text("{}"),
        "splits-.*.json: is no list of splits; delete it",
        False,
    ),
}


@pytest.mark.ray
@pytest.mark.parametrize("name", STORES)
def test_a_spoilt_store_is_one_line_or_made_again(
    name: str, study: Path, made: VolumeStore, spoilt: Path, contrasweep: Callable[..., Ended]
) -> None:
    spoil, message, mended = STORES[name]
    spoil(spoilt)
    ended = contrasweep("inspect", str(spoilt))
    assert ended.code == USER_ERROR
    assert re.fullmatch(f"error: .*{message}.*\n", ended.err)
    if mended:
        again = prepare(CONFIG, study, spoilt.parent, quiet)
        assert not again.reused
        assert again.store.manifest == made.manifest
        assert {name: image.tobytes() for name, image in images(again.store).items()} == {
            name: volume(name).tobytes() for name in SUBJECTS
        }
    else:
        with pytest.raises(UserError, match=message) as caught:
            prepare(CONFIG, study, spoilt.parent, quiet)
        assert "\n" not in str(caught.value)


@pytest.mark.ray
def test_a_bit_that_flips_under_an_open_store_is_an_error_or_of_no_account(made: VolumeStore, spoilt: Path) -> None:
    store, path = VolumeStore.open(spoilt), spoilt / SHARDS[0]
    content, rows, damaged = path.read_bytes(), np.arange(4), 0
    truth = made.read_rows(rows)
    for at in range(0, len(content), 37):
        flipped(path, at)
        try:
            np.testing.assert_array_equal(store.read_rows(rows), truth)
        except UserError as error:
            assert re.fullmatch(f"volume store .*: {SHARDS[0]} cannot be read: .*", str(error))
            damaged += 1
        path.write_bytes(content)
    assert damaged > 10


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.ray
def test_a_disk_that_is_full_is_one_line_at_any_time(study: Path, made: VolumeStore, disk: Path) -> None:
    """Prepared again and again while the disk grows by some kilobytes, until the store fits."""
    refused = []
    for kilobytes in range(12, 400, 8):
        try:
            grown = prepare(CONFIG, study, disk, quiet).store
            break
        except UserError as error:
            refused.append(str(error))
            subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)
    assert grown.manifest == made.manifest
    np.testing.assert_array_equal(grown.read_rows(np.arange(24)), made.read_rows(np.arange(24)))
    full = "volume store .* cannot be made: .*No space left on device; what was done is kept, prepare again .*"
    assert all(re.fullmatch(full, line) for line in refused)
    assert {"shard-00000.parquet" in line for line in refused} == {True, False}


@pytest.mark.ray
def test_a_file_in_place_of_the_folder_of_stores_is_one_line(study: Path, ray_local: None) -> None:
    with pytest.raises(
        UserError, match=r"volume store in .*people.tsv \(CONTRASWEEP_VOLUMES\) cannot be made: (File|Not a dir)"
    ):
        prepare(CONFIG, study, study / "people.tsv", quiet)
