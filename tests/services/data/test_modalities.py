"""Each modality, from its files through its recipe into a store, two epochs of training and a probe."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contrasweep.services.data.prepare import Prepared, prepare
from contrasweep.services.recipes import fill
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.trainers.config import DataConfig, MethodConfig, ModelConfig, RunConfig, TrainingConfig
from contrasweep.trainers.data.feeds import Feed
from contrasweep.trainers.data.feeds.resident import ResidentFeed, load_resident
from contrasweep.trainers.data.feeds.stream import StreamFeed
from contrasweep.trainers.history import COMPLETE, History
from contrasweep.trainers.inference import Predictor
from contrasweep.trainers.pretrain import pretrain
from tests.services.data.modalities import MODALITIES, Modality, right_volume, write_atlas, write_t1

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]
SUBJECTS = 16


def quiet(step: str, done: int, total: int) -> None:
    pass


def age(number: int) -> float:
    """Ages in no order of names."""
    return 20 + 3 * (number * 7 % SUBJECTS)


def share(number: int) -> float:
    return (age(number) - 20) / (3 * (SUBJECTS - 1))


def recipe(modality: Modality) -> dict[str, Any]:
    """The recipe, some of its steps smaller or exchanged, all in their order."""
    parts = load_mapping(fill(modality.recipe, modality.values), "")
    steps = [next(iter(step)) for step in parts["data"]["transforms"]]
    assert set(modality.instead) <= set(steps)
    parts["data"]["transforms"] = [
        modality.instead.get(name, step) for name, step in zip(steps, parts["data"]["transforms"], strict=True)
    ]
    return parts


def write_dataset(folder: Path, modality: Modality) -> None:
    """A table of SUBJECTS and their scans, and an atlas beside them."""
    rows = []
    for number in range(SUBJECTS):
        name = f"s{number:02d}"
        cells = modality.write(folder / name, number, share(number), np.random.default_rng(number))
        rows.append({"participant_id": name, "age": f"{age(number):g}", **cells})
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    write_atlas(folder / "atlas.nii.gz")


def trained(name: str, prepared: Prepared, feed: Feed, folder: Path) -> History:
    """Two epochs of SupReMix with the recipe's model, narrow, and a ridge probe that predicts more than one age."""
    parts, store = recipe(MODALITIES[name]), prepared.store
    run = RunConfig(
        model=ModelConfig(**parts["model"], width=0.0625, head_hidden=16, embedding=8),
        training=TrainingConfig(**parts["training"], epochs=2, batch_size=4, lr=1e-3),
        method=MethodConfig(name="supremix", params={"window": 20.0}),
    )
    history = pretrain(run, feed, folder, device=torch.device("cpu"))
    assert history.state == COMPLETE
    assert len(history.epochs) == 2
    assert all(math.isfinite(row[key]) for row in history.epochs for key in ("loss", "validation_mae", "train_mae"))
    images = store.load(prepared.first.splits.validation).images
    predictions = Predictor.load(run, folder / "best.pt", store.image_shape).infer(images).predictions
    assert np.isfinite(predictions).all()
    assert np.ptp(predictions) > 1e-4
    return history


def resident(prepared: Prepared) -> ResidentFeed:
    return ResidentFeed(load_resident(prepared.store, prepared.first.splits, prepared.first.normalization))


@pytest.mark.parametrize("name", MODALITIES)
def test_from_files_to_a_probe(name: str, tmp_path: Path) -> None:
    modality, data = MODALITIES[name], recipe(MODALITIES[name])["data"]
    write_dataset(tmp_path, modality)
    config = DataConfig(participants="participants.tsv", image="{file}", label="age", **data)
    prepared = prepare(config, tmp_path, tmp_path / "volumes", quiet)
    store = prepared.store
    assert not prepared.rejected
    assert store.image_shape == modality.shape
    assert store.manifest.dtype == data.get("dtype", "float32")
    assert store.labels.tolist() == [age(number) for number in range(SUBJECTS)]
    figures = modality.figure(store.read_rows(np.arange(SUBJECTS)))
    assert abs(np.corrcoef(figures, store.labels)[0, 1]) > 0.95
    trained(name, prepared, resident(prepared), tmp_path / "run")


def write_visits(root: Path) -> None:
    """A BIDS data set: each subject came twice, four years apart; one visit has no age, one an age that is censored."""
    people = ["participant_id\tsex"]
    for number in range(SUBJECTS):
        name = f"sub-{number:02d}"
        people.append(f"{name}\t{'FM'[number % 2]}")
        ages = {"ses-a": f"{age(number):g}", "ses-b": f"{age(number) + 4:g}"}
        ages |= {0: {"ses-b": "n/a"}, 1: {"ses-b": "89+"}}.get(number, {})
        for session in ages:
            folder = root / name / session / "anat"
            folder.mkdir(parents=True)
            later = share(number) + (0.08 if session == "ses-b" else 0)
            rng = np.random.default_rng([number, len(ages)])
            write_t1(folder / f"{name}_{session}_T1w", number, later, rng)
            write_t1(folder / f"{name}_{session}_T2w", number, 0.5, rng)
        rows = [f"{session}\t{text}" for session, text in ages.items()]
        (root / name / f"{name}_sessions.tsv").write_text("\n".join(["session_id\tage", *rows]) + "\n")
    (root / "participants.tsv").write_text("\n".join(people) + "\n")


def test_a_bids_data_set_with_sessions_in_memory_and_streamed(tmp_path: Path) -> None:
    write_visits(tmp_path / "bids")
    data = recipe(MODALITIES["T1"])["data"]
    config = DataConfig(bids="bids", suffix="T1w", label="age", group="sex", max_rejected=0.1, **data)
    prepared = prepare(config, tmp_path, tmp_path / "volumes", quiet)
    store, splits = prepared.store, prepared.first.splits
    assert [(left_out.subject, left_out.reason[:13]) for left_out in prepared.rejected] == [
        ("sub-00_ses-b", "missing label"),
        ("sub-01_ses-b", "label '89+' i"),
    ]
    assert {s.id: s.label for s in store.subjects if s.subject in ("sub-01", "sub-02")} == {
        "sub-01_ses-a": age(1),
        "sub-02_ses-a": age(2),
        "sub-02_ses-b": age(2) + 4,
    }
    sides = [{name[:6] for name in of} for of in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, sides)) == len(set.union(*sides)) == SUBJECTS
    figures = right_volume(store.read_rows(np.arange(len(store.subjects))))
    assert np.corrcoef(figures, store.labels)[0, 1] < -0.95
    streamed = StreamFeed(store.folder, splits, prepared.first.normalization)
    one, other = (trained("T1", prepared, feed, tmp_path / str(feed)) for feed in (resident(prepared), streamed))
    for key in ("loss", "validation_mae"):
        assert [row[key] for row in one.epochs] == [row[key] for row in other.epochs]
