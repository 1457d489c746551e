"""What a sweep left behind: on the shared folders, and in MLflow."""

import math
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import Run

from contrasweep.services.records.trial_record import read_records
from contrasweep.services.spec.spec import LoadedSpec
from tests.cluster.stack import Stack

Curve = Mapping[int, float]


def epochs_run(stack: Stack, loaded: LoadedSpec) -> int:
    """Epochs that all seeds of a sweep have behind them."""
    records = read_records(sweep_folder(stack, loaded), loaded.spec.plan)
    return sum(len(history.epochs) for record in records for history in record.histories.values())


def sweep_folder(stack: Stack, loaded: LoadedSpec) -> Path:
    """Where its checkpoints are."""
    return Path(stack.settings.storage_path) / loaded.spec.sweep_id


def runs_by_key(stack: Stack, loaded: LoadedSpec) -> dict[str, Run]:
    """Every run of a sweep in MLflow by what follows its id: "" the sweep, "/0" a configuration, "/0/1" a seed."""
    client, sweep_id = stack.mlflow(), loaded.spec.sweep_id
    experiment = client.get_experiment_by_name(loaded.spec.name)
    assert experiment
    found = client.search_runs([experiment.experiment_id], f"tags.`contrasweep.sweep` = '{sweep_id}'", max_results=1000)
    keys = [run.data.tags["contrasweep.key"].removeprefix(sweep_id) for run in found]
    assert len(set(keys)) == len(keys), "a run was made twice"
    return dict(zip(keys, found, strict=True))


def assert_mlflow_has_everything(stack: Stack, loaded: LoadedSpec) -> None:
    """Parent, children and seeds, and of every seed every metric of every epoch, as the checkpoints have them."""
    runs, client = runs_by_key(stack, loaded), stack.mlflow()
    records = read_records(sweep_folder(stack, loaded), loaded.spec.plan)
    seeds = {f"/{r.number}/{seed}": history for r in records for seed, history in r.histories.items()}
    assert set(runs) == {"", *(f"/{record.number}" for record in records), *seeds}
    for key, run in runs.items():
        parent = run.data.tags.get("mlflow.parentRunId")
        assert parent == (runs[key.rpartition("/")[0]].info.run_id if key else None)
        assert run.info.status != "RUNNING", key
    for key, history in seeds.items():
        for name in sorted(set().union(*history.epochs) - {"epoch"}):
            kept = {int(row["epoch"]): row[name] for row in history.epochs if row.get(name) is not None}
            logged = {m.step: m.value for m in client.get_metric_history(runs[key].info.run_id, name)}
            assert logged.keys() == kept.keys(), f"{key} {name}"
            assert all(logged[step] == value or math.isnan(value) for step, value in kept.items()), f"{key} {name}"
