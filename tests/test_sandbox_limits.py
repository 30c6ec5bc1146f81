"""A limit is the end of the execution: no construct of the language catches one."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from ritesmith.models import LIMIT_STATUSES, HostReply, Limits
from ritesmith.sandbox import GrantDenied, Sandbox

LIMITS = Limits(fuel=300_000, memory_bytes=4 * 1024 * 1024, deadline_seconds=20, host_calls=5)

# What spends each limit, as the body of a function `spend`.
SPENDERS = {
    "fuel": "while true do end",
    "fuel, in the library": "while true do string.rep('x', 100000) end",
    "fuel, in a pattern": "string.find(('a'):rep(5000), ('.-'):rep(8) .. 'b')",
    "memory": "local t, s = {}, ('x'):rep(9000) for i = 1, math.huge do t[i] = s .. i end",
    "memory, by a string": "local s = 'x' while true do s = s .. s end",
    "memory, by recursion": "local function f() return 1 + f() end f()",
    "host_calls": "while true do store.get{} end",
}

# Where it is spent: a whole script around `spend`.
PLACES = {
    "bare": "spend()",
    "pcall": "pcall(spend) return 'caught'",
    "a loop of pcalls": "while true do pcall(spend) end",
    "pcall in pcall": "pcall(pcall, pcall, spend) return 'caught'",
    "xpcall": "xpcall(spend, function(e) return e end) return 'caught'",
    "the handler of xpcall": "xpcall(error, spend) return 'caught'",
    "a looping handler": "xpcall(spend, function() while true do end end) return 'caught'",
    "a coroutine": "local co = coroutine.create(spend) coroutine.resume(co) return 'caught'",
    "a loop of coroutines": "while true do coroutine.resume(coroutine.create(spend)) end",
    "coroutine.wrap": "pcall(coroutine.wrap(spend)) return 'caught'",
    "a nest of coroutines": (
        "local f = spend for i = 1, 20 do local g = f f = function() coroutine.wrap(g)() end end pcall(f) "
        "return 'caught'"
    ),
    "__index": "local t = setmetatable({}, {__index = spend}) pcall(function() return t.x end) return 'caught'",
    "__newindex": "local t = setmetatable({}, {__newindex = spend}) pcall(function() t.x = 1 end) return 'caught'",
    "__add": "local t = setmetatable({}, {__add = spend}) pcall(function() return t + 1 end) return 'caught'",
    "__concat": "local t = setmetatable({}, {__concat = spend}) pcall(function() return t .. 'x' end) return 'caught'",
    "__eq": "local m = {__eq = spend} local a, b = setmetatable({}, m), setmetatable({}, m) "
    "pcall(function() return a == b end) return 'caught'",
    "__lt": "local m = {__lt = spend} local a, b = setmetatable({}, m), setmetatable({}, m) "
    "pcall(table.sort, {a, b}) return 'caught'",
    "__len": "local t = setmetatable({}, {__len = spend}) pcall(table.insert, t, 1) return 'caught'",
    "__call": "local t = setmetatable({}, {__call = spend}) pcall(t) return 'caught'",
    "__tostring": "local t = setmetatable({}, {__tostring = spend}) pcall(tostring, t) return 'caught'",
    "__tostring in format": (
        "local t = setmetatable({}, {__tostring = spend}) pcall(string.format, '%s', t) return 'caught'"
    ),
    "__pairs": "local t = setmetatable({}, {__pairs = spend}) pcall(pairs, t) return 'caught'",
    "__close": "pcall(function() local x <close> = setmetatable({}, {__close = spend}) end) return 'caught'",
    "__close after an error": (
        "pcall(function() local x <close> = setmetatable({}, {__close = spend}) error('x') end) return 'caught'"
    ),
    "__close of a coroutine": (
        "local co = coroutine.wrap(function() local x <close> = setmetatable({}, {__close = spend}) error('x') end) "
        "pcall(co) return 'caught'"
    ),
    "after which __close loops": (
        "pcall(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) spend() "
        "end) return 'caught'"
    ),
    "after which __close errs": (
        "for i = 1, 9 do pcall(function() local x <close> = setmetatable({}, {__close = error}) spend() end) end "
        "return 'caught'"
    ),
    "the closing value of for": (
        "pcall(function() for i in next, {1}, nil, setmetatable({}, {__close = spend}) do end end) return 'caught'"
    ),
    "an iterator": "pcall(function() for x in spend do end end) return 'caught'",
    "a sort comparator": "pcall(table.sort, {3, 1, 2}, spend) return 'caught'",
    "a gsub callback": "pcall(string.gsub, 'abc', '.', spend) return 'caught'",
    "a gsub table": "pcall(string.gsub, 'abc', '.', setmetatable({}, {__index = spend})) return 'caught'",
    "concat of a proxy": (
        "pcall(table.concat, setmetatable({}, {__index = spend, __len = function() return 3 end})) return 'caught'"
    ),
    "unpack of a proxy": "pcall(table.unpack, setmetatable({}, {__index = spend}), 1, 3) return 'caught'",
    "a gmatch loop": "pcall(function() for w in ('a b c'):gmatch('%a') do spend() end end) return 'caught'",
    "goto and pcall": "::again:: pcall(spend) goto again",
    "recursion through pcall": "local function f() pcall(f) return f() end pcall(spend) f()",
    "error with what was caught": "local ok, e = pcall(spend) error(e)",
    "fail after it": "pcall(spend) fail('caught', 'caught')",
}


# Closing handlers that were not there when `setmetatable` saw their metatable: `late(handler)` makes such a value.
LATE = """
local function late(closer)
  local meta = {}
  local object = setmetatable({}, meta)
  meta.__close = closer
  return object
end
local function swapped(closer)
  local meta = {__close = function() end}
  local object = setmetatable({}, meta)
  rawset(meta, "__close", function(...) meta.__close = nil return closer(...) end)
  return object
end
local function other() error("other") end
local seen
"""

# What fills memory or the stack, as the body of `spend`.
FILLERS = {
    "memory, by small things": "local t, s = {}, ('x'):rep(9000) for i = 1, math.huge do t[i] = s .. i end",
    "memory, by a string": "local s = 'x' while true do s = s .. s end",
    "memory, at one stroke": "local s = ('x'):rep(100000) s = s" + "..s" * 100,
    "memory, by a buffer": "local s = ('x'):rep(3000000) s:upper()",
    "stack": "local function f() return 1 + f() end f()",
    "C stack": "local t t = setmetatable({}, {__index = function(_, k) return t[k + 1] end}) local x = t[1]",
    "C stack, by pcall": "local function f() pcall(f) return f() end f()",
}

# How a handler, called while the error passes, could keep it from whoever would end the execution.
HIDERS = {
    "raises": "pcall(function() local x <close> = late(other) spend() end)",
    "raises nothing": "pcall(function() local x <close> = late(function() error() end) spend() end)",
    "is error": "pcall(function() local x <close> = late(error) spend() end)",
    "is a callable table": "pcall(function() local x <close> = late(setmetatable({}, {__call = other})) spend() end)",
    "fails": "pcall(function() local x <close> = late(function() fail('x', 'y') end) spend() end)",
    "errs by itself": "pcall(function() local x <close> = late(function() return nil + 1 end) spend() end)",
    "takes what it is given": (
        "pcall(function() local x <close> = late(function(...) seen = {...} error('x') end) spend() end)"
    ),
    "of a function that takes all": "pcall(function(...) local x <close> = late(other) spend() end, 1, 2, 3)",
    "was swapped": "pcall(function() local x <close> = swapped(other) spend() end)",
    "was swapped while open": (
        "pcall(function() local m = {__close = function() end} local x <close> = setmetatable({}, m) "
        "m.__close = other spend() end)"
    ),
    "is swapped by the one before": (
        "pcall(function() local m = {__close = function() end} local y <close> = setmetatable({}, m) "
        "local x <close> = late(function() m.__close = other end) spend() end)"
    ),
    "is found by __index": (
        "pcall(function() local x <close> = late(setmetatable({}, {__index = other, __call = function(t) return t.x "
        "end})) spend() end)"
    ),
    "one after the other": (
        "pcall(function() local y <close> = late(other) local x <close> = late(function(_, e) error(e) end) "
        "spend() end)"
    ),
    "catches something else first": (
        "pcall(function() local x <close> = late(function() for i = 1, 3 do pcall(error, 'a') end error('x') end) "
        "spend() end)"
    ),
    "makes garbage first": (
        "pcall(function() local x <close> = late(function() for i = 1, 9000 do local t = {i} end pcall(error, 1) "
        "error('x') end) spend() end)"
    ),
    "goes through another coroutine": (
        "pcall(function() local x <close> = late(function() local step = coroutine.wrap(function() pcall(error, 1) "
        "coroutine.yield(1) error('z') end) step() step() end) spend() end)"
    ),
    "raises from deep down": (
        "pcall(function() local x <close> = late(function() local function down(n) if n == 0 then error('x') end "
        "return 1 + down(n - 1) end down(500) end) spend() end)"
    ),
    "yields": (
        "local co = coroutine.create(function() pcall(function() local x <close> = late(coroutine.yield) spend() end) "
        "end) coroutine.resume(co)"
    ),
    "yields in pcall": (
        "coroutine.wrap(function() pcall(function() local x <close> = late(function() pcall(coroutine.yield) end) "
        "spend() end) end)()"
    ),
    "yields to a for loop": (
        "for i in coroutine.wrap(function() pcall(function() local x <close> = late(function() coroutine.yield(1) end) "
        "spend() end) end) do break end"
    ),
    "asks the host": "pcall(function() local x <close> = late(function() store.get{} end) spend() end)",
    "asks the host from another coroutine": (
        "pcall(function() local x <close> = late(function() coroutine.wrap(function() store.get{} end)() end) "
        "spend() end)"
    ),
    "closes a for loop": "pcall(function() for i in next, {1}, nil, late(other) do spend() end end)",
    "closes a coroutine": "pcall(coroutine.wrap(function() local x <close> = late(other) spend() end))",
    "closes a coroutine after another": (
        "pcall(coroutine.wrap(function() local y <close> = late(other) local x <close> = late(spend) error('a') end))"
    ),
    "follows one that spends": (
        "pcall(function() local y <close> = late(other) do local x <close> = late(spend) end end)"
    ),
    "under xpcall": "xpcall(function() local x <close> = late(other) spend() end, function(e) return e end)",
    "in the handler of xpcall": "xpcall(error, function() local x <close> = late(other) spend() end)",
    "in a metamethod": (
        "local t = setmetatable({}, {__index = function() local x <close> = late(other) spend() end}) "
        "pcall(function() return t.x end)"
    ),
    "in pcall in a metamethod": (
        "local m = {__lt = function() pcall(function() local x <close> = late(other) spend() end) return true end} "
        "local less = setmetatable({}, m) < setmetatable({}, m)"
    ),
    "in a comparator": "pcall(table.sort, {3, 1, 2}, function() local x <close> = late(other) spend() end)",
    "in a callback": "pcall(string.gsub, 'abc', '.', function() local x <close> = late(other) spend() end)",
    "in __tostring": (
        "pcall(tostring, setmetatable({}, {__tostring = function() local x <close> = late(other) spend() end}))"
    ),
    "only listens": "pcall(function() local x <close> = late(function(_, e) seen = e end) spend() end)",
}


@pytest.mark.parametrize("hider", HIDERS)
@pytest.mark.parametrize("filler", FILLERS)
def test_no_closing_handler_hides_that_memory_or_stack_is_full(sandbox: Sandbox, filler: str, hider: str) -> None:
    asked: list[str] = []

    def host(name: str, arguments: object) -> HostReply:
        asked.append(name)
        return HostReply(result={})

    spend = f"local function spend() pcall(error) {FILLERS[filler]} end"
    source = f"{LATE}{spend}\nfunction run() {HIDERS[hider]} return 'hidden' end"
    limits = LIMITS.model_copy(update={"fuel": 3_000_000})
    outcome = sandbox.run(source, {}, functions=["store.get"], host=host, limits=limits)
    assert (outcome.status, asked) == ("memory", [])
    assert outcome == sandbox.run(source, {}, functions=["store.get"], host=host, limits=limits)


def test_closing_handlers_see_and_replace_ordinary_errors_as_in_the_reference(sandbox: Sandbox) -> None:
    source = (
        f"{LATE}function run() local ok, e = pcall(function() local y <close> = late(function(_, e) seen = e end) "
        "local x <close> = late(function(_, e) error(e .. ', then b', 0) end) "
        "for i = 1, 9000 do local t = {i} end error('a', 0) end) "
        "local step = coroutine.wrap(function() local x <close> = late(function() coroutine.yield('closing') end) end) "
        "return {e, seen, step()} end"
    )
    assert sandbox.run(source, {}).output == ["a, then b", "a, then b", "closing"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as pool:
        yield pool


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("spender", SPENDERS)
def test_no_construct_catches_a_limit(sandbox: Sandbox, spender: str, place: str) -> None:
    source = f"local function spend() {SPENDERS[spender]} end\nfunction run() {PLACES[place]} end"
    outcome = sandbox.run(
        source, {}, functions=["store.get"], host=lambda name, arguments: HostReply(result={}), limits=LIMITS
    )
    assert outcome.status in {"fuel", "memory", "host_calls"}
    if place in {"bare", "pcall", "coroutine.wrap", "a sort comparator", "a gsub callback"}:
        assert outcome.status == spender.split(",")[0]
    assert outcome == sandbox.run(
        source, {}, functions=["store.get"], host=lambda name, arguments: HostReply(result={}), limits=LIMITS
    )


@pytest.mark.parametrize("place", PLACES)
def test_no_construct_catches_a_denied_grant(sandbox: Sandbox, place: str) -> None:
    def host(name: str, arguments: object) -> HostReply:
        raise GrantDenied("no")

    source = f"local function spend() store.get{{}} while true do end end\nfunction run() {PLACES[place]} end"
    outcome = sandbox.run(source, {}, functions=["store.get"], host=host, limits=LIMITS)
    assert outcome.status == "grant_denied"


@pytest.mark.parametrize(
    "script",
    [
        "local s = ('x'):rep(3000000) while true do local t = s .. 'y' end",
        "local a, b = ('x'):rep(1500000) .. 'a', ('x'):rep(1500000) .. 'b' while true do local c = a < b end",
        "local a, b = ('x'):rep(1500000) .. 'a', ('x'):rep(1500000) .. 'b' while true do pcall(rawequal, a, b) end",
    ],
    ids=["append", "compare", "equal"],
)
def test_what_only_a_clock_can_stop_is_stopped_by_the_clock(sandbox: Sandbox, script: str) -> None:
    limits = Limits(deadline_seconds=0.2, fuel=1_000_000_000_000)
    outcome = sandbox.run(f"function run() {script} end", {}, limits=limits)
    assert outcome.status == "deadline"
    assert sandbox.run("function run() return 1 end", {}).output == 1


def test_limits_beyond_what_machines_count_are_no_limits(sandbox: Sandbox) -> None:
    limits = Limits(
        fuel=10**30, memory_bytes=10**30, output_bytes=10**30, host_calls=10**30, deadline_seconds=float("inf")
    )
    assert sandbox.run("function run() return 1 end", {}, limits=limits).output == 1


def test_an_output_within_its_bytes_is_taken_and_one_byte_more_is_not(sandbox: Sandbox) -> None:
    limits = Limits(output_bytes=100)
    for size, status in ((98, "ok"), (99, "output_size")):
        assert sandbox.run(f"function run() return ('x'):rep({size}) end", {}, limits=limits).status == status


@pytest.mark.parametrize(
    "result",
    [
        "setmetatable({}, {__eq = spin})",
        "setmetatable({}, setmetatable({}, {__eq = spin, __index = spin}))",
        "setmetatable({1, 2}, {__len = spin, __index = spin, __pairs = spin, __call = spin, __tostring = spin})",
        "setmetatable({a = 1}, {__name = 'x', __lt = spin, __concat = spin, __metatable = spin})",
        "{setmetatable({}, {__mode = nil, __close = spin, __gc = spin})}",
    ],
)
def test_no_metamethod_of_a_result_runs_outside_of_the_budget(sandbox: Sandbox, result: str) -> None:
    source = f"local function spin() while true do end end\nfunction run() return {result} end"
    assert sandbox.run(source, {}, limits=LIMITS).status == "ok"
    raised = sandbox.run(source.replace(f"return {result}", f"error({result})"), {}, limits=LIMITS)
    assert raised.status == "script_error"
    failed = sandbox.run(
        source.replace(f"return {result}", f"fail('x', 'y', {{details = {result}}})"), {}, limits=LIMITS
    )
    assert failed.status == "fail"


ATOMS = [
    "1",
    "0",
    "-1",
    "1e300",
    "0/0",
    "'x'",
    "('x'):rep(1000)",
    "{}",
    "nil",
    "true",
    "f",
    "t",
    "s",
    "_G",
    "input",
    "co",
]
CALLS = [
    *[
        "pcall",
        "xpcall",
        "error",
        "select",
        "tostring",
        "tonumber",
        "next",
        "pairs",
        "ipairs",
        "rawset",
        "rawget",
        "rawlen",
    ],
    *["setmetatable", "getmetatable", "coroutine.create", "coroutine.wrap", "coroutine.resume", "coroutine.yield"],
    *["string.rep", "string.find", "string.gsub", "string.format", "string.gmatch", "string.byte", "string.pack"],
    *["table.insert", "table.remove", "table.sort", "table.concat", "table.unpack", "table.move", "table.create"],
    *[
        "json.encode",
        "json.decode",
        "fail",
        "math.random",
        "utf8.char",
        "utf8.len",
        "utf8.codes",
        "assert",
        "f",
        "store.get",
    ],
]


def random_program(dice: random.Random) -> str:
    def expression(depth: int) -> str:
        kind = dice.randrange(9) if depth < 4 else 0
        if kind <= 2:
            return dice.choice(ATOMS)
        if kind == 3:
            sign = dice.choice(["+", "..", "==", "<", "and", "or", "//", "&", "^"])
            return f"({expression(depth + 1)} {sign} {expression(depth + 1)})"
        if kind == 4:
            return f"function(...) {block(depth + 1)} end"
        if kind == 5:
            key = dice.choice(["1", "s", "f"])
            return f"{{{expression(depth + 1)}, x = {expression(depth + 1)}, [{key}] = {expression(depth + 1)}}}"
        if kind == 6:
            event = dice.choice(
                ["index", "newindex", "call", "eq", "lt", "len", "close", "gc", "tostring", "pairs", "concat"]
            )
            return f"setmetatable({{}}, {{__{event} = {expression(depth + 1)}}})"
        arguments = ", ".join(expression(depth + 1) for _ in range(dice.randint(0, 3)))
        return f"{dice.choice(CALLS)}({arguments})"

    def statement(depth: int) -> str:
        kind = dice.randrange(10) if depth < 4 else 9
        if kind == 0:
            return f"while {expression(depth + 1)} do {block(depth + 1)} end"
        if kind == 1:
            return f"for k, v in pairs({expression(depth + 1)}) do {block(depth + 1)} end"
        if kind == 2:
            return f"if {expression(depth + 1)} then {block(depth + 1)} end"
        if kind == 3:
            return f"pcall(function() {block(depth + 1)} end)"
        if kind == 4:
            return f"coroutine.wrap(function() {block(depth + 1)} end)()"
        if kind == 5:
            return f"t[{dice.choice(['1', 's', 'f', '#t + 1'])}] = {expression(depth + 1)}"
        if kind == 6:
            return f"local x <close> = setmetatable({{}}, {{__close = function() {block(depth + 1)} end}})"
        if kind == 7:
            return f"s = s .. tostring({expression(depth + 1)})"
        return f"local {dice.choice('fts')} = {expression(depth + 1)}"

    def block(depth: int) -> str:
        return " ".join(statement(depth) for _ in range(dice.randint(1, 3)))

    return (
        "local f, t, s, co = tostring, {}, 'abc', coroutine.create(function() end)\n"
        f"function run(input) f = function() {block(2)} end {block(0)} return {{s, t, pcall(f)}} end"
    )


def test_ten_thousand_random_programs_leave_the_parent_and_the_next_call_as_they_were(sandbox: Sandbox) -> None:
    seed = 20_261_121
    print(f"seed {seed}")
    dice = random.Random(seed)
    limits = Limits(fuel=20_000, memory_bytes=2 * 1024 * 1024, output_bytes=10_000, deadline_seconds=10, host_calls=3)
    probe = "function run(input) return {tostring({}), string.leaked == nil, leaked == nil, input.n} end"
    alone = sandbox.run(probe, {"n": 1})
    statuses: dict[str, int] = {}
    for i in range(10_000):
        program = random_program(dice)
        outcome = sandbox.run(
            program,
            {"n": i, "list": [1, {}, "x"]},
            functions=["store.get"],
            host=lambda name, arguments: HostReply(result=arguments),
            limits=limits,
        )
        statuses[outcome.status] = statuses.get(outcome.status, 0) + 1
        assert outcome.status not in {"worker_lost", "deadline", "reject"}, program
        if i % 500 == 0:
            assert sandbox.run(probe, {"n": 1}) == alone
    print(statuses)
    assert set(statuses) >= {"ok", "script_error", "bad_result"}
    assert set(statuses) & LIMIT_STATUSES
