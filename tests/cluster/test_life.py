"""The life of a sweep on a cluster, as a person with the command line sees it."""

import json
from pathlib import Path

import pytest

from tests.cluster.laptop import Laptop, end_of
from tests.cluster.outcome import assert_mlflow_has_everything, epochs_run, runs_by_key
from tests.cluster.server import wait_until
from tests.cluster.stack import Stack
from tests.cluster.studies import MEDIUM, SHORT
from tests.services.small_study import results

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_a_sweep_is_submitted_followed_stopped_resumed_and_reported(
    stack: Stack, undisturbed: str, tmp_path: Path
) -> None:
    ada = stack.user("ada")
    spec, loaded = stack.spec("life", **MEDIUM)
    sweep_id = loaded.spec.sweep_id

    begun = ada.ask("submit", spec)
    assert begun["sweep"]["id"] == sweep_id and begun["sweep"]["user"] == "ada"
    assert begun["outcome"] in ("submitted", "queued")
    assert ada.ask("submit", spec)["outcome"] in ("already running", "queued")
    assert stack.user("bob").call("stop", sweep_id).code == 2, "only ada stops her sweep"
    watching, following = ada.start("status", sweep_id, "--watch", "--json"), ada.start("logs", sweep_id, "--follow")
    wait_until(lambda: epochs_run(stack, loaded) > 2, 300, lambda: ada.call("logs", sweep_id).out)
    assert {sweep["id"]: sweep["state"] for sweep in ada.ask("list")}[sweep_id] == "running"
    assert ada.ask("stop", sweep_id)["state"] in ("stopping", "stopped")
    watched, followed = end_of(watching), end_of(following)
    assert (watched.code, followed.code) == (0, 0), watched.err + followed.err
    assert '"running"' in watched.out and '"stopped"' in watched.out.splitlines()[-1]
    assert "prepared" in followed.out or "reused" in followed.out
    assert str(stack.folder) not in followed.out, "the service tells no folder of its machine"
    part = epochs_run(stack, loaded)
    assert part > 0 and ada.ask("status", sweep_id)["state"] == "stopped"
    assert_mlflow_has_everything(stack, loaded)

    assert ada.ask("resume", sweep_id[:-3])["outcome"] in ("resumed", "queued")
    finish(ada, sweep_id)
    assert epochs_run(stack, loaded) > part
    assert results(loaded, stack.settings) == undisturbed
    assert_mlflow_has_everything(stack, loaded)
    files = {file.path for file in stack.mlflow().list_artifacts(runs_by_key(stack, loaded)[""].info.run_id)}
    assert {"report.html", "spec.yaml", "leaderboard.txt"} <= files

    page = tmp_path / "report.html"
    assert ada.call("report", sweep_id, "--html", str(page)).code == 0
    assert sweep_id in page.read_text() and "<script" not in page.read_text()
    assert str(stack.folder) not in page.read_text()
    trials = ada.ask("trials", sweep_id)
    assert [trial["state"] for trial in trials].count("complete") >= 1
    assert ada.ask("submit", spec)["outcome"] == "done"
    assert len(stack.jobs(sweep_id)) == 2, "once for the submission, once for the resumption"
    printed = stack.printed(sweep_id)
    assert "test MAE" in printed and "View run" not in printed
    for secret in (stack.tracking.password, stack.ray.token_path.read_text(), stack.database.password):
        assert secret not in printed + followed.out + page.read_text()


def test_the_same_without_a_service(stack: Stack, undisturbed: str, tmp_path: Path) -> None:
    neighbour = stack.neighbour
    spec, loaded = stack.spec("neighbour", **MEDIUM)
    sweep_id = loaded.spec.sweep_id
    assert neighbour.ask("submit", spec)["outcome"] == "submitted"
    wait_until(lambda: epochs_run(stack, loaded) > 2, 300, lambda: neighbour.call("logs", sweep_id).out)
    assert neighbour.ask("stop", sweep_id)["state"] in ("stopping", "stopped")
    followed = neighbour.call("logs", sweep_id, "--follow")
    assert (followed.code, neighbour.ask("status", sweep_id)["state"]) == (0, "stopped"), followed.err
    assert neighbour.ask("resume", sweep_id)["outcome"] == "resumed"
    finish(neighbour, sweep_id)
    assert results(loaded, stack.settings) == undisturbed
    page = tmp_path / "report.html"
    assert neighbour.call("report", sweep_id, "--html", str(page)).code == 0 and sweep_id in page.read_text()
    assert neighbour.ask("submit", spec)["outcome"] == "done"
    seen = {sweep["id"]: sweep["state"] for sweep in stack.user("ada").ask("list")}
    assert seen[sweep_id] == "finished", "the service sees it, too"


@pytest.mark.parametrize("way", ["service", "cluster"])
def test_one_spec_from_eight_clients_at_once_runs_once(stack: Stack, way: str) -> None:
    client = stack.user("ada") if way == "service" else stack.neighbour
    spec, loaded = stack.spec(f"eight-{way}", **SHORT)
    commands = [client.start("submit", spec, "--json") for _ in range(8)]
    ended = [end_of(command) for command in commands]
    assert [end.code for end in ended] == [0] * 8, "\n".join(end.err for end in ended)
    outcomes = [outcome_of(end.out) for end in ended]
    assert outcomes.count("submitted") <= 1, outcomes
    assert set(outcomes) <= {"submitted", "queued", "already running", "done"}, outcomes
    finish(client, loaded.spec.sweep_id)
    assert len(stack.jobs(loaded.spec.sweep_id)) == 1


def test_without_the_clusters_token_a_submission_is_refused_in_one_line(stack: Stack) -> None:
    spec, _ = stack.spec("stranger", **SHORT)
    refused = stack.neighbour.without(*stack.ray.credentials).call("submit", spec)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.count("\n") == 1 and "token" in refused.err
    assert "Traceback" not in refused.err


def outcome_of(printed: str) -> str:
    """Of a submission, as it was printed."""
    return str(json.loads(printed)["outcome"])


def finish(client: Laptop, sweep_id: str) -> None:
    """Wait until a sweep is finished."""
    ended = client.call("status", sweep_id, "--watch", "--json")
    assert ended.code == 0, ended.err
    last = ended.out.splitlines()[-1]
    assert '"finished"' in last, last + client.call("logs", sweep_id).out
