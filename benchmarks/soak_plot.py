"""Draws lines over minutes as SVG: small panels below each other, each with its own scale from zero."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 760, 130, 64, 34, 52
_COLOURS = ("#1f6feb", "#c2410c")


@dataclass(frozen=True, slots=True)
class Curve:
    """A line: its name, and its points as (minute, value)."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines of one unit."""

    title: str
    curves: Sequence[Curve]


def plot(panels: Sequence[Panel]) -> str:
    """Return the panels as an SVG document."""
    height = _TOP + len(panels) * (_HEIGHT + _GAP)
    minutes = max(point[0] for panel in panels for curve in panel.curves for point in curve.points)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        lines += _drawn(panel, _TOP + number * (_HEIGHT + _GAP), minutes)
    return "\n".join([*lines, "</svg>", ""])


def _drawn(panel: Panel, top: float, minutes: float) -> Iterator[str]:
    """Give a panel, its upper edge at `top`."""
    most = 1.1 * max(value for curve in panel.curves for _, value in curve.points) or 1.0
    yield f'<text x="{_LEFT}" y="{top - 10}" font-weight="bold">{escape(panel.title)}</text>'
    for share in (0.0, 0.5, 1.0):
        y = top + _HEIGHT * (1 - share)
        yield f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most * share:,.4g}</text>'
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _LEFT + _WIDTH * share
        yield f'<text x="{x:.1f}" y="{top + _HEIGHT + 16}" text-anchor="middle">{minutes * share:.4g} min</text>'
    for number, curve in enumerate(panel.curves):
        path = " ".join(
            f"{_LEFT + _WIDTH * minute / minutes:.1f},{top + _HEIGHT * (1 - value / most):.1f}"
            for minute, value in curve.points
        )
        colour, x = _COLOURS[number], _LEFT + _WIDTH - 60 * (len(panel.curves) - number)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        yield f'<text x="{x}" y="{top - 10}" fill="{colour}">{escape(curve.name)}</text>'
