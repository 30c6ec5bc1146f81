"""Reads one query in a process of its own: started by `sql.query` as `python -I sql_reader.py`, and ended with it.

A process, because nothing else ends a query for certain: SQLite looks for an interruption only between instructions of
its machine (https://sqlite.org/c3ref/interrupt.html), and a server may say nothing for ever. A database file or a
server that is made to harm meets a process with little memory and nothing to find. A JSON object comes in on stdin, and
one goes out on stdout: {"columns", "rows", "more"}, or {"error": {"code", "message", "retryable", "details"}}.
"""

from __future__ import annotations

import base64
import json
import math
import resource
import signal
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from typing import Any

MEMORY_BYTES = 512 * 1024 * 1024
FILE_BYTES = 256 * 1024 * 1024
"""The most that a sort may put into a temporary file."""
VALUE_BYTES_MAX = 1024 * 1024
FETCH = 50


class Failed(Exception):
    """What the caller is told, instead of rows."""

    def __init__(self, code: str, message: str, *, retryable: bool = False, details: Any = None) -> None:
        super().__init__(message)
        self.told = {"code": code, "message": message, "retryable": retryable, "details": details}


def main() -> None:
    asked = json.load(sys.stdin)
    _confine(asked["seconds"] + asked["grace"])
    try:
        answer = (_sqlite if asked["engine"] == "sqlite" else _postgres)(asked)
    except Failed as failed:
        answer = {"error": failed.told}
    except MemoryError:
        answer = {"error": Failed("too_large", "the query needs more memory than it may have").told}
    sys.stdout.write(json.dumps(answer))


def _confine(seconds: float) -> None:
    # SIGALRM ends the process wherever it is; who started it knows it by that signal.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # some systems lack one of them
            resource.setrlimit(kind, (most, most))


# ---------------------------------------------------------------- SQLite


class _Given(dict[str, Any]):
    """Parameters by number, that remembers which the query asked for."""

    def __init__(self, params: list[Any]) -> None:
        super().__init__({str(number): value for number, value in enumerate(params, 1)})
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            message = f"the query asks for parameter ${name}, {len(self)} are given; they are $1, $2 and so on"
            raise Failed("bad_query", message)
        self.used.add(name)
        return super().__getitem__(name)


_MAY = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_MAY_NOT_CALL = {"load_extension", "fts3_tokenizer"}
_ASKED_BY_MODULES = {"data_version", "page_size"}


class _Authorizer:
    """Lets through what a SELECT does, and nothing else, known or to come (sqlite.org/c3ref/set_authorizer.html).

    Full-text search, when a table of it is first read, asks two pragmas, and declares the table as if
    it wrote to the schema. That is let through once a SELECT has begun; the file cannot be written to all the same.
    """

    def __init__(self) -> None:
        self.selects = False

    def __call__(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        self.selects = self.selects or action == sqlite3.SQLITE_SELECT
        if action in _MAY:
            allowed = True
        elif action == sqlite3.SQLITE_FUNCTION:
            allowed = (second or "").lower() not in _MAY_NOT_CALL
        elif action == sqlite3.SQLITE_PRAGMA:
            allowed = self.selects and first in _ASKED_BY_MODULES and second is None
        else:
            allowed = self.selects and action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _sqlite(asked: dict[str, Any]) -> dict[str, Any]:
    given = _Given(asked["params"])
    try:
        with closing(sqlite3.connect(asked["target"], uri=True, timeout=asked["seconds"] / 2)) as connection:
            for pragma in ("query_only = ON", "trusted_schema = OFF", "cell_size_check = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
            connection.set_authorizer(_Authorizer())
            cursor = connection.execute(asked["sql"], given)
            _same_number(len(given.used), len(given))
            return _collected(asked, [each[0] for each in cursor.description or ()], cursor)
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
        raise _of_sqlite(error) from None


def _of_sqlite(error: Exception) -> Failed:
    text, name = str(error), getattr(error, "sqlite_errorname", "")
    refused = any(words in text for words in ("prohibited", "not authorized", "may not be modified"))
    if refused or name.startswith(("SQLITE_AUTH", "SQLITE_READONLY")):
        return Failed("denied", f"the query does something else than read: {text}")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Failed("unavailable", f"the database is in use: {text}", retryable=True)
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_PERM")):
        return Failed("unavailable", f"the database cannot be read: {text}")
    if name.startswith(("SQLITE_IOERR", "SQLITE_FULL")):
        return Failed("unavailable", f"the database cannot be read: {text}", retryable=True)
    if name.startswith(("SQLITE_TOOBIG", "SQLITE_NOMEM")):
        return Failed("too_large", f"a value of the query is larger than {VALUE_BYTES_MAX} bytes")
    if "has no name" in text:
        return Failed("bad_query", f"{text}; parameters are $1, $2 and so on")
    return Failed("bad_query", text)


# ---------------------------------------------------------------- PostgreSQL


def _postgres(asked: dict[str, Any]) -> dict[str, Any]:
    sys.path.append(asked["psycopg"])
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.types.string import TextLoader

    class Moment(TextLoader):
        """PostgreSQL's own words for a moment (a Python datetime has no year 0 and no infinity), as ISO 8601."""

        def load(self, data: Any) -> Any:
            text = str(super().load(data)).replace(" ", "T", 1)
            return text.removesuffix("+00") + "Z" if text.endswith("+00") else text

    seconds = asked["seconds"]
    try:
        where: dict[str, Any] = dict(conninfo_to_dict(asked["target"]))
        if asked["password"] is not None:
            where["password"] = asked["password"]
        # Nothing is taken from the home of whoever runs this: what is not in the settings is not known.
        where |= {"passfile": "/dev/null", "connect_timeout": max(2, math.ceil(seconds))}
        where["application_name"] = "ritesmith"
        with closing(psycopg.connect(**where)) as connection:
            for kind in ("date", "time", "timetz", "interval", "numeric"):
                connection.adapters.register_loader(kind, TextLoader)
            for kind in ("timestamp", "timestamptz"):
                connection.adapters.register_loader(kind, Moment)
            connection.read_only = True
            settings = {
                "statement_timeout": str(max(1, int(seconds * 1000))),
                "lock_timeout": str(max(1, int(seconds * 500))),
                "default_transaction_read_only": "on",
                "TimeZone": "UTC",
                "DateStyle": "ISO",
                "IntervalStyle": "iso_8601",
            }
            for name, value in settings.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            with suppress(psycopg.Error), connection.transaction():
                # So a server notices that nobody waits for its answer any more; older ones do not know it.
                connection.execute("SELECT set_config('client_connection_check_interval', '1000', false)")
            # A cursor is declared by the extended protocol: of one statement, and one that reads.
            with psycopg.RawServerCursor(connection, "asked", scrollable=False) as cursor:
                cursor.execute(asked["sql"], asked["params"])
                columns = [each.name for each in cursor.description or ()]
                return _collected(asked, columns, _fetched(cursor))
            # Never committed: what a function did all the same, such as a large object or a notice, is undone.
    except psycopg.Error as error:
        raise _of_postgres(error) from None


def _fetched(cursor: Any) -> Iterator[Any]:
    while some := cursor.fetchmany(FETCH):
        yield from some


def _of_postgres(error: Any) -> Failed:
    state = error.sqlstate
    text = " ".join(str(error.diag.message_primary or error).split())
    details = {"sqlstate": state} if state else None
    if state is None or (state.startswith("08") and state != "08P01"):  # that one counts parameters
        return Failed("unavailable", f"the server cannot be reached: {text}", retryable=True, details=details)
    if state == "57014":
        return Failed("time_out", f"the query took too long: {text}", retryable=True, details=details)
    if state.startswith("28"):
        return Failed("unavailable", f"the server refuses this user: {text}", details=details)
    if state in ("25006", "42501"):
        return Failed("denied", f"the query does something else than read what it may: {text}", details=details)
    if state[:2] in ("53", "57", "58", "40", "55"):
        return Failed("unavailable", text, retryable=True, details=details)
    if state.startswith("3D"):
        return Failed("unavailable", text, details=details)
    return Failed("bad_query", text, details=details)


# ---------------------------------------------------------------- rows


def _same_number(used: int, given: int) -> None:
    if used != given:
        raise Failed("bad_query", f"the query uses {used} parameters, {given} are given")


def _collected(asked: dict[str, Any], columns: list[str], rows: Iterable[Any]) -> dict[str, Any]:
    if not columns:
        raise Failed("denied", "the query gives no rows")
    twice = sorted({each for each in columns if columns.count(each) > 1})
    if twice:
        raise Failed("bad_query", f"two columns are called '{twice[0]}'; give one another name with AS")
    kept: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        if len(kept) == asked["rows_max"]:
            return {"columns": columns, "rows": kept, "more": True}
        kept.append({name: _typed(value) for name, value in zip(columns, row, strict=True)})
        size += len(json.dumps(kept[-1], ensure_ascii=False).encode("utf-8", "replace")) + 2
        if size > asked["bytes_max"]:
            message = f"the rows have more than {asked['bytes_max']} bytes; ask for fewer rows or columns"
            raise Failed("too_large", message)
    return {"columns": columns, "rows": kept, "more": False}


def _typed(value: Any) -> Any:
    """A value of the database as JSON: bytes as base64, and what JSON has no word for as the text the database has."""
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, list | tuple):
        return [_typed(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _typed(each) for key, each in value.items()}
    return str(value)


if __name__ == "__main__":
    main()
