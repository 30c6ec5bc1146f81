"""The commands: each reads its words, makes one call on `app`, and shows what comes back.

Those on files are in `files`, those on what is in the registry in `artifacts`, those on runs in `runs`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ritesmith import __version__
from ritesmith.cli import artifacts, files, runs
from ritesmith.cli.completion import completion
from ritesmith.cli.doctor import doctor
from ritesmith.cli.help import Root, dress, help_
from ritesmith.cli.options import Group, emit, json_of, not_nan, talk, with_app, with_json
from ritesmith.cli.project import config, init
from ritesmith.cli.usage import usage
from ritesmith.errors import ForgeError, InvalidInput

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith
    from ritesmith.drafts import Answer, Proposal


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
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
    One command: ritesmith help run      Exit codes: ritesmith help exit-codes
    Settings:    ritesmith config show   Does it work here: ritesmith doctor
    """
    context.obj = db


# ---------------------------------------------------------------- beginning


ritesmith.add_command(init)


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
@click.option(
    "--host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="A host that its grants may name, and no other; can be repeated [any that the policy allows].",
)
@click.option("--name", help="The name that the result must bear.")
@click.option("--no-model", is_flag=True, help="Reuse and compose only, even when a model is configured.")
@click.option("--rounds", type=click.IntRange(0, 10), default=3, show_default=True, help="Repairs asked of the model.")
@click.option("--max-tokens", type=click.IntRange(1), help="Budget of this forge; reserved before each call.")
@click.option(
    "--max-cost",
    type=click.FloatRange(0, min_open=True),
    callback=not_nan,
    help="Budget in the currency of the prices in ritesmith.toml.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(0, min_open=True),
    callback=not_nan,
    help="Time of this forge; a call of a model that is under way is cut off.",
)
@click.option("--interactive", is_flag=True, help="Show the draft, and publish it only if you accept it.")
@click.option("--dry-run", is_flag=True, help="Publish nothing, remember nothing but what was spent.")
@click.option("--explain", is_flag=True, help="Show every candidate, what was held against it, and the verdict.")
@with_json
@with_app
def forge(
    app: RiteSmith,
    intent: str,
    examples: str | None,
    effect: Any,
    hosts: tuple[str, ...],
    name: str | None,
    no_model: bool,
    rounds: int,
    max_tokens: int | None,
    max_cost: float | None,
    max_seconds: float | None,
    interactive: bool,
    dry_run: bool,
    explain: bool,
    as_json: bool,
) -> None:
    """Turn INTENT into a workflow or capability.

    Reuse first, then composition, then a model.

    \b
    Without a model: what exists and provably fits is reused, what can be composed is composed, for 0 tokens.
    With one: OPENAI_API_KEY, RITESMITH_LLM_BASE_URL (any OpenAI-compatible server), RITESMITH_LLM_MODEL,
    or [forge] of ritesmith.toml. 'ritesmith usage' tells what it took.
    """
    from ritesmith.books import Budget
    from ritesmith.cli import review, show
    from ritesmith.cli.progress import progress

    if interactive and not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("--interactive asks, and there is no terminal to ask at.")
    given = _examples(examples) if examples else []
    budget = Budget(max_tokens=max_tokens, max_cost=max_cost, max_seconds=max_seconds)

    def looked_at(proposal: Proposal) -> Answer:
        view.pause()
        return review.ask(proposal)

    try:
        with progress() as view:
            report = app.forge(
                intent,
                examples=given,
                effect=effect,
                hosts=hosts,
                name=name,
                models=None if no_model else app.models(),
                rounds=rounds,
                budget=budget,
                dry_run=dry_run,
                explain=explain,
                on_progress=view.said,
                on_text=view.piece,
                review=looked_at if interactive else None,
            )
    except ForgeError as error:
        if not as_json and "report" in error.facts:
            show.forge(error.facts["report"], explain)
        raise
    emit(report.model_dump(mode="json")) if as_json else show.forge(report.model_dump(mode="json"), explain)


def _examples(file: str) -> list[Any]:
    from ritesmith.intake import parse_json, read_text

    value = parse_json(read_text(Path(file)), file)
    if isinstance(value, dict) and isinstance(value.get("examples"), list):
        value = value["examples"]
    if not isinstance(value, list):
        raise InvalidInput(f"'{file}' holds no list of examples", hint='[{"input": ..., "output": ...}, ...]')
    return value


for each in files.COMMANDS:
    ritesmith.add_command(each)


@ritesmith.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--breaking", is_flag=True, help="Publish it even if it breaks those who use the version before.")
@click.option("--anyway", is_flag=True, help="Publish it even if only layout, comments or local names differ.")
@with_json
@with_app
def publish(app: RiteSmith, file: Path, breaking: bool, anyway: bool, as_json: bool) -> None:
    """Check FILE and publish it.

    The same text again changes nothing, another text is the next version, if it changes anything.
    """
    done = app.publish_file(file, breaking=breaking, anyway=anyway)
    artifact = done.artifact
    if as_json:
        told = {"artifact": artifact.ref, "digest": artifact.digest, "status": artifact.status, "new": done.new}
        emit({**told, "same_as": done.same_as, "twins": done.twins, "breaking": done.breaking})
        return
    verb = "published" if done.new else "nothing changed:" if done.same_as else "already there:"
    click.echo(f"{verb} {artifact.ref} ({artifact.status}, {artifact.digest[:12]})")
    if done.same_as:
        talk(f"it differs from {done.same_as} only in layout, comments or local names; --anyway publishes it")
    for reason in done.breaking:
        talk(f"breaking: {reason}")
    for twin in done.twins:
        talk(f"{twin} differs from it only in layout, comments or local names")
    if artifact.status == "draft":
        talk(f"it waits for a person's approval: ritesmith approve {artifact.ref}")


# ---------------------------------------------------------------- the registry


for each in artifacts.LOOKING:
    ritesmith.add_command(each)


@ritesmith.command()
@click.argument("query")
@click.option("--kind", type=click.Choice(["capability", "workflow"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="At most so many.")
@click.option("--explain", is_flag=True, help="Judge each as 'forge' would, and show what led to the verdict.")
@click.option("--examples", metavar="FILE", help="JSON list of examples to run on each; with --explain.")
@with_json
@with_app
def search(
    app: RiteSmith, query: str, kind: str | None, limit: int, explain: bool, examples: str | None, as_json: bool
) -> None:
    """Find artifacts by what they are for, best first.

    Words only propose; `forge` decides by contract and examples.
    """
    from ritesmith.cli import show

    if examples and not explain:
        raise click.UsageError("--examples decide nothing here without --explain.")
    if explain:
        judged = app.explain(query, examples=_examples(examples) if examples else [])
        rows = [each.model_dump(mode="json") for each in judged if kind in (None, each.kind)][:limit]
        emit({"query": query, "candidates": rows}) if as_json else show.candidates(rows, query)
        return
    # More are looked at where some are left out.
    found = app.found(query, limit if kind is None else 10 * limit)
    rows = [each for each in found if kind in (None, each["kind"])][:limit]
    emit({"query": query, "artifacts": rows}) if as_json else show.artifacts(rows, query)


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


@ritesmith.command()
@click.argument("name", required=False)
@click.option("--effect", type=click.Choice(["pure", "read", "write"]), help="Only these.")
@click.option("--namespace", help="Only names that begin with this word, or these.")
@click.option("--limit", type=click.IntRange(1), help="At most so many [all].")
@with_json
@with_app
def hosts(
    app: RiteSmith, name: str | None, effect: str | None, namespace: str | None, limit: int | None, as_json: bool
) -> None:
    """List the host functions, by name, or show the one called NAME.

    They are what scripts may ask of the world, as far as a grant and ritesmith.toml allow it.
    """
    from ritesmith.cli import show

    if name is None:
        rows = [
            each
            for each in app.host_functions()
            if effect in (None, each["effect"]) and (namespace is None or each["name"].startswith(f"{namespace}."))
        ][:limit]
        emit({"host_functions": rows}) if as_json else show.host_functions(rows)
    else:
        told = app.host_function(name)
        emit(told) if as_json else show.host_function(told)


for each in (usage, *artifacts.KEEPING, *runs.COMMANDS):
    ritesmith.add_command(each)


# ---------------------------------------------------------------- the store and the sandbox


@ritesmith.group(cls=Group)
def store() -> None:
    """Look at the documents that capabilities keep, and write some."""


@store.command("list")
@click.argument("namespace", required=False)
@click.option("--prefix", default="", metavar="TEXT", help="Only keys that begin so.")
@click.option("--limit", type=click.IntRange(1), help="At most so many [all].")
@with_json
@with_app
def store_list(app: RiteSmith, namespace: str | None, prefix: str, limit: int | None, as_json: bool) -> None:
    """List the documents of NAMESPACE, or of all namespaces, by key."""
    from ritesmith.cli import show

    rows = app.documents(namespace, prefix=prefix, limit=limit)
    emit({"documents": rows}) if as_json else show.documents(rows)


@store.command("get")
@click.argument("namespace")
@click.argument("key")
@with_json
@with_app
def store_get(app: RiteSmith, namespace: str, key: str, as_json: bool) -> None:
    """Show one document."""
    found = app.document(namespace, key)
    emit(found) if as_json else click.echo(json.dumps(found["value"], ensure_ascii=False, indent=2))


@store.command("put")
@click.argument("namespace")
@click.argument("key")
@click.argument("value", metavar="@FILE|JSON|-")
@click.option(
    "--if-version", type=click.IntRange(min=0), metavar="N", help="Only if it has this version; 0: if there is none."
)
@with_json
@with_app
def store_put(app: RiteSmith, namespace: str, key: str, value: str, if_version: int | None, as_json: bool) -> None:
    """Write one document, whole."""
    done = app.put_document(namespace, key, json_of(value, "the document"), if_version=if_version)
    emit(done) if as_json else click.echo(f"{namespace}/{key} has version {done['version']}")


@store.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@with_json
@with_app
def store_import(app: RiteSmith, file: Path, as_json: bool) -> None:
    """Write the documents of FILE, all of them or none.

    FILE holds JSON lines {"namespace", "key", "value"}, each with "if_version" where it matters, or one object of
    namespaces: {"orders": {"ORD-1": {...}}}. What is there already is replaced.
    """
    from ritesmith.intake import read_text

    done = app.import_documents(read_text(file), str(file))
    told = f"{done['documents']} documents: {done['added']} added, {done['replaced']} replaced"
    emit(done) if as_json else click.echo(told)


@ritesmith.group(cls=Group)
def mcp() -> None:
    """Use the tools of MCP servers.

    Servers stand in ritesmith.toml, beside the registry file, as [mcp.NAME] with a command or a url. Their tools are
    host functions mcp.NAME.TOOL, which 'ritesmith hosts' lists.
    """


@mcp.command("sync")
@click.argument("servers", nargs=-1)
@click.option("--yes", is_flag=True, help="Take over what changed, if it is what the last sync showed.")
@with_json
@with_app
def mcp_sync(app: RiteSmith, servers: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Ask SERVERS, or all, for their tools, and take over the new ones.

    A tool that says something else than when it was taken over is shown, and refused until you say --yes. Exit code 5
    when there is one, or when a server does not answer.
    """
    from ritesmith.cli import show

    report = app.sync_tools(servers, accept=yes)
    if as_json:
        told = report.model_dump(mode="json")
        emit({"tools": told["rows"], "findings": told["findings"]})
    else:
        show.synced(report)
    return 5 if report.errors else 0


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
        reply = shown(box.run(read_text(file), json_of(given), name=file.stem))
    if as_json or reply["status"] == "ok":
        emit(reply) if as_json else click.echo(json.dumps(reply["output"], ensure_ascii=False, indent=2))
    else:
        talk(f"{reply['status']}: {reply.get('message', '')}")
    return 0 if reply["status"] == "ok" else 7


for each in (config, doctor, completion, help_):
    ritesmith.add_command(each)
dress(ritesmith)
