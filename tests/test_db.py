"""The registry file: what is opened, what is refused, and what a crash or a full disk leaves of it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ritesmith import db
from ritesmith.db import APPLICATION_ID, SCHEMA_VERSION, find_db, open_db, open_throwaway, transaction
from ritesmith.errors import StoreError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_db(file)) as made:
        yield made


def tables(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def value(connection: sqlite3.Connection, pragma: str) -> object:
    return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


def python(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)], capture_output=True, text=True, timeout=60
    )


# ---------------------------------------------------------------- opening


def test_a_new_file_has_the_schema_and_says_whose_it_is(connection: sqlite3.Connection) -> None:
    assert {"artifacts", "aliases", "decisions", "runs", "entries", "store", "meta"} <= tables(connection)
    assert (value(connection, "application_id"), value(connection, "user_version")) == (APPLICATION_ID, SCHEMA_VERSION)
    assert value(connection, "journal_mode") == "wal"
    assert value(connection, "foreign_keys") == 1


@pytest.mark.parametrize(("asked", "level"), [("full", 2), ("normal", 1)])
def test_durability_is_full_unless_less_is_asked_for(file: Path, asked: str, level: int) -> None:
    with closing(open_db(file, synchronous=asked)) as connection:  # type: ignore[arg-type]
        assert value(connection, "synchronous") == level
    with closing(open_db(file)) as connection:
        assert value(connection, "synchronous") == 2


def test_a_file_opens_again_with_what_was_in_it(file: Path) -> None:
    with closing(open_db(file)) as connection, transaction(connection):
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
    with closing(open_db(file)) as connection:
        assert connection.execute("SELECT value FROM meta").fetchone()["value"] == "b"


def test_a_throwaway_registry_has_the_same_schema_and_nothing_in_it(connection: sqlite3.Connection) -> None:
    with closing(open_throwaway()) as first, closing(open_throwaway()) as second:
        assert tables(first) == tables(connection)
        with transaction(first):
            first.execute("INSERT INTO meta VALUES ('a', 'b')")
        assert second.execute("SELECT count(*) FROM meta").fetchone()[0] == 0


@pytest.mark.parametrize("content", [b"hello, this is a text file\n" * 50, b"\0" * 4096], ids=["text", "zeros"])
def test_a_file_that_is_not_sqlite_is_refused_and_left_as_it_is(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"registry\.db' is not a SQLite file") as caught:
        open_db(file)
    assert caught.value.hint
    assert file.read_bytes() == content
    assert [each.name for each in file.parent.iterdir()] == ["registry.db"]


def test_another_programs_sqlite_file_is_refused_and_left_as_it_is(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("CREATE TABLE customers (name TEXT)")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="is a SQLite file, but not a RiteSmith registry"):
        open_db(file)
    assert file.read_bytes() == before


def test_a_file_with_another_programs_mark_is_refused(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("PRAGMA application_id = 1196444487")
    with pytest.raises(StoreError, match="not a RiteSmith registry"):
        open_db(file)


def test_a_file_of_a_newer_program_is_refused_and_left_as_it_is(file: Path) -> None:
    open_db(file).close()
    with closing(sqlite3.connect(file)) as newer, newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = file.read_bytes()
    with pytest.raises(StoreError, match=f"newer RiteSmith .schema {SCHEMA_VERSION + 1}") as caught:
        open_db(file)
    assert "upgrade" in caught.value.hint
    assert file.read_bytes() == before


def test_a_place_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no folder") as caught:
        open_db(tmp_path / "gone" / "registry.db")
    assert str(tmp_path / "gone") in caught.value.message
    assert caught.value.hint == "make the folder first"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it is a folder"):
        open_db(tmp_path)


def test_the_file_that_is_meant(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_db(None, deep, {}) == deep / "registry.db"
    (tmp_path / "registry.db").touch()
    assert find_db(None, deep, {}) == tmp_path / "registry.db"
    assert find_db(None, deep, {"RITESMITH_DB": "x.db"}) == Path("x.db")
    assert find_db("y.db", deep, {"RITESMITH_DB": "x.db"}) == Path("y.db")


# ---------------------------------------------------------------- transactions


def insert_and_fail(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
        raise ZeroDivisionError


def test_a_transaction_is_whole_or_not_at_all(connection: sqlite3.Connection) -> None:
    with pytest.raises(ZeroDivisionError):
        insert_and_fail(connection)
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 0


def test_a_transaction_inside_another_is_a_part_of_it(connection: sqlite3.Connection) -> None:
    with pytest.raises(ZeroDivisionError), transaction(connection):
        insert_and_fail(connection)
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 0


def test_an_interrupt_right_after_the_beginning_leaves_no_transaction_open(connection: sqlite3.Connection) -> None:
    class Interrupted:
        def __getattr__(self, name: str) -> object:
            return getattr(connection, name)

        def execute(self, sql: str) -> object:
            done = connection.execute(sql)
            if sql.startswith("BEGIN"):
                raise KeyboardInterrupt
            return done

    with pytest.raises(KeyboardInterrupt), transaction(Interrupted()):  # type: ignore[arg-type]
        pytest.fail("it was interrupted before")
    assert not connection.in_transaction


def test_a_locked_file_is_a_store_error_for_writers(file: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked by another process") as caught, transaction(connection):
            pytest.fail("nothing may be written under another's lock")
    assert "try again" in caught.value.hint
    with transaction(connection):
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")


def test_a_broken_constraint_stays_what_it_is(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.execute("INSERT INTO meta VALUES ('a', 'c')")
    assert not connection.in_transaction


def test_a_file_that_may_not_be_written_is_a_store_error() -> None:
    # In a process of its own without rights: root may write everywhere.
    done = python(
        """
        import os, pathlib, sqlite3, tempfile
        from ritesmith.db import open_db, transaction
        from ritesmith.errors import StoreError
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            file = pathlib.Path(folder) / "registry.db"
            open_db(file).close()
            os.chmod(file, 0o444)
            if os.getuid() == 0:
                child = os.fork()
                if child:
                    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
                os.setuid(65534)
            else:
                os.chmod(folder, 0o555)
            try:
                with transaction(open_db(file)) as connection:
                    connection.execute("INSERT INTO meta VALUES ('a', 'b')")
            except StoreError as error:
                print(error.message, "|", error.hint, flush=True)
            finally:
                if os.getuid() == 65534:
                    os._exit(0)
                os.chmod(folder, 0o755)
        """
    )
    assert done.returncode == 0, done.stderr
    assert "registry.db' cannot be written" in done.stdout or "cannot be opened" in done.stdout, done
    assert "writable" in done.stdout


# ---------------------------------------------------------------- migrations


def test_an_interrupted_migration_leaves_the_file_whole_and_is_made_up_for(file: Path) -> None:
    class Stop(BaseException):
        pass

    steps = [0]

    def trace(statement: str) -> None:
        steps[0] += statement.startswith(("CREATE", "INSERT", "PRAGMA"))

    with closing(sqlite3.connect(file, isolation_level=None)) as counted:
        counted.set_trace_callback(trace)
        counted.row_factory = sqlite3.Row
        db._migrate(counted, None, 1.0)
    file.unlink()
    assert steps[0] > 10
    for at in range(1, steps[0] + 1):
        left = [at]

        def interrupt(action: int, *_: object, left: list[int] = left) -> int:
            left[0] -= 1
            return sqlite3.SQLITE_DENY if left[0] == 0 else sqlite3.SQLITE_OK

        with closing(sqlite3.connect(file, isolation_level=None)) as broken:
            broken.row_factory = sqlite3.Row
            broken.set_authorizer(interrupt)
            with pytest.raises((sqlite3.Error, StoreError)):
                db._migrate(broken, None, 1.0)
            broken.set_authorizer(None)
            assert not broken.in_transaction
            assert (tables(broken), value(broken, "user_version")) == (set(), 0), f"stopped at {at}"
    with closing(open_db(file)) as connection:
        assert "runs" in tables(connection)


def test_a_process_that_is_killed_while_it_makes_the_file_leaves_one_that_opens(file: Path) -> None:
    done = python(
        """
        import os, signal, sys
        from ritesmith import db
        real = db._migrations
        def half():
            migrations = real()
            apply = migrations.apply
            def then_die(database):
                apply(database)
                os.kill(os.getpid(), signal.SIGKILL)
            migrations.apply = then_die
            return migrations
        db._migrations = half
        db.open_db(sys.argv[1])
        """,
        file,
    )
    assert done.returncode == -9, done.stderr
    with closing(open_db(file)) as connection:
        assert value(connection, "user_version") == SCHEMA_VERSION
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_processes_that_open_a_new_file_at_once_all_find_it_made(tmp_path: Path) -> None:
    code = """
        import sys
        from ritesmith.db import open_db
        import ritesmith.db, sqlite_utils
        print("ready", flush=True)
        for line in sys.stdin:
            connection = open_db(line.strip())
            print(connection.execute("SELECT count(*) FROM runs").fetchone()[0], flush=True)
        """
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    try:
        for each in openers:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for number in range(15):
            for each in openers:
                assert each.stdin is not None
                each.stdin.write(f"{tmp_path / str(number)}.db\n")
                each.stdin.flush()
            assert [each.stdout.readline() for each in openers if each.stdout] == ["0\n"] * 4
    finally:
        for each in openers:
            each.kill()
            each.communicate()
