"""`RiteSmith` wires the stages, from intent to trace. It and `forging` know the order."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ritesmith import hosts, saga
from ritesmith.artifacts import Artifacts, denied
from ritesmith.contract import capability_of, near_miss
from ritesmith.db import FILLING_SECONDS, MEMORY, find_db, open_db, read_error, transaction
from ritesmith.documents import read_documents
from ritesmith.engine import Clock, Engine, Library, SystemClock
from ritesmith.errors import Conflict, InvalidInput, NotFound, Rejected, StoreError
from ritesmith.files import Files
from ritesmith.grants import hosts_named
from ritesmith.guard.policy import Decision, Policy, Subject, decide, load_policy, subject_of
from ritesmith.guard.workflow_shape import read_workflow
from ritesmith.hosts.base import TOOLS_KEPT_AS
from ritesmith.intake import bundled_files, bundled_look, check_value, content_folder, read_text, write_new
from ritesmith.journal import Journal
from ritesmith.models import (
    JSON,
    Artifact,
    ArtifactStatus,
    CallNode,
    Capability,
    Contract,
    Effect,
    Finding,
    HostFunction,
    Provenance,
    Source,
    TaskNode,
    Value,
    Workflow,
)
from ritesmith.notebook import Card, Shown
from ritesmith.registry import Registry, digest_of_text
from ritesmith.runs import Runs, user
from ritesmith.search import Hit, blended, schema_words, search
from ritesmith.settings import Settings, load_settings
from ritesmith.signing import Keys
from ritesmith.vectors import Vectors

if TYPE_CHECKING:
    import sqlite3

    from ritesmith.books import Books, Budget
    from ritesmith.checking import Checked, Checking
    from ritesmith.doctor import Check
    from ritesmith.drafts import Review
    from ritesmith.dry_run import DryRun
    from ritesmith.forge.reuse import Candidate
    from ritesmith.forging import CandidateReport, ForgeReport
    from ritesmith.hosts.mcp_sessions import McpServers
    from ritesmith.model_server import Models
    from ritesmith.sandbox import Sandbox
    from ritesmith.syncing import SyncReport

GUARD_VERSION = "1"
SIGNED_SINCE = 5
"""Schema of the registry file from which on every artifact is signed."""
ROUNDS = 3
SEARCH_LIMIT = 10
DEMO_FILES = ("order.json", "refund_examples.json")


class Published(Shown, Value):
    """What became of a file that was to be published."""

    artifact: Artifact
    new: bool
    same_as: str = ""
    """The version that it says again in other words, where it was not published for that; else empty."""
    twins: tuple[str, ...] = ()
    """Versions under other names that differ only in layout, comments or local names."""
    breaking: tuple[str, ...] = ()
    """What it breaks for those who use the version before."""

    def _card(self) -> Card:
        facts = {"same as": self.same_as, "twins": ", ".join(self.twins), "breaks": "; ".join(self.breaking)}
        title = f"{self.artifact.ref} ({self.artifact.status}){'' if self.new else ', there already'}"
        return Card(title, [(name, said) for name, said in facts.items() if said])


class RiteSmith(Shown, Artifacts, Runs, Files):
    """All verbs on one registry file. Open it with `RiteSmith.open`, and close it, or use it as a context manager."""

    def __init__(
        self,
        path: Path | str,
        *,
        clock: Clock | None = None,
        new_id: Callable[[], str] | None = None,
        environment: Mapping[str, str] | None = None,
        keys: Keys | None = None,
        sandbox: Sandbox | None = None,
    ) -> None:
        self.path = path
        if sandbox is not None:
            self.__dict__["sandbox"] = sandbox  # where cached_property looks for it
        self.environment = os.environ if environment is None else environment
        # Who the user is does not depend on the registry that is meant: never `environment`.
        self.keys = keys or Keys.of(os.environ)
        self.clock = clock or SystemClock()
        self.new_id = new_id or (lambda: "r" + secrets.token_hex(5))
        self.connection = open_db(path, on_upgrade=self._adopt)
        self.registry = Registry(self.connection, self.clock.now, _normalised, self.keys)
        self.journal = Journal(self.connection, self.clock.now)
        self.library = Library(self._workflow_of_run, self._capability_to_run, self._called_run)
        self._capabilities: dict[str, Capability] = {}
        self.proved: dict[tuple[str, str], bool] = {}
        """Whether an artifact's own examples pass, by its digest and the policy's: what was seen in this process."""
        self._workflows: dict[str, Workflow] = {}
        """Both by digest, which is checked when they are read."""
        self._vouched: set[str] = set()

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        folder: str | Path | None = None,
        environment: Mapping[str, str] | None = None,
        on_install: Callable[[str], None] | None = None,
        **options: Any,
    ) -> RiteSmith:
        """Open the registry that `path`, RITESMITH_DB or the folders upward name, with the bundled library in it.

        A file that is not there is made; then `on_install` is told what was put into it. Raises StoreError.
        """
        try:
            here = Path(folder) if folder else Path.cwd()
        except FileNotFoundError:
            raise NotFound("the folder that this was started in is gone", hint="change to another folder") from None
        around = dict(environment if environment is not None else os.environ)
        app = cls(find_db(path, here, around), environment=around, **options)
        try:
            app.install(on_install)
        except BaseException as error:
            app.__exit__(type(error), error, error.__traceback__)
            raise
        return app

    def __enter__(self) -> RiteSmith:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        unreadable = read_error(str(self.path), error)
        if unreadable is not None:
            raise unreadable from None

    def close(self) -> None:
        """End the workers and the sessions with MCP servers, and close the file."""
        if "mcp_servers" in self.__dict__:
            self.mcp_servers.close()
        for name in ("sandbox", "second_sandbox"):
            if name in self.__dict__:
                self.__dict__[name].close()
        self.connection.close()

    def _card(self) -> Card:
        runs = self.runs(limit=5)
        rows = [(row["id"], row["workflow"], row["status"], row["outcome"]) for row in runs]
        title = f"{str(self.path)!r}: {len(self.registry.names())} artifacts"
        return Card(title, (), ("last runs", "workflow", "status", "outcome"), rows)

    @cached_property
    def sandbox(self) -> Sandbox:
        """The pool of workers; started when first used."""
        from ritesmith.sandbox import Sandbox

        return Sandbox()

    @cached_property
    def second_sandbox(self) -> Sandbox:
        """Another process, in which the trial executes examples a second time."""
        from ritesmith.sandbox import Sandbox

        return Sandbox(workers=1)

    @cached_property
    def policy(self) -> Policy:
        """What may exist and run: the bundled rules, and the project's own beside the registry file."""
        project = None if self.folder is None else self.folder / "guardrails" / "policy.toml"
        return load_policy(content_folder() / "guardrails" / "policy.toml", project)

    @cached_property
    def folder(self) -> Path | None:
        """Where the project's own files lie: beside the registry file; None for a registry in memory."""
        return None if str(self.path) == MEMORY else Path(self.path).absolute().parent

    @cached_property
    def settings(self) -> Settings:
        """What the project sets in `ritesmith.toml`."""
        return Settings() if self.folder is None else load_settings(self.folder)

    @cached_property
    def secrets(self) -> hosts.Secrets:
        """The project's secrets; they are cut out of what host functions answer."""
        return hosts.Secrets(self.folder, self.environment)

    @cached_property
    def books(self) -> Books:
        """Every call of a model that the forge has made here."""
        from ritesmith.books import Books

        return Books(self.connection, self.clock.now, self.settings.forge.prices)

    def models(self, environ: Mapping[str, str] | None = None) -> Models | None:
        """The models that the environment or `[forge]` of `ritesmith.toml` names, or None."""
        from ritesmith.model_server import models_of

        return models_of(self.settings.forge, self.environment if environ is None else environ, self.secrets.get)

    @cached_property
    def mcp_servers(self) -> McpServers:
        """The sessions with the project's MCP servers; each is opened when first needed."""
        from ritesmith.hosts.mcp_sessions import McpServers

        return McpServers(self.settings, self.secrets)

    @cached_property
    def mcp_functions(self) -> Mapping[str, tuple[HostFunction, hosts.Implementation]]:
        """The tools of MCP servers as host functions, and the Python functions behind them; nothing is connected to."""
        if not self.connection.execute("SELECT 1 FROM meta WHERE key GLOB ?", (f"{TOOLS_KEPT_AS}*",)).fetchone():
            # A project without MCP servers needs no settings to be looked at.
            return {}
        from ritesmith.hosts.mcp_sessions import host_functions
        from ritesmith.hosts.mcp_tools import load

        return host_functions(load(self.connection), self.mcp_servers)

    @cached_property
    def catalog(self) -> Mapping[str, HostFunction]:
        """Every host function of this project."""
        tools = {name: declared for name, (declared, _) in self.mcp_functions.items()}
        return {**hosts.CATALOG, **tools} if tools else hosts.CATALOG

    @cached_property
    def engine(self) -> Engine:
        """The local engine on this file."""
        limits = self.policy.limits
        declared = {**hosts.DECLARED, **self.mcp_functions} if self.mcp_functions else hosts.DECLARED
        return Engine(
            self.journal,
            self.library,
            self.sandbox,
            self.clock,
            limits=limits,
            catalog=self.catalog,
            answer=partial(hosts.answer, declared=declared),
            settings=self.settings,
            secrets=self.secrets,
        )

    def _adopt(self, connection: sqlite3.Connection, version: int) -> None:
        # Files of before had no signatures. What is in them ran until now, and goes on doing so under this user's key,
        # if it is still what was published: nobody can tell more about it.
        if version < SIGNED_SINCE:
            Registry(connection, self.clock.now, _normalised, self.keys).adopt()

    # ------------------------------------------------------------ the bundled library

    def install(self, on_install: Callable[[str], None] | None = None) -> int:
        """Publish the bundled capabilities and workflows that this file does not have; return how many were new.

        They pass the same guard and trial as everything else. Nothing is read or run when the file has them already.
        """
        look = bundled_look()
        if self._noted("bundled_look") == f"{self._noted('bundled')} {look}":
            return 0
        files = bundled_files()
        stamp = hashlib.sha256("".join(f"{file.name}\0{text}\0" for file, text in files).encode()).hexdigest()
        if self._noted("bundled") == stamp:
            with suppress(StoreError), transaction(self.connection, busy_seconds=0.0):  # only the next look is slower
                self._note("bundled_look", f"{stamp} {look}")
            return 0
        count, denied = {"capability": 0, "workflow": 0}, 0
        with transaction(self.connection, busy_seconds=FILLING_SECONDS):
            before = self._noted("bundled")
            if before == stamp:  # another process has done it while this one waited for the file
                return 0
            for file, text in files:
                checked = self.check_text(text, file.name)
                if checked.errors and not denied and self.policy.project is None:
                    raise Rejected(f"the bundled '{file.name}' does not pass the guard", findings=checked.errors)
                try:
                    _, new = self.publish_checked(self._sound(checked), source="bundled", author="ritesmith")
                    count[checked.kind] += new
                except Rejected:  # by the project's policy; and a workflow that misses such a part is left out too
                    denied += 1
            self._note("bundled", stamp)
            # With the stamp: a program that knows of no look may put other files in, and note that only there.
            self._note("bundled_look", f"{stamp} {look}")
        if on_install is not None:
            told = f"{count['capability']} capabilities and {count['workflow']} workflows"
            left_out = f"; {denied} left out by the project's policy" if denied else ""
            verb = "made" if before is None else "updated"
            on_install(f"{verb} {self.path}: {told}, each checked and tried{left_out}")
        return sum(count.values())

    def _noted(self, key: str) -> str | None:
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row["value"])

    def _note(self, key: str, value: str) -> None:
        self.connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    # ------------------------------------------------------------ MCP servers

    def sync_tools(self, servers: Sequence[str] = (), *, accept: bool = False) -> SyncReport:
        """Ask MCP servers (without a name, all in the settings) for their tools, and take over the new ones.

        What changed since it was taken over stays refused, is a finding, and is taken over by `accept` in a later sync,
        when it is still what the last one showed. NotFound when a server stands in no setting.
        """
        from ritesmith.syncing import sync_tools

        report = sync_tools(self, servers, accept=accept)
        for stale in ("mcp_functions", "catalog", "engine"):
            self.__dict__.pop(stale, None)
        return report

    # ------------------------------------------------------------ guard

    def check_file(self, file: str | Path) -> Checked:
        """Read and check a capability file (.lua) or a workflow file (.json); nothing is written."""
        return self.check_text(read_text(Path(file)), Path(file).name)

    def check_text(self, text: str, file: str) -> Checked:
        """The same of the file's text: shape, sense, then trial; a tier with errors ends it."""
        return self.checking.check_text(text, file)

    @cached_property
    def checking(self) -> Checking:
        """The guard and the trial, as they stand before this registry."""
        from ritesmith.checking import Checking

        return Checking(self)

    def doctor(self, *, live: bool = False) -> list[Check]:
        """What this installation and this registry are found to be, check by check; `live` also asks the models."""
        from ritesmith.doctor import examine

        return list(examine(Path(self.path), self.environment, live=live))

    def config(self) -> list[dict[str, Any]]:
        """Every setting with its value and where that comes from; see `ritesmith.config.rows`."""
        from ritesmith.config import rows

        return rows(str(self.path), self.folder or Path.cwd(), self.environment)

    def dry_run(self, workflow: Workflow) -> DryRun:
        """Every path through a checked workflow, on stubs; nothing is executed."""
        return self.checking.dry_run(workflow)

    def dry_run_of(self, reference: str | Path, input: JSON) -> DryRun:
        """The same of what would run by this reference, on an input that it takes; nothing is written."""
        if str(reference).endswith(".json"):
            checked = self._passed(Path(reference))
            if checked.workflow is None:
                raise InvalidInput(f"'{reference}' is a capability; only a workflow has paths")
            workflow = checked.workflow
        else:
            workflow = self.workflow_of(self._usable(str(reference)), input)
        check_value("input", input, workflow.input, f"'{reference}'")
        return self.dry_run(workflow)

    def capabilities_of(self, workflow: Workflow, drafted: Mapping[str, Capability]) -> dict[str, Capability]:
        """What a workflow's references mean now: drafts first, then the registry."""
        return {
            reference: drafted.get(reference) or self._capability_named(reference)
            for reference in _references(workflow)
        }

    def contracts_of(self, workflow: Workflow) -> list[Contract]:
        """The contracts of all published capabilities that a workflow names, and those of what it calls."""
        found: dict[str, Contract] = {}
        flows = [workflow]
        for flow in flows:
            for reference in _references(flow):
                capability = self._find_capability(reference)
                if capability is not None:
                    found[reference] = capability.contract
            called = (self._find_workflow(node.workflow) for node in flow.nodes if isinstance(node, CallNode))
            flows += [each for each in called if each is not None and each not in flows]
        return list(found.values())

    def contract(self, digest: str) -> Contract:
        """The contract of a published capability."""
        return self._capability_by_digest(digest).contract

    def _capability_named(self, reference: str) -> Capability:
        capability = self._capability_seen(reference)
        self.registry.verify(digest_of_text(capability.source))
        return capability

    def _capability_seen(self, reference: str) -> Capability:
        """What a reference means, to be looked at; nobody has asked who vouches for it."""
        artifact = self._usable(reference)
        if artifact.kind != "capability":
            raise InvalidInput(f"'{reference}' is a {artifact.kind}, and a capability is needed")
        return self._capability_of(artifact)

    def _find_capability(self, reference: str) -> Capability | None:
        try:
            return self._capability_seen(reference)
        except (NotFound, InvalidInput):
            return None

    def _find_workflow(self, reference: str) -> Workflow | None:
        try:
            artifact = self._usable(reference)
        except (NotFound, InvalidInput):
            return None
        return self.workflow_of(artifact) if artifact.kind == "workflow" else None

    def _status_of(self, reference: str) -> ArtifactStatus | None:
        """The status of the version that a reference names, of a bare name the best that there is."""
        try:
            return self._usable(reference).status
        except (NotFound, InvalidInput):
            versions = self.registry.versions(reference)
            return versions[-1].status if versions else None

    def _capability_by_digest(self, digest: str) -> Capability:
        return self._capabilities.get(digest) or self._capability_of(self.registry.by_digest(digest))

    def _vouch(self, digest: str) -> None:
        """Verify what a run is pinned to, once in this process: every step asks, and a digest's text cannot change."""
        if digest not in self._vouched:
            self.registry.verify(digest)
            self._vouched.add(digest)

    def _capability_to_run(self, digest: str) -> Capability:
        self._vouch(digest)
        return self._capability_by_digest(digest)

    def _capability_of(self, artifact: Artifact) -> Capability:
        if artifact.digest not in self._capabilities:
            self._capabilities[artifact.digest] = capability_of(artifact.text, artifact.ref)
        return self._capabilities[artifact.digest]

    # ------------------------------------------------------------ publishing

    def publish_file(self, file: str | Path, *, breaking: bool = False, anyway: bool = False) -> Published:
        """Check a person's file and publish it, when it changes something.

        What differs from the version in use only in layout, comments or local names is not published, but `anyway`.
        What breaks those who call the version in use is Rejected with every finding, but with `breaking`. Raises
        Rejected also for what does not pass the guard; then nothing was written.
        """
        return self._publish_own(self._passed(file), breaking=breaking, anyway=anyway)

    def import_definition(self, source: str, file: str | Path, **how: Any) -> dict[str, Any]:
        """Turn a definition of another engine into files, and publish them on demand: see `importing`."""
        from ritesmith.importing import import_definition

        return import_definition(self, source, Path(file), **how)

    def _publish_own(self, checked: Checked, *, breaking: bool = False, anyway: bool = False) -> Published:
        with transaction(self.connection):
            known = checked.capability is not None and self.registry.has(digest_of_text(checked.capability.source))
            same = None if anyway or known else self.same_as(checked)
            if same is not None:
                return Published(artifact=same, new=False, same_as=same.ref)
            broken = [] if known else self.breaks(checked)
            if broken and not breaking:
                raise Rejected(
                    f"'{checked.name}' would break those who use it",
                    findings=[Finding(code="breaking_change", message=each) for each in broken],
                    hint="keep what it promised, give it another name, or publish it with --breaking",
                )
            artifact, new = self.publish_checked(checked, source="person", author=user())
        twins = self.registry.twins(artifact.canonical, artifact.digest) if new else []
        others = tuple(each.ref for each in twins if each.name != artifact.name and each.status != "revoked")
        return Published(artifact=artifact, new=new, twins=others, breaking=tuple(broken if new else ()))

    def _passed(self, file: str | Path) -> Checked:
        checked = self.check_file(file)
        return self._sound(checked, str(file))

    @staticmethod
    def _sound(checked: Checked, file: str = "") -> Checked:
        if checked.errors:
            said = f"'{file or checked.name}' has {_count(len(checked.errors), 'error')}"
            raise Rejected(said, findings=checked.findings)
        return checked

    def publish_checked(
        self,
        checked: Checked,
        *,
        source: Source,
        author: str,
        intent: str = "",
        drafted: Mapping[str, Artifact] | None = None,
        force_approval: bool = False,
        dry_run: bool = False,
        **provenance: Any,
    ) -> tuple[Artifact, bool]:
        """Publish what was checked without errors; as a draft when the policy wants a person's yes first.

        `drafted` are the parts of a workflow that were published with it, by name. A workflow with a part that still
        waits for approval waits too.
        """
        parts: list[Artifact] = []
        if checked.capability is not None:
            contract = checked.capability.contract
            text, words = checked.capability.source, schema_words(contract.input, contract.output)
            canonical = self.sandbox.canonical(text)
            said: Contract | Workflow = contract
        else:
            assert checked.workflow is not None
            said = checked.workflow
            text, parts = self._pinned(checked.workflow, drafted or {})
            words = schema_words(checked.workflow.input, checked.workflow.output)
            canonical = hashlib.sha256(text.encode()).hexdigest()
        subject = self._subject(said, self._all_parts(parts), source)
        decision = decide(self.policy, subject)
        if decision.action == "deny":
            raise denied(said.name, decision)
        waits = decision.action == "approve" or force_approval or any(part.status == "draft" for part in parts)
        return self.registry.publish(
            dry_run=dry_run,
            kind=checked.kind,
            name=said.name,
            text=text,
            canonical=canonical,
            effect=subject.effect,
            risk=decision.risk,
            intent=said.intent,
            aliases=said.aliases,
            description=said.description,
            words=words,
            status="draft" if waits else "active",
            provenance=Provenance(
                source=source,
                intent=intent or said.intent,
                author=author,
                findings=checked.findings,
                trial=checked.trial.figures(),
                pins={part.ref: part.digest for part in parts},
                guard_version=GUARD_VERSION,
                policy_digest=self.policy.digest,
                lua_version=self.sandbox.lua_version,
                **provenance,
            ),
        )

    def _subject(self, said: Contract | Workflow, parts: Sequence[Artifact], source: str) -> Subject:
        """What the policy looks at: of a workflow, what the capabilities among its parts are granted."""
        if isinstance(said, Contract):
            return subject_of([said], self.catalog, source=source, limits=self.policy.limits)
        contracts = [self._capability_of(part).contract for part in parts if part.kind == "capability"]
        return subject_of(contracts, self.catalog, source=source, limits=self.policy.limits, workflow=said)

    def _all_parts(self, parts: Iterable[Artifact]) -> list[Artifact]:
        """These parts and, where one is a workflow, all that it is made of, each once."""
        found: dict[str, Artifact] = {}
        pending = list(parts)
        while pending:
            part = pending.pop()
            if part.digest not in found:
                found[part.digest] = part
                if part.kind == "workflow":
                    pending.extend(self._parts_of(part))
        return list(found.values())

    def _parts_of(self, artifact: Artifact) -> list[Artifact]:
        """What a workflow is pinned to."""
        return [self.registry.by_digest(each) for each in artifact.provenance.pins.values()]

    def explain_policy(self, reference: str, source: str | None = None) -> tuple[Artifact, Subject, Decision]:
        """What the policy says of an artifact now, as its author's or as if `source` had written it."""
        artifact = self._looked_up(reference)
        return artifact, *self._judged(artifact, self._all_parts(self._parts_of(artifact)), source)

    def _judged(
        self, artifact: Artifact, parts: Sequence[Artifact], source: str | None = None
    ) -> tuple[Subject, Decision]:
        written_by = artifact.provenance.source
        if written_by == "bundled" and artifact.signer not in (None, self.keys.own):
            written_by = "person"  # somebody else's word for it does not make it a part of this program
        subject = self._subject(self.said(artifact), parts, source or written_by)
        return subject, decide(self.policy, subject)

    def _pinned(self, workflow: Workflow, drafted: Mapping[str, Artifact]) -> tuple[str, list[Artifact]]:
        """A workflow's text with every capability and workflow named by version, and what these names mean."""
        parts: dict[str, Artifact] = {}

        def pin(reference: str) -> str:
            artifact = drafted.get(reference) or self._usable(reference)
            parts[artifact.ref] = artifact
            return artifact.ref

        data = workflow.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for node in data["nodes"]:
            if "capability" in node:
                node["capability"] = pin(node["capability"])
            if node["kind"] == "call":
                node["workflow"] = pin(node["workflow"])
            if node.get("compensation"):
                node["compensation"]["capability"] = pin(node["compensation"]["capability"])
        return json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True), list(parts.values())

    def approve_artifact(
        self, reference: str, *, by: str | None = None, digest: str | None = None, comment: str = ""
    ) -> list[Artifact]:
        """A person's yes to a draft version, and to the drafts it is made of; return all that became active.

        The version, or its digest, must be named: of a name alone nobody knows which version was read. Raises
        InvalidInput where it is not, Conflict when it is no draft or `digest` is not its digest, Rejected when the
        policy of this moment denies it.
        """
        if "@" not in reference and "." in reference:
            drafts = [each for each in self.registry.versions(reference) if each.status == "draft"]
            if not drafts:
                artifact = self.registry.get(reference)
                raise Conflict(f"'{artifact.ref}' waits for no approval; it is {artifact.status}")
            hint = f"read it with 'ritesmith show {drafts[-1].ref}', then: ritesmith approve {drafts[-1].ref}"
            raise InvalidInput(f"'{reference}' does not say which version was read", hint=hint)
        artifact = self.registry.get(reference)
        if artifact.status != "draft":
            raise Conflict(f"'{artifact.ref}' waits for no approval; it is {artifact.status}")
        if digest is not None and not saga.is_digest_of(digest, artifact.digest):
            raise Conflict(f"'{artifact.ref}' has the digest {artifact.digest[:12]}, not {digest[:12]}")
        _, _, decision = self.explain_policy(artifact.ref)
        if decision.action == "deny":
            raise denied(artifact.name, decision)
        parts = self._all_parts(self._parts_of(artifact))
        approved = [*(part for part in parts if part.status == "draft"), artifact]
        person = by or user()
        with transaction(self.connection):
            for said in self.registry.intents_of(artifact.ref):
                self.registry.add_alias(
                    artifact.name, said, {"source": "approval", "by": person, "digest": artifact.digest}
                )
            for each in approved:
                self.registry.set_status(each.digest, "active")
                told = {"by": person, "digest": each.digest} | ({"comment": comment} if comment else {})
                why = f"approved by {person}" + (f": {comment}" if comment else "")
                self.registry.log_decision(each.provenance.intent, "approval", each.ref, why, told)
        return approved

    # ------------------------------------------------------------ forge

    def forge(
        self,
        intent: str,
        *,
        examples: Sequence[Mapping[str, Any]] = (),
        effect: Effect = "write",
        hosts: Sequence[str] = (),
        name: str | None = None,
        models: Models | None = None,
        rounds: int = ROUNDS,
        budget: Budget | None = None,
        dry_run: bool = False,
        explain: bool = False,
        on_progress: Callable[[str], None] = lambda text: None,
        on_text: Callable[[str], None] | None = None,
        review: Review | None = None,
    ) -> ForgeReport:
        """Turn an intent into a registered artifact: reuse it, compose it, or have a model author it; in that order.

        `examples` are the caller's: they decide. Of `hosts`, where some are given, no grant of the result may name
        another. With `explain`, also what need not be looked at is judged and told.
        `on_text` gets each piece of a model's answer as it comes; `review` decides about a draft before it is
        published. Raises ForgeExhausted, whose facts hold the report, when no tier came to anything acceptable, or a
        person refused it; then nothing was published, and the books have what was spent.
        """
        from ritesmith.forging import Forging, read_request

        forging = Forging(
            self,
            read_request(intent, examples, effect, name, hosts),
            models,
            rounds=rounds,
            budget=budget,
            dry_run=dry_run,
            explain=explain,
            on_progress=on_progress,
            on_text=on_text,
            review=review,
        )
        return forging.run()

    # ------------------------------------------------------------ runs

    def _runnable(self, reference: str | Path, input: JSON) -> Artifact:
        """What is to be run, with `input` held against its schema; a file is published only when it may run on that."""
        if isinstance(reference, Path) or str(reference).endswith(".json"):
            checked = self._passed(Path(reference))
            if checked.workflow is not None:
                check_value("input", input, checked.workflow.input, f"'{reference}'")
            artifact = self._publish_own(checked).artifact
        elif reference.endswith(".lua"):
            raise InvalidInput(
                f"'{reference}' is a file; a capability is run by its name",
                hint=f"publish it first: ritesmith publish {reference}",
            )
        else:
            artifact = self._usable(reference)
        if artifact.status == "draft":
            raise Conflict(
                f"'{artifact.ref}' waits for a person's approval before it may run",
                hint=f"read it with 'ritesmith show {artifact.ref}', then: ritesmith approve {artifact.ref}",
            )
        parts = self._all_parts(self._parts_of(artifact))
        for part in (artifact, *parts):
            if part.status == "revoked":
                whose = "" if part is artifact else f", and '{artifact.ref}' is made of it"
                why = f" ({part.reason})" if part.reason else ""
                raise Conflict(f"'{part.ref}' was revoked{why} and may not start{whose}", hint="run another version")
            self.registry.verify(part.digest)
        _, decision = self._judged(artifact, parts)
        if decision.action == "deny":  # it may have become stricter since
            raise denied(artifact.ref, decision)
        hint = f"see its input schema: ritesmith show {artifact.ref}"
        check_value("input", input, self.said(artifact).input, f"'{artifact.ref}'", hint)
        return artifact

    def _usable(self, reference: str) -> Artifact:
        """What a reference means to a run or a workflow: a version, or of a name the newest that is approved."""
        return self.registry.get(reference) if "@" in reference else self._active(reference)

    def _active(self, name: str) -> Artifact:
        try:
            return self.registry.get(name)
        except NotFound:
            drafts = [each for each in self.registry.versions(name) if each.status == "draft"]
            if drafts:
                return drafts[-1]
            raise

    def _workflow_of_run(self, state: saga.State) -> Workflow:
        self._vouch(state.digest)
        known = self._workflows.get(state.digest)
        return known or self.workflow_of(self.registry.by_digest(state.digest), state.input)

    def _called_run(
        self, state: saga.State, reference: str, input: JSON, parent: Mapping[str, str], run: str
    ) -> saga.Record:
        """The first entry of a run that another one calls. InvalidInput when its workflow does not take the input."""
        digest = state.capabilities.get(reference)
        artifact = self.registry.by_digest(digest) if digest else self._usable(reference)
        self._vouch(artifact.digest)
        workflow, first = self._first_entry(artifact, input, run, parent)
        check_value("input", input, workflow.input, f"'{artifact.ref}'")
        return first

    def _first_entry(
        self, artifact: Artifact, input: JSON, run: str, parent: Mapping[str, str] | None = None
    ) -> tuple[Workflow, saga.Record]:
        workflow = self.workflow_of(artifact, input)
        pins = artifact.provenance.pins if artifact.kind == "workflow" else {artifact.name: artifact.digest}
        now, lua_version = self.clock.now(), self.sandbox.lua_version
        return workflow, saga.start_record(workflow, artifact.digest, pins, input, run, now, lua_version, parent=parent)

    def workflow_of(self, artifact: Artifact, input: JSON = None) -> Workflow:
        """The workflow that an artifact is; a capability alone is a workflow of one step."""
        if artifact.kind == "workflow":
            if artifact.digest not in self._workflows:
                workflow, findings = read_workflow(json.loads(artifact.text), artifact.ref)
                if workflow is None:
                    raise InvalidInput(f"'{artifact.ref}' cannot be read: {findings[0].message}")
                self._workflows[artifact.digest] = workflow
            return self._workflows[artifact.digest]
        contract = self._capability_by_digest(artifact.digest).contract
        given = {key: {"literal": value} for key, value in input.items()} if isinstance(input, dict) else {}
        step = TaskNode.model_validate({"id": "run", "kind": "task", "capability": artifact.name, "with": given})
        return Workflow(name=contract.name, intent=contract.intent, input=contract.input, start="run", nodes=(step,))

    # ------------------------------------------------------------ looking

    def search(self, query: str, limit: int = SEARCH_LIMIT) -> list[tuple[Hit, Artifact]]:
        """Artifacts that share words with the query, or lie near it by the embedder's measure, best first."""
        return [(hit, self.registry.by_digest(hit.digest)) for hit in self.hits(query, limit)]

    def hits(self, query: str, limit: int = SEARCH_LIMIT) -> list[Hit]:
        """What words find, and where the extra `embed` is installed what lies near in meaning, best first."""
        if self.vectors is None:
            return search(self.connection, query, limit)
        found = search(self.connection, query, 5 * limit)
        return blended(self.connection, found, self.vectors.nearest(query), self.vectors.embedder.alike, limit)

    @cached_property
    def vectors(self) -> Vectors | None:
        """The vectors of this file; None without the extra `embed`. Loaded when first asked."""
        from ritesmith import embed

        embedder = embed.load()
        return None if embedder is None else Vectors(self.connection, embedder)

    def explain(
        self, intent: str, *, examples: Sequence[Mapping[str, Any]] = (), effect: Effect = "write"
    ) -> tuple[CandidateReport, ...]:
        """Every artifact that reuse would look at for an intent, with its verdict and all that led to it.

        Nothing is decided, logged or learned. `examples` are run in the sandbox, as `forge` would run them.
        """
        from ritesmith.forging import Forging, read_request

        request = read_request(intent, examples, effect, None)
        forging = Forging(self, request, None, rounds=0, dry_run=True, explain=True)
        forging.reuse()
        return tuple(forging.candidates)

    def candidate(self, artifact: Artifact, score: float = 0.0) -> Candidate:
        """An artifact as the reuse ladder looks at it."""
        from ritesmith.forge.reuse import Candidate

        said = self.said(artifact)
        phrases = [phrase for phrase in self.registry.aliases(artifact.name) if phrase != said.intent]
        return Candidate(
            digest=artifact.digest,
            ref=artifact.ref,
            kind=artifact.kind,
            name=artifact.name,
            intent=said.intent,
            aliases=tuple(phrases),
            input=said.input,
            output=said.output,
            effect=artifact.effect,
            hosts=hosts_named([said] if isinstance(said, Contract) else self.contracts_of(said)),
            score=score,
        )

    def said(self, artifact: Artifact) -> Contract | Workflow:
        """What an artifact says of itself: a capability's contract, or the workflow."""
        if artifact.kind == "capability":
            return self._capability_by_digest(artifact.digest).contract
        return self.workflow_of(artifact)

    def found(self, query: str, limit: int = SEARCH_LIMIT) -> list[dict[str, Any]]:
        """What the search finds, best first, each with its score."""
        return [
            self._row(artifact)
            | {"score": round(hit.score, 3), "cosine": None if hit.cosine is None else round(hit.cosine, 3)}
            for hit, artifact in self.search(query, limit)
        ]

    def documents(
        self, namespace: str | None = None, *, prefix: str = "", limit: int | None = None
    ) -> list[dict[str, Any]]:
        """The documents of a namespace, or of all, whose keys begin with `prefix`: namespace, key, version, value."""
        rows = self.connection.execute(
            "SELECT namespace, key, version, value FROM store WHERE (?1 IS NULL OR namespace = ?1)"
            " AND substr(key, 1, length(?2)) = ?2 ORDER BY namespace, key LIMIT ?3",
            (namespace, prefix, -1 if limit is None else limit),
        )
        return [dict(row) | {"value": json.loads(row["value"])} for row in rows]

    def host_functions(self) -> list[dict[str, Any]]:
        """What scripts may ask of the world here: one row for each host function, by name."""
        from ritesmith.hosts.describe import row

        return [row(self.catalog[name]) for name in sorted(self.catalog)]

    def host_function(self, name: str) -> dict[str, Any]:
        """All that one host function declares, with an example grant and call; NotFound with the near miss."""
        if name not in self.catalog:
            near = near_miss(name, self.catalog)
            hint = f"did you mean '{near}'?" if near else "ritesmith hosts"
            raise NotFound(f"there is no host function '{name}'", hint=hint)
        from ritesmith.hosts.describe import whole

        return whole(self.catalog[name])

    def document(self, namespace: str, key: str) -> dict[str, Any]:
        """One document; NotFound with the near miss."""
        documents = {each["key"]: each for each in self.documents(namespace)}
        if key not in documents:
            near = near_miss(key, documents)
            raise NotFound(f"there is no document '{namespace}/{key}'", hint=f"did you mean '{near}'?" if near else "")
        return documents[key]

    def put_document(self, namespace: str, key: str, value: JSON, *, if_version: int | None = None) -> dict[str, Any]:
        """Write one document, as `store.put` does; return its namespace, key and version.

        Raises InvalidInput where it is none that the store takes, Conflict where it has another version.
        """
        args: dict[str, JSON] = {"namespace": namespace, "key": key, "value": value}
        if if_version is not None:
            args["if_version"] = if_version
        with transaction(self.connection):
            version = self._put(args, "")
        return {"namespace": namespace, "key": key, "version": version}

    def import_documents(self, text: str, file: str) -> dict[str, Any]:
        """Write the documents of a text (see `documents.read_documents`), all or none; return how many were added and
        how many replaced. Raises as `put_document`, with the place."""
        found = read_documents(text, file)
        with transaction(self.connection):
            versions = [self._put(each.args, f"{each.where}: ") for each in found]
        added = sum(version == 1 for version in versions)
        return {"documents": len(versions), "added": added, "replaced": len(versions) - added}

    def _put(self, args: JSON, where: str) -> int:
        environment = hosts.HostEnvironment(self.connection, self.clock.now(), seed="", idempotency_key="")
        reply = hosts.answer("store.put", args, environment)
        if reply.error is not None:
            kind = Conflict if reply.error.code == "store_conflict" else InvalidInput
            raise kind(where + reply.error.message.removeprefix("store.put: "))
        result: Any = reply.result
        return int(result["version"])

    def init_demo(self, folder: str | Path) -> dict[str, Any]:
        """Seed the documents of the refund example, and write its files into `folder`; nothing is overwritten."""
        from ritesmith.hosts.store import write_world

        demo = Path(__file__).parent / "demo"
        world = json.loads((demo / "store.json").read_text(encoding="utf-8"))
        with transaction(self.connection):
            added = write_world(self.connection, world, self.clock.now())
        written = [name for name in DEMO_FILES if write_new(Path(folder) / name, (demo / name).read_bytes())]
        kept = [name for name in DEMO_FILES if name not in written]
        return {"documents": added, "written": written, "kept": kept}


def _normalised(phrase: str) -> str:
    from ritesmith.forge.reuse import normalise

    return normalise(phrase)


def _references(workflow: Workflow) -> list[str]:
    """Every capability that a workflow names, compensations included, once."""
    names: list[str] = []
    for node in workflow.nodes:
        if isinstance(node, TaskNode):
            names.append(node.capability)
            if node.compensation is not None:
                names.append(node.compensation.capability)
    return list(dict.fromkeys(names))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
