"""Fixtures that several folders of tests share."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from upath import UPath

from contrasweep.services.cluster.environment import set_ray_environment
from contrasweep.services.settings import Settings

# Processes that tests start import the checkout that is tested.
os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / ".packages")
# Ray reads its environment when it is imported, which collecting the tests already does.
set_ray_environment(Settings(home=Path(tempfile.mkdtemp(prefix="contrasweep-tests-"))))


hypothesis.settings.register_profile("reproducible", derandomize=True, deadline=None)
hypothesis.settings.register_profile("new examples", deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    """The same examples in every run of the usual tests; `make test-all` looks for new ones."""
    hypothesis.settings.load_profile("reproducible" if config.option.markexpr else "new examples")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start Ray or other processes begin: they take longest, and of two processes each takes whole files."""
    items.sort(key=lambda item: not any(item.get_closest_marker(long) for long in ("ray", "cluster", "distributed")))


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """Ray on this machine, started once for all tests marked `ray`: two CPUs to train on, one in reserve.

    Processes that have imported everything stay for the tests to come.
    """
    import ray

    from contrasweep.services.cluster.connect import HERE

    patient = {"idle_worker_killing_time_threshold_ms": 3_600_000}
    quiet: dict[str, Any] = {"include_dashboard": False, "logging_level": "ERROR", "log_to_driver": False}
    ray.init("local", namespace=HERE, num_cpus=3, _system_config=patient, **quiet)
    yield
    ray.shutdown()


@pytest.fixture
def signals_as_in_a_terminal() -> Iterator[None]:
    """Programs in the background or under `nohup` ignore SIGINT or SIGHUP, and so does what they start."""
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session")
def bucket() -> Iterator[UPath]:
    """An empty bucket on a local server that speaks S3."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "key": "testing", "secret": "testing"}
    names = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=options["endpoint_url"], **names).create_bucket(Bucket="volumes")
    yield UPath("s3://volumes", **options)
    server.stop()
