"""The registry: publish immutable artifacts, each named by the sha256 of its text, and find them again by name."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from ritesmith.contract import near_miss
from ritesmith.db import transaction
from ritesmith.errors import Conflict, InvalidInput, NotFound, StoreError
from ritesmith.models import Artifact, ArtifactKind, ArtifactStatus, Effect, Provenance, Risk
from ritesmith.search import add_phrase, index_artifact


class Registry:
    """Artifacts of one registry file. `clock()` gives seconds since 1970; equal `normalise(phrase)` mean the same."""

    def __init__(
        self, connection: sqlite3.Connection, clock: Callable[[], float], normalise: Callable[[str], str]
    ) -> None:
        self.connection = connection
        self.clock = clock
        self.normalise = normalise

    def publish(
        self,
        *,
        kind: ArtifactKind,
        name: str,
        text: str,
        canonical: str,
        effect: Effect,
        risk: Risk,
        provenance: Provenance,
        intent: str,
        aliases: Iterable[str] = (),
        description: str = "",
        words: str = "",
        status: ArtifactStatus = "active",
        dry_run: bool = False,
    ) -> tuple[Artifact, bool]:
        """Store one checked artifact; return it, and whether it is new.

        The same text again changes nothing. Another text under the same name is the next version. A name belongs to
        one kind: Conflict otherwise. In a dry run nothing is stored. Two processes that publish at once queue in
        SQLite, so both see the other's work.
        """
        digest = digest_of_text(text)
        with transaction(self.connection):
            row = self.connection.execute("SELECT * FROM artifacts WHERE digest = ?", (digest,)).fetchone()
            if row is not None:
                return self._artifact(row), False
            newest = self.connection.execute(
                "SELECT kind, max(version) AS version FROM artifacts WHERE name = ?", (name,)
            ).fetchone()
            if newest["kind"] not in (None, kind):
                raise Conflict(f"'{name}' is the name of a {newest['kind']}", hint=f"give the {kind} another name")
            artifact = Artifact(
                digest=digest,
                kind=kind,
                name=name,
                version=(newest["version"] or 0) + 1,
                text=text,
                canonical=canonical,
                status=status,
                effect=effect,
                risk=risk,
                created_at=self.clock(),
                provenance=provenance,
            )
            if dry_run:
                return artifact, True
            self.connection.execute(
                "INSERT INTO artifacts (digest, kind, name, version, text, canonical, status, effect, risk, created_at,"
                " provenance) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    digest,
                    kind,
                    name,
                    artifact.version,
                    text,
                    canonical,
                    artifact.status,
                    effect,
                    risk,
                    artifact.created_at,
                    provenance.model_dump_json(),
                ),
            )
            for phrase in (intent, *aliases):
                self.add_alias(name, phrase, {"source": "author"})
            index_artifact(self.connection, name, digest, self.aliases(name), description, words)
        return artifact, True

    def get(self, reference: str) -> Artifact:
        """The artifact of a name (its newest active version), a `name@version`, or a digest of at least 12 digits.

        Raises NotFound with the near miss, StoreError when the stored text is not what its digest says.
        """
        name, versioned, version = reference.partition("@")
        if versioned:
            if not re.fullmatch("[0-9]{1,18}", version):
                raise InvalidInput(f"'{reference}': the version must be a number, such as {name}@1")
            query, values = "name = ? AND version = ?", (name, int(version))
        elif "." not in reference and len(reference) >= 12 and set(reference) <= set("0123456789abcdef"):
            query, values = "digest GLOB ?", (reference + "*",)  # type: ignore[assignment]
        else:
            query, values = "name = ? AND status = 'active' ORDER BY version DESC LIMIT 1", (name,)  # type: ignore[assignment]
        rows = self.connection.execute(f"SELECT * FROM artifacts WHERE {query}", values).fetchall()
        if not rows:
            raise self._not_found(reference, name)
        if len(rows) > 1:
            raise InvalidInput(f"the digest '{reference}' fits {len(rows)} artifacts; give more digits")
        return self._artifact(rows[0])

    def by_digest(self, digest: str) -> Artifact:
        """The artifact of exactly this digest, in whatever status. Raises as `get`."""
        row = self.connection.execute("SELECT * FROM artifacts WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise NotFound(f"there is no artifact with the digest {digest[:12]}")
        return self._artifact(row)

    def versions(self, name: str) -> list[Artifact]:
        """Every version of a name, oldest first; empty when there is none."""
        rows = self.connection.execute("SELECT * FROM artifacts WHERE name = ? ORDER BY version", (name,))
        return [self._artifact(row) for row in rows]

    def newest(
        self, kind: ArtifactKind | None = None, statuses: tuple[ArtifactStatus, ...] = ("active",)
    ) -> list[Artifact]:
        """The newest version of every name among those in one of `statuses`, workflows first, then by name."""
        rows = self.connection.execute(
            "SELECT a.* FROM artifacts a JOIN (SELECT name, max(version) AS version FROM artifacts"
            f" WHERE status IN ({', '.join('?' * len(statuses))}) GROUP BY name) newest USING (name, version)"
            " WHERE ? IS NULL OR kind = ? ORDER BY kind DESC, name",
            (*statuses, kind, kind),
        )
        return [self._artifact(row) for row in rows]

    def names(self) -> list[str]:
        """Every name, in order."""
        return [row["name"] for row in self.connection.execute("SELECT DISTINCT name FROM artifacts ORDER BY name")]

    def names_of_phrase(self, said: str) -> list[str]:
        """The names for which this very phrasing was accepted, the first that it was accepted for first."""
        rows = self.connection.execute(
            "SELECT name FROM aliases WHERE phrase = ? ORDER BY rowid", (self.normalise(said),)
        )
        return [row["name"] for row in rows]

    def aliases(self, name: str) -> list[str]:
        """Every phrasing that was accepted for a name: its intent, its author's aliases, and those learned on reuse."""
        rows = self.connection.execute("SELECT said FROM aliases WHERE name = ? ORDER BY rowid", (name,))
        return [row["said"] for row in rows]

    def add_alias(self, name: str, said: str, evidence: dict[str, Any]) -> bool:
        """Remember that `said` means `name`, and on what evidence, and find it by that; False when that was known."""
        done = self.connection.execute(
            "INSERT OR IGNORE INTO aliases (phrase, name, said, evidence, created_at) VALUES (?, ?, ?, ?, ?)",
            (self.normalise(said), name, said, json.dumps(evidence, sort_keys=True), self.clock()),
        )
        if done.rowcount == 1:
            add_phrase(self.connection, name, said)
        return done.rowcount == 1

    def set_status(self, digest: str, status: ArtifactStatus) -> None:
        """Make a version active, deprecated or revoked; its content stays what it is."""
        self.connection.execute("UPDATE artifacts SET status = ? WHERE digest = ?", (status, digest))

    def log_decision(self, intent: str, tier: str, artifact: str, reason: str, report: dict[str, Any]) -> None:
        """Keep what the forge decided, and why."""
        self.connection.execute(
            "INSERT INTO decisions (at, intent, tier, artifact, reason, report) VALUES (?, ?, ?, ?, ?, ?)",
            (self.clock(), intent, tier, artifact, reason, json.dumps(report, sort_keys=True)),
        )

    def intents_of(self, ref: str) -> list[str]:
        """The intents for which the forge made this version, oldest first."""
        rows = self.connection.execute(
            "SELECT intent FROM decisions WHERE artifact = ? AND tier IN ('composed', 'authored') ORDER BY id", (ref,)
        )
        return [row["intent"] for row in rows]

    def made_for(self, intent: str) -> list[str]:
        """The versions, as `name@version`, that the forge made for this very phrasing, newest first."""
        rows = self.connection.execute(
            "SELECT intent, artifact FROM decisions WHERE tier IN ('composed', 'authored') ORDER BY id DESC"
        )
        phrase = self.normalise(intent)
        return list(dict.fromkeys(row["artifact"] for row in rows if self.normalise(row["intent"]) == phrase))

    def _artifact(self, row: sqlite3.Row) -> Artifact:
        if digest_of_text(row["text"]) != row["digest"]:
            raise StoreError(
                f"the stored text of '{row['name']}@{row['version']}' is not what was published: its digest differs",
                hint="the registry file was edited; restore it from a backup",
            )
        return Artifact(**dict(row) | {"provenance": json.loads(row["provenance"])})

    def _not_found(self, reference: str, name: str) -> NotFound:
        versions = self.connection.execute(
            "SELECT version, status FROM artifacts WHERE name = ? ORDER BY version", (name,)
        ).fetchall()
        if versions:
            known = ", ".join(f"{row['version']} ({row['status']})" for row in versions)
            return NotFound(f"'{reference}' is not there; versions of '{name}': {known}")
        near = near_miss(name, self.names())
        hint = f"did you mean '{near}'?" if near else "see what there is: ritesmith list"
        return NotFound(f"there is no artifact '{reference}'", hint=hint)


def digest_of_text(text: str) -> str:
    """sha256 of the exact text, as hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
