"""Scans -> what a model says of each, on a Ray cluster: Ray Data has actors prepare them, and others predict."""

import pickle
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from contrasweep.services.cluster.connect import living_nodes
from contrasweep.services.cluster.parallel import ordered_context
from contrasweep.services.predicting.predict import Answers, prepare
from contrasweep.services.text import one_line
from contrasweep.trainers.data.participants import Subject, file_problem
from contrasweep.trainers.data.volume import Scan
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.served import Prediction, Preparation, ServedModel

_AT_ONCE = 64
"""Answers that are fetched together, once they are there."""

Row = dict[str, bytes]


@dataclass(frozen=True)
class _Work:
    """A model's files by their path in its folder, the scans, and the threads that predict one."""

    model: Mapping[str, bytes]
    scans: Sequence[Subject]
    threads: int


def predict_there(folder: Path, scans: Sequence[Subject]) -> Answers:
    """The answers of the model in `folder` from the cluster that was joined.

    The model is sent along; images are read on the nodes. As many threads compute as here, on which last bits depend.
    Raises UserError where the cluster is lost.
    """
    import ray
    from ray.exceptions import RayActorError

    model = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = [replace(scan, paths=tuple(path.absolute() for path in scan.paths)) for scan in scans]
    work = _Work(model, found, torch.get_num_threads())
    try:
        # Ray Data does not run in a client of `ray://`, and so runs in an actor.
        pipeline = ray.remote(num_cpus=0)(_Pipeline).remote(work)
        while some := ray.get(pipeline.more.remote()):
            yield from some
    except RayActorError as error:
        raise UserError(f"the Ray cluster does not predict any more: {one_line(error)}") from error


class _Pipeline:
    """Scans through the actors of all nodes."""

    def __init__(self, work: _Work) -> None:
        self._answers = _answers(work)

    def more(self) -> list[Prediction | str]:
        """The next answers, none after the last."""
        return list(islice(self._answers, _AT_ONCE))


def _answers(work: _Work) -> Answers:
    import ray
    from ray.data import ActorPoolStrategy, DataContext, from_items

    nodes, model = living_nodes(), ray.put(work.model)
    cpus, gpus = sum(int(node.cpus) for node in nodes), sum(int(node.gpus) for node in nodes)
    many = len(work.scans)
    with DataContext.current(ordered_context()):
        answers = (
            from_items([{"scan": pickle.dumps(scan)} for scan in work.scans], override_num_blocks=max(1, many))
            .map(
                _Preparing,
                fn_constructor_args=(model,),
                compute=ActorPoolStrategy(min_size=1, max_size=max(1, min(cpus, many))),
                num_cpus=1,
            )
            .map(
                _Predicting,
                fn_constructor_args=(model, work.threads),
                compute=ActorPoolStrategy(min_size=1, max_size=max(1, min(gpus or len(nodes), many))),
                num_cpus=0,  # as here, where others prepare on all CPUs
                num_gpus=1 if gpus else 0,
                scheduling_strategy="SPREAD",
            )
        )
        yield from (pickle.loads(row["answer"]) for row in answers.iter_rows())


class _Preparing:
    """An actor that prepares scans as the model wants them."""

    def __init__(self, model: Any) -> None:
        self._folder = _unpacked(model)  # transforms read its files later
        self._preparation = Preparation.load(Path(self._folder.name))

    def __call__(self, row: Row) -> Row:
        """A scan -> it with what it is prepared to be, or why it cannot be used."""
        scan: Subject = pickle.loads(row["scan"])
        return {"prepared": pickle.dumps((scan, self._missing(scan) or prepare(self._preparation, scan)))}

    def _missing(self, scan: Subject) -> str | None:
        problems = [problem for path in scan.paths if (problem := file_problem(path))]
        return f"{problems[0]} on the cluster's node {platform.node()}" if problems else None


class _Predicting:
    """An actor that holds the model."""

    def __init__(self, model: Any, threads: int) -> None:
        torch.set_num_threads(threads)
        with _unpacked(model) as folder:
            self._model = ServedModel.load(Path(folder), "cuda" if torch.cuda.is_available() else "cpu")

    def __call__(self, row: Row) -> Row:
        """A prepared scan -> what the model says of it; why one cannot be used stays."""
        scan, prepared = pickle.loads(row["prepared"])
        return {"answer": pickle.dumps(self._said(scan, prepared))}

    def _said(self, scan: Subject, prepared: Scan | str) -> Prediction | str:
        return prepared if isinstance(prepared, str) else self._model.predict(prepared, scan.covariates)


def _unpacked(model: Any) -> TemporaryDirectory[str]:
    """A folder with a model's files, of which `model` is Ray's reference."""
    import ray

    folder = TemporaryDirectory()
    for name, content in ray.get(model).items():
        path = Path(folder.name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
