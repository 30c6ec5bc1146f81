"""Mutations of the bundled capabilities as a model's answers, and which tier of the forge stops how many: a table.

Run from the checkout: `PYTHONPATH=. python benchmarks/mutation.py [--count 300] [--seed 1] [--survivors]`. Each mutant
is one change, drawn from the seed: an operator, a number or a text changed, arguments swapped, a guard or a return
dropped, a name that no longer exists, a host call more, another key, a grant more. A mutant that is the same program as
its original is not counted. It passes what the forge holds against a draft: the guard, the trial with its own examples
and with made inputs, then, of pure capabilities, six examples of a caller, two of which the model never sees. Only an
error stops a draft; what only a warning points at has a column of its own.

`--survivors` prints what nothing stops, and why: most do the same as the original on all of 300 more inputs.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ritesmith.app import RiteSmith
from ritesmith.contract import capability_of
from ritesmith.drafts import Drafts
from ritesmith.errors import InvalidInput
from ritesmith.forge.blocks import parse_draft
from ritesmith.forge.reuse import Request
from ritesmith.forging import Forging
from ritesmith.guard.generate import make
from ritesmith.hosts import effect_of
from ritesmith.intake import content_folder
from ritesmith.models import Capability
from ritesmith.rehearsal import play_capability, same

TIERS = ("syntax", "names", "host calls", "habits", "contract", "examples", "made inputs", "host failures")
CALLERS, HELD_BACK, WARNED = "caller's", "held back", "warned"
HEADINGS = {
    "syntax": ("syn-", "tax"), "names": ("", "names"), "host calls": ("host", "calls"), "habits": ("hab-", "its"),
    "contract": ("con-", "tract"), "examples": ("own", "cases"), "made inputs": ("made", "input"),
    "host failures": ("host", "fails"), CALLERS: ("call-", "er's"), HELD_BACK: ("held", "back"),
    WARNED: ("only", "warns"), "nothing": ("noth-", "ing"), "stopped": ("stop-", "ped"),
}  # fmt: skip
"""The columns, in two lines each, so that the table has room on 100."""
CALLERS_EXAMPLES, UNSEEN = 6, 2
MORE_INPUTS = 300
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
         "fail_arguments"), "habits"),
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
    for match in re.finditer(r"\b(?:if|elseif) (.+?) then(?=\s+fail\()", text[code:]):
        span = (code + match.start(1), code + match.end(1))
        choices["removed guard"].append(lambda s=span: (*s, "false"))
    for match in re.finditer(r"[\w\])]\(([\w.]+), ([\w.]+)(?=[,)])", text[code:]):
        new = f"{match[2]}, {match[1]}"
        span = (code + match.start(1), code + match.end(2))
        if match[1] != match[2] and "function" not in text[text.rfind("\n", 0, span[0]) : span[0]]:
            choices["swapped arguments"].append(lambda s=span, n=new: (*s, n))
    for match in re.finditer(r"\"[\w ,.:/-]+\"", text[code:]):
        # What `fail` says to people may be said in other words.
        if "fail(" not in text[text.rfind("\n", 0, code + match.start()) : code + match.start()]:
            span = (code + match.start() + 1, code + match.start() + 1)
            choices["text"].append(lambda s=span: (*s, "~"))
    grants = re.compile(r'"grants": \{(\}|"[\w.]+": \{)').search(text)
    if grants is not None:
        more = '"store.delete": {"namespaces": ["orders"]}' + ("" if grants[1] == "}" else ", ")
        choices["a grant more"].append(lambda m=grants, n=more: (m.start(1), m.start(1), n))
    body = text.index("function run(", code)
    line_end = text.index("\n", body)
    call = '  store.put{namespace = "orders", key = "x", value = {a = 1}}'
    choices["extra host call"].append(lambda: (line_end, line_end, "\n" + call))
    for kind in sorted(choices):
        start, end, new = chance.choice(choices[kind])()
        yield Mutant(kind, name, text.count("\n", 0, start) + 1, text[:start] + new + text[end:])


def stopped(app: RiteSmith, mutant: Mutant, original: Capability, examples: list[dict[str, Any]]) -> str:
    """The first tier of the forge that refuses a mutant as a model's answer; empty where none does."""
    contract = original.contract
    request = Request(intent=contract.intent, examples=tuple(examples), effect=effect_of(contract), name=mutant.name)
    drafts = Drafts(Forging(app, request, None, rounds=0, dry_run=True))
    draft, unread = parse_draft(f"```lua\n{mutant.text}\n```")
    _, findings = drafts.check(draft, ())
    tiers = set()
    for finding in [*unread, *findings]:
        if finding.severity != "error":
            tiers.add(WARNED)
        elif finding.code.startswith(("trial_", "input_changed")):
            failing = "host call" in finding.message or "gives" in finding.message
            tiers.add("host failures" if failing else "made inputs")
        else:
            tiers.add(TIER_OF.get(finding.code, "contract"))
    first = next((tier for tier in TIERS if tier in tiers), "")
    if first or not examples:
        return first or (WARNED if WARNED in tiers else "")
    shown = examples[: len(examples) - UNSEEN]
    checked, findings = drafts.check(draft, shown)
    if any(finding.severity == "error" for finding in findings):
        return CALLERS
    if drafts.unmet(checked, range(len(shown) + 1, len(examples) + 1)) is not None:
        return HELD_BACK
    return WARNED if WARNED in tiers else ""


def answers(app: RiteSmith, capability: Capability, count: int, seed: str) -> Iterator[dict[str, Any]]:
    """What a pure capability answers to so many inputs made from its schema, as examples."""
    contract = capability.contract
    if contract.grants:
        return
    for made in make(contract.input, [example.input for example in contract.examples], count=count, seed=seed):
        outcome = play_capability(app.sandbox, capability, made.value, store={}).outcome
        if outcome.status == "ok":
            yield {"input": made.value, "output": outcome.output}
        elif outcome.status == "fail":
            yield {"input": made.value, "error": outcome.code}


def why(app: RiteSmith, mutant: Mutant, original: Capability) -> str:
    """Why a mutant was not stopped."""
    mutated = capability_of(mutant.text)
    if original.contract.grants:
        return "it needs a world; its own examples have none in which the change shows"
    compared = 0
    for example in answers(app, original, MORE_INPUTS, "more"):
        compared += 1
        outcome = play_capability(app.sandbox, mutated, example["input"], store={}).outcome
        alike = outcome.code == example["error"] if "error" in example else same(example["output"], outcome.output)
        if not alike:
            return f"no example has an input like {example['input']}"[:160]
    return f"it answers as the original on all of {compared} more inputs"


def sample(app: RiteSmith, count: int, seed: int) -> Iterator[tuple[Mutant, Capability, str]]:
    """So many mutants, each with its original and the tier that stops it; the same program is passed over."""
    chance = random.Random(seed)
    texts = {
        ".".join(file.relative_to(folder).with_suffix("").parts): file.read_text("utf-8")
        for folder in (content_folder() / "capabilities",)
        for file in sorted(folder.rglob("*.lua"))
    }
    names = sorted(texts)
    originals = {name: capability_of(text) for name, text in texts.items()}
    asked: dict[str, list[dict[str, Any]]] = {}
    given = 0
    while given < count:
        name = chance.choice(names)
        made = list(mutants(name, texts[name], chance))
        mutant = chance.choice(made)
        try:
            same_code = app.sandbox.canonical(mutant.text) == app.sandbox.canonical(texts[name])
            if same_code and mutant.kind != "a grant more":
                continue
        except InvalidInput:
            pass  # it does not compile, so it is another program
        given += 1
        if name not in asked:
            asked[name] = list(answers(app, originals[name], CALLERS_EXAMPLES, f"{seed} {name}"))
        yield mutant, originals[name], stopped(app, mutant, originals[name], asked[name])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=300)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--survivors", action="store_true", help="print what nothing stops, and why")
    given = options.parse_args()
    table: dict[str, Counter[str]] = defaultdict(Counter)
    survivors: list[tuple[Mutant, str]] = []
    with tempfile.TemporaryDirectory() as folder, RiteSmith(Path(folder) / "registry.db") as app:
        for mutant, original, tier in sample(app, given.count, given.seed):
            table[mutant.kind][tier] += 1
            if tier in ("", WARNED):
                survivors.append((mutant, why(app, mutant, original)))
    print(f"seed {given.seed}, {given.count} mutants\n")
    for line in zip(*HEADINGS.values(), strict=True):
        print(f"{'mutation' if line[0] == 'tax' else '':18}" + "".join(f"{word:>6}" for word in line))
    total: Counter[str] = Counter()
    for kind, row in [*sorted(table.items()), ("all", total)]:
        total.update(row if row is not total else {})
        share = 1 - (row[""] + row[WARNED]) / max(1, sum(row.values()))
        print(
            f"{kind:18}"
            + "".join(f"{row[tier]:6}" for tier in (*TIERS, CALLERS, HELD_BACK, WARNED, ""))
            + f"{share:6.0%}"
        )
    alike = sum("answers as the original" in reason for _, reason in survivors)
    print(f"\n{len(survivors)} survive; {alike} of them answer as the original wherever they were compared")
    for mutant, reason in survivors if given.survivors else ():
        line = mutant.text.splitlines()[mutant.line - 1].strip()
        print(f"\n{mutant.kind} in {mutant.name}, line {mutant.line}: {line}\n  {reason}")


if __name__ == "__main__":
    main()
