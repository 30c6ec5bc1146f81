"""The terminal: two consoles that data cannot misuse, and the small forms in which values are shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ritesmith.views.timeline import duration
from ritesmith.visible import visible


class SafeConsole(Console):
    """A console on which data cannot move the cursor or hide words, wherever in a table or a tree it stands."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Every piece of text passes here on its way out, before colours are added."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)


__all__ = ["duration"]  # said here as everywhere else

out = SafeConsole(highlight=False)
err = SafeConsole(stderr=True, highlight=False)

STATUS_STYLE = {
    "succeeded": "green",
    "active": "green",
    "failed": "red",
    "compensation_failed": "red",
    "compensated": "yellow",
    "unknown": "magenta",
    "dropped": "dim",
    "waiting": "cyan",
    "sleeping": "cyan",
    "draft": "yellow",
    "deprecated": "yellow",
    "revoked": "red",
    "retrying": "yellow",
}
MARKS = {
    "succeeded": "✓",
    "failed": "✗",
    "waiting": "⏸",
    "sleeping": "⏸",
    "retrying": "↻",
    "unknown": "?",
    "dropped": "⊘",
}


@contextmanager
def paged() -> Iterator[None]:
    """What is printed meanwhile, through a pager where it does not fit on a terminal; as it is anywhere else."""
    if not out.is_terminal or not sys.stdin.isatty():
        yield
        return
    with out.capture() as captured:
        yield
    text = captured.get()
    if text.count("\n") < out.height:
        out.file.write(text)
    else:
        click.echo_via_pager(text, color=True)


def styled(word: str) -> Text:
    return Text(word, style=STATUS_STYLE.get(word, ""))


def columns(*names: str, title: str | None = None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in names:
        right = column in ("score", "seconds", "fuel", "entries", "uses", "runs", "failed")
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=right)
    return table


def fields(named: Sequence[tuple[str, RenderableType]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in named:
        grid.add_row(name, value)
    return grid


def short_json(value: Any, length: int = 200) -> Text:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return Text(text if len(text) <= length else text[: length - 1] + "…")


def when(at: float | None) -> str:
    if at is None:
        return ""
    from ritesmith.saga import iso

    return iso(at)


def minute(at: float | None) -> str:
    return when(at)[5:16].replace("T", " ")


def known(number: int | None) -> str:
    return "unknown" if number is None else str(number)


def counted(number: int, noun: str, several: str = "") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {several or noun + 's'}"
