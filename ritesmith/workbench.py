"""What an author of a capability or a workflow asks of a file before it is published: does it hold, what does it cost.

It is loaded when asked. Nothing here writes into the registry, and nothing outside is touched: every execution is a
rehearsal in the throw-away world of an example.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ritesmith import templates
from ritesmith.contract import capability_of
from ritesmith.errors import InvalidInput, Rejected
from ritesmith.guard.lua_lines import statements
from ritesmith.guard.lua_parser import ParserLost
from ritesmith.guard.workflow_shape import read_workflow
from ritesmith.intake import check_value, parse_json
from ritesmith.models import (
    JSON,
    NAME_PATTERN,
    ArtifactKind,
    Capability,
    CapabilityExample,
    Finding,
    HostFunction,
    Outcome,
    Value,
    Workflow,
    WorkflowExample,
)
from ritesmith.notebook import Card, Shown
from ritesmith.rehearsal import Rehearsal, play_capability, rehearse_capability, rehearse_workflow, same
from ritesmith.sandbox.profile import LineFuel, Profile
from ritesmith.step import Runner, effective_limits

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith
    from ritesmith.checking import Checked


class Difference(Value):
    """The first place at which an example and what came of it differ."""

    path: str
    """In the example: `$.output.percent`, `$.error`, `$.store_after.orders.ORD-1`."""
    expected: JSON = None
    found: JSON = None
    expected_there: bool = True
    found_there: bool = True
    """Whether there is a value at all at that place."""


class ExampleReport(Value):
    """What came of one example."""

    number: int
    """From 1."""
    met: bool
    problems: tuple[str, ...] = ()
    input: JSON
    expected: dict[str, JSON]
    """`output`, `error`, `outcome` or `status`: what the example says."""
    found: dict[str, JSON]
    difference: Difference | None = None
    line: int | None = None
    """Where the script failed."""
    fuel: int = 0
    memory_bytes: int = 0
    seconds: float = 0.0
    """Of the sandbox, host functions left out."""
    host_calls: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    """Of a workflow: the nodes it went through."""


class Proof(Value):
    """One thing that the trial looked at."""

    name: str
    result: Literal["pass", "fail", "skip"]
    told: str


class HeadRoom(Value):
    """The most that was used of one limit."""

    limit: str
    used: float
    most: float

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.used / self.most if self.most else float(self.used > 0)


class Missed(Value):
    """What no example came to: a line of a capability, or a node of a workflow."""

    line: int | None = None
    node: str = ""
    text: str


class Coverage(Value):
    """How much of a file its examples execute: lines of a capability, nodes of a workflow."""

    of: Literal["lines", "nodes"]
    ran: int
    total: int
    missed: tuple[Missed, ...] = ()


class Tested(Shown, Value):
    """All that its own examples and the trial say of one file."""

    file: str
    kind: ArtifactKind
    name: str = ""
    findings: tuple[Finding, ...] = ()
    """What stands against it, beside examples that are not met."""
    examples: tuple[ExampleReport, ...] = ()
    proofs: tuple[Proof, ...] = ()
    head_room: tuple[HeadRoom, ...] = ()
    coverage: Coverage | None = None

    @property
    def passed(self) -> bool:
        """Whether every example is met and no finding is an error."""
        return all(each.met for each in self.examples) and not any(each.severity == "error" for each in self.findings)

    def _card(self) -> Card:
        met = sum(each.met for each in self.examples)
        title = f"{self.kind} '{self.name}' {'passed' if self.passed else 'failed'}: "
        title += f"{met} of {len(self.examples)} examples met"
        facts: list[tuple[str, Any]] = [(each.name, f"{each.result}: {each.told}") for each in self.proofs]
        if self.coverage is not None:
            missed = ", ".join(str(each.line or each.node) for each in self.coverage.missed)
            told = f"{self.coverage.ran} of {self.coverage.total} {self.coverage.of}"
            facts.append(("coverage", told + (f"; not {missed}" if missed else "")))
        facts += [(each.severity, f"{each.where} {each.message}") for each in self.findings]
        rows = [
            (each.number, "met" if each.met else "not met", each.input, each.found, "; ".join(each.problems), each.fuel)
            for each in self.examples
        ]
        return Card(title, facts, ("example", "", "input", "found", "problem", "fuel"), rows)


class LineCost(LineFuel):
    """What one line cost, with its text."""

    text: str = ""
    share: float = 0.0
    """Of all that the part spent, from 0 to 1."""


class PartCost(Value):
    """What one capability cost in all its executions."""

    name: str
    executions: int
    fuel: int
    share: float
    """Of the whole, from 0 to 1."""
    lines: tuple[LineCost, ...]
    input: int
    """Fuel of reading inputs; the next, of writing outputs."""
    output: int
    overhead: int
    """Instructions of the counting itself; fuel has them."""
    uncounted: int
    """Instructions of the lines that make no whole thousand; fuel has them not."""


class FuelReport(Shown, Value):
    """Where the fuel of one rehearsal went."""

    name: str
    kind: ArtifactKind
    example: int | None
    """The example whose world, or also input, it was; from 1."""
    status: str
    error: str = ""
    output: JSON = None
    fuel: int
    parts: tuple[PartCost, ...] = ()

    def _card(self) -> Card:
        lines = [(part.name, each) for part in self.parts for each in part.lines if each.line]
        lines.sort(key=lambda one: -one[1].spent)
        rows = [(name, each.line, each.text, each.spent, f"{each.share:.1%}") for name, each in lines]
        title = f"'{self.name}' {self.status}: fuel {self.fuel}"
        return Card(title, [("output", self.output)], ("capability", "line", "source", "spent", "share"), rows)


class Workbench:
    """Tests and measures files as they would be published in this registry."""

    def __init__(self, app: RiteSmith) -> None:
        self.app = app

    # ------------------------------------------------------------ new

    def begun(self, name: str, intent: str, grants: Sequence[HostFunction], *, workflow: bool) -> str:
        """The text of a new file that passes the check; see `RiteSmith.new_file`."""
        if not re.fullmatch(NAME_PATTERN, name) or len(name) > 100:
            hint = "lower-case words with a dot between them: orders.total_price"
            raise InvalidInput(f"'{name}' is no name of a capability or a workflow", hint=hint)
        intent = intent or templates.intent_of(name)
        file = name + (".json" if workflow else ".lua")
        text = templates.workflow_text(name, intent) if workflow else self._begun_capability(name, intent, grants)
        checked = self.app.check_text(text, file)
        if checked.errors:
            raise Rejected(f"such a file would not pass the check of '{name}'", findings=checked.findings)
        return text

    def _begun_capability(self, name: str, intent: str, grants: Sequence[HostFunction]) -> str:
        header = templates.capability_header(name, intent, grants)
        draft = capability_of(templates.capability_text(header, grants), name)
        results: list[dict[str, JSON]] = []
        for example in draft.contract.examples:
            played = play_capability(self.app.sandbox, draft, example.input, store=example.store, stubs=example.hosts)
            failed = played.outcome.status != "ok"
            result: dict[str, JSON] = {"error": played.outcome.code} if failed else {"output": played.outcome.output}
            if played.before != played.after:
                result["store_after"] = {name: dict(documents) for name, documents in played.after.items()}
            results.append(result)
        return templates.capability_text(templates.with_results(header, results), grants)

    # ------------------------------------------------------------ test

    def test(self, text: str, file: str) -> Tested:
        """Check a file's text and run its examples, each in its own world; see `RiteSmith.test_file`."""
        checked = self.app.check_text(text, file)
        findings = tuple(each for each in checked.findings if each.code != "example_not_met")
        told = Tested(file=file, kind=checked.kind, name=checked.name, findings=findings)
        if not checked.trial.cases:  # an earlier tier ended it, or there is no example
            return told
        if checked.capability is not None:
            return self._test_capability(checked, checked.capability, told)
        assert checked.workflow is not None
        return self._test_workflow(checked, checked.workflow, told)

    def _test_capability(self, checked: Checked, capability: Capability, told: Tested) -> Tested:
        contract, most = capability.contract, self.app.policy.limits
        limits = effective_limits(most, capability)
        profiled = Profiler(self.app.sandbox)
        reports = []
        output_bytes = 0
        for number, example in enumerate(contract.examples, 1):
            meter = Meter(self.app.sandbox)
            seen = rehearse_capability(meter, capability, example, limits=most)
            played = play_capability(
                profiled, capability, example.input, store=example.store, stubs=example.hosts, limits=most
            )
            difference = None if seen.met else _difference(example, played.outcome, played.after)
            reports.append(_example_report(number, example, seen, meter.seconds, difference))
            output_bytes = max(output_bytes, _size(seen.output) if seen.status == "ok" else 0)
        figures = checked.trial
        head_room = (
            HeadRoom(limit="fuel", used=figures.fuel_max, most=limits.fuel),
            HeadRoom(limit="memory_bytes", used=figures.memory_bytes_max, most=limits.memory_bytes),
            HeadRoom(
                limit="deadline_seconds",
                used=round(max((each.seconds for each in reports), default=0.0), 3),
                most=limits.deadline_seconds,
            ),
            HeadRoom(
                limit="host_calls",
                used=max((len(each.host_calls) for each in reports), default=0),
                most=limits.host_calls,
            ),
            HeadRoom(limit="output_bytes", used=output_bytes, most=limits.output_bytes),
        )
        return told.model_copy(
            update={
                "examples": tuple(reports),
                "proofs": tuple(_proofs(checked, reports)),
                "head_room": head_room if contract.grants else tuple(e for e in head_room if e.limit != "host_calls"),
                "coverage": _coverage(capability.source, profiled.total(contract.name)),
            }
        )

    def _test_workflow(self, checked: Checked, workflow: Workflow, told: Tested) -> Tested:
        parts = self.app.capabilities_of(workflow, {})
        reports = []
        for number, example in enumerate(workflow.examples, 1):
            meter = Meter(self.app.sandbox)
            seen = rehearse_workflow(
                meter, workflow, parts, example, limits=self.app.policy.limits, published=self.app.library
            )
            difference = None if seen.met else _run_difference(example, seen)
            reports.append(_example_report(number, example, seen, meter.seconds, difference))
        reached = {node.rpartition("/")[2].partition("#")[0] for each in reports for node in each.path}
        missed = [Missed(node=each.id, text=each.kind) for each in workflow.nodes if each.id not in reached]
        total = len(workflow.nodes)
        failed = any(each.code == "not_deterministic" for each in checked.findings)
        proof = Proof(
            name="deterministic", result="fail" if failed else "pass", told="every example again, in a second process"
        )
        return told.model_copy(
            update={
                "examples": tuple(reports),
                "proofs": (proof,),
                "coverage": Coverage(of="nodes", ran=total - len(missed), total=total, missed=tuple(missed)),
            }
        )

    # ------------------------------------------------------------ fuel

    def fuel(
        self, text: str, file: str, *, workflow: bool, input: JSON, given: bool, example: int | None
    ) -> FuelReport:
        """Rehearse a file's text once and tell where the fuel went; see `RiteSmith.fuel`."""
        if workflow:
            found, findings = read_workflow(parse_json(text, file), file)
            if found is None:
                raise InvalidInput(f"'{file}' cannot be read: {findings[0].message}", hint=findings[0].hint)
            return self._fuel_of_workflow(found, file, input, given, example)
        return self._fuel_of_capability(capability_of(text, file), file, input, given, example)

    def _fuel_of_capability(
        self, capability: Capability, file: str, input: JSON, given: bool, number: int | None
    ) -> FuelReport:
        contract = capability.contract
        world = _chosen(contract.examples, number, file)
        if not given:
            world = world or _first(contract.examples, file)
            input = world.input
        else:
            check_value("input", input, contract.input, f"'{file}'")
        world = world or CapabilityExample(input=None)
        profiled = Profiler(self.app.sandbox)
        limits = self.app.policy.limits
        played = play_capability(profiled, capability, input, store=world.store, stubs=world.hosts, limits=limits)
        outcome = played.outcome
        if outcome.status == "reject":
            raise InvalidInput(outcome.message)
        return FuelReport(
            name=contract.name,
            kind="capability",
            example=_number(contract.examples, world),
            status=outcome.status,
            error="" if outcome.status == "ok" else outcome.message,
            output=outcome.output,
            fuel=outcome.fuel,
            parts=tuple(profiled.costs({contract.name: capability.source})),
        )

    def _fuel_of_workflow(
        self, workflow: Workflow, file: str, input: JSON, given: bool, number: int | None
    ) -> FuelReport:
        world = _chosen(workflow.examples, number, file)
        if not given:
            world = world or _first(workflow.examples, file)
        else:
            check_value("input", input, workflow.input, f"'{file}'")
        run = (world or WorkflowExample(input=None)).model_copy(update={"input": input} if given else {})
        parts = self.app.capabilities_of(workflow, {})
        profiled = Profiler(self.app.sandbox)
        seen = rehearse_workflow(
            profiled, workflow, parts, run, limits=self.app.policy.limits, published=self.app.library
        )
        return FuelReport(
            name=workflow.name,
            kind="workflow",
            example=_number(workflow.examples, world),
            status=seen.status,
            error=str(seen.details.get("message", "")),
            output=seen.output,
            fuel=seen.fuel,
            parts=tuple(profiled.costs({each.contract.name: each.source for each in parts.values()})),
        )


class Meter:
    """A sandbox that also takes the time, without that of host functions."""

    def __init__(self, sandbox: Runner) -> None:
        self.sandbox = sandbox
        self.seconds = 0.0

    def run(self, source: str, input: JSON, *, host: Any = None, **more: Any) -> Outcome:
        """Run as the sandbox does."""
        away = 0.0

        def timed(name: str, args: JSON) -> Any:
            nonlocal away
            called = time.monotonic()
            try:
                return host(name, args)
            finally:
                away += time.monotonic() - called

        began = time.monotonic()
        outcome = self.sandbox.run(source, input, host=timed if host is not None else None, **more)
        self.seconds += time.monotonic() - began - away
        return outcome


class Profiler:
    """A sandbox that also keeps what each line of each capability spent."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox
        self.seen: list[tuple[str, int, Profile, str]] = []

    def run(self, source: str, input: JSON, *, name: str = "capability", **more: Any) -> Outcome:
        """Run as the sandbox does."""
        profiles: list[Profile] = []
        outcome: Outcome = self.sandbox.run(source, input, name=name, on_profile=profiles.append, **more)
        self.seen.append((name, outcome.fuel, sum(profiles, Profile()), source))
        return outcome

    def total(self, name: str) -> Profile:
        """All executions of one capability together."""
        return sum((profile for each, _, profile, _ in self.seen if each == name), Profile())

    def costs(self, sources: Mapping[str, str]) -> Iterator[PartCost]:
        """What each capability cost, the dearest first."""
        known = {name: source for name, _, _, source in self.seen} | dict(sources)
        fuel = {name: sum(each for other, each, _, _ in self.seen if other == name) for name, _, _, _ in self.seen}
        whole = sum(fuel.values())
        for name in sorted(fuel, key=lambda each: (-fuel[each], each)):
            profile = self.total(name)
            spent = sum(each.spent for each in profile.lines) + profile.input + profile.output
            texts = known[name].splitlines()
            yield PartCost(
                name=name,
                executions=sum(each == name for each, _, _, _ in self.seen),
                fuel=fuel[name],
                share=fuel[name] / whole if whole else 0.0,
                lines=tuple(
                    LineCost(
                        **each.model_dump(),
                        text=texts[each.line - 1] if 0 < each.line <= len(texts) else "",
                        share=each.spent / spent if spent else 0.0,
                    )
                    for each in profile.lines
                ),
                input=profile.input,
                output=profile.output,
                overhead=profile.overhead,
                uncounted=profile.uncounted,
            )


# ---------------------------------------------------------------- examples


def _chosen(examples: Sequence[Any], number: int | None, file: str) -> Any:
    if number is None:
        return None
    if not 1 <= number <= len(examples):
        raise InvalidInput(f"'{file}' has no example {number}", hint=f"it has {len(examples)}, counted from 1")
    return examples[number - 1]


def _first(examples: Sequence[Any], file: str) -> Any:
    if not examples:
        raise InvalidInput(f"'{file}' has no example", hint="say what to run it on: --input JSON")
    return examples[0]


def _number(examples: Sequence[Any], example: Any) -> int | None:
    return next((number for number, each in enumerate(examples, 1) if each is example), None)


def _example_report(
    number: int, example: Any, seen: Rehearsal, seconds: float, difference: Difference | None
) -> ExampleReport:
    said = example.model_dump(mode="json", include={"output", "error", "outcome", "status"})
    expected = {key: value for key, value in said.items() if key in example.model_fields_set}
    if isinstance(example, WorkflowExample):
        found = {"status": seen.status, "outcome": seen.outcome, "error": seen.error, "output": seen.output}
        found = {key: value for key, value in found.items() if key in expected or value not in (None, "")}
    else:
        found = {"error": seen.error} if seen.error else {"output": seen.output}
    return ExampleReport(
        number=number,
        met=seen.met,
        problems=seen.problems,
        input=example.input,
        expected=expected,
        found=found,
        difference=difference,
        line=seen.line,
        fuel=seen.fuel,
        memory_bytes=seen.memory_bytes,
        seconds=round(seconds, 4),
        host_calls=tuple(call.function for call in seen.calls),
        path=seen.path,
    )


def _difference(example: CapabilityExample, outcome: Outcome, after: Mapping[str, Any]) -> Difference | None:
    code = "" if outcome.status == "ok" else outcome.code or outcome.status
    if code != (example.error or ""):
        return Difference(
            path="$.error",
            expected=example.error,
            found=code or None,
            expected_there=bool(example.error),
            found_there=bool(code),
        )
    found = None if code else first_difference(example.output, outcome.output, "$.output")
    return found or _store_difference(example, after)


def _run_difference(example: WorkflowExample, seen: Rehearsal) -> Difference | None:
    for name, found in (("status", seen.status), ("outcome", seen.outcome), ("error", seen.error)):
        expected = getattr(example, name)
        if expected is not None and expected != found:
            return Difference(path=f"$.{name}", expected=expected, found=found)
    return first_difference(example.output, seen.output, "$.output") if "output" in example.model_fields_set else None


def _store_difference(example: CapabilityExample, after: Mapping[str, Any]) -> Difference | None:
    for namespace, documents in (example.store_after or {}).items():
        for key, value in documents.items():
            found = after.get(namespace, {}).get(key)
            difference = first_difference(value, found, f"$.store_after{_step(namespace)}{_step(key)}")
            if difference is not None:
                return difference
    return None


def first_difference(expected: JSON, found: JSON, path: str = "$") -> Difference | None:
    """The first place, in the order of the expected value, at which two values differ as examples compare them.

    >>> first_difference({"a": [1, 2]}, {"a": [1, 3]}).path
    '$.a[1]'
    """
    if same(expected, found):
        return None
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in (*expected, *(key for key in found if key not in expected)):
            if key not in found or key not in expected:
                return Difference(
                    path=path + _step(key),
                    expected=expected.get(key),
                    found=found.get(key),
                    expected_there=key in expected,
                    found_there=key in found,
                )
            inner = first_difference(expected[key], found[key], path + _step(key))
            if inner is not None:
                return inner
    if isinstance(expected, list) and isinstance(found, list):
        for index in range(max(len(expected), len(found))):
            if index >= len(expected) or index >= len(found):
                there = [index < len(each) for each in (expected, found)]
                values = [each[index] if index < len(each) else None for each in (expected, found)]
                return Difference(
                    path=f"{path}[{index}]",
                    expected=values[0],
                    found=values[1],
                    expected_there=there[0],
                    found_there=there[1],
                )
            inner = first_difference(expected[index], found[index], f"{path}[{index}]")
            if inner is not None:
                return inner
    return Difference(path=path, expected=expected, found=found)


def _step(key: str) -> str:
    return f".{key}" if key.isidentifier() or all(part.isalnum() for part in key.split("-")) else f"[{key!r}]"


# ---------------------------------------------------------------- the trial, and what was executed


def _proofs(checked: Checked, reports: Sequence[ExampleReport]) -> Iterator[Proof]:
    codes = {each.code for each in checked.findings}
    trial, capability = checked.trial, checked.capability
    assert capability is not None
    stopped = codes & {"example_not_met", "not_deterministic"}

    def proof(name: str, told: str, failed: bool, ran: bool = True) -> Proof:
        if stopped and name != "deterministic":
            return Proof(name=name, result="skip", told="not looked at before every example is met")
        return Proof(name=name, result="fail" if failed else "pass" if ran else "skip", told=told)

    def failed_on(words: str) -> bool:
        return any(each.code.startswith("trial_") and words in each.message for each in errors)

    errors = [each for each in checked.findings if each.severity == "error"]
    yield proof("deterministic", "every example again, in a second process", "not_deterministic" in codes)
    yield proof("input unchanged", "every example's input compared afterwards", "input_changed" in codes)
    told = f"{trial.generated} made from the schema, seed '{trial.seed}/input'"
    yield proof("generated inputs", told, failed_on("valid input"), trial.generated > 0)
    grants = capability.contract.grants
    if grants:
        told = f"{trial.host_results} runs on made answers, {trial.host_failures} with a host call that fails"
        failed = failed_on("gives") or failed_on("fails with")
        yield proof("host functions", told, failed, trial.host_results + trial.host_failures > 0)
        called = {name for each in reports for name in each.host_calls}
        unseen = sorted(set(grants) - called)
        told = f"examples call {', '.join(sorted(called)) or 'none'} of what is granted"
        told += f"; none calls {', '.join(unseen)}" if unseen else ""
        yield Proof(name="effects", result="skip" if unseen else "pass", told=told)
    else:
        yield Proof(name="effects", result="pass", told="pure: nothing is granted")


def _coverage(source: str, profile: Profile) -> Coverage | None:
    """Which lines ran; None where the guard's parser cannot read the text."""
    try:
        known = statements(source)
    except ParserLost:
        return None
    ran = {each.line for each in profile.lines if each.instructions}
    covered = {each.line for each in known if each.lines & ran}
    lines = {each.line for each in known}
    texts = source.split("\n")
    missed = tuple(Missed(line=line, text=texts[line - 1]) for line in sorted(lines - covered))
    return Coverage(of="lines", ran=len(covered), total=len(lines), missed=missed) if lines else None


def _size(value: JSON) -> int:
    from ritesmith.sandbox import to_json

    return len(to_json(value))
