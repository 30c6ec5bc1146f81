"""Mustache templates as expressions: references, and text joined around them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ritesmith.json_text import NotJSON, parse
from ritesmith.migrate.draft import cat
from ritesmith.models import JSON, Expression

_TAG = re.compile(r"\{\{\{\s*(?P<raw>.*?)\s*\}\}\}|\{\{(?P<sign>[#^/!>=&]?)\s*(?P<name>.*?)\s*\}\}", re.DOTALL)
MARK = "\ue000"
"""A letter for private use; it stands around the number of a reference while JSON is read."""
_MARKED = re.compile(f"{MARK}([0-9]+){MARK}")


class Reference(NamedTuple):
    """A name in a template. `raw`: it is put in as it is, not escaped."""

    name: str
    raw: bool


Piece = str | Reference


def pieces_of(template: str, lost: Callable[[str], None]) -> list[Piece]:
    """The text and the references of a template; what is neither is reported to `lost` and left out."""
    found: list[Piece] = []
    at, skip = 0, ""
    depth = 0
    for match in _TAG.finditer(template):
        if not skip and match.start() > at:
            found.append(template[at : match.start()])
        at = match.end()
        sign, name = match["sign"] or "", match["raw"] if match["raw"] is not None else match["name"]
        if skip:
            depth += (sign in ("#", "^") and name == skip) - (sign == "/" and name == skip)
            skip = skip if depth else ""
        elif sign in ("#", "^"):
            kind = "section" if sign == "#" else "inverted section"
            lost(f"the {kind} {name!r} and all in it is left out: an expression has no conditional text or loops")
            skip, depth = name, 1
        elif sign == "!":
            continue
        elif sign in (">", "=", "/"):
            called = {">": "partial", "=": "change of delimiters", "/": "end of a section"}[sign]
            lost(f"the {called} {name!r} is left out")
        elif not name:
            lost("an empty tag is left out")
        else:
            found.append(Reference(name, match["raw"] is not None or sign == "&"))
    if not skip and at < len(template):
        found.append(template[at:])
    if skip:
        lost(f"the section {skip!r} has no end")
    return found


Resolve = Callable[[Reference, bool], Expression]
"""The expression for a reference; the flag says that it becomes text."""


def text_of(pieces: Sequence[Piece], resolve: Resolve) -> Expression:
    """The expression of a template that is text."""
    return cat([each if isinstance(each, str) else resolve(each, True) for each in pieces])


def url_of(pieces: Sequence[Piece], resolve: Resolve) -> list[Expression]:
    """The parts of a URL, references between text."""
    return [each if isinstance(each, str) else resolve(each, True) for each in pieces]


def json_of(pieces: Sequence[Piece], resolve: Resolve) -> tuple[Expression] | None:
    """The expression of a template that is JSON once its references are filled in; None where it is none.

    A reference between quotes becomes text, and one that stands by itself keeps its JSON type.
    """
    references = [each for each in pieces if not isinstance(each, str)]
    text, quoted, number = "", False, 0
    for piece in pieces:
        if isinstance(piece, str):
            if MARK in piece:
                return None
            text += piece
            quoted = _ends_quoted(piece, quoted)
        else:
            text += f"{MARK}{number}{MARK}" if quoted else f'"{MARK}{MARK}{number}{MARK}{MARK}"'
            number += 1
    try:
        value = parse(text)
    except NotJSON:
        return None
    if any(MARK in key for key in _keys(value)):
        return None
    try:
        return (_filled(value, references, resolve),)
    except _AmbiguousError:
        return None


class _AmbiguousError(Exception):
    """An object with references in it would be taken for an operation."""


def _ends_quoted(text: str, quoted: bool) -> bool:
    for letter in re.findall(r"\\.|\"|[^\\\"]", text, re.DOTALL):
        quoted ^= letter == '"'
    return quoted


def _filled(value: JSON, references: Sequence[Reference], resolve: Resolve) -> Expression:
    if isinstance(value, list):
        return [_filled(each, references, resolve) for each in value]
    if isinstance(value, dict):
        if _is_operation(value):
            if MARK in json.dumps(value, ensure_ascii=False):
                raise _AmbiguousError
            return {"literal": value}
        return {key: _filled(each, references, resolve) for key, each in value.items()}
    if not isinstance(value, str) or MARK not in value:
        return value
    if value.startswith(MARK * 2):
        return resolve(references[int(value.strip(MARK))], False)
    parts = _MARKED.split(value)
    pieces = [resolve(references[int(each)], True) if index % 2 else each for index, each in enumerate(parts)]
    return cat(pieces)


def _is_operation(value: dict[str, JSON]) -> bool:
    from ritesmith.expr import OPERATORS, lookalike

    return (len(value) == 1 and next(iter(value)) in OPERATORS) or lookalike(value) is not None


def _keys(value: JSON) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for each in value.values() for key in _keys(each))]
    return [key for each in value for key in _keys(each)] if isinstance(value, list) else []


def as_text(body: JSON) -> str:
    """A body as the text of its template."""
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
