"""What is inspected: a study, whose store is prepared first, or a store that is there."""

import difflib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from upath import UPath

from contrasweep.services.cluster.connect import joined
from contrasweep.services.data.problems import Problem
from contrasweep.services.screen.preparation import prepare_data
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.settings import Settings
from contrasweep.services.spec.checks import check_spec
from contrasweep.services.spec.spec import LoadedSpec, load_spec
from contrasweep.services.text import first_few, without_secrets
from contrasweep.trainers.config import TrainingSplitConfig
from contrasweep.trainers.data.participants import unlisted_images
from contrasweep.trainers.data.splits import Splits, read_splits
from contrasweep.trainers.data.store import MANIFEST, VolumeStore
from contrasweep.trainers.errors import UserError

_SPEC_SPLITS = "of the spec"
_CLOSE = 0.5


@dataclass(frozen=True, eq=False)
class Target:
    """A whole store, its splits by name, and what was found wrong on the way to it."""

    store: VolumeStore
    splits: dict[str, Splits]
    problems: tuple[Problem, ...] = ()


def open_target(name: str, settings: Settings, console: Console) -> Target:
    """The store of a spec, made where it is not there yet, or the store in a folder or at a URL.

    Raises UserError where `name` is neither, the spec or its data cannot be used, or the store is damaged.
    """
    path = UPath(name) if "://" not in name else _at_url(name)
    if (path / MANIFEST).is_file():
        store = VolumeStore.open(path.resolve() if isinstance(path, Path) else path)
        return Target(store, _splits_in(store.folder))
    if not isinstance(path, Path) or path.is_dir():
        raise UserError(f"{name}: no {MANIFEST} in it; allowed: a SPEC, or a volume store{_near(name, settings)}")
    if not path.exists():
        raise UserError(f"{name}: no such file or folder; allowed: a SPEC, or a volume store{_near(name, settings)}")
    return _prepared(load_spec(path), settings, console)


def _prepared(loaded: LoadedSpec, settings: Settings, console: Console) -> Target:
    """The store of a spec, however much of it is rejected; external cohorts and `data.train` are left alone.

    Where options have transforms of their own, it is that of the first.
    """
    with waiting(console, f"checking {loaded.path.name}"):
        check_spec(loaded, settings.data_roots)
    (spec, *_) = loaded.spec.readings.values()
    data = spec.data
    whole = {"max_rejected": 1.0, "external": (), "train": TrainingSplitConfig()}
    lenient = spec.searching(choices={}, choices_for={}).model_copy(update={"data": data.model_copy(update=whole)})
    with joined(settings, partial(waiting, console)):
        (prepared,) = prepare_data(replace(loaded, spec=lenient), settings, console).values()
    rejected, total = len(prepared.rejected), len(prepared.rejected) + len(prepared.store.subjects)
    problems = []
    if rejected > data.max_rejected * total:
        allowed = f"more than data.max_rejected {data.max_rejected:g} allows: `run` would refuse"
        problems.append(Problem("warning", f"{rejected:,} of {total:,} scans are rejected, {allowed}"))
    unlisted = [str(path) for path in unlisted_images(data, loaded.base)]
    if unlisted:
        problems.append(Problem("warning", f"images that no row names ({len(unlisted):,}): {first_few(unlisted)}"))
    return Target(prepared.store, {_SPEC_SPLITS: prepared.splits}, tuple(problems))


def _at_url(name: str) -> UPath:
    """A folder elsewhere that can be asked what is in it."""
    try:
        path = UPath(name.rstrip("/"))
        (path / MANIFEST).stat()
    except FileNotFoundError:
        return path
    except Exception as error:  # each service has its own errors: no such scheme, no credentials, no network ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(without_secrets(f"{name}: cannot be reached: {reason}")) from error
    return path


def _splits_in(folder: UPath) -> dict[str, Splits]:
    """All splits that a store holds, by their files' names."""
    return {path.stem: read_splits(path) for path in sorted(folder.glob("splits-*.json"), key=str)}


def _near(name: str, settings: Settings) -> str:
    """The spec beside `name`, or the store on this machine, that is called nearly so."""
    folder = Path() if "://" in name else Path(name).parent
    volumes = Path(settings.volumes) if isinstance(settings.volumes, Path) else folder
    paths = [*folder.glob("*.y*ml"), *(manifest.parent for manifest in volumes.glob(f"*/{MANIFEST}"))]
    known = {path.name: path for path in paths}
    close = difflib.get_close_matches(Path(name).name, known, n=1, cutoff=_CLOSE)
    return f"; did you mean '{known[close[0]]}'?" if close else ""
