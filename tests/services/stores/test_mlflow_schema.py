from pathlib import Path

import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.store.db import utils

from contrasweep.services.stores.mlflow_schema import _revisions, age, mismatch, upgrade
from tests.services.stores.mlflow_databases import BEFORE, pretend, revision, write_older


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("older") / "mlflow.db"
    write_older(path)
    return path.read_bytes()


@pytest.fixture
def database(older: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "mlflow.db"
    path.write_bytes(older)
    return path


def _age(path: Path) -> str:
    return age(sqlalchemy.create_engine(f"sqlite:///{path}"))


def test_revisions_are_those_that_mlflow_itself_finds() -> None:
    known, head = _revisions()
    assert head == utils._get_latest_schema_revision() and {head, BEFORE} <= known


def test_ages(database: Path, tmp_path: Path) -> None:
    assert (_age(database), _age(tmp_path / "none.db")) == ("older", "none")
    pretend(database, "ffffffffffff")
    assert _age(database) == "newer"
    pretend(database, _revisions()[1])
    assert _age(database) == "right"


def test_what_is_wrong_and_what_mends_it() -> None:
    uri = "postgresql://ada:lovelace@host/db"
    (older, mends), (newer, advice) = mismatch("older", uri), mismatch("newer", uri)
    assert "an earlier MLflow" in older and mends.endswith("mlflow db upgrade postgresql://host/db")
    assert "a later MLflow" in newer and "pip install --upgrade mlflow" in advice
    assert mismatch("right", uri) == mismatch("none", uri) == ("", "")


def test_an_upgrade_keeps_what_is_there_and_a_copy(database: Path) -> None:
    kept = upgrade(database)
    assert (kept.name, revision(kept)) == (f"mlflow-{BEFORE}.db", BEFORE)
    assert _age(database) == "right"
    assert MlflowClient(tracking_uri=f"sqlite:///{database}").get_experiment_by_name("before")


def test_an_upgrade_that_fails_or_is_killed_leaves_the_database_as_it_was(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(engine: sqlalchemy.Engine) -> None:
        pretend(database, "half")
        raise RuntimeError("no space")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="no space"):
        patch.setattr(utils, "_upgrade_db", fail)
        upgrade(database)
    assert revision(database) == BEFORE and not list(database.parent.glob("*-*"))

    (database.with_name("mlflow-upgrading.db")).write_bytes(database.read_bytes())
    pretend(database, "half")  # as one leaves it that was killed in the middle
    assert upgrade(database).name == f"mlflow-{BEFORE}.db"
    assert _age(database) == "right"
