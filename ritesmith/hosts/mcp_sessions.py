"""Sessions with MCP servers: opened when first needed, kept while the process lives, closed with it.

The SDK is asynchronous, and host functions are called in threads that execute steps. So one thread of its own drives
all sessions, and a call waits for it no longer than the server's deadline. Whatever a server does (hang, die, flood,
answer under a wrong id, write what is no message), the caller gets a result, a HostFailure or an Unanswered.

A server that speaks over pipes runs under `mcp_keeper`, which ends it with this process. The pipes are read here and
not by the SDK's own transport, which takes a line of any length into memory and logs what it cannot parse.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from ritesmith.errors import InvalidInput
from ritesmith.hosts import mcp_tools
from ritesmith.hosts.base import (
    REPLY_BYTES_MAX,
    HostEnvironment,
    HostFailure,
    HostUnknown,
    Implementation,
    not_for_scripts,
    reply_bytes,
)
from ritesmith.hosts.secrets import Secrets
from ritesmith.models import JSON, HostFunction
from ritesmith.schemas import problems
from ritesmith.settings import McpSettings, Settings

if TYPE_CHECKING:
    import httpx2
    import mcp
    from mcp import types
    from mcp.client._transport import TransportStreams

T = TypeVar("T")

KEEPER = Path(__file__).with_name("mcp_keeper.py")
INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TMPDIR", "USER")
"""All that a server gets of this process's environment: there may be secrets of others in the rest."""
IDEMPOTENCY_KEY = "ritesmith/idempotency_key"
"""Under this name a call's `_meta` holds the key of the step, which is the same when the call is made again."""
LOOK_SECONDS = 60.0
"""A listing older than this is read again before the next call: a server may change its tools without a word."""
PAGES_MAX = 100
RUBBISH_MAX = 20
"""Lines that are no messages, between two requests: some servers greet on stdout."""
STDERR_BYTES = 4000
GRACE_SECONDS = 1.0
"""So long a server may take to end by itself when its input has ended."""
CLOSE_SECONDS = 5.0
LATE_SECONDS = 5.0
"""When the driving thread itself does not come back in time, its caller waits this much longer and then gives up."""
CHUNK_BYTES = 65536


class Unanswered(Exception):
    """A call was sent, and nobody knows what became of it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class McpServers:
    """The MCP servers of one project. Every method may be called in any thread, and comes back in bounded time."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self.settings = settings
        self.secrets = secrets
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._stop: asyncio.Event | None = None
        self._door = Lock()
        self._closed = False
        self._sessions: dict[str, _Session] = {}
        self._opened: set[asyncio.Task[None]] = set()

    def listing(self, server: str) -> list[dict[str, Any]]:
        """What a server says of its tools now, as JSON. HostFailure when it does not say it."""
        try:
            return self._do(self._listing(server), self._settings(server).seconds)
        except Unanswered as lost:
            raise HostFailure(lost.code, lost.message, retryable=True) from None

    def call(self, server: str, tool: str, digest: str, args: dict[str, Any], key: str) -> types.CallToolResult:
        """A tool's answer, as the SDK reads it. HostFailure when it was not called, Unanswered when nobody knows."""
        return self._do(self._call(server, tool, digest, args, key), self._settings(server).seconds)

    def close(self) -> None:
        """End every session and every server that was started, and the thread."""
        with self._door:
            self._closed = True
            thread, loop, stop = self._thread, self._loop, self._stop
        if thread is not None and loop is not None and stop is not None:
            with suppress(RuntimeError):  # the thread is gone
                loop.call_soon_threadsafe(stop.set)
            thread.join(2 * CLOSE_SECONDS)

    # ------------------------------------------------------------ the thread

    def _do(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        try:
            loop = self._running()
        except BaseException:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result(seconds + LATE_SECONDS)
        except TimeoutError:
            future.cancel()
            raise Unanswered("mcp_timeout", f"no answer within {seconds:g} seconds, and its session is stuck") from None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._door:
            if self._closed:
                raise HostFailure("mcp_unavailable", "the sessions with MCP servers are closed")
            if self._loop is None:
                try:
                    import mcp  # noqa: F401  here, where the caller gets to hear it
                except ImportError:
                    raise HostFailure(
                        "mcp_unavailable", "the MCP SDK is not installed: pip install 'ritesmith[mcp]'"
                    ) from None
                _hush()
                started = Event()
                self._thread = Thread(
                    target=lambda: asyncio.run(self._stay(started)), name="ritesmith-mcp", daemon=True
                )
                self._thread.start()
                started.wait()
            assert self._loop is not None
            return self._loop

    async def _stay(self, started: Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        await self._stop.wait()
        for session in list(self._sessions.values()):
            self._retire(session)
        if self._opened:
            await asyncio.wait(self._opened, timeout=CLOSE_SECONDS)

    # ------------------------------------------------------------ in the thread

    def _settings(self, server: str) -> McpSettings:
        if server not in self.settings.mcp:
            raise HostFailure("mcp_unavailable", f"there is no [mcp.{server}] in ritesmith.toml")
        return self.settings.mcp[server]

    async def _listing(self, server: str) -> list[dict[str, Any]]:
        async def look(session: _Session) -> list[dict[str, Any]]:
            await session.look()
            return session.told

        return await self._with_session(server, look)

    async def _call(self, server: str, tool: str, digest: str, args: dict[str, Any], key: str) -> types.CallToolResult:
        async def call(session: _Session) -> types.CallToolResult:
            if time.monotonic() - session.looked_at > LOOK_SECONDS:
                await session.look()
            now = session.digests.get(tool)
            if now != digest:
                what = "is gone" if now is None else "is no longer what was taken over"
                raise HostFailure(
                    "mcp_tool_changed",
                    f"the tool '{tool}' of the MCP server '{server}' {what}: ritesmith mcp sync {server}",
                )
            return await session.call(tool, args, key)

        return await self._with_session(server, call)

    async def _with_session(self, server: str, work: Callable[[_Session], Awaitable[T]]) -> T:
        """Do the work with an open session within the server's seconds; what goes wrong is said in our words."""
        seconds = self._settings(server).seconds
        session: _Session | None = None
        sent = not_done = False
        try:
            async with asyncio.timeout(seconds):
                session = self._session(server)
                session.users += 1
                await asyncio.shield(session.ready)
                return await work(session)
        except (HostFailure, InvalidInput):  # the latter of a file of secrets that others can read
            raise
        except TimeoutError:
            if session is not None:
                self._retire(session)
            why = f"the MCP server '{server}' did not answer within {seconds:g} seconds"
            code = "mcp_timeout"
        except Exception as error:  # noqa: BLE001  the SDK raises what its parts raise; none of it may reach the engine
            code, why, not_done = _in_our_words(server, error, session)
            # By HTTP a session may be over without a word that it is.
            if session is not None and (session.problem() or (session.settings.url and code != "mcp_refused")):
                self._retire(session)
        finally:
            if session is not None:
                sent = session.sent.pop(asyncio.current_task(), False)
                session.users -= 1
                if session.retired and session.users == 0:
                    session.end()
        if sent and not not_done:
            raise Unanswered(code, why)
        raise HostFailure(code, why, retryable=code != "mcp_refused")

    def _session(self, server: str) -> _Session:
        """The open session with a server, or a new one. HostFailure where the settings do not allow it."""
        settings = self._settings(server)
        secrets = {name: self._secret(server, secret) for name, secret in settings.secrets.items()}
        session = self._sessions.get(server)
        if session is not None and (session.over.is_set() or session.secrets != secrets):
            self._retire(session)
            session = None
        if session is None:
            session = _Session(server, settings, secrets, self.settings, self.secrets.redact)
            self._sessions[server] = session
            task = asyncio.create_task(session.live())
            self._opened.add(task)
            task.add_done_callback(self._opened.discard)
        return session

    def _secret(self, server: str, name: str) -> str:
        value = self.secrets.get(name)
        if value is None:
            raise HostFailure("no_secret", f"the secret '{name}', which [mcp.{server}] names, is not set")
        return value

    def _retire(self, session: _Session) -> None:
        """No new call goes to it; those under way may end."""
        session.retired = True
        if self._sessions.get(session.server) is session:
            del self._sessions[session.server]
        if session.users == 0 or (self._stop is not None and self._stop.is_set()):
            session.end()


def _in_our_words(server: str, error: Exception, session: _Session | None) -> tuple[str, str, bool]:
    """The code and the message for what the SDK raised, and whether the call was certainly not carried out."""
    from mcp import MCPError

    said = f"the MCP server '{server}'"
    problem = session.problem() if session is not None else ""
    if problem:
        return "mcp_unavailable", f"{said} {problem}", False
    if isinstance(error, MCPError):
        if error.code in NOT_DONE:
            return "mcp_refused", f"{said} refused the call: {_short(error.message)}", True
        forgotten = (error.code, error.message) == FORGOTTEN
        return "mcp_unavailable", f"{said} failed: {_short(error.message)}", forgotten
    if isinstance(error, ValueError):
        return "mcp_unavailable", f"{said} answered what is no valid result", False
    return "mcp_unavailable", f"{said} cannot be reached: {type(error).__name__}", False


NOT_DONE = (-32601, -32602)
"""JSON-RPC's codes for a request that was not carried out: no such method, wrong arguments.

Not those for a request that could not be read: the SDK uses them also for answers by HTTP that it cannot read.
"""
FORGOTTEN = (-32600, "Session terminated")
"""What the SDK makes of a server that knows the session no more (status 404), and so has done nothing in it."""


def _hush() -> None:
    """Keep what the SDK logs from everybody: it may be what a server sent, and hold secrets."""
    logger = logging.getLogger("mcp")
    if logger.propagate:
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
        # A part of the SDK logs under a name that may be somebody else's too.
        logging.getLogger("client").addFilter(lambda record: "/mcp/client/" not in Path(record.pathname).as_posix())


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


@dataclass
class Meter:
    """How much a server may still send until the next request, and why its connection ended."""

    most: int
    left: int = 0
    rubbish: int = RUBBISH_MAX
    why: str = ""
    last_words: bytes = b""
    on_end: Callable[[], object] = lambda: None

    def allow(self) -> None:
        """A request is made: its answer may be as large as the settings allow."""
        self.left, self.rubbish = self.most, RUBBISH_MAX

    def take(self, size: int) -> bool:
        """Whether these bytes may still come."""
        self.left -= size
        if self.left < 0:
            self.end(f"sends more than {self.most} bytes for one request")
        return self.left >= 0

    def take_rubbish(self) -> bool:
        """Whether another line that is no message may come."""
        self.rubbish -= 1
        if self.rubbish < 0:
            self.end("writes on its standard output what are no MCP messages")
        return self.rubbish >= 0

    def end(self, why: str) -> None:
        """The connection is over; the first reason counts."""
        self.why = self.why or why
        self.on_end()


@dataclass
class _Session:
    """One connection to a server, from its first message to its last."""

    server: str
    settings: McpSettings
    secrets: Mapping[str, str]
    """Environment variable or header -> value."""
    project: Settings
    redact: Callable[[JSON], JSON]
    told: list[dict[str, Any]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    looked_at: float = float("-inf")
    users: int = 0
    retired: bool = False
    sent: dict[Any, bool] = field(default_factory=dict)
    """Tasks whose tool call was handed to the transport."""

    def __post_init__(self) -> None:
        import anyio

        self.over = asyncio.Event()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody may wait for it any more when it fails.
        self.ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        self.scope = anyio.CancelScope()
        # A result may come twice in one message: as structured content, and as its text with every quote escaped.
        self.meter = Meter(most=4 * self.settings.bytes_max + 64 * 1024, on_end=self.over.set)
        self.client: mcp.Client | None = None

    def problem(self) -> str:
        """Why the connection is over, in words; empty while it is not, or when we ended it."""
        words = self.meter.last_words.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return self.meter.why + (f"; its last words: {words}" if self.meter.why and words else "")

    def end(self) -> None:
        """Let it close by itself, and not longer than CLOSE_SECONDS."""
        self.over.set()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.scope.cancel)
        if not self.ready.done():
            self.scope.cancel()

    async def live(self) -> None:
        """Open the connection, keep it until `over`, close it."""
        from mcp import Client, types

        error: Exception | None = None
        with self.scope:
            try:
                self.meter.allow()
                client = Client(
                    self._transport(),
                    cache=None,
                    client_info=types.Implementation(name="ritesmith", version="1"),
                    message_handler=self._heard,
                )
                async with client as self.client:
                    await self.look()
                    self.ready.set_result(None)
                    await self.over.wait()
            except Exception as raised:  # noqa: BLE001  it is told to whoever waits, in our words
                error = raised
                while isinstance(error, ExceptionGroup):  # of the SDK's tasks; the first one brought the others down
                    error = error.exceptions[0]
        self.over.set()
        if not self.ready.done():
            self.ready.set_exception(error or ConnectionError("it was closed"))

    async def _heard(self, message: Any) -> None:
        from mcp import types

        if isinstance(message, types.ToolListChangedNotification):
            self.looked_at = float("-inf")

    async def look(self) -> None:
        """Read what tools there are now."""
        from mcp import types

        assert self.client is not None
        told: list[dict[str, Any]] = []
        cursor: str | None = None
        self.meter.allow()
        looked_at = time.monotonic()
        for _ in range(PAGES_MAX):
            page = await self.client.session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            listed: list[Any] = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools]
            told += cast("list[dict[str, Any]]", self.redact(listed))
            cursor = page.next_cursor
            if cursor is None:
                break
        if cursor is not None or len(told) > mcp_tools.TOOLS_MAX:
            self.meter.end(f"lists more than {mcp_tools.TOOLS_MAX} tools, or more than {PAGES_MAX} pages of them")
            raise ConnectionError
        self.told, self.looked_at = told, looked_at
        self.digests = {each["name"]: mcp_tools.digest_of(each) for each in told}

    async def call(self, tool: str, args: dict[str, Any], key: str) -> types.CallToolResult:
        """Call a tool. The SDK's own `call_tool` would check the result with patterns that never end."""
        from mcp import types

        assert self.client is not None
        self.meter.allow()
        params = types.CallToolRequestParams.model_validate(
            {"name": tool, "arguments": args, "_meta": {IDEMPOTENCY_KEY: key}}
        )
        self.sent[asyncio.current_task()] = True
        return await self.client.session.send_request(types.CallToolRequest(params=params), types.CallToolResult)

    # ------------------------------------------------------------ transports

    def _transport(self) -> AbstractAsyncContextManager[TransportStreams]:
        if self.settings.url is None:
            inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
            folder = self.project.folder.absolute()
            return over_pipes(self.settings.command, {**inherited, **self.secrets}, folder, self.meter)
        host = urlsplit(self.settings.url)
        plain = host.scheme != "https"
        if plain and host.hostname not in ("localhost", "127.0.0.1", "::1", *self.project.http.plain):
            raise HostFailure(
                "mcp_unavailable",
                f"the MCP server '{self.server}' is not spoken to without TLS: use https, or name '{host.hostname}' in "
                "[http] plain",
            )
        return over_http(self.settings.url, self.secrets, self.settings.seconds, self.meter)


@asynccontextmanager
async def over_pipes(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, meter: Meter
) -> AsyncIterator[TransportStreams]:
    """A transport of the SDK: a server that was started here, one JSON message a line on its stdin and stdout."""
    import anyio
    from mcp.shared.message import SessionMessage

    leash, hand = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(KEEPER), str(leash), *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env=dict(environment),
            pass_fds=(leash,),
            start_new_session=True,
        )
    except BaseException:
        os.close(hand)
        raise
    finally:
        os.close(leash)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    closing = False
    heard, inbound = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outbound, said = anyio.create_memory_object_stream[SessionMessage](0)

    async def read(stdout: asyncio.StreamReader) -> None:
        rest = b""
        async with heard:
            while chunk := await stdout.read(CHUNK_BYTES):
                if not meter.take(len(chunk)):
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, map(bytes.strip, lines)):
                    message = _message(line)
                    if message is not None:
                        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                            await heard.send(SessionMessage(message))
                    elif not meter.take_rubbish():
                        return
            await _ended(process)
            if not closing:
                meter.end(
                    "has ended" + (f" (exit code {process.returncode})" if process.returncode is not None else "")
                )

    async def write(stdin: asyncio.StreamWriter) -> None:
        async with said:
            async for message in said:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                with suppress(ConnectionError):  # what it has to say about that comes from its stdout
                    stdin.write(text.encode() + b"\n")
                    await stdin.drain()

    async def listen(stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(CHUNK_BYTES):
            last = meter.last_words + chunk
            # Whole lines only: what is cut out of a secret could not be found again.
            cut = last[-STDERR_BYTES:]
            meter.last_words = last if cut == last else cut.partition(b"\n")[2]

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(read, process.stdout)
            group.start_soon(write, process.stdin)
            group.start_soon(listen, process.stderr)
            try:
                yield inbound, outbound
            finally:
                closing = True
                with anyio.CancelScope(shield=True):
                    process.stdin.close()
                    if not meter.why:
                        await _ended(process)
                    os.close(hand)
                    hand = -1
                    # The keeper ends the server, and then itself.
                    await _ended(process, CLOSE_SECONDS)
                group.cancel_scope.cancel()
    finally:
        if hand >= 0:
            os.close(hand)
        for stream in (heard, inbound, outbound, said):
            stream.close()
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()


async def _ended(process: asyncio.subprocess.Process, seconds: float = GRACE_SECONDS) -> None:
    # Not process.wait(): it waits also for the ends of pipes that nobody reads any more.
    until = time.monotonic() + seconds
    while process.returncode is None and time.monotonic() < until:
        await asyncio.sleep(0.005)


def _message(line: bytes) -> Any:
    """The JSON-RPC message that a line is, or None."""
    from mcp.types import jsonrpc_message_adapter

    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        return None


@asynccontextmanager
async def over_http(
    url: str, headers: Mapping[str, str], seconds: float, meter: Meter
) -> AsyncIterator[TransportStreams]:
    """A transport of the SDK: a server that is spoken to by HTTP, and whose answers are counted as they come."""
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    client = httpx2.AsyncClient(
        headers={**headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(seconds),
        trust_env=False,
        transport=_counting(meter),
    )
    async with client, streamable_http_client(url, http_client=client) as streams:
        yield streams


def _counting(meter: Meter) -> httpx2.AsyncBaseTransport:
    """A transport of httpx2 that counts the bytes of every answer, and takes none that is packed: a bomb, maybe."""
    import httpx2

    class Counted(httpx2.AsyncByteStream):
        def __init__(self, inner: httpx2.AsyncByteStream) -> None:
            self.inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self.inner:
                if not meter.take(len(chunk)):
                    raise httpx2.ReadError("too much")
                yield chunk

        async def aclose(self) -> None:
            await self.inner.aclose()

    class Counting(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await super().handle_async_request(request)
            if response.headers.get("content-encoding", "identity") != "identity":
                await response.aclose()
                meter.end("packs its answers, which was not asked for")
                raise httpx2.ReadError("packed")
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = Counted(response.stream)
            return response

    return Counting()


def text_of(result: types.CallToolResult) -> dict[str, JSON]:
    """The text of a result, its blocks on lines of their own, and the kinds of what is no text."""
    from mcp import types

    texts: list[str] = []
    others: list[JSON] = []
    for block in result.content:
        if isinstance(block, types.TextContent):
            texts.append(block.text)
        elif isinstance(block, types.EmbeddedResource) and isinstance(block.resource, types.TextResourceContents):
            texts.append(block.resource.text)
        else:
            others.append(block.type)
    if not texts and result.structured_content is not None:
        texts.append(json.dumps(result.structured_content, ensure_ascii=False))
    found: dict[str, JSON] = {"text": "\n".join(texts)}
    return found | ({"left_out": others} if others else {})


# ---------------------------------------------------------------- host functions


def host_functions(
    kept: Mapping[str, mcp_tools.Kept], servers: McpServers
) -> dict[str, tuple[HostFunction, Implementation]]:
    """Name -> declaration and Python function of every tool that was taken over, of servers that the settings name."""
    found: dict[str, tuple[HostFunction, Implementation]] = {}
    for server, its in sorted(kept.items()):
        if server in servers.settings.mcp:
            settings = servers.settings.mcp[server]
            for name, tool in sorted(its.tools.items()):
                word = mcp_tools.word_on(settings, tool)
                declared = mcp_tools.declaration(server, tool, word, offered=name in its.offered)
                found[declared.name] = declared, _Call(servers, server, tool, declared)
    return found


@dataclass(frozen=True)
class _Call:
    """The Python function behind a tool's host function."""

    servers: McpServers
    server: str
    tool: mcp_tools.Tool
    declared: HostFunction

    def __call__(self, args: dict[str, Any], environment: HostEnvironment) -> JSON:
        if self.declared.unusable:
            raise HostFailure("mcp_tool_changed", self.declared.unusable)
        try:
            key = environment.idempotency_key
            answer = self.servers.call(self.server, self.tool.tool, self.tool.digest, args, key)
            return self._result(answer)
        except Unanswered as lost:
            # Whoever changes something and may not be repeated: a person looks whether it happened.
            if self.declared.effect == "write" and not self.declared.idempotent:
                raise HostUnknown(f"{self.declared.name}: {lost.message}") from None
            raise HostFailure(lost.code, lost.message, retryable=lost.code in PASSING) from None

    def _result(self, answer: types.CallToolResult) -> JSON:
        """What the script gets. Unanswered where the tool did its work and its answer cannot be used."""
        said = f"the tool '{self.tool.tool}' of the MCP server '{self.server}'"
        text = text_of(answer)
        if answer.is_error:
            why = _short(str(text["text"]), ERROR_CHARACTERS) or "it did not say why"
            raise HostFailure("mcp_tool_error", f"{said} failed: {why}")
        result: JSON = text
        if self.tool.output is not None:
            if answer.structured_content is None:
                raise Unanswered("mcp_bad_result", f"{said} has an output schema and gave only text")
            result = answer.structured_content
        unfit = not_for_scripts(result)
        if unfit is not None:
            raise Unanswered("mcp_bad_result", f"{said} gave what no script can take: {unfit}")
        most = min(self.servers.settings.mcp[self.server].bytes_max, REPLY_BYTES_MAX)
        size = reply_bytes(result)
        if size > most:
            raise Unanswered("mcp_too_large", f"{said} gave {size} bytes, at most {most} are taken")
        wrong = problems(self.declared.output, result)
        if wrong:
            raise Unanswered("mcp_bad_result", f"{said} broke its output schema at {wrong[0][0]}: {wrong[0][1]}")
        return result


PASSING = ("mcp_unavailable", "mcp_timeout")
"""Codes of failures that may be over when it is tried again."""
ERROR_CHARACTERS = 1000
