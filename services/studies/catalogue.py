"""What is printed of studies before they run: all of them, and what one is about."""

import json
from collections.abc import Mapping, Sequence

from rich.console import Console

from contrasweep.services.pages.tables import Line, Table
from contrasweep.services.screen.tables import print_table
from contrasweep.services.studies.published import Further, further_of, published_of
from contrasweep.services.studies.study import RowConfig, StudyConfig, title_of
from contrasweep.services.text import count
from contrasweep.trainers.config import words_of


def print_studies(console: Console, studies: Sequence[StudyConfig]) -> None:
    """Print all studies, a line each."""
    lines = tuple(
        Line((one.name, " ".join(filter(None, (one.paper, one.table))) or "ours", _trained(one), one.title))
        for one in studies
    )
    print_table(console, Table("Studies", ("study", "of", "trained", "title"), lines))


def _trained(study: StudyConfig) -> str:
    each = f" x {count(study.tuned, 'configuration')}" if study.tuned else ""
    return f"{len(list(study.trained))}{each} x {count(study.seeds, 'seed')}"


def print_study(console: Console, study: StudyConfig) -> None:
    """Print what a study trains, reads and compares."""
    of = ", ".join(filter(None, (study.paper, study.table, study.dataset))) or "ours"
    trained, read = len(list(study.trained)), sum(row.of is not None for row in study.rows)
    lines = [
        f"{study.name}: {study.title} ({of})",
        f"trains {count(trained, 'row')} with {count(study.seeds, 'seed')}"
        + (f", preset {study.preset}" if study.preset else "")
        + (f"; {count(read, 'more row')} {'is' if read == 1 else 'are'} read of these" if read else ""),
        *_tuned(study),
        f"tells {', '.join(map(title_of, study.metrics))}"
        + (f"; analyses {', '.join(map(words_of, study.analyses))}" if study.analyses else ""),
    ]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
    for section, fields in study.spec.items():
        console.print(f"{section}: {_said(fields)}", soft_wrap=True, markup=False)
    known = [published_of(study, row) for row in study.rows]
    told = [metric for metric in study.metrics if any(metric in one for one in known)]
    titles = ("row", "what", *(f"published {title_of(metric)}" for metric in told))
    rows = tuple(
        Line((row.name, _what(row), *(str(one.get(metric, "")) for metric in told)))
        for row, one in zip(study.rows, known, strict=True)
    )
    print_table(console, Table("Rows", titles, rows, figures=frozenset(range(2, len(titles)))))
    if further := further_of(study):
        console.print("also published", soft_wrap=True, markup=False)
        print_table(console, further_table(further, study.metrics))
    if study.where:
        where = study.model_dump(mode="json", include={"where"}, exclude_defaults=True)["where"]
        console.print(f"of test scans with {_said(where)}", soft_wrap=True, markup=False)
    for name, part in study.parts.items():
        said = _said(part.model_dump(mode="json", exclude_defaults=True))
        console.print(f"{name}: test scans with {said}", soft_wrap=True, markup=False)
    if study.order:
        claimed = "; ".join(map(", ".join, study.order))
        console.print(f"claimed, the best first: {claimed}", soft_wrap=True, markup=False)
    print_notes(console, study.notes)


def _tuned(study: StudyConfig) -> list[str]:
    if study.tuned is None:
        return []
    each = count(study.tuned, "configuration")
    return [f"tunes each: a row is the best by validation of {each} of its method, the published one among them"]


def further_table(further: Sequence[Further], metrics: Sequence[str]) -> Table:
    """What is published of rows beside their own numbers, by metric."""
    told = [metric for metric in metrics if any(metric in one.figures for one in further)]
    lines = [Line((one.row, one.of, *(str(one.figures.get(metric, "")) for metric in told))) for one in further]
    figures = frozenset(range(2, len(told) + 2))
    return Table("Also published", ("row", "of", *map(title_of, told)), tuple(lines), figures=figures)


def _what(row: RowConfig) -> str:
    """What a row trains, or reads of which other."""
    if row.of is not None:
        read = row.read
        parts = [words_of(read.probe) if read.probe else "", read.features or "", f"epoch {read.epoch or ''}".rstrip()]
        told = [part for part in parts if part and part != "epoch"]
        return f"{row.of}, read: {', '.join(told)}"
    changes = {**row.params, **{section: _said(fields) for section, fields in row.patch.items()}}
    told = [row.method, *(f"{key}={value}" for key, value in changes.items())]
    return ", ".join([*told, f"from {row.start}"] if row.start else told)


def _said(fields: object) -> str:
    """A part of a spec in a line, as YAML has it."""
    if isinstance(fields, Mapping):
        return "{" + ", ".join(f"{key}: {_said(value)}" for key, value in fields.items()) + "}"
    if isinstance(fields, list | tuple):
        return "[" + ", ".join(map(_said, fields)) + "]"
    return fields if isinstance(fields, str) else json.dumps(fields)


def print_notes(console: Console, notes: Sequence[str]) -> None:
    """Print footnotes by their numbers."""
    for place, note in enumerate(notes, start=1):
        console.print(f"[{place}] {note}", soft_wrap=True, markup=False)
