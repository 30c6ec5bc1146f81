"""What a declaration says to a person: a row, or all of it with an example. Made from the declaration alone."""

from __future__ import annotations

import json
from typing import Any

from ritesmith.models import JSON, HostFunction, Schema


def row(declaration: HostFunction) -> dict[str, JSON]:
    """Name, effect, whether a call may be repeated, what a grant narrows, and the description."""
    return {
        "name": declaration.name,
        "effect": declaration.effect,
        "reads": declaration.reads,
        "idempotent": declaration.idempotent,
        "repeatable": declaration.repeatable,
        "narrows": list(declaration.narrows),
        "description": declaration.description,
    }


def whole(declaration: HostFunction) -> dict[str, JSON]:
    """The row, the schemas, the codes of its errors, and an example grant with a call that lies inside it."""
    args = {
        name: _sample(declaration.input["properties"][name], name) for name in declaration.input.get("required", ())
    }
    grant = {key: _sample(schema, key) for key, schema in declaration.narrows.items() if "default" not in schema}
    return {
        **row(declaration),
        "outside": declaration.outside,
        "transactional": declaration.transactional,
        "narrows": declaration.narrows,
        "input": declaration.input,
        "output": declaration.output,
        "errors": ["bad_argument", *declaration.errors],
        "example": {
            "grants": {declaration.name: grant},
            "args": args,
            "call": f"{declaration.name}{_fields(args)}" if args else f"{declaration.name}{{}}",
        },
    }


def _sample(schema: Schema, name: str) -> JSON:
    """A value that fits: the schema's own example, or the plainest of its type. A text is the name of its place."""
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "default" in schema:
        return schema["default"]
    kinds = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "array":
        return [_sample(schema.get("items", {"type": "string"}), name.removesuffix("s"))]
    if kind == "object":
        return {key: _sample(schema["properties"][key], key) for key in schema.get("required", ())}
    plain: dict[str, JSON] = {"string": name, "boolean": True, "null": None}
    return plain.get(kind, min(max(1, schema.get("minimum", 1)), schema.get("maximum", 1)))


def _lua(value: Any) -> str:
    if isinstance(value, dict):
        return _fields(value) if value else "json.object{}"
    if isinstance(value, list):
        return "{" + ", ".join(map(_lua, value)) + "}"
    return "json.null" if value is None else json.dumps(value, ensure_ascii=False)


def _fields(value: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key} = {_lua(each)}" for key, each in value.items()) + "}"
