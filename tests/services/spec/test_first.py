"""`contrasweep init`: the spec that it writes is one that runs."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from contrasweep.services.data.validate import list_scans, prepared_shape, validate_data
from contrasweep.services.spec import first
from contrasweep.services.spec.checks import check_image_shape, check_spec
from contrasweep.services.spec.look import Machine
from contrasweep.services.spec.spec import LoadedSpec, load_spec
from contrasweep.trainers.config import ModelConfig, TrainingConfig
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.rehearsal import step_seconds

CPUS = Machine(cpus=4, memory_bytes=16e9)
GPU = Machine(cpus=16, memory_bytes=128e9, gpus=1, gpu_bytes=80e9, bf16=True)


def write_first_spec(
    path: Path,
    options: Mapping[str, Any],
    recipe: str | None = None,
    values: Mapping[str, str] | None = None,
    *,
    hours: float = 2.0,
    machine: Machine = CPUS,
    step_s: float = 0.1,
) -> list[str]:
    """On a machine where a step takes so long."""
    return first.write_first_spec(
        path, options, recipe, values, hours=hours, machine=machine, step_seconds=lambda *_: step_s
    )


def write_png(path: Path, rng: np.random.Generator) -> None:
    Image.fromarray(rng.integers(0, 255, (30, 300), dtype=np.uint8)).save(path)


def write_nifti(path: Path, rng: np.random.Generator) -> None:
    nib.save(nib.Nifti1Image(rng.random((8, 9, 10), dtype=np.float32), np.eye(4)), path)


def write_npy(path: Path, rng: np.random.Generator) -> None:
    np.save(path, rng.random((5, 40), dtype=np.float32))


def dataset(folder: Path, ending: str, write: Callable[[Path, np.random.Generator], None]) -> Path:
    """40 subjects, the first without a scan."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["subject_id\tage\tsite name"]
    for number in range(40):
        lines.append(f"s{number:02d}\t{20 + number}\tA")
        if number:
            write(folder / f"s{number:02d}{ending}", rng)
    table = folder / "participants.tsv"
    table.write_text("\n".join(lines) + "\n")
    return table


def given(table: Path, image: str, label: str) -> dict[str, str]:
    return {"participants": str(table), "image": image, "label": label}


@pytest.mark.parametrize(
    ("ending", "write", "dims", "transforms"),
    [
        (".png", write_png, 2, [{"Resize": {"spatial_size": [16, 160]}}, {"NormalizeIntensity": {"nonzero": True}}]),
        (".nii.gz", write_nifti, 3, [{"NormalizeIntensity": {"nonzero": True}}]),
        (".npy", write_npy, 1, [{"NormalizeIntensity": {"channel_wise": True}}]),
    ],
)
def test_the_first_spec_is_valid(
    tmp_path: Path,
    ending: str,
    write: Callable[[Path, np.random.Generator], None],
    dims: int,
    transforms: list[dict[str, object]],
) -> None:
    table = dataset(tmp_path / "data", ending, write)
    path = tmp_path / "specs" / "My Study 2.yaml"
    write_first_spec(path, given(table, f"{{subject_id}}{ending}", "age"))
    loaded = load_spec(path)
    check_spec(loaded)
    printed = validated(loaded)
    assert "39 usable, 1 rejected" in printed
    assert f"sweep id {loaded.spec.sweep_id}" in printed
    spec = loaded.spec
    assert spec.name == "my-study-2"
    assert spec.model.spatial_dims == dims
    assert spec.data.participants == "../data/participants.tsv", "the same wherever the folders are moved together"
    assert spec.data.id == "subject_id"
    assert [dict(one) for one in spec.data.transforms] == transforms
    assert spec.training.batch_size == 8


def validated(loaded: LoadedSpec) -> str:
    file = io.StringIO()
    validate_data(loaded, Console(file=file, width=200))
    return file.getvalue()


def test_the_id_is_a_column_of_the_template_where_none_has_a_usual_name(tmp_path: Path) -> None:
    table = dataset(tmp_path, ".npy", write_npy)
    table.write_text(table.read_text().replace("subject_id\tage\tsite name", "code\tage\tsite").replace("\tA", "\tB"))
    lines = [line.split("\t") for line in table.read_text().splitlines()]
    table.write_text("\n".join("\t".join((site, code, age)) for code, age, site in lines) + "\n")
    write_first_spec(tmp_path / "study.yaml", given(table, "{code}.npy", "age"))
    assert load_spec(tmp_path / "study.yaml").spec.data.id == "code"


def test_several_scans_of_a_patient_are_sessions(tmp_path: Path) -> None:
    table = dataset(tmp_path, ".npy", write_npy)
    rows = [line.split("\t") for line in table.read_text().splitlines()[2:]]
    lines = ["file\tPatient\tage", *(f"{name}\tp{index // 3}\t{age}" for index, (name, age, _) in enumerate(rows))]
    table.write_text("\n".join(lines) + "\n")
    write_first_spec(tmp_path / "study.yaml", given(table, "{file}.npy", "age"))
    data = load_spec(tmp_path / "study.yaml").spec.data
    assert (data.id, data.session) == ("Patient", "file")


@pytest.mark.parametrize(
    ("columns", "image", "id_", "session"),
    [
        ("Image Index,Follow-up #,Patient ID", "{Image Index}.npy", "Patient ID", "Image Index"),
        ("file,StudyDate,PatientID", "{file}.npy", "PatientID", "file"),
        ("label,day,OASISID", "{label}.npy", "OASISID", "label"),
        ("file,valid,participant code", "{file}.npy", "participant code", "file"),
        ("Image Data ID,Visit,Subject", "{Image Data ID}.npy", "Subject", "Image Data ID"),
        ("id,boneage,male", "{id}.npy", "id", None),
    ],
)
def test_what_names_the_image_is_not_whose_it_is_while_another_column_repeats(
    tmp_path: Path, columns: str, image: str, id_: str, session: str | None
) -> None:
    dataset(tmp_path, ".npy", write_npy)
    lines = [f"{columns},age", *(f"s{number:02d},{number % 4},P{number // 4},{20 + number}" for number in range(1, 40))]
    if id_ == "id":
        lines = [lines[0], *(f"s{number:02d},{number},{number % 2},{20 + number}" for number in range(1, 40))]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    said = write_first_spec(tmp_path / "study.yaml", given(tmp_path / "table.csv", image, "age"))
    data = load_spec(tmp_path / "study.yaml").spec.data
    assert (data.id, data.session) == (id_, session)
    assert said[0].startswith(f"{id_} says whose a scan is: {10 if session else 39} people")


def test_columns_may_be_told(tmp_path: Path) -> None:
    dataset(tmp_path, ".npy", write_npy)
    rows = [f"s{n:02d}\t{n // 2}\t{n % 2}\t{20 + n}\t{'FM'[n % 2]}" for n in range(2, 40)]
    table = tmp_path / "participants.tsv"
    table.write_text("\n".join(["scan\twho\tvisit\tage\tsex", *rows]) + "\n")
    told = {"id": "who", "session": "visit", "group": "sex"}
    assert write_first_spec(tmp_path / "study.yaml", given(table, "{scan}.npy", "age") | told)[0].startswith("seen: 19")
    data = load_spec(tmp_path / "study.yaml").spec.data
    assert (data.id, data.session, data.group) == ("who", "visit", "sex")


def test_an_array_that_is_a_batch_of_one_is_squeezed(tmp_path: Path) -> None:
    table = dataset(tmp_path, ".npy", lambda path, rng: np.save(path, rng.random((1, 1, 6, 7, 8), dtype=np.float32)))
    write_first_spec(tmp_path / "study.yaml", given(table, "{subject_id}.npy", "age"))
    spec = load_spec(tmp_path / "study.yaml").spec
    assert (spec.model.spatial_dims, spec.data.transforms[0]) == (3, {"SqueezeDim": {"dim": 0}})
    assert "39 usable" in validated(load_spec(tmp_path / "study.yaml"))


@pytest.mark.parametrize(
    ("shape", "axis", "dims"),
    [((18, 22, 19), "no_channel", 3), ((20, 30, 3), -1, 2), ((18, 22, 19, 5), -1, 3), ((4, 22, 19), None, 2)],
)
def test_an_array_without_channels_in_front_gets_them(
    tmp_path: Path, shape: tuple[int, ...], axis: str | int | None, dims: int
) -> None:
    table = dataset(tmp_path, ".npy", lambda path, rng: np.save(path, rng.random(shape, dtype=np.float32)))
    write_first_spec(tmp_path / "study.yaml", given(table, "{subject_id}.npy", "age"))
    spec = load_spec(tmp_path / "study.yaml").spec
    steps = [step for step in spec.data.transforms if "EnsureChannelFirst" in step]
    assert steps == ([{"EnsureChannelFirst": {"channel_dim": axis}}] if axis is not None else [])
    assert spec.model.spatial_dims == dims
    assert "39 usable" in validated(load_spec(tmp_path / "study.yaml"))


def test_why_no_file_can_be_read_is_said(tmp_path: Path) -> None:
    table = dataset(tmp_path, ".npy", lambda path, rng: np.save(path, rng.random((2, 3, 4, 5, 6), dtype=np.float32)))
    with pytest.raises(UserError, match=r"no file like .*; first: .*s01.npy: has 4 dimensions beside its channels"):
        write_first_spec(tmp_path / "study.yaml", given(table, "{subject_id}.npy", "age"))
    for path in tmp_path.glob("*.npy"):
        path.write_text("words")
    with pytest.raises(UserError, match=r"first: .*s01.npy: is no .npy file"):
        write_first_spec(tmp_path / "study.yaml", given(table, "{subject_id}.npy", "age"))


def test_supremix_is_left_out_where_a_recipe_has_one_view(tmp_path: Path) -> None:
    table = dataset(tmp_path, ".npy", lambda path, rng: np.save(path, rng.random((5, 400), dtype=np.float32)))
    options = given(table, "{subject_id}.npy", "age")
    write_first_spec(tmp_path / "fmri.yaml", options, "fmri_series", {"tr_s": "0.8"})
    write_first_spec(tmp_path / "plain.yaml", options)
    specs = [load_spec(tmp_path / name).spec for name in ("fmri.yaml", "plain.yaml")]
    assert [(spec.training.views, "supremix" in spec.search.spaces) for spec in specs] == [(1, False), (2, True)]


@pytest.mark.parametrize("label", ["no", "1e3", "age: at scan", "age, years", "#age", "inf", "[age]", "Alter (Jahre)"])
def test_a_label_that_yaml_would_misread(tmp_path: Path, label: str) -> None:
    table = dataset(tmp_path, ".npy", write_npy)
    table.write_text(table.read_text().replace("\tage\t", f"\t{label}\t"))
    write_first_spec(tmp_path / "study.yaml", given(table, "{subject_id}.npy", label))
    spec = load_spec(tmp_path / "study.yaml").spec
    assert spec.data.label == label
    assert spec.data.split.stratify == (label,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "agee"}, "--label: participants.tsv has no column 'agee'; did you mean 'age'?"),
        ({"label": "site name"}, "--label: column 'site name' of participants.tsv holds no numbers"),
        (
            {"image": "{subjectid}.npy"},
            "--image: participants.tsv has no column 'subjectid'; did you mean 'subject_id'?",
        ),
        ({"image": "{subject_id.npy"}, "--image: '{subject_id.npy' is no template"),
        ({"image": "{subject_id}.nii"}, "--image: no file like"),
        ({"image": "{subject_id}.txt"}, "--image: no file like"),
        ({"participants": "participant.tsv"}, "--participants: no such file: "),
    ],
)
def test_mistakes(tmp_path: Path, options: dict[str, str], message: str) -> None:
    dataset(tmp_path, ".npy", write_npy)
    right = {"participants": "participants.tsv", "image": "{subject_id}.npy", "label": "age"}
    named = {**right, **options}
    path = tmp_path / "study.yaml"
    with pytest.raises(UserError) as error:
        write_first_spec(path, given(tmp_path / named["participants"], named["image"], named["label"]))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert not path.exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    table = dataset(tmp_path, ".npy", write_npy)
    path = tmp_path / "study.yaml"
    path.write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        write_first_spec(path, given(table, "{subject_id}.npy", "age"))
    assert path.read_text() == "mine"


def bids(folder: Path) -> dict[str, str]:
    """A BIDS data set of 40 subjects, each with a T1w and a T2w."""
    rng = np.random.default_rng(0)
    for number in range(40):
        anat = folder / f"sub-{number:02d}" / "anat"
        anat.mkdir(parents=True)
        for suffix in ("T1w", "T2w"):
            write_nifti(anat / f"sub-{number:02d}_{suffix}.nii.gz", rng)
    rows = [f"sub-{number:02d}\t{20 + number}" for number in range(40)]
    (folder / "participants.tsv").write_text("\n".join(["participant_id\tage", *rows]) + "\n")
    return {"bids": str(folder), "suffix": "T1w", "label": "age"}


def test_a_bids_data_set(tmp_path: Path) -> None:
    options = bids(tmp_path / "raw")
    path = tmp_path / "specs" / "study.yaml"
    write_first_spec(path, options)
    loaded = load_spec(path)
    assert (loaded.spec.data.bids, loaded.spec.data.suffix) == ("../raw", "T1w")
    check_spec(loaded)
    assert "40 usable, 0 rejected" in validated(loaded)


@pytest.mark.parametrize(
    ("left_out", "added", "message"),
    [
        (["bids", "suffix"], {}, "init: participants is missing; give participants and image, or bids and suffix"),
        (["suffix"], {}, "init: suffix is missing; give participants and image, or bids and suffix"),
        ([], {"image": "{participant_id}.png"}, "init: image is not allowed with bids"),
        ([], {"bids": "raww"}, "--bids: no such folder: raww"),
    ],
)
def test_mistakes_in_what_names_the_files(
    tmp_path: Path, left_out: list[str], added: dict[str, str], message: str
) -> None:
    options = {key: value for key, value in (bids(tmp_path) | added).items() if key not in left_out}
    with pytest.raises(UserError) as error:
        write_first_spec(tmp_path / "study.yaml", options)
    assert str(error.value).startswith(message)
    assert not (tmp_path / "study.yaml").exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "specs").write_text("a file")
    path = tmp_path / "specs/study.yaml"
    with pytest.raises(UserError, match=f"{path} cannot be written: "):
        write_first_spec(path, bids(tmp_path / "raw"))


def placed(path: Path, values: NDArray[Any], spacing: float = 2.0) -> None:
    nib.save(nib.Nifti1Image(values, np.diag([spacing, spacing, spacing, 1])), path)


def write_head(path: Path, rng: np.random.Generator) -> None:
    placed(path, rng.random((24, 28, 24), dtype=np.float32))


def write_of_several_sizes(path: Path, rng: np.random.Generator) -> None:
    spacing = float(rng.choice([1.5, 2.0, 3.0]))
    placed(path, rng.random((round(48 / spacing), round(60 / spacing), 20), dtype=np.float32), spacing)


def write_lesion(path: Path, rng: np.random.Generator) -> None:
    lesion = np.zeros((24, 28, 24), dtype=np.uint8)
    x, y, z = rng.integers(2, 18, 3)
    lesion[x : x + 5, y : y + 4, z : z + 5] = 1
    placed(path, lesion)


def write_colour_or_grey(path: Path, rng: np.random.Generator) -> None:
    shape = (30, 40, 3) if rng.random() < 0.5 else (32, 44)
    Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8)).save(path)


def write_correlations(path: Path, rng: np.random.Generator) -> None:
    np.save(path, np.asarray(np.corrcoef(rng.random((12, 40))), dtype=np.float32)[None])


def write_features(path: Path, rng: np.random.Generator) -> None:
    np.save(path, rng.random((1, 66), dtype=np.float32))


def write_lengths(path: Path, rng: np.random.Generator) -> None:
    np.save(path, rng.random((6, int(rng.integers(30, 60))), dtype=np.float32))


KINDS: dict[str, tuple[str, Callable[[Path, np.random.Generator], None], str, list[str], list[str]]] = {
    "t1": ("_T1w.nii.gz", write_head, "sfcn", ["NormalizeIntensity"], ["affine", "intensity", "flip"]),
    "sizes": (
        "_T1w.nii.gz",
        write_of_several_sizes,
        "sfcn",
        ["Spacing", "ResizeWithPadOrCrop", "NormalizeIntensity"],
        ["affine", "intensity", "flip"],
    ),
    "lesions": ("_lesion.nii.gz", write_lesion, "sfcn", [], ["affine"]),
    "colours": (
        ".png",
        write_colour_or_grey,
        "sfcn",
        ["Grey", "Resize", "NormalizeIntensity"],
        ["cutout", "affine", "intensity"],
    ),
    "correlations": (".npy", write_correlations, "mlp", [], ["noise"]),
    "features": (".npy", write_features, "mlp", [], ["noise"]),
    "lengths": (".npy", write_lengths, "resnet18", ["ResizeWithPadOrCrop", "NormalizeIntensity"], ["cutout", "noise"]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("machine", [CPUS, GPU], ids=["cpus", "gpu"])
def test_each_kind_of_image_has_a_spec_that_suits_it(tmp_path: Path, kind: str, machine: Machine) -> None:
    ending, write, encoder, steps, augmentations = KINDS[kind]
    table = dataset(tmp_path, ending, write)
    write_first_spec(tmp_path / "study.yaml", given(table, f"{{subject_id}}{ending}", "age"), machine=machine)
    loaded = load_spec(tmp_path / "study.yaml")
    spec = loaded.spec
    encoder = "resnet18" if machine is GPU and spec.model.spatial_dims == 2 and encoder == "sfcn" else encoder
    assert (spec.model.encoder, [*spec.training.augmentations]) == (encoder, augmentations)
    assert [name for step in spec.data.transforms for name in step] == steps
    check_spec(loaded)
    check_image_shape(loaded, prepared_shape(loaded, list_scans(loaded, [])[0]))
    assert (spec.data.split.folds, spec.search.seeds, spec.budget.hours) == (5, (0,), 2)
    assert spec.search.override["training.lr"].log


def test_what_init_says_is_what_is_prepared(tmp_path: Path) -> None:
    table = dataset(tmp_path, "_T1w.nii.gz", write_of_several_sizes)
    told = write_first_spec(tmp_path / "study.yaml", given(table, "{subject_id}_T1w.nii.gz", "age"))
    loaded = load_spec(tmp_path / "study.yaml")
    shape = prepared_shape(loaded, list_scans(loaded, [])[0])
    assert any(f"on {list(shape)}" in line for line in told)
    assert any("--recipe t1_brain prepares T1-weighted MRI as published, once skulls are" in line for line in told)


def test_several_images_of_a_scan_are_channels(tmp_path: Path) -> None:
    table = dataset(tmp_path, "_axial.png", write_png)
    dataset(tmp_path, "_coronal.png", write_png)
    images = {name: f"{{subject_id}}_{name}.png" for name in ("axial", "coronal")}
    told = write_first_spec(
        tmp_path / "study.yaml", {"participants": str(table), "image": images, "label": "age"}, machine=CPUS
    )
    loaded = load_spec(tmp_path / "study.yaml")
    assert loaded.spec.data.image == images
    assert prepared_shape(loaded, list_scans(loaded, [])[0]) == (2, 16, 160)
    assert any("on [2, 16, 160]" in line for line in told)


def test_views_side_by_side_are_channels(tmp_path: Path) -> None:
    def write_views(path: Path, rng: np.random.Generator) -> None:
        picture = np.zeros((24, 64), np.uint8)
        for begin, end in ((1, 19), (23, 41), (45, 63)):
            picture[2:-2, begin:end] = rng.integers(1, 255, (20, end - begin))
        Image.fromarray(picture).save(path)

    table = dataset(tmp_path, ".png", write_views)
    told = write_first_spec(tmp_path / "study.yaml", given(table, "{subject_id}.png", "age"), machine=CPUS)
    loaded = load_spec(tmp_path / "study.yaml")
    assert loaded.spec.data.transforms[0] == {"SideBySide": {"widths": [21, 22, 21]}}
    assert prepared_shape(loaded, list_scans(loaded, [])[0]) == (3, 24, 22)
    assert any("on [3, 24, 22]" in line for line in told)


def test_a_search_that_does_not_fit_makes_images_smaller_and_says_so(tmp_path: Path) -> None:
    table = dataset(tmp_path, ".png", write_png)
    options = given(table, "{subject_id}.png", "age")
    slow = write_first_spec(tmp_path / "slow.yaml", options, step_s=1e5)
    assert load_spec(tmp_path / "slow.yaml").spec.data.transforms[0] == {"Resize": {"spatial_size": [6, 64]}}
    assert any("2.0 h end it before: give more --hours" in line for line in slow)
    quick = write_first_spec(tmp_path / "quick.yaml", options, hours=24)
    assert load_spec(tmp_path / "quick.yaml").spec.budget.hours == 24
    assert not any("end it before" in line for line in quick)


def test_scans_that_cannot_be_used_are_told_and_allowed_for(tmp_path: Path) -> None:
    table = dataset(tmp_path, ".npy", write_npy)
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:30], *(line.replace("\t5", "\t>5") for line in lines[30:])]) + "\n")
    (tmp_path / "s01.npy").write_text("words")
    told = write_first_spec(tmp_path / "study.yaml", given(table, "{subject_id}.npy", "age"))
    assert any("1 of 24 scans looked at cannot be read; first: " in line and "s01.npy" in line for line in told)
    assert "# censored: keep" in (tmp_path / "study.yaml").read_text()
    assert 0.25 < load_spec(tmp_path / "study.yaml").spec.data.max_rejected < 0.4


def test_what_a_step_takes_is_measured(tmp_path: Path) -> None:
    """With all of this machine's own, by the network, training and shape that are written."""
    asked = []

    def measured(network: ModelConfig, training: TrainingConfig, shape: tuple[int, ...]) -> float:
        asked.append((network.encoder, training.batch_size, shape))
        return step_seconds(network, training, shape)

    table = dataset(tmp_path, ".npy", write_features)
    options = given(table, "{subject_id}.npy", "age")
    first.write_first_spec(tmp_path / "study.yaml", options, step_seconds=measured)
    spec = load_spec(tmp_path / "study.yaml").spec
    assert asked == [(spec.model.encoder, spec.training.batch_size, (1, 66))]


def test_every_line_of_settings_is_short_enough_to_read(tmp_path: Path) -> None:
    table = dataset(tmp_path, "_T1w.nii.gz", write_of_several_sizes)
    write_first_spec(tmp_path / "study.yaml", given(table, "{subject_id}_T1w.nii.gz", "age"))
    assert max(map(len, (tmp_path / "study.yaml").read_text().splitlines())) <= 120
