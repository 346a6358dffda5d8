"""Checks of what a run stored, and the files that a page or another program reads.

THE CONTRACT. Under `<run_dir>/quality/`, written by a backfill and by `job=validate`:

quality.json
    The verdict, schema v3 (`schema.json` in this package). Every station is judged by itself: a
    check has the status of its `worst` station, `n_stations` counts stations by status, and the
    entry of a station names the checks that fail, warn or were not evaluated there. Numbers are
    raw (shares 0..1), instants UTC with a Z. Names of stations are text from outside: no control
    characters in them, and nothing else is promised. Within v3 fields are only added; v1 and v2
    are read, too (`runner.quality.files.up_to_date`). `external` has one row per station and month
    that WAQI's daily file was compared with: days, equal, within, mean_difference (points).
gaps.csv
    Every run of missing hours of every station: station_idx, name, start, end (UTC, half-open),
    hours, cause (the most frequent, see `runner.core.causes`), the hours of each cause, detail (the
    station's last error, where it failed). Worst first.
ledger.json
    What the checks look at besides the readings: range, accounts, what the checkpoints and the
    rejects say of each station. With readings/ enough to judge again, see `runner.quality.inputs`.
stations/<station>.json
    A station's entry in quality.json, and `judged`: by check its status, n_failed, n_evaluated,
    share, month (if one month decides), message. A notebook gets its path as a parameter.
failures/<check id>.parquet
    Rows that failed, the worst of a station first: at most `quality.most_failures`, and a few of
    every station; `station_idx` and the check's own columns.
agg/stations.parquet
    A row a station: station_idx, name, latitude, longitude (null where unknown), checkpoint (its
    state), error, documents, expected, readings, capture, first, last (UTC text), silent_h,
    longest_gap_h, gaps_ge_24h, the hours of each cause (not_asked_h, unknown_h, lost_h, kept_h,
    rejected_h, empty_h), settled_h (of not_asked_h: a run without backfill.mode=gaps leaves them),
    standing_h (hours in which a document stands that is no reading), rejected_by_reason (JSON:
    hours by reason), keys (of iaqi, comma-separated), scale (of its indices).
agg/month.parquet
    A row a station and local month (`2024-05`), dense: expected, readings, capture (null where
    nothing is expected), and the missing hours of each cause.
agg/cause.parquet
    The missing hours in runs of one cause: station_idx, start, end (UTC, half-open), cause.
agg/day.parquet
    A row a station and local day (Date; its hours are 01..24), dense: expected, n (readings),
    sum_aqi, median, max (of aqi), pm25_n, pm25_ugm3 (mean concentration, from the sub-index), hash
    (of the hours' values).
agg/hour.parquet
    Every hour of the stations that look worst (at most 12): station_idx, ts (UTC), day, hod (local
    hour, 1..24), aqi, cause (null where there is a reading).
agg/diurnal.parquet
    24 rows a station: hod (1..24), n, q1, median, q3 (of aqi), t_mean (degC).
agg/category.parquet
    A row a station and band of the index (0-50 ... 301+): hours.
readings/<station>-<year>.parquet
    The stored documents as extracted, a file a station and UTC year: columns in
    `runner.quality.grid`. Removed after the checks where `quality.keep_readings` is false.

Local is UTC plus `quality.utc_offset_hours` (Vietnam: 7, all year; no zone database is needed).
A reading is there if its `aqi` is a number, not below zero and no filler (-999, 999, 9999).
"""
