"""MLflow's database before a sweep uses it: made by one process at a time, and upgraded where it is our own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import sqlalchemy
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from contrasweep.services.records.locks import try_lock
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

_PATIENCE_S, _POLL_S = 120.0, 0.1


def with_usable_store(settings: Settings, console: Console) -> Settings:
    """The settings; without a tracking store, which is said in a line, where MLflow cannot use the one they name."""
    fault = prepare_store(settings, console)
    if not fault:
        return settings
    console.print(f"mlflow    {fault}; the sweep goes on without MLflow", soft_wrap=True, markup=False)
    return settings.model_copy(update={"tracking_uri": ""})


def prepare_store(settings: Settings, console: Console) -> str:
    """Upgrade our own database, which is said in a line; why the tracking store cannot be used, empty where it can.

    A store that does not answer may do so later, and counts as one that can.
    """
    uri = settings.tracking_uri
    if uri.startswith("http"):
        return _in_words(uri, *server_mismatch(uri))
    database = sqlite_file(uri)
    try:
        if database and not database.exists():
            return ""
        engine = _engine(uri)
        found = age(engine)
        if database and database.is_relative_to(settings.home) and (found == "older" or is_half_upgraded(database)):
            return _upgrade(settings, engine, console)
        return _in_words(uri, *mismatch(found, uri))
    except (SQLAlchemyError, ImportError, ValueError):
        return ""


@contextmanager
def opening(settings: Settings) -> Iterator[None]:
    """Be the only process of this home that makes or upgrades MLflow's tables; the other is waited for two minutes."""
    if settings.tracking_uri.startswith("http"):
        yield
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "mlflow.lock").open("a") as lock:
        deadline = time.monotonic() + _PATIENCE_S
        while not try_lock(lock) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        yield


def _upgrade(settings: Settings, engine: sqlalchemy.Engine, console: Console) -> str:
    database = sqlite_file(settings.tracking_uri)
    assert database
    quieten_mlflow()
    with opening(settings):
        if age(engine) != "older" and not is_half_upgraded(database):  # another process was faster
            return ""
        try:
            kept = upgrade(database)
        except Exception as error:  # whatever a migration raises
            return f"{database} cannot be upgraded to MLflow {version('mlflow')}: {one_line(error)}"
    told = f"{database} is upgraded to MLflow {version('mlflow')}; as it was it is kept in {kept}"
    console.print(f"mlflow    {told}", soft_wrap=True, markup=False)
    return ""


def _engine(uri: str) -> sqlalchemy.Engine:
    url = sqlalchemy.make_url(uri)
    wait = {"timeout" if url.get_backend_name() == "sqlite" else "connect_timeout": CONNECT_S}
    return sqlalchemy.create_engine(url, connect_args=wait, poolclass=sqlalchemy.NullPool)


def _in_words(uri: str, problem: str, advice: str) -> str:
    return f"{without_secrets(uri)} {problem}: {advice}" if problem else ""
