"""What runs as Ray jobs on the cluster's head: `python -m contrasweep.services.verbs.driver run | ask | digest`.

Its settings, with the secrets in them, come from the environment of the head. A job's working directory is thrown
away, so relative settings, and contrasweep.toml, start from the home folder of Ray's user.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console

from contrasweep.services.records.code import code_digest
from contrasweep.services.records.folder import (
    BROKEN,
    FINISHED,
    INTERRUPTED,
    STOPPED,
    SweepFolder,
    known_id,
    recognised,
)
from contrasweep.services.settings import Settings, load_settings
from contrasweep.services.spec.spec import LoadedSpec, parse_spec
from contrasweep.services.sweep.signals import termination
from contrasweep.services.text import without_secrets
from contrasweep.services.verbs.local import Local
from contrasweep.trainers.errors import UserError

USER_ERROR, INTERRUPTED_CODE = 2, 130
ANSWER = "contrasweep> "
"""What lines of an answer begin with: whatever else a job prints is no part of it."""
END = "end"
"""Key of an answer's last line, which says how it ended."""
ANSWERED, REFUSED, OTHER_CODE = "answered", "refused", "other code"
_PATIENCE_S, _POLL_S = 120.0, 0.5

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Base = Annotated[Path, typer.Option(help="Folder of the spec where it was submitted.")]
Attempt = Annotated[int, typer.Option(help="Which driver of the sweep is meant; 0: the one that there is.")]


def main() -> None:
    """Run the command line: 0 when all went well, 2 for a user's mistake, 130 where a sweep was stopped."""
    try:
        app()
    except UserError as error:
        print(f"error: {without_secrets(str(error))}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_CODE)


@app.command()
def run(
    spec: Path,
    base: Base,
    user: Annotated[str, typer.Option()],
    attempt: Attempt,
    sweep_id: Annotated[str, typer.Option("--id", help="Of the sweep, where it is not the one of its spec.")] = "",
) -> None:
    """Run a sweep, or go on with it, in the Ray cluster around this process."""
    with termination():
        from contrasweep.services.sweep.run import run_sweep

        text = spec.read_bytes()
        settings = _settings()
        given = LoadedSpec(parse_spec(text, spec.name), Path(spec.name), base, sweep_id)
        given = given if sweep_id else recognised(given, settings)
        with _failures_kept(given, settings, user, attempt):
            placed = _place(given, settings)
            state = run_sweep(placed, settings, Console(highlight=False), user=user, attempt=attempt)
    if state.state == STOPPED:
        sys.exit(INTERRUPTED_CODE)


@app.command()
def ask(
    verb: str,
    target: Annotated[
        str, typer.Argument(help="A sweep's id, or the beginning of it; several, for `compare`; a spec, for `plan`.")
    ] = "",
    code: Annotated[str, typer.Option(help="Digest of the code that asks, where it did not send it along.")] = "",
    base: Base = Path(),
    attempt: Attempt = 0,
    trial: Annotated[int | None, typer.Option()] = None,
    follow: Annotated[bool, typer.Option("--follow")] = False,
) -> None:
    """Print the answer to a verb, in lines of JSON: what it is, or the lines of a log, and then how it ended."""
    if code and code != code_digest():
        _say({END: OTHER_CODE})
        return
    path = Path(target).absolute()
    try:
        settings = _settings()
        if verb == "plan":
            spec = LoadedSpec(parse_spec(path.read_bytes(), path.name), Path(path.name), base)
            _say({"answer": _plain(Local(settings).plan(_place(spec, settings)))})
        elif verb == "logs":
            _say_log(settings, target, attempt, trial, follow)
        else:
            _say({"answer": _ANSWERS[verb](settings, target, attempt)})
    except UserError as error:
        _say({END: REFUSED, "reason": without_secrets(str(error))})
        sys.exit(USER_ERROR)
    _say({END: ANSWERED})


@app.command()
def digest() -> None:
    """Print the digest of this program's code."""
    print(code_digest())


def _settings() -> Settings:
    os.chdir(Path.home())
    return load_settings().model_copy(update={"ray_address": "auto"})


def _place(given: LoadedSpec, settings: Settings) -> LoadedSpec:
    """The spec with the folder that its relative paths start from.

    That is the data root that has its table. Without data roots it is the folder of the spec, where this machine
    sees that folder with the table in it, else the home of the settings.
    """
    from contrasweep.services.spec.roots import place

    if settings.data_roots:
        return replace(given, base=place(given.spec, settings.data_roots).base)
    bases = (given.base, settings.home)
    base = next((base for base in bases if (base / given.spec.data.listed_in).exists()), given.base)
    return replace(given, base=base)


@contextmanager
def _failures_kept(given: LoadedSpec, settings: Settings, user: str, attempt: int) -> Iterator[None]:
    """Write down why a sweep could not begin, too: nobody looks at the screen of a job."""
    try:
        yield
    except Exception as error:
        known = SweepFolder(settings.sweeps / given.sweep_id).read_state()
        if known.state == FINISHED or (known.state, known.attempt) == (BROKEN, attempt):
            raise
        with SweepFolder.create(settings, given).driving(user, attempt):
            raise error
        raise  # which `driving` does not where storage has the sweep wait


def _known(settings: Settings, target: str, attempt: int) -> Any:
    """How the sweep stands that this version gives this id, or None where there is none."""
    folder = SweepFolder(settings.sweeps / known_id(target, settings))
    return _plain(Local(settings).status(folder.sweep_id)) if folder.is_known else None


def _spec(settings: Settings, target: str, attempt: int) -> Any:
    loaded = SweepFolder.find_whole(settings, target).load()
    return {"spec": loaded.spec.to_yaml(), "base": str(loaded.base), "id": loaded.sweep_id}


def _stop(settings: Settings, target: str, attempt: int) -> Any:
    """Leave word for the driver, or for the one that is about to begin: that of `attempt`."""
    if attempt:
        SweepFolder(settings.sweeps / target).ask_to_stop(attempt)
        return None
    return _plain(Local(settings).stop(target))


def _settle(settings: Settings, target: str, attempt: int) -> Any:
    """Say that a sweep is stopped whose driver was killed on purpose."""
    folder = SweepFolder(settings.sweeps / target)
    if folder.path.exists() and folder.read_state().state == INTERRUPTED:
        folder.settle(STOPPED, "killed by `stop --now`")
    return None


_ANSWERS: dict[str, Callable[[Settings, str, int], Any]] = {
    "compare": lambda settings, target, attempt: _plain(Local(settings).compare(target.split(","))),
    "digest": lambda settings, target, attempt: code_digest(),
    "known": _known,
    "report": lambda settings, target, attempt: Local(settings).report(target),
    "settle": _settle,
    "spec": _spec,
    "status": lambda settings, target, attempt: _plain(Local(settings).status(target)),
    "stop": _stop,
    "sweeps": lambda settings, target, attempt: [_plain(sweep) for sweep in Local(settings).sweeps()],
    "sync": lambda settings, target, attempt: _plain(Local(settings).sync(target)),
    "trials": lambda settings, target, attempt: [_plain(trial) for trial in Local(settings).trials(target)],
}


def _say_log(settings: Settings, target: str, attempt: int, trial: int | None, follow: bool) -> None:
    """The lines of a log; that of a driver that is about to begin, `attempt`, is waited for."""
    folder, deadline = SweepFolder(settings.sweeps / target), time.monotonic() + _PATIENCE_S
    while follow and folder.read_state().attempt < attempt and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for line in Local(settings).logs(target, trial, follow):
        _say({"line": line})


def _plain(answer: BaseModel) -> Any:
    return json.loads(answer.model_dump_json())


def _say(document: dict[str, Any]) -> None:
    print(ANSWER + json.dumps(document), flush=True)


if __name__ == "__main__":
    main()
