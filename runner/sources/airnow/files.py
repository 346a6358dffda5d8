"""AirNow Department of State files of hourly PM2.5: one CSV file to uniform rows.

The same data have been published in several layouts. All of them are read here:

- 14 columns with `NowCast Conc.`, or with `24-hr. Midpoint Avg. Conc.` and categories 1..6 (2016),
  or 11 columns with `Value` and `Unit` (2015); columns are found by name, not by place;
- without a header line: 14 or 11 columns mean the layout of today or that of 2015;
- commas, semicolons or tabs; numbers padded or not; LF or CRLF; UTF-8 (with or without BOM) or
  Latin-1; rows in any order.

Hours. Year, Month, Day and Hour say the hour without ambiguity ("12:00 AM" is Hour 0, so the last
row of a year's file belongs to the next year). `Date (LT)` says the same again, in every row of the
files seen; where it is readable and says otherwise, the row is a reject. Labels are the wall clock
of the site, in Viet Nam +07:00 all year, and are the labels AQICN uses.

March. The clock that labelled the rows kept US daylight saving, which Vietnam does not have: on the
second Sunday of March the label 02:00 is absent and 03:00 stands twice. The first of the two is
02:00. Files are written in order of time; the one file that is not sorted consists of two sorted
blocks (August to November, then January to August) and has the pair in the same order, with the
same values, as the sorted file of that year. So neighbours tell: a pair is repaired where its two
rows follow each other, between an earlier and a later row, and 02:00 is absent from the file. There
is no counterpart in November.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from textwrap import shorten
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl

from runner.core.aqi import LOWEST_CONCENTRATION
from runner.core.errors import Scope, SourceError
from runner.core.intervals import hour_of, to_datetime
from runner.core.readings import Reason
from runner.core.stations import VIETNAM_H
from runner.core.text import harmless

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STANDARD = (
    *("Site", "Parameter", "Date (LT)", "Year", "Month", "Day", "Hour", "NowCast Conc.", "AQI"),
    *("AQI Category", "Raw Conc.", "Conc. Unit", "Duration", "QC Name"),
)
LAYOUT_2015 = (*STANDARD[:7], "Value", "Unit", *STANDARD[12:])

_NAMES = {
    "site": ("site",),
    "parameter": ("parameter",),
    "date": ("date (lt)",),
    "year": ("year",),
    "month": ("month",),
    "day": ("day",),
    "hour": ("hour",),
    "value": ("raw conc.", "value"),
    "unit": ("conc. unit", "unit"),
    "duration": ("duration",),
    "qc": ("qc name",),
}
"""What we read, and the names it has had, in lower case."""

_QC_REASONS = {
    "missing": Reason.QC_MISSING.value,
    "invalid": Reason.QC_INVALID.value,
    "suspect": Reason.QC_SUSPECT.value,
}

_LONGEST_MESSAGE = 400
_LAST_HOUR = hour_of(datetime(9999, 12, 31, 23, tzinfo=UTC))
"""The last hour, UTC, that a datetime can have."""
_FEWEST_NAMES = 3
"""Cells of the first line that are names of our columns: no line of data has this many."""

_LAYOUT_HINT = (
    "source.path must hold only AirNow Department of State hourly PM2.5 files, as published; "
    f"their header has {', '.join(STANDARD[:7])}, in any order"
)


class AirNowFileError(SourceError):
    """A file of measurements cannot be read; the run must not pretend it is empty."""

    def __init__(self, message: str, *, scope: Scope = Scope.RUN, hint: str = "") -> None:
        super().__init__(message, scope=scope, hint=hint)


@dataclass(frozen=True, slots=True)
class MeasurementFile:
    """One file, read.

    Attributes:
        name: file name without its directory.
        columns: the file's own column names (the standard ones where it has no header).
        cells: every row as text, as published; columns are numbered.
        lines: line number in the file of every row of `cells`.
        rows: the PM2.5 rows, in file order: `position` (in `cells`), `site`, `hour` (UTC hours
            since 1970), `value` (ug/m3, null where not a number), `reason` (a `Reason`, null where
            the row is a usable measurement), `repaired` (the March rule moved its hour), and
            `said`, the row's statement about its hour in a form comparable across layouts.
    """

    name: str
    columns: tuple[str, ...]
    cells: pl.DataFrame
    lines: list[int]
    rows: pl.DataFrame

    @property
    def last_hour(self) -> int:
        """The last hour the file speaks of; -1 where it speaks of none."""
        return max(self.rows.get_column("hour").to_list(), default=-1)

    def raw(self, position: int) -> dict[str, Any]:
        """Return a row as published, by the file's own column names, with `file` and `line`."""
        cells = dict(zip(self.columns, self.cells.row(position), strict=True))
        return {**cells, "file": self.name, "line": self.lines[position]}


def read_file(path: Path, offsets: Mapping[str, int] = MappingProxyType({})) -> MeasurementFile:
    """Read one file.

    Args:
        path: of the file.
        offsets: hours that the clock of a site is ahead of UTC; Viet Nam's for other sites.

    Raises:
        AirNowFileError: it cannot be read, or is not understood; says the line and what was
            expected.
    """
    name = path.name
    try:
        return _read(name, path.read_bytes(), offsets)
    except OSError as error:
        raise AirNowFileError(f"{name}: cannot be read: {error.strerror}") from error
    except csv.Error as error:  # a cell longer than the module takes
        raise AirNowFileError(f"{name}: not readable as CSV: {error}", hint=_LAYOUT_HINT) from error
    except AirNowFileError as error:  # it quotes the file
        said = shorten(harmless(error.message), _LONGEST_MESSAGE, placeholder=" …")
        raise AirNowFileError(said, hint=error.hint) from error


def _read(name: str, content: bytes, offsets: Mapping[str, int]) -> MeasurementFile:
    numbered = [(at, text) for at, text in enumerate(_lines(content), 1) if text.strip()]
    if not numbered:
        raise AirNowFileError(f"{name}: the file is empty", hint=_LAYOUT_HINT)
    first_at, first = numbered[0]
    delimiter = max(",;\t", key=first.count)
    head = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter))]
    if _is_header(head):
        columns = tuple(head)
        del numbered[0]
    elif len(head) in (len(STANDARD), len(LAYOUT_2015)):
        columns = STANDARD if len(head) == len(STANDARD) else LAYOUT_2015
    else:
        raise AirNowFileError(
            f"{name}, line {first_at}: expected a header with Site, Year, Month, Day, Hour, or "
            f"{len(STANDARD)} or {len(LAYOUT_2015)} columns without one; "
            f"found {len(head)}: {first[:60]!r}",
            hint=_LAYOUT_HINT,
        )
    places = _places(name, first_at, columns)
    cells = _cells(name, numbered, delimiter, len(columns))
    lines = [at for at, _ in numbered]
    rows = _rows(name, cells, places, lines, offsets)
    return MeasurementFile(name, columns, cells, lines, rows)


def _is_header(head: list[str]) -> bool:
    """Whether the cells of the first line name columns, in whatever order."""
    known = {each for names in _NAMES.values() for each in names}
    names = known & {cell.casefold() for cell in head}
    return head[0].casefold() == "site" or len(names) >= _FEWEST_NAMES


def _lines(content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _places(name: str, line: int, columns: tuple[str, ...]) -> dict[str, str]:
    """Return for everything we read the number of its column, as text."""
    found = {column.casefold(): str(place) for place, column in enumerate(columns)}
    places: dict[str, str] = {}
    for wanted, names in _NAMES.items():
        place = next((found[each] for each in names if each in found), None)
        if place is None:
            raise AirNowFileError(
                f"{name}, line {line}: the header has no column "
                f"{' or '.join(repr(each) for each in names)} (in any case); "
                f"it has {', '.join(columns)}",
                hint=_LAYOUT_HINT,
            )
        places[wanted] = place
    return places


def _cells(name: str, numbered: list[tuple[int, str]], delimiter: str, width: int) -> pl.DataFrame:
    """Return the rows as text; a row that ends early has nulls."""
    header = delimiter.join(map(str, range(width)))
    body = "\n".join([header, *(text for _, text in numbered), ""])
    try:
        cells = pl.read_csv(BytesIO(body.encode()), separator=delimiter, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        for line, text in numbered:
            found = len(next(csv.reader([text], delimiter=delimiter)))
            if found > width:
                raise AirNowFileError(
                    f"{name}, line {line}: {found} columns, expected {width}: {text[:60]!r}",
                    hint=_LAYOUT_HINT,
                ) from error
        raise AirNowFileError(f"{name}: not readable as CSV: {error}") from error
    if cells.height != len(numbered):
        raise AirNowFileError(
            f"{name}: {len(numbered)} lines but {cells.height} rows; expected one row a line "
            "(a quotation mark may be unbalanced)",
            hint=_LAYOUT_HINT,
        )
    return cells


def _rows(
    name: str,
    cells: pl.DataFrame,
    places: dict[str, str],
    lines: list[int],
    offsets: Mapping[str, int],
) -> pl.DataFrame:
    texts = cells.select(
        pl.col(place).str.strip_chars().alias(wanted) for wanted, place in places.items()
    )
    two = {part: pl.col(part).str.zfill(2) for part in ("month", "day", "hour")}
    label = pl.format("{}-{}-{} {}:00", "year", two["month"], two["day"], two["hour"])
    rows = texts.select(
        pl.int_range(pl.len()).alias("position"),
        "site",
        "parameter",
        _hours(label, "%Y-%m-%d %H:%M").alias("label"),
        _hours(pl.col("date"), "%Y-%m-%d %I:%M %p").alias("date_label"),
        pl.col("value").cast(pl.Float64, strict=False),
        pl.col("value").fill_null("").alias("value_text"),
        _plain("unit"),
        _plain("duration"),
        _plain("qc"),
    )
    ahead = pl.col("site").replace_strict(
        list(offsets), list(offsets.values()), default=VIETNAM_H, return_dtype=pl.Int64
    )
    known = (pl.col("label") - ahead).is_between(0, _LAST_HOUR)
    unread = rows.filter(~known.fill_null(value=False))
    if not unread.is_empty():
        position = unread.item(0, "position")
        shown = ", ".join(repr(texts.item(position, part)) for part in ("year", *two))
        raise AirNowFileError(
            f"{name}, line {lines[position]}: Year, Month, Day, Hour are {shown}; "
            "expected a date since 1970 and an hour 0..23",
            hint=_LAYOUT_HINT,
        )
    rows = rows.filter(pl.col("parameter").str.starts_with("PM2.5"))
    moved = _march_repairs(rows)
    return rows.select(
        "position",
        "site",
        (pl.col("label") - pl.col("position").is_in(moved) - ahead).alias("hour"),
        "value",
        _reason().alias("reason"),
        pl.col("position").is_in(moved).alias("repaired"),
        pl.concat_str(
            pl.coalesce(pl.col("value").cast(pl.String), "value_text"),
            "unit",
            "duration",
            "qc",
            separator="|",
        ).alias("said"),
    )


def _hours(text: pl.Expr, form: str) -> pl.Expr:
    """Return wall-clock hours since 1970, null where the text has another form."""
    return text.str.to_datetime(form, strict=False).dt.epoch("s") // 3600


def _plain(column: str) -> pl.Expr:
    """Return a word in lower case and ASCII, empty where absent."""
    lower = pl.col(column).fill_null("").str.to_lowercase()
    return lower.str.replace_many(["µ", "\N{GREEK SMALL LETTER MU}", "³"], ["u", "u", "3"])


def _reason() -> pl.Expr:
    """Return why a row is not a usable measurement, null where it is one."""
    value = pl.col("value")
    usable = value.is_finite() & (value >= LOWEST_CONCENTRATION)
    usable &= (pl.col("unit") == "ug/m3") & (pl.col("duration") == "1 hr")
    qc = pl.col("qc")
    return (
        pl.when(pl.col("date_label") != pl.col("label"))
        .then(pl.lit(Reason.TIME_UNPARSEABLE.value))
        .when(qc != "valid")
        .then(qc.replace_strict(_QC_REASONS, default=Reason.QC_OTHER.value))
        .when(~usable.fill_null(value=False))
        .then(pl.lit(Reason.CONCENTRATION_UNUSABLE.value))
        .when(value < 0)
        .then(pl.lit(Reason.BELOW_ZERO.value))
    )


def _march_repairs(rows: pl.DataFrame) -> list[int]:
    """Return the positions of the rows labelled 03:00 that are really 02:00."""
    moved: list[int] = []
    for group in rows.partition_by("site", "parameter"):
        labels = group.get_column("label").to_list()
        positions = group.get_column("position").to_list()
        times = Counter(labels)
        for at, label in enumerate(labels[:-1]):
            if (
                labels[at + 1] == label
                and _is_us_spring_change(label)
                and times[label] == 2  # noqa: PLR2004 - the artefact is a pair
                and label - 1 not in times
                and all(before < label for before in labels[max(0, at - 1) : at])
                and all(after > label for after in labels[at + 2 : at + 3])
            ):
                moved.append(positions[at])
    return moved


def _is_us_spring_change(label: int) -> bool:
    """Tell whether a wall-clock hour is 03:00 on the second Sunday of March."""
    wall = to_datetime(label)
    second_sunday = wall.isoweekday() == 7 and 8 <= wall.day <= 14  # noqa: PLR2004 - calendar
    return wall.month == 3 and second_sunday and wall.hour == 3  # noqa: PLR2004 - calendar
