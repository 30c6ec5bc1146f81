"""Trial: what only running can show. Every example in a throw-away world, twice, in the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from ritesmith.models import Finding, Limits, Value, Where

HEAD_ROOM = 0.8
"""An example that uses more than this share of a limit is worth a warning: real input is larger than examples."""


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


Example = TypeVar("Example")


class TrialReport(Value):
    """What the trial saw. `cases` counts executed examples; the figures are the largest of all cases."""

    findings: tuple[Finding, ...] = ()
    cases: int = 0
    passed: int = 0
    fuel_max: int = 0
    memory_bytes_max: int = 0

    def figures(self) -> dict[str, int]:
        """What goes into an artifact's provenance."""
        return self.model_dump(exclude={"findings"})


def trial(
    examples: Sequence[Example],
    rehearse: Callable[[Example], Rehearsed],
    *,
    limits: Limits | None = None,
    file: str = "",
) -> TrialReport:
    """Rehearse every example twice, and report each that is not met or that differs from one time to the other.

    The two executions have fresh runtimes, so what depends on the process, the clock or an address shows.
    """
    findings: list[Finding] = []
    passed = fuel = memory = 0
    for index, example in enumerate(examples):
        where = Where(file=file, path=f"$.examples[{index}]")
        first, second = rehearse(example), rehearse(example)
        fuel, memory = max(fuel, first.fuel), max(memory, first.memory_bytes)
        if first.line is not None:
            where = where.model_copy(update={"line": first.line})
        if first.met:
            passed += 1
        findings += [Finding(code="example_not_met", where=where, message=text) for text in first.problems]
        if (first.status, first.output, first.error, first.fuel) != (
            second.status,
            second.output,
            second.error,
            second.fuel,
        ):
            findings.append(
                Finding(
                    code="not_deterministic",
                    where=where,
                    message="the same input gave two different results or amounts of fuel",
                    hint="leave out whatever differs from process to process",
                )
            )
        if limits is not None:
            for name, used, most in (
                ("fuel", first.fuel, limits.fuel),
                ("memory_bytes", first.memory_bytes, limits.memory_bytes),
            ):
                if first.met and used > HEAD_ROOM * most:
                    findings.append(
                        Finding(
                            code="little_head_room",
                            severity="warning",
                            where=where,
                            message=f"the example uses {used} of {most} {name}",
                            hint=f"do less work, or raise {name} in the limits",
                        )
                    )
    return TrialReport(
        findings=tuple(findings), cases=len(examples), passed=passed, fuel_max=fuel, memory_bytes_max=memory
    )
