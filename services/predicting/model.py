"""Where a model is: a sweep's own, a registered one, or one in a folder."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.services.stores.registry import REGISTERED, fetch_registered
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.served import FILE, ServedConfig

_ALLOWED = "a sweep's id, models:/name/version, models:/name@alias, or a model's folder"


@contextmanager
def find_model(target: str, settings: Settings) -> Iterator[Path]:
    """The folder of the served model that `target` names, for as long as the block.

    Raises UserError where there is none, or it takes no scans.
    """
    with tempfile.TemporaryDirectory() as scratch:
        yield _served_in(_model(target, settings, Path(scratch)), target)


def sweep_of(config: ServedConfig, settings: Settings) -> SweepFolder | None:
    """The sweep that a model comes from, None where it is not here."""
    try:
        folder = SweepFolder.find(settings, config.sweep)
    except UserError:
        return None
    return folder if folder.sweep_id == config.sweep else None


def _model(target: str, settings: Settings, scratch: Path) -> Path:
    if registered := REGISTERED.fullmatch(target):
        return fetch_registered(registered, settings.tracking_uri, scratch)
    if ":/" in target:
        raise UserError(f"'{target}' is not allowed: must be {_ALLOWED}")
    if "/" in target or Path(target).is_dir():
        if not Path(target).is_dir():
            raise UserError(f"no such folder: {target}; allowed: {_ALLOWED}")
        return Path(target)
    return _of_sweep(SweepFolder.find(settings, target))


def _of_sweep(folder: SweepFolder) -> Path:
    model = folder.path / "model"
    if folder.final.exists() and model.is_dir():
        return model
    if searches := [search.sweep_id for search in folder.searches if search.final.exists()]:
        raise UserError(f"{folder.sweep_id} has a model for each outer fold; name one of them: {', '.join(searches)}")
    state = folder.read_state().state
    raise UserError(f"{folder.sweep_id} is {state}: it has no model before it is finished")


def _served_in(model: Path, target: str) -> Path:
    """The folder that takes scans in an MLflow model's, or that folder itself."""
    found = sorted(path.parent for path in model.rglob(FILE))
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{target}: holds {len(found)} models; name the folder of one: {found[0]}")
    if (model / "MLmodel").is_file():
        raise UserError(f"{target}: was made by an earlier version, whose models take no scans: run the sweep again")
    raise UserError(f"{target}: holds no model; allowed: {_ALLOWED}")
