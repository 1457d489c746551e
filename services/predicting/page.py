"""An evaluation as one HTML page that needs nothing beside itself."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from contrasweep.services.pages.drawing import as_address
from contrasweep.services.pages.sample import gap_table, group_tables, metrics_table, retest_table, told_table
from contrasweep.services.pages.tables import Line, Table
from contrasweep.services.pages.templates import pages
from contrasweep.services.predicting.evaluate import CohortReport, doubts, labels_of
from contrasweep.services.predicting.predict import Said
from contrasweep.trainers.drawing import COLOURS, INK, axes_of, canvas, plain

_TEMPLATE = "evaluation.html"


def render(report: CohortReport, said: Sequence[Said]) -> str:
    """The page's text."""
    template = pages().get_template(_TEMPLATE)
    return template.render(
        report=report,
        mae=report.figures.metrics["mae"],
        doubts=doubts(report),
        predicted=as_address(predicted_against_true(said, report.label), "png"),
        figures=metrics_table(report.figures, report.name, report.unit),
        gaps=gap_table(report.figures, report.label),
        groups=group_tables(report.figures, report.label),
        told=told_table(report.figures),
        retest=retest_table(report.figures),
        rejected=rejected_table(report),
    )


def predicted_against_true(said: Sequence[Said], label: str) -> Figure:
    """Mean predictions over runs against labels, intervals for a person, and who is unlike training."""
    y, predictions = np.array(labels_of(said)), np.array([one.prediction.prediction for one in said])
    intervals = [one.prediction.interval for one in said]
    unlike = np.array([bool(one.prediction.unlike) for one in said])
    figure = canvas(5.0, 5.4)
    axes = axes_of(figure)
    both = np.concatenate([y, predictions])
    axes.plot([both.min(), both.max()], [both.min(), both.max()], color=INK, linewidth=1, linestyle=(0, (5, 4)))
    if all(intervals):
        low, high = np.array(intervals).T
        axes.vlines(y, low, high, color=COLOURS[0], alpha=0.2, linewidth=1, label="holds 9 in 10 people")
    for some, colour, name in ((~unlike, COLOURS[0], "like training"), (unlike, COLOURS[1], "unlike training")):
        if some.any():
            axes.scatter(y[some], predictions[some], s=22, color=colour, edgecolor="white", linewidth=0.5, label=name)
    axes.set_xlabel(f"true {plain(label)}")
    axes.set_ylabel(f"predicted {plain(label)}")
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    return figure


def rejected_table(report: CohortReport) -> Table:
    """Who is in no figure, and why."""
    lines = tuple(Line((one.scan, one.reason)) for one in report.rejected)
    return Table("Scans in no figure", ("scan", "reason"), lines)
