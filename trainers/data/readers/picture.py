"""PNG and JPEG pictures through Pillow."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainers.data.readers import register

_GREY = frozenset({"1", "L", "LA", "La"})
_DEEP_GREY = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})


@register(".png")
@register(".jpg")
@register(".jpeg")
class Picture:
    """[1, H, W] grey levels as stored, or [3, H, W] for a picture in colour; transparency is dropped."""

    def read(self, path: Path) -> NDArray[Any]:
        """Grey levels as stored: 0 to 255, or 0 to 65535 from a 16-bit file."""
        with Image.open(path) as picture:
            if picture.mode in _DEEP_GREY:
                return np.asarray(picture, dtype=np.float32)[None]
            if picture.mode in _GREY:
                return np.asarray(picture.convert("L"))[None]
            return np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)

    def shape(self, path: Path) -> tuple[int, ...]:
        """(1 or 3, H, W)."""
        with Image.open(path) as picture:
            return (1 if picture.mode in _GREY | _DEEP_GREY else 3, picture.height, picture.width)
