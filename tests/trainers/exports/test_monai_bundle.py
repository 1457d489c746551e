import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from contrasweep.trainers.exports.export import export
from contrasweep.trainers.served import Preparation, ServedModel
from tests.trainers.served import served_sample

RUN = """
import json, os, sys
from monai.bundle import run
run(**json.loads(sys.argv[1]))
from contrasweep import trainers
assert trainers.__file__ == os.path.join(os.getcwd(), "contrasweep", "trainers", "__init__.py"), trainers.__file__
"""
"""What `python -m monai.bundle run` does, for which it needs the package `fire`; with the bundle's own code."""
REQUIRED = {
    *("schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"),
    *("task", "description", "authors", "copyright", "network_data_format"),
}
OF_A_TENSOR = {"type", "format", "num_channels", "spatial_shape", "dtype", "value_range"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model of pictures that are resized."""
    folder = tmp_path_factory.mktemp("served")
    model = served_sample.model(folder, transforms=[{"Grey": {}}, {"Resize": {"spatial_size": [16, 16]}}])
    export(model, "monai-bundle", folder / "bundle")
    return folder / "bundle"


def run(bundle: Path, **overrides: object) -> list[dict[str, str]]:
    """The table that the bundle writes, run in its folder with nothing of this checkout in sight."""
    told = {"config_file": "configs/inference.json", **overrides}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", RUN, json.dumps(told)], cwd=bundle, env=environment, check=True)
    with (bundle / "predictions.tsv").open() as file:
        return list(csv.DictReader(file, dialect="excel-tab"))


def metadata(bundle: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((bundle / "configs" / "metadata.json").read_text())
    return told


def test_scans_are_predicted_as_they_come(bundle: Path, tmp_path: Path) -> None:
    model = ServedModel.load(bundle.parent / "model")
    for age in (30, 60):
        served_sample.picture(tmp_path / f"s{age}.png", age, shape=(20, 24))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken, *scans = run(bundle, dataset_dir=str(tmp_path))
    assert broken["prediction"] == "n/a" and "is no PNG" in broken["reason"]
    for scan in scans:
        prepared = model.preparation.of(served_sample.scan(tmp_path / scan["scan"]))
        assert float(scan["prediction"]) == pytest.approx(model.predict(prepared, {}).prediction, abs=1e-4)
        assert (scan["low"], scan["high"], scan["reason"]) == ("n/a", "n/a", "n/a")


def test_a_model_that_reads_covariates_is_asked_with_a_table(
    model: Path, written: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(written("monai-bundle"), tmp_path / "bundle")
    scan = served_sample.picture(tmp_path / "s1.png", 40)
    (tmp_path / "people.tsv").write_text("participant_id\ttiv\tsex\ns1\t1500\tM\ns2\t\tM\n")
    told, rejected = run(tmp_path / "bundle", participants=str(tmp_path / "people.tsv"))
    served = ServedModel.load(model)
    prepared = served.preparation.of(served_sample.scan(scan))
    expected = served.predict(prepared, {"tiv": 1500.0, "sex": "M"}).prediction
    assert told["scan"] == "s1"
    assert rejected["scan"] == "s2" and "tiv" in rejected["reason"]
    assert float(told["prediction"]) == pytest.approx(expected, abs=1e-4)


def test_files_that_transforms_read_come_along(tmp_path: Path) -> None:
    atlas = nib.Nifti1Image(np.repeat(np.arange(1, 9), 8).reshape(4, 4, 4).astype(np.int16), np.eye(4))
    atlas.to_filename(tmp_path / "atlas.nii.gz")
    model = served_sample.model(tmp_path, seeds=1, transforms=[{"Parcellate": {"atlas": "atlas.nii.gz"}}])
    export(model, "monai-bundle", tmp_path / "bundle")
    shutil.rmtree(model)
    assert Preparation.load(tmp_path / "bundle" / "preparation").image_names == ("",)


def test_metadata_has_what_the_schema_requires(bundle: Path) -> None:
    told = metadata(bundle)
    assert set(told) >= REQUIRED and all(told[field] for field in REQUIRED - {"required_packages_version"})
    inputs, outputs = (told["network_data_format"][side] for side in ("inputs", "outputs"))
    assert all(set(tensor) >= OF_A_TENSOR for tensor in (*inputs.values(), *outputs.values()))
    assert (inputs["image"]["num_channels"], inputs["image"]["spatial_shape"]) == (1, [16, 16])
    assert "not for diagnosis" in told["intended_use"]


def test_monai_finds_all_that_it_looks_for(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monai.bundle import ConfigWorkflow

    monkeypatch.chdir(bundle)
    served_sample.picture(bundle / "scans" / "a.png")
    workflow = ConfigWorkflow("configs/inference.json", workflow_type="infer", logging_file=False)
    workflow.initialize()
    assert workflow.check_properties() == []


def test_the_card_says_what_it_was_trained_on(bundle: Path) -> None:
    card = (bundle / "docs" / "README.md").read_text()
    assert "18 subjects, 18 scans; age from 20 to" in card
    assert '{"Resize": {"spatial_size": [16, 16]}}' in card
    assert "not for diagnosis" in card
    assert "not stated" in (bundle / "LICENSE").read_text()
