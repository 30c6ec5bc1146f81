"""A capability's or a workflow's file to the same file in one layout; what it says, and its canonical hash, stay."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ritesmith.contract import HEADER
from ritesmith.errors import InvalidInput
from ritesmith.guard.lua_format import format_lua
from ritesmith.json_text import NotJSON, parse
from ritesmith.models import JSON, Contract, Workflow

WIDTH = 118
_APART = re.compile(r'"(?:[^"\\]|\\.)*+"|\](?=\])', re.DOTALL)


def format_capability(text: str, file: str = "") -> str:
    """A capability's file: its header as `format_json` lays it out, keys in the order of the contract, then its Lua.

    Lua without a header is laid out alone. InvalidInput where the header is no JSON.
    """
    match = HEADER.match(text)
    if match is None:
        return format_lua(text)
    first_line = text.count("\n", 0, match.start("json"))
    header = _value(match["json"], file, first_line)
    return capability_file(header, text[match.end() :], match["level"])


def capability_file(header: JSON, lua: str, level: str = "") -> str:
    """The file of a capability with this header and Lua, laid out; `level` is what stands between the brackets."""
    told = format_json(header, tuple(Contract.model_fields))
    if not level:
        told = _APART.sub(_apart, told)
    while f"]{level}]" in told:  # the comment would end there
        level += "="
    return f"--[{level}[ capability\n{told}\n]{level}]\n{format_lua(lua)}"


def format_workflow(text: str, file: str = "") -> str:
    """A workflow's file as `format_json` lays it out, keys in the order of the workflow. InvalidInput for no JSON."""
    return format_json(_value(text, file, 0), tuple(Workflow.model_fields)) + "\n"


def _apart(match: re.Match[str]) -> str:
    """Two brackets in a row, which would end the comment, made something else that means the same."""
    return "] " if match[0] == "]" else re.sub(r"\](?=\])", r"\\u005d", match[0])


def _value(text: str, file: str, lines_before: int) -> JSON:
    try:
        return parse(text)
    except NotJSON as error:
        place = f" (line {error.line + lines_before})" if error.line is not None else ""
        raise InvalidInput(f"'{file}' cannot be laid out: {error}{place}") from None


def format_json(value: JSON, order: Sequence[str] = ()) -> str:
    """JSON with each object and list on one line where it fits into 120 columns, else one member a line.

    The outermost is never on one line; of an object its keys of `order` come first.

    >>> print(format_json({"b": [1, 2.50], "a": {}}, ["a"]))
    {
      "a": {},
      "b": [1, 2.5]
    }
    """
    if isinstance(value, dict):
        known = {key: value[key] for key in order if key in value}
        value = {**known, **value}
    return _broken(value, 0) if isinstance(value, dict | list) and value else _plain(value)


def _laid_out(value: JSON, indent: int, column: int) -> str:
    """A value that begins at `column`; `indent` is that of its line. A comma may have to follow it."""
    plain = _plain(value)
    if not isinstance(value, dict | list) or not value or column + len(plain) + 1 <= WIDTH:
        return plain
    return _broken(value, indent)


def _broken(value: Any, indent: int) -> str:
    inner = indent + 2
    if isinstance(value, dict):
        keys = {key: f"{_plain(key)}: " for key in value}
        members = [head + _laid_out(value[key], inner, inner + len(head)) for key, head in keys.items()]
    else:
        members = [_laid_out(each, inner, inner) for each in value]
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    lines = ",\n".join(" " * inner + member for member in members)
    return f"{opening}\n{lines}\n{' ' * indent}{closing}"


def _plain(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False)
