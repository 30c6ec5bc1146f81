"""Find artifacts by what they are for: SQLite's FTS5 with porter stemming and weighted columns.

The score proposes, it never decides: see the reuse ladder in `forge/reuse.py`.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ritesmith.models import Schema

# bm25 weights of the columns name, intent (with aliases), description, words (of the schemas).
WEIGHTS = (3.0, 2.0, 1.0, 1.0)
BM25 = f"bm25(search, {', '.join(map(str, WEIGHTS))})"

# bm25 visits every row that holds any of the words, at some 5 microseconds each; up to here it is simply asked.
ROWS_RANKED = 600
# Of a word in more rows than this, only the newest so many are counted, and the rest is estimated from how dense they
# lie; and so many rows that hold several such words are looked at.
ROWS_COUNTED = 200
ROWS_JOINED = 100
# What one word adds to the score of bm25, in units of its rarity, where it stands in the intent once.
ONE_WORD = 1.4

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
    by_words: bool = True
    """It shares words with the query, or lies as near; else it was found by its fields, or lies less near."""
    cosine: float | None = None
    """How near its nearest phrasing lies, by the embedder; None: there is none, or it lies too far."""


def index_artifact(
    connection: sqlite3.Connection,
    name: str,
    digest: str,
    phrases: Iterable[str],
    description: str,
    words: str,
) -> None:
    """Make one version findable; of the versions of a name, search shows the newest active one."""
    number = connection.execute("INSERT INTO findable (artifact) VALUES (?)", (digest,)).lastrowid
    connection.execute(
        "INSERT INTO search (rowid, name, intent, description, words, artifact) VALUES (?, ?, ?, ?, ?, ?)",
        (number, split_words(name), "\n".join(phrases), description, split_words(words), digest),
    )


def forget_artifact(connection: sqlite3.Connection, digest: str) -> None:
    """Let one version be found no more."""
    connection.execute("DELETE FROM search WHERE rowid IN (SELECT number FROM findable WHERE artifact = ?)", (digest,))
    connection.execute("DELETE FROM findable WHERE artifact = ?", (digest,))


def clear_index(connection: sqlite3.Connection) -> None:
    """Empty the index of words, to fill it anew, and forget the vectors, which are made again when they are missed."""
    connection.execute("DELETE FROM vectors")
    connection.execute("DELETE FROM search")
    connection.execute("DELETE FROM findable")


def add_phrase(connection: sqlite3.Connection, name: str, phrase: str) -> None:
    """Let the versions of a name be found by one more phrasing."""
    connection.execute(
        "UPDATE search SET intent = intent || char(10) || ? WHERE rowid IN"
        " (SELECT number FROM artifacts JOIN findable ON artifact = digest WHERE name = ?)",
        (phrase, name),
    )


def search(connection: sqlite3.Connection, query: str, limit: int = 10) -> list[Hit]:
    """The artifacts that share a word with `query`, best first; ties by name. Empty when none does.

    Ranked by bm25 (https://sqlite.org/fts5.html#the_bm25_function), whose time grows with the rows that hold any of the
    words. Where these are many, bm25 ranks by the rare words alone, each frequent word adds its rarity to the rows that
    hold it too, and rows that hold several frequent words join them: the work is bounded, whatever the registry holds.
    """
    words = [word for word in dict.fromkeys(split_words(query).split()) if word not in STOP_WORDS]
    scores = _scores(connection, words, limit)
    ranked = sorted(scores, key=lambda number: (-scores[number], -number))
    hits: list[Hit] = []
    # Older versions, drafts and what was revoked stand in the index too, so more is looked up than is asked for.
    step = 3 * limit
    for start in range(0, len(ranked), step):
        hits += _newest_active(connection, ranked[start : start + step], scores)
        if len(hits) >= limit:
            break
    return sorted(hits, key=lambda hit: (-hit.score, hit.name))[:limit]


def blended(
    connection: sqlite3.Connection, hits: list[Hit], cosines: Mapping[str, float], alike: float | None, limit: int
) -> list[Hit]:
    """The best of what words found and of what an embedder found, each name once.

    Ordered by the cosine and a tenth of the score's share in the best one, which found more on eight public sets than
    either alone, and than merging by rank. A cosine of at least `alike` counts as sharing words.
    """
    top = max((hit.score for hit in hits), default=0.0) or 1.0
    found = {hit.name: replace(hit, cosine=cosines.get(hit.name)) for hit in hits}
    near = sorted(cosines.keys() - found.keys(), key=lambda name: (-cosines[name], name))[: 5 * limit]
    rows = connection.execute(
        "SELECT name, digest FROM artifacts AS a JOIN json_each(?) ON json_each.value = name"
        " WHERE version = (SELECT max(version) FROM artifacts WHERE name = a.name AND status = 'active')",
        (json.dumps(near),),
    )
    for row in rows:
        cosine = cosines[row["name"]]
        by_words = alike is not None and cosine >= alike
        found[row["name"]] = Hit(row["name"], row["digest"], 0.0, by_words, cosine)
    ranked = sorted(found.values(), key=lambda hit: (-((hit.cosine or 0.0) + 0.1 * hit.score / top), hit.name))
    return ranked[:limit]


def with_fields(connection: sqlite3.Connection, fields: Iterable[str], query: str, limit: int) -> list[Hit]:
    """The artifacts whose schemas name all these fields, the newest first; those that share words with `query` lead.

    Empty without fields. No score: which fields there are says nothing about how well the work is meant.
    """
    named = dict.fromkeys(word for field in fields for word in split_words(field).split())
    if not named:
        return []
    shape = f"{{words}} : ({' AND '.join(map(_quoted, named))})"
    words = [word for word in dict.fromkeys(split_words(query).split()) if word not in STOP_WORDS]
    hits: dict[str, Hit] = {}
    # A name of which many versions stand in the index must not take all the places.
    for expression in [*([f"({shape}) AND ({_any(words)})"] if words else []), shape]:
        numbers = _matching(connection, expression, 3 * limit)
        for hit in _newest_active(connection, numbers, dict.fromkeys(numbers, 0.0)):
            hits.setdefault(hit.name, replace(hit, by_words=expression is not shape))
        if len(hits) >= limit:
            break
    return list(hits.values())[:limit]


def _newest_active(connection: sqlite3.Connection, numbers: list[int], scores: dict[int, float]) -> list[Hit]:
    rows = connection.execute(
        "SELECT number, a.name, a.digest FROM json_each(?) JOIN findable ON number = json_each.value"
        " JOIN artifacts a ON a.digest = artifact"
        " WHERE a.version = (SELECT max(version) FROM artifacts WHERE name = a.name AND status = 'active')",
        (json.dumps(numbers),),
    )
    return [Hit(row["name"], row["digest"], scores[row["number"]]) for row in rows]


def _scores(connection: sqlite3.Connection, words: list[str], limit: int) -> dict[int, float]:
    """Rows that share words with the query, by number, with their scores; where they are many, the best."""
    total = connection.execute("SELECT max(number) FROM findable").fetchone()[0] or 0
    counts = {word: count for word in words if (count := _rows_with(connection, word, total))}
    if sum(counts.values()) <= ROWS_RANKED:
        return _ranked(connection, list(counts))
    ascending = sorted(counts, key=counts.__getitem__)
    visited = list(itertools.accumulate(counts[word] for word in ascending))
    rare = [word for word, rows in zip(ascending, visited, strict=True) if rows <= ROWS_RANKED]
    frequent = ascending[len(rare) :]
    rarity = {word: ONE_WORD * max(math.log((total + 0.5) / (counts[word] + 0.5)), 1e-6) for word in frequent}
    scores = _ranked(connection, rare)
    for word in frequent if rare else ():
        for number in _matching(connection, f"({_any(rare)}) AND {_quoted(word)}", ROWS_RANKED):
            scores[number] += rarity[word]
    # Rows without any rare word: those that hold most of the frequent ones, in names and intents first.
    for columns, share in (("{name intent} : ", 1.0), ("", 0.9)):
        for count in sorted({min(each, len(frequent)) for each in (len(frequent), 3, 2, 1)}, reverse=True):
            if len(scores) >= 3 * limit:
                break
            joined = " AND ".join(map(_quoted, frequent[:count]))
            worth = share * sum(rarity[word] for word in frequent[:count])
            for number in _matching(connection, f"{columns}({joined})", ROWS_JOINED):
                scores.setdefault(number, worth)
    return scores


def _ranked(connection: sqlite3.Connection, words: list[str]) -> dict[int, float]:
    if not words:
        return {}
    rows = connection.execute(f"SELECT rowid, -{BM25} AS score FROM search WHERE search MATCH ?", (_any(words),))
    return {row["rowid"]: row["score"] for row in rows}


def _rows_with(connection: sqlite3.Connection, word: str, total: int) -> int:
    """In how many rows a word stands; estimated where they are many."""
    counted, oldest = connection.execute(
        "SELECT count(*), min(rowid) FROM (SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT ?)",
        (_quoted(word), ROWS_COUNTED),
    ).fetchone()
    return int(counted if counted < ROWS_COUNTED else counted * total // (total - oldest + 1))


def _matching(connection: sqlite3.Connection, expression: str, most: int) -> list[int]:
    """The newest rows that match."""
    rows = connection.execute(
        "SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT ?", (expression, most)
    )
    return [row["rowid"] for row in rows]


def _any(words: list[str]) -> str:
    return " OR ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    return f'"{word}"'


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
