"""Runs a capability's Lua on one input, contained: source, input and limits in; one `Outcome` out.

The only part of RiteSmith that uses lupa, and only in worker processes: nothing inside one process is a boundary.
How limits hold is in `prelude.lua`, what a script may name there and in `parts/`; processes are in `supervisor.py` and
`worker.py`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import TracebackType
from typing import Any

from ritesmith.errors import InvalidInput, SandboxError
from ritesmith.json_text import compact
from ritesmith.lua_tokens import one_line
from ritesmith.models import JSON, Finding, HostCall, HostError, HostReply, Limits, Outcome, Where
from ritesmith.sandbox import messages
from ritesmith.sandbox.profile import LineFuel, Profile, read_profile
from ritesmith.sandbox.supervisor import DeadlinePassed, Pool, WorkerLost, WorkerProcess, read_json

__all__ = ["Execution", "GrantDenied", "LineFuel", "Profile", "Sandbox", "offered_names"]

SOURCE_BYTES_MAX = 64 * 1024
INPUT_BYTES_MAX = 16 * 1024 * 1024
HOST_BYTES_MAX = 1024 * 1024
"""Most bytes of the arguments, and of the reply, of one host call as JSON."""
OUTPUT_BYTES_MAX = 64 * 1024 * 1024
"""What this process takes from a worker at once, whatever the limits say."""
COMPILE_SECONDS = 5.0
COUNT_MAX, SECONDS_MAX = 2**62, 1e6
"""What Lua's integers and the system's timers can hold; a limit beyond is no limit."""
PROFILE_BYTES_MAX = 4 * 1024 * 1024
PROFILE_SLOWER, PROFILE_SECONDS_MAX = 100, 60.0
"""A profile looks at every instruction: its deadline is so many times the script's own, up to so many seconds."""
HOST_FUNCTION = re.compile(r"\A[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+\Z")
HEAD = re.compile(rb"([a-z_]{1,20}) (\d{1,19}) (\d{1,19}) (\d{1,19}) (\d{1,19})")
OFFERED = frozenset(
    {"_G", "_VERSION", "assert", "base64", "coroutine", "csv", "date", "error", "fail", "getmetatable", "hash"}
    | {"ipairs", "json", "math", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "rawset", "select"}
    | {"setmetatable", "string", "table", "text", "tonumber", "tostring", "type", "utf8", "xpcall"}
)
"""The globals that every script finds; no host function may take the place of one."""
ENDED = frozenset(
    {"ok", "reject", "script_error", "fail", "fuel", "memory", "stack", "host_calls", "output_size"}
    | {"bad_result", "bad_input", "no_run", "abandoned"}
)
"""The ways a worker may say that an execution ended."""


class GrantDenied(Exception):
    """A host callable raises it: the execution ends with status grant_denied, and no script can catch it."""


class Sandbox:
    """A pool of worker processes that run scripts; safe to use from several threads, and after a fork.

    `workers` executions run at the same time (default: two more than there are processors, so that these have something
    to do while an answer is looked at); others wait, the runs among them taking turns.
    A worker is replaced after `recycle_after` executions (to start one costs as much as some hundred) and after every
    kill. Nothing starts before the first use.

    >>> with Sandbox() as sandbox:
    ...     sandbox.run("function run(input) return {sum = input.a + input.b} end", {"a": 1, "b": 2}).output
    {'sum': 3}
    """

    def __init__(self, workers: int | None = None, *, recycle_after: int = 10_000) -> None:
        self._pool = Pool(workers or min(os.cpu_count() or 1, 32) + 2, recycle_after)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def warm(self) -> Sandbox:
        """Have a worker started that the first execution need not wait for, and come back at once; returns itself."""
        self._pool.warm()
        return self

    def close(self) -> None:
        """Kill the workers. Executions under way end as `worker_lost`."""
        self._pool.close()

    def run(
        self,
        source: str,
        input: JSON,
        *,
        name: str = "capability",
        context: Mapping[str, JSON] | None = None,
        functions: Collection[str] = (),
        limits: Limits = Limits(),  # noqa: B008  frozen
        host: HostCall | None = None,
        results: Sequence[HostReply] = (),
        on_recorded: Callable[[int, str, JSON], None] | None = None,
        seed: int = 0,
        on_profile: Callable[[Profile], object] | None = None,
    ) -> Outcome:
        """Run one capability on one input; return how it ended: its output, or one error of a closed list.

        `source` is a whole capability file that defines a global `run(input, context)`. Of the host functions only
        `functions` exist for it. Call number i is answered by `results[i]` where there is one (after `on_recorded`
        was asked), and by `host` from then on. An exception of those two other than `GrantDenied` drops the execution
        and passes through. The same source, input, context, results and seed give the same outcome, fuel included;
        only `deadline` and `worker_lost` depend on the world, and `memory_bytes` a little on the process: how large a
        table is whose keys are objects follows their addresses.

        `on_profile` gets what each line spent (not where the execution was dropped, denied or killed). That looks at
        every instruction: the outcome is the same, fuel included (but for `memory_bytes`, and the line at which memory
        ran out), and comes later, so the deadline is longer.
        """
        for function in functions:
            if not HOST_FUNCTION.match(function):
                raise InvalidInput(f"{function!r} is not the name of a host function, such as 'store.get'")
            first = function.partition(".")[0]
            if first in OFFERED:
                raise InvalidInput(f"the host function {function!r} would hide '{first}', which every script finds")
        if on_profile is not None:
            seconds = limits.deadline_seconds
            longer = max(seconds, min(seconds * PROFILE_SLOWER, PROFILE_SECONDS_MAX))
            limits = limits.model_copy(update={"deadline_seconds": longer})
        offered = frozenset(functions)
        request = _request(name, source, input, context, offered, limits, host, results, on_recorded, seed, on_profile)
        if isinstance(request, Outcome):
            return request
        with self._pool.turns.take(_group(context)):
            return self._run(request)

    def begin(
        self,
        source: str,
        input: JSON,
        *,
        name: str = "capability",
        context: Mapping[str, JSON] | None = None,
        limits: Limits = Limits(),  # noqa: B008  frozen
        seed: int = 0,
        wait: bool = True,
    ) -> Execution | None:
        """Begin to run a capability that calls no host function, and come back at once; see `run`.

        None where no worker is free and `wait` is not wished: a caller that others wait for must not wait.
        """
        pool = self._pool
        if not pool.turns.enter(_group(context), wait=wait):
            return None
        execution = None
        try:
            request = _request(name, source, input, context, frozenset(), limits, None, (), None, seed, None)
            refused = isinstance(request, Outcome)
            worker = None if refused else pool.take_if(wait=wait)
            if refused or worker is not None:
                execution = Execution(self, request, worker)
            return execution
        finally:
            if execution is None:
                pool.turns.leave()

    def compile(self, source: str, *, name: str = "capability", globals: Sequence[str] | None = None) -> Finding | None:
        """What the compiler says against `source`, or None; nothing is executed.

        With `globals`, only these global names are declared (as constants), and `run`, which may be assigned.
        """
        refused = refuse_source(source)
        if refused:
            return Finding(
                code="syntax", where=Where(line=1), message=refused, hint="a capability is one small text file"
            )
        text = source
        if globals is not None:
            for each in globals:
                if not re.fullmatch(r"[A-Za-z_]\w*", each):
                    raise InvalidInput(f"{each!r} is not a Lua name")
            declared = "global <const> " + ", ".join(globals) + "; " if globals else ""
            text = f"global run; {declared}{source}"
        _, payload = self._ask(b"C", text.encode(), b"c")
        if not payload:
            return None
        line, message = messages.place_of(payload.decode("utf-8", "replace"))
        return Finding(
            code="syntax", where=Where(line=line), message=message, hint=messages.syntax_hint(message, source, line)
        )

    def canonical(self, source: str) -> str:
        """sha256 (hex) that is equal for texts that differ only in layout, comments or local names; InvalidInput
        where the text does not compile."""
        refused = refuse_source(source)
        if refused:
            raise InvalidInput(refused)
        kind, payload = self._ask(b"D", one_line(source).encode(), b"de")
        if kind == b"e":
            kind, payload = self._ask(b"D", source.encode(), b"de")
        if kind == b"e":
            raise InvalidInput(payload.decode("utf-8", "replace"))
        return hashlib.sha256(self.lua_version.encode() + b"\n" + payload).hexdigest()

    def offered_names(self) -> dict[str, list[str]]:
        """Global name -> its member names, sorted; empty for what has none. Read from a real runtime."""
        _, payload = self._ask(b"N", b"", b"n")
        offered = {}
        for line in payload.decode().splitlines():
            group, _, names = line.partition(":")
            offered[group] = sorted(names.split())
        return dict(sorted(offered.items()))

    @property
    def lua_version(self) -> str:
        """Such as "Lua 5.5.1 (lupa 2.8)"."""
        return lua_version()

    def describe(self) -> dict[str, Any]:
        """What is active: versions, platform, layers that hold on this machine and those that do not, with reasons."""
        worker = self._pool.take()
        self._pool.give_back(worker, broken=False)
        return {
            "lua_version": self.lua_version,
            "platform": sys.platform,
            "workers": self._pool.most,
            "layers": list(worker.layers),
            "inactive": dict(worker.inactive),
        }

    # ------------------------------------------------------------ one execution

    def _run(self, request: _Request) -> Outcome:
        try:
            return self._once(request)
        except _TryAgain:
            return self._once(request, last=True)

    def _once(self, request: _Request, begun: WorkerProcess | None = None, last: bool = False) -> Outcome:
        worker = begun or self._pool.take()
        broken = True
        try:
            if begun is None:
                request.send(worker)
            outcome = request.receive(worker)
            broken = False
            return outcome
        except DeadlinePassed:
            seconds = request.limits.deadline_seconds
            return request.outcome(
                "deadline",
                f"did not end within {seconds:g} s of its own time ({seconds:g} of {seconds:g} spent, host calls made: "
                f"{request.calls}; where it was is not known); shorten its work, or raise `deadline_seconds` in its "
                "limits",
            )
        except WorkerLost as error:
            # Somebody else's kill (no host function was really called): the same script may simply start again.
            if error.killed_by in (None, 9) and not request.live_calls and not last and not self._pool.closed:
                raise _TryAgain from error
            return request.outcome("worker_lost", f"ended with its worker: {error}; run it again", retryable=True)
        except _Abandoned as abandoned:
            broken = abandoned.broken
            raise abandoned.cause from None
        finally:
            worker.calls += 1
            self._pool.give_back(worker, broken=broken)

    def _ask(self, kind: bytes, payload: bytes, expected: bytes) -> tuple[bytes, bytes]:
        """One question that runs no script; asked again, once, where the worker is lost."""
        with self._pool.turns.take(threading.get_ident()):
            for last in (False, True):
                worker = self._pool.take()
                broken = True
                try:
                    worker.send(kind, payload, COMPILE_SECONDS)
                    answer_kind, answer = worker.receive(COMPILE_SECONDS, 4 * 1024 * 1024)
                    if answer_kind not in expected:
                        raise WorkerLost("the worker answered something else")
                    broken = False
                    return answer_kind, answer
                except (WorkerLost, DeadlinePassed) as error:
                    if last:
                        raise SandboxError(f"the sandbox worker was lost: {error}") from error
                finally:
                    worker.calls += 1
                    self._pool.give_back(worker, broken=broken)
        raise AssertionError("unreachable")


class Execution:
    """A script that runs in a worker. Exactly one of `finish` and `drop` must be called, in any thread."""

    def __init__(self, sandbox: Sandbox, request: _Request | Outcome, worker: WorkerProcess | None) -> None:
        self._sandbox = sandbox
        self._request = request
        self._worker: WorkerProcess | None = None
        if isinstance(request, Outcome) or worker is None:
            return
        try:
            request.send(worker)
        except (WorkerLost, DeadlinePassed):
            sandbox._pool.give_back(worker, broken=True)  # `finish` asks another one
        except BaseException:
            sandbox._pool.give_back(worker, broken=True)
            raise
        else:
            self._worker = worker

    def fileno(self) -> int | None:
        """What becomes readable when the script has ended, so that `finish` need not wait; None where it has."""
        return None if self._worker is None else self._worker.fileno()

    def finish(self) -> Outcome:
        """How it ended; waits for that, until the script's deadline."""
        request, worker, self._worker = self._request, self._worker, None
        try:
            if isinstance(request, Outcome):
                return request
            if worker is None:
                return self._sandbox._run(request)
            try:
                return self._sandbox._once(request, worker)
            except _TryAgain:
                return self._sandbox._once(request, last=True)
        finally:
            self._sandbox._pool.turns.leave()

    def drop(self) -> None:
        """Nobody wants to know any more."""
        if self._worker is not None:
            self._sandbox._pool.give_back(self._worker, broken=True)
            self._worker = None
        self._sandbox._pool.turns.leave()


class _TryAgain(Exception):
    pass


class _Abandoned(Exception):
    """Carries an exception of the caller's own functions out of the execution it ended."""

    def __init__(self, cause: BaseException, *, broken: bool) -> None:
        super().__init__()
        self.cause = cause
        self.broken = broken


def _group(context: Mapping[str, JSON] | None) -> Hashable:
    """Whose turn it is among those who wait for a worker."""
    run = context.get("run_id") if context else None
    return run if isinstance(run, str) else threading.get_ident()


def _request(
    name: str,
    source: str,
    input: JSON,
    context: Mapping[str, JSON] | None,
    functions: frozenset[str],
    limits: Limits,
    host: HostCall | None,
    results: Sequence[HostReply],
    on_recorded: Callable[[int, str, JSON], None] | None,
    seed: int,
    on_profile: Callable[[Profile], object] | None,
) -> _Request | Outcome:
    """What a worker is to be told, or why it is told nothing."""
    refused = refuse_source(source)
    if not refused:
        try:
            texts = (source.encode(), to_json(input), to_json(dict(context or {})))
        except ValueError as error:
            refused = f"its input is not JSON: {error}"
        else:
            if len(texts[1]) <= INPUT_BYTES_MAX:
                return _Request(name, source, texts, functions, limits, host, results, on_recorded, seed, on_profile)
            refused = f"its input has {len(texts[1])} bytes, at most {INPUT_BYTES_MAX} are taken"
    return Outcome(status="reject", code="reject", message=f"capability '{name}' was not started: {refused}")


class _Request:
    """One execution, as the parent sees it."""

    def __init__(
        self,
        name: str,
        source: str,
        texts: tuple[bytes, bytes, bytes],
        functions: frozenset[str],
        limits: Limits,
        host: HostCall | None,
        results: Sequence[HostReply],
        on_recorded: Callable[[int, str, JSON], None] | None,
        seed: int,
        on_profile: Callable[[Profile], object] | None,
    ) -> None:
        self.on_profile = on_profile
        self.name = name
        self.source = source
        self.functions = functions
        self.limits = limits
        self.host = host
        self.results = results
        self.on_recorded = on_recorded
        self.calls = 0
        self.live_calls = 0
        # Numbers and names only: read in the worker without a parser.
        header = [
            min(limits.fuel, COUNT_MAX),
            min(limits.host_calls, COUNT_MAX),
            min(limits.output_bytes, OUTPUT_BYTES_MAX),
            min(limits.memory_bytes, COUNT_MAX),
            seed % 2**63,
            min(limits.deadline_seconds, SECONDS_MAX),
            *(len(text) for text in texts),
            *sorted(functions),
        ]
        self.frame = " ".join(map(str, header)).encode() + b"\n" + b"".join(texts)
        self.most = max(min(limits.output_bytes, OUTPUT_BYTES_MAX), 2 * HOST_BYTES_MAX) + 64 * 1024
        self.most += PROFILE_BYTES_MAX if on_profile is not None else 0

    def send(self, worker: WorkerProcess) -> None:
        """Have this worker begin. Raises WorkerLost, DeadlinePassed."""
        self.calls = 0
        self.began = time.monotonic()
        worker.send(
            b"R" if self.on_profile is None else b"P", self.frame, min(self.limits.deadline_seconds, SECONDS_MAX)
        )

    def receive(self, worker: WorkerProcess) -> Outcome:
        """How it ends on this worker; WorkerLost, DeadlinePassed, or _Abandoned around what the caller's functions
        raised. What has come by now has come in time, however late it is looked at."""
        left = min(self.limits.deadline_seconds, SECONDS_MAX)
        left = max(left - (time.monotonic() - self.began), 0.001)
        while True:
            began = time.monotonic()
            kind, payload = worker.receive(left, self.most)
            left = max(0.0, left - (time.monotonic() - began))
            if kind == b"r" and self.on_profile is None:
                return self._result(payload)
            if kind == b"p" and self.on_profile is not None:
                profile, payload = _profile(payload)
                outcome = self._result(payload)
                self.on_profile(profile)
                return outcome
            if kind != b"h":
                raise WorkerLost("the worker answered something else")
            reply = self._answer(worker, payload)
            if isinstance(reply, Outcome):
                return reply
            began = time.monotonic()
            worker.send(b"A", reply, left)
            left -= time.monotonic() - began

    def outcome(self, status: Any, message: str, *, retryable: bool = False, **more: Any) -> Outcome:
        code = more.pop("code", status)
        return Outcome(
            status=status,
            code=code,
            message=f"capability '{self.name}' {message}",
            retryable=retryable,
            **{"host_calls": self.calls, **more},
        )

    # ------------------------------------------------------------ host calls

    def _answer(self, worker: WorkerProcess, payload: bytes) -> bytes | Outcome:
        called, _, text = payload.partition(b"\n")
        try:
            function = called.decode("ascii")
        except UnicodeDecodeError:
            raise WorkerLost("the worker called something without a name") from None
        arguments = read_json(text)
        index = self.calls
        self.calls += 1
        if function not in self.functions or not isinstance(arguments, dict | list):
            raise WorkerLost("the worker called what was not granted")
        if self.calls > self.limits.host_calls:
            raise WorkerLost("the worker called more often than it may")
        try:
            if index < len(self.results):
                if self.on_recorded is not None:
                    self.on_recorded(index, function, arguments)
                reply = self.results[index]
            elif self.host is not None:
                self.live_calls += 1
                reply = self.host(function, arguments)
            else:
                raise GrantDenied(f"nothing answers host calls here, and '{function}' was called")
        except GrantDenied as denied:
            head = self._give_up(worker)
            return self.outcome(
                "grant_denied",
                f"was denied the host function '{function}'{messages.at_line(head['line'])}: {denied}",
                line=head["line"],
                fuel=head["fuel"],
                memory_bytes=head["memory"],
            )
        except BaseException as error:
            broken = False
            try:
                self._give_up(worker)
            except (WorkerLost, DeadlinePassed):
                broken = True
            raise _Abandoned(error, broken=broken) from error
        return self._reply_text(function, reply)

    def _reply_text(self, function: str, reply: HostReply) -> bytes:
        if reply.error is not None:
            shown: dict[str, Any] = {"error": reply.error.model_dump(mode="json", exclude_none=True)}
        else:
            shown = {"result": reply.result}
        try:
            text = to_json(shown)
            problem = f"has {len(text)} bytes, at most {HOST_BYTES_MAX} are taken" if len(text) > HOST_BYTES_MAX else ""
        except ValueError as error:
            problem = f"is not JSON: {error}"
        if problem:
            refused = HostError(code="bad_reply", message=f"the reply of '{function}' {problem}")
            return to_json({"error": refused.model_dump(mode="json", exclude_none=True)})
        return text

    def _give_up(self, worker: WorkerProcess) -> dict[str, Any]:
        """Make the worker drop the script it holds; where that was, and what it had spent."""
        worker.send(b"X", b"", 1.0)
        kind, payload = worker.receive(1.0, self.most)
        head, _ = _head(payload)
        if kind != b"r" or head["status"] != "abandoned":
            raise WorkerLost("the worker went on")
        return head

    # ------------------------------------------------------------ results

    def _result(self, payload: bytes) -> Outcome:
        head, text = _head(payload)
        status, line = head["status"], head["line"]
        limits, where = self.limits, messages.at_line(head["line"])
        spent = {
            "line": line,
            "fuel": min(head["fuel"], limits.fuel) if status == "fuel" else head["fuel"],
            "memory_bytes": head["memory"],
            "host_calls": self.calls,
        }
        if status == "ok":
            if len(text) > limits.output_bytes:
                raise WorkerLost("the worker sent more than it may")
            return Outcome(status="ok", output=read_json(text), code="ok", **spent)
        if status == "fail":
            return self._failure(text, spent)
        shown = text.decode("utf-8", "replace")
        if status == "reject":
            found, message = messages.place_of(shown)
            spent["line"] = found
            hint = messages.syntax_hint(message, self.source, found)
            return self.outcome(
                "reject",
                f"does not compile{messages.at_line(found)}: {message}" + (f" ({hint})" if hint else ""),
                **spent,
            )
        if status == "script_error":
            place, message = messages.place_of(shown)
            spent["line"] = line if line is not None else place
            hint = messages.script_hint(message)
            where = messages.at_line(spent["line"])
            return self.outcome("script_error", f"failed{where}: {message}" + (f" ({hint})" if hint else ""), **spent)
        reached = f" at {shown}" if shown not in {"", "$"} else ""
        told: dict[str, tuple[str, str]] = {
            "no_run": ("script_error", "defines no global function `run(input, context)`; add one"),
            "bad_input": ("reject", f"was not started: its input is not taken: {shown}"),
            "fuel": (
                "fuel",
                f"ran out of fuel{where} ({limits.fuel} of {limits.fuel} spent); shorten the loop, "
                "or raise `fuel` in its limits",
            ),
            "memory": (
                "memory",
                f"ran out of memory{where} (asked for more when {min(head['memory'], limits.memory_bytes)} of "
                f"{limits.memory_bytes} bytes were in use); keep less at a time, or raise `memory_bytes` in its limits",
            ),
            "stack": (
                "memory",
                f"nests its calls too deeply{where} ({head['fuel']} fuel and {head['memory']} bytes spent); "
                "look for a recursion without an end, or for too many values passed at once",
            ),
            "host_calls": (
                "host_calls",
                f"wanted one more host call{where} ({limits.host_calls} of {limits.host_calls} made); make fewer, "
                "or raise `host_calls` in its limits",
            ),
            "output_size": (
                "output_size",
                f"returned more than {limits.output_bytes} bytes of JSON ({limits.output_bytes} of "
                f"{limits.output_bytes} spent{reached}); return less, "
                "or raise `output_bytes` in its limits",
            ),
            "bad_result": (
                "bad_result",
                "returned nothing; return a value, or json.null"
                if shown == "nothing"
                else f"returned {shown}; return JSON only: texts, numbers, booleans, lists and objects",
            ),
        }
        if status not in told:
            raise WorkerLost("the worker answered something else")
        return self.outcome(*told[status], **spent)

    def _failure(self, text: bytes, spent: dict[str, Any]) -> Outcome:
        failure = read_json(text)
        if not isinstance(failure, dict):
            raise WorkerLost("the worker answered something else")
        code, message = failure.get("code"), failure.get("message")
        return Outcome(
            status="fail",
            code=code if isinstance(code, str) else "fail",
            message=message if isinstance(message, str) else str(code),
            retryable=failure.get("retryable") is True,
            details=failure.get("details"),
            **spent,
        )


def _head(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """A result's first line: status, line (0 for none), fuel, memory and host calls; and the text behind it."""
    first, _, text = payload.partition(b"\n")
    match = HEAD.fullmatch(first)
    status = match[1].decode("ascii") if match else ""
    if match is None or status not in ENDED:
        raise WorkerLost("the worker answered something else")
    line, fuel, memory, calls = (int(number) for number in match.groups()[1:])
    if line >= 2**31 or max(fuel, memory, calls) >= 2**63:
        raise WorkerLost("the worker's account is beyond what it can count")
    return {"status": status, "line": line or None, "fuel": fuel, "memory": memory, "calls": calls}, text


def _profile(payload: bytes) -> tuple[Profile, bytes]:
    """A profile, and the result behind it."""
    size, _, rest = payload.partition(b"\n")
    if not size.isdigit() or len(size) > 9 or int(size) > len(rest):
        raise WorkerLost("the worker answered something else")
    profile = read_profile(rest[: int(size)].decode("ascii", "replace"))
    if profile is None:
        raise WorkerLost("the worker's profile is none")
    return profile, rest[int(size) :]


def refuse_source(source: str) -> str:
    """Why this text is never handed to the compiler, or nothing."""
    try:
        data = source.encode()
    except UnicodeEncodeError:
        return "the source is not valid Unicode"
    if len(data) > SOURCE_BYTES_MAX:
        return f"the source has {len(data)} bytes, at most {SOURCE_BYTES_MAX} are taken"
    if data[:1] == b"\x1b":
        return "the source is bytecode, only text is taken"
    if b"\0" in data:
        return "the source holds a NUL byte"
    return ""


def to_json(value: JSON) -> bytes:
    """The value as compact JSON; ValueError where it is none."""
    try:
        return compact(value).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except TypeError as error:
        raise ValueError(str(error)) from None
    except UnicodeEncodeError:
        raise ValueError("it holds text that is not valid Unicode") from None


_LUA_VERSION: list[str] = []


def lua_version() -> str:
    """The release of Lua inside lupa, and of lupa; found in the library's own text, without loading it."""
    if not _LUA_VERSION:
        release = "Lua 5.5"
        found = importlib.util.find_spec("lupa")
        if found is not None and found.origin is not None:
            for library in Path(found.origin).parent.glob("lua55.*"):
                match = re.search(rb"\$LuaVersion: (Lua 5\.5\.\d+)", library.read_bytes())
                release = match[1].decode() if match else release
        _LUA_VERSION.append(f"{release} (lupa {_lupa_version(found)})")
    return _LUA_VERSION[0]


def _lupa_version(found: ModuleSpec | None) -> str:
    if found is not None and found.origin is not None:
        file = Path(found.origin).with_name("version.py")
        match = re.search(r"""__version__ = ["']([^"']+)["']""", file.read_text() if file.exists() else "")
        if match is not None:
            return match[1]
    import importlib.metadata  # takes as long as a quarter of all else that a run imports

    return importlib.metadata.version("lupa")


def offered_names() -> dict[str, list[str]]:
    """Global name -> its member names, as a script finds them; empty lists for plain functions."""
    with Sandbox(workers=1) as sandbox:
        return sandbox.offered_names()
