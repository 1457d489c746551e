"""Maps of embeddings of known shape."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from contrasweep.trainers.analyses import Evidence, Reading, build
from contrasweep.trainers.errors import UserError
from tests.trainers.analyses.evidence import EPOCHS, evidence

MAPS = pytest.mark.parametrize("name", ["tsne", pytest.param("umap", marks=pytest.mark.slow)])


def shown(given: Evidence, name: str, **params: str) -> list[np.ndarray]:
    """The places [n, 2] on each panel, in the order of colours, which are labels."""
    (figure,) = build(name, **params).run(given).figures.values()
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    return [np.ma.getdata(axes.collections[0].get_offsets()) for axes in panels]


def embedded(embedding: np.ndarray, labels: np.ndarray) -> Evidence:
    given = evidence(["one"], scans=len(labels), seeds=1)
    return replace(given, labels=labels, embeddings={Reading("one", 0): embedding.astype(np.float32)})


@MAPS
def test_a_curve_stays_a_curve(name: str) -> None:
    """Half a circle in ten dimensions: distances along it are those on the map."""
    labels = np.linspace(20, 80, 100)
    plane = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 2)))[0]
    angles = np.pi * (labels - 20) / 60
    (places,) = shown(embedded(np.column_stack([np.cos(angles), np.sin(angles)]) @ plane.T, labels), name)
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert steps.max() < 0.25 * np.linalg.norm(np.ptp(places, axis=0)), "no tear"
    pairs = np.triu_indices(100, 1)
    on_map = np.linalg.norm(places[pairs[0]] - places[pairs[1]], axis=1)
    assert spearmanr(on_map, np.abs(labels[pairs[0]] - labels[pairs[1]])).statistic > 0.8


@MAPS
def test_two_clusters_stay_two(name: str) -> None:
    labels = np.repeat([30.0, 70.0], 40)
    cloud = np.random.default_rng(0).normal(size=(80, 6)) + np.where(labels[:, None] > 50, 20, 0)
    (places,) = shown(embedded(cloud, labels), name)
    centres = places[:40].mean(0), places[40:].mean(0)
    own = [
        np.linalg.norm(places[rows] - centre, axis=1).max()
        for rows, centre in zip((slice(40), slice(40, 80)), centres, strict=True)
    ]
    assert np.linalg.norm(centres[0] - centres[1]) > sum(own)


@MAPS
def test_maps_over_epochs_become_ordered(name: str) -> None:
    findings = build(name, panels="epochs", point="two").run(evidence(["one", "two"], scans=60))
    (table,) = findings.tables.values()
    assert [row[0] for row in table.rows] == [f"epoch {epoch}" for epoch in EPOCHS]
    errors = [float(str(row[3])) for row in table.rows]
    assert errors[-1] < 0.5 * errors[0]


@pytest.mark.slow
def test_umap_leaves_the_threads_of_others_alone() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    build("umap").run(evidence(["one"], scans=20))
    alone = torch.get_num_threads()
    torch.set_num_threads(before)
    assert alone == 1


def test_marks_and_colours() -> None:
    (figure,) = build("tsne", mark="sex").run(evidence(["one", "two"], scans=20)).figures.values()
    first, second, bar = figure.axes
    assert [len(axes.collections) for axes in (first, second)] == [2, 2]
    assert first.collections[0].get_clim() == second.collections[1].get_clim(), "one scale for all"
    assert bar.get_ylabel() == "age (years)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["F", "M"]


def test_what_cannot_be_shown() -> None:
    with pytest.raises(UserError, match="a map needs 10 test scans, and there are 8"):
        build("tsne").run(evidence(scans=8))
    with pytest.raises(UserError, match="no configuration is called 'on'; did you mean 'one'"):
        build("tsne", panels="epochs", point="on").run(evidence(["one"]))
