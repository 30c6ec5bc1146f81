"""The trace: a run's entries folded into what a person or a program reads. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from ritesmith import saga
from ritesmith.models import FINAL_STATUSES, JSON, Entry, Schema, Value, WaitNode, Workflow
from ritesmith.notebook import Card, Shown


class CallView(Value):
    """One host call of a step."""

    function: str
    attempt: int
    index: int = 0
    """Which call of its attempt, from 0."""
    started_at: float | None = None
    """Known of a write, which is journalled before it happens."""
    ended_at: float | None = None
    """None: it was started, and nothing is known of its end."""
    args: JSON = None
    result: JSON = None
    error: dict[str, Any] | None = None


class AttemptView(Value):
    """One attempt of a step."""

    attempt: int
    """From 1."""
    status: str
    """succeeded, failed, running, unknown, dropped."""
    started_at: float
    ended_at: float | None = None
    error: dict[str, Any] | None = None
    fuel: int = 0
    retry_at: float | None = None
    """When the next attempt became due."""


class StepView(Value):
    """One visit of a node: what came of it, how long it took, what it called."""

    path: str
    kind: str
    """task, switch, sleep, wait, approval, split, map, join, call, compensation, end or run."""
    status: str
    """succeeded, failed, retrying, waiting, sleeping, running, unknown; dropped: the run went on, or ended, without."""
    started_at: float
    ended_at: float | None = None
    """None while it is under way."""
    attempts: int = 1
    each_attempt: tuple[AttemptView, ...] = ()
    """Of what is tried: tasks, calls and compensations."""
    input: JSON = None
    """What a task, a call or a compensation was given, or the elements of a map; only where the workflow is at hand."""
    output: JSON = None
    error: dict[str, Any] | None = None
    fuel: int = 0
    note: str = ""
    next: tuple[str, ...] = ()
    """The nodes at which the run went on from here."""
    calls: tuple[CallView, ...] = ()

    @property
    def node(self) -> str:
        """The id of the node of which this is a visit."""
        return self.path.rpartition("/")[2].removesuffix(saga.UNDO).partition("#")[0]


class WaitingView(Value):
    """What a run waits for, and the command that continues it."""

    kind: str
    """approval, callback, sleep, retry, child, unknown, or worker: it could go on, and nobody carries it on."""
    node: str
    until: float | None = None
    prompt: JSON = None
    digest: str = ""
    accepts: Schema | None = None
    """JSON Schema of the callback that is awaited; only where the workflow is at hand, and it has one."""
    command: str
    """What continues it, as it is typed into a shell."""
    others: tuple[str, ...] = ()
    """What else may be answered."""

    @property
    def words(self) -> str:
        """What it waits for, where and until when, in words."""
        if self.kind == "worker":
            return "nobody carries it on"
        until = f", until {saga.iso(self.until)}" if self.until is not None else ""
        return f"waits at {self.node} for {self.kind}{until}"


class RunView(Shown, Value):
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
    head: str = ""
    """Hash of the newest entry, which covers all entries before it."""
    without_inputs: str = ""
    """Why the inputs of the steps are not told."""

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL_STATUSES

    def _card(self) -> Card:
        outcome = f" ({self.outcome})" if self.outcome else ""
        facts = [("input", self.input), ("output", self.output)]
        facts += [("error", self.error)] if self.error is not None else []
        facts += [("waits", f"{each.kind} at {each.node}: {each.command}") for each in self.waits]
        rows = [(step.path, step.kind, step.status, step.attempts) for step in self.steps]
        title = f"{self.run} of {self.workflow} {self.status}{outcome}"
        return Card(title, facts, ("step", "kind", "status", "attempts"), rows)


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


UNDER_WAY = frozenset({"running", "retrying", "waiting", "sleeping", "unknown"})
"""Statuses of a step that has not ended."""
TRIED = frozenset(
    {
        *("step_succeeded", "step_failed", "attempt_failed", "call_started", "call_finished"),
        *("compensation_succeeded", "compensation_failed", "effect_unknown", "effect_resolved"),
        *("child_started", "child_ended"),
    }
)
"""Kinds of entries that belong to an attempt."""


def view(entries: Sequence[Entry], workflow: Workflow | None = None) -> RunView:
    """The view of a run from all of its entries, in order; with its `workflow` also what each step was given."""
    state = saga.State()
    steps: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.node:
            track = next((each for each in state.acting() if each.path == entry.node), None)
            # A join has no track that stands there: its branches come together.
            entered_at = entry.at if track is None else min(track.entered_at, entry.at)
            if entry.node not in steps:
                steps[entry.node] = _begun(workflow, state, track, entry.node, entered_at)
            _tell(steps[entry.node], entry, entered_at)
        saga.apply(state, entry)
        if entry.kind in ("joined", "join_failed", "run_finished", "run_retried"):
            _drop(steps, state, entry)
    for track in state.acting():
        if track.path and track.path not in steps and _works(state, track):
            steps[track.path] = _begun(workflow, state, track, track.path, track.entered_at)
    waits = _waits(state, workflow)
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
        steps=tuple(_step(step) for step in steps.values()),
        undone=tuple(state.undone),
        not_undone=tuple(state.not_undone),
        waiting=waits[0] if waits else None,
        waits=waits,
        parent=(state.parent or {}).get("run", ""),
        forked_from=state.forked_from,
        taken_over_by=state.taken_over_by,
        lua_version=entries[0].data.get("lua_version", ""),
        head=state.last_hash,
    )


def _step(step: dict[str, Any]) -> StepView:
    tried = step.pop("tried")
    return StepView(**step, each_attempt=tuple(AttemptView(**each) for each in tried.values()))


def _begun(
    workflow: Workflow | None, state: saga.State, track: saga.Track | None, path: str, at: float
) -> dict[str, Any]:
    kind, given = "task", None
    if workflow is not None and track is not None and track.at in workflow.by_id:
        kind, given = workflow.by_id[track.at].kind, saga.arguments_at(workflow, state, track)
    if path.endswith(saga.UNDO):
        kind = "compensation"
    begun = {"path": path, "kind": kind, "status": "running", "started_at": at, "input": given}
    return begun | {"tried": {}, "calls": []}


def _works(state: saga.State, track: saga.Track) -> bool:
    """Whether a track that has told nothing of its node yet is, or will be, executed there."""
    return state.undoing is track or (state.failure is None and not saga.is_closing(track))


def _drop(steps: dict[str, dict[str, Any]], state: saga.State, entry: Entry) -> None:
    """Steps under way that nothing will come of any more; a person who has the run tried again takes them up again."""
    acting = {track.path for track in state.acting()}
    for path, step in steps.items():
        if step["status"] in UNDER_WAY and path not in acting:
            if step["status"] != "unknown":
                step["note"] = ""
            step |= {"status": "dropped", "ended_at": entry.at}
            for each in step["tried"].values():
                if each["status"] in UNDER_WAY:
                    each |= {"status": "dropped", "ended_at": entry.at}
        elif step["status"] == "dropped" and path in acting:
            step |= {"status": "running", "ended_at": None}


def _tell(step: dict[str, Any], entry: Entry, entered_at: float) -> None:
    """Add one entry of a node to the view of that visit."""
    data = entry.data
    if entry.node.endswith(saga.UNDO):
        step["kind"] = "compensation"
    elif entry.kind in KINDS:
        step["kind"] = KINDS[entry.kind]
    attempt: dict[str, Any] = {}
    if entry.kind in TRIED:
        number = max(entry.attempt, 1)
        attempt = step["tried"].setdefault(
            number, {"attempt": number, "status": "running", "started_at": entered_at, "fuel": 0}
        )
        attempt["fuel"] += data.get("fuel", 0)
        step["attempts"] = max(step.get("attempts", 1), number)
    step["fuel"] = step.get("fuel", 0) + data.get("fuel", 0)
    if isinstance(data.get("next"), str):
        step["next"] = (data["next"],)
    match entry.kind:
        case "step_succeeded" | "compensation_succeeded":
            step |= {"status": "succeeded", "output": data["output"], "error": None, "note": ""}
        case "attempt_failed":
            step |= {"status": "retrying", "error": data["error"]}
            step["note"] = f"again at {saga.iso(data['retry_at'])}"
            attempt |= {"status": "failed", "ended_at": entry.at, "retry_at": data["retry_at"]}
            attempt["error"] = data["error"]
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
            step["next"] = tuple(each["start"] for each in data["branches"])
        case "map_started":
            items = data["items"]
            step |= {"status": "succeeded", "note": f"{len(items)} element{'' if len(items) == 1 else 's'}"}
            step |= {"input": items, "next": (data["start"],) if items else ()}
        case "joined":
            step |= {"status": "succeeded", "output": data["output"]}
        case "join_failed":
            step |= {"status": "failed", "error": data["error"]}
        case "child_started":
            step |= {"status": "waiting", "note": f"run {data['child']} of {data['workflow']}", "input": data["input"]}
        case "child_ended":
            error = data.get("error") or data.get("handled")
            step |= {"status": "failed" if error else "succeeded", "output": data["output"], "error": error}
        case "timed_out":
            step |= {"status": "failed", "error": data.get("error"), "note": "timed out"}
        case "call_started":
            step |= {"status": "running"}
            step["calls"].append(
                {
                    "function": data["function"],
                    "attempt": entry.attempt,
                    "index": data["index"],
                    "args": data.get("args"),
                    "started_at": entry.at,
                }
            )
        case "call_finished":
            call = _open_call(step, entry)
            if call is None:
                call = {"function": data["function"], "attempt": entry.attempt, "index": data["index"]}
                step["calls"].append(call)
            call |= {"result": data.get("result"), "error": data.get("error")}
            call["args"] = data["args"] if "args" in data else call.get("args")
            call["ended_at"] = entry.at
            step["status"] = "running"
        case "effect_unknown":
            why = f": {data['why']}" if data.get("why") else ""
            step |= {"status": "unknown", "note": f"nobody knows whether its last write happened{why}"}
        case "effect_resolved":
            step |= {"status": "running", "note": f"resolved by {data['by']}"}
            call = _open_call(step, entry)
            if call is not None:
                call |= {"ended_at": entry.at, "result": data.get("result") if data["happened"] else None}
                if not data["happened"]:
                    call["error"] = {"code": "did_not_happen", "message": f"so says {data['by']}"}
        case "run_stopped":
            step |= {"status": "failed", "error": data["error"]}
        case "run_finished":
            step |= {"kind": "end", "status": data["status"], "note": data.get("outcome", "")}
    if entry.kind != "attempt_failed":
        status = "running" if step["kind"] == "call" and step["status"] == "waiting" else step["status"]
        attempt |= {"status": status, "error": step.get("error")}
        attempt["ended_at"] = None if status in UNDER_WAY else entry.at
    step["ended_at"] = None if step["status"] in UNDER_WAY else entry.at


def _open_call(step: dict[str, Any], entry: Entry) -> dict[str, Any] | None:
    """The call that an entry tells the end of, when its beginning was told."""
    for call in reversed(step["calls"]):
        if (call["attempt"], call["index"]) == (entry.attempt, entry.data["index"]) and "ended_at" not in call:
            return call  # type: ignore[no-any-return]
    return None


def _waits(state: saga.State, workflow: Workflow | None) -> tuple[WaitingView, ...]:
    if state.status in FINAL_STATUSES:
        return ()
    acting = [track for track in state.acting() if not saga.is_closing(track)]
    views = []
    for track in acting:
        words = f"{state.run} --node {shlex.quote(track.path)}" if len(acting) > 1 else state.run
        if track.unknown is not None:
            views.append(
                WaitingView(
                    kind="unknown",
                    node=track.path,
                    prompt=f"did {track.unknown.function} happen?",
                    command=f"ritesmith resolve {words} --happened --result -",
                    others=(f"ritesmith resolve {words} --did-not-happen",),
                )
            )
        elif track.waiting is not None:
            waiting = track.waiting
            command, *others = {
                "approval": (f"ritesmith approve {words}", f"ritesmith reject {words}"),
                "callback": (f"ritesmith deliver {words} --payload -",),
                "child": (f"ritesmith trace {waiting.data.get('child')}",),
            }.get(waiting.kind, (f"ritesmith resume {state.run}", f"ritesmith wake {words}"))
            waiter = workflow.by_id[track.at] if workflow is not None and track.at is not None else None
            views.append(
                WaitingView(
                    kind=waiting.kind,
                    node=track.path,
                    until=waiting.until,
                    prompt=waiting.data.get("prompt"),
                    digest=waiting.data.get("digest", ""),
                    accepts=(waiter.schema_ or None) if isinstance(waiter, WaitNode) else None,
                    command=command,
                    others=tuple(others),
                )
            )
    return tuple(views)
