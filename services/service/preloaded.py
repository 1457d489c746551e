"""Importing this takes seconds and half a gigabyte: all that checking a spec may need, loaded once for many checks."""

import importlib

import torch

import contrasweep.services.data.validate
import contrasweep.services.service.admission
from contrasweep import search_spaces
from contrasweep.trainers import augmentations, encoders, losses, probes
from contrasweep.trainers.data import transforms
from contrasweep.trainers.data.transforms import _monai

for component in (augmentations, encoders, losses, probes, transforms):
    component.names()
for space in search_spaces.names():
    importlib.import_module(f"contrasweep.search_spaces.{space}")
_monai.allowed()
with torch.device("meta"):
    torch.empty(1).normal_()  # a second, the first time, of which networks are checked without their memory

__all__ = ["contrasweep"]
