"""Rows that Optuna's database has lost of a sweep: the sweep goes on to what it would have come to."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage

from contrasweep.services.records.trial_record import begun_trials, read_records
from contrasweep.services.spec import methods
from contrasweep.services.stores.optuna import open_study
from contrasweep.services.sweep.putting_back import put_back
from tests.services.past import spec
from tests.services.sweep.test_searcher import Bench

TABLES = ("trials", "trial_params", "trial_values", "trial_user_attributes", "trial_system_attributes")
POINT = {"name": "one", "method": "supremix", "training": {"lr": 0.5}}
SPEC: dict[str, Any] = {
    "spaces": ["dynlocrep", "supremix"],
    "trials": 8,
    "parallel": 2,
    "seeds": [0],
    "points": [POINT],
}


def lose(database: Path, numbers: Sequence[int]) -> None:
    connection = sqlite3.connect(database)
    for number in numbers:
        (row,) = connection.execute("SELECT trial_id FROM trials WHERE number = ?", (number,)).fetchone()
        for table in TABLES:
            connection.execute(f"DELETE FROM {table} WHERE trial_id = ?", (row,))
    connection.commit()
    connection.close()


def begun(home: Path, sampler: str, trials: int) -> Bench:
    """A sweep with so many trials that have ended."""
    study = spec(sampler=sampler, **SPEC)
    bench = Bench(home, study, RDBStorage(f"sqlite:///{home / 'optuna.db'}"))
    for _ in range(trials):
        bench.run_one()
    return bench


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
@pytest.mark.parametrize("lost", [[0], [1, 4], [5], list(range(6))], ids=str)
def test_a_sweep_goes_on_without_rows_as_with_them(tmp_path: Path, sampler: str, lost: list[int]) -> None:
    for home in ("undisturbed", "disturbed"):
        (tmp_path / home).mkdir()
    undisturbed = begun(tmp_path / "undisturbed", sampler, 6)
    undisturbed.run()
    before = begun(tmp_path / "disturbed", sampler, 6)
    lose(tmp_path / "disturbed/optuna.db", lost)
    starts = methods.starts(before.spec, {(): 60.0})
    storage = RDBStorage(f"sqlite:///{tmp_path / 'disturbed/optuna.db'}")
    study = open_study(before.spec.sweep_id, storage, starts, before.spec.search.objective)
    put_back(study, storage, begun_trials(before.sweep), starts, before.spec.search.objective)
    bench = Bench(tmp_path / "disturbed", before.spec, storage)
    bench.run()
    assert read_records(bench.sweep, bench.spec.plan) == read_records(undisturbed.sweep, undisturbed.spec.plan)
    for one, other in zip(bench.study.trials, undisturbed.study.trials, strict=True):
        assert (one.number, one.params, one.distributions) == (other.number, other.params, other.distributions)


def test_a_study_that_lacks_nothing_stays(tmp_path: Path) -> None:
    bench = begun(tmp_path, "tpe", 3)
    starts = methods.starts(bench.spec, {(): 60.0})
    objectives = bench.spec.search.objective
    assert put_back(bench.study, bench.storage, begun_trials(bench.sweep), starts, objectives) is bench.study
