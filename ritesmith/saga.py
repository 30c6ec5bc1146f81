"""The interpreter: a pure function that knows no database, clock, thread or engine.

`apply` folds one entry into a run's state (see `state`); `decide` says what a run in that state does next. An engine
alternates the two: it executes the command, appends the entry that the command or its result makes, and applies it.

    state = apply(state, entry)                        what has happened
    command = decide(workflow, state, now, running)    what happens next: Record, Invoke, Await, Pause or Finished
    record = conclude(workflow, state, invoke, outcome, now)    an executed step, as the entry to append

Commands and entries are plain data, and effects are keyed by (run, node path, attempt, call), never by a process.
Sagas after Garcia-Molina and Salem, "Sagas" (SIGMOD 1987): compensations run newest first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from ritesmith.errors import Conflict, InvalidInput
from ritesmith.expr import ExpressionError, evaluate, holds, references
from ritesmith.models import (
    FINAL_STATUSES,
    JSON,
    SEMANTICS_VERSION,
    AnyNode,
    ApprovalNode,
    CallNode,
    Compensation,
    EndNode,
    JoinNode,
    MapNode,
    Outcome,
    Retry,
    SleepNode,
    SplitNode,
    SwitchNode,
    TaskNode,
    WaitNode,
    Workflow,
)
from ritesmith.state import (
    ENTRY_KINDS,
    UNDO,
    Call,
    Done,
    Fork,
    State,
    Track,
    Waiting,
    apply,
    fold,
    iso,
    undoable,
)

__all__ = [  # the state belongs to the interpreter, and is read under its name
    "ENTRY_KINDS",
    "UNDO",
    "Await",
    "Call",
    "Finished",
    "Invoke",
    "Pause",
    "Record",
    "State",
    "Track",
    "apply",
    "conclude",
    "decide",
    "fold",
    "iso",
]

DEFAULT_COMPENSATION_RETRY = Retry()
DIGEST_DIGITS_MIN = 12
"""A digest may be given by its first digits; fewer than these name nothing."""


# ---------------------------------------------------------------- commands


class Record(NamedTuple):
    """Append this entry. Several in a row share one commit."""

    kind: str
    node: str = ""
    attempt: int = 0
    data: Mapping[str, Any] = MappingProxyType({})


class Invoke(NamedTuple):
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
    fuel: int | None = None
    """What the run's budget leaves for it; None: its own limit."""
    host_calls: int | None = None


@dataclass(frozen=True)
class Await:
    """Drive a run that this one called until it ends, and append `child_ended`, or for `undo` what came of that."""

    path: str
    child: str
    wish: Literal["end", "cancel", "undo"] = "end"
    """`cancel`: it is no longer wanted; `undo`: it has succeeded, and what it did is to be compensated."""
    attempt: int = 1


@dataclass(frozen=True)
class Pause:
    """Nothing to do before `until` (seconds since 1970; None: until something arrives)."""

    until: float | None


@dataclass(frozen=True)
class Finished:
    """The run has ended."""


Command: TypeAlias = Record | Invoke | Await | Pause | Finished
Running: TypeAlias = Mapping[str, Invoke | Await]
"""What an engine has under way: node path -> command."""
NOTHING: Running = MappingProxyType({})


# ---------------------------------------------------------------- deciding


def start_record(
    workflow: Workflow,
    digest: str,
    capabilities: Mapping[str, str],
    input: JSON,
    seed: str,
    at: float,
    lua_version: str = "",
    *,
    parent: Mapping[str, str] | None = None,
) -> Record:
    """The first entry of a run: all that it is pinned to. `parent`: the run and node path that called it."""
    limits = workflow.limits.model_dump(include={"fuel", "host_calls", "bytes"}, exclude_none=True)
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
            **({"limits": limits} if limits else {}),
            **({"parent": dict(parent)} if parent else {}),
        },
    )


def decide(workflow: Workflow, state: State, now: float, running: Running = NOTHING) -> Command:
    """What a run in this state does next at time `now` (seconds since 1970).

    `running` is what the engine executes for it at this moment: that is not commanded again. Pause while something runs
    means that nothing else is to be done before it ends.
    """
    if state.status in FINAL_STATUSES:
        return Finished()
    if state.undoing is not None:
        return Pause(None) if running else _undo(workflow, state, state.undoing, now)
    if state.status == "unknown":
        return Pause(None)
    if state.failure is not None:
        return _settled(workflow, state, running, now) or _give_up(workflow, state)
    stopped = _stopped(workflow, state, now)
    if stopped is not None:
        return stopped
    until = state.deadline_at
    for track in tuple(state.live.values()):
        command = turn(workflow, state, track, now, running)
        if not isinstance(command, Pause):
            return command
        if command.until is not None and command.until < until:
            until = command.until
    return Pause(None if until == float("inf") else until)


def _stopped(workflow: Workflow, state: State, now: float) -> Record | None:
    """The end of a run that has spent what it may."""
    limits = workflow.limits
    if now >= state.deadline_at:
        seconds = limits.deadline_seconds
        return _stop(state, "run_deadline", f"the run was not finished after {seconds:g} seconds")
    if state.steps > limits.steps:
        return _stop(state, "step_limit", f"the run took more than {limits.steps} steps")
    if state.bytes > state.limits.get("bytes", state.bytes):
        message = f"the run made {state.bytes} bytes of results; it may make {state.limits['bytes']}"
        return _stop(state, "bytes_budget", message)
    return None


def _stop(state: State, code: str, message: str) -> Record:
    path = next((track.path for track in state.acting()), "")
    return Record("run_stopped", path, data={"error": {"code": code, "message": message, "node": path}})


def _settled(workflow: Workflow, state: State, running: Running, now: float) -> Command | None:
    """What is still to be done before a run can be given up: nothing may be under way. None when all is quiet."""
    commands = [_settle(workflow, state, track, running, now) for track in state.acting()]
    return next((each for each in commands if each is not None and not isinstance(each, Pause)), None) or next(
        (each for each in commands if each is not None), None
    )


def _settle(workflow: Workflow, state: State, track: Track, running: Running, now: float) -> Command | None:
    """Bring one track to rest: what runs is drained, a write without an end is executed to its end."""
    under_way = running.get(track.path)
    if track.waiting is not None and track.waiting.kind == "child":
        asked = isinstance(under_way, Await) and under_way.wish == "cancel"
        return Pause(None) if asked else Await(track.path, track.waiting.data["child"], "cancel")
    if under_way is not None:
        return Pause(None)
    if track.unsettled:
        return enter(workflow, state, track, now, running)
    return None


def turn(workflow: Workflow, state: State, track: Track, now: float, running: Running = NOTHING) -> Command:
    """What one track does next, in a run that is not being given up."""
    if track.path in running and track.fork is None:
        return Pause(None)
    if track.fork is not None:
        return _join(workflow, state, track, track.fork, running, now)
    if is_closing(track):
        return Pause(None)  # its fork sees to it
    if track.at is None:
        return Record("run_finished", data={"status": "succeeded", "outcome": "", "output": track.last_output})
    try:
        if track.waiting is not None:
            return _wait(workflow, state, track, track.waiting, now, running)
        return enter(workflow, state, track, now, running)
    except ExpressionError as error:
        return step_error(workflow, track, {"code": "bad_expression", "message": error.message})


def is_closing(track: Track) -> bool:
    """Whether a fork that it belongs to has its answer already."""
    parent = track.parent
    while parent is not None:
        if parent.fork is not None and parent.fork.decided:
            return True
        parent = parent.parent
    return False


def enter(workflow: Workflow, state: State, track: Track, now: float, running: Running = NOTHING) -> Command:
    """What a track does at the node where it stands."""
    assert track.at is not None
    node = workflow.by_id[track.at]
    scope, path = state.scope(track), track.path
    match node:
        case TaskNode():
            arguments = _arguments(node, scope)
            return _invoke(state, track, node, arguments, running)
        case SwitchNode():
            for index, case in enumerate(node.cases):
                if holds(case.when, scope, where=f"{node.id}.cases[{index}].when"):
                    return Record("switched", path, data={"case": index, "next": case.target})
            return Record("switched", path, data={"case": "default", "next": node.default})
        case SleepNode():
            return Record("sleep_started", path, data={"until": _sleep_until(node, scope, track.entered_at)})
        case ApprovalNode():
            prompt = evaluate(node.prompt, scope, where=f"{node.id}.prompt")
            shown = {"run": state.run, "node": path, "workflow": state.workflow, "prompt": prompt}
            data = {"prompt": prompt, "digest": digest_of(shown), "until": _until(node.deadline_seconds, now)}
            return Record("approval_requested", path, data=data)
        case WaitNode():
            return Record("wait_started", path, data={"until": _until(node.deadline_seconds, now)})
        case SplitNode():
            branches = [{"id": each.id, "start": each.start} for each in node.branches]
            data = {"branches": branches, "join": node.join, "policy": _policy(workflow, node.join)}
            return Record("split_started", path, data=data)
        case MapNode():
            return _map(workflow, track, node, scope)
        case CallNode():
            child = "r" + digest_of([state.run, path, track.attempt])[:10]
            data = {"child": child, "workflow": node.workflow, "input": _arguments(node, scope)}
            return Record("child_started", path, track.attempt, data)
        case EndNode() if track.parent is None:
            output = evaluate(node.output, scope, where=f"{node.id}.output")
            data = {"status": node.status, "outcome": node.outcome, "output": output}
            if node.status == "failed":
                code = node.outcome or "failed"
                message = f"the workflow ended at '{node.id}' with outcome '{code}'"
                data["error"] = {"code": code, "message": message, "node": path}
            return Record("run_finished", path, data=data)
        case JoinNode() | EndNode():
            message = f"the {node.kind} node '{node.id}' has no place here"
            return step_error(workflow, track, {"code": "bad_workflow", "message": message})


def _arguments(node: TaskNode | CallNode, scope: Mapping[str, JSON]) -> dict[str, JSON]:
    return {name: evaluate(value, scope, where=f"{node.id}.with.{name}") for name, value in node.with_.items()}


def arguments_at(workflow: Workflow, state: State, track: Track) -> JSON:
    """What a track gives to the capability, the workflow or the compensation at which it stands; None elsewhere, and
    where it cannot be evaluated."""
    try:
        if state.undoing is track:
            done = state.to_undo[0] if state.to_undo else None
            compensation = None if done is None else _compensation_of(workflow, done)
            return None if done is None or compensation is None else _undo_arguments(state, done, compensation)
        node = workflow.by_id.get(track.at or "")
        return _arguments(node, state.scope(track)) if isinstance(node, TaskNode | CallNode) else None
    except ExpressionError:
        return None  # the step has failed by that, and says so


def _invoke(state: State, track: Track, node: TaskNode, arguments: JSON, running: Running) -> Command:
    left = {}
    for name, limit in state.limits.items():
        if name == "bytes":
            continue
        # What a running step may spend is spent until it has ended.
        reserved = sum(getattr(each, name) or 0 for each in running.values() if isinstance(each, Invoke))
        left[name] = max(0, limit - getattr(state, name) - reserved)
        if left[name] or track.unsettled:
            continue
        if reserved:
            return Pause(None)  # what those that run leave over is known when they have ended
        if name == "fuel":  # a step can do without host calls, but not without fuel
            error = {"code": f"{name}_budget", "message": f"the run has spent its budget of {limit} {name}"}
            return Record("run_stopped", track.path, data={"error": error | {"node": track.path}})
    return Invoke(
        node.id,
        track.path,
        track.attempt,
        node.capability,
        arguments,
        _context(state, track),
        node.deadline_seconds,
        tuple(track.calls),
        **{name: spare or None for name, spare in left.items()} if track.unsettled else left,
    )


def _context(state: State, track: Track, partial: bool | None = None) -> dict[str, JSON]:
    context: dict[str, JSON] = {
        "run_id": state.run,
        "node": track.path,
        "attempt": track.attempt,
        "now": iso(track.entered_at),
        "idempotency_key": f"{state.run}/{track.path}",
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


def _wait(workflow: Workflow, state: State, track: Track, waiting: Waiting, now: float, running: Running) -> Command:
    if waiting.kind == "child":
        return Await(track.path, waiting.data["child"])
    if waiting.until is None or now < waiting.until:
        return Pause(waiting.until)
    assert track.at is not None
    node = workflow.by_id[track.at]
    if waiting.kind == "retry":
        return enter(workflow, state, track, now, running)
    if isinstance(node, SleepNode):
        return Record("sleep_ended", track.path, data={"by": waiting.data.get("by", "timer"), "next": node.next})
    assert isinstance(node, ApprovalNode | WaitNode)
    if node.on_timeout is not None:
        return Record("timed_out", track.path, data={"next": node.on_timeout})
    code = "approval_timeout" if isinstance(node, ApprovalNode) else "wait_timeout"
    message = f"no answer came at '{track.path}' within {node.deadline_seconds:g} seconds"
    return Record("timed_out", track.path, data={"error": {"code": code, "message": message, "node": track.path}})


def step_error(
    workflow: Workflow, track: Track, error: dict[str, JSON], spent: Mapping[str, int] = MappingProxyType({})
) -> Record:
    """The step has failed for good: to its handler, or the track fails."""
    assert track.at is not None
    node = workflow.by_id[track.at]
    data: dict[str, Any] = {"error": error | {"node": track.path}, **spent}
    handler = _handler(node, str(error["code"]))
    if handler is not None:
        data["next"] = handler
    return Record("step_failed", track.path, track.attempt, data)


def _handler(node: AnyNode, code: str) -> str | None:
    handlers = node.on_error if isinstance(node, TaskNode | CallNode) else ()
    return next((each.target for each in handlers if each.code in (code, "*")), None)


# ---------------------------------------------------------------- split, map and join


def _policy(workflow: Workflow, join: str) -> str:
    node = workflow.by_id[join]
    return node.policy if isinstance(node, JoinNode) else "all"


def _map(workflow: Workflow, track: Track, node: MapNode, scope: Mapping[str, JSON]) -> Record:
    items = evaluate(node.over, scope, where=f"{node.id}.over")
    if not isinstance(items, list):
        message = f"it is a value of the type {type(items).__name__}, not an array"
        raise ExpressionError(message, operator="over", where=f"{node.id}.over")
    if len(items) > node.max_items:
        message = f"there are {len(items)} elements to map over; at most {node.max_items} are allowed"
        return step_error(workflow, track, {"code": "too_many_items", "message": message})
    data = {
        "items": items,
        "as": node.as_,
        "start": node.start,
        "join": node.join,
        "policy": _policy(workflow, node.join),
        "concurrency": node.concurrency,
    }
    return Record("map_started", track.path, data=data)


def _join(workflow: Workflow, state: State, track: Track, fork: Fork, running: Running, now: float) -> Command:
    """Whether the branches have come together: all have ended, or the policy has its answer and nothing runs."""
    if not fork.over:
        if not fork.decided or is_closing(track):
            return Pause(None)
        settling = [_settle(workflow, state, each, running, now) for each in _leaves(fork)]
        waits = [each for each in settling if each is not None]
        if waits:
            return next((each for each in waits if not isinstance(each, Pause)), waits[0])
    elif is_closing(track):
        return Pause(None)
    path = track.path_of(fork.join)
    node = workflow.by_id[fork.join]
    succeeded = {key: each["output"] for key, each in fork.results.items() if each["status"] == "succeeded"}
    failed = {key: each["error"] for key, each in fork.results.items() if each["status"] == "failed"}
    if failed and (fork.policy == "all" or (fork.policy == "any" and not succeeded)):
        error: dict[str, Any] = dict(next(iter(failed.values())))
        if fork.policy == "any":
            error |= {"code": "no_branch_succeeded", "message": f"no branch of '{fork.path}' succeeded", "node": path}
            error["errors"] = {str(key): each for key, each in failed.items()}
        return Record("join_failed", path, data={"error": error})
    if fork.policy == "any":
        succeeded = dict([next(iter(succeeded.items()))]) if succeeded else {}
    results: Mapping[str | int, JSON] = fork.results if fork.policy == "settled" else succeeded
    output: JSON
    if fork.items is not None:
        output = [results[key] for key in fork.keys]
    else:
        output = {str(key): results[key] for key in fork.keys if key in results}
    assert isinstance(node, JoinNode)
    return Record("joined", path, data={"output": output, "next": node.next})


def _leaves(fork: Fork) -> list[Track]:
    """The tracks of a fork that stand at a node."""
    leaves: list[Track] = []
    for track in fork.open.values():
        leaves.extend([track] if track.fork is None else _leaves(track.fork))
    return leaves


# ---------------------------------------------------------------- giving up


def _give_up(workflow: Workflow, state: State) -> Record:
    """The run has failed and nothing is under way: compensate what has finished, newest first, or end."""
    if state.cancelled != "abandon":
        plan = undo_plan(workflow, state)
        if plan:
            return Record("compensation_started", data={"error": state.failure, "plan": plan})
    return Record("run_finished", data={"status": "cancelled" if state.cancelled else "failed", "error": state.failure})


def undo_plan(workflow: Workflow, state: State) -> list[str]:
    """The paths of all that can be undone, newest first."""
    return [done.path for done in reversed(undoable(state)) if done.child or _compensation_of(workflow, done)]


def _undo(workflow: Workflow, state: State, track: Track, now: float) -> Command:
    """Compensate, newest first, then end."""
    if track.unknown is not None:
        return Pause(None)
    if not state.to_undo:
        status = "compensation_failed" if state.not_undone else "cancelled" if state.cancelled else "compensated"
        data = {"status": status, "error": state.failure, "undone": state.undone, "not_undone": state.not_undone}
        return Record("run_finished", data=data)
    if track.waiting is not None and track.waiting.until is not None and now < track.waiting.until:
        return Pause(track.waiting.until)
    done = state.to_undo[0]
    if done.child:
        return Await(track.path, done.child, "undo", track.attempt)
    compensation = _compensation_of(workflow, done)
    assert compensation is not None
    try:
        arguments = _undo_arguments(state, done, compensation)
    except ExpressionError as error:
        failed = {"code": "bad_expression", "message": error.message, "node": track.path}
        return Record("compensation_failed", track.path, track.attempt, {"error": failed})
    return Invoke(
        done.node,
        track.path,
        track.attempt,
        compensation.capability,
        arguments,
        _context(state, track, done.partial),
        None,
        tuple(track.calls),
        compensation=True,
    )


def _undo_arguments(state: State, done: Done, compensation: Compensation) -> dict[str, JSON]:
    """The arguments of a compensation, from the outputs that its step saw.

    A step that failed after a write has no output. What reads that output is left out, and `context.partial` tells the
    compensation so: one that can do without (it may look for the step's idempotency key) undoes what there is, and one
    that cannot is refused by its own contract and listed as not undone.
    """
    scope = state.scope(done.track)
    scope["nodes"] = nodes = done.track.seen(done.seen)
    if done.partial:
        nodes.pop(done.node, None)
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
    # What is left out is zero. Peak memory is not told: it counts what the allocator had not given back yet.
    spent = {"fuel": outcome.fuel} | ({"host_calls": outcome.host_calls} if outcome.host_calls else {})
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
    spare = {"fuel": invoke.fuel, "host_calls": invoke.host_calls}.get(outcome.status)
    if spare is not None and getattr(outcome, outcome.status) >= spare:  # its own limit would have let it go on
        error["message"] = f"{error['message']}; the budget of the run had no more left"
    retry = node.retry or workflow.retry
    if invoke.compensation:
        retry = node.retry or (workflow.retry if workflow.retry.max_attempts > 1 else DEFAULT_COMPENSATION_RETRY)
    # A run that is being given up waits for no better answer.
    given_up = state.failure is not None and not invoke.compensation
    attempt = invoke.attempt - state.track_of(invoke.path).tried
    if outcome.retryable and attempt < retry.max_attempts and not given_up:
        delay = retry_delay(retry, state.seed, invoke.path, attempt)
        data = {"error": error, "retry_at": now + max(delay, outcome.retry_after_seconds or 0.0), **spent}
        return Record("attempt_failed", invoke.path, invoke.attempt, data)
    if invoke.compensation:
        if invoke.context["partial"] and error["code"] == "bad_input":
            error["message"] = f"{error['message']} ('{invoke.node}' failed after a write: its output is not known)"
        data = {"error": error | {"node": invoke.path}, **spent}
        return Record("compensation_failed", invoke.path, invoke.attempt, data)
    return step_error(workflow, state.track_of(invoke.path), error, spent)


def child_ended(workflow: Workflow, state: State, command: Await, child: State) -> Record:
    """The entry that the end of a called run makes."""
    if command.wish == "undo":
        if child.status == "compensated":
            return Record("compensation_succeeded", command.path, command.attempt, {"output": None})
        error = {"code": child.status, "message": f"run '{child.run}' could not be undone", "node": command.path}
        return Record("compensation_failed", command.path, command.attempt, {"error": error})
    track = state.track_of(command.path)
    assert track.at is not None
    node = workflow.by_id[track.at]
    assert isinstance(node, CallNode)
    data: dict[str, Any] = {"child": child.run, "status": child.status, "output": child.output, "next": node.next}
    if child.status != "succeeded":
        why = child.error or {"code": child.status, "message": f"it ended {child.status}"}
        error = {"code": why["code"], "message": f"run '{child.run}' of '{child.workflow}': {why['message']}"}
        handler = _handler(node, str(error["code"]))
        data |= {"output": None, "next": handler}
        data["error" if handler is None else "handled"] = error | {"node": command.path}
    return Record("child_ended", command.path, track.attempt, data)


def retry_delay(retry: Retry, seed: str, path: str, attempt: int) -> float:
    """Seconds before the attempt after `attempt`: exponential, capped, with jitter drawn from (run, node, attempt)."""
    base = min(retry.initial_seconds, retry.max_seconds)
    for _ in range(attempt - 1):  # not a power: that overflows before the cap is applied
        base = min(base * retry.multiplier, retry.max_seconds)
    drawn = int.from_bytes(hashlib.sha256(f"{seed}/{path}/{attempt}".encode()).digest()[:8], "big") / 2**64
    return base * (1 + retry.jitter * (2 * drawn - 1))


def _waiting_track(state: State, kind: str, node: str | None, asked_for: str) -> Track:
    """The track that waits for an answer of a kind, at a node (id or path) if one is named."""
    found = [] if state.status in FINAL_STATUSES else state.waits(kind)
    if node is not None:
        found = [track for track in found if node in (track.path, track.at)]
    if not found:
        where = "" if node is None else f" at '{node}'"
        raise Conflict(f"run '{state.run}' waits for no {asked_for}{where}; it is {state.status}")
    if len(found) > 1:
        raise Conflict(
            f"run '{state.run}' waits for {len(found)} answers: {', '.join(track.path for track in found)}",
            hint="say which is meant with --node",
        )
    return found[0]


def receive(workflow: Workflow, state: State, kind: str, data: Mapping[str, Any], at: float) -> Record:
    """What somebody has to say to a run (`cancel`, `wake`, `approval`, `callback` or `effect`), as an entry.

    `data` are the named arguments of what makes it; raises as that.
    """
    match kind:
        case "cancel":
            return cancel(state, **data)
        case "wake":
            return wake(state, **data)
        case "approval":
            return decide_approval(workflow, state, at=at, **data)
        case "callback":
            return receive_callback(workflow, state, at=at, **data)
        case "effect":
            return resolve_effect(state, **data)
    raise InvalidInput(f"nothing is known of a message of the kind '{kind}'", hint="a newer RiteSmith sent it; upgrade")


def decide_approval(
    workflow: Workflow,
    state: State,
    decision: str,
    *,
    by: str,
    comment: str,
    at: float,
    digest: str | None = None,
    node: str | None = None,
) -> Record:
    """A person's yes or no to the approval a run waits for (at `node`, when it waits for several), as an entry.

    InvalidInput for another word. Conflict when the run waits for none, when its time is over, or when `digest` (whole,
    or its first 12 digits or more) is not that of what is being asked.
    """
    if decision not in ("approved", "rejected"):
        raise InvalidInput(f"a decision is 'approved' or 'rejected', not {decision!r}")
    track = _waiting_track(state, "approval", node, "approval")
    asker = workflow.by_id[track.at or ""]
    assert isinstance(asker, ApprovalNode)
    waiting = _in_time(state, track, at, f"the approval '{track.path}' of run '{state.run}' was asked for")
    asked = waiting.data["digest"]
    if digest is not None and not is_digest_of(digest, asked):
        raise Conflict(
            f"run '{state.run}' asks for approval of {asked[:12]}, not of {digest[:12]}",
            hint=f"look at what is asked now: ritesmith trace {state.run}",
        )
    output = {"decision": decision, "by": by, "at": iso(at), "comment": comment}
    data: dict[str, Any] = {"output": output, "digest": asked, "next": asker.next}
    if decision == "rejected":
        data["next"] = asker.on_reject
        if asker.on_reject is None:
            message = f"{by} rejected '{track.path}'" + (f": {comment}" if comment else "")
            data["error"] = {"code": "rejected", "message": message, "node": track.path}
    return Record("approval_decided", track.path, data=data)


def awaiting(workflow: Workflow, state: State, node: str | None = None) -> WaitNode:
    """The node at which a run waits for a callback (`node`, id or path, when at several); Conflict when at none."""
    waiter = workflow.by_id[_waiting_track(state, "callback", node, "callback").at or ""]
    assert isinstance(waiter, WaitNode)
    return waiter


def receive_callback(workflow: Workflow, state: State, payload: JSON, *, at: float, node: str | None = None) -> Record:
    """What an awaited callback brought, as an entry. Conflict when the run waits for none or its time is over."""
    track = _waiting_track(state, "callback", node, "callback")
    waiter = awaiting(workflow, state, track.path)
    _in_time(state, track, at, f"the callback '{track.path}' of run '{state.run}' was awaited")
    data: dict[str, Any] = {"output": payload, "next": waiter.next}
    if waiter.success_when is not None:
        scope = state.scope(track)
        scope["nodes"] = track.nodes | {waiter.id: {"output": payload}}
        if not holds(waiter.success_when, scope, where=f"{waiter.id}.success_when"):
            message = f"the callback at '{track.path}' did not meet success_when"
            data["error"] = {"code": "callback_not_successful", "message": message, "node": track.path}
    return Record("callback_received", track.path, data=data)


def _in_time(state: State, track: Track, at: float, what: str) -> Waiting:
    assert track.waiting is not None
    if track.waiting.until is not None and at >= track.waiting.until:
        raise Conflict(f"{what} until {iso(track.waiting.until)}", hint=f"ritesmith resume {state.run}")
    return track.waiting


def wake(state: State, *, by: str, node: str | None = None) -> Record:
    """End a sleep, or the pause before a retry, early. Conflict when the run sleeps nowhere (or not there)."""
    sleeping = {track.path: track for kind in ("sleep", "retry") for track in state.waits(kind)}
    if state.status in FINAL_STATUSES:
        sleeping = {}
    found = [path for path, track in sleeping.items() if node is None or node in (path, track.at)]
    if not found:
        raise Conflict(f"run '{state.run}' does not sleep{f' at {node!r}' if node else ''}; it is {state.status}")
    if len(found) > 1:
        raise Conflict(f"run '{state.run}' sleeps at {', '.join(found)}", hint="say which is meant with --node")
    return Record("woken", found[0], data={"by": by})


def cancel(state: State, *, by: str, reason: str = "", compensate: bool = True) -> Record:
    """Give a run up by a person's word. Conflict when it has ended, or is being given up already."""
    if state.status in FINAL_STATUSES:
        raise Conflict(f"run '{state.run}' has ended already: it is {state.status}")
    if state.failure is not None:
        raise Conflict(f"run '{state.run}' is being given up already", hint=f"ritesmith resume {state.run}")
    if state.unknowns() and compensate:
        raise Conflict(
            f"nobody knows whether a write of run '{state.run}' happened, so it cannot be undone",
            hint=f"ritesmith resolve {state.run}, or cancel it without compensation",
        )
    error = {"code": "cancelled", "message": f"{by} cancelled the run" + (f": {reason}" if reason else "")}
    return Record("run_cancelled", data={"by": by, "compensate": compensate, "error": error})


def retry(workflow: Workflow, state: State, *, by: str, at: float) -> Record:
    """Have a failed run go on at what failed, with a new deadline and new budgets. Conflict when it has not failed."""
    is_its_own(state)
    if state.status != "failed":
        hint = ""
        if state.status in ("compensated", "compensation_failed"):
            hint = f"what it did is undone; begin again: ritesmith fork {state.run} --from NODE, or a new run"
        raise Conflict(f"run '{state.run}' has not failed; it is {state.status}", hint=hint)
    if state.failure is None:
        raise Conflict(
            f"run '{state.run}' ended at an end node that says 'failed'; there is no step to try again",
            hint=f"go on from a step before it: ritesmith fork {state.run} --from NODE",
        )
    return Record("run_retried", data={"by": by, "deadline_at": at + workflow.limits.deadline_seconds})


def compensate(state: State, *, by: str) -> Record:
    """Have what could not be undone tried again. Conflict when nothing is left."""
    is_its_own(state)
    if state.status != "compensation_failed":
        raise Conflict(f"run '{state.run}' has no failed compensation; it is {state.status}")
    return Record("compensation_resumed", data={"by": by})


def is_its_own(state: State) -> None:
    """Conflict when a fork has taken over what the run did: two must not undo the same."""
    if state.taken_over_by:
        raise Conflict(
            f"run '{state.run}' was taken over by run '{state.taken_over_by}'",
            hint=f"go on with that one: ritesmith trace {state.taken_over_by}",
        )


def request_undo(workflow: Workflow, state: State, *, by: str) -> Record:
    """Have a run undone because the run `by`, which called it, is given up. Conflict when it has not succeeded."""
    if state.status != "succeeded":
        raise Conflict(f"run '{state.run}' has not succeeded; it is {state.status}")
    error = {"code": "undone_by_parent", "message": f"run '{by}', which called this one, is given up"}
    return Record("undo_requested", data={"by": by, "error": error, "plan": undo_plan(workflow, state)})


def resolve_effect(state: State, *, happened: bool, result: JSON, by: str, node: str | None = None) -> Record:
    """A person's word on a write of which we do not know whether it happened. Conflict when nothing is unknown."""
    track = unknown_track(state, node)
    assert track.unknown is not None
    data = {"happened": happened, "result": result, "by": by, "index": track.unknown.index}
    return Record("effect_resolved", track.path, track.attempt, data)


def unknown_track(state: State, node: str | None = None) -> Track:
    """The track with the write that nobody knows of; Conflict when there is none, or more than one and none named."""
    found = [track for track in state.unknowns() if node is None or node in (track.path, track.at)]
    if not found:
        raise Conflict(f"run '{state.run}' has no unknown effect; it is {state.status}")
    if len(found) > 1:
        paths = ", ".join(track.path for track in found)
        raise Conflict(f"run '{state.run}' has unknown effects at {paths}", hint="say which is meant with --node")
    return found[0]


def is_digest_of(given: str, digest: str) -> bool:
    """Whether a digest, or at least its first 12 digits, was given."""
    return len(given) >= DIGEST_DIGITS_MIN and digest.startswith(given)


def digest_of(value: JSON) -> str:
    """sha256 of a JSON value in one canonical form: keys sorted, no spaces, UTF-8 (after RFC 8785)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
