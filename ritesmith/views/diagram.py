"""A run as a diagram: the graph of its workflow, and what the trace says of each node, as Mermaid text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ritesmith.models import (
    AnyNode,
    ApprovalNode,
    CallNode,
    MapNode,
    SplitNode,
    SwitchNode,
    TaskNode,
    WaitNode,
    Workflow,
)
from ritesmith.trace import RunView

SHAPES = {
    "task": '["{}"]',
    "call": '[["{}"]]',
    "switch": '{{"{}"}}',
    "sleep": '(["{}"])',
    "wait": '(["{}"])',
    "approval": '(["{}"])',
    "split": '{{{{"{}"}}}}',
    "map": '{{{{"{}"}}}}',
    "join": '{{{{"{}"}}}}',
    "end": '(("{}"))',
}
"""How Mermaid writes each kind of node (https://mermaid.js.org/syntax/flowchart.html)."""
COLOURS = {
    "succeeded": "fill:#d5f0dc,stroke:#2e8b57",
    "failed": "fill:#f8d7da,stroke:#b02a37",
    "undone": "fill:#fff3cd,stroke:#997404",
    "waiting": "fill:#cff4fc,stroke:#087990",
    "running": "fill:#e2e3e5,stroke:#41464b",
}
ORDER = ("succeeded", "undone", "running", "waiting", "failed")
"""Of the visits of a node the one that stands last here gives it its colour."""


def mermaid(workflow: Workflow, view: RunView) -> str:
    """A Mermaid flowchart: every node and way of the workflow, those that the run came to coloured by how they went."""
    names = {node.id: f"n{number}" for number, node in enumerate(workflow.nodes)}
    lines = ["flowchart TD"]
    for node in workflow.nodes:
        lines.append(f"  {names[node.id]}{SHAPES[node.kind].format(_label(node))}")
    for node in workflow.nodes:
        for target, words in ways(node):
            if target in names:
                said = f'|"{_text(words)}"|' if words else ""
                lines.append(f"  {names[node.id]} -->{said} {names[target]}")
    colours = _colours(view)
    for status, style in COLOURS.items():
        which = [names[node] for node, its in colours.items() if its == status and node in names]
        if which:
            lines += [f"  classDef {status} {style}", f"  class {','.join(which)} {status}"]
    return "\n".join(lines)


def _label(node: AnyNode) -> str:
    what = node.capability if isinstance(node, TaskNode) else node.workflow if isinstance(node, CallNode) else node.kind
    return _text(f"{node.id}") + f"<br/>{_text(what)}"


def ways(node: AnyNode) -> Iterator[tuple[str, str]]:
    """Where a node may lead, each with what is written on the way."""
    match node:
        case SwitchNode():
            yield from ((case.target, f"case {index}") for index, case in enumerate(node.cases, 1))
            yield node.default, "otherwise"
        case SplitNode():
            yield from ((branch.start, branch.id) for branch in node.branches)
        case MapNode():
            yield node.start, "each"
        case _:
            if getattr(node, "next", None) is not None:
                yield node.next, ""  # type: ignore[union-attr, misc]
    if isinstance(node, TaskNode | CallNode):
        yield from ((each.target, "any error" if each.code == "*" else each.code) for each in node.on_error)
    if isinstance(node, ApprovalNode) and node.on_reject is not None:
        yield node.on_reject, "rejected"
    if isinstance(node, ApprovalNode | WaitNode) and node.on_timeout is not None:
        yield node.on_timeout, "too late"


def _colours(view: RunView) -> dict[str, str]:
    """Node id -> how its visits went."""
    colours: dict[str, str] = {}
    not_undone = {each["path"] for each in view.not_undone}
    for step in view.steps:
        if step.kind == "compensation":
            continue
        status = "waiting" if step.status in ("sleeping", "unknown", "retrying") else step.status
        status = "undone" if step.path in view.undone else status
        status = status if status in COLOURS and step.path not in not_undone else "failed"
        colours[step.node] = max(colours.get(step.node, "succeeded"), status, key=ORDER.index)
    return colours


def _text(words: str) -> str:
    """A text as Mermaid takes it between quotes: letters that mean something to it by their numbers."""
    return re.sub(r'["#<>&\\`\n;]', lambda found: f"#{ord(found[0])};", words)
