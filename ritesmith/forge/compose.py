"""Composes a workflow from published capabilities without a model: words find the parts, schemas wire them.

It never invents. A clause that no capability answers, that says more than the capability does (a condition, a number
with no place, "without", "all payments") or less (to "delete the rows" is not to remove duplicates), or that takes up
something that no step before it gives, is a gap, and with a gap there is no draft. What comes out is a draft like any
other: guard, trial and the caller's examples decide.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from ritesmith.expr import fits
from ritesmith.forge.reuse import ARITY, NEGATIONS, NUMBER_WORDS, OPPOSITES, UNITS, shared, vetoes
from ritesmith.forge.words import GENERIC, STOP, content, is_generic, root, stem, tokens
from ritesmith.models import JSON, Contract, Effect, Schema, Value
from ritesmith.schemas import problems

DRAFTS_MAX = 5
OPTIONS_MAX = 3
"""Capabilities tried for one clause."""
COMBINATIONS_MAX = 24
ORDERINGS_UP_TO = 6
"""Up to so many capabilities every ordering is tried; above, only the order of the clauses."""


class Explained(Value):
    """What became of one clause."""

    clause: str
    capability: str | None
    why: str


class Composition(Value):
    """Workflows that may answer an intent, best first, or the clauses that nothing answers."""

    drafts: tuple[dict[str, Any], ...] = ()
    gaps: tuple[str, ...] = ()
    """The clauses without a capability, in the caller's words. With a gap there are no drafts."""
    explanation: tuple[Explained, ...] = ()
    """In the order of the clauses; it tells about the first draft."""


# ---------------------------------------------------------------- clauses

VERBS = frozenset(files("ritesmith.forge").joinpath("verbs.txt").read_text(encoding="utf-8").split())
"""Words that begin a clause."""
PARTICIPLES = frozenset(stem(verb) for verb in VERBS)
AFTER_PARTICIPLE = frozenset({"", "by", "to", "as", "with", "into", "up"})
"""What follows a participle that says what is done ("rounded to 2 decimals"), not what sort of thing it is."""
NOUN_TOO = frozenset(
    {
        "average",
        "count",
        "email",
        "list",
        "mail",
        "order",
        "rank",
        "record",
        "report",
        "request",
        "sum",
        "total",
        "test",
    }
    | {
        "log",
        "label",
        "score",
        "sign",
        "start",
        "map",
        "hash",
        "flag",
        "tag",
        "limit",
        "format",
        "post",
        "order",
        "set",
    }
)
"""Verbs that are nouns as often: taken as verbs only before what a verb takes."""
BEFORE_PLURAL = frozenset({"average", "count", "format", "list", "map", "rank", "score", "sum", "total"})
DETERMINERS = frozenset({"the", "a", "an", "all", "them", "it", "each", "every", "this", "these", "those", "by", "up"})
ROLE_WORDS = frozenset({"by", "per", "for", "of"})
AGGREGATE = r"average|mean|sum|total|count|number|median|maximum|minimum|highest|lowest|largest|smallest"
LEADS = frozenset(
    {"and", "then", "also", "finally", "next", "please", "first", "afterwards", "lastly", "to", "i", "want"}
)
CONTROL = (
    r"if|unless|otherwise|else|when|whenever|until|while|wait|"
    r"for each|for every|(?:with|after|upon|needs?|asks? for|requires?) (?:an? |the |my )?(?:\w+ )?approval|"
    r"every (?:day|hour|week|month|minute|morning|night)|daily|hourly|weekly|monthly|in parallel|repeat|retry"
)
SIGNS = "<>=≤≥≠%+*^~±$€£"
"""Signs that say something by themselves."""
EMAIL = re.compile(r"\be-mail", re.IGNORECASE)
_QUOTED = r'"[^"]*"|“[^”]*”|\'[^\'\s][^\']*\'(?!\w)|\'[^\'\w\n]{1,9}\'(?!\w)'


def clauses(intent: str) -> list[str]:
    """The intent cut into what is to be done, one thing a clause, in the caller's words and order.

    Cut at commas, semicolons, full stops, line ends, arrows, "then", and at "and" before a verb; a piece that does not
    begin with a verb belongs to the one before it. A condition, a wait, a repetition or an approval is a clause of its
    own, so that it can't be overlooked. Text in quotes is never cut.
    """
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\x00{len(kept) - 1}\x00"

    text = re.sub(_QUOTED, keep, intent)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"(?m)^\s*(?:\d+[.)]|[-*•])\s+", "\n", text)
    text = re.sub(r"(?i)\b(check|verify|see|test|know|tell|determine|decide)\s+if\b", r"\1 whether", text)
    # "The average for each city" asks for groups; "for each order, ..." for a repetition.
    text = re.sub(rf"(?i)(\b(?:{AGGREGATE})\b[^,;.\n]*?)\b(?:for|in|of) (?:each|every)\b", r"\1per", text)
    text = re.sub(rf"(?i)(?<!\w)(?:{CONTROL})\b", lambda match: "\n\x01" + match[0], text)
    text = re.sub(r"(?i)\bthen\b", ";\x02", text)
    pieces = re.split(r"(?i)[,;]+|\.(?=\s|$)|->|→|\b(?=and\s)|\s&\s|(?=\n)", text)
    found: list[tuple[str, str]] = []
    after_then = False
    for piece in pieces:
        words = [word for word in re.sub(r"[\x01\x02]", " ", piece).split() if re.search(rf"[\w\x00{SIGNS}]", word)]
        joint = " and " if re.match(r"(?i)\s*and\s", piece) else ", "
        while words and words[0].casefold() in LEADS and len(words) > 1:
            del words[0]
        if not words or (len(words) == 1 and words[0].casefold() in LEADS):
            continue
        shown = ("\x01" if "\x01" in piece else "") + " ".join(words)
        begins = piece.startswith(("\n", "\x02")) or _is_verb(words)
        before = found[-1][1] if found else ""
        after_then |= len(found) == 1 and "\x02" in piece
        if found and not begins and (before.startswith("\x01") or _is_verb(before.split())):
            found[-1] = (found[-1][0], before + joint + shown)
        else:
            found.append((joint, shown))
    marked = any(shown.startswith("\x01") or _is_participle(shown.split()) for _, shown in found[:2])
    if len(found) > 1 and not marked and not after_then and not _is_verb(found[0][1].split()):
        # What stands before the first verb belongs to it.
        found[:2] = [("", found[0][1] + found[1][0] + found[1][1])]
    restored = (re.sub(r"\x00(\d+)\x00", lambda match: kept[int(match[1])], clause) for _, clause in found)
    cleaned = (clause.replace("\x01", "").strip(" .!?:") for clause in restored)
    return [clause for clause in cleaned if clause]


def _is_verb(words: Sequence[str]) -> bool:
    first = words[0].casefold().strip("!?:")
    after = words[1].casefold() if len(words) > 1 else ""
    if first in ("do", "don't", "never"):
        return True
    if first == "top":
        return after.isdigit() or after in NUMBER_WORDS
    if re.fullmatch(AGGREGATE, first) and {"by", "per"} & {word.casefold() for word in words[1:]}:
        return True
    if first not in VERBS:
        return _is_participle(words)
    if first not in NOUN_TOO:
        return after != "of"
    return after in DETERMINERS or after.startswith("\x00") or (first in BEFORE_PLURAL and after.endswith("s"))


def _is_participle(words: Sequence[str]) -> bool:
    """Whether they begin with what is done to a thing before ("rounded to 2 decimals")."""
    first, after = words[0].casefold(), words[1].casefold() if len(words) > 1 else ""
    return first.endswith(("ed", "en")) and stem(first) in PARTICIPLES and after in AFTER_PARTICIPLE


def _is_control(clause: str) -> bool:
    return re.match(rf"(?i)(?:{CONTROL})\b", clause) is not None


# ---------------------------------------------------------------- what a clause says besides its action

_UNIT_OF = {
    stem(word): member.split()[0] for members in UNITS.values() for member in members for word in member.split()
}


class _Figure(NamedTuple):
    """A number in a clause."""

    text: str
    """Its digits, as written."""
    beside: list[str]
    """The roots of the words on both sides of it."""
    before: list[str]
    """The roots of the words up to it, in their order."""
    after: list[str]
    """The three words after it."""
    preposition: str
    """The word right before it: after "into" it counts what comes out ("into 3 chunks")."""


class _Said(NamedTuple):
    """Literal things in a clause, which may be arguments."""

    by: list[str]
    of: list[str]
    column: list[str]
    whole: list[str]
    """What stands right after an action, such as the price in "average price per city"."""
    numbers: list[_Figure]
    quoted: list[tuple[str, list[str]]]
    dates: list[str]


def _said(clause: str) -> _Said:
    words = re.findall(rf"{_QUOTED}|{_DATE}\b|-?\d+(?:\.\d+)?(?:st|nd|rd|th)?|[^\W\d]\w*(?:'\w+)?|[^\w\s]", clause)
    said = _Said([], [], [], [], [], [], [])
    roles = {"by": said.by, "per": said.by, "each": said.by, "every": said.by, "of": said.of, "in": said.of}
    roles |= dict.fromkeys(("column", "field", "where", "whose", "with"), said.column)
    action = next((place for place, word in enumerate(words) if root(word.casefold()) in _meaning(clause)[:1]), None)
    for place, word in enumerate(words):
        lower = word.casefold()
        around = [words[each] if 0 <= each < len(words) else "" for each in (place - 2, place - 1, place + 1)]
        beside = [
            root("percent" if each == "%" else each.casefold())
            for each in (*words[max(0, place - 1) : place], *words[place + 1 : place + 2])
            if each == "%" or (each[0].isalpha() and each.casefold() not in STOP)
        ]
        if word[0] in "\"'“":
            said.quoted.append((word[1:-1], beside))
        elif re.fullmatch(_DATE, word):
            said.dates.append(word)
        elif digits := _digits(lower, around[2].casefold()):
            before = [root(each.casefold()) for each in words[:place]]
            after = [each.casefold() for each in words[place + 1 : place + 4]]
            said.numbers.append(_Figure(digits, beside, before, after, around[1].casefold()))
        if lower in ("column", "field") and around[0].casefold() in STOP and around[1].casefold() not in STOP:
            said.column.append(around[1])
        if lower in roles or place == action:
            rest = [each for each in words[place + 1 :] if each.casefold() not in _PASSED_OVER]
            if rest and _stands_alone(rest):
                heard = said.whole if place == action else roles[lower]
                heard.append(rest[0][1:-1] if rest[0][0] in "\"'“" else rest[0])
        if lower in IS_WORDS and said.column:
            rest = [each for each in words[place + 1 :] if each.casefold() not in _AFTER_IS]
            if rest and rest[0][0].isalpha() and _stands_alone(rest) and rest[0].casefold() not in NO_VALUES:
                said.quoted.append((rest[0], []))
    return said


def _digits(word: str, after: str) -> str:
    """The digits of a number, in figures or words; empty for what is none, or says only how many inputs there are.

    "One" is a number only before what is counted: "one day", and not "by the one".
    """
    if word == "one":
        return "1" if root(after) in _COUNTED else ""
    if re.fullmatch(r"-?\d.*", word):
        return re.sub(r"[a-z]+$", "", word)
    return NUMBER_WORDS.get(word, "") if stem(after) not in _ARITY else ""


_COUNTED = frozenset(map(root, ("decimal", "place", "part", "character", "digit", *_UNIT_OF)))
_DATE = r"\d{4}-\d\d-\d\d"
_PASSED_OVER = frozenset({"the", "a", "an", "column", "field", "up"})
_ARITY = frozenset(stem(word) for word in ARITY)
_AFTER_IS = frozenset({"equal", "to", "not", "exactly", "="})
IS_WORDS = frozenset({"is", "are", "equals", "=", "contains"})
NO_VALUES = frozenset({"true", "false", "yes", "no", "null", "nil", "none", "empty", "blank", "missing", "valid", "it"})
"""Words after "is" that don't stand for themselves."""


COMPARING = frozenset(
    {"above", "over", "below", "under", "more", "less", "fewer", "greater", "larger", "smaller", "higher", "lower"}
    | {"than", "largest", "smallest", "highest", "lowest", "most", "least"}
)


def _stands_alone(words: list[str]) -> bool:
    """Whether the first word is a name by itself: quoted, or a word that no other content word follows."""
    if words[0][0] in "\"'“":
        return True
    if not words[0][0].isalpha() or words[0].casefold() in STOP:
        return False
    if words[0].casefold() in COMPARING:
        return False
    after = words[1].casefold() if len(words) > 1 else ""
    return not after or not after[0].isalpha() or after in STOP or after in _TELLING_WORDS


AGGREGATES = frozenset(root(word) for word in ("average", "sum", "median", "maximum", "minimum", "highest", "lowest"))
"""Actions whose field stands after "of"; "by" and "per" then name the groups."""
ENUM_PHRASES = {
    "greater_than": ("greater than", "more than", "above", "over", "exceeding", "higher than", "larger than", ">"),
    "less_than": ("less than", "fewer than", "below", "under", "lower than", "smaller than", "<"),
    "at_least": (
        "at least",
        "or more",
        "or above",
        "or over",
        "or higher",
        "or greater",
        "greater than or equal to",
        "not less than",
        "no less than",
        "not below",
        "not under",
        ">=",
        "=>",
        "≥",
    ),
    "at_most": (
        "at most",
        "or less",
        "or below",
        "or under",
        "or lower",
        "or fewer",
        "less than or equal to",
        "up to",
        "not more than",
        "no more than",
        "not above",
        "not over",
        "<=",
        "≤",
    ),
    "not_equals": ("is not", "are not", "not equal to", "other than", "different from", "!=", "≠", "< >"),
    "equals": ("equals", "equal to", "=", "=="),
}


class _Bound(NamedTuple):
    values: dict[str, JSON]
    """Input property -> literal that the clause names."""
    words: set[str]
    """Roots of the words that are used up by it."""
    lost: list[str]
    """Literals of the clause that found no place."""
    rest: str
    """The clause without the words that chose among a property's values."""
    named: set[str]
    """Roots of the fields and the like that the clause names and that found no place."""
    grouped: list[str]
    """Of these, what stands after "by" or "per": the step before may have taken it."""


def _bind(clause: str, contract: Contract) -> _Bound:
    """The literals of a clause put where the contract has exactly one place for them."""
    said, values, used = _said(clause), dict[str, JSON](), set[str]()
    properties: dict[str, Schema] = contract.input.get("properties", {})
    required = [name for name in contract.input.get("required", []) if name in properties]
    plain = f" {' '.join(tokens(re.sub(_QUOTED, ' ', clause)))} "
    rest = plain
    unclear: list[str] = []
    placed_numbers: list[_Figure] = []
    own = {*content(contract.name.replace(".", " ")), *content(contract.intent)}

    fields = [name for name, schema in properties.items() if _is_field(name, schema)]
    aggregates = not AGGREGATES.isdisjoint(_meaning(clause)[:1])
    taken: set[str] = set()
    for name in fields:
        prefix = name.rpartition("_")[0]
        if prefix in ("group", "count", "key"):
            roles = [said.by, said.column]
        elif prefix in ("value", "sum", "average") or (not prefix and aggregates):
            roles = [said.of, said.column, *([said.whole] if aggregates else [])]
        else:
            roles = [said.by, said.column, said.of]
        for role in roles:
            free = [word for word in role if word not in taken and root(word.casefold()) not in own | PLAIN]
            if len(free) == 1:
                values[name] = free[0]
                taken.add(free[0])
                break
    used |= {word for text in taken for word in (root(text.casefold()), *content(text))}

    for name, schema in properties.items():
        if isinstance(schema.get("enum"), list) and name not in required:
            hits = list(_choices(rest, schema["enum"], own))
            if len({choice for choice, _ in hits}) > 1:
                unclear += [f"{choice!r}" for choice, _ in hits]
                continue
            for choice, hit in hits:
                values[name] = choice
                used |= {root(word) for word in hit.split()}
                rest = rest.replace(f" {hit} ", " ")
        elif schema.get("type") == "boolean" and name not in required:
            name_words = name.casefold().replace("_", " ")
            if f" {name_words} " in plain:
                values[name] = True
                used |= {root(word) for word in name_words.split()}
                rest = rest.replace(f" {name_words} ", " ")
            for opposite in _opposites_of(name_words):
                if name not in values and f" {opposite} " in plain:
                    values[name] = False
                    used.add(root(opposite))
                    rest = rest.replace(f" {opposite} ", " ")

    lost, spoken_of = unclear, set(content(clause))
    # First the numbers whose place is named: the others then have fewer to choose from.
    for figure, by_name in [(each, flag) for flag in (True, False) for each in said.numbers]:
        if figure in placed_numbers:
            continue
        number = float(figure.text) if "." in figure.text else int(figure.text)
        spot = _spot_of_figure(figure, number, contract, required, values, spoken_of, by_name=by_name)
        if spot is not None:
            placed_numbers.append(figure)
            values[spot] = number
            words = (word for word, digits in NUMBER_WORDS.items() if digits == figure.text and f" {word} " in plain)
            used |= set(map(root, words))
        elif not by_name:
            lost.append(figure.text)
    for text in said.dates:
        free = [name for name in properties if name not in values and properties[name].get("format") == "date"]
        if len(free) == 1:
            values[free[0]] = text
        else:
            lost.append(text)
    for text, beside in said.quoted:
        if text in taken or any(value == text for value in values.values()):
            continue
        spot = _spot(text, beside, spoken_of, properties, required, values)
        if spot is None:
            lost.append(f'"{text}"')
        else:
            values[spot] = text
        used |= set(content(text))
    placed = {value.casefold() for value in values.values() if isinstance(value, str)}
    places = (said.by, said.of, said.column, *([said.whole] if aggregates else []))
    named = {text.casefold() for place in places for text in place}
    unplaced = {word for text in named - placed for word in (root(text), *content(text))}
    loose = [text for text in dict.fromkeys(said.by) if text.casefold() not in placed]
    return _Bound(values, used, lost, rest, unplaced - used, loose)


def _opposites_of(word: str) -> set[str]:
    """The words that exclude it."""
    for family in OPPOSITES:
        if any(word in member.split() for member in family):
            return {other for member in family if word not in member.split() for other in member.split()}
    return set()


def _choices(text: str, choices: list[JSON], own: set[str]) -> Iterator[tuple[str, str]]:
    """The values of a property that a text names, each with its words; of words within others, only the longest."""
    phrases = [
        (phrase, choice)
        for choice in choices
        if isinstance(choice, str) and re.search(r"\w", choice)
        for phrase in ENUM_PHRASES.get(choice, (choice.replace("_", " ").casefold(),))
        if root(phrase) not in own
    ]
    for phrase, choice in sorted(phrases, key=lambda each: -len(each[0])):
        if f" {phrase} " in text:
            yield choice, phrase
            text = text.replace(f" {phrase} ", " \x00 ")


def _spot_of_figure(
    figure: _Figure,
    number: float,
    contract: Contract,
    required: list[str],
    taken: dict[str, JSON],
    spoken_of: set[str],
    *,
    by_name: bool,
) -> str | None:
    """The property that a number is for: the one named right before it or beside it, else the only one it fits.

    A number that counts what comes out ("3 chunks", "into 3 batches") is for none that it does not name.
    """
    properties: dict[str, Schema] = contract.input.get("properties", {})
    free = {name: list(map(root, name.split("_"))) for name in properties if name not in taken}
    free = {name: words for name, words in free.items() if _admits(properties[name], number)}
    whole = [name for name, words in free.items() if figure.before[-len(words) :] == words]
    if whole:
        return max(whole, key=lambda name: len(free[name]))
    # "By 10" is a change by 10, and so is nothing else.
    if figure.preposition == "by" and not any("by" in tokens(each) for each in (contract.intent, *contract.aliases)):
        return None
    into = figure.preposition == "into"
    beside = {*figure.beside, *map(root, figure.after)} if into else set(figure.beside)
    named = [name for name in free if _is_named(name, beside, required)]
    if named or by_name:
        return named[0] if len(named) == 1 else None
    lists = {name for name, schema in contract.output.get("properties", {}).items() if schema.get("type") == "array"}
    if into or lists.difference(properties) & set(figure.after[:1]):
        return None
    return _spot(number, figure.beside, spoken_of, properties, required, taken)


def _spot(
    value: JSON,
    beside: list[str],
    spoken_of: set[str],
    properties: dict[str, Schema],
    required: list[str],
    taken: dict[str, JSON],
) -> str | None:
    """The property that a literal is for: the one whose name stands beside it, else the only required one it fits.

    A property that the clause speaks of elsewhere (`spoken_of`: "the text" in "split the text at ';'") is what the
    action works on, and not what the literal says.
    """
    free = [name for name, schema in properties.items() if name not in taken and _admits(schema, value)]
    named = [name for name in free if _is_named(name, set(beside), required)]
    if len(named) == 1:
        return named[0]
    needed = [name for name in free if name in required and not _is_field(name, properties[name])]
    if len(needed) > 1:
        needed = [name for name in needed if root(name) not in spoken_of] or needed
    if not needed:
        # What may be left out is the place when it is the only one.
        needed = [name for name in free if name not in required and "enum" not in properties[name]]
    return needed[0] if len(needed) == 1 else None


def _is_named(name: str, beside: set[str], required: list[str]) -> bool:
    """Whether the words beside a literal name a property: one word of it will do where it must be given, as "decimal"
    for `decimals`; what may be left out is named wholly, as "message" is not the `message_id`."""
    words = {root(word) for word in name.split("_")}
    return bool(words & beside) if name in required else words <= beside


def _admits(schema: Schema, value: JSON) -> bool:
    kind = "string" if isinstance(value, str) else "integer" if isinstance(value, int) else "number"
    if "type" not in schema and "enum" not in schema:
        return False
    return not any(finding.severity == "error" for finding in fits({"type": kind, "const": value}, schema, "$"))


def _is_field(name: str, schema: Schema) -> bool:
    last = name.rpartition("_")[2]
    return last in ("field", "column", "key", "property") and schema.get("type") == "string" and "enum" not in schema


# ---------------------------------------------------------------- a capability for a clause


FILLERS = frozenset(
    root(word)
    for word in ("new", "whole", "entire", "current", "simple", "quick", "nice", "final", "same", "following", "only")
) | frozenset(root(word) for word in ("together", "now", "me", "correctly", "properly", "please", "resulting"))
"""Words that a clause may hold though the capability does not know them."""
GIVEN_BACK = re.compile(r"(?i)\b(?:write|give|get|show|print|return)\b(?: (?!and\b)\w+){0,3} back\b")
"""Where "back" says nothing; "and back" and "shift a date back" say much."""


class _Option(NamedTuple):
    clause: str
    contract: Contract
    bound: _Bound
    near: float
    """The share of words in common with the nearest of its phrases."""
    takes_up: int = 0
    """The clause speaks of what came before: 2, by "it" and the like; 1, by not saying what it is about."""


def _options(
    clause: str, by_name: dict[str, Contract], ranked: Sequence[tuple[str, float]]
) -> tuple[list[_Option], str]:
    """The capabilities that may answer a clause, best first, and why there is none."""
    clause = EMAIL.sub("email", clause)
    words = _meaning(clause)
    spelled = {root(word): word for word in tokens(clause)}
    if _is_control(clause):
        return (
            [],
            "a condition, a wait, a repetition or an approval can't be composed; it needs a workflow written for it",
        )
    if not words:
        return [], "it says nothing that a capability could be found by"
    found: list[_Option] = []
    refused: list[str] = []
    for name, _ in ranked:
        contract = by_name.get(name)
        if contract is None or any(option.contract is contract for option in found):
            continue
        phrases = (contract.intent, *contract.aliases)
        actions = (*_names(contract), *phrases)
        if words[0] not in {each for phrase in actions for each in _meaning(phrase)[:1]}:
            continue
        bound = _bind(clause, contract)
        signs = [sign for sign in vetoes(bound.rest, phrases) if not sign.startswith("number")]
        if signs:
            refused.append(f"{name}: {signs[0]}")
            continue
        either = _either(bound.rest, phrases)
        if either:
            refused.append(f"{name} does either, and has no place for {either!r}")
            continue
        signs = _signs(clause, bound)
        if signs:
            refused.append(f"{name} has no place for {', '.join(signs)}")
            continue
        if bound.lost:
            refused.append(f"{name} has no one place for {', '.join(bound.lost)}")
            continue
        strict = {*content(contract.name.replace(".", " ")), *content(contract.intent), *_properties(contract, bound)}
        wide = strict | {each for phrase in phrases for each in content(phrase)}
        covered = bound.words | FILLERS | _contents_of_files(clause, wide)
        if GIVEN_BACK.search(clause):
            covered.add(root("back"))
        loose = {root(text.casefold()) for text in bound.grouped}
        unused = [
            word
            for word in words
            if word not in covered | loose and word not in (strict | PLAIN & wide if word in bound.named else wide)
        ]
        if unused:
            refused.append(f"{name} says nothing about {', '.join(repr(spelled.get(word, word)) for word in unused)}")
            continue
        several = _several(clause, contract)
        if several:
            refused.append(f"{name} does one at a time, and {several!r} are several")
            continue
        turned = _turned_inputs(clause, contract)
        if turned:
            refused.append(
                f"{name} takes {turned[1]!r} before {turned[0]!r}, and the clause says it the other way round"
            )
            continue
        told = {*words, *bound.words}
        pronoun = not PRONOUNS.isdisjoint(tokens(clause))
        cores = [_core(phrase, contract, pronoun, words) for phrase in actions if words[0] in _meaning(phrase)[:1]]
        if _is_group_unsaid(clause, contract, bound):
            cores = [core | {"each": "each"} for core in cores]
        said = [core for core in cores if core.keys() <= told]
        if not said:
            least = min(reversed(cores), key=lambda core: len(core.keys() - told))
            more = ", ".join(repr(word) for each, word in least.items() if each not in told)
            refused.append(f"{name} does something narrower: nothing is said about {more}")
            continue
        bare = bound._replace(grouped=[text for text in bound.grouped if root(text.casefold()) not in strict | PLAIN])
        about = set(words[1:]) - bound.words - FILLERS - loose - {each for core in said for each in core}
        about |= _names_of_inputs(contract, bound) & set(content(clause)) - {words[0]}
        silent = not about and _works_on_one(contract, bound)
        takes_up = 2 if pronoun else int(silent)
        near = max(shared(clause, phrase) for phrase in phrases)
        found.append(_Option(clause, contract, bare, near, takes_up))
    # The sort is stable: where the words say the same, the search's order stands.
    found.sort(key=lambda option: -round(option.near, 6))
    if refused or found:
        return found[:OPTIONS_MAX], "; ".join(refused[:2])
    return [], f"no capability is about {spelled.get(words[0], words[0])!r}{_foreign(clause, by_name)}"


def _foreign(clause: str, by_name: dict[str, Contract]) -> str:
    """What to add to a gap where most words are none that a contract or the lists here have."""
    known = {word for each in by_name.values() for phrase in (each.intent, *each.aliases) for word in tokens(phrase)}
    said = [word for word in tokens(clause) if word[0].isalpha()]
    strange = [word for word in said if word not in known | STOP | VERBS | GENERIC]
    return "; intents are read in English" if len(said) > 2 and 2 * len(strange) > len(said) else ""


def _meaning(text: str) -> list[str]:
    """The roots that say something; the first of them is taken for the action."""
    # "Work" says nothing, but "working days" does, and so does "the values of".
    said = (word for word in tokens(text) if word != "values")
    empty = {root(word) for word in said if word in GENERIC or word.removesuffix("s") in GENERIC}
    words = content(text)
    return [word for word in words if word not in empty] or words


def _signs(clause: str, bound: _Bound) -> list[str]:
    """The signs of a clause that chose no value and belong to none: "> 10" where nothing is compared, "10%", "$10"."""
    plain = re.sub(_QUOTED, " ", clause)
    found = [sign for sign in re.findall(r"[<>!=]=|[<>≤≥≠=]", plain) if sign in bound.rest.split()]
    found += re.findall(r"[+*^~±$€£]", plain)
    share = any(root("percent") in map(root, name.split("_")) for name in bound.values)
    found += ["%"] if "%" in plain and not share else []
    return [f"{sign!r}" for sign in dict.fromkeys(found)]


def _either(text: str, phrases: Sequence[str]) -> str:
    """A word of the text, one of a pair of opposites, that the phrases only have together with its opposite ("days
    before or after another"): which of them is meant must have a place among the inputs; empty when there is none."""
    said, told = set(tokens(text)), [set(tokens(phrase)) for phrase in phrases]
    for word in sorted(said):
        others = _opposites_of(word)
        spoken = [phrase for phrase in told if word in phrase]
        if spoken and not others & said and all(others & phrase for phrase in spoken):
            return word
    return ""


def _names(contract: Contract) -> tuple[str, ...]:
    """A capability's name as phrases: its last part, and all of it where it begins with a verb (`notify.team`).

    Where the intent begins with the same verb and goes on with another thing, only its words count: `payments.reverse`
    is to "reverse a refund", and no payment.
    """
    first, _, last = contract.name.replace("_", " ").rpartition(".")
    verb, *things = _meaning(contract.intent)
    plain = [] if verb == _meaning(last)[0] and root(first) not in {*things, *PLAIN} else [f"{last} {first}"]
    return (*plain, *([f"{first} {last}"] if first in VERBS and first not in NOUN_TOO else []))


def _properties(contract: Contract, bound: _Bound) -> set[str]:
    """The roots of what it takes and gives; what may be left out, and has no value, can't be what a clause means."""
    names = (*contract.input.get("required", []), *bound.values, *contract.output.get("properties", {}))
    return {word for name in names for word in content(name)}


PLAIN = frozenset(
    map(root, ("address", "text", "string", "list", "number", "row", "field", "column", "value"))
) | frozenset(map(root, ("table", "object", "record", "item")))
"""Words for things of any kind. A phrase says them for completeness, and a clause may leave them out."""
PRONOUNS = frozenset({"it", "its", "them", "their", "result", "results"})


def _core(phrase: str, contract: Contract, pronoun: bool, clause: list[str]) -> dict[str, str]:
    """What a phrase says that makes it this capability and no wider one: root -> word.

    Left out: words for things of any kind, the names of its properties (but for units: "convert" alone converts
    nothing), "maximum" and the like before one, and with a `pronoun` what it may stand for: the title in "make a url
    slug from a title", the message in "send a message to the team".
    """
    if pronoun:
        phrase = re.sub(
            r"(?i)\b(?:from|of|in) (?:an?|the) \w+$|(?<=^send )an? \w+(?= to)|(?<=^post )an? \w+(?= to)", "", phrase
        )
    words = [word for word in tokens(phrase) if word not in STOP and word[0].isalpha()]
    inputs = {word for name in contract.input.get("properties", {}) for word in content(name)}
    soft = {word for word in inputs if word not in _UNIT_OF} | PLAIN
    found = dict.fromkeys(_meaning(phrase)[:1], "")
    for word, after in itertools.zip_longest(words, words[1:], fillvalue=""):
        bounds = word in ("maximum", "minimum") and root(after) in soft
        # "Check whether it is valid" says "check" twice.
        again = "check" in found and word in ("valid", "whether", "right")
        if root(word) not in soft and word not in GENERIC and word not in NUMBER_WORDS and not bounds and not again:
            found[root(word)] = word
    ids = {root(name.removesuffix("_id")) for name in contract.input.get("properties", {}) if name.endswith("_id")}
    meant = ids & set(map(root, words))
    if ids & set(clause) and not meant & set(clause):
        # "Reverse a refund" is not to reverse the payment, though it takes the ids of both.
        found |= {each: each for each in meant}
    return found


def _is_group_unsaid(clause: str, contract: Contract, bound: _Bound) -> bool:
    """Whether a capability works for each value of a field, and the clause for the whole: to count the rows is not to
    count them by something."""
    each = not {"each", "per"}.isdisjoint(tokens(contract.intent))
    unsaid = {"by", "per", "each", "every"}.isdisjoint(tokens(clause))
    return each and unsaid and any(name.startswith("group_") for name in _needed_of(contract, bound))


def _names_of_inputs(contract: Contract, bound: _Bound) -> set[str]:
    """The roots by which a clause can name what the capability works on: those of the inputs that are still open, and
    in the phrases what stands right before one ("csv text")."""
    needed = {word for name in _needed_of(contract, bound) for word in map(root, name.split("_"))}
    pairs = (pair for phrase in (contract.intent, *contract.aliases) for pair in itertools.pairwise(tokens(phrase)))
    return needed | {root(word) for word, after in pairs if root(after) in needed and word not in STOP}


def _works_on_one(contract: Contract, bound: _Bound) -> bool:
    """Whether there is one thing that a clause may leave unsaid: the only open input, or a list or an object."""
    needed = _needed_of(contract, bound)
    schemas = [contract.input["properties"][name] for name in needed]
    return len(needed) == 1 or any(
        isinstance(schema, dict) and schema.get("type") in ("array", "object") for schema in schemas
    )


def _several(clause: str, contract: Contract) -> str:
    """A word of the clause that names several of what the capability takes one of; empty when there is none."""
    known = {word for phrase in (contract.intent, *contract.aliases) for word in tokens(phrase)}
    lists = {
        word
        for side in (contract.input, contract.output)
        for name, schema in side.get("properties", {}).items()
        if not isinstance(schema, dict) or schema.get("type") in ("array", None) or name.endswith("s")
        for word in tokens(name)
    }
    for word in tokens(clause):
        one = word[:-1]
        if word.endswith("s") and not word.endswith("ss") and one in known and word not in known | lists:
            return word
    return ""


def _turned_inputs(clause: str, contract: Contract) -> tuple[str, str] | None:
    """Two numbers or two dates that a clause names in another order than the contract does, as in "from the current to
    the initial number": the words between may say that they are exchanged. None when there are none."""
    properties: dict[str, Schema] = contract.input.get("properties", {})
    said = content(clause)
    if TURNING.isdisjoint(tokens(clause)):
        return None
    alike: dict[str, list[str]] = {}
    for name in contract.input.get("required", []):
        kind = properties[name].get("type")
        distinct = [word for word in map(root, name.split("_")) if word in said]
        whole = len(distinct) == len(name.split("_"))
        if whole and (kind in ("number", "integer") or properties[name].get("format") == "date"):
            alike.setdefault(properties[name].get("format", "number"), []).append(name)
    for names in alike.values():
        places = [said.index(root(name.split("_")[0])) for name in names]
        for one, other in itertools.pairwise(range(len(names))):
            if places[one] > places[other]:
                return names[other], names[one]
    return None


TURNING = frozenset({"from", "to", "between", "of", "than", "against", "by", "into"})
"""Between two things of one kind, these say which is which."""


def _contents_of_files(clause: str, known: set[str]) -> set[str]:
    """The roots of "file" and "document" where the clause reads one: its content is what the capability takes.

    What is to be written "to a file" is not: a capability that gives back text writes none.
    """
    words = [word for word in tokens(clause) if word not in DETERMINERS - {"by", "up"}]
    return {
        root(word)
        for before, kind, word in zip(["", "", *words], ["", *words], words, strict=False)
        if word in ("file", "document") and root(kind) in known and before not in ("to", "as", "into", "in", "on")
    }


_TELLING_WORDS = (
    frozenset(word for family in OPPOSITES for member in family for word in member.split() if word not in STOP)
    | NEGATIONS
    | {"than"}
    | IS_WORDS
)


# ---------------------------------------------------------------- wiring

SAME_NAME, SAME_WORDS, ONLY_TYPE = 3, 2, 1
GENERIC_INPUTS = frozenset(
    {
        *(
            "body",
            "column",
            "count",
            "data",
            "field",
            "index",
            "input",
            "item",
            "items",
            "key",
            "length",
            "limit",
            "list",
        ),
        *(
            "message",
            "name",
            "number",
            "numbers",
            "object",
            "output",
            "pattern",
            "prefix",
            "separator",
            "size",
            "subject",
        ),
        *("suffix", "text", "title", "value", "values", "id", "format", "style", "delimiter", "kind", "type"),
    }
)
"""Names that say too little: two nodes that need one of these need two different things."""


class _Wire(NamedTuple):
    producer: int
    property: str
    level: int


class _Plan(NamedTuple):
    cost: tuple[Any, ...]
    options: tuple[_Option, ...]
    order: tuple[int, ...]
    wires: dict[tuple[int, str], _Wire]
    loose: tuple[tuple[int, str], ...] = ()
    """Clauses that take up something which no step before them gives, and what; a plan with one is none."""


def compose(
    intent: str,
    catalog: Sequence[Contract],
    rank: Callable[[str], Sequence[tuple[str, float]]],
    *,
    effect_of: Callable[[str], Effect],
    examples: Sequence[dict[str, Any]] = (),
) -> Composition:
    """Workflows made of `catalog` that may do what the intent says, at most five, best first; else the gaps.

    `rank` gives the capabilities that the registry's search proposes for a clause: (name, score), best first.
    `effect_of` gives a capability's effect; steps that write keep the order in which the intent names them.

    A capability is taken for a clause when the clause's action is one of its actions, every word that says something is
    a word of its contract or a literal, every number and quoted text has one place in it, and no veto speaks against
    it. Data flows by schema: first the same property name, then the same words in the name, then
    the only property of the type; formats and unit words must agree. Up to six capabilities every ordering is tried;
    the one that leaves the fewest inputs open wins, then the one nearest to the order of the clauses. Required inputs
    that nothing produces become inputs of the workflow. A literal is bound where the clause names it ("by city", "of
    price", "2 decimals", quoted text) and there is exactly one place for it; the explanation says so each time.

    The caller's `examples` only give names: when they call an open input or a part of the result otherwise, and there
    is exactly one way to match the names by their values, the workflow takes the caller's names.
    """
    by_name = {contract.name: _spelled(contract) for contract in catalog}
    parts = clauses(intent)
    choices: list[list[_Option]] = []
    explanation: list[Explained] = []
    for clause in parts:
        options, reason = _options(clause, by_name, rank(clause))
        choices.append(options)
        explanation.append(
            Explained(clause=clause, capability=options[0].contract.name, why=_why(options[0]))
            if options
            else Explained(clause=clause, capability=None, why=reason)
        )
    gaps = tuple(each.clause for each in explanation if each.capability is None)
    if gaps or not parts:
        return Composition(gaps=gaps, explanation=tuple(explanation))
    found = list(_plans(choices, effect_of))
    plans = sorted((plan for plan in found if not plan.loose), key=lambda plan: plan.cost)[:DRAFTS_MAX]
    if not plans:
        missing = dict(found[0].loose)
        told = (
            Explained(clause=each.clause, capability=None, why=missing[place]) if place in missing else each
            for place, each in enumerate(explanation)
        )
        return Composition(gaps=tuple(parts[place] for place in sorted(missing)), explanation=tuple(told))
    drafts = tuple(_workflow(intent, plan, by_name, effect_of, examples) for plan in plans)
    return Composition(drafts=drafts, explanation=tuple(_explain(parts, plans[0], drafts[0])))


def _spelled(contract: Contract) -> Contract:
    """A contract whose phrases have "email" as one word, as `_options` reads it in clauses."""
    phrases = {"intent": EMAIL.sub("email", contract.intent)}
    return contract.model_copy(
        update=phrases | {"aliases": tuple(EMAIL.sub("email", each) for each in contract.aliases)}
    )


def _plans(choices: list[list[_Option]], effect_of: Callable[[str], Effect]) -> Iterator[_Plan]:
    for combination in itertools.islice(nearest([len(options) for options in choices]), COMBINATIONS_MAX):
        options = tuple(choices[place][index] for place, index in enumerate(combination))
        best = _best_order(options, effect_of)
        loose, open_, *rest = best.cost
        yield best._replace(cost=(loose, open_ + 3 * sum(combination), *rest, combination))


def nearest(sizes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every choice of an index below each size, the smallest sum first, then the smallest tuple; made when asked."""
    heap = [(0, (0,) * len(sizes))]
    while heap:
        total, combination = heapq.heappop(heap)
        yield combination
        # Each tuple is reached once: only from the one whose last index that is not 0 is smaller by one.
        last = max((place for place, index in enumerate(combination) if index), default=0)
        for place in range(last, len(sizes)):
            if combination[place] + 1 < sizes[place]:
                heapq.heappush(
                    heap,
                    (total + 1, (*combination[:place], combination[place] + 1, *combination[place + 1 :])),
                )


def _best_order(options: tuple[_Option, ...], effect_of: Callable[[str], Effect]) -> _Plan:
    count = len(options)
    matches = {
        (consumer, name): [
            wire
            for producer in range(count)
            if producer != consumer
            for wire in _match(options[producer], producer, options[consumer], name)
            # A mere type, or a name that says nothing, is no reason to turn the order of the clauses round.
            if producer < consumer or (wire.level > ONLY_TYPE and name not in GENERIC_INPUTS)
        ]
        for consumer in range(count)
        for name in _needed(options[consumer])
    }
    writes = {place for place in range(count) if effect_of(options[place].contract.name) == "write"}
    least_open = _count_inputs(options, [key for key, wires in matches.items() if not wires])
    best: _Plan | None = None
    orders: Iterable[tuple[int, ...]] = (
        itertools.permutations(range(count)) if count <= ORDERINGS_UP_TO else [tuple(range(count))]
    )
    for order in orders:
        place_of = {node: place for place, node in enumerate(order)}
        # What is said before a write is done before it: a check, or a look at how things stood.
        if any(one > other and writes & {one, other} for one, other in itertools.combinations(order, 2)):
            continue
        wires = {}
        for (consumer, name), found in matches.items():
            earlier = [wire for wire in found if place_of[wire.producer] < place_of[consumer]]
            if earlier:
                # "It" is what the clause before gives, where that fits at all.
                near = consumer - 1 if options[consumer].takes_up else None
                wires[consumer, name] = max(
                    earlier, key=lambda wire: (wire.producer == near, wire.level, place_of[wire.producer])
                )
        open_ = _count_inputs(options, [key for key in matches if key not in wires])
        alone = sum(not any(consumer == node for consumer, _ in wires) for node in order[1:])
        turned = sum(one > other for one, other in itertools.combinations(order, 2))
        levels = sum(wire.level for wire in wires.values())
        loose = tuple(_loose_ends(options, matches, wires))
        plan = _Plan((len(loose), 2 * open_ + alone, turned, -levels, order), options, order, wires, loose)
        if best is None or plan.cost < best.cost:
            best = plan
        if turned == 0 and open_ == least_open and alone == 0 and not loose:
            break
    assert best is not None
    return best


def _count_inputs(options: Sequence[_Option], open_: Iterable[tuple[int, str]]) -> int:
    """How many inputs of the workflow these become: one for all of the same name, when the name says what it is."""
    return len({(-1 if _is_specific(name) else node, name) for node, name in open_})


def _is_specific(name: str) -> bool:
    return name not in GENERIC_INPUTS and not name.endswith(("_field", "_column", "_key"))


def _loose_ends(
    options: tuple[_Option, ...], matches: Iterable[tuple[int, str]], wires: dict[tuple[int, str], _Wire]
) -> Iterator[tuple[int, str]]:
    """The clauses that speak of what came before and get nothing of it: place, and why."""
    specific = [key for key in matches if key not in wires and _is_specific(key[1])]
    for place, option in enumerate(options):
        capability = option.contract.name
        elsewhere = {name for node, name in specific if node != place}
        mine = [wire for (consumer, _), wire in wires.items() if consumer == place]
        # In "send it to the user by email" the address is named, and "it" is something else.
        named = _inputs_named(option) if option.takes_up == 2 else set()
        taken = [name for consumer, name in wires if consumer == place and name not in named]
        wanted = [name for consumer, name in matches if consumer == place]
        schemas = option.contract.input.get("properties", {})
        # One input may serve both: "check the email address and send it a message".
        both = any(
            node == place and name in elsewhere and schemas[name].get("type") not in ("array", "object")
            for node, name in specific
        )
        # What gives others their data may stand anywhere: "group the rows and parse the csv".
        gives = option.takes_up == 1 and any(wire.producer == place for wire in wires.values())
        if place and option.takes_up and wanted and not (taken or both or gives):
            yield place, f"no step before it gives what {capability} takes ({', '.join(wanted)})"
            continue
        several = [
            name for name in wanted if (place, name) not in wires and _gives_several(options[:place], option, name)
        ]
        if several:
            yield place, f"{capability} takes one {several[0]}, and a step before it gives several"
            continue
        before = {str(value).casefold() for wire in mine for value in options[wire.producer].bound.values.values()}
        lost = [text for text in option.bound.grouped if text.casefold() not in before]
        if lost:
            yield (
                place,
                f"{capability} has no place for {lost[0]!r}, and no step before it gives it parts by {lost[0]!r}",
            )


def _gives_several(earlier: Sequence[_Option], option: _Option, name: str) -> bool:
    """Whether a clause speaks of one thing (`email`) of which a clause before it gives a list (`emails`)."""
    if option.contract.input["properties"][name].get("type") == "array" or root(name) not in content(option.clause):
        return False
    lists = (
        key
        for each in earlier
        for key, schema in each.contract.output.get("properties", {}).items()
        if schema.get("type") == "array"
    )
    return any(key != name and root(key) == root(name) for key in lists)


def _inputs_named(option: _Option) -> set[str]:
    """The inputs that a clause names; "the target price" is not also the price."""
    said = set(content(option.clause))
    roots = {name: set(map(root, name.split("_"))) for name in option.contract.input.get("properties", {})}
    named = {name: words for name, words in roots.items() if words & said}
    return {name for name, words in named.items() if not any(words < other <= said for other in named.values())}


def _needed(option: _Option) -> list[str]:
    return _needed_of(option.contract, option.bound)


def _needed_of(contract: Contract, bound: _Bound) -> list[str]:
    properties = contract.input.get("properties", {})
    return [name for name in contract.input.get("required", []) if name in properties and name not in bound.values]


def _match(producer: _Option, place: int, consumer: _Option, name: str) -> Iterator[_Wire]:
    """How an output of the producer can be the consumer's input `name`: at most one wire."""
    gives = producer.contract.output
    outputs: dict[str, Schema] = {
        key: schema for key, schema in gives.get("properties", {}).items() if key in gives.get("required", [])
    }
    inputs: dict[str, Schema] = consumer.contract.input["properties"]
    wanted = inputs[name]
    good = [each for each, schema in outputs.items() if _goes(schema, wanted) and _same_unit(each, name)]
    scalar = wanted.get("type") not in ("array", "object")
    if name in good:
        if not scalar or name not in GENERIC_INPUTS or _speaks_of(consumer, {name}):
            yield _Wire(place, name, SAME_NAME)
        return
    if _is_field(name, wanted):
        return
    # Lists of objects go anywhere by type alone; under another name they must also have what is asked of them.
    asked = [each for key, each in consumer.bound.values.items() if _is_field(key, inputs[key])]
    good = [each for each in good if _declares(outputs[each], wanted) and _may_hold(outputs[each], asked)]
    words = {root(word) for word in name.split("_")}
    alike = [each for each in good if words < {root(word) for word in each.split("_")}]
    if len(alike) == 1 and name not in GENERIC_INPUTS:
        yield _Wire(place, alike[0], SAME_WORDS)
        return
    sure = [each for each in good if _goes(outputs[each], wanted, surely=True)]
    rivals = [each for each in _needed(consumer) if _goes(outputs[sure[0]], inputs[each], surely=True)] if sure else []
    piped = len(outputs) == 1 and name in GENERIC_INPUTS and _speaks_of(consumer, {name, *sure})
    # Which of several results is meant, their types alone do not say.
    told = len(outputs) == 1 or bool(sure and root(sure[0]) in content(consumer.clause))
    # "Find the outliers, and average them": the clause that "them" takes up names them.
    told |= bool(sure and consumer.takes_up == 2 and root(sure[0]) in content(producer.clause))
    if len(sure) == 1 and rivals == [name] and (piped or (told and not scalar)):
        yield _Wire(place, sure[0], ONLY_TYPE)


def _goes(given: Schema, wanted: Schema, *, surely: bool = False) -> bool:
    """Whether a value of one schema can stand where the other is asked for; `surely`: every value can."""
    if not isinstance(given, dict) or not isinstance(wanted, dict):
        return False
    if wanted.get("format") != given.get("format") and "format" in wanted:
        return False
    if surely and not ({"type", "enum", "const"} & set(given) and {"type", "enum", "const"} & set(wanted)):
        return False
    return not any(surely or finding.severity == "error" for finding in fits(given, wanted, "$"))


def _speaks_of(option: _Option, names: set[str]) -> bool:
    """Whether a clause takes up what the one before gave: by a name of it, by "it", or by naming nothing at all."""
    return option.takes_up > 0 or bool({root(name) for name in names} & set(content(option.clause)))


def _declares(given: Schema, wanted: Schema) -> bool:
    """Whether the objects in question declare every property that the other side requires of them."""
    one, other = given.get("items", given), wanted.get("items", wanted)
    return not isinstance(other, dict) or set(other.get("required", [])) <= set(one.get("properties", {}))


def _may_hold(schema: Schema, fields: list[str]) -> bool:
    """Whether the objects of a list may have these fields; true for whatever is no list of closed objects."""
    items = schema.get("items")
    if not isinstance(items, dict) or items.get("additionalProperties") is not False:
        return True
    return bool(items.get("patternProperties")) or set(fields) <= set(items.get("properties", {}))


def _same_unit(given: str, wanted: str) -> bool:
    def units(name: str) -> set[str]:
        return {_UNIT_OF[stem(word)] for word in name.split("_") if stem(word) in _UNIT_OF}

    one, other = units(given), units(wanted)
    return not one or not other or one == other


# ---------------------------------------------------------------- the workflow

END = "done"
OPERATIONS = frozenset({"var", "missing", "and", "or", "if", "in", "cat", "literal"})


def _workflow(
    intent: str,
    plan: _Plan,
    by_name: dict[str, Contract],
    effect_of: Callable[[str], Effect],
    examples: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    ids = _node_ids([plan.options[node].contract.name for node in plan.order])
    id_of = dict(zip(plan.order, ids, strict=True))
    inputs = _open_inputs(plan, id_of)
    asked = {shown: plan.options[node].contract.input["properties"][name] for (node, name), shown in inputs.items()}
    good = [example for example in examples if example.get("error") is None and "input" in example]
    renamed = _callers_names(asked, [example["input"] for example in good])
    inputs = {key: renamed.get(shown, shown) for key, shown in inputs.items()}
    withs: dict[int, dict[str, Any]] = {}
    nodes: list[dict[str, Any]] = []
    for place, node in enumerate(plan.order):
        contract, bound = plan.options[node].contract, plan.options[node].bound
        given: dict[str, Any] = {}
        for name in contract.input.get("properties", {}):
            if name in bound.values:
                given[name] = bound.values[name]
            elif (node, name) in plan.wires:
                wire = plan.wires[node, name]
                given[name] = {"var": f"nodes.{id_of[wire.producer]}.output.{wire.property}"}
            elif (node, name) in inputs:
                given[name] = {"var": f"input.{inputs[node, name]}"}
        withs[node] = given
        task: dict[str, Any] = {"id": id_of[node], "kind": "task", "capability": contract.name, "with": given}
        if effect_of(contract.name) == "write" and contract.compensated_by in by_name:
            undo = by_name[contract.compensated_by]
            arguments = _undo_arguments(undo, contract, id_of[node], given)
            if arguments is not None:
                task["compensation"] = {"capability": undo.name, "with": arguments}
        task["next"] = ids[place + 1] if place + 1 < len(ids) else END
        nodes.append(task)
    schema = {
        "type": "object",
        "required": list(dict.fromkeys(inputs.values())),
        "properties": {
            shown: plan.options[node].contract.input["properties"][name] for (node, name), shown in inputs.items()
        },
        "additionalProperties": False,
    }
    used = {wire.producer for wire in plan.wires.values()}
    sinks = [node for node in plan.order if node not in used]
    contracts = {id_of[node]: plan.options[node].contract for node in sinks}
    if len(sinks) == 1:
        output: Any = {"var": f"nodes.{id_of[sinks[0]]}.output"}
        output_schema = contracts[id_of[sinks[0]]].output
    else:
        output = {node_id: {"var": f"nodes.{node_id}.output"} for node_id in contracts}
        output_schema = {
            "type": "object",
            "required": list(contracts),
            "properties": {node_id: contract.output for node_id, contract in contracts.items()},
        }
    results = [example["output"] for example in good if "output" in example]
    taken = _callers_result(plan, id_of, results)
    if taken is not None:
        output, output_schema = taken
    return {
        "name": _workflow_name(intent),
        "intent": " ".join(intent.split())[:500],
        "input": schema,
        "output": output_schema,
        "start": ids[0],
        "nodes": [*nodes, {"id": END, "kind": "end", "output": output}],
    }


def _callers_names(asked: dict[str, Schema], values: list[JSON]) -> dict[str, str]:
    """Names of open inputs -> the keys that the caller's examples use for them; empty when there isn't just one way."""
    if not values or not all(isinstance(value, dict) for value in values):
        return {}
    keys = set(values[0])
    ours, theirs = sorted(set(asked) - keys), sorted(keys - set(asked))
    if any(set(value) != keys for value in values) or len(ours) != len(theirs) or not 0 < len(ours) <= 5:
        return {}
    ways = [
        way
        for way in itertools.permutations(theirs)
        if all(not problems(asked[one], value[key]) for one, key in zip(ours, way, strict=True) for value in values)
    ]
    return dict(zip(ours, ways[0], strict=True)) if len(ways) == 1 else {}


def _callers_result(plan: _Plan, id_of: dict[int, str], results: list[JSON]) -> tuple[JSON, Schema] | None:
    """The end's output and its schema in the shape of the caller's examples; None when the plain one will do.

    Each key of the result is the output property of that name, of the last step that has it, else the only property of
    the last step that can be what the examples show.
    """
    last = plan.options[plan.order[-1]].contract.output.get("properties", {})
    whole = not results or all(isinstance(result, dict) and set(result) == set(last) for result in results)
    if whole or any(not isinstance(result, dict) or set(result) != set(results[0]) for result in results):
        return None
    if set(results[0]) <= OPERATIONS:
        # An object whose one key is an operator's name would be that operation.
        return None
    output: dict[str, JSON] = {}
    schemas: dict[str, Schema] = {}
    for key in results[0]:
        places = [
            (node, name)
            for node in reversed(plan.order)
            for name in plan.options[node].contract.output.get("required", [])
            if name == key
        ][:1]
        if not places:
            free = [name for name in last if name not in results[0]]
            fitting = [name for name in free if not any(problems(last[name], result[key]) for result in results)]
            places = [(plan.order[-1], name) for name in fitting] if len(fitting) == 1 else []
        if not places:
            return None
        node, name = places[0]
        output[key] = {"var": f"nodes.{id_of[node]}.output.{name}"}
        schemas[key] = plan.options[node].contract.output["properties"][name]
    schema = {"type": "object", "required": list(schemas), "properties": schemas, "additionalProperties": False}
    return output, schema


def _undo_arguments(undo: Contract, done: Contract, node_id: str, given: dict[str, Any]) -> dict[str, Any] | None:
    """Where the compensation's inputs come from: what the step gave back, else what it was given; or None."""
    outputs = done.output.get("properties", {})
    arguments: dict[str, Any] = {}
    for name in undo.input.get("required", []):
        wanted = undo.input.get("properties", {}).get(name, {})
        if name in outputs and name in done.output.get("required", []) and _goes(outputs[name], wanted):
            arguments[name] = {"var": f"nodes.{node_id}.output.{name}"}
        elif name in given and _goes(done.input["properties"][name], wanted):
            arguments[name] = given[name]
        else:
            return None
    return arguments


def _node_ids(names: list[str]) -> list[str]:
    ids: list[str] = []
    for name in names:
        base = name.replace(".", "_")[:50]
        ids.append(base if base not in ids else f"{base}_{sum(each.startswith(base) for each in ids) + 1}")
    return ids


def _open_inputs(plan: _Plan, id_of: dict[int, str]) -> dict[tuple[int, str], str]:
    """Workflow inputs for what nothing produces: (node, property) -> name of the input.

    One input serves several nodes when name and schema are the same and the name says what it is (`order_id`). Others
    of the same name get the first word of what their node does in front (`group_field`, `average_field`).
    """
    wanted = [
        (node, name) for node in plan.order for name in _needed(plan.options[node]) if (node, name) not in plan.wires
    ]

    def schema(node: int, name: str) -> Schema:
        part = plan.options[node].contract.input["properties"][name]
        return {key: value for key, value in part.items() if key != "description"}

    shown: dict[tuple[int, str], str] = {}
    for node, name in wanted:
        rivals = [each for each, other in wanted if other == name]
        same = all(schema(each, name) == schema(node, name) for each in rivals)
        if len(rivals) == 1 or (_is_specific(name) and same):
            shown[node, name] = name
            continue
        action = plan.options[node].contract.name.rpartition(".")[2].partition("_")[0]
        shown[node, name] = name if name.startswith(f"{action}_") else f"{action}_{name}"
    users: dict[str, set[tuple[int, str]]] = {}
    for key, each in shown.items():
        users.setdefault(each, set()).add(key)
    for each, keys in users.items():
        # Only what kept its name may be one input for several nodes.
        if len(keys) > 1 and any(name != each for _, name in keys):
            shown |= {(node, name): f"{id_of[node]}_{name}" for node, name in keys}
    return shown


def _workflow_name(intent: str) -> str:
    words = [
        word
        for word in tokens(intent)
        if word not in STOP and not is_generic(root(word)) and re.fullmatch("[a-z]+", word)
    ]
    return "composed." + ("_".join(words[:4])[:80].strip("_") or "workflow")


# ---------------------------------------------------------------- the explanation


def _why(option: _Option) -> str:
    said = [f"found by its words: {option.contract.intent!r}"]
    said += [f"{name} = {value!r} is named in the clause" for name, value in option.bound.values.items()]
    return "; ".join(said)


def _explain(parts: list[str], plan: _Plan, draft: dict[str, Any]) -> Iterator[Explained]:
    steps = {node["id"]: node for node in draft["nodes"]}
    ids = [node["id"] for node in draft["nodes"][:-1]]
    id_of = dict(zip(plan.order, ids, strict=True))
    for place, clause in enumerate(parts):
        option, node_id = plan.options[place], id_of[place]
        said = [_why(option)]
        for name, source in steps[node_id]["with"].items():
            wire = plan.wires.get((place, name))
            if wire is not None:
                how = {SAME_NAME: "same name", SAME_WORDS: "same words", ONLY_TYPE: "only one of its type"}[wire.level]
                said.append(f"{name} from {id_of[wire.producer]}.{wire.property} ({how})")
            elif name not in option.bound.values:
                said.append(f"{name} is asked for as {source['var']}")
        undo = option.contract.compensated_by
        if "compensation" in steps[node_id]:
            said.append(f"undone by {undo}")
        elif undo:
            said.append(f"{undo} would undo it, but not all it needs is known")
        if plan.order[place] != place:
            said.append("moved, because its data is there only then")
        yield Explained(clause=clause, capability=option.contract.name, why="; ".join(said))
