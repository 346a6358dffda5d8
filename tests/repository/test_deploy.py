"""What containers, Kubernetes and CI are given agrees with the program, as far as files show it."""

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from runner import __version__
from runner.config.files import options
from runner.core.errors import Exit

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]


def documents(name: str) -> list[Any]:
    return [*yaml.safe_load_all((REPOSITORY / name).read_text("utf-8"))]


def pod() -> tuple[dict[str, Any], dict[str, Any]]:
    (job,) = (
        one["spec"]
        for one in documents("deploy/kubernetes/cronjob.yaml")
        if one["kind"] == "CronJob"
    )
    return job, job["jobTemplate"]["spec"]


def test_the_runtime_constraints_are_those_tested_and_complete_and_hold_no_tool_of_tests() -> None:
    spec = importlib.util.spec_from_file_location("made", REPOSITORY / ".ci" / "constraints_run.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    kept = (REPOSITORY / "constraints-run.txt").read_text("utf-8")
    assert kept == made.content((REPOSITORY / "constraints.txt").read_text("utf-8"))
    names = set(re.findall(r"^([\w.-]+)==", kept, re.MULTILINE))
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["report"]]
    assert {made.name(one) for one in wanted} <= names
    assert not {made.name(one) for one in PROJECT["optional-dependencies"]["dev"]} & names


def test_one_version_everywhere() -> None:
    assert PROJECT["version"] == __version__
    assert documents("CITATION.cff")[0]["version"] == __version__
    _job, template = pod()
    (container,) = template["template"]["spec"]["containers"]
    assert container["image"].endswith(f":{__version__}")
    newest = re.findall(
        r"^## \[([\d.]+)\]", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert newest[0] == __version__


def test_the_cronjob_does_with_exit_codes_what_the_program_means_by_them() -> None:
    job, template = pod()
    assert job["concurrencyPolicy"] == "Forbid"
    fails, ignored = template["podFailurePolicy"]["rules"]
    assert fails["action"] == "FailJob"
    never_again = {Exit.CONFIGURATION, Exit.QUALITY_GATE, Exit.INCOMPLETE}
    assert set(fails["onExitCodes"]["values"]) == never_again
    assert ignored["onPodConditions"][0]["type"] == "DisruptionTarget"
    spec = template["template"]["spec"]
    assert spec["restartPolicy"] == "Never"  # a failure policy wants it
    assert spec["terminationGracePeriodSeconds"] >= 120
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert not [one for one in container["env"] if "KEY" in one["name"] or "MONGO" in one["name"]]


def test_image_compose_and_cronjob_run_profiles_that_exist_as_nobody() -> None:
    file = (REPOSITORY / "Dockerfile").read_text("utf-8")
    assert re.search(
        r'^ENTRYPOINT \["/opt/runner/bin/python", "-m", "runner"\]$', file, re.MULTILINE
    )
    assert re.search(r"^USER \d+:\d+$", file, re.MULTILINE)
    assert "--require-hashes" in file
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", file, re.MULTILINE)
    assert [
        name for line in copied for name in line.split() if not (REPOSITORY / name).exists()
    ] == []
    kept = (REPOSITORY / ".dockerignore").read_text("utf-8")
    assert {name for line in copied for name in line.split()} <= set(
        re.findall(r"^!(\S+)$", kept, re.MULTILINE)
    )
    (compose,) = documents("compose.yaml")
    _job, template = pod()
    (container,) = template["template"]["spec"]["containers"]
    profiles = {one.name for one in options(REPOSITORY / "conf") if one.group == "profile"}
    for words in (compose["services"]["runner"]["command"], container["args"]):
        assert {word.partition("=")[2] for word in words if word.startswith("profile=")} <= profiles


def test_ci_runs_what_a_developer_runs() -> None:
    (workflow,) = documents(".github/workflows/ci.yml")
    commands = [step.get("run") for job in workflow["jobs"].values() for step in job["steps"]]
    assert ".ci/run" in commands
    assert workflow["permissions"] == {"contents": "read"}
