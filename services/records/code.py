"""This program's own code: its digest, and a copy for a cluster that has another."""

import hashlib
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from contrasweep.trainers.package import COMPILED, PACKAGE, copy_package

PARTS = ("search_spaces", "services", "trainers")


@cache
def code_digest(parts: tuple[str, ...] = PARTS, without: tuple[str, ...] = ()) -> str:
    """The sha256 of this program's own files but those in the folders `without`, in the order of their names; of one
    process it is always the same.
    """
    digest = hashlib.sha256()
    for path in _files(parts):
        if any(path.is_relative_to(PACKAGE / folder) for folder in without):
            continue
        digest.update(f"{path.relative_to(PACKAGE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def commit() -> str:
    """The commit that this program's files are of, with `+` where some differ; empty outside of a checkout."""
    told = _git("ls-files", "--error-unmatch", "__init__.py") and _git(
        "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"
    )
    return told.strip()


def _git(*arguments: str) -> str:
    try:
        command = ["git", "-C", str(PACKAGE.resolve()), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def copy_code(folder: Path) -> None:
    """Copy the package of this program into `folder`."""
    copy_package(folder, PARTS)


def _files(parts: tuple[str, ...]) -> Iterator[Path]:
    paths = (path for part in parts for path in (PACKAGE / part).rglob("*"))
    yield PACKAGE / "__init__.py"
    yield from sorted(path for path in paths if path.is_file() and COMPILED not in path.parts)
