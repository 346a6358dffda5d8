"""The settings of AQICN's API."""

from __future__ import annotations

from collections.abc import Iterator

from runner.config.section import Section, setting


class History(Section):
    """How the history endpoint is spelt."""

    path: str = setting(
        "/feed/{feed}/history",
        "the history endpoint, below the base URL; `{feed}` is `@1583`, or `A476599` for a citizen "
        "station",
    )
    start_param: str = setting("start", "parameter of the first instant, ISO 8601 UTC")
    end_param: str = setting("end", "parameter of the first instant after the window")
    token_param: str = setting("token", "parameter of the key")

    def broken(self) -> Iterator[str]:
        """Yield a line if the path cannot be one."""
        if "{feed}" not in self.path or not self.path.startswith("/"):
            yield f"source.history.path={self.path}: it starts with / and contains {{feed}}"
        if not self.path.isprintable() or " " in self.path:
            yield f"source.history.path={self.path!r}: there is a blank or the like in it"
