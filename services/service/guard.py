"""What stands in front of the service: who asks, how much, how slowly."""

import asyncio
import ipaddress
import json
import logging
import os
import time
from collections.abc import Callable
from math import ceil
from typing import Annotated, Any

from fastapi import HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from contrasweep.services.service.tokens import Identity, Role, Tokens

BODY_BYTES = 64 * 1024
BODY_S = 10.0
HEADERS_S = 10.0
"""Time to send a whole request's head, from its first byte or from connecting."""
FAILURES = parse("20/minute")
"""Of one client address, before it is told to wait."""

_FIXED_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_HSTS = "max-age=31536000"
_DRAINED_BYTES = 16 * BODY_BYTES
_BEARER = Security(HTTPBearer(auto_error=False, description="A token from `contrasweep token create`."))

log = logging.getLogger("contrasweep.service")


class Guard:
    """Lets in who has a token for the role that a route asks for, and counts those who have none.

    Its three methods are dependencies of routes. All that is wrong with a token gets one answer, 401. After
    `FAILURES` of an address the answer is 429; whoever has a token is let in all the same, or a stranger behind the
    same address would lock them out, and a secret of 256 bits is not guessed.
    """

    def __init__(self, tokens: Tokens, on_failure: Callable[[], None] = lambda: None) -> None:
        self._tokens = tokens
        self._on_failure = on_failure
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def viewer(
        self, request: Request, scheme: Annotated[HTTPAuthorizationCredentials | None, _BEARER] = None
    ) -> Identity:
        """Whoever asks, where they may read."""
        return self._admitted(request, "viewer")

    async def submitter(
        self, request: Request, scheme: Annotated[HTTPAuthorizationCredentials | None, _BEARER] = None
    ) -> Identity:
        """Whoever asks, where they may run sweeps."""
        return self._admitted(request, "submitter")

    async def admin(
        self, request: Request, scheme: Annotated[HTTPAuthorizationCredentials | None, _BEARER] = None
    ) -> Identity:
        """Whoever asks, where they may do all."""
        return self._admitted(request, "admin")

    def _admitted(self, request: Request, role: Role) -> Identity:
        identity = self._tokens.whose(_bearer(request))
        if identity is None:
            raise self._refusal(request)
        if not identity.may(role):
            raise HTTPException(403, f"your role is {identity.role}; this needs {role}")
        return identity

    def _refusal(self, request: Request) -> HTTPException:
        self._on_failure()
        client = _client(request)
        if not self._limiter.hit(FAILURES, client):
            wait_s = max(1, ceil(self._limiter.get_window_stats(FAILURES, client).reset_time - time.time()))
            return HTTPException(429, "too many attempts; wait", {"Retry-After": str(wait_s)})
        log.warning("no valid token: %s from %s", request.method, client)
        return HTTPException(401, "a valid token is needed", {"WWW-Authenticate": "Bearer"})


class Limits:
    """ASGI middleware: bodies up to `BODY_BYTES` that arrive within `BODY_S`, and headers that browsers obey.

    The application gets the body whole. Its own headers stand. No origin is named, so that no other site's page can
    read an answer.
    """

    def __init__(self, app: ASGIApp, body_bytes: int = BODY_BYTES, body_s: float = BODY_S) -> None:
        self._app, self._body_bytes, self._body_s = app, body_bytes, body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message, scope["scheme"])
            await send(message)

        try:
            async with asyncio.timeout(self._body_s):
                body = await self._body(receive)
        except TimeoutError:
            await _refuse(send_guarded, 408, f"the request took longer than {self._body_s:g} s to arrive")
            return
        if body is None:
            return
        if len(body) > self._body_bytes:
            await _refuse(send_guarded, 413, f"the request is larger than {self._body_bytes} bytes")
            return
        await self._app(scope, _replaying(body, receive), send_guarded)

    async def _body(self, receive: Receive) -> bytes | None:
        """The body, or more than is allowed of it; None where the client has gone.

        Some of what is too much is read and thrown away, or the client would only see the connection break.
        """
        parts: list[bytes] = []
        kept = seen = 0
        while seen <= _DRAINED_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            seen += len(part)
            if kept <= self._body_bytes:
                parts.append(part)
                kept += len(part)
            if not message.get("more_body", False):
                break
        return b"".join(parts)


class PunctualProtocol(H11Protocol):
    """uvicorn's HTTP that closes connections whose request head is not whole within `HEADERS_S`.

    uvicorn itself waits for ever, so that a few hundred idle connections would shut everybody else out.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and self._is_between_requests():
            self._await_head()
        super().data_received(data)
        if not self._is_between_requests():
            self._forget_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(HEADERS_S, self._close_dawdler)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_dawdler(self) -> None:
        self._deadline = None
        if self._is_between_requests() and not self.transport.is_closing():
            self.transport.abort()


def uvicorn_options() -> dict[str, Any]:
    """How uvicorn serves the service: strict, silent about itself, and with an end to everything.

    A proxy's word on the client's address counts only from the addresses in FORWARDED_ALLOW_IPS.
    """
    return {
        "http": PunctualProtocol,
        "ws": "none",
        "server_header": False,
        "proxy_headers": "FORWARDED_ALLOW_IPS" in os.environ,
        "limit_concurrency": 512,
        "timeout_keep_alive": 5,
        "timeout_graceful_shutdown": 10,
        "access_log": False,
    }


def _bearer(request: Request) -> str:
    """The token in the Authorization header, which must be there once; "" without."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""


def _client(request: Request) -> str:
    """Whose failures count together: an address, of IPv6 the network that one subscriber has."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address), 64), strict=False))


def _add_headers(message: Message, scheme: str) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _FIXED_HEADERS.items():
        headers.setdefault(name, value)
    if scheme == "https":
        headers.setdefault("strict-transport-security", _HSTS)


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _replaying(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body first, and then what comes."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed
