"""The trial of a capability: what its examples do not show, and values made from schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ritesmith.app import RiteSmith
from ritesmith.checking import Checked
from ritesmith.guard.generate import EXTREMES, make, plain
from ritesmith.guard.trial import Instead, capability_trial, trial
from ritesmith.models import (
    JSON,
    CapabilityExample,
    Contract,
    HostError,
    HostFunction,
    HostReply,
    Limits,
    Outcome,
    Schema,
)
from ritesmith.rehearsal import Rehearsal, play_capability
from ritesmith.schemas import problems

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}


def obj(**parts: Any) -> Schema:
    return {"type": "object", "required": [*parts], "properties": parts, "additionalProperties": False}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RiteSmith]:
    with RiteSmith(tmp_path_factory.mktemp("registry") / "registry.db") as made:
        yield made


@pytest.fixture
def check(app: RiteSmith) -> Callable[..., Checked]:
    def check(body: str, **header: Any) -> Checked:
        contract = {
            "name": "test.trial",
            "intent": "what a trial finds",
            "input": obj(text=TEXT),
            "output": obj(text=TEXT),
            "examples": [
                {"input": {"text": "one two"}, "output": {"text": "one"}},
                {"input": {"text": "three"}, "output": {"text": "three"}},
            ],
        } | header
        text = f"--[[ capability\n{json.dumps(contract)}\n]]\nfunction run(input, context)\n{body}\nend\n"
        return app.checking.check_capability_text(text, "trial.lua")

    return check


def told(checked: Checked) -> list[tuple[str, str, int | None]]:
    return [(finding.code, finding.severity, finding.where.line) for finding in checked.findings]


# ---------------------------------------------------------------- inputs made from the schema


def test_a_valid_input_that_ends_in_a_script_error_is_found_with_its_line_input_and_seed(
    check: Callable[..., Checked],
) -> None:
    checked = check('  local word = input.text:match("%S+")\n  return {text = word:sub(1)}')

    assert told(checked) == [("trial_script_error", "error", 6)]
    [finding] = checked.findings
    assert '{"text": ""}' in finding.message
    assert "seed 'test.trial/1/input'" in finding.hint
    assert checked.trial.seed == "test.trial/1"


def test_the_same_text_has_the_same_findings_each_time(check: Callable[..., Checked]) -> None:
    first, second = (check('  local word = input.text:match("%S+")\n  return {text = word:sub(1, 5)}') for _ in "ab")
    assert first.findings == second.findings
    assert first.trial == second.trial


def test_an_output_that_breaks_its_schema_on_a_made_input_is_found(check: Callable[..., Checked]) -> None:
    checked = check('  return {text = input.text:match("%S+")}')
    assert told(checked) == [("trial_bad_result", "error", None)]


def test_a_made_input_that_runs_into_a_limit_is_found(check: Callable[..., Checked]) -> None:
    body = (
        '  local n = 0\n  while input.text == "" do n = n + 1 end\n  return {text = input.text:match("%a*"):rep(n + 1)}'
    )
    checked = check(body, limits={"fuel": 100_000})
    assert told(checked) == [("trial_limit", "error", 6)]
    assert "ends in fuel" in checked.findings[0].message


def test_numbers_that_no_practice_holds_are_worth_a_warning_only(check: Callable[..., Checked]) -> None:
    examples = [{"input": {"n": n}, "output": {"n": n * n}} for n in (2, 3)]
    checked = check("  return {n = input.n * input.n}", input=obj(n=NUMBER), output=obj(n=NUMBER), examples=examples)
    assert told(checked) == [("trial_bad_result", "warning", None)]


def test_a_refusal_by_fail_is_no_finding_and_the_report_counts_what_ran(check: Callable[..., Checked]) -> None:
    body = '  local word = input.text:match("%a+") or fail("no_word", "the text has no word")\n  return {text = word}'
    checked = check(body, input=obj(text={"type": "string", "maxLength": 20}))
    assert told(checked) == []
    figures = checked.trial.figures()
    assert (figures["cases"], figures["passed"], figures["host_results"], figures["host_failures"]) == (2, 2, 0, 0)
    assert figures["generated"] == 20
    assert 0 < figures["fuel_max"] < 1000
    assert 0 < figures["memory_share"] < 0.01


def test_a_change_of_the_input_that_the_text_does_not_show_is_found(check: Callable[..., Checked]) -> None:
    body = '  local parts = {input}\n  for _, part in ipairs(parts) do part.text = "x" end\n  return {text = "x"}'
    checked = check(body, examples=[{"input": {"text": t}, "output": {"text": "x"}} for t in "ab"])
    assert told(checked) == [("input_changed", "error", 2)]


def test_examples_that_are_not_met_are_all_that_is_told(check: Callable[..., Checked]) -> None:
    checked = check('  return {text = input.text:match("%S+"):upper()}')
    assert {finding.code for finding in checked.findings} == {"example_not_met"}
    assert checked.trial.generated == 0


# ---------------------------------------------------------------- two processes


def test_results_that_differ_by_so_little_as_a_number_type_are_not_deterministic() -> None:
    def seen(output: JSON) -> Rehearsal:
        return Rehearsal(met=True, problems=(), status="ok", output=output)

    def codes(one: JSON, other: JSON) -> list[str]:
        report = trial([0], lambda _: seen(one), lambda _: seen(other))
        return [finding.code for finding in report.findings]

    assert codes({"a": 1}, {"a": 1}) == []
    assert codes({"a": 1}, {"a": 1.0}) == ["not_deterministic"]
    assert codes({"a": 1, "b": 2}, {"b": 2, "a": 1}) == ["not_deterministic"]


def test_the_second_time_is_in_another_process(app: RiteSmith) -> None:
    first, second = app.sandbox._pool.take(), app.second_sandbox._pool.take()
    try:
        assert first.pid != second.pid
    finally:
        app.sandbox._pool.give_back(first, broken=False)
        app.second_sandbox._pool.give_back(second, broken=False)


# ---------------------------------------------------------------- host functions

NOTES = {
    "input": obj(key={"type": "string", "pattern": "^[a-z]{1,9}$"}),
    "output": obj(words={"type": "integer"}),
    "grants": {"store.get": {"namespaces": ["notes"]}},
    "examples": [
        {"input": {"key": "a"}, "output": {"words": 2}, "store": {"notes": {"a": {"text": "one two"}}}},
        {"input": {"key": "b"}, "output": {"words": 1}, "store": {"notes": {"b": {"text": "one", "by": "ann"}}}},
    ],
}
COUNT = '  local words = select(2, note.text:gsub("%S+", ""))\n  return {words = words}'


def test_an_answer_that_no_example_shows_is_made_from_the_host_functions_schema(check: Callable[..., Checked]) -> None:
    body = f'  local note = store.get{{namespace = "notes", key = input.key}}.value\n{COUNT}'
    checked = check(body, **NOTES)
    assert ("trial_script_error", "error", 6) in told(checked)
    assert checked.trial.host_results > 0

    refused = 'if not note then fail("no_note", "there is none") end'
    checked = check(body.replace("  local words", f"  {refused}\n  local words"), **NOTES)
    assert told(checked) == []


def test_a_host_call_that_fails_at_each_position_must_not_end_in_a_script_error(check: Callable[..., Checked]) -> None:
    body = (
        '  local ok, found = pcall(store.get, {namespace = "notes", key = input.key})\n'
        '  local note = found.value\n  if ok and not note then fail("no_note", "there is none") end\n' + COUNT
    )
    checked = check(body, **NOTES)
    assert told(checked) == [("trial_script_error", "error", 8)]
    assert "when host call 1 (store.get) fails with 'unavailable'" in checked.findings[0].message
    assert checked.trial.host_failures == 2

    checked = check(body.replace("if ok and", 'if not ok then fail("later", "try later") end\n  if'), **NOTES)
    assert told(checked) == []


def test_a_call_outside_its_grant_on_a_made_input_is_found(check: Callable[..., Checked]) -> None:
    body = (
        '  local space = #input.key > 1 and "other" or "notes"\n'
        "  local note = store.get{namespace = space, key = input.key}.value\n"
        '  if not note then fail("no_note", "there is none") end\n' + COUNT
    )
    checked = check(body, **NOTES)
    assert ("trial_grant_denied", "error") in [each[:2] for each in told(checked)]


def test_an_answer_given_instead_of_the_worlds_leaves_the_world_alone(app: RiteSmith) -> None:
    capability = next(iter(app.check_file(file).capability for file in [_bundled("payments/refund.lua")]))
    assert capability is not None
    example = capability.contract.examples[0]
    conflict = HostReply(error=HostError(code="store_conflict", message="no", retryable=True))

    played = play_capability(
        app.sandbox,
        capability,
        example.input,
        store=example.store,
        instead=lambda index, name, args: conflict if name == "store.put" else None,
    )
    assert played.before == played.after == example.store
    assert (played.outcome.status, played.outcome.code) == ("fail", "store_conflict")
    assert [call.function for call in played.calls][-1] == "store.put"


def test_what_lies_outside_the_world_is_answered_from_its_schema_on_made_inputs() -> None:
    rate = HostFunction(
        name="rates.get",
        description="a rate",
        input=obj(day=TEXT),
        output=obj(rate={"type": "number", "minimum": 1, "maximum": 9}),
        effect="read",
        outside=True,
    )
    contract = Contract.model_validate(
        {
            "name": "test.rate",
            "intent": "a rate",
            "input": obj(day=TEXT),
            "output": obj(rate=NUMBER),
            "grants": {"rates.get": {}},
            "examples": [{"input": {"day": day}, "error": "closed"} for day in ("sunday", "saturday")],
        }
    )
    given: list[JSON] = []

    def play(world: CapabilityExample, input: JSON, instead: Instead) -> Outcome:
        reply = instead(0, "rates.get", input)
        assert reply is not None
        given.append(reply.result)
        return Outcome(status="ok" if reply.result["rate"] < 9 else "script_error", line=3)

    met = Rehearsal(met=True, problems=(), status="fail", error="closed")
    report = capability_trial(
        contract,
        contract.examples,
        rehearse=lambda example: met,
        again=lambda example: met,
        play=play,
        unchanged=lambda example: True,
        catalog={"rates.get": rate},
        limits=Limits(),
    )
    assert len(given) == report.generated > 5
    assert [problems(rate.output, each) for each in given] == [[]] * len(given)
    assert [(finding.code, finding.where.line) for finding in report.findings] == [("trial_script_error", 3)]


def _bundled(path: str) -> Any:
    from ritesmith.intake import content_folder

    return content_folder() / "capabilities" / path


# ---------------------------------------------------------------- values made from schemas

SCHEMAS: dict[str, Schema] = {
    "plain object": obj(a=TEXT, n=NUMBER, b={"type": "boolean"}),
    "bounds": obj(
        n={"type": "integer", "minimum": 3, "maximum": 9},
        m={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        k={"type": "integer", "multipleOf": 7},
        s={"type": "string", "minLength": 2, "maxLength": 4},
        a={"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 3, "uniqueItems": True},
    ),
    "enum, const and null": obj(e={"enum": ["x", 1, None]}, c={"const": {"a": 1}}, n={"type": ["null", "string"]}),
    "formats": obj(d={"type": "string", "format": "date"}, e={"type": "string", "format": "email"}),
    "alternatives": obj(x={"anyOf": [TEXT, obj(y=NUMBER)]}, z={"oneOf": [{"const": 1}, {"const": 2}]}),
    "all of": {"type": "object", "allOf": [obj(a=TEXT) | {"additionalProperties": True}, {"required": ["b"]}]},
    "references": obj(tree={"$ref": "#/$defs/tree"}) | {"$defs": {"tree": {
        "type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
    }}},
    "nothing said": obj(x={}, y={"type": "array"}, z={"type": "object"}),
    "condition": obj(n=NUMBER) | {
        "if": {"properties": {"n": {"minimum": 5}}}, "then": {"properties": {"n": {"maximum": 99}}},
    },
    "open": {"type": "object", "additionalProperties": {"type": "integer"}},
}  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_values_made_from_a_schema_fit_it_and_are_the_same_each_time(schema: Schema) -> None:
    made = make(schema, count=30, extremes=3, seed="s")
    assert len(made) >= 4
    assert [problems(schema, each.value) for each in made] == [[]] * len(made)
    assert made == make(schema, count=30, extremes=3, seed="s")
    assert len({repr(each.value) for each in made}) == len(made)
    assert problems(schema, plain(schema)) == []


def test_the_edges_of_a_schema_are_among_the_first_values() -> None:
    values = [each.value for each in make(SCHEMAS["bounds"], count=24)]
    assert {value["n"] for value in values[:18]} >= {3, 9}
    assert {len(value["s"]) for value in values[:18]} >= {2, 4}
    assert {len(value["a"]) for value in values} == {2, 3}


def test_values_stay_near_those_that_were_seen_where_a_pattern_says_what_is_allowed() -> None:
    schema = obj(id={"type": "string", "pattern": "^ORD-[0-9]+$"}, n=NUMBER)
    made = make(schema, [{"id": "ORD-7", "n": 1}], count=20)
    assert len(made) >= 8
    assert all(each.value["id"].startswith("ORD-") for each in made)
    assert {each.base for each in made} == {0}


def test_extreme_numbers_are_marked_and_come_last() -> None:
    made = make(obj(n=NUMBER), count=12, extremes=4)
    assert [each.extreme for each in made] == [False] * (len(made) - 4) + [True] * 4
    assert all(each.value["n"] in EXTREMES for each in made[-4:])


def test_another_seed_gives_other_random_values_after_the_same_edges() -> None:
    one, other = (make(obj(a=TEXT, n=NUMBER), count=24, seed=seed) for seed in "ab")
    assert one[:18] == other[:18]
    assert one[18:] != other[18:]
