"""A Ray cluster's Jobs API: what goes wrong with it is told in one line, and nothing waits for ever."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from contrasweep.services.cluster.environment import TOKEN_PATH, cluster_token
from contrasweep.services.text import without_secrets
from contrasweep.services.verbs.protocol import Away
from contrasweep.trainers.errors import UserError

CONNECT_S, READ_S = 5.0, 60.0
EXAMPLE = "http://HEAD:8265"
_TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
_OVERRIDES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


class ClusterAway(Away):
    """The cluster does not answer, or not as a Ray cluster does."""


class JobsClient:
    """The Jobs API at an address such as `http://HEAD:8265`; the token is the environment's.

    Raises ClusterAway where no cluster answers in time, UserError where it does not take the token.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        token = cluster_token()
        headers = {"Authorization": f"Bearer {token}"} if token else None
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        for name in _OVERRIDES:  # they would win over the address that was asked for
            os.environ.pop(name, None)
        try:
            self._client = _PunctualClient(address, headers=headers)
        except UserError:
            raise
        except (OSError, RuntimeError, LookupError, ValueError) as error:
            raise ClusterAway(
                f"no Ray cluster at {address}: what answers there is no dashboard; it must be one: {EXAMPLE}"
            ) from error

    def session(self) -> str:
        """The name of the cluster's present life."""
        response = self._client._do_request("GET", "/api/version")
        return str(response.json()["session_name"])

    def jobs(self) -> list[Any]:
        """Ray's details of all jobs."""
        return list(self._call(self._client.list_jobs))

    def submit(self, **options: Any) -> bool:
        """Submit a job, or say that its id is taken; a head that is just starting is waited for."""
        deadline = time.monotonic() + READ_S
        while True:
            try:
                self._client.submit_job(**options)
            except RuntimeError as error:
                if "already exists" in str(error):
                    return False
                if "try again" not in str(error) or time.monotonic() > deadline:
                    raise self._failure(error) from error
                time.sleep(1)
            else:
                return True

    def has_ended(self, job: str) -> bool:
        """Whether a job is over."""
        return bool(self._call(self._client.get_job_status, job).is_terminal())

    def stop(self, job: str) -> None:
        """Ask Ray to end a job: SIGTERM, and 3 s later SIGKILL."""
        self._call(self._client.stop_job, job)

    def delete(self, job: str) -> None:
        """Forget a job that has ended."""
        self._call(self._client.delete_job, job)

    def log(self, job: str) -> str:
        """All that a job has printed."""
        return str(self._call(self._client.get_job_logs, job))

    def tail(self, job: str) -> Iterator[str]:
        """What a job prints, line by line, until it ends."""
        begun = ""
        for text in self._chunks(job):
            *lines, begun = (begun + text).split("\n")
            yield from lines
        if begun:
            yield begun

    def _chunks(self, job: str) -> Iterator[str]:
        chunks: AsyncIterator[str] = self._client.tail_job_logs(job)
        with asyncio.Runner() as runner:
            while True:
                try:
                    chunk = runner.run(_next(chunks))
                except (aiohttp.ClientError, OSError, RuntimeError) as error:
                    raise self._failure(error) from error
                if chunk is None:
                    return
                yield chunk

    def _call(self, method: Any, *arguments: str) -> Any:
        try:
            return method(*arguments)
        except RuntimeError as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> UserError:
        return ClusterAway(f"{self._address}: the Ray cluster cannot do that now: {last_line(error)}")


class _PunctualClient(JobSubmissionClient):
    """Ray's client, which by itself waits for ever."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
        try:
            return super()._do_request(method, endpoint, timeout=(CONNECT_S, READ_S), **options)
        except AuthenticationError as error:
            wrong = "Forbidden" in str(error)
            fault = "does not take this token" if wrong else "asks for a token"
            raise UserError(
                f"{self._address}: the Ray cluster {fault}; {TOKEN_PATH} must name the file of its own"
            ) from error
        except OSError as error:
            fault = "nothing answers in time" if "Timeout" in type(error).__name__ else "no connection"
            raise ClusterAway(
                f"no Ray cluster at {self._address}: {fault}; it must be a dashboard: {EXAMPLE}"
            ) from error


async def _next(chunks: AsyncIterator[str]) -> str | None:
    return await anext(chunks, None)


def last_line(error: object) -> str:
    """The last line of a text, which of a traceback is the one that says what happened; without passwords."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return without_secrets(lines[-1]) if lines else ""
