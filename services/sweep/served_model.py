"""The registered model, as MLflow loads it: scans as they come -> what the mean over its runs says of each.

MLflow keeps this file and its code, `trainers`, beside the checkpoints, and runs it where it serves.
"""

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from contrasweep.trainers.data.readers import UnreadableError
from contrasweep.trainers.served import ServedModel

# MLflow would take a type of `model_input` for a schema of its own beside the model's signature, and so asks for one.
warnings.filterwarnings("ignore", message=".*Add type hints to the `predict` method")


class SeedEnsemble(PythonModel):  # type: ignore[misc]  # MLflow is not typed
    """A row for each scan: `path` of its file, or `image` [C, *S] as a file has it with its `affine` [4, 4]; what the
    model reads of the table beside it, by column -> prediction, sd over runs, the ends of an interval that holds 9 in
    10 people, and in what it is unlike training.

    The columns of one of several images are called `path_NAME`, `image_NAME` and `affine_NAME`.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model; nothing is unpickled."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = ServedModel.load(Path(context.artifacts["ensemble"]), device)

    def predict(  # type: ignore[no-untyped-def]
        self, context: PythonModelContext, model_input, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Raises MlflowException where a scan cannot be used, naming its row."""
        return pd.DataFrame([self._row(number, row) for number, row in enumerate(model_input.to_dict("records"))])

    def _row(self, number: int, row: Mapping[str, Any]) -> dict[str, float | str]:
        preparation = self._model.preparation
        for column in (*preparation.columns, *self._model.levels):
            if _is_missing(row.get(column)):
                raise MlflowException.invalid_parameter_value(f"row {number}: {column} is missing")
        try:
            images = {name: partial(preparation.image, *_given(name, row)) for name in preparation.image_names}
            scan = preparation.of_images(images, row)
        except UnreadableError as error:
            raise MlflowException.invalid_parameter_value(f"row {number}: {error}") from error
        said = self._model.predict(scan, row)
        return {
            "prediction": said.prediction,
            "sd": np.nan if said.sd is None else said.sd,
            **dict(zip(("low", "high"), said.interval or (np.nan, np.nan), strict=True)),
            "unlike": said.unlike,
        }


def _given(name: str, row: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Path, values and affine of an image; None for what is not given."""
    cells = (row.get(f"{column}_{name}" if name else column) for column in ("path", "image", "affine"))
    path, image, affine = (None if _is_missing(cell) else cell for cell in cells)
    return path, image, affine


def _is_missing(cell: Any) -> bool:
    """Whether a cell has no value; arrays have one."""
    return cell == "" if isinstance(cell, str) else np.ndim(cell) == 0 and bool(pd.isna(cell))


set_model(SeedEnsemble())
