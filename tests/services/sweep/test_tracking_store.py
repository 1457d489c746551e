import threading
from pathlib import Path

import pytest

from contrasweep.services.settings import Settings
from contrasweep.services.stores.mlflow import SWEEP, SweepRuns
from contrasweep.services.sweep.tracking_store import opening, prepare_store, with_usable_store
from tests.services.stores.mlflow_databases import BEFORE, pretend, revision, write_older


def test_our_own_database_is_upgraded_and_said_once(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert prepare_store(settings) == ("", "") and not (tmp_path / "mlflow.db").exists()
    write_older(tmp_path / "mlflow.db")
    usable, said = with_usable_store(settings)
    assert usable == settings and said.startswith(f"mlflow    {tmp_path}/mlflow.db is upgraded to MLflow ")
    assert with_usable_store(settings) == (settings, "")
    assert revision(tmp_path / "mlflow.db") != revision(tmp_path / f"mlflow-{BEFORE}.db") == BEFORE


@pytest.mark.parametrize(("number", "advice"), [(BEFORE, "mlflow db upgrade sqlite:///"), ("ffff", "pip install")])
def test_another_database_is_left_alone_and_the_sweep_goes_on_without(tmp_path: Path, number: str, advice: str) -> None:
    pretend(tmp_path / "theirs.db", number)
    settings = Settings(home=tmp_path / "home")
    usable, said = with_usable_store(settings.model_copy(update={"tracking_uri": f"sqlite:///{tmp_path}/theirs.db"}))
    assert usable.tracking_uri == ""
    assert advice in said and said.endswith("; the sweep goes on without MLflow") and "\n" not in said
    assert revision(tmp_path / "theirs.db") == number


def test_a_newer_database_of_our_own_is_left_alone(tmp_path: Path) -> None:
    pretend(tmp_path / "mlflow.db", "ffff")
    assert "a later MLflow" in prepare_store(Settings(home=tmp_path))[0]


def test_who_does_not_answer_is_not_judged(tmp_path: Path) -> None:
    for uri in ("http://ada:secret@127.0.0.1:9", "postgresql://ada:secret@127.0.0.1:9/db", "mysql+none://host/db"):
        settings = Settings(home=tmp_path).model_copy(update={"tracking_uri": uri})
        assert with_usable_store(settings) == (settings, "")


def test_the_first_sweeps_of_a_home_make_its_tables_one_after_the_other(tmp_path: Path) -> None:
    settings, failed, begin = Settings(home=tmp_path), [], threading.Barrier(3)

    def start(sweep_id: str) -> None:
        runs = SweepRuns(settings.tracking_uri, None, "study", sweep_id, lambda: opening(settings))
        begin.wait()
        try:
            runs.open(SWEEP, "", {}, {})
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=start, args=(f"study-{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
