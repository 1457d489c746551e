"""Published splits as files of ids: one a line, or a table with the column of ids."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from contrasweep.trainers.config import SplitFiles
from contrasweep.trainers.data.table import check_columns, read_table
from contrasweep.trainers.errors import UserError

_TABLES = {".csv", ".tsv"}
_PREFIX = "sub-"


class SplitLists:
    """Which of the files names a subject, or one scan of it, with or without `sub-` in front."""

    def __init__(self, files: SplitFiles, base: Path, column: str) -> None:
        """Read the files, relative to `base`; `column` is that of the ids in those that are tables.

        Raises UserError where a file cannot be read, has no such column or no id, or an id is in two of them.
        """
        self._side: dict[str, str] = {}
        self._rest = "train" if files.train is None else ""
        for side, name in files.named.items():
            for given in _read_ids(base / name, f"data.split.files.{side}", column):
                other = self._side.setdefault(_bare(given), side)
                if other != side:
                    raise UserError(f"data.split.files: '{given}' is in both {other} and {side}")

    def side(self, scan: str, subject: str) -> str:
        """The split of a scan, by its own id or its subject's; empty where it is in none."""
        own = self._side.get(_bare(scan))
        return own or self._side.get(_bare(subject), self._rest)

    def unknown(self, ids: Iterable[str]) -> list[str]:
        """Ids in the files, without `sub-`, that are none of these, in the files' order."""
        known = set(map(_bare, ids))
        return [name for name in self._side if name not in known]


def _bare(name: str) -> str:
    return name.removeprefix(_PREFIX)


def _read_ids(path: Path, field: str, column: str) -> list[str]:
    if path.suffix.lower() in _TABLES:
        table = read_table(path, field)
        check_columns(table.name, table.columns, [(field, column)])
        ids = [row.cells[column] for row in table.rows]
    else:
        ids = _read_lines(path, field)
    found = [name for name in ids if name]
    if not found:
        raise UserError(f"{field}: {path} holds no id; one a line is needed")
    return found


def _read_lines(path: Path, field: str) -> list[str]:
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{field}: no such file: {path}") from None
    except OSError as error:
        raise UserError(f"{field}: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{field}: {path} is not UTF-8: byte {error.start}; one id a line is needed") from error
    return [line.strip() for line in unicodedata.normalize("NFC", text).splitlines()]
