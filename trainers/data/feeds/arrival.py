"""The last step of a batch: onto the device, as numbers to compute with, while the one before it is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from contrasweep.trainers.data.feeds.base import Batch
from contrasweep.trainers.normalization import Normalization


def arriving(batches: Iterator[Batch], device: torch.device, normalization: Normalization | None) -> Iterator[Batch]:
    """The batches with images float32 on `device`, normalised; each is fetched while the one before is in use.

    For a GPU images are copied out of pinned memory, in the store's dtype and on a stream of their own.
    """
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def fetch() -> Batch | None:
        batch = next(batches, None)
        if batch is None:
            return None
        with torch.cuda.stream(stream) if stream else nullcontext():
            if stream:
                images = batch.images.pin_memory().to(device, non_blocking=True).float()
            else:
                images = _float32(batch.images)
            return replace(batch, images=normalization(images) if normalization else images)

    with ThreadPoolExecutor(1) as thread:
        fetched = thread.submit(fetch)
        while batch := fetched.result():
            if stream:
                torch.cuda.current_stream(device).wait_stream(stream)
                batch.images.record_stream(torch.cuda.current_stream(device))
            fetched = thread.submit(fetch)
            yield batch


def _float32(images: Tensor) -> Tensor:
    """As `images.float()`, five times as fast: NumPy's memory comes in huge pages, torch's page by page."""
    if images.dtype == torch.float32:
        return images
    return torch.from_numpy(np.empty(images.shape, dtype=np.float32)).copy_(images)
