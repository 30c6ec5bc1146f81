"""`llm.complete`: one question to the model server of `[llm]`, within what a run may spend there.

What a call can cost at most is reserved before it is sent and corrected by what the server says that it took, both in
the registry file. What was sent and never answered stays reserved: after a crash nobody knows what it cost. The answer
is the result of a read, journalled like any other, so a run that is resumed or replayed does not ask again.

One call is one question. An answer that is not what its schema says is an error that may be tried again: the retries of
the step are the way to ask once more, and they are counted.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ritesmith.errors import ModelUnavailable
from ritesmith.hosts.base import (
    REPLY_BYTES_MAX,
    HostEnvironment,
    HostFailure,
    host_function,
    not_for_scripts,
    reply_bytes,
)
from ritesmith.json_text import NotJSON, parse
from ritesmith.models import JSON, Schema
from ritesmith.schemas import problems, schema_problems
from ritesmith.settings import LlmSettings

PROMPT_CHARACTERS_MAX = 200_000
TOKENS_DEFAULT, TOKENS_MAX = 1024, 16_384
MESSAGE_TOKENS = 16
"""What a server adds around each message, at most."""
COUNT_MAX = 2**53
_FENCED = re.compile(r"```[a-zA-Z]*\s*\n(.*)\n\s*```", re.DOTALL)


@host_function(
    "llm.complete",
    "Ask the project's language model. With schema the answer is JSON that fits it, in value; else value is null.",
    input={
        "type": "object",
        "required": ["prompt"],
        "properties": {
            "prompt": {
                "type": "string",
                "minLength": 1,
                "maxLength": PROMPT_CHARACTERS_MAX,
                "description": "the question",
            },
            "system": {"type": "string", "maxLength": PROMPT_CHARACTERS_MAX, "description": "what stands before it"},
            "schema": {"type": "object", "description": "a JSON Schema"},
            "max_tokens": {"type": "integer", "minimum": 1, "maximum": TOKENS_MAX, "default": TOKENS_DEFAULT},
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["text", "value", "model", "finish_reason", "tokens_in", "tokens_out", "cost"],
        "properties": {
            "text": {"type": "string"},
            "value": {"description": "the answer as JSON, with schema"},
            "model": {"type": "string"},
            "finish_reason": {"type": "string"},
            "tokens_in": {"type": ["integer", "null"]},
            "tokens_out": {"type": ["integer", "null"]},
            "cost": {"type": ["number", "null"], "description": "null where no price is set"},
        },
        "additionalProperties": False,
    },
    effect="read",
    outside=True,
    errors=(
        "not_configured",
        "no_secret",
        "bad_schema",
        "budget_spent",
        "refused",
        "rate_limited",
        "time_out",
        "unavailable",
        "bad_answer",
        "too_large",
    ),
)
def complete(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    settings = environment.settings.llm
    if settings is None:
        raise HostFailure("not_configured", "there is no language model: ritesmith.toml has no [llm]")
    schema: Schema | None = args.get("schema")
    if schema is not None and (wrong := schema_problems(schema)):
        raise HostFailure("bad_schema", f"schema: {wrong[0][0]}: {wrong[0][1]}")
    key = None if settings.key is None else environment.secret(settings.key)
    messages = _messages(args, environment)
    most = args.get("max_tokens", TOKENS_DEFAULT)
    # A token is a byte at least, so no prompt has more tokens than bytes.
    size = sum(len(each["content"].encode()) + MESSAGE_TOKENS for each in messages)
    reserved = Spent(size + most, settings.cost(size, most))
    reservation = _Reservation(settings, environment, reserved)
    reply = _asked(settings, key, messages, most, reservation)
    cost = None
    read, written = _count(reply.tokens_in), _count(reply.tokens_out)
    if read is None or written is None:
        reservation.settle(reserved)  # the server does not say, so it was what it can have been
    else:
        cost = settings.cost(read, written) if settings.has_prices else None
        reservation.settle(Spent(read + written, settings.cost(read, written)))
    result = {
        "text": reply.text,
        "value": None if schema is None else _value(reply.text, reply.truncated, schema),
        "model": reply.model[:200],
        "finish_reason": reply.finish_reason[:50],
        "tokens_in": read,
        "tokens_out": written,
        "cost": cost,
    }
    if reply_bytes(result) > REPLY_BYTES_MAX:
        raise HostFailure("too_large", f"the answer has more than {REPLY_BYTES_MAX} bytes")
    return result


def _count(tokens: int | None) -> int | None:
    return None if tokens is None else min(tokens, COUNT_MAX)


def _messages(args: dict[str, Any], environment: HostEnvironment) -> list[dict[str, str]]:
    system = args.get("system", "")
    if "schema" in args:
        wanted = json.dumps(args["schema"], ensure_ascii=False)
        system += f"\n\nAnswer with one JSON value and nothing else. It must fit this JSON Schema:\n{wanted}"
    messages = [{"role": "system", "content": system.strip()}] if system.strip() else []
    messages.append({"role": "user", "content": args["prompt"]})
    without_secrets: Any = environment.secrets.redact(messages)
    return list(without_secrets)


# ---------------------------------------------------------------- the budget


@dataclass(frozen=True)
class Spent:
    """Tokens, and what they cost in the currency of the settings."""

    tokens: int
    cost: float


class _Reservation:
    """What a call may cost, held against the budget of the run at the root of all that called this one.

    HostFailure where the budget does not allow it. Left unsettled it stays: what was sent may have been paid for.
    """

    def __init__(self, settings: LlmSettings, environment: HostEnvironment, reserved: Spent) -> None:
        self.settings = settings
        self.environment = environment
        self.reserved = reserved
        self.id = 0
        refused = environment.durably(self._reserve)
        if refused is not None:
            raise HostFailure("budget_spent", refused[0], details=refused[1])

    def settle(self, spent: Spent) -> None:
        """It cost this much."""

        def write() -> None:
            self.environment.connection.execute(
                "UPDATE spending SET tokens = ?, cost = ?, settled = 1 WHERE id = ?",
                (spent.tokens, spent.cost, self.id),
            )

        self.environment.durably(write)

    def _reserve(self) -> tuple[str, JSON] | None:
        connection, settings, reserved = self.environment.connection, self.settings, self.reserved
        run = _root(connection, self.environment.run)
        spent = spent_by(connection, run)
        if spent.tokens + reserved.tokens > settings.tokens_per_run:
            message = (
                f"run '{run}' has spent {spent.tokens} of {settings.tokens_per_run} tokens,"
                f" and this call may need {reserved.tokens}"
            )
            return message, {"spent": spent.tokens, "needed": reserved.tokens, "most": settings.tokens_per_run}
        if settings.cost_per_run is not None and spent.cost + reserved.cost > settings.cost_per_run:
            message = (
                f"run '{run}' has spent {spent.cost:g} of {settings.cost_per_run:g}, and this call may cost"
                f" {reserved.cost:g}"
            )
            return message, {"spent": spent.cost, "needed": reserved.cost, "most": settings.cost_per_run}
        made = connection.execute(
            "INSERT INTO spending (run, call, at, tokens, cost, settled) VALUES (?, ?, ?, ?, ?, 0)",
            (run, self.environment.idempotency_key, self.environment.now, reserved.tokens, reserved.cost),
        )
        self.id = made.lastrowid or 0
        return None


def spent_by(connection: sqlite3.Connection, run: str) -> Spent:
    """What a run and those that it called have spent, and what is reserved for them."""
    row = connection.execute(
        "SELECT coalesce(sum(tokens), 0), coalesce(sum(cost), 0.0) FROM spending WHERE run = ?", (run,)
    ).fetchone()
    return Spent(row[0], row[1])


def _root(connection: sqlite3.Connection, run: str) -> str:
    """The run that nobody called, from which this one comes: what it may spend, it may not spend again in each call."""
    rows = connection.execute(
        "WITH RECURSIVE up (run, depth) AS (SELECT ?, 0"
        " UNION ALL SELECT runs.parent, depth + 1 FROM up JOIN runs ON runs.id = up.run"
        " WHERE runs.parent IS NOT NULL AND depth < 100) SELECT run FROM up ORDER BY depth DESC LIMIT 1",
        (run,),
    ).fetchone()
    return str(rows[0])


# ---------------------------------------------------------------- the question and its answer

_REFUSED = frozenset({"wrong_key", "forbidden", "model_not_found", "refused"})
_CODES = {
    "rate_limited": "rate_limited",
    "time_out": "time_out",
    "server_error": "unavailable",
    "unreachable": "unavailable",
    "stream_cut": "unavailable",
}


def _asked(
    settings: LlmSettings, key: str | None, messages: Sequence[dict[str, str]], most: int, reservation: _Reservation
) -> Any:
    from pydantic import SecretStr

    from ritesmith.model_server import OPENAI, ModelSettings, ask

    server = ModelSettings(
        base_url=settings.base_url or OPENAI,
        api_key=SecretStr(key) if key else None,
        model=settings.model,
        timeout_seconds=settings.seconds,
        answer_seconds=settings.seconds,
        max_tokens=most,
        # Each question is reserved, so none is repeated here: that is for the retries of the step.
        max_retries=0,
    )
    try:
        return ask(server, messages)
    except ModelUnavailable as error:
        reason, status = error.facts["reason"], error.facts["status"]
        if reason == "unreachable" or status is not None:  # no answer was begun
            reservation.settle(Spent(0, 0.0))
        code = "refused" if reason in _REFUSED else _CODES.get(reason, "bad_answer")
        raise HostFailure(
            code,
            error.message,
            retryable=error.facts["retryable"],
            details={"reason": reason},
            retry_after_seconds=error.facts.get("retry_after_seconds"),
        ) from None


def _value(text: str, truncated: bool, schema: Schema) -> JSON:
    if truncated:
        raise HostFailure("bad_answer", "the answer was cut short at max_tokens", retryable=True)
    fenced = _FENCED.fullmatch(text.strip())
    try:
        value = parse(fenced[1] if fenced else text)
        why = not_for_scripts(value)
        if why is not None:
            raise NotJSON(why)
    except NotJSON as error:
        shown = " ".join(text.split())[:100]
        raise HostFailure("bad_answer", f"the answer is not JSON ({error}): {shown}", retryable=True) from None
    wrong = problems(schema, value)
    if wrong:
        path, what = wrong[0]
        raise HostFailure("bad_answer", f"the answer does not fit its schema at {path}: {what}", retryable=True)
    return value
