"""The client against the real service, and against servers that are none."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from contrasweep.services.service.bounds import read_spec
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.verbs.http import Client
from contrasweep.trainers.errors import UserError
from tests.services.service.running import Running, as_yaml, running, spec, wait


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("home"), max_running=8) as service:
        yield service


_names = (f"study-{number}" for number in itertools.count())


def client(up: Running, user: str = "ada") -> Client:
    return Client(Settings(server=up.url, token=up.tokens[user]))


def loaded(name: str) -> LoadedSpec:
    return LoadedSpec(read_spec(as_yaml(spec(name)), "yaml"), Path("spec.yaml"), Path("/laptop"))


def test_every_verb(up: Running) -> None:
    ada = client(up)
    submitted = ada.submit(loaded(next(_names)))
    name = submitted.sweep.id
    assert (submitted.outcome, submitted.sweep.user) == ("submitted", "ada")
    wait(lambda: ada.status(name), lambda sweep: sweep.state == "running" and sweep.ended > 2)
    assert ada.submit(loaded(submitted.sweep.name)).outcome == "already running"
    assert name in [sweep.id for sweep in ada.sweeps()]
    assert ada.status(name[:-2]).id == name
    assert ada.trials(name) == []
    assert next(iter(ada.logs(name))) == f"step 1 under sweeps/{name}"
    assert ada.stop(name).state == "stopping"
    wait(lambda: ada.status(name), lambda sweep: sweep.state == "stopped")
    assert ada.resume(name).outcome == "resumed"
    assert ada.stop(name, now=True).state in ("stopping", "stopped")


def test_sweeps_are_compared(up: Running) -> None:
    ada = client(up)
    names = [ada.submit(loaded(next(_names))).sweep.id for _ in range(2)]
    for name in names:
        wait(lambda name=name: ada.status(name), lambda sweep: sweep.state == "running")  # type: ignore[misc]
    compared = ada.compare(names)
    assert [(one.sweep.id, one.sweep.user) for one in compared.sweeps] == [(name, "ada") for name in names]
    assert list(compared.fields) == ["name"]
    for name in names:
        ada.stop(name, now=True)


def test_a_followed_log_comes_as_it_is_written(up: Running) -> None:
    ada = client(up)
    name = ada.submit(loaded(next(_names))).sweep.id
    lines = ada.logs(name, follow=True)
    assert [next(lines), next(lines)] == [f"step {number} under sweeps/{name}" for number in (1, 2)]
    assert ada.status(name).state in ("starting", "running")
    ada.stop(name)
    assert all(line.startswith("step") for line in lines)
    assert ada.status(name).state == "stopped"


def test_what_the_service_refuses_is_one_line(up: Running) -> None:
    ada = client(up)
    asked: list[tuple[Callable[[], object], str]] = [
        (lambda: ada.status("nobody"), "no sweep 'nobody'"),
        (lambda: ada.status("../../etc/passwd"), "no sweep '../../etc/passwd'"),
        (lambda: ada.compare(["nobody", "anybody"]), "no sweep 'nobody'"),
        (lambda: list(ada.logs("nobody", follow=True)), "no sweep 'nobody'"),
        (lambda: client(up, "eve").submit(loaded("eves")), f"{up.url}: not allowed: your role is viewer"),
    ]
    for ask, message in asked:
        with pytest.raises(UserError) as told:
            ask()
        assert str(told.value).startswith(message)
        assert "\n" not in str(told.value)


def test_a_wrong_token_is_told(up: Running) -> None:
    wrong = Client(Settings(server=up.url, token="cs_000000000000_" + "a" * 43))
    with pytest.raises(UserError, match=r"the token is missing, wrong, revoked or expired: CONTRASWEEP_TOKEN_PATH"):
        wrong.sweeps()


def test_the_cluster_away_is_told(up: Running) -> None:
    up.cluster.away = True
    try:
        with pytest.raises(UserError, match=r"the service cannot do that now: the cluster cannot plan now"):
            client(up).plan(loaded("planned"))
    finally:
        up.cluster.away = False


def test_the_token_comes_from_its_file(up: Running, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(up.tokens["ada"] + "\n")
    assert isinstance(Client(Settings(server=up.url, token_path=path)).sweeps(), list)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "CONTRASWEEP_TOKEN_PATH: .*token cannot be read: No such file or directory"),
        ("", "CONTRASWEEP_TOKEN_PATH: is missing"),
        ("two words", "CONTRASWEEP_TOKEN: what it holds is no token"),
        ("a\nb", "CONTRASWEEP_TOKEN: what it holds is no token"),
    ],
)
def test_what_is_no_token_is_told(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(UserError, match=message):
        Client(Settings(server="http://127.0.0.1:1", token_path=tmp_path / "token"))


def test_nobody_there_is_told() -> None:
    with pytest.raises(UserError, match=r"^http://127.0.0.1:1: the service cannot be reached: "):
        Client(Settings(server="http://127.0.0.1:1", token="t")).sweeps()


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A server that gives one answer to everything; yields its address and the tokens that it was sent."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("authorization", ""))
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_token_goes_to_no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, b"[]") as (elsewhere, seen), answering(307, b"", location=f"{elsewhere}/sweeps") as (url, _):
        monkeypatch.setenv("http_proxy", elsewhere)
        with pytest.raises(UserError, match="answers with a redirection"):
            Client(Settings(server=url, token="t")).sweeps()
        assert seen == []


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b"<html>", "what answers there is no contrasweep"),
        (429, b'{"detail": "wait"}', "wait"),
        (500, b'{"detail": "internal error"}', r"the service failed \(500\): internal error"),
        (502, b"<html>bad\ngateway", r"the service failed \(502\): Bad Gateway"),
        (503, b"{}", "the service cannot do that now: Service Unavailable"),
        (409, b'{"detail": ["a", "list"]}', "a"),
    ],
)
def test_every_answer_is_understood_or_told(status: int, body: bytes, message: str) -> None:
    with answering(status, body) as (url, _), pytest.raises(UserError, match=message) as told:
        Client(Settings(server=url, token="t")).sweeps()
    assert "\n" not in str(told.value)
