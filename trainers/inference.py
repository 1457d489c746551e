"""Predicting with trained models: one seed's, or several that are kept together in a folder."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers import checkpoint
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.config import FeatureSpace, RunConfig
from contrasweep.trainers.covariates import Cells, Covariates, beside
from contrasweep.trainers.model import build_network
from contrasweep.trainers.network import Network
from contrasweep.trainers.normalization import Normalization
from contrasweep.trainers.probes import Probe, load_probe

ENSEMBLE = "ensemble.json"


class Inference(NamedTuple):
    """Features [N, F] float32 that the probe read of images, and predictions [N] float64 in the label's unit."""

    features: NDArray[np.float32]
    predictions: NDArray[np.float64]


@dataclass(frozen=True)
class Predictor:
    """A trained network and its probe; weights that were kept beside those that count may have none, and only embed."""

    network: Network
    probe: Probe | None
    device: torch.device
    normalization: Normalization | None
    covariates: Covariates | None

    @classmethod
    def load(
        cls, run: RunConfig, best: Path, image_shape: tuple[int, ...], device: torch.device | str = "cpu"
    ) -> "Predictor":
        """From a seed's `best.pt`, or other weights of `RunConfig.kept`; `image_shape` is (C, *S).

        Torch's random state is left as it was.
        """
        state = checkpoint.load(best)
        with torch.random.fork_rng(devices=[]):
            network = build_network(run.finetuning(), image_shape)
        network.load_state_dict(state["model"])
        kept = state["normalization"]
        normalization = Normalization(**{name: tuple(of) for name, of in kept.items()}) if kept else None
        told = state.get("covariates")  # of checkpoints that were made before there were any
        covariates = Covariates.of(told) if told else None
        probe = load_probe(state["probe"]) if state["probe"] else None
        return cls(network.eval().to(device), probe, torch.device(device), normalization, covariates)

    @torch.inference_mode()
    def infer(self, images: NDArray[Any], cells: Sequence[Cells] = (), at_once: int = 1) -> Inference:
        """Embed and predict images [N, C, *S] as a store holds them, N at least 1, so many `at_once`.

        What is said of an image by itself is the same, to the last bit, whichever others are asked about; together they
        take less time. `cells` [N] are what the table has in the columns of the covariates, where the model reads any.
        """
        assert self.probe is not None
        features = [self._embed(some) for some in torch.from_numpy(np.ascontiguousarray(images)).split(at_once)]
        known: Sequence[Tensor | None] = [None] * len(features)
        if self.covariates is not None:
            known = torch.from_numpy(self.covariates.encode(cells)).split(at_once)
        said = [self.probe.predict(beside(of, told)) for of, told in zip(features, known, strict=True)]
        return Inference(torch.cat(features).numpy(), torch.cat(said).numpy())

    @torch.no_grad()
    def embed(self, images: NDArray[Any], at_once: int) -> dict[FeatureSpace, Tensor]:
        """Features [N, F] float32 of such images in each space that the network has, on the CPU."""
        found: dict[FeatureSpace, list[Tensor]] = {space: [] for space in self.network.feature_spaces}
        for some in torch.from_numpy(np.ascontiguousarray(images)).split(at_once):
            for space, features in self.network.embed(self._normalized(some)).items():
                found[space].append(features.float().cpu())
        return {space: torch.cat(parts) for space, parts in found.items()}

    def _embed(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(self._normalized(images)).features
        return features.float().cpu()

    def _normalized(self, images: Tensor) -> Tensor:
        images = images.to(self.device).float()
        return self.normalization(images) if self.normalization else images


def save_ensemble(folder: Path, members: Mapping[str, tuple[RunConfig, Path]], image_shape: tuple[int, ...]) -> None:
    """Copy each run's `best.pt` into `folder` under its name, with all that loading them needs."""
    folder.mkdir(parents=True)
    for name, (_, best) in members.items():
        shutil.copyfile(best, folder / f"{name}.pt")
    runs = {name: run.model_dump() for name, (run, _) in members.items()}
    write_atomically(folder / ENSEMBLE, json.dumps({"image_shape": image_shape, "runs": runs}, indent=1).encode())


def load_ensemble(folder: Path, device: torch.device | str = "cpu") -> dict[str, Predictor]:
    """The predictors that `save_ensemble` kept, by their names and in its order."""
    kept = json.loads((folder / ENSEMBLE).read_text())
    shape = tuple(kept["image_shape"])
    runs = {name: RunConfig.model_validate(run) for name, run in kept["runs"].items()}
    return {name: Predictor.load(run, folder / f"{name}.pt", shape, device) for name, run in runs.items()}
