"""The installed package as files, for whoever runs it elsewhere."""

import shutil
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
COMPILED = "__pycache__"


def copy_package(folder: Path, parts: tuple[str, ...] = ("trainers",)) -> Path:
    """Copy the package with some of its parts into `folder`; returns the copy."""
    copy = folder / PACKAGE.name
    copy.mkdir()
    shutil.copyfile(PACKAGE / "__init__.py", copy / "__init__.py")
    for part in parts:
        shutil.copytree(PACKAGE / part, copy / part, ignore=shutil.ignore_patterns(COMPILED))
    return copy
