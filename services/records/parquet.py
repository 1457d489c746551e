"""Parquet files beside `final.json`, whose pages have checksums."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from contrasweep.trainers.errors import Damaged

if TYPE_CHECKING:
    import pyarrow as pa

EVALUATE_AGAIN = "without final.json beside it, `contrasweep resume` evaluates the end again"


def read_parquet(path: Path) -> "pa.Table":
    """The table in a file. Raises Damaged where it is not what was written."""
    import pyarrow.parquet as pq

    with saying_damage(path):
        return pq.read_table(path, page_checksum_verification=True)


@contextmanager
def saying_damage(path: Path) -> Iterator[None]:
    """Raises Damaged for whatever reading a file that is there stumbles over."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise Damaged(path, EVALUATE_AGAIN) from error
