"""How the program ends."""

from pathlib import Path

import pytest

from contrasweep.services.cli.app import USER_ERROR, ending


def test_a_path_that_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(SystemExit) as ended, ending(debug=False):
        (tmp_path / "home/sweeps").mkdir()
    assert ended.value.code == USER_ERROR
    assert capsys.readouterr().err == f"error: {tmp_path / 'home/sweeps'} cannot be used: Not a directory\n"


def test_a_mistake_of_ours_is_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), ending(debug=False):
        (tmp_path / "gone").read_text()
    with pytest.raises(NotADirectoryError), ending(debug=True):
        (Path(__file__) / "gone").mkdir()
