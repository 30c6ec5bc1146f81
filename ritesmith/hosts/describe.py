"""What a declaration says to a person: a row, or all of it with an example. Made from the declaration alone."""

from __future__ import annotations

import json
from typing import Any

from ritesmith.hosts.mcp_tools import LUA_WORDS
from ritesmith.models import JSON, HostFunction, Schema


def row(declaration: HostFunction) -> dict[str, JSON]:
    """Name, effect, whether a call may be repeated, what a grant narrows, the description, and why it is refused."""
    return {
        "name": declaration.name,
        "effect": declaration.effect,
        "reads": declaration.reads,
        "idempotent": declaration.idempotent,
        "repeatable": declaration.repeatable,
        "narrows": list(declaration.narrows),
        "description": declaration.description,
        "unusable": declaration.unusable,
    }


def whole(declaration: HostFunction) -> dict[str, JSON]:
    """The row, the schemas, the codes of its errors, and an example grant with a call that lies inside it."""
    args = _samples(declaration.input)
    grant = {key: sample(schema, key) for key, schema in declaration.narrows.items() if "default" not in schema}
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


def sample(schema: Schema, name: str) -> JSON:
    """A value that fits: the schema's own example, or the plainest of its type. A text is the name of its place."""
    if not isinstance(schema, dict):
        return {}
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "const" in schema:
        return schema["const"]
    if "default" in schema:
        return schema["default"]
    kinds = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "array":
        return [sample(schema.get("items", {"type": "string"}), name.removesuffix("s"))]
    if kind == "object":
        return _samples(schema)
    plain: dict[str, JSON] = {"string": name, "boolean": True, "null": None}
    return plain.get(kind, min(max(1, schema.get("minimum", 1)), schema.get("maximum", 1)))


def _samples(schema: Schema) -> dict[str, JSON]:
    """A value for every property that must be there; of an MCP server's schema it need not be described."""
    properties = schema.get("properties", {})
    return {key: sample(properties.get(key, {}), key) for key in schema.get("required", ())}


def _lua(value: Any) -> str:
    if isinstance(value, dict):
        return _fields(value) if value else "json.object{}"
    if isinstance(value, list):
        return "{" + ", ".join(map(_lua, value)) + "}"
    return "json.null" if value is None else json.dumps(value, ensure_ascii=False)


def _fields(value: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{_key(key)} = {_lua(each)}" for key, each in value.items()) + "}"


def _key(name: str) -> str:
    plain = name.isascii() and name.isidentifier() and name not in LUA_WORDS
    return name if plain else f"[{json.dumps(name, ensure_ascii=False)}]"
