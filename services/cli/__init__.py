"""The command line: `app` has what all commands share, every other module here adds some."""

from contrasweep.services.cli import doctor, model, serve, studies, study, sweeps, token, ui
from contrasweep.services.cli.app import app, main

__all__ = ["app", "doctor", "main", "model", "serve", "studies", "study", "sweeps", "token", "ui"]
