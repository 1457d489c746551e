"""Sweeps from Python: run one here, or look at one that is there."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from contrasweep.services.python.model import Model
from contrasweep.services.records.answers import Final, Pooled, State
from contrasweep.services.records.folder import STOPPED, SweepFolder, recognised
from contrasweep.services.settings import Settings, load_settings
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.verbs.local import Local, describe, read_final
from contrasweep.trainers.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


class Sweep(Model):
    """A sweep of this machine's home, running or not; what it is asked it reads anew.

    `predict`, `embeddings`, `evaluate` and `export` are those of the model that it leaves when it is finished, and
    raise UserError before. Printed, it is its leaderboard and its final figure, as `contrasweep report` shows them.
    """

    def __init__(self, folder: SweepFolder, settings: Settings) -> None:
        super().__init__(folder.sweep_id, settings)
        self._folder = folder

    def __repr__(self) -> str:
        return f"<Sweep {self.id}: {self.state}>"

    def __str__(self) -> str:
        from contrasweep.services.screen.tables import plain_text, print_sweep

        local = Local(self._settings)
        sweep, trials = local.status(self.id), local.trials(self.id)
        return plain_text(lambda console: print_sweep(console, sweep, trials)).rstrip()

    @property
    def id(self) -> str:
        """Its name and a hash of what its spec asks for."""
        return self._folder.sweep_id

    @property
    def state(self) -> State:
        """How it stands: finished, running, stopped, failed ..."""
        return describe(self._folder).state

    @property
    def final(self) -> Final | Pooled | None:
        """The final figure, None before there is one: `metrics` with 95 % intervals of the model's mean prediction over
        runs on the test split, `baselines` beside it, and `against`, the best of them in pairs of subjects.
        """
        return read_final(self._folder)

    def trials(self) -> "pd.DataFrame":
        """A row for each configuration, the best first: objectives, sd, `params_*`, `training_*`, `choices_*` ..."""
        return self._table("trials")

    def seed_runs(self) -> "pd.DataFrame":
        """A row for each run of a configuration: state, epochs, best epoch, objective, seconds."""
        return self._table("seed_runs")

    def epochs(self) -> "pd.DataFrame":
        """A row for each epoch of each run: every metric."""
        return self._table("epochs")

    def predictions(self) -> "pd.DataFrame":
        """A row for each scan that was predicted in the end and each run, or baseline, that did; `split` is test,
        out_of_fold or an external cohort's name.
        """
        return self._table("predictions")

    def readings(self) -> "pd.DataFrame":
        """A row for each scan and each epoch, space of features and probe that `read` of the spec asks for of a run."""
        return self._table("readings")

    def report(self) -> Path:
        """Draw the HTML page as of now; where it is."""
        from contrasweep.services.records.files import write_asked

        page = self._settings.reports / f"{self.id}.html"
        write_asked(page, Local(self._settings).report(self.id).encode())
        return page

    def extend(
        self,
        *,
        trials: int | None = None,
        seeds: Sequence[int] | None = None,
        finalists: int | None = None,
        all: bool = False,
        add_spaces: Sequence[str] = (),
        hours: float | None = None,
    ) -> "Sweep":
        """Go on with it, a finished one, too: so many trials, these seeds, and so many finalists in all, more methods,
        and, where its budget ended it, so many hours.

        With `all` every complete configuration runs the new seeds, not the finalists alone. It runs here, as with
        `run`, which says what is raised.
        """
        from contrasweep.services.spec.extent import extended, more_of

        given: dict[str, Any] = {"trials": trials, "seeds": seeds, "finalists": finalists, "hours": hours}
        given |= {"all": all, "add_spaces": add_spaces}
        return _run(extended(self._spec(), more_of(given)), self._settings)

    def resume(self) -> "Sweep":
        """Go on with one that was stopped or interrupted; what it has is kept. It runs here, as with `run`."""
        return _run(self._spec(), self._settings)

    def _spec(self) -> LoadedSpec:
        return SweepFolder.find_whole(self._settings, self.id).load()

    def _table(self, name: str) -> "pd.DataFrame":
        from contrasweep.services.records.results import read_results

        return read_results(self._settings, self._folder)[name].to_pandas()


def run(spec: str | Path | Mapping[str, Any], *, smoke: bool = False) -> Sweep:
    """Run a sweep here, on this machine or the Ray of the settings, to its end, or on from where it was.

    A finished one is returned at once. Interrupted - Ctrl-C, a notebook's stop button, `contrasweep stop` - it ends
    after the epochs under way, and KeyboardInterrupt is raised; the same call goes on with it.

    Args:
        spec: the path of a YAML file, or what such a file would hold; relative paths in it start at the file's folder,
            of a mapping at the current folder.
        smoke: only 48 subjects, two methods and two epochs, to see that all goes together.

    Raises:
        UserError: in one line, for whatever is wrong with the spec, the data or the machine, and where the budget is
            spent with nothing to evaluate.
        KeyboardInterrupt: it was interrupted.
    """
    loaded = _loaded(spec)
    if smoke:
        from contrasweep.services.spec.smoke import smoke as small

        loaded = small(loaded)
    return _run(loaded, load_settings())


def open(sweep_id: str) -> Sweep:
    """A sweep of this machine's home, by its id or a beginning that only one has; `ID.0` is one of its outer folds.

    Raises UserError where none or several match.
    """
    settings = load_settings()
    return Sweep(SweepFolder.find(settings, sweep_id), settings)


def _loaded(spec: str | Path | Mapping[str, Any]) -> LoadedSpec:
    from contrasweep.services.spec.spec import load_spec, spec_of

    if isinstance(spec, Mapping):
        plain = json.loads(json.dumps(dict(spec), default=_plain))
        return LoadedSpec(spec_of(plain, "spec"), Path("spec"), Path.cwd())
    return load_spec(spec)


def _plain(value: Any) -> Any:
    """A path, a range, an array or a number of NumPy's as YAML has it."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, Iterable) else str(value)


def _run(loaded: LoadedSpec, settings: Settings) -> Sweep:
    loaded = recognised(loaded, settings)
    folder = SweepFolder(settings.sweeps / loaded.sweep_id)
    if not folder.has_done(loaded):
        from contrasweep.services.sweep.run import run_sweep

        run_sweep(loaded, settings, Console(highlight=False))
    state = folder.read_state()
    if state.state == STOPPED and state.unfinished:
        raise UserError(state.reason)
    if state.state == STOPPED:
        raise KeyboardInterrupt(f"{folder.sweep_id} is stopped; running it again goes on with it")
    return Sweep(folder, settings)
