import math
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from contrasweep.trainers.config import SplitConfig, TrainingSplitConfig
from contrasweep.trainers.covariates import Covariates
from contrasweep.trainers.data import order
from contrasweep.trainers.data.feeds import Batch, Feed, arriving, choose_feed
from contrasweep.trainers.data.feeds.resident import ResidentFeed, load_resident
from contrasweep.trainers.data.feeds.stream import READ_AHEAD, StreamFeed
from contrasweep.trainers.data.splits import Splits, make_splits
from contrasweep.trainers.data.store import Volume, VolumeStore, read_manifest
from contrasweep.trainers.data.training import training_split
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.normalization import Normalization
from tests.trainers.data.small_store import write_store


@pytest.fixture
def splits(store: VolumeStore) -> Splits:
    return make_splits(store.subjects, SplitConfig(stratify=("age",)))


def resident(store: VolumeStore, splits: Splits) -> Feed:
    return ResidentFeed(load_resident(store, splits))


def stream(store: VolumeStore, splits: Splits) -> Feed:
    return StreamFeed(store.folder, splits)


@pytest.fixture(params=[resident, stream])
def feed(request: pytest.FixtureRequest, store: VolumeStore, splits: Splits, monkeypatch: pytest.MonkeyPatch) -> Feed:
    """Every kind of feed, in windows of two shards."""
    monkeypatch.setattr(order, "_WINDOW_ROWS", 8)
    monkeypatch.setattr(order, "_WINDOW_BYTES", 1)
    make: Callable[[VolumeStore, Splits], Feed] = request.param
    return make(store, splits)


def same(one: Batch, other: Batch) -> bool:
    assert one.groups is not None
    assert other.groups is not None
    pairs = [(one.images, other.images), (one.labels, other.labels), (one.groups, other.groups)]
    return all(torch.equal(a, b) for a, b in pairs) and np.array_equal(one.rows, other.rows)


def test_a_batch_holds_what_belongs_together(feed: Feed) -> None:
    batches = list(feed.epoch(0, seed=0, batch_size=8, rank=0, world_size=1))
    assert len(batches) == feed.train_size // 8
    for batch in batches:
        assert batch.images.dtype == torch.float32
        assert batch.labels.dtype == torch.float64
        assert batch.groups is not None
        assert batch.images.shape == (8, *feed.image_shape)
        np.testing.assert_array_equal(batch.images[:, 0, 0, 0], batch.rows)
        np.testing.assert_array_equal(batch.labels, 20 + batch.rows)
        np.testing.assert_array_equal(batch.groups, batch.rows % 2)


def test_only_training_rows_train_and_each_at_most_once(feed: Feed, store: VolumeStore, splits: Splits) -> None:
    batches = feed.epoch(3, seed=1, batch_size=5, rank=0, world_size=1)
    rows = np.concatenate([batch.rows for batch in batches]).tolist()
    assert len(set(rows)) == len(rows) == feed.train_size - feed.train_size % 5
    assert set(rows) <= set(store.rows_of(splits.train).tolist())


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_evaluation_gives_each_row_to_one_rank(feed: Feed, store: VolumeStore, splits: Splits, world_size: int) -> None:
    ranks = [
        [batch.rows for batch in feed.evaluation("validation", batch_size=5, rank=rank, world_size=world_size)]
        for rank in range(world_size)
    ]
    dealt = [batches[i] for i in range(len(ranks[0])) for batches in ranks if i < len(batches)]
    np.testing.assert_array_equal(np.concatenate(dealt), store.rows_of(splits.validation))
    assert {len(batch) for batch in dealt[:-1]} == {5}


def test_statistics_are_of_the_training_split(feed: Feed, store: VolumeStore, splits: Splits) -> None:
    labels = store.labels[store.rows_of(splits.train)]
    assert feed.train_size == len(splits.train)
    assert (feed.label_range, feed.train_labels) == (labels.max() - labels.min(), tuple(labels))
    assert feed.image_shape == (1, 3, 4)


def test_a_batch_larger_than_the_training_split_is_refused(feed: Feed) -> None:
    with pytest.raises(UserError, match="batch_size 40 is larger than the training split of 36 scans"):
        next(feed.epoch(0, seed=0, batch_size=40, rank=0, world_size=1))


@pytest.mark.parametrize("start", [0, 1, 3, 4])
def test_an_epoch_goes_on_from_any_batch(feed: Feed, start: int) -> None:
    whole = list(feed.epoch(2, seed=3, batch_size=8, rank=0, world_size=2))
    rest = list(feed.epoch(2, seed=3, batch_size=8, rank=0, world_size=2, start=start))
    assert len(rest) == len(whole) - start
    assert all(same(one, other) for one, other in zip(whole[start:], rest, strict=True))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.int64]]:
    """The rows of every read of a store, as they come."""
    asked: list[NDArray[np.int64]] = []
    read_rows = VolumeStore.read_rows

    def noted(self: VolumeStore, rows: NDArray[np.int64]) -> NDArray[Any]:
        asked.append(rows)
        return read_rows(self, rows)

    monkeypatch.setattr(VolumeStore, "read_rows", noted)
    return asked


def test_what_is_not_asked_for_is_not_read(store: VolumeStore, splits: Splits, reads: list[NDArray[np.int64]]) -> None:
    epoch = stream(store, splits).epoch(0, seed=0, batch_size=8, rank=1, world_size=2, start=2)
    asked = [batch.rows for batch in epoch]
    assert sorted(np.concatenate(reads).tolist()) == sorted(np.concatenate(asked).tolist())


def test_a_stream_holds_few_batches_however_long_it_is(
    store: VolumeStore, splits: Splits, reads: list[NDArray[np.int64]]
) -> None:
    epoch = stream(store, splits).epoch(0, seed=0, batch_size=2, rank=0, world_size=1)
    for used, _ in enumerate(epoch, start=1):
        assert len(reads) <= used + READ_AHEAD
    assert len(reads) == 18


def test_a_feed_travels_to_a_worker(feed: Feed) -> None:
    copy: Feed = pickle.loads(pickle.dumps(feed))
    assert copy.train_size == feed.train_size


@pytest.mark.parametrize("world_size", [1, 2])
def test_resident_and_stream_give_the_same_batches(
    store: VolumeStore, splits: Splits, monkeypatch: pytest.MonkeyPatch, world_size: int
) -> None:
    monkeypatch.setattr(order, "_WINDOW_ROWS", 8)
    monkeypatch.setattr(order, "_WINDOW_BYTES", 1)
    feeds = resident(store, splits), stream(store, splits)
    for rank in range(world_size):
        for epoch in range(2):
            passes = [feed.epoch(epoch, seed=7, batch_size=8, rank=rank, world_size=world_size) for feed in feeds]
            assert all(same(one, other) for one, other in zip(*passes, strict=True))
        held = [feed.evaluation("validation", batch_size=5, rank=rank, world_size=world_size) for feed in feeds]
        assert all(same(one, other) for one, other in zip(*held, strict=True))


def test_poisoned_test_rows_change_no_batch(store: VolumeStore, splits: Splits) -> None:
    clean = list(resident(store, splits).epoch(0, seed=0, batch_size=8, rank=0, world_size=1))
    manifest = read_manifest(store.folder)
    subjects = tuple(s.model_copy(update={"label": -1e9}) if s.id in splits.test else s for s in manifest.subjects)
    poisoned = resident(VolumeStore(store.folder, manifest.model_copy(update={"subjects": subjects})), splits)
    again = list(poisoned.epoch(0, seed=0, batch_size=8, rank=0, world_size=1))
    assert all(same(one, other) for one, other in zip(clean, again, strict=True))
    assert poisoned.train_labels == resident(store, splits).train_labels


def test_auto_goes_by_size() -> None:
    assert choose_feed("auto", nbytes=101, limit_bytes=100) == "stream"
    assert choose_feed("resident", nbytes=101, limit_bytes=100) == "resident"


def batches(images: NDArray[Any]) -> Iterator[Batch]:
    for row, image in enumerate(images):
        yield Batch(torch.from_numpy(image[None]), torch.tensor([float(row)]), None, np.array([row]))


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_batches_arrive_in_order_as_float32(dtype: str) -> None:
    images = np.arange(10 * 2 * 3).reshape(10, 2, 3).astype(dtype)
    arrived = list(arriving(batches(images), torch.device("cpu"), None))
    assert [batch.rows.item() for batch in arrived] == list(range(10))
    assert {batch.images.dtype for batch in arrived} == {torch.float32}
    np.testing.assert_array_equal(torch.cat([batch.images for batch in arrived]), images.astype(np.float32))


def test_batches_arrive_normalised() -> None:
    images = np.stack([np.full((2, 3), 5.0, dtype=np.float32), np.full((2, 3), 7.0, dtype=np.float32)])
    normalization = Normalization(mean=(5.0, 6.0), std=(2.0, 1.0))
    first, second = arriving(batches(images), torch.device("cpu"), normalization)
    assert first.images.tolist() == [[[0, 0, 0], [-1, -1, -1]]]
    assert second.images.tolist() == [[[1, 1, 1], [1, 1, 1]]]


def test_the_next_batch_is_fetched_while_one_is_in_use() -> None:
    fetched = Event()

    def two() -> Iterator[Batch]:
        for batch in batches(np.zeros((2, 1, 1), dtype=np.float32)):
            if batch.rows.item() == 1:
                fetched.set()
            yield batch

    arrived = arriving(two(), torch.device("cpu"), None)
    next(arrived)
    assert fetched.wait(timeout=10)
    arrived.close()  # type: ignore[attr-defined]


def test_what_goes_wrong_with_a_batch_is_raised_where_it_is_used() -> None:
    def broken() -> Iterator[Batch]:
        yield from batches(np.zeros((1, 1, 1), dtype=np.float32))
        raise UserError("the disk is gone")

    arrived = arriving(broken(), torch.device("cpu"), None)
    next(arrived)
    with pytest.raises(UserError, match="the disk is gone"):
        next(arrived)


def partly_labelled(folder: Path) -> tuple[VolumeStore, Splits]:
    """40 people, of whom every fourth has no label."""
    volumes = [
        Volume(f"s{row:02d}", math.nan if row % 4 == 0 else 20.0 + row, None, np.full((1, 2, 2), row, np.float32))
        for row in range(40)
    ]
    told = {
        v.id: {"label": None if math.isnan(v.label) else v.label, "strata": {}, "covariates": {"tiv": float(row)}}
        for row, v in enumerate(volumes)
    }
    store = write_store(folder / "partly", volumes, per_shard=10, told=told)
    return store, make_splits(store.subjects, SplitConfig())


@pytest.mark.parametrize("make", [resident, stream])
def test_scans_without_a_label_are_trained_on_where_they_are_asked_for(
    make: Callable[[VolumeStore, Splits], Feed], tmp_path: Path
) -> None:
    store, splits = partly_labelled(tmp_path)
    feed = make(store, splits)
    rows = {
        unlabelled: np.concatenate(
            [b.rows for b in feed.epoch(0, seed=0, batch_size=2, rank=0, world_size=1, unlabelled=unlabelled)]
        )
        for unlabelled in (False, True)
    }
    assert sorted(rows[False]) == store.rows_of(splits.train).tolist()
    assert sorted(rows[True]) == store.rows_of(splits.train + splits.unlabelled).tolist()
    assert len(splits.unlabelled) == 10
    assert feed.train_size == len(splits.train)
    assert np.isfinite([feed.label_range, *feed.train_labels]).all()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_scans_without_a_label_are_in_no_evaluation(split: Literal["train", "validation"], tmp_path: Path) -> None:
    store, splits = partly_labelled(tmp_path)
    for make in (resident, stream):
        batches = list(make(store, splits).evaluation(split, batch_size=4, rank=0, world_size=1))
        assert np.concatenate([b.rows for b in batches]).tolist() == store.rows_of(getattr(splits, split)).tolist()
        assert all(batch.labels.isfinite().all() for batch in batches)


def test_both_feeds_give_the_same_batches_with_covariates_and_without_labels(tmp_path: Path) -> None:
    store, splits = partly_labelled(tmp_path)
    covariates = Covariates.fit(["tiv"], store.cells_of(store.rows_of(splits.train)))
    feeds = (
        ResidentFeed(load_resident(store, splits, None, covariates)),
        StreamFeed(store.folder, splits, None, covariates),
    )
    one, other = (list(f.epoch(3, seed=1, batch_size=4, rank=0, world_size=1, unlabelled=True)) for f in feeds)
    assert len(one) == len(other) == 7, "18 with a label and 10 without"
    for a, b in zip(one, other, strict=True):
        assert a.rows.tolist() == b.rows.tolist()
        assert a.covariates is not None
        assert b.covariates is not None
        assert torch.equal(a.covariates, b.covariates)
        np.testing.assert_array_equal(a.covariates.numpy(), covariates.encode(store.cells_of(a.rows)))
        np.testing.assert_array_equal(a.labels, store.labels[a.rows])


@pytest.fixture
def taught(tmp_path: Path) -> tuple[VolumeStore, Splits, Splits]:
    """A store, its splits, and those of half of its training split with labels that are permuted."""
    store, splits = partly_labelled(tmp_path)
    config = TrainingSplitConfig(size=0.5, permute="values")
    return store, splits, training_split(splits, store.subjects, (), config)


def test_both_feeds_train_on_the_labels_that_are_taught(taught: tuple[VolumeStore, Splits, Splits]) -> None:
    store, _, splits = taught
    one, other = (
        list(make(store, splits).epoch(2, seed=1, batch_size=3, rank=0, world_size=1, unlabelled=True))
        for make in (resident, stream)
    )
    assert len(one) == len(other) == 6, "9 with a label and 10 without"
    for a, b in zip(one, other, strict=True):
        assert a.rows.tolist() == b.rows.tolist()
        assert torch.equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.labels, [splits.taught.get(f"s{row:02d}", math.nan) for row in a.rows])


@pytest.fixture(params=[resident, stream])
def taught_feed(request: pytest.FixtureRequest, taught: tuple[VolumeStore, Splits, Splits]) -> Feed:
    """Each of the feeds on what is taught."""
    store, _, splits = taught
    feed: Feed = request.param(store, splits)
    return feed


def test_labels_that_are_taught_are_in_no_evaluation(
    taught_feed: Feed, taught: tuple[VolumeStore, Splits, Splits]
) -> None:
    feed, (store, whole, splits) = taught_feed, taught
    rows = store.rows_of(splits.train)
    assert sorted(feed.train_labels) == sorted(feed.table_labels)
    assert feed.train_labels == tuple(splits.taught[name] for name in splits.train)
    assert feed.table_labels == tuple(store.labels[rows])
    for split, ids in {"train": splits.train, "validation": whole.validation}.items():
        batches = list(feed.evaluation(split, batch_size=4, rank=0, world_size=1))  # type: ignore[arg-type]
        np.testing.assert_array_equal(np.concatenate([b.labels for b in batches]), store.labels[store.rows_of(ids)])


def test_a_feed_by_the_table_trains_on_the_tables_labels(
    taught_feed: Feed, taught: tuple[VolumeStore, Splits, Splits]
) -> None:
    by_table, store = taught_feed.by_table(), taught[0]
    assert by_table.train_labels == taught_feed.table_labels != taught_feed.train_labels
    for batch in by_table.epoch(0, seed=0, batch_size=4, rank=0, world_size=1):
        np.testing.assert_array_equal(batch.labels, store.labels[batch.rows])


def test_bins_are_what_the_range_of_labels_is_of(store: VolumeStore, splits: Splits) -> None:
    binned = training_split(splits, store.subjects, (), TrainingSplitConfig(bins=2))
    feed = resident(store, binned)
    assert feed.label_range == max(feed.train_labels) - min(feed.train_labels) < np.ptp(feed.table_labels)
    assert len(set(feed.train_labels)) == 2
