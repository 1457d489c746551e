from dataclasses import replace

import numpy as np
import pytest

from contrasweep.trainers.analyses import Evidence, build
from contrasweep.trainers.errors import UserError
from tests.trainers.analyses.evidence import evidence

NAMES = ("plain a", "plain b", "better a", "worse b")
FACTORS = (1.0, 1.0, 0.75, 1.5)


def given() -> Evidence:
    """Errors of two encoders, a quarter less and a half more of one that begins elsewhere."""
    known = evidence(NAMES)
    errors = np.random.default_rng(0).normal(size=len(known.labels))
    predictions = {
        reading: known.labels + FACTORS[NAMES.index(reading.point)] * errors for reading in known.predictions
    }
    return replace(known, predictions=predictions, values={name: {"encoder": name[-1]} for name in NAMES})


def test_each_is_compared_to_the_first_like_it() -> None:
    findings = build("gain", by="encoder").run(given())
    rows = findings.tables["Gain in MAE"].rows
    assert [row[:2] for row in rows] == [("better a", "plain a"), ("worse b", "plain b")]
    assert [row[2] for row in rows] == pytest.approx([25, -50])
    percent = findings.values["percent"]
    assert percent["better a", 0] == pytest.approx(25) and percent["worse b", 1] == pytest.approx(-50)
    assert np.isnan(percent["plain a", 0])


def test_its_interval_is_of_both_errors_on_the_same_people() -> None:
    (row, _) = build("gain", by="encoder").run(given()).tables["Gain in MAE"].rows
    assert row[3:] == pytest.approx((25, 25))


def test_a_value_that_nobody_has_is_named() -> None:
    with pytest.raises(UserError, match="by: no configuration has 'encodre'; did you mean 'encoder'"):
        build("gain", by="encodre").run(given())
