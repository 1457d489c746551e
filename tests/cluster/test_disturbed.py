"""Parts of the stack die in the middle of a sweep: it goes on, and nothing is lost."""

import signal
import time

import pytest

from contrasweep.services.records.answers import ACTIVE
from contrasweep.services.spec.spec import LoadedSpec
from tests.cluster.laptop import Laptop
from tests.cluster.outcome import assert_mlflow_has_everything, epochs_run
from tests.cluster.server import wait_until
from tests.cluster.stack import Stack
from tests.cluster.studies import ENDLESS, MEDIUM, SHORT
from tests.cluster.test_life import finish
from tests.services.small_study import results

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

OUTAGE_S = 60.0


def test_the_service_is_killed_and_started_again(stack: Stack) -> None:
    ada, bob = stack.user("ada"), stack.user("bob")
    spec, loaded = stack.spec("long", **ENDLESS)
    waiting = [stack.spec(f"waiting-{place}", **SHORT) for place in (1, 2)]
    running = loaded.spec.sweep_id
    ada.ask("submit", spec)
    places = [bob.ask("submit", path)["sweep"]["position"] for path, _ in waiting]
    assert places == [1, 2]
    begin(stack, ada, loaded)

    stack.service.kill()
    before = epochs_run(stack, loaded)
    assert ada.call("status", running).code == 2, "nobody answers"
    wait_until(lambda: epochs_run(stack, loaded) > before + 5, 200)
    stack.service.start()

    assert ada.ask("status", running)["state"] == "running"
    assert [ada.ask("status", each.spec.sweep_id)["position"] for _, each in waiting] == [1, 2]
    first, second = (each.spec.sweep_id for _, each in waiting)
    assert bob.ask("stop", first)["state"] == "stopped", "it leaves the queue"
    assert ada.ask("status", second)["position"] == 1
    ada.ask("stop", running)
    ended(ada, running, "stopped")
    finish(bob, second)
    assert (ada.ask("status", first)["state"], stack.jobs(first)) == ("stopped", [])
    assert len(stack.jobs(running)) == 1
    assert_mlflow_has_everything(stack, loaded)


def test_mlflow_is_away_for_a_minute(stack: Stack) -> None:
    ada = stack.user("ada")
    spec, loaded = stack.spec("outage", **ENDLESS)
    ada.ask("submit", spec)
    begin(stack, ada, loaded)
    stack.tracking.server.signal(signal.SIGSTOP)
    try:
        before, until = epochs_run(stack, loaded), time.monotonic() + OUTAGE_S
        wait_until(lambda: epochs_run(stack, loaded) > before + 10, 300)
        time.sleep(max(0.0, until - time.monotonic()))
    finally:
        stack.tracking.server.signal(signal.SIGCONT)
    back = epochs_run(stack, loaded)
    wait_until(lambda: epochs_run(stack, loaded) > back + 3, 200)
    ada.ask("stop", loaded.spec.sweep_id)
    ended(ada, loaded.spec.sweep_id, "stopped")
    assert_mlflow_has_everything(stack, loaded)


def test_mlflow_is_killed_and_started_again(stack: Stack) -> None:
    ada = stack.user("ada")
    spec, loaded = stack.spec("restart", **ENDLESS)
    ada.ask("submit", spec)
    begin(stack, ada, loaded)
    stack.tracking.server.kill()
    before = epochs_run(stack, loaded)
    wait_until(lambda: epochs_run(stack, loaded) > before + 5, 300)
    stack.tracking.server.start()
    ada.ask("stop", loaded.spec.sweep_id)
    ended(ada, loaded.spec.sweep_id, "stopped")
    assert_mlflow_has_everything(stack, loaded)


def test_a_driver_that_dies_is_replaced_by_the_service(stack: Stack, undisturbed: str) -> None:
    ada = stack.user("ada")
    spec, loaded = stack.spec("orphan", **MEDIUM)
    ada.ask("submit", spec)
    begin(stack, ada, loaded)
    (driver,) = stack.drivers()
    driver.send_signal(signal.SIGKILL)
    finish(ada, loaded.spec.sweep_id)
    assert len(stack.jobs(loaded.spec.sweep_id)) == 2
    assert results(loaded, stack.settings) == undisturbed
    assert_mlflow_has_everything(stack, loaded)


def test_a_worker_node_that_dies_takes_no_trial_with_it(stack: Stack, undisturbed: str) -> None:
    ada = stack.user("ada")
    spec, loaded = stack.spec("node", **MEDIUM)
    ada.ask("submit", spec)
    begin(stack, ada, loaded)
    try:
        stack.ray.raylet_of(stack.ray.worker).send_signal(signal.SIGKILL)
        finish(ada, loaded.spec.sweep_id)
    finally:
        stack.ray.worker.stop()
        wait_until(lambda: stack.ray.nodes_alive() == 1, 120)
        stack.ray.worker.start()
    assert results(loaded, stack.settings) == undisturbed
    assert_mlflow_has_everything(stack, loaded)


def begin(stack: Stack, client: Laptop, loaded: LoadedSpec) -> None:
    """Wait until a sweep is in the middle of its search."""
    wait_until(lambda: epochs_run(stack, loaded) > 2, 300, lambda: client.call("logs", loaded.spec.sweep_id).out)


def ended(client: Laptop, sweep_id: str, state: str) -> None:
    """Wait until a sweep has ended, like this."""
    wait_until(lambda: client.ask("status", sweep_id)["state"] not in ACTIVE, 300)
    assert client.ask("status", sweep_id)["state"] == state
