"""What screen and page show as tables, long ones cut."""

from collections.abc import Sequence

from contrasweep.services.inspection.labels import Labels
from contrasweep.services.inspection.origins import Trait
from contrasweep.services.inspection.report import Report
from contrasweep.services.pages.tables import Line, Table
from contrasweep.services.text import first_few, number

MOST_LINES = 12


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
    caption, several = f"{report.manifest.labels.column} by split", len(report.by_split) > 1
    return {
        name: _labels(f"{caption} · {name}" if several else caption, "split", parts)
        for name, parts in report.by_split.items()
    }


def column_tables(report: Report) -> dict[str, Table]:
    """Labels by site, sex and the like; the first line is of everyone."""
    label = report.manifest.labels.column
    return {
        name: _labels(f"{label} by {name}", name, [report.everyone, *parts]) for name, parts in report.by_column.items()
    }


def origin_tables(report: Report) -> dict[str, Table]:
    """How many files have which shape, spacing and orientation."""
    return {trait.name: _origins(trait) for trait in report.traits}


def outlier_table(report: Report) -> Table:
    """Outliers, the farthest first."""
    lines = [Line((o.scan, o.figure, number(o.value), number(o.median), f"{o.z:+.1f}")) for o in report.outliers]
    titles = ("scan", "figure", "value", "median", "robust z")
    return Table("outliers, the farthest first", titles, tuple(lines), figures=frozenset({2, 3, 4})).cut(MOST_LINES)


def rejection_table(report: Report) -> Table:
    """Why scans were rejected, how many, and the first of them."""
    lines = [Line((one.reason, f"{len(one.scans):,}", first_few(one.scans))) for one in report.rejections]
    titles = ("reason", "scans", "first")
    return Table("rejected, by reason", titles, tuple(lines), figures=frozenset({1})).cut(MOST_LINES)


def _labels(caption: str, column: str, parts: Sequence[Labels]) -> Table:
    titles = (column, "scans", "mean", "sd", "min", "max")
    return Table(caption, titles, tuple(map(_line, parts)), figures=frozenset(range(1, 6))).cut(MOST_LINES)


def _line(part: Labels) -> Line:
    scans, mean, sd, low, high = part.figures
    return Line((part.value, f"{scans:,}", *map(number, (mean, sd if scans > 1 else None, low, high))))


def _origins(trait: Trait) -> Table:
    lines = [Line((value, f"{scans:,}")) for value, scans in trait.counts]
    return Table(f"files by {trait.name}", (trait.name, "scans"), tuple(lines), figures=frozenset({1})).cut(MOST_LINES)
