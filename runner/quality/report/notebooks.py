"""Runs one notebook with papermill, and keeps the executed copy.

A cell that fails does not keep the later ones from running. A notebook that cannot run at all
yields an error in words, never an exception.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from runner.process.files import own_directory, write_text
from runner.process.secrets import masked
from runner.quality.files import station_path
from runner.quality.report.run_files import RunFiles

if TYPE_CHECKING:
    from runner.quality.report.kernels import ScrubbedKernel

log = structlog.get_logger()

PAGE = "02_quality_report"
"""The notebook that becomes report.html."""
_OURS = re.compile(rf"{PAGE}|01_validation_queries|03_station_-?\d+|04_air_quality_summary")


@cache
def builtin_notebooks() -> Path:
    """Return the directory of the notebooks: inside an installed package, else beside it."""
    here = Path(__file__).resolve().parents[2]
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


_LOOK_S = 0.05
"""How often it is looked whether the notebook has to end."""
_START_S = 60
_OVERTIME_S = 10.0
"""Seconds after which a kernel that ignores the interrupt of a cell's timeout is killed."""
_LONGEST_REASON = 200
_BANNER = "papermill-error-cell-tag"


@dataclass(frozen=True, slots=True)
class Execution:
    """The result of one notebook.

    Attributes:
        notebook: the executed copy; complete unless there is an error.
        failed_cells: index and error of the cells that failed.
        error: why it could not run to its end, in words; empty if it did.
        stopped: whether it was ended from outside.
        elapsed_s: seconds.
    """

    notebook: Path
    failed_cells: tuple[tuple[int, str], ...] = ()
    error: str = ""
    stopped: bool = False
    elapsed_s: float = 0.0

    @property
    def any_output(self) -> bool:
        """Whether any cell of the executed copy shows anything, be it an error."""
        return any(cell.get("outputs") for cell in _cells(self.notebook))


def execute(
    source: Path,
    target: Path,
    parameters: Mapping[str, Any],
    *,
    cell_timeout_s: int,
    stopped: Callable[[], bool] = lambda: False,
    redact: Callable[[str], str] = str,
) -> Execution:
    """Run a notebook in a kernel of this interpreter.

    Args:
        source: the notebook.
        target: the executed copy; its directory exists. Paths and numbers that stand in it are
            those of the parameters: never hand over anything secret.
        parameters: replace those of the cell tagged `parameters`.
        cell_timeout_s: seconds after which a cell is interrupted; the next ones run all the same.
        stopped: asked all the time; once true, the kernel is killed at once.
        redact: takes secrets out of the executed copy, as a net: the kernel knows none.
    """
    began = time.monotonic()
    target.unlink(missing_ok=True)
    if stopped():
        return Execution(target, error="stopped", stopped=True)
    with own_directory() as place:
        raw = place / target.name
        run = _Run(source, raw, dict(parameters), cell_timeout_s, place)
        error = run.until_done_or(stopped)
        _tidy(raw, target, redact)
    executed = Execution(
        target,
        failed_cells(target),
        redact(error)[:_LONGEST_REASON],
        stopped=run.was_stopped,
        elapsed_s=round(time.monotonic() - began, 2),
    )
    log.info(
        "notebook.executed",
        notebook=target.name,
        failed_cells=len(executed.failed_cells),
        error=executed.error or None,
        elapsed_s=executed.elapsed_s,
    )
    return executed


def _tidy(raw: Path, target: Path, redact: Callable[[str], str]) -> None:
    """Keep an executed copy, without papermill's banners: they name the first failure only."""
    try:
        content = json.loads(raw.read_text(encoding="utf-8"))
        content["cells"] = [
            cell
            for cell in content["cells"]
            if _BANNER not in cell.get("metadata", {}).get("tags", ())
        ]
        content["metadata"]["papermill"]["output_path"] = str(target)
    except (OSError, ValueError, LookupError):
        return
    write_text(target, json.dumps(masked(content, redact), indent=1, ensure_ascii=False))


def failed_cells(notebook: Path) -> tuple[tuple[int, str], ...]:
    """Return index and error of the cells of an executed notebook that failed."""
    return tuple(
        (index, f"{output.get('ename')}: {output.get('evalue')}"[:_LONGEST_REASON])
        for index, cell in enumerate(_cells(notebook))
        for output in cell.get("outputs", ())
        if output.get("output_type") == "error"
    )


def _cells(notebook: Path) -> list[dict[str, Any]]:
    try:
        cells: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return cells


class _Run:
    """One execution: papermill in a thread, so that this one can look at the clock and the stop."""

    def __init__(
        self,
        source: Path,
        target: Path,
        parameters: dict[str, Any],
        cell_timeout_s: int,
        place: Path,
    ) -> None:
        self._source = source
        self._target = target
        self._parameters = parameters
        self._cell_timeout_s = cell_timeout_s
        self._place = place
        self._kernel: type[ScrubbedKernel] | None = None
        self._cell_began: float | None = None
        self.was_stopped = False

    def until_done_or(self, stopped: Callable[[], bool]) -> str:
        """Return why the notebook could not run to its end; empty if it did."""
        with ThreadPoolExecutor(1, thread_name_prefix="notebook") as pool:
            future = pool.submit(self._papermill)
            while not future.done():
                self.was_stopped = self.was_stopped or stopped()
                overdue = self._overdue()
                if self.was_stopped or overdue:
                    self._kill()
                time.sleep(_LOOK_S)
        if self.was_stopped:
            return "stopped"
        return future.result()

    def _overdue(self) -> bool:
        began = self._cell_began
        most = self._cell_timeout_s + _OVERTIME_S
        return began is not None and time.monotonic() - began > most

    def _kill(self) -> None:
        kernel = self._kernel.started if self._kernel else None
        if kernel is not None:
            kernel.kill()

    def _papermill(self) -> str:
        try:
            from jupyter_core.utils import ensure_event_loop  # noqa: PLC0415 - heavy

            with closing(ensure_event_loop()):  # of this thread; nobody else closes it
                self._execute()
        except ImportError as error:
            return f"{error.name or error} is not installed"
        except Exception as error:  # noqa: BLE001 - whatever papermill and the kernel may raise
            return self._reason(error)
        return ""

    def _execute(self) -> None:
        import papermill  # noqa: PLC0415 - heavy
        from papermill.exceptions import PapermillExecutionError  # noqa: PLC0415 - as above

        from runner.quality.report.kernels import ScrubbedKernel  # noqa: PLC0415 - brings jupyter_client

        self._kernel = ScrubbedKernel.in_place(self._place)
        with suppress(PapermillExecutionError):  # cells that failed stand in the executed copy
            papermill.execute_notebook(
                str(self._source),
                str(self._target),
                parameters=self._parameters,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                log_output=False,
                start_timeout=_START_S,
                execution_timeout=self._cell_timeout_s,
                autosave_cell_every=0,
                kernel_manager_class=self._kernel,
                allow_errors=True,
                interrupt_on_timeout=True,
                shutdown_kernel="immediate",
                on_cell_execute=self._note_begin,
                on_cell_executed=self._note_end,
            )

    def _note_begin(self, **_about: Any) -> None:
        self._cell_began = time.monotonic()

    def _note_end(self, **_about: Any) -> None:
        self._cell_began = None

    def _reason(self, error: Exception) -> str:
        """Return what kept a notebook from running; the kernel's last words say more than we do."""
        kernel = self._kernel.started if self._kernel else None
        said = ""
        if kernel is not None and kernel.stderr_file.is_file():
            lines = kernel.stderr_file.read_text("utf-8", errors="replace").strip().splitlines()
            said = lines[-1] if lines else ""
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        return f"{first} ({said})" if said else first
