"""The registry: publish immutable artifacts, each named by the sha256 of its text, and find them again by name."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ritesmith.contract import near_miss, odd_letter
from ritesmith.db import transaction
from ritesmith.errors import Conflict, InvalidInput, NotFound, StoreError, Untrusted
from ritesmith.models import Artifact, ArtifactKind, ArtifactStatus, Effect, Provenance, Risk
from ritesmith.search import add_phrase, clear_index, forget_artifact, index_artifact
from ritesmith.signing import Keys, statement

TAG_PATTERN = re.compile("[a-z][a-z0-9._-]{0,39}")
TAGS_MAX = 100
"""Tags of one name."""
COLUMNS = "digest, kind, name, version, text, canonical, status, reason, effect, risk, created_at, provenance, signer"
STATUS_MOVES: dict[str, frozenset[str]] = {
    "draft": frozenset({"active", "revoked"}),
    "active": frozenset({"deprecated", "revoked"}),
    "deprecated": frozenset({"active", "revoked"}),
    "revoked": frozenset(),
}


class Sealed(NamedTuple):
    """What comes with an artifact that was published in another registry, and is taken over as it is."""

    version: int
    provenance: str
    """As JSON text."""
    signer: str
    signature: bytes


class Registry:
    """Artifacts of one registry file. `clock()` gives seconds since 1970; equal `normalise(phrase)` mean the same.

    `keys` sign what is published. Without them nothing is signed, and nothing passes `verify`.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock: Callable[[], float],
        normalise: Callable[[str], str],
        keys: Keys | None = None,
    ) -> None:
        self.connection = connection
        self.clock = clock
        self.normalise = normalise
        self.keys = keys

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
        sealed: Sealed | None = None,
        dry_run: bool = False,
    ) -> tuple[Artifact, bool]:
        """Store one checked artifact, and sign it; return it, and whether it is new.

        The same text again changes nothing. Another text under the same name is the next version, or that which it was
        `sealed` as elsewhere: Conflict when that is taken. A name belongs to one kind: Conflict otherwise. In a dry run
        nothing is stored. Two processes that publish at once queue in SQLite, so both see the other's work.
        """
        digest = digest_of_text(text)
        with transaction(self.connection):
            row = self.connection.execute(f"SELECT {COLUMNS} FROM artifacts WHERE digest = ?", (digest,)).fetchone()
            if row is not None:
                return self._artifact(row), False
            newest = self.connection.execute(
                "SELECT kind, max(version) AS version FROM artifacts WHERE name = ?", (name,)
            ).fetchone()
            if newest["kind"] not in (None, kind):
                raise Conflict(f"'{name}' is the name of a {newest['kind']}", hint=f"give the {kind} another name")
            if sealed is not None and any(each.version == sealed.version for each in self.versions(name)):
                raise Conflict(
                    f"there is another '{name}@{sealed.version}' here", hint="see it: ritesmith show " + name
                )
            artifact = Artifact(
                digest=digest,
                kind=kind,
                name=name,
                version=sealed.version if sealed else self._next_version(name, newest["version"]),
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
            artifact = self._insert(artifact, sealed)
            for phrase in (intent, *aliases):
                self.add_alias(name, phrase, {"source": "author"})
            index_artifact(self.connection, name, digest, self.aliases(name), description, words)
        return artifact, True

    def _next_version(self, name: str, newest: int | None) -> int:
        row = self.connection.execute("SELECT version FROM pruned WHERE name = ?", (name,)).fetchone()
        return max(newest or 0, row["version"] if row else 0) + 1

    def _insert(self, artifact: Artifact, sealed: Sealed | None) -> Artifact:
        values = artifact.model_dump(exclude={"provenance", "signer"})
        values["provenance"] = sealed.provenance if sealed else artifact.provenance.model_dump_json()
        if self.keys is not None:
            if sealed is None:
                values["signer"], values["signature"] = self.keys.sign(_content(values))
            else:
                self.keys.check(f"'{artifact.ref}'", _content(values), sealed.signer, sealed.signature)
                values["signer"], values["signature"] = sealed.signer, sealed.signature
            values["status_signer"], values["status_signature"] = self.keys.sign(_status(values))
        self.connection.execute(
            f"INSERT INTO artifacts ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
            tuple(values.values()),
        )
        self.connection.executemany(
            "INSERT OR IGNORE INTO parts (digest, part) VALUES (?, ?)",
            [(artifact.digest, part) for part in artifact.provenance.pins.values()],
        )
        return artifact.model_copy(update={"signer": values.get("signer")})

    def get(self, reference: str) -> Artifact:
        """The artifact of a name (its newest active version), `name@version`, `name@tag`, or at least 12 digits of a
        digest.

        Raises NotFound with the near miss, StoreError when the stored text is not what its digest says.
        """
        name, versioned, version = reference.partition("@")
        if versioned:
            if re.fullmatch("[0-9]{1,18}", version):
                query, values = "name = ? AND version = ?", (name, int(version))
            else:
                query, values = "digest = ?", (self._tagged(name, version),)  # type: ignore[assignment]
        elif "." not in reference and len(reference) >= 12 and set(reference) <= set("0123456789abcdef"):
            query, values = "digest GLOB ?", (reference + "*",)  # type: ignore[assignment]
        else:
            query, values = "name = ? AND status = 'active' ORDER BY version DESC LIMIT 1", (name,)  # type: ignore[assignment]
        rows = self.connection.execute(f"SELECT {COLUMNS} FROM artifacts WHERE {query}", values).fetchall()
        if not rows:
            raise self._not_found(reference, name)
        if len(rows) > 1:
            raise InvalidInput(f"the digest '{reference}' fits {len(rows)} artifacts; give more digits")
        return self._artifact(rows[0])

    def by_digest(self, digest: str) -> Artifact:
        """The artifact of exactly this digest, in whatever status. Raises as `get`."""
        row = self.connection.execute(f"SELECT {COLUMNS} FROM artifacts WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise NotFound(f"there is no artifact with the digest {digest[:12]}")
        return self._artifact(row)

    def has(self, digest: str) -> bool:
        """Whether there is an artifact of exactly this digest."""
        return self.connection.execute("SELECT 1 FROM artifacts WHERE digest = ?", (digest,)).fetchone() is not None

    def versions(self, name: str) -> list[Artifact]:
        """Every version of a name, oldest first; empty when there is none."""
        rows = self.connection.execute(f"SELECT {COLUMNS} FROM artifacts WHERE name = ? ORDER BY version", (name,))
        return [self._artifact(row) for row in rows]

    def newest(
        self, kind: ArtifactKind | None = None, statuses: tuple[ArtifactStatus, ...] = ("active",)
    ) -> list[Artifact]:
        """The newest version of every name among those in one of `statuses`, workflows first, then by name."""
        rows = self.connection.execute(
            f"SELECT {COLUMNS} FROM artifacts JOIN (SELECT name, max(version) AS version FROM artifacts"
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
            "SELECT name FROM aliases WHERE phrase = ? ORDER BY created_at, rowid", (self.normalise(said),)
        )
        return [row["name"] for row in rows]

    def aliases(self, name: str) -> list[str]:
        """Every phrasing that was accepted for a name: its intent, its author's aliases, and those learned on reuse."""
        rows = self.connection.execute("SELECT said FROM aliases WHERE name = ? ORDER BY created_at, rowid", (name,))
        return [row["said"] for row in rows]

    def add_alias(self, name: str, said: str, evidence: dict[str, Any]) -> bool:
        """Remember that `said` means `name`, and on what evidence, and find it by that; False when that was known."""
        added = self._keep_alias(name, said, evidence)
        if added:
            add_phrase(self.connection, name, said)
        return added

    def _keep_alias(self, name: str, said: str, evidence: dict[str, Any], at: float | None = None) -> bool:
        done = self.connection.execute(
            "INSERT OR IGNORE INTO aliases (phrase, name, said, evidence, created_at) VALUES (?, ?, ?, ?, ?)",
            (
                self.normalise(said),
                name,
                said,
                json.dumps(evidence, sort_keys=True),
                self.clock() if at is None else at,
            ),
        )
        return done.rowcount == 1

    # ------------------------------------------------------------ status

    def set_status(self, digest: str, status: ArtifactStatus, reason: str = "") -> None:
        """Make a version active, deprecated or revoked, and sign that; its content stays what it is.

        Raises Conflict for what is revoked, which stays so, and Untrusted when the status that it has was edited: only
        to revoke it is allowed then.
        """
        with transaction(self.connection):
            row = self._row(digest)
            if status != row["status"] and status not in STATUS_MOVES[row["status"]]:
                raise Conflict(
                    f"'{row['name']}@{row['version']}' is {row['status']} and cannot become {status}",
                    hint="what was revoked stays so; publish another version" if row["status"] == "revoked" else "",
                )
            values = {**dict(row), "status": status, "reason": reason}
            signed: tuple[str | None, bytes | None] = (None, None)
            if self.keys is not None:
                if status != "revoked":
                    self.verify(digest)
                signed = self.keys.sign(_status(values))
            self.connection.execute(
                "UPDATE artifacts SET status = ?, reason = ?, status_signer = ?, status_signature = ? WHERE digest = ?",
                (status, reason, *signed, digest),
            )

    # ------------------------------------------------------------ signatures

    def verify(self, digest: str) -> None:
        """Come back when a trusted key signed this artifact, with all that its provenance says, and its status.

        Raises Untrusted with the reason. Asked before an artifact is executed; what has passed once is not calculated
        again in this process as long as it stands there unchanged.
        """
        row = self._row(digest)
        what = f"'{row['name']}@{row['version']}'"
        if self.keys is None:
            raise Untrusted(f"{what} cannot be verified: there are no keys")
        if digest_of_text(row["text"]) != digest:
            raise _edited(row)
        self.keys.check(what, _content(row), row["signer"], row["signature"])
        self.keys.check(f"the status of {what}", _status(row), row["status_signer"], row["status_signature"])

    def seal(self, artifact: Artifact) -> Sealed:
        """What another registry needs to take this artifact over: this user vouches for it, whoever signed it here.

        Raises as `verify`.
        """
        self.verify(artifact.digest)
        assert self.keys is not None
        row = self._row(artifact.digest)
        return Sealed(artifact.version, row["provenance"], *self.keys.sign(_content(row)))

    def adopt(self) -> list[str]:
        """Sign every artifact that nobody has signed and that is what its digest says; return the others' names.

        For files that were written before artifacts were signed. The versions that are not signed can't be executed.
        """
        assert self.keys is not None
        refused = []
        for row in self.connection.execute("SELECT * FROM artifacts WHERE signer IS NULL").fetchall():
            if digest_of_text(row["text"]) != row["digest"]:
                refused.append(f"{row['name']}@{row['version']}")
                continue
            signed = (*self.keys.sign(_content(row)), *self.keys.sign(_status(row)))
            self.connection.execute(
                "UPDATE artifacts SET signer = ?, signature = ?, status_signer = ?, status_signature = ?"
                " WHERE digest = ?",
                (*signed, row["digest"]),
            )
        return refused

    # ------------------------------------------------------------ tags

    def tag(self, artifact: Artifact, tag: str, by: str) -> int | None:
        """Let `name@tag` mean this version; return the version that it meant before, None where there was none."""
        if not TAG_PATTERN.fullmatch(tag):
            shown = tag if len(tag) <= 60 else f"{tag[:60]}… ({len(tag)} characters)"
            raise InvalidInput(
                f"{shown!r} cannot be a tag",
                hint="a tag is like stable: at most 40 small letters, digits, '.', '_' and '-', a letter first",
            )
        with transaction(self.connection):
            tags = self.tags(artifact.name)
            if tag not in tags and len(tags) >= TAGS_MAX:
                raise InvalidInput(
                    f"'{artifact.name}' has {len(tags)} tags, and no name has more than {TAGS_MAX}",
                    hint="remove one: ritesmith tag NAME TAG --remove",
                )
            self.connection.execute(
                "INSERT OR REPLACE INTO tags (name, tag, digest, by, at) VALUES (?, ?, ?, ?, ?)",
                (artifact.name, tag, artifact.digest, by, self.clock()),
            )
        return tags.get(tag)

    def untag(self, name: str, tag: str) -> None:
        """Take a tag from a name. NotFound with the near miss when it has none of that."""
        done = self.connection.execute("DELETE FROM tags WHERE name = ? AND tag = ?", (name, tag))
        if not done.rowcount:
            near = near_miss(tag, self.tags(name))
            hint = f"did you mean '{near}'?" if near else ""
            raise NotFound(f"'{name}' has no tag '{tag[:60]}'", hint=hint)

    def tags(self, name: str) -> dict[str, int]:
        """The tags of a name, in order -> the version that each means."""
        rows = self.connection.execute(
            "SELECT tag, version FROM tags JOIN artifacts USING (digest, name) WHERE name = ? ORDER BY tag", (name,)
        )
        return {row["tag"]: row["version"] for row in rows}

    def _tagged(self, name: str, tag: str) -> str:
        row = self.connection.execute(
            "SELECT digest, artifacts.name AS leads_to FROM tags JOIN artifacts USING (digest)"
            " WHERE tags.name = ? AND tag = ?",
            (name, tag),
        ).fetchone()
        if row is not None and row["leads_to"] == name:
            return str(row["digest"])
        if row is not None:
            raise StoreError(
                f"the tag '{name}@{tag}' leads to '{row['leads_to']}'",
                hint=f"the registry file was edited; remove the tag: ritesmith tag {name} {tag} --remove",
            )
        known = list(self.tags(name))
        near = near_miss(tag, known)
        hint = f"did you mean '{name}@{near}'?" if near else f"its tags: {', '.join(known)}" if known else ""
        raise InvalidInput(
            f"'{name}@{tag[:60]}': the version must be a number, such as {name}@1, or a tag of it", hint=hint
        )

    # ------------------------------------------------------------ what is made of what

    def signers(self, namespace: str) -> set[str]:
        """The keys that signed what is there under names that begin with this word."""
        rows = self.connection.execute(
            "SELECT DISTINCT signer FROM artifacts WHERE name >= ? AND name < ? AND signer IS NOT NULL",
            (f"{namespace}.", f"{namespace}/"),  # '/' comes right after '.'
        )
        return {row["signer"] for row in rows}

    def users(self, digest: str) -> list[Artifact]:
        """The artifacts that are pinned to this one, by name and version."""
        rows = self.connection.execute(
            f"SELECT {COLUMNS} FROM parts JOIN artifacts USING (digest) WHERE part = ? ORDER BY name, version",
            (digest,),
        )
        return [self._artifact(row) for row in rows]

    def twins(self, canonical: str, digest: str) -> list[Artifact]:
        """Other artifacts whose code differs from this only in layout, comments or local names, oldest first."""
        rows = self.connection.execute(
            f"SELECT {COLUMNS} FROM artifacts WHERE canonical = ? AND digest <> ? ORDER BY created_at, name, version",
            (canonical, digest),
        )
        return [self._artifact(row) for row in rows]

    # ------------------------------------------------------------ keeping house

    def prunable(self, before: float) -> list[Artifact]:
        """The drafts published before a moment (seconds since 1970) that no artifact, run or tag refers to.

        A draft that only such drafts refer to is among them.
        """
        rows = self.connection.execute(
            f"SELECT {COLUMNS} FROM artifacts WHERE status = 'draft' AND created_at < ?"
            " AND digest NOT IN (SELECT digest FROM runs) AND digest NOT IN (SELECT digest FROM tags)"
            " ORDER BY name, version",
            (before,),
        )
        found = {row["digest"]: self._artifact(row) for row in rows}
        links = self.connection.execute(
            "SELECT digest, part FROM parts UNION"
            " SELECT digest, value FROM artifacts, json_each(artifacts.provenance, '$.parents')"
        )
        users: dict[str, set[str]] = {}
        for link in links if found else ():
            users.setdefault(link["part"], set()).add(link["digest"])
        while kept := [digest for digest in found if users.get(digest, set()) - found.keys()]:
            for digest in kept:
                del found[digest]
        return list(found.values())

    def prune(self, before: float) -> list[Artifact]:
        """Delete what `prunable` lists; return it. Their version numbers are not given again."""
        with transaction(self.connection):
            leaving = self.prunable(before)
            for artifact in leaving:
                self.connection.execute("DELETE FROM artifacts WHERE digest = ?", (artifact.digest,))
                self.connection.execute("DELETE FROM parts WHERE digest = ?", (artifact.digest,))
                forget_artifact(self.connection, artifact.digest)
                self.connection.execute(
                    "INSERT INTO pruned (name, version) VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET version = max(version, excluded.version)",
                    (artifact.name, artifact.version),
                )
            # What nobody can find any more must not be found by its phrases.
            for table in ("aliases", "vectors"):
                self.connection.execute(f"DELETE FROM {table} WHERE name NOT IN (SELECT name FROM artifacts)")
        return leaving

    def rebuild(self, said: Callable[[Artifact], tuple[str, Iterable[str], str, str]]) -> int:
        """Make the index of words, the authors' phrases and the pins anew from the artifacts; give their number.

        `said` gives of an artifact its intent, its aliases, its description and the words of its schemas. Phrases that
        were learned on reuse, or came with a bundle, have no other source, and stay.
        """
        with transaction(self.connection):
            rows = self.connection.execute(f"SELECT {COLUMNS} FROM artifacts ORDER BY created_at, rowid").fetchall()
            artifacts = [self._artifact(row) for row in rows]
            self.connection.execute("DELETE FROM aliases WHERE json_extract(evidence, '$.source') = 'author'")
            self.connection.execute("DELETE FROM aliases WHERE name NOT IN (SELECT name FROM artifacts)")
            self.connection.execute("DELETE FROM parts")
            clear_index(self.connection)
            told = [(artifact, said(artifact)) for artifact in artifacts]
            for artifact, (intent, aliases, _, _) in told:
                self.connection.executemany(
                    "INSERT OR IGNORE INTO parts (digest, part) VALUES (?, ?)",
                    [(artifact.digest, part) for part in artifact.provenance.pins.values()],
                )
                for phrase in (intent, *aliases):
                    # As old as the artifact: whose phrase it was first must not change.
                    self._keep_alias(artifact.name, phrase, {"source": "author"}, artifact.created_at)
            for artifact, (_, _, description, words) in told:
                phrases = self.aliases(artifact.name)
                index_artifact(self.connection, artifact.name, artifact.digest, phrases, description, words)
        return len(artifacts)

    # ------------------------------------------------------------ decisions

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
            "SELECT intent, artifact FROM decisions WHERE tier IN ('composed', 'authored') AND artifact IN"
            " (SELECT name || '@' || version FROM artifacts) ORDER BY id DESC"
        )
        phrase = self.normalise(intent)
        return list(dict.fromkeys(row["artifact"] for row in rows if self.normalise(row["intent"]) == phrase))

    def last_decision(self) -> int:
        """The number of the newest decision; 0 when there is none."""
        return int(self.connection.execute("SELECT coalesce(max(id), 0) FROM decisions").fetchone()[0])

    def made_since(self, decision: int, intent: str) -> bool:
        """Whether the forge made something for this very phrasing after a decision."""
        rows = self.connection.execute(
            "SELECT intent FROM decisions WHERE id > ? AND tier IN ('composed', 'authored')", (decision,)
        )
        phrase = self.normalise(intent)
        return any(self.normalise(row["intent"]) == phrase for row in rows)

    def history(self, name: str, version: int) -> list[dict[str, Any]]:
        """What was decided on one version, oldest first: at, tier, intent, reason, report."""
        rows = self.connection.execute(
            "SELECT at, tier, intent, reason, report FROM decisions WHERE artifact = ? ORDER BY id",
            (f"{name}@{version}",),
        )
        return [dict(row) | {"report": json.loads(row["report"])} for row in rows]

    def _row(self, digest: str) -> sqlite3.Row:
        row = self.connection.execute("SELECT * FROM artifacts WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise NotFound(f"there is no artifact with the digest {digest[:12]}")
        return row  # type: ignore[no-any-return]

    def _artifact(self, row: sqlite3.Row) -> Artifact:
        if digest_of_text(row["text"]) != row["digest"]:
            raise _edited(row)
        try:
            return Artifact(**dict(row) | {"provenance": json.loads(row["provenance"])})
        except (TypeError, ValueError):  # no JSON, or none of the values that there are
            raise StoreError(
                f"what is stored beside the text of '{row['name']}@{row['version']}' cannot be read",
                hint="the registry file was edited; restore it from a backup",
                edited="row",
            ) from None

    def _not_found(self, reference: str, name: str) -> NotFound:
        versions = self.connection.execute(
            "SELECT version, status FROM artifacts WHERE name = ? ORDER BY version", (name,)
        ).fetchall()
        if versions:
            known = ", ".join(f"{row['version']} ({row['status']})" for row in versions)
            return NotFound(f"'{reference}' is not there; versions of '{name}': {known}")
        near = near_miss(name, self.names())
        hint = f"did you mean '{near}'?" if near else "see what there is: ritesmith list"
        foreign = odd_letter(name)
        if near and foreign:  # what is said and what is meant may look the same
            hint += f" {foreign}"
        return NotFound(f"there is no artifact '{reference}'", hint=hint)


def digest_of_text(text: str) -> str:
    """sha256 of the exact text, as hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _edited(row: sqlite3.Row) -> StoreError:
    return StoreError(
        f"the stored text of '{row['name']}@{row['version']}' is not what was published: its digest differs",
        hint="the registry file was edited; restore it from a backup",
        edited="text",
    )


def _content(row: Mapping[str, Any] | sqlite3.Row) -> bytes:
    """What the signature of an artifact covers: its text and name, and all that is said of where it comes from."""
    kept = {key: row[key] for key in ("digest", "kind", "name", "version")}
    return statement("artifact 1", **kept, provenance=digest_of_text(row["provenance"]))


def _status(row: Mapping[str, Any] | sqlite3.Row) -> bytes:
    """What the signature of its status covers: what this registry makes of it."""
    return statement("status 1", **{key: row[key] for key in ("digest", "status", "reason", "effect", "risk")})
