"""The parent's side of the sandbox: starts workers, hands them scripts, kills them at the deadline, judges answers.

Frames, both ways: length (4 bytes, big-endian), kind (1 byte), payload. To the worker: R run, P run and profile, A
answer to a host call, X give up, C compile, D stripped bytecode, N offered names. From it: `!` hello, h host call, r
result, p profile and result, c, d, e, n.
Whatever a worker sends is read as hostile: a script that has taken it over can say anything, and gains nothing by it.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import queue
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

from ritesmith.errors import SandboxError, SandboxUnavailable

WORKER = Path(__file__).with_name("worker.py")
ENVIRONMENT = {
    "LC_ALL": "C",
    "MALLOC_TRIM_THRESHOLD_": "8388608",
    "MALLOC_TOP_PAD_": "524288",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=500",
}
"""All that a worker inherits. The last three keep the pages and the small pieces of one runtime for the next (glibc;
elsewhere ignored): that makes a fresh runtime a third cheaper."""
START_SECONDS = 20.0
"""A worker that has not said hello by then is given up."""
ASK_SECONDS = 0.0001
"""So long a worker in the middle of a script is asked again and again whether it has got to its next host call; then we
sleep. Being woken takes longer than most scripts need from one call to the next."""
REST_SECONDS = 1.0
"""So long the rest of a frame may take whose beginning is here: it waits for nobody but us."""
QUEUE_MAX = 1000
"""Executions that may wait for a worker; one more is refused."""


class WorkerLost(Exception):
    """The worker died, or said something that no worker of ours says. `signal` is the one that killed it, if known."""

    def __init__(self, why: str, killed_by: int | None = None) -> None:
        super().__init__(why)
        self.killed_by = killed_by


class DeadlinePassed(Exception):
    """The worker did not answer in time and was killed."""


class WorkerProcess:
    """One worker, spoken to by one thread at a time."""

    def __init__(self) -> None:
        self.calls = 0
        # A socket's reads and writes can have a time limit of their own: one system call where a pipe takes two, and
        # the answer of a child that is soon done is here in half the time.
        self._socket, theirs = socket.socketpair()
        self._seconds = 0.0
        self._asked_to_run = False
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(WORKER), lupa_folder(), str(os.getpid())],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
            )
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid
        self._descriptor = self._socket.fileno()
        self._readable = select.poll()
        self._readable.register(self._descriptor, select.POLLIN)
        try:
            kind, payload = self.receive(START_SECONDS, 64 * 1024)
            if kind != b"!":
                raise WorkerLost("the worker did not introduce itself")
        except (WorkerLost, DeadlinePassed) as error:
            self.kill()
            raise SandboxUnavailable(
                f"a sandbox worker could not be started: {error}",
                hint="run `ritesmith doctor`; the worker is a Python process that imports lupa",
            ) from error
        self.layers: list[str] = []
        self.inactive: dict[str, str] = {}
        """Why the other layers do not hold here."""
        for line in payload.decode("utf-8", "replace").splitlines():
            what, _, told = line.partition(" ")
            if what == "layer":
                self.layers.append(told)
            elif what == "inactive":
                name, _, why = told.partition(" ")
                self.inactive[name] = why

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, kind: bytes, payload: bytes, seconds: float) -> None:
        """Send one frame within `seconds`; WorkerLost or DeadlinePassed."""
        data = len(payload).to_bytes(4, "big") + kind + payload
        self._asked_to_run = kind == b"R"
        until = time.monotonic() + seconds
        try:
            self._set_time(seconds)
            sent = os.write(self._descriptor, data)
            left = memoryview(data)[sent:]
            while left:
                self._set_time(until - time.monotonic())
                left = left[os.write(self._descriptor, left) :]
        except BlockingIOError:
            raise DeadlinePassed("the worker does not take its request") from None
        except OSError:
            raise self._lost() from None

    def receive(self, seconds: float, most: int) -> tuple[bytes, bytes]:
        """Receive one frame of at most `most` bytes that begins within `seconds`; WorkerLost or DeadlinePassed."""
        until = time.monotonic() + seconds
        self._set_time(seconds)
        # A worker goes on working after its result, and who only reads is woken on the worker's own processor, behind
        # it; who polls, on an idle one.
        if not self._asked_to_run and _SEVERAL_PROCESSORS:
            self._ask_again_and_again(min(ASK_SECONDS, seconds))
        elif self._asked_to_run and not self._readable.poll(seconds * 1000):
            raise DeadlinePassed("the worker did not answer in time")
        data = self._read(1 << 16)
        until = max(until, time.monotonic() + REST_SECONDS)
        while len(data) < 5:
            self._set_time(until - time.monotonic())
            data += self._read(1 << 16)
        size = 5 + int.from_bytes(data[:4], "big")
        if size > most + 5:
            raise WorkerLost("the worker sent more than it may")
        if len(data) < size:
            parts, missing = [data], size - len(data)
            while missing > 0:
                self._set_time(until - time.monotonic())
                parts.append(self._read(1 << 20))
                missing -= len(parts[-1])
            data = b"".join(parts)
        if len(data) > size:
            raise WorkerLost("the worker sent more than one answer")
        return data[4:5], data[5:]

    def fileno(self) -> int:
        """What becomes readable when a frame, or the end, has come."""
        return self._descriptor

    def _ask_again_and_again(self, seconds: float) -> None:
        """Return as soon as there is something to read, or after `seconds`; others may have the processor meanwhile."""
        poll, now = self._readable.poll, time.monotonic
        until = now() + seconds
        while not poll(0) and now() < until:
            os.sched_yield()

    def _read(self, most: int) -> bytes:
        try:
            data = os.read(self._descriptor, most)
        except BlockingIOError:
            raise DeadlinePassed("the worker did not answer in time") from None
        except OSError:
            raise self._lost() from None
        if not data:
            raise self._lost()
        return data

    def _set_time(self, seconds: float) -> None:
        """Let the next read or write take at most `seconds`; DeadlinePassed where nothing is left. The kernel is only
        told where that differs by more than a fiftieth."""
        if seconds <= 0:
            raise DeadlinePassed("the worker did not answer in time")
        if not seconds <= self._seconds <= seconds * 1.02:
            self._seconds = max(seconds, 0.001)
            # struct timeval { long seconds; long microseconds; }
            value = struct.pack("ll", int(self._seconds), int(self._seconds % 1 * 1_000_000))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def kill(self) -> None:
        """Kill and reap. Safe to call twice."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        self._socket.close()

    def forget(self) -> None:
        """Let go without killing: after a fork the worker belongs to the parent."""
        self._process.returncode = 0
        self._socket.close()

    def _lost(self) -> WorkerLost:
        try:
            code: int | None = self._process.wait(1)
        except subprocess.TimeoutExpired:
            code = None
        if code is not None and code < 0:
            return WorkerLost(f"the worker died of {signal_name(-code)}", -code)
        return WorkerLost(f"the worker ended (exit {code})")


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def read_json(data: bytes) -> Any:
    """A JSON value out of bytes that nobody vouches for; WorkerLost if they are none."""
    try:
        value = _DECODER.decode(data.decode("utf-8"))
        if b"\\u" in data:
            # Half of a surrogate pair is no character; Python would take it and fail later.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise WorkerLost("the worker's answer is not JSON") from None
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_SEVERAL_PROCESSORS = hasattr(os, "sched_yield") and (os.cpu_count() or 1) > 1
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def lupa_folder() -> str:
    """The folder to import lupa from: `python -I` does not see every place that this process sees."""
    found = importlib.util.find_spec("lupa")
    if found is None or found.origin is None:
        raise SandboxUnavailable("lupa is not installed", hint="pip install 'lupa>=2.8,<3'")
    return str(Path(found.origin).parent.parent)


class _Spawner:
    """Starts workers from one thread that lives as long as the process.

    A worker asks the kernel to be killed when its parent dies, and for Linux the parent is the thread that started it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: queue.SimpleQueue[weakref.ref[Pool]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def order(self, pool: Pool) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ritesmith-sandbox-spawner", daemon=True)
                self._thread.start()
        self._orders.put(weakref.ref(pool))

    def _work(self) -> None:
        while True:
            pool = self._orders.get()()
            if pool is None:
                continue
            try:
                started: WorkerProcess | SandboxUnavailable = WorkerProcess()
            except SandboxUnavailable as error:
                started = error
            except OSError as error:
                started = SandboxUnavailable(f"a sandbox worker could not be started: {error}")
            pool.arrived(started)
            del pool


class Turns:
    """At most `most` holders at a time; the others wait, and the groups they belong to take turns."""

    def __init__(self, most: int, waiting_max: int = QUEUE_MAX) -> None:
        self._most = most
        self._waiting_max = waiting_max
        self._lock = threading.Lock()
        self._held = 0
        self._waiting = 0
        self._queues: OrderedDict[Hashable, deque[threading.Event]] = OrderedDict()

    @contextlib.contextmanager
    def take(self, group: Hashable) -> Iterator[None]:
        self.enter(group)
        try:
            yield
        finally:
            self.leave()

    def enter(self, group: Hashable, *, wait: bool = True) -> bool:
        """Take a turn, given back by `leave`; False where that would mean to wait, and `wait` is not wished."""
        with self._lock:
            if self._held < self._most and not self._waiting:
                self._held += 1
                return True
            if not wait:
                return False
            if self._waiting >= self._waiting_max:
                raise SandboxError(
                    f"{self._waiting} executions are waiting for a sandbox worker already",
                    hint="start fewer at a time, or give the sandbox more workers",
                )
            ticket = threading.Event()
            self._waiting += 1
            self._queues.setdefault(group, deque()).append(ticket)
        try:
            ticket.wait()
        except BaseException:
            with self._lock:
                if not ticket.is_set():
                    self._waiting -= 1
                    self._queues[group].remove(ticket)
                    if not self._queues[group]:
                        del self._queues[group]
                    raise
            self.leave()
            raise
        return True

    def leave(self) -> None:
        """Give a turn back, to whoever waits longest in the group whose turn it is."""
        with self._lock:
            if not self._waiting:
                self._held -= 1
                return
            group, tickets = next(iter(self._queues.items()))
            ticket = tickets.popleft()
            del self._queues[group]
            if tickets:
                self._queues[group] = tickets
            self._waiting -= 1
            ticket.set()


class Pool:
    """Workers ready for use. Starts none before the first is asked for; from then on one more than is used is warm."""

    def __init__(self, most: int, recycle_after: int) -> None:
        self.most = most
        self.recycle_after = recycle_after
        self.started = 0
        self.killed = 0
        self._reset()
        _POOLS.add(self)

    def _reset(self) -> None:
        self.turns = Turns(self.most)
        self._changed = threading.Condition()
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._starting = 0
        self._failure: SandboxUnavailable | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def warm(self) -> None:
        """Have a worker started, if there is none, and come back at once."""
        with self._changed:
            self._keep_warm()

    def take(self) -> WorkerProcess:
        """A warm worker; waits for one to start only where none is."""
        worker = self.take_if(wait=True)
        assert worker is not None
        return worker

    def take_if(self, *, wait: bool) -> WorkerProcess | None:
        """The same; None where that would mean to wait, and `wait` is not wished."""
        with self._changed:
            while True:
                if self._closed:
                    raise SandboxError("the sandbox is closed")
                while self._idle:
                    worker = self._idle.pop()
                    if worker.alive:
                        self._busy.add(worker)
                        self._keep_warm()
                        return worker
                    worker.kill()
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure
                self._keep_warm()
                if not wait:
                    return None
                self._changed.wait()

    def give_back(self, worker: WorkerProcess, *, broken: bool) -> None:
        """Hand a worker back; a broken or worn one is killed and replaced."""
        worn = worker.calls >= self.recycle_after
        with self._changed:
            self._busy.discard(worker)
            keep = not (broken or worn or self._closed or len(self._idle) > self.most)
            if keep:
                self._idle.append(worker)
                self._changed.notify()
            else:
                self.killed += broken
                if not self._closed:
                    self._keep_warm()
        if not keep:
            worker.kill()

    def arrived(self, started: WorkerProcess | SandboxUnavailable) -> None:
        """A worker that the spawner has started, or the reason why not."""
        with self._changed:
            self._starting -= 1
            if isinstance(started, SandboxUnavailable):
                self._failure = started
            elif not self._closed:
                self.started += 1
                self._idle.append(started)
                started = self._idle[-1]
            self._changed.notify_all()
            unwanted = self._closed and isinstance(started, WorkerProcess)
        if unwanted and isinstance(started, WorkerProcess):
            started.kill()

    def close(self) -> None:
        """Kill every worker. Nobody can be served afterwards."""
        with self._changed:
            self._closed = True
            workers = [*self._idle, *self._busy]
            self._idle.clear()
            self._changed.notify_all()
        for worker in workers:
            worker.kill()

    def forget(self) -> None:
        """Begin anew in a forked child, where the workers are another's and no thread but this one is left."""
        for worker in [*self._idle, *self._busy]:
            worker.forget()
        self._reset()

    def _keep_warm(self) -> None:
        if not self._idle and not self._starting:
            self._starting += 1
            _spawner.order(self)


_POOLS: weakref.WeakSet[Pool] = weakref.WeakSet()
_spawner = _Spawner()


def _after_fork() -> None:
    global _spawner
    _spawner = _Spawner()
    for pool in list(_POOLS):
        pool.forget()


def _at_exit() -> None:
    for pool in list(_POOLS):
        pool.close()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
