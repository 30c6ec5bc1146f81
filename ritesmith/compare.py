"""Two versions of one artifact held against each other: what changed, and what of it breaks those who call it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, Literal

from ritesmith.expr import fits
from ritesmith.models import EFFECT_ORDER, JSON, Contract, Effect, Schema, Value, Workflow

LINES_AROUND = 3
"""Unchanged lines that are shown before and after changed ones."""
LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
RULES = ("pattern", "format", "multipleOf", "uniqueItems")
"""Keywords that a schema is the wider without; two different values of one can't be compared."""


class Change(Value):
    """One place at which two JSON values differ; None on the side where there is nothing."""

    path: str
    before: JSON = None
    after: JSON = None


class Line(Value):
    """One row of two texts side by side; line numbers from 1, None on a side without a line."""

    kind: Literal["same", "changed", "removed", "added", "gap"]
    before_number: int | None = None
    before: str = ""
    after_number: int | None = None
    after: str = ""


def changes(before: JSON, after: JSON, path: str = "$") -> Iterator[Change]:
    """Where two JSON values differ, as deep as the places can be named; lists of other lengths are one place."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            place = f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key, ensure_ascii=False)}]"
            if key not in before or key not in after:
                yield Change(path=place, before=before.get(key), after=after.get(key))
            else:
                yield from changes(before[key], after[key], place)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from changes(left, right, f"{path}[{index}]")
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield Change(path=path, before=before, after=after)


def breaking(
    before: Contract | Workflow, after: Contract | Workflow, effect_before: Effect, effect_after: Effect
) -> list[str]:
    """Why a caller of `before` may fail with `after`, one sentence each; empty when nobody can tell a difference.

    It may take less than it took, give something that it did not give, or have a wider effect.
    """
    reasons = [f"it refuses some of what it took: {each}" for each in _narrower(before.input, after.input, "$.input")]
    if before.output is not None:
        if after.output is None:
            reasons.append("it no longer says what it gives")
        else:
            found = _narrower(after.output, before.output, "$.output")
            reasons += [f"it gives what it did not give: {each}" for each in found]
    if EFFECT_ORDER[effect_after] > EFFECT_ORDER[effect_before]:
        reasons.append(f"its effect was {effect_before} and becomes {effect_after}")
    return reasons


def _narrower(wide: Schema, narrow: Schema, path: str) -> list[str]:
    """Where a value of `wide` may be refused by `narrow`."""
    found = [f"{each.where.path} {each.message}" for each in fits(wide, narrow, path)]
    return list(dict.fromkeys([*found, *_tighter(wide, narrow, path)]))


def _tighter(wide: Any, narrow: Any, path: str) -> Iterator[str]:
    """Bounds and rules that `narrow` has and `wide` has not; `fits` looks at types and names."""
    if not isinstance(wide, dict) or not isinstance(narrow, dict):
        return
    for key in (*LOWER_BOUNDS, *UPPER_BOUNDS, *RULES):
        given, wanted = wide.get(key), narrow.get(key)
        if wanted is None or given == wanted:
            continue
        comparable = key not in RULES and isinstance(given, int | float) and isinstance(wanted, int | float)
        if comparable and (given >= wanted if key in LOWER_BOUNDS else given <= wanted):
            continue
        yield f"{path} {key} is {json.dumps(wanted)}" + ("" if given is None else f", not {json.dumps(given)}")
    if not {"enum", "const"} & wide.keys():  # else `fits` has tried each value
        yield from (f"{path} {key} is {json.dumps(narrow[key])}" for key in ("enum", "const") if key in narrow)
    inside, within = wide.get("properties", {}), narrow.get("properties", {})
    for name in inside:
        if name in within:
            yield from _tighter(inside[name], within[name], f"{path}.{name}")
        elif narrow.get("additionalProperties") not in (True, False):
            # An open schema lets it pass, but nobody looks at it any more; where it is closed, `fits` has told that.
            yield f"{path}.{name} is not there any more"
    yield from _tighter(wide.get("items"), narrow.get("items"), f"{path}[]")


def side_by_side(before: str, after: str) -> list[Line]:
    """Two texts line by line, changed lines beside each other, with a few unchanged ones around them."""
    left, right = before.splitlines(), after.splitlines()
    groups = difflib.SequenceMatcher(None, left, right, autojunk=False).get_grouped_opcodes(LINES_AROUND)
    rows: list[Line] = []
    for group in groups:
        if rows or group[0][1] > 0 or group[0][3] > 0:
            rows.append(Line(kind="gap"))
        for _, i1, i2, j1, j2 in group:
            for offset in range(max(i2 - i1, j2 - j1)):
                i = i1 + offset if i1 + offset < i2 else None
                j = j1 + offset if j1 + offset < j2 else None
                rows.append(_line(left, i, right, j))
    return rows


def _line(left: list[str], i: int | None, right: list[str], j: int | None) -> Line:
    if i is None:
        assert j is not None
        return Line(kind="added", after_number=j + 1, after=right[j])
    if j is None:
        return Line(kind="removed", before_number=i + 1, before=left[i])
    kind: Literal["same", "changed"] = "same" if left[i] == right[j] else "changed"
    return Line(kind=kind, before_number=i + 1, before=left[i], after_number=j + 1, after=right[j])
