"""No password and no token is said: not in settings, not in refusals, not in logs, not in a sweep's state."""

import logging
from pathlib import Path

import pytest
from rich.console import Console

from contrasweep.search_spaces import Configuration
from contrasweep.services.cli.app import ending, tell
from contrasweep.services.doctor.examination import examine
from contrasweep.services.records.folder import SweepState
from contrasweep.services.records.logs import driver_log, trial_log
from contrasweep.services.records.trial_record import write_failure
from contrasweep.services.settings import Settings, load_settings
from contrasweep.services.spec.spec import SeedPlan
from contrasweep.services.stores.optuna import open_storage
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.text import WithoutSecrets, one_line, without_secrets
from contrasweep.trainers.errors import UserError
from tests.cluster.server import wait_until

SECRET = "Zq7x4Wv9Kp2m"


def test_settings_do_not_show_the_token(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, token=SECRET)
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_an_address_with_a_password_is_refused_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONTRASWEEP_SERVER", "CONTRASWEEP_JOBS_ADDRESS"):
        with monkeypatch.context() as patch:
            patch.setenv(name, f"http://ada:{SECRET}@head:8265")
            with pytest.raises(UserError, match="without a password") as error:
                load_settings()
        assert SECRET not in str(error.value)


@pytest.mark.parametrize("around", ["{}", "a@{}", "{}@b", "a/{}", "{}:b"])
def test_passwords_of_addresses_are_left_out(around: str) -> None:
    password = around.format(SECRET)
    for text in (f"at 'postgresql://ada:{password}@host/db'", f"http://{password}@host/x (http://host/y)"):
        assert SECRET not in without_secrets(text)
    assert SECRET not in one_line(ValueError(f"postgresql://host/db?user=a&password={SECRET}"))
    assert without_secrets("http://host/a and s3://bucket/b") == "http://host/a and s3://bucket/b"


@pytest.mark.parametrize(
    "address", ["postgresql+psycopg2://ada:{}@127.0.0.1:9/db", "postgresql+nothing://ada:{}@host/db", "x://{}@h/%zz"]
)
def test_a_storage_that_cannot_be_opened_does_not_say_its_password(tmp_path: Path, address: str) -> None:
    with pytest.raises(UserError, match="CONTRASWEEP_OPTUNA_STORAGE") as error:
        open_storage(Settings(home=tmp_path, optuna_storage=address.format(SECRET)))
    assert SECRET not in str(error.value)


def test_a_tracking_server_that_is_away_is_warned_of_without_its_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    caplog.set_level(logging.INFO, "contrasweep")
    tracker = Tracker(f"http://ada:{SECRET}@127.0.0.1:9", None, "small", "small-12345678")
    tracker.start("name: small", {}, {})
    wait_until(lambda: "MLflow does not answer" in caplog.text, 15.0, lambda: caplog.text)
    tracker._outbox.close()
    assert "MLflow does not answer" in caplog.text
    assert SECRET not in caplog.text


def test_a_log_file_has_no_password(tmp_path: Path) -> None:
    log = logging.getLogger("contrasweep.trial")
    with trial_log(tmp_path):
        try:
            raise RuntimeError(f"no answer from http://ada:{SECRET}@host/")
        except RuntimeError as error:
            log.info("failed", exc_info=error)
    written = (tmp_path / "log.txt").read_text()
    assert "no answer from http://host/" in written and SECRET not in written


@pytest.mark.parametrize("variable", ["CONTRASWEEP_TRACKING_URI", "CONTRASWEEP_OPTUNA_STORAGE"])
@pytest.mark.parametrize("sign", ["@", " ", "'", "/", "#", "?"])
def test_a_password_that_programs_would_split_is_refused_without_a_part_of_it(
    variable: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`http://ada:lo/ve@host` fails as 'lo' is no port, and a driver looks for the host `ve@host`."""
    monkeypatch.setenv(variable, f"http://ada:{SECRET[:6]}{sign}{SECRET[6:]}@host/x")
    with pytest.raises(UserError, match=f"must be percent-encoded: %{ord(sign):02X} for") as error:
        load_settings()
    assert SECRET[:6] not in str(error.value) and SECRET[6:] not in str(error.value)


@pytest.mark.parametrize(
    "url",
    ["sqlite:////home/a@b/x.db", "postgresql+psycopg2://ada:l%40ve/#?@host/db", "http://host:5000/a", "http://a@host"],
)
def test_other_addresses_are_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRASWEEP_TRACKING_URI", url)
    assert load_settings().tracking_uri == url


def _failing() -> RuntimeError:
    return RuntimeError(f"no answer from http://ada:{SECRET}@host/")


def test_a_warning_on_the_screen_has_no_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with driver_log(tmp_path / "log.txt", Console(quiet=True)):
        logging.getLogger("contrasweep.report").warning("the report: %s", _failing(), exc_info=_failing())
    told = capsys.readouterr().err
    assert "no answer from http://host/" in told and SECRET not in told


def test_the_traceback_of_a_bug_has_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    tell(RuntimeError, _failing(), None)
    assert capsys.readouterr().err == "RuntimeError: no answer from http://host/\n"


def test_a_mistake_is_told_without_a_password(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), ending(debug=False):
        raise UserError(str(_failing()))
    assert capsys.readouterr().err == "error: no answer from http://host/\n"


def test_a_configuration_s_failure_is_kept_without_a_password(tmp_path: Path) -> None:
    write_failure(tmp_path, 0, Configuration("vanilla", {}), SeedPlan((0,), 4), _failing())
    for name in ("trial.json", "error.txt"):
        kept = (tmp_path / "trial-0000" / name).read_text()
        assert "no answer from http://host/" in kept and SECRET not in kept


def test_the_services_log_has_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (_failing(),), (RuntimeError, _failing(), None))
    assert SECRET not in WithoutSecrets().format(record)


def test_what_the_doctor_says_and_advises_has_no_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path))
    for name in ("TRACKING_URI", "OPTUNA_STORAGE"):
        monkeypatch.setenv(f"CONTRASWEEP_{name}", f"postgresql+psycopg2://ada:{SECRET}@127.0.0.1:9/db")
    found = examine()
    assert {finding.check for finding in found if finding.level == "fail"} >= {"optuna", "mlflow"}
    assert SECRET not in "".join(finding.model_dump_json() for finding in found)


def test_a_failure_is_kept_without_a_password() -> None:
    state = SweepState(id="study-00000000", state="running")
    state.end_with(RuntimeError(f"no answer from http://ada:{SECRET}@host/"))
    assert state.reason == "RuntimeError: no answer from http://host/"
