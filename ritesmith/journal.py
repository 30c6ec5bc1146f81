"""The journal: append and read a run's entries. It is the truth: status, outcome and trace are folded from it.

The table `runs` repeats status, outcome and due time for listing, and keeps what is no history: who drives a run, its
idempotency key, and how many entries it must have.

Each entry's hash covers the one before it, so that an edited journal is found. Every append carries the fencing token
of the lease under which it was made (Kleppmann, "How to do distributed locking", 2016): a stale owner cannot write.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from ritesmith import saga
from ritesmith.db import transaction
from ritesmith.errors import Conflict, InvalidInput, JournalMismatch, NotFound, RiteSmithError, StoreError
from ritesmith.json_text import canonical
from ritesmith.models import FINAL_STATUSES, Entry

T = TypeVar("T")


class Journal:
    """Entries of all runs in one registry file. `clock()` gives seconds since 1970."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self.connection = connection
        self.clock = clock

    def entries(self, run: str) -> list[Entry]:
        """Every entry of a run, in order, with the hash chain checked.

        Raises NotFound for a run that is not there, JournalMismatch naming the first entry that was edited or is
        missing.
        """
        # One statement, so that both tables are seen at the same moment: a chain alone cannot tell that its end is cut.
        rows = self.connection.execute(
            "SELECT entries.seq, at, kind, node, attempt, data, hash, runs.seq AS newest"
            " FROM runs LEFT JOIN entries ON entries.run = runs.number WHERE runs.id = ? ORDER BY entries.seq",
            (run,),
        ).fetchall()
        if not rows:
            raise NotFound(f"there is no run '{run}'", hint="list the runs: ritesmith runs")
        newest = rows[0]["newest"]
        entries: list[Entry] = []
        previous = ""
        for expected, row in enumerate(rows, start=1):
            seq, at, kind, node, attempt, text, hashed, _ = row
            if seq != expected or _hash(previous, run, seq, at, kind, node, attempt, text) != hashed:
                raise _edited(run, expected)
            previous = hashed.hex()
            entries.append(Entry(run, seq, at, kind, node, attempt, json.loads(text), previous))
        if len(entries) < newest:
            raise _edited(run, len(entries) + 1)
        return entries

    def unfinished(self) -> list[str]:
        """Every run that has not ended, oldest first."""
        rows = self.connection.execute(
            f"SELECT id FROM runs WHERE status NOT IN ({', '.join('?' * len(FINAL_STATUSES))}) ORDER BY started_at, id",
            tuple(FINAL_STATUSES),
        )
        return [row["id"] for row in rows]

    def due(self) -> list[str]:
        """Runs that have something to do now, oldest first: interrupted ones, and those whose time has come.

        A run that somebody is driving at this moment is none of them.
        """
        now = self.clock()
        rows = self.connection.execute(
            "SELECT id, lease_owner, lease_until FROM runs WHERE status IN ('running', 'compensating')"
            " OR status IN ('sleeping', 'waiting') AND due_at <= ? ORDER BY started_at, id",
            (now,),
        )
        return [row["id"] for row in rows if not held(row["lease_owner"], row["lease_until"], now)]

    def rows(
        self,
        *,
        status: str | None = None,
        workflow: str | None = None,
        stuck: bool = False,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """Runs, newest first: id, workflow, status, outcome, started_at, updated_at, due_at, parent, owner.

        `owner` is the process that drives it at this moment. `stuck`: only those that go on by nobody: a write of which
        nobody knows, a compensation that failed, an interrupted run, and one whose time has come.
        """
        now = self.clock()
        rows = self.connection.execute(
            "SELECT id, workflow, status, outcome, started_at, updated_at, due_at, parent, lease_owner, lease_until"
            " FROM runs WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR workflow = ?2)"
            " AND (NOT ?3 OR status IN ('unknown', 'compensation_failed') OR due_at <= ?4)"
            " ORDER BY started_at DESC, id DESC",
            (status, workflow, stuck, now),
        )
        found: list[dict[str, Any]] = []
        for row in map(dict, rows):
            owner, until = row.pop("lease_owner"), row.pop("lease_until")
            row["owner"] = owner if held(owner, until, now) else None
            if not (stuck and row["owner"]):
                found.append(row)
            if len(found) == limit:
                break
        return found

    def owner(self, run: str) -> str | None:
        """The process that drives a run at this moment."""
        row = self.connection.execute("SELECT lease_owner, lease_until FROM runs WHERE id = ?", (run,)).fetchone()
        return row["lease_owner"] if row and held(row["lease_owner"], row["lease_until"], self.clock()) else None

    def beginning(self, part: str) -> list[str]:
        """The ids that begin so, in order, at most two; only the one that is `part` when there is one."""
        rows = self.connection.execute(
            "SELECT id FROM runs WHERE id >= ?1 AND id < ?1 || ?2 ORDER BY id LIMIT 2", (part, "\U0010ffff")
        ).fetchall()
        found = [row["id"] for row in rows]
        return found[:1] if part in found else found

    def kept(self, name: str, make: Callable[[], str]) -> str:
        """A text that this registry keeps under a name, made when it is first asked for."""
        with transaction(self.connection):
            row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (name,)).fetchone()
            if row is None:
                row = {"value": make()}
                self.connection.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (name, row["value"]))
        return str(row["value"])

    def start(
        self, run: str, record: saga.Record, *, idempotency_key: str | None = None, input_digest: str = ""
    ) -> Entry:
        """Make a run with its first entry. Conflict when its id is taken, or its key: then with the run that has it.

        Inside a transaction it is part of that.
        """
        entry, row = _entry(run, 1, self.clock(), record, "")
        try:
            with transaction(self.connection):
                self._insert([(self._insert_run(entry, idempotency_key, input_digest), *row)])
        except sqlite3.IntegrityError:
            other = self.connection.execute(
                "SELECT id, digest, input_digest FROM runs WHERE idempotency_key = ?", (idempotency_key,)
            ).fetchone()
            if other is None:
                raise Conflict(f"there is a run '{run}' already") from None
            same = other["input_digest"] == input_digest
            raise Conflict(
                f"the idempotency key '{idempotency_key}' belongs to run '{other['id']}'"
                + ("" if same else ", which has another workflow or other input"),
                hint="" if same else f"give another key; or look at that run: ritesmith trace {other['id']}",
                run=other["id"],
                same_input=same,
            ) from None
        return entry

    def _insert_run(self, entry: Entry, idempotency_key: str | None, input_digest: str) -> int:
        """Its row in the table `runs`, for the first entry; by which number the file knows it. IntegrityError."""
        data = entry.data
        made = self.connection.execute(
            "INSERT INTO runs (id, workflow, digest, status, outcome, started_at, updated_at, due_at, seq,"
            " fence, idempotency_key, input_digest, parent)"
            " VALUES (?1, ?2, ?3, 'running', '', ?4, ?4, ?4, 1, 0, ?5, ?6, ?7)",
            (
                entry.run,
                data["workflow"],
                data["digest"],
                entry.at,
                idempotency_key,
                input_digest,
                data.get("parent", {}).get("run"),
            ),
        )
        assert made.lastrowid is not None
        return made.lastrowid

    def new(
        self,
        run: str,
        record: saga.Record,
        *,
        input_digest: str = "",
        watch: Callable[[Entry, saga.State], None] | None = None,
    ) -> Lease:
        """A lease on a run of which nothing is written yet: it is made by the first commit, with what is appended."""
        entry, row = _entry(run, 1, self.clock(), record, "")
        lease = Lease(self, run, 0, 0, _owner(), watch, _Birth(entry, row, input_digest))
        _HELD.add(lease.owner)
        saga.apply(lease.state, entry)
        return lease

    def copy(self, run: str, entries: Sequence[saga.Record], at: Sequence[float]) -> None:
        """Make a run whose journal begins with these entries, each with its time; nothing of it when one is refused."""
        with transaction(self.connection):
            previous, made, rows = "", [], []
            for seq, (record, moment) in enumerate(zip(entries, at, strict=True), start=1):
                entry, row = _entry(run, seq, moment, record, previous)
                made.append(entry)
                rows.append(row)
                previous = entry.hash
            state = saga.fold(made)
            begun = self.connection.execute(
                "INSERT INTO runs (id, workflow, digest, status, outcome, started_at, updated_at, due_at, seq, fence)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    run,
                    state.workflow,
                    state.digest,
                    state.status,
                    state.outcome,
                    state.started_at,
                    state.updated_at,
                    state.due_at(),
                    state.seq,
                ),
            )
            self._insert((begun.lastrowid, *row) for row in rows)

    def send(self, run: str, kind: str, data: Mapping[str, Any]) -> int:
        """Leave a message for whoever drives a run, now or later; return its number. NotFound when there is none."""
        with transaction(self.connection):
            if self.connection.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone() is None:
                raise NotFound(f"there is no run '{run}'", hint="list the runs: ritesmith runs")
            made = self.connection.execute(
                "INSERT INTO messages (run, kind, data, at) VALUES (?, ?, ?, ?)",
                (run, kind, canonical(data), self.clock()),
            )
            # Where nobody drives it, whoever looks for something to do shall find it.
            self.connection.execute(
                "UPDATE runs SET due_at = ?1 WHERE id = ?2 AND status IN ('sleeping', 'waiting')"
                " AND (due_at IS NULL OR due_at > ?1)",
                (self.clock(), run),
            )
            assert made.lastrowid is not None
            return made.lastrowid

    def messages(self, run: str) -> list[Message]:
        """What was left for a run and not taken yet, oldest first."""
        rows = self.connection.execute("SELECT id, kind, data, at FROM messages WHERE run = ? ORDER BY id", (run,))
        return [Message(row["id"], row["kind"], json.loads(row["data"]), row["at"]) for row in rows]

    def taken(self, message: Message) -> None:
        """Forget a message; part of the transaction that tells what came of it."""
        self.connection.execute("DELETE FROM messages WHERE id = ?", (message.id,))

    @contextmanager
    def lease(self, run: str, watch: Callable[[Entry, saga.State], None] | None = None) -> Iterator[Lease]:
        """Own a run while inside: no other process may append to it.

        Raises Conflict naming the owner when a living one holds it. An owner on this machine that has died is taken
        over at once; one elsewhere when its lease expires.
        """
        lease = self.claim(run, watch)
        try:
            yield lease
        finally:
            lease.release()

    def claim(self, run: str, watch: Callable[[Entry, saga.State], None] | None = None) -> Lease:
        """The same for a lease that is given back by its `release`."""
        return self._claim(run, watch).load()

    def claim_all(
        self, runs: Iterable[str], watch: Callable[[Entry, saga.State], None] | None = None
    ) -> dict[str, Lease | RiteSmithError]:
        """The same for many runs in one transaction: for each its lease, or why there is none."""
        claimed: dict[str, Lease | RiteSmithError] = {}
        with transaction(self.connection):
            for run in runs:
                try:
                    claimed[run] = self._claim(run, watch)
                except (Conflict, NotFound) as error:
                    claimed[run] = error
        leases = [each for each in claimed.values() if isinstance(each, Lease)]
        try:
            for lease in leases:
                try:
                    lease.load()
                except RiteSmithError as error:
                    claimed[lease.run] = error
        except BaseException:
            for lease in leases:
                lease.release()
            raise
        return claimed

    def commit(self, work: Sequence[tuple[Lease, Sequence[Callable[[], object]]]]) -> list[RiteSmithError | None]:
        """Do what is given with each lease, and make it durable in one transaction with what is appended to it.

        Returns for each lease what was raised there, or None. Then nothing of it is left, and the lease is of no more
        use; the others stand. StoreError when the file cannot be written: then none of them does.
        """
        raised: list[RiteSmithError | None] = []
        try:
            with transaction(self.connection):
                told = self._carry_on([lease for lease, pieces in work if not pieces])
                for lease, pieces in work:
                    raised.append(None if not pieces and lease.run in told else self._do(lease, pieces))
                self._insert(row for lease, _ in work if lease.failure is None for row in lease._rows())
        except BaseException as error:
            for lease, _ in work:
                lease.failure = lease.failure or error
            raise
        for (lease, _), refused in zip(work, raised, strict=True):
            if refused is None:
                lease._committed()
        return raised

    def _carry_on(self, leases: Sequence[Lease]) -> set[str]:
        """Tell of runs of which nothing is new but that they have come further, in one statement; those it was told of.

        When one of these leases was lost, nobody was told of: who lost his is found when each is written by itself.
        """
        some = [lease for lease in leases if lease.failure is None and lease._carries_on()]
        told = self.connection.executemany(_CARRY_ON, [lease._progress() for lease in some])
        return {lease.run for lease in some} if told.rowcount == len(some) else set()

    def _do(self, lease: Lease, pieces: Sequence[Callable[[], object]]) -> RiteSmithError | None:
        if pieces:
            self.connection.execute("SAVEPOINT piece")
        try:
            lease._check()
            for piece in pieces:
                piece()
            lease._write()
        except RiteSmithError as error:
            if pieces:
                self.connection.execute("ROLLBACK TO piece")
            lease.failure = error
            return error
        finally:
            if pieces and self.connection.in_transaction:
                self.connection.execute("RELEASE piece")
        return None

    def _claim(self, run: str, watch: Callable[[Entry, saga.State], None] | None) -> Lease:
        with transaction(self.connection):
            row = self.connection.execute(
                "SELECT number, status, due_at, lease_owner, lease_until, fence FROM runs WHERE id = ?", (run,)
            ).fetchone()
            if row is None:
                raise NotFound(f"there is no run '{run}'", hint="list the runs: ritesmith runs")
            now = self.clock()
            if held(row["lease_owner"], row["lease_until"], now):
                raise Conflict(
                    f"run '{run}' is being driven by another process ({row['lease_owner']})",
                    hint="wait for it, or stop that process and try again",
                    owner=row["lease_owner"],
                )
            fence, owner = int(row["fence"]) + 1, _owner()
            self.connection.execute(
                "UPDATE runs SET lease_owner = ?, lease_until = ?, fence = ? WHERE number = ?",
                (owner, now + LEASE_SECONDS, fence, row["number"]),
            )
        return Lease(self, run, row["number"], fence, owner, watch, told=(row["status"], row["due_at"]))

    def _insert(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self.connection.executemany(
            "INSERT INTO entries (run, seq, at, kind, node, attempt, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
        )


LEASE_SECONDS = 60.0


@dataclass(frozen=True)
class Message:
    """Something that came for a run while nobody could take it."""

    id: int
    kind: str
    """callback or cancel."""
    data: Mapping[str, Any]
    at: float


@dataclass
class Lease:
    """The right to append to one run, held by this process."""

    journal: Journal
    run: str
    number: int
    """By which the file knows the run."""
    fence: int
    owner: str
    watch: Callable[[Entry, saga.State], None] | None = None
    birth: _Birth | None = None
    """How the run is to be made, as long as it is not."""
    told: tuple[str, float | None] = ("", None)
    """What the table `runs` says: its status, and when it is due."""

    def __post_init__(self) -> None:
        self.pending: list[tuple[Entry, _Row]] = []
        self.until = self.journal.clock() + LEASE_SECONDS
        self.failure: BaseException | None = None
        self.given_back = False
        self.read = 0
        """The newest message that was read."""
        self.missed = False
        """Another one had come when the run was given back."""
        self.state = saga.State()

    def load(self) -> Lease:
        """Read how far the run has come. Raises as `Journal.entries`; then the run is given back."""
        _HELD.add(self.owner)
        try:
            self.state = saga.fold(self.journal.entries(self.run))
        except BaseException:
            self.release()
            raise
        return self

    def now(self) -> float:
        """The time for the next entry, never before the last one: a clock set back must not reorder a journal."""
        at, last = self.journal.clock(), self.state.updated_at
        return at if at > last else last

    def append(self, record: saga.Record, at: float | None = None) -> Entry:
        """Add an entry to the state; it is durable with the next `commit`. InvalidInput when it is not JSON.

        `at` is the time that it was decided for, when it tells of one.
        """
        self._check()
        at = self.now() if at is None else at
        entry, row = _entry(self.run, self.state.seq + 1, at, record, self.state.last_hash)
        saga.apply(self.state, entry)
        self.pending.append((entry, row))
        return entry

    def commit(self) -> None:
        """Make everything appended so far durable, in one transaction. Conflict when the lease was lost."""
        self._check()
        if self.pending or self.birth is not None:
            with self._transaction():
                self._write()
                self.journal._insert(self._rows())
            self._committed()

    def is_old(self, now: float) -> bool:
        """Whether it should be renewed, which every commit does."""
        return not self.given_back and now > self.until - LEASE_SECONDS / 2

    def durably(self, work: Callable[[], T]) -> T:
        """Run `work`, which may append entries and write to this very file, and commit all of it: all or nothing."""
        with self._transaction():
            result = work()
            self._write()
            self.journal._insert(self._rows())
        self._committed()
        return result

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._check()
        try:
            with transaction(self.journal.connection):
                yield
        except BaseException as error:
            self.failure = error
            raise

    def _check(self) -> None:
        """After a commit that failed, the state in memory is ahead of the file: nothing more may follow from it."""
        if isinstance(self.failure, Conflict):
            raise self.failure
        if self.failure is not None:
            raise StoreError(
                f"the journal of run '{self.run}' could not be written; nothing more is added to it",
                hint=f"when the file can be written again: ritesmith resume {self.run}",
            )

    def _committed(self) -> None:
        entries, self.pending = self.pending, []
        self.birth = None
        self.given_back = self.state.status in FINAL_STATUSES
        if self.watch is not None:
            for entry, _ in entries:
                self.watch(entry, self.state)

    def release(self) -> None:
        """Let others drive the run. A lease that was lost is left alone, and one that cannot be given back expires."""
        _HELD.discard(self.owner)
        if self.given_back:
            return
        with suppress(StoreError), transaction(self.journal.connection) as connection:
            done = connection.execute(
                "UPDATE runs SET lease_owner = NULL, lease_until = NULL WHERE number = ? AND fence = ?",
                (self.number, self.fence),
            )
            if done.rowcount != 1 or self.failure is not None or not self.state.seq:
                return
            newer = connection.execute(
                "SELECT 1 FROM messages WHERE run = ? AND id > ? LIMIT 1", (self.run, self.read)
            ).fetchone()
            self.missed = newer is not None
            due = self.journal.clock() if self.missed else self._due_at()
            connection.execute("UPDATE runs SET due_at = ? WHERE number = ?", (due, self.number))

    def _due_at(self) -> float | None:
        """When the run has something to do: at once, too, when one that it called has ended in other hands."""
        state = self.state
        if state.status in ("running", "compensating"):
            return state.since
        called = [track.waiting.data["child"] for track in state.waits("child") if track.waiting is not None]
        marks, ends = ", ".join("?" * len(called)), ", ".join("?" * len(FINAL_STATUSES))
        if called and state.status not in FINAL_STATUSES:
            row = self.journal.connection.execute(
                f"SELECT 1 FROM runs WHERE id IN ({marks}) AND status IN ({ends}) LIMIT 1", (*called, *FINAL_STATUSES)
            ).fetchone()
            if row is not None:
                return state.updated_at
        return state.due_at()

    def _write(self) -> None:
        """What the table `runs` repeats of the run. With its end the lease is given back: that needs no commit more."""
        if self.birth is not None:
            try:
                self.number = self.journal._insert_run(self.birth.entry, None, self.birth.input_digest)
            except sqlite3.IntegrityError:
                raise Conflict(f"there is a run '{self.run}' already") from None
        state, ended = self.state, self.state.status in FINAL_STATUSES
        if self._carries_on():
            done = self.journal.connection.execute(_CARRY_ON, self._progress())
        else:
            status, due_at = self.told = (state.status, self._due_at())
            told = (status, due_at, state.outcome, None if ended else self.owner, *self._progress())
            done = self.journal.connection.execute(_UPDATE, told)
        if done.rowcount != 1:
            raise Conflict(f"run '{self.run}' was taken over by another process", hint="let that process finish it")
        if state.parent is not None and ended:  # whom it answers has something to do again
            self.journal.connection.execute(
                "UPDATE runs SET due_at = ?1 WHERE id = ?2 AND (due_at IS NULL OR due_at > ?1)"
                f" AND status NOT IN ({', '.join('?' * len(FINAL_STATUSES))})",
                (state.updated_at, state.parent["run"], *FINAL_STATUSES),
            )

    def _carries_on(self) -> bool:
        """Whether the table `runs` needs to be told only how far it has come: it is no index that has that."""
        state = self.state
        acts = state.status == "running" or state.status == "compensating"
        return acts and self.birth is None and self.told == (state.status, state.since)

    def _progress(self) -> tuple[Any, ...]:
        """The last parameters of both statements. What a lease that is given back says of its end is not looked at."""
        self.until = self.journal.clock() + LEASE_SECONDS
        return (self.state.updated_at, self.state.seq, self.until, self.number, self.fence)

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        if self.birth is not None:
            yield (self.number, *self.birth.row)
        for _, row in self.pending:
            yield (self.number, *row)


@dataclass(frozen=True)
class _Birth:
    """The first entry of a run, before there is one."""

    entry: Entry
    row: _Row
    input_digest: str


_UPDATE = (
    "UPDATE runs SET status = ?, due_at = ?, outcome = ?, lease_owner = ?, updated_at = ?, seq = ?, lease_until = ?"
    " WHERE number = ? AND fence = ?"
)
_CARRY_ON = "UPDATE runs SET updated_at = ?, seq = ?, lease_until = ? WHERE number = ? AND fence = ?"
"""The same, for a run that goes on as the table says already: no index has any of it."""
_HELD: set[str] = set()
"""The leases that this process holds."""
_NUMBERS = itertools.count(1)


def _owner() -> str:
    return f"{process_name()}:{next(_NUMBERS)}"


def process_name() -> str:
    """This process, told from every other one, also from a later one with the same number: host:pid:start."""
    return _name_of(os.getpid())


@cache
def _name_of(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{_started(pid) or ''}"


def held(owner: str | None, until: float, now: float) -> bool:
    """Whether a lease (its owner is host:pid:start:number, or nobody) still stands.

    On this machine a process is known to live or not, however long its step takes; elsewhere its lease must expire.
    """
    if not owner:
        return False
    process, _, _ = owner.rpartition(":")
    if process == process_name():
        return owner in _HELD
    host, pid, started = process.rsplit(":", 2)
    if host != socket.gethostname():
        return until > now
    if started:
        return _started(int(pid)) == started
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return until > now  # the number is taken, but maybe by a later process


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot (proc_pid_stat(5), field 22).

    None for one that is not there, that has died and was not waited for, and where /proc is missing.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _edited(run: str, seq: int) -> JournalMismatch:
    return JournalMismatch(
        f"the journal of run '{run}' was edited: entry {seq} is missing or is not what was written",
        hint="restore the registry file from a backup; the run cannot go on",
    )


_Row: TypeAlias = tuple[int, float, str, str, int, str, bytes]
"""An entry as it stands in the table behind its run, its data encoded once, for the hash and for the file."""


def _entry(run: str, seq: int, at: float, record: saga.Record, previous: str) -> tuple[Entry, _Row]:
    data, at = dict(record.data), float(at)
    try:
        text = canonical(data)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"an entry '{record.kind}' of run '{run}' is not JSON: {error}") from None
    hashed = _hash(previous, run, seq, at, record.kind, record.node, record.attempt, text)
    entry = Entry(run, seq, at, record.kind, record.node, record.attempt, data, hashed.hex())
    return entry, (seq, at, record.kind, record.node, record.attempt, text, hashed)


def _hash(previous: str, run: str, seq: int, at: float, kind: str, node: str, attempt: int, text: str) -> bytes:
    """sha256 over the entry and the hash before it, that one as hexadecimal digits."""
    hashed = f"{previous}\x1f{run}\x1f{seq}\x1f{at}\x1f{kind}\x1f{node}\x1f{attempt}\x1f{text}"
    return hashlib.sha256(hashed.encode("utf-8", "surrogatepass")).digest()
