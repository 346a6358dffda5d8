"""What values the settings of `job=stations` may have, beyond their types and ranges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runner.core.country import corners_of
from runner.settings import Config, JobName, SourceKind

FILES = (".json", ".jsonl", ".ndjson", ".csv")


def broken_discovery_rules(config: Config) -> Iterator[str]:
    """Yield a line for every value that is not possible: key, value, what is allowed."""
    for label, text in config.country.parts.items():
        try:
            corners_of(text)
        except ValueError as error:
            yield f"country.parts.{label}: {error}"
    if config.job.name is not JobName.stations:
        return
    file = config.discover.file
    if file is not None:
        if not Path(file).is_file():
            yield f"discover.file={file}: there is no such file"
        elif Path(file).suffix.lower() not in FILES:
            yield f"discover.file={file}: its name must end in one of {', '.join(FILES)}"
    elif config.source.kind not in (SourceKind.aqicn, SourceKind.aqicn_live, SourceKind.sandbox):
        yield (
            f"job=stations asks AQICN's API (source=aqicn) or reads discover.file=PATH; "
            f"source={config.source.kind.name} knows no stations"
        )
    elif not (config.country.parts or config.stations.bbox or config.stations.ids) and any(
        selector.bbox is None for selector in config.stations.selectors.values()
    ):
        yield "country=anywhere needs a box: stations.bbox=[20.9,105.7,21.2,106.0]"
