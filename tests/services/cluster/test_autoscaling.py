import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.util import placement_group_table
from rich.console import Console

from contrasweep.services.cluster import autoscaling as growth
from contrasweep.services.cluster.autoscaling import grow, grows
from contrasweep.services.cluster.connect import living_nodes
from contrasweep.services.records.folder import FINISHED, SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from tests.cluster.server import plain_environment
from tests.services.cluster.growing_cluster import MOST_WORKERS, growing_cluster
from tests.services.small_study import write_study

QUICK: dict[str, Any] = {"trials": 4, "seeds": [0], "parallel": 3, "racing": None}


@pytest.mark.ray
def test_a_cluster_without_an_autoscaler_is_taken_as_it_is(tmp_path: Path, ray_local: None) -> None:
    greedy = write_study(tmp_path, search={"trials": 100, "parallel": 100}).spec
    begun = time.monotonic()
    assert not grows()
    assert grow(greedy, Console(), lambda: True) == living_nodes()
    assert time.monotonic() - begun < 20


@pytest.mark.ray
def test_what_was_asked_for_is_let_go(tmp_path: Path, ray_local: None, monkeypatch: pytest.MonkeyPatch) -> None:
    greedy = write_study(tmp_path, search={"trials": 100, "parallel": 100}).spec
    monkeypatch.setattr(growth, "grows", lambda: True)
    monkeypatch.setattr(growth, "SILENCE_S", 1.0)
    before = set(placement_group_table())
    with pytest.raises(KeyboardInterrupt):
        grow(greedy, Console(), lambda: True)
    assert grow(greedy, Console(), lambda: False) == living_nodes(), "nothing is on its way: it does not wait for ever"
    states = [group["state"] for name, group in placement_group_table().items() if name not in before]
    assert states == ["REMOVED"] * 200


@pytest.mark.parametrize(
    ("fit", "began", "grown", "heard", "over"),
    [
        (0, 1700, 1700, 1, False),
        (0, 1900, 1, 1, True),
        (1, 170, 170, 1, False),
        (1, 200, 190, 1, True),
        (1, 1700, 1, 31, True),
        (0, 40, 40, 31, True),
    ],
)
def test_waiting_ends(
    fit: int, began: float, grown: float, heard: float, over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The times are how many seconds ago it was."""
    monkeypatch.setattr("time.monotonic", lambda: 5000.0)
    assert growth._is_over(fit, 5000 - began, 5000 - grown, 5000 - heard) is over


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with growing_cluster(tmp_path_factory.mktemp("cluster")) as address:
        yield address


def run(loaded: LoadedSpec, home: Path, address: str) -> subprocess.CompletedProcess[str]:
    """`contrasweep run` as a driver that joins the cluster."""
    settings = {"CONTRASWEEP_HOME": str(home), "CONTRASWEEP_RAY_ADDRESS": address}
    environment = plain_environment() | settings | {"RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "contrasweep.services.cli", "run", str(loaded.base / loaded.path)]
    return subprocess.run(command, env=environment, cwd=os.getcwd(), capture_output=True, text=True, timeout=500)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_that_nothing_here_can_train_gets_its_nodes(tmp_path: Path, address: str) -> None:
    loaded = write_study(tmp_path, training={"epochs": 2, "cpus_per_worker": 2}, search=QUICK)
    ended = run(loaded, tmp_path / "home", address)
    assert ended.returncode == 0, ended.stderr
    assert "asking for nodes: 0 of 3 configurations at once have a place" in ended.stdout
    assert f"{1 + MOST_WORKERS} node(s): {MOST_WORKERS} of 3 have a place" in ended.stdout
    assert SweepFolder.find(Settings(home=tmp_path / "home"), "small").read_state().state == FINISHED


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_that_no_node_could_ever_train_fails_with_the_reason(tmp_path: Path, address: str) -> None:
    loaded = write_study(tmp_path, training={"epochs": 2, "cpus_per_worker": 3}, search=QUICK)
    ended = run(loaded, tmp_path / "home", address)
    assert ended.returncode == 2
    assert "1 node(s): 0 of 3 have a place" in ended.stdout, "those of the sweep before have gone"
    assert "training.workers: 1 workers of 3 CPUs" in ended.stderr
    assert "do not fit" in SweepFolder.find(Settings(home=tmp_path / "home"), "small").read_state().reason
