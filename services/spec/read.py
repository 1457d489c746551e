"""What is read of each training beside what configurations are judged by."""

from typing import Any

from pydantic import field_validator

from contrasweep.trainers.config import FeatureSpace, Frozen, Named
from contrasweep.trainers.parameters import Count


class ReadConfig(Frozen):
    """Several readings of one training, made once, as the sweep ends.

    `probes` beside the one that configurations are judged by; spaces of `features` in place of the method's own;
    `epochs`, counted from 1, beside the one that counts. Where a list is empty there is nothing beside it.
    """

    probes: tuple[Named, ...] = ()
    features: tuple[FeatureSpace, ...] = ()
    epochs: tuple[Count, ...] = ()

    @field_validator("probes", "features")
    @classmethod
    def _are_distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        for value in values:
            if values.count(value) > 1:
                raise ValueError(f"{value} is there {values.count(value)} times")
        return values

    @field_validator("epochs")
    @classmethod
    def _ascend(cls, epochs: tuple[int, ...]) -> tuple[int, ...]:
        if list(epochs) != sorted(set(epochs)):
            raise ValueError(f"{list(epochs)} must be in ascending order without repeats")
        return epochs
