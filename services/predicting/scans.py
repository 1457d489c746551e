"""Which scans are to be predicted: files by their paths, a table's, or a BIDS data set's."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from contrasweep.services.complaints import naming_options
from contrasweep.services.predicting.model import sweep_of
from contrasweep.services.settings import Settings
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data import readers
from contrasweep.trainers.data.participants import Rejected, Subject, file_problem, read_subjects, read_unseen
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.served import ServedModel

Scans = tuple[list[Subject], list[Rejected]]


@dataclass(frozen=True)
class Asked:
    """What a user names: files, or a table or BIDS data set with what of it is not called as in the model's study.

    Of a BIDS data set some `subjects` alone, with or without `sub-`.
    `session`, where it is empty, says that the table has one scan of each; `by` are further columns to keep.
    """

    files: tuple[Path, ...] = ()
    participants: Path | None = None
    bids: Path | None = None
    image: str | None = None
    id: str | None = None
    suffix: str | None = None
    label: str | None = None
    session: str | None = None
    by: tuple[str, ...] = ()
    subjects: frozenset[str] = frozenset()


def find_scans(asked: Asked, model: ServedModel) -> Scans:
    """The scans that can be read, and those that cannot. Raises UserError where what is asked for goes not together,
    is not there, or lacks what the model reads.
    """
    given = [name for name in ("files", "participants", "bids") if getattr(asked, name)]
    if len(given) != 1:
        told = " and ".join("SCANS" if name == "files" else f"--{name}" for name in given)
        told = f"{told} are" if told else "nothing is"
        raise UserError(f"{told} given; one of SCANS, --participants and --bids is needed")
    if asked.files:
        return _named(asked, model)
    numeric = [column for column, categories in model.levels.items() if not categories]
    data = _listing(asked, model.preparation.config.data)
    columns, label_needed = model.preparation.columns, asked.label is not None
    with naming_options():
        scans, rejected = read_unseen(data, Path(), columns, numeric, asked.by, label_needed)
    return _only(asked, scans, rejected)


def study_scans(model: ServedModel, settings: Settings) -> list[Subject]:
    """The scans of the model's own study that have a label. Raises UserError where its sweep or table is not here."""
    config = model.preparation.config
    sweep = sweep_of(config, settings)
    if sweep is None:
        raise UserError(f"no scans are named, and the model's sweep, {config.sweep}, is not in {settings.home}")
    loaded = sweep.load()
    scans, _ = read_subjects(loaded.spec.data, loaded.base, model.preparation.columns)
    return [scan for scan in scans if scan.label is not None]


def _only(asked: Asked, scans: list[Subject], rejected: list[Rejected]) -> Scans:
    if not asked.subjects:
        return scans, rejected
    wanted = {f"sub-{name.removeprefix('sub-')}" for name in asked.subjects}
    known = {scan.subject for scan in scans} | {one.subject.partition("_")[0] for one in rejected}
    for name in sorted(wanted - known):
        raise UserError(f"--participant-label: {asked.bids} has no subject '{name}'; {nearest(name, known)}")
    return (
        [scan for scan in scans if scan.subject in wanted],
        [one for one in rejected if one.subject.partition("_")[0] in wanted],
    )


def _named(asked: Asked, model: ServedModel) -> Scans:
    for option in ("image", "id", "suffix", "label", "session"):
        if getattr(asked, option) is not None:
            raise UserError(f"--{option} is not allowed with SCANS: it is about a table or data set")
    if needed := [*model.preparation.columns, *model.levels]:
        raise UserError(
            f"the model reads {', '.join(needed)} of a table beside each scan: give --participants or --bids"
        )
    names = model.preparation.image_names
    if names != ("",):
        raise UserError(f"the model reads several images of a scan ({', '.join(names)}): give --participants")
    stems = Counter(_stem(path) for path in asked.files)
    found = [_scan(path, _stem(path) if stems[_stem(path)] == 1 else str(path)) for path in asked.files]
    problems = [file_problem(scan.path) for scan in found]
    rejected = [Rejected.of(scan, problem) for scan, problem in zip(found, problems, strict=True) if problem]
    return [scan for scan, problem in zip(found, problems, strict=True) if not problem], rejected


def _stem(path: Path) -> str:
    """A file's name without the ending that its reader knows.

    >>> _stem(Path("raw/sub-01_T1w.nii.gz"))
    'sub-01_T1w'
    """
    endings = [ending for ending in readers.names() if path.name.lower().endswith(ending)]
    return path.name[: -len(max(endings, key=len))] if endings else path.name


def _scan(path: Path, name: str) -> Subject:
    return Subject(name, name, (path,), label=None, group=None, strata={}, described={}, numbers={})


def _listing(asked: Asked, data: DataConfig) -> DataConfig:
    """The study's way to list scans, of another table or data set."""
    told = {field: value for field in ("id", "label", "session") if (value := getattr(asked, field)) is not None}
    for field in ("id", "label"):
        if told.get(field) == "":
            raise UserError(f"--{field}: '' is not allowed: must be the name of a column")
    named = {field: value or None for field, value in told.items()}
    if asked.participants is not None:
        if asked.suffix is not None:
            raise UserError("--suffix is not allowed with --participants: it is about a BIDS data set")
        if data.image is None and asked.image is None:
            raise UserError("--image is missing: the model's study was a BIDS data set, and says not where images are")
        table = {"participants": str(asked.participants), "image": asked.image or data.image}
        return data.model_copy(update={**named, **table, "bids": None, "suffix": None, "entities": {}})
    if asked.image is not None:
        raise UserError("--image is not allowed with --bids: it is about a table")
    if data.suffix is None and asked.suffix is None:
        raise UserError("--suffix is missing: the model's study was a table, and says not which images are meant")
    if len(data.image_names) > 1:
        raise UserError(f"the model reads several images of a scan ({', '.join(data.image_names)}): name a table")
    bids = {"bids": str(asked.bids), "suffix": asked.suffix or data.suffix}
    theirs = {"id": "participant_id", "session": None} if data.bids is None else {}
    return data.model_copy(update={**theirs, **named, **bids, "participants": None, "image": None})
