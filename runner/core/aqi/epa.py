"""The index of the US Environmental Protection Agency, before and since 6 May 2024.

Sources: 40 CFR part 58, appendix G, table 2 and equation 1; the technical assistance documents for
the reporting of daily air quality EPA-454/B-18-007 (September 2018, table 5: `epa_2012`) and
EPA-454/B-24-002 (May 2024, table 6: `epa_2024`); 89 FR 16202 (6 March 2024), which moved PM2.5.

Concentrations are truncated, not rounded: ozone to 0.001 ppm, PM2.5 to 0.1 ug/m3, PM10 to 1 ug/m3,
carbon monoxide to 0.1 ppm, sulfur and nitrogen dioxide to 1 ppb. The index is rounded to the
nearest whole number, halves up (0.078 ppm of ozone is 125.5 on the line, and 126 in EPA's
example).

Blank places of the tables have no index, as the documents say:
- ozone of 8 hours defines none above 0.200 ppm, ozone of 1 hour none below 0.125 ppm; of the two
  the larger counts;
- sulfur dioxide of 1 hour up to 304 ppb, of 24 hours from 305 ppb. Where the hour is above 304 and
  the day is not, EPA fixes the index at 200: so the hour stays at 200 here, and the larger counts.

Above 500 EPA speaks of "beyond the AQI" and goes on with the line of the hazardous category (both
documents; in appendix G a footnote to table 2). So do we. That line is another in the two editions:
2018 prints rows 301-400 and 401-500; since 2024 there is one from 301 to 500, with 500 at 325.4
ug/m3 PM2.5, 604 ug/m3 PM10, 50.4 ppm CO, 1004 ppb SO2, 2049 ppb NO2, 0.604 ppm O3 of 1 hour.

Not certain: table and footnote of 2024 were read in transcriptions. Several agree; a few programs
keep two rows and 500.4 ug/m3. A person should compare `_TOPS_2024` with the printed table 6. The
footnote names the 1004 ppb of SO2 as of 1 hour; we use it for 24 hours, as the rows of 2018 do.
"""

from __future__ import annotations

from typing import Literal

from runner.core.aqi.breakpoints import LOWEST_CONCENTRATION, Breakpoints, stepped
from runner.core.aqi.scale import Scale

_TO_300 = (50, 100, 150, 200, 300)
_TOP_2018 = (*_TO_300, 400, 500)
_TOP_2024 = (*_TO_300, 500)

_LOWEST = {"ppm": -0.005, "ppb": -5.0, "ug/m3": LOWEST_CONCENTRATION}
_LOWEST_CO = -0.5
"""Smallest values that are measurements, by unit, and for CO in ppm. For the gases ours, about the
noise of the instruments."""


def _tables(
    name: str, tops: dict[str, tuple[float, ...]], indices: tuple[int, ...]
) -> dict[tuple[str, str], Breakpoints]:
    """Return the tables of an edition.

    Args:
        name: of the scale.
        tops: by pollutant the upper ends of the hazardous rows, and for `pm25` of all rows.
        indices: at the upper ends of all rows.
    """
    very_unhealthy_on = indices[len(_TO_300) - 1 :]

    def table(
        pollutant: str,
        unit: str,
        decimals: int,
        highs: tuple[float, ...],
        at: tuple[int, ...] = indices,
        first: tuple[float, int] = (0.0, 0),
        beyond: Literal["extend", "cap", "undefined"] = "extend",
    ) -> Breakpoints:
        knots = stepped(highs, at, decimals, first)
        lowest = _LOWEST_CO if pollutant == "co" else _LOWEST[unit]
        return Breakpoints(f"{name}_{pollutant}", knots, unit, decimals, "nearest", beyond, lowest)

    pm25 = table("pm25", "ug/m3", 1, tops["pm25"])
    pm10 = table("pm10", "ug/m3", 0, (54, 154, 254, 354, 424, *tops["pm10"]))
    o3_8h = (0.054, 0.070, 0.085, 0.105, 0.200)
    o3_1h = (0.164, 0.204, 0.404, *tops["o3"])
    so2_1h = (35, 75, 185, 304)
    so2_24h = (604, *tops["so2"])
    return {
        ("pm25", "24h"): pm25,
        ("pm25", "nowcast"): pm25,
        ("pm10", "24h"): pm10,
        ("pm10", "nowcast"): pm10,
        ("o3", "8h"): table("o3_8h", "ppm", 3, o3_8h, _TO_300, beyond="undefined"),
        ("o3", "1h"): table("o3_1h", "ppm", 3, o3_1h, indices[2:], (0.125, 101)),
        ("no2", "1h"): table("no2", "ppb", 0, (53, 100, 360, 649, 1249, *tops["no2"])),
        ("so2", "1h"): table("so2_1h", "ppb", 0, so2_1h, _TO_300[:4], beyond="cap"),
        ("so2", "24h"): table("so2_24h", "ppb", 0, so2_24h, very_unhealthy_on, (305, 201)),
        ("co", "8h"): table("co", "ppm", 1, (4.4, 9.4, 12.4, 15.4, 30.4, *tops["co"])),
    }


_TOPS_2018 = {
    "pm25": (12.0, 35.4, 55.4, 150.4, 250.4, 350.4, 500.4),
    "pm10": (504.0, 604.0),
    "o3": (0.504, 0.604),
    "no2": (1649.0, 2049.0),
    "so2": (804.0, 1004.0),
    "co": (40.4, 50.4),
}
_TOPS_2024 = {
    "pm25": (9.0, 35.4, 55.4, 125.4, 225.4, 325.4),
    "pm10": (604.0,),
    "o3": (0.604,),
    "no2": (2049.0,),
    "so2": (1004.0,),
    "co": (50.4,),
}

EPA_2012 = Scale(
    "epa_2012",
    "US EPA, PM2.5 breakpoints of 2012",
    "EPA-454/B-18-007 (September 2018), table 5: PM2.5 of December 2012, ozone of 2015",
    _tables("epa_2012", _TOPS_2018, _TOP_2018),
)
"""In force for PM2.5 from 2013 to 5 May 2024, for ozone from the end of 2015."""

EPA_2024 = Scale(
    "epa_2024",
    "US EPA since 6 May 2024",
    "EPA-454/B-24-002 (May 2024), table 6; 40 CFR 58, appendix G, table 2",
    _tables("epa_2024", _TOPS_2024, _TOP_2024),
)
