"""What is printed of a sweep: the leaderboard, and the final figure."""

import io
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.finalize import FinalReport
from services.folder import SweepFolder
from services.prepare import Prepared
from services.record import Record, leaderboard, read_records
from services.spec import SweepSpec
from trainers.history import COMPLETE


def leaderboard_table(spec: SweepSpec, records: Sequence[Record]) -> Table:
    """Configurations, the best first: mean and standard deviation over whole seeds, and every parameter."""
    names = sorted({name for r in records for name in r.configuration.params | r.configuration.training})
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("rank", "trial", "method", "validation MAE", "seeds", "state", *names):
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    epochs, seeds = spec.training.epochs, spec.search.seeds
    for rank, record in enumerate(leaderboard(list(records), epochs), start=1):
        values = record.configuration.params | record.configuration.training
        table.add_row(
            str(rank),
            str(record.number),
            record.configuration.method,
            _figure(record, epochs),
            f"{len(record.values(epochs))}/{len(seeds)}",
            record.state(seeds, epochs),
            *(_short(values[name]) if name in values else "" for name in names),
        )
    return table


def leaderboard_text(spec: SweepSpec, records: Sequence[Record]) -> str:
    """The leaderboard as plain text."""
    console = Console(file=io.StringIO(), width=10_000, no_color=True)
    console.print(leaderboard_table(spec, records))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def print_leaderboard(console: Console, spec: SweepSpec, records: Sequence[Record]) -> None:
    """Print the leaderboard, and why configurations failed."""
    if not records:
        console.print("no configuration has begun yet")
        return
    console.print(leaderboard_table(spec, records), soft_wrap=True)
    for record in records:
        if record.failure:
            console.print(f"trial {record.number} failed: {record.failure}", markup=False)


def print_prepared(console: Console, prepared: Prepared, took_s: float) -> None:
    """Print where the volume store is, its size, and who was rejected and why."""
    store = prepared.store
    size_mb = sum(shard.bytes for shard in store.manifest.shards) / 1e6
    verb = "reused  " if prepared.reused else "prepared"
    console.print(
        f"{verb}  {len(store.subjects)} volumes {list(store.image_shape)} -> {store.folder} "
        f"({size_mb:.0f} MB, {len(prepared.rejected)} rejected)  {took_s:.0f} s",
        soft_wrap=True,
        markup=False,
    )
    for left_out in prepared.rejected:
        console.print(f"  rejected {left_out.subject}: {left_out.reason}", soft_wrap=True, markup=False)


def show_sweep(console: Console, folder: SweepFolder, storage: Path) -> None:
    """Print a sweep's leaderboard, and its final figure where it has one."""
    spec = folder.load().spec
    print_leaderboard(console, spec, read_records(storage / folder.sweep_id))
    if folder.final.exists():
        print_final(console, spec, FinalReport.read(folder.final))


def print_status(console: Console, folder: SweepFolder, storage: Path) -> None:
    """Print how a sweep stands, and its leaderboard so far."""
    state = folder.read_state()
    console.print(f"{folder.sweep_id}  {state.state}  {state.spent_s:.0f} s  {state.reason}".rstrip(), markup=False)
    show_sweep(console, folder, storage)


def sweeps_table(folders: Sequence[SweepFolder], storage: Path) -> Table:
    """All sweeps: id, state, when each began, configurations done, best objective."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("sweep", "state", "began", "trials", "best", "label"):
        table.add_column(title, no_wrap=True)
    for folder in folders:
        spec, state = folder.load().spec, folder.read_state()
        epochs, seeds = spec.training.epochs, spec.search.seeds
        records = leaderboard(read_records(storage / folder.sweep_id), epochs)
        whole = [record for record in records if record.state(seeds, epochs) == COMPLETE]
        table.add_row(
            folder.sweep_id,
            state.state,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(state.started)) if state.started else "",
            f"{len(records)}/{spec.search.trials}",
            f"{whole[0].objective(epochs):.3f}" if whole else "",
            spec.data.label,
        )
    return table


def _figure(record: Record, epochs: int) -> str:
    objective = record.objective(epochs)
    if objective == float("inf"):
        return "-"
    if not record.values(epochs):
        return f"({objective:.3f})"
    return f"{objective:.3f} ± {record.deviation(epochs):.3f}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
