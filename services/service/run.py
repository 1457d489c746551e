"""The service as a process: put together from the settings, and served until it is told to end."""

import logging
import os
import socket
import time

import optuna
import uvicorn
from fastapi import FastAPI

from contrasweep.services.service.admission import admit, get_ready
from contrasweep.services.service.api import make_app
from contrasweep.services.service.guard import Guard, uvicorn_options
from contrasweep.services.service.measures import Measures
from contrasweep.services.service.sweeps import Service
from contrasweep.services.service.tokens import FILE, Tokens
from contrasweep.services.settings import Settings
from contrasweep.services.text import WithoutSecrets
from contrasweep.services.verbs.ray_jobs import Jobs
from contrasweep.trainers.errors import UserError


def build(settings: Settings) -> FastAPI:
    """The application that the settings describe. Raises UserError where they lack something."""
    tokens = Tokens(settings.home / FILE)
    _check(settings, tokens)
    service = Service(settings, Jobs(settings))
    measures = Measures(service)
    guard = Guard(tokens, on_failure=measures.count_refused)
    return make_app(service, guard, lambda body, kind: admit(body, kind, settings.data_roots), measures)


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises UserError where the settings lack something or the port is taken.

    One process: the ledger is in its memory.
    """
    _log_to_stderr()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    app = build(settings)
    get_ready()
    listening = _listen(host, port)
    name = f"[{host}]" if ":" in host else host
    logging.getLogger("contrasweep.service").info("serving at http://%s:%d", name, listening.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_config=None, workers=1, **uvicorn_options())).run(sockets=[listening])


def _check(settings: Settings, tokens: Tokens) -> None:
    if not settings.data_roots:
        raise UserError(
            "CONTRASWEEP_DATA_ROOTS: is missing: name the folders, separated by colons, that submitted specs may "
            "read data from"
        )
    for root in settings.data_roots:
        if not root.is_dir():
            raise UserError(f"CONTRASWEEP_DATA_ROOTS: {root}: no such folder")
    if not settings.jobs_address:
        raise UserError("CONTRASWEEP_JOBS_ADDRESS: is missing: the cluster's dashboard, such as http://head:8265")
    if not tokens.every():
        raise UserError("there is no token yet: `contrasweep token create --user NAME --role admin` makes one")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise UserError(f"--host, --port: cannot listen at {host}:{port}: {reason}") from error


def _log_to_stderr() -> None:
    logging.Formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(WithoutSecrets("%(asctime)sZ %(levelname)s %(name)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("contrasweep").setLevel(logging.INFO)
    logging.getLogger("contrasweep.access").setLevel(logging.INFO)
