"""The command that runs the service."""

from typing import Annotated

import typer

from contrasweep.services.cli.app import app, aside
from contrasweep.services.screen.waiting import waiting


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is all of this machine's.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at.")] = 8080,
) -> None:
    """Run the service: sweeps of many users on one cluster, over HTTP, with tokens. It needs a jobs_address, data_roots
    and a token (`contrasweep token create`). Put TLS in front of it wherever others share the network."""
    from contrasweep.services.settings import load_settings

    settings = load_settings()
    with waiting(aside(in_pipes=True), "starting the service"):
        from contrasweep.services.service.run import serve as served
    served(settings, host, port)
