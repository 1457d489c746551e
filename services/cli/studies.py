"""`contrasweep study`: tables and figures of papers, one command each; `analyse`: any analysis of a sweep."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contrasweep.services.cli.app import Address, Json, Server, SweepId, app, aside, console
from contrasweep.services.cli.sweeps import have, run_here
from contrasweep.services.cli.transport import settings_for, verbs
from contrasweep.services.screen.waiting import waiting
from contrasweep.trainers.errors import UserError

if TYPE_CHECKING:
    from contrasweep.services.settings import Settings
    from contrasweep.services.studies.page import Report
    from contrasweep.trainers.analyses import Findings

study = typer.Typer(
    no_args_is_help=True, help="Tables and figures of papers: run as sweeps, told beside what is published."
)
app.add_typer(study, name="study")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A study, as `study list` has it.", show_default=False)]
Data = Annotated[
    str,
    typer.Option(
        metavar="phantom|soop=FOLDER|SPEC",
        help="What it runs on: stiffness maps that are generated, FLAIR slices of SOOP, or the data, model and "
        "training of a spec.",
    ),
]


@study.command("list")
def list_studies(as_json: Json = False) -> None:
    """All studies."""
    from contrasweep.services.studies.catalogue import print_studies
    from contrasweep.services.studies.study import load_study, names

    studies = [load_study(name) for name in names()]
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json", exclude_defaults=True) for one in studies]))
    else:
        print_studies(console, studies)


@study.command()
def show(name: Name, as_json: Json = False) -> None:
    """What a study trains and reads, what is published, and what to know of that."""
    from contrasweep.services.studies.catalogue import print_study
    from contrasweep.services.studies.study import load_study

    found = load_study(name)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        print_study(console, found)


@study.command()
def run(
    name: Name,
    data: Data = "phantom",
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Two epochs of 48 people and a narrow encoder, to see that all goes together."),
    ] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="So many of each row; else as the study says.")] = None,
    address: Address = "",
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Run a study as a sweep, or go on with it, and tell its table; with --address or --server have it run there.

    It stops, resumes and is told of as any sweep. A cluster or service needs the data where they are here.
    """
    settings = settings_for(address, server)
    beside = aside(in_pipes=True) if as_json else console
    with waiting(beside, f"reading {name}"):
        from contrasweep.services.studies.compile import compile_study
        from contrasweep.services.studies.data import data_named
        from contrasweep.services.studies.study import load_study

        found = load_study(name)
    told = data_named(data, settings.home, partial(waiting, beside))
    made = compile_study(found, told, seeds=range(seeds) if seeds else None, quick=quick)
    for row, point in made.points.items():
        if row != point:
            beside.print(f"{row} comes to the same as {point} with these data", soft_wrap=True, markup=False)
    if settings.server or settings.jobs_address:
        have(f"submitting {name}", lambda: verbs(address, server).submit(made.loaded), as_json)
        return
    done = run_here(made.loaded, beside)
    _tell(_reports(settings, [done.sweep_id]), settings, None, as_json)


@study.command()
def report(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Studies, NAME-quick, or ids of their sweeps.", show_default=False),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write tables as .md, .tex, .csv and .json there, figures as .svg and .pdf."
        ),
    ] = None,
    outcomes: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FOLDER", help="Of outcomes that --export wrote there; with --export: reproduction.md."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Studies that have run here: their tables, verdicts and one page.

    It reads the home and the storage path of this machine's settings.
    """
    settings = settings_for("", "")
    if outcomes is not None:
        _reproduce(outcomes, export, as_json)
    elif names:
        _tell(_reports(settings, names), settings, export, as_json)
    else:
        raise UserError("study report: NAME is missing, or --from FOLDER")


@app.command()
def analyse(
    sweep_id: SweepId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="An analysis, such as paired.", show_default=False)],
    settings_of: Annotated[
        list[str] | None, typer.Option("--set", metavar="PARAM=VALUE", help="A parameter; for several, more than once.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write figures there; else beside the sweep's report.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an analysis of a finished sweep, of a study its rows: tables on the screen, figures as files."""
    settings = settings_for("", "")
    params = _params(settings_of or [])
    with waiting(aside(), f"making {name} of {sweep_id}"):
        from contrasweep.services.records.folder import SweepFolder
        from contrasweep.services.studies.examined import analyse as analysed
        from contrasweep.services.studies.examined import evidence_of
        from contrasweep.services.studies.export import write_figures

        folder = SweepFolder.find(settings, sweep_id)
        found = analysed(evidence_of(folder, settings), name, params)
        into = out or settings.reports / f"{folder.sweep_id}-{name}"
        written = list(write_figures(into, found.figures))
    if as_json:
        typer.echo(json.dumps(_as_data(found, written)))
    else:
        _print_findings(found, written)


def _params(given: Sequence[str]) -> dict[str, Any]:
    """Parameters as `--set` names them, values as in YAML."""
    from contrasweep.services.spec.yaml import load_mapping

    params: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals:
            raise UserError(f"--set: '{one}' is not allowed: such as reference=NAME")
        params |= load_mapping(f"{key}: {value}", "--set")
    return params


def _as_data(found: "Findings", figures: Sequence[Path]) -> Mapping[str, Any]:
    tables = {title: {"columns": one.columns, "rows": one.rows} for title, one in found.tables.items()}
    return {"tables": tables, "words": found.words, "figures": list(map(str, figures))}


def _print_findings(found: "Findings", figures: Sequence[Path]) -> None:
    from contrasweep.services.screen.tables import print_table
    from contrasweep.services.studies.tables import found_table

    for title, one in found.tables.items():
        console.print(title, soft_wrap=True, markup=False)
        print_table(console, found_table(title, one))
    for line in (*found.words, *map(str, figures)):
        console.print(line, soft_wrap=True, markup=False)


def _reports(settings: "Settings", names: Sequence[str]) -> "list[Report]":
    """What studies' sweeps came to; each outcome is kept beside its sweep's final figure."""
    with waiting(aside(), f"reading {', '.join(names)}"):
        from contrasweep.services.studies.examined import examine, sweeps_of
        from contrasweep.services.studies.page import Report

        found = sweeps_of(settings, names)
        return [Report.of(examine(one, folder, settings)).kept(folder) for one, folder in found]


def _tell(reports: "Sequence[Report]", settings: "Settings", export: Path | None, as_json: bool) -> None:
    """Print what studies came to, and write page and exports."""
    from contrasweep.services.screen.tables import print_page
    from contrasweep.services.studies.export import write_exports
    from contrasweep.services.studies.page import write
    from contrasweep.services.studies.screen import print_outcomes

    with waiting(aside(), "drawing the page"):
        page = write(reports, settings.reports)
        exported = (
            [path for one in reports for path in write_exports(export, one.outcome, one.figures)] if export else []
        )
    if as_json:
        typer.echo(f"[{','.join(one.outcome.model_dump_json() for one in reports)}]")
        return
    print_outcomes(console, [one.outcome for one in reports])
    print_page(console, page)
    for path in exported:
        console.print(str(path), soft_wrap=True, markup=False)


def _reproduce(folder: Path, export: Path | None, as_json: bool) -> None:
    """Print outcomes that are there as files, and write the document of them."""
    from contrasweep.services.records.files import write_asked
    from contrasweep.services.studies.reproduction import PAGE, read_outcomes, reproduction
    from contrasweep.services.studies.screen import print_outcomes

    outcomes = read_outcomes(folder)
    if export:
        write_asked(export / PAGE, reproduction(outcomes).encode())
    if as_json:
        typer.echo(f"[{','.join(one.model_dump_json() for one in outcomes)}]")
        return
    print_outcomes(console, outcomes)
    if export:
        console.print(str(export / PAGE), soft_wrap=True, markup=False)
