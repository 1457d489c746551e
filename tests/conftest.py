"""Fixtures that several folders of tests share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """Ray on this machine, started once for all tests marked `ray`."""
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, logging_level="ERROR")
    yield
    ray.shutdown()
