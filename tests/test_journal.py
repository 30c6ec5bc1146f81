"""The journal on real SQLite: its hash chain, leases with fencing, the index of runs, idempotency keys."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from ritesmith import db, saga
from ritesmith import journal as journals
from ritesmith.db import open_db, transaction
from ritesmith.errors import Conflict, InvalidInput, JournalMismatch, NotFound, StoreError
from ritesmith.journal import LEASE_SECONDS, Journal
from ritesmith.models import Outcome, Workflow
from ritesmith.saga import Record
from ritesmith.state import Waiting
from ritesmith.testing import ManualClock

FLOW = Workflow.model_validate(
    {
        "name": "test.flow",
        "intent": "to be tried",
        "start": "a",
        "retry": {"max_attempts": 3, "initial_seconds": 10, "jitter": 0},
        "nodes": [
            {"id": "a", "kind": "task", "capability": "do.a", "next": "ask"},
            {"id": "ask", "kind": "approval", "prompt": "Pay?", "deadline_seconds": 60, "next": "b"},
            {
                "id": "b",
                "kind": "task",
                "capability": "do.b",
                "next": None,
                "compensation": {"capability": "do.a", "with": {}},
            },
        ],
    }
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def journal(file: Path, clock: ManualClock) -> Iterator[Journal]:
    with closing(open_db(file)) as connection:
        yield Journal(connection, clock.now)


@pytest.fixture
def other(file: Path, journal: Journal, clock: ManualClock) -> Iterator[Journal]:
    """The same file, opened a second time."""
    with closing(open_db(file)) as connection:
        yield Journal(connection, clock.now)


def begin(journal: Journal, run: str = "r1", **more: Any) -> str:
    journal.start(run, saga.start_record(FLOW, "d" * 64, {}, {"n": 1}, run, journal.clock()), **more)
    return run


SWITCHED = Record("switched", "a", data={"case": 0, "next": "a"})


def fill(journal: Journal, entries: int = 4) -> str:
    run = begin(journal)
    with journal.lease(run) as lease:
        for _ in range(entries - 1):
            lease.append(SWITCHED)
        lease.commit()
    return run


def row(journal: Journal, run: str = "r1") -> dict[str, Any]:
    return dict(journal.connection.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchone())


# ---------------------------------------------------------------- the chain


def test_entries_come_back_as_they_were_written(journal: Journal, clock: ManualClock) -> None:
    run = begin(journal)
    odd = {"text": "ä\x1f\u2028'\"\\", "numbers": [1, 1.0, -0.0, 2**63, 1e-300], "none": None, "empty": [{}, []]}
    with journal.lease(run) as lease:
        clock.advance(1.25)
        lease.append(Record("callback_received", "a", 2, {"output": odd, "next": "b"}))
        lease.commit()
    entry = journal.entries(run)[1]
    assert (entry.seq, entry.at, entry.node, entry.attempt) == (2, clock.now(), "a", 2)
    assert json.dumps(entry.data["output"]) == json.dumps({key: odd[key] for key in sorted(odd)})


def test_a_run_that_is_not_there_is_not_found(journal: Journal) -> None:
    with pytest.raises(NotFound, match="there is no run 'r9'"):
        journal.entries("r9")
    with pytest.raises(NotFound), journal.lease("r9"):
        pytest.fail("there is nothing to own")


SWAP = ";".join(f"UPDATE entries SET seq = {new} WHERE seq = {old}" for old, new in ((2, 90), (3, 2), (90, 3)))


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        (SWAP, 2),
        ("UPDATE entries SET data = replace(data, '\"n\":1', '\"n\":2') WHERE seq = 1", 1),
        ("UPDATE entries SET data = replace(data, '\"case\":0', '\"case\":1') WHERE seq = 3", 3),
        ("UPDATE entries SET kind = 'sleep_ended' WHERE seq = 2", 2),
        ("UPDATE entries SET node = 'b' WHERE seq = 2", 2),
        ("UPDATE entries SET attempt = 7 WHERE seq = 2", 2),
        ("UPDATE entries SET at = at + 1 WHERE seq = 3", 3),
        ("UPDATE entries SET hash = zeroblob(32) WHERE seq = 2", 2),
        ("DELETE FROM entries WHERE seq = 1", 1),
        ("DELETE FROM entries WHERE seq = 2", 2),
        ("DELETE FROM entries WHERE seq = 4", 4),
        ("DELETE FROM entries WHERE seq > 2", 3),
        ("DELETE FROM entries", 1),
        ("UPDATE entries SET run = 9 WHERE seq = 3", 3),
        ("INSERT INTO entries SELECT 9, run, 5, at, kind, node, attempt, data, hash FROM entries WHERE seq = 4", 5),
    ],
)
def test_an_edited_removed_or_swapped_entry_is_named(journal: Journal, sql: str, named: int) -> None:
    run = fill(journal)
    with transaction(journal.connection):
        for statement in sql.split(";"):
            assert journal.connection.execute(statement).rowcount > 0
    with pytest.raises(JournalMismatch, match=rf"'{run}' was edited: entry {named} is missing or is not") as caught:
        journal.entries(run)
    assert "backup" in caught.value.hint
    with pytest.raises(JournalMismatch), journal.lease(run):
        pytest.fail("an edited run must not go on")
    assert row(journal)["lease_owner"] is None, "the lease was given back"


def test_runs_do_not_share_a_chain(journal: Journal) -> None:
    begin(journal, "r1")
    begin(journal, "r2")
    assert journal.entries("r1")[0].hash != journal.entries("r2")[0].hash


@pytest.mark.parametrize(
    "value", ["\ud800", float("nan"), float("inf"), {1, 2}], ids=["surrogate", "nan", "inf", "set"]
)
def test_what_is_not_json_never_gets_into_a_journal(journal: Journal, value: Any) -> None:
    run = begin(journal)
    with journal.lease(run) as lease:
        before = lease.state.seq
        with pytest.raises(InvalidInput, match="is not JSON"):
            lease.append(Record("switched", "a", data={"next": "a", "by": value}))
        assert lease.state.seq == before
        lease.append(SWITCHED)
        lease.commit()
    assert len(journal.entries(run)) == 2


def test_a_clock_that_was_set_back_does_not_reorder_a_journal(journal: Journal, clock: ManualClock) -> None:
    run = begin(journal)
    with journal.lease(run) as lease:
        clock.advance(100)
        lease.append(SWITCHED)
        clock.advance(-1000)
        lease.append(SWITCHED)
        lease.commit()
    with journal.lease(run) as lease:
        clock.advance(950)
        lease.append(SWITCHED)
        lease.commit()
    times = [entry.at for entry in journal.entries(run)]
    assert times == sorted(times)
    assert times[1] == times[3] == times[0] + 100


# ---------------------------------------------------------------- leases


def test_a_living_owner_refuses_everybody_else(journal: Journal, other: Journal) -> None:
    run = begin(journal)
    with journal.lease(run):
        with pytest.raises(Conflict, match="is being driven by another process") as caught, other.lease(run):
            pytest.fail("it is owned")
        assert str(os.getpid()) in caught.value.message
    with other.lease(run) as lease:
        assert lease.fence == 2


def test_a_living_owner_refuses_however_long_its_step_takes(
    journal: Journal, other: Journal, clock: ManualClock
) -> None:
    run = begin(journal)
    with journal.lease(run) as lease:
        clock.advance(10 * LEASE_SECONDS)
        with pytest.raises(Conflict), other.lease(run):
            pytest.fail("its process lives, and is known to")
        lease.append(SWITCHED)
        lease.commit()


def owned_by(journal: Journal, owner: str, seconds: float = 60.0) -> str:
    run = begin(journal)
    with transaction(journal.connection):
        journal.connection.execute(
            "UPDATE runs SET lease_owner = ?, lease_until = ?, fence = 7", (owner, journal.clock() + seconds)
        )
    return run


DRIVER = """
    import sys
    from ritesmith.db import open_db
    from ritesmith.journal import Journal
    with Journal(open_db(sys.argv[1]), lambda: 0.0).lease("r1"):
        print("driving", flush=True)
        sys.stdin.read()
    """


def driver(file: Path) -> subprocess.Popen[str]:
    """Another process that owns r1 until its stdin is closed, or it is killed."""
    words = [sys.executable, "-c", textwrap.dedent(DRIVER), str(file)]
    made = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert made.stdout is not None
    assert made.stdout.readline() == "driving\n"
    return made


def test_another_process_refuses_while_it_lives_and_is_taken_over_at_once_when_it_is_killed(
    file: Path, journal: Journal
) -> None:
    run = begin(journal)
    process = driver(file)
    try:
        with pytest.raises(Conflict, match=f"{socket.gethostname()}:{process.pid}:"), journal.lease(run):
            pytest.fail("it is owned")
    finally:
        process.kill()
        # Dead, but not yet waited for: its number is still taken. It counts as dead all the same.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with journal.lease(run) as lease:
        assert lease.fence == 2
    process.communicate()


def test_a_later_process_with_the_number_of_the_dead_owner_does_not_count(journal: Journal) -> None:
    run = owned_by(journal, f"{socket.gethostname()}:{os.getppid()}:1:1")
    with journal.lease(run) as lease:
        assert lease.fence == 8


def test_an_owner_on_another_machine_is_taken_over_when_its_lease_expires(journal: Journal, clock: ManualClock) -> None:
    run = owned_by(journal, "elsewhere:17:4711:1")
    with pytest.raises(Conflict, match="elsewhere:17"), journal.lease(run):
        pytest.fail("it may live")
    clock.advance(60)
    with journal.lease(run):
        pass


def test_a_stale_owner_cannot_write(journal: Journal, other: Journal) -> None:
    run = begin(journal)
    with journal.lease(run) as stale:
        with transaction(other.connection):  # as if this process had been taken for dead
            other.connection.execute("UPDATE runs SET lease_owner = NULL")
        with other.lease(run) as fresh:
            stale.append(SWITCHED)
            with pytest.raises(Conflict, match="was taken over by another process"):
                stale.commit()
            with pytest.raises(Conflict):
                stale.commit()
            ran = []
            with pytest.raises(Conflict):
                stale.durably(lambda: ran.append(1))
            fresh.append(SWITCHED)
            fresh.commit()
    assert len(journal.entries(run)) == 2
    assert row(journal)["lease_owner"] is None


def test_of_many_runs_told_of_at_once_only_the_one_that_was_lost_is_refused(journal: Journal, other: Journal) -> None:
    """All of them only go on, so that one statement tells of them; a trace shows that it does, and who is written by
    himself."""
    leases = list(journal.claim_all([begin(journal, f"r{each}") for each in range(5)]).values())
    with transaction(other.connection):
        other.connection.execute("UPDATE runs SET lease_owner = NULL WHERE id = 'r3'")
    told: list[str] = []
    with other.lease("r3") as fresh:
        for lease in leases:
            lease.append(SWITCHED)
        journal.connection.set_trace_callback(told.append)
        raised = journal.commit([(lease, []) for lease in leases])
        assert sum(each.startswith("UPDATE") for each in told) == 10, "all at once, and since one was lost each alone"
        fresh.append(SWITCHED)
        fresh.commit()
    assert [type(each) for each in raised] == [type(None)] * 3 + [Conflict, type(None)]
    assert [len(journal.entries(f"r{each}")) for each in range(5)] == [2] * 5
    assert [row(journal, f"r{each}")["seq"] for each in range(5)] == [2] * 5
    told.clear()
    rest = [lease for lease in leases if lease.failure is None]
    for lease in rest:
        lease.append(SWITCHED)
    assert journal.commit([(lease, []) for lease in rest]) == [None] * 4
    assert sum(each.startswith("UPDATE") for each in told) == 4
    for lease in rest:
        lease.release()


def test_a_run_that_has_ended_is_not_due_again_when_one_that_it_called_ends(journal: Journal) -> None:
    begin(journal, "r1")
    with journal.lease("r1") as lease:
        lease.append(Record("run_finished", data={"status": "failed", "error": {"code": "x", "message": "y"}}))
        lease.commit()
    parent = {"run": "r1", "path": "a"}
    journal.start("r2", saga.start_record(FLOW, "d" * 64, {}, {}, "r2", journal.clock(), parent=parent))
    with journal.lease("r2") as lease:
        lease.append(Record("run_finished", data={"status": "succeeded", "output": None}))
        lease.commit()
    assert row(journal)["due_at"] is None


def test_a_stale_owner_does_not_give_back_the_lease_of_the_next(journal: Journal, other: Journal) -> None:
    run = begin(journal)
    with journal.lease(run):
        with transaction(other.connection):
            other.connection.execute("UPDATE runs SET lease_owner = NULL")
        taken = other.lease(run)
        taken.__enter__()
    assert row(journal)["lease_owner"] is not None
    taken.__exit__(None, None, None)
    assert row(journal)["lease_owner"] is None


def test_an_effect_and_its_entry_are_committed_together_or_not_at_all(journal: Journal) -> None:
    run = begin(journal)

    def effect() -> str:
        journal.connection.execute("INSERT INTO meta VALUES ('effect', 'happened')")
        return "done"

    def refuse() -> None:
        effect()
        raise ZeroDivisionError

    with journal.lease(run) as lease, pytest.raises(ZeroDivisionError):
        lease.durably(refuse)
    assert journal.connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 0
    with journal.lease(run) as lease:
        assert lease.durably(lambda: (effect(), lease.append(SWITCHED))[0]) == "done"
    assert journal.connection.execute("SELECT value FROM meta").fetchone()[0] == "happened"
    assert len(journal.entries(run)) == 2


@pytest.mark.parametrize("together", [False, True], ids=["commit", "durably"])
def test_a_lease_whose_commit_failed_takes_no_more(journal: Journal, other: Journal, together: bool) -> None:
    run = begin(journal)
    journal.connection.execute("PRAGMA busy_timeout = 0")
    with journal.lease(run) as lease:
        if not together:
            lease.append(SWITCHED)
        commit = (lambda: lease.durably(lambda: lease.append(SWITCHED))) if together else lease.commit
        with transaction(other.connection), pytest.raises(StoreError, match="is locked"):
            commit()
        for action in (lease.commit, lambda: lease.append(SWITCHED)):
            with pytest.raises(StoreError, match="could not be written"):
                action()
    assert len(journal.entries(run)) == 1
    with journal.lease(run) as lease:
        lease.append(SWITCHED)
        lease.commit()
    assert len(journal.entries(run)) == 2


def test_a_lease_that_cannot_be_given_back_is_still_free_for_this_process(journal: Journal, other: Journal) -> None:
    run = begin(journal)
    journal.connection.execute("PRAGMA busy_timeout = 0")
    lease = journal.lease(run)
    lease.__enter__()
    with transaction(other.connection):
        lease.__exit__(None, None, None)
    assert row(journal)["lease_owner"] is not None
    with other.lease(run) as after:
        assert after.fence == 2


def test_entries_are_watched_when_they_are_durable(journal: Journal, other: Journal) -> None:
    run = begin(journal)
    seen: list[tuple[str, int]] = []

    def watch(entry: Any, state: saga.State) -> None:
        seen.append((entry.kind, len(other.entries(run))))

    with journal.lease(run, watch) as lease:
        lease.append(SWITCHED)
        lease.append(SWITCHED)
        assert seen == []
        lease.commit()
        lease.commit()
    assert seen == [("switched", 3), ("switched", 3)]


# ---------------------------------------------------------------- the index of runs


def test_the_index_of_runs_equals_what_the_entries_fold_to(journal: Journal, clock: ManualClock) -> None:
    """Along a run that passes through every status: its row is compared after every commit."""
    seen = set()

    def compare() -> saga.State:
        state = saga.fold(journal.entries("r1"))
        found = row(journal)
        assert {key: found[key] for key in ("id", "workflow", "digest", "status", "outcome", "seq", "due_at")} == {
            "id": state.run,
            "workflow": state.workflow,
            "digest": state.digest,
            "status": state.status,
            "outcome": state.outcome,
            "seq": state.seq,
            "due_at": state.due_at(),
        }
        assert (found["started_at"], found["updated_at"]) == (state.started_at, state.updated_at)
        seen.add(state.status)
        return state

    outcomes = {
        "a": [Outcome(status="fail", code="busy", retryable=True), Outcome(status="ok", output={})],
        "b": [Outcome(status="ok", output={})],
    }
    begin(journal)
    compare()
    with journal.lease("r1") as lease:
        for _ in range(40):
            clock.advance(1)
            command = saga.decide(FLOW, lease.state, clock.now())
            if isinstance(command, saga.Invoke) and command.path == "b" and not command.calls:
                lease.append(Record("call_started", "b", 1, {"index": 0, "function": "f.g", "args_digest": ""}))
                lease.append(Record("effect_unknown", "b", 1))
            elif isinstance(command, saga.Invoke) and not command.compensation:
                told = outcomes[command.path].pop(0)
                lease.append(saga.conclude(FLOW, lease.state, command, told, clock.now()))
                if command.path == "b":
                    lease.append(Record("run_stopped", "b", data={"error": {"code": "stop", "message": ""}}))
            elif isinstance(command, saga.Invoke):
                lease.append(saga.conclude(FLOW, lease.state, command, Outcome(status="ok", output={}), clock.now()))
            elif isinstance(command, Record):
                lease.append(command)
            elif lease.state.unknowns():
                lease.append(saga.resolve_effect(lease.state, happened=True, result={}, by="ann"))
            elif isinstance(command, saga.Pause) and lease.state.status == "waiting":
                more = {"by": "ann", "comment": "", "at": clock.now()}
                lease.append(saga.decide_approval(FLOW, lease.state, "approved", **more))  # type: ignore[arg-type]
            elif isinstance(command, saga.Pause):
                assert command.until is not None
                clock.advance(command.until - clock.now())
            else:
                break
            lease.commit()
            compare()
    assert compare().status == "compensated"
    assert seen == {"running", "sleeping", "waiting", "unknown", "compensating", "compensated"}


def test_a_run_is_due_when_it_has_something_to_do() -> None:
    state = saga.State(status="running", since=5.0, updated_at=7.0, deadline_at=100.0)
    state.live[""] = state.trunk
    assert state.due_at() == 5.0
    for waiting, due in [(("sleep", 50.0), 50.0), (("approval", None), 100.0), (("sleep", 500.0), 100.0)]:
        state.trunk.waiting, state.status = Waiting(*waiting), "waiting"
        assert state.due_at() == due
    for status in ("unknown", "succeeded", "failed", "compensated", "compensation_failed", "cancelled"):
        state.status = status
        assert state.due_at() is None


# ---------------------------------------------------------------- idempotency keys


def test_a_key_belongs_to_one_run(journal: Journal) -> None:
    begin(journal, "r1", idempotency_key="k", input_digest="same")
    for digest, same in (("same", True), ("other", False)):
        with pytest.raises(Conflict, match="'k' belongs to run 'r1'") as caught:
            begin(journal, "r2", idempotency_key="k", input_digest=digest)
        assert caught.value.facts == {"run": "r1", "same_input": same}
    with pytest.raises(NotFound):
        journal.entries("r2")


@pytest.mark.parametrize("key", [None, "k"])
def test_an_id_that_is_taken_is_a_conflict_and_changes_nothing(journal: Journal, key: str | None) -> None:
    run = fill(journal)
    with pytest.raises(Conflict, match="there is a run 'r1' already"):
        begin(journal, run, idempotency_key=key)
    assert len(journal.entries(run)) == 4


def test_two_processes_that_race_for_a_key_make_one_run(file: Path, journal: Journal) -> None:
    code = """
        import sys
        from ritesmith import saga
        from ritesmith.db import open_db
        from ritesmith.errors import Conflict
        from ritesmith.journal import Journal
        data = {"workflow": "t.f", "digest": "d", "capabilities": {}, "input": {}, "seed": "", "start": "a"}
        data |= {"semantics": 1, "deadline_at": 9}
        journal, me = Journal(open_db(sys.argv[1]), lambda: 1.0), sys.argv[2]
        print("ready", flush=True)
        for number, _ in enumerate(sys.stdin):
            try:
                journal.start(f"{me}{number}", saga.Record("run_started", data=data), idempotency_key=f"k{number}")
                print(f"{me}{number}", flush=True)
            except Conflict as conflict:
                print(conflict.facts["run"], flush=True)
        """
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(file), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("x", "y")
    ]
    try:
        for each in racers:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        winners = []
        for _ in range(30):
            for each in racers:
                assert each.stdin is not None
                each.stdin.write("\n")
                each.stdin.flush()
            first, second = (each.stdout.readline() for each in racers if each.stdout)
            assert first == second
            winners.append(first.strip())
    finally:
        for each in racers:
            each.kill()
            each.communicate()
    runs = journal.connection.execute("SELECT id FROM runs ORDER BY id").fetchall()
    assert sorted(winners) == [each["id"] for each in runs]
    assert sqlite3.sqlite_version_info >= (3, 37), "strict tables"
    assert journals.process_name().count(":") == 2


def test_a_run_that_ends_is_given_back_by_the_commit_that_ends_it(journal: Journal) -> None:
    run = begin(journal)
    lease = journal.claim(run)
    lease.append(Record("run_finished", data={"status": "succeeded"}))
    assert row(journal)["lease_owner"] is not None
    lease.commit()
    assert row(journal)["lease_owner"] is None
    assert lease.given_back
    assert not lease.is_old(journal.clock() + LEASE_SECONDS), "what is given back is not renewed"
    lease.append(Record("undo_requested", data={"error": {"code": "x", "message": "y"}, "plan": []}))
    lease.commit()
    assert row(journal)["lease_owner"] == lease.owner, "what goes on is held again"
    with journal.lease(begin(journal, "r2")) as other:
        other.append(Record("run_finished", data={"status": "succeeded"}))
        with pytest.raises(ZeroDivisionError):
            other.durably(lambda: 1 // 0)
    assert row(journal, "r2")["lease_owner"] is None, "also when that commit failed"


def test_many_runs_are_claimed_in_one_transaction_each_on_its_own(journal: Journal, other: Journal) -> None:
    runs = [begin(journal, f"r{each}") for each in range(4)]
    with transaction(journal.connection):
        journal.connection.execute("UPDATE entries SET data = '{}' WHERE run = 2")
    commits = []
    with other.lease("r2"):
        journal.connection.set_trace_callback(lambda statement: commits.append(statement == "COMMIT"))
        claimed = journal.claim_all([*runs, "r9"])
        journal.connection.set_trace_callback(None)
    assert sum(commits) == 2, "one for all, and one for what is given back at once"
    kinds = {run: type(each).__name__ for run, each in claimed.items()}
    assert kinds == {"r0": "Lease", "r1": "JournalMismatch", "r2": "Conflict", "r3": "Lease", "r9": "NotFound"}
    assert row(journal, "r1")["lease_owner"] is None
    with pytest.raises(Conflict), journal.lease("r0"):
        pytest.fail("it is held")


# ---------------------------------------------------------------- files of an earlier schema


def test_a_journal_of_the_second_schema_is_taken_over_as_it_was(journal: Journal, tmp_path: Path) -> None:
    run = fill(journal)
    begin(journal, "r0", idempotency_key="once")
    older = tmp_path / "older.db"
    with closing(sqlite3.connect(older, isolation_level=None)) as file:
        file.row_factory = sqlite3.Row
        db._migrations().apply(Database(file, execute_plugins=False), stop_before="m003_numbered_runs_entries_in_order")
        for each in journal.connection.execute("SELECT * FROM runs"):
            columns = {name: value for name, value in dict(each).items() if name != "number"}
            file.execute(
                f"INSERT INTO runs ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                (*columns.values(),),
            )
        for each in (*journal.entries(run), *journal.entries("r0")):
            fields = (each.run, each.seq, each.at, each.kind, each.node, each.attempt)
            data = json.dumps(each.data, sort_keys=True, separators=(",", ":"))
            file.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*fields, data, each.hash))
        file.execute("UPDATE entries SET hash = 'x' || hash WHERE run = 'r0'")
        file.execute(f"PRAGMA application_id = {db.APPLICATION_ID}")
        file.execute("PRAGMA user_version = 2")
    with closing(open_db(older)) as connection:
        taken = Journal(connection, journal.clock)
        assert taken.entries(run) == journal.entries(run)
        assert row(taken) == row(journal) | {"number": 2}, "numbered from the oldest"
        with pytest.raises(JournalMismatch, match="entry 1"):
            taken.entries("r0")
        with pytest.raises(Conflict, match="belongs to run 'r0'"):
            begin(taken, "r5", idempotency_key="once")
        with taken.lease(run) as lease:
            lease.append(SWITCHED)
            lease.commit()
        assert len(taken.entries(run)) == 5
