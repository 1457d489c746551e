"""`contrasweep inspect` as a user calls it, on a small phantom with something wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from contrasweep.services import cli
from contrasweep.trainers.data.phantom import PHANTOM_IMAGE, write_phantom

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]
SUBJECTS = 40


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec whose scan 3 is everyone's up to 9, whose scan 20 is damaged, and a scan that no row names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))
    scans = write_phantom(tmp_path / "phantom", subjects=SUBJECTS, shape=(6, 8, 6)).parent

    def image(number: int) -> Path:
        return scans / PHANTOM_IMAGE.format(participant_id=f"sub-{number:04d}")

    for number in (*range(4, 10), 9999):
        shutil.copy(image(3), image(number))
    image(20).write_bytes(image(20).read_bytes()[:50])
    document = {
        "name": "phantom",
        "data": {
            "participants": "phantom/participants.tsv",
            "image": PHANTOM_IMAGE,
            "label": "age",
            "max_rejected": 0,
        },
        "search": {"spaces": ["dynlocrep"]},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(document))
    return tmp_path / "study.yaml"


@pytest.fixture
def inspect(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], str]:
    """Runs `contrasweep inspect`, which must end well; what it printed."""

    def call(target: Path) -> str:
        monkeypatch.setattr("sys.argv", ["contrasweep", "inspect", str(target)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        return capsys.readouterr().out

    return call


def test_it_tells_what_is_wrong_with_a_study_that_run_would_refuse(study: Path, inspect: Callable[[Path], str]) -> None:
    out = inspect(study)
    assert "leak     the same image in several splits (1): sub-0003 (" in out
    assert "warning  one image with different labels (1): sub-0003 (" in out
    assert "warning  1 of 40 scans are rejected, more than data.max_rejected 0 allows: `run` would refuse" in out
    assert "warning  images that no row names (1): " in out
    assert "scans    39 of 39 subjects; 1 rejected" in out
    (page,) = (study.parent / "home/reports").glob("inspect-phantom-*.html")
    assert f"report   {page}\n1 leak, " in out
    (store,) = (study.parent / "home/volumes").glob("phantom-*")
    assert "leak     the same image in several splits (1): sub-0003 (" in inspect(store)
