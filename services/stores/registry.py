"""Models that MLflow has registered, brought here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from contrasweep.services.stores.mlflow import quieten_mlflow, sqlite_file
from contrasweep.services.text import one_line
from contrasweep.trainers.errors import UserError, nearest

if TYPE_CHECKING:
    from mlflow import MlflowClient

REGISTERED = re.compile(r"models:/([^/@:'\"]+)([/@])([\w.-]+)")
"""`models:/name/version` or `models:/name@alias`."""
_NONE_YET = "nothing is registered yet"


def fetch_registered(registered: re.Match[str], tracking_uri: str, folder: Path) -> Path:
    """A model, matched by `REGISTERED`, in `folder` by its name and version.

    Raises UserError where there is no such model, version or alias, and where MLflow does not answer.
    """
    uri, name, sign, asked = registered[0], *registered.groups()
    quieten_mlflow()
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    database = sqlite_file(tracking_uri)
    if database and not database.exists():
        raise UserError(f"unknown registered model '{name}'; {_NONE_YET}")
    try:
        client = MlflowClient(tracking_uri=tracking_uri)
        number = _version(client, name, sign, asked)
        source = client.get_model_version_download_uri(name, number)
        fetched = download_artifacts(source, dst_path=str(folder / "model"), tracking_uri=tracking_uri)
    except (MlflowException, OSError) as error:
        raise UserError(f"{uri} cannot be had from MLflow: {one_line(error)}") from error
    return Path(fetched).rename(folder / f"{name}-{number}")


def _version(client: MlflowClient, name: str, sign: str, asked: str) -> str:
    """The version that `asked` is, or is an alias of. Raises UserError where the registry does not have it."""
    if not client.search_registered_models(f"name = '{name}'"):
        names = [model.name for model in client.search_registered_models()]
        hint = nearest(name, names) if names else _NONE_YET
        raise UserError(f"unknown registered model '{name}'; {hint}")
    if sign == "@":
        kind, known = "alias", dict(client.get_registered_model(name).aliases)
    else:
        kind, known = "version", {str(v.version): v.version for v in client.search_model_versions(f"name = '{name}'")}
    if asked not in known:
        allowed = ", ".join(sorted(known)) or "none"
        raise UserError(f"unknown {kind} '{asked}' of '{name}'; allowed: {allowed}")
    return str(known[asked])
