"""The examination as a whole: what it prints, that it ends, and that it keeps secrets."""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contrasweep.services import cli
from contrasweep.services.doctor import examination
from contrasweep.services.doctor.examination import examine
from contrasweep.services.doctor.finding import Finding, ok, told
from contrasweep.services.settings import Settings


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation in order, in an empty folder."""
    for name in [name for name in os.environ if name.startswith(("CONTRASWEEP_", "RAY_AUTH", "MLFLOW_TRACKING"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield


def found(check: str) -> Finding:
    """What the examination says to one check."""
    return next(finding for finding in examine() if finding.check == check)


def doctor(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of the command."""
    monkeypatch.setattr("sys.argv", ["contrasweep", "doctor", *arguments])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def only(monkeypatch: pytest.MonkeyPatch, **checks: object) -> None:
    monkeypatch.setattr(examination, "MACHINE", {})
    monkeypatch.setattr(examination, "INSTALLATION", checks)


def test_what_is_in_order_is_said_in_one_line_for_each_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    only(monkeypatch, home=examination.INSTALLATION["home"])
    assert doctor(monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", "settings"], ["ok", "home"]]


def test_something_that_fails_is_exit_code_1_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONTRASWEEP_HOME", "/proc/contrasweep")
    only(monkeypatch, home=examination.INSTALLATION["home"])
    assert doctor(monkeypatch, "--json") == 1
    findings = {finding["check"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert findings["home"]["level"] == "fail"
    assert "/proc/contrasweep cannot be written" in findings["home"]["said"]
    assert "CONTRASWEEP_HOME" in findings["home"]["advice"]


def test_a_wrong_setting_is_one_finding_and_the_machine_is_looked_at_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONTRASWEEP_HOMES", "x")
    findings = {finding.check: finding for finding in examine()}
    assert findings["settings"].level == "fail"
    assert "unknown variable CONTRASWEEP_HOMES; did you mean" in findings["settings"].said
    assert "python" in findings and "home" not in findings


def test_the_settings_in_force_are_named_but_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "contrasweep.toml").write_text("max_running = 2\n")
    monkeypatch.setenv("CONTRASWEEP_TOKEN", "cs_secret")
    only(monkeypatch)
    said = found("settings").said
    assert str(tmp_path / "contrasweep.toml") in said and "CONTRASWEEP_TOKEN" in said
    assert "cs_secret" not in said


def test_checks_run_side_by_side_and_one_that_hangs_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    meet = threading.Barrier(2, timeout=5)
    monkeypatch.setattr(examination, "TIME_LIMIT_S", 0.3)
    sides = {"one": lambda settings: ok(str(meet.wait())), "two": lambda settings: ok(str(meet.wait()))}
    only(monkeypatch, **sides, hangs=lambda settings: time.sleep(60))
    began = time.monotonic()
    levels = {finding.check: finding.level for finding in examine()}
    assert levels == {"settings": "ok", "one": "ok", "two": "ok", "hangs": "fail"}
    assert time.monotonic() - began < 30


def test_a_check_that_goes_wrong_itself_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(settings: Settings) -> None:
        raise RuntimeError("oh")

    only(monkeypatch, broken=broken)
    assert found("broken").level == "fail" and "RuntimeError: oh" in found("broken").said


@pytest.mark.parametrize(
    "text",
    [
        "cannot connect to postgresql+psycopg2://ada:hunter2@host/db: refused",
        "http://host/?token=hunter2&x=1",
        "host=h password=hunter2 dbname=d",
        "the token hunter2 is not allowed",
        "two\nlines with hunter2",
    ],
)
def test_no_finding_has_a_secret_in_it(text: str) -> None:
    settings = Settings.model_validate({"token": "hunter2"})
    assert "hunter2" not in told(text, settings)
    assert "\n" not in told(text, settings)
