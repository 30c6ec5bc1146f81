"""The local engine: drives runs on one SQLite file, with sandbox workers for Lua.

It executes the interpreter's commands and appends what comes of them. Everything that must survive is in the journal:
a process that dies at any point leaves a run that another process carries on.
"""

from __future__ import annotations

import itertools
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Protocol, TypeVar

from ritesmith import hosts, saga
from ritesmith.errors import Conflict, InvalidInput, RiteSmithError
from ritesmith.journal import Journal, Lease
from ritesmith.models import (
    FINAL_STATUSES,
    JSON,
    Capability,
    Entry,
    HostFunction,
    Limits,
    Workflow,
)
from ritesmith.settings import Settings
from ritesmith.step import Answer, Runner, Step

T = TypeVar("T")


CLAIMS_MAX = 500
"""Runs that are claimed in one transaction: others want to write, too."""

GATHER_SECONDS, GATHER_SECONDS_MAX = 0.01, 0.1
"""So long the results of steps may wait to be committed together, while there are more to execute: the longer, the
longer commits take."""
GATHER_COMMITS = 10
"""How many times as long as the last commit they wait, between those two."""
PATIENCE_SECONDS = 0.02
"""So long the thread that drives waits for a script; the end of a longer one is awaited in another thread, which kills
it at its deadline."""
LOOK_SECONDS = 0.25
"""How often a driver that waits looks for what came from other processes; long before a lease expires."""
RUNS_AT_ONCE = 1000
"""How many runs a process that serves holds; others may be taken by another one."""


class Clock(Protocol):
    """Where time comes from, and how it is waited for."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""

    def sleep(self, seconds: float) -> None:
        """Come back when `seconds` have passed."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


Watch = Callable[[Entry, saga.State], None]
Bring = Callable[[Workflow, saga.State], saga.Record]


@dataclass(frozen=True)
class Library:
    """How the engine reads what a run is pinned to: each artifact by digest, and checked against it."""

    workflow: Callable[[saga.State], Workflow]
    capability: Callable[[str], Capability]
    child: Callable[[saga.State, str, JSON, Mapping[str, str], str], saga.Record]
    """(calling run, reference, input, {"run", "path"} of the call, id) -> first entry of the called run; InvalidInput
    when it does not take the input."""


class Engine:
    """Drives runs to their next rest: finished, or waiting for time or for a person."""

    def __init__(
        self,
        journal: Journal,
        library: Library,
        sandbox: Runner,
        clock: Clock,
        *,
        limits: Limits | None = None,
        catalog: Mapping[str, HostFunction] = hosts.CATALOG,
        answer: Answer = hosts.answer,
        settings: Settings | None = None,
        secrets: hosts.Secrets | None = None,
        threads: int = 2,
    ) -> None:
        self.journal = journal
        self.library = library
        self.sandbox = sandbox
        self.clock = clock
        self.limits = limits or Limits()
        self.catalog = catalog
        self.answer = answer
        self.settings = settings or Settings()
        self.secrets = secrets or hosts.Secrets(environment={})
        self.threads = threads

    def drive(
        self,
        run: str,
        *,
        message: Bring | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> saga.State:
        """Carry a run on until it ends, or until its next step is more than `wait_seconds` away; return its state.

        `message(workflow, state)` is what has come for it, recorded first; what it raises passes through, with nothing
        recorded. `watch(entry, state)` is called for every entry when it is durable. Raises Conflict when another
        process drives the run, JournalMismatch when a script does not do again what the journal says that it did.
        """
        while True:
            with Driver(self) as driver:
                first = driver.add(run, message=message, watch=watch)
                driver.go(wait_seconds)
            if first.error is not None:
                raise first.error
            if not first.lease.missed:
                return first.lease.state
            message = None  # another one came while the run was given back: once more, to read it

    def begin(self, lease: Lease, *, wait_seconds: float = 0.0) -> saga.State:
        """Carry a run on that is new (see `Journal.new`), as `drive`, with a commit or two less."""
        with Driver(self) as driver:
            first = driver.take(lease)
            driver.go(wait_seconds)
        if first.error is not None:
            raise first.error
        return first.lease.state

    def drive_all(
        self,
        runs: Iterable[str],
        *,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
        stopped: Callable[[], bool] = lambda: False,
    ) -> dict[str, saga.State | RiteSmithError]:
        """Carry many runs on side by side, whose entries share commits; return what each came to, or its error.

        When `stopped()` is true, nothing more is begun; what is under way is finished.
        """
        ended: dict[str, saga.State | RiteSmithError] = {}
        with Driver(self, stopped) as driver:
            driven: dict[str, Driven] = {}
            for run, taken in driver.add_all(runs, watch).items():
                if isinstance(taken, Driven):
                    driven[run] = taken
                else:
                    ended[run] = taken
            driver.go(wait_seconds)
        return ended | {run: each.error or each.lease.state for run, each in driven.items()}

    def serve(
        self,
        *,
        stopped: Callable[[], bool],
        poll_seconds: float = 1.0,
        watch: Watch | None = None,
        on_rest: Callable[[str, saga.State | RiteSmithError], object] = lambda run, came_to: None,
    ) -> None:
        """Carry on every run that has something to do, as it comes up, until `stopped()`.

        A run is held only while it has something to do. `on_rest` is told what a run came to each time that it is given
        back, and of a run that cannot go on its error; that one is not taken again.
        """
        broken: set[str] = set()
        next_look = float("-inf")
        with Driver(self, stopped) as driver:

            def look() -> None:
                nonlocal next_look
                now = self.clock.now()
                if now < next_look:
                    return
                next_look = now + poll_seconds
                for run, came_to in driver.give_back(poll_seconds):
                    if isinstance(came_to, RiteSmithError):
                        broken.add(run)
                    on_rest(run, came_to)
                due = [] if stopped() else self.journal.due()
                wanted = [each for each in due if each not in broken][: max(0, RUNS_AT_ONCE - len(driver.runs))]
                for run, taken in driver.add_all(wanted, watch).items():
                    if isinstance(taken, RiteSmithError) and not isinstance(taken, Conflict):  # nobody was faster
                        broken.add(run)
                        on_rest(run, taken)

            while not stopped():
                look()
                driver.go(poll_seconds, look=look)
                if not stopped():
                    self.clock.sleep(max(0.0, next_look - self.clock.now()))
            for run, came_to in driver.give_back(0.0):
                on_rest(run, came_to)


class _GoneError(Exception):
    """Nobody drives the run any more."""


@dataclass(eq=False)
class Driven:
    """One run in the hands of a driver."""

    lease: Lease
    workflow: Workflow
    running: dict[str, saga.Invoke | saga.Await] = field(default_factory=dict)
    """What is executed now, and which called runs are waited for: node path -> command."""
    work: list[Callable[[], object]] = field(default_factory=list)
    """What is to be done in the transaction of this round."""
    until: float | None = None
    """When it has something to do again."""
    error: RiteSmithError | None = None


class Driver:
    """Drives runs side by side: one thread decides and writes the journal, others execute scripts.

    A round asks every run to which something happened what it does next, commits what all of them recorded at once, and
    only then executes what that allowed. A script's host calls come back to this thread to be journalled.

    A script that is granted nothing is begun before the commit: nobody can see whether it ran, so that it may run for
    nothing, and what it returns is recorded only after what led to it.
    """

    def __init__(self, engine: Engine, stopped: Callable[[], bool] = lambda: False) -> None:
        self.engine = engine
        self.stopped = stopped
        self.runs: dict[str, Driven] = {}
        self.ready: dict[str, Driven] = {}
        """Those that may have something to do, in the order in which that came about."""
        self.changed: dict[str, Driven] = {}
        """Those with something to commit."""
        self.replies: list[Callable[[], None]] = []
        """To be given to other threads when this round is durable."""
        self.mail: deque[Callable[[], None]] = deque()
        """What other threads want done in this one."""
        self.bell = Event()
        """Rung when the mail should be read."""
        self.todo: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        """What other threads are to execute; None ends the one that takes it."""
        self.threads = 0
        self.executing = 0
        """How many steps are executed, or wait to be executed, by other threads."""
        self.pure: deque[tuple[Driven, Step]] = deque()
        """Steps with scripts that are granted nothing, to be begun by this thread."""
        self.begun: deque[tuple[Driven, Step]] = deque()
        """Those that were, in that order."""
        self.looked = time.monotonic()
        """When it was last seen whose time has come."""
        self.gather = GATHER_SECONDS
        self.closed = False
        self.door = Lock()
        """Held to post a letter, and to close: nobody waits for an answer from a driver that is gone."""
        self.version = self._version()

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give every run back. A script that still runs finds nobody to journal its calls, and is abandoned."""
        with self.door:
            self.closed = True
        for _, step in self.begun:
            step.drop()
        while not self.todo.empty():
            with suppress(Empty):
                self.todo.get_nowait()
        for _ in range(self.threads):
            self.todo.put(None)
        while self.mail:
            self.mail.popleft()()
        for reply in self.replies:
            reply()
        for driven in self.runs.values():
            driven.lease.release()

    def add(self, run: str, *, message: Bring | None = None, watch: Watch | None = None) -> Driven:
        """Take a run into these hands. Raises as `Engine.drive`."""
        return self.take(self.engine.journal.claim(run, watch), message)

    def add_all(self, runs: Iterable[str], watch: Watch | None) -> dict[str, Driven | RiteSmithError]:
        """The same for many runs, with few commits: each of them, or why it was not taken."""
        taken: dict[str, Driven | RiteSmithError] = {}
        left = iter(runs)
        while some := list(itertools.islice(left, CLAIMS_MAX)):
            for run, claimed in self.engine.journal.claim_all(some, watch).items():
                try:
                    taken[run] = claimed if isinstance(claimed, RiteSmithError) else self.take(claimed)
                except RiteSmithError as error:
                    taken[run] = error
        return taken

    def take(self, lease: Lease, message: Bring | None = None) -> Driven:
        """The same for a run that was claimed."""
        try:
            driven = Driven(lease, self.engine.library.workflow(lease.state))
            if message is not None:
                lease.append(message(driven.workflow, lease.state))
                lease.commit()
        except BaseException:
            lease.release()
            raise
        self.runs[lease.run] = self.ready[lease.run] = driven
        self._take_messages(driven)
        return driven

    def give_back(self, seconds: float) -> list[tuple[str, saga.State | RiteSmithError]]:
        """Let go of the runs that have nothing to do for longer than `seconds`; return what each came to."""
        now, given = self.engine.clock.now(), []
        for run, driven in list(self.runs.items()):
            busy = any(isinstance(each, saga.Invoke) or each.child in self.runs for each in driven.running.values())
            rests = not busy and (driven.until is None or driven.until > now + seconds)
            if driven.error is not None or (rests and run not in self.ready and run not in self.changed):
                del self.runs[run]
                driven.lease.release()
                given.append((run, driven.error or driven.lease.state))
        return given

    def go(self, wait_seconds: float, *, look: Callable[[], object] = lambda: None) -> None:
        """Go on until every run has ended, or has nothing to do for longer than `wait_seconds`.

        `look` is called in each round, and at least every LOOK_SECONDS.
        """
        while True:
            look()
            invokes = self._decide()
            self._begin()
            self._commit()
            if self._look_for_messages():  # what came may forbid what was decided; none of it has begun
                for driven, step in invokes:
                    del driven.running[step.invoke.path]
                    self._wake(driven)
            elif len(invokes) == 1 and not self.executing and not self.begun and self._is_quick(*invokes[0]):
                self._execute_here(*invokes[0])
            else:
                for driven, step in invokes:
                    self._in_another_thread(driven, step, step.run)
            if self.begun:
                self._finish()
                if self.mail or self.bell.is_set():
                    self._read_mail(0.0)
                if time.monotonic() > self.looked + LOOK_SECONDS / 5:
                    self._look_at_the_clock()
            elif not self.ready and not self._wait(wait_seconds):
                return

    # ------------------------------------------------------------ deciding and committing

    def _decide(self) -> list[tuple[Driven, Step]]:
        """Ask every ready run what it does next, until it rests; return what is to be executed when that is durable.

        What need not wait for that is put beside.
        """
        invokes: list[tuple[Driven, Step]] = []
        while self.ready:
            driven = self.ready.pop(next(iter(self.ready)))
            try:
                for command in self._advance(driven):
                    step = self._step(driven, command)
                    if step.capability.contract.grants or command.calls:
                        invokes.append((driven, step))
                    else:
                        self.pure.append((driven, step))
            except RiteSmithError as error:
                self._drop(driven, error)
            if driven.lease.birth is not None and not (self.pure and self.pure[-1][0] is driven):
                self._in_this_round(driven)  # only a script that nobody can see may run before the run is there
        return [(driven, step) for driven, step in invokes if driven.error is None]

    def _advance(self, driven: Driven) -> Iterator[saga.Invoke]:
        while driven.error is None:
            now = driven.lease.now()
            command = saga.decide(driven.workflow, driven.lease.state, now, driven.running)
            match command:
                case saga.Record(kind="child_started"):
                    self._call(driven, command)
                case saga.Record():
                    self._append(driven, command, now)
                    if command.kind == "wait_started":
                        self._take_messages(driven)  # the answer may have come before the question
                case saga.Invoke():
                    if self.stopped():
                        return
                    driven.running[command.path] = command
                    yield command
                    state = driven.lease.state
                    if len(state.live) == 1 and state.undoing is None and state.failure is None:
                        # There is nobody else to ask, and it would say that it waits for this.
                        driven.until = None if state.deadline_at == float("inf") else state.deadline_at
                        return
                case saga.Await():
                    driven.running[command.path] = command
                    self._await(driven, command)
                case saga.Pause():
                    driven.until = command.until
                    return
                case saga.Finished():
                    driven.until = None
                    self._finished(driven)
                    return

    def _append(self, driven: Driven, record: saga.Record, at: float | None = None) -> None:
        driven.lease.append(record, at)
        self._in_this_round(driven)

    def _in_this_round(self, driven: Driven, work: Callable[[], object] | None = None) -> None:
        self.changed[driven.lease.run] = driven
        if work is not None:
            driven.work.append(work)

    def _commit(self) -> None:
        changed, self.changed = list(self.changed.values()), {}
        if changed:
            work = [(driven.lease, driven.work) for driven in changed]
            for driven in changed:
                driven.work = []
            began = time.monotonic()
            errors = self.engine.journal.commit(work)
            took = time.monotonic() - began
            self.gather = min(max(GATHER_SECONDS, GATHER_COMMITS * took), GATHER_SECONDS_MAX)
            for driven, error in zip(changed, errors, strict=True):
                if error is not None:
                    self._drop(driven, error)
        replies, self.replies = self.replies, []
        for reply in replies:
            reply()

    def _drop(self, driven: Driven, error: RiteSmithError) -> None:
        """This run cannot go on, nor can one that waits for it; the others do."""
        if driven.lease.birth is not None and driven.lease.failure is None:
            driven.lease.commit()  # it is there all the same, and may be resumed
        driven.error = driven.lease.failure = driven.error or error
        driven.until = None
        for caller in self._callers(driven):
            if caller.error is None:
                self._drop(caller, error)

    def _callers(self, driven: Driven) -> list[Driven]:
        parent = driven.lease.state.parent
        return [self.runs[parent["run"]]] if parent is not None and parent["run"] in self.runs else []

    def _wake(self, driven: Driven) -> None:
        if driven.error is None:
            self.ready[driven.lease.run] = driven

    # ------------------------------------------------------------ messages

    def _version(self) -> int:
        """Changes when another connection has committed something to the file."""
        return int(self.engine.journal.connection.execute("PRAGMA data_version").fetchone()[0])

    def _look_for_messages(self) -> bool:
        """Whether something came from another process for one of these runs."""
        version = self._version()
        if version == self.version:
            return False
        self.version = version
        taken = [self._take_messages(driven) for driven in list(self.runs.values())]
        return any(taken)

    def _take_messages(self, driven: Driven) -> bool:
        taken = False
        for message in self.engine.journal.messages(driven.lease.run):
            state, driven.lease.read = driven.lease.state, message.id
            try:
                record = saga.receive(driven.workflow, state, message.kind, message.data, message.at)
            except (Conflict, InvalidInput) as error:  # whoever sent it looks what became of it
                if isinstance(error, Conflict) and message.kind == "callback" and state.status not in FINAL_STATUSES:
                    continue  # it came early
            else:
                self._append(driven, record._replace(data={**record.data, "message": message.id}))
            self._in_this_round(driven, partial(self.engine.journal.taken, message))
            self._wake(driven)
            taken = True
        return taken

    # ------------------------------------------------------------ called runs

    def _call(self, driven: Driven, record: saga.Record) -> None:
        """Begin a called run, in one transaction with the entry that tells of it."""
        lease, data = driven.lease, record.data
        origin = {"run": lease.run, "path": record.node}
        try:
            first = self.engine.library.child(lease.state, data["workflow"], data["input"], origin, data["child"])
        except InvalidInput as error:
            refused: dict[str, JSON] = {"code": "bad_input", "message": error.message}
            self._append(driven, saga.step_error(driven.workflow, lease.state.track_of(record.node), refused))
            return
        self._append(driven, record)
        self._in_this_round(driven, partial(self.engine.journal.start, data["child"], first))

    def _await(self, driven: Driven, command: saga.Await) -> None:
        """Take a called run into these hands, or leave it to whoever has it: he looks after the caller at its end."""
        self._commit()  # it may have been begun in this very round
        child = self.runs.get(command.child)
        if child is None:
            try:
                child = self.add(command.child, watch=driven.lease.watch)
            except Conflict:
                return
        if child.error is not None:
            self._drop(driven, child.error)
            return
        with suppress(Conflict):  # then it has ended, or goes already where it is wanted
            if command.wish == "cancel":
                compensate = driven.lease.state.cancelled != "abandon"
                self._append(child, saga.cancel(child.lease.state, by=f"run {driven.lease.run}", compensate=compensate))
            elif command.wish == "undo" and child.lease.state.status == "compensation_failed":
                self._append(child, saga.compensate(child.lease.state, by=f"run {driven.lease.run}"))
            elif command.wish == "undo":
                self._append(child, saga.request_undo(child.workflow, child.lease.state, by=driven.lease.run))
        if child.lease.state.status in FINAL_STATUSES:
            self._called_ended(driven, command, child.lease.state)
        else:
            self._wake(child)

    def _called_ended(self, driven: Driven, command: saga.Await, state: saga.State) -> None:
        driven.running.pop(command.path, None)
        self._append(driven, saga.child_ended(driven.workflow, driven.lease.state, command, state))
        self._wake(driven)

    def _finished(self, driven: Driven) -> None:
        """Whoever called this run has something to do now, also when another process began it."""
        parent = driven.lease.state.parent
        if parent is None:
            return
        self._commit()
        caller = self.runs.get(parent["run"])
        if caller is None:
            with suppress(Conflict):  # whoever drives it looks for this one
                self.add(parent["run"], watch=driven.lease.watch)
            return
        for path in (parent["path"], parent["path"] + saga.UNDO):
            command = caller.running.get(path)
            if isinstance(command, saga.Await):
                self._called_ended(caller, command, driven.lease.state)

    # ------------------------------------------------------------ executing

    def _begin(self, most: int = sys.maxsize) -> None:
        """Begin steps that need no commit first, as many as there are workers for them, and at most so many."""
        while self.pure and most > 0:
            driven, step = self.pure[0]
            begun = False
            try:
                if driven.error is None and not self.stopped():
                    # Whoever holds a worker may wait for this very thread; so it waits only where it holds them all.
                    begun = step.begin(wait=not self.executing and not self.begun)
                    if not begun:
                        return
            except RiteSmithError as error:
                self._drop(driven, error)
            self.pure.popleft()
            if begun:
                most -= 1
                self.begun.append((driven, step))
            else:
                del driven.running[step.invoke.path]

    def _finish(self) -> None:
        """Record the results of what was begun: of those that are soon there, and that may be committed together."""
        until, patience = time.monotonic() + self.gather, PATIENCE_SECONDS
        while self.begun and not self.bell.is_set():
            there = self._that_ended(patience)
            for driven, step in there:
                self.begun.remove((driven, step))
                self._ended(driven, step)
            if not there and not patience:
                return
            now = time.monotonic()
            if self.begun and (not there or self.begun[0][1].began < now - PATIENCE_SECONDS):
                driven, step = self.begun.popleft()
                self._in_this_round(driven)
                # In one of its own: the others may all wait for the worker that this one holds.
                self._in_another_thread(driven, step, step.finish, own=True)
            if now > until:
                return
            if not self.pure:
                patience = 0.0  # nobody comes after them: what there is may go on

    def _that_ended(self, seconds: float) -> list[tuple[Driven, Step]]:
        """Of what was begun, what has ended, or is the first to end within `seconds`."""
        numbers = [(each[1].fileno(), each) for each in self.begun]
        there = [each for number, each in numbers if number is None]
        if there:
            return there
        waited_for, poll = {number: each for number, each in numbers if number is not None}, select.poll()
        for number in waited_for:
            poll.register(number, select.POLLIN)
        return [waited_for[number] for number, _ in poll.poll(seconds * 1000)]

    def _ended(self, driven: Driven, step: Step) -> None:
        try:
            step.finish()
        except RiteSmithError as error:
            self._drop(driven, error)
        self._begin(1)  # the worker has something to do while its result is looked at
        if driven.error is None:
            self._executed(driven, step)

    def _is_quick(self, driven: Driven, step: Step) -> bool:
        """Whether it may be executed in this thread: nothing else could happen meanwhile that should not wait."""
        alone = all(each is driven or each.until is None for each in self.runs.values())
        if not alone or len(driven.lease.state.live) > 1:
            return False
        catalog = self.engine.catalog
        return not any(name in catalog and catalog[name].outside for name in step.capability.contract.grants)

    def _execute_here(self, driven: Driven, step: Step) -> None:
        def journal(work: Callable[[], T], durable: bool) -> T:
            return driven.lease.durably(work) if durable else work()

        step.journal = journal
        try:
            step.run()
            self._executed(driven, step)
        except RiteSmithError as error:
            self._drop(driven, error)

    def _step(self, driven: Driven, command: saga.Invoke) -> Step:
        def journal(work: Callable[[], T], durable: bool) -> T:
            return self._in_the_driving_thread(driven, work)

        capability = self.engine.library.capability(driven.lease.state.capabilities[command.capability])
        return Step(self.engine, driven.lease, command, capability, journal)

    def _in_another_thread(self, driven: Driven, step: Step, work: Callable[[], None], *, own: bool = False) -> None:
        """Have another thread do what a step still takes, and record what comes of it."""

        def execute() -> None:
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:  # noqa: BLE001  it belongs to the thread that drives, which raises it
                error = raised
            # Results share a commit as long as those who execute have enough to do.
            with suppress(_GoneError):
                self._post(partial(ended, error), urgent=own or self.todo.qsize() < self.threads)

        def ended(error: BaseException | None) -> None:
            self.executing -= 1
            if self.closed or driven.error is not None:
                return  # what it did is in the journal, and whoever takes the run executes it again
            if isinstance(error, RiteSmithError):
                self._drop(driven, error)
            elif error is not None:
                raise error
            else:
                self._executed(driven, step)

        self.executing += 1
        if own:
            Thread(target=execute, name=f"ritesmith-end-of-{step.invoke.path}", daemon=True).start()
            return
        if self.threads < self.engine.threads:
            self.threads += 1
            Thread(target=self._work, name=f"ritesmith-step-{self.threads}", daemon=True).start()
        self.todo.put(execute)

    def _work(self) -> None:
        while (execute := self.todo.get()) is not None:
            execute()

    def _executed(self, driven: Driven, step: Step) -> None:
        del driven.running[step.invoke.path]
        now = driven.lease.now()
        try:
            self._append(driven, step.record(driven.workflow, now), now)
        except RiteSmithError as error:
            self._drop(driven, error)
        self._wake(driven)

    def _in_the_driving_thread(self, driven: Driven, work: Callable[[], T]) -> T:
        """From another thread: have `work` done in the one that drives, and come back when it is durable."""
        done: SimpleQueue[Exception | None] = SimpleQueue()
        made: list[T] = []

        def receive() -> None:
            if self.closed or driven.error is not None:
                done.put(driven.error or _GoneError())
                return
            self._in_this_round(driven, lambda: made.append(work()))
            self.replies.append(reply)

        def reply() -> None:
            if made and driven.error is None and not self.closed:
                done.put(None)
            else:
                done.put(driven.error or _GoneError())

        self._post(receive, urgent=True)
        problem = done.get()
        if problem is not None:
            raise problem
        return made[0]

    def _post(self, letter: Callable[[], None], *, urgent: bool) -> None:
        with self.door:
            if self.closed:
                raise _GoneError
            self.mail.append(letter)
        if urgent:
            self.bell.set()

    # ------------------------------------------------------------ waiting

    def _wait(self, wait_seconds: float) -> bool:
        """Wait until something may be done; False when that would take too long."""
        now = self.engine.clock.now()
        due = min((each.until for each in self.runs.values() if each.until is not None), default=None)
        if self.executing:
            patience = self.gather if not self.todo.empty() else 0.0 if self.mail else LOOK_SECONDS
            if self.pure:
                patience = min(patience, PATIENCE_SECONDS)  # nobody rings when a worker has started
            self._read_mail(patience if due is None else min(patience, max(0.0, due - now)))
        elif due is None or due - now > wait_seconds or self.stopped():
            return False
        else:
            self.engine.clock.sleep(max(0.0, min(due - now, LOOK_SECONDS)))
        self._look_at_the_clock()
        return True

    def _look_at_the_clock(self) -> None:
        """Wake the runs whose time has come, and renew the leases that are old."""
        self.looked = time.monotonic()
        now = self.engine.clock.now()
        for driven in list(self.runs.values()):
            if driven.until is not None and driven.until <= now:
                self._wake(driven)
            elif driven.error is None and driven.lease.is_old(now):
                self._in_this_round(driven)

    def _read_mail(self, seconds: float) -> None:
        self.bell.wait(seconds)
        self.bell.clear()
        while self.mail:
            self.mail.popleft()()
