"""VN_AQI: the index of Viet Nam since 12 November 2019.

Source: decision 1459/QD-TCMT of the Viet Nam Environment Administration of 12 November 2019,
"Huong dan ky thuat tinh toan va cong bo chi so chat luong khong khi Viet Nam (VN_AQI)": table 1
(categories and colours), table 2 (breakpoints), 2.2.1 (hour), 2.2.2 (day), 2.3 (worked examples).

An hour: PM2.5 and PM10 as NowCast (`runner.core.aqi.scale`); O3, NO2, SO2 and CO of the hour,
averaging `1h`. A day: PM2.5 and PM10 of 24 hours; the largest hour of NO2, SO2 and CO; of O3 the
largest hour and the largest mean of 8 hours. Everything is ug/m3, CO too. There is no index of the
air without PM2.5 or PM10 (2.1 b). Hours of a day run from the label 01:00 to 00:00.

What the decision leaves open, and what we do:
- the index is "rounded to a whole number": nearest, halves up. That gives every worked example but
  one: NO2 118.7 is printed as 60 and is 59.35 by the formula, 59 here. A slip of the document, for
  the same rule gives its 65 for 65.4.
- the last row says ">=": from there the index stays 500.
- O3 of 8 hours above 400 has no index (2.2.2 b); the hour alone counts then.

The text was read in a transcription made from the images of the signed PDF of the ministry, and
agrees with most public code. Some programs differ: SO2 650/800/1060/1340 and NO2 2340/3000/3750
in the upper rows, PM2.5 or PM10 with one row from 300 to 500, O3 with the 8-hour column for the
hour. A person who has the PDF should compare table 2 once.
"""

from __future__ import annotations

from runner.core.aqi.breakpoints import Breakpoints
from runner.core.aqi.scale import Scale

_INDICES = (0, 50, 100, 150, 200, 300, 400, 500)

_O3_1H = (0, 160, 200, 300, 400, 800, 1000, 1200)
_O3_8H = (0, 100, 120, 170, 210, 400)
_CO = (0, 10_000, 30_000, 45_000, 60_000, 90_000, 120_000, 150_000)
_SO2 = (0, 125, 350, 550, 800, 1600, 2100, 2630)
_NO2 = (0, 100, 200, 700, 1200, 2350, 3100, 3850)
_PM10 = (0, 50, 150, 250, 350, 420, 500, 600)
_PM25 = (0, 25, 50, 80, 150, 250, 350, 500)
"""Table 2, column by column, ug/m3."""


def _table(name: str, column: tuple[int, ...], lowest: float) -> Breakpoints:
    """Return the table of a column; a column that ends early has no index above its end.

    Args:
        name: of the pollutant.
        column: concentrations at `_INDICES`, ug/m3.
        lowest: smallest value that is a measurement, ug/m3; ours, about the instruments' noise.
    """
    knots = tuple((float(x), y) for x, y in zip(column, _INDICES, strict=False))
    complete = len(column) == len(_INDICES)
    return Breakpoints(
        f"vn_aqi_{name}",
        knots,
        rounding="nearest",
        beyond="cap" if complete else "undefined",
        lowest=lowest,
    )


_FINE, _COARSE = _table("pm25", _PM25, -10.0), _table("pm10", _PM10, -10.0)

VN_AQI = Scale(
    "vn_aqi",
    "VN_AQI, Viet Nam",
    "decision 1459/QD-TCMT of 12 November 2019, table 2 (read in a transcription)",
    {
        ("pm25", "nowcast"): _FINE,
        ("pm25", "24h"): _FINE,
        ("pm10", "nowcast"): _COARSE,
        ("pm10", "24h"): _COARSE,
        ("o3", "1h"): _table("o3_1h", _O3_1H, -10.0),
        ("o3", "8h"): _table("o3_8h", _O3_8H, -10.0),
        ("no2", "1h"): _table("no2", _NO2, -10.0),
        ("so2", "1h"): _table("so2", _SO2, -15.0),
        ("co", "1h"): _table("co", _CO, -600.0),
    },
    needs_particles=True,
)
