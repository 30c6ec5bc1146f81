"""What a durable step costs, beside what SQLite itself takes for a commit and, where they are installed, other engines.

    python benchmarks/saga.py [--others PYTHON [--restate FILE]] [--small]

Everything is measured in one run on one machine, and printed with ratios: absolute numbers of another machine say
little, and a commit may take ten times as long while something else uses the disk. So the commits per second of plain
sqlite3 are measured again right before each thing, and each is also given as a share of them. `--others` names a Python
with the other engines: each that is installed there does the same work. `--restate` names Restate's server.

What is wanted was set on a machine on which plain sqlite3 made 9,000 commits a second with FULL and 80,000 with NORMAL.
"here" is what that comes to on this one, while it was measured: by FULL for one run after another, which waits for the
disk, by NORMAL for what waits for the processor.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ritesmith import saga
from ritesmith.app import RiteSmith
from ritesmith.db import open_db
from ritesmith.engine import Engine, Library, SystemClock
from ritesmith.journal import Journal
from ritesmith.models import Capability, Contract, Outcome, Workflow

STEPS = 10
WANTED_WITH = {"full": 9_000, "normal": 80_000}
"""Commits of plain sqlite3 a second on the machine for which the targets were set, by `synchronous`."""
ROUNDS = 5
CAPABILITY = """--[[ capability
{"name": "bench.add", "intent": "add one to a count",
 "input": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}},
           "additionalProperties": false},
 "output": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}},
 "examples": [{"input": {"n": 1}, "output": {"n": 2}}, {"input": {"n": -1}, "output": {"n": 0}}]}
]]
function run(input) return {n = input.n + 1} end
"""
CONTRACT = json.loads(CAPABILITY[len("--[[ capability") : CAPABILITY.index("]]")])


def add(number: int, **more: Any) -> dict[str, Any]:
    """A step that adds one to what the step before gave."""
    before = f"nodes.s{number - 1}.output.n" if number > 1 else "input.n"
    return {"id": f"s{number}", "kind": "task", "capability": "bench.add", "with": {"n": {"var": before}}, **more}


def in_a_row(steps: int) -> dict[str, Any]:
    """A workflow of pure steps, one after the other."""
    nodes = [add(each, next=f"s{each + 1}" if each < steps else None) for each in range(1, steps + 1)]
    return flow(nodes, limits={"steps": steps})


def flow(nodes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    numbers = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    return {"name": "bench.flow", "intent": "count", "input": numbers, "start": nodes[0]["id"], "nodes": nodes, **more}


SLEEPER = flow([{"id": "nap", "kind": "sleep", "seconds": 86_400, "next": None}])


# ---------------------------------------------------------------- ground


def row(name: str, value: str, beside: str = "", wanted: str = "") -> None:
    print(f"  {name:<46} {value:>14}  {beside:<34} {wanted}", flush=True)


def raw_commits(folder: Path, synchronous: str = "full", seconds: float = 0.3) -> float:
    """Commits per second of plain sqlite3, each of one row of the size of an entry."""
    connection = sqlite3.connect(folder / f"raw_{synchronous}.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, data TEXT)")
    done, began = 0, time.perf_counter()
    while time.perf_counter() < began + seconds:
        for _ in range(20):
            connection.execute("INSERT INTO entries (data) VALUES (?)", ("x" * 100,))
        done += 20
    taken = time.perf_counter() - began
    connection.close()
    return done / taken


class Stub:
    """In place of the sandbox: what is left is the interpreter, the engine and the journal."""

    def run(self, source: str, input: Any, **more: Any) -> Outcome:
        return Outcome(status="ok", code="ok", output={"n": input["n"] + 1}, fuel=20, memory_bytes=1000)


class Alone:
    """Engine and journal on a file of their own, without registry and sandbox."""

    def __init__(self, file: Path, document: dict[str, Any]) -> None:
        self.workflow = Workflow.model_validate(document)
        capability = Capability(contract=Contract.model_validate(CONTRACT), source=CAPABILITY)
        self.connection = open_db(file)
        self.journal = Journal(self.connection, time.time)

        def child(*_: object) -> saga.Record:
            raise AssertionError("no workflow here calls another")

        library = Library(lambda state: self.workflow, lambda digest: capability, child)
        self.engine = Engine(self.journal, library, Stub(), SystemClock())

    def new(self) -> tuple[str, saga.Record]:
        run = "r" + os.urandom(5).hex()
        pins = {"bench.add": "c" * 64}
        return run, saga.start_record(self.workflow, "d" * 64, pins, {"n": 1}, run, time.time(), "Lua 5.5.1 (lupa 2.8)")

    def start(self) -> str:
        run, record = self.new()
        self.journal.start(run, record)
        return run

    def start_many(self, count: int) -> list[str]:
        with one_transaction(self.connection):
            return [self.start() for _ in range(count)]

    def one(self) -> saga.State:
        return self.engine.begin(self.journal.new(*self.new()))

    def many(self, runs: list[str]) -> dict[str, Any]:
        return self.engine.drive_all(runs)


class Whole:
    """All of it on a file of its own, the capability and the workflow published as a user does."""

    def __init__(self, folder: Path, document: dict[str, Any] | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.app = RiteSmith.open(str(folder / "registry.db"), environment={})
        self.connection = self.app.connection
        if document is not None:
            (folder / "add.lua").write_text(CAPABILITY)
            self.app.publish_file(folder / "add.lua")
            example = {"input": {"n": 1}, "status": "succeeded"}
            (folder / "flow.json").write_text(json.dumps({**document, "examples": [example]}))
            self.app.publish_file(folder / "flow.json")

    def start_many(self, count: int) -> list[str]:
        with one_transaction(self.connection):
            return [self.app.start("bench.flow", {"n": 1}) for _ in range(count)]

    def one(self) -> Any:
        return self.app.run("bench.flow", {"n": 1})

    def many(self, runs: list[str]) -> dict[str, Any]:
        return self.app.engine.drive_all(runs)


@contextmanager
def one_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def all_succeeded(states: Any) -> None:
    bad = [state for state in states if getattr(state, "status", None) != "succeeded"]
    if bad:
        raise SystemExit(f"{len(bad)} runs did not succeed, such as {bad[0]}")


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    work()
    return clock() - began


def processor_seconds() -> float:
    """Of this process and of its children, also of those that live."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


# ---------------------------------------------------------------- what is measured


def ground(folder: Path) -> None:
    print("\nThe physical limit: commits of one row by plain sqlite3, WAL, on this file system")
    full = [raw_commits(folder) for _ in range(ROUNDS)]
    normal = [raw_commits(folder, "normal") for _ in range(ROUNDS)]
    row("synchronous FULL", f"{statistics.median(full):,.0f}/s", f"from {min(full):,.0f} to {max(full):,.0f}")
    row("synchronous NORMAL", f"{statistics.median(normal):,.0f}/s", f"from {min(normal):,.0f} to {max(normal):,.0f}")


def commits_of(connection: sqlite3.Connection, work: Callable[[], object]) -> int:
    commits = [0]

    def count(statement: str) -> None:
        commits[0] += statement == "COMMIT"

    connection.set_trace_callback(count)
    work()
    connection.set_trace_callback(None)
    return commits[0]


def speed(
    name: str,
    folder: Path,
    steps: int,
    prepare: Callable[[], Callable[[], object]],
    wanted: float,
    by: str = "full",
) -> None:
    """Steps per second, best and median of several rounds, each beside the commits of plain sqlite3 at that time."""
    rates, shares, used, scales = [], [], [], []
    for _ in range(ROUNDS):
        work = prepare()
        base, scale, before = raw_commits(folder), raw_commits(folder, by), processor_seconds()
        rates.append(steps / timed(work))
        used.append((processor_seconds() - before) / steps * 1e6)
        shares.append(rates[-1] / statistics.mean([base, raw_commits(folder)]))
        scales.append(statistics.mean([scale, raw_commits(folder, by)]) / WANTED_WITH[by])
    here = f", here {wanted * statistics.median(scales):,.0f}" if wanted > 1 else ""
    row(
        name,
        f"{statistics.median(rates):,.0f}/s",
        f"best {max(rates):,.0f}, {statistics.median(shares):.0%} of raw, {min(used):.0f} us CPU",
        f">= {wanted:,}/s{here}" if wanted > 1 else f">= {wanted:.0%} of raw",
    )


def wanted_seconds(folder: Path, seconds: float) -> str:
    here = seconds * WANTED_WITH["normal"] / statistics.median(raw_commits(folder, "normal") for _ in range(ROUNDS))
    return f"<= {seconds:g} s, here {here:.2f}"


def alone(folder: Path, runs: int, many: int) -> None:
    print("\nInterpreter and journal alone, the sandbox stubbed: 10 pure steps in sequence, FULL")
    place = Alone(folder / "alone.db", in_a_row(STEPS))
    count = commits_of(place.connection, lambda: all_succeeded([place.one()]))
    row("commits of a run", f"{count}", "its start and its end among them", "<= 10")

    def one_by_one() -> None:
        all_succeeded([place.one() for _ in range(runs)])

    def together() -> Callable[[], object]:
        started = place.start_many(many)
        return lambda: all_succeeded(place.many(started).values())

    speed("runs one after another, steps", folder, runs * STEPS, lambda: one_by_one, 0.6)
    speed(f"{many:,} runs at once, steps", folder, many * STEPS, together, 20_000, "normal")


def with_lua(folder: Path, runs: int, many: int) -> None:
    print("\nWith real Lua in the sandbox, from the registry, as a user runs it")
    place = Whole(folder / "whole", in_a_row(STEPS))
    all_succeeded([place.one()])

    def one_by_one() -> None:
        all_succeeded([place.one() for _ in range(runs)])

    def together() -> Callable[[], object]:
        started = place.start_many(many)
        return lambda: all_succeeded(place.many(started).values())

    speed("runs one after another, steps", folder, runs * STEPS, lambda: one_by_one, 2_600)
    speed(f"{many:,} runs at once, steps", folder, many * STEPS, together, 5_000, "normal")
    file = folder / "whole" / "registry.db"
    before = size_of(place.connection, file)
    all_succeeded(place.many(place.start_many(many)).values())
    after = size_of(place.connection, file)
    row(
        "bytes of the file for a step",
        f"{(after - before) / many / STEPS:.0f}",
        "with its share of the run",
        "<= 250",
    )
    place.app.close()
    command = [sys.executable, "-m", "ritesmith", "--db", str(file), "run", "bench.flow", "--input", '{"n": 1}']
    start = partial(subprocess.run, command, check=True, capture_output=True, env=environment())
    start()
    taken = [timed(start) for _ in range(2 * ROUNDS)]
    seconds = f"{statistics.median(taken):.2f} s"
    best = f"best {min(taken):.2f}, with its own end"
    row("process start to the end of its first run", seconds, best, wanted_seconds(folder, 0.25))


def size_of(connection: sqlite3.Connection, file: Path) -> int:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file.stat().st_size


def interrupted(folder: Path, many: int) -> None:
    print(f"\n{many:,} runs interrupted half done (the process killed), carried on by a new process")
    Whole(folder / "interrupted", in_a_row(STEPS)).app.close()
    taken = []
    for _ in range(3):
        killed = child("interrupt", folder / "interrupted", str(many))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        began = time.perf_counter()
        told = child("recover", folder / "interrupted", str(many))
        taken.append(time.perf_counter() - began)
        assert told.returncode == 0, told.stderr
    row(
        "from process start until all have finished",
        f"{statistics.median(taken):.2f} s",
        told.stdout.strip(),
        wanted_seconds(folder, 2.5),
    )


def sleeping(folder: Path, many: int) -> None:
    print(f"\n{many:,} sleeping runs, and a process that serves them")
    Whole(folder / "sleeping", SLEEPER).app.close()
    done = child("sleep", folder / "sleeping", str(many))
    assert done.returncode == 0, done.stderr
    told = child("serve", folder / "sleeping", str(many))
    assert told.returncode == 0, told.stderr
    threads, megabytes = told.stdout.split()
    row("threads for them", threads, "", "0")
    row("memory of the process", f"{megabytes} MB", "", "<= 300 MB")


def growing(folder: Path, steps: int, entries: int) -> None:
    print("\nAs a run and the file grow, in processor time (the sandbox stubbed)")
    place = Alone(folder / "long.db", in_a_row(steps))
    times: list[float] = []
    run = place.start()
    state = place.engine.drive(run, watch=lambda entry, state: times.append(time.process_time()))
    all_succeeded([state])
    tenth = steps // 10
    parts = [times[at + tenth - 1] - times[at] for at in range(0, steps - tenth, tenth)]
    first, last = statistics.median(parts[:3]) / tenth, statistics.median(parts[-3:]) / tenth
    row(f"a step of a run of {steps:,}", f"{last * 1e6:.0f} us", f"{last / first:.2f} x one at its start", "flat")

    small, large = Alone(folder / "small.db", in_a_row(STEPS)), Alone(folder / "large.db", in_a_row(STEPS))
    all_succeeded([small.one(), large.one()])
    fill(large.connection, entries)
    size_of(large.connection, folder / "large.db")  # what is written into the file is not read out of the WAL any more
    count = large.connection.execute("SELECT count(*) FROM entries").fetchone()[0]
    taken: list[list[float]] = [[], []]
    for _ in range(4 * ROUNDS):  # in turns, so that what else the machine does weighs on both
        for place, times in zip((small, large), taken, strict=True):
            times.append(timed(lambda place=place: all_succeeded([place.one() for _ in range(5)]), time.process_time))
    little, much = (statistics.median(times) / 5 / STEPS for times in taken)
    row(
        f"a step in a file of {count:,} entries",
        f"{much * 1e6:.0f} us",
        f"{much / little:.2f} x one in a small file",
        "flat",
    )


def fill(connection: sqlite3.Connection, entries: int) -> None:
    """Copies of the one run that is there, as if so many had been."""
    with one_transaction(connection):
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1000 + ?)"
            " INSERT INTO runs (number, id, workflow, digest, status, outcome, started_at, updated_at, seq, fence)"
            " SELECT i, 'x' || hex(randomblob(5)), workflow, digest, status, outcome, started_at, updated_at, seq, 1"
            " FROM n, (SELECT * FROM runs LIMIT 1)",
            (entries // 12,),
        )
        connection.execute(
            "INSERT INTO entries (run, seq, at, kind, node, attempt, data, hash)"
            " SELECT runs.number, e.seq, e.at, e.kind, e.node, e.attempt, e.data, e.hash FROM runs, entries AS e"
            " WHERE runs.number >= 1000 AND e.run = 1"
        )


# ---------------------------------------------------------------- what a user would pick instead


def others(folder: Path, python: str, restate: str, runs: int, many: int) -> None:
    """Each of them right after plain sqlite3 and ourselves, so that what else the machine does weighs on all alike."""
    print(f"\nOther engines, steps per second: runs one after another, {many:,} at once; how many times as fast we are")
    titles = ("raw commits", "alone", "with Lua", "theirs", "alone", "with Lua")
    print(f"  {'':<27}" + "".join(f"{title:>18}" for title in titles))
    stubbed, whole = Alone(folder / "beside.db", in_a_row(STEPS)), Whole(folder / "beside", in_a_row(STEPS))
    script = Path(__file__).with_name("saga_others.py")
    names = subprocess.run([python, str(script)], capture_output=True, text=True, check=True).stdout.splitlines()
    for number, name in enumerate(names):
        base = raw_commits(folder)
        ours = [(rate_of_one(each, runs), rate_of_many(each, many)) for each in (stubbed, whole)]
        place = folder / f"other{number}"
        place.mkdir()
        command = [python, str(script), name, str(place), str(runs), str(many), restate]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"  {name:<27}{done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        theirs = json.loads(done.stdout.splitlines()[-1])
        words = [f"{base:,.0f}", *(f"{one:,.0f} {all:,.0f}" for one, all in ours)]
        words.append(" ".join("-" if each is None else f"{each:,.0f}" for each in theirs.values()))
        for mine in ours:
            pairs = zip(mine, theirs.values(), strict=True)
            words.append(" ".join("-" if each is None else f"{my / each:.2f}" for my, each in pairs))
        print(f"  {name:<27}" + "".join(f"{word:>18}" for word in words), flush=True)
    whole.app.close()


def rate_of_one(place: Alone | Whole, runs: int) -> float:
    return runs * STEPS / timed(lambda: all_succeeded([place.one() for _ in range(runs)]))


def rate_of_many(place: Alone | Whole, many: int) -> float:
    started = place.start_many(many)
    return many * STEPS / timed(lambda: all_succeeded(place.many(started).values()))


# ---------------------------------------------------------------- children


def child(what: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(__file__).resolve()), "--child", what, str(folder), *more]
    return subprocess.run(command, capture_output=True, text=True, env=environment())


def environment() -> dict[str, str]:
    """As after an installation: modules are compiled once."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "bench-saga-compiled")}


def interrupt(folder: Path, many: int) -> None:
    """Begin many runs side by side and die when half of their steps are done."""
    place = Whole(folder)
    seen = [0]

    def watch(entry: object, state: object) -> None:
        seen[0] += 1
        if seen[0] >= many * STEPS // 2:
            os.kill(os.getpid(), signal.SIGKILL)

    place.app.engine.drive_all(place.start_many(many), watch=watch)


def recover(folder: Path, many: int) -> None:
    place = Whole(folder)
    opened = time.perf_counter()
    states = place.app.drive_due()
    all_succeeded(states.values())
    print(f"{len(states):,} runs in {time.perf_counter() - opened:.2f} s after opening")


def sleep(folder: Path, many: int) -> None:
    place = Whole(folder)
    for at in range(0, many, 5000):
        place.many(place.start_many(min(5000, many - at)))


def serve(folder: Path, many: int) -> None:
    place = Whole(folder)
    resting = place.connection.execute("SELECT count(*) FROM runs WHERE status = 'sleeping'").fetchone()[0]
    assert resting >= many, resting
    rounds, before = [0], threading.active_count()

    def stopped() -> bool:
        rounds[0] += 1
        return rounds[0] > 50

    place.app.engine.serve(stopped=stopped, poll_seconds=0.05)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(threading.active_count() - before, f"{megabytes:.0f}")


CHILDREN: dict[str, Callable[[Path, int], None]] = {
    "interrupt": interrupt,
    "recover": recover,
    "sleep": sleep,
    "serve": serve,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--others", metavar="PYTHON", help="measure what is installed there, too")
    arguments.add_argument("--restate", metavar="FILE", default="", help="the server of Restate")
    arguments.add_argument("--small", action="store_true", help="a tenth of the runs: to see that it works")
    arguments.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.child:
        what, folder, many = chosen.child
        CHILDREN[what](Path(folder), int(many))
        return
    gc.set_threshold(50_000, 20, 20)  # as the command line does
    less = 10 if chosen.small else 1
    with tempfile.TemporaryDirectory(prefix="bench-saga-", dir=Path.cwd()) as name:
        folder = Path(name)
        print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} CPUs")
        ground(folder)
        alone(folder, 100 // less, 1000 // less)
        with_lua(folder, 50 // less, 1000 // less)
        interrupted(folder, 1000 // less)
        growing(folder, 10_000 // less, 1_000_000 // less)
        sleeping(folder, 100_000 // less)
        if chosen.others:
            others(folder, chosen.others, chosen.restate, 100 // less, 1000 // less)


if __name__ == "__main__":
    main()
