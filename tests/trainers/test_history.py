import json
from pathlib import Path

import pytest

from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.history import History


def test_round_trip(tmp_path: Path) -> None:
    history = History(seed=3, state="pruned", reason="cannot win", epochs=[{"epoch": 0, "loss": 0.1 + 0.2}])
    history.write(tmp_path / "seed-3")
    assert History.read(tmp_path / "seed-3") == history


def test_nothing_written_is_not_begun(tmp_path: Path) -> None:
    assert History.read(tmp_path) is None


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    History(seed=3, epochs=[{"epoch": 0, "loss": 0.5}]).write(tmp_path)
    content = json.loads((tmp_path / "history.json").read_text())
    said = {"seed": 3, "state": "running", "reason": "", "epochs": [{"epoch": 0, "loss": 0.5}], "taken": ""}
    assert content == said | {"last": False, "objective": "mae"}
    (tmp_path / "history.json").write_text(json.dumps(said))
    assert History.read(tmp_path) == History(**content), "of a version that knew neither"


def test_best_skips_epochs_without_evaluation() -> None:
    maes = [5.0, None, 3.0, 4.0]
    history = History(seed=0, epochs=[{} if value is None else {"validation_mae": value} for value in maes])
    assert history.best == 3.0
    assert [history.best_until(epochs) for epochs in range(5)] == [float("inf"), 5.0, 5.0, 3.0, 3.0]


def test_the_best_is_the_most_where_more_is_better() -> None:
    rows = [{"epoch": epoch, "validation_pearson": r} for epoch, r in enumerate([0.2, 0.7, 0.7, 0.5])]
    history = History(seed=0, epochs=[{"epoch": -1}, *rows], objective="pearson")
    assert (history.best, history.score) == (-0.7, 0.7)
    assert history.best_until(2) == -0.2
    assert history.best_row["epoch"] == 1, "the first of equals, which is what the checkpoint has"
    assert History(seed=0).best_row == {}


def test_two_histories_share_no_rows() -> None:
    History(seed=0).epochs.append({"epoch": 0})
    assert History(seed=1).epochs == []


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "made" / "file"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with path.open("rb") as reader:
        write_atomically(path, b"newer")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"newer"


def test_the_last_model_counts_where_it_is_kept() -> None:
    rows = [{"epoch": epoch, "validation_mae": mae} for epoch, mae in enumerate([5.0, 3.0, 4.0])]
    best, last = History(0, epochs=[*rows, {"epoch": 3}]), History(0, epochs=[*rows, {"epoch": 3}], last=True)
    assert (best.best, best.best_epoch) == (3.0, 1)
    assert (last.best, last.best_epoch) == (4.0, 2)
    assert [last.best_until(epochs) for epochs in range(4)] == [float("inf"), 5.0, 3.0, 4.0]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"seed": 0, "mood": 1}', '{"seed": 0, "state": "compl\\u0000te"}']
    + [f'{{"seed": 0, "epochs": {epochs}}}' for epochs in ('"x"', "[3]", '[{"loss": 1.0}]', '[{"epoch": 1}]')]
    + ['{"seed": 0, "epochs": [{"epoch": 0, "loss": "1.0"}]}', '{"seed": 0, "objective": "mea"}'],
)
def test_what_is_no_history_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.json").write_text(text)
    assert History.read(tmp_path) is None
