"""Importing this takes seconds and half a gigabyte: all that checking a spec may need, loaded once for many checks."""

import importlib

import torch

import search_spaces
import services.data.validate
import services.service.admission
from trainers import augmentations, encoders, losses, probes
from trainers.data import transforms
from trainers.data.transforms import _monai

for component in (augmentations, encoders, losses, probes, transforms):
    component.names()
for space in search_spaces.names():
    importlib.import_module(f"search_spaces.{space}")
_monai.allowed()
with torch.device("meta"):
    torch.empty(1).normal_()  # a second, the first time, of which networks are checked without their memory

__all__ = ["services"]
