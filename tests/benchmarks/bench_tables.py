"""Time of looking at tables: `python tests/benchmarks/bench_tables.py`; files are in the page cache.

`validate` on rows whose images are found by wildcards, in one folder of all and in folders of their own, beside the
same images named by the table; and a join of two large tables, beside pandas on the same files.
"""

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from contrasweep.services.data.validate import validate_data
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.participants import read_scans

ROWS, JOINED = 20_000, 500_000
IMAGES = {
    "named by the table": "all/{file}",
    "all/*_S_{id}_T1w*.npy": "all/*_S_{id}_T1w*.npy",
    "own/{id}/*/*/*.npy": "own/{id}/*/*/*.npy",
}


def seconds(action: Callable[[], object]) -> float:
    """How long it takes, the second time."""
    action()
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def write_images(folder: Path) -> None:
    """A picture for each row, in one folder of all and, linked, in a folder of its own."""
    (folder / "all").mkdir()
    lines = ["id,file,age"]
    for number in range(ROWS):
        file = folder / "all" / f"{number % 20:02d}_S_{number:05d}_T1w_preprocessed.npy"
        np.save(file, np.random.default_rng(number).random((1, 4, 4), dtype=np.float32))
        own = folder / "own" / f"{number:05d}" / "MPRAGE" / f"I{number}"
        own.mkdir(parents=True)
        (own / "T1w.npy").hardlink_to(file)
        lines.append(f"{number:05d},{file.name},{20 + number % 60}")
    (folder / "people.csv").write_text("\n".join(lines) + "\n")


def validated(folder: Path, image: str) -> None:
    data = {"participants": "people.csv", "id": "id", "image": image, "label": "age"}
    spec = {"name": "bench", "data": data, "model": {"spatial_dims": 2}, "search": {"spaces": ["exponential"]}}
    loaded = LoadedSpec(SweepSpec.model_validate(spec), folder / "study.yaml", folder)
    validate_data(loaded, Console(file=io.StringIO()))


def write_tables(folder: Path) -> DataConfig:
    keys = [f"s{number // 2},{number % 2}" for number in range(JOINED)]
    (folder / "scans.csv").write_text("id,ses\n" + "\n".join(keys) + "\n")
    ages = "\n".join(f"{key},{20 + number % 60},F" for number, key in enumerate(keys))
    (folder / "ages.csv").write_text(f"id,ses,age,sex\n{ages}\n")
    join = [{"table": "ages.csv", "on": ["id", "ses"]}]
    who = {"participants": "scans.csv", "id": "id", "session": "ses", "image": "{id}_{ses}.png", "label": "age"}
    return DataConfig.model_validate(who | {"join": join})


def by_pandas(folder: Path) -> object:
    left, right = (pd.read_csv(folder / name, dtype=str) for name in ("scans.csv", "ages.csv"))
    return left.merge(right, on=["id", "ses"], validate="one_to_one")


def main() -> None:
    """Print two tables."""
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder)
        shown = Table("data.image", "validate, s", title=f"{ROWS:,} rows")
        for title, image in IMAGES.items():
            shown.add_row(title, f"{seconds(lambda image=image: validated(folder, image)):.1f}")  # type: ignore[misc]
        console.print(shown)
        config = write_tables(folder)
        joined = Table("", "s", title=f"{JOINED:,} rows")
        joined.add_row(
            "tables read and joined, every scan looked for", f"{seconds(lambda: read_scans(config, folder)):.1f}"
        )
        joined.add_row("pandas: tables read and merged", f"{seconds(lambda: by_pandas(folder)):.1f}")
        console.print(joined)


if __name__ == "__main__":
    main()
