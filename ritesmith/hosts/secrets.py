"""Secrets: named in grants and settings, read when a host function needs one, and cut out of all that any answers.

A secret is an environment variable RITESMITH_SECRET_<NAME>, or a line `NAME = "value"` of `secrets.toml` beside the
registry file, which nobody else may read.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from ritesmith.errors import InvalidInput
from ritesmith.models import JSON

FILE = "secrets.toml"
VARIABLE = "RITESMITH_SECRET_"
SHORTEST = 4
"""A value shorter than this is no secret, and would be found in every text."""


class Secrets:
    """The secrets of one project. `redact` cuts all of them out of texts, whichever process has sent them where."""

    def __init__(self, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.file = None if folder is None else folder / FILE
        self.environment = os.environ if environment is None else environment
        self.known: dict[str, str] | None = None
        """Those that are cut out: what there was when the first text came, and what was read since."""

    def __repr__(self) -> str:
        return f"<Secrets: {len(self.known or {})} known>"

    def get(self, name: str) -> str | None:
        """The value of a secret, or None when there is none. InvalidInput when its file is open to others."""
        value = self.environment.get(VARIABLE + name)
        if value is None:
            value = self._in_file().get(name)
        if value is None:
            return None
        if len(value) < SHORTEST:
            raise InvalidInput(
                f"the secret '{name}' is shorter than {SHORTEST} letters, and could not be kept out of texts"
            )
        self._all()[name] = value
        return value

    def names(self) -> list[str]:
        """What the secrets of the file are called, sorted. InvalidInput as `get`."""
        return sorted(self._in_file())

    def redact(self, value: JSON) -> JSON:
        """The same JSON value with every secret replaced by its name, also where it stands coded."""
        known = self._all()
        for name, secret in sorted(known.items(), key=lambda each: -len(each[1])):
            for form in _forms(secret):
                value = _without(value, form, f"[secret {name}]")
        return value

    def _all(self) -> dict[str, str]:
        if self.known is None:
            found: dict[str, str] = {}
            with suppress(InvalidInput):  # whoever needs one of its secrets gets to hear it
                found |= self._in_file()
            found |= {
                name.removeprefix(VARIABLE): value
                for name, value in self.environment.items()
                if name.startswith(VARIABLE)
            }
            self.known = {name: value for name, value in found.items() if len(value) >= SHORTEST}
        return self.known

    def _in_file(self) -> dict[str, str]:
        if self.file is None:
            return {}
        try:
            mode = self.file.stat().st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise InvalidInput(
                    f"'{self.file}' can be read by others (mode {stat.S_IMODE(mode):o})", hint=f"chmod 600 {self.file}"
                )
            found = tomllib.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InvalidInput(f"'{self.file}' cannot be read: {error}") from None
        return {name: value for name, value in found.items() if isinstance(value, str)}


def _forms(secret: str) -> list[str]:
    """How a value may stand in an answer: plain, in a URL, in JSON, and in base64 at each of its three offsets."""
    raw = secret.encode()
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    forms |= {form.replace("/", "\\/") for form in forms}  # as PHP writes JSON
    for coded in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        forms |= {coded, re.sub("%..", lambda found: found[0].lower(), coded)}
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw).decode()
        # Letters that depend on what stands before and after the secret are left out.
        inner = coded[(0, 2, 3)[offset] : len(coded) - (0, 4, 3)[(offset + len(raw)) % 3] or None].rstrip("=")
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)


def _without(value: Any, form: str, instead: str) -> Any:
    if isinstance(value, str):
        return value.replace(form, instead)
    if isinstance(value, dict):
        return {_without(key, form, instead): _without(each, form, instead) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without(each, form, instead) for each in value]
    return value
