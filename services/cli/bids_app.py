"""`contrasweep-predict`, a BIDS App: a command of its own, with the arguments that all of them have."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from contrasweep.services.cli.app import aside, console, ending, print_version
from contrasweep.services.cli.model import end_with

_LABELS = ("--participant-label", "--participant_label")

bids_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@bids_app.command()
def predict_bids(
    bids_dir: Annotated[Path, typer.Argument(help="The BIDS data set, which is only read.", show_default=False)],
    output_dir: Annotated[Path, typer.Argument(help="The derivative's folder.", show_default=False)],
    analysis_level: Annotated[
        Literal["participant", "group"],
        typer.Argument(help="participant predicts each scan; group makes one table of these.", show_default=False),
    ],
    model: Annotated[
        str, typer.Option(help="A model's folder, a registered model (models:/name/version), or a sweep's id.")
    ] = "",
    participant_label: Annotated[
        list[str] | None,
        typer.Option(
            "--participant-label",
            "--participant_label",
            help="Only these subjects, with or without sub-: one or more names.",
        ),
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(help="What names of images end in: T1w ...; default: as in the model's study.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """What a model says of the scans of a BIDS data set, as a derivative. Exit status 3: some could not be used."""
    from contrasweep.services.predicting import bids_app as app
    from contrasweep.services.settings import load_settings
    from contrasweep.trainers.errors import UserError

    if analysis_level == "group":
        table, scans = app.group(output_dir)
        console.print(f"{table}: {scans} scans", markup=False, soft_wrap=True)
        return
    if not model:
        raise UserError("--model is missing: a model's folder, a registered model, or a sweep's id")
    found = app.participant(model, bids_dir, output_dir, participant_label or (), suffix, load_settings(), aside())
    console.print(f"{app.told(found)} -> {output_dir}", markup=False, soft_wrap=True)
    end_with(found.rejected)


def main() -> None:
    """Run it: 0 when all went well, 2 and one line for a user's mistake, 3 where scans could not be used."""
    with ending(debug=False):
        bids_app(_each_named(sys.argv[1:]))


def _each_named(arguments: list[str]) -> list[str]:
    """The arguments with the option in front of each of several labels, which BIDS Apps are given behind one.

    >>> _each_named(["data", "out", "participant", "--participant_label", "01", "02", "--model", "m"])[3:]
    ['--participant_label', '01', '--participant_label', '02', '--model', 'm']
    """
    each: list[str] = []
    option = ""
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in _LABELS else ""
        elif option and each[-1] != option:
            each.append(option)
        each.append(argument)
    return each


if __name__ == "__main__":
    main()
