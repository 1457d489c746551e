"""Files of ids that changed since a sweep began are told before anything is read anew."""

from dataclasses import replace
from pathlib import Path

import pytest
from upath import UPath

from contrasweep.services.data.resumed import check_sides, check_training
from contrasweep.trainers.config import FILES, DataConfig
from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.errors import UserError
from tests.services.inspection.planted import images, store_of

BEGAN = {"s00": "train", "s01": "train", "s02": "validation", "s03": "test", "s04": ""}
VERSION = "0" * 64  # that of small stores
CHANGES = [
    ({"s00": "test"}, "by test.txt 's00' is in the test split; when the sweep began it was in the train split"),
    ({"s03": "train"}, "by test.txt 's03' is in the train split; when the sweep began it was in the test split"),
    ({"s02": ""}, "by val.txt 's02' is in no split; when the sweep began it was in the validation split"),
    ({"s04": "validation"}, "by val.txt 's04' is in the validation split; when the sweep began it was in no split"),
]


def config(**split: object) -> DataConfig:
    given = split or {"files": {"validation": "val.txt", "test": "test.txt"}}
    return DataConfig(participants="people.tsv", image="{id}.npy", label="age", split=given)


def now(**sides: str) -> list[Subject]:
    return [
        Subject(name, name, (Path(name),), 1.0, None, {}, {}, {}, {FILES: side})
        for name, side in (BEGAN | sides).items()
    ]


@pytest.fixture
def volumes(tmp_path: Path) -> UPath:
    """The folder of stores, with the one that the sweep began on."""
    told = {name: {"split_cells": {FILES: side}} for name, side in BEGAN.items()}
    store_of(tmp_path / "v" / f"people-{VERSION[:12]}", images(5), told)
    return UPath(tmp_path / "v")


@pytest.mark.parametrize(("changes", "said"), CHANGES)
def test_a_scan_that_a_file_moved_is_named_with_it(volumes: UPath, changes: dict[str, str], said: str) -> None:
    with pytest.raises(UserError) as error:
        check_sides(config(), now(**changes), volumes, VERSION)
    assert str(error.value).startswith(f"data.split.files: {said}; restore the file")


def test_what_is_as_it_was_goes_on(volumes: UPath) -> None:
    check_sides(config(), now(), volumes, VERSION)
    check_sides(config(), [replace(one, id=f"new-{one.id}") for one in now(s00="test")], volumes, VERSION)


def test_a_sweep_that_begins_and_one_whose_store_is_gone_have_nothing_to_compare(volumes: UPath) -> None:
    check_sides(config(), now(s00="test"), volumes, "")
    check_sides(config(), now(s00="test"), volumes, "1" * 64)
    check_sides(config(column="Split", test=["T"]), now(s00="test"), volumes, VERSION)


def test_other_scans_to_train_on_than_when_the_sweep_began() -> None:
    began = Splits(train=("s00", "s01"), validation=("s02",), test=("s03",), unlabelled=("s04",))
    digest = check_training([began], "study-1", "")
    assert check_training([began], "study-1", digest) == digest, "a sweep of before that was written down goes on, too"
    for changed in ({"train": ("s00",)}, {"unlabelled": ()}):
        with pytest.raises(UserError, match=r"^sweep study-1: data\.train leaves other scans to train on than when"):
            check_training([began.model_copy(update=changed)], "study-1", digest)
