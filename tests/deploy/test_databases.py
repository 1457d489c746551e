"""The script that makes PostgreSQL's databases, run against a server of its own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.engine import URL, make_url

from tests.cluster.database import postgres
from tests.deploy.shipped import DEPLOY

SCRIPT = DEPLOY / "docker" / "postgres-databases.sh"
SEARCH, MLFLOW = r"se:arch\pw%0123456789", "ml'flow \"$0123456789"

pytestmark = pytest.mark.cluster


@pytest.fixture
def server() -> Iterator[URL]:
    """A PostgreSQL as the image starts it: nobody there but the superuser `postgres`."""
    with postgres() as database:
        whole = make_url(database.create_with_password("spare"))
        _execute(whole, "create role postgres superuser login password 'postgres'")
        superuser = whole.set(username="postgres", password="postgres")
        _execute(superuser, "alter role contrasweep rename to installer")
        yield superuser


def test_each_owner_enters_its_own_databases_with_its_own_password(server: URL, tmp_path: Path) -> None:
    done = _run(server, tmp_path, SEARCH, MLFLOW)

    assert done.returncode == 0, done.stderr
    for role, password, databases in (
        ("contrasweep", SEARCH, ["contrasweep"]),
        ("mlflow", MLFLOW, ["mlflow", "mlflow_auth"]),
    ):
        for database in ("contrasweep", "mlflow", "mlflow_auth"):
            url = server.set(username=role, password=password, database=database)
            assert _enters(url) == (database in databases)
            assert not _enters(url.set(password="wrong"))


def test_without_a_password_nothing_is_made(server: URL, tmp_path: Path) -> None:
    done = _run(server, tmp_path, SEARCH, "")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: MLFLOW_PASSWORD_FILE is not the path of a file with a password\n"
    assert not _enters(server.set(database="contrasweep"))


def _run(server: URL, folder: Path, search: str, mlflow: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": os.environ["PATH"],
        "PGHOST": str(server.host),
        "PGPORT": str(server.port),
        "PGPASSWORD": str(server.password),
        "POSTGRES_USER": str(server.username),
    }
    for variable, text in (("SEARCH_PASSWORD_FILE", search), ("MLFLOW_PASSWORD_FILE", mlflow)):
        (folder / variable).write_text(text)
        environment[variable] = str(folder / variable)
    return subprocess.run(["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=120)


def _execute(url: URL, statement: str) -> None:
    with sqlalchemy.create_engine(url).begin() as connection:
        connection.execute(sqlalchemy.text(statement))


def _enters(url: URL) -> bool:
    try:
        _execute(url, "select 1")
    except sqlalchemy.exc.OperationalError:
        return False
    return True
