"""`file.read` and `file.write`: what lies under a declared root, whole, and never anything beside it."""

import base64
import os
import socket
import stat
from contextlib import closing

import pytest
from host_calls import Caller

from ritesmith.hosts import CATALOG, outside_grant
from ritesmith.hosts import file as files
from ritesmith.settings import FileRoot, Settings

LIMIT = 1000


@pytest.fixture
def home(tmp_path):
    """A project folder with two roots, `inbox` to read and `out` to write, and something worth having beside them."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "secrets.toml").write_text('KEY = "hunter2 in the file"')
    return tmp_path


@pytest.fixture
def call(home):
    roots = {
        "inbox": FileRoot(path="in", bytes_max=LIMIT),
        "out": FileRoot(path="out", write=True, bytes_max=LIMIT),
    }
    with Caller(Settings(files=roots, folder=home)) as caller:
        yield caller


def names(folder):
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


# ---------------------------------------------------------------- what works


def test_a_file_is_read_as_text_or_as_base64(home, call):
    (home / "in" / "sub").mkdir()
    (home / "in" / "sub" / "a b.txt").write_text("grüße\n")
    assert call("file.read", root="inbox", path="sub/a b.txt") == {"content": "grüße\n", "bytes": 8}
    (home / "in" / "raw").write_bytes(b"\xff\0")
    assert call("file.read", root="inbox", path="raw", encoding="base64") == {"content": "/wA=", "bytes": 2}
    (home / "in" / "empty").touch()
    assert call("file.read", root="inbox", path="empty") == {"content": "", "bytes": 0}


def test_a_file_is_written_whole_and_its_folders_are_made(home, call):
    assert call("file.write", root="out", path="2027/01/report.csv", content="a;b\n") == {"bytes": 4}
    file = home / "out" / "2027" / "01" / "report.csv"
    assert file.read_text() == "a;b\n"
    file.chmod(0o640)
    call(
        "file.write",
        root="out",
        path="2027/01/report.csv",
        content=base64.b64encode(b"\0\xff").decode(),
        encoding="base64",
    )
    assert file.read_bytes() == b"\0\xff"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640, "the mode that a person gave it stays"
    assert names(home / "out") == ["2027", "2027/01", "2027/01/report.csv"], "no temporary file is left"


def test_what_was_written_can_be_read_and_written_again_with_the_same_end(home, call):
    for _ in range(2):
        call("file.write", root="out", path="x", content="same")
    assert call("file.read", root="out", path="x")["content"] == "same"
    assert CATALOG["file.write"].idempotent


# ---------------------------------------------------------------- wrong type, oversized


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"root": "out"},
        {"root": 1, "path": "x", "content": ""},
        {"root": "out", "path": 1, "content": ""},
        {"root": "out", "path": "x", "content": 1},
        {"root": "out", "path": "x", "content": {"a": 1}},
        {"root": "out", "path": "x", "content": "", "mode": 511},
        {"root": "out", "path": "x", "content": "", "encoding": "utf-16"},
        {"root": "../out", "path": "x", "content": ""},
        {"root": "out", "path": "", "content": ""},
        {"root": "out", "path": "a\0b", "content": ""},
        {"root": "out", "path": "a\nb", "content": ""},
        {"root": "out", "path": "..\\b", "content": ""},
        {"root": "out", "path": "x" * 1001, "content": ""},
    ],
    ids=lambda args: repr(args)[:60],
)
def test_arguments_of_another_shape_are_refused_before_anything_happens(home, call, args):
    assert call.fails("file.write", **args).code == "bad_argument"
    assert names(home / "out") == []


def test_sizes_are_capped_both_ways(home, call):
    (home / "in" / "fits").write_bytes(b"x" * LIMIT)
    assert call("file.read", root="inbox", path="fits")["bytes"] == LIMIT
    (home / "in" / "large").write_bytes(b"x" * (LIMIT + 1))
    error = call.fails("file.read", root="inbox", path="large")
    assert (error.code, error.retryable) == ("too_large", False)
    assert "larger than 1000 bytes" in error.message
    assert call.fails("file.write", root="out", path="large", content="ä" * 501).code == "too_large"
    assert names(home / "out") == []


def test_what_no_script_could_take_is_too_large_however_large_a_file_may_be(home):
    roots = {"inbox": FileRoot(path="in", bytes_max=10_000_000)}
    with Caller(Settings(files=roots, folder=home)) as call:
        (home / "in" / "control").write_bytes(b"\1" * 400_000)  # six letters each, as JSON
        (home / "in" / "coded").write_bytes(b"\0" * 900_000)
        assert call.fails("file.read", root="inbox", path="control").code == "too_large"
        assert call.fails("file.read", root="inbox", path="coded", encoding="base64").code == "too_large"


def test_content_that_is_not_what_it_is_called_is_refused(home, call):
    assert call.fails("file.write", root="out", path="x", content="no base64!", encoding="base64").code == "bad_content"
    (home / "in" / "raw").write_bytes(b"ab\xff")
    error = call.fails("file.read", root="inbox", path="raw")
    assert error.code == "not_text"
    assert "at byte 2" in error.message
    assert names(home / "out") == []


# ---------------------------------------------------------------- denied


@pytest.mark.parametrize(
    "path", ["..", "../in/x", "a/../x", "./x", "/etc/passwd", "a//b", "a/", ".", ".ritesmith-x", "a/.ritesmith-x"]
)
@pytest.mark.parametrize("name", ["file.read", "file.write"])
def test_a_path_that_is_not_plain_is_refused(home, call, name, path):
    (home / "out" / "a").mkdir()
    more = {"content": "x"} if name == "file.write" else {}
    error = call.fails(name, root="out", path=path, **more)
    assert error.code == "bad_path"
    assert names(home / "out") == ["a"]
    assert call.fails("file.read", root="out", path="/".join("a" * 33)).code == "bad_path"


@pytest.mark.parametrize("target", ["file", "folder", "dangling", "inside"])
def test_no_symbolic_link_is_followed_neither_last_nor_on_the_way(home, call, target):
    out, outside = home / "out", home / "outside"
    outside.mkdir()
    (outside / "x").write_text("not yours")
    (out / "own").mkdir()
    (out / "own" / "x").write_text("own")
    goal = {"file": outside / "x", "folder": outside, "dangling": outside / "none", "inside": out / "own"}[target]
    (out / "link").symlink_to(goal)
    paths = ["link"] if target in ("file", "dangling") else ["link", "link/x", "link/new"]
    for path in paths:
        assert call.fails("file.read", root="out", path=path).code in ("denied", "not_a_file"), path
        assert call.fails("file.write", root="out", path=path, content="mine").code in ("denied", "not_a_file"), path
    assert (outside / "x").read_text() == "not yours"
    assert names(outside) == ["x"]
    assert (out / "link").is_symlink()
    assert (out / "own" / "x").read_text() == "own"


def test_a_folder_that_turns_into_a_link_while_it_is_walked_leads_nowhere(home, call, monkeypatch):
    """The race that checking a path first and opening it then would lose."""
    (home / "outside").mkdir()
    (home / "outside" / "x").write_text("not yours")
    (home / "in" / "sub").mkdir()
    (home / "in" / "sub" / "x").write_text("own")
    opened, real = [], os.open

    def swapping(path, *args, **more):
        if path == "sub" and not opened:
            opened.append(path)
            (home / "in" / "sub").rename(home / "in" / "old")
            (home / "in" / "sub").symlink_to(home / "outside")
        return real(path, *args, **more)

    monkeypatch.setattr(files.os, "open", swapping)
    assert call.fails("file.read", root="inbox", path="sub/x").code == "denied"
    assert opened == ["sub"]


def test_special_files_are_refused_at_once(home, call):
    os.mkfifo(home / "out" / "pipe")
    (home / "out" / "folder").mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(home / "out" / "socket"))
        for name in ("pipe", "folder", "socket"):
            assert call.fails("file.read", root="out", path=name).code == "not_a_file", name
            assert call.fails("file.write", root="out", path=name, content="x").code == "not_a_file", name
    assert stat.S_ISFIFO((home / "out" / "pipe").stat().st_mode)


def test_what_was_not_declared_for_writing_is_only_read(home, call):
    error = call.fails("file.write", root="inbox", path="x", content="x")
    assert error.code == "denied"
    assert "write = true" in error.message
    assert names(home / "in") == []


def test_a_grant_says_which_roots(call):
    for name in ("file.read", "file.write"):
        args = {"root": "inbox", "path": "x", "content": ""}
        assert outside_grant(CATALOG[name], args, {"roots": ["inbox"]}) is None
        assert "root 'inbox' is not granted (granted: out)" in (
            outside_grant(CATALOG[name], args, {"roots": ["out"]}) or ""
        )
        assert outside_grant(CATALOG[name], args, {}) is not None


@pytest.mark.parametrize("path", [".", "..", "/", "guardrails", "guardrails/schemas", "in/.."])
def test_the_projects_own_files_lie_under_no_root(home, path):
    """Who may write the settings or the policy may do everything."""
    (home / "guardrails" / "schemas").mkdir(parents=True)
    with Caller(Settings(files={"all": FileRoot(path=path, write=True)}, folder=home)) as call:
        assert call.fails("file.read", root="all", path="secrets.toml").code == "not_configured"
        assert call.fails("file.write", root="all", path="ritesmith.toml", content="").code == "not_configured"
    (home / "in" / "up").symlink_to(home)
    with Caller(Settings(files={"all": FileRoot(path="in/up")}, folder=home)) as call:
        assert call.fails("file.read", root="all", path="secrets.toml").code == "not_configured"


@pytest.mark.parametrize("path", [".", "keys", "keys/below"])
def test_the_signing_key_lies_under_no_root(tmp_path, home, monkeypatch, path):
    config = tmp_path / "user" / "keys"
    (config / "below").mkdir(parents=True)
    monkeypatch.setenv("RITESMITH_CONFIG", str(config))
    root = FileRoot(path=str(tmp_path / "user" / path), write=True)
    with Caller(Settings(files={"all": root}, folder=home)) as call:
        assert call.fails("file.read", root="all", path="signing.key").code == "not_configured"
        assert call.fails("file.write", root="all", path="trusted.keys", content="").code == "not_configured"


# ---------------------------------------------------------------- unavailable


def test_what_is_not_there_is_not_found(home, call):
    assert call.fails("file.read", root="inbox", path="none").code == "not_found"
    assert call.fails("file.read", root="inbox", path="none/x").code == "not_found"
    (home / "in" / "x").touch()
    assert call.fails("file.read", root="inbox", path="x/y").code == "denied"
    error = call.fails("file.read", root="other", path="x")
    assert error.code == "not_configured"
    assert "[files.other]" in error.message
    (home / "out").rmdir()
    assert call.fails("file.write", root="out", path="x", content="").code == "not_found"


@pytest.mark.parametrize(
    ("number", "code", "retryable"),
    [
        ("ENOSPC", "no_space", True),
        ("EIO", "unavailable", True),
        ("EROFS", "denied", False),
        ("EACCES", "denied", False),
    ],
)
@pytest.mark.parametrize("at", ["fsync", "rename"])
def test_a_write_that_fails_half_way_leaves_what_was_there(home, call, monkeypatch, number, code, retryable, at):
    call("file.write", root="out", path="x", content="before")

    def failing(*args, **more):
        raise OSError(getattr(files.errno, number), "injected")

    monkeypatch.setattr(files.os, at, failing)
    error = call.fails("file.write", root="out", path="x", content="after")
    assert (error.code, error.retryable) == (code, retryable)
    assert (home / "out" / "x").read_text() == "before"
    assert names(home / "out") == ["x"]


def test_the_content_is_durable_before_its_name_is_and_the_name_before_the_answer(home, call, monkeypatch):
    did = []

    def noted(name, real):
        def call(*args, **more):
            did.append(name)
            return real(*args, **more)

        return call

    for each in ("fsync", "rename"):
        monkeypatch.setattr(files.os, each, noted(each, getattr(os, each)))
    call("file.write", root="out", path="x", content="y")
    assert did == ["fsync", "rename", "fsync"]
