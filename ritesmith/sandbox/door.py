"""The sandbox as a filter: JSON lines in, JSON lines out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from ritesmith.models import LIMIT_STATUSES, Outcome
from ritesmith.sandbox import Sandbox

_SHOWN = {"ok": "ok", "reject": "reject"}


def serve(lines_in: Iterable[bytes], lines_out: Callable[[str], object], sandbox: Sandbox) -> None:
    """Answer each line `{"source", "input"}` by `{"status": "ok|error|reject|limit", "output", "message", "code",
    "line", "fuel"}`; `lines_out` takes one line of text with its newline. A line that is no request is rejected."""
    for line in lines_in:
        if line.strip():
            lines_out(json.dumps(answer(line, sandbox)) + "\n")


def answer(line: bytes, sandbox: Sandbox) -> dict[str, Any]:
    """The answer to one line."""
    try:
        request = json.loads(line)
        source = request["source"]
        if not isinstance(source, str):
            raise TypeError("not a string")
    except (ValueError, TypeError, KeyError, RecursionError):
        message = 'a request is a line {"source": "...", "input": ...}'
        return {"status": "reject", "output": None, "message": message, "code": "reject", "line": None, "fuel": 0}
    outcome = sandbox.run(source, request.get("input"), name=str(request.get("name") or "capability"))
    return shown(outcome)


def shown(outcome: Outcome) -> dict[str, Any]:
    """An outcome in the words of the door."""
    status = "limit" if outcome.status in LIMIT_STATUSES else _SHOWN.get(outcome.status, "error")
    return {
        "status": status,
        "output": outcome.output,
        "message": outcome.message,
        "code": outcome.code,
        "line": outcome.line,
        "fuel": outcome.fuel,
    }
