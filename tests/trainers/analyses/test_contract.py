"""What every registered analysis must do; a new one inherits all of it."""

import io
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from contrasweep.trainers import analyses
from contrasweep.trainers.analyses import Evidence, Findings
from contrasweep.trainers.errors import UserError
from tests.trainers.analyses.evidence import evidence

SLOW = ("umap",)
"""What compiles itself for half a minute."""
POINTS = ("n50", "cost $ n100 $")


@cache
def given(**kind: int) -> Evidence:
    return evidence(POINTS, **kind)


@cache
def found(name: str, **kind: int) -> Findings:
    return analyses.build(name).run(given(**kind))


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in analyses.names()])
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every registered analysis in turn."""
    yield str(request.param)
    assert not plt.get_fignums(), "figures are of nobody else"


def drawn(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def test_all_analyses_are_found() -> None:
    expected = {
        "curve",
        "gain",
        "groups",
        "logits",
        "nlfd",
        "order",
        "paired",
        "ranges",
        "scatter",
        "shots",
        "site",
        "tsne",
    }
    assert {*analyses.names()} >= expected | {"umap"}


def test_it_finds_tables_and_figures_at_its_defaults(name: str) -> None:
    findings = found(name)
    assert findings.tables and findings.figures
    for table in findings.tables.values():
        assert table.rows and {len(row) for row in table.rows} == {len(table.columns)}
        assert all(isinstance(cell, str | int | float | None) for row in table.rows for cell in row)
    assert all(isinstance(figure, Figure) and drawn(figure) for figure in findings.figures.values())
    assert all(word[0].isupper() and word.endswith(".") and "\n" not in word for word in findings.words)


def test_what_configurations_may_be_ordered_by_is_there_of_each_and_each_seed(name: str) -> None:
    findings = found(name)
    assert findings.larger <= findings.values.keys()
    for values in findings.values.values():
        assert {*values} == {(point, seed) for point in POINTS for seed in (0, 1)}


def test_it_finds_the_same_again(name: str) -> None:
    again = analyses.build(name).run(given())
    assert repr((again.tables, again.words, again.values)) == repr(
        (found(name).tables, found(name).words, found(name).values)
    )


def test_folds_and_people_scanned_twice(name: str) -> None:
    findings = found(name, seeds=2, folds=3, scans_of_each=2)
    for values in findings.values.values():
        assert {*values} == {(point, seed) for point in POINTS for seed in (0, 1)}


def test_evidence_that_lacks_what_it_needs(name: str) -> None:
    bare = replace(given(), predictions={}, embeddings={})
    with pytest.raises(UserError, match=r"configuration 'n50': .*a spec with `read: \{.*\}` (keeps|has)"):
        analyses.build(name).run(bare)


def test_a_collapsed_embedding_is_no_failure(name: str) -> None:
    whole = given()
    collapsed = {reading: np.ones_like(whole.embeddings[reading]) for reading in whole.embeddings}
    findings = analyses.build(name).run(replace(whole, embeddings=collapsed))
    assert all(drawn(figure) for figure in findings.figures.values())


def test_parameters_are_checked(name: str) -> None:
    with pytest.raises(UserError, match=f"analysis '{name}' has no parameter 'fetures'; did you mean 'features'"):
        analyses.build(name, fetures="encoder")
    with pytest.raises(UserError, match=f"analysis '{name}': unknown features 'encodre'; did you mean 'encoder'"):
        analyses.build(name, features="encodre")
