import os
from pathlib import Path

import pytest

from contrasweep.services.cluster.environment import cluster_token, set_ray_environment
from contrasweep.services.settings import Settings
from contrasweep.trainers.errors import UserError

NAMES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def test_a_local_ray_gets_a_token_of_the_home(tmp_path: Path) -> None:
    set_ray_environment(Settings(home=tmp_path))
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "ray_token")
    assert (tmp_path / "ray_token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_the_token_of_a_cluster_turns_authentication_on(
    tmp_path: Path, environment: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "token").write_text("secret\n")
    environment.setenv(name, "secret" if name == "RAY_AUTH_TOKEN" else str(tmp_path / "token"))
    assert cluster_token() == "secret"
    set_ray_environment(Settings(home=tmp_path, ray_address="head:6379"))
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_what_the_environment_says_stands(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RAY_AUTH_MODE", "disabled")
    environment.setenv("RAY_AUTH_TOKEN", "secret")
    set_ray_environment(Settings(home=tmp_path, ray_address="head:6379"))
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_a_cluster_without_a_token(tmp_path: Path) -> None:
    assert cluster_token() == ""
    set_ray_environment(Settings(home=tmp_path, ray_address="head:6379"))
    assert "RAY_AUTH_MODE" not in os.environ


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file or directory"), (b"\n", "is empty"), (b"\xff", "cannot be read: it holds")],
)
def test_a_token_file_of_no_use(
    tmp_path: Path, environment: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    environment.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    with pytest.raises(UserError, match=f"^RAY_AUTH_TOKEN_PATH: {path} {message}"):
        cluster_token()
