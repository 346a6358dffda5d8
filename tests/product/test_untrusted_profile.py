"""A profile from a stranger configures a job, at worst: it runs nothing and learns no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.product.product import Runner

pytestmark = pytest.mark.slow

KEY = "canary-key-0a1b2c3d4e"
HEAD = "# @package _global_\n"
PLAN = ("job=plan", "stations.ids=[8641]", "source.history.path='/feed/{feed}/history'")

CODE = {
    "a callback": "hydra: {callbacks: {x: {_target_: pathlib.Path.touch, self: MARKER}}}",
    "the launcher": "hydra: {launcher: {_target_: pathlib.Path.touch, self: MARKER}}",
    "the sweeper": "hydra: {sweeper: {_target_: pathlib.Path.touch, self: MARKER}}",
    "a log handler": "hydra: {job_logging: {version: 1, root: {handlers: [h]}, handlers: "
    "{h: {class: logging.FileHandler, filename: MARKER}}}}",
    "a log factory": "hydra: {job_logging: {version: 1, root: {handlers: [h]}, handlers: "
    "{h: {(): logging.FileHandler, filename: MARKER}}}}",
    "the run directory": "hydra: {run: {dir: MARKER}}",
    "the environment": "hydra: {job: {env_set: {LD_PRELOAD: MARKER}}}",
    "a copied secret": "hydra: {job: {env_copy: [AQICN_API_KEY]}}",
    "an escaped name": '"\\x68ydra": {run: {dir: MARKER}}',
    "an aliased name": "dry_run: &h hydra\n*h : {run: {dir: MARKER}}",
    "a target anywhere": "_target_: os.system",
    "a target in a setting": "stations: {named: {_target_: os.system}}",
    "a python object": "log_level: !!python/object/apply:os.system ['touch MARKER']",
    "a python name": "log_level: !!python/name:os.system",
    "hydra in defaults": "defaults: [override /hydra/output: mine]",
    "a relocated group": "defaults: [/stations@hydra.callbacks: mine]",
    "a file elsewhere": "defaults: [../../elsewhere]",
    "a program": "mongo: {use_embedded: true, embedded: {binary: PROGRAM}}",
}

SECRETS = {
    "in an address": "source: {base_url: 'https://x.test/${oc.env:AQICN_API_KEY}'}",
    "in a name": "stations: {named: {12: '${oc.env:AQICN_API_KEY}'}}",
    "with a default": "stations: {named: {12: '${oc.env:AQICN_API_KEY,none}'}}",
    "decoded": "stations: {named: {12: '${oc.decode:${oc.env:AQICN_API_KEY}}'}}",
    "by a composed name": "stations: {named: {12: '${oc.env:AQICN_${log_level}}'}, "
    "name: '${oc.env:${oc.decode:AQICN_API_KEY}}'}",
    "by another name": "stations: {named: {12: '${oc.env:COPY_OF_THE_KEY}'}}",
    "the database": "mongo: {database: '${oc.env:MONGO_URI}'}",
}

BOMBS = {
    "billion laughs": "a0: &a0 [x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
    "deep nesting": "stations: " + "[" * 5000 + "]" * 5000,
    "nesting not too deep for Python": "stations: " + "{a: " * 60 + "1" + "}" * 60,
    "a list that holds itself": "stations: &a [*a]",
    "a huge file": "#" * 2_000_000,
}


def write(directory: Path, text: str, name: str = "profile/mine.yaml") -> None:
    path = directory / "private" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def refuse(runner: Runner, *arguments: str) -> str:
    """Run, and assert that it was refused shortly, that nothing ran, and that no secret is left."""
    done = runner(
        *PLAN,
        *arguments,
        expect=2,
        RUNNER_CONF_DIR=str(runner.directory / "private"),
        AQICN_API_KEY=KEY,
        COPY_OF_THE_KEY=KEY,
    )
    assert 1 <= len(done.stderr.strip().splitlines()) <= 5, done.stderr
    assert len(done.stderr) < 1000
    assert "Traceback" not in done.stderr
    assert not (runner.directory / "marker").exists()
    assert KEY not in done.stdout + done.stderr
    leaks = [path for path in runner.directory.rglob("*") if path.is_file() and leaks_in(path)]
    assert leaks == []
    return done.stderr


def leaks_in(path: Path) -> bool:
    return KEY in path.read_text("utf-8", errors="replace")


@pytest.mark.parametrize("way", CODE)
def test_a_profile_runs_no_code(runner: Runner, way: str) -> None:
    program = runner.directory / "program"
    program.write_text(f"#!/bin/sh\ntouch {runner.directory}/marker\n", encoding="utf-8")
    program.chmod(0o755)
    marker = str(runner.directory / "marker")
    text = CODE[way].replace("MARKER", marker).replace("PROGRAM", str(program))
    write(runner.directory, f"{HEAD}# Mine\n{text}\n")
    refuse(runner, "profile=mine")


@pytest.mark.parametrize("words", [(), ("-m", "backfill.batch_size=24,48")])
def test_a_private_file_of_a_group_of_hydras_is_not_chosen(
    runner: Runner, words: tuple[str, ...]
) -> None:
    marker = str(runner.directory / "marker")
    code = f"x: {{_target_: pathlib.Path.touch, self: {marker}}}\n"
    write(runner.directory, code, "hydra/callbacks/mine.yaml")
    write(runner.directory, f"{HEAD}# Mine\ndefaults: [override /hydra/callbacks: mine]\n")
    assert "section 'hydra'" in refuse(runner, "profile=mine", *words)


def test_a_private_group_is_not_put_into_hydras_section(runner: Runner) -> None:
    write(runner.directory, "# @package hydra.callbacks\nx: {a: 1}\n", "stations/mine.yaml")
    assert "section 'hydra'" in refuse(runner, "stations=mine")


def test_a_private_group_behind_a_link_is_looked_at_too(runner: Runner, tmp_path: Path) -> None:
    write(tmp_path / "other", f"{HEAD}hydra: {{run: {{dir: elsewhere}}}}\n")
    (runner.directory / "private").mkdir()
    (runner.directory / "private" / "profile").symlink_to(tmp_path / "other/private/profile")
    assert "section 'hydra'" in refuse(runner, "profile=mine")


@pytest.mark.parametrize("way", SECRETS)
def test_a_profile_learns_no_secret(runner: Runner, way: str) -> None:
    write(runner.directory, f"{HEAD}# Mine\n{SECRETS[way]}\n")
    refuse(runner, "profile=mine")


ELSEWHERE = {
    "aqicn": "source: {base_url: 'https://example.test'}",
    "a host that begins like it": "source: {base_url: 'https://api.waqi.info.example.test'}",
    "openaq": "defaults: [override /source: openaq]\nsource: {base_url: 'https://api.waqi.info'}",
    "in the clear": "source: {base_url: 'http://api.waqi.info', allow_http: true}",
}


@pytest.mark.parametrize("way", ELSEWHERE)
@pytest.mark.parametrize("job", ["plan", "backfill"])
def test_a_profile_sends_the_key_to_no_stranger_and_never_unencrypted(
    runner: Runner, way: str, job: str
) -> None:
    write(runner.directory, f"{HEAD}# Mine\n{ELSEWHERE[way]}\n")
    said = refuse(runner, "profile=mine", f"job={job}")
    hint = {
        "in the clear": "source.allow_http=true",
        "openaq": "source.base_url=https://api.waqi.info",
        "aqicn": "source.base_url=https://example.test",
    }.get(way, "source.base_url=https://api.waqi.info.example.test")
    assert said.rstrip().endswith(hint)


def test_a_sweep_refuses_it_before_its_first_job(runner: Runner) -> None:
    write(runner.directory, f"{HEAD}# Mine\n{ELSEWHERE['aqicn']}\n")
    assert "example.test" in refuse(runner, "-m", "profile=mine,none")


def plan_of(runner: Runner, *words: str) -> tuple[str, dict[str, str] | None]:
    """Return what the plan says of the key, on the terminal and in plan.json."""
    done = runner(
        *PLAN,
        *words,
        expect=0,
        RUNNER_CONF_DIR=str(runner.directory / "private"),
        AQICN_API_KEY=KEY,
        OPENAQ_API_KEY=KEY,
    )
    lines = [line.strip() for line in done.stdout.splitlines() if line.startswith("  key ")]
    assert len(lines) <= 1
    return "".join(lines), runner.last_json("plan.json")["key"]


@pytest.mark.parametrize(
    ("text", "words", "name", "host", "clear"),
    [
        ("", [], "AQICN_API_KEY", "api.waqi.info", False),
        ("", ["source=openaq"], "OPENAQ_API_KEY", "api.openaq.org", False),
        (ELSEWHERE["aqicn"], ["source.base_url=https://example.test"], "AQICN_API_KEY",
         "example.test", False),
        ("", ["source.base_url=https://example.test:8443/v2"], "AQICN_API_KEY",
         "example.test:8443", False),
        (ELSEWHERE["in the clear"], ["source.allow_http=true"], "AQICN_API_KEY",
         "api.waqi.info", True),
        ("source: {base_url: 'http://127.0.0.1:1'}", [], "AQICN_API_KEY", "127.0.0.1:1", True),
    ],
)  # fmt: skip
def test_the_plan_says_where_the_key_goes(
    runner: Runner, text: str, words: list[str], name: str, host: str, clear: bool
) -> None:
    write(runner.directory, f"{HEAD}# Mine\n{text or 'dry_run: false'}\n")
    line, kept = plan_of(runner, "profile=mine", *words)
    assert line.split(maxsplit=1)[1].startswith(f"{name} goes to {host}")
    assert ("unencrypted" in line) == clear
    assert kept == {"name": name, "host": host}


def test_a_source_without_a_key_sends_none_and_is_not_asked_about_hosts(runner: Runner) -> None:
    write(runner.directory, f"{HEAD}# Mine\nsource: {{base_url: 'https://example.test'}}\n")
    assert plan_of(runner, "profile=mine", "source=sandbox") == ("", None)


def test_a_secret_is_not_shown_with_the_composed_configuration(runner: Runner) -> None:
    write(runner.directory, f"{HEAD}# Mine\n{SECRETS['in a name']}\n")
    refuse(runner, "profile=mine", "--cfg", "job", "--resolve")


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_profile_that_is_a_bomb_is_refused_soon(runner: Runner, bomb: str) -> None:
    write(runner.directory, f"{HEAD}# Mine\n{BOMBS[bomb]}\n")
    refuse(runner, "profile=mine")


@pytest.mark.parametrize(
    "words",
    [
        ["+hydra.callbacks.x._target_=pathlib.Path.touch", "+hydra.callbacks.x.self=marker"],
        ["hydra={run: {dir: marker}}"],
        ["hydra.job.env_copy=[AQICN_API_KEY]"],
        ["+hydra.job.env_set.LD_PRELOAD=marker"],
        ["hydra/job_logging=default"],
        ["hydra.searchpath=[file://elsewhere]"],
        ["hydra.run.dir=runs/${oc.env:AQICN_API_KEY}"],
        ["stations.name=${oc.env:AQICN_API_KEY}"],
        ["+_target_=os.system"],
        ["+stations@hydra.callbacks=all"],
        ["profile=../../elsewhere"],
    ],
    ids=lambda words: words[0],
)
def test_the_command_line_names_no_code_and_tells_no_secret(
    runner: Runner, words: list[str]
) -> None:
    (runner.directory / "private").mkdir()
    refuse(runner, *words)


def test_an_ordinary_variable_may_be_used_and_a_mapping_anchor_too(runner: Runner) -> None:
    write(
        runner.directory,
        f"{HEAD}# Mine\nmongo: {{database: '${{oc.env:OF_MINE,other}}'}}\n"
        "stations: {named: &n {12: Mine}}\n",
    )
    done = runner(
        "profile=mine",
        "--cfg",
        "job",
        "--resolve",
        RUNNER_CONF_DIR=str(runner.directory / "private"),
        OF_MINE="of_mine",
    )
    assert "database: of_mine" in done.stdout
