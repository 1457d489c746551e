"""Optuna's storage and MLflow's tracking store."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from contrasweep.services.doctor.finding import Found, fail, ok, warn
from contrasweep.services.doctor.servers import ANSWER_S, Unanswered, ask
from contrasweep.services.settings import Settings
from contrasweep.services.stores.mlflow_schema import age, login, mismatch, refused
from contrasweep.services.sweep.tracking_store import is_own

_PROBE = "contrasweep_doctor"


def optuna_storage(settings: Settings) -> Found:
    """Whether the storage answers, can be written, and has the tables of this Optuna."""
    return _database(settings.optuna_storage, "CONTRASWEEP_OPTUNA_STORAGE", _schema)


def mlflow_store(settings: Settings) -> Found:
    """Whether the server answers and takes the login, or the database can be written."""
    if not settings.tracking_uri.startswith("http"):
        own = is_own(settings)
        return _database(settings.tracking_uri, "CONTRASWEEP_TRACKING_URI", lambda engine: _tables(engine, own))
    return _mlflow_server(settings.tracking_uri.rstrip("/"))


def _mlflow_server(url: str) -> Found:
    user = login()
    try:
        running = ask(f"{url}/version")
        answer = ask(f"{url}/api/2.0/mlflow/experiments/search?max_results=1", login=user)
    except Unanswered as error:
        return fail(f"no MLflow server at {url}: {error}", "see that it is up, and to CONTRASWEEP_TRACKING_URI")
    if answer.status_code in (401, 403):
        who = f"does not take the password of {user[0]}" if user else "asks for a login"
        advice = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or ~/.mlflow/credentials"
        return fail(f"{url} answers, but {who} ({answer.status_code})", advice)
    problem, advice = refused(answer)
    if problem:
        return fail(f"{url} {problem}", advice)
    if answer.status_code != 200:
        return fail(f"{url} answers {answer.status_code} where MLflow lists experiments", "is it an MLflow server?")
    whose = f", as {user[0]}" if user else ", without a login"
    here, there = version("mlflow"), running.text.strip()
    if running.status_code == 200 and there != here:
        return warn(f"{url} runs MLflow {there}, here is {here}", "run the same version on both sides")
    return ok(f"{url} answers{whose}; MLflow {here}")


def _database(url: str, variable: str, judge: Any) -> Found:
    if url.startswith("redis"):
        return warn("a Redis storage is not looked at", "nothing, if sweeps run")
    try:
        address = sqlalchemy.make_url(url)
        if address.database and address.get_backend_name() == "sqlite" and not Path(address.database).exists():
            return ok(f"{address.database}, made on first use")
        engine = sqlalchemy.create_engine(address, connect_args=_in_time(address), poolclass=sqlalchemy.NullPool)
        _write(engine)
        verdict: Found = judge(engine)
    except ModuleNotFoundError as error:
        advice = "pip install 'contrasweep[postgres]', and write postgresql+psycopg2://USER@HOST/DATABASE"
        return fail(f"{variable}: no driver: {error}", advice)
    except (SQLAlchemyError, ValueError) as error:
        reason = str(getattr(error, "orig", None) or error)
        return fail(f"{variable}: {reason}", "see that the database is up, and to its address, user and password")
    level, said, advice = verdict
    return level, f"{address.render_as_string()} {said}", advice


def _in_time(address: sqlalchemy.URL) -> dict[str, Any]:
    """What makes a driver give up after a few seconds."""
    return {"timeout" if address.get_backend_name() == "sqlite" else "connect_timeout": int(ANSWER_S)}


def _write(engine: sqlalchemy.Engine) -> None:
    """Make a table and take it back: nothing stays."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":  # by itself it begins no transaction for a table
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.execute(sqlalchemy.text(f"CREATE TABLE {_PROBE} (x INTEGER)"))
        connection.execute(sqlalchemy.text(f"DROP TABLE {_PROBE}"))
        connection.rollback()


def _tables(engine: sqlalchemy.Engine, own: bool) -> Found:
    found = age(engine)
    problem, advice = mismatch(found, engine.url.render_as_string())
    if found == "older" and own:
        return warn(problem, "nothing: the next sweep upgrades it, and keeps a copy")
    return fail(problem, advice) if problem else ok("can be written")


def _schema(engine: sqlalchemy.Engine) -> Found:
    if not sqlalchemy.inspect(engine).has_table("studies"):
        return ok("can be written; its tables are made on first use")
    from optuna.storages import RDBStorage

    url = engine.url.render_as_string(hide_password=False)
    storage = RDBStorage(url, skip_compatibility_check=True, skip_table_creation=True)
    try:
        there, here = storage.get_current_version(), storage.get_head_version()
    finally:
        storage.engine.dispose()
    if there == here:
        return ok(f"can be written; Optuna's tables are {here}")
    return fail(f"has Optuna's tables {there}, this Optuna needs {here}", "keep a copy, then: optuna storage upgrade")
