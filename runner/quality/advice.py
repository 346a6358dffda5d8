"""What a finding means and what to do about it, for a person who sees the check the first time."""

from __future__ import annotations

_LOOK = "Look at these hours before using them"

ADVICE = {
    "R01": "The source did not answer for these hours. Fetch them again: see Next.",
    "R02": "The run ended before it asked for these hours. Go on: see Next.",
    "R03": "The run lost count, which is a defect of the runner. Please report it with the log.",
    "R04": "Readings were stored and no document is there now: deleted, or lost with a database"
           " node. Fetch them again: see Next.",
    "R05": "The source was busy or unwell; each request was tried again. Nothing is missing for it,"
           " unless R01 says so. If it stays, ask more slowly.",
    "R06": "The number may be wrong, or the station too young for the range. Ask the source.",
    "S01": "Another program wrote documents of another form. Find it. Those without an index are"
           " replaced by fetching again: see Next.",
    "S02": "Another program wrote texts in place of numbers. They are no readings; fetching again"
           " replaces them: see Next.",
    "S03": "An index is a whole number: another program, or another scale, wrote these.",
    "S04": "Somebody took local time for UTC, or UTC for local time. Do not use the hours of the"
           " day until it is mended.",
    "S05": "The station measures something new, or stopped to. Nothing to do unless you need it.",
    "K01": "The same hour is stored twice and counts double in every mean. See Next.",
    "K02": "These are no hourly readings. Find out who wrote them.",
    "K03": "A clock is wrong, at the source or here.",
    "V01": "There is no index below zero: a filler or a broken instrument. Leave these out, or"
           " fetch again if Next says so.",
    "V02": "Beyond the index: real in heavy smoke, else a broken instrument. Compare with the"
           " neighbours.",
    "V03": "The instrument writes such numbers where it has no value. Leave these out, or fetch"
           " again if Next says so.",
    "V04": "The weather sensor is broken or in other units. Pollutants are not concerned.",
    "X01": "The index is that of its worst pollutant; here one of the two is wrong or missing.",
    "X02": "PM10 includes PM2.5, so one of the two instruments is wrong.",
    "X03": "Two numbers tell one station's readings. Use one of them only.",
    "C00": "Too little for the whole range. The gaps below say why.",
    "C01": "Too little for a mean of these stations. The gaps below say why.",
    "C02": "Too little for a mean of these months. The coverage below shows them.",
    "C03": "Not fetched yet, failed, not asked for, or covered by a checkpoint alone. Ask the"
           " source: see Next.",
    "C04": "The station was off, or its archive has a hole: nothing is left to fetch. Do not take"
           " the days for clean; ask the operator if you need them.",
    "C05": "The station no longer reports, or its feed broke. Ask the operator.",
    "C06": "Too few hours for a mean of these days: leave them out.",
    "C07": "An annual mean would speak of one season only.",
    "C08": "The station lost its PM2.5 instrument. From there on its index tells something else.",
    "T01": f"Air never stands still: the instrument hung. {_LOOK}, and leave them out of means.",
    "T02": f"Up and back within three hours: an instrument's hiccup, or fireworks. {_LOOK}; maxima"
           " suffer most.",
    "T03": f"The instrument was moved, cleaned or replaced. {_LOOK}; do not compare before with"
           " after.",
    "T04": "The level changed and its neighbours' did not: the instrument is out of calibration or"
           " was replaced. Do not compare before with after.",
    "T05": "The warmest hour is after noon everywhere: this station's clock is wrong. Do not use"
           " its hours of the day.",
    "T06": f"The source told one day twice. {_LOOK}.",
    "D01": "Fewer usable readings than in the previous run: some are deleted (R04), or overwritten"
           " by what is no index. The causes of the gaps say which.",
    "D02": "The source corrected its values, or another program wrote. Means of these days differ.",
    "D03": "The range is less complete than last time. The gaps below say why.",
    "D04": "See these checks.",
    "E01": "WAQI's own daily file says otherwise: another scale or another day's limits.",
}  # fmt: skip
"""By check id: what it means, and what to do."""
