"""No password and no token is said: not in settings, not in refusals, not in logs, not in a sweep's state."""

import logging
from pathlib import Path

import pytest

from contrasweep.services.records.folder import SweepState
from contrasweep.services.records.logs import trial_log
from contrasweep.services.settings import Settings, load_settings
from contrasweep.services.stores.optuna import open_storage
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.text import one_line, without_secrets
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


def test_a_failure_is_kept_without_a_password() -> None:
    state = SweepState(id="study-00000000", state="running")
    state.end_with(RuntimeError(f"no answer from http://ada:{SECRET}@host/"))
    assert state.reason == "RuntimeError: no answer from http://host/"
