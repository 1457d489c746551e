"""Commands that run sweeps and ask after them, here, on a cluster or at a service."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from contrasweep.services.cli.app import (
    INTERRUPTED,
    USER_ERROR,
    Address,
    Json,
    Server,
    SpecPath,
    SweepId,
    app,
    aside,
    console,
)
from contrasweep.services.cli.patience import followed, patiently
from contrasweep.services.cli.transport import settings_for, verbs
from contrasweep.services.records.answers import ACTIVE, Answer, Leaderboard, Submitted, Sweep, Trial
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.trainers.errors import UserError

if TYPE_CHECKING:
    from contrasweep.services.records.folder import SweepFolder
    from contrasweep.services.settings import Settings

WATCH_S = 2.0
Fresh = Annotated[bool, typer.Option("--fresh", help="Train what another sweep has trained already, too.")]


@app.command()
def plan(spec: SpecPath, address: Address = "", server: Server = "", as_json: Json = False) -> None:
    """What a sweep would take: runs, workers, what runs at once, hours, disk."""
    from contrasweep.services.screen.tables import print_plan
    from contrasweep.services.spec.spec import load_spec

    loaded = load_spec(spec)
    words = f"planning {spec}: checking it, and training for a moment on noise"
    with waiting(aside() if as_json else console, words):
        planned = verbs(address, server).plan(loaded)
    if as_json:
        _print_json(planned)
    else:
        print_plan(console, planned)


@app.command()
def run(
    spec: SpecPath,
    fresh: Fresh = False,
    small: Annotated[
        bool, typer.Option("--smoke", help="Only 48 subjects, two methods, two epochs, to see that all goes together.")
    ] = False,
) -> None:
    """Run a sweep here, or go on with it; one that is done is only shown."""
    loaded = _loaded(spec, fresh)
    if small:
        from contrasweep.services.spec.smoke import smoke

        loaded = smoke(loaded)
    done = run_here(loaded)
    _print_next(f"run {spec}" if small else _after(done))


@app.command()
def demo() -> None:
    """Run a whole small sweep on a phantom data set that is generated first."""
    from contrasweep.services.cli.demo import write_demo
    from contrasweep.services.settings import load_settings

    run_here(write_demo(load_settings().home / "demo", console))


@app.command()
def submit(
    spec: SpecPath, fresh: Fresh = False, address: Address = "", server: Server = "", as_json: Json = False
) -> None:
    """Have a cluster or a service run a sweep, or go on with it, and return; the same spec runs once."""
    loaded = _loaded(spec, fresh)
    have(f"submitting {spec}", lambda: verbs(address, server).submit(loaded), as_json)


@app.command()
def resume(sweep_id: SweepId, address: Address = "", server: Server = "", as_json: Json = False) -> None:
    """Go on with a sweep that was stopped or killed: finished seeds are kept. Here, it runs in the foreground."""
    from contrasweep.services.records.folder import SweepFolder

    settings = settings_for(address, server)
    if settings.server or settings.jobs_address:
        have(f"resuming {sweep_id}", lambda: verbs(address, server).resume(sweep_id), as_json)
    else:
        _print_next(_after(run_here(SweepFolder.find_whole(settings, sweep_id).load())))


@app.command()
def extend(
    sweep_id: SweepId,
    trials: Annotated[int | None, typer.Option(min=1, help="So many configurations in all.")] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0..4|0,1,7", help="So many seeds in all; the finalists run the new ones.")
    ] = None,
    finalists: Annotated[int | None, typer.Option(min=1, help="So many finalists.")] = None,
    hours: Annotated[
        float | None, typer.Option(min=0, help="A budget of so many hours in all, for a sweep that its budget ended.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every complete configuration runs the new seeds.")] = False,
    add_space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD",
            help="Search this method, too, from here on; for several, more than once. Without --trials these grow by "
            "the share of what is added: 30 trials of 2 methods to 45 with a third.",
        ),
    ] = None,
    address: Address = "",
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Go on with a sweep, a finished one, too: more trials, seeds, finalists, methods or time; what it has is kept."""
    from contrasweep.services.records.folder import SweepFolder
    from contrasweep.services.spec.extent import extended, more_of, seeds_in

    given = {
        "trials": trials,
        "seeds": seeds_in(seeds) if seeds else None,
        "finalists": finalists,
        "hours": hours,
        "all": every,
        "add_spaces": tuple(add_space or ()),
    }
    more = more_of(given)
    settings = settings_for(address, server)
    if settings.server or settings.jobs_address:
        have(f"extending {sweep_id}", lambda: verbs(address, server).extend(sweep_id, more), as_json)
    else:
        _print_next(_after(run_here(extended(SweepFolder.find_whole(settings, sweep_id).load(), more))))


@app.command("list")
def list_sweeps(address: Address = "", server: Server = "", as_json: Json = False) -> None:
    """All sweeps and how they stand."""
    from contrasweep.services.screen.tables import print_table, sweeps_table

    with waiting(aside(), "asking for the sweeps"):
        sweeps = verbs(address, server).sweeps()
    if as_json:
        _print_json(sweeps)
    elif sweeps:
        print_table(console, sweeps_table(sweeps))
    else:
        console.print(f"no sweeps {_where(address, server)}", soft_wrap=True, markup=False)


@app.command()
def status(
    sweep_id: SweepId,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every 2 s until the sweep ends.")] = False,
    address: Address = "",
    server: Server = "",
    as_json: Json = False,
) -> None:
    """How a sweep stands, and its leaderboard so far. With --watch --json, a document at each look."""
    from contrasweep.services.screen.tables import print_status

    def look() -> tuple[Sweep, list[Trial]]:
        return asked.status(sweep_id), [] if as_json else asked.trials(sweep_id)

    with waiting(aside(), f"asking how {sweep_id} stands"):
        asked = verbs(address, server)
        sweep, trials = look()
    while True:
        if as_json:
            _print_json(sweep)
        else:
            if watch:
                console.clear()
            print_status(console, sweep, trials)
        if not watch or sweep.state not in ACTIVE:
            return
        time.sleep(WATCH_S)
        sweep, trials = patiently(look)


@app.command()
def trials(sweep_id: SweepId, address: Address = "", server: Server = "", as_json: Json = False) -> None:
    """A sweep's configurations, the best first; with outer folds those of one of them, by ID.0, ID.1 ..."""
    from contrasweep.services.screen.tables import print_configurations

    with waiting(aside(), f"asking for the configurations of {sweep_id}"):
        asked = verbs(address, server)
        found = asked.trials(sweep_id)
        sweep = None if as_json else asked.status(sweep_id)
    if sweep is None:
        _print_json(found)
    else:
        print_configurations(console, sweep, found)


@app.command()
def compare(
    sweep_ids: Annotated[
        list[str], typer.Argument(metavar="ID ID...", help="Sweeps' ids, or their beginnings.", show_default=False)
    ],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as an HTML page, too.")] = None,
    address: Address = "",
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Sweeps side by side: what their specs say otherwise, the best of each in pairs with the first, their searches."""
    from contrasweep.services.records.files import write_asked
    from contrasweep.services.screen.comparison import print_comparison
    from contrasweep.services.screen.tables import print_page

    with waiting(aside(), f"comparing {', '.join(sweep_ids)}"):
        comparison = verbs(address, server).compare(sweep_ids)
    if as_json:
        _print_json(comparison)
    else:
        print_comparison(console, comparison)
    if html:
        with waiting(aside(), "drawing the page"):
            from contrasweep.services.sweep_page.comparison import render

            write_asked(html, render(comparison).encode())
        if not as_json:
            print_page(console, html)


@app.command()
def logs(
    sweep_id: SweepId,
    trial: Annotated[int | None, typer.Option(min=0, help="Of this configuration, not of the driver.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the sweep ends.")] = False,
    address: Address = "",
    server: Server = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print each line as a JSON string.")] = False,
) -> None:
    """The driver's log, or that of one configuration: every epoch, warnings, why it failed."""
    asked = verbs(address, server)
    lines = followed(lambda: asked.logs(sweep_id, trial, True)) if follow else asked.logs(sweep_id, trial)
    for line in lines:
        typer.echo(json.dumps(line) if as_json else line)


@app.command()
def stop(
    sweep_id: SweepId,
    now: Annotated[bool, typer.Option("--now", help="Kill it; what its last checkpoints have is kept.")] = False,
    address: Address = "",
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Ask a running sweep to stop cleanly, after the epochs under way, or kill it; one that waits leaves the queue."""
    with waiting(aside(), f"stopping {sweep_id}"):
        sweep = verbs(address, server).stop(sweep_id, now)
    if as_json:
        _print_json(sweep)
        return
    done = f"asked {sweep.id} to stop" if sweep.state in ACTIVE else f"{sweep.id} is {sweep.state}"
    console.print(f"{done}; go on with: contrasweep resume {sweep.id}", soft_wrap=True)


@app.command()
def sync(sweep_id: SweepId, address: Address = "", server: Server = "", as_json: Json = False) -> None:
    """Tell MLflow all of a sweep that has ended, from what is on disk: what it missed, or everything, if it is empty.

    What MLflow has already stays as it is. It is that of the settings of whoever is asked.
    """
    with waiting(aside(), f"delivering {sweep_id} to MLflow"):
        sweep = verbs(address, server).sync(sweep_id)
    if as_json:
        _print_json(sweep)
    else:
        console.print(f"MLflow has all of {sweep.id}; contrasweep ui {sweep.id} shows it", soft_wrap=True)


@app.command()
def report(
    sweep_id: SweepId,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the HTML report there, complete in one file.")
    ] = None,
    address: Address = "",
    server: Server = "",
    as_json: Json = False,
) -> None:
    """A sweep's leaderboard, its final figure once it is there, and its HTML report."""
    from contrasweep.services.records.files import write_asked
    from contrasweep.services.screen.tables import print_page, print_sweep

    with waiting(aside(), f"asking how {sweep_id} stands"):
        asked = verbs(address, server)
        sweep, found = asked.status(sweep_id), asked.trials(sweep_id)
    if as_json:
        _print_json(Leaderboard(sweep=sweep, trials=found))
    else:
        print_sweep(console, sweep, found)
    page = html or settings_for(address, server).reports / f"{sweep.id}.html"
    with waiting(aside(), "drawing the report"):
        text = asked.report(sweep.id)
    write_asked(page, text.encode())
    if not as_json:
        print_page(console, page)


@app.command()
def results(
    sweep_id: SweepId,
    csv: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write CSV files there.")] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write Parquet files there.")] = None,
) -> None:
    """All that a sweep has found out, for data frames: trials, seed_runs, epochs, predictions, readings, a file each.

    It reads the home and the storage path of this machine's settings, also while the sweep runs, and changes nothing.
    """
    from contrasweep.services.records.folder import SweepFolder
    from contrasweep.services.records.results import write_results
    from contrasweep.services.settings import load_settings
    from contrasweep.services.text import count

    if csv is None and parquet is None:
        raise UserError("nothing is given; --csv FOLDER, --parquet FOLDER or both are needed")
    settings = load_settings()
    folder = SweepFolder.find(settings, sweep_id)
    with waiting(aside(), f"reading {folder.sweep_id}"):
        written = write_results(settings, folder, csv, parquet)
    for path, rows in written.items():
        console.print(f"{path}  {count(rows, 'row')}", soft_wrap=True, markup=False)


def _loaded(spec: Path, fresh: bool) -> LoadedSpec:
    from contrasweep.services.spec.spec import load_spec

    loaded = load_spec(spec)
    return replace(loaded, spec=loaded.spec.searching(fresh=True)) if fresh else loaded


def have(words: str, ask: Callable[[], Submitted], as_json: bool) -> None:
    """Have a cluster or a service do something with a sweep, and tell what became of that."""
    with waiting(aside(in_pipes=not as_json), words):
        submitted = ask()
    sweep = submitted.sweep
    if as_json:
        _print_json(submitted)
        return
    place = f", number {sweep.position}" if submitted.outcome == "queued" and sweep.position else ""
    then = "report" if submitted.outcome == "done" else "status"
    line = f"{sweep.id}: {submitted.outcome}{place}; contrasweep {then} {sweep.id} shows it"
    console.print(line, soft_wrap=True, markup=False)


def _print_json(answer: Answer | Sequence[Answer]) -> None:
    if isinstance(answer, Answer):
        typer.echo(answer.model_dump_json())
    else:
        typer.echo(f"[{','.join(each.model_dump_json() for each in answer)}]")


def _where(address: str, server: str) -> str:
    settings = settings_for(address, server)
    if settings.server or settings.jobs_address:
        return f"at {settings.server or settings.jobs_address}; `contrasweep submit SPEC` starts one"
    return f"in {settings.home}; `contrasweep run SPEC` starts one"


def run_here(loaded: LoadedSpec, shown: Console | None = None) -> LoadedSpec:
    """The spec of the sweep that is done; ends the program where it was stopped. Progress is `shown` there, or here.

    Raises UserError where its budget is spent, with nothing to evaluate.
    """
    from contrasweep.services.records.folder import STOPPED, SweepFolder, recognised
    from contrasweep.services.settings import load_settings

    settings, shown = load_settings(), shown or console
    loaded = recognised(loaded, settings)
    folder = SweepFolder(settings.sweeps / loaded.sweep_id)
    if folder.has_done(loaded):
        if folder.read_state().state == STOPPED:
            raise UserError(folder.read_state().reason)
        _show_done(folder, settings, shown)
        return loaded
    with waiting(shown, f"checking {loaded.path.name}"):
        from contrasweep.services.spec.checks import check_spec
        from contrasweep.services.sweep.run import run_sweep

        check_spec(loaded, settings.data_roots)
    state = run_sweep(loaded, settings, shown)
    if state.state == STOPPED and state.unfinished:
        sys.exit(USER_ERROR)
    if state.state == STOPPED:
        shown.print(f"stopped; go on with: contrasweep resume {loaded.sweep_id}", soft_wrap=True)
        sys.exit(INTERRUPTED)
    return loaded


def _after(done: LoadedSpec) -> str:
    """What one does with a sweep that is done."""
    from contrasweep.services.studies.study import study_at

    if study_at(done.path):
        return f"study report {done.sweep_id}"
    return f"predict {done.sweep_id} SCANS, or evaluate, embed, export"


def _print_next(command: str) -> None:
    console.print(f"next: contrasweep {command}", soft_wrap=True, markup=False)


def _show_done(folder: "SweepFolder", settings: "Settings", shown: Console) -> None:
    from contrasweep.services.screen.tables import print_sweep
    from contrasweep.services.verbs.local import Local

    local = Local(settings)
    shown.print(f"{folder.sweep_id} is done; it ran from {folder.load().base}", soft_wrap=True, markup=False)
    print_sweep(shown, local.status(folder.sweep_id), local.trials(folder.sweep_id))
