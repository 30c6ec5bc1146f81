"""Times of the guard: Lua of 10 to 1,000 lines, hostile texts of 64 KiB, workflows, dry runs, trials. Prints tables.

Run from the checkout: `PYTHONPATH=. python benchmarks/guard.py`. Times are the best of several rounds, warm, with the
compiler in a sandbox worker and the parser in a process of its own, as in use.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ritesmith.app import RiteSmith
from ritesmith.dry_run import dry_run
from ritesmith.guard.lua import check_lua, load_rules
from ritesmith.guard.workflow import check_workflow
from ritesmith.guard.workflow_shape import read_workflow
from ritesmith.hosts import CATALOG
from ritesmith.intake import bundled_files
from ritesmith.models import Capability, Contract, Finding
from ritesmith.sandbox import Sandbox

SIZE = 64 * 1024
ORDINARY = """\
local function part_{n}(order, limits)
  local sums, worst = {{}}, nil
  for index, line in ipairs(order.lines) do
    local price = math.floor(line.price * 100 + 0.5) // 1
    if price > (limits.price or 1000) and not line.checked then
      sums[#sums + 1] = {{index = index, name = line.name:lower():gsub("%s+", " "), price = price / 100}}
    elseif line.count == 0 then
      goto continue
    end
    worst = (worst and worst.price >= price) and worst or {{price = price, text = ("%s x%d"):format(line.name, index)}}
    ::continue::
  end
  table.sort(sums, function(a, b) return a.price > b.price or (a.price == b.price and a.index < b.index) end)
  local stored = store.get{{namespace = "orders", key = tostring(order.id)}}
  local size = {{__len = function(t) return #t.sums end}}
  return setmetatable({{sums = sums, worst = worst, known = stored.version > 0}}, size)
end

order_parts[{n}] = function(input)
  local ok, found = pcall(part_{n}, input.order, {{price = {n}}})
  if not ok then
    error({{code = "part_{n}", message = tostring(found)}})
  end
  return found
end

"""
HEAD = "local order_parts = {}\n"
TAIL = "function run(input, context)\n  return order_parts[input.n](input)\nend\n"


def ordinary(lines: int) -> str:
    """Working code of about so many lines; a part is put in a block, since a function may have 200 locals."""
    parts: list[str] = []
    while sum(part.count("\n") for part in parts) + 4 < lines:
        parts.append("do\n" + ORDINARY.format(n=len(parts) + 1) + "end\n")
    return HEAD + "".join(parts) + TAIL


def filled(unit: str, before: str = "", after: str = "") -> str:
    """A text of just under 64 KiB, made of one unit repeated."""
    return before + unit * ((SIZE - len(before) - len(after)) // len(unit.encode())) + after


HOSTILE = {
    "one sum": filled("+1", "local x = 1"),
    "one chain of calls": filled("()", "local x = f"),
    "one chain of fields": filled(".a", "local b = {} local x = b"),
    "one chain of methods": filled(":a()", "local x = b"),
    "one chain of input fields": filled(".a", "function run(input) return input", " end"),
    "nested brackets": "local x = " + "(" * 32_000 + "1" + ")" * 32_000,
    "nested tables": filled("{", "local x = "),
    "elseif": filled("elseif a then ", "if a then ", " end"),
    "unknown names": " ".join(f"x{each}()" for each in range(7_400)),
    "global writes": " ".join(f"x{each} = 1" for each in range(5_600)),
    "unused locals": filled("do local x = 1 end "),
    "endless loops": filled("while true do x() end "),
    "host calls": filled("store.get{namespace='x',key=1} "),
    "one host call": filled("a=1,", "store.get{", "}"),
    "writes to input": filled("input.a.b=1 ", "function run(input) ", " end"),
    "unclosed comments": filled("--[=[\n"),
    "quotes": filled('"\\"'),
    "emoji on one line": filled("f('😀') "),
    "empty lines": filled("\n"),
}


def workflow(nodes: int) -> dict[str, Any]:
    """Tasks and switches in a chain, each task with a reference to the first and an error that is handled."""
    last = nodes - 1
    made: list[dict[str, Any]] = []
    for index in range(last):
        after = f"n{index + 1}"
        if index % 3 == 2:
            when = {">": [{"var": "nodes.n0.output.number"}, index]}
            cases = [{"when": when, "target": after}]
            made.append({"id": f"n{index}", "kind": "switch", "cases": cases, "default": f"n{min(index + 2, last)}"})
        else:
            given = {"var": "nodes.n0.output.number" if index else "input.number"}
            step = {"kind": "task", "capability": "bench.step", "with": {"number": given}, "next": after}
            made.append({"id": f"n{index}", **step, "on_error": [{"code": "*", "target": f"n{last}"}]})
    made.append({"id": f"n{last}", "kind": "end"})
    schema = {"type": "object", "required": ["number"], "properties": {"number": {"type": "number"}}}
    limits = {"steps": nodes}
    value = {"name": "bench.flow", "intent": "timing", "input": schema, "start": "n0", "nodes": made, "limits": limits}
    return value | {"examples": []}


STEP = Contract.model_validate(
    {
        "name": "bench.step",
        "intent": "timing",
        "input": {"type": "object", "required": ["number"], "properties": {"number": {"type": "number"}}},
        "output": {"type": "object", "required": ["number"], "properties": {"number": {"type": "number"}}},
    }
)


def timed(call: Callable[[], Any], rounds: int = 3) -> tuple[float, Any]:
    """The shortest of so many times, in seconds, and what came of it."""
    times, came = [], None
    for _ in range(rounds):
        started = time.perf_counter()
        came = call()
        times.append(time.perf_counter() - started)
    return min(times), came


def workflows() -> None:
    print(f"\n{'workflow':28} {'nodes':>7} {'ms':>8} {'us/node':>8} {'findings':>9} {'dry run ms':>11} {'paths':>6}")
    for nodes in (100, 1_000, 10_000):
        value = workflow(nodes)

        def check(value: Any = value) -> tuple[Any, list[Finding]]:
            read, findings = read_workflow(value)
            assert read is not None, findings[:1]
            more = check_workflow(read, resolve={STEP.name: STEP}.get, known_names=[STEP.name], catalog=CATALOG)
            return read, [each for each in more if each.code != "no_examples"]

        seconds, (read, findings) = timed(check)
        walked, run = timed(lambda read=read: dry_run(read, {STEP.name: STEP}.get), 1)
        row = f"{nodes:7} {seconds * 1e3:8.0f} {seconds / nodes * 1e6:8.1f} {len(findings):9}"
        print(f"{'tasks and switches':28} {row} {walked * 1e3:11.0f} {len(run.paths):6}")


def trials() -> None:
    with tempfile.TemporaryDirectory() as folder, RiteSmith(Path(folder) / "registry.db") as app:
        files = [file for file, _ in bundled_files() if file.suffix == ".lua"]
        app.check_file(files[0])
        reports = []
        started = time.perf_counter()
        for file in files:
            reports.append(app.check_file(file).trial)
        seconds = time.perf_counter() - started
    runs = sum(3 * each.cases + each.generated + each.host_results + each.host_failures for each in reports)
    print(f"\ncheck and trial of {len(files)} bundled capabilities: {seconds:.2f} s, {runs} executions in the sandbox")


def main() -> None:
    rules = load_rules(Path(__file__).parent.parent / "guardrails" / "lua.toml")
    contract = Contract.model_validate(
        {
            "name": "bench.guard",
            "intent": "timing",
            "input": {"type": "object"},
            "output": {"type": "object"},
            "grants": {"store.get": {"namespaces": ["orders"]}},
        }
    )
    with Sandbox(workers=1) as sandbox:

        def compile(source: str, names: Sequence[str] | None) -> Finding | None:
            return sandbox.compile(source, globals=names)

        def best(source: str, rounds: int) -> tuple[float, list[Finding]]:
            capability = Capability(contract=contract, source=source)
            times = []
            for _ in range(rounds):
                started = time.perf_counter()
                found = check_lua(capability, catalog=CATALOG, compile=compile, rules=rules)
                times.append(time.perf_counter() - started)
            return min(times), found

        best(ordinary(100), 3)
        print(f"{'ordinary code':28} {'bytes':>7} {'ms':>8} {'us/line':>8} {'findings':>9}")
        for lines in (10, 100, 300, 1_000):
            source = ordinary(lines)
            seconds, found = best(source, 10)
            count = source.count("\n")
            row = f"{len(source.encode()):7} {seconds * 1e3:8.2f} {seconds / count * 1e6:8.1f} {len(found):9}"
            print(f"{f'{count} lines':28} {row}")
        print()
        print(f"{'hostile text':28} {'bytes':>7} {'ms':>8} {'us/KiB':>8}  first finding")
        for name, source in HOSTILE.items():
            seconds, found = best(source, 2)
            size = len(source.encode())
            first = next((each.code for each in found if each.code != "grant_unused"), "")
            print(f"{name:28} {size:7} {seconds * 1e3:8.1f} {seconds / size * 1024e6:8.0f}  {first}")
    workflows()
    trials()


if __name__ == "__main__":
    main()
