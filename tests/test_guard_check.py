"""The guard as a whole: a file with many mistakes tells them all, what ships has none, and mutants are caught."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ritesmith.app import RiteSmith
from ritesmith.intake import bundled_files

HERE = Path(__file__).parent
EIGHT = """\
--[[ capability
{
  "name": "orders.total",
  "intent": "the total of an order",
  "input": {"type": "object", "properties": {"id": {"type": "string"}}, "additionalProperties": false},
  "output": {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}},
  "grants": {"store.get": {"namespaces": ["orders"]}},
  "examples": [
    {"input": {"id": "a"}, "output": {"total": 3}, "store": {"orders": {"a": {"total": 3}}}},
    {"input": {"id": "b"}, "error": "not_found"}
  ]
}
]]
count = 0
function string.trim(s) return s end
function run(input, context)
  local unused = 1
  local found = store.get{namespace = "order", key = input.id}
  if found.version == 0 then fail("not found") end
  local id = tostrin(input.idd)
  while true do id = id .. "x" end
  return {total = found.value.total}
end
"""  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RiteSmith]:
    with RiteSmith.open(str(tmp_path_factory.mktemp("registry") / "registry.db"), environment={}) as made:
        yield made


def test_a_file_with_many_mistakes_has_each_told_at_its_line(cli: Any, place: Path) -> None:
    (place / "total.lua").write_text(EIGHT, encoding="utf-8")
    done = cli("check", "total.lua", "--json")
    assert done.code == 5
    assert [(each["where"]["line"], each["code"]) for each in done.json["findings"]] == [
        (14, "global_write"),
        (15, "library_write"),
        (17, "unused_local"),
        (18, "outside_grant"),
        (19, "fail_arguments"),
        (20, "unknown_global"),
        (20, "unknown_input_field"),
        (21, "endless_loop"),
    ]
    shown = cli("check", "total.lua")
    assert "6 errors, 2 warnings" in shown.words
    for line in (14, 15, 17, 18, 19, 20, 21):
        assert f"total.lua:{line}:" in shown.out


@pytest.mark.parametrize(("file", "text"), [pytest.param(file, text, id=file.name) for file, text in bundled_files()])
def test_nothing_that_ships_has_a_finding(app: RiteSmith, file: Path, text: str) -> None:
    checked = app.check_text(text, file.name)
    assert [str(finding) for finding in checked.findings] == []
    assert checked.trial.passed == checked.trial.cases >= 2
    assert checked.kind == "workflow" or checked.trial.generated + checked.trial.host_results > 3


# ---------------------------------------------------------------- mutants


@pytest.fixture(scope="module")
def mutation() -> Iterator[ModuleType]:
    """`benchmarks/mutation.py`, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("mutation", HERE.parent / "benchmarks" / "mutation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutation"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["mutation"]


def test_most_mutants_of_what_ships_are_caught(app: RiteSmith, mutation: ModuleType) -> None:
    seed = 20_261_121
    print(f"seed {seed}")
    drawn, missed = Counter[str](), Counter[str]()
    for mutant, _, tier in mutation.sample(app, 60, seed):
        drawn[mutant.kind] += 1
        missed[mutant.kind] += tier in ("", mutation.WARNED)
    assert len(drawn) >= 8, drawn
    assert missed["renamed global"] == missed["extra host call"] == 0
    assert missed.total() <= 12, missed  # a fifth: many of them do the same as the original


# ---------------------------------------------------------------- hostile files

HEADER: dict[str, Any] = {
    "name": "a.b",
    "intent": "a test",
    "input": {"type": "object", "properties": {"x": {"type": "number"}}},
    "output": {"type": "object", "properties": {"x": {"type": "number"}}},
    "examples": [{"input": {}, "output": {}}, {"input": {"x": 1}, "output": {}}],
}
MANY = {f"p{index}": {"type": "string"} for index in range(3000)}


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        pytest.param({"grants": {"": {}}}, "unknown_host_function", "no host function ''", id="a grant without a name"),
        pytest.param({"grants": {"a b.c": {}}}, "unknown_host_function", "no host function", id="a grant of two words"),
        pytest.param({"limits": {"fuel": "5"}}, "contract_shape", "valid integer", id="a number as text"),
        pytest.param({"limits": {"fuel": True}}, "contract_shape", "valid integer", id="a number that is true"),
        pytest.param({"limits": {"fuel": 10**4000}}, "contract_shape", "less than", id="a number of 4000 digits"),
        pytest.param({"examples": [{"input": deep(300)}]}, "contract_shape", "too deeply", id="300 levels"),
        pytest.param(
            {"input": {"type": "object", "properties": MANY}}, "source_too_large", "bytes", id="a large schema"
        ),
        pytest.param({"input": {"$schema": "x", "type": "object"}}, "bad_schema", "2020-12", id="another dialect"),
        pytest.param({"input": {"type": "object", "not": {}}}, "example_input", "not be valid", id="nothing is valid"),
        pytest.param({"examples": [{"input": [[1]]}]}, "contract_not_json", "not JSON", id="brackets that close it"),
        pytest.param({f"k{each}": 1 for each in range(9000)}, "findings_left_out", "more", id="9000 unknown fields"),
    ],
)
def test_a_hostile_header_ends_in_findings(app: RiteSmith, change: dict[str, Any], code: str, words: str) -> None:
    text = f"--[[ capability\n{json.dumps(HEADER | change)}\n]]\nfunction run(input) return {{}} end\n"
    found = app.check_text(text, "a.lua").findings
    assert len(found) <= 101
    assert any(each.code == code and words in each.message for each in found), found[:3]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        pytest.param({"limits": {"steps": 10**4000}}, "workflow_shape", "less than", id="a number of 4000 digits"),
        pytest.param({"x": deep(900)}, "workflow_shape", "too deeply", id="900 levels"),
        pytest.param(
            {"input": {"type": "object", "properties": MANY}}, "schema_invalid", "more than 2000", id="a large schema"
        ),
        pytest.param(
            {
                "nodes": [
                    {
                        "id": f"n{index}",
                        "kind": "wait",
                        "schema": {"type": "object", "properties": {f"p{index}_{each}": {} for each in range(1500)}},
                    }
                    for index in range(10)
                ]
            },
            "schema_invalid",
            "more than 10000",
            id="many schemas",
        ),
        pytest.param({"nodes": [5] * 9000}, "findings_left_out", "more", id="9000 numbers for nodes"),
        pytest.param(
            {"nodes": [{"id": f"n{index}", "kind": "sleep"} for index in range(900)]},
            "findings_left_out",
            "more",
            id="900 nodes with mistakes",
        ),
    ],
)
def test_a_hostile_workflow_ends_in_findings(app: RiteSmith, change: dict[str, Any], code: str, words: str) -> None:
    flow = {"name": "a.b", "intent": "a test", "start": "n0", "nodes": [{"id": "n0", "kind": "end"}]}
    found = app.check_text(json.dumps(flow | change), "a.json").findings
    assert len(found) <= 101
    assert any(each.code == code and words in each.message for each in found), found[:3]
