"""Expressions: what they evaluate to, what they refuse, and what typing finds before a run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ritesmith import expr
from ritesmith.expr import ExpressionError, evaluate, fits, follow, holds, references, type_of, variables

SCOPE: dict[str, Any] = {
    "input": {
        "amount": 7,
        "rate": 0.5,
        "name": "Ada",
        "note": None,
        "flag": True,
        "lines": [{"sku": "a", "count": 2}, {"sku": "b", "count": 3}],
        "by_number": {"0": "zero"},
        "deep": {"x": [1, {"y": True}]},
    },
    "nodes": {"validate": {"output": {"amount": 120}}},
    "run": {"id": "r1"},
}


def var(path: str, *default: Any) -> dict[str, Any]:
    return {"var": [path, *default]} if default else {"var": path}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        pytest.param(5, 5, id="plain value"),
        pytest.param([1, var("input.amount")], [1, 7], id="array of expressions"),
        pytest.param({"a": var("input.amount"), "b": 1}, {"a": 7, "b": 1}, id="object of expressions"),
        pytest.param({"a": var("input.amount")}, {"a": 7}, id="one key that is no operator"),
        pytest.param({}, {}, id="empty object"),
        pytest.param({"literal": var("nowhere")}, {"var": "nowhere"}, id="literal"),
        pytest.param({"max": 5}, {"max": 5}, id="foreign operator without operands is data"),
        pytest.param(var("input.lines.1.sku"), "b", id="array index"),
        pytest.param(var("input.by_number.0"), "zero", id="number as a key"),
        pytest.param(var("nodes.validate.output.amount"), 120, id="output of a node"),
        pytest.param(var("run.id"), "r1", id="run"),
        pytest.param(var("input.gone", {"+": [1, 2]}), 3, id="default is an expression"),
        pytest.param(var("input.note", 3), None, id="null is not missing"),
        pytest.param(var("input.note.deeper", 3), 3, id="nothing is beneath null"),
        pytest.param(var("input.lines.2", "none"), "none", id="index beyond the end"),
        pytest.param(var("input.lines.01", "none"), "none", id="index with a leading zero"),
        pytest.param(var("nodes.later.output", 0), 0, id="node without output"),
        pytest.param({"missing": ["input.name", "input.gone", "input.note"]}, ["input.gone"], id="missing"),
        pytest.param({"==": [1, 1.0]}, True, id="integer equals float"),
        pytest.param({"==": [None, "x"]}, False, id="null against a string"),
        pytest.param({"!=": [None, None]}, False, id="null against null"),
        pytest.param({"==": [[1], [True]]}, False, id="true is not 1 inside arrays"),
        pytest.param({"==": [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}]}, True, id="objects by content"),
        pytest.param({"==": [[1, 2], [1]]}, False, id="arrays of different length"),
        pytest.param({"<": [1, 2, 2]}, False, id="less, three operands"),
        pytest.param({"<=": [1, 2, 2]}, True, id="between"),
        pytest.param({">=": ["b", "a"]}, True, id="strings by code point"),
        pytest.param({"and": [True, False, var("input.gone")]}, False, id="and stops at false"),
        pytest.param({"or": [True, var("input.gone")]}, True, id="or stops at true"),
        pytest.param({"!": False}, True, id="not, one operand without a list"),
        pytest.param({"if": [False, 1, True, 2, 3]}, 2, id="if, second condition"),
        pytest.param({"if": [False, var("input.gone"), "else"]}, "else", id="if leaves the other branch alone"),
        pytest.param({"in": ["da", var("input.name")]}, True, id="in a string"),
        pytest.param({"in": [2.0, [1, 2, None]]}, True, id="in an array"),
        pytest.param({"in": [None, ["a"]]}, False, id="null in an array"),
        pytest.param({"cat": ["n=", 1, " ", 2.5, " ", True]}, "n=1 2.5 true", id="cat prints JSON"),
        pytest.param({"+": [1, 2, 3]}, 6, id="sum"),
        pytest.param({"-": 5}, -5, id="negation"),
        pytest.param({"+": var("input.amount")}, 7, id="sum of one"),
        pytest.param({"*": [0.5]}, 0.5, id="product of one"),
        pytest.param({"missing": []}, [], id="missing of nothing"),
        pytest.param({"*": [2, 0.5]}, 1.0, id="product with a float"),
        pytest.param({"/": [6, 2]}, 3, id="exact division of integers"),
        pytest.param({"/": [7, 2]}, 3.5, id="division with a rest"),
        pytest.param({"/": [9007199254740993, 1]}, 9007199254740993, id="no digit is lost"),
        pytest.param({"-": [-(2**63) + 1, 1]}, -(2**63), id="the last integer of 64 bits"),
    ],
)
def test_evaluate(expression: Any, value: Any) -> None:
    found = evaluate(expression, SCOPE)
    # Compared as JSON text, since Python takes True for 1 and 1 for 1.0.
    assert json.dumps(found) == json.dumps(value)


@pytest.mark.parametrize(
    ("expression", "operator", "where", "problem"),
    [
        pytest.param(var("input.gone"), "var", "$.var", "nothing at", id="missing path"),
        pytest.param(var("input.note.x"), "var", "$.var", "nothing at", id="path through null"),
        pytest.param(var("amount"), "var", "$.var", "starts with none of", id="unknown root"),
        pytest.param(var("input..x"), "var", "$.var", "empty part", id="empty part"),
        pytest.param(var("nodes.validate"), "var", "$.var", "nodes.<id>.output", id="nodes without output"),
        pytest.param(var("nodes.validate.amount", 1), "var", "$.var", "nodes.<id>.output", id="output left out"),
        pytest.param({"var": {"cat": ["input.", "x"]}}, "var", "$.var", "plain text", id="computed path"),
        pytest.param({"var": ["input.amount", 1, 2]}, "var", "$.var", "1 to 2 operands", id="var with three"),
        pytest.param({"missing": [1]}, "missing", "$.missing", "plain text", id="missing wants paths"),
        pytest.param({"==": [1, "1"]}, "==", "$['==']", "a number with a string", id="number and string"),
        pytest.param({"==": [1, True]}, "==", "$['==']", "a number with a boolean", id="number and boolean"),
        pytest.param({"==": [1]}, "==", "$['==']", "2 operands, found 1", id="one operand"),
        pytest.param({"<": [1, "2"]}, "<", "$['<']", "a number with a string", id="order of mixed types"),
        pytest.param({"<": [None, 1]}, "<", "$['<']", "found null", id="null has no order"),
        pytest.param({">": [True, False]}, ">", "$['>']", "found a boolean", id="booleans have no order"),
        pytest.param({">": [1, 2, 3]}, ">", "$['>']", "2 operands", id="greater takes two"),
        pytest.param({"and": [True, 1]}, "and", "$.and[1]", "wants a boolean", id="and of a number"),
        pytest.param({"or": []}, "or", "$.or", "1 or more", id="or of nothing"),
        pytest.param({"!": "x"}, "!", "$['!']", "wants a boolean", id="not of a string"),
        pytest.param({"if": [1, 2, 3]}, "if", "$.if[0]", "wants a boolean", id="if of a number"),
        pytest.param({"if": [True, 2]}, "if", "$.if", "3 or more", id="if alone"),
        pytest.param({"if": [True, 1, True, 2]}, "if", "$.if", "no otherwise", id="if without otherwise"),
        pytest.param({"in": [1, "a1"]}, "in", "$.in", "a number in a string", id="number in a string"),
        pytest.param({"in": [1, [1, "a"]]}, "in", "$.in", "a number with a string", id="in a mixed array"),
        pytest.param({"in": ["a", {"a": 1}]}, "in", "$.in", "found an object", id="in an object"),
        pytest.param({"cat": ["a", None]}, "cat", "$.cat", "null as operand 2", id="cat of null"),
        pytest.param({"cat": {"a": 1, "b": 2}}, "cat", "$.cat", "an object", id="cat of an object"),
        pytest.param({"+": [1, "2"]}, "+", "$['+']", "a string as operand 2", id="sum of a string"),
        pytest.param({"+": [1, True]}, "+", "$['+']", "a boolean as operand 2", id="sum of a boolean"),
        pytest.param({"+": var("input.lines")}, "+", "$['+']", "an array as operand 1", id="sum of an array"),
        pytest.param({"*": []}, "*", "$['*']", "1 or more", id="product of nothing"),
        pytest.param({"/": [1, 0]}, "/", "$['/']", "division by zero", id="division by zero"),
        pytest.param({"/": [1.0, 0.0]}, "/", "$['/']", "division by zero", id="float division by zero"),
        pytest.param({"*": [1e308, 10]}, "*", "$['*']", "not a finite number", id="float out of range"),
        pytest.param({"+": [10**400, 0.5]}, "+", "$['+']", "out of range", id="integer too large for a float"),
        pytest.param({"*": [2**62, 2]}, "*", "$['*']", "64 bits", id="integer out of range"),
        pytest.param({"===": [1, 1]}, "===", "$", "unknown operator", id="signs"),
        pytest.param({"Var": "input.amount"}, "Var", "$", "unknown operator", id="other letters"),
        pytest.param({"max": [1, 2]}, "max", "$", "unknown operator", id="foreign operator"),
        pytest.param({"ref": "input.amount"}, "ref", "$", "written as 'var'", id="wrong name for var"),
        pytest.param({"==": [1, 1], "or": []}, "==", "$", "one key only", id="two operations in one object"),
        pytest.param({"var": "input.x", "default": 1}, "var", "$", "one key only", id="key beside var"),
        pytest.param(
            {"a": [0, {"if": [{"==": [var("input.gone"), 1]}, 1, 2]}]},
            "var",
            "$.a[1].if[0]['=='][0].var",
            "nothing at",
            id="place deep inside",
        ),
    ],
)
def test_refused(expression: Any, operator: str, where: str, problem: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(expression, SCOPE)
    assert (caught.value.operator, caught.value.where) == (operator, where)
    assert problem in caught.value.problem
    assert repr(operator) in caught.value.message
    assert where in caught.value.message
    assert caught.value.as_dict()["code"] == "expression_error"


def test_the_place_is_told_from_where_the_expression_stands() -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate({"to": var("input.gone")}, SCOPE, where="$.nodes[3].with")
    assert caught.value.where == "$.nodes[3].with.to.var"


def test_a_condition_is_a_boolean() -> None:
    assert holds({">": [var("input.amount"), 5]}, SCOPE) is True
    with pytest.raises(ExpressionError) as caught:
        holds(var("input.amount"), SCOPE, where="$.when")
    assert (caught.value.operator, caught.value.where) == ("condition", "$.when")


def nested(levels: int) -> Any:
    expression: Any = False
    for _ in range(levels):
        expression = {"!": expression}
    return expression


def test_nesting_has_an_end() -> None:
    assert evaluate(nested(expr.DEPTH_MAX), SCOPE) is False
    for levels in (expr.DEPTH_MAX + 1, 50_000):
        with pytest.raises(ExpressionError, match="nested deeper than 100 levels"):
            evaluate(nested(levels), SCOPE)
        _, findings = type_of(nested(levels), lambda path: {}, "$")
        assert [each.code for each in findings] == ["expression_depth"]
    assert references(nested(50_000)) == []


def test_deep_data_compares_without_recursion() -> None:
    one: Any = 1
    other: Any = 1
    for _ in range(50_000):
        one, other = [one], [other]
    assert evaluate({"==": [var("input.one"), var("input.other")]}, {"input": {"one": one, "other": other}}) is True
    # Taken apart by hand: Python's own way to free it would recurse.
    for each in (one, other):
        while isinstance(each, list):
            each = each.pop()


def test_values_of_the_scope_are_left_alone() -> None:
    before = json.dumps(SCOPE)
    evaluate({"a": var("input"), "b": [var("input.lines"), {"==": [var("input.deep"), var("input.deep")]}]}, SCOPE)
    assert json.dumps(SCOPE) == before


def test_references_come_in_order_with_defaults_and_without_literals() -> None:
    expression = {
        "b": {"cat": [var("input.b"), {"literal": var("input.not")}, var("input.c", var("run.id"))]},
        "a": [var("nodes.x.output"), {"missing": ["input.d", "input.b"]}],
    }
    assert references(expression) == [
        "input.b",
        "input.c",
        "run.id",
        "nodes.x.output",
        "input.d",
        "input.b",
    ]
    assert [(each.where, each.optional) for each in variables(expression, "$.with")] == [
        ("$.with.b.cat[0].var", False),
        ("$.with.b.cat[2].var", True),
        ("$.with.b.cat[2].var[1].var", False),
        ("$.with.a[0].var", False),
        ("$.with.a[1].missing", True),
        ("$.with.a[1].missing", True),
    ]


# ---------------------------------------------------------------- types

INPUT: dict[str, Any] = {
    "type": "object",
    "required": ["amount", "count", "name", "kind", "flag", "any"],
    "properties": {
        "amount": {"type": "number"},
        "count": {"type": "integer"},
        "name": {"type": "string"},
        "maybe": {"type": ["number", "null"]},
        "kind": {"enum": ["sale", "refund"]},
        "flag": {"type": "boolean"},
        "any": {},
        "tags": {"type": "array", "items": {"type": "string"}},
        "line": {"$ref": "#/$defs/line"},
        "pair": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}], "minItems": 1},
        "either": {"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "null"}]},
        "open": {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
        "all": {
            "allOf": [
                {"type": "object", "required": ["x"], "properties": {"x": {"type": "number"}}},
                {"properties": {"y": {"type": "string"}}},
            ]
        },
    },
    "$defs": {
        "line": {
            "type": "object",
            "required": ["sku"],
            "properties": {"sku": {"type": "string"}, "next": {"$ref": "#/$defs/line"}},
        }
    },
}


def at(path: str) -> dict[str, Any] | None:
    return follow(INPUT, path.split(".")[1:]).schema


@pytest.mark.parametrize(
    ("expression", "kinds"),
    [
        pytest.param(1, "an integer", id="integer"),
        pytest.param(1.5, "a fraction", id="fraction"),
        pytest.param(True, "a boolean", id="boolean"),
        pytest.param([var("input.name")], "an array", id="array"),
        pytest.param({"a": 1}, "an object", id="object"),
        pytest.param({"literal": {"var": 1}}, "an object", id="literal"),
        pytest.param(var("input.amount"), "a number", id="number"),
        pytest.param(var("input.maybe"), "a number or null", id="nullable"),
        pytest.param(var("input.maybe", "none"), "a number or a string or null", id="default adds its type"),
        pytest.param(var("input.any"), "anything", id="untyped"),
        pytest.param({"missing": ["input.maybe"]}, "an array", id="missing"),
        pytest.param({"+": [var("input.count"), 1]}, "an integer", id="sum of integers"),
        pytest.param({"+": [var("input.count"), 1.5]}, "a number", id="sum with a fraction"),
        pytest.param({"*": [var("input.count")]}, "an integer", id="product of one"),
        pytest.param({"missing": []}, "an array", id="missing of nothing"),
        pytest.param({"/": [4, 2]}, "a number", id="quotient"),
        pytest.param({"cat": [1, "a", True]}, "a string", id="cat"),
        pytest.param({"if": [var("input.flag"), 1, "b"]}, "a string or an integer", id="if"),
        pytest.param({"in": ["a", var("input.tags")]}, "a boolean", id="in"),
    ],
)
def test_type_of(expression: Any, kinds: str) -> None:
    schema, findings = type_of(expression, at, "$")
    assert findings == []
    assert set(expr.describe(schema).split(" or ")) == set(kinds.split(" or "))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param(var("input.gone"), [("unknown_reference", "$.w.var")], id="unknown"),
        pytest.param(var("inputs.x"), [("bad_path", "$.w.var")], id="unknown root"),
        pytest.param({"missing": ["input.gone"]}, [("unknown_reference", "$.w.missing")], id="missing what never is"),
        pytest.param({"===": [1, 1]}, [("unknown_operator", "$.w")], id="unknown operator"),
        pytest.param({"!": [True, True]}, [("operand_count", "$.w['!']")], id="operands"),
        pytest.param({"if": [True, 1]}, [("operand_count", "$.w.if")], id="if without otherwise"),
        pytest.param({"==": [var("input.amount"), "5"]}, [("type_mismatch", "$.w['==']")], id="compares types"),
        pytest.param({"==": [var("input.maybe"), "5"]}, [("type_mismatch", "$.w['==']")], id="compares under null"),
        pytest.param({"==": [var("input.name"), None]}, [], id="null compares with all"),
        pytest.param({"==": [var("input.any"), "5"]}, [], id="untyped compares"),
        pytest.param({"==": [var("input.kind"), "refnd"]}, [("never_equal", "$.w['==']")], id="no value of the enum"),
        pytest.param({"<": [var("input.flag"), 1]}, [("type_mismatch", "$.w['<'][0]")], id="order of a boolean"),
        pytest.param({"<": [var("input.name"), 1]}, [("type_mismatch", "$.w['<']")], id="order of mixed types"),
        pytest.param({"<": [var("input.maybe"), 1]}, [("type_may_differ", "$.w['<'][0]")], id="order of a nullable"),
        pytest.param({"and": [var("input.flag"), var("input.name")]}, [("type_mismatch", "$.w.and[1]")], id="and"),
        pytest.param({"!": var("input.name")}, [("type_mismatch", "$.w['!']")], id="not"),
        pytest.param({"if": [1, 2, 3]}, [("type_mismatch", "$.w.if[0]")], id="if"),
        pytest.param({"in": [1, var("input.tags")]}, [("type_mismatch", "$.w.in")], id="in an array"),
        pytest.param({"in": [1, var("input.name")]}, [("type_mismatch", "$.w.in[0]")], id="in a string"),
        pytest.param({"in": ["a", var("input.flag")]}, [("type_mismatch", "$.w.in[1]")], id="in a boolean"),
        pytest.param({"cat": [var("input.tags")]}, [("type_mismatch", "$.w.cat[0]")], id="cat of an array"),
        pytest.param({"cat": [var("input.maybe")]}, [("type_may_differ", "$.w.cat[0]")], id="cat of a nullable"),
        pytest.param({"+": [1, var("input.name")]}, [("type_mismatch", "$.w['+'][1]")], id="sum of a string"),
        pytest.param({"+": var("input.tags")}, [("type_mismatch", "$.w['+']")], id="sum of an array"),
        pytest.param({"/": [1, 0]}, [("division_by_zero", "$.w['/'][1]")], id="division by zero"),
        pytest.param(
            {"a": {"!": 1}, "b": [var("input.gone")]},
            [("type_mismatch", "$.w.a['!']"), ("unknown_reference", "$.w.b[0].var")],
            id="all findings at once",
        ),
    ],
)
def test_typing_finds(expression: Any, expected: list[tuple[str, str]]) -> None:
    _, findings = type_of(expression, at, "$.w")
    assert [(each.code, each.where.path) for each in findings] == expected
    warnings = {"type_may_differ", "never_equal"}
    assert all((each.severity == "warning") == (each.code in warnings) for each in findings)


def test_what_typing_calls_an_error_fails_when_evaluated() -> None:
    value = {"amount": 1, "count": 2, "name": "n", "kind": "sale", "flag": True, "any": 1, "tags": ["a"], "maybe": 3}
    for test in test_typing_finds.pytestmark[0].args[1]:
        expression, expected = test.values
        only_warnings = all(code in ("type_may_differ", "never_equal") for code, _ in expected)
        if only_warnings or "missing" in expression:  # asking for what never is there is a slip, and has an answer
            continue
        with pytest.raises(ExpressionError):
            evaluate(expression, {"input": value})


@pytest.mark.parametrize(
    ("path", "certain", "kinds"),
    [
        pytest.param("amount", True, "a number", id="required"),
        pytest.param("maybe", False, "a number or null", id="optional"),
        pytest.param("line.next.next.sku", False, "a string", id="through references"),
        pytest.param("pair.0", False, "a number", id="first of an optional pair"),
        pytest.param("tags.7", False, "a string", id="element"),
        pytest.param("either.a", False, "a string", id="in one of two forms"),
        pytest.param("open.zz", False, "an integer", id="additional properties have a type"),
        pytest.param("all.x", False, "a number", id="all of, first"),
        pytest.param("all.y", False, "a string", id="all of, second"),
        pytest.param("any.thing", False, "anything", id="beneath untyped"),
        pytest.param("amont", False, None, id="undeclared"),
        pytest.param("amount.x", False, None, id="beneath a number"),
        pytest.param("tags.first", False, None, id="name in an array"),
        pytest.param("either.b", False, None, id="in no form"),
        pytest.param("all.z", False, None, id="in none of all"),
    ],
)
def test_follow(path: str, certain: bool, kinds: str | None) -> None:
    found = follow(INPUT, path.split("."))
    assert (found.schema is None) == (kinds is None)
    if found.schema is not None:
        assert (expr.describe(found.schema), found.certain) == (kinds, certain)


def test_a_failed_follow_names_what_is_there() -> None:
    found = follow(INPUT, ["line", "next", "skew"])
    assert (found.failed_at, found.names) == (2, ("sku", "next"))


WANTED: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "count"],
    "properties": {
        "kind": {"enum": ["sale", "refund", "other"]},
        "count": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
        "to": {"oneOf": [{"type": "string"}, {"type": "object", "required": ["id"], "properties": {"id": {}}}]},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param({"kind": var("input.kind"), "count": 3}, [], id="fits"),
        pytest.param({"kind": var("input.any"), "count": var("input.any")}, [], id="untyped fits"),
        pytest.param({"kind": "sale"}, [("missing_property", "$.w")], id="missing property"),
        pytest.param(
            {"kind": "sale", "count": 1, "cuont": 2}, [("unknown_property", "$.w.cuont")], id="unknown property"
        ),
        pytest.param({"kind": "sale", "count": "1"}, [("type_mismatch", "$.w.count")], id="constant of another type"),
        pytest.param({"kind": "sale", "count": 0}, [("not_admitted", "$.w.count")], id="constant out of range"),
        pytest.param({"kind": "sail", "count": 1}, [("not_admitted", "$.w.kind")], id="constant not in the enum"),
        pytest.param({"kind": "sale", "count": var("input.name")}, [("type_mismatch", "$.w.count")], id="other type"),
        pytest.param(
            {"kind": "sale", "count": var("input.amount")}, [("type_may_differ", "$.w.count")], id="number for integer"
        ),
        pytest.param(
            {"kind": {"if": [var("input.flag"), "sale", "x"]}, "count": 1},
            [("type_may_differ", "$.w.kind")],
            id="one of two values",
        ),
        pytest.param({"kind": "sale", "count": 1, "tags": ["a", 1]}, [("type_mismatch", "$.w.tags[1]")], id="element"),
        pytest.param({"kind": "sale", "count": 1, "to": {"id": 1}}, [], id="second form"),
        pytest.param({"kind": "sale", "count": 1, "to": 5}, [("type_mismatch", "$.w.to")], id="no form"),
        pytest.param(var("input.name"), [("type_mismatch", "$.w")], id="no object"),
        pytest.param(
            var("input.line"), [("missing_property", "$.w")] * 2 + [("unknown_property", "$.w.sku")], id="schema"
        ),
    ],
)
def test_fits(expression: Any, expected: list[tuple[str, str]]) -> None:
    schema, findings = type_of(expression, at, "$.w")
    assert findings == []
    found = [(each.code, each.where.path) for each in fits(schema, WANTED, "$.w")]
    assert [each for each in found if each != ("type_may_differ", "$.w.next")] == expected


def test_schemas_that_refer_to_themselves_come_to_an_end() -> None:
    again = [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]
    loop = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": again, "allOf": again}}}
    assert expr.describe(loop) == "anything"
    tree: dict[str, Any] = {"type": "object", "properties": {"l": {"$ref": "#/$defs/t"}, "r": {"$ref": "#/$defs/t"}}}
    given = {"$ref": "#/$defs/t", "$defs": {"t": tree}}
    wanted = {"$ref": "#/$defs/t", "$defs": {"t": {**tree, "title": "another"}}}
    assert fits(given, wanted, "$") == []
