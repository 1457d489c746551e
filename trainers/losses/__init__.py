"""Training objectives, one file each, built by name: `build("supremix", window=5.0)`."""

from trainers.losses.base import LOSSES, Loss, Rows

names = LOSSES.names
get = LOSSES.get
build = LOSSES.build

__all__ = ["Loss", "Rows", "build", "get", "names"]
