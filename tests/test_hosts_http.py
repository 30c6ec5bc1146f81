"""HTTP host functions against real servers on loopback, most of which misbehave. Each test opens it for itself."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import socket
import sqlite3
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from ritesmith.app import RiteSmith
from ritesmith.db import open_throwaway
from ritesmith.hosts import CATALOG, HostEnvironment, HostUnknown, Secrets, answer, wire
from ritesmith.hosts.addresses import refusal
from ritesmith.models import HostError
from ritesmith.sandbox import Sandbox
from ritesmith.schemas import problems
from ritesmith.settings import HttpSettings, Settings
from ritesmith.testing import ManualClock

NOW = 1_800_000_000.0
KEY = "r1/pay/0"
TOKEN = "tok-3f9a77c1d2"
LOOPBACK = ("127.0.0.0/8",)


# ---------------------------------------------------------------- the servers


@dataclass
class Request:
    """What a server was sent."""

    line: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[socket.socket, Request], None]


@dataclass
class Server:
    """Takes connections on loopback and does with each what its script says."""

    script: Script = lambda connection, request: None
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the test ends: what a slow server waits for."""

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                thread = threading.Thread(target=self.serve, args=(connection,))
                self.threads.append(thread)
                thread.start()

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            request = self.read(connection)
            if request is not None:
                self.requests.append(request)
                self.script(connection, request)
            connection.close()

    def read(self, connection: socket.socket) -> Request | None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        return Request(line, headers, body)

    def close(self) -> None:
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def says(data: bytes) -> Script:
    return lambda connection, request: connection.sendall(data)


def http(status: int = 200, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def json_body(value: Any, status: int = 200, *headers: str) -> bytes:
    return http(status, json.dumps(value).encode(), "Content-Type: application/json", *headers)


# ---------------------------------------------------------------- the caller


class Names:
    """A resolver: each name has lists of addresses, one for every time it is asked; the last stays."""

    def __init__(self, **names: Sequence[Sequence[str]]) -> None:
        self.names = {name.replace("_", "."): list(answers) for name, answers in names.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.names.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass
class Caller:
    """Calls host functions, and holds every result against its declaration."""

    connection: sqlite3.Connection
    port: int
    names: Names = field(
        default_factory=lambda: Names(
            a_example=[["127.0.0.1"]], b_example=[["127.0.0.1"]], inner_example=[["10.0.0.1"]]
        )
    )
    settings: dict[str, Any] = field(default_factory=dict)
    grant: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def url(self, path: str = "/", host: str = "a.example", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def environment(self) -> HostEnvironment:
        hosts = [f"{name}:{self.port}" for name in ("a.example", "b.example", "inner.example")]
        opened: dict[str, Any] = {
            "networks": LOOPBACK,
            "ports": (self.port,),
            "plain": ("a.example", "b.example", "inner.example"),
            "connect_seconds": 2,
            "read_seconds": 2,
            "total_seconds": 20,
        }
        return HostEnvironment(
            self.connection,
            NOW,
            "seed",
            KEY,
            grant={"hosts": hosts, "methods": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]} | self.grant,
            settings=Settings(http=HttpSettings(**(opened | self.settings))),
            secrets=Secrets(None, {f"RITESMITH_SECRET_{name}": value for name, value in self.secrets.items()}),
            resolve=self.names,
        )

    def __call__(self, name: str = "http.request", **args: Any) -> Any:
        reply = answer(name, {"url": self.url()} | args, self.environment())
        assert reply.error is None, reply.error
        assert problems(CATALOG[name].output, reply.result) == []
        return reply.result

    def fails(self, name: str = "http.request", **args: Any) -> HostError:
        reply = answer(name, {"url": self.url()} | args, self.environment())
        assert reply.error is not None, reply.result
        assert reply.error.message
        assert reply.error.code == "bad_argument" or reply.error.code in CATALOG[name].errors
        return reply.error


@pytest.fixture
def caller(server: Server) -> Iterator[Caller]:
    with closing(open_throwaway()) as connection:
        yield Caller(connection, server.port)


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("93.184.215.14", None),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", None),
        ("::ffff:93.184.215.14", None),
        ("64:ff9b::5db8:d70e", None),
        ("0.0.0.0", "this machine"),
        ("10.0.0.1", "private"),
        ("100.100.100.200", "shared"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("168.63.129.16", "cloud"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.8", "for protocols"),
        ("192.0.0.192", "for protocols"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "6to4"),
        ("192.168.1.1", "private"),
        ("198.19.255.255", "benchmarks"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "this machine"),
        ("::1", "loopback"),
        ("::127.0.0.1", "loopback (127.0.0.1)"),
        ("::93.184.215.14", "IPv4-compatible"),
        ("::ffff:127.0.0.1", "loopback (127.0.0.1)"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:0:127.0.0.1", "loopback (127.0.0.1)"),
        ("64:ff9b::127.0.0.1", "loopback (127.0.0.1)"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::5db8:d70e", "local NAT64"),
        ("2002:7f00:1::", "loopback (127.0.0.1)"),
        ("2002:5db8:d70e::", "6to4"),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", "loopback (127.0.0.1)"),
        ("2001:0:a00:1:8000:63bf:a247:28f1", "private (10.0.0.1)"),
        ("2001:0:4136:e378:8000:63bf:a247:28f1", "Teredo"),
        ("2606:2800::5efe:10.0.0.1", "private (10.0.0.1)"),
        ("2606:2800::200:5efe:10.0.0.1", "private (10.0.0.1)"),
        ("2001:db8::1", "documentation"),
        ("2001:2::1", "for protocols"),
        ("3fff::1", "documentation"),
        ("100::1", "not public"),
        ("4000::1", "not public"),
        ("5f00::1", "not public"),
        ("fc00::1", "private"),
        ("fd00:ec2::254", "private"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
    ],
)
def test_only_public_addresses_may_be_reached_however_they_are_written(address: str, words: str | None) -> None:
    why = refusal(address)
    assert (why is None) if words is None else words in (why or "")


@pytest.mark.parametrize(
    ("address", "opened", "open_"),
    [
        ("10.1.2.3", "10.1.0.0/16", True),
        ("10.2.2.3", "10.1.0.0/16", False),
        ("::ffff:10.1.2.3", "10.1.0.0/16", True),
        ("fd00::1", "fd00::/8", True),
        ("10.1.2.3", "fd00::/8", False),
        ("2002:a01:203::", "2002::/16", False),
        ("2002:5db8:d70e::", "2002::/16", True),
        ("::1", "::1/128", True),
        ("::127.0.0.1", "::/0", False),
    ],
)
def test_a_project_opens_networks_but_not_what_an_address_carries_into_others(
    address: str, opened: str, open_: bool
) -> None:
    assert (refusal(address, [opened]) is None) is open_


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"])
def test_what_the_system_takes_for_loopback_is_refused_before_any_connection(server: Server, host: str) -> None:
    sent = wire.Request("GET", "http", host, server.port, "/", (("connection", "close"),))
    with pytest.raises(wire.Broken) as caught:
        wire.exchange(sent, HttpSettings(), wire.Deadline(5), None)
    assert (caught.value.code, caught.value.sent) == ("http_blocked", False)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(
    "answers",
    [
        ["10.0.0.1"],
        ["127.0.0.1", "10.0.0.1"],
        ["93.184.215.14", "10.0.0.1"],
        ["127.0.0.1", "::ffff:169.254.169.254"],
        ["127.0.0.1", "64:ff9b::a00:1"],
    ],
    ids=" and ".join,
)
def test_one_forbidden_address_among_the_answers_refuses_the_name(
    server: Server, caller: Caller, answers: list[str]
) -> None:
    caller.names = Names(a_example=[answers])
    error = caller.fails()
    assert (error.code, error.retryable, error.details) == ("http_blocked", False, {"host": "a.example"})
    assert server.requests == []


def test_a_name_that_changes_between_look_ups_is_looked_up_once(server: Server, caller: Caller) -> None:
    server.script = says(http(200, b"hello"))
    caller.names = Names(a_example=[["127.0.0.1"], ["169.254.169.254"]])
    assert caller()["text"] == "hello"
    assert caller.names.asked == ["a.example"]
    assert caller.fails().code == "http_blocked", "the next call asks again"


def test_every_address_of_a_name_is_tried(server: Server, caller: Caller) -> None:
    server.script = says(http(200, b"hello"))
    caller.names = Names(a_example=[["127.0.0.2", "127.0.0.1"]])
    assert caller()["text"] == "hello"


def test_a_name_without_an_address_says_whether_asking_again_may_help(caller: Caller) -> None:
    caller.names = Names(a_example=[[]])
    assert (caller.fails().code, caller.fails().retryable) == ("http_dns", False)
    caller.names = Names()
    assert (caller.fails().code, caller.fails().retryable) == ("http_dns", False)

    def later(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    caller.names = later  # type: ignore[assignment]
    assert (caller.fails().code, caller.fails().retryable) == ("http_dns", True)


def test_a_look_up_that_never_ends_keeps_the_deadline(server: Server, caller: Caller) -> None:
    def never(host: str, port: int) -> Sequence[str]:
        server.over.wait()
        return ["127.0.0.1"]

    caller.names = never  # type: ignore[assignment]
    caller.settings = {"connect_seconds": 0.05}
    error = caller.fails()
    assert (error.code, error.retryable) == ("http_timeout", True)
    assert "no connection within 0.05 s" in error.message


# ---------------------------------------------------------------- what may be called


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "ftp://a.example/",
        "file:///etc/passwd",
        "https:/a.example",
        "https://",
        "https:///x",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://user@a.example/",
        "https://user:pass@a.example/",
        "https://a.example\\@b.example/",
        "https://a.example\t/",
        "https://a.example/\r\nX: y",
        " https://a.example/",
        "https://a.example:99999/",
        "https://a.example:0/",
        "https://a.example:/",
        "https://a.example./",
        "https://a..example/",
        "https://-a.example/",
        "https://ä.example/",
        "https://a.example\u2024b/",
        "https://a%2eexample/",
        "https://*.example/",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 130}example/",
    ],
)
def test_a_url_that_two_readers_may_read_differently_is_refused(caller: Caller, url: str) -> None:
    error = caller.fails(url=url)
    assert error.code == "http_bad_url"
    assert caller.names.asked == []


@pytest.mark.parametrize(
    ("hosts", "fits"),
    [
        (["api.example.com"], True),
        (["api.example.com:8443"], True),
        (["localhost"], True),
        (["xn--bcher-kva.example"], True),
        ([], False),
        (["*"], False),
        (["*.example.com"], False),
        ([".example.com"], False),
        (["API.example.com"], False),
        (["api.example.com."], False),
        (["api.example.com:0"], False),
        (["https://api.example.com"], False),
        (["api.example.com/v1"], False),
        (["user@api.example.com"], False),
        (["127.0.0.1"], False),
        (["[::1]"], False),
        (["2130706433"], False),
        (["0x7f.1"], False),
        (["a.example", "a.example"], False),
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["http.request", "http.get_json", "http.post_json", "notify.webhook"])
def test_a_grant_names_hosts_one_by_one(name: str, hosts: list[str], fits: bool) -> None:
    assert (problems(CATALOG[name].narrows["hosts"], hosts) == []) is fits


def test_https_and_port_443_are_all_that_is_open_by_itself(caller: Caller) -> None:
    caller.settings = {"plain": (), "ports": (443,)}
    caller.grant = {"hosts": ["a.example", "a.example:8443", f"a.example:{caller.port}"]}
    assert "only be spoken to by https" in caller.fails(url="http://a.example/").message
    assert "only be spoken to by https" in caller.fails().message
    assert "port 8443 may not be used" in caller.fails(url="https://a.example:8443/").message
    caller.settings = {"plain": ("a.example",), "ports": (443,)}
    assert "port 80 may not be used" in caller.fails(url="http://a.example/").message
    assert caller.names.asked == []


def test_the_grant_is_looked_at_again_by_the_function_itself(caller: Caller) -> None:
    caller.grant = {"hosts": ["b.example"], "methods": ["GET"]}
    assert "is not granted" in caller.fails().message
    caller.grant = {"methods": ["GET"]}
    assert "method 'POST' is not granted" in caller.fails(method="POST").message


@pytest.mark.parametrize(
    "args",
    [
        {"method": "get"},
        {"method": "CONNECT"},
        {"headers": {"Host": "b.example"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"Content-Length": "1"}},
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X": "ä"}},
        {"headers": {"X\r\nY": "a"}},
        {"headers": {"X": "a", "x": "b"}},
        {"headers": {"X": 1}},
        {"headers": {"X": {"secret": "NAME", "before": "Bearer "}}},
        {"auth": {}},
        {"auth": {"bearer": "text"}},
        {"auth": {"bearer": {"secret": "T"}}, "headers": {"Authorization": "x"}},
        {"json": {}},
        {"method": "POST", "json": {}, "text": ""},
        {"method": "POST", "form": {"a": {"secret": "T"}}},
        {"timeout": 1},
    ],
    ids=repr,
)
def test_arguments_that_no_request_can_have_are_refused(server: Server, caller: Caller, args: dict[str, Any]) -> None:
    caller.grant = {"secrets": ["T", "NAME"]}
    caller.secrets = {"T": TOKEN, "NAME": TOKEN}
    assert caller.fails(**args).code in ("bad_argument", "http_blocked")
    assert server.requests == []


def test_a_body_has_a_largest_size(server: Server, caller: Caller) -> None:
    assert caller.fails(method="POST", text="ä" * (512 * 1024 + 1)).code == "http_too_large"
    assert server.requests == []


# ---------------------------------------------------------------- what is sent, and what comes back


def test_a_request_is_what_was_asked_for_and_nothing_of_the_surroundings(
    server: Server, caller: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine a.example login u password p\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.script = says(http(200, b"hello", "Set-Cookie: a=b", "ETag: x", "X-Own: y", "Content-Type: text/plain"))
    url = caller.url("/a b/ä?q=x y&r=%20#part")
    args = {"url": url, "query": {"n": 5.0, "ok": True, "t": "a&b"}, "headers": {"X-Mine": " 1 "}}
    for _ in range(2):
        assert caller(**args) == {
            "status": 200,
            "headers": {"content-type": "text/plain", "etag": "x"},
            "text": "hello",
        }
    for request in server.requests:
        assert request.line == "GET /a%20b/%C3%A4?q=x%20y&r=%20&n=5&ok=true&t=a%26b HTTP/1.1"
        assert request.headers == {
            "host": f"a.example:{caller.port}",
            "accept-encoding": "gzip",
            "user-agent": "ritesmith",
            "connection": "close",
            "x-mine": "1",
        }


@pytest.mark.parametrize(
    ("args", "kind", "body"),
    [
        ({"json": {"a": ["ä", 1, None]}}, "application/json", '{"a":["ä",1,null]}'.encode()),
        ({"json": None}, "application/json", b"null"),
        ({"form": {"a": "x y", "n": 2.0}}, "application/x-www-form-urlencoded", b"a=x+y&n=2"),
        ({"form": []}, "application/x-www-form-urlencoded", b""),
        ({"text": "ä"}, "text/plain; charset=utf-8", "ä".encode()),
        ({"text": "<a/>", "headers": {"Content-Type": "text/xml"}}, "text/xml", b"<a/>"),
        ({}, None, b""),
    ],
    ids=repr,
)
def test_a_body_is_sent_as_json_as_a_form_or_as_text(
    server: Server, caller: Caller, args: dict[str, Any], kind: str | None, body: bytes
) -> None:
    server.script = says(http(201))
    assert caller(method="POST", **args)["status"] == 201
    [request] = server.requests
    assert (request.headers.get("content-type"), request.body) == (kind, body)
    assert request.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_a_write_bears_the_key_of_its_step(server: Server, caller: Caller, method: str) -> None:
    server.script = says(b"HTTP/1.1 204 Done\r\n\r\n")
    assert caller(method=method) == {"status": 204, "headers": {}, "text": ""}
    key = server.requests[0].headers.get("idempotency-key")
    assert key == (None if method in ("GET", "HEAD") else KEY)


@pytest.mark.parametrize(
    ("kind", "body", "content"),
    [
        ("application/json", b'{"a": 1}', {"json": {"a": 1}}),
        ("application/problem+json; charset=utf-8", b"null", {"json": None}),
        ("application/json", b'\xef\xbb\xbf{"a": 1}', {"json": {"a": 1}}),
        ("application/json", b'{"a": ', {"text": '{"a": '}),
        ("application/json", b'{"a": NaN}', {"text": '{"a": NaN}'}),
        ("application/json", b'"\\ud800"', {"text": '"\\ud800"'}),
        ("application/json", b"1e999", {"text": "1e999"}),
        ("application/json", b"1" * 400, {"text": "1" * 400}),
        ("application/json", b"[" * 61 + b"]" * 61, {"text": "[" * 61 + "]" * 61}),
        ("application/json", b"[" * 60 + b"]" * 60, {"json": json.loads("[" * 60 + "]" * 60)}),
        ("application/json", b"[" * 9999, {"text": "[" * 9999}),
        ("text/plain", "ä".encode(), {"text": "ä"}),
        ("text/plain; charset=ISO-8859-1", "ä".encode("latin-1"), {"text": "ä"}),
        ('text/plain; charset="utf-16"', "ä".encode("utf-16"), {"text": "ä"}),
        ("text/plain; charset=punycode", b"a-", {"text": "a-"}),
        ("text/plain", b"\xff", {"base64": "/w=="}),
        ("image/png", b"\x89PNG", {"base64": base64.b64encode(b"\x89PNG").decode()}),
    ],
)
def test_an_answer_is_json_or_text_or_bytes(
    server: Server, caller: Caller, kind: str, body: bytes, content: dict[str, Any]
) -> None:
    server.script = says(http(200, body, f"Content-Type: {kind}"))
    assert caller() == {"status": 200, "headers": {"content-type": kind}, **content}


def test_json_functions_give_json_and_take_only_success(server: Server, caller: Caller) -> None:
    server.script = says(json_body({"a": 1}))
    assert caller("http.get_json")["json"] == {"a": 1}
    server.script = says(http(200, b"[1]"))
    assert caller("http.post_json", json={})["json"] == [1], "whatever the content type says"
    server.script = says(http(202))
    assert caller("http.post_json", json={})["json"] is None
    assert caller("notify.webhook", json={"text": "done"}) == {"status": 202}
    server.script = says(http(200, b"<html>"))
    error = caller.fails("http.get_json")
    assert (error.code, error.retryable) == ("http_bad_json", False)
    assert error.details == {"status": 200, "body": "<html>"}
    assert "the call itself was accepted" in caller.fails("http.post_json", json={}).message
    server.script = says(json_body({"why": "no such item"}, 404))
    for name, args in (
        ("http.get_json", {}),
        ("http.post_json", {"json": {}}),
        ("notify.webhook", {"json": {"a": 1}}),
    ):
        error = caller.fails(name, **args)
        assert (error.code, error.retryable) == ("http_status", False)
        assert error.details == {"status": 404, "body": '{"why": "no such item"}'}
    assert caller()["json"] == {"why": "no such item"}, "http.request leaves it to the script"


@pytest.mark.parametrize(
    ("status", "headers", "code", "wait"),
    [
        (429, ["Retry-After: 7"], "http_rate_limited", 7.0),
        (429, [f"Retry-After: {formatdate(NOW + 90, usegmt=True)}"], "http_rate_limited", 90.0),
        (429, [f"Retry-After: {formatdate(NOW - 90, usegmt=True)}"], "http_rate_limited", 0.0),
        (429, ["Retry-After: soon"], "http_rate_limited", None),
        (429, ["Retry-After: 99999999999999999999"], "http_rate_limited", 86400.0),
        (429, ["Retry-After: -5"], "http_rate_limited", None),
        (429, [], "http_rate_limited", None),
        (503, ["Retry-After: 3"], "http_server_error", 3.0),
        (500, [], "http_server_error", None),
        (502, [], "http_server_error", None),
        (599, [], "http_server_error", None),
    ],
)
def test_an_error_of_the_server_says_whether_and_when_to_try_again(
    server: Server, caller: Caller, status: int, headers: list[str], code: str, wait: float | None
) -> None:
    server.script = says(http(status, b"why", *headers))
    for name in ("http.request", "http.get_json"):
        error = caller.fails(name)
        assert (error.code, error.retryable, error.retry_after_seconds) == (code, True, wait)
        assert error.details == {"host": "a.example", "status": status, "body": "why"}


@pytest.mark.parametrize(
    ("status", "idempotent", "retryable"),
    [(429, False, True), (503, False, True), (500, False, False), (500, True, True), (502, True, True)],
)
def test_a_write_that_the_server_failed_on_is_tried_again_where_that_does_no_harm(
    server: Server, caller: Caller, status: int, idempotent: bool, retryable: bool
) -> None:
    server.script = says(http(status))
    error = caller.fails("http.post_json", json={}, idempotent=idempotent)
    assert error.retryable is retryable


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_does_not_know_whether_a_write_happened(server: Server, caller: Caller, status: int) -> None:
    server.script = says(http(status))
    with pytest.raises(HostUnknown, match=f"answered {status}"):
        caller("http.post_json", json={})
    assert caller.fails(method="DELETE").retryable


# ---------------------------------------------------------------- servers that misbehave


def stalls(server: Server, before: bytes = b"") -> Script:
    def script(connection: socket.socket, request: Request) -> None:
        connection.sendall(before)
        server.over.wait()

    return script


def drips(server: Server, before: bytes, drop: bytes) -> Script:
    """A server that says something every now and then, and never comes to an end."""

    def script(connection: socket.socket, request: Request) -> None:
        connection.sendall(before)
        while not server.over.wait(0.02):
            connection.sendall(drop)

    return script


def pours(before: bytes, data: bytes) -> Script:
    def script(connection: socket.socket, request: Request) -> None:
        connection.sendall(before)
        while True:
            connection.sendall(data)

    return script


def resets(before: bytes = b"") -> Script:
    def script(connection: socket.socket, request: Request) -> None:
        connection.sendall(before)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


HEAD = b"HTTP/1.1 200 OK\r\n"
MISBEHAVING: dict[str, tuple[Callable[[Server], Script], str, bool, str]] = {
    "no answer": (stalls, "http_timeout", True, "heard nothing for 0.2 s"),
    "half of the headers": (lambda it: stalls(it, HEAD + b"X-A: "), "http_timeout", True, "heard nothing"),
    "slow headers": (lambda it: drips(it, HEAD + b"X-A: ", b"a"), "http_timeout", True, "not over after 0.5 s"),
    "endless 1xx": (lambda it: drips(it, b"", b"HTTP/1.1 100 On\r\n\r\n"), "http_timeout", True, "not over after"),
    "half of the body": (
        lambda it: stalls(it, HEAD + b"Content-Length: 9\r\n\r\nabc"), "http_timeout", True, "heard nothing",
    ),
    "slow body": (
        lambda it: drips(it, HEAD + b"Content-Length: 999\r\n\r\n", b"a"), "http_timeout", True, "not over after",
    ),
    "endless body": (lambda it: pours(HEAD + b"\r\n", b"a" * 65536), "http_too_large", False, "more than 10000 bytes"),
    "endless chunks": (
        lambda it: pours(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 1000),
        "http_too_large", False, "more than 10000 bytes",
    ),
    "endless headers": (lambda it: pours(HEAD, b"X-A: b\r\n" * 1000), "http_too_large", False, "more than 65536 bytes"),
    "one huge header": (
        lambda it: says(HEAD + b"X-A: " + b"b" * 70_000 + b"\r\n\r\n"), "http_too_large", False, "more than 65536",
    ),
    "gzip bomb": (
        lambda it: says(http(200, gzip.compress(gzip.compress(b"\0" * 10**8))[:9000], "Content-Encoding: gzip")),
        "http_too_large", False, "more than 10000 bytes",
    ),
    "endless after gzip": (
        lambda it: pours(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"a"), b"\0" * 65536),
        "http_too_large", False, "more than 10000 bytes",
    ),
    "half a gzip": (
        lambda it: says(http(200, gzip.compress(b"abc" * 99)[:-9], "Content-Encoding: gzip")),
        "http_encoding", False, "in the middle of its gzip",
    ),
    "no gzip": (lambda it: says(http(200, b"abc", "Content-Encoding: gzip")), "http_encoding", False, "is no gzip"),
    "another encoding": (
        lambda it: says(http(200, b"abc", "Content-Encoding: br")), "http_encoding", False, "'br', which was not asked",
    ),
    "longer length": (
        lambda it: says(HEAD + b"Content-Length: 9\r\n\r\nabc"), "http_broken", True, "received 3 bytes, expected 9",
    ),
    "two lengths": (
        lambda it: says(HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), "http_broken", True, "not HTTP",
    ),
    "no number as length": (
        lambda it: says(HEAD + b"Content-Length: ten\r\n\r\nabc"), "http_broken", True, "not HTTP",
    ),
    "closed at once": (lambda it: says(b""), "http_broken", True, "Server disconnected"),
    "reset at once": (lambda it: resets(), "http_broken", True, "reset by peer"),
    "reset in the body": (
        lambda it: resets(HEAD + b"Content-Length: 9\r\n\r\nabc"), "http_broken", True, "reset by peer",
    ),
    "not HTTP": (lambda it: says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "http_broken", True, "not HTTP"),
    "another protocol": (
        lambda it: says(b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc"),
        "http_broken", True, "not HTTP",
    ),
    "no status": (lambda it: says(b"HTTP/1.1 000 None\r\n\r\n"), "http_broken", True, "not HTTP"),
}  # fmt: skip


def patience(words: str) -> dict[str, Any]:
    """Little of it, of the kind that is to end the call."""
    seconds = {"heard nothing": ("read_seconds", 0.2), "not over": ("total_seconds", 0.5)}
    return {"bytes_max": 10_000, **dict(each for start, each in seconds.items() if words.startswith(start))}


@pytest.mark.parametrize("what", MISBEHAVING)
def test_a_server_that_misbehaves_is_an_error_of_one_shape(server: Server, caller: Caller, what: str) -> None:
    script, code, retryable, words = MISBEHAVING[what]
    server.script = script(server)
    caller.settings = patience(words)
    error = caller.fails()
    assert (error.code, error.retryable) == (code, retryable), error
    assert words in error.message
    assert error.details["host"] == "a.example"


@pytest.mark.parametrize("what", MISBEHAVING)
def test_a_write_without_an_answer_is_unknown_unless_it_may_be_repeated(
    server: Server, caller: Caller, what: str
) -> None:
    script, code, retryable, words = MISBEHAVING[what]
    server.script = script(server)
    caller.settings = patience(words)
    if code in ("http_too_large", "http_encoding") and "header" not in what:
        error = caller.fails("http.post_json", json={})
        assert (error.code, error.retryable) == (code, False)
        assert "the call itself was accepted" in error.message
        assert error.details == {"host": "a.example", "status": 200}
    else:
        with pytest.raises(HostUnknown, match=r"http.post_json: a\.example"):
            caller("http.post_json", json={})
    error = caller.fails("http.post_json", json={}, idempotent=True)
    assert (error.code, error.retryable) == (code, retryable)


def test_a_body_longer_than_it_says_is_cut_where_it_said(server: Server, caller: Caller) -> None:
    server.script = says(HEAD + b"Content-Length: 3\r\n\r\nabcdef")
    assert caller()["text"] == "abc"


def test_an_answer_that_no_script_could_take_is_too_large(server: Server, caller: Caller) -> None:
    server.script = says(http(200, b'"' * 600_000))
    error = caller.fails()
    assert (error.code, error.details) == ("http_too_large", {"status": 200})


def test_a_zipped_answer_is_unzipped(server: Server, caller: Caller) -> None:
    text = json.dumps(list(range(3000))).encode()
    for body in (gzip.compress(text), gzip.compress(text[:5]) + gzip.compress(text[5:])):
        server.script = says(http(200, body, "Content-Encoding: gzip", "Content-Type: application/json"))
        assert caller()["json"] == list(range(3000))


def test_an_error_of_the_server_that_breaks_off_is_no_unknown_write(server: Server, caller: Caller) -> None:
    server.script = says(b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nabc")
    error = caller.fails("http.post_json", json={})
    assert (error.code, error.retryable, error.details) == ("http_broken", False, {"host": "a.example", "status": 500})


def test_what_was_never_sent_may_be_tried_again(server: Server, caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = free.getsockname()[1]
    caller.port = nobody
    error = caller.fails("http.post_json", json={})
    assert (error.code, error.retryable) == ("http_connect", True)
    assert "Connection refused" in error.message


def test_a_reader_that_takes_nothing_keeps_the_deadline(server: Server, caller: Caller) -> None:
    server.read = lambda connection: server.over.wait() or None  # type: ignore[method-assign]
    server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.settings = {"total_seconds": 0.3, "read_seconds": 2}
    with pytest.raises(HostUnknown, match=r"not over after 0.3 s"):
        caller("http.post_json", json="x" * 1_000_000)


# ---------------------------------------------------------------- redirects


def leads(server: Server, **where: str) -> Script:
    """Path -> Location; other paths answer with what they were asked."""

    def script(connection: socket.socket, request: Request) -> None:
        path = request.line.split()[1]
        if path.strip("/") in where:
            status, _, location = where[path.strip("/")].partition(" ")
            connection.sendall(http(int(status), b"", f"Location: {location}"))
        else:
            connection.sendall(http(200, path.encode()))

    return script


def test_redirects_within_the_grant_are_followed_by_hand(server: Server, caller: Caller) -> None:
    there = caller.url("/end?x=1", "b.example")
    server.script = leads(server, a="301 b", b=f"302 {there}")
    assert caller(url=caller.url("/a"))["text"] == "/end?x=1"
    assert [request.headers["host"].split(":")[0] for request in server.requests] == ["a.example"] * 2 + ["b.example"]
    server.requests.clear()
    server.script = leads(server, a="303 /b", b="307 /c", c="308 /d")
    assert caller(url=caller.url("/a"), method="HEAD")["status"] == 200
    assert {request.line.split()[0] for request in server.requests} == {"HEAD"}


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/a", "more than 3 redirects"),
        ("http://c.example/", "host 'c.example' is not granted"),
        ("http://127.0.0.1/", "cannot be used"),
        ("http://169.254.169.254/latest/meta-data", "cannot be used"),
        ("http://[::1]/", "cannot be used"),
        ("http://user@a.example/", "cannot be used"),
        ("http://[broken", "cannot be used"),
        ("//[", "cannot be used"),
        ("http:\\\\c.example", "cannot be used"),
        ("file:///etc/passwd", "cannot be used"),
        ("//c.example/", "host 'c.example' is not granted"),
        ("http://a.example/", "host 'a.example' is not granted"),
        ("http://plain.example/", "only be spoken to by https"),
        ("https://plain.example:81/", "port 81"),
    ],
)
def test_a_redirect_that_leads_out_of_the_grant_is_an_error(
    server: Server, caller: Caller, location: str, words: str
) -> None:
    server.script = leads(server, a=f"302 {location}")
    caller.grant = {"hosts": [f"a.example:{caller.port}", "plain.example", "plain.example:81"]}
    error = caller.fails(url=caller.url("/a"))
    assert (error.code, error.retryable) == ("http_redirect", False)
    assert words in error.message
    assert len(server.requests) == (4 if location == "/a" else 1)


def test_a_redirect_to_a_private_address_is_refused_by_its_address(server: Server, caller: Caller) -> None:
    server.script = leads(server, a=f"302 {caller.url('/', 'inner.example')}")
    error = caller.fails(url=caller.url("/a"))
    assert error.code == "http_blocked"
    assert "10.0.0.1 may not be reached: private" in error.message
    assert caller.names.asked == ["a.example", "inner.example"]


def test_what_proves_who_calls_stays_with_its_host(server: Server, caller: Caller) -> None:
    caller.secrets, caller.grant = {"T": TOKEN}, {"secrets": ["T"]}
    args = {"auth": {"bearer": {"secret": "T"}}, "headers": {"X-Api-Key": {"secret": "T"}, "Accept": "text/html"}}
    server.script = leads(server, a="302 /b", b=f"302 {caller.url('/c', 'b.example')}", c="302 /d")
    caller(url=caller.url("/a"), **args)
    kept = [("authorization" in each.headers, "x-api-key" in each.headers) for each in server.requests]
    assert kept == [(True, True), (True, True), (False, False), (False, False)]
    assert {request.headers["accept"] for request in server.requests} == {"text/html"}


def test_a_write_is_redirected_only_where_it_stays_the_same_write(server: Server, caller: Caller) -> None:
    server.script = leads(server, a="307 /b", b="308 /c", d="303 /done", e="302 /done")
    assert caller(url=caller.url("/a"), method="POST", text="x")["text"] == "/c"
    assert [(each.line.split()[0], each.body) for each in server.requests] == [("POST", b"x")] * 3
    assert {each.headers["idempotency-key"] for each in server.requests} == {KEY}
    server.requests.clear()
    assert caller(url=caller.url("/d"), method="POST")["headers"] == {"location": "/done"}
    assert caller(url=caller.url("/e"), method="PUT")["status"] == 302
    assert caller.fails("http.post_json", url=caller.url("/d"), json={}).details["status"] == 303
    assert len(server.requests) == 3
    assert caller(url=caller.url("/f"), method="GET")["status"] == 200


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def speaks_tls(authority: trustme.CA, *names: str) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return Server(says(http(200, b"hello")), tls=context)


@pytest.fixture
def trusting(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The system trusts the authority of these tests."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    wire._tls.cache_clear()
    yield
    wire._tls.cache_clear()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[tuple[Server, Caller]]:
    server = speaks_tls(authority, "a.example")
    with closing(open_throwaway()) as connection:
        yield server, Caller(connection, server.port)
    server.close()


def test_a_certificate_that_nobody_vouches_for_is_refused_and_nothing_is_sent(
    secure: tuple[Server, Caller],
) -> None:
    server, caller = secure
    error = caller.fails("http.post_json", url=caller.url(scheme="https"), json={})
    assert (error.code, error.retryable) == ("http_tls", False)
    assert "certificate" in error.message
    assert server.requests == []


def test_a_certificate_must_be_that_of_the_name_that_was_asked_for(
    secure: tuple[Server, Caller], trusting: None
) -> None:
    server, caller = secure
    assert caller(url=caller.url(scheme="https"))["text"] == "hello"
    error = caller.fails(url=caller.url(scheme="https", host="b.example"))
    assert error.code == "http_tls"
    assert len(server.requests) == 1
    assert caller.fails(url=caller.url(scheme="http")).code == "http_broken"


def test_a_server_without_tls_is_no_https_server(server: Server, caller: Caller) -> None:
    server.script = says(b"")
    server.read = lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n") or None  # type: ignore[func-returns-value, method-assign]
    assert caller.fails(url=caller.url(scheme="https")).code == "http_tls"


# ---------------------------------------------------------------- secrets


def echoes(connection: socket.socket, request: Request) -> None:
    """A server that tells all that it was told."""
    told = {"line": request.line, **request.headers, "body": request.body.decode()}
    connection.sendall(json_body(told, 200 if "fail" not in request.line else 500, f"X-Request-Id: {told}"))


def test_secrets_are_filled_in_after_the_grant_and_cut_out_of_the_answer(
    server: Server, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script = echoes
    caller.secrets = {"T": TOKEN, "P": "pass wörd/9", "HOOK": "T0/B7?key=h00k"}
    caller.grant = {"secrets": ["T", "P", "HOOK"]}
    told = caller(
        auth={"basic": {"user": "ann", "password": {"secret": "P"}}},
        headers={"X-Api-Key": {"secret": "T"}},
        query={"key": {"secret": "P"}},
    )
    error = caller.fails(url=caller.url("/fail"), auth={"bearer": {"secret": "T"}})
    caller("notify.webhook", url=caller.url("/services"), json={"a": 1}, path={"secret": "HOOK"})
    first, second, third = server.requests
    assert first.headers["x-api-key"] == TOKEN
    assert base64.b64decode(first.headers["authorization"].split()[1]).decode() == "ann:pass wörd/9"
    assert first.line == "GET /?key=pass%20w%C3%B6rd%2F9 HTTP/1.1"
    assert second.headers["authorization"] == f"Bearer {TOKEN}"
    assert third.line == "POST /services/T0/B7?key=h00k HTTP/1.1"
    seen = json.dumps([told, error.model_dump(mode="json")], ensure_ascii=False) + caplog.text
    for form in (TOKEN, "wörd/9", "w%C3%B6rd", "h00k", base64.b64encode(b"ann:pass").decode()[:-4] + "cGFzcy"):
        assert form not in seen
    assert "[secret T]" in seen


def test_a_secret_that_is_missing_or_no_header_is_an_error_that_does_not_tell_it(
    server: Server, caller: Caller
) -> None:
    caller.grant = {"secrets": ["T"]}
    assert caller.fails(auth={"bearer": {"secret": "T"}}).code == "no_secret"
    for value in ("two\nlines", "wörd-9", "ended\n", " begun"):
        caller.secrets = {"T": value}
        error = caller.fails(headers={"X-Key": {"secret": "T"}})
        assert (error.code, value in error.message) == ("bad_secret", False)
        error = caller.fails("notify.webhook", json={}, path={"secret": "T"})
        assert (error.code, value in error.message) == ("bad_secret", False)
    assert "secret 'OTHER' is not granted" in caller.fails(headers={"X-Key": {"secret": "OTHER"}}).message
    assert server.requests == []


def test_an_error_body_is_cut_after_its_secrets_are_cut_out(server: Server, caller: Caller) -> None:
    server.script = says(http(500, b"x" * 1990 + TOKEN.encode()))
    caller.secrets, caller.grant = {"T": TOKEN}, {"secrets": ["T"]}
    body = caller.fails(auth={"bearer": {"secret": "T"}}).details["body"]
    assert body == "x" * 1990 + "[secret T]"


# ---------------------------------------------------------------- through the engine

PAY = """--[[ capability
{"name": "test.pay", "intent": "pay by post", "aliases": ["post a payment"],
 "input": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}},
           "additionalProperties": false},
 "output": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
 "grants": {"http.post_json": {"hosts": ["localhost:%(port)d"], "secrets": ["TOKEN"]}},
 "examples": [
  {"input": {"amount": 1}, "output": {"id": "p1"},
   "hosts": [{"call": "http.post_json", "result": {"status": 201, "headers": {}, "json": {"id": "p1"}}}]},
  {"input": {"amount": 2}, "error": "refused",
   "hosts": [{"call": "http.post_json", "error": {"code": "http_status", "message": "no", "details": {"status": 402}}}]}
 ]}
]]
function run(input, context)
  local fine, reply = pcall(http.post_json, {
    url = "http://localhost:%(port)d/pay", json = {amount = input.amount}, idempotent = %(idempotent)s,
    auth = {bearer = {secret = "TOKEN"}},
  })
  if not fine then
    local code = reply.code == "http_status" and "refused" or reply.code
    fail(code, reply.message, {retryable = reply.retryable})
  end
  if type(reply.json) ~= "table" or type(reply.json.id) ~= "string" then fail("no_id", "it names no payment") end
  return {id = reply.json.id}
end
"""
FLOW = {
    "name": "test.paying",
    "intent": "pay with patience",
    "input": {"type": "object", "properties": {"amount": {"type": "number"}}, "additionalProperties": False},
    "start": "pay",
    "nodes": [
        {
            "id": "pay",
            "kind": "task",
            "capability": "test.pay",
            "with": {"amount": {"var": "input.amount"}},
            "retry": {"max_attempts": 3, "initial_seconds": 1},
            "no_compensation": "a test",
            "next": "done",
        },
        {"id": "done", "kind": "end", "outcome": "paid", "output": {"id": {"var": "nodes.pay.output.id"}}},
    ],
    "examples": [
        {
            "input": {"amount": 1},
            "outcome": "paid",
            "hosts": [{"call": "http.post_json", "result": {"status": 201, "headers": {}, "json": {"id": "p1"}}}],
        }
    ],
}
OPEN = '[http]\nnetworks = ["127.0.0.0/8", "::1/128"]\nports = [%d]\nplain = ["localhost"]\n'


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as made:
        yield made


@pytest.fixture
def project(tmp_path: Path, ready: Path, server: Server, sandbox: Sandbox) -> Iterator[RiteSmith]:
    """A project that may reach the server, and has a secret."""
    (tmp_path / "registry.db").write_bytes((ready / "registry.db").read_bytes())
    (tmp_path / "ritesmith.toml").write_text(OPEN % server.port)
    environment = {**os.environ, "RITESMITH_SECRET_TOKEN": TOKEN}
    app = RiteSmith(tmp_path / "registry.db", clock=ManualClock(), new_id=lambda: "r1", environment=environment)
    app.__dict__["sandbox"] = app.__dict__["second_sandbox"] = sandbox
    yield app
    app.connection.close()


def publish(app: RiteSmith, server: Server, *, idempotent: bool) -> None:
    folder = Path(str(app.path)).parent
    text = PAY % {"port": server.port, "idempotent": str(idempotent).lower()}
    (folder / "pay.lua").write_text(text)
    (folder / "paying.json").write_text(json.dumps(FLOW))
    for name in ("pay.lua", "paying.json"):
        artifact = app.publish_file(folder / name).artifact
        assert (artifact.effect, artifact.risk) == ("write", "medium")


def test_a_post_that_got_no_answer_leaves_the_run_unknown_until_a_person_says(
    project: RiteSmith, server: Server
) -> None:
    (Path(str(project.path)).parent / "ritesmith.toml").write_text(OPEN % server.port + "read_seconds = 0.3\n")
    publish(project, server, idempotent=False)
    server.script = stalls(server)
    view = project.run("test.paying", {"amount": 5})
    assert view.status == "unknown"
    assert project.drive("r1").status == "unknown"
    project.resolve("r1", happened=True, result={"status": 201, "headers": {}, "json": {"id": "p7"}}, by="ann")
    view = project.drive("r1")
    assert (view.status, view.output) == ("succeeded", {"id": "p7"})
    assert len(server.requests) == 1


def test_a_post_that_did_not_happen_is_sent_again_when_a_person_says_so(project: RiteSmith, server: Server) -> None:
    publish(project, server, idempotent=False)
    server.script = resets()
    assert project.run("test.paying", {"amount": 5}).status == "unknown"
    server.script = says(json_body({"id": "p8"}, 201))
    project.resolve("r1", happened=False, by="ann")
    view = project.drive("r1")
    assert (view.status, view.output) == ("succeeded", {"id": "p8"})
    assert len(server.requests) == 2


def test_an_idempotent_post_is_repeated_with_the_same_key(project: RiteSmith, server: Server) -> None:
    publish(project, server, idempotent=True)
    replies = [resets(), says(http(503, b"", "Retry-After: 40")), says(json_body({"id": "p9"}, 201))]
    server.script = lambda connection, request: replies.pop(0)(connection, request)
    view = project.run("test.paying", {"amount": 5}, wait_seconds=60)
    assert (view.status, view.output) == ("succeeded", {"id": "p9"})
    assert {request.headers["idempotency-key"] for request in server.requests} == {"r1/pay/0"}
    assert len(server.requests) == 3
    failed = [entry for entry in project.journal.entries("r1") if entry.kind == "attempt_failed"]
    assert failed[1].data["retry_at"] - failed[1].at == 40, "as the server asked"


def test_a_secret_reaches_the_server_and_nothing_else(
    project: RiteSmith, server: Server, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    publish(project, server, idempotent=True)
    server.script = lambda connection, request: connection.sendall(json_body({"id": str(request.headers)}, 201))
    view = project.run("test.paying", {"amount": 5})
    assert view.status == "succeeded"
    assert "[secret TOKEN]" in view.output["id"]
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    project.new_id = lambda: "r2"
    server.script = lambda connection, request: connection.sendall(http(402, str(request.headers).encode()))
    assert project.run("test.paying", {"amount": 5}).status == "failed"
    entries = [entry.data for run in ("r1", "r2") for entry in project.journal.entries(run)]
    seen = json.dumps(entries) + repr(project.view("r2")) + caplog.text + "".join(capsys.readouterr())
    files = [each for each in Path(str(project.path)).parent.iterdir() if each.is_file()]
    assert TOKEN not in seen
    assert [each.name for each in files if TOKEN.encode() in each.read_bytes()] == []
    assert {"secret": "TOKEN"} in [entry["args"]["auth"]["bearer"] for entry in entries if "args" in entry]
