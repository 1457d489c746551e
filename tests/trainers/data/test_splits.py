from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from trainers.config import SplitConfig
from trainers.data.splits import make_splits, store_splits
from trainers.data.store import Source, StoredSubject, VolumeStore
from trainers.errors import UserError

SOURCE = Source(shape=(1, 2), spacing_mm=None, orientation=None, minimum=0.0, maximum=1.0, mean=0.5)


def people(count: int, seed: int = 0) -> list[StoredSubject]:
    """Skewed ages, a numeric column with gaps, and a site that only two subjects have."""
    rng = np.random.default_rng(seed)
    ages = 20 + 60 * rng.beta(0.5, 1.5, count)
    return [
        StoredSubject(
            id=f"s{i:04d}",
            subject=f"s{i:04d}",
            path="",
            digest="",
            content="",
            label=float(ages[i]),
            group=None,
            strata={
                "age": float(ages[i]),
                "bmi": "" if i % 5 == 0 else float(i),
                "site": "rare" if i < 2 else "ab"[i % 2],
            },
            described={},
            source=SOURCE,
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("stratify", [(), ("age",), ("age", "site"), ("bmi", "site", "age")])
@pytest.mark.parametrize("count", [3, 7, 50, 311])
def test_splits_cover_everyone_once_in_the_sizes_asked_for(count: int, stratify: tuple[str, ...]) -> None:
    splits = make_splits(people(count), SplitConfig(test=0.2, validation=0.2, stratify=stratify))
    parts = [splits.train, splits.validation, splits.test]
    assert sorted(sum(parts, ())) == [s.id for s in people(count)]
    assert [len(part) for part in parts[1:]] == [round(0.2 * count)] * 2


def test_stratified_splits_have_the_same_ages_and_sites() -> None:
    subjects = {s.id: s for s in people(300)}
    splits = make_splits(list(subjects.values()), SplitConfig(stratify=("age", "site")))
    overall = np.mean([s.label for s in subjects.values()])
    for part in (splits.train, splits.validation, splits.test):
        assert np.mean([subjects[i].label for i in part]) == pytest.approx(overall, abs=1.5)
        assert np.mean([subjects[i].strata["site"] == "a" for i in part]) == pytest.approx(0.5, abs=0.06)


def test_the_seed_decides() -> None:
    first, again, other = (make_splits(people(50), SplitConfig(seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_single_stratum_is_cut_as_scikit_learn_does() -> None:
    rest, test = train_test_split(range(50), test_size=10, random_state=4, stratify=[0] * 50)
    _, validation = train_test_split(sorted(rest), test_size=10, random_state=4, stratify=[0] * 40)
    splits = make_splits(people(50), SplitConfig(stratify=(), seed=4))
    assert splits.test == tuple(f"s{i:04d}" for i in sorted(test))
    assert splits.validation == tuple(f"s{i:04d}" for i in sorted(validation))


def with_sessions(subjects: Sequence[StoredSubject], counts: Sequence[int]) -> list[StoredSubject]:
    """Each subject `counts` times, older and elsewhere from time to time."""
    return [
        subject.model_copy(
            update={
                "id": f"{subject.id}_{session}",
                "strata": subject.strata | ({"age": 200.0 + session, "site": f"site{session}"} if session else {}),
            }
        )
        for subject, count in zip(subjects, counts, strict=True)
        for session in range(count)
    ]


@given(st.lists(st.integers(1, 4), min_size=5, max_size=60), st.integers(0, 3), st.sampled_from([(), ("age", "site")]))
def test_a_subjects_sessions_go_where_its_first_scan_goes(
    counts: list[int], seed: int, stratify: tuple[str, ...]
) -> None:
    subjects = people(len(counts))
    config = SplitConfig(stratify=stratify, seed=seed)
    scans = with_sessions(subjects, counts)
    splits, alone = make_splits(scans, config), make_splits(subjects, config)
    parts = [(splits.train, alone.train), (splits.validation, alone.validation), (splits.test, alone.test)]
    assert sorted(sum((part for part, _ in parts), ())) == [scan.id for scan in scans]
    for part, ids in parts:
        assert list(part) == sorted(part)
        assert {scan.partition("_")[0] for scan in part} == set(ids)


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(UserError, match="2 subjects leave the test split empty"):
        make_splits(people(2), SplitConfig(test=0.1))


def test_splits_are_written_into_the_store_and_kept(store: VolumeStore) -> None:
    config = SplitConfig(stratify=("age",))
    splits = store_splits(store, config)
    assert len(list(store.folder.glob("splits-*.json"))) == 1
    assert store_splits(VolumeStore.open(store.folder), config) == splits
    store_splits(store, SplitConfig(seed=5))
    assert len(list(store.folder.glob("splits-*.json"))) == 2
