"""Gives the user `contrasweep` of an MLflow server the password of its file, once the server answers.

Sweeps log as this user, who is no administrator. Runs beside the server and ends with exit code 0 when the user can log
in, else with 1 and one line.
"""

import json
import os
import sys
import time
from base64 import b64encode
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

USER = "contrasweep"
WAIT_S = 300.0
TIMEOUT_S = 30.0
API = "/api/2.0/mlflow/users/"


def main() -> int:
    """Wait for the server, then make the user or change the password."""
    port = os.environ["MLFLOW_PORT"]
    base = f"http://127.0.0.1:{port}"
    admin = _secret("MLFLOW_ADMIN_PASSWORD_FILE")
    account = {"username": USER, "password": _secret("MLFLOW_ACCOUNT_PASSWORD_FILE")}
    if not _answers(base):
        print(f"error: no answer from MLflow within {WAIT_S:.0f} s; user {USER} was not made", file=sys.stderr)
        return 1
    if _call(base, f"get?username={USER}", "GET", (USER, account["password"])) == 200:
        return 0
    status = _call(base, "create", "POST", ("admin", admin), account)
    if status != 200:
        status = _call(base, "update-password", "PATCH", ("admin", admin), account)
    if status != 200:
        print(f"error: MLflow answers {status} when the admin makes the user {USER}", file=sys.stderr)
        return 1
    return 0


def _secret(variable: str) -> str:
    return Path(os.environ[variable]).read_text().rstrip("\n")


def _answers(base: str) -> bool:
    server, end = os.getppid(), time.monotonic() + WAIT_S
    while os.getppid() == server and time.monotonic() < end:
        try:
            with urlopen(f"{base}/health", timeout=TIMEOUT_S):
                return True
        except (URLError, OSError):
            time.sleep(1)
    return False


def _call(base: str, path: str, method: str, login: tuple[str, str], body: dict[str, str] | None = None) -> int:
    """The HTTP status of a call; bodies are not looked at."""
    authorization = "Basic " + b64encode(":".join(login).encode()).decode()
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(base + API + path, data, headers, method=method), timeout=TIMEOUT_S) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


if __name__ == "__main__":
    sys.exit(main())
