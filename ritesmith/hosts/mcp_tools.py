"""Tools of MCP servers as host functions `mcp.SERVER.TOOL`: what is taken over, kept, and noticed when it changes.

A server says what its tools are, and nobody can hold it to that. So what a person took over is kept in the registry
file with its digest; a tool that says something else later is not called until a person has seen it. What a tool says
of its own effect is shown and not believed: it writes, unless `ritesmith.toml` says otherwise.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from ritesmith.hosts.base import TOOLS_KEPT_AS
from ritesmith.models import HostFunction, Schema, Value
from ritesmith.schemas import schema_problems
from ritesmith.settings import McpSettings, McpTool

SPACE = "mcp."
SCHEMA_BYTES_MAX = 64 * 1024
SCHEMA_DEPTH_MAX = 40
TOOLS_MAX = 500
DESCRIPTION_CHARACTERS = 1000
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
LUA_WORDS = frozenset({
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "global", "goto", "if", "in",
    "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
})  # fmt: skip
DIALECTS = ("http://json-schema.org/draft-07/schema", "https://json-schema.org/draft/2019-09/schema")
"""Dialects that servers name and hardly ever use the difference of; what does not hold in 2020-12 is refused below."""
TEXT: Schema = {
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string"},
        "left_out": {"type": "array", "items": {"type": "string"}, "description": "Kinds of content that are no text."},
    },
    "additionalProperties": False,
}
"""What comes of a tool without an output schema."""


class Tool(Value):
    """One tool, as its server described it when a person took it over."""

    name: str
    """In Lua: the last part of the host function's name."""
    tool: str
    """As the server calls it."""
    description: str = ""
    input: Schema
    output: Schema | None = None
    """None: it gives text."""
    says: tuple[str, ...] = ()
    """Its own hints, in words: nobody has checked them."""
    digest: str


class Kept(Value):
    """What the registry file holds of one server."""

    tools: dict[str, Tool] = Field(default={})
    """Those that a person took over."""
    offered: dict[str, Tool | None] = Field(default={})
    """Of those that changed since, what the server said when it was last asked; None where it is gone or refused."""


State = Literal["new", "same", "changed", "gone", "accepted", "refused"]


class Row(Value):
    """What a sync came to for one tool."""

    server: str
    name: str
    """The host function."""
    tool: str
    state: State
    why: str = ""
    says: tuple[str, ...] = ()
    before: dict[str, Any] = Field(default={})
    after: dict[str, Any] = Field(default={})
    """Of a changed tool: what differs, as it was and as it is."""


def digest_of(told: Mapping[str, Any]) -> str:
    """SHA-256 of all that a tool says of itself and that anybody acts on; `told` is its JSON from the server."""
    meant = {key: told.get(key) for key in ("name", "description", "inputSchema", "outputSchema", "annotations")}
    text = json.dumps(meant, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def lua_name(tool: str) -> str | None:
    """A tool's name as the last part of a host function's: `read-file` and `readFile` are `read_file`. None: no way."""
    if not tool.isascii():
        return None
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", tool).lower()
    name = re.sub(r"[^a-z0-9]+", "_", words).strip("_")
    name += "_" if name in LUA_WORDS else ""
    return name if NAME.match(name) else None


def read_listing(server: str, listing: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Tool], list[Row]]:
    """The tools that can be host functions, by their name in Lua, and those that cannot, each with the reason."""
    tools: dict[str, Tool] = {}
    refused: list[Row] = []
    meant: dict[str, list[str]] = {}
    told = list(listing)
    for each in told:
        meant.setdefault(lua_name(each["name"]) or "", []).append(each["name"])
    for each in told:
        name = lua_name(each["name"])
        others = [other for other in meant[name or ""] if other != each["name"]]
        why = _name_problem(server, each["name"], name, others, meant) or _problem(each)
        if why or name is None:
            where = f"{SPACE}{server}.{name or '?'}"
            refused.append(Row(server=server, name=where, tool=each["name"][:200], state="refused", why=why))
            continue
        tools[name] = Tool(
            name=name,
            tool=each["name"],
            description=(each.get("description") or "")[:DESCRIPTION_CHARACTERS],
            input=_plain(each["inputSchema"]),
            output=None if each.get("outputSchema") is None else _plain(each["outputSchema"]),
            says=tuple(_hints(each.get("annotations") or {})),
            digest=digest_of(each),
        )
    return tools, refused


def _name_problem(server: str, tool: str, name: str | None, others: list[str], meant: Mapping[str, list[str]]) -> str:
    if server in LUA_WORDS:
        return f"'{server}' is a word of Lua; give the server another name in ritesmith.toml"
    if name is None:
        return "its name cannot be made one of Lua: letters, digits and underscores, at most 63, a letter first"
    if others:
        return f"'{others[0]}' would bear the same name in Lua, {name}"
    if len(meant[name]) > 1:
        return f"the server lists '{tool}' more than once"
    return ""


def _problem(told: Mapping[str, Any]) -> str:
    """Why a tool cannot be taken over; empty when it can."""
    for side, key in (("input", "inputSchema"), ("output", "outputSchema")):
        schema = told.get(key)
        if schema is None and key == "outputSchema":
            continue
        if not isinstance(schema, dict):
            return f"its {side} schema is none"
        if _depth(schema) > SCHEMA_DEPTH_MAX:
            return f"its {side} schema is nested deeper than {SCHEMA_DEPTH_MAX} levels"
        size = len(json.dumps(schema).encode())
        if size > SCHEMA_BYTES_MAX:
            return f"its {side} schema has {size} bytes, at most {SCHEMA_BYTES_MAX} are taken"
        plain = _plain(schema)
        found = schema_problems(plain)
        if found:
            return f"its {side} schema cannot be used: {found[0][0]}: {found[0][1]}"
        if side == "input" and plain.get("type") != "object":
            return "its input schema is not for an object"
    return ""


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        depth += 1
    return depth


def _plain(schema: dict[str, Any]) -> Schema:
    """The schema as ours are written: without its dialect where that makes no difference, `true` in a place as {}."""
    plain = {key: value for key, value in schema.items() if key != "$schema"}
    if isinstance(schema.get("$schema"), str) and schema["$schema"].rstrip("#") not in DIALECTS:
        plain["$schema"] = schema["$schema"]  # the check says what it thinks of it
    properties = plain.get("properties")
    if isinstance(properties, dict):
        plain["properties"] = {
            name: {} if each is True else {"not": {}} if each is False else each for name, each in properties.items()
        }
    return plain


def _hints(annotations: Mapping[str, Any]) -> Iterable[str]:
    if annotations.get("readOnlyHint") is True:
        yield "only reads"
    elif annotations.get("destructiveHint") is False:
        yield "only adds"
    if annotations.get("idempotentHint") is True:
        yield "may be repeated"


# ---------------------------------------------------------------- what is kept


def load(connection: sqlite3.Connection) -> dict[str, Kept]:
    """What the registry file holds of every server."""
    rows = connection.execute("SELECT key, value FROM meta WHERE key GLOB ?", (f"{TOOLS_KEPT_AS}*",))
    return {row["key"].removeprefix(TOOLS_KEPT_AS): Kept.model_validate_json(row["value"]) for row in rows}


def save(connection: sqlite3.Connection, server: str, kept: Kept) -> None:
    """Keep it, in the transaction that is open."""
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (TOOLS_KEPT_AS + server, kept.model_dump_json())
    )


def compare(
    server: str, kept: Kept, found: Mapping[str, Tool], refused: Iterable[Row], *, accept: bool
) -> tuple[Kept, list[Row]]:
    """What is kept after this look at a server, and a row for each tool.

    A tool that was never seen is taken over. One that changed is noted and not called any more. With `accept` it is
    taken over when it says just what the last look showed: what nobody was shown, nobody can have accepted.
    """
    reasons = {row.name: row.why for row in refused}
    rows = [row for row in refused if row.name.rpartition(".")[2] not in kept.tools]
    tools: dict[str, Tool] = {}
    offered: dict[str, Tool | None] = {}
    for name in sorted({*kept.tools, *found}):
        before, after = kept.tools.get(name), found.get(name)
        function = f"{SPACE}{server}.{name}"
        seen = name in kept.offered and _same(kept.offered[name], after)
        state: State
        if before is None or after is None:
            state = "new" if before is None else "gone"
        else:
            state = "same" if before.digest == after.digest else "changed"
        known = after or before
        assert known is not None
        was, now = _difference(before, after) if state == "changed" else ({}, {})
        why = reasons.get(function, "") if state == "gone" else ", ".join(now)
        if state in ("changed", "gone") and not (accept and seen):
            assert before is not None
            tools[name], offered[name] = before, after
        else:
            tools |= {} if after is None else {name: after}
            if state in ("changed", "gone"):
                why, state = f"{state}: {why}" if why else state, "accepted"
        told = {"server": server, "name": function, "tool": known.tool, "state": state, "why": why}
        rows.append(Row(**told, says=known.says, before=was, after=now))
    return Kept(tools=tools, offered=offered), rows


def _same(one: Tool | None, other: Tool | None) -> bool:
    return (one and one.digest) == (other and other.digest)


def _difference(before: Tool | None, after: Tool | None) -> tuple[dict[str, Any], dict[str, Any]]:
    was, now = (each.model_dump(mode="json", exclude={"name", "digest"}) if each else {} for each in (before, after))
    differing = [key for key in was if was[key] != now.get(key)]
    if not differing:  # what is not kept counts too: the end of a long description, hints that nobody reads
        return {"rest": "…"}, {"rest": "the end of its description, or its annotations"}
    return {key: was[key] for key in differing}, {key: now.get(key) for key in differing}


# ---------------------------------------------------------------- host functions


def declaration(server: str, tool: Tool, word: McpTool, offered: bool) -> HostFunction:
    """The host function that a tool is: what the server says of its arguments, a person's word on its effect."""
    name = f"{SPACE}{server}.{tool.name}"
    unusable = ""
    if offered:
        unusable = (
            f"'{name}' is no longer what was taken over; look at the difference: ritesmith mcp sync {server}, and "
            f"take it over with --yes"
        )
    return HostFunction(
        name=name,
        description=tool.description or f"The tool '{tool.tool}' of the MCP server '{server}'.",
        input=tool.input,
        output=TEXT if tool.output is None else tool.output,
        effect=word.effect,
        idempotent=word.idempotent,
        outside=True,
        errors=ERRORS,
        unusable=unusable,
    )


ERRORS = (
    "no_secret",
    "mcp_tool_error",
    "mcp_refused",
    "mcp_unavailable",
    "mcp_timeout",
    "mcp_bad_result",
    "mcp_too_large",
    "mcp_tool_changed",
)


def word_on(settings: McpSettings, tool: Tool) -> McpTool:
    """What a person says of a tool in `ritesmith.toml`, by its name in Lua."""
    return settings.tools.get(tool.name, McpTool())
