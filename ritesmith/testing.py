"""Doubles to test against, shipped so that users can test their own capabilities and forges with them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, ParamSpec, TypeVar

from pydantic import Field

from ritesmith.models import JSON, Value

P = ParamSpec("P")
R = TypeVar("R")
PIECE_CHARACTERS = 24
DRIP_SECONDS = 0.02
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


class ManualClock:
    """A clock that stands still until it is moved by hand, or waited on: then it moves on at once."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Move on by `seconds`, at once."""
        self.at += max(0.0, seconds)

    def advance(self, seconds: float) -> None:
        """Move by `seconds`; a negative number sets the clock back."""
        self.at += seconds


class Blown(BaseException):
    """The fuse has blown: for the code around it the process has died. No `except Exception` catches it."""


class Fuse:
    """Blows at the nth touch, and at every one after it: a process that has died does nothing more.

    Touch it where a crash is to be tried, count the touches of a calm run with `Fuse()`, which never blows, and run
    again with `Fuse(1)`, `Fuse(2)` and so on (after SQLite's own tests of a failing malloc, test/malloc_common.tcl).

    >>> fuse = Fuse(2)
    >>> fuse.touch("before")
    >>> fuse.blown
    False
    """

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.touched: list[str] = []
        """What was touched, in order."""

    @property
    def blown(self) -> bool:
        """Whether it has blown."""
        return self.at is not None and len(self.touched) >= self.at

    def touch(self, what: str) -> None:
        """Count one touch; Blown if this is the one, or one after it."""
        self.touched.append(what)
        if self.blown:
            raise Blown(f"touch {len(self.touched)}: {what}")

    def around(self, function: Callable[P, R], what: str) -> Callable[P, R]:
        """The same function, with a touch before it and one after it."""

        def touched(*args: P.args, **kwargs: P.kwargs) -> R:
            self.touch(f"before {what}")
            result = function(*args, **kwargs)
            self.touch(f"after {what}")
            return result

        return touched


class ScriptedReply(Value):
    """What the scripted author does with one request. The plain case is only `text`."""

    text: str = ""
    finish_reason: str | None = "stop"
    """None: the answer ends politely, but without a finish reason."""
    status: int = 200
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = None
    """Sent as it is instead of a chat completion, with `content_type`."""
    content_type: str = "application/json"
    stall: Literal["", "before", "within"] = ""
    """Say nothing until the server closes: before the headers, or after half of the answer."""
    drip: Literal["", "headers", "comments", "whole", "refusal"] = ""
    """Send a byte now and then until the client hangs up or the server closes, and never come to an end: in the
    headers, as comments of a stream, in the body of a whole answer, or in that of a refusal."""
    cut: bool = False
    """Drop the connection after half of the answer, or after a `body`."""
    refuse: str = ""
    """Answer 400 and say that this request field is not known, if the request sets it; the reply is then kept."""
    whole: bool = False
    """Answer with one JSON object even when a stream was asked for."""
    usage: dict[str, Any] | None = Field(default_factory=lambda: dict(USAGE))
    choices: bool = True
    """False: no choice at all in the answer."""
    model: str = "scripted"


class ScriptedAuthor:
    """A model server on loopback that answers `POST /v1/chat/completions` from a list, one reply a request, in order.

    A real HTTP server, so that the real SDK is driven over a real connection. When the list is used up it answers 410.
    `requests` holds the body of each request, `headers` its headers. Use it as a context manager:

        with ScriptedAuthor(["```lua ...```"]) as author:
            settings = ModelSettings(base_url=author.base_url, model="scripted")
    """

    def __init__(self, replies: Sequence[str | ScriptedReply]) -> None:
        self._replies = [ScriptedReply(text=reply) if isinstance(reply, str) else reply for reply in replies]
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        author = self

        class Handler(_Handler):
            script = author

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def base_url(self) -> str:
        """Where the SDK finds it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def left(self) -> int:
        """How many replies have not been given."""
        return len(self._replies)

    def add(self, *replies: str | ScriptedReply) -> None:
        """Put more replies at the end of the list."""
        with self._lock:
            self._replies += [ScriptedReply(text=reply) if isinstance(reply, str) else reply for reply in replies]

    def __enter__(self) -> ScriptedAuthor:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _next(self, body: dict[str, Any], headers: Mapping[str, str]) -> ScriptedReply:
        with self._lock:
            self.requests.append(body)
            self.headers.append({key.lower(): value for key, value in headers.items()})
            if not self._replies:
                return ScriptedReply(status=410, body=json.dumps({"error": {"message": "the script is over"}}))
            reply = self._replies[0]
            if reply.refuse and body.get(reply.refuse):
                return ScriptedReply(
                    status=400, body=json.dumps({"error": {"message": f"unknown field {reply.refuse!r}"}})
                )
            del self._replies[0]
            return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up on a stalled answer is what some tests are about; anything else is shown.
        import sys

        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    script: ScriptedAuthor
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))))
        if self.path.rstrip("/") != "/v1/chat/completions":
            self._send(404, {}, "application/json", json.dumps({"error": {"message": f"no such path {self.path}"}}))
            return
        reply = self.script._next(sent, dict(self.headers.items()))
        if reply.stall == "before":
            self._stall()
        elif reply.drip:
            self._drip(reply)
        elif reply.body is not None or reply.status != 200:
            refusal = json.dumps({"error": {"message": reply.text or "scripted"}})
            body = refusal if reply.body is None else reply.body
            self._send(reply.status, reply.headers, reply.content_type, body)
            self.close_connection = reply.cut
        elif sent.get("stream") and not reply.whole:
            self._stream(reply, bool((sent.get("stream_options") or {}).get("include_usage")))
        else:
            self._whole(reply)

    def _whole(self, reply: ScriptedReply) -> None:
        message = {"role": "assistant", "content": reply.text}
        choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
        answer = _frame(reply, "chat.completion", [choice]) | {"usage": reply.usage}
        self._send(200, reply.headers, "application/json", json.dumps(answer))

    def _stream(self, reply: ScriptedReply, with_usage: bool) -> None:
        self.send_response(200)
        headers = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"} | reply.headers
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        pieces = [reply.text[at : at + PIECE_CHARACTERS] for at in range(0, len(reply.text), PIECE_CHARACTERS)]
        for place, piece in enumerate(pieces):
            if place == (len(pieces) + 1) // 2 and (reply.stall == "within" or reply.cut):
                break
            self._event(reply, [{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
        if reply.stall == "within":
            self._stall()
            return
        if reply.cut:
            self.close_connection = True
            return
        if reply.finish_reason is not None:
            self._event(reply, [{"index": 0, "delta": {}, "finish_reason": reply.finish_reason}])
        if with_usage and reply.usage is not None:
            self._event(reply, [], usage=reply.usage)
        self._chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, reply: ScriptedReply, choices: list[JSON], **more: JSON) -> None:
        self._chunk(f"data: {json.dumps(_frame(reply, 'chat.completion.chunk', choices) | more)}\n\n")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _send(self, status: int, headers: Mapping[str, str], content_type: str, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        for key, value in ({"Content-Type": content_type, "Content-Length": str(len(data))} | dict(headers)).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def _drip(self, reply: ScriptedReply) -> None:
        kind = "text/event-stream" if reply.drip == "comments" else "application/json"
        status = 400 if reply.drip == "refusal" else reply.status
        self.wfile.write(f"HTTP/1.1 {status} Scripted\r\nContent-Type: {kind}\r\n".encode())
        self.wfile.write(b"X-Slow: " if reply.drip == "headers" else b"Content-Length: 1000000\r\n\r\n")
        while not self.script._closing.wait(DRIP_SECONDS):
            self.wfile.write(b": ping\n\n" if reply.drip == "comments" else b" " if reply.drip == "whole" else b"x")
        self.close_connection = True

    def _stall(self) -> None:
        self.script._closing.wait()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: requests are recorded, not logged."""


def _frame(reply: ScriptedReply, kind: str, choices: list[JSON]) -> dict[str, JSON]:
    return {
        "id": "scripted",
        "object": kind,
        "created": 0,
        "model": reply.model,
        "choices": choices if reply.choices else [],
    }
