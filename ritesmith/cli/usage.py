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
        counts = (row.tokens_in, row.tokens_cached, row.tokens_out)
        tokens = (_at_least(count, f"{count:,}", row.uncounted) for count in counts)
        cost = _at_least(row.cost, f"{row.cost or 0:.4f}", row.unpriced)
        table.add_row(_text(row.key), str(row.calls), str(row.failed), *tokens, f"{row.seconds:.1f}", cost)
    out.print(table)


def _at_least(known: float | None, shown: str, unknown: int) -> str:
    """A sum; where of some calls nobody knows, the least that it can be."""
    if unknown and not known:
        return "unknown"
    return f"≥{shown}" if unknown else shown


def _show_calls(calls: Sequence[Call]) -> None:
    from ritesmith.cli.console import columns, err, known, minute, out

    if not calls:
        err.print("no model was asked")
        return
    table = columns("at", "call", "outcome", "tokens", "seconds", "cost", "intent")
    for column in table.columns:
        column.no_wrap = column.header in ("at", "outcome", "seconds", "cost")
    for call in calls:
        cached = f" ({call.tokens_cached} cached)" if call.tokens_cached else ""
        tokens = f"{known(call.tokens_in)}{cached}, {known(call.tokens_out)} out"
        seconds = "unknown" if call.seconds is None else f"{call.seconds:.1f}"
        cost = "unknown" if call.cost is None else f"{call.cost:.4f}"
        asked = _text(f"{call.purpose}, {call.model}")
        table.add_row(minute(call.at), asked, call.outcome, tokens, seconds, cost, _text(call.intent))
    out.print(table)


def _text(words: str) -> Any:
    from rich.text import Text

    return Text(words)
