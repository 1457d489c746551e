"""Fixtures that several folders of tests share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.environment import set_ray_environment
from services.settings import Settings

# Ray reads its environment when it is imported, which collecting the tests already does.
set_ray_environment(Settings(home=Path(tempfile.mkdtemp(prefix="contrasweep-tests-"))))


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """Ray on this machine, started once for all tests marked `ray`: two CPUs to train on, one in reserve."""
    import ray

    ray.init("local", num_cpus=3, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()
