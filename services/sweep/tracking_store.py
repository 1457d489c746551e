"""MLflow's database before a sweep uses it: made by one process at a time, and upgraded where it is our own."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from contrasweep.services.locks import holding, patience
from contrasweep.services.settings import Settings
from contrasweep.services.stores.mlflow import quieten_mlflow, sqlite_file
from contrasweep.services.stores.mlflow_schema import (
    CONNECT_S,
    age,
    is_half_upgraded,
    mismatch,
    server_mismatch,
    upgrade,
)
from contrasweep.services.text import one_line, without_secrets

_PATIENCE_S = 120.0


def with_usable_store(settings: Settings) -> tuple[Settings, str]:
    """The settings, without a tracking store where MLflow cannot use the one they name; and what there is to say.

    Our own database is upgraded.
    """
    fault, done = prepare_store(settings)
    if not fault:
        return settings, f"mlflow    {done}" if done else ""
    return settings.model_copy(update={"tracking_uri": ""}), f"mlflow    {fault}; the sweep goes on without MLflow"


def prepare_store(settings: Settings) -> tuple[str, str]:
    """Why the tracking store cannot be used, and what was done that it can: our own database is upgraded.

    Both are empty where all is well, and of a store that does not answer, as it may do so later.
    """
    uri = settings.tracking_uri
    if uri.startswith("http"):
        return _in_words(uri, *server_mismatch(uri)), ""
    database = sqlite_file(uri)
    try:
        if database and not database.exists():
            return "", ""
        engine = _engine(uri)
        found = age(engine)
        if database and is_own(settings) and (found == "older" or is_half_upgraded(database)):
            return _upgrade(settings, database, engine)
        return _in_words(uri, *mismatch(found, uri)), ""
    except (SQLAlchemyError, ImportError, ValueError):
        return "", ""


def is_own(settings: Settings) -> bool:
    """Whether the tracking store is a database in the home."""
    database = sqlite_file(settings.tracking_uri)
    return database is not None and database.is_relative_to(settings.home)


@contextmanager
def opening(settings: Settings) -> Iterator[None]:
    """Be the only process of this home that makes or upgrades MLflow's tables; the other is waited for two minutes."""
    if settings.tracking_uri.startswith("http"):
        yield
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    with holding(settings.home / "mlflow.lock", patience(_PATIENCE_S)):
        yield


def _upgrade(settings: Settings, database: Path, engine: sqlalchemy.Engine) -> tuple[str, str]:
    quieten_mlflow()
    with opening(settings):
        if age(engine) != "older" and not is_half_upgraded(database):  # another process was faster
            return "", ""
        try:
            kept = upgrade(database)
        except Exception as error:  # whatever a migration raises
            return f"{database} cannot be upgraded to MLflow {version('mlflow')}: {one_line(error)}", ""
    return "", f"{database} is upgraded to MLflow {version('mlflow')}; as it was it is kept in {kept}"


def _engine(uri: str) -> sqlalchemy.Engine:
    url = sqlalchemy.make_url(uri)
    wait = {"timeout" if url.get_backend_name() == "sqlite" else "connect_timeout": CONNECT_S}
    return sqlalchemy.create_engine(url, connect_args=wait, poolclass=sqlalchemy.NullPool)


def _in_words(uri: str, problem: str, advice: str) -> str:
    return f"{without_secrets(uri)} {problem}: {advice}" if problem else ""
