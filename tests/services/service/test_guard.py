"""The guard before a small application, under the server that the service runs in."""

import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from contrasweep.services.service import guard as module
from contrasweep.services.service.guard import BODY_BYTES, Guard, Limits
from contrasweep.services.service.tokens import FILE, Identity, Tokens
from tests.services.service.wire import answer, connection, serving, status

WAIT_S = 0.3


@dataclass
class Served:
    """A server with a route for each role, and a token for each."""

    port: int
    tokens: dict[str, str]
    failures: list[int]

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=headers)

    def post(self, body: bytes) -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{self.port}/echo", content=body)

    def alive(self) -> bool:
        return self.get("/healthz").status_code == 200


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(module, "HEADERS_S", WAIT_S)
    tokens = Tokens(tmp_path / FILE)
    texts = {role: tokens.create(role, role) for role in ("viewer", "submitter", "admin")}
    failures: list[int] = []
    guard = Guard(tokens, on_failure=lambda: failures.append(1))
    app = FastAPI()
    app.add_middleware(Limits, body_s=WAIT_S)

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    @app.get("/viewer")
    async def viewer(identity: Annotated[Identity, Depends(guard.viewer)]) -> str:
        return identity.user

    @app.get("/submitter")
    async def submitter(identity: Annotated[Identity, Depends(guard.submitter)]) -> str:
        return identity.user

    @app.get("/admin")
    async def admin(identity: Annotated[Identity, Depends(guard.admin)]) -> str:
        return identity.user

    with serving(app) as port:
        yield Served(port, texts, failures)


# who


def test_a_role_reaches_its_routes_and_those_below(served: Served) -> None:
    roles = ("viewer", "submitter", "admin")
    reached = {
        role: [served.get(f"/{route}", authorization=f"Bearer {served.tokens[role]}").status_code for route in roles]
        for role in roles
    }
    assert reached == {"viewer": [200, 403, 403], "submitter": [200, 200, 403], "admin": [200, 200, 200]}


def test_all_that_is_wrong_gets_one_answer(served: Served) -> None:
    token = served.tokens["admin"]
    other = token[:-1] + ("A" if token[-1] != "A" else "B")
    wrong = [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": f"Bearer {other}"}]
    wrong += [{"authorization": f"Basic {token}"}, {"authorization": token}, {"authorization": f"Bearer {token} x"}]
    wrong += [{"cookie": f"token={token}"}, {"x-api-key": token}]
    answers = [served.get("/viewer", **headers) for headers in wrong]
    answers += [served.get(f"/viewer?token={token}&access_token={token}")]
    assert {(one.status_code, one.text, one.headers["www-authenticate"]) for one in answers} == {
        (401, '{"detail":"a valid token is needed"}', "Bearer")
    }
    assert len(served.failures) == len(answers)


def test_two_tokens_are_none(served: Served) -> None:
    line = f"authorization: Bearer {served.tokens['admin']}\r\n".encode()
    with connection(served.port) as opened:
        opened.sendall(b"GET /viewer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + 2 * line + b"\r\n")
        assert status(answer(opened)) == 401


def test_failures_are_limited_and_tokens_still_let_in(served: Served) -> None:
    codes = [served.get("/viewer", authorization="Bearer x").status_code for _ in range(25)]
    assert codes == [401] * 20 + [429] * 5
    refused = served.get("/viewer", authorization="Bearer x")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert served.get("/viewer", authorization=f"bearer {served.tokens['viewer']}").status_code == 200


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "unknown"),
    ],
)
def test_an_ipv6_network_counts_as_one_client(host: str, counted: str) -> None:
    assert module._client(Request({"type": "http", "client": (host, 1)})) == counted


def test_no_token_is_logged(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = served.tokens["admin"][:-1]
    served.get("/viewer", authorization=f"Bearer {wrong}")
    served.get("/viewer", authorization=f"Bearer {served.tokens['admin']}")
    assert "no valid token: GET from 127.0.0.1" in caplog.text
    ours = "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith("httpcore"))
    assert wrong not in ours


# how much


def test_bodies_up_to_the_limit_arrive(served: Served) -> None:
    assert served.post(b"x" * BODY_BYTES).json() == BODY_BYTES
    assert served.post(b"").json() == 0


@pytest.mark.parametrize("size", [BODY_BYTES + 1, 300_000])
def test_larger_bodies_are_refused_in_words(served: Served, size: int) -> None:
    refused = served.post(b"x" * size)
    assert (refused.status_code, refused.json()) == (413, {"detail": "the request is larger than 65536 bytes"})
    assert served.alive()


def test_a_huge_body_is_cut_off(served: Served) -> None:
    with connection(served.port) as opened:
        opened.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10485760\r\n\r\n")
        try:
            for _ in range(160):
                opened.sendall(b"x" * 65536)
        except ConnectionError:
            pass
        assert status(answer(opened)) in (413, 0)
    assert served.alive()


def test_an_endless_chunked_body_is_cut_off(served: Served) -> None:
    with connection(served.port) as opened:
        opened.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 64_000_000:
                opened.sendall(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
                sent += 0x8000
        except ConnectionError:
            pass
        assert sent < 64_000_000
    assert served.alive()


# how slowly


def test_a_body_that_dribbles_is_cut_off(served: Served) -> None:
    with connection(served.port) as opened:
        started = time.monotonic()
        opened.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx")
        received = answer(opened)
        assert status(received) == 408
        assert time.monotonic() - started < 100 * WAIT_S
    assert served.alive()


@pytest.mark.parametrize("beginning", [b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\n", b"G"])
def test_a_head_that_does_not_end_is_cut_off(served: Served, beginning: bytes) -> None:
    with connection(served.port) as opened:
        started = time.monotonic()
        opened.sendall(beginning)
        assert answer(opened) == b""
        assert WAIT_S / 2 < time.monotonic() - started < 100 * WAIT_S


def test_a_second_head_that_does_not_end_is_cut_off(served: Served) -> None:
    with connection(served.port) as opened:
        opened.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(WAIT_S / 3)
        opened.sendall(b"GET /healthz HTTP/1.1\r\nho")
        started = time.monotonic()
        assert answer(opened).count(b"HTTP/1.1 200") == 1
        assert time.monotonic() - started < 100 * WAIT_S


def test_a_connection_may_be_used_again(served: Served) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{served.port}") as client:
        for _ in range(3):
            assert client.get("/healthz").status_code == 200
            time.sleep(WAIT_S / 2)


# what every answer says


def test_headers_of_every_answer(served: Served) -> None:
    for one in (served.get("/healthz"), served.get("/nothing"), served.get("/viewer"), served.post(b"x" * 70_000)):
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["cache-control"] == "no-store"
        assert one.headers["referrer-policy"] == "no-referrer"
        assert one.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "server" not in one.headers
        assert "strict-transport-security" not in one.headers


def test_an_answer_over_https_stays_with_https(served: Served) -> None:
    message: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
    module._add_headers(message, "https")
    assert (b"strict-transport-security", b"max-age=31536000") in message["headers"]


def test_no_other_origin_may_read(served: Served) -> None:
    asked = served.get("/healthz", origin="https://evil.example")
    assert not [name for name in asked.headers if name.startswith("access-control")]
    preflight = httpx.options(
        f"http://127.0.0.1:{served.port}/viewer",
        headers={"origin": "https://evil.example", "access-control-request-method": "GET"},
    )
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_what_is_no_http_is_refused(served: Served) -> None:
    for sent in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET\r\n\r\n"):
        with connection(served.port) as opened:
            opened.sendall(sent)
            received = answer(opened)
        assert status(received) == 400
        assert not re.search(rb"(?i)^server:", received, re.MULTILINE)
    assert served.alive()
