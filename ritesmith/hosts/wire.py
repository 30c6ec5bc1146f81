"""One HTTP request on the wire: names resolved once, addresses checked, deadlines and sizes kept. Imports httpcore2.

httpcore2 alone, the half of httpx2 that speaks the protocol: it knows no environment, proxies, cookies, netrc or
redirects that would have to be turned off.
"""

from __future__ import annotations

import functools
import logging
import queue
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpcore2

from ritesmith.hosts.addresses import refusal
from ritesmith.hosts.base import Resolve
from ritesmith.settings import HttpSettings

HEADER_BYTES_MAX = 64 * 1024
"""Of an answer: its status line and headers, and answers of the kind 1xx before it."""
PIECE_BYTES = 64 * 1024

# It tells headers whole, in which a server may repeat a secret.
logging.getLogger("httpcore2.http11").setLevel(logging.INFO)


class Broken(Exception):
    """No whole answer came. `sent`: the server may have got the request. `status`: what it answered, where it did."""

    def __init__(self, code: str, message: str, *, retryable: bool = False, lost: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.lost = lost
        """The answer got lost on its way; False when it came and cannot be taken."""
        self.sent = False
        self.status: int | None = None


@dataclass(frozen=True)
class Request:
    """What is sent. `host` is an ASCII name; `target` a path with its query."""

    method: str
    scheme: str
    host: str
    port: int
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes | None = None


@dataclass(frozen=True)
class Answer:
    """What came back: header names in lower case, the body decompressed."""

    status: int
    headers: dict[str, str]
    body: bytes


class Deadline:
    """So many seconds from now, by a clock that nobody sets."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        return max(0.0, self.end - time.monotonic())

    def within(self, seconds: float | None) -> float:
        """The seconds left, at most so many. Raises ReadTimeout when there are none."""
        left = self.left()
        if left <= 0:
            raise httpcore2.ReadTimeout
        return left if seconds is None else min(seconds, left)


@dataclass
class _Exchange:
    """How far one request has come."""

    settings: HttpSettings
    deadline: Deadline
    sent: bool = False
    head_bytes: int | None = HEADER_BYTES_MAX
    """What may still be read before the headers are whole; None once they are."""
    status: int | None = None
    connecting: bool = True


def exchange(request: Request, settings: HttpSettings, deadline: Deadline, resolve: Resolve | None) -> Answer:
    """Send one request and take its answer, whatever its status. Raises Broken."""
    state = _Exchange(settings, deadline)
    timeouts = {"connect": settings.connect_seconds, "read": settings.read_seconds, "write": settings.read_seconds}
    url = httpcore2.URL(
        scheme=request.scheme.encode(), host=request.host.encode(), port=request.port, target=request.target.encode()
    )
    try:
        with (
            httpcore2.ConnectionPool(
                ssl_context=_tls(), network_backend=_Backend(state, resolve or system_resolve), max_connections=1
            ) as pool,
            pool.stream(
                request.method,
                url,
                headers=[(name.encode(), value.encode()) for name, value in request.headers],
                content=request.body,
                extensions={"timeout": timeouts},
            ) as response,
        ):
            state.head_bytes, state.status = None, response.status
            headers = _headers(response.headers)
            return Answer(response.status, headers, _body(response.iter_stream(), headers, settings.bytes_max))
    except Broken as broken:
        error = broken
    except httpcore2.TimeoutException:
        error = _timeout(state)
    except httpcore2.ConnectError as caught:
        error = _not_connected(caught)
    except (httpcore2.NetworkError, httpcore2.RemoteProtocolError) as caught:
        error = Broken("http_broken", f"the connection broke: {_words(caught)}", retryable=True)
    except httpcore2.LocalProtocolError:
        # Its words may hold a header, and so a secret.
        error = Broken("bad_argument", "the request cannot be put into HTTP")
    error.sent, error.status = state.sent, state.status
    raise error


def _timeout(state: _Exchange) -> Broken:
    settings = state.settings
    if state.deadline.left() <= 0:
        what = f"was not over after {settings.total_seconds:g} s, redirects included"
    elif state.connecting:
        what = f"found no connection within {settings.connect_seconds:g} s"
    else:
        what = f"heard nothing for {settings.read_seconds:g} s"
    return Broken("http_timeout", what, retryable=True)


def _not_connected(error: httpcore2.ConnectError) -> Broken:
    if isinstance(_cause(error), ssl.SSLError):
        return Broken("http_tls", f"TLS failed: {_words(error)}")
    return Broken("http_connect", f"no connection: {_words(error)}", retryable=True)


def _cause(error: Exception) -> object:
    """What httpcore2 made its error of; the pool drops `__cause__`."""
    return error.args[0] if error.args else None


def _words(error: Exception) -> str:
    """What went wrong, by the system or the protocol."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted ({cause.verify_message})"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    text = str(error)
    # Other words of the parser may hold what the server sent, and so a secret.
    return text.rstrip(".") if text.startswith(("peer closed", "Server disconnected")) else "what came is not HTTP"


# ---------------------------------------------------------------- the connection


class _Backend(httpcore2.NetworkBackend):
    """Connects to addresses that were checked, and to nothing else."""

    def __init__(self, state: _Exchange, resolve: Resolve) -> None:
        self.state = state
        self.resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = (),
    ) -> httpcore2.NetworkStream:
        """Look the name up once; every answer must be allowed, and each is tried until one connects."""
        deadline = Deadline(self.state.deadline.within(timeout))
        addresses = _resolved(self.resolve, host, port, deadline)
        for address in addresses:
            why = refusal(address, self.state.settings.networks)
            if why is not None:
                raise Broken("http_blocked", f"its address {address} may not be reached: {why}")
        for place, address in enumerate(addresses):
            share = deadline.within(None) / (len(addresses) - place)
            try:
                stream = httpcore2.SyncBackend().connect_tcp(address, port, share, local_address, socket_options)
                return _Stream(stream, self.state)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if place == len(addresses) - 1:
                    raise
        raise AssertionError("there is at least one address")


class _Stream(httpcore2.NetworkStream):
    """A connection that keeps the deadline of the whole exchange, and counts what comes before the body."""

    def __init__(self, stream: httpcore2.NetworkStream, state: _Exchange) -> None:
        self.stream = stream
        self.state = state

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        state = self.state
        if state.head_bytes is None:
            return self.stream.read(max_bytes, state.deadline.within(timeout))
        if state.head_bytes <= 0:
            raise Broken("http_too_large", f"its headers have more than {HEADER_BYTES_MAX} bytes")
        data = self.stream.read(min(max_bytes, state.head_bytes), state.deadline.within(timeout))
        state.head_bytes -= len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Not by the stream's own `write`, whose timeout begins again with every piece that a slow reader takes.
        self.state.sent, self.state.connecting = True, False
        connection = self.stream.get_extra_info("socket")
        view = memoryview(buffer)
        try:
            while view:
                connection.settimeout(self.state.deadline.within(timeout))
                view = view[connection.send(view) :]
        except TimeoutError as error:
            raise httpcore2.WriteTimeout(error) from error
        except OSError as error:
            raise httpcore2.WriteError(error) from error

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        seconds = self.state.deadline.within(timeout)
        return _Stream(self.stream.start_tls(ssl_context, server_hostname, seconds), self.state)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


def _resolved(resolve: Resolve, host: str, port: int, deadline: Deadline) -> Sequence[str]:
    """The addresses of a name. The system's look-up cannot be told how long it may take, so it gets a thread."""
    found: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(resolve(host, port))
        except OSError as error:
            found.put(error)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        answer = found.get(timeout=deadline.within(None))
    except queue.Empty:
        raise httpcore2.ConnectTimeout from None
    if isinstance(answer, OSError):
        again = isinstance(answer, socket.gaierror) and answer.errno == socket.EAI_AGAIN
        raise Broken("http_dns", f"its name cannot be resolved: {answer.strerror or answer}", retryable=again)
    if not answer:
        raise Broken("http_dns", "its name has no address")
    return answer


def system_resolve(host: str, port: int) -> list[str]:
    """The addresses that the system knows for a name, in the order in which they should be tried. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@functools.cache
def _tls() -> ssl.SSLContext:
    """The certificates that the system trusts, or the file SSL_CERT_FILE. Reading them takes a while."""
    return httpcore2.default_ssl_context()


# ---------------------------------------------------------------- the answer


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _body(pieces: Iterator[bytes], headers: dict[str, str], most: int) -> bytes:
    """The whole body, decompressed. What is counted is what came as well as what it becomes."""
    body = b"".join(_at_most(pieces, most))
    coding = headers.get("content-encoding", "").strip().lower()
    if not body or coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip"):
        raise Broken("http_encoding", f"its answer is encoded as '{coding}', which was not asked for", lost=False)
    return b"".join(_at_most(_unzipped(body), most))


def _at_most(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    count = 0
    for piece in pieces:
        count += len(piece)
        if count > most:
            raise Broken("http_too_large", f"its answer has more than {most} bytes", lost=False)
        yield piece


def _unzipped(body: bytes) -> Iterator[bytes]:
    """In pieces: a few bytes may become gigabytes. A gzip file may have several members, one after the other."""
    while body:
        unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
        while not unzip.eof:
            try:
                piece = unzip.decompress(body, PIECE_BYTES)
            except zlib.error as error:
                raise Broken("http_encoding", f"its answer is no gzip: {error}", lost=False) from None
            body = unzip.unconsumed_tail
            if not piece and not unzip.eof:
                raise Broken("http_encoding", "its answer ends in the middle of its gzip", lost=False)
            yield piece
        body = unzip.unused_data
