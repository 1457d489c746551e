"""Commands that open a dashboard."""

import sys
from typing import Annotated

import typer

from contrasweep.services.cli.app import app, console


@app.command()
def ui(
    sweep_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A sweep, to be told its page.", show_default=False)
    ] = None,
    optuna: Annotated[bool, typer.Option("--optuna", help="Optuna's dashboard, in place of MLflow's.")] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on this machine: 5000, or 8080 for Optuna's.")
    ] = None,
) -> None:
    """The MLflow dashboard on the tracking store of the settings, or Optuna's on its storage; on this machine only."""
    from contrasweep.services.cli.dashboards import open_mlflow, open_optuna
    from contrasweep.services.settings import load_settings

    if optuna:
        open_optuna(load_settings(), sweep_id, port, console)
    else:
        sys.exit(open_mlflow(load_settings(), sweep_id, port, console))
