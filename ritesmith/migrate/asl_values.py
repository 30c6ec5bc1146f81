"""The documents that flow between the states of the Amazon States Language, as symbols; its paths and its functions.

A state there takes a document and gives one. Here a step reads the outputs of others by name. So the document at each
place is followed as a symbol: what of it comes from where. Only where a document is needed whole and is put together
from several outputs, a step is added that does so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ritesmith.models import JSON, Expression

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Ref:
    """What is at a path of a run: `input.order`, `nodes.charge.output.id`."""

    path: Path


@dataclass(frozen=True)
class Const:
    """A value that stands in the definition."""

    value: JSON


@dataclass(frozen=True)
class Obj:
    """An object put together from parts."""

    fields: tuple[tuple[str, Doc], ...]


@dataclass(frozen=True)
class Items:
    """A list put together from parts."""

    items: tuple[Doc, ...]


@dataclass(frozen=True)
class Overlay:
    """A document with values set at paths."""

    base: Doc
    changes: tuple[tuple[Path, Doc], ...]


@dataclass(frozen=True)
class Phi:
    """What a state is given that several ways lead to, which depends on the way; `path` into it."""

    state: str
    path: Path = ()


@dataclass(frozen=True)
class Computed:
    """The value of an expression."""

    expression: Expression


@dataclass(frozen=True)
class Gone:
    """What could not be carried over, and why."""

    why: str


Doc: TypeAlias = Ref | Const | Obj | Items | Overlay | Phi | Computed | Gone


def read(doc: Doc, path: Path) -> Doc:
    """The part of a document at a path."""
    if not path:
        return doc
    if isinstance(doc, Ref):
        return Ref(doc.path + path)
    if isinstance(doc, Phi):
        return Phi(doc.state, doc.path + path)
    if isinstance(doc, Const):
        value = doc.value
        for part in path:
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            else:
                return Gone(f"there is nothing at {'.'.join(path)!r} of {doc.value!r}"[:200])
        return Const(value)
    if isinstance(doc, Obj):
        found = next((each for key, each in doc.fields if key == path[0]), None)
        return Gone(f"there is no {path[0]!r} at this place") if found is None else read(found, path[1:])
    if isinstance(doc, Items):
        if path[0].isdecimal() and int(path[0]) < len(doc.items):
            return read(doc.items[int(path[0])], path[1:])
        return Gone(f"the list has no element {path[0]!r}")
    if isinstance(doc, Overlay):
        inner = []
        for at, value in doc.changes:
            if path[: len(at)] == at:
                return read(value, path[len(at) :])
            if at[: len(path)] == path:
                inner.append((at[len(path) :], value))
        below = read(doc.base, path)
        return Overlay(below, tuple(inner)) if inner else below
    if isinstance(doc, Computed):
        return Gone("a part of a computed value has no path here")
    return doc


def put(doc: Doc, path: Path, value: Doc) -> Doc:
    """A document with a value set at a path."""
    if not path:
        return value
    if isinstance(doc, Const) and isinstance(doc.value, dict):
        doc = Obj(tuple((key, Const(each)) for key, each in doc.value.items()))
    if isinstance(doc, Obj):
        fields = dict(doc.fields)
        fields[path[0]] = put(fields.get(path[0], Obj(())), path[1:], value)
        return Obj(tuple(fields.items()))
    base, changes = (doc.base, doc.changes) if isinstance(doc, Overlay) else (doc, ())
    kept = []
    for at, each in changes:
        if at[: len(path)] == path:
            continue
        if path[: len(at)] == at:
            return Overlay(base, tuple((a, put(e, path[len(a) :], value) if a == at else e) for a, e in changes))
        kept.append((at, each))
    return Overlay(base, (*kept, (path, value)))


# ---------------------------------------------------------------- paths and functions

_STEP = re.compile(r"\.([^.\[\]'\"*?()@ ]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")


def parts_of(path: str) -> Path | None:
    """The parts of a reference path such as `$.order.items[0]`; None where it is more than that."""
    if not path.startswith("$"):
        return None
    at, parts = 1, []
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        part = next(each for each in match.groups() if each is not None)
        part = re.sub(r"\\(.)", r"\1", part)
        if not part or "." in part:
            return None
        parts.append(part)
        at = match.end()
    return tuple(parts)


_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<sign>[(),])|(?P<word>(?:[^'(),\s\[]|\[[^\]]*\])+))", re.DOTALL
)
ARGUMENTS_MAX = 100


class FunctionError(Exception):
    """A text is no call of an intrinsic function, or of one that has no counterpart."""


def call(text: str, resolve: Callable[[str], Doc]) -> Doc:
    """What an intrinsic function gives; `resolve` reads a path. FunctionError where it cannot be carried over."""
    tokens, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FunctionError(f"{text!r} cannot be read as a call of a function")
        tokens.append(match[0].strip())
        at = match.end()
    parser = _Calls(tokens, resolve)
    found = parser.value(0)
    if parser.at != len(tokens):
        raise FunctionError(f"{text!r} goes on after its end")
    return found


class _Calls:
    def __init__(self, tokens: Sequence[str], resolve: Callable[[str], Doc]) -> None:
        self.tokens = tokens
        self.resolve = resolve
        self.at = 0

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def value(self, depth: int) -> Doc:
        token = self.next()
        if depth > 10:
            raise FunctionError("functions are nested deeper than 10 levels")
        if token.startswith("'"):
            return Const(re.sub(r"\\(.)", r"\1", token[1:-1]))
        if token.startswith("$"):
            return self.resolve(token)
        if token in ("true", "false", "null"):
            return Const({"true": True, "false": False, "null": None}[token])
        if re.fullmatch(r"-?\d{1,15}", token):
            return Const(int(token))
        if re.fullmatch(r"-?\d{1,15}\.\d{1,15}", token):
            return Const(float(token))
        if not token.startswith("States.") or self.next() != "(":
            raise FunctionError(f"{token!r} is no value")
        arguments: list[Doc] = []
        if self.tokens[self.at : self.at + 1] == [")"]:
            self.at += 1
            return function(token, arguments)
        while len(arguments) < ARGUMENTS_MAX:
            arguments.append(self.value(depth + 1))
            sign = self.next()
            if sign == ")":
                return function(token, arguments)
            if sign != ",":
                break
        raise FunctionError(f"the call of {token} has no end")


def function(name: str, arguments: list[Doc]) -> Doc:
    """A call whose arguments are known: a list, an element, or a call that is to be computed."""
    if name == "States.Array":
        return Items(tuple(arguments))
    if name == "States.ArrayGetItem" and len(arguments) == 2:
        index = arguments[1]
        if isinstance(index, Const) and isinstance(index.value, int) and index.value >= 0:
            return read(arguments[0], (str(index.value),))
    if name == "States.Format" and arguments:
        template = arguments[0]
        if isinstance(template, Const) and isinstance(template.value, str):
            pieces = template.value.split("{}")
            if len(pieces) == len(arguments):
                return Computed(Pending("cat", tuple(_between(pieces, arguments[1:]))))
    if name == "States.MathAdd" and len(arguments) == 2:
        return Computed(Pending("+", tuple(arguments)))
    if name == "States.ArrayContains" and len(arguments) == 2:
        return Computed(Pending("in", (arguments[1], arguments[0])))
    raise FunctionError(f"{name} with {len(arguments)} arguments has no counterpart in an expression")


@dataclass(frozen=True)
class Pending:
    """An operation whose operands are documents yet."""

    operator: str
    operands: tuple[Doc, ...]


def _between(pieces: Sequence[str], values: Sequence[Doc]) -> list[Doc]:
    found: list[Doc] = [Const(pieces[0])]
    for value, piece in zip(values, pieces[1:], strict=True):
        found += [value, Const(piece)]
    return [each for each in found if each != Const("")]
