"""Vectors of every accepted phrasing: blobs in one plain table, and one matrix of them in memory.

No vector extension: many Pythons cannot load one, and a product with a matrix of 100,000 rows takes 5 ms. The table
knows for each vector the model and the text that it was made of, by hash, so another embedder makes all of them anew.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING

from ritesmith.db import transaction
from ritesmith.errors import StoreError

if TYPE_CHECKING:
    from ritesmith.embed import Embedder, Matrix

EMBEDDED_AT_ONCE = 512
"""So many phrasings that have no vector yet are embedded before one search, which then takes seconds; words find the
rest until its turn comes."""


class Vectors:
    """The vectors of one registry file, as one embedder makes them."""

    def __init__(self, connection: sqlite3.Connection, embedder: Embedder) -> None:
        self.connection = connection
        self.embedder = embedder
        self._names: list[str] = []
        self._matrix: Matrix | None = None
        self._seen: tuple[int, int, int] | None = None

    def nearest(self, query: str) -> dict[str, float]:
        """The cosine, from -1 to 1, of the nearest phrasing of each name; names without an active version as well.

        What the embedder calls too far is left out. Vectors that are missing are made first, a limited number at a
        time; where the file cannot be written, none are.
        """
        self._fill()
        names, matrix = self._load()
        if matrix is None or not names:
            return {}
        cosines = matrix @ self.embedder.embed([query])[0]
        least = -2.0 if self.embedder.near is None else self.embedder.near
        best: dict[str, float] = {}
        for place in (cosines >= least).nonzero()[0].tolist():
            name, cosine = names[place], float(cosines[place])
            best[name] = max(cosine, best.get(name, -2.0))
        return best

    def _fill(self) -> None:
        """Make the vectors that are missing, and drop those of another model."""
        model = self.embedder.id
        other = self.connection.execute("SELECT 1 FROM vectors WHERE model <> ? LIMIT 1", (model,)).fetchone()
        rows = self.connection.execute(
            "SELECT phrase, said FROM aliases WHERE NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.phrase ="
            " aliases.phrase AND vectors.name = aliases.name AND model = ?) LIMIT ?",
            (model, EMBEDDED_AT_ONCE),
        ).fetchall()
        if not rows and other is None:
            return
        said = list(dict.fromkeys(row["said"] for row in rows))
        made = dict(zip(said, self.embedder.embed(said), strict=True)) if said else {}
        try:
            with transaction(self.connection):
                self.connection.execute("DELETE FROM vectors WHERE model <> ?", (model,))
                for text, vector in made.items():
                    self.connection.execute(
                        "INSERT OR REPLACE INTO vectors (phrase, name, model, text_hash, vector)"
                        " SELECT phrase, name, ?, ?, ? FROM aliases WHERE said = ?",
                        (model, hash_of(text), vector.tobytes(), text),
                    )
        except StoreError:  # it may only be read, or another process writes for long: words find what is there
            return

    def _load(self) -> tuple[list[str], Matrix | None]:
        """The matrix, read again when another connection or this one has changed the table."""
        import numpy

        changed = self.connection.execute("PRAGMA data_version").fetchone()[0]
        count, newest = self.connection.execute("SELECT count(*), coalesce(max(id), 0) FROM vectors").fetchone()
        if (changed, count, newest) != self._seen:
            rows = self.connection.execute(
                "SELECT vectors.name, said, text_hash, vector FROM vectors JOIN aliases USING (phrase, name)"
                " WHERE model = ?",
                (self.embedder.id,),
            ).fetchall()
            # A vector of another text than the phrase now has, as after an edit from outside, counts for nothing.
            sound = [row for row in rows if hash_of(row["said"]) == row["text_hash"]]
            self._names = [row["name"] for row in sound]
            flat = numpy.frombuffer(b"".join(row["vector"] for row in sound), numpy.float32)
            self._matrix = flat.reshape(len(sound), -1) if sound else None
            self._seen = changed, count, newest
        return self._names, self._matrix


def hash_of(text: str) -> bytes:
    """sha256 of the text that a vector was made of."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
