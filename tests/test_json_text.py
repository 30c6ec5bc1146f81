"""JSON texts: what is refused, and each finding about a file stands at the line that a person must change."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ritesmith.app import RiteSmith
from ritesmith.contract import at_most
from ritesmith.intake import read_json
from ritesmith.json_text import NotJSON, parse, with_lines
from ritesmith.models import Finding, Where

TEXT = """{
 "a": [1, {"b": "x]}\\"",
   "c d": [
     [true],
     null]}],
 "store.get": {"names": ["n",
   "m"]}, "e": {}
}"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("$", 1),
        ("$.a", 2),
        ("$.a[1].b", 2),
        ("$.a[1]['c d']", 3),
        ("$.a[1].c d[0]", 4),
        ("$.a[1].c d[0][0]", 4),
        ("$.a[1].c d[1]", 5),
        ("$.store.get.names[1]", 7),
        ("$.e", 7),
        ("$.e.missing", 7),
        ("$.a[7].x", 2),
        ("$.nowhere", 1),
        ("", None),
    ],
)
def test_a_path_has_the_line_of_what_is_there_or_nearest_above(path: str, line: int | None) -> None:
    (found,) = with_lines([Finding(code="x", where=Where(path=path), message="m")], TEXT)
    assert found.where.line == line


def test_lines_count_from_where_the_text_begins_and_known_lines_stay() -> None:
    found = with_lines(
        [Finding(code="x", where=Where(path="$.e"), message="m"), Finding(code="y", where=Where(line=3), message="m")],
        TEXT,
        first_line=10,
    )
    assert [each.where.line for each in found] == [16, 3]


def test_every_value_of_random_json_is_found() -> None:
    seed = 20_261_121
    chance = random.Random(seed)

    def made(depth: int) -> Any:
        if depth == 0 or chance.random() < 0.3:
            return chance.choice([None, True, 1, -2.5e3, "", "}]", 'a"b', "\\", "é\n", [], {}])
        if chance.random() < 0.5:
            return [made(depth - 1) for _ in range(chance.randint(0, 4))]
        keys = chance.sample(["a", "b", "long_name", "x y", "é", "7"], chance.randint(0, 5))
        return {key: made(depth - 1) for key in keys}

    def paths(value: Any, path: str) -> list[str]:
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        names = [(f"[{key}]" if isinstance(key, int) else f".{key}", each) for key, each in pairs]
        return [path, *(found for name, each in names for found in paths(each, path + name))]

    for _ in range(300):
        value = {"top": made(5)}
        text = json.dumps(value, indent=1)  # each member begins a line, as closing brackets do
        wanted = paths(value, "$")
        found = with_lines([Finding(code="x", where=Where(path=path), message="m") for path in wanted], text)
        lines = [each.where.line or 0 for each in found]
        assert lines == sorted(lines), f"seed {seed}"
        for path, line in zip(wanted, lines, strict=True):
            name = path.rpartition(".")[2] if not path.endswith("]") else ""
            assert name in ("$", "") or json.dumps(name) in text.splitlines()[line - 1], f"seed {seed}"


def test_a_key_that_stands_twice_is_told_at_its_second_place() -> None:
    text = '{"a": {"b": 1},\n "b": [{"b": 1},\n {"b": 2,\n "b": 3}]}'
    _, (finding,) = read_json(text, "x.json")
    assert (finding.where.line, finding.message) == (4, "the key 'b' stands twice in one object")


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ('{"a": 1,\n "a": 2}', "the key 'a' stands twice", 2),
        ('{"a": NaN}', "NaN is not JSON", None),
        ('{"a": -Infinity}', "-Infinity is not JSON", None),
        ('{"a": 1e999}', "the number 1e999 is too large", None),
        ('{"a":\n 1,}', "this is not JSON", 2),
        ('"\\ud800"', "half of a surrogate pair", None),
        ("[" * 100_000, "nested too deeply", None),
        ('{"a": ' + "9" * 5000 + "}", "4300 digits", None),
        ("\ufeff{}", "BOM", 1),
        ("", "this is not JSON", 1),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: str, words: str, line: int | None) -> None:
    with pytest.raises(NotJSON, match=words) as caught:
        parse(text)
    assert caught.value.line == line


def test_many_findings_are_cut_with_errors_first_and_in_order() -> None:
    warnings = [Finding(code="w", severity="warning", message=str(index)) for index in range(5)]
    errors = [Finding(code="e", message=str(index)) for index in range(3)]
    mixed = [warnings[0], errors[0], warnings[1], errors[1], *warnings[2:], errors[2]]
    kept = at_most(mixed, 4)
    assert kept[:4] == [warnings[0], errors[0], errors[1], errors[2]]
    assert (kept[4].code, kept[4].severity) == ("findings_left_out", "error")
    assert "4 more findings" in kept[4].message
    assert at_most(mixed, 8) == mixed


# ---------------------------------------------------------------- whole files

FLOW = """{
 "name": "orders.look",
 "intent": "look at an order",
 "input": {"type": "object", "required": ["id"],
   "properties": {"id": {"type": "strin"}}},
 "start": "get",
 "nodes": [
  {"id": "get", "kind": "task",
   "capability": "orders.gett",
   "with": {"order_id": {"var": "inputs.id"}},
   "next": "amount"},
  {"id": "amount", "kind": "switch",
   "cases": [{"when": {">": [1, "a"]},
     "target": "don"}],
   "default": "done"},
  {"id": "nap", "kind": "sleep",
   "next": "done"},
  {"id": "done", "kind": "end",
   "output": {"var": "nodes.nothing.output"}}
 ],
 "examples": [
  {"input": {"id": "a"},
   "outcome": "gone"}
 ]
}
"""

HEADER = """--[[ capability
{
  "name": "orders.total",
  "intent": "the total of an order",
  "input": {"type": "object", "properties": {"id": {"type": "string"}}},
  "output": {"type": "object", "required": ["total"],
    "properties": {"total": {"type": "number"}}},
  "grants": {
    "store.get": {"namespace": ["orders"]},
    "store.putt": {}},
  "limits": {"host_calls": 5,
    "fuel": 90000000},
  "examples": [
    {"input": {"id": 5},
     "output": {"total": "x"}},
    {"input": {"id": "b"}}
  ]
}
]]
function run(input)
  local found = store.get{namespace = "orders", key = input.id}
  return {total = fuond.value.total}
end
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with RiteSmith.open(str(tmp_path_factory.mktemp("registry") / "registry.db"), environment={}) as made:
        yield made


def told(app: RiteSmith, text: str, file: str) -> list[tuple[int | None, str]]:
    return [(each.where.line, each.code) for each in app.check_text(text, file).findings]


def test_a_workflow_with_eight_mistakes_has_each_told_at_its_line(app: RiteSmith) -> None:
    assert sorted(told(app, FLOW, "flow.json"), key=str) == sorted(
        [
            (5, "schema_invalid"),
            (9, "unknown_capability"),
            (10, "bad_path"),
            (13, "type_mismatch"),
            (14, "unknown_target"),
            (16, "bad_sleep"),
            (19, "unknown_node"),
            (23, "unknown_outcome"),
        ],
        key=str,
    )


def test_mistakes_in_a_contract_are_told_at_their_lines(app: RiteSmith) -> None:
    assert told(app, HEADER, "total.lua") == [
        (14, "example_input"),
        (15, "example_output"),
        (16, "example_shape"),
        (9, "unknown_narrowing"),
        (9, "grant_too_wide"),
        (10, "unknown_host_function"),
        (12, "limit_too_high"),
        (10, "grant_unused"),
        (21, "unused_local"),
        (22, "unknown_global"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "code"),
    [
        ('"intent": "the total of an order"', '"intnt": "the total"', 4, "contract_shape"),
        ('"fuel": 90000000', '"fuel": "much"', 12, "contract_shape"),
        ('"limits": {"host_calls": 5,', '"limits": {"fuel": 5,', 12, "contract_duplicate_key"),
        ('"grants": {', '"grants": {,', 8, "contract_not_json"),
    ],
)
def test_a_header_that_can_not_be_read_is_told_at_its_line(
    app: RiteSmith, old: str, new: str, line: int, code: str
) -> None:
    assert (line, code) in told(app, HEADER.replace(old, new), "total.lua")


def test_an_example_that_is_not_met_is_told_at_its_line(app: RiteSmith, tmp_path: Path) -> None:
    text = """--[[ capability
{"name": "a.twice", "intent": "twice a number",
 "input": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "maximum": 9}}},
 "output": {"type": "object", "required": ["n"], "properties": {"n": {"type": "number"}}},
 "examples": [
  {"input": {"n": 1}, "output": {"n": 2}},
  {"input": {"n": 2}, "output": {"n": 5}}]}
]]
function run(input) return {n = input.n * 2} end
"""
    assert told(app, text, "twice.lua") == [(7, "example_not_met")]
