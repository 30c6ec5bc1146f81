"""A run as one HTML file that can be sent to someone: what it came to, its graph, its timeline and every step. Pure.

The file needs nothing from outside and holds no script; a content security policy says so to the browser as well.
Values in a trace come from outside: all of them become text in a tree of elements, never markup.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from ritesmith import saga
from ritesmith.models import JSON, Workflow
from ritesmith.trace import AttemptView, CallView, RunView, StepView, WaitingView
from ritesmith.views.picture import STATES, STYLE, described, graph, inline, timeline
from ritesmith.views.timeline import Place, duration, outline
from ritesmith.visible import visible

VALUE_LETTERS_MAX, SHORT_LETTERS_MAX, BRANCHES_SHOWN = 20_000, 90, 100
"""Of one value as it is unfolded, of one beside its name, and branches of one fork."""
PAGE_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
main { max-width: 1100px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 32px 0 8px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 12px 0; }
dt { color: var(--soft); } dd { margin: 0; }
code, pre, dd.mono { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 13px; }
pre { margin: 4px 0; padding: 8px 12px; background: var(--plain); border: 1px solid var(--faint); border-radius: 6px;
  white-space: pre-wrap; max-height: 480px; overflow-y: auto; }
.picture { overflow-x: auto; padding: 4px 0; }
.wait { border-left: 4px solid var(--waiting); background: var(--waiting-fill); padding: 8px 14px; margin: 8px 0; }
.error { border-left: 4px solid var(--failed); background: var(--failed-fill); padding: 8px 14px; margin: 8px 0; }
details { margin: 2px 0 2px 4px; } details > details, details > div, details > pre { margin-left: 22px; }
summary { cursor: pointer; padding: 2px 4px; border-radius: 4px; }
summary:hover { background: var(--plain); }
.soft { color: var(--soft); } .badge { padding: 1px 9px; border-radius: 10px; border: 1px solid; font-size: 15px; }
footer { margin-top: 40px; color: var(--soft); font-size: 13px; }
@media print { details:not([open]) > *:not(summary) { display: block; } pre { max-height: none; } }
""" + "\n".join(
    f".{name} {{ color: var(--{colour}); }}"
    for name, colour in {
        **{each: each for each in ("succeeded", "failed", "waiting", "running", "unknown", "dropped")},
        "compensation_failed": "failed",
        "compensated": "undone",
        "cancelled": "dropped",
        "retrying": "undone",
        "sleeping": "waiting",
        "compensating": "undone",
        "pending": "running",
    }.items()
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(workflow: Workflow, view: RunView, now: float | None = None) -> str:
    """The whole page. `now`: up to when what has not ended is drawn."""
    root = ET.Element("html", {"lang": "en"})
    head = _add(root, "head")
    ET.SubElement(head, "meta", {"charset": "utf-8"})
    ET.SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": POLICY})
    ET.SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    ET.SubElement(head, "meta", {"name": "referrer", "content": "no-referrer"})
    _add(head, "title", f"run {view.run} of {view.workflow}: {view.status}")
    _add(head, "style", STYLE + PAGE_STYLE)
    main = _add(_add(root, "body", kind="rs"), "main")
    _summary(main, view)
    for waiting in view.waits:
        _wait(main, waiting)
    if view.error:
        _error(main, view.error)
    if view.undone:
        _add(main, "p", f"Undone, newest first: {', '.join(view.undone)}")
    for each in view.not_undone:
        _error(main, each["error"], f"not undone: {each['path']}: ")
    _value(main, "input", view.input)
    if view.output is not None:
        _value(main, "output", view.output)
    _add(main, "h2", "Graph")
    _add(main, "div", kind="picture").append(inline(graph(workflow, view), described(view), "graph"))
    if view.steps:
        _add(main, "h2", "Timeline")
        title = f"When each step of run {view.run} was at work"
        _add(main, "div", kind="picture").append(inline(timeline(view, now), title, "timeline"))
    _add(main, "h2", "Steps")
    _places(main, outline(view.steps, BRANCHES_SHOWN))
    _add(
        main,
        "footer",
        f"Made by RiteSmith from the {view.entries} entries of the run's journal. The hash of the newest, which covers "
        f"all before it: {view.head}. ritesmith trace {view.run} --json tells the same to a program.",
    )
    return "<!doctype html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"


def _add(parent: ET.Element, tag: str, text: str = "", kind: str = "") -> ET.Element:
    element = ET.SubElement(parent, tag, {"class": kind} if kind else {})
    if text:
        element.text = visible(text)
    return element


def _summary(main: ET.Element, view: RunView) -> None:
    title = _add(main, "h1", f"{view.workflow} ")
    _add(title, "span", view.status.replace("_", " "), f"badge {view.status}")
    told = {
        "run": view.run,
        "outcome": view.outcome,
        "started": saga.iso(view.started_at),
        "took" if view.final else "so far": duration(view.updated_at - view.started_at),
        "fuel": str(view.fuel),
        "called by run": view.parent,
        "forked from run": view.forked_from,
        "taken over by run": view.taken_over_by,
        "workflow digest": view.digest,
        "Lua": view.lua_version,
        "journal": f"{view.entries} entries, head {view.head}",
    }
    rows = _add(main, "dl")
    for name, value in told.items():
        if value:
            _add(rows, "dt", name)
            _add(rows, "dd", value, "mono")


def _wait(main: ET.Element, waiting: WaitingView) -> None:
    box = _add(main, "div", kind="wait")
    _add(box, "div", waiting.words)
    if waiting.prompt is not None:
        _add(box, "strong", str(waiting.prompt))
    for number, command in enumerate((waiting.command, *waiting.others)):
        line = _add(box, "div", "next: " if number == 0 else "or: ")
        _add(line, "code", command)
    if waiting.accepts is not None:
        _value(box, "schema of what is awaited", waiting.accepts)


def _error(parent: ET.Element, error: Mapping[str, Any], before: str = "") -> None:
    _add(parent, "div", f"{before}{error.get('code')}: {error.get('message')}", "error")


def _value(parent: ET.Element, name: str, value: JSON) -> None:
    """A value, folded to what fits beside its name; an empty one has nothing to unfold."""
    short = _cut(json.dumps(value, ensure_ascii=False, sort_keys=True), SHORT_LETTERS_MAX)
    if value in ({}, [], None, ""):
        line = _add(parent, "div", f"{name} ")
        _add(line, "code", short, "soft")
        return
    folded = _add(parent, "details")
    _add(_add(folded, "summary", f"{name} "), "code", short, "soft")
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2)
    left_out = len(text) - VALUE_LETTERS_MAX
    _add(folded, "pre", text[:VALUE_LETTERS_MAX])
    if left_out > 0:
        _add(folded, "div", f"{left_out} more characters are left out here; ritesmith trace --json has them", "soft")


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _places(parent: ET.Element, place: Place) -> None:
    for each in place.below:
        folded = _add(parent, "details")
        if each.step is None:
            _add(_add(folded, "summary"), "strong", each.name)
        else:
            _head(_add(folded, "summary"), each.name, each.step)
            _step(folded, each.step)
        if each.step is None or each.below or each.step.status in ("failed", "unknown", "waiting"):
            folded.set("open", "")
        _places(folded, each)
    if place.left_out:
        _add(parent, "div", f"({place.left_out} more branches are left out here; --json has them)", "soft")


def _head(summary: ET.Element, name: str, step: StepView) -> None:
    _add(summary, "span", f"{STATES.get(step.status, '·')} ", step.status)
    _add(summary, "strong", name)
    words = f" ({step.kind})" if step.kind != "task" else ""
    if step.attempts > 1:
        words += f", {step.attempts} attempts"
    if step.ended_at is not None:
        words += f", {duration(step.ended_at - step.started_at)}"
    if step.fuel:
        words += f", fuel {step.fuel}"
    _add(summary, "span", words, "soft")
    _add(summary, "span", f" {step.status if not step.note else step.note}", step.status)


def _step(parent: ET.Element, step: StepView) -> None:
    _add(parent, "div", f"began {saga.iso(step.started_at)}", "soft")
    if step.input is not None:
        _value(parent, "input", step.input)
    for attempt in step.each_attempt:
        place = parent
        if step.attempts > 1:
            place = _add(parent, "details")
            place.set("open", "")
            _attempt(_add(place, "summary"), attempt)
        for call in step.calls:
            if call.attempt == attempt.attempt:
                _call(place, call)
    if step.error:
        _error(parent, step.error)
    if step.output is not None:
        _value(parent, "output", step.output)


def _attempt(summary: ET.Element, attempt: AttemptView) -> None:
    _add(summary, "span", f"{STATES.get(attempt.status, '·')} ", attempt.status)
    words = f"attempt {attempt.attempt}, fuel {attempt.fuel}"
    if attempt.ended_at is not None:
        words += f", {duration(attempt.ended_at - attempt.started_at)}"
    if attempt.error:
        words += f": {attempt.error.get('code')}: {attempt.error.get('message')}"
    if attempt.retry_at is not None:
        words += f"; again at {saga.iso(attempt.retry_at)}"
    _add(summary, "span", words)


def _call(parent: ET.Element, call: CallView) -> None:
    folded = _add(parent, "details")
    summary = _add(folded, "summary", "host call ")
    _add(summary, "code", call.function)
    if call.ended_at is None:
        _add(summary, "span", " nothing is known of its end", "unknown")
        return
    if call.started_at is not None:
        _add(summary, "span", f" {duration(call.ended_at - call.started_at)}", "soft")
    _value(folded, "arguments", call.args)
    if call.error:
        _add(summary, "span", f" {call.error.get('code')}", "failed")
        _error(folded, call.error)
    else:
        _value(folded, "result", call.result)
