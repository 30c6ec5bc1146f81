"""`RiteSmith` wires the stages, from intent to trace. It and `forging` know the order."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, get_args

from ritesmith import hosts, saga, trace
from ritesmith.contract import capability_of, near_miss, read_capability
from ritesmith.db import MEMORY, find_db, open_db, read_error, transaction
from ritesmith.dry_run import DryRun, dry_run
from ritesmith.engine import Bring, Clock, Engine, Library, SystemClock, Watch, effective_limits
from ritesmith.errors import Conflict, InvalidInput, NotFound, Rejected, RiteSmithError
from ritesmith.forge.reuse import Candidate, normalise
from ritesmith.forging import ForgeReport, Forging, read_request
from ritesmith.guard import check_lua, load_rules
from ritesmith.guard.contract import check_contract
from ritesmith.guard.policy import Decision, Policy, Subject, decide, load_policy, subject_of
from ritesmith.guard.trial import Instead, TrialReport, capability_trial, trial
from ritesmith.guard.workflow import check_workflow, read_workflow
from ritesmith.intake import bundled_files, check_value, content_folder, read_json, read_text, write_new
from ritesmith.journal import Journal, held
from ritesmith.models import (
    FINAL_STATUSES,
    JSON,
    Artifact,
    ArtifactKind,
    Capability,
    CapabilityExample,
    Contract,
    Effect,
    Finding,
    Outcome,
    Provenance,
    RunStatus,
    TaskNode,
    Value,
    WaitNode,
    Workflow,
    WorkflowExample,
)
from ritesmith.registry import Registry
from ritesmith.rehearsal import (
    INPUT_CHANGED,
    play_capability,
    rehearse_capability,
    rehearse_workflow,
    watched,
)
from ritesmith.search import Hit, schema_words, search

if TYPE_CHECKING:
    from ritesmith.forge.author import ModelSettings
    from ritesmith.guard.lua import LuaRules
    from ritesmith.sandbox import Sandbox

GUARD_VERSION = "1"
ROUNDS = 3
SEARCH_LIMIT = 10
DEMO_FILES = ("order.json", "refund_examples.json")


class Checked(Value):
    """A draft that was read and checked: the artifact it would become, or the findings that stand against it."""

    kind: ArtifactKind
    name: str = ""
    findings: tuple[Finding, ...] = ()
    capability: Capability | None = None
    workflow: Workflow | None = None
    trial: TrialReport = TrialReport()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop it; warnings do not."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


class RiteSmith:
    """All verbs on one registry file. Open it with `RiteSmith.open`, and close it, or use it as a context manager."""

    def __init__(
        self, path: Path | str, *, clock: Clock | None = None, new_id: Callable[[], str] | None = None
    ) -> None:
        self.path = path
        self.clock = clock or SystemClock()
        self.new_id = new_id or (lambda: "r" + secrets.token_hex(5))
        self.connection = open_db(path)
        self.registry = Registry(self.connection, self.clock.now, normalise)
        self.journal = Journal(self.connection, self.clock.now)
        self.library = Library(self._workflow_of_run, self._capability_by_digest, self._called_run)
        self._capabilities: dict[str, Capability] = {}

    @classmethod
    def open(
        cls,
        path: str | None = None,
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        on_install: Callable[[str], None] | None = None,
        **options: Any,
    ) -> RiteSmith:
        """Open the registry that `path`, RITESMITH_DB or the folders upward name, with the bundled library in it.

        A file that is not there is made; then `on_install` is told what was put into it. Raises StoreError.
        """
        try:
            here = folder or Path.cwd()
        except FileNotFoundError:
            raise NotFound("the folder that this was started in is gone", hint="change to another folder") from None
        app = cls(find_db(path, here, dict(environment if environment is not None else os.environ)), **options)
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
        """End the workers and close the file."""
        for name in ("sandbox", "second_sandbox"):
            if name in self.__dict__:
                self.__dict__[name].close()
        self.connection.close()

    def __repr__(self) -> str:
        return f"<RiteSmith {str(self.path)!r}: {len(self.registry.names())} artifacts>"

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
        project = None if str(self.path) == MEMORY else Path(self.path).parent / "guardrails" / "policy.toml"
        return load_policy(content_folder() / "guardrails" / "policy.toml", project)

    @cached_property
    def lua_rules(self) -> LuaRules:
        """What Lua may name."""
        return load_rules(content_folder() / "guardrails" / "lua.toml")

    @cached_property
    def engine(self) -> Engine:
        """The local engine on this file."""
        return Engine(self.journal, self.library, self.sandbox, self.clock, limits=self.policy.limits)

    # ------------------------------------------------------------ the bundled library

    def install(self, on_install: Callable[[str], None] | None = None) -> int:
        """Publish the bundled capabilities and workflows that this file does not have; return how many were new.

        They pass the same guard and trial as everything else. Nothing is read or run when the file has them already.
        """
        files = bundled_files()
        stamp = hashlib.sha256("".join(f"{file.name}\0{text}\0" for file, text in files).encode()).hexdigest()
        if self._bundled_stamp() == stamp:
            return 0
        count, denied = {"capability": 0, "workflow": 0}, 0
        with transaction(self.connection):
            before = self._bundled_stamp()
            if before == stamp:  # another process has done it while this one waited for the file
                return 0
            for file, text in files:
                checked = self.check_text(text, file.name)
                if checked.errors and not denied:
                    raise Rejected(f"the bundled '{file.name}' does not pass the guard", findings=checked.errors)
                try:
                    _, new = self.publish_checked(self._sound(checked), source="bundled", author="ritesmith")
                    count[checked.kind] += new
                except Rejected:  # by the project's policy; and a workflow that misses such a part is left out too
                    denied += 1
            self.connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('bundled', ?)", (stamp,))
        if on_install is not None:
            told = f"{count['capability']} capabilities and {count['workflow']} workflows"
            left_out = f"; {denied} left out by the project's policy" if denied else ""
            verb = "made" if before is None else "updated"
            on_install(f"{verb} {self.path}: {told}, each checked and tried{left_out}")
        return sum(count.values())

    def _bundled_stamp(self) -> str | None:
        row = self.connection.execute("SELECT value FROM meta WHERE key = 'bundled'").fetchone()
        return None if row is None else str(row["value"])

    # ------------------------------------------------------------ guard

    def check_file(self, file: Path) -> Checked:
        """Read and check a capability file (.lua) or a workflow file (.json); nothing is written."""
        return self.check_text(read_text(file), file.name)

    def check_text(self, text: str, file: str) -> Checked:
        """Check a capability file's or a workflow file's text: shape, sense, then trial; a tier with errors ends it."""
        if file.endswith(".lua"):
            return self.check_capability_text(text, file)
        value, findings = read_json(text, file)
        return (
            Checked(kind="workflow", findings=tuple(findings)) if findings else self.check_workflow_value(value, file)
        )

    def check_capability_text(self, text: str, file: str, examples: Sequence[CapabilityExample] = ()) -> Checked:
        capability, findings = read_capability(text, file)
        if capability is None:
            return Checked(kind="capability", findings=tuple(findings))
        name = capability.contract.name
        findings = check_contract(capability, catalog=hosts.CATALOG, limits=self.policy.limits, file=file)
        findings += check_lua(capability, catalog=hosts.CATALOG, compile=self._compile, rules=self.lua_rules, file=file)
        report = TrialReport()
        if not any(finding.severity == "error" for finding in findings):
            report = self._try_capability(capability, (*capability.contract.examples, *examples), file)
            findings += report.findings
        return Checked(kind="capability", name=name, capability=capability, findings=tuple(findings), trial=report)

    def _try_capability(self, capability: Capability, examples: Sequence[CapabilityExample], file: str) -> TrialReport:
        most = self.policy.limits

        def play(world: CapabilityExample, input: JSON, instead: Instead) -> Outcome:
            played = play_capability(
                self.sandbox, capability, input, store=world.store, stubs=world.hosts, limits=most, instead=instead
            )
            return played.outcome

        def unchanged(example: CapabilityExample) -> bool:
            seen = rehearse_capability(self.sandbox, watched(capability), example, limits=most)
            return seen.error != INPUT_CHANGED

        return capability_trial(
            capability.contract,
            examples,
            rehearse=lambda example: rehearse_capability(self.sandbox, capability, example, limits=most),
            again=lambda example: rehearse_capability(self.second_sandbox, capability, example, limits=most),
            play=play,
            unchanged=unchanged,
            catalog=hosts.CATALOG,
            limits=effective_limits(most, capability),
            file=file,
        )

    def check_workflow_value(
        self,
        value: JSON,
        file: str,
        *,
        drafted: Mapping[str, Capability] | None = None,
        examples: Sequence[WorkflowExample] = (),
    ) -> Checked:
        """Check a workflow; `drafted` are capabilities that are not published yet and may be named by it."""
        workflow, findings = read_workflow(value, file)
        if workflow is None:
            return Checked(kind="workflow", findings=tuple(findings))
        known = drafted or {}

        def resolve(reference: str) -> Contract | None:
            found = known.get(reference) or self._find_capability(reference)
            return found.contract if found else None

        names = [artifact.name for artifact in self.registry.newest("capability")]
        findings = check_workflow(
            workflow,
            resolve=resolve,
            known_names=[*names, *known],
            catalog=hosts.CATALOG,
            resolve_workflow=self._find_workflow,
            known_workflows=[artifact.name for artifact in self.registry.newest("workflow")],
            file=file,
        )
        report = TrialReport()
        if not any(finding.severity == "error" for finding in findings):
            report = self._try_workflow(workflow, (*workflow.examples, *examples), file, known)
            findings += report.findings
        return Checked(kind="workflow", name=workflow.name, workflow=workflow, findings=tuple(findings), trial=report)

    def _try_workflow(
        self, workflow: Workflow, examples: Sequence[WorkflowExample], file: str, drafted: Mapping[str, Capability]
    ) -> TrialReport:
        parts, most = self.capabilities_of(workflow, drafted), self.policy.limits
        return trial(
            examples,
            lambda example: rehearse_workflow(
                self.sandbox, workflow, parts, example, limits=most, published=self.library
            ),
            lambda example: rehearse_workflow(
                self.second_sandbox, workflow, parts, example, limits=most, published=self.library
            ),
            file=file,
        )

    def dry_run(self, workflow: Workflow) -> DryRun:
        """Every path through a checked workflow, on stubs; nothing is executed."""

        def contract(reference: str) -> Contract | None:
            found = self._find_capability(reference)
            return found.contract if found else None

        return dry_run(workflow, contract, self._find_workflow)

    def capabilities_of(self, workflow: Workflow, drafted: Mapping[str, Capability]) -> dict[str, Capability]:
        """What a workflow's references mean now: drafts first, then the registry."""
        return {
            reference: drafted.get(reference) or self._capability_named(reference)
            for reference in _references(workflow)
        }

    def contracts_of(self, workflow: Workflow) -> list[Contract]:
        """The contracts of all published capabilities that a workflow names."""
        found = (self._find_capability(reference) for reference in _references(workflow))
        return [capability.contract for capability in found if capability is not None]

    def _compile(self, source: str, names: Sequence[str] | None) -> Finding | None:
        return self.sandbox.compile(source, globals=names)

    def _capability_named(self, reference: str) -> Capability:
        artifact = self._usable(reference)
        if artifact.kind != "capability":
            raise InvalidInput(f"'{reference}' is a {artifact.kind}, and a capability is needed")
        return self._capability_of(artifact)

    def _find_capability(self, reference: str) -> Capability | None:
        try:
            return self._capability_named(reference)
        except (NotFound, InvalidInput):
            return None

    def _find_workflow(self, reference: str) -> Workflow | None:
        try:
            artifact = self._usable(reference)
        except (NotFound, InvalidInput):
            return None
        return self.workflow_of(artifact) if artifact.kind == "workflow" else None

    def _capability_by_digest(self, digest: str) -> Capability:
        return self._capabilities.get(digest) or self._capability_of(self.registry.by_digest(digest))

    def _capability_of(self, artifact: Artifact) -> Capability:
        if artifact.digest not in self._capabilities:
            self._capabilities[artifact.digest] = capability_of(artifact.text, artifact.ref)
        return self._capabilities[artifact.digest]

    # ------------------------------------------------------------ publishing

    def publish_file(self, file: Path) -> tuple[Artifact, bool]:
        """Check a person's file and publish it; return the artifact and whether it is new.

        Raises Rejected with every finding; then nothing was written.
        """
        return self.publish_checked(self._passed(file), source="person", author=_user())

    def _passed(self, file: Path) -> Checked:
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
        source: Literal["bundled", "person", "composed", "model"],
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
            raise Rejected(
                f"the policy does not allow '{said.name}': {decision.reason}",
                findings=[_policy_finding(decision)],
            )
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
            return subject_of([said], hosts.CATALOG, source=source, limits=self.policy.limits)
        contracts = [self._capability_of(part).contract for part in parts if part.kind == "capability"]
        return subject_of(contracts, hosts.CATALOG, source=source, limits=self.policy.limits, run_limits=said.limits)

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
        parts = self._all_parts(self._parts_of(artifact))
        subject = self._subject(self.said(artifact), parts, source or artifact.provenance.source)
        return artifact, subject, decide(self.policy, subject)

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

    def _newest(self, name: str) -> Artifact:
        """The newest version that is active or a draft."""
        usable = [each for each in self.registry.versions(name) if each.status in ("active", "draft")]
        return usable[-1] if usable else self.registry.get(name)

    def approve_artifact(self, reference: str, *, by: str | None = None, digest: str | None = None) -> list[Artifact]:
        """A person's yes to a draft version, and to the drafts it is made of; return all that became active.

        Raises Conflict when it is no draft, or when `digest` is not its digest.
        """
        artifact = self.registry.get(reference) if "@" in reference or "." not in reference else self._newest(reference)
        if artifact.status != "draft":
            raise Conflict(f"'{artifact.ref}' waits for no approval; it is {artifact.status}")
        if digest is not None and not saga.is_digest_of(digest, artifact.digest):
            raise Conflict(f"'{artifact.ref}' has the digest {artifact.digest[:12]}, not {digest[:12]}")
        parts = self._all_parts(self._parts_of(artifact))
        approved = [*(part for part in parts if part.status == "draft"), artifact]
        person = by or _user()
        with transaction(self.connection):
            for said in self.registry.intents_of(artifact.ref):
                self.registry.add_alias(
                    artifact.name, said, {"source": "approval", "by": person, "digest": artifact.digest}
                )
            for each in approved:
                self.registry.set_status(each.digest, "active")
                told = {"by": person, "digest": each.digest}
                self.registry.log_decision(each.provenance.intent, "approval", each.ref, f"approved by {person}", told)
        return approved

    # ------------------------------------------------------------ forge

    def forge(
        self,
        intent: str,
        *,
        examples: Sequence[Mapping[str, Any]] = (),
        effect: Effect = "write",
        name: str | None = None,
        settings: ModelSettings | None = None,
        rounds: int = ROUNDS,
        max_tokens: int | None = None,
        dry_run: bool = False,
        on_progress: Callable[[str], None] = lambda text: None,
    ) -> ForgeReport:
        """Turn an intent into a registered artifact: reuse it, compose it, or have a model author it; in that order.

        `examples` are the caller's: they decide. Raises ForgeExhausted, whose facts hold the report, when no tier came
        to anything acceptable; then nothing was published.
        """
        forging = Forging(
            self,
            read_request(intent, examples, effect, name),
            settings,
            rounds=rounds,
            max_tokens=max_tokens,
            dry_run=dry_run,
            on_progress=on_progress,
        )
        return forging.run()

    # ------------------------------------------------------------ runs

    def start(self, reference: str | Path, input: JSON, *, idempotency_key: str | None = None) -> str:
        """Start a run of a published workflow or capability, or of a workflow file; return its id.

        Nothing is executed yet: `drive` does that. The run is pinned to the versions of this moment. Raises NotFound,
        InvalidInput with the path into the input, Conflict when the key belongs to a run on other input.
        """
        artifact = self._runnable(reference, input)
        state = saga.State(digest=artifact.digest, input=input, workflow=artifact.name)
        workflow = self._workflow_of_run(state)
        pins = artifact.provenance.pins if artifact.kind == "workflow" else {artifact.name: artifact.digest}
        run = self.new_id()
        record = saga.start_record(
            workflow, artifact.digest, pins, input, run, self.clock.now(), self.sandbox.lua_version
        )
        try:
            self.journal.start(
                run, record, idempotency_key=idempotency_key, input_digest=saga.digest_of([artifact.name, input])
            )
        except Conflict as conflict:
            if conflict.facts.get("same_input"):
                return str(conflict.facts["run"])
            raise
        return run

    def drive(self, run: str, *, watch: Watch | None = None, wait_seconds: float = 0.0) -> trace.RunView:
        """Carry a run on until it ends or waits; return what it came to. Raises as `Engine.drive`."""
        self.engine.drive(run, watch=watch, wait_seconds=wait_seconds)
        return self.view(run)

    def run(
        self,
        reference: str | Path,
        input: JSON,
        *,
        idempotency_key: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """Start a run and carry it on until it ends or waits."""
        return self.drive(
            self.start(reference, input, idempotency_key=idempotency_key), watch=watch, wait_seconds=wait_seconds
        )

    def answer(
        self,
        run: str,
        decision: str,
        *,
        by: str | None = None,
        comment: str = "",
        digest: str | None = None,
        node: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """Record a person's `approved` or `rejected` on what a run waits for, and carry the run on, as `drive`.

        Raises as `saga.decide_approval`, with nothing recorded.
        """

        def message(workflow: Workflow, state: saga.State) -> saga.Record:
            at, person = self.clock.now(), by or _user()
            return saga.decide_approval(
                workflow, state, decision, by=person, comment=comment, at=at, digest=digest, node=node
            )

        return self._tell(run, message, watch, wait_seconds)

    def deliver(
        self,
        run: str,
        payload: JSON,
        *,
        node: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """Give a run the callback that it waits for at `node`, and carry it on, as `drive`.

        One that comes before the run waits for it, or while another process drives the run, is kept until it is taken.
        Raises InvalidInput when the payload breaks the node's schema, Conflict when it came too late or came before.
        """

        def message(workflow: Workflow, state: saga.State) -> saga.Record:
            self._check_payload(run, saga.awaiting(workflow, state, node), payload)
            return saga.receive_callback(workflow, state, payload, at=self.clock.now(), node=node)

        try:
            return self._tell(run, message, watch, wait_seconds)
        except Conflict as conflict:
            if node is None and "owner" not in conflict.facts:
                raise
            self._keep_callback(run, payload, node, conflict)
        return self.view(run)

    def _keep_callback(self, run: str, payload: JSON, node: str | None, why: Conflict) -> None:
        """Store a callback for later, unless it can never be taken; then `why` it was not taken now, or why never."""
        entries = self.journal.entries(run)
        state = saga.fold(entries)
        if state.status in FINAL_STATUSES:
            raise why
        workflow = self._workflow_of_run(state)
        if node is None:
            waits = state.waits("callback")
            if len(waits) != 1:
                raise why
            node = waits[0].path
        waiter = workflow.by_id.get(node.rsplit("/", 1)[-1].partition("#")[0])
        if not isinstance(waiter, WaitNode):
            hint = near_miss(node, [each.id for each in workflow.nodes if isinstance(each, WaitNode)])
            raise InvalidInput(
                f"'{node}' is no wait node of run '{run}'", hint=f"did you mean '{hint}'?" if hint else ""
            )
        self._check_payload(run, waiter, payload)
        received = any(entry.kind == "callback_received" and entry.node == node for entry in entries)
        kept = any(each.data.get("node") == node for each in self.journal.messages(run))
        if received or kept:
            raise Conflict(f"the callback '{node}' of run '{run}' has come already; this one is not taken")
        if any(entry.kind == "timed_out" and entry.node == node for entry in entries):
            raise why
        self.journal.send(run, "callback", {"payload": payload, "node": node})

    def _check_payload(self, run: str, waiter: WaitNode, payload: JSON) -> None:
        # Before success_when looks into it.
        check_value("payload", payload, waiter.schema_, f"'{waiter.id}' of run '{run}'")

    def wake(
        self,
        run: str,
        *,
        node: str | None = None,
        by: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """End a run's sleep, or its pause before a retry, early, and carry it on. Conflict when it does not sleep."""
        return self._tell(run, lambda _, state: saga.wake(state, by=by or _user(), node=node), watch, wait_seconds)

    def cancel(
        self,
        run: str,
        *,
        compensate: bool = True,
        reason: str = "",
        by: str | None = None,
        watch: Watch | None = None,
    ) -> trace.RunView:
        """Give a run up, and undo what it did unless `compensate` is False.

        A run that another process drives is asked to: that process cancels it before its next step. Conflict when it
        has ended, or is being given up already.
        """
        asked: dict[str, Any] = {"by": by or _user(), "reason": reason, "compensate": compensate}
        try:
            return self._tell(run, lambda _, state: saga.cancel(state, **asked), watch, 0.0)
        except Conflict as conflict:
            if "owner" not in conflict.facts:
                raise
        saga.cancel(saga.fold(self.journal.entries(run)), **asked)  # refused now rather than later
        self.journal.send(run, "cancel", asked)
        return self.view(run)

    def retry(
        self, run: str, *, by: str | None = None, watch: Watch | None = None, wait_seconds: float = 0.0
    ) -> trace.RunView:
        """Have a failed run go on at the step that failed, with a new deadline and new budgets. Conflict otherwise."""

        def message(workflow: Workflow, state: saga.State) -> saga.Record:
            return saga.retry(workflow, state, by=by or _user(), at=self.clock.now())

        return self._tell(run, message, watch, wait_seconds)

    def compensate(
        self, run: str, *, by: str | None = None, watch: Watch | None = None, wait_seconds: float = 0.0
    ) -> trace.RunView:
        """Try again to undo what could not be undone. Conflict when there is nothing of that."""
        return self._tell(run, lambda _, state: saga.compensate(state, by=by or _user()), watch, wait_seconds)

    def resolve(
        self,
        run: str,
        *,
        happened: bool,
        result: JSON = None,
        by: str | None = None,
        node: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """Record a person's word on a write of which nobody knows whether it happened; carry the run on, as `drive`.

        Raises InvalidInput when the `result` that it is said to have had is none that its host function gives,
        Conflict when the run has no such write.
        """

        def message(_: Workflow, state: saga.State) -> saga.Record:
            call = saga.unknown_track(state, node).unknown
            if happened and call is not None:
                check_value(
                    "result", result, self.engine.catalog[call.function].output, f"what '{call.function}' gives"
                )
            return saga.resolve_effect(state, happened=happened, result=result, by=by or _user(), node=node)

        return self._tell(run, message, watch, wait_seconds)

    def drive_due(
        self, *, watch: Watch | None = None, wait_seconds: float = 0.0, stopped: Callable[[], bool] = lambda: False
    ) -> dict[str, saga.State | RiteSmithError]:
        """Carry on, side by side, every run that has something to do now; return what each came to, or its error."""
        return self.engine.drive_all(self.unfinished(), watch=watch, wait_seconds=wait_seconds, stopped=stopped)

    def _tell(self, run: str, message: Bring, watch: Watch | None, wait_seconds: float) -> trace.RunView:
        self.engine.drive(run, message=message, watch=watch, wait_seconds=wait_seconds)
        return self.view(run)

    def view(self, run: str) -> trace.RunView:
        """A run as its journal tells it."""
        return trace.view(self.journal.entries(self.run_id(run)))

    def runs(self, *, status: str | None = None, workflow: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Runs, newest first: id, workflow, status, outcome, started_at, updated_at, due_at.

        Raises NotFound with the near miss for a workflow or capability that never was, InvalidInput for no status.
        """
        if status is not None and status not in get_args(RunStatus):
            raise InvalidInput(f"a run is never '{status}'", hint=f"it is one of {', '.join(get_args(RunStatus))}")
        if workflow is not None and not self.registry.versions(workflow):
            self.registry.get(workflow)
        rows = self.connection.execute(
            "SELECT id, workflow, status, outcome, started_at, updated_at, due_at FROM runs"
            " WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR workflow = ?2)"
            " ORDER BY started_at DESC, id DESC LIMIT ?3",
            (status, workflow, limit),
        )
        return [dict(row) for row in rows]

    def unfinished(self) -> list[str]:
        """Runs that have something to do now, oldest first: interrupted ones, and those whose time has come.

        A run that somebody is driving at this moment is none of them.
        """
        now = self.clock.now()
        rows = self.connection.execute(
            "SELECT id, lease_owner, lease_until FROM runs WHERE status IN ('running', 'compensating')"
            " OR status IN ('sleeping', 'waiting') AND due_at <= ? ORDER BY started_at, id",
            (now,),
        )
        return [row["id"] for row in rows if not held(row["lease_owner"], row["lease_until"], now)]

    def run_id(self, given: str) -> str:
        """A run's id from a part that begins it; NotFound with the near miss, InvalidInput when several begin so."""
        rows = self.connection.execute(
            "SELECT id FROM runs WHERE ?1 <> '' AND substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 2", (given,)
        ).fetchall()
        if len(rows) > 1 and rows[0]["id"] != given:  # a whole id sorts before all that it begins
            raise InvalidInput(f"several runs begin with '{given}'", hint="give more of the id")
        if not rows:
            near = near_miss(given, [row["id"] for row in self.connection.execute("SELECT id FROM runs")])
            hint = f"did you mean '{near}'?" if near else "list the runs: ritesmith runs"
            raise NotFound(f"there is no run '{given}'", hint=hint)
        return str(rows[0]["id"])

    def _runnable(self, reference: str | Path, input: JSON) -> Artifact:
        """What is to be run, with `input` held against its schema; a file is published only when it may run on that."""
        if isinstance(reference, Path) or str(reference).endswith(".json"):
            checked = self._passed(Path(reference))
            if checked.workflow is not None:
                check_value("input", input, checked.workflow.input, f"'{reference}'")
            artifact, _ = self.publish_checked(checked, source="person", author=_user())
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
        if artifact.status == "revoked":
            raise Conflict(f"'{artifact.ref}' was revoked and may not start", hint="run another version")
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
        return self.workflow_of(self.registry.by_digest(state.digest), state.input)

    def _called_run(
        self, state: saga.State, reference: str, input: JSON, parent: Mapping[str, str], run: str
    ) -> saga.Record:
        """The first entry of a run that another one calls. InvalidInput when its workflow does not take the input."""
        digest = state.capabilities.get(reference)
        artifact = self.registry.by_digest(digest) if digest else self._usable(reference)
        workflow = self.workflow_of(artifact, input)
        check_value("input", input, workflow.input, f"'{artifact.ref}'")
        pins = artifact.provenance.pins if artifact.kind == "workflow" else {artifact.name: artifact.digest}
        return saga.start_record(
            workflow, artifact.digest, pins, input, run, self.clock.now(), self.sandbox.lua_version, parent=parent
        )

    def workflow_of(self, artifact: Artifact, input: JSON = None) -> Workflow:
        """The workflow that an artifact is; a capability alone is a workflow of one step."""
        if artifact.kind == "workflow":
            workflow, findings = read_workflow(json.loads(artifact.text), artifact.ref)
            if workflow is None:
                raise InvalidInput(f"'{artifact.ref}' cannot be read: {findings[0].message}")
            return workflow
        contract = self._capability_by_digest(artifact.digest).contract
        given = {key: {"literal": value} for key, value in input.items()} if isinstance(input, dict) else {}
        step = TaskNode.model_validate({"id": "run", "kind": "task", "capability": artifact.name, "with": given})
        return Workflow(name=contract.name, intent=contract.intent, input=contract.input, start="run", nodes=(step,))

    # ------------------------------------------------------------ looking

    def search(self, query: str, limit: int = SEARCH_LIMIT) -> list[tuple[Hit, Artifact]]:
        """Artifacts that share words with the query, best first."""
        return [(hit, self.registry.by_digest(hit.digest)) for hit in search(self.connection, query, limit)]

    def candidate(self, artifact: Artifact, score: float = 0.0) -> Candidate:
        """An artifact as the reuse ladder looks at it."""
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
            score=score,
        )

    def said(self, artifact: Artifact) -> Contract | Workflow:
        """What an artifact says of itself: a capability's contract, or the workflow."""
        if artifact.kind == "capability":
            return self._capability_by_digest(artifact.digest).contract
        return self.workflow_of(artifact)

    def listing(self, kind: ArtifactKind | None = None) -> list[dict[str, Any]]:
        """The newest version of every name, drafts included, workflows first: what `ritesmith list` shows."""
        return [self._row(artifact) for artifact in self.registry.newest(kind, ("active", "draft"))]

    def found(self, query: str, limit: int = SEARCH_LIMIT) -> list[dict[str, Any]]:
        """What the search finds, best first, each with its score."""
        return [self._row(artifact) | {"score": round(hit.score, 3)} for hit, artifact in self.search(query, limit)]

    def details(self, reference: str) -> dict[str, Any]:
        """Everything about one artifact: what it says of itself, its text, provenance, aliases and versions."""
        artifact = self._looked_up(reference)
        said = self.said(artifact)
        return self._row(artifact) | {
            "digest": artifact.digest,
            "created_at": artifact.created_at,
            "description": said.description,
            "contract": said.model_dump(mode="json", by_alias=True, exclude_unset=True),
            "text": artifact.text,
            "aliases": [phrase for phrase in self.registry.aliases(artifact.name) if phrase != said.intent],
            "provenance": artifact.provenance.model_dump(mode="json"),
            "versions": [
                {"version": each.version, "status": each.status, "digest": each.digest, "created_at": each.created_at}
                for each in self.registry.versions(artifact.name)
            ],
        }

    def _looked_up(self, reference: str) -> Artifact:
        """What a person means by a name, name@version or digest."""
        return self.registry.get(reference) if "@" in reference or "." not in reference else self._active(reference)

    def _row(self, artifact: Artifact) -> dict[str, Any]:
        said = self.said(artifact)
        return {
            "kind": artifact.kind,
            "name": artifact.name,
            "version": artifact.version,
            "intent": said.intent,
            "effect": artifact.effect,
            "risk": artifact.risk,
            "status": artifact.status,
            "source": artifact.provenance.source,
        }

    def documents(self, namespace: str | None = None) -> list[dict[str, Any]]:
        """The documents of a namespace, or of all: namespace, key, version, value."""
        rows = self.connection.execute(
            "SELECT namespace, key, version, value FROM store WHERE ?1 IS NULL OR namespace = ?1"
            " ORDER BY namespace, key",
            (namespace,),
        )
        return [dict(row) | {"value": json.loads(row["value"])} for row in rows]

    def document(self, namespace: str, key: str) -> dict[str, Any]:
        """One document; NotFound with the near miss."""
        documents = {each["key"]: each for each in self.documents(namespace)}
        if key not in documents:
            near = near_miss(key, documents)
            raise NotFound(f"there is no document '{namespace}/{key}'", hint=f"did you mean '{near}'?" if near else "")
        return documents[key]

    def init_demo(self, folder: Path) -> dict[str, Any]:
        """Seed the documents of the refund example, and write its files into `folder`; nothing is overwritten."""
        demo = Path(__file__).parent / "demo"
        world = json.loads((demo / "store.json").read_text(encoding="utf-8"))
        with transaction(self.connection):
            added = hosts.store.write_world(self.connection, world, self.clock.now())
        written = [name for name in DEMO_FILES if write_new(folder / name, (demo / name).read_bytes())]
        kept = [name for name in DEMO_FILES if name not in written]
        return {"documents": added, "written": written, "kept": kept}


def _references(workflow: Workflow) -> list[str]:
    """Every capability that a workflow names, compensations included, once."""
    names: list[str] = []
    for node in workflow.nodes:
        if isinstance(node, TaskNode):
            names.append(node.capability)
            if node.compensation is not None:
                names.append(node.compensation.capability)
    return list(dict.fromkeys(names))


def _policy_finding(decision: Decision) -> Finding:
    return Finding(
        code="policy_denied",
        message=f"rule '{decision.rule or 'none'}': {decision.reason} (risk {decision.risk}: {decision.risk_reason})",
        hint="change the grants, or the rules in guardrails/policy.toml",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        return "somebody"
