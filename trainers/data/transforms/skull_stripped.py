"""What an outside tool must have done."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_dims
from contrasweep.trainers.data.transforms.base import Example, Transform
from contrasweep.trainers.parameters import UpToOne

TOOLS = {"bet": "FSL's `bet IN OUT -f 0.5`", "mri_synthstrip": "FreeSurfer's `mri_synthstrip -i IN -o OUT`"}


@register("SkullStripped")
@dataclass(frozen=True, kw_only=True)
class SkullStripped(Transform):
    """Changes nothing: refuses volumes that are visibly not skull-stripped, and names the tools that do it.

    A stripped brain is surrounded by exact zeros: at least `background` of all voxels are zero, and on no face of the
    volume are more than `border` of the voxels anything else, as where a neck runs out of it. Comes before all that
    crops. A brain that was stripped badly passes. SupReMix, B.1.1, strips with FSL BET, fractional intensity 0.5,
    DynLocRep, 4.1, with FreeSurfer.
    """

    example = Example("volume", (4, 32, 32, 32), also_takes=("video",))

    background: UpToOne = 0.3
    border: UpToOne = 0.1

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [C, X, Y, Z]."""
        require_dims("SkullStripped", image, "volumes", 3)
        tissue = (image.values != 0).any(axis=0)
        zero = 1 - tissue.mean()
        faces = [tissue.take(end, axis).mean() for axis in range(3) for end in (0, -1)]
        if zero < self.background or max(faces) > self.border:
            raise UnreadableError(
                f"is not skull-stripped: {zero:.0%} of the voxels are zero, and {max(faces):.0%} of one face are not; "
                f"strip it with {_tools()}"
            )
        return image


def _tools() -> str:
    """The tools, and whether each is on this machine's PATH."""
    found = {tool: "found" if shutil.which(tool) else "not found" for tool in TOOLS}
    return " or ".join(f"{command} ({found[tool]} on PATH)" for tool, command in TOOLS.items())
