from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import skew

from contrasweep.trainers.analyses import Evidence, Reading, build
from contrasweep.trainers.lipschitz import lipschitz_factors, z_gap
from contrasweep.trainers.resampling import resamples
from tests.trainers.analyses.evidence import evidence


def smooth_and_rough(scans: int = 120) -> Evidence:
    """An embedding that knows nothing of labels, and one in which neighbours have like ones."""
    given, rng = evidence(["rough", "smooth"], scans=scans, seeds=1), np.random.default_rng(0)
    curve = np.column_stack([given.labels, given.labels**2]) + rng.normal(0, 0.01, (scans, 2))
    noise = rng.normal(size=(scans, 2))
    embeddings = {Reading("rough", 0): noise.astype(np.float32), Reading("smooth", 0): curve.astype(np.float32)}
    return replace(given, embeddings=embeddings)


def test_figures_are_those_of_the_factors() -> None:
    given = smooth_and_rough()
    findings = build("nlfd").run(given)
    for point in given.points:
        factors = lipschitz_factors(given.embeddings[Reading(point, 0)], given.labels, given.subjects)
        assert findings.values["mean"][point, 0] == pytest.approx(factors.mean())
        assert findings.values["skewness"][point, 0] == pytest.approx(skew(factors))
    assert findings.values["mean"]["smooth", 0] < findings.values["mean"]["rough", 0]


def test_the_gap_is_above_0_where_the_embedding_is_smoother_than_the_reference() -> None:
    given = smooth_and_rough()
    (row,) = build("nlfd", reference="rough").run(given).tables["Smoothness and performance"].rows
    rough, smooth = (
        lipschitz_factors(given.embeddings[Reading(name, 0)], given.labels, given.subjects) for name in given.points
    )
    name, reference, gap, low, high, *_ = row
    assert (name, reference, gap) == ("smooth", "rough", pytest.approx(z_gap(rough, smooth)))
    assert 0 < float(str(low)) < float(str(gap)) < float(str(high))


def test_both_gaps_are_of_the_same_resamples() -> None:
    given = smooth_and_rough()
    y, names = given.labels, [*given.points]
    factors = [lipschitz_factors(given.embeddings[Reading(name, 0)], y, given.subjects) for name in names]
    said = [given.predictions[Reading(name, 0, probe="ridge")] for name in names]
    gaps = [
        (
            z_gap(factors[0][rows], factors[1][rows]),
            np.corrcoef(y[rows], said[1][rows])[0, 1] - np.corrcoef(y[rows], said[0][rows])[0, 1],
        )
        for rows in resamples(given.subjects, 100)
    ]
    (row,) = build("nlfd").run(given).tables["Smoothness and performance"].rows
    by_z, by_r = np.array(gaps).T
    assert [row[3], row[4]] == pytest.approx([*np.percentile(by_z, [2.5, 97.5])])
    assert [row[6], row[7]] == pytest.approx([*np.percentile(by_r, [2.5, 97.5])])
    assert row[8] == pytest.approx(np.corrcoef(by_z, by_r)[0, 1])


def test_coinciding_scans_are_told() -> None:
    given = smooth_and_rough()
    flat = given.embeddings[Reading("rough", 0)].copy()
    flat[:2] = flat[2]
    findings = build("nlfd").run(replace(given, embeddings={**given.embeddings, Reading("rough", 0): flat}))
    assert findings.words == ("Scans in one place with their neighbour, left out: 3 of rough.",)


def test_configurations_may_be_ordered_by_the_correlation_of_both_gaps() -> None:
    """Of one seed it is the table's."""
    found = build("nlfd", reference="n50").run(evidence(["n50", "n400"], seeds=1))
    (row,) = found.tables["Smoothness and performance"].rows
    assert found.values["correlation"]["n400", 0] == row[-1]
    assert np.isnan(found.values["correlation"]["n50", 0])
    assert "correlation" in found.larger


def test_one_configuration_alone_has_factors_and_no_gaps() -> None:
    found = build("nlfd").run(evidence(["n50"], seeds=2))
    assert [*found.tables] == [*found.figures] == ["Normalised Lipschitz factors"]
