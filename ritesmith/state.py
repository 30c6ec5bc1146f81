"""The state of a run, folded from its journal's entries. Pure: no database, clock, thread or engine.

A run is a tree of tracks. A track is one way through the graph: the trunk, a branch of a split, an element of a map. It
stands at one node, or it has forked and waits for the join. Entries carry node paths, and a path begins with the prefix
of its track, so that what one branch does can never be taken for what another does:

    refund            a node of the trunk            refund#2      the same, visited again
    fan/left/ask      of branch `left` of `fan`      each/3/ask    of the element 3 (from 0) of the map `each`
    refund~undo       the compensation of `refund`
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from ritesmith.errors import InvalidInput
from ritesmith.models import FINAL_STATUSES, JSON, SEMANTICS_VERSION, Entry, HostReply

UNDO = "~undo"
"""Ends the node path of a compensation."""
EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0
"""The first and the last second that a date can say: years 1 and 9999."""


@dataclass(frozen=True)
class Call:
    """A journalled host call of the attempt that is under way."""

    index: int
    function: str
    args_digest: str
    reply: HostReply | None
    """None: the call was started and nothing is known of its end."""
    write: bool


@dataclass(frozen=True)
class Waiting:
    """What a paused track is waiting for."""

    kind: str
    """sleep, retry, approval, callback or child."""
    until: float | None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Track:
    """One way through the graph, and where it stands."""

    prefix: str = ""
    """What the paths of its nodes begin with."""
    parent: Track | None = field(default=None, compare=False, repr=False)
    key: str | int = ""
    """Which branch or element of its parent's fork it is."""
    join: str | None = None
    """The node at which it ends."""
    item: Mapping[str, JSON] = field(default_factory=dict)
    """{"item": ...} inside a map, else nothing."""
    names: Mapping[str, JSON] = field(default_factory=dict)
    """The elements of this map and those around it that have a name."""

    at: str | None = None
    """The node whose turn it is; None when the graph has come to its end."""
    path: str = ""
    attempt: int = 1
    tried: int = 0
    """Attempts before a person had the step tried again: it has as many as at first."""
    entered_at: float = 0.0
    """When this attempt became due: what its script sees as `context.now`."""
    calls: list[Call] = field(default_factory=list)
    wrote: bool = False
    """A write of the current step has happened, in this attempt or an earlier one."""
    waiting: Waiting | None = None
    unknown: Call | None = None
    failure: dict[str, JSON] | None = None
    """Why it came to no end: {code, message, node, ...}."""
    fork: Fork | None = None
    """What it has split into; it goes on at the join."""

    visits: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, dict[str, JSON]] = field(default_factory=dict)
    """Node id -> {"output": its latest output}: the root `nodes` of expressions."""
    outputs: list[tuple[str, JSON]] = field(default_factory=list)
    """Every output of its own so far, as (node id, output), in order."""
    last_output: JSON = None
    before: int = 0
    """How many outputs its parent had when it began."""

    @property
    def unsettled(self) -> bool:
        """A write was started, and only executing the script again can tell what came of it."""
        return bool(self.calls) and self.calls[-1].reply is None

    def path_of(self, node: str) -> str:
        """The path that its next visit of a node has."""
        visit = self.visits.get(node, 0) + 1
        return self.prefix + (node if visit == 1 else f"{node}#{visit}")

    def seen(self, outputs: int) -> dict[str, dict[str, JSON]]:
        """The root `nodes` as it was when this track had so many outputs."""
        nodes = {} if self.parent is None else self.parent.seen(self.before)
        nodes.update((node, {"output": output}) for node, output in self.outputs[:outputs])
        return nodes


@dataclass
class Fork:
    """A split or a map that is under way."""

    path: str
    join: str
    policy: str
    keys: Sequence[str | int]
    """Every branch or element, in order."""
    starts: Sequence[str]
    """Where each branch begins; for a map, one for all."""
    items: Sequence[JSON] | None
    name: str | None
    """Under which a map's element is known."""
    concurrency: int
    begun: int = 0
    open: dict[str, Track] = field(default_factory=dict)
    """Branches that have not come to an end, by prefix."""
    failed: list[Track] = field(default_factory=list)
    """Those that failed, and may be taken up again."""
    results: dict[str | int, dict[str, JSON]] = field(default_factory=dict)
    """What each ended branch came to: {"status": "succeeded", "output": ...} or {"status": "failed", "error": ...}."""
    decided: bool = False
    """Nothing more may begin: the policy has its answer."""

    @property
    def over(self) -> bool:
        """Every branch has come to its end."""
        return not self.open and self.begun == len(self.keys)


class Done(NamedTuple):
    """A finished task or child run, with what its compensation needs."""

    path: str
    node: str
    track: Track
    seen: int
    """How many outputs its track had when it was done: its compensation reads these, and none of a later visit."""
    partial: bool = False
    """It failed, but one of its writes had happened."""
    child: str = ""
    """The run that it was."""


@dataclass
class State:
    """A run, folded from its entries. Made by `fold` only; `apply` advances it in place."""

    run: str = ""
    workflow: str = ""
    digest: str = ""
    capabilities: dict[str, str] = field(default_factory=dict)
    """Reference to a capability or workflow, as the workflow writes it -> digest."""
    input: JSON = None
    seed: str = ""
    parent: Mapping[str, str] | None = None
    """Of a child run: {"run", "path"} of the node that called it."""
    forked_from: str = ""
    """The run whose first steps it took over."""
    taken_over_by: str = ""
    """The fork that has what this run did to undo, should it fail."""
    status: str = "pending"
    started_at: float = 0.0
    about: Mapping[str, JSON] = field(default_factory=dict)
    """The root `run` of expressions."""
    updated_at: float = 0.0
    since: float = 0.0
    """When its status became what it is."""
    deadline_at: float = float("inf")
    seq: int = 0
    last_hash: str = ""

    trunk: Track = field(default_factory=Track)
    live: dict[str, Track] = field(default_factory=dict)
    """Tracks that have neither ended nor failed, by prefix."""
    done: list[Done] = field(default_factory=list)

    steps: int = 0
    fuel: int = 0
    host_calls: int = 0
    bytes: int = 0
    limits: dict[str, int] = field(default_factory=dict)
    """Budgets of the run that are limited: fuel, host_calls, bytes -> how much."""

    failure: dict[str, JSON] | None = None
    """Why the run is being given up: {code, message, node, ...}."""
    cancelled: str = ""
    """`abandon` or `compensate` when a person has cancelled it."""
    undoing: Track | None = None
    """Stands at the compensation whose turn it is; None before compensation began."""
    to_undo: list[Done] = field(default_factory=list)
    """What is still to be compensated, newest first."""
    undone: list[str] = field(default_factory=list)
    not_undone: list[dict[str, JSON]] = field(default_factory=list)
    still_done: list[Done] = field(default_factory=list)
    """What could not be compensated, in the order of `not_undone`."""

    outcome: str = ""
    output: JSON = None
    error: dict[str, JSON] | None = None

    def scope(self, track: Track) -> dict[str, JSON]:
        """The roots that expressions of a track may refer to."""
        return {"input": self.input, "nodes": track.nodes, "run": self.about, **track.item}

    def track_of(self, path: str) -> Track:
        """The track to which a node path belongs."""
        if path.endswith(UNDO):
            assert self.undoing is not None
            return self.undoing
        return self.live[path[: path.rfind("/") + 1]]

    def acting(self) -> list[Track]:
        """The tracks that stand at a node, in the order in which they began; the compensation under way is one."""
        if self.undoing is not None:
            return [self.undoing]
        return [track for track in self.live.values() if track.fork is None]

    def waits(self, kind: str | None = None) -> list[Track]:
        """The tracks that wait for something (of one kind)."""
        return [
            track
            for track in self.acting()
            if track.waiting is not None and (kind is None or track.waiting.kind == kind)
        ]

    def unknowns(self) -> list[Track]:
        """The tracks with a write of which nobody knows whether it happened."""
        if self.undoing is not None:
            return [self.undoing] if self.undoing.unknown is not None else []
        return [track for track in self.live.values() if track.unknown is not None and track.fork is None]

    def due_at(self) -> float | None:
        """When there is something to do again: None when it has ended, or waits without a deadline."""
        if self.status in FINAL_STATUSES or self.status == "unknown":
            return None
        if self.status in ("running", "compensating"):
            return self.since
        waits = (track.waiting for track in self.acting())
        due = [waiting.until for waiting in waits if waiting is not None and waiting.until is not None]
        if self.undoing is None and self.deadline_at != float("inf"):
            due.append(self.deadline_at)
        return min(due, default=None)


def fold(entries: Sequence[Entry]) -> State:
    """The state of a run from all of its entries, in order."""
    state = State()
    for entry in entries:
        apply(state, entry)
    return state


def apply(state: State, entry: Entry) -> State:
    """Advance `state` by one entry, in place, and return it. Raises InvalidInput for a kind it does not know."""
    change = _CHANGES.get(entry.kind)
    if change is None:
        raise InvalidInput(
            f"run '{entry.run}': entry {entry.seq} is of the unknown kind '{entry.kind}'",
            hint="the journal was written by a newer RiteSmith; upgrade",
        )
    before = state.status
    change(state, entry)
    state.seq, state.last_hash, state.updated_at = entry.seq, entry.hash, entry.at
    if state.status not in FINAL_STATUSES:
        state.status = _status(state)
    if state.status != before:
        state.since = entry.at
    return state


def _status(state: State) -> str:
    """What a run that has not ended is doing, all tracks together."""
    undoing = state.undoing
    if undoing is not None:
        if undoing.unknown is not None:
            return "unknown"
        return "compensating" if undoing.waiting is None else "sleeping"
    acts = state.failure is not None or ("bytes" in state.limits and state.bytes > state.limits["bytes"])
    kinds: set[str] = set()
    for track in state.live.values():
        if track.fork is None:
            if track.unknown is not None:
                return "unknown"
            if track.waiting is None:
                acts = True
            else:
                kinds.add(track.waiting.kind)
        elif track.fork.over or track.fork.decided:
            acts = True  # its join has something to do, whatever the branches wait for
    if acts or not kinds:
        return "running"
    return "sleeping" if kinds <= {"sleep", "retry"} else "waiting"


# ---------------------------------------------------------------- the run itself


def _run_started(state: State, entry: Entry) -> None:
    data = entry.data
    if data["semantics"] > SEMANTICS_VERSION:
        raise InvalidInput(
            f"run '{entry.run}' follows rules of version {data['semantics']}; this program knows {SEMANTICS_VERSION}",
            hint="the run was begun by a newer RiteSmith; upgrade",
        )
    state.run, state.workflow, state.digest = entry.run, data["workflow"], data["digest"]
    state.capabilities, state.input, state.seed = data["capabilities"], data["input"], data["seed"]
    state.started_at, state.deadline_at, state.status = entry.at, data["deadline_at"], "running"
    state.limits, state.parent = data.get("limits", {}), data.get("parent")
    state.about = {"id": state.run, "workflow": state.workflow, "started_at": iso(state.started_at)}
    state.live[""] = state.trunk
    _go(state, state.trunk, data["start"], entry.at)


def _run_stopped(state: State, entry: Entry) -> None:
    """A limit of the run has ended it; the steps that were under way will not be finished."""
    state.failure = entry.data["error"]


def _run_cancelled(state: State, entry: Entry) -> None:
    state.cancelled = "compensate" if entry.data["compensate"] else "abandon"
    state.failure = entry.data["error"]
    if not entry.data["compensate"]:
        for track in state.unknowns():
            track.unknown = None
            track.calls.pop()  # whether it happened is not asked any more


def _run_finished(state: State, entry: Entry) -> None:
    data = entry.data
    state.status, state.outcome, state.output = data["status"], data.get("outcome", ""), data.get("output")
    state.error = data.get("error")
    state.live, state.undoing = {}, None


def _run_retried(state: State, entry: Entry) -> None:
    """A person has a failed run go on at what failed, with budgets and a deadline of its own."""
    state.status, state.failure, state.error, state.outcome = "running", None, None, ""
    state.deadline_at = entry.data["deadline_at"]
    state.steps = state.fuel = state.host_calls = state.bytes = 0
    state.live = {}
    _revive(state, state.trunk, entry.at)


def _run_forked(state: State, entry: Entry) -> None:
    """What came before was copied from another run; from here on this one goes its own way."""
    state.started_at, state.deadline_at = entry.at, entry.data["deadline_at"]
    state.about = {**state.about, "started_at": iso(state.started_at)}
    state.since = entry.at
    state.steps, state.fuel, state.host_calls, state.bytes = 1, 0, 0, 0
    state.trunk.entered_at = entry.at
    state.forked_from = entry.data["run"]
    if not entry.data["undoes"]:
        state.done = []


def _taken_over(state: State, entry: Entry) -> None:
    state.taken_over_by = entry.data["by"]


def _revive(state: State, track: Track, at: float) -> None:
    state.live[track.prefix] = track
    failed = track.failure is not None
    if track.fork is None or failed:
        track.failure, track.waiting, track.entered_at = None, None, at
        track.tried = track.attempt - 1
    fork = track.fork
    if fork is None:
        return
    if failed or fork.policy == "all" or (fork.policy == "any" and fork.over and not fork.decided):
        for child in fork.failed:  # elsewhere a branch that failed is a result like any other
            del fork.results[child.key]
            fork.open[child.prefix] = child
        fork.failed = []
    fork.decided = any(ENDS.get(fork.policy) == each["status"] for each in fork.results.values())
    for child in fork.open.values():
        _revive(state, child, at)


# ---------------------------------------------------------------- moving on


def _go(state: State, track: Track, target: str | None, at: float) -> None:
    """Move to `target`; a node that is visited again gets a path of its own, so that effects keep their keys."""
    track.calls, track.wrote, track.waiting, track.fork = [], False, None, None
    if track.parent is not None and target in (None, track.join):
        _ended(state, track, {"status": "succeeded", "output": track.last_output}, at)
        return
    track.at, track.attempt, track.tried, track.entered_at = target, 1, 0, at
    if target is not None:
        track.path = _visit(track, target)
        state.steps += 1


def _visit(track: Track, node: str) -> str:
    path = track.path_of(node)
    track.visits[node] = track.visits.get(node, 0) + 1
    return path


def _went(state: State, entry: Entry) -> None:
    """Entries that only move on: switched and sleep_ended."""
    _go(state, state.track_of(entry.node), entry.data["next"], entry.at)


def _paused(state: State, entry: Entry) -> None:
    kinds = {
        "sleep_started": "sleep",
        "approval_requested": "approval",
        "wait_started": "callback",
        "child_started": "child",
    }
    state.track_of(entry.node).waiting = Waiting(kinds[entry.kind], entry.data.get("until"), entry.data)


def _woken(state: State, entry: Entry) -> None:
    """What a track slept for is over now, by a person's word."""
    track = state.track_of(entry.node)
    assert track.waiting is not None
    track.waiting = Waiting(track.waiting.kind, entry.at, {**track.waiting.data, "by": entry.data["by"]})
    track.entered_at = min(track.entered_at, entry.at)


def _answered(state: State, entry: Entry) -> None:
    """approval_decided and callback_received: the answer becomes the node's output, unless the node fails by it."""
    track = state.track_of(entry.node)
    if not entry.data.get("error"):
        _put_out(state, track, entry.data["output"])
    _next_or_fail(state, track, entry)


def _timed_out(state: State, entry: Entry) -> None:
    _next_or_fail(state, state.track_of(entry.node), entry)


def _next_or_fail(state: State, track: Track, entry: Entry) -> None:
    if entry.data.get("error"):
        _failed(state, track, entry.data["error"], entry.at)
    else:
        _go(state, track, entry.data["next"], entry.at)


def _put_out(state: State, track: Track, output: JSON) -> None:
    assert track.at is not None
    track.nodes[track.at] = {"output": output}
    track.outputs.append((track.at, output))
    track.last_output = output
    _count_bytes(state, output)


def _count_bytes(state: State, value: JSON) -> None:
    if "bytes" in state.limits:
        state.bytes += len(
            json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        )


def _failed(state: State, track: Track, error: dict[str, JSON], at: float) -> None:
    """The track comes to no end. Of a branch, its policy judges it; of the trunk, the run is given up."""
    track.failure, track.waiting = error, None
    if track.parent is None:
        state.failure = state.failure or error
    else:
        _ended(state, track, {"status": "failed", "error": error}, at)


# ---------------------------------------------------------------- branches


def _forked(state: State, entry: Entry) -> None:
    """split_started and map_started."""
    track, data = state.track_of(entry.node), entry.data
    items = data.get("items")
    keys: Sequence[str | int] = range(len(items)) if items is not None else [each["id"] for each in data["branches"]]
    starts = [data["start"]] if items is not None else [each["start"] for each in data["branches"]]
    track.fork = Fork(
        entry.node,
        data["join"],
        data["policy"],
        keys,
        starts,
        items,
        data.get("as"),
        data.get("concurrency", len(keys)),
    )
    _begin(state, track, entry.at)


def _begin(state: State, track: Track, at: float) -> None:
    """Begin as many branches as may be under way at a time."""
    fork = track.fork
    assert fork is not None
    while not fork.decided and fork.begun < len(fork.keys) and len(fork.open) < fork.concurrency:
        index, key = fork.begun, fork.keys[fork.begun]
        item, names = track.item, track.names
        if fork.items is not None:
            element = fork.items[index]
            names = {**names, fork.name: element} if fork.name else names
            item = {"item": names if fork.name else element}
        child = Track(
            prefix=f"{fork.path}/{key}/",
            parent=track,
            key=key,
            join=fork.join,
            item=item,
            names=names,
            nodes=dict(track.nodes),
            before=len(track.outputs),
        )
        fork.begun += 1
        start = fork.starts[index if fork.items is None else 0]
        if start == fork.join:
            fork.results[key] = {"status": "succeeded", "output": None}
            fork.decided = fork.policy == "any"
            continue
        fork.open[child.prefix] = state.live[child.prefix] = child
        _go(state, child, start, at)


ENDS = {"all": "failed", "any": "succeeded"}
"""The end of one branch that decides a fork at once, by policy."""


def _ended(state: State, track: Track, result: dict[str, JSON], at: float) -> None:
    """A branch has come to its join, or failed."""
    parent = track.parent
    assert parent is not None
    fork = parent.fork
    assert fork is not None
    del state.live[track.prefix], fork.open[track.prefix]
    fork.results[track.key] = result
    if result["status"] == "failed":
        fork.failed.append(track)
    fork.decided = fork.decided or ENDS.get(fork.policy) == result["status"]
    _begin(state, parent, at)


def _joined(state: State, entry: Entry) -> None:
    """The branches have come together; what has not ended by now is dropped."""
    track = state.live[entry.node[: entry.node.rfind("/") + 1]]
    assert track.fork is not None
    _drop(state, track)
    track.at = track.fork.join
    _visit(track, track.at)
    _put_out(state, track, entry.data["output"])
    _go(state, track, entry.data["next"], entry.at)


def _join_failed(state: State, entry: Entry) -> None:
    track = state.live[entry.node[: entry.node.rfind("/") + 1]]
    assert track.fork is not None
    _leave(state, track.fork)
    _failed(state, track, entry.data["error"], entry.at)


def _leave(state: State, fork: Fork) -> None:
    """The branches that have not ended wait for nothing any more, unless a person has the fork tried again."""
    for child in fork.open.values():
        state.live.pop(child.prefix, None)
        if child.fork is not None:
            _leave(state, child.fork)


def _drop(state: State, track: Track) -> None:
    """The branches of a track that have not ended never will; what they wrote is still to be undone one day."""
    if track.fork is None:
        return
    for child in [*track.fork.open.values(), *track.fork.failed]:
        _drop(state, child)
        state.live.pop(child.prefix, None)
        if child.fork is None and child.wrote:
            _keep_partial(state, child)


def _keep_partial(state: State, track: Track) -> None:
    """The step is over without an output, but it wrote."""
    state.done.append(_partial(track))


def _partial(track: Track) -> Done:
    assert track.at is not None
    return Done(track.path, track.at, track, len(track.outputs), partial=True)


def undoable(state: State) -> list[Done]:
    """All that a compensation may have to undo, oldest first, with the steps that broke off after a write."""
    partial: list[Done] = []
    pending = [state.trunk]
    while pending:
        track = pending.pop()
        if track.fork is not None:
            pending.extend([*track.fork.failed, *track.fork.open.values()][::-1])
        elif track.wrote and track.at is not None:
            partial.append(_partial(track))
    return state.done + partial


# ---------------------------------------------------------------- steps


def _call_started(state: State, entry: Entry) -> None:
    data, track = entry.data, state.track_of(entry.node)
    track.calls.append(Call(data["index"], data["function"], data["args_digest"], None, write=True))
    track.waiting = None


def _call_finished(state: State, entry: Entry) -> None:
    data, track = entry.data, state.track_of(entry.node)
    error = data.get("error")
    reply = HostReply(error=error) if error else HostReply(result=data.get("result"))
    write = bool(data.get("write"))
    call = Call(data["index"], data["function"], data["args_digest"], reply, write)
    track.calls[call.index :] = [call]
    track.wrote = track.wrote or (write and error is None)
    track.waiting = None
    _count_bytes(state, error or data.get("result"))


def _spent(state: State, entry: Entry) -> None:
    state.fuel += entry.data.get("fuel", 0)
    state.host_calls += entry.data.get("host_calls", 0)


def _step_succeeded(state: State, entry: Entry) -> None:
    track = state.track_of(entry.node)
    _spent(state, entry)
    _put_out(state, track, entry.data["output"])
    assert track.at is not None
    state.done.append(Done(track.path, track.at, track, len(track.outputs)))
    _go(state, track, entry.data["next"], entry.at)


def _attempt_failed(state: State, entry: Entry) -> None:
    """The attempt is over, the step is not: the next attempt is due at `retry_at`."""
    track, until = state.track_of(entry.node), entry.data["retry_at"]
    _spent(state, entry)
    track.attempt, track.calls, track.entered_at = entry.attempt + 1, [], until
    track.waiting = Waiting("retry", until, entry.data)


def _step_failed(state: State, entry: Entry) -> None:
    track = state.track_of(entry.node)
    _spent(state, entry)
    if "next" not in entry.data:
        track.calls, track.attempt = [], entry.attempt + 1  # should a person have it tried again
        _failed(state, track, entry.data["error"], entry.at)
        return
    if track.wrote:
        _keep_partial(state, track)
    _go(state, track, entry.data["next"], entry.at)


def _child_ended(state: State, entry: Entry) -> None:
    """A run that was called has ended."""
    track, data = state.track_of(entry.node), entry.data
    assert track.at is not None
    track.waiting = None
    if data["status"] == "succeeded":
        _put_out(state, track, data["output"])
        state.done.append(Done(track.path, track.at, track, len(track.outputs), child=data["child"]))
    track.attempt += 1
    _next_or_fail(state, track, entry)


def _effect_unknown(state: State, entry: Entry) -> None:
    track = state.track_of(entry.node)
    track.unknown = track.calls[-1]


def _effect_resolved(state: State, entry: Entry) -> None:
    """A person has said what became of the call: it happened with this result, or it did not happen."""
    track = state.track_of(entry.node)
    assert track.unknown is not None
    if entry.data["happened"]:
        reply = HostReply(result=entry.data.get("result"))
        track.calls[-1] = Call(
            track.unknown.index, track.unknown.function, track.unknown.args_digest, reply, write=True
        )
        track.wrote = True
    else:
        track.calls.pop()
    track.unknown = None


# ---------------------------------------------------------------- compensation


def _compensation_started(state: State, entry: Entry) -> None:
    finished = {done.path: done for done in undoable(state)}
    state.to_undo = [finished[path] for path in entry.data["plan"]]
    _begin_undo(state, entry.at)


def _compensation_resumed(state: State, entry: Entry) -> None:
    """A person has what could not be undone tried again."""
    state.status, state.error, state.outcome = "compensating", None, ""
    state.to_undo, state.still_done, state.not_undone = state.still_done, [], []
    _begin_undo(state, entry.at)


def _undo_requested(state: State, entry: Entry) -> None:
    """The run that called this finished one is being given up."""
    state.status, state.output, state.outcome = "compensating", None, ""
    state.failure = entry.data["error"]
    finished = {done.path: done for done in state.done}
    state.to_undo = [finished[path] for path in entry.data["plan"]]
    _begin_undo(state, entry.at)


def _begin_undo(state: State, at: float) -> None:
    path = state.to_undo[0].path + UNDO if state.to_undo else ""
    state.undoing = Track(path=path, at=state.to_undo[0].node if state.to_undo else None, entered_at=at)


def _compensation_succeeded(state: State, entry: Entry) -> None:
    _spent(state, entry)
    state.undone.append(state.to_undo.pop(0).path)
    _begin_undo(state, entry.at)


def _compensation_failed(state: State, entry: Entry) -> None:
    _spent(state, entry)
    done = state.to_undo.pop(0)
    state.still_done.append(done)
    state.not_undone.append({"path": done.path, "error": entry.data["error"]})
    _begin_undo(state, entry.at)


_CHANGES = {
    "run_started": _run_started,
    "switched": _went,
    "sleep_started": _paused,
    "sleep_ended": _went,
    "woken": _woken,
    "approval_requested": _paused,
    "approval_decided": _answered,
    "wait_started": _paused,
    "callback_received": _answered,
    "timed_out": _timed_out,
    "split_started": _forked,
    "map_started": _forked,
    "joined": _joined,
    "join_failed": _join_failed,
    "child_started": _paused,
    "child_ended": _child_ended,
    "call_started": _call_started,
    "call_finished": _call_finished,
    "step_succeeded": _step_succeeded,
    "attempt_failed": _attempt_failed,
    "step_failed": _step_failed,
    "effect_unknown": _effect_unknown,
    "effect_resolved": _effect_resolved,
    "run_stopped": _run_stopped,
    "run_cancelled": _run_cancelled,
    "run_retried": _run_retried,
    "run_forked": _run_forked,
    "taken_over": _taken_over,
    "compensation_started": _compensation_started,
    "compensation_resumed": _compensation_resumed,
    "compensation_succeeded": _compensation_succeeded,
    "compensation_failed": _compensation_failed,
    "undo_requested": _undo_requested,
    "run_finished": _run_finished,
}
ENTRY_KINDS = frozenset(_CHANGES)


def iso(at: float) -> str:
    """Seconds since 1970 as 2026-01-31T09:00:00Z; outside the years 1 to 9999, their first or last."""
    return _iso(math.floor(min(max(at, EARLIEST), LATEST)))


@lru_cache(maxsize=1024)
def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z")
