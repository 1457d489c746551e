"""Several readings of one training: what probes say of the features in each space, after each epoch that was kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers import probes
from contrasweep.trainers.config import FeatureSpace, Named, RunConfig, weights_file, words_of
from contrasweep.trainers.covariates import beside
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import Rows, VolumeStore, in_parts
from contrasweep.trainers.errors import Diverged
from contrasweep.trainers.inference import Predictor
from contrasweep.trainers.model import build_loss
from contrasweep.trainers.probes import Probe

HEAD = "head"
"""What the judged probe of a method that trains its own is called."""
_AT_ONCE = 64
"""Scans that are embedded together."""


class Embedded(NamedTuple):
    """Rows [n] of a store as weights embed them: features [n, F] in each space, and covariates [n, K] or None."""

    rows: NDArray[np.int64]
    spaces: dict[FeatureSpace, Tensor]
    covariates: Tensor | None

    def read(self, space: FeatureSpace) -> Tensor:
        """What a probe reads [n, F + K]."""
        return beside(self.spaces[space], self.covariates)


@dataclass(frozen=True, eq=False)
class Reader:
    """The weights of a run after one epoch; they read the store that the run did, which trained on `splits.train`."""

    run: RunConfig
    predictor: Predictor
    store: VolumeStore
    splits: Splits

    @classmethod
    def load(
        cls, run: RunConfig, folder: Path, epoch: int, store: VolumeStore, splits: Splits, device: torch.device
    ) -> "Reader":
        """From a run's folder; the epoch counts from 1, and 0 is the one that counts.

        Raises FileNotFoundError where its weights were not kept.
        """
        predictor = Predictor.load(run, folder / weights_file(epoch), store.image_shape, device)
        return cls(run, predictor, store, splits)

    @property
    def space(self) -> FeatureSpace:
        """The features that the judged probe reads."""
        return self.predictor.network.features

    @property
    def spaces(self) -> tuple[FeatureSpace, ...]:
        """All that there are."""
        return self.predictor.network.feature_spaces

    @property
    def judged(self) -> str:
        """What the judged probe is called: its words, or `HEAD` where the method trains its own."""
        return HEAD if self._is_end_to_end else words_of(self.run.probe)

    @cached_property
    def _is_end_to_end(self) -> bool:
        return build_loss(self.run.finetuning()).end_to_end

    def embed(self, parts: Iterable[Rows]) -> Embedded:
        """Embed scans that come in parts, in their order. Raises Diverged where a feature is not finite."""
        found = [self._embedded(part) for part in parts]
        spaces = {space: torch.cat([one.spaces[space] for one in found]) for space in self.spaces}
        if not all(features.isfinite().all() for features in spaces.values()):
            raise Diverged("the embedding holds numbers that are not finite")
        told = [one.covariates for one in found if one.covariates is not None]
        return Embedded(np.concatenate([one.rows for one in found]), spaces, torch.cat(told) if told else None)

    def _embedded(self, part: Rows) -> Embedded:
        told = self.predictor.covariates
        covariates = None if told is None else torch.from_numpy(told.encode(self.store.cells_of(part.rows)))
        return Embedded(part.rows, self.predictor.embed(part.images, _AT_ONCE), covariates)

    @cached_property
    def _train(self) -> Embedded:
        return self.embed(in_parts(self.store, self.store.rows_of(self.splits.train)))

    def probes(self, space: FeatureSpace, further: Sequence[Named]) -> dict[str, Probe]:
        """The judged probe and those `further`, by their words, as they read a space.

        The one that the weights have is taken as it is; one that was trained along reads no other space. The others
        are fitted on the training split, with the table's labels, as after an epoch.
        """
        own = self.predictor.probe if space == self.space else None
        kept = {} if own is None else {self.judged: own}
        wanted = [*([] if self._is_end_to_end else [self.run.probe]), *further]
        return kept | {words_of(one): self._fit(one, space) for one in wanted if words_of(one) not in kept}

    def _fit(self, probe: Named, space: FeatureSpace) -> Probe:
        ((name, params),) = probe.items()
        labels = torch.from_numpy(self.store.labels[self._train.rows])
        return probes.build(name, **params).fit(self._train.read(space), labels, seed=self.run.seed)
