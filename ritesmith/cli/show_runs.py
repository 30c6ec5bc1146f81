"""How runs look to a person: what they came to, their trace as a tree and a timeline, each step as it happens."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ritesmith.cli.console import (
    MARKS,
    STATUS_STYLE,
    columns,
    counted,
    duration,
    err,
    known,
    minute,
    out,
    short_json,
    styled,
    when,
)

if TYPE_CHECKING:
    from ritesmith.compare import Change
    from ritesmith.models import Entry
    from ritesmith.replay import Replay
    from ritesmith.saga import State
    from ritesmith.trace import AttemptView, CallView, RunView, StepView, WaitingView
    from ritesmith.views.account import Account
    from ritesmith.views.run_compare import RunComparison, StepFigures
    from ritesmith.views.timeline import Axis, Bar, Place

BRANCHES_SHOWN = 12
BAR_COLUMNS_MIN, BAR_COLUMNS_MAX, DURATION_COLUMNS = 12, 100, 11
BAR_LETTERS = {"work": "█", "pause": "░", "around": "─"}


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
        out.print(f"next: {pasted(f'ritesmith compensate {view.run}')}", soft_wrap=True)
    for line in _waits(view):
        out.print(line, soft_wrap=True)


def asked(view: RunView) -> None:
    """What a run waits for, and what continues it, as talk."""
    for line in _waits(view):
        err.print(line, soft_wrap=True)


def _waits(view: RunView) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for waiting in view.waits[:BRANCHES_SHOWN]:
        lines += [_wait(waiting), f"next: {pasted(waiting.command)}"]
        lines += [f"or: {pasted(each)}" for each in waiting.others]
    if len(view.waits) > BRANCHES_SHOWN:
        lines.append(f"(and for {len(view.waits) - BRANCHES_SHOWN} more; --json has them all)")
    return lines


def _wait(waiting: WaitingView) -> Text:
    words = waiting.words
    if waiting.prompt:
        words += f": {waiting.prompt}"
    if waiting.accepts:
        words += f", which is {json.dumps(waiting.accepts, ensure_ascii=False)}"
    return Text(words)


def pasted(command: str) -> str:
    """A command as it works where this one was typed: with the registry file that was named."""
    import shlex

    context = click.get_current_context(silent=True)
    db = context.find_root().obj if context is not None else None
    return command.replace("ritesmith ", f"ritesmith --db {shlex.quote(str(db))} ", 1) if db else command


def account(told: Account) -> None:
    """The account of a run on stdout, as lines that the terminal may wrap; who wrote it, on stderr."""
    click.echo(told.text)
    if told.unsupported:
        flagged = ", ".join(told.unsupported)
        out.print()
        out.print(Text(f"not in the trace: {flagged}", style="red"), soft_wrap=True)
    if told.truncated:
        err.print("the model stopped at its token limit: the account breaks off")
    if told.source != "template":
        tokens = f"{known(told.tokens_in)} tokens in, {known(told.tokens_out)} out"
        err.print(f"written by {told.source}, {tokens}; no part of the run", soft_wrap=True, markup=False)


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


# ---------------------------------------------------------------- two runs


def compared(found: RunComparison) -> None:
    if found.same:
        took = " and ".join(map(duration, found.seconds))
        out.print(f"runs {found.a} and {found.b} are the same, in {took}", soft_wrap=True)
        return
    out.print(f"run {found.b} differs from run {found.a}:", soft_wrap=True)
    for name, those in (("version", found.definition), ("input", found.input), ("end", found.end)):
        for each in those:
            out.print(_changed(f"{name} {_place(each)}", each), soft_wrap=True)
    table = columns("step", found.a, found.b)
    for pair in found.steps:
        mark = Text(pair.path, style="" if pair.same else "bold")
        table.add_row(mark, _figures(pair.a, pair.b), _figures(pair.b, pair.a))
    whole = [f"fuel {fuel}, {duration(seconds)}" for fuel, seconds in zip(found.fuel, found.seconds, strict=True)]
    table.add_row("the whole run", *whole, style="dim")
    out.print(table)
    if found.first_difference:
        [first] = [pair for pair in found.steps if pair.path == found.first_difference]
        out.print(f"the first step that differs: {first.path}", soft_wrap=True)
        for each in first.changes:
            out.print(_changed(f"  {_place(each)}", each), soft_wrap=True)


def _place(change: Change) -> str:
    """A JSON path without its root; a single key in brackets, such as a name with a version, as it is."""
    alone = re.fullmatch(r'\$\["([^"\\]+)"\]', change.path)
    return alone[1] if alone else change.path.removeprefix("$.")


def _changed(what: str, change: Change) -> Text:
    text = Text.assemble(f"{what}: ", (short_json(change.before, 100).plain, "red"), " → ")
    return text.append(short_json(change.after, 100).plain, style="green")


def _figures(step: StepFigures | None, other: StepFigures | None) -> Text:
    if step is None:
        return Text("never came to it", style="dim")
    text = Text(f"{step.status}", style=STATUS_STYLE.get(step.status, ""))
    for name in ("attempts", "host_calls", "fuel"):
        number = getattr(step, name)
        if other is not None and number != getattr(other, name):
            text.append(f", {name.replace('_', ' ')} {number}", style="bold")
    return text.append("" if step.seconds is None else f", {duration(step.seconds)}", style="dim")


# ---------------------------------------------------------------- the trace


def trace(view: RunView, *, full: bool = False, now: float | None = None) -> None:
    """The tree and the timeline of a run. Values are folded to a line each, and of each fork the first branches are
    shown; with `full`, all of everything."""
    from ritesmith.views.timeline import outline

    out.print(Group(*_trace(view, outline(view.steps, None if full else BRANCHES_SHOWN), full, now)))


def _trace(view: RunView, places: Place, full: bool, now: float | None) -> Iterator[RenderableType]:
    tree = Tree(_title(view))
    tree.add(_valued("input ", view.input, full))
    _add(tree, places, full)
    if view.output is not None:
        tree.add(_valued("output ", view.output, full))
    if view.error:
        tree.add(_error(view.error))
    yield tree
    if len(view.steps) > 1:
        yield _timeline(view, places, now)
    if view.without_inputs:
        yield Text(f"the inputs of the steps are not known: {view.without_inputs}", style="yellow")
    yield from _waits(view)
    yield from _next(view)
    seconds = duration(view.updated_at - view.started_at)
    yield Text(
        f"{counted(view.entries, 'entry', 'entries')}, fuel {view.fuel}, {seconds} from {when(view.started_at)}", "dim"
    )


def _title(view: RunView) -> Text:
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
    return head


def _add(tree: Tree, place: Place, full: bool) -> None:
    for each in place.below:
        if each.step is None:
            below = tree.add(Text(each.name, style="bold"))
        else:
            below = tree.add(_head(each.step))
            _tell_step(below, each.step, full)
        _add(below, each, full)
    if place.left_out:
        tree.add(Text(f"({place.left_out} more; --full shows them all)", style="dim"))


def _head(step: StepView) -> Text:
    line = _marked(step.status)
    line.append(step.path.rpartition("/")[2], style="bold")
    if step.kind != "task":
        line.append(f" ({step.kind})")
    if step.attempts > 1:
        line.append(f", {step.attempts} attempts", style="yellow")
    if step.ended_at is not None and (step.each_attempt or step.kind in ("sleep", "wait", "approval")):
        line.append(f" {duration(step.ended_at - step.started_at)}", style="dim")
    if step.fuel:
        line.append(f"{',' if step.ended_at is not None else ''} fuel {step.fuel}", style="dim")
    if step.status in ("dropped", "running", "unknown"):
        line.append(f" {step.status}", style=STATUS_STYLE.get(step.status, ""))
    if step.note:
        line.append(f" {step.note}")
    return line


def _marked(status: str) -> Text:
    return Text(MARKS.get(status, "·") + " ", style=STATUS_STYLE.get(status, ""))


def _tell_step(tree: Tree, step: StepView, full: bool) -> None:
    if step.input is not None:
        tree.add(_valued("← ", step.input, full))
    for attempt in step.each_attempt:
        place = tree
        if step.attempts > 1:
            place = tree.add(_attempt(attempt))
        for call in step.calls:
            if call.attempt == attempt.attempt:
                _add_call(place, call, full)
    if step.error and (step.attempts == 1 or step.error != step.each_attempt[-1].error):
        tree.add(_error(step.error))
    if step.output is not None:
        tree.add(_valued("→ ", step.output, full))


def _attempt(attempt: AttemptView) -> Text:
    line = _marked(attempt.status).append(f"attempt {attempt.attempt}")
    if attempt.ended_at is not None:
        line.append(f" {duration(attempt.ended_at - attempt.started_at)}", style="dim")
    line.append(f", fuel {attempt.fuel}", style="dim")
    if attempt.error:
        line.append(" ").append_text(_error(attempt.error))
    if attempt.retry_at is not None:
        line.append(f", again at {when(attempt.retry_at)}", style="dim")
    return line


def _add_call(tree: Tree, call: CallView, full: bool) -> None:
    head = call.function
    if call.started_at is not None and call.ended_at is not None:
        head += f" {duration(call.ended_at - call.started_at)}"
    if full:
        place = tree.add(Text(head))
        place.add(_valued("", call.args, full))
        place.add(_came_of(call, Text("→ "), full))
        return
    tree.add(_line(_came_of(call, Text(f"{head} ").append_text(short_json(call.args, 100)).append(" → "), full)))


def _came_of(call: CallView, text: Text, full: bool) -> Text:
    if call.ended_at is None:
        return text.append("nothing is known of its end", style="magenta")
    if call.error:
        return text.append_text(_error(call.error) if full else Text(str(call.error["code"]), style="red"))
    return text.append_text(_valued("", call.result, full) if full else short_json(call.result, 100))


def _error(error: Mapping[str, Any]) -> Text:
    return Text(f"{error.get('code')}: {error.get('message')}", style="red")


def _valued(mark: str, value: Any, full: bool) -> Text:
    """A value in one line, cut where the terminal ends; with `full`, in as many as it takes."""
    if not full:
        return _line(Text(mark).append_text(short_json(value)))
    return Text(mark + json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2))


def _next(view: RunView) -> list[str]:
    """What else a person can do about a run that has come to rest."""
    if view.status == "compensation_failed" and not view.taken_over_by:
        return [f"next: {pasted(f'ritesmith compensate {view.run}')}"]
    return []


def _timeline(view: RunView, places: Place, now: float | None) -> Table:
    """A bar for each step and branch: full where it worked, light where it waited, a line around what is below it."""
    from ritesmith.views.timeline import Axis, bars, begin_of, end_of

    rows = bars(view, places, now)
    axis = Axis(rows, begin_of(view), end_of(view, now))
    names = min(max(2 * row.depth + len(row.name) for row in rows), max(12, out.width // 3))
    columns_left = max(BAR_COLUMNS_MIN, min(BAR_COLUMNS_MAX, out.width - names - DURATION_COLUMNS - 2))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, width=names)
    grid.add_column(no_wrap=True, width=columns_left)
    grid.add_column(no_wrap=True, justify="right")
    for row in rows:
        name = "  " * row.depth + row.name
        # Of a name that is too long its end is shown: what tells it from its neighbours.
        grid.add_row(
            Text(name if len(name) <= names else "…" + name[1 - names :]),
            _bar(row, axis, columns_left),
            duration(row.seconds),
        )
    return grid


def _bar(row: Bar, axis: Axis, width: int) -> Text:
    letters = [" "] * width
    for kind in ("around", "pause", "work"):  # what worked is seen, however short it was
        for span in row.spans:
            if span.kind == kind:
                first = min(int(axis.at(span.begin) * width), width - 1)
                for column in range(first, max(first + 1, round(axis.at(span.end) * width))):
                    letters[column] = BAR_LETTERS[kind]
    return Text("".join(letters).rstrip(), style=STATUS_STYLE.get(row.status, ""))


def _line(text: Text) -> Text:
    """One line, cut where the terminal ends; --full has the whole."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
