"""Asks a model for a draft: the settings, the messages, the one call. The only module that imports `openai`."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from ritesmith.errors import InvalidInput, ModelUnavailable
from ritesmith.forge.blocks import capability_name, parse_draft
from ritesmith.forge.reuse import Request
from ritesmith.models import EFFECT_ORDER, JSON, Contract, Finding, HostFunction, Schema, Value

DEFAULT_MODEL = "gpt-5-mini"
CATALOG_ENTRIES = 10
NEIGHBOURS = 3
NEIGHBOUR_CHARACTERS = 4_000
"""Of all neighbours together; one that does not fit is left out."""
FINDINGS = 30
ANSWER_BYTES_MAX = 8_000_000
"""Of one answer as the server sends it. A stream spends some hundred bytes on each token, so this is no large text."""
KEY_CHARACTERS_MIN = 7
"""Shorter keys are placeholders for local servers ("1", "none", "local"): to mask one would garble every message."""
Message = dict[str, Any]

# ---------------------------------------------------------------- settings


class ModelSettings(Value):
    """Which server to ask, for which model, and how long to wait."""

    base_url: str | None = None
    """None means the SDK's own default, OpenAI."""
    api_key: SecretStr | None = None
    """None is sent as a placeholder, which local servers ignore."""
    model: str = DEFAULT_MODEL
    timeout_seconds: float = Field(default=120.0, gt=0)
    """Longest silence of the server: to connect, and between two pieces of an answer."""
    answer_seconds: float = Field(default=600.0, gt=0)
    """Longest time for one whole answer, its repeats included, whatever the server sends meanwhile."""
    max_tokens: int = Field(default=8_192, ge=1)
    max_retries: int = Field(default=2, ge=0)
    """The SDK's own repeats of a request that met a transient error before any of the answer came."""


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
            f"the model server {base_url!r} is not an http or https URL",
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
    server, status, seconds. The key is in none of them.
    """
    import httpx2
    import openai

    conversation: Any = [dict(message) for message in messages]
    started = clock()
    refused = [option for option in (STREAM, USAGE, MAX_TOKENS) if option in without]
    tried: list[str] = []

    watch = _Watch(settings.answer_seconds)

    def unavailable(reason: str, message: str, error: BaseException, status: int | None = None) -> NoReturn:
        if watch.over:
            # What the SDK says of a connection that was cut under it depends on where it was reading.
            reason, status = "time_out", None
            message = f"no whole answer within {settings.answer_seconds:g} seconds"
        _raise_unavailable(settings, reason, message, error, status, tried, clock() - started)

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
                    unavailable(_reason(error.status_code), error.message, error, error.status_code)
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
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0
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
) -> NoReturn:
    server = settings.base_url or "OpenAI"
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    shown = " ".join(_well_formed(message).split())
    if len(key) >= KEY_CHARACTERS_MIN:
        shown = shown.replace(key, "***")
    raise ModelUnavailable(
        f"the model {settings.model!r} at {_without_credentials(server)} did not answer: {shown[:300]}",
        hint=HINTS[reason],
        reason=reason,
        retryable=reason in RETRYABLE,
        tried=list(tried),
        model=settings.model,
        server=_without_credentials(server),
        status=status,
        seconds=seconds,
    ) from error


def _without_credentials(url: str) -> str:
    return re.sub(r"(?<=//)[^/@]*@", "", url)


# ---------------------------------------------------------------- the messages


def first_messages(
    request: Request,
    catalog: Sequence[HostFunction],
    contracts: Sequence[Contract],
    neighbours: Sequence[str],
) -> list[Message]:
    """The messages that ask for a draft: fixed rules first, so that servers can cache them, then what varies.

    `contracts` come best first; ten of them are shown, and how many more there are. Host functions with a wider effect
    than the request allows are left out. At most three `neighbours` are shown: texts of accepted artifacts, best first.
    Everything that somebody else wrote stands inside `<data>` and can't close it.
    """
    allowed = [each for each in catalog if EFFECT_ORDER[each.effect] <= EFFECT_ORDER[request.effect]]
    lines = [_contract_line(contract) for contract in contracts[:CATALOG_ENTRIES]]
    if len(contracts) > CATALOG_ENTRIES:
        lines.append(f"({len(contracts) - CATALOG_ENTRIES} more exist; these are the nearest)")
    wanted: dict[str, JSON] = {"intent": request.intent}
    if request.name:
        wanted["name"] = request.name
    wanted |= {"effect": request.effect, "examples": list(request.examples)}
    user = fill(
        "request.md",
        host_functions="\n".join(_host_line(each) for each in allowed) or "(none)",
        capabilities="\n".join(lines) or "(none)",
        neighbours=_neighbours(neighbours),
        request=as_data(wanted),
    )
    return [{"role": "system", "content": _prompt("rules.md")}, {"role": "user", "content": user}]


def repair_messages(
    previous: Sequence[Mapping[str, Any]], reply_text: str, findings: Sequence[Finding]
) -> list[Message]:
    """The conversation so far, the reply, and what is wrong with it: one line per finding, each said once.

    Messages of findings that were made while running may hold words out of somebody's data. Of those, only words that
    the draft itself contains, numbers, and the words of Lua's own messages are passed on.
    """
    draft, _ = parse_draft(reply_text)
    blocks = [capability_name(text) or "a lua block without a readable name" for text in draft.capabilities]
    if draft.workflow is not None:
        blocks.append("the workflow")
    written = "\n".join(str(each["content"]) for each in previous if each["role"] == "assistant") + reply_text
    lines = list(dict.fromkeys(_finding_line(finding, written) for finding in findings))
    if len(lines) > FINDINGS:
        lines[FINDINGS:] = [f"(and {len(lines) - FINDINGS} more)"]
    told = fill("repair.md", findings="\n".join(lines), blocks=as_text(", ".join(blocks) or "none"))
    return [
        *(dict(message) for message in previous),
        {"role": "assistant", "content": reply_text},
        {"role": "user", "content": told},
    ]


def fill(template: str, **values: str) -> str:
    """A prompt file with its {{names}} replaced, all at once: a value that looks like a name stays as it is."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _prompt(template))


def as_data(value: JSON) -> str:
    """A JSON value on one line that can't end a data block, open a fence or hide characters."""
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)
    text = text.replace("<", "\\u003c").replace("```", "\\u0060\\u0060\\u0060").replace("~~~", "\\u007e~~")
    return "".join(f"\\u{ord(letter):04x}" if _hidden(letter) else letter for letter in text)


def as_text(text: str, length: int = 200) -> str:
    """Words from elsewhere, made fit to stand in a line of the prompt: one line, no tags, no fences, not long."""
    line = " ".join("".join(" " if _hidden(letter) else letter for letter in text).split())
    line = line.replace("<", "(").replace("```", "'''").replace("~~~", "---")
    return line if len(line) <= length else line[: length - 1] + "…"


def _hidden(letter: str) -> bool:
    return ord(letter) < 0x10000 and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _prompt(name: str) -> str:
    return files("ritesmith.forge").joinpath("prompts", name).read_text(encoding="utf-8").rstrip("\n")


def _host_line(function: HostFunction) -> str:
    line = f"{function.name}{type_text(function.input)} -> {type_text(function.output)} [{function.effect}]"
    if function.narrows:
        fields = ", ".join(f"{key}: {type_text(schema)}" for key, schema in function.narrows.items())
        line += f" grant {{{fields}}}"
    if function.errors:
        line += f" errors {', '.join(function.errors)}"
    return f"{line}: {as_text(function.description)}"


def _contract_line(contract: Contract) -> str:
    effect = "pure" if not contract.grants else f"uses {', '.join(contract.grants)}"
    undo = f", undone by {contract.compensated_by}" if contract.compensated_by else ""
    types = f"{type_text(contract.input)} -> {type_text(contract.output)}"
    return f"{contract.name}{types} [{effect}{undo}]: {as_text(contract.intent)}"


def type_text(schema: Schema | bool, depth: int = 3) -> str:
    """A schema as a short type: `{amount: number, tags?: string[], kind: "a" | "b"}`. Descriptions are left out."""
    if not isinstance(schema, dict):
        return "any"
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        shown = [as_text(json.dumps(value, ensure_ascii=False), 40) for value in values[:8]]
        return " | ".join([*shown, "…"] if len(values) > 8 else shown)
    kind = schema.get("type")
    for union in ("anyOf", "oneOf"):
        if isinstance(schema.get(union), list):
            return " | ".join(dict.fromkeys(type_text(part, depth - 1) for part in schema[union]))
    if isinstance(kind, list):
        return " | ".join(type_text({**schema, "type": each}, depth) for each in kind)
    if kind == "array":
        inner = type_text(schema.get("items", True), depth - 1)
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if kind == "object":
        return _object_text(schema, depth)
    if kind == "string" and isinstance(schema.get("format"), str):
        return f"string({as_text(schema['format'], 20)})"
    return as_text(kind, 20) if isinstance(kind, str) else "any"


def _object_text(schema: Schema, depth: int) -> str:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        extra = schema.get("additionalProperties")
        return f"{{[key]: {type_text(extra, depth - 1)}}}" if isinstance(extra, dict) and extra else "{}"
    if depth <= 0:
        return "{…}"
    required = schema.get("required", [])
    fields = (
        f"{as_text(name, 60)}{'' if name in required else '?'}: {type_text(part, depth - 1)}"
        for name, part in properties.items()
    )
    return f"{{{', '.join(fields)}}}"


def _neighbours(texts: Sequence[str]) -> str:
    shown: list[str] = []
    for text in texts:
        if len(shown) < NEIGHBOURS and sum(map(len, shown)) + len(text) <= NEIGHBOUR_CHARACTERS:
            shown.append(text)
    if not shown:
        return ""
    # Code can't be escaped as JSON and stay an example of form, so only what could close the block is changed.
    bodies = (_harmless(text.strip("\n")) for text in shown)
    return fill("neighbours.md", blocks="\n".join(f'<data name="artifact">\n{body}\n</data>' for body in bodies)) + "\n"


def _harmless(code: str) -> str:
    seen = "".join(letter for letter in code if letter in "\n\t" or not _hidden(letter))
    seen = re.sub(r"<(?=[\s/]*data)", "(", seen, flags=re.IGNORECASE)
    return seen.replace("```", "'''").replace("~~~", "---")


# ---------------------------------------------------------------- redaction

RUNTIME_PREFIXES = ("example", "trial", "dry_run", "rehearsal")
"""Codes of findings that were made by running something, whose messages may quote somebody's data."""
PLAIN_WORDS = frozenset(files("ritesmith.forge").joinpath("plain_words.txt").read_text(encoding="utf-8").split())
"""Words of Lua's own messages and of the guard's, which say nothing about anybody's data."""


def redact(text: str, draft: str) -> str:
    """A run-time message with every run of words that came neither from the draft nor from Lua or the guard as <text>.

    Kept: the draft's own words, numbers, punctuation, and a fixed list of plain words. After CaMeL's rule that the text
    of an error is hidden from the planner while its type and place are kept; finer, because a repair needs the values.
    """
    known = PLAIN_WORDS | {word.lower() for word in re.findall(r"\w+", draft)}

    def shown(word: str) -> bool:
        return word.lower() in known or bool(re.fullmatch(r"\d+(?:[eE]\d+)?", word))

    parts = re.split(r"(\w+)", text)
    out: list[str] = []
    hiding = False
    for place, part in enumerate(parts):
        if place % 2 == 0:
            out.append(part)
        elif shown(part):
            out.append(part)
            hiding = False
        else:
            if hiding and not re.search(r"[\"'{}\[\]:]", out[-1]):
                out.pop()
            else:
                out.append("<text>")
            hiding = True
    return "".join(out)


def _finding_line(finding: Finding, draft: str) -> str:
    message, where = finding.message, str(finding.where)
    if finding.code.startswith(RUNTIME_PREFIXES):
        message, where = redact(message, draft), redact(where, draft)
    line = {"where": where, "code": finding.code, "message": message}
    if finding.severity == "warning":
        line["severity"] = "warning"
    if finding.hint:
        line["hint"] = finding.hint
    return as_data({key: value[:600] for key, value in line.items()}).replace("\\u003ctext>", "<text>")


def prompt_text(messages: Iterable[Mapping[str, Any]]) -> str:
    """The messages as one readable text, for a golden file, a digest or `--explain`."""
    return "".join(f"--- {message['role']} ---\n{message['content']}\n" for message in messages)
