import numpy as np
import pytest

from contrasweep.trainers.group_told import LEAST, group_told

RNG = np.random.default_rng(0)


def test_a_group_that_shows_is_told_and_one_that_does_not_is_guessed() -> None:
    groups = [f"site {row % 3}" for row in range(120)]
    people = [f"s{row}" for row in range(120)]
    noise = RNG.normal(size=(120, 6))
    shown = noise + 6 * np.eye(3, 6)[np.arange(120) % 3]
    told = group_told({"one": shown, "two": shown}, groups, people, repeats=200)
    assert told and (told.groups, told.people, told.chance) == (3, 120, 1 / 3)
    assert told.accuracy.value > 0.95 and told.accuracy.low > told.chance
    guessed = group_told({"one": noise}, groups, people, repeats=200)
    assert guessed and guessed.accuracy.low < 1 / 3 < guessed.accuracy.high
    half = group_told({"one": shown, "two": noise}, groups, people, repeats=50)
    assert half and half.accuracy.value == pytest.approx((told.accuracy.value + guessed.accuracy.value) / 2)


def test_the_larger_group_is_not_what_counts() -> None:
    groups = ["A"] * 180 + ["B"] * 20
    guessed = group_told({"one": RNG.normal(size=(200, 3))}, groups, [str(row) for row in range(200)], repeats=200)
    assert guessed and guessed.accuracy.value < 0.7


def test_people_are_on_one_side_so_that_the_site_is_not_told_by_who_they_are() -> None:
    """Ten people of each site, six scans each, whose features tell the person and not the site."""
    people = np.repeat(np.arange(2 * LEAST), 6)
    features = np.eye(2 * LEAST)[people] * 20 + RNG.normal(size=(len(people), 2 * LEAST))
    groups = ["A" if person % 2 else "B" for person in people]
    guessed = group_told({"one": features}, groups, [*map(str, people)], repeats=50)
    assert guessed and guessed.accuracy.value < 0.7


def test_small_groups_and_scans_of_none_are_left_out() -> None:
    groups = ["A"] * 10 + ["B"] * 10 + ["C"] * 9 + [None] * 5
    people = [str(row) for row in range(len(groups))]
    features = {"one": RNG.normal(size=(len(groups), 2))}
    told = group_told(features, groups, people, repeats=20)
    assert told and (told.groups, told.people) == (2, 20)
    assert group_told({"one": features["one"][1:]}, groups[1:], people[1:], repeats=20) is None


def test_wide_features_are_told_by_their_components() -> None:
    groups, people = [f"site {row % 2}" for row in range(240)], [f"s{row}" for row in range(240)]
    shown = RNG.normal(size=(240, 300)) + np.outer(np.arange(240) % 2, np.full(300, 1.5))
    told = group_told({"one": shown}, groups, people, repeats=20)
    assert told and told.accuracy.value > 0.95
