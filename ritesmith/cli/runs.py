"""The commands on runs: start, carry on, answer, give up, and look."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from ritesmith.cli.options import (
    Group,
    emit,
    json_of,
    not_nan,
    talk,
    with_app,
    with_app_that_runs,
    with_json,
    with_wait,
)
from ritesmith.errors import Conflict, InvalidInput, RiteSmithError
from ritesmith.visible import visible

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith
    from ritesmith.engine import Watch
    from ritesmith.models import Entry
    from ritesmith.saga import State
    from ritesmith.trace import RunView

F = TypeVar("F", bound=Callable[..., Any])
FAILED = 8
"""Exit code of a command whose run ended badly: that of SagaError."""
DIFFERENT = 1
"""Exit code of a comparison that found a difference, as that of diff."""
STATUSES = (
    *("pending", "running", "sleeping", "waiting", "compensating", "unknown"),
    *("succeeded", "failed", "compensated", "compensation_failed", "cancelled"),
)
"""Those of `models.RunStatus`, which takes long to import."""
LOOK_SECONDS = 0.5
"""How often `--watch` looks for what another process has done."""


def with_node(command: F) -> F:
    return click.option("--node", help="Which one, when the run waits at several: a node, or its path in the trace.")(
        command
    )


def with_by(command: F) -> F:
    return click.option("--by", help="Who says so [the user's name].")(command)


# ---------------------------------------------------------------- starting and carrying on


@click.command()
@click.argument("reference")
@click.option("--input", "given", default="{}", metavar="@FILE|JSON|-", help="The input: a file, JSON text, or stdin.")
@click.option("--idempotency-key", help="The same key again gives the same run instead of another one.")
@click.option("--detach", is_flag=True, help="Only start it: a worker or `resume` carries it on.")
@click.option("--watch", is_flag=True, help="Stay until it has ended, however long it waits, and tell each step.")
@click.option("--dry-run", is_flag=True, help="Start nothing; show every path through the workflow, on stubs.")
@with_wait
@with_json
@with_app_that_runs
def run(
    app: RiteSmith,
    reference: str,
    given: str,
    idempotency_key: str | None,
    detach: bool,
    watch: bool,
    dry_run: bool,
    wait_seconds: float,
    as_json: bool,
) -> int:
    """Run a workflow or capability.

    REFERENCE is a NAME, NAME@VERSION, or a workflow FILE.json.

    The run is durable: after Ctrl-C or a crash, `ritesmith resume` finishes it without repeating a finished step. Exit
    code 0: succeeded, or waiting for somebody; 8: it failed.
    """
    if detach + watch + dry_run > 1:
        raise click.UsageError("Give one of --detach, --watch and --dry-run.")
    value = json_of(given)
    if dry_run:
        from ritesmith.cli import show

        walked = app.dry_run_of(reference, value).model_dump(mode="json")
        emit({"dry_run": walked}) if as_json else show.paths(walked)
        return 0
    started = app.start(reference, value, idempotency_key=idempotency_key)
    if not as_json:
        talk(f"run {started}")
    if detach:
        return _told(app.view(started), as_json)
    if watch:
        return _told(_stay(app, started, as_json, drive=True), as_json)
    try:
        view = app.drive(started, watch=_follow(as_json), wait_seconds=wait_seconds)
    except Conflict as conflict:
        if idempotency_key is None or "owner" not in conflict.facts:
            raise
        view = app.view(started)  # who came first with this key carries it on
    return _told(view, as_json)


@click.command()
@click.argument("run", required=False)
@with_wait
@with_json
@with_app_that_runs
def resume(app: RiteSmith, run: str | None, wait_seconds: float, as_json: bool) -> int:
    """Carry RUN on, or every run that can go on.

    Without RUN: every interrupted run, and every run whose time has come.
    """
    if run is not None:
        return _told(app.drive(app.run_id(run), watch=_follow(as_json), wait_seconds=wait_seconds), as_json)
    views: list[RunView] = []
    failed: list[dict[str, Any]] = []
    for each, came_to in app.drive_due(watch=_follow(as_json, several=True), wait_seconds=wait_seconds).items():
        if not isinstance(came_to, RiteSmithError):
            views.append(app.view(each))
        elif isinstance(came_to, Conflict):  # somebody else drives it
            talk(came_to.message)
        else:  # one bad run does not keep the others from going on
            failed.append({"run": each, "error": came_to.as_dict()})
    if as_json:
        emit({"runs": [view.model_dump(mode="json") for view in views], "failed": failed})
    else:
        for view in views:
            _told(view, as_json)
        for one in failed:
            talk(f"{one['run']}: {one['error']['message']}")
        if not views and not failed:
            talk("nothing to resume")
    return FAILED if failed or any(map(_ended_badly, views)) else 0


@click.command()
@click.option(
    "--poll",
    "poll_seconds",
    type=click.FloatRange(min=0.01, max=3600),
    callback=not_nan,
    default=1.0,
    show_default=True,
    help="How often to look for runs that have something to do, in seconds.",
)
@with_json
@with_app_that_runs
def worker(app: RiteSmith, poll_seconds: float, as_json: bool) -> None:
    """Carry runs on as they come up, until stopped.

    Several workers may share one registry file. SIGTERM or Ctrl-C: it finishes the steps that are under way, begins no
    other, and gives its runs back; Ctrl-C twice ends it at once, which loses nothing either.
    """
    import signal

    from ritesmith.cli import show_runs

    told = 0

    def stop(number: int, frame: object) -> None:
        nonlocal told
        told += 1
        if number == signal.SIGINT and told > 1:
            raise KeyboardInterrupt

    rested: dict[str, int] = {}

    def on_rest(run: str, came_to: State | RiteSmithError) -> None:
        status = "error" if isinstance(came_to, RiteSmithError) else came_to.status
        rested[status] = rested.get(status, 0) + 1
        if not as_json:
            talk(f"{run}: {came_to.message}" if isinstance(came_to, RiteSmithError) else show_runs.rest(came_to))

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if not as_json:
            talk(f"carrying on what comes up in {app.path}; stop with Ctrl-C")
        follow = _follow(as_json, several=True)
        app.serve(stopped=lambda: told > 0, poll_seconds=poll_seconds, watch=follow, on_rest=on_rest)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if as_json:
        emit({"rested": rested})
    else:
        counts = ", ".join(f"{number} {status}" for status, number in sorted(rested.items()))
        talk(f"stopped; runs given back: {counts or 'none'}")


# ---------------------------------------------------------------- answering


@click.command()
@click.argument("target")
@with_node
@with_by
@click.option("--comment", default="", help="Why.")
@click.option("--digest", help="Only if what is asked has this digest.")
@with_wait
@with_json
@with_app
def approve(app: RiteSmith, target: str, **options: Any) -> int:
    """Approve what a RUN waits for, or a draft NAME@VERSION."""
    if "." in target:
        if options["node"] is not None:
            raise click.UsageError("--node is for a run; a version has none that waits.")
        approved = app.approve_artifact(target, by=options["by"], digest=options["digest"], comment=options["comment"])
        if options["as_json"]:
            emit({"approved": [{"artifact": each.ref, "digest": each.digest} for each in approved]})
        else:
            for each in approved:
                click.echo(f"approved {each.ref} ({each.digest[:12]})")
        return 0
    return _answer(app, target, "approved", **options)


@click.command()
@click.argument("run")
@with_node
@with_by
@click.option("--comment", default="", help="Why.")
@click.option("--digest", help="Only if what is asked has this digest.")
@with_wait
@with_json
@with_app
def reject(app: RiteSmith, run: str, **options: Any) -> int:
    """Reject what a RUN waits for."""
    return _answer(app, run, "rejected", **options)


def _answer(app: RiteSmith, run: str, decision: str, *, as_json: bool, **answer: Any) -> int:
    found = app.run_id(run)
    waits, follow = app.view(found).waits, _follow(as_json)

    def watch(entry: Entry, state: State) -> None:
        asked = next((each for each in waits if each.node == entry.node), None)
        if entry.kind == "approval_decided" and asked is not None and not as_json:
            talk(f"{decision}: {asked.prompt} ({asked.digest[:12]})")
        elif follow is not None:
            follow(entry, state)

    view = app.answer(found, decision, watch=watch, **answer)
    # A run that ends because it was rejected has done what it was told.
    return _told(view, as_json, exit_code=decision == "approved")


@click.command()
@click.argument("run", required=False)
@click.option("--payload", required=True, metavar="@FILE|JSON|-", help="What arrived.")
@with_node
@click.option("--token", help="Instead of RUN and --node: the word from `ritesmith token`.")
@with_wait
@with_json
@with_app
def deliver(
    app: RiteSmith,
    run: str | None,
    payload: str,
    node: str | None,
    token: str | None,
    wait_seconds: float,
    as_json: bool,
) -> int:
    """Give a RUN the callback it waits for.

    With --node, one that comes before the run waits for it is kept.
    """
    if (run is None) == (token is None) or (token is not None and node is not None):
        raise click.UsageError("Give either RUN, with or without --node, or --token.")
    value, follow = json_of(payload, "--payload"), _follow(as_json)
    if token is not None:
        return _told(app.deliver_by_token(token, value, watch=follow, wait_seconds=wait_seconds), as_json)
    assert run is not None
    view = app.deliver(app.run_id(run), value, node=node, watch=follow, wait_seconds=wait_seconds)
    return _told(view, as_json)


@click.command()
@click.argument("run")
@with_node
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    callback=not_nan,
    default=86400.0,
    show_default=True,
    help="How long it is good for.",
)
@with_json
@with_app
def token(app: RiteSmith, run: str, node: str | None, seconds: float, as_json: bool) -> None:
    """Print a token with which one callback may be delivered to RUN, once.

    It may be asked for before the run waits. Whoever has it can answer: ritesmith deliver --token TOKEN --payload JSON
    """
    if seconds == float("inf"):
        raise click.BadParameter("a token is good for some time, not for ever", param_hint="'--seconds'")
    made = app.callback_token(app.run_id(run), node=node, seconds=seconds)
    emit({"token": made}) if as_json else click.echo(made)


@click.command()
@click.argument("run")
@with_node
@with_by
@with_wait
@with_json
@with_app
def wake(app: RiteSmith, run: str, as_json: bool, **options: Any) -> int:
    """End the sleep of a RUN, or its pause before a retry, now."""
    return _told(app.wake(app.run_id(run), watch=_follow(as_json), **options), as_json)


@click.command()
@click.argument("run")
@click.option("--happened/--did-not-happen", required=True, help="Whether the write took place.")
@click.option("--result", default="{}", metavar="@FILE|JSON|-", help="What it answered, if it happened.")
@with_node
@with_by
@with_wait
@with_json
@with_app
def resolve(app: RiteSmith, run: str, happened: bool, result: str, as_json: bool, **options: Any) -> int:
    """Tell what became of the unknown write of a RUN."""
    found = app.run_id(run)
    value = json_of(result, "--result")
    view = app.resolve(found, happened=happened, result=value, watch=_follow(as_json), **options)
    return _told(view, as_json)


# ---------------------------------------------------------------- giving up, and trying again


@click.command()
@click.argument("run")
@click.option("--compensate/--no-compensate", default=True, show_default=True, help="Whether to undo what it did.")
@click.option("--reason", default="", help="Why.")
@with_by
@with_json
@with_app
def cancel(app: RiteSmith, run: str, as_json: bool, **options: Any) -> int:
    """Give a RUN up, and undo what it did.

    A run that another process drives is cancelled by that process, before its next step.
    """
    view = app.cancel(app.run_id(run), watch=_follow(as_json), **options)
    if not view.final and not as_json:
        talk("it is cancelled as soon as nothing of it is under way")
    return _told(view, as_json, exit_code=view.status == "compensation_failed")


@click.command()
@click.argument("run")
@with_by
@with_wait
@with_json
@with_app
def retry(app: RiteSmith, run: str, as_json: bool, **options: Any) -> int:
    """Have a failed RUN go on at the step that failed.

    It keeps the versions that it began with; to go on with new ones, `ritesmith fork`.
    """
    return _told(app.retry(app.run_id(run), watch=_follow(as_json), **options), as_json)


@click.command()
@click.argument("run")
@click.option("--from", "node", required=True, help="The node to go on from, as in the trace.")
@click.option("--workflow", metavar="NAME@VERSION", help="The version to follow [the newest].")
@with_wait
@with_json
@with_app
def fork(app: RiteSmith, run: str, node: str, workflow: str | None, wait_seconds: float, as_json: bool) -> int:
    """Begin a new run that takes over what RUN did before a node.

    It goes on from there by itself, with the newest versions. RUN must have ended, and stays as it is.
    """
    view = app.fork(app.run_id(run), node, workflow=workflow, watch=_follow(as_json), wait_seconds=wait_seconds)
    return _told(view, as_json)


@click.command()
@click.argument("run")
@with_by
@with_wait
@with_json
@with_app
def compensate(app: RiteSmith, run: str, as_json: bool, **options: Any) -> int:
    """Try again to undo what a RUN could not undo."""
    view = app.compensate(app.run_id(run), watch=_follow(as_json), **options)
    return _told(view, as_json, exit_code=view.status == "compensation_failed")


# ---------------------------------------------------------------- looking


@click.group(cls=Group, invoke_without_command=True)
@click.option("--status", type=click.Choice(STATUSES), help="Only runs in this status.")
@click.option("--workflow", help="Only runs of this workflow.")
@click.option("--stuck", is_flag=True, help="Only runs that go on by nobody, with the command that helps.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@with_json
@click.pass_context
def runs(context: click.Context, /, **options: Any) -> None:
    """List runs, newest first; or compare two."""
    if context.invoked_subcommand is None:
        _list_runs(**options)
    elif any(context.get_parameter_source(name) is not ParameterSource.DEFAULT for name in options):
        raise click.UsageError(f"Options of the list mean nothing to '{context.invoked_subcommand}'.")


@with_app
def _list_runs(app: RiteSmith, *, stuck: bool, as_json: bool, **filters: Any) -> None:
    from ritesmith.cli import show_runs

    rows = app.runs(stuck=stuck, **filters)
    emit({"runs": rows}) if as_json else show_runs.runs(rows, stuck)


@runs.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@with_json
@with_app
def runs_diff(app: RiteSmith, before: str, after: str, as_json: bool) -> int:
    """Compare two runs, A and B.

    Versions, input, the path taken, the first step that differs, inputs, outputs, attempts, fuel and how they ended
    decide; durations are only told. Exit code 0: the same; 1: they differ.
    """
    from ritesmith.cli import show_runs

    found = app.compare_runs(before, after)
    emit(found.model_dump(mode="json")) if as_json else show_runs.compared(found)
    return 0 if found.same else DIFFERENT


@click.command()
@click.argument("run")
@click.option("--full", is_flag=True, help="Every value whole, and every branch.")
@click.option("--watch", is_flag=True, help="Tell each step as it happens, until the run has ended.")
@click.option("--mermaid", is_flag=True, help="The graph with what happened, as Mermaid text.")
@click.option("--svg", is_flag=True, help="The graph with what happened and a Gantt chart, as one SVG file.")
@click.option("--html", is_flag=True, help="Everything as one HTML file that needs nothing else.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it into FILE, which must be new."
)
@click.option("--force", is_flag=True, help="Write over FILE.")
@with_json
@with_app
def trace(
    app: RiteSmith,
    run: str,
    full: bool,
    watch: bool,
    mermaid: bool,
    svg: bool,
    html: bool,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Show what happened in RUN, from its journal."""
    from ritesmith.cli import show_runs

    forms = [name for name, wanted in (("mermaid", mermaid), ("svg", svg), ("html", html)) if wanted]
    if len(forms) > 1:
        raise click.UsageError(f"--{forms[0]} and --{forms[1]} are two files: ask for one at a time.")
    form = forms[0] if forms else None
    if form is not None and (full or watch):
        raise click.UsageError(f"--{form} goes with neither --full nor --watch.")
    if output is not None and form is None:
        raise click.UsageError("--output goes with --svg, --html or --mermaid.")
    if force and output is None:
        raise click.UsageError("--force goes with --output.")
    found = app.run_id(run)
    if form is not None:
        text = {"mermaid": app.mermaid, "svg": app.svg, "html": app.html}[form](found)
        if output is not None:
            _write(output, text, force)
            emit({"file": str(output)}) if as_json else talk(f"wrote {output}")
        else:
            emit({form: text}) if as_json else click.echo(text.rstrip("\n"))
        return
    if watch:
        _stay(app, found, as_json, drive=False)
    view = app.view(found, inputs=True)
    emit(view.model_dump(mode="json")) if as_json else show_runs.trace(view, full=full, now=app.clock.now())


def _write(file: Path, text: str, force: bool) -> None:
    from ritesmith.intake import write_new

    if not write_new(file, (text.rstrip("\n") + "\n").encode(), force=force):
        raise Conflict(f"'{file}' is there already", hint="name another file, or write over it with --force")


@click.command()
@click.argument("run")
@click.option("--model", "by_model", is_flag=True, help="Have the configured model write it, for tokens.")
@with_json
@with_app
def explain(app: RiteSmith, run: str, by_model: bool, as_json: bool) -> None:
    """Tell in sentences what RUN did and how it ended.

    It is made from the trace, changes nothing, and is no part of the run. A figure in it that the trace does not have
    is named at its end. 'ritesmith usage' tells what a model took for it.
    """
    models = app.models() if by_model else None
    if by_model and models is None:
        raise InvalidInput(
            "no model is configured", hint="set OPENAI_API_KEY, RITESMITH_LLM_BASE_URL, or [forge] of ritesmith.toml"
        )
    told = app.explain_run(run, models=models)
    if as_json:
        emit(told.model_dump(mode="json"))
        return
    from ritesmith.cli import show_runs

    show_runs.account(told)


@click.command()
@click.argument("run")
@with_json
@with_app
def replay(app: RiteSmith, run: str, as_json: bool) -> int:
    """Execute RUN again from its journal, and compare.

    Every decision is made again, and every script is executed again with the recorded answers of its host functions.
    Nothing outside is touched. Exit code 8 when something comes out otherwise.
    """
    from ritesmith.cli import show_runs

    found = app.replay(app.run_id(run))
    emit(found.model_dump(mode="json") | {"same": found.same}) if as_json else show_runs.replayed(found)
    return 0 if found.same else FAILED


COMMANDS = (
    *(run, resume, worker),
    *(approve, reject, deliver, token, wake, resolve),
    *(cancel, retry, fork, compensate),
    *(runs, trace, explain, replay),
)
"""In the order of use."""


# ---------------------------------------------------------------- shared


def _follow(as_json: bool, *, several: bool = False) -> Watch | None:
    """Who tells of each step on the way, if somebody looks."""
    if as_json or not sys.stderr.isatty():
        return None
    from ritesmith.cli import show_runs

    return show_runs.watcher(several)


def _stay(app: RiteSmith, run: str, as_json: bool, *, drive: bool) -> RunView:
    """Tell each step of a run until it has ended, whoever drives it; with `drive`, this process whenever it can."""
    from ritesmith import saga
    from ritesmith.cli import show_runs
    from ritesmith.models import FINAL_STATUSES

    told = asked = 0
    state = saga.State()

    def tell(entry: Entry, now: State) -> None:
        nonlocal told
        told = entry.seq
        if not as_json:
            show_runs.step(entry, now)

    while True:
        if drive and run in app.unfinished():
            try:
                app.drive(run, watch=tell)
            except Conflict as error:
                if "owner" not in error.facts:
                    raise
        state = saga.State()
        for entry in app.journal.entries(run):
            saga.apply(state, entry)
            if entry.seq > told:
                tell(entry, state)
        if state.status in FINAL_STATUSES:
            return app.view(run)
        if told > asked and not as_json:
            asked = told
            show_runs.asked(app.view(run, inputs=True))
        app.clock.sleep(LOOK_SECONDS)


def _told(view: RunView, as_json: bool, *, exit_code: bool = True) -> int:
    """Show how a run stands; the exit code tells whether it ended badly."""
    if as_json:
        emit(view.model_dump(mode="json"))
    elif view.status == "succeeded" and not sys.stdout.isatty():
        # What `show_runs.outcome` prints, for a script that runs one after another: rich takes long to load.
        click.echo(visible(f"run {view.run} succeeded" + (f" ({view.outcome})" if view.outcome else "")))
        if view.output is not None:
            click.echo(visible(json.dumps(view.output, indent=2, ensure_ascii=False)))
    else:
        from ritesmith.cli import show_runs

        show_runs.outcome(view)
    return FAILED if exit_code and _ended_badly(view) else 0


def _ended_badly(view: RunView) -> bool:
    return view.status in ("failed", "compensated", "compensation_failed", "cancelled", "unknown")
