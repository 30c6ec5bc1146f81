"""What people do with runs: fork, replay, answer by token, serve; and what they are told when that cannot be."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import child, start, until
from test_branches import (  # the fixtures and words of workflows made of small scripts
    app,
    capability,
    clock,
    each,
    join,
    note,
    said,
    sleep,
    split,
    task,
    template,
    workflow,
)

from ritesmith import engine, journal, saga
from ritesmith.app import RiteSmith
from ritesmith.errors import Conflict, InvalidInput, JournalMismatch, NotFound, StoreError
from ritesmith.json_text import canonical
from ritesmith.models import Entry
from ritesmith.testing import ManualClock

__all__ = ["app", "clock", "template"]


OF_THE_RUN = "run = (SELECT number FROM runs WHERE id = ?)"


def steps(view: Any) -> list[str]:
    return [step.path for step in view.steps]


# ---------------------------------------------------------------- fork


def broken(app: RiteSmith, code: str = "broken") -> str:
    """A workflow whose second step always fails."""
    return workflow(app, note("a", "b", "a"), task("b", "do.fail", None, given={"code": code}))


def test_a_fork_takes_over_the_first_steps_and_follows_the_newest_version(app: RiteSmith, clock: ManualClock) -> None:
    undone = app.run(broken(app), {})
    with pytest.raises(Conflict, match="before 'b' is undone: a"):
        app.fork(undone.run, "b")
    with pytest.raises(NotFound, match="never came to 'a~undo'"):
        app.fork(undone.run, "a~undo")
    run = app.start("test.flow", {})
    app.drive(run)
    flow = workflow(app, task("a", "do.double", "b", given={"n": 2}), task("b", "do.fail", None))
    failed = app.run(flow, {"x": 1})
    assert failed.status == "failed"
    workflow(app, task("a", "do.fail", "b"), task("b", "do.double", "c", given={"n": {"var": "nodes.a.output.n"}}),
             sleep("c", 5, None), limits={"deadline_seconds": 50})  # fmt: skip
    clock.advance(1000)
    fork = app.fork(failed.run, "b")
    assert (fork.status, fork.forked_from, fork.input) == ("sleeping", failed.run, {"x": 1})
    assert [(step.path, step.status) for step in fork.steps] == [
        ("a", "succeeded"), ("b", "succeeded"), ("c", "sleeping"),
    ]  # fmt: skip
    state = saga.fold(app.journal.entries(fork.run))
    assert state.deadline_at == clock.now() + 50, "it has a deadline of its own"
    begun = [entry for entry in app.journal.entries(fork.run) if entry.kind == "run_forked"]
    assert saga.fold(app.journal.entries(fork.run)[: begun[0].seq]).due_at() == clock.now()
    assert state.trunk.waiting is not None
    assert state.trunk.waiting.until == clock.now() + 5
    assert app.replay(fork.run).same
    clock.advance(5)
    assert app.drive(fork.run).status == "succeeded"
    assert app.view(failed.run) == failed, "the run stays as it was"


def test_a_fork_of_a_fork_is_one_too(app: RiteSmith) -> None:
    numbers = [task(f"n{n}", "do.double", f"n{n + 1}" if n < 3 else None, given={"n": n}) for n in range(4)]
    run = app.run(workflow(app, *numbers), {}).run
    first = app.fork(run, "n2")
    second = app.fork(first.run, "n3")
    third = app.fork(second.run, "n1")
    for view, origin in ((first, run), (second, first.run), (third, second.run)):
        assert (view.status, view.output, view.forked_from) == ("succeeded", {"n": 6}, origin)
        assert app.replay(view.run).same


def test_a_fork_that_fails_undoes_what_it_took_over_of_a_run_that_failed(app: RiteSmith, clock: ManualClock) -> None:
    run = app.start(workflow(app, note("a", "nap", "b"), sleep("nap", 100, "b"), task("b", "do.gate", None)), {})
    app.drive(run)
    app.cancel(run, compensate=False)
    fork = app.fork(run, "nap")
    assert fork.status == "sleeping"
    clock.advance(100)
    fork = app.drive(fork.run)
    assert (fork.status, fork.undone) == ("compensated", ("a",))
    assert said(app) == ["b", "not b"]


def test_what_one_fork_may_undo_no_other_one_may(app: RiteSmith) -> None:
    run = app.start(workflow(app, note("a", "nap", "a"), sleep("nap", 100, "b"), task("b", "do.gate", None)), {})
    app.drive(run)
    app.cancel(run, compensate=False)
    first = app.fork(run, "nap")
    assert app.view(run).taken_over_by == first.run
    for again in (lambda: app.fork(run, "nap"), lambda: app.retry(run), lambda: app.compensate(run)):
        with pytest.raises(Conflict, match=f"was taken over by run '{first.run}'"):
            again()
    app.cancel(first.run, compensate=False)
    second = app.fork(first.run, "nap")
    assert app.cancel(second.run).status == "cancelled"
    assert said(app) == ["a", "not a"]
    assert app.replay(run).same


def test_a_fork_that_fails_leaves_alone_what_a_run_that_succeeded_did(app: RiteSmith) -> None:
    run = app.run(workflow(app, note("a", "b", "a"), note("b", None, "b")), {}).run
    workflow(app, note("a", "b", "a"), note("b", "c", "c"), task("c", "do.fail", None))
    fork = app.fork(run, "b")
    assert (fork.status, fork.undone) == ("compensated", ("b",))
    assert said(app) == ["a", "b", "c", "not c"]


def test_a_fork_keeps_the_version_that_is_asked_for(app: RiteSmith) -> None:
    first = workflow(app, task("a", "do.double", "b", given={"n": 1}), task("b", "do.double", None, given={"n": 1}))
    run = app.run(first, {}).run
    workflow(app, task("a", "do.double", "c", given={"n": 1}), task("c", "do.double", None, given={"n": 1}))
    with pytest.raises(Conflict, match=r"'b' of run '\w+' is not in the version of 'test.flow'"):
        app.fork(run, "b")
    assert app.fork(run, "b", workflow=first).output == {"n": 2}


def test_what_cannot_be_forked_is_refused_and_nothing_is_made(app: RiteSmith) -> None:
    flow = workflow(
        app,
        task("a", "do.double", "fan", given={"n": 1}),
        split("x", "y"),
        task("x", "do.double", "together", given={"n": 1}),
        task("y", "do.double", "together", given={"n": 1}),
        join("last"),
        task("last", "do.double", None, given={"n": 4}),
        input={"type": "object", "properties": {"n": {"type": "integer"}}},
    )
    run = app.run(flow, {"n": 1}).run
    asleep = app.start(workflow(app, sleep("nap", 10, None), name="test.nap"), {})
    app.drive(asleep)
    before = len(app.runs())
    for node, error, words in (
        ("nothing", NotFound, "never came to 'nothing'"),
        ("", NotFound, "never came to ''"),
        ("fan/b_x/x", Conflict, "stands within branches"),
        ("together", Conflict, "stands within branches"),
    ):
        with pytest.raises(error, match=words):
            app.fork(run, node)
    with pytest.raises(Conflict, match="has not ended; it is sleeping"):
        app.fork(asleep, "nap")
    with pytest.raises(NotFound, match="there is no run"):
        app.fork("r0", "a")
    assert len(app.runs()) == before
    assert app.fork(run, "fan").output == app.fork(run, "last").output == {"n": 8}


# ---------------------------------------------------------------- replay


def everything(app: RiteSmith, clock: ManualClock) -> str:
    """A run that has come past every kind of node, a retry, a wake, an approval, a callback and a compensation."""
    capability(app, "do.wild", "return { n = math.random(1000), at = context.now, key = context.idempotency_key }")
    inner = workflow(app, note("deep", None, "deep"), name="test.inner")
    assert inner == "test.inner@1"
    run = app.start(
        workflow(
            app,
            {"id": "begin", "kind": "switch", "cases": [{"when": {"<": [1, 2]}, "target": "wild"}], "default": "wild"},
            task("wild", "do.wild", "flaky"),
            task("flaky", "do.flaky", "nap", retry={"max_attempts": 4, "initial_seconds": 10}),
            sleep("nap", 1e6, "ask"),
            {"id": "ask", "kind": "approval", "prompt": "?", "next": "hear"},
            {"id": "hear", "kind": "wait", "next": "each"},
            each("pair", concurrency=1),
            note("pair", "nested", {"cat": [{"var": "item"}]}),
            task("nested", "do.double", "together", given={"n": 2}),
            join("call"),
            {"id": "call", "kind": "call", "workflow": "test.inner", "with": {}, "next": "fan"},
            {**split("x", "y", join="met"), "id": "fan"},
            task("x", "do.half", "met", given={"say": "half"}, on_error=[{"code": "half", "target": "met"}]),
            task("y", "do.double", "met", given={"n": 3}),
            {"id": "met", "kind": "join", "policy": "settled", "next": "bad"},
            task("bad", "do.fail", None),
        ),
        {"items": ["p", "q", "r"]},
    )
    app.drive(run, wait_seconds=1000)
    app.wake(run, by="ann")
    app.answer(run, "approved", by="ann")
    app.deliver(run, {"heard": True})
    return run


def test_a_replay_makes_every_decision_and_every_script_again(app: RiteSmith, clock: ManualClock) -> None:
    run = everything(app, clock)
    view = app.view(run)
    assert view.status == "compensated", view.error
    before = app.connection.total_changes
    replay = app.replay(run)
    assert replay.differences == ()
    kinds = [entry.kind for entry in app.journal.entries(run)]
    made = ("step_succeeded", "attempt_failed", "step_failed", "compensation_succeeded")
    assert replay.scripts == sum(kind in made for kind in kinds) - sum(
        entry.kind == "compensation_succeeded" and entry.node == "call~undo" for entry in app.journal.entries(run)
    )
    assert replay.fuel == sum(entry.data.get("fuel", 0) for entry in app.journal.entries(run)) > 1000
    assert app.connection.total_changes == before, "nothing is written"
    for row in app.runs():
        assert app.replay(row["id"]).same


def test_a_step_that_was_drained_when_another_branch_failed_is_replayed_too(app: RiteSmith) -> None:
    names = "abcdefgh"
    steps = (note(name, "together", name) for name in names[1:])
    flow = workflow(app, split(*names), task("a", "do.fail", "together"), *steps, join())
    for _ in range(5):
        run = app.run(flow, {}).run
        assert app.view(run).status in ("failed", "compensated")
        assert app.replay(run).differences == ()


def test_a_call_whose_input_was_refused_is_replayed_too(app: RiteSmith) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    workflow(app, task("x", "do.double", None, given={"n": 1}), name="test.child", input=schema)
    given = {"n": {"var": "input.n"}}
    call = {"id": "ask", "kind": "call", "workflow": "test.child", "with": given, "next": None}
    for handlers in ([], [{"code": "bad_input", "target": "over"}]):
        run = app.run(workflow(app, call | {"on_error": handlers}, sleep("over", 0, None)), {"n": "four"}).run
        assert app.replay(run).same


def rewritten(app: RiteSmith, run: str, change: Any) -> None:
    """The journal as somebody would write it who also mends the hashes, who is found out by the replay only."""
    previous = ""
    for entry in app.journal.entries(run):
        data = json.loads(json.dumps(entry.data))
        change(entry, data)
        again, _ = journal._entry(
            run, entry.seq, entry.at, saga.Record(entry.kind, entry.node, entry.attempt, data), previous
        )
        app.connection.execute(
            f"UPDATE entries SET data = ?, hash = ? WHERE {OF_THE_RUN} AND seq = ?",
            (canonical(data), bytes.fromhex(again.hash), run, entry.seq),
        )
        previous = again.hash


CHANGES: dict[str, Any] = {
    "output": ("wild", lambda data: data["output"].update(n=-1)),
    "fuel": ("wild", lambda data: data.update(fuel=data["fuel"] + 1)),
    "host_calls": ("each/1/pair", lambda data: data.update(host_calls=9)),
    "error": ("fan/b_x/x", lambda data: data["error"].update(message="it broke otherwise")),
    "entry": ("begin", lambda data: data.update(case="default")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_replay_names_what_comes_out_otherwise(app: RiteSmith, clock: ManualClock, what: str) -> None:
    run = everything(app, clock)
    node, edit = CHANGES[what]

    def change(entry: Entry, data: dict[str, Any]) -> None:
        if entry.node == node and entry.kind in ("step_succeeded", "step_failed", "switched"):
            edit(data)

    rewritten(app, run, change)
    found = app.replay(run).differences
    assert [(each.node, each.what) for each in found] == [(node, what)]


def test_a_replay_names_a_host_call_that_was_another(app: RiteSmith, clock: ManualClock) -> None:
    run = everything(app, clock)

    def change(entry: Entry, data: dict[str, Any]) -> None:
        if entry.kind == "call_finished" and entry.node == "each/2/pair" and data["index"] == 1:
            data["args_digest"] = "0" * 64

    rewritten(app, run, change)
    [found] = app.replay(run).differences
    assert (found.node, found.what) == ("each/2/pair", "call")
    assert found.recorded == {"index": 1, "function": "store.put"}


def test_a_replay_names_another_lua(app: RiteSmith) -> None:
    run = app.run(workflow(app, task("a", "do.double", None, given={"n": 1})), {}).run
    rewritten(app, run, lambda entry, data: data.update(lua_version="Lua 5.4.2") if entry.seq == 1 else None)
    [found] = app.replay(run).differences
    assert (found.seq, found.what, found.recorded) == (1, "lua_version", "Lua 5.4.2")


def test_an_edited_journal_and_an_edited_artifact_are_named(app: RiteSmith) -> None:
    run = app.run(workflow(app, task("a", "do.double", None, given={"n": 1})), {}).run
    app.connection.execute("UPDATE artifacts SET text = text || ' ' WHERE name = 'do.double'")
    app._capabilities.clear()
    with pytest.raises(StoreError, match=r"'do\.double@1' is not what was published"):
        app.replay(run)
    app.connection.execute(f"UPDATE entries SET data = '{{}}' WHERE {OF_THE_RUN} AND seq = 2", (run,))
    with pytest.raises(JournalMismatch, match=f"the journal of run '{run}' was edited: entry 2"):
        app.replay(run)


def test_a_run_that_is_under_way_can_be_replayed_so_far(app: RiteSmith) -> None:
    run = app.start(workflow(app, task("a", "do.double", "nap", given={"n": 1}), sleep("nap", 9, None)), {})
    assert app.replay(run).same
    app.drive(run)
    assert (app.replay(run).scripts, app.replay(run).same) == (1, True)


# ---------------------------------------------------------------- callbacks by token


def listening(app: RiteSmith, *before: dict[str, Any]) -> str:
    hear = {"id": "hear", "kind": "wait", "schema": {"type": "object", "required": ["n"]}, "next": None}
    run = app.start(workflow(app, *before, hear), {})
    app.drive(run)
    return run


def test_whoever_has_a_token_may_answer_once(app: RiteSmith) -> None:
    run = listening(app)
    token = app.callback_token(run)
    with pytest.raises(InvalidInput, match="payload"):
        app.deliver_by_token(token, {"m": 1})
    assert app.deliver_by_token(token, {"n": 1}).output == {"n": 1}
    for again in (token, app.callback_token(run)):
        with pytest.raises(Conflict, match="has come already"):
            app.deliver_by_token(again, {"n": 2})


def test_a_token_that_was_used_is_of_no_use_when_the_wait_is_tried_again(app: RiteSmith) -> None:
    small = {"<": [{"var": "nodes.hear.output.n"}, 5]}
    run = app.start(workflow(app, {"id": "hear", "kind": "wait", "success_when": small, "next": None}), {})
    app.drive(run)
    token = app.callback_token(run)
    assert app.deliver_by_token(token, {"n": 9}).status == "failed"
    assert app.retry(run).status == "waiting"
    with pytest.raises(Conflict, match="has come already"):
        app.deliver_by_token(token, {"n": 1})
    assert app.deliver_by_token(app.callback_token(run), {"n": 1}).status == "succeeded"


def test_a_token_may_be_used_before_the_run_waits(app: RiteSmith, clock: ManualClock) -> None:
    run = listening(app, sleep("nap", 100, "hear"))
    token = app.callback_token(run, seconds=60)
    assert app.deliver_by_token(token, {"n": 1}).status == "sleeping"
    with pytest.raises(Conflict, match="has come already"):
        app.deliver_by_token(token, {"n": 1})
    clock.advance(100)
    assert app.drive(run).output == {"n": 1}


def test_a_token_is_for_one_run_one_node_and_some_time(app: RiteSmith, clock: ManualClock) -> None:
    run = listening(app)
    token = app.callback_token(run, seconds=60)
    said, mac = token.split(".")
    other = app.callback_token(listening(app), seconds=60)
    wrong = ["", ".", "x", said, f"{other.split('.')[0]}.{mac}", f"{said}.{other.split('.')[1]}", token + "A", "é.é"]
    for each_ in [*wrong, token[:-4] + "AAAA"]:
        with pytest.raises(InvalidInput, match="not one that this registry gave"):
            app.deliver_by_token(each_, {"n": 1})
    clock.advance(60)
    with pytest.raises(Conflict, match="has expired"):
        app.deliver_by_token(token, {"n": 1})
    with pytest.raises(InvalidInput, match="'haer' is no wait node"):
        app.callback_token(run, node="haer")
    nothing = app.run(workflow(app, task("a", "do.double", None, given={"n": 1}), name="test.none"), {}).run
    with pytest.raises(InvalidInput, match="has no wait node"):
        app.callback_token(nothing)


# ---------------------------------------------------------------- what is said to a run that another process drives


def pausing(*nodes: dict[str, Any]) -> str:
    nodes = (*nodes, {"id": "done", "kind": "end", "outcome": "on"})
    return json.dumps({"name": "test.pause", "intent": "pause", "start": nodes[0]["id"], "nodes": nodes})


ASK = {"id": "ask", "kind": "approval", "prompt": "?", "deadline_seconds": 50, "next": "done"}
HEAR = {"id": "hear", "kind": "wait", "deadline_seconds": 50, "next": "done"}


@pytest.mark.parametrize(
    ("nodes", "words", "status"),
    [
        ([ASK], ["approve"], "succeeded"),
        ([ASK], ["reject"], "failed"),
        ([HEAR], ["deliver", "--payload", "{}"], "succeeded"),
        ([sleep("nap", 50, "done")], ["wake"], "succeeded"),
        ([sleep("nap", 50, "done")], ["cancel"], "cancelled"),
    ],
    ids=["approve", "reject", "deliver", "wake", "cancel"],
)
def test_what_is_said_reaches_a_run_that_another_process_drives(
    place: Path, nodes: list[dict[str, Any]], words: list[str], status: str
) -> None:
    (place / "pause.json").write_text(pausing(*nodes))
    driver = start("run", "pause.json", "--wait", "60", "--json", folder=place)

    def resting() -> list[dict[str, Any]]:
        rows = child("runs", "--json", folder=place).json["runs"]
        return [row for row in rows if row["status"] in ("sleeping", "waiting") and row["owner"]]

    until(resting, driver)
    run = resting()[0]["id"]
    said = child(words[0], run, *words[1:], "--json", folder=place)
    assert said.json["status"] == status
    out, err = driver.communicate(timeout=30)
    assert json.loads(out)["status"] == status, err
    again = child(words[0], run, *words[1:], "--json", folder=place)
    assert again.code == 4


# ---------------------------------------------------------------- serving


def test_serving_takes_up_what_comes_and_gives_back_what_rests(app: RiteSmith, clock: ManualClock) -> None:
    flow = workflow(app, task("a", "do.double", "nap", given={"n": 1}), sleep("nap", 30, "ask"),
                    {"id": "ask", "kind": "approval", "prompt": "?", "next": None})  # fmt: skip
    first = app.start(flow, {})
    rested: list[tuple[str, str]] = []
    later: list[str] = []

    def on_rest(run: str, came_to: Any) -> None:
        rested.append((run, came_to.status))
        held = [row["owner"] for row in app.runs() if row["id"] == run]
        assert held == [None], "a run that has nothing to do is free for others"
        if not later:
            later.append(app.start(flow, {}))

    app.serve(stopped=lambda: clock.now() > 1_800_000_100, poll_seconds=5.0, on_rest=on_rest)
    assert rested == [(first, "sleeping"), (later[0], "sleeping"), (first, "waiting"), (later[0], "waiting")]


def test_serving_takes_no_more_while_the_runs_that_were_called_fill_its_hands(
    app: RiteSmith, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RUNS_AT_ONCE", 2)
    workflow(app, sleep("nap", 0.9, "again"), sleep("again", 0.9, None), name="test.child")
    flow = workflow(app, {"id": "ask", "kind": "call", "workflow": "test.child", "next": None})
    for _ in range(6):
        app.start(flow, {})
    held: list[int] = []

    def stopped() -> bool:
        held.append(len([row for row in app.runs(workflow="test.flow") if row["owner"]]))
        ended = len(app.runs(status="succeeded"))
        return ended == 12 or clock.now() > 1_800_000_100

    app.serve(stopped=stopped, poll_seconds=1.0)
    assert (len(app.runs(status="succeeded")), max(held)) == (12, 2)


def test_serving_tells_once_of_a_run_that_cannot_go_on(app: RiteSmith, clock: ManualClock) -> None:
    flow = workflow(app, task("a", "do.double", None, given={"n": 1}))
    bad, good = app.start(flow, {}), app.start(flow, {})
    app.connection.execute(f"UPDATE entries SET data = '{{}}' WHERE {OF_THE_RUN}", (bad,))
    rested: dict[str, Any] = {}
    app.serve(stopped=lambda: clock.now() > 1_800_000_010, on_rest=lambda run, came_to: rested.update({run: came_to}))
    assert isinstance(rested[bad], JournalMismatch)
    assert rested[good].status == "succeeded"


def test_a_worker_ends_cleanly_when_it_is_told_to(place: Path) -> None:
    worker = start("worker", "--poll", "0.05", "--json", folder=place)
    run = child("run", "orders.refund", "--input", "@order.json", "--detach", folder=place).run
    stop = child("run", "stats.average", "--input", '{"numbers": [1, 2, 6]}', "--detach", folder=place).run

    def status(run: str) -> str:
        with closing(sqlite3.connect(place / "registry.db")) as file:
            return str(file.execute("SELECT status FROM runs WHERE id = ?", (run,)).fetchone()[0])

    until(lambda: (status(run), status(stop)) == ("waiting", "succeeded"), worker)
    until(lambda: child("approve", run, "--json", folder=place).code == 0, worker)
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=30)
    assert worker.returncode == 0, err
    assert json.loads(out)["rested"] == {"waiting": 1, "succeeded": 1}
    assert status(run) == "succeeded"


def test_stuck_runs_are_listed_with_what_helps(app: RiteSmith, clock: ManualClock) -> None:
    interrupted = app.start(workflow(app, task("a", "do.double", None, given={"n": 1})), {})
    undo = {"capability": "do.fail", "with": {}}
    flow = workflow(app, task("a", "do.double", "b", given={"n": 1}, compensation=undo), task("b", "do.fail", None))
    failed = app.run(flow, {}).run
    asleep = app.start(workflow(app, sleep("nap", 100, None)), {})
    app.drive(asleep)
    waits = app.start(workflow(app, {"id": "ask", "kind": "approval", "prompt": "?", "next": None}), {})
    app.drive(waits)
    assert {row["id"]: row["command"] for row in app.runs(stuck=True)} == {
        interrupted: f"ritesmith resume {interrupted}",
        failed: f"ritesmith compensate {failed}",
    }
    clock.advance(100)
    assert asleep in [row["id"] for row in app.runs(stuck=True)]
    assert len(app.runs(stuck=True, limit=1)) == 1


# ---------------------------------------------------------------- the diagram


def test_the_diagram_shows_every_node_and_how_it_went(app: RiteSmith, clock: ManualClock) -> None:
    text = app.mermaid(everything(app, clock))
    lines = text.splitlines()
    assert lines[0] == "flowchart TD"
    assert '  n2["flaky<br/>do.flaky"]' in lines
    assert '  n0{"begin<br/>switch"}' in lines
    assert '  n12 -->|"half"| n14' in lines
    coloured = {line.split()[2]: line.split()[1].split(",") for line in lines if line.startswith("  class ")}
    assert "n7" in coloured["undone"], "the step `pair` was undone"
    assert sorted(coloured["failed"]) == ["n12", "n15"]


def test_a_text_that_means_something_to_mermaid_is_quoted(app: RiteSmith) -> None:
    odd = [{"code": '"]; click <b>', "target": "done"}]
    flow = workflow(app, task("a", "do.double", "done", given={"n": 1}, on_error=odd), {"id": "done", "kind": "end"})
    line = next(line for line in app.mermaid(app.run(flow, {}).run).splitlines() if "-->|" in line)
    assert line == '  n0 -->|"#34;]#59; click #60;b#62;"| n1'
