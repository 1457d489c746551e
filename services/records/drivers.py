"""Who drove a sweep, when, and with which data, code and libraries."""

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version

from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.trainers.atomic import write_atomically

_FILE = "drivers.json"
_LIBRARIES = ("contrasweep", "torch", "monai", "ray", "optuna", "mlflow", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Driver:
    """One process that drove a sweep.

    Attributes:
        attempt: which one it was, counted from 1.
        began: seconds since 1970.
        user: who submitted the sweep; empty where it was run by hand.
        digests: of what bears on the result: `volumes`, `code`, `init_from` where training started from weights, and
            `external_NAME`, the volumes of each external cohort.
        versions: of Python and of the libraries.
        start: how much the network takes of the weights that training started from; empty where there were none.
    """

    attempt: int
    began: float
    user: str
    digests: Mapping[str, str]
    versions: Mapping[str, str]
    start: str = ""


def add_driver(folder: SweepFolder, state: SweepState, digests: Mapping[str, str], start: str = "") -> None:
    """Note that this process drives the sweep from now on."""
    versions = {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
    drivers = [*read_drivers(folder), Driver(state.attempt, time.time(), state.user, dict(digests), versions, start)]
    text = json.dumps([asdict(driver) for driver in drivers], indent=1)
    write_atomically(folder.path / _FILE, text.encode())


def read_drivers(folder: SweepFolder) -> list[Driver]:
    """The drivers so far, the first one first; none where they are not known (any more)."""
    try:
        return [Driver(**driver) for driver in json.loads((folder.path / _FILE).read_bytes())]
    except (FileNotFoundError, ValueError, TypeError):  # not JSON, or no drivers
        return []
