"""The command that sums what models took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ritesmith.cli.options import emit, with_app, with_json

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith
    from ritesmith.books import Call, Spent


@click.command()
@click.option(
    "--by",
    type=click.Choice(["model", "day", "intent"]),
    default="model",
    show_default=True,
    help="One row for each of these.",
)
@click.option("--since", metavar="DAY", help="Calls from this day on (UTC), such as 2026-11-21.")
@click.option("--until", metavar="DAY", help="Calls up to this day, included.")
@click.option("--model", help="Calls of this model only.")
@click.option("--intent", help="Calls for intents that hold these words.")
@click.option("--calls", "each_call", is_flag=True, help="Show every call instead of sums.")
@with_json
@with_app
def usage(app: RiteSmith, by: Any, each_call: bool, as_json: bool, **wanted: str | None) -> None:
    """Sum what models took: tokens, seconds and cost of every call of the forge, failed ones too.

    \b
    Costs come from the prices in ritesmith.toml; without one they are unknown.
    What runs spend by llm.complete is not in it.
    """
    from ritesmith.books import sums, total

    calls = app.books.calls(**wanted)
    if each_call:
        emit({"calls": [call.model_dump(mode="json") for call in calls]}) if as_json else _show_calls(calls)
        return
    rows, whole = sums(calls, by), total("total", calls)
    if as_json:
        emit({"by": by, "rows": [row.model_dump(mode="json") for row in rows], "total": whole.model_dump(mode="json")})
        return
    _show_sums(by, rows, whole)


def _show_sums(by: str, rows: Sequence[Spent], whole: Spent) -> None:
    from ritesmith.cli.console import columns, err, out

    if not rows:
        err.print("no model was asked")
        return
    table = columns(by, "calls", "failed", "tokens in", "cached", "out", "seconds", "cost")
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    table.columns[0].overflow = "fold"
    for row in (*rows, *([whole] if len(rows) > 1 else [])):
        # What is known is the least that it can be, where of some calls nobody knows.
        least = "≥" if row.uncounted else ""
        tokens = (f"{least}{count:,}" for count in (row.tokens_in, row.tokens_cached, row.tokens_out))
        cost = "unknown" if row.cost is None else f"{'≥' if row.unpriced else ''}{row.cost:.4f}"
        table.add_row(_text(row.key), str(row.calls), str(row.failed), *tokens, f"{row.seconds:.1f}", cost)
    out.print(table)


def _show_calls(calls: Sequence[Call]) -> None:
    from ritesmith.cli.console import columns, err, known, minute, out

    if not calls:
        err.print("no model was asked")
        return
    table = columns("at", "purpose", "model", "outcome", "in", "cached", "out", "seconds", "cost", "intent")
    for call in calls:
        counts = (known(count) for count in (call.tokens_in, call.tokens_cached, call.tokens_out))
        seconds = "unknown" if call.seconds is None else f"{call.seconds:.1f}"
        cost = "unknown" if call.cost is None else f"{call.cost:.4f}"
        table.add_row(
            minute(call.at), call.purpose, _text(call.model), call.outcome, *counts, seconds, cost, _text(call.intent)
        )
    out.print(table)


def _text(words: str) -> Any:
    from rich.text import Text

    return Text(words)
