"""Completion: a real bash through its own protocol, the table against the commands, and what other shells are told."""

import json
import os
import pty
import select
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import child, environment

from ritesmith import complete
from ritesmith.app import RiteSmith
from ritesmith.cli.commands import ritesmith as command_tree
from ritesmith.cli.completion import SCRIPTS, table
from ritesmith.hosts import CATALOG

BREAKS = " \t\n\"'@><=;|&(:"
"""The characters at which bash breaks words, as it has them by default."""


@pytest.fixture
def shell_environment(tmp_path):
    """An environment in which `ritesmith` is the one under test."""
    program = tmp_path / "bin" / "ritesmith"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ritesmith "$@"\n')
    program.chmod(0o755)
    return environment(PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}", PS1="ready> ", TERM="dumb")


@pytest.fixture
def bash(place, shell_environment):
    """What bash offers for a line, the cursor at its end, by calling the function that `complete` names."""

    def offered(line, folder=place):
        script = (
            'eval "$(ritesmith completion bash)"\n'
            "compopt() { :; }\n"  # that is for a Tab that was pressed
            f"COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}\n"
            'function=$(complete -p ritesmith | sed "s/.*-F //; s/ .*//")\n'
            '"$function" ritesmith\n'
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        words = ["bash", "--norc", "-c", script]
        done = subprocess.run(
            words, cwd=folder, env=shell_environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stderr == ""
        return done.stdout.split()

    return offered


def answered(capfd, shell, *words):
    assert complete.main([shell, *words]) == 0
    return capfd.readouterr().out.splitlines()


# ---------------------------------------------------------------- bash


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ritesmith tra", ["trace"]),
        ("ritesmith store ge", ["get"]),
        ("ritesmith runs di", ["diff"]),
        ("ritesmith list --kin", ["--kind"]),
        ("ritesmith list --kind ", ["capability", "workflow"]),
        ("ritesmith list --kind wo", ["workflow"]),
        ("ritesmith list --kind=wo", ["workflow"]),
        ("ritesmith show orders.ref", ["orders.refund"]),
        ("ritesmith show orders.refund@", ["@1"]),
        ("ritesmith 'show' orders.ref", ["orders.refund"]),
        ("ritesmith show --source orders.ref", ["orders.refund"]),
        ("ritesmith list --limit 3 --kin", ["--kind"]),
        ("ritesmith store get orders ORD-1001", ["ORD-1001"]),
        ("ritesmith run orders.refund --input @ord", ["@order.json"]),
        ("ritesmith check refund_ex", ["refund_examples.json"]),
        ("ritesmith fmt refund_ex", ["refund_examples.json"]),
        ("ritesmith hosts http.r", ["http.request"]),
        ("ritesmith hosts --namespace ht", ["http"]),
        ("ritesmith new a.b --grant store.p", ["store.put"]),
        ("ritesmith list --namespace ord", ["orders"]),
        ("ritesmith store get --json orders ORD-1001", ["ORD-1001"]),
        ("ritesmith help ru", ["run", "runs"]),
        ("ritesmith help runs ", ["diff"]),
        ("ritesmith help exit", ["exit-codes"]),
        ("ritesmith config show forge.prices.", []),
        ("ritesmith frobnicate ", []),
        ("ritesmith list --kind workflow x y ", []),
    ],
)
def test_bash_is_offered_what_can_follow(bash, line, offered):
    assert bash(line) == offered


def test_bash_is_offered_runs_newest_first_and_those_that_wait(bash, cli):
    first = cli("run", "stats.average", "--input", '{"numbers": [1]}').run
    second = cli("run", "orders.refund", "--input", "@order.json").run
    assert bash("ritesmith trace ") == [second, first]
    assert bash(f"ritesmith trace {first[:6]}") == [first]
    assert bash("ritesmith approve ") == [second]


def test_a_command_is_offered_the_runs_that_it_can_be_given(bash, cli):
    done = cli("run", "stats.average", "--input", '{"numbers": [1]}').run
    waiting = cli("run", "orders.refund", "--input", "@order.json").run
    failed = cli("run", "orders.get", "--input", '{"order_id": "NONE"}').run
    assert bash("ritesmith trace ") == [failed, waiting, done]
    for command in ("reject", "resume", "cancel", "deliver", "token", "wake"):
        assert bash(f"ritesmith {command} ") == [waiting], command
    assert bash("ritesmith retry ") == [failed]
    assert bash("ritesmith resolve ") == bash("ritesmith compensate ") == []
    assert bash(f"ritesmith approve {waiting[:8]} --node ap") == ["approve"]
    assert bash(f"ritesmith fork {waiting} --from ") == ["validate", "policy", "approve"]


def test_tags_keys_and_servers_are_offered(bash, cli, place, monkeypatch, tmp_path):
    cli("tag", "stats.average@1", "stable")
    assert bash("ritesmith tag stats.average@1 ") == bash("ritesmith tag stats.average st") == ["stable"]
    (place / "ritesmith.toml").write_text('[mcp.notes]\ncommand = ["notes-server"]\n')
    assert bash("ritesmith mcp sync ") == ["notes"]
    key = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
    cli("trust", "add", key, "--name", "ann")
    monkeypatch.setattr(sys, "argv", ["ritesmith"])
    assert complete._trusted() == [(key, "ann")]


def test_a_name_is_shown_with_the_status_of_its_newest_version(cli, place):
    text = cli("show", "stats.average", "--source").out
    (place / "next.lua").write_text(text.replace("function run(", "local more = 1\nfunction run("))
    assert cli("publish", "next.lua").code == 0
    cli("deprecate", "stats.average@1")
    shown = child("__complete", "fish", "show", "stats.average", folder=place).out.splitlines()
    assert shown[0] == "stats.average\tcapability active"


def test_another_registry_is_completed_from(bash, tmp_path, place):
    (place / "registry.db").rename(tmp_path / "other.db")
    assert bash("ritesmith show orders.ref") == []
    assert bash(f"ritesmith --db {tmp_path}/other.db show orders.ref") == ["orders.refund"]
    assert bash(f"ritesmith --db={tmp_path}/other.db show orders.ref") == ["orders.refund"]
    assert not (place / "registry.db").exists()


def test_a_tab_completes_on_a_terminal(place, shell_environment):
    """The whole of it: an interactive bash in which Tab is pressed."""
    parent, terminal = pty.openpty()
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        cwd=place,
        env=shell_environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        seen = b""

        def wait_for(words):
            nonlocal seen
            until = time.monotonic() + 30
            while words not in seen:
                assert time.monotonic() < until, seen
                if select.select([parent], [], [], 0.1)[0]:
                    seen += os.read(parent, 4096)
            seen = seen.split(words, 1)[1]

        try:
            wait_for(b"ready> ")
            os.write(parent, b'eval "$(ritesmith completion bash)"\n')
            wait_for(b"ready> ")
            os.write(parent, b"ritesmith show orders.ref\t")
            wait_for(b"orders.refund ")
            os.write(parent, b"--sou\t")
            wait_for(b"--source ")
            # The screen shows a line in pieces; what it has become is seen when it is executed.
            os.write(parent, b"\x15ritesmith show stats.average@\t --source > shown; echo shown-$?\n")
            wait_for(b"shown-0")
            os.write(parent, b"ritesmith run orders.refund --input @ord\t --detach --json > run; echo run-$?\n")
            wait_for(b"run-0")
        finally:
            process.kill()
            os.close(parent)
    assert "stats.average" in (place / "shown").read_text()
    assert json.loads((place / "run").read_text())["input"] == {"order_id": "ORD-1002"}


# ---------------------------------------------------------------- zsh and fish


def test_zsh_and_fish_are_told_what_each_candidate_is(capfd, place):
    assert answered(capfd, "fish", "show", "orders.ref") == ["orders.refund\tworkflow active"]
    assert answered(capfd, "zsh", "show", "orders.ref") == ["orders.refund:workflow active"]
    assert answered(capfd, "fish", "sho") == ["show\tShow one artifact whole."]
    assert answered(capfd, "zsh", "run", "x", "--input", "@ord") == ["@order.json"]
    assert answered(capfd, "zsh", "check", "or") == [":filesor"]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_script_is_one_that_its_shell_can_read(cli, shell, tmp_path):
    done = cli("completion", shell)
    assert done.code == 0
    for words in ("__complete", shell, ":files", ":folders"):
        assert words in done.out
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(done.out)
    subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_itself_offers_what_can_follow(place, shell_environment):
    lines = ["show orders.ref", "run orders.refund --input @ord", "check refund_ex", "list --kind=wo", "hosts http.r"]
    script = "ritesmith completion fish | source\n" + "".join(f"complete -C 'ritesmith {each}'\n" for each in lines)
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=place,
        env=shell_environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    offered = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert offered == ["orders.refund", "@order.json", "refund_examples.json", "--kind=workflow", "http.request"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_itself_completes_what_is_typed(place, shell_environment):
    """An interactive zsh in which Tab is pressed; what a line has become is seen when it is executed."""
    (place / "inputs").mkdir()
    shutil.copy(place / "order.json", place / "inputs" / "one.json")
    parent, terminal = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-f", "-i"],
        cwd=place,
        env=shell_environment | {"HOME": str(place)},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        try:
            for line in (
                b"autoload -Uz compinit && compinit -u -D && source <(ritesmith completion zsh); echo done-$?\n",
                b"ritesmith show stats.average@\t --source > shown; echo done-$?\n",
                # No space behind the folder: the file in it is completed next.
                b"ritesmith run orders.refund --input @inp\to\t --detach --json > run; echo done-$?\n",
            ):
                os.write(parent, line)
                seen, until = b"", time.monotonic() + 30
                while b"done-0" not in seen:
                    assert time.monotonic() < until, seen
                    if select.select([parent], [], [], 0.1)[0]:
                        seen += os.read(parent, 4096)
        finally:
            process.kill()
            os.close(parent)
    assert "stats.average" in (place / "shown").read_text()
    assert json.loads((place / "run").read_text())["input"] == {"order_id": "ORD-1002"}


def test_another_shell_is_refused_with_those_that_there_are(cli):
    done = cli("completion", "bsh")
    assert done.code == 2
    assert "'bash', 'zsh', 'fish'" in done.err


# ---------------------------------------------------------------- what it must not do


@pytest.mark.parametrize(
    "words", [["run", ""], ["trace", ""], ["--db", "gone/registry.db", "show", ""], ["list", "--kind"]]
)
def test_nothing_is_made_and_nothing_is_said_where_there_is_nothing(tmp_path, monkeypatch, capfd, words):
    monkeypatch.chdir(tmp_path)
    assert [line for line in answered(capfd, "fish", *words) if not line.startswith((":", "--"))] == []
    assert capfd.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


def test_a_registry_that_is_broken_or_locked_completes_nothing(place, capfd):
    with closing(sqlite3.connect(place / "registry.db")) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        answered(capfd, "fish", "show", "orders.ref")
        assert time.monotonic() - began < 5
    (place / "registry.db").write_text("nothing that SQLite could read")
    assert answered(capfd, "fish", "trace", "") == []


def test_what_was_committed_a_moment_ago_is_completed(place, capfd):
    with RiteSmith.open(str(place / "registry.db"), environment={}) as app:
        app.put_document("fresh", "KEY-1", {"a": 1})
        assert answered(capfd, "fish", "store", "get", "fresh", "") == ["KEY-1\t"]
    assert answered(capfd, "fish", "store", "get", "fresh", "") == ["KEY-1\t"]


def test_nothing_heavy_is_imported_for_it(place):
    program = (
        "import sys; sys.argv = ['ritesmith', '__complete', 'bash', 'ritesmith show orders.ref', '@=:'];"
        "from ritesmith.entry import main; main();"
        "heavy = {'click', 'rich', 'pydantic', 'ritesmith.cli', 'ritesmith.db', 'asyncio'} & set(sys.modules);"
        "print(sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["orders.refund", "[]"]


# ---------------------------------------------------------------- the table


def test_the_table_has_the_commands_as_they_are():
    kept = json.loads(Path(complete.TABLE).read_text(encoding="utf-8"))
    assert kept == table(command_tree, list(CATALOG)), "run: python docs/generate.py"


def test_every_kind_of_the_table_can_be_completed():
    known = {*complete.KINDS, "file", "folder", "input", "text", "server", "trusted", "command", ""}
    for path, here in table(command_tree, list(CATALOG)).items():
        kinds = [*here["arguments"], *(kind for _, kind, _ in here["options"].values() if kind is not None)]
        assert {each for each in kinds if isinstance(each, str)} <= known, path


def test_the_real_entry_completes(place):
    done = child("__complete", "bash", "ritesmith verify orders.ref", "@=:", folder=place)
    assert (done.code, done.out, done.err) == (0, "orders.refund\n", "")
