"""Numbers as people read them: percent, points, latencies, sizes, counts."""

import math

GAP = "\u00a0"
"""No-break space, between a number and its unit."""
_MINUS = "\u2212"
_TIMES = "\u00d7"
MISSING = "\u2014"
"""What stands where there is no number."""


def percent(value: float | None, digits: int = 1) -> str:
    """0.945 as ``94.5 %``."""
    if value is None or not math.isfinite(value):
        return _absent(value)
    return f"{_number(100 * value, digits)}{GAP}%"


def interval(lower: float, upper: float) -> str:
    """Two shares: 0.934 and 0.964 as ``93.4 to 96.4 %``."""
    return f"{percent(lower).removesuffix(f'{GAP}%')} to {percent(upper)}"


def points(value: float | None, digits: int = 1, unit: str = "points") -> str:
    """A difference of two shares: 0.046 as ``+4.6 points``."""
    if value is None or not math.isfinite(value):
        return _absent(value)
    rounded = round(100 * value, digits)
    sign = "+" if rounded > 0 else ""
    return f"{sign}{_number(rounded, digits)}{GAP}{unit}".rstrip(GAP)


def points_interval(lower: float, upper: float) -> str:
    """Two differences: -0.003 and 0.046 as ``\N{MINUS SIGN}0.3 to +4.6 points``."""
    return f"{points(lower, unit='')} to {points(upper)}"


def latency(milliseconds: float | None) -> str:
    """Three significant digits in the unit that suits: 0.0062 as ``6.20 µs``."""
    if milliseconds is None or not math.isfinite(milliseconds):
        return _absent(milliseconds)
    for factor, unit in ((1e-3, "s"), (1.0, "ms"), (1e3, "µs")):
        if abs(milliseconds) * factor >= 0.9995:
            return f"{_significant(milliseconds * factor)}{GAP}{unit}"
    return f"{_significant(milliseconds * 1e6)}{GAP}ns"


def size(count: float | None) -> str:
    """Bytes in decimal units: 5384 as ``5.4 kB``."""
    if count is None or not math.isfinite(count):
        return _absent(count)
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            value = count / factor
            return f"{value:.0f}{GAP}{unit}" if value >= 100 else f"{value:.1f}{GAP}{unit}"
    return f"{count:.0f}{GAP}B"


def integer(value: int) -> str:
    """52138 as ``52,138``."""
    return f"{value:,}"


def counted(count: int, noun: str) -> str:
    """A number of things, whose plural has an s: 1 as ``1 row``, 1200 as ``1,200 rows``."""
    return f"{integer(count)} {noun}{'' if count == 1 else 's'}"


def ratio(value: float, digits: int = 1) -> str:
    """How many times as large: 8.24 as ``8.2`` and a times sign; whole numbers from 10 on."""
    if not math.isfinite(value):
        return _absent(value)
    return f"{value:.0f}{_TIMES}" if value >= 10 else f"{value:.{digits}f}{_TIMES}"


def rate(rows_per_second: float) -> str:
    """Three significant digits: 163398.7 as ``163,000 rows/s``."""
    if not math.isfinite(rows_per_second):
        return _absent(rows_per_second)
    return f"{float(f'{rows_per_second:.3g}'):,.{0 if rows_per_second >= 99.95 else 1}f}{GAP}rows/s"


def probability(value: float) -> str:
    """A p-value: 0.0132 as ``p = 0.013``, with a floor where digits say nothing more."""
    if not math.isfinite(value):
        return _absent(value)
    if value < 0.001:
        return f"p{GAP}<{GAP}0.001"
    return f"p{GAP}={GAP}{min(value, 1.0):.{3 if value < 0.1 else 2}f}"


def level(confidence: float) -> str:
    """A level of confidence with the digits it needs: 0.9875 as ``98.75 %``."""
    return short(percent(confidence, 3))


def fraction(value: float | None, digits: int = 3) -> str:
    """A share that is usual to see as a fraction: 0.9512 as ``0.951``."""
    if value is None or not math.isfinite(value):
        return _absent(value)
    return f"{value:.{digits}f}"


def short(text: str) -> str:
    """A formatted number without zeros that say nothing: ``90.0 %`` as ``90 %``."""
    number, gap, unit = text.partition(GAP)
    return (number.rstrip("0").rstrip(".") if "." in number else number) + gap + unit


def _absent(value: float | None) -> str:
    return MISSING if value is None else "not finite"


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", _MINUS)


def _significant(value: float) -> str:
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")
