"""`file.read`, `file.write`: files under the folders that `[files.NAME]` declares, and nothing beside them.

A path is walked part by part from the declared folder, each part opened relative to the one before and never through a
symbolic link (openat with O_NOFOLLOW, see the Linux manual page path_resolution(7) for what that leaves out). So no
name, no link and no link made in between leads out of the folder. A write is whole or not at all: a temporary file in
the same folder, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ritesmith.hosts.base import REPLY_BYTES_MAX, HostEnvironment, HostFailure, host_function, reply_bytes
from ritesmith.models import JSON
from ritesmith.settings import FileRoot, Settings
from ritesmith.signing import Keys

ROOT = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9_]{0,62}$",
    "description": "the NAME of [files.NAME]",
    "examples": ["reports"],
}
PATH = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1000,
    "pattern": "^[^\\u0000-\\u001f\\u007f\\\\]+$",
    "description": "relative to the root, parts separated by /",
    "examples": ["2026/march.csv"],
}
NARROWS = {"roots": {"type": "array", "items": ROOT, "minItems": 1, "uniqueItems": True}}
PARTS_MAX = 32
TEMPORARY = ".ritesmith-"
"""How the names begin of files that are being written; nothing else may be called so."""
GUARDRAILS = "guardrails"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC


@host_function(
    "file.read",
    "Read one file under a declared root, whole: as text (UTF-8), or as base64.",
    input={
        "type": "object",
        "required": ["root", "path"],
        "properties": {
            "root": ROOT,
            "path": PATH,
            "encoding": {"type": "string", "enum": ["text", "base64"], "default": "text"},
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["content", "bytes"],
        "properties": {"content": {"type": "string"}, "bytes": {"type": "integer", "minimum": 0}},
        "additionalProperties": False,
    },
    effect="read",
    outside=True,
    narrows=NARROWS,
    errors=("not_configured", "bad_path", "not_found", "not_a_file", "denied", "too_large", "not_text", "unavailable"),
)
def read(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    root = _root(args["root"], environment.settings)
    what = f"'{args['path']}' of root '{args['root']}'"
    *folders, name = _parts(args["path"])
    with _told(what), _opened(_folder_of(root, environment.settings), folders, make=False) as folder:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
        file = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINK, dir_fd=folder)
        with os.fdopen(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise HostFailure("not_a_file", f"{what} is not a regular file")
            data = opened.read(root.bytes_max + 1)
    if len(data) > root.bytes_max:
        raise HostFailure("too_large", f"{what} is larger than {root.bytes_max} bytes")
    if args.get("encoding") == "base64":
        content = base64.b64encode(data).decode()
    else:
        try:
            content = data.decode("utf-8")
        except UnicodeDecodeError as error:
            message = f"{what} is not UTF-8 text (at byte {error.start}); read it as base64"
            raise HostFailure("not_text", message) from None
    result = {"content": content, "bytes": len(data)}
    if reply_bytes(result) > REPLY_BYTES_MAX:
        raise HostFailure("too_large", f"{what} has more than {REPLY_BYTES_MAX} bytes as an answer")
    return result


@host_function(
    "file.write",
    "Write one file under a declared root that allows it, whole or not at all; folders on the way to it are made.",
    input={
        "type": "object",
        "required": ["root", "path", "content"],
        "properties": {
            "root": ROOT,
            "path": PATH,
            "content": {"type": "string"},
            "encoding": {"type": "string", "enum": ["text", "base64"], "default": "text"},
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["bytes"],
        "properties": {"bytes": {"type": "integer", "minimum": 0}},
        "additionalProperties": False,
    },
    effect="write",
    outside=True,
    narrows=NARROWS,
    errors=(
        "not_configured",
        "bad_path",
        "not_found",
        "not_a_file",
        "denied",
        "too_large",
        "bad_content",
        "no_space",
        "unavailable",
    ),
)
def write(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    root = _root(args["root"], environment.settings)
    if not root.write:
        raise HostFailure("denied", f"the root '{args['root']}' may only be read (write = true in its settings)")
    what = f"'{args['path']}' of root '{args['root']}'"
    *folders, name = _parts(args["path"])
    data = _data(args, what)
    if len(data) > root.bytes_max:
        raise HostFailure("too_large", f"{what} would be larger than {root.bytes_max} bytes")
    with _told(what), _opened(_folder_of(root, environment.settings), folders, make=True) as folder:
        _replace(folder, name, data, what)
    return {"bytes": len(data)}


def _replace(folder: int, name: str, data: bytes, what: str) -> None:
    mode = None
    with suppress(FileNotFoundError):
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(there.st_mode):
            raise HostFailure("not_a_file", f"{what} is not a regular file")
        mode = stat.S_IMODE(there.st_mode)
    temporary = TEMPORARY + secrets.token_hex(12)
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666, dir_fd=folder)
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(data)
            opened.flush()
            if mode is not None:
                os.fchmod(file, mode)
            os.fsync(file)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def _data(args: dict[str, Any], what: str) -> bytes:
    content: str = args["content"]
    try:
        return base64.b64decode(content, validate=True) if args.get("encoding") == "base64" else content.encode()
    except (binascii.Error, ValueError) as error:
        raise HostFailure(
            "bad_content", f"the content of {what} is not {args.get('encoding', 'text')}: {error}"
        ) from None


def _root(name: str, settings: Settings) -> FileRoot:
    root = settings.files.get(name)
    if root is None:
        raise HostFailure("not_configured", f"there is no root '{name}': ritesmith.toml has no [files.{name}]")
    return root


def _folder_of(root: FileRoot, settings: Settings) -> Path:
    """Where a root lies; never where it would hold what decides about capabilities themselves."""
    home = settings.folder.resolve()
    folder = (home / root.path).resolve()
    if home.is_relative_to(folder) or folder.is_relative_to(home / GUARDRAILS):
        message = f"the root '{root.path}' holds the project's own settings, secrets, policy or registry"
        raise HostFailure("not_configured", f"{message}; declare a folder below, such as 'data'")
    keys = Keys.of(os.environ).folder
    if keys is not None and (keys.resolve().is_relative_to(folder) or folder.is_relative_to(keys.resolve())):
        message = f"the root '{root.path}' holds the key that you sign with, or those that you trust"
        raise HostFailure("not_configured", f"{message}; declare another folder")
    return folder


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    wrong = next((each for each in parts if each in ("", ".", "..") or each.startswith(TEMPORARY)), None)
    if wrong is not None:
        raise HostFailure("bad_path", f"the path '{path}' has the part '{wrong}'; it is relative to the root")
    if len(parts) > PARTS_MAX:
        raise HostFailure("bad_path", f"the path has {len(parts)} parts, at most {PARTS_MAX} are taken")
    return parts


@contextmanager
def _opened(root: Path, folders: list[str], *, make: bool) -> Iterator[int]:
    """The descriptor of the folder that `folders` leads to; those that are not there are made, if that is asked."""
    current = os.open(root, _FOLDER)
    try:
        for part in folders:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o777, dir_fd=current)
                    os.fsync(current)
            following = os.open(part, _FOLDER | _NO_LINK, dir_fd=current)
            os.close(current)
            current = following
        yield current
    finally:
        os.close(current)


_CODES = {
    errno.ENOENT: ("not_found", "does not exist", False),
    errno.ELOOP: ("denied", "is a symbolic link, or lies behind one", False),
    errno.ENOTDIR: ("denied", "lies behind what is not a folder, or behind a symbolic link", False),
    errno.EACCES: ("denied", "is not open to this process", False),
    errno.EPERM: ("denied", "is not open to this process", False),
    errno.EROFS: ("denied", "lies on a file system that can only be read", False),
    errno.EISDIR: ("not_a_file", "is a folder", False),
    errno.ENXIO: ("not_a_file", "is not a regular file", False),
    errno.ENAMETOOLONG: ("bad_path", "has a part that is too long", False),
    errno.EINVAL: ("bad_path", "is no name that the file system takes", False),
    errno.EILSEQ: ("bad_path", "is no name that the file system takes", False),
    errno.ENOSPC: ("no_space", "finds no space left", True),
    errno.EDQUOT: ("no_space", "finds no space left of the quota", True),
    errno.EFBIG: ("too_large", "is larger than the file system takes", False),
}


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turns what the system says into a failure that a script can read."""
    try:
        yield
    except OSError as error:
        code, words, retryable = _CODES.get(
            error.errno or 0, ("unavailable", f"cannot be used: {error.strerror}", True)
        )
        raise HostFailure(code, f"{what} {words}", retryable=retryable) from None
