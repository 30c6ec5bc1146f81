"""Values that a JSON Schema admits: its edges first, then random ones from a seed. For trials and dry runs.

Small and in a fixed order, so that the first value that shows a defect is also one that a person can read. Keywords
that say what a value is not (`not`, `if`, `dependentRequired` ...) are not followed: what is made is held against the
schema, and left out where it does not fit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice, zip_longest
from typing import Any

from ritesmith.models import JSON, Schema
from ritesmith.schemas import problems

DEPTH_MAX = 5
ANYTHING_DEPTH_MAX = 2
"""Where a schema says nothing, lists and objects are made this deep, and plain values below."""
ITEMS_MAX = 12
LETTERS_MAX = 300
VARIANTS_MAX = 12
EDGES_MAX = 60
TRIES_MAX = 500
"""Values that are looked at, most of which may not fit."""
RANDOM_SHARE = 4
"""One in so many is random, even where there are edges enough."""

TEXTS = ("a", "", " ", "é😀", "%d%1[", "a\nb", '"q",', "007", "{a}", "a@b.co", "0", "\x00")
NUMBERS = (1, 0, -1, 2, 100, 0.1, -2.5, 99.99, 1_000_000_007)
EXTREMES = (2**53, -(2**53), 1e300, -1e300, 1e-300, 2**63 - 1, -(2**63))
"""Numbers that no practical input holds, and that a schema without bounds admits all the same."""
FORMATS = {
    "date": ("2026-11-21", "2024-02-29", "0001-01-01", "9999-12-31", "1900-03-01"),
    "date-time": ("2026-11-21T10:00:00Z", "2024-02-29T23:59:59+02:00"),
    "time": ("10:00:00Z", "23:59:59Z"),
    "email": ("ann@example.com", "a@b.co", "a+b@c.d"),
    "uri": ("https://example.com/a?b=c", "a:b"),
    "uuid": ("00000000-0000-0000-0000-000000000000",),
    "ipv4": ("0.0.0.0", "255.255.255.255"),
    "ipv6": ("::1", "::"),
}
DAYS = (date(1970, 1, 1).toordinal(), date(2099, 12, 31).toordinal())
"""Of which a random date is one: every weekday, month and length of a month comes up."""
ODD: tuple[JSON, ...] = (["a"], None, "a", {"a": 1}, True, -1)
"""What a property of which the schema says nothing may hold as well as what was seen."""
NAMES = ("a", "city", "é", "")


@dataclass(frozen=True)
class Made:
    """One value that fits its schema."""

    value: JSON
    base: int | None = None
    """Which of the values that were seen it was made from by changing a part; None for none."""
    extreme: bool = False
    """It holds a number that no practical value holds."""


def make(
    schema: Schema,
    seen: Sequence[JSON] = (),
    *,
    count: int,
    extremes: int = 0,
    seed: str = "",
    documents: bool = False,
) -> list[Made]:
    """At most `count` values that fit `schema`: edges first, random ones after; then at most `extremes` extreme ones.

    `seen` are values that are known to fit, such as those of examples: what is made stays near them where the schema
    alone says too little. With `documents`, an object of which the schema says nothing is one that was seen, where
    there is one. The same arguments give the same values.
    """
    chance = random.Random(seed)
    bases: list[int | None] = [*range(len(seen))] or [None]
    makers = [_Maker(schema, seen, base, documents=documents) for base in bases]
    known = set(map(_key, seen))
    edges = _taking_turns([[Made(value, maker.base) for value in maker.edges(schema)] for maker in makers])
    kept = list(islice(_fitting(schema, edges, known), count - count // RANDOM_SHARE))
    drawn = (Made(maker.drawn(schema, chance), maker.base) for _ in range(TRIES_MAX) for maker in makers)
    kept += islice(_fitting(schema, drawn, known), count - len(kept))
    wild = [_Maker(schema, seen, base, extreme=True) for base in bases]
    further = _taking_turns([[Made(value, maker.base, True) for value in maker.edges(schema)] for maker in wild])
    return kept + list(islice((made for made in _fitting(schema, further, known) if _extreme(made.value)), extremes))


def plain(schema: Schema, seen: Sequence[JSON] = ()) -> JSON:
    """One ordinary value that fits: one that was seen, else every property with its plainest value; None if none."""
    for value in (*seen, *_Maker(schema, seen, None).whole(schema)):
        if not problems(schema, value):
            return value
    made = make(schema, count=1)
    return made[0].value if made else None


def _fitting(schema: Schema, made: Iterable[Made], known: set[str]) -> Iterator[Made]:
    for each in islice(made, TRIES_MAX):
        key = _key(each.value)
        if key not in known and not problems(schema, each.value):
            known.add(key)
            yield each


def _extreme(value: JSON) -> bool:
    work = [value]
    while work:
        each = work.pop()
        if isinstance(each, dict | list):
            work.extend(each.values() if isinstance(each, dict) else each)
        elif isinstance(each, int | float) and each in EXTREMES:
            return True
    return False


class _Maker:
    """Makes values for one schema; `at` is a path of property names, `[]` standing for the items of a list."""

    def __init__(
        self, root: Schema, seen: Sequence[JSON], base: int | None, *, extreme: bool = False, documents: bool = False
    ) -> None:
        self.root = root
        self.base = base
        self.named = {key: root[key] for key in ("$defs", "definitions") if key in root}
        self.seen: dict[tuple[str, ...], list[JSON]] = {}
        for value in seen if base is None else [seen[base], *seen]:
            self._note(value, ())
        self.extreme = extreme
        self.documents = documents

    def _note(self, value: JSON, at: tuple[str, ...]) -> None:
        if len(at) > DEPTH_MAX:
            return
        known = self.seen.setdefault(at, [])
        if len(known) < VARIANTS_MAX and not any(_key(value) == _key(each) for each in known):
            known.append(value)
        if isinstance(value, dict):
            for name, each in value.items():
                self._note(each, (*at, name))
        elif isinstance(value, list):
            for each in value[:VARIANTS_MAX]:
                self._note(each, (*at, "[]"))

    # -------------------------------------------------- edges

    def edges(self, schema: JSON, at: tuple[str, ...] = ()) -> list[JSON]:
        """Values at the edges of what `schema` says, the plainest first; not all of them need fit."""
        seen = [] if at == () else self.seen.get(at, [])
        found = list(_taking_turns([self._edges(each, at) for each in self.variants(schema, _deep(at))]))
        if self.extreme and at:
            return _distinct([*(each for each in found if _extreme(each)), *seen[:1], *found])[:EDGES_MAX]
        return _distinct([*seen[:1], *found, *seen[1:]])[:EDGES_MAX]

    def _edges(self, schema: Schema, at: tuple[str, ...]) -> Iterator[JSON]:
        if "const" in schema:
            yield schema["const"]
        elif "enum" in schema:
            yield from schema["enum"]
        elif self.documents and (known := self.known(schema, at)):
            yield from known
        else:
            yield from _KINDS[schema["type"]](self, schema, at)

    def known(self, schema: Schema, at: tuple[str, ...]) -> list[JSON]:
        """Of an object of which the schema says nothing: those that were seen in its place."""
        if schema["type"] != "object" or any(key in schema for key in ("properties", "required")):
            return []
        return [each for each in self.seen.get(at, ()) if isinstance(each, dict)]

    def objects(self, schema: Schema, at: tuple[str, ...]) -> Iterator[JSON]:
        parts, required = schema.get("properties", {}), schema.get("required", [])
        if len(at) >= DEPTH_MAX:
            yield {}
            return
        edges = {name: self.edges(part, (*at, name)) for name, part in parts.items()}
        firsts = {name: values[0] for name, values in edges.items() if values}
        least = {name: firsts.get(name, "a") for name in required}
        base = next((each for each in self.seen.get(at, ()) if isinstance(each, dict)), least)
        more = schema.get("additionalProperties", {})
        if not self.extreme:
            if parts:
                yield least
                yield {**least, **firsts}
            yield from ({**base, name: value} for name, value in _turns_by_name(edges))
            yield from ({key: each for key, each in base.items() if key != name} for name in parts if name in base)
            if more is not False:
                odd = ODD if not isinstance(more, dict) or not more else ()
                yield from ({**base, name: value} for value in odd for name in base if name not in parts)
                other = self.edges(more, (*at, "*"))[:1] if isinstance(more, dict) else ["a"]
                yield from ({**base, name: value} for name in NAMES for value in other)
            yield least
        else:
            yield from ({**base, name: value} for name, value in _turns_by_name(edges))

    def lists(self, schema: Schema, at: tuple[str, ...]) -> Iterator[JSON]:
        if len(at) >= DEPTH_MAX:
            yield []
            return
        least = min(schema.get("minItems", 0), ITEMS_MAX)
        most = min(schema.get("maxItems", ITEMS_MAX), ITEMS_MAX)
        first = [self.edges(part, (*at, "[]"))[:1] for part in schema.get("prefixItems", ())]
        head = [value for values in first for value in values]
        items = self.edges(schema.get("items", {}), (*at, "[]")) or ["a"]
        yield head + [items[0]] * max(0, least - len(head))
        yield [items[0]]
        yield items[:most]
        for value in items:
            yield [value] * max(1, least)
            yield [items[0], value]
        yield [items[0]] * most
        yield [items[index % len(items)] for index in range(most)]
        yield []

    def texts(self, schema: Schema, at: tuple[str, ...]) -> Iterator[JSON]:
        yield from FORMATS.get(schema.get("format", ""), ())
        for known in self.seen.get(at, ()):
            if isinstance(known, str) and "pattern" in schema:
                yield from (known[:1], known[:-1], known[1:], known * 2, known.lower(), known.upper())
        yield from TEXTS
        for length in (schema.get("minLength"), schema.get("maxLength")):
            if length is not None and 0 < length <= LETTERS_MAX:
                yield "a" * length
        yield "a" * min(schema.get("maxLength", LETTERS_MAX), LETTERS_MAX)

    def numbers(self, schema: Schema, at: tuple[str, ...]) -> Iterator[JSON]:
        step: Any = 1 if schema["type"] == "integer" else 0.01
        low, high = schema.get("minimum"), schema.get("maximum")
        edges = [low, high]
        edges += [schema["exclusiveMinimum"] + step] if "exclusiveMinimum" in schema else []
        edges += [schema["exclusiveMaximum"] - step] if "exclusiveMaximum" in schema else []
        if "multipleOf" in schema:
            edges += [schema["multipleOf"] * times for times in (1, 0, 2, -1)]
        wide: Sequence[float] = EXTREMES if self.extreme else NUMBERS
        for value in (*edges, *wide, *NUMBERS):
            whole = value is not None and (schema["type"] == "number" or value == int(value))
            if value is not None and whole and not isinstance(value, bool) and _within(value, schema):
                yield int(value) if schema["type"] == "integer" else value

    def truths(self, schema: Schema, at: tuple[str, ...]) -> Iterator[JSON]:
        yield from (True, False)

    def nothing(self, schema: Schema, at: tuple[str, ...]) -> Iterator[JSON]:
        yield None

    # -------------------------------------------------- others

    def whole(self, schema: JSON, at: tuple[str, ...] = ()) -> Iterator[JSON]:
        """Values with every property there: what an ordinary result looks like."""
        for variant in self.variants(schema, _deep(at)):
            if variant["type"] == "array" and variant.get("maxItems", 1) > 0 and len(at) < DEPTH_MAX:
                yield [self._plain(variant.get("items", {}), (*at, "[]"))]
            if variant["type"] != "object" or "const" in variant or "enum" in variant or len(at) >= DEPTH_MAX:
                yield from islice(self._edges(variant, at), EDGES_MAX)
                continue
            parts = {name: self._plain(part, (*at, name)) for name, part in variant.get("properties", {}).items()}
            yield parts
        yield None

    def _plain(self, schema: JSON, at: tuple[str, ...]) -> JSON:
        within = {**self.named, **schema} if isinstance(schema, dict) else {}
        return next((each for each in self.whole(schema, at) if not problems(within, each)), None)

    def drawn(self, schema: JSON, chance: random.Random, at: tuple[str, ...] = ()) -> JSON:
        """A random value near what `schema` says; it need not fit."""
        variants = self.variants(schema, _deep(at))
        one = chance.choice(variants)
        fixed = "const" in one or "enum" in one or (self.documents and bool(self.known(one, at)))
        if fixed or len(at) >= DEPTH_MAX:
            return chance.choice([*islice(self._edges(one, at), EDGES_MAX)] or [None])
        if one["type"] == "object":
            known = [each for each in self.seen.get(at, ()) if isinstance(each, dict)]
            value = dict(chance.choice(known)) if known and chance.random() < 0.5 else {}
            for name, part in one.get("properties", {}).items():
                if name not in value or chance.random() < 0.4:
                    if name in one.get("required", ()) or chance.random() < 0.6:
                        value[name] = self.drawn(part, chance, (*at, name))
                    else:
                        value.pop(name, None)
            more = one.get("additionalProperties", {})
            if more is not False and chance.random() < 0.3:
                value[chance.choice(NAMES)] = self.drawn(more, chance, (*at, "*"))
            return value
        if one["type"] == "array":
            least = min(one.get("minItems", 0), ITEMS_MAX)
            count = chance.randint(least, max(least, min(one.get("maxItems", 5), 5)))
            return [self.drawn(one.get("items", {}), chance, (*at, "[]")) for _ in range(count)]
        edges = [*self.seen.get(at, ()), *islice(self._edges(one, at), EDGES_MAX)]
        if one["type"] == "string" and "pattern" not in one and "format" not in one and chance.random() < 0.5:
            return "".join(chance.choices(TEXTS, k=chance.randint(1, 4)))
        if one.get("format") in ("date", "date-time") and "pattern" not in one and chance.random() < 0.5:
            day = date.fromordinal(chance.randint(*DAYS)).isoformat()
            clock = f"T{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}Z"
            return day if one["format"] == "date" else day + clock
        if one["type"] in ("number", "integer") and chance.random() < 0.5:
            number = chance.randint(-1000, 1000)
            return number if one["type"] == "integer" or chance.random() < 0.5 else number / 100
        return chance.choice(edges) if edges else None

    def variants(self, schema: JSON, deep: bool = False) -> list[Schema]:
        """The schema without references and alternatives: a list of plain schemas, each of one type."""
        flat: list[Schema] = []
        work: list[tuple[Schema, int]] = [(schema if isinstance(schema, dict) else {}, 0)]
        while work and len(flat) < VARIANTS_MAX:
            each, depth = work.pop(0)
            ways = [] if depth > DEPTH_MAX else _ways(each, self.root)
            if ways:
                work[:0] = [(way, depth + 1) for way in ways]
                continue
            kinds = each.get("type", _guess(each, deep))
            for kind in [kinds] if isinstance(kinds, str) else kinds:
                flat.append({**each, "type": kind})
        return flat[:VARIANTS_MAX] or [{"type": "null"}]


_KINDS: dict[str, Callable[[_Maker, Schema, tuple[str, ...]], Iterator[JSON]]] = {
    "object": _Maker.objects,
    "array": _Maker.lists,
    "string": _Maker.texts,
    "number": _Maker.numbers,
    "integer": _Maker.numbers,
    "boolean": _Maker.truths,
    "null": _Maker.nothing,
}


def _ways(schema: Schema, root: Schema) -> list[Schema]:
    """What a schema may be instead, one keyword resolved; empty when there is nothing to resolve."""
    rest = dict(schema)
    if "$ref" in rest:
        kind, _, name = str(rest.pop("$ref")).removeprefix("#/").partition("/")
        return [_merged(rest, root if not kind else root.get(kind, {}).get(name, {}))]
    if "allOf" in rest:
        for part in rest.pop("allOf"):
            rest = _merged(rest, part)
        return [rest]
    for keyword in ("anyOf", "oneOf"):
        if keyword in rest:
            return [_merged(rest, part) for part in rest.pop(keyword)]
    return []


def _merged(one: Schema, other: JSON) -> Schema:
    if not isinstance(other, dict):
        return one
    both = {**one, **other}
    if "properties" in one and "properties" in other:
        both["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        both["required"] = _distinct([*one["required"], *other["required"]])
    if "allOf" in one and "allOf" in other:
        both["allOf"] = [*one["allOf"], *other["allOf"]]
    return both


def _deep(at: tuple[str, ...]) -> bool:
    return len(at) > ANYTHING_DEPTH_MAX


def _guess(schema: Schema, deep: bool) -> list[str]:
    """The types of a schema that names none."""
    if "const" in schema or "enum" in schema:
        return ["string"]  # not looked at
    if any(key in schema for key in ("properties", "required", "additionalProperties")):
        return ["object"]
    if any(key in schema for key in ("items", "prefixItems", "minItems", "maxItems")):
        return ["array"]
    if any(key in schema for key in ("minLength", "maxLength", "pattern", "format")):
        return ["string"]
    if any(key in schema for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")):
        return ["number"]
    return ["string", "number", "boolean", "null", *([] if deep else ["array", "object"])]


def _within(value: float, schema: Schema) -> bool:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    )


def _turns_by_name(edges: dict[str, list[JSON]]) -> Iterator[tuple[str, JSON]]:
    """The first edge of every property, then the second of every property, and so on."""
    yield from _taking_turns([[(name, value) for value in values] for name, values in edges.items()])


def _taking_turns(streams: Sequence[Iterable[Any]]) -> Iterator[Any]:
    nothing = object()
    for row in zip_longest(*streams, fillvalue=nothing):
        yield from (each for each in row if each is not nothing)


def _distinct(values: Iterable[JSON]) -> list[JSON]:
    distinct: dict[str, JSON] = {}
    for value in values:
        distinct.setdefault(_key(value), value)
    return list(distinct.values())


def _key(value: JSON) -> str:
    return repr(value)  # tells 1, 1.0 and true apart, as a script may
