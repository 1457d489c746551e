"""Reliability against published figures, and against what a cohort was simulated with."""

import numpy as np
import pytest

from contrasweep.trainers.errors import UserError
from contrasweep.trainers.retest import retest

# Shrout and Fleiss 1979, Table 2: six targets, four judges.
JUDGED = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def cohort(seed: int, people: int, sessions: int, drift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values whose sd is 3 between people and 1 within, read `drift` higher from session to session."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 3, (people, 1)) + drift * np.arange(sessions) + rng.normal(0, 1, (people, sessions))
    whose, when = np.indices(values.shape)
    return values.ravel(), whose.ravel(), when.ravel()


def test_it_is_icc_2_1_of_shrout_and_fleiss() -> None:
    found = retest(JUDGED.ravel(), np.repeat(np.arange(6), 4).tolist(), np.tile(np.arange(4), 6).tolist(), repeats=20)
    assert round(found.icc.value, 2) == 0.29
    between_judges, rest = (32.49 - 1.02) / 6, 1.02  # of their Table 3: mean squares of judges and of the rest
    assert found.within_sd.value == pytest.approx(np.sqrt(between_judges + rest), abs=0.01)
    assert (found.subjects, found.scans) == (6, 24)


def test_two_sessions_recover_the_reliability() -> None:
    values, whose, when = cohort(0, 1500, 2)
    found = retest(values, whose.tolist(), when.tolist(), repeats=100)
    assert found.icc.value == pytest.approx(0.9, abs=0.02)
    assert found.within_sd.value == pytest.approx(1, abs=0.05)


def test_sessions_may_be_lacking() -> None:
    values, whose, when = cohort(1, 3000, 4)
    kept = np.random.default_rng(0).random(values.size) < 0.5
    found = retest(values[kept], whose[kept].tolist(), when[kept].tolist(), repeats=2)
    counts = np.bincount(whose[kept])
    assert found.icc.value == pytest.approx(0.9, abs=0.02)
    assert (found.subjects, found.scans) == ((counts > 1).sum(), counts[counts > 1].sum())


def test_a_later_session_that_reads_higher_counts() -> None:
    """Of two sessions 2 apart, the variance of sessions is 2^2 / 2."""
    values, whose, when = cohort(2, 2000, 2, drift=2.0)
    found = retest(values, whose.tolist(), when.tolist(), repeats=2)
    assert found.icc.value == pytest.approx(9 / (9 + 2 + 1), abs=0.02)
    lacking = np.random.default_rng(1).random(values.size) < 0.8
    assert retest(
        values[lacking], whose[lacking].tolist(), when[lacking].tolist(), repeats=2
    ).icc.value == pytest.approx(9 / 12, abs=0.02)


def test_people_of_one_session_are_left_out() -> None:
    values, whose, when = cohort(3, 30, 2)
    alone = retest([*values, 99.0], [*whose.tolist(), "alone"], [*when.tolist(), 0], repeats=20)
    assert alone == retest(values, whose.tolist(), when.tolist(), repeats=20)
    with pytest.raises(UserError, match="a retest needs two people with two sessions or more; 1 of these have them"):
        retest([1.0, 2.0, 3.0], ["a", "a", "b"], [0, 1, 0])


def test_the_interval_covers_the_reliability() -> None:
    covered = 0
    for seed in range(20):
        values, whose, when = cohort(100 + seed, 60, 2)
        interval = retest(values, whose.tolist(), when.tolist(), repeats=60, seed=seed).icc
        covered += interval.low <= 0.9 <= interval.high
    assert covered >= 16


def test_sessions_that_agree_to_the_digit() -> None:
    found = retest([1.0, 1.0, 5.0, 5.0], ["a", "a", "b", "b"], [0, 1, 0, 1], repeats=8)
    assert (found.icc.value, found.within_sd.value) == pytest.approx((1, 0))
    apart = retest([1.0, 2.0, 5.0, 6.0], ["a", "a", "b", "b"], [0, 1, 2, 3], repeats=8)
    assert np.isnan(apart.icc.value), "sessions that no two people have in common"
    same = retest([2.0] * 4, ["a", "a", "b", "b"], [0, 1, 0, 1], repeats=8)
    assert np.isnan(same.icc.value) and same.within_sd.value == 0


def test_sessions_with_names_of_their_own_count_in_their_order() -> None:
    rng = np.random.default_rng(0)
    people = [f"s{number // 2:03d}" for number in range(600)]
    values = np.repeat(rng.normal(0, 3, 300), 2) + rng.normal(0, 1, 600)
    own = retest(values, people, [f"MR{number:04d}" for number in range(600)], repeats=200)
    named = retest(values, people, ["ab"[number % 2] for number in range(600)], repeats=200)
    assert own == named and 0.85 < own.icc.value < 0.95
