"""JSON Schema 2020-12: check a value, check a schema, say where it breaks. The only place that imports `jsonschema`."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

from ritesmith.models import JSON, Schema


def problems(schema: Schema, value: JSON, *, root: str = "$", most: int = 10) -> list[tuple[str, str]]:
    """Where `value` breaks `schema`: (JSON path, what is wrong) pairs in document order; empty when it fits.

    Formats (date, date-time, email ...) are asserted, as people expect who write them. No reference leaves the schema.
    """
    validator = _validator(_key(schema))
    found = sorted(validator.iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path])
    return [(root + _path(error.absolute_path), _words(error)) for error in found[:most]]


def schema_problems(schema: JSON) -> list[tuple[str, str]]:
    """Why `schema` is not a JSON Schema of draft 2020-12: (JSON path, what is wrong) pairs; empty when it is one."""
    from jsonschema import Draft202012Validator

    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    found = sorted(meta.iter_errors(schema), key=lambda error: [str(part) for part in error.absolute_path])
    return [("$" + _path(error.absolute_path), _words(error)) for error in found[:10]]


def _key(schema: Schema) -> str:
    return json.dumps(schema, sort_keys=True)


@functools.lru_cache(maxsize=1024)
def _validator(key: str) -> Any:
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.validators import extend

    # Only formats that the standard library can judge the same way everywhere; others are annotations.
    checker = FormatChecker(formats=())
    checker.checkers = {
        name: check for name, check in FormatChecker.checkers.items() if name in ("date", "email", "ipv4", "ipv6")
    }
    return extend(Draft202012Validator, {"pattern": _pattern})(json.loads(key), format_checker=checker)


def _pattern(validator: Any, pattern: str, value: JSON, schema: Schema) -> Iterator[Exception]:
    from jsonschema import ValidationError

    if isinstance(value, str) and not re.search(_to_the_end(pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _to_the_end(pattern: str) -> str:
    """The pattern with a `$` that means the end, as it does in JSON Schema; Python's lets a line feed follow."""
    pieces = re.findall(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", pattern, re.DOTALL)
    return "".join(r"\Z" if piece == "$" else piece for piece in pieces)


def _path(parts: Any) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _words(error: Any) -> str:
    text = str(error.message)
    return text if len(text) <= 300 else text[:299] + "…"
