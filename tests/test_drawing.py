"""The layout of a graph: nothing lies on anything else, every line ends where it belongs, and it is always the same."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import combinations, pairwise

import pytest

from ritesmith.views.drawing import Box, Layout, Line, Point, layout

Graph = tuple[list[Box], list[Line]]


def made_by_chance(seed: int) -> Graph:
    rng = random.Random(seed)
    size = rng.randint(1, 40)
    boxes = [Box(f"n{number}", rng.randint(60, 260), rng.randint(40, 120)) for number in range(size)]
    lines = {}
    for number in range(size):
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            target = rng.randrange(size) if rng.random() < 0.2 else min(size - 1, number + rng.randint(1, 4))
            label = (rng.randint(20, 150), rng.randint(16, 46)) if rng.random() < 0.5 else (0, 0)
            lines[f"n{number}", f"n{target}"] = label
    return boxes, [Line(*ends, *label) for ends, label in lines.items()]


def chain(*names: str) -> Graph:
    return [Box(name, 100, 50) for name in names], [Line(*ends) for ends in pairwise(names)]


def area(box: Box, centre: Point, spare: float = 0.0) -> tuple[float, float, float, float]:
    (x, y), half, height = centre, box.width / 2 - spare, box.height / 2 - spare
    return x - half, y - height, x + half, y + height


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def drawn(route: tuple[Point, ...]) -> list[Point]:
    """Points along a line as it is drawn: upright at both ends of each curve."""
    found = []
    for (x0, y0), (x1, y1) in pairwise(route):
        middle = (y0 + y1) / 2
        for part in range(21):
            t = part / 20
            a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            found.append((a * x0 + b * x0 + c * x1 + d * x1, a * y0 + b * middle + c * middle + d * y1))
    return found


def check(graph: Graph) -> Layout:
    boxes, lines = graph
    placed = layout(boxes, lines)
    areas = {box.id: area(box, placed.centres[box.id]) for box in boxes}
    for one, other in combinations(areas, 2):
        assert not overlap(areas[one], areas[other]), f"{one} lies on {other}"
    labels = []
    for line, route in zip(lines, placed.routes, strict=True):
        if line.width:
            labels.append(area(Box("label", line.width, line.height), route.label))
        for end, name in ((route.points[0], line.source), (route.points[-1], line.target)):
            left, top, right, bottom = areas[name]
            assert left <= end[0] <= right, f"a line of {name} ends beside it"
            assert end[0] in (left, right) if route.sideways else end[1] in (top, bottom)
        for x, y in [] if route.sideways else drawn(route.points):
            for box in boxes:
                left, top, right, bottom = area(box, placed.centres[box.id], spare=1)
                assert not (left < x < right and top < y < bottom), f"{line} runs through {box.id}"
    for one, other in combinations([*areas.values(), *labels], 2):
        assert not overlap(one, other), "a label lies on something"
    for left, top, right, bottom in [*areas.values(), *labels]:
        assert left >= 0
        assert top >= 0
        assert right <= placed.width
        assert bottom <= placed.height
    return placed


@pytest.mark.parametrize("number", range(40))
def test_nothing_lies_on_anything_else_and_lines_end_at_their_boxes(number: int) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    check(made_by_chance(seed))


def test_a_chain_is_one_straight_line() -> None:
    placed = check(chain("a", "b", "c", "d"))
    assert len({x for x, _ in placed.centres.values()}) == 1
    assert all(len({x for x, _ in route.points}) == 1 for route in placed.routes)


def test_what_follows_stands_below_and_a_line_that_closes_a_cycle_leads_up() -> None:
    boxes, lines = chain("a", "b", "c")
    placed = check((boxes, [*lines, Line("c", "a", 60, 16)]))
    assert placed.centres["a"][1] < placed.centres["b"][1] < placed.centres["c"][1]
    back = placed.routes[-1].points
    assert back[0][1] > back[-1][1]
    assert back[-1][1] == placed.centres["a"][1] + 25, "it arrives from below"


def test_a_line_from_a_box_to_itself_stays_beside_it() -> None:
    boxes, lines = chain("a", "b")
    [route] = check((boxes, [*lines, Line("a", "a", 80, 16)])).routes[1:]
    assert route.sideways


def test_lines_that_need_not_cross_do_not() -> None:
    boxes = [Box(name, 80, 40) for name in "abcdef"]
    placed = check((boxes, [Line(*ends) for ends in ("ab", "ac", "bf", "ce", "ad", "df")]))
    order = sorted("bcd", key=lambda name: placed.centres[name][0])
    assert order.index("c") != 1, "c leads elsewhere than b and d, so it stands at the side"


def test_a_graph_of_one_box_and_one_of_two_parts_can_be_drawn() -> None:
    check(chain("a"))
    boxes, lines = chain("a", "b")
    others, more = chain("c", "d")
    check((boxes + others, lines + more))


def test_a_long_chain_and_a_wide_fan_can_be_drawn() -> None:
    placed = layout(*chain(*(f"n{number}" for number in range(1500))))
    assert placed.height > 1500 * 50
    names = [f"n{number}" for number in range(120)]
    boxes = [Box(name, 100, 50) for name in ("first", *names, "last")]
    placed = layout(boxes, [*(Line("first", name) for name in names), *(Line(name, "last") for name in names)])
    assert placed.width > 120 * 100


def test_the_same_graph_gives_the_same_numbers_in_every_process() -> None:
    code = "from test_drawing import *; print(layout(*made_by_chance(7)))"
    told = set()
    for hash_seed in ("0", "1", "2"):
        environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        told.add(done.stdout)
    assert len(told) == 1
