"""`contrasweep init`: a first spec for somebody's own table and scans."""

import csv
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from services.strict_yaml import load_mapping
from trainers.config import DataConfig
from trainers.data.participants import Subject, read_subjects
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
  image: {image}        # relative to the table
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
  gpus_per_worker: 0                    # 1 where there is a GPU
search:
  spaces: [dynlocrep, supremix, exponential, vanilla]
  trials: 12
  seeds: [0, 1, 2]
  racing: {{rungs: [10, 25], finalists: 3}}
budget: {{hours: 8}}
"""


def write_first_spec(path: Path, participants: Path, image: str, label: str) -> None:
    """Write a spec to `path`, fitted to the first scan that can be read.

    Raises UserError where `path` exists, the table or one of the named columns is missing, or no scan is readable.
    """
    if path.exists():
        raise UserError(f"{path}: exists already; give another name, or remove it first")
    subject_id = _id_column(participants, image)
    config = DataConfig(participants=participants.name, id=subject_id, image=image, label=label)
    try:
        subjects, _ = read_subjects(config, participants.parent)
    except UserError as error:  # named as the options are that were given
        raise UserError(f"--{str(error).removeprefix('data.')}") from None
    shape = _first_shape(subjects, participants.parent / image)
    text = SPEC.format(
        title=path.name,
        name=_slug(path.stem),
        participants=_scalar(Path(os.path.relpath(participants, path.parent)).as_posix()),
        id=_scalar(subject_id),
        image=_scalar(image),
        label=_scalar(label),
        transforms=_transforms(shape),
        dims=len(shape) - 1,
        batch=max(2, min(32, len(subjects) // 8 * 2)),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _id_column(participants: Path, image: str) -> str:
    """A column with a subject's usual name, else the first one that the image template uses."""
    header: list[str] = []
    if participants.is_file():
        with participants.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            delimiter = "," if participants.suffix.lower() == ".csv" else "\t"
            header = [name.strip() for name in next(csv.reader(file, delimiter=delimiter), [])]
    used = re.findall(r"{(\w+)}", image)
    return next((column for column in (*ID_COLUMNS, *used) if column in header), (header or [ID_COLUMNS[0]])[0])


def _first_shape(subjects: Sequence[Subject], pattern: Path) -> tuple[int, ...]:
    for subject in subjects:
        try:
            shape = read_shape(subject.path)
        except UnreadableError:
            continue
        if len(shape) - 1 in LONGEST_SIDE:
            return shape
    raise UserError(f"--image: no file like {pattern} can be read as an image of 1 to 3 dimensions")


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
    return "".join(letters).strip("-")[:63] or "study"


def _scalar(text: str) -> str:
    """`text` as YAML, in quotes where it needs them."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./ -]*\w", text) and load_mapping(f"key: {text}", "")["key"] == text
    return text if plain else json.dumps(text, ensure_ascii=False)
