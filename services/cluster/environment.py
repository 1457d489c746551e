"""What Ray reads from the environment when it is imported; `services.cluster.connect.cluster` sets it before."""

import os
import secrets
from pathlib import Path

from contrasweep.services.settings import Settings
from contrasweep.trainers.errors import UserError

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
}
TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def set_ray_environment(settings: Settings) -> None:
    """Quiet, and with token authentication where Ray is started on this machine, or a cluster's token is given.

    Ray's ports listen on every interface, so a local Ray takes no call without the token of this home.
    What the environment says already stands. A cluster's own token comes from RAY_AUTH_TOKEN_PATH or
    RAY_AUTH_TOKEN, which Ray does not look at by itself where it is told an address.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if settings.ray_address != "local":
        if cluster_token():
            os.environ.setdefault("RAY_AUTH_MODE", "token")
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
    os.environ.setdefault(TOKEN_PATH, str(path))


def cluster_token() -> str:
    """The token of a cluster that the environment holds or names the file of; empty where it does neither.

    Raises UserError where that file cannot be read or holds none.
    """
    if token := os.environ.get(TOKEN, "").strip():
        return token
    path = os.environ.get(TOKEN_PATH)
    if not path:
        return ""
    try:
        token = Path(path).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no text"
        raise UserError(f"{TOKEN_PATH}: {path} cannot be read: {reason}") from error
    if not token:
        raise UserError(f"{TOKEN_PATH}: {path} is empty")
    return token
