"""Figures with their targets, and the table they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: what was measured.
        value: as measured; a ratio unless the unit says otherwise. None: not measured, the detail
            says why.
        unit: `x` for a ratio, else `MB`, `s`, …
        target: what it should be; None where there is none.
        usual: where the target is out of reach: what is usually reached, by which it is guarded.
        better: whether more or less is better.
        detail: what it was made of.
    """

    name: str
    value: float | None
    unit: str = "x"
    target: float | None = None
    usual: float | None = None
    better: Literal["more", "less"] = "more"
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether it is as good as the target, or there is none, or it was not measured."""
        return self._reached(self.target, 1.0)

    def keeps(self, share: float) -> bool:
        """Return whether it reached a share, 0..1, of what is usual, or else of the target."""
        return self._reached(self.target if self.usual is None else self.usual, share)

    def _reached(self, bound: float | None, share: float) -> bool:
        if bound is None or self.value is None:
            return True
        return self.value >= bound * share if self.better == "more" else self.value * share <= bound


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| figure | measured | target | made of |", "|---|---|---|---|"]
    for figure in figures:
        sign = ">=" if figure.better == "more" else "<="
        target = "" if figure.target is None else f"{sign} {figure.target:g} {figure.unit}"
        if figure.usual is not None:
            target += f" (usual {figure.usual:g})"
        missed = "" if figure.met else " **(missed)**"
        value = "skipped" if figure.value is None else f"{figure.value:.2f} {figure.unit}{missed}"
        lines.append(f"| {figure.name} | {value} | {target} | {figure.detail} |")
    return "\n".join(lines)
