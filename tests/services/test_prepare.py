import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.prepare import prepare
from trainers.config import DataConfig
from trainers.data import readers
from trainers.data.phantom import PHANTOM_IMAGE, write_phantom
from trainers.errors import UserError

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]
SUBJECTS = 40
SOOP = Path(__file__).resolve().parents[3] / "shared" / "data" / "soop"


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """The table's folder of a small phantom."""
    return write_phantom(tmp_path / "Small Phantom", subjects=SUBJECTS, shape=(6, 8, 6)).parent


def config(**changes: Any) -> DataConfig:
    given: dict[str, Any] = {"participants": "participants.tsv", "image": PHANTOM_IMAGE, "label": "age", "group": "sex"}
    return DataConfig(**{**given, **changes})


def image_of(scans: Path, number: int) -> Path:
    return scans / PHANTOM_IMAGE.format(participant_id=f"sub-{number:04d}")


def quiet(done: int, total: int) -> None:
    pass


def test_a_store_holds_every_image_and_preparing_again_is_instant(scans: Path, tmp_path: Path) -> None:
    ticks: list[tuple[int, int]] = []
    made = prepare(config(split={"stratify": ["age"]}), scans, tmp_path / "v", lambda d, n: ticks.append((d, n)))
    assert not made.reused
    assert not made.rejected
    assert ticks[0] == (0, SUBJECTS)
    assert ticks[-1] == (SUBJECTS, SUBJECTS)
    assert made.store.folder.name == f"small-phantom-{made.store.manifest.version[:12]}"
    for row in (0, 17, 39):
        subject = made.store.subjects[row]
        np.testing.assert_array_equal(made.store.read_rows(np.array([row]))[0], readers.read(scans / subject.path))
    made.store.verify()
    again = prepare(config(split={"stratify": ["age"]}), scans, tmp_path / "v", quiet)
    assert again.reused
    assert again.splits == made.splits
    assert again.store.folder == made.store.folder


def test_a_store_that_exists_needs_no_ray(scans: Path, tmp_path: Path) -> None:
    prepare(config(), scans, tmp_path / "v", quiet)
    code = (
        "import sys; from pathlib import Path; from services.prepare import prepare\n"
        "from trainers.config import DataConfig\n"
        f"config = DataConfig.model_validate_json({config().model_dump_json()!r})\n"
        f"made = prepare(config, Path({str(scans)!r}), Path({str(tmp_path / 'v')!r}), lambda d, n: None)\n"
        "assert made.reused and 'ray' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])


@pytest.mark.parametrize("change", ["image", "label", "transforms"])
def test_the_version_follows_sources_labels_and_transforms(scans: Path, tmp_path: Path, change: str) -> None:
    before = prepare(config(), scans, tmp_path / "v", quiet).store.manifest.version
    changed = config()
    match change:
        case "image":
            shutil.copy(image_of(scans, 1), image_of(scans, 2))
        case "label":
            table = scans / "participants.tsv"
            table.write_text(table.read_text() + f"sub-9999\t{33.3}\tF\tstudy-1\t1.0\n")
            shutil.copy(image_of(scans, 1), image_of(scans, 9999))
        case "transforms":
            changed = config(transforms=[{"Resize": {"spatial_size": [3, 4, 3]}}])
    after = prepare(changed, scans, tmp_path / "v", quiet)
    assert after.store.manifest.version != before
    assert not after.reused
    assert after.store.image_shape == ((1, 3, 4, 3) if change == "transforms" else (1, 6, 8, 6))


def test_what_cannot_be_used_is_rejected_by_name_and_the_rest_goes_on(scans: Path, tmp_path: Path) -> None:
    truncated, wrong, infinite, text = (image_of(scans, number) for number in (3, 5, 7, 9))
    truncated.write_bytes(truncated.read_bytes()[:-30])
    shutil.copy(
        write_phantom(tmp_path / "o", subjects=1, shape=(5, 5, 5)).parent / "stiffness/sub-0001_stiffness.nii.gz", wrong
    )
    volume = bytearray(gzip.decompress(infinite.read_bytes()))
    volume[-4:] = np.float32(np.inf).tobytes()
    infinite.write_bytes(gzip.compress(bytes(volume)))
    text.write_text("this is no NIfTI file")
    image_of(scans, 11).unlink()
    image_of(scans, 11).mkdir()
    table = scans / "participants.tsv"
    lines = table.read_text().splitlines()
    lines[13] = lines[13].replace("\t", "\tunknown ", 1)
    table.write_text("\n".join(lines))
    made = prepare(config(max_rejected=0.2), scans, tmp_path / "v", quiet)
    reasons = {r.subject: r.reason for r in made.rejected}
    assert list(reasons) == ["sub-0003", "sub-0005", "sub-0007", "sub-0009", "sub-0011", "sub-0013"]
    assert "EOFError" in reasons["sub-0003"]
    assert reasons["sub-0005"] == "shape (1, 5, 5, 5) differs from the others' (1, 6, 8, 6)"
    assert reasons["sub-0007"] == "1 of 288 voxels are not finite"
    assert "cannot be read" in reasons["sub-0009"]
    assert reasons["sub-0011"] == "is no file"
    assert "label is no finite number" in reasons["sub-0013"]
    assert len(made.store.subjects) == SUBJECTS - 6
    row = [s.id for s in made.store.subjects].index("sub-0014")
    np.testing.assert_array_equal(made.store.read_rows(np.array([row]))[0], readers.read(image_of(scans, 14)))
    again = prepare(config(max_rejected=0.2), scans, tmp_path / "v", quiet)
    assert again.reused
    assert again.rejected == made.rejected
    with pytest.raises(UserError, match="6 of 40 subjects are rejected"):
        prepare(config(max_rejected=0.1), scans, tmp_path / "v", quiet)


def test_too_many_rejected_stop_with_the_count_and_leave_nothing(scans: Path, tmp_path: Path) -> None:
    for number in range(1, 6):
        image_of(scans, number).write_bytes(b"")
    with pytest.raises(UserError, match=r"5 of 40 subjects are rejected, more than data.max_rejected 0.05") as caught:
        prepare(config(), scans, tmp_path / "v", quiet)
    assert "sub-0001" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "v").iterdir()] == [".digests.json"]


def test_a_template_that_finds_no_image_is_said_once(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"40 of 40 subjects are rejected.*no such image"):
        prepare(config(image="maps/{participant_id}.nii"), scans, tmp_path / "v", quiet)
    with pytest.raises(UserError, match=r"no subject of participants.tsv can be used"):
        prepare(config(image="maps/{participant_id}.nii", max_rejected=1), scans, tmp_path / "v", quiet)
    with pytest.raises(UserError, match=r"none of \d+ images out of 40 can be used.*no reader for '.tsv'"):
        for number in range(1, SUBJECTS + 1):
            (scans / f"sub-{number:04d}.tsv").touch()
        prepare(config(image="{participant_id}.tsv"), scans, tmp_path / "v", quiet)


def test_a_transform_that_fails_rejects_and_one_that_is_unknown_stops(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="transforms fail on shape"):
        prepare(config(transforms=[{"Resize": {"spatial_size": [1, 2]}}]), scans, tmp_path / "v", quiet)
    with pytest.raises(UserError, match="unknown MONAI transform 'Resise'"):
        prepare(config(transforms=[{"Resise": {}}]), scans, tmp_path / "v", quiet)


def test_a_lost_shard_is_made_again_alone(scans: Path, tmp_path: Path) -> None:
    made = prepare(config(), scans, tmp_path / "v", quiet)
    lost, *kept = [made.store.folder / shard.file for shard in made.store.manifest.shards]
    stamps = [path.stat().st_mtime_ns for path in kept]
    lost.unlink()
    again = prepare(config(), scans, tmp_path / "v", quiet)
    assert not again.reused
    assert again.store.manifest == made.store.manifest
    assert [path.stat().st_mtime_ns for path in kept] == stamps
    again.store.verify()


def test_what_a_killed_prepare_left_behind_is_no_store_and_goes(scans: Path, tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    abandoned = tmp_path / "v" / f"small-phantom.partial-{os.uname().nodename}-{dead.pid}"
    abandoned.mkdir(parents=True)
    (abandoned / "shard-00000.parquet").touch()
    made = prepare(config(), scans, tmp_path / "v", quiet)
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == [".digests.json", made.store.folder.name]


def test_the_manifest_says_what_the_store_was_made_from(scans: Path, tmp_path: Path) -> None:
    made = prepare(config(), scans, tmp_path / "v", quiet, name="study")
    manifest = json.loads((made.store.folder / "manifest.json").read_text())
    assert made.store.folder.name.startswith("study-")
    assert manifest["columns"]["image"].startswith("extension<arrow.fixed_shape_tensor")
    assert manifest["labels"]["count"] == SUBJECTS
    assert manifest["subjects"][0]["path"] == PHANTOM_IMAGE.format(participant_id="sub-0001")
    assert str(tmp_path) not in json.dumps(manifest)


@pytest.mark.skipif(not SOOP.is_dir(), reason=f"the SOOP data are not at {SOOP}")
def test_real_pictures_are_read(tmp_path: Path) -> None:
    people = (SOOP / "participants.tsv").read_text().splitlines()
    (tmp_path / "participants.tsv").write_text("\n".join(people[:25]))
    (tmp_path / "flair_slices").symlink_to(SOOP / "flair_slices")
    flair = config(
        id="subject_id",
        image="flair_slices/{subject_id}_flair3plane.png",
        transforms=[{"Resize": {"spatial_size": [64, 160]}}, {"NormalizeIntensity": {"nonzero": True}}],
    )
    made = prepare(flair, tmp_path, tmp_path / "v", quiet)
    assert made.store.image_shape == (1, 64, 160)
    assert len(made.store.subjects) == 24
    images = made.store.read_rows(np.arange(24))
    assert np.isfinite(images).all()
    assert images.std(axis=(1, 2, 3)).min() > 0.3
