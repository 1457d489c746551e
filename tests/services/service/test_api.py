"""The service over real HTTP, real folders and real processes as drivers."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.service.api import Kind
from contrasweep.services.service.bounds import read_spec
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.trainers.errors import UserError
from tests.services.service.processes import Processes
from tests.services.service.running import Running, as_yaml, running, spec, wait


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as service:
        yield service


def submitted(up: Running, user: str = "ada", **fields: Any) -> str:
    answer = up.submit(spec(**fields), user)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["sweep"]["id"])


def test_a_sweep_from_submission_to_its_end(tmp_path: Path) -> None:
    with running(tmp_path, seconds=0.5) as up:
        first = up.submit(spec())
        assert (first.status_code, first.json()["outcome"]) == (202, "submitted")
        sweep = up.until(first.json()["sweep"]["id"], "finished")
        assert (sweep["user"], sweep["attempt"], sweep["trials"], sweep["label"]) == ("ada", 1, 4, "age")
        assert sweep["ended"] > 0
        again = up.submit(spec())
        assert (again.status_code, again.json()["outcome"]) == (200, "done")
        assert [one["id"] for one in up.ask("GET", "/sweeps").json()] == [sweep["id"]]
        assert up.ask("GET", f"/sweeps/{sweep['id'][:7]}").json()["id"] == sweep["id"]
        assert up.ask("GET", f"/sweeps/{sweep['id']}/trials").json() == []


def test_yaml_and_json_are_the_same_spec(up: Running) -> None:
    one = submitted(up)
    for kind in ("application/yaml", "text/yaml; charset=utf-8", "application/x-yaml"):
        answer = up.ask("POST", "/sweeps", content=as_yaml(spec()), headers={"content-type": kind})
        assert answer.json()["sweep"]["id"] == one
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = up.ask("POST", "/sweeps", content=as_yaml(spec()), headers={"content-type": kind})
        assert answer.status_code == 415


def test_one_spec_from_many_at_once_runs_once(up: Running) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: up.submit(spec()).json(), range(8)))
    assert {answer["outcome"] for answer in answers} <= {"already running", "queued", "submitted"}
    assert sum(answer["outcome"] == "submitted" for answer in answers) == 1
    up.until(answers[0]["sweep"]["id"], "running")
    assert len(up.cluster.started) == 1


def test_stop_and_resume(up: Running) -> None:
    name = submitted(up)
    up.until(name, "running")
    assert up.ask("POST", f"/sweeps/{name}/stop").json()["state"] == "stopping"
    assert up.ask("POST", f"/sweeps/{name}/stop").json()["state"] == "stopping"  # again
    done = up.until(name, "stopped")["ended"]
    replayed = up.ask("POST", f"/sweeps/{name}/stop")
    assert (replayed.status_code, replayed.json()) == (
        409,
        {"detail": f"sweep {name} is not running; it is stopped"},
    )
    resumed = up.ask("POST", f"/sweeps/{name}/resume")
    assert (resumed.status_code, resumed.json()["outcome"]) == (202, "resumed")
    sweep = up.until(name, "running")
    assert sweep["attempt"] == 2
    assert wait(lambda: up.ask("GET", f"/sweeps/{name}").json()["ended"], lambda ended: ended > done)


def test_a_sweep_that_is_stopping_can_be_resumed(up: Running) -> None:
    name = submitted(up)
    up.until(name, "running")
    up.ask("POST", f"/sweeps/{name}/stop")
    assert up.ask("POST", f"/sweeps/{name}/resume").json()["outcome"] == "resumed"
    assert wait(lambda: up.until(name, "running"), lambda sweep: sweep["attempt"] == 2)


def test_stop_now_kills(up: Running) -> None:
    name = submitted(up)
    up.until(name, "running")
    up.ask("POST", f"/sweeps/{name}/stop?now=true")
    up.until(name, "stopped")
    assert up.cluster.started[name, 1][1].wait() == -9
    wait(lambda: SweepFolder(up.settings.sweeps / name).read_state().state, lambda state: state == "stopped")


def test_others_wait_in_line_and_can_leave_it(up: Running) -> None:
    first, second, third = (submitted(up, name=name) for name in ("a", "b", "c"))
    up.until(first, "running")
    waiting = up.ask("GET", f"/sweeps/{third}").json()
    assert (waiting["state"], waiting["position"]) == ("queued", 2)
    assert waiting["reason"] == "waits for a place: 1 of at most 1 sweeps run"
    assert up.ask("POST", f"/sweeps/{second}/stop").json()["state"] == "stopped"
    assert up.ask("GET", f"/sweeps/{third}").json()["position"] == 1
    up.ask("POST", f"/sweeps/{first}/stop")
    up.until(third, "running")
    assert {name for name, _ in up.cluster.started} == {first, third}


def test_who_runs_enough_waits_while_others_pass(tmp_path: Path) -> None:
    with running(tmp_path, max_running=3, user_max_running=1) as up:
        one, two = submitted(up, name="a"), submitted(up, name="b")
        up.until(submitted(up, "bob", name="c"), "running")
        up.until(one, "running")
        assert up.ask("GET", f"/sweeps/{two}").json()["reason"] == "waits: ada runs 1 of at most 1 sweeps"


def test_who_has_used_the_hours_is_paused(tmp_path: Path) -> None:
    """The driver in miniature holds one GPU and spends a tenth of a second each step."""
    with running(tmp_path, user_gpu_hours=1.0 / 3600) as up:
        name = submitted(up)
        sweep = wait(lambda: up.until(name, "queued"), lambda sweep: sweep["reason"] and sweep["attempt"] == 1)
        assert sweep["reason"].startswith("waits: ada has used 0.0 of 0.000277778 GPU-hours")
        up.until(submitted(up, "bob", name="other"), "running")


def test_users_have_their_own_sweeps(up: Running) -> None:
    name = submitted(up)
    for verb in ("stop", "resume"):
        assert up.ask("POST", f"/sweeps/{name}/{verb}", "eve").status_code == 403
        theirs = up.ask("POST", f"/sweeps/{name}/stop", "bob")
        assert (theirs.status_code, theirs.json()) == (403, {"detail": f"sweep {name} is not yours"})
    assert up.submit(spec(), "eve").status_code == 403
    assert up.ask("GET", f"/sweeps/{name}", "eve").status_code == 200
    assert up.ask("POST", f"/sweeps/{name}/stop", "root").status_code == 200
    up.until(name, "stopped")
    assert up.submit(spec(), "bob").status_code == 403  # it would go on as bob's
    assert up.ask("GET", f"/sweeps/{name}").json()["state"] == "stopped"


def test_a_killed_service_goes_on_where_it_was(tmp_path: Path) -> None:
    """What is kept are Optuna's storage and the folders: another process with the same finds everything."""
    with running(tmp_path) as first:
        one, two = submitted(first, name="a"), submitted(first, name="b")
        first.until(one, "running")
        cluster = first.cluster
        with running(tmp_path, cluster) as second:
            states = {sweep["id"]: sweep["state"] for sweep in second.ask("GET", "/sweeps").json()}
            assert states == {one: "running", two: "queued"}
            second.ask("POST", f"/sweeps/{one}/stop")
            second.until(two, "running")
            assert second.ask("GET", f"/sweeps/{one}").json()["state"] == "stopped"
    assert sorted(cluster.started) == sorted([(one, 1), (two, 1)])


def test_a_driver_that_dies_is_started_again(up: Running) -> None:
    name = submitted(up)
    up.until(name, "running")
    wait(lambda: up.ask("GET", f"/sweeps/{name}").json()["ended"])
    up.cluster.started[name, 1][1].kill()
    wait(lambda: up.until(name, "running"), lambda sweep: sweep["attempt"] == 2)


def test_the_cluster_away_and_back(up: Running) -> None:
    wait(lambda: up.ask("GET", "/readyz").status_code, lambda status: status == 200)
    up.cluster.away = True
    answer = wait(lambda: up.ask("GET", "/readyz"), lambda answer: answer.status_code == 503)
    assert answer.json() == {"detail": "the cluster does not answer"}
    planned = up.ask("POST", "/sweeps?plan=true", json=spec())
    assert (planned.status_code, planned.json()["detail"]) == (503, "the cluster cannot plan now; try again later")
    name = submitted(up)  # it is kept for later
    time.sleep(1.5)
    assert up.ask("GET", f"/sweeps/{name}").json()["state"] == "queued"
    up.cluster.away = False
    up.until(name, "running")
    assert up.ask("GET", "/readyz").status_code == 200


def test_a_start_that_is_refused_is_tried_again(up: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contrasweep.services.service.loop.PATIENCE_S", 2.5)  # longer than a look takes to come
    up.cluster.refuses = True
    name = submitted(up)
    sweep = wait(lambda: up.until(name, "queued"), lambda sweep: sweep["reason"])
    assert sweep["reason"] == "the cluster did not take it: http://head:8265: does not take the token"
    up.cluster.refuses = False
    assert up.until(name, "running")["reason"] == ""


def test_the_store_away_and_back(tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_text("this is no database, and long enough for SQLite to see that it is none")
    with running(tmp_path) as up:
        wait(lambda: up.ask("GET", "/readyz").text, lambda text: "the store of sweeps" in text)
        for answer in (up.submit(spec()), up.ask("GET", "/sweeps"), up.ask("GET", "/sweeps/a")):
            assert (answer.status_code, answer.json()["detail"]) == (
                503,
                "the store of sweeps does not answer; try again later",
            )
        assert up.ask("GET", "/metrics").status_code == 200
        (tmp_path / "optuna.db").unlink()
        wait(lambda: up.submit(spec()).status_code, lambda status: status == 202)


def test_logs_are_streamed_until_the_sweep_ends(up: Running) -> None:
    name = submitted(up)
    assert up.ask("GET", f"/sweeps/{name}/logs").text == ""
    headers = {"authorization": f"Bearer {up.tokens['eve']}"}
    lines = []
    with httpx.stream("GET", f"{up.url}/sweeps/{name}/logs?follow=true", headers=headers, timeout=30) as answer:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        for line in answer.iter_lines():
            lines.append(line)
            if len(lines) == 3:
                up.ask("POST", f"/sweeps/{name}/stop")
    kept = SweepFolder(up.settings.sweeps / name).log.read_text().splitlines()
    assert len(lines) == len(kept) > 3
    assert kept[0].endswith(str(up.settings.sweeps / name))
    assert lines[0] == f"step 1 under sweeps/{name}"  # without this machine's folders
    assert up.ask("GET", f"/sweeps/{name}/logs?trial=3").status_code == 404
    assert up.ask("GET", f"/sweeps/{name}/logs?trial=-1").status_code == 422


def test_the_report_takes_nothing_from_elsewhere(up: Running) -> None:
    name = submitted(up)
    assert up.ask("GET", f"/sweeps/{name}/report").status_code in (200, 404)
    up.until(name, "running")
    answer = up.ask("GET", f"/sweeps/{name}/report")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none';")
    assert name in answer.text
    assert str(up.settings.home) not in answer.text


def test_a_space_is_added_where_the_whole_spec_is_in_order_with_it(tmp_path: Path) -> None:
    def admit(body: bytes, kind: Kind) -> LoadedSpec:
        spec = read_spec(body, kind)
        if "mae" in spec.search.spaces:
            raise UserError("spec: model.encoder: resnet18 is not allowed: mae needs vit")
        return LoadedSpec(spec, Path("spec.yaml"), tmp_path)

    with running(tmp_path, admit=admit) as up:
        name = submitted(up)
        up.ask("POST", f"/sweeps/{name}/stop?now=true")
        up.until(name, "stopped")
        for spaces, said in ((["simclrr"], "did you mean 'simclr'"), (["simclr", "mae"], "mae needs vit")):
            answer = up.ask("POST", f"/sweeps/{name}/extend", json={"add_spaces": spaces})
            assert (answer.status_code, said in answer.json()["detail"]) == (422, True)
        assert up.ask("GET", f"/sweeps/{name}").json()["extent"]["spaces"] == ["dynlocrep"]
        answer = up.ask("POST", f"/sweeps/{name}/extend", json={"add_spaces": ["simclr"]})
        assert (answer.status_code, answer.json()["sweep"]["extent"]["spaces"]) == (202, ["dynlocrep", "simclr"])
        assert answer.json()["sweep"]["trials"] == 8


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/sweeps/", 404),
        ("GET", "/sweeps/nobody", 404),
        ("GET", "/sweeps/..%2f..%2fetc", 404),
        ("GET", f"/sweeps/{'a' * 3000}", 404),
        ("GET", "/sweeps/a%00b", 404),
        ("DELETE", "/sweeps", 405),
        ("POST", "/sweeps/nobody/stop", 404),
        ("POST", "/sweeps/nobody/stop?now=perhaps", 422),
        ("GET", "/sweeps/nobody/compare", 422),
        ("GET", "/sweeps/nobody/compare?with=anybody", 404),
        ("GET", f"/sweeps/nobody/compare?{'with=a&' * 21}", 422),
        ("GET", "/sweeps/nobody/logs?trial=99999999999999999999", 422),
    ],
)
def test_what_is_wrong_is_told_in_one_line(up: Running, method: str, path: str, status: int) -> None:
    answer = up.ask(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert "\n" not in answer.json()["detail"]


def test_a_bug_is_told_to_nobody(up: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError(f"secret of {up.settings.home}")

    monkeypatch.setattr(up.service, "sweeps", broken)
    answer = up.ask("GET", "/sweeps")
    assert (answer.status_code, answer.json()) == (500, {"detail": "internal error"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert up.ask("GET", "/healthz").status_code == 200


def test_every_route_but_one_needs_a_token(up: Running) -> None:
    assert httpx.get(f"{up.url}/healthz").json() == {"status": "ok"}
    paths = up.ask("GET", "/openapi.json").json()["paths"]
    assert len(paths) >= 10
    asked = [(verb, path) for path, verbs in paths.items() for verb in verbs if path != "/healthz"]
    for verb, path in [*asked, ("get", "/openapi.json")]:
        assert httpx.request(verb, up.url + path.replace("{sweep_id}", "a")).status_code in (401, 429), path


def test_the_interface_has_examples_and_one_kind_of_error(up: Running) -> None:
    document = up.ask("GET", "/openapi.json").json()
    assert "brain-age-1c2e90af" in json.dumps(document)
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            assert operation["summary"], path
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Detail"}, (verb, path, status)


def test_measures_are_by_route_state_and_user_and_never_by_id(up: Running) -> None:
    name = submitted(up)
    up.until(name, "running")
    submitted(up, name="b")
    httpx.get(f"{up.url}/sweeps/{name}")
    up.ask("GET", "/nowhere/at/all")
    text = up.ask("GET", "/metrics").text
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["contrasweep_sweeps", "running"] == found["contrasweep_sweeps", "queued"] == 1
    assert found[("contrasweep_queue_length",)] == 1
    assert found[("contrasweep_submissions_total",)] == 2
    assert found[("contrasweep_authentication_failures_total",)] == 1
    assert found["contrasweep_http_requests_total", "/sweeps/{sweep_id}", "401", "GET"] == 1
    assert found["contrasweep_http_requests_total", "404", "GET", "none"] == 1
    assert ("contrasweep_gpu_hours", "ada") in found
    assert found["contrasweep_missing", "cluster"] == 0
    assert name not in text


def test_fifty_who_look_at_once_are_answered_quickly(up: Running) -> None:
    name = submitted(up)
    headers = {"authorization": f"Bearer {up.tokens['eve']}"}

    def look(_: int) -> int:
        with httpx.Client(base_url=up.url, headers=headers, trust_env=False) as client:
            return sum(client.get(f"/sweeps/{name}").status_code == 200 for _ in range(5))

    with ThreadPoolExecutor(50) as pool:
        assert sum(pool.map(look, range(50))) == 250


def test_drivers_of_other_programs_are_not_ours(tmp_path: Path) -> None:
    """A sweep that ran by hand in the same folders is shown, and only an admin stops it."""
    with running(tmp_path) as up:
        cluster = Processes(up.settings)
        by_hand = LoadedSpec(read_spec(as_yaml(spec()), "yaml"), Path("spec.yaml"), tmp_path)
        cluster.start(by_hand, "", 1)
        name = by_hand.spec.sweep_id
        try:
            wait(lambda: up.ask("GET", f"/sweeps/{name}").json(), lambda sweep: sweep.get("state") == "running")
            assert up.ask("POST", f"/sweeps/{name}/stop").status_code == 403
            assert up.ask("POST", f"/sweeps/{name}/stop", "root").status_code == 200
            up.until(name, "stopped")
        finally:
            cluster.end()
