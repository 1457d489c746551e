"""Probes: from frozen features to the label; one file each, built by name: `build("linear", epochs=50)`."""

from contrasweep.trainers.probes.base import PROBES, Fitter, Probe, load_probe

names = PROBES.names
get = PROBES.get
build = PROBES.build

__all__ = ["Fitter", "Probe", "build", "get", "load_probe", "names"]
