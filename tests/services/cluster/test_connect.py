"""How Ray starts, in processes of their own: it starts once in each."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from contrasweep.services.cluster.connect import LONGEST_FOLDER

START = """
import sys
from pathlib import Path
from contrasweep.services.cluster.connect import cluster
from contrasweep.services.settings import Settings
from contrasweep.trainers.errors import UserError

try:
    with cluster(Settings(home=Path(sys.argv[1]), ray_address=sys.argv[2])):
        import ray
        print(ray.get_runtime_context().gcs_address)
        print(ray._private.worker._global_node.get_session_dir_path())
except UserError as error:
    print(error)
"""


def start(home: Path, address: str = "local", **variables: str) -> list[str]:
    """What a process prints that starts Ray, or joins it, where the environment says `variables`, too."""
    command = [sys.executable, "-c", START, str(home), address]
    others = {name: value for name, value in os.environ.items() if name != "RAY_TMPDIR"}
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, env=others | variables).stdout.splitlines()


def test_what_needs_ray_does_not_import_it_before_its_environment_is_set() -> None:
    rooms = ("data.plan", "inspection.command", "screen.preparation", "sweep.run", "verbs.driver")
    modules = ", ".join(f"contrasweep.services.{room}" for room in rooms)
    looking = f"import sys, {modules}; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", looking]).returncode == 0


@pytest.mark.ray
def test_neither_a_long_tmpdir_nor_an_address_in_the_environment_matters(tmp_path: Path) -> None:
    long = tmp_path / ("slurm_jobdir" * 10)
    long.mkdir()
    address, session = start(tmp_path, TMPDIR=str(long), RAY_ADDRESS="192.0.2.9:6379")
    assert not address.startswith("192.0.2.9:")
    assert Path(session).parent == Path(f"/tmp/ray-{os.getuid()}")


def test_no_socket_s_path_is_too_long_in_the_longest_folder(tmp_path: Path) -> None:
    from ray._private.utils import validate_socket_filepath
    from ray.dashboard.subprocesses.module import SubprocessModule
    from ray.dashboard.subprocesses.utils import get_socket_path
    from ray.dashboard.utils import get_all_modules  # those whose names are in the paths

    sockets = "/" * LONGEST_FOLDER + "/session_2026-01-31_09-59-00_123456_4194304/sockets"
    for module in get_all_modules(SubprocessModule):
        get_socket_path(sockets, module.__name__)
    validate_socket_filepath(f"{sockets}/plasma_store.99")


def test_a_folder_that_cannot_be_written_is_one_line_before_ray_starts(tmp_path: Path) -> None:
    (line,) = start(tmp_path, RAY_TMPDIR=os.devnull)
    advice = "set RAY_TMPDIR to a folder with room, such as /tmp"
    assert line == f"Ray's folder {os.devnull}/ray cannot be written: Not a directory; {advice}"


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        (line,) = start(tmp_path, address)
    assert line.startswith(f"no Ray cluster at '{address}', which --address or CONTRASWEEP_RAY_ADDRESS names: nothing")
