"""What every format must do; a new one inherits all of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from contrasweep.trainers import encoders, exports, probes
from contrasweep.trainers.exports.export import TOLERANCE, export
from contrasweep.trainers.inference import load_ensemble
from contrasweep.trainers.served.folded import Folded
from tests.trainers import tiny
from tests.trainers.encoders.test_contract import dimensions, shape
from tests.trainers.exports import exported

every = pytest.mark.parametrize("name", exports.names())


@every
def test_any_number_of_images_is_predicted_as_the_model_does(
    name: str, written: Callable[[str], Path], model: Path
) -> None:
    graph, outline = exports.build(name).read(written(name)), Folded.load(model).outline
    for count in (1, 2, 5):
        images, cells = tiny.split(count, first_row=0, seed=5).images, exported.CELLS[:count]
        with torch.inference_mode():
            predicted = graph(torch.from_numpy(images), torch.from_numpy(outline.encode(cells)))
        assert (predicted.dtype, predicted.shape) == (torch.float64, (count,))
        np.testing.assert_allclose(predicted.numpy(), exported.said(model, images, cells), rtol=0, atol=TOLERANCE)


@every
def test_nothing_else_is_written(name: str, written: Callable[[str], Path]) -> None:
    assert list(written(name).parent.iterdir()) == [written(name)]


@every
@pytest.mark.parametrize("probe", probes.names())
def test_every_probe_is_in_the_graph(name: str, probe: str, tmp_path: Path) -> None:
    folder = exported.model(tmp_path / "served", "tcn", (1, 8), probe)
    assert export(folder, name, tmp_path / "written") < TOLERANCE


@every
def test_members_of_several_encoders_count_by_their_weights(name: str, tmp_path: Path) -> None:
    folder = exported.ensemble(tmp_path / "served")
    export(folder, name, tmp_path / "written")
    image = np.random.default_rng(0).normal(size=(1, 1, 32, 32)).astype(np.float32)
    first, second = (one.infer(image, exported.CELLS[:1]).predictions.item() for one in load_ensemble(folder).values())
    graph, outline = exports.build(name).read(tmp_path / "written"), Folded.load(folder).outline
    with torch.inference_mode():
        predicted = graph(torch.from_numpy(image), torch.from_numpy(outline.encode(exported.CELLS[:1])))
    assert abs(first - second) > 0.1
    assert float(predicted) == pytest.approx(0.75 * first + 0.25 * second, abs=TOLERANCE)


@pytest.mark.slow
@every
@pytest.mark.parametrize(
    ("encoder", "dims"), [(encoder, dims) for encoder in encoders.names() for dims in dimensions(encoder)]
)
def test_every_encoder_can_be_written(name: str, encoder: str, dims: int, tmp_path: Path) -> None:
    export(exported.model(tmp_path / "served", encoder, shape(encoder, dims)), name, tmp_path / "written")
