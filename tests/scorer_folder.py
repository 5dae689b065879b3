"""Scorer folders as tests need them: a `scorer.toml` that is right but for what a test changes."""

import hashlib
import json
from pathlib import Path
from typing import Any

SCORER = {
    "name": "",
    "version": 1,
    "kind": "QUALITY",
    "direction": "HIGHER_IS_BETTER",
    "range": [0, 1],
    "summary": "A test's scorer.",
    "licence": "Apache-2.0",
}
ENCODER = {"kind": "ENCODER", "direction": None, "range": None}
Table = dict[str, Any]


def write_scorer(
    models: Path,
    name: str,
    /,
    graph: bytes | None = b"graph",
    tables: dict[str, Table | None] | None = None,
    **keys: object,
) -> Path:
    """Write one scorer's folder and return it.

    Args:
        graph: content of model.onnx, whose digest goes into scorer.toml; None writes no graph.
        tables: replace tables, by names such as `graph.cpu`; None takes one out.
        keys: replace keys at the top; None takes one out.
    """
    folder = models / name
    folder.mkdir(parents=True)
    digest = hashlib.sha256(graph or b"").hexdigest()
    if graph is not None:
        (folder / "model.onnx").write_bytes(graph)
    all_tables = {"graph": {"sha256": digest}, "image": {"steps": []}} | (tables or {})
    lines = _lines(SCORER | {"name": name} | keys)
    for table, values in all_tables.items():
        lines += [] if values is None else [f"[{table}]", *_lines(values)]
    (folder / "scorer.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_head(models: Path, name: str, encoder: str, graph: bytes | None = b"head", **keys: Any) -> Path:
    """Write the folder of a head on `encoder` and return it."""
    return write_scorer(models, name, graph, **{"encoder": encoder, "tables": {"image": None}} | keys)


def _lines(values: Table) -> list[str]:
    """Write keys as TOML, which is JSON for all values that tests use but tables."""
    return [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value) if isinstance(value, float) else json.dumps(value)
