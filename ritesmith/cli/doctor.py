"""The command that examines an installation."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ritesmith.cli.options import emit, here, with_json

if TYPE_CHECKING:
    from ritesmith.doctor import Check

MARKS = {"pass": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red"), "skip": ("-", "dim")}
COUNTED = {"pass": "passed", "warn": "warned of", "fail": "failed", "skip": "skipped"}
NAME_WIDTH = 16


@click.command()
@click.option("--live", is_flag=True, help="Also ask the model servers that are set, for one word.")
@with_json
@click.pass_obj
def doctor(db: str | None, live: bool, as_json: bool) -> int:
    """Examine this installation and the registry that is meant here.

    Python, the sandbox and its limits, SQLite, the registry file, a run whose process is killed, settings, secrets and
    models; what does not hold is told with its fix. The registry is only read, and none is made. Exit code 1 when
    something failed.
    """
    from ritesmith.db import find_db
    from ritesmith.doctor import examine

    done: list[Check] = []
    for check in examine(find_db(db, here(), os.environ), os.environ, live=live):
        if not as_json:
            _show(check, new_group=not done or done[-1].group != check.group)
        done.append(check)
    counts = {status: sum(each.status == status for each in done) for status in COUNTED}
    if as_json:
        emit({"ok": not counts["fail"], "counts": counts, "checks": [each._asdict() for each in done]})
    else:
        click.echo("\n" + ", ".join(f"{counts[status]} {word}" for status, word in COUNTED.items()))
    return 1 if counts["fail"] else 0


def _show(check: Check, *, new_group: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from ritesmith.cli.console import out

    if new_group:
        out.print(Text(check.group, style="bold"))
    mark, style = MARKS[check.status]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=3, justify="right")
    grid.add_column(width=NAME_WIDTH)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark, style=style), check.name, Text(check.message))
    if check.fix:
        grid.add_row("", "", Text(f"fix: {check.fix}", style="bold"))
    out.print(grid)
