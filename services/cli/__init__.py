"""The command line: `app` has what all commands share, every other module here adds some."""

import sys

try:
    from contrasweep.services.cli import doctor, model, serve, studies, study, sweeps, token, ui
    from contrasweep.services.cli.app import app, main
except KeyboardInterrupt:  # before there is a command that could end with it
    sys.exit(130)

__all__ = ["app", "doctor", "main", "model", "serve", "studies", "study", "sweeps", "token", "ui"]
