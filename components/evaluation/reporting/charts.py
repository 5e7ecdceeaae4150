"""Drawing SVG in pure Python: elements, scales, ticks, axes and the frame of a chart.

Colours, fonts and line widths belong to the style sheet, so that one drawing serves light, dark and
print; here are classes and geometry, in the units of the chart's own viewBox.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Attribute = str | float | int | None


def tag(name: str, *children: str, **attributes: Attribute) -> Markup:
    """An SVG element; text children and attribute values are escaped.

    Args:
        name: element name.
        children: text, or :class:`Markup` of other elements.
        attributes: ``_`` stands for ``-``, a trailing ``_`` is dropped (``class_``), ``None``
            leaves the attribute out.
    """
    written = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    ]
    opening = f"<{name}{''.join(written)}"
    if not children:
        return Markup(f"{opening}/>")  # noqa: S704 - every part is escaped above
    return Markup(f"{opening}>{join(children)}</{name}>")  # noqa: S704


def join(parts: Iterable[str]) -> Markup:
    """Parts one after the other, escaped where they are plain text."""
    return Markup("").join(parts)


def _text(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)


@dataclass(frozen=True)
class Frame:
    """Size of a chart and the margins around its plotting area."""

    width: float
    height: float
    top: float
    right: float
    bottom: float
    left: float

    @property
    def x_range(self) -> tuple[float, float]:
        """Left and right edge of the plotting area."""
        return self.left, self.width - self.right

    @property
    def y_range(self) -> tuple[float, float]:
        """Lower and upper edge of the plotting area, as a scale wants them."""
        return self.height - self.bottom, self.top


@dataclass(frozen=True)
class Scale:
    """Maps values to positions, linearly or by their logarithm."""

    domain: tuple[float, float]
    range: tuple[float, float]
    log: bool = False

    def __call__(self, value: float) -> float:
        """Position of ``value`` in the chart."""
        low, high = (self._bend(end) for end in self.domain)
        share = (self._bend(value) - low) / (high - low)
        return self.range[0] + share * (self.range[1] - self.range[0])

    def ticks(self, count: int) -> list[float]:
        """Round values inside the domain, about ``count`` of them."""
        found = log_ticks(*self.domain, count) if self.log else []
        return found if len(found) > 1 else linear_ticks(*self.domain, count)

    def _bend(self, value: float) -> float:
        return math.log10(value) if self.log else value


def linear_ticks(low: float, high: float, count: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between ``low`` and ``high``."""
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten between ``low`` and ``high``; with their 2 and 5 fold where there is room."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [factor * 10.0**power for power in decades for factor in factors]
        found = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if ticks and len(found) > count:
            break
        ticks = found
    return ticks[:: math.ceil(len(ticks) / count)] if ticks else []


def path(points: Sequence[tuple[float, float]], **attributes: Attribute) -> Markup:
    """A line through ``points``."""
    steps = " L".join(f"{_text(x)} {_text(y)}" for x, y in points)
    return tag("path", d=f"M{steps}", **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, content: str, class_: str, anchor: str = "start") -> Markup:
    """One line of text; ``anchor`` is start, middle or end."""
    return tag("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def axes(
    frame: Frame,
    x: Scale,
    y: Scale,
    x_label: Callable[[float], str],
    y_label: Callable[[float], str],
    ticks: tuple[int, int] = (6, 5),
) -> Markup:
    """Horizontal grid lines, ticks and their labels, and a base line.

    Args:
        frame: where to draw.
        x: horizontal scale.
        y: vertical scale.
        x_label: writes a tick of the horizontal axis.
        y_label: writes a tick of the vertical axis.
        ticks: about how many, horizontally and vertically.
    """
    left, right = frame.x_range
    bottom, _ = frame.y_range
    parts = []
    for value in y.ticks(ticks[1]):
        parts.append(line(left, y(value), right, y(value), "grid"))
        parts.append(text(left - 8, y(value) + 4, y_label(value), "tick", "end"))
    for value in x.ticks(ticks[0]):
        parts.append(line(x(value), bottom, x(value), bottom + 5, "axis"))
        parts.append(text(x(value), bottom + 19, x_label(value), "tick", "middle"))
    return join([*parts, line(left, bottom, right, bottom, "axis")])


def marker(
    arm: str, x: float, y: float, radius: float = 6.5, hollow: bool = False, ring: bool = False
) -> Markup:
    """The symbol of an arm: each has its own shape, so that colour is never the only sign."""
    class_ = f"mark arm-{arm}{' hollow' if hollow else ''}"
    if ring:
        around = tag("circle", cx=x, cy=y, r=radius + 3.8, class_=f"ring arm-{arm}")
        return join([around, marker(arm, x, y, radius, hollow)])
    if arm in _CORNERS:
        corners = [(x + dx * radius, y + dy * radius) for dx, dy in _CORNERS[arm]]
        steps = " ".join(f"{_text(px)},{_text(py)}" for px, py in corners)
        return tag("polygon", points=steps, class_=class_)
    return tag("circle", cx=x, cy=y, r=radius, class_=class_)


_CORNERS: dict[str, list[tuple[float, float]]] = {
    "teacher": [(0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)],
    "hard_label": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "pseudo_label": [(0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
    "reference": [
        (1.1 * math.cos(math.pi * k / 3), 1.1 * math.sin(math.pi * k / 3)) for k in range(6)
    ],
    "champion": [
        (math.sin(math.pi * k / 5) * (1.4 if k % 2 == 0 else 0.65),
         -math.cos(math.pi * k / 5) * (1.4 if k % 2 == 0 else 0.65))
        for k in range(10)
    ],
}  # fmt: skip


def chart(
    frame: Frame, ident: str, title: str, description: str, body: Iterable[str], class_: str = ""
) -> Markup:
    """A whole chart: scales to its container, and is read aloud by its title and description.

    Args:
        frame: the size of the viewBox.
        ident: unique in the page.
        title: what the chart is.
        description: what it shows, for those who do not see it.
        body: the drawing.
        class_: further class names.
    """
    return tag(
        "svg",
        tag("title", title, id=f"{ident}-title"),
        tag("desc", description, id=f"{ident}-desc"),
        *body,
        viewBox=f"0 0 {_text(frame.width)} {_text(frame.height)}",
        class_=f"chart {class_}".strip(),
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
    )
