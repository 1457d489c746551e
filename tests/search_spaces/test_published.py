"""The papers' numbers: each is there once, is a number, and fits the others, but where the papers are wrong."""

import csv
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "search_spaces" / "studies"
GIVEN = Path(__file__).parents[4] / "shared" / "papers" / "published_results.csv"
KEY = ("paper", "table", "dataset", "setting", "method")
METRICS = {"mae", "mse", "gm", "pearson", "nlfd.correlation", "gain.percent"}
IMPOSSIBLE = {
    *(("table11", "a4", f"alpha={a} beta={b}", "supremix") for a, b in [(2, 8), (8, 2), (5, 5)]),
    *(("table11", "ukb", f"alpha={a} beta={b}", "supremix") for a, b in [(8, 2), (5, 5)]),
    ("table11", "echonet", "alpha=2 beta=8 (text)", "supremix"),
    *(("table14", "ukb", "missing_targets_missing", method) for method in ("vanilla", "rank_n_contrast")),
}
"""What is printed, and cannot be: a mean error above the root of the mean square, or below the geometric mean."""


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


ROWS = read(FOLDER / "published.csv")
BY_KEY: dict[tuple[str, ...], dict[str, float]] = {}
for row in ROWS:
    BY_KEY.setdefault(tuple(row[column] for column in KEY), {})[row["metric"]] = float(row["value"])


def test_each_number_is_there_once() -> None:
    counts = Counter(tuple(row[column] for column in (*KEY, "metric")) for row in ROWS)
    assert [key for key, count in counts.items() if count > 1] == []


def test_each_is_a_number_of_a_known_metric() -> None:
    for row in ROWS:
        assert float(row["value"]) > 0 and (not row["sd"] or float(row["sd"]) > 0), row
        assert row["metric"] in METRICS and None not in row and all(row[column] for column in KEY), row


def test_what_was_given_is_unchanged() -> None:
    if not GIVEN.exists():
        pytest.skip(f"{GIVEN} is not there")
    assert [row for row in read(GIVEN) if row not in ROWS] == []


def test_means_of_errors_are_in_order() -> None:
    """Geometric mean <= mean <= root of the mean square, but for rounding, wherever two of them are of one row."""
    wrong = set()
    for (_, *key), of in BY_KEY.items():
        ordered = [of.get("gm"), of.get("mae"), of["mse"] ** 0.5 if "mse" in of else None]
        there = [value for value in ordered if value is not None]
        if any(low > 1.004 * high for low, high in pairwise(there)):
            wrong.add(tuple(key))
    assert wrong == IMPOSSIBLE


def test_each_data_set_is_told_of() -> None:
    told = {row["dataset"]: row for row in read(FOLDER / "datasets.csv")}
    assert {row["dataset"] for row in ROWS} == told.keys()
    for row in told.values():
        assert 0 < int(row["n_test"]) < int(row["n"]) and row["label"] and row["unit"] and row["image"]
