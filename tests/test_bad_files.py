"""The registry file fails: torn, damaged, full, locked, read-only. What is told is clear, and nothing whole is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import environment
from test_engine import LONG, LocalPlace, Told, carry_on, drawn_seed, exists, shape

from ritesmith import app as app_module
from ritesmith.db import open_db
from ritesmith.errors import StoreError
from ritesmith.sandbox import Sandbox

ORDER = "ORD-1001"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as made:
        yield made


@pytest.fixture
def local(tmp_path: Path, ready: Path, sandbox: Sandbox) -> LocalPlace:
    folder = tmp_path / "local"
    folder.mkdir()
    return LocalPlace(folder, ready, sandbox)


@pytest.fixture
def expected(local: LocalPlace, tmp_path: Path) -> Told:
    """What the run comes to when nothing goes wrong."""
    with local.copy(tmp_path / "calm").process() as app:
        carry_on(app, ORDER)
        return Told(app)


# ---------------------------------------------------------------- torn


class Torn:
    """A registry whose last commits are in its log only, as a process that dies leaves it, and where each one ended."""

    def __init__(self, local: LocalPlace) -> None:
        self.local = local
        log = local.file.with_name("registry.db-wal")
        self.commits: list[tuple[int, int]] = []
        """(size of the log, entries in it) after each commit."""
        with local.process() as app:
            app.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            app.connection.execute("PRAGMA wal_autocheckpoint = 0")
            app.start("orders.refund", {"order_id": ORDER}, idempotency_key="k")
            self.commits.append((log.stat().st_size, 1))
            app.drive("r1", watch=lambda entry, state: self.commits.append((log.stat().st_size, entry.seq)))
            self.file, self.log = local.file.read_bytes(), log.read_bytes()
            self.shape = shape(app.journal.entries("r1"))

    def put(self, folder: Path, log: bytes) -> LocalPlace:
        """The registry with this log in another folder."""
        place = self.local.copy(folder)
        place.file.write_bytes(self.file)
        place.file.with_name("registry.db-wal").write_bytes(log)
        return place

    def whole(self, size: int) -> int:
        """How many entries were committed in the first `size` bytes of the log."""
        return max((entries for end, entries in self.commits if end <= size), default=0)


def goes_on(place: LocalPlace, torn: Torn, whole: int, expected: Told, where: object) -> None:
    """All that was whole is there, nothing else is, and the run comes to the same end."""
    with place.process() as app:
        found = shape(app.journal.entries("r1")) if exists(app, "r1") else []
        assert found == torn.shape[: len(found)], where
        assert len(found) >= whole, where
        carry_on(app, ORDER)
        assert Told(app) == expected, where
        assert app.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    shutil.rmtree(place.folder)


def test_a_log_that_is_cut_short_anywhere_loses_nothing_that_was_committed_before(
    local: LocalPlace, tmp_path: Path, expected: Told
) -> None:
    rng, torn = random.Random(drawn_seed()), Torn(local)
    cuts = {0, 1, 31, 32, len(torn.log)}
    for end, _ in torn.commits:
        cuts |= {end - 1, end, end + 1}
    cuts |= {rng.randrange(len(torn.log)) for _ in range(200 if LONG else 20)}
    print(f"{len(cuts)} cuts of a log of {len(torn.log)} bytes")
    for cut in sorted(cuts):
        goes_on(torn.put(tmp_path / str(cut), torn.log[:cut]), torn, torn.whole(cut), expected, cut)


def test_a_damaged_byte_in_the_log_ends_it_there(local: LocalPlace, tmp_path: Path, expected: Told) -> None:
    rng, torn = random.Random(drawn_seed()), Torn(local)
    for number in range(100 if LONG else 12):
        at = rng.randrange(32, len(torn.log))
        damaged = bytearray(torn.log)
        damaged[at] ^= 1 << rng.randrange(8)
        goes_on(torn.put(tmp_path / str(number), bytes(damaged)), torn, torn.whole(at), expected, (at, number))


def test_a_damaged_file_is_told_by_every_command_and_never_as_a_defect(cli: Any, place: Path) -> None:
    rng = random.Random(drawn_seed())
    run = cli("run", "orders.refund", "--input", '{"order_id": "ORD-1002"}', "--json").json["run"]
    file = place / "registry.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content, told = file.read_bytes(), 0
    commands = (["runs"], ["trace", run], ["approve", run, "--by", "ann"], ["list"], ["resume"])
    for number in range(60 if LONG else 15):
        damaged = bytearray(content)
        if number % 3 == 0:
            del damaged[rng.randrange(100, len(content)) :]
        else:
            for _ in range(5):
                page = rng.randrange(1, len(content) // 4096) * 4096
                damaged[page : page + 4096] = rng.randbytes(4096)
        for end in ("", "-wal", "-shm"):
            file.with_name(f"registry.db{end}").unlink(missing_ok=True)
        file.write_bytes(damaged)
        words = commands[number % len(commands)]
        done = cli(*words, "--json")
        assert "Traceback" not in done.out + done.err
        error = done.json.get("error")
        assert (error or {}).get("code") != "defect", (words, error)
        assert ((error or {}).get("code") == "store_error") is (done.code == 9)
        told += done.code == 9
    assert told


# ---------------------------------------------------------------- full


def test_a_file_that_may_not_grow_is_told_at_whatever_commit_and_the_run_goes_on_when_it_may(
    local: LocalPlace, tmp_path: Path, expected: Told
) -> None:
    """SQLite's own limit stands for the disk's: every number of pages from those that it has to those that it needs."""
    full, number = 0, 0
    while True:
        place = local.copy(tmp_path / f"full{number}")
        with place.process() as app:
            # Rows that fill their pages leave no room to hide in: the first byte too many needs a new page.
            pages = app.connection.execute("PRAGMA page_count").fetchone()[0] + number
            app.connection.execute(f"PRAGMA max_page_count = {pages}")
            refused: StoreError | None = None
            try:
                carry_on(app, ORDER)
            except StoreError as error:
                refused = error
            if refused is not None:
                full += 1
                assert "could not be written" in refused.message
                assert "free some space" in refused.hint
                assert not app.connection.in_transaction
        with place.process() as app:
            carry_on(app, ORDER)
            assert Told(app) == expected, pages
        shutil.rmtree(place.folder)
        if refused is None:
            break
        number += 1
    assert full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a few megabytes, where this user may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.getuid() != 0 or shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_is_told_and_the_run_goes_on_when_there_is_room(
    local: LocalPlace, small_disk: Path, expected: Told
) -> None:
    full, through = 0, 0
    for room in (0, 20, 60, 150, 1000):
        file, filler = small_disk / "registry.db", small_disk / "filler"
        for each in small_disk.iterdir():
            each.unlink()
        shutil.copyfile(local.file, file)
        left = shutil.disk_usage(small_disk).free - room * 1024
        filler.write_bytes(bytes(left))
        order = json.dumps({"order_id": ORDER})
        words = ["--db", str(file), "run", "orders.refund", "--input", order, "--idempotency-key", "k", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "ritesmith", *words], capture_output=True, text=True, timeout=60, env=environment()
        )
        assert "Traceback" not in done.stdout + done.stderr
        if done.returncode:
            full += 1
            error = json.loads(done.stdout)["error"]
            assert (done.returncode, error["code"], bool(error["hint"])) == (9, "store_error", True), error
        else:
            through += 1
        filler.unlink()
        place = LocalPlace(small_disk, None, local.sandbox)
        place.clock.at = time.time()  # the command went by the machine's clock
        with place.process() as app:
            runs = [each["id"] for each in app.runs()]
            run = runs[0] if runs else app.start("orders.refund", {"order_id": ORDER}, idempotency_key="k")
            carry_on(app, ORDER, run)
            told = Told(app, run)
        assert (told.end, told.shape) == (expected.end, expected.shape), room
        assert [each["version"] for each in told.documents] == [each["version"] for each in expected.documents], room
    print(f"{full} times full, {through} times not")
    assert full
    assert through


# ---------------------------------------------------------------- locked, read-only


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits ten seconds for a lock."""
    monkeypatch.setattr(app_module, "open_db", partial(open_db, busy_seconds=0.01))


def writing_commands(cli: Any) -> dict[str, tuple[str, ...]]:
    """Commands that write, each on a run in a state in which it makes sense."""
    asked = cli("run", "orders.refund", "--input", '{"order_id": "ORD-1002"}', "--json").json["run"]
    return {
        "run": ("run", "orders.refund", "--input", '{"order_id": "ORD-1001"}'),
        "approve": ("approve", asked, "--by", "ann"),
        "reject": ("reject", asked, "--by", "ann"),
        "cancel": ("cancel", asked),
        "resume": ("resume", asked),
    }


@pytest.mark.parametrize("word", ["run", "approve", "reject", "cancel", "resume"])
def test_a_locked_file_is_told_and_the_same_command_works_when_it_is_free(
    cli: Any, place: Path, impatient: None, word: str
) -> None:
    words = writing_commands(cli)[word]
    other = sqlite3.connect(place / "registry.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    done = cli(*words, "--json")
    assert (done.code, done.json["error"]["code"]) == (9, "store_error"), done
    assert "is locked by another process" in done.json["error"]["message"]
    assert done.json["error"]["hint"] == "try again when that process has finished"
    spoken = cli(*words)
    assert spoken.code == 9
    assert "Error: " in spoken.err
    assert "Traceback" not in spoken.err
    other.execute("ROLLBACK")
    other.close()
    assert cli(*words, "--json").code == 0


def test_a_file_that_may_only_be_read_can_be_looked_at_and_says_why_nothing_else(
    cli: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = writing_commands(cli)
    run = commands["approve"][1]

    def read_only(path: Path | str, **how: Any) -> sqlite3.Connection:
        connection = open_db(path, **how)
        connection.execute("PRAGMA query_only = ON")
        return connection

    before = cli("trace", run, "--json").json
    monkeypatch.setattr(app_module, "open_db", read_only)
    for word, words in commands.items():
        done = cli(*words, "--json")
        assert (done.code, done.json["error"]["code"]) == (9, "store_error"), (word, done)
        assert "cannot be written" in done.json["error"]["message"]
        assert "writable" in done.json["error"]["hint"]
    assert cli("trace", run, "--json").json == before
    assert [each["id"] for each in cli("runs", "--json").json["runs"]] == [run]
