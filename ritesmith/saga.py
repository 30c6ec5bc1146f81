"""The interpreter: a pure function that knows no database, clock, thread or engine.

`apply` folds one entry into a run's state; `decide` says what a run in that state does next. An engine alternates the
two: it executes the command, appends the entry that the command or its result makes, and applies it.

    state = apply(state, entry)               what has happened
    command = decide(workflow, state, now)    what happens next: Record, Invoke, Pause or Finished
    record = conclude(workflow, state, invoke, outcome, now)    an executed step, as the entry to append

Commands and entries are plain data, and effects are keyed by (run, node path, attempt, call), never by a process.
Sagas after Garcia-Molina and Salem, "Sagas" (SIGMOD 1987): compensations run newest first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from ritesmith.errors import Conflict, InvalidInput
from ritesmith.expr import ExpressionError, evaluate, holds, references
from ritesmith.models import (
    FINAL_STATUSES,
    JSON,
    SEMANTICS_VERSION,
    ApprovalNode,
    Compensation,
    EndNode,
    Entry,
    HostReply,
    Outcome,
    Retry,
    SleepNode,
    SwitchNode,
    TaskNode,
    WaitNode,
    Workflow,
)

UNDO = "~undo"
"""Ends the node path of a compensation: `refund~undo` undoes `refund`."""

DEFAULT_COMPENSATION_RETRY = Retry()
DIGEST_DIGITS_MIN = 12
"""A digest may be given by its first digits; fewer than these name nothing."""
EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0
"""The first and the last second that a date can say: years 1 and 9999."""


# ---------------------------------------------------------------- commands


@dataclass(frozen=True)
class Record:
    """Append this entry. Several in a row share one commit."""

    kind: str
    node: str = ""
    attempt: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Invoke:
    """Execute a capability; nothing before it may be lost, so the journal is committed first."""

    node: str
    path: str
    attempt: int
    capability: str
    input: JSON
    context: Mapping[str, JSON]
    deadline_seconds: float | None
    calls: tuple[Call, ...]
    """Host calls that an interrupted execution of this very attempt has journalled."""
    compensation: bool = False


@dataclass(frozen=True)
class Pause:
    """Nothing to do before `until` (seconds since 1970; None: until something arrives)."""

    until: float | None


@dataclass(frozen=True)
class Finished:
    """The run has ended."""


Command: TypeAlias = Record | Invoke | Pause | Finished


# ---------------------------------------------------------------- state


@dataclass(frozen=True)
class Call:
    """A journalled host call of the attempt that is under way."""

    index: int
    function: str
    args_digest: str
    reply: HostReply | None
    """None: the call was started and nothing is known of its end."""
    write: bool


@dataclass(frozen=True)
class Done:
    """A finished task, with what its compensation needs."""

    path: str
    node: str
    seen: int
    """How many outputs there were when it was done: its compensation reads these, and none of a later visit."""
    partial: bool = False
    """It failed, but one of its writes had happened."""


@dataclass(frozen=True)
class Waiting:
    """What a paused run is waiting for."""

    kind: str
    """sleep, retry, approval or callback."""
    until: float | None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class State:
    """A run, folded from its entries. Made by `fold` only; `apply` advances it in place."""

    run: str = ""
    workflow: str = ""
    digest: str = ""
    capabilities: dict[str, str] = field(default_factory=dict)
    """Capability reference as the workflow writes it -> digest."""
    input: JSON = None
    seed: str = ""
    status: str = "pending"
    started_at: float = 0.0
    updated_at: float = 0.0
    deadline_at: float = float("inf")
    seq: int = 0
    last_hash: str = ""

    at: str | None = None
    """The node whose turn it is; None when the graph has come to its end."""
    path: str = ""
    attempt: int = 1
    entered_at: float = 0.0
    """When this attempt became due: what its script sees as `context.now`."""
    calls: list[Call] = field(default_factory=list)
    wrote: bool = False
    """A write of the current step has happened, in this attempt or an earlier one."""
    waiting: Waiting | None = None
    unknown: Call | None = None

    visits: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, dict[str, JSON]] = field(default_factory=dict)
    """Node id -> {"output": its latest output}: the root `nodes` of expressions."""
    outputs: list[tuple[str, JSON]] = field(default_factory=list)
    """Every output so far, as (node id, output), in order."""
    last_output: JSON = None
    done: list[Done] = field(default_factory=list)
    steps: int = 0
    fuel: int = 0

    failure: dict[str, JSON] | None = None
    """Why the run is being given up: {code, message, node, ...}."""
    to_undo: list[Done] | None = None
    """What is still to be compensated, newest first; None before compensation started."""
    undone: list[str] = field(default_factory=list)
    not_undone: list[dict[str, JSON]] = field(default_factory=list)

    outcome: str = ""
    output: JSON = None
    error: dict[str, JSON] | None = None

    def scope(self) -> dict[str, JSON]:
        """The roots that expressions may refer to."""
        run = {"id": self.run, "workflow": self.workflow, "started_at": iso(self.started_at)}
        return {"input": self.input, "nodes": self.nodes, "run": run}


def fold(entries: list[Entry]) -> State:
    """The state of a run from all of its entries, in order."""
    state = State()
    for entry in entries:
        apply(state, entry)
    return state


def apply(state: State, entry: Entry) -> State:
    """Advance `state` by one entry, in place, and return it. Raises InvalidInput for a kind it does not know."""
    change = _CHANGES.get(entry.kind)
    if change is None:
        raise InvalidInput(
            f"run '{entry.run}': entry {entry.seq} is of the unknown kind '{entry.kind}'",
            hint="the journal was written by a newer RiteSmith; upgrade",
        )
    change(state, entry)
    state.seq, state.last_hash, state.updated_at = entry.seq, entry.hash, entry.at
    return state


def _run_started(state: State, entry: Entry) -> None:
    data = entry.data
    if data["semantics"] > SEMANTICS_VERSION:
        raise InvalidInput(
            f"run '{entry.run}' follows rules of version {data['semantics']}; this program knows {SEMANTICS_VERSION}",
            hint="the run was begun by a newer RiteSmith; upgrade",
        )
    state.run, state.workflow, state.digest = entry.run, data["workflow"], data["digest"]
    state.capabilities, state.input, state.seed = data["capabilities"], data["input"], data["seed"]
    state.started_at, state.deadline_at, state.status = entry.at, data["deadline_at"], "running"
    _go(state, data["start"], entry.at)


def _go(state: State, target: str | None, at: float) -> None:
    """Move to `target`; a node that is visited again gets a path of its own, so that effects keep their keys."""
    state.at, state.attempt, state.entered_at = target, 1, at
    state.calls, state.wrote, state.waiting = [], False, None
    if state.status != "compensating":
        state.status = "running"
    if target is not None:
        visit = state.visits.get(target, 0) + 1
        state.visits[target] = visit
        state.path = target if visit == 1 else f"{target}#{visit}"
        state.steps += 1


def _went(state: State, entry: Entry) -> None:
    """Entries that only move on: switched, sleep_ended, and time-outs that lead somewhere."""
    _go(state, entry.data["next"], entry.at)


def _paused(state: State, entry: Entry) -> None:
    kind = {"sleep_started": "sleep", "approval_requested": "approval", "wait_started": "callback"}[entry.kind]
    state.waiting = Waiting(kind, entry.data.get("until"), entry.data)
    state.status = "sleeping" if kind == "sleep" else "waiting"


def _answered(state: State, entry: Entry) -> None:
    """approval_decided and callback_received: the answer becomes the node's output."""
    _put_out(state, entry.data["output"])
    if entry.data.get("error"):
        _failed(state, entry)
    else:
        _go(state, entry.data["next"], entry.at)


def _put_out(state: State, output: JSON) -> None:
    assert state.at is not None
    state.nodes[state.at] = {"output": output}
    state.outputs.append((state.at, output))
    state.last_output = output


def _call_started(state: State, entry: Entry) -> None:
    data = entry.data
    state.calls.append(Call(data["index"], data["function"], data["args_digest"], None, write=True))
    _active(state)


def _call_finished(state: State, entry: Entry) -> None:
    data = entry.data
    error = data.get("error")
    reply = HostReply(error=error) if error else HostReply(result=data.get("result"))
    write = bool(data.get("write"))
    call = Call(data["index"], data["function"], data["args_digest"], reply, write)
    state.calls[call.index :] = [call]
    state.wrote = state.wrote or (write and error is None)
    _active(state)


def _active(state: State) -> None:
    if state.status == "sleeping":
        state.status = "running" if state.to_undo is None else "compensating"


def _step_succeeded(state: State, entry: Entry) -> None:
    assert state.at is not None
    state.fuel += entry.data.get("fuel", 0)
    _put_out(state, entry.data["output"])
    state.done.append(Done(state.path, state.at, len(state.outputs)))
    _go(state, entry.data["next"], entry.at)


def _attempt_failed(state: State, entry: Entry) -> None:
    """The attempt is over, the step is not: the next attempt is due at `retry_at`."""
    until = entry.data["retry_at"]
    state.fuel += entry.data.get("fuel", 0)
    state.attempt, state.calls, state.entered_at = entry.attempt + 1, [], until
    state.waiting = Waiting("retry", until, entry.data)
    state.status = "sleeping"


def _step_failed(state: State, entry: Entry) -> None:
    state.fuel += entry.data.get("fuel", 0)
    _keep_partial(state)
    if "next" in entry.data:
        _go(state, entry.data["next"], entry.at)
    else:
        _failed(state, entry)


def _run_stopped(state: State, entry: Entry) -> None:
    """A limit of the run has ended it; the step that was under way will not be finished."""
    _keep_partial(state)
    _failed(state, entry)


def _keep_partial(state: State) -> None:
    """The step is over without an output; what it wrote is still to be undone if the run is given up."""
    if state.wrote and state.at is not None:
        state.done.append(Done(state.path, state.at, len(state.outputs), partial=True))


def _failed(state: State, entry: Entry) -> None:
    """The run is given up: it waits for nothing any more."""
    state.failure = entry.data["error"]
    state.waiting, state.calls, state.status = None, [], "running"


def _timed_out(state: State, entry: Entry) -> None:
    if "next" in entry.data:
        _go(state, entry.data["next"], entry.at)
    else:
        _failed(state, entry)


def _effect_unknown(state: State, entry: Entry) -> None:
    state.unknown = state.calls[-1]
    state.status = "unknown"


def _effect_resolved(state: State, entry: Entry) -> None:
    """A person has said what became of the call: it happened with this result, or it did not happen."""
    assert state.unknown is not None
    if entry.data["happened"]:
        state.calls[-1] = Call(
            state.unknown.index,
            state.unknown.function,
            state.unknown.args_digest,
            HostReply(result=entry.data.get("result")),
            write=True,
        )
        state.wrote = True
    else:
        state.calls.pop()
    state.unknown = None
    state.status = "running" if state.to_undo is None else "compensating"


def _compensation_started(state: State, entry: Entry) -> None:
    finished = {done.path: done for done in state.done}
    state.to_undo = [finished[path] for path in entry.data["plan"]]
    state.status = "compensating"
    state.waiting = None
    _begin_undo(state, entry.at)


def _begin_undo(state: State, at: float) -> None:
    state.attempt, state.entered_at, state.calls, state.waiting = 1, at, [], None
    state.status = "compensating"
    if state.to_undo:
        state.path = state.to_undo[0].path + UNDO


def _compensation_succeeded(state: State, entry: Entry) -> None:
    assert state.to_undo
    state.fuel += entry.data.get("fuel", 0)
    state.undone.append(state.to_undo.pop(0).path)
    _begin_undo(state, entry.at)


def _compensation_failed(state: State, entry: Entry) -> None:
    assert state.to_undo
    state.not_undone.append({"path": state.to_undo.pop(0).path, "error": entry.data["error"]})
    _begin_undo(state, entry.at)


def _run_finished(state: State, entry: Entry) -> None:
    data = entry.data
    state.status, state.outcome, state.output = data["status"], data.get("outcome", ""), data.get("output")
    state.error, state.waiting, state.at = data.get("error"), None, None


_CHANGES = {
    "run_started": _run_started,
    "switched": _went,
    "sleep_started": _paused,
    "sleep_ended": _went,
    "approval_requested": _paused,
    "approval_decided": _answered,
    "wait_started": _paused,
    "callback_received": _answered,
    "timed_out": _timed_out,
    "call_started": _call_started,
    "call_finished": _call_finished,
    "step_succeeded": _step_succeeded,
    "attempt_failed": _attempt_failed,
    "step_failed": _step_failed,
    "run_stopped": _run_stopped,
    "effect_unknown": _effect_unknown,
    "effect_resolved": _effect_resolved,
    "compensation_started": _compensation_started,
    "compensation_succeeded": _compensation_succeeded,
    "compensation_failed": _compensation_failed,
    "run_finished": _run_finished,
}
ENTRY_KINDS = frozenset(_CHANGES)


# ---------------------------------------------------------------- deciding


def start_record(
    workflow: Workflow,
    digest: str,
    capabilities: Mapping[str, str],
    input: JSON,
    seed: str,
    at: float,
    lua_version: str = "",
) -> Record:
    """The first entry of a run: all that it is pinned to."""
    return Record(
        "run_started",
        data={
            "workflow": workflow.name,
            "digest": digest,
            "capabilities": dict(capabilities),
            "input": input,
            "seed": seed,
            "start": workflow.start,
            "deadline_at": at + workflow.limits.deadline_seconds,
            "semantics": SEMANTICS_VERSION,
            "lua_version": lua_version,
        },
    )


def decide(workflow: Workflow, state: State, now: float) -> Command:
    """What a run in this state does next at time `now` (seconds since 1970)."""
    if state.status in FINAL_STATUSES:
        return Finished()
    if state.unknown is not None:
        return Pause(None)
    if state.failure is not None:
        return _unwind(workflow, state, now)
    unsettled = bool(state.calls) and state.calls[-1].reply is None  # only executing it again can settle this write
    if now >= state.deadline_at and not unsettled:
        seconds = workflow.limits.deadline_seconds
        return _stop(state, "run_deadline", f"the run was not finished after {seconds:g} seconds")
    if state.waiting is not None:
        return _wait(workflow, state, state.waiting, now)
    if state.at is None:
        return Record("run_finished", data={"status": "succeeded", "outcome": "", "output": state.last_output})
    if state.steps > workflow.limits.steps:
        return _stop(state, "step_limit", f"the run took more than {workflow.limits.steps} steps")
    try:
        return _enter(workflow, state, now)
    except ExpressionError as error:
        return _step_error(workflow, state, {"code": "bad_expression", "message": error.message})


def _stop(state: State, code: str, message: str) -> Record:
    return Record("run_stopped", state.path, data={"error": {"code": code, "message": message, "node": state.path}})


def _enter(workflow: Workflow, state: State, now: float) -> Command:
    assert state.at is not None
    node = workflow.by_id[state.at]
    scope = state.scope()
    match node:
        case TaskNode():
            return _task(state, node, now)
        case SwitchNode():
            for index, case in enumerate(node.cases):
                if holds(case.when, scope, where=f"{node.id}.cases[{index}].when"):
                    return Record("switched", state.path, data={"case": index, "next": case.target})
            return Record("switched", state.path, data={"case": "default", "next": node.default})
        case SleepNode():
            return Record("sleep_started", state.path, data={"until": _sleep_until(node, scope, state.entered_at)})
        case ApprovalNode():
            prompt = evaluate(node.prompt, scope, where=f"{node.id}.prompt")
            shown = {"run": state.run, "node": state.path, "workflow": state.workflow, "prompt": prompt}
            data = {"prompt": prompt, "digest": digest_of(shown), "until": _until(node.deadline_seconds, now)}
            return Record("approval_requested", state.path, data=data)
        case WaitNode():
            return Record("wait_started", state.path, data={"until": _until(node.deadline_seconds, now)})
        case EndNode():
            output = evaluate(node.output, scope, where=f"{node.id}.output")
            data = {"status": node.status, "outcome": node.outcome, "output": output}
            if node.status == "failed":
                code = node.outcome or "failed"
                message = f"the workflow ended at '{node.id}' with outcome '{code}'"
                data["error"] = {"code": code, "message": message, "node": state.path}
            return Record("run_finished", state.path, data=data)


def _task(state: State, node: TaskNode, now: float) -> Command:
    scope = state.scope()
    arguments = {name: evaluate(value, scope, where=f"{node.id}.with.{name}") for name, value in node.with_.items()}
    return Invoke(
        node.id,
        state.path,
        state.attempt,
        node.capability,
        arguments,
        _context(state, state.path),
        node.deadline_seconds,
        tuple(state.calls),
    )


def _context(state: State, path: str, partial: bool | None = None) -> dict[str, JSON]:
    context: dict[str, JSON] = {
        "run_id": state.run,
        "node": path,
        "attempt": state.attempt,
        "now": iso(state.entered_at),
        "idempotency_key": f"{state.run}/{path}",
    }
    if partial is not None:
        context["partial"] = partial
    return context


def _sleep_until(node: SleepNode, scope: Mapping[str, JSON], entered_at: float) -> float:
    if node.until is not None:
        text = evaluate(node.until, scope, where=f"{node.id}.until")
        try:
            moment = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            message = f"{text!r} is not a date and time such as 2026-01-31T09:00:00Z"
            raise ExpressionError(message, operator="until", where=f"{node.id}.until") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    seconds = evaluate(node.seconds, scope, where=f"{node.id}.seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise ExpressionError(f"{seconds!r} is not a number of seconds", operator="seconds", where=f"{node.id}.seconds")
    return entered_at + seconds


def _until(deadline_seconds: float | None, now: float) -> float | None:
    return None if deadline_seconds is None else now + deadline_seconds


def _wait(workflow: Workflow, state: State, waiting: Waiting, now: float) -> Command:
    if waiting.until is None or now < waiting.until:
        return Pause(min((t for t in (waiting.until, state.deadline_at) if t is not None), default=None))
    assert state.at is not None
    node = workflow.by_id[state.at]
    if waiting.kind == "retry":
        try:
            return _enter(workflow, state, now)
        except ExpressionError as error:
            return _step_error(workflow, state, {"code": "bad_expression", "message": error.message})
    if isinstance(node, SleepNode):
        return Record("sleep_ended", state.path, data={"by": "timer", "next": node.next})
    assert isinstance(node, ApprovalNode | WaitNode)
    if node.on_timeout is not None:
        return Record("timed_out", state.path, data={"next": node.on_timeout})
    code = "approval_timeout" if isinstance(node, ApprovalNode) else "wait_timeout"
    message = f"no answer came at '{state.path}' within {node.deadline_seconds:g} seconds"
    return Record("timed_out", state.path, data={"error": {"code": code, "message": message, "node": state.path}})


def _step_error(workflow: Workflow, state: State, error: dict[str, JSON], fuel: int = 0) -> Record:
    """The step has failed for good: to its handler, or the run is given up."""
    assert state.at is not None
    node = workflow.by_id[state.at]
    data: dict[str, Any] = {"error": error | {"node": state.path}, "fuel": fuel}
    if isinstance(node, TaskNode):
        for handler in node.on_error:
            if handler.code in (error["code"], "*"):
                data["next"] = handler.target
                break
    return Record("step_failed", state.path, state.attempt, data)


def _unwind(workflow: Workflow, state: State, now: float) -> Command:
    """Give the run up: compensate what has finished, newest first, then end."""
    if state.to_undo is None:
        plan = [done.path for done in reversed(state.done) if _compensation_of(workflow, done) is not None]
        if plan:
            return Record("compensation_started", data={"error": state.failure, "plan": plan})
        return Record("run_finished", data={"status": "failed", "error": state.failure})
    if not state.to_undo:
        status = "compensation_failed" if state.not_undone else "compensated"
        data = {"status": status, "error": state.failure, "undone": state.undone, "not_undone": state.not_undone}
        return Record("run_finished", data=data)
    if state.waiting is not None and state.waiting.until is not None and now < state.waiting.until:
        return Pause(state.waiting.until)
    done = state.to_undo[0]
    compensation = _compensation_of(workflow, done)
    assert compensation is not None
    try:
        arguments = _undo_arguments(state, done, compensation)
    except ExpressionError as error:
        failed = {"code": "bad_expression", "message": error.message, "node": state.path}
        return Record("compensation_failed", state.path, state.attempt, {"error": failed})
    return Invoke(
        done.node,
        state.path,
        state.attempt,
        compensation.capability,
        arguments,
        _context(state, state.path, done.partial),
        None,
        tuple(state.calls),
        compensation=True,
    )


def _undo_arguments(state: State, done: Done, compensation: Compensation) -> dict[str, JSON]:
    """The arguments of a compensation, from the outputs that its step saw.

    A step that failed after a write has no output. What reads that output is left out, and `context.partial` tells the
    compensation so: one that can do without (it may look for the step's idempotency key) undoes what there is, and one
    that cannot is refused by its own contract and listed as not undone.
    """
    scope = state.scope()
    nodes = {node: {"output": output} for node, output in state.outputs[: done.seen]}
    if done.partial:
        nodes.pop(done.node, None)
    scope["nodes"] = nodes
    own = f"nodes.{done.node}."
    arguments = {}
    for name, value in compensation.with_.items():
        try:
            arguments[name] = evaluate(value, scope, where=f"{done.node}.compensation.with.{name}")
        except ExpressionError:
            if not (done.partial and any(f"{path}.".startswith(own) for path in references(value))):
                raise
    return arguments


def _compensation_of(workflow: Workflow, done: Done) -> Compensation | None:
    node = workflow.by_id[done.node]
    return node.compensation if isinstance(node, TaskNode) else None


# ---------------------------------------------------------------- results and answers


def conclude(workflow: Workflow, state: State, invoke: Invoke, outcome: Outcome, now: float) -> Record:
    """The entry that an executed step makes: succeeded, failed for good, or to be tried again later."""
    node = workflow.by_id[invoke.node]
    assert isinstance(node, TaskNode)
    spent = {"fuel": outcome.fuel, "memory_bytes": outcome.memory_bytes, "host_calls": outcome.host_calls}
    if outcome.status == "ok":
        if invoke.compensation:
            return Record("compensation_succeeded", invoke.path, invoke.attempt, {"output": outcome.output, **spent})
        data = {"output": outcome.output, "next": node.next, **spent}
        return Record("step_succeeded", invoke.path, invoke.attempt, data)
    error: dict[str, JSON] = {"code": outcome.code or outcome.status, "message": outcome.message}
    if outcome.line is not None:
        error["line"] = outcome.line
    if outcome.details is not None:
        error["details"] = outcome.details
    retry = node.retry or workflow.retry
    if invoke.compensation:
        retry = node.retry or (workflow.retry if workflow.retry.max_attempts > 1 else DEFAULT_COMPENSATION_RETRY)
    if outcome.retryable and invoke.attempt < retry.max_attempts:
        retry_at = now + retry_delay(retry, state.seed, invoke.path, invoke.attempt)
        data = {"error": error, "retry_at": retry_at, **spent}
        return Record("attempt_failed", invoke.path, invoke.attempt, data)
    if invoke.compensation:
        if invoke.context["partial"] and error["code"] == "bad_input":
            error["message"] = f"{error['message']} ('{invoke.node}' failed after a write: its output is not known)"
        data = {"error": error | {"node": invoke.path}, **spent}
        return Record("compensation_failed", invoke.path, invoke.attempt, data)
    return _step_error(workflow, state, error, outcome.fuel)


def retry_delay(retry: Retry, seed: str, path: str, attempt: int) -> float:
    """Seconds before the attempt after `attempt`: exponential, capped, with jitter drawn from (run, node, attempt)."""
    base = min(retry.initial_seconds, retry.max_seconds)
    for _ in range(attempt - 1):  # not a power: that overflows before the cap is applied
        base = min(base * retry.multiplier, retry.max_seconds)
    drawn = int.from_bytes(hashlib.sha256(f"{seed}/{path}/{attempt}".encode()).digest()[:8], "big") / 2**64
    return base * (1 + retry.jitter * (2 * drawn - 1))


def decide_approval(
    workflow: Workflow, state: State, decision: str, *, by: str, comment: str, at: float, digest: str | None = None
) -> Record:
    """A person's yes or no to the approval a run waits for, as an entry.

    InvalidInput for another word. Conflict when the run waits for none, when its time is over, or when `digest` (whole,
    or its first 12 digits or more) is not that of what is being asked.
    """
    if decision not in ("approved", "rejected"):
        raise InvalidInput(f"a decision is 'approved' or 'rejected', not {decision!r}")
    node = workflow.by_id.get(state.at or "")
    if state.waiting is None or state.waiting.kind != "approval" or not isinstance(node, ApprovalNode):
        raise Conflict(f"run '{state.run}' waits for no approval; it is {state.status}")
    if state.waiting.until is not None and at >= state.waiting.until:
        raise Conflict(
            f"the approval '{state.path}' of run '{state.run}' was asked for until {iso(state.waiting.until)}",
            hint=f"ritesmith resume {state.run}",
        )
    asked = state.waiting.data["digest"]
    if digest is not None and not is_digest_of(digest, asked):
        raise Conflict(
            f"run '{state.run}' asks for approval of {asked[:12]}, not of {digest[:12]}",
            hint=f"look at what is asked now: ritesmith trace {state.run}",
        )
    output = {"decision": decision, "by": by, "at": iso(at), "comment": comment}
    data: dict[str, Any] = {"output": output, "digest": asked, "next": node.next}
    if decision == "rejected":
        data["next"] = node.on_reject
        if node.on_reject is None:
            message = f"{by} rejected '{state.path}'" + (f": {comment}" if comment else "")
            data["error"] = {"code": "rejected", "message": message, "node": state.path}
    return Record("approval_decided", state.path, data=data)


def receive_callback(workflow: Workflow, state: State, payload: JSON, *, at: float) -> Record:
    """What an awaited callback brought, as an entry. Conflict when the run waits for none or its time is over."""
    node = workflow.by_id.get(state.at or "")
    if state.waiting is None or state.waiting.kind != "callback" or not isinstance(node, WaitNode):
        raise Conflict(f"run '{state.run}' waits for no callback; it is {state.status}")
    if state.waiting.until is not None and at >= state.waiting.until:
        raise Conflict(
            f"the callback '{state.path}' of run '{state.run}' was awaited until {iso(state.waiting.until)}",
            hint=f"ritesmith resume {state.run}",
        )
    data: dict[str, Any] = {"output": payload, "next": node.next}
    if node.success_when is not None:
        scope = state.scope()
        scope["nodes"] = state.nodes | {node.id: {"output": payload}}
        if not holds(node.success_when, scope, where=f"{node.id}.success_when"):
            message = f"the callback at '{state.path}' did not meet success_when"
            data["error"] = {"code": "callback_not_successful", "message": message, "node": state.path}
    return Record("callback_received", state.path, data=data)


def resolve_effect(state: State, *, happened: bool, result: JSON, by: str) -> Record:
    """A person's word on a write of which we do not know whether it happened. Conflict when nothing is unknown."""
    if state.unknown is None:
        raise Conflict(f"run '{state.run}' has no unknown effect; it is {state.status}")
    data = {"happened": happened, "result": result, "by": by, "index": state.unknown.index}
    return Record("effect_resolved", state.path, state.attempt, data)


def is_digest_of(given: str, digest: str) -> bool:
    """Whether a digest, or at least its first 12 digits, was given."""
    return len(given) >= DIGEST_DIGITS_MIN and digest.startswith(given)


def digest_of(value: JSON) -> str:
    """sha256 of a JSON value in one canonical form: keys sorted, no spaces, UTF-8 (after RFC 8785)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def iso(at: float) -> str:
    """Seconds since 1970 as 2026-01-31T09:00:00Z; outside the years 1 to 9999, their first or last."""
    moment = datetime.fromtimestamp(min(max(at, EARLIEST), LATEST), UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
