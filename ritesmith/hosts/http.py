"""`http.*`: one request to a granted host, over `wire`, with what a workflow needs to know when it fails.

What counts as an answer: `http.request` gives every status below 500 but 429, the others of this file only 2xx. A write
that was sent and not answered, or answered by a gateway that does not know (502, 504), is HostUnknown unless it may be
repeated: PUT and DELETE, and calls that say `idempotent = true`. The method never changes on the way: GET and HEAD
follow every redirect within the grant, other methods those that keep the method (307, 308).
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlencode, urljoin

from ritesmith.grants import call_effect, host_of, may_repeat
from ritesmith.hosts.base import (
    DECLARED,
    REPLY_BYTES_MAX,
    HostEnvironment,
    HostFailure,
    HostUnknown,
    host_function,
    not_for_scripts,
    outside_grant,
    reply_bytes,
)
from ritesmith.json_text import NotJSON, parse
from ritesmith.models import JSON, Schema

if TYPE_CHECKING:
    from ritesmith.hosts.wire import Answer, Broken

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
REDIRECTS_MAX = 3
REQUEST_BYTES_MAX = 1024 * 1024
RETRY_AFTER_SECONDS_MAX = 86_400.0
ERROR_LETTERS_MAX = 2000
"""Of an answer that is an error, what its details show."""
ANSWER_HEADERS = (
    "content-type", "date", "etag", "last-modified", "link", "location", "ratelimit-remaining", "ratelimit-reset",
    "retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id", "x-total-count",
)  # fmt: skip
"""Those that a script sees: none that holds a session or a secret."""
OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Those that belong to the connection, and that no caller sets."""
HARMLESS_HEADERS = frozenset({"accept", "accept-language", "content-type", "idempotency-key", "user-agent"})
"""Those that go along when a redirect leads to another host."""
TEXTS = {"": "utf-8-sig", "utf-8": "utf-8-sig", "utf8": "utf-8-sig", "us-ascii": "ascii", "iso-8859-1": "latin-1",
         "iso-8859-15": "iso-8859-15", "windows-1252": "cp1252", "utf-16": "utf-16"}  # fmt: skip
"""Named encodings only: Python knows some that take quadratic time."""

LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
NAME = rf"({LABEL}\.)*[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?"
"""A name in lower case, whose last part begins with a letter: no address, however it is written, and no wildcard."""
URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{NAME})(:(?P<port>[0-9]{{1,5}}))?(?P<path>/[^?#]*)?(\?(?P<query>[^#]*))?(#.*)?",
    re.IGNORECASE,
)
NOT_IN_URL = re.compile(r"[\x00-\x1f\x7f\\]")
IN_URL = re.compile(r"[A-Za-z0-9/%:@!$&'()*+,;=~._?-]+")
NOT_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

SECRET: Schema = {
    "type": "object",
    "required": ["secret"],
    "properties": {"secret": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]{0,62}$", "examples": ["API_KEY"]}},
    "additionalProperties": False,
}
PLAIN: Schema = {"type": ["string", "number", "boolean"]}
COMMON: dict[str, Schema] = {
    "url": {
        "type": "string",
        "maxLength": 8000,
        "description": "https, of a granted host, without user and password",
        "examples": ["https://api.example.com/v1/items"],
    },
    "query": {
        "type": "object",
        "additionalProperties": {"anyOf": [PLAIN, SECRET]},
        "maxProperties": 100,
        "description": "added to the URL, percent-encoded",
    },
    "headers": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"},
        "additionalProperties": {"anyOf": [{"type": "string", "maxLength": 8000}, SECRET]},
        "maxProperties": 50,
        "description": 'a value may be {secret = "NAME"}',
    },
    "auth": {
        "type": "object",
        "properties": {
            "bearer": SECRET,
            "basic": {
                "type": "object",
                "required": ["user", "password"],
                "properties": {"user": {"type": "string", "maxLength": 200}, "password": SECRET},
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "description": 'the Authorization header: {bearer = {secret = "NAME"}}, or basic with user and password',
    },
}
IDEMPOTENT: dict[str, Schema] = {
    "idempotent": {
        "type": "boolean",
        "default": False,
        "description": "the server does a call with the same Idempotency-Key once; it may then be repeated",
    }
}
HOST_PATTERN = rf"{NAME}(:[1-9][0-9]{{0,4}})?"
HOSTS: Schema = {
    "type": "array",
    "items": {"type": "string", "maxLength": 259, "pattern": rf"^{HOST_PATTERN}$"},
    "minItems": 1,
    "uniqueItems": True,
    "description": "names of hosts, in lower case, with the port where the URL says it; no wildcards, no addresses",
    "examples": [["api.example.com"]],
}
SECRETS: Schema = {
    "type": "array",
    "items": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]{0,62}$"},
    "uniqueItems": True,
    "default": [],
    "description": "names of secrets that may be sent",
}
SHOWN_HEADERS: Schema = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ANSWER_HEADERS},
    "additionalProperties": False,
}
STATUS: Schema = {"type": "integer", "minimum": 100, "maximum": 599}
OK_STATUS: Schema = {"type": "integer", "minimum": 200, "maximum": 299}
JSON_ANSWER: Schema = {
    "type": "object",
    "required": ["status", "headers", "json"],
    "properties": {"status": OK_STATUS, "headers": SHOWN_HEADERS, "json": {}},
    "additionalProperties": False,
}
ERRORS = (
    "no_secret", "bad_secret", "http_bad_url", "http_blocked", "http_dns", "http_connect", "http_tls", "http_timeout",
    "http_broken", "http_too_large", "http_encoding", "http_redirect", "http_rate_limited", "http_server_error",
)  # fmt: skip


def _arguments(required: tuple[str, ...], more: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**COMMON, **more},
        "additionalProperties": False,
    }


# ---------------------------------------------------------------- the functions


@host_function(
    "http.request",
    "One HTTP request; gives the status, some headers and the body as json, text or base64, also for 4xx but not 429.",
    input=_arguments(
        ("url",),
        {
            "method": {"type": "string", "enum": list(METHODS), "default": "GET"},
            "json": {"description": "the body, as JSON"},
            "form": {"type": "object", "additionalProperties": PLAIN, "description": "the body, as a form"},
            "text": {"type": "string", "description": "the body, as text"},
            **IDEMPOTENT,
        },
    ),
    output={
        "type": "object",
        "required": ["status", "headers"],
        "properties": {
            "status": {**STATUS, "maximum": 499},
            "headers": SHOWN_HEADERS,
            "json": {},
            "text": {"type": "string"},
            "base64": {"type": "string"},
        },
        "additionalProperties": False,
        "oneOf": [{"required": ["json"]}, {"required": ["text"]}, {"required": ["base64"]}],
    },
    effect="write",
    idempotent=False,
    outside=True,
    narrows={
        "hosts": HOSTS,
        "methods": {
            "type": "array",
            "items": {"type": "string", "enum": list(METHODS)},
            "minItems": 1,
            "uniqueItems": True,
            "default": ["GET"],
        },
        "secrets": SECRETS,
    },
    reads={"method": ("GET", "HEAD")},
    repeatable={"method": ("GET", "HEAD", "PUT", "DELETE"), "idempotent": (True,)},
    errors=ERRORS,
)
def request(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    answer = call("http.request", args, environment, method=args.get("method", "GET"))
    return _fitting("http.request", {"status": answer.status, "headers": _shown(answer), **_content(answer)})


@host_function(
    "http.get_json",
    "Read JSON by HTTP GET; a status other than 2xx is an error, with status and body in its details.",
    input=_arguments(("url",), {}),
    output=JSON_ANSWER,
    effect="read",
    outside=True,
    narrows={"hosts": HOSTS, "secrets": SECRETS},
    errors=(*ERRORS, "http_status", "http_bad_json"),
)
def get_json(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    return _json_answer("http.get_json", args, environment, method="GET")


@host_function(
    "http.post_json",
    "Send JSON by HTTP POST and read the JSON answer (null when empty); a status other than 2xx is an error.",
    input=_arguments(("url", "json"), {"json": {"description": "the body"}, **IDEMPOTENT}),
    output=JSON_ANSWER,
    effect="write",
    idempotent=False,
    outside=True,
    narrows={"hosts": HOSTS, "secrets": SECRETS},
    repeatable={"idempotent": (True,)},
    errors=(*ERRORS, "http_status", "http_bad_json"),
)
def post_json(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    return _json_answer("http.post_json", args, environment, method="POST")


def _json_answer(name: str, args: dict[str, Any], environment: HostEnvironment, *, method: str) -> JSON:
    answer = accepted(name, args, environment, method=method)
    try:
        value = _parsed(answer.body) if answer.body.strip() else None
    except ValueError as error:
        details = {"status": answer.status, "body": _excerpt(answer, environment)}
        done = "" if method == "GET" else "; the call itself was accepted"
        raise HostFailure("http_bad_json", f"{name}: the answer is no JSON: {error}{done}", details=details) from None
    return _fitting(name, {"status": answer.status, "headers": _shown(answer), "json": value})


def _fitting(name: str, result: dict[str, JSON]) -> JSON:
    if reply_bytes(result) > REPLY_BYTES_MAX:
        details = {"status": result["status"]}
        raise HostFailure("http_too_large", f"{name}: the answer is too large for a script", details=details)
    return result


# ---------------------------------------------------------------- one call


@dataclass(frozen=True)
class Url:
    """A URL whose parts are known to mean the same to whoever reads them."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, percent-encoded."""

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


def accepted(name: str, args: dict[str, Any], environment: HostEnvironment, *, method: str) -> Answer:
    """The answer to a call, which is 2xx. Raises HostFailure and HostUnknown as `call` does."""
    answer = call(name, args, environment, method=method)
    if not 200 <= answer.status < 300:
        details = {"status": answer.status, "body": _excerpt(answer, environment)}
        raise HostFailure("http_status", f"{name}: {host_of(args['url'])} answered {answer.status}", details=details)
    return answer


def call(name: str, args: dict[str, Any], environment: HostEnvironment, *, method: str) -> Answer:
    """The last answer to a call, redirects followed.

    Raises HostFailure, and HostUnknown for a write that was sent, got no answer and may not be repeated.
    """
    # httpcore2 is slow to import, and most runs make no request.
    from ritesmith.hosts import wire

    declaration = DECLARED[name][0]
    settings = environment.settings.http
    writes = call_effect(declaration, args) == "write"
    again = not writes or may_repeat(declaration, args)
    text, url = args["url"], _url(args["url"])
    _check(name, url, args, environment)
    # Only now: no secret is looked for before it is known to be granted.
    url = _filled(url, args, environment)
    body, kind = _request_body(args, method)
    headers = _request_headers(args, kind, environment)
    if writes:
        headers.setdefault("idempotency-key", environment.idempotency_key)
    deadline = wire.Deadline(settings.total_seconds)
    for _ in range(REDIRECTS_MAX + 1):
        sent = wire.Request(method, *url.origin, url.target, tuple(headers.items()), body)
        try:
            answer = wire.exchange(sent, settings, deadline, environment.resolve)
        except wire.Broken as broken:
            _fail(name, url, broken, writes=writes, again=again)
        location = answer.headers.get("location")
        follows = (307, 308) if writes else (301, 302, 303, 307, 308)
        if answer.status not in follows or location is None:
            return _judged(name, url, answer, environment, writes=writes, again=again)
        text = _joined(text, location)
        there = _url(text, redirected=True)
        _check(name, there, {**args, "url": text}, environment, redirected=True)
        if there.origin != url.origin:
            headers = {key: value for key, value in headers.items() if key in HARMLESS_HEADERS}
        url = there
    raise HostFailure("http_redirect", f"{name}: more than {REDIRECTS_MAX} redirects, the last to {url.host}")


def _check(name: str, url: Url, args: JSON, environment: HostEnvironment, *, redirected: bool = False) -> None:
    """Refuse what the grant or the project does not allow."""
    settings = environment.settings.http
    refused = outside_grant(DECLARED[name][0], args, environment.grant)
    code = "http_redirect" if redirected else "http_blocked"
    where = f"redirected to {url.host}, and " if redirected else ""
    if refused is not None:
        raise HostFailure(code, f"{where}{refused}")
    if url.scheme == "http" and url.host not in settings.plain:
        raise HostFailure(code, f"{name}: {where}{url.host} may only be spoken to by https (see plain in [http])")
    if url.port not in settings.ports:
        raise HostFailure(code, f"{name}: {where}port {url.port} may not be used (see ports in [http])")


def _fail(name: str, url: Url, broken: Broken, *, writes: bool, again: bool) -> NoReturn:
    details: dict[str, JSON] = {"host": url.host}
    if broken.status is not None:
        details["status"] = broken.status
    refused = broken.status is not None and broken.status >= 400
    if broken.sent and broken.lost and not again and not refused:
        raise HostUnknown(f"{name}: {url.host}: {broken}") from None
    done = "; the call itself was accepted" if writes and broken.status is not None and not refused else ""
    retryable = broken.retryable and (again or not broken.sent)
    raise HostFailure(
        broken.code, f"{name}: {url.host}: {broken}{done}", retryable=retryable, details=details
    ) from None


def _judged(name: str, url: Url, answer: Answer, environment: HostEnvironment, *, writes: bool, again: bool) -> Answer:
    """The answer, unless its status says that this was no answer to the call."""
    status = answer.status
    if status < 500 and status != 429:
        return answer
    if status in (502, 504) and not again:
        raise HostUnknown(f"{name}: a gateway before {url.host} answered {status}")
    details = {"host": url.host, "status": status, "body": _excerpt(answer, environment)}
    # 429 and 503 say that nothing was done; of other errors nobody knows how far the server had come.
    raise HostFailure(
        "http_rate_limited" if status == 429 else "http_server_error",
        f"{name}: {url.host} answered {status}",
        retryable=again or status in (429, 503),
        retry_after_seconds=_retry_after(answer.headers.get("retry-after"), environment.now),
        details=details,
    )


def _retry_after(value: str | None, now: float) -> float | None:
    """The seconds that a Retry-After header asks to wait, at most a day; None where it cannot be read."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX) if math.isfinite(seconds) else None


# ---------------------------------------------------------------- what is sent


def _url(text: str, *, redirected: bool = False) -> Url:
    """The parts of a URL. Refused is what two readers might read differently."""
    where = "it was redirected to a URL that cannot be used" if redirected else "the URL cannot be used"
    code = "http_redirect" if redirected else "http_bad_url"
    match = URL.fullmatch(text)
    if match is None or NOT_IN_URL.search(text):
        raise HostFailure(
            code, f"{where}: it must be https://NAME/..., NAME a host's name (no address, user or non-ASCII letter)"
        )
    scheme, host = match["scheme"].lower(), match["host"].lower()
    port = int(match["port"]) if match["port"] else {"http": 80, "https": 443}[scheme]
    if len(host) > 253 or not 1 <= port <= 65535 or host_of(text).partition(":")[0] != host:
        raise HostFailure(code, f"{where}: its host or port cannot exist")
    target = quote(match["path"] or "/", safe="/%:@!$&'()*+,;=~-._")
    if match["query"] is not None:
        target += "?" + quote(match["query"], safe="/%:@!$&'()*+,;=~-._?")
    return Url(scheme, host, port, target)


def _joined(base: str, location: str) -> str:
    try:
        return urljoin(base, location)
    except ValueError:
        return location  # which is refused next


def _filled(url: Url, args: Mapping[str, Any], environment: HostEnvironment) -> Url:
    """The URL with the secret end of its path, where the function takes one, and its query."""
    target = url.target
    if "path" in args:
        name = args["path"]["secret"]
        tail = environment.secret(name)
        if not IN_URL.fullmatch(tail):
            raise HostFailure("bad_secret", f"the secret '{name}' holds letters that no URL may hold")
        target = target.rstrip("/") + "/" + tail.lstrip("/")
    pairs = {
        name: environment.secret(value["secret"]) if isinstance(value, dict) else _form_text(value)
        for name, value in args.get("query", {}).items()
    }
    if pairs:
        # Spaces as %20: one of the forms in which a secret is known again.
        target += ("&" if "?" in target else "?") + urlencode(pairs, quote_via=quote, safe="")
    return replace(url, target=target)


def _form_text(value: JSON) -> str:
    """As a form and a query write it: 5.0, which is Lua's 10 / 2, as 5."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _request_body(args: Mapping[str, Any], method: str) -> tuple[bytes | None, str]:
    """The body and its content type."""
    given = [name for name in ("json", "form", "text") if name in args]
    if not given:
        return (None, "") if method in ("GET", "HEAD", "DELETE") else (b"", "")
    if len(given) > 1 or method in ("GET", "HEAD"):
        raise HostFailure("bad_argument", f"a {method} request takes {'one body' if given[1:] else 'no body'}")
    if given == ["json"]:
        text, kind = json.dumps(args["json"], ensure_ascii=False, separators=(",", ":")), "application/json"
    elif given == ["form"]:
        pairs = {name: _form_text(value) for name, value in args["form"].items()}
        text, kind = urlencode(pairs), "application/x-www-form-urlencoded"
    else:
        text, kind = args["text"], "text/plain; charset=utf-8"
    body = text.encode()
    if len(body) > REQUEST_BYTES_MAX:
        raise HostFailure("http_too_large", f"the body has more than {REQUEST_BYTES_MAX} bytes")
    return body, kind


def _request_headers(args: Mapping[str, Any], kind: str, environment: HostEnvironment) -> dict[str, str]:
    """Name in lower case -> value, secrets filled in."""
    headers = {"accept-encoding": "gzip", "user-agent": "ritesmith", "connection": "close"}
    headers |= {"content-type": kind} if kind else {}
    given = {name.lower(): value for name, value in args.get("headers", {}).items()}
    wrong = sorted(given.keys() & OWN_HEADERS)
    if wrong or len(given) < len(args.get("headers", {})):
        raise HostFailure(
            "bad_argument", f"the header '{wrong[0]}' cannot be set" if wrong else "a header stands twice"
        )
    headers |= {
        name: _secret(value["secret"], environment) if isinstance(value, dict) else _header_text(name, value)
        for name, value in given.items()
    }
    auth = args.get("auth", {})
    if auth and "authorization" in given:
        raise HostFailure("bad_argument", "auth and the header 'authorization' cannot both be given")
    if "bearer" in auth:
        headers["authorization"] = f"Bearer {_secret(auth['bearer']['secret'], environment)}"
    if "basic" in auth:
        password = environment.secret(auth["basic"]["password"]["secret"])
        pair = f"{auth['basic']['user']}:{password}".encode()
        headers["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers


def _header_text(name: str, value: str) -> str:
    if not value.isascii() or NOT_IN_HEADER.search(value):
        raise HostFailure("bad_argument", f"the header '{name}' may only hold printable ASCII")
    return value.strip()


def _secret(name: str, environment: HostEnvironment) -> str:
    value = environment.secret(name)
    # Not stripped: what is sent must be what is cut out of the answer.
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise HostFailure("bad_secret", f"the secret '{name}' holds letters that no header may hold")
    return value


# ---------------------------------------------------------------- what came back


def _shown(answer: Answer) -> dict[str, JSON]:
    return {name: answer.headers[name] for name in ANSWER_HEADERS if name in answer.headers}


def _content(answer: Answer) -> dict[str, JSON]:
    """The body as `json` where it says so and is, else as `text`, else as `base64`."""
    kind = answer.headers.get("content-type", "").lower()
    media = kind.partition(";")[0].strip()
    if media == "application/json" or media.endswith("+json"):
        try:
            return {"json": _parsed(answer.body)}
        except ValueError:
            pass
    named = re.search(r"charset=\"?([a-z0-9_-]+)", kind)
    try:
        return {"text": answer.body.decode(TEXTS.get(named[1] if named else "", "ascii"))}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(answer.body).decode()}


def _parsed(body: bytes) -> JSON:
    """The value of a JSON text in UTF-8. Raises ValueError."""
    try:
        value = parse(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise NotJSON("it is not UTF-8") from None
    why = not_for_scripts(value)
    if why is not None:
        raise NotJSON(why)
    return value


def _excerpt(answer: Answer, environment: HostEnvironment) -> JSON:
    """The beginning of the body. Secrets are cut out before it is cut: half of one would not be known."""
    text: str = environment.secrets.redact(answer.body.decode("utf-8", "replace"))
    return text[:ERROR_LETTERS_MAX]
