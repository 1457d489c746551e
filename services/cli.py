"""The command line."""

import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.spec import LoadedSpec
from trainers.errors import UserError

USER_ERROR, INTERRUPTED = 2, 130
WATCH_S = 2.0

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False)

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="The study: a YAML file.", show_default=False)]
SweepId = Annotated[str, typer.Argument(metavar="ID", help="A sweep's id, or the beginning of it.", show_default=False)]


def main() -> None:
    """Run the command line: 0 when all went well, 2 and one line for a user's mistake, 130 after Ctrl-C."""
    debug = "--debug" in sys.argv
    try:
        app([argument for argument in sys.argv[1:] if argument != "--debug"])
    except UserError as error:
        if debug:
            raise
        Console(stderr=True, highlight=False).print(f"error: {error}", markup=False, soft_wrap=True)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@app.callback()
def contrasweep(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback for a mistake of yours, too.")] = False,
) -> None:
    """Sweeps of contrastive-regression pretraining on medical images: raw scans in, a leaderboard out.

    Where it runs is settings: CONTRASWEEP_HOME, _VOLUMES, _TRACKING_URI, _OPTUNA_STORAGE, _RAY_ADDRESS, _STORAGE_PATH
    and _RESIDENT_LIMIT_GB in the environment, or contrasweep.toml in this folder.
    """


@app.command()
def init(
    spec: SpecPath,
    label: Annotated[str, typer.Option(help="Column to predict.")],
    participants: Annotated[str | None, typer.Option(help="Table of subjects: .tsv or .csv.")] = None,
    image: Annotated[
        str | None, typer.Option(help="Path of a scan from the table's folder, columns as {name}.")
    ] = None,
    bids: Annotated[str | None, typer.Option(help="BIDS data set, in place of a table and --image.")] = None,
    suffix: Annotated[
        str | None, typer.Option(help="What names of the data set's images end in: T1w, bold ...")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Prepare as published for a modality; `contrasweep explain` lists them.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Fill a blank of the recipe, such as template."),
    ] = None,
) -> None:
    """Write a first spec for your table and scans, or your BIDS data set."""
    from services.firstspec import write_first_spec

    options = {"participants": participants, "image": image, "bids": bids, "suffix": suffix, "label": label}
    given = {name: value for name, value in options.items() if value is not None}
    write_first_spec(spec, given, recipe, dict(_pair(value) for value in values or ()))
    console.print(f"wrote {spec}; next: contrasweep validate {spec}", soft_wrap=True)


def _pair(value: str) -> tuple[str, str]:
    name, sign, rest = value.partition("=")
    if not sign:
        raise UserError(f"--set: '{value}' is not allowed: NAME=VALUE")
    return name, rest


@app.command()
def explain(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One of them.", show_default=False)] = None,
) -> None:
    """What a spec can name - methods, encoders, augmentations, transforms, probes - and recipes, or one of them."""
    from services.explain import explain as explained

    explained(name, console)


@app.command()
def validate(spec: SpecPath) -> None:
    """Check a spec and read every scan's header: counts, shapes, labels, what is missing."""
    from services.pretrained import find_weights
    from services.settings import load_settings
    from services.spec import load_spec
    from services.spec_checks import check_spec
    from services.validation import validate_data

    loaded = load_spec(spec)
    check_spec(loaded)
    with find_weights(loaded, load_settings()) as weights:
        validate_data(loaded, console, weights)


@app.command()
def plan(spec: SpecPath) -> None:
    """What a sweep would take: runs, workers, what runs at once, hours, disk."""
    from services.environment import set_ray_environment
    from services.settings import load_settings
    from services.spec import load_spec
    from services.spec_checks import check_spec

    loaded, settings = load_spec(spec), load_settings()
    check_spec(loaded)
    set_ray_environment(settings)
    from services.cluster import cluster
    from services.plan import local_node
    from services.pretrained import find_weights
    from services.validation import show_plan

    here = settings.ray_address == "local"
    with find_weights(loaded, settings) as weights, nullcontext([local_node()]) if here else cluster(settings) as nodes:
        show_plan(loaded, settings, nodes, console, weights)


@app.command()
def prepare(spec: SpecPath) -> None:
    """Read and transform every scan once, into a volume store. A second time is instant."""
    from services.environment import set_ray_environment
    from services.settings import load_settings
    from services.spec import load_spec
    from services.spec_checks import check_spec
    from services.validation import check_table

    loaded, settings = load_spec(spec), load_settings()
    check_spec(loaded)
    check_table(loaded)
    set_ray_environment(settings)
    from services.cluster import cluster
    from services.sweep import prepare_data

    with cluster(settings):
        prepare_data(loaded, settings, console)


@app.command()
def inspect(
    target: Annotated[
        str, typer.Argument(metavar="SPEC|STORE", help="A study, or a volume store.", show_default=False)
    ],
) -> None:
    """Look at every image: leaks between splits, duplicates, outliers, mixed sources; on the screen and as a page."""
    from services.inspection.command import inspect as inspected
    from services.settings import load_settings

    inspected(target, load_settings(), console)


@app.command()
def run(spec: SpecPath) -> None:
    """Run a sweep here, or go on with it; one that is done is only shown."""
    from services.spec import load_spec

    _run(load_spec(spec))


@app.command()
def resume(sweep_id: SweepId) -> None:
    """Go on with a sweep that was stopped or killed: finished seeds are kept."""
    from services.folder import SweepFolder
    from services.settings import load_settings

    _run(SweepFolder.find(load_settings(), sweep_id).load())


@app.command()
def demo() -> None:
    """Run a whole small sweep on a phantom data set that is generated first."""
    from services.demo import write_demo
    from services.settings import load_settings

    _run(write_demo(load_settings().home / "demo", console))


@app.command("list")
def list_sweeps() -> None:
    """All sweeps and how they stand."""
    from services.folder import SweepFolder
    from services.report import print_table, sweeps_table
    from services.settings import load_settings

    settings = load_settings()
    folders = SweepFolder.every(settings)
    if folders:
        print_table(console, sweeps_table(folders, Path(settings.storage_path)))
    else:
        console.print(f"no sweeps in {settings.home}; `contrasweep run SPEC` starts one", soft_wrap=True)


@app.command()
def status(
    sweep_id: SweepId,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every 2 s until the sweep ends.")] = False,
) -> None:
    """How a sweep stands."""
    from services.folder import RUNNING, SweepFolder
    from services.report import print_status
    from services.settings import load_settings

    settings = load_settings()
    folder = SweepFolder.find(settings, sweep_id)
    print_status(console, folder, Path(settings.storage_path))
    while watch and folder.read_state().state == RUNNING:
        time.sleep(WATCH_S)
        console.clear()
        print_status(console, folder, Path(settings.storage_path))


@app.command()
def stop(sweep_id: SweepId) -> None:
    """Ask a running sweep to stop cleanly, after the epochs under way."""
    from services.folder import RUNNING, SweepFolder
    from services.settings import load_settings

    folder = SweepFolder.find(load_settings(), sweep_id)
    state = folder.read_state().state
    if state != RUNNING:
        raise UserError(f"sweep {folder.sweep_id} is not running; it is {state}")
    folder.ask_to_stop()
    console.print(f"asked {folder.sweep_id} to stop; go on with: contrasweep resume {folder.sweep_id}", soft_wrap=True)


@app.command()
def report(sweep_id: SweepId) -> None:
    """A sweep's leaderboard, and its final figure once it is there."""
    from services.folder import SweepFolder
    from services.report import show_sweep
    from services.settings import load_settings

    settings = load_settings()
    show_sweep(console, SweepFolder.find(settings, sweep_id), Path(settings.storage_path))


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000) -> None:
    """The MLflow dashboard on the tracking store of the settings."""
    from services.settings import load_settings

    settings = load_settings()
    if settings.tracking_uri.startswith("http"):
        console.print(f"the dashboard is at {settings.tracking_uri}", soft_wrap=True)
        return
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", settings.tracking_uri, "--port", str(port)]
    sys.exit(subprocess.call(command))


def _run(loaded: LoadedSpec) -> None:
    from services.environment import set_ray_environment
    from services.folder import STOPPED
    from services.settings import load_settings

    settings = load_settings()
    set_ray_environment(settings)
    from services.sweep import run_sweep

    state = run_sweep(loaded, settings, console)
    if state.state == STOPPED:
        console.print(f"stopped; go on with: contrasweep resume {loaded.spec.sweep_id}", soft_wrap=True)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
