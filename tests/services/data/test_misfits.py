"""`validate` tells whom `prepare` would reject for their shape, and nobody whom transforms even out."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from contrasweep.services.data.validate import validate_data
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec
from contrasweep.trainers.errors import UserError
from tests.services.small_study import SPEC

GREY, COLOUR, LARGE = (40, 30), (40, 30, 3), (44, 30)


def study(folder: Path, shapes: list[tuple[int, ...]], *transforms: dict[str, Any], **data: Any) -> LoadedSpec:
    """A picture of noise for each shape."""
    rng = np.random.default_rng(0)
    lines = ["participant_id\tage"]
    for number, shape in enumerate(shapes):
        Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8)).save(folder / f"s{number:02d}.png")
        lines.append(f"s{number:02d}\t{20 + number}")
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    told = {"participants": "participants.tsv", "image": "{participant_id}.png", "label": "age"}
    document = SPEC | {"data": {**told, "transforms": list(transforms), **data}}
    return LoadedSpec(SweepSpec.model_validate(document), folder / "study.yaml", folder)


def validated(loaded: LoadedSpec) -> str:
    file = io.StringIO()
    validate_data(loaded, Console(file=file, width=200))
    return file.getvalue()


@pytest.mark.parametrize("odd", [COLOUR, LARGE])
def test_too_many_of_another_shape_are_refused(tmp_path: Path, odd: tuple[int, ...]) -> None:
    told = r"6 of 48 subjects are rejected.*: shape .* differs from the others' \(1, 40, 30\)"
    with pytest.raises(UserError, match=told):
        validated(study(tmp_path, [GREY] * 42 + [odd] * 6))


def test_few_are_told_by_name(tmp_path: Path) -> None:
    printed = validated(study(tmp_path, [GREY] * 46 + [LARGE, COLOUR], max_rejected=0.1))
    assert "46 usable, 2 rejected" in printed
    assert "rejected s46: shape (1, 44, 30) differs from the others' (1, 40, 30)" in printed
    assert "rejected s47: shape (3, 40, 30) differs from the others' (1, 40, 30)" in printed


@pytest.mark.parametrize(
    "transforms",
    [
        [{"Grey": {}}, {"Resize": {"spatial_size": [20, 20]}}],
        [{"Resize": {"spatial_size": [20, 20]}}, {"Grey": {}}],
        [{"Grey": {}}, {"ResizeWithPadOrCrop": {"spatial_size": [40, 40]}}],
    ],
)
def test_transforms_that_even_shapes_out_lead_to_no_alarm(tmp_path: Path, transforms: list[dict[str, Any]]) -> None:
    shapes = [GREY, COLOUR, LARGE, (40, 30, 4)] * 12
    assert "48 usable, 0 rejected" in validated(study(tmp_path, shapes, *transforms))


def test_a_transform_that_a_whole_kind_fails_is_told(tmp_path: Path) -> None:
    loaded = study(tmp_path, [COLOUR] * 45 + [GREY] * 3, {"RemoveRepeatedChannel": {"repeats": 3}}, max_rejected=0.1)
    assert "45 usable, 3 rejected" in validated(loaded)
