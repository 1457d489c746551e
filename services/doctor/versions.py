"""Python and packages against what contrasweep asks for."""

import platform
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from contrasweep.services.doctor.finding import Found, fail, ok

PROGRAM = "contrasweep"


def python() -> Found:
    """Python's version."""
    here, wanted = platform.python_version(), metadata(PROGRAM)["Requires-Python"]
    if SpecifierSet(wanted).contains(here, prereleases=True):
        return ok(f"Python {here}")
    return fail(f"Python {here}; {wanted} is needed", "make a new .venv with `make PYTHON=/path/to/python3.11 demo`")


def packages() -> Found:
    """Every package that contrasweep needs, in a version that it allows."""
    needed = [Requirement(line) for line in requires(PROGRAM) or ()]
    needed = [requirement for requirement in needed if requirement.marker is None or requirement.marker.evaluate()]
    return packages_against(needed)


def packages_against(needed: list[Requirement]) -> Found:
    """These packages, in versions that they allow."""
    wrong = [f"{r.name} {_installed(r)} ({r.specifier} is needed)" for r in needed if not _satisfied(r)]
    if not wrong:
        return ok(f"contrasweep {version(PROGRAM)} and the {len(needed)} packages it needs")
    return fail(", ".join(wrong), "install it again: pip install --editable .")


def _installed(requirement: Requirement) -> str:
    try:
        return version(requirement.name)
    except PackageNotFoundError:
        return "is missing"


def _satisfied(requirement: Requirement) -> bool:
    installed = _installed(requirement)
    return installed != "is missing" and requirement.specifier.contains(installed, prereleases=True)
