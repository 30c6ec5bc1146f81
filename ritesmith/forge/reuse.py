"""Decides whether what is already published answers an intent. Words propose; contract and executed examples decide.

| tier | condition |
|---|---|
| exact | the normalised intent is one of its phrases, contract fits, effect no wider, its own examples green |
| verified | contract fits, effect no wider, no veto, at least two different caller examples pass, own examples green |
|          | (found by its contract alone, or vetoed for what one side leaves unsaid: at least three, not all alike) |
| proposed | it may be right, but a veto brakes, or evidence is missing: shown with the reason, never used silently |
| none | it is wrong: another contract, a wider effect, a failed example of the caller's or of its own |
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal

from ritesmith.forge.words import STOP, content, stem, tokens
from ritesmith.models import EFFECT_ORDER, JSON, ArtifactKind, Effect, Schema, Value
from ritesmith.schemas import problems

EXAMPLES_NEEDED = 2
"""Two executed examples brought the precision of reuse to 0.96 on 963 tasks, one only to 0.87."""
EXAMPLES_STRONG = 3
"""So many different ones, with at least two different outcomes, say what words leave unsaid. They do not say the
contrary of what words do say: an opposite that is named on both sides brakes whatever passes."""

Tier = Literal["exact", "verified", "proposed", "none"]


class Request(Value):
    """What is asked for: in words, by examples, and with which leave."""

    intent: str
    examples: tuple[dict[str, Any], ...] = ()
    """The caller's examples as given: input, and output or error."""
    effect: Effect = "write"
    """The widest effect that the result may have."""
    hosts: tuple[str, ...] = ()
    """The only ones that its grants may name; none are given: the policy alone decides."""
    name: str | None = None
    """The name that the result must bear."""


class Candidate(Value):
    """A published artifact that search proposes for an intent."""

    digest: str
    ref: str
    """`name@version`."""
    kind: ArtifactKind
    name: str
    intent: str
    aliases: tuple[str, ...] = ()
    input: Schema
    output: Schema | None = None
    effect: Effect
    hosts: tuple[str, ...] = ()
    """Those that its grants name."""
    score: float = 0.0
    """Of the text search; it orders candidates and decides nothing."""
    by_words: bool = True
    """It was found by the words of the intent; else only by the fields of the caller's examples."""

    @property
    def phrases(self) -> tuple[str, ...]:
        """Every wording that was accepted for it."""
        return (self.intent, *self.aliases)


class Evidence(Value):
    """What happened when the candidate was run in the sandbox."""

    own_green: bool | None = None
    """Its own examples pass; None: not run."""
    passed: int = 0
    failed: int = 0
    total: int = 0
    """Caller examples; those that neither passed nor failed were not run, as after the first that failed."""
    messages: tuple[str, ...] = ()


class Verdict(Value):
    """The tier, and one sentence that says why."""

    tier: Tier
    reason: str
    vetoes: tuple[str, ...] = ()
    misfits: tuple[str, ...] = ()


def normalise(intent: str) -> str:
    """The intent without differences of case, spacing, Unicode form and sentence punctuation; nothing cleverer.

    Equal results are reused without looking further, so what may carry meaning stays: text in double quotes as it
    stands, operators, brackets, signs, and points that don't end a word.
    """
    text = _pass(intent)
    # What one pass takes away may uncover more of the same.
    while (again := _pass(text)) != text:
        text = again
    return text


def _pass(intent: str) -> str:
    # What Unicode folding and small letters would make equal: an exponent and a digit, and the symbols of two units.
    text = re.sub("[⁰¹²³⁴-⁹⁺⁻]+", r"^\g<0>", intent)
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    parts = re.split(r'("[^"]*")', text)
    shown = (part if part.startswith('"') and len(part) > 1 else _plain(part) for part in parts)
    return " ".join(" ".join(shown).split())


_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})


def _plain(text: str) -> str:
    text = re.sub(r"\b([KMGT])b(?=ps\b|\b)", r"\1bit", text)
    text = re.sub(r"\bm(?=(?:[WVAJN]|Hz|Pa)\b)", "milli", text)
    text = unicodedata.normalize("NFKC", text.casefold())
    text = re.sub(r"(?<=[\w)\]'\"%])[.,;:?]+(?=\s|$)|(?<=\w\w)!+(?=\s|$)|^[.,;:?!]+(?=\s|$)", " ", text)
    # Between two single letters it is a minus.
    text = re.sub(r"(?<=[^\W\d_])[-‐‑](?=[^\W\d_]{2})|(?<=[^\W\d_]{2})[-‐‑](?=[^\W\d_])", " ", text)
    return re.sub(r"\s[–—]\s", " ", text)


# ---------------------------------------------------------------- the ladder


def not_allowed(effect: Effect, hosts: Sequence[str], request: Request) -> str:
    """Why a request does not allow such an effect, or grants that name these hosts; empty where it does."""
    if EFFECT_ORDER[effect] > EFFECT_ORDER[request.effect]:
        return f"its effect is {effect}, and at most {request.effect} is allowed"
    others = [host for host in hosts if request.hosts and host not in request.hosts]
    if others:
        return f"it is granted {', '.join(others)}, and of hosts only {', '.join(request.hosts)} is allowed"
    return ""


def judge(candidate: Candidate, request: Request, evidence: Evidence) -> Verdict:
    """The tier that a candidate reaches for a request, by the ladder above, and the reason in one sentence."""
    refused = not_allowed(candidate.effect, candidate.hosts, request)
    if refused:
        return Verdict(tier="none", reason=refused)
    misfits = tuple(contract_fits(candidate, request))
    if misfits:
        return Verdict(tier="none", reason=f"its contract does not fit: {misfits[0]}", misfits=misfits)
    if evidence.failed:
        said = f": {evidence.messages[0]}" if evidence.messages else ""
        return Verdict(
            tier="none", reason=f"it fails {evidence.failed} of the caller's {evidence.total} examples{said}"
        )
    if evidence.own_green is False:
        return Verdict(tier="none", reason="its own examples do not pass any more")
    if request.name is not None and request.name != candidate.name:
        return Verdict(tier="proposed", reason=f"it is called {candidate.name!r}, and {request.name!r} is asked for")
    if is_exact(candidate, request):
        if evidence.own_green is None:
            return Verdict(tier="proposed", reason="its own examples have not been run")
        return Verdict(tier="exact", reason=_exact_reason(candidate, request, evidence))
    found = brakes(candidate, request, evidence)
    if found:
        return Verdict(tier="proposed", reason=f"the words may mean something else: {found[0]}", vetoes=found)
    needed, different = EXAMPLES_NEEDED, _different(request, evidence)
    if not candidate.by_words:
        needed = EXAMPLES_STRONG
        different = different if is_strong(request, evidence) else min(different, EXAMPLES_NEEDED)
    if different < needed:
        words = "on similar words" if candidate.by_words else "without words in common"
        return Verdict(
            tier="proposed",
            reason=f"{needed} different examples must pass before it is reused {words}, and {different} did",
        )
    if evidence.own_green is None:
        return Verdict(tier="proposed", reason="its own examples have not been run")
    rest = "" if evidence.passed == evidence.total else "; the others could not be run"
    return Verdict(
        tier="verified",
        reason=f"its contract fits and {evidence.passed} of {evidence.total} caller's examples pass{rest}",
    )


def is_exact(candidate: Candidate, request: Request) -> bool:
    """Whether the intent is one of the candidate's phrases, form aside."""
    return normalise(request.intent) in {normalise(phrase) for phrase in candidate.phrases}


def is_strong(request: Request, evidence: Evidence) -> bool:
    """Whether enough different examples passed, and not all with one outcome, which a constant would give as well."""
    outcomes = {_key({key: example.get(key) for key in OUTCOMES}) for example in request.examples}
    return _different(request, evidence) >= EXAMPLES_STRONG and len(outcomes) > 1


def brakes(candidate: Candidate, request: Request, evidence: Evidence) -> tuple[str, ...]:
    """The vetoes that these examples leave standing."""
    return tuple(
        vetoes(
            request.intent,
            candidate.phrases,
            parameters=parameters(request.examples),
            strong=is_strong(request, evidence),
            undoable=candidate.effect != "pure",
            takes=_fields(candidate.input),
            gives=_fields(candidate.output),
        )
    )


OUTCOMES = ("output", "error", "outcome", "status", "store_after")
"""What of an example says what should come out; the rest is the world that it starts from."""


def _different(request: Request, evidence: Evidence) -> int:
    worlds = {_key({key: example[key] for key in example if key not in OUTCOMES}) for example in request.examples}
    return min(evidence.passed, len(worlds))


def _fields(schema: Schema | None) -> frozenset[str]:
    """The words that name the fields of a schema, as stems."""
    known = (schema or {}).get("properties")
    return frozenset(stem(word) for key in known for word in tokens(key)) if isinstance(known, dict) else frozenset()


def _exact_reason(candidate: Candidate, request: Request, evidence: Evidence) -> str:
    same = "intent" if normalise(candidate.intent) == normalise(request.intent) else "one of its aliases"
    ran = f" and {evidence.passed} of {evidence.total} caller's" if evidence.total else ""
    return f"{'the' if same == 'intent' else ''} {same} is the same; its own{ran} examples pass".strip()


def contract_fits(candidate: Candidate, request: Request) -> list[str]:
    """Why the caller's examples can't be calls of this candidate; empty when they can, or when there are none.

    An example that expects an error says nothing about the output, and its input may be one that is to be refused.
    """
    reasons: list[str] = []
    for number, example in enumerate(request.examples, start=1):
        if "input" not in example:
            reasons.append(f"example {number} has no input")
            continue
        refused = example.get("error") is not None or example.get("status") == "failed"
        if not refused:
            reasons += _misfits(candidate.input, example["input"], f"example {number}: input")
            reasons += [f"example {number}: it takes no {key!r}" for key in _unknown_keys(candidate.input, example)]
        if not refused and candidate.output is not None and "output" in example:
            reasons += _misfits(candidate.output, example["output"], f"example {number}: output")
    return list(dict.fromkeys(reasons))


def _misfits(schema: Schema, value: JSON, what: str) -> list[str]:
    return [
        f"{what} {path.removeprefix('$')}: {why}".replace(" :", ":") for path, why in problems(schema, value, most=3)
    ]


def _unknown_keys(schema: Schema, example: dict[str, Any]) -> Iterator[str]:
    # An open schema lets a key pass that the code never looks at: then it is not the function that was asked for.
    known = schema.get("properties")
    open_to = schema.get("additionalProperties") not in (None, True, False) or schema.get("patternProperties")
    if isinstance(known, dict) and known and not open_to and isinstance(example["input"], dict):
        yield from (
            key for key in example["input"] if key not in known and schema.get("additionalProperties") is not False
        )


def _key(value: JSON) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


# ---------------------------------------------------------------- vetoes

UNDOING = frozenset({"undo", "reverse", "revert", "rollback"})
NEGATIONS = UNDOING | {
    *("not", "no", "never", "without", "non", "except", "cannot", "neither", "nor", "unless", "none"),
}
"""Words that turn the rest around; an intent with one of them is compared only with a phrase that has one too."""

OPPOSITES: tuple[tuple[str, ...], ...] = (
    # Each row is a family; its members, each a set of words that mean the same here, exclude one another.
    (
        "above over greater more exceed larger higher > >= ≥ upward",
        "below under less fewer smaller lower < <= ≤ beneath",
    ),
    (
        "maximum max largest highest biggest most greatest longest top",
        "minimum min smallest lowest least shortest bottom",
    ),
    ("rise increase grow gain climb up raise", "fall drop decrease decline shrink loss lose down reduce"),
    ("before earlier oldest until ago", "after later newest since latest"),
    ("== = equal same", "!= ≠ different unequal"),
    ("ascending asc", "descending desc"),
    ("add insert append create include keep", "remove delete drop exclude discard"),
    ("add plus sum", "subtract minus difference", "multiply times product", "divide quotient ratio"),
    ("sum", "average mean avg", "median", "mode", "count", "product", "variance", "deviation"),
    ("encode", "decode"),
    ("encrypt", "decrypt"),
    ("compress zip", "decompress unzip uncompress"),
    ("escape", "unescape"),
    ("serialize serialise format render stringify", "parse deserialize deserialise"),
    ("open", "close"),
    ("lock", "unlock"),
    ("enable activate", "disable deactivate"),
    ("refund reimburse", "cancel", "charge bill", "return"),
    ("deposit credit", "withdraw debit"),
    ("buy purchase", "sell"),
    ("import upload", "export download"),
    ("send", "receive"),
    ("push", "pull pop"),
    ("join merge concatenate", "split"),
    ("start begin starts prefix head leading", "stop end suffix tail trailing finish"),
    ("approve accept allow permit grant", "reject refuse deny revoke decline"),
    ("show reveal", "hide"),
    ("even", "odd"),
    ("positive", "negative"),
    ("true", "false"),
    ("valid", "invalid"),
    ("upper uppercase capital", "lower lowercase"),
    ("left", "right"),
    ("first earliest", "last final"),
    ("horizontal", "vertical"),
    ("union", "intersection", "difference"),
    ("all every", "any some", "none"),
    ("floor", "ceil ceiling", "round"),
    ("gross", "net"),
    ("paid", "unpaid"),
    ("active", "inactive"),
    ("success succeed succeeded", "failure fail failed"),
    ("inclusive inclusively", "exclusive exclusively"),
    ("save store write put", "load read fetch", "delete remove erase"),
    ("sine sin", "cosine cos", "tangent tan"),
    ("public", "private"),
    ("debit", "credit"),
    ("hire", "fire"),
    ("client customer buyer", "supplier vendor seller"),
    ("sender", "recipient receiver"),
    ("and both", "or either"),
)
CONNECTORS = frozenset(
    {"to", "into", "from", "by", "with", "minus", "over", "per", "in", "as", "on", "than", "before", "after", "of"}
    | {"for", "between", "->", "=>", "→"}
)
WAYS = frozenset({"to", "into", "as", "from", "->", "=>", "→"})
LOOSE = frozenset({"of", "in", "for", "on", "per", "between", "with"})
"""Connectors whose sides are exchanged in plain speech without a change of meaning."""
UNITS: dict[str, tuple[str, ...]] = {
    "length": (
        "mm millimeter millimetre",
        "cm centimeter centimetre",
        "m meter metre",
        "km kilometer kilometre",
        "mile mi",
        "foot ft",
        "inch",
        "yard",
    ),
    "mass": ("g gram", "kg kilogram kilo", "pound lb lbs", "ounce oz", "ton tonne"),
    "temperature": ("celsius centigrade", "fahrenheit", "kelvin"),
    "time": (
        "ms millisecond",
        "seconds sec secs",
        "minute min mins",
        "hour hr hrs",
        "day",
        "week",
        "month",
        "quarter",
        "year",
    ),
    "data": ("bit", "byte", "kb kilobyte", "kib kibibyte", "mb megabyte", "mib mebibyte", "gb gigabyte", "gib", "tb"),
    "money": ("usd dollar", "eur euro", "gbp sterling", "jpy yen", "chf franc", "cent", "brl real", "inr rupee"),
    "angle": ("degree", "radian"),
    "share": ("percent % percentage", "permille", "fraction"),
    "volume": ("liter litre", "ml milliliter millilitre", "gallon"),
    "base": ("binary", "octal", "decimal", "hexadecimal hex"),
}
NUMBER_WORDS = {
    "zero": "0",
    **{"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"},
    **{"ten": "10", "eleven": "11", "twelve": "12", "dozen": "12", "fifteen": "15", "twenty": "20", "thirty": "30"},
    **{"fifty": "50", "hundred": "100", "thousand": "1000"},
}
ARITY = ("number", "value", "date", "list", "string", "text", "point", "object", "array", "set", "version", "amount")
"""What "two" counts when it only says how many inputs there are."""
ORDINALS = {"third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "tenth": "10"}


def vetoes(
    intent: str,
    candidate_phrases: Sequence[str],
    *,
    parameters: Collection[str] = (),
    strong: bool = False,
    undoable: bool = True,
    takes: Collection[str] = (),
    gives: Collection[str] = (),
) -> list[str]:
    """Why an intent may not mean what a candidate's phrases say, though the words are alike; empty: no such sign.

    The signs: negation on one side only, exchanged sides of "to", "by", "with" and their like, other numbers, other
    units, opposite comparisons, opposite verbs and adjectives. Only the phrase that shares most words with the intent
    is compared (of several, the kindest): the aliases of one artifact may well use opposite words for one thing, as in
    "keep valid rows" and "drop invalid rows". A veto only brakes: nothing is refused, and nothing is ever reused
    because a veto is absent.

    Numbers are compared as values ("two" is 2, "1,000" is 1000) and with the word that they count. A number that the
    caller passes as input, `parameters`, is a parameter on the intent's side. It never differs from a phrase without
    that number, and where the phrase has another number at the same place ("orders above 100", "orders above 250") it
    is taken as a parameter on both sides. A count of inputs ("two numbers") differs only from another such count. Every
    other number that only one side has is a veto: "top 10" is not "top 3", nor is it "top".

    With `strong` evidence (see `EXAMPLES_STRONG`) only contradictions are left, and conditions that the intent alone
    names (see `QUALIFIERS`): what one side merely leaves unsaid (the
    phrase's number, its unit, its negation) the examples have settled. So has the contract, where of two exchanged
    words one names a field that it `takes` and the other one that it `gives` (stems): the examples would be no calls of
    the reverse. What is not `undoable` has no effect that "reverse" could mean to take back.
    """
    if normalise(intent) in {normalise(phrase) for phrase in candidate_phrases}:
        return []
    asked = tokens(intent)
    nearness = [shared(intent, phrase) for phrase in candidate_phrases]
    signs: list[list[str]] = []
    settled = (frozenset(takes), frozenset(gives)) if strong else (frozenset(), frozenset())
    for phrase, near in zip(candidate_phrases, nearness, strict=True):
        if near < max(nearness):
            continue
        stored = tokens(phrase)
        found = _numbers(asked, stored, frozenset(parameters), strong)
        found += _negation(asked, stored, strong, undoable)
        found += _direction(asked, stored, strong, *settled)
        found += _units(asked, stored, strong, settled[0] | settled[1])
        found += _opposites(asked, stored, strong)
        found += _strictness(asked, stored)
        found += _qualifiers(asked, stored)
        signs.append(list(dict.fromkeys(found)))
    return min(signs, key=len, default=[])


def shared(one: str, other: str) -> float:
    """The share of content words that two texts have in common."""
    left, right = set(content(one)), set(content(other))
    return len(left & right) / len(left | right) if left | right else 0.0


def parameters(examples: Iterable[dict[str, Any]]) -> frozenset[str]:
    """The numbers that the caller's examples pass as input, in the form in which `vetoes` compares them."""
    return frozenset(number for example in examples for number in _numbers_in(example.get("input")))


def _numbers_in(value: JSON) -> Iterator[str]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        yield _number(str(value))
    elif isinstance(value, str):
        if re.fullmatch(r"-?\d+(\.\d+)?", value):
            yield _number(value)
    else:
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from _numbers_in(part)


def _number(text: str) -> str:
    return re.sub(r"\.?0+$", "", text) if "." in text else text


ABSENCE = frozenset(
    {"lack", "miss", "missing", "empty", "free", "remove", "drop", "delete", "unique", "distinct", "exclude", "outside"}
    | {"absent", "blank", "incomplete", "only", "minus", "subtract", "difference", "strip", "ignore", "skip", "dedupe"}
)
"""Words that may say by themselves what another text says with a negation: "rows that lack a field"."""


QUALIFIERS = frozenset(
    {"weighted", "geometric", "harmonic", "trimmed", "cumulative", "rolling", "absolute"}
    | {"ignoring", "excluding", "skipping", "omitting", "refuse", "refusing"}
)
SELECTORS = frozenset({"positive", "negative", "even", "odd"})
"""Words that make other work of the same one, though for some inputs only; a selector before what it selects from.

Examples in which both give the same say nothing of it, however many there are."""


def _qualifiers(asked: list[str], stored: list[str]) -> list[str]:
    said = {stem(word) for word in stored}
    if said & _ABSENCE or NEGATIONS & set(stored):
        return []
    found = [word for word in asked if word in QUALIFIERS]
    found += [word for word, noun in pairwise(asked) if word in SELECTORS and noun.endswith("s")]
    # "Up" says nothing in "sum up", and much in "round the number up".
    found += re.findall(r"\bround(?:s|ed|ing)?(?: (?!and\b|then\b|to\b)\w+){0,3}? (up|down)\b", " ".join(asked))
    return [
        f"condition: {word!r} is asked for, and the phrase does not say it" for word in found if stem(word) not in said
    ]


def _negation(asked: list[str], stored: list[str], strong: bool, undoable: bool) -> list[str]:
    def negated(words: list[str]) -> set[str]:
        return {word for word in words if word in NEGATIONS or word.endswith("n't")}

    one, other = negated(asked), negated(stored)
    if strong and not undoable:
        # What only computes has nothing to undo: there "reverse" is the work itself, and has many names.
        one, other = one - UNDOING, other - UNDOING
    if bool(one) == bool(other):
        return []
    plain = stored if one else asked
    if strong and ({stem(word) for word in plain} & _ABSENCE or any(_turned(word) for word in plain)):
        return []
    return [f"negation: only one side says {sorted(one or other)[0]!r}"]


def _turned(word: str) -> bool:
    return len(word) > 5 and word.startswith(("un", "in", "non", "dis"))


def _direction(
    asked: list[str], stored: list[str], strong: bool, takes: frozenset[str], gives: frozenset[str]
) -> list[str]:
    for word, left, right in _pairs(asked):
        for stored_word, stored_left, stored_right in _pairs(stored):
            # "emails from a text" are the "emails in a text": only between ways does "from" name the other end.
            if "from" in (word, stored_word) and not {word, stored_word} <= WAYS:
                continue
            # "parts of a text" and "a text into parts" name one thing from its two ends.
            if strong and {word, stored_word} & LOOSE:
                continue
            # What stands on the same side of both, such as the verb, says nothing about who is who.
            same = (left & stored_left) | (right & stored_right) | (left & right)
            one, other = sorted((left & stored_right) - same), sorted((right & stored_left) - same)
            if one and other and not _one_way(one[0], other[0], takes, gives):
                return [f"direction: {one[0]!r} and {other[0]!r} stand the other way round"]
    return []


def _one_way(one: str, other: str, takes: frozenset[str], gives: frozenset[str]) -> bool:
    """Whether the contract takes the one and gives the other: then examples that are calls of it say which is which."""
    ends = [(word in takes, word in gives) for word in (one, other)]
    return sorted(ends) == [(False, True), (True, False)]


def _pairs(words: list[str]) -> list[tuple[str, set[str], set[str]]]:
    """Each connecting word with the content words beside it, two a side at most; "y from x" is turned to x, y."""
    # "a" beside a connecting word, or at the end, is a variable, not an article.
    edges = [*words, "to"][1:]
    named = [
        "variable a" if word == "a" and edge in CONNECTORS | {"and"} else word
        for word, edge in zip(words, edges, strict=True)
    ]
    pairs = []
    for place, word in enumerate(named):
        if word not in CONNECTORS:
            continue
        left = _near(reversed(named[:place]))
        right = _near(iter(named[place + 1 :]))
        if left and right:
            pairs.append((word, right, left) if word == "from" else (word, left, right))
    return pairs


def _near(words: Iterator[str]) -> set[str]:
    found: list[str] = []
    for word in words:
        if word in CONNECTORS or word == "and" or len(found) == 2:
            break
        if word not in STOP:
            found.append(stem(word))
    return set(found)


def _numbers(asked: list[str], stored: list[str], given: frozenset[str], strong: bool) -> list[str]:
    one, other = _counted(asked), _counted(stored)
    settled = {noun for noun, number in one if number in given}
    for noun, number in one:
        same_place = [each for stored_noun, each in other if stored_noun == noun]
        if noun in settled or number in given:
            continue
        if (same_place and number not in same_place) or (
            number not in {each for _, each in other} and noun not in _ARITY
        ):
            return [f"number: {number} is asked for, and the phrase says {same_place[0] if same_place else 'none'}"]
    if strong:
        return []
    values = {number for _, number in one}
    for noun, number in other:
        if number not in values and noun not in settled and noun not in _ARITY:
            return [f"number: the phrase says {number}, and the intent does not"]
    return []


def _counted(words: list[str]) -> list[tuple[str, str]]:
    """Each number with the word that it counts: the next content word, else the last one before it."""
    found = []
    for place in range(len(words)):
        number = _number_at(words, place)
        if number is None:
            continue
        after = [stem(each) for each in words[place + 1 : place + 3] if each not in STOP and each[0].isalpha()]
        before = [stem(each) for each in words[:place] if each not in STOP and not each[0].isdigit()]
        found.append((after[0] if after else before[-1] if before else "", number))
    return found


def _number_at(words: list[str], place: int) -> str | None:
    word = words[place]
    if word[0].isdigit():
        return _number(word)
    if word == "second" and (place == 0 or not (words[place - 1][0].isdigit() or words[place - 1] in ("per", "a"))):
        return "2"
    return NUMBER_WORDS.get(word) or ORDINALS.get(word)


def _units(asked: list[str], stored: list[str], strong: bool, named: frozenset[str]) -> list[str]:
    reasons = []
    for dimension, names in _UNIT_STEMS.items():
        one = {names[stem(word)]: place for place, word in enumerate(asked) if stem(word) in names}
        other = {names[stem(word)]: place for place, word in enumerate(stored) if stem(word) in names}
        if strong:
            # What the contract calls its fields was said by it, whichever phrase is compared.
            told = {*other, *(names[field] for field in named if field in names)}
            if (one.keys() - told) and other:
                reasons.append(f"unit: {sorted(one.keys() - told)[0]!r} is asked for, and nothing says so")
            one, other = {unit: place for unit, place in one.items() if unit not in told}, {}
        if one and other and set(one) != set(other):
            reasons.append(f"unit: {sorted(set(one) ^ set(other))[0]!r} stands on one side only")
        elif bool(one) != bool(other):
            words, places = (asked, one) if one else (stored, other)
            explicit = [name for name, place in places.items() if place and words[place - 1] == "in"]
            if explicit:
                reasons.append(f"unit: only one side says 'in {explicit[0]}' ({dimension})")
    return reasons


def _opposites(asked: list[str], stored: list[str], strong: bool) -> list[str]:
    reasons = []
    one_stems, other_stems = {stem(word): word for word in asked}, {stem(word): word for word in stored}
    for family in _FAMILIES:
        one = {family[each] for each in one_stems if each in family}
        other = {family[each] for each in other_stems if each in family}
        # A phrase that names both members ("ascending or descending") speaks for either; so "and" is not "or" only
        # where neither text has both.
        loose = strong or "and both" in one | other
        if one and other and (not one & other if loose else one - other):
            mine = sorted(word for each, word in one_stems.items() if family.get(each) in one - other)[0]
            theirs = sorted(word for each, word in other_stems.items() if each in family)[0]
            reasons.append(f"opposite: {mine!r} is asked for, and the phrase says {theirs!r}")
        elif family in _SELECTIVE and one and not other and not strong:
            mine = sorted(word for each, word in one_stems.items() if each in family)[0]
            reasons.append(f"condition: {mine!r} is asked for, and the phrase does not say it")
    for prefix in ("un", "de", "dis", "in", "non", "im"):
        reasons += [
            f"opposite: {word!r} and {prefix + word!r}"
            for here, there in ((one_stems, other_stems), (other_stems, one_stems))
            for word in here
            if len(word) > 3 and prefix + word in there and word not in there and prefix + word not in here
        ]
    return reasons


def _strictness(asked: list[str], stored: list[str]) -> list[str]:
    def inclusive(words: list[str]) -> bool | None:
        text = " ".join(words)
        if re.search(r"\bat (?:least|most)\b|\bor (?:more|less|fewer|above|below|equal)\b|[<>]=|[≤≥]|\bup to\b", text):
            return True
        if re.search(
            r"\b(?:more|less|greater|fewer|larger|smaller|higher|lower) than\b|\babove\b|\bbelow\b|[<>]", text
        ):
            return False
        return None

    one, other = inclusive(asked), inclusive(stored)
    if one is not None and other is not None and one != other:
        return [f"comparison: only {'the intent' if one else 'the phrase'} includes the bound itself"]
    return []


_ABSENCE = frozenset(stem(word) for word in ABSENCE)
_ARITY = frozenset(stem(word) for word in ARITY)
_FAMILIES = [{stem(word): member for member in family for word in member.split()} for family in OPPOSITES]
_SELECTIVE = [family for family in _FAMILIES if family.keys() & {stem("first"), stem("ascending")}]
_UNIT_STEMS = {
    dimension: {stem(word): member.split()[0] for member in members for word in member.split()}
    for dimension, members in UNITS.items()
}
