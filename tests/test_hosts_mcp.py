"""Tools of MCP servers as host functions: a real server over pipes and over HTTP, and many that misbehave."""

import gzip
import json
import os
import re
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import tomllib
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from conftest import child, environment
from planted import Planted, found_in

from ritesmith.app import RiteSmith
from ritesmith.db import open_throwaway
from ritesmith.errors import InvalidInput, NotFound
from ritesmith.hosts import HostEnvironment, HostUnknown, Secrets, answer, describe, mcp_sessions, mcp_tools
from ritesmith.hosts.mcp_sessions import McpServers, host_functions
from ritesmith.hosts.mcp_tools import compare, lua_name, read_listing
from ritesmith.models import Contract, HostFunction
from ritesmith.schemas import problems
from ritesmith.settings import McpSettings, McpTool, Settings

HERE = Path(__file__).parent
REAL, LIAR = str(HERE / "mcp_real.py"), str(HERE / "mcp_liar.py")
OBJECT = {"type": "object", "properties": {}}
LONG = 60.0
"""Seconds in which every server answers, however busy the machine is."""


def real(folder, **more):
    return McpSettings(command=(sys.executable, REAL, str(folder)), seconds=LONG, **more)


def liar(seconds=LONG, secrets=None, tools=None, bytes_max=4096, **told):
    """Settings of a server that misbehaves as `told`; `tools` are a person's words on them, `offers` what it lists."""
    words = (sys.executable, "-I", "-S", LIAR, json.dumps(told))
    return McpSettings(command=words, seconds=seconds, secrets=secrets or {}, tools=tools or {}, bytes_max=bytes_max)


class Project:
    """MCP servers, their tools taken over, and a way to call them as a step does."""

    def __init__(self, folder, planted=None, **servers):
        self.planted = planted
        self.secrets = Secrets(folder, planted.environment if planted else {})
        self.settings = Settings(mcp=servers, folder=folder)
        self.servers = McpServers(self.settings, self.secrets)
        self.connection = open_throwaway()
        self.environment = HostEnvironment(
            self.connection, 0.0, "seed", "r1/a/0", settings=self.settings, secrets=self.secrets
        )
        self.kept = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.servers.close()
        self.connection.close()

    def sync(self, server, accept=False):
        found, refused = read_listing(server, self.servers.listing(server))
        kept = self.kept.get(server, mcp_tools.Kept())
        self.kept[server], rows = compare(server, kept, found, refused, accept=accept)
        return {row.tool: row for row in rows}

    def take(self, server, *tools):
        """Take over tools without asking the server."""
        found, refused = read_listing(server, tools or [{"name": "act", "inputSchema": OBJECT}])
        assert refused == []
        self.kept[server] = mcp_tools.Kept(tools=found)

    def reply(self, name, args, **more):
        functions = host_functions(self.kept, self.servers)
        reply = answer(name, args, replace(self.environment, **more), functions)
        if self.planted:
            text = json.dumps(reply.model_dump(mode="json"))
            assert [each for each in self.planted.values if each in text] == []
        if reply.error is None:
            assert problems(functions[name][0].output, reply.result) == []
        else:
            assert reply.error.code in {*mcp_tools.ERRORS, "bad_argument", "no_secret"}
            assert reply.error.message
        return reply

    def __call__(self, name, **args):
        reply = self.reply(name, args)
        assert reply.error is None, reply.error
        return reply.result

    def fails(self, name, **args):
        reply = self.reply(name, args)
        assert reply.error is not None, reply.result
        return reply.error


def ended(pid):
    """Whether a process that is no child of ours is gone, or ends within half a minute."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with closing(os.fdopen(handle)):
        return bool(select.select([handle], [], [], 30)[0])


def calls(folder):
    file = folder / "calls.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


# ---------------------------------------------------------------- names and schemas


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("read", "read"),
        ("read-file", "read_file"),
        ("readFile", "read_file"),
        ("ReadFile2", "read_file2"),
        ("admin.users/list", "admin_users_list"),
        ("a__b", "a_b"),
        ("_private", "private"),
        ("end", "end_"),
        ("GLOBAL", "global_"),
        ("x" * 63, "x" * 63),
        ("x" * 64, None),
        ("2fast", None),
        ("", None),
        ("--", None),
        ("läsen", None),
        ("__index", "index"),
    ],
    ids=repr,
)
def test_a_tool_gets_a_name_that_lua_can_say_or_none(tool, name):
    assert lua_name(tool) == name


def deep(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


HOSTILE = {
    "no object": ({"type": "string"}, "not for an object"),
    "no type": ({"properties": {}}, "not for an object"),
    "a loop": ({"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "refers to itself"),
    "a remote reference": ({"type": "object", "properties": {"a": {"$ref": "https://example.com/s"}}}, "reference"),
    "a file": ({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}, "reference"),
    "a dynamic reference": ({"type": "object", "$dynamicRef": "#a"}, "not offered"),
    "huge": ({"type": "object", "description": "x" * 70_000}, "bytes"),
    "many parts": ({"type": "object", "properties": {f"a{n}": {} for n in range(2500)}}, "schemas in it"),
    "deep": (deep(30), "nested deeper"),
    "an endless pattern": ({"type": "object", "properties": {"a": {"pattern": "(?=a)b"}}}, "pattern"),
    "no schema": ({"type": "object", "properties": {"a": {"type": "strnig"}}}, "no type 'strnig'"),
    "an old dialect": ({"type": "object", "$schema": "http://json-schema.org/draft-04/schema#"}, "2020-12"),
    "a billion laughs": (
        {
            "type": "object",
            "$ref": "#/$defs/d0",
            "$defs": {
                **{f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 10} for n in range(9)},
                "d9": {"type": "object"},
            },
        },
        "steps for one value",
    ),
}


# What a tool gives may be any value; what it takes is an object.
SIDES = [("inputSchema", word) for word in HOSTILE] + [("outputSchema", word) for word in list(HOSTILE)[2:]]


@pytest.mark.parametrize(("side", "word"), SIDES)
def test_a_hostile_schema_is_refused_with_the_reason(word, side):
    schema, why = HOSTILE[word]
    tools, [refused] = read_listing("desk", [{"name": "act", "inputSchema": OBJECT, side: schema}])
    assert tools == {}
    assert refused.state == "refused"
    assert why in refused.why


def test_tools_whose_names_meet_in_lua_are_both_refused_and_the_others_are_not():
    listing = [{"name": name, "inputSchema": OBJECT} for name in ("read-file", "readFile", "read", "twice", "twice")]
    tools, refused = read_listing("desk", listing)
    assert list(tools) == ["read"]
    assert {row.tool: row.why for row in refused} == {
        "read-file": "'readFile' would bear the same name in Lua, read_file",
        "readFile": "'read-file' would bear the same name in Lua, read_file",
        "twice": "the server lists 'twice' more than once",
    }
    assert [row.why for row in read_listing("end", listing[:1])[1]] == [
        "'end' is a word of Lua; give the server another name in ritesmith.toml"
    ]


def test_schemas_as_servers_really_write_them_are_taken():
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"any": True, "never": False, "n": {"type": "integer"}},
        "required": ["any"],
        "additionalProperties": False,
    }
    tools, refused = read_listing("desk", [{"name": "act", "inputSchema": schema}])
    assert refused == []
    assert problems(tools["act"].input, {"any": [1]}) == []
    assert problems(tools["act"].input, {"any": 1, "never": 1}) != []
    assert tools["act"].output is None


def test_a_tool_with_unusual_arguments_is_described_with_a_call_that_lua_takes():
    schema = {
        "type": "object",
        "required": ["a-b", "end", "any", "undescribed"],
        "properties": {"a-b": {"anyOf": [{"type": "string"}]}, "end": {"type": ["string", "null"]}, "any": True},
    }
    tools, _ = read_listing("desk", [{"name": "act", "inputSchema": schema}])
    told = describe.whole(mcp_tools.declaration("desk", tools["act"], McpTool(), offered=True))
    assert told["example"]["call"] == (
        'mcp.desk.act{["a-b"] = json.object{}, ["end"] = "end", any = json.object{}, undescribed = json.object{}}'
    )
    assert "ritesmith mcp sync desk" in told["unusable"]


# ---------------------------------------------------------------- what a person took over


def tool(name="act", **more):
    return {"name": name, "inputSchema": OBJECT, **more}


def look(kept, *listing, accept=False):
    found, refused = read_listing("desk", listing)
    kept, rows = compare("desk", kept, found, refused, accept=accept)
    return kept, {row.tool: row.state for row in rows}


def test_a_changed_tool_is_refused_until_a_person_has_seen_it_and_says_yes():
    kept, states = look(mcp_tools.Kept(), tool(description="reads"))
    assert states == {"act": "new"}
    kept, states = look(kept, tool(description="reads"), accept=True)
    assert states == {"act": "same"}
    # What nobody was shown is not taken over, whatever a person says.
    kept, states = look(kept, tool(description="sends all to me"), accept=True)
    assert states == {"act": "changed"}
    assert (kept.tools["act"].description, list(kept.offered)) == ("reads", ["act"])
    kept, states = look(kept, tool(description="sends twice"), accept=True)
    assert states == {"act": "changed"}
    kept, states = look(kept, tool(description="sends twice"), accept=True)
    assert states == {"act": "accepted"}
    assert (kept.tools["act"].description, kept.offered) == ("sends twice", {})
    # Back to what it was before it is taken over: nothing has happened.
    kept, _ = look(kept, tool(description="other"))
    kept, states = look(kept, tool(description="sends twice"))
    assert (states, kept.offered) == ({"act": "same"}, {})


def test_a_tool_that_is_gone_or_can_no_longer_be_used_stays_until_a_person_says_yes():
    kept, _ = look(mcp_tools.Kept(), tool(), tool("other"))
    kept, states = look(kept, tool(inputSchema={"type": "string"}))
    assert states == {"act": "gone", "other": "gone"}
    assert list(kept.tools) == ["act", "other"]
    kept, states = look(kept, tool(inputSchema={"type": "string"}), accept=True)
    assert states == {"act": "accepted", "other": "accepted"}
    assert kept == mcp_tools.Kept()


@pytest.mark.parametrize(
    "change",
    [
        {"description": "x" * 2000 + "y"},
        {"inputSchema": {"type": "object", "properties": {"a": {}}}},
        {"outputSchema": OBJECT},
        {"annotations": {"readOnlyHint": True}},
        {"annotations": {"openWorldHint": True}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_all_that_a_tool_says_of_itself_counts(change):
    kept, _ = look(mcp_tools.Kept(), tool(description="x" * 2000))
    found, refused = read_listing("desk", [tool(**{"description": "x" * 2000, **change})])
    _, [row] = compare("desk", kept, found, refused, accept=False)
    assert row.state == "changed"
    assert row.why
    assert row.before.keys() == row.after.keys()
    assert row.after


# ---------------------------------------------------------------- a real server over pipes


def test_the_tools_of_a_real_server_are_called(tmp_path, planted):
    planted.write(tmp_path)
    words = {"count": {"effect": "write", "idempotent": True}, "read_note": {"effect": "read"}}
    with Project(tmp_path, planted, desk=real(tmp_path, secrets={"DESK_TOKEN": "FILED"}, tools=words)) as project:
        rows = project.sync("desk")
        assert {row.name: row.state for row in rows.values()} == {
            f"mcp.desk.{name}": "new"
            for name in ("count", "add_line", "read_note", "whoami", "refuse", "large", "shoot")
        }
        assert rows["readNote"].says == ("only reads",)
        declared = {name: each for name, (each, _) in host_functions(project.kept, project.servers).items()}
        effects = {name: (each.effect, each.idempotent) for name, each in declared.items()}
        assert effects["mcp.desk.count"] == ("write", True)
        assert effects["mcp.desk.read_note"] == ("read", False)
        assert effects["mcp.desk.whoami"] == ("write", False), "its own hints, or none, are not believed"
        assert all(each.outside and each.output["type"] == "object" for each in declared.values())

        # Structured where there is a schema, text where there is none.
        assert project("mcp.desk.count", label="a") == {"n": 1, "label": "a"}
        assert project("mcp.desk.count", label="b", times=2.0) == {"n": 2, "label": "b"}
        assert project("mcp.desk.add_line", line="c") == {"text": "wrote c"}
        assert project("mcp.desk.read_note") == {"text": "first\nsecond"}
        assert [each["tool"] for each in calls(tmp_path)] == ["count", "count", "add-line"]
        assert calls(tmp_path)[1]["times"] == 2
        assert calls(tmp_path)[2]["key"] == "r1/a/0", "the key of the step reaches the server"

        # The server has its secret and nothing else of ours; its answers do not pass it on.
        told = project("mcp.desk.whoami")["text"]
        assert "I am [secret FILED], and have" in told
        assert "DESK_TOKEN" in told
        assert "RITESMITH" not in told
        failed = project.fails("mcp.desk.refuse")
        assert (failed.code, failed.retryable) == ("mcp_tool_error", False)
        assert "not today, says [secret FILED]" in failed.message

        # Arguments are checked here, and the size of the answer.
        assert project.fails("mcp.desk.count", label=1).code == "bad_argument"
        assert project.fails("mcp.desk.count").code == "bad_argument"
        assert len(project("mcp.desk.large", size=200_000)["text"]) == 200_000
        with pytest.raises(HostUnknown, match="at most 262144 are taken"):
            project("mcp.desk.large", size=262_144)
        assert len(project.servers._sessions) == 1
        pid = int((tmp_path / "server.pid").read_text())
    assert ended(pid)


def test_a_missing_secret_and_a_command_that_is_none_are_said(tmp_path):
    nothing = McpSettings(command=(str(tmp_path / "nothing"), "--here"), seconds=LONG)
    with Project(tmp_path, desk=real(tmp_path, secrets={"DESK_TOKEN": "ABSENT"}), none=nothing) as project:
        project.take("desk")
        project.take("none")
        failed = project.fails("mcp.desk.act")
        assert (failed.code, failed.retryable) == ("no_secret", False)
        failed = project.fails("mcp.none.act")
        assert (failed.code, failed.retryable) == ("mcp_unavailable", True)
        assert "No such file or directory" in failed.message
        assert "exit code 127" in failed.message


def test_a_new_value_of_a_secret_reaches_the_server(tmp_path):
    settings = real(tmp_path, secrets={"DESK_TOKEN": "TOKEN"}, tools={"whoami": {"effect": "read"}})
    with Project(tmp_path, desk=settings) as project:
        project.secrets.environment = {"RITESMITH_SECRET_TOKEN": "the old value"}
        project.sync("desk")
        first = (tmp_path / "server.pid").read_text()
        project("mcp.desk.whoami")
        assert (tmp_path / "server.pid").read_text() == first
        project.secrets.environment = {"RITESMITH_SECRET_TOKEN": "the new value"}
        assert "[secret TOKEN]" in project("mcp.desk.whoami")["text"]
        assert (tmp_path / "server.pid").read_text() != first
        assert ended(int(first))


def test_closed_sessions_are_not_opened_again(tmp_path):
    project = Project(tmp_path, desk=liar())
    project.take("desk")
    assert project("mcp.desk.act") == {"text": "done"}
    with project:
        pass
    with closing(open_throwaway()) as project.connection:
        assert project.fails("mcp.desk.act").code == "mcp_unavailable"


# ---------------------------------------------------------------- over HTTP


@contextmanager
def served(folder):
    """The real server over HTTP, on a port of its own."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, REAL, str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            while True:
                assert process.poll() is None, process.stderr.read().decode()
                with suppress(ConnectionRefusedError), closing(socket.create_connection(("127.0.0.1", port))):
                    break
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()


def test_a_server_over_http_is_called_and_its_end_is_a_clear_error(tmp_path, planted):
    with served(tmp_path) as url:
        settings = McpSettings(url=url, seconds=LONG, secrets={"X-Token": "TOKEN"}, tools={"large": {"effect": "read"}})
        project = Project(tmp_path, planted, web=settings)
        with project:
            assert project.sync("web")["count"].state == "new"
            assert project("mcp.web.count", label="a") == {"n": 1, "label": "a"}
            assert project("mcp.web.add_line", line="c") == {"text": "wrote c"}
            assert calls(tmp_path)[1]["key"] == "r1/a/0"
            assert project.fails("mcp.web.refuse").code == "mcp_tool_error"
            assert project.fails("mcp.web.large", size=300_000).code == "mcp_too_large"
            failed = project.fails("mcp.web.large", size=3_000_000)
            assert failed.code == "mcp_unavailable"
            assert "sends more than" in failed.message
            assert project("mcp.web.large", size=3)["text"] == "xxx", "another session was opened"
    with Project(tmp_path, planted, web=settings) as project:
        project.take("web")
        failed = project.fails("mcp.web.act")
        assert (failed.code, failed.retryable) == ("mcp_unavailable", True)


class HttpLiar(BaseHTTPRequestHandler):
    """An MCP server of the old protocol, with a session, that misbehaves when a tool is called."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.say(405, "")

    do_DELETE = do_GET

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method, number, word = message.get("method"), message.get("id"), self.server.word
        if method == "initialize":
            self.server.opened += 1
            told = {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}}}
            self.result(number, {**told, "serverInfo": {"name": "liar", "version": "1"}})
        elif method == "tools/list":
            self.result(number, {"tools": [{"name": "act", "inputSchema": OBJECT}]})
        elif method == "notifications/initialized":
            self.say(202, "")
        elif method != "tools/call":
            error = {"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "no such method"}}
            self.say(200, json.dumps(error))
        elif word == "forgotten":
            self.say(404, "", "text/plain")
        elif word == "accepted":
            self.say(202, "")
        elif word == "page":
            self.say(200, "<html>sign in</html>", "text/html")
        elif word == "broken":
            self.say(500, "oops", "text/plain")
        elif word == "no json":
            self.say(200, "{")
        elif word == "elsewhere":
            self.say(307, "", location="http://127.0.0.2:9/mcp")
        elif word == "packed":
            self.say(200, gzip.compress(b"x" * 10_000_000), encoding="gzip")
        elif word == "endless":
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            with suppress(ConnectionError):
                while True:
                    self.wfile.write(b" " * 65536)
            self.close_connection = True
        elif word == "reset":
            self.close_connection = True
        else:
            self.result(number, {"content": [{"type": "text", "text": f"you said {self.headers['x-token']}"}]})

    def result(self, number, result):
        self.say(200, json.dumps({"jsonrpc": "2.0", "id": number, "result": result}))

    def say(self, status, body, kind="application/json", location=None, encoding=None):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        named = {"content-type": kind, "content-length": str(len(data)), "mcp-session-id": "s1"}
        for name, value in {**named, "location": location, "content-encoding": encoding}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def lying(word):
    with ThreadingHTTPServer(("127.0.0.1", 0), HttpLiar) as server:
        server.word, server.opened, server.daemon_threads = word, 0, True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_port}/mcp"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("forgotten", "Session terminated"),
        ("accepted", "202"),
        ("page", "text/html"),
        ("broken", "error response"),
        ("no json", "parse"),
        ("elsewhere", "http://127.0.0.2:9"),
        ("packed", "packs its answers"),
        ("endless", "sends more than"),
        ("reset", ""),
    ],
)
def test_a_server_over_http_that_breaks_off_is_a_clear_error(tmp_path, planted, word, why):
    more = {"seconds": LONG, "secrets": {"X-Token": "TOKEN"}, "bytes_max": 4096}
    with lying(word) as (server, url):
        settings = McpSettings(url=url, tools={"act": {"effect": "read"}}, **more)
        with Project(tmp_path, planted, reader=settings, writer=McpSettings(url=url, **more)) as project:
            project.take("reader")
            project.take("writer")
            failed = project.fails("mcp.reader.act")
            assert (failed.code, failed.retryable) == ("mcp_unavailable", True)
            assert why in failed.message
            if word == "forgotten":
                assert project.fails("mcp.writer.act").code == "mcp_unavailable", "it was certainly not carried out"
            else:
                with pytest.raises(HostUnknown):
                    project("mcp.writer.act")
            server.word = ""
            opened = server.opened
            assert project("mcp.reader.act") == {"text": "you said [secret TOKEN]"}
            assert server.opened == opened + 1, "another session was opened"
            assert project("mcp.reader.act") == {"text": "you said [secret TOKEN]"}
            assert server.opened == opened + 1


def test_a_server_is_not_spoken_to_without_tls_unless_a_person_says_so(tmp_path):
    settings = McpSettings(url="http://tools.example.com/mcp", seconds=LONG)
    with Project(tmp_path, web=settings) as project:
        project.take("web")
        failed = project.fails("mcp.web.act")
        assert failed.code == "mcp_unavailable"
        assert "name 'tools.example.com' in [http] plain" in failed.message


# ---------------------------------------------------------------- servers that misbehave

RIGHT = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
ENDS = {
    "die": "has ended (exit code 3); its last words: out of paper, [secret TOKEN]",
    "flood": "sends more than",
    "endless line": "sends more than",
    "rubbish": "no MCP messages",
    "close": "has ended",
    "no result": "no valid result",
    "broken": "failed: it is broken",
}
# At the start the last two would be answers to another question: which protocol it speaks.
BREAKS = [("start", word) for word in list(ENDS)[:-2]] + [(when, word) for when in ("list", "call") for word in ENDS]


@pytest.mark.parametrize(("when", "word"), BREAKS)
def test_a_server_that_breaks_off_is_a_clear_error_and_an_open_question_after_a_write(tmp_path, planted, word, when):
    told = {when: word, "secrets": {"DESK_TOKEN": "TOKEN"}}
    settings = {"reader": {"act": {"effect": "read"}}, "writer": {}, "repeater": {"act": {"idempotent": True}}}
    servers = {name: liar(tools=tools, **told) for name, tools in settings.items()}
    with Project(tmp_path, planted, **servers) as project:
        for name in servers:
            project.take(name)
        for name in ("reader", "repeater"):
            failed = project.fails(f"mcp.{name}.act")
            assert (failed.code, failed.retryable) == ("mcp_unavailable", True)
            assert f"the MCP server '{name}' " in failed.message
            assert ENDS[word] in failed.message
        if when == "call":
            with pytest.raises(HostUnknown, match="the MCP server 'writer'"):
                project("mcp.writer.act")
        else:
            assert project.fails("mcp.writer.act").code == "mcp_unavailable"


@pytest.mark.parametrize(("when", "word"), [("start", "hang"), ("list", "hang"), ("call", "hang"), ("call", "other id"),
                                            ("call", "deep")])  # fmt: skip
def test_a_server_that_does_not_answer_is_left_at_its_deadline(tmp_path, when, word):
    seconds = 3.0
    servers = {"reader": liar(seconds, tools={"act": {"effect": "read"}}, **{when: word})}
    with Project(tmp_path, writer=liar(seconds, **{when: word}), **servers) as project:
        project.take("reader")
        project.take("writer")
        failed = project.fails("mcp.reader.act")
        assert (failed.code, failed.retryable) == ("mcp_timeout", True)
        assert failed.message == "the MCP server 'reader' did not answer within 3 seconds"
        if when == "call":
            with pytest.raises(HostUnknown):
                project("mcp.writer.act")


def test_a_refused_call_was_not_made_and_a_person_need_not_look(tmp_path):
    with Project(tmp_path, desk=liar(call="refused")) as project:
        project.take("desk")
        failed = project.fails("mcp.desk.act")
        assert (failed.code, failed.retryable) == ("mcp_refused", False)
        assert "it is refused" in failed.message


@pytest.mark.parametrize("when", ["start", "list", "call"])
def test_a_server_that_greets_on_stdout_is_understood_all_the_same(tmp_path, when):
    with Project(tmp_path, desk=liar(**{when: "greet"})) as project:
        project.take("desk")
        assert project("mcp.desk.act") == {"text": "done"}


def test_a_server_that_asks_us_for_a_model_or_for_folders_gets_neither(tmp_path):
    with Project(tmp_path, desk=liar(call="asks")) as project:
        project.take("desk")
        assert project("mcp.desk.act") == {"text": "done"}


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"content": [], "structuredContent": {"n": "one"}}, "mcp_bad_result"),
        ({"content": [{"type": "text", "text": "5"}]}, "mcp_bad_result"),
        ({"content": [], "structuredContent": {"n": 1, "more": float("inf")}}, "mcp_bad_result"),
        ({"content": [], "structuredContent": {"n": 10**400}}, "mcp_bad_result"),
        ({"content": [], "structuredContent": {"n": 1, "more": json.loads("[" * 62 + "]" * 62)}}, "mcp_bad_result"),
        ({"content": [], "structuredContent": {"n": 1, "more": "x" * 5000}}, "mcp_too_large"),
        ({"content": [], "isError": True}, "mcp_tool_error"),
        ({"content": [], "structuredContent": {"n": "one"}, "isError": True}, "mcp_tool_error"),
    ],
    ids=["wrong type", "text only", "infinite", "huge number", "deep", "too large", "error", "error with content"],
)
def test_a_result_that_breaks_its_schema_is_not_passed_on(tmp_path, result, code):
    tools = [{"name": "act", "inputSchema": OBJECT, "outputSchema": RIGHT}]
    told = {"result": result, "offers": tools}
    settings = {"reader": liar(tools={"act": {"effect": "read"}}, **told), "writer": liar(**told)}
    with Project(tmp_path, **settings) as project:
        for name in settings:
            project.take(name, *tools)
        failed = project.fails("mcp.reader.act")
        assert (failed.code, failed.retryable) == (code, False)
        if code != "mcp_tool_error":
            with pytest.raises(HostUnknown):
                project("mcp.writer.act")


def test_what_is_no_text_is_named_and_left_out(tmp_path):
    blocks = [
        {"type": "text", "text": "one"},
        {"type": "image", "data": "AAAA", "mimeType": "image/png"},
        {"type": "resource", "resource": {"uri": "note://1", "text": "two"}},
        {"type": "resource", "resource": {"uri": "note://2", "blob": "AAAA"}},
    ]
    with Project(tmp_path, desk=liar(result={"content": blocks})) as project:
        project.take("desk")
        assert project("mcp.desk.act") == {"text": "one\ntwo", "left_out": ["image", "resource"]}


@pytest.mark.parametrize("word", ["pages", "many"])
def test_a_listing_without_an_end_is_cut_off(tmp_path, word):
    with Project(tmp_path, desk=liar(list=word, bytes_max=100_000)) as project:
        project.take("desk")
        failed = project.fails("mcp.desk.act")
        assert failed.code == "mcp_unavailable"
        assert "lists more than 500 tools, or more than 100 pages" in failed.message


@pytest.mark.parametrize("word", ["tells of change", "says nothing"])
def test_a_tool_that_changes_behind_our_back_is_not_called(tmp_path, monkeypatch, word):
    log = tmp_path / "log"
    with Project(tmp_path, desk=liar(list="changes", call=word, count=str(log))) as project:
        project.sync("desk")  # the second look: the first was at the door
        assert project("mcp.desk.act") == {"text": "done"}
        if word == "says nothing":
            monkeypatch.setattr(mcp_sessions, "LOOK_SECONDS", -1.0)
        else:
            while project.servers._sessions["desk"].looked_at > 0:
                pass  # its word is on the way
        failed = project.fails("mcp.desk.act")
        assert (failed.code, failed.retryable) == ("mcp_tool_changed", False)
        assert "ritesmith mcp sync desk" in failed.message
        assert log.read_text() == "call\n"
        assert project.sync("desk")["act"].state == "changed"
        assert "look at the difference" in project.fails("mcp.desk.act").message
        project.take("desk", {"name": "gone", "inputSchema": OBJECT})
        assert "is gone" in project.fails("mcp.desk.gone").message
        assert log.read_text() == "call\n"


def test_a_server_that_will_not_end_is_ended_with_all_that_it_started(tmp_path):
    pids = tmp_path / "pids"
    with Project(tmp_path, desk=liar(pids=str(pids), stays=True)) as project:
        project.take("desk")
        assert project("mcp.desk.act") == {"text": "done"}
    assert [ended(int(pid)) for pid in pids.read_text().split()] == [True, True]


def test_kill_9_of_the_parent_ends_the_server_with_all_that_it_started(tmp_path):
    pids = tmp_path / "pids"
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {str(HERE)!r})
        from pathlib import Path
        from test_hosts_mcp import Project, liar
        project = Project(Path({str(tmp_path)!r}), desk=liar(pids={str(pids)!r}, stays=True))
        project.take("desk")
        assert project("mcp.desk.act") == {{"text": "done"}}
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment(), check=False)
    assert done.returncode == -signal.SIGKILL
    assert [ended(int(pid)) for pid in pids.read_text().split()] == [True, True]


def test_a_session_that_is_stuck_does_not_hold_its_caller(tmp_path, monkeypatch):
    go_on = Event()
    monkeypatch.setattr(mcp_sessions, "_message", lambda line: go_on.wait() and None)
    monkeypatch.setattr(mcp_sessions, "LATE_SECONDS", 0.5)
    with Project(tmp_path, desk=liar(0.5, tools={"act": {"effect": "read"}})) as project:
        project.take("desk")
        try:
            failed = project.fails("mcp.desk.act")
        finally:
            go_on.set()
        assert (failed.code, failed.retryable) == ("mcp_timeout", True)
        assert failed.message == "no answer within 0.5 seconds, and its session is stuck"


def test_a_file_of_secrets_that_others_can_read_is_said(tmp_path, planted):
    planted.write(tmp_path)
    (tmp_path / "secrets.toml").chmod(0o644)
    with Project(tmp_path, desk=liar(secrets={"DESK_TOKEN": "FILED"})) as project:
        project.take("desk")
        failed = project.fails("mcp.desk.act")
        assert (failed.code, failed.retryable) == ("no_secret", False)
        assert "can be read by others" in failed.message


def test_calls_of_many_threads_share_a_session(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    log = tmp_path / "log"
    with Project(tmp_path, desk=liar(count=str(log))) as project, ThreadPoolExecutor(8) as pool:
        project.take("desk")
        functions = host_functions(project.kept, project.servers)
        replies = pool.map(lambda _: answer("mcp.desk.act", {}, project.environment, functions), range(40))
        assert {json.dumps(reply.result) for reply in replies} == {'{"text": "done"}'}
        assert len(project.servers._sessions) == 1
    assert log.read_text() == "call\n" * 40


# ---------------------------------------------------------------- in a project


TWICE = """--[[ capability
{"name": "desk.twice", "intent": "count a label at the desk and write the number down there",
 "input": {"type": "object", "required": ["label"], "properties": {"label": {"type": "string"}},
           "additionalProperties": false},
 "output": {"type": "object", "required": ["n", "text"],
            "properties": {"n": {"type": "integer"}, "text": {"type": "string"}}},
 "grants": {"mcp.desk.count": {}, "mcp.desk.SECOND": {}},
 "examples": [
  {"input": {"label": "a"}, "output": {"n": 4, "text": "wrote"},
   "hosts": [{"call": "mcp.desk.count", "with": {"label": "a"}, "result": {"n": 4, "label": "a"}},
             {"call": "mcp.desk.SECOND", "result": {"text": "wrote"}}]},
  {"input": {"label": "b"}, "error": "mcp_tool_error",
   "hosts": [{"call": "mcp.desk.count", "error": {"code": "mcp_tool_error", "message": "closed"}}]}]}
]]
function run(input, context)
  local first = mcp.desk.count{label = input.label}
  local second = mcp.desk.SECOND{ARGUMENTS}
  return {n = first.n, text = second.text}
end
"""
FLOW = {
    "name": "desk.flow",
    "intent": "count at the desk",
    "input": {"type": "object", "required": ["label"], "properties": {"label": {"type": "string"}}},
    "start": "twice",
    "nodes": [
        {
            "id": "twice",
            "kind": "task",
            "capability": "desk.twice",
            "with": {"label": {"var": "input.label"}},
            "no_compensation": "a count says how often something happened",
            "next": "done",
        },
        {"id": "done", "kind": "end", "outcome": "counted", "output": {"n": {"var": "nodes.twice.output.n"}}},
    ],
}


@pytest.fixture
def desk(tmp_path, ready, planted):
    """A project folder with a registry and the real server in its settings."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "registry.db").write_bytes((ready / "registry.db").read_bytes())
    command = json.dumps([sys.executable, REAL, str(folder)])
    (folder / "ritesmith.toml").write_text(
        f'[mcp.desk]\ncommand = {command}\nseconds = {LONG}\nsecrets = {{ DESK_TOKEN = "TOKEN" }}\n'
    )
    return folder


def publish(app, folder, second="add_line", arguments='line = input.label .. " " .. first.n'):
    (folder / "twice.lua").write_text(TWICE.replace("SECOND", second).replace("ARGUMENTS", arguments))
    (folder / "flow.json").write_text(json.dumps(FLOW))
    app.publish_file(folder / "twice.lua")
    app.publish_file(folder / "flow.json")


def killed(folder, planted, script):
    """Run a script with an open registry as `app` in a process of its own, which is killed with kill -9."""
    text = f"""
        import os, signal
        from ritesmith.app import RiteSmith
        app = RiteSmith.open({str(folder / "registry.db")!r}, new_id=lambda: "r0123456789")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text) + textwrap.dedent(script)],
        cwd=folder,
        env=environment(**planted.environment),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert ended(int((folder / "server.pid").read_text()))


def test_a_workflow_is_killed_between_two_tools_and_resumed_with_no_second_call(desk, planted):
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        assert {row.state for row in app.sync_tools().rows} == {"new"}
        publish(app, desk)
    killed(
        desk,
        planted,
        """
        def watch(entry, state):
            if entry.kind == "call_finished" and entry.data["function"] == "mcp.desk.count":
                os.kill(os.getpid(), signal.SIGKILL)
        app.run("desk.flow", {"label": "a"}, watch=watch)
        """,
    )
    assert [each["tool"] for each in calls(desk)] == ["count"]
    assert found_in(desk) == [], "the log beside the file is there: the process could not close it"
    done = child("resume", "--json", folder=desk, env=environment(**planted.environment))
    assert done.code == 0, done.err
    assert [each["tool"] for each in calls(desk)] == ["count", "add-line"]
    assert calls(desk)[1] == {"tool": "add-line", "line": "a 1", "key": "r0123456789/twice/1"}
    traced = child("trace", "r0123456789", folder=desk)
    assert "succeeded (counted)" in traced.out
    assert "mcp.desk.add_line" in traced.out
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        view = app.view("r0123456789")
        assert (view.status, view.output) == ("succeeded", {"n": 1})
        assert app.replay("r0123456789")
    assert len(calls(desk)) == 2, "a replay calls nobody"


@pytest.mark.parametrize("word", ["", "[mcp.desk.tools.shoot]\nidempotent = true\n"], ids=["once", "repeatable"])
def test_a_process_that_is_killed_inside_a_tool_asks_a_person_unless_it_may_be_repeated(desk, planted, word):
    with (desk / "ritesmith.toml").open("a") as file:
        file.write(word)
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        app.sync_tools()
        publish(app, desk, "shoot", "")
    script = """
        open("target", "w").write(str(os.getpid()))
        app.run("desk.flow", {"label": "a"})
    """
    killed(desk, planted, script)
    assert [each["tool"] for each in calls(desk)] == ["count", "shoot"]
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        view = app.drive("r0123456789")
        if word:
            assert [each["tool"] for each in calls(desk)] == ["count", "shoot", "shoot"]
            assert {each.get("key") for each in calls(desk)[1:]} == {"r0123456789/twice/1"}
        else:
            assert [each["tool"] for each in calls(desk)] == ["count", "shoot"], "it is not called a second time"
            assert view.status == "unknown"
            with pytest.raises(InvalidInput):
                app.resolve("r0123456789", happened=True, result={"wrong": 1})
            view = app.resolve("r0123456789", happened=True, result={"text": "bang"})
            assert len(calls(desk)) == 2
        assert (view.status, view.output) == ("succeeded", {"n": 1})


def test_a_write_that_nobody_answered_is_an_open_question_with_its_reason(desk, planted):
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        app.sync_tools()
        publish(app, desk, "large", "size = 300000")
        view = app.run("desk.flow", {"label": "a"})
        assert view.status == "unknown"
        noted = [entry.data.get("why", "") for entry in app.journal.entries(view.run) if entry.kind == "effect_unknown"]
        assert noted == [
            "mcp.desk.large: the tool 'large' of the MCP server 'desk' gave 300012 bytes, at most 262144 are taken"
        ]


def test_a_grant_of_a_tool_that_is_not_there_says_how_it_gets_there(desk, planted):
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        text = TWICE.replace("SECOND", "add_line").replace("ARGUMENTS", "line = first.n")
        findings = app.check_text(text, "twice.lua").errors
        assert {(each.code, each.where.path) for each in findings} == {
            ("unknown_host_function", "$.grants.mcp.desk.count"),
            ("unknown_host_function", "$.grants.mcp.desk.add_line"),
        }
        assert all("ritesmith mcp sync desk" in each.hint for each in findings)
        app.sync_tools(["desk"])
        [finding] = app.check_text(text.replace("line = first.n", "line = 5"), "twice.lua").errors
        assert finding.code == "argument_type"
        assert "argument 'line' is 5" in finding.message
        [finding] = app.check_text(text.replace("line = first.n", ""), "twice.lua").errors
        assert finding.code == "missing_argument"
        assert app.check_text(text.replace("line = first.n", "line = input.label"), "twice.lua").errors == ()
        near = text.replace("mcp.desk.add_line", "mcp.desk.ad_line")
        assert "did you mean 'mcp.desk.add_line'?" in app.check_text(near, "twice.lua").errors[0].hint


def test_a_changed_tool_is_a_finding_and_a_refused_call_and_a_person_can_take_it_over(desk, planted, cli, monkeypatch):
    def says(description):
        number = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
        word = {"type": "object", "required": ["label"], "properties": {"label": {"type": "string"}}}
        line = {"type": "object", "required": ["line"], "properties": {"line": {"type": "string"}}}
        told = liar(
            count=str(desk / "calls"),
            result={"content": [{"type": "text", "text": "5"}], "structuredContent": {"n": 5, "label": "a"}},
            offers=[
                {"name": "count", "inputSchema": word, "outputSchema": number, "annotations": {"readOnlyHint": True}},
                {"name": "add-line", "inputSchema": line, "description": description},
            ],
        )
        (desk / "ritesmith.toml").write_text(f"[mcp.desk]\ncommand = {json.dumps(told.command)}\nseconds = {LONG}\n")

    monkeypatch.chdir(desk)
    says("Write a line down.")
    assert cli("mcp", "sync").code == 0
    assert "only reads" in cli("mcp", "sync", "desk").words
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        publish(app, desk)
    says("Write a line down, and send it on.")

    run = cli("run", "desk.flow", "--input", '{"label": "a"}')
    assert run.code == 8
    assert "is no longer what was taken over: ritesmith mcp sync desk" in run.words
    assert (desk / "calls").read_text() == "call\n", "the first one only"

    seen = cli("mcp", "sync")
    assert seen.code == 5
    assert '- "Write a line down."' in seen.out
    assert '+ "Write a line down, and send it on."' in seen.out
    assert "ritesmith mcp sync desk --yes" in seen.words
    checked = cli("check", "twice.lua", "--json")
    assert checked.code == 5
    assert [each["code"] for each in checked.json["findings"]] == ["unusable_host_function"]
    again = cli("run", "desk.flow", "--input", '{"label": "a"}')
    assert "look at the difference: ritesmith mcp sync desk" in again.words
    assert "is no longer what was taken over" in cli("hosts", "mcp.desk.add_line").words
    assert "is no longer what was taken over" in " ".join(cli("hosts").words.split())

    taken = cli("mcp", "sync", "--yes", "--json")
    assert taken.code == 0
    states = {row["tool"]: row["state"] for row in taken.json["tools"]}
    assert states.pop("add-line") == "accepted"
    assert set(states.values()) == {"same"}
    listed = {each["name"]: each for each in cli("hosts", "--json").json["host_functions"]}
    assert listed["mcp.desk.add_line"]["description"] == "Write a line down, and send it on."
    assert listed["mcp.desk.add_line"]["unusable"] == ""
    run = cli("run", "desk.flow", "--input", '{"label": "a"}')
    assert run.code == 0, run.words


def test_a_run_whose_tool_is_gone_from_the_settings_waits_for_it(desk, planted):
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        app.sync_tools()
        publish(app, desk)
        run = app.start("desk.flow", {"label": "a"})
    toml = (desk / "ritesmith.toml").read_text()
    (desk / "ritesmith.toml").write_text("")
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        with pytest.raises(NotFound, match=r"needs the host function 'mcp.desk.count', which is not there"):
            app.drive(run)
        assert not any(name.startswith("mcp.") for name in app.catalog)
    (desk / "ritesmith.toml").write_text(toml)
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        assert app.drive(run).status == "succeeded"


def test_sync_names_what_is_wrong_with_the_settings(desk, planted):
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        with pytest.raises(NotFound) as error:
            app.sync_tools(["dask"])
        assert error.value.hint == "did you mean 'desk'?"
    with (desk / "ritesmith.toml").open("a") as file:
        file.write('[mcp.desk.tools.conut]\neffect = "read"\n[mcp.none]\ncommand = ["/nothing/here"]\n')
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        report = app.sync_tools()
        assert {each.code: each.hint for each in report.findings} == {
            "unknown_mcp_tool": "did you mean 'count'?",
            "mcp_unavailable": "",
        }
        assert [each.code for each in report.errors] == ["mcp_unavailable"]
    (desk / "ritesmith.toml").write_text("[mcp.desk]\nseconds = 1\n")
    with (
        RiteSmith.open(str(desk / "registry.db"), environment={}) as app,
        pytest.raises(InvalidInput, match="either a 'command' that starts it, or a 'url'"),
    ):
        app.sync_tools()
    (desk / "ritesmith.toml").unlink()
    with (
        RiteSmith.open(str(desk / "registry.db"), environment={}) as app,
        pytest.raises(InvalidInput, match="names no MCP server"),
    ):
        app.sync_tools()


def test_the_settings_that_the_pages_show_are_settings():
    pages = [HERE.parent / "docs" / f"{name}.md" for name in ("outside", "models")]
    blocks = re.findall(r"^```toml\n(.*?)^```", "".join(page.read_text() for page in pages), re.DOTALL | re.MULTILINE)
    shown = [Settings.model_validate(tomllib.loads(each)) for each in blocks]
    assert len(shown) == 3
    [files] = [each.mcp["files"] for each in shown if each.mcp]
    assert files.tools["read_text_file"].effect == "read"
    assert files.secrets == {"FILES_TOKEN": "FILES"}


def test_nothing_is_started_or_imported_until_a_tool_is_called(desk, planted):
    with RiteSmith.open(str(desk / "registry.db"), environment=planted.environment) as app:
        app.sync_tools()
        publish(app, desk)
    (desk / "server.pid").unlink()
    probe = """
        import sys
        from ritesmith.cli import main
        for words in (["--help"], ["mcp", "--help"], ["hosts"], ["list"], ["check", "twice.lua"]):
            assert main(words) == 0
        assert "mcp" not in sys.modules
        assert "anyio" not in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(probe)], cwd=desk, env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not (desk / "server.pid").exists()


# ---------------------------------------------------------------- the search for planted secrets


def test_the_search_finds_a_secret_in_each_of_its_forms(tmp_path):
    import base64
    from urllib.parse import quote

    secret = Planted("here").token
    texts = {
        "plain": secret,
        "url": quote(secret, safe=""),
        "json": json.dumps({"a": secret}),
        **{f"base64 {n}": base64.b64encode(b"x" * n + secret.encode() + b"y").decode() for n in range(3)},
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(f"{name} {text}\n")
    (tmp_path / "clean").write_text("planted, but not the secret")
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (text TEXT)")
        connection.execute("INSERT INTO t VALUES (?)", ("x" * 4070 + secret,))
        connection.commit()
        found = {Path(each).name for each in found_in(tmp_path)}
    assert found >= {*texts, "rows.db"}
    assert "clean" not in found
    for file in tmp_path.iterdir():
        file.unlink()


def test_a_tool_reads_only_for_a_policy_when_a_person_says_so():
    tool_ = mcp_tools.Tool(name="act", tool="act", input=OBJECT, says=("only reads",), digest="")
    declared = mcp_tools.declaration("desk", tool_, mcp_tools.word_on(McpSettings(command=("x",)), tool_), False)
    assert isinstance(declared, HostFunction)
    contract = Contract(name="a.b", intent="try it", input={}, output={}, grants={"mcp.desk.act": {}})
    from ritesmith.grants import effect_of

    assert effect_of(contract, {"mcp.desk.act": declared}) == "write"
