"""What the sandbox costs, beside its own baselines and, where they are installed, other sandboxes.

    python benchmarks/sandbox.py [--others]

Everything is measured in one run on one machine, interleaved where two things are compared, and printed with ratios:
absolute numbers of another machine say little. `--others` adds lupa with a hook, pydantic-monty, quickjs,
RestrictedPython and smolagents' local executor on the same programs, and tries their limits.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ritesmith.models import HostReply, Limits
from ritesmith.sandbox import Sandbox
from ritesmith.sandbox.supervisor import WorkerProcess

WIDE = Limits(fuel=10**12, deadline_seconds=120, memory_bytes=512 * 1024 * 1024, output_bytes=16 * 1024 * 1024)

TINY = "function run(input) return {n = input.n + 1} end"

PROGRAMS = {
    "fib(29)": "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return fib(29)",
    "n-body, 3000 steps": """
      local bodies = {}
      for i = 1, 5 do bodies[i] = {x = i, y = i * 2.5, z = i / 3, vx = 0, vy = 0, vz = 0, m = 1 / i} end
      for step = 1, 3000 do
        for i = 1, 5 do
          local a = bodies[i]
          for j = i + 1, 5 do
            local b = bodies[j]
            local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
            local d = dx * dx + dy * dy + dz * dz + 0.01
            local f = 0.001 / (d * d ^ 0.5)
            a.vx, a.vy, a.vz = a.vx - dx * b.m * f, a.vy - dy * b.m * f, a.vz - dz * b.m * f
            b.vx, b.vy, b.vz = b.vx + dx * a.m * f, b.vy + dy * a.m * f, b.vz + dz * a.m * f
          end
        end
        for i = 1, 5 do
          local a = bodies[i]
          a.x, a.y, a.z = a.x + a.vx * 0.001, a.y + a.vy * 0.001, a.z + a.vz * 0.001
        end
      end
      return bodies[1].x""",
    "sieve to 100,000": """
      local composite, count = {}, 0
      for i = 2, 100000 do
        if not composite[i] then
          count = count + 1
          for j = i * i, 100000, i do composite[j] = true end
        end
      end
      return count""",
    "text: split, trim, count, replace": """
      local text = ("  The quick brown fox, jumps over the lazy dog; and 42 times more.  \\n"):rep(400)
      local counts, n = {}, 0
      for line in text:gmatch("[^\\n]+") do
        local trimmed = line:match("^%s*(.-)%s*$")
        for word in trimmed:gmatch("%a+") do counts[word] = (counts[word] or 0) + 1 end
        n = n + #trimmed:gsub("%d+", "<%0>")
      end
      return n + counts.fox""",
    "text: gsub with a function, format": """
      local out = {}
      for i = 1, 2000 do
        local s = ("item {id} of {name}"):gsub("{(%w+)}", function(key) return key == "id" and i or "list" end)
        out[i] = string.format("%05d %s %.2f", i, s, i / 3)
      end
      return #table.concat(out, "\\n")""",
    "tables: insert, sort, concat, group": """
      local rows = {}
      for i = 1, 5000 do table.insert(rows, {id = i, key = (i * 7919) % 101, amount = i % 13}) end
      local groups = {}
      for _, row in ipairs(rows) do
        local group = groups[row.key] or {total = 0, rows = {}}
        groups[row.key] = group
        group.total = group.total + row.amount
        table.insert(group.rows, row.id)
      end
      local list = {}
      for key, group in pairs(groups) do table.insert(list, {key = key, total = group.total, n = #group.rows}) end
      table.sort(list, function(a, b) if a.total ~= b.total then return a.total > b.total end return a.key < b.key end)
      local out = {}
      for i, item in ipairs(list) do out[i] = item.key .. "=" .. item.total end
      return #table.concat(out, ",")""",
}
KINDS = {name: "VM" if index < 3 else "library" for index, name in enumerate(PROGRAMS)}
ALLOWED = {"VM": 2.3, "library": 4.0}


def milliseconds(call: Callable[[], object], times: int) -> float:
    """Median of single calls."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def row(name: str, value: str, beside: str = "", wanted: str = "") -> None:
    print(f"  {name:<44} {value:>12}  {beside:<38} {wanted}")


class Echo:
    """The cheapest child there is: one JSON line in, the same line out."""

    def __init__(self) -> None:
        loop = "import sys, json\nfor line in sys.stdin:\n    sys.stdout.write(json.dumps(json.loads(line)) + '\\n')\n"
        loop += "    sys.stdout.flush()"
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", loop], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b'{"n": 1}\n')
        self.process.stdin.flush()
        self.process.stdout.readline()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def calls(sandbox: Sandbox) -> None:
    print("\nCalls")
    echo = Echo()
    for _ in range(50):
        echo()
        sandbox.run(TINY, {"n": 1})
    bare, tiny = [], []
    for _ in range(400):
        bare.append(milliseconds(echo, 1))
        tiny.append(milliseconds(lambda: sandbox.run(TINY, {"n": 1}), 1))
    base, ours = statistics.median(bare), statistics.median(tiny)
    burst = milliseconds(lambda: sandbox.run(TINY, {"n": 1}), 1000)
    echo.close()
    row("a JSON line to a child and back", f"{base:.3f} ms")
    row(
        "a tiny call, a moment after the last",
        f"{ours:.3f} ms",
        f"{ours / base:.1f} x the bare line",
        "<= 0.2 ms, <= 6 x",
    )
    row("a tiny call, one right after the other", f"{burst:.3f} ms")

    rows = [{"id": i, "name": f"customer {i}", "amount": i * 1.25, "tags": ["a", "b"], "on": True} for i in range(1260)]
    size = len(json.dumps(rows, separators=(",", ":")))
    back = milliseconds(lambda: sandbox.run("function run(input) return input end", rows), 15)
    row(f"{size // 1000} KB in and out", f"{back:.1f} ms", "", "<= 30 ms at 100 KB")
    source = "function run() for i = 1, 100 do store.get{key = 'k' .. i} end return 1 end"
    hundred = milliseconds(
        lambda: sandbox.run(
            source, {}, functions=["store.get"], host=lambda name, arguments: HostReply(result={"value": 1})
        ),
        15,
    )
    row("100 host calls", f"{hundred:.1f} ms", "", "<= 8 ms")


def workers(sandbox: Sandbox) -> None:
    print("\nWorkers")

    def start() -> None:
        WorkerProcess().kill()

    row("start to ready (and end)", f"{milliseconds(start, 10):.1f} ms", "", "<= 40 ms")
    worker = WorkerProcess()
    status = Path(f"/proc/{worker.pid}/status")
    if status.exists():
        kilobytes = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        row("memory of an idle worker", f"{kilobytes / 1024:.1f} MB", "", "<= 20 MB")
    worker.kill()
    stuck = "function run() local s = ('x'):rep(9000000) while true do local t = s .. 'y' end end"
    after = []
    for _ in range(5):
        sandbox.run(stuck, {}, limits=Limits(fuel=10**12, deadline_seconds=0.1))
        after.append(milliseconds(lambda: sandbox.run(TINY, {"n": 1}), 1))
    row("the first call after a kill", f"{statistics.median(after):.2f} ms", "", "no start in it")


def programs(sandbox: Sandbox) -> None:
    import lupa.lua55

    print("\nPrograms (best of 15; plain lua55 in this process, no hook, against the sandbox as a whole; and a hook")
    print("that does nothing every 1000 instructions: with less, nothing can be counted)")
    for name, body in PROGRAMS.items():
        function = f"function() {body} end"
        hooked = f"function() debug.sethook(function() end, '', 1000) return ({function})() end"
        plain, counted = (
            lupa.lua55.LuaRuntime(register_eval=False, register_builtins=False).eval(text)
            for text in (function, hooked)
        )
        source = f"function run() {body} end"
        theirs, hooks, ours = [], [], []
        for _ in range(15):
            theirs.append(milliseconds(plain, 1))
            hooks.append(milliseconds(counted, 1))
            ours.append(milliseconds(partial(sandbox.run, source, {}, limits=WIDE), 1))
        # The best of each: whatever else the machine does only adds.
        base, hook, mine = min(theirs), min(hooks), min(ours)
        beside = f"plain {base:.1f} ms: {mine / base:.2f} x, a hook {hook / base:.2f} x"
        row(name, f"{mine:.1f} ms", beside, f"<= {ALLOWED[KINDS[name]]} x")


# ---------------------------------------------------------------- what a user would pick instead

COLUMNS = ("fib(20)", "n-body", "text", "transform")
TRIALS = ("endless loop", "memory", "catching it", "a file")
SECONDS = 12.0
"""A trial that has not ended by then was not stopped."""

LUA = [
    "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return fib(20)",
    PROGRAMS["n-body, 3000 steps"].replace("3000", "300"),
    "local out = {} for i = 1, 3000 do out[i] = i .. ' of ' .. i * 2 end return #table.concat(out, ',')",
    "local totals = {} for i = 1, 2000 do local key = 'k' .. i % 50 totals[key] = (totals[key] or 0) + i * 2 end "
    "local n = 0 for key, total in pairs(totals) do if total > 79000 then n = n + #key end end return n",
]
PYTHON = [
    "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(20)\n",
    """
bodies = [[i, i * 2.5, i / 3, 0.0, 0.0, 0.0, 1 / i] for i in range(1, 6)]
for step in range(300):
    for i in range(5):
        a = bodies[i]
        for j in range(i + 1, 5):
            b = bodies[j]
            dx = a[0] - b[0]
            dy = a[1] - b[1]
            dz = a[2] - b[2]
            d = dx * dx + dy * dy + dz * dz + 0.01
            f = 0.001 / (d * d ** 0.5)
            a[3] = a[3] - dx * b[6] * f
            a[4] = a[4] - dy * b[6] * f
            a[5] = a[5] - dz * b[6] * f
            b[3] = b[3] + dx * a[6] * f
            b[4] = b[4] + dy * a[6] * f
            b[5] = b[5] + dz * a[6] * f
    for a in bodies:
        a[0] = a[0] + a[3] * 0.001
        a[1] = a[1] + a[4] * 0.001
        a[2] = a[2] + a[5] * 0.001
bodies[0][0]
""",
    "out = []\nfor i in range(3000):\n    out.append(str(i) + ' of ' + str(i * 2))\nlen(','.join(out))\n",
    "totals = {}\nfor i in range(1, 2001):\n    key = 'k' + str(i % 50)\n    totals[key] = totals.get(key, 0) + i * 2\n"
    "n = 0\nfor key in totals:\n    if totals[key] > 79000:\n        n = n + len(key)\nn\n",
]
SCRIPT = [
    "function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2) } fib(20)",
    """var bodies = [];
    for (var i = 1; i <= 5; i++) bodies.push({x: i, y: i * 2.5, z: i / 3, vx: 0, vy: 0, vz: 0, m: 1 / i});
    for (var step = 0; step < 300; step++) {
      for (var i = 0; i < 5; i++) { var a = bodies[i]; for (var j = i + 1; j < 5; j++) { var b = bodies[j];
        var dx = a.x - b.x, dy = a.y - b.y, dz = a.z - b.z, d = dx * dx + dy * dy + dz * dz + 0.01;
        var f = 0.001 / (d * Math.sqrt(d));
        a.vx -= dx * b.m * f; a.vy -= dy * b.m * f; a.vz -= dz * b.m * f;
        b.vx += dx * a.m * f; b.vy += dy * a.m * f; b.vz += dz * a.m * f } }
      for (var a of bodies) { a.x += a.vx * 0.001; a.y += a.vy * 0.001; a.z += a.vz * 0.001 } } bodies[0].x""",
    "var out = []; for (var i = 0; i < 3000; i++) out.push(i + ' of ' + i * 2); out.join(',').length",
    "var totals = {}; for (var i = 1; i <= 2000; i++) { var k = 'k' + i % 50; totals[k] = (totals[k] || 0) + i * 2 } "
    "var n = 0; for (var k in totals) if (totals[k] > 79000) n += k.length; n",
]
LUA_TRIALS = [
    "while true do end",
    "local t = {} for i = 1, math.huge do t[i] = ('x'):rep(1000000) .. i end",
    "while true do pcall(function() while true do end end) end",
    # The way round an absent io: lupa's own table leads to every class of Python.
    """if io then return io.open('/etc/hostname'):read('a') end
    local get = python.as_attrgetter
    local classes = get(get(get(python.none).__class__).__base__).__subclasses__()
    for class in python.iter(classes) do
      if get(class).__name__ == '_wrap_close' then
        local names = get(get(class).__init__).__globals__
        return tostring(get(names['__builtins__']['open']('/etc/hostname')).read())
      end
    end""",
]
PYTHON_TRIALS = [
    "while True:\n    pass\n",
    "data = []\nwhile True:\n    data.append('x' * 1000000 + str(len(data)))\n",
    "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n",
    "open('/etc/hostname').read()\n",
]
SCRIPT_TRIALS = [
    "while (true) {}",
    "var a = []; while (true) a.push('x'.repeat(1e6) + a.length)",
    "while (true) { try { while (true) {} } catch (e) {} }",
    "require('fs').readFileSync('/etc/hostname')",
]
OTHERS: dict[str, tuple[str, str, list[str], list[str]]] = {
    "lupa with a hook": (
        "lupa",
        """
import lupa.lua55
lua = lupa.lua55.LuaRuntime(register_eval=False, register_builtins=False, max_memory=64 << 20)
go = lua.execute('''
local hook, load = debug.sethook, load
for _, name in ipairs{"io", "os", "debug", "package", "require", "load", "loadfile", "dofile"} do _G[name] = nil end
return function(code)
  local n, chunk = 0, assert(load(code))
  hook(function() n = n + 1000 if n > 5e7 then error("fuel") end end, "", 1000)
  return chunk() end''')
""",
        LUA,
        LUA_TRIALS,
    ),
    "pydantic-monty": (
        "pydantic_monty",
        "import pydantic_monty\nlimits = {'max_feed_duration_secs': 2, 'max_memory': 64 << 20}\n"
        "session = pydantic_monty.Monty().__enter__().checkout(limits=limits).__enter__()\n"
        "def go(code):\n    return session.feed_run(code)",
        PYTHON,
        PYTHON_TRIALS,
    ),
    "quickjs": (
        "quickjs",
        "import quickjs\ndef go(code):\n"
        "    c = quickjs.Context(); c.set_memory_limit(64 << 20); c.set_time_limit(2); return c.eval(code)",
        SCRIPT,
        SCRIPT_TRIALS,
    ),
    "RestrictedPython": (
        "RestrictedPython",
        "from RestrictedPython import compile_restricted, safe_globals\n"
        "from RestrictedPython.Eval import default_guarded_getitem, default_guarded_getiter\n"
        "def go(code):\n"
        "    names = dict(safe_globals, _getiter_=default_guarded_getiter, _getitem_=default_guarded_getitem,\n"
        "                 _write_=lambda value: value, __name__='x', __metaclass__=type)\n"
        "    exec(compile_restricted(code, 'x', 'exec'), names)\n",
        PYTHON,
        PYTHON_TRIALS,
    ),
    "smolagents local executor": (
        "smolagents",
        "from smolagents.local_python_executor import LocalPythonExecutor\n"
        "def go(code):\n    e = LocalPythonExecutor([]); e.send_tools({}); return e(code)",
        PYTHON,
        PYTHON_TRIALS,
    ),
}


def in_child(setup: str, code: str) -> str:
    """What a piece of Python printed in a child that has 2 GB at most, or how it ended."""
    limit = "import resource, time\nresource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"{limit}{setup}\n{code}"], capture_output=True, timeout=SECONDS, text=True
        )
    except subprocess.TimeoutExpired:
        return f"NOT in {SECONDS:g} s"
    return done.stdout.strip() if done.returncode == 0 else f"died ({done.returncode})"


def timed(program: str) -> str:
    """Median of five, after one to warm up."""
    return f"""
taken = []
for _ in range(6):
    began = time.perf_counter()
    go({program!r})
    taken.append(time.perf_counter() - began)
print("%.1f" % (sorted(taken[1:])[2] * 1000))"""


def tried(trial: str) -> str:
    """Says whether the limit or the refusal was the sandbox's own."""
    return f"""
try:
    answer = go({trial!r})
except BaseException as error:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print("NOT at %d MB" % used if used > 1500 else "stopped")
else:
    print("REACHED" if answer and "output=None" not in str(answer) else "nothing")"""


def others(sandbox: Sandbox) -> None:
    print("\nOther sandboxes: the same programs, in ms; then whether limits and refusals of their own stop the trials")
    print(f"  {'':<26}" + "".join(f"{name:>11}" for name in COLUMNS) + "".join(f"{name:>16}" for name in TRIALS))
    words = [f"{milliseconds(partial(sandbox.run, f'function run() {body} end', {}), 9):.1f}" for body in LUA]
    statuses = [sandbox.run(f"function run() {body} end", {}).status for body in LUA_TRIALS]
    print_row("ritesmith", words, ["REACHED" if status == "ok" else "stopped" for status in statuses])
    for name, (module, setup, programs, trials) in OTHERS.items():
        try:
            importlib.import_module(module)
        except ImportError:
            print(f"  {name:<26}not installed")
            continue
        words = [in_child(setup, timed(program)) for program in programs]
        print_row(name, words, [in_child(setup, tried(trial)) for trial in trials])


def print_row(name: str, words: list[str], answers: list[str]) -> None:
    print(f"  {name:<26}" + "".join(f"{word:>11}" for word in words) + "".join(f"{each:>16}" for each in answers))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--others", action="store_true", help="measure other sandboxes too")
    chosen = arguments.parse_args()
    with Sandbox(workers=1) as sandbox:
        sandbox.run(TINY, {"n": 1})
        described: dict[str, Any] = sandbox.describe()
        python = sys.version.split()[0]
        print(f"{described['lua_version']}, Python {python}, {described['platform']}, {os.cpu_count()} CPUs")
        print(f"layers: {', '.join(described['layers'])}")
        calls(sandbox)
        workers(sandbox)
        programs(sandbox)
        if chosen.others:
            others(sandbox)


if __name__ == "__main__":
    main()
