"""What an analysis is given and what it finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Reading(NamedTuple):
    """One way to read one run: `point` names the configuration, `epoch` counts from 1, or is 0 for the one that counts.

    `features` is `encoder` or `projection`. `probe` is empty where features themselves are meant.
    """

    point: str
    seed: int
    fold: int | None = None
    epoch: int = 0
    features: str = "projection"
    probe: str = ""


class Table(NamedTuple):
    """Rows of cells, numbers in full precision, under their columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True)
class Evidence:
    """What a sweep's complete configurations said of its test split of n scans.

    Where a run is read in several ways, the first is the one that configurations are judged by.

    Attributes:
        label, unit: what is predicted, and in what.
        points: the method of each configuration by its name, in the study's order.
        values: parameters, fields of the training and options of each, by its name; under `people`, where it is known,
            how many it is trained on.
        scans, subjects, labels: [n]; several scans may be of one subject.
        columns: cells of the table [n] by column.
        train_labels: of the training split; empty where the volume store is gone, which then has no columns either.
        predictions: [n] float64 by reading.
        embeddings: [n, F] float32 by reading, without a probe; read from disk as one is asked for.
        baselines: what simple models predict [n], by their titles.
    """

    label: str
    unit: str
    points: Mapping[str, str]
    values: Mapping[str, Mapping[str, object]]
    scans: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: NDArray[np.float64]
    columns: Mapping[str, Sequence[str]]
    train_labels: NDArray[np.float64]
    predictions: Mapping[Reading, NDArray[np.float64]]
    embeddings: Mapping[Reading, NDArray[np.float32]] = field(default_factory=dict)
    baselines: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class Findings:
    """Tables and figures by their titles, and sentences.

    Attributes:
        values: what configurations may be ordered by, by name: of each configuration and seed.
        larger: those of `values` of which more is better; of the others less is.
        apart: whether a test tells two configurations apart, of each pair that was compared.
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    figures: "Mapping[str, Figure]" = field(default_factory=dict)
    words: tuple[str, ...] = ()
    values: Mapping[str, Mapping[tuple[str, int], float]] = field(default_factory=dict)
    larger: frozenset[str] = frozenset()
    apart: Mapping[frozenset[str], bool] = field(default_factory=dict)


class Analysis(Protocol):
    """Looks at a sweep's predictions and embeddings; its settings are its own parameters."""

    def run(self, evidence: Evidence) -> Findings:
        """What it finds. Raises UserError where the evidence lacks what it needs, saying what would give it."""
        ...


ANALYSES: Registry[Analysis] = Registry("analysis", "contrasweep.trainers.analyses")
