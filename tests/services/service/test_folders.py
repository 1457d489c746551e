"""What the service sees of the sweeps' folders."""

from pathlib import Path

import pytest

from contrasweep.services.records.folder import FINISHED, STOPPED, SweepFolder, SweepState
from contrasweep.services.service.folders import Folders


def write(sweeps: Path, name: str, state: str = STOPPED) -> None:
    SweepFolder(sweeps / name).write_state(SweepState(id=name, state=state))


def states(folders: Folders) -> dict[str, str]:
    return {name: sweep.state for name, sweep in folders.look().items()}


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "sweeps")
    assert states(folders) == {}
    write(tmp_path / "sweeps", "a")
    (tmp_path / "sweeps/begun").mkdir()
    (tmp_path / "sweeps/file").touch()
    first = folders.look()["a"]
    assert folders.look()["a"] is first
    write(tmp_path / "sweeps", "a", FINISHED)
    assert states(folders) == {"a": FINISHED}
    (tmp_path / "sweeps").rename(tmp_path / "unmounted")
    with pytest.raises(OSError):
        folders.look()


def test_a_state_that_is_damaged_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """What else is there tells how its sweep stands."""
    folders = Folders(tmp_path)
    for name in ("a", "b"):
        write(tmp_path, name)
    folders.look()
    for name in ("a", "new"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "state.json").write_text("{")
    write(tmp_path, "b", FINISHED)
    assert states(folders) == {"a": STOPPED, "b": FINISHED, "new": STOPPED}
