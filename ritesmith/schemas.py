"""JSON Schema 2020-12: check a value, check a schema, say where it breaks. The only place that imports `jsonschema`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from ritesmith.models import JSON, Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PARTS_MAX = 2000
"""Schemas in one schema: each takes a quarter of a millisecond to look at."""


def problems(schema: Schema, value: JSON, *, root: str = "$", most: int = 10) -> list[tuple[str, str]]:
    """Where `value` breaks `schema`: (JSON path, what is wrong) pairs in document order; empty when it fits.

    Formats (date, date-time, email ...) are asserted, as people expect who write them. No reference leaves the schema.
    """
    known = _GLANCES.get(id(schema)) or _glanced_at(schema)
    if known[1](value):
        return []
    validator = _validator(_key(schema))
    found = sorted(validator.iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path])
    return [(root + _path(error.absolute_path), _words(error)) for error in found[:most]]


Fits: TypeAlias = Callable[[JSON], bool]
"""Whether a value fits, seen at a glance. False says nothing: it is left to jsonschema."""

_GLANCES: dict[int, tuple[Schema, Fits]] = {}
"""What most schemas say, without making objects of it; the reading of a schema is kept as long as the schema is."""
_GLANCES_MAX = 4096


def _glanced_at(schema: Any) -> tuple[Schema, Fits]:
    if len(_GLANCES) >= _GLANCES_MAX:
        _GLANCES.clear()
    known = _GLANCES[id(schema)] = (schema, _glance(schema))
    return known


_TELLS_NOTHING = frozenset({"title", "description", "default", "examples", "$comment"})
_OF_A_RECORD = _TELLS_NOTHING | {"type", "properties", "required", "additionalProperties"}


def _glance(schema: Any) -> Fits:
    if schema is True:
        return lambda value: True
    if type(schema) is not dict:
        return lambda value: False
    if schema.keys() <= _OF_A_RECORD and schema.get("type") == "object" and not schema.get("additionalProperties"):
        return _record(schema)
    parts = [_reading(keyword, wanted, schema) for keyword, wanted in schema.items() if keyword not in _TELLS_NOTHING]
    if not parts:
        return lambda value: True
    if len(parts) == 1:
        return parts[0]

    def fits(value: JSON) -> bool:
        for part in parts:  # noqa: SIM110  a generator takes twice as long
            if not part(value):
                return False
        return True

    return fits


def _record(schema: Schema) -> Fits:
    """An object of known fields, in one look."""
    properties = {name: _glance(each) for name, each in schema.get("properties", {}).items()}
    needed, closed = frozenset(schema.get("required", ())), "additionalProperties" in schema

    def fits(value: JSON) -> bool:
        if type(value) is not dict or not needed <= value.keys():
            return False
        for name, each in value.items():
            part = properties.get(name)
            if closed if part is None else not part(each):
                return False
        return True

    return fits


def _reading(keyword: str, wanted: Any, schema: Schema) -> Fits:
    """One keyword of a schema; one that is not looked at here fits nothing."""
    match keyword:
        case "type" if type(wanted) is str:
            types = _TYPES[wanted]
            return lambda value: type(value) in types
        case "properties":
            properties = [(name, _glance(each)) for name, each in wanted.items()]

            def have_fitting(value: JSON) -> bool:
                if type(value) is dict:
                    for name, fits in properties:
                        if name in value and not fits(value[name]):
                            return False
                return True

            return have_fitting
        case "required":
            needed = frozenset(wanted)
            return lambda value: type(value) is not dict or needed <= value.keys()
        case "additionalProperties":
            names = schema.get("properties", {}).keys()
            return lambda value: wanted is True or type(value) is not dict or value.keys() <= names
        case "items":
            each_fits = _glance(wanted)
            return lambda value: type(value) is not list or all(map(each_fits, value))
        case "enum":
            return lambda value: type(value) is str and value in wanted
    return lambda value: False


_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),  # and such as 1.0, which jsonschema is asked about
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def schema_problems(schema: JSON) -> list[tuple[str, str]]:
    """Why `schema` cannot be used: (JSON path, what is wrong) pairs; empty when it can.

    It must be a JSON Schema of draft 2020-12 whose patterns RE2 takes and whose references stay inside and come to an
    end. `patternProperties` is not offered.
    """
    from jsonschema import Draft202012Validator

    if parts_of(schema) > PARTS_MAX:
        return [("$", f"it has more than {PARTS_MAX} schemas in it")]
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    found = sorted(meta.iter_errors(schema), key=lambda error: [str(part) for part in error.absolute_path])
    if found:
        return [("$" + _path(error.absolute_path), _wrong_word(error)) for error in found[:10]]
    dialect = schema.get("$schema", DIALECT) if isinstance(schema, dict) else DIALECT
    if dialect not in (DIALECT, DIALECT + "#"):
        return [("$.$schema", f"schemas are JSON Schema 2020-12, {DIALECT}, not {dialect!r}")]
    return (_pattern_problems(schema) or _reference_problems(schema)) if isinstance(schema, dict) else []


def _wrong_word(error: Any) -> str:
    """What is wrong in a schema, as its meta-schema says it; plainer where it is the type."""
    if list(error.absolute_path)[-1:] == ["type"]:
        return (
            f"there is no type {error.instance!r}; there are {', '.join(sorted(_TYPES))}, or a list of these, each once"
        )
    return _words(error)


def parts_of(schema: JSON) -> int:
    """How many schemas a schema is made of, at most: its objects, those aside that are values."""
    count, work = 0, [schema]
    while work:
        part = work.pop()
        if isinstance(part, dict):
            count += 1
            work.extend(value for key, value in part.items() if key not in _VALUES)
        elif isinstance(part, list):
            work.extend(part)
    return count


_VALUES = ("const", "enum", "default", "examples")


def _key(schema: Schema) -> str:
    return json.dumps(schema, sort_keys=True)


@functools.lru_cache(maxsize=1024)
def _validator(key: str) -> Any:
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.validators import extend
    from referencing import Registry

    # Only formats that the standard library can judge the same way everywhere; others are annotations.
    checker = FormatChecker(formats=())
    checker.checkers = {
        name: check for name, check in FormatChecker.checkers.items() if name in ("date", "email", "ipv4", "ipv6")
    }
    return extend(Draft202012Validator, {"pattern": _pattern})(
        json.loads(key), format_checker=checker, registry=Registry()
    )


def _pattern(validator: Any, pattern: str, value: JSON, schema: Schema) -> Iterator[Exception]:
    from jsonschema import ValidationError

    if isinstance(value, str) and not _compiled(pattern).search(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    """The pattern for RE2, whose `$` is the end, as in JSON Schema, and which writes \\uXXXX as \\x{XXXX}."""
    import re

    import re2

    pattern = re.sub(r"(\\\\)|\\u([0-9A-Fa-f]{4})", lambda found: found[1] or f"\\x{{{found[2]}}}", pattern)

    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options=options)


def _pattern_problems(schema: Schema) -> list[tuple[str, str]]:
    import re2

    found: list[tuple[str, str]] = []
    for _, path, part, _ in _subschemas(schema):
        if "patternProperties" in part:
            message = "'patternProperties' is not offered; name the properties, or use 'propertyNames' with a pattern"
            found.append((f"{path}.patternProperties", message))
        if "pattern" in part:
            try:
                _compiled(part["pattern"])
            except re2.error as error:
                why = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
                message = (
                    f"the pattern {part['pattern']!r} cannot be used: {why} (RE2 has no look-around, no references)"
                )
                found.append((f"{path}.pattern", message))
    return found


def _path(parts: Any) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _words(error: Any) -> str:
    text = str(error.message)
    return text if len(text) <= 300 else text[:299] + "…"


# ---------------------------------------------------------------- references inside a schema

_IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_IN_PLACE = ("not", "if", "then", "else")
_DEEPER_MAPS = ("properties", "patternProperties", "dependentSchemas")
_DEEPER = ("items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties")
_EXPANSION_MAX = 10_000


def _reference_problems(schema: Schema) -> list[tuple[str, str]]:
    """What is wrong with the references of a valid schema: each must name one of the schema's own definitions, and
    following them must come to an end, soon, at every level of a value.
    """
    found: list[tuple[str, str]] = []
    uses: dict[str, list[str]] = {}
    """Definition (empty: the schema itself) -> definitions that it uses for the same value."""
    for owner, path, part, in_place in _subschemas(schema):
        uses.setdefault(owner, [])
        for keyword in ("$dynamicRef", "$recursiveRef", "$id"):
            if keyword in part:
                found.append((f"{path}.{keyword}", f"{keyword!r} is not offered here"))
        if "$ref" in part:
            kind, _, name = str(part["$ref"]).removeprefix("#/").partition("/")
            definitions = schema.get(kind) if kind in ("$defs", "definitions") else None
            if not isinstance(definitions, dict) or name not in definitions:
                message = f"the reference {part['$ref']!r} names none of the schema's own '$defs'"
                found.append((f"{path}.$ref", message))
            elif in_place:
                uses[owner].append(f"{kind}/{name}")
    if not found:
        problem = _expansion_problem(uses)
        if problem:
            found.append(("$", problem))
    return found


def _subschemas(schema: Schema) -> Iterator[tuple[str, str, Schema, bool]]:
    """Every part of a schema that is a schema: (definition it lies in, path, part, is it about the same value)."""
    pending: list[tuple[str, str, Any, bool]] = [("", "$", schema, True)]
    while pending:
        owner, path, part, in_place = pending.pop()
        if not isinstance(part, dict):
            continue
        yield owner, path, part, in_place
        for kind in ("$defs", "definitions"):
            for name, each in part.get(kind, {}).items():
                pending.append((f"{kind}/{name}", f"{path}.{kind}.{name}", each, True))
        for keyword in _IN_PLACE_LISTS:
            for index, each in enumerate(part.get(keyword, ())):
                pending.append((owner, f"{path}.{keyword}[{index}]", each, in_place))
        for index, each in enumerate(part.get("prefixItems", ())):
            pending.append((owner, f"{path}.prefixItems[{index}]", each, False))
        for keyword in _IN_PLACE:
            if keyword in part:
                pending.append((owner, f"{path}.{keyword}", part[keyword], in_place))
        for keyword in _DEEPER:
            if keyword in part:
                pending.append((owner, f"{path}.{keyword}", part[keyword], False))
        for keyword in _DEEPER_MAPS:
            for name, each in part.get(keyword, {}).items():
                pending.append((owner, f"{path}.{keyword}.{name}", each, False))


def _expansion_problem(uses: Mapping[str, list[str]]) -> str:
    """Why following references for one value would not end, or would take too long; empty when it is fine."""
    users: dict[str, list[str]] = {name: [] for name in uses}
    for name, used in uses.items():
        for each in used:
            users.setdefault(each, []).append(name)
    left = {name: len(uses.get(name, ())) for name in users}
    size = dict.fromkeys(users, 1)
    ready = [name for name, count in left.items() if count == 0]
    done = 0
    while ready:
        name = ready.pop()
        done += 1
        if size[name] > _EXPANSION_MAX:
            return f"following its references takes more than {_EXPANSION_MAX} steps for one value"
        for user in users[name]:
            size[user] += size[name]
            left[user] -= 1
            if left[user] == 0:
                ready.append(user)
    return "" if done == len(users) else "a definition refers to itself for the same value, without an end"
