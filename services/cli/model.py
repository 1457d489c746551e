"""Commands that use the model that a sweep left."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.app import Json, app, aside, console
from trainers.registry import declared

if TYPE_CHECKING:
    from services.predicting.answers import Predictions

_FORMATS = sorted(declared("trainers.exports", "FORMATS.register"))
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


@app.command()
def predict(
    model: Model,
    scans: Annotated[
        list[Path] | None, typer.Argument(metavar="[SCANS]...", help="Files as they are.", show_default=False)
    ] = None,
    participants: Annotated[Path | None, typer.Option(help="Table of scans, in place of SCANS.")] = None,
    image: Annotated[
        str | None, typer.Option(help="Path of a scan from the table's folder; default: as in the model's study.")
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Column that says whose a scan is.")] = None,
    bids: Annotated[Path | None, typer.Option(help="BIDS data set or derivative, in place of SCANS.")] = None,
    suffix: Annotated[str | None, typer.Option(help="What names of its images end in.")] = None,
    label: Annotated[str | None, typer.Option(help="Column to tell the gap from, where there is one.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write predictions there, as TSV.")] = None,
    as_json: Json = False,
) -> None:
    """What a model says of new scans: raw files in, a line for each out.

    No label is needed. Exit status 3 says that some scans could not be used; each is named, and the others are there.
    """
    from services.predicting.answers import write_tsv
    from services.predicting.command import predict_scans
    from services.predicting.scans import Asked
    from services.predicting.screen import print_predictions
    from services.settings import load_settings

    asked = Asked(tuple(scans or ()), participants, bids, image, id_, suffix, label)
    found = predict_scans(model, asked, load_settings(), aside())
    if out:
        write_tsv(out, found.scans)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        print_predictions(console, found, with_table=not out)
    print_rejected(found)
    if found.rejected:
        sys.exit(SOME_REJECTED)


def print_rejected(found: "Predictions") -> None:
    """A line for each scan that could not be used."""
    for refused in found.rejected:
        where = f" ({refused.path})" if refused.path else ""
        aside(in_pipes=True).print(f"rejected  {refused.scan}: {refused.reason}{where}", markup=False, soft_wrap=True)


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
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier export wrote there.")] = False,
) -> None:
    """Write a model for others to run: prepared images in, the mean over its runs out, as one graph.

    What was written is read back, and must predict as the model does, before it is at PATH.
    """
    from services.predicting.export import export_model
    from services.settings import load_settings

    typer.echo(export_model(model, format_, out, load_settings(), aside(), replace=force))
