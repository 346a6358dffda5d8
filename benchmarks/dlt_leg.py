"""The same load by dlt, tuned: its rest_api source, and a destination that upserts into MongoDB.

    python -m benchmarks.dlt_leg URL MONGO_URI DATABASE FIRST_HOUR HOURS STATIONS rows
    python -m benchmarks.dlt_leg URL MONGO_URI DATABASE FIRST_HOUR HOURS STATIONS arrow

`rows` sends the records of the API as they come through dlt's normalizer; `arrow` makes Arrow
tables of the pages, which dlt passes on as Parquet. dlt has no destination for MongoDB: a function
is one, as its documentation says. It runs in an environment of its own (`make bench-peers`). A
variable of the environment wins over what is set here, to try what else makes it faster.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

WEEK = 168
_BATCH = 1000
"""Readings of a bulk write; dlt's default of 10 makes it 2.4 times slower."""

_TABLE = 5000
"""Readings of an Arrow table, at least: a table costs dlt some milliseconds, whatever its size."""

_TUNED = {
    "EXTRACT__WORKERS": "4",
    "EXTRACT__MAX_PARALLEL_ITEMS": "40",
    "NORMALIZE__WORKERS": "2",
    "NORMALIZE__JSON_NORMALIZER__ADD_DLT_ID": "false",
    "NORMALIZE__JSON_NORMALIZER__ADD_DLT_LOAD_ID": "false",
    "LOAD__WORKERS": "2",
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
    "DATA_WRITER__FILE_MAX_ITEMS": "40000",
    "DLT_DISABLE_PLUGINS": "true",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}
"""What makes dlt fast here: files enough for two normalizers and two loaders, nothing compressed,
no columns that nobody reads."""

_FLAT = ("station", "aqi", "s", "tz", "pm25", "pm10")


def main(
    url: str, uri: str, name: str, first: int, hours: int, stations: int, *, arrow: bool
) -> None:
    """Load everything in one run of a pipeline whose state is thrown away."""
    with tempfile.TemporaryDirectory(prefix="airq-dlt-") as place:
        os.environ.update({**_TUNED, **os.environ, "DLT_DATA_DIR": place, "DLT_PROJECT_DIR": place})
        import dlt  # noqa: PLC0415 - it reads its settings when it is imported

        source = _source(url, list(_windows(first, hours, stations)), arrow=arrow)
        pipeline = dlt.pipeline(
            "readings", pipelines_dir=place, destination=_destination(uri, name, arrow=arrow)
        )
        pipeline.run(source).raise_on_failed_jobs()


def _windows(first: int, hours: int, stations: int) -> Iterator[dict[str, Any]]:
    for idx in range(1, stations + 1):
        for start in range(first, first + hours, WEEK):
            end = min(start + WEEK, first + hours)
            yield {"station": idx, "start": _iso(start), "end": _iso(end)}


def _source(url: str, windows: list[dict[str, Any]], *, arrow: bool) -> Any:
    """Return what asks once a station and week, several at a time."""
    import dlt  # noqa: PLC0415 - as above
    from dlt.sources.rest_api import rest_api_source  # noqa: PLC0415 - as above

    parent = dlt.resource([windows], name="windows", selected=False)
    pages = {
        "name": "readings",
        "parallelized": True,
        "include_from_parent": ["station"],
        "max_table_nesting": 0,
        "selected": not arrow,
        "endpoint": {
            "path": "feed/@{resources.windows.station}/history",
            "params": {
                "start": "{resources.windows.start}",
                "end": "{resources.windows.end}",
                "token": "t",
            },
            "data_selector": "data",
            "paginator": "single_page",
        },
    }
    source = rest_api_source({"client": {"base_url": url}, "resources": [parent, pages]})
    if not arrow:
        return source
    return source.resources["readings"] | dlt.transformer(_tables(len(windows)), name="tables")


def _tables(pages: int) -> Callable[[list[dict[str, Any]]], Iterator[Any]]:
    """Return what makes Arrow tables of so many pages, several pages a table."""
    held: list[dict[str, Any]] = []
    came = 0

    def tables(records: list[dict[str, Any]]) -> Iterator[Any]:
        nonlocal came
        came += 1
        held.extend(records)
        if len(held) >= _TABLE or came == pages:
            table = _table(held)
            held.clear()  # first: dlt calls again before it resumes this generator
            yield table

    return tables


def _table(records: list[dict[str, Any]]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - `rows` does without

    columns = zip(
        *(
            (
                record["_windows_station"],
                record["current_aqi"],
                record["time"]["s"],
                record["time"]["tz"],
                record["current_iaqi"]["pm25"]["v"],
                record["current_iaqi"]["pm10"]["v"],
            )
            for record in records
        ),
        strict=True,
    )
    return pa.table([pa.array(column) for column in columns], names=list(_FLAT))


def _destination(uri: str, name: str, *, arrow: bool) -> Any:
    """Return the function that upserts what dlt hands over, a batch at a time."""
    import dlt  # noqa: PLC0415 - as above
    from pymongo import MongoClient, ReplaceOne  # noqa: PLC0415 - as above

    index = [("meta.station_idx", 1), ("ts", 1)]
    with MongoClient[dict[str, Any]](uri) as client:
        client[name]["waqi_station_readings"].create_index(index, unique=True)
    # not connected yet, because dlt forks its normalizers
    readings = MongoClient[dict[str, Any]](uri, connect=False)[name]["waqi_station_readings"]

    def upsert(batch: Any, _table: Any) -> None:
        documents = _of_columns(batch.to_pydict()) if arrow else map(_of_record, batch)
        writes = [
            ReplaceOne(
                {"meta.station_idx": made["meta"]["station_idx"], "ts": made["ts"]},
                made,
                upsert=True,
            )
            for made in documents
        ]
        readings.bulk_write(writes, ordered=False)

    return dlt.destination(
        upsert,
        name="mongodb",
        batch_size=_BATCH,
        loader_file_format="parquet" if arrow else "typed-jsonl",
    )()


def _of_record(record: dict[str, Any]) -> dict[str, Any]:
    time = record["time"]
    return _document(
        record["_windows_station"],
        record["current_aqi"],
        time["s"],
        time["tz"],
        record["current_iaqi"],
    )


def _of_columns(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for idx, aqi, local, tz, pm25, pm10 in zip(*(columns[name] for name in _FLAT), strict=True):
        yield _document(idx, aqi, local, tz, {"pm25": {"v": pm25}, "pm10": {"v": pm10}})


def _document(idx: int, aqi: int, local: str, tz: str, iaqi: dict[str, Any]) -> dict[str, Any]:
    return {
        "ts": datetime.fromisoformat(local + tz).astimezone(UTC),
        "meta": {"station_idx": idx},
        "aqi": aqi,
        "time": {"s": local, "tz": tz},
        "iaqi": iaqi,
    }


def _iso(hour: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dlt_leg", description=__doc__)
    for text in ("url", "uri", "name"):
        parser.add_argument(text)
    for number in ("first", "hours", "stations"):
        parser.add_argument(number, type=int)
    parser.add_argument("pages", choices=("rows", "arrow"))
    given = vars(parser.parse_args())
    as_arrow = given.pop("pages") == "arrow"
    main(**given, arrow=as_arrow)
