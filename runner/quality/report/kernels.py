"""The kernel that runs a notebook: this interpreter, without anything secret around it.

Kernelspecs are not looked at. One that is missing, broken, or installed by someone else under the
name `python3` would decide which interpreter runs, with which packages.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

_PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONHOME"),
    *("FONTCONFIG_PATH", "FONTCONFIG_FILE", "POLARS_MAX_THREADS"),
)
"""Variables a Python process needs. All others stay behind: no list of secrets is complete."""

_LONGEST_SOCKET = 90
"""Bytes of a unix socket's path, less the suffix that is put to it; the system's limit is 108."""


def kernel_environment(environment: Mapping[str, str], place: Path) -> dict[str, str]:
    """Return the environment of a kernel: what is on the list, and where this package is.

    Args:
        environment: of this process.
        place: a directory of the kernel's own, in place of the person's IPython profile.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in _PASSED_ON or name.startswith("LC_")
    }
    here = str(Path(__file__).resolve().parents[3])
    paths = [here, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else a warning about the debugger, every time
        "IPYTHONDIR": str(place / "ipython"),
        "JUPYTER_CONFIG_DIR": str(place / "config"),
        "JUPYTER_RUNTIME_DIR": str(place),
    }


class ScrubbedKernel(AsyncKernelManager):
    """A kernel of this interpreter. `in_place` makes the class that one execution uses."""

    place: Path
    started: ScrubbedKernel | None

    @classmethod
    def in_place(cls, place: Path) -> type[ScrubbedKernel]:
        """Return a class whose kernel lives in a directory, and which knows what it started.

        Args:
            place: an existing directory, of this kernel only, readable by its owner only.
        """
        return type("KernelHere", (cls,), {"place": place, "started": None})

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.connection_file = str(self.place / "kernel.json")
        if len(os.fsencode(self.place)) < _LONGEST_SOCKET:
            self.transport = "ipc"  # sockets in a directory of ours, rather than open ports
            self.ip = str(self.place / "s")
        type(self).started = self

    @property
    def kernel_spec(self) -> KernelSpec:
        """This interpreter's own kernel."""
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(
            argv=[*argv, "--log-level=40"], display_name="Python 3", language="python"
        )

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # is an alias
        """Start the process; what it says on standard error goes to `stderr_file`."""
        with self.stderr_file.open("wb") as said:
            await self._async_start_kernel(
                **options,
                env=kernel_environment(os.environ, self.place),
                cwd=str(self.place),
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    @property
    def stderr_file(self) -> Path:
        """What the kernel said; the only trace of one that cannot start."""
        return self.place / "stderr"

    def kill(self) -> None:
        """End the process at once; may be called from any thread, at any time."""
        process = getattr(self.provisioner, "process", None)
        if process is not None:
            process.kill()
