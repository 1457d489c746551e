"""PNG, JPEG, JPEG 2000, TIFF and BMP pictures through Pillow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray
from PIL.ImageSequence import Iterator as Pages

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers.base import Header, Image, check_shape

_GREY = frozenset({"1", "L", "LA", "La"})
_DEEP_GREY = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_BITS, _SAMPLE_FORMAT = 258, 339
_MISREAD = {(8, 2): "signed 8-bit", (32, 1): "unsigned 32-bit", (32, None): "unsigned 32-bit"}
"""TIFF's bits and kinds of sample that Pillow takes for those of the other sign."""
_ORIENTATION, _SIDEWAYS = 274, frozenset({5, 6, 7, 8})


@register(".png")
@register(".jpg")
@register(".jpeg")
@register(".tif")
@register(".tiff")
@register(".bmp")
@register(".jp2")
class Picture:
    """[1, H, W] grey levels as stored, or [3, H, W] for a picture in colour; transparency is dropped.

    A TIFF of several equal pages is a volume [1 or 3, N, H, W]. Pictures are turned as their EXIF orientation asks,
    to what a viewer shows. Colours of 16 bits are read as 8.
    """

    def read(self, path: Path) -> Image:
        """Grey levels as stored: 0 to 255, to 65535 from 16 bits, anything from floating point."""
        with _opened(path) as picture:
            if picture.format != "TIFF":
                return Image(values=_channel_first(PIL.ImageOps.exif_transpose(picture)))
            pages = [_channel_first(page) for page in Pages(picture)]  # Pillow turns these itself
        return Image(values=pages[0] if len(pages) == 1 else np.stack(pages, axis=1))

    def header(self, path: Path) -> Header:
        """(1 or 3, H, W), or (1 or 3, N, H, W)."""
        with _opened(path) as picture:
            return Header(shape=_shape(picture))

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """A grey ramp."""
        PIL.Image.fromarray(np.arange(192, dtype=np.uint8).reshape(12, 16)).save(path)
        return 1, 12, 16


@contextmanager
def _opened(path: Path) -> Iterator[PIL.Image.Image]:
    """The picture, not decoded yet, its pages known to be equal and not too many."""
    # through a file object: Pillow garbles a TIFF that is to be turned where it maps it into memory by its name
    with path.open("rb") as file:
        try:
            picture = PIL.Image.open(file, formats=("PNG", "JPEG", "JPEG2000", "TIFF", "BMP"))
        except PIL.UnidentifiedImageError:
            raise UnreadableError("is no PNG, JPEG or TIFF picture, nor one in JPEG 2000 or BMP") from None
        if picture.format == "TIFF":
            _check_pages(picture)
        elif picture.format == "PNG" and _frames(picture) > 1:
            raise UnreadableError(f"is an animation of {_frames(picture)} frames; one picture is needed")
        check_shape(_shape(picture))
        yield picture


def _check_pages(picture: PIL.Image.Image) -> None:
    kinds = {(page.mode, *page.size) for page in Pages(picture)}
    if len(kinds) > 1:
        shown = ", ".join(f"{mode} {width} x {height}" for mode, width, height in sorted(kinds))
        raise UnreadableError(f"its {_frames(picture)} pages differ: {shown}")
    picture.seek(0)
    coding = tuple(picture.getexif().get(tag) for tag in (_BITS, _SAMPLE_FORMAT))
    if coding in _MISREAD:
        raise UnreadableError(f"holds {_MISREAD[coding]} numbers; save it with 16 bits or as floating point")
    if picture.mode in _DEEP_GREY and picture.getexif().get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        raise UnreadableError("holds more than 8 bits with white as zero; save it with black as zero")


def _frames(picture: PIL.Image.Image) -> int:
    return int(getattr(picture, "n_frames", 1))


def _shape(picture: PIL.Image.Image) -> tuple[int, ...]:
    channels = 1 if picture.mode in _GREY | _DEEP_GREY else 3
    turned = picture.format != "TIFF" and picture.getexif().get(_ORIENTATION) in _SIDEWAYS
    width, height = picture.size[::-1] if turned else picture.size
    pages = _frames(picture) if picture.format == "TIFF" else 1
    return (channels, height, width) if pages == 1 else (channels, pages, height, width)


def _channel_first(picture: PIL.Image.Image) -> NDArray[Any]:
    picture.load()  # before NumPy asks for the size, which a TIFF's orientation changes
    if picture.mode in _DEEP_GREY:
        return np.asarray(picture, dtype=np.float32)[None]
    if picture.mode in _GREY:
        return np.asarray(picture.convert("L"))[None]
    return np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)
