"""The one SQLite file: opening it with the right pragmas, and the one ordered list of migrations.

Durability follows https://sqlite.org/pragma.html#pragma_synchronous: WAL with `synchronous=FULL` loses no committed
transaction on power failure; `NORMAL` may lose the last ones but never corrupts the file.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ritesmith.errors import Conflict, StoreError

if TYPE_CHECKING:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

APPLICATION_ID = 0x52534D54  # "RSMT": tells our file from any other SQLite file
SCHEMA_VERSION = 8
"""Number of migrations below; kept in `PRAGMA user_version`, so that an up-to-date file opens without asking more."""

CACHE_KIB = 16_384
"""Of pages that were read, taken as they come; SQLite's own 2 MiB hold too little of an index of 100,000 artifacts."""

FILLING_SECONDS = 300.0
"""How long to wait while another process fills a new file: it tries every bundled artifact, maybe on a busy machine."""

MEMORY = ":memory:"


Upgraded = Callable[[sqlite3.Connection, int], object]
"""Told of an older file in the transaction that brings it to the current schema, with the version that it had."""


def open_db(
    path: str | Path,
    *,
    synchronous: Literal["full", "normal"] = "full",
    busy_seconds: float = 10.0,
    on_upgrade: Upgraded | None = None,
) -> sqlite3.Connection:
    """Open (or make) the registry file and bring it to the current schema; the connection is in autocommit mode.

    Every change is made inside `transaction(connection)`. What `on_upgrade` raises leaves the file as it was. Raises
    StoreError when the file is not ours, is newer than this program, is locked for longer than `busy_seconds` (one that
    another process is making: than FILLING_SECONDS), or lies where it cannot be made.
    """
    name = str(path)
    try:
        return _connect(name, name, synchronous, busy_seconds, on_upgrade)
    except sqlite3.Error as error:
        if not _only_readable(name):
            raise store_error(name, error) from None
    # WAL wants to write beside the file even to read it, unless it is told that nobody writes
    # (https://sqlite.org/wal.html#readonly). What wants to write is then refused by SQLite itself.
    target = f"{Path(name).absolute().as_uri()}?mode=ro&immutable=1"
    try:
        return _connect(target, name, synchronous, busy_seconds, on_upgrade)
    except sqlite3.Error as error:
        raise store_error(name, error) from None


def _connect(
    target: str, name: str, synchronous: str, busy_seconds: float, on_upgrade: Upgraded | None
) -> sqlite3.Connection:
    uri = target != name
    connection = sqlite3.connect(target, timeout=busy_seconds, isolation_level=None, check_same_thread=False, uri=uri)
    try:
        connection.row_factory = sqlite3.Row
        _prepare(connection, name, synchronous, busy_seconds, on_upgrade, wal=not uri and name != MEMORY)
    except BaseException:
        connection.close()
        raise
    return connection


def _only_readable(name: str) -> bool:
    """Whether the file lies there complete, and neither it nor its folder can be written by this process."""
    file = Path(name).absolute()
    unfinished = file.with_name(file.name + "-wal")
    return (
        file.is_file()
        and not os.access(file, os.W_OK)
        and not os.access(file.parent, os.W_OK)
        and not (unfinished.exists() and unfinished.stat().st_size)
    )


def open_throwaway() -> sqlite3.Connection:
    """A registry in memory with the current schema and nothing in it; cheap to make again and again."""
    connection = sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False)
    connection.deserialize(_empty_registry())
    connection.row_factory = sqlite3.Row
    return connection


@functools.cache
def _empty_registry() -> bytes:
    with closing(open_db(MEMORY)) as template:
        return template.serialize()


def find_db(given: str | Path | None, folder: Path, environment: dict[str, str] | os._Environ[str]) -> Path:
    """Which registry file is meant: `--db`, `RITESMITH_DB`, the nearest `registry.db` upward, else `./registry.db`."""
    chosen = given or environment.get("RITESMITH_DB")
    if chosen:
        return Path(chosen)
    for place in (folder, *folder.parents):
        if (place / "registry.db").is_file():
            return place / "registry.db"
    return folder / "registry.db"


@contextmanager
def transaction(connection: sqlite3.Connection, *, busy_seconds: float | None = None) -> Iterator[sqlite3.Connection]:
    """One write transaction, whole or not at all; inside another one it is simply a part of that.

    `busy_seconds`: how long to wait for another process's, where that is known to take longer than usual.
    """
    if connection.in_transaction:
        yield connection
        return
    try:
        if busy_seconds is None:
            connection.execute("BEGIN IMMEDIATE")
        else:
            usual = connection.execute("PRAGMA busy_timeout").fetchone()[0]
            connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
            try:
                connection.execute("BEGIN IMMEDIATE")
            finally:
                connection.execute(f"PRAGMA busy_timeout = {usual}")
        yield connection
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError):
            raise store_error(_file_of(connection), error) from None
        raise


def _prepare(
    connection: sqlite3.Connection,
    name: str,
    synchronous: str,
    busy_seconds: float,
    on_upgrade: Upgraded | None,
    *,
    wal: bool,
) -> None:
    # One statement, so one moment: another process may be making the file between two.
    version, owner, tables = connection.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if owner not in (0, APPLICATION_ID) or (owner == 0 and tables):
        raise StoreError(
            f"'{name}' is a SQLite file, but not a RiteSmith registry",
            hint="name another file with --db or RITESMITH_DB",
        )
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"'{name}' was written by a newer RiteSmith (schema {version}; this program knows {SCHEMA_VERSION})",
            hint="upgrade ritesmith, or name another file with --db",
        )
    if wal:
        _use_wal(connection, busy_seconds)
    connection.execute(f"PRAGMA synchronous = {synchronous.upper()}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    if version < SCHEMA_VERSION:
        # Who was first to make a file may fill it before the second comes to this.
        _migrate(connection, on_upgrade, FILLING_SECONDS if version == 0 else busy_seconds)


def _use_wal(connection: sqlite3.Connection, busy_seconds: float) -> None:
    # SQLite waits for a lock, but not for this change: where two make it in a new file at once, one is told "locked".
    until = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
            time.sleep(0.01)


def _migrate(connection: sqlite3.Connection, on_upgrade: Upgraded | None, busy_seconds: float) -> None:
    from sqlite_utils import Database

    # One transaction around all: two processes that open a new file at once queue here, and the second finds it done.
    with transaction(connection, busy_seconds=busy_seconds):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        _migrations().apply(Database(connection, execute_plugins=False))
        if on_upgrade is not None and 0 < version < SCHEMA_VERSION:
            on_upgrade(connection, version)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _migrations() -> Migrations:
    from sqlite_utils.migrations import Migrations

    migrations = Migrations("ritesmith")

    @migrations()
    def m001_artifacts_journal_store(db: Database) -> None:
        db.table("meta").create({"key": str, "value": str}, pk="key", strict=True)
        db.table("artifacts").create(
            {
                "digest": str,
                "kind": str,
                "name": str,
                "version": int,
                "text": str,
                "canonical": str,
                "status": str,
                "effect": str,
                "risk": str,
                "created_at": float,
                "provenance": str,
            },
            pk="digest",
            not_null={"kind", "name", "version", "text", "status"},
            strict=True,
        )
        db.table("artifacts").create_index(["name", "version"], unique=True)
        db.table("artifacts").create_index(["canonical"])
        db.table("aliases").create(
            {"phrase": str, "name": str, "said": str, "evidence": str, "created_at": float},
            pk=["phrase", "name"],
            strict=True,
        )
        db.table("decisions").create(
            {"id": int, "at": float, "intent": str, "tier": str, "artifact": str, "reason": str, "report": str},
            pk="id",
            strict=True,
        )
        # bm25 weights the columns; porter makes "refunds" meet "refund" (https://sqlite.org/fts5.html).
        db.execute(
            "CREATE VIRTUAL TABLE search USING fts5(name, intent, description, words, artifact UNINDEXED,"
            " tokenize='porter unicode61')"
        )
        db.table("runs").create(
            {
                "id": str,
                "workflow": str,
                "digest": str,
                "status": str,
                "outcome": str,
                "started_at": float,
                "updated_at": float,
                "due_at": float,
                "seq": int,
                "idempotency_key": str,
                "input_digest": str,
                "lease_owner": str,
                "lease_until": float,
                "fence": int,
            },
            pk="id",
            not_null={"workflow", "digest", "status", "fence"},
            strict=True,
        )
        db.table("runs").create_index(["idempotency_key"], unique=True)
        db.table("runs").create_index(["status", "due_at"])
        db.execute(
            "CREATE TABLE entries (run TEXT NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL,"
            " node TEXT NOT NULL, attempt INTEGER NOT NULL, data TEXT NOT NULL, hash TEXT NOT NULL,"
            " PRIMARY KEY (run, seq)) STRICT, WITHOUT ROWID"
        )
        db.execute(
            "CREATE TABLE store (namespace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
            " version INTEGER NOT NULL, updated_at REAL NOT NULL, PRIMARY KEY (namespace, key)) STRICT, WITHOUT ROWID"
        )

    @migrations()
    def m002_children_messages(db: Database) -> None:
        db.table("runs").add_column("parent", str)
        db.execute("CREATE INDEX runs_parent ON runs (parent) WHERE parent IS NOT NULL")
        db.execute(
            # No number is given twice: whoever sent a message looks for what came of that very one.
            "CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, kind TEXT NOT NULL,"
            " data TEXT NOT NULL, at REAL NOT NULL) STRICT"
        )
        db.execute("CREATE INDEX messages_run ON messages (run)")

    @migrations()
    def m003_numbered_runs_entries_in_order(db: Database) -> None:
        # Entries that share a commit lie side by side, whatever run they belong to: few pages are written. They know
        # their run by its number, which is short; sqlite-utils made `runs` without one that lasts.
        db.execute("ALTER TABLE runs RENAME TO runs_before")
        db.execute("ALTER TABLE entries RENAME TO entries_before")
        db.execute(
            "CREATE TABLE runs (number INTEGER PRIMARY KEY, id TEXT NOT NULL, workflow TEXT NOT NULL,"
            " digest TEXT NOT NULL, status TEXT NOT NULL, outcome TEXT, started_at REAL, updated_at REAL, due_at REAL,"
            " seq INTEGER, idempotency_key TEXT, input_digest TEXT, lease_owner TEXT, lease_until REAL,"
            " fence INTEGER NOT NULL, parent TEXT) STRICT"
        )
        db.execute("INSERT INTO runs SELECT NULL, * FROM runs_before ORDER BY started_at, id")
        db.execute(
            "CREATE TABLE entries (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL,"
            " at REAL NOT NULL, kind TEXT NOT NULL, node TEXT NOT NULL, attempt INTEGER NOT NULL, data TEXT NOT NULL,"
            " hash BLOB NOT NULL) STRICT"
        )
        db.conn.create_function("hash_bytes", 1, _hash_bytes, deterministic=True)
        db.execute(
            "INSERT INTO entries (run, seq, at, kind, node, attempt, data, hash)"
            " SELECT runs.number, before.seq, at, kind, node, attempt, data, hash_bytes(hash)"
            " FROM runs JOIN entries_before AS before ON before.run = runs.id ORDER BY runs.number, before.seq"
        )
        db.execute("DROP TABLE entries_before")
        db.execute("DROP TABLE runs_before")
        db.execute("CREATE UNIQUE INDEX runs_id ON runs (id)")
        db.execute("CREATE UNIQUE INDEX runs_idempotency_key ON runs (idempotency_key)")
        db.execute("CREATE INDEX runs_due ON runs (status, due_at)")
        db.execute("CREATE INDEX runs_parent ON runs (parent) WHERE parent IS NOT NULL")
        db.execute("CREATE UNIQUE INDEX entries_run ON entries (run, seq)")

    @migrations()
    def m004_findable(db: Database) -> None:
        # A row of the index is reached by its number only; `number` is that of the artifact, and lasts.
        db.execute("CREATE TABLE findable (number INTEGER PRIMARY KEY, artifact TEXT NOT NULL UNIQUE) STRICT")
        db.execute("INSERT INTO findable (number, artifact) SELECT rowid, artifact FROM search")
        db.execute("CREATE INDEX aliases_name ON aliases (name)")
        db.execute("CREATE INDEX artifacts_active ON artifacts (name, version) WHERE status = 'active'")

    @migrations()
    def m005_signatures_status_reasons_tags_parts(db: Database) -> None:
        for column in (
            "reason TEXT NOT NULL DEFAULT ''",
            "signer TEXT",
            "signature BLOB",
            "status_signer TEXT",
            "status_signature BLOB",
        ):
            db.execute(f"ALTER TABLE artifacts ADD COLUMN {column}")
        db.execute(
            "CREATE TABLE tags (name TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, by TEXT NOT NULL,"
            " at REAL NOT NULL, PRIMARY KEY (name, tag)) STRICT, WITHOUT ROWID"
        )
        # What a workflow is pinned to, once more as rows, so that "used by" need not read every workflow.
        db.execute(
            "CREATE TABLE parts (digest TEXT NOT NULL, part TEXT NOT NULL, PRIMARY KEY (digest, part))"
            " STRICT, WITHOUT ROWID"
        )
        db.execute("CREATE INDEX parts_part ON parts (part)")
        db.execute(
            "INSERT OR IGNORE INTO parts SELECT digest, pins.value FROM artifacts,"
            " json_each(CASE WHEN json_valid(provenance) THEN provenance ELSE '{}' END, '$.pins') AS pins"
        )
        # The highest version of a name that was pruned: a version is never given twice.
        db.execute("CREATE TABLE pruned (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID")
        db.execute("CREATE INDEX decisions_artifact ON decisions (artifact)")

    @migrations()
    def m006_spending(db: Database) -> None:
        # What calls of a language model may have cost: one that was sent and never answered is in no journal.
        db.execute(
            "CREATE TABLE spending (id INTEGER PRIMARY KEY, run TEXT NOT NULL, call TEXT NOT NULL, at REAL NOT NULL,"
            " tokens INTEGER NOT NULL, cost REAL NOT NULL, settled INTEGER NOT NULL) STRICT"
        )
        db.execute("CREATE INDEX spending_run ON spending (run)")

    @migrations()
    def m007_vectors(db: Database) -> None:
        db.execute(
            "CREATE TABLE vectors (id INTEGER PRIMARY KEY, phrase TEXT NOT NULL, name TEXT NOT NULL,"
            " model TEXT NOT NULL, text_hash BLOB NOT NULL, vector BLOB NOT NULL, UNIQUE (phrase, name)) STRICT"
        )

    @migrations()
    def m008_model_calls(db: Database) -> None:
        # A row is there before the call is sent: one that a crash cut off shows as sent, and nobody knows its tokens.
        db.execute(
            "CREATE TABLE model_calls (id INTEGER PRIMARY KEY, at REAL NOT NULL, forge TEXT NOT NULL,"
            " intent TEXT NOT NULL, purpose TEXT NOT NULL, model TEXT NOT NULL, server TEXT NOT NULL,"
            " outcome TEXT NOT NULL, requests INTEGER NOT NULL, tokens_in INTEGER, tokens_cached INTEGER,"
            " tokens_out INTEGER, seconds REAL, cost REAL) STRICT"
        )
        db.execute("CREATE INDEX model_calls_at ON model_calls (at)")
        db.execute(
            "CREATE TABLE model_servers (server TEXT NOT NULL, model TEXT NOT NULL, without TEXT NOT NULL,"
            " PRIMARY KEY (server, model)) STRICT, WITHOUT ROWID"
        )

    return migrations


def _hash_bytes(text: str) -> bytes:
    """A hash that was written as hexadecimal digits; what an edit has made of one stays wrong."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()


def damage(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the file, in its own words, at most ten things; empty when it is sound."""
    return [row[0] for row in connection.execute("PRAGMA integrity_check(10)") if row[0] != "ok"]


def backup(connection: sqlite3.Connection, file: Path) -> int:
    """Copy the registry as it stands into a new file, whole or not at all, while others use it; return its bytes.

    By https://sqlite.org/backup.html, in one go: those who write meanwhile write into the log. Raises Conflict when the
    file is there, StoreError when it cannot be written or what was copied is damaged.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with closing(sqlite3.connect(part)) as copy:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, to be carried around
            wrong = damage(copy)
        if wrong:
            raise StoreError(f"'{_file_of(connection)}' is damaged: {wrong[0]}", hint="keep your last good backup")
        os.link(part, file)
        return file.stat().st_size
    except sqlite3.Error as error:
        raise store_error(str(file), error) from None
    except FileExistsError:
        raise Conflict(f"there is a file '{file}' already", hint="name another one") from None
    except OSError as error:
        raise StoreError(f"'{file}' could not be written: {error.strerror}") from None
    finally:
        for rest in (part, part.with_name(f"{part.name}-journal")):
            rest.unlink(missing_ok=True)


def _file_of(connection: sqlite3.Connection) -> str:
    row = connection.execute("PRAGMA database_list").fetchone()
    return row[2] or MEMORY


def read_error(name: str, error: BaseException | None) -> StoreError | None:
    """What SQLite raised outside a transaction, where reading a damaged file can fail anywhere, as a StoreError.

    None for anything else, also for the kinds of sqlite3.Error that are a program's own mistakes.
    """
    if isinstance(error, sqlite3.Error) and type(error) in (sqlite3.DatabaseError, sqlite3.OperationalError):
        return store_error(name, error)
    return None


def store_error(name: str, error: sqlite3.Error) -> StoreError:
    """SQLite's own words, turned into what happened and what to do."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return StoreError(f"'{name}' is locked by another process", hint="try again when that process has finished")
    if "not a database" in text or "malformed" in text:
        return StoreError(f"'{name}' is not a SQLite file, or is damaged ({text})", hint="restore it, or name another")
    if "readonly" in text or "read-only" in text:
        return StoreError(f"'{name}' cannot be written: {text}", hint="make it writable, or name another with --db")
    if "unable to open" in text:
        folder = Path(name).resolve().parent
        if Path(name).is_dir():
            file = Path(name) / "registry.db"
            return StoreError(f"'{name}' cannot be opened: it is a folder", hint=f"name the file: --db '{file}'")
        if not folder.is_dir():
            return StoreError(f"'{name}' cannot be opened: there is no folder '{folder}'", hint="make the folder first")
        return StoreError(
            f"'{name}' cannot be opened or made in '{folder}'", hint="make the folder writable, or use --db elsewhere"
        )
    if "disk is full" in text or "disk I/O" in text:
        return StoreError(f"'{name}' could not be written: {text}", hint="nothing was committed; free some space")
    return StoreError(f"'{name}': {text}")
