"""What is printed of a sweep: the leaderboard, and the final figure."""

import io
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from search_spaces import Value
from services.final_report import FinalReport
from services.folder import SweepFolder
from services.inspection import leaks
from services.prepare import Prepared
from services.record import Record, leaderboard, read_records
from services.spec import SweepSpec
from trainers.data.store import MANIFEST
from trainers.history import COMPLETE, RUNNING

SHORT = {"temperature": "tau", "nn_step_size": "step", "distance": "dist", "weight_decay": "decay"}
"""Parameters by the names that the leaderboard's columns have."""
WIDEST = 10_000
SHOWN = 10

SHOWN_STATES = {RUNNING: "unfinished"}


def leaderboard_table(spec: SweepSpec, records: Sequence[Record]) -> Table:
    """Configurations, the best first: mean and standard deviation over whole seeds, and the parameters that differ.

    A figure in brackets is of seeds that were cut short.
    """
    epochs, seeds = spec.judged_epochs, spec.search.seeds
    names = _varying(records)
    table = _bare_table(
        "rank", "trial", "method", "validation MAE", "seeds", "state", *(SHORT.get(name, name) for name in names)
    )
    for rank, record in enumerate(leaderboard(list(records), epochs), start=1):
        values = _values(record)
        table.add_row(
            str(rank),
            str(record.number),
            record.configuration.method,
            _figure(record, epochs),
            f"{len(record.values(epochs))}/{len(seeds)}",
            SHOWN_STATES.get(state := record.state(seeds, epochs), state),
            *(_short(values[name]) if name in values else "" for name in names),
        )
    return table


def leaderboard_text(spec: SweepSpec, records: Sequence[Record]) -> str:
    """The leaderboard as plain text."""
    console = Console(file=io.StringIO(), no_color=True)
    print_table(console, leaderboard_table(spec, records))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def print_table(console: Console, table: Table) -> None:
    """Print `table` as wide as it is: neither a narrow terminal nor a pipe cuts or squeezes it."""
    segments = console.render(table, console.options.update(max_width=WIDEST))
    console.print(Segments(segments), crop=False)


def print_leaderboard(console: Console, spec: SweepSpec, records: Sequence[Record]) -> None:
    """Print the leaderboard, and why configurations failed."""
    if not records:
        console.print("no configuration has begun yet")
        return
    print_table(console, leaderboard_table(spec, records))
    for record in records:
        if record.failure:
            console.print(f"trial {record.number} failed: {record.failure}", soft_wrap=True, markup=False)


def print_prepared(console: Console, prepared: Prepared, took_s: float) -> None:
    """Print where the volume store is, its size, who was rejected and why, and what is on both sides of a split."""
    store = prepared.store
    size_mb = sum(shard.bytes for shard in store.manifest.shards) / 1e6
    verb = "reused  " if prepared.reused else "prepared"
    console.print(
        f"{verb}  {len(store.subjects)} volumes {list(store.image_shape)} -> {store.folder} "
        f"({size_mb:.0f} MB, {len(prepared.rejected)} rejected)  {took_s:.0f} s",
        soft_wrap=True,
        markup=False,
    )
    for shard in prepared.mended:
        console.print(f"  made again {shard}, which was missing, cut short or changed since written", soft_wrap=True)
    for left_out in prepared.rejected[:SHOWN]:
        console.print(f"  rejected {left_out.subject}: {left_out.reason}", soft_wrap=True, markup=False)
    if len(prepared.rejected) > SHOWN:
        console.print(f"  ... and {len(prepared.rejected) - SHOWN} more; {MANIFEST} there names all")
    for leak in leaks(store, prepared.splits):
        console.print(f"  leak: {leak.text}; see contrasweep inspect", style="bold red", soft_wrap=True, markup=False)


def print_final(console: Console, spec: SweepSpec, report: FinalReport) -> None:
    """Print the test figures of the chosen configuration, with intervals, beside predict-the-mean."""
    mae = report.metrics["mae"]
    spread = f"mean of {len(report.seed_mae)} seeds (sd {report.sd:.3f})"
    console.print(
        f"final     test MAE {mae.value:.3f} [{mae.low:.3f}, {mae.high:.3f}] {spec.data.label} "
        f"over {report.sample}, {spread}, "
        f"{report.ensemble_mae:.3f} for their mean prediction; predict-the-mean {report.baseline_mae:.3f}",
        soft_wrap=True,
        markup=False,
    )
    others = (
        f"{name} {m.value:.3f} [{m.low:.3f}, {m.high:.3f}]" for name, m in report.metrics.items() if name != "mae"
    )
    console.print(f"          {' · '.join(others)}", soft_wrap=True, markup=False)
    console.print(f"          trial {report.trial}, {report.method}; dashboard: contrasweep ui", soft_wrap=True)


def show_sweep(console: Console, folder: SweepFolder, storage: Path) -> None:
    """Print a sweep's leaderboard, and its final figure where it has one."""
    spec = folder.load().spec
    print_leaderboard(console, spec, read_records(storage / folder.sweep_id))
    if folder.final.exists():
        print_final(console, spec, FinalReport.read(folder.final))


def print_status(console: Console, folder: SweepFolder, storage: Path) -> None:
    """Print how a sweep stands, and its leaderboard so far."""
    state = folder.read_state()
    line = f"{folder.sweep_id}  {state.state}  {state.spent_s:.0f} s  {state.reason}".rstrip()
    console.print(line, soft_wrap=True, markup=False)
    show_sweep(console, folder, storage)


def sweeps_table(folders: Sequence[SweepFolder], storage: Path) -> Table:
    """All sweeps: id, state, when each began, configurations done, best objective."""
    table = _bare_table("sweep", "state", "began", "trials", "best", "label")
    for folder in folders:
        spec, state = folder.load().spec, folder.read_state()
        epochs, seeds = spec.judged_epochs, spec.search.seeds
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


def _bare_table(*titles: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(Text(title), no_wrap=True)
    return table


def _values(record: Record) -> dict[str, Value]:
    return record.configuration.params | record.configuration.training


def _varying(records: Sequence[Record]) -> list[str]:
    """Parameters that differ between configurations of one method, in the order in which the methods have them."""
    seen: dict[str, dict[str, set[Value]]] = {}
    for record in records:
        for name, value in _values(record).items():
            seen.setdefault(name, {}).setdefault(record.configuration.method, set()).add(value)
    return [name for name, by_method in seen.items() if any(len(values) > 1 for values in by_method.values())]


def _figure(record: Record, epochs: int) -> str:
    objective = record.objective(epochs)
    if objective == float("inf"):
        return "-"
    if not record.values(epochs):
        return f"({objective:.3f})"
    return f"{objective:.3f} ± {record.deviation(epochs):.3f}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
