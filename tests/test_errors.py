"""What goes wrong is told in one clear message, with the right exit code, no traceback, and nothing half-written."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import traceback

import pytest
from conftest import Done, child, environment, fingerprint

from ritesmith import db, entry
from ritesmith.app import RiteSmith
from ritesmith.errors import NotFound, StoreError
from ritesmith.testing import ScriptedAuthor, ScriptedReply


def told(done, code, *words):
    """One message for people on stderr, with these words in it and none of Python's."""
    assert done.code == code, done
    assert done.err.count("Error: ") == 1
    assert done.err.lstrip().startswith(("Error: ", "Usage: ", "run r")), done.err
    for word in words:
        assert word in done.err
    for word in ("Traceback", "defect", "Exception", '  File "'):
        assert word not in done.err + done.out


BOOKS = ("model_calls", "model_servers")
"""Tables of what models were asked, which is kept whatever came of it."""


@pytest.fixture
def refused(cli, place):
    """Call a command that must be refused: one message, and the registry as it was, but for what models were asked."""

    def call(code, words, *expected, stdin=""):
        before = fingerprint(place / "registry.db", BOOKS)
        done = cli(*words, stdin=stdin)
        told(done, code, *expected)
        again = cli(*words, "--json", stdin=stdin)
        assert again.code == code
        assert again.json["error"]["message"]
        assert fingerprint(place / "registry.db", BOOKS) == before
        return again

    return call


# ---------------------------------------------------------------- input

BAD_JSON = {
    "not closed": ('{"numbers": [1, 2', "--input:1:18: this is not JSON"),
    "second line": ('{"numbers":\n  [1 2]}', "--input:2:6: this is not JSON"),
    "empty": ("", "--input:1:1: this is not JSON"),
    "two values": ("{} {}", "--input:1:4: this is not JSON"),
    "single quotes": ("{'numbers': [1]}", "--input:1:2: this is not JSON"),
    "NaN": ('{"numbers": [NaN]}', "NaN is not JSON"),
    "infinity": ('{"numbers": [-Infinity]}', "-Infinity is not JSON"),
    "key twice": ('{"numbers": [1], "numbers": [2]}', "the key 'numbers' stands twice"),
    "byte order mark": ('\ufeff{"numbers": [1]}', "--input:1:1"),
    "digits without end": ('{"numbers": [' + "9" * 5000 + "]}", "digits"),
    "too large a float": ('{"numbers": [1e400]}', "the number 1e400 is too large"),
    "half a surrogate pair": ('{"numbers": [1], "more": "\\ud83d"}', "half of a surrogate pair"),
    "half a surrogate pair as a key": ('{"\\ud83d": 1}', "half of a surrogate pair"),
    "nested without end": ("[" * 100_000, "nested too deeply"),
    "nested deeply": ('{"numbers": ' + "[" * 900 + "]" * 900 + "}", "--input"),
}


@pytest.mark.parametrize(("text", "words"), BAD_JSON.values(), ids=BAD_JSON)
def test_input_that_is_no_json_is_told_with_its_place(refused, text, words):
    refused(2, ["run", "stats.average", "--input", text], words if words != "--input" else "")


def test_a_file_and_stdin_that_are_no_json_are_named(refused, place):
    (place / "bad.json").write_text('{\n  "numbers": [1,]\n}')
    refused(2, ["run", "stats.average", "--input", "@bad.json"], "bad.json:2:17: this is not JSON")
    refused(2, ["run", "stats.average", "--input", "-"], "stdin:1:3: this is not JSON", stdin="{ ")


BROKEN_SCHEMA = {
    "wrong type": ({"numbers": [1, "2"]}, "$.numbers[1]: '2' is not of type 'number'"),
    "missing": ({}, "'numbers' is a required property"),
    "unknown": ({"numbers": [], "nmubers": []}, "'nmubers' was unexpected"),
    "no object": ([1, 2], "is not of type 'object'"),
    "nothing": (None, "is not of type 'object'"),
    "true is no number": ({"numbers": [True]}, "$.numbers[0]"),
    "nested": ({"numbers": [[[[1]]]]}, "$.numbers[0]"),
}


@pytest.mark.parametrize(("value", "words"), BROKEN_SCHEMA.values(), ids=BROKEN_SCHEMA)
def test_input_that_breaks_the_schema_is_told_with_the_path(refused, value, words):
    done = refused(2, ["run", "stats.average", "--input", json.dumps(value)], words, "ritesmith show stats.average@1")
    assert all(set(problem) == {"path", "message"} for problem in done.json["error"]["problems"])


def test_several_problems_of_an_input_are_told_at_once(refused):
    done = refused(2, ["run", "stats.average", "--input", '{"numbers": ["a", 1, "b"], "more": 1}'])
    assert len(done.json["error"]["problems"]) == 3


def test_the_schema_s_bounds_hold(refused):
    refused(2, ["run", "orders.follow_up", "--input", '{"order_id": "", "days": 61}'], "$.order_id", "$.days")


def test_input_that_is_too_large_is_refused(refused, place):
    (place / "large.json").write_text(json.dumps({"numbers": [0] * 4_000_000}))
    assert (place / "large.json").stat().st_size > 11_000_000
    refused(2, ["run", "stats.average", "--input", "@large.json"], "large.json", "bytes")
    refused(2, ["run", "stats.average", "--input", "-"], "bytes", stdin=(place / "large.json").read_text())


def test_a_deep_value_is_carried_through_or_refused(cli, place):
    for depth in (20, 60, 120, 300):
        value = "x"
        for _ in range(depth):
            value = [value]
        done = cli("run", "list.unique", "--input", json.dumps({"values": [value]}), "--json")
        assert done.code in (0, 2, 8), done.out
        assert done.json
        if done.code == 0:
            assert done.json["output"]["values"] == [value]


def test_large_integers_are_carried_exactly_or_refused(cli):
    for number in (2**53, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30):
        done = cli("run", "list.unique", "--input", json.dumps({"values": [number]}), "--json")
        assert done.code in (0, 2, 8), done.out
        if done.code == 0:
            # Beyond 64 bits JSON's readers disagree; here it is the nearest float.
            assert done.json["output"]["values"] == [number if abs(number) < 2**63 else float(number)]


def test_an_input_file_that_is_no_text_is_told(refused, place):
    (place / "latin.json").write_bytes(b'{"text": "\xe9"}')
    refused(2, ["run", "text.slugify", "--input", "@latin.json"], "'latin.json' is not UTF-8 text: byte 10")
    refused(2, ["run", "text.slugify", "--input", "@."], "cannot be read")


def test_stdin_that_is_closed_is_told(place):
    shell = f'exec "{sys.executable}" -m ritesmith run text.slugify --input - <&-'
    done = subprocess.run(
        ["sh", "-c", shell], cwd=place, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    told(Done(done.returncode, done.stdout.decode(), done.stderr.decode()), 2, "stdin is closed")


def test_stdin_that_is_no_text_is_told(place):
    done = child("run", "text.slugify", "--input", "-", folder=place, stdin=b'{"text": "\xe9"}')
    told(done, 2, "stdin", "not UTF-8")


def test_arguments_that_are_no_text_are_told(place):
    for words in (["run", b"\xff.x"], ["show", b"a.\xff"], ["trace", b"\xff"], ["store", "get", b"\xff", "x"]):
        done = child(*words, folder=place)
        assert done.code in (2, 3)
        assert "defect" not in done.err
    for words in (["forge", b"zebra \xff"], ["run", "text.slugify", "--input", b'{"text": "\xff"}']):
        told(child(*words, folder=place), 2)


# ---------------------------------------------------------------- the registry file


def spoiled(place, how):
    """A registry file that is none, made in this way."""
    file = place / "registry.db"
    if how == "text":
        file.write_text("this is no database, but it is long enough to be looked at as one" * 20)
    elif how == "another program":
        file.unlink()
        with sqlite3.connect(file) as connection:
            connection.execute("CREATE TABLE contacts (name)")
        connection.close()
    elif how == "another program with an id":
        file.unlink()
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA application_id = 77")
        connection.close()
    elif how == "newer":
        with sqlite3.connect(file) as connection:
            connection.execute(f"PRAGMA user_version = {db.SCHEMA_VERSION + 1}")
        connection.close()
    elif how == "cut off":
        os.truncate(file, file.stat().st_size // 3 // 4096 * 4096)
    elif how == "edited page":
        data = bytearray(file.read_bytes())
        data[4096 : 200 * 4096] = b"\xa5" * (199 * 4096)
        file.write_bytes(data)
    elif how == "a folder":
        file.unlink()
        file.mkdir()
    elif how == "edited text":
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE artifacts SET text = replace(text, 'function run', 'function  run')")
        connection.close()
    return file


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("text", "is not a SQLite file"),
        ("another program", "is a SQLite file, but not a RiteSmith registry"),
        ("another program with an id", "is a SQLite file, but not a RiteSmith registry"),
        ("newer", "was written by a newer RiteSmith"),
        ("cut off", "damaged"),
        ("edited page", "damaged"),
        ("a folder", "cannot be opened"),
        ("edited text", "its digest differs"),
    ],
)
def test_a_registry_that_cannot_be_used_is_told_and_left_alone(cli, place, how, words):
    file = spoiled(place, how)
    before = file.read_bytes() if file.is_file() else None
    for command in (
        ["--db", "registry.db", "list"],
        ["--db", "registry.db", "run", "stats.average", "--input", '{"numbers": [1]}'],
        ["--db", "registry.db", "init"],
        ["--db", "registry.db", "runs"],
    ):
        if how == "edited text" and command[-1] in ("init", "runs"):
            continue
        told(cli(*command), 9, words)
        assert cli(*command, "--json").json["error"]["code"] == "store_error"
    assert (file.read_bytes() if file.is_file() else None) == before


def test_a_locked_registry_is_told(place):
    holder = sqlite3.connect(place / "registry.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        connection = db.open_db(place / "registry.db", busy_seconds=0.0)
        with pytest.raises(StoreError, match="is locked by another process"), db.transaction(connection):
            raise AssertionError("the lock was not seen")
        connection.close()
    finally:
        holder.close()


def test_a_folder_that_does_not_exist_is_told(cli, place):
    told(cli("--db", "no/such/folder/registry.db", "list"), 9, "there is no folder")
    assert not (place / "no").exists()


def test_a_folder_that_is_gone_is_told(tmp_path):
    code = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    gone = tmp_path / "gone"
    gone.mkdir()
    words = ["-P", "-m", "ritesmith", "list"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=gone, env=environment(), capture_output=True, text=True, check=False
    )
    told(Done(done.returncode, done.stdout, done.stderr), 3, "the folder that this was started in is gone")


UNPRIVILEGED = """
import ctypes, os, sys
if os.geteuid() == 0:
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: what lets root pass over file modes
        if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
            sys.exit(77)
os.execv(sys.executable, [sys.executable, "-m", "ritesmith", *sys.argv[1:]])
"""


def bound_by_modes(*words, folder):
    """One command in a child that may do no more than file modes say, root or not."""
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, *words],
        cwd=folder,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("root cannot give up its privileges here")
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def locked(place):
    """A folder with a registry in it, where nothing can be written and nobody has it open."""
    for part in ("-wal", "-shm"):
        (place / f"registry.db{part}").unlink(missing_ok=True)
    for file in place.iterdir():
        file.chmod(0o444)
    place.chmod(0o555)
    yield place
    place.chmod(0o755)


def test_a_read_only_folder_is_told(locked):
    before = (locked / "registry.db").read_bytes()
    files = sorted(each.name for each in locked.iterdir())
    for words in (["run", "orders.refund", "--input", "@order.json"], ["--db", "new.db", "init"]):
        told(bound_by_modes(*words, folder=locked), 9, "writable")
    for words in (["list"], ["search", "refund"], ["show", "orders.refund"], ["runs"]):
        assert bound_by_modes(*words, folder=locked).code == 0
    assert sorted(each.name for each in locked.iterdir()) == files
    assert (locked / "registry.db").read_bytes() == before


def test_a_folder_where_the_demo_cannot_write_its_files_is_told(place):
    (place / "order.json").unlink()
    place.chmod(0o555)
    try:
        told(bound_by_modes("init", "--demo", folder=place), 9, "registry.db", "cannot be written")
    finally:
        place.chmod(0o755)


# ---------------------------------------------------------------- files that people write

MISTAKES = """--[[ capability
{
  "name": "Probe Wrong",
  "intent": "",
  "inputs": {"type": "object"},
  "input": {"type": "objekt"},
  "output": {"type": "object", "required": "all"},
  "grants": {"store.got": {}},
  "limits": {"fuel": -1},
  "examples": [{"input": {}}]
}
]]
function run(input, context)
  return {}
end
"""
EIGHT = """--[[ capability
{
  "name": "probe.wrong",
  "intent": "add what is wrong",
  "input": {"type": "object", "required": ["n"], "properties": {"n": {"type": "number"}}},
  "output": {"type": "object", "required": ["n"], "properties": {"n": {"type": "number"}}},
  "grants": {"store.get": {"namespaces": ["probe"]}},
  "examples": [{"input": {"n": "one"}, "output": {"n": 1}}]
}
]]
function run(input, context)
  total = 0
  os.execute("true")
  local unused = 1
  pritn(input.n)
  input.n = 2
  store.put{namespace = "probe", key = "a", value = {}}
  load("return 1")()
  while true do end
end
"""


def test_a_capability_with_many_mistakes_is_told_all_of_them_at_once(refused, place):
    (place / "wrong.lua").write_text(EIGHT)
    done = refused(5, ["publish", "wrong.lua"], "wrong.lua")
    errors = [each for each in done.json["error"]["findings"] if each["severity"] == "error"]
    assert len(errors) >= 8
    assert {each["where"]["line"] for each in errors} >= {12, 13, 15, 16, 17, 18}
    assert all(each["code"] and each["message"] for each in errors)


def test_a_header_with_many_mistakes_is_told_all_of_them_at_once(refused, place):
    (place / "wrong.lua").write_text(MISTAKES)
    done = refused(5, ["publish", "wrong.lua"], "did you mean 'input'?")
    paths = {each["where"]["path"] for each in done.json["error"]["findings"]}
    assert {"$.name", "$.intent", "$.inputs", "$.limits.fuel"} <= paths


CAPABILITIES = {
    "empty": "",
    "no header": "function run(input, context) return {} end",
    "header is no json": "--[[ capability\n{name: 1}\n]]\nfunction run() end",
    "header is a list": "--[[ capability\n[]\n]]\nfunction run() end",
    "header has NaN": '--[[ capability\n{"name": NaN}\n]]\nfunction run() end',
    "header has endless digits": '--[[ capability\n{"name": ' + "9" * 5000 + "}\n]]\nfunction run() end",
    "header nested without end": "--[[ capability\n" + "[" * 100_000 + "\n]]\nfunction run() end",
    "header has half a surrogate pair": '--[[ capability\n{"name": "a.b", "intent": "add \\ud800", "input": {}, '
    '"output": {}, "examples": [{"input": {}, "output": {}}, {"input": 1, "output": {}}]}\n]]\n'
    "function run(input) return {} end",
    "header not closed": "--[[ capability\n{}",
    "bytecode": "\x1bLua",
    "nul": "--[[ capability\n{}\n]]\n\x00",
}


@pytest.mark.parametrize("text", CAPABILITIES.values(), ids=CAPABILITIES)
def test_a_capability_file_of_a_wrong_shape_is_rejected(refused, place, text):
    (place / "wrong.lua").write_text(text)
    refused(5, ["publish", "wrong.lua"], "wrong.lua")


WORKFLOWS = {
    "empty": "",
    "no json": "{",
    "a list": "[]",
    "a number": "7",
    "null": "null",
    "no nodes": '{"name": "a.b"}',
    "nodes of a wrong shape": '{"name": "a.b", "intent": "x", "input": {}, "start": "x", "nodes": {"x": 1}}',
    "a node of a wrong shape": '{"name": "a.b", "intent": "x", "input": {}, "start": "x", "nodes": [7, null, "x"]}',
    "nested without end": "[" * 100_000,
    "half a surrogate pair": '{"name": "a.b", "intent": "\\ud800", "input": {}, "start": "e", "nodes": '
    '[{"id": "e", "kind": "end"}], "examples": [{"input": {}}]}',
    "NaN": '{"name": NaN}',
    "infinite": '{"name": "a.b", "intent": "x", "input": {}, "start": "e", "limits": {"steps": 1e999}, "nodes": '
    '[{"id": "e", "kind": "end"}]}',
}


@pytest.mark.parametrize("text", WORKFLOWS.values(), ids=WORKFLOWS)
def test_a_workflow_file_of_a_wrong_shape_is_rejected(refused, place, text):
    (place / "wrong.json").write_text(text)
    refused(5, ["publish", "wrong.json"], "wrong.json")
    refused(5, ["run", "wrong.json"], "wrong.json")


EXAMPLES = {
    "no json": ("[", "examples.json:1:2"),
    "a number": ("7", "holds no list of examples"),
    "a string": ('"x"', "holds no list of examples"),
    "null": ("null", "holds no list of examples"),
    "an object": ('{"input": {}}', "holds no list of examples"),
    "examples that are no list": ('{"examples": {}}', "holds no list of examples"),
    "a list of numbers": ("[1, 2]", "example 1 has no input"),
    "no input": ('[{"output": 1}]', "example 1 has no input"),
    "no output": ('[{"input": {}, "output": 1}, {"input": {}}]', "example 2 does not say what should come out"),
    "unknown field": ('[{"input": {}, "output": 1, "outptu": 2}]', "example 1"),
    "error of a wrong type": ('[{"input": {}, "error": 7}]', "example 1"),
    "store of a wrong shape": ('[{"input": {}, "output": 1, "store": []}]', "example 1"),
    "hosts of a wrong shape": ('[{"input": {}, "output": 1, "hosts": [7]}]', "example 1"),
    "nested without end": ("[" * 100_000, "nested too deeply"),
    "half a surrogate pair": ('[{"input": {"text": "\\ud800"}, "output": {}}]', "half of a surrogate pair"),
    "NaN": ('[{"input": {"x": NaN}, "output": {}}]', "NaN is not JSON"),
    "infinity": ('[{"input": {"x": 1e999}, "output": {}}]', "the number 1e999 is too large"),
}


@pytest.mark.parametrize(("text", "words"), EXAMPLES.values(), ids=EXAMPLES)
def test_examples_of_a_wrong_shape_are_told(refused, place, text, words):
    (place / "examples.json").write_text(text)
    refused(2, ["forge", "average of a list of numbers", "--examples", "examples.json"], words)


def test_files_that_cannot_be_read_are_told(refused, place):
    (place / "large.lua").write_text("-" * 11_000_000)
    (place / "latin.lua").write_bytes(b"\xe9")
    refused(2, ["publish", "large.lua"], "has more than 10485760 bytes")
    refused(2, ["publish", "latin.lua"], "is not UTF-8 text")
    refused(2, ["publish", "."], "cannot be read")
    refused(2, ["publish", "/dev/zero"], "bytes")
    refused(3, ["publish", "ordr.json"], "did you mean 'order.json'?")
    refused(3, ["forge", "average", "--examples", "none/at/all.json"], "there is no file")


# ---------------------------------------------------------------- intents, and what the forge lacks


@pytest.mark.parametrize("intent", ["", "  ", "7", "!!!", "x" * 2001])
def test_an_intent_that_says_nothing_is_refused(refused, intent):
    refused(2, ["forge", intent], "intent")


@pytest.mark.parametrize("name", ["", "Bad Name", "initials", "a..b", "a.b\n", "1.a"])
def test_a_name_that_cannot_be_one_is_refused(refused, name):
    refused(2, ["forge", "average of a list of numbers", "--name", name], "cannot be a name")


def test_without_a_model_the_forge_says_what_is_missing_and_how_to_get_it(refused):
    done = refused(6, ["forge", "compress an image of a zebra"], "no capability for", "OPENAI_API_KEY")
    assert "RITESMITH_LLM_BASE_URL" in done.json["error"]["hint"]
    assert done.json["error"]["report"]["gaps"]


# ---------------------------------------------------------------- model servers


@pytest.fixture
def model(monkeypatch, refused):
    """Forge with a model server, in a way that must be refused."""
    monkeypatch.setenv("RITESMITH_LLM_MODEL", "tiny")

    def call(base_url, *expected, code=6, key=None, options=()):
        monkeypatch.setenv("RITESMITH_LLM_BASE_URL", base_url)
        if key:
            monkeypatch.setenv("OPENAI_API_KEY", key)
        done = refused(code, ["forge", "compress an image of a zebra", *options], *expected)
        assert "hunter2" not in done.out + done.err
        return done

    return call


def test_a_server_that_is_not_there_is_told(model):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    done = model(url, url, "did not answer", "check that the server runs")
    assert done.json["error"]["reason"] == "unreachable"


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x/v1", "http://", "http://[::1", "http://x:99999/v1"])
def test_a_server_address_that_is_none_is_refused(model, url):
    model(url, "is not an http or https URL", code=2)


def test_a_key_that_no_header_can_carry_is_refused(model):
    model("http://127.0.0.1:9/v1", "OPENAI_API_KEY holds a character", code=2, key="sk-\u2028hunter2")


REFUSALS = {
    "wrong key": (401, "check OPENAI_API_KEY", "wrong_key"),
    "forbidden": (403, "may not use this model", "forbidden"),
    "no such model": (404, "check RITESMITH_LLM_MODEL", "model_not_found"),
    "refused": (418, "the server refuses", "refused"),
}


@pytest.mark.parametrize(("status", "words", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_a_server_that_refuses_is_told(model, status, words, reason):
    with ScriptedAuthor([ScriptedReply(status=status, text="no, hunter2")] * 2) as author:
        done = model(author.base_url, words, "'tiny'", key="hunter2")
    assert done.json["error"]["reason"] == reason
    assert author.left == 0


def test_a_server_that_fails_is_asked_again_then_told(model):
    with ScriptedAuthor(
        [ScriptedReply(status=500, text="out of memory", headers={"retry-after-ms": "1"})] * 6
    ) as author:
        done = model(author.base_url, "out of memory", "the server failed")
    assert done.json["error"]["reason"] == "server_error"
    assert len(author.requests) == 6


ANSWERS = {
    "a page": (ScriptedReply(body="<html>welcome</html>", content_type="text/html"), "malformed_answer"),
    "no json": (ScriptedReply(body="{", content_type="application/json"), "malformed_answer"),
    "other json": (ScriptedReply(body="[1]", content_type="application/json"), "malformed_answer"),
    "no choice": (ScriptedReply(choices=False), "empty_answer"),
    "cut": (ScriptedReply(text="```lua\n" + "-- more\n" * 30, cut=True), "stream_cut"),
    "no end": (ScriptedReply(text="```lua\n", finish_reason=None), "stream_cut"),
}


@pytest.mark.parametrize(("reply", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_no_chat_completion_is_told(model, reply, reason):
    with ScriptedAuthor([reply] * 2) as author:
        done = model(author.base_url, "did not answer")
    assert done.json["error"]["reason"] == reason


RUBBISH = {
    "prose": "I would be glad to help you with that! What would you like?",
    "empty": "",
    "blank": " \n\n ",
    "python": "```python\ndef run(input): ...\n```",
    "binary": "\x00\x01\x02\x7f",
    "fences only": "```\n```\n```lua\n```",
    "lua without a header": "```lua\nfunction run(input) return {} end\n```",
    "header without an end": "```lua\n--[[ capability\n{\n```",
    "a workflow of nothing": '```json\n{"nodes": []}\n```',
    "json of something else": '```json\n{"answer": 42}\n```',
    "nested without end": "```json\n" + '{"nodes": ' + "[" * 100_000 + "\n```",
    "half a surrogate pair": '```json\n{"name": "a.b", "intent": "\\ud800", "nodes": []}\n```',
    "escape codes": "\x1b[31mred\x1b[0m\x1b]0;title\x07",
}


@pytest.mark.parametrize("text", RUBBISH.values(), ids=RUBBISH)
def test_a_model_that_answers_rubbish_is_told_and_asked_only_once_more(model, text):
    with ScriptedAuthor([text] * 4) as author:
        done = model(author.base_url, "same errors twice")
    assert author.left == 0
    assert done.json["error"]["report"]["calls"] == 2
    assert done.json["error"]["report"]["findings"]
    assert "\x1b" not in done.out


def test_a_model_that_runs_into_its_token_limit_is_told(model):
    reply = ScriptedReply(text="```lua\n--[[ capability\n{", finish_reason="length")
    with ScriptedAuthor([reply] * 4) as author:
        done = model(author.base_url, "token limit")
    assert {each["code"] for each in done.json["error"]["report"]["findings"]} >= {"truncated_answer"}


# ---------------------------------------------------------------- errors and faces


def test_a_defect_is_called_one_and_shows_its_place_only_when_asked(cli, monkeypatch):
    def broken(self, *args, **more):
        raise ZeroDivisionError("probe")

    monkeypatch.setattr(RiteSmith, "listing", broken)
    done = cli("list")
    assert done.code == 1
    assert "Error: ZeroDivisionError: probe" in done.err
    assert "this is a defect in RiteSmith" in done.err
    assert "Traceback" not in done.err
    assert cli("list", "--json").json["error"]["code"] == "defect"
    monkeypatch.setenv("RITESMITH_DEBUG", "1")
    with pytest.raises(ZeroDivisionError, match="probe"):
        cli("list")


def test_an_interruption_is_130_and_says_how_to_go_on(cli, monkeypatch):
    def interrupted(self, *args, **more):
        raise KeyboardInterrupt

    words = ("run", "stats.average", "--input", '{"numbers": [1]}')
    with monkeypatch.context() as patched:
        patched.setattr(RiteSmith, "drive", interrupted)
        done = cli(*words, "--json")
        assert done.code == 130
        assert done.json["error"]["code"] == "interrupted"
        told(cli(*words), 130, "interrupted", "ritesmith resume")
    assert [row["status"] for row in cli("runs", "--json").json["runs"]] == ["running", "running"]
    assert [each["status"] for each in cli("resume", "--json").json["runs"]] == ["succeeded", "succeeded"]


def test_every_exit_code_is_documented_in_the_help(cli):
    from ritesmith import errors

    codes = {
        each.exit_code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.RiteSmithError) and each is not errors.RiteSmithError
    }
    shown = [line.split()[0] for line in cli("help", "exit-codes").out.splitlines()]
    assert {str(code) for code in (0, 130, *codes)} <= set(shown)


def test_a_traceback_shows_what_to_do():
    shown = "".join(traceback.format_exception(NotFound("there is no 'a'", hint="did you mean 'b'?")))
    assert shown.endswith("there is no 'a'\nHint: did you mean 'b'?\n")


@pytest.mark.parametrize("folder", [".", "capabilities"])
def test_a_folder_is_no_registry(cli, place, folder):
    (place / "capabilities").mkdir()
    told(
        cli("--db", folder, "list"),
        9,
        f"'{folder}' cannot be opened: it is a folder",
        "name the file: --db",
        "registry.db",
    )


def test_where_no_folder_can_be_made_nothing_is(cli, place):
    (place / "capabilities").mkdir()
    (place / "capabilities" / "orders").write_text("a file")
    told(cli("new", "orders.total"), 2, "'capabilities/orders' cannot be made a folder")


def test_ctrl_c_before_the_command_begins_says_nothing(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["ritesmith", "list"])
    monkeypatch.setattr("ritesmith.cli.main", interrupted)
    assert entry.main() == entry.INTERRUPTED
