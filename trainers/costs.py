"""What a configuration may cost at most: figures that its runs measure along, and that `search.constraints` bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Cost:
    """A figure of a run.

    Attributes:
        name: in a spec. key: in an epoch's metrics. unit: of the figure; empty for a count.
        gpu: whether it is known on a GPU alone.
    """

    name: str
    key: str
    unit: str = ""
    gpu: bool = False


COSTS: Mapping[str, Cost] = MappingProxyType(
    {
        one.name: one
        for one in (
            # Of the encoder and head on images that are in memory, with features brought back; reading is not in it.
            Cost("seconds_per_scan", "seconds_per_scan", "s"),
            Cost("parameters", "parameters"),
            Cost("epoch_seconds", "epoch_s", "s"),
            Cost("gpu_memory_gb", "gpu_memory_gb", "GB", gpu=True),
        )
    }
)
