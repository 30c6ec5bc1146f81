"""What the tests of the command line share: a folder with a ready registry, and two ways to call `ritesmith` in it."""

import hashlib
import io
import json
import logging
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from planted import Planted, found_in

import ritesmith
from ritesmith.app import RiteSmith
from ritesmith.cli import console, main
from ritesmith.sandbox import Sandbox

SETTINGS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RITESMITH_LLM_BASE_URL", "RITESMITH_LLM_MODEL", "RITESMITH_DB")


class Done(NamedTuple):
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON object on stdout."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def words(self):
        """Both streams as one line of words, as no table breaks them."""
        return " ".join((self.out + " " + self.err).split())

    @property
    def run(self):
        """The id of the run that it tells of."""
        return re.search(r"\br[0-9a-f]{10}\b", self.out + self.err)[0]


def environment(**more):
    """This process's variables without the settings of RiteSmith, and with the package that is under test."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return {**kept, "PYTHONPATH": str(Path(ritesmith.__file__).parent.parent), "COLUMNS": "120", **more}


def start(*words, folder, **more):
    """A child process at the real entry, with pipes on all three streams."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    return subprocess.Popen([sys.executable, "-m", "ritesmith", *words], cwd=folder, **(pipes | more))


def child(*words, folder, stdin=b"", **more):
    """One command in a process of its own."""
    with start(*words, folder=folder, **more) as process:
        out, err = process.communicate(stdin, timeout=60)
    return Done(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def until(condition, process):
    """Come back when the condition holds; a child that ends before has failed."""
    while not condition():
        assert process.poll() is None


def interrupt(process):
    """Press Ctrl-C once the process sits and waits.

    Python forgets a signal that comes between its last look and the call that blocks, until that call is over.
    """
    stat = Path(f"/proc/{process.pid}/stat")
    until(lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "S", process)
    os.killpg(process.pid, signal.SIGINT)


BOOKS = ("model_calls", "model_servers")


def fingerprint(db, without=()):
    """The digest of every row of every table but those: equal when nothing was written in between."""
    connection = sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)
    try:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        ]
        names = [name for name in names if name not in without]
        rows = {name: sorted(map(repr, connection.execute(f"SELECT * FROM [{name}]"))) for name in names}
    finally:
        connection.close()
    return {name: (len(found), hashlib.sha256("".join(found).encode()).hexdigest()) for name, found in rows.items()}


@pytest.fixture(scope="session", autouse=True)
def config(tmp_path_factory):
    """The folder of the keys of all tests, instead of that of the person who runs them."""
    folder = tmp_path_factory.mktemp("config")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RITESMITH_CONFIG", str(folder))
        yield folder


@pytest.fixture(scope="session")
def ready(tmp_path_factory):
    """A folder as `ritesmith init --demo` leaves it, made once; copy it, don't write to it."""
    folder = tmp_path_factory.mktemp("ready")
    with RiteSmith.open(str(folder / "registry.db"), environment={}) as app:
        app.init_demo(folder)
    return folder


@pytest.fixture
def place(tmp_path, ready, monkeypatch):
    """A fresh copy of the ready folder, in which the test stands, without any setting of the person who runs it."""
    folder = tmp_path / "place"
    shutil.copytree(ready, folder)
    monkeypatch.chdir(folder)
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


@pytest.fixture(scope="session")
def workers():
    """One pool of workers for all commands that are called in this process: starting one takes most of their time."""
    with Sandbox(workers=1) as box:
        yield box


@pytest.fixture
def cli(place, capsys, monkeypatch, workers):
    """Call the command line in this process: quicker than a child, and the same but for signals and streams."""
    for screen in (console.out, console.err):  # whichever test it was in which rich first looked for its width
        monkeypatch.setattr(screen, "_width", 120)
    monkeypatch.setattr(RiteSmith, "sandbox", property(lambda app: workers))
    monkeypatch.setattr(Sandbox, "warm", lambda box: box)  # they are warm

    def call(*words, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def forge(cli, place, monkeypatch):
    from scripted_forge import ScriptedForge

    return ScriptedForge(cli, place, monkeypatch)


class HandClock:
    """A clock that starts at the machine's time and moves only when it is told to."""

    def __init__(self):
        self.at = time.time()

    def now(self):
        return self.at

    def sleep(self, seconds):
        raise AssertionError(f"asked to sleep {seconds} seconds")


@pytest.fixture
def planted(tmp_path, caplog):
    """Secrets for a test whose files, all below `tmp_path`, and whose log are searched for them when it ends."""
    caplog.set_level(logging.DEBUG)
    secrets = Planted(tmp_path.name)
    yield secrets
    assert found_in(tmp_path) == []
    assert [each for each in secrets.values if each in caplog.text] == []


@pytest.fixture(scope="session", autouse=True)
def no_planted_secret_in_any_file(tmp_path_factory):
    """When all tests have ended, no file that the suite has written holds a secret that one of them planted."""
    yield
    if Planted.planted:
        assert found_in(tmp_path_factory.getbasetemp(), rows=False) == []


@pytest.fixture
def hand_clock():
    return HandClock()
