"""Formats that a served model can be exported to; one file each, by name: `build("onnx").write(model, path)`."""

from contrasweep.trainers.exports.base import FORMATS, Exportable, Format, Graph

names = FORMATS.names
get = FORMATS.get
build = FORMATS.build

__all__ = ["Exportable", "Format", "Graph", "build", "get", "names"]
