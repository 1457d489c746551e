"""Errors of storage are told from all others, whoever raises them and from what."""

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from contrasweep.services.records.hindrances import hindrance
from contrasweep.services.settings import Settings
from contrasweep.services.stores.optuna import open_storage
from contrasweep.trainers.errors import UserError

FOLDER = Path("/data/study")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "/data/study: No space left on device; make room there, and `contrasweep resume` goes on"),
        (errno.EDQUOT, "/data/study: Disk quota exceeded; make room in your quota there, and "),
        (errno.EROFS, "/data/study: Read-only file system; have it mounted for writing again, and "),
        (errno.EIO, "/data/study: Input/output error; see to the disk or its server, and "),
    ],
)
def test_what_is_to_be_done(number: int, told: str) -> None:
    assert hindrance(OSError(number, "as the kernel says"), FOLDER).startswith(told)


def test_the_file_is_named_where_the_error_does() -> None:
    assert hindrance(OSError(errno.EROFS, "", "/home/x/best.pt"), FOLDER).startswith("/home/x/best.pt: Read-only")


def test_what_a_library_makes_of_a_file_that_it_cannot_write() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "")
        except OSError:
            raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904  # as torch.save
    except RuntimeError as error:
        assert hindrance(error, FOLDER).startswith("/data/study: No space left")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOENT, ""), RuntimeError("CUDA out of memory"), ValueError(), KeyboardInterrupt()]
)
def test_others_say_nothing_of_storage(error: BaseException) -> None:
    assert hindrance(error, FOLDER) == ""


def test_a_mistake_of_the_user_is_one_whatever_it_was_made_of() -> None:
    try:
        raise UserError("sub-01.nii: cannot be read") from OSError(errno.EIO, "")
    except UserError as error:
        assert hindrance(error, FOLDER) == ""


def test_optunas_database_that_somebody_else_holds(tmp_path: Path) -> None:
    storage = open_storage(Settings(home=tmp_path, optuna_storage=f"sqlite:///{tmp_path / 'optuna.db'}?timeout=0"))
    with closing(sqlite3.connect(tmp_path / "optuna.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(optuna.exceptions.StorageInternalError) as caught:
            optuna.create_study(study_name="x", storage=storage)
    assert hindrance(caught.value) == (
        "Optuna's database: database is locked; see to it, and `contrasweep resume` goes on"
    )
