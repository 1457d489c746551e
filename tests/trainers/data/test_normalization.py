from pathlib import Path

import numpy as np
import pytest
import torch

from contrasweep.trainers.data import normalization
from contrasweep.trainers.data.normalization import fit_normalization, store_normalization
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import Volume, VolumeStore
from contrasweep.trainers.normalization import Normalization
from tests.trainers.data.small_store import write_store


@pytest.fixture
def two_channels(tmp_path: Path) -> VolumeStore:
    """9 subjects; the second channel's mean is far from 0."""
    rng = np.random.default_rng(0)
    images = rng.normal([[[1.0]], [[1e4]]], [[[2.0]], [[3.0]]], (9, 2, 4, 5)).astype(np.float32)
    return write_store(
        tmp_path / "s", [Volume(f"s{row}", float(row), None, image) for row, image in enumerate(images)], per_shard=4
    )


SPLITS = Splits(train=("s0", "s2", "s3", "s5", "s7"), validation=("s1", "s4"), test=("s6", "s8"))


def test_it_is_the_training_splits_alone_in_chunks(two_channels: VolumeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalization, "_CHUNK_BYTES", 2 * two_channels.volume_nbytes)
    train = two_channels.load(SPLITS.train).images.astype(np.float64)
    fitted = fit_normalization(two_channels, SPLITS)
    np.testing.assert_allclose(fitted.mean, train.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(fitted.std, train.std(axis=(0, 2, 3)), rtol=1e-4)


def test_the_training_split_comes_out_with_mean_0_and_sd_1(two_channels: VolumeStore) -> None:
    images = torch.from_numpy(two_channels.load(SPLITS.train).images)
    normal = store_normalization(two_channels, SPLITS)(images)
    assert normal.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 0], abs=1e-2)
    assert normal.std(dim=(0, 2, 3), correction=0).tolist() == pytest.approx([1, 1], rel=1e-3)


def test_it_is_kept_in_the_store(two_channels: VolumeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store_normalization(two_channels, SPLITS)
    monkeypatch.setattr(VolumeStore, "read_rows", None)
    assert store_normalization(two_channels, SPLITS) == first


def test_a_channel_without_contrast_is_only_shifted(tmp_path: Path) -> None:
    images = np.stack([np.full((1, 3), 4.0, dtype=np.float32)] * 3)
    flat = write_store(
        tmp_path / "s", [Volume(f"s{row}", float(row), None, image) for row, image in enumerate(images)], per_shard=4
    )
    splits = Splits(train=("s0", "s1"), validation=("s2",), test=())
    assert fit_normalization(flat, splits) == Normalization(mean=(4.0,), std=(1.0,))
