"""The verbs on files: new, check --watch, test, fmt and fuel, as a person and as a program use them."""

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import child, environment, interrupt, start

from ritesmith.app import RiteSmith
from ritesmith.errors import Conflict, InvalidInput, NotFound, Rejected
from ritesmith.guard.lua_lines import statements
from ritesmith.workbench import first_difference

BROKEN = """--[[ capability
{
  "name": "demo.share",
  "intent": "share of a part in a whole",
  "input": {
    "type": "object",
    "required": ["part", "whole"],
    "properties": {"part": {"type": "number"}, "whole": {"type": "number"}}
  },
  "output": {
    "type": "object",
    "required": ["percent", "words"],
    "properties": {"percent": {"type": "number"}, "words": {"type": "array"}}
  },
  "grants": {},
  "examples": [
    {"input": {"part": 1, "whole": 4}, "output": {"percent": 25, "words": ["a", {"n": 1}]}},
    {"input": {"part": 1, "whole": 2}, "output": {"percent": 51, "words": ["a", {"n": 1}]}},
    {"input": {"part": 1, "whole": 5}, "output": {"percent": 20, "words": ["a", {"n": 2}, "b"]}},
    {"input": {"part": 1, "whole": 8}, "error": "odd"}
  ]
}
]]
local function words(n)
  if n > 99 then
    return {}
  end
  return { "a", { n = 1 } }
end

function run(input, context)
  if input.whole == 0 then
    fail("zero", "there is no whole")
  end
  if input.whole == 8 then error("eight") end
  return { percent = input.part / input.whole * 100, words = words(input.whole) }
end
"""
SOUND = (
    BROKEN.replace("51", "50")
    .replace('["a", {"n": 2}, "b"]', '["a", {"n": 1}]')
    .replace('"error": "odd"', ('"error": "zero"'))
    .replace('"whole": 8}', '"whole": 0}')
    .replace('  if input.whole == 8 then error("eight") end\n', "")
)


@pytest.fixture
def app(place, workers, monkeypatch):
    monkeypatch.setattr(RiteSmith, "sandbox", property(lambda app: workers))
    with RiteSmith.open("registry.db") as opened:
        yield opened


# ---------------------------------------------------------------- new


@pytest.mark.parametrize("grants", [(), ("store.get", "store.put"), ("http.request",), ("email.send", "time.now")])
def test_a_new_capability_passes_the_check_and_its_own_tests(cli, place, grants):
    words = [word for grant in grants for word in ("--grant", grant)]
    done = cli("new", "demo.begin", *words, "--intent", "begin something", "--json")
    assert done.json == {"file": "demo.begin.lua", "name": "demo.begin"}
    assert cli("check", "demo.begin.lua").code == 0
    tested = cli("test", "demo.begin.lua", "--json")
    assert (tested.code, tested.json["passed"]) == (0, True)
    assert tested.json["coverage"]["missed"] == []
    assert cli("fmt", "--check", "demo.begin.lua").code == 0
    text = (place / "demo.begin.lua").read_text()
    assert '"intent": "begin something"' in text
    assert all(f"{grant}{{" in text for grant in grants)
    assert cli("publish", "demo.begin.lua").code == 0


def test_every_host_function_can_be_granted_to_a_new_capability(app, tmp_path):
    for number, name in enumerate(app.catalog):
        file = app.new_file(f"demo.calls_{number}", grants=[name], file=tmp_path / f"{number}.lua")
        assert app.check_file(file).errors == (), name


def test_a_new_workflow_passes_the_check_and_runs(cli, place):
    (place / "workflows").mkdir()
    assert cli("new", "demo.flow", "--workflow").code == 0
    file = "workflows/demo.flow.json"
    assert cli("check", file, "--dry-run").code == 0
    tested = cli("test", file)
    assert tested.code == 0
    assert "coverage: 5 of 5 nodes" in tested.words
    assert cli("fmt", "--check", file).code == 0
    assert cli("run", file, "--input", '{"text": " a ", "amount": 1}', "--json").json["output"] == {"text": "a"}


def test_a_new_file_lies_where_the_project_keeps_such_files(cli, place):
    (place / "capabilities").mkdir()
    assert cli("new", "demo.deep.name").out == f"wrote {Path('capabilities/demo/deep/name.lua')}\n"
    assert (place / "capabilities/demo/deep/name.lua").is_file()


def test_new_never_overwrites_and_names_what_is_wrong(cli, place):
    (place / "demo.mine.lua").write_text("mine")
    done = cli("new", "demo.mine")
    assert (done.code, (place / "demo.mine.lua").read_text()) == (4, "mine")
    assert "is there already" in done.err
    for words, code, told in (
        (["Demo"], 2, "'Demo' is no name"),
        (["demo"], 2, "'demo' is no name"),
        (["demo.a", "--grant", "store.gte"], 3, "did you mean 'store.get'?"),
        (["demo.a", "--workflow", "--grant", "store.get"], 2, "granted nothing"),
        (["demo.a", "--output", "nowhere/a.lua"], 2, "there is no folder 'nowhere'"),
    ):
        done = cli("new", *words)
        assert (done.code, told in done.words) == (code, True), words
    assert not (place / "demo.a.lua").exists()


# ---------------------------------------------------------------- test


def test_each_example_is_told_with_the_first_place_that_differs(cli, place):
    (place / "share.lua").write_text(BROKEN)
    done = cli("test", "share.lua", "--json")
    assert (done.code, done.json["passed"]) == (5, False)
    assert [each["met"] for each in done.json["examples"]] == [True, False, False, False]
    differences = [each["difference"] for each in done.json["examples"]]
    assert differences[0] is None
    assert [(each["path"], each["expected"], each["found"]) for each in differences[1:]] == [
        ("$.output.percent", 51, 50.0),
        ("$.output.words[1].n", 2, 1),
        ("$.error", "odd", "script_error"),
    ]
    assert done.json["examples"][3]["line"] == 35
    proofs = {each["name"]: each["result"] for each in done.json["proofs"]}
    assert proofs["deterministic"] == "pass"
    assert proofs["generated inputs"] == "skip"
    shown = cli("test", "share.lua").words
    for words in ("at $.output.percent expected 51 found 50.0", "✓ 1", "✗ 2", "failed: 1 of 4 examples met", "line 35"):
        assert words in shown, words


def test_the_trial_the_head_room_and_the_lines_that_never_ran_are_told(cli, place):
    (place / "share.lua").write_text(SOUND)
    done = cli("test", "share.lua", "--json")
    assert (done.code, done.json["passed"], done.json["findings"]) == (0, True, [])
    assert {each["name"]: each["result"] for each in done.json["proofs"]} == {
        "deterministic": "pass",
        "input unchanged": "pass",
        "generated inputs": "pass",
        "effects": "pass",
    }
    assert [each["limit"] for each in done.json["head_room"]] == [
        *("fuel", "memory_bytes", "deadline_seconds", "output_bytes")
    ]
    assert all(0 <= each["used"] < each["most"] for each in done.json["head_room"])
    coverage = done.json["coverage"]
    assert coverage["missed"] == [{"line": 26, "node": "", "text": "    return {}"}]
    assert coverage["ran"] == coverage["total"] - 1
    assert all(each["fuel"] > 0 for each in done.json["examples"])
    assert "26 return {}" in cli("test", "share.lua").words


def test_what_the_trial_finds_fails_its_line(cli, place):
    (place / "share.lua").write_text(
        SOUND.replace("return { percent", "input.part = input.part + 0\n  return { percent")
    )
    changed = cli("test", "share.lua", "--json")
    assert changed.code in (0, 5)
    (place / "sometimes.lua").write_text(
        SOUND.replace("  return { percent", '  if input.part ~= 1 then error("one") end\n  return { percent')
    )
    failed = cli("test", "sometimes.lua", "--json")
    assert failed.code == 5
    assert {each["name"]: each["result"] for each in failed.json["proofs"]}["generated inputs"] == "fail"
    assert "trial_script_error" in {each["code"] for each in failed.json["findings"]}


def test_a_draft_that_the_guard_refuses_is_not_run(cli, place):
    (place / "share.lua").write_text(SOUND.replace("input.part /", "inptu.part /"))
    done = cli("test", "share.lua", "--json")
    assert (done.code, done.json["examples"], done.json["coverage"]) == (5, [], None)
    assert "no example was run" in cli("test", "share.lua").words


def test_what_an_example_changed_in_the_store_is_compared(app, place):
    head, found, rest = app.details("orders.mark_refunded")["text"].partition('"store_after"')
    text = head + found + rest.replace('"amount": 49.9', '"amount": 50', 1)
    report = app.test_text(text, "mark.lua")
    [unmet] = [each for each in report.examples if not each.met]
    difference = unmet.difference
    assert (difference.path, difference.expected, difference.found) == ("$.store_after.orders.ORD-1.amount", 50, 49.9)
    assert unmet.host_calls == ("store.get", "store.put")


def test_a_workflow_runs_its_own_examples_and_tells_the_nodes_none_came_to(cli, place):
    source = json.loads(cli("show", "orders.refund", "--source").out)
    source["examples"] = source["examples"][:1]
    (place / "one.json").write_text(json.dumps(source))
    done = cli("test", "one.json", "--json")
    assert (done.code, done.json["coverage"]["of"]) == (0, "nodes")
    missed = {each["node"] for each in done.json["coverage"]["missed"]}
    assert missed
    assert missed.isdisjoint(done.json["examples"][0]["path"])
    source["examples"][0]["output"] = {"refund_id": "other"}
    (place / "one.json").write_text(json.dumps(source))
    done = cli("test", "one.json", "--json")
    assert done.code == 5
    assert done.json["examples"][0]["difference"]["path"].startswith("$.output.")


def test_every_bundled_capability_passes_and_no_line_that_ran_is_unknown(app):
    for row in app.listing(kind="capability")[::6]:
        text = app.details(row["name"])["text"]
        report = app.test_text(text, "it.lua")
        assert report.passed, row["name"]
        known = set().union(*(each.lines for each in statements(text)))
        for number in range(1, len(report.examples) + 1):
            try:
                cost = app.fuel(row["name"], example=number)
            except InvalidInput:  # an example of input that breaks the contract
                continue
            ran = {each.line for part in cost.parts for each in part.lines if each.line}
            ends = {line for line in ran - known if text.split("\n")[line - 1].strip().startswith(("end", "}"))}
            assert ran - known - ends == set(), row["name"]


@pytest.mark.parametrize(
    ("source", "missed"),
    [
        ("if input.a then\n  return 1\nelseif input.b then\n  return 2\nelse\n  return 3\nend", {2, 6}),
        ("for i = 1, 3 do\n  if i == 2 then\n    break\n  end\nend\nreturn 1", set()),
        ("for i = 1, 3 do\n  if i == 2 then\n    goto next\n  end\n  ::next::\nend\nreturn 1", set()),
        ("while true do\n  local x\n  do\n    return 1\n  end\nend", set()),
        ("local f = function()\n  return 1\nend\nlocal g =\n  f\nreturn 1", {2}),
        ("repeat\n  local x = 1\nuntil x == 1\nreturn {\n  1,\n}", set()),
        ("for i = 1, 0 do\n  input.x = 1\nend\nreturn 1", {2}),
    ],
)
def test_lines_that_never_ran(app, source, missed):
    text = SOUND[: SOUND.index("local function")].replace('"grants": {},', '"grants": {},')
    contract = json.loads(text.partition("capability")[2].rpartition("]]")[0])
    contract |= {"input": {}, "output": {}, "examples": [{"input": {"b": True}}]}
    draft = f"--[[ capability {json.dumps(contract)} ]] function run(input)\n{source}\nend"
    from ritesmith.contract import capability_of
    from ritesmith.rehearsal import play_capability
    from ritesmith.workbench import Profiler, _coverage

    capability = capability_of(draft)
    profiled = Profiler(app.sandbox)
    outcome = play_capability(profiled, capability, {"b": True}, store={}).outcome
    assert outcome.status == "ok", outcome.message
    coverage = _coverage(draft, profiled.total(capability.contract.name))
    assert {each.line - 1 for each in coverage.missed} == missed


def test_the_first_difference_is_found_in_order():
    def at(expected, found):
        difference = first_difference(expected, found)
        return difference and (difference.path, difference.expected_there, difference.found_there)

    assert at({"a": 1}, {"a": 1.0}) is None
    assert at({"a": 1, "b": 2}, {"b": 3}) == ("$.a", True, False)
    assert at({"a": 1}, {"a": 1, "c": 2}) == ("$.c", False, True)
    assert at([1, [2, {"x": None}]], [1, [2, {"x": 0}]]) == ("$[1][1].x", True, True)
    assert at([1, 2], [1]) == ("$[1]", True, False)
    assert at([], [0]) == ("$[0]", False, True)
    assert at({"a b": 1}, {"a b": 2}) == ("$['a b']", True, True)
    assert at(1, "1") == ("$", True, True)


# ---------------------------------------------------------------- fuel


def test_fuel_is_told_line_by_line_and_adds_up(cli, place):
    (place / "share.lua").write_text(SOUND)
    done = cli("fuel", "share.lua", "--input", '{"part": 1, "whole": 4}', "--json")
    assert (done.code, done.json["status"], done.json["example"]) == (0, "ok", None)
    [part] = done.json["parts"]
    lines = {each["line"]: each for each in part["lines"]}
    assert lines[35]["text"].strip().startswith("return { percent")
    assert 26 not in lines
    spent = sum(each["instructions"] + each["charged"] for each in part["lines"])
    whole = spent + part["input"] + part["output"] + part["overhead"] - part["uncounted"]
    assert whole == part["fuel"] == done.json["fuel"]
    ran = cli("sandbox", "share.lua", "--input", '{"part": 1, "whole": 4}', "--json").json
    assert ran["output"] == done.json["output"]
    shown = cli("fuel", "share.lua").words
    assert "example 1" in shown
    assert "return { percent" in shown


def test_fuel_of_what_is_published_and_of_a_workflow(cli, place):
    done = cli("fuel", "math.percentage_change", "--input", '{"initial": 50, "current": 75}', "--json").json
    assert done["output"] == {"percent": 50.0}
    done = cli("fuel", "orders.refund", "--example", "1", "--json").json
    assert (done["kind"], done["status"]) == ("workflow", "succeeded")
    assert sum(part["fuel"] for part in done["parts"]) == done["fuel"]
    assert [part["fuel"] for part in done["parts"]] == sorted((part["fuel"] for part in done["parts"]), reverse=True)
    assert "payments.refund" in cli("fuel", "orders.refund").words


def test_fuel_refuses_what_it_cannot_run(cli, place):
    (place / "bad.lua").write_text(SOUND.replace("function run(", "function run(("))
    (place / "share.lua").write_text(SOUND)
    for words, code, told in (
        (["share.lua", "--example", "9"], 2, "has no example 9"),
        (["share.lua", "--input", '{"part": "x"}'], 2, "does not fit 'share.lua'"),
        (["bad.lua"], 2, "does not compile at line"),
        (["no.such"], 3, "no.such"),
        (["absent.lua"], 3, "there is no file 'absent.lua'"),
    ):
        done = cli("fuel", *words)
        assert (done.code, told in done.words) == (code, True), (words, done.words)
    failing = cli("fuel", "share.lua", "--example", "4", "--json")
    assert (failing.code, failing.json["status"]) == (7, "fail")


# ---------------------------------------------------------------- fmt


def test_files_are_laid_out_in_place_once(cli, place):
    ugly = SOUND.replace("  return {", "return{").replace('  "grants"', '"grants"')
    (place / "a.lua").write_text(ugly)
    (place / "a.lua").chmod(0o640)
    (place / "b.json").write_text('{"intent": "x", "name": "a.b"}')
    assert cli("fmt", "--check", "a.lua", "b.json").code == 5
    assert (place / "a.lua").read_text() == ugly
    done = cli("fmt", "a.lua", "b.json", "--json")
    assert (done.code, done.json["changed"]) == (0, ["a.lua", "b.json"])
    assert (place / "a.lua").stat().st_mode & 0o777 == 0o640
    assert (place / "b.json").read_text() == '{\n  "name": "a.b",\n  "intent": "x"\n}\n'
    before = (place / "a.lua").stat().st_mtime_ns
    assert cli("fmt", "a.lua", "b.json").err.startswith("2 of 2 were laid out already")
    assert (place / "a.lua").stat().st_mtime_ns == before
    assert sorted(each.name for each in place.glob(".a*")) == []


def test_a_link_stays_a_link(cli, place):
    (place / "real.lua").write_text("x  =  1")
    (place / "link.lua").symlink_to("real.lua")
    assert cli("fmt", "link.lua").code == 0
    assert (place / "link.lua").is_symlink()
    assert (place / "real.lua").read_text() == "x = 1\n"


def test_when_one_file_cannot_be_read_none_is_written(cli, place):
    (place / "a.lua").write_text("x  =  1")
    for name, text, code, told in (
        ("b.lua", "x = = 1", 5, "b.lua:1"),
        ("b.json", "{", 2, "'b.json' cannot be laid out"),
        ("b.txt", "", 2, "neither a capability"),
    ):
        (place / name).write_text(text)
        done = cli("fmt", "a.lua", name)
        assert (done.code, told in done.words) == (code, True), done.words
        assert (place / "a.lua").read_text() == "x  =  1"


def test_stdin_is_laid_out_to_stdout(cli):
    assert cli("fmt", "-", stdin="x=1").out == "x = 1\n"
    assert cli("fmt", "-", stdin=' {"b":1, "name": "x"}').out == '{\n  "name": "x",\n  "b": 1\n}\n'
    assert cli("fmt", "-", "--check", stdin="x=1").code == 5
    assert cli("fmt", "-", "--check", stdin="x = 1\n").code == 0
    assert cli("fmt", "-", "a.lua").code == 2


def test_the_methods_raise_what_the_commands_tell(app, tmp_path):
    with pytest.raises(Rejected):
        app.format_text("x = = 1", "a.lua")
    with pytest.raises(InvalidInput):
        app.format_text("{", "a.json")
    with pytest.raises(NotFound):
        app.format_files([tmp_path / "absent.lua"])
    app.new_file("demo.once", file=tmp_path / "once.lua")
    with pytest.raises(Conflict):
        app.new_file("demo.once", file=tmp_path / "once.lua")


# ---------------------------------------------------------------- check --watch


def report(stream):
    """The next report of a watching check, as far as its last line."""
    lines = []
    for line in iter(stream.readline, b""):
        lines.append(line.decode())
        if re.search(r"\d errors?, ", lines[-1]):
            return "".join(lines)
    raise AssertionError("it ended: " + "".join(lines))


def test_a_file_is_checked_again_whenever_it_is_saved(place):
    (place / "share.lua").write_text(SOUND)
    with start("check", "share.lua", "--watch", folder=place, start_new_session=True) as process:
        assert "share.lua: 0 errors" in report(process.stdout)
        (place / "share.lua").write_text(BROKEN)
        assert "example_not_met" in report(process.stdout)
        # As editors save: a new file in its place.
        (place / "next.lua").write_text(SOUND + "\n")
        (place / "next.lua").rename(place / "share.lua")
        told = report(process.stdout)
        assert "share.lua: 0 errors" in told
        assert "\x1b" not in told
        interrupt(process)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"")
    assert b"Traceback" not in err
    assert b"interrupted" not in err


def test_on_a_terminal_each_report_has_a_clear_screen(place):
    (place / "share.lua").write_text(SOUND)
    master, slave = pty.openpty()
    words = [sys.executable, "-m", "ritesmith", "check", "share.lua", "--watch"]
    process = subprocess.Popen(
        words, cwd=place, env=environment(TERM="xterm"), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    with io.FileIO(master) as terminal:
        seen = b""
        while b"stop with Ctrl-C" not in seen:
            seen += terminal.read(4096)
        assert seen.count(b"\x1b[2J") == 1
        assert seen.index(b"\x1b[2J") < seen.index(b"0 errors")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0


def test_watching_a_file_that_is_not_there_ends_with_its_error(place):
    done = child("check", "absent.lua", "--watch", folder=place)
    assert (done.code, "there is no file 'absent.lua'" in done.err) == (3, True)


def test_a_program_gets_one_object_for_each_save(place):
    (place / "share.lua").write_text(SOUND)
    with start("check", "share.lua", "--watch", "--json", folder=place, start_new_session=True) as process:
        assert json.loads(process.stdout.readline())["findings"] == []
        (place / "share.lua").write_text(BROKEN)
        assert json.loads(process.stdout.readline())["findings"]
        interrupt(process)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_every_verb_on_files_takes_a_path_as_text(app, tmp_path):
    file = str(tmp_path / "a.lua")
    assert app.new_file("demo.shout", file=file) == Path(file)
    assert app.check_file(file).errors == ()
    assert app.test_file(file).passed
    assert app.format_files([file]) == [(file, False)]
    assert app.fuel(file).status == "ok"
    assert app.publish_file(file).artifact.ref == "demo.shout@1"
    bundle = app.export_file("demo.shout", str(tmp_path / "a.bundle"))["file"]
    assert app.import_file(bundle)["artifact"] == "demo.shout@1"
    assert app.backup(str(tmp_path / "copy.db"))["file"] == str(tmp_path / "copy.db")


def test_what_is_neither_lua_nor_json_is_told_what_files_are(app, tmp_path):
    (tmp_path / "README.md").write_text("# Words")
    (found,) = app.check_file(tmp_path / "README.md").errors
    assert found.hint == "a capability's file ends in .lua, a workflow's in .json"
