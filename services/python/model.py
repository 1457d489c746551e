"""A served model from Python: what it says of scans, as data frames."""

import warnings
import weakref
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

from contrasweep.services.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

    from contrasweep.services.predicting.answers import Refused
    from contrasweep.services.predicting.evaluate import CohortReport
    from contrasweep.services.predicting.scans import Asked

Files = str | Path | Iterable[str | Path]
One = TypeVar("One", str, str | Path)


class Model:
    """A trained model that takes scans as they come, behind its study's own preparation.

    Scans are `scans`, a path or several, or those of the table `participants`, or of the data set `bids`; `image`,
    `id`, `session`, `suffix` and `label` say what in these is called otherwise than in the model's study, as the
    options of `contrasweep predict` do. Paths start at the current folder.

    A scan that cannot be used has no row: it is warned about, and `frame.attrs["rejected"]` has its `scan`, `path` and
    `reason`. UserError is raised where the model is not there any more, where scans are named in no way or in several,
    and where a table lacks what the model reads.
    """

    def __init__(self, target: str, settings: Settings) -> None:
        self._target, self._settings = target, settings

    def predict(
        self,
        scans: Files | None = None,
        *,
        participants: str | Path | None = None,
        bids: str | Path | None = None,
        image: str | None = None,
        id: str | None = None,
        session: str | None = None,
        suffix: str | None = None,
        label: str | None = None,
        saliency: str | None = None,
        maps: str | Path = "saliency",
    ) -> "pd.DataFrame":
        """A row for each scan, with the columns of `predictions.tsv`: scan, prediction, sd over runs, low, high, label,
        gap ..., in the label's unit.

        A number that is not known is NaN; `unlike` is empty where a scan is like those of training. `saliency`,
        "gradient" or "occlusion", writes a map of each scan into the folder `maps`.
        """
        from contrasweep.services.predicting.answers import to_frame
        from contrasweep.services.predicting.command import predict_scans

        asked = _asked(scans, participants, bids, image, id, session, suffix, label)
        mapped = (saliency, Path(maps)) if saliency else None
        found = predict_scans(self._target, asked, self._settings, _aside(), mapped)
        _warn(found.rejected)
        return _with_rejected(to_frame(found.scans), found.rejected)

    def embeddings(
        self,
        scans: Files | None = None,
        *,
        participants: str | Path | None = None,
        bids: str | Path | None = None,
        image: str | None = None,
        id: str | None = None,
        session: str | None = None,
        suffix: str | None = None,
        label: str | None = None,
    ) -> "pd.DataFrame":
        """A row for each scan, by its id: subject, session, path, label, prediction and, of each run, its features
        [F], float32, in a column of arrays: `np.stack(frame["features_seed_0"])` is [N, F].

        Without any scans named they are all those of the model's own study that have a label: those it was trained on,
        too. Runs have no axes in common: compare scans inside one column, and average none.
        """
        from contrasweep.services.predicting.answers import Refused
        from contrasweep.services.predicting.command import ask, ask_study
        from contrasweep.services.predicting.embed import embeddings_table
        from contrasweep.services.predicting.scans import Asked

        asked = _asked(scans, participants, bids, image, id, session, suffix, label)
        if scans is None and asked == Asked():
            found = ask_study(self._target, self._settings, _aside())
        else:
            found = ask(self._target, asked, self._settings, _aside())
        rejected = [Refused.of(one) for one in found.rejected]
        _warn(rejected)
        return _with_rejected(embeddings_table(found.said).to_pandas().set_index("scan"), rejected)

    def evaluate(
        self,
        name: str,
        *,
        participants: str | Path | None = None,
        bids: str | Path | None = None,
        image: str | None = None,
        id: str | None = None,
        session: str | None = None,
        suffix: str | None = None,
        label: str | None = None,
        by: str | Iterable[str] = (),
        out: str | Path | None = None,
        force: bool = False,
    ) -> "CohortReport":
        """How far the model is from the labels of another cohort: what `contrasweep evaluate` tells, and keeps.

        `by` are columns that errors are told apart by, too; `out` is a folder, by default that of the model's sweep;
        `force` replaces an evaluation of this name. Raises UserError where fewer than two scans have a label, too.
        """
        from contrasweep.services.predicting.command import evaluate_scans
        from contrasweep.services.predicting.evaluate import Cohort

        asked = _asked(None, participants, bids, image, id, session, suffix, label, _several(by))
        cohort = Cohort(asked, name, Path(out) if out else None, force)
        report, _ = evaluate_scans(self._target, cohort, self._settings, _aside())
        _warn(report.rejected)
        return report

    def export(self, format: str, out: str | Path, *, force: bool = False) -> Path:
        """Write the model for others to run, as `contrasweep export` does; where it is. `force` replaces another.

        Raises UserError on an unknown format, and where `out` is there already or cannot be written.
        """
        from contrasweep.services.predicting.export import export_model

        export_model(self._target, format, Path(out), self._settings, _aside(), replace=force)
        return Path(out)


def load(model: str | Path) -> Model:
    """The model in a folder, a registered one (`models:/name/version`, `models:/name@alias`), or a sweep's, by its id.

    A registered model is fetched now, and kept for as long as what is returned.
    Raises UserError where there is none, or it takes no scans.
    """
    from contrasweep.services.predicting.model import find_model

    settings, held = load_settings(), ExitStack()
    folder = held.enter_context(find_model(str(model), settings))
    found = Model(str(folder.absolute()), settings)
    weakref.finalize(found, held.close)
    return found


def _aside() -> Console:
    """Standard error, or the output of a notebook's cell."""
    return Console(stderr=True, highlight=False)


def _asked(
    scans: Files | None,
    participants: str | Path | None,
    bids: str | Path | None,
    image: str | None,
    id_: str | None,
    session: str | None,
    suffix: str | None,
    label: str | None,
    by: tuple[str, ...] = (),
) -> "Asked":
    from contrasweep.services.predicting.scans import Asked

    files = _several(() if scans is None else scans)
    table, data_set = (None if path is None else Path(path) for path in (participants, bids))
    return Asked(tuple(map(Path, files)), table, data_set, image, id_, suffix, label, session, by)


def _several(given: One | Iterable[One]) -> tuple[One, ...]:
    """One or several as several."""
    return (given,) if isinstance(given, str | Path) else tuple(given)


def _warn(rejected: "Sequence[Refused]") -> None:
    """A warning for each, at the line that asked for them."""
    for refused in rejected:
        warnings.warn(f"rejected {refused.words}", stacklevel=3)


def _with_rejected(frame: "pd.DataFrame", rejected: "Sequence[Refused]") -> "pd.DataFrame":
    frame.attrs["rejected"] = [one.model_dump() for one in rejected]
    return frame
