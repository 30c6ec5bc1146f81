"""Trial: what only running can show. Examples, values made from the schemas, and host calls that fail, in the sandbox.

Pure: how something is run comes as arguments. A trial of a capability has five parts, each of a bounded number of
executions: every example, in two processes; every example's input again, looked at for changes; inputs made from the
input schema; answers of host functions made from their schemas and from what the examples saw; and every example with a
host call that fails, at each position in turn.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from ritesmith.guard.generate import Made, make
from ritesmith.models import (
    JSON,
    LIMIT_STATUSES,
    CapabilityExample,
    Contract,
    Finding,
    HostError,
    HostFunction,
    HostReply,
    Limits,
    Outcome,
    Value,
    Where,
)

HEAD_ROOM = 0.8
"""An example that uses more than this share of a limit is worth a warning: real input is larger than examples."""
INPUTS_MAX, EXTREME_INPUTS_MAX = 20, 4
"""Inputs made from a capability's schema; extreme ones hold numbers such as 1e300, and are worth a warning only."""
HOST_RESULTS_MAX = 20
"""Executions on made answers of host functions."""
ANSWERS_MAX = 8
"""Answers made for one host function in one place, beside those that examples saw."""
POSITIONS_MAX = 40
"""Executions in which one host call fails."""
FINDINGS_MAX = 5
ENDS_WELL = ("ok", "fail", "reject")


class Call(Protocol):
    """One host call of a rehearsal."""

    @property
    def function(self) -> str: ...
    @property
    def args(self) -> JSON: ...
    @property
    def reply(self) -> HostReply: ...


class Rehearsed(Protocol):
    """What a rehearsal of one example tells (see `rehearsal.Rehearsal`)."""

    @property
    def met(self) -> bool: ...
    @property
    def problems(self) -> tuple[str, ...]: ...
    @property
    def status(self) -> str: ...
    @property
    def output(self) -> Any: ...
    @property
    def error(self) -> str: ...
    @property
    def line(self) -> int | None: ...
    @property
    def fuel(self) -> int: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def calls(self) -> Sequence[Call]: ...


Example = TypeVar("Example")
Instead = Callable[[int, str, JSON], HostReply | None]
Play = Callable[[CapabilityExample, JSON, Instead], Outcome]
"""Run a capability once: in the world of this example, on this input, with these answers instead of the world's."""


class TrialReport(Value):
    """What the trial saw. The figures are the largest of all executions; shares are of the limits, from 0 to 1."""

    findings: tuple[Finding, ...] = ()
    cases: int = 0
    """Examples."""
    passed: int = 0
    generated: int = 0
    """Inputs made from the schema."""
    host_results: int = 0
    """Executions on made answers of host functions."""
    host_failures: int = 0
    """Executions in which one host call failed."""
    seed: str = ""
    fuel_max: int = 0
    fuel_share: float = 0.0
    memory_bytes_max: int = 0
    memory_share: float = 0.0

    def figures(self) -> dict[str, Any]:
        """What goes into an artifact's provenance."""
        return self.model_dump(exclude={"findings"})


def trial(
    examples: Sequence[Example],
    rehearse: Callable[[Example], Rehearsed],
    again: Callable[[Example], Rehearsed],
    *,
    limits: Limits | None = None,
    file: str = "",
) -> TrialReport:
    """Rehearse every example twice, the second time by `again`, and report each that is not met or that differs.

    The two should be two processes, so that what depends on the process, the clock or an address shows.
    """
    report, _ = _examples(examples, rehearse, again, limits, file)
    return report


def capability_trial(
    contract: Contract,
    examples: Sequence[CapabilityExample],
    *,
    rehearse: Callable[[CapabilityExample], Rehearsed],
    again: Callable[[CapabilityExample], Rehearsed],
    play: Play,
    unchanged: Callable[[CapabilityExample], bool],
    catalog: Mapping[str, HostFunction],
    limits: Limits,
    file: str = "",
) -> TrialReport:
    """The whole trial of a capability. `examples` are its own and the caller's; when one is not met, that is all.

    `unchanged(example)` runs it and tells whether its input is afterwards as it was.
    """
    report, seen = _examples(examples, rehearse, again, limits, file)
    if any(finding.severity == "error" for finding in report.findings):
        return report
    tried = _Trial(contract, [*zip(examples, seen, strict=True)], play, catalog, limits, file)
    tried.input_unchanged(unchanged)
    generated = tried.inputs()
    results = tried.host_results()
    failures = tried.host_failures()
    fuel = max(report.fuel_max, tried.fuel)
    memory = max(report.memory_bytes_max, tried.memory_bytes)
    return report.model_copy(
        update={
            "findings": (*report.findings, *tried.found()),
            "generated": generated,
            "host_results": results,
            "host_failures": failures,
            "seed": tried.seed,
            **_figures(fuel, memory, limits),
        }
    )


def _examples(
    examples: Sequence[Example],
    rehearse: Callable[[Example], Rehearsed],
    again: Callable[[Example], Rehearsed],
    limits: Limits | None,
    file: str,
) -> tuple[TrialReport, list[Rehearsed]]:
    findings: list[Finding] = []
    rehearsed = []
    for index, example in enumerate(examples):
        where = Where(file=file, path=f"$.examples[{index}]")
        first, second = rehearse(example), again(example)
        rehearsed.append(first)
        if first.line is not None:
            where = where.model_copy(update={"line": first.line})
        findings += [Finding(code="example_not_met", where=where, message=text) for text in first.problems]
        if _bytes_of(first) != _bytes_of(second):
            message = "the same input gave two different results, host calls or amounts of fuel in two processes"
            hint = "leave out whatever differs from process to process"
            findings.append(Finding(code="not_deterministic", where=where, message=message, hint=hint))
        if limits is not None and first.met:
            findings += _head_room(first, limits, where)
    fuel = max((each.fuel for each in rehearsed), default=0)
    memory = max((each.memory_bytes for each in rehearsed), default=0)
    passed = sum(each.met for each in rehearsed)
    report = TrialReport(findings=tuple(findings), cases=len(examples), passed=passed, **_figures(fuel, memory, limits))
    return report, rehearsed


def _bytes_of(seen: Rehearsed) -> str:
    """All that must be the same in every process, as text: in it 1 and 1.0 differ, and so do orders of keys."""
    calls = [[call.function, call.args] for call in seen.calls]
    return json.dumps([seen.status, seen.output, seen.error, seen.fuel, calls])


def _figures(fuel: int, memory: int, limits: Limits | None) -> dict[str, Any]:
    figures: dict[str, Any] = {"fuel_max": fuel, "memory_bytes_max": memory}
    if limits is not None:
        shares = {"fuel_share": fuel / limits.fuel, "memory_share": memory / limits.memory_bytes}
        figures |= {name: round(share, 4) for name, share in shares.items()}
    return figures


def _head_room(seen: Rehearsed, limits: Limits, where: Where) -> Iterator[Finding]:
    for name, used, most in (
        ("fuel", seen.fuel, limits.fuel),
        ("memory_bytes", seen.memory_bytes, limits.memory_bytes),
    ):
        if used > HEAD_ROOM * most:
            yield Finding(
                code="little_head_room",
                severity="warning",
                where=where,
                message=f"the example uses {used} of {most} {name}",
                hint=f"do less work, or raise {name} in the limits",
            )


@dataclass(frozen=True)
class _Seen:
    """A way to end badly, and the first case that showed it."""

    outcome: Outcome
    what: str
    hint: str
    severity: Literal["error", "warning"]


class _Trial:
    """The executions after the examples. `found` tells of each way to end badly once."""

    def __init__(
        self,
        contract: Contract,
        examples: Sequence[tuple[CapabilityExample, Rehearsed]],
        play: Play,
        catalog: Mapping[str, HostFunction],
        limits: Limits,
        file: str,
    ) -> None:
        self.contract = contract
        self.examples = [(example, seen) for example, seen in examples if example.error != "bad_input"]
        self.play = play
        self.catalog = catalog
        self.limits = limits
        self.file = file
        self.seed = f"{contract.name}/1"
        self.fuel = self.memory_bytes = 0
        self.bad: dict[tuple[str, int | None], _Seen] = {}
        self.changed: list[Finding] = []
        self.answers: dict[str, list[Made]] = {}

    def input_unchanged(self, unchanged: Callable[[CapabilityExample], bool]) -> None:
        for index, (example, _) in enumerate(self.examples):
            if not unchanged(example):
                where = Where(file=self.file, path=f"$.examples[{index}]")
                message = "it changes its input; the caller, the next step and a repetition would see it changed"
                hint = "copy what is to be changed into a table of its own"
                self.changed.append(Finding(code="input_changed", where=where, message=message, hint=hint))
                return

    def inputs(self) -> int:
        """Run it on inputs made from its schema, each in the world of the example that it was made from."""
        seen = [example.input for example, _ in self.examples]
        made = make(self.contract.input, seen, count=INPUTS_MAX, extremes=EXTREME_INPUTS_MAX, seed=f"{self.seed}/input")
        for case, each in enumerate(made):
            world = self.examples[each.base][0] if each.base is not None else _NOWHERE
            hint = "handle it, refuse it by fail(code, message), or narrow the input schema"
            what = f"on the valid input {_short(each.value)}"
            told = f"{hint} (case {case}, seed '{self.seed}/input')"
            outside = _Answers(self, random.Random(f"{self.seed}/outside/{case}"), outside_only=True)
            self.run(world, each.value, outside, what, told, each.extreme)
        return len(made)

    def host_results(self) -> int:
        """Run the examples with answers of host functions that their schemas allow and the examples did not show."""
        runs = 0
        for index, (example, seen) in enumerate(self.examples):
            if not seen.calls:
                continue
            rounds = max(1, HOST_RESULTS_MAX // sum(bool(each.calls) for _, each in self.examples))
            for round_ in range(rounds):
                seed = f"{self.seed}/host/{index}/{round_}"
                made = _Answers(self, random.Random(seed))
                self.run(
                    example,
                    example.input,
                    made,
                    made.told,
                    f"handle every answer that the host function's schema allows (seed '{seed}'); an example whose "
                    "world holds such a document tells what it looks like",
                )
                runs += 1
        return runs

    def made(self, declaration: HostFunction, seen: Sequence[JSON]) -> list[Made]:
        key = declaration.name + json.dumps(seen, sort_keys=True)
        if key not in self.answers:
            seed = f"{self.seed}/{declaration.name}"
            self.answers[key] = make(declaration.output, seen, count=ANSWERS_MAX, seed=seed, documents=True)
        return self.answers[key]

    def host_failures(self) -> int:
        """Run every example once for each of its host calls, which fails."""
        runs = 0
        for example, seen in self.examples:
            for position, call in enumerate(seen.calls):
                if runs == POSITIONS_MAX:
                    return runs
                runs += 1
                errors = self.catalog[call.function].errors or ("unavailable",)
                code = errors[position % len(errors)]
                failing = _Failing(position, HostError(code=code, message="made to fail by the trial", retryable=True))
                what = (
                    f"when host call {position + 1} ({call.function}) fails with '{code}', on {_short(example.input)}"
                )
                hint = "let the error pass, or catch it with pcall and end in fail(code, message)"
                self.run(example, example.input, failing, what, hint)
        return runs

    def run(
        self,
        world: CapabilityExample,
        input: JSON,
        instead: Instead,
        what: str | Callable[[], str],
        hint: str,
        extreme: bool = False,
    ) -> None:
        outcome = self.play(world, input, instead)
        self.fuel, self.memory_bytes = max(self.fuel, outcome.fuel), max(self.memory_bytes, outcome.memory_bytes)
        if outcome.status in ENDS_WELL:
            return
        key = (outcome.status, outcome.line)
        known = self.bad.get(key)
        if known is None or (known.severity == "warning" and not extreme):
            told = what if isinstance(what, str) else what()
            self.bad[key] = _Seen(outcome, told, hint, "warning" if extreme else "error")

    def found(self) -> Iterable[Finding]:
        """At most FINDINGS_MAX findings; errors before warnings."""
        yield from self.changed
        worst = sorted(self.bad.values(), key=lambda each: each.severity)
        for each in worst[:FINDINGS_MAX]:
            outcome = each.outcome
            kind = "limit" if outcome.status in LIMIT_STATUSES else outcome.status
            yield Finding(
                code=f"trial_{kind}",
                severity=each.severity,
                where=Where(file=self.file, line=outcome.line),
                message=f"{each.what}, it ends in {outcome.status}: {outcome.message}",
                hint=each.hint,
            )


@dataclass(frozen=True)
class _Failing:
    """The world, but for one host call."""

    position: int
    error: HostError

    def __call__(self, index: int, name: str, args: JSON) -> HostReply | None:
        return HostReply(error=self.error) if index == self.position else None


class _Answers:
    """Made answers for the host calls of one execution: what examples saw, and what the schema allows beside it.

    With `outside_only` the throw-away world answers what it can, and only what lies outside it is made.
    """

    def __init__(self, owner: _Trial, chance: random.Random, *, outside_only: bool = False) -> None:
        self.owner = owner
        self.chance = chance
        self.outside_only = outside_only
        self.given: list[str] = []

    def __call__(self, index: int, name: str, args: JSON) -> HostReply | None:
        declaration = self.owner.catalog[name]
        if self.outside_only and not declaration.outside:
            return None
        place = _place(declaration, args)
        seen = [
            call.reply.result
            for _, rehearsed in self.owner.examples
            for call in rehearsed.calls
            if call.function == name and call.reply.error is None and _place(declaration, call.args) == place
        ]
        made = [each.value for each in self.owner.made(declaration, seen)]
        if not seen + made:
            return None
        result = self.chance.choice(seen + made)
        self.given.append(f"{name} gives {_short(result, 100)}")
        return HostReply(result=result)

    def told(self) -> str:
        return "when " + ", ".join(self.given[-3:]) if self.given else "with its host functions"


def _place(declaration: HostFunction, args: JSON) -> str:
    """Where a call goes, as far as a grant narrows it: documents of one namespace look alike, those of two do not."""
    given = args if isinstance(args, dict) else {}
    return json.dumps([given.get(plural.removesuffix("s")) for plural in declaration.narrows])


_NOWHERE = CapabilityExample(input=None)


def _short(value: JSON, length: int = 200) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= length else text[: length - 1] + "…"
