"""The ways through a workflow: who comes before whom, what goes round, what leads to an end. Numbers only, no findings.

Nodes are numbered as they stand in the file. Every walk is iterative and near linear. Whether the producer of an output
has run whenever its consumer reads it is dominance in the graph with one vertex more for each producer, which stands on
the ways where it succeeded. Dominators are found as in Lengauer and Tarjan, "A fast algorithm for finding dominators in
a flowgraph" (1979), the simple version; cycles as in Tarjan, "Depth-first search and linear graph algorithms" (1972).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator

from ritesmith.guard.workflow_nesting import TRUNK, Nesting, edges_of
from ritesmith.models import ApprovalNode, JoinNode, MapNode, SleepNode, SplitNode, WaitNode

_PAUSES = (SleepNode, WaitNode, ApprovalNode)


class Graph:
    """A well nested workflow as numbers. Vertex i is node i; vertex n+i stands where node i has given its output.

    A body is a dead end: what happens in it is not seen at the join, which comes after the split or map itself.
    """

    def __init__(self, nesting: Nesting) -> None:
        self.nodes = nodes = nesting.nodes
        self.nesting = nesting
        self.size = len(nodes)
        self.start = nesting.bodies[TRUNK].start
        self.next: list[list[int]] = [[] for _ in range(2 * self.size)]
        self.exits: set[int] = set()
        """Nodes after which the run may end, or the body that they lie in."""
        self.after: list[list[int]] = []
        """Node -> nodes of the same body that come next, by any way."""
        self.before: list[list[tuple[int, bool]]] = [[] for _ in nodes]
        """Node -> (node that comes before it, does that one give an output on this way)."""
        for number, node in enumerate(nodes):
            ways = edges_of(node, "")
            after = []
            for edge in ways:
                vertex = number
                if edge.gives:
                    vertex = self.success(number)
                    if vertex not in self.next[number]:
                        self.next[number].append(vertex)
                if edge.target is not None:
                    target = nesting.index[edge.target]
                    self.before[target].append((number, edge.gives))
                    if not nesting.comes_to_join(number, target):
                        after.append(target)
                        self.next[vertex].append(target)
            if len(after) < len(ways) or not ways:
                self.exits.add(number)
            self.after.append(after)
            starts = (nesting.bodies[body] for body in nesting.opened.get(number, ()))
            self.next[number] += [body.start for body in starts if body.start != body.join]
        self._enter, self._leave = dominator_intervals(self.next, self.start)
        self._leads: tuple[list[int], list[int]] | None = None

    def node(self, vertex: int) -> int:
        return vertex % self.size

    def success(self, node: int) -> int:
        return self.size + node

    def reached(self, vertex: int) -> bool:
        return self._enter[vertex] >= 0

    def dominates(self, vertex: int, other: int) -> bool:
        """Whether every way from the start to `other` passes `vertex`; both are reached, or the answer is False."""
        return 0 <= self._enter[vertex] <= self._enter[other] < self._leave[vertex]

    def leads(self, vertex: int, node: int) -> bool:
        """Whether any way leads from the vertex to the node. Computed for all at once when first asked."""
        if self._leads is None:
            self._leads = self._closure()
        component, bits = self._leads
        return bool(bits[component[vertex]] >> node & 1)

    def _closure(self) -> tuple[list[int], list[int]]:
        component = [0] * len(self.next)
        bits: list[int] = []
        for members in components(self.next):  # each comes after all that it leads to
            reached = 0
            for vertex in members:
                component[vertex] = len(bits)
                if vertex < self.size:
                    reached |= 1 << vertex
            inside = set(members)
            for vertex in members:
                for each in self.next[vertex]:
                    if each not in inside:
                        reached |= bits[component[each]]
            bits.append(reached)
        return component, bits

    def way_round(self, avoided: int, reader: int) -> list[int]:
        """The nodes of a shortest way from the start to the reader that does not pass the avoided vertex."""
        came_from = {self.start: self.start}
        pending = deque([self.start])
        while pending and reader not in came_from:
            vertex = pending.popleft()
            for each in self.next[vertex]:
                if each != avoided and each not in came_from:
                    came_from[each] = vertex
                    pending.append(each)
        way = [reader]
        while way[-1] != self.start:
            way.append(came_from[way[-1]])
        return [vertex for vertex in reversed(way) if vertex < self.size]

    def last_givers(self, number: int) -> tuple[list[int], bool]:
        """The nodes whose output may be the last of a body, and whether it may come to its join without any."""
        body = self.nesting.bodies[number]
        givers: dict[int, None] = {}
        none = body.start == body.join
        pending, seen = [body.join], {body.join}
        while pending:
            for node, gives in self.before[pending.pop()]:
                if self.nesting.of[node] != number:
                    continue
                if gives:
                    givers[node] = None
                elif node not in seen:
                    seen.add(node)
                    pending.append(node)
                    none = none or node == body.start
        return sorted(givers), none

    def unpausing_cycles(self) -> list[list[int]]:
        """One cycle for each knot of nodes that can go round without a pause, by number of the first node."""
        pauses = self._pauses()
        after = [
            [] if node in pauses else [each for each in ways if each not in pauses]
            for node, ways in enumerate(self.after)
        ]
        cycles = []
        for members in components(after):
            if len(members) > 1 or members[0] in after[members[0]]:
                cycles.append(_cycle(min(members), set(members), after))
        return sorted(cycles)

    def _pauses(self) -> set[int]:
        """The nodes that always pause: a split does when what its join waits for does, a map may have no element."""
        pauses = {number for number, node in enumerate(self.nodes) if isinstance(node, _PAUSES)}
        for opener, join in self._inner_first():
            if isinstance(self.nodes[opener], SplitNode):
                paused = [self._always(body, pauses) for body in self.nesting.opened[opener]]
                if all(paused) if join.policy == "any" else any(paused):
                    pauses.add(opener)
        return pauses

    def _inner_first(self) -> Iterator[tuple[int, JoinNode]]:
        """Every split and map with its join, those within others first."""
        bodies = self.nesting.bodies
        openers = [(bodies[numbers[0]].depth, opener) for opener, numbers in self.nesting.opened.items()]
        for _, opener in sorted(openers, reverse=True):
            join = self.nodes[bodies[self.nesting.opened[opener][0]].join]
            assert isinstance(join, JoinNode)
            yield opener, join

    def _always(self, number: int, passed: set[int]) -> bool:
        """Whether every way through a body passes one of the nodes."""
        body = self.nesting.bodies[number]
        if body.start == body.join:
            return False
        pending, seen = [body.start], {body.start} | passed
        if body.start in passed:
            return True
        while pending:
            node = pending.pop()
            if node in self.exits:
                return False
            for each in self.after[node]:
                if each not in seen:
                    seen.add(each)
                    pending.append(each)
        return True

    def endless(self) -> list[int]:
        """The reached nodes from which no way leads to an end, or to the join of the body that they lie in."""
        before: list[list[int]] = [[] for _ in range(self.size)]
        for node, ways in enumerate(self.after):
            for each in ways:
                before[each].append(node)
        ending = set(self.exits)
        pending = list(ending)
        while pending:
            for each in before[pending.pop()]:
                if each not in ending:
                    ending.add(each)
                    pending.append(each)
        return [node for node in range(self.size) if node not in ending and self.reached(node)]

    def steps_to_end(self) -> int | None:
        """The fewest steps in which the run can end, those of all branches together; None where there is no end.

        A join is no step. Of a map no step is counted, since it may have no element, and of a branch that may fail
        under `settled` only the first.
        """
        cost = [0 if isinstance(node, JoinNode) else 1 for node in self.nodes]
        for opener, join in self._inner_first():
            if isinstance(self.nodes[opener], MapNode):
                continue
            bodies = [self.nesting.bodies[number] for number in self.nesting.opened[opener]]
            steps = [0 if body.start == body.join else self._fewest(body.start, cost) or 0 for body in bodies]
            if join.policy == "settled":
                steps = [min(each, 1) for each in steps]
            cost[opener] += min(steps) if join.policy == "any" else sum(steps)
        return self._fewest(self.start, cost)

    def _fewest(self, start: int, cost: list[int]) -> int | None:
        """The least sum of costs on a way from the start to an exit (Dijkstra 1959)."""
        pending = [(cost[start], start)]
        done: set[int] = set()
        while pending:
            steps, node = heapq.heappop(pending)
            if node in self.exits:
                return steps
            if node not in done:
                done.add(node)
                for each in self.after[node]:
                    if each not in done:
                        heapq.heappush(pending, (steps + cost[each], each))
        return None


# ---------------------------------------------------------------- graphs as such


def _cycle(start: int, members: set[int], after: list[list[int]]) -> list[int]:
    """A shortest way from a node of a knot round to itself."""
    came_from: dict[int, int] = {}
    pending = deque([start])
    while start not in came_from:
        node = pending.popleft()
        for each in after[node]:
            if each in members and each not in came_from:
                came_from[each] = node
                pending.append(each)
    cycle = [start]
    while came_from[cycle[-1]] != start:
        cycle.append(came_from[cycle[-1]])
    return [start, *reversed(cycle[1:])]


def components(after: list[list[int]]) -> Iterator[list[int]]:
    """The strongly connected components, each after all components that it leads to (Tarjan, without recursion)."""
    number = [-1] * len(after)
    low = [0] * len(after)
    open_ = [False] * len(after)
    stack: list[int] = []
    count = 0
    for root in range(len(after)):
        if number[root] >= 0:
            continue
        work = [(root, iter(after[root]))]
        number[root] = low[root] = count
        count += 1
        stack.append(root)
        open_[root] = True
        while work:
            vertex, ways = work[-1]
            for each in ways:
                if number[each] < 0:
                    number[each] = low[each] = count
                    count += 1
                    stack.append(each)
                    open_[each] = True
                    work.append((each, iter(after[each])))
                    break
                if open_[each]:
                    low[vertex] = min(low[vertex], number[each])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[vertex])
                if low[vertex] == number[vertex]:
                    members = []
                    while True:
                        each = stack.pop()
                        open_[each] = False
                        members.append(each)
                        if each == vertex:
                            break
                    yield members


def dominator_intervals(after: list[list[int]], start: int) -> tuple[list[int], list[int]]:
    """The dominator tree as intervals: a dominates b if enter[a] <= enter[b] < leave[a]; enter is -1 if not reached."""
    order, parent, before = _depth_first(after, start)
    dominator = _dominators(parent, before)
    size = [1] * len(order)
    for each in range(len(order) - 1, 0, -1):
        size[dominator[each]] += size[each]
    enter, leave = [-1] * len(after), [-1] * len(after)
    first = [0] * len(order)
    free = [1] * len(order)
    for each, vertex in enumerate(order):
        if each:
            above = dominator[each]
            first[each] = free[above]
            free[above] += size[each]
            free[each] = first[each] + 1
        enter[vertex], leave[vertex] = first[each], first[each] + size[each]
    return enter, leave


def _depth_first(after: list[list[int]], start: int) -> tuple[list[int], list[int], list[list[int]]]:
    """Vertices in depth-first order, and by their number in it: the parent in the tree, and all predecessors."""
    number = {start: 0}
    order, parent = [start], [0]
    work = [(0, iter(after[start]))]
    while work:
        above, ways = work[-1]
        for each in ways:
            if each not in number:
                number[each] = len(order)
                order.append(each)
                parent.append(above)
                work.append((number[each], iter(after[each])))
                break
        else:
            work.pop()
    before: list[list[int]] = [[] for _ in order]
    for each, vertex in enumerate(order):
        for target in after[vertex]:
            before[number[target]].append(each)
    return order, parent, before


def _dominators(parent: list[int], before: list[list[int]]) -> list[int]:
    """The immediate dominator of each vertex, all named by their depth-first number; 0 is the root."""
    count = len(parent)
    semi, label = list(range(count)), list(range(count))
    ancestor = [-1] * count
    waiting: list[list[int]] = [[] for _ in range(count)]
    dominator = [0] * count

    def best(vertex: int) -> int:
        """The vertex of least semidominator on the way up the forest, with the way made shorter for the next time."""
        way = []
        each = vertex
        while ancestor[each] >= 0 and ancestor[ancestor[each]] >= 0:
            way.append(each)
            each = ancestor[each]
        for each in reversed(way):
            above = ancestor[each]
            if semi[label[above]] < semi[label[each]]:
                label[each] = label[above]
            ancestor[each] = ancestor[above]
        return label[vertex]

    for vertex in range(count - 1, 0, -1):
        for each in before[vertex]:
            semi[vertex] = min(semi[vertex], semi[best(each)])
        waiting[semi[vertex]].append(vertex)
        above = parent[vertex]
        ancestor[vertex] = above
        for each in waiting[above]:
            lowest = best(each)
            dominator[each] = lowest if semi[lowest] < semi[each] else above
        waiting[above] = []
    for vertex in range(1, count):
        if dominator[vertex] != semi[vertex]:
            dominator[vertex] = dominator[dominator[vertex]]
    return dominator
