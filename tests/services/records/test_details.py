from pathlib import Path

import numpy as np

from contrasweep.services.records.details import details_of, read_details, write_details
from contrasweep.services.records.final_report import Evaluation
from contrasweep.services.spec.replicate import Replicate
from contrasweep.trainers.data.store import Volume
from contrasweep.trainers.served import Calibration
from contrasweep.trainers.served.evaluation import BY_LINE, OF_LABEL
from tests.trainers.data.small_store import _stored


def test_details_are_of_the_mean_prediction_by_what_the_store_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 80, 60)
    volumes = [
        Volume(f"s{row // 2:02d}_{row % 2}", age, "FM"[row % 4 // 2], rng.random((1, 4, 4)))
        for row, age in enumerate(ages)
    ]
    scans = [_stored(volume, {"subject": volume.id[:3]}) for volume in volumes]
    said = {Replicate(seed): (50 + 0.5 * (ages - 50) + rng.normal(0, 3, 60)).tolist() for seed in (0, 1)}
    subjects = [scan.subject for scan in scans]
    evaluation = Evaluation.of([scan.id for scan in scans], subjects, ages.tolist(), said, {}, {})
    mean = np.mean(list(said.values()), axis=0)
    sexes = np.array([scan.described["sex"] == "F" for scan in scans], np.float32)
    features = {"seed-0": np.stack([sexes, rng.random(60)], axis=1).astype(np.float32)}
    details = details_of(evaluation, scans, Calibration.fit(mean, ages, subjects), features)
    assert details.told["sex"].accuracy.value == 1 and details.told["sex"].chance == 0.5
    assert details.metrics["mae"] == evaluation.metrics["mae"]
    assert set(details.groups) == {"sex", OF_LABEL} and set(details.retest) == {"prediction", "gap"}
    assert details.coverage and details.coverage.share.value > 0.8
    assert abs(details.gaps[BY_LINE].correlation.value) < 0.2 < abs(details.gaps["raw"].correlation.value)
    final = tmp_path / "final.json"
    write_details(final, details)
    assert read_details(final) is None, "the report says that all is there"
    final.write_text("{}")
    assert read_details(final) == details
