"""What a probe is, how one is fitted, and how a fitted one is read back."""

from typing import Any, Protocol

from torch import Tensor

from contrasweep.trainers.registry import Registry


class Probe(Protocol):
    """Predicts labels [N] from features [N, F]; its state is plain tensors and strings."""

    def predict(self, features: Tensor) -> Tensor:
        """Labels [N], float64."""
        ...

    def state(self) -> dict[str, Any]:
        """What `load_probe` needs to build it again: the `kind` it is registered as in FITTED, and its tensors."""
        ...


class Fitter(Protocol):
    """Fits a probe; its settings are its own parameters."""

    def fit(self, features: Tensor, labels: Tensor, seed: int) -> Probe:
        """A probe of features [N, F] and labels [N], which alone choose between fits, where there is a choice.

        Random draws follow from `seed`; torch's generator stays as it was.
        """
        ...


PROBES: Registry[Fitter] = Registry("probe", "contrasweep.trainers.probes")

FITTED: Registry[Probe] = Registry("kind of fitted probe", "contrasweep.trainers.probes")


def load_probe(state: dict[str, Any]) -> Probe:
    """A probe from its state."""
    tensors = dict(state)
    return FITTED.build(tensors.pop("kind"), **tensors)
