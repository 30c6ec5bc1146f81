"""Composing without a model: words find the parts, schemas wire them, and nothing is invented."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ritesmith.contract import capability_of
from ritesmith.forge.compose import Composition, clauses, compose, nearest
from ritesmith.forge.words import content
from ritesmith.models import Contract, Effect, Workflow

LIBRARY = Path(__file__).parent.parent / "capabilities"
TEXT = {"type": "string"}
NUMBER = {"type": "number"}
ROWS = {"type": "array", "items": {"type": "object"}}
GROUPS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["key", "rows"],
        "properties": {"key": TEXT, "rows": ROWS},
        "additionalProperties": False,
    },
}


def contract(name: str, intent: str, input: dict[str, Any], output: dict[str, Any], **more: Any) -> Contract:
    return Contract(
        name=name,
        intent=intent,
        input={"type": "object", "required": list(input), "properties": input, "additionalProperties": False},
        output={"type": "object", "required": list(output), "properties": output, "additionalProperties": False},
        **more,
    )


WRITE = {"store.put": {"namespaces": ["x"]}}
CATALOG = [
    contract("csv.parse", "parse csv text into rows", {"text": TEXT}, {"rows": ROWS}),
    contract("list.group", "group rows by a field", {"rows": ROWS, "field": TEXT}, {"groups": GROUPS}),
    contract(
        "stats.average",
        "average of a field for each group",
        {"groups": GROUPS, "field": TEXT},
        {"averages": {"type": "object", "additionalProperties": NUMBER}},
    ),
    contract(
        "orders.load", "load an order", {"order_id": TEXT}, {"order_id": TEXT, "payment_id": TEXT, "total": NUMBER}
    ),
    contract(
        "payments.refund",
        "refund a payment",
        {"payment_id": TEXT},
        {"refund_id": TEXT},
        grants=WRITE,
        compensated_by="payments.reverse",
    ),
    contract(
        "payments.reverse",
        "reverse a refund of a payment",
        {"payment_id": TEXT, "refund_id": TEXT},
        {"reversed": {"type": "boolean"}},
        grants=WRITE,
    ),
    contract(
        "orders.close",
        "close an order",
        {"order_id": TEXT},
        {"closed": {"type": "boolean"}},
        grants=WRITE,
        compensated_by="orders.reopen",
    ),
    contract("orders.reopen", "reopen an order", {"order_id": TEXT, "reason": TEXT}, {}, grants=WRITE),
    contract("convert.to_celsius", "convert fahrenheit to celsius", {"fahrenheit": NUMBER}, {"celsius": NUMBER}),
    contract("convert.to_miles", "convert kilometers to miles", {"kilometers": NUMBER}, {"miles": NUMBER}),
    contract("date.shift", "shift a date", {"date": {"type": "string", "format": "date"}}, {"day": TEXT}),
    contract("note.write", "write a note", {"text": TEXT, "count": {"type": "integer"}}, {"note": TEXT}),
]


def rank_in(catalog: Sequence[Contract]) -> Any:
    """A stand-in for the registry's search: contracts by the number of content words in common, then by name."""

    def rank(clause: str) -> list[tuple[str, float]]:
        scored = []
        for each in catalog:
            words = {word for text in (each.name, each.intent, *each.aliases) for word in content(text)}
            scored.append((each.name, float(len(words & set(content(clause))))))
        return sorted((hit for hit in scored if hit[1]), key=lambda hit: (-hit[1], hit[0]))[:10]

    return rank


def effect(catalog: Sequence[Contract]) -> Any:
    def effect_of(name: str) -> Effect:
        grants = next(each.grants for each in catalog if each.name == name)
        return "write" if any(grant.endswith((".put", ".delete")) for grant in grants) else "pure"

    return effect_of


def made(intent: str, catalog: Sequence[Contract] = CATALOG) -> Composition:
    result = compose(intent, catalog, rank_in(catalog), effect_of=effect(catalog))
    for draft in result.drafts:
        Workflow.model_validate(json.loads(json.dumps(draft)))
    assert bool(result.drafts) != bool(result.gaps) or not result.explanation
    return result


def steps(result: Composition) -> list[dict[str, Any]]:
    return [node for node in result.drafts[0]["nodes"] if node["kind"] == "task"]


# ---------------------------------------------------------------- clauses


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        (
            "parse this csv, group the rows by city, and give the average of price per city",
            ["parse this csv", "group the rows by city", "give the average of price per city"],
        ),
        ("validate name, email and phone", ["validate name, email and phone"]),
        ("sum and average of numbers", ["sum and average of numbers"]),
        ("load the order and refund it", ["load the order", "refund it"]),
        ("1. Read the file.\n2. Count rows per city.", ["Read the file", "Count rows per city"]),
        ("refund it if it is paid", ["refund it", "if it is paid"]),
        ("check if it is paid", ["check whether it is paid"]),
        ("refund the order, with approval above 100", ["refund the order", "with approval above 100"]),
        ("split the text at ', and then' then join it", ["split the text at ', and then'", "join it"]),
        ("please, then: ", []),
        ("", []),
        ("!!! and", []),
    ],
)
def test_an_intent_is_cut_into_what_is_to_be_done(intent: str, expected: list[str]) -> None:
    assert clauses(intent) == expected


# ---------------------------------------------------------------- wiring


def test_outputs_flow_to_inputs_and_what_the_clauses_name_is_bound() -> None:
    result = made("parse this csv, group the rows by city, and give the average of price per city")
    assert result.drafts[0] == {
        "name": "composed.parse_csv_group_rows",
        "intent": "parse this csv, group the rows by city, and give the average of price per city",
        "input": {
            "type": "object",
            "required": ["text"],
            "properties": {"text": TEXT},
            "additionalProperties": False,
        },
        "output": CATALOG[2].output,
        "start": "csv_parse",
        "nodes": [
            {
                "id": "csv_parse",
                "kind": "task",
                "capability": "csv.parse",
                "with": {"text": {"var": "input.text"}},
                "next": "list_group",
            },
            {
                "id": "list_group",
                "kind": "task",
                "capability": "list.group",
                "with": {"rows": {"var": "nodes.csv_parse.output.rows"}, "field": "city"},
                "next": "stats_average",
            },
            {
                "id": "stats_average",
                "kind": "task",
                "capability": "stats.average",
                "with": {"groups": {"var": "nodes.list_group.output.groups"}, "field": "price"},
                "next": "done",
            },
            {"id": "done", "kind": "end", "output": {"var": "nodes.stats_average.output"}},
        ],
    }
    assert "field = 'city' is named in the clause" in result.explanation[1].why


def test_open_inputs_of_the_same_name_that_mean_different_things_get_different_names() -> None:
    result = made("parse the csv, group the rows, give the average")
    assert result.drafts[0]["input"]["required"] == ["text", "group_field", "average_field"]
    assert "field is asked for as input.group_field" in result.explanation[1].why


def test_a_name_of_several_words_is_not_guessed_but_a_quoted_one_is_taken() -> None:
    assert made("parse the csv, group the rows by unit price").gaps == ("group the rows by unit price",)
    quoted = made("parse the csv, group the rows by 'unit price'")
    assert steps(quoted)[1]["with"]["field"] == "unit price"


def test_one_input_serves_two_nodes_when_its_name_says_what_it_is() -> None:
    result = made("convert fahrenheit to celsius, refund the payment, reverse the refund of the payment")
    assert result.drafts[0]["input"]["required"] == ["fahrenheit", "payment_id"]


def test_units_are_never_mixed_up() -> None:
    result = made("convert fahrenheit to celsius, then convert kilometers to miles")
    assert result.drafts[0]["input"]["required"] == ["fahrenheit", "kilometers"]
    assert result.drafts[0]["output"]["required"] == ["convert_to_celsius", "convert_to_miles"]


def test_a_format_is_not_met_by_plain_text() -> None:
    assert made("parse the csv, shift the date").drafts[0]["input"]["required"] == ["text", "date"]


def test_the_order_follows_the_data_when_the_clauses_do_not() -> None:
    result = made("group the rows by city and parse the csv")
    assert [node["capability"] for node in steps(result)] == ["csv.parse", "list.group"]
    assert "moved" in result.explanation[0].why
    assert [each.capability for each in result.explanation] == ["list.group", "csv.parse"]


def test_writes_keep_the_order_in_which_they_are_asked_for() -> None:
    result = made("reverse the refund of the payment, refund the payment")
    assert [node["capability"] for node in steps(result)] == ["payments.reverse", "payments.refund"]
    assert result.drafts[0]["input"]["required"] == ["payment_id", "refund_id"]


def test_a_write_gets_its_compensation_when_all_that_it_needs_is_known() -> None:
    result = made("load the order, refund the payment and close the order")
    by_name = {node["capability"]: node for node in steps(result)}
    assert by_name["payments.refund"]["compensation"] == {
        "capability": "payments.reverse",
        "with": {
            "payment_id": {"var": "nodes.orders_load.output.payment_id"},
            "refund_id": {"var": "nodes.payments_refund.output.refund_id"},
        },
    }
    assert "compensation" not in by_name["orders.close"]
    assert "orders.reopen would undo it" in result.explanation[2].why


def test_a_number_has_one_place_or_none() -> None:
    assert steps(made("write a note with count 3"))[0]["with"] == {"text": {"var": "input.text"}, "count": 3}
    assert made("shift the date 3 times").gaps


# ---------------------------------------------------------------- the caller's names


def with_examples(intent: str, *examples: dict[str, Any]) -> dict[str, Any]:
    result = compose(intent, CATALOG, rank_in(CATALOG), effect_of=effect(CATALOG), examples=examples)
    Workflow.model_validate(result.drafts[0])
    return result.drafts[0]


def test_open_inputs_and_results_take_the_names_of_the_callers_examples() -> None:
    example = {"input": {"csv": "a,b"}, "output": {"per_city": {"Rome": 1.5}}}
    draft = with_examples("parse this csv, group the rows by city, and give the average of price per city", example)
    assert draft["input"]["required"] == ["csv"]
    assert draft["nodes"][0]["with"] == {"text": {"var": "input.csv"}}
    assert draft["nodes"][-1]["output"] == {"per_city": {"var": "nodes.stats_average.output.averages"}}
    assert draft["output"]["required"] == ["per_city"]


def test_names_are_matched_by_values_and_only_when_there_is_one_way() -> None:
    intent = "write a note"
    clear = with_examples(intent, {"input": {"words": "hi", "times": 2}, "output": {"note": "hi hi"}})
    assert clear["nodes"][0]["with"] == {"text": {"var": "input.words"}, "count": {"var": "input.times"}}
    unclear = with_examples("load the order, refund the payment", {"input": {"number": "o-1"}, "output": {"a": 1}})
    assert unclear["input"]["required"] == ["number"]
    assert unclear["nodes"][-1]["output"] == {"var": "nodes.payments_refund.output"}
    both = with_examples("parse the csv, group the rows, give the average", {"input": {"a": "x", "b": "y", "c": "z"}})
    assert both["input"]["required"] == ["text", "group_field", "average_field"]


def test_a_result_may_gather_what_several_steps_give() -> None:
    example = {"input": {"order_id": "o-1"}, "output": {"refund_id": "r-1", "total": 5}}
    draft = with_examples("load the order, refund the payment", example)
    assert draft["nodes"][-1]["output"] == {
        "refund_id": {"var": "nodes.payments_refund.output.refund_id"},
        "total": {"var": "nodes.orders_load.output.total"},
    }


def test_a_result_that_would_be_read_as_an_operation_is_left_as_it_is() -> None:
    draft = with_examples("load the order, refund the payment", {"input": {"order_id": "o"}, "output": {"in": "r-1"}})
    assert draft["nodes"][-1]["output"] == {"var": "nodes.payments_refund.output"}


# ---------------------------------------------------------------- gaps


@pytest.mark.parametrize(
    ("intent", "gaps", "why"),
    [
        ("parse this xml", ("parse this xml",), "'xml'"),
        ("book a flight", ("book a flight",), "no capability is about 'book'"),
        ("parse the csv, translate the rows to French", ("translate the rows to French",), "'translate'"),
        ("refund the payment if it is paid", ("if it is paid",), "condition"),
        ("for each order, refund the payment", ("for each order",), "repetition"),
        ("refund the payment with approval", ("with approval",), "approval"),
        ("convert celsius to fahrenheit", ("convert celsius to fahrenheit",), "direction"),
        ("parse the csv without text", ("parse the csv without text",), "negation"),
        ("refund", (), ""),
        ("open the order", ("open the order",), "open"),
        ("cancel the payment", ("cancel the payment",), "cancel"),
        ("the text of the note", ("the text of the note",), "text"),
    ],
)
def test_what_no_capability_answers_is_a_gap_in_the_callers_words(intent: str, gaps: tuple[str, ...], why: str) -> None:
    result = made(intent)
    assert result.gaps == gaps
    if gaps:
        assert result.drafts == ()
        assert why in next(each.why for each in result.explanation if each.capability is None)


def test_an_undoing_capability_is_not_taken_for_what_it_undoes() -> None:
    only_reverse = [each for each in CATALOG if each.name != "payments.refund"]
    assert made("refund the payment", only_reverse).gaps == ("refund the payment",)


def test_an_empty_catalog_leaves_every_clause_open() -> None:
    result = made("parse the csv, group the rows", [])
    assert result.gaps == ("parse the csv", "group the rows")


# ---------------------------------------------------------------- the same every time


def test_the_order_of_the_catalog_changes_nothing() -> None:
    intent = "load the order, refund the payment, close the order, parse the csv and group the rows by city"
    assert made(intent) == made(intent, list(reversed(CATALOG)))


def test_six_capabilities_are_ordered_by_their_data_and_seven_stay_as_they_were_said() -> None:
    chain = [
        contract(f"chain.s{n}", f"perform stage{name} on a part", {f"part_{n}": TEXT}, {f"part_{n + 1}": TEXT})
        for n, name in enumerate("abcdefg")
    ]

    def backwards(count: int) -> list[str]:
        said = ", ".join(f"run stage{'abcdefgh'[n]} on the part" for n in reversed(range(count)))
        known = [each.model_copy(update={"intent": each.intent.replace("perform", "run")}) for each in chain[:count]]
        return [node["capability"] for node in steps(made(said, known))]

    assert backwards(6) == [f"chain.s{n}" for n in range(6)]
    assert backwards(7) == [f"chain.s{n}" for n in reversed(range(7))]


def test_many_clauses_of_many_meanings_are_not_all_combined() -> None:
    """Three capabilities for each of forty clauses: more combinations than could ever be looked at."""
    catalog = [contract(f"stats.sum{n}", "sum of the numbers", {"values": ROWS}, {"total": NUMBER}) for n in range(3)]
    result = made("sum the values and " * 39 + "sum the values", catalog)
    assert [len(draft["nodes"]) for draft in result.drafts] == [41] * 5
    assert len({json.dumps(draft["nodes"]) for draft in result.drafts}) == 5


@pytest.mark.parametrize("sizes", [(1,), (3, 2, 3), (2, 2, 2, 2, 3)])
def test_the_nearest_combinations_come_first(sizes: tuple[int, ...]) -> None:
    every = itertools.product(*map(range, sizes))
    assert list(nearest(sizes)) == sorted(every, key=lambda combination: (sum(combination), combination))


def test_the_bundled_library_composes_the_average_per_city() -> None:
    library = [capability_of(path.read_text()).contract for path in sorted(LIBRARY.glob("*/*.lua"))]
    result = made("parse this csv, group the rows by city, and give the average of price per city", library)
    assert [
        (node["capability"], node["with"].get("group_field"), node["with"].get("value_field")) for node in steps(result)
    ] == [
        ("csv.parse", None, None),
        ("list.group_by", "city", None),
        ("stats.average_by_group", None, "price"),
    ]
    assert result.drafts[0]["input"]["required"] == ["text"]
