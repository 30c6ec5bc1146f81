"""`forge` on a terminal: what a person sees while the model answers, and accepts, edits or refuses."""

import json
import os
import pty
import re
import select
import sys

import pytest
from conftest import BOOKS, Done, environment, fingerprint
from scripted_forge import EXAMPLES, INTENT, lua

from ritesmith.testing import ScriptedAuthor, ScriptedReply

BAD = "  return { initials = unknown_name }"
SECONDS = 60


class Terminal:
    """`ritesmith` at a terminal of its own, whose screen is read as text."""

    def __init__(self, place, *words, **variables):
        env = environment(**{"TERM": "xterm", "NO_PROXY": "127.0.0.1"} | variables)
        self.screen = ""
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.chdir(place)
            os.execve(sys.executable, [sys.executable, "-m", "ritesmith", *words], env)

    def read(self, again=""):
        for _ in range(SECONDS):
            if select.select([self.end], [], [], 1.0)[0]:
                break
            os.write(self.end, again.encode())
        else:
            raise AssertionError(f"nothing more came after:\n{self.screen}")
        try:
            piece = os.read(self.end, 4096)
        except OSError:  # so Linux tells that the other side has closed
            piece = b""
        self.screen += piece.decode(errors="replace")
        return piece

    def until(self, words):
        while words not in self.screen:
            assert self.read(), self.screen

    def type(self, text):
        self.screen = ""
        os.write(self.end, text.encode())

    def close(self, again=""):
        """All that came since the last word that was typed, without the control sequences.

        `again` is typed once more whenever nothing comes for a second: Ctrl-C in the moment before Python waits for a
        key is seen only with the next one.
        """
        while self.read(again):
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.end)
        return Done(os.waitstatus_to_exitcode(status), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.screen), "")


@pytest.fixture
def forging(place):
    """Start a forge at a terminal, with a scripted model."""
    (place / "examples.json").write_text(json.dumps(EXAMPLES))
    servers = []

    def start(*options, replies, **variables):
        author = ScriptedAuthor(replies)
        author.__enter__()
        servers.append(author)
        words = ["forge", INTENT, "--examples", "examples.json", *options]
        return Terminal(place, *words, RITESMITH_LLM_BASE_URL=author.base_url, **variables)

    yield start
    for author in servers:
        author.__exit__(None, None, None)


@pytest.fixture
def editor(place):
    """A command for $EDITOR that writes the wanted text into the file that it is given."""

    def writes(text):
        (place / "wanted.md").write_text(text)
        script = place / "editor.sh"
        script.write_text('#!/bin/sh\ncat "$(dirname "$0")/wanted.md" > "$1"\n')
        script.chmod(0o755)
        return str(script)

    return writes


def test_a_draft_is_published_when_it_is_accepted(forging, cli):
    terminal = forging("--interactive", replies=[lua()])
    terminal.until("[a]ccept, [e]dit, [r]efuse")
    assert "string.gmatch" in terminal.screen
    terminal.type("a\n")
    done = terminal.close()
    assert (done.code, "authored text.initials@1" in done.words) == (0, True)
    assert cli("show", "text.initials", "--json").json["provenance"]["author"] == "scripted"


def test_a_draft_that_is_refused_is_not_published(forging, place):
    before = fingerprint(place / "registry.db", without=BOOKS)
    terminal = forging("--interactive", replies=[lua()])
    terminal.until("[r]efuse")
    terminal.type("refuse\n")
    done = terminal.close()
    assert done.code == 6
    assert "refused the draft" in done.words
    assert fingerprint(place / "registry.db", without=BOOKS) == before


@pytest.mark.parametrize(
    ("script", "told"),
    [("printf '\\377' > \"$1\"", "is not UTF-8"), ("exit 3", "Editing failed")],
    ids=["bytes", "failure"],
)
def test_an_editor_that_leaves_no_text_changes_nothing(forging, place, script, told):
    editor = place / "bad_editor.sh"
    editor.write_text(f"#!/bin/sh\n{script}\n")
    editor.chmod(0o755)
    terminal = forging("--interactive", replies=[lua()], EDITOR=str(editor))
    terminal.until("[r]efuse")
    terminal.type("e\n")
    terminal.until(told)
    terminal.until("[a]ccept")
    terminal.type("a\n")
    assert terminal.close().code == 0


def test_what_was_edited_passes_the_guard_again(forging, editor, cli):
    terminal = forging("--interactive", replies=[lua()], EDITOR=editor(lua(BAD)))
    terminal.until("[r]efuse")
    terminal.type("e\n")
    terminal.until("[e]dit, [r]efuse")
    assert "unknown_global" in terminal.screen
    assert "[a]ccept" not in terminal.screen
    editor(lua(name="people.monogram"))
    terminal.type("a\n")  # what does not pass cannot be accepted
    terminal.until("is not one of")
    terminal.type("e\n")
    terminal.until("[a]ccept")
    terminal.type("a\n")
    assert terminal.close().code == 0
    author = cli("show", "people.monogram", "--json").json["provenance"]["author"]
    assert author.startswith("scripted, edited by ")


def test_ctrl_c_at_the_question_publishes_nothing(forging, place):
    before = fingerprint(place / "registry.db", without=BOOKS)
    terminal = forging("--interactive", replies=[lua()])
    terminal.until("[r]efuse")
    terminal.type("\x03")
    assert terminal.close(again="\x03").code == 130
    assert fingerprint(place / "registry.db", without=BOOKS) == before


def test_accepting_is_no_approval(place, cli):
    with ScriptedAuthor([lua()]) as author:
        terminal = Terminal(place, "forge", INTENT, "--interactive", RITESMITH_LLM_BASE_URL=author.base_url)
        terminal.until("[a]ccept")
        terminal.type("a\n")
        done = terminal.close()
    assert "it waits for a person" in done.words
    assert cli("run", "text.initials", "--input", '{"name": "Ada Lovelace"}').code == 4


def test_what_was_composed_is_shown_too(place, cli):
    intent = "parse this csv, group the rows by city, and give the average of price per city"
    assert cli("revoke", "reports.csv_group_average@1", "--reason", "to be composed").code == 0
    terminal = Terminal(place, "forge", intent, "--no-model", "--interactive")
    terminal.until("[a]ccept")
    assert "csv.parse" in terminal.screen
    terminal.type("a\n")
    done = terminal.close()
    assert (done.code, "composed " in done.words) == (0, True)


def test_without_a_terminal_nobody_is_asked(forge):
    done = forge.refused(2, INTENT, "--interactive", replies=[lua()], examples=EXAMPLES)
    assert "no terminal" in done.json["error"]["message"]
    assert forge.author.requests == []


def test_the_answer_is_shown_as_it_comes(forging):
    terminal = forging(replies=[ScriptedReply(text=lua() + "x" * 100, stall="within")], NO_COLOR="1")
    terminal.until("asking the model")
    terminal.until("characters so far")
    terminal.until("Ada Lovelace")
    terminal.type("\x03")
    done = terminal.close()
    assert done.code == 130
    assert "[31m" not in terminal.screen


def test_phases_are_told_on_a_terminal_that_cannot_move_its_cursor(place):
    with ScriptedAuthor([lua()]) as author:
        terminal = Terminal(place, "forge", INTENT, RITESMITH_LLM_BASE_URL=author.base_url, TERM="dumb")
        done = terminal.close()
    assert done.code == 0
    assert "\x1b" not in terminal.screen
    assert terminal.screen.index("asking the model") < terminal.screen.index("checking the draft")


def test_nothing_is_shown_without_a_terminal(forge):
    done = forge(INTENT, replies=[lua()], examples=EXAMPLES, human=True)
    assert (done.code, done.err) == (0, "")
