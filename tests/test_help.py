"""What a stranger reads: help in sections, examples that are right, exit codes that are true."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import click
import pytest
from conftest import child, environment, start

from ritesmith.cli.commands import ritesmith as command_tree
from ritesmith.cli.help import EXAMPLES, EXIT_CODES, OTHER_WORDS, SECTIONS
from ritesmith.cli.runs import STATUSES
from ritesmith.models import RunStatus

README = Path(__file__).parent.parent / "README.md"
OPERATORS = {"|", ">", "<", "&&", "#"}


def every_command(group=command_tree, path=()):
    for name, command in group.commands.items():
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))


def contexts(words):
    """The contexts of a command line, as click makes them before anything is executed."""
    context = command_tree.make_context("ritesmith", list(words))
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest and context.command.invoke_without_command:
            break
        name, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return context


# ---------------------------------------------------------------- sections and examples


def test_every_command_stands_in_one_section():
    named = [name for names in SECTIONS.values() for name in names]
    assert len(named) == len(set(named))
    assert [name for name in command_tree.commands if name not in named] == []


def test_the_help_of_all_has_its_sections_in_order_and_cuts_no_sentence(cli):
    done = cli("--help")
    assert done.code == 0
    places = [done.out.index(f"\n{title}:") for title in SECTIONS if f"\n{title}:" in done.out]
    assert len(places) == len(SECTIONS)
    assert places == sorted(places)
    assert "..." not in done.out.partition("Begin:")[2]
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("path", "command"),
    [each for each in every_command() if not isinstance(each[1], click.Group) or each[1].invoke_without_command],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_command_has_examples_that_can_be_typed(path, command):
    assert EXAMPLES.get(path), f"'{path}' has no example in cli/help.py"
    for example in EXAMPLES[path]:
        words = shlex.split(example)
        if words[0] != "ritesmith":  # a shell's own word around it
            words = shlex.split(re.search(r"ritesmith [^)]*", example)[0])
        end = next((place for place, word in enumerate(words) if word in OPERATORS), len(words))
        context = contexts(words[1:end])
        assert context.command_path.removeprefix("ritesmith ").startswith(path) or "&&" in example
    assert "Examples:" in command.get_help(click.Context(command, info_name=path))


def test_no_example_is_of_a_command_that_is_gone():
    assert set(EXAMPLES) <= {path for path, _ in every_command()}
    assert set(OTHER_WORDS.values()) <= set(command_tree.commands)
    assert set(OTHER_WORDS) & set(command_tree.commands) == set()


def test_no_value_is_called_by_its_type():
    for path, command in every_command():
        shown = command.get_help(click.Context(command, info_name=path))
        assert "RANGE" not in shown, path


def test_help_shows_a_command_and_refuses_what_is_none(cli):
    assert cli("help", "runs", "diff").out == cli("runs", "diff", "--help").out
    assert cli("help").out == cli("--help").out
    assert "Did you mean 'diff'?" in cli("help", "runs", "dif").err
    assert cli("help", "trace", "me").code == 2


def test_the_statuses_of_the_command_line_are_those_of_runs():
    assert get_args(RunStatus) == STATUSES


# ---------------------------------------------------------------- exit codes


def test_the_exit_codes_are_those_of_the_readme(cli):
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert [(int(code), about) for code, about in rows] == list(EXIT_CODES)
    told = cli("help", "exit-codes").out
    assert [int(line.split()[0]) for line in told.splitlines()] == [code for code, _ in EXIT_CODES]


ENDINGS = {
    0: ["run", "orders.refund", "--input", "@order.json"],
    1: ["doctor"],
    2: ["run", "stats.average", "--input", "{"],
    3: ["show", "orders.nothing"],
    4: ["approve", "orders.refund@1"],
    5: ["check", "bad.lua"],
    6: ["forge", "frobnicate the quantum zebra", "--no-model"],
    7: ["sandbox", "loop.lua"],
    8: ["run", "orders.refund", "--input", '{"order_id": "ORD-1004"}'],
    9: ["--db", "order.json", "list"],
}


@pytest.mark.parametrize("code", ENDINGS)
def test_each_exit_code_is_what_a_command_ends_with(cli, place, code):
    (place / "bad.lua").write_text("function run(")
    (place / "loop.lua").write_text("function run() while true do end end")
    (place / "ritesmith.toml").write_text("" if code != 1 else "[htpt]\n")
    for words in (ENDINGS[code], [*ENDINGS[code], "--json"]):
        assert cli(*words).code == code, words


def test_the_table_has_an_ending_for_each_code():
    assert {*ENDINGS, 130} == {code for code, _ in EXIT_CODES}


def test_ctrl_c_before_anything_is_imported_is_quiet(place):
    """As early as it can be: Python itself has started, and nothing of this program has."""
    program = (
        "import os, signal, sys\n"
        "class Late:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'click':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Late())\n"
        "from ritesmith.entry import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place, env=environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_ctrl_c_on_a_worker_is_quiet_with_no_traceback(place):
    with start("worker", "--poll", "3600", folder=place, start_new_session=True) as process:
        assert b"carrying on" in process.stderr.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"Traceback" not in err


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["list"], "artifacts"),
        (["search", "orders"], "artifacts"),
        (["runs"], "runs"),
        (["hosts"], "host_functions"),
        (["store", "list"], "documents"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_every_list_has_a_limit_and_an_order_that_stays(cli, words, key):
    for order in ("ORD-1001", "ORD-1002", "ORD-1003"):
        cli("run", "orders.get", "--input", f'{{"order_id": "{order}"}}')
    whole = cli(*words, "--json").json[key]
    assert len(whole) >= 3
    assert cli(*words, "--json").json[key] == whole
    assert cli(*words, "--limit", "2", "--json").json[key] == whole[:2]
    assert cli(*words, "--limit", "0").code == 2


def test_lists_are_narrowed(cli):
    reads = cli("hosts", "--effect", "read", "--namespace", "store", "--json").json["host_functions"]
    assert [each["name"] for each in reads] == ["store.get", "store.list"]
    found = cli("store", "list", "orders", "--prefix", "ORD-100", "--json").json["documents"]
    assert [each["key"] for each in found] == ["ORD-1001", "ORD-1002", "ORD-1003", "ORD-1004"]
    assert cli("store", "list", "--prefix", "%", "--json").json["documents"] == []
    kinds = cli("search", "refund an order", "--kind", "workflow", "--json").json["artifacts"]
    assert {each["kind"] for each in kinds} == {"workflow"}


@pytest.mark.parametrize("columns", ["80", "200"])
@pytest.mark.parametrize("words", [["list"], ["hosts"], ["doctor"], ["config", "show", "--origin"], ["store", "list"]])
def test_what_is_shown_fits_the_terminal(place, words, columns):
    done = child(*words, folder=place, env=environment(COLUMNS=columns))
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= int(columns)
    assert "\x1b" not in done.out
