"""`contrasweep predict`, `embed` and `evaluate`: find the model, find the scans, predict."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from contrasweep.services.cluster.connect import at, cluster
from contrasweep.services.predicting.answers import Predicted, Predictions, to_tsv
from contrasweep.services.predicting.evaluate import Cohort, CohortReport, check_labelled, report_on
from contrasweep.services.predicting.model import find_model, sweep_of
from contrasweep.services.predicting.on_cluster import predict_there
from contrasweep.services.predicting.overlap import own_scans
from contrasweep.services.predicting.page import render
from contrasweep.services.predicting.predict import Answers, Found, Said, predict, predict_here
from contrasweep.services.predicting.saliency import Maps
from contrasweep.services.predicting.scans import Asked, find_scans, study_scans
from contrasweep.services.records.code import copy_code
from contrasweep.services.records.files import write_asked
from contrasweep.services.screen.progress import meter
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.settings import Settings
from contrasweep.trainers.data.participants import Rejected, Subject
from contrasweep.trainers.errors import Damaged, UserError
from contrasweep.trainers.served import ServedModel


@dataclass(frozen=True)
class _Asking:
    """A model that is at hand for as long as scans are asked about, on this machine or on a Ray cluster."""

    folder: Path
    model: ServedModel
    cluster: Settings | None
    console: Console

    def said(
        self,
        scans: Sequence[Subject],
        rejected: Sequence[Rejected],
        maps: Maps | None = None,
        features: bool = False,
    ) -> Found:
        """What it says of scans, beside those that are `rejected` already."""
        with self._answers(scans, maps) as answers, meter(self.console, "predicting") as shown:

            def progress(done: int, of: int) -> None:
                shown.update(done, of, unit="scans")

            said = list(predict(scans, answers, progress, features))
        return Found(
            config=self.model.preparation.config,
            said=tuple(one for one in said if isinstance(one, Said)),
            rejected=(*rejected, *(one for one in said if isinstance(one, Rejected))),
        )

    @contextmanager
    def _answers(self, scans: Sequence[Subject], maps: Maps | None) -> Iterator[Answers]:
        if self.cluster is None or not scans:
            yield predict_here(self.folder, self.model, scans, maps)
            return
        with tempfile.TemporaryDirectory() as code:
            copy_code(Path(code))
            with cluster(self.cluster, partial(waiting, self.console), Path(code)):
                yield predict_there(self.folder, scans)


@contextmanager
def _asking(target: str, settings: Settings, console: Console, address: str) -> Iterator[_Asking]:
    on = at(address, settings) if address else None
    with find_model(target, settings) as folder:
        with waiting(console, f"loading {target}"):
            try:
                model = ServedModel.load(folder, "cuda" if torch.cuda.is_available() else "cpu")
            except Damaged as error:
                again = "a sweep writes its model again where its final.json is removed and it is resumed"
                raise UserError(f"{error}; {again}") from error
        yield _Asking(folder, model, on, console)


def ask(target: str, asked: Asked, settings: Settings, console: Console, address: str = "") -> Found:
    """What the model that `target` names says of the scans, with their embeddings; on a Ray cluster's `address` there.

    Raises UserError as `find_model` and `find_scans` do, and where no cluster is at the address.
    """
    with _asking(target, settings, console, address) as at_hand:
        return at_hand.said(*find_scans(asked, at_hand.model), features=True)


def ask_study(target: str, settings: Settings, console: Console) -> Found:
    """What `ask` gives of the model's own study: of all scans that have a label.

    Raises UserError as `find_model` and `study_scans` do.
    """
    with _asking(target, settings, console, "") as at_hand:
        return at_hand.said(study_scans(at_hand.model, settings), (), features=True)


def predict_scans(
    target: str,
    asked: Asked,
    settings: Settings,
    console: Console,
    saliency: tuple[str, Path] | None = None,
    address: str = "",
) -> Predictions:
    """What `ask` gives, as it is answered, without embeddings; raises the same.

    `saliency` is a kind of map, and where maps are written; on a cluster none are made, which raises UserError.
    """
    if saliency and address:
        raise UserError("--saliency is not allowed with --address: maps are made on this machine")
    with _asking(target, settings, console, address) as at_hand:
        config = at_hand.model.preparation.config
        maps = Maps(at_hand.folder, config, *saliency) if saliency else None
        return Predictions.of(at_hand.said(*find_scans(asked, at_hand.model), maps))


def evaluate_scans(
    target: str, cohort: Cohort, settings: Settings, console: Console, address: str = ""
) -> tuple[CohortReport, Path]:
    """How far the model that `target` names is from a cohort's labels; the page, which JSON and TSV are beside.

    Raises UserError as `ask` and `Cohort.place` do, and where fewer than two scans have a label.
    """
    with _asking(target, settings, console, address) as at_hand:
        config = at_hand.model.preparation.config
        place = cohort.place(config, settings)
        scans, rejected = find_scans(cohort.asked, at_hand.model)
        labelled = [scan for scan in scans if scan.label is not None]
        check_labelled(len(labelled), len(scans), cohort.asked, config)
        with waiting(console, "comparing with the scans of its study"):
            sweep = sweep_of(config, settings)
            own = own_scans(sweep, settings, labelled) if sweep else None
        found = at_hand.said(labelled, rejected, features=True)
    check_labelled(len(found.said), len(scans), cohort.asked, config)
    with waiting(console, "resampling"):
        report = report_on(cohort, found, len(scans) - len(labelled), own)
        page = render(report, found.said)
    predicted = [Predicted.of(one, config.calibration) for one in found.said]
    write_asked(place.with_name(f"{place.name}.tsv"), to_tsv(predicted).encode())
    write_asked(place.with_name(f"{place.name}.html"), page.encode())
    write_asked(place.with_name(f"{place.name}.json"), report.model_dump_json(indent=1).encode())
    return report, place.with_name(f"{place.name}.html")
