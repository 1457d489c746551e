from pathlib import Path

import av
import numpy as np
import pytest

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import UnreadableError
from tests.trainers.data.scans import write_video

CLIP = np.random.default_rng(0).integers(0, 256, (9, 16, 24), dtype=np.uint8)
LEVELS = (0, 1, 16, 60, 128, 200, 235, 254, 255)
FLAT = np.stack([np.full((16, 24), level, np.uint8) for level in LEVELS])


@pytest.mark.parametrize(("name", "codec", "pixels"), [("a.mkv", "ffv1", "gray"), ("a.avi", "rawvideo", "bgr24")])
def test_lossless_frames_come_back_in_order(name: str, codec: str, pixels: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, CLIP, codec, pixels)
    np.testing.assert_array_equal(readers.read(path).values, CLIP[None])


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.avi", "mjpeg", "yuvj420p"), ("a.avi", "mpeg4", "yuv420p"), ("a.mp4", "libx264", "yuv420p")],
)
def test_black_is_0_and_white_255_whatever_range_is_coded(name: str, codec: str, pixels: str, tmp_path: Path) -> None:
    values = readers.read(write_video(tmp_path / name, FLAT, codec, pixels)).values
    np.testing.assert_allclose(values.mean(axis=(0, 2, 3)), LEVELS, atol=1.5)


def test_colours_become_luminance(tmp_path: Path) -> None:
    colours = np.broadcast_to(np.array([200, 100, 50], np.uint8), (3, 16, 24, 3))
    values = readers.read(write_video(tmp_path / "a.avi", colours, "rawvideo", "bgr24")).values
    assert values.shape == (1, 3, 16, 24)
    np.testing.assert_allclose(values, 0.299 * 200 + 0.587 * 100 + 0.114 * 50, atol=1)


def write_sound(path: Path) -> Path:
    with av.open(path, "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    for read in (readers.read, readers.read_header):
        with pytest.raises(UnreadableError, match="holds no video"):
            read(write_sound(tmp_path / "a.avi"))


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.mkv"])
def test_a_video_without_frames_is_refused(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, CLIP[:0])
    for read in (readers.read, readers.read_header):
        with pytest.raises(UnreadableError):
            read(path)


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "message"),
    [("a.mkv", "ffv1", "gray", "ends early: at"), ("a.avi", "rawvideo", "bgr24", "ends early|damaged")],
)
def test_a_video_cut_off_is_refused(name: str, codec: str, pixels: str, message: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, CLIP, codec, pixels)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(UnreadableError, match=message):
        readers.read(path)


def test_a_playlist_under_this_name_is_not_followed(tmp_path: Path) -> None:
    write_video(tmp_path / "other.mp4", CLIP)
    (tmp_path / "a.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'other.mp4'}\n#EXT-X-ENDLIST\n")
    with pytest.raises(UnreadableError):
        readers.read(tmp_path / "a.mp4")


def test_a_colon_in_the_name_is_no_address(tmp_path: Path) -> None:
    path = write_video(tmp_path / "plain.avi", CLIP).rename(tmp_path / "sub:01 [a].avi")
    assert readers.read(path).values.shape == (1, *CLIP.shape)
