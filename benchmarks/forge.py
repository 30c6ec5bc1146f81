"""Tokens of the refund task: an agent loop with tools, the first forge, and the same forge again. Prints a table.

Run from the checkout: `PYTHONPATH=. python benchmarks/forge.py [--repeats 200]`. It needs bpe-openai, whose package has
the vocabulary o200k_base in it; nothing is downloaded, and no model is asked. Requests are counted as they are sent:
those of the forge are taken from a server on loopback, those of the agent are the bodies that a loop over the chat
completions API sends, with the library's capabilities and host functions as its tools and their real answers. What a
model would answer is written here by hand, so tokens that come back are those of such an answer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ritesmith.app import RiteSmith
from ritesmith.contract import capability_of
from ritesmith.forge.author import type_text
from ritesmith.hosts import CATALOG
from ritesmith.model_server import Models, ModelSettings
from ritesmith.rehearsal import play_capability
from ritesmith.testing import ScriptedAuthor

INTENT = "process an order refund, with approval"
CLAIMED = {"agent": 68_000, "first": 6_200, "repeat": 1_500}
"""What the ancestor of RiteSmith says of itself, for a task like this one; nobody has measured it here."""
MESSAGE_TOKENS, ANSWER_TOKENS = 3, 3
"""Around each message, and before each answer: the frame of chat messages for o200k models, as OpenAI tells it."""
FIRST_MOST, REPEAT_MOST_SECONDS = 4_000, 0.05
AGENT_RULES = """You are an assistant that processes orders with tools. Work step by step: call one tool, look at its \
result, then decide what to do next. Refunds need the approval of a person before any money moves; ask for it with \
ask_approval. Never invent ids or amounts: take them from results. When a step fails, undo what you did. When you are \
done, tell the user in one or two sentences what was done."""


class Tokens(NamedTuple):
    """Of one way to do the task."""

    requests: int
    sent: int
    received: int

    @property
    def all(self) -> int:
        return self.sent + self.received


def count(text: str) -> int:
    return len(ENCODING.encode(text))


def of_messages(messages: Sequence[Mapping[str, Any]]) -> int:
    """Tokens of a conversation as it is sent: contents, roles, calls of tools, and the frame of each message."""
    total = ANSWER_TOKENS
    for each in messages:
        total += MESSAGE_TOKENS + count(each["role"]) + count(each.get("content") or "")
        if "tool_calls" in each:
            total += sum(count(json.dumps(call["function"])) for call in each["tool_calls"])
    return total


# ---------------------------------------------------------------- an agent with tools


def tools(app: RiteSmith, names: Sequence[str] | None) -> list[dict[str, Any]]:
    """Capabilities (all, or those named) and, with all, host functions as tools of the chat completions API."""
    found = [
        _tool(artifact.name, said.intent, said.input, said.output)
        for artifact in app.registry.newest("capability")
        if names is None or artifact.name in names
        for said in [app.said(artifact)]
    ]
    if names is None:
        found += [_tool(each.name, each.description, each.input, each.output) for each in CATALOG.values()]
    ask = {"type": "object", "required": ["question"], "properties": {"question": {"type": "string"}}}
    return [*found, _tool("ask_approval", "Ask a person for approval; gives approved or rejected.", ask, None)]


def _tool(name: str, description: str, given: Any, taken: Any) -> dict[str, Any]:
    gives = "" if taken is None else f" Gives {type_text(taken)}."
    function = {"name": name.replace(".", "_"), "description": description + gives, "parameters": given}
    return {"type": "function", "function": function}


def agent(app: RiteSmith, offered: Sequence[Mapping[str, Any]], order: Mapping[str, Any], world: Any) -> Tokens:
    """The tokens of one refund by an agent: every request holds the tools and all that was said before."""
    fixed = count(json.dumps(offered))
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": AGENT_RULES},
        {"role": "user", "content": f"Please {INTENT}. The order: {json.dumps(order)}"},
    ]
    requests = sent = received = 0
    seen: dict[str, Any] = {}
    for name, arguments in _calls(order, seen):
        requests, sent = requests + 1, sent + fixed + of_messages(messages)
        function = {"name": name.replace(".", "_"), "arguments": json.dumps(arguments)}
        received += count(json.dumps(function))
        call = {"id": f"call_{requests}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        if name == "ask_approval":
            result: Any = {"decision": "approved", "by": "ann"}
        else:
            capability = capability_of(app.registry.get(name).text)
            played = play_capability(app.sandbox, capability, arguments, store=world)
            assert played.outcome.status == "ok", played.outcome
            result, world = played.outcome.output, played.after
        seen[name] = result
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)})
    last = (
        f"The refund {seen['payments.refund']['refund_id']} of {seen['orders.validate_refund']['amount_text']} is done."
    )
    return Tokens(requests + 1, sent + fixed + of_messages(messages), received + count(last))


def _calls(order: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What an agent that makes no mistake calls, each call made from the results before it."""
    yield "orders.validate_refund", {"order_id": order["order_id"]}
    valid = seen["orders.validate_refund"]
    yield "ask_approval", {"question": f"Refund {valid['amount_text']} to {valid['customer']} for {order['order_id']}?"}
    yield "payments.refund", {"payment_id": valid["payment_id"], "amount": valid["amount"]}
    yield "orders.mark_refunded", {"order_id": order["order_id"], "refund_id": seen["payments.refund"]["refund_id"]}


# ---------------------------------------------------------------- the forge

ANSWER = {
    "name": "refunds.process",
    "intent": INTENT,
    "input": {
        "type": "object",
        "required": ["order_id"],
        "properties": {"order_id": {"type": "string", "minLength": 1, "maxLength": 100}},
        "additionalProperties": False,
    },
    "start": "validate",
    "nodes": [
        {
            "id": "validate",
            "kind": "task",
            "capability": "orders.validate_refund",
            "with": {"order_id": {"var": "input.order_id"}},
            "next": "ask",
        },
        {
            "id": "ask",
            "kind": "approval",
            "prompt": {
                "cat": [
                    "Refund ",
                    {"var": "nodes.validate.output.amount_text"},
                    " for ",
                    {"var": "input.order_id"},
                    "?",
                ]
            },
            "deadline_seconds": 86400,
            "on_reject": "refused",
            "on_timeout": "refused",
            "next": "refund",
        },
        {
            "id": "refund",
            "kind": "task",
            "capability": "payments.refund",
            "with": {
                "payment_id": {"var": "nodes.validate.output.payment_id"},
                "amount": {"var": "nodes.validate.output.amount"},
            },
            "compensation": {
                "capability": "payments.reverse",
                "with": {
                    "payment_id": {"var": "nodes.refund.output.payment_id"},
                    "refund_id": {"var": "nodes.refund.output.refund_id"},
                },
            },
            "next": "mark",
        },
        {
            "id": "mark",
            "kind": "task",
            "capability": "orders.mark_refunded",
            "with": {"order_id": {"var": "input.order_id"}, "refund_id": {"var": "nodes.refund.output.refund_id"}},
            "compensation": {
                "capability": "orders.restore_status",
                "with": {
                    "order_id": {"var": "input.order_id"},
                    "status_before": {"var": "nodes.mark.output.status_before"},
                },
            },
            "next": "refunded",
        },
        {
            "id": "refunded",
            "kind": "end",
            "outcome": "refunded",
            "output": {
                "order_id": {"var": "input.order_id"},
                "refund_id": {"var": "nodes.refund.output.refund_id"},
                "amount": {"var": "nodes.refund.output.amount"},
                "currency": {"var": "nodes.refund.output.currency"},
            },
        },
        {"id": "refused", "kind": "end", "status": "failed", "outcome": "rejected"},
    ],
}


def forged(app: RiteSmith, examples: Sequence[Mapping[str, Any]]) -> tuple[Tokens, str]:
    """The tokens of the first forge, as the server was sent them, and what came of it."""
    answer = f"```json\n{json.dumps(ANSWER, indent=1)}\n```\n"
    with ScriptedAuthor([answer]) as author:
        models = Models(first=ModelSettings(base_url=author.base_url, model="scripted"))
        report = app.forge(INTENT, examples=examples, models=models, dry_run=bool(examples))
        sent = sum(of_messages(each["messages"]) for each in author.requests)
    assert report.tier == "authored", report
    return Tokens(report.calls, sent, count(answer)), f"{report.artifact} ({report.status})"


def repeated(app: RiteSmith, times: int) -> tuple[int, float, str]:
    """Calls and the median seconds of the same forge again, in one process."""
    calls, seconds = 0, []
    for _ in range(times):
        began = time.perf_counter()
        report = app.forge(INTENT)
        seconds.append(time.perf_counter() - began)
        calls += report.calls
    return calls, statistics.median(seconds), f"{report.artifact}, {report.tier}"


# ---------------------------------------------------------------- the table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RITESMITH_CONFIG"] = folder
        os.environ["NO_PROXY"] = "127.0.0.1"
        with RiteSmith.open(f"{folder}/registry.db", environment={}) as app:
            examples = json.loads((Path(__file__).parent.parent / "ritesmith/demo/refund_examples.json").read_text())
            whole = app.forge("process an order refund, with approval above 100")
            near = {"orders.validate_refund", "payments.refund", "payments.reverse", "orders.mark_refunded"}
            near |= {"orders.restore_status", "orders.get", "notify.user"}
            order, world = examples[1]["input"], examples[1]["store"]
            everything, few = tools(app, None), tools(app, sorted(near))
            loops = [agent(app, offered, order, world) for offered in (everything, few)]
            app.revoke("orders.refund@1", reason="so that there is something to forge")
            with_examples, _ = forged(app, examples[:2])
            first, made = forged(app, [])
            app.approve_artifact(made.split()[0])
            calls, seconds, again = repeated(app, repeats)
    rows = [
        (f"agent loop, {len(everything)} tools", loops[0], CLAIMED["agent"]),
        (f"agent loop, the {len(few)} tools that it needs", loops[1], CLAIMED["agent"]),
        ("first forge", first, CLAIMED["first"]),
        ("first forge, with two examples", with_examples, CLAIMED["first"]),
        ("the same again", Tokens(calls, 0, 0), CLAIMED["repeat"]),
        ("the bundled workflow, by its words", Tokens(whole.calls, 0, 0), CLAIMED["repeat"]),
    ]
    print(
        f"{'':40} {'calls':>6} {'sent':>8} {'received':>9} {'all':>8} {'to first forge':>15}"
        f" {'ancestor (its claim)':>21}"
    )
    for name, tokens, claimed in rows:
        ratio = f"{tokens.all / first.all:.1f}"
        print(
            f"{name:40} {tokens.requests:6} {tokens.sent:8,} {tokens.received:9,} {tokens.all:8,} {ratio:>15}"
            f" {f'about {claimed:,}':>21}"
        )
    print(f"the first forge made {made}; again: {again}, {seconds * 1000:.1f} ms (median of {repeats})")
    ancestor = CLAIMED["agent"] / CLAIMED["first"]
    print(
        f"agent loop / first forge: {loops[0].all / first.all:.1f} and {loops[1].all / first.all:.1f};"
        f" by the ancestor's claims {ancestor:.1f}"
    )
    print(
        f"a hundred refunds: {100 * loops[0].all:,} and {100 * loops[1].all:,} by the agent, {first.all:,} by the forge"
    )
    both = first, with_examples
    good = all(each.all <= FIRST_MOST and each.requests == 1 for each in both)
    good = good and calls == 0 and seconds < REPEAT_MOST_SECONDS
    limits = (
        f"first forge at most {FIRST_MOST:,} tokens in one call, again 0 tokens in {REPEAT_MOST_SECONDS * 1000:.0f} ms"
    )
    print(f"{'holds' if good else 'DOES NOT HOLD'}: {limits}")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        import bpe_openai
    except ImportError:
        sys.exit("bpe-openai is needed, which brings its vocabulary with it: pip install '.[bench]'")
    ENCODING = bpe_openai.get_encoding("o200k_base")
    sys.exit(main())
