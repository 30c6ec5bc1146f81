"""How runs look to a person: what they came to, their trace as a tree and a timeline, each step as it happens."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ritesmith.cli.console import STATUS_STYLE, columns, counted, duration, err, minute, out, short_json, styled, when

if TYPE_CHECKING:
    from ritesmith.models import Entry
    from ritesmith.replay import Replay
    from ritesmith.saga import State
    from ritesmith.trace import RunView, StepView, WaitingView

MARKS = {"succeeded": "✓", "failed": "✗", "waiting": "⏸", "sleeping": "⏸", "retrying": "↻", "unknown": "?"}
PAUSES = frozenset({"sleep", "wait", "approval", "call"})
"""Kinds of steps in which time passes, and nothing is executed."""
BRANCHES_SHOWN = 12
BAR_COLUMNS, DURATION_COLUMNS = 32, 10


# ---------------------------------------------------------------- as it happens


def watcher(several: bool = False) -> Callable[[Entry, State], None] | None:
    """Tells each step on stderr as it becomes durable; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        return None
    return _step_of_run if several else step


def _step_of_run(entry: Entry, state: State) -> None:
    line = _told(entry)
    if line is not None:
        err.print(f"[dim]{entry.run}[/dim] {line}")


def step(entry: Entry, state: State) -> None:
    """What one entry tells, as a line on stderr; most entries tell nothing."""
    line = _told(entry)
    if line is not None:
        err.print(line)


def _told(entry: Entry) -> str | None:
    data, node = entry.data, escape(entry.node)
    match entry.kind:
        case "step_succeeded" | "joined":
            return f"[green]✓[/green] {node}"
        case "compensation_succeeded":
            return f"[yellow]↶[/yellow] {node}"
        case "attempt_failed" | "step_failed" | "compensation_failed" | "join_failed":
            again = f", again at {when(data['retry_at'])}" if "retry_at" in data else ""
            return f"[red]✗[/red] {node}: {escape(data['error']['code'])}{again}"
        case "switched":
            return f"[dim]→ {node}: {escape(data['next'])}[/dim]"
        case "sleep_started":
            return f"[cyan]⏸[/cyan] {node}: until {when(data['until'])}"
        case "approval_requested" | "wait_started":
            return f"[cyan]⏸[/cyan] {node}: waiting"
        case "approval_decided":
            return f"[green]✓[/green] {node}: {data['output']['decision']} by {escape(data['output']['by'])}"
        case "callback_received":
            return f"[green]✓[/green] {node}: it has come"
        case "timed_out":
            return f"[yellow]⏱[/yellow] {node}: nobody answered in time"
        case "woken":
            return f"[cyan]⏵[/cyan] {node}: woken by {escape(data['by'])}"
        case "split_started":
            return f"[dim]⑂ {node}: {escape(', '.join(each['id'] for each in data['branches']))}[/dim]"
        case "map_started":
            return f"[dim]⑂ {node}: {counted(len(data['items']), 'element')}[/dim]"
        case "child_started":
            return f"[dim]→ {node}: run {data['child']} of {escape(data['workflow'])}[/dim]"
        case "child_ended":
            return f"{'[green]✓[/green]' if data['status'] == 'succeeded' else '[red]✗[/red]'} {node}: {data['status']}"
        case "run_cancelled" | "run_stopped":
            return f"[red]✗[/red] {escape(data['error']['message'])}"
        case "effect_unknown":
            why = f": {escape(data['why'])}" if data.get("why") else ""
            return f"[magenta]?[/magenta] {node}: nobody knows whether its last write happened{why}"
    return None


def rest(state: State) -> str:
    """One line: what a run has come to."""
    outcome = f" ({state.outcome})" if state.outcome else ""
    error = state.error or state.failure
    return f"{state.run} {state.workflow} {state.status}{outcome}" + (f": {error['message']}" if error else "")


# ---------------------------------------------------------------- what it came to


def outcome(view: RunView) -> None:
    head = Text.assemble("run ", (view.run, "bold"), " ", styled(view.status))
    if view.outcome:
        head.append(f" ({view.outcome})")
    out.print(head)
    if view.output is not None and view.final:
        out.print_json(json.dumps(view.output, ensure_ascii=False))
    if view.error:
        out.print(Text(f"{view.error.get('code')}: {view.error.get('message')}", style="red"), soft_wrap=True)
    if view.undone:
        out.print(Text(f"undone, newest first: {', '.join(view.undone)}", style="yellow"), soft_wrap=True)
    for each in view.not_undone:
        out.print(Text(f"not undone: {each['path']}: {each['error']['message']}", style="red"), soft_wrap=True)
    if view.not_undone and view.status == "compensation_failed":
        out.print(f"next: ritesmith compensate {view.run}", soft_wrap=True)
    for line in _waits(view):
        out.print(line, soft_wrap=True)


def _waits(view: RunView) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for waiting in view.waits[:BRANCHES_SHOWN]:
        lines += [_wait(waiting), f"next: {waiting.command}"]
    if len(view.waits) > BRANCHES_SHOWN:
        lines.append(f"(and for {len(view.waits) - BRANCHES_SHOWN} more; --json has them all)")
    return lines


def _wait(waiting: WaitingView) -> Text:
    until = f", until {when(waiting.until)}" if waiting.until is not None else ""
    words = f"waits at {waiting.node} for {waiting.kind}{until}"
    return Text(f"{words}: {waiting.prompt}" if waiting.prompt else words)


def runs(rows: Sequence[Mapping[str, Any]], stuck: bool = False) -> None:
    if not rows:
        err.print("no run is stuck" if stuck else "no runs")
        return
    table = columns("run", "workflow", "status", "started", "what helps" if stuck else "due")
    for column in table.columns:
        column.no_wrap = column.header not in ("workflow", "what helps")
    table.columns[0].min_width = 11  # an id that is cut cannot be copied
    for row in rows:
        status = styled(row["status"])
        if row["outcome"]:
            status.append(f" ({row['outcome']})")
        last = row["command"] if stuck else minute(row["due_at"])
        table.add_row(row["id"], row["workflow"], status, minute(row["started_at"]), last)
    out.print(table)


def replayed(replay: Replay) -> None:
    counts = f"{counted(replay.decisions, 'decision')} and {counted(replay.scripts, 'script')} made again"
    if replay.skipped:
        counts += f", {counted(replay.skipped, 'execution')} left out that a deadline or a lost worker had ended"
    if replay.same:
        out.print(
            f"run {replay.run}: {counts}, fuel {replay.fuel}; all as recorded in {replay.entries} entries",
            soft_wrap=True,
        )
        return
    out.print(f"run {replay.run}: {counts}; not as recorded:", soft_wrap=True)
    table = columns("entry", "node", "what", "recorded", "now")
    for each in replay.differences:
        node = f"{each.node}, attempt {each.attempt}" if each.attempt > 1 else each.node
        table.add_row(str(each.seq), node, each.what, short_json(each.recorded, 300), short_json(each.now, 300))
    out.print(table)


# ---------------------------------------------------------------- the trace


def trace(view: RunView) -> None:
    head = Text.assemble(("run ", ""), (view.run, "bold"), f" of {view.workflow} ", styled(view.status))
    if view.outcome:
        head.append(f" ({view.outcome})")
    for origin, run in (
        ("called by", view.parent),
        ("forked from", view.forked_from),
        ("taken over by", view.taken_over_by),
    ):
        if run:
            head.append(f", {origin} run {run}")
    tree = Tree(head)
    tree.add(_line(Text("input ").append_text(short_json(view.input))))
    branches = _Branches(tree)
    branches.add_all(view.steps)
    shown = [step for step in view.steps if step.path in branches.at]
    if view.output is not None:
        tree.add(_line(Text("output ").append_text(short_json(view.output))))
    if view.error:
        tree.add(Text(f"{view.error.get('code')}: {view.error.get('message')}", style="red"))
    parts: list[RenderableType] = [tree]
    if len(shown) > 1:
        parts.append(_timeline(view, shown))
    parts += _waits(view)
    seconds = duration(view.updated_at - view.started_at)
    parts.append(Text(f"{view.entries} entries, fuel {view.fuel}, {seconds} from {when(view.started_at)}", style="dim"))
    out.print(Group(*parts))


class _Branches:
    """Puts each step where its path says: `fan/left/ask` under the branch `left` of `fan`."""

    def __init__(self, tree: Tree) -> None:
        self.at: dict[str, Tree] = {"": tree}
        self.branches: dict[str, int] = {}

    def add_all(self, steps: Sequence[StepView]) -> None:
        for each in steps:
            place = self._place(each.path.rpartition("/")[0])
            if place is not None:
                self.at[each.path] = _step(place.add(_head(each)), each)
        for path, number in self.branches.items():
            if number > BRANCHES_SHOWN and path in self.at:
                self.at[path].add(Text(f"({number - BRANCHES_SHOWN} more; --json has them all)", style="dim"))

    def _place(self, prefix: str) -> Tree | None:
        if prefix not in self.at:
            fork, _, key = prefix.rpartition("/")
            self.branches[fork] = self.branches.get(fork, 0) + 1
            if fork not in self.at or self.branches[fork] > BRANCHES_SHOWN:
                return None
            self.at[prefix] = self.at[fork].add(Text(key, style="bold"))
        return self.at[prefix]


def _head(step: StepView) -> Text:
    line = Text(MARKS.get(step.status, "·") + " ", style=STATUS_STYLE.get(step.status, ""))
    line.append(step.path.rpartition("/")[2], style="bold")
    if step.kind != "task":
        line.append(f" ({step.kind})")
    if step.attempts > 1:
        line.append(f", {step.attempts} attempts", style="yellow")
    if step.ended_at is not None and step.kind in ("task", "compensation"):
        line.append(f" {duration(step.ended_at - step.started_at)}, fuel {step.fuel}", style="dim")
    if step.note:
        line.append(f" {step.note}")
    return line


def _step(tree: Tree, step: StepView) -> Tree:
    for call in step.calls:
        tree.add(_line(Text(f"{call.function} ").append_text(_call(call))))
    if step.error:
        tree.add(Text(f"{step.error.get('code')}: {step.error.get('message')}", style="red"))
    if step.output is not None:
        tree.add(_line(Text("→ ").append_text(short_json(step.output))))
    return tree


def _timeline(view: RunView, shown: Sequence[StepView]) -> Table:
    """A bar for each step of the tree from its beginning to its end: full where it worked, light where it waited."""
    begin = min(step.started_at for step in view.steps)
    end = max([view.updated_at, *(step.ended_at or 0.0 for step in view.steps)])
    scale = BAR_COLUMNS / (end - begin) if end > begin else 0.0
    columns_left = max(12, out.width - BAR_COLUMNS - DURATION_COLUMNS)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, width=BAR_COLUMNS)
    grid.add_column(no_wrap=True, justify="right")
    for step in shown:
        ended = end if step.ended_at is None or step.status in ("waiting", "sleeping") else step.ended_at
        first = min(int((step.started_at - begin) * scale), BAR_COLUMNS - 1)
        width = max(1, round((ended - begin) * scale) - first)
        bar = Text(" " * first + ("░" if step.kind in PAUSES else "█") * width, style=STATUS_STYLE.get(step.status, ""))
        # Of a path that is too long its end is shown: the node, and which branch.
        path = step.path if len(step.path) <= columns_left else "…" + step.path[1 - columns_left :]
        grid.add_row(Text(path), bar, duration(ended - step.started_at))
    return grid


def _line(text: Text) -> Text:
    """One line, cut where the terminal ends; --json has the whole."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _call(call: Any) -> Text:
    text = short_json(call.args, 100).append(" → ")
    if call.error:
        return text.append(f"{call.error['code']}", style="red")
    return text.append_text(short_json(call.result, 100))
