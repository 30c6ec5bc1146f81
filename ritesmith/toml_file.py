"""TOML files that people write, each held against the model of what it may say: guardrails and settings."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ritesmith.contract import shape_findings
from ritesmith.errors import InvalidInput
from ritesmith.models import Value

FILE_BYTES_MAX = 1024 * 1024
PROBLEMS_SHOWN = 5

Model = TypeVar("Model", bound=Value)


def read_toml(path: Path, model: type[Model], what: str) -> tuple[Model, str]:
    """Read a TOML file as a model; return it with the text. InvalidInput says what is wrong with it, and where."""
    try:
        with path.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise ValueError(f"it has more than {FILE_BYTES_MAX} bytes")
        text = data.decode("utf-8")
        value: dict[str, Any] = tomllib.loads(text)
        return model.model_validate(value), text
    except ValidationError as error:
        found = shape_findings(error, _fields(model), code="toml")
        shown = [f"{each.where.path}: {each.message}{each.hint and f' ({each.hint})'}" for each in found]
        more = f"; and {len(shown) - PROBLEMS_SHOWN} more" if len(shown) > PROBLEMS_SHOWN else ""
        why = "; ".join(shown[:PROBLEMS_SHOWN]) + more
    except RecursionError:
        why = "it is nested too deeply"
    except OSError as error:
        why = error.strerror or str(error)
    except (ValueError, tomllib.TOMLDecodeError) as error:
        why = str(error)
    raise InvalidInput(f"'{path}' can't be used as {what}: {why}", hint="repair or restore the file")


def _fields(model: type[Value]) -> Callable[[Sequence[int | str]], list[str]]:
    """From the path of a field to every name that one in its table may have; where there is no such table, in any."""
    schema = model.model_json_schema()
    parts = schema.get("$defs", {})

    def tables(of: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What a place may hold: itself, or what it refers to."""
        others = [parts[of["$ref"].rpartition("/")[2]]] if "$ref" in of else of.get("anyOf", ())
        for each in others:
            yield from tables(each)
        yield of

    def inside(of: dict[str, Any], part: int | str) -> Iterator[dict[str, Any]]:
        for each in tables(of):
            named = each.get("properties", {}).get(part)
            yield from (named,) if named else each.get("patternProperties", {}).values()
            yield from (each[key] for key in ("items", "additionalProperties") if isinstance(each.get(key), dict))

    def beside(path: Sequence[int | str]) -> list[str]:
        places = [schema]
        for part in path[:-1]:
            places = [found for each in places for found in inside(each, part)]
        there = [name for each in places for table in tables(each) for name in table.get("properties", {})]
        return there or [name for each in (schema, *parts.values()) for name in each.get("properties", {})]

    return beside
