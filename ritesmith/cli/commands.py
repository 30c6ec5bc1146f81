"""The commands: each reads its words, makes one call on `app`, and shows what comes back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ritesmith import __version__
from ritesmith.errors import Conflict, ForgeError, InvalidInput, RiteSmithError

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith
    from ritesmith.engine import Watch
    from ritesmith.models import Entry
    from ritesmith.saga import State
    from ritesmith.trace import RunView

F = TypeVar("F", bound=Callable[..., Any])
FAILED = 8
"""Exit code of a command whose run ended badly: that of SagaError."""


class Group(click.Group):
    """A group that lists its commands in the order of use, and knows what was probably meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self.commands, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"There is no command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ritesmith")
@click.option("--db", metavar="FILE", help="The registry file [RITESMITH_DB; else the nearest registry.db upward].")
@click.pass_context
def ritesmith(context: click.Context, db: str | None) -> None:
    """Decide once, define, then execute: checked Lua capabilities and durable workflows, no model in the loop.

    \b
    Start:    ritesmith init --demo
    Decide:   ritesmith forge "process an order refund, with approval above 100"
    Execute:  ritesmith run orders.refund --input @order.json
    Look:     ritesmith trace RUN

    \b
    Exit codes: 0 done, 2 wrong input, 3 not found, 4 conflict, 5 rejected by
    the guard, 6 the forge found nothing, 7 sandbox, 8 the run failed,
    9 registry file, 130 interrupted.
    """
    context.obj = db


def with_json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def with_wait(command: F) -> F:
    def not_nan(context: click.Context, option: click.Parameter, value: float) -> float:
        if value != value:
            raise click.BadParameter("not a number of seconds")
        return value

    return click.option(
        "--wait",
        "wait_seconds",
        type=click.FloatRange(min=0),
        callback=not_nan,
        default=60.0,
        show_default=True,
        help="Longest pause to sit out, in seconds.",
    )(command)


def with_app(command: F) -> Callable[..., Any]:
    """Open the registry around a command, and tell on stderr when it is made."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from ritesmith.app import RiteSmith

        with RiteSmith.open(click.get_current_context().obj, on_install=talk) as app:
            return command(app, *args, **kwargs)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    return wrapped


def talk(text: str) -> None:
    from ritesmith.cli import visible

    click.echo(visible(text), err=True)


def emit(value: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    from ritesmith.cli import json_text

    click.echo(json_text(value, indent=2 if sys.stdout.isatty() else None))


# ---------------------------------------------------------------- beginning


@ritesmith.command()
@click.option("--demo", is_flag=True, help="Seed four orders, and write order.json and refund_examples.json.")
@with_json
@click.pass_obj
def init(db: str | None, demo: bool, as_json: bool) -> None:
    """Make the registry here, with the bundled library.

    With --demo also the documents of the refund example. Nothing that exists is overwritten.
    """
    from ritesmith.app import RiteSmith
    from ritesmith.cli import show

    # Here, not in some folder above: init makes a place of its own.
    with RiteSmith.open(db or "registry.db", on_install=talk) as app:
        done = app.init_demo(Path.cwd()) if demo else {}
        told = {"registry": str(app.path), "artifacts": len(app.registry.names()), **done}
        emit(told) if as_json else show.init(told, demo)


@ritesmith.command()
@click.argument("intent")
@click.option("--examples", metavar="FILE", help="JSON list of examples: they decide what may be reused or accepted.")
@click.option(
    "--effect",
    type=click.Choice(["pure", "read", "write"]),
    default="write",
    show_default=True,
    help="The widest effect that the result may have.",
)
@click.option("--name", help="The name that the result must bear.")
@click.option("--no-model", is_flag=True, help="Reuse and compose only, even when a model is configured.")
@click.option("--rounds", type=click.IntRange(0, 10), default=3, show_default=True, help="Repairs asked of the model.")
@click.option("--max-tokens", type=click.IntRange(1), help="Budget of this forge; reserved before each call.")
@click.option("--dry-run", is_flag=True, help="Publish nothing, remember nothing.")
@with_json
@with_app
def forge(
    app: RiteSmith,
    intent: str,
    examples: str | None,
    effect: Any,
    name: str | None,
    no_model: bool,
    rounds: int,
    max_tokens: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Turn INTENT into a workflow or capability.

    Reuse first, then composition, then a model.

    \b
    Without a model: what exists and provably fits is reused, what can be composed is composed, for 0 tokens.
    With one: OPENAI_API_KEY, RITESMITH_LLM_BASE_URL (any OpenAI-compatible server), RITESMITH_LLM_MODEL.
    """
    import os

    from ritesmith.cli import show
    from ritesmith.forge.author import settings_from_env

    given = _examples(examples) if examples else []
    settings = None if no_model else settings_from_env(os.environ)
    try:
        report = app.forge(
            intent,
            examples=given,
            effect=effect,
            name=name,
            settings=settings,
            rounds=rounds,
            max_tokens=max_tokens,
            dry_run=dry_run,
            on_progress=talk if sys.stderr.isatty() else lambda text: None,
        )
    except ForgeError as error:
        if not as_json and "report" in error.facts:
            show.forge(error.facts["report"])
        raise
    emit(report.model_dump(mode="json")) if as_json else show.forge(report.model_dump(mode="json"))


def _examples(file: str) -> list[Any]:
    from ritesmith.intake import parse_json, read_text

    value = parse_json(read_text(Path(file)), file)
    if isinstance(value, dict) and isinstance(value.get("examples"), list):
        value = value["examples"]
    if not isinstance(value, list):
        raise InvalidInput(f"'{file}' holds no list of examples", hint='[{"input": ..., "output": ...}, ...]')
    return value


@ritesmith.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Also show every path through a workflow, on stubs.")
@with_json
@with_app
def check(app: RiteSmith, file: Path, dry_run: bool, as_json: bool) -> int:
    """Check a capability or workflow FILE; write nothing.

    Shape, then sense, then a trial in the sandbox. Exit code 5 when there are errors.
    """
    from ritesmith.cli import show

    checked = app.check_file(file)
    if dry_run and checked.kind != "workflow":
        raise click.UsageError(f"'{file}' is a capability; only a workflow has paths.")
    walked = app.dry_run(checked.workflow) if dry_run and checked.workflow is not None and not checked.errors else None
    if as_json:
        emit(
            {
                "kind": checked.kind,
                "name": checked.name,
                "findings": [finding.model_dump(mode="json") for finding in checked.findings],
                "trial": checked.trial.figures(),
                **({"dry_run": walked.model_dump(mode="json")} if walked is not None else {}),
            }
        )
    else:
        show.checked(checked, file)
        if walked is not None:
            show.paths(walked.model_dump(mode="json"))
    return 5 if checked.errors else 0


@ritesmith.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_json
@with_app
def publish(app: RiteSmith, file: Path, as_json: bool) -> None:
    """Check FILE and publish it.

    The same text again changes nothing, another text is the next version.
    """
    artifact, new = app.publish_file(file)
    if as_json:
        emit({"artifact": artifact.ref, "digest": artifact.digest, "status": artifact.status, "new": new})
        return
    click.echo(f"{'published' if new else 'already there:'} {artifact.ref} ({artifact.status}, {artifact.digest[:12]})")
    if artifact.status == "draft":
        talk(f"it waits for a person's approval: ritesmith approve {artifact.ref}")


# ---------------------------------------------------------------- the registry


@ritesmith.command("list")
@click.option("--kind", type=click.Choice(["capability", "workflow"]))
@with_json
@with_app
def list_(app: RiteSmith, kind: Any, as_json: bool) -> None:
    """List the newest version of every artifact."""
    from ritesmith.cli import show

    rows = app.listing(kind)
    emit({"artifacts": rows}) if as_json else show.artifacts(rows)


@ritesmith.command()
@click.argument("query")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True)
@with_json
@with_app
def search(app: RiteSmith, query: str, limit: int, as_json: bool) -> None:
    """Find artifacts by what they are for.

    Words only propose; `forge` decides by contract and examples.
    """
    from ritesmith.cli import show

    rows = app.found(query, limit)
    emit({"query": query, "artifacts": rows}) if as_json else show.artifacts(rows, query)


@ritesmith.command("show")
@click.argument("reference")
@click.option("--source", is_flag=True, help="Only the stored text.")
@with_json
@with_app
def show_(app: RiteSmith, reference: str, source: bool, as_json: bool) -> None:
    """Show one artifact whole.

    REFERENCE is a NAME, NAME@VERSION or digest.
    """
    from ritesmith.cli import show

    details = app.details(reference)
    if as_json:
        emit(details)
    elif source:
        click.echo(details["text"])
    else:
        show.artifact(details)


@ritesmith.group(cls=Group)
def policy() -> None:
    """Look at the rules that decide what may exist."""


@policy.command("explain")
@click.argument("reference")
@click.option(
    "--source",
    type=click.Choice(["bundled", "person", "composed", "model"]),
    help="As if this one had written it [who has].",
)
@with_json
@with_app
def policy_explain(app: RiteSmith, reference: str, source: str | None, as_json: bool) -> None:
    """Show which rule decides about an artifact, and why.

    REFERENCE is a NAME, NAME@VERSION or digest. The rules are guardrails/policy.toml and, beside the registry file, the
    project's own.
    """
    from ritesmith.cli import show

    artifact, subject, decision = app.explain_policy(reference, source)
    told = {"artifact": artifact.ref, "subject": subject.model_dump(mode="json"), **decision.model_dump(mode="json")}
    emit(told) if as_json else show.policy(told)


# ---------------------------------------------------------------- runs


@ritesmith.command()
@click.argument("reference")
@click.option("--input", "given", default="{}", metavar="@FILE|JSON|-", help="The input: a file, JSON text, or stdin.")
@click.option("--idempotency-key", help="The same key again gives the same run instead of another one.")
@with_wait
@with_json
@with_app
def run(
    app: RiteSmith, reference: str, given: str, idempotency_key: str | None, wait_seconds: float, as_json: bool
) -> int:
    """Run a workflow or capability.

    REFERENCE is a NAME, NAME@VERSION, or a workflow FILE.json.

    \b
    The run is durable: after Ctrl-C or a crash, `ritesmith resume` finishes it without repeating a finished step.
    Exit code 0: succeeded, or waiting for somebody; 8: it failed.
    """
    value = _json_of(given)
    started = app.start(reference, value, idempotency_key=idempotency_key)
    if not as_json:
        talk(f"run {started}")
    return _told(app.drive(started, watch=_follow(as_json), wait_seconds=wait_seconds), as_json)


@ritesmith.command()
@click.argument("run", required=False)
@with_wait
@with_json
@with_app
def resume(app: RiteSmith, run: str | None, wait_seconds: float, as_json: bool) -> int:
    """Carry RUN on, or every run that can go on.

    Without RUN: every interrupted run, and every run whose time has come.
    """
    from ritesmith.cli import show

    if run is not None:
        return _told(app.drive(app.run_id(run), watch=_follow(as_json), wait_seconds=wait_seconds), as_json)
    views: list[RunView] = []
    failed: list[dict[str, Any]] = []
    for each in app.unfinished():
        try:
            views.append(app.drive(each, watch=_follow(as_json), wait_seconds=wait_seconds))
        except Conflict as error:  # somebody else drives it
            talk(error.message)
        except RiteSmithError as error:  # one bad run must not keep the others from going on
            failed.append({"run": each, "error": error.as_dict()})
    if as_json:
        emit({"runs": [view.model_dump(mode="json") for view in views], "failed": failed})
    else:
        for view in views:
            show.outcome(view)
        for one in failed:
            talk(f"{one['run']}: {one['error']['message']}")
        if not views and not failed:
            talk("nothing to resume")
    return FAILED if failed or any(map(_ended_badly, views)) else 0


@ritesmith.command()
@click.argument("target")
@click.option("--by", help="Who decides [the user's name].")
@click.option("--comment", default="", help="Why.")
@click.option("--digest", help="Only if what is asked has this digest.")
@with_wait
@with_json
@with_app
def approve(
    app: RiteSmith,
    target: str,
    by: str | None,
    comment: str,
    digest: str | None,
    wait_seconds: float,
    as_json: bool,
) -> int:
    """Approve what a RUN waits for, or a draft NAME@VERSION."""
    if "." in target:
        approved = app.approve_artifact(target, by=by, digest=digest)
        if as_json:
            emit({"approved": [{"artifact": each.ref, "digest": each.digest} for each in approved]})
        else:
            for each in approved:
                click.echo(f"approved {each.ref} ({each.digest[:12]})")
        return 0
    return _answer(app, target, "approved", by, comment, digest, wait_seconds, as_json)


@ritesmith.command()
@click.argument("run")
@click.option("--by", help="Who decides [the user's name].")
@click.option("--comment", default="", help="Why.")
@click.option("--digest", help="Only if what is asked has this digest.")
@with_wait
@with_json
@with_app
def reject(
    app: RiteSmith, run: str, by: str | None, comment: str, digest: str | None, wait_seconds: float, as_json: bool
) -> int:
    """Reject what a RUN waits for."""
    return _answer(app, run, "rejected", by, comment, digest, wait_seconds, as_json)


def _answer(
    app: RiteSmith,
    run: str,
    decision: str,
    by: str | None,
    comment: str,
    digest: str | None,
    wait_seconds: float,
    as_json: bool,
) -> int:
    found = app.run_id(run)
    waiting, follow = app.view(found).waiting, _follow(as_json)

    def watch(entry: Entry, state: State) -> None:
        if entry.kind == "approval_decided" and waiting is not None and not as_json:
            talk(f"{decision}: {waiting.prompt} ({waiting.digest[:12]})")
        elif follow is not None:
            follow(entry, state)

    view = app.answer(found, decision, by=by, comment=comment, digest=digest, watch=watch, wait_seconds=wait_seconds)
    # A run that ends because it was rejected has done what it was told.
    return _told(view, as_json, exit_code=decision == "approved")


@ritesmith.command()
@click.argument("run")
@click.option("--payload", required=True, metavar="@FILE|JSON|-", help="What arrived.")
@with_wait
@with_json
@with_app
def deliver(app: RiteSmith, run: str, payload: str, wait_seconds: float, as_json: bool) -> int:
    """Give a RUN the callback it waits for."""
    found = app.run_id(run)
    view = app.deliver(found, _json_of(payload), watch=_follow(as_json), wait_seconds=wait_seconds)
    return _told(view, as_json)


@ritesmith.command()
@click.argument("run")
@click.option("--happened/--did-not-happen", required=True, help="Whether the write took place.")
@click.option("--result", default="{}", metavar="@FILE|JSON|-", help="What it answered, if it happened.")
@click.option("--by", help="Who says so [the user's name].")
@with_json
@with_app
def resolve(app: RiteSmith, run: str, happened: bool, result: str, by: str | None, as_json: bool) -> int:
    """Tell what became of the unknown write of a RUN."""
    found = app.run_id(run)
    view = app.resolve(
        found, happened=happened, result=_json_of(result), by=by, watch=_follow(as_json), wait_seconds=60.0
    )
    return _told(view, as_json)


@ritesmith.command()
@click.option("--status", help="Only runs in this status.")
@click.option("--workflow", help="Only runs of this workflow.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@with_json
@with_app
def runs(app: RiteSmith, status: str | None, workflow: str | None, limit: int, as_json: bool) -> None:
    """List runs, newest first."""
    from ritesmith.cli import show

    rows = app.runs(status=status, workflow=workflow, limit=limit)
    emit({"runs": rows}) if as_json else show.runs(rows)


@ritesmith.command()
@click.argument("run")
@with_json
@with_app
def trace(app: RiteSmith, run: str, as_json: bool) -> None:
    """Show what happened in RUN, from its journal."""
    from ritesmith.cli import show

    view = app.view(run)
    emit(view.model_dump(mode="json")) if as_json else show.trace(view)


# ---------------------------------------------------------------- the store and the sandbox


@ritesmith.group(cls=Group)
def store() -> None:
    """Look at the documents that capabilities keep."""


@store.command("list")
@click.argument("namespace", required=False)
@with_json
@with_app
def store_list(app: RiteSmith, namespace: str | None, as_json: bool) -> None:
    """The documents of NAMESPACE, or of all namespaces."""
    from ritesmith.cli import show

    rows = app.documents(namespace)
    emit({"documents": rows}) if as_json else show.documents(rows)


@store.command("get")
@click.argument("namespace")
@click.argument("key")
@with_json
@with_app
def store_get(app: RiteSmith, namespace: str, key: str, as_json: bool) -> None:
    """One document."""
    found = app.document(namespace, key)
    emit(found) if as_json else click.echo(json.dumps(found["value"], ensure_ascii=False, indent=2))


@ritesmith.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--input", "given", default="{}", metavar="@FILE|JSON|-", help="The input of the script.")
@click.option("--jsonl", is_flag=True, help='Read lines {"source", "input"} from stdin, answer one line each.')
@with_json
def sandbox(file: Path | None, given: str, jsonl: bool, as_json: bool) -> int:
    """Run one Lua FILE in the sandbox.

    The file defines run(input, context), and has no host functions.
    """
    from ritesmith.intake import read_text
    from ritesmith.sandbox import Sandbox
    from ritesmith.sandbox.door import serve, shown

    if jsonl == (file is not None):
        raise click.UsageError("Give either a FILE or --jsonl.")
    with Sandbox(workers=1) as box:
        if jsonl:
            serve(sys.stdin.buffer, lambda line: click.echo(line, nl=False), box)
            return 0
        assert file is not None
        reply = shown(box.run(read_text(file), _json_of(given), name=file.stem))
    if as_json or reply["status"] == "ok":
        emit(reply) if as_json else click.echo(json.dumps(reply["output"], ensure_ascii=False, indent=2))
    else:
        talk(f"{reply['status']}: {reply.get('message', '')}")
    return 0 if reply["status"] == "ok" else 7


# ---------------------------------------------------------------- shared


def _json_of(given: str) -> Any:
    """The value of `@file`, `-` (stdin) or JSON text."""
    from ritesmith.intake import INPUT_BYTES_MAX, decode, parse_json, read_text

    if given == "-":
        if sys.stdin is None:
            raise InvalidInput("stdin is closed; nothing can be read from it")
        return parse_json(decode(sys.stdin.buffer.read(INPUT_BYTES_MAX + 1), "stdin"), "stdin")
    if given.startswith("@"):
        return parse_json(read_text(Path(given[1:])), given[1:])
    return parse_json(given, "--input")


def _follow(as_json: bool) -> Watch | None:
    """Who tells of each step on the way, if somebody looks."""
    from ritesmith.cli import show

    return None if as_json else show.watcher()


def _told(view: RunView, as_json: bool, *, exit_code: bool = True) -> int:
    """Show how a run stands; the exit code tells whether it ended badly."""
    from ritesmith.cli import show

    emit(view.model_dump(mode="json")) if as_json else show.outcome(view)
    return FAILED if exit_code and _ended_badly(view) else 0


def _ended_badly(view: RunView) -> bool:
    return view.status in ("failed", "compensated", "compensation_failed", "cancelled", "unknown")
