"""Rehearsals: run an example in a throw-away world, with the real engine, a virtual clock and nothing outside.

A capability's or a workflow's examples prove it at trial, at publish and for reuse. The world is an SQLite file in
memory with the documents that the example names; host functions that reach outside answer only what the example stubs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from ritesmith import hosts, saga
from ritesmith.db import open_throwaway
from ritesmith.engine import Engine, Library
from ritesmith.errors import Conflict, InvalidInput
from ritesmith.expr import ExpressionError
from ritesmith.hosts.store import read_world, write_world
from ritesmith.journal import Journal
from ritesmith.models import (
    FINAL_STATUSES,
    JSON,
    Capability,
    CapabilityExample,
    HostError,
    HostFunction,
    HostReply,
    HostStub,
    Limits,
    Outcome,
    Workflow,
    WorkflowExample,
)
from ritesmith.step import Runner, execute

START = 1_767_225_600.0
"""When every rehearsal begins: 2026-01-01T00:00:00Z."""

RUN = "rehearsal"
ROUNDS_MAX = 1000


@dataclass
class VirtualClock:
    """A clock that moves only when it is told to, or waited on."""

    at: float = START

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Move on by `seconds`, at once."""
        self.at += max(0.0, seconds)


@dataclass(frozen=True)
class HostCallSeen:
    """One host call of a rehearsal, and what it was answered."""

    function: str
    args: JSON
    reply: HostReply


@dataclass(frozen=True)
class Rehearsal:
    """What came of one example: whether it was met, and if not, why."""

    met: bool
    problems: tuple[str, ...]
    status: str
    outcome: str = ""
    output: JSON = None
    error: str = ""
    line: int | None = None
    fuel: int = 0
    memory_bytes: int = 0
    path: tuple[str, ...] = ()
    """Of a workflow: the nodes it went through."""
    store_changed: bool = False
    calls: tuple[HostCallSeen, ...] = ()
    """Of a capability: its host calls."""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Played:
    """One execution of a capability in a throw-away world."""

    outcome: Outcome
    calls: tuple[HostCallSeen, ...]
    before: Mapping[str, Mapping[str, JSON]]
    after: Mapping[str, Mapping[str, JSON]]


Instead = Callable[[int, str, JSON], HostReply | None]
"""(index of the host call, function, arguments) -> the answer that it gets instead of the world's, or None."""


def play_capability(
    sandbox: Runner,
    capability: Capability,
    input: JSON,
    *,
    store: Mapping[str, Mapping[str, JSON]],
    stubs: Sequence[HostStub] = (),
    limits: Limits | None = None,
    instead: Instead = lambda index, name, args: None,
) -> Played:
    """Run a capability once in a world with these documents and stubs; nothing outside is touched."""
    calls: list[HostCallSeen] = []
    if (
        not capability.contract.grants and not store
    ):  # it cannot touch a world, and making one takes longer than running it
        return Played(execute(sandbox, capability, input, context=example_context(), limits=limits), (), {}, {})
    with closing(open_throwaway()) as connection:
        write_world(connection, {name: dict(documents) for name, documents in store.items()}, START)
        answer = _Stubs(stubs)
        before = read_world(connection)

        def host(name: str, args: JSON) -> HostReply:
            refused = hosts.outside_grant(CATALOG[name], args, capability.contract.grants[name])
            if refused is not None:
                from ritesmith.sandbox import GrantDenied

                raise GrantDenied(refused)
            index = len(calls)
            key = f"{RUN}/example/{index}"
            reply = instead(index, name, args)
            if reply is None:
                reply = answer(name, args, hosts.HostEnvironment(connection, START, key, key))
            calls.append(HostCallSeen(name, args, reply))
            return reply

        outcome = execute(sandbox, capability, input, context=example_context(), limits=limits, host=host)
        after = read_world(connection)
    return Played(outcome, tuple(calls), before, after)


def rehearse_capability(
    sandbox: Runner, capability: Capability, example: CapabilityExample, *, limits: Limits | None = None
) -> Rehearsal:
    """Run one example of a capability and compare: output by value, error by code, documents as listed."""
    played = play_capability(
        sandbox, capability, example.input, store=example.store, stubs=example.hosts, limits=limits
    )
    outcome = played.outcome
    problems = _compare_outcome(example, outcome) + _compare_world(example.store_after, played.before, played.after)
    return Rehearsal(
        met=not problems,
        problems=tuple(problems),
        status=outcome.status,
        output=outcome.output,
        error="" if outcome.status == "ok" else outcome.code or outcome.status,
        line=outcome.line,
        fuel=outcome.fuel,
        memory_bytes=outcome.memory_bytes,
        store_changed=played.before != played.after,
        calls=played.calls,
    )


INPUT_CHANGED = "rehearsal.input_changed"
"""The code of the failure that a watched capability ends in when it changed its input."""
_WATCH = (
    "\nend)(...); do local run_, encode, fail_ = run, json.encode, fail; "
    "function run(input, context) local before = encode(input); local output = run_(input, context); "
    f'if encode(input) ~= before then fail_("{INPUT_CHANGED}", "its input was changed") end; return output end end'
)


def watched(capability: Capability) -> Capability:
    """The same capability, which fails with INPUT_CHANGED when its input is not afterwards what it was before.

    Its lines keep their numbers; its fuel is that of the capability and of looking at the input.
    """
    return capability.model_copy(update={"source": f"(function(...) {capability.source}{_WATCH}"})


def rehearse_workflow(
    sandbox: Runner,
    workflow: Workflow,
    capabilities: Mapping[str, Capability],
    example: WorkflowExample,
    *,
    limits: Limits | None = None,
    published: Library | None = None,
) -> Rehearsal:
    """Run one example of a workflow to its end and compare; `capabilities` maps its references to what they mean.

    Sleeps pass at once, approvals and callbacks are answered as the example says, also those of the runs that it calls;
    the workflows of these come from `published`. A run that waits for an answer that the example does not give is not
    met.
    """
    clock = VirtualClock()
    with closing(open_throwaway()) as connection:
        write_world(connection, example.store, START)
        world_before = read_world(connection)
        journal = Journal(connection, clock.now)
        library = _library(workflow, capabilities, published)
        engine = Engine(journal, library, sandbox, clock, limits=limits, catalog=CATALOG, answer=_Stubs(example.hosts))
        journal.start(
            RUN, saga.start_record(workflow, "", {name: name for name in capabilities}, example.input, RUN, START)
        )
        stuck = ""
        state = engine.drive(RUN)
        for _ in range(ROUNDS_MAX):
            if state.status in FINAL_STATUSES:
                break
            states = [saga.fold(journal.entries(run)) for run in journal.unfinished()]
            try:
                answered = next(filter(None, (_answer(library, each, example, clock.now()) for each in states)), None)
            except (Conflict, ExpressionError) as error:
                stuck = error.message
                break
            due = [at for each in states if (at := each.due_at()) is not None]
            if answered is not None:
                run, record = answered
                engine.drive(run, message=lambda *_, record=record: record)
            elif due and min(due) < state.deadline_at:
                clock.sleep(max(0.0, min(due) - clock.now()))
                engine.drive_all(each.run for each in states)
            else:
                waits = ", ".join(f"'{track.path}'" for each in states for track in each.waits() if not track.fork)
                stuck = f"it waits at {waits}, and the example gives no answer for it"
                break
            state = saga.fold(journal.entries(RUN))
        else:
            stuck = f"it did not end within {ROUNDS_MAX} waits"
        world = read_world(connection)
        entries = journal.entries(RUN)
    problems = [stuck] if stuck else _compare_run(example, state)
    problems += [] if stuck else _compare_world(example.store_after, world_before, world)
    return Rehearsal(
        met=not problems,
        problems=tuple(problems),
        status=state.status,
        outcome=state.outcome,
        output=state.output,
        error=str((state.error or {}).get("code", "")),
        fuel=state.fuel,
        path=tuple(dict.fromkeys(entry.node for entry in entries if entry.node)),
        store_changed=world != world_before,
        details=state.error or {},
    )


def example_context() -> dict[str, JSON]:
    """What a script sees as `context` in a rehearsal."""
    return {
        "run_id": RUN,
        "node": "example",
        "attempt": 1,
        "now": saga.iso(START),
        "idempotency_key": f"{RUN}/example",
    }


class _Catalog(dict[str, HostFunction]):
    """Every host function; what only a project knows (tools of its MCP servers) is outside, and must be stubbed."""

    def __missing__(self, name: str) -> HostFunction:
        return HostFunction(name=name, description="", input={}, output={}, effect="write", outside=True)


CATALOG: Mapping[str, HostFunction] = _Catalog(hosts.CATALOG)


class _Stubs:
    """Answers host calls in a rehearsal: as stubbed; truly, where nothing outside is touched; otherwise not at all."""

    def __init__(self, stubs: Sequence[HostStub]) -> None:
        self.left = list(stubs)

    def __call__(self, name: str, args: JSON, environment: hosts.HostEnvironment) -> HostReply:
        for index, stub in enumerate(self.left):
            if stub.call == name and (stub.with_ is None or same(stub.with_, args)):
                del self.left[index]
                return HostReply(error=stub.error) if stub.error else HostReply(result=stub.result)
        if CATALOG[name].outside:
            message = f"no stub of the example answers {name} with {json.dumps(args, sort_keys=True)[:200]}"
            return HostReply(error=HostError(code="no_stub", message=message))
        return hosts.answer(name, args, environment)


def _library(workflow: Workflow, capabilities: Mapping[str, Capability], published: Library | None) -> Library:
    """What a rehearsed run is made of: the draft itself, and for the runs that it calls what is published."""

    def workflow_of(state: saga.State) -> Workflow:
        return workflow if state.parent is None or published is None else published.workflow(state)

    def capability_of(digest: str) -> Capability:
        return capabilities[digest] if published is None or digest in capabilities else published.capability(digest)

    def child(state: saga.State, reference: str, input: JSON, parent: Mapping[str, str], run: str) -> saga.Record:
        if published is None:
            raise InvalidInput(f"there is no workflow '{reference}'")
        return published.child(state, reference, input, parent, run)

    return Library(workflow_of, capability_of, child)


def _answer(library: Library, state: saga.State, example: WorkflowExample, at: float) -> tuple[str, saga.Record] | None:
    """The run and the decision or callback that the example has for what it waits for; None where it has none."""
    workflow = library.workflow(state)
    for track in state.waits("approval"):
        decision = example.decisions.get(track.at or "", example.decisions.get("*"))
        if decision is not None:
            more: dict[str, Any] = {"by": "example", "comment": "", "at": at, "node": track.path}
            return state.run, saga.decide_approval(workflow, state, decision, **more)
    for track in state.waits("callback"):
        for key in (track.at or "", "*"):
            if key in example.callbacks:
                payload = example.callbacks[key]
                return state.run, saga.receive_callback(workflow, state, payload, at=at, node=track.path)
    return None


def _compare_outcome(example: CapabilityExample, outcome: Outcome) -> list[str]:
    if example.error is not None:
        if outcome.status == "ok":
            return [f"expected the error '{example.error}', got the output {_short(outcome.output)}"]
        got = outcome.code or outcome.status
        if got != example.error:
            return [f"expected the error '{example.error}', got '{got}': {outcome.message}"]
        return []
    if outcome.status != "ok":
        return [f"expected an output, got '{outcome.code or outcome.status}': {outcome.message}"]
    if not same(example.output, outcome.output):
        return [f"expected the output {_short(example.output)}, got {_short(outcome.output)}"]
    return []


def _compare_run(example: WorkflowExample, state: saga.State) -> list[str]:
    problems = []
    code = (state.error or {}).get("code", "")
    why = f" ({code}: {(state.error or {}).get('message', '')})" if code else ""
    expected = example.status
    if expected is None and example.error is None and example.outcome is None:
        expected = "succeeded"
    if expected is not None and state.status != expected:
        problems.append(f"expected the status {expected}, got {state.status}{why}")
    if example.outcome is not None and state.outcome != example.outcome:
        problems.append(f"expected the outcome '{example.outcome}', got '{state.outcome}'{why}")
    if example.error is not None and code != example.error:
        problems.append(f"expected the error '{example.error}', got '{code or 'none'}'")
    if "output" in example.model_fields_set and not same(example.output, state.output):
        problems.append(f"expected the output {_short(example.output)}, got {_short(state.output)}")
    return problems


def _compare_world(
    expected: Mapping[str, Mapping[str, JSON]] | None,
    before: Mapping[str, Mapping[str, JSON]],
    after: Mapping[str, Mapping[str, JSON]],
) -> list[str]:
    """Documents that `store_after` names must stand so, null meaning absent; without it nothing may have changed."""
    if expected is None:
        if before == after:
            return []
        changed = sorted(
            f"{namespace}/{key}"
            for namespace in {*before, *after}
            for key in {*before.get(namespace, {}), *after.get(namespace, {})}
            if before.get(namespace, {}).get(key) != after.get(namespace, {}).get(key)
        )
        return [f"it changed {', '.join(changed[:5])} in the store, and the example has no store_after"]
    problems = []
    for namespace, documents in expected.items():
        for key, value in documents.items():
            got = after.get(namespace, {}).get(key)
            if not same(value, got):
                problems.append(f"expected {namespace}/{key} to be {_short(value)}, got {_short(got)}")
    return problems


def same(expected: JSON, got: JSON) -> bool:
    """Equal by value, as examples compare: 50 equals 50.0, numbers within 1e-9 relative, [] equals {}."""
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None or got is None:
        return expected is got
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return expected == got or abs(expected - got) <= 1e-9 * max(abs(expected), abs(got))
    if isinstance(expected, dict) and isinstance(got, dict):
        return expected.keys() == got.keys() and all(same(value, got[key]) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(same, expected, got))
    if expected in ([], {}) and got in ([], {}):
        return True
    return type(expected) is type(got) and bool(expected == got)


def _short(value: JSON, length: int = 160) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= length else text[: length - 1] + "…"
