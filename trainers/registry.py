"""Components by name: a file in a component's folder registers itself, and nothing else changes."""

import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.parameters import check_all, guard, rules_of

T = TypeVar("T")


def declared(package: str, decorator: str = "register") -> dict[str, str]:
    """Names that the modules of a package register with `decorator`, and the module of each.

    They are read from the modules' text: nothing is imported, which for most packages takes seconds.

    >>> declared("contrasweep.trainers.losses")["dynlocrep"]
    'contrasweep.trainers.losses.dynlocrep'
    """
    found = importlib.util.find_spec(package)
    assert found and found.submodule_search_locations, package
    paths = [path for folder in found.submodule_search_locations for path in sorted(Path(folder).glob("*.py"))]
    written = re.compile(rf'^@{re.escape(decorator)}\("([^"]+)"\)', re.MULTILINE)
    return {name: f"{package}.{path.stem}" for path in paths for name in written.findall(path.read_text("utf-8"))}


class Registry(Generic[T]):
    """The components of one package, found by importing each module in it once.

    >>> from contrasweep.trainers import losses
    >>> "dynlocrep" in losses.names()
    True
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._factories: dict[str, Callable[..., T]] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Decorator: make the decorated class or function buildable as `name`; its annotations are rules."""

        def add(factory: Callable[..., T]) -> Callable[..., T]:
            assert name not in self._factories, f"two {self.kind}s are called {name}"
            self._factories[name] = factory
            if inspect.isclass(factory):
                guard(self.kind, name, factory)
            return factory

        return add

    def names(self) -> list[str]:
        """Sorted names of all components."""
        if not self._discovered:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            self._discovered = True
        return sorted(self._factories)

    def get(self, name: str) -> Callable[..., T]:
        """The factory behind `name`. Raises UserError with the nearest name where there is none."""
        if name not in self._factories and name not in self.names():
            raise UserError(f"unknown {self.kind} '{name}'; {nearest(name, self.names())}")
        return self._factories[name]

    def build(self, name: str, **params: object) -> T:
        """Build `name` with `params`. Raises UserError on an unknown name or parameter, and on a wrong value."""
        factory = self.get(name)
        accepted = list(inspect.signature(factory).parameters)
        for key in params:
            if key not in accepted:
                free = [other for other in accepted if other not in params]
                raise UserError(f"{self.kind} '{name}' has no parameter '{key}'; {nearest(key, free)}")
        if not inspect.isclass(factory):
            check_all(f"{self.kind} '{name}'", params, rules_of(factory))
        return factory(**params)
