"""Features for what looks at nothing."""

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.baselines.base import Encoder
from contrasweep.trainers.baselines.scans import Scans


def nothing(_: Scans) -> Encoder:
    """What gives everyone the same feature, whatever it is learned from."""

    def encode(scans: Scans) -> NDArray[np.float64]:
        return np.zeros((len(scans), 1))

    return encode
