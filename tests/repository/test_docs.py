"""What the documents say is true: commands compose, settings and files exist."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text("utf-8")
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
DOCUMENTS = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
COMMAND = re.compile(r"^(?:# )?(python -m runner\b.*)$", re.MULTILINE)


def commands() -> Iterator[str]:
    """Yield every command line of the documents and of the files' headers."""
    texts = [path.read_text("utf-8") for path in DOCUMENTS]
    texts += [path.read_text("utf-8") for path in sorted((REPOSITORY / "conf").rglob("*.yaml"))]
    for text in texts:
        for line in COMMAND.findall(text):
            yield re.split(r"  #| > ", line)[0].strip()


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_every_command_in_the_documents_composes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(command)[3:]
    if "hydra/launcher=ray" in words and not importlib.util.find_spec("ray"):
        pytest.skip("the extra ray is not installed")
    if "--help" in words or "--schema" in words:
        assert main(words) == 0
        return
    words = [word for word in words if word not in ("-m", "--multirun")]
    sweeps = [word for word in words if "," in word and "[" not in word]
    for sweep in sweeps:  # one option is enough to see that it composes; each has a test of its own
        words[words.index(sweep)] = sweep.split(",")[0]
    first = {"profile=glob(*)": "profile=none", "worker=range(8)": "worker=0"}
    words = [first.get(word, word) for word in words]
    assert main([*words, "--cfg", "job"]) == 0, capsys.readouterr().err


def test_the_readme_is_one_page_and_begins_with_make_demo() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    assert len(README.split()) <= 1300
    assert lines.index("make demo") < 30
    assert len(CONTRIBUTING.splitlines()) <= 120


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_the_documents_name_exists(document: Path) -> None:
    text = document.read_text("utf-8")
    named = re.findall(r"`((?:conf|runner|tests|notebooks|docs|benchmarks)/[\w./-]*[\w/])`", text)
    assert [n for n in named if "NAME" not in n and not (REPOSITORY / n).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_the_documents_leads_somewhere(document: Path) -> None:
    text = document.read_text("utf-8")
    links = re.findall(r"\]\((?!https?://)([^)#\s]+)", text)
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_document_is_in_the_index() -> None:
    index = REPOSITORY / "docs" / "index.md"
    linked = {
        (index.parent / link).resolve()
        for link in re.findall(r"\]\(([^)#]+\.md)\)", index.read_text("utf-8"))
    }
    assert {path.resolve() for path in DOCUMENTS} - linked - {index.resolve()} == {
        (REPOSITORY / "CONTRIBUTING.md").resolve()
    }


def test_every_folder_of_the_runner_is_on_the_map_and_nothing_else_is_at_its_top() -> None:
    inside = (REPOSITORY / "runner").iterdir()
    top = {path.name for path in inside if path.is_file() or any(path.rglob("*.py"))}
    line = re.search(r"^\*\*(cli -> .*)\*\*$", CONTRIBUTING, re.MULTILINE)
    assert line
    assert top == {*re.findall(r"\w+", line[1]), "__init__.py", "__main__.py"}
