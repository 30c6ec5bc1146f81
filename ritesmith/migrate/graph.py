"""Who comes before whom in a definition: nodes by name, and the ways from one to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def reachable(edges: Mapping[str, Sequence[str]], start: str) -> list[str]:
    """What a way leads to from `start`, it included, in the order in which it is first met."""
    found, pending = dict[str, None](), [start]
    while pending:
        node = pending.pop()
        if node not in found:
            found[node] = None
            pending.extend(reversed(edges.get(node, ())))
    return list(found)


def reversed_edges(edges: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Node -> those before it."""
    back: dict[str, list[str]] = {node: [] for node in edges}
    for node, targets in edges.items():
        for target in dict.fromkeys(targets):
            back.setdefault(target, []).append(node)
    return back


def dominators(edges: Mapping[str, Sequence[str]], start: str) -> dict[str, set[str]]:
    """Node -> those through which every way from `start` to it leads, itself included; only nodes that are reached."""
    order = in_order(edges, start)
    back = reversed_edges({node: edges.get(node, ()) for node in order})
    found = {node: set(order) for node in order}
    found[start] = {start}
    changed = True
    while changed:
        changed = False
        for node in order:
            if node == start:
                continue
            before = [found[each] for each in back[node] if each in found]
            now = set.intersection(*before) | {node} if before else {node}
            if now != found[node]:
                found[node], changed = now, True
    return found


def in_order(edges: Mapping[str, Sequence[str]], start: str) -> list[str]:
    """What is reached from `start`, each before those that it leads to, but for ways back (reverse postorder)."""
    done: list[str] = []
    seen = {start}
    stack = [(start, iter(edges.get(start, ())))]
    while stack:
        node, targets = stack[-1]
        following = next((each for each in targets if each not in seen), None)
        if following is None:
            done.append(node)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(edges.get(following, ()))))
    return done[::-1]


def unavoidable(edges: Mapping[str, Sequence[str]], start: str) -> set[str]:
    """The nodes that every way from `start` to an end leads through; where no way ends, those before the choice."""
    order = in_order(edges, start)
    ends = [node for node in order if not edges.get(node)]
    found = dominators(edges, start)
    return set.intersection(*(found[each] for each in ends)) if ends else {start}


def cycles_back(edges: Mapping[str, Sequence[str]], start: str) -> set[tuple[str, str]]:
    """The edges that lead back to where a way has come by already, as (from, to)."""
    place = {node: index for index, node in enumerate(in_order(edges, start))}
    return {
        (node, target)
        for node, targets in edges.items()
        if node in place
        for target in targets
        if place.get(target, len(place)) <= place[node]
    }


def levels(nodes: Iterable[str], before: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Nodes by level: the first those that wait for none, then those that wait for the first, and so on."""
    left = list(nodes)
    placed: set[str] = set()
    found: list[list[str]] = []
    while left:
        level = [node for node in left if all(each in placed or each not in left for each in before[node])]
        if not level:
            return found
        found.append(level)
        placed.update(level)
        left = [node for node in left if node not in placed]
    return found
