"""Tokens: made, known, listed, revoked; and the file that holds their hashes."""

import hashlib
import json
import math
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contrasweep.services.cli import app
from contrasweep.services.service import tokens as module
from contrasweep.services.service.tokens import FILE, Identity, Tokens
from contrasweep.trainers.errors import UserError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / FILE


def fresh(path: Path) -> Tokens:
    """As a process that has just started reads the file."""
    return Tokens(path)


def test_a_token_says_who_it_is(path: Path) -> None:
    text = Tokens(path).create("ada@lab.org", "submitter")
    assert fresh(path).whose(text) == Identity("ada@lab.org", "submitter")


def test_roles_include_those_below() -> None:
    may = {role: [Identity("a", role).may(other) for other in module.ROLES] for role in module.ROLES}
    assert may == {
        "viewer": [True, False, False],
        "submitter": [True, True, False],
        "admin": [True, True, True],
    }


def test_only_the_hash_is_kept(path: Path) -> None:
    text = Tokens(path).create("ada", "viewer")
    secret = text.split("_", 2)[2]
    assert len(secret) * 6 >= 256
    kept = path.read_text()
    assert text not in kept and secret not in kept
    assert json.loads(kept)[0]["digest"] == hashlib.sha256(text.encode()).hexdigest()


def test_two_tokens_differ(path: Path) -> None:
    tokens = Tokens(path)
    assert tokens.create("ada", "viewer") != tokens.create("ada", "viewer")
    assert len(tokens.every()) == 2


def test_others_cannot_read_the_file_at_any_moment(path: Path) -> None:
    previous = os.umask(0)
    try:
        Tokens(path).create("ada", "viewer")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_file_that_others_can_read_or_write_is_refused(path: Path, mode: int) -> None:
    text = Tokens(path).create("ada", "viewer")
    path.chmod(mode)
    assert fresh(path).whose(text) is None
    with pytest.raises(UserError, match="chmod 600"):
        Tokens(path).every()
    with pytest.raises(UserError, match="chmod 600"):
        Tokens(path).create("eve", "admin")


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": 1}', '[{"id": "x"}]', "\x80"])
def test_a_broken_file_lets_nobody_in(path: Path, content: str) -> None:
    text = Tokens(path).create("ada", "viewer")
    path.write_text(content)
    assert fresh(path).whose(text) is None
    with pytest.raises(UserError, match="holds no tokens"):
        Tokens(path).every()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cs_",
        "cs_000000000000_" + "A" * 43,
        "Bearer x",
        "é" * 60,
        "\ud800",
        "cs_" + "0" * 100_000,
    ],
)
def test_others_are_unknown(path: Path, text: str) -> None:
    Tokens(path).create("ada", "admin")
    assert fresh(path).whose(text) is None


def test_one_wrong_character_is_wrong(path: Path) -> None:
    text = Tokens(path).create("ada", "admin")
    other = text[:-1] + ("A" if text[-1] != "A" else "B")
    assert fresh(path).whose(other) is None
    assert fresh(path).whose(text + "\n") is None
    assert fresh(path).whose(text.upper()) is None


def test_a_token_of_one_id_does_not_serve_as_another(path: Path) -> None:
    tokens = Tokens(path)
    mine, other = tokens.create("ada", "viewer"), tokens.create("root", "admin")
    mixed = "_".join([*other.split("_", 2)[:2], mine.split("_", 2)[2]])
    assert fresh(path).whose(mixed) is None


def test_an_expired_token_is_unknown(path: Path) -> None:
    text = Tokens(path).create("ada", "viewer", days=1)
    assert fresh(path).whose(text) is not None
    record = json.loads(path.read_text())
    record[0]["expires"] = time.time() - 1
    path.write_text(json.dumps(record))
    assert fresh(path).whose(text) is None


def test_a_revoked_token_is_unknown_to_a_running_service(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_AGAIN_S", 0.0)
    running = Tokens(path)
    assert running.whose("") is None
    text = Tokens(path).create("ada", "viewer")
    assert running.whose(text) is not None
    Tokens(path).revoke(text.split("_")[1])
    assert running.whose(text) is None


def test_nothing_is_known_without_a_file(path: Path) -> None:
    assert Tokens(path).every() == []
    assert Tokens(path).whose("cs_x") is None


def test_revoking_names_the_nearest(path: Path) -> None:
    name = Tokens(path).create("ada", "viewer").split("_")[1]
    with pytest.raises(UserError, match=f"did you mean '{name}'"):
        Tokens(path).revoke(name[:-1])


@pytest.mark.parametrize("user", ["", "-x", "a b", "a/b", "../a", "аda", "a\n", "a" * 64, "a;b", "$(x)"])
def test_names_of_users_are_plain(path: Path, user: str) -> None:
    with pytest.raises(UserError, match="--user"):
        Tokens(path).create(user, "viewer")


@pytest.mark.parametrize(
    ("role", "days", "said"),
    [("root", None, "--role"), ("", None, "--role"), *[("admin", days, "--days") for days in (0, -1, math.nan, 1e9)]],
)
def test_roles_and_days_are_checked(path: Path, role: str, days: float | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Tokens(path).create("ada", role, days)


def test_no_token_is_lost_among_writers(path: Path) -> None:
    threads = [threading.Thread(target=lambda: Tokens(path).create("ada", "viewer")) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Tokens(path).every()) == 12
    assert {file.name for file in path.parent.iterdir()} == {FILE, "tokens.lock"}


def test_the_commands_make_show_and_revoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    run = CliRunner()
    made = run.invoke(app, ["token", "create", "--user", "ada", "--role", "viewer", "--days", "30"])
    text = made.output.strip()
    assert Tokens(tmp_path / FILE).whose(text) == Identity("ada", "viewer")
    name, secret = text.split("_", 2)[1:]
    listed = run.invoke(app, ["token", "list"]).output
    assert name in listed and "ada" in listed and "viewer" in listed
    assert secret not in listed and hashlib.sha256(text.encode()).hexdigest() not in listed
    assert "revoked" in run.invoke(app, ["token", "revoke", name]).output
    assert Tokens(tmp_path / FILE).whose(text) is None
