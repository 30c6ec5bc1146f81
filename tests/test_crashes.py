"""The crash sweep: one process dies at every commit and every effect, another carries on, and nobody can tell.

The real engine and real SQLite, in memory; scripts are Python generators, so that all points of all scenarios take
seconds. After SQLite's own tests of a failing malloc (test/malloc_common.tcl): blow at the 1st touch, the 2nd, and so
on, until a run comes through.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from saga_model import Fate, Left, Model, Program, Writer, compiled, result_of
from test_engine import FusedConnection, drawn_seed

from ritesmith import hosts, journal, saga
from ritesmith.db import open_throwaway
from ritesmith.engine import Engine, Library
from ritesmith.errors import Conflict, NotFound
from ritesmith.journal import Journal
from ritesmith.models import (
    FINAL_STATUSES,
    JSON,
    NODE_KINDS,
    Capability,
    Contract,
    Entry,
    HostError,
    HostFunction,
    HostReply,
    Outcome,
    Workflow,
)
from ritesmith.testing import Blown, Fuse, ManualClock

ANY = {"type": "object"}

Script = Generator[tuple[str, JSON], HostReply, JSON]


class FailError(Exception):
    """A script fails deliberately."""

    def __init__(self, code: str, *, retryable: bool = False) -> None:
        super().__init__(code)
        self.code, self.retryable = code, retryable


# ---------------------------------------------------------------- scripts


def note(input: JSON, context: Mapping[str, JSON]) -> Script:
    """Write down what is to be said, behind what stands there."""
    log = yield "store.get", {"namespace": "t", "key": "log"}
    said = (log.result["value"] or {"said": []})["said"]
    value = {"said": [*said, input["say"]]}
    put = yield "store.put", {"namespace": "t", "key": "log", "value": value, "if_version": log.result["version"]}
    if put.error is not None:
        raise FailError("busy", retryable=True)
    return {"said": input["say"]}


def send(input: JSON, context: Mapping[str, JSON]) -> Script:
    """Two messages; the world knows their keys."""
    for text in (f"{input['say']} 1", f"{input['say']} 2"):
        yield "mail.send", {"text": text}
    return {"said": input["say"]}


def blind(input: JSON, context: Mapping[str, JSON]) -> Script:
    """A message that must not be sent again unasked."""
    yield "mail.blind", {"text": input["say"]}
    return {"said": input["say"]}


def flaky(input: JSON, context: Mapping[str, JSON]) -> Script:
    yield "mail.send", {"text": "tried"}
    if context["attempt"] < 3:
        raise FailError("busy", retryable=True)
    return {"said": input["say"]}


def half(input: JSON, context: Mapping[str, JSON]) -> Script:
    """Fails after its first write."""
    yield "mail.send", {"text": f"half {input['say']}"}
    raise FailError("half")


def gate(input: JSON, context: Mapping[str, JSON]) -> Script:
    """Fails as long as the gate is shut."""
    found = yield "store.get", {"namespace": "t", "key": "gate"}
    if found.result["value"] is None:
        raise FailError("shut")
    return {"said": "through"}


def double(input: JSON, context: Mapping[str, JSON]) -> Script:
    return {"n": input["n"] * 2}
    yield


def fail(input: JSON, context: Mapping[str, JSON]) -> Script:
    raise FailError(input.get("code", "broken"))
    yield


SCRIPTS = {each.__name__: each for each in (note, send, blind, flaky, half, gate, double, fail)}


class Scripts:
    """Stands in for the sandbox: executes the scripts above, and feeds them what the journal holds."""

    def run(
        self,
        source: str,
        input: JSON,
        *,
        name: str = "",
        context: Mapping[str, JSON] | None = None,
        functions: Collection[str] = (),
        limits: Any = None,
        host: Any = None,
        results: Sequence[HostReply] = (),
        on_recorded: Any = None,
        seed: int = 0,
    ) -> Outcome:
        script = SCRIPTS[source](input, context or {})
        made = 0
        try:
            asked = next(script)
            while True:
                if made < len(results):
                    on_recorded(made, *asked)
                    reply = results[made]
                else:
                    reply = host(*asked)
                made += 1
                asked = script.send(reply)
        except StopIteration as ended:
            return Outcome(status="ok", output=ended.value, fuel=10, host_calls=made)
        except FailError as failed:
            return Outcome(
                status="fail", code=failed.code, message="", retryable=failed.retryable, fuel=10, host_calls=made
            )


def capability(digest: str) -> Capability:
    grants: dict[str, dict[str, Any]] = {"mail.send": {}, "mail.blind": {}}
    grants |= {name: {"namespaces": ["t"]} for name in ("store.get", "store.put")}
    contract = Contract(name=f"do.{digest}", intent="to be tried", input=ANY, output=ANY, grants=grants)
    return Capability(contract=contract, source=digest)


# ---------------------------------------------------------------- the world outside


def declared(name: str, *, idempotent: bool) -> HostFunction:
    return HostFunction(
        name=name, description=name, input=ANY, output=ANY, effect="write", idempotent=idempotent, outside=True
    )


class Mailbox:
    """What was sent, in order. A message whose key it has seen is taken for the same one, but for a blind message."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.keys: list[str] = []

    def answer(self, name: str, args: JSON, environment: hosts.HostEnvironment) -> HostReply:
        if not name.startswith("mail."):
            return hosts.answer(name, args, environment)
        key = environment.idempotency_key
        if name == "mail.blind" or key not in self.keys:
            self.keys.append(key)
            self.sent.append(args["text"])
        return HostReply(result={})


# ---------------------------------------------------------------- workflows


def task(id: str, does: str, next: str | None, **more: Any) -> dict[str, Any]:
    undo = {"compensation": {"capability": more.pop("undo"), "with": {"say": f"not {id}"}}} if "undo" in more else {}
    given = {"say": more.pop("say", id), **more.pop("given", {})}
    return {"id": id, "kind": "task", "capability": does, "with": given, "next": next, **undo, **more}


def split(*starts: str) -> dict[str, Any]:
    branches = [{"id": f"b_{start}", "start": start} for start in starts]
    return {"id": "fan", "kind": "split", "branches": branches, "join": "together"}


def join(next: str | None, policy: str = "all") -> dict[str, Any]:
    return {"id": "together", "kind": "join", "policy": policy, "next": next}


def workflow(*nodes: dict[str, Any], name: str = "test.flow", **more: Any) -> Workflow:
    more = {"limits": {"deadline_seconds": 100 * 86_400}} | more
    return Workflow.model_validate(
        {"name": name, "intent": "to be tried", "start": nodes[0]["id"], "nodes": list(nodes), **more}
    )


RETRY = {"max_attempts": 3, "initial_seconds": 86_400, "max_seconds": 864_000}
NAP = {"id": "nap", "kind": "sleep", "seconds": 2_592_000, "next": None}
ASK = {"id": "ask", "kind": "approval", "prompt": "go on?", "next": None}
HEAR = {"id": "hear", "kind": "wait", "next": None, "schema": ANY}
CALL = {"id": "call", "kind": "call", "workflow": "test.child", "with": {"n": 1}, "next": None}


@dataclass
class Scenario:
    """A workflow, what people do while it runs, and what must have come of it in the end."""

    flows: list[Workflow]
    status: str
    sent: list[str]
    """What the world was told, in order; a list within is told in any order."""
    said: list[str] = field(default_factory=list)
    undone: tuple[str, ...] = ()
    people: Callable[[Office, saga.State], bool] = lambda office, state: False
    """What somebody does about a run that rests: True when it was something."""
    error: str | None = None
    side_by_side: bool = False
    """The order of what happens is not given."""


def at_first(condition: str, act: Callable[[Office, saga.State], object]) -> Callable[[Office, saga.State], bool]:
    """Somebody acts once, when the run is first seen in a status."""

    def people(office: Office, state: saga.State) -> bool:
        if state.parent is not None or state.status != condition:
            return False
        act(office, state)
        return True

    return people


def opened(office: Office, state: saga.State) -> bool:
    """Somebody opens the gate and has the failed run go on."""
    if state.status not in ("failed", "compensation_failed"):
        return False
    office.connection.execute("INSERT OR IGNORE INTO store VALUES ('t', 'gate', '{}', 1, 0.0)")
    if state.status == "failed":
        office.tell(state.run, lambda flow, now: saga.retry(flow, now, by="ann", at=office.clock.now()))
    else:
        office.tell(state.run, lambda flow, now: saga.compensate(now, by="ann"))
    return True


def early(office: Office, state: saga.State) -> bool:
    """A callback comes while the run still sleeps, and stays in its mailbox."""
    return office.leave_word(state, "callback", {"payload": {"n": 5}, "node": "hear"})


def cancelling(*, compensate: bool) -> Callable[[Office, saga.State], bool]:
    def cancel(office: Office, state: saga.State) -> None:
        office.tell(state.run, lambda flow, now: saga.cancel(now, by="ann", compensate=compensate))

    return at_first("sleeping", cancel)


FIRST = task("first", "send", "nap", undo="send")
CHILD = workflow(task("inner", "send", "ask", undo="send"), ASK, name="test.child")
SCENARIOS = {
    "steps": Scenario(
        [workflow(task("a", "note", "b"), task("b", "send", "c"), task("c", "blind", None))],
        "succeeded",
        ["b 1", "b 2", "c"],
        ["a"],
    ),
    "a month of sleep and retries": Scenario(
        [workflow(task("a", "flaky", "nap", retry=RETRY), NAP | {"next": "b"}, task("b", "note", None))],
        "succeeded",
        ["tried"],
        ["b"],
    ),
    "a choice": Scenario(
        [
            workflow(
                task("a", "double", "pick", given={"n": 2}),
                {
                    "id": "pick",
                    "kind": "switch",
                    "cases": [{"when": {"==": [{"var": "nodes.a.output.n"}, 4]}, "target": "b"}],
                    "default": "c",
                },
                task("b", "send", "done"),
                task("c", "send", "done"),
                {"id": "done", "kind": "end", "outcome": "good", "output": {"n": {"var": "nodes.a.output.n"}}},
            )
        ],
        "succeeded",
        ["b 1", "b 2"],
    ),
    "people": Scenario(
        [
            workflow(
                task("a", "note", "ask"),
                ASK | {"next": "hear"},
                HEAR | {"next": "b"},
                task("b", "note", None, say={"var": "nodes.ask.output.decision"}),
            )
        ],
        "succeeded",
        [],
        ["a", "approved"],
    ),
    "an early callback": Scenario(
        [
            workflow(
                NAP | {"next": "hear"},
                HEAR | {"next": "b"},
                task("b", "send", None, say={"cat": [{"var": "nodes.hear.output.n"}]}),
            )
        ],
        "succeeded",
        ["5 1", "5 2"],
        people=early,
    ),
    "woken": Scenario(
        [workflow(NAP | {"next": "b"}, task("b", "note", None))],
        "succeeded",
        [],
        ["b"],
        people=lambda office, state: wake(office, state),
    ),
    "undone": Scenario(
        [
            workflow(
                task("a", "send", "b", undo="send"),
                task("b", "note", "c", undo="note"),
                task("c", "blind", "d", undo="blind"),
                task("d", "half", None, undo="send"),
            )
        ],
        "compensated",
        ["a 1", "a 2", "c", "half d", "not d 1", "not d 2", "not c", "not a 1", "not a 2"],
        ["b", "not b"],
        undone=("d", "c", "b", "a"),
        error="half",
    ),
    "handled": Scenario(
        [
            workflow(
                task("a", "half", "c", on_error=[{"code": "half", "target": "b"}]),
                task("b", "send", "c"),
                task("c", "note", None),
            )
        ],
        "succeeded",
        ["half a", "b 1", "b 2"],
        ["c"],
    ),
    "a gate for the compensation": Scenario(
        [
            workflow(
                task("a", "send", "b", undo="send"), task("b", "note", "c", undo="gate"), task("c", "fail", None)
            )
        ],
        "compensated",
        ["a 1", "a 2", "not a 1", "not a 2"],
        ["b"],
        undone=("a", "b"),
        people=opened,
        error="broken",
    ),
    "tried again": Scenario(
        [workflow(task("a", "send", "b"), task("b", "gate", "c"), task("c", "blind", None))],
        "succeeded",
        ["a 1", "a 2", "c"],
        people=opened,
    ),
    "cancelled and undone": Scenario(
        [workflow(FIRST, NAP)],
        "cancelled",
        ["first 1", "first 2", "not first 1", "not first 2"],
        undone=("first",),
        people=cancelling(compensate=True),
        error="cancelled",
    ),
    "cancelled and left": Scenario(
        [workflow(FIRST, NAP)],
        "cancelled",
        ["first 1", "first 2"],
        people=cancelling(compensate=False),
        error="cancelled",
    ),
    "cancelled by message": Scenario(
        [workflow(FIRST, NAP)],
        "cancelled",
        ["first 1", "first 2", "not first 1", "not first 2"],
        undone=("first",),
        people=lambda office, state: ask_to_cancel(office, state),
        error="cancelled",
    ),
    "past its deadline": Scenario(
        [workflow(FIRST, NAP, limits={"deadline_seconds": 1000})],
        "compensated",
        ["first 1", "first 2", "not first 1", "not first 2"],
        undone=("first",),
        error="run_deadline",
    ),
    "branches": Scenario(
        [
            workflow(
                split("x", "y", "z"),
                task("x", "send", "x2"),
                task("x2", "blind", "together"),
                task("y", "flaky", "together", retry=RETRY),
                NAP | {"id": "z", "next": "z2"},
                task("z2", "send", "together"),
                join("after"),
                task("after", "note", None),
            )
        ],
        "succeeded",
        [["x 1", "x 2", "x2", "tried", "z2 1", "z2 2"]],  # type: ignore[list-item]
        ["after"],
        side_by_side=True,
    ),
    "a branch that fails": Scenario(
        [
            workflow(
                task("before", "send", "fan", undo="send"),
                split("x", "y"),
                task("x", "send", "together", undo="send"),
                NAP | {"id": "y", "seconds": 10, "next": "y2"},
                task("y2", "half", "together", undo="send"),
                join(None),
            )
        ],
        "compensated",
        [
            *("before 1", "before 2", "x 1", "x 2", "half y2"),
            *("not y2 1", "not y2 2", "not x 1", "not x 2", "not before 1", "not before 2"),
        ],
        undone=("fan/b_y/y2", "fan/b_x/x", "before"),
        error="half",
    ),
    "the first of several": Scenario(
        [
            workflow(
                split("x", "y"),
                NAP | {"id": "x", "next": "x2"},
                task("x2", "blind", "together"),
                NAP | {"id": "y", "seconds": 10, "next": "y2"},
                task("y2", "blind", "together"),
                join("after", "any"),
                task("after", "send", None),
            )
        ],
        "succeeded",
        ["y2", "after 1", "after 2"],
    ),
    "each element": Scenario(
        [
            workflow(
                {
                    "id": "each",
                    "kind": "map",
                    "over": [1, 2, 3, 4],
                    "start": "x",
                    "join": "together",
                    "concurrency": 2,
                },
                task("x", "send", "x2", say={"cat": ["x", {"var": "item"}]}),
                task("x2", "double", "together", given={"n": {"var": "item"}}),
                join(None, "settled"),
            )
        ],
        "succeeded",
        [[f"x{n} {m}" for n in range(1, 5) for m in (1, 2)]],  # type: ignore[list-item]
        side_by_side=True,
    ),
    "a called run": Scenario(
        [workflow(task("a", "send", "call"), CALL | {"next": "b"}, task("b", "blind", None)), CHILD],
        "succeeded",
        ["a 1", "a 2", "inner 1", "inner 2", "b"],
    ),
    "a called run, undone": Scenario(
        [
            workflow(task("a", "send", "call", undo="send"), CALL | {"next": "b"}, task("b", "fail", None)),
            CHILD,
        ],
        "compensated",
        ["a 1", "a 2", "inner 1", "inner 2", "not inner 1", "not inner 2", "not a 1", "not a 2"],
        undone=("call", "a"),
        error="broken",
    ),
    "a called run, cancelled": Scenario(
        [workflow(split("call", "z"), CALL | {"next": "together"}, NAP | {"id": "z", "next": "together"}, join(None)),
         CHILD],
        "cancelled",
        ["inner 1", "inner 2", "not inner 1", "not inner 2"],
        people=lambda office, state: cancel_caller(office, state),
        error="cancelled",
    ),
}  # fmt: skip


def cancel_caller(office: Office, state: saga.State) -> bool:
    """Somebody gives the caller up when what it called waits for a person."""
    called = [saga.fold(office.journal.entries(run)) for run in office.runs()[1:]]
    if state.parent is not None or state.status != "waiting" or not any(each.waits("approval") for each in called):
        return False
    office.tell(state.run, lambda flow, now: saga.cancel(now, by="ann"))
    return True


def wake(office: Office, state: saga.State) -> bool:
    """Somebody does not wait for the sleep to end."""
    due = state.due_at()
    if state.status != "sleeping" or due is None or due <= office.clock.now():
        return False
    office.tell(state.run, lambda flow, now: saga.wake(now, by="ann"))
    return True


def ask_to_cancel(office: Office, state: saga.State) -> bool:
    """Somebody leaves word that the run is to be given up, while nobody drives it: whoever does next reads it."""
    return office.leave_word(state, "cancel", {"by": "ann", "reason": "", "compensate": True})


# ---------------------------------------------------------------- processes and people


class Office:
    """One registry in memory, and the processes that come and go. People look at the runs and do what is asked."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.connection = open_throwaway()
        self.mailbox = Mailbox()
        self.clock = ManualClock()
        self.word_left = False
        self.asked = 0
        """How often somebody had to say whether a write had happened."""

    def process(self, fuse: Fuse) -> None:
        """A new process with its own memory. When its fuse blows, it is gone, and so is what it had not committed."""
        journal._HELD.clear()
        fused = FusedConnection(self.connection, fuse)
        self.journal = Journal(fused, self.clock.now)  # type: ignore[arg-type]
        flows = {each.name: each for each in self.scenario.flows}

        def child(state: saga.State, name: str, input: JSON, parent: Mapping[str, str], run: str) -> saga.Record:
            return self.first(flows[name], run, input, parent)

        def answer(name: str, args: JSON, environment: hosts.HostEnvironment) -> HostReply:
            return fuse.around(self.mailbox.answer, name)(name, args, environment)

        library = Library(lambda state: flows[state.workflow], capability, child)
        catalog = {
            **hosts.CATALOG,
            "mail.send": declared("mail.send", idempotent=True),
            "mail.blind": declared("mail.blind", idempotent=False),
        }
        self.engine = Engine(self.journal, library, Scripts(), self.clock, catalog=catalog, answer=answer, threads=1)

    def died(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def first(self, flow: Workflow, run: str, input: JSON, parent: Mapping[str, str] | None = None) -> saga.Record:
        pins = {name: name for name in SCRIPTS}
        return saga.start_record(flow, "d" * 64, pins, input, run, self.clock.now(), parent=parent)

    def tell(self, run: str, message: Callable[[Workflow, saga.State], saga.Record]) -> None:
        self.engine.drive(run, message=message)

    def carry_on(self) -> None:
        """What people do who know nothing of what happened: look, and do what is to be done, until all have ended."""
        try:
            self.journal.entries("r1")
        except NotFound:
            self.journal.start("r1", self.first(self.scenario.flows[0], "r1", {}))
        for _ in range(100):
            states = [saga.fold(self.journal.entries(run)) for run in self.runs()]
            if any(self.scenario.people(self, state) for state in states):
                continue
            if all(state.status in FINAL_STATUSES for state in states):
                return
            for run in self.journal.due():
                self.engine.drive(run)
            states = [saga.fold(self.journal.entries(run)) for run in self.runs()]
            if not any(self.scenario.people(self, state) or self.serve(state) for state in states):
                self.let_time_pass(states)
        raise AssertionError(f"it does not end: {[state.status for state in states]}")

    def leave_word(self, state: saga.State, kind: str, said: JSON) -> bool:
        """Once, while the run sleeps; who left word does not do it again, whatever becomes of the process."""
        self.word_left = self.word_left or bool(self.journal.messages(state.run))
        if state.status == "sleeping" and not self.word_left:
            self.journal.send(state.run, kind, said)
        return False

    def runs(self) -> list[str]:
        return [row[0] for row in self.connection.execute("SELECT id FROM runs ORDER BY started_at, id = 'r1' DESC")]

    def serve(self, state: saga.State) -> bool:
        """Give the answer that a run waits for."""
        if state.status in FINAL_STATUSES:
            return False
        if state.unknowns():
            self.asked += 1
            track = state.unknowns()[0]
            assert track.unknown is not None
            happened = f"{state.run}/{track.path}/{track.unknown.index}" in self.mailbox.keys
            self.tell(state.run, lambda _, now: saga.resolve_effect(now, happened=happened, result={}, by="ann"))
            return True
        if state.waits("approval"):
            more = {"by": "ann", "comment": "", "at": self.clock.now()}
            self.tell(state.run, lambda flow, now: saga.decide_approval(flow, now, "approved", **more))  # type: ignore[arg-type]
            return True
        if state.waits("callback"):
            self.tell(state.run, lambda flow, now: saga.receive_callback(flow, now, {"n": 1}, at=self.clock.now()))
            return True
        return False

    def let_time_pass(self, states: list[saga.State]) -> None:
        due = [each for each in (state.due_at() for state in states) if each is not None]
        if due:
            self.clock.advance(max(0.0, min(due) - self.clock.now()))

    def told(self) -> dict[str, Any]:
        """What is left: how the runs ended, what the world was told, and the journal, place by place."""
        runs = [self.journal.entries(run) for run in self.runs()]
        row = self.connection.execute("SELECT value, version FROM store WHERE key = 'log'").fetchone()
        ends = []
        for entries in runs:
            state = saga.fold(entries)
            ends.append((state.workflow, state.status, state.output, (state.error or {}).get("code"), state.undone))
        sent = sorted(self.mailbox.sent) if self.scenario.side_by_side else self.mailbox.sent
        return {
            "ends": ends,
            "sent": list(sent),
            "document": None if row is None else tuple(row),
            "places": [places(entries) for entries in runs],
            "messages": self.connection.execute("SELECT count(*) FROM messages").fetchone()[0],
        }


def places(entries: Sequence[Entry]) -> dict[str, list[tuple[str, int]]]:
    """Node path -> what happened there; without what a crash may add: questions about a write, and its repetition."""
    found: dict[str, list[tuple[str, int]]] = {}
    for entry in entries:
        if entry.kind in ("effect_unknown", "effect_resolved"):
            continue
        told = (entry.kind, entry.attempt)
        place = found.setdefault(entry.node, [])
        if entry.kind == "call_started" or (entry.kind == "call_finished" and "mail.blind" in entry.data["function"]):
            continue  # a person has said so instead
        place.append(told)
    return {path: each for path, each in found.items() if each}


def calm(scenario: Scenario) -> tuple[dict[str, Any], Fuse]:
    office, fuse = Office(scenario), Fuse()
    office.process(fuse)
    office.carry_on()
    return office.told(), fuse


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_commit_or_effect_is_not_to_be_seen_in_the_end(name: str) -> None:
    scenario = SCENARIOS[name]
    expected, fuse = calm(scenario)
    assert {touch.split()[1] for touch in fuse.touched} <= {
        "commit",
        "mail.send",
        "mail.blind",
        "store.get",
        "store.put",
    }
    state = expected["ends"][0]
    assert (state[1], state[3]) == (scenario.status, scenario.error)
    if scenario.undone:
        assert tuple(state[4]) == scenario.undone, "newest first"
    sent = [each for part in scenario.sent for each in ([part] if isinstance(part, str) else sorted(part))]
    assert expected["sent"] == sent
    assert (expected["document"] or ('{"said":[]}',))[0] == f'{{"said":{scenario.said!r}}}'.replace("'", '"').replace(
        ", ", ","
    )
    asked, at = 0, 0
    while True:
        at += 1
        office, fuse = Office(scenario), Fuse(at)
        office.process(fuse)
        try:
            office.carry_on()
            break
        except Blown:
            office.died()
        office.process(Fuse())
        office.carry_on()
        told = office.told()
        where = f"touch {at}: {fuse.touched[at - 1]}"
        assert told == expected, where
        asked += office.asked
    assert at > 10
    blind = any(node.capability == "blind" for flow in scenario.flows for node in flow.nodes if node.kind == "task")
    assert bool(asked) is blind, "asked where nobody can know, and nowhere else"
    print(f"{at - 1} crashes, {asked} questions")


def test_the_scenarios_cover_every_kind_of_node_and_nearly_every_kind_of_entry() -> None:
    kinds, entries = set(), set()
    for scenario in SCENARIOS.values():
        kinds |= {node.kind for flow in scenario.flows for node in flow.nodes}
        office = Office(scenario)
        office.process(Fuse())
        office.carry_on()
        entries |= {entry.kind for run in office.runs() for entry in office.journal.entries(run)}
    assert kinds == set(NODE_KINDS)
    # A crash makes the first two; a fork is no part of a run's own story; the last is a time that passes like a sleep.
    assert saga.ENTRY_KINDS - entries == {"effect_unknown", "effect_resolved", "run_forked", "taken_over", "timed_out"}


# ---------------------------------------------------------------- any workflow, on the real engine


class Fated:
    """Stands in for the sandbox: every attempt does what its fate says, whoever executes it and however often."""

    def __init__(self, fate: Fate) -> None:
        self.fate = fate
        self.undo_arguments: dict[str, dict[str, list[JSON]]] = {}

    def run(
        self,
        source: str,
        input: JSON,
        *,
        name: str = "",
        context: Mapping[str, JSON] | None = None,
        functions: Collection[str] = (),
        limits: Any = None,
        host: Any = None,
        results: Sequence[HostReply] = (),
        on_recorded: Any = None,
        seed: int = 0,
    ) -> Outcome:
        assert context is not None
        run, path, attempt = context["run_id"], context["node"], context["attempt"]
        fate = self.fate.attempt(run, path, attempt)
        undoes = path.endswith(saga.UNDO)
        if undoes:
            arguments = self.undo_arguments.setdefault(run, {}).setdefault(path.removesuffix(saga.UNDO), [])
            arguments.append(input)
        for index, nature in enumerate(fate.calls):
            asked = (NATURES[nature], {"namespace": "t", "key": "k"} if nature == "read" else {"text": nature})
            if index < len(results):
                on_recorded(index, *asked)
            elif index >= limits.host_calls:
                return Outcome(status="host_calls", code="host_calls", host_calls=index)
            else:
                host(*asked)
        spent = {"fuel": fate.fuel, "host_calls": len(fate.calls)}
        if fate.fuel > limits.fuel:
            return Outcome(status="fuel", code="fuel", fuel=limits.fuel, host_calls=len(fate.calls))
        if fate.end == "ok":
            return Outcome(status="ok", output={} if undoes else result_of(run, path, input), **spent)
        return Outcome(status="fail", code=fate.end, message="", retryable=fate.end == "busy", **spent)


NATURES = {"read": "store.get", "write": "mail.send", "blind": "mail.blind", "refused": "mail.refused"}


class Fates(Office):
    """Runs one random program on the real engine, with processes that die and people who answer this way or that."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.program = Writer(rng, rng.randrange(2, 14)).program()
        self.programs: dict[str, Program] = {}
        pending = [self.program]
        while pending:
            program = pending.pop()
            self.programs[program.name] = program
            pending.extend(program.children.values())
        super().__init__(Scenario([compiled(each) for each in self.programs.values()], "", []))
        self.rng, self.fate = rng, Fate(seed, rng.choice([0, 0.05, 0.2]), 0.4)
        self.fated = Fated(self.fate)
        self.made: dict[str, dict[tuple[str, int, int], int]] = {}
        self.happened: set[tuple[str, str, int, int]] = set()
        self.sent: dict[str, dict[str, list[JSON]]] = {}

    def process(self, fuse: Fuse) -> None:
        super().process(fuse)
        answer, self.engine.sandbox = self.engine.answer, self.fated
        refused = declared("mail.refused", idempotent=False)
        self.engine.catalog = {**self.engine.catalog, "mail.refused": refused}
        self.engine.library = replace(self.engine.library, capability=lambda digest: ANYTHING)

        def logged(name: str, args: JSON, environment: hosts.HostEnvironment) -> HostReply:
            fuse.touch(f"before {name}")
            run, rest = environment.seed.split("/", 1)
            path, attempt, call = rest.rsplit("/", 2)
            place = (path, int(attempt), int(call))
            made = self.made.setdefault(run, {})
            made[place] = made.get(place, 0) + 1
            if name == "mail.refused":
                return HostReply(error=HostError(code="no", message="no"))
            self.happened.add((run, *place))
            return answer(name, args, environment)

        self.engine.answer = logged

    def first(self, flow: Workflow, run: str, input: JSON, parent: Mapping[str, str] | None = None) -> saga.Record:
        pins = {f"{kind}.{node.id}": "any" for node in flow.nodes for kind in ("do", "undo")}
        return saga.start_record(flow, "d" * 64, pins, input or {"c": 1}, run, self.clock.now(), parent=parent)

    def serve(self, state: saga.State) -> bool:
        if state.status in FINAL_STATUSES:
            return False
        if state.unknowns():
            track = state.unknowns()[0]
            assert track.unknown is not None
            happened = (state.run, track.path, track.attempt, track.unknown.index) in self.happened
            self.tell(state.run, lambda _, now: saga.resolve_effect(now, happened=happened, result={}, by="ann"))
            return True
        if self.rng.random() < 0.1:
            compensate = self.rng.random() < 0.7
            with suppress(Conflict):
                self.tell(state.run, lambda _, now: saga.cancel(now, by="ann", compensate=compensate))
                return True
        asked = state.waits("approval") + state.waits("callback")
        if not asked or self.rng.random() < 0.2:
            return False
        track = self.rng.choice(asked)
        assert track.at is not None
        at, node = self.clock.now(), track.path
        with suppress(Conflict):
            if track.waiting is not None and track.waiting.kind == "approval":
                word = self.rng.choice(["approved", "rejected"])
                more = {"by": "ann", "comment": "", "at": at, "node": node}
                self.tell(state.run, lambda flow, now: saga.decide_approval(flow, now, word, **more))  # type: ignore[arg-type]
            else:
                payload = {"v": self.rng.randrange(10)}
                self.sent.setdefault(state.run, {}).setdefault(track.at, []).append(payload)
                self.tell(state.run, lambda flow, now: saga.receive_callback(flow, now, payload, at=at, node=node))
            return True
        return False

    def let_time_pass(self, states: list[saga.State]) -> None:
        now = self.clock.now()
        due = [each for state in states if (each := state.due_at()) is not None]
        # A caller that waits for the undoing of what it called is due all the time.
        near = [each for each in due if now < each < now + 86_400]
        if near:
            self.clock.advance(min(near) - now)

    def left(self) -> dict[str, Left]:
        found = {}
        for run in self.runs():
            entries = self.journal.entries(run)
            effects: dict[tuple[str, int], list[tuple[int, int, str]]] = {}
            for (path, attempt, call), times in sorted(self.made.get(run, {}).items()):
                nature = self.fate.attempt(run, path, attempt).calls[call]
                effects.setdefault((path, attempt), []).append((call, times, nature))
            program, input = self.programs[entries[0].data["workflow"]], entries[0].data["input"]
            undone = self.fated.undo_arguments.get(run, {})
            found[run] = Left(run, program, input, entries, effects, self.sent.get(run, {}), undone)
        return found


ANYTHING = Capability(
    contract=Contract(
        name="do.anything",
        intent="to be tried",
        input=ANY,
        output=ANY,
        grants={name: {"namespaces": ["t"]} if name == "store.get" else {} for name in NATURES.values()},
    ),
    source="",
)


def test_random_workflows_on_the_real_engine_do_what_the_plain_model_says() -> None:
    number = int(os.environ.get("RITESMITH_SIM_RUNS") or 150)
    start = drawn_seed()
    deaths = 0
    for seed in range(start, start + number):
        office = Fates(seed)
        try:
            while True:
                office.process(Fuse(office.rng.randrange(3, 60) if office.rng.random() < 0.8 else None))
                try:
                    office.carry_on()
                    break
                except Blown:
                    deaths += 1
                    office.died()
            Model(office.fate, office.left()).check()
        except BaseException:
            print(f"seed {seed}")
            raise
    print(f"{deaths} deaths")
    assert deaths


def test_a_month_of_sleeps_and_retries_passes_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def waited(seconds: float) -> None:
        raise AssertionError(f"somebody waits {seconds} seconds")

    monkeypatch.setattr(time, "sleep", waited)
    day = 86_400
    naps = [
        {"id": f"nap{number}", "kind": "sleep", "seconds": day, "next": f"nap{number + 1}" if number < 30 else "a"}
        for number in range(1, 31)
    ]
    office = Office(Scenario([workflow(*naps, task("a", "flaky", None, retry=RETRY))], "succeeded", []))
    office.process(Fuse())
    began = office.clock.now()
    office.carry_on()
    assert saga.fold(office.journal.entries("r1")).status == "succeeded"
    assert office.clock.now() - began > 32 * day
    assert len(office.journal.entries("r1")) == 71
