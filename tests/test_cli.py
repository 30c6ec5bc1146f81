"""The command line through its real entry: what each command prints, its exit code, and runs that outlive it."""

import itertools
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from conftest import child, environment, fingerprint, interrupt, start, until

from ritesmith import hosts
from ritesmith.app import RiteSmith
from ritesmith.cli.commands import ritesmith as command_tree
from ritesmith.hosts.store import write_world

COUNT = """--[[ capability
{"name": "probe.count", "intent": "count how often this was run",
 "input": {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}},
           "additionalProperties": false},
 "output": {"type": "object", "required": ["count"], "properties": {"count": {"type": "integer"}}},
 "grants": {"store.get": {"namespaces": ["probe"]}, "store.put": {"namespaces": ["probe"]}},
 "examples": [
  {"input": {"key": "a"}, "output": {"count": 1}, "store_after": {"probe": {"a": {"count": 1}}}},
  {"input": {"key": "a"}, "output": {"count": 3}, "store": {"probe": {"a": {"count": 2}}},
   "store_after": {"probe": {"a": {"count": 3}}}}]}
]]
function run(input, context)
  local found = store.get{namespace = "probe", key = input.key}
  local count = 1
  if found.value then count = found.value.count + 1 end
  store.put{namespace = "probe", key = input.key, value = {count = count}}
  return {count = count}
end
"""


def counting(name="probe.two", between=()):
    """A workflow that counts twice, with nodes in between."""
    nodes = [
        {"id": "first", "kind": "task", "capability": "probe.count", "with": {"key": "one"}},
        *between,
        {"id": "second", "kind": "task", "capability": "probe.count", "with": {"key": "two"}},
        {
            "id": "done",
            "kind": "end",
            "outcome": "counted",
            "output": {"first": {"var": "nodes.first.output.count"}, "second": {"var": "nodes.second.output.count"}},
        },
    ]
    for node, following in itertools.pairwise(nodes):
        node["next"] = following["id"]
    for node in nodes:
        if node.get("capability"):
            node["no_compensation"] = "a count says how often something happened"
    after = {"probe": {"one": {"count": 1}, "two": {"count": 1}}}
    return {
        "name": name,
        "intent": "count twice",
        "input": {"type": "object", "properties": {}, "additionalProperties": False},
        "start": "first",
        "nodes": nodes,
        "examples": [{"input": {}, "outcome": "counted", "output": {"first": 1, "second": 1}, "store_after": after}],
    }


@pytest.fixture(scope="module")
def counters(ready, tmp_path_factory):
    """The files of a capability that counts its runs and of workflows made of it, and a registry that has them."""
    folder = tmp_path_factory.mktemp("counters")
    shutil.copy(ready / "registry.db", folder)
    nap = {"id": "nap", "kind": "sleep", "seconds": 3600}
    (folder / "count.lua").write_text(COUNT)
    (folder / "two.json").write_text(json.dumps(counting()))
    (folder / "nap.json").write_text(json.dumps(counting("probe.nap", [nap])))
    (folder / "script.lua").write_text("function run(input, context) return {n = 1} end")
    (folder / "bad.lua").write_text("function run(")
    with RiteSmith.open(str(folder / "registry.db"), environment={}) as app:
        for name in ("count.lua", "two.json", "nap.json"):
            app.publish_file(folder / name)
    return folder


@pytest.fixture
def counter(counters, place):
    """A place with all of that."""
    shutil.copytree(counters, place, dirs_exist_ok=True)
    return place


def documents(cli, namespace):
    return {each["key"]: each["value"] for each in cli("store", "list", namespace, "--json").json["documents"]}


# ---------------------------------------------------------------- the demo


def test_the_demo_session_from_an_empty_folder_to_the_trace(tmp_path):
    made = child("init", "--demo", folder=tmp_path)
    assert made.code == 0
    assert re.search(r"made registry.db: \d+ capabilities and \d+ workflows", made.err)
    assert {"order.json", "refund_examples.json", "registry.db"} <= {each.name for each in tmp_path.iterdir()}

    forged = child(
        "forge",
        "process an order refund, with approval above 100",
        "--examples",
        "refund_examples.json",
        folder=tmp_path,
    )
    assert forged.code == 0
    assert "reused orders.refund@1" in forged.out
    assert "tokens 0" in forged.out

    waits = child("run", "orders.refund", "--input", "@order.json", folder=tmp_path)
    assert waits.code == 0
    assert "Refund 349.00 EUR to Bob Jones for order ORD-1002?" in waits.words
    assert f"next: ritesmith approve {waits.run}" in waits.out

    approved = child("approve", waits.run, "--by", "ann", "--comment", "fine", folder=tmp_path)
    assert approved.code == 0
    assert "succeeded (refunded)" in approved.out

    trace = child("trace", waits.run, folder=tmp_path)
    assert trace.code == 0
    assert "approved by ann: fine" in trace.words
    order = [trace.out.index(f" {node} ") for node in ("validate", "policy", "approve", "refund", "notify")]
    assert order == sorted(order)

    stored = json.loads(child("store", "get", "accounts", "merchant", folder=tmp_path).out)
    assert stored["balance"] == 5000 - 349
    for words, found in ((["list"], "orders.refund"), (["search", "refund"], "orders.refund")):
        shown = child(*words, folder=tmp_path)
        assert shown.code == 0
        assert found in shown.out


def test_a_refund_that_cannot_be_told_is_undone(cli):
    done = cli("run", "orders.refund", "--input", '{"order_id": "ORD-1004"}')
    assert done.code == 8
    assert "compensated" in done.out
    assert "invalid_address" in done.out
    assert cli("store", "get", "accounts", "merchant", "--json").json["value"]["balance"] == 5000
    assert cli("store", "get", "orders", "ORD-1004", "--json").json["value"]["status"] == "paid"


def test_init_again_keeps_what_is_there(cli, place):
    (place / "order.json").write_text("{}")
    before = fingerprint(place / "registry.db")
    again = cli("init", "--demo")
    assert again.code == 0
    assert "kept order.json, which was there" in again.out
    assert (place / "order.json").read_text() == "{}"
    assert fingerprint(place / "registry.db") == before


# ---------------------------------------------------------------- every command, for people and for programs


def finished(cli):
    return cli("run", "stats.average", "--input", '{"numbers": [1, 2, 6]}').run


def waiting(cli):
    return cli("run", "orders.refund", "--input", "@order.json").run


def awaiting(cli):
    return cli("run", "orders.confirm_delivery", "--input", '{"order_id": "ORD-1002"}').run


def asleep(cli):
    return cli("run", "probe.nap").run


def rejected(cli):
    run = waiting(cli)
    cli("reject", run)
    return run


def token(cli):
    return cli("token", awaiting(cli)).out.strip()


def tagged(cli):
    cli("tag", "stats.median@1", "stable")
    return "stats.median"


def exported(cli):
    return cli("export", "orders.refund", "--json").json["file"]


def untrusted(cli):
    key = "5866666666666666666666666666666666666666666666666666666666666666"  # the base point of the curve
    if key in cli("trust", "list").out:
        cli("trust", "remove", key)
    return key


def trusted(cli):
    key = untrusted(cli)
    cli("trust", "add", key, "--name", "somebody")
    return key


def written(name, text):
    Path(name).write_text(text)
    return name


def begun(cli):
    cli("new", "demo.begun")
    return "demo.begun.lua"


COMMANDS = {
    "init": lambda cli: ["init"],
    "init --demo": lambda cli: ["init", "--demo"],
    "forge": lambda cli: ["forge", "average of a list of numbers"],
    "new": lambda cli: ["new", "demo.begin", "--grant", "store.get"],
    "new --workflow": lambda cli: ["new", "demo.begin", "--workflow"],
    "check": lambda cli: ["check", "two.json"],
    "test": lambda cli: ["test", "two.json"],
    "fmt": lambda cli: ["fmt", "two.json"],
    "fmt --check": lambda cli: ["fmt", "--check", begun(cli)],
    "fuel": lambda cli: ["fuel", "stats.average"],
    "fuel of a file": lambda cli: ["fuel", begun(cli), "--input", '{"text": "a"}'],
    "publish": lambda cli: ["publish", "two.json"],
    "list": lambda cli: ["list"],
    "list --kind": lambda cli: ["list", "--kind", "workflow"],
    "search": lambda cli: ["search", "refund an order"],
    "search for nothing": lambda cli: ["search", "xylophone"],
    "show a workflow": lambda cli: ["show", "orders.refund"],
    "show a capability": lambda cli: ["show", "stats.average@1"],
    "list, narrowed and sorted": lambda cli: ["list", "--risk", "low", "--sort", "uses", "--limit", "3", "--versions"],
    "list of nothing": lambda cli: ["list", "--status", "revoked"],
    "show --uses": lambda cli: ["show", "orders.refund", "--uses"],
    "show --used-by": lambda cli: ["show", "payments.refund", "--used-by"],
    "show --uses of one without parts": lambda cli: ["show", "stats.average", "--uses"],
    "diff": lambda cli: ["diff", "stats.average", "stats.median"],
    "stats": lambda cli: ["stats"],
    "usage": lambda cli: ["usage"],
    "deprecate": lambda cli: ["deprecate", "stats.median@1", "--reason", "use stats.average"],
    "revoke": lambda cli: ["revoke", "payments.refund@1", "--reason", "it pays twice"],
    "tag": lambda cli: ["tag", "stats.median@1", "stable"],
    "tag --remove": lambda cli: ["tag", tagged(cli), "stable", "--remove"],
    "export": lambda cli: ["export", "orders.refund"],
    "import": lambda cli: ["import", exported(cli)],
    "prune": lambda cli: ["prune"],
    "verify": lambda cli: ["verify", "stats.average"],
    "verify --no-examples": lambda cli: ["verify", "--no-examples"],
    "backup": lambda cli: ["backup", "copy.db"],
    "rebuild": lambda cli: ["rebuild"],
    "trust list": lambda cli: ["trust", "list"],
    "trust add": lambda cli: ["trust", "add", untrusted(cli)],
    "trust remove": lambda cli: ["trust", "remove", trusted(cli)],
    "hosts": lambda cli: ["hosts"],
    "hosts NAME": lambda cli: ["hosts", "http.request"],
    "policy explain": lambda cli: ["policy", "explain", "orders.refund"],
    "run": lambda cli: ["run", "stats.average", "--input", '{"numbers": [1, 2, 6]}'],
    "run that waits": lambda cli: ["run", "orders.refund", "--input", "@order.json"],
    "run --detach": lambda cli: ["run", "orders.refund", "--input", "@order.json", "--detach"],
    "run --watch": lambda cli: ["run", "stats.average", "--input", '{"numbers": [1, 2, 6]}', "--watch"],
    "run --dry-run": lambda cli: ["run", "orders.refund", "--input", "@order.json", "--dry-run"],
    "resume": lambda cli: ["resume"],
    "resume RUN": lambda cli: ["resume", finished(cli)],
    "approve": lambda cli: ["approve", waiting(cli)],
    "reject": lambda cli: ["reject", waiting(cli)],
    "deliver": lambda cli: ["deliver", awaiting(cli), "--payload", '{"received_by": "Bob"}'],
    "token": lambda cli: ["token", awaiting(cli)],
    "deliver --token": lambda cli: ["deliver", "--token", token(cli), "--payload", '{"received_by": "Bob"}'],
    "wake": lambda cli: ["wake", asleep(cli)],
    "cancel": lambda cli: ["cancel", waiting(cli), "--reason", "no longer wanted"],
    "fork": lambda cli: ["fork", rejected(cli), "--from", "approve"],
    "runs": lambda cli: ["runs"],
    "runs diff": lambda cli: ["runs", "diff", *[finished(cli)] * 2],
    "runs --stuck": lambda cli: ["runs", "--stuck"],
    "trace": lambda cli: ["trace", finished(cli)],
    "explain": lambda cli: ["explain", finished(cli)],
    "trace --full": lambda cli: ["trace", finished(cli), "--full"],
    "trace --mermaid": lambda cli: ["trace", finished(cli), "--mermaid"],
    "trace --svg": lambda cli: ["trace", finished(cli), "--svg"],
    "trace --html": lambda cli: ["trace", finished(cli), "--html"],
    "trace --output": lambda cli: ["trace", waiting(cli), "--html", "--output", "run.html", "--force"],
    "trace --watch": lambda cli: ["trace", finished(cli), "--watch"],
    "replay": lambda cli: ["replay", finished(cli)],
    "store list": lambda cli: ["store", "list"],
    "store list NAMESPACE": lambda cli: ["store", "list", "orders"],
    "store get": lambda cli: ["store", "get", "orders", "ORD-1001"],
    "store put": lambda cli: ["store", "put", "notes", "one", '{"n": 1}', "--if-version", "0"],
    "store import": lambda cli: ["store", "import", written("world.json", '{"notes": {"a": {}}}')],
    "sandbox": lambda cli: ["sandbox", "script.lua"],
    "doctor": lambda cli: ["doctor"],
    "config show": lambda cli: ["config", "show"],
    "config show --origin": lambda cli: ["config", "show", "http", "--origin"],
    "config path": lambda cli: ["config", "path"],
}
REFUSED = {
    "no command": (["lst"], 2, "usage"),
    "no subcommand": (["store", "gt"], 2, "usage"),
    "no argument": (["run"], 2, "usage"),
    "no option": (["run", "orders.refund", "--inptu", "{}"], 2, "usage"),
    "no choice": (["list", "--kind", "thing"], 2, "usage"),
    "wrong input": (["run", "orders.refund", "--input", "{"], 2, "invalid_input"),
    "no artifact": (["run", "orders.nothing"], 3, "not_found"),
    "no run": (["trace", "nothing"], 3, "not_found"),
    "no host function": (["hosts", "http.requst"], 3, "not_found"),
    "no file": (["check", "nothing.lua"], 3, "not_found"),
    "no document": (["store", "get", "orders", "nothing"], 3, "not_found"),
    "no object": (["store", "put", "orders", "ORD-1001", "[]"], 2, "invalid_input"),
    "another version": (["store", "put", "orders", "ORD-1001", "{}", "--if-version", "9"], 4, "conflict"),
    "no documents": (["store", "import", "bad.lua"], 2, "invalid_input"),
    "conflict": (["approve", "orders.refund@1"], 4, "conflict"),
    "rejected": (["publish", "bad.lua"], 5, "rejected"),
    "nothing forged": (["forge", "frobnicate the quantum zebra"], 6, "forge_exhausted"),
    "no key": (["trust", "add", "ann"], 2, "invalid_input"),
    "no tag": (["tag", "stats.median", "stable", "--remove"], 3, "not_found"),
    "no reason": (["revoke", "stats.median@1"], 2, "usage"),
    "no name": (["new", "Demo"], 2, "invalid_input"),
    "no file to lay out": (["fmt", "two.txt"], 2, "invalid_input"),
    "no such example": (["fuel", "stats.average", "--example", "99"], 2, "invalid_input"),
    "no bundle": (["import", "order.json"], 2, "invalid_input"),
    "a picture of what": (["trace", "r", "--output", "run.svg"], 2, "usage"),
    "a picture that grows": (["trace", "r", "--svg", "--watch"], 2, "usage"),
    "two pictures at once": (["trace", "r", "--svg", "--html"], 2, "usage"),
    "options of the list": (["runs", "--stuck", "diff", "a", "b"], 2, "usage"),
    "no run to compare": (["runs", "diff", "a", "b"], 3, "not_found"),
    "a file that is there": (["backup", "order.json"], 4, "conflict"),
    "no setting": (["config", "show", "htpt"], 3, "not_found"),
    "no registry": (["--db", "order.json", "list"], 9, "store_error"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_with_json_stdout_is_one_json_object(counter, cli, words):
    done = cli(*words(cli), "--json")
    assert done.code == 0, done.err
    assert done.json
    assert done.out.count("\n") == 1


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_without_json_it_is_for_people_and_without_control_codes(counter, cli, words):
    done = cli(*words(cli))
    assert done.code == 0, done.err
    assert done.out.strip() or done.err.strip()
    assert "\x1b" not in done.out + done.err
    assert "\r" not in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("words", "code", "kind"), REFUSED.values(), ids=REFUSED)
def test_an_error_with_json_is_one_json_object_too(counter, cli, words, code, kind):
    before = fingerprint(counter / "registry.db")
    done = cli(*words, "--json")
    assert done.code == code
    assert done.json["error"]["code"] == kind
    assert done.json["error"]["message"]
    assert done.err == ""
    assert fingerprint(counter / "registry.db") == before


@pytest.mark.parametrize(("words", "code", "kind"), REFUSED.values(), ids=REFUSED)
def test_an_error_for_people_is_one_message_on_stderr(counter, cli, words, code, kind):
    done = cli(*words)
    assert done.code == code
    assert done.err.count("Error: ") == 1
    assert "Traceback" not in done.err
    assert done.out == "" or kind == "forge_exhausted"


def test_every_command_is_covered_above():
    def leaves(group, before=()):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from leaves(command, (*before, name))
            else:
                yield " ".join((*before, name))

    covered = {word for label in COMMANDS for word in (label, label.split()[0], " ".join(label.split()[:2]))}
    # A write of unknown outcome needs a world that loses one: tests/test_hosts_in_runs.py has such a mail server.
    # The others want a run that failed, one that does not end by itself, a server or a shell: they have own tests.
    own = {"resolve", "retry", "compensate", "worker", "mcp sync", "completion", "help"}
    assert set(leaves(command_tree)) - covered == own


def test_hosts_are_shown_with_what_they_may_do_and_how_they_are_called(cli):
    rows = {row["name"]: row for row in cli("hosts", "--json").json["host_functions"]}
    assert set(rows) == set(hosts.CATALOG)
    assert rows["http.request"]["narrows"] == ["hosts", "methods", "secrets"]
    listed = cli("hosts").words
    assert all(name in listed for name in hosts.CATALOG)
    assert "read with method GET, HEAD" in cli("hosts", "http.request").words
    told = cli("hosts", "store.put", "--json").json
    assert told["example"]["grants"] == {"store.put": {"namespaces": ["orders"]}}
    assert told["example"]["call"] == 'store.put{namespace = "orders", key = "key", value = json.object{}}'
    assert "did you mean 'http.get_json'?" in cli("hosts", "http.get_jsn").err


def test_resolve_says_that_nothing_is_unknown(cli):
    done = cli("resolve", finished(cli), "--happened", "--json")
    assert done.code == 4
    assert "no unknown effect" in done.json["error"]["message"]


def test_show_source_is_the_stored_text(cli, place):
    (place / "again.lua").write_text(cli("show", "stats.average", "--source").out.removesuffix("\n"))
    again = cli("publish", "again.lua", "--json").json
    assert (again["artifact"], again["new"]) == ("stats.average@1", False)


@pytest.mark.parametrize("name", [*command_tree.commands, "store list", "trust add", "policy explain", "mcp sync"])
def test_every_command_has_help(cli, name):
    done = cli(*name.split(), "--help")
    assert done.code == 0
    assert "Usage: ritesmith" in done.out
    undescribed = re.findall(r"^  (-\S+(?: \S+)?)\s*$", done.out, re.MULTILINE)
    assert [each for each in undescribed if each.startswith("--") and "[" not in each and len(each) < 24] == []


# ---------------------------------------------------------------- near misses


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["lits"], "Did you mean 'list'?"),
        (["store", "gett"], "Did you mean 'get'?"),
        (["run", "orders.refnd"], "did you mean 'orders.refund'?"),
        (["show", "stats.averge"], "did you mean 'stats.average'?"),
        (["runs", "--workflow", "orders.refnd"], "did you mean 'orders.refund'?"),
        (["runs", "--status", "waitng"], "Did you mean 'waiting'?"),
        (["list", "--kind", "workfow"], "Did you mean 'workflow'?"),
        (["list", "--db", "x.db"], "'--db' stands before the command: ritesmith --db FILE COMMAND"),
        (["ls"], "There is no command 'ls'. Did you mean 'list'?"),
        (["store", "zzz"], "There are: list, get, put, import."),
        (["help", "rnu"], "Did you mean 'run'?"),
        (["run", "capabilities/average.lua"], "ritesmith publish capabilities/average.lua"),
        (["run", "orders.refund", "--input", "@ordr.json"], "did you mean 'order.json'?"),
        (["forge", "a refund", "--examples", "refund_exmples.json"], "did you mean 'refund_examples.json'?"),
        (["store", "get", "orders", "ORD-101"], "did you mean 'ORD-1001'?"),
        (["run", "stats.average@7"], "versions of 'stats.average': 1 (active)"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_near_miss_is_named(cli, words, hint):
    done = cli(*words)
    assert done.code in (2, 3)
    assert hint in done.err


def test_a_run_is_found_by_the_beginning_of_its_id_and_a_near_miss_is_named(cli):
    run = finished(cli)
    assert cli("trace", run[:6], "--json").json["run"] == run
    assert f"did you mean '{run}'?" in cli("trace", run[:-1] + "x").err


@pytest.mark.parametrize("given", ["", "*", "r*", "?", "[a-z]*", "r%"])
def test_a_run_is_never_found_by_a_pattern(cli, given):
    run = waiting(cli)
    done = cli("approve", given)
    assert done.code == 3
    assert cli("trace", run, "--json").json["status"] == "waiting"


def test_a_beginning_that_fits_several_runs_is_refused(cli):
    assert finished(cli) != finished(cli)
    done = cli("trace", "r")
    assert done.code == 2
    assert "several runs begin with 'r'" in done.err


# ---------------------------------------------------------------- input, and what can be run


@pytest.mark.parametrize("how", ["text", "file", "stdin"])
def test_input_is_json_text_a_file_or_stdin(cli, place, how):
    text = '{"numbers": [1, 2, 6]}'
    (place / "numbers.json").write_text(text)
    given = {"text": text, "file": "@numbers.json", "stdin": "-"}[how]
    done = cli("run", "stats.average", "--input", given, "--json", stdin=text)
    assert done.code == 0
    assert done.json["output"] == {"average": 3}


def test_a_workflow_runs_by_name_by_version_and_by_file(counter, cli):
    for count, reference in enumerate(("probe.two", "probe.two@1", "two.json", "./two.json"), start=1):
        done = cli("run", reference, "--json")
        assert done.code == 0
        assert done.json["output"] == {"first": count, "second": count}
    assert cli("show", "probe.two", "--json").json["version"] == 1


def test_a_workflow_file_that_changed_runs_as_the_next_version(counter, cli):
    changed = counting() | {"intent": "count twice, and say so"}
    (counter / "two.json").write_text(json.dumps(changed))
    assert cli("run", "two.json").code == 0
    assert cli("show", "probe.two", "--json").json["version"] == 2


def test_a_capability_runs_by_its_name_as_one_step(cli):
    done = cli("run", "stats.average", "--input", '{"numbers": [1, 2, 6]}', "--json").json
    assert (done["status"], done["output"]) == ("succeeded", {"average": 3})
    assert [step["path"] for step in done["steps"]] == ["run"]


def test_what_looks_like_an_expression_stays_data_in_a_capability_run(cli):
    given = json.dumps({"text": "x", "separator": {"var": "input.text"}})
    assert cli("run", "text.split", "--input", given).code == 2


def test_unicode_and_awkward_values_come_through_unchanged(cli):
    for text in ("Ünïcödé ☃ 🦊", 'tab\tnewline\nquote"', "[bold]not markup[/bold]", "\u0000", "﻿x"):
        done = cli("run", "text.split", "--input", json.dumps({"text": text, "separator": "§"}), "--json")
        assert done.code == 0, done.out
        assert done.json["output"] == {"values": [text]}


def test_what_is_not_json_is_named_by_its_option(cli):
    run = cli("run", "orders.refund", "--input", "@order.json").run
    for words in (("run", "orders.refund", "--input"), ("deliver", run, "--payload"),
                  ("resolve", run, "--happened", "--result")):  # fmt: skip
        done = cli(*words, "{")
        assert (done.code, f"Error: {words[-1]}:1:2: this is not JSON" in done.err) == (2, True), done


def test_an_idempotency_key_gives_the_same_run(cli):
    words = ("run", "orders.refund", "--input", "@order.json", "--idempotency-key", "k1", "--json")
    first, again = cli(*words).json, cli(*words).json
    assert first["run"] == again["run"]
    assert len(cli("runs", "--json").json["runs"]) == 1
    cli("approve", first["run"])
    assert cli(*words).json["status"] == "succeeded"
    assert cli("store", "get", "accounts", "merchant", "--json").json["value"]["balance"] == 5000 - 349


def test_an_idempotency_key_with_other_input_is_a_conflict(cli):
    assert cli("run", "orders.refund", "--input", "@order.json", "--idempotency-key", "k1").code == 0
    other = cli("run", "orders.refund", "--input", '{"order_id": "ORD-1001"}', "--idempotency-key", "k1")
    assert other.code == 4
    assert re.search(r"key 'k1' belongs to run '\w+', which has another workflow or other input\n", other.err)
    assert len(cli("runs", "--json").json["runs"]) == 1


def test_an_idempotency_key_of_no_letters_is_refused(cli):
    done = cli("run", "orders.refund", "--input", "@order.json", "--idempotency-key", "")
    assert (done.code, "the idempotency key is empty" in done.err) == (2, True)
    assert cli("runs", "--json").json["runs"] == []


def test_a_failed_run_is_exit_code_8_and_shown_with_its_error(cli):
    done = cli("run", "orders.validate_refund", "--input", '{"order_id": "ORD-9"}', "--json")
    assert done.code == 8
    assert done.json["status"] == "failed"
    assert done.json["error"]["code"] == "order_not_found"


@pytest.mark.parametrize("words", [("worker", "--poll"), ("token", "r", "--seconds")], ids=lambda words: words[0])
def test_not_a_number_is_no_time_either(cli, words):
    done = cli(*words, "nan")
    assert (done.code, "not a number" in done.err) == (2, True)


def test_a_token_is_not_good_for_ever(cli):
    done = cli("token", awaiting(cli), "--seconds", "inf")
    assert (done.code, "not for ever" in done.err) == (2, True)


def test_what_a_person_says_to_a_version_is_kept_and_no_node_of_it_waits(cli, tmp_path):
    file = tmp_path / "count.lua"
    file.write_text(COUNT.replace('["probe"]', '["accounts"]').replace('"probe"', '"accounts"'), encoding="utf-8")
    published = cli("publish", file)  # it touches what the policy takes for money
    assert published.code == 0, published.err
    assert cli("approve", "probe.count@1", "--node", "ask").code == 2
    assert cli("approve", "probe.count@1", "--by", "ann", "--comment", "read it").code == 0
    history = cli("show", "probe.count@1", "--json").json
    assert "approved by ann: read it" in json.dumps(history)


@pytest.mark.parametrize("seconds", ["nan", "-1", "soon"])
def test_a_wait_that_is_no_time_is_refused(cli, seconds):
    done = cli("run", "stats.average", "--input", '{"numbers": [1]}', "--wait", seconds)
    assert done.code == 2
    assert cli("runs", "--json").json["runs"] == []


# ---------------------------------------------------------------- answers


def test_a_rejected_approval_ends_the_run_without_a_refund(cli):
    run = waiting(cli)
    done = cli("reject", run, "--by", "ann", "--comment", "too late", "--json")
    assert done.code == 0
    assert done.json["outcome"] == "rejected"
    assert cli("store", "get", "accounts", "merchant", "--json").json["value"]["balance"] == 5000
    assert cli("store", "get", "orders", "ORD-1002", "--json").json["value"]["status"] == "shipped"


def test_an_answer_is_taken_once(cli):
    run = waiting(cli)
    assert cli("approve", run).code == 0
    for again in ("approve", "reject"):
        done = cli(again, run)
        assert done.code == 4
        assert "waits for no approval; it is succeeded" in done.err


def test_an_approval_of_another_question_is_refused(cli):
    run = waiting(cli)
    digest = cli("trace", run, "--json").json["waiting"]["digest"]
    assert cli("approve", run, "--digest", "0" * 64).code == 4
    assert cli("trace", run, "--json").json["status"] == "waiting"
    assert cli("approve", run, "--digest", digest).code == 0


def test_a_callback_is_checked_then_delivered_once(cli):
    run = awaiting(cli)
    wrong = cli("deliver", run, "--payload", '{"received_by": 7}')
    assert wrong.code == 2
    assert "$.received_by" in wrong.err
    assert "ritesmith show" not in wrong.err
    assert cli("trace", run, "--json").json["status"] == "waiting"
    done = cli("deliver", run, "--payload", "-", "--json", stdin='{"received_by": "Bob"}')
    assert done.code == 0
    assert done.json["output"] == {"order_id": "ORD-1002", "received_by": "Bob"}
    assert documents(cli, "orders")["ORD-1002"]["status"] == "delivered"
    assert cli("deliver", run, "--payload", '{"received_by": "Bob"}').code == 4


def test_a_callback_for_a_run_that_waits_for_an_approval_is_refused(cli):
    run = waiting(cli)
    done = cli("deliver", run, "--payload", "{}")
    assert done.code == 4
    assert "waits for no callback" in done.err
    assert cli("approve", awaiting(cli)).code == 4


# ---------------------------------------------------------------- runs that outlive the process


def test_a_sleep_of_no_time_passes_and_a_long_one_is_left(cli):
    now = cli("run", "orders.follow_up", "--input", '{"order_id": "ORD-1001", "days": 0}', "--json")
    assert (now.code, now.json["outcome"]) == (0, "settled")
    later = cli("run", "orders.follow_up", "--input", '{"order_id": "ORD-1002", "days": 2}', "--json")
    assert (later.code, later.json["status"]) == (0, "sleeping")
    assert later.json["waiting"]["until"] - later.json["started_at"] >= 2 * 86400
    assert cli("resume", "--json").json == {"runs": [], "failed": []}
    assert cli("resume", later.json["run"], "--wait", "0", "--json").json["status"] == "sleeping"


def test_a_run_whose_time_has_come_is_resumed(counter, cli, hand_clock):
    run = cli("run", "probe.nap", "--wait", "0", "--json").json["run"]
    hand_clock.at += 3601
    with RiteSmith.open(str(counter / "registry.db"), clock=hand_clock) as app:
        assert app.unfinished() == [run]
        assert app.drive(run).output == {"first": 1, "second": 1}


def test_resume_with_nothing_to_do_says_so(cli):
    done = cli("resume")
    assert (done.code, done.out, done.err.strip()) == (0, "", "nothing to resume")


def test_ctrl_c_ends_with_130_and_the_run_goes_on_where_it_was(counter, cli, hand_clock):
    with start("run", "probe.nap", "--wait", "100000", folder=counter, start_new_session=True) as process:
        run = re.search(rb"run (r[0-9a-f]{10})", process.stderr.readline())[1].decode()
        until(lambda: cli("trace", run, "--json").json["status"] == "sleeping", process)
        interrupt(process)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == b""
    assert b"interrupted" in err
    assert b"ritesmith resume" in err
    assert b"Traceback" not in err
    assert cli("resume", run, "--wait", "0", "--json").json["status"] == "sleeping"
    hand_clock.at += 7200
    with RiteSmith.open(str(counter / "registry.db"), clock=hand_clock) as app:
        assert app.drive(run).output == {"first": 1, "second": 1}
    assert documents(cli, "probe") == {"one": {"count": 1}, "two": {"count": 1}}


DYING = textwrap.dedent(
    """
    import os, signal, sys
    from ritesmith.app import RiteSmith

    def watch(entry, state):
        if entry.seq >= last:
            os.kill(os.getpid(), signal.SIGKILL)

    last = int(sys.argv[1])
    with RiteSmith.open("registry.db") as app:
        app.run("probe.two", {}, watch=watch)
    """
)


@pytest.mark.parametrize("last", [2, 3, 4, 5])
def test_after_kill_9_resume_finishes_without_repeating_a_write(counter, cli, last):
    killed = subprocess.run(
        [sys.executable, "-c", DYING, str(last)], cwd=counter, env=environment(), capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    [row] = cli("runs", "--json").json["runs"]
    assert row["status"] == "running"
    done = cli("resume", "--json")
    assert done.code == 0
    assert [each["status"] for each in done.json["runs"]] == ["succeeded"]
    assert documents(cli, "probe") == {"one": {"count": 1}, "two": {"count": 1}}
    assert cli("resume").err.strip() == "nothing to resume"


def test_one_run_that_cannot_go_on_does_not_keep_the_others(counter, cli):
    with RiteSmith.open(str(counter / "registry.db")) as app:
        bad, good = app.start("probe.two", {}), app.start("probe.two", {})
        app.connection.execute(
            "UPDATE entries SET data = replace(data, '{}', '{\"x\":1}')"
            " WHERE run = (SELECT number FROM runs WHERE id = ?)",
            (bad,),
        )
    done = cli("resume", "--json")
    assert done.code == 8
    assert [each["run"] for each in done.json["runs"]] == [good]
    assert [(each["run"], each["error"]["code"]) for each in done.json["failed"]] == [(bad, "journal_mismatch")]
    told = cli("trace", bad)
    assert told.code == 8
    assert "was edited: entry 1" in told.err


@pytest.mark.parametrize("decisions", [("approve", "approve"), ("approve", "reject")], ids=" and ".join)
def test_two_answers_at_once_count_once(place, cli, decisions):
    run = waiting(cli)
    both = [start(decision, run, "--json", folder=place) for decision in decisions]
    ended = [(process.communicate(timeout=60), process.returncode) for process in both]
    codes = sorted(code for _, code in ended)
    assert codes == [0, 4], ended
    [output] = [json.loads(out) for (out, _), code in ended if code == 0]
    balance = cli("store", "get", "accounts", "merchant", "--json").json["value"]["balance"]
    assert balance == {"refunded": 5000 - 349, "rejected": 5000}[output["outcome"]]


def test_two_runs_at_once_with_one_key_are_one_run(place, cli):
    words = ("run", "orders.refund", "--input", '{"order_id": "ORD-1001"}', "--idempotency-key", "k", "--json")
    both = [start(*words, folder=place) for _ in range(2)]
    ended = [(process.communicate(timeout=60), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    assert len({json.loads(out)["run"] for (out, _), _ in ended}) == 1
    [row] = cli("runs", "--json").json["runs"]
    assert row["status"] == "succeeded"
    assert cli("store", "get", "accounts", "merchant", "--json").json["value"]["balance"] == 5000 - 49.9


# ---------------------------------------------------------------- streams


def test_no_colour_and_no_spinner_without_a_terminal(counter):
    for words in (["run", "probe.two"], ["show", "orders.refund"], ["trace", "r"], ["show", "text.split"]):
        done = child(*words, folder=counter, env=environment(TERM="xterm-256color"))
        assert done.code == 0
        assert "\x1b" not in done.out + done.err
        assert not re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", done.out + done.err)


def on_a_terminal(*words, folder, **more):
    """What a command shows on a pseudo-terminal: exit code and everything that was written to it."""
    parent, end = pty.openpty()
    env = environment(TERM="xterm-256color", **more)
    with subprocess.Popen(
        [sys.executable, "-m", "ritesmith", *words], cwd=folder, stdin=end, stdout=end, stderr=end, env=env
    ) as process:
        os.close(end)
        shown = b""
        while select.select([parent], [], [], 30)[0]:
            try:
                piece = os.read(parent, 65536)
            except OSError:  # Linux says EIO when the last writer has closed
                break
            if not piece:
                break
            shown += piece
        process.wait(timeout=30)
    os.close(parent)
    return process.returncode, shown.decode()


def test_on_a_terminal_progress_is_shown_per_step(counter):
    code, shown = on_a_terminal("run", "probe.two", folder=counter)
    assert code == 0
    assert re.search(r"✓.*first", shown)
    assert re.search(r"✓.*second", shown)
    assert shown.index("first") < shown.index("second") < shown.index("succeeded")


def test_no_color_is_honoured_on_a_terminal(counter):
    _, coloured = on_a_terminal("run", "probe.two", folder=counter)
    _, plain = on_a_terminal("run", "probe.two", folder=counter, NO_COLOR="1")
    assert re.search(r"\x1b\[3\dm", coloured)
    assert not re.search(r"\x1b\[3\dm", plain)


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["show", "orders.refund"], ["--help"], ["trace", "r"]])
def test_a_reader_that_stops_early_is_no_error(counter, cli, words):
    cli("run", "probe.two")
    with start(*words, folder=counter) as process:
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=30)
    assert err == b""
    assert process.returncode == 0


def test_an_output_that_cannot_take_unicode_still_gets_json(counter):
    given = json.dumps({"text": "Ünïcödé ☃ 🦊", "separator": "|"})
    for encoding in ("ascii", "latin-1", "utf-8"):
        env = environment(PYTHONIOENCODING=encoding)
        done = child("run", "text.split", "--input", given, "--json", folder=counter, env=env)
        assert done.code == 0, done.err
        assert done.json["output"]["values"] == ["Ünïcödé ☃ 🦊"]
    shown = child("run", "text.split", "--input", given, folder=counter, env=environment(PYTHONIOENCODING="ascii"))
    assert shown.code == 0, shown.err


def test_a_full_disk_behind_stdout_is_told(counter):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "wb") as full, start("list", folder=counter, stdout=full) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"No space left" in err
    assert b"Traceback" not in err
    assert b"defect" not in err


@pytest.mark.parametrize("closed", [0, 1, 2], ids=["stdin", "stdout", "stderr"])
def test_a_stream_that_is_closed_from_the_start_is_no_defect(place, cli, closed):
    words = ["run", "stats.average", "--input", '{"numbers": [1]}']
    shell = f'exec "$@" {closed}{"<" if closed == 0 else ">"}&-'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, "-m", "ritesmith", *words],
        cwd=place,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [row["status"] for row in cli("runs", "--json").json["runs"]] == ["succeeded"]


def test_what_is_asked_and_what_failed_cannot_write_to_the_terminal(cli):
    order = {
        "order_id": "ORD-1",
        "payment_id": "P",
        "customer": "Ann\u001b]0;x\u0007\u202e",
        "currency": "EUR",
    }
    order |= {"email": "a@example.org", "amount": 349, "status": "shipped", "ordered_at": "2026-11-02"}
    with RiteSmith.open("registry.db") as app:
        app.connection.execute(
            "INSERT INTO store (namespace, key, value, version, updated_at) VALUES ('orders', ?, ?, 1, 0)",
            (order["order_id"], json.dumps(order)),
        )
        run = app.run("orders.refund", {"order_id": order["order_id"]}).run
    asked = cli("approve", run)
    for letter in ("\u001b", "\u202e", "\u0007"):
        assert letter not in asked.err
    assert "Ann\\u001b]0;x\\u0007\\u202e for order ORD-1?" in asked.err
    for words in (["run", "a\u001b[2Kb.c"], ["trace", "\u001b[2K"], ["show", "a.\u202eb"]):
        assert not set("\u001b\u202e") & set(cli(*words).err)


# ---------------------------------------------------------------- which registry


def test_the_trace_of_many_branches_has_bars_for_those_that_it_shows(cli, place):
    flow = {
        "name": "my.map",
        "intent": "clamp many numbers",
        "start": "each",
        "nodes": [
            {"id": "each", "kind": "map", "over": {"literal": list(range(15))}, "start": "one", "join": "all"},
            {"id": "one", "kind": "task", "capability": "math.clamp", "next": "all",
             "with": {"number": {"var": "item"}, "minimum": 0, "maximum": 9}},
            {"id": "all", "kind": "join", "next": None},
        ],
    }  # fmt: skip
    (place / "map.json").write_text(json.dumps(flow))
    run = cli("run", "map.json").run
    shown = cli("trace", run).out
    assert "(3 more; --full shows them all)" in shown
    assert len(re.findall(r"^    one +[█░]", shown, re.MULTILINE)) == 12
    assert len(re.findall(r"^  \d+ +─", shown, re.MULTILINE)) == 12, "each element has a bar of its own"
    assert len(re.findall(r"^    one +[█░]", cli("trace", run, "--full").out, re.MULTILINE)) == 15


def test_a_long_path_leaves_room_for_its_bar(cli, place):
    fan, branch = "a_split_whose_name_is_rather_long", "the_branch_with_a_long_name_of_its_own"
    flow = {
        "name": "my.fan",
        "intent": "wait for nobody in a branch",
        "start": fan,
        "nodes": [
            {"id": fan, "kind": "split", "branches": [{"id": branch, "start": "nap"}], "join": "all"},
            {"id": "nap", "kind": "sleep", "seconds": 0.001, "next": "all"},
            {"id": "all", "kind": "join", "next": None},
        ],
        "examples": [{"input": {}, "status": "succeeded"}],
    }
    (place / "fan.json").write_text(json.dumps(flow))
    shown = child("trace", cli("run", "fan.json").run, folder=place, env=environment(COLUMNS="80")).out
    assert re.search(r"^…\w+_own +─+ +\d+ ms$", shown, re.MULTILINE), shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_picture_goes_into_a_new_file_or_over_one_by_force(cli, place):
    run = cli("run", "stats.average", "--input", '{"numbers": [1, 2, 6]}').run
    done = cli("trace", run, "--svg", "--output", "run.svg")
    assert (done.code, done.out, done.err.strip()) == (0, "", "wrote run.svg")
    assert (place / "run.svg").read_text(encoding="utf-8").startswith("<svg ")
    refused = cli("trace", run, "--html", "--output", "run.svg")
    assert (refused.code, "is there already" in refused.err) == (4, True)
    assert (place / "run.svg").read_text(encoding="utf-8").startswith("<svg "), "it is left as it was"
    assert cli("trace", run, "--html", "--output", "run.svg", "--force").code == 0
    assert (place / "run.svg").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert cli("trace", run, "--svg", "--output", "nowhere/run.svg").code == 2
    assert sorted(each.name for each in place.iterdir() if "run" in each.name) == ["run.svg"], "and no part of one"


def test_versions_that_differ_are_called_by_their_names(cli):
    told = cli("runs", "diff", finished(cli), waiting(cli))
    assert told.code == 1
    assert "version notify.user@1: null" in told.out
    assert "$[" not in told.out


def test_commands_that_continue_a_run_work_as_they_are_printed(cli, place):
    [deliver] = re.findall(r"^next: (.*)$", cli("trace", awaiting(cli)).out, re.MULTILINE)
    assert child(*shlex.split(deliver)[1:], folder=place, stdin=b'{"received_by": "Bob"}').code == 0
    run = waiting(cli)
    shown = cli("--db", "registry.db", "trace", run).out
    [approve] = re.findall(r"^next: (.*)$", shown, re.MULTILINE)
    [reject] = re.findall(r"^or: (.*)$", shown, re.MULTILINE)
    assert reject == f"ritesmith --db registry.db reject {run}"
    assert cli(*shlex.split(approve)[1:]).code == 0
    detached = cli("run", "stats.average", "--input", '{"numbers": [1]}', "--detach").run
    [resume] = re.findall(r"^next: (.*)$", cli("trace", detached).out, re.MULTILINE)
    assert resume == f"ritesmith resume {detached}"
    assert cli(*shlex.split(resume)[1:]).code == 0


def test_who_watches_a_run_is_told_what_continues_it_and_sees_its_end(cli, place):
    run = waiting(cli)
    with start("trace", run, "--watch", folder=place) as process:
        told = b""
        while b"next: ritesmith approve" not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
        assert cli("approve", run, "--by", "ann").code == 0
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "approved by ann" in out.decode()
    assert "refund" in err.decode(), "each step is told as it happens"


def test_two_runs_that_differ_are_told_apart(cli):
    one = cli("run", "stats.average", "--input", '{"numbers": [1, 2, 6]}').run
    other = cli("run", "stats.average", "--input", '{"numbers": [1, 2, 9]}').run
    same = cli("run", "stats.average", "--input", '{"numbers": [1, 2, 6]}').run
    assert cli("runs", "diff", one, same).code == 0
    told = cli("runs", "diff", one, other)
    assert told.code == 1
    assert "input numbers[2]: 6 → 9" in told.out
    found = cli("runs", "diff", one, other, "--json")
    assert (found.code, found.json["same"], found.json["definition"]) == (1, False, [])
    [step] = found.json["steps"]
    assert found.json["first_difference"] == step["path"]
    assert [each["path"] for each in step["changes"]] == ["$.input.numbers[2]", "$.output.average"]


def test_the_nearest_registry_upward_is_used(place, cli):
    below = place / "some" / "where"
    below.mkdir(parents=True)
    assert child("run", "stats.average", "--input", '{"numbers": [1]}', folder=below).code == 0
    assert not (below / "registry.db").exists()
    assert len(cli("runs", "--json").json["runs"]) == 1


def test_db_and_its_variable_name_another_registry(place, tmp_path, ready):
    other = tmp_path / "other.db"
    other.write_bytes((ready / "registry.db").read_bytes())
    assert child("--db", str(other), "publish", "two.json", folder=place).code == 3
    words = ("run", "stats.average", "--input", '{"numbers": [1]}')
    assert child("--db", str(other), *words, folder=place).code == 0
    assert child(*words, folder=place, env=environment(RITESMITH_DB=str(other))).code == 0
    assert len(json.loads(child("--db", str(other), "runs", "--json", folder=place).out)["runs"]) == 2
    assert json.loads(child("runs", "--json", folder=place).out)["runs"] == []


def test_init_makes_a_registry_of_its_own_below_another(place):
    below = place / "own"
    below.mkdir()
    assert child("init", folder=below).code == 0
    assert (below / "registry.db").is_file()


def test_an_init_that_is_interrupted_leaves_nothing_or_all(tmp_path, monkeypatch):
    published = []
    publish = RiteSmith.publish_checked

    def interrupted(self, *args, **more):
        published.append(publish(self, *args, **more))
        if len(published) == 30:
            raise KeyboardInterrupt
        return published[-1]

    monkeypatch.setattr(RiteSmith, "publish_checked", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RiteSmith.open(str(tmp_path / "registry.db"), environment={})
    assert fingerprint(tmp_path / "registry.db")["artifacts"][0] == 0
    monkeypatch.undo()
    with RiteSmith.open(str(tmp_path / "registry.db"), environment={}) as app:
        assert len(app.registry.names()) > 60


def test_what_stands_in_the_data_cannot_write_to_the_terminal(cli, place):
    world = {"orders": {"ORD-9": {"customer": "Eve\x1b[2J\x07\u202e"}}}
    with closing(sqlite3.connect(place / "registry.db")) as connection, connection:
        write_world(connection, world, 0.0)
    shown = cli("store", "list", "orders").out
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "Eve" in shown


def test_a_workflow_file_is_not_published_when_the_input_does_not_fit(cli, place):
    flow = json.loads(cli("show", "data.clean_contacts", "--json").json["text"]) | {"name": "x.flow"}
    Path("flow.json").write_text(json.dumps(flow))
    before = fingerprint(place / "registry.db")
    assert cli("run", "flow.json", "--input", '{"text": 1}').code == 2
    assert fingerprint(place / "registry.db") == before


def test_an_approval_names_at_least_twelve_digits_and_is_told_only_when_it_was_given(cli):
    run = cli("run", "orders.refund", "--input", "@order.json").run
    digest = cli("trace", run, "--json").json["waiting"]["digest"]
    for wrong in ("0" * 64, digest[:11], ""):
        refused = cli("approve", run, "--digest", wrong)
        assert refused.code == 4
        assert "approved" not in refused.err.split("Error")[0]
    assert cli("approve", run, "--digest", digest[:12]).code == 0


def test_an_approved_run_that_fails_afterwards_exits_with_8(cli, place):
    with closing(sqlite3.connect(place / "registry.db")) as connection, connection:
        connection.execute("UPDATE store SET value = json_set(value, '$.email', 'nobody') WHERE key = 'ORD-1002'")
    run = cli("run", "orders.refund", "--input", "@order.json").run
    done = cli("approve", run)
    assert done.code == 8
    assert "compensated" in done.out


def test_a_run_that_is_rejected_as_asked_exits_with_0(cli):
    run = cli("run", "orders.refund", "--input", "@order.json").run
    assert cli("reject", run).code == 0


def test_demo_files_are_written_whole_or_not_at_all(cli, place):
    kept = Path("order.json").read_text()
    Path("refund_examples.json").unlink()
    told = cli("init", "--demo", "--json").json
    assert "refund_examples.json" in told["written"]
    assert told["kept"] == ["order.json"]
    assert Path("order.json").read_text() == kept
    assert [each.name for each in place.iterdir() if each.name.startswith(".")] == [".gitignore"]


# ---------------------------------------------------------------- the registry on a terminal


def test_a_long_list_is_paged_on_a_terminal_and_only_there(counter):
    (counter / "pager").write_text("#!/bin/sh\nsed 's/^/paged: /'\n")
    (counter / "pager").chmod(0o755)
    pager = {"PAGER": str(counter / "pager")}
    for words in (["list"], ["show", "orders.refund"]):
        code, shown = on_a_terminal(*words, folder=counter, LINES="24", **pager)
        assert code == 0
        assert shown.count("paged: ") > 24
        assert "paged" not in child(*words, folder=counter, env=environment(**pager)).out
    code, shown = on_a_terminal("list", "--limit", "1", folder=counter, LINES="24", **pager)
    assert code == 0
    assert "paged" not in shown
    assert "1 artifact" in shown


def test_a_reader_that_leaves_the_pager_early_is_no_error(counter):
    code, _ = on_a_terminal("list", folder=counter, LINES="24", PAGER="true")
    assert code == 0


def test_a_difference_is_shown_side_by_side_and_in_colour_on_a_terminal(counter, cli, place):
    changed = COUNT.replace("found.value.count + 1", "1 + found.value.count").replace("how often", "how many times")
    (place / "count.lua").write_text(changed)
    assert cli("publish", "count.lua").code == 0
    code, shown = on_a_terminal("diff", "probe.count", folder=counter, PAGER="cat", COLUMNS="160")
    assert code == 0
    [row] = [line for line in shown.splitlines() if "1 + found.value.count" in line]
    assert re.search(r"\x1b\[31m- .*found\.value\.count \+ 1.*\x1b\[32m\+ .*1 \+ found\.value\.count", row)
    plain = cli("diff", "probe.count")
    assert re.search(r"- +if found.*\+ +if found", plain.out)
    assert "$.intent" in plain.out


def test_every_refusal_of_an_artifact_has_its_exit_code_and_its_reason(counter, cli, place):
    assert cli("deprecate", "probe.count@1", "--reason", "slow").code == 0
    assert "probe.count@1' is deprecated" in cli("deprecate", "probe.count@1").err
    refused = cli("revoke", "probe.count@1", "--reason", "it lies", "--by", "ann", "--json").json
    assert refused["used_by"] == ["probe.nap@1", "probe.two@1"]
    done = cli("run", "probe.two")
    assert done.code == 4
    assert "'probe.count@1' was revoked (it lies)" in done.err
    assert cli("verify", "probe.two").code == 5
    assert cli("export", "probe.two").code == 4
    with closing(sqlite3.connect(place / "registry.db")) as connection, connection:
        connection.execute("UPDATE artifacts SET signature = NULL WHERE name = 'stats.median'")
        connection.execute("UPDATE artifacts SET text = 'x' WHERE name = 'stats.sum'")
    unsigned = cli("run", "stats.median", "--input", '{"numbers": [1]}', "--json")
    assert (unsigned.code, unsigned.json["error"]["code"]) == (5, "untrusted")
    edited = cli("run", "stats.sum", "--input", '{"numbers": [1]}', "--json")
    assert (edited.code, edited.json["error"]["code"]) == (9, "store_error")
    assert "is not signed" in cli("show", "stats.median").words


def test_trust_neither_opens_nor_makes_a_registry(tmp_path):
    done = child("trust", "list", "--json", folder=tmp_path)
    assert done.code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_trusted_stands_in_the_list_until_it_is_not(cli):
    key = trusted(cli)
    told = cli("trust", "list", "--json").json
    assert {"key": key, "name": "somebody"} in told["trusted"]
    assert re.fullmatch("[0-9a-f]{64}", told["own"])
    assert cli("trust", "add", key).code == 4
    assert cli("trust", "remove", key).code == 0
    assert cli("trust", "remove", key).code == 3
