import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from contrasweep.services import cli
from contrasweep.services.cli import patience, sweeps
from contrasweep.services.records.answers import Sweep

LINES = "one\ntwo\nthree\n"
Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "AGAIN_S", 0.01)
    monkeypatch.setattr(patience, "PATIENCE_S", 0.5)
    monkeypatch.setattr(sweeps, "WATCH_S", 0.01)
    monkeypatch.setenv("CONTRASWEEP_TOKEN", "token")


def contrasweep(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["contrasweep", *arguments])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


@contextmanager
def serving(*answers: Answer) -> Iterator[str]:
    """A service that gives these answers, one after the other, and the last for ever; yields its address."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            (left.pop(0) if len(left) > 1 else left[0])(self)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def saying(text: str, status: int = 200, promised: int | None = None) -> Answer:
    """An answer; where more bytes are promised than come, it breaks off."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("content-length", str(len(text) if promised is None else promised))
        request.end_headers()
        request.wfile.write(text.encode())

    return answer


def standing(state: str) -> Answer:
    return saying(Sweep.model_validate({"id": "study-1", "name": "study", "state": state}).model_dump_json())


def silent(request: BaseHTTPRequestHandler) -> None:
    """Hang up."""


AWAY = [silent, saying('{"detail": "starting"}', 503), saying("<html>", 502)]


def test_watching_survives_a_service_that_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(standing("running"), *AWAY, standing("running"), silent, standing("finished")) as url:
        assert contrasweep("status", "study", "--watch", "--json", "--server", url) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["state"] for line in out.splitlines()] == ["running", "running", "finished"]
    told = err.splitlines()
    assert len(told) == 2, "each outage is told once"
    assert all(line.startswith(f"{url}: the service cannot be reached: ") for line in told)
    assert all(line.endswith("; trying again") for line in told)


def test_a_followed_log_goes_on_where_it_broke_off(capsys: pytest.CaptureFixture[str]) -> None:
    broken = saying(LINES[:6], promised=1000)
    with serving(broken, *AWAY, broken, saying(LINES)) as url:
        assert contrasweep("logs", "study", "--follow", "--server", url) == 0
    out, err = capsys.readouterr()
    assert out == LINES
    assert err.count("trying again") == 2


@pytest.mark.parametrize(
    ("command", "first"), [(["status", "--watch"], standing("running")), (["logs", "--follow"], saying("1\n", 200, 9))]
)
def test_patience_has_an_end(command: list[str], first: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(first, saying("{}", 503)) as url:
        assert contrasweep(*command, "study", "--server", url) == 2
    error = f"{url}: the service cannot do that now: Service Unavailable"
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {error}"


@pytest.mark.parametrize("command", [["status", "--watch"], ["logs", "--follow"]])
def test_nobody_there_at_first_is_told_at_once(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with serving(silent) as url:
        assert contrasweep(*command, "study", "--server", url) == 2
    assert "trying again" not in capsys.readouterr().err


@pytest.mark.parametrize("command", [["status", "--watch"], ["logs", "--follow"]])
def test_a_refusal_ends_it(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    first = standing("running") if "status" in command else saying("1\n", 200, 9)
    with serving(first, saying("{}", 401)) as url:
        assert contrasweep(*command, "study", "--server", url) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {url}: the token is missing")
