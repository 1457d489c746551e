import http.server
import threading
from collections.abc import Iterator

import pytest

from contrasweep.services.verbs import jobs_client
from contrasweep.services.verbs.jobs_client import ClusterAway, JobsClient, last_line
from tests.cluster.server import free_ports

pytestmark = pytest.mark.usefixtures("ray_local")
"""Ray reads the token of its own only once; from then on the environment may be without."""


class _Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[str]:
    """A web server that is no Ray dashboard."""
    server = http.server.HTTPServer(("127.0.0.1", 0), _Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)


def test_nobody_there() -> None:
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(ClusterAway, match=f"^no Ray cluster at {address}: no connection; .*http://HEAD:8265$"):
        JobsClient(address)


def test_no_dashboard(shop: str) -> None:
    with pytest.raises(ClusterAway, match=f"^no Ray cluster at {shop}: what answers there is no dashboard"):
        JobsClient(shop)


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_client, "READ_S", 0.1)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Shop) as silent:  # accepts, and never serves
        address = f"http://127.0.0.1:{silent.server_port}"
        with pytest.raises(ClusterAway, match=f"^no Ray cluster at {address}: nothing answers in time"):
            JobsClient(address)


def test_the_address_asked_for_wins(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")
    with pytest.raises(ClusterAway, match=shop):
        JobsClient(shop)


def test_last_line() -> None:
    assert last_line(RuntimeError("Traceback:\n  line\nValueError: no\n\n")) == "ValueError: no"
    assert last_line("") == ""
    assert (
        last_line("log\nno answer from postgresql://ada:lovelace@db/optuna") == "no answer from postgresql://db/optuna"
    )
