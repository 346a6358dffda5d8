"""Looks up known vulnerabilities of what constraints.txt pins, where the service is reachable.

Ends with 1 where one was found, with 0 otherwise; where nobody could be asked it says so. The tool
has a virtual environment of its own, so that it brings nothing into the tested one.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import venv
from pathlib import Path

SERVICE = ("api.osv.dev", 443)
TOOL = "pip-audit==2.10.1"
LONGEST_S = 60


def main() -> int:
    """Audit, or say in one line why not."""
    try:
        socket.create_connection(SERVICE, timeout=5).close()
        report = ask(Path(".venv-audit"))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        sys.stdout.write(f"audit skipped: {SERVICE[0]} could not be asked ({error})\n")
        return 0
    found = list(vulnerabilities(report))
    sys.stdout.write("\n".join([*found, f"audit: {len(found)} known vulnerabilities"]) + "\n")
    return 1 if found else 0


def ask(place: Path) -> str:
    """Return the tool's report, JSON."""
    tool = place / "bin" / "pip-audit"
    if not tool.exists():
        venv.create(place, with_pip=True)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", TOOL]
        subprocess.run(pip, check=True, timeout=LONGEST_S)  # noqa: S603 - our own words
    words = ["--disable-pip", "--require-hashes", "--requirement", "constraints.txt"]
    how = ["--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(  # noqa: S603 - as above
        [str(tool), *words, *how], check=False, timeout=LONGEST_S, capture_output=True, text=True
    )
    return done.stdout


def vulnerabilities(report: str) -> list[str]:
    """Return a line for every one in a report; a ValueError where it is no report."""
    return [
        f"{item['name']} {item['version']}: {flaw['id']}, fixed in {flaw['fix_versions']}"
        for item in json.loads(report)["dependencies"]
        for flaw in item.get("vulns", [])
    ]


if __name__ == "__main__":
    sys.exit(main())
