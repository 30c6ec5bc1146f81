"""What people hand over: files, JSON texts and values, read with care; and where the bundled content is."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ritesmith.contract import near_miss
from ritesmith.errors import InvalidInput, NotFound
from ritesmith.json_text import NotJSON, parse
from ritesmith.models import JSON, Finding, Where
from ritesmith.schemas import problems

INPUT_BYTES_MAX = 10 * 1024 * 1024
INPUT_LEVELS_MAX = 64


def content_folder() -> Path:
    """Where the bundled capabilities, workflows and guardrails are: inside the package, or beside it in a checkout."""
    inside = Path(__file__).parent / "content"
    return inside if inside.is_dir() else Path(__file__).parent.parent


def read_text(file: Path) -> str:
    """A file's text; NotFound or InvalidInput with what is wrong with it."""
    return decode(read_bytes(file, INPUT_BYTES_MAX), str(file))


def read_bytes(file: Path, most: int) -> bytes:
    """What is in a file, or `most` bytes and one of it; NotFound or InvalidInput where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(most + 1)
    except FileNotFoundError:
        near = near_miss(file.name, [each.name for each in file.parent.glob("*")] if file.parent.is_dir() else [])
        raise NotFound(f"there is no file '{file}'", hint=f"did you mean '{near}'?" if near else "") from None
    except OSError as error:
        raise InvalidInput(f"'{file}' cannot be read: {error.strerror}") from None


def write_new(file: Path, data: bytes, *, force: bool = False) -> bool:
    """Make a file with this content, whole or not at all; False when there is one, which stays as it is.

    With `force` it takes the place of one that is there.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        part.write_bytes(data)
        if force:
            os.replace(part, file)
        else:
            os.link(part, file)
    except FileExistsError:
        return False
    except OSError as error:
        raise InvalidInput(f"'{file}' cannot be written: {error.strerror}") from None
    finally:
        if part.exists():  # on what can only be read, deleting nothing is an error too
            part.unlink()
    return True


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if there are none. InvalidInput where it cannot be one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"'{folder}' cannot be made a folder: {error.strerror}") from None


def decode(data: bytes, what: str) -> str:
    """Bytes as UTF-8 text; InvalidInput where they are none, or too many."""
    if len(data) > INPUT_BYTES_MAX:
        raise InvalidInput(f"'{what}' has more than {INPUT_BYTES_MAX} bytes, which is the most that is read")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"'{what}' is not UTF-8 text: byte {error.start} is {data[error.start]:#04x}") from None


def parse_json(text: str, what: str) -> JSON:
    """A JSON text as a value; InvalidInput with line and column where it is none, or says a key twice."""
    value, findings = read_json(text, what)
    if findings:
        raise InvalidInput(f"{findings[0].where}: {findings[0].message}", hint=findings[0].hint)
    return value


def read_json(text: str, file: str) -> tuple[JSON, list[Finding]]:
    """A JSON text as a value and no findings, or None and why it is none."""
    try:
        return parse(text), []
    except NotJSON as error:
        where = Where(file=file, line=error.line, column=error.column)
        return None, [Finding(code="not_json", where=where, message=str(error))]


def bundled_files() -> list[tuple[Path, str]]:
    """The bundled capabilities, then the workflows made of them, each after those that it calls: (file, text)."""
    capabilities, workflows = ([(file, file.read_text(encoding="utf-8")) for file in files] for files in _bundled())
    return capabilities + _called_first(workflows)


def bundled_look() -> str:
    """What can be seen of the bundled files without reading them: as long as that is the same, so are their texts."""
    seen = hashlib.sha256()
    for files in _bundled():
        for file in files:
            found = file.stat()
            seen.update(f"{file}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ino}\0".encode())
    return seen.hexdigest()


def _bundled() -> tuple[list[Path], list[Path]]:
    folder = content_folder()
    return sorted((folder / "capabilities").rglob("*.lua")), sorted((folder / "workflows").glob("*.json"))


def _called_first(workflows: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    left = {file.stem: (file, text) for file, text in workflows}
    ordered: list[tuple[Path, str]] = []

    def take(name: str) -> None:
        found = left.pop(name, None)
        if found is not None:
            for called in re.findall(r'"workflow": "([^"]+)"', found[1]):
                take(called)
            ordered.append(found)

    for name in list(left):
        take(name)
    return ordered


def check_value(what: str, value: JSON, schema: Mapping[str, Any], target: str, hint: str = "") -> None:
    """InvalidInput unless `value` is JSON of a size and depth that can be run, and fits `schema`, that of `target`."""
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8"))
        _check_levels(value)
    except UnicodeEncodeError:
        raise InvalidInput(f"the {what} holds half of a surrogate pair, which is not Unicode text") from None
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the {what} is not JSON: {error}") from None
    except RecursionError:
        raise InvalidInput(f"the {what} is nested deeper than {INPUT_LEVELS_MAX} levels") from None
    if size > INPUT_BYTES_MAX:
        raise InvalidInput(f"the {what} has {size} bytes as JSON; at most {INPUT_BYTES_MAX} are taken")
    wrong = problems(dict(schema), value)
    if wrong:
        found = "; ".join(f"{path}: {message}" for path, message in wrong)
        raise InvalidInput(
            f"the {what} does not fit {target}: {found}",
            hint=hint,
            problems=[{"path": path, "message": message} for path, message in wrong],
        )


def _check_levels(value: JSON, level: int = 1) -> None:
    """Keys are text (Python's encoder takes numbers), and no value is deeper than the sandbox takes it."""
    if not isinstance(value, dict | list | tuple):
        return
    if level > INPUT_LEVELS_MAX:
        raise RecursionError
    for each in value:
        if isinstance(value, dict) and not isinstance(each, str):
            raise TypeError(f"the key {each!r} is not a string")
        _check_levels(value[each] if isinstance(value, dict) else each, level + 1)
