"""What a MONAI bundle of a served model runs: scans as they come -> a table of predictions.

`contrasweep export --format monai-bundle` names these in the bundle's `configs/inference.json`, and puts this package
beside it.
"""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from contrasweep.trainers import checkpoint
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.data.participants import Rejected, Subject, read_unseen
from contrasweep.trainers.data.readers import UnreadableError
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.served.folded import Folded, Outline
from contrasweep.trainers.served.preparation import Preparation

OUTLINE, WEIGHTS, PREPARATION = "models/model.json", "models/model.pt", "preparation"
"""Files of a bundle, and the folder of what prepares scans."""
_COLUMNS = ("scan", "prediction", "low", "high", "reason")


def load_network(bundle_root: str) -> Folded:
    """The bundle's graph, on the CPU."""
    folded = Folded(Outline.model_validate_json((Path(bundle_root) / OUTLINE).read_text()))
    folded.load_state_dict(checkpoint.load(Path(bundle_root) / WEIGHTS))
    return folded


class Scans(Dataset[dict[str, Tensor]]):
    """Scans of a folder, each a file or a folder in it; one scan; or those of a table.

    Args:
        dataset_dir: the folder, or a scan's file. Images of a table are relative to the table.
        participants: the table; needed where the model reads more of a scan than one image.
        image: where a scan's images are, in place of what the model's study had.

    Raises UserError where there are none, or the model reads what is not there.
    """

    def __init__(
        self,
        bundle_root: str,
        network: Folded,
        dataset_dir: str,
        participants: str | None = None,
        image: str | None = None,
    ) -> None:
        self.preparation = Preparation.load(Path(bundle_root) / PREPARATION)
        self._outline, self.rejected = network.outline, list[Rejected]()
        if participants:
            self.subjects, self.rejected = self._listed(participants, image)
        else:
            self.subjects = self._found(Path(dataset_dir))

    def __len__(self) -> int:
        return len(self.subjects)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """`image` [C, *S] and `covariates` [K] of a scan. Raises UnreadableError where it cannot be used."""
        subject = self.subjects[index]
        image = torch.from_numpy(self.preparation.of(subject).values).float()
        return {"image": image, "covariates": torch.from_numpy(self._outline.encode([subject.covariates])[0])}

    def _found(self, path: Path) -> list[Subject]:
        read = [*self.preparation.columns, *(column.column for column in self._outline.columns)]
        if read or self.preparation.image_names != ("",):
            more = ", ".join(read or self.preparation.image_names)
            raise UserError(f"the model reads {more} of each scan: name a table with --participants")
        if not path.exists():
            raise UserError(f"dataset_dir: no such file or folder: {path}")
        paths = [path] if path.is_file() else sorted(one for one in path.iterdir() if not one.name.startswith("."))
        return [
            Subject(one.name, one.name, (one,), label=None, group=None, strata={}, described={}, numbers={})
            for one in paths
        ]

    def _listed(self, participants: str, image: str | None) -> tuple[list[Subject], list[Rejected]]:
        study = self.preparation.config.data
        if image is None and study.image is None:
            raise UserError("--image is missing: the model's study says not where the images of a table are")
        table = {"participants": participants, "image": image or study.image, "bids": None, "suffix": None}
        data = study.model_copy(update={**table, "entities": {}})
        numeric = {column.column for column in self._outline.columns if column.category is None}
        return read_unseen(data, Path(), self.preparation.columns, numeric)


class Evaluator:
    """Predicts every scan and writes a table: `prediction`, `low` and `high`, or the `reason` why there is none.

    Between `low` and `high` is the label of 9 in 10 people; they are n/a where the model's study could not tell.
    """

    def __init__(
        self,
        scans: Scans,
        network: nn.Module,
        inferer: Callable[..., Tensor],
        device: torch.device,
        output_file: str,
    ) -> None:
        self._scans, self._inferer, self._output_file = scans, inferer, Path(output_file)
        self._network, self._device = network.to(device), device

    def run(self) -> None:
        """Write the table, whole or not at all."""
        table = io.StringIO()
        lines = csv.writer(table, dialect="excel-tab", lineterminator="\n")
        lines.writerow(_COLUMNS)
        lines.writerows(self._line(index) for index in range(len(self._scans)))
        lines.writerows(_unusable(one.subject, one.reason) for one in self._scans.rejected)
        write_atomically(self._output_file, table.getvalue().encode())

    def _line(self, index: int) -> Sequence[Any]:
        name = self._scans.subjects[index].id
        try:
            scan = self._scans[index]
        except (UnreadableError, OSError) as error:
            return _unusable(name, " ".join(str(error).split()))
        inputs = [scan[key][None].to(self._device) for key in ("image", "covariates") if scan[key].numel()]
        with torch.inference_mode():
            prediction = float(self._inferer(inputs[0], self._network, *inputs[1:])[0])
        calibration = self._scans.preparation.config.calibration
        low, high = calibration.interval(prediction) if calibration else ("n/a", "n/a")
        return name, prediction, low, high, "n/a"


def _unusable(name: str, reason: str) -> Sequence[str]:
    return name, "n/a", "n/a", "n/a", reason
