"""A Ray cluster on this machine with an autoscaler, which starts workers as it would on Kubernetes or in a cloud."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.server import Server, free_ports, listens, plain_environment

HEAD_ID = "f" * 51 + "00000"
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
MOST_WORKERS, WORKER_CPUS = 2, 3


@contextmanager
def growing_cluster(folder: Path) -> Iterator[str]:
    """A head with 2 CPUs, none of them to train on, and its address; workers come on demand, and go when idle."""
    port, client = free_ports(2)
    address = f"127.0.0.1:{port}"
    (folder / "autoscaling.json").write_text(json.dumps(_configuration(address)))
    environment = {
        **plain_environment(),
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "OMP_NUM_THREADS": "1",
        "RAY_AUTH_MODE": "disabled",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "RAY_FAKE_CLUSTER": "1",
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
        "RAY_enable_autoscaler_v2": "1",
    }
    scratch = Path(tempfile.mkdtemp(prefix="cs-"))  # short: sockets live in it
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--node-ip-address=127.0.0.1"]
    command += ["--num-cpus=2", "--num-gpus=0", "--object-store-memory=200000000", "--include-dashboard=false"]
    command += [f"--port={port}", f"--ray-client-server-port={client}", f"--temp-dir={scratch}"]
    command += ["--disable-usage-stats", f"--autoscaling-config={folder / 'autoscaling.json'}"]
    head = Server("head", command, environment, folder, lambda: listens(port))
    try:
        head.start()
        yield address
    finally:
        head.kill()
        shutil.rmtree(scratch, ignore_errors=True)


def _configuration(address: str) -> dict[str, object]:
    """What `ray up` would hand over. Ray's wheel lacks the defaults of its `fake_multinode`, hence `external`."""
    worker = {"CPU": WORKER_CPUS, "object_store_memory": 100_000_000}
    lists = ["cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands"]
    lists += ["head_setup_commands", "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"]
    return {
        "cluster_name": "growing",
        "max_workers": MOST_WORKERS,
        "idle_timeout_minutes": 0.5,
        "upscaling_speed": 1.0,
        "docker": {},
        "auth": {},
        "provider": {
            "type": "external",
            "module": PROVIDER,
            "gcs_address": address,
            "head_node_id": HEAD_ID,
            "launch_multiple": True,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0},
            "worker": {"resources": worker, "node_config": {}, "min_workers": 0, "max_workers": MOST_WORKERS},
        },
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{name: [] for name in lists},
    }
