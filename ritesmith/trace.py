"""The trace: a run's entries folded into what a person or a program reads. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ritesmith import saga
from ritesmith.models import FINAL_STATUSES, JSON, Entry, Value


class CallView(Value):
    """One host call of a step."""

    function: str
    attempt: int
    args: JSON = None
    result: JSON = None
    error: dict[str, Any] | None = None


class StepView(Value):
    """One visit of a node: what came of it, how long it took, what it called."""

    path: str
    kind: str
    """task, switch, sleep, wait, approval, split, map, join, call, compensation, end or run."""
    status: str
    """succeeded, failed, retrying, waiting, sleeping, running, unknown."""
    started_at: float
    ended_at: float | None = None
    attempts: int = 1
    output: JSON = None
    error: dict[str, Any] | None = None
    fuel: int = 0
    note: str = ""
    calls: tuple[CallView, ...] = ()


class WaitingView(Value):
    """What a run waits for, and the command that continues it."""

    kind: str
    node: str
    until: float | None = None
    prompt: JSON = None
    digest: str = ""
    command: str


class RunView(Value):
    """A run as its journal tells it. Times are seconds since 1970, UTC."""

    run: str
    workflow: str
    digest: str
    status: str
    outcome: str = ""
    input: JSON = None
    output: JSON = None
    error: dict[str, Any] | None = None
    started_at: float
    updated_at: float
    entries: int
    fuel: int
    steps: tuple[StepView, ...] = ()
    undone: tuple[str, ...] = ()
    not_undone: tuple[dict[str, Any], ...] = ()
    waiting: WaitingView | None = None
    """What it waits for, when that is one thing; the first of several."""
    waits: tuple[WaitingView, ...] = ()
    """All that it waits for; several when branches do."""
    parent: str = ""
    """The run that called it."""
    forked_from: str = ""
    """The run whose first steps it took over."""
    taken_over_by: str = ""
    """The fork that has what this run did to undo, should it fail."""
    lua_version: str = ""

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL_STATUSES


KINDS = {
    "switched": "switch",
    "sleep_started": "sleep",
    "sleep_ended": "sleep",
    "approval_requested": "approval",
    "approval_decided": "approval",
    "wait_started": "wait",
    "callback_received": "wait",
    "split_started": "split",
    "map_started": "map",
    "joined": "join",
    "join_failed": "join",
    "child_started": "call",
    "child_ended": "call",
}


def view(entries: Sequence[Entry]) -> RunView:
    """The view of a run from all of its entries, in order."""
    first, state = entries[0], saga.State()
    steps: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.node:
            if entry.node not in steps:
                steps[entry.node] = {
                    "path": entry.node,
                    "kind": "task",
                    "started_at": _entered_at(state, entry),
                    "calls": [],
                }
            _tell(steps[entry.node], entry)
        saga.apply(state, entry)
    waits = _waits(state)
    return RunView(
        run=state.run,
        workflow=state.workflow,
        digest=state.digest,
        status=state.status,
        outcome=state.outcome,
        input=state.input,
        output=state.output,
        error=state.error or state.failure,
        started_at=state.started_at,
        updated_at=state.updated_at,
        entries=len(entries),
        fuel=state.fuel,
        steps=tuple(StepView(**step) for step in steps.values()),
        undone=tuple(state.undone),
        not_undone=tuple(state.not_undone),
        waiting=waits[0] if waits else None,
        waits=waits,
        parent=(state.parent or {}).get("run", ""),
        forked_from=state.forked_from,
        taken_over_by=state.taken_over_by,
        lua_version=first.data.get("lua_version", ""),
    )


def _entered_at(state: saga.State, entry: Entry) -> float:
    """When a run came to the node of an entry, which is the first one there."""
    for track in state.acting():
        if track.path == entry.node:
            return min(track.entered_at, entry.at)
    return entry.at  # a join, at which its branches come together


def _tell(step: dict[str, Any], entry: Entry) -> None:
    """Add one entry of a node to the view of that visit."""
    data = entry.data
    if entry.node.endswith(saga.UNDO):
        step["kind"] = "compensation"
    elif entry.kind in KINDS:
        step["kind"] = KINDS[entry.kind]
    step["attempts"] = max(step.get("attempts", 1), entry.attempt or 1)
    step["fuel"] = step.get("fuel", 0) + data.get("fuel", 0)
    step["ended_at"] = entry.at
    match entry.kind:
        case "step_succeeded" | "compensation_succeeded":
            step |= {"status": "succeeded", "output": data["output"]}
            step["error"] = None
        case "attempt_failed":
            step |= {"status": "retrying", "error": data["error"]}
            step["note"] = f"again at {saga.iso(data['retry_at'])}"
        case "step_failed" | "compensation_failed":
            step |= {"status": "failed", "error": data["error"]}
            step["note"] = f"goes on at {data['next']}" if "next" in data else ""
        case "switched":
            case = data["case"]
            step |= {"status": "succeeded"}
            step["note"] = f"{case if case == 'default' else f'case {case + 1}'}: {data['next']}"
        case "sleep_started":
            step |= {"status": "sleeping", "note": f"until {saga.iso(data['until'])}"}
        case "sleep_ended":
            step |= {"status": "succeeded", "note": f"woken by {data['by']}"}
        case "approval_requested":
            step |= {"status": "waiting", "note": str(data["prompt"])}
        case "wait_started":
            step |= {"status": "waiting"}
        case "approval_decided":
            output = data["output"]
            said = f": {output['comment']}" if output["comment"] else ""
            step |= {"status": "failed" if data.get("error") else "succeeded", "output": output}
            step["error"] = data.get("error")
            step["note"] = f"{output['decision']} by {output['by']}{said}"
        case "callback_received":
            step |= {"status": "failed" if data.get("error") else "succeeded", "output": data["output"]}
            step["error"] = data.get("error")
        case "woken":
            step |= {"note": f"woken by {data['by']}"}
        case "split_started":
            step |= {"status": "succeeded", "note": ", ".join(each["id"] for each in data["branches"])}
        case "map_started":
            step |= {"status": "succeeded", "note": f"{len(data['items'])} elements"}
        case "joined":
            step |= {"status": "succeeded", "output": data["output"]}
        case "join_failed":
            step |= {"status": "failed", "error": data["error"]}
        case "child_started":
            step |= {"status": "waiting", "note": f"run {data['child']} of {data['workflow']}"}
        case "child_ended":
            error = data.get("error") or data.get("handled")
            step |= {"status": "failed" if error else "succeeded", "output": data["output"], "error": error}
        case "timed_out":
            step |= {"status": "failed", "error": data.get("error"), "note": "timed out"}
        case "call_started":
            step |= {"status": "running"}
        case "call_finished":
            step["calls"].append(
                CallView(
                    function=data["function"],
                    attempt=entry.attempt,
                    args=data.get("args"),
                    result=data.get("result"),
                    error=data.get("error"),
                )
            )
            step.setdefault("status", "running")
        case "effect_unknown":
            why = f": {data['why']}" if data.get("why") else ""
            step |= {"status": "unknown", "note": f"nobody knows whether its last write happened{why}"}
        case "effect_resolved":
            step |= {"status": "running", "note": f"resolved by {data['by']}"}
        case "run_stopped":
            step |= {"status": "failed", "error": data["error"]}
        case "run_finished":
            step |= {"kind": "end", "status": data["status"], "note": data.get("outcome", "")}


def _waits(state: saga.State) -> tuple[WaitingView, ...]:
    if state.status in FINAL_STATUSES:
        return ()
    several = len(list(state.acting())) > 1
    views = []
    for track in state.acting():
        node = f" --node {track.path}" if several else ""
        if track.unknown is not None:
            command = f"ritesmith resolve {state.run}{node} --happened|--did-not-happen"
            views.append(
                WaitingView(
                    kind="unknown", node=track.path, prompt=f"did {track.unknown.function} happen?", command=command
                )
            )
        elif track.waiting is not None:
            waiting = track.waiting
            commands = {
                "approval": f"ritesmith approve {state.run}{node}",
                "callback": f"ritesmith deliver {state.run}{node} --payload JSON",
                "child": f"ritesmith trace {waiting.data.get('child')}",
            }
            views.append(
                WaitingView(
                    kind=waiting.kind,
                    node=track.path,
                    until=waiting.until,
                    prompt=waiting.data.get("prompt"),
                    digest=waiting.data.get("digest", ""),
                    command=commands.get(waiting.kind, f"ritesmith resume {state.run}"),
                )
            )
    return tuple(views)
