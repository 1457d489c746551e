"""`contrasweep init`: a first spec for somebody's own table and scans."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contrasweep.services import recipes
from contrasweep.services.complaints import complaint, naming_options
from contrasweep.services.recipes import Recipe
from contrasweep.services.spec import decide
from contrasweep.services.spec.decide import GOOD, Line, Search
from contrasweep.services.spec.look import HOURS, WIDE, Found, Machine, Seen, Shape, look, this_machine
from contrasweep.services.spec.spec import LoadedSpec, parse_spec
from contrasweep.services.spec.study import Draft, Split, Study, relative, scalar, written
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.services.text import first_few
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.config import DataConfig, ModelConfig, TrainingConfig
from contrasweep.trainers.data.bids import list_bids
from contrasweep.trainers.data.listing import list_table
from contrasweep.trainers.data.participants import Subject, read_subjects
from contrasweep.trainers.data.people import FEWEST_PEOPLE, names_people
from contrasweep.trainers.data.readers import UnreadableError, read
from contrasweep.trainers.data.table import check_columns, is_missing, read_table
from contrasweep.trainers.data.template import ImageTemplate
from contrasweep.trainers.data.volume import MOST_CHANNELS, channel_axis, taken_as
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
TRANSFORMS = Line("transforms:", "ours (contrasweep explain) and MONAI's; run once, kept in the store")
VIEWS = Line("# - SideBySide: {widths: [...]}", "first, where views lie side by side: columns of each")

StepSeconds = Callable[[ModelConfig, TrainingConfig, Shape], float]
"""What a training step takes: see `trainers.rehearsal.step_seconds`."""


def write_first_spec(
    path: Path,
    given: Mapping[str, Any],
    recipe: str | None = None,
    values: Mapping[str, str] | None = None,
    split_column: str | None = None,
    hours: float = HOURS,
    machine: Machine | None = None,
    step_seconds: StepSeconds | None = None,
) -> list[str]:
    """Write a spec to `path`, fitted to the table, to some of its scans and to this machine, with the reasons.

    `given` are fields of the spec's `data`, their paths relative to this folder; `values` fill the blanks of the
    recipe, which decides its own parts; `split_column` has the published split; the search is to take `hours`. What is
    not said of the machine, or of what a training step takes there, is measured.

    Returns what was seen and decided, a line each. Raises UserError where `path` exists, the table or one of the named
    columns is missing, no scan is readable, the recipe does not suit the first that is, or `path` cannot be written.
    """
    if path.exists():
        raise UserError(f"{path}: exists already; give another name, or remove it first")
    if values and recipe is None:
        raise UserError(f"--set: {', '.join(values)} is for a recipe; name it with --recipe")
    filled = recipes.fill(recipe, _from(path.parent, values or {})) if recipe is not None else None
    config = _config(given)
    with naming_options():
        subjects, rejected = read_subjects(config, Path())
        split, elsewhere = _split(config, split_column)
    found = look(subjects, rejected, config, machine or this_machine(), hours, folds=not split.validates)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if filled is None:
        drafts = [_plain(found, longest) for longest in decide.sides(found.seen)]
    else:
        drafts = [_of_recipe(str(recipe), filled, found, config, path.resolve().parent)]
    study = Study(config, found, *_fitting(found.seen, drafts, step_seconds or _measured), split, tuple(rejected))
    text = study.written(path)
    loaded = LoadedSpec(parse_spec(text, str(path)), path, path.resolve().parent)
    if recipe is not None:
        _check(loaded, study.draft.shape)
    with _writing(path):
        write_atomically(path, text.encode())
    axes = _axes_said(found.first.path, found.raw) if recipe is None else ""
    who = _who_said(config, given, subjects)
    return [line for line in (who, elsewhere, axes, *study.told(recipe)) if line]


def _measured(network: ModelConfig, training: TrainingConfig, shape: Shape) -> float:
    from contrasweep.trainers.rehearsal import step_seconds

    return step_seconds(network, training, shape)


def _fitting(seen: Seen, drafts: Sequence[Draft], step_seconds: StepSeconds) -> tuple[Draft, Search]:
    """The first of the drafts that can be searched well in the hours; else the last."""
    for draft in drafts:
        fields = decide.training(seen, draft.network, draft.shape, draft.views)
        values = {name: choice.value for name, choice in fields.items()}
        training = TrainingConfig.model_validate(values | load_mapping(draft.training, ""))
        step_s = step_seconds(draft.network, training, draft.shape)
        search = decide.search(seen, fields, draft.shape, draft.views, step_s)
        if search.effort in GOOD:
            break
    return draft, search


def _plain(found: Found, longest: int | None) -> Draft:
    """What is written without a recipe, no side of the images above the longest."""
    seen = found.seen
    prepared = decide.prepare(seen, longest)
    steps = [Line(f"- {one.text}", one.why) for one in (*(Line(*axis) for axis in found.axes), *prepared.transforms)]
    if steps and seen.dims == 2 and seen.shape[2] > WIDE * seen.shape[1]:
        steps.insert(0, VIEWS)
    data = [written(TRANSFORMS, 2), *(written(step, 4) for step in steps)] if steps else []
    data += [written(line, 2) for line in prepared.data]
    training = [written(line, 2) for line in decide.augmentations(seen)]
    return Draft("", "\n".join(data), written(decide.model(seen), 0), "\n".join(training), prepared.shape)


def _of_recipe(name: str, filled: str, found: Found, config: DataConfig, base: Path) -> Draft:
    """What a recipe decides. Raises UserError where it does not suit the first scan."""
    from contrasweep.trainers.data.transforms import build_transforms

    parts, first = Recipe.parse(filled), found.first
    pipeline = build_transforms(load_mapping(filled, "")["data"]["transforms"], base)
    try:
        shape = pipeline(read(first.path, config.affine), first.numbers).shape
    except UnreadableError as error:
        raise UserError(f"--recipe: {name} does not suit {first.path}: {error}") from error
    return Draft(parts.about, parts.data, parts.model, parts.training, (shape[0] * found.seen.images, *shape[1:]))


def _check(loaded: LoadedSpec, shape: Shape) -> None:
    """The spec is valid, and suits what a recipe makes of the first scan."""
    from contrasweep.services.spec.checks import check_image_shape, check_spec

    check_spec(loaded)
    check_image_shape(loaded, shape)


def _axes_said(path: Path, shape: Sequence[int]) -> str:
    taken, few = taken_as(path, shape), len(shape) == 2 and shape[0] <= MOST_CHANNELS
    return f"images are taken as {taken}" if taken and not few and channel_axis(path, shape) is None else ""


def _who_said(config: DataConfig, given: Mapping[str, Any], subjects: Sequence[Subject]) -> str:
    if config.bids is not None or "id" in given:
        return ""
    people = len({subject.subject for subject in subjects})
    scans = f", {config.session} tells their {len(subjects)} scans apart" if config.session is not None else ""
    return f"{config.id} says whose a scan is: {people} people{scans}; --id names another column"


def _split(config: DataConfig, column: str | None) -> tuple[Split, str]:
    """The split: by fractions, or by the values of a column that mean train, validation and test; and a word on its
    other values.
    """
    if column is None:
        return Split(("test: 0.2",), (f"stratify: [{scalar(config.label)}]", "seed: 0")), ""
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
    lists = [f"{name}: [{', '.join(map(scalar, values))}]" for name, values in meant.items() if values]
    others = [repr(value) for value in values if not any(value in of for of in meant.values())]
    elsewhere = f"scans with {first_few(others)} in '{column}' are in no split" if others else ""
    return Split((f"column: {scalar(column)}", *lists), (), validates=bool(meant["validation"])), elsewhere


def _squeezed(name: str) -> str:
    """Letters and digits alone, in lower case: `Patient ID` and `patient_id` are one."""
    return re.sub(r"[\W_]", "", name.lower())


def _from(folder: Path, values: Mapping[str, str]) -> dict[str, str]:
    """The values as YAML, those that are files here relative to `folder`."""
    return {key: scalar(relative(value, folder)) if Path(value).is_file() else value for key, value in values.items()}


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def _config(given: Mapping[str, Any]) -> DataConfig:
    fields = dict(given)
    if "participants" in fields and "image" in fields:
        with naming_options():
            fields = {**_who(Path(fields["participants"]), fields["image"], fields.get("id")), **fields}
    try:
        return DataConfig.model_validate(fields)
    except ValidationError as error:
        raise UserError(f"init: {complaint(error, DataConfig)}") from error


def _who(participants: Path, image: str | dict[str, str], named: str | None) -> dict[str, str]:
    """The column that says whose a scan is, and the one that tells a person's scans apart, where ids repeat.

    That is a column of a usual name; else one that names people and repeats, as the one that names the image would
    put a person on both sides of a split; else the template's first.
    """
    table = read_table(participants, "data.participants")
    templates = image.values() if isinstance(image, dict) else [image]
    named_in = dict.fromkeys(column for one in templates for column in ImageTemplate.parse(one, Path()).columns)
    used = [column for column in named_in if column in table.columns]
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
