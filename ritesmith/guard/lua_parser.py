"""The parent's side of parsing: one child process that reads hostile text, replaced when it falls.

`lua_worker` is the child. It is started when a check begins, so that it is ready when the compiler has spoken.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from array import array
from pathlib import Path
from typing import NamedTuple

WORKER = Path(__file__).with_name("lua_worker.py")
SECONDS = 10.0
"""For one text, start included; the largest allowed takes half a second."""
ANSWER_BYTES_MAX = 64 * 1024 * 1024


class ParserLost(Exception):
    """The parser fell on this text, or did not come to an end with it."""


class Flat(NamedTuple):
    """A tree as arrays; parents stand before their children, children in the order of the text."""

    error_at: int | None
    kinds: list[str]
    starts: array[int]
    ends: array[int]
    parents: array[int]


class Parser:
    """One child at a time, for all threads; a forked process starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._names: list[str] = []

    def start(self) -> None:
        """Start the child if there is none, without waiting for it."""
        with self._lock:
            self._started()

    def parse(self, source: bytes) -> Flat:
        """The tree of a text; ParserLost where the child fell twice over it: once may be somebody else's kill."""
        with self._lock:
            for last in (False, True):
                try:
                    return self._asked(self._started(), source)
                except (OSError, EOFError, ValueError, struct.error) as error:
                    self._ended()
                    if last:
                        raise ParserLost(str(error)) from error
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._ended()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self._ended()
            found = importlib.util.find_spec("tree_sitter")
            folder = str(Path(found.origin).parent.parent) if found is not None and found.origin else ""
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(WORKER), folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"LC_ALL": "C"},
                cwd="/",
                bufsize=0,
            )
            self._owner, self._names = os.getpid(), []
        return self._process

    def _asked(self, process: subprocess.Popen[bytes], source: bytes) -> Flat:
        assert process.stdin is not None
        assert process.stdout is not None
        until = time.monotonic() + SECONDS
        if not self._names:
            self._names = json.loads(_frame(process.stdout.fileno(), until))
        left = memoryview(struct.pack(">I", len(source)) + source)
        while left:  # the child reads a text whole before it answers
            left = left[os.write(process.stdin.fileno(), left) :]
        answer = _frame(process.stdout.fileno(), until)
        error_at, count = struct.unpack_from("=ii", answer)
        columns = [array("i", answer[start : start + 4 * count]) for start in range(8, 8 + 16 * count, 4 * count)]
        kinds, starts, ends, parents = columns
        return Flat(None if error_at < 0 else error_at, [self._names[kind] for kind in kinds], starts, ends, parents)

    def _ended(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self._owner == os.getpid():
            process.kill()
            process.wait()
        else:
            process.returncode = 0  # a child of the process that this one was forked from


def _frame(descriptor: int, until: float) -> bytes:
    (size,) = struct.unpack(">I", _exactly(descriptor, 4, until))
    if size > ANSWER_BYTES_MAX:
        raise ValueError("the parser's answer is too large")
    return _exactly(descriptor, size, until)


def _exactly(descriptor: int, size: int, until: float) -> bytes:
    readable = select.poll()
    readable.register(descriptor, select.POLLIN)
    parts = bytearray()
    while len(parts) < size:
        if not readable.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError("the parser did not come to an end")
        more = os.read(descriptor, min(size - len(parts), 1024 * 1024))
        if not more:
            raise EOFError("the parser fell")
        parts += more
    return bytes(parts)


PARSER = Parser()
atexit.register(PARSER.close)
