"""Lines, bands and bars as SVG inside the page: no script, and text in the page's own colour."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from runner.quality.report.html import Markup, show

OWN, BAND = "var(--course,#10519c)", "var(--band,#9cc3ec)"
PEERS, FLAG = "var(--muted,#6b727c)", "var(--fail,#b3261e)"
_LEFT, _RIGHT, _BELOW = 40, 36, 20
_LINE_PX, _FONT_PX = 16, 12
_NARROWEST_PX = 520
"""A wide chart scrolls on a narrow screen, because its labels would shrink with it."""

Value = float | None


Shape = tuple[str, dict[str, object], str]
"""Name of an SVG element, its attributes, and its text; of a form the text is its title."""


def svg(width: float, height: float, shapes: Sequence[Shape], title: str) -> Markup:
    """Return an SVG element whose title a screen reader reads."""
    narrowest = _NARROWEST_PX if width > _NARROWEST_PX else 0
    return show(
        "svg",
        title,
        width=width,
        height=height,
        shapes=shapes,
        title=title,
        narrowest=narrowest,
        font_px=_FONT_PX,
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
    _shapes: list[Shape] = field(default_factory=list)

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
            self._path(f"M{_LEFT} {y:.1f}H{right:g}", stroke="currentColor", opacity=".18")
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
        ends = {"stroke-dasharray": dash} if dash else {"stroke-linecap": "round"}
        style = f"stroke:{colour};stroke-width:{width:g}"
        self._path(path, fill="none", style=style, **{"stroke-linejoin": "round", **ends})

    def band(self, xs: Sequence[float], low: Sequence[Value], high: Sequence[Value]) -> None:
        """Fill the area between two lines; it breaks at missing values."""
        path = ""
        for run in _runs(low):
            there = [f"{self.x(xs[at]):.1f} {self.y(high[at] or 0):.1f}" for at in run]
            back = [f"{self.x(xs[at]):.1f} {self.y(low[at] or 0):.1f}" for at in reversed(run)]
            path += f"M{'L'.join(there + back)}Z"
        self._path(path, style=f"fill:{BAND}", opacity=".7")

    def bars(self, xs: Sequence[float], ys: Sequence[Value], width: float) -> None:
        """Draw bars around their values, `width` px each."""
        for x, y in zip(xs, ys, strict=True):
            if y is not None:
                left, top, height = self.x(x) - width / 2, self.y(y), self.y(0) - self.y(y)
                self._shapes.append(_bar(left, top, width, height, f"fill:{OWN}", f"{y:.1f}"))

    def marks(self, xs: Sequence[float]) -> None:
        """Draw triangles at the top."""
        for x in xs:
            self._path(f"M{self.x(x) - 4:.1f} {self._above:g}h8l-4 7z", style=f"fill:{FLAG}")

    def markup(self, title: str) -> Markup:
        """Return the picture."""
        below = _BELOW + (_LINE_PX + 2 if self.across_title else 0)
        height = self._above + self.height + below
        return svg(_LEFT + self.width + _RIGHT, height, self._shapes, title)

    def _label(self, x: float, y: float, content: str, anchor: str = "middle") -> None:
        self._shapes.append(_text(x, y, content, anchor))

    def _path(self, path: str, **attributes: str) -> None:
        self._shapes.append(("path", {"d": path, **attributes}, ""))


def _text(x: float, y: float, content: str, anchor: str = "start") -> Shape:
    return "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}, content


def _bar(x: float, y: float, width: float, height: float, style: str, title: str) -> Shape:
    numbers = {"x": x, "y": y, "width": width, "height": height}
    place = {name: f"{value:.1f}" for name, value in numbers.items()}
    return "rect", {**place, "style": style}, title


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
    shapes = []
    for at, (name, shares) in enumerate(rows):
        y, x = each * at, 0.0
        shapes.append(_text(0, y + _FONT_PX, name))
        for share, colour in zip(shares, colours, strict=True):
            if share:
                style = f"fill:{colour};stroke:#444;stroke-width:.4"
                said = f"{100 * share:.1f} %"
                shapes.append(_bar(x, y + _LINE_PX, share * width, thick, style, said))
            x += share * width
    return svg(width, each * len(rows), shapes, title)


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
