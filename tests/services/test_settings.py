"""Settings: defaults, environment, file, and what is refused."""

import os
from pathlib import Path

import psutil
import pytest

from contrasweep.services.settings import load_settings
from contrasweep.trainers.errors import UserError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and no settings from outside."""
    for variable in [name for name in os.environ if name.upper().startswith("CONTRASWEEP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_stay_in_the_home_folder(folder: Path) -> None:
    settings = load_settings()
    home = folder / ".contrasweep"
    assert settings.home == home
    assert settings.tracking_uri == f"sqlite:///{home}/mlflow.db"
    assert settings.optuna_storage == f"sqlite:///{home}/optuna.db"
    assert settings.storage_path == f"{home}/storage"
    assert (settings.ray_address, settings.resident_limit_gb) == ("local", None)
    assert str(settings.volumes) == f"{home}/volumes"
    assert (settings.sweeps, settings.reports) == (home / "sweeps", home / "reports")


def test_everything_follows_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRASWEEP_HOME", "elsewhere")
    settings = load_settings()
    assert settings.home == folder / "elsewhere"
    assert settings.tracking_uri == f"sqlite:///{folder}/elsewhere/mlflow.db"


def test_environment_beats_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "contrasweep.toml").write_text('ray_address = "auto"\ntracking_uri = "http://file:5000"\n')
    monkeypatch.setenv("CONTRASWEEP_TRACKING_URI", "http://environment:5000")
    settings = load_settings()
    assert (settings.ray_address, settings.tracking_uri) == ("auto", "http://environment:5000")


def test_a_named_file_replaces_the_one_in_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "contrasweep.toml").write_text('ray_address = "auto"\n')
    (folder / "cluster.toml").write_text("resident_limit_gb = 2\n")
    monkeypatch.setenv("CONTRASWEEP_SETTINGS", "cluster.toml")
    settings = load_settings()
    assert (settings.ray_address, settings.resident_limit_gb) == ("local", 2.0)


def test_storage_is_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRASWEEP_STORAGE_PATH", "/mnt/runs")
    assert load_settings().storage_path == "/mnt/runs"
    monkeypatch.setenv("CONTRASWEEP_STORAGE_PATH", "s3://bucket/runs")
    with pytest.raises(UserError, match="storage_path: 's3://bucket/runs' is not allowed: must be a folder"):
        load_settings()


def test_relative_storage_is_made_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRASWEEP_STORAGE_PATH", "runs")
    assert load_settings().storage_path == str(folder / "runs")


def test_the_resident_limit_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < load_settings().resident_limit_bytes <= psutil.virtual_memory().total // 2
    monkeypatch.setenv("CONTRASWEEP_RESIDENT_LIMIT_GB", "1.5")
    assert load_settings().resident_limit_bytes == 1_500_000_000


def test_empty_variables_do_not_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRASWEEP_HOME", "")
    assert load_settings().home == folder / ".contrasweep"


def test_refuses_an_unknown_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRASWEEP_TRAKING_URI", "x")
    with pytest.raises(
        UserError, match=r"unknown variable CONTRASWEEP_TRAKING_URI; did you mean 'CONTRASWEEP_TRACKING_"
    ):
        load_settings()


def test_refuses_an_unknown_key(folder: Path) -> None:
    (folder / "contrasweep.toml").write_text('hom = "x"\n')
    with pytest.raises(
        UserError, match=r"^contrasweep.toml: hom: unknown key; did you mean 'home'\? allowed: data_roots, home, "
    ):
        load_settings()


def test_refuses_a_broken_file(folder: Path) -> None:
    (folder / "contrasweep.toml").write_text("home = \n")
    with pytest.raises(UserError, match=r"^contrasweep.toml: not valid TOML: .*line 1"):
        load_settings()


def test_refuses_a_missing_named_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRASWEEP_SETTINGS", "cluster.toml")
    with pytest.raises(UserError, match=r"^CONTRASWEEP_SETTINGS=cluster.toml: no such file$"):
        load_settings()


@pytest.mark.parametrize("value", ["much", "0", "-1", "inf"])
def test_refuses_a_limit_that_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CONTRASWEEP_RESIDENT_LIMIT_GB", value)
    with pytest.raises(UserError, match=rf"^environment: resident_limit_gb: {value} is not allowed: must be "):
        load_settings()


def test_names_the_file_of_a_wrong_value(folder: Path) -> None:
    (folder / "contrasweep.toml").write_text("resident_limit_gb = 0\n")
    with pytest.raises(
        UserError, match=r"^contrasweep.toml: resident_limit_gb: 0 is not allowed: must be greater than 0$"
    ):
        load_settings()


def test_volumes_may_be_a_url_of_a_kind_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRASWEEP_VOLUMES", "memory://bucket/volumes")
    assert str(load_settings().volumes) == "memory://bucket/volumes"
    monkeypatch.setenv("CONTRASWEEP_VOLUMES", "here")
    assert str(load_settings().volumes) == str(tmp_path / "here")
    monkeypatch.setenv("CONTRASWEEP_VOLUMES", "floppy://a")
    with pytest.raises(UserError, match=r"volumes: 'floppy://a' is not allowed: must be a folder, or a URL") as caught:
        load_settings()
    assert "\n" not in str(caught.value)
