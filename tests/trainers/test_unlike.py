"""Scans that no model of these was trained on, and those that it was."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from contrasweep.trainers import checkpoint
from contrasweep.trainers.atomic import replacing
from contrasweep.trainers.unlike import EmbeddingDetector, ImageDetector


def heads(rng: np.random.Generator, count: int, shape: tuple[int, ...] = (40, 32)) -> np.ndarray:
    """[count, 1, *shape]: ellipsoids with a dark centre and a bright spot off each axis, which vary a little."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij"))

    def ball(centre: np.ndarray, radii: np.ndarray) -> np.ndarray:
        scaled = (grid.T - centre) / radii
        return np.asarray(((scaled**2).sum(-1) < 1).T, float)

    def head() -> np.ndarray:
        size, off = rng.normal(1, 0.03), rng.normal(0, 0.03, len(shape))
        radii = size * np.array([0.85, 0.65, 0.75][: len(shape)])
        brain = (
            100 * ball(off, radii)
            - 60 * ball(off, 0.3 * radii)
            + 60 * ball(off + [0.4, 0.2, 0.3][: len(shape)], 0.4 * radii)
        )
        blurred = ndimage.gaussian_filter(brain, 0.8)
        return np.asarray(rng.normal(1, 0.1) * blurred + rng.normal(0, 2, shape) * (brain > 0))

    return np.asarray([head() for _ in range(count)], np.float32)[:, None]


def spoilt(images: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Images [n, 1, h, w] as they should not be."""
    inside = [ndimage.binary_dilation(image[0] > 10, iterations=2) for image in images]
    skulls = np.stack([ndimage.binary_dilation(one, iterations=2) & ~one for one in inside])[:, None]
    turned = np.rot90(images, axes=(2, 3))
    return {
        "shuffled": rng.permuted(images.reshape(len(images), -1), axis=1).reshape(images.shape),
        "blank": np.zeros_like(images),
        "noise": rng.normal(50, 5, images.shape),
        "turned": np.stack(
            [ndimage.zoom(one[0], np.divide(images.shape[2:], one[0].shape), order=1) for one in turned]
        )[:, None],
        "upside down": images[:, :, ::-1, ::-1],
        "mirrored": images[:, :, ::-1],
        "inverted": images.max() - images,
        "with its skull": np.where(skulls, 150, images),
        "not a number": np.where(np.arange(images.shape[3]) == 5, np.nan, images),
    }


@pytest.fixture(scope="module")
def seen() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images = heads(np.random.default_rng(0), 360)
    return images[:160], images[160:260], images[260:]


def test_images_that_are_spoilt_are_flagged_and_others_are_not(
    seen: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    training, validation, new = seen
    detector = ImageDetector.fit(training, validation)
    assert detector.flags(validation).mean() <= 0.05
    assert detector.flags(new).mean() <= 0.12
    for what, images in spoilt(new[:20], np.random.default_rng(1)).items():
        assert detector.flags(images).mean() >= 0.95, what


def test_units_of_images_do_not_count_and_z_normalised_ones_have_no_mean(
    seen: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    training, validation, new = seen
    scores = ImageDetector.fit(training[:60], validation[:30]).score(new[:5])
    tiny = ImageDetector.fit(1e-9 * training[:60], 1e-9 * validation[:30]).score(1e-9 * new[:5])
    np.testing.assert_allclose(tiny, scores, rtol=1e-3)

    def z(images: np.ndarray) -> np.ndarray:
        flat = images.reshape(len(images), -1)
        standardised = (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
        return np.asarray(standardised.reshape(images.shape))

    detector = ImageDetector.fit(z(training[:60]), z(validation[:30]))
    assert detector.flags(z(new)).mean() <= 0.15
    assert detector.flags(z(new[:20, :, ::-1])).mean() >= 0.95


@pytest.mark.parametrize("shape", [(14, 12, 16), (50,)])
def test_images_of_any_dimensions(shape: tuple[int, ...]) -> None:
    """Also of fewer voxels along an axis than there are cells."""
    images = heads(np.random.default_rng(2), 150, shape)
    both = np.concatenate([images, 3 + images], axis=1)
    detector = ImageDetector.fit(both[:80], both[80:130])
    axes = len(shape)
    assert len(detector.mean) == 2 * (4 + 1 + axes * (axes + 1) // 2)
    assert detector.flags(both[130:]).mean() <= 0.2
    assert detector.flags(both[130:, :, ::-1]).mean() == 1.0


def test_features_off_in_a_direction_or_between_clusters_are_flagged() -> None:
    rng = np.random.default_rng(0)
    centres, flat = np.array([[-6.0] * 7 + [0.0], [6.0] * 7 + [0.0]]), np.r_[np.ones(7), 0.01]

    def clusters(count: int) -> np.ndarray:
        return np.asarray(centres[rng.integers(2, size=count)] + flat * rng.normal(size=(count, 8)))

    detector = EmbeddingDetector.fit(clusters(300), clusters(200))
    assert detector.flags(clusters(2000)).mean() == pytest.approx(0.05, abs=0.03)
    between = 0.3 * flat * rng.normal(size=(50, 8))
    assert detector.flags(between).all(), "far from all others, and close to their mean"
    assert detector.flags(clusters(50) + np.eye(8)[7]).all(), "a step of 1 along a feature that moves by 0.01"
    assert detector.flags(np.full((1, 8), np.nan)).all()


@pytest.mark.parametrize(("scans", "flagged"), [(18, False), (19, True)])
def test_with_fewer_than_19_validation_scans_nothing_is_flagged(scans: int, flagged: bool) -> None:
    rng = np.random.default_rng(0)
    detector = EmbeddingDetector.fit(rng.normal(size=(50, 3)), rng.normal(size=(scans, 3)))
    assert detector.flags([[1e6] * 3]).all() == flagged
    images = heads(rng, 30 + scans)
    assert ImageDetector.fit(images[:30], images[30:]).flags(np.zeros((1, 1, 40, 32))).all() == flagged


def test_states_are_kept_without_pickles(tmp_path: Path, seen: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    training, validation, new = seen
    image = ImageDetector.fit(training[:60], validation[:30])
    features = new.reshape(len(new), -1)[:, 300:340]
    embedding = EmbeddingDetector.fit(features[:60], features[60:90])
    with replacing(tmp_path / "image.npz") as file:
        np.savez(file, allow_pickle=False, **image.state())
    with np.load(tmp_path / "image.npz", allow_pickle=False) as kept:
        np.testing.assert_array_equal(ImageDetector.of(kept).score(new), image.score(new))
    tensors = {name: torch.from_numpy(value) for name, value in embedding.state().items()}
    checkpoint.save(tmp_path / "unlike.pt", tensors)
    again = EmbeddingDetector.of(checkpoint.load(tmp_path / "unlike.pt"))
    np.testing.assert_array_equal(again.score(features), embedding.score(features))
