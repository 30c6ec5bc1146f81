"""Workflows before they run: each rule by the code of its finding and the JSON path where it stands."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

from ritesmith.grants import effect_of
from ritesmith.guard.workflow import check_workflow
from ritesmith.guard.workflow_flow import components, dominator_intervals
from ritesmith.guard.workflow_shape import read_workflow
from ritesmith.models import Contract, Finding, HostFunction, WorkflowLimits

TEXT = {"type": "string"}
NUMBER = {"type": "number"}


def an_object(required: str = "", **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
        "additionalProperties": False,
    }


def host(name: str, effect: Any, *errors: str) -> HostFunction:
    return HostFunction(name=name, description=name, input={}, output={}, effect=effect, errors=errors)


CATALOG = {
    "store.get": host("store.get", "read"),
    "store.put": host("store.put", "write", "store_conflict"),
    "id.new": host("id.new", "pure"),
}


def contract(name: str, given: Any, output: Any, *granted: str, **more: Any) -> Contract:
    grants: dict[str, dict[str, Any]] = {each: {} for each in granted}
    return Contract(name=name, intent="a test", input=given, output=output, grants=grants, **more)


CONTRACTS = {
    each.name: each
    for each in (
        contract("orders.get", an_object("id", id=TEXT), an_object("amount", amount=NUMBER, note=TEXT), "store.get"),
        contract(
            "orders.pay",
            an_object("id amount", id=TEXT, amount=NUMBER, mode={"enum": ["card", "cash"]}),
            an_object("receipt", receipt=TEXT),
            "store.put",
            "id.new",
            examples=[{"input": {}, "error": "declined"}],
        ),
        contract("orders.unpay", an_object("receipt", receipt=TEXT), an_object(), "store.put"),
        contract("text.tell", {"type": "object", "properties": {"text": TEXT}}, an_object()),
        contract("orders.ship", an_object("id", id=TEXT), an_object(), "store.put", compensated_by="orders.unship"),
    )
}

AMOUNT = {"var": "nodes.get.output.amount"}
ID = {"var": "input.id"}

GOOD: dict[str, Any] = {
    "name": "orders.settle",
    "intent": "settle an order",
    "input": an_object("id", id=TEXT, note=TEXT),
    "output": an_object("receipt", receipt=TEXT),
    "start": "get",
    "nodes": [
        {"id": "get", "kind": "task", "capability": "orders.get", "with": {"id": ID}, "next": "large"},
        {
            "id": "large",
            "kind": "switch",
            "cases": [{"when": {">": [AMOUNT, 100]}, "target": "ask"}],
            "default": "pay",
        },
        {
            "id": "ask",
            "kind": "approval",
            "prompt": {"cat": ["Pay ", AMOUNT, "?"]},
            "deadline_seconds": 60,
            "on_reject": "refused",
            "on_timeout": "again",
            "next": "pay",
        },
        {
            "id": "pay",
            "kind": "task",
            "capability": "orders.pay",
            "with": {"id": ID, "amount": AMOUNT},
            "compensation": {
                "capability": "orders.unpay",
                "with": {"receipt": {"var": "nodes.pay.output.receipt"}},
            },
            "on_error": [{"code": "declined", "target": "refused"}],
            "next": "done",
        },
        {"id": "again", "kind": "sleep", "seconds": 60, "next": "get"},
        {"id": "refused", "kind": "end", "status": "failed", "outcome": "refused"},
        {
            "id": "done",
            "kind": "end",
            "outcome": "paid",
            "output": {"receipt": {"var": "nodes.pay.output.receipt"}},
        },
    ],
    "examples": [{"input": {"id": "o1"}, "decisions": {"ask": "approved"}, "outcome": "paid"}],
}
GET, LARGE, ASK, PAY, AGAIN, REFUSED, DONE = range(7)

Change = Callable[[dict[str, Any]], object]
Expected = list[tuple[str, str]]


def check(value: dict[str, Any]) -> list[Finding]:
    workflow, findings = read_workflow(value)
    assert findings == []
    assert workflow is not None
    return check_workflow(workflow, resolve=CONTRACTS.get, known_names=CONTRACTS, catalog=CATALOG)


def changed(change: Change) -> dict[str, Any]:
    value = copy.deepcopy(GOOD)
    change(value)
    return value


def put(*path: Any) -> Change:
    """Set the last but one of the path, in the workflow, to the last."""

    def change(value: Any) -> None:
        *way, key, new = path
        for each in way:
            value = value[each]
        value[key] = copy.deepcopy(new)

    return change


def together(*changes: Change) -> Change:
    return lambda value: [change(value) for change in changes]


def node(index: int, key: str, new: Any) -> Change:
    return put("nodes", index, key, new)


def drop(index: int, key: str) -> Change:
    return lambda value: value["nodes"][index].pop(key)


def add(**fields: Any) -> Change:
    return lambda value: value["nodes"].append(copy.deepcopy(fields))


def places(findings: list[Finding]) -> Expected:
    return [(each.code, each.where.path) for each in findings]


def test_a_good_workflow_has_no_findings() -> None:
    assert check(GOOD) == []


# ---------------------------------------------------------------- shape


@pytest.mark.parametrize(
    ("change", "expected", "hint"),
    [
        pytest.param(put("inptu", {}), [("workflow_shape", "$.inptu")], "'input'", id="unknown field"),
        pytest.param(node(GET, "nxt", "x"), [("workflow_shape", "$.nodes[0].nxt")], "'next'", id="in a task"),
        pytest.param(
            node(AGAIN, "on_timeout", "x"),
            [("workflow_shape", "$.nodes[4].on_timeout")],
            "known are: id, kind, seconds, until, next",
            id="field of another kind",
        ),
        pytest.param(node(GET, "with_", {}), [("workflow_shape", "$.nodes[0].with_")], "'with'", id="python's name"),
        pytest.param(
            put("nodes", LARGE, "cases", 0, {"when": True, "taget": "ask"}),
            [("workflow_shape", "$.nodes[1].cases[0].target"), ("workflow_shape", "$.nodes[1].cases[0].taget")],
            "'target'",
            id="in a case",
        ),
        pytest.param(
            node(PAY, "retry", {"max_attempt": 3}),
            [("workflow_shape", "$.nodes[3].retry.max_attempt")],
            "'max_attempts'",
            id="in a retry",
        ),
        pytest.param(
            put("examples", 0, {"input": {}, "decision": {}}),
            [("workflow_shape", "$.examples[0].decision")],
            "'decisions'",
            id="in an example",
        ),
        pytest.param(node(GET, "kind", "tsk"), [("unknown_node_kind", "$.nodes[0].kind")], "'task'", id="unknown kind"),
        pytest.param(
            node(GET, "kind", "parallel"), [("unknown_node_kind", "$.nodes[0].kind")], "known are: task", id="foreign"
        ),
        pytest.param(drop(GET, "kind"), [("unknown_node_kind", "$.nodes[0]")], "known are: task", id="no kind"),
        pytest.param(put("nodes", []), [("workflow_shape", "$.nodes")], "", id="no nodes"),
        pytest.param(
            put("limits", {"steps": "5"}), [("workflow_shape", "$.limits.steps")], "", id="a string is no number"
        ),
        pytest.param(
            put("limits", {"steps": True}), [("workflow_shape", "$.limits.steps")], "", id="a boolean is no number"
        ),
        pytest.param(put("name", "Orders"), [("workflow_shape", "$.name")], "", id="name"),
    ],
)
def test_shape(change: Change, expected: Expected, hint: str) -> None:
    workflow, findings = read_workflow(changed(change), "w.json")
    assert workflow is None
    assert places(findings) == expected
    assert hint in findings[-1].hint
    assert all(each.severity == "error" and each.where.file == "w.json" for each in findings)


@pytest.mark.parametrize("value", [None, [], "text", 5], ids=repr)
def test_what_is_no_object_is_no_workflow(value: Any) -> None:
    workflow, findings = read_workflow(value)
    assert workflow is None
    assert places(findings) == [("workflow_shape", "$")]


def test_a_value_too_deep_to_read_is_a_finding() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    workflow, findings = read_workflow({"name": deep})
    assert workflow is None
    assert places(findings) == [("workflow_shape", "$")]


# ---------------------------------------------------------------- sense

LOST = {"var": "nodes.ask.output.by"}

ERRORS = [
    # structure
    pytest.param(add(id="get", kind="end", status="failed"), [("duplicate_id", "$.nodes[7].id")], id="duplicate id"),
    pytest.param(put("start", "gte"), [("unknown_target", "$.start")], id="unknown start"),
    pytest.param(node(GET, "next", "larg"), [("unknown_target", "$.nodes[0].next")], id="unknown next"),
    pytest.param(node(LARGE, "default", "x"), [("unknown_target", "$.nodes[1].default")], id="unknown default"),
    pytest.param(
        put("nodes", LARGE, "cases", 0, "target", "x"),
        [("unknown_target", "$.nodes[1].cases[0].target")],
        id="unknown case",
    ),
    pytest.param(node(ASK, "on_reject", "x"), [("unknown_target", "$.nodes[2].on_reject")], id="unknown on_reject"),
    pytest.param(node(ASK, "on_timeout", "x"), [("unknown_target", "$.nodes[2].on_timeout")], id="unknown on_timeout"),
    pytest.param(
        put("nodes", PAY, "on_error", 0, "target", "x"),
        [("unknown_target", "$.nodes[3].on_error[0].target")],
        id="unknown handler",
    ),
    # graph
    pytest.param(add(id="alone", kind="end", status="failed"), [("unreachable_node", "$.nodes[7]")], id="unreachable"),
    pytest.param(
        put(
            "nodes",
            AGAIN,
            {
                "id": "again",
                "kind": "switch",
                "cases": [{"when": {"<": [AMOUNT, 0]}, "target": "get"}],
                "default": "get",
            },
        ),
        [],
        id="a cycle through an approval pauses",
    ),
    pytest.param(
        put("nodes", PAY, "on_error", [{"code": "*", "target": "get"}]),
        [("unbounded_cycle", "$.nodes[0]")],
        id="cycle without a pause",
    ),
    pytest.param(
        put("nodes", PAY, "on_error", [{"code": "*", "target": "pay"}]),
        [("unbounded_cycle", "$.nodes[3]")],
        id="node that is its own next",
    ),
    # references
    pytest.param(
        put("nodes", PAY, "with", "amount", {"var": "nodes.gte.output.amount"}),
        [("unknown_node", "$.nodes[3].with.amount.var")],
        id="unknown node",
    ),
    pytest.param(
        put("nodes", PAY, "with", "amount", {"var": "nodes.large.output"}),
        [("no_output", "$.nodes[3].with.amount.var")],
        id="a switch has no output",
    ),
    pytest.param(
        put("nodes", PAY, "with", "amount", {"var": "nodes.get.output.amuont"}),
        [("unknown_property", "$.nodes[3].with.amount.var")],
        id="unknown output property",
    ),
    pytest.param(
        put("nodes", PAY, "with", "id", {"var": ["input.uid", "none"]}),
        [("unknown_property", "$.nodes[3].with.id.var")],
        id="a default hides no slip",
    ),
    pytest.param(
        put("nodes", PAY, "with", "id", {"var": "run.number"}),
        [("unknown_property", "$.nodes[3].with.id.var")],
        id="unknown under run",
    ),
    pytest.param(
        put("nodes", PAY, "with", "id", {"var": "item.id"}),
        [("unknown_reference", "$.nodes[3].with.id.var")],
        id="no item here",
    ),
    pytest.param(
        put("nodes", PAY, "with", "id", {"var": "order.id"}), [("bad_path", "$.nodes[3].with.id.var")], id="no root"
    ),
    pytest.param(
        put("nodes", PAY, "with", "id", LOST), [("not_assigned", "$.nodes[3].with.id.var")], id="round a branch"
    ),
    pytest.param(
        node(REFUSED, "output", {"var": "nodes.pay.output"}),
        [("never_assigned", "$.nodes[5].output.var")],
        id="after the producer failed",
    ),
    pytest.param(
        node(AGAIN, "seconds", {"if": [{"==": [LOST, "x"]}, 1, 2]}),
        [("never_assigned", "$.nodes[4].seconds.if[0]['=='][0].var")],
        id="after the producer timed out",
    ),
    pytest.param(
        put("nodes", GET, "with", "id", {"var": "nodes.pay.output.receipt"}),
        [("never_assigned", "$.nodes[0].with.id.var")],
        id="before the producer",
    ),
    pytest.param(
        put("nodes", GET, "with", "id", {"cat": {"var": "nodes.get.output.amount"}}),
        [("not_assigned", "$.nodes[0].with.id.cat.var")],
        id="its own output, first time round the loop",
    ),
    pytest.param(
        put("nodes", PAY, "compensation", "with", "receipt", LOST),
        [("not_assigned", "$.nodes[3].compensation.with.receipt.var")],
        id="compensation round a branch",
    ),
    # types
    pytest.param(
        node(PAY, "capability", "orders.pya"), [("unknown_capability", "$.nodes[3].capability")], id="capability"
    ),
    pytest.param(
        node(PAY, "capability", "orders.pay@9"), [("unknown_capability", "$.nodes[3].capability")], id="version"
    ),
    pytest.param(
        put("nodes", PAY, "compensation", "capability", "orders.unpya"),
        [("unknown_capability", "$.nodes[3].compensation.capability")],
        id="compensation's capability",
    ),
    pytest.param(node(PAY, "with", {"id": ID}), [("missing_property", "$.nodes[3].with")], id="missing input"),
    pytest.param(
        put("nodes", PAY, "with", "mod", "card"), [("unknown_property", "$.nodes[3].with.mod")], id="unknown input"
    ),
    pytest.param(
        put("nodes", PAY, "with", "amount", ID), [("type_mismatch", "$.nodes[3].with.amount")], id="input's type"
    ),
    pytest.param(
        put("nodes", PAY, "with", "mode", "credit"), [("not_admitted", "$.nodes[3].with.mode")], id="input's value"
    ),
    pytest.param(
        put("nodes", PAY, "compensation", "with", {"receipt": AMOUNT}),
        [("type_mismatch", "$.nodes[3].compensation.with.receipt")],
        id="compensation's input",
    ),
    pytest.param(
        put("nodes", PAY, "with", {"var": "input"}),
        [("missing_property", "$.nodes[3].with")] * 2 + [("unknown_property", "$.nodes[3].with.var")],
        id="with is no expression",
    ),
    pytest.param(
        put("nodes", LARGE, "cases", 0, "when", AMOUNT),
        [("not_boolean", "$.nodes[1].cases[0].when")],
        id="condition of a number",
    ),
    pytest.param(
        put("nodes", LARGE, "cases", 0, "when", {">": [AMOUNT, "100"]}),
        [("type_mismatch", "$.nodes[1].cases[0].when['>']")],
        id="condition of mixed types",
    ),
    pytest.param(
        put("nodes", LARGE, "cases", 0, "when", {"=>": [AMOUNT, 100]}),
        [("unknown_operator", "$.nodes[1].cases[0].when")],
        id="unknown operator",
    ),
    pytest.param(
        node(ASK, "prompt", {"cat": [{"var": "nodes.get.output"}]}),
        [("type_mismatch", "$.nodes[2].prompt.cat[0]")],
        id="prompt",
    ),
    pytest.param(drop(AGAIN, "seconds"), [("bad_sleep", "$.nodes[4]")], id="sleep without a time"),
    pytest.param(node(AGAIN, "until", "2026-01-01"), [("bad_sleep", "$.nodes[4]")], id="sleep with two times"),
    pytest.param(node(AGAIN, "seconds", 0), [("not_admitted", "$.nodes[4].seconds")], id="sleep of nothing"),
    pytest.param(node(AGAIN, "seconds", ID), [("type_mismatch", "$.nodes[4].seconds")], id="sleep of a string"),
    pytest.param(
        together(drop(AGAIN, "seconds"), node(AGAIN, "until", "soon")),
        [("bad_sleep", "$.nodes[4].until")],
        id="sleep until no time",
    ),
    pytest.param(
        node(DONE, "output", {"receipt": AMOUNT}), [("type_mismatch", "$.nodes[6].output.receipt")], id="output's type"
    ),
    pytest.param(drop(DONE, "output"), [("type_mismatch", "$.nodes[6].output")], id="no output"),
    pytest.param(
        node(ASK, "next", None),
        [("missing_property", "$.nodes[2].next")]
        + [("unknown_property", f"$.nodes[2].next.{name}") for name in ("decision", "by", "at", "comment")],
        id="last output is not the output",
    ),
    pytest.param(put("output", {"type": "objekt"}), [("schema_invalid", "$.output.type")], id="output schema"),
    pytest.param(
        put("output", {"$ref": "#/$defs/x"}), [("schema_invalid", "$.output.$ref")], id="reference to nothing"
    ),
    pytest.param(
        put("output", {"$ref": "https://example.org/x"}), [("schema_invalid", "$.output.$ref")], id="reference outside"
    ),
    pytest.param(
        put("output", {"anyOf": [{"$ref": "#/$defs/x"}], "$defs": {"x": {"allOf": [{"$ref": "#/$defs/x"}]}}}),
        [("schema_invalid", "$.output")],
        id="reference round and round",
    ),
    # examples
    pytest.param(
        put("examples", 0, "input", {"id": 5}), [("example_input", "$.examples[0].input.id")], id="example's input"
    ),
    pytest.param(
        put("examples", 0, "output", {"receipt": 5}),
        [("example_output", "$.examples[0].output.receipt")],
        id="example's output",
    ),
    pytest.param(put("examples", 0, "outcome", "payed"), [("unknown_outcome", "$.examples[0].outcome")], id="outcome"),
    pytest.param(put("examples", 0, "status", "done"), [("unknown_status", "$.examples[0].status")], id="status"),
    pytest.param(
        put("examples", 0, "decisions", {"asc": "approved", "*": "approved"}),
        [("unknown_node", "$.examples[0].decisions.asc")],
        id="decision for no approval",
    ),
    pytest.param(
        put("examples", 0, "callbacks", {"ask": 1}),
        [("unknown_node", "$.examples[0].callbacks.ask")],
        id="callback for no wait",
    ),
]

WARNINGS = [
    pytest.param(
        put("nodes", PAY, "with", "id", {"var": "input.note"}),
        [("may_be_missing", "$.nodes[3].with.id.var")],
        id="optional property without a default",
    ),
    pytest.param(
        put("nodes", PAY, "with", "id", {"var": ["input.note", "none"]}), [], id="optional property with a default"
    ),
    pytest.param(
        put("nodes", PAY, "with", "id", {"var": ["nodes.ask.output.by", "none"]}),
        [],
        id="default where a way goes round",
    ),
    pytest.param(
        put("nodes", PAY, "with", "id", {"if": [{"==": [{"missing": "nodes.ask.output.by"}, []]}, "asked", "not"]}),
        [],
        id="missing where a way goes round",
    ),
    pytest.param(
        put("nodes", GET, "with", "id", {"var": ["nodes.get.output.note", "first"]}),
        [],
        id="its own output from the last time round",
    ),
    pytest.param(
        put("nodes", GET, "with", "id", {"var": ["nodes.pay.output.receipt", "none"]}),
        [("never_assigned", "$.nodes[0].with.id.var")],
        id="default that always holds",
    ),
    pytest.param(node(REFUSED, "output", {"var": "nodes.get.output"}), [], id="output of what came before the failure"),
    pytest.param(
        together(node(ASK, "on_reject", "who"), add(id="who", kind="end", status="failed", output=LOST)),
        [],
        id="a rejection has an output",
    ),
    pytest.param(drop(PAY, "compensation"), [("no_compensation", "$.nodes[3]")], id="write without compensation"),
    pytest.param(
        together(drop(PAY, "compensation"), node(PAY, "no_compensation", "nothing to undo")), [], id="with a reason"
    ),
    pytest.param(
        together(drop(PAY, "compensation"), node(PAY, "no_compensation", " ")),
        [("no_compensation", "$.nodes[3]")],
        id="an empty reason is none",
    ),
    pytest.param(node(PAY, "no_compensation", "why"), [("contradiction", "$.nodes[3].no_compensation")], id="both"),
    pytest.param(
        put("nodes", PAY, "on_error", 0, "code", "declned"),
        [("unraised_error", "$.nodes[3].on_error[0].code")],
        id="error that nothing raises",
    ),
    pytest.param(put("nodes", PAY, "on_error", 0, "code", "store_conflict"), [], id="error of a host function"),
    pytest.param(put("nodes", PAY, "on_error", 0, "code", "deadline"), [], id="error of the execution"),
    pytest.param(
        put("nodes", PAY, "on_error", [{"code": "*", "target": "refused"}, {"code": "declined", "target": "refused"}]),
        [("unreachable_handler", "$.nodes[3].on_error[1].code")],
        id="handler after all",
    ),
    pytest.param(
        put("nodes", LARGE, "cases", 0, "when", {">": [101, 100]}),
        [("constant_condition", "$.nodes[1].cases[0].when")],
        id="constant condition",
    ),
    pytest.param(drop(ASK, "deadline_seconds"), [("no_deadline", "$.nodes[2].on_timeout")], id="no deadline"),
    pytest.param(
        put("limits", {"deadline_seconds": 30}),
        [("deadline_too_long", "$.nodes[2].deadline_seconds")],
        id="deadline after the run's",
    ),
    pytest.param(put("limits", {"steps": 3}), [("steps_too_few", "$.limits.steps")], id="too few steps"),
    pytest.param(put("limits", {"steps": 4}), [], id="just enough steps"),
    pytest.param(put("examples", []), [("no_examples", "$.examples")], id="no examples"),
    pytest.param(
        together(
            node(ASK, "on_timeout", "rest"),
            put("nodes", AGAIN, {"id": "rest", "kind": "sleep", "seconds": 60, "next": "rest"}),
        ),
        [("never_ends", "$.nodes[4]")],
        id="loop without a way out",
    ),
    pytest.param(
        together(
            node(AGAIN, "next", "say"),
            add(id="say", kind="task", capability="text.tell", **{"with": {"txt": "x"}}, next="get"),
        ),
        [("unknown_property", "$.nodes[7].with.txt")],
        id="input that an open schema does not name",
    ),
]


@pytest.mark.parametrize(("change", "expected"), ERRORS)
def test_errors(change: Change, expected: Expected) -> None:
    findings = check(changed(change))
    assert places(findings) == expected
    assert {each.severity for each in findings} <= {"error"}


@pytest.mark.parametrize(("change", "expected"), WARNINGS)
def test_warnings(change: Change, expected: Expected) -> None:
    findings = check(changed(change))
    assert places(findings) == expected
    assert {each.severity for each in findings} <= {"warning"}


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        pytest.param(put("start", "gte"), "did you mean 'get'?", id="node"),
        pytest.param(node(PAY, "capability", "orders.pya"), "did you mean 'orders.pay'?", id="capability"),
        pytest.param(
            put("nodes", PAY, "with", "amount", {"var": "nodes.get.output.amuont"}),
            "did you mean 'amount'?",
            id="output property",
        ),
        pytest.param(put("nodes", PAY, "with", "mod", "card"), "did you mean 'mode'?", id="input property"),
        pytest.param(put("examples", 0, "outcome", "payed"), "did you mean 'paid'?", id="outcome"),
        pytest.param(put("nodes", PAY, "on_error", 0, "code", "declned"), "did you mean 'declined'?", id="error code"),
        pytest.param(
            together(
                node(PAY, "capability", "orders.ship"),
                node(PAY, "with", {"id": ID}),
                drop(PAY, "compensation"),
                node(DONE, "status", "failed"),
                drop(DONE, "output"),
            ),
            "'orders.unship' is made to undo it",
            id="the compensation that the contract names",
        ),
    ],
)
def test_near_misses(change: Change, hint: str) -> None:
    assert any(hint in each.hint for each in check(changed(change)))


def test_a_missing_output_names_a_way_round_its_producer() -> None:
    (finding,) = check(changed(put("nodes", PAY, "with", "id", LOST)))
    assert "'ask' has no output when the run comes by get > large > pay" in finding.message


def test_a_cycle_is_spelt_out() -> None:
    (finding,) = check(changed(put("nodes", PAY, "on_error", [{"code": "*", "target": "get"}])))
    assert "get > large > pay > get" in finding.message


WAIT: dict[str, Any] = {
    "id": "wait",
    "kind": "wait",
    "schema": an_object("paid", paid={"type": "boolean"}),
    "deadline_seconds": 60,
    "on_timeout": "refused",
    "next": "again",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(put("success_when", {"var": "nodes.wait.output.paid"}), [], id="success_when reads the payload"),
        pytest.param(
            put("success_when", {"var": "nodes.wait.output.pad"}),
            [("unknown_property", "$.nodes[7].success_when.var")],
            id="success_when, unknown property",
        ),
        pytest.param(
            put("success_when", {"cat": "yes"}),
            [("not_boolean", "$.nodes[7].success_when")],
            id="success_when, no boolean",
        ),
        pytest.param(
            put("on_timeout", "late"), [("not_assigned", "$.nodes[8].output.var")], id="no payload after a timeout"
        ),
        pytest.param(
            put("schema", {"type": "strin"}), [("schema_invalid", "$.nodes[7].schema.type")], id="payload's schema"
        ),
    ],
)
def test_wait(change: Change, expected: Expected) -> None:
    wait = copy.deepcopy(WAIT)
    change(wait)
    late = {"id": "late", "kind": "end", "status": "failed", "output": {"var": "nodes.wait.output.paid"}}
    after = [late] if wait["on_timeout"] == "late" else []
    value = changed(together(node(ASK, "on_timeout", "wait"), lambda value: value["nodes"].extend([wait, *after])))
    assert places(check(value)) == expected


def test_a_callback_of_an_example_meets_the_schema() -> None:
    value = changed(
        together(node(ASK, "on_timeout", "wait"), add(**WAIT), put("examples", 0, "callbacks", {"wait": {"paid": 1}}))
    )
    (finding,) = check(value)
    assert (finding.code, finding.where.path) == ("example_callback", "$.examples[0].callbacks.wait.paid")
    assert finding.severity == "warning"


def test_wrong_targets_are_told_without_what_follows_from_them() -> None:
    value = changed(together(node(GET, "next", "larg"), put("nodes", PAY, "with", "amount", ID)))
    assert places(check(value)) == [
        ("unknown_target", "$.nodes[0].next"),
        ("type_mismatch", "$.nodes[3].with.amount"),
    ]


def test_a_finding_says_the_file() -> None:
    workflow, _ = read_workflow(changed(put("examples", [])))
    assert workflow is not None
    (finding,) = check_workflow(
        workflow, resolve=CONTRACTS.get, known_names=CONTRACTS, catalog=CATALOG, file="workflows/settle.json"
    )
    assert str(finding.where) == "workflows/settle.json $.examples"


# ---------------------------------------------------------------- versions and limits


def told(value: dict[str, Any], **more: Any) -> list[tuple[str, str, str, str, str]]:
    workflow, _ = read_workflow(value)
    assert workflow is not None
    versions: dict[str, Contract | None] = {f"{name}@1": each for name, each in CONTRACTS.items()}
    versions |= {**CONTRACTS, "orders.ship": None}
    more = {"resolve": versions.get, "known_names": CONTRACTS, "catalog": CATALOG} | more
    found = check_workflow(workflow, **more)
    return [(each.severity, each.code, each.where.path, each.message, each.hint) for each in found]


STATUSES: dict[str, Any] = {
    **dict.fromkeys(CONTRACTS, "active"),
    "orders.get@1": "deprecated",
    "orders.pay@1": "revoked",
    "orders.unpay@1": "revoked",
    "orders.ship": "revoked",
    "orders.draft@1": "draft",
}


def test_pins_to_deprecated_and_revoked_versions_are_found() -> None:
    undo = {"capability": "orders.unpay@1", "with": {"receipt": {"var": "nodes.pay.output.receipt"}}}
    value = changed(
        together(
            node(GET, "capability", "orders.get@1"),
            node(PAY, "capability", "orders.pay@1"),
            node(PAY, "compensation", undo),
        )
    )
    newest = "for the newest version"
    assert told(value, status=STATUSES.get) == [
        (
            "warning",
            "deprecated_version",
            "$.nodes[0].capability",
            "the capability 'orders.get@1' is deprecated",
            f"write 'orders.get' {newest}",
        ),
        (
            "error",
            "revoked_version",
            "$.nodes[3].capability",
            "the capability 'orders.pay@1' is revoked",
            f"write 'orders.pay' {newest}",
        ),
        (
            "error",
            "revoked_version",
            "$.nodes[3].compensation.capability",
            "the capability 'orders.unpay@1' is revoked",
            f"write 'orders.unpay' {newest}",
        ),
    ]


def test_a_name_without_an_active_version_is_told_as_such() -> None:
    (finding,) = told(changed(node(GET, "capability", "orders.ship")), status=STATUSES.get)[:1]
    assert finding[:3] == ("error", "revoked_version", "$.nodes[0].capability")
    assert finding[3] == "no version of the capability 'orders.ship' is active, and the newest is revoked"


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        pytest.param({"orders.inner@1": "revoked"}, "the workflow 'orders.inner@1' is revoked", id="itself"),
        pytest.param(
            {"orders.inner@1": "active", "orders.pay@1": "revoked"},
            "the workflow 'orders.inner@1' uses 'orders.pay@1', which is revoked",
            id="what it is made of",
        ),
    ],
)
def test_a_called_workflow_is_looked_at_as_well(statuses: dict[str, Any], words: str) -> None:
    inner, _ = read_workflow(changed(together(put("name", "orders.inner"), node(PAY, "capability", "orders.pay@1"))))
    call = {"id": "get", "kind": "call", "workflow": "orders.inner@1", "with": {"id": ID}, "next": "large"}
    value = changed(put("nodes", GET, call))
    found = told(value, status=statuses.get, resolve_workflow={"orders.inner@1": inner}.get)
    assert ("error", "revoked_version", "$.nodes[0].workflow", words) in [each[:4] for each in found]


MAPPED = together(
    node(AGAIN, "next", "each"),
    add(id="each", kind="map", over=[1], start="rest", join="all", concurrency=50),
    add(id="rest", kind="sleep", seconds=1, next="all"),
    add(id="all", kind="join", next="get"),
)


def test_limits_are_held_against_those_of_the_policy() -> None:
    value = changed(together(MAPPED, put("limits", {"steps": 5000})))
    ceiling = WorkflowLimits(steps=1000, deadline_seconds=86_400, fuel=10_000, concurrency=20, max_items=100)
    assert [each[1:4] for each in told(value, ceiling=ceiling)] == [
        ("limit_too_high", "$.limits.steps", "steps is 5,000, and the policy allows 1,000"),
        (
            "limit_too_high",
            "$.limits.deadline_seconds",
            "deadline_seconds is 604,800 where nothing is said, and the policy allows 86,400",
        ),
        (
            "limit_too_high",
            "$.limits.fuel",
            "fuel has no limit where nothing is said, and the policy allows 10,000",
        ),
        ("limit_too_high", "$.nodes[7].concurrency", "concurrency is 50, and the policy allows 20"),
        (
            "limit_too_high",
            "$.nodes[7].max_items",
            "max_items is 1,000 where nothing is said, and the policy allows 100",
        ),
    ]
    within = {"steps": 1000, "deadline_seconds": 86_400, "fuel": 10_000}
    value = changed(together(MAPPED, put("limits", within)))
    value["nodes"][7] |= {"concurrency": 20, "max_items": 100}
    assert told(value, ceiling=ceiling) == []


@pytest.mark.parametrize(
    ("granted", "effect"),
    [
        pytest.param([], "pure", id="nothing granted"),
        pytest.param(["id.new"], "pure", id="pure"),
        pytest.param(["id.new", "store.get"], "read", id="read"),
        pytest.param(["store.put", "store.get"], "write", id="write"),
        pytest.param(["who.knows"], "write", id="unknown counts as write"),
    ],
)
def test_effect_of(granted: list[str], effect: str) -> None:
    assert effect_of(contract("a.b", {}, {}, *granted), CATALOG) == effect


# ---------------------------------------------------------------- large graphs


def chain(size: int) -> dict[str, Any]:
    """Tasks with a switch after every third, which may jump over the next task; all failures end in one place."""
    nodes: list[dict[str, Any]] = []
    for index in range(size - 1):
        if index % 4 == 3:
            when = {">": [{"var": f"nodes.n{index - 1}.output.amount"}, 100]}
            after = f"n{min(index + 2, size - 1)}"
            nodes.append(
                {
                    "id": f"n{index}",
                    "kind": "switch",
                    "cases": [{"when": when, "target": f"n{index + 1}"}],
                    "default": after,
                }
            )
        else:
            given = {"cat": [ID, {"var": "nodes.n0.output.amount"}]} if index else ID
            nodes.append(
                {
                    "id": f"n{index}",
                    "kind": "task",
                    "capability": "orders.get",
                    "with": {"id": given},
                    "on_error": [{"code": "*", "target": f"n{size - 1}"}],
                    "next": f"n{index + 1}",
                }
            )
    nodes.append({"id": f"n{size - 1}", "kind": "end"})
    return {**GOOD, "output": None, "start": "n0", "nodes": nodes, "limits": {"steps": size}, "examples": []}


def test_a_chain_of_10_000_nodes() -> None:
    value = chain(10_000)
    assert places(check(value)) == [("no_examples", "$.examples")]
    # n4 may be jumped over by the switch n3; n6 may not.
    value["nodes"][9_001]["with"]["id"] = {"cat": {"var": "nodes.n4.output.amount"}}
    value["nodes"][9_002]["with"]["id"] = {"cat": {"var": "nodes.n6.output.amount"}}
    value["nodes"][9_004]["with"]["id"] = {"cat": {"var": ["nodes.n9500.output.amount", 0]}}
    value["nodes"][9_005]["with"]["id"] = {"cat": {"var": ["nodes.n4.output.amount", 0]}}
    value["nodes"][9_999]["output"] = {"var": "nodes.n0.output.amount"}
    assert places(check(value)) == [
        ("not_assigned", "$.nodes[9001].with.id.cat.var"),
        ("never_assigned", "$.nodes[9004].with.id.cat.var"),
        ("not_assigned", "$.nodes[9999].output.var"),
        ("no_examples", "$.examples"),
    ]


def test_dominators_and_components_against_their_definitions() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    for _ in range(200):
        size = draw.randint(1, 12)
        after = [[draw.randrange(size) for _ in range(draw.randint(0, 3))] for _ in range(size)]
        enter, leave = dominator_intervals(after, 0)
        reach = reached(after, 0, None)
        assert {vertex for vertex in range(size) if enter[vertex] >= 0} == reach
        for one in reach:
            without = reached(after, 0, one)
            for other in reach:
                dominates = enter[one] <= enter[other] < leave[one]
                assert dominates == (other not in without), (after, one, other)
        ways = [reached(after, vertex, None) for vertex in range(size)]
        found = list(components(after))
        assert sorted(vertex for members in found for vertex in members) == list(range(size))
        for position, members in enumerate(found):
            for vertex in members:
                assert {each for each in ways[vertex] if vertex in ways[each]} == set(members), after
                later = {each for rest in found[position + 1 :] for each in rest}
                assert not ways[vertex] & later, after


def reached(after: list[list[int]], start: int, avoided: int | None) -> set[int]:
    """What a walk from the start meets when it must not touch one vertex."""
    found: set[int] = set()
    pending = [start]
    while pending:
        vertex = pending.pop()
        if vertex != avoided and vertex not in found:
            found.add(vertex)
            pending.extend(after[vertex])
    return found
