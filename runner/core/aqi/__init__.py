"""Air-quality indices: concentrations to sub-indices by named scales, each with its source.

`SCALES[name].tables[pollutant, averaging].index(value)`; the index of the air is
`SCALES[name].aqi(...)`, the largest.

- `breakpoints`: the table of one pollutant, and the units of concentrations
- `scale`: the tables of an authority under one name, the bands of the index, NowCast
- `aqicn`, `epa`, `vn_aqi`: the scales
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
from runner.core.aqi.scale import BANDS, Band, Scale, nowcast
from runner.core.aqi.vn_aqi import VN_AQI

__all__ = [
    "AQICN_PM25",
    "BANDS",
    "EPA_PM10",
    "LOWEST_CONCENTRATION",
    "SCALES",
    "Band",
    "Breakpoints",
    "Scale",
    "concentration_of",
    "nowcast",
    "sub_index",
]

SCALES = {scale.name: scale for scale in (AQICN, EPA_2012, EPA_2024, VN_AQI)}
"""All scales by name."""
