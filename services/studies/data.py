"""What a study is run on: a phantom that is generated once, slices of a public data set, or the data of a spec."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from contrasweep.services.spec.spec import load_spec
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.services.studies.compile import DataSpec
from contrasweep.services.studies.study import PHANTOM
from contrasweep.trainers.atomic import placing
from contrasweep.trainers.data.phantom import write_phantom
from contrasweep.trainers.errors import UserError, nearest

SOOP = "soop"
SUBJECTS, SHAPE = 311, (16, 20, 16)
LARGEST_BATCH = 128
"""Fewer than either of the two trains on."""
_PHANTOM = """\
data:
  participants: participants.tsv
  image: 'stiffness/{participant_id}_stiffness.nii.gz'
  label: age
  unit: years
  transforms:
    - NormalizeIntensity: {nonzero: true}
  split: {test: 0.2, validation: 0.2, stratify: [age, study], seed: 0}
model: {encoder: resnet18, encoder_params: {}, spatial_dims: 3, width: 0.25, head_hidden: 256}
training: {epochs: 12, batch_size: 32, augmentations: {cutout: {}}, lr: 1.0e-3, ema: null}
"""
_SOOP = """\
data:
  participants: participants.tsv
  id: subject_id
  image: flair_slices/{subject_id}_flair3plane.png
  label: age
  unit: years
  transforms:
    - SideBySide: {widths: [162, 182, 159]}
    - Resize: {spatial_size: [64, 62]}
    - NormalizeIntensity: {nonzero: true}
  split: {test: 0.2, validation: 0.2, stratify: [age], seed: 0}
model: {encoder: resnet18, encoder_params: {}, spatial_dims: 2, width: 0.25, head_hidden: 256}
training: {epochs: 12, batch_size: 32, augmentations: {cutout: {}}, lr: 1.0e-3, ema: null}
"""
_WHERE = (
    "the slices are in github.com/neurolabusc/StrokeOutcomeOptimizationProjectDemo (OpenNeuro ds004889, CC0); put "
    "participants.tsv and flair_slices/ there, or name their folder: --data soop=FOLDER"
)

Saying = Callable[[str], AbstractContextManager[object]]
"""Shows words for as long as a block."""


def data_named(name: str, home: Path, saying: Saying) -> DataSpec:
    """The spec of the data called `phantom`, `soop`, `soop=FOLDER`, or in a file of that name.

    The phantom is generated into `home` on first use. Raises UserError where the data are not there.
    """
    if name == PHANTOM:
        return _phantom(home / "phantom", saying)
    kind, _, folder = name.partition("=")
    if kind == SOOP:
        return _soop(Path(folder).expanduser() if folder else home / "soop")
    if not Path(name).exists():
        raise UserError(f"--data: no such file: '{name}'; {nearest(kind, (PHANTOM, SOOP))}, or a spec")
    loaded = load_spec(name)
    return DataSpec(load_mapping(loaded.path.read_bytes(), name), name, loaded.base)


def _phantom(folder: Path, saying: Saying) -> DataSpec:
    if not (folder / "participants.tsv").exists():
        with saying(f"generating {SUBJECTS} stiffness maps"), placing(folder) as whole:
            write_phantom(whole, subjects=SUBJECTS, shape=SHAPE)
    return DataSpec(load_mapping(_PHANTOM, PHANTOM), PHANTOM, folder, LARGEST_BATCH)


def _soop(folder: Path) -> DataSpec:
    for part in ("participants.tsv", "flair_slices"):
        if not (folder / part).exists():
            raise UserError(f"--data: {folder} has no {part}; {_WHERE}")
    return DataSpec(load_mapping(_SOOP, SOOP), SOOP, folder.resolve(), LARGEST_BATCH)
