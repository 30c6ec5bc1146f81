"""JSON Schema 2020-12, by `jsonschema`: check a value, check a schema, say where it breaks. The only place that imports it."""

from __future__ import annotations

import functools
import json
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

    # Only formats that the standard library can judge the same way everywhere; others are annotations.
    checker = FormatChecker(formats=())
    checker.checkers = {
        name: check for name, check in FormatChecker.checkers.items() if name in ("date", "email", "ipv4", "ipv6")
    }
    return Draft202012Validator(json.loads(key), format_checker=checker)


def _path(parts: Any) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _words(error: Any) -> str:
    text = str(error.message)
    return text if len(text) <= 300 else text[:299] + "…"
