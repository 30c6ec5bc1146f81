"""Pictures of runs: what is written in them stands where it belongs, and nothing in a trace becomes markup."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import combinations
from typing import Any

import pytest
from test_saga import RETRY, Play, end, fail, loop, ok, played, task, undo, workflow

from ritesmith import saga, trace
from ritesmith.models import Workflow
from ritesmith.views import diagram, page, picture
from ritesmith.views.timeline import Axis, bars, begin_of, end_of, outline

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "</text></svg><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"
    "<![CDATA[ ]]>--> \u202e\x1b[2J\x00\ud800\uffff"
)
LONG = "a_node_with_a_name_of_sixty_letters_which_is_as_long_as_can"


def drawn(play: Play, now: float | None = None) -> ET.Element:
    seen = trace.view(play.entries, play.workflow)
    return ET.fromstring(picture.svg(play.workflow, seen, now))


def gone_on(play: Play) -> Play:
    """Until it has ended, sitting out every pause."""
    while not isinstance(command := play.go(), saga.Finished):
        assert isinstance(command, saga.Pause)
        assert command.until is not None
        play.now = command.until
    return play


def mapped() -> Play:
    flow = workflow(
        {"id": "each", "kind": "map", "over": {"literal": list(range(12))}, "start": "fetch", "join": "all"},
        task("fetch", "store", retry=RETRY),
        task("store", "all"),
        {"id": "all", "kind": "join", "policy": "settled", "next": "done"},
        end(),
    )
    return gone_on(Play(flow, {"each/3/fetch": [fail("busy", retryable=True)], "each/7/store": [fail()]}))


def nested() -> Play:
    branches = [{"id": "left", "start": "a"}, {"id": "right", "start": "inner"}, {"id": "ask_somebody", "start": "ask"}]
    flow = workflow(
        {"id": "fan", "kind": "split", "branches": branches, "join": "outer"},
        task("a", "outer"),
        {"id": "inner", "kind": "map", "over": {"literal": [1, 2]}, "start": "b", "join": "in_join"},
        task("b", "in_join", on_error=[{"code": "*", "target": "c"}]),
        task("c", "in_join"),
        {"id": "in_join", "kind": "join", "next": "outer"},
        {"id": "ask", "kind": "approval", "prompt": "?", "deadline_seconds": 60, "on_timeout": "late", "next": "outer"},
        task("late", "outer"),
        {"id": "outer", "kind": "join", "policy": "settled", "next": None},
    )
    return gone_on(Play(flow, {"fan/left/a": [fail()], "fan/right/inner/1/b": [fail()]}))


def undone() -> Play:
    flow = workflow(
        task("a", "b", compensation=undo()), task("b", "c", compensation=undo()), task("c"), retry={"max_attempts": 1}
    )
    return played(flow, {"c": [fail("broken")], "b~undo": [fail("stuck")]})


def waits() -> Play:
    ask = {"id": "ask", "kind": "approval", "prompt": HOSTILE, "on_reject": "no", "next": "yes"}
    play = Play(workflow(ask, end("yes"), end("no", status="failed", outcome="拒否されました 🚫 refusé")))
    play.go()
    return play


def long() -> Play:
    name = "some.namespace_of_length.another_part_of_it.and_a_name_that_never_ends_at_all_whatever_is_done_to_it@12"
    code = "an_error_code_of_remarkable_length_which_somebody_made_up"
    first = task(LONG, "done", on_error=[{"code": code, "target": LONG}]) | {"capability": name}
    return played(workflow(first, end(outcome="W" * 300)), {})


def sixty() -> Play:
    rng = random.Random(60)
    nodes: list[dict[str, Any]] = []
    for number in range(60):
        further = f"step_{min(60, number + rng.randint(2, 6))}"
        if rng.random() < 0.3:
            cases = [{"when": rng.random() < 0.5, "target": further}]
            nodes.append({"id": f"step_{number}", "kind": "switch", "cases": cases, "default": f"step_{number + 1}"})
        else:
            nodes.append(task(f"step_{number}", f"step_{number + 1}", on_error=[{"code": "*", "target": further}]))
    return played(workflow(*nodes, end("step_60")), {})


def looped() -> Play:
    return played(loop(), {f"count{visit}": [ok({"n": n})] for n, visit in enumerate(("", "#2", "#3"), start=1)})


PLAYS = {each.__name__: each for each in (mapped, nested, undone, waits, long, sixty, looped)}


def wide(text: str, size: float) -> float:
    """At least as wide as a browser draws it: a letter of East Asia or a picture takes two columns."""
    return sum(0.602 if ord(letter) < 0x1100 or 0x2000 <= ord(letter) < 0x2E80 else 1.1 for letter in text) * size


def numbers(element: ET.Element, *names: str) -> list[float]:
    return [float(element.get(name, "nan")) for name in names]


def place(element: ET.Element) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a rect or a polygon."""
    if element.tag == f"{SVG}rect":
        x, y, width, height = numbers(element, "x", "y", "width", "height")
        return x, y, x + width, y + height
    points = [tuple(map(float, each.split(","))) for each in element.get("points", "").split()]
    across, down = zip(*points, strict=True)
    return min(across), min(down), max(across), max(down)


def written(element: ET.Element) -> tuple[float, float, float, float]:
    """Where a text stands, at most."""
    kind = element.get("class", "")
    size = 11 if "small" in kind else 16 if "title" in kind else 13
    (x, y), width = numbers(element, "x", "y"), wide(element.text or "", size)
    left = x - width / 2 if element.get("text-anchor") == "middle" else x
    return left, y - size * 0.8, left + width, y + size * 0.25


@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
def test_every_text_stands_within_its_box_and_within_the_picture(play: Any) -> None:
    root = drawn(play())
    width, height = numbers(root, "width", "height")
    for group in (root, *root.findall(f"{SVG}g")):
        shift = re.match(r"translate\(([\d.]+) ([\d.]+)\)", group.get("transform", "translate(0 0)"))
        assert shift is not None
        for text in group.iter(f"{SVG}text") if group is not root else root.findall(f"{SVG}text"):
            left, top, right, bottom = written(text)
            assert left + float(shift[1]) >= 0, text.text
            assert right + float(shift[1]) <= width, text.text
            assert top + float(shift[2]) >= 0
            assert bottom + float(shift[2]) <= height
    boxes = []
    for node in root.findall(".//*[@class]"):
        kind = node.get("class", "").split()[0]
        if kind not in ("node", "label"):
            continue
        shape = node.find(f"{SVG}rect")
        shape = node.find(f"{SVG}polygon") if shape is None else shape
        assert shape is not None
        box = place(shape)
        boxes.append(box)
        inset = 1 if kind == "label" else 5
        for text in node.findall(f"{SVG}text"):
            left, top, right, bottom = written(text)
            assert box[0] + inset <= left, text.text
            assert right <= box[2] - inset, text.text
            assert box[1] <= top
            assert bottom <= box[3]
    for one, other in combinations(boxes, 2):
        assert not (one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3])
    rows = [text for group in root.findall(f".//{SVG}g") if "row" in group.get("class", "").split() for text in group]
    spots = [written(text) for text in rows if text.tag == f"{SVG}text"]
    assert spots
    for one, other in combinations(spots, 2):
        assert not (one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3])


@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
def test_pictures_name_what_they_show_and_need_nothing_from_outside(play: Any) -> None:
    run = play()
    seen = trace.view(run.entries, run.workflow)
    text = picture.svg(run.workflow, seen)
    root = ET.fromstring(text)
    named = {each.get("id"): each for each in root}
    assert root.get("aria-labelledby") == "rs-title rs-desc"
    assert f"{seen.workflow}: {seen.status}" in (named["rs-title"].text or "")
    assert seen.run in (named["rs-desc"].text or "")
    for whole in (text, page.html(run.workflow, seen)):
        without_name = whole.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"<(script|img|link|iframe|object|image|use|foreignObject)\b", without_name)
        assert not re.search(r"""\b(href|src|srcset)=["']|url\(|@import|https?:""", without_name)
    assert text == picture.svg(run.workflow, seen), "the same run gives the same bytes"


class Reader(HTMLParser):
    """What a browser would make of a page: its tags, its attributes and its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_hostile_values_stay_text_wherever_they_stand() -> None:
    flow = workflow(
        task("a", "fan", **{"with": {"x": {"var": "input.x"}}, "retry": RETRY}),
        {"id": "fan", "kind": "map", "over": {"literal": [HOSTILE]}, "start": "b", "join": "all"},
        task("b", "all"),
        {"id": "all", "kind": "join", "next": "ask"},
        {"id": "ask", "kind": "approval", "prompt": HOSTILE, "on_reject": "c", "next": "c"},
        task("c", "done", on_error=[{"code": "*", "target": "done"}]),
        end(outcome=HOSTILE, output={"var": "nodes.a.output"}),
    )
    bad = fail(HOSTILE).model_copy(update={"message": HOSTILE})
    outcomes = {"a": [bad.model_copy(update={"retryable": True}), ok({HOSTILE: HOSTILE})], "c": [bad]}
    play = Play(flow, outcomes, input={"x": HOSTILE, HOSTILE: 1})
    pause = play.go()
    assert isinstance(pause, saga.Pause)
    assert pause.until is not None
    play.now = pause.until
    play.go()
    play.add(saga.decide_approval(flow, play.state, "rejected", by=HOSTILE, comment=HOSTILE, at=play.now))
    play.go()
    seen = trace.view(play.entries, flow)
    assert seen.status == "succeeded"
    reader = Reader()
    whole = page.html(flow, seen)
    reader.feed(whole)
    assert reader.tags <= {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "div", "span", "dl", "dt", "dd", "p"),
        *("details", "summary", "strong", "code", "pre", "footer"),
        *("svg", "g", "rect", "polygon", "path", "line", "text", "desc"),
    }
    assert not [name for name in reader.attributes if name.startswith("on")]
    assert sum("<script>alert(1)</script>" in text for text in reader.texts) > 6, "it is shown, as text"
    drawing = picture.svg(flow, seen)
    assert {each.tag.removeprefix(SVG) for each in ET.fromstring(drawing).iter()} <= {
        *("svg", "title", "desc", "style", "rect", "text", "g", "polygon", "path", "line")
    }
    for text in (whole, drawing):
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e\uffff]", text)
        assert text.encode(), "no lone surrogates"


def test_a_page_tells_everything() -> None:
    run = nested()
    seen = trace.view(run.entries, run.workflow)
    reader = Reader()
    reader.feed(page.html(run.workflow, seen))
    text = " ".join(reader.texts)
    for step in seen.steps:
        assert step.path.rpartition("/")[2] in text
    assert seen.head in text
    assert "too late" in text
    assert json.dumps(seen.input) in text


def test_a_waiting_run_says_on_its_page_how_it_goes_on() -> None:
    run = waits()
    reader = Reader()
    reader.feed(page.html(run.workflow, trace.view(run.entries, run.workflow), run.now + 60))
    assert {"ritesmith approve r1", "ritesmith reject r1"} <= set(reader.texts)


def test_a_large_value_is_cut_on_the_page_and_says_so() -> None:
    run = played(workflow(task("a")), {"a": [ok({"text": "x" * 1_000_000})]})
    whole = page.html(run.workflow, trace.view(run.entries, run.workflow))
    assert len(whole) < 200_000
    assert "more characters are left out here" in whole


def test_nodes_tell_how_their_visits_went() -> None:
    words = {each.text for each in drawn(mapped()).iter(f"{SVG}text")}
    assert {"✓ 11 ✗ 1 of 12 visits", "✓ 12 of 12 visits", "12 elements"} <= words
    words = {each.text for each in drawn(undone()).iter(f"{SVG}text")}
    assert any(str(each).startswith("↶ undone") for each in words)
    assert any(str(each).startswith("✗ not undone") for each in words)


def test_what_could_not_be_undone_is_no_success_in_mermaid_either() -> None:
    run = undone()
    seen = trace.view(run.entries, run.workflow)
    names = {node.id: f"n{number}" for number, node in enumerate(run.workflow.nodes)}
    text = diagram.mermaid(run.workflow, seen)
    [failed] = re.findall(r"class (\S+) failed", text)
    assert {names[each["path"]] for each in seen.not_undone} <= {*failed.split(",")}
    [back] = re.findall(r"class (\S+) undone", text)
    assert {names[path] for path in seen.undone} == {*back.split(",")}


def test_the_ways_that_the_run_took_are_told_from_the_others() -> None:
    play = Play(workflow(task("a", "b", on_error=[{"code": "x", "target": "c"}]), end("b"), end("c")))
    play.go()
    kinds = [each.get("class") for each in drawn(play).iter(f"{SVG}g") if "edge" in each.get("class", "")]
    assert sorted(map(str, kinds)) == ["edge", "edge taken"]


def test_a_picture_is_the_same_to_the_byte_in_every_process() -> None:
    code = (
        "import test_picture as t; p = t.sixty(); print(t.picture.svg(p.workflow, t.trace.view(p.entries, p.workflow)))"
    )
    told = set()
    for hash_seed in ("0", "1"):
        environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": hash_seed, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        told.add(done.stdout)
    assert len(told) == 1


# ---------------------------------------------------------------- time


def flow_of_a_week() -> Workflow:
    return workflow(task("a", "nap"), {"id": "nap", "kind": "sleep", "seconds": 604_800, "next": "b"}, task("b"))


def test_a_week_of_sleep_is_drawn_in_short_so_that_the_work_is_seen() -> None:
    play = Play(flow_of_a_week())
    play.now += 30
    play.go()
    play.now += 604_800
    play.go()
    seen = trace.view(play.entries, play.workflow)
    rows = bars(seen, outline(seen.steps))
    axis = Axis(rows, begin_of(seen), end_of(seen))
    assert [(first - seen.started_at, last - seen.started_at) for first, last in axis.breaks] == [(30, 604_830)]
    assert axis.at(seen.started_at + 30) == pytest.approx(0.6)
    assert axis.at(end_of(seen)) == 1
    moments = [seen.started_at + seconds for seconds in range(0, 604_830, 1000)]
    places = [axis.at(moment) for moment in moments]
    assert places == sorted(places)


def test_steps_that_took_no_time_are_no_wider_than_what_was_waited_for() -> None:
    play = Play(flow_of_a_week())
    play.go()
    play.now += 604_800
    play.go()
    play.now += 0.004
    play.go()
    seen = trace.view(play.entries, play.workflow)
    axis = Axis(bars(seen, outline(seen.steps)), begin_of(seen), end_of(seen))
    assert axis.breaks == []
    assert axis.at(seen.started_at + 302_400) == pytest.approx(0.5)


def test_a_row_shows_work_and_pause_and_a_branch_reaches_around_its_steps() -> None:
    run = mapped()
    seen = trace.view(run.entries, run.workflow)
    rows = {row.path: row for row in bars(seen, outline(seen.steps))}
    assert [span.kind for span in rows["each/3/fetch"].spans] == ["work", "pause", "work"]
    assert [span.kind for span in rows["each/3"].spans] == ["around"]
    assert rows["each"].spans[0].end == max(row.spans[-1].end for path, row in rows.items() if path.startswith("each/"))
    assert rows["each/7"].status == "failed"


def test_what_waits_reaches_up_to_now() -> None:
    run = waits()
    seen = trace.view(run.entries, run.workflow)
    [row] = bars(seen, outline(seen.steps), run.now + 500)
    assert row.seconds == 500


def test_of_many_branches_the_first_are_shown() -> None:
    run = mapped()
    seen = trace.view(run.entries, run.workflow)
    tree = outline(seen.steps, 5)
    each = tree.below[0]
    assert (len(each.below), each.left_out) == (5, 7)
