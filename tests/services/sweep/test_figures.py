from collections.abc import Callable

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from contrasweep.services.sweep.figures import embedding_map, learning_curves, predicted_against_true


def _pixels(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]


def test_predictions_are_drawn_against_labels_with_unit_and_identity() -> None:
    y = np.array([20.0, 40.0, 60.0])
    figure = predicted_against_true(y, np.stack([y + 1, y - 1]), label="age", unit="y")
    (axes,) = figure.axes
    assert axes.get_xlabel() == "true age (y)"
    assert axes.get_ylabel() == "predicted age (y)"
    identity = axes.lines[0]
    assert np.array_equal(identity.get_xdata(), identity.get_ydata())
    np.testing.assert_allclose(np.asarray(axes.collections[-1].get_offsets()), np.stack([y, y], axis=1))
    assert "MAE 0.000 y" in [text.get_text() for text in axes.texts]


def test_a_run_that_is_far_off_leaves_the_others_room() -> None:
    y = np.array([20.0, 40.0, 60.0])
    (axes,) = predicted_against_true(y, np.stack([y - 300, y + 301])).figure.axes
    low, high = axes.get_ylim()
    assert 0 < low < 20 and 61 < high < 80


@pytest.mark.parametrize(
    ("shape", "method"), [((40, 8), "t-SNE"), ((9, 8), "PC"), ((40, 2), "PC"), ((40, 1), "PC"), ((1, 4), "PC")]
)
def test_embedding_map_picks_a_method_that_fits(shape: tuple[int, int], method: str) -> None:
    figure = embedding_map(
        np.random.default_rng(0).normal(size=shape), np.arange(float(shape[0])), label="age", unit="y"
    )
    axes, bar = figure.axes
    assert axes.get_xlabel() == f"{method} 1"
    assert bar.get_ylabel() == "age (y)"
    assert len(np.asarray(axes.collections[0].get_offsets())) == shape[0]


def test_embedding_map_is_the_same_for_the_same_seed() -> None:
    embeddings, y = np.random.default_rng(0).normal(size=(30, 6)), np.arange(30.0)
    assert np.array_equal(_pixels(embedding_map(embeddings, y)), _pixels(embedding_map(embeddings, y)))


def test_a_collapsed_embedding_is_still_drawn() -> None:
    figure = embedding_map(np.ones((20, 4)), np.arange(20.0))
    assert np.ptp(np.asarray(figure.axes[0].collections[0].get_offsets())) == 0


def test_a_large_embedding_is_thinned() -> None:
    figure = embedding_map(np.random.default_rng(0).normal(size=(2500, 2)), np.arange(2500.0))
    assert len(np.asarray(figure.axes[0].collections[0].get_offsets())) == 2000


def test_learning_curves_skip_epochs_without_the_metric() -> None:
    rows = [{"epoch": 0, "loss": 1.0}, {"epoch": 1, "validation_mae": 9.0}, {"epoch": 2, "validation_mae": 7.0}]
    figure = learning_curves({"seed 0": rows, "seed 1": rows[:2]}, unit="y")
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["seed 0", "seed 1"]
    assert list(np.asarray(axes.lines[0].get_ydata())) == [9.0, 7.0]
    assert axes.get_ylabel() == "validation MAE (y)"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: predicted_against_true(np.arange(3.0), np.ones((1, 3))),
        lambda: predicted_against_true(np.zeros(1), np.zeros((2, 1))),
        lambda: learning_curves({}),
    ],
)
def test_edge_cases_render(draw: Callable[[], Figure]) -> None:
    assert _pixels(draw()).std() > 0


def test_no_figure_is_kept_by_pyplot() -> None:
    learning_curves({})
    assert not pyplot.get_fignums()
