"""What a researcher's own data get wrong, each by the command line: told in a line, or read for what it means."""

import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from contrasweep.trainers.data.readers import read
from tests.services.data.cases import RNG, SCANS, Folder, check_refused, check_valid, folder, noise
from tests.services.data.command_line import contrasweep
from tests.services.data.layouts import adni, nifti, picture, table

__all__ = ["contrasweep", "folder"]
PICTURE = (1, 8, 8)


def warnings(out: str) -> list[str]:
    return [line.removeprefix("  warning  ") for line in out.splitlines() if line.startswith("  warning  ")]


# Codes for missing values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["-9999", "-999.0", "-88", "999", "888", "-4", "-1", "0", "99", "7777"])
def test_a_code_among_ages_is_told_and_is_missing_where_the_spec_says_so(folder: Folder, code: str) -> None:
    ages = np.linspace(18, 80, SCANS).round(1)
    folder.scans(".npy", noise(PICTURE), age=lambda n: code if n in (7, 11) else ages[n])
    told, value = folder.validate(image="{participant_id}.npy"), f"{float(code):g}"
    check_valid(told)
    assert warnings(told.out) == [
        f"2 labels of 'age' are {value}, the others 18.00 to 80.00: missing values? data.missing: [{value}]"
    ]
    said = folder.validate(image="{participant_id}.npy", missing=[float(code)], max_rejected=0.1)
    check_valid(said, SCANS - 2, 2)
    assert "rejected s07: missing label: column 'age' is 'n/a'" in said.out
    assert not warnings(said.out)


@pytest.mark.parametrize("first", [-2, 0, 1])
def test_grades_and_changes_are_no_codes(folder: Folder, first: int) -> None:
    folder.scans(".npy", noise(PICTURE), age=lambda n: first + n % 5)
    assert not warnings(folder.validate(image="{participant_id}.npy").out)


def test_several_codes_are_told_together(folder: Folder) -> None:
    folder.scans(".npy", noise(PICTURE), age=lambda n: {3: -9999, 4: -999, 5: -9}.get(n, 20 + n))
    (told,) = warnings(folder.validate(image="{participant_id}.npy").out)
    assert told.startswith("3 labels of 'age' are -9999, -999, -9, the others 20.00 to 43.00: missing values?")


# Who is who ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "who", ["Patient ID", "USUBJID", "Medical Record Number", "ID_Patient", "record_id", "Anon ID", "Patienten-ID"]
)
def test_init_takes_the_patient_and_not_the_picture(folder: Folder, who: str) -> None:
    rows = [[f"{1 + n // 3:08d}_{n % 3:03d}.png", n % 3, 1 + n // 3, 20 + n] for n in range(36)]
    for name, *_ in rows:
        picture(folder.path / f"images/{name}", (8, 8))
    table(folder.path / "Data_Entry.csv", f"Image Index,Follow-up #,{who},Patient Age", rows)
    image = "images/{Image Index}"
    said = folder.init(image, participants="Data_Entry.csv", label="Patient Age")
    assert said.code == 0
    assert f"{who} says whose a scan is: 12 people, Image Index tells their 36 scans apart" in said.out
    assert (folder.first["data"]["id"], folder.first["data"]["session"]) == (who, "Image Index")
    checked = folder.call("validate", "first.yaml")
    check_valid(checked, 36)
    assert not warnings(checked.out)
    leaky = folder.validate(participants="Data_Entry.csv", image=image, id="Image Index", label="Patient Age")
    check_valid(leaky, 36)
    (told,) = warnings(leaky.out)
    assert told.startswith(f"'{who}' has values on several sides of the split (")
    assert told.endswith(f"data.id or data.split.family: {who} keeps them together")


def test_init_takes_people_and_not_their_families(folder: Folder) -> None:
    folder.scans(".npy", noise(PICTURE))
    rows = [[f"s{n:02d}", n // 4, f"v{n // 2}", 20 + n] for n in range(SCANS)]
    table(folder.path / "table.csv", "scan,family_id,volunteer,age", rows)
    assert folder.init("{scan}.npy", participants="table.csv").code == 0
    assert (folder.first["data"]["id"], folder.first["data"]["session"]) == ("volunteer", "scan")


def test_a_column_of_yes_and_no_names_nobody(folder: Folder) -> None:
    folder.scans(".npy", noise(PICTURE), twin=lambda n: n % 2)
    assert not warnings(folder.validate(image="{participant_id}.npy").out)


# Layouts -------------------------------------------------------------------------------------------------------------


def test_init_of_a_collection_from_loni(folder: Folder) -> None:
    adni(folder.path)
    given: dict[str, Any] = {"participants": "collection.csv", "label": "Age"}
    said = folder.init("ADNI/{Subject}/*/*/{Image Data ID}/*.nii", **given)
    assert "Subject says whose a scan is: 12 people, Image Data ID tells their 24 scans apart" in said.out
    assert folder.first["model"]["spatial_dims"] == 3
    check_valid(folder.call("validate", "first.yaml"), 24)
    assert folder.init("ADNI/*/*/*/{Image Data ID}/*", "--session", "Image Data ID", **given).code == 0
    assert folder.first["data"]["id"] == "Subject"
    check_refused(
        folder.init("ADNI/{Subject}/x/{Image Data ID}.nii", **given),
        "--image: no file like ADNI/{Subject}/x/{Image Data ID}.nii can be read",
        "first: 002_S_0000_I45100: no such image (ADNI/002_S_0000/x/I45100.nii)",
    )
    check_refused(folder.init("ADNI/**/{Image Data ID}/*.nii", **given), "'**' in", "write * for each folder")


def _bids(root: Path, name: str, visits: tuple[str, ...] = ("",)) -> None:
    for n in range(1, 13):
        for visit in visits:
            scan = f"sub-{n:02d}{visit and f'_ses-{visit}'}"
            nifti(root / f"sub-{n:02d}" / (visit and f"ses-{visit}") / "anat" / f"{scan}_{name}.nii.gz")


@pytest.mark.parametrize(
    ("described", "participants"),
    [
        ('{"SourceDatasets": [{"URL": "../../raw"}]}', None),
        ('{"DatasetLinks": {"raw": "../../raw"}, "SourceDatasets": [{"URL": "bids:raw:"}]}', None),
        ("{broken", "raw/participants.tsv"),
    ],
)
def test_derivatives_take_the_table_of_what_they_were_made_from(
    folder: Folder, described: str, participants: str | None
) -> None:
    made = folder.path / "out/fmriprep"
    _bids(made, "space-MNI152NLin2009cAsym_res-2_desc-preproc_T1w")
    _bids(made, "desc-preproc_T1w")
    (made / "dataset_description.json").write_text(described)
    rows = [[f"sub-{n:02d}", 20 + n] for n in range(1, 13)]
    table(folder.path / "raw/participants.tsv", "participant_id\tage", rows, "\t")
    told = {"participants": participants} if participants else {}
    check_valid(
        folder.validate(3, bids="out/fmriprep", suffix="T1w", entities={"space": None, "desc": "preproc"}, **told), 12
    )
    check_valid(folder.validate(3, bids="out/fmriprep", suffix="T1w", entities={"res": "2"}, **told), 12)


def test_derivatives_without_any_table(folder: Folder) -> None:
    _bids(folder.path / "fmriprep", "desc-preproc_T1w")
    told = folder.validate(3, bids="fmriprep", suffix="T1w")
    check_refused(told, "data.bids: no participants.tsv in", "name one as data.participants")


@pytest.mark.parametrize("run", [1, "1", "01", "001"])
def test_a_run_is_a_number_however_it_is_padded(folder: Folder, run: int | str) -> None:
    rows = []
    for n in range(1, 13):
        for number in (1, 2):
            name = f"sub-{n:02d}_run-{number if n > 8 else f'{number:02d}'}_echo-{number}_bold.nii.gz"
            nifti(folder.path / f"sub-{n:02d}/func/{name}")
        rows.append([f"sub-{n:02d}", 20 + n])
    table(folder.path / "participants.tsv", "participant_id\tage", rows, "\t")
    check_valid(folder.validate(3, bids=".", suffix="bold", entities={"run": run}), 12)
    check_valid(folder.validate(3, bids=".", suffix="bold", entities={"run": run, "echo": "01"}), 12)
    check_refused(
        folder.validate(3, bids=".", suffix="bold", entities={"run": 3}),
        "data.entities: no '_bold' image has run '3'; allowed: 01, 02, 1, 2",
    )


# Splits that others published ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "split", "sizes"),
    [
        (
            ("TRAIN", "TRAIN", "VAL", "TEST"),
            {"validation": ["VAL"], "test": ["TEST"]},
            "train 12, validation 6, test 6",
        ),
        ((0, 1, 8, 9), {"validation": [8], "test": [9.0]}, "train 12, validation 6, test 6"),
    ],
)
def test_a_column_is_the_split(folder: Folder, words: tuple[object, ...], split: dict[str, object], sizes: str) -> None:
    folder.scans(".npy", noise(PICTURE), Split=lambda n: words[n % 4])
    told = folder.validate(image="{participant_id}.npy", split={"column": "Split", **split})
    check_valid(told)
    assert f"split     {sizes}" in told.out


def test_what_a_split_by_a_column_lacks_is_told_with_what_there_is(folder: Folder) -> None:
    folder.scans(".npy", noise(PICTURE), Split=lambda n: ("train", "valid", "test")[n % 3])
    for split, told in (
        ({}, "data.split.test: is missing; column 'Split' has test, train, valid"),
        ({"test": ["tset"]}, "data.split.test: no scan has 'tset' in column 'Split'; did you mean 'test'?"),
        ({"test": ["train", "valid", "test"]}, "data.split: no scan is left for the train split"),
    ):
        check_refused(folder.validate(image="{participant_id}.npy", split={"column": "Split", **split}), told)


def test_init_says_which_values_of_the_split_column_go_nowhere(folder: Folder) -> None:
    words = ("train", "train", "internal_test", "external_test")
    folder.scans(".npy", noise(PICTURE), split=lambda n: words[n % 4])
    said = folder.init("{participant_id}.npy", "--split-column", "split")
    assert "scans with 'external_test' in 'split' are in no split" in said.out
    named = {"column": "split", "train": ["train"], "test": ["internal_test"]}
    assert folder.first["data"]["split"] == {**named, "folds": 5}, "few people, and no validation split of their own"
    assert "in none 6" in folder.call("validate", "first.yaml").out


# Arrays and their axes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "transform", "prepared"),
    [
        ((1, 1, 6, 7, 5), {"SqueezeDim": {"dim": 0}}, (6, 7, 5)),
        ((1, 6, 7, 5, 1), {"SqueezeDim": {"dim": -1}}, (6, 7, 5)),
        ((2, 1, 6, 7, 5), {"SqueezeDim": {"dim": 1}}, (6, 7, 5)),
        ((18, 22, 18), {"EnsureChannelFirst": {"channel_dim": "no_channel"}}, (18, 22, 18)),
        ((18, 22, 3), {"EnsureChannelFirst": {"channel_dim": -1}}, (18, 22)),
        ((18, 22, 1), {"EnsureChannelFirst": {"channel_dim": -1}}, (18, 22)),
        ((18, 22, 18, 2), {"EnsureChannelFirst": {"channel_dim": -1}}, (18, 22, 18)),
    ],
)
def test_axes_that_mislead_are_refused_and_put_right_by_init(
    folder: Folder, shape: tuple[int, ...], transform: dict[str, dict[str, object]], prepared: tuple[int, ...]
) -> None:
    folder.scans(".npy", noise(shape))
    ((name, arguments),) = transform.items()
    way_out = f"{name}: {{{', '.join(f'{key}: {value}' for key, value in arguments.items())}}}"
    check_refused(folder.validate(len(prepared), image="{participant_id}.npy"), str(list(shape)), way_out)
    assert folder.init("{participant_id}.npy").code == 0
    assert folder.first["data"]["transforms"][0] == transform
    assert folder.first["model"]["spatial_dims"] == len(prepared)
    check_valid(folder.call("validate", "first.yaml"), shape=shape)


def test_a_batch_of_one_picture_is_a_picture(folder: Folder) -> None:
    folder.scans(".npy", noise((1, 1, 12, 10)))
    assert folder.init("{participant_id}.npy").code == 0
    assert folder.first["model"]["spatial_dims"] == 2
    check_valid(folder.call("validate", "first.yaml"))


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((40, 30), "40 channels of 30 points (Transpose turns them, EnsureChannelFirst"),
        ((12, 14, 13), "12 channels of 14 x 13 points (EnsureChannelFirst: {channel_dim: no_channel}"),
    ],
)
def test_axes_that_may_mislead_are_told(folder: Folder, shape: tuple[int, ...], told: str) -> None:
    folder.scans(".npy", noise(shape))
    assert f"images are taken as {told}" in folder.init("{participant_id}.npy").out
    checked = folder.call("validate", "first.yaml")
    check_valid(checked)
    assert f"taken as {told}" in " ".join(checked.out.split())
    settled = folder.validate(
        len(shape), image="{participant_id}.npy", transforms=[{"EnsureChannelFirst": {"channel_dim": "no_channel"}}]
    )
    check_valid(settled)
    assert "taken as" not in settled.out


# Series of regions ---------------------------------------------------------------------------------------------------


def _series(path: Path, header: str, delimiter: str) -> None:
    values = np.arange(60).reshape(12, 5) + 0.25
    lines = [delimiter.join(f"{value:.2f}" for value in row) for row in values]
    path.write_text("\n".join([header.replace(" ", delimiter), *lines] if header else lines) + "\n")


@pytest.mark.parametrize(
    ("ending", "header", "shape"),
    [
        (".tsv", "LH_1 LH_2 LH_3 RH_1 RH_2", (5, 12)),
        (".csv", '"LH_1" "LH_2" "LH_3" "RH_1" "RH_2"', (5, 12)),
        (".csv", "#2001 #2002 #2101 #2102 #2111", (5, 12)),
        (".tsv", "2001 2002 2101 2102 2111", (5, 12)),
        (".1D", "", (5, 12)),
        (".tsv", "", (12, 5)),
    ],
)
def test_columns_with_names_are_regions(folder: Folder, ending: str, header: str, shape: tuple[int, int]) -> None:
    delimiter = {".csv": ",", ".tsv": "\t"}.get(ending, " ")
    folder.scans(ending, lambda path, number: _series(path, header, delimiter))
    told = folder.validate(1, image=f"{{participant_id}}{ending}")
    check_valid(told, shape=shape)
    assert f"taken as {shape[0]} channels of {shape[1]} points" in " ".join(told.out.split())
    values = read(folder.path / f"s00{ending}").values
    columns = np.arange(60).reshape(12, 5) + 0.25
    np.testing.assert_array_equal(values, columns.T if shape == (5, 12) else columns)


@pytest.mark.parametrize("header", ["0 1 2 3 4", "1 2 3 4 5"])
def test_a_header_that_counts_may_be_an_index(folder: Folder, header: str) -> None:
    folder.scans(".tsv", lambda path, number: _series(path, header, "\t"))
    check_refused(folder.validate(1, image="{participant_id}.tsv"), "its first line counts", "an index, no values")


# Volumes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["/mri/brain.mgz", "/mri/norm.mgh", "/mri/BRAIN.MGZ"])
def test_a_conformed_volume_of_freesurfer_is_the_one_in_nifti(folder: Folder, ending: str) -> None:
    affine = np.array([[-1.0, 0, 0, 8], [0, 0, 1, -8], [0, -1, 0, 8], [0, 0, 0, 1]])

    def write(path: Path, number: int) -> None:
        values = RNG.integers(0, 255, (6, 7, 5)).astype(np.uint8)
        nib.save(nib.MGHImage(values, affine), path.with_suffix(path.suffix.lower()))
        path.with_suffix(path.suffix.lower()).rename(path)
        nib.save(nib.Nifti1Image(values, affine), folder.path / f"s{number:02d}.nii")

    folder.scans(ending, write)
    check_valid(folder.validate(3, image=f"{{participant_id}}{ending}"), shape=(1, 6, 5, 7))
    assert folder.init(f"{{participant_id}}{ending}").code == 0
    volume, same = read(folder.path / f"s03{ending}"), read(folder.path / "s03.nii")
    np.testing.assert_array_equal(volume.values, same.values)
    assert volume.orientation == same.orientation == "LIA"


def _forms(sform: np.ndarray[Any, Any], qform: np.ndarray[Any, Any], quaternion: float | None = None) -> Any:
    """Writes NIfTI files whose qform's quaternion is as long as that in two of them."""

    def write(path: Path, number: int) -> None:
        image = nib.Nifti1Image(RNG.integers(1, 900, (6, 7, 5)).astype(np.int16), None)
        image.set_qform(qform, 1)
        image.set_sform(sform, 1)
        nib.save(image, path)
        if quaternion is not None and number in (8, 15):
            content = bytearray(path.read_bytes())
            struct.pack_into("<3f", content, 256, *(np.array([0.0, 0.6, 0.8]) * quaternion))
            path.write_bytes(content)

    return write


HALF_TURN = np.diag([1.0, 1, 1, 1])
HALF_TURN[:3, :3] = 2 * np.outer([0, 0.6, 0.8], [0, 0.6, 0.8]) - np.eye(3)


@pytest.mark.parametrize("length", [np.sqrt(1 + 4e-7), 1.0002])
def test_a_quaternion_that_is_long_by_rounding_is_read(folder: Folder, length: float) -> None:
    folder.scans(".nii", _forms(HALF_TURN, HALF_TURN, float(length)))
    check_valid(folder.validate(3, image="{participant_id}.nii"))
    assert read(folder.path / "s08.nii").orientation == read(folder.path / "s01.nii").orientation


@pytest.mark.parametrize(
    ("length", "told"),
    [(1.02, "the quaternion of its qform is 1.02 long; allowed: up to 1"), (np.nan, "its affine is not finite")],
)
def test_a_quaternion_that_is_none_is_told_with_the_way_out(folder: Folder, length: float, told: str) -> None:
    folder.scans(".nii", _forms(HALF_TURN, HALF_TURN, length))
    refused = folder.validate(3, image="{participant_id}.nii")
    check_refused(refused, "2 of 24 subjects are rejected", f"s08: {told}; data.affine: sform leaves the qform out")
    check_valid(folder.validate(3, image="{participant_id}.nii", affine="sform"))


@pytest.mark.parametrize(
    ("sform", "qform", "told"),
    [
        ((-1, -1, 1), (-1.3158, -1.3158, 10), "sform says LPS 1 x 1 x 1 mm, qform LPS 1.316 x 1.316 x 10 mm"),
        ((1, -1, 1), (-1, -1, 1), "sform says RPS 1 x 1 x 1 mm, qform LPS 1 x 1 x 1 mm"),
        ((0, 0, 0), (-1, -1, 1), "its affine is singular"),
    ],
)
def test_forms_that_contradict_each_other_ask_which_counts(
    folder: Folder, sform: tuple[float, ...], qform: tuple[float, ...], told: str
) -> None:
    folder.scans(".nii.gz", _forms(np.diag([*sform, 1.0]), np.diag([*qform, 1.0])))
    refused = folder.validate(3, image="{participant_id}.nii.gz")
    check_refused(refused, "24 of 24 subjects are rejected", told, "data.affine", "qform")
    check_valid(folder.validate(3, image="{participant_id}.nii.gz", affine="qform"))
    read_by_qform = read(folder.path / "s00.nii.gz", "qform")
    np.testing.assert_allclose(read_by_qform.spacing_mm or (), np.abs(qform), rtol=1e-6)
    check_refused(folder.validate(3, image="{participant_id}.nii.gz", affine="qfrom"), "did you mean 'qform'?")


def _cifti(kind: str) -> Any:
    from nibabel.cifti2.cifti2_axes import BrainModelAxis, LabelAxis, ParcelsAxis, ScalarAxis, SeriesAxis

    places = BrainModelAxis.from_mask(np.ones(30), name="cortex_left")
    regions = ParcelsAxis.from_brain_models([(f"P{k}", places[6 * k : 6 * k + 6]) for k in range(5)])
    axes = {
        "ptseries": (SeriesAxis(0, 0.72, 12), regions),
        "dtseries": (SeriesAxis(0, 0.72, 12), places),
        "dscalar": (ScalarAxis(["thickness"]), places),
        "pscalar": (ScalarAxis(["thickness", "area"]), regions),
        "pconn": (regions, regions),
        "dlabel": (LabelAxis(["atlas"], {0: ("?", (0, 0, 0, 0)), 1: ("A", (1, 0, 0, 1))}), places),
    }[kind]
    shape = tuple(map(len, axes))
    return lambda path, number: nib.save(nib.Cifti2Image(RNG.random(shape, dtype=np.float32), axes), path)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("ptseries.nii", (5, 12)),
        ("dtseries.nii", (30, 12)),
        ("dscalar.nii", (1, 30)),
        ("pscalar.nii", (2, 5)),
        ("ptseries_of_another_name.nii", (5, 12)),
    ],
)
def test_cifti_series_and_scalars(folder: Folder, name: str, shape: tuple[int, int]) -> None:
    folder.scans(f".{name}", _cifti(name.split(".")[0].split("_")[0]))
    check_valid(folder.validate(1, image=f"{{participant_id}}.{name}"), shape=shape)
    assert folder.init(f"{{participant_id}}.{name}").code == 0
    assert folder.first["model"]["spatial_dims"] == 1
    wrong = folder.validate(3, image=f"{{participant_id}}.{name}")
    check_refused(wrong, f"model.spatial_dims: 3 is not allowed: prepared images {list(shape)} have 1")


@pytest.mark.parametrize(("kind", "told"), [("pconn", "regions by regions"), ("dlabel", "labels by grayordinates")])
def test_other_matrices_of_cifti_are_called_what_they_are(folder: Folder, kind: str, told: str) -> None:
    folder.scans(f".{kind}.nii", _cifti(kind))
    image = f"{{participant_id}}.{kind}.nii"
    for refused in (folder.validate(1, image=image), folder.init(image)):
        check_refused(refused, f"is a CIFTI matrix of {told}; allowed: a series or scalars")


# Pictures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "P", "LA", "L"])
def test_colours_among_grey_are_told_and_evened_out(folder: Folder, mode: str) -> None:
    def write(path: Path, number: int) -> None:
        grey = RNG.integers(0, 255, (12, 10), dtype=np.uint8)
        Image.fromarray(grey).save(folder.path / f"grey{number}.png")
        Image.fromarray(grey).convert(mode if number % 4 == 3 else "L").save(path)

    folder.scans(".png", write)
    told = folder.validate(image="{participant_id}.png")
    if mode in ("LA", "L"):
        check_valid(told, shape=(1, 12, 10))
    else:
        differs = "s03: shape (3, 12, 10) differs from the others' (1, 12, 10); Grey makes one channel of colours"
        check_refused(told, "6 of 24 subjects are rejected", differs)
    check_valid(folder.validate(image="{participant_id}.png", transforms=[{"Grey": {}}]))
    values, grey = read(folder.path / "s03.png").values, read(folder.path / "grey3.png").values
    np.testing.assert_array_equal(values, np.repeat(grey, len(values), axis=0))


# Cells of the table --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("089Y", "an age as DICOM writes it: 89 in years"),
        ("018M", "an age as DICOM writes it: 1.5 in years"),
        ("34 years", "write 34"),
        ("34 y/o", "write 34"),
        ("34 Jahre", "write 34"),
        ("18 months", "an age: 1.5 in years"),
        ("6y 3m", "an age: 6.25 in years"),
        ("30-34", "a range; one number is needed"),
        ("30 to 34", "a range; one number is needed"),
        ("[30, 34)", "a range; one number is needed"),
        ("90 or older", "write 90+, which data.censored is about"),
        ("34,5", "a decimal comma? write a point"),
        ("1,234", "thousands are written without a comma"),
    ],
)
def test_ages_as_text_are_refused_with_what_to_write(folder: Folder, cell: str, told: str) -> None:
    folder.scans(".npy", noise(PICTURE), age=lambda n: cell)
    check_refused(
        folder.validate(image="{participant_id}.npy"),
        f"data.label: column 'age' of participants.tsv holds no numbers; the first value is '{cell}' ({told})",
    )
    folder.scans(".npy", noise(PICTURE), age=lambda n: cell if n == 3 else 20 + n)
    few = folder.validate(image="{participant_id}.npy")
    check_valid(few, SCANS - 1, 1)
    assert f"rejected s03: label is no finite number: column 'age' is '{cell}' ({told})" in few.out


def test_ages_beyond_a_bound_and_ages_in_every_way(folder: Folder) -> None:
    folder.scans(".npy", noise(PICTURE), age=lambda n: "89+" if n in (3, 5) else 20 + n)
    check_refused(folder.validate(image="{participant_id}.npy"), "s03: label '89+' is censored; data.censored: keep")
    kept = folder.validate(image="{participant_id}.npy", censored="keep")
    check_valid(kept)
    assert "age 20.00 to 89.00" in " ".join(kept.out.split())
    folder.scans(".npy", noise(PICTURE), age=lambda n: ("089Y", "34 years", "89+", "30-34")[n % 4])
    refused = folder.validate(image="{participant_id}.npy", censored="keep")
    check_refused(refused, "all 6 labels are 89", "18 rejected, first: s00: label is no finite number", "'089Y'")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (("f", "m"), "'F' and 'f'; 'M' and 'm'"),
        (("Female", "Male"), "'F' and 'Female'; 'M' and 'Male'"),
        (("woman", "man"), "'F' and 'woman'; 'M' and 'man'"),
        (("girl", "boy"), "'F' and 'girl'; 'M' and 'boy'"),
        (("weiblich", "männlich"), "'F' and 'weiblich'; 'M' and 'männlich'"),
    ],
)
def test_a_sex_spelled_differently_is_told(folder: Folder, other: tuple[str, str], told: str) -> None:
    folder.scans(".npy", noise(PICTURE), sex=lambda n: (("F", "M") if n < 12 else other)[n % 2])
    checked = folder.validate(image="{participant_id}.npy", group="sex")
    check_valid(checked)
    assert warnings(checked.out) == [f"'sex' may have one value spelled differently: {told}"]
    assert f"sex F 6, M 6, {other[0]} 6, {other[1]} 6" in " ".join(checked.out.split())


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (
            ("F", "M", "unknown", "#N/A"),
            ["'sex' has 'unknown' (6), '#N/A' (6): missing values? data.missing names them"],
        ),
        (("1", "2", "-9", "999"), ["'sex' has '-9' (6), '999' (6): missing values? data.missing names them"]),
        (("F", "M", "0", "1"), ["'sex' has sexes in words and in numbers: '0', '1'"]),
        (("1", "2", "1.0", "02"), ["'sex' may have one value spelled differently: '1' and '1.0'; '2' and '02'"]),
        (("F", "M", "X", "Other"), []),
        (
            ("site 1", "Site_1", "site-2", "site 1-2"),
            ["'sex' may have one value spelled differently: 'site 1' and 'Site_1'"],
        ),
    ],
)
def test_groups_that_are_hardly_meant_are_told(folder: Folder, cells: tuple[str, ...], told: list[str]) -> None:
    folder.scans(".npy", noise(PICTURE), sex=lambda n: cells[n % 4])
    assert warnings(folder.validate(image="{participant_id}.npy", group="sex").out) == told


def test_a_group_of_one(folder: Folder) -> None:
    folder.scans(".npy", noise(PICTURE), sex=lambda n: "D" if n == 3 else "FM"[n % 2])
    told = warnings(folder.validate(image="{participant_id}.npy", group="sex").out)
    assert told == ["data.group: 1 group of one, which form no pairs: 'D'"]
