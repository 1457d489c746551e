"""Files of ids, as data sets publish them."""

from pathlib import Path
from typing import Any

import pytest

from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.participants import read_subjects, split_lists
from contrasweep.trainers.data.splits import Splits, left_out, make_splits
from contrasweep.trainers.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six subjects with images, the last two of them visited twice."""
    visits = ["sub-1\ta", "sub-2\ta", "sub-3\ta", "sub-4\ta", "sub-5\ta", "sub-5\tb", "sub-6\ta", "sub-6\tb"]
    rows = [f"{visit}\t{20 + number}" for number, visit in enumerate(visits)]
    (tmp_path / "people.tsv").write_text("\n".join(["who\tvisit\tage", *rows]) + "\n")
    for visit in visits:
        (tmp_path / f"{visit.replace(chr(9), '-')}.npy").touch()
    return tmp_path


def config(**files: str) -> DataConfig:
    document: dict[str, Any] = {
        "participants": "people.tsv",
        "id": "who",
        "session": "visit",
        "image": "{who}-{visit}.npy",
        "label": "age",
        "split": {"files": files},
    }
    return DataConfig.model_validate(document)


def made(folder: Path, **files: str) -> tuple[Splits, list[str]]:
    """The splits by files with the contents given, and who is left out."""
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    data = config(**{name: f"{name}.txt" for name in files})
    subjects, _ = read_subjects(data, folder)
    splits = make_splits(subjects, data.stratified_split)
    return splits, left_out(subjects, splits)


def test_one_id_a_line_with_or_without_sub(folder: Path) -> None:
    splits, rest = made(folder, train="1\n2\n", validation="sub-3\r\n\r\n", test="\ufeff5\n4")
    assert splits == Splits(
        train=("sub-1_a", "sub-2_a"), validation=("sub-3_a",), test=("sub-4_a", "sub-5_a", "sub-5_b")
    )
    assert rest == ["sub-6_a", "sub-6_b"]


def test_single_scans_can_be_named(folder: Path) -> None:
    splits, rest = made(folder, train="sub-1\nsub-5_b\n", validation="2", test="3\n6_a")
    assert splits.train == ("sub-1_a", "sub-5_b") and splits.test == ("sub-3_a", "sub-6_a")
    assert rest == ["sub-4_a", "sub-5_a", "sub-6_b"]


def test_without_a_file_to_train_on_all_others_are(folder: Path) -> None:
    splits, rest = made(folder, validation="2", test="3\n6")
    assert splits.train == ("sub-1_a", "sub-4_a", "sub-5_a", "sub-5_b") and not rest


def test_without_a_file_to_validate_on_a_fraction_is_cut(folder: Path) -> None:
    splits, _ = made(folder, train="1\n2\n3\n4", test="5")
    assert len(splits.train) == 3 and len(splits.validation) == 1
    assert set(splits.train + splits.validation) == {"sub-1_a", "sub-2_a", "sub-3_a", "sub-4_a"}


def test_tables_have_the_column_of_ids(folder: Path) -> None:
    (folder / "train.csv").write_text("who,fold\n1,0\n2,0\n")
    (folder / "test.tsv").write_text("number\twho\n1\tsub-4\n")
    (folder / "lists").mkdir()
    (folder / "lists/val.lst").write_text("5\n")
    data = config(train="train.csv", validation="lists/val.lst", test="test.tsv")
    splits = make_splits(read_subjects(data, folder)[0], data.split)
    assert [len(ids) for ids in splits.parts.values()] == [2, 2, 1]


def test_ids_that_the_table_lacks_are_told(folder: Path) -> None:
    made(folder, train="1\n7\nsub-8", validation="2", test="3\n6_c")
    lists = split_lists(config(train="train.txt", validation="validation.txt", test="test.txt"), folder)
    assert lists and lists.unknown(["sub-1", "sub-2_a", "2", "sub-3"]) == ["7", "8", "6_c"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train": "1\n2", "test": "sub-2"}, r"data.split.files: 'sub-2' is in both train and test"),
        ({"train": "1\n5_a", "test": "2\n5_b"}, "data.split: subject 'sub-5' has scans in test and train"),
        ({"test": "\n\n"}, r"data.split.files.test: .*test.txt holds no id"),
        ({"train": "1\n2", "test": "9"}, "data.split: no scan is left for the test split"),
        ({"train": "1\n2", "validation": "9", "test": "3"}, "data.split: no scan is left for the validation split"),
    ],
)
def test_lists_that_contradict_are_refused(folder: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        made(folder, **files)


def test_files_that_cannot_be_read_are_named(folder: Path) -> None:
    (folder / "latin.txt").write_bytes(b"\xe9\n")
    (folder / "ids.csv").write_text("subject\n1\n")
    for name, message in {
        "none.txt": "data.split.files.test: no such file: .*none.txt",
        "none.csv": "data.split.files.test: no such file: .*none.csv",
        ".": "data.split.files.test: .* cannot be read",
        "latin.txt": "data.split.files.test: .*latin.txt is not UTF-8",
        "ids.csv": "data.split.files.test: ids.csv has no column 'who'",
    }.items():
        with pytest.raises(UserError, match=message):
            read_subjects(config(test=name), folder)
