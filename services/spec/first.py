"""`contrasweep init`: a first spec for somebody's own table and scans."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from contrasweep.services import recipes
from contrasweep.services.complaints import complaint
from contrasweep.services.recipes import Recipe
from contrasweep.services.spec.spec import LoadedSpec, parse_spec
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.services.text import first_few
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.bids import list_bids
from contrasweep.trainers.data.listing import list_table
from contrasweep.trainers.data.participants import Rejected, Subject, read_subjects
from contrasweep.trainers.data.people import FEWEST_PEOPLE, names_people
from contrasweep.trainers.data.readers import UnreadableError, read, read_header
from contrasweep.trainers.data.table import check_columns, is_missing, read_table
from contrasweep.trainers.data.template import ImageTemplate
from contrasweep.trainers.data.volume import MOST_CHANNELS, channel_axis, idle_axis, taken_as
from contrasweep.trainers.errors import UserError

ID_COLUMNS = (
    *("participantid", "subjectid", "patientid", "oasisid", "ptid", "rid", "eid", "subid", "subject", "participant"),
    *("patient", "caseid", "case", "mrn", "id"),
)
"""Usual names of the column that says whose a scan is, letters and digits alone."""
SPLIT_WORDS = {
    "train": ("train", "training", "trn"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "tst", "internaltest", "eval", "evaluation", "heldout", "holdout"),
}
SPACES = ("dynlocrep", "supremix", "exponential", "vanilla")
"""Without a second view, supremix has only equal labels to attract, and there may be none."""
LONGEST_SIDE = {1: 512, 2: 224, 3: 96}

SPEC = """\
# {title}: what to run. Where it runs is settings (CONTRASWEEP_*), so this file means the same everywhere.
{about}name: {name}
data:
{source}
  label: {label}
  {group}        # pairs are formed only inside a group
{data}
  split: {split}
{model}
training:
  epochs: 50
  batch_size: {batch}
{training}
  lr: 1.0e-3
  workers: 1
  gpus_per_worker: 0                    # 1 where there is a GPU
search:
  spaces: [{spaces}]
  trials: 12
  seeds: [0, 1, 2]
  racing: {{rungs: [10, 25], finalists: 3, judged_on: fresh}}
budget: {{hours: 8}}
"""

TABLE = """\
  participants: {participants}        # relative to this file
  id: {id}
  image: {image}        # relative to the table"""

BIDS = """\
  bids: {bids}        # relative to this file
  suffix: {suffix}
  # entities: {{task: rest}}              # where several images of a subject have the suffix"""

PLAIN = """\
data:
  transforms:                           # ours (contrasweep explain) and MONAI's, by name; run once, kept in the store
{transforms}
model: {{encoder: resnet18, spatial_dims: {dims}, width: 0.5}}
training:
  views: 2
  augmentations: {{cutout: {{}}}}
"""


def write_first_spec(
    path: Path,
    given: Mapping[str, str],
    recipe: str | None = None,
    values: Mapping[str, str] | None = None,
    split_column: str | None = None,
) -> str:
    """Write a spec to `path`, fitted to the first scan that can be read, or with the parts that a recipe decides.

    `given` are fields of the spec's `data`, their paths relative to this folder; `values` fill the recipe's blanks;
    `split_column` has the published split. Returns what was decided that was not asked for, in a line.
    Raises UserError where `path` exists, the table or one of the named columns is missing, no scan is readable, or
    the recipe does not suit the first that is.
    """
    if path.exists():
        raise UserError(f"{path}: exists already; give another name, or remove it first")
    if values and recipe is None:
        raise UserError(f"--set: {', '.join(values)} is for a recipe; name it with --recipe")
    filled = recipes.fill(recipe, _from(path.parent, values or {})) if recipe is not None else None
    config = _config(given)
    with _naming_options():
        subjects, rejected = read_subjects(config, Path())
        split, elsewhere = _split(config, split_column)
    first, shape = _first(subjects, rejected, config)
    text = _written(path, config, len(subjects), Recipe.parse(filled or _plain(shape, first.path)), split)
    path.parent.mkdir(parents=True, exist_ok=True)
    loaded = LoadedSpec(parse_spec(text, str(path)), path, path.resolve().parent)
    if recipe is not None:
        _check_suits(recipe, loaded, first)
    path.write_text(text, encoding="utf-8")
    axes = _axes_said(first.path, shape) if recipe is None else ""
    return "; ".join(filter(None, (_who_said(config, given, subjects), elsewhere, axes)))


def _axes_said(path: Path, shape: Sequence[int]) -> str:
    taken, few = taken_as(path, shape), len(shape) == 2 and shape[0] <= MOST_CHANNELS
    return f"images are taken as {taken}" if taken and not few and channel_axis(path, shape) is None else ""


def _who_said(config: DataConfig, given: Mapping[str, str], subjects: Sequence[Subject]) -> str:
    if config.bids is not None or "id" in given:
        return ""
    people = len({subject.subject for subject in subjects})
    scans = f", {config.session} tells their {len(subjects)} scans apart" if config.session is not None else ""
    return f"{config.id} says whose a scan is: {people} people{scans}; --id names another column"


def _split(config: DataConfig, column: str | None) -> tuple[str, str]:
    """The split as YAML: by fractions, or by the values of a column that mean train, validation and test; and a word on
    its other values.
    """
    if column is None:
        return f"{{test: 0.2, validation: 0.2, stratify: [{_scalar(config.label)}], seed: 0}}", ""
    listing = list_table(config, Path()) if config.bids is None else list_bids(config, Path())
    check_columns(listing.name, listing.columns, [("data.split-column", column)])
    values = sorted({scan.row[column] for scan in listing.scans if scan.row and not is_missing(scan.row[column])})
    meant = {name: [value for value in values if _squeezed(value) in words] for name, words in SPLIT_WORDS.items()}
    if not meant["train"] or not meant["test"]:
        found = ", ".join(map(repr, values[:10]))
        raise UserError(
            f"data.split-column: '{column}' holds {found}: none means {'test' if meant['train'] else 'train'}; "
            "write data.split with the values of train, validation and test by hand"
        )
    lists = [f"{name}: [{', '.join(map(_scalar, values))}]" for name, values in meant.items() if values]
    others = [repr(value) for value in values if not any(value in of for of in meant.values())]
    elsewhere = f"scans with {first_few(others)} in '{column}' are in no split" if others else ""
    return f"{{column: {_scalar(column)}, {', '.join(lists)}}}", elsewhere


def _squeezed(name: str) -> str:
    """Letters and digits alone, in lower case: `Patient ID` and `patient_id` are one."""
    return re.sub(r"[\W_]", "", name.lower())


def _from(folder: Path, values: Mapping[str, str]) -> dict[str, str]:
    """The values as YAML, those that are files here relative to `folder`."""
    return {key: _scalar(_relative(value, folder)) if Path(value).is_file() else value for key, value in values.items()}


@contextmanager
def _naming_options() -> Iterator[None]:
    """Errors name the options that were given, not the spec's fields."""
    try:
        yield
    except UserError as error:
        raise UserError(f"--{str(error).removeprefix('data.')}") from None


def _config(given: Mapping[str, str]) -> DataConfig:
    fields = dict(given)
    if "participants" in fields and "image" in fields:
        with _naming_options():
            fields = {**_who(Path(fields["participants"]), fields["image"], fields.get("id")), **fields}
    try:
        return DataConfig.model_validate(fields)
    except ValidationError as error:
        raise UserError(f"init: {complaint(error, DataConfig)}") from error


def _written(path: Path, config: DataConfig, scans: int, recipe: Recipe, split: str) -> str:
    return SPEC.format(
        split=split,
        group="# group: sex                  " if config.group is None else f"group: {_scalar(config.group)}",
        title=path.name,
        name=_slug(path.stem),
        source=_source(config, path.parent),
        label=_scalar(config.label),
        batch=max(2, min(32, scans // 8 * 2)),
        about=recipe.about,
        data=recipe.data,
        model=recipe.model,
        training=recipe.training,
        spaces=", ".join(SPACES if "views: 2" in recipe.training else [one for one in SPACES if one != "supremix"]),
    )


def _source(config: DataConfig, folder: Path) -> str:
    if config.bids is not None:
        named = f"\n  participants: {_scalar(_relative(config.participants, folder))}" if config.participants else ""
        who = "" if config.id == "participant_id" else f"\n  id: {_scalar(config.id)}"
        session = f"\n  session: {_scalar(config.session)}" if config.session else ""
        where = BIDS.format(bids=_scalar(_relative(config.bids, folder)), suffix=_scalar(str(config.suffix)))
        return f"{where}{named}{who}{session}"
    participants = _scalar(_relative(config.listed_in, folder))
    session = f"\n  session: {_scalar(config.session)}        # tells a subject's scans apart" if config.session else ""
    who = f"{_scalar(config.id)}{session}"
    return TABLE.format(participants=participants, id=who, image=_scalar(str(config.image)))


def _relative(path: str, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _check_suits(recipe: str, loaded: LoadedSpec, first: Subject) -> None:
    """The spec is valid, and the recipe makes of the first scan what its encoder takes."""
    from contrasweep.services.spec.checks import check_image_shape, check_spec
    from contrasweep.trainers.data.transforms import build_transforms

    check_spec(loaded)
    pipeline = build_transforms(loaded.spec.data.transforms, loaded.base)
    try:
        shape = pipeline(read(first.path, loaded.spec.data.affine), first.numbers).shape
    except UnreadableError as error:
        raise UserError(f"--recipe: {recipe} does not suit {first.path}: {error}") from error
    check_image_shape(loaded, shape)


def _who(participants: Path, image: str, named: str | None) -> dict[str, str]:
    """The column that says whose a scan is, and the one that tells a person's scans apart, where ids repeat.

    That is a column of a usual name; else one that names people and repeats, as the one that names the image would
    put a person on both sides of a split; else the template's first.
    """
    table = read_table(participants, "data.participants")
    used = [column for column in ImageTemplate.parse(image, Path()).columns if column in table.columns]
    cells = {column: [row.cells[column] for row in table.rows] for column in table.columns}
    usual = [column for name in ID_COLUMNS for column in table.columns if _squeezed(column) == name]
    repeating = [column for column in usual if _people(cells[column]) < len(table.rows)]
    coarser = [c for c in table.columns if names_people(c) and FEWEST_PEOPLE <= _people(cells[c]) < len(table.rows)]
    coarser.sort(key=lambda column: -_people(cells[column]))  # people before families
    who = named or next(iter((*repeating, *coarser, *usual, *used)), table.columns[0])
    others = [column for column in used if column != who]
    repeats = _people(cells.get(who, [])) < len(table.rows)
    return {"id": who, "session": others[0]} if repeats and others else {"id": who}


def _people(cells: Sequence[str]) -> int:
    return len(set(cells))


def _first(
    subjects: Sequence[Subject], rejected: Sequence[Rejected], config: DataConfig
) -> tuple[Subject, tuple[int, ...]]:
    """The first scan that can be read, and its shape (C, *S)."""
    reasons = []
    for subject in subjects:
        try:
            shape = read_header(subject.path, config.affine).shape
        except UnreadableError as error:
            reasons.append(f"{subject.path}: {error}")
            continue
        if len(shape) - 1 in LONGEST_SIDE or (len(shape) == 5 and idle_axis(shape) is not None):
            return subject, shape
        reasons.append(f"{subject.path}: has {len(shape) - 1} dimensions beside its channels, {list(shape)}")
    what = f"--image: no file like {config.image}" if config.bids is None else f"--suffix: no {config.suffix} image"
    reasons += [f"{one.subject}: {one.reason}{f' ({one.path})' if one.path else ''}" for one in rejected[:1]]
    first = f"; first: {reasons[0]}" if reasons else ""
    raise UserError(f"{what} can be read as an image of 1 to 3 dimensions{first}")


def _plain(shape: tuple[int, ...], path: Path) -> str:
    """What is written without a recipe, for images (C, *S) like the one in `path`."""
    lines = []
    if (idle := idle_axis(shape)) is not None:
        lines.append(f"    - SqueezeDim: {{dim: {idle}}}              # an axis of length 1 that says nothing")
        shape = tuple(np.delete(shape, idle).tolist())
    axis, spatial = channel_axis(path, shape), shape[1:]
    if axis is not None:
        said = f"# {list(shape)} as {'a volume' if axis == 'no_channel' else 'channels last'}; 0: channels first"
        lines.append(f"    - EnsureChannelFirst: {{channel_dim: {axis}}}    {said}")
        spatial = shape[:-1] if axis == -1 else shape
    longest = LONGEST_SIDE[len(spatial)]
    if max(spatial) > longest and len(spatial) > 1:
        size = [max(1, round(side * longest / max(spatial))) for side in spatial]
        lines.append(f"    - Resize: {{spatial_size: {size}}}")
    lines.append("    - NormalizeIntensity: {nonzero: true}")
    return PLAIN.format(transforms="\n".join(lines), dims=len(spatial))


def _slug(stem: str) -> str:
    letters = (letter if letter.isalnum() and letter.isascii() else "-" for letter in stem.lower())
    return "".join(letters).strip("-")[:63] or "study"


def _scalar(text: str) -> str:
    """`text` as YAML, in quotes where it needs them."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./ -]*\w", text) and load_mapping(f"key: {text}", "")["key"] == text
    return text if plain else json.dumps(text, ensure_ascii=False)
