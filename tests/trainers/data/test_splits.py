import numpy as np
import pytest

from trainers.config import SplitConfig
from trainers.data.splits import make_splits, store_splits
from trainers.data.store import StoredSubject, VolumeStore
from trainers.errors import UserError


def people(count: int, seed: int = 0) -> list[StoredSubject]:
    """Skewed ages, a numeric column with gaps, and a site that only two subjects have."""
    rng = np.random.default_rng(seed)
    ages = 20 + 60 * rng.beta(0.5, 1.5, count)
    return [
        StoredSubject(
            id=f"s{i:04d}",
            path="",
            digest="",
            label=float(ages[i]),
            group=None,
            strata={
                "age": float(ages[i]),
                "bmi": "" if i % 5 == 0 else float(i),
                "site": "rare" if i < 2 else "ab"[i % 2],
            },
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
