"""`contrasweep-predict BIDS_DIR OUT_DIR participant|group`: predictions as a derivative (Gorgolewski et al. 2017)."""

import json
import os
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from contrasweep.services.predicting.answers import COLUMNS, Predicted, Predictions, Refused, tsv
from contrasweep.services.predicting.command import predict_scans
from contrasweep.services.predicting.scans import Asked
from contrasweep.services.records.files import write_asked
from contrasweep.services.settings import Settings
from contrasweep.services.text import count
from contrasweep.trainers.errors import UserError

DESCRIPTIONS = {
    "scan": "The scan: its subject, and its session where there are sessions.",
    "prediction": "What the model predicts: the mean over its runs.",
    "sd": "Standard deviation over the model's runs.",
    "low": "Lower end of an interval that holds the label of 9 in 10 people.",
    "high": "Upper end of that interval.",
    "label": "What the tables of the data set say.",
    "gap": "Prediction less label.",
    "gap_corrected": "The gap without what it owes to the label, by a line fitted on validation predictions.",
    "gap_corrected_by_bands": "The same by bands of the label.",
    "unlike": "In what the scan is unlike those that the model was trained on.",
    "path": "The image, from the data set's folder.",
    "rejected": "Why the scan could not be used.",
}
"""Of the columns of `predictions.tsv`."""
_IN_UNIT = ("prediction", "sd", "low", "high", "label", "gap", "gap_corrected", "gap_corrected_by_bands")
_FILE = "*_prediction.json"
_DESCRIPTION = "dataset_description.json"
_NAME = "contrasweep predictions"


def participant(
    target: str,
    bids: Path,
    out: Path,
    subjects: Iterable[str],
    suffix: str | None,
    settings: Settings,
    console: Console,
) -> Predictions:
    """Predict the scans of a BIDS data set, of some subjects or all, and keep one file for each in `out`.

    Raises UserError as `predict_scans` does, and where `out` is a data set that is not ours, or cannot be written.
    """
    _check_ours(bids, out)
    found = predict_scans(target, Asked(bids=bids, suffix=suffix, subjects=frozenset(subjects)), settings, console)
    desc = re.sub(r"[^A-Za-z0-9]", "", found.label)
    _write(out / _DESCRIPTION, _description(bids, out))
    scans: list[Predicted | Refused] = [*found.scans, *found.rejected]
    for one in scans:
        _write(out / _place(one, bids, desc), _content(one, found, bids))
    return found


def group(out: Path) -> tuple[Path, int]:
    """Put what `participant` kept in `out` together, as `predictions.tsv` with its dictionary; it, and of how many.

    Raises UserError where there is nothing.
    """
    files = sorted(out.glob(f"sub-*/**/{_FILE}"))
    if not files:
        raise UserError(f"{out}: holds no predictions of participants; run the level participant first")
    told = [json.loads(file.read_text()) for file in files]
    columns = (*COLUMNS, "rejected")
    labels = sorted({one["Label"] for one in told})
    rows = ([one.get(column) for column in columns] for one in told)
    write_asked(out / "predictions.tsv", tsv(columns, rows).encode())
    described = {column: {"Description": DESCRIPTIONS[column]} for column in columns}
    for column in _IN_UNIT:
        described[column]["Units"] = ", ".join(sorted({one.get("Units", "n/a") for one in told}))
    _write(out / "predictions.json", described | {"Label": labels})
    return out / "predictions.tsv", len(told)


def told(found: Predictions) -> str:
    """How many scans were predicted, in words."""
    return f"{count(len(found.scans), 'scan')} predicted, {len(found.rejected)} rejected"


def _check_ours(bids: Path, out: Path) -> None:
    """Raise UserError where `out` is the data set, or another one."""
    if out.resolve() == bids.resolve():
        raise UserError(f"output_dir: {out} is the data set, which is only read; allowed: another folder")
    if not (description := out / _DESCRIPTION).exists():
        return
    try:
        ours = json.loads(description.read_text())["Name"] == _NAME
    except (ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise UserError(f"output_dir: {description} is of another data set, and stays; allowed: another folder")


def _description(bids: Path, out: Path) -> dict[str, Any]:
    return {
        "Name": _NAME,
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "contrasweep", "Version": version("contrasweep")}],
        "DatasetLinks": {"raw": os.path.relpath(bids, out)},
        "SourceDatasets": [{"URL": "bids:raw:"}],
    }


def _place(one: Predicted | Refused, bids: Path, desc: str) -> Path:
    """The file of a scan: in the folder that its image has in the data set, named after it."""
    paths = one.paths if isinstance(one, Predicted) else [one.path] if one.path else []
    if not paths:
        subject, *_ = one.scan.split("_")
        return Path(subject, f"{one.scan}_desc-{desc}_prediction.json")
    image = Path(paths[0]).absolute().relative_to(bids.absolute())
    entities = image.name.partition(".")[0].rpartition("_")[0]
    return image.parent / f"{entities}_desc-{desc}_prediction.json"


def _content(one: Predicted | Refused, found: Predictions, bids: Path) -> dict[str, Any]:
    about: dict[str, Any] = {"Label": found.label, "Units": found.unit or "n/a", "Model": found.model}
    if isinstance(one, Refused):
        return about | {"scan": one.scan, "rejected": one.reason}
    paths = [Path(path).absolute().relative_to(bids.absolute()).as_posix() for path in one.paths]
    said = one.model_dump(exclude={"paths"})
    return about | {"Sources": [f"bids:raw:{path}" for path in paths], **said, "path": ",".join(paths)}


def _write(path: Path, content: dict[str, Any]) -> None:
    write_asked(path, (json.dumps(content, indent=1) + "\n").encode())
