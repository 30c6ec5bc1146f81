"""Replay: a run is executed again from its journal, with recorded answers instead of host functions, and compared.

Every decision of the interpreter is made again, and every script is executed again in the sandbox with the results that
its host calls had. Nothing outside is touched and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ritesmith import saga
from ritesmith.errors import JournalMismatch
from ritesmith.models import JSON, Capability, Entry, HostReply, Limits, Outcome, Value, Workflow
from ritesmith.notebook import Card, Shown
from ritesmith.step import Runner, execute_step

TOLD = frozenset(
    {"run_started", "approval_decided", "callback_received", "woken", "run_cancelled", "run_retried"}
    | {
        "run_forked",
        "taken_over",
        "compensation_resumed",
        "undo_requested",
        "effect_unknown",
        "effect_resolved",
        "child_ended",
    }
    | {"call_started", "call_finished"}
)
"""Entries that tell what came from outside; nothing can be compared with them."""
OF_THE_RUN = frozenset({"run_stopped", "compensation_started"})
BY_CHANCE = frozenset({"deadline", "worker_lost"})
"""Ends of a script that need not come again."""


class Difference(Value):
    """Where a replay and the journal part."""

    seq: int
    node: str
    attempt: int
    what: str
    """entry, output, error, fuel, host_calls, call or lua_version."""
    recorded: JSON = None
    now: JSON = None


class Replay(Shown, Value):
    """What a replay came to."""

    run: str
    entries: int
    decisions: int = 0
    """Entries that the interpreter made again."""
    scripts: int = 0
    """Executions that were made again."""
    skipped: int = 0
    """Executions that a deadline or a lost worker ended, which need not end so again."""
    fuel: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def same(self) -> bool:
        """Whether everything came out as recorded."""
        return not self.differences

    def _card(self) -> Card:
        found = "the same" if self.same else f"{len(self.differences)} differences"
        rows = [(each.seq, each.node, each.what, each.recorded, each.now) for each in self.differences]
        title = f"of {self.run}: {found}, {self.entries} entries, {self.scripts} scripts"
        return Card(title, (), ("entry", "node", "what", "recorded", "now"), rows)


def replay(
    entries: Sequence[Entry],
    workflow: Workflow,
    capability: Callable[[str], Capability],
    sandbox: Runner,
    lua_version: str,
    *,
    limits: Limits | None = None,
) -> Replay:
    """Execute a run again from its entries, whose hash chain was checked, and tell where it differs."""
    state = saga.State()
    found: list[Difference] = []
    decisions = scripts = skipped = fuel = 0
    copied = max((entry.seq for entry in entries if entry.kind == "run_forked"), default=0)
    for entry in entries:
        if entry.kind == "run_started":
            recorded = entry.data.get("lua_version", "")
            if recorded != lua_version:
                found.append(_difference(entry, "lua_version", recorded, lua_version))
        elif entry.kind not in TOLD and entry.seq > copied:
            command = _command(workflow, state, entry)
            if isinstance(command, saga.Record):
                if _was_refused(entry, command):
                    command = saga.step_error(workflow, state.track_of(entry.node), entry.data["error"])
                decisions += 1
                found += _compare(entry, command)
            elif isinstance(command, saga.Invoke) and (command.path, command.attempt) == (entry.node, entry.attempt):
                if entry.data.get("error", {}).get("code") in BY_CHANCE:
                    skipped += 1
                else:
                    part = capability(state.capabilities[command.capability])
                    outcome, different = _execute(entry, command, part, sandbox, state.seed, limits or Limits())
                    scripts, fuel = scripts + 1, fuel + outcome.fuel
                    again = saga.conclude(workflow, state, command, outcome, entry.at)
                    found += different or _compare(entry, again)
            elif not isinstance(command, saga.Await):
                found.append(_difference(entry, "entry", entry.kind, type(command).__name__.lower()))
        saga.apply(state, entry)
    return Replay(
        run=state.run,
        entries=len(entries),
        decisions=decisions,
        scripts=scripts,
        skipped=skipped,
        fuel=fuel,
        differences=tuple(found),
    )


def _command(workflow: Workflow, state: saga.State, entry: Entry) -> saga.Command:
    """What the interpreter does in this state at the place of the entry."""
    prefix = entry.node[: entry.node.rfind("/") + 1]
    ended = entry.kind == "run_finished" and (state.failure is not None or state.undoing is not None)
    if entry.kind in OF_THE_RUN or ended or entry.node.endswith(saga.UNDO):
        return saga.decide(workflow, state, entry.at)
    track = state.live[prefix]
    if state.failure is not None or saga.is_closing(track):  # a step that was under way, and was executed to its end
        return saga.enter(workflow, state, track, entry.at)
    return saga.turn(workflow, state, track, entry.at)


def _was_refused(entry: Entry, command: saga.Record) -> bool:
    """Whether the workflow to be called did not take its input: the registry said so, not the interpreter."""
    failed = entry.kind == "step_failed" and entry.data["error"]["code"] == "bad_input"
    return failed and command.kind == "child_started"


def _execute(
    entry: Entry, invoke: saga.Invoke, capability: Capability, sandbox: Runner, seed: str, limits: Limits
) -> tuple[Outcome, list[Difference]]:
    made = [0]

    def check(index: int, name: str, args: JSON) -> None:
        made[0] = index + 1
        call = invoke.calls[index]
        if (call.function, call.args_digest) != (name, saga.digest_of(args)):
            raise JournalMismatch(f"host call {index}: {call.function}, now {name}", index=index, name=name)

    def host(name: str, args: JSON) -> HostReply:
        raise JournalMismatch(f"host call {made[0]}: none, now {name}", index=made[0], name=name)

    results = [call.reply for call in invoke.calls if call.reply is not None]
    try:
        outcome = execute_step(
            sandbox, capability, invoke, seed, limits=limits, host=host, results=results, on_recorded=check
        )
    except JournalMismatch as error:
        index, name = error.facts["index"], error.facts["name"]
        recorded = invoke.calls[index].function if index < len(invoke.calls) else None
        told = {"index": index, "function": recorded}, {"index": index, "function": name}
        return Outcome(status="worker_lost"), [_difference(entry, "call", *told)]
    if made[0] < len(results) and outcome.status not in BY_CHANCE:
        missed = {"index": made[0], "function": invoke.calls[made[0]].function}
        return outcome, [_difference(entry, "call", missed, None)]
    return outcome, []


def _compare(entry: Entry, again: saga.Record) -> list[Difference]:
    """The parts of an entry that a second time came out otherwise."""
    if (entry.kind, entry.node) != (again.kind, again.node):
        recorded, now = f"{entry.kind} {entry.node}".strip(), f"{again.kind} {again.node}".strip()
        return [_difference(entry, "entry", recorded, now)]
    found = []
    was, now_is = _comparable(entry.data), _comparable(again.data)
    for key in sorted({*was, *now_is}):
        if was.get(key) != now_is.get(key):
            what = key if key in ("output", "error", "fuel", "host_calls") else "entry"
            found.append(_difference(entry, what, was.get(key), now_is.get(key)))
    return found


def _comparable(data: Mapping[str, Any]) -> dict[str, Any]:
    # Peak memory counts what the allocator had not given back yet.
    return {key: value for key, value in data.items() if key != "memory_bytes"}


def _difference(entry: Entry, what: str, recorded: JSON, now: JSON) -> Difference:
    return Difference(seq=entry.seq, node=entry.node, attempt=entry.attempt, what=what, recorded=recorded, now=now)
