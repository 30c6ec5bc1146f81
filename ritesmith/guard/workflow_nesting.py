"""How a workflow is nested: where each split and map ends, which node lies in which branch, and where that goes wrong.

A body is what is walked from a branch's start to its join: the nodes of one branch of a split, or those of a map. The
trunk is the body that lies in no other. Every walk is iterative; a well nested workflow takes linear time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from ritesmith.models import (
    AnyNode,
    ApprovalNode,
    CallNode,
    EndNode,
    Finding,
    JoinNode,
    MapNode,
    SleepNode,
    SplitNode,
    SwitchNode,
    TaskNode,
    WaitNode,
    Where,
    Workflow,
)

NESTING_MAX = 20
"""How deep splits and maps may stand in one another."""
TRUNK = 0
"""Number of the body that is the workflow itself, outside of every branch."""
_CLAIM_STEPS = 20
"""Steps for each node to find out which body it lies in; well nested bodies need two in all."""


class Edge(NamedTuple):
    """A way out of a node. `target` None ends the run. `gives`: the node's output is there on this way."""

    target: str | None
    path: str
    gives: bool


def edges_of(node: AnyNode, at: str) -> list[Edge]:
    """The ways out of a node that stands at the JSON path `at`; a split or map goes on at its join."""
    if isinstance(node, EndNode):
        return []
    if isinstance(node, SplitNode | MapNode):
        return [Edge(node.join, f"{at}.join", False)]
    if isinstance(node, SwitchNode):
        cases = [Edge(case.target, f"{at}.cases[{index}].target", False) for index, case in enumerate(node.cases)]
        return [*cases, Edge(node.default, f"{at}.default", False)]
    edges = [Edge(node.next, f"{at}.next", not isinstance(node, SleepNode))]
    if isinstance(node, TaskNode | CallNode):
        for index, handler in enumerate(node.on_error):
            edges.append(Edge(handler.target, f"{at}.on_error[{index}].target", False))
    if isinstance(node, ApprovalNode) and node.on_reject is not None:
        edges.append(Edge(node.on_reject, f"{at}.on_reject", True))
    if isinstance(node, WaitNode | ApprovalNode) and node.on_timeout is not None:
        edges.append(Edge(node.on_timeout, f"{at}.on_timeout", False))
    return edges


def starts_of(node: AnyNode, at: str) -> list[Edge]:
    """Where the branches of a split, or the elements of a map, begin; nothing for other nodes."""
    if isinstance(node, SplitNode):
        return [
            Edge(branch.start, f"{at}.branches[{index}].start", False) for index, branch in enumerate(node.branches)
        ]
    return [Edge(node.start, f"{at}.start", False)] if isinstance(node, MapNode) else []


# ---------------------------------------------------------------- nesting


@dataclass
class Body:
    """The nodes of one branch of a split, or those of a map. The first body of all is the trunk."""

    start: int
    opener: int = -1
    """The split or map; -1 for the trunk."""
    branch: str = ""
    """The branch's id; empty for a map."""
    join: int = -1
    parent: int = TRUNK
    """The body in which the opener lies."""
    depth: int = 0
    map: int = TRUNK
    """The innermost body of a map that this one lies in, or is; the trunk when there is none."""


class Nesting:
    """Which node lies in which body. Every target is there, and every join belongs to one split or map."""

    def __init__(self, nodes: Sequence[AnyNode], index: Mapping[str, int], start: str) -> None:
        self.nodes = nodes
        self.index = index
        self.after = [[index[edge.target] for edge in edges_of(node, "") if edge.target is not None] for node in nodes]
        """Node -> nodes that come next by any way, in the same body where all is well; after a split, its join."""
        self.bodies = [Body(index[start])]
        self.opened: dict[int, list[int]] = {}
        """Split or map -> its bodies."""
        self.opener: dict[int, int] = {}
        """Join -> its split or map."""
        for number, node in enumerate(nodes):
            if isinstance(node, SplitNode | MapNode):
                branches = [each.id for each in node.branches] if isinstance(node, SplitNode) else [""]
                starts = [index[each.target] for each in starts_of(node, "") if each.target is not None]
                first = len(self.bodies)
                self.opened[number] = list(range(first, first + len(starts)))
                self.opener[index[node.join]] = number
                self.bodies += [
                    Body(at, number, branch, index[node.join]) for at, branch in zip(starts, branches, strict=True)
                ]
        self.of = [-1] * len(nodes)
        """Node -> the body that it lies in. A node that two bodies could have lies in the first of them."""
        self.reached = [False] * len(nodes)
        self._left = _CLAIM_STEPS * len(nodes)
        self._claim()
        self._walk()

    def around(self, body: int) -> Iterator[int]:
        """The body and all bodies around it, from the inside outward; the trunk is the last."""
        while body != TRUNK:
            yield body
            body = self.bodies[body].parent
        yield TRUNK

    def place(self, body: int) -> str:
        """A body as it reads in a sentence."""
        if body == TRUNK:
            return "the trunk"
        opener, branch = self.nodes[self.bodies[body].opener].id, self.bodies[body].branch
        return f"the branch {branch!r} of {opener!r}" if branch else f"the map {opener!r}"

    def comes_to_join(self, node: int, target: int) -> bool:
        """Whether a way leads to a join, other than the one over the branches of its split."""
        return target in self.opener and self.opener[target] != node

    def _claim(self) -> None:
        """Give each body the nodes on the ways from its start to its join, starts before all others."""
        between = [self._between(body) for body in self.bodies[1:]]
        for number, nodes in enumerate(between, 1):
            if nodes and self.of[nodes[0]] < 0:
                self.of[nodes[0]] = number
        for number, nodes in enumerate(between, 1):
            for node in nodes:
                if self.of[node] < 0:
                    self.of[node] = number

    def _between(self, body: Body) -> list[int]:
        """The nodes from which a body's join can be reached, among those that can be reached from its start.

        The start comes first; none when it is not one of them, or when there is no time to find out.
        """
        if body.start == body.opener or body.start in self.opener:
            return []
        found, seen = [body.start], {body.start}
        before: dict[int, list[int]] = {}
        last = []
        for node in found:
            self._left -= 1
            if self._left < 0:
                return []
            for target in self.after[node]:
                if target == body.join:
                    last.append(node)
                elif target != body.opener and not self.comes_to_join(node, target):
                    before.setdefault(target, []).append(node)
                    if target not in seen:
                        seen.add(target)
                        found.append(target)
        leading = set(last)
        pending = last
        while pending:
            for node in before.get(pending.pop(), ()):
                if node not in leading:
                    leading.add(node)
                    pending.append(node)
        return [node for node in found if node in leading] if body.start in leading else []

    def _walk(self) -> None:
        """Walk the trunk, then every body that it leads to; each takes what no body has yet."""
        order = [TRUNK]
        for number in order:
            body = self.bodies[number]
            if body.start in self.opener:
                continue
            if self.of[body.start] < 0:
                self.of[body.start] = number
            found = [body.start] if self.of[body.start] == number else []
            for node in found:
                if self.reached[node]:
                    continue
                self.reached[node] = True
                for each in self.opened.get(node, ()):
                    self._enter(each, number)
                    order.append(each)
                for target in self.after[node]:
                    if not self.comes_to_join(node, target):
                        if self.of[target] < 0:
                            self.of[target] = number
                        if self.of[target] == number:
                            found.append(target)

    def _enter(self, number: int, parent: int) -> None:
        body, outer = self.bodies[number], self.bodies[parent]
        body.parent, body.depth = parent, outer.depth + 1
        body.map = number if isinstance(self.nodes[body.opener], MapNode) else outer.map


# ---------------------------------------------------------------- findings

Near: TypeAlias = Callable[[str, Iterable[str]], str]
"""(name, known names) -> a hint with the near miss, or nothing."""


def finding(code: str, path: str, message: str, hint: str = "", *, warning: bool = False) -> Finding:
    """A finding at a JSON path."""
    severity: Any = "warning" if warning else "error"
    return Finding(code=code, severity=severity, where=Where(path=path), message=message, hint=hint)


def structure_findings(workflow: Workflow, index: Mapping[str, int], near: Near) -> list[Finding]:
    """What must be right before anything can be said of the nesting: ids, targets, and a join for each split and map.

    Codes: `duplicate_id`, `unknown_target`, `wrong_kind`, `shared_join`, `join_without_split`.
    """
    found = []
    for number, node in enumerate(workflow.nodes):
        if index[node.id] != number:
            message = f"the id {node.id!r} is node {index[node.id]}'s already"
            found.append(finding("duplicate_id", f"$.nodes[{number}].id", message))
    ways = ([*starts_of(node, at), *edges_of(node, at)] for node, at in _placed(workflow.nodes))
    for edge in itertools.chain([Edge(workflow.start, "$.start", False)], *ways):
        if edge.target is not None and edge.target not in index:
            message = f"there is no node {edge.target!r}"
            found.append(finding("unknown_target", edge.path, message, near(edge.target, index)))
    opener: dict[str, str] = {}
    joins = [node.id for node in workflow.nodes if isinstance(node, JoinNode)]
    for node, at in _placed(workflow.nodes):
        if not isinstance(node, SplitNode | MapNode) or node.join not in index:
            continue
        join = workflow.nodes[index[node.join]]
        if not isinstance(join, JoinNode):
            message = f"{node.join!r} is a {join.kind} node, and a {node.kind} ends at a join"
            hint = near(node.join, joins) or "add a node of kind 'join', and name it here"
            found.append(finding("wrong_kind", f"{at}.join", message, hint))
        elif opener.setdefault(node.join, node.id) != node.id:
            message = f"the join {node.join!r} belongs to {opener[node.join]!r} already"
            found.append(finding("shared_join", f"{at}.join", message, f"give {node.id!r} a join of its own"))
    if not found:  # else a join may be without a split only because of what was found already
        for node, at in _placed(workflow.nodes):
            if isinstance(node, JoinNode) and node.id not in opener:
                message = f"no split or map names {node.id!r} as its join"
                found.append(finding("join_without_split", at, message, "name it as the 'join' of one, or remove it"))
    return found


def nesting_findings(nesting: Nesting) -> list[Finding]:
    """Where a way does not stay in the body that it begins in until it comes to that body's join.

    Codes: `ends_in_branch`, `leaves_branch`, `enters_branch`, `join_from_outside`, `nesting_too_deep`; as a warning
    `empty_branch`. What is not reached is left to the graph.
    """
    start = nesting.nodes[nesting.bodies[TRUNK].start].id
    found = [_way_problem(nesting, TRUNK, Edge(start, "$.start", False))]
    for number, (node, at) in enumerate(_placed(nesting.nodes)):
        if not nesting.reached[number]:
            continue
        body = nesting.of[number]
        if number in nesting.opened:
            found += _opening_problems(nesting, number, at)
        elif isinstance(node, EndNode):
            found.append(_end_problem(nesting, body, at))
        else:
            found += [_way_problem(nesting, body, edge) for edge in edges_of(node, at)]
    return [each for each in found if each is not None]


def _placed(nodes: Sequence[AnyNode]) -> Iterator[tuple[AnyNode, str]]:
    """Every node with its JSON path."""
    return ((node, f"$.nodes[{number}]") for number, node in enumerate(nodes))


def _opening_problems(nesting: Nesting, opener: int, at: str) -> list[Finding | None]:
    found: list[Finding | None] = []
    node = nesting.nodes[opener]
    if nesting.bodies[nesting.opened[opener][0]].depth == NESTING_MAX + 1:
        message = f"{node.id!r} stands in {NESTING_MAX} splits and maps, one in the other; more is not offered"
        hint = "move what is inside into a workflow of its own, and call it"
        found.append(finding("nesting_too_deep", at, message, hint))
    for number, edge in zip(nesting.opened[opener], starts_of(node, at), strict=True):
        found.append(_way_problem(nesting, number, edge))
        if nesting.bodies[number].start == nesting.bodies[number].join:
            message = f"{nesting.place(number)} has no node, so its output is null"
            hint = "let it start at a node of its own"
            found.append(finding("empty_branch", edge.path, message, hint, warning=True))
    return found


def _way_problem(nesting: Nesting, body: int, edge: Edge) -> Finding | None:
    """What is wrong with a way that begins in a body."""
    if edge.target is None:
        return _end_problem(nesting, body, edge.path)
    target, own = nesting.index[edge.target], nesting.bodies[body].join
    inside = nesting.of[target]
    if target == own or (inside == body and target not in nesting.opener):
        return None
    if target in nesting.opener:
        opener = nesting.nodes[nesting.opener[target]].id
        if all(nesting.bodies[each].join != target for each in nesting.around(body)):
            message = f"{edge.target!r} is the join of {opener!r}, and this way comes from {nesting.place(body)}"
            hint = f"only what {opener!r} starts may come to it; go to {opener!r}, or to what follows the join"
            return finding("join_from_outside", edge.path, message, hint)
    message = f"{edge.target!r} is in {nesting.place(inside)}, and this way comes from {nesting.place(body)}"
    if target not in nesting.opener and body in nesting.around(inside):
        entry = nesting.nodes[nesting.bodies[inside].opener]
        return finding("enters_branch", edge.path, message, f"the only way in is from the {entry.kind} {entry.id!r}")
    hint = f"go on to the join {nesting.nodes[own].id!r}; what follows is done after it"
    return finding("leaves_branch", edge.path, message, hint)


def _end_problem(nesting: Nesting, body: int, path: str) -> Finding | None:
    if body == TRUNK:
        return None
    join = nesting.nodes[nesting.bodies[body].join].id
    message = f"the run can't end within {nesting.place(body)}"
    return finding("ends_in_branch", path, message, f"go on to the join {join!r}, and end the run after it")
