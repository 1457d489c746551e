from collections.abc import Mapping
from pathlib import Path

from contrasweep.services.inspection.origins import origin_problems, traits
from contrasweep.trainers.data.store import Manifest
from tests.services.inspection.planted import images, source, store_of


def manifest(folder: Path, **changes: Mapping[str, object]) -> Manifest:
    scans = images(12)
    told = {name: {"source": source(scans[name], **change)} for name, change in changes.items()}
    return store_of(folder / "v", scans, told).manifest


def test_equal_files_are_no_problem(tmp_path: Path) -> None:
    same = manifest(tmp_path)
    assert origin_problems(same) == []
    assert [trait.counts for trait in traits(same)] == [
        (("1 × 8 × 9 × 10", 12),),
        (("1 × 1 × 1 mm", 12),),
        (("RAS", 12),),
    ]


def test_another_spacing_is_a_warning_that_names_it(tmp_path: Path) -> None:
    mixed = manifest(tmp_path, s03={"spacing_mm": (1.0, 1.0, 3.0)}, s04={"spacing_mm": (1.0, 1.0, 1.0001)})
    (problem,) = origin_problems(mixed)
    assert problem.severity == "warning"
    assert problem.text == (
        "mixed spacings (no transform evens them out): 11 of 12 have 1 × 1 × 1 mm, others s03 (1 × 1 × 3 mm)"
    )


def test_a_spacing_that_a_transform_evens_out_is_a_note(tmp_path: Path) -> None:
    mixed = manifest(tmp_path, s03={"spacing_mm": (1.0, 1.0, 3.0)})
    (problem,) = origin_problems(mixed.model_copy(update={"transforms": ({"Spacing": {"pixdim": [2, 2, 2]}},)}))
    assert problem.severity == "note"


def test_another_orientation_is_a_warning(tmp_path: Path) -> None:
    (problem,) = origin_problems(manifest(tmp_path, s05={"orientation": "LAS"}))
    assert problem.severity == "warning"
    assert "11 of 12 have RAS, others s05 (LAS)" in problem.text


def test_volumes_of_unknown_orientation_are_named_and_pictures_are_not(tmp_path: Path) -> None:
    unknown = {"orientation": None}
    problems = origin_problems(manifest(tmp_path, **{f"s{row:02d}": unknown for row in range(12)}))
    assert [problem.text for problem in problems] == [
        "volumes that do not tell their orientation, taken as LAS (12): s00, s01, s02 ... and 9 more"
    ]
    picture = {"orientation": None, "spacing_mm": None, "shape": (1, 30, 20)}
    assert origin_problems(manifest(tmp_path / "p", **{f"s{row:02d}": picture for row in range(12)})) == []


def test_mixed_shapes_are_a_note(tmp_path: Path) -> None:
    (problem,) = origin_problems(manifest(tmp_path, s11={"shape": (1, 8, 9, 11)}))
    assert (problem.severity, problem.text[:12]) == ("note", "mixed shapes")
