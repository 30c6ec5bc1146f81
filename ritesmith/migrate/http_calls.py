"""HTTP calls of a definition: which hosts they name, and the capabilities that may speak to these and to no others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from urllib.parse import quote

from ritesmith.migrate.capabilities import PLAIN, Shape, request
from ritesmith.migrate.draft import Draft, cat, slug
from ritesmith.models import Expression

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
STATUS_MAX = 499
"""The last status that a request gives; above it, and for 429, it fails."""
SENSITIVE = re.compile(r"authorization|cookie|token|secret|password|api-?key|credential|signature", re.IGNORECASE)
NO_ANSWER = (
    "a POST or PATCH that was sent and got no answer is neither sent again nor handled: the run is unknown until a "
    "person says what became of it"
)
"""What of such requests every import says."""
OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that belong to the connection, which no step sets."""
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"({_LABEL}\.)*[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?(:[1-9][0-9]{{0,4}})?\Z")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_START = re.compile(r"(https?)://([^/?#]*)(.*)\Z", re.IGNORECASE | re.DOTALL)


def is_host(name: str) -> bool:
    """Whether a grant may name this: a host's name in small letters, with a port or without."""
    return _HOST.match(name) is not None


class Call(NamedTuple):
    """One request, its parts turned into expressions already. Of `url`, text stands for itself."""

    at: str
    """JSON path of the call in the source."""
    method: str
    url: Sequence[Expression]
    headers: dict[str, Expression]
    success: Sequence[int]
    json: tuple[Expression] | None = None
    text: Expression | None = None
    query: dict[str, Expression] | None = None


@dataclass
class _Kind:
    """What one capability of an import takes together."""

    urls: dict[str, None] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    secrets: dict[str, None] = field(default_factory=dict)


@dataclass
class Requests:
    """All requests of a workflow. One capability for each method, and for compensations one of their own."""

    draft: Draft
    origin: str
    shape: Shape = PLAIN
    retries: Literal["all", "host"] = "all"
    kinds: dict[tuple[str, bool, bool], _Kind] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """Name -> value, which goes nowhere."""

    def add(self, call: Call, *, undoes: bool = False) -> tuple[str, dict[str, Expression]] | None:
        """The capability and the arguments of a call; None where it cannot be made, which is reported."""
        notes = self.draft.notes
        if call.method not in METHODS:
            notes.lost(call.at, f"a {call.method} request cannot be sent; there are {', '.join(METHODS)}")
            return None
        found = self._url(call)
        if found is None:
            return None
        url, host, values = found
        kind_of = (call.method, undoes, not host)
        kind = self.kinds.setdefault(kind_of, _Kind())
        if host:
            kind.urls[url] = None
            kind.hosts[host] = None
        arguments: dict[str, Expression] = {"url": url if host else cat(call.url)}
        if values:
            arguments["values"] = values
        headers = self._headers(call, kind)
        if headers:
            arguments["headers"] = headers
        if call.query:
            arguments["query"] = call.query
        if call.json is not None or call.text is not None:
            if call.method in ("GET", "HEAD"):
                notes.lost(call.at, f"a {call.method} request has no body here")
            elif call.json is not None:
                arguments["json"] = call.json[0]
            else:
                arguments["text"] = call.text
        taken = [status for status in call.success if status <= STATUS_MAX and status != 429]
        if len(taken) < len(call.success):
            notes.lost(call.at, "a status of 429, or of 500 and more, cannot mean success; the step fails with it")
        arguments["success"] = sorted(set(taken))
        return self._name(kind_of), arguments

    def write(self) -> None:
        """Put the capability files into the draft."""
        for (method, undoes, is_open), kind in self.kinds.items():
            hosts = list(self.draft.options.more_hosts) if is_open else list(kind.hosts)
            name = self._name((method, undoes, is_open))
            self.draft.capabilities[name] = request(
                name,
                method,
                list(kind.urls),
                hosts,
                open_urls=is_open,
                secrets=list(kind.secrets),
                undoes=undoes,
                shape=self.shape,
                retries=self.retries,
                origin=self.origin,
            )

    def _name(self, kind: tuple[str, bool, bool]) -> str:
        method, undoes, is_open = kind
        return self.draft.capability_name(method.lower() + "_any" * is_open + "_undo" * undoes)

    def _url(self, call: Call) -> tuple[str, str, list[Expression]] | None:
        """The URL with {1}, {2} for its values, the host that it names (empty where data names it), and the values."""
        notes, options = self.draft.notes, self.draft.options
        first = call.url[0] if call.url and isinstance(call.url[0], str) else ""
        match = _START.match(first)
        if match is None or (not match[3] and len(call.url) > 1):
            if len(call.url) <= 1 and first:
                notes.lost(call.at, f"{first!r} is no URL that begins with http:// or https://")
                return None
            if options.more_hosts:
                names = ", ".join(options.more_hosts)
                notes.changed(call.at, f"the host of the URL comes from data; only these are spoken to: {names}")
                scheme = "http" if first.lower().startswith("http:") else "https"
                for each in options.more_hosts:
                    self._reach(scheme, each, call.at)
                return "", "", []
            notes.once(
                "lost",
                call.at,
                "the host of the URL comes from data, and a grant names its hosts: say which with --host NAME",
            )
            return None
        scheme, written, rest = match[1].lower(), match[2].lower(), match[3]
        host = options.hosts.get(written, written)
        if host != written:
            notes.once("changed", call.at, f"{written} is {host} here, as --host says", host)
        if not is_host(host):
            hint = f"say which with --host {written}=NAME"
            notes.once("lost", call.at, f"{written!r} is no name of a host, and a grant names hosts: {hint}")
            return None
        self._reach(scheme, host, call.at)
        path, values = _quoted(rest), []
        for piece in call.url[1:]:
            if isinstance(piece, str):
                path += _quoted(piece)
            else:
                values.append(piece)
                path += f"{{{len(values)}}}"
        return f"{scheme}://{host}{path}", host, values

    def _reach(self, scheme: str, host: str, at: str) -> None:
        """Note what the project must allow for this host to be reached."""
        name, _, port = host.partition(":")
        number = int(port) if port else {"http": 80, "https": 443}[scheme]
        self.draft.ports.add(number)
        wanted = [f"{number} in 'ports'"] * (number != 443)
        if scheme == "http":
            self.draft.plain_hosts.add(name)
            wanted.append(f"{name!r} in 'plain'")
        if "." not in name:
            wanted.append("its address in 'networks'")
        if wanted:
            message = f"{host} is reached only with {' and '.join(wanted)}, under [http] of ritesmith.toml"
            self.draft.notes.once("changed", at, message, "ritesmith.toml")

    def _headers(self, call: Call, kind: _Kind) -> dict[str, Expression]:
        notes, headers = self.draft.notes, dict[str, Expression]()
        for name, value in call.headers.items():
            if not _HEADER.match(name) or name.lower() in OWN_HEADERS:
                notes.lost(call.at, f"the header {name!r} cannot be set by a step")
            elif name.lower() in (each.lower() for each in headers):
                notes.lost(call.at, f"the header {name!r} stands twice; the first is kept")
            elif isinstance(value, str) and SENSITIVE.search(name):
                secret = self._secret(name, value)
                kind.secrets[secret] = None
                notes.changed(
                    call.at,
                    f"the value of the header {name!r} is a secret: set RITESMITH_SECRET_{secret} to it",
                    f"secret {secret}",
                )
                headers[name] = {"secret": secret}
            elif isinstance(value, str) and not (value.isascii() and value.isprintable()):
                notes.lost(call.at, f"the header {name!r} holds letters that no header may hold")
            else:
                headers[name] = value
        return headers

    def _secret(self, header: str, value: str) -> str:
        """The name of the secret for a value; the same value has the same name."""
        base = slug(f"{self.draft.name.rpartition('.')[2]}_{header}", length=50).upper()
        name, number = base, 1
        while self.secrets.setdefault(name, value) != value:
            number += 1
            name = f"{base}_{number}"
        self.draft.secrets.add(name)
        return name


def _quoted(text: str) -> str:
    """A part of a URL without braces, which stand for values, and without what no URL holds."""
    return quote(text, safe="/%:@!$&'()*+,;=~-._?#[]")
