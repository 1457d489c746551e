"""Ports that commands without options listen on."""

import errno
import socket

from contrasweep.services.doctor.finding import Found, ok, warn
from contrasweep.services.settings import Settings

SERVICE, DASHBOARD = 8080, 5000


def service_port(settings: Settings) -> Found | None:
    """Where `contrasweep serve` listens, if the service is not elsewhere."""
    return None if settings.server else _free(SERVICE, "contrasweep serve")


def dashboard_port(settings: Settings) -> Found | None:
    """Where `contrasweep ui` listens, if the dashboard is not a server's."""
    return None if settings.tracking_uri.startswith("http") else _free(DASHBOARD, "contrasweep ui")


def _free(port: int, command: str) -> Found:
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return warn(f"port {port} is taken", f"{command} --port another, unless it is {command} that has it")
    return ok(f"port {port} is free for {command}")
