"""Baselines for what a sweep chose: fitted on whom its runs could use, they predict what those are evaluated on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from contrasweep.services.records.final_report import BaselineSaid
from contrasweep.trainers import baselines
from contrasweep.trainers.baselines import Fitted, Reader, Training, fit_all
from contrasweep.trainers.data.store import Rows, VolumeStore


@dataclass(frozen=True)
class Baselines:
    """Every baseline that could be fitted, by name, and how they read images."""

    reader: Reader
    fitted: Mapping[str, Fitted]

    @classmethod
    def fit(cls, store: VolumeStore, ids: Iterable[str]) -> "Baselines":
        """Fit all on scans of a store, with the table's labels."""
        rows = store.rows_of(ids)
        reader = Reader.of(store.image_shape, len(rows))
        subjects = [store.subjects[row].subject for row in rows]
        return cls(reader, fit_all(Training(reader.read(store, rows), store.labels[rows], subjects)))

    def predict(self, store: VolumeStore, part: Rows) -> dict[str, NDArray[np.float64]]:
        """Labels [n] of a part of a store, by baseline."""
        scans = self.reader.scans(store, part.images, part.rows)
        return {name: one.predict(scans) for name, one in self.fitted.items()}

    def said(self, parts: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, BaselineSaid]:
        """What they said of all parts together."""
        return {
            name: BaselineSaid(
                title=kind.title,
                cross_validated_mae=one.cross_validated_mae if isfinite(one.cross_validated_mae) else None,
                note=self.reader.words if kind.reads_images else "",
                predictions=np.concatenate([part[name] for part in parts]).tolist(),
            )
            for name, one in self.fitted.items()
            for kind in [baselines.build(name)]
        }
