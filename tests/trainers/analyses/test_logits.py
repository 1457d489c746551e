from dataclasses import replace

import numpy as np
import pytest

from contrasweep.trainers.analyses import Reading, build
from contrasweep.trainers.errors import UserError
from tests.trainers.analyses.evidence import EPOCHS, evidence


def test_products_by_hand() -> None:
    """Three labels, of which two are in one bin; embeddings of any length."""
    given = evidence(["one"], scans=4, seeds=1)
    shown = np.array([[2.0, 0.0], [3.0, 3.0], [0.0, 1.0], [-1.0, 0.0]], np.float32)
    given = replace(
        given,
        labels=np.array([30.0, 30.4, 50.0, 60.0]),
        embeddings={Reading("one", 0, epoch=1): shown},
        predictions={Reading("one", 0, epoch=1, probe="ridge"): np.array([1.0, 1.4, 21.0, 31.0])},
    )
    (row,) = build("logits", hardest=2).run(given).tables["Logits over epochs"].rows
    # Negatives: 0, cos 90, and -1 of the first; cos 45 and -cos 45 of the second; 0 of the other two.
    cos45 = np.sqrt(0.5)
    assert row[:4] == ("one", 0, None, 1)
    assert [*row[4:]] == pytest.approx([cos45, (cos45 + 0) / 2, 1.0], abs=1e-6)


def test_every_epoch_that_was_kept_in_its_order() -> None:
    given = evidence(["one", "two"])
    backwards = replace(given, embeddings=dict(reversed([*given.embeddings.items()])))
    (table,) = build("logits").run(backwards).tables.values()
    rows = [row for row in table.rows if row[:2] == ("two", 1)]
    assert [row[3] for row in rows] == [*EPOCHS]
    assert rows[0][4] < rows[-1][4] and rows[0][6] < rows[-1][6]  # type: ignore[operator]


def test_labels_of_which_no_two_are_alike() -> None:
    given = replace(evidence(), labels=np.arange(40.0) * 1.5)
    with pytest.raises(
        UserError, match=r"bin_size: no two of 40 test scans have labels in one bin of 0\.65; allowed: more"
    ):
        build("logits", bin_size=0.65).run(given)
    assert build("logits", bin_size=3.0).run(given).tables


def test_configurations_may_be_ordered_by_growth_and_gap() -> None:
    """Two scans of one label that are 90, 60 and 0 degrees apart after three epochs, and one opposite to the first."""
    given = evidence(["one"], scans=3, seeds=1)
    shown = {
        Reading("one", 0, epoch=epoch): np.array([[1, 0], [np.cos(angle), np.sin(angle)], [-1, 0]], np.float32)
        for epoch, angle in zip(EPOCHS, np.radians([90, 60, 0]), strict=True)
    }
    given = replace(given, labels=np.array([30.0, 30.0, 50.0]), columns={}, embeddings=shown)
    found = build("logits").run(given)
    assert found.values["growth"]["one", 0] == pytest.approx(1 - 0.5, abs=1e-6)
    assert found.values["gap"]["one", 0] == pytest.approx(1 - -1, abs=1e-6)
    assert found.larger == {"growth", "gap"}
