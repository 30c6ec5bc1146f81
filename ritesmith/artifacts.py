"""The verbs on artifacts: look, compare, deprecate, revoke, tag, export, import, verify, and keep house."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ritesmith.bundle import (
    ALIAS_LENGTH_MAX,
    ALIASES_MAX,
    BUNDLE_BYTES_MAX,
    Bundle,
    Packed,
    bundle_of,
    order_of,
    provenance_of,
    seal,
    unseal,
)
from ritesmith.contract import code_of
from ritesmith.db import backup, damage, transaction
from ritesmith.engine import Clock, Library
from ritesmith.errors import Conflict, InvalidInput, NotFound, Rejected, RiteSmithError, StoreError, Untrusted
from ritesmith.guard.policy import Decision, Policy, Subject, decide
from ritesmith.intake import read_bytes, write_new
from ritesmith.models import (
    JSON,
    Artifact,
    ArtifactKind,
    ArtifactStatus,
    Contract,
    Effect,
    Finding,
    Risk,
    Source,
    Where,
    Workflow,
)
from ritesmith.registry import Registry, Sealed
from ritesmith.runs import user
from ritesmith.schemas import schema_problems
from ritesmith.search import schema_words
from ritesmith.signing import Keys

if TYPE_CHECKING:
    import sqlite3

    from ritesmith.checking import Checked
    from ritesmith.rehearsal import Rehearsal
    from ritesmith.sandbox import Sandbox

Sort = Literal["name", "uses", "last-run", "created", "risk"]
REASON_LENGTH_MAX = 500
HISTORY_SHOWN = 50
"""Decisions on one version that `details` tells, the newest ones."""
RISKS = get_args(Risk)
FORGED = ("exact", "verified", "composed", "authored")
REUSED = ("exact", "verified")
STATS_SHOWN = 10
SECONDS_A_DAY = 86_400.0


class Artifacts(ABC):
    """What `RiteSmith` does with artifacts. It brings the parts that are named here first."""

    path: Path | str
    clock: Clock
    connection: sqlite3.Connection
    registry: Registry
    library: Library
    keys: Keys

    @property
    @abstractmethod
    def sandbox(self) -> Sandbox:
        """The pool of workers."""

    @property
    @abstractmethod
    def policy(self) -> Policy:
        """What may exist and run."""

    @abstractmethod
    def said(self, artifact: Artifact) -> Contract | Workflow:
        """What an artifact says of itself."""

    @abstractmethod
    def check_text(self, text: str, file: str) -> Checked:
        """Check a capability file's or a workflow file's text."""

    @abstractmethod
    def workflow_of(self, artifact: Artifact) -> Workflow:
        """The workflow that an artifact is."""

    @abstractmethod
    def _active(self, name: str) -> Artifact:
        """The newest active version of a name, else its newest draft."""

    @abstractmethod
    def _parts_of(self, artifact: Artifact) -> list[Artifact]:
        """What a workflow is pinned to."""

    @abstractmethod
    def _all_parts(self, parts: Iterable[Artifact]) -> list[Artifact]:
        """These parts, and all that they are made of."""

    @abstractmethod
    def _pinned(self, workflow: Workflow, drafted: Mapping[str, Artifact]) -> tuple[str, list[Artifact]]:
        """A workflow's text with every part named by version, and the parts."""

    @abstractmethod
    def _subject(self, said: Contract | Workflow, parts: Sequence[Artifact], source: str) -> Subject:
        """What the policy looks at."""

    # ------------------------------------------------------------ looking

    def listing(
        self,
        kind: ArtifactKind | None = None,
        *,
        status: ArtifactStatus | None = None,
        risk: Risk | None = None,
        effect: Effect | None = None,
        source: Source | None = None,
        namespace: str | None = None,
        sort: Sort = "name",
        limit: int | None = None,
        versions: bool = False,
    ) -> list[dict[str, Any]]:
        """The newest version of every name that is active or a draft, workflows first: what `ritesmith list` shows.

        With `status` the newest of that status, with `versions` every version. `uses` counts the runs of an artifact,
        or of its workflow; `last_run_at` is in seconds since 1970, None for never.
        """
        statuses = (status,) if status else ("active", "draft")
        artifacts = self.registry.newest(kind, get_args(ArtifactStatus) if versions and not status else statuses)
        if versions:
            every = (each for newest in artifacts for each in self.registry.versions(newest.name))
            artifacts = [each for each in every if status in (None, each.status)]
        runs = self._runs_of()
        chosen = [
            each
            for each in artifacts
            if risk in (None, each.risk)
            and effect in (None, each.effect)
            and source in (None, each.provenance.source)
            and (namespace is None or each.name == namespace or each.name.startswith(f"{namespace}."))
        ]
        orders: Mapping[str, Callable[[Artifact], Any]] = {
            "name": lambda each: 0,
            "uses": lambda each: -runs.get(each.digest, (0, 0.0))[0],
            "last-run": lambda each: -runs.get(each.digest, (0, 0.0))[1],
            "created": lambda each: -each.created_at,
            "risk": lambda each: -RISKS.index(each.risk),
        }
        chosen.sort(key=orders[sort])
        return [self._row(each, runs) for each in chosen[:limit]]

    def _runs_of(self) -> dict[str, tuple[int, float]]:
        """How many runs each artifact has, and when the last one began, by digest."""
        rows = self.connection.execute("SELECT digest, count(*), max(started_at) FROM runs GROUP BY digest")
        return {digest: (count, last or 0.0) for digest, count, last in rows}

    def _row(self, artifact: Artifact, runs: Mapping[str, tuple[int, float]] | None = None) -> dict[str, Any]:
        row: dict[str, Any] = {
            "kind": artifact.kind,
            "name": artifact.name,
            "version": artifact.version,
            "intent": self.said(artifact).intent,
            "effect": artifact.effect,
            "risk": artifact.risk,
            "status": artifact.status,
            "source": artifact.provenance.source,
        }
        if runs is not None:
            uses, last = runs.get(artifact.digest, (0, 0.0))
            row |= {"uses": uses, "last_run_at": last or None, "created_at": artifact.created_at}
        return row

    def details(self, reference: str) -> dict[str, Any]:
        """Everything about one artifact: what it says, its text, where it comes from, and what became of it."""
        artifact = self._looked_up(reference)
        said = self.said(artifact)
        history = self.registry.history(artifact.name, artifact.version)
        return self._row(artifact, self._runs_of()) | {
            "digest": artifact.digest,
            "reason": artifact.reason,
            "signature": self._signature(artifact),
            "description": said.description,
            "contract": said.model_dump(mode="json", by_alias=True, exclude_unset=True),
            "text": artifact.text,
            "aliases": [phrase for phrase in self.registry.aliases(artifact.name) if phrase != said.intent],
            "tags": self.registry.tags(artifact.name),
            "provenance": artifact.provenance.model_dump(mode="json"),
            "used_by": [each.ref for each in self.registry.users(artifact.digest)],
            "twins": [each.ref for each in self.registry.twins(artifact.canonical, artifact.digest)],
            "history": [
                {key: each[key] for key in ("at", "tier", "intent", "reason")} for each in history[-HISTORY_SHOWN:]
            ],
            "versions": [
                {"version": each.version, "status": each.status, "digest": each.digest, "created_at": each.created_at}
                for each in self.registry.versions(artifact.name)
            ],
        }

    def _signature(self, artifact: Artifact) -> dict[str, Any]:
        """Who signed it, and whether it would be executed: `problem` says why not."""
        key = artifact.signer
        told = {"key": key, "of": "you" if key and key == self.keys.own else self.keys.trusted.get(key or "")}
        try:
            self.registry.verify(artifact.digest)
        except Untrusted as error:
            return told | {"problem": error.message, "hint": error.hint}
        return told | {"problem": None}

    def _looked_up(self, reference: str) -> Artifact:
        """What a person means by a name, name@version, name@tag or digest; of a name, what there is of it."""
        if "@" in reference or "." not in reference:
            return self.registry.get(reference)
        try:
            return self._active(reference)
        except NotFound:
            versions = self.registry.versions(reference)
            if versions:  # all of them deprecated or revoked: they can still be looked at
                return versions[-1]
            raise

    def uses(self, reference: str) -> dict[str, Any]:
        """What an artifact is made of, as a tree: ref, digest, kind, status, effect, and its `uses`."""
        return self._tree(self._looked_up(reference), lambda each: self._parts_of(each), "uses")

    def used_by(self, reference: str) -> dict[str, Any]:
        """What is pinned to an artifact, as a tree like that of `uses`, under `used_by`."""
        return self._tree(self._looked_up(reference), lambda each: self.registry.users(each.digest), "used_by")

    def _tree(self, artifact: Artifact, near: Callable[[Artifact], Sequence[Artifact]], side: str) -> dict[str, Any]:
        told = {"artifact": artifact.ref, "digest": artifact.digest, "kind": artifact.kind}
        told |= {"status": artifact.status, "effect": artifact.effect}
        return told | {side: [self._tree(each, near, side) for each in near(artifact)]}

    def diff(self, before: str, after: str | None = None) -> dict[str, Any]:
        """What changed between two versions: `contract` and `grants` by path, `source` side by side, `breaking`.

        Without `after`: from the version before to `before`, which is of a name the newest.
        """
        from ritesmith.compare import breaking, changes, side_by_side

        right = self._looked_up(after or before)
        if after is not None:
            left = self._looked_up(before)
        else:
            earlier = [each for each in self.registry.versions(right.name) if each.version < right.version]
            if not earlier:
                raise NotFound(f"'{right.ref}' is the first version of '{right.name}'", hint="name two to compare")
            left = earlier[-1]
        if left.kind != right.kind:
            raise InvalidInput(f"'{left.ref}' is a {left.kind}, and '{right.ref}' a {right.kind}")
        says, said = (self.said(each).model_dump(mode="json", by_alias=True) for each in (left, right))
        grants = says.pop("grants", {}), said.pop("grants", {})
        nodes = says.pop("nodes", None), said.pop("nodes", None)  # they are the source of a workflow
        sources = _code(left, nodes[0]), _code(right, nodes[1])
        return {
            "from": left.ref,
            "to": right.ref,
            "breaking": breaking(self.said(left), self.said(right), left.effect, right.effect),
            "contract": [each.model_dump(mode="json") for each in changes(says, said)],
            "grants": [each.model_dump(mode="json") for each in changes(*grants)],
            "source": [each.model_dump(mode="json") for each in side_by_side(*sources)],
        }

    def stats(self) -> dict[str, Any]:
        """How much there is, how often it was reused, what that saved, what is used most, and what fails.

        `tokens_saved` counts for each reuse what it took to make the artifact, as far as that is known: nothing for
        what was bundled, composed or written by hand.
        """

        def counted(sql: str, *values: Any) -> dict[str, int]:
            return dict(tuple(row) for row in self.connection.execute(sql, values))

        artifacts = {
            column: counted(f"SELECT {column}, count(*) FROM artifacts GROUP BY 1 ORDER BY 1")
            for column in ("kind", "status", "risk", "effect")
        }
        artifacts["source"] = counted(
            "SELECT json_extract(provenance, '$.source'), count(*) FROM artifacts GROUP BY 1 ORDER BY 1"
        )
        tiers = dict.fromkeys(FORGED, 0) | counted(
            f"SELECT tier, count(*) FROM decisions WHERE tier IN ({_marks(FORGED)}) GROUP BY 1", *FORGED
        )
        forged, reused = sum(tiers.values()), sum(tiers[tier] for tier in REUSED)
        spent = self.connection.execute(
            f"SELECT sum(json_extract(report, '$.tokens')) FROM decisions WHERE tier IN ({_marks(FORGED)})", FORGED
        ).fetchone()[0]
        saved = self.connection.execute(
            "SELECT sum(json_extract(provenance, '$.tokens')) FROM decisions JOIN artifacts"
            f" ON artifact = name || '@' || version WHERE tier IN ({_marks(REUSED)})",
            REUSED,
        ).fetchone()[0]
        failed = "status IN ('failed', 'compensated', 'compensation_failed', 'unknown')"
        used = self.connection.execute(
            f"SELECT workflow AS name, count(*) AS runs, sum({failed}) AS failed, max(started_at) AS last_run_at"
            " FROM runs GROUP BY workflow"
        )
        rows = [dict(row) for row in used]
        return {
            "artifacts": {"total": sum(artifacts["kind"].values()), "names": len(self.registry.names()), **artifacts},
            "forged": {"total": forged, **tiers},
            "reuse_rate": reused / forged if forged else None,
            "tokens_spent": spent or 0,
            "tokens_saved": saved or 0,
            "runs": sum(row["runs"] for row in rows),
            "most_used": sorted(rows, key=lambda row: (-row["runs"], row["name"]))[:STATS_SHOWN],
            "failing": sorted(
                (row for row in rows if row["failed"]), key=lambda row: (-row["failed"] / row["runs"], row["name"])
            )[:STATS_SHOWN],
        }

    # ------------------------------------------------------------ before publishing

    def breaks(self, checked: Checked, drafted: Mapping[str, Artifact] | None = None) -> list[str]:
        """Why callers of the newest version in use may fail with this draft as the next one; empty when they can't."""
        from ritesmith.compare import breaking

        said = checked.workflow or (checked.capability.contract if checked.capability else None)
        before = self._in_use(checked.name)
        if said is None or before is None or before.kind != checked.kind:
            return []
        parts = self._pinned(checked.workflow, drafted or {})[1] if checked.workflow is not None else []
        effect = self._subject(said, self._all_parts(parts), "person").effect
        return breaking(self.said(before), said, before.effect, effect)

    def same_as(self, checked: Checked) -> Artifact | None:
        """The version in use from which a drafted capability differs only in layout, comments or local names."""
        before = self._in_use(checked.name)
        if checked.capability is None or before is None or before.kind != "capability":
            return None
        same = before.canonical == self.sandbox.canonical(checked.capability.source)
        return before if same and self.said(before) == checked.capability.contract else None

    def _in_use(self, name: str) -> Artifact | None:
        versions = self.registry.versions(name)
        return next((each for each in reversed(versions) if each.status in ("active", "deprecated")), None)

    # ------------------------------------------------------------ status and tags

    def deprecate(self, reference: str, reason: str, *, undo: bool = False, by: str | None = None) -> Artifact:
        """Advise against a version, or no longer (`undo`): it runs, but no name alone means it, and checks warn of it.

        Raises Conflict when it is not active, or, to undo, not deprecated.
        """
        artifact = self.registry.get(reference)
        wanted: ArtifactStatus = "deprecated" if undo else "active"
        if artifact.status != wanted:
            raise Conflict(f"'{artifact.ref}' is {artifact.status}, not {wanted}")
        return self._with_status(artifact, "active" if undo else "deprecated", reason, by)

    def revoke(self, reference: str, reason: str, *, by: str | None = None) -> Artifact:
        """Forbid a version, for good: runs of it that are under way finish, and none starts, whatever is made of it.

        The version must be named, and why. Raises InvalidInput without, Conflict when it is revoked already.
        """
        if "@" not in reference and "." in reference:
            known = ", ".join(f"{each.ref} ({each.status})" for each in self.registry.versions(reference)[-5:])
            raise InvalidInput(f"'{reference}' does not say which version is meant", hint=f"there are {known}")
        if not reason.strip():
            raise InvalidInput("a version is revoked for a reason", hint='--reason "why nobody may run it"')
        artifact = self.registry.get(reference)
        if artifact.status == "revoked":
            raise Conflict(f"'{artifact.ref}' is revoked already" + (f": {artifact.reason}" if artifact.reason else ""))
        return self._with_status(artifact, "revoked", reason, by)

    def _with_status(self, artifact: Artifact, status: ArtifactStatus, reason: str, by: str | None) -> Artifact:
        why = " ".join(reason.split())
        if len(why) > REASON_LENGTH_MAX:
            raise InvalidInput(f"the reason has {len(why)} characters; at most {REASON_LENGTH_MAX} are kept")
        person = by or user()
        told = f"{status} by {person}" + (f": {why}" if why else "")
        with transaction(self.connection):
            self.registry.set_status(artifact.digest, status, why)
            self.registry.log_decision("", status, artifact.ref, told, {"by": person, "reason": why})
        return self.registry.by_digest(artifact.digest)

    def under_way(self, artifact: Artifact) -> int:
        """How many unfinished runs were started of this very version."""
        row = self.connection.execute(
            "SELECT count(*) FROM runs WHERE digest = ? AND status NOT IN"
            " ('succeeded', 'failed', 'compensated', 'compensation_failed', 'cancelled')",
            (artifact.digest,),
        ).fetchone()
        return int(row[0])

    def tag(self, reference: str, tag: str, *, by: str | None = None) -> tuple[Artifact, int | None]:
        """Let `name@tag` mean a version from now on; return it, and the version that the tag meant before."""
        artifact = self.registry.get(reference)
        if artifact.status == "revoked":
            raise Conflict(f"'{artifact.ref}' is revoked; a tag would lead to it", hint="tag another version")
        person = by or user()
        with transaction(self.connection):
            before = self.registry.tag(artifact, tag, person)
            if before != artifact.version:
                moved = "" if before is None else f"; before it meant version {before}"
                told = {"by": person, "tag": tag, "before": before}
                self.registry.log_decision("", "tag", artifact.ref, f"tagged {tag} by {person}{moved}", told)
        return artifact, before

    def untag(self, name: str, tag: str) -> None:
        """Take a tag from a name. NotFound with the near miss when it has none of that."""
        if not self.registry.versions(name):
            self.registry.get(name)
        self.registry.untag(name, tag)

    # ------------------------------------------------------------ bundles

    def export(self, reference: str) -> tuple[Artifact, bytes, int]:
        """A signed bundle of an artifact with all it depends on: the artifact, the file's content, how many are in it.

        Each of them is verified first. Raises Untrusted, Conflict when one of them is revoked, and InvalidInput when
        that is more than a bundle holds.
        """
        root = self._looked_up(reference)
        packed = []
        for artifact in order_of([root, *self._all_parts(self._parts_of(root))]):
            if artifact.status == "revoked":
                raise Conflict(f"'{artifact.ref}' is revoked and cannot be exported", hint="export another version")
            sealed, said = self.registry.seal(artifact), self.said(artifact)
            aliases = (each for each in self.registry.aliases(artifact.name) if each != said.intent)
            packed.append(
                {
                    "digest": artifact.digest,
                    "kind": artifact.kind,
                    "name": artifact.name,
                    "version": artifact.version,
                    "status": artifact.status,
                    "text": artifact.text,
                    "provenance": sealed.provenance,
                    "signature": sealed.signature.hex(),
                    # The oldest are the author's; the others only help to find it.
                    "aliases": [each for each in aliases if len(each) <= ALIAS_LENGTH_MAX][:ALIASES_MAX],
                    "tags": [tag for tag, of in self.registry.tags(artifact.name).items() if of == artifact.version],
                }
            )
        value = {"root": root.digest, "made_at": self.clock.now(), "artifacts": packed}
        data = seal(bundle_of(value, f"the bundle of '{root.ref}'"), self.keys)
        if len(data) > BUNDLE_BYTES_MAX:
            raise InvalidInput(f"the bundle of '{root.ref}' has {len(data)} bytes; at most {BUNDLE_BYTES_MAX} are read")
        return root, data, len(packed)

    def export_file(self, reference: str, file: str | Path | None = None) -> dict[str, Any]:
        """Write that bundle into a file of its own, by default `NAME-VERSION.bundle` here; nothing is overwritten."""
        root, data, count = self.export(reference)
        target = Path(file or f"{root.name}-{root.version}.bundle")
        if not write_new(target, data):
            raise Conflict(f"there is a file '{target}' already", hint="remove it, or name another one")
        return {"artifact": root.ref, "file": str(target), "artifacts": count, "bytes": len(data), "key": self.keys.own}

    def import_file(self, file: str | Path, *, namespaces: Sequence[str] = (), by: str | None = None) -> dict[str, Any]:
        """Take over what a bundle brings: all of it, or nothing when anything about it is wrong.

        It keeps its names, versions, texts and the signatures of the key that sealed it, which must be trusted; what is
        here already stays as it is. Everything else passes this registry's guard, trial and policy, as if a person here
        had published it. A namespace in which others have published is not entered unless it is among `namespaces`.
        Raises InvalidInput, Untrusted, Rejected with the findings, and Conflict where a name or version is taken.
        """
        file = Path(file)
        bundle, key = unseal(read_bytes(file, BUNDLE_BYTES_MAX), self.keys, f"the bundle '{file}'")
        person = by or user()
        # Most of the time goes into trying capabilities, which need nothing of what is yet to be written: nobody else
        # has to wait for that.
        tried = {
            each.digest: self.check_text(each.text, f"{each.ref}.lua")
            for each in bundle.artifacts
            if each.kind == "capability" and not self.registry.has(each.digest)
        }
        new: list[Artifact] = []
        kept: list[Artifact] = []
        with transaction(self.connection):
            self._enter(bundle, key, namespaces)
            for packed in bundle.artifacts:
                artifact, added = self._take(packed, key, tried.get(packed.digest))
                (new if added else kept).append(artifact)
                if added:
                    told = {"by": person, "file": file.name, "key": key}
                    reason = f"imported by {person} from '{file.name}', signed by {key[:12]}"
                    self.registry.log_decision("", "import", artifact.ref, reason, told)
        root = next(each for each in (*new, *kept) if each.digest == bundle.root)
        return {
            "artifact": root.ref,
            "status": root.status,
            "key": key,
            "imported": [each.ref for each in new],
            "kept": [each.ref for each in kept],
            "drafts": [each.ref for each in new if each.status == "draft"],
        }

    def _enter(self, bundle: Bundle, key: str, namespaces: Sequence[str]) -> None:
        """Conflict where what is new in a bundle would stand among the names of others."""
        for packed in bundle.artifacts:
            here = self.registry.has(packed.digest)
            namespace = packed.name.partition(".")[0]
            owners = self.registry.signers(namespace)
            if here or not owners or key in {*owners, self.keys.own} or namespace in namespaces:
                continue
            whose = "yours" if owners == {self.keys.own} else f"of the key {min(owners)[:12]}"
            raise Conflict(
                f"'{packed.name}' would enter the namespace '{namespace}', which is {whose}",
                hint=f"if that is meant: --namespace {namespace}",
            )

    def _take(self, packed: Packed, key: str, tried: Checked | None) -> tuple[Artifact, bool]:
        """Publish one artifact of a bundle as it is there, when it passes what a person's own would have to pass."""
        for artifact in self.registry.versions(packed.name):
            if artifact.digest == packed.digest:
                if artifact.status == "revoked":
                    why = f" ({artifact.reason})" if artifact.reason else ""
                    raise Conflict(f"'{artifact.ref}' was revoked here{why}", hint="nothing was imported")
                if artifact.version != packed.version:
                    raise Conflict(f"'{packed.ref}' is '{artifact.ref}' here", hint="nothing was imported")
                return artifact, False
        if packed.status == "revoked":
            raise Conflict(f"'{packed.ref}' was revoked where it comes from", hint="nothing was imported")
        provenance = provenance_of(packed)
        file = f"{packed.ref}.{'lua' if packed.kind == 'capability' else 'json'}"
        checked = tried or self.check_text(packed.text, file)
        if checked.errors:
            raise Rejected(f"'{packed.ref}' does not pass the guard here", findings=checked.findings)
        said = checked.workflow or (checked.capability.contract if checked.capability else None)
        assert said is not None
        if (checked.kind, said.name) != (packed.kind, packed.name):
            raise InvalidInput(f"'{packed.ref}' is the {checked.kind} '{said.name}' by its own text")
        parts: list[Artifact] = []
        if checked.workflow is not None:
            _, parts = self._pinned(checked.workflow, {})
        if {part.ref: part.digest for part in parts} != provenance.pins:
            raise InvalidInput(f"'{packed.ref}' is pinned to other parts than its text names")
        # That it was bundled or approved elsewhere is no reason to let it pass here.
        source = "person" if provenance.source == "bundled" else provenance.source
        subject = self._subject(said, self._all_parts(parts), source)
        decision = decide(self.policy, subject)
        if decision.action == "deny":
            raise denied(packed.ref, decision)
        waits = decision.action == "approve" or any(part.status == "draft" for part in parts)
        artifact, new = self.registry.publish(
            kind=packed.kind,
            name=packed.name,
            text=packed.text,
            canonical=self.sandbox.canonical(packed.text) if packed.kind == "capability" else packed.digest,
            effect=subject.effect,
            risk=decision.risk,
            intent=said.intent,
            aliases=said.aliases,
            description=said.description,
            words=schema_words(said.input, said.output),
            status="draft" if waits else packed.status,
            provenance=provenance,
            sealed=Sealed(packed.version, packed.provenance, key, bytes.fromhex(packed.signature)),
        )
        for phrase in packed.aliases:
            self.registry.add_alias(artifact.name, phrase, {"source": "import", "key": key, "digest": artifact.digest})
        mine = self.registry.tags(artifact.name)
        for tag in packed.tags:
            if tag not in mine:
                self.registry.tag(artifact, tag, key[:12])
        return artifact, new

    # ------------------------------------------------------------ keeping house

    def prune(self, *, days: float = 30.0, dry_run: bool = False) -> list[dict[str, Any]]:
        """Delete drafts older than `days` that no artifact, run or tag refers to; return them."""
        before = self.clock.now() - days * SECONDS_A_DAY
        leaving = self.registry.prunable(before) if dry_run else self.registry.prune(before)
        return [
            {
                "artifact": each.ref,
                "digest": each.digest,
                "intent": each.provenance.intent,
                "created_at": each.created_at,
            }
            for each in leaving
        ]

    def verify(self, reference: str | None = None, *, examples: bool = True) -> dict[str, Any]:
        """Look whether everything, or one artifact with its parts, is as it was published and still does what it says.

        Every digest, signature, contract and pin, and `examples` executed in the sandbox; without a reference also the
        file itself and its indexes. Nothing is changed. Returns how many were looked at, and the findings.
        """
        findings: list[Finding] = []
        if reference is None:
            digests = [row[0] for row in self.connection.execute("SELECT digest FROM artifacts ORDER BY name, version")]
            findings += [Finding(code="file_damaged", message=each) for each in damage(self.connection)]
            findings += self._index_findings()
            findings += self._tag_findings()
        else:
            artifact = self._looked_up(reference)
            digests = [artifact.digest, *(each.digest for each in self._all_parts(self._parts_of(artifact)))]
        for digest in digests:
            findings += self._verified(digest, examples)
        return {
            "artifacts": len(digests),
            "examples": examples,
            "findings": [each.model_dump(mode="json") for each in findings],
        }

    def _verified(self, digest: str, examples: bool) -> Iterator[Finding]:
        name, version = self.connection.execute(
            "SELECT name, version FROM artifacts WHERE digest = ?", (digest,)
        ).fetchone()
        where = Where(file=f"{name}@{version}")

        def finding(code: str, message: str, hint: str = "", *, warning: bool = False) -> Finding:
            severity: Literal["error", "warning"] = "warning" if warning else "error"
            return Finding(code=code, severity=severity, where=where, message=message, hint=hint)

        try:
            artifact = self.registry.by_digest(digest)
        except StoreError as error:
            yield finding(f"{error.facts.get('edited', 'text')}_edited", error.message, error.hint)
            return
        try:
            self.registry.verify(digest)
        except Untrusted as error:
            yield finding("untrusted", error.message, error.hint)
            return
        try:
            said = self.said(artifact)
            run = examples and artifact.status != "revoked"
            for side, schema in (("input", said.input), ("output", said.output)):
                for path, message in schema_problems(schema) if schema is not None else ():
                    run = False  # no value can be held against it
                    yield finding("schema_invalid", f"its {side} is no JSON Schema: {path} {message}")
            for part in self._all_parts(self._parts_of(artifact)):
                if part.status == "revoked" and artifact.status != "revoked":
                    run = False
                    why = f": {part.reason}" if part.reason else ""
                    hint = "publish a version without it; this one starts no run"
                    yield finding("revoked_version", f"it is pinned to '{part.ref}', which is revoked{why}", hint)
                elif part.status == "deprecated" and artifact.status == "active":
                    message = f"it is pinned to '{part.ref}', which is deprecated"
                    yield finding("deprecated_version", message, warning=True)
            for number, example in enumerate(said.examples if run else ()):
                problems = self.rehearser(artifact)(example).problems
                if problems:
                    yield finding("example_failed", f"example {number + 1}: {problems[0]}")
        except RiteSmithError as error:
            yield finding(error.code, error.message, error.hint)

    def _index_findings(self) -> Iterator[Finding]:
        lacks = {
            "cannot be found by words": "SELECT digest FROM artifacts EXCEPT SELECT artifact FROM search",
            "is pinned to parts that nobody would find it by": (
                "SELECT digest FROM (SELECT artifacts.digest AS digest, pins.value FROM artifacts,"
                " json_each(CASE WHEN json_valid(provenance) THEN provenance ELSE '{}' END, '$.pins') AS pins"
                " EXCEPT SELECT digest, part FROM parts)"
            ),
        }
        for what, sql in lacks.items():
            rows = self.connection.execute(
                f"SELECT name, version FROM artifacts WHERE digest IN ({sql}) ORDER BY name, version"
            ).fetchall()
            if rows:
                first = f"{rows[0]['name']}@{rows[0]['version']}"
                more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
                hint = "make the indexes anew: ritesmith rebuild"
                yield Finding(code="index_incomplete", message=f"'{first}' {what}{more}", hint=hint)

    def _tag_findings(self) -> Iterator[Finding]:
        for row in self.connection.execute(
            "SELECT tags.name AS name, tag, artifacts.name AS leads_to FROM tags LEFT JOIN artifacts USING (digest)"
            " WHERE artifacts.name IS NOT tags.name ORDER BY 1, 2"
        ):
            leads = f"'{row['leads_to']}'" if row["leads_to"] else "nothing"
            hint = f"remove it: ritesmith tag {row['name']} {row['tag']} --remove"
            yield Finding(
                code="tag_edited", message=f"the tag '{row['name']}@{row['tag']}' leads to {leads}", hint=hint
            )

    def rehearser(self, artifact: Artifact) -> Callable[[Any], Rehearsal]:
        """How to run one example of a published artifact.

        Raises Untrusted where nobody vouches for it, or for a part of it any more.
        """
        from ritesmith.rehearsal import rehearse_capability, rehearse_workflow

        self.registry.verify(artifact.digest)
        for part in self._all_parts(self._parts_of(artifact)):
            if part.status == "revoked":
                why = f": {part.reason}" if part.reason else ""
                raise Untrusted(f"'{part.ref}', of which '{artifact.ref}' is made, was revoked{why}")
        limits, sandbox, library = self.policy.limits, self.sandbox, self.library
        if artifact.kind == "capability":
            capability = library.capability(artifact.digest)
            return lambda example: rehearse_capability(sandbox, capability, example, limits=limits)
        workflow = self.workflow_of(artifact)
        parts = {
            ref: library.capability(digest)
            for ref, digest in artifact.provenance.pins.items()
            if self.registry.by_digest(digest).kind == "capability"
        }
        return lambda example: rehearse_workflow(sandbox, workflow, parts, example, limits=limits, published=library)

    def rebuild(self) -> int:
        """Make every index anew from the artifacts: of words, of phrases, of pins; return how many artifacts there are.

        Phrases that were learned when something was reused, or came with a bundle, stay: they stand nowhere else.
        """

        def said(artifact: Artifact) -> tuple[str, Iterable[str], str, str]:
            says = self.said(artifact)
            return says.intent, says.aliases, says.description, schema_words(says.input, says.output)

        return self.registry.rebuild(said)

    def backup(self, file: str | Path) -> dict[str, Any]:
        """Copy the registry into a file of its own, as it stands at this moment, while others use it.

        Nothing is overwritten. Raises Conflict when there is such a file, StoreError when it cannot be written.
        """
        if Path(file).exists():
            raise Conflict(f"there is a file '{file}' already", hint="name another one")
        size = backup(self.connection, Path(file))
        return {"file": str(file), "bytes": size, "artifacts": len(self.registry.names())}


def denied(name: str, decision: Decision) -> Rejected:
    """The policy's no, with its rule and its reason."""
    finding = Finding(
        code="policy_denied",
        message=f"rule '{decision.rule or 'none'}': {decision.reason} (risk {decision.risk}: {decision.risk_reason})",
        hint="change the grants, or the rules in guardrails/policy.toml",
    )
    return Rejected(f"the policy does not allow '{name}': {decision.reason}", findings=[finding])


def _code(artifact: Artifact, nodes: JSON) -> str:
    """What of an artifact's text is compared as source: the contract is compared by itself."""
    if artifact.kind == "workflow":
        return json.dumps(nodes, indent=1, ensure_ascii=False, sort_keys=True)
    return code_of(artifact.text)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
