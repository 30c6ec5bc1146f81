"""What a script sees: the language as the reference has it, one fixed order, bad input with a defined outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ritesmith.errors import InvalidInput
from ritesmith.models import HostReply, Limits, Outcome
from ritesmith.sandbox import OFFERED, GrantDenied, Sandbox, offered_names
from ritesmith.sandbox.door import answer, serve

DATA = Path(__file__).parent / "sandbox"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as pool:
        yield pool


def run(sandbox: Sandbox, body: str, given: Any = None, **more: Any) -> Outcome:
    return sandbox.run(f"function run(input, context) {body} end", {} if given is None else given, **more)


# ---------------------------------------------------------------- the language

PROGRAMS = {
    "integers and floats": (
        "return {7 // 2, 7 / 2, 7.0 // 2, 7 % -3, -7 // 2, 1e15, 2^53, 1 == 1.0, math.type(1), math.type(1.0), 3 | 4, "
        "'10' + 5, 10 .. 20}",
        [3, 3.5, 3.0, -2, -4, 1e15, 2.0**53, True, "integer", "float", 7, 15, "1020"],
    ),
    "integer overflow wraps": (
        "return {math.maxinteger + 1 == math.mininteger, 1 << 63, 1 << 64}",
        [True, -(2**63), 0],
    ),
    "goto continue": (
        "local out = {} for i = 1, 5 do if i % 2 == 0 then goto continue end out[#out + 1] = i "
        "::continue:: end return out",
        [1, 3, 5],
    ),
    "classes and inheritance": (
        "local A = {} A.__index = A function A.new(x) return setmetatable({x = x}, A) end function "
        "A:get() return self.x end "
        "local B = setmetatable({}, {__index = A}) B.__index = B function B:twice() return self:get() * 2 end "
        "return setmetatable({x = 4}, B):twice()",
        8,
    ),
    "operators by metatable": (
        "local V = {} V.__index = V V.__add = function(a, b) return setmetatable({n = a.n + b.n}, V) end "
        "V.__eq = function(a, b) return a.n == b.n end V.__lt = function(a, b) return a.n < b.n end "
        "V.__le = function(a, b) return a.n <= b.n end V.__len = function(a) return a.n end "
        "V.__call = function(a, x) return a.n + x end V.__concat = function(a, b) return 'v' .. tostring(b) end "
        "V.__tostring = function(a) return '<' .. a.n .. '>' end V.__unm = function(a) return -a.n end "
        "local function v(n) return setmetatable({n = n}, V) end "
        "return {(v(1) + v(2)).n, v(1) == v(1), v(1) < v(2), v(3) <= v(2), #v(9), v(1)(5), v(1) .. "
        "'x', tostring(v(7)), -v(3)}",
        [3, True, True, False, 9, 6, "vx", "<7>", -3],
    ),
    "closures": (
        "local function counter() local n = 0 return function() n = n + 1 return n end end "
        "local a, b = counter(), counter() return {a(), a(), b()}",
        [1, 2, 1],
    ),
    "varargs": (
        "local function f(...) return select('#', ...), (select(2, ...)), table.pack(...).n end "
        "return {f(1, nil, 3, nil)}",
        None,
    ),
    "error objects": (
        "local ok, e = pcall(error, {code = 7}) local ok2, e2 = pcall(error, 'x', 0) local ok3, e3 = pcall(error) "
        "return {ok, e.code, e2, e3}",
        [False, 7, "x", "<no error object>"],
    ),
    "a line in an error": (
        "local ok, e = pcall(function()\nlocal x = nil\nreturn x.y\nend) return e",
        "capability:3: attempt to index a nil value (local 'x')",
    ),
    "error levels": (
        "local function check(v)\nif not v then error('no', 2) end end\n"
        "local ok, e = pcall(function()\ncheck(nil)\nend) return e",
        "capability:4: no",
    ),
    "xpcall": (
        "return {xpcall(function() error('x', 0) end, function(e) return 'handled ' .. e end)}",
        [False, "handled x"],
    ),
    "xpcall with arguments": ("return {xpcall(function(a, b) return a + b end, print, 1, 2)}", None),
    "generators": (
        "local function range(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end) end "
        "local out = {} for i in range(4) do out[#out + 1] = i * i end return out",
        [1, 4, 9, 16],
    ),
    "coroutines": (
        "local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) error('end ' .. b, 0) end) "
        "local r = {} r[1], r[2] = coroutine.resume(co, 1) r[3] = coroutine.status(co) r[4], r[5] "
        "= coroutine.resume(co, 5) "
        "r[6] = coroutine.status(co) r[7], r[8] = coroutine.resume(co) return r",
        [True, 2, "suspended", False, "end 5", "dead", False, "cannot resume dead coroutine"],
    ),
    "yield across pcall and metamethods": (
        "local t = setmetatable({}, {__index = function(t, k) return coroutine.yield(k) end}) "
        "local co = coroutine.wrap(function() local ok, v = pcall(function() return t.key .. '!' end) return v end) "
        "return {co(), co('value')}",
        ["key", "value!"],
    ),
    "yield outside of a coroutine": (
        "local ok, e = pcall(coroutine.yield, 1) local co, main = coroutine.running() return {e, "
        "main, coroutine.isyieldable()}",
        ["attempt to yield from outside a coroutine", True, False],
    ),
    "to-be-closed variables": (
        "local out = {} do local a <close> = setmetatable({}, {__close = function(_, e) out[#out + "
        "1] = 'a' .. tostring(e) end}) "
        "local b <close> = setmetatable({}, {__close = function() out[#out + 1] = 'b' end}) end return out",
        ["b", "anil"],
    ),
    "integer division by zero": (
        "local ok, e = pcall(function() return 1 // 0 end) return {e, 1 // 0.0}",
        None,
    ),
    "utf8": (
        "local out = {} for p, c in utf8.codes('aé日') do out[#out + 1] = p .. ':' .. c end "
        "return {out, utf8.len('aé日'), utf8.char(233, 26085), utf8.offset('aé日', 3), (utf8.len('\\xff'))}",
        None,
    ),
    "string methods": (
        "return {('abc'):upper(), ('x'):rep(3, '-'), ('hello'):sub(-3, -2), ('%d "
        "items'):format(3), #'né', ('a,b'):find(',', 1, true)}",
        ["ABC", "x-x-x", "ll", "3 items", 3, 2, 2],
    ),
    "packing": ("return {string.unpack('<i4', string.pack('<i4', -2)), string.packsize('i4i8')}", None),
    "an unsorted list": (
        "local t = {5, 2, 8, 1} table.sort(t, function(a, b) return a > b end) return {t, "
        "table.concat(t, ','), table.remove(t), #t}",
        [[8, 5, 2], "8,5,2,1", 1, 3],
    ),
    "a stable sort": (
        "local t = {} for i = 1, 60 do t[i] = {k = i % 3, i = i} end table.sort(t, function(a, b) "
        "return a.k < b.k end) "
        "for i = 2, 60 do if t[i - 1].k == t[i].k and t[i - 1].i > t[i].i then return 'unstable' "
        "end end return 'stable'",
        "stable",
    ),
    "order of pairs": (
        "local out = {} for k in pairs({b = 1, a = 2, [2.5] = 3, [true] = 4, [false] = 5, [10] = 6, [-1] = 7, 'x'}) do "
        "out[#out + 1] = tostring(k) end return table.concat(out, ' ')",
        "-1 1 2.5 10 a b false true",
    ),
    "removing while going through": (
        "local t, n = {}, 0 for i = 1, 20 do t['k' .. i] = i end for k in pairs(t) do t[k] = nil n = n + 1 end "
        "for i = 1, 20 do t[i] = i end for k in next, t do t[k] = nil n = n + 1 end return {n, next(t) == nil}",
        [40, True],
    ),
    "next by hand": (
        "local t, out, k, v = {c = 3, a = 1, b = 2}, {} k, v = next(t) while k do out[#out + 1] = "
        "k .. v k, v = next(t, k) end return out",
        ["a1", "b2", "c3"],
    ),
    "__pairs": (
        "local t = setmetatable({}, {__pairs = function() return function(_, i) i = (i or 0) + 1 "
        "if i < 4 then return i, i * i end end, nil, nil end}) "
        "local out = {} for k, v in pairs(t) do out[k] = v end return out",
        [1, 4, 9],
    ),
    "nan is spelled by us": (
        "local n = 0 / 0 local out = {} for _, v in ipairs{n, -n} do "
        "out[#out + 1] = {tostring(v), ('%f|%5.1f|%-5s|%s'):format(v, v, v, v), table.concat({v, 'nan', 1}, ' '), "
        "table.concat(setmetatable({v}, {})), ('x'):rep(2, v), string.rep(v, 2), #string.upper(v), string.len(v), "
        "(('ab'):gsub('a', v)), (('abc'):gsub('%a', {a = v, b = false, c = 'nan'})), "
        "(('a'):gsub('a', function() return v end)), select(2, pcall(string.rep, 'x', v))} end "
        "return {out[1], table.concat(out[1], ';') == table.concat(out[2], ';')}",
        [
            [
                *["nan", "nan|  nan|nan  |nan", "nan nan 1", "nan", "xnanx", "nannan", 3, 3, "nanb", "nanbnan", "nan"],
                "bad argument #2 to 'rep' (number has no integer representation)",
            ],
            True,
        ],
    ),
    "no address": (
        "return {tostring({}), tostring(run), ('%s'):format({}), tostring(setmetatable({}, {__name = 'Thing'}))}",
        ["table: #1", "function: #2", "table: #3", "Thing: #4"],
    ),
    "random numbers by seed": ("return {math.random(100), math.random(100)}", None),
    "json": (
        "return {json.encode({b = 1, a = {1, 2.0, json.null}}), json.decode('{\"x\":[1,null]}').x[2] == json.null, "
        "json.encode(json.object{}), json.encode({}), json.decode('1.0') == 1, pcall(json.decode, '{') == false}",
        ['{"a":[1,2.0,null],"b":1}', True, "{}", "[]", True, True],
    ),
    "an empty object stays one": ("return {input.object, input.list, {}}", [{}, [], []]),
    "globals of its own": (
        "counter = (counter or 0) + 1 return {counter, _G.counter, rawget(_G, 'counter')}",
        [1, 1, 1],
    ),
    "libraries are read-only": (
        "local ok, e = pcall(function() string.trim = 1 end) return e",
        "capability:1: the library 'string' is read-only: 'trim' cannot be set; write a local function instead",
    ),
    "a library is read-only from within a traversal": (
        "local step, given, first = pairs(string) local ok = pcall(function() given.upper = 1 end) "
        "return {given == string, ok, step(given, first), ('x'):upper()}",
        [True, False, "byte", "X"],
    ),
    "finalizers are never called": (
        "local n = 0 for i = 1, 100 do setmetatable({}, {__gc = function() n = n + 1 end}) end "
        "for i = 1, 10000 do local t = {i} end return n",
        0,
    ),
}


@pytest.mark.parametrize("name", [name for name, (_, expected) in PROGRAMS.items() if expected is not None])
def test_ordinary_programs_do_what_the_reference_does(sandbox: Sandbox, name: str) -> None:
    body, expected = PROGRAMS[name]
    outcome = run(sandbox, body, {"object": {}, "list": []})
    assert outcome.status == "ok", outcome.message
    assert outcome.output == expected


@pytest.mark.parametrize("body", [body for body, expected in PROGRAMS.values() if expected is None])
def test_the_same_program_gives_the_same_bytes_fuel_and_memory_in_another_process(body: str) -> None:
    with Sandbox(workers=1) as one, Sandbox(workers=1) as two:
        first = run(one, body)
        assert first == run(two, body)
        assert first == run(one, body)


def test_the_seed_decides_the_random_numbers(sandbox: Sandbox) -> None:
    body = "return {math.random(), math.random(1, 1000000), math.random(0)}"
    first = run(sandbox, body, seed=1)
    assert first == run(sandbox, body, seed=1)
    assert first.output != run(sandbox, body, seed=2).output
    assert first == run(sandbox, "math.randomseed() " + body, seed=1).model_copy(
        update={"fuel": first.fuel, "memory_bytes": first.memory_bytes}
    )


def test_several_objects_as_keys_have_no_order_and_one_has(sandbox: Sandbox) -> None:
    assert run(sandbox, "local n = 0 for k in pairs({[{}] = 1, a = 2}) do n = n + 1 end return n").output == 2
    outcome = run(sandbox, "for k in pairs({[{}] = 1, [{}] = 2}) do end")
    assert (outcome.status, "no fixed order" in outcome.message) == ("script_error", True)


def test_keys_that_were_objects_leave_no_trace_in_the_order(sandbox: Sandbox) -> None:
    body = (
        "local t, objects, out = {}, {}, {} for i = 1, 30 do objects[i] = {} t[objects[i]] = i t['k' .. i] = i end "
        "for i = 1, 30 do t[objects[i]] = nil end for k in pairs(t) do out[#out + 1] = k end return out"
    )
    assert run(sandbox, body).output == sorted(f"k{i}" for i in range(1, 31))


# ---------------------------------------------------------------- exact fuel

FUEL = json.loads((DATA / "fuel.json").read_text())


def test_fuel_does_not_depend_on_how_the_heap_grows(sandbox: Sandbox) -> None:
    limits = Limits(fuel=10**8)
    grows, stays = (
        run(sandbox, f"local last = 1 for i = 1, 400000 do last = {{{item}}} end return 1", limits=limits)
        for item in ("last", "1")
    )
    assert grows.memory_bytes > 10 * stays.memory_bytes
    assert grows.fuel == stays.fuel


@pytest.mark.parametrize("program", FUEL)
def test_a_program_costs_exactly_its_fuel(sandbox: Sandbox, program: str) -> None:
    """A changed number is a deliberate change: what was recorded with the old one is worth less to replay."""
    assert run(sandbox, program).fuel == FUEL[program]


# ---------------------------------------------------------------- bad input

BAD = {
    "a syntax error": ("function run() return 1 +", {}, "reject", "line 1"),
    "a NUL": ("function run() return 1 end\0", {}, "reject", "NUL"),
    "bytecode": ("\x1bLua", {}, "reject", "bytecode"),
    "not Unicode": ("return '\ud800'", {}, "reject", "Unicode"),
    "ten megabytes": ("--" + "x" * 10_000_000, {}, "reject", "10000002 bytes"),
    "deep nesting": ("return " + "(" * 5000 + "1" + ")" * 5000, {}, "reject", "C stack overflow"),
    "no run": ("x = 1", {}, "script_error", "run(input, context)"),
    "run is no function": ("run = 1", {}, "script_error", "run(input, context)"),
    "nothing returned": ("function run() end", {}, "bad_result", "json.null"),
    "a cycle": ("function run() local t = {} t.x = t return t end", {}, "bad_result", "$.x"),
    "too deep": (
        "function run() local t = {} for i = 1, 100 do t = {t} end return t end",
        {},
        "bad_result",
        "deeper than 64",
    ),
    "too large": ("function run() return ('x'):rep(2000000) end", {}, "output_size", "1048576"),
    "the same table a thousand times": (
        "function run() local t = {1} for i = 1, 60 do t = {t, t} end return t end",
        {},
        "output_size",
        "1048576",
    ),
    "holes": ("function run() return {a = {1, nil, 3}} end", {}, "bad_result", "holes in $.a"),
    "mixed keys": ("function run() return {1, x = 2} end", {}, "bad_result", "other keys"),
    "a key that is true": ("function run() return {[true] = 1} end", {}, "bad_result", "boolean"),
    "a function": ("function run() return {a = {run}} end", {}, "bad_result", "a function in $.a[1]"),
    "a coroutine": ("function run() return coroutine.create(run) end", {}, "bad_result", "a coroutine"),
    "nan": ("function run() return {x = 0/0} end", {}, "bad_result", "nan"),
    "infinity": ("function run() return 1/0 end", {}, "bad_result", "infinity"),
    "bytes that are no text": ("function run() return '\\xff' end", {}, "bad_result", "UTF-8"),
    "a surrogate": ("function run() return '\\xed\\xa0\\x80' end", {}, "bad_result", "UTF-8"),
    "an input that is no JSON": ("function run() return 1 end", {"x": {1, 2}}, "reject", "not JSON"),
    "a nan as input": ("function run() return 1 end", {"x": float("nan")}, "reject", "not JSON"),
    "half a character as input": ("function run() return 1 end", {"x": "\ud800"}, "reject", "Unicode"),
    "a deep input": ("function run() return 1 end", json.loads("[" * 70 + "]" * 70), "reject", "64 levels"),
    "a number out of range": ("function run() return 1 end", 10**400, "reject", "number"),
    "a table raised": ("function run() error({}) end", {}, "script_error", "a table value"),
    "nothing raised": ("function run() error() end", {}, "script_error", ""),
    "fail without a code": ("function run() fail() end", {}, "script_error", "bad argument #1 to 'fail'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_has_a_defined_outcome(sandbox: Sandbox, name: str) -> None:
    source, given, status, part = BAD[name]
    outcome = sandbox.run(source, given, name="math.double")
    assert outcome.status == status
    assert part in outcome.message
    assert "'math.double'" in outcome.message


@pytest.mark.parametrize(
    ("given", "body", "expected"),
    [
        (2**53 + 1, "return input", 2**53 + 1),
        (2**63 - 1, "return input", 2**63 - 1),
        (2**63, "return input", float(2**63)),
        (-(2**63), "return math.type(input)", "integer"),
        (1.0, "return math.type(input)", "float"),
        (-0.0, "return 1 / input < 0", True),
        (0.1, "return input", 0.1),
        (1e300, "return input", 1e300),
        ("nul \0 and é and 𝄞", "return input", "nul \0 and é and 𝄞"),
        ('\x7f\x1f"\\\n', "return input", '\x7f\x1f"\\\n'),
        (None, "return {input, input == json.null}", [None, True]),
        ({"a": None}, "return input.a == nil", True),
        ([1, None], "return {#input, input[2] == json.null}", [2, True]),
        ({"": {"": []}}, "return input", {"": {"": []}}),
        ([[], {}, [[]]], "return input", [[], {}, [[]]]),
    ],
)
def test_values_cross_as_they_are(sandbox: Sandbox, given: Any, body: str, expected: Any) -> None:
    outcome = run(sandbox, body, given if given is not None else None)
    if given is None:
        outcome = sandbox.run(f"function run(input) {body} end", None)
    assert outcome.output == expected
    assert type(outcome.output) is type(expected)


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("source", "line", "hint"),
    [
        ("function run()\n  if a != b then end\nend", 2, "~="),
        ("function run()\n  x += 1\nend", 2, "x = x + ..."),
        ("function run()\n  for i = 1, 3 do\n    i = i + 1\n  end\nend", 3, "copy it"),
        ("function run()\n  for i = 1, 3 do\n    continue\n  end\nend", 4, "continue"),
        ("function run()\n  local s = 'abc\nend", 2, "close the string"),
        ("function run()\n  if true do end\nend", 2, "then"),
        ("function run()\n  return 1", 2, "end"),
        ("function run(x)\n  x++\nend", 2, "x = x + 1"),
        ("function run(x)\n  let y = x\nend", 2, "`local`"),
        ("function run(x)\n  local y = x ? 1 : 2\nend", 2, "and one or other"),
        ("function run(x)\n  local y = [1, 2]\nend", 2, "{1, 2, 3}"),
        ("function run(x) {\n  return x\n}", 1, "`end`"),
        ("// doubles\nfunction run(x) return x end", 1, "--"),
    ],
)
def test_a_syntax_error_names_the_line_and_what_to_write(sandbox: Sandbox, source: str, line: int, hint: str) -> None:
    finding = sandbox.compile(source)
    assert finding is not None
    assert finding.where.line == line
    assert hint in finding.hint
    rejected = sandbox.run(source, {})
    assert (rejected.status, rejected.line) == ("reject", line)
    assert hint in rejected.message


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("unpack({1})", "table.unpack"),
        ("math.pow(2, 3)", "x ^ y"),
        ("os.time()", "context.now"),
        ("print('x')", "log.info"),
        ("require('x')", "one file"),
        ("loadstring('x')", "no load"),
    ],
)
def test_a_name_that_is_not_there_comes_with_what_to_write(sandbox: Sandbox, expression: str, hint: str) -> None:
    outcome = sandbox.run(f"function run()\n  local x = 1\n  return {expression}\nend", {}, name="demo.names")
    assert (outcome.status, outcome.line) == ("script_error", 3)
    assert "'demo.names'" in outcome.message
    assert "line 3" in outcome.message
    assert hint in outcome.message


ENDED = {
    "fuel": (
        "  local n = 0\n  while true do n = n + 1 end",
        "fuel",
        "ran out of fuel at line 3 (50000 of 50000 spent); shorten the loop, or raise `fuel` in its limits",
    ),
    "memory": (
        "  local t = {}\n  local function f() return 1 + f() end\n  f()",
        "memory",
        "ran out of memory at line 3 (asked for more when 1048576 of 1048576 bytes were in use); keep less at a time, "
        "or raise `memory_bytes` in its limits",
    ),
    "host calls": (
        "  for i = 1, 9 do\n    store.get{}\n  end",
        "host_calls",
        "wanted one more host call at line 3 (2 of 2 made); make fewer, or raise `host_calls` in its limits",
    ),
    "output size": (
        "  local t = {}\n  for i = 1, 30 do t[i] = {id = i, name = 'abc'} end\n  return {rows = t}",
        "output_size",
        "returned more than 100 bytes of JSON (100 of 100 spent at $.rows[5]); return less, or raise `output_bytes` "
        "in its limits",
    ),
    "deadline": (
        "  store.get{}\n  local s = ('x'):rep(100000) while true do local t = s .. 'y' end",
        "deadline",
        "did not end within 0.2 s of its own time (0.2 of 0.2 spent, host calls made: 1; where it was is not known); "
        "shorten its work, or raise `deadline_seconds` in its limits",
    ),
    "a denied grant": (
        "  local x = 1\n  x = store.get{deny = true}\n  return x",
        "grant_denied",
        "was denied the host function 'store.get' at line 3: the namespace is not granted",
    ),
    "a bad result": (
        "  return {total = 0 / 0}",
        "bad_result",
        "returned nan, which is not JSON in $.total; return JSON only: texts, numbers, booleans, lists and objects",
    ),
    "no result": ("  local x = 1", "bad_result", "returned nothing; return a value, or json.null"),
    "an error": ("  local x = nil\n  return x.y", "script_error", "failed at line 3: attempt to index a nil value"),
    "too large an argument": (
        "  local s = ('x'):rep(1200000)\n  local x = store.get{s = s}",
        "script_error",
        "failed at line 3: bad argument #1 to 'get' (more than 1048576 bytes of JSON)",
    ),
}


@pytest.mark.parametrize("name", ENDED)
def test_an_end_says_who_where_how_much_was_spent_and_what_to_change(sandbox: Sandbox, name: str) -> None:
    body, status, said = ENDED[name]

    def host(function: str, arguments: Any) -> HostReply:
        if arguments.get("deny"):
            raise GrantDenied("the namespace is not granted")
        return HostReply(result={})

    narrow = Limits(fuel=50_000, memory_bytes=1024 * 1024, host_calls=2, output_bytes=100)
    limits = {
        "deadline": Limits(fuel=10**12, deadline_seconds=0.2),
        "too large an argument": Limits(),
        "memory": narrow.model_copy(update={"fuel": 10**7}),
    }.get(name, narrow)
    source = f"function run(input)\n{body}\nend"
    outcome = sandbox.run(source, {}, name="demo.ended", functions=["store.get"], host=host, limits=limits)
    assert outcome.status == status
    assert outcome.message.startswith(f"capability 'demo.ended' {said}")


def test_calls_that_nest_too_deeply_are_told_from_a_full_memory(sandbox: Sandbox) -> None:
    source = "function run()\n  local function f() pcall(f) end\n  f()\nend"
    outcome = sandbox.run(source, {}, name="demo.deep")
    assert (outcome.status, outcome.line) == ("memory", 2)
    spent = f"({outcome.fuel} fuel and {outcome.memory_bytes} bytes spent)"
    assert outcome.message == (
        f"capability 'demo.deep' nests its calls too deeply at line 2 {spent}; look for a recursion without an end, or "
        "for too many values passed at once"
    )


# ---------------------------------------------------------------- the door, and the names


def test_the_door_answers_each_line_by_one(sandbox: Sandbox) -> None:
    lines = [
        json.dumps({"source": "function run(input) return input.n end", "input": {"n": 3}}),
        json.dumps({"source": "x ="}),
        json.dumps({"source": "function run() error('x') end"}),
        json.dumps({"source": "function run() while true do end end"}),
        "[1]",
        "not JSON",
        "",
    ]
    written: list[str] = []
    serve([line.encode() + b"\n" for line in lines], written.append, sandbox)
    answers = [json.loads(line) for line in written]
    assert [each["status"] for each in answers] == ["ok", "reject", "error", "limit", "reject", "reject"]
    assert answers[0]["output"] == 3
    assert set(answers[0]) == {"status", "output", "message", "code", "line", "fuel"}
    assert [each["code"] for each in answers] == ["ok", "reject", "script_error", "fuel", "reject", "reject"]


def test_the_door_survives_a_request_that_is_not_text(sandbox: Sandbox) -> None:
    assert answer(b'{"source": "\xff"}', sandbox)["status"] == "reject"
    assert answer(b'{"source": 1}', sandbox)["status"] == "reject"


@pytest.mark.parametrize("function", ["json.get", "date.now", "string.get", "type.of"])
def test_a_host_function_takes_the_place_of_nothing_that_scripts_find(sandbox: Sandbox, function: str) -> None:
    first = function.split(".")[0]
    with pytest.raises(InvalidInput, match=f"would hide '{first}'"):
        sandbox.run(f"function run() return {function}{{}} end", {}, functions=[function])


def test_what_is_offered_is_what_a_script_finds(sandbox: Sandbox) -> None:
    names = offered_names()
    assert set(names) == OFFERED
    found = run(
        sandbox,
        "local out = {} for name, value in pairs(_G) do out[name] = {} "
        "if type(value) == 'table' and name ~= '_G' then for member in pairs(value) do "
        "table.insert(out[name], member) end end "
        "end out.run = nil return out",
    )
    assert found.output == names
    for gone in (
        "load",
        "loadstring",
        "dofile",
        "require",
        "io",
        "os",
        "debug",
        "package",
        "print",
        "collectgarbage",
        "python",
    ):
        assert gone not in names
    assert "dump" not in names["string"]
    assert "close" not in names["coroutine"]
