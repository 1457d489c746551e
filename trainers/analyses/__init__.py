"""Analyses of what trained configurations predict and embed; one file each, built by name: `build("nlfd")`."""

from contrasweep.trainers.analyses.base import ANALYSES, Analysis, Evidence, Findings, Reading, Table

names = ANALYSES.names
get = ANALYSES.get
build = ANALYSES.build

__all__ = ["ANALYSES", "Analysis", "Evidence", "Findings", "Reading", "Table", "build", "get", "names"]
