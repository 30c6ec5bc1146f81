"""Two versions held against each other: every difference is named, and what breaks a caller is told apart."""

from __future__ import annotations

from typing import Any

import pytest

from ritesmith.compare import breaking, changes, side_by_side
from ritesmith.models import Contract, Effect, Schema


def contract(input: Schema, output: Schema | None = None) -> Contract:
    return Contract(name="a.b", intent="something", input=input, output=output or {"type": "object"})


def thing(required: tuple[str, ...] = (), closed: bool = True, **properties: Any) -> Schema:
    schema: Schema = {"type": "object", "required": list(required), "properties": properties}
    return schema | ({"additionalProperties": False} if closed else {})


NUMBER, TEXT = {"type": "number"}, {"type": "string"}


@pytest.mark.parametrize(
    ("before", "after", "broken"),
    [
        (thing(("a",), a=NUMBER), thing(("a",), a=NUMBER), False),
        (thing(("a",), a=NUMBER), thing((), a=NUMBER), False),
        (thing(("a",), a=NUMBER), thing(("a",), a=NUMBER, b=TEXT), False),
        (thing(("a",), a={"type": "integer"}), thing(("a",), a=NUMBER), False),
        (thing(("a",), a=NUMBER), thing(("a",), closed=False, a=NUMBER), False),
        (thing(("a",), a=NUMBER | {"minimum": 1}), thing(("a",), a=NUMBER | {"minimum": 0}), False),
        (thing(("a",), a=NUMBER), thing(("a", "b"), a=NUMBER, b=TEXT), True),
        (thing((), a=NUMBER), thing(("a",), a=NUMBER), True),
        (thing(("a",), a=NUMBER), thing(("a",), a={"type": "integer"}), True),
        (thing(("a",), a=NUMBER), thing(("a",), a=TEXT), True),
        (thing(("a",), a=NUMBER, b=TEXT), thing(("a",), a=NUMBER), True),
        (thing(("a",), closed=False, a=NUMBER, b=TEXT), thing(("a",), closed=False, a=NUMBER), True),
        (thing(("a",), a=NUMBER), thing(("a",), a=NUMBER | {"maximum": 9}), True),
        (thing(("a",), a=TEXT), thing(("a",), a=TEXT | {"pattern": "^a"}), True),
        (thing(("a",), a=TEXT), thing(("a",), a=TEXT | {"enum": ["x"]}), True),
        (
            thing(("a",), a={"type": "array", "items": TEXT}),
            thing(("a",), a={"type": "array", "items": TEXT | {"maxLength": 3}}),
            True,
        ),
    ],
)
def test_an_input_that_takes_less_breaks_callers_and_an_output_that_gives_more(
    before: Schema, after: Schema, broken: bool
) -> None:
    assert bool(breaking(contract(before), contract(after), "pure", "pure")) is broken
    # What an output promises is the mirror of what an input asks for.
    out, less = contract({"type": "object"}, after), contract({"type": "object"}, before)
    assert bool(breaking(out, less, "pure", "pure")) is broken


@pytest.mark.parametrize(("before", "after", "broken"), [("read", "write", True), ("write", "pure", False)])
def test_a_wider_effect_breaks(before: Effect, after: Effect, broken: bool) -> None:
    one = contract(thing(a=NUMBER))
    assert bool(breaking(one, one, before, after)) is broken


def test_every_difference_has_its_path() -> None:
    before = {"a": 1, "b": {"c": [1, 2], "x-y": 1}, "gone": None, "flag": True}
    after = {"a": 1, "b": {"c": [1, 3], "x-y": 1}, "new": [1], "flag": 1}
    assert [(each.path, each.before, each.after) for each in changes(before, after)] == [
        ("$.b.c[1]", 2, 3),
        ("$.flag", True, 1),
        ("$.gone", None, None),
        ("$.new", None, [1]),
    ]
    assert list(changes(before, before)) == []


def test_two_texts_stand_side_by_side_with_their_line_numbers() -> None:
    before = "\n".join(f"line {number}" for number in range(1, 21))
    after = before.replace("line 10", "LINE 10").replace("line 20", "line 20\nline 21")
    rows = side_by_side(before, after)
    assert [(row.before_number, row.after_number) for row in rows if row.kind == "changed"] == [(10, 10)]
    assert [(row.after_number, row.after) for row in rows if row.kind == "added"] == [(21, "line 21")]
    assert [row.kind for row in rows[:5]] == ["gap", "same", "same", "same", "changed"]
    assert side_by_side(before, before) == []
