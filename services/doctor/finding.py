"""What a check found."""

import os
from collections.abc import Callable
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from contrasweep.services.settings import Settings
from contrasweep.services.text import without_secrets

Level: TypeAlias = Literal["ok", "warn", "fail"]

_SECRET_VARIABLES = ("RAY_AUTH_TOKEN", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD")


class Finding(BaseModel):
    """One line of the examination; `advice` says what to do where something is not in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    level: Level
    said: str
    advice: str = ""


def ok(said: str) -> tuple[Level, str, str]:
    """In order."""
    return "ok", said, ""


def warn(said: str, advice: str) -> tuple[Level, str, str]:
    """Works, but not for long or not for all."""
    return "warn", said, advice


def fail(said: str, advice: str) -> tuple[Level, str, str]:
    """A sweep will not run, or the part of the installation that this is about does not work."""
    return "fail", said, advice


Found: TypeAlias = tuple[Level, str, str]
Check: TypeAlias = Callable[[Settings], Found | None]
"""Looks at one thing, in a few seconds; None where the settings do not have it."""


def told(text: str, settings: Settings | None) -> str:
    """On one line, with no password of an address and nothing that the settings or the environment keep secret.

    >>> told("no answer from postgresql://ada:lovelace@host/db", None)
    'no answer from postgresql://host/db'
    """
    known = [os.environ.get(name, "") for name in _SECRET_VARIABLES]
    known += [settings.token.get_secret_value()] if settings else []
    line = " ".join(text.split())
    for secret in (secret for secret in known if secret):
        line = line.replace(secret, "***")
    return without_secrets(line)
