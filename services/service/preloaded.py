"""Importing this takes seconds and half a gigabyte: all that checking a spec may need, loaded once for many checks."""

import importlib

import search_spaces
import services.data.validate
from trainers import augmentations, encoders, losses, probes
from trainers.data import transforms
from trainers.data.transforms import _monai

for component in (augmentations, encoders, losses, probes, transforms):
    component.names()
for space in search_spaces.names():
    importlib.import_module(f"search_spaces.{space}")
_monai.allowed()

__all__ = ["services"]
