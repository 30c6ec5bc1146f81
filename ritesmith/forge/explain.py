"""The messages that ask a model for an account of a finished run. What it answers is words, and changes nothing."""

from __future__ import annotations

from typing import Any

from ritesmith.forge.author import Message, as_data, fill
from ritesmith.models import JSON

TRACE_CHARACTERS = 60_000
TOLD = (
    *("run", "workflow", "status", "outcome", "started_at", "updated_at", "input", "steps", "output", "error"),
    *("undone", "not_undone", "parent", "forked_from", "taken_over_by", "entries", "fuel"),
)
"""What of a view says something to a reader."""


def account_messages(view: dict[str, Any]) -> list[Message]:
    """The messages about a run's view as JSON: rules first, the trace as delimited data after them.

    Of a trace that is too long, first what host functions were given and answered is left out, then the last steps.
    """
    data: dict[str, JSON] = {key: view[key] for key in TOLD if view.get(key) not in (None, "", [], {})}
    if len(as_data(data)) > TRACE_CHARACTERS:
        data["steps"] = [{**step, "calls": [call["function"] for call in step["calls"]]} for step in view["steps"]]
    while len(as_data(data)) > TRACE_CHARACTERS and data["steps"]:
        data["steps"] = data["steps"][: len(data["steps"]) // 2]
        data["steps_left_out"] = "the last ones, for their length"
    if len(as_data(data)) > TRACE_CHARACTERS:
        data = {key: part for key, part in data.items() if key not in ("input", "output")}
    rules, _, request = fill("account.md", trace=as_data(data)).partition("\n---\n")
    return [{"role": "system", "content": rules}, {"role": "user", "content": request}]
