"""Training objectives, one file each, built by name: `build("supremix", window=5.0)`."""

from trainers.losses.base import LOSSES, Loss

names = LOSSES.names
get = LOSSES.get
build = LOSSES.build

__all__ = ["Loss", "build", "get", "names"]
