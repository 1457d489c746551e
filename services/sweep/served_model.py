"""The registered model, as MLflow loads it: the mean over the seeds of one configuration.

MLflow keeps this file and the package `trainers` beside the checkpoints, and runs it where it serves.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

from trainers.covariates import Cells
from trainers.inference import Predictor, load_ensemble

# MLflow would take a type of `model_input` for a schema of its own beside the model's signature, and so asks for one.
warnings.filterwarnings("ignore", message=".*Add type hints to the `predict` method")


class SeedEnsemble(PythonModel):  # type: ignore[misc]  # MLflow is not typed
    """Images [N, C, *S] float32, and covariates [N] where the model reads any -> labels [N] float64."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the seeds' checkpoints; nothing is unpickled."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._members: list[Predictor] = load_ensemble(Path(context.artifacts["ensemble"]), device)

    def predict(  # type: ignore[no-untyped-def]
        self, context: PythonModelContext, model_input, params: dict[str, Any] | None = None
    ) -> NDArray[np.float64]:
        """The mean over seeds of their predictions for images [N, C, *S] float32, or for inputs by their names."""
        images, cells = _images_and_cells(model_input)
        return np.asarray(np.mean([member.infer(images, cells).predictions for member in self._members], axis=0))


def _images_and_cells(model_input: NDArray[Any] | dict[str, NDArray[Any]]) -> tuple[NDArray[Any], list[Cells]]:
    if isinstance(model_input, np.ndarray):
        return model_input, []
    columns = {name: of.tolist() for name, of in model_input.items() if name != "images"}
    return model_input["images"], [dict(zip(columns, of, strict=True)) for of in zip(*columns.values(), strict=True)]


set_model(SeedEnsemble())
