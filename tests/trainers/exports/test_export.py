import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from contrasweep.trainers import encoders
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.exports.export import export
from contrasweep.trainers.exports.safetensors import Safetensors
from tests.trainers.exports import exported


@pytest.mark.parametrize("name", ["safetensors", "monai-bundle"])
def test_what_is_there_stays_unless_it_is_to_be_replaced(name: str, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "written"
    export(model, name, path)
    with pytest.raises(UserError, match=r"written is there already; --force replaces it$"):
        export(model, name, path)
    export(model, name, path, replace=True)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_no_export_wrote_is_never_replaced(model: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="is a folder that no export wrote, and stays"):
        export(model, "safetensors", tmp_path, replace=True)
    assert (tmp_path / "thesis.tex").exists()


def test_what_predicts_otherwise_is_not_written(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Safetensors.read

    def shifted(self: Safetensors, path: Path) -> Callable[..., Tensor]:
        graph = read(self, path)
        return lambda *inputs: graph(*inputs) + 1e-3

    (tmp_path / "written").write_text("earlier")
    monkeypatch.setattr(Safetensors, "read", shifted)
    with pytest.raises(AssertionError):
        export(model, "safetensors", tmp_path / "written", replace=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "written"]
    assert (tmp_path / "written").read_text() == "earlier"


def test_an_unknown_format_is_one_line(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown format 'onx'; did you mean 'onnx'\? allowed: monai-bundle, onnx"):
        export(model, "onx", tmp_path / "written")


def test_missing_packages_are_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def without_onnx(name: str, package: str | None = None) -> Any:
        return None if name.startswith("onnx") else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_onnx)
    with pytest.raises(UserError, match=r"needs onnx, onnxscript, onnxruntime: pip install contrasweep\[onnx\]$"):
        export(model, "onnx", tmp_path / "written")


@pytest.mark.parametrize("name", ["torch-export", "onnx"])
def test_an_encoder_that_is_no_graph_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = exported.model(tmp_path / "served", "tcn", (1, 8))

    def forward(self: Any, images: Tensor) -> Tensor:
        mean = images.mean((1, 2))[:, None].expand(-1, self.feature_dim)
        return mean if images.mean() > 0 else -mean

    monkeypatch.setattr(encoders.get("tcn"), "forward", forward)
    with pytest.raises(UserError, match=r"^encoder 'tcn' cannot be made a graph: .+$") as raised:
        export(folder, name, tmp_path / "written")
    assert "\n" not in str(raised.value) and not (tmp_path / "written").exists()
