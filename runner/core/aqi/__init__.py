"""Air-quality indices: concentrations to sub-indices by named scales, each with its source.

`SCALES[name].sub_index(pollutant, value, unit, averaging)`; the index of the air is
`SCALES[name].aqi(...)`, the largest.

- `breakpoints`: one table, forwards and backwards
- `scale`: the tables of an authority under one name
- `aqicn`, `epa`, `vn_aqi`: the scales
- `nowcast`: the mean of the last hours that stands for a day
- `units`: ug/m3, mg/m3, ppb, ppm
"""

from __future__ import annotations

from runner.core.aqi.aqicn import AQICN, AQICN_PM25, EPA_PM10
from runner.core.aqi.breakpoints import (
    LOWEST_CONCENTRATION,
    Breakpoints,
    concentration_of,
    sub_index,
)
from runner.core.aqi.epa import EPA_2012, EPA_2024
from runner.core.aqi.scale import Category, Scale, nowcast
from runner.core.aqi.vn_aqi import VN_AQI

__all__ = [
    "AQICN_PM25",
    "EPA_PM10",
    "LOWEST_CONCENTRATION",
    "SCALES",
    "Breakpoints",
    "Category",
    "Scale",
    "concentration_of",
    "nowcast",
    "sub_index",
]

SCALES = {scale.name: scale for scale in (AQICN, EPA_2012, EPA_2024, VN_AQI)}
"""All scales by name."""
