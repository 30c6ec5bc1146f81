"""One suite for every engine: a run is carried on by whoever is there, and its effects happen once.

A test asks the fixture `place` for processes: a process opens the place, does something there, and may die at any
touch of its fuse. Another engine is tested by adding its place to PLACES.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ritesmith import hosts, saga
from ritesmith.app import RiteSmith
from ritesmith.engine import Engine
from ritesmith.errors import Conflict, InvalidInput, JournalMismatch, NotFound, StoreError
from ritesmith.models import (
    FINAL_STATUSES,
    JSON,
    Artifact,
    Capability,
    Entry,
    HostFunction,
    HostReply,
    Provenance,
)
from ritesmith.sandbox import Sandbox
from ritesmith.testing import Blown, Fuse, ManualClock

LONG = bool(os.environ.get("RITESMITH_SIM_RUNS"))
"""More deaths than the suite can bear; see `make sim`."""


def drawn_seed() -> int:
    """The seed that is given, or a new one; printed, so that it can be given again."""
    seed = int(os.environ.get("RITESMITH_SIM_SEED") or random.SystemRandom().randrange(2**32))
    print(f"seed {seed}")
    return seed


Answer = Callable[[str, JSON, hosts.HostEnvironment], HostReply]


class FusedConnection:
    """An SQLite connection with a fuse at every statement, counted at the two sides of every commit."""

    def __init__(self, connection: sqlite3.Connection, fuse: Fuse) -> None:
        self.connection, self.fuse = connection, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql == "COMMIT":
            return self.fuse.around(self.connection.execute, "commit")(sql, *parameters)
        if self.fuse.blown:
            self.fuse.touch(sql)
        return self.connection.execute(sql, *parameters)


class LocalPlace:
    """A registry file, and processes that work on it with the local engine."""

    def __init__(self, folder: Path, ready: Path | None, sandbox: Sandbox) -> None:
        self.folder = folder
        self.file = folder / "registry.db"
        if ready is not None:
            shutil.copyfile(ready / "registry.db", self.file)
        self.sandbox = sandbox
        self.clock = ManualClock()

    @contextmanager
    def process(
        self,
        fuse: Fuse | None = None,
        *,
        functions: Mapping[str, HostFunction] | None = None,
        answer: Answer | None = None,
    ) -> Iterator[RiteSmith]:
        """One process: at the end of the block it is gone, and when its fuse blows it dies without a word."""
        app = RiteSmith(self.file, clock=self.clock, new_id=lambda: "r1")
        app.__dict__["sandbox"] = self.sandbox  # workers are dear; this pool outlives the processes
        fuse = fuse or Fuse()
        app.journal.connection = FusedConnection(app.connection, fuse)  # type: ignore[assignment]
        answers = answer or hosts.answer

        def touched(name: str, args: JSON, environment: hosts.HostEnvironment) -> HostReply:
            return fuse.around(answers, name)(name, args, environment)

        # The policy, too, asks what a host function is: it denies what it does not know.
        app.__dict__["catalog"] = {**hosts.CATALOG, **(functions or mail(idempotent=True))}
        app.__dict__["engine"] = Engine(
            app.journal,
            app.library,
            self.sandbox,
            self.clock,
            limits=app.policy.limits,
            catalog={**hosts.CATALOG, **(functions or {})},
            answer=touched,
        )
        try:
            yield app
        except Blown:
            pass
        finally:
            app.connection.close()

    def copy(self, folder: Path) -> LocalPlace:
        """Another place with the same file in it."""
        folder.mkdir()
        return LocalPlace(folder, self.folder, self.sandbox)


PLACES = {"local": LocalPlace}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as made:
        yield made


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path, ready: Path, sandbox: Sandbox) -> LocalPlace:
    return PLACES[request.param](tmp_path, ready, sandbox)


def documents(app: RiteSmith) -> list[dict[str, Any]]:
    """Every document with its version: a write that happened twice is seen in it."""
    return app.documents()


def shape(entries: list[Entry]) -> list[tuple[str, str, int]]:
    return [(entry.kind, entry.node, entry.attempt) for entry in entries]


def exists(app: RiteSmith, run: str) -> bool:
    try:
        return bool(app.journal.entries(run))
    except NotFound:
        return False


def carry_on(app: RiteSmith, order: str, run: str = "r1") -> None:
    """What a caller does who knows nothing of what happened: start unless started, drive, say yes when asked."""
    if not exists(app, run):
        app.start("orders.refund", {"order_id": order}, idempotency_key="k")
    app.drive(run)
    if app.view(run).status == "waiting":
        app.answer(run, "approved", by="ann")
        app.drive(run)


PATHS = {
    "calm": ("ORD-1001", "succeeded", "refunded"),
    "approval": ("ORD-1002", "succeeded", "refunded"),
    "compensated": ("ORD-1004", "compensated", ""),
}
each_path = pytest.mark.parametrize("path", PATHS)


class Told:
    """How a run ended and what it left: compared between a calm run and one that was interrupted."""

    def __init__(self, app: RiteSmith, run: str = "r1") -> None:
        view = app.view(run)
        self.end = (view.status, view.outcome, view.output, view.error, view.undone, view.not_undone)
        self.documents = documents(app)
        self.shape = shape(app.journal.entries(run))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Told) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


# ---------------------------------------------------------------- the bundled refund


def test_a_small_refund_is_paid_without_asking(place: LocalPlace) -> None:
    with place.process() as app:
        view = app.run("orders.refund", {"order_id": "ORD-1001"})
        assert (view.status, view.outcome) == ("succeeded", "refunded")
        assert view.output == {"order_id": "ORD-1001", "refund_id": "PAY-1001-R1", "amount": 49.9, "currency": "EUR"}
        assert app.document("payments", "PAY-1001")["value"]["refunded"] == 49.9


def test_a_large_refund_waits_for_approval_and_is_carried_on_by_another_process(place: LocalPlace) -> None:
    with place.process() as app:
        before = documents(app)
        view = app.run("orders.refund", {"order_id": "ORD-1002"})
        assert view.status == "waiting"
        assert view.waiting is not None
        assert "349.00 EUR" in view.waiting.prompt
        digest = view.waiting.digest
        assert documents(app) == before
    place.clock.advance(3600)
    with place.process() as app:
        app.answer("r1", "approved", by="ann", digest=digest)
        assert app.drive("r1").status == "succeeded"
        assert app.document("orders", "ORD-1002")["value"]["status"] == "refunded"


def test_a_rejected_refund_changes_nothing(place: LocalPlace) -> None:
    with place.process() as app:
        before = documents(app)
        app.run("orders.refund", {"order_id": "ORD-1002"})
        app.answer("r1", "rejected", by="ann", comment="no receipt")
        view = app.drive("r1")
        assert (view.status, view.outcome) == ("failed", "rejected")
        assert documents(app) == before
        with pytest.raises(Conflict):
            app.answer("r1", "approved", by="bob")


def test_an_approval_that_nobody_gives_times_out(place: LocalPlace) -> None:
    with place.process() as app:
        app.run("orders.refund", {"order_id": "ORD-1002"})
        assert app.unfinished() == []
        place.clock.advance(86_400)
        assert app.unfinished() == ["r1"]
        view = app.drive("r1")
        assert (view.status, view.outcome) == ("failed", "not_decided")


# ---------------------------------------------------------------- crashes


@each_path
def test_a_crash_at_any_write_or_effect_changes_nothing_in_the_end(
    place: LocalPlace, tmp_path: Path, path: str
) -> None:
    """Stop before and after every commit and every host effect, once each; resume with a new process; compare."""
    order, status, outcome = PATHS[path]
    calm = Fuse()
    with place.copy(tmp_path / "calm").process(calm) as app:
        carry_on(app, order)
        expected = Told(app)
    assert expected.end[:2] == (status, outcome)
    assert len(calm.touched) > 50
    assert {touch.split()[1] for touch in calm.touched} == {"commit", "store.get", "store.put", "store.list"}
    for at in range(1, len(calm.touched) + 1):
        crashed = place.copy(tmp_path / str(at))
        fuse = Fuse(at)
        with crashed.process(fuse) as app:
            carry_on(app, order)
            pytest.fail("the fuse did not blow")
        assert fuse.touched[at - 1] == calm.touched[at - 1]
        with crashed.process() as app:
            carry_on(app, order)
            assert Told(app) == expected, f"touch {at}: {fuse.touched[at - 1]}"
            assert app.unfinished() == []
        shutil.rmtree(crashed.folder)


@each_path
def test_processes_that_die_again_and_again_get_it_done(place: LocalPlace, tmp_path: Path, path: str) -> None:
    order, _, _ = PATHS[path]
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    with place.copy(tmp_path / "calm").process() as app:
        carry_on(app, order)
        expected = Told(app)
    for attempt in range(4):
        dying = place.copy(tmp_path / str(attempt))
        deaths = 0
        while True:
            with dying.process(Fuse(rng.randrange(3, 25))) as app:
                carry_on(app, order)
                assert Told(app) == expected
                break
            deaths += 1
            assert deaths < 100
        assert deaths > 1


def finish_as_the_other(place: LocalPlace, order: str) -> Told:
    place.clock.at = time.time()  # the processes that are killed go by the machine's clock
    with place.process() as app:
        runs = [each["id"] for each in app.runs()]
        assert len(runs) <= 1
        run = runs[0] if runs else app.start("orders.refund", {"order_id": order}, idempotency_key="k")
        carry_on(app, order, run)
        return Told(app, run)


def commands(place: LocalPlace, path: str) -> list[str]:
    """The command line that is killed: `run`, and where approval is asked for, `approve`."""
    order = PATHS[path][0]
    if path != "approval":
        return ["run", "orders.refund", "--input", json.dumps({"order_id": order}), "--idempotency-key", "k"]
    place.clock.at = time.time()
    with place.process() as app:
        app.start("orders.refund", {"order_id": order}, idempotency_key="k")
        app.drive("r1")
    return ["approve", "r1", "--by", "ann"]


def killed(place: LocalPlace, path: str, entries: int, milliseconds: float) -> int:
    """Kill a real process that many milliseconds after that many entries are seen in the file.

    Returns how many entries it left.
    """
    words = [sys.executable, "-m", "ritesmith", "--db", str(place.file), *commands(place, path)]
    connection = sqlite3.connect(place.file)
    count = partial(connection.execute, "SELECT count(*) FROM entries")
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while count().fetchone()[0] < entries and process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.001)
        with suppress(subprocess.TimeoutExpired):
            process.wait(milliseconds / 1000)
        process.kill()
    left = count().fetchone()[0]
    connection.close()
    return int(left)


def test_a_real_process_killed_at_many_moments_leaves_runs_that_others_finish(
    place: LocalPlace, tmp_path: Path
) -> None:
    seed = drawn_seed()
    rng = random.Random(seed)
    expected = {}
    for path, (order, _, _) in PATHS.items():
        calm = place.copy(tmp_path / path)
        expected[path] = finish_as_the_other(calm, order)
    points = []
    for number in range(210 if LONG else 42):
        path = list(PATHS)[number % 3]
        points.append((number, path, rng.randrange(len(expected[path].shape)), rng.uniform(0, 4)))

    def one(point: tuple[int, str, int, float]) -> tuple[int, str, Told]:
        number, path, entries, milliseconds = point
        mine = place.copy(tmp_path / str(number))
        left = killed(mine, path, entries, milliseconds)
        return left, path, finish_as_the_other(mine, PATHS[path][0])

    deaths = []
    with ThreadPoolExecutor(2) as pool:
        for point, (left, path, told) in zip(points, pool.map(one, points), strict=True):
            deaths += [left] if 0 < left < len(expected[path].shape) else []
            assert told.end == expected[path].end, (seed, point)
            assert told.shape == expected[path].shape, (seed, point)
            assert [without_times(each) for each in told.documents] == [
                without_times(each) for each in expected[path].documents
            ], (seed, point)
    print(
        f"{len(deaths)} of {len(points)} died in the middle of a run, with these numbers of entries: {sorted(deaths)}"
    )
    assert deaths


WIDE_NODES = [
    {
        "id": "fan",
        "kind": "split",
        "branches": [{"id": "left", "start": "l1"}, {"id": "right", "start": "each"}],
        "join": "together",
    },
    {"id": "l1", "next": "nap"},
    {"id": "nap", "kind": "sleep", "seconds": 0.01, "next": "l2"},
    {"id": "l2", "next": "together"},
    {"id": "each", "kind": "map", "over": [1, 2, 3], "start": "e1", "join": "all_of_them", "concurrency": 2},
    {"id": "e1", "next": "all_of_them"},
    {"id": "all_of_them", "kind": "join", "next": "call"},
    {"id": "call", "kind": "call", "workflow": "test.inner@1", "next": "together"},
    {"id": "together", "kind": "join", "next": "last"},
    {"id": "last", "next": None, "with": {"fails": {"var": "input.fails"}}},
]
INNER_NODES = [{"id": "i1", "next": "i2"}, {"id": "i2", "next": None}]
PUT = """--[[ capability
{"name": "test.put", "intent": "leave a mark", "input": {"type": "object"}, "output": {"type": "object"},
 "grants": {"store.put": {"namespaces": ["marks"]}}}
]]
function run(input, context)
  local put = store.put{ namespace = "marks", key = context.idempotency_key, value = { at = context.node } }
  if input.fails then fail("broken", "on purpose") end
  return { version = put.version }
end
"""


def publish_wide(app: RiteSmith) -> None:
    """A workflow with branches, a map and a called run; every step leaves a mark, and so does its compensation."""
    digest = store(app, PUT, name="test.put").digest
    pins = {"test.put@1": digest}
    undo = {"kind": "task", "capability": "test.put@1", "compensation": {"capability": "test.put@1", "with": {}}}
    for name, nodes in (("test.inner", INNER_NODES), ("test.wide", WIDE_NODES)):
        whole = [each if "kind" in each else each | undo for each in nodes]
        flow = {"name": name, "intent": "to be killed", "start": nodes[0]["id"], "nodes": whole}
        made = store(app, json.dumps(flow), name=name, kind="workflow", pins=pins)
        pins = {**pins, made.ref: made.digest}


def marks(app: RiteSmith, run: str) -> list[tuple[str, int]]:
    """The marks that a run left, each with how often it was made."""
    found = (each for each in app.documents("marks") if each["key"].startswith(f"{run}/"))
    return sorted((each["key"].partition("/")[2], each["version"]) for each in found)


def test_workers_that_compete_and_are_killed_do_every_run_once(place: LocalPlace) -> None:
    """Two workers share a file; now and then one of them is killed, and another takes its place."""
    seed = drawn_seed()
    rng, place.clock.at = random.Random(seed), time.time()
    with place.process() as app:
        publish_wide(app)
        started: list[tuple[str, bool]] = []
        for number in range(60 if LONG else 16):
            app.new_id = lambda number=number: f"w{number}"  # type: ignore[misc]
            fails = number % 3 == 0
            started.append((app.start("test.wide", {"fails": fails}), fails))
    words = [sys.executable, "-m", "ritesmith", "--db", str(place.file), "worker", "--poll", "0.05"]
    begin = partial(subprocess.Popen, words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    connection = sqlite3.connect(place.file)

    def left() -> int:
        ends = ", ".join(f"'{status}'" for status in FINAL_STATUSES)
        return int(connection.execute(f"SELECT count(*) FROM runs WHERE status NOT IN ({ends})").fetchone()[0])

    def entries() -> int:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])

    workers = [begin(), begin()]
    deaths = 0
    try:
        while left():
            goal = entries() + rng.randrange(5, 60)
            while left() and entries() < goal:
                with suppress(subprocess.TimeoutExpired):
                    workers[0].wait(0.002)
                assert [each.poll() for each in workers] == [None, None]
            if left() and deaths < (40 if LONG else 5):
                victim = rng.randrange(2)
                workers[victim].kill()
                workers[victim].wait()
                workers[victim] = begin()
                deaths += 1
    finally:
        for each in workers:
            each.terminate()
        codes = [each.wait(30) for each in workers]
        connection.close()
    print(f"{deaths} deaths")
    assert deaths
    assert set(codes) <= {0, -signal.SIGTERM}, "asked to stop, a worker stops, and one that only begins just ends"
    with place.process() as app:
        for run, fails in started:
            view = app.view(run)
            assert view.status == ("compensated" if fails else "succeeded"), (run, view.error)
            [child] = [each for each in app.runs(limit=1000) if each["parent"] == run]
            assert child["status"] == view.status
            made = [*marks(app, run), *marks(app, child["id"])]
            assert {version for _, version in made} == {1}, "nothing was done twice"
            assert len(made) == (16 if fails else 8), "and nothing was left out"
            ends = ("step_succeeded", "step_failed", "child_ended")
            done = [entry.node for entry in app.journal.entries(run) if entry.kind in ends]
            assert view.undone == (tuple(reversed(done)) if fails else ()), "newest first"


def abandon(place: LocalPlace) -> None:
    """For others this process, which lives, still drives the run: give its lease to one that is dead."""
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    connection = sqlite3.connect(place.file)
    with connection:
        owner = f"{socket.gethostname()}:{dead.pid}:1:1"
        changed = connection.execute("UPDATE runs SET lease_owner = ? WHERE lease_owner IS NOT NULL", (owner,))
        assert changed.rowcount == 1
    connection.close()


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    """Without what two runs may differ in: their times, and the run's id within keys."""
    value = {key: each for key, each in document["value"].items() if key not in ("refunded_at", "idempotency_key")}
    return document | {"value": value}


def test_two_processes_that_resume_at_once_do_it_once(place: LocalPlace, tmp_path: Path) -> None:
    with place.copy(tmp_path / "calm").process() as app:
        carry_on(app, "ORD-1001")
        expected = Told(app)
    for at in (9, 21, 33):
        both = place.copy(tmp_path / str(at))
        both.clock.at = time.time()  # the resumers go by the machine's clock
        with both.process(Fuse(at)) as app:
            carry_on(app, "ORD-1001")
            pytest.fail("the fuse did not blow")
        abandon(both)
        words = [sys.executable, "-m", "ritesmith", "--db", str(both.file), "resume", "r1", "--json"]
        resumers = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        answers = [json.loads(each.communicate()[0]) for each in resumers]
        codes = [each.returncode for each in resumers]
        assert 0 in codes
        for code, answer in zip(codes, answers, strict=True):
            assert (code, answer.get("status")) == (0, "succeeded") or answer["error"]["code"] == "conflict"
        with both.process() as app:
            told = Told(app)
            assert (told.end, told.shape) == (expected.end, expected.shape)
            assert [each["version"] for each in told.documents] == [each["version"] for each in expected.documents]


# ---------------------------------------------------------------- host functions with effects outside the file

ANY = {"type": "object"}
SEND = """--[[ capability
{"name": "test.send", "intent": "send two messages", "input": {"type": "object"}, "output": {"type": "object"},
 "grants": {"mail.send": {}, "store.get": {"namespaces": ["orders"]}}, "limits": {"host_calls": 4}}
]]
function run(input, context)
  local first = mail.send{ to = input.to, text = "first" }
  store.get{ namespace = "orders", key = "ORD-1001" }
  local second = mail.send{ to = input.to, text = "second" }
  return { ids = { first.id, second.id } }
end
"""


def mail(*, idempotent: bool) -> dict[str, HostFunction]:
    return {
        "mail.send": HostFunction(
            name="mail.send",
            description="Send a message.",
            input=ANY,
            output=ANY,
            effect="write",
            idempotent=idempotent,
            outside=True,
        )
    }


class Mailbox:
    """The world outside: what was sent, in order. It takes a message again, unless it has seen its key."""

    def __init__(self, *, idempotent: bool) -> None:
        self.idempotent = idempotent
        self.functions = mail(idempotent=idempotent)
        self.sent: list[str] = []
        self.keys: list[str] = []

    def answer(self, name: str, args: JSON, environment: hosts.HostEnvironment) -> HostReply:
        if name != "mail.send":
            return hosts.answer(name, args, environment)
        key = environment.idempotency_key
        if key not in self.keys or not self.idempotent:
            self.keys.append(key)
            self.sent.append(args["text"])
        return HostReply(result={"id": f"m{self.keys.index(key) + 1}"})


def store(app: RiteSmith, text: str, *, name: str = "test.send", kind: Any = "capability", **more: Any) -> Artifact:
    """Put an artifact into the registry past the guard, which does not know the host functions of these tests."""
    artifact, _ = app.registry.publish(
        kind=kind,
        name=name,
        text=text,
        canonical="",
        effect="write",
        risk="high",
        provenance=Provenance(source="person", **more),
        intent=name,
    )
    return artifact


def sending(place: LocalPlace, mailbox: Mailbox, fuse: Fuse | None = None) -> Any:
    return place.process(fuse, functions=mailbox.functions, answer=mailbox.answer)


@pytest.mark.parametrize("idempotent", [True, False], ids=["idempotent", "not idempotent"])
def test_a_crash_at_any_point_of_an_outside_write_never_repeats_it_unasked(
    place: LocalPlace, tmp_path: Path, idempotent: bool
) -> None:
    """Idempotent: the same call with the same key. Otherwise: unknown, until a person who looks says what happened."""
    calm, mailbox = Fuse(), Mailbox(idempotent=idempotent)
    with sending(place.copy(tmp_path / "calm"), mailbox, calm) as app:
        store(app, SEND)
        assert app.run("test.send", {"to": "ann"}).status == "succeeded"
        assert [entry.kind for entry in app.journal.entries("r1")] == [
            "run_started",
            "call_started",
            "call_finished",
            "call_finished",
            "call_started",
            "call_finished",
            "step_succeeded",
            "run_finished",
        ]
    asked = 0
    for at in range(1, len(calm.touched) + 1):
        crashed, mailbox = place.copy(tmp_path / str(at)), Mailbox(idempotent=idempotent)
        with sending(crashed, mailbox) as app:
            store(app, SEND)
        with sending(crashed, mailbox, Fuse(at)) as app:
            app.run("test.send", {"to": "ann"})
            pytest.fail("the fuse did not blow")
        with sending(crashed, mailbox) as app:
            if not exists(app, "r1"):
                app.start("test.send", {"to": "ann"})
            view = app.drive("r1")
            if view.status == "unknown":
                asked += 1
                assert view.waiting is not None
                assert "resolve r1" in view.waiting.command
                assert app.drive("r1").status == "unknown", "nobody has said anything yet"
                number = sum(entry.kind == "call_started" for entry in app.journal.entries("r1"))
                happened = len(mailbox.sent) == number
                app.resolve("r1", happened=happened, result={"id": f"m{number}"} if happened else None, by="ann")
                view = app.drive("r1")
            assert view.status == "succeeded", (at, calm.touched[at - 1])
            assert view.output == {"ids": ["m1", "m2"]}
            assert mailbox.sent == ["first", "second"], (at, calm.touched[at - 1])
            assert mailbox.keys == ["r1/run/0", "r1/run/2"]
    assert bool(asked) is not idempotent
    assert asked in (0, 8), "four touches between the two commits of a write, and two writes"


def test_an_unexpected_exception_of_a_host_function_passes_and_leaves_the_write_unknown(place: LocalPlace) -> None:
    mailbox = Mailbox(idempotent=False)

    def broken(name: str, args: JSON, environment: hosts.HostEnvironment) -> HostReply:
        raise OSError("the line is dead")

    with place.process(functions=mailbox.functions, answer=broken) as app:
        store(app, SEND)
        with pytest.raises(OSError, match="the line is dead"):
            app.run("test.send", {"to": "ann"})
    with sending(place, mailbox) as app:
        assert app.unfinished() == ["r1"]
        assert app.drive("r1").status == "unknown"
        assert app.unfinished() == []
        assert mailbox.sent == []


def test_a_retried_step_keeps_the_keys_of_its_effects(place: LocalPlace) -> None:
    text = SEND.replace(
        "return {", 'if context.attempt < 3 then fail("busy", "later", {retryable = true}) end return {'
    )
    flow = {
        "name": "test.flow",
        "intent": "send with patience",
        "start": "send",
        "retry": {"max_attempts": 3, "initial_seconds": 10},
        "nodes": [{"id": "send", "kind": "task", "capability": "test.send@1", "with": {"to": "ann"}}],
    }
    mailbox = Mailbox(idempotent=True)
    with sending(place, mailbox) as app:
        digest = store(app, text).digest
        store(app, json.dumps(flow), name="test.flow", kind="workflow", pins={"test.send@1": digest})
        view = app.run("test.flow", {})
        assert view.status == "sleeping"
        assert app.unfinished() == []
        place.clock.advance(60)
        assert app.unfinished() == ["r1"]
        began = place.clock.now()
        view = app.drive("r1", wait_seconds=60)
        assert view.status == "succeeded"
        assert 15 < place.clock.now() - began < 25, "the second wait was sat out"
        assert mailbox.sent == ["first", "second"]
        assert [entry.attempt for entry in app.journal.entries("r1") if entry.kind == "call_started"] == [
            1,
            1,
            2,
            2,
            3,
            3,
        ]


PAY = """--[[ capability
{"name": "test.pay", "intent": "pay, and fail after it", "input": {"type": "object"}, "output": {"type": "object"},
 "grants": {"store.put": {"namespaces": ["paid"]}}}
]]
function run(input, context)
  store.put{ namespace = "paid", key = context.idempotency_key, value = { amount = 5 } }
  store.put{ namespace = "paid", key = "last", value = { amount = 5 } }
  if input.fails then fail("broken", "after the payment") end
  return { key = context.idempotency_key }
end
"""
UNPAY = """--[[ capability
{"name": "test.unpay", "intent": "take a payment back", "output": {"type": "object"},
 "input": {"type": "object", "properties": {"key": {"type": "string"}}, "additionalProperties": false},
 "grants": {"store.delete": {"namespaces": ["paid"]}}}
]]
function run(input, context)
  local key = input.key
  if context.partial then key = context.run_id .. "/" .. context.node:gsub("~undo$", "") end
  return { deleted = store.delete{ namespace = "paid", key = key }.deleted, partial = context.partial }
end
"""


@pytest.mark.parametrize("fails", ["first", "second"])
def test_a_step_that_fails_after_a_write_is_undone_with_what_is_known_of_it(place: LocalPlace, fails: str) -> None:
    undo = {"capability": "test.unpay@1", "with": {"key": {"var": "nodes.first.output.key"}}}
    flow = {
        "name": "test.flow",
        "intent": "pay",
        "start": "first",
        "nodes": [
            {"id": "first", "kind": "task", "capability": "test.pay@1", "compensation": undo, "next": "second"},
            {"id": "second", "kind": "task", "capability": "test.pay@1", "compensation": undo, "next": None},
        ],
    }
    nodes: list[Any] = flow["nodes"]  # type: ignore[assignment]
    nodes[1]["compensation"] = {"capability": "test.unpay@1", "with": {"key": {"var": "nodes.second.output.key"}}}
    nodes[("first", "second").index(fails)]["with"] = {"fails": True}
    with place.process() as app:
        pins = {
            f"{each.name}@1": each.digest
            for each in (store(app, PAY, name="test.pay"), store(app, UNPAY, name="test.unpay"))
        }
        store(app, json.dumps(flow), name="test.flow", kind="workflow", pins=pins)
        view = app.run("test.flow", {})
        assert (view.status, view.undone) == ("compensated", ("first",) if fails == "first" else ("second", "first"))
        told = [step.output for step in view.steps if step.kind == "compensation"]
        partial_undo, whole = {"deleted": True, "partial": True}, {"deleted": True, "partial": False}
        assert told == ([partial_undo] if fails == "first" else [partial_undo, whole])
        assert [each["key"] for each in app.documents("paid")] == ["last"]


# ---------------------------------------------------------------- replay


def capability(text: str) -> Capability:
    from ritesmith.contract import capability_of

    return capability_of(text, "test")


def changed(app: RiteSmith, text: str) -> None:
    """From now on the run's capability is another text: as if the runtime or the file had changed under it."""
    library = replace(app.library, capability=lambda digest: capability(text))
    app.engine.library = library


@pytest.mark.parametrize(
    ("change", "at"),
    [
        (('"first"', '"1st"'), "after commit 2"),
        (
            ('mail.send{ to = input.to, text = "first" }', 'store.get{ namespace = "orders", key = "x" }'),
            "after commit 2",
        ),
        (('"ORD-1001"', '"ORD-1002"'), "after commit 3"),
        (("local second =", "if true then return { ids = { first.id } } end local second ="), "after commit 4"),
        (("local first =", "if true then return { ids = {} } end local first ="), "after commit 2"),
        (("local first =", 'if true then fail("other", "") end local first ='), "after commit 2"),
        (('"second"', '"2nd"'), "call_started"),
        (("local second =", "if true then return { ids = { first.id } } end local second ="), "call_started"),
        (("local second =", 'store.get{ namespace = "orders", key = "x" } local second ='), "call_started"),
        (("local second =", 'if true then error("oh") end local second ='), "call_started"),
    ],
    ids=[
        "other arguments",
        "other function",
        "other arguments of a read",
        "stops before a call that was finished",
        "makes no call",
        "fails instead",
        "other arguments of a write that was started",
        "returns instead of a write that was started",
        "another call instead of a write that was started",
        "fails instead of a write that was started",
    ],
)
def test_a_script_that_does_something_else_than_recorded_is_a_mismatch(
    place: LocalPlace, change: tuple[str, str], at: str
) -> None:
    mailbox = Mailbox(idempotent=True)
    calm = Fuse()
    with sending(place.copy(place.folder / "calm"), mailbox, calm) as app:
        store(app, SEND)
        app.run("test.send", {"to": "ann"})
    # The commits of a run: its start with its lease, call 0 started and finished, call 1, call 2 started and finished.
    commits = [number for number, touch in enumerate(calm.touched, 1) if touch == "after commit"]
    crash = commits[4] if at == "call_started" else commits[3]
    if at == "after commit 4":
        crash = commits[5]
    mailbox = Mailbox(idempotent=True)
    with sending(place, mailbox) as app:
        store(app, SEND)
    with sending(place, mailbox, Fuse(crash)) as app:
        app.run("test.send", {"to": "ann"})
    before = list(mailbox.sent)
    with sending(place, mailbox) as app:
        entries = app.journal.entries("r1")
        assert entries[-1].kind == ("call_started" if at == "call_started" else "call_finished")
        assert SEND.replace(*change) != SEND
        changed(app, SEND.replace(*change))
        with pytest.raises(JournalMismatch, match=r"run 'r1', step 'run'") as caught:
            app.drive("r1")
        assert caught.value.hint
        assert mailbox.sent == before
        assert shape(app.journal.entries("r1")) == shape(entries), "nothing was added"
    with sending(place, mailbox) as app:
        assert app.drive("r1").status == "succeeded", "with the text it began with it goes on"
        assert mailbox.sent == ["first", "second"]


def test_recorded_host_calls_count_against_the_limit(place: LocalPlace) -> None:
    text = SEND.replace('"host_calls": 4', '"host_calls": 2')
    for at in (None, 9):
        mailbox = Mailbox(idempotent=True)
        mine = place.copy(place.folder / f"at{at}")
        with sending(mine, mailbox) as app:
            store(app, text)
        with sending(mine, mailbox, Fuse(at)) as app:
            app.run("test.send", {"to": "ann"})
        with sending(mine, mailbox) as app:
            view = app.drive("r1")
            assert view.status == "failed"
            assert view.error is not None
            assert view.error["code"] == "host_calls"
            assert mailbox.sent == ["first"]


# ---------------------------------------------------------------- pinned


def test_a_run_finishes_with_the_versions_it_began_with_even_when_they_were_revoked(place: LocalPlace) -> None:
    with place.process() as app:
        app.run("orders.refund", {"order_id": "ORD-1002"})
        flow = app.registry.get("orders.refund")
        for digest in (flow.digest, *flow.provenance.pins.values()):
            app.registry.set_status(digest, "revoked")
    with place.process() as app:
        with pytest.raises((Conflict, NotFound)):
            app.start("orders.refund", {"order_id": "ORD-1001"})
        with pytest.raises(Conflict, match="was revoked and may not start"):
            app.start("orders.refund@1", {"order_id": "ORD-1001"})
        app.answer("r1", "approved", by="ann")
        assert app.drive("r1").status == "succeeded"


def test_what_is_published_later_changes_nothing_in_a_run(place: LocalPlace) -> None:
    with place.process() as app:
        app.run("orders.refund", {"order_id": "ORD-1002"})
        worse = app.registry.get("payments.refund").text + "\nrun = nil\n"
        assert store(app, worse, name="payments.refund").version == 2
        app.answer("r1", "approved", by="ann")
        assert app.drive("r1").status == "succeeded"


# ---------------------------------------------------------------- what is to be done


def test_unfinished_runs_are_those_that_have_something_to_do_now(place: LocalPlace) -> None:
    with place.process(Fuse(9)) as app:
        carry_on(app, "ORD-1001")
        pytest.fail("the fuse did not blow")
    with place.process() as app:
        assert app.unfinished() == ["r1"], "interrupted"
        with app.journal.lease("r1"):
            assert app.unfinished() == [], "somebody is at it"
        place.clock.advance(-1000)
        assert app.unfinished() == ["r1"], "interrupted, by a clock that was set back since"
        app.drive("r1")
        assert app.unfinished() == []


def test_a_finished_run_stays_as_it_is(place: LocalPlace) -> None:
    with place.process() as app:
        app.run("orders.refund", {"order_id": "ORD-1001"})
        before = Told(app)
        assert app.drive("r1").status in FINAL_STATUSES
        assert Told(app) == before
        for late in (
            partial(app.answer, "r1", "approved"),
            partial(app.deliver, "r1", {}),
            partial(app.resolve, "r1", happened=True),
        ):
            with pytest.raises(Conflict):
                late()


def test_a_driver_that_stops_listening_loses_nothing(place: LocalPlace, tmp_path: Path) -> None:
    with place.copy(tmp_path / "calm").process() as app:
        carry_on(app, "ORD-1001")
        expected = Told(app)

    def hang_up(entry: Entry, state: saga.State) -> None:
        if entry.seq == 7:
            raise BrokenPipeError

    with place.process() as app:
        app.start("orders.refund", {"order_id": "ORD-1001"}, idempotency_key="k")
        with pytest.raises(BrokenPipeError):
            app.drive("r1", watch=hang_up)
        app.drive("r1")
        assert Told(app) == expected


def test_one_key_makes_one_run_and_another_input_is_a_conflict(place: LocalPlace) -> None:
    with place.process() as app:
        first = app.start("orders.refund", {"order_id": "ORD-1001"}, idempotency_key="k")
        app.new_id = lambda: "r2"
        assert app.start("orders.refund", {"order_id": "ORD-1001"}, idempotency_key="k") == first
        with pytest.raises(Conflict, match="'k' belongs to run 'r1'"):
            app.start("orders.refund", {"order_id": "ORD-1002"}, idempotency_key="k")
        with pytest.raises(Conflict, match="'k' belongs to run 'r1'"):
            app.start("orders.confirm_delivery", {"order_id": "ORD-1001"}, idempotency_key="k")
        assert len(app.runs()) == 1


# ---------------------------------------------------------------- a file that cannot be written


@pytest.mark.parametrize("seq", [1, 3, 6, 10])
@pytest.mark.parametrize("trouble", ["locked", "read-only"])
def test_a_file_that_cannot_be_written_is_told_and_nothing_is_lost(
    place: LocalPlace, tmp_path: Path, trouble: str, seq: int
) -> None:
    with place.copy(tmp_path / "calm").process() as app:
        carry_on(app, "ORD-1001")
        expected = Told(app)
    other = sqlite3.connect(place.file, isolation_level=None)
    try:
        with place.process() as app:
            app.connection.execute("PRAGMA busy_timeout = 0")

            def spoil(entry: Entry, state: saga.State) -> None:
                if entry.seq == seq + 1:
                    other.execute("BEGIN IMMEDIATE") if trouble == "locked" else app.connection.execute(
                        "PRAGMA query_only = ON"
                    )

            app.start("orders.refund", {"order_id": "ORD-1001"}, idempotency_key="k")
            with pytest.raises(StoreError, match="is locked" if trouble == "locked" else "cannot be written") as caught:
                app.drive("r1", watch=spoil)
            assert caught.value.hint
        if other.in_transaction:
            other.execute("ROLLBACK")
        with place.process() as app:
            carry_on(app, "ORD-1001")
            assert Told(app) == expected
    finally:
        other.close()


FULL = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
sys.argv[0] = "ritesmith"
runpy.run_module("ritesmith", run_name="__main__")
"""


def test_a_full_disk_is_told_and_nothing_is_lost(place: LocalPlace, tmp_path: Path) -> None:
    calm = place.copy(tmp_path / "calm")
    expected = finish_as_the_other(calm, "ORD-1001")
    full = 0
    for kilobytes in (16, 36, 60, 90, 130, 180):
        mine = place.copy(tmp_path / str(kilobytes))
        words = [sys.executable, "-c", FULL, str(kilobytes * 1024), "--db", str(mine.file), *commands(mine, "calm")]
        done = subprocess.run([*words, "--json"], capture_output=True, text=True, timeout=60)
        answer = json.loads(done.stdout)
        if done.returncode:
            full += 1
            assert (done.returncode, answer["error"]["code"]) == (9, "store_error"), answer
            assert "hint" in answer["error"]
        told = finish_as_the_other(mine, "ORD-1001")
        assert (told.end, told.shape) == (expected.end, expected.shape), kilobytes
        assert list(map(without_times, told.documents)) == list(map(without_times, expected.documents)), kilobytes
    assert full >= 2


# ---------------------------------------------------------------- odd values


@pytest.mark.parametrize(
    "value",
    [{1: 2}, {"a": {1}}, {"a": b"x"}, {"a": float("nan")}, {"a": "\ud800"}, {"\ud800": 1}, [], None, "x", 3],
    ids=repr,
)
def test_an_input_that_is_no_json_object_is_refused_and_nothing_is_written(place: LocalPlace, value: Any) -> None:
    with place.process() as app:
        store(app, SEND)
        with pytest.raises(InvalidInput):
            app.start("test.send", value)
        assert app.runs() == []


@pytest.mark.parametrize("depth", [1, 63, 64, 900, 5000])
def test_an_input_of_any_depth_is_run_or_refused(place: LocalPlace, depth: int) -> None:
    value: JSON = 1
    for _ in range(depth):
        value = {"a": value}
    text = SEND.replace('local first = mail.send{ to = input.to, text = "first" }', "if true then return input end")
    with place.process() as app:
        store(app, text)
        if depth > 63:  # the input itself is a level
            with pytest.raises(InvalidInput, match="nested deeper than 64 levels"):
                app.start("test.send", {"to": value})
            assert app.runs() == []
            return
        view = app.run("test.send", {"to": value})
        assert (view.status, view.output) == ("succeeded", {"to": value}), view.error


@pytest.mark.parametrize(
    ("returned", "output"),
    [
        ("json.object{}", {}),
        ("{ a = {} }", {"a": []}),
        ("{ a = json.null }", {"a": None}),
        ("{ a = 2^53 }", {"a": 2.0**53}),
        ("{ a = math.maxinteger }", {"a": 2**63 - 1}),
        ('{ ["a.b"] = 1, [""] = 2 }', {"a.b": 1, "": 2}),
        ('{ a = "\\0\\u{2028}" }', {"a": "\0\u2028"}),
    ],
)
def test_outputs_of_odd_shapes_come_back_as_they_are(place: LocalPlace, returned: str, output: JSON) -> None:
    text = SEND.replace(
        'local first = mail.send{ to = input.to, text = "first" }', f"if true then return {returned} end"
    )
    with place.process() as app:
        store(app, text)
        view = app.run("test.send", {})
        assert view.status == "succeeded", view.error
        assert json.dumps(view.output, sort_keys=True) == json.dumps(output, sort_keys=True)


def test_an_empty_table_where_an_object_was_promised_is_told_with_the_way_out(place: LocalPlace) -> None:
    text = SEND.replace('local first = mail.send{ to = input.to, text = "first" }', "if true then return {} end")
    with place.process() as app:
        store(app, text)
        error = app.run("test.send", {}).error
        assert error is not None
        assert error["code"] == "bad_result"
        assert "json.object{}" in error["message"]


def test_the_result_that_a_person_gives_must_be_one_that_the_function_could_give(place: LocalPlace) -> None:
    mailbox = Mailbox(idempotent=False)
    strict = mailbox.functions["mail.send"].model_copy(update={"output": {"type": "object", "required": ["id"]}})
    mailbox.functions["mail.send"] = strict
    with sending(place, mailbox) as app:
        store(app, SEND)
    with sending(place, mailbox, Fuse(6)) as app:
        app.run("test.send", {"to": "ann"})
    with sending(place, mailbox) as app:
        assert app.drive("r1").status == "unknown"
        for wrong in ({}, None, {"id": "\ud800"}, {"id": float("nan")}):
            with pytest.raises(InvalidInput):
                app.resolve("r1", happened=True, result=wrong, by="ann")
        assert app.view("r1").status == "unknown"
        app.resolve("r1", happened=False, by="ann")
        assert app.drive("r1").status == "succeeded"


def test_the_beginning_of_an_id_is_taken_letter_by_letter(place: LocalPlace) -> None:
    with place.process() as app:
        app.start("orders.refund", {"order_id": "ORD-1001"})
        assert app.run_id("r") == "r1"
        for pattern in ("*", "?1", "[r]1", "r*", "R", "", "%", "_1"):
            with pytest.raises(NotFound):
                app.run_id(pattern)


PURE = """--[[ capability
{"name": "test.pure", "intent": "count", "input": {"type": "object"}, "output": {"type": "object"}}
]]
function run(input)
  for _ = 1, input.turns or 0 do end
  return { n = (input.n or 0) + 1 }
end
"""
AGAIN = 'store.put{ namespace = "marks", key = "again", value = { at = 1 } }'
PARTS = {
    "test.pure": PURE,
    "test.twice": PUT.replace("test.put", "test.twice").replace("return {", f"{AGAIN} return {{"),
}


def test_steps_with_and_without_host_calls_share_one_worker(tmp_path: Path, ready: Path) -> None:
    """One that holds the worker waits for the thread that drives; so that thread must never wait for the worker."""
    calm = {"with": {"n": {"var": "item"}}, "kind": "task", "capability": "test.pure@1"}
    nodes = [
        {"id": "fan", "kind": "split", "join": "end", "branches": [{"id": i, "start": f"{i}_each"} for i in "ab"]},
        {"id": "a_each", "kind": "map", "over": list(range(12)), "start": "a", "join": "a_end", "concurrency": 5},
        {"id": "a", **calm, "next": "a_end"},
        {"id": "b_each", "kind": "map", "over": list(range(12)), "start": "b", "join": "b_end", "concurrency": 5},
        {"id": "b", "kind": "task", "capability": "test.twice@1", "next": "b_end"},
        *({"id": f"{i}_end", "kind": "join", "next": "end"} for i in "ab"),
        {"id": "end", "kind": "join", "next": None},
    ]
    flow = {"name": "test.mixed", "intent": "both", "start": "fan", "nodes": nodes}
    with Sandbox(workers=1) as sandbox, LocalPlace(tmp_path, ready, sandbox).process() as app:
        pins = {f"{name}@1": store(app, text, name=name).digest for name, text in PARTS.items()}
        store(app, json.dumps(flow), name="test.mixed", kind="workflow", pins=pins)
        view = app.run("test.mixed", {})
        assert view.status == "succeeded", view.error
        assert [each["n"] for each in view.output["a"]] == list(range(1, 13))


def test_a_long_script_does_not_keep_other_runs_from_going_on(place: LocalPlace) -> None:
    with place.process() as app:
        digest = store(app, PURE, name="test.pure").digest
        nodes = [
            {"id": f"s{n}", "kind": "task", "capability": "test.pure@1", "next": f"s{n + 1}" if n < 5 else None}
            for n in range(1, 6)
        ]
        nodes[0]["with"] = {"turns": {"var": "input.turns"}}
        flow = {"name": "test.flow", "intent": "count", "start": "s1", "nodes": nodes}
        store(app, json.dumps(flow), name="test.flow", kind="workflow", pins={"test.pure@1": digest})
        app.new_id = iter(["long", "short"]).__next__
        long, short = (app.start("test.flow", {"turns": turns}) for turns in (15_000_000, 0))
        pool = place.sandbox._pool
        place.sandbox.run("function run() return 1 end", {})
        with pool._changed:  # the second of two, too
            assert pool._changed.wait_for(lambda: len(pool._idle) > 1, 20)
        ended: list[str] = []
        states = app.engine.drive_all([long, short], watch=lambda entry, state: ended.append(entry.run))
        assert {run: states[run].status for run in (long, short)} == {long: "succeeded", short: "succeeded"}
        assert ended.index(long) > max(at for at, run in enumerate(ended) if run == short)


def test_long_scripts_end_while_steps_with_host_calls_wait_for_their_worker(tmp_path: Path, ready: Path) -> None:
    with Sandbox(workers=1) as sandbox, LocalPlace(tmp_path, ready, sandbox).process() as app:
        long = {"id": "long", "kind": "task", "capability": "test.pure@1", "with": {"turns": 5_000_000}, "next": None}
        call = {"id": "call", "kind": "task", "capability": "test.twice@1", "next": None}
        for name, node in (("test.long", long), ("test.call", call)):
            text = PARTS[node["capability"].removesuffix("@1")]
            pins = {node["capability"]: store(app, text, name=node["capability"].removesuffix("@1")).digest}
            flow = {"name": name, "intent": "one step", "start": node["id"], "nodes": [node]}
            store(app, json.dumps(flow), name=name, kind="workflow", pins=pins)
        numbers = iter(range(9))
        app.new_id = lambda: f"run{next(numbers)}"
        runs = [app.start(name, {}) for name in ("test.long", *["test.call"] * (app.engine.threads + 1))]
        states: dict[str, Any] = {}
        driving = Thread(target=lambda: states.update(app.engine.drive_all(runs)), daemon=True)
        driving.start()
        driving.join(30)
        assert {run: state.status for run, state in states.items()} == dict.fromkeys(runs, "succeeded")


def test_a_script_is_killed_at_its_deadline_while_others_end_all_the_time(place: LocalPlace) -> None:
    with place.process() as app:
        hasty = PURE.replace("test.pure", "test.hasty").replace(
            '"output": {', '"limits": {"deadline_seconds": 0.05}, "output": {'
        )
        pins = {
            f"{name}@1": store(app, text, name=name).digest
            for name, text in (("test.pure", PURE), ("test.hasty", hasty))
        }
        nodes = [
            {"id": f"s{n}", "kind": "task", "capability": "test.pure@1", "next": f"s{n + 1}" if n < 9 else None}
            for n in range(10)
        ]
        long = {"id": "long", "kind": "task", "capability": "test.hasty@1", "with": {"turns": 19_000_000}, "next": None}
        store(
            app,
            json.dumps({"name": "test.short", "intent": "count", "start": "s0", "nodes": nodes}),
            name="test.short",
            kind="workflow",
            pins=pins,
        )
        flow = {
            "name": "test.long",
            "intent": "count",
            "start": "long",
            "nodes": [{**long, "retry": {"max_attempts": 1}}],
        }
        store(app, json.dumps(flow), name="test.long", kind="workflow", pins=pins)
        numbers = iter(range(1000))
        app.new_id = lambda: f"run{next(numbers)}"
        names = ["test.short"] * 40 + ["test.long"] + ["test.short"] * 120
        states = app.engine.drive_all([app.start(name, {}) for name in names])
        assert [state.error["code"] for state in states.values() if state.status != "succeeded"] == ["deadline"]
