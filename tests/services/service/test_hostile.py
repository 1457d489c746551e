"""Requests that mean harm, to the service as it runs: none is served, and none tells or changes anything."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from contrasweep.services.service import guard
from contrasweep.services.service.admission import TIME_S, admit
from contrasweep.services.service.tokens import FILE, Tokens
from tests.services.service.running import Running, running
from tests.services.service.wire import answer, connection, status
from tests.services.small_study import SPEC, write_study

ROOT = Path(__file__).parents[3]
SLOW_S = 0.5
JSON = {"content-type": "application/json"}
YAML = {"content-type": "application/yaml"}


@dataclass(frozen=True)
class Attacked:
    """The service, a sweep of ada's that runs, one of hers that was stopped, and tokens that do not count."""

    up: Running
    runs: str
    stopped: str
    expired: str
    revoked: str

    @property
    def port(self) -> int:
        return httpx.URL(self.up.url).port or 0

    def written(self) -> object:
        """All that a request could change: the ledger, what has been started, the tokens."""
        entries = sorted((entry.id, entry.wish, entry.user, entry.now) for entry in self.up.service.entries())
        return entries, sorted(self.up.cluster.started), (self.up.settings.home / FILE).read_bytes()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("attacked")
    home, root = folder / "home", folder / "root"
    write_study(root)
    (folder / "outside.tsv").write_text("participant_id\tage\na\t1\nb\t2\n")
    (root / "link.tsv").symlink_to(folder / "outside.tsv")
    (root / "away").symlink_to(folder)
    tokens = Tokens(home / FILE)
    expired = tokens.create("ada", "admin", days=1e-9)
    revoked = tokens.create("ada", "admin")
    tokens.revoke(revoked.split("_")[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "HEADERS_S", SLOW_S)
        patch.setattr(guard.Limits.__init__, "__defaults__", (guard.BODY_BYTES, SLOW_S))
        admit(json.dumps(SPEC).encode(), "json", (root,))  # loads the libraries, before a client waits for it
        with running(home, seconds=600, data_roots=(root,), admit=lambda body, kind: admit(body, kind, (root,))) as up:
            first = up.submit(SPEC).json()["sweep"]["id"]
            up.until(first, "running")
            second = up.submit(SPEC | {"name": "second"}).json()["sweep"]["id"]
            up.ask("POST", f"/sweeps/{second}/stop")
            up.until(second, "stopped")
            yield Attacked(up, first, second, expired, revoked)


Sent = Callable[[Attacked], tuple[int, str]]
"""Sends something; the status of the answer, 0 where the connection was closed, and all of its text."""


def asks(method: str, path: str, user: str = "ada", **request: Any) -> Sent:
    """A request of a user's; `{runs}` and `{stopped}` in the path are ada's sweeps."""

    def send(attacked: Attacked) -> tuple[int, str]:
        where = path.replace("{runs}", attacked.runs).replace("{stopped}", attacked.stopped)
        try:
            return told(attacked.up.ask(method, where, user, timeout=2 * TIME_S, **request))
        except (httpx.RemoteProtocolError, httpx.WriteError):  # refused while it was still being sent
            return 0, ""

    return send


def bears(header: str | Callable[[Attacked], str], path: str = "/sweeps", name: str = "authorization") -> Sent:
    """A request with this header, or, without a text, with none."""

    def send(attacked: Attacked) -> tuple[int, str]:
        text = header if isinstance(header, str) else header(attacked)
        return told(httpx.get(attacked.up.url + path, headers={name: text} if text else {}))

    return send


def submits(**changes: Any) -> Sent:
    """The study's spec with other values; those of a section are put into it."""
    document = {
        key: SPEC.get(key, {}) | value if isinstance(value, dict) else value for key, value in (SPEC | changes).items()
    }
    return posts(json.dumps(document))


def posts(body: str | bytes, headers: dict[str, str] = JSON, path: str = "/sweeps") -> Sent:
    """A body of ada's."""
    return asks("POST", path, content=body, headers=headers)


def transforms(**step: Any) -> Sent:
    return submits(data={"transforms": [step]})


def raw(*parts: bytes, again: int = 1, pause_s: float = 0.0) -> Sent:
    """Bytes, the last of them again and again; `TOKEN` stands for ada's."""

    def send(attacked: Attacked) -> tuple[int, str]:
        *first, last = [part.replace(b"TOKEN", attacked.up.tokens["ada"].encode()) for part in parts]
        with connection(attacked.port) as opened:
            try:
                for part in [*first, *[last] * again]:
                    opened.sendall(part)
                    time.sleep(pause_s)
            except ConnectionError:
                pass
            received = answer(opened)
        return status(received), received.decode(errors="replace")

    return send


def told(response: httpx.Response) -> tuple[int, str]:
    head = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    return response.status_code, f"HTTP/1.1 {response.status_code}\r\n{head}\r\n{response.text}"


def token(attacked: Attacked) -> str:
    return attacked.up.tokens["ada"]


POST = b"POST /sweeps HTTP/1.1\r\nhost: x\r\nauthorization: Bearer TOKEN\r\ncontent-type: application/json\r\n"
GET = b"GET /sweeps HTTP/1.1\r\nhost: x\r\nauthorization: Bearer TOKEN\r\n"
MINIMAL = "name: x\ndata: {participants: participants.tsv, image: 'images/{participant_id}.npy', label: age}\n"
CLOSE = b"connection: close\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
PREFLIGHT = {"origin": "https://evil.example", "access-control-request-method": "POST"}

HOSTILE: dict[str, tuple[set[int], Sent]] = {
    # who asks
    "no token": ({401}, bears("")),
    "no token for measures": ({401}, bears("", "/metrics")),
    "no token for the interface": ({401}, bears("", "/openapi.json")),
    "no token for readiness": ({401}, bears("", "/readyz")),
    "wrong token": ({401}, bears("Bearer cs_000000000000_" + "A" * 43)),
    "one character off": ({401}, bears(lambda a: f"Bearer {token(a)[:-1]}{'A' if token(a)[-1] != 'A' else 'B'}")),
    "expired token": ({401}, bears(lambda a: f"Bearer {a.expired}")),
    "revoked token": ({401}, bears(lambda a: f"Bearer {a.revoked}")),
    "token as a password": ({401}, bears(lambda a: f"Basic {token(a)}")),
    "token in a cookie": ({401}, bears(lambda a: f"token={token(a)}", name="cookie")),
    "token in the address": ({401}, lambda a: bears("", f"/sweeps?token={token(a)}")(a)),
    "very long token": ({401}, bears("Bearer " + "A" * 20_000)),
    "two tokens": ({401}, raw(GET + b"authorization: Bearer TOKEN\r\nconnection: close\r\n\r\n")),
    "a viewer submits": ({403}, asks("POST", "/sweeps", "eve", json=SPEC | {"name": "eves"})),
    "a viewer stops": ({403}, asks("POST", "/sweeps/{runs}/stop", "eve")),
    "a viewer resumes": ({403}, asks("POST", "/sweeps/{stopped}/resume", "eve")),
    "another's sweep stopped": ({403}, asks("POST", "/sweeps/{runs}/stop", "bob")),
    "another's sweep killed": ({403}, asks("POST", "/sweeps/{runs}/stop?now=true", "bob")),
    "another's sweep resumed": ({403}, asks("POST", "/sweeps/{stopped}/resume", "bob")),
    "another's spec submitted again": ({403}, asks("POST", "/sweeps", "bob", json=SPEC | {"name": "second"})),
    "a user named in the spec": ({422}, submits(user="root")),
    "replay of a stop": ({409}, asks("POST", "/sweeps/{stopped}/stop")),
    # which sweep
    "id that climbs": ({404}, asks("GET", "/sweeps/..%2f..%2ftokens.json")),
    "id that climbs twice encoded": ({404}, asks("GET", "/sweeps/%252e%252e%252ftokens.json")),
    "log of an id that climbs": ({404}, asks("GET", "/sweeps/..%2f..%2f..%2fetc%2fpasswd/logs")),
    "report of an id that climbs": ({404}, asks("GET", "/sweeps/..%5c..%5cx/report")),
    "stop of an id that climbs": ({404}, asks("POST", "/sweeps/..%2fx/stop")),
    "absolute id": ({404}, asks("GET", "/sweeps/%2fetc%2fpasswd")),
    "id with a null byte": ({404}, asks("GET", "/sweeps/small%00")),
    "id with line breaks": ({404}, asks("GET", "/sweeps/x%0d%0aset-cookie:%20a=b")),
    "SQL in an id": ({404}, asks("GET", "/sweeps/x'%20OR%201=1;--")),
    "a pattern as an id": ({404}, asks("GET", "/sweeps/*")),
    "shell in an id": ({404}, asks("POST", "/sweeps/$(touch%20x);x/stop")),
    "very long id": ({404}, asks("GET", "/sweeps/" + "a" * 20_000)),
    "look-alike id": ({404}, asks("GET", "/sweeps/ѕmall")),
    "negative trial": ({422}, asks("GET", "/sweeps/{runs}/logs?trial=-1")),
    "trial that climbs": ({422}, asks("GET", "/sweeps/{runs}/logs?trial=../../x")),
    "huge trial": ({422}, asks("GET", "/sweeps/{runs}/logs?trial=" + "9" * 5_000)),
    # how the request is made
    "10 MB": ({413, 0}, posts(b" " * 10_000_000)),
    "65 kB": ({413}, posts(b" " * 65_537)),
    "form": ({415}, posts("a=1", {"content-type": "application/x-www-form-urlencoded"})),
    "pickle": ({415}, posts(b"\x80\x04.", {"content-type": "application/x-python-serialize"})),
    "no content type": ({415}, posts("{}", {})),
    "compressed": ({422}, posts(b"\x1f\x8b\x08\x00", JSON | {"content-encoding": "gzip"})),
    "chunked without end": ({0, 413}, raw(POST + CHUNKED, b"\r\n", b"8000\r\n" + b" " * 0x8000 + b"\r\n", again=500)),
    "slow body": ({408}, raw(POST + b"content-length: 1000\r\n\r\n{")),
    "slow chunks": ({408}, raw(POST + CHUNKED + b"\r\n", b"1\r\n \r\n", again=12, pause_s=0.1)),
    "slow head": ({0}, raw(GET + b"x-a: b")),
    "head byte by byte": ({0}, raw(b"GET / HTTP/1.1\r\n", b"a:b\r\n", again=12, pause_s=0.1)),
    "silence": ({0}, raw(b"")),
    "endless header": ({0, 400, 431}, raw(GET, b"x-a: " + b"a" * 65_536, again=20)),
    "two lengths": ({400}, raw(POST + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}")),
    "length and chunks": ({0, 400, 408, 422}, raw(POST + b"content-length: 99\r\n" + CHUNKED + CLOSE + b"0\r\n\r\n")),
    "negative length": ({400}, raw(POST + b"content-length: -1\r\n\r\n{}")),
    "huge length": ({400, 408, 413}, raw(POST + b"content-length: 99999999999999999999\r\n\r\n{}")),
    "folded header": ({0, 400, 401}, raw(b"GET /sweeps HTTP/1.1\r\nhost: x\r\nauthorization: a\r\n x\r\n" + CLOSE)),
    "header with a line break": ({400}, raw(GET + b"x-a: b\rset-cookie: c=d\r\nconnection: close\r\n\r\n")),
    "header with a null byte": ({400}, raw(GET + b"x-a: b\x00\r\n\r\n")),
    "no HTTP": ({400}, raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")),
    "address of another host": ({404}, raw(GET.replace(b"/sweeps", b"http://evil.example/x") + CLOSE)),
    "tunnel": ({400, 404, 405}, raw(b"CONNECT evil.example:80 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")),
    "unknown method": ({405}, asks("BREW", "/sweeps")),
    "deletion": ({405}, asks("DELETE", "/sweeps/{runs}")),
    "trace": ({405}, asks("TRACE", "/sweeps")),
    "method in a header": ({405}, asks("PUT", "/sweeps", headers={"x-http-method-override": "GET"})),
    "preflight of another origin": ({405}, asks("OPTIONS", "/sweeps", headers=PREFLIGHT)),
    "file of the server": ({404}, raw(GET.replace(b"/sweeps", b"/../../etc/passwd") + CLOSE)),
    "pages of the interface": ({404}, asks("GET", "/docs")),
    # what is submitted
    "nothing": ({422}, posts("")),
    "a list": ({422}, posts("[]")),
    "JSON that is cut off": ({422}, posts('{"name": ')),
    "not UTF-8": ({422}, posts(b"\xff\xfe{", YAML)),
    "UTF-16": ({422}, posts(MINIMAL.encode("utf-16"), YAML)),
    "deep YAML": ({422}, posts("a: " + "[" * 60_000, YAML)),
    "deep JSON": ({422}, posts('{"a":' * 12_000)),
    "alias bomb": ({422}, posts("a: &a [x, x]\n" + "".join(f"b{i}: [*a, *a, *a]\n" for i in range(1_000)), YAML)),
    "YAML tag": ({422}, posts("name: !!python/object/apply:os.system [touch /tmp/owned]", YAML)),
    "YAML tag of a module": ({422}, posts("name: !!python/module:os", YAML)),
    "YAML merge key": ({422}, posts(MINIMAL + "<<: {search: {spaces: [vanilla]}}", YAML)),
    "key twice": ({422}, posts('{"name": "a", "name": "b"}')),
    "unknown key": ({422}, submits(command="rm -rf /")),
    "prototype": ({422}, submits(__class__={"__init__": {}})),
    "many keys": ({422}, submits(search={"fix": {f"vanilla.k{i}": 1 for i in range(3_000)}})),
    "long text": ({422}, submits(data={"label": "a" * 5_000})),
    "huge whole number": ({422}, posts('{"name": ' + "1" * 5_000 + "}")),
    "NaN": ({422}, submits(training={"lr": float("nan")})),
    "NaN in a fixed value": ({422}, submits(search={"fix": {"dynlocrep.sigma": float("nan")}})),
    "infinity": ({422}, submits(training={"lr": float("inf")})),
    "infinite hours": ({422}, submits(budget={"hours": float("inf")})),
    "1e400": ({422}, posts(json.dumps(SPEC).replace('"epochs": 3', '"epochs": 1e400'))),
    "10^9 trials": ({422}, submits(search={"trials": 10**9})),
    "10^9 epochs": ({422}, submits(training={"epochs": 10**9})),
    "10^9 workers": ({422}, submits(training={"workers": 10**9, "batch_size": 10**9})),
    "many seeds": ({422}, submits(search={"seeds": list(range(1_000))})),
    "parallel": ({422}, submits(search={"parallel": 10**9})),
    "negative budget": ({422}, submits(budget={"hours": -1})),
    "negative trials": ({422}, submits(search={"trials": -1})),
    "a wide network": ({422}, submits(model={"embedding": 10**12})),
    "encoder as a dotted path": ({422}, submits(model={"encoder": "os.system"})),
    "encoder as a file": ({422}, submits(model={"encoder": "../../evil"})),
    "encoder with an import": ({422}, submits(model={"encoder_params": {"_target_": "os.system"}})),
    "method as a module": ({422}, submits(search={"spaces": ["_trials"]})),
    "method as a path": ({422}, submits(search={"spaces": ["../x"]})),
    "augmentation as a dotted path": ({422}, submits(training={"augmentations": {"os.system": {}}})),
    "probe as a dotted path": ({422}, submits(probe={"builtins.eval": {}})),
    "code as a transform": ({422}, transforms(Lambda={"func": "os.system"})),
    "a wrapped library": ({422}, transforms(TorchVision={"name": "x"})),
    "a transform that reads files": ({422}, transforms(LoadImage={})),
    "a transform that writes files": ({422}, transforms(SaveImage={"output_dir": "/tmp"})),
    "a transform that waits": ({422}, transforms(SimulateDelay={"delay_time": 1e9})),
    "code as an argument": ({422}, transforms(Activations={"other": "os.system"})),
    "terabytes": ({422}, transforms(RepeatChannel={"repeats": 10**11})),
    "name that climbs": ({422}, submits(name="../x")),
    "shell in the name": ({422}, submits(name="x; touch /tmp/owned")),
    "SQL in the name": ({422}, submits(name="x' OR 1=1;--")),
    "null byte in the name": ({422}, submits(name="x\0")),
    "look-alike name": ({422}, submits(name="ѕmall")),
    "very long name": ({422}, submits(name="a" * 400)),
    "right-to-left label": ({422}, submits(data={"label": "age\u202e"})),
    "line break in the label": ({422}, submits(data={"label": "age\nset-cookie: a"})),
    "surrogate": ({422}, posts(json.dumps(SPEC).replace('"age"', '"\\ud800"', 1))),
    "table that climbs": ({422}, submits(data={"participants": "../outside.tsv"})),
    "absolute table": ({422}, submits(data={"participants": "/etc/passwd"})),
    "table over a link": ({422}, submits(data={"participants": "link.tsv"})),
    "table over a linked folder": ({422}, submits(data={"participants": "away/outside.tsv"})),
    "table by URL": ({422}, submits(data={"participants": "https://evil.example/a.tsv"})),
    "table in a bucket": ({422}, submits(data={"participants": "s3://bucket/a.tsv"})),
    "table by UNC": ({422}, submits(data={"participants": "\\\\host\\share\\a.tsv"})),
    "table by another UNC": ({422}, submits(data={"participants": "//host/share/a.tsv"})),
    "table at home": ({422}, submits(data={"participants": "~/a.tsv"})),
    "null byte in the table": ({422}, submits(data={"participants": "participants.tsv\0.csv"})),
    "images that climb": ({422}, submits(data={"image": "../{participant_id}.npy"})),
    "images that climb later": ({422}, submits(data={"image": "images/{participant_id}/../../../x"})),
    "absolute images": ({422}, submits(data={"image": "/etc/{participant_id}"})),
    "images by URL": ({422}, submits(data={"image": "file:///etc/{participant_id}"})),
    "images over a link": ({422}, submits(data={"image": "away/{participant_id}"})),
    "attributes in the template": ({422}, submits(data={"image": "{participant_id.__class__}"})),
    "BIDS that climbs": ({422}, submits(data={"bids": "../..", "suffix": "T1w", "participants": None, "image": None})),
    "BIDS at the root": ({422}, submits(data={"bids": "/", "suffix": "T1w", "participants": None, "image": None})),
    "template that climbs": ({422}, transforms(AffineRegistration={"template": "../outside.tsv"})),
    "atlas at the root": ({422}, transforms(Parcellate={"atlas": "/etc/passwd"})),
    "atlas by URL": ({422}, transforms(Parcellate={"atlas": "http://evil.example/x.nii"})),
    "weights that climb": ({422}, submits(model={"init_from": "../../x.pt"})),
    "absolute weights": ({422}, submits(model={"init_from": "/etc/passwd"})),
    "weights by URL": ({422}, submits(model={"init_from": "https://evil.example/x.pt"})),
    "weights of a run": ({422}, submits(model={"init_from": "runs:/abc/model"})),
    "weights over a link": ({422}, submits(model={"init_from": "away/outside.tsv"})),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_not_served(attacked: Attacked, name: str) -> None:
    allowed, send = HOSTILE[name]
    before = attacked.written()
    code, text = send(attacked)
    names = {line.partition(":")[0].lower() for line in text.partition("\r\n\r\n")[0].splitlines()[1:]}
    assert code in allowed, text
    assert httpx.get(f"{attacked.up.url}/healthz").status_code == 200
    assert attacked.written() == before
    assert "Traceback" not in text and 'File "' not in text
    for folder in (attacked.up.settings.home.parent, ROOT, Path(sys.prefix), Path(tempfile.gettempdir())):
        assert str(folder) not in text
    assert not {"server", "set-cookie", "access-control-allow-origin"} & names
    assert all(secret not in text for secret in attacked.up.tokens.values())


def test_the_table_is_long_enough() -> None:
    assert len(HOSTILE) >= 100


def test_what_is_allowed_is_served(attacked: Attacked) -> None:
    """The refusals are not those of a service that refuses everything."""
    assert attacked.up.submit(SPEC).json()["outcome"] == "already running"
    assert attacked.up.ask("GET", f"/sweeps/{attacked.runs}", "eve").json()["state"] == "running"
    assert attacked.up.ask("POST", f"/sweeps/{attacked.stopped}/resume", "root").status_code == 202
    assert attacked.up.ask("POST", f"/sweeps/{attacked.stopped}/stop").json()["state"] == "stopped"


def test_many_failures_have_to_wait(attacked: Attacked) -> None:
    codes = [told(httpx.get(f"{attacked.up.url}/sweeps", headers={"authorization": "Bearer x"}))[0] for _ in range(25)]
    assert codes[-1] == 429 and set(codes) <= {401, 429}
    assert attacked.up.ask("GET", "/sweeps").status_code == 200
