"""`contrasweep init`: a first spec for somebody's own table and scans."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from services import recipes
from services.complaints import complaint
from services.recipes import Recipe
from services.spec.spec import LoadedSpec, parse_spec
from services.spec.yaml import load_mapping
from trainers.config import DataConfig
from trainers.data.participants import Subject, read_subjects
from trainers.data.readers import UnreadableError, read, read_header
from trainers.data.table import read_table
from trainers.errors import UserError

ID_COLUMNS = ("participant_id", "subject_id", "patient_id", "subject", "patient", "case_id", "case", "mrn", "id")
SPACES = ("dynlocrep", "supremix", "exponential", "vanilla")
"""Without a second view, supremix has only equal labels to attract, and there may be none."""
LONGEST_SIDE = {1: 512, 2: 224, 3: 96}

SPEC = """\
# {title}: what to run. Where it runs is settings (CONTRASWEEP_*), so this file means the same everywhere.
{about}name: {name}
data:
{source}
  label: {label}
  # group: sex                          # pairs are formed only inside a group
{data}
  split: {{test: 0.2, validation: 0.2, stratify: [{label}], seed: 0}}
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
  racing: {{rungs: [10, 25], finalists: 3}}
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
    path: Path, given: Mapping[str, str], recipe: str | None = None, values: Mapping[str, str] | None = None
) -> None:
    """Write a spec to `path`, fitted to the first scan that can be read, or with the parts that a recipe decides.

    `given` are fields of the spec's `data`, their paths relative to this folder; `values` fill the recipe's blanks.
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
        subjects, _ = read_subjects(config, Path())
    first, shape = _first(subjects, config)
    text = _written(path, config, len(subjects), Recipe.parse(filled or _plain(shape)))
    path.parent.mkdir(parents=True, exist_ok=True)
    loaded = LoadedSpec(parse_spec(text, str(path)), path, path.resolve().parent)
    if recipe is not None:
        _check_suits(recipe, loaded, first)
    path.write_text(text, encoding="utf-8")


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
            fields |= _who(Path(fields["participants"]), fields["image"])
    try:
        return DataConfig.model_validate(fields)
    except ValidationError as error:
        raise UserError(f"init: {complaint(error, DataConfig)}") from error


def _written(path: Path, config: DataConfig, count: int, recipe: Recipe) -> str:
    return SPEC.format(
        title=path.name,
        name=_slug(path.stem),
        source=_source(config, path.parent),
        label=_scalar(config.label),
        batch=max(2, min(32, count // 8 * 2)),
        about=recipe.about,
        data=recipe.data,
        model=recipe.model,
        training=recipe.training,
        spaces=", ".join(SPACES if "views: 2" in recipe.training else [one for one in SPACES if one != "supremix"]),
    )


def _source(config: DataConfig, folder: Path) -> str:
    if config.bids is not None:
        return BIDS.format(bids=_scalar(_relative(config.bids, folder)), suffix=_scalar(str(config.suffix)))
    participants = _scalar(_relative(config.table, folder))
    session = f"\n  session: {_scalar(config.session)}        # tells a subject's scans apart" if config.session else ""
    who = f"{_scalar(config.id)}{session}"
    return TABLE.format(participants=participants, id=who, image=_scalar(str(config.image)))


def _relative(path: str, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _check_suits(recipe: str, loaded: LoadedSpec, first: Subject) -> None:
    """The spec is valid, and the recipe makes of the first scan what its encoder takes."""
    from services.spec.checks import check_image_shape, check_spec
    from trainers.data.transforms import build_transforms

    check_spec(loaded)
    pipeline = build_transforms(loaded.spec.data.transforms, loaded.base)
    try:
        shape = pipeline(read(first.path, loaded.spec.data.affine), first.numbers).shape
    except UnreadableError as error:
        raise UserError(f"--recipe: {recipe} does not suit {first.path}: {error}") from error
    check_image_shape(loaded, shape)


def _who(participants: Path, image: str) -> dict[str, str]:
    """The column of a subject's id, by its usual names or from the template; and of sessions, where ids repeat."""
    table = read_table(participants, "data.participants")
    used = [column for column in re.findall(r"{(\w+)}", image) if column in table.columns]
    named = [column for name in ID_COLUMNS for column in table.columns if column.lower() == name]
    who = next(iter((*named, *used)), table.columns[0])
    ids = [row.cells[who] for row in table.rows]
    others = [column for column in used if column != who]
    return {"id": who, "session": others[0]} if len(set(ids)) < len(ids) and others else {"id": who}


def _first(subjects: Sequence[Subject], config: DataConfig) -> tuple[Subject, tuple[int, ...]]:
    """The first scan that can be read, and its shape (C, *S)."""
    for subject in subjects:
        try:
            shape = read_header(subject.path, config.affine).shape
        except UnreadableError:
            continue
        if len(shape) - 1 in LONGEST_SIDE:
            return subject, shape
    what = f"--image: no file like {config.image}" if config.bids is None else f"--suffix: no {config.suffix} image"
    raise UserError(f"{what} can be read as an image of 1 to 3 dimensions")


def _plain(shape: tuple[int, ...]) -> str:
    """What is written without a recipe, for images (C, *S)."""
    spatial = shape[1:]
    longest = LONGEST_SIDE[len(spatial)]
    lines = []
    if max(spatial) > longest and len(spatial) > 1:
        size = [max(1, round(side * longest / max(spatial))) for side in spatial]
        lines = [f"    - Resize: {{spatial_size: {size}}}"]
    lines.append("    - NormalizeIntensity: {nonzero: true}")
    return PLAIN.format(transforms="\n".join(lines), dims=len(spatial))


def _slug(stem: str) -> str:
    letters = (letter if letter.isalnum() and letter.isascii() else "-" for letter in stem.lower())
    return "".join(letters).strip("-")[:63] or "study"


def _scalar(text: str) -> str:
    """`text` as YAML, in quotes where it needs them."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./ -]*\w", text) and load_mapping(f"key: {text}", "")["key"] == text
    return text if plain else json.dumps(text, ensure_ascii=False)
