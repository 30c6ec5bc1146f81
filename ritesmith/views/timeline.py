"""A trace laid out to be looked at: its steps as a tree, when each was at work or paused, and an axis of time. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ritesmith.trace import RunView, StepView

PAUSES = frozenset({"sleep", "wait", "approval", "call"})
"""Kinds of steps in which time passes, and nothing is executed."""
FORKS = frozenset({"split", "map"})
IDLE_SHARE, IDLE_SHARE_MAX = 0.4, 0.75
"""Time in which nothing is executed has this share of an axis when, to scale, it would have more than the second."""

WORK_SECONDS_MIN = 0.005
"""Less work than this is no reason to draw the rest in short: it would look like what took the time."""


@dataclass
class Place:
    """A step in the tree, or a branch of a split, or an element of a map, with what is below it."""

    name: str
    path: str
    step: StepView | None = None
    """None: a branch or an element."""
    below: list[Place] = field(default_factory=list)
    left_out: int = 0
    """Branches that are not in `below`."""

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Place]]:
        """What is below it, each before what is below that, with its depth from 0."""
        for each in self.below:
            yield depth, each
            yield from each.walk(depth + 1)


def outline(steps: Sequence[StepView], branches_max: int | None = None) -> Place:
    """The tree of a run's steps: `fan/left/ask` under the branch `left` of `fan`. Of each fork at most so many
    branches, the first that began."""
    root = Place("", "")
    places: dict[str, Place | None] = {"": root}
    for each in steps:
        prefix, _, name = each.path.rpartition("/")
        branch = _branch(places, prefix, branches_max)
        if branch is None:
            continue
        places[each.path] = place = Place(name, each.path, each)
        branch.below.append(place)
    return root


def _branch(places: dict[str, Place | None], prefix: str, branches_max: int | None) -> Place | None:
    if prefix not in places:
        fork_path, _, key = prefix.rpartition("/")
        fork = places.get(fork_path)
        places[prefix] = None
        if fork is not None and (branches_max is None or len(fork.below) < branches_max):
            places[prefix] = branch = Place(key, prefix)
            fork.below.append(branch)
        elif fork is not None:
            fork.left_out += 1
    return places[prefix]


@dataclass(frozen=True)
class Span:
    """A stretch of time, in seconds since 1970."""

    begin: float
    end: float
    kind: Literal["work", "pause", "around"]
    """At work; waiting or asleep; around the steps of a branch, or the branches of a fork."""


@dataclass(frozen=True)
class Bar:
    """One row of a timeline."""

    name: str
    path: str
    depth: int
    status: str
    spans: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        """From its beginning to its end."""
        return self.spans[-1].end - self.spans[0].begin


def bars(view: RunView, tree: Place, now: float | None = None) -> list[Bar]:
    """A bar for every step and branch of the tree. What is under way reaches to the end of the whole: to `now`."""
    until = end_of(view, now)
    return [
        Bar(place.name, place.path, depth, _status(place), tuple(_spans(place, until))) for depth, place in tree.walk()
    ]


def begin_of(view: RunView) -> float:
    """When its first step began, which for a fork is before the run did."""
    return min([view.started_at, *(step.started_at for step in view.steps)])


def end_of(view: RunView, now: float | None = None) -> float:
    """The last moment of which it tells; of a run that has not ended, `now`."""
    newest = view.updated_at if now is None or view.final else max(now, view.updated_at)
    return max([newest, *(max(step.started_at, step.ended_at or 0.0) for step in view.steps)])


def _status(place: Place) -> str:
    if place.step is not None:
        return place.step.status
    return _status(place.below[-1]) if place.below else ""


def _spans(place: Place, until: float) -> Iterator[Span]:
    step = place.step
    inner = [span for _, each in place.walk() if each.step is not None for span in _worked(each.step, until)]
    if step is not None and not inner:
        yield from _worked(step, until)
        return
    begin = min(span.begin for span in inner)
    yield Span(begin if step is None else step.started_at, max(span.end for span in inner), "around")


def _worked(step: StepView, until: float) -> Iterator[Span]:
    end = until if step.ended_at is None else step.ended_at
    if step.kind in PAUSES or not step.each_attempt:
        yield Span(step.started_at, end, "pause" if step.kind in PAUSES else "work")
        return
    at = step.started_at
    for each in step.each_attempt:
        if each.started_at > at:
            yield Span(at, each.started_at, "pause")
        at = max(each.started_at, end if each.ended_at is None else each.ended_at)
        yield Span(each.started_at, at, "work")
    if end > at:
        yield Span(at, end, "pause")


class Axis:
    """Moments on a scale from 0 to 1. Where almost all of the time nothing was executed, that time is drawn in short,
    so that a minute's work around a week's wait can be seen."""

    def __init__(self, rows: Sequence[Bar], begin: float, end: float) -> None:
        self.begin, self.end = begin, max(end, begin)
        idle = _idle(rows, self.begin, self.end)
        whole, idle_seconds = self.end - self.begin, sum(last - first for first, last in idle)
        short = whole - idle_seconds >= WORK_SECONDS_MIN and idle_seconds / whole > IDLE_SHARE_MAX
        self.breaks = idle if short else []
        """Stretches that are drawn in short."""
        edges = sorted({self.begin, self.end, *(moment for each in self.breaks for moment in each)})
        self.moments, self.places = [edges[0]], [0.0]
        for first, last in pairwise(edges):
            if not short:
                share = 1.0
            elif (first, last) in self.breaks:
                share = IDLE_SHARE * (last - first) / idle_seconds
            else:
                share = (1 - IDLE_SHARE) * (last - first) / (whole - idle_seconds)
            self.moments.append(last)
            self.places.append(self.places[-1] + share)

    def at(self, moment: float) -> float:
        """Where a moment stands, from 0 to 1."""
        if moment <= self.moments[0] or len(self.moments) == 1:
            return 0.0
        index = min(bisect_right(self.moments, moment), len(self.moments) - 1)
        first, last = self.moments[index - 1], self.moments[index]
        share = (min(moment, last) - first) / (last - first)
        return self.places[index - 1] + share * (self.places[index] - self.places[index - 1])

    def ticks(self, count: int) -> list[float]:
        """Moments to be named: round ones, about so many; with breaks, the begin and end of each."""
        if self.breaks or self.end == self.begin:
            return self.moments
        step = _round_step((self.end - self.begin) / max(count, 1))
        return [self.begin + step * number for number in range(int((self.end - self.begin) / step + 1e-9) + 1)]


ROUND_SECONDS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


def _round_step(least: float) -> float:
    if least > ROUND_SECONDS[-1]:
        return 86_400.0 * -(-least // 86_400)
    if least > 30:
        return float(next(each for each in ROUND_SECONDS if each >= least))
    power = 1e-6
    while True:
        for digit in (1, 2, 5):
            if digit * power >= least:
                return digit * power
        power *= 10


def _idle(rows: Sequence[Bar], begin: float, end: float) -> list[tuple[float, float]]:
    """The stretches in which no step was at work."""
    idle, at = [], begin
    for first, last in sorted((span.begin, span.end) for row in rows for span in row.spans if span.kind == "work"):
        if first > at:
            idle.append((at, first))
        at = max(at, last)
    if end > at:
        idle.append((at, end))
    return idle


def duration(seconds: float) -> str:
    """A stretch of time in words, to about three digits: 62 ms, 1.2 s, 3 min 5 s, 2 h 10 min, 1 d 3 h."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    left = round(seconds)
    for unit, name, lower, lower_name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if left >= unit:
            less = left % unit // lower
            return f"{left // unit} {name}" + (f" {less} {lower_name}" if less else "")
    return f"{seconds:.1f} s"
