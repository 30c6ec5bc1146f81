"""The commands on files that are not published yet: begin, check, test, lay out and measure them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ritesmith.cli.options import emit, json_of, talk, with_app, with_json
from ritesmith.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith

REJECTED, SANDBOX = 5, 7
"""Exit codes: of Rejected, and of a script that did not come to its end."""
LOOK_SECONDS = 0.3
"""How often `check --watch` looks whether the file was saved."""

a_file = click.argument("file", type=click.Path(path_type=Path))


@click.command()
@click.argument("name")
@click.option("--workflow", is_flag=True, help="A workflow instead of a capability.")
@click.option("--grant", "grants", multiple=True, metavar="FUNCTION", help="A host function that it calls; repeatable.")
@click.option("--intent", default="", help="What it is for, in words [made from NAME].")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="The file to make.")
@with_json
@with_app
def new(app: RiteSmith, name: str, as_json: bool, output: Path | None, **how: Any) -> None:
    """Make the file of a new capability, or workflow, called NAME.

    It passes 'ritesmith check' as it is made. It lies in capabilities/ or workflows/ where such a folder is here, else
    here; a file that is there is never overwritten.
    """
    file = app.new_file(name, file=output, **how)
    emit({"file": str(file), "name": name}) if as_json else click.echo(f"wrote {file}")
    if not as_json:
        talk(f"next: edit it, then: ritesmith test {file}")


@click.command()
@a_file
@click.option("--dry-run", is_flag=True, help="Also show every path through a workflow, on stubs.")
@click.option("--watch", is_flag=True, help="Check it again whenever it is saved, until Ctrl-C.")
@with_json
@with_app
def check(app: RiteSmith, file: Path, dry_run: bool, watch: bool, as_json: bool) -> int:
    """Check a capability or workflow FILE; write nothing.

    Shape, then sense, then a trial in the sandbox. Exit code 5 when there are errors; with --watch 0, when stopped.
    """
    if watch:
        _watched(app, file, lambda: _checked(app, file, dry_run, as_json), as_json)
        return 0
    return _checked(app, file, dry_run, as_json)


def _checked(app: RiteSmith, file: Path, dry_run: bool, as_json: bool) -> int:
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
    return REJECTED if checked.errors else 0


def _watched(app: RiteSmith, file: Path, look: Callable[[], int], as_json: bool) -> None:
    """Look at a file now, and again whenever its time or size has changed, until Ctrl-C."""

    def stamp() -> tuple[int, int] | None:
        try:
            found = file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def tell() -> None:
        if not as_json:
            click.clear()  # does nothing without a terminal
        try:
            look()
        except (InvalidInput, NotFound) as error:
            if seen is None:
                raise
            talk(f"Error: {error.message}")
        sys.stdout.flush()
        if not as_json:
            talk(f"watching {file}; stop with Ctrl-C")

    seen: tuple[int, int] | None = None
    try:
        while True:
            now = stamp()
            if now is None and seen is None:
                look()  # says that there is none
            if now is not None and now != seen:
                tell()
                seen = now
            app.clock.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return


@click.command()
@a_file
@with_json
@with_app
def test(app: RiteSmith, file: Path, as_json: bool) -> int:
    """Run the examples of FILE, and tell what they and the trial show.

    Each example in its own throw-away world: expected against found, with the first place that differs. Then what the
    trial looked at, how much of each limit was used, and what no example comes to: lines of a capability, nodes of a
    workflow. Nothing is written. Exit code 5 when an example is not met or the check has an error.
    """
    from ritesmith.cli import show_files

    tested = app.test_file(file)
    if as_json:
        emit(tested.model_dump(mode="json") | {"passed": tested.passed})
    else:
        show_files.tested(tested)
    return 0 if tested.passed else REJECTED


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--check", is_flag=True, help="Write nothing; exit code 5 when a file would change.")
@with_json
@with_app
def fmt(app: RiteSmith, files: tuple[str, ...], check: bool, as_json: bool) -> int:
    """Lay files out: the header's JSON and the Lua of a capability, the JSON of a workflow.

    Lines of Lua break where you broke them. What a file says stays: its contract, its canonical hash, every comment.
    With - for FILE, from stdin to stdout. When one of them cannot be read, none is written.
    """
    if "-" in files:
        if len(files) > 1:
            raise click.UsageError("Give either - or files.")
        return _format_stdin(app, check, as_json)
    done = app.format_files([Path(each) for each in files], check=check)
    changed = [each.file for each in done if each.changed]
    if as_json:
        emit({"changed": changed, "files": len(done), "check": check})
    else:
        for file in changed:
            click.echo(f"{'would change' if check else 'changed'} {file}")
        left = len(done) - len(changed)
        talk(f"{left} of {len(done)} were laid out already")
    return REJECTED if check and changed else 0


def _format_stdin(app: RiteSmith, check: bool, as_json: bool) -> int:
    from ritesmith.intake import INPUT_BYTES_MAX, decode

    if sys.stdin is None:
        raise InvalidInput("stdin is closed; nothing can be read from it")
    before = decode(sys.stdin.buffer.read(INPUT_BYTES_MAX + 1), "stdin")
    file = "stdin.json" if before.lstrip()[:1] == "{" else "stdin.lua"
    after = app.format_text(before, file)
    if as_json:
        emit({"text": after, "changed": before != after})
    elif not check:
        click.echo(after, nl=False)
    return REJECTED if check and before != after else 0


@click.command()
@click.argument("reference", metavar="FILE|NAME")
@click.option("--input", "given", metavar="@FILE|JSON|-", help="The input [that of the example].")
@click.option(
    "--example", type=click.IntRange(1), metavar="N", help="In the world of this example, from 1 [the first]."
)
@with_json
@with_app
def fuel(app: RiteSmith, reference: str, given: str | None, example: int | None, as_json: bool) -> int:
    """Run a capability or workflow once, and show where its fuel went, line by line.

    Every VM instruction is counted, in the line that asked for it; a library's work stands in the line that called it.
    It runs in a throw-away world: that of the example, or with --input alone an empty one. Exit code 7 when it fails.
    """
    from ritesmith.cli import show_files

    more = {} if given is None else {"input": json_of(given)}
    report = app.fuel(reference, example=example, **more)
    emit(report.model_dump(mode="json")) if as_json else show_files.fuel(report)
    return 0 if report.status in ("ok", "succeeded") else SANDBOX


COMMANDS = (new, check, test, fmt, fuel)
"""In the order of use; `publish` comes next."""
