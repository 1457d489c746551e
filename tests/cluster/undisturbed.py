"""A sweep that nothing disturbs, on this machine alone: what any other run of its spec must equal."""

from pathlib import Path

from contrasweep.services.spec.spec import LoadedSpec
from tests.cluster.laptop import Laptop
from tests.services.small_study import results, settings_in


def undisturbed_results(loaded: LoadedSpec, folder: Path) -> str:
    """The results of a spec, by `contrasweep run` with a Ray and a home of its own."""
    spec = loaded.base / f"{loaded.spec.name}.yaml"
    spec.write_text(loaded.spec.to_yaml())
    here = Laptop(folder, {"OMP_NUM_THREADS": "1"})
    ended = here.call("run", str(spec))
    assert ended.code == 0, ended.err
    return results(loaded, settings_in(folder / "home"))
