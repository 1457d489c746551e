"""Preparing a study's data, on the screen: progress, what was rejected, what is on both sides of a split."""

import time
from collections.abc import Callable, Mapping

from rich.console import Console

from contrasweep.services.data.alike import leaks, shared
from contrasweep.services.data.doubts import table_doubts
from contrasweep.services.data.prepare import Prepared, Stored, find_prepared_each, prepare_each
from contrasweep.services.data.training import trained_on
from contrasweep.services.screen.progress import steps
from contrasweep.services.settings import Settings
from contrasweep.services.spec.readings import place
from contrasweep.services.spec.spec import LoadedSpec, Options
from contrasweep.services.text import duration, without_secrets
from contrasweep.trainers.data.store import MANIFEST

SHOWN = 10


def prepare_data(
    loaded: LoadedSpec, settings: Settings, console: Console, is_asked_to_stop: Callable[[], bool] = lambda: False
) -> dict[Options, Prepared]:
    """The volume stores of a spec, made where they are not there yet, and what was rejected, on the screen.

    Raises KeyboardInterrupt where it is interrupted, or asked to stop.
    """
    began = time.monotonic()

    def progress(step: str, done: int, total: int) -> None:
        if is_asked_to_stop():
            raise KeyboardInterrupt
        shown(step, done, total)

    try:
        with steps(console) as shown:
            prepared = prepare_each(loaded, settings.volumes, progress)
    except KeyboardInterrupt:
        console.print("stopping; what was prepared is kept, and the next time goes on with it")
        raise
    _show(console, loaded, prepared, time.monotonic() - began)
    return prepared


def found_data(loaded: LoadedSpec, settings: Settings, console: Console) -> bool:
    """Whether all volume stores of a spec are there and whole; on the screen as `prepare_data` shows them."""
    began = time.monotonic()
    prepared = find_prepared_each(loaded, settings.volumes)
    if prepared is not None:
        _show(console, loaded, prepared, time.monotonic() - began)
    return prepared is not None


def _show(console: Console, loaded: LoadedSpec, prepared: Mapping[Options, Prepared], took_s: float) -> None:
    print_prepared(console, prepared, took_s)
    (one, *_) = prepared.values()
    for doubt in table_doubts(one.store.subjects, loaded.spec.data.label, loaded.spec.data.group):
        console.print(f"  warning  {doubt}", soft_wrap=True, markup=False)


def print_prepared(console: Console, prepared: Mapping[Options, Prepared], took_s: float) -> None:
    """Print where the volume stores are, their sizes, who was rejected and why, what `data.train` leaves to train on,
    what is on both sides of a split, and what of an external cohort is in the study; each store once.
    """
    words, seen = duration(took_s / 3600), set()
    for options, one in prepared.items():
        if options:
            console.print(f"options   {place(options)}", soft_wrap=True, markup=False)
        if one.store.folder not in seen:
            _print_store(console, one, words)
            for leak in leaks(one.store, one.splits):
                text = f"  leak: {leak.text}; see contrasweep inspect"
                console.print(text, style="bold red", soft_wrap=True, markup=False)
        if told := trained_on(one.first.splits):
            console.print(f"training  {told}", soft_wrap=True, markup=False)
        if one.store.folder not in seen:
            _print_cohorts(console, one)
        seen.add(one.store.folder)


def _print_cohorts(console: Console, prepared: Prepared) -> None:
    for name, cohort in prepared.external.items():
        _print_store(console, cohort, f"external: {name}")
        for problem in shared(prepared.store, prepared.splits, cohort.store):
            console.print(f"  warning  {problem.text}", style="bold red", soft_wrap=True, markup=False)


def _print_store(console: Console, stored: Stored, words: str) -> None:
    store = stored.store
    size_mb = sum(shard.bytes for shard in store.manifest.shards) / 1e6
    verb = "reused  " if stored.reused else "prepared"
    console.print(
        f"{verb}  {len(store.subjects)} volumes {list(store.image_shape)} -> {without_secrets(str(store.folder))} "
        f"({size_mb:.0f} MB, {len(stored.rejected)} rejected)  {words}",
        soft_wrap=True,
        markup=False,
    )
    for shard in stored.mended:
        console.print(f"  made again {shard}, which was missing, cut short or changed since written", soft_wrap=True)
    for left_out in stored.rejected[:SHOWN]:
        console.print(f"  rejected {left_out.subject}: {left_out.reason}", soft_wrap=True, markup=False)
    if len(stored.rejected) > SHOWN:
        console.print(f"  ... and {len(stored.rejected) - SHOWN} more; {MANIFEST} there names all")
