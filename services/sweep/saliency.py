"""Where the served model's predictions come from: mean maps of people on the test split, by thirds of the label."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from contrasweep.trainers.data.store import VolumeStore, in_parts
from contrasweep.trainers.drawing import GRADED, INK, canvas, plain
from contrasweep.trainers.groups import label_bands
from contrasweep.trainers.served.folded import Folded
from contrasweep.trainers.served.saliency import gradient

FEWEST, MOST = 3, 20
"""People of a band, as many as `MOST_DERIVATIVES` allow."""
MOST_DERIVATIVES = 240
"""Of a prediction by its image, of all runs and people together: each takes as long as a training step of one image."""
_CELL_IN = 1.75

FloatArray = NDArray[np.float32]


class Band(NamedTuple):
    """Of people whose labels are in a range: the mean of their prepared images over channels [*S], and of their maps
    [*S], the size of the prediction's derivative by each voxel.
    """

    name: str
    people: int
    image: FloatArray
    salient: FloatArray


def draw_saliency(
    model: Path, store: VolumeStore, rows: NDArray[np.int64], label: str, device: torch.device
) -> Figure | None:
    """The bands of some scans of a store as the served model in the folder `model` sees them; None of series."""
    return None if len(store.image_shape) < 3 else drawn(bands(Folded.load(model).to(device), store, rows), label)


def bands(model: Folded, store: VolumeStore, rows: NDArray[np.int64]) -> list[Band]:
    """Thirds of the labels of some scans of a store, each by the first scan of some people."""
    names = np.array(label_bands(store.labels[rows]))
    order = sorted({*names}, key=lambda name: store.labels[rows[names == name]].min())
    people = min(MOST, max(FEWEST, MOST_DERIVATIVES // (len(order) * len(model.runs))))
    return [_band(name, model, store, _people(store, rows[names == name], people)) for name in order]


def drawn(found: Sequence[Band], label: str) -> Figure:
    """A row for each band: through the middle of each plane the mean image, and beside it the mean map.

    One scale of colours serves all bands.
    """
    most = max(float(band.salient.max()) for band in found)
    planes = len(_planes(found[0].image))
    figure = canvas(_CELL_IN * len(found) + 0.3, _CELL_IN * 2 * planes + 0.6)
    grid = figure.subplots(len(found), 2 * planes, squeeze=False)
    for band, line in zip(found, grid, strict=True):
        for place, plane in enumerate(_planes(band.image)):
            line[2 * place].imshow(plane, cmap="gray")
        for place, plane in enumerate(_planes(band.salient)):
            line[2 * place + 1].imshow(plane, cmap=GRADED, vmin=0, vmax=most or 1)
        line[0].set_ylabel(f"{band.name}\n{band.people} people", fontsize=8, color=INK)
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
    figure.suptitle(f"by {plain(label)}: mean image, and mean size of the gradient", fontsize=9, color=INK)
    return figure


def _people(store: VolumeStore, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The first scan of each of `most` people, of more at equal distances of their labels."""
    first = {store.subjects[row].subject: row for row in rows[::-1]}
    mine = np.array(sorted(first.values(), key=lambda row: store.labels[row]))
    return mine[np.linspace(0, len(mine) - 1, min(len(mine), most)).round().astype(np.int64)]


def _band(name: str, model: Folded, store: VolumeStore, rows: NDArray[np.int64]) -> Band:
    device = next(model.parameters()).device
    image, salient = (np.zeros(store.image_shape[1:], dtype=np.float32) for _ in range(2))
    for part in in_parts(store, rows):
        for values, cells in zip(part.images, store.cells_of(part.rows), strict=True):
            one = torch.from_numpy(values[None]).to(device).float()
            told = torch.from_numpy(model.outline.encode([cells])).to(device) if model.outline.columns else None
            image += values.mean(axis=0, dtype=np.float32) / len(rows)
            salient += gradient(model, one, told).cpu().numpy() / len(rows)
    return Band(name, len(rows), image, salient)


def _planes(values: FloatArray) -> list[FloatArray]:
    """An image [H, W], or the middle planes of a volume, the last axis up."""
    if values.ndim == 2:
        return [values]
    return [np.rot90(values.take(length // 2, axis)) for axis, length in enumerate(values.shape)]
