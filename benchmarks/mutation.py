"""Mutations of the bundled capabilities, and which tier of the guard catches how many. Prints a table.

Run from the checkout: `PYTHONPATH=. python benchmarks/mutation.py [--count 300] [--seed 1] [--missed]`. Each mutant is
one change, drawn from the seed: an operator or a number swapped, a return dropped, a name that no longer exists, a host
call more, another key. A mutant with the bytecode of its original is not counted. `--missed` prints those that nothing
catches; many of them do the same as the original.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ritesmith.app import RiteSmith
from ritesmith.errors import InvalidInput
from ritesmith.intake import content_folder

TIERS = ("syntax", "names", "host calls", "run and habits", "contract", "examples", "made inputs", "host failures")
OPERATORS = {
    "+": "-", "-": "+", "*": "/", "/": "*", "//": "/", "%": "//", "==": "~=", "~=": "==", "<": "<=", "<=": "<",
    ">": ">=", ">=": ">", "and": "or", "or": "and", "..": "+", "#": "-",
}  # fmt: skip
TIER_OF = {
    "syntax": "syntax", "parser_disagrees": "syntax",
    **dict.fromkeys(
        ("unknown_global", "global_write", "forbidden_global", "unknown_field", "library_write", "names_disagree",
         "unknown_method"), "names"),
    **dict.fromkeys(
        ("grant_missing", "grant_unused", "unknown_host_function", "unknown_argument", "missing_argument",
         "argument_type", "outside_grant", "host_arguments", "host_undecided"), "host calls"),
    **dict.fromkeys(
        ("unused_local", "unreachable", "endless_loop", "shadowed_parameter", "extra_argument", "run_missing",
         "run_parameters", "missing_return", "input_write", "unknown_input_field", "unknown_context_field",
         "fail_arguments"), "run and habits"),
    "example_not_met": "examples", "not_deterministic": "examples", "little_head_room": "examples",
}  # fmt: skip
_TOKEN = re.compile(
    r"--[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|(?P<name>[A-Za-z_]\w*)|(?P<number>\d+\.?\d*)"
    r"|(?P<operator>//|==|~=|<=|>=|\.\.\.?|[-+*/%<>#])"
)


class Mutant(NamedTuple):
    """A capability's text with one change in it."""

    kind: str
    name: str
    line: int
    text: str


def mutants(name: str, text: str, chance: random.Random) -> Iterator[Mutant]:
    """One mutant of each kind that this capability allows."""
    code = text.index("]]\n") + 3
    tokens = [match for match in _TOKEN.finditer(text, code) if match.lastgroup]
    choices: dict[str, list[Callable[[], tuple[int, int, str]]]] = defaultdict(list)
    for match in tokens:
        found, (start, end) = match[0], match.span()
        if found in OPERATORS:
            choices["operator swap"].append(lambda s=start, e=end, f=found: (s, e, f" {OPERATORS[f]} "))
        elif match["number"] and found.isdigit():
            choices["number"].append(lambda s=start, e=end, f=found: (s, e, str(int(f) + 1)))
        elif found == "return" and text[end : end + 1] == " ":
            stop = text.find("\n", end)
            tail = re.search(r" end\b", text[end:stop])
            until = end + tail.start() if tail else stop
            choices["dropped return"].append(lambda s=start, e=until: (s, e, ""))
        elif match["name"] and text[start - 1] == "." and text[start - 2] != ".":
            choices["changed key"].append(lambda s=start, e=end, f=found: (s, e, f + "_"))
        elif found in ("ipairs", "pairs", "string", "table", "math", "tostring", "tonumber", "fail", "type", "store"):
            choices["renamed global"].append(lambda s=start, e=end, f=found: (s, e, f[:-1]))
    body = text.index("function run(", code)
    line_end = text.index("\n", body)
    call = '  store.put{namespace = "orders", key = "x", value = {a = 1}}'
    choices["extra host call"].append(lambda: (line_end, line_end, "\n" + call))
    for kind in sorted(choices):
        start, end, new = chance.choice(choices[kind])()
        yield Mutant(kind, name, text.count("\n", 0, start) + 1, text[:start] + new + text[end:])


def caught(app: RiteSmith, mutant: Mutant) -> str:
    """The first tier that stops a mutant (or, by a warning, points at it); empty where none does."""
    checked = app.checking.check_capability_text(mutant.text, f"{mutant.name}.lua")
    tiers = set()
    for finding in checked.findings:
        if finding.code.startswith(("trial_", "input_changed")):
            tiers.add(
                "host failures" if "host call" in finding.message or "gives" in finding.message else "made inputs"
            )
        else:
            tiers.add(TIER_OF.get(finding.code, "contract"))
    return next((tier for tier in TIERS if tier in tiers), "")


def sample(app: RiteSmith, count: int, seed: int) -> Iterator[tuple[Mutant, str]]:
    """So many mutants, each with the tier that catches it; one that compiles to the same bytecode is passed over."""
    chance = random.Random(seed)
    texts = {
        ".".join(file.relative_to(folder).with_suffix("").parts): file.read_text("utf-8")
        for folder in (content_folder() / "capabilities",)
        for file in sorted(folder.rglob("*.lua"))
    }
    names = sorted(texts)
    given = 0
    while given < count:
        name = chance.choice(names)
        made = list(mutants(name, texts[name], chance))
        mutant = chance.choice(made)
        try:
            if app.sandbox.canonical(mutant.text) == app.sandbox.canonical(texts[name]):
                continue
        except InvalidInput:
            pass  # it does not compile, so it is another program
        given += 1
        yield mutant, caught(app, mutant)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=300)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--missed", action="store_true", help="print the mutants that nothing catches")
    given = options.parse_args()
    table: dict[str, Counter[str]] = defaultdict(Counter)
    missed = []
    with tempfile.TemporaryDirectory() as folder, RiteSmith(Path(folder) / "registry.db") as app:
        for mutant, tier in sample(app, given.count, given.seed):
            table[mutant.kind][tier] += 1
            if not tier:
                missed.append(mutant)
    print(f"seed {given.seed}, {given.count} mutants\n")
    print(f"{'mutation':16}" + "".join(f"{tier:>15}" for tier in (*TIERS, "nothing", "caught")))
    total: Counter[str] = Counter()
    for kind, row in [*sorted(table.items()), ("all", total)]:
        total.update(row if row is not total else {})
        share = 1 - row[""] / max(1, sum(row.values()))
        print(f"{kind:16}" + "".join(f"{row[tier]:15}" for tier in (*TIERS, "")) + f"{share:15.0%}")
    for mutant in missed if given.missed else ():
        print(
            f"\n{mutant.kind} in {mutant.name}, line {mutant.line}: {mutant.text.splitlines()[mutant.line - 1].strip()}"
        )


if __name__ == "__main__":
    main()
