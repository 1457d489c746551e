"""`contrasweep demo`: a whole small sweep on a generated data set."""

from pathlib import Path

from rich.console import Console

from services.spec import LoadedSpec, load_spec
from trainers.atomic import write_atomically
from trainers.data.phantom import write_phantom

SPEC = """\
name: demo
data:
  participants: phantom/participants.tsv
  image: 'stiffness/{participant_id}_stiffness.nii.gz'
  label: age
  transforms:
    - NormalizeIntensity: {nonzero: true}
  split: {test: 0.2, validation: 0.2, stratify: [age, study], seed: 0}
model: {encoder: resnet18, spatial_dims: 3, width: 0.25, head_hidden: 256}
training:
  epochs: 12
  batch_size: 32
  views: 2
  augmentations: {cutout: {}}
  lr: 1.0e-3
search:
  spaces: [dynlocrep, supremix]
  trials: 6
  seeds: [0, 1, 2]
  parallel: 2
  racing: {rungs: [4, 8], finalists: 1}
"""


def write_demo(folder: Path, console: Console) -> LoadedSpec:
    """The demo's spec in `folder`, with the phantom that it sweeps, generated on first use."""
    table = folder / "phantom" / "participants.tsv"
    if not table.exists():
        console.print("generating a phantom of 311 stiffness maps, 5 studies, 2 age modes")
        write_phantom(table.parent)
    write_atomically(folder / "demo.yaml", SPEC.encode())
    return load_spec(folder / "demo.yaml")
