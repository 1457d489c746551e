"""A box that the participants table gives for each picture."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_dims
from contrasweep.trainers.data.transforms.base import Example, Transform
from contrasweep.trainers.errors import UserError


@register("BoundingBox")
class BoundingBox(Transform):
    """Crop a picture [C, H, W] to its own box, which four `columns` of the table tell: x, y, width, height.

    They count pixels from the top left corner of the image as this step gets it, so it comes first where they are
    of the file's: before `LeftHalf`, `Resize` and whatever else moves pixels. Fractions are rounded to the nearest
    pixel. A box that leaves the picture or is empty is refused, not clipped. SupReMix, B.1.3, crops hands so.
    """

    example = Example(
        "picture",
        (1, 10, 20),
        {"columns": ["x", "y", "width", "height"]},
        {"x": 3.0, "y": 4.0, "width": 20.0, "height": 10.0},
    )

    def __init__(self, *, columns: Sequence[str]) -> None:
        if not isinstance(columns, list | tuple) or [type(name) for name in columns] != [str] * 4:
            raise UserError(f"columns is {columns!r}; allowed: the four names of [x, y, width, height]")
        self.columns = tuple(columns)

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [C, H, W]."""
        require_dims("BoundingBox", image, "pictures", 2)
        x, y, width, height = (row[column] for column in self.columns)
        left, top, right, bottom = (round(edge) for edge in (x, y, x + width, y + height))
        rows, cols = image.values.shape[1:]
        if not (0 <= left < right <= cols and 0 <= top < bottom <= rows):
            box = f"x {x:g}, y {y:g}, width {width:g}, height {height:g}"
            raise UnreadableError(f"BoundingBox: {box} is no box inside the picture, {cols} wide and {rows} high")
        affine = None if image.affine is None else image.affine.copy()
        if affine is not None:
            affine[:3, 3] += affine[:3, :2] @ [top, left]
        values = image.values[:, top:bottom, left:right].copy()
        return replace(image, values=values, affine=affine)
