"""What a format is, and what it is given to write."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.registry import Registry
from contrasweep.trainers.served.card import encoders_of
from contrasweep.trainers.served.config import ServedConfig
from contrasweep.trainers.served.folded import Folded

Graph = Callable[..., Tensor]
"""Prepared images [N, C, *S] float32 and, where the model reads them, covariates [N, K] -> predictions [N] float64."""


@dataclass(frozen=True)
class Exportable:
    """A served model as one graph, what is known of it, and its folder."""

    folder: Path
    config: ServedConfig
    folded: Folded

    @classmethod
    def load(cls, folder: Path) -> "Exportable":
        """The model in `folder`. Raises UserError as `ServedConfig.read` does."""
        return cls(folder, ServedConfig.read(folder), Folded.load(folder))

    @property
    def runs(self) -> dict[str, RunConfig]:
        """What each run was told, by its name."""
        return {name: outline.run for name, outline in self.folded.outline.runs.items()}

    @property
    def encoder(self) -> str:
        """The name of its encoder, or of all where runs have several."""
        return encoders_of(self.runs)

    def description(self) -> dict[str, Any]:
        """What whoever uses the graph must know, as JSON: its inputs, its output, and `served`, a `ServedConfig`:
        the label, its unit and the licence, how scans are prepared, and what those of training were like.
        """
        columns = [column._asdict() for column in self.folded.outline.columns]
        image = {"name": "image", "dtype": "float32", "shape": ["N", *self.config.image_shape]}
        beside = {"name": "covariates", "dtype": "float32", "shape": ["N", len(columns)], "columns": columns}
        return {
            "inputs": [image, beside] if columns else [image],
            "outputs": [{"name": "prediction", "dtype": "float64", "shape": ["N"], "unit": self.config.data.in_unit}],
            "served": self.config.model_dump(mode="json"),
        }


class Format(Protocol):
    """Writes a model in a format, and reads it back; `packages` are needed beyond those of contrasweep."""

    packages: tuple[str, ...]

    def write(self, model: Exportable, path: Path) -> None:
        """Write a new `path`. Raises UserError where the model's encoder cannot be written so."""
        ...

    def read(self, path: Path) -> Graph:
        """What was written, as whoever is given it would run it."""
        ...


FORMATS: Registry[Format] = Registry("format", "contrasweep.trainers.exports")
