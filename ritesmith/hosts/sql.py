"""`sql.query`: one question to a database that `[sql.NAME]` names, which can be read and nothing else.

SQLite is opened with mode=ro behind an authorizer that knows SELECT only; on PostgreSQL the question is the cursor of a
transaction that may only read. Either is asked by a process of its own (`sql_reader.py`), which the deadline ends.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from ritesmith.hosts.base import REPLY_BYTES_MAX, HostEnvironment, HostFailure, host_function, reply_bytes
from ritesmith.models import JSON
from ritesmith.settings import Settings, SqlSettings

DATABASE = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9_]{0,62}$",
    "description": "the NAME of [sql.NAME]",
    "examples": ["sales"],
}
READER = Path(__file__).with_name("sql_reader.py")
START_SECONDS = 15.0
"""What a process may take to start on a busy machine, beyond the time that a query has."""
_GRACE_SECONDS = 1.0
"""How much later than PostgreSQL the reader gives up: the server's own word says more."""


@host_function(
    "sql.query",
    "Read rows from a named database: one SELECT with parameters $1, $2 ...; more says that the rows were cut."
    " Decimals, dates and times come as text (ISO 8601, UTC), bytes as base64, NULL as null.",
    input={
        "type": "object",
        "required": ["database", "sql"],
        "properties": {
            "database": DATABASE,
            "sql": {
                "type": "string",
                "minLength": 1,
                "maxLength": 20_000,
                "pattern": "^[^\\u0000]*$",
                "description": "one SELECT",
                "examples": ["SELECT id, total FROM orders WHERE day = $1"],
            },
            "params": {
                "description": "what stands for $1, $2 ...",
                "type": "array",
                "maxItems": 100,
                "items": {
                    "type": ["string", "number", "boolean", "null"],
                    "maxLength": 100_000,
                    "pattern": "^[^\\u0000]*$",
                },
            },
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["columns", "rows", "more"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "rows": {"type": "array", "items": {"type": "object"}},
            "more": {"type": "boolean", "description": "there were more rows than are given"},
        },
        "additionalProperties": False,
    },
    effect="read",
    outside=True,
    narrows={"databases": {"type": "array", "items": DATABASE, "minItems": 1, "uniqueItems": True}},
    errors=("not_configured", "no_secret", "denied", "bad_query", "too_large", "time_out", "unavailable"),
)
def query(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    name = args["database"]
    database = environment.settings.sql.get(name)
    if database is None:
        raise HostFailure("not_configured", f"there is no database '{name}': ritesmith.toml has no [sql.{name}]")
    answer = _asked(name, database.seconds, _question(args, database, environment))
    if "error" in answer:
        error = answer["error"]
        message = f"database '{name}': {error['message']}"
        raise HostFailure(error["code"], message[:1000], retryable=error["retryable"], details=error["details"])
    if reply_bytes(answer) > REPLY_BYTES_MAX:
        raise HostFailure("too_large", f"database '{name}': the rows have more than {REPLY_BYTES_MAX} bytes")
    return answer


def _question(args: dict[str, Any], database: SqlSettings, environment: HostEnvironment) -> dict[str, Any]:
    local = database.url.startswith("sqlite:")
    return {
        "engine": "sqlite" if local else "postgres",
        "target": _file(database, environment.settings) if local else database.url,
        "password": None if database.password is None else environment.secret(database.password),
        "psycopg": "" if local else _psycopg(),
        "sql": args["sql"],
        "params": args.get("params", []),
        "rows_max": database.rows_max,
        "bytes_max": REPLY_BYTES_MAX,
        "seconds": database.seconds,
    }


def _file(database: SqlSettings, settings: Settings) -> str:
    path = settings.folder.resolve() / database.url.removeprefix("sqlite:")
    return f"{path.as_uri()}?mode=ro"


def _psycopg() -> str:
    """The folder to import psycopg from: `python -I` does not see every place that this process sees."""
    found = importlib.util.find_spec("psycopg")
    if found is None or found.origin is None:
        raise HostFailure("not_configured", "PostgreSQL needs psycopg: pip install 'ritesmith[postgres]'")
    return str(Path(found.origin).parent.parent)


def _asked(name: str, seconds: float, question: dict[str, Any]) -> dict[str, Any]:
    """Have the reader answer. It knows nothing of this process's environment but where temporary files go."""
    slow = HostFailure("time_out", f"database '{name}': no answer within {seconds:g} seconds", retryable=True)
    grace = 0.0 if question["engine"] == "sqlite" else _GRACE_SECONDS
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(READER)],
            input=json.dumps({**question, "grace": grace}).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={key: os.environ[key] for key in ("TMPDIR", "SQLITE_TMPDIR") if key in os.environ},
            timeout=seconds + grace + START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise slow from None
    except OSError as error:
        message = f"database '{name}': its reader cannot be started: {error.strerror}"
        raise HostFailure("unavailable", message, retryable=True) from None
    if done.returncode == -signal.SIGALRM:
        raise slow
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        message = f"database '{name}': its reader ended without an answer (exit {done.returncode})"
        raise HostFailure("unavailable", message) from None
    return answer
