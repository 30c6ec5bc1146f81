"""What is set here, and where it comes from: every setting of the table, as it stands at this moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ritesmith.contract import near_miss
from ritesmith.db import find_db
from ritesmith.errors import NotFound
from ritesmith.hosts.secrets import VARIABLE, Secrets
from ritesmith.models import JSON
from ritesmith.settings import FILE, load_settings
from ritesmith.settings_table import SETTINGS, Setting, origin_of, without_credentials
from ritesmith.signing import Keys

SET = "set"
"""Shown instead of what is secret."""


def rows(db: str | None, here: Path, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row for each setting: name, value (None: not set), origin, variables, flag, default, about.

    `db` is what `--db` says. Of tables with names of your own (`sql.NAME`) there is a row for each that the file has,
    and of each secret whether there is one. Raises InvalidInput where the file is not what it may be.
    """
    registry = find_db(db, here, dict(environment)).absolute()
    keeper = Secrets(registry.parent, environment)
    found = [_outside(each, db, registry, environment) for each in SETTINGS if not each.file]
    found += _of_file(registry.parent)
    found += [
        _row(_SECRET._replace(name=f"secret.{name}"), SET, origin) for name, origin in _secrets(keeper, environment)
    ]
    return [{**each, "value": keeper.redact(each["value"])} for each in found]


def paths(db: str | None, here: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Where everything lies, or would lie: registry, settings, secrets, policy, keys."""
    registry = find_db(db, here, dict(environment)).absolute()
    folder = registry.parent
    return {
        "registry": str(registry),
        "settings": str(folder / FILE),
        "secrets": str(folder / "secrets.toml"),
        "policy": str(folder / "guardrails" / "policy.toml"),
        "keys": str(Keys.of(environment).folder or ""),
    }


def named(found: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The row of a name, or those of a table; NotFound with the near miss."""
    wanted = [each for each in found if each["name"] == name or each["name"].startswith(name + ".")]
    if not wanted:
        known = {each["name"] for each in found} | {each["name"].rpartition(".")[0] for each in found} - {""}
        near = near_miss(name, known)
        hint = f"did you mean '{near}'?" if near else "see all of them: ritesmith config show"
        raise NotFound(f"there is no setting '{name}'", hint=hint)
    return wanted


_SECRET = Setting("secret.NAME", "a secret, by its name", file=False, secret=True)


def _row(setting: Setting, value: JSON, origin: str) -> dict[str, Any]:
    told = {"name": setting.name, "value": value, "origin": origin, "default": setting.default, "flag": setting.flag}
    return told | {"variables": list(setting.variables), "about": setting.about}


def _outside(setting: Setting, db: str | None, registry: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    variable = origin_of(setting, environment)
    origin = f"variable {variable}" if variable else "default"
    value: JSON = environment[variable] if variable else setting.default or None
    if setting.name == "registry":
        return _row(setting, str(registry), "flag --db" if db else origin)
    if setting.name == "keys":
        return _row(setting, str(Keys.of(environment).folder or ""), origin)
    if variable and setting.secret:
        value = SET
    elif variable and setting.name.endswith("url"):
        value = without_credentials(str(value))
    return _row(setting, value, origin)


def _of_file(folder: Path) -> Iterator[dict[str, Any]]:
    settings = load_settings(folder)
    # What the file says, and what holds: the models fill in the defaults.
    said, holds = settings.model_dump(mode="json", exclude_unset=True), settings.model_dump(mode="json")
    for setting in SETTINGS:
        if not setting.file:
            continue
        *table, key = setting.name.split(".")
        for path in _places(table, holds):
            value, origin = _at(holds, (*path, key)), "default"
            if _at(said, (*path, key)) is not None:
                origin = FILE
            yield _row(setting._replace(name=".".join((*path, key))), value, origin)


def _places(table: list[str], values: Any) -> list[tuple[str, ...]]:
    """The paths that a table means: one for each name of one's own."""
    found: list[tuple[str, ...]] = [()]
    for part in table:
        names = [list(_at(values, path) or {}) if part.isupper() else [part] for path in found]
        found = [(*path, name) for path, its in zip(found, names, strict=True) for name in its]
    return found


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _secrets(keeper: Secrets, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    origins = dict.fromkeys(keeper.names(), "secrets.toml")
    origins |= {each.removeprefix(VARIABLE): f"variable {each}" for each in environment if each.startswith(VARIABLE)}
    return sorted(origins.items())
