"""Where the boxes and lines of a directed graph go on paper: in layers, every line from above to below. Pure.

The steps are those of Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures"
(1981): turn the lines that close cycles, put every box on a layer, order each layer by barycentres so that few lines
cross, then place. Labels lie on layers of their own, and a line that passes a layer has a place on it, so that no line
runs through a box or a label. Places within a layer are the least squares of the distances to what a box is joined
with, under the distances that must be kept (Best and Chakravarti's pool-adjacent-violators, 1990), with the weights of
Gansner, Koutsofios, North and Vo, "A Technique for Drawing Directed Graphs" (1993), that keep long lines straight.
The same graph always gives the same numbers.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import ceil

Point = tuple[float, float]

SWEEPS, PLACINGS = 12, 40
BOX_GAP, LINE_GAP = 36.0, 18.0
"""Beside a box, beside a line that passes."""
LAYER_GAP, LAYER_GAP_MAX = 20.0, 64.0
"""Between two layers; more where lines go far to the side."""
PORT_GAP = 22.0
"""Between the ends of two lines at one box."""
CORNER = 18.0
"""What stays free of them at each end of a box."""
LOOP_WIDTH = 30.0
"""What a line from a box to itself takes on its right."""


@dataclass(frozen=True)
class Box:
    """A vertex with its size, in pixels."""

    id: str
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """An edge, and the size of its label; 0 by 0 without one."""

    source: str
    target: str
    width: float = 0.0
    height: float = 0.0
    weight: float = 1.0
    """How much it matters that it is straight."""


@dataclass(frozen=True)
class Route:
    """The way of one line. From each point to the next: straight where one is above the other, else a curve that leaves
    and arrives upright (sideways, where a line comes back to its own box)."""

    points: tuple[Point, ...]
    label: Point
    """The centre of its label."""
    sideways: bool = False


@dataclass(frozen=True)
class Layout:
    """Centres of the boxes by id, and the way of each line, in the order in which they were given."""

    width: float
    height: float
    centres: Mapping[str, Point]
    routes: tuple[Route, ...]


@dataclass
class _Item:
    """What has a place on a layer: a box, or where a line passes."""

    layer: int
    width: float
    height: float
    is_box: bool
    above: list[_Item] = field(default_factory=list)
    below: list[_Item] = field(default_factory=list)
    pulls_above: list[float] = field(default_factory=list)
    pulls_below: list[float] = field(default_factory=list)
    order: int = 0
    x: float = 0.0
    y: float = 0.0


def layout(boxes: Sequence[Box], lines: Sequence[Line]) -> Layout:
    """Place boxes and lines. The first box is where the graph begins; every line joins two of the boxes, and no two
    lines have the same ends."""
    loops = {line.source: (LOOP_WIDTH + line.width, line.height) for line in lines if line.source == line.target}
    items = {}
    for box in boxes:
        aside, height = loops.get(box.id, (0.0, 0.0))
        items[box.id] = _Item(0, box.width + 2 * aside, max(box.height, height), is_box=True)
    turned = _turned([box.id for box in boxes], lines)
    _put_on_layers(items, lines, turned)
    chains = [
        None if line.source == line.target else _chain(items, line, index in turned) for index, line in enumerate(lines)
    ]
    layers = _layers(items.values(), chains)
    _order(layers)
    _place(layers)
    _straighten(layers, chains)
    _put_on_pixels(layers)
    width, height = _stack(layers)
    routes = _routes(boxes, lines, items, chains, turned, layers)
    return Layout(width, height, {box.id: (items[box.id].x, items[box.id].y) for box in boxes}, routes)


# ---------------------------------------------------------------- layers


def _turned(ids: Sequence[str], lines: Sequence[Line]) -> set[int]:
    """The lines that close a cycle, found from the first box on: they are drawn from below to above."""
    leaving: dict[str, list[tuple[int, str]]] = {each: [] for each in ids}
    for index, line in enumerate(lines):
        if line.source != line.target:
            leaving[line.source].append((index, line.target))
    turned: set[int] = set()
    done: set[str] = set()
    for first in ids:
        if first in done:
            continue
        open_boxes = {first}
        stack = [(first, iter(leaving[first]))]
        while stack:
            box, rest = stack[-1]
            index, target = next(rest, (-1, ""))
            if index == -1:
                stack.pop()
                open_boxes.discard(box)
                done.add(box)
            elif target in open_boxes:
                turned.add(index)
            elif target not in done:
                open_boxes.add(target)
                stack.append((target, iter(leaving[target])))
    return turned


def _ends(line: Line, turned: bool) -> tuple[str, str]:
    return (line.target, line.source) if turned else (line.source, line.target)


def _put_on_layers(items: Mapping[str, _Item], lines: Sequence[Line], turned: set[int]) -> None:
    """Each box as far down as the longest way to it; labels lie on the odd layers between."""
    leaving: dict[str, list[str]] = {each: [] for each in items}
    waits = dict.fromkeys(items, 0)
    for index, line in enumerate(lines):
        if line.source != line.target:
            upper, lower = _ends(line, index in turned)
            leaving[upper].append(lower)
            waits[lower] += 1
    ready = [each for each, number in waits.items() if number == 0]
    for upper in ready:  # it grows
        for lower in leaving[upper]:
            items[lower].layer = max(items[lower].layer, items[upper].layer + 2)
            waits[lower] -= 1
            if waits[lower] == 0:
                ready.append(lower)


def _chain(items: Mapping[str, _Item], line: Line, turned: bool) -> list[_Item]:
    """The items of a line from above to below. Its label is next to the box that it leaves."""
    upper, lower = (items[each] for each in _ends(line, turned))
    label = lower.layer - 1 if turned else upper.layer + 1
    chain = [upper]
    for layer in range(upper.layer + 1, lower.layer):
        size = (line.width, line.height) if layer == label else (0.0, 0.0)
        chain.append(_Item(layer, *size, is_box=False))
    chain.append(lower)
    for first, second in pairwise(chain):
        first.below.append(second)
        second.above.append(first)
        pull = line.weight * (8.0, 2.0, 1.0)[first.is_box + second.is_box]
        first.pulls_below.append(pull)
        second.pulls_above.append(pull)
    return chain


def _layers(boxes: Iterable[_Item], chains: Sequence[Sequence[_Item] | None]) -> list[list[_Item]]:
    """All items by layer, in the order in which a walk from the first box meets them."""
    boxes = list(boxes)
    layers: list[list[_Item]] = [[] for _ in range(max(each.layer for each in boxes) + 1)]
    seen: set[int] = set()
    stack = boxes[::-1]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        layers[item.layer].append(item)
        stack.extend(item.below[::-1])
    for layer in layers:
        _number(layer)
    return layers


def _number(layer: Sequence[_Item]) -> None:
    for order, item in enumerate(layer):
        item.order = order


# ---------------------------------------------------------------- order


def _order(layers: list[list[_Item]]) -> None:
    """Order each layer by the mean place of its neighbours, downwards and upwards in turn; keep the best order met."""
    best, crossings = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(SWEEPS):
        if not crossings:
            break
        down, ties = sweep % 2 == 0, -1 if sweep % 4 >= 2 else 1  # ties are kept and turned over by turns
        for layer in layers[1:] if down else layers[-2::-1]:
            keyed = [(_mean(item.above if down else item.below, item.order), ties * item.order) for item in layer]
            layer[:] = [item for _, item in sorted(zip(keyed, layer, strict=True), key=lambda each: each[0])]
            _number(layer)
        _exchange(layers)
        now = _crossings(layers)
        if now < crossings:
            best, crossings = [list(layer) for layer in layers], now
    for layer, kept in zip(layers, best, strict=True):
        layer[:] = kept
        _number(layer)


def _mean(neighbours: Sequence[_Item], otherwise: float) -> float:
    return sum(each.order for each in neighbours) / len(neighbours) if neighbours else otherwise


def _exchange(layers: list[list[_Item]]) -> None:
    """Change neighbours over where that takes crossings away."""
    for layer in layers:
        better = True
        while better:
            better = False
            for index in range(len(layer) - 1):
                left, right = layer[index], layer[index + 1]
                if _crossed(right, left) < _crossed(left, right):
                    layer[index], layer[index + 1] = right, left
                    left.order, right.order = index + 1, index
                    better = True


def _crossed(left: _Item, right: _Item) -> int:
    """How often the lines of two neighbours cross each other, in this order."""
    count = 0
    for one, other in ((left.above, right.above), (left.below, right.below)):
        count += sum(first.order > second.order for first in one for second in other)
    return count


def _crossings(layers: Sequence[Sequence[_Item]]) -> int:
    count = 0
    for layer in layers:
        met: list[int] = []
        for item in layer:
            orders = sorted(each.order for each in item.below)
            count += sum(len(met) - bisect_right(met, order) for order in orders)
            for order in orders:
                insort(met, order)
    return count


# ---------------------------------------------------------------- places


def _place(layers: Sequence[Sequence[_Item]]) -> None:
    """Give every item an x: near to its neighbours above and below, and apart from those beside it."""
    for layer in layers:
        _spread(layer, [0.0] * len(layer), [1.0] * len(layer))
    for turn in range(PLACINGS):
        last = turn >= PLACINGS // 2
        for layer in layers[1:] if turn % 2 == 0 else layers[-2::-1]:
            wanted, weights = [], []
            for item in layer:
                near, pulls = (item.above, item.pulls_above) if turn % 2 == 0 else (item.below, item.pulls_below)
                if last or not near:
                    near, pulls = item.above + item.below, item.pulls_above + item.pulls_below
                mean = (
                    sum(pull * each.x for pull, each in zip(pulls, near, strict=True)) / sum(pulls) if near else item.x
                )
                wanted.append(mean)
                weights.append(max(sum(pulls), 0.1))
            _spread(layer, wanted, weights)


def _put_on_pixels(layers: Sequence[Sequence[_Item]]) -> None:
    """Whole numbers, from 0 on."""
    left = min(item.x - item.width / 2 for layer in layers for item in layer)
    for layer in layers:
        at = 0.0
        for index, item in enumerate(layer):
            item.x = float(ceil(item.x - left))
            if index:
                item.x = max(item.x, at + _apart(layer[index - 1], item))
            at = item.x


def _apart(left: _Item, right: _Item) -> float:
    """The least distance of two neighbours' centres, in whole pixels."""
    gap = BOX_GAP if left.is_box and right.is_box else LINE_GAP
    return float(-(-(left.width + right.width) // 2) + gap)


def _spread(layer: Sequence[_Item], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """Put the items of a layer as near to the wanted places as their distances allow."""
    gaps = [_apart(left, right) for left, right in pairwise(layer)]
    for item, x in zip(layer, _pooled(wanted, weights, gaps), strict=True):
        item.x = x


def _pooled(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Places in order, with at least these gaps between them, that are nearest to the wanted ones by least squares.

    With the gaps taken off, the places must only not decrease: neighbours that would are pooled at their mean.
    """
    offsets = [*accumulate(gaps, initial=0.0)]
    pools: list[tuple[float, float, int]] = []  # mean, weight, number of places
    for place, weight, offset in zip(wanted, weights, offsets, strict=False):
        mean, whole, number = place - offset, weight, 1
        while pools and pools[-1][0] > mean:
            other, its_weight, its_number = pools.pop()
            mean = (mean * whole + other * its_weight) / (whole + its_weight)
            whole, number = whole + its_weight, number + its_number
        pools.append((mean, whole, number))
    means = (mean for mean, _, number in pools for _ in range(number))
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]


def _straighten(layers: Sequence[Sequence[_Item]], chains: Sequence[Sequence[_Item] | None]) -> None:
    """Put the passes of a line above each other, as far down as there is room beside what stands there."""
    for chain in chains:
        rest = [] if chain is None else list(chain[1:-1])
        while rest:
            first, last, run = -1e9, 1e9, 0
            for item in rest:
                left, right = _room(layers[item.layer], item)
                if max(first, left) > min(last, right):
                    break
                first, last, run = max(first, left), min(last, right), run + 1
            mean = sum(item.x for item in rest[:run]) / max(run, 1)
            for item in rest[:run]:
                item.x = min(max(mean, first), last)
            rest = rest[max(run, 1) :]


def _room(layer: Sequence[_Item], item: _Item) -> tuple[float, float]:
    """From where to where an item may move without pushing another."""
    left = layer[item.order - 1] if item.order else None
    right = layer[item.order + 1] if item.order + 1 < len(layer) else None
    return (
        -1e9 if left is None else left.x + _apart(left, item),
        1e9 if right is None else right.x - _apart(item, right),
    )


def _stack(layers: Sequence[Sequence[_Item]]) -> tuple[float, float]:
    """Give every layer its y; the width and height of it all."""
    y = 0.0
    for number, layer in enumerate(layers):
        height = max((item.height for item in layer), default=0.0)
        for item in layer:
            item.y = y + height / 2
        y += height
        if number < len(layers) - 1:
            aside = max((abs(item.x - each.x) for item in layer for each in item.below), default=0.0)
            y += round(min(LAYER_GAP_MAX, max(LAYER_GAP, aside / 8)))
    return max(item.x + item.width / 2 for layer in layers for item in layer), y


# ---------------------------------------------------------------- lines


def _routes(
    boxes: Sequence[Box],
    lines: Sequence[Line],
    items: Mapping[str, _Item],
    chains: Sequence[Sequence[_Item] | None],
    turned: set[int],
    layers: Sequence[Sequence[_Item]],
) -> tuple[Route, ...]:
    widths = {id(items[box.id]): box.width for box in boxes}
    heights = {id(items[box.id]): box.height for box in boxes}
    band = [max((item.height for item in layer), default=0.0) / 2 for layer in layers]
    below = _ports(widths, [(chain[0], chain[1].x, index) for index, chain in enumerate(chains) if chain is not None])
    above = _ports(widths, [(chain[-1], chain[-2].x, index) for index, chain in enumerate(chains) if chain is not None])
    routes = []
    for index, (line, chain) in enumerate(zip(lines, chains, strict=True)):
        if chain is None:
            routes.append(_loop(line, items[line.source], widths[id(items[line.source])]))
            continue
        upper, lower = chain[0], chain[-1]
        points = [(below[index], upper.y + heights[id(upper)] / 2), (below[index], upper.y + band[upper.layer])]
        for item in chain[1:-1]:
            points += [(item.x, item.y - band[item.layer]), (item.x, item.y + band[item.layer])]
        points += [(above[index], lower.y - band[lower.layer]), (above[index], lower.y - heights[id(lower)] / 2)]
        label = chain[-2] if index in turned else chain[1]
        unique = [point for number, point in enumerate(points) if number == 0 or point != points[number - 1]]
        routes.append(Route(tuple(unique[::-1] if index in turned else unique), (label.x, label.y)))
    return tuple(routes)


def _ports(widths: Mapping[int, float], ends: Sequence[tuple[_Item, float, int]]) -> dict[int, float]:
    """Line -> x at which it meets a box: as straight above or below its next place as the others beside it allow."""
    at: dict[int, list[tuple[float, int, _Item]]] = {}
    for box, x, index in ends:
        at.setdefault(id(box), []).append((x, index, box))
    ports = {}
    for box_id, those in at.items():
        those.sort(key=lambda each: each[:2])
        box, reach = those[0][2], widths[box_id] / 2 - CORNER
        gap = min(PORT_GAP, 2 * reach / len(those))
        placed = _pooled([x for x, _, _ in those], [1.0] * len(those), [gap] * (len(those) - 1))
        for number, (x, (_, index, _)) in enumerate(zip(placed, those, strict=True)):
            first, last = box.x - reach + number * gap, box.x + reach - (len(those) - 1 - number) * gap
            ports[index] = round(min(max(x, first), last), 1)
    return ports


def _loop(line: Line, box: _Item, width: float) -> Route:
    right, reach = box.x + width / 2, LOOP_WIDTH - 6
    points = ((right, box.y - 9), (right + reach, box.y), (right, box.y + 9))
    return Route(points, (right + reach + 4 + line.width / 2, box.y), sideways=True)
