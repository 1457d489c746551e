import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from contrasweep.services.inspection.page import render, write_page
from contrasweep.services.inspection.report import Report, inspect_store, rejections
from contrasweep.services.inspection.screen import print_report
from contrasweep.services.inspection.target import Target, open_target
from contrasweep.services.settings import Settings
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import LeftOut, StoredImage, VolumeStore
from tests.services.inspection.planted import images, source, store_of

SPLITS = Splits(
    train=tuple(f"s{row:02d}" for row in range(10)),
    validation=tuple(f"s{row:02d}" for row in range(10, 15)),
    test=tuple(f"s{row:02d}" for row in range(15, 20)),
)


def looked_at(store: VolumeStore, **splits: Splits) -> Report:
    return inspect_store(Target(store, splits), lambda done, total: None)


@pytest.fixture
def leaky(tmp_path: Path) -> Report:
    """20 scans, one of them twice, on two sides of the split, and another nearly blank."""
    scans = images(20)
    scans["s17"] = scans["s02"]
    scans["s05"] = scans["s05"] / np.float32(1000) + 100
    told = {"s03": {"described": {"site": "<script>alert(1)</script>"}}}
    return looked_at(store_of(tmp_path / "leaky-0", scans, told), one=SPLITS)


def test_leaks_come_first(leaky: Report) -> None:
    severities = [problem.severity for problem in leaky.problems]
    assert severities[0] == "leak"
    assert severities == sorted(severities, key=["leak", "warning", "note"].index)
    assert leaky.problems[0].text == "the same image in several splits (1): s02 (train), s17 (test)"
    assert leaky.verdict == "1 leak, 4 warnings, 0 notes"  # twice, with two labels, blank, an outlier


def test_the_screen_ends_with_the_verdict_after_the_page(leaky: Report, tmp_path: Path) -> None:
    console = Console(record=True, width=60, file=(tmp_path / "out").open("w"))
    print_report(console, leaky, tmp_path / "page.html")
    lines = console.export_text().rstrip().splitlines()
    assert lines[0] == "leak     the same image in several splits (1): s02 (train), s17 (test)"
    assert lines[-2:] == [f"report   {tmp_path / 'page.html'}", "1 leak, 4 warnings, 0 notes"]
    assert ["validation", "5", "32.00", "1.414", "30.00", "34.00"] in [line.split() for line in lines]


def test_the_page_needs_nothing_else_and_quotes_what_tables_say(leaky: Report, tmp_path: Path) -> None:
    path = write_page(leaky, tmp_path / "reports")
    page = path.read_text()
    assert path.name == "inspect-leaky-0.html"
    assert "s02 (train), s17 (test)" in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    sources = [part.split('"')[0] for part in page.split('src="')[1:]]
    assert len(sources) == 5  # the sheet, labels, by split, by site, values
    assert all(source.startswith("data:image/") for source in sources)
    assert "@import" not in page and "url(" not in page and "<link" not in page


def test_a_thousand_oddities_make_a_short_page(tmp_path: Path) -> None:
    told = {f"s{row:02d}": {"described": {"site": f"site {row}"}, "label": 10.0**row} for row in range(30)}
    page = render(looked_at(store_of(tmp_path / "v", images(30), told)))
    assert "… and 19 more" in page  # of 30 sites and everyone
    assert len(page) < 2_000_000


def test_without_splits_it_is_said(tmp_path: Path) -> None:
    report = looked_at(store_of(tmp_path / "v", images(12)))
    assert [problem.text for problem in report.problems] == [
        "the store holds no splits, so nothing is said of leaks between them"
    ]


def test_all_splits_of_a_store_are_looked_at_by_name(tmp_path: Path) -> None:
    scans = images(20)
    scans["s17"] = scans["s02"]
    store = store_of(tmp_path / "v", scans)
    sound = SPLITS.model_copy(update={"train": SPLITS.train[3:], "validation": (*SPLITS.validation, "s00", "s01")})
    for name, splits in {"aaa": sound.model_copy(update={"test": (*SPLITS.test, "s02")}), "bbb": SPLITS}.items():
        content = {"config": {}, "splits": splits.model_dump(mode="json")}
        (tmp_path / "v" / f"splits-{name}.json").write_text(json.dumps(content))
    target = open_target(str(store.folder), Settings(home=tmp_path / "home"), Console())
    report = inspect_store(target, lambda done, total: None)
    assert [problem.text for problem in report.problems if problem.severity == "leak"] == [
        "splits-bbb: the same image in several splits (1): s02 (train), s17 (test)"
    ]


def test_doubts_of_the_table_are_told_and_who_is_on_two_sides(tmp_path: Path) -> None:
    """20 films of 5 patients, whose ids nobody was told of: of the split's sides, patients 2 and 3 are on two."""
    told: dict[str, dict[str, Any]] = {}
    told |= {f"s{row:02d}": {"people": {"Patient ID": f"P{row // 4}"}} for row in range(20)}
    for row, sex in enumerate(["F", "Female", "M", "M", "unknown"] * 4):
        told[f"s{row:02d}"] |= {"group": sex, "described": {"sex": sex}}
    told["s04"]["label"] = told["s05"]["label"] = -9999.0
    report = looked_at(store_of(tmp_path / "v", images(20), told), one=SPLITS)
    lines = [f"{problem.severity}: {problem.text}" for problem in report.problems]
    expected = [
        "leak: 'Patient ID' has values on several sides of the split (2): P2, P3; "
        "data.id or data.split.family: Patient ID keeps them together",
        "warning: 2 labels of 'age' are -9999, the others 20.00 to 39.00: missing values? data.missing: [-9999]",
        "warning: 'sex' may have one value spelled differently: 'F' and 'Female'",
        "warning: 'sex' has 'unknown' (4): missing values? data.missing names them",
    ]
    assert [line for line in lines if line in expected] == expected
    page = render(report)
    assert all(text in page for text in ("on several sides of the split (2): P2, P3", "missing values? data.missing"))


def test_rejections_are_grouped_by_reason() -> None:
    rejected = [
        LeftOut(subject="a", path=None, reason="3 of 288 voxels are not finite"),
        LeftOut(subject="b", path=None, reason="missing label: column 'age' is 'n/a'"),
        LeftOut(subject="c", path=None, reason="missing label: column 'age' is ''"),
    ]
    assert [(group.reason, group.scans) for group in rejections(rejected)] == [
        ("missing label: column 'age' is 'n/a'", ("b", "c")),
        ("3 of 288 voxels are not finite", ("a",)),
    ]


def test_rejections_are_grouped_by_the_image_that_is_at_fault() -> None:
    reasons = {"a": "t1: no such image", "b": "t2: no such image", "c": "t1: no such image; t2: no such image"}
    rejected = [LeftOut(subject=scan, path=None, reason=reasons[scan]) for scan in "abc"]
    rejected.append(LeftOut(subject="d", path=None, reason="t2: no such image"))
    assert [group.scans for group in rejections(rejected)] == [("b", "d"), ("a",), ("c",)]


def test_a_store_of_several_images_is_inspected(tmp_path: Path) -> None:
    """T2s are a hundredth of T1s: an odd one shows among T2s, and so does a file that two scans share."""
    scans = images(20, (2, 8, 9, 10))
    told = {}
    for name, values in scans.items():
        values[1] /= 100
        parts = {"t1": source(values[:1]), "t2": source(values[1:], spacing_mm=(2.0, 2.0, 2.0))}
        if name == "s07":
            parts["t2"] = source(values[1:], maximum=3.0, spacing_mm=(2.0, 2.0, 3.0))
        digests = {"t1": "shared" if name in ("s03", "s17") else f"1{name}", "t2": f"2{name}"}
        told[name] = {
            "images": {part: StoredImage(path="", digest=digests[part], source=parts[part]) for part in parts}
        }
    report = looked_at(store_of(tmp_path / "v", scans, told), one=SPLITS)
    assert report.problems[0].text == "the same file in several splits (1): s03 (train), s17 (test)"
    texts = [problem.text for problem in report.problems]
    assert any("19 of 20 have 1 × 1 × 1 mm + 2 × 2 × 2 mm, others s07" in text for text in texts)
    assert [(one.scan, one.figure) for one in report.outliers] == [("s07", "raw maximum of t2")]
    assert not any("blank" in text for text in texts)
    assert "raw maximum of t2" in render(report)
