"""What the commands share: options, the open registry, and how they speak."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ritesmith.errors import InvalidInput, NotFound

F = TypeVar("F", bound=Callable[..., Any])
SHOWN_MOST = 8
"""Commands of a group that are named where none of them can have been meant."""


class Group(click.Group):
    """A group that lists its commands in the order of use, and knows what was probably meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            near = self.meant(args[0])
            few = f" There are: {', '.join(self.commands)}." if len(self.commands) <= SHOWN_MOST else ""
            hint = f" Did you mean '{near}'?" if near else few
            raise click.UsageError(f"There is no command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def meant(self, word: str) -> str | None:
        """The command that a word which is none probably means."""
        import difflib

        near = difflib.get_close_matches(word, self.commands, n=1)
        return near[0] if near else None


def with_json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def not_nan(context: click.Context, option: click.Parameter, value: float) -> float:
    """Whether an option holds a number at all: a range lets through what compares with nothing."""
    if value != value:
        raise click.BadParameter("not a number")
    return value


def with_wait(command: F) -> F:
    return click.option(
        "--wait",
        "wait_seconds",
        type=click.FloatRange(min=0),
        callback=not_nan,
        default=60.0,
        show_default=True,
        help="Longest pause to sit out, in seconds.",
    )(command)


def with_app(command: F, *, runs: bool = False) -> Callable[..., Any]:
    """Open the registry around a command, and tell on stderr when it is made.

    `runs`: it will need a worker, which is started while the rest of the program is loaded.
    """

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        options: dict[str, Any] = {}
        if runs and not kwargs.get("detach"):
            from ritesmith.sandbox import Sandbox

            options["sandbox"] = Sandbox().warm()
        from ritesmith.app import RiteSmith

        with RiteSmith.open(click.get_current_context().obj, on_install=talk, **options) as app:
            return command(app, *args, **kwargs)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    return wrapped


def with_app_that_runs(command: F) -> Callable[..., Any]:
    return with_app(command, runs=True)


def here() -> Path:
    """The folder that this was started in; NotFound where it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise NotFound("the folder that this was started in is gone", hint="change to another folder") from None


def talk(text: str) -> None:
    from ritesmith.visible import visible

    click.echo(visible(text), err=True)


def emit(value: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    from ritesmith.cli import json_text

    click.echo(json_text(value, indent=2 if sys.stdout.isatty() else None))


def json_of(given: str, what: str = "--input") -> Any:
    """The value of `@file`, `-` (stdin) or JSON text."""
    from ritesmith.intake import INPUT_BYTES_MAX, decode, parse_json, read_text

    if given == "-":
        if sys.stdin is None:
            raise InvalidInput("stdin is closed; nothing can be read from it")
        if sys.stdin.isatty():
            talk(f"{what}: type JSON, then Ctrl-D on a line of its own")
        return parse_json(decode(sys.stdin.buffer.read(INPUT_BYTES_MAX + 1), "stdin"), "stdin")
    if given.startswith("@"):
        return parse_json(read_text(Path(given[1:])), given[1:])
    return parse_json(given, what)
