"""The worker process: runs one script at a time in a fresh Lua runtime, and talks to its parent in frames.

Started by the supervisor as `python -I worker.py FOLDER_OF_LUPA`; imports only the standard library and lupa, and
nothing of this package. Frames are a length (4 bytes, big-endian), a kind (1 byte) and a payload; requests come on
descriptor 0, replies leave on a copy of descriptor 1 that nothing else knows. See `supervisor.py` for the kinds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any

FOLDER = os.path.dirname(os.path.abspath(__file__))
LUA_FILES = ("prelude.lua", "json.lua", "tables.lua", "strings.lua")
LIBRARIES = ("base64", "csv", "date", "hash", "text")
"""Files of `libraries/`: libraries written in Lua, which cost nothing where they are not used."""
LETTERS = frozenset(bytes([code]) for code in b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""What a Lua name is made of."""
SIGNS = frozenset({b".", b":"})
HASH_SEED = 20_251_121
"""Constant, so that tables are laid out alike in every process."""
REENTRY_BYTES = 64 * 1024
"""Heap kept free beyond the limit when a host reply is handed in: lupa allocates outside of a protected call."""


class Runtime:
    """A fresh Lua runtime with the prelude run: good for one script."""

    def __init__(self, lupa: Any, prelude: list[bytes]) -> None:
        lua = lupa.LuaRuntime(
            encoding=None,
            source_encoding="utf-8",
            register_eval=False,
            register_builtins=False,
            attribute_filter=_refuse_attribute,
            max_memory=0,
            string_hash_seed=HASH_SEED,
        )
        with lua.nogc():
            parts = [lua.compile(part, mode="b") for part in prelude[:-1]]
            functions = parts[0](*parts[1:], prelude[-1])
        self.lua = lua
        self.compile, self.dump, self.offered, self.provide, self.prepare = functions[:5]
        self.start, self.take_reply, self.go_on, self.spent, self.exhausted = functions[5:10]
        self.profile, self.profiled = functions[10:]


def _refuse_attribute(_object: object, _name: object, _setting: bool) -> None:
    raise AttributeError("no Python object has attributes here")


def compiled_prelude(lupa: Any) -> list[bytes]:
    return _to_bytecode(lupa, _read_files(LUA_FILES))


def _read_files(names: Iterable[str]) -> dict[str, bytes]:
    sources = {}
    for name in names:
        with open(os.path.join(FOLDER, name), "rb") as file:
            sources[name] = file.read()
    return sources


def _to_bytecode(lupa: Any, sources: dict[str, bytes]) -> list[bytes]:
    """Our own Lua files as stripped bytecode, made by the very Lua that will run it."""
    lua = lupa.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    to_bytecode = lua.eval(b"function(source, name) return string.dump(assert(load(source, name, 't')), true) end")
    return [to_bytecode(source, b"=" + name.encode()) for name, source in sources.items()]


class Libraries:
    """The libraries, which of them a source can mean, and their bytecode once one of them was meant."""

    def __init__(self, lupa: Any) -> None:
        self.lupa = lupa
        self.names = [(name, name.encode()) for name in LIBRARIES]
        self.sources = _read_files(f"libraries/{name}.lua" for name in ("checks", *LIBRARIES))
        self.bytecode: dict[str, bytes] = {}

    def provide(self, runtime: Runtime, source: bytes) -> None:
        """Make those libraries there for a script that its text names; by other means than its name none is reached."""
        # A name made up at run needs one of these two.
        every = b"_G" in source or b"_ENV" in source
        # What stands in the header is a comment.
        start = source.find(b"]]") + 2 if source.startswith(b"--[[") else 0
        for name, plain in self.names:
            if every or (plain in source and mentions(source, plain, start)):
                if not self.bytecode:
                    parts = _to_bytecode(self.lupa, self.sources)
                    self.bytecode = dict(zip(("checks", *LIBRARIES), parts, strict=True))
                runtime.provide(plain, self.bytecode[name], self.bytecode["checks"])


def mentions(source: bytes, name: bytes, start: int) -> bool:
    """Whether a text has this name from `start` on, and not as a field or method: `input.text` is no global."""
    at = source.find(name, start)
    while at >= 0:
        after = at + len(name)
        before = source[max(at - 2, 0) : at]
        # What follows two dots or two colons may be a global.
        field = before[-1:] in SIGNS and before[:1] not in SIGNS
        if not field and before[-1:] not in LETTERS and source[after : after + 1] not in LETTERS:
            return True
        at = source.find(name, after)
    return False


class Channel:
    """Frames in and out over two descriptors."""

    def __init__(self, read_from: int, write_to: int) -> None:
        self.read_from = read_from
        self.write_to = write_to

    def receive(self) -> tuple[bytes, bytes]:
        """The next frame's kind and payload; the process ends when the parent has closed its end."""
        # The parent sends one frame and then waits, so nothing of another can follow.
        data = self._read(1 << 16)
        while len(data) < 5:
            data += self._read(1 << 16)
        missing = 5 + int.from_bytes(data[:4], "big") - len(data)
        if missing > 0:
            parts = [data]
            while missing > 0:
                parts.append(self._read(1 << 20))
                missing -= len(parts[-1])
            data = b"".join(parts)
        return data[4:5], data[5:]

    def _read(self, most: int) -> bytes:
        data = os.read(self.read_from, most)
        if not data:
            # The parent is gone. Nothing is worth tidying up.
            os._exit(0)
        return data

    def send(self, kind: bytes, payload: bytes) -> None:
        data = len(payload).to_bytes(4, "big") + kind + payload
        sent = os.write(self.write_to, data)
        if sent < len(data):
            left = memoryview(data)[sent:]
            while left:
                left = left[os.write(self.write_to, left) :]


class Worker:
    """Answers requests until the parent goes away."""

    def __init__(self, lupa: Any, channel: Channel) -> None:
        self.lupa = lupa
        self.channel = channel
        self.prelude = compiled_prelude(lupa)
        self.libraries = Libraries(lupa)
        self.spare = Runtime(lupa, self.prelude)

    def serve(self) -> None:
        answers = {b"R": self.run, b"P": self.profile, b"C": self.compile, b"D": self.dump, b"N": self.names}
        while True:
            kind, payload = self.channel.receive()
            answers[kind](payload)
            # The next runtime is made while the parent is busy with the answer to this one.
            self.spare = Runtime(self.lupa, self.prelude)

    def compile(self, payload: bytes) -> None:
        problem = self.spare.compile(payload)
        self.channel.send(b"c", problem or b"")

    def dump(self, payload: bytes) -> None:
        answer = self.spare.dump(payload)
        if isinstance(answer, tuple):
            self.channel.send(b"e", answer[1])
        else:
            self.channel.send(b"d", answer)

    def names(self, _payload: bytes) -> None:
        self.libraries.provide(self.spare, b"_G")
        self.channel.send(b"n", self.spare.offered())

    def profile(self, payload: bytes) -> None:
        """One execution as `run` does it, in which each line's share of the fuel is counted; that is told first."""
        self.spare.profile()
        self.run(payload, profiled=True)

    def run(self, payload: bytes, profiled: bool = False) -> None:
        """One execution. The payload's first line: fuel, host calls, output bytes, memory bytes, seed, seconds, the
        sizes of source, input and context, names of host functions. The three texts stand behind it."""
        cut = payload.index(b"\n")
        fields = payload[:cut].split(b" ")
        numbers = [int(field) for field in fields[:5]]
        deadline = float(fields[5])
        texts = []
        at = cut + 1
        for field in fields[6:9]:
            end = at + int(field)
            texts.append(payload[at:end])
            at = end
        # The parent kills at the deadline. This is for an orphan: it dies of its own use of the processor, a little
        # later; waiting for the answer to a host call uses none.
        signal.setitimer(signal.ITIMER_PROF, deadline + 1)
        try:
            answer = self._run(numbers, texts, b" ".join(fields[9:]))
        except self.lupa.LuaMemoryError:
            self.spare.lua.set_max_memory(0)
            answer = self.spare.exhausted()
        signal.setitimer(signal.ITIMER_PROF, 0)
        result = _result(answer)
        if profiled and answer[0] != b"abandoned":
            self.spare.lua.set_max_memory(0)
            told = self.spare.profiled()
            self.channel.send(b"p", b"%d\n%s%s" % (len(told), told, result))
        else:
            self.channel.send(b"r", result)

    def _run(self, numbers: list[int], texts: list[bytes], functions: bytes) -> tuple[Any, ...]:
        runtime = self.spare
        lua = runtime.lua
        fuel, calls, output, memory, seed = numbers
        self.libraries.provide(runtime, texts[0])
        problem = runtime.prepare(*texts, functions, fuel, calls, output, seed)
        if problem is not None:
            return (b"reject", problem, None, 0, 0, 0)
        limit = lua.get_memory_used(total=True) + memory
        lua.set_max_memory(limit, total=True)
        answer: tuple[Any, ...] = runtime.start()
        while answer[0] == b"call":
            self.channel.send(b"h", answer[6] + b"\n" + answer[1])
            kind, reply = self.channel.receive()
            if kind != b"A":
                lua.set_max_memory(0)
                return (b"abandoned", b"", *runtime.spent())
            lua.set_max_memory(0)
            runtime.take_reply(reply)
            limit = max(limit, lua.get_memory_used(total=True) + REENTRY_BYTES)
            lua.set_max_memory(limit, total=True)
            answer = runtime.go_on()
        return answer


def _result(answer: tuple[Any, ...]) -> bytes:
    status, text, line, fuel, memory, calls = answer[:6]
    said: bytes = text
    return b"%s %d %d %d %d\n%s" % (status, line or 0, fuel, memory, calls, said)


def main() -> None:
    """`worker.py FOLDER_OF_LUPA PARENT`: serve the process that started us until it goes away."""
    sys.path.append(sys.argv[1])
    channel = Channel(os.dup(0), os.dup(1))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    import lupa.lua55

    worker = Worker(lupa.lua55, channel)
    # Ctrl-C in a terminal goes to the whole group: the parent decides about us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    layers, inactive = load("confine").confine(channel.read_from, channel.write_to, int(sys.argv[2]))
    hello = {"lupa": lupa.__version__, "layers": layers, "inactive": inactive}
    channel.send(b"!", json.dumps(hello).encode())
    worker.serve()


def load(name: str) -> Any:
    """A module of this folder by its path: the package itself is out of reach in here."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(FOLDER, name + ".py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
