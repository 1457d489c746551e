"""What is seen of a study's scans."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contrasweep.services.spec.look import LOOKED_AT, Found, Machine, look, this_machine
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.participants import read_subjects
from contrasweep.trainers.errors import UserError

MACHINE = Machine(cpus=2, memory_bytes=8e9)
RNG = np.random.default_rng(0)


def found(
    folder: Path, write: Callable[[Path, int], object], ending: str = ".npy", ages: Sequence[object] = range(20, 60)
) -> Found:
    """What is seen of scans of people of these ages."""
    rows = [f"s{number:02d}\t{age}" for number, age in enumerate(ages)]
    (folder / "participants.tsv").write_text("\n".join(["participant_id\tage", *rows]) + "\n")
    for number in range(len(ages)):
        write(folder / f"s{number:02d}{ending}", number)
    table = str(folder / "participants.tsv")
    config = DataConfig.model_validate({"participants": table, "image": f"{{participant_id}}{ending}", "label": "age"})
    return look(*read_subjects(config, Path()), config, MACHINE)


def noise(*shape: int) -> Callable[[Path, int], object]:
    return lambda path, number: np.save(path, RNG.random(shape, dtype=np.float32))


def volume(path: Path, values: NDArray[Any], *spacing: float) -> None:
    nib.save(nib.Nifti1Image(values, np.diag([*spacing, 1.0])), path)


def test_shapes_and_voxel_sizes_are_told_by_their_medians(tmp_path: Path) -> None:
    def write(path: Path, number: int) -> None:
        edge = (1.0, 2.0, 2.0, 4.0)[number % 4]
        volume(path, RNG.random((int(40 / edge), 12, 10), dtype=np.float32), edge, 1.0, 3.0)

    seen = found(tmp_path, write, ".nii.gz").seen
    assert (seen.kind, seen.shape, seen.shapes) == ("volume", (1, 20, 12, 10), 3)
    assert (seen.spacing_mm, seen.spacings) == ((2.0, 1.0, 3.0), 3)
    assert seen.extent_mm == (40.0, 12.0, 30.0)
    assert seen.placed


def test_rounded_voxel_sizes_are_the_same(tmp_path: Path) -> None:
    seen = found(tmp_path, lambda path, n: volume(path, RNG.random((6, 7, 8)), 1 + 0.01 * (n % 3), 1, 1), ".nii").seen
    assert seen.spacings == 1


def beside(path: Path, number: int) -> None:
    """Two views beside each other in a picture of 20 x 60; one in ten is cut short."""
    picture = np.zeros((20, 60), np.uint8)
    picture[2:-2, 1:28], picture[2:-2, 32:59] = RNG.integers(1, 255, (2, 16, 27))
    Image.fromarray(picture).save(path)
    if number % 10 == 9:
        path.write_bytes(path.read_bytes()[:-60])


def test_views_beside_each_other_are_told_by_the_pictures_that_can_be_read(tmp_path: Path) -> None:
    of = found(tmp_path, beside, ".png")
    assert of.seen.shape == (2, 20, 30)
    assert [text for text, _ in of.axes] == ["SideBySide: {widths: [30, 30]}"]


def test_pictures_whose_axes_must_be_told_first_are_one_view(tmp_path: Path) -> None:
    assert found(tmp_path, noise(1, 1, 30, 80)).seen.shape == (1, 30, 80)


def test_a_person_s_name_is_no_kind_of_image(tmp_path: Path) -> None:
    rows = [f"CT_{number:03d}\t{number}" for number in range(20, 60)]
    (tmp_path / "participants.tsv").write_text("\n".join(["participant_id\tage", *rows]) + "\n")
    for row in rows:
        volume(tmp_path / f"{row.split()[0]}.nii.gz", RNG.random((6, 7, 8)), 1, 1, 1)
    table, image = str(tmp_path / "participants.tsv"), "{participant_id}.nii.gz"
    config = DataConfig.model_validate({"participants": table, "image": image, "label": "age"})
    assert look(*read_subjects(config, Path()), config, MACHINE).seen.kind == "volume"


@pytest.mark.parametrize(
    ("raw", "axes", "shape"),
    [
        ((1, 1, 6, 7, 8), "SqueezeDim", (1, 6, 7, 8)),
        ((18, 22, 19), "EnsureChannelFirst", (1, 18, 22, 19)),
        ((20, 30, 3), "EnsureChannelFirst", (3, 20, 30)),
        ((4, 22, 19), "", (4, 22, 19)),
    ],
)
def test_axes_are_told(tmp_path: Path, raw: tuple[int, ...], axes: str, shape: tuple[int, ...]) -> None:
    told = found(tmp_path, noise(*raw))
    assert (told.raw, told.seen.shape) == (raw, shape)
    assert [step.split(":")[0] for step, _ in told.axes] == ([axes] if axes else [])


def test_a_few_scans_over_the_whole_table_are_looked_at(tmp_path: Path) -> None:
    def write(path: Path, number: int) -> None:
        np.save(path, RNG.random((3, 30 if number < 80 else 40), dtype=np.float32))

    told = found(tmp_path, write, ages=range(20, 120))
    assert (told.looked, told.seen.people) == (LOOKED_AT, 100)
    assert told.seen.shapes == 2, "the last are among them"


def test_values_tell_masks_matrices_and_brains(tmp_path: Path) -> None:
    kinds = {}
    for name in ("mask", "matrix", "brain", "head"):
        (tmp_path / name).mkdir()
    ball = np.linalg.norm(np.moveaxis(np.indices((16, 16, 16)), 0, -1) - 7.5, axis=-1) < 6
    kinds["mask"] = found(tmp_path / "mask", lambda path, _: volume(path, ball.astype(np.uint8), 1, 1, 1), ".nii.gz")
    kinds["matrix"] = found(tmp_path / "matrix", lambda path, _: np.save(path, np.corrcoef(RNG.random((9, 30)))))
    kinds["brain"] = found(
        tmp_path / "brain", lambda path, _: volume(path, ball * RNG.uniform(1, 2, ball.shape), 1, 1, 1), ".nii.gz"
    )
    kinds["head"] = found(tmp_path / "head", lambda path, _: volume(path, RNG.random((9, 9, 9)), 1, 1, 1), ".nii.gz")
    assert {name: one.seen.kind for name, one in kinds.items()} == {
        "mask": "mask",
        "matrix": "connectivity",
        "brain": "volume",
        "head": "volume",
    }
    assert (kinds["brain"].stripped, kinds["head"].stripped) == (True, False)


def test_labels_are_counted(tmp_path: Path) -> None:
    labels = found(tmp_path, noise(2, 9), ages=[*[0] * 10, *range(1, 11), "89+", "89+"]).seen.labels
    assert (labels.distinct, labels.low, labels.median, labels.high) == (11, 0, 0.5, 10)
    assert (labels.heaped, labels.most, labels.censored) == (0.5, 0, 2)


def test_unreadable_scans_are_told_and_all_of_them_are_too_many(tmp_path: Path) -> None:
    def write(path: Path, number: int) -> None:
        path.write_text("words") if number % 2 else np.save(path, RNG.random((2, 9), dtype=np.float32))

    told = found(tmp_path, write)
    assert 0 < len(told.unreadable) < told.looked
    with pytest.raises(
        UserError, match=r"^--image: no file like .* can be read as an image .*; first: .*s00.npy: is no"
    ):
        found(tmp_path, lambda path, number: path.write_text("words"))


def test_this_machine_has_a_cpu() -> None:
    machine = this_machine()
    assert machine.cpus >= 1 and machine.memory_bytes > 1e8
    assert str(machine).startswith(f"{machine.cpus} CPU")
