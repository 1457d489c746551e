import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import checker

from contrasweep.trainers.served import ServedConfig


@pytest.fixture(scope="module")
def proto(written: Callable[[str], Path]) -> onnx.ModelProto:
    checker.check_model(str(written("onnx")), full_check=True)
    return onnx.load(written("onnx"))


def test_inputs_have_names_and_any_number_of_images(proto: onnx.ModelProto) -> None:
    shapes = {
        one.name: [side.dim_param or side.dim_value for side in one.type.tensor_type.shape.dim]
        for one in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {"image": ["N", 1, 16, 16], "covariates": ["N", 3], "prediction": ["N"]}


def test_how_scans_are_prepared_is_among_the_metadata(proto: onnx.ModelProto) -> None:
    (told,) = (json.loads(one.value) for one in proto.metadata_props if one.key == "contrasweep")
    assert told["inputs"][1]["columns"][1] == {"column": "sex", "category": "F"}
    assert ServedConfig.model_validate(told["served"], strict=False).trained.labels.maximum == 80
