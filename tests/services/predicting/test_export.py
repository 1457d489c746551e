from pathlib import Path

import pytest
from safetensors import safe_open

from contrasweep.services import cli
from tests.trainers.served import served_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_sample.model(tmp_path_factory.mktemp("served"))


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    """Exit status and what is printed."""
    monkeypatch.setattr("sys.argv", ["contrasweep", "export", *map(str, arguments)])
    status = 0
    try:
        cli.main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    told = capsys.readouterr()
    return status, told.out, told.err


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))


def test_a_model_is_written_and_it_is_said_how_near_it_predicts(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = run(capsys, monkeypatch, folder, "--format", "safetensors", "--out", "m.safetensors")
    assert (status, err) == (0, "")
    assert out.startswith(
        "wrote m.safetensors: safetensors of tiny-1c2e, trial 3; read back, its predictions are within "
    )
    with safe_open("m.safetensors", "pt") as file:
        assert "outline" in file.metadata()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--format", "onxx", "--out", "m.onnx"),
            "unknown format 'onxx'; did you mean 'onnx'? allowed: monai-bundle, ",
        ),
        (("--format", "safetensors", "--out", "there"), "there is there already; --force replaces it"),
        (("--format", "safetensors", "--out", "there/m"), "there/m cannot be written: "),
        (("--format", "safetensors", "--out", ".", "--force"), ". is a folder that no export wrote, and stays"),
    ],
)
def test_a_mistake_is_one_line(
    options: tuple[str, ...],
    said: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("there").write_text("mine")
    status, _, err = run(capsys, monkeypatch, folder, *options)
    assert status == 2 and err.startswith(f"error: {said}") and len(err.splitlines()) == 1
    assert Path("there").read_text() == "mine"
