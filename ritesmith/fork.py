"""Fork: a new run that takes over the first steps of one that has ended, and goes on from there by itself."""

from __future__ import annotations

from collections.abc import Sequence

from ritesmith import saga
from ritesmith.errors import Conflict, NotFound
from ritesmith.models import FINAL_STATUSES, Entry, Workflow


def fork(
    entries: Sequence[Entry], workflow: Workflow, first: saga.Record, node: str, at: float
) -> tuple[list[saga.Record], list[float]]:
    """The first entries of the fork, each with its time: all that the run did before `node` (a path of its trace).

    `workflow` and `first` (its `run_started`) are those of the fork. When the fork fails it also undoes what it took
    over, unless the run succeeded: then those effects stand. What one fork may undo, no other one may. Raises NotFound
    for a node that the run did not come to; Conflict when it has not ended, when `node` lies within branches, when what
    it did before is undone or another fork's to undo, or when `workflow` has no place for it.
    """
    ended = saga.fold(entries)
    if ended.status not in FINAL_STATUSES:
        raise Conflict(
            f"run '{ended.run}' has not ended; it is {ended.status}",
            hint=f"wait for its end, or: ritesmith cancel {ended.run}",
        )
    saga.is_its_own(ended)
    copied = _before(entries, node)
    state = saga.fold(copied)
    if state.trunk.path != node or state.trunk.fork is not None:
        fork = state.trunk.fork
        hint = f"fork from the node before the branches: --from {fork.path}" if fork is not None else ""
        raise Conflict(f"'{node}' of run '{ended.run}' stands within branches; a fork begins outside them", hint=hint)
    if state.failure is not None:
        raise Conflict(f"run '{ended.run}' was being given up before '{node}'", hint="fork from an earlier node")
    undone = [done.path for done in state.done if done.path in ended.undone]
    if undone:
        raise Conflict(
            f"what run '{ended.run}' did before '{node}' is undone: {', '.join(undone)}",
            hint=f"fork from '{undone[0]}' or before it, or start a new run",
        )
    _has_place(workflow, state, state.trunk.at or "")
    data = {**first.data, "start": entries[0].data["start"]}
    forked = {
        "run": ended.run,
        "node": node,
        "undoes": ended.status != "succeeded" and bool(saga.undo_plan(workflow, state)),
        "deadline_at": at + workflow.limits.deadline_seconds,
    }
    records = [saga.Record(each.kind, each.node, each.attempt, each.data) for each in copied[1:]]
    return (
        [saga.Record("run_started", data=data), *records, saga.Record("run_forked", data=forked)],
        [*(each.at for each in copied), max(at, copied[-1].at)],
    )


def _before(entries: Sequence[Entry], node: str) -> Sequence[Entry]:
    came_to: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if entry.node and not entry.node.endswith(saga.UNDO):
            came_to.setdefault(entry.node, index)
    if node not in came_to:
        raise NotFound(f"run '{entries[0].run}' never came to '{node}'", hint=f"it came to: {', '.join(came_to)}")
    return entries[: came_to[node]]


def _has_place(workflow: Workflow, state: saga.State, node: str) -> None:
    """The workflow must know the node to go on from, and every step whose undoing may be asked of it."""
    kinds = {done.node: "call" if done.child else "task" for done in state.done}
    gone = [each for each, kind in kinds.items() if each not in workflow.by_id or workflow.by_id[each].kind != kind]
    if node not in workflow.by_id:
        gone.append(node)
    if gone:
        raise Conflict(
            f"'{gone[0]}' of run '{state.run}' is not in the version of '{workflow.name}' that it is to be forked to",
            hint="fork to another version with --workflow NAME@VERSION",
        )
