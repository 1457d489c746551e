"""What goes wrong with a scan, a model or the disk is a line, and what can go on does."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from contrasweep.services.cli.model import SOME_REJECTED
from contrasweep.trainers.served import FILE, Detectors, save_served
from tests.services.predicting.asked import run
from tests.trainers.data.scans import write_dicom_series, write_nifti
from tests.trainers.served import served_sample
from tests.trainers.test_unlike import heads, spoilt

VOLUME = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_sample.model(tmp_path_factory.mktemp("served"))


def test_scans_that_the_model_does_not_read_are_told_one_by_one(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = served_sample.picture(tmp_path / "good.png")
    other = served_sample.picture(tmp_path / "other.png", shape=(20, 16))
    frames = write_nifti(tmp_path / "frames.nii.gz", np.stack([VOLUME] * 3, axis=-1).astype(np.float32))
    two = write_dicom_series(tmp_path / "two", VOLUME)
    for file in write_dicom_series(tmp_path / "another", VOLUME).iterdir():
        shutil.copyfile(file, two / f"other-{file.name}")
    status, out, err = run(capsys, monkeypatch, "predict", folder, good, other, frames, two, "--json")
    assert status == SOME_REJECTED and [one["scan"] for one in json.loads(out)["scans"]] == ["good"]
    by_scan = {line.split()[1].rstrip(":"): line for line in err.splitlines()}
    assert set(by_scan) == {"other", "frames", "two"}
    assert "shape (1, 20, 16) differs from" in by_scan["other"]
    assert "shape (3, 4, 5, 6) differs from" in by_scan["frames"]
    assert "holds 2 series" in by_scan["two"]


def test_a_head_with_its_skull_is_predicted_and_flagged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = heads(np.random.default_rng(0), 270)
    told = served_sample.config(shape=images.shape[1:])
    detectors = Detectors.fit(images[:160], images[160:260], None)
    save_served(tmp_path / "model", {"seed-0": served_sample.member(tmp_path / "run")}, told, tmp_path, detectors)
    skull = spoilt(images[260:], np.random.default_rng(1))["with its skull"].astype(np.float32)
    for name, image in (("stripped", images[260]), ("head", skull[0])):
        np.save(tmp_path / f"{name}.npy", image)
    scans = (tmp_path / "stripped.npy", tmp_path / "head.npy")
    status, out, _ = run(capsys, monkeypatch, "predict", tmp_path / "model", *scans, "--json")
    unlike = {one["scan"]: one["unlike"] for one in json.loads(out)["scans"]}
    assert status == 0 and unlike == {"stripped": "", "head": "the image is unlike those of training"}


def test_a_template_that_is_gone_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_nifti(tmp_path / "template.nii.gz", VOLUME)
    step = {"AffineRegistration": {"template": "template.nii.gz"}}
    model = served_sample.model(tmp_path, seeds=1, transforms=[step])
    shutil.rmtree(model / "files")
    status, _, err = run(capsys, monkeypatch, "predict", model, write_nifti(tmp_path / "a.nii.gz", VOLUME))
    assert status == 2 and len(err.splitlines()) == 1
    assert "AffineRegistration.template: no such file: " in err and "0-template.nii.gz" in err


def test_a_model_of_a_later_version_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "later")
    told = json.loads((folder / FILE).read_text()) | {"format": 99, "versions": {"contrasweep": "9.1.0"}}
    (tmp_path / "later" / FILE).write_text(json.dumps(told))
    status, _, err = run(capsys, monkeypatch, "predict", tmp_path / "later", "a.png")
    assert status == 2 and len(err.splitlines()) == 1 and "was made by contrasweep 9.1.0; this version reads" in err


@pytest.mark.parametrize(
    ("command", "options", "file"),
    [
        ("predict", ("--out", "out/p.tsv"), "out/p.tsv"),
        ("predict", ("--saliency", "gradient", "--maps", "out"), "out/a_desc-gradient_saliency.nii.gz"),
        ("embed", ("--out", "out/e.parquet"), "out/e.parquet"),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    command: str,
    options: tuple[str, ...],
    file: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scan = served_sample.picture(tmp_path / "a.png")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    status, _, err = run(capsys, monkeypatch, command, folder, scan, *options)
    assert (status, err) == (2, f"error: {file} cannot be written: No space left on device\n")
    assert list(Path("out").iterdir()) == []


def test_a_full_disk_behind_standard_output_is_one_line(folder: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "contrasweep.services.cli",
        "predict",
        str(folder),
        str(served_sample.picture(Path("a.png"))),
    ]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([*command, "--json"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 2
    assert ended.stderr == "error: the output cannot be written: No space left on device\n"
