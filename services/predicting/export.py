"""`contrasweep export`: find the model, write it in a format, say what was written."""

from pathlib import Path

from rich.console import Console

from contrasweep.services.predicting.model import find_model
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.settings import Settings
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.exports.export import export
from contrasweep.trainers.served import ServedConfig


def export_model(target: str, format_: str, out: Path, settings: Settings, console: Console, *, replace: bool) -> str:
    """Write the model that `target` names as `out`: what was written, as a line.

    Raises UserError as `find_model` and `export` do, and where `out` cannot be written.
    """
    with find_model(target, settings) as folder, waiting(console, f"writing {out}"):
        config = ServedConfig.read(folder)
        try:
            difference = export(folder, format_, out, replace=replace)
        except OSError as error:
            raise UserError(f"{out} cannot be written: {error.strerror or error}") from error
    said = f"read back, its predictions are within {difference:.1e} of the model's"
    return f"wrote {out}: {format_} of {config.origin}; {said}"
