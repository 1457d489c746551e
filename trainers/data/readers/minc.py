"""MINC volumes through nibabel; those of MINC 2 where h5py is installed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers._orient import to_ras
from contrasweep.trainers.data.readers.base import Header, Image, check_shape

HDF5 = b"\x89HDF\r\n\x1a\n"
NETCDF = b"CDF"
SPACE = ("xspace", "yspace", "zspace")
TIME = "time"

Values = Callable[[Any], NDArray[Any]]
"""What takes the values of a file as nibabel has it."""


@register(".mnc")
class Minc:
    """[1, X, Y, Z], or [T, X, Y, Z] where there is an axis of time, axes in the closest RAS+ order.

    Values are real ones: scaled by the minimum and maximum of each slice or of the image. MINC 2 needs h5py.
    """

    def read(self, path: Path) -> Image:
        """Scaled values."""
        return _opened(path, lambda minc: np.array(minc.get_scaled_data()))

    def header(self, path: Path) -> Header:
        """(1 or T, X, Y, Z) after reorienting."""
        image = _opened(path, lambda minc: np.broadcast_to(np.float32(0), minc.get_data_shape()))  # takes no memory
        return Header(shape=image.values.shape, affine=image.affine, orientation=image.orientation, step_s=image.step_s)

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """Slices of bytes from the lowest up, each scaled by its own range."""
        from nibabel.externals.netcdf import netcdf_file

        with netcdf_file(str(path), "w") as file:
            for name, length in zip(reversed(SPACE), (4, 5, 6), strict=True):
                file.createDimension(name, length)
                axis = file.createVariable(name, "i", ())
                axis.spacing, axis.step, axis.start = b"regular__", 1.5, -3.0
            image = file.createVariable("image", "b", tuple(reversed(SPACE)))
            image.signtype, image.valid_range = b"unsigned", np.array([0.0, 255.0])
            image[:] = np.arange(120, dtype=np.int8).reshape(4, 5, 6)
            for name, scale in (("image-min", 0.0), ("image-max", 1.0)):
                file.createVariable(name, "d", ("zspace",))[:] = scale * np.arange(1, 5)
        return 1, 6, 5, 4


def _opened(path: Path, values: Values) -> Image:
    """The image, of the `values` of the file as nibabel has it."""
    with path.open("rb") as file:
        start = file.read(len(HDF5))
    if start == HDF5:
        return _minc2(path, values)
    if start.startswith(NETCDF):
        return _minc1(path, values)
    raise UnreadableError("is no MINC file")


def _minc1(path: Path, values: Values) -> Image:
    """The file is mapped into memory, so that a header which claims too much allocates nothing."""
    from nibabel.externals.netcdf import netcdf_file
    from nibabel.minc1 import Minc1File

    with netcdf_file(str(path), mmap=True) as file:
        if "image" not in file.variables:
            raise UnreadableError("is a netCDF file without an image of MINC")
        axes = file.variables["image"].dimensions
        _check_axes(axes)
        step_s = getattr(file.variables.get(TIME), "step", None)
        return _placed(Minc1File(file), axes, step_s, values)


def _minc2(path: Path, values: Values) -> Image:
    from nibabel.minc2 import Minc2File
    from nibabel.optpkg import optional_package

    h5py, found, _ = optional_package("h5py")
    if not found:
        raise UnreadableError("is a MINC 2 file, which needs h5py: pip install h5py")
    with h5py.File(path, "r") as file:
        image = file["minc-2.0/image/0/image"]
        axes = image.attrs["dimorder"].decode().split(",")[: len(image.shape)]
        _check_axes(axes)
        step_s = file[f"minc-2.0/dimensions/{TIME}"].attrs.get("step") if TIME in axes else None
        return _placed(Minc2File(file), axes, step_s, values)


def _check_axes(axes: Sequence[str]) -> None:
    if set(axes) - {TIME} != set(SPACE) or len(axes) != len(set(axes)):
        raise UnreadableError(f"has axes {', '.join(axes)}; allowed: {', '.join(SPACE)}, and {TIME}")


def _placed(minc: Any, axes: Sequence[str], step_s: Any, values: Values) -> Image:
    """Values with the file's `axes`, time last, where the file says that they lie."""
    check_shape(minc.get_data_shape())
    volume = values(minc)
    if TIME in axes:
        volume = np.moveaxis(volume, axes.index(TIME), -1)
    image = to_ras(volume, minc.get_affine())
    return replace(image, step_s=float(step_s) if TIME in axes and step_s is not None and step_s > 0 else None)
