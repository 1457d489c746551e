"""`contrasweep demo`: a whole small sweep on a generated data set."""

from pathlib import Path

from rich.console import Console

from contrasweep.services.screen.waiting import waiting
from contrasweep.services.spec.spec import LoadedSpec, load_spec
from contrasweep.trainers.atomic import placing, write_atomically
from contrasweep.trainers.data.phantom import write_phantom

SUBJECTS = 311
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
        with waiting(console, f"generating {SUBJECTS} stiffness maps"), placing(table.parent) as whole:
            write_phantom(whole, subjects=SUBJECTS)
    write_atomically(folder / "demo.yaml", SPEC.encode())
    loaded = load_spec(folder / "demo.yaml")
    search = loaded.spec.search
    console.print(
        f"contrasweep demo · phantom of {SUBJECTS} stiffness maps, 5 studies, 2 age modes · "
        f"{len(search.spaces)} methods · {search.trials} trials x {len(search.seeds)} seeds",
        soft_wrap=True,
    )
    return loaded
