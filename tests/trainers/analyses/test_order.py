from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from contrasweep.trainers.analyses import Reading, build
from tests.trainers.analyses.evidence import evidence


@pytest.mark.parametrize("distance", ["euclidean", "cityblock"])
def test_on_a_line_the_order_is_that_of_the_labels(distance: str) -> None:
    given = evidence(["one"], seeds=1)
    line = np.outer(given.labels, [1.0, 2.0]).astype(np.float32)
    values = build("order", distance=distance).run(replace(given, embeddings={Reading("one", 0): line})).values
    assert values["spearman"] == {("one", 0): pytest.approx(1)}


def test_pairs_are_of_two_people() -> None:
    given = evidence(["one"], scans=20, seeds=1, scans_of_each=2)
    shown = given.embeddings[Reading("one", 0)].astype(float)
    pairs = [(i, j) for i in range(20) for j in range(i) if given.subjects[i] != given.subjects[j]]
    expected = spearmanr(
        [np.linalg.norm(shown[i] - shown[j]) for i, j in pairs],
        [abs(given.labels[i] - given.labels[j]) for i, j in pairs],
    ).statistic
    assert build("order").run(given).values["spearman"]["one", 0] == pytest.approx(expected)


def test_more_scans_than_pairs_can_be_looked_at() -> None:
    given = evidence(["one"], scans=2400, seeds=1)
    assert build("order").run(given).values["spearman"]["one", 0] > 0.9
