import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.registry import Registry, declared

PACKAGE = """
from contrasweep.trainers.registry import Registry
shapes = Registry("shape", __name__)
"""
SQUARE = """
from {package} import shapes

@shapes.register("square")
def square(*, side=1.0):
    return side**2
"""


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[float]:
    """The registry of a package in which one file registers one shape."""
    package = f"shapes_{tmp_path.name}"
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").write_text(PACKAGE)
    (folder / "square.py").write_text(SQUARE.format(package=package))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry: Registry[float] = __import__(package).shapes
    assert f"{package}.square" not in sys.modules
    return registry


def area(*, radius: float = 1.0) -> float:
    return 3 * radius**2


def test_a_file_in_the_folder_is_found(shapes: Registry[float]) -> None:
    assert shapes.names() == ["square"]
    assert shapes.build("square", side=3.0) == 9.0


def test_names_are_sorted_and_include_what_is_added_later(shapes: Registry[float]) -> None:
    shapes.names()
    shapes.register("circle")(area)
    assert shapes.names() == ["circle", "square"]
    assert shapes.get("circle") is area


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.get("sqare"), r"^unknown shape 'sqare'; did you mean 'square'\? allowed: square$"),
        (lambda s: s.build("triangle"), r"^unknown shape 'triangle'; allowed: square$"),
        (
            lambda s: s.build("square", sid=2.0),
            r"^shape 'square' has no parameter 'sid'; did you mean 'side'\? allowed: side$",
        ),
    ],
)
def test_mistakes(shapes: Registry[float], call: Callable[[Registry[float]], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(shapes)


def test_one_name_for_two_is_our_own_mistake(shapes: Registry[float]) -> None:
    shapes.names()
    with pytest.raises(AssertionError, match="two shapes are called square"):
        shapes.register("square")(area)


def test_nearest_offers_only_what_is_near() -> None:
    assert nearest("widht", ["height", "width"]) == "did you mean 'width'? allowed: height, width"
    assert nearest("colour", ["height", "width"]) == "allowed: height, width"


@pytest.mark.parametrize(
    ("package", "decorator"),
    [
        ("contrasweep.trainers.losses", "register"),
        ("contrasweep.trainers.encoders", "register"),
        ("contrasweep.trainers.augmentations", "register"),
        ("contrasweep.trainers.data.transforms", "register"),
        ("contrasweep.trainers.probes", "PROBES.register"),
    ],
)
def test_names_read_from_the_files_are_those_that_importing_them_registers(package: str, decorator: str) -> None:
    assert sorted(declared(package, decorator)) == importlib.import_module(package).names()
