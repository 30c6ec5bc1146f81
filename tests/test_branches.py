"""Splits, maps and called runs: what runs side by side, in the pure interpreter and with real scripts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ritesmith.app import RiteSmith
from ritesmith.errors import Conflict, InvalidInput
from ritesmith.journal import Lease
from ritesmith.models import FINAL_STATUSES
from ritesmith.testing import ManualClock

LUA = """--[[ capability
{"name": "%(name)s", "intent": "%(name)s for a test",
 "input": {"type": "object", "additionalProperties": true},
 "output": {"type": "object", "additionalProperties": true},
 "grants": %(grants)s, "examples": []}
]]
function run(input, context)
  %(body)s
end
"""
DONE = " return json.object{}"
STORE = {"store.get": {"namespaces": ["t"]}, "store.put": {"namespaces": ["t"]}}
NOTE = """
  local log = store.get{ namespace = "t", key = "log" }
  local said = log.value and log.value.said or {}
  table.insert(said, input.say)
  store.put{ namespace = "t", key = "log", value = { said = said }, if_version = log.version }
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_800_000_000.0)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with the capabilities of these tests."""
    file = tmp_path_factory.mktemp("template") / "registry.db"
    with RiteSmith.open(str(file)) as app:
        capability(app, "do.double", "return { n = input.n * 2 }")
        capability(app, "do.fail", 'fail(input.code or "broken", "it broke")')
        busy = 'fail("busy", "busy", { retryable = true })'
        capability(app, "do.flaky", f"if context.attempt < 3 then {busy} end return json.object{{}}")
        capability(app, "do.note", NOTE + " return { said = input.say }", STORE)
        capability(app, "do.unnote", NOTE.replace("input.say", '"not " .. input.say') + DONE, STORE)
        capability(app, "do.half", NOTE + ' fail("half", "after a write")', STORE)
        gate = 'local gate = store.get{ namespace = "t", key = "gate" } if not gate.value then fail("shut", "shut") end'
        capability(app, "do.gate", gate + DONE, {"store.get": {"namespaces": ["t"]}})
        app.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


@pytest.fixture
def app(tmp_path: Path, template: Path, clock: ManualClock) -> Iterator[RiteSmith]:
    shutil.copy(template, tmp_path / "registry.db")
    with RiteSmith.open(str(tmp_path / "registry.db"), clock=clock) as app:
        yield app


def capability(app: RiteSmith, name: str, body: str, grants: Any = None) -> None:
    publish(app, "capability", name, LUA % {"name": name, "body": body, "grants": json.dumps(grants or {})})


def publish(app: RiteSmith, kind: str, name: str, text: str, **more: Any) -> Any:
    from ritesmith.models import Provenance

    effect = "write" if "store.put" in text else "pure"
    artifact, _ = app.registry.publish(
        kind=kind, name=name, intent=name, text=text, canonical=text, effect=effect, risk="low",
        provenance=Provenance(source="person", **more),
    )  # fmt: skip
    return artifact


def task(id: str, capability: str, next: str | None, **more: Any) -> dict[str, Any]:
    return {"id": id, "kind": "task", "capability": capability, "with": more.pop("given", {}), "next": next, **more}


def note(id: str, next: str | None, say: Any, **more: Any) -> dict[str, Any]:
    undo = {"capability": "do.unnote", "with": {"say": {"var": f"nodes.{id}.output.said"}}}
    return task(id, "do.note", next, given={"say": say}, compensation=undo, **more)


def workflow(app: RiteSmith, *nodes: dict[str, Any], name: str = "test.flow", **more: Any) -> str:
    text = json.dumps({"name": name, "intent": "a test", "start": nodes[0]["id"], "nodes": nodes, **more})
    pins = {}
    for node in nodes:
        for part in (node, node.get("compensation") or {}):
            for key in ("capability", "workflow"):
                if key in part:
                    pins[part[key]] = app.registry.get(part[key]).digest
    return publish(app, "workflow", name, text, pins=pins).ref


def split(*branches: str, join: str = "together") -> dict[str, Any]:
    return {
        "id": "fan",
        "kind": "split",
        "branches": [{"id": f"b_{each}", "start": each} for each in branches],
        "join": join,
    }


def join(next: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": "together", "kind": "join", "next": next, **more}


def each(start: str, over: Any = None, **more: Any) -> dict[str, Any]:
    over = {"var": "input.items"} if over is None else over
    return {"id": "each", "kind": "map", "over": over, "start": start, "join": "together", **more}


def sleep(id: str, seconds: float, next: str | None) -> dict[str, Any]:
    return {"id": id, "kind": "sleep", "seconds": seconds, "next": next}


def end(app: RiteSmith, run: str, clock: ManualClock) -> Any:
    """Carry a run on through all its sleeps."""
    for _ in range(1000):
        view = app.drive(run)
        if view.status in FINAL_STATUSES or view.status == "waiting":
            return view
        due = [app.connection.execute("SELECT min(due_at) FROM runs WHERE status = 'sleeping'").fetchone()[0]]
        clock.advance(max(0.0, due[0] - clock.now()))
    raise AssertionError("it does not end")


def said(app: RiteSmith) -> list[str]:
    row = app.connection.execute("SELECT value FROM store WHERE namespace = 't' AND key = 'log'").fetchone()
    return [] if row is None else json.loads(row["value"])["said"]


# ---------------------------------------------------------------- splits


def test_branches_run_and_their_results_stand_under_their_names(app: RiteSmith) -> None:
    flow = workflow(
        app,
        split("x", "y"),
        task("x", "do.double", "together", given={"n": {"var": "input.n"}}),
        task("y", "do.double", "y2", given={"n": 10}),
        task("y2", "do.double", "together", given={"n": {"var": "nodes.y.output.n"}}),
        join("after"),
        task("after", "do.double", None, given={"n": {"var": "nodes.together.output.b_y.n"}}),
    )
    view = app.run(flow, {"n": 1})
    assert (view.status, view.output) == ("succeeded", {"n": 80})
    paths = [step.path for step in view.steps]
    assert {"fan", "fan/b_x/x", "fan/b_y/y", "fan/b_y/y2", "together", "after"} <= set(paths)
    joined = next(step for step in view.steps if step.path == "together")
    assert joined.output == {"b_x": {"n": 2}, "b_y": {"n": 40}}


def test_the_first_failure_stops_what_has_not_started_and_all_is_undone_newest_first(
    app: RiteSmith, clock: ManualClock
) -> None:
    flow = workflow(
        app,
        note("before", "fan", "before"),
        split("x", "y"),
        note("x", "x2", "x"),
        sleep("x2", 100, "x3"),
        note("x3", "together", "never"),
        sleep("y", 10, "y2"),
        task("y2", "do.fail", "together"),
        join(),
    )
    view = end(app, app.start(flow, {}), clock)
    assert (view.status, view.error["code"], view.error["node"]) == ("compensated", "broken", "fan/b_y/y2")
    assert said(app) == ["before", "x", "not x", "not before"]
    assert view.undone == ("fan/b_x/x", "before")


def test_a_branch_that_failed_after_a_write_is_undone_with_what_is_known(app: RiteSmith) -> None:
    undo = {"capability": "do.unnote", "with": {"say": {"var": "input.say"}}}
    flow = workflow(
        app,
        split("x", "y"),
        task("x", "do.half", "together", given={"say": "half"}, compensation=undo),
        note("y", "together", "y"),
        join(),
    )
    view = app.run(flow, {"say": "half"})
    assert view.status == "compensated"
    assert sorted(said(app)) == ["half", "not half", "not y", "y"] or said(app) == ["half", "not half"]


def test_any_takes_the_first_success(app: RiteSmith, clock: ManualClock) -> None:
    flow = workflow(
        app,
        split("x", "y", "z"),
        sleep("x", 100, "x2"),
        task("x2", "do.double", "together", given={"n": 1}),
        sleep("y", 10, "y2"),
        task("y2", "do.double", "together", given={"n": 2}),
        task("z", "do.fail", "together"),
        join(policy="any"),
    )
    view = end(app, app.start(flow, {}), clock)
    assert (view.status, view.output) == ("succeeded", {"b_y": {"n": 4}})


def test_any_fails_when_every_branch_does(app: RiteSmith) -> None:
    flow = workflow(
        app,
        split("x", "y"),
        task("x", "do.fail", "together", given={"code": "first"}),
        task("y", "do.fail", "together", given={"code": "second"}),
        join(policy="any"),
    )
    view = app.run(flow, {})
    assert (view.status, view.error["code"]) == ("failed", "no_branch_succeeded")
    assert {key: each["code"] for key, each in view.error["errors"].items()} == {"b_x": "first", "b_y": "second"}


def test_settled_tells_of_each_branch_what_came_of_it(app: RiteSmith) -> None:
    flow = workflow(
        app,
        split("x", "y"),
        task("x", "do.fail", "together", given={"code": "first"}),
        task("y", "do.double", "together", given={"n": 2}),
        join(policy="settled"),
    )
    output = app.run(flow, {}).output
    assert output["b_y"] == {"status": "succeeded", "output": {"n": 4}}
    assert (output["b_x"]["status"], output["b_x"]["error"]["code"]) == ("failed", "first")


def test_branches_retry_sleep_and_wait_each_on_its_own(app: RiteSmith, clock: ManualClock) -> None:
    retry = {"max_attempts": 5, "initial_seconds": 10, "multiplier": 1, "jitter": 0}
    ask = {"id": "ask", "kind": "approval", "prompt": "go?", "next": "together"}
    other = {"id": "other", "kind": "approval", "prompt": "go too?", "next": "together"}
    wait = {"id": "hear", "kind": "wait", "schema": {"type": "object"}, "next": "together"}
    flow = workflow(
        app,
        split("x", "ask", "other", "hear"),
        task("x", "do.flaky", "together", retry=retry),
        ask,
        other,
        wait,
        join(),
    )
    run = app.start(flow, {})
    view = app.drive(run)
    assert view.status == "waiting"
    assert [each.node for each in view.waits] == ["fan/b_x/x", "fan/b_ask/ask", "fan/b_other/other", "fan/b_hear/hear"]
    assert view.waits[1].command == f"ritesmith approve {run} --node fan/b_ask/ask"
    with pytest.raises(Conflict, match="waits for 2 answers"):
        app.answer(run, "approved")
    app.answer(run, "approved", by="ann", node="fan/b_other/other")
    app.answer(run, "approved", by="bob")
    clock.advance(10)
    app.drive(run)
    view = app.deliver(run, {"news": 1})
    assert [each.kind for each in view.waits] == ["retry"]
    clock.advance(10)
    view = app.drive(run)
    assert view.status == "succeeded"
    assert view.output["b_hear"] == {"news": 1}
    assert view.output["b_other"]["by"] == "ann"


# ---------------------------------------------------------------- maps


@pytest.mark.parametrize("concurrency", [1, 2, 10])
def test_a_map_gives_its_results_in_the_order_of_the_elements(
    app: RiteSmith, clock: ManualClock, concurrency: int
) -> None:
    flow = workflow(
        app,
        each("nap", concurrency=concurrency),
        {"id": "nap", "kind": "sleep", "seconds": {"-": [10, {"var": "item"}]}, "next": "twice"},
        task("twice", "do.double", "together", given={"n": {"var": "item"}}),
        join(),
    )
    view = end(app, app.start(flow, {"items": [1, 5, 3, 2]}), clock)
    assert (view.status, view.output) == ("succeeded", [{"n": 2}, {"n": 10}, {"n": 6}, {"n": 4}])


def test_maps_within_maps_see_the_elements_around_them_by_name(app: RiteSmith) -> None:
    inner = {
        "id": "inner",
        "kind": "map",
        "over": {"var": "item.row.cells"},
        "as": "cell",
        "start": "twice",
        "join": "inside",
    }
    flow = workflow(
        app,
        each("inner", **{"as": "row"}),
        inner,
        task("twice", "do.double", "inside", given={"n": {"+": [{"var": "item.row.plus"}, {"var": "item.cell"}]}}),
        {"id": "inside", "kind": "join", "next": "together"},
        join(),
    )
    view = app.run(flow, {"items": [{"plus": 10, "cells": [1, 2]}, {"plus": 20, "cells": []}]})
    assert view.output == [[{"n": 22}, {"n": 24}], []]
    assert any(step.path == "each/0/inner/1/twice" for step in view.steps)


@pytest.mark.parametrize(
    ("items", "code"), [([1] * 6, "too_many_items"), ({"a": 1}, "bad_expression"), ("abc", "bad_expression")]
)
def test_what_cannot_be_mapped_over_fails_the_node(app: RiteSmith, items: Any, code: str) -> None:
    flow = workflow(app, each("twice", max_items=5), task("twice", "do.double", "together", given={"n": 1}), join())
    view = app.run(flow, {"items": items})
    assert (view.status, view.error["code"]) == ("failed", code)


def test_an_empty_list_gives_an_empty_list(app: RiteSmith) -> None:
    flow = workflow(app, each("twice"), task("twice", "do.double", "together", given={"n": 1}), join())
    assert app.run(flow, {"items": []}).output == []


def test_an_element_that_fails_ends_the_map_and_those_before_are_undone(app: RiteSmith) -> None:
    is_bad = {"==": [{"var": "item"}, "bad"]}
    flow = workflow(
        app,
        each("pick", concurrency=1),
        {
            "id": "pick",
            "kind": "switch",
            "cases": [{"when": is_bad, "target": "bad"}],
            "default": "say",
        },
        task("bad", "do.fail", "together"),
        note("say", "together", {"var": "item"}),
        join(),
    )
    view = app.run(flow, {"items": ["a", "b", "bad", "c"]})
    assert view.status == "compensated"
    assert said(app) == ["a", "b", "not b", "not a"]


# ---------------------------------------------------------------- called runs


def called(app: RiteSmith, *nodes: dict[str, Any]) -> dict[str, Any]:
    workflow(app, *nodes, name="test.child")
    given = {"n": {"var": "input.n"}}
    return {"id": "ask_child", "kind": "call", "workflow": "test.child", "with": given, "next": None}


def runs(app: RiteSmith) -> dict[str, str]:
    return {each["workflow"]: each["status"] for each in app.runs()}


def test_a_called_workflow_is_a_run_of_its_own_linked_both_ways(app: RiteSmith) -> None:
    call = called(app, task("twice", "do.double", None, given={"n": {"var": "input.n"}}))
    run = app.start(workflow(app, call), {"n": 4})
    view = app.drive(run)
    assert (view.status, view.output) == ("succeeded", {"n": 8})
    [child] = [each["id"] for each in app.runs() if each["workflow"] == "test.child"]
    assert app.view(child).parent == run
    assert child in next(step.note for step in view.steps if step.path == "ask_child")


def test_a_called_run_that_waits_is_carried_on_and_its_caller_with_it(app: RiteSmith) -> None:
    ask = {"id": "ask", "kind": "approval", "prompt": "go?", "next": None}
    run = app.start(workflow(app, called(app, ask)), {"n": 4})
    assert app.drive(run).status == "waiting"
    child = app.view(run).waits[0].command.rpartition(" ")[2]
    assert app.answer(child, "approved", by="ann").status == "succeeded"
    assert app.view(run).status == "succeeded"
    assert app.view(run).output["by"] == "ann"


def test_a_called_run_that_fails_fails_the_call_and_its_code_can_be_handled(app: RiteSmith) -> None:
    call = called(app, task("x", "do.fail", None, given={"code": "no_luck"}))
    view = app.run(workflow(app, call), {"n": 1})
    assert (view.status, view.error["code"], view.error["node"]) == ("failed", "no_luck", "ask_child")
    handled = call | {"on_error": [{"code": "no_luck", "target": "other"}]}
    flow = workflow(app, handled, task("other", "do.double", None, given={"n": 1}), name="test.careful")
    assert app.run(flow, {"n": 1}).output == {"n": 2}


def test_what_a_called_run_did_is_undone_with_its_caller(app: RiteSmith) -> None:
    call = called(app, note("a", "b", "child a"), note("b", None, "child b")) | {"next": "bad"}
    flow = workflow(app, note("first", "ask_child", "first"), call, task("bad", "do.fail", None))
    view = app.run(flow, {"n": 1})
    assert view.status == "compensated"
    assert runs(app) == {"test.flow": "compensated", "test.child": "compensated"}
    assert said(app) == ["first", "child a", "child b", "not child b", "not child a", "not first"]


def test_cancelling_a_caller_cancels_what_it_called(app: RiteSmith) -> None:
    ask = {"id": "ask", "kind": "approval", "prompt": "go?", "next": None}
    run = app.start(workflow(app, called(app, note("a", "ask", "a"), ask)), {"n": 1})
    app.drive(run)
    view = app.cancel(run, by="ann", reason="no more")
    assert (view.status, view.error["message"]) == ("cancelled", "ann cancelled the run: no more")
    assert runs(app) == {"test.flow": "cancelled", "test.child": "cancelled"}
    assert said(app) == ["a", "not a"]


def test_an_input_that_the_called_workflow_does_not_take_fails_the_call(app: RiteSmith) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    workflow(app, task("x", "do.double", None, given={"n": 1}), name="test.child", input=schema)
    call = {
        "id": "ask_child",
        "kind": "call",
        "workflow": "test.child",
        "with": {"n": {"var": "input.n"}},
        "next": None,
    }
    view = app.run(workflow(app, call), {"n": "four"})
    assert (view.status, view.error["code"]) == ("failed", "bad_input")
    assert runs(app) == {"test.flow": "failed"}


# ---------------------------------------------------------------- people


def test_a_cancelled_run_is_undone_or_left_as_it_is(app: RiteSmith) -> None:
    flow = workflow(app, note("a", "nap", "a"), sleep("nap", 1000, "b"), note("b", None, "b"))
    run = app.start(flow, {})
    app.drive(run)
    assert app.cancel(run, compensate=False, by="ann").status == "cancelled"
    assert said(app) == ["a"]
    with pytest.raises(Conflict, match="has ended already"):
        app.cancel(run)
    run = app.start(flow, {})
    app.drive(run)
    assert app.cancel(run, by="ann").status == "cancelled"
    assert said(app) == ["a", "a", "not a"]


def test_a_run_that_another_process_drives_is_cancelled_by_it(app: RiteSmith, tmp_path: Path) -> None:
    flow = workflow(app, note("a", "b", "a"), note("b", "c", "b"), note("c", None, "c"))
    run = app.start(flow, {})
    with RiteSmith.open(str(tmp_path / "registry.db")) as other:

        def watch(entry: Any, state: Any) -> None:
            if entry.kind == "step_succeeded" and entry.node == "a":
                assert other.cancel(run, by="ann").status == "running"

        view = app.drive(run, watch=watch)
    assert (view.status, said(app)) == ("cancelled", ["a", "not a"])


def test_a_sleeping_run_is_woken(app: RiteSmith) -> None:
    run = app.start(workflow(app, sleep("nap", 1e6, "a"), note("a", None, "a")), {})
    app.drive(run)
    view = app.wake(run, by="ann")
    assert view.status == "succeeded"
    assert next(step.note for step in view.steps if step.path == "nap") == "woken by ann"
    with pytest.raises(Conflict, match="does not sleep"):
        app.wake(run)


def test_a_failed_run_goes_on_where_it_failed(app: RiteSmith) -> None:
    flow = workflow(
        app,
        task("first", "do.double", "fan", given={"n": 1}),
        split("x", "y"),
        task("x", "do.gate", "together"),
        task("y", "do.double", "together", given={"n": 3}),
        join(),
    )
    run = app.start(flow, {})
    assert app.drive(run).status == "failed"
    assert app.retry(run, by="ann").status == "failed"
    app.connection.execute("INSERT INTO store VALUES ('t', 'gate', '{}', 1, 0.0)")
    view = app.retry(run, by="ann")
    assert (view.status, view.output) == ("succeeded", {"b_x": {}, "b_y": {"n": 6}})
    attempts = {step.path: step.attempts for step in view.steps}
    assert (attempts["fan/b_x/x"], attempts["first"]) == (3, 1)
    with pytest.raises(Conflict, match="has not failed"):
        app.retry(run)


def test_a_step_that_is_tried_again_by_a_person_has_all_its_attempts(app: RiteSmith, clock: ManualClock) -> None:
    capability(app, "do.late", 'if context.attempt < 6 then fail("busy", "busy", { retryable = true }) end' + DONE)
    flow = workflow(app, task("a", "do.late", None, retry={"max_attempts": 3, "initial_seconds": 10, "jitter": 0}))
    run = app.start(flow, {})
    app.drive(run, wait_seconds=1000)
    assert app.view(run).status == "failed"
    began = clock.now()
    app.retry(run, by="ann", wait_seconds=1000)
    view = app.view(run)
    assert (view.status, view.steps[0].attempts, clock.now() - began) == ("succeeded", 6, 30)
    assert app.replay(run).same


def test_a_compensation_that_failed_is_tried_again(app: RiteSmith) -> None:
    undo = {"capability": "do.gate", "with": {}}
    flow = workflow(
        app,
        note("a", "b", "a"),
        task("b", "do.double", "bad", given={"n": 1}, compensation=undo),
        task("bad", "do.fail", None),
    )
    view = app.run(flow, {})
    assert (view.status, view.undone, [each["path"] for each in view.not_undone]) == (
        "compensation_failed",
        ("a",),
        ["b"],
    )
    assert app.compensate(view.run, by="ann").status == "compensation_failed"
    app.connection.execute("INSERT INTO store VALUES ('t', 'gate', '{}', 1, 0.0)")
    view = app.compensate(view.run, by="ann")
    assert (view.status, view.undone, view.not_undone) == ("compensated", ("a", "b"), ())
    assert said(app) == ["a", "not a"]


def test_what_a_called_run_could_not_undo_is_tried_again_with_its_caller(app: RiteSmith) -> None:
    undo = {"capability": "do.gate", "with": {}}
    call = called(app, task("x", "do.double", None, given={"n": 1}, compensation=undo)) | {"next": "bad"}
    view = app.run(workflow(app, call, task("bad", "do.fail", None)), {"n": 1})
    assert view.status == "compensation_failed"
    assert runs(app) == {"test.flow": "compensation_failed", "test.child": "compensation_failed"}
    app.connection.execute("INSERT INTO store VALUES ('t', 'gate', '{}', 1, 0.0)")
    assert app.compensate(view.run, by="ann").status == "compensated"
    assert runs(app) == {"test.flow": "compensated", "test.child": "compensated"}


# ---------------------------------------------------------------- callbacks


def test_a_callback_that_comes_early_is_kept_and_a_second_one_is_told_so(app: RiteSmith, clock: ManualClock) -> None:
    hear = {"id": "hear", "kind": "wait", "schema": {"type": "object", "required": ["n"]}, "next": None}
    run = app.start(workflow(app, sleep("nap", 100, "hear"), hear), {})
    app.drive(run)
    with pytest.raises(Conflict, match="waits for no callback"):
        app.deliver(run, {"n": 1})
    with pytest.raises(InvalidInput, match="payload"):
        app.deliver(run, {"m": 1}, node="hear")
    with pytest.raises(InvalidInput, match="is no wait node"):
        app.deliver(run, {"n": 1}, node="haer")
    assert app.deliver(run, {"n": 1}, node="hear").status == "sleeping"
    with pytest.raises(Conflict, match="has come already"):
        app.deliver(run, {"n": 2}, node="hear")
    clock.advance(100)
    view = app.drive(run)
    assert (view.status, view.output) == ("succeeded", {"n": 1})
    with pytest.raises(Conflict):
        app.deliver(run, {"n": 3}, node="hear")
    assert app.connection.execute("SELECT count(*) FROM messages").fetchone()[0] == 0


def test_an_answer_that_is_left_while_a_run_is_given_back_is_still_read(
    app: RiteSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = app.start(workflow(app, {"id": "hear", "kind": "wait", "next": None}), {})
    release, told = Lease.release, []
    with RiteSmith.open(str(tmp_path / "registry.db")) as other:

        def late(lease: Lease) -> None:
            if not told:
                told.append(other.deliver(run, {"n": 1}).status)
            release(lease)

        monkeypatch.setattr(Lease, "release", late)
        assert app.drive(run).status == "succeeded"
    assert told == ["waiting"], "for its sender somebody else drove the run"


def test_a_message_for_a_run_that_nobody_drives_makes_it_due(app: RiteSmith) -> None:
    run = app.start(workflow(app, {"id": "hear", "kind": "wait", "next": None}), {})
    app.drive(run)
    assert app.unfinished() == []
    app.journal.send(run, "callback", {"payload": {"n": 1}, "node": "hear"})
    assert app.unfinished() == [run]
    app.drive(run)
    early = app.start(workflow(app, sleep("nap", 100, "hear"), {"id": "hear", "kind": "wait", "next": None}), {})
    app.drive(early)
    app.deliver(early, {"n": 1}, node="hear")
    assert app.unfinished() == [early]
    app.drive(early)
    assert app.unfinished() == [], "it was read, and stays for later"


def test_a_kept_callback_that_the_condition_cannot_take_does_not_block_the_run(
    app: RiteSmith, clock: ManualClock
) -> None:
    small = {"<": [{"var": "nodes.hear.output.n"}, 5]}
    hear = {"id": "hear", "kind": "wait", "success_when": small, "next": None}
    run = app.start(workflow(app, sleep("nap", 100, "hear"), hear), {})
    app.drive(run)
    app.deliver(run, {"no": "number"}, node="hear")
    clock.advance(100)
    assert app.drive(run).status == "waiting"
    assert app.deliver(run, {"n": 1}).status == "succeeded"


def test_a_caller_is_due_when_what_it_called_ended_in_other_hands(
    app: RiteSmith, tmp_path: Path, clock: ManualClock
) -> None:
    call = called(app, {"id": "ask", "kind": "approval", "prompt": "go?", "next": None}) | {"next": "together"}
    flow = workflow(
        app,
        split("ask_child", "nap"),
        call,
        sleep("nap", 10, "y"),
        note("y", "y2", "y"),
        note("y2", "y3", "y2"),
        {"id": "y3", "kind": "wait", "next": "together"},
        join(),
    )
    run = app.start(flow, {"n": 1})
    app.drive(run)
    [child] = [each["id"] for each in app.runs() if each["workflow"] == "test.child"]
    clock.advance(10)
    with RiteSmith.open(str(tmp_path / "registry.db"), clock=clock) as other:
        theirs = other.journal.claim(child)

        def watch(entry: Any, state: Any) -> None:
            if entry.kind == "step_succeeded" and entry.node.endswith("/y"):
                theirs.release()
                assert other.answer(child, "approved", by="ann").status == "succeeded"

        assert app.drive(run, watch=watch).status == "waiting"
    assert app.unfinished() == [run]
    app.drive(run)
    assert app.deliver(run, {}).status == "succeeded"


def test_a_callback_that_may_mean_several_branches_is_refused_and_not_kept(app: RiteSmith) -> None:
    hear = {"id": "hear", "kind": "wait", "next": "together"}
    run = app.start(workflow(app, each("hear"), hear, join()), {"items": [0, 1]})
    app.drive(run)
    with pytest.raises(Conflict, match="waits for 2 answers: each/0/hear, each/1/hear"):
        app.deliver(run, {"n": "?"}, node="hear")
    for n in (0, 1):
        view = app.deliver(run, {"n": n}, node=f"each/{n}/hear")
    assert view.output == [{"n": 0}, {"n": 1}]


def test_a_callback_that_is_named_by_its_node_and_by_its_path_is_one(app: RiteSmith, clock: ManualClock) -> None:
    hear = {"id": "hear", "kind": "wait", "next": "together"}
    flow = workflow(app, split("x", "nap"), task("x", "do.double", "together", given={"n": 1}),
                    sleep("nap", 100, "hear"), hear, join())  # fmt: skip
    run = app.start(flow, {})
    app.drive(run)
    app.deliver(run, {"n": 1}, node="hear")
    for node in ("hear", "fan/b_nap/hear"):
        with pytest.raises(Conflict, match="has come already"):
            app.deliver(run, {"n": 2}, node=node)
    clock.advance(100)
    assert app.drive(run).output["b_nap"] == {"n": 1}
    with pytest.raises(Conflict, match="has come already"):
        app.deliver(run, {"n": 3}, node="hear")


# ---------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"steps": 4}, "step_limit"),
        ({"fuel": 300}, "fuel"),
        ({"bytes": 30}, "bytes_budget"),
        ({"host_calls": 3}, "host_calls"),
    ],
)
def test_a_run_that_has_spent_its_budget_is_given_up_and_undone(app: RiteSmith, limits: Any, code: str) -> None:
    flow = workflow(app, *(note(f"n{n}", f"n{n + 1}" if n < 9 else None, "x" * 9) for n in range(10)), limits=limits)
    view = app.run(flow, {})
    assert view.status in ("compensated", "failed"), view.error
    assert view.error["code"].startswith(code)
    assert sum(1 if word.startswith("x") else -1 for word in said(app)) == 0


# ---------------------------------------------------------------- many runs at once


@pytest.mark.parametrize("name", ["fuel", "host_calls"])
def test_a_step_that_is_stopped_by_the_budget_says_so_and_one_by_its_own_limit_does_not(
    app: RiteSmith, name: str
) -> None:
    capability(app, "do.much", "for i = 1, 1e9 do store.get{ namespace = 't', key = 'log' } end" + DONE, STORE)
    for budget, told in ((50, True), (10**9, False)):
        run = app.run(workflow(app, task("a", "do.much", None), limits={name: budget}), {})
        assert ("the budget of the run had no more left" in run.error["message"]) == told, run.error
        assert app.replay(run.run).same


def test_many_runs_are_driven_side_by_side(app: RiteSmith) -> None:
    flow = workflow(
        app, *(task(f"n{n}", "do.double", f"n{n + 1}" if n < 4 else None, given={"n": n}) for n in range(5))
    )
    started = [app.start(flow, {}) for _ in range(30)]
    ended = app.drive_due()
    assert sorted(ended) == sorted(started)
    assert {state.status for state in ended.values()} == {"succeeded"}
    assert app.drive_due() == {}


def test_a_run_that_cannot_go_on_does_not_keep_the_others(app: RiteSmith) -> None:
    flow = workflow(app, task("n", "do.double", "m", given={"n": 1}), task("m", "do.double", None, given={"n": 1}))
    good, bad = app.start(flow, {}), app.start(flow, {})
    app.connection.execute("UPDATE runs SET digest = 'x' WHERE id = ?", (bad,))
    app.connection.execute(
        "UPDATE entries SET data = replace(data, '\"input\":{}', '\"input\":1')"
        " WHERE run = (SELECT number FROM runs WHERE id = ?)",
        (bad,),
    )
    ended = app.drive_due()
    assert ended[good].status == "succeeded"
    assert "was edited" in ended[bad].message
