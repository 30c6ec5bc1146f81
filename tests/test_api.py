"""The Python API: a method for each command, public names with types, examples that run, values that can be read."""

import doctest
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ritesmith
from ritesmith import InvalidInput, RiteSmith
from ritesmith.cli.commands import ritesmith as command_tree

PACKAGE = Path(ritesmith.__file__).parent
# Command -> what does the same in Python: a method of RiteSmith, of what it holds, or a function of a module.
METHODS = {
    "init": ["open", "init_demo", "ritesmith.project:make_files"],
    "forge": ["forge"],
    "new": ["new_file"],
    "check": ["check_file", "check_text", "dry_run"],
    "test": ["test_file", "test_text"],
    "fmt": ["format_files", "format_text"],
    "fuel": ["fuel"],
    "publish": ["publish_file"],
    "list": ["listing"],
    "show": ["details", "uses", "used_by"],
    "diff": ["diff"],
    "stats": ["stats"],
    "search": ["search", "found", "explain"],
    "policy explain": ["explain_policy"],
    "hosts": ["host_functions", "host_function"],
    "usage": ["books.calls"],
    "deprecate": ["deprecate"],
    "revoke": ["revoke", "under_way"],
    "tag": ["tag", "untag"],
    "export": ["export_file", "export"],
    "import": ["import_file", "import_definition"],
    "prune": ["prune"],
    "verify": ["verify"],
    "backup": ["backup"],
    "rebuild": ["rebuild"],
    "trust list": ["keys.told"],
    "trust add": ["keys.trust"],
    "trust remove": ["keys.distrust"],
    "run": ["run", "start", "drive", "dry_run_of"],
    "resume": ["drive", "drive_due", "unfinished"],
    "worker": ["serve"],
    "approve": ["answer", "approve_artifact"],
    "reject": ["answer"],
    "deliver": ["deliver", "deliver_by_token"],
    "token": ["callback_token"],
    "wake": ["wake"],
    "resolve": ["resolve"],
    "cancel": ["cancel"],
    "retry": ["retry"],
    "fork": ["fork"],
    "compensate": ["compensate"],
    "runs": ["runs"],
    "runs diff": ["compare_runs"],
    "trace": ["view", "mermaid", "svg", "html", "run_id"],
    "explain": ["explain_run"],
    "replay": ["replay"],
    "store list": ["documents"],
    "store get": ["document"],
    "store put": ["put_document"],
    "store import": ["import_documents"],
    "mcp sync": ["sync_tools"],
    "sandbox": ["sandbox.run"],
    "config show": ["config"],
    "config path": ["ritesmith.config:paths"],
    "doctor": ["doctor"],
    # Of the command line itself: Python has help() and completes names.
    "completion": ["ritesmith.cli.completion:completion"],
    "help": ["ritesmith.cli.help:help_"],
}
# What RiteSmith has for itself, for its faces and for its tests: no verbs.
PARTS = {
    *("books", "catalog", "checking", "engine", "folder", "mcp_functions", "mcp_servers", "models", "policy"),
    *("rehearser", "sandbox", "second_sandbox", "secrets", "settings", "vectors", "workbench"),
    *("breaks", "candidate", "capabilities_of", "close", "contract", "contracts_of", "hits", "install"),
    *("publish_checked", "said", "same_as", "workflow_of"),
}


def leaves(group, before=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if getattr(command, "invoke_without_command", False):
                yield " ".join((*before, name))
            yield from leaves(command, (*before, name))
        else:
            yield " ".join((*before, name))


def of_class():
    return {name: getattr(RiteSmith, name) for name in dir(RiteSmith) if not name.startswith("_")}


@pytest.fixture
def smith(place, workers, monkeypatch):
    monkeypatch.setattr(RiteSmith, "sandbox", property(lambda app: workers))
    with RiteSmith.open("registry.db") as opened:
        yield opened


def test_every_command_has_a_method(smith):
    assert set(METHODS) == set(leaves(command_tree))
    for command, names in METHODS.items():
        for name in names:
            module, _, function = name.rpartition(":")
            found = importlib.import_module(module) if module else smith
            for part in function.split("."):
                found = getattr(found, part)
            assert callable(found), f"{command}: {name}"
            assert found.__doc__ or found.help, f"{command}: {name}"


def test_every_public_method_is_a_verb_of_some_command():
    verbs = {name.partition(".")[0] for names in METHODS.values() for name in names if ":" not in name}
    assert set(of_class()) - verbs - PARTS == set()
    assert set(of_class()) >= PARTS


def test_every_public_method_has_types_and_says_what_it_does():
    for name, found in of_class().items():
        assert inspect.getdoc(found), name
        function = getattr(found, "func", None) or getattr(found, "fget", None) or inspect.unwrap(found)
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, name
        bare = [each.name for each in signature.parameters.values() if each.annotation is inspect.Parameter.empty]
        assert set(bare) <= {"self", "cls"}, name


def test_public_names_are_those_that_can_be_had():
    had = {name for names in ritesmith._PLACES.values() for name in names} | {"__version__"}
    assert sorted(had) == ritesmith.__all__ == dir(ritesmith)
    for name in ritesmith.__all__:
        assert getattr(ritesmith, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'RiteSmiht'"):
        _ = ritesmith.RiteSmiht


def with_examples():
    for file in sorted(PACKAGE.rglob("*.py")):
        if "\n    >>> " in (text := file.read_text(encoding="utf-8")) or "\n        >>> " in text:
            yield ".".join(("ritesmith", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("name", list(with_examples()))
def test_the_examples_in_docstrings_run(name, smith):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    told = []
    for case in doctest.DocTestFinder().find(module, extraglobs={"smith": smith}):
        runner.run(case, out=told.append)
    assert runner.failures == 0, "".join(told)
    assert runner.tries > 0


SAMPLE = """
from pathlib import Path
from typing import Any, assert_type

from ritesmith import Artifact, Checked, ForgeReport, FuelReport, NotFound, Published, RiteSmith, RunView, Tested
from ritesmith import Finding, Replay

with RiteSmith.open("registry.db") as smith:
    assert_type(smith, RiteSmith)
    report = smith.forge("make a url slug from a title", examples=[{"input": {"text": "A"}, "output": {"slug": "a"}}])
    assert_type(report, ForgeReport)
    view = smith.run(report.artifact or "", {"text": "Decide once"})
    assert_type(view, RunView)
    assert_type(view.status, str)
    checked = smith.check_file(Path("a.lua"))
    assert_type(checked, Checked)
    assert_type(checked.errors, tuple[Finding, ...])
    assert_type(smith.publish_file(Path("a.lua")), Published)
    assert_type(smith.publish_file(Path("a.lua")).artifact, Artifact)
    tested = smith.test_file(Path("a.lua"))
    assert_type(tested, Tested)
    assert_type(smith.fuel("text.slugify", {"text": "A"}), FuelReport)
    assert_type(smith.format_text("x=1", "a.lua"), str)
    assert_type(smith.new_file("a.b", grants=["store.get"]), Path)
    assert_type(smith.replay(view.run), Replay)
    assert_type(smith.listing(kind="capability", limit=3), list[dict[str, Any]])
    try:
        smith.view("nothing")
    except NotFound as error:
        assert_type(error.hint, str)
"""


def strictly(text, folder):
    (folder / "sample.py").write_text(text)
    root = PACKAGE.parent
    words = ["--strict", "--config-file", str(root / "pyproject.toml"), "--follow-imports", "silent", "sample.py"]
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(root / ".mypy_cache"), *words],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_user_s_script_is_checked_strictly(tmp_path):
    assert (PACKAGE / "py.typed").is_file()
    done = strictly(SAMPLE, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = strictly(SAMPLE.replace('new_file("a.b"', "new_file(7"), tmp_path)
    assert "arg-type" in wrong.stdout


def test_values_can_be_read_in_one_line_and_are_tables_in_a_notebook(smith):
    view = smith.run("stats.average", {"numbers": [1, 2, 6]})
    text = smith.details("math.clamp")["text"]
    broken = re.sub(r'"output": \{"\w+": [\d.]+\}', '"output": {"other": 1}', text)
    shown = [
        (smith, "<RiteSmith 'registry.db': 93 artifacts>", "stats.average"),
        (view, f"<RunView {view.run} of stats.average succeeded>", "task"),
        (smith.forge("average of a list of numbers"), "<ForgeReport exact: stats.average@1>", "its own"),
        (smith.check_text(text, "a.lua"), "<Checked capability 'math.clamp': 0 errors, 0 warnings, ", ""),
        (smith.test_text(text, "a.lua"), "<Tested capability 'math.clamp' passed: ", "coverage"),
        (smith.fuel("math.clamp"), "<FuelReport 'math.clamp' ok: fuel ", "function run"),
        (smith.check_text(broken, "a.lua"), "<Checked capability 'math.clamp': 6 errors", "does not fit"),
        (smith.registry.get("math.clamp"), "<Artifact math.clamp@1 capability, active, pure, risk low>", "bundled"),
        (smith.replay(view.run), f"<Replay of {view.run}: the same, ", ""),
        (smith.dry_run_of("orders.refund", {"order_id": "ORD-1"}), "<DryRun ", "validate → policy"),
        (smith.run("text.slugify", {"text": "<b>value</b>"}), "<RunView ", "&lt;b&gt;value&lt;/b&gt;"),
    ]
    for value, line, within in shown:
        assert repr(value).startswith(line), repr(value)
        assert "\n" not in repr(value)
        html = value._repr_html_()
        assert within in html
        assert html.count("<table>") == html.count("</table>")
        assert "<b>value" not in html


def test_a_value_of_many_rows_is_cut_in_a_notebook(smith):
    numbers = "\n".join(f"local a{number} = {number}" for number in range(80))
    text = smith.details("math.clamp")["text"].replace("function run(", numbers + "\nfunction run(")
    html = smith.test_text(text, "a.lua")._repr_html_()
    assert len(html) < 100_000
    fuel = smith.fuel("math.clamp")
    many = fuel.model_copy(update={"parts": fuel.parts * 40})
    assert "more)" in many._repr_html_()


def test_errors_are_caught_by_their_names(smith):
    with pytest.raises(InvalidInput):
        smith.run("stats.average", {})


def test_the_help_of_a_class_says_nothing_of_the_environment(monkeypatch):
    program = "from ritesmith import RiteSmith; help(RiteSmith)"
    environment = {**os.environ, "OPENAI_API_KEY": "sk-hidden", "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "class RiteSmith" in done.stdout
    assert "sk-hidden" not in done.stdout
