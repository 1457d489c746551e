"""Every command says what it is at before it loads what takes seconds, and goes on saying so; real programs each."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from contrasweep.services import cli
from contrasweep.services.records.folder import FINISHED, SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from tests.services.past import leave
from tests.services.small_study import settings_in, write_study
from tests.services.studies.left import final_report

HEAVY = ("torch", "numpy", "ray", "mlflow", "monai", "optuna")
LONGEST_GAP_S = 10.0
PROGRAM = [sys.executable, "-m", "contrasweep.services.cli"]


@dataclass(frozen=True)
class Study:
    """A small study in a folder of its own, and the environment of a command about it."""

    loaded: LoadedSpec
    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "CONTRASWEEP_HOME": str(self.settings.home), "TERM": "xterm", "COLUMNS": "120"}

    def leave_finished(self, name: str = "small") -> str:
        """A sweep of it that is done; its id."""
        named = replace(self.loaded, spec=self.loaded.spec.model_copy(update={"name": name}))
        folder = SweepFolder.create(self.settings, named)
        leave(Path(self.settings.storage_path) / folder.sweep_id, 0, {0: [5.0] * 3, 1: [6.0] * 3})
        with folder.driving() as state:
            state.state = FINISHED
        return folder.sweep_id


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(write_study(tmp_path / "study"), settings_in(tmp_path / "home"))


@dataclass(frozen=True)
class Terminal:
    """A command under way on a terminal."""

    pid: int
    screen: int

    def output(self) -> Iterator[bytes]:
        """What it prints, as it comes."""
        while True:
            try:
                yield os.read(self.screen, 65536)
            except OSError:  # it has ended
                return

    def ended(self) -> int:
        """Its exit status."""
        os.close(self.screen)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def on_a_terminal(arguments: list[str], environment: dict[str, str]) -> Terminal:
    """Starts a command in a pseudo-terminal."""
    pid, screen = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*PROGRAM, *arguments], environment)
    return Terminal(pid, screen)


@pytest.mark.parametrize(
    ("command", "words", "library"),
    [
        pytest.param("validate SPEC", "checking ", "torch", marks=pytest.mark.slow),
        pytest.param("prepare SPEC", "checking ", "torch", marks=pytest.mark.slow),
        ("run SPEC", "checking study.yaml", "torch"),
        pytest.param("plan SPEC", "planning ", "torch", marks=pytest.mark.slow),
        pytest.param("inspect SPEC", "loading", "torch", marks=pytest.mark.slow),
        pytest.param(
            "init new.yaml --label age --participants TABLE --image {participant_id}.npy",
            "looking at ",
            "numpy",
            marks=pytest.mark.slow,
        ),
        ("explain supremix", "looking supremix up", "torch"),
        pytest.param("doctor", "looking at this installation", "sqlalchemy", marks=pytest.mark.slow),
        pytest.param("serve", "starting the service", "fastapi", marks=pytest.mark.slow),
        pytest.param("submit SPEC --address http://127.0.0.1:9", "submitting ", "ray", marks=pytest.mark.slow),
        ("list --address http://127.0.0.1:9", "asking for the sweeps", "ray"),
    ],
)
def test_the_first_word_comes_before_what_takes_seconds_to_load(
    study: Study, command: str, words: str, library: str
) -> None:
    places = {"SPEC": str(study.loaded.path), "TABLE": str(study.loaded.base / "participants.tsv")}
    arguments = [places.get(word, word) for word in command.split()]
    # Python tells of each module when its import is over; those inside a library come first.
    terminal = on_a_terminal(arguments, study.environment | {"PYTHONPROFILEIMPORTTIME": "1"})
    printed = b""
    for chunk in terminal.output():
        printed += chunk
        if re.search(rb"\| +%s\b" % library.encode(), printed):
            break
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.ended()
    said, _, _ = re.split(rb"(\| +%s\b)" % library.encode(), printed, maxsplit=1)
    assert words.encode() in said


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_on_a_terminal_never_stands_still(study: Study) -> None:
    terminal, longest, last = on_a_terminal(["run", str(study.loaded.path)], study.environment), 0.0, time.monotonic()
    printed = b""
    for chunk in terminal.output():
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        printed += chunk
    assert (terminal.ended(), longest < LONGEST_GAP_S) == (0, True), printed.decode()[-2000:]
    signs = [
        "checking study.yaml",
        "starting Ray",
        "preparing",
        "sweeping",
        "evaluating the best",
        "waiting for MLflow",
    ]
    shown = [printed.find(sign.encode()) for sign in [*signs, "stopping Ray"]]
    assert shown == sorted(shown) and shown[0] >= 0


def test_commands_that_only_look_load_nothing_that_takes_seconds(study: Study) -> None:
    sweep_id = study.leave_finished()
    commands = ["--help", "--version", "list", "explain", "explain finetune", f"status {sweep_id}"]
    other = study.leave_finished("other")
    commands += [f"trials {sweep_id}", f"compare {sweep_id} {other}", f"logs {sweep_id}", f"run {study.loaded.path}"]
    for command in commands:
        if command.startswith("run"):
            final_report().write(study.settings.sweeps / sweep_id / "final.json")
        program = [sys.executable, "-X", "importtime", *PROGRAM[1:], *command.split()]
        ended = subprocess.run(program, capture_output=True, text=True, env=study.environment)
        loaded = re.findall(rf"\| +({'|'.join(HEAVY)})$", ended.stderr, flags=re.MULTILINE)
        assert (ended.returncode, loaded) == (0, []), command


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["contrasweep", "--version"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, capsys.readouterr().out) == (0, "contrasweep 0.1.0\n")
