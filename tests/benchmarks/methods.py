"""Every method at its published point, equal epochs, three seeds, as a sweep without a search.

`python tests/benchmarks/methods.py SPEC FOLDER`, with one of `tests/specs/*_methods.yaml`. Everything is kept
in FOLDER, where a second call goes on; a phantom that the spec names is generated there.
"""

import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from upath import UPath

from contrasweep.services.cli.demo import SUBJECTS
from contrasweep.services.cluster.environment import set_ray_environment
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec, load_spec
from contrasweep.trainers.data.phantom import write_phantom
from contrasweep.trainers.metrics import mae


def loaded(path: Path, folder: Path) -> LoadedSpec:
    """The spec; one over a phantom is read as if it lay in `folder`."""
    spec = load_spec(path)
    if not spec.spec.data.listed_in.startswith("phantom/"):
        return spec
    if not (folder / "phantom" / "participants.tsv").exists():
        write_phantom(folder / "phantom", subjects=SUBJECTS)
    return LoadedSpec(spec.spec, path, folder)


def guessing(spec: LoadedSpec, volumes: UPath) -> float:
    """The validation MAE of the mean training label."""
    from contrasweep.services.data.prepare import prepare

    prepared = prepare(spec.spec.data, spec.base, volumes, lambda *_: None)
    train, validation = (
        prepared.store.labels[prepared.store.rows_of(ids)]
        for ids in (prepared.first.splits.train, prepared.first.splits.validation)
    )
    return float(mae(validation, np.full_like(validation, train.mean())))


def main(path: Path, folder: Path) -> None:
    """Run and print the leaderboard, and what guessing gives."""
    folder.mkdir(parents=True, exist_ok=True)
    spec, settings = loaded(path, folder), Settings(home=folder / "home")
    set_ray_environment(settings)
    from contrasweep.services.sweep.run import run_sweep

    run_sweep(spec, settings, Console(width=160))
    print(f"predict-the-mean on the validation split: {guessing(spec, settings.volumes):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve())
