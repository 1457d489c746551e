from pathlib import Path

import numpy as np

from contrasweep.services.inspection.survey import survey
from contrasweep.services.inspection.unusual import Outlier, nearly_blank, outliers, robust_z, unusual_problems
from contrasweep.trainers.data.store import VolumeStore
from tests.services.inspection.planted import images, source, store_of


def found_in(store: VolumeStore) -> tuple[list[str], list[Outlier]]:
    found = survey(store, (), lambda done, total: None)
    return nearly_blank(store.subjects, found), outliers(store.subjects, found)


def test_nothing_is_unusual_among_equals(tmp_path: Path) -> None:
    assert found_in(store_of(tmp_path / "v", images(40))) == ([], [])


def test_another_scale_is_an_outlier_and_the_worst_is_first(tmp_path: Path) -> None:
    scans = images(40)
    scans["s07"] *= 30
    scans["s11"] += 200
    _, unusual = found_in(store_of(tmp_path / "v", scans))
    assert unusual[0].scan == "s07"
    assert {outlier.scan for outlier in unusual} == {"s07", "s11"}
    assert "stored sd" not in {outlier.figure for outlier in unusual if outlier.scan == "s11"}
    (problem,) = unusual_problems([], unusual)
    assert problem.text.startswith("outliers (2): s07 (")


def test_a_label_that_stands_for_missing_is_an_outlier(tmp_path: Path) -> None:
    _, unusual = found_in(store_of(tmp_path / "v", images(40), {"s20": {"label": 999.0}}))
    assert [(outlier.scan, outlier.figure, outlier.value) for outlier in unusual] == [("s20", "label", 999.0)]


def test_few_scans_have_no_outliers(tmp_path: Path) -> None:
    scans = images(9)
    scans["s07"] *= 30
    assert found_in(store_of(tmp_path / "v", scans))[1] == []


def test_a_nearly_blank_image_is_named(tmp_path: Path) -> None:
    scans = images(40)
    scans["s05"] = scans["s05"] / np.float32(1000) + 100
    blank, _ = found_in(store_of(tmp_path / "v", scans))
    assert blank == ["s05"]
    assert unusual_problems(blank, [])[0].text == "nearly blank images (1): s05"


def test_a_nearly_blank_file_is_named_though_normalised(tmp_path: Path) -> None:
    scans = images(40)
    told = {"s06": {"source": source(scans["s06"], minimum=80.0, maximum=80.5)}}
    assert found_in(store_of(tmp_path / "v", scans, told))[0] == ["s06"]


def test_figures_that_hardly_vary_make_no_outliers() -> None:
    values = np.array([255.0] * 50 + [254.0])
    assert np.abs(robust_z(values, least_sd=0.05 * 255)).max() < 1


def test_each_tail_has_its_own_spread() -> None:
    labels = np.concatenate([np.arange(-5.0, 0), np.arange(0.0, 200, 10)])  # most people have low scores, a few high
    z = robust_z(labels, least_sd=0.1)
    assert abs(z).max() < 6
    assert robust_z(np.append(labels, -900), least_sd=0.1)[-1] < -6
