"""The tables of an MLflow database: whether they are those of the MLflow that is installed, and how to make them so."""

import configparser
import os
import re
import sqlite3
from contextlib import closing
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

import httpx
import sqlalchemy

from contrasweep.services.text import without_secrets
from contrasweep.trainers.atomic import placing

Age: TypeAlias = Literal["none", "older", "right", "newer"]
"""No tables of MLflow's; tables of an earlier MLflow than the one installed; its own; those of one it does not know."""
CONNECT_S = 4
"""How long an answer is waited for."""
_LISTED = "/api/2.0/mlflow/experiments/search?max_results=1"
_COMPLAINT = "database schema"
"""What is in MLflow's own words of a mismatch."""
_REVISION = re.compile(r"^(revision|down_revision) = [\"'](\w+)[\"']", re.MULTILINE)


def age(engine: sqlalchemy.Engine) -> Age:
    """How old a database's tables are. Raises SQLAlchemyError where it cannot be read."""
    revision, (known, head) = revision_of(engine), _revisions()
    if revision is None:
        return "none"
    return "right" if revision == head else "older" if revision in known else "newer"


def revision_of(engine: sqlalchemy.Engine) -> str | None:
    """The revision of a database's tables; None where it has none."""
    if not sqlalchemy.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar()


def mismatch(age: Age, uri: str) -> tuple[str, str]:
    """What is wrong with tables of that age, and the command that mends it; empty where nothing is."""
    here, told = version("mlflow"), without_secrets(uri)
    if age == "older":
        return f"has tables of an earlier MLflow than {here}", f"keep a copy, then: mlflow db upgrade {told}"
    if age == "newer":
        advice = "pip install --upgrade mlflow, to the version that wrote it, or name another database"
        return f"has tables of a later MLflow than {here}, which is installed", advice
    return "", ""


def server_mismatch(url: str) -> tuple[str, str]:
    """As `mismatch`, of the database behind a server, which it complains of; empty where it does not answer, too."""
    try:
        listed = httpx.get(f"{url.rstrip('/')}{_LISTED}", auth=login(), timeout=CONNECT_S)
    except (httpx.HTTPError, httpx.InvalidURL):
        return "", ""
    return refused(listed)


def refused(listed: httpx.Response) -> tuple[str, str]:
    """As `server_mismatch`, by how a server answers who lists experiments."""
    if listed.status_code < 500 or _COMPLAINT not in listed.text:
        return "", ""
    advice = "whoever runs it keeps a copy of its database, then, with the server's MLflow: mlflow db upgrade URI"
    return "has a database with the tables of another MLflow than the server's", advice


def login() -> tuple[str, str] | None:
    """As MLflow finds it, without the seconds that its import takes."""
    kept = configparser.ConfigParser(interpolation=None)
    kept.read(Path.home() / ".mlflow" / "credentials")
    names = ("mlflow_tracking_username", "mlflow_tracking_password")
    user, password = (os.environ.get(name.upper()) or kept.get("mlflow", name, fallback="") or "" for name in names)
    return (user, password) if user and password else None


def upgrade(database: Path) -> Path:
    """Bring a SQLite database's tables up to date; the copy of it as it was, which lies beside it.

    Where that fails, or the process is killed meanwhile, the database becomes what it was: then, or by the next call.
    Raises whatever MLflow's migration does.
    """
    begun = database.with_name(f"{database.stem}-upgrading{database.suffix}")
    if begun.exists():
        _copy(begun, database)
    engine = sqlalchemy.create_engine(f"sqlite:///{database}", poolclass=sqlalchemy.NullPool)
    kept = database.with_name(f"{database.stem}-{revision_of(engine)}{database.suffix}")
    with placing(begun) as free:
        _copy(database, free)
    from mlflow.store.db.utils import _upgrade_db  # what `mlflow db upgrade` calls

    try:
        _upgrade_db(engine)
    except BaseException:
        _copy(begun, database)
        begun.unlink()
        raise
    begun.replace(kept)
    return kept


def is_half_upgraded(database: Path) -> bool:
    """Whether an upgrade of a SQLite database was killed."""
    return database.with_name(f"{database.stem}-upgrading{database.suffix}").exists()


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)


@cache
def _revisions() -> tuple[frozenset[str], str]:
    """All revisions that the installed MLflow knows, and the last one, without the seconds that its import takes."""
    found = find_spec("mlflow")
    assert found and found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "store" / "db_migrations" / "versions"
    named = [pair for file in folder.glob("*.py") for pair in _REVISION.findall(file.read_text())]
    own, former = ({name for kind, name in named if kind == wanted} for wanted in ("revision", "down_revision"))
    [head] = own - former
    return frozenset(own), head
