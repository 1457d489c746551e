"""Numbers and times as the page writes them."""

import math
import time


def number(value: float) -> str:
    """Four digits; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    return f"{value:#.4g}".rstrip(".") if abs(value) < 1e4 else f"{value:,.0f}"


def spread(mean: float, sd: float) -> str:
    """`4.81 ± 0.20`: both to the same place, two digits of the standard deviation at least."""
    rounded = float(f"{sd:.2g}")
    places = max(0, min(6, 1 - math.floor(math.log10(rounded)))) if rounded > 0 else 3
    return f"{mean:.{places}f} ± {sd:.{places}f}"


def duration(hours: float) -> str:
    """`45 s`, `23 min`, `1.4 h`, `12 d`."""
    seconds = 3600 * hours
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{hours:.1f} h" if hours < 100 else f"{hours / 24:,.0f} d"


def moment(seconds: float) -> str:
    """A time since 1970, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds)) if seconds else "–"


def count(many: int, noun: str) -> str:
    """`1 epoch`, `1,200 epochs`."""
    return f"{many:,} {noun}{'' if many == 1 else 's'}"
