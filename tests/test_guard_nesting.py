"""Workflows with splits, maps, joins and calls before they run: nesting, what is seen from where, and the types."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from test_guard_workflow import (
    CATALOG,
    CONTRACTS,
    NUMBER,
    TEXT,
    Change,
    Expected,
    add,
    an_object,
    drop,
    node,
    places,
    put,
    together,
)

from ritesmith.app import RiteSmith
from ritesmith.dry_run import dry_run
from ritesmith.expr import element
from ritesmith.guard.workflow import check_workflow
from ritesmith.guard.workflow_nesting import NESTING_MAX
from ritesmith.guard.workflow_shape import read_workflow
from ritesmith.models import Finding, Workflow

ID = {"var": "input.id"}
LINES = {
    "type": "array",
    "items": an_object("sku count", sku=TEXT, count=NUMBER, parts={"type": "array", "items": TEXT}),
}


def called(name: str, nodes: list[dict[str, Any]], **more: Any) -> Workflow:
    return Workflow.model_validate({"name": name, "intent": "a test", "start": nodes[0]["id"], "nodes": nodes, **more})


WORKFLOWS = {
    each.name: each
    for each in (
        called(
            "orders.audit",
            [
                {
                    "id": "pay",
                    "kind": "task",
                    "capability": "orders.pay",
                    "on_error": [{"code": "*", "target": "odd"}],
                    "next": "done",
                },
                {"id": "odd", "kind": "end", "status": "failed", "outcome": "suspicious"},
                {"id": "done", "kind": "end"},
            ],
            input=an_object("order", order=TEXT),
            output=an_object("report", report=TEXT),
        ),
        called("orders.plain", [{"id": "done", "kind": "end"}]),
        called("orders.round", [{"id": "back", "kind": "call", "workflow": "orders.settle"}]),
        called("orders.beyond", [{"id": "on", "kind": "call", "workflow": "orders.round@1"}]),
        called("orders.open", [{"id": "on", "kind": "task", "capability": "orders.gone"}]),
    )
}
WORKFLOWS["orders.round@1"] = WORKFLOWS["orders.round"]

GOOD: dict[str, Any] = {
    "name": "orders.settle",
    "intent": "settle an order",
    "input": an_object("id lines", id=TEXT, lines=LINES, groups={"type": "array", "items": LINES}),
    "output": {"type": "array", "items": an_object("receipt", receipt=TEXT)},
    "start": "fan",
    "nodes": [
        {
            "id": "fan",
            "kind": "split",
            "branches": [{"id": "order", "start": "get"}, {"id": "told", "start": "tell"}],
            "join": "both",
        },
        {"id": "get", "kind": "task", "capability": "orders.get", "with": {"id": ID}, "next": "both"},
        {"id": "tell", "kind": "task", "capability": "text.tell", "with": {"text": "x"}, "next": "both"},
        {"id": "both", "kind": "join", "next": "each"},
        {
            "id": "each",
            "kind": "map",
            "over": {"var": "input.lines"},
            "as": "line",
            "start": "pay",
            "join": "paid",
        },
        {
            "id": "pay",
            "kind": "task",
            "capability": "orders.pay",
            "with": {
                "id": {"var": "item.line.sku"},
                "amount": {"*": [{"var": "nodes.both.output.order.amount"}, {"var": "item.line.count"}]},
            },
            "compensation": {"capability": "orders.unpay", "with": {"receipt": {"var": "nodes.pay.output.receipt"}}},
            "next": "paid",
        },
        {"id": "paid", "kind": "join", "next": "audit"},
        {"id": "audit", "kind": "call", "workflow": "orders.audit", "with": {"order": ID}, "next": "done"},
        {"id": "done", "kind": "end", "output": {"var": "nodes.paid.output"}},
    ],
    "examples": [{"input": {"id": "o1", "lines": []}}],
}
FAN, GET, TELL, BOTH, EACH, PAY, PAID, AUDIT, DONE = range(9)


def check(value: dict[str, Any]) -> list[Finding]:
    workflow, findings = read_workflow(value)
    assert findings == []
    assert workflow is not None
    return check_workflow(
        workflow,
        resolve=CONTRACTS.get,
        known_names=CONTRACTS,
        catalog=CATALOG,
        resolve_workflow=WORKFLOWS.get,
        known_workflows=WORKFLOWS,
    )


def changed(change: Change) -> dict[str, Any]:
    value = copy.deepcopy(GOOD)
    change(value)
    return value


def switch(name: str, *targets: str) -> dict[str, Any]:
    *cases, default = targets
    when = {"==": [ID, "x"]}
    return {
        "id": name,
        "kind": "switch",
        "cases": [{"when": when, "target": each} for each in cases],
        "default": default,
    }


def sleep(name: str, after: str | None) -> dict[str, Any]:
    return {"id": name, "kind": "sleep", "seconds": 1, "next": after}


def get(name: str, after: str | None, given: Any = ID, **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": "task", "capability": "orders.get", "with": {"id": given}, "next": after, **more}


def reads(path: str, *default: Any) -> dict[str, Any]:
    """A text, by reading something of any type."""
    return {"if": [{"==": [{"var": [path, *default]}, None]}, "a", "b"]}


READ = ".if[0]['=='][0].var"
"""Where that stands in the expression."""


def branches(*pairs: str) -> list[dict[str, str]]:
    return [dict(zip(("id", "start"), pair.split(), strict=True)) for pair in pairs]


def test_a_good_workflow_has_no_findings() -> None:
    assert check(GOOD) == []


# ---------------------------------------------------------------- shape and structure

SHAPES = [
    pytest.param(
        put("nodes", FAN, "branches", 0, {"id": "a", "strat": "get"}),
        [("workflow_shape", "$.nodes[0].branches[0].start"), ("workflow_shape", "$.nodes[0].branches[0].strat")],
        "'start'",
        id="in a branch",
    ),
    pytest.param(node(FAN, "branches", []), [("workflow_shape", "$.nodes[0].branches")], "", id="no branch"),
    pytest.param(node(EACH, "ovr", []), [("workflow_shape", "$.nodes[4].ovr")], "'over'", id="in a map"),
    pytest.param(node(BOTH, "polcy", "any"), [("workflow_shape", "$.nodes[3].polcy")], "'policy'", id="in a join"),
    pytest.param(node(BOTH, "policy", "most"), [("workflow_shape", "$.nodes[3].policy")], "", id="unknown policy"),
    pytest.param(node(AUDIT, "retry", {}), [("workflow_shape", "$.nodes[7].retry")], "on_error", id="in a call"),
    pytest.param(node(FAN, "kind", "splt"), [("unknown_node_kind", "$.nodes[0].kind")], "'split'", id="kind"),
    pytest.param(
        node(FAN, "kind", "x"),
        [("unknown_node_kind", "$.nodes[0].kind")],
        "split, map, join, call, end",
        id="all kinds",
    ),
]


@pytest.mark.parametrize(("change", "expected", "hint"), SHAPES)
def test_shape(change: Change, expected: Expected, hint: str) -> None:
    workflow, findings = read_workflow(changed(change))
    assert workflow is None
    assert places(findings) == expected
    assert hint in findings[-1].hint


STRUCTURE = [
    pytest.param(
        put("nodes", FAN, "branches", 0, "start", "gte"),
        [("unknown_target", "$.nodes[0].branches[0].start")],
        "did you mean 'get'?",
        id="unknown branch start",
    ),
    pytest.param(node(EACH, "start", "pya"), [("unknown_target", "$.nodes[4].start")], "'pay'", id="unknown map start"),
    pytest.param(node(FAN, "join", "boht"), [("unknown_target", "$.nodes[0].join")], "'both'", id="unknown join"),
    pytest.param(node(FAN, "join", "tell"), [("wrong_kind", "$.nodes[0].join")], "kind 'join'", id="join is a task"),
    pytest.param(
        together(add(**sleep("bot", "both")), node(FAN, "join", "bot")),
        [("wrong_kind", "$.nodes[0].join")],
        "did you mean 'both'?",
        id="join is nearly the join",
    ),
    pytest.param(node(EACH, "join", "both"), [("shared_join", "$.nodes[4].join")], "its own", id="join of another"),
    pytest.param(
        add(id="left", kind="join"), [("join_without_split", "$.nodes[9]")], "remove it", id="join without a split"
    ),
    pytest.param(
        together(put("nodes", FAN, "branches", 1, "id", "order"), put("nodes", PAY, "with", "amount", 1)),
        [("duplicate_id", "$.nodes[0].branches[1].id")],
        "",
        id="duplicate branch id",
    ),
    pytest.param(node(PAID, "policy", "any"), [("join_policy", "$.nodes[6].policy")], "'settled'", id="any of a map"),
]


@pytest.mark.parametrize(("change", "expected", "hint"), STRUCTURE)
def test_structure(change: Change, expected: Expected, hint: str) -> None:
    findings = check(changed(change))
    assert places(findings) == expected
    assert hint in findings[0].hint
    assert findings[0].severity == "error"


# ---------------------------------------------------------------- nesting

INNER = together(
    # Within the branch `order`: a split `in` with the branches get and rest, and its join `met`.
    put("nodes", FAN, "branches", 0, "start", "in"),
    node(GET, "next", "met"),
    add(id="in", kind="split", branches=branches("one get", "two rest"), join="met"),
    add(**sleep("rest", "met")),
    add(id="met", kind="join", next="both"),
    put("nodes", PAY, "with", "amount", 1),
)
IN, REST, MET = 9, 10, 11

NESTING = [
    pytest.param(node(GET, "next", None), [("ends_in_branch", "$.nodes[1].next")], id="null in a branch"),
    pytest.param(drop(PAY, "next"), [("ends_in_branch", "$.nodes[5].next")], id="no next in a map"),
    pytest.param(
        together(add(id="stop", kind="end", status="failed"), node(GET, "on_error", [{"code": "*", "target": "stop"}])),
        [("ends_in_branch", "$.nodes[9]")],
        id="end in a branch",
    ),
    pytest.param(
        node(GET, "on_error", [{"code": "*", "target": "done"}]),
        [("leaves_branch", "$.nodes[1].on_error[0].target")],
        id="handler in the trunk",
    ),
    pytest.param(node(GET, "next", "each"), [("leaves_branch", "$.nodes[1].next")], id="past its join"),
    pytest.param(node(PAY, "next", "each"), [("leaves_branch", "$.nodes[5].next")], id="back before its map"),
    pytest.param(node(GET, "next", "tell"), [("leaves_branch", "$.nodes[1].next")], id="into another branch"),
    pytest.param(
        together(node(GET, "next", "end_"), add(**sleep("end_", "both")), node(TELL, "next", "end_")),
        [("leaves_branch", "$.nodes[2].next")],
        id="two branches share a node",
    ),
    pytest.param(
        put("nodes", FAN, "branches", 1, "start", "get"),
        [("leaves_branch", "$.nodes[0].branches[1].start")],
        id="two branches with one start",
    ),
    pytest.param(
        put("nodes", FAN, "branches", 1, "start", "each"),
        [("leaves_branch", "$.nodes[0].branches[1].start")],
        id="start in the trunk",
    ),
    pytest.param(
        put("nodes", FAN, "branches", 1, "start", "fan"),
        [("leaves_branch", "$.nodes[0].branches[1].start")],
        id="start is the split",
    ),
    pytest.param(
        put("nodes", FAN, "branches", 1, "start", "paid"),
        [("join_from_outside", "$.nodes[0].branches[1].start")],
        id="start is another's join",
    ),
    pytest.param(put("start", "get"), [("enters_branch", "$.start")], id="the workflow starts in a branch"),
    pytest.param(put("start", "both"), [("join_from_outside", "$.start")], id="the workflow starts at a join"),
    pytest.param(
        together(add(**switch("which", "pay", "fan")), put("start", "which")),
        [("enters_branch", "$.nodes[9].cases[0].target")],
        id="from the trunk into a map",
    ),
    pytest.param(node(BOTH, "next", "pay"), [("enters_branch", "$.nodes[3].next")], id="a join leads into a map"),
    pytest.param(
        together(add(**switch("which", "paid", "fan")), put("start", "which")),
        [("join_from_outside", "$.nodes[9].cases[0].target")],
        id="from the trunk to a join",
    ),
    pytest.param(node(GET, "next", "paid"), [("join_from_outside", "$.nodes[1].next")], id="to the join of another"),
    pytest.param(INNER, [], id="a split in a branch"),
    pytest.param(
        together(INNER, node(GET, "next", "both")), [("leaves_branch", "$.nodes[1].next")], id="to the join around"
    ),
    pytest.param(
        together(INNER, node(TELL, "next", "met")), [("join_from_outside", "$.nodes[2].next")], id="to an inner join"
    ),
    pytest.param(
        together(INNER, node(TELL, "next", "rest")),
        [("leaves_branch", "$.nodes[2].next")],
        id="from branch to inner branch",
    ),
    pytest.param(
        together(INNER, add(**switch("which", "rest", "in")), put("nodes", FAN, "branches", 0, "start", "which")),
        [("enters_branch", "$.nodes[12].cases[0].target")],
        id="from the branch around into an inner one",
    ),
    pytest.param(
        together(INNER, node(REST, "next", "tell")), [("leaves_branch", "$.nodes[10].next")], id="from inner to other"
    ),
    pytest.param(
        together(INNER, node(IN, "join", "both")),
        [("shared_join", "$.nodes[9].join")],
        id="an inner split with the outer join",
    ),
]


@pytest.mark.parametrize(("change", "expected"), NESTING)
def test_nesting(change: Change, expected: Expected) -> None:
    findings = check(changed(change))
    assert places(findings) == expected
    assert all(each.severity == "error" and each.hint for each in findings)


def test_a_way_out_of_a_branch_is_told_with_both_places() -> None:
    (finding,) = check(changed(together(INNER, node(REST, "next", "tell"))))
    assert (
        finding.message == "'tell' is in the branch 'told' of 'fan', and this way comes from the branch 'two' of 'in'"
    )
    assert "the join 'met'" in finding.hint


def test_an_empty_branch_is_a_warning_and_gives_null() -> None:
    change = together(put("nodes", FAN, "branches", 1, "start", "both"), lambda value: value["nodes"].pop(TELL))
    (finding,) = check(changed(change))
    assert (finding.code, finding.severity) == ("empty_branch", "warning")
    assert finding.where.path == "$.nodes[0].branches[1].start"
    told = {"cat": [{"var": "nodes.both.output.told"}]}
    findings = check(changed(together(change, put("nodes", AUDIT - 1, "with", "order", told))))
    assert places(findings)[1:] == [("type_mismatch", "$.nodes[6].with.order.cat[0]")]


def tower(levels: int, kind: str) -> dict[str, Any]:
    """Splits or maps in one another."""
    nodes: list[dict[str, Any]] = []
    for level in range(levels):
        start = f"s{level + 1}" if level + 1 < levels else "end_"
        way: dict[str, Any] = {"start": start, "over": [1]} if kind == "map" else {"branches": branches(f"a {start}")}
        nodes.append({"id": f"s{level}", "kind": kind, "join": f"j{level}", **way})
        nodes.append({"id": f"j{level}", "kind": "join", "next": f"j{level - 1}" if level else None})
    nodes.append(get("end_", f"j{levels - 1}"))
    return {**GOOD, "output": None, "start": "s0", "nodes": nodes}


@pytest.mark.parametrize("kind", ["split", "map"])
def test_a_tower_of_splits_has_a_limit(kind: str) -> None:
    assert check(tower(NESTING_MAX, kind)) == []
    assert places(check(tower(NESTING_MAX + 1, kind))) == [("nesting_too_deep", f"$.nodes[{2 * NESTING_MAX}]")]
    assert places(check(tower(1_000, kind))) == [("nesting_too_deep", f"$.nodes[{2 * NESTING_MAX}]")]


def test_the_innermost_output_of_a_tower_is_typed() -> None:
    value = tower(NESTING_MAX, "split")
    value["nodes"][1]["next"] = "after"
    path = "nodes.j0.output" + ".a" * NESTING_MAX
    value["nodes"].append(get("after", None, {"cat": [{"var": f"{path}.amount"}, {"var": f"{path}.amonut"}]}))
    assert places(check(value)) == [("unknown_property", f"$.nodes[{2 * NESTING_MAX + 1}].with.id.cat[1].var")]


# ---------------------------------------------------------------- the graph within branches

GRAPH = [
    pytest.param(add(**sleep("alone", "both")), [("unreachable_node", "$.nodes[9]")], id="unreachable in a branch"),
    pytest.param(
        together(node(GET, "on_error", [{"code": "*", "target": "get"}])),
        [("unbounded_cycle", "$.nodes[1]")],
        id="a cycle in a branch",
    ),
    pytest.param(
        together(node(GET, "on_error", [{"code": "*", "target": "later"}]), add(**sleep("later", "get"))),
        [],
        id="a cycle in a branch that sleeps",
    ),
    pytest.param(
        node(AUDIT, "on_error", [{"code": "*", "target": "fan"}]),
        [("unbounded_cycle", "$.nodes[0]")],
        id="a cycle round splits and maps",
    ),
    pytest.param(
        together(
            node(AUDIT, "on_error", [{"code": "*", "target": "fan"}]),
            node(TELL, "next", "later"),
            add(**sleep("later", "both")),
        ),
        [],
        id="the split waits for a branch that sleeps",
    ),
    pytest.param(
        together(
            node(AUDIT, "on_error", [{"code": "*", "target": "fan"}]),
            node(TELL, "next", "later"),
            add(**sleep("later", "both")),
            node(BOTH, "policy", "any"),
            put("nodes", PAY, "with", "amount", 1),
        ),
        [("unbounded_cycle", "$.nodes[0]")],
        id="any needs not wait for it",
    ),
    pytest.param(
        together(
            node(AUDIT, "on_error", [{"code": "*", "target": "each"}]),
            node(PAY, "next", "later"),
            add(**sleep("later", "paid")),
            put("output", None),
        ),
        [("unbounded_cycle", "$.nodes[4]")],
        id="a map may have no element that sleeps",
    ),
    pytest.param(
        together(node(TELL, "next", "later"), add(**sleep("later", "tell"))),
        [("never_ends", "$.nodes[2]")],
        id="a branch that never comes to its join",
    ),
    pytest.param(
        together(node(GET, "next", "sure"), add(**{**switch("sure", "both", "both"), "default": "both"})),
        [],
        id="a switch whose ways all come to the join",
    ),
    pytest.param(
        together(
            node(GET, "next", "sure"),
            add(id="sure", kind="switch", cases=[{"when": True, "target": "both"}], default="both"),
        ),
        [("constant_condition", "$.nodes[9].cases[0].when")],
        id="a constant condition",
    ),
    pytest.param(drop(PAY, "compensation"), [("no_compensation", "$.nodes[5]")], id="a write without compensation"),
    pytest.param(put("limits", {"steps": 6}), [], id="enough steps: fan, get, tell, each, audit, done"),
    pytest.param(put("limits", {"steps": 5}), [("steps_too_few", "$.limits.steps")], id="all branches count"),
    pytest.param(
        together(put("limits", {"steps": 5}), node(BOTH, "policy", "any"), put("nodes", PAY, "with", "amount", 1)),
        [],
        id="of any, one branch counts",
    ),
]


@pytest.mark.parametrize(("change", "expected"), GRAPH)
def test_graph(change: Change, expected: Expected) -> None:
    assert places(check(changed(change))) == expected


def row(count: int) -> dict[str, Any]:
    """Pieces of ten nodes in a row: a split with a task, and a map with a split of two tasks, in its branches."""
    nodes: list[dict[str, Any]] = []
    for index in range(count):
        before = {"cat": {"var": f"nodes.j{index - 1}.output.a.amount"}} if index else ID
        nodes += [
            {
                "id": f"s{index}",
                "kind": "split",
                "branches": branches(f"a t{index}", f"b m{index}"),
                "join": f"j{index}",
            },
            get(f"t{index}", f"j{index}", before),
            {
                "id": f"m{index}",
                "kind": "map",
                "over": {"var": "input.lines"},
                "as": "line",
                "start": f"i{index}",
                "join": f"k{index}",
            },
            {
                "id": f"i{index}",
                "kind": "split",
                "branches": branches(f"x x{index}", f"y y{index}"),
                "join": f"l{index}",
            },
            get(f"x{index}", f"l{index}", {"var": "item.line.sku"}),
            get(f"y{index}", f"l{index}", {"cat": {"var": f"nodes.j{index - 1}.output.a.amount"}} if index else ID),
            {"id": f"l{index}", "kind": "join", "next": f"k{index}"},
            {"id": f"k{index}", "kind": "join", "next": f"j{index}"},
            {"id": f"j{index}", "kind": "join", "policy": "all", "next": f"z{index}"},
            get(f"z{index}", f"s{index + 1}" if index + 1 < count else None, reads(f"nodes.j{index}.output.b")),
        ]
    return {**GOOD, "output": None, "start": "s0", "nodes": nodes, "limits": {"steps": 100_000}}


def test_10_000_nodes_with_splits_and_maps() -> None:
    value = row(1_000)
    assert check(value) == []
    value["nodes"][9_004]["with"]["id"] = {"var": "item.line.sk"}
    value["nodes"][9_005]["with"]["id"] = reads("nodes.x900.output")
    value["nodes"][9_009]["with"]["id"] = reads("nodes.j900.output.b.0.x.amuont", 1)
    value["nodes"][9_019]["with"]["id"] = reads("nodes.t3.output")
    assert places(check(value)) == [
        ("unknown_property", "$.nodes[9004].with.id.var"),
        ("not_visible", "$.nodes[9005].with.id" + READ),
        ("unknown_property", "$.nodes[9009].with.id" + READ),
        ("not_visible", "$.nodes[9019].with.id" + READ),
    ]


# ---------------------------------------------------------------- what is seen from where

AMOUNT = ("nodes", PAY, "with", "amount")
ORDER = ("nodes", AUDIT, "with", "order")

VISIBLE = [
    pytest.param(
        put(*AMOUNT, {"var": "nodes.get.output.amount"}),
        [("not_visible", "$.nodes[5].with.amount.var")],
        "nodes.both.output.order:",
        id="of a branch, after its join",
    ),
    pytest.param(
        put(*ORDER, reads("nodes.pay.output")),
        [("not_visible", f"$.nodes[7].with.order{READ}")],
        "nodes.paid.output:",
        id="of a map, after its join",
    ),
    pytest.param(
        put("nodes", TELL, "with", "text", reads("nodes.get.output")),
        [("not_visible", f"$.nodes[2].with.text{READ}")],
        "side by side",
        id="of another branch",
    ),
    pytest.param(
        together(INNER, put("nodes", TELL, "with", "text", reads("nodes.rest.output"))),
        [("no_output", f"$.nodes[2].with.text{READ}")],
        "",
        id="of a sleep",
    ),
    pytest.param(
        put(*ORDER, reads("nodes.each.output")),
        [("no_output", f"$.nodes[7].with.order{READ}")],
        "its join, 'paid'",
        id="of a map itself",
    ),
    pytest.param(
        together(INNER, put(*ORDER, reads("nodes.get.output"))),
        [("not_visible", f"$.nodes[7].with.order{READ}")],
        "nodes.both.output.order:",
        id="of a branch in a branch, the outer join",
    ),
    pytest.param(
        put(*ORDER, reads("nodes.get.output", 1)),
        [("not_visible", f"$.nodes[7].with.order{READ}")],
        "nodes.both.output.order:",
        id="with a default that always holds",
    ),
    pytest.param(
        put("nodes", TELL, "with", "text", reads("nodes.both.output")),
        [("never_assigned", f"$.nodes[2].with.text{READ}")],
        "",
        id="the join from a branch of it",
    ),
    pytest.param(
        together(
            add(**get("late", "audit")),
            add(**switch("may", "late", "audit")),
            node(PAID, "next", "may"),
            put(*ORDER, reads("nodes.late.output")),
        ),
        [("not_assigned", f"$.nodes[7].with.order{READ}")],
        "",
        id="after a way round it",
    ),
    pytest.param(
        together(
            node(GET, "next", "may"),
            add(**switch("may", "more", "say")),
            add(**get("more", "say", {"var": "nodes.get.output.note"})),
            add(
                id="say",
                kind="task",
                capability="text.tell",
                next="both",
                **{"with": {"text": reads("nodes.more.output")}},
            ),
            put(*AMOUNT, 1),
        ),
        [("may_be_missing", "$.nodes[10].with.id.var"), ("not_assigned", f"$.nodes[11].with.text{READ}")],
        "",
        id="a way round within a branch",
    ),
    pytest.param(
        together(
            node(AUDIT, "on_error", [{"code": "*", "target": "wait"}]),
            add(**sleep("wait", "fan")),
            put("nodes", GET, "with", "id", reads("nodes.get.output", 1)),
        ),
        [("never_assigned", f"$.nodes[1].with.id{READ}")],
        "",
        id="a branch forgets the last time round",
    ),
    pytest.param(
        together(
            node(AUDIT, "on_error", [{"code": "*", "target": "wait"}]),
            add(**sleep("wait", "fan")),
            put("nodes", GET, "with", "id", reads("nodes.both.output", 1)),
        ),
        [],
        "",
        id="the trunk does not",
    ),
    pytest.param(
        put("nodes", PAY, "compensation", "with", "receipt", reads("nodes.get.output")),
        [("not_visible", "$.nodes[5].compensation.with.receipt" + READ)],
        "",
        id="from a compensation",
    ),
    pytest.param(
        together(
            put("start", "first"),
            add(**get("first", "fan")),
            put("nodes", GET, "with", "id", reads("nodes.first.output")),
        ),
        [],
        "",
        id="what came before the split",
    ),
    pytest.param(
        together(INNER, node(REST, "seconds", {"var": "nodes.get.output.amount"})),
        [("not_visible", "$.nodes[10].seconds.var")],
        "side by side",
        id="of another inner branch",
    ),
]


@pytest.mark.parametrize(("change", "expected", "hint"), VISIBLE)
def test_what_is_visible(change: Change, expected: Expected, hint: str) -> None:
    findings = check(changed(change))
    assert places(findings) == expected
    assert hint in "".join(each.hint for each in findings)


# ---------------------------------------------------------------- the types of joins

MORE_GIVERS = together(
    # The branch `order` ends with the output of get, of note, or, where get fails at once, with none.
    put("nodes", FAN, "branches", 0, "start", "get"),
    node(GET, "next", "may"),
    node(GET, "on_error", [{"code": "*", "target": "pause"}]),
    add(**switch("may", "note", "pause")),
    add(id="note", kind="wait", schema=an_object("text", text=TEXT), next="pause"),
    add(**sleep("pause", "both")),
    put(*AMOUNT, 1),
)


@pytest.mark.parametrize(
    ("change", "read", "expected"),
    [
        pytest.param([], "nodes.both.output.order.amonut", "unknown_property", id="all, unknown property"),
        pytest.param([], "nodes.both.output.oredr", "unknown_property", id="all, unknown branch"),
        pytest.param([], "nodes.both.output.told", "", id="all, a branch"),
        pytest.param([], "nodes.both.output.order.note", "may_be_missing", id="all, an optional property"),
        pytest.param(
            [node(BOTH, "policy", "any"), put(*AMOUNT, 1)], "nodes.both.output.told", "may_be_missing", id="any"
        ),
        pytest.param(
            [node(BOTH, "policy", "any"), put(*AMOUNT, 1)],
            "nodes.both.output.order.x",
            "unknown_property",
            id="any, slip",
        ),
        pytest.param(
            [node(BOTH, "policy", "settled"), put(*AMOUNT, 1)],
            "nodes.both.output.order.output.amount",
            "may_be_missing",
            id="settled, output",
        ),
        pytest.param(
            [node(BOTH, "policy", "settled"), put(*AMOUNT, 1)],
            "nodes.both.output.order.error.code",
            "may_be_missing",
            id="settled, error",
        ),
        pytest.param(
            [node(BOTH, "policy", "settled"), put(*AMOUNT, 1)],
            "nodes.both.output.order.amount",
            "unknown_property",
            id="settled, as if all",
        ),
        pytest.param([], "nodes.paid.output.0.receipt", "may_be_missing", id="map, an element"),
        pytest.param([], "nodes.paid.output.receipt", "unknown_property", id="map, no index"),
        pytest.param(
            [node(PAID, "policy", "settled"), put("output", None)],
            "nodes.paid.output.0.error.message",
            "may_be_missing",
            id="map, settled",
        ),
        pytest.param([MORE_GIVERS], "nodes.both.output.order", "", id="one of several outputs"),
        pytest.param([MORE_GIVERS], "nodes.both.output.order.amount", "may_be_missing", id="of one of them"),
        pytest.param([MORE_GIVERS], "nodes.both.output.order.text", "may_be_missing", id="of another"),
        pytest.param([MORE_GIVERS], "nodes.both.output.order.receipt", "unknown_property", id="of none of them"),
        pytest.param([INNER, put(*AMOUNT, 1)], "nodes.both.output.order.one.amount", "", id="a join as last output"),
        pytest.param(
            [INNER, put(*AMOUNT, 1)], "nodes.both.output.order.amount", "unknown_property", id="hides what is in it"
        ),
        pytest.param([node(AUDIT, "id", "sub"), node(PAID, "next", "sub")], "run.id", "", id="nothing of it"),
    ],
)
def test_types_of_joins(change: Iterable[Change], read: str, expected: str) -> None:
    value = changed(together(*change))
    value["nodes"][AUDIT]["with"]["order"] = reads(read)
    where = f"$.nodes[7].with.order{READ}"
    assert places(check(value)) == ([(expected, where)] if expected else [])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            [put(*ORDER, {"var": "nodes.both.output.told"})],
            [("type_mismatch", "$.nodes[7].with.order")],
            id="a branch",
        ),
        pytest.param(
            [node(BOTH, "policy", "settled"), put(*AMOUNT, 1), put(*ORDER, {"var": "nodes.both.output.told.status"})],
            [],
            id="the status of a branch",
        ),
        pytest.param(
            [put(*ORDER, {"cat": {"var": "nodes.both.output.order"}}), MORE_GIVERS],
            [("type_mismatch", "$.nodes[7].with.order.cat")],
            id="no output of any way is a text",
        ),
        pytest.param(
            [node(DONE, "output", {"var": "nodes.both.output"})], [("type_mismatch", "$.nodes[8].output")], id="end"
        ),
        pytest.param(
            [node(PAID, "next", None), lambda value: value["nodes"].__delitem__(slice(AUDIT, None))],
            [],
            id="the last output of the run, which fits",
        ),
        pytest.param(
            [node(BOTH, "next", None), lambda value: value["nodes"].__delitem__(slice(EACH, None))],
            [("type_mismatch", "$.nodes[3].next")],
            id="the last output of the run, which does not",
        ),
    ],
)
def test_joins_are_typed_where_they_are_used(change: Iterable[Change], expected: Expected) -> None:
    assert places(check(changed(together(*change)))) == expected


# ---------------------------------------------------------------- item

SKU = ("nodes", PAY, "with", "id")
SECOND = together(
    # Within the map `each`: a map `parts` over the line's parts, whose one node is `part`.
    node(PAY, "next", "parts"),
    add(id="parts", kind="map", over={"var": ["item.line.parts", []]}, **{"as": "part"}, start="part", join="parted"),
    add(**get("part", "parted", {"cat": [{"var": "item.part"}, {"var": "item.line.sku"}]})),
    add(id="parted", kind="join", next="paid"),
    put("output", None),
)
PARTS, PART = 9, 10

ITEMS = [
    pytest.param(put(*SKU, {"var": "item.line.sk"}), [("unknown_property", "$.nodes[5].with.id.var")], id="property"),
    pytest.param(
        put(*SKU, {"var": "item.sku"}), [("unknown_property", "$.nodes[5].with.id.var")], id="without its name"
    ),
    pytest.param(put(*SKU, {"var": "item.line.count"}), [("type_mismatch", "$.nodes[5].with.id")], id="type"),
    pytest.param(
        put(*SKU, {"cat": {"var": "item.line.parts"}}),
        [("may_be_missing", "$.nodes[5].with.id.cat.var"), ("type_mismatch", "$.nodes[5].with.id.cat")],
        id="optional property",
    ),
    pytest.param(
        together(drop(EACH, "as"), put(*SKU, {"var": "item.sku"}), put(*AMOUNT, {"var": "item.count"})),
        [],
        id="without a name it is item itself",
    ),
    pytest.param(
        put(*ORDER, {"var": "item.line.sku"}), [("unknown_reference", "$.nodes[7].with.order.var")], id="after the map"
    ),
    pytest.param(
        put("nodes", GET, "with", "id", {"var": "item"}),
        [("unknown_reference", "$.nodes[1].with.id.var")],
        id="in a split",
    ),
    pytest.param(
        node(EACH, "over", {"var": "item"}), [("unknown_reference", "$.nodes[4].over.var")], id="in the map's own over"
    ),
    pytest.param(
        put("nodes", PAY, "compensation", "with", "receipt", {"var": "item.line.sku"}), [], id="in a compensation"
    ),
    pytest.param(
        put("nodes", PAY, "compensation", "with", "receipt", {"var": "item.line.count"}),
        [("type_mismatch", "$.nodes[5].compensation.with.receipt")],
        id="its type in a compensation",
    ),
    pytest.param(
        together(
            node(PAY, "next", "large"),
            add(
                id="large",
                kind="switch",
                cases=[{"when": {">": [{"var": "item.line.count"}, "9"]}, "target": "ask"}],
                default="paid",
            ),
            add(id="ask", kind="approval", prompt={"cat": ["Ship ", {"var": "item.line.sku"}]}, next="paid"),
            put("output", None),
        ),
        [("type_mismatch", "$.nodes[9].cases[0].when['>']")],
        id="in a condition and a prompt",
    ),
    pytest.param(SECOND, [], id="a map in a map"),
    pytest.param(
        together(SECOND, put("nodes", PART, "with", "id", {"var": "item.lien.sku"})),
        [("unknown_property", "$.nodes[10].with.id.var")],
        id="the outer element's name",
    ),
    pytest.param(
        together(SECOND, put(*SKU, {"var": "item.part"})),
        [("unknown_property", "$.nodes[5].with.id.var")],
        id="the inner element, outside",
    ),
    pytest.param(
        together(SECOND, drop(PARTS, "as"), put("nodes", PART, "with", "id", {"var": "item"})),
        [],
        id="an inner element without a name",
    ),
    pytest.param(
        together(SECOND, drop(PARTS, "as")),
        [("unknown_property", f"$.nodes[10].with.id.cat[{index}].var") for index in (0, 1)],
        id="hides the outer one",
    ),
    pytest.param(
        together(
            node(EACH, "over", {"var": ["input.groups", []]}),
            node(EACH, "start", "parts"),
            add(id="parts", kind="map", over={"var": "item.line"}, start="deep", join="parted"),
            add(id="deep", kind="map", over={"var": ["item.parts", []]}, start="pay", join="dived", **{"as": "part"}),
            put(*SKU, {"cat": [{"var": "item.part"}, {"var": "item.line.0.sku"}]}),
            put(*AMOUNT, 1),
            node(PAY, "next", "dived"),
            add(id="dived", kind="join", next="parted"),
            add(id="parted", kind="join", next="paid"),
            put("output", None),
        ),
        [("may_be_missing", "$.nodes[5].with.id.cat[1].var")],
        id="a named element is seen through one without a name",
    ),
    pytest.param(
        together(SECOND, node(PARTS, "as", "line"), put("nodes", PART, "with", "id", {"var": "item.line"})),
        [("hidden_item", "$.nodes[9].as")],
        id="a name that hides the outer element",
    ),
    pytest.param(node(EACH, "over", ID), [("type_mismatch", "$.nodes[4].over")], id="over a text"),
    pytest.param(
        together(
            node(EACH, "over", [{"sku": "a", "count": 1}, {"sku": "b", "count": 2}]),
            node(EACH, "max_items", 1),
        ),
        [("too_many_items", "$.nodes[4].over")],
        id="over more than it takes",
    ),
    pytest.param(
        together(node(EACH, "over", {"var": "input.lines.0"}), put(*SKU, {"var": "item.line.anything"})),
        [("may_be_missing", "$.nodes[4].over.var"), ("type_mismatch", "$.nodes[4].over")],
        id="over an object, whose elements are anything",
    ),
    pytest.param(
        together(node(EACH, "over", [{"sku": "a", "count": 1}, {"sku": "b", "count": "2"}])),
        [("type_may_differ", "$.nodes[5].with.amount['*'][1]")],
        id="over elements of different types",
    ),
    pytest.param(
        together(node(EACH, "over", {"literal": [{"sku": 1, "count": 1}, {"sku": 2, "count": 2}]})),
        [("type_mismatch", "$.nodes[5].with.id")],
        id="over data",
    ),
    pytest.param(
        together(
            node(EACH, "over", {"var": "nodes.both.output.order.amount"}),
            put(*SKU, "x"),
            put(*AMOUNT, 1),
        ),
        [("type_mismatch", "$.nodes[4].over")],
        id="over an output",
    ),
    pytest.param(
        together(
            node(PAY, "next", "fork"),
            add(id="fork", kind="split", branches=branches("a say"), join="met"),
            add(
                id="say",
                kind="task",
                capability="text.tell",
                next="met",
                **{"with": {"text": {"var": "item.line.sku"}}},
            ),
            add(id="met", kind="join", next="paid"),
            put("output", None),
        ),
        [],
        id="in a split within the map",
    ),
]


@pytest.mark.parametrize(("change", "expected"), ITEMS)
def test_item(change: Change, expected: Expected) -> None:
    assert places(check(changed(change))) == expected


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param({"type": "array", "items": TEXT}, TEXT, id="items"),
        pytest.param({"type": ["array", "null"], "items": TEXT}, TEXT, id="or null"),
        pytest.param({"anyOf": [{"type": "array", "items": TEXT}, {"type": "null"}]}, TEXT, id="any of"),
        pytest.param(
            {"anyOf": [{"type": "array", "items": TEXT}, {"type": "array", "maxItems": 0, "items": False}]},
            TEXT,
            id="or empty",
        ),
        pytest.param(
            {"type": "array", "prefixItems": [TEXT, NUMBER], "items": False}, {"anyOf": [TEXT, NUMBER]}, id="first"
        ),
        pytest.param({"type": "array", "prefixItems": [TEXT]}, {}, id="first, and anything"),
        pytest.param({"const": [1, 1, "a"]}, {"anyOf": [{"const": 1}, {"const": "a"}]}, id="constant"),
        pytest.param({"enum": [[1], [2]]}, {"anyOf": [{"const": 1}, {"const": 2}]}, id="one of some constants"),
        pytest.param({"const": []}, {}, id="empty constant"),
        pytest.param({"allOf": [{"type": "array"}, {"items": TEXT}]}, TEXT, id="all of"),
        pytest.param(
            {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}}, "b": TEXT}},
            {"$ref": "#/$defs/b", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}}, "b": TEXT}},
            id="by reference",
        ),
        pytest.param({"type": "array", "items": True}, {}, id="anything"),
        pytest.param({}, {}, id="of anything"),
        pytest.param(TEXT, {}, id="no array"),
    ],
)
def test_element(array: Any, expected: Any) -> None:
    assert element(array) == expected


# ---------------------------------------------------------------- call

CALLS = [
    pytest.param(
        node(AUDIT, "workflow", "orders.audti"),
        [("unknown_workflow", "$.nodes[7].workflow")],
        "'orders.audit'",
        id="unknown",
    ),
    pytest.param(
        node(AUDIT, "workflow", "orders.audit@9"),
        [("unknown_workflow", "$.nodes[7].workflow")],
        "",
        id="unknown version",
    ),
    pytest.param(
        node(AUDIT, "workflow", "orders.get"),
        [("unknown_workflow", "$.nodes[7].workflow")],
        "kind 'task'",
        id="capability",
    ),
    pytest.param(
        node(GET, "capability", "orders.audit"),
        [("unknown_capability", "$.nodes[1].capability")],
        "kind 'call'",
        id="a task with a workflow",
    ),
    pytest.param(node(AUDIT, "with", {}), [("missing_property", "$.nodes[7].with")], "", id="missing input"),
    pytest.param(put(*ORDER, 5), [("type_mismatch", "$.nodes[7].with.order")], "", id="input's type"),
    pytest.param(
        put("nodes", AUDIT, "with", "odrer", "x"),
        [("unknown_property", "$.nodes[7].with.odrer")],
        "",
        id="unknown input",
    ),
    pytest.param(
        node(DONE, "output", {"var": "nodes.audit.output.reprot"}),
        [("unknown_property", "$.nodes[8].output.var")],
        "'report'",
        id="output",
    ),
    pytest.param(
        together(
            node(AUDIT, "workflow", "orders.plain"),
            node(DONE, "output", [{"receipt": {"var": "nodes.audit.output.what.ever"}}]),
        ),
        [],
        "",
        id="output that nobody declared",
    ),
    pytest.param(
        together(node(AUDIT, "on_error", [{"code": "*", "target": "done"}]), node(DONE, "output", [])),
        [],
        "",
        id="handler",
    ),
    pytest.param(
        together(
            node(AUDIT, "on_error", [{"code": "*", "target": "done"}]),
            node(DONE, "output", [{"receipt": {"var": "nodes.audit.output.report"}}]),
        ),
        [("not_assigned", "$.nodes[8].output[0].receipt.var")],
        "",
        id="no output after it failed",
    ),
    pytest.param(
        node(AUDIT, "on_error", [{"code": "suspicous", "target": "done"}]),
        [("unraised_error", "$.nodes[7].on_error[0].code")],
        "'suspicious'",
        id="code that it does not end with",
    ),
    *(
        pytest.param(node(AUDIT, "on_error", [{"code": code, "target": "done"}]), [], "", id=f"code {code}")
        for code in ("suspicious", "declined", "store_conflict", "run_deadline", "rejected", "fuel")
    ),
    pytest.param(
        node(AUDIT, "on_error", [{"code": "rejected", "target": "done"}, {"code": "rejected", "target": "done"}]),
        [("unreachable_handler", "$.nodes[7].on_error[1].code")],
        "",
        id="code twice",
    ),
    pytest.param(
        together(node(AUDIT, "workflow", "orders.open"), node(AUDIT, "on_error", [{"code": "x", "target": "done"}])),
        [],
        "",
        id="code of who knows what",
    ),
    pytest.param(
        together(node(AUDIT, "on_error", [{"code": "*", "target": "nowhere"}])),
        [("unknown_target", "$.nodes[7].on_error[0].target")],
        "",
        id="handler's target",
    ),
    pytest.param(
        node(AUDIT, "workflow", "orders.settle"), [("recursive_call", "$.nodes[7].workflow")], "map", id="itself"
    ),
    pytest.param(
        node(AUDIT, "workflow", "orders.settle@3"), [("recursive_call", "$.nodes[7].workflow")], "map", id="its version"
    ),
    pytest.param(
        node(AUDIT, "workflow", "orders.round"),
        [("recursive_call", "$.nodes[7].workflow")],
        "map",
        id="through another",
    ),
    pytest.param(
        node(AUDIT, "workflow", "orders.beyond"), [("recursive_call", "$.nodes[7].workflow")], "map", id="through two"
    ),
]


@pytest.mark.parametrize(("change", "expected", "hint"), CALLS)
def test_call(change: Change, expected: Expected, hint: str) -> None:
    findings = check(changed(change))
    assert places(findings) == expected
    assert hint in "".join(each.hint for each in findings)


def test_workflows_that_call_each_other_elsewhere_are_followed_once() -> None:
    one = called("orders.one", [{"id": "on", "kind": "call", "workflow": "orders.two"}])
    two = called("orders.two", [{"id": "on", "kind": "call", "workflow": "orders.one"}])
    asked: list[str] = []

    def resolve(reference: str) -> Workflow | None:
        asked.append(reference)
        return {"orders.one": one, "orders.two": two}.get(reference)

    workflow = called("orders.all", [{"id": "on", "kind": "call", "workflow": "orders.one"}], examples=[{"input": {}}])
    given: Any = {"resolve": CONTRACTS.get, "known_names": CONTRACTS, "catalog": CATALOG}
    found = check_workflow(workflow, **given, resolve_workflow=resolve)
    assert places(found) == [("calls_too_deep", "$.nodes[0].workflow")]
    assert sorted(asked) == ["orders.one", "orders.two"]


@pytest.mark.parametrize(("deep", "expected"), [(20, []), (21, ["calls_too_deep"])])
def test_workflows_may_call_each_other_so_deep(deep: int, expected: list[str]) -> None:
    chain = {
        f"orders.w{index}": [{"id": "on", "kind": "call", "workflow": f"orders.w{index + 1}"}] for index in range(deep)
    }
    chain[f"orders.w{deep}"] = [{"id": "on", "kind": "sleep", "seconds": 1}]
    flows = {name: called(name, nodes, examples=[{"input": {}}]) for name, nodes in chain.items()}
    given: Any = {"resolve": CONTRACTS.get, "known_names": CONTRACTS, "catalog": CATALOG}
    found = check_workflow(flows["orders.w0"], **given, resolve_workflow=flows.get)
    assert [each.code for each in found] == expected


def test_without_workflows_a_call_is_unknown() -> None:
    workflow, _ = read_workflow(GOOD)
    assert workflow is not None
    findings = check_workflow(workflow, resolve=CONTRACTS.get, known_names=CONTRACTS, catalog=CATALOG)
    assert places(findings) == [("unknown_workflow", "$.nodes[7].workflow")]


INNER_WORKFLOW: dict[str, Any] = {
    "name": "demo.keep",
    "intent": "keep a document",
    "input": an_object("key", key=TEXT),
    "start": "put",
    "nodes": [
        {
            "id": "put",
            "kind": "task",
            "capability": "demo.put",
            "with": {"key": {"var": "input.key"}},
            "no_compensation": "a test",
        }
    ],
    "examples": [{"input": {"key": "a"}, "output": {}, "store_after": {"demo": {"a": {}}}}],
}
OUTER_WORKFLOW: dict[str, Any] = {
    "name": "demo.keep_all",
    "intent": "keep many documents",
    "input": an_object("keys", keys={"type": "array", "items": TEXT}),
    "start": "each",
    "nodes": [
        {"id": "each", "kind": "map", "over": {"var": "input.keys"}, "as": "key", "start": "keep", "join": "kept"},
        {"id": "keep", "kind": "call", "workflow": "demo.keep", "with": {"key": {"var": "item.key"}}, "next": "kept"},
        {"id": "kept", "kind": "join"},
    ],
    "examples": [{"input": {"keys": ["a"]}, "output": [{}], "store_after": {"demo": {"a": {}}}}],
}
PUT = """--[[ capability
{
  "name": "demo.put",
  "intent": "put a document",
  "input": {"type": "object", "required": ["key"], "properties": {"key": {"type": "string", "minLength": 1}},
    "additionalProperties": false},
  "output": {"type": "object", "maxProperties": 0},
  "grants": {"store.put": {"namespaces": ["demo"]}},
  "examples": [
    {"input": {"key": "a"}, "output": {}, "store_after": {"demo": {"a": {}}}},
    {"input": {"key": "b"}, "output": {}, "store_after": {"demo": {"b": {}}}}
  ]
}
]]
function run(input, context)
  store.put{namespace = "demo", key = input.key, value = json.object{}}
  return json.object{}
end
"""


def test_a_published_workflow_is_pinned_to_what_it_calls(place: Path) -> None:
    with RiteSmith.open(str(place / "registry.db"), environment={}) as app:
        put_, _ = app.publish_checked(app.check_text(PUT, "put.lua"), source="person", author="a")
        inner, _ = app.publish_checked(
            app.checking.check_workflow_value(INNER_WORKFLOW, "a.json"),
            source="person",
            author="a",
            force_approval=True,
        )
        checked = app.checking.check_workflow_value(OUTER_WORKFLOW, "b.json")
        assert checked.findings == ()
        outer, _ = app.publish_checked(checked, source="person", author="a")
        assert inner.provenance.pins == {"demo.put@1": put_.digest}
        assert outer.provenance.pins == {"demo.keep@1": inner.digest}
        assert json.loads(outer.text)["nodes"][1]["workflow"] == "demo.keep@1"
        assert (outer.effect, outer.risk) == ("write", put_.risk)
        assert (inner.status, outer.status) == ("draft", "draft")
        assert [each.ref for each in app.approve_artifact("demo.keep_all@1")] == ["demo.keep@1", "demo.keep_all@1"]
        view = app.run("demo.keep_all", {"keys": ["x", "y"]})
        assert (view.status, view.output) == ("succeeded", [{}, {}])
        assert {each["key"] for each in app.documents("demo")} == {"x", "y"}
        around = {
            **INNER_WORKFLOW,
            "nodes": [{"id": "all", "kind": "call", "workflow": "demo.keep_all@1"}],
            "start": "all",
        }
        found = app.checking.check_workflow_value(around, "a.json").findings
        assert "recursive_call" in {each.code for each in found}


# ---------------------------------------------------------------- random workflows


class Builder:
    """Builds a well nested workflow from its end to its start: each piece is told where the run goes on after it."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.nodes: list[dict[str, Any]] = []
        self.home: dict[str, tuple[str, ...]] = {}
        """Node -> the branches that it lies in, from the outermost: "split.branch"."""

    def workflow(self) -> dict[str, Any]:
        start = self.segment("end_", (), 14, least=1)
        self.put((), id="end_", kind="end")
        self.draw.shuffle(self.nodes)
        examples = [{"input": {"id": "x", "lines": []}}]
        limits = {"steps": 100_000}
        return {**GOOD, "output": None, "start": start, "nodes": self.nodes, "examples": examples, "limits": limits}

    def put(self, home: tuple[str, ...], **fields: Any) -> str:
        self.nodes.append(fields)
        self.home[fields["id"]] = home
        return str(fields["id"])

    def name(self) -> str:
        return f"n{len(self.home) + len(self.nodes)}_{self.draw.randrange(10**6)}"

    def segment(self, after: str, home: tuple[str, ...], size: int, least: int = 0) -> str:
        for _ in range(max(least, self.draw.randint(0, size))):
            pieces = [self.task, self.task, self.retried, self.choice, self.asked, self.call]
            if len(home) < 3:
                pieces += [self.split, self.map]
            after = self.draw.choice(pieces)(after, home, size // 3)
        return after

    def task(self, after: str, home: tuple[str, ...], size: int) -> str:
        given = {"var": "item.line.sku"} if any("@" in each for each in home) and self.draw.random() < 0.5 else ID
        return self.put(home, **get(self.name(), after, given))

    def retried(self, after: str, home: tuple[str, ...], size: int) -> str:
        name, pause = self.name(), self.name() + "_pause"
        self.put(home, **sleep(pause, name))
        return self.put(home, **get(name, after, on_error=[{"code": "*", "target": pause}]))

    def choice(self, after: str, home: tuple[str, ...], size: int) -> str:
        ways = [self.segment(after, home, size) for _ in range(self.draw.randint(2, 3))]
        return self.put(home, **switch(self.name(), *ways))

    def asked(self, after: str, home: tuple[str, ...], size: int) -> str:
        other = self.segment(after, home, size)
        more = {"deadline_seconds": 60, "on_timeout": other} if self.draw.random() < 0.5 else {"on_reject": other}
        return self.put(home, id=self.name(), kind="approval", prompt="?", next=after, **more)

    def call(self, after: str, home: tuple[str, ...], size: int) -> str:
        more = {"on_error": [{"code": "*", "target": after}]} if self.draw.random() < 0.5 else {}
        given = {"order": ID}
        return self.put(
            home, id=self.name(), kind="call", workflow="orders.audit", next=after, **more, **{"with": given}
        )

    def split(self, after: str, home: tuple[str, ...], size: int) -> str:
        name, join = self.name(), self.name() + "_join"
        ways = []
        for index in range(self.draw.randint(1, 3)):
            start = self.segment(join, (*home, f"{name}.b{index}"), size, least=1)
            ways.append({"id": f"b{index}", "start": start})
        self.put(home, id=join, kind="join", policy=self.draw.choice(["all", "any", "settled"]), next=after)
        return self.put(home, id=name, kind="split", branches=ways, join=join)

    def map(self, after: str, home: tuple[str, ...], size: int) -> str:
        name, join = self.name(), self.name() + "_join"
        start = self.segment(join, (*home, f"{name}@"), size, least=1)
        self.put(home, id=join, kind="join", policy=self.draw.choice(["all", "settled"]), next=after)
        given = {"as": "line", "start": start, "join": join}
        return self.put(home, id=name, kind="map", over={"var": "input.lines"}, **given)

    def of_kind(self, *kinds: str, inside: bool | None = None) -> list[dict[str, Any]]:
        """The nodes of some kinds: all of them, those within branches, or those of the trunk."""
        return [
            each
            for each in self.nodes
            if each["kind"] in kinds and (inside is None or bool(self.home[each["id"]]) == inside)
        ]


def errors(value: dict[str, Any]) -> set[str]:
    return {each.code for each in check(value) if each.severity == "error"}


def random_builders(count: int) -> Iterable[tuple[random.Random, Builder, dict[str, Any]]]:
    """Random well nested workflows with at least one split or map each."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    while count:
        builder = Builder(draw)
        value = builder.workflow()
        if builder.of_kind("join") and builder.of_kind("task", inside=False) and builder.of_kind("task", inside=True):
            count -= 1
            yield draw, builder, value


def damage(draw: random.Random, built: Builder) -> tuple[str, set[str]]:
    """Change one thing; return what it was, and the codes of which one must be found."""
    inner, outer = draw.choice(built.of_kind("task", inside=True)), draw.choice(built.of_kind("task", inside=False))
    opener = draw.choice(built.of_kind("split", "map"))
    join = draw.choice(built.of_kind("join"))
    kind = draw.choice(
        ["null", "out", "in", "join", "join_kind", "shared", "item", "seen", "end", "itself", "ids", "aside"]
    )
    if kind == "null":
        inner["next"] = None
        return kind, {"ends_in_branch"}
    if kind == "out":
        inner["next"] = outer["id"]
        return kind, {"leaves_branch"}
    if kind == "in":
        outer["next"] = inner["id"]
        return kind, {"enters_branch"}
    if kind == "join":
        outer["next"] = join["id"]
        return kind, {"join_from_outside"}
    if kind == "join_kind":
        opener["join"] = inner["id"]
        return kind, {"wrong_kind"}
    if kind == "shared":
        other = draw.choice(built.of_kind("join"))["id"]
        if opener["join"] == other:
            built.nodes.append({"id": "spare", "kind": "join"})
            return kind, {"join_without_split"}
        opener["join"] = other
        return kind, {"shared_join"}
    if kind == "item":
        outer["with"] = {"id": {"var": "item.line.sku"}}
        return kind, {"unknown_reference"}
    if kind == "seen":
        outer["with"] = {"id": reads(f"nodes.{inner['id']}.output")}
        return kind, {"not_visible"}
    if kind == "end":
        inner["next"] = "stop"
        built.nodes.append({"id": "stop", "kind": "end", "status": "failed"})
        return kind, {"ends_in_branch"}
    if kind == "itself":
        built.nodes[built.nodes.index(outer)] = {**outer, "kind": "call", "workflow": "orders.settle"}
        del built.nodes[[each["id"] for each in built.nodes].index(outer["id"])]["capability"]
        return kind, {"recursive_call"}
    if opener["kind"] == "map":
        next(each for each in built.nodes if each["id"] == opener["join"])["policy"] = "any"
        return kind, {"join_policy"}
    if kind == "ids":
        opener["branches"].append(opener["branches"][0])
        return kind, {"duplicate_id"} | {"leaves_branch"}
    opener["branches"][0]["start"] = outer["id"]
    return kind, {"leaves_branch"}


def test_random_workflows_are_in_order_and_one_damage_is_found() -> None:
    for draw, built, value in random_builders(40):
        assert errors(value) == set(), value
        for _ in range(4):
            hurt = copy.deepcopy(built)
            value["nodes"] = hurt.nodes
            kind, codes = damage(draw, hurt)
            assert errors(value) & codes, (kind, codes, value)


class Walk:
    """One random run: at every visit of a node, the nodes whose output it could read."""

    def __init__(self, draw: random.Random, value: dict[str, Any]) -> None:
        self.draw = draw
        self.nodes = {each["id"]: each for each in value["nodes"]}
        self.visits: list[tuple[str, frozenset[str]]] = []
        self.steps = 400
        self.body(value["start"], None, frozenset())

    def body(self, at: str | None, join: str | None, seen: frozenset[str]) -> None:
        while at is not None and at != join and self.steps > 0:
            self.steps -= 1
            node = self.nodes[at]
            self.visits.append((at, seen))
            ways: list[tuple[str | None, bool]] = [(node.get("next"), node["kind"] != "sleep")]
            ways += [(each["target"], False) for each in node.get("on_error", ())]
            ways += [(node[key], key == "on_reject") for key in ("on_reject", "on_timeout") if key in node]
            if node["kind"] == "switch":
                ways = [(each["target"], False) for each in node["cases"]] + [(node["default"], False)]
            elif node["kind"] in ("split", "map"):
                starts = [each["start"] for each in node["branches"]] if "branches" in node else [node["start"]]
                for start in starts:
                    self.body(start, node["join"], seen)
                ways = [(self.nodes[node["join"]].get("next"), True)]
                at = node["join"]
                self.visits.append((at, seen))
            elif node["kind"] == "end":
                return
            target, gives = self.draw.choice(ways)
            seen, at = (seen | {at} if gives else seen), target


def test_what_is_called_assigned_is_there_on_every_random_walk() -> None:
    for draw, built, value in random_builders(12):
        readers = draw.sample(built.of_kind("task"), min(6, len(built.of_kind("task"))))
        producers = built.of_kind("task", "approval", "join", "call")
        asked = [(reader, draw.choice(producers)["id"]) for reader in readers]
        for reader, producer in asked:
            reader["with"] = {"id": reads(f"nodes.{producer}.output")}
        found = {(each.where.path.partition(".with")[0], each.code) for each in check(value)}
        visits = [visit for _ in range(100) for visit in Walk(draw, value).visits]
        for reader, producer in asked:
            at = f"$.nodes[{value['nodes'].index(reader)}]"
            there = {producer in seen for name, seen in visits if name == reader["id"]}
            codes = {code for path, code in found if path == at}
            if not codes & {"not_visible", "never_assigned", "not_assigned"}:
                assert there <= {True}, (reader["id"], producer, value)
            if codes & {"not_visible", "never_assigned"}:
                assert there <= {False}, (reader["id"], producer, value)


def test_what_passes_the_guard_can_be_walked_by_the_interpreter() -> None:
    for draw, built, value in random_builders(8):
        tasks, producers = built.of_kind("task"), built.of_kind("task", "approval", "join", "call")
        for reader in draw.sample(tasks, min(8, len(tasks))):
            reader["with"] = {"id": reads(f"nodes.{draw.choice(producers)['id']}.output")}
        refused = {each.where.path for each in check(value) if each.severity == "error"}
        for index, each in enumerate(value["nodes"]):
            if any(path.startswith(f"$.nodes[{index}].") for path in refused):
                each["with"] = {"id": ID}
        workflow, _ = read_workflow(value)
        assert workflow is not None
        assert errors(value) == set()
        ends = {path.error for path in dry_run(workflow, CONTRACTS.get, WORKFLOWS.get).paths}
        assert not ends & {"bad_workflow", "bad_expression"}, value
