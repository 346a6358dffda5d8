"""The settings of the report; a part of `runner.config.settings`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Report:
    """The page and the notebooks about a run.

    Attributes:
        enabled: whether they are made.
        station_pages: stations that get a page of their own, those that look worst first.
        summary: make the notebook about the air itself, too.
        required: a report that cannot be made is exit code 1, rather than a warning; None: in
            `job=report`, which makes nothing else, and not after a run.
        cell_timeout_s: seconds that a cell of a notebook may take; the next ones run all the same.
        run_dir: the run that `job=report` is about; None for the newest one under runs/.
    """

    enabled: bool = True
    station_pages: int = 3
    summary: bool = False
    required: bool | None = None
    cell_timeout_s: int = 120
    run_dir: str | None = None
