"""`store.*`: durable documents in namespaces, in the registry's own SQLite file.

A call's effect and its journal entry are committed in one transaction, so a crash never leaves one without the other.
Versions allow compare-and-set (optimistic concurrency): a document's version grows by one with each put.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from ritesmith.hosts.base import HostEnvironment, HostFailure, host_function
from ritesmith.models import JSON

NAMESPACE = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9_]{0,62}$",
    "description": "a kind of documents",
    "examples": ["orders"],
}
KEY = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "pattern": "^[^\\u0000-\\u001f]*$",
    "description": "its name",
}
VERSION = {"type": "integer", "minimum": 0, "description": "how often it was written"}
IF_VERSION = {"type": "integer", "minimum": 0, "description": "the version that must be stored, 0: none"}
NARROWS = {"namespaces": {"type": "array", "items": NAMESPACE, "minItems": 1, "uniqueItems": True}}
DOCUMENT_BYTES_MAX = 256 * 1024
LIST_ITEMS_DEFAULT, LIST_ITEMS_MAX = 100, 1000


@host_function(
    "store.get",
    "Read one document; value is null and version 0 when there is none.",
    input={
        "type": "object",
        "required": ["namespace", "key"],
        "properties": {"namespace": NAMESPACE, "key": KEY},
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["value", "version"],
        "properties": {"value": {"type": ["object", "null"]}, "version": VERSION},
        "additionalProperties": False,
        "if": {"properties": {"version": {"const": 0}}},
        "then": {"properties": {"value": {"type": "null"}}},
        "else": {"properties": {"value": {"type": "object"}}},
    },
    effect="read",
    transactional=True,
    narrows=NARROWS,
)
def get(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    row = _row(environment.connection, args)
    return {"value": json.loads(row["value"]) if row else None, "version": row["version"] if row else 0}


@host_function(
    "store.put",
    "Write one document whole. With if_version it is written only if the stored version is that one (0: absent).",
    input={
        "type": "object",
        "required": ["namespace", "key", "value"],
        "properties": {
            "namespace": NAMESPACE,
            "key": KEY,
            "value": {"type": "object", "description": "the whole document"},
            "if_version": IF_VERSION,
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["version"],
        "properties": {"version": {"type": "integer", "minimum": 1}},
        "additionalProperties": False,
    },
    effect="write",
    transactional=True,
    narrows=NARROWS,
    errors=("store_conflict", "store_too_large"),
)
def put(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    text = json.dumps(args["value"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    if len(text.encode()) > DOCUMENT_BYTES_MAX:
        raise HostFailure("store_too_large", f"the document is larger than {DOCUMENT_BYTES_MAX} bytes")
    version = _checked_version(args, environment)
    environment.connection.execute(
        "INSERT INTO store (namespace, key, value, version, updated_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, version = excluded.version,"
        " updated_at = excluded.updated_at",
        (args["namespace"], args["key"], text, version + 1, environment.now),
    )
    return {"version": version + 1}


@host_function(
    "store.delete",
    "Delete one document; deleted is false when there was none.",
    input={
        "type": "object",
        "required": ["namespace", "key"],
        "properties": {"namespace": NAMESPACE, "key": KEY, "if_version": IF_VERSION},
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["deleted"],
        "properties": {"deleted": {"type": "boolean"}},
        "additionalProperties": False,
    },
    effect="write",
    transactional=True,
    narrows=NARROWS,
    errors=("store_conflict",),
)
def delete(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    _checked_version(args, environment)
    done = environment.connection.execute(
        "DELETE FROM store WHERE namespace = ? AND key = ?", (args["namespace"], args["key"])
    )
    return {"deleted": done.rowcount == 1}


@host_function(
    "store.list",
    "Documents of a namespace in the order of their keys, those that start with prefix; more says that limit cut it.",
    input={
        "type": "object",
        "required": ["namespace"],
        "properties": {
            "namespace": NAMESPACE,
            "prefix": {"type": "string", "maxLength": 200, "description": "how the keys begin"},
            "limit": {"type": "integer", "minimum": 1, "maximum": LIST_ITEMS_MAX, "description": "100 if left out"},
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["items", "more"],
        "properties": {
            "items": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["key", "value", "version"],
                    "properties": {
                        "key": {"type": "string"},
                        "value": {"type": "object"},
                        "version": {"type": "integer"},
                    },
                    "additionalProperties": False,
                },
            },
            "more": {"type": "boolean"},
        },
        "additionalProperties": False,
    },
    effect="read",
    transactional=True,
    narrows=NARROWS,
)
def list_(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    limit = args.get("limit", LIST_ITEMS_DEFAULT)
    prefix = args.get("prefix", "")
    # substr, not LIKE: a prefix may hold % and _, and must match case.
    rows = environment.connection.execute(
        "SELECT key, value, version FROM store WHERE namespace = ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT ?",
        (args["namespace"], len(prefix), prefix, limit + 1),
    ).fetchall()
    items = [{"key": row["key"], "value": json.loads(row["value"]), "version": row["version"]} for row in rows[:limit]]
    return {"items": items, "more": len(rows) > limit}


def read_world(connection: sqlite3.Connection) -> dict[str, dict[str, JSON]]:
    """Every document: namespace -> key -> value. For the throw-away worlds of examples, which are small."""
    world: dict[str, dict[str, JSON]] = {}
    for row in connection.execute("SELECT namespace, key, value FROM store ORDER BY namespace, key"):
        world.setdefault(row["namespace"], {})[row["key"]] = json.loads(row["value"])
    return world


def write_world(connection: sqlite3.Connection, world: dict[str, dict[str, JSON]], now: float) -> int:
    """Add documents that are not there yet: namespace -> key -> value. Returns how many were added."""
    added = 0
    for namespace, documents in world.items():
        for key, value in documents.items():
            text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            done = connection.execute(
                "INSERT OR IGNORE INTO store (namespace, key, value, version, updated_at) VALUES (?, ?, ?, 1, ?)",
                (namespace, key, text, now),
            )
            added += done.rowcount
    return added


def _row(connection: sqlite3.Connection, args: dict[str, Any]) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT value, version FROM store WHERE namespace = ? AND key = ?", (args["namespace"], args["key"])
    ).fetchone()
    return row


def _checked_version(args: dict[str, Any], environment: HostEnvironment) -> int:
    row = _row(environment.connection, args)
    version: int = row["version"] if row else 0
    if "if_version" in args and args["if_version"] != version:
        raise HostFailure(
            "store_conflict",
            f"document '{args['namespace']}/{args['key']}' has version {version}, not {args['if_version']}",
            retryable=True,
        )
    return version
