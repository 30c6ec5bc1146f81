"""The worker process: runs one script at a time in a fresh Lua runtime, and talks to its parent in frames.

Started by the supervisor as `python -I worker.py FOLDER_OF_LUPA PARENT`; imports only the standard library and lupa,
and of this package only `confine.py`, by its path. Frames are a length (4 bytes, big-endian), a kind (1 byte) and a
payload; requests come on descriptor 0, replies leave on a copy of descriptor 1 that nothing else knows. See
`supervisor.py` for the kinds.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys

TYPE_CHECKING = False  # as typing has it, which takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

FOLDER = os.path.dirname(os.path.abspath(__file__))
PARTS = {
    "values": ("tostring",),
    "protected": ("coroutine", "fail", "pcall", "xpcall"),
    "host": ("fail",),
    "json": ("json",),
    "math": ("math",),
    "metatables": ("getmetatable", "setmetatable"),
    "tables": ("next", "pairs", "table"),
    "texts": ("string", "utf8"),
}
"""Files of `parts/`, in the order in which they are loaded -> the globals whose scripts need them. All others need the
first."""
LIBRARIES = ("base64", "csv", "date", "hash", "text")
"""Files of `libraries/`: libraries written in Lua for scripts, out of what all parts offer."""
GLOBALS = {name: name.encode() for name in (*LIBRARIES, *(name for names in PARTS.values() for name in names))}
"""Every global that is there only for a script that names it: as text -> as bytes."""
REMEMBERED, REMEMBERED_BYTES = 64, 16 * 1024
"""How many scripts are remembered as they were compiled, and how long a text that is remembered may be."""
LETTERS = frozenset(bytes([code]) for code in b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""What a Lua name is made of."""
SIGNS = frozenset({b".", b":"})
HASH_SEED = 20_251_121
"""Constant, so that tables are laid out alike in every process."""
REENTRY_BYTES = 64 * 1024
"""Heap kept free beyond the limit when a host reply is handed in: lupa allocates outside of a protected call."""


class Code:
    """All that is executed here: our own Lua as stripped bytecode, and scripts as they were compiled.

    Compiled in a runtime of its own, in which nothing else runs: what a script is given does not depend on whether its
    text was met before.
    """

    def __init__(self, lupa: Any) -> None:
        self.lupa = lupa
        files = ["prelude", "json", *(f"parts/{name}" for name in (*PARTS, "strings", "library", "offered", "profile"))]
        files += [f"libraries/{name}" for name in ("checks", *LIBRARIES)]
        self.sources = {name: _read(name + ".lua") for name in files}  # later no file can be opened
        self._own: dict[str, bytes] = {}
        self._scripts: dict[bytes, Script] = {}
        self._renew()

    def _renew(self) -> None:
        lua = self.lupa.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
        self._compile = lua.eval(
            b"function(text, name, strip) local made, problem = load(text, name, 't', {}) "
            b"if made then return string.dump(made, strip) end return nil, problem end"
        )

    def own(self, name: str) -> bytes:
        """The bytecode of a file of ours, named without its ending."""
        if name not in self._own:
            self._own[name] = self._compile(self.sources[name], b"=?", True)
        return self._own[name]

    def script(self, source: bytes) -> Script:
        """A script, compiled once for as long as it is remembered."""
        known = self._scripts.get(source)
        if known is None:
            known = Script(*self.compiled(source), needed_by(source))
            if len(source) > REMEMBERED_BYTES:
                self._renew()  # and let go of what that took
            else:
                if len(self._scripts) == REMEMBERED:
                    del self._scripts[next(iter(self._scripts))]
                self._scripts[source] = known
        return known

    def compiled(self, source: bytes, *, strip: bool = False) -> tuple[bytes | None, bytes | None]:
        """The bytecode of a text, without names and lines if wished; or nothing, and what the compiler says."""
        made = self._compile(source, b"=capability", strip)
        return made if isinstance(made, tuple) else (made, None)


class Script:
    """A text's bytecode, or what the compiler says against it; and the globals of `GLOBALS` that it needs."""

    def __init__(self, bytecode: bytes | None, problem: bytes | None, needed: frozenset[str]) -> None:
        self.bytecode, self.problem, self.needed = bytecode, problem, needed


def needed_by(source: bytes) -> frozenset[str]:
    """The globals of `GLOBALS` that a text names: by other means than its name none is reached."""
    # What stands in the header is a comment.
    start = source.find(b"]]") + 2 if source.startswith(b"--[[") else 0
    if any(plain in source and mentions(source, plain, start) for plain in (b"_G", b"_ENV")):
        return frozenset(GLOBALS)  # by these two, a name that is made up at run
    return frozenset(name for name, plain in GLOBALS.items() if plain in source and mentions(source, plain, start))


def _read(name: str) -> bytes:
    with open(os.path.join(FOLDER, name), "rb") as file:
        return file.read()


class Runtime:
    """A fresh Lua runtime with the prelude run: good for one script."""

    def __init__(self, lupa: Any, code: Code) -> None:
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
            start = lua.compile(code.own("prelude"), mode="b")
            self._driver = start(code.own("json"), code.own("parts/values"), code.own("parts/strings"))
        self.lua = lua
        self._code = code

    def do(self, what: bytes, *arguments: Any) -> Any:
        """Call a function of the driver, at the end of the prelude."""
        return self._driver[what](*arguments)

    def provide(self, needed: frozenset[str]) -> None:
        """Load the parts and libraries that offer these globals."""
        if not needed:
            return
        libraries = [name for name in LIBRARIES if name in needed]
        for part, names in PARTS.items():
            if libraries or part == "values" or not needed.isdisjoint(names):
                self.add(part)
        for name in libraries:
            self.add("library", name.encode(), self._code.own(f"libraries/{name}"), self._code.own("libraries/checks"))

    def add(self, part: str, *arguments: bytes) -> None:
        self.do(b"add", self._code.own(f"parts/{part}"), *arguments)


def _refuse_attribute(_object: object, _name: object, _setting: bool) -> None:
    raise AttributeError("no Python object has attributes here")


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
        self.code = Code(lupa)
        self.spare = Runtime(lupa, self.code)

    def serve(self) -> None:
        answers = {b"R": self.run, b"P": self.profile, b"C": self.compile, b"D": self.dump, b"N": self.names}
        while True:
            kind, payload = self.channel.receive()
            answers[kind](payload)
            # The next runtime is made while the parent is busy with the answer to this one, and out of its memory.
            del self.spare
            self.spare = Runtime(self.lupa, self.code)

    def compile(self, payload: bytes) -> None:
        self.channel.send(b"c", self.code.script(payload).problem or b"")

    def dump(self, payload: bytes) -> None:
        bytecode, problem = self.code.compiled(payload, strip=True)
        if bytecode is None:
            self.channel.send(b"e", problem or b"")
        else:
            self.channel.send(b"d", bytecode)

    def names(self, _payload: bytes) -> None:
        self.spare.provide(frozenset(GLOBALS))
        self.spare.add("offered")
        self.channel.send(b"n", self.spare.do(b"tell"))

    def profile(self, payload: bytes) -> None:
        """One execution as `run` does it, in which each line's share of the fuel is counted; that is told first."""
        self.spare.add("profile")
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
            answer = self.spare.do(b"exhausted")
        signal.setitimer(signal.ITIMER_PROF, 0)
        result = _result(answer)
        if profiled and answer[0] != b"abandoned":
            self.spare.lua.set_max_memory(0)
            told = self.spare.do(b"tell")
            self.channel.send(b"p", b"%d\n%s%s" % (len(told), told, result))
        else:
            self.channel.send(b"r", result)

    def _run(self, numbers: list[int], texts: list[bytes], functions: bytes) -> tuple[Any, ...]:
        runtime = self.spare
        lua = runtime.lua
        fuel, calls, output, memory, seed = numbers
        script = self.code.script(texts[0])
        if script.bytecode is None:
            return (b"reject", script.problem, None, 0, 0, 0)
        runtime.provide(script.needed | {"fail"} if functions else script.needed)
        runtime.do(b"prepare", script.bytecode, *texts[1:], functions, fuel, calls, output, seed)
        limit = lua.get_memory_used(total=True) + memory
        lua.set_max_memory(limit, total=True)
        answer: tuple[Any, ...] = runtime.do(b"start")
        while answer[0] == b"call":
            self.channel.send(b"h", answer[6] + b"\n" + answer[1])
            kind, reply = self.channel.receive()
            if kind != b"A":
                lua.set_max_memory(0)
                return (b"abandoned", b"", *runtime.do(b"spent"))
            lua.set_max_memory(0)
            runtime.do(b"take_reply", reply)
            limit = max(limit, lua.get_memory_used(total=True) + REENTRY_BYTES)
            lua.set_max_memory(limit, total=True)
            answer = runtime.do(b"continue")
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
    told = [f"layer {name}" for name in layers] + [f"inactive {name} {why}" for name, why in inactive.items()]
    channel.send(b"!", "\n".join(told).encode())
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
