"""ONNX: a graph for onnxruntime and whatever else reads it."""

import json
from pathlib import Path

import torch
from torch import Tensor

from contrasweep.trainers.exports._program import refusing, traced
from contrasweep.trainers.exports.base import FORMATS, Exportable, Graph


@FORMATS.register("onnx")
class Onnx:
    """A file with inputs `image` and `covariates`, output `prediction`, and `Exportable.description` among its metadata
    as `contrasweep`.
    """

    packages: tuple[str, ...] = ("onnx", "onnxscript", "onnxruntime")

    def write(self, model: Exportable, path: Path) -> None:
        """As `Format.write`."""
        program, told = traced(model), model.description()
        with refusing(model, "ONNX"):
            written = torch.onnx.export(
                program,
                input_names=[one["name"] for one in told["inputs"]],
                output_names=[one["name"] for one in told["outputs"]],
                dynamic_shapes=[{0: "N"} for _ in told["inputs"]],
                dynamo=True,
                verbose=False,
            )
            assert written is not None
            written.model.metadata_props["contrasweep"] = json.dumps(told)
            written.save(path, external_data=False)

    def read(self, path: Path) -> Graph:
        """As `Format.read`."""
        from onnxruntime import InferenceSession

        session = InferenceSession(path, providers=["CPUExecutionProvider"])

        def run(*inputs: Tensor) -> Tensor:
            named = zip((one.name for one in session.get_inputs()), inputs, strict=True)
            return torch.from_numpy(session.run(None, {name: tensor.numpy() for name, tensor in named})[0])

        return run
