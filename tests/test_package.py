"""What is installed: one package, contrasweep, with all that its parts read, and quick to import."""

import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import contrasweep
from contrasweep.trainers.package import copy_package

ROOT = Path(__file__).parents[1]
PARTS = ("search_spaces", "services", "trainers")


def python(code: str, *, path: Path = ROOT / ".packages", folder: Path | None = None) -> str:
    """What a program prints where `path` is imported from."""
    environment = {"PYTHONPATH": str(path), "PATH": "/usr/bin:/bin"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, cwd=folder, check=True, capture_output=True)
    return said.stdout.decode()


def test_one_package_is_installed() -> None:
    installed = importlib.metadata.distribution("contrasweep")
    assert (installed.read_text("top_level.txt") or "").split() == ["contrasweep"]


def test_a_wheel_has_all_files_of_the_parts_and_nothing_else(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in (".packages", *PARTS):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=ignored)
    python("from setuptools import build_meta; build_meta.build_wheel('out')", folder=tmp_path)
    (wheel,) = (tmp_path / "out").glob("contrasweep-*.whl")
    assert wheel.name.startswith(f"contrasweep-{contrasweep.__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(f"contrasweep-{contrasweep.__version__}.")}
    written = {f"contrasweep/{path.relative_to(tmp_path)}" for part in PARTS for path in (tmp_path / part).rglob("*.*")}
    assert names == written | {"contrasweep/__init__.py"}


def test_what_it_offers_is_imported_as_it_is_used() -> None:
    code = """
import sys, contrasweep
loaded = {name.partition(".")[0] for name in sys.modules} & {"numpy", "pandas", "pydantic", "ray", "rich", "torch"}
assert not loaded and "contrasweep.services" not in sys.modules, loaded
from contrasweep import UserError
assert "contrasweep.services" not in sys.modules
contrasweep.run, contrasweep.open, contrasweep.load, contrasweep.Sweep, contrasweep.Model
loaded = {name.partition(".")[0] for name in sys.modules} & {"numpy", "pandas", "ray", "scipy", "torch"}
assert not loaded, loaded
"""
    python(code)


def test_what_it_offers_is_listed_and_nothing_else_is_there() -> None:
    assert dir(contrasweep) == ["Model", "Sweep", "UserError", "__version__", "load", "open", "run"]
    with pytest.raises(AttributeError, match="module 'contrasweep' has no attribute 'runs'"):
        _ = contrasweep.runs  # type: ignore[attr-defined]


def test_a_copy_of_the_trainers_alone_is_imported(tmp_path: Path) -> None:
    copy_package(tmp_path)
    code = "import contrasweep.trainers.errors as own; print(own.__file__, contrasweep.UserError.__module__)"
    said = python(f"import contrasweep; {code}", path=tmp_path)
    assert said == f"{tmp_path}/contrasweep/trainers/errors.py contrasweep.trainers.errors\n"
