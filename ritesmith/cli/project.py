"""The commands on a project: make one, and see what is set in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ritesmith.cli.options import Group, emit, here, talk, with_json

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--demo", is_flag=True, help="Seed four orders, and write order.json and refund_examples.json.")
@with_json
@click.pass_obj
def init(db: str | None, folder: Path | None, demo: bool, as_json: bool) -> None:
    """Make a project in FOLDER, or here, with the bundled library.

    The registry file, ritesmith.toml with every setting, guardrails/policy.toml for rules of your own, capabilities/,
    workflows/ and .gitignore. With --demo also the documents of the refund example. Nothing that exists is overwritten.
    """
    from ritesmith.app import RiteSmith
    from ritesmith.cli import show
    from ritesmith.intake import make_folder
    from ritesmith.project import make_files

    if db and folder:
        raise click.UsageError("Give FOLDER or --db, not both.")
    place = folder or (Path(db).parent if db else Path())
    if folder is not None:
        make_folder(place)
    # Here, not in some folder above: init makes a place of its own.
    with RiteSmith.open(db or str(place / "registry.db"), on_install=talk) as app:
        written, kept = make_files(place)
        done: dict[str, Any] = app.init_demo(place) if demo else {"written": [], "kept": []}
        told = {
            "registry": str(app.path),
            "artifacts": len(app.registry.names()),
            **done,
            "written": written + done["written"],
            "kept": kept + done["kept"],
        }
    emit(told) if as_json else show.init(told, demo, "" if folder is None else str(folder))


@click.group(cls=Group)
def config() -> None:
    """See what is set, and where it comes from.

    A value is taken from a flag, else from the environment, else from ritesmith.toml beside the registry file, else it
    is the default. `ritesmith init` writes a ritesmith.toml with every setting.
    """


@config.command("show")
@click.argument("name", required=False)
@click.option("--origin", is_flag=True, help="Also where each value comes from.")
@with_json
@click.pass_obj
def config_show(db: str | None, name: str | None, origin: bool, as_json: bool) -> None:
    """Show what every setting is, or those of NAME.

    What is secret is never shown, only whether it is set.
    """
    from ritesmith.config import named, rows

    found = rows(db, here(), os.environ)
    if name is not None:
        found = named(found, name)
    emit({"settings": found}) if as_json else _show(found, origin)


@config.command("path")
@click.argument(
    "name",
    required=False,
    metavar="[NAME]",
    type=click.Choice(["registry", "settings", "secrets", "policy", "keys"]),
)
@with_json
@click.pass_obj
def config_path(db: str | None, name: str | None, as_json: bool) -> None:
    """Print where the settings file lies; or the registry, secrets, policy or keys: NAME. They need not be there."""
    from ritesmith.config import paths

    found = paths(db, here(), os.environ)
    emit(found) if as_json else click.echo(found[name or "settings"])


def _show(found: Sequence[dict[str, Any]], origin: bool) -> None:
    import json

    from rich.text import Text

    from ritesmith.cli.console import columns, out

    table = columns("setting", "value", *(["origin"] if origin else []))
    for each in found:
        value = each["value"]
        shown = (
            Text("not set", "dim") if value is None else Text(value if isinstance(value, str) else json.dumps(value))
        )
        table.add_row(each["name"], shown, *([Text(each["origin"])] if origin else []))
    out.print(table)
