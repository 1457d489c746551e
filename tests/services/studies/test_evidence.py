"""A finished sweep's folder as evidence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contrasweep.services.data.prepare import prepare
from contrasweep.services.records.tested import TESTED
from contrasweep.services.studies.evidence import read_evidence, trained_on
from contrasweep.services.studies.examined import of_scans
from contrasweep.trainers.analyses import Reading
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.phantom import PHANTOM_IMAGE, write_phantom
from contrasweep.trainers.errors import UserError
from tests.services.studies.left import AGES, SCANS_OF, SUBJECTS, finished, said, study_in

UNPUBLISHED: dict[str, Any] = {"paper": None, "table": None, "dataset": None}


def test_what_is_in_it(tmp_path: Path) -> None:
    evidence = read_evidence(*finished(tmp_path / "home", study_in(tmp_path)))
    assert evidence.points == {"DynLocRep": "dynlocrep", "SupReMix": "supremix", "SimCLR": "simclr"}
    assert (evidence.label, evidence.unit) == ("age", "years")
    assert (evidence.scans, evidence.subjects) == (SCANS_OF, SUBJECTS)
    assert evidence.labels.tolist() == AGES.tolist()
    assert evidence.columns == {} and evidence.train_labels.size == 0
    assert [evidence.values[name]["lr"] for name in evidence.points] == [0.001, 0.001, 0.01]


def test_predictions_are_by_reading_the_judged_ones_first(tmp_path: Path) -> None:
    evidence = read_evidence(*finished(tmp_path / "home", study_in(tmp_path)))
    first = Reading("DynLocRep", 0, None, 0, "projection", "ridge")
    assert evidence.predictions[first].tolist() == said("DynLocRep", 0).tolist()
    assert evidence.predictions[first._replace(features="encoder")].tolist() == said("encoder", 0).tolist()
    assert [one.features for one in evidence.predictions] == ["projection"] * 6 + ["encoder"] * 2


def test_features_are_in_the_order_of_the_scans(tmp_path: Path) -> None:
    evidence = read_evidence(*finished(tmp_path / "home", study_in(tmp_path)))
    assert [(one.seed, one.features) for one in evidence.embeddings] == [
        (0, "projection"),
        (1, "projection"),
        (0, "encoder"),
        (1, "encoder"),
    ]
    for features in evidence.embeddings.values():
        assert features[:, 0].tolist() == AGES.astype(np.float32).tolist()


def test_some_scans_alone(tmp_path: Path) -> None:
    evidence = of_scans(read_evidence(*finished(tmp_path / "home", study_in(tmp_path))), AGES > 70)
    many = int((AGES > 70).sum())
    assert len(evidence.scans) == len(evidence.subjects) == len(evidence.labels) == many
    assert {len(one) for one in evidence.predictions.values()} == {many}
    assert {len(one) for one in evidence.embeddings.values()} == {many}


def test_a_sweep_without_test_predictions_is_named(tmp_path: Path) -> None:
    settings, folder = finished(tmp_path / "home", study_in(tmp_path), state="stopped")
    folder.final.with_name(TESTED).unlink()
    with pytest.raises(UserError, match=f"sweep {folder.sweep_id} has no test predictions: it is stopped"):
        read_evidence(settings, folder)


def test_where_no_noise_is_said_there_is_none(tmp_path: Path) -> None:
    rows = [
        {"name": "DynLocRep", "method": "dynlocrep"},
        {"name": "SupReMix", "method": "supremix", "data": {"train": {"noise": 5.0}}},
    ]
    evidence = read_evidence(*finished(tmp_path / "home", study_in(tmp_path, rows=rows, **UNPUBLISHED)))
    assert [evidence.values[name]["noise"] for name in evidence.points] == [0.0, 5.0]


def test_who_is_trained_on_is_who_was_prepared(tmp_path: Path) -> None:
    train = {"where": {"sex": "F"}, "size": 6}
    scans = write_phantom(tmp_path / "phantom", subjects=40, shape=(6, 8, 6)).parent
    config = DataConfig(participants="participants.tsv", image=PHANTOM_IMAGE, label="age", group="sex", train=train)
    made = prepare(config, scans, tmp_path / "v", lambda *_: None)
    assert [scan.id for scan in trained_on(made.store, config, scans)] == [*made.first.splits.train]
    assert trained_on(None, config, scans) == []
