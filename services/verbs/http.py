"""The verbs over HTTP, at a service."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from contrasweep.services.records.answers import Comparison, Planned, Submitted, Sweep, Trial
from contrasweep.services.settings import Settings
from contrasweep.services.spec.extent import More
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.text import without_secrets
from contrasweep.services.verbs.protocol import Away
from contrasweep.trainers.errors import UserError

CONNECT_S, READ_S, SPEC_S = 5.0, 30.0, 360.0
"""Time to connect, for an answer, and for a spec to be checked and planned."""

_AWAY = (502, 503, 504)
"""What a proxy, too, says of a service that is just starting again."""

_Answer = TypeVar("_Answer")


class Client:
    """`services.verbs.protocol.Verbs` at the service that the settings name, with the token that they name.

    The token goes to that address and nowhere else: redirections are not followed, and proxies of the environment
    are not used. Raises UserError in one line for whatever the service refuses, and Away where it does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.server
        self._http = httpx.Client(
            base_url=self._url,
            headers={"authorization": f"Bearer {user_token(settings)}"},
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,
        )

    def submit(self, loaded: LoadedSpec) -> Submitted:
        """Have a sweep run, or go on; relative paths start from the data roots of the service."""
        return self._answer(Submitted, "POST", "/sweeps", **_spec(loaded))

    def plan(self, loaded: LoadedSpec) -> Planned:
        """What the sweep would take on the service's cluster."""
        return self._answer(Planned, "POST", "/sweeps", params={"plan": "true"}, **_spec(loaded))

    def sweeps(self) -> list[Sweep]:
        """All sweeps, the oldest first."""
        return self._answer(list[Sweep], "GET", "/sweeps")

    def status(self, sweep_id: str) -> Sweep:
        """How a sweep stands."""
        return self._answer(Sweep, "GET", _path(sweep_id))

    def trials(self, sweep_id: str) -> list[Trial]:
        """A sweep's configurations, the best first."""
        return self._answer(list[Trial], "GET", _path(sweep_id, "trials"))

    def compare(self, sweep_ids: Sequence[str]) -> Comparison:
        """Several sweeps side by side, each against the first."""
        first, *others = sweep_ids
        return self._answer(Comparison, "GET", _path(first, "compare"), params={"with": others})

    def logs(self, sweep_id: str, trial: int | None = None, follow: bool = False) -> Iterator[str]:
        """Lines of a log, as they come."""
        params = {"follow": "true"} if follow else {}
        if trial is not None:
            params["trial"] = str(trial)
        timeout = httpx.Timeout(READ_S, connect=CONNECT_S, read=None if follow else READ_S)
        with (
            self._reaching(),
            self._http.stream("GET", _path(sweep_id, "logs"), params=params, timeout=timeout) as response,
        ):
            if not response.is_success:
                response.read()
            self._check(response)
            yield from response.iter_lines()

    def stop(self, sweep_id: str, now: bool = False) -> Sweep:
        """Stop a sweep after the epochs under way, or, with `now`, at once."""
        return self._answer(Sweep, "POST", _path(sweep_id, "stop"), params={"now": "true"} if now else {})

    def resume(self, sweep_id: str) -> Submitted:
        """Go on with a sweep that was stopped, failed or was interrupted."""
        return self._answer(Submitted, "POST", _path(sweep_id, "resume"))

    def extend(self, sweep_id: str, more: More) -> Submitted:
        """Go on with a sweep to more trials, seeds, finalists or spaces."""
        return self._answer(Submitted, "POST", _path(sweep_id, "extend"), json=more.model_dump(mode="json"))

    def sync(self, sweep_id: str) -> Sweep:
        """Tell the service's MLflow all of a sweep that does not run; how it stands."""
        timeout = httpx.Timeout(SPEC_S, connect=CONNECT_S)
        return self._answer(Sweep, "POST", _path(sweep_id, "sync"), timeout=timeout)

    def report(self, sweep_id: str) -> str:
        """The sweep's HTML report."""
        return self._ask("GET", _path(sweep_id, "report")).text

    def _answer(self, kind: type[_Answer], method: str, path: str, **request: Any) -> _Answer:
        response = self._ask(method, path, **request)
        try:
            return TypeAdapter(kind).validate_json(response.content)
        except ValidationError as error:
            raise UserError(f"{self._url}: what answers there is no contrasweep, or another version") from error

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        with self._reaching():
            response = self._http.request(method, path, **request)
        self._check(response)
        return response

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise Away(f"{self._url}: the service does not answer in time; try again later") from error
        except httpx.TransportError as error:
            raise Away(f"{self._url}: the service cannot be reached: {_one_line(str(error))}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UserError(f"{self._url}: the service cannot be reached: {_one_line(str(error))}") from error

    def _check(self, response: httpx.Response) -> None:
        """Raise UserError, with what the service says, unless all went well."""
        if response.is_success:
            return
        said, status = _detail(response), response.status_code
        match status:
            case 401:
                line = "the token is missing, wrong, revoked or expired: CONTRASWEEP_TOKEN_PATH names the file with one"
            case 403:
                line = f"not allowed: {said}"
            case 429:
                wait = response.headers.get("retry-after", "")
                line = f"too many attempts without a valid token; wait {wait} s" if wait.isdigit() else said
            case 503:
                line = f"the service cannot do that now: {said}"
            case _ if response.is_redirect:
                line = f"answers with a redirection ({status}), which is not followed: give the service's own address"
            case _ if status >= 500:
                line = f"the service failed ({status}): {said}"
            case _:
                raise UserError(said)
        raise (Away if status in _AWAY else UserError)(f"{self._url}: {line}")


def user_token(settings: Settings) -> str:
    """The token of the settings. Raises UserError where there is none, or no text that could be one."""
    token = settings.token.get_secret_value().strip()
    if not token and settings.token_path is not None:
        try:
            token = settings.token_path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it holds no text"
            raise UserError(f"CONTRASWEEP_TOKEN_PATH: {settings.token_path} cannot be read: {reason}") from error
    if not token:
        raise UserError(
            "CONTRASWEEP_TOKEN_PATH: is missing: the file with your token for the service, which its admin makes with "
            "`contrasweep token create`"
        )
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise UserError("CONTRASWEEP_TOKEN: what it holds is no token")
    return token


def _spec(loaded: LoadedSpec) -> dict[str, Any]:
    """The request that carries a spec."""
    headers = {"content-type": "application/yaml"}
    timeout = httpx.Timeout(SPEC_S, connect=CONNECT_S)
    return {"content": loaded.spec.to_yaml().encode(), "headers": headers, "timeout": timeout}


def _path(sweep_id: str, *rest: str) -> str:
    if "/" in sweep_id:  # not one part of an address, however it is quoted
        raise UserError(f"no sweep {sweep_id!r}")
    return "/".join(["/sweeps", quote(sweep_id, safe=""), *rest])


def _detail(response: httpx.Response) -> str:
    """What an error says, in one line."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.reason_phrase
    return _one_line(str(detail))[:1000]


def _one_line(text: str) -> str:
    return without_secrets(" ".join(text.split()))
