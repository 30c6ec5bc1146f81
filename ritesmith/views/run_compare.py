"""Two runs held against each other: what they were bound to and given, the way they took, what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ritesmith.compare import Change, changes
from ritesmith.models import JSON, Value
from ritesmith.trace import RunView, StepView

OF_ITS_MOMENT = frozenset({"at"})
"""What of an approval's answer is never the same twice: when it was given."""


class StepFigures(Value):
    """One step of one of the runs."""

    status: str
    attempts: int
    host_calls: int
    fuel: int
    seconds: float | None = None
    """From its beginning to its end; None: it has not ended."""


class StepPair(Value):
    """What both runs did at one node path; None where a run never came to it."""

    path: str
    a: StepFigures | None = None
    b: StepFigures | None = None
    changes: tuple[Change, ...] = ()
    """Where its input, output, error or way on differ."""

    @property
    def same(self) -> bool:
        """Whether both came to it and nothing differs but the time it took."""
        if self.a is None or self.b is None or self.changes:
            return False
        return self.a.model_copy(update={"seconds": None}) == self.b.model_copy(update={"seconds": None})


class RunComparison(Value):
    """How run `b` differs from run `a`. Durations are told, and are no difference."""

    a: str
    b: str
    same: bool
    definition: tuple[Change, ...] = ()
    """The versions of the workflow, of what it calls, and of Lua."""
    input: tuple[Change, ...] = ()
    end: tuple[Change, ...] = ()
    """Status, outcome, output and error."""
    steps: tuple[StepPair, ...] = ()
    """Every step of either, in the order of `a`, with those of `b` alone where it went another way."""
    first_difference: str = ""
    """The path of the first step that differs."""
    seconds: tuple[float, float]
    fuel: tuple[int, int]


def compare(a: RunView, b: RunView, pins_a: Mapping[str, JSON], pins_b: Mapping[str, JSON]) -> RunComparison:
    """How run `b` differs from run `a`. `pins_...` says to which version a run is bound, by name."""
    steps_a, steps_b = ({step.path: step for step in view.steps} for view in (a, b))
    pairs = tuple(_pair(path, steps_a.get(path), steps_b.get(path)) for path in _order([*steps_a], [*steps_b]))
    definition = tuple(changes(dict(pins_a), dict(pins_b)))
    given = tuple(changes(a.input, b.input))
    end = tuple(changes(_end(a), _end(b)))
    first = next((pair.path for pair in pairs if not pair.same), "")
    return RunComparison(
        a=a.run,
        b=b.run,
        same=not (definition or given or end or first),
        definition=definition,
        input=given,
        end=end,
        steps=pairs,
        first_difference=first,
        seconds=(a.updated_at - a.started_at, b.updated_at - b.started_at),
        fuel=(a.fuel, b.fuel),
    )


def _order(a: list[str], b: list[str]) -> list[str]:
    """All paths, in the order of `a`; those of `b` alone stand after what came before them in `b`."""
    known = set(a)
    after: dict[str, list[str]] = {}
    newest = ""
    for path in b:
        if path in known:
            newest = path
        else:
            after.setdefault(newest, []).append(path)
    return [*after.get("", []), *(each for path in a for each in (path, *after.get(path, [])))]


def _pair(path: str, a: StepView | None, b: StepView | None) -> StepPair:
    found = () if a is None or b is None else tuple(changes(_said(a), _said(b)))
    return StepPair(path=path, a=_figures(a), b=_figures(b), changes=found)


def _said(step: StepView) -> dict[str, Any]:
    output = step.output
    if step.kind == "approval" and isinstance(output, dict):
        output = {key: value for key, value in output.items() if key not in OF_ITS_MOMENT}
    return {"input": step.input, "output": output, "error": step.error, "next": list(step.next)}


def _figures(step: StepView | None) -> StepFigures | None:
    if step is None:
        return None
    return StepFigures(
        status=step.status,
        attempts=step.attempts,
        host_calls=len(step.calls),
        fuel=step.fuel,
        seconds=None if step.ended_at is None else step.ended_at - step.started_at,
    )


def _end(view: RunView) -> dict[str, JSON]:
    return {"status": view.status, "outcome": view.outcome, "output": view.output, "error": view.error}
