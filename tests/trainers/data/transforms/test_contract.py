"""What every transform of ours must do; a new one says its example and inherits all of it."""

import pickle
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from contrasweep.trainers.data import transforms
from contrasweep.trainers.data.readers import Image, UnreadableError
from contrasweep.trainers.data.transforms import Transform, build_transforms
from contrasweep.trainers.errors import UserError
from tests.trainers.data.transforms import heads

SHAPES = {"series": (6, 80), "picture": (1, 24, 32), "volume": (4, 32, 32, 32), "video": (1, 12, 24, 32)}


EXAMPLES = {name: cast(type[Transform], transforms.get(name)).example for name in transforms.names()}

every = pytest.mark.parametrize("name", transforms.names())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a template and an atlas."""
    folder = tmp_path_factory.mktemp("base")
    heads.write(folder / "template.nii.gz", heads.volume(), heads.centred())
    labels = np.zeros((32, 32, 32), dtype=np.float32)
    labels[9:14, 10:20, 10:20], labels[15:18, 10:20, 10:20], labels[20:25, 10:20, 10:20] = 1, 2, 3
    heads.write(folder / "atlas.nii.gz", labels, heads.centred())
    return folder


def image(kind: str) -> Image:
    """Values of noise; volumes are heads that brighten, and have an affine."""
    rng = np.random.default_rng(0)
    if kind != "volume":
        return Image(values=rng.random(SHAPES[kind], dtype=np.float32))
    values = np.stack([heads.volume() * np.float32(1 + frame / 5) for frame in range(4)])
    return Image(values=values, affine=heads.centred(), orientation="LPS")


def build(name: str, base: Path) -> Transform:
    return build_transforms([{name: dict(EXAMPLES[name].arguments)}], base).steps[0]


@every
def test_gives_the_shape_of_its_example_and_finite_numbers(name: str, base: Path) -> None:
    example = EXAMPLES[name]
    made = build(name, base)(image(example.takes), example.row)
    assert made.values.shape == example.gives
    assert np.isfinite(made.values.astype(np.float32)).all()
    assert made.values.min() < made.values.max()


@every
def test_gives_the_same_bits_again_and_after_a_journey_to_a_worker(name: str, base: Path) -> None:
    example, transform = EXAMPLES[name], build(name, base)
    first = transform(image(example.takes), example.row).values
    travelled = pickle.loads(pickle.dumps(transform))
    np.testing.assert_array_equal(travelled(image(example.takes), example.row).values, first)


@every
def test_leaves_the_given_image_alone(name: str, base: Path) -> None:
    example = EXAMPLES[name]
    given = image(example.takes)
    build(name, base)(given, example.row)
    np.testing.assert_array_equal(given.values, image(example.takes).values)
    if given.affine is not None:
        np.testing.assert_array_equal(given.affine, heads.centred())


@every
@pytest.mark.parametrize("kind", SHAPES)
def test_refuses_images_of_another_kind(name: str, kind: str, base: Path) -> None:
    if kind in (EXAMPLES[name].takes, *EXAMPLES[name].also_takes):
        return
    with pytest.raises(UnreadableError, match=f"{name} (takes|needs voxel sizes)"):
        build(name, base)(image(kind), EXAMPLES[name].row)


@every
def test_keeps_the_files_orientation_and_a_plausible_affine(name: str, base: Path) -> None:
    if EXAMPLES[name].takes != "volume":
        return
    made = build(name, base)(image("volume"), {})
    assert made.orientation == "LPS"
    if made.affine is not None:
        assert made.values.ndim == 4
        assert made.affine.shape == (4, 4)


@every
def test_tells_the_columns_and_files_it_reads(name: str, base: Path) -> None:
    example, pipeline = EXAMPLES[name], build_transforms([{name: dict(EXAMPLES[name].arguments)}], base)
    assert pipeline.columns == tuple(example.row)
    named = [value for value in example.arguments.values() if str(value).endswith(".nii.gz")]
    assert pipeline.files == tuple(base / value for value in named)


@every
def test_refuses_an_unknown_argument(name: str, base: Path) -> None:
    with pytest.raises(UserError, match=rf"data.transforms\[0\]: {name} has no argument 'colour'; "):
        build_transforms([{name: {**EXAMPLES[name].arguments, "colour": 1}}], base)


@every
def test_a_file_that_is_missing_is_named(name: str, base: Path) -> None:
    for key in getattr(transforms.get(name), "path_arguments", ()):
        with pytest.raises(UserError, match=rf"data.transforms\[0\]: {name}.{key}: no such file: .*/none.nii"):
            build_transforms([{name: {**EXAMPLES[name].arguments, key: "none.nii"}}], base)


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("N4BiasCorrection", {"mask": "otsuu"}, "unknown mask 'otsuu'; did you mean 'otsu'"),
    ("N4BiasCorrection", {"shrink": 0}, "shrink is 0; allowed: whole numbers from 1"),
    ("N4BiasCorrection", {"levels": True}, "levels is True; allowed: whole numbers from 1"),
    ("AffineRegistration", {"template": "template.nii.gz", "spacing_mm": 0}, "spacing_mm is 0; allowed: numbers above"),
    ("AffineRegistration", {}, "AffineRegistration.template: is missing"),
    ("BandPass", {"tr_s": 10.0}, "high_hz is 0.1; allowed: below half the sampling rate, 0.05"),
    ("BandPass", {"tr_s": 5.0}, "high_hz is 0.1; allowed: below half the sampling rate"),
    ("BandPass", {"tr_s": 1.0, "low_hz": 0.2}, "low_hz is 0.2; allowed: below high_hz, 0.1"),
    ("BandPass", {"tr_s": "2 s"}, "tr_s is '2 s'; allowed: numbers above 0"),
    ("BandPass", {}, "BandPass.tr_s: is missing"),
    ("BoundingBox", {"columns": ["x", "y"]}, r"allowed: the four names of \[x, y, width, height\]"),
    ("BoundingBox", {"columns": "xywh"}, "columns is 'xywh'"),
    ("BoundingBox", {"columns": 4}, r"columns is 4; allowed: the four names of \[x, y, width, height\]"),
    ("BoundingBox", {"columns": None}, "columns is None"),
    ("CLAHE", {"clip_limit": 2}, "clip_limit is 2; allowed: numbers above 0, up to 1"),
    ("CLAHE", {"tiles": 2.5}, "tiles is 2.5; allowed: whole numbers"),
    ("MeanOverFrames", {"frames": [0, 3]}, r"frames is \[0, 3\]; allowed: \[first, last\], counted from 1"),
    ("MeanOverFrames", {"frames": [3, 2]}, "frames is"),
    ("MeanOverFrames", {"frames": 3}, "frames is 3"),
    ("SampleFrames", {"period": 0}, "period is 0"),
    ("SkullStripped", {"border": 1.5}, "border is 1.5; allowed: numbers above 0, up to 1"),
    ("Parcellate", {"atlas": "series.nii.gz"}, r"is \[2, 4, 4, 4\]; allowed: one volume with voxel sizes"),
    ("Parcellate", {"atlas": "broken.nii.gz"}, "atlas: .*/broken.nii.gz is no gzip file"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), MISTAKES)
def test_mistakes_in_arguments(name: str, arguments: dict[str, Any], message: str, base: Path) -> None:
    heads.write(base / "series.nii.gz", np.zeros((4, 4, 4, 2), dtype=np.float32), np.eye(4))
    (base / "broken.nii.gz").write_bytes(b"no gzip")
    with pytest.raises(UserError, match=message) as error:
        build_transforms([{name: arguments}], base)
    assert str(error.value).startswith("data.transforms[0]: ")
    assert "\n" not in str(error.value)
