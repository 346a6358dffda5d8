"""What notebook 01 shows: the documented validation queries and their answers.

The runner asks them and leaves query and answer in `quality/queries.json`, so that the notebook
needs no database and its kernel no address. An analyst who has MONGO_URI in the environment of
Jupyter gets the answers of now. Of a run that asked nothing the queries are shown all the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.core.errors import RunnerError
from runner.core.intervals import Interval
from runner.process.secrets import Secret
from runner.quality.report.html import Markup, paragraph, show, table
from runner.quality.report.run_files import RunFiles, open_run

NAME = "queries.json"
_PATIENCE_S = 10.0
_MOST_CELL = 160
_NOT_ASKED = (
    "The runner got no answers in this run: report=none does not ask, and a database may have been "
    "out of reach. With MONGO_URI in the environment of Jupyter they are asked here."
)


@dataclass(frozen=True)
class QueryPage:
    """The page; every method makes one piece of it.

    Attributes:
        run: the files.
        asked: queries and answers; empty where there are none.
        note: where the answers come from, or why there are none.
    """

    run: RunFiles
    asked: Mapping[str, Any]
    note: str

    @classmethod
    def of(cls, run_dir: str | Path | None = None) -> QueryPage:
        """Open a run; by default the newest one.

        Raises:
            ConfigError: there is none.
        """
        run = open_run(run_dir)
        stored = _stored(run.directory / NAME)
        when = stored.get("made_at", "the end of the run")
        asked = stored or _unasked(run)
        if not asked:
            return cls(run, {}, "The run looked at no station: there is nothing to ask.")
        if not os.environ.get("MONGO_URI"):
            origin = f"Answers of {when}, as the runner got them." if stored else _NOT_ASKED
            return cls(run, asked, origin)
        try:
            live = run_live(asked)
        except RunnerError as error:
            origin = (
                f"Answers of {when}; asking again failed: {error.message}"
                if stored
                else f"The database is out of reach, there are no answers to show: {error.message}"
            )
            return cls(run, asked, origin)
        return cls(run, live, f"Answers of {live['made_at']}, asked just now with MONGO_URI.")

    def introduction(self) -> Markup:
        """What this is, and where the answers come from."""
        database = self.asked.get("database", self.run.document["database"])
        return paragraph(
            f"Database {database}. Any query can be pasted into mongosh; none writes."
        ) + paragraph(self.note, "note")

    def answer(self, number: int) -> Markup:
        """Query and answer, by their place in the list, from 0."""
        queries = self.asked.get("queries", [])
        if number >= len(queries):
            return paragraph("No answer.", "note")
        one = queries[number]
        return show("query", one["title"], asked=one) + _answer(one)


def _answer(one: Mapping[str, Any]) -> Markup:
    if one["error"]:
        return paragraph(f"No answer: {one['error']}", "bad")
    rows = one["rows"]
    if not rows:
        return paragraph("No document.")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    made = table(columns, ([_cell(row.get(name)) for name in columns] for row in rows))
    return made + paragraph(f"The first {len(rows)} of more.") if one["more_rows"] else made


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)[:_MOST_CELL]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _stored(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _unasked(run: RunFiles) -> dict[str, Any]:
    """Return the queries about a run without answers; empty if it looked at no station."""
    if not run.stations:
        return {}
    from runner.store.queries import unanswered  # noqa: PLC0415 - brings pymongo

    ids = sorted(one["station_idx"] for one in run.stations)
    worst = run.stations[0]["station_idx"]
    return unanswered(run.document["database"], ids, worst, Interval(*run.window))


def run_live(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the queries again, with MONGO_URI from the environment of this process. Only reads.

    Args:
        stored: queries.json, for what was asked about.

    Raises:
        RunnerError: the database cannot be reached.
    """
    from runner.store.connection import connect  # noqa: PLC0415 - brings pymongo
    from runner.store.queries import Queries  # noqa: PLC0415 - as above

    here = Path()
    with connect(
        Secret(os.environ["MONGO_URI"]),
        stored["database"],
        timeout_s=_PATIENCE_S,
        embedded_dir=here,
        embedded_port=None,
        embedded_binary=None,
    ) as database:
        window = Interval(*stored["window"])
        return Queries(database).answers(stored["stations"], stored["station_idx"], window)
