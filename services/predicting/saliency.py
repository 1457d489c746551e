"""Where in each scan its prediction comes from, as a NIfTI file in the scan's own space."""

import gzip
import re
from pathlib import Path

import torch

from contrasweep.services.records.files import write_asked
from contrasweep.trainers.covariates import Cells
from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.volume import Scan
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.served import ServedConfig
from contrasweep.trainers.served.folded import Folded
from contrasweep.trainers.served.saliency import KINDS, in_own_space


class Maps:
    """Writes a map of one kind for each scan into a folder."""

    def __init__(self, model: Path, config: ServedConfig, kind: str, folder: Path) -> None:
        """Of the served model in the folder `model`. Raises UserError on an unknown kind, and where it reads series."""
        if kind not in KINDS:
            raise UserError(f"--saliency: '{kind}'; {nearest(kind, KINDS)}")
        if len(config.image_shape) < 3:
            raise UserError("--saliency: the model reads series, of which there are no maps")
        self._model, self._config, self._kind, self._folder = Folded.load(model), config, kind, folder

    def write(self, scan: Subject, prepared: Scan) -> None:
        """Write the map of a scan, whole or not at all. Raises UserError where it cannot be written."""
        image = torch.from_numpy(prepared.values[None]).float()
        salient = KINDS[self._kind](self._model, image, self._covariates(scan.covariates)).numpy()
        placed = in_own_space(salient, prepared.affine, scan.path, self._config.data.affine)
        name = re.sub(r"[^\w.-]+", "-", scan.id).strip("-")
        write_asked(self._folder / f"{name}_desc-{self._kind}_saliency.nii.gz", gzip.compress(placed.to_bytes()))

    def _covariates(self, cells: Cells) -> torch.Tensor | None:
        outline = self._model.outline
        return torch.from_numpy(outline.encode([cells])) if outline.columns else None
