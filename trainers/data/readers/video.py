"""Videos through PyAV, which brings FFmpeg."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers.base import Header, Image, check_shape

_FORMATS = {"format_whitelist": "avi,mov,matroska"}
"""FFmpeg would also take playlists, which name files and addresses elsewhere."""


@register(".avi")
@register(".mp4")
@register(".mov")
@register(".mkv")
class Video:
    """[1, T, H, W] luminance, 0 to 255, frames in the order they are shown.

    Always luminance (0.299 R + 0.587 G + 0.114 B): codecs store grey videos as colour ones, so the file does not tell
    them apart, and colour added by compression is no signal. What is colour only, such as Doppler flow, is lost.

    A video that ends before its container says, or has a frame that cannot be decoded, is refused.
    """

    def read(self, path: Path) -> Image:
        """Every frame of the first video stream."""
        with _opened(path) as (container, stream):
            frames = list(_decoded(container, stream))
            if not frames:
                raise UnreadableError("holds no frames")
            if len(frames) < stream.frames:
                raise UnreadableError(f"ends early: {len(frames)} of {stream.frames} frames")
        return Image(values=np.stack(frames)[None])

    def header(self, path: Path) -> Header:
        """(1, T, H, W); T is the container's word, or the number of its packets where it says none."""
        with _opened(path) as (container, stream):
            packets = (packet for packet in container.demux(stream) if packet.size)
            shape = (1, stream.frames or sum(1 for _ in packets), stream.height, stream.width)
        check_shape(shape)
        return Header(shape=shape)

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """Six frames of a grey ramp that moves."""
        ramp = np.arange(192, dtype=np.uint8).reshape(12, 16)
        with av.open(path, "w") as container:
            stream = container.add_stream("mpeg4", rate=30, height=12, width=16, pix_fmt="yuv420p")
            for shift in range(6):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(ramp, shift, axis=1), format="gray")))
            container.mux(stream.encode())
        return 1, 6, 12, 16


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    # through a file object, as FFmpeg takes a name with a colon for an address
    try:
        with path.open("rb") as file, av.open(file, "r", options=_FORMATS, metadata_errors="ignore") as container:
            if not container.streams.video:
                raise UnreadableError("holds no video")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise UnreadableError("holds video in a codec that FFmpeg does not know")
            stream.thread_count = 1  # scans are decoded side by side
            yield container, stream
    except av.FFmpegError as error:
        raise UnreadableError(f"is no AVI, MP4, MOV or MKV video, or a damaged one: {error.strerror}") from error


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[NDArray[np.uint8]]:
    """Luminance [H, W] of each frame."""
    end_s, height, width = 0.0, 0, 0
    for count, frame in enumerate(container.decode(stream), 1):
        if count == 1:
            height, width = frame.height, frame.width
        if (frame.height, frame.width) != (height, width):
            raise UnreadableError(
                f"frame {count} measures {frame.height} x {frame.width}, the first {height} x {width}"
            )
        check_shape((count, height, width))
        end_s = (frame.time or 0.0) + 1.5 / float(stream.guessed_rate or 1)  # the frame itself, and rounding
        yield frame.to_ndarray(format="gray").astype(np.uint8, copy=False)
    promised_s = (container.duration or 0) / av.time_base
    if not stream.frames and len(container.streams) == 1 and end_s < promised_s:  # MKV counts no frames
        raise UnreadableError(f"ends early: at {end_s:.2f} of {promised_s:.2f} s")
