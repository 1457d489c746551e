"""The weights that a sweep starts from: found and checked before anything is spent, then kept with the sweep."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from contrasweep.services.settings import Settings
from contrasweep.services.spec import methods
from contrasweep.services.spec.readings import naming_options
from contrasweep.services.spec.spec import LoadedSpec, Options
from contrasweep.services.stores.registry import REGISTERED, fetch_registered
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.config import MethodConfig, RunConfig
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.initialise import initialise, read_weights, seed_files, weights_file
from contrasweep.trainers.model import build_network

_ALLOWED = "a path, models:/name/version or models:/name@alias"
_KEPT = "init_from"
_SUFFIXES = (".pt", ".pth", ".tar")


@dataclass(frozen=True)
class InitialWeights:
    """What a sweep starts from.

    Attributes:
        path: a file that all nodes see, or a folder with one for each seed.
        digest: sha256 of the file, or of the folder's files one after the other in the order of their names.
        summary: how much of it the network takes.
    """

    path: Path
    digest: str
    summary: str


@contextmanager
def find_weights(loaded: LoadedSpec, settings: Settings) -> Iterator[Path | None]:
    """What `model.init_from` names, as a file or folder that is there for as long as the block; None where it is null.

    That is the sweep's own copy where it has kept one. A registered model is downloaded.
    Raises UserError where there is no such file, model or version, or it holds anything else than weights.
    """
    with tempfile.TemporaryDirectory() as scratch:
        with _naming(loaded):
            weights = _find(loaded, settings, Path(scratch))
            if weights:
                for file in dict.fromkeys(weights_file(weights, seed) for seed in loaded.spec.search.seeds):
                    read_weights(file, seed=0)
        yield weights


def check_weights(loaded: LoadedSpec, weights: Path, image_shape: tuple[int, ...], console: Console) -> str:
    """How much of `weights` the network for images (C, *S) takes; printed, too.

    Raises UserError where nothing of its encoder fits.
    """
    spec = loaded.spec
    space, seed = spec.search.spaces[0], spec.search.seeds[0]
    params = methods.typical(space, spec.search, spec.context())
    run = RunConfig(model=spec.model, training=spec.training, method=MethodConfig(name=space, params=params))
    with _naming(loaded):
        summary = initialise(build_network(run, image_shape), str(weights), seed).summary()
    console.print(f"start     {summary}", soft_wrap=True, markup=False)
    return summary


def check_all_weights(
    loaded: LoadedSpec, weights: Path, shapes: Mapping[Options, tuple[int, ...]], console: Console
) -> str:
    """The same of all that configurations read, by `LoadedSpec.readings`: what is told of the first, each told once."""
    told: dict[tuple[str, tuple[int, ...]], str] = {}
    for options, reading in loaded.readings.items():
        key = (reading.spec.model.model_dump_json(), shapes[options])
        if key not in told:
            with naming_options(options, loaded.path):
                told[key] = check_weights(reading, weights, shapes[options], console)
    return next(iter(told.values()))


def keep_weights(weights: Path, summary: str, sweep: Path) -> InitialWeights:
    """The sweep's own copy in its folder `sweep` of the storage path, made where there is none yet.

    Every node and every resumed driver reads this copy, whatever becomes of the source.
    """
    folder = sweep / _KEPT
    if not folder.exists():
        partial = sweep / f".{_KEPT}"
        shutil.rmtree(partial, ignore_errors=True)
        for file in _files(weights):
            write_atomically(partial / file.relative_to(weights.parent), file.read_bytes())
        partial.rename(folder)
    path = folder / weights.name
    return InitialWeights(path, digest_of_weights(path), summary)


def _find(loaded: LoadedSpec, settings: Settings, scratch: Path) -> Path | None:
    wanted = loaded.spec.model.init_from
    kept = list((Path(settings.storage_path) / loaded.sweep_id / _KEPT).glob("*"))
    if wanted is None or kept:
        return kept[0] if kept else None
    if registered := REGISTERED.fullmatch(wanted):
        return _download(registered, settings.tracking_uri, scratch)
    if re.match(r"[a-z][a-z0-9+.-]*:/", wanted, re.IGNORECASE):
        raise UserError(f"model.init_from: '{wanted}' is not allowed: must be {_ALLOWED}")
    return loaded.base / wanted


def _download(registered: re.Match[str], tracking_uri: str, scratch: Path) -> Path:
    """The weights of a registered model, under `scratch` by its name and version."""
    try:
        fetched = fetch_registered(registered, tracking_uri, scratch)
    except UserError as error:
        raise UserError(f"model.init_from: {error}") from error
    weights = _weights_in(registered[0], fetched)
    named = scratch / "weights" / f"{fetched.name}{weights.suffix if weights.is_file() else ''}"
    named.parent.mkdir()
    return weights.rename(named)


def _weights_in(uri: str, model: Path) -> Path:
    """The folder of a model that has a file for each seed, or else its only file of weights."""
    folders = {file.parent for file in model.rglob("seed-*.pt")}
    files = [file for file in model.rglob("*") if file.suffix in _SUFFIXES]
    found = list(folders) or files
    if len(found) != 1:
        raise UserError(
            f"model.init_from: {uri} holds {len(found)} files of weights; "
            f"allowed: one ({', '.join(_SUFFIXES)}), or seed-<n>.pt in one folder"
        )
    return found[0]


def _files(weights: Path) -> list[Path]:
    return seed_files(weights) if weights.is_dir() else [weights]


def digest_of_weights(weights: Path) -> str:
    """The sha256 of a file of weights, or of a folder's files one after the other in the order of their names."""
    digest = hashlib.sha256()
    for file in _files(weights):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@contextmanager
def _naming(loaded: LoadedSpec) -> Iterator[None]:
    """Put the spec's file in front of what is found wrong."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{loaded.path}: {error}") from error
