"""What all commands share: the program, how it ends, its screen, and the arguments and options of many."""

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer
from rich.console import Console

from contrasweep.services.text import without_secrets
from contrasweep.trainers.errors import UserError

USER_ERROR, INTERRUPTED = 2, 130
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False)

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="The study: a YAML file.", show_default=False)]
SweepId = Annotated[str, typer.Argument(metavar="ID", help="A sweep's id, or the beginning of it.", show_default=False)]
Address = Annotated[str, typer.Option(metavar="URL", help="Ask the Ray cluster with this dashboard: http://HEAD:8265.")]
Server = Annotated[str, typer.Option(metavar="URL", help="Ask the service at this address: http://HOST:8080.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def aside(in_pipes: bool = False) -> Console:
    """Standard error, for what is said beside an answer; where that is no terminal nothing is, unless `in_pipes`."""
    beside = Console(stderr=True, highlight=False)
    beside.quiet = not (in_pipes or beside.is_terminal)
    return beside


def main() -> None:
    """Run the command line: 0 when all went well, 2 and one line for a user's mistake, 130 after Ctrl-C."""
    debug = "--debug" in sys.argv
    sys.excepthook = tell
    with ending(debug):
        app([argument for argument in sys.argv[1:] if argument != "--debug"])


def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback, without the passwords of addresses in it."""
    sys.stderr.write(without_secrets("".join(traceback.format_exception(kind, error, trace))))


@contextmanager
def ending(debug: bool) -> Iterator[None]:
    """End the program with a line for a user's mistake, a full disk or a file that is closed to us, or, to `debug`,
    with its traceback, and after Ctrl-C.
    """
    try:
        yield
    except UserError as error:
        if debug:
            raise
        told = without_secrets(str(error))
        Console(stderr=True, highlight=False).print(f"error: {told}", markup=False, soft_wrap=True)
        sys.exit(USER_ERROR)
    except OSError as error:
        full, closed = error.errno in _FULL, error.errno in _CLOSED and error.filename
        if debug or not (full or closed):
            raise
        told = f"{error.filename or 'the output'} cannot be {'written' if full else 'used'}: {error.strerror}"
        Console(stderr=True, highlight=False).print(f"error: {told}", markup=False, soft_wrap=True)
        if full:
            _forget_the_rest()
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _forget_the_rest() -> None:
    """What standard output still holds is not tried again as the program ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"contrasweep {metadata.version('contrasweep')}")
        raise typer.Exit


@app.callback()
def contrasweep(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback for a mistake of yours, too.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """Sweeps of contrastive-regression pretraining on medical images: raw scans in, a leaderboard out.

    Where it runs is settings: CONTRASWEEP_HOME, _VOLUMES, _TRACKING_URI, _OPTUNA_STORAGE, _RAY_ADDRESS, _STORAGE_PATH,
    _RESIDENT_LIMIT_GB, _SERVER, _JOBS_ADDRESS and others in the environment, or contrasweep.toml in this folder.
    """
