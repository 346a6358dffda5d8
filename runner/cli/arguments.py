"""The command line: checked before Hydra sees it, old flags answered with the way to write them."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.config.files import (
    GROUPS,
    PRIVATE_DIR_VARIABLE,
    SCHEMAS,
    builtin_dir,
    options,
    profile_slips,
    standard_checks,
)
from runner.core.errors import ConfigError
from runner.process.secrets import Environment


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag that `--hydra-help` lists.

    Attributes:
        names: its spellings.
        help: a sentence about it.
        values: the values allowed; any if empty.
        value: name of its value; empty for none.
        shows: what it shows instead of a run, as `Arguments.wants`; empty if it shows nothing.
    """

    names: tuple[str, ...]
    help: str
    values: tuple[str, ...] = ()
    value: str = ""
    shows: str = ""


_SWEEP = frozenset({"--multirun", "-m"})
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
FLAGS = (
    Flag(("--multirun", "-m"), "Run once for each of a=1,2, of a=range(8) and of a=glob(*)."),
    Flag(("--run", "-r"), "Run once, as without it."),
    Flag(("--cfg", "-c"), "Print the settings.", ("job", "hydra", "all"), "PART", "cfg"),
    Flag(("--resolve",), "With --cfg: replace references to other settings by their values."),
    Flag(("--package", "-p"), "With --cfg: print this part only, as stations.", (), "KEY"),
    Flag(("--config-dir", "-cd"), "Use your own YAML files, too.", (), "DIR"),
    Flag(("--info", "-i"), "Print how the settings are put together.", _INFO, "WHAT", "info"),
    Flag(
        ("--shell-completion", "-sc"),
        'Complete words with TAB: eval "$(runner -sc install=bash)".',
        (),
        "install=SHELL",
        "completion",
    ),
    Flag(("--hydra-help",), "Print this page.", shows="hydra-help"),
)
"""Flags that are Hydra's own in other programs; Hydra's parser reads only `sys.argv`."""
_BY_NAME = {name: flag for flag in FLAGS for name in flag.names}


def _stations(values: list[str]) -> str:
    """Return how stations are chosen here: by id, by the name of a group, or by their own."""
    groups = {one.name for one in options(builtin_dir()) if one.group == "stations"}
    if all(re.fullmatch(r"-?\d+", value) for value in values):
        return f"stations.ids=[{','.join(values) or 'ID'}]"
    if groups.issuperset(values):
        return f"stations=[{','.join(values)}]" if len(values) > 1 else f"stations={values[0]}"
    return shlex.quote(f"stations.name={' '.join(values)}")


_OLD_FLAGS: dict[str, Callable[[list[str]], str]] = {
    "--years": lambda values: f"backfill.years={_one(values, 'N')}",
    "--stations": _stations,
    "--start-date": lambda values: f"backfill.start_date={_one(values, 'DATE')}",
    "--end-date": lambda values: f"backfill.end_date={_one(values, 'DATE')}",
    "--batch-size": lambda values: f"backfill.batch_size={_one(values, 'HOURS')}",
    "--rate-limit": lambda values: f"rate_limit.delay_s={_one(values, 'SECONDS')}",
    "--dry-run": lambda _values: "dry_run=true",
    "--log-level": lambda values: f"log_level={_one(values, 'LEVEL').upper()}",
    "--verbose": lambda _values: "log_level=DEBUG",
    "--status": lambda _values: "job=status",
    "--reset": lambda _values: "job=reset",
    "--retry": lambda _values: "job=retry",
    "--resume": lambda _values: "",
}
"""Flags of the job this one replaces, and the override each became; empty for none."""

_DIRECTORIES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
_OF_HYDRA = (
    *(*_DIRECTORIES, "hydra/launcher"),
    *("hydra.launcher.n_jobs", "hydra.launcher.ray.init.address"),
    *("hydra.launcher.ray.init.num_cpus", "hydra.launcher.ray.remote.num_cpus"),
)
"""Hydra's own settings that may be set: where files go, and how a sweep's jobs are started."""

_SPELLINGS = {
    "--station": "--stations",
    "--station-id": "--stations",
    "--station-ids": "--stations",
    "--delay": "--rate-limit",
    "--rate-limit-delay": "--rate-limit",
    "--request-delay": "--rate-limit",
    "--retry-failed": "--retry",
    "-v": "--verbose",
    "--debug": "--verbose",
}


_SHORT = {"confirm": "job.confirm", "output": "job.output", "run": "job.run"}
"""Settings of jobs that are typed without their group: `job=prune confirm=true`."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command line that passed.

    Attributes:
        flags: those of FLAGS that were typed, each followed by its value.
        overrides: the other words, KEY=VALUE each.
        private_dir: directory of private YAML files, if any.
        repeated: flags that belong to the command that repeats the job.
        wants: "help", "version", "schema", "run", or what a flag shows.
        schema: name of the schema that is wanted.
    """

    flags: tuple[str, ...]
    overrides: tuple[str, ...]
    private_dir: Path | None
    repeated: tuple[str, ...]
    wants: str = "run"
    schema: str = "profile"

    @property
    def varies(self) -> bool:
        """Whether every value of a list is a job of its own."""
        return not _SWEEP.isdisjoint(self.flags)

    @property
    def is_sweep(self) -> bool:
        """Whether several jobs are to run."""
        return self.varies and self.wants == "run"

    def value(self, *names: str) -> str:
        """Return the value of a flag, given by any of its names; empty if it was not typed."""
        flags = iter(self.flags)
        return next((next(flags) for flag in flags if flag in names), "")

    @property
    def directories(self) -> list[Path]:
        """Where the YAML files are."""
        return [builtin_dir(), *([self.private_dir] if self.private_dir else [])]

    def profiles(self) -> list[Path]:
        """Return the files of the profiles named on the command line."""
        given = [word.partition("=")[2] for word in self.overrides if word.startswith("profile=")]
        names = {name for value in given for name in re.split(r"[^\w-]+", value) if name}
        paths = [path / "profile" / f"{name}.yaml" for path in self.directories for name in names]
        if any("*" in value for value in given) and self.private_dir:
            paths += sorted((self.private_dir / "profile").glob("*.yaml"))
        return [path for path in paths if path.is_file()]

    def explain(self, error: Exception) -> str:
        """Return what went wrong while these arguments were composed, in one to five lines."""
        from runner.cli.explain import explain  # noqa: PLC0415 - brings Hydra, which has failed by now

        slips = [slip for path in self.profiles() for slip in profile_slips(path)]
        return slips[0] if slips else explain(error, self.directories)


def parse(argv: Sequence[str], environment: Environment) -> Arguments:
    """Check a command line.

    Raises:
        ConfigError: an old or unknown flag, or a group or key that does not exist.
    """
    line = _Line()
    rest = list(argv)
    while rest:
        line.take(rest.pop(0), rest)
    composes = line.wants not in ("help", "version", "schema", "hydra-help")
    if composes:
        _refuse(line.old)
        for word in line.words:
            _check_override(word)
    if line.wants != "cfg":
        for flag in ("--resolve", "--package", "-p"):
            if flag in line.flags and composes:
                raise ConfigError(f"{flag} belongs to --cfg; write --cfg job {flag}")
    sweep = not _SWEEP.isdisjoint(line.flags)
    private = line.private_dir or environment.get(PRIVATE_DIR_VARIABLE)
    quote = composes and not sweep
    return Arguments(
        tuple(line.flags),
        tuple(map(_in_quotes, line.words) if quote else line.words),
        Path(private).expanduser().absolute() if private else None,
        (f"--config-dir={line.private_dir}",) if line.private_dir else (),
        line.wants,
        line.schema,
    )


@dataclass(slots=True)
class _Line:
    """A command line, taken apart word by word."""

    flags: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    old: list[tuple[str, str]] = field(default_factory=list)
    private_dir: str = ""
    wants: str = "run"
    schema: str = "profile"

    def take(self, word: str, rest: list[str]) -> None:
        """Sort a word; words of the rest that belong to it are taken, too."""
        if not _is_flag(word):
            name, has_value, value = word.partition("=")
            if name in ("rejects", "job.rejects"):  # job=replay once demanded it
                raise ConfigError(
                    f"{word} is not a setting; leave it out: job=replay tries the rejected records"
                    " again"
                )
            self.words.append(f"{_SHORT.get(name, name)}{has_value}{value}")
            return
        typed, has_value, value = word.partition("=")
        flag = _modern(typed)
        if flag in ("--help", "-h", "--version"):
            self._show("version" if flag == "--version" else "help")
        elif flag == "--schema":
            self._show("schema")
            self.schema = _schema_named(value if has_value else _value_if_any(rest))
        elif flag in _OLD_FLAGS:
            values = [value] if has_value else _values(rest)
            shown = word if has_value else " ".join([word, *values])
            parts = [part for item in values for part in re.split(r"[\s,]+", item) if part]
            self.old.append((shown, _OLD_FLAGS[flag](parts)))
        elif flag in ("--config-dir", "-cd"):
            self.private_dir = value if has_value else _value_of(flag, rest)
        elif flag in _BY_NAME:
            known = _BY_NAME[flag]
            self._show(known.shows)
            self.flags.append(flag)
            if known.value:
                self.flags.append(value if has_value else _value_of(flag, rest))
                _check_value(flag, self.flags[-1])
            elif has_value:
                raise ConfigError(f"{flag} takes no value")
        else:
            raise _unknown_flag(flag)

    def _show(self, what: str) -> None:
        """Note what to show instead of a run; a page of help comes first."""
        if not what or self.wants in ("help", "version"):
            return
        if self.wants not in ("run", what) and what not in ("help", "version"):
            raise ConfigError("one of --cfg, --info, --shell-completion, --schema at a time")
        self.wants = what


def _is_flag(word: str) -> bool:
    return word.startswith("-") and not re.fullmatch(r"-\d+", word)


def _one(values: Sequence[str], placeholder: str) -> str:
    return values[0] if values else placeholder


def _values(rest: list[str]) -> list[str]:
    """Take the words that belong to an old flag."""
    values = []
    while rest and not _is_flag(rest[0]) and "=" not in rest[0]:
        values.append(rest.pop(0))
    return values


def _value_if_any(rest: list[str]) -> str:
    return rest.pop(0) if rest and not _is_flag(rest[0]) and "=" not in rest[0] else "profile"


def _schema_named(name: str) -> str:
    if name not in SCHEMAS:
        raise ConfigError(f"--schema {name}: there are {', '.join(SCHEMAS)}")
    return name


def _value_of(flag: str, rest: list[str]) -> str:
    allowed = _BY_NAME[flag].values
    if rest and (not allowed or rest[0] in allowed) and not _is_flag(rest[0]):
        return rest.pop(0)
    if allowed is _INFO:
        return "all"
    raise ConfigError(f"{flag} needs a value: {' or '.join(allowed) or 'as in --hydra-help'}")


def _check_value(flag: str, value: str) -> None:
    allowed = _BY_NAME[flag].values
    if allowed and value not in allowed:
        raise ConfigError(f"{flag}={value}: write {' or '.join(allowed)}")


def _refuse(old: Sequence[tuple[str, str]]) -> None:
    if old:
        typed = " ".join(item[0] for item in old)
        overrides = " ".join(dict.fromkeys(item[1] for item in old if item[1]))
        instead = f"write: {overrides}" if overrides else "leave it out, every run resumes"
        options = "are not options" if len(old) > 1 else "is not an option"
        raise ConfigError(f"{typed} {options} here; {instead}")


def _modern(flag: str) -> str:
    """Return the spelling of a flag that the tables know, if it is meant to be one of them."""
    if flag in _BY_NAME:
        return flag
    hyphened = flag.replace("_", "-")
    known = [*_OLD_FLAGS, *_SPELLINGS]
    close = difflib.get_close_matches(hyphened, known, n=1, cutoff=0.85)
    return _SPELLINGS.get(close[0], close[0]) if close else hyphened


def _unknown_flag(flag: str) -> ConfigError:
    from runner.config.keys import known_keys  # noqa: PLC0415 - brings pydantic, which --help does without
    from runner.sources.settings import all_settings  # noqa: PLC0415 - as above

    known = [name for name in (*_BY_NAME, "--help", "--version", "--schema") if name[1] == "-"]
    close = difflib.get_close_matches(flag, known, n=1, cutoff=0.75)
    name = flag.lstrip("-").replace("-", "_")
    settings = [
        key for key in (*known_keys(all_settings()), "profile") if key.rpartition(".")[2] == name
    ]
    if settings:
        return ConfigError(f"{flag} is not an option here; write: {settings[0]}=VALUE")
    if close:
        return ConfigError(f"there is no option {flag}; did you mean {close[0]}?")
    return ConfigError(
        f"there is no option {flag}", hint="Settings are written KEY=VALUE, see --help"
    )


def _in_quotes(word: str) -> str:
    """Quote a value that Hydra takes only in quotes: stations.name=Hà Nội, a path with {feed}."""
    from runner.config.keys import text_keys  # noqa: PLC0415 - as above
    from runner.sources.settings import all_settings  # noqa: PLC0415 - as above

    key, _, value = word.partition("=")
    if not value or value[0] in "\"'[{" or "\\" in value or "${" in value:
        return word
    is_text = key in text_keys(all_settings()) or key in _DIRECTORIES
    special = is_text and re.search(r"[^\w./:@%+-]", value)
    if '"' in value:
        return f"{key}={quoted(value)}" if is_text else word
    return f'{key}="{value}"' if special or not value.isascii() else word


def literal(text: str) -> str:
    """Return text as OmegaConf stores it, with nothing in it taken for a reference to a setting."""
    return re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", text)


def quoted(text: str) -> str:
    """Return text as a value that Hydra and OmegaConf take as it is."""
    escaped = re.sub(
        r"(\\*)('|$)", lambda found: 2 * found[1] + (r"\'" if found[2] else ""), literal(text)
    )
    return f"'{escaped}'"


def _check_override(word: str) -> None:
    """Refuse what is not KEY=VALUE with a known key; Hydra would say worse, or take it."""
    name, has_value, value = word.partition("=")
    key = name.lstrip("+~")
    prefix = name[: len(name) - len(key)]
    if key.partition(".")[0].partition("/")[0] == "hydra":
        _check_hydra(key)
        return
    if "~" in prefix:
        raise ConfigError(f"{word}: settings cannot be taken away; see --help for their values")
    if not has_value:
        from runner.config.job import JobName  # noqa: PLC0415 - as above

        job = f"job={key}" if key in JobName.__members__ else "KEY=VALUE, as job=status"
        raise ConfigError(f"'{word}' is not a setting; write {job}", hint="See --help")
    if key in GROUPS:
        if prefix:
            raise ConfigError(f"{word}: write it without the {prefix}: {key}={value}")
        if value in ("", "null"):
            raise ConfigError(f"{key}= needs one of its options, see --help")
        if ".." in value:
            raise ConfigError(f"{word}: an option is a name, without ..")
        return
    _check_key(word, key, prefix)


def _check_hydra(key: str) -> None:
    """Refuse Hydra's own settings but for a few: others run code or copy secrets into files."""
    if key not in _OF_HYDRA:
        raise ConfigError(
            f"{key}: of Hydra's own settings there are only {', '.join(_OF_HYDRA)} here"
        )


def _check_key(word: str, key: str, prefix: str) -> None:
    from runner.config.keys import known_keys, mapping_of, unknown_key  # noqa: PLC0415 - as above
    from runner.config.quality import CheckRule, no_such_check  # noqa: PLC0415 - as above
    from runner.sources.settings import all_settings  # noqa: PLC0415 - as above

    mapping = mapping_of(key, all_settings())
    if mapping is None:
        if key not in known_keys(all_settings()):
            raise ConfigError(unknown_key(key, all_settings()))
        if prefix == "+":
            raise ConfigError(f"{word}: write it without the +: {word[1:]}")
    elif mapping == "stations.selectors":
        raise ConfigError(
            f"{key}: selectors are written in files, conf/stations/us_missions.yaml is one",
            hint="Here, stations.name and stations.bbox narrow the choice",
        )
    elif mapping == "quality.checks" and key != mapping:
        check_id = key.removeprefix(f"{mapping}.").partition(".")[0]
        if check_id not in standard_checks():
            raise ConfigError(f"{key}: {no_such_check(check_id, standard_checks())}")
        field = key.removeprefix(f"{mapping}.{check_id}").lstrip(".").partition(".")[0]
        if field and field not in CheckRule.model_fields:
            raise ConfigError(f"{key}: a check has {', '.join(CheckRule.model_fields)}")
    elif mapping != key and (number := key.removeprefix(f"{mapping}.")).lstrip("-").isdigit():
        entry = shlex.quote(f"+{mapping}={{{number}: {word.partition('=')[2]}}}")
        raise ConfigError(f"{word}: write {entry}")
    elif mapping == key and not prefix:
        raise ConfigError(f"{key}: names are added, not replaced; write '+{word}'")
