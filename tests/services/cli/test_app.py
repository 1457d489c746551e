"""How the program ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from contrasweep.services.cli.app import INTERRUPTED, USER_ERROR, ending


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


def test_an_interrupt_before_there_is_a_command_is_no_traceback() -> None:
    interrupted = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'contrasweep.services.cli.sweeps':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "import contrasweep.services.cli\n"
    )
    ended = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (INTERRUPTED, "", "")
