"""Times of the static Lua check: ordinary code of 10 to 1,000 lines, and hostile texts of 64 KiB. Prints two tables.

Run from the checkout: `PYTHONPATH=. python benchmarks/guard.py`. Times are the best of several rounds, warm, with the
compiler in a sandbox worker, as in use.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ritesmith.guard import check_lua, load_rules
from ritesmith.hosts import CATALOG
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


if __name__ == "__main__":
    main()
