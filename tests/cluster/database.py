"""PostgreSQL, from Debian's package, with a password, in a temporary folder."""

import contextlib
import os
import pwd
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.server import Server, free_ports, plain_environment

UNPRIVILEGED = "nobody"


class Database:
    """A running PostgreSQL."""

    def __init__(self, server: Server, programs: Path, port: int, password: str) -> None:
        self.server, self._programs, self._port, self.password = server, programs, port, password

    def create(self, name: str) -> str:
        """A new database; its address, without the password."""
        said = ["--host=127.0.0.1", f"--port={self._port}", "--username=contrasweep", name]
        environment = {**plain_environment(), "PGPASSWORD": self.password}
        subprocess.run([str(self._programs / "createdb"), *said], env=environment, check=True, timeout=60)
        return f"postgresql+psycopg2://contrasweep@127.0.0.1:{self._port}/{name}"

    def create_with_password(self, name: str) -> str:
        """A new database; its address, password and all."""
        return self.create(name).replace("contrasweep@", f"contrasweep:{self.password}@")


@contextlib.contextmanager
def postgres() -> Iterator[Database]:
    """PostgreSQL for as long as the block. Skips where it is not installed."""
    programs = _programs()
    (port,) = free_ports(1)
    password = secrets.token_hex(16)
    account = _account()
    with tempfile.TemporaryDirectory(prefix="contrasweep-postgres-") as name:
        folder = Path(name)
        (folder / "password").write_text(password)
        for path in (folder, folder / "password") if account else ():
            os.chown(path, account["user"], account["group"])
        _initialise(programs, folder, account)
        # Nothing is on disk for the sake of a crash of the machine: the tests only crash programs.
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        ready = [str(programs / "pg_isready"), "--host=127.0.0.1", f"--port={port}", "--quiet"]
        server = Server(
            "postgres",
            [str(programs / "postgres"), "-D", str(folder / "data"), *settings],
            plain_environment(),
            folder,
            lambda: subprocess.run(ready, timeout=20).returncode == 0,
            account,
        )
        try:
            server.start()
            yield Database(server, programs, port, password)
        finally:
            server.stop()


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL here: Debian's package is postgresql")
    return found[-1].parent


def _account() -> dict[str, Any]:
    """Whose processes they are: root is refused."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(UNPRIVILEGED)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _initialise(programs: Path, folder: Path, account: Mapping[str, Any]) -> None:
    options = ["--username=contrasweep", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
    subprocess.run(
        [str(programs / "initdb"), "-D", str(folder / "data"), "--locale=C.UTF-8", "--encoding=UTF8", *options],
        cwd=folder,
        env=plain_environment(),
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=120,
        **account,
    )
