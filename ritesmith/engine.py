"""The local engine: drives runs on one SQLite file, with sandbox workers for Lua.

It executes the interpreter's commands and appends what comes of them. Everything that must survive is in the journal:
a process that dies at any point leaves a run that another process carries on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ritesmith import hosts, saga
from ritesmith.errors import JournalMismatch
from ritesmith.journal import Journal, Lease
from ritesmith.models import (
    JSON,
    Capability,
    Entry,
    HostCall,
    HostFunction,
    HostReply,
    Limits,
    Outcome,
    Workflow,
)
from ritesmith.schemas import problems


class Clock(Protocol):
    """Where time comes from, and how it is waited for."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""

    def sleep(self, seconds: float) -> None:
        """Come back when `seconds` have passed."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Runner(Protocol):
    """What the engine needs of a sandbox."""

    def run(
        self,
        source: str,
        input: JSON,
        *,
        name: str = ...,
        context: Mapping[str, JSON] | None = ...,
        functions: Collection[str] = ...,
        limits: Limits = ...,
        host: HostCall | None = ...,
        results: Sequence[HostReply] = ...,
        on_recorded: Callable[[int, str, JSON], None] | None = ...,
        seed: int = ...,
    ) -> Outcome: ...


Answer = Callable[[str, JSON, hosts.HostEnvironment], HostReply]
Watch = Callable[[Entry, saga.State], None]
Message = Callable[[Workflow, saga.State], saga.Record]


@dataclass(frozen=True)
class Library:
    """How the engine reads what a run is pinned to: each artifact by digest, and checked against it."""

    workflow: Callable[[saga.State], Workflow]
    capability: Callable[[str], Capability]


class Engine:
    """Drives runs to their next rest: finished, or waiting for time or for a person."""

    def __init__(
        self,
        journal: Journal,
        library: Library,
        sandbox: Runner,
        clock: Clock,
        *,
        limits: Limits | None = None,
        catalog: Mapping[str, HostFunction] = hosts.CATALOG,
        answer: Answer = hosts.answer,
    ) -> None:
        self.journal = journal
        self.library = library
        self.sandbox = sandbox
        self.clock = clock
        self.limits = limits or Limits()
        self.catalog = catalog
        self.answer = answer

    def drive(
        self,
        run: str,
        *,
        message: Message | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> saga.State:
        """Carry a run on until it ends, or until its next step is more than `wait_seconds` away; return its state.

        `message(workflow, state)` is what has come for it, recorded first; what it raises passes through, with nothing
        recorded. `watch(entry, state)` is called for every entry when it is durable. Raises Conflict when another
        process drives the run, JournalMismatch when a script does not do again what the journal says that it did.
        """
        # One lease for the message and for what follows: whoever brings it also carries the run on.
        with self.journal.lease(run, watch) as lease:
            workflow = self.library.workflow(lease.state)
            if message is not None:
                lease.append(message(workflow, lease.state))
                lease.commit()
            return self._drive(workflow, lease, wait_seconds)

    def _drive(self, workflow: Workflow, lease: Lease, wait_seconds: float) -> saga.State:
        while True:
            command = saga.decide(workflow, lease.state, self.clock.now())
            if isinstance(command, saga.Record):
                lease.append(command)
                continue
            lease.commit()
            if isinstance(command, saga.Invoke):
                self._step(workflow, lease, command)
            elif isinstance(command, saga.Pause) and command.until is not None:
                seconds = command.until - self.clock.now()
                if seconds > wait_seconds:
                    return lease.state
                # Short of half a lease at a time: the lease is renewed before it can expire.
                self.clock.sleep(max(0.0, min(seconds, lease.SECONDS / 2)))
                lease.renew()
            else:
                return lease.state

    def _step(self, workflow: Workflow, lease: Lease, invoke: saga.Invoke) -> None:
        capability = self.library.capability(lease.state.capabilities[invoke.capability])
        recorder = _Recorder(self, lease, invoke, capability)
        try:
            outcome = execute(
                self.sandbox,
                capability,
                invoke.input,
                context=invoke.context,
                limits=self.limits,
                deadline_seconds=invoke.deadline_seconds,
                host=recorder.host,
                results=recorder.results,
                on_recorded=recorder.check,
                seed=_seed(lease.state.seed, invoke.path, invoke.attempt),
            )
            recorder.end(outcome)
        except _UnknownEffect:
            lease.append(saga.Record("effect_unknown", invoke.path, invoke.attempt))
            return
        lease.append(saga.conclude(workflow, lease.state, invoke, outcome, self.clock.now()))


def execute(
    sandbox: Runner,
    capability: Capability,
    input: JSON,
    *,
    context: Mapping[str, JSON],
    limits: Limits | None = None,
    deadline_seconds: float | None = None,
    host: HostCall | None = None,
    results: Sequence[HostReply] = (),
    on_recorded: Callable[[int, str, JSON], None] | None = None,
    seed: int = 0,
) -> Outcome:
    """Run one capability on one input in the sandbox, its contract checked before and after.

    Input that breaks the contract is `reject` with code `bad_input`; output that breaks it is `bad_result`.
    """
    contract = capability.contract
    wrong = problems(contract.input, input)
    if wrong:
        path, what = wrong[0]
        message = f"capability '{contract.name}': the input breaks its contract at {path}: {what}"
        return Outcome(status="reject", code="bad_input", message=message)
    allowed = effective_limits(limits or Limits(), capability, deadline_seconds)
    outcome = sandbox.run(
        capability.source,
        input,
        name=contract.name,
        context=context,
        functions=tuple(contract.grants),
        limits=allowed,
        host=host,
        results=results,
        on_recorded=on_recorded,
        seed=seed,
    )
    if outcome.status != "ok":
        return outcome
    output = outcome.output
    wrong = problems(contract.output, output)
    if wrong:
        path, what = wrong[0]
        message = f"capability '{contract.name}': the output breaks its contract at {path}: {what}"
        if what == "[] is not of type 'object'":
            message += "; an empty table is a list, an empty object is json.object{}"
        return outcome.model_copy(
            update={"status": "bad_result", "code": "bad_result", "message": message, "output": None}
        )
    return outcome


def effective_limits(ceiling: Limits, capability: Capability, deadline_seconds: float | None = None) -> Limits:
    """A capability's own limits, none above the ceiling; a node's deadline narrows further."""
    own = capability.contract.limits.model_dump(exclude_none=True)
    narrowed = {name: min(value, getattr(ceiling, name)) for name, value in own.items()}
    limits = ceiling.model_copy(update=narrowed)
    if deadline_seconds is not None and deadline_seconds < limits.deadline_seconds:
        limits = limits.model_copy(update={"deadline_seconds": deadline_seconds})
    return limits


class _UnknownEffect(Exception):
    """A write was started before a crash, and must not be repeated to find out whether it happened."""


class _Recorder:
    """Stands between a script and the host functions: checks the grant, journals the call, feeds back what is known."""

    def __init__(self, engine: Engine, lease: Lease, invoke: saga.Invoke, capability: Capability) -> None:
        self.engine = engine
        self.lease = lease
        self.invoke = invoke
        self.grants = capability.contract.grants
        self.known = [call for call in invoke.calls if call.reply is not None]
        self.started = next((call for call in invoke.calls if call.reply is None), None)
        self.results = [call.reply for call in self.known if call.reply is not None]
        self.replayed = 0
        self.index = len(self.known)

    def check(self, index: int, name: str, args: JSON) -> None:
        """The script makes a call that the journal holds: it must be that very call."""
        self._same(self.known[index], name, args)
        self.replayed = index + 1

    def host(self, name: str, args: JSON) -> HostReply:
        """The script makes a call whose end the journal does not hold."""
        if self.started is not None:
            self._same(self.started, name, args)
        index, self.index = self.index, self.index + 1
        declaration = self.engine.catalog[name]
        refused = hosts.outside_grant(declaration, args, self.grants[name])
        if refused is not None:
            from ritesmith.sandbox import GrantDenied

            raise GrantDenied(refused)
        path, attempt = self.invoke.path, self.invoke.attempt
        key = f"{self.lease.run}/{path}/{index}"
        environment = hosts.HostEnvironment(
            connection=self.engine.journal.connection,
            now=self.engine.clock.now(),
            seed=f"{self.lease.state.seed}/{path}/{attempt}/{index}",
            idempotency_key=key,
        )
        told = {"index": index, "function": name, "args_digest": saga.digest_of(args)}
        writes = declaration.effect == "write"

        def effect() -> HostReply:
            return self.engine.answer(name, args, environment)

        def record_of(reply: HostReply) -> saga.Record:
            data = {**told, "args": args, "write": writes}
            if reply.error is not None:
                data["error"] = reply.error.model_dump(mode="json")
            else:
                data["result"] = reply.result
            return saga.Record("call_finished", path, attempt, data)

        if declaration.transactional:
            return self.lease.commit_with(effect, record_of)
        if writes:
            self._announce(declaration, told | {"key": key})
        reply = effect()
        self.lease.append(record_of(reply))
        if declaration.effect != "pure":  # a pure call gives the same again, so it need not be durable yet
            self.lease.commit()
        return reply

    def _announce(self, declaration: HostFunction, told: dict[str, Any]) -> None:
        """Make it durable that a write begins; after a crash it is repeated only if that does no harm."""
        if self.started is None:
            self.lease.append(saga.Record("call_started", self.invoke.path, self.invoke.attempt, told))
            self.lease.commit()
            return
        self.started = None
        if not declaration.idempotent:
            raise _UnknownEffect

    def end(self, outcome: Outcome) -> None:
        """The script has ended: it must have come past every call that the journal holds.

        A deadline and a lost worker may end it short of that. Then a write that was started stays unknown.
        """
        missed = self.known[self.replayed] if self.replayed < len(self.known) else self.started
        if missed is None:
            return
        if outcome.status not in ("deadline", "worker_lost"):
            raise self._mismatch(missed, f"the script ends ({outcome.status}) without it")
        if self.started is not None:
            raise _UnknownEffect

    def _same(self, call: saga.Call, name: str, args: JSON) -> None:
        if call.function != name or call.args_digest != saga.digest_of(args):
            raise self._mismatch(call, f"is {name} with {json.dumps(args, sort_keys=True)[:200]}")

    def _mismatch(self, call: saga.Call, now: str) -> JournalMismatch:
        step = f"run '{self.lease.run}', step '{self.invoke.path}', attempt {self.invoke.attempt}"
        return JournalMismatch(
            f"{step}: host call {call.index} was {call.function} before, and now {now}",
            hint="the capability or the Lua runtime has changed under the run; go on with what it began with",
        )


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:7], "big")
