"""Runs whose files are damaged end as if nothing had been."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from contrasweep.trainers import checkpoint
from contrasweep.trainers.history import COMPLETE, RUNNING, EpochMetrics, History, Verdict
from contrasweep.trainers.mending import begin_anew, mend, recall
from tests.damage import cut, empty, flip, remove
from tests.trainers import tiny
from tests.trainers.test_pretrain import assert_same_run, train

RUN = tiny.run("supremix", epochs=3)
ANEW, BEFORE = "its seed is trained anew", "it goes on from the one before"


def pausing_after(epochs: int) -> Callable[[EpochMetrics], Verdict]:
    return lambda row: Verdict.PAUSE if row["epoch"] + 1 == epochs else Verdict.GO


def mended(folder: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of a folder that is mended."""
    with caplog.at_level(logging.WARNING, logger="contrasweep.trial"):
        mend(folder)
    return caplog.messages


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(RUN, folder)
    return folder


@pytest.mark.parametrize("damage", [cut, flip, empty])
@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (("latest.pt",), [BEFORE]),
        (("previous.pt",), [BEFORE]),
        (("latest.pt", "previous.pt"), [ANEW, ANEW]),
        (("best.pt",), [ANEW]),
        (("best.pt", "latest.pt"), [ANEW, ANEW]),
    ],
    ids=str,
)
def test_a_run_under_way_goes_on_from_what_is_sound(
    undisturbed: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    damaged: tuple[str, ...],
    said: list[str],
) -> None:
    train(RUN, tmp_path, pausing_after(2))
    for name in damaged:
        damage(tmp_path / name)
    told = mended(tmp_path, caplog)
    assert [line.rpartition("; ")[2] for line in told] == said
    assert all(f"{tmp_path / name} is damaged: " in line for name, line in zip(damaged, told, strict=True))
    assert train(RUN, tmp_path).state == COMPLETE
    assert_same_run(tmp_path, undisturbed)


def test_the_checkpoint_before_is_an_epoch_behind_and_gone_at_the_end(undisturbed: Path, tmp_path: Path) -> None:
    train(RUN, tmp_path, pausing_after(2))
    assert [len(checkpoint.load(tmp_path / name)["history"]["epochs"]) for name in ("latest.pt", "previous.pt")] == [
        2,
        1,
    ]
    assert not (undisturbed / "previous.pt").exists()


@pytest.mark.parametrize("damage", [cut, empty, remove])
def test_a_history_comes_out_of_the_last_checkpoint(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    history = train(RUN, tmp_path, pausing_after(2))
    damage(tmp_path / "history.json")
    assert History.read(tmp_path) is None
    assert recall(tmp_path) == history == History.read(tmp_path)
    assert history.state == RUNNING
    begin_anew(tmp_path)
    assert recall(tmp_path) is None and list(tmp_path.iterdir()) == []


def test_the_stages_before_are_mended_and_one_that_is_sound_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for stage in (tmp_path, tmp_path / "start"):
        checkpoint.save(stage / "best.pt", {"model": {}})
    flip(tmp_path / "best.pt")
    assert len(mended(tmp_path, caplog)) == 1
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.pt")] == ["start/best.pt"]
