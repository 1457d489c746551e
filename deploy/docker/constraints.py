"""Prints constraints.txt: the versions, in the environment of this interpreter, of all that the images install.

python deploy/docker/constraints.py > deploy/docker/constraints.txt
"""

import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
EXTRAS = ("postgres", "s3")
MLFLOW_SERVER = ("Flask-WTF", "boto3")


def main() -> None:
    """Print one line for each package, by name."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    pins: dict[str, str] = {}
    _collect(map(Requirement, [*project["dependencies"], *extras, *MLFLOW_SERVER]), pins, set())
    for name in sorted(pins):
        print(f"{name}=={pins[name]}")


def _collect(wanted: Iterable[Requirement], pins: dict[str, str], seen: set[str]) -> None:
    """Add packages and what they need; what only another platform needs is not installed here, and left out."""
    for requirement in wanted:
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        name = canonicalize_name(requirement.name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        pins[name] = found.version.partition("+")[0]
        _collect(_needed(found.requires or [], requirement.extras), pins, seen)


def _needed(lines: list[str], extras: set[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, lines):
        contexts = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(requirement.marker.evaluate(context) for context in contexts):
            yield requirement


if __name__ == "__main__":
    main()
