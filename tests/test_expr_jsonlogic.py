"""The official cases of JSON Logic (jsonlogic.com/tests.json), each one as it fares here.

A line of a table is `operator | data | cases`. A case is `[operands, official answer]`; where we give another answer
instead of an error, that answer is third. Of an operator that isn't offered, a case is only its operands. The line
`plain` holds rules that are no operation.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ritesmith import expr
from ritesmith.expr import ExpressionError, evaluate, type_of

OFFICIAL = {
    **{"plain": 8, "var": 21, "missing": 17, "if": 44, "and": 20, "or": 15, "!": 10, "in": 5, "cat": 6},
    **{"==": 3, "!=": 3, "<": 7, "<=": 6, ">": 4, ">=": 4, "+": 4, "-": 4, "*": 4, "/": 3},
    **{"===": 5, "!==": 3, "!!": 4, "?:": 3, "%": 3, "max": 4, "min": 4, "substr": 8, "merge": 10, "missing_some": 9},
    **{"filter": 4, "map": 3, "reduce": 6, "all": 8, "none": 8, "some": 8},
}
"""Operator -> its cases in the official file, by the outermost operator; 278 in all."""

SAME = """
plain | {} | [true, true], [false, false], [17, 17], [3.14, 3.14], ["apple", "apple"], [null, null]
plain | {} | [["a", "b"], ["a", "b"]]
plain | {"x": 2} | [[1, {"var": "x"}, 3], [1, 2, 3]]
== | {} | [[1, 1], true], [[1, 2], false]
!= | {} | [[1, 2], true], [[1, 1], false]
> | {} | [[2, 1], true], [[1, 1], false], [[1, 2], false]
>= | {} | [[2, 1], true], [[1, 1], true], [[1, 2], false]
< | {} | [[2, 1], false], [[1, 1], false], [[1, 2], true], [[1, 2, 3], true], [[1, 1, 3], false], [[1, 4, 3], false]
<= | {} | [[2, 1], false], [[1, 1], true], [[1, 2], true], [[1, 2, 3], true], [[1, 4, 3], false]
! | {} | [[false], true], [false, true], [[true], false], [true, false]
or | {} | [[true, true], true], [[false, true], true], [[true, false], true], [[false, false], false]
or | {} | [[false, false, true], true], [[false, false, false], false], [[false], false], [[true], true]
and | {} | [[true, true], true], [[false, true], false], [[true, false], false], [[false, false], false]
and | {} | [[true, true, true], true], [[true, true, false], false], [[false], false], [[true], true]
and | {} | [[false, 3], false], [[{">": [3, 1]}, true], true], [[{">": [3, 1]}, false], false]
and | {} | [[{">": [3, 1]}, {"!": true}], false], [[{">": [3, 1]}, {"<": [1, 3]}], true]
and | {"temp": 100, "pie": {"filling": "apple"}} |\
 [[{"<": [{"var": "temp"}, 110]}, {"==": [{"var": "pie.filling"}, "apple"]}], true]
in | {} | [["Bart", ["Bart", "Homer", "Lisa", "Marge", "Maggie"]], true]
in | {} | [["Milhouse", ["Bart", "Homer", "Lisa", "Marge", "Maggie"]], false]
in | {} | [["Spring", "Springfield"], true], [["i", "team"], false]
in | {"filling": "apple"} | [[{"var": "filling"}, ["apple", "cherry"]], true]
cat | {} | ["ice", "ice"], [["ice"], "ice"], [["ice", "cream"], "icecream"], [[1, 2], "12"]
cat | {} | [["Robocop", 2], "Robocop2"], [["we all scream for ", "ice", "cream"], "we all scream for icecream"]
+ | {} | [[1, 2], 3], [[2, 2, 2], 6], [[1], 1]
* | {} | [[3, 2], 6], [[2, 2, 2], 8], [[1], 1]
- | {} | [[2, 3], -1], [[3, 2], 1], [[3], -3]
/ | {} | [[4, 2], 2], [[2, 4], 0.5]
if | null | [[true, "apple", "banana"], "apple"], [[false, "apple", "banana"], "banana"]
if | null | [[{">": [2, 1]}, "apple", "banana"], "apple"], [[{">": [1, 2]}, "apple", "banana"], "banana"]
if | null | [[true, {"cat": ["ap", "ple"]}, {"cat": ["ba", "na", "na"]}], "apple"]
if | null | [[false, {"cat": ["ap", "ple"]}, {"cat": ["ba", "na", "na"]}], "banana"]
if | null | [[true, "apple", true, "banana", "carrot"], "apple"], [[true, "apple", false, "banana", "carrot"], "apple"]
if | null | [[false, "apple", true, "banana", "carrot"], "banana"]
if | null | [[false, "apple", false, "banana", "carrot"], "carrot"]
if | null | [[false, "apple", false, "banana", false, "carrot", "date"], "date"]
if | null | [[false, "apple", false, "banana", true, "carrot", "date"], "carrot"]
if | null | [[false, "apple", true, "banana", false, "carrot", "date"], "banana"]
if | null | [[false, "apple", true, "banana", true, "carrot", "date"], "banana"]
if | null | [[true, "apple", false, "banana", false, "carrot", "date"], "apple"]
if | null | [[true, "apple", false, "banana", true, "carrot", "date"], "apple"]
if | null | [[true, "apple", true, "banana", false, "carrot", "date"], "apple"]
if | null | [[true, "apple", true, "banana", true, "carrot", "date"], "apple"]
if | {"x": true, "y": 42} | [[{"var": "x"}, [{"var": "y"}], 99], [42]]
var | {"a": 1} | [["a"], 1], ["a", 1], [["b", 2], 2]
var | null | [["a", 1], 1]
var | {"a": {"b": "c"}} | ["a.b", "c"], [["a.q", 9], 9]
var | ["apple", "banana"] | ["1", "banana"]
var | ["apple", ["banana", "beer"]] | ["1.1", "beer"]
var | 1 | ["", 1]
missing | null | [[], []], [["a"], ["a"]], ["a", ["a"]], [["a", "b"], ["a", "b"]], [["a.b"], ["a.b"]]
missing | {"a": "apple"} | ["a", []], [["a"], []], [["a", "b"], ["b"]], [["a.b"], ["a.b"]]
missing | {"b": "banana"} | [["a", "b"], ["a"]]
missing | {"a": "apple", "b": "banana"} | [["a", "b"], []]
missing | {} | [["a", "b"], ["a", "b"]]
missing | {"a": {"c": "apple cake"}} | [["a.b"], ["a.b"]]
missing | {"a": {"b": "apple brownie"}} | [["a.b"], []], [["a.b", "a.c"], ["a.c"]]
"""

DIFFERENT = {
    "a missing path is an error": """
var | {"a": 1} | [["b"], null], ["b", null]
var | null | [["a"], null], ["a", null], ["a.b.c", null]
var | {"a": {"b": "c"}} | ["a.q", null]
var | {"a": null} | ["a.b.c", null]
var | {"a": {"b": null}} | ["a.b.c", null]
""",
    "nothing is converted": """
== | {} | [[1, "1"], true]
!= | {} | [[1, "1"], false]
> | {} | [["2", 1], true]
>= | {} | [["2", 1], true]
< | {} | [["1", 2], true]
<= | {} | [["1", 2], true]
+ | {} | [["1", 1], 2]
* | {} | [["1", 1], 1]
- | {} | [["1", 1], 0]
/ | {} | [["1", 1], 1]
if | null | [[{"+": "0"}, "apple", "banana"], "banana"], [[{"+": "1"}, "apple", "banana"], "apple"]
""",
    "only booleans are conditions": """
! | {} | [0, true], [1, false], [[[]], true], [[0], true], [[""], true], [["0"], false]
or | {} | [[1, 3], 1], [[3, false], 3], [[false, 3], 3]
or | {} | [[[], true], true], [[0, true], true], [["", true], true], [["0", true], "0"]
and | {} | [[1, 3], 3], [[3, false], false]
and | {} | [[[], true], []], [[0, true], 0], [["", true], ""], [["0", true], true]
if | null | [[[], "apple", "banana"], "banana"], [[[1], "apple", "banana"], "apple"]
if | null | [[[1, 2, 3, 4], "apple", "banana"], "apple"], [["", "apple", "banana"], "banana"]
if | null | [["zucchini", "apple", "banana"], "apple"], [["0", "apple", "banana"], "apple"]
if | null | [[0, "apple", "banana"], "banana"], [[1, "apple", "banana"], "apple"]
if | null | [[3.1416, "apple", "banana"], "apple"], [[-1, "apple", "banana"], "apple"]
if | {"a": "apple"} | [[{"missing": "a"}, "missed it", "found it"], "found it"]
if | {"b": "banana"} | [[{"missing": "a"}, "missed it", "found it"], "missed it"]
""",
    "an if has an otherwise": """
if | null | [[], null], [[true], true], [[false], false], [["apple"], "apple"]
if | null | [[true, "apple"], "apple"], [[false, "apple"], null]
if | null | [[true, "apple", true, "banana"], "apple"], [[true, "apple", false, "banana"], "apple"]
if | null | [[false, "apple", true, "banana"], "banana"], [[false, "apple", false, "banana"], null]
if | null | [[false, "apple", false, "banana", false, "carrot"], null]
""",
    "paths are plain text": """
var | ["apple", "banana"] | [1, "banana"]
var | 1 | [null, 1], [[], 1]
var | {"temp": 100, "pie": {"filling": "apple", "eta": "60s"}} |\
 [[{"?:": [{"<": [{"var": "temp"}, 110]}, "pie.filling", "pie.eta"]}], "apple"]
missing | {"financing": true} |\
 [{"merge": ["vin", {"if": [{"var": "financing"}, ["apr"], []]}]}, ["vin", "apr"]]
missing | {"financing": false} | [{"merge": ["vin", {"if": [{"var": "financing"}, ["apr"], []]}]}, ["vin"]]
""",
    "another word is a key": """
merge | null | [1, [1], {"merge": 1}]
""",
}

# What the official file has no case for, with the answer of the official implementation, be it no JSON.
DIFFERENT_BEYOND = {
    "null and empty text are there": """
missing | {"a": null, "b": ""} | [["a", "b"], ["a", "b"], []]
""",
    "nothing is converted": """
< | {} | [[null, 1], true]
in | {} | [[1, "a1"], true], [["a", 5], false]
cat | {} | [["a", null], "a"]
""",
    "operands are counted": """
== | {} | [[1, 1, 2], true]
> | {} | [[3, 2, 4], true]
var | {"a": 1} | [["a", 2, 3], 1]
""",
    "arrays and objects are equal by content": """
== | {} | [[[1], [1]], false, true]
in | {} | [[[1], [[1], [2]]], false, true]
""",
    "a number is finite": """
/ | {} | [[1, 0], Infinity], [[0, 0], NaN]
* | {} | [[1e308, 10], Infinity]
""",
}

REASON = {
    "a missing path is an error": "there is nothing at",
    "nothing is converted": "compares|orders|wants numbers|looks (for|in)|joins",
    "only booleans are conditions": "wants a boolean",
    "an if has an otherwise": "takes 3 or more|no otherwise",
    "paths are plain text": "wants a path as plain text|takes 1 to 2 operands, found 0",
    "operands are counted": "takes .+ operands, found 3",
    "a number is finite": "division by zero|not a finite number",
}
"""Difference -> what our error says, so that a case isn't refused for another reason than its own."""

REFUSED = """
=== | {} | [1, 1], [1, "1"], [1, 2]
=== | null | [0, "0"], [0, {"+": "0"}]
!== | {} | [1, 2], [1, 1], [1, "1"]
!! | {} | [[]], [0], [""], ["0"]
?: | {} | [true, 1, 2], [false, 1, 2], [{">": [3, 1]}, "visible", "hidden"]
% | {} | [1, 2], [2, 2], [3, 2]
max | {} | [1, 2, 3], [1, 3, 3], [3, 2, 1], [1]
min | {} | [1, 2, 3], [1, 1, 3], [3, 2, 1], [1]
substr | null | ["jsonlogic", 4], ["jsonlogic", -5], ["jsonlogic", 0, 1], ["jsonlogic", -1, 1], ["jsonlogic", 4, 5]
substr | null | ["jsonlogic", -5, 5], ["jsonlogic", -5, -2], ["jsonlogic", 1, -5]
merge | null | [], [[1]], [[1], []], [[1], [2]], [[1], [2], [3]], [[1, 2], [3]], [[1], [2, 3]], [1, 2], [1, [2]]
missing_some | {"a": "apple"} | [1, ["a", "b"]]
missing_some | {"b": "banana"} | [1, ["a", "b"]]
missing_some | {"a": "apple", "b": "banana"} | [1, ["a", "b"]], [2, ["a", "b", "c"]]
missing_some | {"c": "carrot"} | [1, ["a", "b"]]
missing_some | {"a": "apple", "c": "carrot"} | [2, ["a", "b", "c"]]
missing_some | {"a": "apple", "b": "banana", "c": "carrot"} | [2, ["a", "b", "c"]]
missing_some | {"a": "apple", "d": "durian"} | [2, ["a", "b", "c"]]
missing_some | {"d": "durian", "e": "eggplant"} | [2, ["a", "b", "c"]]
filter | {"integers": [1, 2, 3]} | [{"var": "integers"}, true], [{"var": "integers"}, false]
filter | {"integers": [1, 2, 3]} | [{"var": "integers"}, {">=": [{"var": ""}, 2]}]
filter | {"integers": [1, 2, 3]} | [{"var": "integers"}, {"%": [{"var": ""}, 2]}]
map | {"integers": [1, 2, 3]} | [{"var": "integers"}, {"*": [{"var": ""}, 2]}]
map | null | [{"var": "integers"}, {"*": [{"var": ""}, 2]}]
map | {"desserts": [{"name": "apple", "qty": 1}, {"name": "brownie", "qty": 2}, {"name": "cupcake", "qty": 3}]} |\
 [{"var": "desserts"}, {"var": "qty"}]
reduce | {"integers": [1, 2, 3, 4]} | [{"var": "integers"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]
reduce | {"integers": [1, 2, 3, 4], "start_with": 59} |\
 [{"var": "integers"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, {"var": "start_with"}]
reduce | null | [{"var": "integers"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]
reduce | {"integers": [1, 2, 3, 4]} | [{"var": "integers"}, {"*": [{"var": "current"}, {"var": "accumulator"}]}, 1]
reduce | {"integers": [1, 2, 3, 4]} | [{"var": "integers"}, {"*": [{"var": "current"}, {"var": "accumulator"}]}, 0]
reduce | {"desserts": [{"name": "apple", "qty": 1}, {"name": "brownie", "qty": 2}, {"name": "cupcake", "qty": 3}]} |\
 [{"var": "desserts"}, {"+": [{"var": "accumulator"}, {"var": "current.qty"}]}, 0]
all | {"integers": [1, 2, 3]} | [{"var": "integers"}, {">=": [{"var": ""}, 1]}]
all | {"integers": [1, 2, 3]} | [{"var": "integers"}, {"==": [{"var": ""}, 1]}]
all | {"integers": [1, 2, 3]} | [{"var": "integers"}, {"<": [{"var": ""}, 1]}]
all | {"integers": []} | [{"var": "integers"}, {"<": [{"var": ""}, 1]}]
all | {"items": [{"qty": 1, "sku": "apple"}, {"qty": 2, "sku": "banana"}]} |\
 [{"var": "items"}, {">=": [{"var": "qty"}, 1]}], [{"var": "items"}, {">": [{"var": "qty"}, 1]}],\
 [{"var": "items"}, {"<": [{"var": "qty"}, 1]}]
all | {"items": []} | [{"var": "items"}, {">=": [{"var": "qty"}, 1]}]
none | {"integers": [1, 2, 3]} | [{"var": "integers"}, {">=": [{"var": ""}, 1]}]
none | {"integers": [1, 2, 3]} | [{"var": "integers"}, {"==": [{"var": ""}, 1]}]
none | {"integers": [1, 2, 3]} | [{"var": "integers"}, {"<": [{"var": ""}, 1]}]
none | {"integers": []} | [{"var": "integers"}, {"<": [{"var": ""}, 1]}]
none | {"items": [{"qty": 1, "sku": "apple"}, {"qty": 2, "sku": "banana"}]} |\
 [{"var": "items"}, {">=": [{"var": "qty"}, 1]}], [{"var": "items"}, {">": [{"var": "qty"}, 1]}],\
 [{"var": "items"}, {"<": [{"var": "qty"}, 1]}]
none | {"items": []} | [{"var": "items"}, {">=": [{"var": "qty"}, 1]}]
some | {"integers": [1, 2, 3]} | [{"var": "integers"}, {">=": [{"var": ""}, 1]}]
some | {"integers": [1, 2, 3]} | [{"var": "integers"}, {"==": [{"var": ""}, 1]}]
some | {"integers": [1, 2, 3]} | [{"var": "integers"}, {"<": [{"var": ""}, 1]}]
some | {"integers": []} | [{"var": "integers"}, {"<": [{"var": ""}, 1]}]
some | {"items": [{"qty": 1, "sku": "apple"}, {"qty": 2, "sku": "banana"}]} |\
 [{"var": "items"}, {">=": [{"var": "qty"}, 1]}], [{"var": "items"}, {">": [{"var": "qty"}, 1]}],\
 [{"var": "items"}, {"<": [{"var": "qty"}, 1]}]
some | {"items": []} | [{"var": "items"}, {">=": [{"var": "qty"}, 1]}]
"""

# The official file has no case for it, since it writes to a console.
REFUSED_BEYOND = """
log | {} | [1]
"""


class Case(NamedTuple):
    operator: str
    operands: Any
    data: Any
    official: Any = None
    here: tuple[Any, ...] = ()
    """Our answer where it is another one; empty where we raise, or answer the same."""

    @property
    def rule(self) -> Any:
        return self.operands if self.operator == "plain" else {self.operator: self.operands}

    def __str__(self) -> str:
        return f"{json.dumps(self.rule)} with {json.dumps(self.data)}"


def lines(table: str) -> Iterator[tuple[str, Any, list[Any]]]:
    for line in table.strip().splitlines():
        operator, data, cases = line.split(" | ")
        yield operator, json.loads(data), json.loads(f"[{cases}]")


def answered(table: str) -> list[Case]:
    return [
        Case(operator, operands, data, official, tuple(here))
        for operator, data, cases in lines(table)
        for operands, official, *here in cases
    ]


def unanswered(table: str) -> list[Case]:
    return [Case(operator, operands, data) for operator, data, cases in lines(table) for operands in cases]


def named(tables: dict[str, str]) -> list[tuple[str, Case]]:
    return [(name, case) for name, table in tables.items() for case in answered(table)]


def under_input(path: Any) -> Any:
    """A path into the data as a path of ours, where the data is the root `input`."""
    if not isinstance(path, str):
        return path
    return f"input.{path}" if path else "input"


def ours(rule: Any) -> Any:
    """The rule with every path, of `var` and of `missing`, beneath `input`."""
    if isinstance(rule, list):
        return [ours(each) for each in rule]
    if not isinstance(rule, dict):
        return rule
    ((name, operands),) = rule.items()
    if name not in ("var", "missing"):
        return {name: ours(operands)}
    if not isinstance(operands, list):
        return {name: under_input(operands)}
    paths = 1 if name == "var" else len(operands)
    return {name: [under_input(each) for each in operands[:paths]] + operands[paths:]}


def answer(case: Case) -> str:
    """Our answer as JSON text, since Python takes True for 1 and 1 for 1.0."""
    return json.dumps(evaluate(ours(case.rule), {"input": case.data}))


def differences() -> dict[str, str]:
    """Name -> reason of every deliberate difference: the list in the docstring of `ritesmith.expr`."""
    assert expr.__doc__ is not None
    items = re.findall(r"^- (.+(?:\n  .+)*)", expr.__doc__, re.MULTILINE)
    return dict(re.split(r":\s+", item, maxsplit=1) for item in items)


@pytest.mark.parametrize("case", answered(SAME), ids=str)
def test_the_official_answer_is_ours(case: Case) -> None:
    official = [under_input(each) for each in case.official] if case.operator == "missing" else case.official
    assert answer(case) == json.dumps(official)


@pytest.mark.parametrize(("name", "case"), named(DIFFERENT) + named(DIFFERENT_BEYOND), ids=str)
def test_a_deliberate_difference(name: str, case: Case) -> None:
    if case.here:
        assert [answer(case)] == [json.dumps(each) for each in case.here]
        assert case.here != (case.official,)
    else:
        with pytest.raises(ExpressionError) as caught:
            evaluate(ours(case.rule), {"input": case.data})
        assert re.search(REASON[name], caught.value.problem)


@pytest.mark.parametrize("case", unanswered(REFUSED) + unanswered(REFUSED_BEYOND), ids=str)
def test_an_operator_that_is_not_offered_is_refused_by_name(case: Case) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(ours(case.rule), {"input": case.data})
    assert (caught.value.operator, caught.value.problem) == (case.operator, "unknown operator")
    assert repr(case.operator) in caught.value.message
    _, findings = type_of(ours(case.rule), lambda path: {}, "$")
    assert [each.code for each in findings] == ["unknown_operator"]
    assert repr(case.operator) in findings[0].message


def test_every_official_case_is_in_exactly_one_group() -> None:
    cases = [*answered(SAME), *(case for _, case in named(DIFFERENT)), *unanswered(REFUSED)]
    twice = [text for text, count in Counter(map(str, cases)).items() if count > 1]
    assert twice == []
    assert Counter(each.operator for each in cases) == OFFICIAL
    assert sum(OFFICIAL.values()) == 278


def test_every_operator_is_either_ours_or_refused() -> None:
    refused = {each.operator for each in unanswered(REFUSED)}
    assert OFFICIAL.keys() - {"plain"} - refused == set(expr.OPERATORS) - {"literal"}


def test_the_documented_differences_are_those_with_cases() -> None:
    assert differences().keys() == DIFFERENT.keys() | DIFFERENT_BEYOND.keys()
    assert all(differences().values())
    assert all(answered(table) for table in (*DIFFERENT.values(), *DIFFERENT_BEYOND.values()))
