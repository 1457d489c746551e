"""What a sweep costs beyond training: its wall time beside the same training loops run bare, one after the other.

    python tests/benchmarks/bench_sweep.py [seconds of a seed run]

Goal: 1.05 for seed runs of 60 s, and 3 s for a configuration. Start-up (Ray, preparing, finalize) is told apart.
"""

import io
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from rich.console import Console
from rich.table import Table

from contrasweep import search_spaces
from contrasweep.services.cluster.environment import set_ray_environment
from contrasweep.services.settings import Settings
from tests.services.small_study import write_study

SEEDS, TRIALS, CALIBRATION_EPOCHS = [0, 1], 3, 20


def main() -> None:
    """Calibrate the epochs, run bare, run as a sweep, print."""
    seed_s = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(home=folder / "home")
        set_ray_environment(settings)
        _measure(folder, settings, seed_s)


def _measure(folder: Path, settings: Settings, seed_s: float) -> None:
    import ray
    import torch

    from contrasweep.services.cluster.connect import cluster
    from contrasweep.services.records.trial_record import read_records
    from contrasweep.services.screen.preparation import prepare_data
    from contrasweep.services.sweep.run import run_sweep
    from contrasweep.services.sweep.trial import run_config
    from contrasweep.trainers import losses
    from contrasweep.trainers.data.feeds.resident import ResidentFeed, load_resident
    from contrasweep.trainers.pretrain import pretrain

    search = {"spaces": ["exponential"], "trials": TRIALS, "seeds": SEEDS, "parallel": 1, "racing": None}
    quiet = Console(file=io.StringIO())
    loaded = write_study(folder, training={"epochs": CALIBRATION_EPOCHS}, search=search)
    with cluster(settings):
        (prepared,) = prepare_data(loaded, settings, quiet).values()
    feed = ResidentFeed(load_resident(prepared.store, prepared.first.splits))
    published = search_spaces.Configuration("exponential", losses.parameters("exponential"))
    cpu = torch.device("cpu")
    history = pretrain(run_config(loaded.spec, published, 0), feed, folder / "calibration", device=cpu)
    epochs = max(2, round(seed_s / (sum(row["epoch_s"] for row in history.epochs[1:]) / (CALIBRATION_EPOCHS - 1))))
    loaded = write_study(folder, training={"epochs": epochs}, search=search)

    began = time.monotonic()
    run_sweep(loaded, settings, quiet)
    sweep_s = time.monotonic() - began
    storage = Path(settings.storage_path) / loaded.spec.sweep_id
    records = read_records(storage, loaded.spec.plan)
    stamps = sorted(path.stat().st_mtime for path in storage.glob("trial-*/trial.json"))
    lasts = sorted(path.stat().st_mtime for path in storage.glob("trial-*/seed-*/history.json"))

    began = time.monotonic()
    for record in records:
        for seed in SEEDS:
            run = run_config(loaded.spec, record.configuration, seed)
            pretrain(run, feed, folder / f"bare-{record.number}-{seed}", device=cpu)
    bare_s = time.monotonic() - began

    search_s = lasts[-1] - stamps[0]
    table = Table(
        "", "seconds", "beside bare", title=f"{TRIALS} configurations x {len(SEEDS)} seeds of {epochs} epochs"
    )
    table.add_row("bare loops", f"{bare_s:.1f}", "1.000")
    table.add_row("search, first trial's start to last epoch", f"{search_s:.1f}", f"{search_s / bare_s:.3f}")
    table.add_row("  beyond training, a configuration", f"{(search_s - bare_s) / TRIALS:.2f}", "")
    table.add_row("whole sweep, Ray's start to registered model", f"{sweep_s:.1f}", f"{sweep_s / bare_s:.3f}")
    Console().print(table)
    ray.shutdown()


if __name__ == "__main__":
    main()
