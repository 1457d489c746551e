"""Commands for a study before it is swept: write and explain its spec, check, look at and prepare its data."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from contrasweep.services.cli.app import SpecPath, app, console
from contrasweep.services.screen.waiting import waiting
from contrasweep.trainers.errors import UserError


@app.command()
def init(
    spec: SpecPath,
    label: Annotated[str, typer.Option(help="Column to predict.")],
    participants: Annotated[str | None, typer.Option(help="Table of subjects: .tsv, .csv, .xlsx, .parquet.")] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            help="Path of a scan from the table's folder, columns as {name}, * where names vary. Several, as "
            "NAME=PATH, are the channels of one."
        ),
    ] = None,
    bids: Annotated[str | None, typer.Option(help="BIDS data set or derivative, in place of --image.")] = None,
    suffix: Annotated[
        str | None, typer.Option(help="What names of the data set's images end in: T1w, bold ...")
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Column that says whose a scan is.")] = None,
    session: Annotated[str | None, typer.Option(help="Column that tells a person's scans apart.")] = None,
    group: Annotated[str | None, typer.Option(help="Column: pairs are formed only inside one of its values.")] = None,
    split_column: Annotated[str | None, typer.Option(help="Column that has a published split.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Prepare as published for a modality; `contrasweep explain` lists them.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Fill a blank of the recipe, such as template."),
    ] = None,
    hours: Annotated[float, typer.Option(min=0.01, help="What the search may take on this machine.")] = 2.0,
) -> None:
    """Look at your table and some scans, or your BIDS data set, and write a first spec, with the reasons beside it.

    Preparation, model, augmentations, training and search follow from what images there are, how many people, the
    label, and what a training step takes here.
    """
    images = None if not image else image[0] if len(image) == 1 else _pairs(image, "--image")
    options = {
        **{"participants": participants, "image": images, "bids": bids, "suffix": suffix},
        **{"label": label, "id": id_, "session": session, "group": group},
    }
    given = {name: value for name, value in options.items() if value is not None}
    filled = _pairs(values or (), "--set")
    with waiting(console, f"looking at {bids or participants or 'the data'}, and timing a step of training"):
        from contrasweep.services.spec.first import write_first_spec

        decided = write_first_spec(spec, given, recipe, filled, split_column, hours)
    console.print("\n".join(decided), soft_wrap=True, markup=False, highlight=False)
    console.print(
        f"wrote {spec}; next: contrasweep validate {spec} (headers), inspect {spec} (images), run --smoke {spec}",
        soft_wrap=True,
    )


def _pairs(values: Sequence[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in values:
        name, sign, rest = value.partition("=")
        if not sign:
            raise UserError(f"{option}: '{value}' is not allowed: NAME={'PATH' if option == '--image' else 'VALUE'}")
        if name in pairs:
            raise UserError(f"{option}: '{value}' is not allowed: {name} has a value already, '{pairs[name]}'")
        pairs[name] = rest
    return pairs


@app.command()
def explain(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One of them.", show_default=False)] = None,
) -> None:
    """What a spec can name - methods, encoders, augmentations, transforms, probes, presets - and recipes, or one of
    them.
    """
    from contrasweep.services.cli.explain import explain as explained

    explained(name, console)


@app.command()
def validate(spec: SpecPath) -> None:
    """Check a spec and read every scan's header: counts, shapes, labels, what is missing."""
    from contrasweep.services.records.folder import recognised
    from contrasweep.services.settings import load_settings
    from contrasweep.services.spec.spec import load_spec

    settings = load_settings()
    loaded = recognised(load_spec(spec), settings)
    with waiting(console, f"checking {spec}"):
        from contrasweep.services.data.validate import validate_data
        from contrasweep.services.data.weights import find_weights
        from contrasweep.services.spec.checks import check_spec

        check_spec(loaded, settings.data_roots)
    with waiting(console, "reading the header of every scan"), find_weights(loaded, settings) as weights:
        validate_data(loaded, console, weights)


@app.command()
def prepare(spec: SpecPath) -> None:
    """Read and transform every scan once, into a volume store. A second time is instant."""
    from contrasweep.services.settings import load_settings
    from contrasweep.services.spec.spec import load_spec

    loaded, settings = load_spec(spec), load_settings()
    with waiting(console, f"looking for the volumes of {spec}"):
        from contrasweep.services.screen.preparation import found_data, prepare_data

        if not settings.data_roots and found_data(loaded, settings, console):
            return
    with waiting(console, f"checking {spec}"):
        from contrasweep.services.cluster.connect import joined
        from contrasweep.services.data.validate import check_table
        from contrasweep.services.spec.checks import check_spec

        check_spec(loaded, settings.data_roots)
        check_table(loaded, settings.data_roots)
    with joined(settings, partial(waiting, console)):
        prepare_data(loaded, settings, console)


@app.command()
def inspect(
    target: Annotated[
        str, typer.Argument(metavar="SPEC|STORE", help="A study, or a volume store.", show_default=False)
    ],
) -> None:
    """Look at every image: leaks between splits, duplicates, outliers, mixed sources; on the screen and as a page."""
    from contrasweep.services.settings import load_settings

    with waiting(console, "loading"):
        from contrasweep.services.inspection.command import inspect as inspected
    inspected(target, load_settings(), console)
