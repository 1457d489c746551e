"""The command line: every mistake is one line and exit code 2, and leaves nothing behind."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml

from contrasweep.services import cli
from contrasweep.services.cli.transport import settings_for, verbs
from contrasweep.services.records.answers import Comparison, Leaderboard, Planned, Sweep, Trial
from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import load_spec
from contrasweep.services.verbs.local import Local
from contrasweep.services.verbs.ray_jobs import Jobs
from contrasweep.trainers.errors import UserError
from tests.services.past import leave
from tests.services.service.running import running, wait

SUBJECTS = 20


@dataclass
class Study:
    """A small study that is in order, for a test to spoil."""

    folder: Path
    document: dict[str, Any]

    @property
    def path(self) -> Path:
        return self.folder / "study.yaml"

    @property
    def table(self) -> Path:
        return self.folder / "participants.tsv"

    def write(self) -> None:
        self.path.write_text(yaml.safe_dump(self.document, sort_keys=False))

    def change(self, field: str, value: Any) -> None:
        *outer, last = field.split("/")
        inner = self.document
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = value
        self.write()

    def edit(self, pattern: str, replacement: str) -> None:
        self.table.write_text(re.sub(pattern, replacement, self.table.read_text()))

    def cut(self, *numbers: int) -> None:
        for number in numbers:
            path = self.folder / f"s{number:02d}.nii.gz"
            path.write_bytes(path.read_bytes()[:60])


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    for name in ("CONTRASWEEP_HOME", "CONTRASWEEP_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    rng = np.random.default_rng(0)
    lines = ["participant_id\tage\tsite"]
    for number in range(SUBJECTS):
        lines.append(f"s{number:02d}\t{20 + number}\tA")
        image = nib.Nifti1Image(rng.random((4, 5, 6), dtype=np.float32), np.eye(4))
        nib.save(image, tmp_path / f"s{number:02d}.nii.gz")
    document: dict[str, Any] = {
        "name": "study",
        "data": {"participants": "participants.tsv", "image": "{participant_id}.nii.gz", "label": "age"},
        "model": {"width": 0.0625},
        "training": {"epochs": 4, "batch_size": 8},
        "search": {"spaces": ["dynlocrep", "supremix"], "racing": None},
    }
    made = Study(tmp_path, document)
    made.table.write_text("\n".join(lines) + "\n")
    made.write()
    return made


@pytest.fixture
def contrasweep(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., "Ended"]:
    """Runs a command line in this process, where Ray may not be started."""

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["contrasweep", *arguments])
        monkeypatch.setattr("ray.init", no_ray)
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            assert isinstance(stop.code, int | None)
            code = stop.code or 0
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return call


def no_ray(*arguments: Any, **options: Any) -> None:
    raise AssertionError("Ray must not be started to find this")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]

MISTAKES: dict[str, tuple[Callable[[Study], object], str]] = {
    "unknown key": (
        lambda s: s.change("trainings", {}),
        r"study.yaml: trainings: unknown key; did you mean 'training'\?",
    ),
    "unknown encoder": (
        lambda s: s.change("model/encoder", "resnet81"),
        r"study.yaml: model.encoder: unknown encoder 'resnet81'; did you mean 'resnet18'\?",
    ),
    "missing table": (
        lambda s: s.change("data/participants", "participant.tsv"),
        r"data.participants: no such file: \S*/participant.tsv; did you mean 'participants.tsv'\?",
    ),
    "missing image column": (
        lambda s: s.change("data/image", "{participantid}.nii.gz"),
        r"data.image: participants.tsv has no column 'participantid'; did you mean 'participant_id'\?",
    ),
    "label with text": (
        lambda s: s.change("data/label", "site"),
        r"data.label: column 'site' of participants.tsv holds no numbers; the first value is 'A'",
    ),
    "labels with text": (
        lambda s: s.edit(r"\t3\d\t", "\told\t"),
        r"participants.tsv: 10 of 20 subjects are rejected.*column 'age' is 'old'",
    ),
    "label range zero": (
        lambda s: s.edit(r"\t\d\d\t", "\t44\t"),
        r"data.label: the range of 'age' is zero: all 20 labels are 44",
    ),
    "batch larger than the training split": (
        lambda s: s.change("training/batch_size", 14),
        r"study.yaml: training.batch_size: 14 is not allowed: the training split has 12 scans",
    ),
    "nn_final > batch": (
        lambda s: s.change("search/fix", {"dynlocrep.nn_final": 9}),
        r"study.yaml: search: dynlocrep.nn_final: 9 is not allowed: must be .* 0 to 8 \(training.batch_size\)",
    ),
    "nn_final > batch in a range": (
        lambda s: s.change("search/override", {"dynlocrep.nn_final": {"low": 2, "high": 24}}),
        r"study.yaml: search: dynlocrep.nn_final: 24 is not allowed",
    ),
    "window <= 0": (
        lambda s: s.change("search/fix", {"supremix.window": 0}),
        r"study.yaml: search.fix: supremix.window is 0; allowed: numbers above 0",
    ),
    "not YAML": (
        lambda s: s.path.write_text("name: study\ndata: [participants\n"),
        r"study.yaml: line 3: not valid YAML",
    ),
    "no mapping": (lambda s: s.path.write_text("just words\n"), r"study.yaml: must be a mapping"),
    "binary": (lambda s: s.path.write_bytes(b"\x89PNG\x00\xff"), r"study.yaml: not valid YAML"),
    "no spec": (lambda s: s.path.unlink(), r"study.yaml: no such file; `contrasweep init study.yaml` writes a first"),
    "more workers than the machine has": (
        lambda s: s.change("training", {"workers": 4096, "batch_size": 4096}),
        r"training.workers: 4096 workers of 1 CPUs and 0 GPUs do not fit on 1 node\(s\) .*allowed: at most \d+",
    ),
}


def check_refused(ended: Ended, message: str, folder: Path) -> None:
    assert ended.code == 2
    assert re.match(f"error: {message}", ended.err), ended.err
    assert ended.err.count("\n") == 1
    assert not list(folder.glob("**/sweeps/*"))
    assert not list(folder.glob("**/volumes/*"))


LARGER_MACHINE = "more workers than the machine has"  # in order for another one, and its data can be prepared here
COMMANDS = [
    (command, mistake)
    for mistake in MISTAKES
    for command in ("validate", "plan", "prepare", "run")
    if mistake != LARGER_MACHINE or command in ("plan", "run")
]


@pytest.mark.parametrize(("command", "mistake"), COMMANDS)
def test_a_mistake_is_one_line(study: Study, contrasweep: Run, command: str, mistake: str) -> None:
    spoil, message = MISTAKES[mistake]
    spoil(study)
    check_refused(contrasweep(command, "study.yaml"), message, study.folder)


def test_a_truncated_scan(study: Study, contrasweep: Run) -> None:
    study.cut(4)
    ended = contrasweep("validate", "study.yaml")
    assert ended.code == 0, "1 of 20 is within 5 %"
    assert "rejected s04: ends early" in ended.out
    study.cut(5)
    message = r"participants.tsv: 2 of 20 subjects are rejected.*first: s04: ends early.*s04.nii.gz"
    check_refused(contrasweep("validate", "study.yaml"), message, study.folder)


def test_a_study_in_order(study: Study, contrasweep: Run) -> None:
    ended = contrasweep("validate", "study.yaml")
    assert (ended.code, ended.err) == (0, "")
    sweep_id = load_spec(study.path).spec.sweep_id
    assert ended.out.splitlines()[-1] == f"study.yaml is valid; sweep id {sweep_id}"


def test_debug_shows_the_traceback(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study.change("model/encoder", "resnet81")
    monkeypatch.setattr("sys.argv", ["contrasweep", "validate", "study.yaml", "--debug"])
    with pytest.raises(ValueError, match="resnet81"):
        cli.main()


def test_init_then_validate(study: Study, contrasweep: Run) -> None:
    options = ["--participants", "participants.tsv", "--image", "{participant_id}.nii.gz"]
    assert contrasweep("init", "new.yaml", *options, "--label", "age").code == 0
    check_refused(contrasweep("init", "new.yaml", *options, "--label", "age"), "new.yaml: exists already", study.folder)
    message = "--label: participants.tsv has no column 'agee'; did you mean 'age'"
    check_refused(contrasweep("init", "x.yaml", *options, "--label", "agee"), message, study.folder)
    twice = ["--participants", "participants.tsv", "--image", "t1=a.nii", "--image", "t1=b.nii", "--label", "age"]
    message = "--image: 't1=b.nii' is not allowed: t1 has a value already, 'a.nii'"
    check_refused(contrasweep("init", "x.yaml", *twice), message, study.folder)
    assert "new.yaml is valid" in contrasweep("validate", "new.yaml").out


def test_commands_on_sweeps(study: Study, contrasweep: Run) -> None:
    assert contrasweep("list").out == f"no sweeps in {study.folder}/.contrasweep; `contrasweep run SPEC` starts one\n"
    check_refused(contrasweep("status", "study"), "no sweep 'study' in .*; there is none yet", study.folder)
    settings = Settings()
    folder = SweepFolder.create(settings, load_spec(study.path))
    leave(Path(settings.storage_path) / folder.sweep_id, 0, {0: [5.0] * 4})
    assert contrasweep("list").out.splitlines()[1].split()[:2] == [folder.sweep_id, "stopped"]
    for command in ("status", "report"):
        ended = contrasweep(command, "study")
        assert ended.code == 0
        assert re.search(r"dynlocrep +5\.000 +1/3 ", ended.out), ended.out
    ended = contrasweep("stop", "study")
    assert (ended.code, ended.err) == (2, f"error: sweep {folder.sweep_id} is not running; it is stopped\n")
    with folder.driving():
        assert contrasweep("stop", "study").code == 0
        assert folder.is_asked_to_stop(1)


def test_resume_of_a_sweep_whose_data_are_gone(study: Study, contrasweep: Run) -> None:
    SweepFolder.create(Settings(), load_spec(study.path))
    study.table.unlink()
    ended = contrasweep("resume", "study")
    assert ended.code == 2
    assert ended.err.startswith("error: data.participants: no such file")
    assert ended.err.count("\n") == 1


def some_sweep(study: Study) -> SweepFolder:
    """A sweep of the study that was stopped after its first configuration, and said something."""
    settings = Settings()
    folder = SweepFolder.create(settings, load_spec(study.path))
    leave(Path(settings.storage_path) / folder.sweep_id, 0, {0: [5.0] * 4, 1: [6.0] * 4, 2: [7.0] * 4})
    folder.log.write_text("one\n[two]\n")
    return folder


def test_sweeps_side_by_side(study: Study, contrasweep: Run) -> None:
    first = some_sweep(study).sweep_id
    study.change("search/spaces", ["simclr"])
    study.change("name", "other")
    second = some_sweep(study).sweep_id
    ended = contrasweep("compare", "study", "other", "--html", "page.html")
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r'search.spaces +\["dynlocrep", "supremix"\] +\["simclr"\]', ended.out), ended.out
    assert re.search(rf"the best +{second} +0 +6.0 ± 1.0 +3/3 +complete +0.000 ± 0.000 over 3 runs", ended.out)
    assert first in (study.folder / "page.html").read_text()
    document = Comparison.model_validate_json(contrasweep("compare", "study", "other", "--json").out)
    assert [one.progress.epochs for one in document.sweeps] == [[12], [12]]
    for arguments, said in (
        (["study"], f"compare: '{first}' alone is not allowed: two sweeps or more"),
        (["study", "othr"], f"no sweep 'othr' in .*{second}"),
    ):
        ended = contrasweep("compare", *arguments)
        assert (ended.code, ended.err.count("\n"), bool(re.match(f"error: {said}", ended.err))) == (2, 1, True), (
            ended.err
        )


def test_a_space_that_cannot_be_added_is_one_line(study: Study, contrasweep: Run) -> None:
    study.change("search/sampler", "gp")
    study.change("search/fair", False)
    study.change("search/spaces", ["dynlocrep"])
    some_sweep(study)
    check = [("simclrr", "--add-space: unknown method 'simclrr'; did you mean 'simclr'"), ("simclr", ".*gp")]
    for space, said in check:
        ended = contrasweep("extend", "study", "--add-space", space)
        assert (ended.code, ended.err.count("\n"), bool(re.match(f"error: {said}", ended.err))) == (2, 1, True), (
            ended.err
        )
    assert SweepFolder.find(Settings(), "study").load().spec.search.spaces == ("dynlocrep",)


def test_documents(study: Study, contrasweep: Run) -> None:
    sweep_id = some_sweep(study).sweep_id

    def document(*arguments: str) -> str:
        ended = contrasweep(*arguments, "--json")
        assert (ended.code, ended.err, ended.out.count("\n")) == (0, "", 1)
        return ended.out

    assert [Sweep.model_validate(each).id for each in json.loads(document("list"))] == [sweep_id]
    assert Sweep.model_validate_json(document("status", "study")).best == 6.0
    assert [Trial.model_validate(each).number for each in json.loads(document("trials", "study"))] == [0]
    assert Leaderboard.model_validate_json(document("report", "study")).trials[0].sd == 1.0
    assert Planned.model_validate_json(document("plan", "study.yaml")).subjects == SUBJECTS
    assert [json.loads(line) for line in contrasweep("logs", "study", "--json").out.splitlines()] == ["one", "[two]"]
    with SweepFolder.find(Settings(), "study").driving():
        assert Sweep.model_validate_json(document("stop", "study")).state == "stopping"


def test_screens(study: Study, contrasweep: Run) -> None:
    sweep_id = some_sweep(study).sweep_id
    assert contrasweep("logs", "study").out == "one\n[two]\n"
    assert contrasweep("trials", "study").out.splitlines()[1].split()[:4] == ["1", "0", "dynlocrep", "6.0"]
    shown = contrasweep("report", "study").out.splitlines()
    assert shown[-1] == f"report    {Settings().reports}/{sweep_id}.html"
    assert sweep_id in (Settings().reports / f"{sweep_id}.html").read_text()
    assert contrasweep("report", "study", "--html", "page.html").out.splitlines()[-1] == "report    page.html"
    assert (study.folder / "page.html").exists()
    refused = contrasweep("report", "study", "--html", "study.yaml/page.html")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert refused.err.startswith("error: study.yaml/page.html cannot be written: ")


@pytest.mark.parametrize("command", ["validate", "plan", "prepare", "run"])
def test_a_spec_that_leads_out_of_the_data_roots(
    study: Study, contrasweep: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("CONTRASWEEP_DATA_ROOTS", f"{study.folder}/data")
    message = r"spec: data\.participants: 'participants\.tsv' is not allowed: must be a path inside a data root"
    check_refused(contrasweep(command, "study.yaml"), message, study.folder)


def test_scans_out_of_the_data_roots(study: Study, contrasweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRASWEEP_DATA_ROOTS", str(study.folder))
    outside = study.folder.parent / f"{study.folder.name}-s00.nii.gz"
    (study.folder / "s00.nii.gz").rename(outside)
    (study.folder / "s00.nii.gz").symlink_to(outside)
    for command in ("plan", "prepare", "run"):
        message = "spec: data.participants: the image of 's00' is not inside a data root"
        check_refused(contrasweep(command, "study.yaml"), message, study.folder)


def test_submit_says_what_it_needs(study: Study, contrasweep: Run) -> None:
    message = r"submit: a cluster or a service does that: give --address http://HEAD:8265 or --server URL; .*"
    check_refused(contrasweep("submit", "study.yaml"), message, study.folder)


@pytest.mark.usefixtures("study")
def test_who_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(verbs("", ""), Local)
    assert isinstance(verbs("http://head:8265", ""), Jobs)
    monkeypatch.setenv("CONTRASWEEP_JOBS_ADDRESS", "http://head:8265")
    assert isinstance(verbs("", ""), Jobs)
    monkeypatch.setenv("CONTRASWEEP_SERVER", "http://service:8080/")
    assert (settings_for("", "").server, settings_for("", "").jobs_address) == ("http://service:8080", "")
    asked = settings_for("http://other:8265", "")
    assert (asked.server, asked.jobs_address) == ("", "http://other:8265")
    asked = settings_for("", "https://other")
    assert (asked.server, asked.jobs_address) == ("https://other", "")
    with pytest.raises(UserError, match="--address and --server: only one of them is allowed"):
        verbs("http://a", "http://b")
    with pytest.raises(UserError, match="--server: 'service' is not allowed: must be an address such as"):
        verbs("", "service")


def test_listing_imports_nothing_heavy(study: Study) -> None:
    some_sweep(study)
    code = """
import sys
from contrasweep.services.cli import main
sys.argv = ["contrasweep", "list"]
try:
    main()
finally:
    heavy = {"ray", "torch", "monai", "mlflow", "optuna", "fastapi", "matplotlib"}
    print(sorted(heavy & sys.modules.keys()))
"""
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("signals_as_in_a_terminal")
@pytest.mark.parametrize("command", [["logs", "study", "--follow"], ["status", "study", "--watch"]])
def test_ctrl_c_ends_watching_quietly(study: Study, command: list[str]) -> None:
    folder = some_sweep(study)
    with folder.driving():
        watching = subprocess.Popen(
            [sys.executable, "-m", "contrasweep.services.cli", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert watching.stdout
        assert watching.stdout.readline().strip(), "it shows something"
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=30)
    assert (watching.returncode, err) == (130, "")


def test_a_service_is_asked_as_this_machine_is(study: Study, contrasweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = some_sweep(study)
    with folder.driving() as state:
        state.state, state.label, state.trials, state.seeds, state.ended, state.best = "stopped", "age", 30, 3, 1, 6.0
    questions = [["list"], ["trials", "study"], ["logs", "study"], ["report", "study", "--html", "page.html"]]
    questions += [["status", "study"], ["status", "study", "--json"], ["list", "--json"]]
    here = {tuple(question): contrasweep(*question) for question in questions}
    assert all(ended.code == 0 for ended in here.values())
    with running(Settings().home) as service:
        wait(lambda: service.ask("GET", "/sweeps").json())
        monkeypatch.setenv("CONTRASWEEP_TOKEN", service.tokens["root"])
        for question, answered in here.items():
            assert contrasweep(*question, "--server", service.url) == answered, question
        assert folder.sweep_id in (study.folder / "page.html").read_text()
        monkeypatch.setenv("CONTRASWEEP_SERVER", service.url)
        assert contrasweep("resume", "study").out.startswith(f"{folder.sweep_id}: resumed; contrasweep status ")
        assert contrasweep("submit", "study.yaml").out.startswith(f"{folder.sweep_id}: ")
