"""What is generated from the declarations: JSON Schemas for editors, a table for docs/settings.md.

`make schema` (`python -m runner.cli.schema`) writes both; `--schema [NAME]` prints one schema.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from runner.config.files import SCHEMAS, builtin_dir
from runner.config.keys import allowed_values, bounds_of, declared, is_section
from runner.sources.settings import all_settings

_WHOLE = ("profile", "config")
"""Schemas of files that may set everything: a profile, and conf/config.yaml."""
_TABLE = re.compile(r"(?<=\n\n)\| setting \|.*", re.DOTALL)


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a YAML file.

    Args:
        name: `profile`, `config`, or the group whose files it is for.
    """
    model = all_settings()
    kind: Any = model if name in _WHOLE else model.model_fields[name].annotation
    made = kind.model_json_schema()
    schema: dict[str, Any] = _inlined(made, made.get("$defs", {}))
    schema["properties"] = {
        "defaults": {
            "type": "array",
            "description": "options of other groups (`override /stations: hanoi`), or of this one",
        },
        **schema["properties"],
    }
    if name == "config":
        schema["properties"]["hydra"] = {"type": "object", "description": "Hydra's own settings"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema without references, titles and defaults of whole sections.

    Editors that know draft 7 ignore what stands beside a reference: the sentence of the setting.
    """
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = {**definitions[node["$ref"].rpartition("/")[2]], **node}
    return {
        key: _inlined(value, definitions)
        for key, value in node.items()
        if key not in ("$ref", "$defs")
        and not (key == "title" and isinstance(value, str))
        and not (key == "default" and isinstance(value, dict) and "properties" in node)
    }


def schema_text(name: str) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


def settings_table() -> str:
    """Return the reference of all settings, as a table in Markdown."""
    rows = [
        f"| `{key}` | {_default(field)} | {_allowed(field)} | {field.description} |"
        for key, field in declared(all_settings())
        if not is_section(field)
    ]
    head = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def default_text(field: FieldInfo) -> str:
    """Return the default of a setting as it is typed; empty if there is none to speak of."""
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or default in ([], {}, ""):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    return str(getattr(default, "value", default))


def _default(field: FieldInfo) -> str:
    text = default_text(field)
    return f"`{text}`" if text else ""


def _allowed(field: FieldInfo) -> str:
    bounds = bounds_of(field)
    if bounds:
        return f"{bounds[0]:,} to {bounds[1]:,} ({bounds[2]})"
    return ", ".join(f"`{word}`" for word in allowed_values(field))


def write_all(conf: Path, reference: Path) -> None:
    """Write all schemas and the table of the reference anew.

    Args:
        conf: directory of the YAML files.
        reference: docs/settings.md; what stands above its table stays.
    """
    (conf / "schema").mkdir(exist_ok=True)
    for name in SCHEMAS:
        (conf / "schema" / f"{name}.json").write_text(schema_text(name), encoding="utf-8")
    text = reference.read_text(encoding="utf-8")
    reference.write_text(_TABLE.sub(lambda _found: settings_table(), text), encoding="utf-8")


if __name__ == "__main__":
    write_all(builtin_dir(), Path(__file__).resolve().parents[2] / "docs" / "settings.md")
