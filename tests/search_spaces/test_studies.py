"""Studies: every table and figure has one, whose rows are of methods that there are and of published numbers."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.spec.yaml import load_mapping
from contrasweep.trainers import baselines, losses
from contrasweep.trainers.parameters import check, rules_of

FOLDER = Path(__file__).parents[2] / "search_spaces" / "studies"
PRESETS = {path.stem for path in (FOLDER.parent / "presets").glob("*.yaml")}
STUDIES: Mapping[str, dict[str, Any]] = {
    path.stem: load_mapping(path.read_bytes(), path.name) for path in sorted(FOLDER.glob("*.yaml"))
}
COLUMNS = ("paper", "table", "dataset", "setting", "method")
DYNLOCREP = {"table3", "fig4a", "fig4b", "fig4c", "fig4d", "fig5", "fig6", "transfer"}
SUPREMIX = {f"table{n}" for n in (*range(2, 12), *range(14, 21))} | {f"fig{n}" for n in (3, 4, 6, 7, 8, 9, 10)}
OURS = {"league", "learning-curve", "label-noise", "three-protocols", "linear-baselines"}
FURTHER = {"srm-table8-reverse", "srm-table10-ukb"}
"""The other half of a table whose halves have other rows, or other test scans."""

every = pytest.mark.parametrize("name", STUDIES)


def published() -> list[dict[str, str]]:
    with (FOLDER / "published.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


PUBLISHED = published()


def numbers(study: Mapping[str, Any], row: Mapping[str, Any], method: str) -> Iterator[list[str]]:
    """The values that are published of a row by each metric; where they are of several methods, of its own."""
    said = {column: study.get(column) for column in COLUMNS} | row["published"]
    hits = [one for one in PUBLISHED if all(value is None or one[key] == value for key, value in said.items())]
    for metric in study["metrics"]:
        own = [one for one in hits if one["metric"] == metric]
        yield [one["value"] for one in own if len(own) == 1 or one["method"] == method]


def test_every_table_and_figure_has_one() -> None:
    wanted = {f"dlr-{of}" for of in DYNLOCREP} | {f"srm-{of}" for of in SUPREMIX} | OURS | FURTHER
    assert wanted == set(STUDIES)
    told = {(study.get("paper"), study.get("table")) for study in STUDIES.values()}
    assert {(row["paper"], row["table"]) for row in PUBLISHED} - told == {("supremix", "fig5")}


@every
def test_each_selector_names_one_number_at_most_of_a_metric_and_some_of_one(name: str) -> None:
    study = STUDIES[name]
    methods = {row["name"]: row.get("method", "") for row in study["rows"]}
    for row in study["rows"]:
        if "published" in row:
            found = list(numbers(study, row, methods[row.get("of", row["name"])]))
            assert max(map(len, found)) == 1, (row, found)


@every
def test_its_order_can_be_told(name: str) -> None:
    """By the first metric's published numbers, or by what is claimed; ours need neither."""
    study = STUDIES[name]
    of = [row for row in study["rows"] if "published" in row]
    told = [row for row in of if next(numbers(study, row, row.get("method", "")))]
    assert len(told) >= 2 or "order" in study or study.get("paper") is None


@every
def test_rows_are_of_methods_that_there_are(name: str) -> None:
    study = STUDIES[name]
    assert study["title"] and study["rows"] and study.get("preset", "dynlocrep") in PRESETS
    for row in study["rows"]:
        assert ("of" in row) != ("method" in row), row
        if "method" in row:
            rules = rules_of(losses.get(row["method"]))
            for key, value in row.get("params", {}).items():
                check("params", key, value, rules[key])


@every
def test_rows_refer_to_rows(name: str) -> None:
    study = STUDIES[name]
    names = [row["name"] for row in study["rows"]]
    assert len(set(names)) == len(names)
    trained = {row["name"] for row in study["rows"] if "method" in row}
    for place, row in enumerate(study["rows"]):
        assert row.get("of") in {None, *trained}, row
        assert row.get("start") in {None, *trained.intersection(names[:place])}, row
    order = study.get("order", [])
    assert {name for chain in order for name in ([chain] if isinstance(chain, str) else chain)} <= {*names}
    titles = {baselines.build(one).title for one in baselines.names()}
    for (said,) in (analysis.values() for analysis in study.get("analyses", []) if isinstance(analysis, dict)):
        assert said.get("reference", names[0]) in {*names, *titles}


@every
def test_what_embeddings_are_looked_at_is_read(name: str) -> None:
    study = STUDIES[name]
    wanted = {next(iter(one)) if isinstance(one, dict) else one for one in study.get("analyses", [])}
    if wanted & {"logits", "nlfd", "order", "site", "tsne", "umap"}:
        read = study["spec"]["read"]
        assert read.get("features") or read.get("epochs")


@every
def test_seeds_are_the_paper_s(name: str) -> None:
    assert STUDIES[name]["seeds"] == (5 if STUDIES[name].get("paper") == "dynlocrep" else 3)
