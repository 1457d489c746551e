"""Each check against a thing that is really broken, and one that is not."""

import errno
import fcntl
import http.server
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from upath import UPath

from contrasweep.services.doctor import data, folders, machine, ports, private_files, servers, stores, versions
from contrasweep.services.doctor.finding import Check
from contrasweep.services.settings import Settings
from contrasweep.trainers.errors import UserError
from tests.services.stores.mlflow_databases import BEFORE, pretend

Answers = dict[str, tuple[int, str]]
Serve = Callable[..., str]


@pytest.fixture(autouse=True)
def nothing_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No login, token or home of the person who runs the tests."""
    for name in [name for name in os.environ if name.startswith(("CONTRASWEEP_", "RAY_AUTH", "MLFLOW_TRACKING", "PG"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "person"))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a tiny server with these answers by path; `secret` is what Authorization must end in."""
    started = []

    def start(answers: Answers, secret: str = "", ahead_s: float = 0.0) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(answers, secret, ahead_s))
        started.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def _handler(answers: Answers, secret: str, ahead_s: float) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            given = self.headers.get("Authorization", "")
            open_paths = ("/healthz", "/version")
            allowed = not secret or path in open_paths or given.endswith(secret)
            code, body = answers.get(path, (404, "")) if allowed else (401 if not given else 403, "")
            if path == "/sweeps" and not allowed:
                code = 401
            self.send_response_only(code)
            self.send_header("Date", formatdate(time.time() + ahead_s, usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler


@pytest.fixture
def closed() -> str:
    """An address that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{held.getsockname()[1]}"


def level(check: Check, words: str = "", **settings: Any) -> str:
    """What a check comes to; its line must have these words."""
    found = check(Settings.model_validate(settings))
    if found is None:
        return "none"
    assert words in f"{found[1]}; {found[2]}", found
    return found[0]


MLFLOW: Answers = {"/version": (200, version("mlflow")), "/api/2.0/mlflow/experiments/search": (200, "{}")}
RAY: Answers = {"/api/version": (200, f'{{"ray_version": "{version("ray")}"}}')}
SERVICE: Answers = {"/healthz": (200, ""), "/sweeps": (200, "[]"), "/readyz": (200, "")}


def test_python_and_packages() -> None:
    assert versions.python()[0] == "ok"
    wanted = [Requirement("optuna==0.1"), Requirement("no-such-package>=2"), Requirement("numpy>=1")]
    assert versions.packages_against(wanted[2:])[0] == "ok"
    verdict, said, _ = versions.packages_against(wanted)
    assert verdict == "fail"
    assert f"optuna {version('optuna')} (==0.1 is needed)" in said and "no-such-package is missing" in said
    assert "numpy" not in said


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    assert level(folders.home, "made on first use", home=tmp_path / "a" / "b") == "ok"
    assert not (tmp_path / "a").exists()
    assert level(folders.storage, "CONTRASWEEP_STORAGE_PATH", storage_path="/proc/storage") == "fail"
    (tmp_path / "file").touch()
    assert level(folders.volumes, "CONTRASWEEP_VOLUMES", volumes=tmp_path / "file" / "volumes") == "fail"


def test_locks_where_there_is_no_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path / "home")
    assert folders.locks(settings) == ("ok", "flock works", "")
    monkeypatch.setattr("contrasweep.services.locks.has_flock", lambda folder: False)
    monkeypatch.setattr(folders, "has_flock", lambda folder: False)
    level, said, advice = folders.locks(settings) or ("", "", "")
    assert level == "warn"
    assert said.startswith(f"no flock that all machines see in {settings.home} (")
    assert "mount it with flock" in advice
    assert list(tmp_path.iterdir()) == []


def test_a_home_where_sqlite_cannot_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lockf(file: Any, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", lockf)
    level, said, advice = folders.locks(Settings(home=tmp_path)) or ("", "", "")
    assert (level, said) == ("fail", f"SQLite cannot lock its files in {tmp_path}")
    assert "CONTRASWEEP_OPTUNA_STORAGE" in advice
    elsewhere = Settings(home=tmp_path, optuna_storage="postgresql://host/optuna")
    assert (folders.locks(elsewhere) or ("",))[0] == "ok"


def test_a_disk_with_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "WARN_GB", 1e9)
    assert level(folders.home, "make room", home=tmp_path) == "warn"
    monkeypatch.setattr(folders, "FAIL_GB", 1e9)
    assert level(folders.home, "make room", home=tmp_path) == "fail"


def test_a_full_disk(tmp_path: Path) -> None:
    """In a name space of its own, where a small file system can be mounted."""
    script = (
        f"mount -t tmpfs -o size=64k tmpfs {tmp_path} && head -c 65536 /dev/zero > {tmp_path}/full; "
        f"{sys.executable} -c '"
        "from contrasweep.services.doctor.folders import home; from contrasweep.services.settings import Settings; "
        f'print(home(Settings(home="{tmp_path}/home")))\''
    )
    own = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
    if own.returncode:
        pytest.skip("no mount name space of one's own here")
    said = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    assert said.stdout.startswith("('fail'") and "No space left on device" in said.stdout, said


def test_a_bucket(bucket: Any, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path).model_copy(update={"volumes": bucket})
    before = sorted(bucket.rglob("*"))
    assert folders.volumes(settings)[0] == "ok" and sorted(bucket.rglob("*")) == before
    missing = UPath("s3://no-such-bucket/volumes", **bucket.storage_options)
    assert folders.volumes(settings.model_copy(update={"volumes": missing}))[0] == "fail"


def test_folders_of_a_cluster_on_a_disk_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert level(folders.shared, home=tmp_path) == "none"
    assert level(folders.shared, "home", home=tmp_path, ray_address="head:6379") == "warn"
    monkeypatch.setattr(folders, "LOCAL_FILE_SYSTEMS", {"ext2"})
    assert level(folders.shared, home=tmp_path, ray_address="head:6379") == "ok"


def test_data_roots(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert level(data.roots) == "none"
    assert level(data.roots, "is empty", data_roots=str(tmp_path / "data")) == "fail"
    (tmp_path / "data" / "participants.tsv").touch()
    assert level(data.roots, data_roots=str(tmp_path / "data")) == "ok"
    assert level(data.roots, "No such file", data_roots=f"{tmp_path}/data:{tmp_path}/away") == "fail"


def test_optuna_on_sqlite(tmp_path: Path) -> None:
    from optuna.storages import RDBStorage

    path = tmp_path / "optuna.db"
    url = f"sqlite:///{path}"
    assert level(stores.optuna_storage, "made on first use", optuna_storage=url) == "ok"
    assert not path.exists()
    RDBStorage(url).engine.dispose()
    before = path.read_bytes()
    assert level(stores.optuna_storage, "can be written", optuna_storage=url) == "ok"
    with sqlite3.connect(path) as database:
        database.execute("update alembic_version set version_num = 'v0.9.0.a'")
    assert level(stores.optuna_storage, "optuna storage upgrade", optuna_storage=url) == "fail"
    assert len(path.read_bytes()) == len(before), "the check leaves nothing behind"
    path.write_bytes(b"no database" * 1000)
    assert level(stores.optuna_storage, "not a database", optuna_storage=url) == "fail"


def test_a_database_that_is_not_there_or_has_no_driver(closed: str) -> None:
    url = f"postgresql+psycopg2://ada:hunter2@{closed}/optuna"
    assert level(stores.optuna_storage, "refused", optuna_storage=url) == "fail"
    assert level(stores.optuna_storage, "psycopg2", optuna_storage=f"postgresql://ada@{closed}/optuna") == "fail"
    assert level(stores.optuna_storage, "CONTRASWEEP_OPTUNA_STORAGE", optuna_storage="nonsense") == "fail"


def test_mlflow(serve: Serve, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = serve(MLFLOW, secret="YWRhOmh1bnRlcjI=")
    assert level(stores.mlflow_store, "no MLflow server", tracking_uri=f"http://{closed}") == "fail"
    assert level(stores.mlflow_store, "asks for a login (401)", tracking_uri=url) == "fail"
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    assert level(stores.mlflow_store, "does not take the password of ada", tracking_uri=url) == "fail"
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    assert level(stores.mlflow_store, "as ada", tracking_uri=url) == "ok"
    old = serve({**MLFLOW, "/version": (200, "2.9.0")})
    assert level(stores.mlflow_store, "runs MLflow 2.9.0", tracking_uri=old) == "warn"
    assert level(stores.mlflow_store, "is it an MLflow server?", tracking_uri=serve({})) == "fail"
    complaint = "Detected out-of-date database schema (found version 1, but expected 2)."
    wrong = serve({**MLFLOW, "/api/2.0/mlflow/experiments/search": (500, complaint)})
    assert (
        level(stores.mlflow_store, "of another MLflow than the server's; whoever runs it", tracking_uri=wrong) == "fail"
    )


@pytest.mark.parametrize(
    ("number", "words"), [(BEFORE, "an earlier MLflow than"), ("ffff", "a later MLflow than"), ("", "can be written")]
)
def test_mlflow_s_tables(tmp_path: Path, number: str, words: str) -> None:
    database = tmp_path / "mlflow.db"
    sqlite3.connect(database).close()
    if number:
        pretend(database, number)
    assert level(stores.mlflow_store, words, tracking_uri=f"sqlite:///{database}") == ("fail" if number else "ok")
    if number == BEFORE:
        assert level(stores.mlflow_store, "the next sweep upgrades it", home=tmp_path) == "warn"


def test_ray(serve: Serve, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = serve(RAY, secret="Bearer hunter2")
    assert level(servers.ray_jobs) == "none"
    assert level(servers.ray_jobs, "no Ray dashboard", jobs_address=f"http://{closed}") == "fail"
    assert level(servers.ray_jobs, "asks for a token", jobs_address=url) == "fail"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    assert level(servers.ray_jobs, "does not take this token", jobs_address=url) == "fail"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "hunter2")
    assert level(servers.ray_jobs, "takes the token", jobs_address=url) == "ok"
    old = serve({"/api/version": (200, '{"ray_version": "2.1.0"}')})
    assert level(servers.ray_jobs, "runs Ray 2.1.0", jobs_address=old) == "fail"
    assert level(servers.ray_jobs, "not as Ray's dashboard does", jobs_address=serve({})) == "fail"
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    assert level(servers.ray_jobs, "asks for no token", jobs_address=serve(RAY)) == "warn"


def test_rays_own_port(serve: Serve, closed: str) -> None:
    assert level(servers.ray_address, "starts on this machine") == "ok"
    assert level(servers.ray_address, ray_address=serve({}).removeprefix("http://")) == "ok"
    assert level(servers.ray_address, "HOST:6379", ray_address=closed) == "fail"


def test_the_service(serve: Serve, closed: str, tmp_path: Path) -> None:
    url = serve(SERVICE, secret="Bearer cs_1")
    assert level(servers.service) == "none"
    assert level(servers.service, "no service", server=f"http://{closed}") == "fail"
    assert level(servers.service, "asks for a token", server=url) == "fail"
    assert level(servers.service, "does not take this token", server=url, token="cs_2") == "fail"
    assert level(servers.service, "takes the token", server=url, token="cs_1") == "ok"
    both = {"token": "cs_1", "token_path": tmp_path / "missing"}  # the commands take the first
    assert level(servers.service, "takes the token", server=url, **both) == "ok"
    with pytest.raises(UserError, match="missing cannot be read: No such file"):
        level(servers.service, server=url, token_path=tmp_path / "missing")
    busy = serve({**SERVICE, "/readyz": (503, '{"detail": "the cluster does not answer"}')})
    assert level(servers.service, "the cluster does not answer", server=busy, token="cs_1") == "warn"
    assert level(servers.service, "answers 404", server=serve({}), token="cs_1") == "fail"


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        assert level(servers.service, "no answer within", server=url) == "fail"
        assert time.monotonic() - began < 20


def test_clocks(serve: Serve, closed: str) -> None:
    assert level(servers.clock) == "none"
    assert level(servers.clock, server=f"http://{closed}") == "none"
    assert level(servers.clock, "agrees with 1", server=serve(SERVICE)) == "ok"
    assert level(servers.clock, "s ahead", server=serve(SERVICE, ahead_s=60)) == "warn"
    assert level(servers.clock, "s behind", server=serve(SERVICE, ahead_s=-60)) == "warn"


def test_files_that_others_can_read(tmp_path: Path) -> None:
    token = tmp_path / "token"
    assert level(private_files.private_files, token_path=token, home=tmp_path / "home") == "none"
    token.write_text("cs_1")
    token.chmod(0o640)
    assert level(private_files.private_files, f"chmod 600 {token}", token_path=token) == "fail"
    token.chmod(0o600)
    assert level(private_files.private_files, "yours alone", token_path=token) == "ok"


def test_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(ports, "SERVICE", taken.getsockname()[1])
        assert level(ports.service_port, "--port another") == "warn"
        assert level(ports.service_port, server="http://host:8080") == "none"
    assert level(ports.service_port, "is free") == "ok"
    assert level(ports.dashboard_port, tracking_uri="http://mlflow:5000") == "none"


def program(folder: Path, name: str, text: str, code: int = 0) -> None:
    """A program that says this."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
    path.chmod(0o755)


def test_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpu() == ("ok", "no GPU: CPU training", "")
    program(tmp_path, "nvidia-smi", "NVIDIA-SMI has failed", code=9)
    verdict, said, _ = machine.gpu()
    assert (verdict, "NVIDIA-SMI has failed" in said) == ("warn", True)


def test_a_gpu_that_torch_cannot_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if torch.cuda.is_available():
        assert machine.gpu()[0] == "ok"
        return
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "nvidia-smi", "NVIDIA H100, 570.86")
    verdict, said, _ = machine.gpu()
    assert (verdict, "1 GPU(s): NVIDIA H100, 570.86" in said) == ("fail", True)


def test_shared_memory_and_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert level(machine.shared_memory, "--shm-size", resident_limit_gb=1e6) == "warn"
    assert level(machine.shared_memory, resident_limit_gb=1e-6) == "ok"
    monkeypatch.setattr(machine, "OPEN_FILES", 0)
    assert machine.open_files()[0] == "ok"
    monkeypatch.setattr(machine, "OPEN_FILES", 2**40)
    assert machine.open_files()[0] == "warn"
