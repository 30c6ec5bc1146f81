"""What is asked of an installation, and what it answers: checks in groups, each passed, warned of, failed or skipped.

Every check is a function that is given what it looks at, so that a test can give it something that fails. The user's
registry is only read, through a copy; what is written goes to a scratch folder beside it, which is removed. Only the
standard library is imported at the top: what is missing is found by the check that needs it.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import signal
import sqlite3
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ritesmith.errors import InvalidInput, ModelUnavailable, NotFound, RiteSmithError, StoreError

if TYPE_CHECKING:
    from ritesmith.model_server import ModelSettings
    from ritesmith.models import Outcome

Status = Literal["pass", "warn", "fail", "skip"]
PYTHON_LEAST = (3, 11)
SQLITE_LEAST = (3, 37, 0)
"""The first with STRICT tables."""
START_SECONDS, KILL_SECONDS = 2.0, 1.0
"""A worker that takes longer to start, or to be gone, is told."""
COMMITS = 20
COMMIT_SECONDS = 0.05
"""A slower commit is told: every step of a run waits for one."""
BYTES_LEAST, BYTES_FEW = 20_000_000, 500_000_000
PROBE_SECONDS = 60.0
"""The process that is to be killed has this long to get there."""
ANSWER_SECONDS = 30.0
ANSWER_TOKENS = 256


class Found(NamedTuple):
    """What one check found: how it stands, in words, and what to do about it."""

    status: Status
    message: str
    fix: str = ""


class Check(NamedTuple):
    """One check, done."""

    group: str
    name: str
    status: Status
    message: str
    fix: str
    seconds: float


class Place(NamedTuple):
    """What is examined."""

    registry: Path
    """The registry file that is meant; it need not be there."""
    scratch: Path
    """A folder on the same file system, to write in."""
    beside: bool
    """Whether `scratch` lies beside the registry file; it does not where nothing can be written there."""
    environment: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """Where the project's own files lie."""
        return self.registry.parent


def examine(registry: Path, environment: Mapping[str, str], *, live: bool = False) -> Iterator[Check]:
    """Every check, one after another, as it is done. Nothing is asked of the network unless `live`."""
    with _scratch(registry.absolute()) as (scratch, beside):
        place = Place(registry.absolute(), scratch, beside, environment)
        yield _done("Python", "version", lambda: python_version(sys.version_info[:3]))
        yield _done("Python", "packages", packages)
        yield from _sandbox_checks()
        yield _done("storage", "sqlite", lambda: sqlite_version(sqlite3.sqlite_version_info))
        yield _done("storage", "full-text search", lambda: full_text(sqlite3.connect))
        yield _done("storage", "folder", lambda: folder(place))
        yield _done("storage", "commits", lambda: commits(scratch / "commits.db", sqlite3.connect))
        where = place.folder if place.folder.is_dir() else scratch
        yield _done("storage", "disk space", lambda: disk_space(shutil.disk_usage(where).free))
        yield _done("registry", "schema", lambda: schema(place.registry))
        yield _done("registry", "verify", lambda: verified(place))
        yield _done("runs", "durability", lambda: durability(scratch))
        yield _done("project", "settings", lambda: settings(place.folder))
        yield _done("project", "variables", lambda: variables(environment))
        yield _done("project", "policy", lambda: policy(place.folder))
        yield _done("project", "secrets", lambda: secrets(place.folder))
        yield _done("project", "signing key", lambda: signing_key(environment))
        yield _done("model", "of the forge", lambda: forge_model(place, live))
        yield _done("model", "of scripts", lambda: scripts_model(place, live))


def _done(group: str, name: str, check: Callable[[], Found]) -> Check:
    began = time.monotonic()
    try:
        found = check()
    except ImportError as error:
        found = Found("fail", str(error), "install it again: pip install --force-reinstall ritesmith")
    except RiteSmithError as error:
        found = Found("fail", error.message, error.hint)
    except (OSError, sqlite3.Error, subprocess.SubprocessError) as error:
        full = "disk is full" in str(error) or getattr(error, "errno", None) == errno.ENOSPC
        fix = "free some space" if full else "see what the system says of it, then run doctor again"
        found = Found("fail", f"{type(error).__name__}: {error}", fix)
    return Check(group, name, *found, round(time.monotonic() - began, 3))


@contextmanager
def _scratch(registry: Path) -> Iterator[tuple[Path, bool]]:
    """A folder that is removed, beside the registry file if one can be made there."""
    beside = True
    try:
        made = tempfile.mkdtemp(prefix=".doctor-", dir=registry.parent)
    except OSError:
        made, beside = tempfile.mkdtemp(prefix="ritesmith-doctor-"), False
    try:
        yield Path(made), beside
    finally:
        shutil.rmtree(made, ignore_errors=True)


# ---------------------------------------------------------------- Python


def python_version(version: tuple[int, ...]) -> Found:
    shown = ".".join(map(str, version))
    if version < PYTHON_LEAST:
        return Found("fail", shown, f"Python {PYTHON_LEAST[0]}.{PYTHON_LEAST[1]} or newer is needed")
    return Found("pass", f"{shown} ({sys.executable})")


PACKAGES = {
    "pydantic": "pydantic",
    "jsonschema": "jsonschema",
    "re2": "google-re2",
    "sqlite_utils": "sqlite-utils",
    "nacl": "pynacl",
    "httpcore2": "httpcore2",
    "openai": "openai",
    "tree_sitter": "tree-sitter",
    "tree_sitter_lua": "tree-sitter-lua",
}
"""Module -> the package that has it; lupa has a check of its own."""


def packages(has: Callable[[str], object] = importlib.util.find_spec) -> Found:
    missing = [package for module, package in PACKAGES.items() if has(module) is None]
    if missing:
        return Found("fail", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Found("pass", f"all {len(PACKAGES)} are there")


# ---------------------------------------------------------------- the sandbox


class Escape(NamedTuple):
    """A script that tries something, and answers {escaped = true} if it came through."""

    what: str
    source: str


ESCAPES = (
    Escape("read a file", 'local ok, f = pcall(function() return io.open("/etc/passwd"):read(1) end) return ok and f'),
    Escape("start a program", 'local ok, r = pcall(function() return os.execute("true") end) return ok and r'),
    Escape("load code", 'local ok, f = pcall(function() return load("return true") end) return ok and f and f()'),
    Escape("make bytecode", "local ok = pcall(function() return string.dump(run) end) return ok"),
    Escape("reach Python", 'local ok, r = pcall(function() return python.eval("1 + 1") end) return ok and r == 2'),
    Escape("reach the debug library", "local ok, r = pcall(function() return debug.getregistry() end) return ok and r"),
    Escape(
        "change strings for the next script",
        'pcall(function() getmetatable("").__index.upper = function() return "changed" end end)'
        'pcall(function() string.upper = function() return "changed" end end)'
        'return ("a"):upper() == "changed"',
    ),
    Escape("call what is not granted", 'local ok = pcall(function() return store.list{namespace = "a"} end) return ok'),
    Escape("catch the end of its fuel", "pcall(function() while true do end end) return true"),
    Escape("hide in a coroutine", "pcall(coroutine.wrap(function() while true do end end)) return true"),
)
"""Tried on every installation; the tests try many more."""


def _escaping(source: str) -> str:
    called = f"(function() {source} end)()"
    return f"function run(input, context) local escaped = {called} return {{escaped = not not escaped}} end"


Run = Callable[..., "Outcome"]
"""Run a source with `limits`, `functions` and `host`, as `Sandbox.run` with an empty input."""


def _sandbox_checks() -> Iterator[Check]:
    yield _done("sandbox", "Lua", lambda: lua(importlib.util.find_spec))
    yield _done("sandbox", "worker", worker)
    try:
        from ritesmith.sandbox import Sandbox

        box = Sandbox(workers=1)
    except ImportError as error:
        why = str(error)
        yield _done("sandbox", "it holds", lambda: Found("fail", why))
        return
    with box:

        def run(source: str, **options: Any) -> Outcome:
            return box.run(source, {}, name="doctor", **options)

        yield _done("sandbox", "it holds", lambda: holds(run))
        yield _done("sandbox", "limits", lambda: limits(run))
        yield _done("sandbox", "system", lambda: layers(box.describe()))


def lua(has: Callable[[str], object]) -> Found:
    fix = "pip install --force-reinstall 'lupa>=2.8,<3'"
    if has("lupa") is None:
        return Found("fail", "lupa, which brings Lua, is not installed", fix)
    if has("lupa.lua55") is None:
        return Found("fail", "this lupa has no Lua 5.5", fix)
    from ritesmith.sandbox import lua_version

    return Found("pass", lua_version())


def worker() -> Found:
    """A worker starts in time, and is gone once it is killed."""
    from ritesmith.sandbox.supervisor import WorkerProcess

    began = time.monotonic()
    started = WorkerProcess()
    ready = time.monotonic() - began
    began = time.monotonic()
    started.kill()
    gone = time.monotonic() - began
    if started.alive:
        fix = f"end it: kill -9 {started.pid}; and report it: deadlines of scripts do not hold here"
        return Found("fail", f"the worker {started.pid} lives on after it was killed", fix)
    told = f"ready in {ready * 1000:.0f} ms, gone {gone * 1000:.0f} ms after its kill"
    if ready > START_SECONDS or gone > KILL_SECONDS:
        return Found("warn", told, "this machine is slow or busy; deadlines of scripts may be missed by as much")
    return Found("pass", told)


def holds(run: Run) -> Found:
    """None of a handful of escapes comes through."""
    from ritesmith.models import Limits

    out: list[str] = []
    for each in ESCAPES:
        outcome = run(_escaping(each.source), limits=Limits(fuel=100_000))
        if outcome.status == "worker_lost":
            out.append(f"{each.what} (it has ended the worker)")
        elif outcome.status == "ok" and outcome.output != {"escaped": False}:
            out.append(each.what)
    if out:
        return Found("fail", f"a script could: {', '.join(out)}", "run nothing that you did not write; report it")
    return Found("pass", f"{len(ESCAPES)} of {len(ESCAPES)} escapes were stopped")


ENDLESS = "function run(input, context) while true do end end"
GREEDY = 'function run(input, context) local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end end'
CALLING = 'function run(input, context) for i = 1, 100 do log.info{message = "x"} end return {} end'
LARGE = 'function run(input, context) return {text = ("x"):rep(100000)} end'


def limits(run: Run) -> Found:
    """Each limit ends the script that passes it, and is what ended it."""
    from ritesmith.models import HostReply, Limits

    def answer(*_: Any) -> HostReply:
        return HostReply(result={})

    calls = {"functions": ["log.info"], "host": answer}
    tried: list[tuple[str, str, Limits, dict[str, Any]]] = [
        ("fuel", ENDLESS, Limits(fuel=10_000), {}),
        ("memory", GREEDY, Limits(memory_bytes=1024 * 1024), {}),
        ("deadline", ENDLESS, Limits(fuel=10**15, deadline_seconds=0.1), {}),
        ("host_calls", CALLING, Limits(host_calls=3), calls),
        ("output_size", LARGE, Limits(output_bytes=1000), {}),
    ]
    wrong = []
    for name, source, given, more in tried:
        status = run(source, limits=given, **more).status
        if status != name:
            wrong.append(f"{name} (the script ended as {status})")
    if wrong:
        return Found("fail", f"not active: {', '.join(wrong)}", "run nothing that you did not write; report it")
    return Found("pass", f"active: {', '.join(name for name, *_ in tried)}")


def layers(described: Mapping[str, Any]) -> Found:
    """What of the operating system confines a worker here."""
    told, missing = ", ".join(described["layers"]), described["inactive"]
    if not missing:
        return Found("pass", told)
    why = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
    fix = "only Linux has all; there, allow prctl and seccomp in the container"
    return Found("warn", f"{told}; not active: {why}", fix)


# ---------------------------------------------------------------- storage


def sqlite_version(version: tuple[int, ...]) -> Found:
    shown = ".".join(map(str, version))
    if version < SQLITE_LEAST:
        least = ".".join(map(str, SQLITE_LEAST))
        return Found("fail", shown, f"SQLite {least} or newer is needed; it comes with Python or with the system")
    return Found("pass", shown)


def full_text(connect: Callable[[str], sqlite3.Connection]) -> Found:
    with closing(connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'porter')")
            connection.execute("INSERT INTO words VALUES ('refunds')")
            found = connection.execute("SELECT count(*) FROM words WHERE words MATCH 'refund'").fetchone()[0]
        except sqlite3.Error as error:
            return Found("fail", f"no FTS5: {error}", "use a Python whose SQLite was built with it")
    if not found:
        return Found("fail", "FTS5 does not find a word by its stem", "use a Python whose SQLite is a usual one")
    return Found("pass", "FTS5, with stems")


def folder(place: Place) -> Found:
    where = place.folder
    if not where.is_dir():
        return Found("fail", f"there is no folder '{where}'", "make it, or name another file with --db")
    if not place.beside:
        return Found("fail", f"'{where}' cannot be written", "make it writable, or name another file with --db")
    if place.registry.exists() and not os.access(place.registry, os.R_OK | os.W_OK):
        return Found("fail", f"'{place.registry}' cannot be written", f"chmod u+rw '{place.registry}'")
    return Found("pass", f"'{where}' can be written")


def commits(file: Path, connect: Callable[[Path], sqlite3.Connection]) -> Found:
    """Write-ahead log and a commit that has reached the disk, measured."""
    seconds = []
    with closing(connect(file)) as connection:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE commits (number INTEGER)")
        connection.commit()
        for number in range(COMMITS):
            began = time.perf_counter()
            connection.execute("INSERT INTO commits VALUES (?)", (number,))
            connection.commit()
            seconds.append(time.perf_counter() - began)
    each = statistics.median(seconds)
    told = f"{each * 1000:.2f} ms each (median of {COMMITS}), fsync included"
    if mode != "wal":
        fix = "keep the registry file on a local disk: processes that share it will wait for each other"
        return Found("warn", f"this file system gives no write-ahead log (SQLite uses '{mode}'); {told}", fix)
    if each > COMMIT_SECONDS:
        return Found("warn", f"write-ahead log; {told}", "a faster disk: every step of a run waits for a commit")
    return Found("pass", f"write-ahead log; {told}")


def disk_space(free: int) -> Found:
    told = f"{free / 1e9:.1f} GB free"
    if free < BYTES_LEAST:
        return Found("fail", told, "free some space: runs stop where a commit cannot be written")
    if free < BYTES_FEW:
        return Found("warn", told, "free some space, or delete old drafts: ritesmith prune")
    return Found("pass", told)


# ---------------------------------------------------------------- the registry


@contextmanager
def _read_only(file: Path) -> Iterator[sqlite3.Connection]:
    """The registry file, which is not changed, and nothing is made beside it."""
    log = file.with_name(file.name + "-wal")
    # Without a log nobody writes; SQLite would make one, and leave it, only to read.
    alone = "" if log.exists() and log.stat().st_size else "&immutable=1"
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro{alone}", uri=True)) as connection:
        yield connection


def schema(registry: Path) -> Found:
    from ritesmith.db import APPLICATION_ID, SCHEMA_VERSION, store_error

    if not registry.exists():
        return Found("skip", f"there is no '{registry}' yet; the first use makes it")
    try:
        with _read_only(registry) as connection:
            version, owner, tables = connection.execute(
                "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)"
                " FROM pragma_user_version, pragma_application_id"
            ).fetchone()
    except sqlite3.Error as error:
        raise store_error(str(registry), error) from None
    if owner != APPLICATION_ID and (owner or tables):
        return Found("fail", f"'{registry}' is another program's SQLite file", "name another file with --db")
    if version > SCHEMA_VERSION:
        told = f"'{registry}' has schema {version}, and this program knows {SCHEMA_VERSION}"
        return Found("fail", told, "upgrade ritesmith, or name another file with --db")
    if version < SCHEMA_VERSION:
        fix = "copy it if you may go back; the next use brings it up to date"
        return Found("warn", f"schema {version}; this program writes {SCHEMA_VERSION}", fix)
    return Found("pass", f"schema {version}, '{registry}'")


def _is_current(registry: Path) -> bool:
    try:
        return schema(registry).status == "pass"
    except StoreError:
        return False


def verified(place: Place) -> Found:
    """Every digest, signature, contract and pin, on a copy; examples are left to `ritesmith verify`."""
    if not _is_current(place.registry):
        return Found("skip", "see its schema")
    from ritesmith.app import RiteSmith
    from ritesmith.db import store_error
    from ritesmith.signing import Keys

    size, free = place.registry.stat().st_size, shutil.disk_usage(place.scratch).free
    if free < 2 * size + BYTES_LEAST:
        return Found("skip", "there is no space for a copy of it", "free some, or run: ritesmith verify")
    copy = place.scratch / "registry.db"
    try:
        with _read_only(place.registry) as connection, closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
    except sqlite3.Error as error:
        raise store_error(str(place.registry), error) from None
    with RiteSmith(copy, environment=place.environment, keys=Keys.of(place.environment)) as app:
        told = app.verify(examples=False)
    findings = [each for each in told["findings"] if each["severity"] == "error"]
    if findings:
        first = f"{findings[0]['where']['file'] or 'the file'}: {findings[0]['message']}"
        more = f"; and {len(findings) - 1} more" if len(findings) > 1 else ""
        return Found("fail", first + more, findings[0]["hint"] or "see all of it: ritesmith verify")
    return Found("pass", f"{told['artifacts']} artifacts: digests, signatures, contracts, pins")


# ---------------------------------------------------------------- runs

COUNT = """--[[ capability
{"name": "doctor.count", "intent": "count how often this was done",
 "input": {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}},
           "additionalProperties": false},
 "output": {"type": "object", "required": ["count"], "properties": {"count": {"type": "integer"}}},
 "grants": {"store.get": {"namespaces": ["doctor"]}, "store.put": {"namespaces": ["doctor"]}},
 "examples": [
  {"input": {"key": "a"}, "output": {"count": 1}, "store_after": {"doctor": {"a": {"count": 1}}}},
  {"input": {"key": "a"}, "output": {"count": 3}, "store": {"doctor": {"a": {"count": 2}}},
   "store_after": {"doctor": {"a": {"count": 3}}}}]}
]]
function run(input, context)
  local found = store.get{namespace = "doctor", key = input.key}
  local count = 1
  if found.value then count = found.value.count + 1 end
  store.put{namespace = "doctor", key = input.key, value = {count = count}}
  return {count = count}
end
"""
TWICE = """{"name": "doctor.twice", "intent": "count twice",
 "input": {"type": "object", "properties": {}, "additionalProperties": false}, "start": "first",
 "nodes": [
  {"id": "first", "kind": "task", "capability": "doctor.count", "with": {"key": "first"}, "next": "second",
   "no_compensation": "a count says how often something happened"},
  {"id": "second", "kind": "task", "capability": "doctor.count", "with": {"key": "second"}, "next": "done",
   "no_compensation": "a count says how often something happened"},
  {"id": "done", "kind": "end", "outcome": "counted"}],
 "examples": [{"input": {}, "outcome": "counted",
               "store_after": {"doctor": {"first": {"count": 1}, "second": {"count": 1}}}}]}
"""
DIES = "import sys; from pathlib import Path; from ritesmith.doctor import die; die(Path(sys.argv[1]))"


def durability(scratch: Path, python: str = sys.executable) -> Found:
    """A run of two steps whose process is killed in the middle of the second goes on here: each is done once."""
    from ritesmith.app import RiteSmith
    from ritesmith.signing import Keys

    place = scratch / "runs"
    place.mkdir()
    (place / "count.lua").write_text(COUNT, encoding="utf-8")
    (place / "twice.json").write_text(TWICE, encoding="utf-8")
    with RiteSmith(place / "registry.db", environment={}, keys=Keys(place)) as app:
        app.publish_file(place / "count.lua")
        app.publish_file(place / "twice.json")
        package = str(Path(__file__).parent.parent)
        killed = subprocess.run(
            [python, "-c", DIES, str(place)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
        if killed.returncode != -signal.SIGKILL:
            words = killed.stderr.decode(errors="replace").strip().splitlines()
            said = f": {words[-1]}" if words else ""
            told = f"the process of the run ended with exit code {killed.returncode}{said}"
            return Found("fail", told, "see what it says; runs are not known to outlive their process here")
        interrupted = app.unfinished()
        if len(interrupted) != 1:
            return Found(
                "fail",
                f"the run of a killed process is lost ({len(interrupted)} left)",
                "keep the registry file on a local disk",
            )
        view = app.drive(interrupted[0])
        counts = {each["key"]: each["value"]["count"] for each in app.documents("doctor")}
    if view.status != "succeeded" or counts != {"first": 1, "second": 1}:
        told = f"after a kill the run ended as {view.status}, and its steps were done {counts} times"
        return Found("fail", told, "leave nothing that matters to runs on this disk; report it")
    return Found("pass", "a process was killed in a step, and the run went on: each step was done once")


def die(place: Path) -> None:
    """The process of `durability`: it kills itself in the middle of the second step."""
    from ritesmith.app import RiteSmith
    from ritesmith.signing import Keys

    def watch(entry: Any, state: Any) -> None:
        if entry.kind == "call_finished" and entry.node == "second":
            os.kill(os.getpid(), signal.SIGKILL)

    with RiteSmith(place / "registry.db", environment={}, keys=Keys(place)) as app:
        app.run("doctor.twice", {}, watch=watch)


# ---------------------------------------------------------------- the project


def settings(folder: Path) -> Found:
    from ritesmith.settings import FILE, load_settings

    if not (folder / FILE).exists():
        return Found("skip", f"there is no {FILE} beside the registry file; defaults hold")
    load_settings(folder)
    return Found("pass", f"'{folder / FILE}'")


def variables(environment: Mapping[str, str]) -> Found:
    from ritesmith.settings_table import unknown_variables

    odd = [name + (f" (did you mean {near}?)" if near else "") for name, near in unknown_variables(environment)]
    if odd:
        return Found("warn", f"no settings: {', '.join(odd)}", "see all of them: ritesmith config show")
    return Found("pass", "every RITESMITH_ variable is a setting")


def policy(folder: Path) -> Found:
    from ritesmith.guard.policy import load_policy
    from ritesmith.intake import content_folder

    own = folder / "guardrails" / "policy.toml"
    bundled = content_folder() / "guardrails" / "policy.toml"
    load_policy(bundled, own)
    return Found("pass", f"the bundled rules, and '{own}'" if own.is_file() else "the bundled rules")


def secrets(folder: Path) -> Found:
    from ritesmith.hosts.secrets import FILE, Secrets

    file = folder / FILE
    if not file.exists():
        return Found("skip", f"there is no {FILE} beside the registry file")
    names = Secrets(folder, {}).names()
    mode = f"{stat.S_IMODE(file.stat().st_mode):o}"
    return Found("pass", f"'{file}' has mode {mode}; in it: {', '.join(names) or 'nothing'}")


def signing_key(environment: Mapping[str, str]) -> Found:
    from ritesmith.signing import Keys

    keys = Keys.of(environment)
    if keys.folder is None or not keys.file.exists():
        where = f"'{keys.file}'"  # StoreError where there is no folder for it
        return Found("skip", f"there is none yet; the first publishing makes {where}")
    return Found("pass", f"{str(keys.own)[:12]} in '{keys.file}', and {len(keys.trusted)} keys of others are trusted")


# ---------------------------------------------------------------- models


def forge_model(place: Place, live: bool) -> Found:
    from ritesmith.hosts.secrets import Secrets
    from ritesmith.model_server import models_of
    from ritesmith.settings import load_settings

    if not _settings_hold(place.folder):
        return Found("skip", "see the settings")
    secrets = Secrets(place.folder, place.environment)
    models = models_of(load_settings(place.folder).forge, place.environment, secrets.get)
    if models is None:
        return Found("skip", "none is set: OPENAI_API_KEY, RITESMITH_LLM_BASE_URL or [forge] of ritesmith.toml")
    return _reached(models.first, live)


def scripts_model(place: Place, live: bool) -> Found:
    from pydantic import SecretStr

    from ritesmith.hosts.secrets import Secrets
    from ritesmith.model_server import ModelSettings
    from ritesmith.settings import load_settings

    if not _settings_hold(place.folder):
        return Found("skip", "see the settings")
    llm = load_settings(place.folder).llm
    if llm is None:
        return Found("skip", "ritesmith.toml has no [llm]")
    key = Secrets(place.folder, place.environment).get(llm.key) if llm.key else None
    if llm.key and key is None:
        raise NotFound(f"the secret '{llm.key}' of [llm] is missing", hint=f"set RITESMITH_SECRET_{llm.key}")
    return _reached(
        ModelSettings(base_url=llm.base_url, api_key=SecretStr(key) if key else None, model=llm.model), live
    )


def _settings_hold(folder: Path) -> bool:
    """Whether the settings can be read; what is wrong with them is said once."""
    try:
        return settings(folder).status in ("pass", "skip")
    except InvalidInput:
        return False


def _reached(server: ModelSettings, live: bool) -> Found:
    where = f"{server.model} at {server.base_url or 'OpenAI'}"
    if not live:
        return Found("skip", f"{where}; --live asks it")
    from ritesmith.model_server import ask

    brief = {"timeout_seconds": ANSWER_SECONDS, "answer_seconds": ANSWER_SECONDS, "max_tokens": ANSWER_TOKENS}
    question = [{"role": "user", "content": "Answer with the word yes."}]
    began = time.monotonic()
    try:
        ask(server.model_copy(update={**brief, "max_retries": 0}), question)
    except ModelUnavailable as error:
        if error.facts.get("reason") != "empty_answer":  # so says one that has thought for as long as it may
            raise
    return Found("pass", f"{where} answered in {time.monotonic() - began:.1f} s")
