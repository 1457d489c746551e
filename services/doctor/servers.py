"""The servers of the settings: Ray's dashboard, the service, and the clocks of all of them."""

import email.utils
import socket
import time
from collections.abc import Mapping
from importlib.metadata import version

import httpx

from contrasweep.services.cluster.environment import TOKEN_PATH, cluster_token
from contrasweep.services.doctor.finding import Found, fail, ok, warn
from contrasweep.services.settings import Settings
from contrasweep.services.verbs.http import user_token

ANSWER_S = 4.0
SKEW_S = 5.0


class Unanswered(Exception):
    """A server did not answer; the text says how."""


def ask(url: str, token: str = "", login: tuple[str, str] | None = None) -> httpx.Response:
    """What a server answers to GET. Raises Unanswered where nothing does, in time."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        return httpx.get(url, headers=headers, auth=login, timeout=ANSWER_S, follow_redirects=False)
    except httpx.TimeoutException as error:
        raise Unanswered(f"no answer within {ANSWER_S:.0f} s") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unanswered(str(error) or type(error).__name__) from error


def ray_address(settings: Settings) -> Found | None:
    """Whether the cluster's port can be reached; without one, Ray starts on this machine."""
    host, _, port = settings.ray_address.rpartition(":")
    if settings.ray_address == "local":
        return None if settings.jobs_address or settings.server else ok("starts on this machine for each sweep")
    if not port.isdigit():
        return None
    try:
        socket.create_connection((host.rpartition("/")[2].strip("[]"), int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        said = f"nothing at {settings.ray_address}: {error}"
        return fail(said, "see that the head runs and that CONTRASWEEP_RAY_ADDRESS is its HOST:6379")
    return ok(f"{settings.ray_address} can be reached")


def ray_jobs(settings: Settings) -> Found | None:
    """Whether the dashboard takes jobs, with the token, and runs the Ray of this machine."""
    url = settings.jobs_address
    if not url:
        return None
    token = cluster_token()
    try:
        answer = ask(f"{url}/api/version", token)
    except Unanswered as error:
        return fail(f"no Ray dashboard at {url}: {error}", "see that the head runs: http://HEAD:8265")
    if answer.status_code in (401, 403):
        fault = "does not take this token" if token else "asks for a token"
        return fail(f"{url} answers, but {fault} ({answer.status_code})", f"{TOKEN_PATH} must name the cluster's token")
    there, here = _field(answer, "ray_version"), version("ray")
    if not there:
        return fail(f"{url} answers {answer.status_code}, and not as Ray's dashboard does", "is it http://HEAD:8265?")
    if there != here:
        return fail(f"{url} runs Ray {there}, here is {here}", "install the same Ray on both sides")
    if not token:
        return warn(f"{url} runs Ray {there} and asks for no token", "start Ray with RAY_AUTH_MODE=token")
    return ok(f"{url} runs Ray {there} and takes the token")


def service(settings: Settings) -> Found | None:
    """Whether the service is up, ready, and takes the token."""
    url = settings.server
    if not url:
        return None
    token = user_token(settings) if settings.token_path or settings.token.get_secret_value() else ""
    try:
        alive, answer = ask(f"{url}/healthz"), ask(f"{url}/sweeps", token)
        ready = ask(f"{url}/readyz", token)
    except Unanswered as error:
        return fail(f"no service at {url}: {error}", "see that `contrasweep serve` runs, and to CONTRASWEEP_SERVER")
    if answer.status_code == 401:
        fault = "does not take this token" if token else "asks for a token"
        advice = "CONTRASWEEP_TOKEN, or CONTRASWEEP_TOKEN_PATH; an admin makes one with `contrasweep token create`"
        return fail(f"{url} answers, but {fault}", advice)
    if alive.status_code != 200 or answer.status_code != 200:
        code = answer.status_code if alive.status_code == 200 else alive.status_code
        return fail(f"{url} answers {code}", "is it the address of `contrasweep serve`? Its log says more")
    if ready.status_code == 503:
        return warn(f"{url} takes the token but is not ready: {_field(ready, 'detail')}", "see to what it names")
    return ok(f"{url} answers and takes the token")


def clock(settings: Settings) -> Found | None:
    """This machine's clock against the servers'."""
    urls = [url for url in (settings.tracking_uri, settings.jobs_address, settings.server) if url.startswith("http")]
    skews = {url: skew for url in urls if (skew := _skew(url)) is not None}
    if not skews:
        return None
    far = {url: skew for url, skew in skews.items() if abs(skew) > SKEW_S}
    if not far:
        return ok(f"agrees with {len(skews)} server(s) to {SKEW_S:.0f} s")
    said = ", ".join(f"{url} is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}" for url, skew in far.items())
    return warn(said, "keep both clocks with NTP: tokens and certificates expire, logs are compared")


def _skew(url: str) -> float | None:
    """Seconds by which a server's clock is ahead, to a second; None where it does not say."""
    began = time.time()
    try:
        said = ask(url).headers.get("date", "")
        there = email.utils.parsedate_to_datetime(said).timestamp()
    except (Unanswered, ValueError):
        return None
    return there - (began + time.time()) / 2


def _field(answer: httpx.Response, name: str) -> str:
    try:
        document = answer.json()
    except ValueError:
        return ""
    return str(document.get(name, "")) if isinstance(document, Mapping) else ""
