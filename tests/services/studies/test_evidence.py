"""A finished sweep's folder as evidence."""

from pathlib import Path

import numpy as np
import pytest

from contrasweep.services.records.tested import TESTED
from contrasweep.services.studies.evidence import read_evidence
from contrasweep.services.studies.examined import of_scans
from contrasweep.trainers.analyses import Reading
from contrasweep.trainers.errors import UserError
from tests.services.studies.left import AGES, SCANS_OF, SUBJECTS, finished, said, study_in


def test_what_is_in_it(tmp_path: Path) -> None:
    evidence = read_evidence(*finished(tmp_path / "home", study_in(tmp_path)))
    assert evidence.points == {"DynLocRep": "dynlocrep", "SupReMix": "supremix", "SimCLR": "simclr"}
    assert (evidence.label, evidence.unit) == ("age", "years")
    assert (evidence.scans, evidence.subjects) == (SCANS_OF, SUBJECTS)
    assert evidence.labels.tolist() == AGES.tolist()
    assert evidence.columns == {} and evidence.train_labels.size == 0
    assert [evidence.values[name]["lr"] for name in evidence.points] == [0.001, 0.001, 0.01]
    assert [row["validation_mae"] for row in evidence.epochs["SimCLR", 1]] == [9.0, 8.0, 7.0, 6.0]


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
