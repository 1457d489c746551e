"""A study, and what its sweep left, as if it had run: no volume store, and 40 test scans of 20 people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from contrasweep.services.records.final_report import Evaluation, FinalReport
from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.records.readings import EMBEDDINGS, READINGS, SCANS, Reading, Weights, write_readings
from contrasweep.services.records.tested import TESTED, Said, write_tested
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.yaml import dump_mapping, load_mapping
from contrasweep.services.studies.compile import DataSpec, compile_study
from contrasweep.services.studies.study import StudyConfig, read_study
from tests.services.past import leave

N, EPOCHS = 40, 4
SCANS_OF = tuple(f"s{row:02d}" for row in range(N))
SUBJECTS = tuple(f"p{row // 2:02d}" for row in range(N))
AGES = np.linspace(20, 80, N)
ERRORS = {"DynLocRep": 2.0, "SupReMix": 3.0, "SimCLR": 8.0, "encoder": 5.0}
DATA = """\
data: {participants: participants.tsv, image: '{participant_id}.npy', label: age, unit: years}
model: {encoder: resnet18, encoder_params: {}, spatial_dims: 2, width: 0.25}
training: {epochs: 4, batch_size: 16, lr: 1.0e-3, augmentations: {}, ema: null}
"""
STUDY: dict[str, Any] = {
    "title": "Three methods",
    "paper": "dynlocrep",
    "table": "table3",
    "dataset": "mre_stiffness",
    "preset": "dynlocrep",
    "seeds": 2,
    "rows": [
        {"name": "DynLocRep", "method": "dynlocrep", "published": {"method": "dynlocrep"}},
        {"name": "SupReMix", "method": "supremix", "params": {"window": 5}},
        {"name": "SimCLR", "method": "simclr", "published": {"method": "simclr"}, "training": {"lr": 0.01}},
        {"name": "encoder", "of": "DynLocRep", "read": {"features": "encoder"}},
    ],
    "metrics": ["mae", "pearson"],
    "notes": ["One | note."],
}


def study_in(folder: Path, name: str = "three", **changes: Any) -> StudyConfig:
    """A study of three rows and one reading, with fields changed."""
    path = folder / f"{name}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(dump_mapping({key: value for key, value in (STUDY | changes).items() if value is not None}))
    return read_study(path)


def data(text: str = DATA, **more: Any) -> DataSpec:
    """The spec of its data."""
    return DataSpec(load_mapping(text, "data"), "data", Path("/data/people"), **more)


def said(name: str, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What a row predicts, by each seed almost the same."""
    errors = np.random.default_rng(len(name)).normal(0, ERRORS[name], N)
    return AGES + errors + np.random.default_rng([seed, len(name)]).normal(0, 0.05, N)


def finished(
    home: Path, study: StudyConfig, *, failed: str = "", state: str = "finished"
) -> tuple[Settings, SweepFolder]:
    """The study's sweep, of which a row may have failed."""
    settings, loaded = Settings(home=home), compile_study(study, data()).loaded
    folder = SweepFolder.create(settings, loaded)
    folder.write_state(SweepState(id=folder.sweep_id, state=state, spent_s=90.0, started=1.7e9))
    sweep = Path(settings.storage_path) / folder.sweep_id
    tested, more = [], []
    for number, point in enumerate(loaded.spec.search.points):
        curves: Mapping[int, list[float]] = (
            {} if point.name == failed else {seed: [9.0, 8.0, 7.0, 6.0] for seed in (0, 1)}
        )
        failure = "Diverged: the loss is nan" if point.name == failed else ""
        leave(sweep, number, curves, method=point.method, choices=point.choices, failure=failure, planned=(0, 1))
        tested += [Said(number, Replicate(seed), SCANS_OF, AGES, said(point.name, seed)) for seed in curves]
        for seed in curves if point.name == "DynLocRep" else ():
            weights = Weights(number, Replicate(seed), 0)
            judged = Reading(weights, "projection", "ridge", "test", SCANS_OF, AGES, said("DynLocRep", seed))
            more.append([judged, judged._replace(features="encoder", predictions=said("encoder", seed))])
            _embed(folder.path / EMBEDDINGS, weights)
    final_report().write(folder.final)
    write_tested(folder.path / TESTED, tested)
    write_readings(folder.path / READINGS, more)
    return settings, folder


def _embed(folder: Path, weights: Weights) -> None:
    """Features whose scans are the other way round."""
    folder.mkdir(exist_ok=True)
    (folder / SCANS).write_text("".join(f"{scan}\n" for scan in SCANS_OF[::-1]))
    for space, width in (("encoder", 3), ("projection", 2)):
        np.save(folder / weights.file(space), np.repeat(AGES[::-1, None], width, 1).astype(np.float32))


def final_report() -> FinalReport:
    """Of the first configuration."""
    runs = {Replicate(seed): said("DynLocRep", seed).tolist() for seed in (0, 1)}
    evaluation = Evaluation.of(SCANS_OF, SUBJECTS, AGES.tolist(), runs, {}, {})
    told = {name: getattr(evaluation, name) for name in Evaluation.model_fields}
    return FinalReport(**told, trial=0, method="dynlocrep", params={}, training={})
