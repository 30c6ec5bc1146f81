"""Runs the Lua files beside it in the sandbox and says which ended as their first lines ask.

    python tests/sandbox/run.py

`attacks/`: "-- technique: ...; must: limit|error|reject|harmless"; the script must end so, show nothing of the outside,
and leave the next call as it was. `determinism/`: the same outcome, fuel and memory included, twice in one process and
once in another. `benign/`: "-- input:" and "-- output:", as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ritesmith.models import LIMIT_STATUSES, Limits, Outcome
from ritesmith.sandbox import Sandbox

FOLDER = Path(__file__).parent
KINDS = ("attacks", "determinism", "benign")
PROBE = """function run(input)
  local keys = {}
  for name, value in pairs(_G) do
    keys[#keys + 1] = name
    if type(value) == "table" and value ~= _G then for inner in pairs(value) do keys[#keys + 1] = inner end end
  end
  return {keys, ("x"):rep(3), tostring({}), math.pi, string.leaked == nil, ("x").leaked == nil, input.n}
end"""
GIVEN = {"n": 3, "name": "abc", "items": [1, 2, 3]}


def files(kind: str) -> list[Path]:
    return sorted((FOLDER / kind).glob("*.lua"))


def wanted(source: str, word: str) -> str:
    """What stands behind `-- word:` in the first lines of a file."""
    line = next(line for line in source.splitlines() if line.startswith(f"-- {word}:"))
    return line.partition(":")[2].strip()


def in_words_of_the_door(outcome: Outcome) -> str:
    if outcome.status in LIMIT_STATUSES:
        return "limit"
    return outcome.status if outcome.status in {"ok", "reject"} else "error"


def attack(sandbox: Sandbox, source: str, limits: Limits) -> tuple[str, str]:
    """How it ended, in the words of the door, and what is wrong with that (nothing, it is hoped)."""
    must = wanted(source, "technique").rpartition("must: ")[2]
    before = sandbox.run(PROBE, GIVEN)
    with tempfile.TemporaryDirectory() as folder:
        secret, canary = Path(folder, "secret.lua"), Path(folder, "canary")
        secret.write_text("return 'a secret of the disk'\n")
        given = {**GIVEN, "marker": "it got out", "secret_file": str(secret), "canary_file": str(canary)}
        os.environ["SBX_SECRET"] = "a secret of the environment"
        try:
            outcome = sandbox.run(source, given, limits=limits)
        finally:
            del os.environ["SBX_SECRET"]
        ended, said = in_words_of_the_door(outcome), json.dumps(outcome.model_dump(mode="json"))
        problems = []
        if ended != must and must != "harmless":
            problems.append(f"ended as {ended}, must be {must}")
        if outcome.status == "worker_lost":
            problems.append("the worker was lost")
        if "it got out" in said or "a secret of" in said or canary.exists() or not secret.exists():
            problems.append("it reached the outside")
    if sandbox.run(PROBE, GIVEN) != before:
        problems.append("the next call is not as it was")
    return outcome.status, "; ".join(problems)


def deterministic(source: str) -> tuple[str, str]:
    """The same for a script whose outcome must never differ."""
    with Sandbox(workers=1) as one, Sandbox(workers=1) as two:
        outcome = one.run(source, GIVEN)
        alike = outcome == one.run(source, GIVEN) == two.run(source, GIVEN)
    return outcome.status, "" if alike and outcome.status == "ok" else f"differs, or is not ok: {outcome.message}"


def benign(sandbox: Sandbox, source: str) -> tuple[str, str]:
    """The same for a script that must answer with its header's output."""
    outcome = sandbox.run(source, json.loads(wanted(source, "input")))
    right = outcome.output == json.loads(wanted(source, "output"))
    return outcome.status, "" if outcome.status == "ok" and right else f"{outcome.output} {outcome.message}"


def main() -> int:
    bad = 0
    for kind in KINDS:
        began, ends, passed = time.monotonic(), Counter[str](), 0
        with Sandbox(workers=1) as sandbox:
            for path in files(kind):
                source = path.read_text()
                if kind == "attacks":
                    status, problem = attack(sandbox, source, Limits())
                elif kind == "determinism":
                    status, problem = deterministic(source)
                else:
                    status, problem = benign(sandbox, source)
                ends[status] += 1
                passed += not problem
                if problem:
                    print(f"{kind}/{path.name}: {problem}")
        total = len(files(kind))
        counted = ", ".join(f"{status} {number}" for status, number in ends.most_common())
        print(f"{kind}: {passed} of {total} as they must be ({counted}), {time.monotonic() - began:.1f} s")
        bad += total - passed
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
