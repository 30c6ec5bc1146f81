"""The trace: what a person reads is folded from the entries, all of them, whatever the run went through."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

import pytest
from test_saga import RETRY, Play, end, fail, loop, ok, partly_failed, played, started, task, undo, workflow

from ritesmith import saga, trace
from ritesmith.models import Outcome
from ritesmith.saga import Record
from ritesmith.trace import RunView, StepView


def view(play: Play) -> RunView:
    seen = trace.view(play.entries, play.workflow)
    assert RunView.model_validate(seen.model_dump()) == seen, "it is one JSON object, there and back"
    return seen


def steps(seen: RunView) -> dict[str, StepView]:
    return {step.path: step for step in seen.steps}


def test_a_finished_run_tells_its_input_its_end_and_every_step() -> None:
    flow = workflow(
        task("a", "pick"),
        {"id": "pick", "kind": "switch", "cases": [{"when": True, "target": "done"}], "default": "done"},
        end(outcome="fine", output={"x": {"var": "nodes.a.output.x"}}),
    )
    play = Play(flow, {"a": [ok({"x": 1}, fuel=70)]}, input={"n": 1})
    play.now += 2
    play.go()
    seen = view(play)
    assert (seen.run, seen.workflow, seen.status, seen.outcome, seen.final) == (
        "r1",
        "test.flow",
        "succeeded",
        "fine",
        True,
    )
    assert (seen.input, seen.output, seen.error) == ({"n": 1}, {"x": 1}, None)
    assert (seen.entries, seen.fuel, seen.waiting) == (4, 70, None)
    assert seen.updated_at - seen.started_at == 2
    told = [(step.path, step.kind, step.status, step.note) for step in seen.steps]
    assert told == [
        ("a", "task", "succeeded", ""),
        ("pick", "switch", "succeeded", "case 1: done"),
        ("done", "end", "succeeded", "fine"),
    ]
    first = seen.steps[0]
    assert (first.output, first.fuel, first.attempts) == ({"x": 1}, 70, 1)
    assert first.ended_at is not None
    assert first.ended_at - first.started_at == 2


def test_the_default_of_a_switch_is_named() -> None:
    flow = workflow(
        {"id": "pick", "kind": "switch", "cases": [{"when": False, "target": "done"}], "default": "done"}, end()
    )
    assert steps(view(played(flow)))["pick"].note == "default: done"


def test_attempts_are_counted_and_the_next_one_is_announced() -> None:
    play = Play(workflow(task("a"), retry=RETRY), {"a": [fail("busy", retryable=True)] * 2 + [ok()]})
    pause = play.go()
    seen = view(play)
    step = seen.steps[0]
    assert (step.status, step.attempts) == ("retrying", 1)
    assert step.note.startswith("again at 2027-01-15T08:00:")
    assert step.error is not None
    assert step.error["code"] == "busy"
    assert seen.waiting is not None
    assert (seen.waiting.kind, seen.waiting.until, seen.waiting.command) == (
        "retry",
        pause.until,
        "ritesmith resume r1",
    )
    while not isinstance(play.go(), saga.Finished):
        play.now += 100
    step = view(play).steps[0]
    assert (step.status, step.attempts, step.error) == ("succeeded", 3, None)


def test_host_calls_are_shown_with_arguments_and_results() -> None:
    play = Play(workflow(task("a")))
    play.write("a")
    play.write("a", 1, error={"code": "refused", "message": "no", "retryable": False})
    started(play, index=2)
    step = view(play).steps[0]
    assert step.status == "running"
    assert [(call.function, call.attempt, call.result) for call in step.calls] == [
        ("mail.send", 1, {}),
        ("mail.send", 1, None),
        ("mail.send", 1, None),
    ]
    assert [call.ended_at is None for call in step.calls] == [False, False, True], "the last was only started"
    assert step.calls[1].error == {"code": "refused", "message": "no", "retryable": False}


def test_an_approval_says_what_is_asked_and_how_to_answer() -> None:
    flow = workflow({"id": "ask", "kind": "approval", "prompt": "Pay?", "deadline_seconds": 60, "next": None})
    play = Play(flow)
    play.go()
    waiting = view(play).waiting
    assert waiting is not None
    assert (waiting.kind, waiting.node, waiting.prompt, waiting.until) == ("approval", "ask", "Pay?", play.now + 60)
    assert waiting.digest == play.entries[-1].data["digest"]
    assert (waiting.command, waiting.others) == ("ritesmith approve r1", ("ritesmith reject r1",))
    assert steps(view(play))["ask"].status == "waiting"
    play.add(saga.decide_approval(flow, play.state, "approved", by="ann", comment="fine", at=play.now))
    step = steps(view(play))["ask"]
    assert (step.kind, step.status, step.note) == ("approval", "succeeded", "approved by ann: fine")
    assert view(play).waiting is None


@pytest.mark.parametrize(("on_timeout", "status"), [("done", "succeeded"), (None, "failed")])
def test_a_wait_says_how_to_deliver_and_that_it_timed_out(on_timeout: str | None, status: str) -> None:
    flow = workflow(
        {"id": "paid", "kind": "wait", "deadline_seconds": 60, "on_timeout": on_timeout, "next": "done"}, end()
    )
    play = Play(flow)
    play.go()
    waiting = view(play).waiting
    assert waiting is not None
    assert waiting.command == "ritesmith deliver r1 --payload -"
    play.now += 60
    play.go()
    seen = view(play)
    assert seen.status == status
    assert (steps(seen)["paid"].status, steps(seen)["paid"].note) == ("failed", "timed out")


def test_a_callback_is_shown() -> None:
    flow = workflow({"id": "paid", "kind": "wait", "success_when": {"var": "nodes.paid.output"}, "next": None})
    for payload, status in ((True, "succeeded"), (False, "failed")):
        play = Play(flow)
        play.go()
        play.add(saga.receive_callback(flow, play.state, payload, at=play.now))
        step = steps(view(play))["paid"]
        assert (step.kind, step.status, step.output) == ("wait", status, payload)
        assert (step.error or {}).get("code") == (None if payload else "callback_not_successful")


def test_a_rejection_that_leads_nowhere_is_shown_as_what_failed() -> None:
    flow = workflow({"id": "ask", "kind": "approval", "prompt": "Pay?", "next": None})
    play = Play(flow)
    play.go()
    play.add(saga.decide_approval(flow, play.state, "rejected", by="ann", comment="", at=play.now))
    step = steps(view(play))["ask"]
    assert (step.status, step.note) == ("failed", "rejected by ann")
    assert step.error is not None
    assert step.error["code"] == "rejected"


def test_a_sleep_is_shown_asleep_and_awake() -> None:
    play = Play(workflow({"id": "nap", "kind": "sleep", "seconds": 60, "next": None}))
    play.go()
    step = steps(view(play))["nap"]
    assert (step.kind, step.status, step.note) == ("sleep", "sleeping", "until 2027-01-15T08:01:00Z")
    play.now += 60
    play.go()
    assert (steps(view(play))["nap"].status, steps(view(play))["nap"].note) == ("succeeded", "woken by timer")


def test_a_sleep_without_an_end_can_be_shown() -> None:
    play = Play(workflow({"id": "nap", "kind": "sleep", "seconds": 1e18, "next": None}))
    play.go()
    assert steps(view(play))["nap"].note == "until 9999-12-31T23:59:59Z"


def test_each_visit_of_a_loop_is_a_step_of_its_own() -> None:
    outcomes = {f"count{visit}": [ok({"n": n})] for n, visit in enumerate(("", "#2", "#3"), start=1)}
    seen = view(played(loop(), outcomes))
    assert [step.path for step in seen.steps if step.kind == "task"] == ["count", "count#2", "count#3", "last"]
    assert [step.output for step in seen.steps][::2][:3] == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_undoing_is_shown_newest_first_with_what_could_not_be_undone() -> None:
    flow = workflow(
        task("a", "b", compensation=undo()), task("b", "c", compensation=undo()), task("c"), retry={"max_attempts": 1}
    )
    seen = view(played(flow, {"c": [fail("broken")], "b~undo": [fail("stuck")]}))
    assert seen.status == "compensation_failed"
    assert seen.error is not None
    assert seen.error["code"] == "broken"
    assert [(step.path, step.kind, step.status) for step in seen.steps] == [
        ("a", "task", "succeeded"),
        ("b", "task", "succeeded"),
        ("c", "task", "failed"),
        ("b~undo", "compensation", "failed"),
        ("a~undo", "compensation", "succeeded"),
    ]
    assert seen.undone == ("a",)
    assert [(each["path"], each["error"]["code"]) for each in seen.not_undone] == [("b", "stuck")]


def test_a_handled_error_says_where_the_run_went_on() -> None:
    flow = workflow(task("a", on_error=[{"code": "*", "target": "done"}]), end())
    step = steps(view(played(flow, {"a": [fail("gone")]})))["a"]
    assert (step.status, step.note) == ("failed", "goes on at done")
    assert step.error is not None
    assert step.error["code"] == "gone"


def test_an_unknown_effect_asks_and_is_shown_resolved() -> None:
    play = Play(workflow(task("a")))
    started(play)
    play.add(Record("effect_unknown", "a", 1))
    seen = view(play)
    assert (seen.status, seen.steps[0].status) == ("unknown", "unknown")
    assert seen.waiting is not None
    assert seen.waiting.prompt == "did mail.send happen?"
    assert seen.waiting.command == "ritesmith resolve r1 --happened --result -"
    assert seen.waiting.others == ("ritesmith resolve r1 --did-not-happen",)
    play.add(saga.resolve_effect(play.state, happened=True, result={"id": 1}, by="ann"))
    assert steps(view(play))["a"].note == "resolved by ann"
    play.go()
    assert view(play).status == "succeeded"


def test_a_stopped_run_says_at_which_step() -> None:
    play = Play(workflow(task("a"), limits={"deadline_seconds": 5}))
    play.now += 5
    play.go()
    seen = view(play)
    assert (seen.steps[0].path, seen.steps[0].status) == ("a", "failed")
    assert seen.error is not None
    assert seen.error["code"] == "run_deadline"


def test_a_run_that_is_being_given_up_says_why() -> None:
    play = Play(workflow(task("a", "b", compensation=undo()), task("b")), {"b": [fail("broken")]})
    play.until("a~undo")
    seen = view(play)
    assert (seen.status, seen.final) == ("compensating", False)
    assert seen.error is not None
    assert seen.error["code"] == "broken"


def test_a_partly_failed_step_and_its_undoing_are_shown() -> None:
    flow = workflow(task("a", "b"), task("b", "c"), task("c", compensation=undo("c")))
    seen = steps(view(partly_failed(flow)))
    assert seen["c"].status == "failed"
    assert len(seen["c"].calls) == 1
    assert seen["c~undo"].status == "succeeded"


def test_every_beginning_of_a_journal_can_be_viewed_and_is_left_as_it_was() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    flow = workflow(
        task("a", "ask", compensation=undo(), retry=RETRY),
        {"id": "ask", "kind": "approval", "prompt": "?", "deadline_seconds": 50, "on_reject": "a", "next": "b"},
        task("b", "a", compensation=undo(), on_error=[{"code": "handled", "target": "a"}]),
        limits={"steps": 12},
        retry=RETRY,
    )
    ends: list[Outcome] = [ok(), fail("busy", retryable=True), fail("handled"), fail()]
    for _ in range(30):
        play = Play(flow, {path: rng.choices(ends, [6, 2, 1, 1], k=9) for path in ("a", "b", "a#2", "b#2", "a~undo")})
        while not isinstance(command := play.go(), saga.Finished):
            assert isinstance(command, saga.Pause)
            answer: dict[str, Any] = {"by": "ann", "comment": "", "at": play.now}
            if play.state.status == "waiting" and rng.random() < 0.8:
                decision = rng.choice(["approved", "rejected"])
                play.add(saga.decide_approval(flow, play.state, decision, **answer))
            else:
                assert command.until is not None
                play.now = command.until
        before = deepcopy(play.entries)
        for count in range(1, len(play.entries) + 1):
            seen = trace.view(play.entries[:count])
            assert seen.entries == count
            assert seen.status == saga.fold(play.entries[:count]).status
            told = {entry.node for entry in play.entries[:count] if entry.node}
            assert {step.path for step in seen.steps if step.status != "running"} <= told
            assert told <= {step.path for step in seen.steps}
            assert all((step.ended_at is None) == (step.status in trace.UNDER_WAY) for step in seen.steps)
            assert not (seen.final and any(step.status in trace.UNDER_WAY for step in seen.steps))
        assert play.entries == before


# ---------------------------------------------------------------- attempts, inputs, and what came to nothing


def test_every_attempt_has_its_times_its_error_and_its_fuel() -> None:
    flow = workflow(task("a", **{"with": {"n": {"var": "input.n"}}}), retry=RETRY)
    play = Play(flow, {"a": [fail("busy", retryable=True), ok({"x": 1}, fuel=70)]}, input={"n": 1})
    pause = play.go()
    assert isinstance(pause, saga.Pause)
    assert pause.until is not None
    play.now = pause.until + 3
    play.go()
    step = view(play).steps[0]
    assert step.input == {"n": 1}
    first, second = step.each_attempt
    assert (first.status, first.fuel, first.retry_at) == ("failed", 0, pause.until)
    assert first.error is not None
    assert first.error["code"] == "busy"
    assert (second.status, second.error, second.fuel) == ("succeeded", None, 70)
    assert (second.started_at, second.ended_at) == (pause.until, play.now), "the pause between them belongs to neither"
    assert (step.note, step.error) == ("", None), "what is over is not announced any more"


def test_a_compensation_says_what_it_was_given() -> None:
    given = {"capability": "undo.it", "with": {"x": {"var": "nodes.a.output.x"}}}
    flow = workflow(task("a", "b", compensation=given), task("b"))
    seen = steps(view(played(flow, {"a": [ok({"x": 7})], "b": [fail()]})))
    assert (seen["a~undo"].kind, seen["a~undo"].input) == ("compensation", {"x": 7})


def test_without_the_workflow_everything_is_told_but_the_inputs() -> None:
    play = played(workflow(task("a", **{"with": {"n": 1}})), {})
    told, bare = view(play), trace.view(play.entries)
    assert [step.input for step in told.steps] == [{"n": 1}]
    without = told.steps[0].model_copy(update={"input": None})
    assert bare == told.model_copy(update={"steps": (without,)})


def fan(policy: str) -> saga.Workflow:
    nap = {"id": "nap", "kind": "sleep", "seconds": 60, "next": "all"}
    branches = [{"id": "slow", "start": "nap"}, {"id": "fast", "start": "a"}]
    return workflow(
        {"id": "fan", "kind": "split", "branches": branches, "join": "all"},
        task("a", "all"),
        nap,
        {"id": "all", "kind": "join", "policy": policy, "next": None},
    )


def test_a_branch_that_is_not_waited_for_is_dropped_and_does_not_wait() -> None:
    seen = view(played(fan("any"), {}))
    assert (seen.status, seen.waits) == ("succeeded", ())
    nap = steps(seen)["fan/slow/nap"]
    assert (nap.status, nap.note, nap.ended_at) == ("dropped", "", steps(seen)["all"].ended_at)


def test_what_a_run_waited_for_is_dropped_when_it_is_given_up_and_taken_up_when_it_is_tried_again() -> None:
    flow = fan("all")
    play = played(flow, {"fan/fast/a": [fail()]})
    assert play.state.status == "failed"
    assert steps(view(play))["fan/slow/nap"].status == "dropped"
    play.add(saga.retry(flow, play.state, by="ann", at=play.now))
    assert steps(view(play))["fan/slow/nap"].status == "running"
    play.go()
    assert steps(view(play))["fan/slow/nap"].status == "sleeping"


def test_a_cancelled_run_waits_for_nothing() -> None:
    play = Play(workflow({"id": "ask", "kind": "approval", "prompt": "?", "next": None}))
    play.go()
    play.add(saga.cancel(play.state, by="ann"))
    play.go()
    seen = view(play)
    assert (seen.status, seen.steps[0].status, seen.waits) == ("cancelled", "dropped", ())


def test_a_step_that_has_told_nothing_yet_is_running() -> None:
    play = Play(workflow(task("a", **{"with": {"n": 1}})))
    [step] = view(play).steps
    assert (step.path, step.kind, step.status, step.input, step.ended_at) == ("a", "task", "running", {"n": 1}, None)


def test_where_a_step_led_is_told() -> None:
    play = Play(fan("settled"), {"fan/fast/a": [fail()]})
    play.go()
    play.now += 60
    play.go()
    seen = steps(view(play))
    assert {path: step.next for path, step in seen.items()} == {
        "fan": ("nap", "a"),
        "fan/slow/nap": ("all",),
        "fan/fast/a": (),
        "all": (),
    }


def test_a_command_names_the_branch_as_a_shell_takes_it() -> None:
    ask = {"id": "ask", "kind": "wait", "schema": {"type": "object"}, "next": "all"}
    flow = workflow(
        {"id": "each", "kind": "map", "over": {"literal": [1, 2]}, "start": "ask", "join": "all"},
        ask,
        {"id": "all", "kind": "join", "next": None},
    )
    play = Play(flow)
    play.go()
    seen = view(play)
    assert [each.command for each in seen.waits] == [
        "ritesmith deliver r1 --node each/0/ask --payload -",
        "ritesmith deliver r1 --node each/1/ask --payload -",
    ]
    assert seen.waits[0].accepts == {"type": "object"}
