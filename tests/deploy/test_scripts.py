"""Shell scripts: by shellcheck, and run."""

import os
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.deploy.shipped import DEPLOY

SCRIPTS = sorted(
    path
    for path in [*DEPLOY.rglob("*.sh"), *DEPLOY.rglob("*.sbatch"), DEPLOY.parent / ".ci" / "run"]
    if "secrets" not in path.parent.parts
)
DOCKER = DEPLOY / "docker"
SECRET = r"a:b\c%d-0123456789abcdef0123456789"


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs Debian's shellcheck")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = subprocess.run(["shellcheck", "--external-sources", str(script)], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def _run(script: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    given = {"PATH": os.environ["PATH"]} | environment
    return subprocess.run(["bash", str(script), *arguments], env=given, capture_output=True, text=True)


def _write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_the_entry_script_puts_secrets_where_clients_look(tmp_path: Path) -> None:
    secret = _write(tmp_path / "secret", SECRET + "\n")

    done = _run(
        DOCKER / "entrypoint.sh", "env", HOME=str(tmp_path), DATABASE_PASSWORD_FILE=secret, MLFLOW_PASSWORD_FILE=secret
    )

    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout
    assert (tmp_path / ".pgpass").read_text() == "*:*:*:*:" + SECRET.replace("\\", "\\\\").replace(":", "\\:") + "\n"
    credentials = ConfigParser()
    credentials.read(tmp_path / ".mlflow" / "credentials")
    assert dict(credentials["mlflow"]) == {
        "mlflow_tracking_username": "contrasweep",
        "mlflow_tracking_password": SECRET,
    }
    assert all((tmp_path / name).stat().st_mode & 0o077 == 0 for name in (".pgpass", ".mlflow", ".mlflow/credentials"))


@pytest.mark.parametrize(
    ("text", "wrong"), [("short", "shorter than 16"), ("", "shorter than 16"), (f"{SECRET}\n{SECRET}", "one line")]
)
def test_the_entry_script_refuses_a_bad_secret(text: str, wrong: str, tmp_path: Path) -> None:
    secret = _write(tmp_path / "secret", text)

    done = _run(DOCKER / "entrypoint.sh", "env", HOME=str(tmp_path), MLFLOW_PASSWORD_FILE=secret)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: MLFLOW_PASSWORD_FILE={secret}") and wrong in done.stderr
    assert done.stderr.count("\n") == 1


MLFLOW = {
    "MLFLOW_BACKEND_STORE_URI": "postgresql+psycopg2://mlflow@127.0.0.1:1/mlflow",
    "MLFLOW_AUTH_STORE_URI": "postgresql+psycopg2://mlflow@127.0.0.1:1/mlflow_auth",
    "MLFLOW_ARTIFACTS_DESTINATION": "/nowhere",
}
FILES = ("MLFLOW_DATABASE_PASSWORD_FILE", "MLFLOW_ADMIN_PASSWORD_FILE", "MLFLOW_SECRET_KEY_FILE")


@pytest.mark.parametrize("missing", [*MLFLOW, *FILES])
def test_mlflow_does_not_start_without_its_stores_and_secrets(missing: str, tmp_path: Path) -> None:
    environment = MLFLOW | {name: _write(tmp_path / name, SECRET) for name in FILES}
    del environment[missing]

    done = _run(DOCKER / "mlflow-server.sh", **environment)

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {missing} is not set") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("short", [*FILES, "MLFLOW_ACCOUNT_PASSWORD_FILE"])
def test_mlflow_does_not_start_with_a_short_secret(short: str, tmp_path: Path) -> None:
    environment = MLFLOW | {name: _write(tmp_path / name, SECRET) for name in FILES}
    environment[short] = _write(tmp_path / "short", "password1234")

    done = _run(DOCKER / "mlflow-server.sh", **environment)

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {short}=") and "shorter than" in done.stderr


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    for name in ("secrets.sh", ".env.example"):
        shutil.copy(DEPLOY / name, tmp_path)

    done = _run(tmp_path / "secrets.sh")
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    again = _run(tmp_path / "secrets.sh")

    assert done.returncode == 0, done.stderr
    assert len(set(made.values())) == len(made) == 7
    assert all(len(text) == 65 for text in made.values())
    assert all(path.stat().st_mode & 0o077 == 0 for path in [tmp_path / ".env", *(tmp_path / "secrets").iterdir()])
    uid = os.getuid() or 10001
    assert f"RUN_UID={uid}\n" in (tmp_path / ".env").read_text()
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("error: deploy/secrets exists")
    assert made == {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
