"""A comparison as a Markdown table."""

from components.shared.formatting import GAP, counted, percent, points
from components.shared.markdown import escape
from pipelines.comparing.records import Contender, LeftOut, Mean, MethodComparison

TITLES = {"hard_label": "labels alone", "pseudo_label": "pseudo-labels"}
"""How the baselines are called where methods are listed."""


def title(one: Contender) -> str:
    """How a contender is called."""
    return TITLES.get(one.name, one.name) if one.kind != "method" else one.name


def as_table(comparison: MethodComparison) -> str:
    """The table, and the sentences below it."""
    count, interval = len(comparison.seeds), percent(comparison.confidence, 0)
    head = f"mean ± half of the {interval} interval" if count > 1 else "one seed"
    lines = [
        f"| method | accuracy ({head}) | gap recovered | over labels alone | agreement |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(cells(one))} |" for one in comparison.contenders),
        "",
        counted(count, "seed")
        + (", each with a random split of its own" if comparison.own_splits else "")
        + f"; {comparison.test_rows:,} test rows each.",
        "",
        *(f"- {sentence}" for sentence in comparison.sentences),
        *(f"- {escape(why_left_out(one))}" for one in comparison.left_out),
    ]
    return "\n".join(lines) + "\n"


def why_left_out(one: LeftOut) -> str:
    """Why a method is not in the table, in a sentence."""
    return f"{one.method} was left out: {one.reason}"


def cells(one: Contender) -> list[str]:
    """A contender's line: name, accuracy, gap recovered, gain over labels alone, agreement."""
    return [
        title(one),
        share(one.accuracy),
        share(one.gap_recovered, 0),
        difference(one.gain),
        share(one.agreement),
    ]


def share(mean: Mean | None, digits: int = 1) -> str:
    """A mean share with half of its interval: ``96.1 ± 0.4 %``."""
    return "" if mean is None else _with_reach(mean, percent(mean.mean, digits), digits)


def difference(mean: Mean | None) -> str:
    """A mean difference in points with half of its interval."""
    return "" if mean is None else _with_reach(mean, points(mean.mean), 1)


def _with_reach(mean: Mean, text: str, digits: int) -> str:
    if mean.interval is None:
        return text
    number, gap, unit = text.partition(GAP)
    return f"{number} ± {100 * (mean.interval.upper - mean.mean):.{digits}f}{gap}{unit}"
