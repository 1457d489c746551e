"""Commands that use the model that a sweep left."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contrasweep.services.cli.app import Json, app, aside, console
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.registry import declared

if TYPE_CHECKING:
    from contrasweep.services.predicting.answers import Refused

_FORMATS = sorted(declared("contrasweep.trainers.exports", "FORMATS.register"))
SOME_REJECTED = 3
"""Exit status where scans could not be used, and the others were."""

Model = Annotated[
    str,
    typer.Argument(
        metavar="ID|MODEL|FOLDER",
        help="A sweep's id, a registered model (models:/name/version, models:/name@alias), or a model's folder.",
        show_default=False,
    ),
]


Scans = Annotated[
    list[Path] | None, typer.Argument(metavar="[SCANS]...", help="Files as they are.", show_default=False)
]
Participants = Annotated[Path | None, typer.Option(help="Table of scans, in place of SCANS.")]
Image = Annotated[
    str | None, typer.Option(help="Path of a scan from the table's folder; default: as in the model's study.")
]
Id = Annotated[str | None, typer.Option("--id", help="Column that says whose a scan is.")]
Session = Annotated[
    str | None, typer.Option(help="Column that tells a subject's scans apart; '' where each has one alone.")
]
Bids = Annotated[Path | None, typer.Option(help="BIDS data set or derivative, in place of SCANS.")]
Suffix = Annotated[str | None, typer.Option(help="What names of its images end in.")]
Label = Annotated[str | None, typer.Option(help="Column to tell the gap from, where there is one.")]
Cluster = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Predict on this Ray cluster, whose nodes see the files: auto, HOST:6379 or ray://HOST:10001.",
        show_default=False,
    ),
]


@app.command()
def predict(
    model: Model,
    scans: Scans = None,
    participants: Participants = None,
    image: Image = None,
    id_: Id = None,
    session: Session = None,
    bids: Bids = None,
    suffix: Suffix = None,
    label: Label = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write predictions there, as TSV.")] = None,
    saliency: Annotated[
        str | None, typer.Option(metavar="KIND", help="Map where each prediction comes from: gradient, occlusion.")
    ] = None,
    maps: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the maps there, as NIfTI; default: saliency.")
    ] = None,
    address: Cluster = "",
    as_json: Json = False,
) -> None:
    """What a model says of new scans: raw files in, a line for each out.

    No label is needed. Exit status 3 says that some scans could not be used; each is named, and the others are there.
    """
    from contrasweep.services.predicting.answers import write_tsv
    from contrasweep.services.predicting.command import predict_scans
    from contrasweep.services.predicting.scans import Asked
    from contrasweep.services.predicting.screen import print_predictions
    from contrasweep.services.settings import load_settings

    if maps and not saliency:
        raise UserError("--maps is not allowed without --saliency, which says what is mapped: gradient or occlusion")
    mapped = (saliency, maps or Path("saliency")) if saliency else None
    asked = Asked(tuple(scans or ()), participants, bids, image, id_, suffix, label, session)
    found = predict_scans(model, asked, load_settings(), aside(), mapped, address)
    if out:
        write_tsv(out, found.scans)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        print_predictions(console, found, out, mapped[1] if mapped else None)
    end_with(found.rejected)


def end_with(rejected: "Sequence[Refused]") -> None:
    """A line for each scan that could not be used; where there are any, the exit status says so."""
    for refused in rejected:
        aside(in_pipes=True).print(f"rejected  {refused.words}", markup=False, soft_wrap=True)
    if rejected:
        sys.exit(SOME_REJECTED)


@app.command()
def embed(
    model: Model,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write them there, as Parquet.", show_default=False)],
    scans: Scans = None,
    participants: Participants = None,
    image: Image = None,
    id_: Id = None,
    session: Session = None,
    bids: Bids = None,
    suffix: Suffix = None,
    label: Label = None,
    address: Cluster = "",
) -> None:
    """Embeddings of new scans: a row for each, with its prediction and the features of each run.

    Exit status 3 says that some scans could not be used; each is named, and the others are there.
    """
    from contrasweep.services.predicting.answers import Refused
    from contrasweep.services.predicting.command import ask
    from contrasweep.services.predicting.embed import check_ending, write_embeddings
    from contrasweep.services.predicting.scans import Asked
    from contrasweep.services.settings import load_settings
    from contrasweep.services.text import count

    check_ending(out)
    asked = Asked(tuple(scans or ()), participants, bids, image, id_, suffix, label, session)
    found = ask(model, asked, load_settings(), aside(), address)
    write_embeddings(out, found)
    console.print(f"{count(len(found.said), 'scan')} embedded by {found.model}: {out}", markup=False, soft_wrap=True)
    end_with([Refused.of(one) for one in found.rejected])


@app.command()
def evaluate(
    model: Model,
    name: Annotated[str, typer.Option(help="What the cohort is called.", show_default=False)],
    participants: Annotated[Path | None, typer.Option(help="Table of scans with labels.")] = None,
    image: Image = None,
    id_: Id = None,
    session: Session = None,
    bids: Annotated[Path | None, typer.Option(help="BIDS data set or derivative with labels, in its place.")] = None,
    suffix: Suffix = None,
    label: Annotated[str | None, typer.Option(help="Column of the label; default: as in the model's study.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Tell errors by this column, too; for several, more than once."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep it there; default: evaluations/ of the model's sweep.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an evaluation of this name.")] = False,
    address: Cluster = "",
    as_json: Json = False,
) -> None:
    """How wrong a model is on another cohort with labels, for whom, and what to doubt: figures, a page, predictions.

    Exit status 3 says that some scans could not be used; each is named, and the others are there.
    """
    from contrasweep.services.predicting.command import evaluate_scans
    from contrasweep.services.predicting.evaluate import Cohort
    from contrasweep.services.predicting.scans import Asked
    from contrasweep.services.predicting.screen import print_report
    from contrasweep.services.screen.tables import print_page
    from contrasweep.services.settings import load_settings

    asked = Asked((), participants, bids, image, id_, suffix, label, session, tuple(by or ()))
    report, page = evaluate_scans(model, Cohort(asked, name, out, force), load_settings(), aside(), address)
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        print_report(console, report)
        print_page(console, page)
    end_with(report.rejected)


@app.command()
def export(
    model: Model,
    format_: Annotated[
        str,
        typer.Option("--format", metavar="NAME", help=f"One of {', '.join(_FORMATS)}.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option(metavar="PATH", help="Where to write: a file, or a folder for a bundle.", show_default=False)
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace the file or earlier bundle there.")] = False,
) -> None:
    """Write a model for others to run: prepared images in, the mean over its runs out, as one graph.

    What was written is read back, and must predict as the model does, before it is at PATH.
    """
    from contrasweep.services.predicting.export import export_model
    from contrasweep.services.settings import load_settings

    typer.echo(export_model(model, format_, out, load_settings(), aside(), replace=force))
