"""The images: Dockerfiles by our rules, pinned dependencies, what goes into the build."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.policies import unsafe_dockerfile
from tests.deploy.shipped import DEPLOY, texts

ROOT = DEPLOY.parent
DOCKERFILES = ["docker/Dockerfile", "docker/Dockerfile.mlflow"]


def _pins() -> dict[str, str]:
    return dict(line.split("==") for line in texts()["docker/constraints.txt"].splitlines())


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_keeps_the_rules(name: str) -> None:
    text = texts()[name]

    assert unsafe_dockerfile(text) == []
    assert all(f"=={version}" in text for version in re.findall(r"torch==(\S+)", text))


def test_every_dependency_is_pinned_to_what_the_project_allows() -> None:
    project, pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"], _pins()
    extras = project["optional-dependencies"]

    for line in [*project["dependencies"], *extras["postgres"], *extras["s3"], "Flask-WTF"]:
        wanted = Requirement(line)
        assert pins[canonicalize_name(wanted.name)] in wanted.specifier, line


@pytest.mark.parametrize("name", DOCKERFILES)
def test_versions_in_a_dockerfile_are_the_pinned_ones(name: str) -> None:
    for package, version in re.findall(r"\b(torch|mlflow)==([\d.]+)", texts()[name]):
        assert _pins()[package] == version


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_copied_exists_and_is_not_ignored(name: str) -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]

    for line in re.findall(r"^COPY (?!--from)(.+)$", texts()[name], re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == path or source.startswith(f"{path}/") for path in allowed), source


def test_nothing_of_a_checkout_that_is_private_reaches_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert lines[0] == "*"
    assert not {"!deploy", "!deploy/secrets", "!.venv", "!.contrasweep", "!.git"} & set(lines)


def test_the_apptainer_definition_copies_what_there_is_and_installs_the_pinned_versions() -> None:
    text = texts()["apptainer/predict.def"]

    copied = re.search(r"^%files\n(.+?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert copied
    for line in copied[1].splitlines():
        assert (ROOT / line.split()[0]).exists(), line
    assert re.findall(r"torch==([\d.]+)", text) == [_pins()["torch"]]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(re.findall(r"contrasweep-predict(?= \"|\s--version)", text)) <= set(scripts)
