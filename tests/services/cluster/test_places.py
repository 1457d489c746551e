"""Dividing resources: whatever is started can finish, and nothing is promised twice."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contrasweep.services.cluster.places import MAX_DRIVERS, RESERVED_CPUS, Allotment, Node, allot
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.trainers.errors import UserError
from tests.services.past import spec


def of(*, parallel: int = 8, **training: object) -> SweepSpec:
    return spec(training={"batch_size": 3 * 5 * 7 * 16, **training}, parallel=parallel)


@pytest.mark.parametrize(
    ("nodes", "training", "parallel", "concurrent"),
    [
        ([Node(2, 0)], {}, 8, 2),
        ([Node(8, 0)], {}, 3, 3),
        ([Node(8, 0)], {"cpus_per_worker": 3}, 8, 2),
        ([Node(8, 0)], {"workers": 3}, 8, 2),
        ([Node(3, 0), Node(3, 0)], {"workers": 3, "cpus_per_worker": 2}, 8, 0),
        ([Node(5, 0), Node(3, 0)], {"workers": 3, "cpus_per_worker": 2}, 8, 1),
        ([Node(16, 4)], {"gpus_per_worker": 1}, 8, 4),
        ([Node(3, 4)], {"gpus_per_worker": 1}, 8, 3),
        ([Node(16, 1)], {"gpus_per_worker": 0.1}, 16, 10),
        ([Node(16, 2)], {"gpus_per_worker": 0.6}, 8, 2),
        ([Node(16, 8)], {"gpus_per_worker": 2, "workers": 2}, 8, 2),
        ([Node(16, 0), Node(4, 2)], {"gpus_per_worker": 1}, 8, 2),
    ],
)
def test_how_many_at_once(nodes: list[Node], training: dict[str, object], parallel: int, concurrent: int) -> None:
    if concurrent:
        assert allot(of(parallel=parallel, **training), nodes).concurrent == concurrent
    else:
        with pytest.raises(UserError, match="do not fit"):
            allot(of(parallel=parallel, **training), nodes)


def test_one_worker_trains_in_the_trial_itself() -> None:
    study = of(cpus_per_worker=2, gpus_per_worker=0.5)
    assert allot(study, [Node(8, 1)]) == Allotment(2, {"CPU": 2.0, "GPU": 0.5})


def test_the_driver_of_a_group_takes_next_to_nothing() -> None:
    trial = allot(of(workers=2), [Node(4, 0)]).trial
    assert set(trial) == {"CPU"}
    assert 0 < trial["CPU"] <= 0.01


def test_more_workers_than_the_machine_has() -> None:
    with pytest.raises(UserError) as error:
        allot(of(workers=5, cpus_per_worker=2), [Node(4, 0), Node(3, 0)])
    assert str(error.value) == (
        "training.workers: 5 workers of 2 CPUs and 0 GPUs do not fit on 2 node(s) with 7 CPUs and 0 GPUs; "
        "allowed: at most 3"
    )


def test_a_node_that_is_all_reserve() -> None:
    with pytest.raises(UserError, match="at most 0"):
        allot(of(), [Node(-1, 0)])


def test_a_share_above_one_gpu_is_whole() -> None:
    with pytest.raises(ValueError, match=r"gpus_per_worker 1\.5 is not allowed"):
        of(gpus_per_worker=1.5)


@settings(max_examples=200, deadline=None)
@given(
    nodes=st.lists(
        st.builds(Node, st.integers(0, 600).map(float), st.integers(0, 8).map(float)), min_size=1, max_size=4
    ),
    workers=st.sampled_from([1, 2, 3, 4, 5, 7, 8]),
    cpus=st.integers(1, 5),
    gpus=st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.6, 1.0, 2.0]),
    parallel=st.integers(1, 600),
)
def test_what_runs_at_once_fits(nodes: list[Node], workers: int, cpus: int, gpus: float, parallel: int) -> None:
    assume(workers == 1 or not 0 < gpus < 1)
    study = of(parallel=parallel, workers=workers, cpus_per_worker=cpus, gpus_per_worker=gpus)
    fits = sum(places(node, cpus, gpus) for node in nodes)
    if fits < workers:
        with pytest.raises(UserError, match=rf"at most {fits}$"):
            allot(study, nodes)
        return
    allotment = allot(study, nodes)
    assert 1 <= allotment.concurrent <= parallel, "at least one configuration makes progress"
    assert allotment.concurrent * workers <= fits, "every worker has its place"
    if workers > 1:
        left = RESERVED_CPUS - allotment.concurrent * allotment.trial["CPU"]
        assert left >= 0.5, "drivers leave room on the reserve"
    most = parallel if workers == 1 else min(parallel, MAX_DRIVERS)
    assert (allotment.concurrent + 1) * workers > fits or allotment.concurrent == most


def places(node: Node, cpus: int, gpus: float) -> int:
    """Workers placed one by one, each on one node, a share of a GPU on one GPU."""
    free_cpus, free = node.cpus, [1.0] * int(node.gpus)
    placed = 0
    while free_cpus >= cpus:
        if gpus >= 1:
            if len(free) < gpus:
                break
            free = free[int(gpus) :]
        elif gpus:
            open_gpus = [i for i, left in enumerate(free) if left >= gpus - 1e-6]
            if not open_gpus:
                break
            free[open_gpus[0]] -= gpus
        free_cpus -= cpus
        placed += 1
    return placed
