"""One step: a script executed in the sandbox, between the host functions that it calls and the journal."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ritesmith import hosts, saga
from ritesmith.errors import JournalMismatch, NotFound
from ritesmith.grants import call_effect, may_repeat
from ritesmith.models import JSON, Capability, Contract, HostCall, HostError, HostReply, Limits, Outcome, Workflow
from ritesmith.schemas import problems

if TYPE_CHECKING:
    from ritesmith.engine import Engine
    from ritesmith.journal import Lease

T = TypeVar("T")


class Journalling(Protocol):
    """Does a piece of work where the journal is written, and comes back when it is durable, if that is asked."""

    def __call__(self, work: Callable[[], T], durable: bool, /) -> T: ...


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


class Execution(Protocol):
    """A script that was begun: see `sandbox.Execution`."""

    def fileno(self) -> int | None: ...

    def finish(self) -> Outcome: ...

    def drop(self) -> None: ...


class _Ended:
    """An execution by what can only run, such as a double or a meter: it has ended when it has begun."""

    def __init__(self, runner: Runner, source: str, input: JSON, *, wait: bool, **more: Any) -> None:
        self.outcome = runner.run(source, input, **more)

    def fileno(self) -> int | None:
        return None

    def finish(self) -> Outcome:
        return self.outcome

    def drop(self) -> None:
        pass


Answer = Callable[[str, JSON, hosts.HostEnvironment], HostReply]


def execute(
    sandbox: Runner,
    capability: Capability,
    input: JSON,
    *,
    context: Mapping[str, JSON],
    limits: Limits | None = None,
    host: HostCall | None = None,
    results: Sequence[HostReply] = (),
    on_recorded: Callable[[int, str, JSON], None] | None = None,
    seed: int = 0,
) -> Outcome:
    """Run one capability on one input in the sandbox, its contract checked before and after.

    Input that breaks the contract is `reject` with code `bad_input`; output that breaks it is `bad_result`.
    """
    contract = capability.contract
    refused = _bad_input(contract, input)
    if refused is not None:
        return refused
    outcome = sandbox.run(
        capability.source,
        input,
        name=contract.name,
        context=context,
        functions=tuple(contract.grants),
        limits=effective_limits(limits or Limits(), capability),
        host=host,
        results=results,
        on_recorded=on_recorded,
        seed=seed,
    )
    return _held_against(contract, outcome)


def _bad_input(contract: Contract, input: JSON) -> Outcome | None:
    wrong = problems(contract.input, input)
    if not wrong:
        return None
    path, what = wrong[0]
    message = f"capability '{contract.name}': the input breaks its contract at {path}: {what}"
    return Outcome(status="reject", code="bad_input", message=message)


def _held_against(contract: Contract, outcome: Outcome) -> Outcome:
    """The outcome, or that its output is not what the contract says."""
    if outcome.status != "ok":
        return outcome
    wrong = problems(contract.output, outcome.output)
    if wrong:
        path, what = wrong[0]
        message = f"capability '{contract.name}': the output breaks its contract at {path}: {what}"
        if what == "[] is not of type 'object'":
            message += "; an empty table is a list, an empty object is json.object{}"
        return outcome.model_copy(
            update={"status": "bad_result", "code": "bad_result", "message": message, "output": None}
        )
    return outcome


def effective_limits(ceiling: Limits, capability: Capability) -> Limits:
    """A capability's own limits, none above the ceiling."""
    return narrowed(ceiling, capability.contract.limits.given)


def narrowed(limits: Limits, others: Mapping[str, Any]) -> Limits:
    """The smaller of each limit; None limits nothing."""
    if not others:
        return limits
    smaller = {name: value for name, value in others.items() if value is not None and value < getattr(limits, name)}
    return limits.model_copy(update=smaller) if smaller else limits


def execute_step(
    sandbox: Runner, capability: Capability, invoke: saga.Invoke, seed: str, *, limits: Limits, **more: Any
) -> Outcome:
    """Execute what the interpreter asks for, within what the run's budget leaves; `seed` is the run's."""
    return execute(
        sandbox,
        capability,
        invoke.input,
        context=invoke.context,
        limits=_left(limits, invoke),
        seed=_seed(seed, invoke.path, invoke.attempt),
        **more,
    )


def _left(limits: Limits, invoke: saga.Invoke) -> Limits:
    if invoke.fuel is invoke.host_calls is invoke.deadline_seconds is None:
        return limits
    left = {"fuel": invoke.fuel, "host_calls": invoke.host_calls, "deadline_seconds": invoke.deadline_seconds}
    return narrowed(limits, left)


class _UnknownEffectError(Exception):
    """A write was started before a crash, and must not be repeated to find out whether it happened."""


class Step:
    """One execution of a script: stands between it and the host functions, checks grants, journals, feeds back.

    `run` may be called in any thread; `journal(work, durable)` does `work` where the journal is written.
    """

    def __init__(
        self, engine: Engine, lease: Lease, invoke: saga.Invoke, capability: Capability, journal: Journalling
    ) -> None:
        self.engine = engine
        self.lease = lease
        self.invoke = invoke
        self.capability = capability
        self.journal = journal
        calls = invoke.calls  # most steps have none
        self.known = [call for call in calls if call.reply is not None] if calls else []
        self.started = next((call for call in calls if call.reply is None), None) if calls else None
        self.results = [call.reply for call in self.known if call.reply is not None] if calls else []
        self.replayed = 0
        self.index = len(self.known)
        self.limits: Limits | None = None
        """Of an execution that was begun, or is to be."""
        self.execution: Execution | None = None
        self.began = 0.0
        """When `begin` was done, by time.monotonic."""
        self.outcome: Outcome | None = None
        self.last_error: HostError | None = None
        self.why_unknown = ""

    def begin(self, *, wait: bool) -> bool:
        """Begin to execute a script that is granted nothing; `finish` gives the rest of it.

        False, with nothing begun, where it would have to wait for a worker and `wait` is not wished.
        """
        contract, invoke = self.capability.contract, self.invoke
        if self.limits is None:
            self.limits = effective_limits(_left(self.engine.limits, invoke), self.capability)
            self.outcome = _bad_input(contract, invoke.input)
        if self.outcome is None:
            sandbox = self.engine.sandbox
            self.execution = (getattr(sandbox, "begin", None) or partial(_Ended, sandbox))(
                self.capability.source,
                invoke.input,
                name=contract.name,
                context=invoke.context,
                limits=self.limits,
                seed=_seed(self.lease.state.seed, invoke.path, invoke.attempt),
                wait=wait,
            )
        self.began = time.monotonic()
        return self.outcome is not None or self.execution is not None

    def fileno(self) -> int | None:
        """What becomes readable when what was begun has ended; None where it has."""
        return None if self.execution is None else self.execution.fileno()

    def finish(self) -> None:
        """Wait for the end of what was begun."""
        if self.execution is not None:
            execution, self.execution = self.execution, None
            self.outcome = _held_against(self.capability.contract, execution.finish())

    def drop(self) -> None:
        """Give up what was begun."""
        if self.execution is not None:
            self.execution.drop()

    def run(self) -> None:
        """Execute the script. Raises JournalMismatch when it does not do again what the journal holds."""
        try:
            outcome = execute_step(
                self.engine.sandbox,
                self.capability,
                self.invoke,
                self.lease.state.seed,
                limits=self.engine.limits,
                host=self.host,
                results=self.results,
                on_recorded=self.check,
            )
            self._end(outcome)
        except _UnknownEffectError:
            return
        error = self.last_error
        if outcome.retryable and error is not None and error.code == outcome.code:
            outcome = outcome.model_copy(update={"retry_after_seconds": error.retry_after_seconds})
        self.outcome = outcome

    def record(self, workflow: Workflow, now: float) -> saga.Record:
        """The entry that it makes, after `run`."""
        if self.outcome is None:
            why = {"why": self.why_unknown} if self.why_unknown else {}
            return saga.Record("effect_unknown", self.invoke.path, self.invoke.attempt, why)
        return saga.conclude(workflow, self.lease.state, self.invoke, self.outcome, now)

    def check(self, index: int, name: str, args: JSON) -> None:
        """The script makes a call that the journal holds: it must be that very call."""
        self._same(self.known[index], name, args)
        self.replayed = index + 1

    def host(self, name: str, args: JSON) -> HostReply:
        """The script makes a call whose end the journal does not hold."""
        if self.started is not None:
            self._same(self.started, name, args)
        index, self.index = self.index, self.index + 1
        if name not in self.engine.catalog:
            raise NotFound(
                f"run '{self.lease.run}' needs the host function '{name}', which is not there any more",
                hint=f"bring it back as it was, then: ritesmith resume {self.lease.run}",
            )
        declaration = self.engine.catalog[name]
        grant = self.capability.contract.grants[name]
        refused = hosts.outside_grant(declaration, args, grant)
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
            run=self.lease.run,
            grant=grant,
            settings=self.engine.settings,
            secrets=self.engine.secrets,
            durably=lambda work: self.journal(work, True),
        )
        told = {"index": index, "function": name, "args_digest": saga.digest_of(args)}
        kind = call_effect(declaration, args)
        writes = kind == "write"
        announced = False

        def effect() -> HostReply:
            try:
                return self.engine.answer(name, args, environment)
            except hosts.HostUnknown as unknown:
                self.why_unknown = str(environment.secrets.redact(str(unknown)))
                raise _UnknownEffectError from None

        def finish(reply: HostReply) -> HostReply:
            data = {**told, "write": writes}
            if not announced:
                data["args"] = args
            if reply.error is not None:
                data["error"] = reply.error.model_dump(mode="json")
            else:
                data["result"] = reply.result
            self.lease.append(saga.Record("call_finished", path, attempt, data))
            return reply

        if declaration.transactional:
            reply = self.journal(lambda: finish(effect()), True)
        else:
            if writes:
                announced = self._announce(told | {"key": key, "args": args}, may_repeat(declaration, args))
            reply = effect()
            # A pure call gives the same again, so it need not be durable yet.
            self.journal(lambda: finish(reply), kind != "pure")
        self.last_error = reply.error or self.last_error
        return reply

    def _announce(self, told: dict[str, Any], repeatable: bool) -> bool:
        """Make it durable that a write begins, and with what: should nobody know whether it happened, a person must.

        After a crash it is repeated only if that does no harm; then False, as it was announced before.
        """
        if self.started is None:
            record = saga.Record("call_started", self.invoke.path, self.invoke.attempt, told)
            self.journal(lambda: self.lease.append(record), True)
            return True
        self.started = None
        if not repeatable:
            raise _UnknownEffectError
        return False

    def _end(self, outcome: Outcome) -> None:
        """The script has ended: it must have come past every call that the journal holds.

        A deadline and a lost worker may end it short of that. Then a write that was started stays unknown.
        """
        missed = self.known[self.replayed] if self.replayed < len(self.known) else self.started
        if missed is None:
            return
        if outcome.status not in ("deadline", "worker_lost"):
            raise self._mismatch(missed, f"the script ends ({outcome.status}) without it")
        if self.started is not None:
            raise _UnknownEffectError

    def _same(self, call: saga.Call, name: str, args: JSON) -> None:
        if call.function != name or call.args_digest != saga.digest_of(args):
            raise self._mismatch(call, f"is {name} with {json.dumps(args, sort_keys=True)[:200]}")

    def _mismatch(self, call: saga.Call, now: str) -> JournalMismatch:
        step = f"run '{self.lease.run}', step '{self.invoke.path}', attempt {self.invoke.attempt}"
        return JournalMismatch(
            f"{step}: host call {call.index} was {call.function} before, and now {now}",
            hint="the capability or the Lua runtime has changed under the run; go on with what it began with",
        )


def _seed(seed: str, path: str, attempt: int) -> int:
    digest = hashlib.sha256(f"{seed}/{path}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
