"""The stack of the cluster tests, raised once; each test leaves it with nothing running."""

from collections.abc import Iterator

import pytest

from contrasweep.services.records.answers import ACTIVE
from tests.cluster.server import wait_until
from tests.cluster.stack import Stack
from tests.cluster.stack import stack as raised
from tests.cluster.studies import MEDIUM
from tests.cluster.undisturbed import undisturbed_results


@pytest.fixture(scope="session")
def whole_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, started once."""
    with raised(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def undisturbed(whole_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Results of the medium study, run on this machine alone."""
    _, loaded = whole_stack.spec("calm", **MEDIUM)
    return undisturbed_results(loaded, tmp_path_factory.mktemp("calm"))


@pytest.fixture
def stack(whole_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """The stack with no sweep running, before the test and after it."""
    for name, value in whole_stack.tracking.credentials.items():
        monkeypatch.setenv(name, value)
    yield whole_stack
    admin = whole_stack.user("root")
    for sweep in admin.ask("list"):
        if sweep["state"] in ACTIVE:
            admin.call("stop", sweep["id"], "--now")
    wait_until(lambda: all(s["state"] not in ACTIVE for s in admin.ask("list")), 120)
