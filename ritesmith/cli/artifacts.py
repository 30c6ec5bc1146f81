"""The commands on what is in the registry: look, compare, take out of use, carry elsewhere, and keep house."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ritesmith.cli.options import Group, emit, talk, with_app, with_json

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith
    from ritesmith.signing import Keys

REJECTED = 5
"""Exit code of `verify` when it has found something, and of `import` when something was lost: that of Rejected."""
FOREIGN = ("trama", "smith-dag", "asl")
"""As `migrate.SOURCES`, which is not imported before it is used."""


# ---------------------------------------------------------------- looking


@click.command("list")
@click.option("--kind", type=click.Choice(["capability", "workflow"]), help="Only these.")
@click.option("--status", type=click.Choice(["draft", "active", "deprecated", "revoked"]), help="Only these.")
@click.option("--risk", type=click.Choice(["low", "medium", "high", "critical"]), help="Only these.")
@click.option("--effect", type=click.Choice(["pure", "read", "write"]), help="Only these.")
@click.option("--source", type=click.Choice(["bundled", "person", "composed", "model"]), help="Only what it made.")
@click.option("--namespace", help="Only names that begin with this word.")
@click.option(
    "--sort",
    type=click.Choice(["name", "uses", "last-run", "created", "risk"]),
    default="name",
    show_default=True,
    help="By name; or the most used, the last used, the newest or the riskiest first.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many [all].")
@click.option("--versions", is_flag=True, help="Every version, not only the newest.")
@with_json
@with_app
def list_(app: RiteSmith, as_json: bool, **how: Any) -> None:
    """List the newest version of every artifact."""
    from ritesmith.cli import show_artifacts

    rows = app.listing(**how)
    emit({"artifacts": rows}) if as_json else show_artifacts.listing(rows)


@click.command("show")
@click.argument("reference")
@click.option("--source", is_flag=True, help="Only the stored text.")
@click.option("--uses", is_flag=True, help="Only what it is made of.")
@click.option("--used-by", is_flag=True, help="Only what is made of it.")
@with_json
@with_app
def show_(app: RiteSmith, reference: str, source: bool, uses: bool, used_by: bool, as_json: bool) -> None:
    """Show one artifact whole.

    REFERENCE is a NAME, NAME@VERSION, NAME@TAG or digest.
    """
    from ritesmith.cli import show, show_artifacts

    if source + uses + used_by > 1:
        raise click.UsageError("Give one of --source, --uses and --used-by.")
    if uses or used_by:
        tree = app.uses(reference) if uses else app.used_by(reference)
        emit(tree) if as_json else show_artifacts.tree(tree, "uses" if uses else "used_by")
        return
    details = app.details(reference)
    if as_json:
        emit(details)
    elif source:
        click.echo(details["text"])
    else:
        show.artifact(details)


@click.command()
@click.argument("before")
@click.argument("after", required=False)
@with_json
@with_app
def diff(app: RiteSmith, before: str, after: str | None, as_json: bool) -> None:
    """Show what changed from BEFORE to AFTER.

    Each is a NAME@VERSION, NAME@TAG or digest. Of one alone: what it changed of the version before it; of a NAME its
    newest version.
    """
    from ritesmith.cli import show_artifacts

    told = app.diff(before, after)
    emit(told) if as_json else show_artifacts.diff(told)


@click.command()
@with_json
@with_app
def stats(app: RiteSmith, as_json: bool) -> None:
    """Count what there is, what was reused, what that saved, what is used most and what fails."""
    from ritesmith.cli import show_artifacts

    told = app.stats()
    emit(told) if as_json else show_artifacts.stats(told)


# ---------------------------------------------------------------- in and out of use


@click.command()
@click.argument("reference")
@click.option("--reason", default="", help="Why, and what to use instead.")
@click.option("--undo", is_flag=True, help="Advise against it no longer.")
@click.option("--by", help="Who says so [the user's name].")
@with_json
@with_app
def deprecate(app: RiteSmith, reference: str, reason: str, undo: bool, by: str | None, as_json: bool) -> None:
    """Advise against a version.

    It still runs where it is named with its version, and `check` warns of it.
    """
    artifact = app.deprecate(reference, reason, undo=undo, by=by)
    told = {"artifact": artifact.ref, "status": artifact.status, "reason": artifact.reason}
    emit(told) if as_json else click.echo(f"{artifact.ref} is {artifact.status}")


@click.command()
@click.argument("reference")
@click.option("--reason", required=True, help="Why nobody may run it.")
@click.option("--by", help="Who says so [the user's name].")
@with_json
@with_app
def revoke(app: RiteSmith, reference: str, reason: str, by: str | None, as_json: bool) -> None:
    """Forbid a version, for good.

    Runs that are under way finish; none starts, of it or of what is made of it. REFERENCE names the version.
    """
    artifact = app.revoke(reference, reason, by=by)
    users = [each.ref for each in app.registry.users(artifact.digest)]
    running = app.under_way(artifact)
    if as_json:
        told = {"artifact": artifact.ref, "status": artifact.status, "reason": artifact.reason}
        emit({**told, "used_by": users, "under_way": running})
        return
    click.echo(f"{artifact.ref} is revoked")
    if running:
        talk(f"{running} of its runs {'is' if running == 1 else 'are'} under way and will finish")
    for user in users:
        talk(f"{user} is made of it, and starts no more")


@click.command()
@click.argument("reference")
@click.argument("tag")
@click.option("--remove", is_flag=True, help="Take the tag away; REFERENCE is then a NAME.")
@click.option("--by", help="Who says so [the user's name].")
@with_json
@with_app
def tag(app: RiteSmith, reference: str, tag: str, remove: bool, by: str | None, as_json: bool) -> None:
    """Let NAME@TAG mean a version, such as NAME@stable.

    REFERENCE is the NAME@VERSION that it shall mean; a tag that is there moves.
    """
    if remove:
        app.untag(reference, tag)
        emit({"name": reference, "removed": tag}) if as_json else click.echo(f"{reference} has no tag {tag} any more")
        return
    artifact, before = app.tag(reference, tag, by=by)
    if as_json:
        emit({"artifact": artifact.ref, "tag": tag, "before": before})
        return
    moved = f" (before: version {before})" if before not in (None, artifact.version) else ""
    click.echo(f"{artifact.name}@{tag} is {artifact.ref}{moved}")


# ---------------------------------------------------------------- bundles


@click.command()
@click.argument("reference")
@click.option("--output", type=click.Path(path_type=Path), help="The file to make [NAME-VERSION.bundle].")
@with_json
@with_app
def export(app: RiteSmith, reference: str, output: Path | None, as_json: bool) -> None:
    """Write an artifact, with all it depends on, into one signed file.

    Another registry takes it with `import`, once its user trusts your key (`trust list`).
    """
    told = app.export_file(reference, output)
    if as_json:
        emit(told)
        return
    click.echo(f"wrote {told['file']}: {told['artifact']} and {told['artifacts'] - 1} parts, {told['bytes']} bytes")
    talk(f"signed with {told['key']}")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "source", type=click.Choice(FOREIGN), help="FILE is a definition of this engine, as JSON.")
@click.option("--name", help="With --from: the workflow's name [imported.NAME, by the name in FILE].")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="With --from: NAME, which may be spoken to where data gives the host, or OLD=NEW; repeatable.",
)
@click.option(
    "--callback-url", default="", metavar="URL", help="With --from: what takes callbacks, for `ritesmith deliver`."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="With --from: the folder to write beneath [this one].",
)
@click.option("--force", is_flag=True, help="With --from: write over files that are there.")
@click.option("--accept-loss", is_flag=True, help="With --from: write it though something could not be carried over.")
@click.option("--publish", is_flag=True, help="With --from: publish it, when guard and trial pass.")
@click.option(
    "--namespace", "namespaces", multiple=True, help="Enter it though others have published there; repeatable."
)
@click.option("--by", help="Who says so [the user's name].")
@with_json
@with_app
def import_(
    app: RiteSmith,
    file: Path,
    source: str | None,
    namespaces: tuple[str, ...],
    by: str | None,
    as_json: bool,
    output: Path | None,
    **how: Any,
) -> int:
    """Take over what a bundle FILE brings, or with --from what a definition of another engine says.

    A bundle: all of it, or nothing. Its key must be trusted, and all of it passes the guard, the trial and the policy
    here.

    With --from, FILE becomes a workflow and the capabilities that it needs, as files beneath workflows/ and
    capabilities/, and every difference is reported: same, changed or lost. When something is lost nothing is written,
    and the exit code is 5, unless you accept it (--accept-loss).
    """
    if source is None:
        given = [name for name, value in {**how, "output": output}.items() if value]
        if given:
            names = {"hosts": "host", "accept_loss": "accept-loss", "callback_url": "callback-url"}
            raise click.UsageError(f"--{names.get(given[0], given[0])} goes with --from.")
        _import_bundle(app, file, namespaces, by, as_json)
        return 0
    if namespaces or by:
        raise click.UsageError(f"{'--namespace' if namespaces else '--by'} goes with a bundle, not with --from.")
    from ritesmith.cli import show_import

    told = app.import_definition(source, file, folder=output, **how)
    emit(told) if as_json else show_import.imported(told)
    return 0 if told["written"] else REJECTED


def _import_bundle(app: RiteSmith, file: Path, namespaces: tuple[str, ...], by: str | None, as_json: bool) -> None:
    told = app.import_file(file, namespaces=namespaces, by=by)
    if as_json:
        emit(told)
        return
    for ref in told["imported"]:
        click.echo(f"imported {ref}")
    if not told["imported"]:
        click.echo(f"already there: {told['artifact']}")
    for ref in told["drafts"]:
        talk(f"it waits for a person's approval: ritesmith approve {ref}")


# ---------------------------------------------------------------- keeping house


@click.command()
@click.option("--days", type=click.FloatRange(0), default=30.0, show_default=True, help="Only older than this.")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@with_json
@with_app
def prune(app: RiteSmith, days: float, dry_run: bool, as_json: bool) -> None:
    """Delete old drafts that nothing refers to."""
    gone = app.prune(days=days, dry_run=dry_run)
    if as_json:
        emit({"pruned": gone, "dry_run": dry_run})
        return
    for each in gone:
        click.echo(f"{'would delete' if dry_run else 'deleted'} {each['artifact']}: {each['intent']}")
    if not gone:
        talk("there is nothing to prune")


@click.command()
@click.argument("reference", required=False)
@click.option("--no-examples", is_flag=True, help="Execute nothing: only digests, signatures, contracts and pins.")
@with_json
@with_app
def verify(app: RiteSmith, reference: str | None, no_examples: bool, as_json: bool) -> int:
    """Look whether all artifacts are what was published, and still do what they say.

    Of one REFERENCE: it, and what it is made of. Nothing is changed. Exit code 5 when something is wrong.
    """
    from ritesmith.cli import show_artifacts

    told = app.verify(reference, examples=not no_examples)
    emit(told) if as_json else show_artifacts.verified(told)
    return REJECTED if any(each["severity"] == "error" for each in told["findings"]) else 0


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_json
@with_app
def backup(app: RiteSmith, file: Path, as_json: bool) -> None:
    """Copy the registry into FILE as it stands, while others use it."""
    told = app.backup(file)
    emit(told) if as_json else click.echo(f"wrote {told['file']}: {told['bytes']} bytes")


@click.command()
@with_json
@with_app
def rebuild(app: RiteSmith, as_json: bool) -> None:
    """Make every index anew from the artifacts."""
    count = app.rebuild()
    emit({"artifacts": count}) if as_json else click.echo(f"the indexes of {count} artifacts are made anew")


# ---------------------------------------------------------------- trust


@click.group(cls=Group)
def trust() -> None:
    """Say whose signatures count.

    What you publish is signed with your own key. What others signed is executed, and imported, once their key is
    trusted. Keys lie in RITESMITH_CONFIG, else in ~/.config/ritesmith.
    """


def _keys() -> Keys:
    # Trust is the user's, not a registry's: none is opened for it, or made.
    from ritesmith.signing import Keys

    return Keys.of(os.environ)


@trust.command("list")
@with_json
def trust_list(as_json: bool) -> None:
    """Your own key, and those that you trust."""
    told = _keys().told()
    if as_json:
        emit(told)
        return
    click.echo(f"{told['own']} you")
    for each in told["trusted"]:
        click.echo(f"{each['key']} {each['name']}".rstrip())


@trust.command("add")
@click.argument("key")
@click.option("--name", default="", help="What you call it.")
@with_json
def trust_add(key: str, name: str, as_json: bool) -> None:
    """Trust KEY, 64 digits that its owner sees with `trust list`."""
    _keys().trust(key, name)
    emit({"key": key, "name": name, "trusted": True}) if as_json else click.echo(f"trusted {key[:12]} {name}".rstrip())


@trust.command("remove")
@click.argument("key")
@with_json
def trust_remove(key: str, as_json: bool) -> None:
    """Trust KEY no longer: nothing that it signed is executed."""
    name = _keys().distrust(key)
    told = {"key": key, "name": name, "trusted": False}
    emit(told) if as_json else click.echo(f"no longer trusted: {key[:12]} {name}".rstrip())


LOOKING = (list_, show_, diff, stats)
KEEPING = (deprecate, revoke, tag, export, import_, prune, verify, backup, rebuild, trust)
