"""What deploy/ says of the program - settings, commands, modules - is so; and no secret is in it."""

import importlib.util
import re

import pytest
import typer

from contrasweep.services.cli import app
from contrasweep.services.settings import FILE_VARIABLE, PREFIX, Settings
from tests.deploy.policies import secret_texts
from tests.deploy.shipped import texts

VARIABLE = re.compile(rf"{PREFIX}[A-Z_]*\*?")
COMMAND = re.compile(r"(?<![\w./=-])contrasweep(?:, | )([a-z]+)(?=[ ,\]`\n])")
MODULE = re.compile(r"python -m (services\.\w+)")
FILES = sorted(texts())
WITHOUT_COMMANDS = ("docker/postgres-databases.sh",)
"""Where the word is a role and a database."""


def _variables(text: str) -> set[str]:
    return set(VARIABLE.findall(text)) - {f"{PREFIX}*"}


def _commands(text: str) -> set[str]:
    """Names after `contrasweep` in scripts, and in prose where it stands as code."""
    return set(COMMAND.findall(text))


def _known() -> set[str]:
    group = typer.main.get_command(app)
    return set(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FILES)
def test_every_setting_that_is_named_exists(name: str) -> None:
    known = {FILE_VARIABLE, *(PREFIX + field.upper() for field in Settings.model_fields)}

    assert _variables(texts()[name]) <= known


def test_a_setting_that_is_not_there_is_noticed() -> None:
    assert _variables("env: {CONTRASWEEP_HOMES: a, CONTRASWEEP_*: b}") == {"CONTRASWEEP_HOMES"}


@pytest.mark.parametrize("name", FILES)
def test_every_command_that_is_named_exists(name: str) -> None:
    text = texts()[name]

    assert name in WITHOUT_COMMANDS or _commands(text) <= _known()
    for module in MODULE.findall(text):
        assert importlib.util.find_spec(module), module


def test_a_command_that_is_not_there_is_noticed() -> None:
    assert _commands("command: [contrasweep, server, --port=1]") == {"server"}
    assert _commands("    contrasweep tokens create\n") == {"tokens"}


@pytest.mark.parametrize("name", [name for name in FILES if name != "docker/constraints.txt"])
def test_no_secret_is_shipped(name: str) -> None:
    assert secret_texts(texts()[name]) == []
