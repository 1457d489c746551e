import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.cifti2.cifti2_axes import BrainModelAxis, ScalarAxis
from rich.console import Console
from upath import UPath

from contrasweep.services.data.prepare import find_prepared, prepare
from contrasweep.services.screen.preparation import print_prepared
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data import readers
from contrasweep.trainers.data.phantom import PHANTOM_IMAGE, write_phantom
from contrasweep.trainers.data.store import VolumeStore
from contrasweep.trainers.errors import UserError

SUBJECTS = 40
SOOP = Path(__file__).resolve().parents[4] / "shared" / "data" / "soop"


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """The table's folder of a small phantom."""
    return write_phantom(tmp_path / "Small Phantom", subjects=SUBJECTS, shape=(6, 8, 6)).parent


def config(**changes: Any) -> DataConfig:
    given: dict[str, Any] = {"participants": "participants.tsv", "image": PHANTOM_IMAGE, "label": "age", "group": "sex"}
    return DataConfig(**{**given, **changes})


def image_of(scans: Path, number: int) -> Path:
    return scans / PHANTOM_IMAGE.format(participant_id=f"sub-{number:04d}")


def quiet(step: str, done: int, total: int) -> None:
    pass


def test_a_store_holds_every_image_and_preparing_again_is_instant(scans: Path, tmp_path: Path) -> None:
    ticks: list[tuple[str, int, int]] = []
    made = prepare(config(split={"stratify": ["age"]}), scans, tmp_path / "v", lambda *tick: ticks.append(tick))
    assert not made.reused
    assert not made.rejected
    assert ticks[:SUBJECTS] == [("checksums", done, SUBJECTS) for done in range(1, SUBJECTS + 1)]
    assert ticks[SUBJECTS] == ("preparing", 0, SUBJECTS)
    assert ticks[-1] == ("preparing", SUBJECTS, SUBJECTS)
    assert made.store.folder.name == f"small-phantom-{made.store.manifest.version[:12]}"
    for row in (0, 17, 39):
        subject = made.store.subjects[row]
        np.testing.assert_array_equal(
            made.store.read_rows(np.array([row]))[0], readers.read(scans / subject.path).values
        )
    assert not made.store.damaged()
    again = prepare(config(split={"stratify": ["age"]}), scans, tmp_path / "v", quiet)
    assert again.reused
    assert again.first.splits == made.first.splits
    assert again.store.folder == made.store.folder


def test_stores_that_exist_are_found_without_what_makes_them(scans: Path, tmp_path: Path) -> None:
    """The imports of torch, MONAI and Ray take seconds."""
    young = {"name": "young", "participants": "participants.tsv", "image": PHANTOM_IMAGE, "where": {"age": {"max": 45}}}
    asked = config(
        transforms=[{"Flip": {"spatial_axis": 0}}], normalize="training", covariates=["sex"], external=[young]
    )
    assert find_prepared(asked, scans, tmp_path / "v") is None
    made = prepare(asked, scans, tmp_path / "v", quiet)
    code = (
        "import sys; from pathlib import Path; from contrasweep.services.data.prepare import find_prepared\n"
        "from contrasweep.trainers.config import DataConfig\n"
        f"config = DataConfig.model_validate_json({asked.model_dump_json()!r})\n"
        f"found = find_prepared(config, Path({str(scans)!r}), Path({str(tmp_path / 'v')!r}))\n"
        "assert found and found.reused, found\n"
        "print(found.store.folder, found.external['young'].store.folder, found.first)\n"
        "assert not {'ray', 'torch', 'monai'} & {*sys.modules}\n"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    parts = (made.store.folder, made.external["young"].store.folder, made.first)
    assert told.strip() == " ".join(map(str, parts))


@pytest.mark.parametrize("lacks", ["an image", "a label", "a transform", "a shard", "a manifest", "a cohort"])
def test_stores_that_lack_anything_are_not_found(scans: Path, tmp_path: Path, lacks: str) -> None:
    asked = config()
    made = prepare(asked, scans, tmp_path / "v", quiet)
    assert find_prepared(asked, scans, tmp_path / "v")
    if lacks == "an image":
        shutil.copy(image_of(scans, 2), image_of(scans, 1))
    elif lacks == "a label":
        table = scans / "participants.tsv"
        table.write_text(table.read_text().replace("sub-0003\t", "sub-0003\t1"))
    elif lacks == "a transform":
        asked = config(transforms=[{"Flip": {"spatial_axis": 0}}])
    elif lacks == "a cohort":
        asked = config(external=[{"name": "all", "participants": "participants.tsv", "image": PHANTOM_IMAGE}])
    else:
        (made.store.folder / ("manifest.json" if lacks == "a manifest" else "shard-00000.parquet")).unlink()
    assert find_prepared(asked, scans, tmp_path / "v") is None


@pytest.mark.ray
def test_a_store_does_not_depend_on_where_it_is_made(
    scans: Path, tmp_path: Path, ray_local: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [{"Resize": {"spatial_size": [3, 4, 3]}}, {"NormalizeIntensity": {}}]
    here = prepare(config(transforms=steps), scans, tmp_path / "here", quiet).store.manifest
    monkeypatch.setattr("contrasweep.services.cluster.parallel.has_joined", lambda: True)
    there = prepare(config(transforms=steps), scans, tmp_path / "cluster", quiet).store.manifest
    assert here == there, "with every shard's digest"


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
    assert "ends early" in reasons["sub-0003"]
    assert reasons["sub-0005"] == "shape (1, 5, 5, 5) differs from the others' (1, 6, 8, 6)"
    assert reasons["sub-0007"] == "1 of 288 voxels are not finite"
    assert reasons["sub-0009"] in ("is no gzip file", "is no NIfTI file") or "gzip" in reasons["sub-0009"]
    assert "holds no DICOM" in reasons["sub-0011"]
    assert "label is no finite number" in reasons["sub-0013"]
    assert len(made.store.subjects) == SUBJECTS - 6
    row = [s.id for s in made.store.subjects].index("sub-0014")
    np.testing.assert_array_equal(made.store.read_rows(np.array([row]))[0], readers.read(image_of(scans, 14)).values)
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
    with pytest.raises(UserError, match=r"none of \d+ images out of 40 can be used.*no reader for the ending '.xyz'"):
        for number in range(1, SUBJECTS + 1):
            (scans / f"sub-{number:04d}.xyz").write_text("text")
        prepare(config(image="{participant_id}.xyz"), scans, tmp_path / "v", quiet)


def test_a_transform_that_fails_rejects_and_one_that_is_unknown_stops(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.transforms\[0\] Resize fails on shape"):
        prepare(config(transforms=[{"Resize": {"spatial_size": [1, 2]}}]), scans, tmp_path / "v", quiet)
    with pytest.raises(UserError, match="unknown transform 'Resise'; did you mean 'Resize'"):
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
    assert not again.store.damaged()


def test_a_shard_that_changed_is_made_again_alone(scans: Path, tmp_path: Path) -> None:
    made = prepare(config(), scans, tmp_path / "v", quiet)
    path = made.store.folder / made.store.manifest.shards[1].file
    content = path.read_bytes()
    path.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    ticks: list[tuple[str, int, int]] = []
    again = prepare(config(), scans, tmp_path / "v", lambda *tick: ticks.append(tick))
    assert (again.reused, again.mended) == (False, (path.name,))
    assert path.read_bytes() == content
    assert ticks[-1] == ("preparing", made.store.manifest.shards[1].rows, made.store.manifest.shards[1].rows)


def test_a_prepare_that_was_killed_leaves_no_store_and_goes_on(scans: Path, tmp_path: Path) -> None:
    made = prepare(config(), scans, tmp_path / "v", quiet)
    folder, shards = made.store.folder, made.store.manifest.shards

    class KilledError(BaseException):
        pass

    def kill_after_two(step: str, done: int, total: int) -> None:
        if step == "preparing" and done == sum(shard.rows for shard in shards[:2]):
            raise KilledError

    shutil.rmtree(str(folder))
    with pytest.raises(KilledError):
        prepare(config(), scans, tmp_path / "v", kill_after_two)
    with pytest.raises(UserError, match="is no volume store"):
        VolumeStore.open(folder)
    stamps = {shard.file: (folder / shard.file).stat().st_mtime_ns for shard in shards[:2]}
    shutil.copy(
        str(folder / shards[0].file), str(folder / f".{shards[0].file}.1-2")
    )  # half-written by a worker that was killed
    again = prepare(config(), scans, tmp_path / "v", quiet)
    assert again.store.manifest == made.store.manifest
    assert {name: (folder / name).stat().st_mtime_ns for name in stamps} == stamps, "what was done is not done again"
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_another_prepare_may_finish_the_store_meanwhile(scans: Path, tmp_path: Path) -> None:
    others: list[VolumeStore] = []

    def another(step: str, done: int, total: int) -> None:
        if step == "preparing" and done and not others:
            others.append(prepare(config(), scans, tmp_path / "v", quiet).store)

    mine = prepare(config(), scans, tmp_path / "v", another).store
    assert mine.manifest == others[0].manifest
    assert not mine.damaged()


def test_a_source_that_changes_after_it_was_stored_leaves_another_runs_store(scans: Path, tmp_path: Path) -> None:
    others: list[VolumeStore] = []

    def another_and_change(step: str, done: int, total: int) -> None:
        if (step, done) == ("preparing", total):
            others.append(prepare(config(), scans, tmp_path / "v", quiet).store)
            shutil.copy(image_of(scans, 2), image_of(scans, 1))

    with pytest.raises(UserError, match="changed while it was read"):
        prepare(config(), scans, tmp_path / "v", another_and_change)
    assert not others[0].damaged()
    assert VolumeStore.open(others[0].folder).manifest == others[0].manifest


def test_a_source_that_changes_after_its_checksum_makes_no_store(scans: Path, tmp_path: Path) -> None:
    def change(step: str, done: int, total: int) -> None:
        if (step, done) == ("preparing", 0):
            shutil.copy(image_of(scans, 2), image_of(scans, 1))

    with pytest.raises(UserError, match=r"sub-0001.* changed while it was read; prepare again when it is done"):
        prepare(config(), scans, tmp_path / "v", change)
    assert not list((tmp_path / "v").glob("*/manifest.json"))
    first, second = prepare(config(), scans, tmp_path / "v", quiet).store.subjects[:2]
    assert (first.digest, first.content) == (second.digest, second.content)


def test_a_store_that_cannot_be_written_is_one_line(scans: Path, tmp_path: Path) -> None:
    folder = prepare(config(), scans, tmp_path / "v", quiet).store.folder
    shutil.rmtree(str(folder))
    folder.mkdir()
    (folder / "shard-00000.parquet").mkdir()
    with pytest.raises(UserError, match=r"shard-00000.parquet cannot be made: .*is kept, prepare again") as caught:
        prepare(config(), scans, tmp_path / "v", quiet)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("dtype", "scale"), [("float16", 1.0), ("uint8", 255.0)])
def test_values_are_kept_in_the_dtype_asked_for(scans: Path, tmp_path: Path, dtype: str, scale: float) -> None:
    to_range = {"ScaleIntensity": {"minv": 0.0, "maxv": scale}}
    kept, exact = (
        prepare(config(transforms=[to_range], dtype=of), scans, tmp_path / "v", quiet).store
        for of in (dtype, "float32")
    )
    assert (kept.manifest.dtype, kept.volume_nbytes) == (dtype, 288 * np.dtype(dtype).itemsize)
    assert kept.manifest.version != exact.manifest.version
    off = np.abs(kept.read_rows(np.arange(SUBJECTS)).astype(float) - exact.read_rows(np.arange(SUBJECTS)))
    assert off.max() <= (0.5 if dtype == "uint8" else 2**-11)


def test_values_that_the_dtype_would_lose_are_refused(scans: Path, tmp_path: Path) -> None:
    lossy: list[dict[str, dict[str, Any]]] = [{"ScaleIntensity": {}}, {"NormalizeIntensity": {}}]
    for transform in lossy:
        with pytest.raises(UserError, match=r"none of 14 images out of 40 can be used.*data.dtype uint8"):
            prepare(config(transforms=[transform], dtype="uint8"), scans, tmp_path / "v", quiet)


def test_normalization_is_fitted_on_the_training_split(scans: Path, tmp_path: Path) -> None:
    made = prepare(config(normalize="training"), scans, tmp_path / "v", quiet)
    train = made.store.load(made.first.splits.train).images
    assert made.first.normalization is not None
    assert made.first.normalization.mean[0] == pytest.approx(train.mean(), rel=1e-4)
    assert made.first.normalization.std[0] == pytest.approx(train.std(), rel=1e-4)
    assert prepare(config(), scans, tmp_path / "v", quiet).first.normalization is None


def test_what_is_trained_on_makes_no_other_store_and_all_that_is_fitted_is_fitted_on_it(
    scans: Path, tmp_path: Path
) -> None:
    asked = {"normalize": "training", "covariates": ["sex"]}
    train = {"where": {"sex": "F"}, "size": 6, "permute": "values"}
    whole = prepare(config(**asked), scans, tmp_path / "v", quiet)
    left = prepare(config(**asked, train=train), scans, tmp_path / "v", quiet)
    assert left.reused
    assert left.store.folder == whole.store.folder
    assert (left.first.splits.validation, left.first.splits.test) == (
        whole.first.splits.validation,
        whole.first.splits.test,
    )
    assert len(left.first.splits.train) == 6
    assert {scan.group for scan in left.store.subjects if scan.id in left.first.splits.train} == {"F"}
    assert left.first.covariates is not None
    assert left.first.covariates.levels == {"sex": ("F",)}
    assert left.first.normalization is not None
    assert left.first.normalization.mean[0] == pytest.approx(
        left.store.load(left.first.splits.train).images.mean(), rel=1e-4
    )
    found = find_prepared(config(**asked, train=train), scans, tmp_path / "v")
    assert found is not None
    assert found.first.splits == left.first.splits


def test_what_is_left_to_train_on_is_printed(scans: Path, tmp_path: Path) -> None:
    file = io.StringIO()
    for train in ({}, {"size": 6}):
        print_prepared(Console(file=file), {(): prepare(config(train=train), scans, tmp_path / "v", quiet)}, 1.0)
    assert [line for line in file.getvalue().splitlines() if line.startswith("train")] == ["training  6 of 24 scans"]


def test_a_store_can_be_made_in_an_object_store(scans: Path, tmp_path: Path, bucket: UPath) -> None:
    local = prepare(config(), scans, tmp_path / "v", quiet)
    far = prepare(config(), scans, bucket / "prepared", quiet)
    assert far.store.manifest == local.store.manifest
    np.testing.assert_array_equal(far.store.read_rows(np.arange(4)), local.store.read_rows(np.arange(4)))
    (far.store.folder / far.store.manifest.shards[0].file).unlink()
    assert not prepare(config(), scans, bucket / "prepared", quiet).reused
    assert prepare(config(), scans, bucket / "prepared", quiet).reused
    for number in range(1, 6):
        image_of(scans, number).write_bytes(b"")
    with pytest.raises(UserError, match="5 of 40 subjects are rejected"):
        prepare(config(), scans, bucket / "prepared", quiet)
    assert {path.name for path in (bucket / "prepared").iterdir()} == {".digests.json", far.store.folder.name}


def test_the_manifest_says_what_the_store_was_made_from(scans: Path, tmp_path: Path) -> None:
    made = prepare(config(), scans, tmp_path / "v", quiet, name="study")
    manifest = json.loads((made.store.folder / "manifest.json").read_text())
    assert made.store.folder.name.startswith("study-")
    assert manifest["columns"]["image"] == "fixed_size_binary[1152]"
    assert manifest["dtype"] == "float32"
    assert manifest["labels"]["count"] == SUBJECTS
    first = manifest["subjects"][0]
    image = readers.read(image_of(scans, 1))
    assert first["path"] == PHANTOM_IMAGE.format(participant_id="sub-0001")
    assert first["digest"] == hashlib.sha256(image_of(scans, 1).read_bytes()).hexdigest()
    assert first["content"] == hashlib.sha256(image.values.tobytes()).hexdigest()
    assert (first["source"]["orientation"], first["source"]["shape"]) == ("RAS", [1, 6, 8, 6])
    assert first["source"]["maximum"] == image.values.max()
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


def test_the_form_that_counts_is_said_once_for_a_data_set(tmp_path: Path) -> None:
    """ACDC's files contradict themselves; their qform is right."""
    lines = ["participant_id\tef"]
    generator = np.random.default_rng(0)
    for number in range(12):
        image = nib.Nifti1Image(generator.integers(1, 900, (6, 6, 4)).astype("i2"), None)
        image.set_qform(np.diag([-1.31579, -1.31579, 10, 1]), 1)
        image.set_sform(np.diag([-1.0, -1, 1, 1]), 1)
        nib.save(image, tmp_path / f"patient{number:03d}.nii.gz")
        lines.append(f"patient{number:03d}\t{30 + number}")
    (tmp_path / "participants.tsv").write_text("\n".join(lines) + "\n")
    given = {"image": "{participant_id}.nii.gz", "label": "ef", "group": None}
    with pytest.raises(UserError, match=r"sform says LPS 1 x 1 x 1 mm, qform .* data\.affine say which counts"):
        prepare(config(**given), tmp_path, tmp_path / "v", quiet)
    spacings = {
        affine: prepare(config(**given, affine=affine), tmp_path, tmp_path / "v", quiet).store.subjects[0].source
        for affine in ("qform", "sform")
    }
    assert spacings["qform"].spacing_mm == pytest.approx((1.31579, 1.31579, 10))
    assert spacings["sform"].spacing_mm == (1, 1, 1)
    assert len(list((tmp_path / "v").glob("*/manifest.json"))) == 2


def test_vectors_of_cifti_are_normalised(tmp_path: Path) -> None:
    """A negative stride on an axis of length 1 was what torch refused."""
    vertices = BrainModelAxis.from_mask(np.ones(30), name="cortex_left")
    lines = ["participant_id\tage"]
    generator = np.random.default_rng(0)
    for number in range(12):
        values = generator.normal(size=(1, 30)).astype("f4")
        path = tmp_path / f"{number}.thickness.32k_fs_LR.dscalar.nii"
        nib.save(nib.Cifti2Image(values, (ScalarAxis(["thickness"]), vertices)), path)
        lines.append(f"{number}\t{20 + number}")
    (tmp_path / "participants.tsv").write_text("\n".join(lines) + "\n")
    image = "{participant_id}.thickness.32k_fs_LR.dscalar.nii"
    transforms: list[Any] = [{"NormalizeIntensity": {}}]
    made = prepare(config(image=image, group=None, transforms=transforms), tmp_path, tmp_path / "v", quiet)
    assert made.store.image_shape == (1, 30)
    assert not made.rejected


def test_cohorts_have_stores_of_their_own_and_leave_the_studys_as_it_is(scans: Path, tmp_path: Path) -> None:
    """Of sixteen scans that are shared out, four are a cohort: too few to be split, and not split."""
    ticks: list[str] = []
    study = {"where": {"age": {"min": 40}}}
    cohort = {
        "name": "Young",
        "participants": "participants.tsv",
        "image": PHANTOM_IMAGE,
        "where": {"age": {"max": 30}},
    }
    alone = prepare(config(**study), scans, tmp_path / "v", quiet)
    both = prepare(config(**study, external=[cohort]), scans, tmp_path / "v", lambda step, *_: ticks.append(step))
    assert (both.store.folder, both.first.splits, both.reused) == (alone.store.folder, alone.first.splits, True)
    young = both.external["Young"]
    assert not young.reused and {"Young: checksums", "Young: preparing"} <= set(ticks)
    assert young.store.folder.name.startswith("young-")
    assert young.store.labels.max() <= 30 < 40 <= both.store.labels.min()
    assert [path.name for path in young.store.folder.iterdir() if "splits" in path.name] == [], "it is not split"
    assert prepare(config(**study, external=[cohort]), scans, tmp_path / "v", quiet).external["Young"].reused


def test_a_cohort_of_another_shape_is_refused_with_both_shapes(scans: Path, tmp_path: Path) -> None:
    resized = [{"Resize": {"spatial_size": [3, 4, 3]}}]
    cohort = {"name": "small", "participants": "participants.tsv", "image": PHANTOM_IMAGE, "transforms": resized}
    with pytest.raises(UserError, match=r"^data.external \(small\): prepared images \[1, 3, 4, 3\].* \[1, 6, 8, 6\]"):
        prepare(config(external=[cohort]), scans, tmp_path / "v", quiet)


TWO = {"elastic": "elastic/{participant_id}.nii.gz", "damping": "damping/{participant_id}.nii.gz"}


@pytest.fixture
def pairs(scans: Path) -> Path:
    """The phantom's table with two images of everybody, of different scales."""
    rng = np.random.default_rng(0)
    for scale, folder in enumerate(TWO, start=1):
        (scans / folder).mkdir()
        for number in range(1, SUBJECTS + 1):
            values = 10.0**scale * rng.random((6, 8, 6), dtype=np.float32)
            nib.save(nib.Nifti1Image(values, np.eye(4)), scans / folder / f"sub-{number:04d}.nii.gz")
    return scans


def test_channels_of_several_images_are_those_of_stores_of_one(pairs: Path, tmp_path: Path) -> None:
    steps: list[Any] = [{"Resize": {"spatial_size": [3, 4, 3]}}, {"NormalizeIntensity": {}}]
    ticks: list[tuple[str, int, int]] = []
    made = prepare(config(image=TWO, transforms=steps), pairs, tmp_path / "v", lambda *tick: ticks.append(tick))
    assert ("checksums", 2 * SUBJECTS, 2 * SUBJECTS) in ticks
    assert made.store.image_shape == (2, 3, 4, 3)
    assert not made.rejected
    rows = np.arange(SUBJECTS)
    for channel, text in enumerate(TWO.values()):
        alone = prepare(config(image=text, transforms=steps), pairs, tmp_path / "v", quiet).store
        np.testing.assert_array_equal(made.store.read_rows(rows)[:, channel], alone.read_rows(rows)[:, 0])
    assert prepare(config(image=TWO, transforms=steps), pairs, tmp_path / "v", quiet).reused
    normalization = prepare(config(image=TWO, normalize="training"), pairs, tmp_path / "v", quiet).first.normalization
    assert normalization is not None
    np.testing.assert_allclose(normalization.mean, (5, 50), rtol=0.05)


def test_the_manifest_tells_of_every_image(pairs: Path, tmp_path: Path) -> None:
    made = prepare(config(image=TWO), pairs, tmp_path / "v", quiet)
    (first, *_) = made.store.subjects
    files = [pairs / text.format(participant_id="sub-0001") for text in TWO.values()]
    assert list(first.images) == list(TWO)
    assert [image.path for image in first.images.values()] == [str(file.relative_to(pairs)) for file in files]
    assert first.digests == tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    assert [source.maximum for source in first.sources.values()] == [readers.read(file).values.max() for file in files]
    assert (first.path, first.source) == (first.images["elastic"].path, first.sources["elastic"])
    alone = prepare(config(image=TWO["elastic"]), pairs, tmp_path / "v", quiet)
    assert "images" not in json.loads((alone.store.folder / "manifest.json").read_text())["subjects"][0]


def test_a_scan_lacking_an_image_or_on_two_grids_is_rejected_by_name(pairs: Path, tmp_path: Path) -> None:
    image = readers.read(pairs / "damping/sub-0005.nii.gz").values[0]
    (pairs / "damping/sub-0003.nii.gz").unlink()
    nib.save(nib.Nifti1Image(image[:5], np.eye(4)), pairs / "damping/sub-0005.nii.gz")
    nib.save(nib.Nifti1Image(image, np.diag([1.0, 1, 1.5, 1])), pairs / "damping/sub-0007.nii.gz")
    (pairs / "elastic/sub-0009.nii.gz").write_text("this is no NIfTI file")
    made = prepare(config(image=TWO, max_rejected=0.1), pairs, tmp_path / "v", quiet)
    reasons = {r.subject: r.reason for r in made.rejected}
    assert list(reasons) == ["sub-0003", "sub-0005", "sub-0007", "sub-0009"]
    assert reasons["sub-0003"] == "damping: no such image"
    assert reasons["sub-0005"].startswith("damping: shape [5, 8, 6] differs from elastic's [6, 8, 6]; ")
    assert reasons["sub-0007"].startswith("damping: affine [1, 0, 0, 0; 0, 1, 0, 0; 0, 0, 1.5, 0] differs from elasti")
    assert reasons["sub-0009"].startswith("elastic: ")
    assert [r.path for r in made.rejected] == [None] * 4
    assert len(made.store.subjects) == SUBJECTS - 4
    with pytest.raises(UserError, match=r"4 of 40 subjects are rejected.*first: sub-0003: damping: no such image; "):
        prepare(config(image=TWO), pairs, tmp_path / "v", quiet)


def test_any_image_that_changes_makes_another_store(pairs: Path, tmp_path: Path) -> None:
    first = prepare(config(image=TWO), pairs, tmp_path / "v", quiet).store
    shutil.copy(pairs / "elastic/sub-0001.nii.gz", pairs / "damping/sub-0002.nii.gz")
    second = prepare(config(image=TWO), pairs, tmp_path / "v", quiet).store
    assert second.manifest.version != first.manifest.version
    changed = [n for n, (a, b) in enumerate(zip(first.subjects, second.subjects, strict=True)) if a != b]
    assert changed == [1]
    np.testing.assert_array_equal(second.read_rows(np.array([1]))[0, 1], first.read_rows(np.array([0]))[0, 0])


def test_an_image_that_no_scan_has_is_said_with_its_name(pairs: Path, tmp_path: Path) -> None:
    for number in range(1, SUBJECTS + 1):
        nib.save(nib.Nifti1Image(np.ones((6, 8, 6)), np.eye(4)), pairs / f"damping/sub-{number:04d}.nii.gz")
    told = r"none of \d+ images out of 40 can be used; first: sub-0001: damping: has no contrast: every voxel is 1$"
    with pytest.raises(UserError, match=told):
        prepare(config(image=TWO), pairs, tmp_path / "v", quiet)
