"""The index as AQICN (the World Air Quality Index project) shows it, hour by hour.

AQICN puts the raw one-hour concentration through breakpoints that EPA made for 24-hour means
("InstantCast", aqicn.org/faq/2015-03-15), and rounds up.

An hour below zero has no index. AirNow flags such hours Valid, AQICN leaves them out of its daily
numbers: of 32 days with such an hour, 14 equal AQICN's own daily number without it, and 1 with an
index of 0 in its place.

Only particles are here. How AQICN rounds the gases is not known: recorded answers have tenths
(no2 30.9, o3 1.7), which a ceiling never gives, and its page on ozone (aqicn.org/faq/2015-05-18)
shows breakpoints that EPA has replaced since. A gas gets its place here when somebody has compared
AQICN's numbers with the concentrations behind them.
"""

from __future__ import annotations

from runner.core.aqi.breakpoints import Breakpoints
from runner.core.aqi.scale import Scale

AQICN_PM25 = Breakpoints(
    "aqicn_pm25",
    (
        (0.0, 0),
        (12.0, 50),
        (35.5, 100),
        (55.5, 150),
        (150.5, 200),
        (250.5, 300),
        (350.5, 400),
        (500.5, 500),
    ),
)
"""How AQICN turns the raw one-hour PM2.5 concentration into the `iaqi.pm25` of that hour.

Source: hours of the US Consulate Ho Chi Minh City (station 8767, 2021) polled from AQICN beside the
concentrations AirNow published: the ceiling of this scale gives 112 of 113. EPA's own rounding with
its 2012 breakpoints (12.1, 35.4, 55.4) gives 95, AirNow's NowCast index 6 of 111. Checked up to
2021 only: EPA moved its breakpoints in May 2024, and whether AQICN followed is not known. That the
last slope goes on above 500 is our reading; that AQICN shows values above 500 is recorded.
"""


EPA_PM10 = Breakpoints(
    "us_epa_pm10",
    (
        (0.0, 0),
        (54.0, 50),
        (154.0, 100),
        (254.0, 150),
        (354.0, 200),
        (424.0, 300),
        (504.0, 400),
        (604.0, 500),
    ),
)
"""The breakpoints of 40 CFR 58, appendix G, joined and rounded up as AQICN does with PM2.5.

Not proved against AQICN's own numbers. EPA's own arithmetic of PM10 is in `runner.core.aqi.epa`.
"""


AQICN = Scale(
    "aqicn",
    "AQICN InstantCast, US EPA 2012 PM2.5 breakpoints",
    "measured: US Consulate Ho Chi Minh City 2021, 112 of 113 hours; PM10 not proved",
    {("pm25", "1h"): AQICN_PM25, ("pm10", "1h"): EPA_PM10},
    takes_below_zero=False,
)
