"""The static check of Lua. `tests/guard/*.lua` say, in a comment on the guilty line, which finding is expected there.

A chunk file is cut at lines `----`. In a chunk, `--! code` at the end of a line expects one finding of that code there
(`--! code "words"`: whose message or hint holds these words); no comment means no finding. A first line `--: {...}`
gives parts of the contract; where a chunk has no `run`, an empty one is added, since it is about something else.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ritesmith.contract import read_capability
from ritesmith.errors import InvalidInput
from ritesmith.guard.lua import LuaRules, check_lua, load_rules
from ritesmith.guard.lua_parser import PARSER, Flat
from ritesmith.guard.lua_tree import parse, too_deep
from ritesmith.hosts import CATALOG
from ritesmith.models import Capability, Contract, Finding, HostFunction
from ritesmith.sandbox import Sandbox

HERE = Path(__file__).parent
RULES_FILE = HERE.parent / "guardrails" / "lua.toml"
EXPECTED = re.compile(r"--! *(?P<code>\w+)(?: +\"(?P<words>[^\"]*)\")?")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as made:
        yield made


@pytest.fixture(scope="module")
def rules() -> LuaRules:
    return load_rules(RULES_FILE)


def contract(**parts: Any) -> Contract:
    return Contract.model_validate(
        {"name": "test.chunk", "intent": "a chunk", "input": {"type": "object"}, "output": {}} | parts
    )


class Checker:
    def __init__(self, sandbox: Sandbox, rules: LuaRules) -> None:
        self.sandbox = sandbox
        self.rules = rules

    def compile(self, source: str, names: Sequence[str] | None) -> Finding | None:
        return self.sandbox.compile(source, globals=names)

    def __call__(self, source: str, **parts: Any) -> list[Finding]:
        capability = Capability(contract=contract(**parts), source=source)
        return check_lua(capability, catalog=CATALOG, compile=self.compile, rules=self.rules, file="chunk.lua")


@pytest.fixture
def check(sandbox: Sandbox, rules: LuaRules) -> Checker:
    return Checker(sandbox, rules)


# ---------------------------------------------------------------- chunk files


def chunks() -> Iterator[Any]:
    for file in sorted((HERE / "guard").glob("*.lua")):
        first_line = 1
        for text in re.split(r"^----\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
            yield pytest.param(text, first_line, id=f"{file.name}:{first_line}")
            first_line += text.count("\n") + 1


@pytest.mark.parametrize(("text", "first_line"), list(chunks()))
def test_a_chunk_has_the_findings_that_its_comments_say(check: Checker, text: str, first_line: int) -> None:
    parts = json.loads(re.split("--!|\n", text[4:])[0]) if text.startswith("--: ") else {}
    source = text if re.search(r"\brun( =|\()", text) else f"function run() end {text}"
    expected = [
        (number, match["code"], match["words"] or "")
        for number, line in enumerate(text.split("\n"), 1)
        for match in EXPECTED.finditer(line)
    ]
    found = check(source, **parts)

    shown = "\n".join(
        f"{first_line + (each.where.line or 1) - 1}: {each.code}: {each.message} | {each.hint}" for each in found
    )
    assert sorted((each.where.line, each.code) for each in found) == sorted(each[:2] for each in expected), shown
    for line, code, words in expected:
        assert any(
            (each.where.line, each.code) == (line, code) and words in f"{each.message} | {each.hint}" for each in found
        ), f"{first_line + line - 1}: {words!r} is not said in:\n{shown}"


# ---------------------------------------------------------------- caps and hostile text


def codes(findings: Sequence[Finding]) -> list[str]:
    return [each.code for each in findings]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        pytest.param("x" * 65_537, "source_too_large", id="one byte too many"),
        pytest.param("ä" * 40_000, "source_too_large", id="bytes count, not characters"),
        pytest.param("\x1bLua\x55", "source_bytecode", id="bytecode"),
        pytest.param("local x = 1\nlocal y = '\0'", "source_not_text", id="zero byte"),
        pytest.param("local x = '\ud800'", "source_not_utf8", id="half a surrogate pair"),
        pytest.param("local x = " + "(" * 151 + "1" + ")" * 151, "source_too_deep", id="brackets"),
        pytest.param("do " * 151 + "end " * 151, "source_too_deep", id="blocks"),
        pytest.param("local x = " + "{" * 30_000, "source_too_deep", id="never closed"),
        pytest.param("x = = 1", "syntax", id="syntax"),
        pytest.param("break", "syntax", id="what only the compiler sees"),
        pytest.param("local x <const> = 1; x = 2", "syntax", id="assignment to a constant"),
    ],
)
def test_a_text_that_breaks_a_cap_or_the_syntax_is_refused_with_one_finding(
    check: Checker, source: str, code: str
) -> None:
    found = check(source)

    assert codes(found) == [code]
    assert found[0].severity == "error"
    assert found[0].where.line is not None


def test_a_text_of_exactly_the_allowed_size_and_depth_passes(check: Checker, rules: LuaRules) -> None:
    deep = "function run() return " + "{" * 100 + "}" * 100 + " end --"
    assert check(deep + "x" * (rules.source_bytes - len(deep))) == []


@pytest.mark.parametrize(
    ("source", "offset"),
    [
        ("(((", 2),
        ("( ) ( ) ( ( (", 12),
        ('--[==[ ((( ]] ((( ]==] [[ ((( ]] \'(((\' "(\\"((" -- (((', None),
        ("--[[ never closed (((", None),
        ("if a then for b in c do repeat until d end end", 24),
        ('"a\\\nb(((" \'(((', None),
    ],
)
def test_depth_counts_brackets_and_blocks_and_not_what_is_quoted(source: str, offset: int | None) -> None:
    assert too_deep(source.encode(), 2) == offset


HOSTILE = {
    "a sum of 30,000": "local x = 1" + "+1" * 30_000,
    "a chain of 20,000 calls": "local x = f" + "()" * 20_000,
    "a chain of 20,000 fields": "local b = {} local x = b" + ".a" * 20_000,
    "a chain of 20,000 methods": "local x = b" + ":a()" * 15_000,
    "a chain of 20,000 indices": "function run(input) local x = input" + "[1]" * 20_000 + " end",
    "3,000 elseif": "if a then " + "elseif a then " * 3_000 + "end",
    "8,000 unknown names": " ".join(f"x{i}()" for i in range(7_000)),
    "20,000 semicolons": ";" * 20_000,
    "a name of 60,000 letters": f"local {'a' * 60_000} = 1",
    "one letter 10,000 times": "f('😀') " * 6_000,
    "arguments": "store.get{" + "a = 1," * 9_000 + "}",
    "labels": "while true do " + "do goto l ::l:: end " * 3_000 + " end",
    "shadows": "local function f(x) " + "do local x = 1 end " * 3_000 + " end",
    "global as a name": "local global = 1; global = {global = global, [global] = -global}; f(global, global:global())",
    "nothing": "",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_ends_in_findings(check: Checker, rules: LuaRules, source: str) -> None:
    assert len(source.encode()) <= rules.source_bytes

    found = check(source)

    assert 0 < len(found) <= 101
    assert all(each.where.line or each.code == "findings_left_out" for each in found)


def test_findings_past_the_hundredth_are_counted_and_errors_come_before_warnings(check: Checker) -> None:
    unused = "".join(f"do local a{i} = 1 end\n" for i in range(150))
    found = check("function run() end\n" + unused + "y()\n")

    assert len(found) == 101
    assert found[-1].message == "51 more findings are not shown"
    assert "unknown_global" in codes(found)


def test_mutated_text_never_raises(check: Checker) -> None:
    seed = 20_261_121
    print(f"seed {seed}")
    chance = random.Random(seed)
    texts = [file.read_text(encoding="utf-8") for file in sorted((HERE / "guard").glob("*.lua"))]
    words = [re.findall(r"\w+|\s+|[^\w\s]", text) for text in texts]
    everything = [word for text in words for word in text] + ["global", "_ENV", "goto", "<close>", "..."] * 50
    parsed = 0
    for _ in range(1_500):
        text = list(chance.choice(words))
        start = chance.randrange(len(text))
        text = text[start : start + 60]
        for _ in range(chance.randint(1, 3)):
            text[chance.randrange(len(text))] = chance.choice(everything)
        found = check("".join(text))
        parsed += not any(each.code == "syntax" for each in found)
    assert parsed > 20


def test_a_text_that_only_the_compiler_can_read_is_refused(rules: LuaRules) -> None:
    found = check_lua(
        Capability(contract=contract(), source="local a = 1\nlocal x = = 1"),
        catalog=CATALOG,
        compile=lambda source, names: None,
        rules=rules,
        file="chunk.lua",
    )
    assert [(each.code, each.where.line) for each in found] == [("parser_disagrees", 2)]


def test_what_the_compiler_says_about_names_counts_where_the_tree_saw_nothing(rules: LuaRules) -> None:
    objection = Finding(code="syntax", message="variable 'x' not declared")
    found = check_lua(
        Capability(contract=contract(), source="function run() end"),
        catalog=CATALOG,
        compile=lambda source, names: objection if names is not None else None,
        rules=rules,
        file="chunk.lua",
    )
    assert [(each.code, each.where.file) for each in found] == [("names_disagree", "chunk.lua")]


def test_a_parser_that_falls_is_a_finding_and_the_next_text_has_a_new_one(
    check: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fallen(process: subprocess.Popen[bytes], source: bytes) -> Flat:
        process.kill()
        return asked(process, source)

    asked = PARSER._asked
    with monkeypatch.context() as patched:
        patched.setattr(PARSER, "_asked", fallen)
        assert codes(check("function run() end")) == ["parser_lost"]
    assert check("function run() end") == []


def test_a_parser_that_somebody_killed_is_replaced(check: Checker) -> None:
    assert check("function run() end") == []
    assert PARSER._process is not None
    PARSER._process.kill()
    assert check("function run() end") == []


def test_text_is_parsed_in_another_process(check: Checker) -> None:
    assert check("function run() end") == []
    loaded = "import sys, ritesmith.guard.lua as lua; print('tree_sitter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout == "False\n"
    assert PARSER._process is not None
    assert PARSER._process.pid != os.getpid()


# ---------------------------------------------------------------- the rules


def test_the_rules_offer_what_the_sandbox_offers_less_what_they_refuse(sandbox: Sandbox, rules: LuaRules) -> None:
    offered = sandbox.offered_names()
    libraries = {name: frozenset(members) for name, members in offered.items() if members}

    assert rules.libraries == libraries
    assert rules.names == {name for name, members in offered.items() if not members} - rules.refused.keys()


def test_no_rule_both_offers_and_refuses_a_name(rules: LuaRules) -> None:
    offered = rules.offered() | {f"{library}.{name}" for library, names in rules.libraries.items() for name in names}
    assert not offered & (rules.refused.keys() | rules.gone.keys())
    assert not rules.refused.keys() & rules.gone.keys()
    assert not rules.string_methods.keys() & rules.libraries["string"]
    assert all([*rules.refused.values(), *rules.gone.values(), *rules.string_methods.values()])


def test_rules_that_can_not_be_read_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "lua.toml"
    broken.write_text(RULES_FILE.read_text(encoding="utf-8").replace("depth = 150", "depht = 150"), encoding="utf-8")

    with pytest.raises(InvalidInput, match="depht"):
        load_rules(broken)
    with pytest.raises(InvalidInput, match="no_such"):
        load_rules(tmp_path / "no_such.toml")


def test_the_readers_of_literals_agree_with_lua(sandbox: Sandbox) -> None:
    literals = [
        r'"a\n\t\\\"\65\x42\u{43}\z   d"', "'it'", "[[\nline]]", "[==[ ]] ]==]", "'\\'\\\n'",
        "12", "0x10", "1.5", "1e3", ".5", "3.", "0xA.8p1", "0xffffffff",
    ]  # fmt: skip
    source = "function run() return {" + ", ".join(literals) + "} end"
    tree = parse(source.encode())
    read = [
        tree.string(node) if node.kind == "string" else tree.number(node)
        for node in sorted(tree.nodes, key=lambda node: node.start)
        if node.kind in ("string", "number")
    ]
    assert read == sandbox.run(source, {}).output


# ---------------------------------------------------------------- host functions of any catalog


def declared(name: str, properties: dict[str, Any], required: Sequence[str], narrows: Sequence[str]) -> HostFunction:
    schema = {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}
    return HostFunction(
        name=name,
        description="",
        input=schema,
        output={},
        effect="write",
        narrows={each: {"type": "array"} for each in narrows},
    )


WEB = {
    each.name: each
    for each in (
        declared(
            "http.request",
            {
                "url": {"type": "string"},
                "method": {"enum": ["GET", "POST"]},
                "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                "tags": {"type": "array", "items": {"type": "string"}},
                "retry": {
                    "type": "object",
                    "properties": {"times": {"type": "integer"}},
                    "required": ["times"],
                    "additionalProperties": False,
                },
            },
            ["url"],
            ["hosts", "methods"],
        ),
        declared(
            "mcp.files.read", {"path": {"type": "string", "description": "inside the shared folder"}}, ["path"], []
        ),
    )
}


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param('http.request{url = "https://api.example.org/x", method = "GET"}', [], id="inside"),
        pytest.param("http.request{url = input.url}", [], id="a url that is not known yet"),
        pytest.param('http.request{url = "https://evil.example/x"}', ["outside_grant"], id="another host"),
        pytest.param('http.request{url = "http://[::1"}', ["outside_grant"], id="a url that is none"),
        pytest.param('http.request{url = input.url, method = "POST"}', ["outside_grant"], id="another method"),
        pytest.param('http.request{url = input.url, method = "PUT"}', ["argument_type", "outside_grant"], id="enum"),
        pytest.param("http.request{url = input.url, tags = {1}}", ["argument_type"], id="inside an array"),
        pytest.param("http.request{url = input.url, tags = {a = 1}}", ["argument_type"], id="no array"),
        pytest.param("http.request{url = input.url, tags = {}}", [], id="an empty array"),
        pytest.param(
            "http.request{url = input.url, retry = {time = 1}}", ["missing_argument", "unknown_argument"], id="nested"
        ),
        pytest.param("http.request{url = input.url, retry = {5}}", ["host_arguments"], id="nested without a name"),
        pytest.param("http.request{url = {}}", ["argument_type"], id="a table for a string"),
        pytest.param("http.request{url = function() end}", ["argument_type"], id="a function"),
        pytest.param("http.request{url = nil}", ["missing_argument"], id="nil is missing"),
        pytest.param("mcp.files.read{path = 5}", ["argument_type"], id="three parts"),
        pytest.param("mcp.files.raed{path = 5}", ["unknown_host_function"], id="unknown third part"),
        pytest.param("mcp.flies.read{path = 5}", ["unknown_host_function"], id="unknown second part"),
    ],
)
def test_literal_arguments_fit_the_schema_and_the_grant(check: Checker, call: str, expected: list[str]) -> None:
    grants = {"http.request": {"hosts": ["api.example.org"], "methods": ["GET"]}, "mcp.files.read": {}}
    source = f"function run(input)\n  local used = {{http.request, mcp.files.read}}\n  return {{used, {call}}}\nend"
    capability = Capability(contract=contract(grants=grants), source=source)

    found = check_lua(capability, catalog=WEB, compile=check.compile, rules=check.rules)

    assert sorted(codes(found)) == expected
    assert all(each.where.line == 3 for each in found)


def test_a_wrong_argument_is_told_in_the_words_of_the_schema(check: Checker) -> None:
    capability = Capability(
        contract=contract(grants={"mcp.files.read": {}}), source="function run() return mcp.files.read{path = 5} end"
    )
    (found,) = check_lua(capability, catalog=WEB, compile=check.compile, rules=check.rules)
    assert found.hint == "it must be string, inside the shared folder"


# ---------------------------------------------------------------- the file as a whole


EIGHT_MISTAKES = """--[[ capability
{
  "name": "orders.total",
  "intent": "the total of an order",
  "input": {"type": "object", "properties": {"id": {"type": "string"}}, "additionalProperties": false},
  "output": {"type": "object", "required": ["total"]},
  "grants": {"store.get": {"namespaces": ["orders"]}, "time.now": {}}
}
]]
local function read(key)
  local unused = 1
  return store.get{namespace = "customers", key = key}
end

function run(input, context)
  local order = read(input.id).value
  total = 0
  for _, line in ipairs(order.lines) do
    totl = line.price
  end
  input.done = true
  os.remove("x")
  return {total = strin.format("%d", 1)}
end
"""


def test_a_file_with_eight_mistakes_has_eight_findings_at_the_right_lines(check: Checker) -> None:
    capability, findings = read_capability(EIGHT_MISTAKES)
    assert capability is not None
    assert findings == []

    found = check_lua(capability, catalog=CATALOG, compile=check.compile, rules=check.rules, file="total.lua")

    assert [(each.where.line, each.code) for each in found] == [
        (7, "grant_unused"),
        (11, "unused_local"),
        (12, "outside_grant"),
        (17, "global_write"),
        (19, "global_write"),
        (21, "input_write"),
        (22, "forbidden_global"),
        (23, "unknown_global"),
    ]
    assert all(each.message and each.hint and each.where.file == "total.lua" for each in found)
