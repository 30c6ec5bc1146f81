"""A run as pictures: the graph of its workflow with what happened at each node, and when each step was at work. Pure.

Both are SVG elements that need nothing from outside: no script, font, image or link. Every text goes through `visible`
and into a tree of elements, never into markup, so that data stays data.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from unicodedata import east_asian_width

from ritesmith import saga
from ritesmith.models import AnyNode, ApprovalNode, CallNode, JoinNode, SplitNode, TaskNode, WaitNode, Workflow
from ritesmith.trace import RunView, StepView
from ritesmith.views.diagram import ways
from ritesmith.views.drawing import Box, Line, Point, Route, layout
from ritesmith.views.timeline import Axis, Bar, bars, begin_of, duration, end_of, outline
from ritesmith.visible import visible

MARGIN = 24.0
LETTER = 0.61
"""Width of a letter of a monospaced font, in parts of its size; the widest in use has 0.602."""
TEXT, SMALL = 13.0, 11.0
LINE_HEIGHT = 1.4
LABEL_LETTERS, NAME_LETTERS, NOTE_LETTERS, ROW_LETTERS = 22, 28, 34, 66
"""Where a label of a line, a name in a box and a word on how it went are broken, and a name in the timeline is cut."""
BRANCHES_SHOWN = 25
ROW, BAR = 24.0, 12.0
PLOT_WIDTH = 560.0
TICKS = 6
WAITING = frozenset({"approval", "wait", "sleep"})
STATES = {
    "succeeded": "✓",
    "failed": "✗",
    "undone": "↶",
    "not undone": "✗",
    "waiting": "‖",
    "sleeping": "‖",
    "retrying": "↻",
    "running": "▶",
    "unknown": "?",
    "dropped": "⊘",
}
"""What can be said of a visit, with its sign. The visit of a node that stands last in `ORDER` colours it."""
ORDER = (
    "succeeded",
    "dropped",
    "undone",
    "running",
    "sleeping",
    "waiting",
    "retrying",
    "failed",
    "not undone",
    "unknown",
)
STYLE = """
.rs { --paper:#ffffff; --ink:#1f2328; --soft:#59636e; --line:#6e7781; --faint:#afb8c1; --plain:#f6f8fa;
  --succeeded:#1a7f37; --succeeded-fill:#dafbe1; --failed:#cf222e; --failed-fill:#ffebe9;
  --undone:#9a6700; --undone-fill:#fff8c5; --waiting:#0969da; --waiting-fill:#ddf4ff;
  --running:#6639ba; --running-fill:#fbefff; --unknown:#bf3989; --unknown-fill:#ffeff7;
  --dropped:#6e7781; --dropped-fill:#eaeef2; }
@media (prefers-color-scheme: dark) { .rs { --paper:#0d1117; --ink:#e6edf3; --soft:#9198a1; --line:#7d8590;
  --faint:#4d555f; --plain:#161b22;
  --succeeded:#3fb950; --succeeded-fill:#12261e; --failed:#f85149; --failed-fill:#2d1316;
  --undone:#d29922; --undone-fill:#2b2111; --waiting:#58a6ff; --waiting-fill:#0c2440;
  --running:#bc8cff; --running-fill:#231a3b; --unknown:#f778ba; --unknown-fill:#36172b;
  --dropped:#8b949e; --dropped-fill:#21262d; } }
svg.rs, .rs text { font-family: ui-monospace, "DejaVu Sans Mono", "Liberation Mono", Menlo, Consolas, monospace; }
.rs text { fill: var(--ink); font-size: 13px; white-space: pre; }
.rs .paper { fill: var(--paper); } .rs .title { font-size: 16px; font-weight: 700; }
.rs .small { font-size: 11px; } .rs .soft { fill: var(--soft); } .rs .name { font-weight: 700; }
.rs .box { fill: var(--plain); stroke: var(--faint); stroke-width: 1.5; }
.rs .untouched text { fill: var(--soft); } .rs .untouched .box { stroke-dasharray: 4 3; }
.rs .way { fill: none; stroke: var(--faint); stroke-width: 1.5; } .rs .tip { fill: var(--faint); }
.rs .taken .way { stroke: var(--line); stroke-width: 2.5; } .rs .taken .tip { fill: var(--line); }
.rs .mask { fill: var(--paper); } .rs .grid { stroke: var(--faint); stroke-width: 1; }
.rs .short { fill: var(--plain); } .rs .stripe { fill: var(--plain); }
.rs .work { fill: var(--line); } .rs .pause { fill: var(--plain); stroke: var(--line); stroke-width: 1; }
.rs .around { stroke: var(--line); stroke-width: 2; }
""" + "\n".join(
    f".rs .{name} .box {{ fill: var(--{colour}-fill); stroke: var(--{colour}); }} "
    f".rs .{name} .sign {{ fill: var(--{colour}); }} .rs .{name} .work {{ fill: var(--{colour}); }} "
    f".rs .{name} .pause {{ fill: var(--{colour}-fill); stroke: var(--{colour}); }} "
    f".rs .{name} .around {{ stroke: var(--{colour}); }}"
    for name, colour in {
        "succeeded": "succeeded",
        "failed": "failed",
        "not-undone": "failed",
        "undone": "undone",
        "waiting": "waiting",
        "sleeping": "waiting",
        "retrying": "undone",
        "running": "running",
        "unknown": "unknown",
        "dropped": "dropped",
    }.items()
)


def svg(workflow: Workflow, view: RunView, now: float | None = None) -> str:
    """The graph and the timeline of a run in one SVG file. `now`: up to when what has not ended is drawn."""
    pictures = [graph(workflow, view), timeline(view, now)]
    head = _heading(view)
    width = max(*(each.width for each in pictures), _wide(head[0], 16), _wide(head[1], TEXT)) + 2 * MARGIN
    root = ET.Element("svg", {"class": "rs", "role": "img", "aria-labelledby": "rs-title rs-desc"})
    ET.SubElement(root, "title", {"id": "rs-title"}).text = visible(head[0])
    ET.SubElement(root, "desc", {"id": "rs-desc"}).text = visible(described(view))
    ET.SubElement(root, "style").text = STYLE
    paper = ET.SubElement(root, "rect", {"class": "paper"})
    _text(root, MARGIN, MARGIN + 14, head[0], "title")
    _text(root, MARGIN, MARGIN + 36, head[1], "soft")
    y = MARGIN + 60
    for each in pictures:
        root.append(each.element)
        each.element.set("transform", f"translate({_n(round((width - each.width) / 2))} {_n(y)})")
        y += each.height + MARGIN
    _size(root, width, y)
    _size(paper, width, y, box=False)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def inline(picture: Picture, title: str, name: str) -> ET.Element:
    """A picture as an element of a page, whose style it takes; `name` is unique on it."""
    root = ET.Element("svg", {"class": "rs", "role": "img", "aria-labelledby": f"rs-{name}"})
    ET.SubElement(root, "title", {"id": f"rs-{name}"}).text = visible(title)
    picture.element.set("transform", "translate(2 2)")  # half of a border lies outside its box
    root.append(picture.element)
    _size(root, picture.width + 4, picture.height + 4)
    return root


def _size(element: ET.Element, width: float, height: float, *, box: bool = True) -> None:
    element.set("width", _n(width))
    element.set("height", _n(height))
    if box:
        element.set("xmlns", "http://www.w3.org/2000/svg")
        element.set("viewBox", f"0 0 {_n(width)} {_n(height)}")


def _heading(view: RunView) -> tuple[str, str]:
    outcome = f" ({_cut(view.outcome, 60)})" if view.outcome else ""
    times = f"{saga.iso(view.started_at)}, {duration(view.updated_at - view.started_at)}"
    return f"{view.workflow}: {view.status}{outcome}", f"run {view.run}, {times}, fuel {view.fuel}"


def described(view: RunView) -> str:
    """In words what the pictures show."""
    counts: dict[str, int] = {}
    for step in view.steps:
        counts[step.status] = counts.get(step.status, 0) + 1
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    waits = "".join(f"; {each.words}" for each in view.waits[:5])
    return f"Run {view.run} of {view.workflow} is {view.status}. Steps: {told or 'none'}{waits}."


# ---------------------------------------------------------------- shared


@dataclass
class Picture:
    """A group of elements, and the size that it takes from 0, 0 on."""

    element: ET.Element
    width: float
    height: float


def _n(number: float) -> str:
    """A number of pixels, short, and the same on every machine."""
    return f"{number:.1f}".removesuffix(".0")


def _columns(text: str) -> int:
    """How many letters wide a text is; those of East Asia and most signs take two."""
    return sum(2 if east_asian_width(letter) in "WF" or ord(letter) > 0x1F000 else 1 for letter in text)


def _wide(text: str, size: float) -> float:
    return _columns(visible(text)) * LETTER * size


def _cut(text: str, letters: int) -> str:
    """A text of at most so many letters, in one line; what is left out of its middle is marked."""
    text = " ".join(visible(text).split())
    if _columns(text) <= letters:
        return text
    kept = list(text)
    while _columns("".join(kept)) >= letters:
        del kept[len(kept) // 2]
    return "".join([*kept[: len(kept) // 2], "…", *kept[len(kept) // 2 :]])


def _wrapped(text: str, letters: int, lines_max: int = 5) -> list[str]:
    """A text in lines of at most so many letters, broken at a space, underscore, stop or dash if there is one."""
    lines = [""]
    for piece in _pieces(" ".join(visible(text).split()), letters):
        if _columns((lines[-1] + piece).rstrip()) > letters:
            lines.append("")
        lines[-1] += piece
    lines = [line.strip() for line in lines]
    if len(lines) <= lines_max:
        return lines
    last = lines[lines_max - 1]
    return [*lines[: lines_max - 1], (last if _columns(last) < letters else last[: len(last) - 2]) + "…"]


def _pieces(text: str, letters: int) -> Iterator[str]:
    piece = ""
    for letter in text:
        if _columns(piece + letter) > letters:
            yield piece
            piece = ""
        piece += letter
        if letter in " _./-":
            yield piece
            piece = ""
    yield piece


def _text(parent: ET.Element, x: float, y: float, text: str, kind: str = "", anchor: str = "") -> None:
    element = ET.SubElement(parent, "text", {"x": _n(x), "y": _n(y)})
    if kind:
        element.set("class", kind)
    if anchor:
        element.set("text-anchor", anchor)
    element.text = visible(text)


# ---------------------------------------------------------------- the graph


@dataclass
class _Said:
    """What stands in the box of a node."""

    name: list[str]
    what: list[str]
    went: list[str]
    state: str
    """One of STATES; empty where the run never came."""
    whole: str
    """Everything, in one text."""

    @property
    def width(self) -> float:
        """Of the text."""
        return max(
            *(_wide(each, TEXT) for each in self.name), *(_wide(each, SMALL) for each in [*self.what, *self.went])
        )

    @property
    def height(self) -> float:
        """Of the text."""
        return (len(self.name) * TEXT + (len(self.what) + len(self.went)) * SMALL) * LINE_HEIGHT


@dataclass
class _Way:
    """All that leads from one node to another."""

    labels: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def graph(workflow: Workflow, view: RunView) -> Picture:
    """Every node and way of the workflow; those that the run came to coloured by how they went, its ways drawn bold."""
    visits: dict[str, list[StepView]] = {}
    taken: set[tuple[str, str]] = set()
    for step in view.steps:
        if step.kind == "compensation":
            continue
        visits.setdefault(step.node, []).append(step)
        taken.update((step.node, target) for target in step.next)
    said = {node.id: _said(node, visits.get(node.id, []), view) for node in workflow.nodes}
    found = _ways(workflow)
    first = [workflow.by_id[workflow.start], *(node for node in workflow.nodes if node.id != workflow.start)]
    boxes = [Box(node.id, *_box_size(node, said[node.id])) for node in first]
    lines = [Line(*ends, *_label_size(way), weight=1.0 if way.labels else 3.0) for ends, way in found.items()]
    placed = layout(boxes, lines)
    group = ET.Element("g")
    ordered = sorted(zip(found.items(), placed.routes, strict=True), key=lambda each: each[0][0] in taken)
    for (ends, _), route in ordered:
        _draw_way(group, route, ends in taken)
    for (ends, way), route in ordered:
        _draw_label(group, way, route, ends in taken)
    for box in boxes:
        _draw_box(group, workflow.by_id[box.id], box, placed.centres[box.id], said[box.id])
    return Picture(group, placed.width, placed.height)


def _ways(workflow: Workflow) -> dict[tuple[str, str], _Way]:
    found: dict[tuple[str, str], _Way] = {}
    for node in workflow.nodes:
        for target, label in ways(node):
            if target in workflow.by_id:
                way = found.setdefault((node.id, target), _Way())
                if label:
                    way.labels.append(label)
    for way in found.values():
        way.lines = [line for label in way.labels[:6] for line in _wrapped(label, LABEL_LETTERS, 3)]
        if len(way.labels) > 6:
            way.lines.append(f"and {len(way.labels) - 6} more")
    return found


def _label_size(way: _Way) -> tuple[float, float]:
    if not way.lines:
        return 0.0, 0.0
    return max(_wide(line, SMALL) for line in way.lines) + 8, len(way.lines) * SMALL * LINE_HEIGHT + 2


def _said(node: AnyNode, visits: Sequence[StepView], view: RunView) -> _Said:
    what = _what(node)
    states: dict[str, int] = {}
    failed = {each["path"] for each in view.not_undone}
    for step in visits:
        state = "undone" if step.path in view.undone else "not undone" if step.path in failed else step.status
        state = state if state in STATES else "failed"  # of an end node: how the run ended
        states[state] = states.get(state, 0) + 1
    state = max(states, key=ORDER.index, default="")
    went = [_went(visits, states, state)]
    if len(visits) == 1 and visits[0].note and node.kind not in ("split", "switch"):
        went.append(visits[0].note)
    if len(visits) == 1 and visits[0].error:
        went.append(str(visits[0].error.get("code")))
    return _Said(
        _wrapped(node.id, NAME_LETTERS),
        _wrapped(what, NOTE_LETTERS),
        [line for each in went for line in _wrapped(each, NOTE_LETTERS, 3)],
        state,
        f"{node.id}, {what}: {'; '.join(went)}",
    )


def _what(node: AnyNode) -> str:
    match node:
        case TaskNode():
            return node.capability
        case CallNode():
            return f"call {node.workflow}"
        case JoinNode():
            return f"join, {node.policy}"
        case SplitNode():
            return f"split into {len(node.branches)}"
        case ApprovalNode() | WaitNode() if node.deadline_seconds is not None:
            return f"{node.kind}, at most {duration(node.deadline_seconds)}"
        case _:
            return node.kind


def _went(visits: Sequence[StepView], states: Mapping[str, int], state: str) -> str:
    if not visits:
        return "not reached"
    if len(visits) > 1:
        told = " ".join(f"{STATES[each]} {states[each]}" for each in ORDER if each in states)
        return f"{told} of {len(visits)} visits"
    [step] = visits
    words = [f"{STATES[state]} {state}"]
    if step.ended_at is not None and (step.kind in WAITING or step.each_attempt):
        words.append(duration(step.ended_at - step.started_at))
    if step.attempts > 1:
        words.append(f"{step.attempts} attempts")
    return ", ".join(words)


def _box_size(node: AnyNode, said: _Said) -> tuple[float, float]:
    aside = 44 if node.kind in ("switch", "split", "map", "join") else 40 if node.kind in WAITING else 24
    return float(round(max(said.width + aside, 96))), float(round(said.height + 16))


def _draw_box(parent: ET.Element, node: AnyNode, box: Box, centre: Point, said: _Said) -> None:
    x, y = centre
    left, top, right, bottom = x - box.width / 2, y - box.height / 2, x + box.width / 2, y + box.height / 2
    group = ET.SubElement(parent, "g", {"class": f"node {said.state.replace(' ', '-') or 'untouched'}"})
    ET.SubElement(group, "title").text = visible(said.whole)
    if node.kind in ("switch", "split", "map", "join"):
        points = [(left, y), (left + 14, top), (right - 14, top), (right, y), (right - 14, bottom), (left + 14, bottom)]
        shape = {"points": " ".join(f"{_n(a)},{_n(b)}" for a, b in points)}
        ET.SubElement(group, "polygon", {"class": "box", **shape})
    else:
        round_by = min(box.height / 2, 26) if node.kind in WAITING else 14 if node.kind == "end" else 5
        _rect(group, left, top, box.width, box.height, round_by)
        if node.kind in ("call", "end"):
            _rect(group, left + 3, top + 3, box.width - 6, box.height - 6, max(round_by - 3, 2))
    at = top + 8
    for lines, size, kind in (
        (said.name, TEXT, "name"),
        (said.what, SMALL, "small soft"),
        (said.went, SMALL, "small sign"),
    ):
        for line in lines:
            at += size * LINE_HEIGHT
            _text(group, x, at - size * 0.35, line, kind, "middle")


def _rect(parent: ET.Element, x: float, y: float, width: float, height: float, round_by: float) -> None:
    where = {"x": _n(x), "y": _n(y), "width": _n(width), "height": _n(height), "rx": _n(round_by)}
    ET.SubElement(parent, "rect", {"class": "box", **where})


def _draw_way(parent: ET.Element, route: Route, taken: bool) -> None:
    group = ET.SubElement(parent, "g", {"class": "edge taken" if taken else "edge"})
    points, tip = route.points, 7.0
    (x, y), before = points[-1], points[-2]
    if route.sideways:
        (x0, y0), (reach, _) = points[0], points[1]
        path = f"M{_n(x0)} {_n(y0)}C{_n(reach + 6)} {_n(y0 - 8)} {_n(reach + 6)} {_n(y + 8)} {_n(x + tip)} {_n(y)}"
        corners = [(x, y), (x + tip, y - 4), (x + tip, y + 4)]
    else:
        down = 1 if y > before[1] else -1
        path = _path([*points[:-1], (x, y - down * tip)])
        corners = [(x, y), (x - 4, y - down * tip), (x + 4, y - down * tip)]
    ET.SubElement(group, "path", {"class": "way", "d": path})
    ET.SubElement(group, "polygon", {"class": "tip", "points": " ".join(f"{_n(a)},{_n(b)}" for a, b in corners)})


def _path(points: Sequence[Point]) -> str:
    path = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for (x0, y0), (x, y) in pairwise(points):
        if x0 == x:
            path.append(f"V{_n(y)}")
        else:
            middle = (y0 + y) / 2
            path.append(f"C{_n(x0)} {_n(middle)} {_n(x)} {_n(middle)} {_n(x)} {_n(y)}")
    return "".join(path)


def _draw_label(parent: ET.Element, way: _Way, route: Route, taken: bool) -> None:
    if not way.lines:
        return
    width, height = _label_size(way)
    x, y = route.label
    group = ET.SubElement(parent, "g", {"class": "label"})
    ET.SubElement(group, "title").text = visible(", ".join(way.labels))
    where = {"x": _n(x - width / 2), "y": _n(y - height / 2), "width": _n(width), "height": _n(height)}
    ET.SubElement(group, "rect", {"class": "mask", **where})
    for number, line in enumerate(way.lines, start=1):
        at = y - height / 2 + 1 + number * SMALL * LINE_HEIGHT - SMALL * 0.35
        _text(group, x, at, line, "small" if taken else "small soft", "middle")


# ---------------------------------------------------------------- the timeline


def timeline(view: RunView, now: float | None = None) -> Picture:
    """A Gantt chart: for each step and branch when it was at work, when it waited, and how long it took."""
    places = outline(view.steps, BRANCHES_SHOWN)
    rows = bars(view, places, now)
    axis = Axis(rows, begin_of(view), end_of(view, now))
    names = {row.path: "  " * row.depth + _cut(row.name, ROW_LETTERS - 2 * row.depth) for row in rows}
    left = max((_wide(name, TEXT) for name in names.values()), default=0.0) + 16
    took = [duration(row.seconds) for row in rows]
    right = max((_wide(each, SMALL) for each in took), default=0.0) + 12
    group = ET.Element("g")
    top = 34.0
    bottom = top + ROW * len(rows)
    _draw_grid(group, axis, left, top, bottom)
    hidden = {place.path: place.left_out for _, place in places.walk() if place.left_out}
    for index, (row, words) in enumerate(zip(rows, took, strict=True)):
        _draw_row(group, row, names[row.path], words, axis, left, top + ROW * index)
    for path, number in hidden.items():
        bottom += ROW
        _text(group, 0, bottom - 8, f"{path}: {number} more branches; ritesmith trace {view.run} --full", "small soft")
    words = "full: at work, light: waiting, line: around branches; the shaded time is drawn in short"
    _text(group, 0, bottom + 22, words if axis.breaks else words.partition(";")[0], "small soft")
    width = max(left + PLOT_WIDTH + right, _wide(words, SMALL))
    width = max(
        [width, *(_wide(f"{path}: 1000000 more branches; ritesmith trace {view.run} --full", SMALL) for path in hidden)]
    )
    return Picture(group, width, bottom + 28)


def _draw_grid(parent: ET.Element, axis: Axis, left: float, top: float, bottom: float) -> None:
    for first, last in axis.breaks:
        x, end = (left + axis.at(each) * PLOT_WIDTH for each in (first, last))
        where = {"x": _n(x), "y": _n(top - 4), "width": _n(end - x), "height": _n(bottom - top + 8)}
        ET.SubElement(parent, "rect", {"class": "short", **where})
    free, told = -1e9, ""
    for moment in axis.ticks(TICKS):
        x = left + axis.at(moment) * PLOT_WIDTH
        words = duration(moment - axis.begin) if moment > axis.begin else "0"
        half = _wide(words, SMALL) / 2
        where = {"x1": _n(x), "x2": _n(x), "y1": _n(top - 4), "y2": _n(bottom + 4)}
        ET.SubElement(parent, "line", {"class": "grid", **where})
        if x - half > free and words != told:
            _text(parent, x, top - 10, words, "small soft", "middle")
            free, told = x + half + 8, words


def _draw_row(parent: ET.Element, row: Bar, name: str, took: str, axis: Axis, left: float, y: float) -> None:
    group = ET.SubElement(parent, "g", {"class": f"row {row.status if row.status in STATES else 'failed'}"})
    ET.SubElement(group, "title").text = visible(f"{row.path}: {row.status}, {took}")
    _text(group, 0, y + 16, name, "name" if row.depth == 0 else "")
    for kind in ("around", "pause", "work"):
        for span in row.spans:
            if span.kind != kind:
                continue
            x, end = (left + axis.at(each) * PLOT_WIDTH for each in (span.begin, span.end))
            x = min(x, left + PLOT_WIDTH - 2)
            if kind == "around":
                where = {"x1": _n(x), "x2": _n(max(end, x + 2)), "y1": _n(y + 12), "y2": _n(y + 12)}
                ET.SubElement(group, "line", {"class": "around", **where})
            else:
                where = {"x": _n(x), "y": _n(y + (ROW - BAR) / 2), "width": _n(max(end - x, 2)), "height": _n(BAR)}
                ET.SubElement(group, "rect", {"class": kind, **where})
    _text(group, left + PLOT_WIDTH + 10, y + 16, took, "small soft")
