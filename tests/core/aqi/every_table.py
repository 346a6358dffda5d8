"""All tables of all scales, and the points at which every one of them is compared."""

from __future__ import annotations

from runner.core.aqi import SCALES, Breakpoints

TABLES: dict[str, Breakpoints] = {
    table.name: table for scale in SCALES.values() for table in scale.tables.values()
}


def step_of(table: Breakpoints) -> float:
    """Return the table's own step, or a two-thousandth of its length."""
    if table.decimals is not None:
        return 10.0**-table.decimals
    return table.knots[-1][0] / 2000


def points(table: Breakpoints) -> list[float]:
    """Return some thousand concentrations from zero to well above the table, knots among them."""
    step, last = step_of(table), table.knots[-1][0]
    steps = [n * step for n in range(round(last / step) + 300)]
    return sorted({*steps, *(x for x, _ in table.knots), last * 1.1, last * 3})
