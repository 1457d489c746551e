"""z-normalisation by the training split: subtract its mean, divide by its sd, channel by channel.

DynLocRep (4.1) normalises "across the dataset"; here the held-out splits have no part in it.
"""

import json
from dataclasses import asdict

import numpy as np

from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import VolumeStore, json_digest
from contrasweep.trainers.normalization import Normalization

_CHUNK_BYTES = 64 * 2**20


def store_normalization(store: VolumeStore, splits: Splits) -> Normalization:
    """The normalisation by the training split, computed and written into the store on first use."""
    path = store.folder / f"normalization-{json_digest(splits.train)[:12]}.json"
    if path.is_file():
        return Normalization(**{name: tuple(values) for name, values in json.loads(path.read_text()).items()})
    fitted = fit_normalization(store, splits)
    write_atomically(path, json.dumps(asdict(fitted)).encode())
    return fitted


def fit_normalization(store: VolumeStore, splits: Splits) -> Normalization:
    """Mean and sd of the training split, in one pass and bounded memory; a channel without contrast has sd 1."""
    rows = store.rows_of(splits.train)
    per_chunk = max(1, _CHUNK_BYTES // store.volume_nbytes)
    count, mean, spread = 0, np.zeros(store.image_shape[0]), np.zeros(store.image_shape[0])
    for chunk in np.split(rows, range(per_chunk, len(rows), per_chunk)):
        images = store.read_rows(chunk).astype(np.float32)
        own = images.reshape(*images.shape[:2], -1).swapaxes(0, 1).reshape(images.shape[1], -1)
        own_mean = own.mean(axis=1, dtype=np.float64)
        own_spread = ((own - own_mean[:, None]) ** 2).sum(axis=1, dtype=np.float64)
        total = count + own.shape[1]
        shift = own_mean - mean
        mean = mean + shift * own.shape[1] / total  # Chan et al. 1979: exact, and stable where the mean is large
        spread = spread + own_spread + shift**2 * count * own.shape[1] / total
        count = total
    std = np.sqrt(spread / count)
    return Normalization(tuple(mean.tolist()), tuple(np.where(std > 0, std, 1.0).tolist()))
