"""The document that users of the job know, read: its sections, snippets, tables and examples.

What the tests expect is taken from the document when they run; nothing of it is written down here.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pymongo.database import Database

from tests.product.product import SHARED

DOCUMENT = Path(SHARED, "contract", "backfill_job.md")

_TOKEN = re.compile(
    r"""\s*(?:(?P<comment>(?://|\#)[^\n]*)
        |(?P<text>"[^"\n]*"|'[^'\n]*')
        |(?P<number>-?\d+(?:\.\d+)?)
        |(?P<name>[$\w]+)
        |(?P<mark>[{}\[\]():,.=]))""",
    re.VERBOSE,
)
_WORDS = {"null": None, "None": None, "true": True, "false": False}


@dataclass(frozen=True)
class Contract:
    """The document.

    Attributes:
        sections: text by the last heading above it.
    """

    sections: Mapping[str, str]

    @classmethod
    def read(cls) -> Contract:
        """Read the document."""
        parts = re.split(
            r"^#+ (.*)$", _outside_code(DOCUMENT.read_text("utf-8")), flags=re.MULTILINE
        )
        return cls({name: _inside(text) for name, text in zip(parts[1::2], parts[2::2])})  # noqa: B905

    def section(self, name: str) -> str:
        """Return the text below the heading that holds the name."""
        (found,) = [text for heading, text in self.sections.items() if name in heading]
        return found

    def snippets(self, name: str, language: str = r"\w*") -> list[str]:
        """Return the code blocks of a section."""
        found = re.findall(
            rf"^ *```{language}\n(.*?)^ *```", self.section(name), re.DOTALL | re.MULTILINE
        )
        return [textwrap.dedent(text) for text in found]

    def table(self, name: str) -> list[list[str]]:
        """Return the rows of the table of a section, without its head."""
        lines = [line for line in self.section(name).splitlines() if line.startswith("|")]
        return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines[2:]]

    def terms(self, name: str) -> dict[str, str]:
        """Return what a section says of the words that it prints in bold."""
        return dict(re.findall(r"\*\*(.+?)\*\*: (.*)", self.section(name)))


def _outside_code(text: str) -> str:
    """Hide comments of code blocks, which look like headings."""

    def hide(found: re.Match[str]) -> str:
        return found[0].replace("#", "\x01")

    return re.sub(r"^ *```.*?^ *```", hide, text, flags=re.DOTALL | re.MULTILINE)


def _inside(text: str) -> str:
    return text.replace("\x01", "#")


@dataclass
class Snippet:
    """Literals and method calls of mongosh or Python, one after the other.

    Attributes:
        text: of the snippet.
        names: values of the variables in it.
    """

    text: str
    names: Mapping[str, Any] = field(default_factory=dict)
    _tokens: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for found in _TOKEN.finditer(self.text):
            kind = str(found.lastgroup)
            if kind != "comment":
                self._tokens.append((kind, found[kind]))

    def value(self) -> Any:
        """Take the next literal."""
        kind, token = self._tokens.pop(0)
        if kind == "text":
            return token[1:-1]
        if kind == "number":
            return float(token) if "." in token else int(token)
        if token == "{":
            return dict(self._entries())
        if token == "[":
            return self._list("]")
        if token == "ISODate":
            self._tokens.pop(0)
            (text,) = self._list(")")
            return datetime.fromisoformat(text)
        return _WORDS[token] if token in _WORDS else self.names[token]

    def after(self, *names: str) -> Snippet:
        """Leave out all up to these tokens, and return the rest."""
        for at in range(len(self._tokens)):
            if tuple(token for _kind, token in self._tokens[at : at + len(names)]) == names:
                del self._tokens[: at + len(names)]
                return self
        raise LookupError(names)

    def run(self, database: Database[dict[str, Any]]) -> list[Any]:
        """Run every `db.collection.method(...)` as mongosh does, and return the results."""
        results = []
        while any(token == "db" for _kind, token in self._tokens):
            self.after("db", ".")
            target: Any = database[self._tokens.pop(0)[1]]
            while self._tokens and self._tokens[0][1] == ".":
                self._tokens.pop(0)
                method = re.sub(r"([A-Z])", r"_\1", self._tokens.pop(0)[1]).lower()
                self._tokens.pop(0)
                given = self._list(")")
                if method == "sort":
                    given = [[*given[0].items()]]
                target = getattr(target, method)(*given)
            results.append(target)
        return results

    def _entries(self) -> Any:
        while True:
            _kind, name = self._tokens.pop(0)
            if name == "}":
                return
            if name == ",":
                continue
            self._tokens.pop(0)  # the colon
            yield name.strip("\"'"), self.value()

    def _list(self, end: str) -> list[Any]:
        found = []
        while self._tokens[0][1] != end:
            if self._tokens[0][1] == ",":
                self._tokens.pop(0)
            else:
                found.append(self.value())
        self._tokens.pop(0)
        return found
