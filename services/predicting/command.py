"""`contrasweep predict`: find the model, find the scans, predict, write and print."""

from pathlib import Path

from rich.console import Console

from services.predicting.answers import Predicted, Predictions, Refused
from services.predicting.model import find_model
from services.predicting.predict import predict
from services.predicting.scans import Asked, find_scans
from services.screen.progress import meter
from services.screen.waiting import waiting
from services.settings import Settings
from trainers.data.participants import Rejected
from trainers.served import ServedModel


def predict_scans(target: str, asked: Asked, settings: Settings, console: Console) -> Predictions:
    """What the model that `target` names says of the scans. Raises UserError as `find_model` and `find_scans` do."""
    with find_model(target, settings) as folder:
        with waiting(console, f"loading {target}"):
            model = ServedModel.load(folder)
        scans, rejected = find_scans(asked, model)
        with meter(console, "predicting") as shown:
            said = list(predict(folder, model, scans, lambda done, total: shown.update(done, total, unit="scans")))
        config = model.preparation.config
    refused = [*rejected, *(one for one in said if isinstance(one, Rejected))]
    return Predictions(
        model=f"{config.sweep}, trial {config.trial}",
        label=config.data.label,
        scans=tuple(one for one in said if isinstance(one, Predicted)),
        rejected=tuple(Refused(scan=one.subject, path=_shown(one.path), reason=one.reason) for one in refused),
    )


def _shown(path: Path | None) -> str | None:
    return None if path is None else str(path)
