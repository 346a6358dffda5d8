"""What `job=export` writes, and where."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from runner.config.section import Section, setting
from runner.core.aqi import SCALES


class FileFormat(Enum):
    """The form of the files; spelt as typed."""

    parquet = "parquet"
    csv = "csv"


class Shape(Enum):
    """What a row is; spelt as typed."""

    wide = "wide"
    long = "long"


class Export(Section):
    """What `job=export` writes, and where."""

    format: FileFormat = setting(
        FileFormat.parquet, "`parquet` (a file per station) or `csv` (one file)"
    )
    dir: str = setting("export", "directory for the files; new or empty")
    shape: Shape = setting(
        Shape.wide,
        "`wide`: a row per station and hour; `long`: a row per station, hour and pollutant",
    )
    scale: str | None = setting(
        None,
        f"scale that indices are computed on from kept concentrations: {', '.join(SCALES)}; empty: "
        "as stored",
    )

    def broken(self) -> Iterator[str]:
        """Yield a line if there is no such scale."""
        if self.scale is not None and self.scale not in SCALES:
            yield f"export.scale={self.scale}: allowed are {', '.join(SCALES)}"
