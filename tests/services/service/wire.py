"""A real server to talk to, down to single bytes."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from contrasweep.services.service.guard import uvicorn_options

PATIENCE_S = 20.0


@contextmanager
def serving(app: ASGIApp) -> Iterator[int]:
    """`app` under uvicorn with the service's options, for as long as the block; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, **uvicorn_options()))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)


@contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    """A connection that waits for an answer for at most `PATIENCE_S`."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as opened:
        opened.settimeout(PATIENCE_S)
        yield opened


def answer(opened: socket.socket) -> bytes:
    """All that comes until the server closes; what a broken connection still gave."""
    received = b""
    try:
        while part := opened.recv(65536):
            received += part
    except ConnectionError:
        pass
    return received


def status(received: bytes) -> int:
    """The status of a raw answer; 0 where there was none."""
    first = received.split(b"\r\n", 1)[0].split()
    return int(first[1]) if len(first) > 1 and first[0].startswith(b"HTTP/") else 0
