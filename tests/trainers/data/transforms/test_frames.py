"""RealignFrames, MeanOverFrames and SampleFrames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from contrasweep.trainers.data.readers import Image, UnreadableError
from contrasweep.trainers.data.transforms import Pipeline, build_transforms
from tests.trainers.data.transforms import heads


def one(name: str, **arguments: Any) -> Pipeline:
    return build_transforms([{name: arguments}], Path())


def test_realigned_frames_lie_on_the_first() -> None:
    rng = np.random.default_rng(0)
    motions = [np.eye(4) for _ in range(3)]
    motions[1][:3, 3] = [8, -10, 9]
    motions[2][:3, :3] = Rotation.from_euler("xyz", [8, -6, 9], degrees=True).as_matrix()
    frames = np.stack([heads.volume(motion) * (1 + 0.3 * n) for n, motion in enumerate(motions)])
    noisy = (frames + rng.normal(0, 2, frames.shape)).astype(np.float32)
    realigned = one("RealignFrames")(Image(values=noisy, affine=heads.centred()), {})
    np.testing.assert_array_equal(realigned[0], noisy[0])
    for before, after in zip(noisy[1:], realigned[1:], strict=True):
        was, now = (1 - np.corrcoef(frame.ravel(), noisy[0].ravel())[0, 1] for frame in (before, after))
        assert now < was / 2 and now < 0.015


def test_a_frame_of_something_else_is_refused() -> None:
    head = heads.volume()
    noise = np.random.default_rng(0).random(head.shape).astype(np.float32)
    with pytest.raises(UnreadableError, match=r"registration fails: the frames share 0\.0\d* nats"):
        one("RealignFrames")(Image(values=np.stack([head, noise]), affine=heads.centred()), {})


def test_a_single_frame_has_nothing_to_be_realigned_to() -> None:
    frame = heads.volume()[None]
    np.testing.assert_array_equal(one("RealignFrames")(Image(values=frame, affine=heads.centred()), {}), frame)


@pytest.mark.parametrize(("frames", "mean"), [(None, 2.5), ([1, 4], 2.5), ([2, 3], 2.5), ([3, 4], 3.5), ([1, 1], 1.0)])
def test_the_mean_is_of_the_frames_asked_for(frames: list[int] | None, mean: float) -> None:
    values = np.arange(1, 5, dtype=np.float32)[:, None, None, None] * np.ones((4, 2, 3, 2), dtype=np.float32)
    made = one("MeanOverFrames", frames=frames)(Image(values=values), {})
    np.testing.assert_array_equal(made, np.full((1, 2, 3, 2), mean))


def test_a_scan_without_the_last_frame_is_refused() -> None:
    with pytest.raises(UnreadableError, match="frames 3 to 5 are wanted; there are 4"):
        one("MeanOverFrames", frames=[3, 5])(Image(values=np.ones((4, 2, 2, 2), dtype=np.float32)), {})


def video(length: int) -> Image:
    """Each frame [1, length, 2, 2] shows its number."""
    return Image(values=np.arange(length, dtype=np.float32)[None, :, None, None] * np.ones((1, 1, 2, 2), np.float32))


@pytest.mark.parametrize(
    ("length", "arguments", "shown"),
    [
        (10, {"count": 4}, [0, 3, 6, 9]),
        (5, {"count": 5}, [0, 1, 2, 3, 4]),
        (2, {"count": 5}, [0, 0, 0, 1, 1]),
        (1, {"count": 2}, [0, 0]),
        (11, {"count": 3, "period": 2}, [3, 5, 7]),
        (5, {"count": 3, "period": 2}, [0, 2, 4]),
        (8, {"count": 1, "period": 3}, [3]),
    ],
)
def test_which_frames_are_sampled(length: int, arguments: dict[str, int], shown: list[int]) -> None:
    sampled = one("SampleFrames", **arguments)(video(length), {})
    assert sampled.shape == (1, len(shown), 2, 2)
    assert sampled[0, :, 0, 0].tolist() == shown


def test_a_video_too_short_for_the_clip_is_refused() -> None:
    with pytest.raises(UnreadableError, match="32 frames with period 2 span 63; this video has 62"):
        one("SampleFrames", count=32, period=2)(video(62), {})
