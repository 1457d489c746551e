"""The mean over the frames of a scan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_dims
from contrasweep.trainers.data.transforms.base import Example, Transform
from contrasweep.trainers.errors import UserError


@register("MeanOverFrames")
@dataclass(frozen=True, kw_only=True)
class MeanOverFrames(Transform):
    """[T, X, Y, Z] to [1, X, Y, Z], the mean over time; `frames` are the first and last to use, counted from 1.

    SupReMix, section 4.1.5, averages the four 5-minute frames from 50 to 70 minutes after injection. A scan
    without the last of `frames` is refused; without `frames`, one that is an average already stays as it is.
    """

    example = Example("volume", (1, 32, 32, 32), also_takes=("video",))

    frames: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.frames is None:
            return
        pair = isinstance(self.frames, list | tuple) and [type(frame) for frame in self.frames] == [int, int]
        if not pair or not 1 <= self.frames[0] <= self.frames[1]:
            raise UserError(f"frames is {self.frames!r}; allowed: [first, last], counted from 1")

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [T, X, Y, Z]."""
        require_dims("MeanOverFrames", image, "series of volumes", 3)
        first, last = self.frames or (1, len(image.values))
        if last > len(image.values):
            raise UnreadableError(f"MeanOverFrames: frames {first} to {last} are wanted; there are {len(image.values)}")
        values = image.values[first - 1 : last].mean(axis=0, keepdims=True)
        return Image(values=values, affine=image.affine, orientation=image.orientation)
