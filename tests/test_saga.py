"""The interpreter alone: no database, no sandbox, a clock moved by hand. Entries in, commands out."""

from __future__ import annotations

import random
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from ritesmith import saga
from ritesmith.errors import Conflict, InvalidInput
from ritesmith.models import (
    FINAL_STATUSES,
    JSON,
    LEGAL_MOVES,
    SEMANTICS_VERSION,
    Entry,
    Outcome,
    Retry,
    RunStatus,
    Workflow,
)
from ritesmith.saga import Finished, Invoke, Pause, Record, State

NOW = 1_800_000_000.0
RETRY = {"max_attempts": 3, "initial_seconds": 10, "multiplier": 2, "max_seconds": 60, "jitter": 0.1}


def ok(output: JSON = None, **more: Any) -> Outcome:
    return Outcome(status="ok", output={} if output is None else output, **more)


def fail(code: str = "broken", *, retryable: bool = False) -> Outcome:
    return Outcome(status="fail", code=code, message=f"it is {code}", retryable=retryable)


def task(id: str, next: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": id, "kind": "task", "capability": f"do.{id}", "next": next, **more}


def undo(*names: str, **given: JSON) -> dict[str, Any]:
    return {"capability": "undo.it", "with": {name: {"literal": name} for name in names} | given}


def end(id: str = "done", **more: Any) -> dict[str, Any]:
    return {"id": id, "kind": "end", **more}


def workflow(*nodes: dict[str, Any], **more: Any) -> Workflow:
    return Workflow.model_validate(
        {"name": "test.flow", "intent": "to be tried", "start": nodes[0]["id"], "nodes": list(nodes), **more}
    )


class Play:
    """A run played in memory. `outcomes` says, path by path, how each attempt ends; without a word it succeeds.

    Every entry is checked on its way: the move of the status is legal, and folding all entries from the first gives
    the very state that was advanced one by one.
    """

    def __init__(self, workflow: Workflow, outcomes: Mapping[str, Iterable[Outcome]] | None = None, **options: Any):
        self.workflow = workflow
        self.outcomes = {path: list(each) for path, each in (outcomes or {}).items()}
        self.now = NOW
        self.entries: list[Entry] = []
        self.invokes: list[Invoke] = []
        self.state = State()
        capabilities = {f"do.{node.id}": "0" * 64 for node in workflow.nodes}
        self.add(
            saga.start_record(
                workflow, "d" * 64, capabilities, options.get("input", {}), options.get("seed", "seed"), self.now
            )
        )

    def add(self, record: Record) -> None:
        entry = Entry(
            run="r1",
            seq=len(self.entries) + 1,
            at=self.now,
            kind=record.kind,
            node=record.node,
            attempt=record.attempt,
            data=dict(record.data),
            hash=f"hash{len(self.entries) + 1}",
        )
        before = self.state.status
        saga.apply(self.state, entry)
        self.entries.append(entry)
        assert self.state.status == before or self.state.status in LEGAL_MOVES[before], (before, self.state.status)
        assert saga.fold(self.entries) == self.state

    def next(self) -> saga.Command:
        return saga.decide(self.workflow, self.state, self.now)

    def go(self) -> saga.Command:
        """Play until the run rests or has ended; return what it said then."""
        while True:
            command = self.next()
            if isinstance(command, Record):
                self.add(command)
            elif isinstance(command, Invoke):
                self.invokes.append(command)
                told = self.outcomes.get(command.path)
                self.conclude(command, told.pop(0) if told else ok())
            else:
                return command

    def conclude(self, invoke: Invoke, outcome: Outcome) -> None:
        self.add(saga.conclude(self.workflow, self.state, invoke, outcome, self.now))

    def until(self, path: str) -> Invoke:
        """Play until this step is to be executed, and return its command unexecuted."""
        while True:
            command = self.next()
            if isinstance(command, Invoke) and command.path == path:
                return command
            assert isinstance(command, Record | Invoke), command
            if isinstance(command, Record):
                self.add(command)
            else:
                told = self.outcomes.get(command.path)
                self.conclude(command, told.pop(0) if told else ok())

    def write(self, path: str, index: int = 0, *, attempt: int = 1, error: JSON = None) -> None:
        """Journal one finished write of the step under way."""
        data = {"index": index, "function": "mail.send", "args_digest": "a", "args": {}, "write": True}
        self.add(Record("call_finished", path, attempt, data | ({"error": error} if error else {"result": {}})))

    @property
    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]

    @property
    def paths(self) -> list[str]:
        return [invoke.path for invoke in self.invokes]


def played(workflow: Workflow, outcomes: Mapping[str, Iterable[Outcome]] | None = None, **options: Any) -> Play:
    play = Play(workflow, outcomes, **options)
    assert isinstance(play.go(), Finished), play.next()
    return play


# ---------------------------------------------------------------- the table of legal moves


def test_the_table_of_moves_is_whole() -> None:
    statuses = set(typing.get_args(RunStatus))
    assert set(LEGAL_MOVES) == statuses
    assert set().union(*LEGAL_MOVES.values()) == statuses - {"pending"}, "every status but the first can be reached"
    for status in statuses - FINAL_STATUSES:
        reached, waiting = set(), [status]
        while waiting:
            reached |= (new := LEGAL_MOVES[waiting.pop()] - reached)
            waiting += new
        assert reached & FINAL_STATUSES, f"a run that is {status} can never end"
    for status in FINAL_STATUSES:
        assert not LEGAL_MOVES[status] & FINAL_STATUSES, f"{status} is final, and may only be taken up again"


def test_an_entry_of_an_unknown_kind_is_refused_and_changes_nothing() -> None:
    play = Play(workflow(task("a")))
    with pytest.raises(InvalidInput, match="unknown kind 'signed_off'"):
        saga.apply(play.state, play.entries[0]._replace(seq=2, kind="signed_off"))
    assert saga.fold(play.entries) == play.state


def test_a_run_of_a_newer_interpreter_is_not_guessed_at() -> None:
    first = Play(workflow(task("a"))).entries[0]
    newer = first._replace(data=first.data | {"semantics": SEMANTICS_VERSION + 1})
    with pytest.raises(InvalidInput, match="this program knows") as caught:
        saga.fold([newer])
    assert "upgrade" in caught.value.hint


# ---------------------------------------------------------------- steps, switches, ends


def test_steps_run_in_order_and_read_input_and_each_others_outputs() -> None:
    flow = workflow(
        task("a", "b", **{"with": {"n": {"var": "input.n"}}}),
        task("b", "done", **{"with": {"m": {"+": [{"var": "nodes.a.output.n"}, 1]}, "run": {"var": "run.id"}}}),
        end(outcome="counted", output={"total": {"var": "nodes.b.output.m"}}),
    )
    play = played(flow, {"a": [ok({"n": 4}, fuel=7)], "b": [ok({"m": 5}, fuel=8)]}, input={"n": 3})
    assert [invoke.input for invoke in play.invokes] == [{"n": 3}, {"m": 5, "run": "r1"}]
    assert play.kinds == ["run_started", "step_succeeded", "step_succeeded", "run_finished"]
    assert (play.state.status, play.state.outcome, play.state.output) == ("succeeded", "counted", {"total": 5})
    assert play.state.fuel == 15


def test_a_graph_without_an_end_node_ends_with_its_last_output() -> None:
    play = played(workflow(task("a")), {"a": [ok({"x": 1})]})
    assert (play.state.status, play.state.output) == ("succeeded", {"x": 1})


def test_the_context_of_a_step_says_who_it_is_and_nothing_else() -> None:
    invoke = Play(workflow(task("a"))).next()
    assert isinstance(invoke, Invoke)
    assert invoke.context == {
        "run_id": "r1",
        "node": "a",
        "attempt": 1,
        "now": "2027-01-15T08:00:00Z",
        "idempotency_key": "r1/a",
    }


@pytest.mark.parametrize(("n", "case", "target"), [(5, 0, "low"), (50, 1, "middle"), (500, "default", "high")])
def test_a_switch_takes_the_first_case_that_holds(n: int, case: JSON, target: str) -> None:
    cases = [
        {"when": {"<": [{"var": "input.n"}, 10]}, "target": "low"},
        {"when": {"<": [{"var": "input.n"}, 100]}, "target": "middle"},
    ]
    flow = workflow(
        {"id": "pick", "kind": "switch", "cases": cases, "default": "high"},
        *(end(each, outcome=each) for each in ("low", "middle", "high")),
    )
    play = played(flow, input={"n": n})
    assert play.entries[1].data == {"case": case, "next": target}
    assert play.state.outcome == target


def test_an_end_of_status_failed_fails_the_run_with_its_outcome_as_code_and_undoes_nothing() -> None:
    play = played(workflow(task("a", "no", compensation=undo()), end("no", status="failed", outcome="refused")))
    assert play.state.status == "failed"
    assert play.state.error is not None
    assert (play.state.error["code"], play.state.error["node"]) == ("refused", "no")
    assert play.paths == ["a"]


@pytest.mark.parametrize(
    "node",
    [
        {"id": "x", "kind": "switch", "cases": [{"when": {"var": "input.gone"}, "target": "done"}], "default": "done"},
        {"id": "x", "kind": "switch", "cases": [{"when": {"var": "input.n"}, "target": "done"}], "default": "done"},
        task("x", "done", **{"with": {"n": {"var": "input.gone"}}}),
        {"id": "x", "kind": "sleep", "seconds": {"var": "input.gone"}, "next": "done"},
        {"id": "x", "kind": "sleep", "seconds": -1, "next": "done"},
        {"id": "x", "kind": "sleep", "until": "tomorrow", "next": "done"},
        {"id": "x", "kind": "approval", "prompt": {"var": "input.gone"}, "next": "done"},
        end("x", output={"var": "input.gone"}),
    ],
    ids=["missing path", "not a boolean", "task", "sleep", "negative sleep", "no date", "prompt", "end"],
)
def test_an_expression_without_a_value_fails_the_step_and_is_compensated(node: dict[str, Any]) -> None:
    play = played(workflow(task("a", "x", compensation=undo()), node, end()), input={"n": 3})
    assert play.state.status == "compensated"
    assert play.state.error is not None
    assert (play.state.error["code"], play.state.error["node"]) == ("bad_expression", "x")
    assert play.paths == ["a", "a~undo"]


# ---------------------------------------------------------------- loops and limits of a run


def loop(**limits: Any) -> Workflow:
    again = {"when": {"<": [{"var": "nodes.count.output.n"}, 3]}, "target": "count"}
    return workflow(
        task("count", "again", compensation=undo(n={"var": "nodes.count.output.n"})),
        {"id": "again", "kind": "switch", "cases": [again], "default": "last"},
        task("last", "done"),
        end(),
        limits=limits,
    )


COUNTED = {"count": [ok({"n": 1})], "count#2": [ok({"n": 2})], "count#3": [ok({"n": 3})]}


def test_a_node_that_is_visited_again_gets_a_path_and_keys_of_its_own() -> None:
    play = played(loop(), COUNTED)
    assert play.paths == ["count", "count#2", "count#3", "last"]
    assert [entry.node for entry in play.entries if entry.kind == "switched"] == ["again", "again#2", "again#3"]
    assert play.invokes[1].context["idempotency_key"] == "r1/count#2"
    assert play.state.trunk.nodes["count"] == {"output": {"n": 3}}


def test_each_visit_is_compensated_with_the_output_of_that_very_visit() -> None:
    play = played(loop(), COUNTED | {"last": [fail()]})
    assert play.paths[4:] == ["count#3~undo", "count#2~undo", "count~undo"]
    assert [invoke.input["n"] for invoke in play.invokes[4:]] == [3, 2, 1]
    assert play.state.undone == ["count#3", "count#2", "count"]


def test_a_compensation_reads_other_outputs_as_they_were_when_its_step_finished() -> None:
    again = {"when": {"<": [{"var": "nodes.pick.output.order"}, 3]}, "target": "pick"}
    flow = workflow(
        task("pick", "pay"),
        task("pay", "again", compensation=undo(order={"var": "nodes.pick.output.order"})),
        {"id": "again", "kind": "switch", "cases": [again], "default": "last"},
        task("last", "done"),
        end(),
    )
    picks = {"pick": [ok({"order": 1})], "pick#2": [ok({"order": 2})], "pick#3": [ok({"order": 3})]}
    play = played(flow, picks | {"last": [fail()]})
    assert [invoke.input["order"] for invoke in play.invokes if invoke.compensation] == [3, 2, 1]


def test_a_run_that_takes_too_many_steps_is_stopped_and_compensated() -> None:
    play = played(loop(steps=4), COUNTED)
    assert play.state.status == "compensated"
    assert play.state.error is not None
    assert play.state.error["code"] == "step_limit"
    assert play.paths == ["count", "count#2", "count#2~undo", "count~undo"]


def test_as_many_steps_as_the_limit_allows_are_taken() -> None:
    assert played(loop(steps=8), COUNTED).state.status == "succeeded"


def test_a_run_past_its_deadline_is_stopped_and_compensated() -> None:
    flow = workflow(
        task("a", "nap", compensation=undo()),
        {"id": "nap", "kind": "sleep", "seconds": 500, "next": "b"},
        task("b"),
        limits={"deadline_seconds": 100},
    )
    play = Play(flow)
    assert play.go() == Pause(NOW + 100)
    play.now = NOW + 100
    assert play.go() == Finished()
    assert play.state.status == "compensated"
    assert play.state.error is not None
    assert play.state.error["code"] == "run_deadline"
    assert play.paths == ["a", "a~undo"]


def test_a_step_that_had_written_when_the_deadline_stopped_the_run_is_compensated_as_partial() -> None:
    flow = workflow(task("a", compensation=undo("why")), limits={"deadline_seconds": 100})
    play = Play(flow)
    assert isinstance(play.next(), Invoke)
    play.write("a")
    play.now = NOW + 100
    assert play.go() == Finished()
    assert play.state.status == "compensated"
    assert [invoke.path for invoke in play.invokes] == ["a~undo"]
    assert play.invokes[0].context["partial"] is True


def test_a_deadline_does_not_make_a_run_forget_a_write_that_was_started() -> None:
    play = Play(workflow(task("a"), limits={"deadline_seconds": 100}))
    play.add(Record("call_started", "a", 1, {"index": 0, "function": "mail.send", "args_digest": "a"}))
    play.now = NOW + 100
    stopped = play.next()
    assert isinstance(stopped, Record)
    play.add(stopped)
    again = play.next()
    assert isinstance(again, Invoke), "only executing it again can tell whether the write may be repeated"
    play.conclude(again, ok())
    play.go()
    assert play.kinds[-3:] == ["run_stopped", "step_succeeded", "run_finished"]
    assert play.state.error is not None
    assert play.state.error["code"] == "run_deadline"


# ---------------------------------------------------------------- attempts


def test_a_retryable_error_is_tried_again_later_and_every_attempt_stays_in_the_journal() -> None:
    play = Play(workflow(task("a"), retry=RETRY), {"a": [fail("busy", retryable=True)] * 2 + [ok({"x": 1})]})
    first = play.go()
    assert isinstance(first, Pause)
    assert play.state.status == "sleeping"
    assert 9.0 <= first.until - NOW <= 11.0
    play.now = first.until
    second = play.go()
    assert isinstance(second, Pause)
    assert 18.0 <= second.until - play.now <= 22.0
    play.now = second.until - 0.001
    assert play.go() == second, "not a moment too early"
    play.now = second.until
    assert play.go() == Finished()
    assert play.kinds == ["run_started", "attempt_failed", "attempt_failed", "step_succeeded", "run_finished"]
    assert [invoke.attempt for invoke in play.invokes] == [1, 2, 3]
    assert {invoke.context["idempotency_key"] for invoke in play.invokes} == {"r1/a"}


def test_the_last_attempt_fails_the_step() -> None:
    play = Play(workflow(task("a", retry=RETRY)), {"a": [fail("busy", retryable=True)] * 3})
    while isinstance(pause := play.go(), Pause):
        play.now = pause.until
    assert play.kinds[-2:] == ["step_failed", "run_finished"]
    assert play.state.status == "failed"
    assert play.state.error is not None
    assert play.state.error["code"] == "busy"


@pytest.mark.parametrize(
    "status", ["reject", "script_error", "fuel", "memory", "deadline", "host_calls", "output_size", "grant_denied"]
)
def test_what_would_end_the_same_way_again_is_not_retried(status: Any) -> None:
    play = played(workflow(task("a", retry=RETRY)), {"a": [Outcome(status=status, message="no")]})
    assert play.paths == ["a"]
    assert play.state.error is not None
    assert play.state.error["code"] == status


def test_the_retry_of_a_node_goes_before_that_of_the_workflow() -> None:
    play = Play(workflow(task("a", retry=RETRY | {"max_attempts": 1}), retry=RETRY), {"a": [fail(retryable=True)]})
    assert play.go() == Finished()


def test_jitter_is_drawn_from_run_node_and_attempt() -> None:
    retry = Retry(initial_seconds=10, jitter=0.5)
    delays = {
        (seed, path, attempt): saga.retry_delay(retry, seed, path, attempt)
        for seed in ("s1", "s2")
        for path in ("a", "b")
        for attempt in (1, 2)
    }
    assert len(set(delays.values())) == 8
    assert all(saga.retry_delay(retry, *key) == delay for key, delay in delays.items())
    assert all(5 <= delay <= 15 for (_, _, attempt), delay in delays.items() if attempt == 1)
    assert [saga.retry_delay(Retry(jitter=0), "s", "a", n) for n in (1, 2, 3, 7, 100)] == [1, 2, 4, 60, 60]


def test_a_steep_retry_stays_below_its_cap() -> None:
    steep = Retry(initial_seconds=5, multiplier=1e300, max_seconds=30, jitter=0)
    assert [saga.retry_delay(steep, "s", "a", n) for n in (1, 2, 100)] == [5, 30, 30]


# ---------------------------------------------------------------- on_error


@pytest.mark.parametrize(("code", "outcome"), [("gone", "gone"), ("other", "any")])
def test_on_error_leads_a_failed_step_on(code: str, outcome: str) -> None:
    handlers = [{"code": "gone", "target": "gone"}, {"code": "*", "target": "any"}]
    flow = workflow(task("a", on_error=handlers), end("gone", outcome="gone"), end("any", outcome="any"))
    play = played(flow, {"a": [fail(code)]})
    assert (play.state.status, play.state.outcome) == ("succeeded", outcome)


def test_on_error_comes_after_the_retries() -> None:
    flow = workflow(task("a", retry=RETRY, on_error=[{"code": "*", "target": "done"}]), end(outcome="handled"))
    play = Play(flow, {"a": [fail("busy", retryable=True)] * 3})
    while isinstance(pause := play.go(), Pause):
        play.now = pause.until
    assert play.kinds.count("attempt_failed") == 2
    assert play.state.outcome == "handled"


def test_on_error_catches_an_argument_without_a_value() -> None:
    flow = workflow(
        task("a", on_error=[{"code": "bad_expression", "target": "done"}], **{"with": {"x": {"var": "input.x"}}}),
        end(outcome="handled"),
    )
    assert played(flow).state.outcome == "handled"


def test_a_step_that_wrote_before_its_handled_error_is_compensated_when_the_run_fails_later() -> None:
    flow = workflow(
        task("a", compensation=undo("why"), on_error=[{"code": "*", "target": "b"}]),
        task("b"),
    )
    play = Play(flow, {"b": [fail("later")]})
    first = play.next()
    assert isinstance(first, Invoke)
    play.write("a")
    play.conclude(first, fail())
    assert play.go() == Finished()
    assert play.paths == ["b", "a~undo"]
    assert play.state.status == "compensated"


# ---------------------------------------------------------------- compensation


def three(**more: Any) -> Workflow:
    return workflow(
        task("a", "b", compensation=undo(x={"var": "nodes.a.output.x"})),
        task("b", "c", compensation=undo(x={"var": "nodes.b.output.x"})),
        task("free", None),
        task("c", None, compensation=undo(x={"var": "nodes.c.output.x"})),
        **more,
    )


def test_what_has_finished_is_undone_newest_first() -> None:
    play = played(three(), {"a": [ok({"x": 1})], "b": [ok({"x": 2})], "c": [fail("broken")]})
    assert play.paths == ["a", "b", "c", "b~undo", "a~undo"]
    assert [invoke.input for invoke in play.invokes[3:]] == [{"x": 2}, {"x": 1}]
    assert all(invoke.compensation and invoke.context["partial"] is False for invoke in play.invokes[3:])
    assert play.invokes[3].context["idempotency_key"] == "r1/b~undo"
    assert play.kinds[-5:] == [
        "step_failed",
        "compensation_started",
        "compensation_succeeded",
        "compensation_succeeded",
        "run_finished",
    ]
    assert play.state.status == "compensated"
    assert play.state.undone == ["b", "a"]
    assert play.state.error is not None
    assert play.state.error["code"] == "broken", "the run's error is why it was given up"


def test_a_step_without_a_write_or_a_compensation_is_not_undone() -> None:
    flow = workflow(task("a", "b"), task("b", compensation=undo()))
    play = played(flow, {"b": [fail()]})
    assert play.paths == ["a", "b"]
    assert play.state.status == "failed"


def partly_failed(flow: Workflow, outputs: Mapping[str, Iterable[Outcome]] | None = None) -> Play:
    """Play `flow` so that its step c fails after one of its writes had succeeded."""
    play = Play(flow, outputs or {"a": [ok({"x": 1})], "b": [ok({"x": 2})]})
    invoke = play.until("c")
    play.write("c")
    play.conclude(invoke, fail())
    assert play.go() == Finished()
    return play


def test_a_step_that_failed_after_a_write_is_undone_first_and_told_that_it_is_partial() -> None:
    flow = workflow(
        task("a", "b", compensation=undo("a")), task("b", "c"), task("c", compensation=undo("c")), task("free")
    )
    play = partly_failed(flow)
    undoing = [invoke for invoke in play.invokes if invoke.compensation]
    assert [(invoke.path, invoke.context["partial"]) for invoke in undoing] == [("c~undo", True), ("a~undo", False)]
    assert play.state.status == "compensated"


def test_a_partly_failed_step_is_undone_with_the_arguments_that_are_known() -> None:
    flow = workflow(
        task("a", "b"),
        task("b", "c"),
        task(
            "c",
            compensation=undo(
                order={"var": "nodes.a.output.x"},
                refund={"var": "nodes.c.output.x"},
                text={"cat": ["refund ", {"var": "nodes.c.output.x"}]},
                known={"var": ["nodes.c.output.x", "none"]},
            ),
        ),
    )
    play = partly_failed(flow)
    assert play.invokes[-1].path == "c~undo"
    assert play.invokes[-1].input == {"order": 1, "known": "none"}
    assert play.state.status == "compensated"


def test_a_partial_compensation_that_its_contract_refuses_says_what_it_was_not_given() -> None:
    flow = workflow(task("a", "b"), task("b", "c"), task("c", compensation=undo(refund={"var": "nodes.c.output.x"})))
    bad_input = Outcome(status="reject", code="bad_input", message="'refund' is a required property")
    play = partly_failed(flow, {"a": [ok({"x": 1})], "b": [ok()], "c~undo": [bad_input]})
    assert play.state.status == "compensation_failed"
    message = play.state.not_undone[0]["error"]["message"]  # type: ignore[index,call-overload]
    assert "'refund' is a required property" in str(message)
    assert "its output is not known" in str(message)


def test_a_partly_failed_second_visit_is_not_undone_with_the_output_of_the_first() -> None:
    play = Play(loop(), COUNTED)
    invoke = play.until("count#2")
    play.write("count#2")
    play.conclude(invoke, fail())
    assert play.go() == Finished()
    assert [(invoke.path, invoke.input) for invoke in play.invokes] == [("count#2~undo", {}), ("count~undo", {"n": 1})]


def test_a_write_that_answered_an_error_does_not_make_a_step_partial() -> None:
    play = Play(workflow(task("a", compensation=undo())))
    invoke = play.next()
    assert isinstance(invoke, Invoke)
    play.write("a", error={"code": "refused", "message": "no"})
    play.conclude(invoke, fail())
    assert play.go() == Finished()
    assert play.state.status == "failed"


def test_a_write_of_an_earlier_attempt_makes_a_step_partial() -> None:
    play = Play(workflow(task("a", retry=RETRY, compensation=undo())), {"a": [fail()]})
    invoke = play.next()
    assert isinstance(invoke, Invoke)
    play.write("a")
    play.conclude(invoke, fail("busy", retryable=True))
    play.now += 60
    assert play.go() == Finished()
    assert play.paths == ["a", "a~undo"]


def test_a_failing_compensation_is_recorded_and_the_rest_is_still_undone() -> None:
    play = played(three(), {"a": [ok({"x": 1})], "b": [ok({"x": 2})], "c": [fail()], "b~undo": [fail("stuck")]})
    assert play.paths[-2:] == ["b~undo", "a~undo"]
    assert play.state.status == "compensation_failed"
    assert play.state.undone == ["a"]
    assert [(each["path"], each["error"]["code"]) for each in play.state.not_undone] == [("b", "stuck")]  # type: ignore[index,call-overload]
    assert play.entries[-1].data["not_undone"] == play.state.not_undone


def test_a_compensation_without_a_value_for_an_argument_fails_alone() -> None:
    play = played(three(), {"a": [ok({"x": 1})], "b": [ok({"y": 2})], "c": [fail()]})
    assert play.paths == ["a", "b", "c", "a~undo"]
    assert play.state.status == "compensation_failed"
    assert [each["path"] for each in play.state.not_undone] == ["b"]


def test_a_compensation_is_retried_even_when_its_step_is_not() -> None:
    busy = [fail("busy", retryable=True)]
    play = Play(three(), {"a": [ok({"x": 1})], "b": [ok({"x": 2})], "c": [fail()], "b~undo": busy * 2, "a~undo": busy})
    waited = 0
    while isinstance(pause := play.go(), Pause):
        assert play.state.status == "sleeping"
        play.now, waited = pause.until, waited + 1
    assert waited == 3
    assert play.state.status == "compensated"


def test_compensating_goes_on_after_the_deadline_of_the_run() -> None:
    flow = three(limits={"deadline_seconds": 5})
    busy = [fail("busy", retryable=True)] * 2
    play = Play(flow, {"a": [ok({"x": 1})], "b": [ok({"x": 2})], "c": [fail()], "b~undo": busy})
    while isinstance(pause := play.go(), Pause):
        play.now = pause.until + 100
    assert play.state.status == "compensated"


# ---------------------------------------------------------------- sleeps


@pytest.mark.parametrize(
    ("nap", "until"),
    [
        ({"seconds": 90}, NOW + 90),
        ({"seconds": {"var": "input.n"}}, NOW + 3),
        ({"until": "2027-01-15T09:00:00Z"}, NOW + 3600),
        ({"until": "2027-01-15T09:00:00"}, NOW + 3600),
        ({"until": "2027-01-15T10:00:00+01:00"}, NOW + 3600),
        ({"until": "2001-01-01"}, 978_307_200.0),
    ],
    ids=["seconds", "reference", "until", "without a zone it is UTC", "zone", "past"],
)
def test_a_sleep_ends_when_it_was_to_end(nap: dict[str, Any], until: float) -> None:
    play = Play(workflow({"id": "nap", "kind": "sleep", "next": "a", **nap}, task("a")), input={"n": 3})
    if until > NOW:
        assert play.go() == Pause(until)
        assert play.state.status == "sleeping"
        play.now = until
    assert play.go() == Finished()
    assert [entry.data["until"] for entry in play.entries if entry.kind == "sleep_started"] == [until]
    assert play.kinds[1:3] == ["sleep_started", "sleep_ended"]


@pytest.mark.parametrize(("at", "shown"), [(0, "1970-01-01T00:00:00Z"), (1e300, "9999-12-31T23:59:59Z")])
def test_every_moment_can_be_shown(at: float, shown: str) -> None:
    assert saga.iso(at) == shown
    assert saga.iso(-1e300) == "0001-01-01T00:00:00Z"


# ---------------------------------------------------------------- approvals


def approval(**more: Any) -> Workflow:
    ask = {"cat": ["Pay ", {"var": "input.n"}, "?"]}
    return workflow(
        task("a", "ask", compensation=undo()),
        {"id": "ask", "kind": "approval", "prompt": ask, "next": "yes", **more},
        end("yes", outcome="yes", output={"var": "nodes.ask.output"}),
        end("no", outcome="no"),
        end("late", outcome="late"),
    )


def asked(flow: Workflow, **options: Any) -> Play:
    play = Play(flow, input={"n": 3}, **options)
    assert isinstance(play.go(), Pause)
    assert play.state.status == "waiting"
    return play


def decide(play: Play, decision: str, **more: Any) -> None:
    more = {"by": "ann", "comment": "", "at": play.now} | more
    play.add(saga.decide_approval(play.workflow, play.state, decision, **more))


def test_an_approval_records_who_when_and_the_digest_of_what_was_shown() -> None:
    play = asked(approval())
    request = play.entries[-1].data
    assert request["prompt"] == "Pay 3?"
    assert request["digest"] == saga.digest_of(
        {"run": "r1", "node": "ask", "workflow": "test.flow", "prompt": "Pay 3?"}
    )
    decide(play, "approved", digest=request["digest"], comment="fine")
    assert play.go() == Finished()
    assert play.state.outcome == "yes"
    assert play.state.output == {
        "decision": "approved",
        "by": "ann",
        "at": "2027-01-15T08:00:00Z",
        "comment": "fine",
    }
    assert next(each for each in play.entries if each.kind == "approval_decided").data["digest"] == request["digest"]


def test_a_decision_on_something_else_is_refused() -> None:
    play = asked(approval())
    asked_for = play.entries[-1].data["digest"]
    for other in ("0" * 64, asked_for + "0", asked_for[:11], ""):
        with pytest.raises(Conflict, match="asks for approval of"):
            decide(play, "approved", digest=other)
    decide(play, "approved", digest=asked_for[:12])


@pytest.mark.parametrize("decision", ["approve", "reject", "yes", "", "APPROVED"])
def test_a_decision_is_approved_or_rejected_and_no_other_word(decision: str) -> None:
    play = asked(approval())
    with pytest.raises(InvalidInput, match="'approved' or 'rejected'"):
        decide(play, decision)
    assert play.state.trunk.waiting is not None


def test_a_rejection_goes_where_the_node_says() -> None:
    play = asked(approval(on_reject="no"))
    decide(play, "rejected")
    assert play.go() == Finished()
    assert (play.state.status, play.state.outcome) == ("succeeded", "no")


def test_a_rejection_that_leads_nowhere_gives_the_run_up() -> None:
    play = asked(approval())
    decide(play, "rejected", comment="too much")
    assert play.state.status == "running", "it waits for nobody any more"
    assert play.go() == Finished()
    assert play.state.status == "compensated"
    assert play.state.error is not None
    assert (play.state.error["code"], play.state.error["message"]) == ("rejected", "ann rejected 'ask': too much")


def test_an_approval_that_nobody_gives_times_out_to_where_the_node_says() -> None:
    play = asked(approval(deadline_seconds=60, on_timeout="late"))
    assert play.go() == Pause(NOW + 60)
    play.now = NOW + 60
    with pytest.raises(Conflict, match="was asked for until 2027-01-15T08:01:00Z"):
        decide(play, "approved")
    assert play.go() == Finished()
    assert play.state.outcome == "late"


def test_an_approval_that_times_out_to_nowhere_gives_the_run_up() -> None:
    play = asked(approval(deadline_seconds=60))
    play.now = NOW + 60
    assert play.go() == Finished()
    assert play.state.status == "compensated"
    assert play.state.error is not None
    assert play.state.error["code"] == "approval_timeout"


def test_an_approval_is_decided_once() -> None:
    play = asked(approval())
    decide(play, "approved")
    with pytest.raises(Conflict, match="waits for no approval"):
        decide(play, "approved")
    with pytest.raises(Conflict, match="waits for no callback"):
        saga.receive_callback(play.workflow, play.state, {}, at=NOW)


# ---------------------------------------------------------------- callbacks


def callback(**more: Any) -> Workflow:
    return workflow(
        task("a", "paid", compensation=undo()),
        {"id": "paid", "kind": "wait", "next": "yes", **more},
        end("yes", outcome="yes", output={"var": "nodes.paid.output.sum"}),
        end("late", outcome="late"),
    )


def test_a_callback_becomes_the_output_of_the_node() -> None:
    play = asked(callback())
    play.add(saga.receive_callback(play.workflow, play.state, {"sum": 5}, at=play.now))
    assert play.go() == Finished()
    assert (play.state.outcome, play.state.output) == ("yes", 5)


def test_a_callback_that_does_not_meet_its_condition_gives_the_run_up() -> None:
    play = asked(callback(success_when={"==": [{"var": "nodes.paid.output.sum"}, 3]}))
    play.add(saga.receive_callback(play.workflow, play.state, {"sum": 5}, at=play.now))
    assert play.go() == Finished()
    assert play.state.status == "compensated"
    assert play.state.error is not None
    assert play.state.error["code"] == "callback_not_successful"


def test_a_callback_for_which_the_condition_has_no_value_is_refused_and_awaited_further() -> None:
    play = asked(callback(success_when={"==": [{"var": "nodes.paid.output.sum"}, 3]}))
    with pytest.raises(InvalidInput):
        saga.receive_callback(play.workflow, play.state, {}, at=play.now)
    assert play.state.status == "waiting"


@pytest.mark.parametrize(("on_timeout", "status"), [("late", "succeeded"), (None, "compensated")])
def test_a_callback_that_does_not_come_times_out(on_timeout: str | None, status: str) -> None:
    play = asked(callback(deadline_seconds=60, on_timeout=on_timeout))
    play.now = NOW + 60
    with pytest.raises(Conflict, match="was awaited until"):
        saga.receive_callback(play.workflow, play.state, {}, at=play.now)
    assert play.go() == Finished()
    assert play.state.status == status
    assert (play.state.error or {}).get("code") == (None if on_timeout else "wait_timeout")


# ---------------------------------------------------------------- host calls and unknown effects


def started(play: Play, path: str = "a", index: int = 0) -> None:
    play.add(Record("call_started", path, 1, {"index": index, "function": "mail.send", "args_digest": "a"}))


def test_an_interrupted_step_is_invoked_again_with_what_is_known_of_its_calls() -> None:
    play = Play(workflow(task("a")))
    play.write("a")
    started(play, index=1)
    invoke = play.next()
    assert isinstance(invoke, Invoke)
    assert [(call.index, call.reply is None, call.write) for call in invoke.calls] == [
        (0, False, True),
        (1, True, True),
    ]
    play.write("a", 1)
    again = play.next()
    assert isinstance(again, Invoke)
    assert [call.reply is None for call in again.calls] == [False, False]


def unknown(flow: Workflow) -> Play:
    play = Play(flow)
    started(play)
    play.add(Record("effect_unknown", "a", 1))
    assert play.state.status == "unknown"
    return play


def test_an_unknown_effect_waits_for_a_person_however_long() -> None:
    play = unknown(workflow(task("a"), limits={"deadline_seconds": 10}))
    play.now += 1000
    assert play.next() == Pause(None)


def test_a_person_says_that_the_effect_happened_and_with_what_result() -> None:
    play = unknown(workflow(task("a")))
    play.add(saga.resolve_effect(play.state, happened=True, result={"id": 7}, by="ann"))
    invoke = play.next()
    assert isinstance(invoke, Invoke)
    assert invoke.calls[0].reply is not None
    assert invoke.calls[0].reply.result == {"id": 7}
    assert (play.state.status, play.state.trunk.wrote) == ("running", True)


def test_a_person_says_that_the_effect_did_not_happen() -> None:
    play = unknown(workflow(task("a")))
    play.add(saga.resolve_effect(play.state, happened=False, result=None, by="ann"))
    invoke = play.next()
    assert isinstance(invoke, Invoke)
    assert invoke.calls == ()
    assert (play.state.status, play.state.trunk.wrote) == ("running", False)


def test_a_run_with_an_unknown_effect_can_be_cancelled_without_undoing_anything() -> None:
    play = unknown(workflow(task("a", compensation=undo())))
    with pytest.raises(Conflict, match="cannot be undone"):
        saga.cancel(play.state, by="ann")
    play.add(saga.cancel(play.state, by="ann", compensate=False))
    assert play.go() == Finished()
    assert (play.state.status, play.paths) == ("cancelled", [])


def test_only_an_unknown_effect_can_be_resolved() -> None:
    with pytest.raises(Conflict, match="has no unknown effect; it is running"):
        saga.resolve_effect(Play(workflow(task("a"))).state, happened=True, result=None, by="ann")


def test_an_unknown_effect_of_a_compensation_is_resolved_and_the_compensation_goes_on() -> None:
    play = Play(workflow(task("a", "b", compensation=undo()), task("b")), {"b": [fail()]})
    play.until("a~undo")
    started(play, "a~undo")
    play.add(Record("effect_unknown", "a~undo", 1))
    play.add(saga.resolve_effect(play.state, happened=True, result={}, by="ann"))
    assert play.state.status == "compensating"
    assert play.go() == Finished()
    assert play.state.status == "compensated"


# ---------------------------------------------------------------- side by side


def fan(*starts: str, id: str = "fan", join: str = "together") -> dict[str, Any]:
    branches = [{"id": f"b{number}", "start": start} for number, start in enumerate(starts)]
    return {"id": id, "kind": "split", "branches": branches, "join": join}


def join(id: str = "together", next: str | None = None, policy: str = "all") -> dict[str, Any]:
    return {"id": id, "kind": "join", "policy": policy, "next": next}


def nap(id: str, next: str | None, seconds: float = 1000) -> dict[str, Any]:
    return {"id": id, "kind": "sleep", "seconds": seconds, "next": next}


def ask(id: str, next: str | None) -> dict[str, Any]:
    return {"id": id, "kind": "approval", "prompt": "?", "next": next}


def hear(id: str, next: str | None, **more: Any) -> dict[str, Any]:
    return {"id": id, "kind": "wait", "next": next, **more}


def call(id: str, next: str | None, **more: Any) -> dict[str, Any]:
    return {"id": id, "kind": "call", "workflow": "test.child", "next": next, **more}


def answered(play: Play, node: str, payload: JSON = None) -> None:
    """One callback arrives, and nothing else happens."""
    play.add(saga.receive_callback(play.workflow, play.state, payload or {}, at=play.now, node=node))


def test_a_join_that_has_its_answer_is_due_at_once_whatever_its_branches_still_wait_for() -> None:
    play = Play(workflow(fan("z", "w"), nap("z", "together"), hear("w", "together"), join(policy="any")))
    assert isinstance(play.go(), Pause)
    answered(play, "w", {"x": 1})
    assert (play.state.status, play.state.due_at()) == ("running", play.now), "a crash here must not leave it asleep"
    assert play.go() == Finished()
    assert play.state.output == {"b1": {"x": 1}}


def test_a_branch_without_steps_wins_at_once() -> None:
    play = Play(workflow(fan("z", "together"), nap("z", "together"), join(policy="any")))
    assert play.go() == Finished()
    assert play.state.output == {"b1": None}


def test_the_last_answer_leaves_a_run_asleep_where_a_branch_still_sleeps() -> None:
    play = Play(workflow(fan("z", "w"), nap("z", "together"), hear("w", "together"), join()))
    play.go()
    assert play.state.status == "waiting"
    answered(play, "w")
    assert play.state.status == "sleeping"


def test_branches_of_a_fork_that_failed_wait_for_nothing_any_more() -> None:
    inner = [fan("bad", "w", id="inner", join="inside"), task("bad", "inside"), hear("w", "inside"), join("inside")]
    flow = workflow(fan("inner", "z"), *inner, nap("z", "together"), join(policy="any", next=None), **{"start": "fan"})
    play = Play(flow, {"fan/b0/inner/b0/bad": [fail()]})
    assert play.go() == Pause(NOW + 1000)
    assert [track.path for track in play.state.waits()] == ["fan/b1/z"]
    with pytest.raises(Conflict, match="waits for no callback"):
        answered(play, "w")


def test_a_run_that_has_made_too_many_bytes_is_due_though_its_branches_wait() -> None:
    flow = workflow(fan("z", "w"), nap("z", "together"), hear("w", "together"), join(), limits={"bytes": 10})
    play = Play(flow)
    play.go()
    answered(play, "w", {"x": "as long as this"})
    assert (play.state.status, play.state.due_at()) == ("running", play.now)
    play.go()
    assert play.state.error is not None
    assert play.state.error["code"] == "bytes_budget"


@pytest.mark.parametrize("budget", ["fuel", "host_calls"])
def test_what_one_branch_may_still_spend_is_not_refused_to_another_but_awaited(budget: str) -> None:
    flow = workflow(fan("x", "y"), task("x", "together"), task("y", "together"), join(), limits={budget: 9})
    play = Play(flow)
    first = play.until("fan/b0/x")
    assert getattr(first, budget) == 9
    running = {first.path: first}
    assert isinstance(saga.decide(flow, play.state, play.now, running), Pause)
    play.conclude(first, ok(**{budget: 4}))
    second = play.next()
    assert isinstance(second, Invoke)
    assert (second.path, getattr(second, budget)) == ("fan/b1/y", 5)


def test_a_called_run_is_told_when_it_is_no_longer_wanted_also_by_the_engine_that_waits_for_it() -> None:
    play = Play(workflow(fan("x", "bad"), call("x", "together"), task("bad", "together"), join()))
    running: dict[str, Any] = {}
    while not isinstance(command := saga.decide(play.workflow, play.state, play.now, running), Pause):
        if isinstance(command, Record):
            play.add(command)
        else:
            assert isinstance(command, saga.Await | Invoke)
            running[command.path] = command
    play.conclude(running.pop("fan/b1/bad"), fail())
    command = saga.decide(play.workflow, play.state, play.now, running)
    assert isinstance(command, saga.Await)
    assert (command.path, command.wish) == ("fan/b0/x", "cancel")
    running[command.path] = command
    assert isinstance(saga.decide(play.workflow, play.state, play.now, running), Pause), "it is told once"


def test_a_deadline_is_why_a_run_ends_and_not_that_what_it_called_was_cancelled_for_it() -> None:
    play = Play(workflow(call("x", None), limits={"deadline_seconds": 100}))
    first = play.next()
    assert isinstance(first, Record)
    play.add(first)
    play.now += 100
    while isinstance(command := play.next(), Record):
        play.add(command)
    assert isinstance(command, saga.Await)
    assert command.wish == "cancel"
    child = State(
        run=command.child, workflow="test.child", status="cancelled", error={"code": "cancelled", "message": ""}
    )
    play.add(saga.child_ended(play.workflow, play.state, command, child))
    assert play.go() == Finished()
    assert play.state.error is not None
    assert play.state.error["code"] == "run_deadline"
    play.add(saga.retry(play.workflow, play.state, by="ann", at=play.now))
    again = play.next()
    assert isinstance(again, Record)
    assert again.kind == "child_started", "it is called again"
    assert again.data["child"] != first.data["child"]


def test_a_retry_leaves_settled_branches_as_they_are() -> None:
    flow = workflow(
        {"id": "each", "kind": "map", "over": [1, 2, 3], "concurrency": 1, "start": "x", "join": "together"},
        task("x", "z"),
        nap("z", "together"),
        join(policy="settled"),
        limits={"deadline_seconds": 100},
    )
    play = Play(flow, {"each/0/x": [fail()]})
    assert play.go() == Pause(NOW + 100)
    play.now += 100
    assert play.go() == Finished()
    play.add(saga.retry(flow, play.state, by="ann", at=play.now))
    assert [track.prefix for track in play.state.acting()] == ["each/1/"], "one at a time, and the first has its result"


def test_an_answer_by_which_a_node_fails_is_not_its_output() -> None:
    good = {"==": [{"var": "nodes.w.output.good"}, True]}
    late = {"deadline_seconds": 50, "on_timeout": "done"}
    play = Play(workflow(hear("w", "done", success_when=good, **late), end(output={"var": ["nodes.w.output", "none"]})))
    play.go()
    answered(play, "w", {"good": False})
    play.go()
    assert play.state.status == "failed"
    play.add(saga.retry(play.workflow, play.state, by="ann", at=play.now))
    play.go()
    play.now += 50
    assert play.go() == Finished()
    assert play.state.output == "none"


# ---------------------------------------------------------------- any path through


def test_random_runs_end_and_move_legally() -> None:
    """Outcomes, answers, waits and crashes drawn at random over one workflow that has every kind of node.

    `Play` checks every move and every fold; here it is seen that each run ends, and that every entry kind occurs.
    """
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    flow = workflow(
        task("a", "pick", compensation=undo(x={"var": "nodes.a.output.x"}), retry=RETRY),
        {
            "id": "pick",
            "kind": "switch",
            "cases": [
                {"when": {"==": [{"var": "nodes.a.output.x"}, 1]}, "target": "ask"},
                {"when": {"==": [{"var": "nodes.a.output.x"}, 2]}, "target": "nap"},
            ],
            "default": "paid",
        },
        {"id": "ask", "kind": "approval", "prompt": "?", "deadline_seconds": 50, "on_reject": "b", "next": "a"},
        {"id": "nap", "kind": "sleep", "seconds": 30, "next": "b"},
        {"id": "paid", "kind": "wait", "deadline_seconds": 50, "on_timeout": "a", "next": "b"},
        task("b", "done", compensation=undo("b"), on_error=[{"code": "handled", "target": "a"}]),
        end(output={"var": "nodes.a.output"}),
        limits={"steps": 12, "deadline_seconds": 300},
        retry=RETRY,
    )
    by_people = {
        "woken",
        "run_cancelled",
        "run_retried",
        "run_forked",
        "taken_over",
        "compensation_resumed",
        "undo_requested",
    }
    branches = {"split_started", "map_started", "joined", "join_failed", "child_started", "child_ended"}
    wanted = saga.ENTRY_KINDS - by_people - branches
    kinds: set[str] = set()
    statuses: set[str] = set()
    for number in range(4000):
        if number >= 400 and kinds == wanted:  # a run that takes too many steps is rare
            break
        play = Play(flow, seed=str(rng.random()))
        for _ in range(1000):
            command = play.next()
            if isinstance(command, Finished):
                break
            _random_move(play, command, rng)
        else:
            pytest.fail(f"a run did not end; seed {seed}")
        kinds |= set(play.kinds)
        statuses.add(play.state.status)
        assert not play.state.waits()
        assert not play.state.unknowns()
    assert kinds == wanted
    assert statuses == {"succeeded", "failed", "compensated", "compensation_failed"}


def _random_move(play: Play, command: saga.Command, rng: random.Random) -> None:
    if isinstance(command, Record):
        play.add(command)
    elif isinstance(command, Invoke):
        index = len(command.calls)
        pending = index > 0 and command.calls[-1].reply is None
        move = rng.random()
        if pending and move < 0.5:
            play.add(Record("effect_unknown", command.path, command.attempt))
        elif pending:
            play.write(command.path, index - 1, attempt=command.attempt)
        elif move < 0.15 and index < 3:
            data = {"index": index, "function": "mail.send", "args_digest": "a"}
            play.add(Record("call_started", command.path, command.attempt, data))
        elif move < 0.3 and index < 3:
            error = {"code": "no", "message": "no"} if rng.random() < 0.3 else None
            play.write(command.path, index, attempt=command.attempt, error=error)
        else:
            drawn = [ok({"x": rng.randrange(4)}), fail("busy", retryable=True), fail("handled"), fail()]
            play.conclude(command, rng.choices(drawn, [6, 2, 1, 1])[0])
    elif play.state.unknowns():
        play.add(saga.resolve_effect(play.state, happened=rng.random() < 0.5, result={}, by="ann"))
    else:
        assert isinstance(command, Pause)
        assert command.until is not None
        kind = next((track.waiting.kind for track in play.state.waits() if track.waiting), "")
        if kind == "approval" and rng.random() < 0.7:
            decision = rng.choice(["approved", "rejected"])
            play.add(saga.decide_approval(play.workflow, play.state, decision, by="ann", comment="", at=play.now))
        elif kind == "callback" and rng.random() < 0.7:
            play.add(saga.receive_callback(play.workflow, play.state, {}, at=play.now))
        else:
            play.now = rng.choice([command.until, command.until + 1, play.now + 1])
