"""The report of a run, as the outcome of the run carries it."""

from __future__ import annotations

from dataclasses import dataclass

MOST_TOLD = 3


@dataclass(frozen=True, slots=True)
class Pages:
    """What became of the page and the notebooks.

    Attributes:
        path: of report.html; empty where it was not made.
        others: paths of the other pages.
        problems: what is not as it should be, although the page was made.
        error: why the page was not made; empty if it was.
        required: whether a page that was not made is a failure of the run.
    """

    path: str = ""
    others: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    error: str = ""
    required: bool = False

    @property
    def failed(self) -> bool:
        """Whether the process has to say so by its exit code."""
        return bool(self.error) and self.required

    @property
    def lines(self) -> list[str]:
        """What to tell a person, the page last."""
        told = [f"Report: {problem}" for problem in self.problems[:MOST_TOLD]]
        if len(self.problems) > MOST_TOLD:
            told.append(f"Report: {len(self.problems) - MOST_TOLD} more problems, see the log")
        if self.error:
            told.append(f"Report: NOT MADE: {self.error}; job=report tries again")
        return [*told, f"Report: {self.path}"] if self.path else told

    def to_json(self) -> dict[str, object]:
        """Return the form in outcome.json."""
        return {
            "path": self.path or None,
            "others": [*self.others],
            "problems": [*self.problems],
            "error": self.error or None,
        }
