"""Families of attacks beyond `test_sandbox_limits.py`: each ends as said, and the next call is as ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ritesmith.models import LIMIT_STATUSES, HostReply, Limits
from ritesmith.sandbox import Sandbox

LIMIT = LIMIT_STATUSES
ERROR = frozenset({"script_error"})
ANY_BUT_OK = LIMIT | ERROR | {"bad_result"}

PROBE = """function run(input)
  local keys = {}
  for name in pairs(_G) do keys[#keys + 1] = name end
  return {keys, ("x"):rep(3), tostring({}), #string.format("%5.1f", 1), leaked == nil, ("x").leaked == nil, input.n}
end"""

# name -> (body of run, statuses it may end with)
ATTACKS = {
    "rep of nothing": ("local n = 0 while true do n = n + #(''):rep(1 << 62) end", LIMIT),
    "rep of much": ("while true do pcall(string.rep, 'x', 1 << 40) end", LIMIT),
    "rep with a separator": ("while true do pcall(string.rep, '', 1 << 40, 'y') end", LIMIT),
    "table.move of nothing": ("table.move({}, 1, 1 << 53, 2)", LIMIT),
    "table.move by a proxy": ("table.move(setmetatable({}, {__index = rawlen}), 1, 1 << 53, 2)", ANY_BUT_OK),
    "table.create": ("while true do pcall(table.create, 1 << 30) end", LIMIT),
    "table.create in small": ("while true do table.create(100000) end", LIMIT),
    "table.insert into a liar": (
        "table.insert(setmetatable({}, {__len = function() return 1 << 50 end}), 1, 'x')",
        LIMIT,
    ),
    "table.remove from a liar": ("table.remove(setmetatable({}, {__len = function() return 1 << 50 end}), 1)", LIMIT),
    "table.sort of a liar": (
        "table.sort(setmetatable({}, {__len = function() return 1 << 30 end}), rawequal)",
        ANY_BUT_OK,
    ),
    "table.concat of a liar": (
        "while true do pcall(table.concat, setmetatable({}, {__index = rawlen}), '', 1, 1 << 40) end",
        LIMIT,
    ),
    "table.unpack": ("while true do select('#', table.unpack({}, 1, 900000)) end", LIMIT),
    "string.byte of all": ("local s = ('x'):rep(900000) while true do select('#', s:byte(1, -1)) end", LIMIT),
    "a comparator that lies": (
        "local n = 0 for i = 1, 1e9 do table.sort({3, 1, 2}, function() return true end) end",
        LIMIT,
    ),
    "trim": ("local s = (' '):rep(1000000) .. 'x' while true do s:match('^(.-)%s*$') end", LIMIT),
    "trim at the end": ("return ((' '):rep(300000) .. 'x'):find('%s+$')", LIMIT),
    "balance": ("return (('('):rep(2000000)):find('%b()')", LIMIT),
    "lazy runs": ("return (('a'):rep(5000)):find(('.-'):rep(8) .. 'b')", LIMIT),
    "optional items": ("return (('a'):rep(30)):find(('a?'):rep(40) .. ('a'):rep(30) .. 'b')", LIMIT),
    "back-reference": ("return (('a'):rep(60000)):find('(.*)%1b')", LIMIT),
    "frontier": ("local s = ('a '):rep(200000) while true do s:gsub('%f[%a]%a*%f[%A].-b', '') end", LIMIT),
    "a class of a megabyte": (
        "local p = '[' .. ('b'):rep(1000000) .. ']' while true do (('a'):rep(1000)):find(p) end",
        LIMIT,
    ),
    "a gmatch of lazy runs": ("for w in (('a'):rep(60000)):gmatch('(.-)(.-)b') do end", LIMIT),
    "a gsub of lazy runs": ("return (('a'):rep(60000)):gsub('(.-)(.-)b', '')", LIMIT),
    "a replacement that grows": ("local s = 'ab' while true do s = s:gsub('.', '%0%0%0%0') end", LIMIT),
    "plain find": ("while true do ('a'):rep(10000000):find(('a'):rep(5000000) .. 'b', 1, true) end", LIMIT),
    "plain find by gsub": ("while true do (('a'):rep(1000000)):gsub(('a'):rep(500000) .. 'b', '') end", LIMIT),
    "format": ("while true do ('%99.99f'):format(1e308) end", LIMIT),
    "format of a large text": (
        "local s = ('x'):rep(1000000) while true do local t = ('%s%s%s'):format(s, s, s) end",
        LIMIT,
    ),
    "pack": ("while true do pcall(string.pack, 'c2147483600', '') end", LIMIT),
    "upper": ("local s = ('x'):rep(9000000) while true do s:upper() end", LIMIT),
    "utf8.len": ("local s = ('x'):rep(9000000) while true do utf8.len(s) end", LIMIT),
    "json.encode of a graph": (
        "local t = {1} for i = 1, 60 do t = {t, t} end while true do pcall(json.encode, t) end",
        LIMIT,
    ),
    "json.decode": ("local s = '[' .. ('1,'):rep(100000) .. '1]' while true do json.decode(s) end", LIMIT),
    "json.decode of depth": ("while true do pcall(json.decode, ('['):rep(900000)) end", LIMIT),
    "short coroutines": ("while true do coroutine.wrap(function() for i = 1, 250 do end end)() end", LIMIT),
    "coroutines kept": ("local t = {} for i = 1, 1e9 do t[i] = coroutine.create(function() end) end", LIMIT),
    "a chain of coroutines": (
        "local function f(n) return coroutine.wrap(function() if n > 0 then return f(n - 1)() end "
        "while true do end end) end "
        "while true do pcall(f(150)) end",
        LIMIT,
    ),
    "the edge of the C stack": (
        "local function leaf() while true do end end local function f() local ok, e = pcall(f) "
        "if not ok then return 'deep' end if e == 'deep' then while true do pcall(leaf) end end "
        "return e end return f()",
        LIMIT,
    ),
    "overflow in metamethods": (
        "local t t = setmetatable({}, {__index = function(_, k) return t[k + 1] end}) while true "
        "do pcall(function() return t[1] end) end",
        LIMIT,
    ),
    "overflow in tostring": (
        "local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) while true "
        "do pcall(tostring, t) end",
        LIMIT,
    ),
    "a chain of __index": (
        "local t = {} for i = 1, 1e9 do t = setmetatable({}, {__index = t}) pcall(function() return t.x end) end",
        LIMIT,
    ),
    "finalizers": ("while true do setmetatable({}, {__gc = function() while true do end end}) end", LIMIT),
    "a metatable changed later": (
        "local m = {} local t = setmetatable({}, m) m.__gc = function() while true do end end "
        "m.__close = m.__gc m.__mode = 'k' "
        "pcall(function() local x <close> = t end) while true do t = {t} end",
        LIMIT,
    ),
    "a weak table": ("setmetatable({}, {__mode = 'k'})", ERROR),
    "globals that raise": ("setmetatable(_G, {__index = error, __newindex = error}) debug = nil", ANY_BUT_OK),
    "globals that loop": ("setmetatable(_G, {__index = function() while true do end end}) return nothing", LIMIT),
    "the metatable of texts": ("getmetatable('').__index = nil", ERROR),
    "the metatable of a library": ("setmetatable(string, {})", ERROR),
    "the marks of json": ("return getmetatable(input.object) == nil and getmetatable(json.null)", frozenset({"ok"})),
    "the tag of host calls": (
        "local co = coroutine.create(function() return store.get{} end) local tag = select(2, coroutine.resume(co)) "
        "return type(tag) == 'table' and tag.n == 1 and coroutine.status(co) == 'dead'",
        frozenset({"ok"}),
    ),
    "host calls in a loop": ("while true do pcall(coroutine.wrap(function() store.get{} end)) end", LIMIT),
    "large arguments": ("while true do pcall(store.get, {x = ('x'):rep(2000000)}) end", LIMIT),
    "a call from a sort": (
        "table.sort({3, 2, 1}, function(a, b) return store.get{}.n == 2 end) return true",
        frozenset({"ok"}),
    ),
    "a call from a gsub": (
        "return (('abc'):gsub('%a', function() return tostring(store.get{}.n) end)) == '111'",
        frozenset({"ok"}),
    ),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as pool:
        yield pool


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_as_it_must_and_leaves_nothing_behind(sandbox: Sandbox, name: str) -> None:
    body, allowed = ATTACKS[name]
    before = sandbox.run(PROBE, {"n": 1})
    outcome = sandbox.run(
        f"function run(input) {body} end",
        {"object": {}},
        functions=["store.get"],
        host=lambda function, arguments: HostReply(result={"n": 1}),
        limits=Limits(fuel=2_000_000, memory_bytes=32 * 1024 * 1024, deadline_seconds=10),
    )
    assert outcome.status in allowed, outcome.message
    assert outcome.status != "deadline", "the budget should have ended it before the clock"
    if allowed == {"ok"}:
        assert outcome.output is not None
        assert outcome.output in (True, False)
    assert sandbox.run(PROBE, {"n": 1}) == before


def test_families_are_answered_at_the_door_and_leaves_the_next_one_alone() -> None:
    """The command that other programs use: one line of JSON for each, in order, within the default limits."""
    wanted: list[tuple[str, frozenset[str]]] = []
    lines = []
    shown = {"ok": "ok", "script_error": "error", "bad_result": "error", **dict.fromkeys(LIMIT, "limit")}
    # No host function is offered there.
    alone = [name for name in ATTACKS if "store." not in ATTACKS[name][0]]
    for name in alone[::6]:
        body, allowed = ATTACKS[name]
        wanted.append((name, frozenset(shown[status] for status in allowed)))
        lines.append(json.dumps({"source": f"function run(input) {body} end", "input": {"object": {}}}))
        lines.append(json.dumps({"source": PROBE, "input": {"n": 1}}))
    done = subprocess.run(
        [sys.executable, "-m", "ritesmith", "sandbox", "--jsonl"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    for i, (name, statuses) in enumerate(wanted):
        assert answers[2 * i]["status"] in statuses, name
        assert answers[2 * i + 1] == answers[1], name


def test_nothing_of_the_outside_is_named() -> None:
    body = """
      local seen, found = {}, {}
      local function walk(value, path, depth)
        local kind = type(value)
        if kind == "userdata" then found[#found + 1] = path end
        if kind ~= "table" or seen[value] or depth > 6 then return end
        seen[value] = true
        for key, inner in pairs(value) do walk(inner, path .. "." .. tostring(key), depth + 1) end
        local meta = getmetatable(value)
        if type(meta) == "table" then walk(meta, path .. "<meta>", depth + 1) end
      end
      walk(_G, "_G", 0)
      walk(context, "context", 0)
      return {found = found, text = type(getmetatable("")), library = type(getmetatable(string))}"""
    with Sandbox(workers=1) as sandbox:
        outcome = sandbox.run(f"function run(input, context) {body} end", {}, context={"run_id": "r"})
    assert outcome.output == {"found": [], "text": "boolean", "library": "boolean"}
