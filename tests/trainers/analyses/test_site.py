from dataclasses import replace

import numpy as np
import pytest

from contrasweep.trainers.analyses import build
from contrasweep.trainers.errors import UserError
from tests.trainers.analyses.evidence import evidence


def test_an_embedding_that_tells_the_site_and_one_that_does_not() -> None:
    given = evidence(["blind", "telling"], seeds=1)
    told = np.array([[cell == "B"] for cell in given.columns["site"]], np.float32)
    embeddings = {
        reading: np.hstack([own, 5 * told]) if reading.point == "telling" else own
        for reading, own in given.embeddings.items()
    }
    (table,) = build("site").run(replace(given, embeddings=embeddings)).tables.values()
    blind, telling = table.rows
    assert blind[1:3] == (2, 40) and telling[3] == 1 and blind[6] == telling[6] == 0.5
    low, high = float(str(blind[4])), float(str(blind[5]))
    assert low < 0.6 and high < 0.8


def test_groups_that_are_too_small() -> None:
    given = evidence(scans=16)
    with pytest.raises(UserError, match="column 'site' has not two groups of at least 10 people in the test split"):
        build("site").run(given)
