"""`sql.query`: what two real databases answer, and that nothing gets through to them but a question."""

import hashlib
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
from host_calls import Caller

from ritesmith.errors import InvalidInput
from ritesmith.hosts import CATALOG, outside_grant
from ritesmith.hosts import sql as queries
from ritesmith.settings import Settings, SqlSettings, load_settings

PASSWORD = "correct horse battery"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS n FROM c"


@pytest.fixture
def home(tmp_path):
    with closing(sqlite3.connect(tmp_path / "sales.db")) as made:
        made.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL, photo BLOB);"
            "INSERT INTO orders VALUES (1, 'Ann', 10.5, x'00ff'), (2, 'Böb', 9e999, NULL), (3, NULL, -3, x'');"
            "CREATE VIRTUAL TABLE notes USING fts5(words); INSERT INTO notes VALUES ('hello world');"
        )
        made.commit()
    return tmp_path


def sales(home, url="sqlite:sales.db", **more):
    return Caller(Settings(sql={"sales": SqlSettings(url=url, **more)}, folder=home))


@pytest.fixture
def call(home):
    with sales(home) as caller:
        yield caller


def files(folder):
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}


# ---------------------------------------------------------------- what works


def test_rows_come_typed_with_their_names(call):
    got = call("sql.query", database="sales", sql="SELECT * FROM orders ORDER BY id")
    assert got == {
        "columns": ["id", "customer", "total", "photo"],
        "rows": [
            {"id": 1, "customer": "Ann", "total": 10.5, "photo": "AP8="},
            {"id": 2, "customer": "Böb", "total": "Infinity", "photo": None},
            {"id": 3, "customer": None, "total": -3.0, "photo": ""},
        ],
        "more": False,
    }
    empty = call("sql.query", database="sales", sql="SELECT id FROM orders WHERE id = 99")
    assert empty == {"columns": ["id"], "rows": [], "more": False}


def test_parameters_are_values_whatever_stands_in_them(call):
    sql = "SELECT id, $2 AS said FROM orders WHERE customer = $1"
    for word in ("'; DROP TABLE orders; --", "$1", "Ann'"):
        got = call("sql.query", database="sales", sql=sql, params=["Ann", word])
        assert got["rows"] == [{"id": 1, "said": word}]
        assert call("sql.query", database="sales", sql=sql, params=[word, None])["rows"] == []
    got = call("sql.query", database="sales", sql="SELECT $1 AS a, $2 AS b, $3 AS c", params=[True, 1.5, None])
    assert got["rows"] == [{"a": 1, "b": 1.5, "c": None}]


def test_full_text_search_and_windows_are_reading_too(call):
    assert call("sql.query", database="sales", sql="SELECT words FROM notes WHERE notes MATCH 'hello'")["rows"]
    ranked = "SELECT id, row_number() OVER (ORDER BY id DESC) AS place FROM orders"
    assert len(call("sql.query", database="sales", sql=ranked)["rows"]) == 3


# ---------------------------------------------------------------- wrong type, oversized


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"database": "sales"},
        {"database": 1, "sql": "SELECT 1"},
        {"database": "../sales", "sql": "SELECT 1"},
        {"database": "sales", "sql": ["SELECT 1"]},
        {"database": "sales", "sql": ""},
        {"database": "sales", "sql": "SELECT 1\0"},
        {"database": "sales", "sql": "x" * 20_001},
        {"database": "sales", "sql": "SELECT $1", "params": "Ann"},
        {"database": "sales", "sql": "SELECT $1", "params": [["Ann"]]},
        {"database": "sales", "sql": "SELECT $1", "params": [{"a": 1}]},
        {"database": "sales", "sql": "SELECT 1", "params": [1] * 101},
        {"database": "sales", "sql": "SELECT $1", "params": ["x" * 100_001]},
        {"database": "sales", "sql": "SELECT 1", "rows": 5},
    ],
    ids=lambda args: repr(args)[:60],
)
def test_arguments_of_another_shape_are_refused(call, args):
    assert call.fails("sql.query", **args).code == "bad_argument"


@pytest.mark.parametrize(
    ("sql", "params", "words"),
    [
        ("SELEC 1", [], "syntax error"),
        ("SELECT none FROM orders", [], "no such column"),
        ("SELECT 1 AS a; SELECT 2 AS b", [], "one statement"),
        ("SELECT $1 AS a", [], "asks for parameter $1, 0 are given"),
        ("SELECT $1 AS a", [1, 2], "uses 1 parameters, 2 are given"),
        ("SELECT 1 AS a", [1], "uses 0 parameters, 1 are given"),
        ("SELECT ? AS a", [1], "parameters are $1, $2"),
        ("SELECT 1 AS a, 2 AS a", [], "two columns are called 'a'"),
        ("SELECT $1 AS a", [2**70], "too large"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_so(call, sql, params, words):
    error = call.fails("sql.query", database="sales", sql=sql, params=params)
    assert (error.code, error.retryable) == ("bad_query", False)
    assert words in error.message


def test_rows_beyond_the_cap_are_cut_and_that_is_said(home):
    with sales(home, rows_max=2) as call:
        got = call("sql.query", database="sales", sql="SELECT id FROM orders ORDER BY id")
        assert ([row["id"] for row in got["rows"]], got["more"]) == ([1, 2], True)
        got = call("sql.query", database="sales", sql="SELECT id FROM orders ORDER BY id LIMIT 2")
        assert (len(got["rows"]), got["more"]) == (2, False)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT printf('%.*c', 600000, 'a') AS a, printf('%.*c', 600000, 'b') AS b",
        "SELECT zeroblob(5000000) AS a",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 900)"
        " SELECT printf('%.*c', 5000, 'a') AS a FROM c",
    ],
    ids=["a row", "a value", "all rows"],
)
def test_more_bytes_than_a_script_takes_are_too_large(call, sql):
    error = call.fails("sql.query", database="sales", sql=sql)
    assert (error.code, error.retryable) == ("too_large", False)


# ---------------------------------------------------------------- denied


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO orders VALUES (9, 'x', 1, NULL)",
        "UPDATE orders SET total = 0",
        "DELETE FROM orders RETURNING id",
        "WITH x AS (SELECT 1) DELETE FROM orders",
        "REPLACE INTO orders VALUES (1, 'x', 1, NULL)",
        "UPDATE sqlite_master SET sql = ''",
        "WITH x AS (SELECT 1) UPDATE sqlite_master SET type = 'x' WHERE 1 IN x",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "CREATE VIEW x AS SELECT 1",
        "DROP TABLE orders",
        "ALTER TABLE orders ADD COLUMN x",
        "ATTACH 'other.db' AS other",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "REINDEX",
        "ANALYZE",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT x",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA data_version",
        "PRAGMA table_info(orders)",
        "SELECT * FROM pragma_table_info('orders')",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('x') AS x",
        "INSERT INTO notes(notes) VALUES ('rebuild')",
        "-- nothing",
    ],
)
def test_what_is_not_a_question_gets_nowhere(home, call, sql):
    before = files(home)
    assert call.fails("sql.query", database="sales", sql=sql).code == "denied"
    assert files(home) == before
    assert call("sql.query", database="sales", sql="SELECT count(*) AS n FROM orders")["rows"] == [{"n": 3}]


def test_a_grant_says_which_databases():
    declaration = CATALOG["sql.query"]
    args = {"database": "sales", "sql": "SELECT 1"}
    assert outside_grant(declaration, args, {"databases": ["sales"]}) is None
    refused = outside_grant(declaration, args, {"databases": ["stock"]})
    assert refused == "sql.query: database 'sales' is not granted (granted: stock)"
    assert outside_grant(declaration, args, {}) is not None


# ---------------------------------------------------------------- unavailable, slow, lying


def test_a_database_that_is_not_there_is_not_made(home):
    error = None
    with sales(home, url="sqlite:none.db") as call:
        error = call.fails("sql.query", database="sales", sql="SELECT 1 AS a")
        assert (error.code, error.retryable) == ("unavailable", False)
        error = call.fails("sql.query", database="stock", sql="SELECT 1 AS a")
        assert error.code == "not_configured"
        assert "[sql.stock]" in error.message
    assert not (home / "none.db").exists()


def test_a_file_that_is_no_database_is_unavailable(home):
    (home / "text.db").write_text("This is no database, but long enough to be taken for one. " * 50)
    with sales(home, url="sqlite:text.db") as call:
        assert call.fails("sql.query", database="sales", sql="SELECT * FROM x").code == "unavailable"


def test_a_database_that_somebody_writes_to_is_unavailable_for_now(home):
    with closing(sqlite3.connect(home / "sales.db", isolation_level=None)) as writer, sales(home, seconds=0.2) as call:
        writer.execute("BEGIN EXCLUSIVE")
        error = call.fails("sql.query", database="sales", sql="SELECT * FROM orders")
        assert error.code in ("unavailable", "time_out")
        assert error.retryable


def test_a_question_that_does_not_end_is_ended(home):
    with sales(home, seconds=0.2) as call:
        error = call.fails("sql.query", database="sales", sql=ENDLESS)
        assert (error.code, error.retryable) == ("time_out", True)
        assert "within 0.2 seconds" in error.message
        # A pipe in place of the file: opening it waits for somebody who writes to it.
        (home / "sales.db").unlink()
        os.mkfifo(home / "sales.db")
        assert call.fails("sql.query", database="sales", sql="SELECT * FROM x").code in ("time_out", "unavailable")


def test_a_reader_that_cannot_be_started_or_dies_is_an_answer_too(call, monkeypatch, tmp_path):
    (tmp_path / "reader.py").write_text("print('hello')")
    monkeypatch.setattr(queries, "READER", tmp_path / "reader.py")
    assert call.fails("sql.query", database="sales", sql="SELECT 1 AS a").code == "unavailable"
    monkeypatch.setattr(queries.sys, "executable", str(tmp_path / "no python"))
    error = call.fails("sql.query", database="sales", sql="SELECT 1 AS a")
    assert (error.code, error.retryable) == ("unavailable", True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sales.db", "a database is sqlite:PATH"),
        ("mysql://a@b/c", "a database is sqlite:PATH"),
        ("postgresql://ann:hunter2@db/sales", "a password does not stand in the settings"),
        ("postgresql://ann@db/sales?password=hunter2", "a password does not stand in the settings"),
    ],
)
def test_a_url_of_another_form_is_refused_where_it_stands(tmp_path, url, words):
    (tmp_path / "ritesmith.toml").write_text(f'[sql.sales]\nurl = "{url}"\n')
    with pytest.raises(InvalidInput) as caught:
        load_settings(tmp_path)
    assert words in caught.value.message
    assert "hunter2" not in str(caught.value)


# ---------------------------------------------------------------- PostgreSQL


def programs():
    """The folder of PostgreSQL's own programs, or None."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in places if (each / "initdb").exists() and (each / "pg_ctl").exists()), None)


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL server of this test alone, on a socket in a folder of its own; the URL of its database."""
    pytest.importorskip("psycopg")
    bin = programs()
    if bin is None:
        pytest.skip("PostgreSQL is not installed here")
    user = None if os.getuid() else "postgres"  # it refuses to be started by root
    folder = Path(tempfile.mkdtemp(prefix="rs"))
    try:
        (folder / "password").write_text(PASSWORD)
        if user:
            for each in (folder, folder / "password"):
                shutil.chown(each, user)

        def do(*words):
            subprocess.run(
                list(map(str, words)),
                check=True,
                user=user,
                cwd="/",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        data = folder / "data"
        auth = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--username=ann", "--encoding=UTF8"]
        do(bin / "initdb", "-D", data, "--no-sync", "--locale=C", *auth)
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=20"
        do(bin / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql://ann@/postgres?host={folder}"
        finally:
            do(bin / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remote(url, password=PASSWORD, **more):
    settings = Settings(sql={"sales": SqlSettings(url=url, password="SALES", **more)})
    return Caller(settings, secrets={"SALES": password})


def directly(server, sql):
    import psycopg

    with psycopg.connect(server, password=PASSWORD, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else None


def test_rows_of_postgresql_come_typed(server):
    sql = """SELECT 1::int8 AS a, 1.5::float8 AS b, 12.50::numeric AS c, 'NaN'::float8 AS d, NULL::int AS e, true AS f,
        'x'::text AS g, '\\x00ff'::bytea AS h, date '2027-01-15' AS i, timestamptz '2027-01-15 09:00:00+01' AS j,
        timestamp '2027-01-15 08:00:00.25' AS k, time '08:00' AS l, interval '1 day 2 hours' AS m,
        '{"n": [1, null]}'::jsonb AS n, ARRAY[1, 2] AS o, 'infinity'::timestamptz AS p, 1e30::numeric AS q,
        '6f9619ff-8b86-d011-b42d-00c04fc964ff'::uuid AS r, inet '10.0.0.1' AS s, ARRAY[1.10, NULL]::numeric[] AS t,
        date '0044-03-15 BC' AS u"""
    with remote(server) as call:
        got = call("sql.query", database="sales", sql=sql)
    [row] = got["rows"]
    assert got["columns"] == list(row)
    assert list(row.values()) == [
        *(1, 1.5, "12.50", "NaN", None, True, "x", "AP8=", "2027-01-15", "2027-01-15T08:00:00Z"),
        *("2027-01-15T08:00:00.25", "08:00:00", "P1DT2H", {"n": [1, None]}, [1, 2], "infinity", "1" + "0" * 30),
        *("6f9619ff-8b86-d011-b42d-00c04fc964ff", "10.0.0.1", ["1.10", None], "0044-03-15 BC"),
    ]


def test_parameters_of_postgresql_are_values(server):
    with remote(server) as call:
        sql = "SELECT $1::text AS a, $2 + 1 AS b, $3::bool AS c, $4::date AS d, '%s' AS e"
        got = call("sql.query", database="sales", sql=sql, params=["'; DROP", 41, False, "2027-01-15"])
        assert got["rows"] == [{"a": "'; DROP", "b": 42, "c": False, "d": "2027-01-15", "e": "%s"}]
        error = call.fails("sql.query", database="sales", sql="SELECT $1::int + $2 AS a", params=[1])
        assert error.code == "bad_query"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO orders VALUES (9)",
        "DELETE FROM orders RETURNING id",
        "WITH x AS (DELETE FROM orders RETURNING id) SELECT * FROM x",
        "SELECT 1; COMMIT; DELETE FROM orders",
        "SELECT 1; SET default_transaction_read_only = off; DELETE FROM orders",
        "COMMIT",
        "ROLLBACK",
        "SET TRANSACTION READ WRITE",
        "CREATE TABLE x (a int)",
        "CREATE TEMP TABLE x (a int)",
        "SELECT id INTO x FROM orders",
        "SELECT nextval('counter') AS n",
        "SELECT * FROM orders FOR UPDATE",
        "COPY orders TO PROGRAM 'true'",
        "COPY orders TO STDOUT",
        "LISTEN x",
        "SELECT set_config('transaction_read_only', 'off', true) AS x",
        "DO $$ BEGIN DELETE FROM orders; END $$",
        "VACUUM",
        "SELEC 1",
    ],
)
def test_nothing_but_a_question_gets_through_to_postgresql(server, sql):
    directly(
        server,
        "DROP TABLE IF EXISTS orders; DROP SEQUENCE IF EXISTS counter; CREATE SEQUENCE counter;"
        " CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)",
    )
    with remote(server) as call:
        assert call.fails("sql.query", database="sales", sql=sql).code in ("denied", "bad_query")
    assert directly(server, "SELECT (SELECT count(*) FROM orders), last_value, is_called FROM counter") == [
        (1, 1, False)
    ]


def test_what_a_function_does_in_postgresql_is_undone(server):
    """Some functions write in a transaction that may only read; it is never committed."""
    import psycopg

    with remote(server) as call, psycopg.connect(server, password=PASSWORD, autocommit=True) as listening:
        listening.execute("LISTEN word")
        call.reply("sql.query", {"database": "sales", "sql": "SELECT lo_create(0) AS x"})
        call("sql.query", database="sales", sql="SELECT pg_notify('word', 'said') IS NULL AS x")
        call("sql.query", database="sales", sql="SELECT set_config('statement_timeout', '0', false) AS x")
        assert directly(server, "SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]
        listening.execute("SELECT pg_notify('word', 'the last')")
        assert [each.payload for each in listening.notifies(timeout=10, stop_after=1)] == ["the last"]


def test_postgresql_is_held_to_its_time_rows_and_bytes(server):
    with remote(server, seconds=0.3, rows_max=70) as call:
        error = call.fails("sql.query", database="sales", sql="SELECT pg_sleep(600) AS x")
        assert (error.code, error.retryable) == ("time_out", True)
    with remote(server, rows_max=70) as call:
        got = call("sql.query", database="sales", sql="SELECT x FROM generate_series(1, 1000000) AS x")
        assert ([row["x"] for row in got["rows"]], got["more"]) == (list(range(1, 71)), True)
        got = call("sql.query", database="sales", sql="SELECT x FROM generate_series(1, 70) AS x")
        assert (len(got["rows"]), got["more"]) == (70, False)
        sql = "SELECT repeat('x', 100000) AS a FROM generate_series(1, 60)"
        assert call.fails("sql.query", database="sales", sql=sql).code == "too_large"
    with remote(server, seconds=1) as call:
        sql = "SELECT repeat('x', 1000000000) AS a"
        assert call.fails("sql.query", database="sales", sql=sql).code in ("too_large", "unavailable", "time_out")


def test_postgresql_that_does_not_let_one_in_says_no_secret(server):
    with remote(server, password="wrong horse battery") as call:
        error = call.fails("sql.query", database="sales", sql="SELECT 1 AS a")
        assert error.code == "unavailable"
        assert "wrong horse" not in error.message
    with Caller(Settings(sql={"sales": SqlSettings(url=server, password="SALES")})) as call:
        assert call.fails("sql.query", database="sales", sql="SELECT 1 AS a").code == "no_secret"
    with remote("postgresql://ann@/postgres?host=/nowhere/at/all") as call:
        error = call.fails("sql.query", database="sales", sql="SELECT 1 AS a")
        assert (error.code, error.retryable) == ("unavailable", True)


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"N\0\0\0", b"R\x7f\xff\xff\xff", b"", None])
def test_a_server_that_is_no_postgresql_server_is_unavailable_in_time(said):
    """One that talks nonsense, promises two gigabytes, hangs up, or never says a word (None)."""
    pytest.importorskip("psycopg")
    held = []

    def serve(listener):
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                if said is not None:
                    connection.recv(1000)
                    connection.sendall(said)
                    connection.close()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        with remote(f"postgresql://ann@127.0.0.1:{port}/sales?sslmode=disable", seconds=0.3) as call:
            error = call.fails("sql.query", database="sales", sql="SELECT 1 AS a")
            assert error.code in ("unavailable", "time_out")
            assert error.retryable
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    for each in held:
        each.close()


def test_without_psycopg_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(queries.importlib.util, "find_spec", lambda name: None)
    with remote("postgresql://ann@db/sales") as call:
        error = call.fails("sql.query", database="sales", sql="SELECT 1 AS a")
        assert error.code == "not_configured"
        assert "ritesmith[postgres]" in error.message
