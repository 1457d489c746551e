"""What screen and page show as tables: titles and rows of text, long ones cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.data.problems import first_few
from services.inspection.labels import Labels
from services.inspection.report import Report

MOST_ROWS = 12


@dataclass(frozen=True)
class Table:
    """`rows` under `titles`, and how many more there were; the first column is text, the others figures."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0


def facts(report: Report) -> dict[str, str]:
    """What the store is, in a few lines."""
    manifest = report.manifest
    nbytes = sum(shard.bytes for shard in manifest.shards)
    most = report.most_scans
    return {
        "scans": f"{len(manifest.subjects):,} of {report.subjects:,} subjects"
        + (f", up to {most} of one" if most > 1 else "")
        + f"; {len(manifest.rejected):,} rejected",
        "images": f"{' × '.join(map(str, manifest.image_shape))} {manifest.dtype}",
        "store": f"{nbytes / 1e6:,.1f} MB in {len(manifest.shards)} shards, zstd, "
        f"{report.store.nbytes / 1e6:,.1f} MB decoded",
        "version": manifest.version[:12],
    }


def split_tables(report: Report) -> dict[str, Table]:
    """Labels by split, for each of the store's splits."""
    return {name: _labels("split", parts) for name, parts in report.by_split.items()}


def column_tables(report: Report) -> dict[str, Table]:
    """Labels by site, sex and the like; the first row is of everyone."""
    return {name: _labels(name, parts, report.everyone) for name, parts in report.by_column.items()}


def origin_tables(report: Report) -> dict[str, Table]:
    """How many files have which shape, spacing and orientation."""
    return {
        trait.name: _cut((trait.name, "scans"), [(value, f"{count:,}") for value, count in trait.counts])
        for trait in report.traits
    }


def outlier_table(report: Report) -> Table:
    """Outliers, the farthest first."""
    rows = [(o.scan, o.figure, f"{o.value:.4g}", f"{o.median:.4g}", f"{o.z:+.1f}") for o in report.outliers]
    return _cut(("scan", "figure", "value", "median", "robust z"), rows)


def rejection_table(report: Report) -> Table:
    """Why scans were rejected, how many, and the first of them."""
    rows = [(one.reason, f"{len(one.scans):,}", first_few(one.scans)) for one in report.rejections]
    return _cut(("reason", "scans", "first"), rows)


def _labels(column: str, parts: Sequence[Labels], everyone: Labels | None = None) -> Table:
    rows = [_row(part) for part in ([everyone] if everyone else []) + list(parts)]
    return _cut((column, "scans", "mean", "sd", "min", "max"), rows)


def _row(part: Labels) -> tuple[str, ...]:
    count, *figures = part.figures
    return (part.value, f"{count:,}", *(f"{figure:.4g}" for figure in figures))


def _cut(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    return Table(titles, tuple(rows[:MOST_ROWS]), max(0, len(rows) - MOST_ROWS))
