"""The checks, a file per family. May import the rest of quality, sources, process, config, core."""

from __future__ import annotations

from runner.quality.catalogue import REGISTRY, Check


def checks() -> dict[str, Check]:
    """Return all checks by id, sorted."""
    from runner.quality.checks import (  # noqa: F401, PLC0415 - they register their checks
        completeness,
        external,
        ledger,
        previous,
        rows,
        unusual,
    )

    return dict(sorted(REGISTRY.items()))
