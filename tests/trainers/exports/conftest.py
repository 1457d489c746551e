from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from contrasweep.trainers.exports.export import export
from tests.trainers.exports import exported


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a served model that reads covariates."""
    return exported.model(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def written(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The model in a format by its name, at a path that is called like it, written once."""

    @cache
    def write(name: str) -> Path:
        path = tmp_path_factory.mktemp("written") / name
        export(model, name, path)
        return path

    return write
