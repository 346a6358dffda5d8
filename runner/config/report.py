"""The page and the notebooks about a run: `report=NAME`."""

from __future__ import annotations

from runner.config.section import Section, setting


class Report(Section):
    """The page and the notebooks about a run."""

    enabled: bool = setting(
        True,
        "make the page and the notebooks after a run; `report=none` does not",
    )
    station_pages: int = setting(
        3,
        "stations with a page of their own: of those with findings the worst",
        ge=0,
        le=300,
        unit="stations",
    )
    summary: bool = setting(False, "`true`: a page about the air itself, too")
    required: bool | None = setting(
        None,
        "`true`: a report that cannot be made is exit code 1; `false`: a warning; empty: exit code "
        "1 in `job=report`, a warning after a run",
    )
    cell_timeout_s: int = setting(
        120,
        "seconds a cell of a notebook may take; the next ones run all the same",
        ge=1,
        le=86_400,
        unit="seconds",
    )
    run_dir: str | None = setting(
        None, "the run that `job=report` is about; empty: the newest one under `runs/`"
    )
