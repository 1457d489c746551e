"""The ledger on real storages: what it answered is there afterwards, whatever happens in between."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection

from contrasweep.services.service.ledger import ATTRIBUTE, Entry, Ledger
from contrasweep.services.service.refusals import Unavailable
from contrasweep.services.settings import Settings
from contrasweep.services.stores.optuna import directions_of, open_storage, open_study
from contrasweep.trainers.errors import UserError
from tests.cluster.database import postgres

SPEC = "name: a\n" + "# of the size that specs have\n" * 60


def entry(name: str = "a-00000000", **fields: Any) -> Entry:
    given = {"user": "ada", "submitted": 1.5, "queued": 1.5} | fields
    return Entry(id=name, spec=SPEC, base="/data", label="age", trials=4, seeds=2, **given)


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def opened(settings: Settings) -> Ledger:
    ledger = Ledger(lambda: open_storage(settings))
    ledger.check()
    return ledger


def test_entries_are_there_for_the_next_process(settings: Settings) -> None:
    first = opened(settings)
    assert first.create(entry())
    changed = entry(phase="out", attempt=2, used=((3.0, 0.25),), reason="waits")
    first.update(changed)
    assert opened(settings).entries() == {"a-00000000": changed}


def test_an_entry_of_another_version_is_read(settings: Settings) -> None:
    """Up to 0.1.0 `end` was called `ended`; what a later one adds is left out."""
    kept = {"id": "a-00000000", "spec": SPEC, "base": "/data", "label": "age", "trials": 4, "seeds": 2, "user": "ada"}
    kept |= {"submitted": 1.5, "queued": 1.5, "phase": "over", "ended": "finished", "later": 1}
    storage = open_storage(settings)
    study = storage.create_new_study([StudyDirection.MINIMIZE], "a-00000000")
    storage.set_study_user_attr(study, ATTRIBUTE, kept)
    assert opened(settings).entries() == {"a-00000000": entry(phase="over", end="finished")}


def test_an_entry_is_created_once(settings: Settings) -> None:
    ledger = opened(settings)
    assert ledger.create(entry())
    assert not ledger.create(entry(user="bob"))
    assert ledger.entries()["a-00000000"].user == "ada"


def test_many_at_once_create_one(settings: Settings) -> None:
    ledger = opened(settings)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: ledger.create(entry(user=f"u{number}")), range(8)))
    assert sum(made) == 1
    assert len(opened(settings).entries()) == 1


def test_a_study_that_is_there_already_is_taken_over(settings: Settings) -> None:
    """One searched by hand; or ours, of a process killed before it wrote the attribute."""
    optuna.create_study(study_name="a-00000000", storage=open_storage(settings))
    ledger = opened(settings)
    assert ledger.entries() == {}
    assert ledger.create(entry())
    assert "a-00000000" in opened(settings).entries()


def test_the_search_goes_on_in_the_same_study(settings: Settings) -> None:
    opened(settings).create(entry())
    study = optuna.create_study(study_name="a-00000000", storage=open_storage(settings), load_if_exists=True)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert opened(settings).entries()["a-00000000"] == entry()


@pytest.mark.parametrize("objective", [("r2",), ("mae", "pearson")])
def test_a_study_looks_where_its_objectives_are_better(settings: Settings, objective: tuple[str, ...]) -> None:
    opened(settings).create(entry(objective=objective))
    study = open_study("a-00000000", open_storage(settings), [], objective)
    assert study.directions == directions_of(objective)
    assert study.directions[-1] is StudyDirection.MAXIMIZE


def test_entries_of_a_newer_version_are_read(settings: Settings) -> None:
    storage = open_storage(settings)
    opened(settings).create(entry())
    study = storage.get_study_id_from_name("a-00000000")
    kept = storage.get_study_user_attrs(study)[ATTRIBUTE]
    storage.set_study_user_attr(study, ATTRIBUTE, kept | {"colour": "blue"})
    assert opened(settings).entries()["a-00000000"] == entry()


def test_without_the_storage_nothing_is_promised(tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_text("this is no database, and long enough for SQLite to see that it is none")
    ledger = Ledger(lambda: open_storage(Settings(home=tmp_path)))
    for ask in (ledger.check, ledger.entries, lambda: ledger.create(entry())):
        with pytest.raises(Unavailable, match=r"^the store of sweeps does not answer; try again later$"):
            ask()
    (tmp_path / "optuna.db").unlink()
    ledger.check()
    assert ledger.create(entry())


def test_what_the_storage_says_is_logged_once_until_it_answers(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    answering = [False]

    def open_it() -> BaseStorage:
        if not answering[0]:
            raise UserError("no such database")
        return open_storage(settings)

    ledger = Ledger(open_it)
    for _ in range(3):
        with pytest.raises(Unavailable):
            ledger.check()
    assert caplog.text.count("no such database") == 1
    answering[0] = True
    ledger.check()
    ledger._storage, answering[0] = None, False
    with pytest.raises(Unavailable):
        ledger.check()
    assert caplog.text.count("no such database") == 2


def test_a_thousand_entries_are_loaded_and_one_of_them_changed(settings: Settings) -> None:
    _fill(settings, 1000)
    ledger = opened(settings)
    assert len(ledger.entries()) == 1000
    changed = entry(f"a-{7:08x}", attempt=2)
    ledger.update(changed)
    assert opened(settings).get(changed.id) == changed


def _fill(settings: Settings, count: int) -> None:
    """As the ledger would, in one transaction: a thousand commits take a disk half a minute."""
    from optuna.storages._rdb import models

    storage = RDBStorage(settings.optuna_storage)
    with storage.scoped_session() as session:
        for number in range(count):
            study = models.StudyModel(study_name=f"a-{number:08x}")
            study.directions = [models.StudyDirectionModel(objective=0, direction=optuna.study.StudyDirection.MINIMIZE)]
            content = entry(f"a-{number:08x}", phase="over", end="finished").model_dump_json(exclude_defaults=True)
            study.user_attributes = [models.StudyUserAttributeModel(key=ATTRIBUTE, value_json=content)]
            session.add(study)
        session.commit()


@pytest.fixture(scope="module")
def database() -> Iterator[Any]:
    with postgres() as running:
        yield running


@pytest.mark.slow
def test_postgres_away_and_back(database: Any, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, optuna_storage=database.create_with_password("ledger"))
    ledger = opened(settings)
    assert ledger.create(entry())
    database.server.kill()
    with pytest.raises(Unavailable):
        ledger.check()
    with pytest.raises(Unavailable):
        ledger.create(entry("b-00000000"))
    with pytest.raises(Unavailable):
        ledger.update(entry(attempt=9))
    assert ledger.entries() == {"a-00000000": entry()}
    database.server.start()
    ledger.check()
    assert ledger.create(entry("b-00000000"))
    ledger.update(entry(attempt=9))
    assert opened(settings).entries() == {"a-00000000": entry(attempt=9), "b-00000000": entry("b-00000000")}
    assert not opened(settings).create(entry("b-00000000"))
