"""Documents that a person brings to the store: read from JSON lines, or from one object of namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ritesmith.contract import near_miss
from ritesmith.errors import InvalidInput
from ritesmith.intake import parse_json, read_json
from ritesmith.models import JSON

FIELDS = ("namespace", "key", "value", "if_version")


class Document(NamedTuple):
    """One of them, with the place where it stands; `args` are those of `store.put`."""

    where: str
    args: dict[str, JSON]


def read_documents(text: str, file: str) -> list[Document]:
    """The documents of a file, in order. InvalidInput with the line where it is neither of the two forms.

    JSON lines: {"namespace", "key", "value"} on each, and "if_version" for a document that must have this version (0:
    none yet). Or one object: namespace -> key -> value.
    """
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    first = read_json(lines[0][1], file)[0] if lines else None
    if isinstance(first, dict) and (len(lines) > 1 or isinstance(first.get("namespace"), str)):
        return [_of_line(line, f"{file}, line {number}") for number, line in lines]
    return list(_of_world(parse_json(text, file), file))


def _of_line(text: str, where: str) -> Document:
    value = parse_json(text, where)
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}: a document is an object with 'namespace', 'key' and 'value'")
    for name in FIELDS[:3]:
        if name not in value:
            raise InvalidInput(f"{where}: the field '{name}' is missing")
    for name in value:
        if name not in FIELDS:
            near = near_miss(name, FIELDS)
            raise InvalidInput(f"{where}: unknown field '{name}'", hint=f"did you mean '{near}'?" if near else "")
    return Document(where, value)


def _of_world(world: JSON, file: str) -> Iterator[Document]:
    if not isinstance(world, dict):
        raise InvalidInput(f"'{file}' is neither JSON lines of documents nor an object of namespaces")
    for namespace, documents in world.items():
        if not isinstance(documents, dict):
            raise InvalidInput(f"'{file}': namespace '{namespace}' is no object of documents by key")
        for key, value in documents.items():
            args: dict[str, Any] = {"namespace": namespace, "key": key, "value": value}
            yield Document(f"{file}, '{namespace}/{key}'", args)
