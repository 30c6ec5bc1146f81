"""A new capability or workflow, to be filled in: files that pass the check as they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ritesmith.formatting import capability_file, format_json
from ritesmith.hosts.describe import sample, whole
from ritesmith.models import JSON, HostFunction

_TEXT: dict[str, JSON] = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}


def intent_of(name: str) -> str:
    """What a name says, in words: `orders.total_price` is "total price of orders"."""
    *spaces, last = (part.replace("_", " ") for part in name.split("."))
    return f"{last} of {' '.join(spaces)}"


def capability_header(name: str, intent: str, grants: Sequence[HostFunction]) -> dict[str, Any]:
    """The contract of a new capability that calls each of these host functions once; its examples say no result yet."""
    told = {each.name: whole(each) for each in grants}
    properties: dict[str, JSON] = {"text": {"type": "string"}}
    # Of what it answers no more is promised: a field that is null is no field of a Lua table.
    properties |= {_local(each): {key: each.output[key] for key in ("type",) if key in each.output} for each in grants}
    stubs: list[JSON] = [
        {"call": each.name, "result": sample(each.output, "result")} for each in grants if each.outside
    ]
    made: dict[str, Any] = {}
    for example in told.values():
        shown: Any = example["example"]
        made |= shown["grants"]
    hosts = {"hosts": stubs} if stubs else {}
    return {
        "name": name,
        "intent": intent,
        "input": {**_TEXT, "additionalProperties": False},
        "output": {**_TEXT, "required": list(properties), "properties": properties},
        "grants": made,
        "examples": [
            {"input": {"text": " one "}, **hosts},
            {"input": {"text": "another"}, **hosts},
            {"input": {"text": ""}, "error": "empty_text"},
        ],
    }


def capability_text(header: Mapping[str, Any], grants: Sequence[HostFunction]) -> str:
    """The file of a new capability: its header, and a `run` that the author makes something of."""
    calls = []
    for each in grants:
        shown: Any = whole(each)["example"]
        calls.append(f"local {_local(each)} = {shown['call']}")
    fields = ["text = text.trim(input.text)", *(f"{_local(each)} = {_local(each)}" for each in grants)]
    lines = [
        "function run(input, context)",
        'if input.text == "" then fail("empty_text", "there is no text") end',
        *calls,
        f"return {{ {', '.join(fields)} }}",
        "end",
    ]
    return capability_file(dict(header), "\n".join(lines))


def _local(declared: HostFunction) -> str:
    """A local name for what a host function answers."""
    return declared.name.replace(".", "_")


def with_results(header: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The header, with what came of each example in it."""
    examples = [{**example, **result} for example, result in zip(header["examples"], results, strict=True)]
    return {**header, "examples": examples}


def workflow_text(name: str, intent: str) -> str:
    """The file of a new workflow: a step, a choice, a person's approval, and two ends."""
    amount: dict[str, JSON] = {"var": "input.amount"}
    return (
        format_json(
            {
                "name": name,
                "intent": intent,
                "input": {
                    "type": "object",
                    "required": ["text", "amount"],
                    "properties": {"text": {"type": "string"}, "amount": {"type": "number"}},
                    "additionalProperties": False,
                },
                "start": "tidy",
                "nodes": [
                    {
                        "id": "tidy",
                        "kind": "task",
                        "capability": "text.normalize_spaces",
                        "with": {"text": {"var": "input.text"}},
                        "next": "check",
                    },
                    {
                        "id": "check",
                        "kind": "switch",
                        "cases": [{"when": {">": [amount, 100]}, "target": "ask"}],
                        "default": "done",
                    },
                    {
                        "id": "ask",
                        "kind": "approval",
                        "prompt": {"cat": ["Go on with ", {"var": "nodes.tidy.output.text"}, " for ", amount, "?"]},
                        "deadline_seconds": 86400,
                        "on_reject": "refused",
                        "on_timeout": "refused",
                        "next": "done",
                    },
                    {
                        "id": "done",
                        "kind": "end",
                        "outcome": "done",
                        "output": {"text": {"var": "nodes.tidy.output.text"}},
                    },
                    {"id": "refused", "kind": "end", "status": "failed", "outcome": "refused"},
                ],
                "examples": [
                    {
                        "input": {"text": " a  small one ", "amount": 20},
                        "outcome": "done",
                        "output": {"text": "a small one"},
                    },
                    {
                        "input": {"text": "a large one", "amount": 200},
                        "decisions": {"ask": "approved"},
                        "outcome": "done",
                        "output": {"text": "a large one"},
                    },
                    {
                        "input": {"text": "a large one", "amount": 200},
                        "decisions": {"ask": "rejected"},
                        "status": "failed",
                        "outcome": "refused",
                    },
                ],
            }
        )
        + "\n"
    )
