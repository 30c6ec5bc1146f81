"""The reuse ladder: words propose, contract and executed examples decide, vetoes brake."""

from __future__ import annotations

from typing import Any

import pytest

from ritesmith.forge.reuse import (
    Candidate,
    Evidence,
    Request,
    contract_fits,
    judge,
    normalise,
    parameters,
    vetoes,
)
from ritesmith.forge.words import stem

NUMBERS = {"type": "object", "required": ["initial", "current"], "properties": {"initial": {"type": "number"}}}
SCHEMA: dict[str, Any] = NUMBERS | {
    "properties": {"initial": {"type": "number"}, "current": {"type": "number"}},
    "additionalProperties": False,
}
PERCENT: dict[str, Any] = {
    "type": "object",
    "required": ["percent"],
    "properties": {"percent": {"type": "number"}},
    "additionalProperties": False,
}
CANDIDATE = Candidate(
    digest="d1",
    ref="math.percentage_change@1",
    kind="capability",
    name="math.percentage_change",
    intent="percentage change between two numbers",
    aliases=("relative change in percent",),
    input=SCHEMA,
    output=PERCENT,
    effect="read",
)
EXAMPLES = (
    {"input": {"initial": 50, "current": 75}, "output": {"percent": 50.0}},
    {"input": {"initial": 0, "current": 1}, "error": "zero_initial"},
)
GREEN = Evidence(own_green=True, passed=2, total=2)


# ---------------------------------------------------------------- normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Refund the order!", "refund  the order"),
        ("Please, refund the order…", "please refund the order"),
        ("e-mail the customer", "E‑mail the customer"),
        ("ﬁnd the ｏｒｄｅｒ", "find the order"),
        ("say “Hello” to it", 'say "Hello" to it.'),
        ("refund — with approval", "refund with approval"),
    ],
)
def test_intents_that_differ_in_form_only_are_the_same(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('replace "." with ","', 'replace "," with "."'),
        ('replace "a" with "A"', 'replace "A" with "a"'),
        ("rows where x > 5", "rows where x < 5"),
        ("add -5", "add 5"),
        ("compute a - b", "compute a + b"),
        ("compute n!", "compute n"),
        ("round to 1.5", "round to 15"),
        ("5%", "5"),
        ("celsius to fahrenheit", "fahrenheit to celsius"),
        ("convert Mb to MB", "convert MB to Mb"),
        ("a rate in Mbps", "a rate in MBps"),
        ("power in mW", "power in MW"),
        ("multiply by 10³", "multiply by 103"),
        ("multiply by 10⁻³", "multiply by 10³"),
        ("compute a-b", "compute a b"),
    ],
)
def test_intents_that_may_mean_different_things_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("average of a list of numbers, ignoring zeros", "average of a list of numbers"),
        ("add up the positive numbers of a list", "add up a list of numbers"),
        ("weighted average of numbers", "average of numbers"),
        ("convert celsius to fahrenheit, but refuse below absolute zero", "convert celsius to fahrenheit"),
    ],
)
def test_a_condition_that_is_asked_for_brakes_however_many_examples_pass(asked: str, stored: str) -> None:
    assert any(each.startswith("condition: ") for each in vetoes(asked, [stored], strong=True))
    assert vetoes(stored, [asked], strong=True) == []


def test_normalising_twice_changes_nothing() -> None:
    for text in (
        'Say "X ", then: e-mail ½ of Ⅳ — now!',
        "",
        "?!",
        '"',
        "a.b.c ...",
        ", ; a",
        "a – – b",
        '. " ; b',
        "Mb mW 10⁻³ a-b-c",
    ):
        assert normalise(normalise(text)) == normalise(text)


# ---------------------------------------------------------------- vetoes


@pytest.mark.parametrize(
    ("kind", "asked", "stored"),
    [
        ("direction", "fahrenheit to celsius", "celsius to fahrenheit converter"),
        ("direction", "convert from miles into kilometers", "convert kilometers to miles"),
        ("direction", "snake case to camel case", "camel case to snake case"),
        ("direction", "divide a by b", "divide b by a"),
        ("direction", "subtract a from b", "subtract b from a"),
        ("direction", "rgb2hex", "hex to rgb"),
        ("direction", "customers with orders", "orders with customers"),
        ("negation", "rows that are not empty", "rows that are empty"),
        ("negation", "list users who didn't pay", "list users who pay"),
        ("number", "top 3 customers", "top 10 customers"),
        ("number", "top customers", "top 10 customers"),
        ("number", "add three numbers", "add two numbers"),
        ("number", "orders above 250", "orders above 100"),
        ("unit", "distance in miles", "distance in km"),
        ("unit", "weight in kilograms", "weight in pounds"),
        ("unit", "time between two dates in hours", "time between two dates"),
        ("opposite", "orders over a limit", "orders under a limit"),
        ("opposite", "largest value of a list", "smallest value of a list"),
        ("opposite", "alert when the price rises", "alert when the price drops"),
        ("opposite", "refund an order", "cancel an order"),
        ("opposite", "encode text as base64", "decode text as base64"),
        ("opposite", "sort rows in ascending order", "sort rows in descending order"),
        ("opposite", "is the account active", "is the account inactive"),
        ("opposite", "divisible by m and n", "divisible by m or n"),
        ("opposite", "rotate a list left", "rotate a list right"),
        ("opposite", "even numbers of a list", "odd numbers of a list"),
        ("opposite", "average of a list", "median of a list"),
        ("comparison", "at least 18 years", "more than 18 years"),
    ],
)
def test_words_that_matter_brake_both_ways(kind: str, asked: str, stored: str) -> None:
    for one, other in ((asked, stored), (stored, asked)):
        assert any(reason.startswith(kind) for reason in vetoes(one, [other])), (one, other)


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("add two numbers", "sum of 2 numbers"),
        ("percentage change between two numbers", "percent change of two values"),
        ("average of price per city", "mean price for each city"),
        ("convert from celsius to fahrenheit", "fahrenheit from celsius"),
        ("refund an order", "give the customer their money back"),
        ("percentage change", "percentage change between two numbers"),
        ("sort rows descending", "sort rows ascending or descending"),
        ("pay 1,000 euros", "pay 1000 eur"),
        ("turn degrees C into degrees F", "celsius to fahrenheit"),
    ],
)
def test_other_words_for_the_same_thing_do_not_brake(asked: str, stored: str) -> None:
    assert vetoes(asked, [stored]) == []


def test_the_nearest_phrase_decides_because_aliases_may_use_opposite_words() -> None:
    phrases = ["keep only rows with a valid email", "drop contacts whose email is invalid"]
    assert vetoes("keep rows that have a valid email", phrases) == []
    assert vetoes("keep rows that have an invalid email", phrases) != []


def test_a_number_that_the_caller_passes_as_input_is_a_parameter() -> None:
    given = parameters([{"input": {"limit": 250.0, "rows": [{"n": "3"}], "flag": True}}])
    assert given == {"250", "3"}
    assert vetoes("orders above 250", ["orders above 100"], parameters=given) == []
    assert vetoes("orders above 250", ["orders above a limit"], parameters=given) == []
    assert vetoes("orders above 99", ["orders above 100"], parameters=given) != []
    assert vetoes("orders above 250", ["top 10 orders above a limit"], parameters=given) != []


def test_words_that_say_nothing_have_no_veto() -> None:
    assert vetoes("", ["", "!", "sort rows"]) == vetoes("sort rows", ["", "..."]) == vetoes("sort rows", []) == []


def test_the_same_phrase_has_no_veto_whatever_the_others_say() -> None:
    assert vetoes("Sort rows!", ["sort rows descending", "sort rows"]) == []


@pytest.mark.parametrize(
    ("asked", "stored", "takes", "gives"),
    [
        ("parts of a delimited text", "split a text into parts", ("text",), ("values",)),
        ("how many miles is a number of kilometers", "convert kilometers to miles", ("kilometers",), ("miles",)),
        ("month to quarter", "quarter of the year of a month", ("month",), ("quarter",)),
        ("rows that lack a field", "rows without a field", ("rows",), ("rows",)),
        ("consumption of a car", "consumption per 100 kilometers", ("liters",), ("consumption",)),
        ("turn a text around", "reverse a text", ("text",), ("text",)),
    ],
)
def test_strong_evidence_settles_what_one_side_leaves_unsaid(
    asked: str, stored: str, takes: tuple[str, ...], gives: tuple[str, ...]
) -> None:
    fields: dict[str, Any] = {"takes": {stem(each) for each in takes}, "gives": {stem(each) for each in gives}}
    assert vetoes(asked, [stored], strong=True, undoable=False, **fields) == []


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("fahrenheit to celsius", "celsius to fahrenheit converter"),
        ("divide a by b", "divide b by a"),
        ("rows that are not empty", "rows with a value in a field"),
        ("top 3 customers", "top 10 customers"),
        ("top 3 customers", "top customers"),
        ("distance in miles", "distance in km"),
        ("balance in cents", "balance of an account"),
        ("largest value of a list", "smallest value of a list"),
        ("at least 18 years", "more than 18 years"),
        ("reverse a refund", "refund a payment"),
    ],
)
def test_strong_evidence_does_not_settle_what_both_sides_say(asked: str, stored: str) -> None:
    assert vetoes(asked, [stored], strong=True, takes={"a", "b"}, gives={"quotient"}) != []


def test_a_narrower_choice_than_the_phrase_makes_is_a_veto() -> None:
    assert vetoes("last position of a value", ["position of a value in a list"]) != []


# ---------------------------------------------------------------- contract


def test_examples_that_can_be_calls_fit() -> None:
    assert contract_fits(CANDIDATE, Request(intent="x", examples=EXAMPLES)) == []
    assert contract_fits(CANDIDATE, Request(intent="x")) == []


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        ({"input": {"initial": 1}}, "'current' is a required property"),
        ({"input": {"initial": "1", "current": 2}}, "is not of type 'number'"),
        ({"input": {"initial": 1, "current": 2, "digits": 1}}, "digits"),
        ({"input": {"initial": 1, "current": 2}, "output": {"percent": "100%"}}, "output .percent"),
        ({"output": {"percent": 1}}, "has no input"),
    ],
)
def test_examples_that_cannot_be_calls_say_why(example: dict[str, Any], reason: str) -> None:
    found = contract_fits(CANDIDATE, Request(intent="x", examples=(EXAMPLES[0], example)))
    assert len(found) == 1
    assert found[0].startswith("example 2")
    assert reason in found[0]


def test_an_input_that_an_open_schema_would_ignore_does_not_fit() -> None:
    loose = CANDIDATE.model_copy(update={"input": {k: v for k, v in SCHEMA.items() if k != "additionalProperties"}})
    example = {"input": {"initial": 1, "current": 2, "digits": 1}}
    assert contract_fits(loose, Request(intent="x", examples=(example,))) == ["example 1: it takes no 'digits'"]


def test_an_example_that_expects_an_error_may_break_the_input_schema() -> None:
    example = {"input": {"initial": "a lot"}, "error": "reject"}
    assert contract_fits(CANDIDATE, Request(intent="x", examples=(example,))) == []


# ---------------------------------------------------------------- the ladder

SAME = Request(intent="Percentage change between two numbers.", effect="read")
ALIKE = Request(intent="percent change of two values", examples=EXAMPLES, effect="read")


@pytest.mark.parametrize(
    ("tier", "request_", "evidence"),
    [
        ("exact", SAME, Evidence(own_green=True)),
        ("exact", SAME.model_copy(update={"intent": "relative change in PERCENT"}), Evidence(own_green=True)),
        ("exact", SAME.model_copy(update={"examples": EXAMPLES}), GREEN),
        ("verified", ALIKE, GREEN),
        ("proposed", SAME, Evidence()),
        ("proposed", SAME.model_copy(update={"name": "math.other"}), Evidence(own_green=True)),
        ("proposed", ALIKE, Evidence(own_green=True, passed=1, total=2)),
        ("proposed", ALIKE.model_copy(update={"examples": EXAMPLES[:1] * 2}), GREEN),
        ("proposed", ALIKE.model_copy(update={"examples": ()}), Evidence(own_green=True)),
        ("proposed", ALIKE.model_copy(update={"intent": "percent change without rounding of two values"}), GREEN),
        ("none", ALIKE, Evidence(own_green=True, passed=1, failed=1, total=2, messages=("got 3",))),
        ("none", SAME.model_copy(update={"examples": EXAMPLES}), Evidence(own_green=True, passed=1, failed=1, total=2)),
        ("none", ALIKE, Evidence(own_green=False, passed=2, total=2)),
        ("none", SAME.model_copy(update={"effect": "pure"}), Evidence(own_green=True)),
        ("none", ALIKE.model_copy(update={"examples": ({"input": {"a": 1}}, *EXAMPLES)}), GREEN),
    ],
)
def test_the_ladder(tier: str, request_: Request, evidence: Evidence) -> None:
    verdict = judge(CANDIDATE, request_, evidence)
    assert verdict.tier == tier, verdict
    assert verdict.reason


CONSTANT = tuple({"input": {"initial": each, "current": each}, "output": {"percent": 0.0}} for each in (1, 2, 3))
THREE = (*EXAMPLES, {"input": {"initial": 10, "current": 10}, "output": {"percent": 0.0}})
ALL_PASS = Evidence(own_green=True, passed=3, total=3)


@pytest.mark.parametrize(
    ("tier", "examples", "evidence"),
    [("verified", THREE, ALL_PASS), ("proposed", CONSTANT, ALL_PASS), ("proposed", EXAMPLES, GREEN)],
)
def test_what_was_found_by_its_fields_alone_needs_three_examples_that_are_not_all_alike(
    tier: str, examples: Any, evidence: Evidence
) -> None:
    by_fields = CANDIDATE.model_copy(update={"by_words": False})
    request = ALIKE.model_copy(update={"intent": "how far did it go up or down", "examples": examples})
    assert judge(by_fields, request, evidence).tier == tier


def test_examples_that_start_from_different_documents_are_different() -> None:
    examples = tuple({"input": {}, "store": {"a": {"k": {"n": each}}}, "output": {"n": each}} for each in (1, 2))
    balance = CANDIDATE.model_copy(update={"input": {"type": "object"}, "output": {"type": "object"}})
    assert judge(balance, ALIKE.model_copy(update={"examples": examples}), GREEN).tier == "verified"


def test_a_veto_turns_verified_into_proposed_and_nothing_else() -> None:
    vetoed = ALIKE.model_copy(update={"intent": "percent change of two values, not rounded"})
    assert judge(CANDIDATE, vetoed, GREEN).vetoes
    assert judge(CANDIDATE, vetoed, Evidence(own_green=True, failed=1, total=2)).tier == "none"


def test_the_score_of_the_text_search_decides_nothing() -> None:
    loud = CANDIDATE.model_copy(update={"score": 1e9})
    assert judge(loud, ALIKE, Evidence(own_green=True)) == judge(CANDIDATE, ALIKE, Evidence(own_green=True))
