"""Lines, bands and bars as SVG inside the page: no script, and text in the page's own colour."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from runner.quality.report.html import Markup, text

OWN, BAND = "var(--course,#10519c)", "var(--band,#9cc3ec)"
PEERS, FLAG = "var(--muted,#6b727c)", "var(--fail,#b3261e)"
_LEFT, _RIGHT, _BELOW = 40, 36, 20
_LINE_PX, _FONT_PX = 16, 12
_NARROWEST_PX = 520
"""A wide chart scrolls on a narrow screen, because its labels would shrink with it."""

Value = float | None


def svg(width: float, height: float, content: str, title: str) -> Markup:
    """Return an SVG element whose title a screen reader reads."""
    narrowest = _NARROWEST_PX if width > _NARROWEST_PX else 0
    return Markup(
        f'<div style="overflow-x:auto"><svg role="img" viewBox="0 0 {width:g} {height:g}" '
        f'style="display:block;width:100%;min-width:{narrowest}px;max-width:{width:g}px" '
        f'font-family="sans-serif" font-size="{_FONT_PX}" fill="currentColor">'
        f"<title>{text(title)}</title>{content}</svg></div>",
        title,
    )


@dataclass(slots=True)
class Plot:
    """A chart whose vertical scale begins at zero; draw in the order of the layers.

    Attributes:
        width: of the plotting area, px.
        height: of the plotting area, px.
        across: the first and last value of the horizontal scale.
        top: the highest value of the vertical scale.
        up_title: above the vertical axis; empty for none.
        across_title: below the horizontal axis; empty for none.
    """

    width: float
    height: float
    across: tuple[float, float]
    top: float
    up_title: str = ""
    across_title: str = ""
    _drawn: list[str] = field(default_factory=list)

    def x(self, value: float) -> float:
        """Return where a value is, px from the left of the picture."""
        first, last = self.across
        return _LEFT + self.width * (value - first) / ((last - first) or 1)

    def y(self, value: float) -> float:
        """Return where a value is, px from the top of the picture."""
        return self._above + self.height * (1 - value / self.top)

    @property
    def _above(self) -> float:
        return _LINE_PX * (1.5 if self.up_title else 0.5)

    def axes(self, ticks: Sequence[tuple[float, str]], steps: int = 6) -> None:
        """Draw the axes.

        Args:
            ticks: value and label on the horizontal axis.
            steps: of the vertical axis, at most.
        """
        right = _LEFT + self.width
        step = nice_step(self.top, steps)
        for at in range(math.floor(self.top / step) + 1):
            y = self.y(at * step)
            self._add(f'<path d="M{_LEFT} {y:.1f}H{right:g}" stroke="currentColor" opacity=".18"/>')
            self._label(_LEFT - 6, y + 4, f"{at * step:g}", "end")
        for value, name in ticks:
            self._label(self.x(value), self.y(0) + _LINE_PX, name)
        if self.up_title:
            self._label(0, _FONT_PX, self.up_title, "start")
        if self.across_title:
            self._label(_LEFT + self.width / 2, self.y(0) + 2 * _LINE_PX + 2, self.across_title)

    def line(
        self, xs: Sequence[float], ys: Sequence[Value], colour: str, width: float, dash: str = ""
    ) -> None:
        """Draw a line that breaks at missing values; a value between two of them is a dot."""
        path = ""
        for run in _runs(ys):
            points = [f"{self.x(xs[at]):.1f} {self.y(ys[at] or 0):.1f}" for at in run]
            # a line of no length with round ends is a dot
            path += f"M{'L'.join(points if len(points) > 1 else points * 2)}"
        dashed = f' stroke-dasharray="{dash}"' if dash else ' stroke-linecap="round"'
        self._add(
            f'<path d="{path}" fill="none" style="stroke:{colour}" stroke-width="{width:g}"'
            f' stroke-linejoin="round"{dashed}/>'
        )

    def band(self, xs: Sequence[float], low: Sequence[Value], high: Sequence[Value]) -> None:
        """Fill the area between two lines; it breaks at missing values."""
        path = ""
        for run in _runs(low):
            there = [f"{self.x(xs[at]):.1f} {self.y(high[at] or 0):.1f}" for at in run]
            back = [f"{self.x(xs[at]):.1f} {self.y(low[at] or 0):.1f}" for at in reversed(run)]
            path += f"M{'L'.join(there + back)}Z"
        self._add(f'<path d="{path}" style="fill:{BAND}" opacity=".7"/>')

    def bars(self, xs: Sequence[float], ys: Sequence[Value], width: float) -> None:
        """Draw bars around their values, `width` px each."""
        for x, y in zip(xs, ys, strict=True):
            if y is not None:
                self._add(
                    f'<rect x="{self.x(x) - width / 2:.1f}" y="{self.y(y):.1f}" width="{width:g}" '
                    f'height="{self.y(0) - self.y(y):.1f}" style="fill:{OWN}">'
                    f"<title>{y:.1f}</title></rect>"
                )

    def marks(self, xs: Sequence[float]) -> None:
        """Draw triangles at the top."""
        for x in xs:
            self._add(
                f'<path d="M{self.x(x) - 4:.1f} {self._above:g}h8l-4 7z" style="fill:{FLAG}"/>'
            )

    def markup(self, title: str) -> Markup:
        """Return the picture."""
        below = _BELOW + (_LINE_PX + 2 if self.across_title else 0)
        height = self._above + self.height + below
        return svg(_LEFT + self.width + _RIGHT, height, "".join(self._drawn), title)

    def _label(self, x: float, y: float, content: str, anchor: str = "middle") -> None:
        self._add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(content)}</text>')

    def _add(self, element: str) -> None:
        self._drawn.append(element)


def stacked(
    rows: Sequence[tuple[str, Sequence[float]]], colours: Sequence[str], title: str
) -> Markup:
    """Return a bar per row, its name above it.

    Args:
        rows: name and the shares (0..1) in the order of the colours.
        colours: as `#rrggbb`.
        title: read by a screen reader.
    """
    width, each, thick = _NARROWEST_PX, 36, 14
    drawn = []
    for at, (name, shares) in enumerate(rows):
        y, x = each * at, 0.0
        drawn.append(f'<text x="0" y="{y + _FONT_PX}">{text(name)}</text>')
        for share, colour in zip(shares, colours, strict=True):
            if share:
                drawn.append(
                    f'<rect x="{x:.1f}" y="{y + _LINE_PX}" width="{share * width:.1f}" '
                    f'height="{thick}" fill="{colour}" stroke="#444" stroke-width=".4">'
                    f"<title>{100 * share:.1f} %</title></rect>"
                )
            x += share * width
    return svg(width, each * len(rows), "".join(drawn), title)


def nice_step(top: float, steps: int) -> float:
    """Return 1, 2 or 5 times a power of ten, at least a `steps`-th of the scale."""
    rough = top / steps
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(power * one for one in (1, 2, 5, 10) if power * one >= rough * (1 - 1e-9)))


def _runs(values: Sequence[Value]) -> Iterator[list[int]]:
    """Yield the places of values that stand beside each other."""
    run: list[int] = []
    for at, value in enumerate(values):
        if value is not None:
            run.append(at)
        elif run:
            yield run
            run = []
    if run:
        yield run
