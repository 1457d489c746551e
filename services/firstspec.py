"""`contrasweep init`: a first spec for somebody's own table and scans."""

import csv
from pathlib import Path

from trainers.data.participants import MISSING
from trainers.data.readers import UnreadableError, read_shape
from trainers.errors import UserError

ID_COLUMNS = ("participant_id", "subject_id", "subject", "id")
LONGEST_SIDE = {1: 512, 2: 224, 3: 96}

SPEC = """\
# {title}: what to run. Where it runs is settings (CONTRASWEEP_*), so this file means the same everywhere.
name: {name}
data:
  participants: {participants}        # relative to this file
  id: {id}
  image: '{image}'        # relative to the table
  label: {label}
  # group: sex                          # pairs are formed only inside a group
  transforms:                           # MONAI, by name; run once, kept in the volume store
{transforms}
  split: {{test: 0.2, validation: 0.2, stratify: [{label}], seed: 0}}
model: {{encoder: resnet18, spatial_dims: {dims}, width: 0.5}}
training:
  epochs: 50
  batch_size: {batch}
  views: 2
  augmentations: {{cutout: {{}}}}
  lr: 1.0e-3
  workers: 1
  gpus_per_worker: {gpus}
search:
  spaces: [dynlocrep, supremix, exponential, vanilla]
  trials: 12
  seeds: [0, 1, 2]
  racing: {{rungs: [10, 25], finalists: 3}}
budget: {{hours: 8}}
"""


def write_first_spec(path: Path, participants: Path, image: str, label: str, gpus: int) -> None:
    """Write a spec to `path`, fitted to the first scan that can be read.

    Raises UserError where `path` exists, the table is missing, or it names no readable scan.
    """
    if path.exists():
        raise UserError(f"{path}: exists already; give another name, or remove it first")
    if not participants.is_file():
        raise UserError(f"--participants: no such file: {participants}")
    rows = _rows(participants)
    shape = _first_shape(rows, participants.parent, image)
    text = SPEC.format(
        title=path.name,
        name=_slug(path.stem),
        participants=_relative(participants, path),
        id=next((column for column in ID_COLUMNS if column in rows[0]), next(iter(rows[0]))),
        image=image,
        label=label,
        transforms=_transforms(shape),
        dims=len(shape) - 1,
        batch=max(2, min(32, sum(row.get(label, "").lower() not in MISSING for row in rows) // 8 * 2)),
        gpus=gpus,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _rows(participants: Path) -> list[dict[str, str]]:
    with participants.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter="," if participants.suffix.lower() == ".csv" else "\t"))
    if not rows:
        raise UserError(f"--participants: {participants} has no rows")
    return rows


def _first_shape(rows: list[dict[str, str]], folder: Path, image: str) -> tuple[int, ...]:
    for row in rows:
        try:
            return read_shape(folder / image.format(**row))
        except KeyError as error:
            raise UserError(f"--image: the table has no column {error}; it has {', '.join(rows[0])}") from None
        except (ValueError, IndexError) as error:
            raise UserError(f"--image: '{image}' is no template: {error}; write columns as {{name}}") from None
        except (OSError, UnreadableError):
            continue
    raise UserError(f"--image: none of the {len(rows)} files can be read; the first is {folder / image.format(**rows[0])}")


def _transforms(shape: tuple[int, ...]) -> str:
    spatial = shape[1:]
    longest = LONGEST_SIDE[len(spatial)]
    lines = []
    if max(spatial) > longest and len(spatial) > 1:
        size = [max(1, round(side * longest / max(spatial))) for side in spatial]
        lines = [f"    - Resize: {{spatial_size: {size}}}"]
    return "\n".join([*lines, "    - NormalizeIntensity: {nonzero: true}"])


def _slug(stem: str) -> str:
    letters = (letter if letter.isalnum() and letter.isascii() else "-" for letter in stem.lower())
    return "".join(letters).strip("-") or "study"


def _relative(target: Path, spec: Path) -> str:
    resolved, base = target.resolve(), spec.resolve().parent
    return str(resolved.relative_to(base)) if resolved.is_relative_to(base) else str(resolved)
