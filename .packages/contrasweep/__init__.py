"""contrasweep: sweeps of contrastive regression on medical images.

    sweep = contrasweep.run("study.yaml")    # or contrasweep.open("study-1c2e")
    print(sweep)                             # leaderboard and final figure
    sweep.trials()                           # a data frame, as seed_runs(), epochs() and predictions()
    sweep.predict(["scan.nii.gz"])           # or contrasweep.load("models:/study/3").predict(...)

What is named here is imported as it is first used: a part of the package that is imported alone brings no other.
"""

from importlib import import_module
from pathlib import Path
from pkgutil import extend_path
from typing import TYPE_CHECKING

__all__ = ["Model", "Sweep", "UserError", "load", "open", "run"]
__version__ = "0.1.0"
if not (Path(__file__).parent / "services").is_dir():  # the copy that a model brings: the rest is where it is installed
    __path__ = extend_path(__path__, __name__)

if TYPE_CHECKING:
    from contrasweep.services.python.model import Model, load
    from contrasweep.services.python.sweep import Sweep, open, run
    from contrasweep.trainers.errors import UserError
else:
    _MODULES = {
        "Model": "services.python.model",
        "Sweep": "services.python.sweep",
        "UserError": "trainers.errors",
        "load": "services.python.model",
        "open": "services.python.sweep",
        "run": "services.python.sweep",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __dir__():
        return sorted([*__all__, "__version__"])
