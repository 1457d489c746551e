"""A model as torch.export traces it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.export import Dim, ExportedProgram

from contrasweep.trainers.errors import UserError
from contrasweep.trainers.exports.base import Exportable


def traced(model: Exportable) -> ExportedProgram:
    """The graph for any number of images. Raises UserError where an encoder does what no graph can."""
    outline = model.folded.outline
    inputs = [torch.zeros(2, *outline.image_shape)]
    if outline.columns:
        inputs.append(torch.zeros(2, len(outline.columns)))
    with refusing(model, "a graph"), torch.no_grad():
        return torch.export.export(model.folded, tuple(inputs), dynamic_shapes=tuple({0: Dim("N")} for _ in inputs))


@contextmanager
def refusing(model: Exportable, what: str) -> Iterator[None]:
    """Say in one line why the model cannot be made `what`, and nothing of what torch logs and warns of."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except Exception as error:  # tracing raises nearly anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"encoder '{model.encoder}' cannot be made {what}: {reason}") from error
    finally:
        logging.disable(before)
