"""What the service measures, for Prometheus. Labels are routes, states and users, never ids."""

import logging
import time
from collections import Counter as Count
from collections import defaultdict
from collections.abc import Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contrasweep.services.records.answers import State
from contrasweep.services.service.queue import WINDOW_S, gpu_hours, line
from contrasweep.services.service.sweeps import Service

BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONGEST_PATH = 200
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

access = logging.getLogger("contrasweep.access")


class Measures:
    """The service's registry; `text` is one scrape of it."""

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "contrasweep_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "contrasweep_http_request_seconds",
            "Time until an answer began.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._refused = Counter(
            "contrasweep_authentication_failures", "Requests without a valid token.", registry=self._registry
        )
        self._registry.register(_Sweeps(service))

    def count_refused(self) -> None:
        """One more request without a valid token."""
        self._refused.inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One more request."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """All measures in Prometheus' text format."""
        return generate_latest(self._registry)


class Measured:
    """ASGI middleware: counts every request by the template of its route."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app, self._measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                seconds = time.perf_counter() - began
                self._measures.answered(scope["method"], route, message["status"], seconds)
                _log(scope, message["status"], seconds)
            await send(message)

        await self._app(scope, receive, send_counted)


def _log(scope: Scope, status: int, seconds: float) -> None:
    """A line of the access log: no query and no header, and nothing that would break the line."""
    client, path = (scope.get("client") or ("unknown",))[0], ascii(scope["path"][:LONGEST_PATH])[1:-1]
    access.info("%s %s %s %d %.1f ms", client, scope["method"], path, status, seconds * 1000)


class _Sweeps(Collector):
    """What the queue and the ledger say at the moment of the scrape."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Every figure once."""
        service, loop, now = self._service, self._service.loop, time.time()
        entries = service.entries()
        waiting = line(entries)
        states = Count(sweep.state for sweep in service.known())
        by_state = GaugeMetricFamily("contrasweep_sweeps", "Sweeps by state.", labels=["state"])
        for state in get_args(State):
            by_state.add_metric([state], states[state])
        yield by_state
        undelivered = sum(sweep.undelivered for sweep in service.known())
        yield _gauge("sweeps_undelivered", "Sweeps of which MLflow lacks some.", undelivered)
        yield _gauge("queue_length", "Sweeps that wait.", len(waiting))
        oldest = max((now - entry.queued for entry in waiting), default=0.0)
        yield _gauge("queue_oldest_wait_seconds", "How long the sweep that waits longest has waited.", oldest)
        hours = GaugeMetricFamily(
            "contrasweep_gpu_hours", f"GPU-hours of the last {WINDOW_S / 86400:g} days.", labels=["user"]
        )
        owned = defaultdict(list)
        for entry in entries:
            owned[entry.user].append(entry)
        for user, own in owned.items():
            hours.add_metric([user], gpu_hours(user, own, loop.observed, now))
        yield hours
        yield _counter("submissions", "Specs submitted since the service began.", service.submissions)
        yield _counter("driver_restarts", "Sweeps put back after their driver died.", loop.restarts)
        yield _gauge("max_running", "Sweeps that may run at once.", loop.quotas.running)
        yield _gauge("queue_last_success_timestamp_seconds", "When the queue last moved.", loop.last_success)
        missing = GaugeMetricFamily("contrasweep_missing", "1 where a part does not answer.", labels=["part"])
        for part in ("cluster", "folders", "queue", "store"):
            missing.add_metric([part], float(part in loop.missing))
        yield missing


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"contrasweep_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"contrasweep_{name}", text, value=value)
