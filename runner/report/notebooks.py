"""The notebooks that come with the runner, and what each becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from runner.quality.files import station_path
from runner.report.run_files import RunFiles

PAGE = "02_quality_report"
"""The notebook that becomes report.html."""
_OURS = re.compile(rf"{PAGE}|01_validation_queries|03_station_-?\d+|04_air_quality_summary")


@cache
def builtin_notebooks() -> Path:
    """Return the directory of the notebooks: inside an installed package, else beside it."""
    here = Path(__file__).resolve().parents[1]
    packaged = here / "notebooks"
    return packaged if packaged.is_dir() else here.parent / "notebooks"


def is_ours(name: str) -> bool:
    """Whether an executed copy or a page of that name, without ending, is of our making."""
    return _OURS.fullmatch(name) is not None


@dataclass(frozen=True)
class Task:
    """One notebook to run.

    Attributes:
        name: of the executed copy and the page, without ending.
        title: of the page.
        source: the notebook.
        parameters: besides RUN_DIR; paths only.
    """

    name: str
    title: str
    source: Path
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def is_page(self) -> bool:
        """Whether it becomes report.html."""
        return self.name == PAGE


def tasks(run: RunFiles, stations: list[int], *, summary: bool) -> list[Task]:
    """Return what is to be run for a run, the page first.

    Args:
        run: the run.
        stations: those with a page of their own.
        summary: whether the air itself gets a page.
    """
    made = [_task(PAGE, "Quality report"), _task("01_validation_queries", "Validation queries")]
    for idx in stations:
        source = builtin_notebooks() / "03_station_detail.ipynb"
        title = f"Station {idx} {run.station(idx)['name']}".strip()
        given = {"STATION_FILE": str(station_path(run.directory, idx))}
        made.append(Task(f"03_station_{idx}", title, source, given))
    if summary:
        made.append(_task("04_air_quality_summary", "Air quality"))
    return made


def _task(name: str, title: str) -> Task:
    return Task(name, title, builtin_notebooks() / f"{name}.ipynb")
