"""Which models are asked, and the call to one: a chat completion of any OpenAI-compatible server.

The only module that imports `openai`.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from ritesmith.errors import InvalidInput, ModelUnavailable
from ritesmith.models import JSON, Value
from ritesmith.settings import ForgeSettings

DEFAULT_MODEL = "gpt-5-mini"
OPENAI = "https://api.openai.com/v1"
ANSWER_BYTES_MAX = 8_000_000
"""Of one answer as the server sends it. A stream spends some hundred bytes on each token, so this is no large text."""
PAUSE_SECONDS_MAX = 86_400
TOKENS_MAX = 1_000_000_000
"""Of one call; a server that tells more, or less than none, has not counted."""
KEY_CHARACTERS_MIN = 7
"""Shorter keys are placeholders for local servers ("1", "none", "local"): to mask one would garble every message."""

# ---------------------------------------------------------------- settings


class ModelSettings(Value):
    """Which server to ask, for which model, and how long to wait."""

    base_url: str | None = None
    """None means the SDK's own default, OpenAI."""
    api_key: SecretStr | None = None
    """None is sent as a placeholder, which local servers ignore."""
    from_environment: bool = False
    """OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS are meant for this server, and sent to it."""
    model: str = DEFAULT_MODEL
    timeout_seconds: float = Field(default=120.0, gt=0)
    """Longest silence of the server: to connect, and between two pieces of an answer."""
    answer_seconds: float = Field(default=600.0, gt=0)
    """Longest time for one whole answer, its repeats included, whatever the server sends meanwhile."""
    max_tokens: int = Field(default=8_192, ge=1)
    max_retries: int = Field(default=2, ge=0)
    """The SDK's own repeats of a request that met a transient error before any of the answer came."""


class Models(Value):
    """The models of a forge, each with its server."""

    first: ModelSettings
    second: ModelSettings | None = None
    """A cheaper one, which is asked for repairs, the last one excepted."""
    fallback: tuple[ModelSettings, ...] = ()
    """Asked in this order where the one that should answer is not available."""

    @property
    def all(self) -> tuple[ModelSettings, ...]:
        """Every one that may be asked."""
        return (self.first, *([] if self.second is None else [self.second]), *self.fallback)

    def order(self, *, repair: bool = False, last: bool = False) -> tuple[ModelSettings, ...]:
        """Whom to ask for a draft or, with `repair`, for a repair; the next one where one is not available."""
        first = [self.second] if self.second is not None and repair and not last else []
        return (*first, self.first, *self.fallback)


def models_of(
    settings: ForgeSettings, environ: Mapping[str, str], secret: Callable[[str], str | None]
) -> Models | None:
    """The models that the environment or `[forge]` names; None when neither names a server or a key.

    RITESMITH_LLM_BASE_URL replaces the models of `[forge]` with its own. Else the server of `[forge]` counts, with its
    key and no other, or if it has neither, OPENAI_BASE_URL and OPENAI_API_KEY. Raises InvalidInput as
    `settings_from_env`, and for a secret that is not there.
    """
    around = settings_from_env(environ)
    limits: dict[str, Any] = {
        "max_tokens": settings.answer_tokens,
        "timeout_seconds": settings.silence_seconds,
        "answer_seconds": settings.answer_seconds,
        "max_retries": settings.retries,
    }
    if around is not None and environ.get("RITESMITH_LLM_BASE_URL", "").strip():
        return Models(first=around.model_copy(update=limits))
    if settings.base_url is not None or settings.key is not None:
        around = ModelSettings(base_url=settings.base_url or OPENAI, api_key=_key(settings.key, secret))
    if around is None:
        return None
    model = environ.get("RITESMITH_LLM_MODEL", "").strip() or settings.model or DEFAULT_MODEL
    first = around.model_copy(update={**limits, "model": model})
    fallback = []
    for each in settings.fallback.values():
        server: dict[str, Any] = {}
        if each.base_url is not None:
            server = {"base_url": each.base_url, "api_key": _key(each.key, secret), "from_environment": False}
        fallback.append(first.model_copy(update={"model": each.model, **server}))
    second = None if settings.second_model is None else first.model_copy(update={"model": settings.second_model})
    return Models(first=first, second=second, fallback=tuple(fallback))


def _key(name: str | None, secret: Callable[[str], str | None]) -> SecretStr | None:
    if name is None:
        return None
    value = secret(name)
    if value is None:
        raise InvalidInput(
            f"ritesmith.toml names the secret '{name}' as the key of a model server, and there is none",
            hint=f"set RITESMITH_SECRET_{name}, or write it into secrets.toml",
        )
    return SecretStr(value)


def settings_from_env(environ: Mapping[str, str]) -> ModelSettings | None:
    """The settings that the environment gives, or None when it names neither a key nor a server.

    OPENAI_API_KEY is the key; RITESMITH_LLM_BASE_URL, else OPENAI_BASE_URL, the server; RITESMITH_LLM_MODEL the model.
    Raises InvalidInput for a server that is no http(s) URL and for a key that no header can carry.
    """
    key = environ.get("OPENAI_API_KEY", "").strip()
    base_url = (environ.get("RITESMITH_LLM_BASE_URL") or environ.get("OPENAI_BASE_URL") or "").strip()
    if not key and not base_url:
        return None
    if base_url:
        _check_url(base_url)
    if not all(" " < letter <= "~" for letter in key):
        raise InvalidInput("OPENAI_API_KEY holds a character that no key has", hint="copy the key again")
    return ModelSettings(
        base_url=base_url or None,
        api_key=SecretStr(key) if key else None,
        from_environment=True,
        model=environ.get("RITESMITH_LLM_MODEL", "").strip() or DEFAULT_MODEL,
    )


def _check_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise InvalidInput(
            f"the model server {server_url(base_url)!r} is not an http or https URL",
            hint="set RITESMITH_LLM_BASE_URL to something like http://localhost:8080/v1",
        )


# ---------------------------------------------------------------- the call


class Reply(Value):
    """One answer of a model. Token counts are the server's, None where it gave none; nothing is estimated."""

    text: str
    finish_reason: str
    truncated: bool
    """The server stopped at the token limit."""
    tokens_in: int | None = None
    tokens_cached: int | None = None
    """The part of `tokens_in` that the server had in its cache."""
    tokens_out: int | None = None
    seconds: float = 0.0
    cost: float | None = None
    model: str = ""
    """The model as the server named it, else as it was asked for."""
    without: tuple[str, ...] = ()
    """What this server refused; pass it to the next `ask` of the same server to save a round trip."""
    requests: int = 1
    """HTTP requests that were sent for it, those that were refused or repeated included."""
    unanswered: int = 0
    """Those among them to which nothing came back: what they cost nobody knows."""


STREAM, USAGE, MAX_TOKENS = "stream", "stream_options", "max_tokens"


def ask(
    settings: ModelSettings,
    messages: Sequence[Mapping[str, Any]],
    *,
    on_text: Callable[[str], None] | None = None,
    without: Collection[str] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Reply:
    """Ask for one chat completion, streamed, and return the whole answer.

    `on_text` is called with each piece as it comes. Transient errors (429, 5xx, no connection) are repeated by the SDK
    itself; a server that refuses an option (`without`: stream_options, max_tokens, stream) is asked again without it.
    A stream that ends without a finish reason has failed, even when it ended politely: llama.cpp's server ends the
    older of two streams that way. A server that answers a stream request with one JSON object is taken at its word.

    After `answer_seconds` the connection is cut, whatever the server is sending: headers, comments, one byte at a time.
    A pause that the SDK makes between two tries is waited out (at most 8 seconds; a longer one is not begun).

    Raises ModelUnavailable, whose facts say: reason (wrong_key, forbidden, model_not_found, rate_limited, refused,
    server_error, unreachable, time_out, too_long, stream_cut, malformed_answer, empty_answer), retryable, tried, model,
    server, status, seconds, requests, connected, without, and retry_after_seconds where the server asks for a pause.
    The key is in none of them.
    """
    import httpx2
    import openai

    conversation: Any = [dict(message) for message in messages]
    started = clock()
    refused = [option for option in (STREAM, USAGE, MAX_TOKENS) if option in without]
    tried: list[str] = []

    watch = _Watch(settings.answer_seconds)

    def unavailable(
        reason: str, message: str, error: BaseException, status: int | None = None, wait: float | None = None
    ) -> NoReturn:
        if watch.over:
            # What the SDK says of a connection that was cut under it depends on where it was reading.
            reason, status, wait = "time_out", None, None
            message = f"no whole answer within {settings.answer_seconds:g} seconds"
        counts = {"requests": watch.requests, "connected": watch.connected, "without": list(refused)}
        _raise_unavailable(settings, reason, message, error, status, tried, clock() - started, wait, counts)

    try:
        client = openai.OpenAI(
            api_key=settings.api_key.get_secret_value() if settings.api_key else "no-key",
            base_url=settings.base_url,
            timeout=settings.timeout_seconds,
            max_retries=settings.max_retries,
            http_client=openai.DefaultHttpxClient(
                event_hooks={"request": [watch.on_request], "response": [watch.on_response]}
            ),
        )
    except openai.OpenAIError as error:
        unavailable("refused", str(error), error)
    if not settings.from_environment:
        # The SDK takes them from the environment by itself, whatever server it is to ask.
        client.organization = client.project = None
        client._custom_headers = {}
    with client, watch:
        while True:
            options = _options(settings, refused)
            tried.append(_describe(options))
            try:
                answer = _collect(
                    client.chat.completions.create(model=settings.model, messages=conversation, **options),
                    on_text=on_text,
                    late=lambda: clock() - started > settings.answer_seconds,
                )
                break
            except openai.APIStatusError as error:
                option = _refused_option(error.status_code, f"{error.message} {error.body}", refused)
                if option is None:
                    wait = _seconds_asked_for(error.response.headers)
                    unavailable(_reason(error.status_code), error.message, error, error.status_code, wait)
                refused.append(option)
            except openai.APITimeoutError as error:
                unavailable("time_out", f"no answer within {settings.timeout_seconds:g} seconds", error)
            except openai.APIConnectionError as error:
                text = str(error.__cause__ or error)
                unavailable("stream_cut" if "complete message" in text else "unreachable", text, error)
            except openai.APIError as error:
                unavailable("server_error", f"the server broke off its answer: {error.message}", error)
            except openai.OpenAIError as error:
                unavailable("malformed_answer", str(error), error)
            except httpx2.HTTPError as error:
                # The SDK lets these through when it reads the body of a refusal or of a whole answer.
                unavailable(
                    "time_out" if isinstance(error, httpx2.TimeoutException) else "stream_cut", str(error), error
                )
            except _BadAnswerError as error:
                unavailable(error.reason, str(error), error)
            except (ValueError, TypeError, RecursionError) as error:
                unavailable("malformed_answer", f"the answer is not a chat completion: {error}", error)
    return Reply(
        text=answer.text,
        finish_reason=answer.finish_reason,
        truncated=answer.finish_reason == "length",
        tokens_in=answer.usage.get("in"),
        tokens_cached=answer.usage.get("cached"),
        tokens_out=answer.usage.get("out"),
        seconds=clock() - started,
        model=answer.model or settings.model,
        without=tuple(refused),
        requests=watch.requests,
        unanswered=watch.unanswered,
    )


class _BadAnswerError(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Watch:
    """Holds one `ask` to its time and its answers to their size, by hooks of the SDK's HTTP client.

    The client's own timeouts count silence, so a server that sends a byte now and then never meets them. When the time
    is over a timer shuts the connection down, which ends every read at once.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = min(seconds, threading.TIMEOUT_MAX)
        self._ends = time.monotonic() + self._seconds
        self._timer = threading.Timer(self._seconds, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.over = False
        self.requests = 0
        self.answered = 0

    @property
    def connected(self) -> bool:
        """Whether a connection was ever made, so that something can have been asked."""
        return bool(self._sockets)

    @property
    def unanswered(self) -> int:
        """Requests of which not even the headers of an answer came."""
        return self.requests - self.answered

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for connection in self._sockets:
                connection.close()
            self._sockets.clear()

    def on_request(self, request: Any) -> None:
        """Before each try: none is begun when the time is over."""
        self._stop(request)
        self.requests += 1
        timeouts, left = dict(request.extensions.get("timeout", {})), max(self._ends - time.monotonic(), 0.001)
        # There is no connection to cut yet while it is being made.
        timeouts |= {key: min(timeouts.get(key) or left, left) for key in ("connect", "pool")}

        def trace(event: str, facts: Mapping[str, Any]) -> None:
            if event.endswith(".connect_tcp.complete"):
                self._hold(facts["return_value"].get_extra_info("socket"))
            elif event.endswith(".failed"):
                self._stop(request)

        request.extensions = {**request.extensions, "timeout": timeouts, "trace": trace}

    def on_response(self, response: Any) -> None:
        """At the headers of each answer, before its body is read."""
        self.answered += 1
        pause = _seconds_asked_for(response.headers)
        if pause is not None and pause >= self._ends - time.monotonic():
            response.headers["x-should-retry"] = "false"
        # Whatever reads the body, as a stream or whole, an answer or a refusal, reads it through this method.
        response.iter_bytes = _no_more_than(ANSWER_BYTES_MAX, response.iter_bytes)

    def _hold(self, connection: socket.socket) -> None:
        # A duplicate, because TLS takes the socket over; shutting it down shuts down the connection of both.
        with self._lock:
            self._sockets.append(connection.dup())
        if self.over:
            self._cut()

    def _stop(self, request: Any) -> None:
        import openai

        if self.over:
            # An error of the SDK's own is not tried again.
            raise openai.APITimeoutError(request=request)

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def _seconds_asked_for(headers: Mapping[str, str]) -> float | None:
    """The pause that a server asks for before the next try, in seconds; None when it names no number."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            return float(headers[name]) / unit
    return None


def _no_more_than(most: int, read: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
    def counted(*args: Any, **more: Any) -> Iterator[bytes]:
        seen = 0
        for piece in read(*args, **more):
            seen += len(piece)
            if seen > most:
                raise _BadAnswerError("too_long", f"the answer is longer than {most // 1_000_000} MB")
            yield piece

    return counted


class _Answer:
    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.finish_reason = ""
        self.model = ""
        self.usage: dict[str, int] = {}
        self.choices = 0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def add(self, chunk: JSON, on_text: Callable[[str], None] | None) -> None:
        if not isinstance(chunk, dict):
            raise _BadAnswerError("malformed_answer", f"a piece of the answer is {type(chunk).__name__}, not an object")
        if isinstance(chunk.get("model"), str):
            self.model = _well_formed(chunk["model"]) or self.model
        self.usage.update(_usage(chunk.get("usage")))
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            choices = []
        for choice in choices:
            if not isinstance(choice, dict) or choice.get("index", 0) not in (0, None):
                continue
            self.choices += 1
            said = choice.get("delta") or choice.get("message") or {}
            piece = _well_formed(_content(said.get("content"))) if isinstance(said, dict) else ""
            if piece:
                self.pieces.append(piece)
                if on_text is not None:
                    on_text(piece)
            if isinstance(choice.get("finish_reason"), str):
                self.finish_reason = _well_formed(choice["finish_reason"])


def _collect(response: Any, *, on_text: Callable[[str], None] | None, late: Callable[[], bool]) -> _Answer:
    answer = _Answer()
    for chunk in _chunks(response):
        answer.add(chunk, on_text)
        if late():
            raise _BadAnswerError("time_out", "the answer took longer than it may")
    if answer.choices == 0:
        raise _BadAnswerError("empty_answer", "the server answered without any choice")
    if not answer.finish_reason:
        raise _BadAnswerError(
            "stream_cut", f"the answer ended after {len(answer.text)} characters without a finish reason"
        )
    return answer


def _chunks(response: Any) -> Iterator[JSON]:
    """The pieces of an answer as plain JSON, whether it came as a stream or, against what was asked, whole."""
    raw = getattr(response, "response", None)
    if raw is None:
        yield _plain(response)
        return
    try:
        kind = str(raw.headers.get("content-type", "")).partition(";")[0].strip().lower()
        if kind == "application/json":
            yield json.loads(raw.read())
        elif kind.startswith("text/") and kind not in ("text/event-stream", "text/plain"):
            raise _BadAnswerError("malformed_answer", f"the server answered with {kind}, not a chat completion")
        else:
            for chunk in response:
                yield _plain(chunk)
    finally:
        response.close()


def _plain(chunk: Any) -> JSON:
    # A server may fill the SDK's models with values of any type; what does not fit is judged by `_Answer.add`.
    return chunk.to_dict(warnings=False) if hasattr(chunk, "to_dict") else chunk


def _content(content: JSON) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return ""


def _well_formed(text: str) -> str:
    """The text with U+FFFD for each lone surrogate: JSON can carry half a pair, UTF-8 and so everything else can't."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _usage(usage: JSON) -> dict[str, int]:
    if not isinstance(usage, dict):
        return {}
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else usage.get("prompt_cache_hit_tokens")
    counts = {"in": usage.get("prompt_tokens"), "out": usage.get("completion_tokens"), "cached": cached}
    return {
        key: count
        for key, count in counts.items()
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= TOKENS_MAX
    }


def _options(settings: ModelSettings, refused: Collection[str]) -> dict[str, Any]:
    options: dict[str, Any] = {"stream": STREAM not in refused}
    # OpenAI renamed the limit and refuses the old name for its newer models; other servers know only the old one.
    renamed = settings.base_url is None or urlsplit(settings.base_url).hostname == "api.openai.com"
    options["max_completion_tokens" if renamed or MAX_TOKENS in refused else "max_tokens"] = settings.max_tokens
    if options["stream"] and USAGE not in refused:
        options["stream_options"] = {"include_usage": True}
    return options


def _describe(options: Mapping[str, Any]) -> str:
    return "chat completion, " + ", ".join(
        ["streamed" if options["stream"] else "whole", *(key for key in options if key != "stream")]
    )


def _refused_option(status: int, text: str, refused: Collection[str]) -> str | None:
    """The option to leave out next, when the server's refusal may be about one; otherwise None."""
    if status not in (400, 422):
        return None
    left = [option for option in (USAGE, MAX_TOKENS, STREAM) if option not in refused]
    if STREAM in refused and USAGE in left:
        left.remove(USAGE)
    for option in left:
        if re.search(rf"\b{option}\b", text):
            return option
    if "include_usage" in text and USAGE in left:
        return USAGE
    # Some servers refuse an unknown option without naming it. One more request costs no tokens.
    return USAGE if USAGE in left else None


def _reason(status: int) -> str:
    known = {401: "wrong_key", 403: "forbidden", 404: "model_not_found", 408: "time_out", 429: "rate_limited"}
    return known.get(status, "server_error" if status >= 500 else "refused")


RETRYABLE = frozenset(
    {"rate_limited", "server_error", "unreachable", "time_out", "too_long", "stream_cut"}
    | {"malformed_answer", "empty_answer"}
)
HINTS = {
    "wrong_key": "check OPENAI_API_KEY",
    "forbidden": "the key is known but may not use this model or this server",
    "model_not_found": "check RITESMITH_LLM_MODEL and that the base URL ends as the server wants it (often /v1)",
    "rate_limited": "wait, or use another model or key",
    "refused": "the server refuses the request as it is; see its message",
    "server_error": "the server failed; try again, or look at its log",
    "unreachable": "check that the server runs and that RITESMITH_LLM_BASE_URL points to it",
    "time_out": "the server is slow or stuck; try again, or a smaller model",
    "too_long": "the server does not come to an end; try again, or another model",
    "stream_cut": "the server ended the answer early; try again, one request at a time",
    "malformed_answer": "is RITESMITH_LLM_BASE_URL an OpenAI-compatible server, with the path it wants (often /v1)?",
    "empty_answer": "the server answered with nothing; try again, or another model",
}


def _raise_unavailable(
    settings: ModelSettings,
    reason: str,
    message: str,
    error: BaseException,
    status: int | None,
    tried: Sequence[str],
    seconds: float,
    wait: float | None,
    counts: Mapping[str, Any],
) -> NoReturn:
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    shown = " ".join(_well_formed(message).split())
    if len(key) >= KEY_CHARACTERS_MIN:
        shown = shown.replace(key, "***")
    raise ModelUnavailable(
        f"the model {settings.model!r} at {server_name(settings)} did not answer: {shown[:300]}",
        hint=HINTS[reason],
        reason=reason,
        retryable=reason in RETRYABLE,
        tried=list(tried),
        model=settings.model,
        server=server_name(settings),
        status=status,
        seconds=seconds,
        **counts,
        **({} if wait is None or not 0 <= wait <= PAUSE_SECONDS_MAX else {"retry_after_seconds": wait}),
    ) from error


def server_name(settings: ModelSettings) -> str:
    """The server as it may be shown and stored: its URL without credentials."""
    return server_url(settings.base_url or "OpenAI")


def server_url(url: str) -> str:
    """A server's URL without what may be a secret in it: user, password and parameters."""
    return re.sub(r"(?<=//)[^/?#]*@|[?#].*", "", url)
