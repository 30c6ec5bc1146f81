"""Find artifacts by what they are for: SQLite's FTS5 with porter stemming and weighted columns.

The score proposes, it never decides: see the reuse ladder in `forge/reuse.py`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ritesmith.models import Schema

# bm25 weights of the columns name, intent (with aliases), description, words (of the schemas).
WEIGHTS = (3.0, 2.0, 1.0, 1.0)

STOP_WORDS = frozenset(
    """a an and are as at be by can do does for from give get has have how i if in into is it its let make me my need
    of on or our please should so that the their them then there these this those to up us use want we what when which
    with would you your""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Hit:
    """One artifact that shares words with the query; a higher score shares more, or rarer ones."""

    name: str
    digest: str
    score: float


def index_artifact(
    connection: sqlite3.Connection,
    name: str,
    digest: str,
    phrases: Iterable[str],
    description: str,
    words: str,
) -> None:
    """Make one version findable; of the versions of a name, search shows the newest active one."""
    connection.execute(
        "INSERT INTO search (name, intent, description, words, artifact) VALUES (?, ?, ?, ?, ?)",
        (split_words(name), "\n".join(phrases), description, split_words(words), digest),
    )


def add_phrase(connection: sqlite3.Connection, name: str, phrase: str) -> None:
    """Let the versions of a name be found by one more phrasing."""
    connection.execute(
        "UPDATE search SET intent = intent || char(10) || ?"
        " WHERE artifact IN (SELECT digest FROM artifacts WHERE name = ?)",
        (phrase, name),
    )


def search(connection: sqlite3.Connection, query: str, limit: int = 10) -> list[Hit]:
    """The artifacts that share a word with `query`, best first; ties by name. Empty when none does."""
    words = [word for word in dict.fromkeys(split_words(query).split()) if word not in STOP_WORDS]
    if not words:
        return []
    rows = connection.execute(
        f"SELECT a.name, a.digest, -bm25(search, {', '.join(map(str, WEIGHTS))}) AS score"
        " FROM search JOIN artifacts a ON a.digest = search.artifact"
        " WHERE search MATCH ? AND a.version ="
        " (SELECT max(version) FROM artifacts WHERE name = a.name AND status = 'active')"
        " ORDER BY score DESC, a.name LIMIT ?",
        (" OR ".join(f'"{word}"' for word in words), limit),
    )
    return [Hit(row["name"], row["digest"], row["score"]) for row in rows]


def split_words(text: str) -> str:
    """Lower-case words, with camelCase, snake_case and punctuation taken apart: 'parseCSV_file' -> 'parse csv file'."""
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    return " ".join(re.findall(r"[^\W_]+", apart)).lower()


def schema_words(*schemas: Schema | None) -> str:
    """The property names and descriptions of schemas, for the index."""
    found: list[str] = []
    waiting: list[Any] = list(schemas)
    while waiting:
        schema = waiting.pop()
        if isinstance(schema, dict):
            found.extend(schema.get("properties", {}))
            found.append(str(schema.get("description", "")))
            waiting.extend(schema.get("properties", {}).values())
            waiting.append(schema.get("items"))
    return " ".join(found)
