"""The books of the forge: every call of a model with what it took, budgets that are reserved before a call, sums.

What a server refused to understand is kept here too, so that it is tried once and not in every call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import Field

from ritesmith.db import transaction
from ritesmith.errors import InvalidInput, ModelUnavailable
from ritesmith.models import Value

if TYPE_CHECKING:
    from sqlite3 import Connection

    from ritesmith.model_server import ModelSettings, Reply
    from ritesmith.settings import ModelPrice

Purpose = Literal["draft", "repair", "explain"]
By = Literal["model", "day", "intent"]
SENT, ANSWERED, INTERRUPTED = "sent", "answered", "interrupted"
MESSAGE_TOKENS = 16
"""What a server adds around each message, at most."""
OWN_BYTES_PER_TOKEN = 3
"""Of our rules, which are English and code; of anything else a token is taken to be a byte, and none is less."""
ANSWER_TOKENS_MIN = 256
"""A call whose answer could not even be so long is not made."""
NOT_BEGUN = 500
"""Below this status a server has refused the request, and done nothing for it."""


class Budget(Value):
    """The most that one forge may spend on models; None is no limit."""

    max_tokens: int | None = Field(default=None, ge=1)
    max_cost: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Call(Value):
    """One call of a model. Counts are the server's; None is not known, and nothing is estimated."""

    at: float
    """Seconds since 1970, UTC."""
    forge: str
    """What it belongs to; all calls of one forge bear the same."""
    intent: str
    purpose: Purpose
    model: str
    server: str
    outcome: str
    """answered; a reason of ModelUnavailable; interrupted by the user; sent: it began, and its process died."""
    requests: int = 0
    """HTTP requests that it took, those that the SDK repeated and those that were refused included."""
    tokens_in: int | None = None
    tokens_cached: int | None = None
    """The part of `tokens_in` that the server had in its cache."""
    tokens_out: int | None = None
    seconds: float | None = None
    cost: float | None = None
    """In the currency of the prices; None without a price or without counts."""


class Spent(Value):
    """Sums over calls. Of tokens and cost, over those calls of which they are known."""

    key: str
    """The model, the day (UTC) or the intent."""
    calls: int = 0
    failed: int = 0
    requests: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    uncounted: int = 0
    """Calls of which the server did not say how many tokens they took."""
    seconds: float = 0.0
    cost: float | None = None
    """None: of no call."""
    unpriced: int = 0
    """Calls whose cost is not known."""


class OverBudgetError(Exception):
    """The next call could pass the budget; it was not made."""


class Books:
    """The calls of all forges in one registry file."""

    def __init__(self, connection: Connection, now: Callable[[], float], prices: Mapping[str, ModelPrice]) -> None:
        self.connection = connection
        self.now = now
        self.prices = prices

    def begin(self, forge: str, intent: str, purpose: Purpose, settings: ModelSettings) -> int:
        """Write down that a call is sent; its number. It stays so when this process dies before `end`."""
        from ritesmith.model_server import server_name

        with transaction(self.connection):
            made = self.connection.execute(
                "INSERT INTO model_calls (at, forge, intent, purpose, model, server, outcome, requests)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                (self.now(), forge, intent, purpose, settings.model, server_name(settings), SENT),
            )
        return made.lastrowid or 0

    def end(self, number: int, **facts: Any) -> Call:
        """Write down what became of a call."""
        with transaction(self.connection):
            self.connection.execute(
                f"UPDATE model_calls SET {', '.join(f'{name} = :{name}' for name in facts)} WHERE id = :id",
                {**facts, "id": number},
            )
        row = self.connection.execute("SELECT * FROM model_calls WHERE id = ?", (number,)).fetchone()
        return _call(row)

    def cost(
        self, model: str, tokens_in: int | None, tokens_cached: int | None, tokens_out: int | None
    ) -> float | None:
        """What so many tokens of a model cost; None when its price or a count is not known."""
        price = self.prices.get(model)
        if tokens_in == 0 and tokens_out == 0:
            return 0.0
        if price is None or tokens_in is None or tokens_out is None:
            return None
        return price.cost(tokens_in, min(tokens_cached or 0, tokens_in), tokens_out)

    def without(self, settings: ModelSettings) -> tuple[str, ...]:
        """What a server has refused to understand for this model, so that it is not tried again."""
        from ritesmith.model_server import server_name

        row = self.connection.execute(
            "SELECT without FROM model_servers WHERE server = ? AND model = ?", (server_name(settings), settings.model)
        ).fetchone()
        return () if row is None else tuple(json.loads(row["without"]))

    def remember(self, settings: ModelSettings, without: Sequence[str]) -> None:
        """Keep what a server refuses, when it is not what is known."""
        from ritesmith.model_server import server_name

        if tuple(without) != self.without(settings):
            with transaction(self.connection):
                self.connection.execute(
                    "INSERT OR REPLACE INTO model_servers (server, model, without) VALUES (?, ?, ?)",
                    (server_name(settings), settings.model, json.dumps(list(without))),
                )

    def calls(
        self, *, since: str | None = None, until: str | None = None, model: str | None = None, intent: str | None = None
    ) -> list[Call]:
        """The calls, oldest first: from one day to another (UTC, both included), of a model, with words of an intent.

        InvalidInput for a day that is none, and for a span that ends before it begins.
        """
        begins = 0.0 if since is None else _day(since).timestamp()
        ends = float("inf") if until is None else (_day(until) + timedelta(days=1)).timestamp()
        if ends <= begins:
            raise InvalidInput(f"{until} is before {since}", hint="name the earlier day with --since")
        rows = self.connection.execute(
            "SELECT * FROM model_calls WHERE at >= ?1 AND at < ?2 AND (?3 IS NULL OR model = ?3)"
            " AND (?4 IS NULL OR instr(lower(intent), lower(?4))) ORDER BY at, id",
            (begins, ends, model, intent),
        )
        return [_call(row) for row in rows]


def total(key: str, calls: Iterable[Call]) -> Spent:
    """The sums over some calls."""
    calls = list(calls)
    costs = [each.cost for each in calls if each.cost is not None]
    return Spent(
        key=key,
        calls=len(calls),
        failed=sum(each.outcome != ANSWERED for each in calls),
        requests=sum(each.requests for each in calls),
        tokens_in=sum(each.tokens_in or 0 for each in calls),
        tokens_cached=sum(each.tokens_cached or 0 for each in calls),
        tokens_out=sum(each.tokens_out or 0 for each in calls),
        uncounted=sum(each.tokens_in is None or each.tokens_out is None for each in calls),
        seconds=sum(each.seconds or 0.0 for each in calls),
        cost=sum(costs) if costs else None,
        unpriced=len(calls) - len(costs),
    )


def sums(calls: Iterable[Call], by: By) -> list[Spent]:
    """The sums by model, day or intent: days in order, models and intents with the most tokens first."""
    groups: dict[str, list[Call]] = {}
    for each in calls:
        key = _date(each.at) if by == "day" else each.model if by == "model" else each.intent
        groups.setdefault(key, []).append(each)
    rows = [total(key, group) for key, group in groups.items()]
    if by == "day":
        return sorted(rows, key=lambda row: row.key)
    return sorted(rows, key=lambda row: (-row.tokens_in - row.tokens_out, row.key))


BYS: tuple[By, ...] = get_args(By)


class Session:
    """The calls of one forge, within its budget: each is reserved before it is sent, and written down after it."""

    def __init__(
        self,
        books: Books,
        forge: str,
        intent: str,
        budget: Budget,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.books, self.forge, self.intent, self.budget = books, forge, intent, budget
        self.clock = clock
        self.began = clock()
        self.calls: list[Call] = []
        self.tokens = 0
        """What is spent at most: of calls without counts, all that was reserved."""
        self.cost = 0.0

    def ask(
        self,
        models: Sequence[ModelSettings],
        messages: Sequence[Mapping[str, Any]],
        purpose: Purpose,
        *,
        on_text: Callable[[str], None] | None = None,
        on_fallback: Callable[[str], None] = lambda text: None,
    ) -> Reply:
        """Ask the first of these models that is available.

        Raises OverBudgetError where the budget has no room for the call, ModelUnavailable when none of them answers.
        """
        failures: list[ModelUnavailable] = []
        for settings in models:
            if failures:
                on_fallback(f"{failures[-1].message}; asking {settings.model}")
            try:
                return self._ask_one(settings, messages, purpose, on_text)
            except ModelUnavailable as error:
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        last = failures[-1]
        told = "; ".join(each.message for each in failures)
        raise ModelUnavailable(f"none of {len(failures)} models answers: {told}", hint=last.hint, **last.facts)

    def _ask_one(
        self,
        settings: ModelSettings,
        messages: Sequence[Mapping[str, Any]],
        purpose: Purpose,
        on_text: Callable[[str], None] | None,
    ) -> Reply:
        from ritesmith.model_server import ask

        fitted = self.fitted(settings, messages)
        asked = tokens_at_most(messages)
        number = self.books.begin(self.forge, self.intent, purpose, settings)
        try:
            reply = ask(fitted, messages, on_text=on_text, without=self.books.without(settings))
        except ModelUnavailable as error:
            facts = error.facts
            begun = facts["connected"] and (facts["status"] is None or facts["status"] >= NOT_BEGUN)
            none = None if begun else 0
            # Each of its tries may have cost all that it could.
            self._settle(settings, asked, fitted.max_tokens, 0, 0, 0, facts["requests"] if begun else 0)
            self._write(
                number,
                settings,
                outcome=facts["reason"],
                requests=facts["requests"],
                tokens_in=none,
                tokens_cached=none,
                tokens_out=none,
                seconds=facts["seconds"],
            )
            self.books.remember(settings, facts["without"])
            raise
        except BaseException:
            self._settle(settings, asked, fitted.max_tokens, None, None, 0, 0)
            self._write(number, settings, outcome=INTERRUPTED, requests=1, seconds=None)
            raise
        cached = reply.tokens_cached
        self._settle(
            settings, asked, fitted.max_tokens, reply.tokens_in, reply.tokens_out, cached or 0, reply.unanswered
        )
        self._write(
            number,
            settings,
            outcome=ANSWERED,
            requests=reply.requests,
            tokens_in=reply.tokens_in,
            tokens_cached=cached,
            tokens_out=reply.tokens_out,
            seconds=reply.seconds,
        )
        self.books.remember(settings, reply.without)
        return reply

    def _write(self, number: int, settings: ModelSettings, **facts: Any) -> None:
        counts = (facts.get(name) for name in ("tokens_in", "tokens_cached", "tokens_out"))
        self.calls.append(self.books.end(number, **facts, cost=self.books.cost(settings.model, *counts)))

    # ------------------------------------------------------------ the budget

    def check(self, models: Iterable[ModelSettings]) -> None:
        """InvalidInput when a budget of money is given, and one of the models has no price."""
        for settings in models:
            if self.budget.max_cost is not None and settings.model not in self.books.prices:
                raise InvalidInput(
                    f"nobody knows what '{settings.model}' costs, so no budget of money can be kept",
                    hint=f'set price_in and price_out in [forge.prices."{settings.model}"] of ritesmith.toml',
                )

    def fitted(self, settings: ModelSettings, messages: Sequence[Mapping[str, Any]]) -> ModelSettings:
        """The settings of a call that cannot pass the budget, whatever becomes of it.

        Its answer may be so long, take so long, and be tried so often as there is room for. OverBudgetError where not
        even one small answer has room.
        """
        budget, asked = self.budget, tokens_at_most(messages)
        longest, tries, seconds = settings.max_tokens, 1 + settings.max_retries, settings.answer_seconds
        if budget.max_tokens is not None:
            room = budget.max_tokens - self.tokens
            longest = min(longest, room - asked)
            if longest < min(ANSWER_TOKENS_MIN, settings.max_tokens):
                needed = asked + min(ANSWER_TOKENS_MIN, settings.max_tokens)
                raise OverBudgetError(
                    f"the budget of {budget.max_tokens} tokens, {self.tokens} of them spent, has no room for a call"
                    f" of up to {needed}"
                )
            tries = min(tries, room // (asked + longest))
        if budget.max_cost is not None:
            price = self.books.prices[settings.model]
            left = budget.max_cost - self.cost
            smallest = min(ANSWER_TOKENS_MIN, settings.max_tokens)
            if price.cost(asked, 0, smallest) > left:
                raise OverBudgetError(
                    f"the budget of {budget.max_cost:g}, {self.cost:g} of it spent, has no room for a call that may"
                    f" cost {price.cost(asked, 0, smallest):g}"
                )
            while price.cost(asked, 0, longest) > left:
                longest = max(smallest, longest // 2)
            one = price.cost(asked, 0, longest)
            tries = tries if one == 0 else min(tries, int(left / one))
        if budget.max_seconds is not None:
            seconds = min(seconds, budget.max_seconds - (self.clock() - self.began))
            if seconds <= 0:
                raise OverBudgetError(f"the budget of {budget.max_seconds:g} seconds is spent")
        return settings.model_copy(
            update={"max_tokens": longest, "max_retries": max(tries, 1) - 1, "answer_seconds": seconds}
        )

    def _settle(
        self,
        settings: ModelSettings,
        asked: int,
        longest: int,
        tokens_in: int | None,
        tokens_out: int | None,
        cached: int,
        unanswered: int,
    ) -> None:
        read, written = (asked, longest) if tokens_in is None or tokens_out is None else (tokens_in, tokens_out)
        price = self.books.prices.get(settings.model)
        self.tokens += read + written + unanswered * (asked + longest)
        if price is not None:
            self.cost += price.cost(read, min(cached, read), written) + unanswered * price.cost(asked, 0, longest)


def tokens_at_most(messages: Sequence[Mapping[str, Any]]) -> int:
    """How many tokens these messages can have. Only the rules, which are ours, are known to be no odd letters."""
    return sum(
        -(-len(str(each["content"]).encode()) // (OWN_BYTES_PER_TOKEN if each["role"] == "system" else 1))
        + MESSAGE_TOKENS
        for each in messages
    )


def _call(row: Mapping[str, Any]) -> Call:
    return Call.model_validate({key: value for key, value in dict(row).items() if key != "id"})


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput(f"{text!r} is no day", hint="write it as 2026-11-21") from None
