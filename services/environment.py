"""What Ray reads from the environment when it is imported: call before anything imports it."""

import os
import secrets

from services.settings import Settings
from trainers.errors import UserError

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
}


def set_ray_environment(settings: Settings) -> None:
    """Quiet, and with token authentication where Ray is started on this machine.

    Ray's ports listen on every interface, so a local Ray takes no call without the token of this home.
    What the environment says already stands. A cluster's own token comes from RAY_AUTH_TOKEN_PATH.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if settings.ray_address != "local":
        return
    path = settings.home / "ray_token"
    try:
        if not path.exists():
            settings.home.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
    except OSError as error:
        raise UserError(f"CONTRASWEEP_HOME: {settings.home} cannot be written: {error.strerror}") from error
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN_PATH", str(path))
