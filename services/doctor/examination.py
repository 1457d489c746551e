"""All checks, side by side, each with its time limit."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong

from contrasweep.services.doctor import (
    data,
    folders,
    machine,
    ports,
    private_files,
    servers,
    settings_in_force,
    stores,
    versions,
)
from contrasweep.services.doctor.finding import Check, Finding, Found, fail, told
from contrasweep.services.settings import Settings, load_settings
from contrasweep.trainers.errors import UserError

TIME_LIMIT_S = 30.0
"""For a check that hangs all the same: each gives up by itself after a few seconds."""

MACHINE: Mapping[str, Callable[[], Found | None]] = {
    "python": versions.python,
    "packages": versions.packages,
    "gpu": machine.gpu,
    "open files": machine.open_files,
}
"""What can be looked at whatever the settings say."""

INSTALLATION: Mapping[str, Check] = {
    "home": folders.home,
    "storage": folders.storage,
    "locks": folders.locks,
    "volumes": folders.volumes,
    "shared folders": folders.shared,
    "data roots": data.roots,
    "optuna": stores.optuna_storage,
    "mlflow": stores.mlflow_store,
    "ray": servers.ray_address,
    "ray jobs": servers.ray_jobs,
    "service": servers.service,
    "clock": servers.clock,
    "private files": private_files.private_files,
    "port 8080": ports.service_port,
    "port 5000": ports.dashboard_port,
    "shared memory": machine.shared_memory,
}


def examine() -> list[Finding]:
    """Every finding, in the order of the lists; where the settings are wrong, what needs them is left out."""
    checks: dict[str, Callable[[], Found | None]] = dict(MACHINE)
    settings: Settings | None = None
    try:
        settings = load_settings()
        checks["settings"] = settings_in_force.sources
        checks |= {name: _with(check, settings) for name, check in INSTALLATION.items()}
    except UserError as error:
        complaint = str(error)
        checks["settings"] = lambda: fail(
            complaint, "correct it; until then stores, folders and servers are not checked"
        )
    answers = {name: _begin(name, check) for name, check in checks.items()}
    findings = [(name, _end(answer)) for name, answer in answers.items()]
    return [
        Finding(check=name, level=found[0], said=told(found[1], settings), advice=told(found[2], settings))
        for name, found in findings
        if found
    ]


def _with(check: Check, settings: Settings) -> Callable[[], Found | None]:
    return lambda: check(settings)


def _begin(name: str, check: Callable[[], Found | None]) -> "Future[Found | None]":
    answer: Future[Found | None] = Future()

    def run() -> None:
        try:
            answer.set_result(check())
        except UserError as error:
            answer.set_result(fail(str(error), "correct it"))
        except Exception as error:  # whatever a check stumbles over is a finding, and the others go on
            answer.set_result(fail(f"{type(error).__name__}: {error}", "this check itself went wrong"))

    # Not a pool: its threads are waited for at exit, and one of these may hang.
    threading.Thread(target=run, name=f"doctor-{name}", daemon=True).start()
    return answer


def _end(answer: "Future[Found | None]") -> Found | None:
    try:
        return answer.result(TIME_LIMIT_S)
    except TookTooLong:
        return fail(f"no answer within {TIME_LIMIT_S:.0f} s", "see that what it asks is up and can be reached")
