"""Definitions of other engines taken over: turned into files, checked by the guard, published on demand."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ritesmith.contract import capability_of
from ritesmith.db import transaction
from ritesmith.errors import Conflict, InvalidInput
from ritesmith.intake import parse_json, read_text
from ritesmith.migrate import Migration, Options, migrate
from ritesmith.migrate.http_calls import is_host
from ritesmith.models import NAME_PATTERN

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith

BYTES_MAX = 1024 * 1024
"""Of a foreign definition."""


def import_definition(
    app: RiteSmith,
    source: str,
    file: Path,
    *,
    name: str | None = None,
    hosts: Sequence[str] = (),
    callback_url: str = "",
    folder: Path | None = None,
    force: bool = False,
    accept_loss: bool = False,
    publish: bool = False,
) -> dict[str, Any]:
    """Turn a definition of another engine into a workflow and the capabilities that it needs.

    `source` is one of `migrate.SOURCES`. `hosts` are names that may be spoken to, or OLD=NEW. Files go beneath
    `folder`: all, or none where something was lost and `accept_loss` is not given, or the guard finds an error in
    the workflow. Raises InvalidInput for what is no such definition, Conflict where a file is there and `force` is
    not given, Rejected where it is to be published and does not pass.
    """
    text = read_text(file).removeprefix("\ufeff")  # what editors and shells of Windows put before it
    if len(text.encode()) > BYTES_MAX:
        raise InvalidInput(f"'{file}' has more than {BYTES_MAX} bytes, which is the most that is imported")
    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise InvalidInput(f"the name {name!r} is not one of small letters, digits and _, in parts with a dot between")
    moved = dict(_moved(each) for each in hosts if "=" in each)
    options = Options(
        name=name,
        title=file.name.partition(".")[0],
        hosts=moved,
        more_hosts=tuple(dict.fromkeys(_host(each) for each in hosts if "=" not in each)),
        callback_url=callback_url,
        known=lambda wanted: app._in_use(wanted) is not None,
    )
    found = migrate(source, parse_json(text, str(file)), options)
    target = f"{found.workflow['name']}.json"
    drafted = {each: capability_of(found.capabilities[each], each) for each in found.capabilities}
    checked = app.checking.check_workflow_value(found.workflow, target, drafted=drafted)
    written = bool(not checked.errors and (accept_loss or not found.lost))
    told: dict[str, Any] = {
        "workflow": found.workflow["name"],
        "capabilities": list(found.capabilities),
        "report": [each.model_dump() for each in found.report],
        "lost": len(found.lost),
        "settings": list(found.settings),
        "secrets": list(found.secrets),
        "findings": [each.model_dump(mode="json") for each in checked.findings],
        "written": [],
        "published": [],
        "drafts": [],
    }
    if not written:
        return told
    files = _files(found, folder or Path())
    capabilities = [app._sound(app.check_text(found.capabilities[each], f"{each}.lua")) for each in drafted] * publish
    with _written(files, force=force):
        if publish:
            with transaction(app.connection):
                artifacts = [app._publish_own(each).artifact for each in capabilities]
                artifacts.append(app._publish_own(app._sound(checked, target)).artifact)
            told["published"] = [each.ref for each in artifacts]
            told["drafts"] = [each.ref for each in artifacts if each.status == "draft"]
    return told | {"written": [str(each) for each in files]}


def _moved(host: str) -> tuple[str, str]:
    old, _, new = host.partition("=")
    if not old:
        raise InvalidInput(f"a host is given as NAME or OLD=NEW, not {host!r}")
    return old.lower(), _host(new)


def _host(name: str) -> str:
    if not is_host(name.lower()):
        raise InvalidInput(f"{name!r} is no name of a host, with its port where there is one: no address, no scheme")
    return name.lower()


def _files(found: Migration, folder: Path) -> dict[Path, str]:
    files = {}
    for name, text in found.capabilities.items():
        *spaces, last = name.split(".")
        files[folder.joinpath("capabilities", *spaces, f"{last}.lua")] = text
    workflow = json.dumps(found.workflow, indent=2, ensure_ascii=False)
    files[folder / "workflows" / f"{found.workflow['name']}.json"] = f"{workflow}\n"
    return files


@contextmanager
def _written(files: Mapping[Path, str], *, force: bool) -> Iterator[None]:
    """Write all files, and take them back if what follows fails; Conflict where one is there, but with `force`."""
    there = [each for each in files if each.exists()]
    if there and not force:
        published = "publish it, and it is used as it is; or " * ('"not_implemented"' in files[there[0]])
        raise Conflict(
            f"there is a file '{there[0]}' already", hint=f"{published}remove it, or write over it with --force"
        )
    before: dict[Path, bytes | None] = {}
    folders: list[Path] = []
    try:
        for file, text in files.items():
            for above in reversed([file.parent, *file.parent.parents]):
                if not above.exists():
                    above.mkdir()
                    folders.append(above)
            before[file] = file.read_bytes() if file.exists() else None
            part = file.with_name(f".{file.name}.{os.getpid()}")
            part.write_text(text, encoding="utf-8")
            part.replace(file)
        yield
    except BaseException as error:
        _take_back(before, folders)
        if isinstance(error, OSError):
            raise InvalidInput(f"'{error.filename}' cannot be written: {error.strerror}") from None
        raise


def _take_back(before: Mapping[Path, bytes | None], folders: Sequence[Path]) -> None:
    for file, content in before.items():
        file.with_name(f".{file.name}.{os.getpid()}").unlink(missing_ok=True)
        if content is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(content)
    for folder in reversed(folders):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
