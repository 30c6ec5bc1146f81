"""`ritesmith doctor`: every check passes here, and is made to fail by something that fails it."""

import importlib.util
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Done, child, environment, fingerprint

from ritesmith import doctor
from ritesmith.app import RiteSmith
from ritesmith.errors import NotFound, RiteSmithError, SandboxUnavailable, StoreError
from ritesmith.models import Outcome
from ritesmith.testing import ScriptedAuthor

ALL = [
    ("Python", "version"),
    ("Python", "packages"),
    ("sandbox", "Lua"),
    ("sandbox", "worker"),
    ("sandbox", "it holds"),
    ("sandbox", "limits"),
    ("sandbox", "system"),
    ("storage", "sqlite"),
    ("storage", "full-text search"),
    ("storage", "folder"),
    ("storage", "commits"),
    ("storage", "disk space"),
    ("registry", "schema"),
    ("registry", "verify"),
    ("runs", "durability"),
    ("project", "settings"),
    ("project", "variables"),
    ("project", "policy"),
    ("project", "secrets"),
    ("project", "signing key"),
    ("model", "of the forge"),
    ("model", "of scripts"),
]


def one(done, name):
    [found] = [each for each in done.json["checks"] if each["name"] == name]
    return found


# ---------------------------------------------------------------- the whole


def test_a_sound_installation_passes_and_the_registry_is_only_read(cli, place):
    before, files = fingerprint(place / "registry.db"), sorted(os.listdir(place))
    done = cli("doctor", "--json")
    assert done.code == 0
    assert [(each["group"], each["name"]) for each in done.json["checks"]] == ALL
    assert {tuple(each) for each in done.json["checks"]} == {doctor.Check._fields}
    assert {each["status"] for each in done.json["checks"]} <= {"pass", "skip", "warn"}
    assert done.json["ok"] is True
    assert sum(done.json["counts"].values()) == len(ALL)
    assert one(done, "verify")["status"] == "pass"
    assert one(done, "durability")["status"] == "pass"
    assert fingerprint(place / "registry.db") == before
    assert sorted(os.listdir(place)) == files


def test_without_a_registry_none_is_made(tmp_path):
    done = child("doctor", folder=tmp_path)
    assert done.code == 0
    assert "there is no" in done.words
    assert "the first use makes it" in done.words
    assert list(tmp_path.iterdir()) == []


def test_no_signing_key_is_made(tmp_path):
    keys = tmp_path / "keys"
    done = child("doctor", "--json", folder=tmp_path, env=environment(RITESMITH_CONFIG=str(keys)))
    assert one(done, "signing key")["status"] == "skip"
    assert not keys.exists()


def test_a_file_that_is_no_registry_is_told_and_left_alone(cli, place):
    (place / "registry.db").write_bytes(b"not a database, and longer than a header of SQLite would be" * 40)
    done = cli("doctor", "--json")
    assert done.code == 1
    assert "is not a SQLite file" in one(done, "schema")["message"]
    assert one(done, "schema")["fix"]
    assert one(done, "verify")["status"] == "skip"
    assert one(done, "durability")["status"] == "pass"


def test_a_folder_that_is_not_there_is_told(cli, tmp_path):
    done = cli("--db", tmp_path / "gone" / "registry.db", "doctor", "--json")
    assert done.code == 1
    assert one(done, "folder")["status"] == "fail"
    assert "--db" in one(done, "folder")["fix"]
    assert one(done, "durability")["status"] == "pass"


def test_a_broken_lupa_is_told_with_its_fix(tmp_path):
    broken = tmp_path / "broken" / "lupa"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("")
    path = os.pathsep.join([str(broken.parent), environment()["PYTHONPATH"]])
    done = child("doctor", "--json", folder=tmp_path, env=environment(PYTHONPATH=path))
    assert done.code == 1
    assert one(done, "Lua")["message"] == "this lupa has no Lua 5.5"
    assert "lupa>=2.8" in one(done, "Lua")["fix"]
    for name in ("worker", "it holds", "limits", "system", "durability"):
        assert one(done, name)["status"] == "fail", name


def test_people_get_groups_marks_and_the_fix(cli, place):
    (place / "ritesmith.toml").write_text("[htpt]\n")
    done = cli("doctor")
    assert done.code == 1
    assert "did you mean 'http'?" in done.words
    assert "fix: repair or restore the file" in done.words
    assert "✗ settings" in done.out
    assert " failed, " in done.out.splitlines()[-1]


# ---------------------------------------------------------------- each check, made to fail


def test_an_old_python_fails():
    assert doctor.python_version((3, 10, 9)).status == "fail"
    assert doctor.python_version(sys.version_info[:3]).status == "pass"


def test_a_missing_package_fails():
    def has(module):
        return None if module == "nacl" else importlib.util.find_spec(module)

    assert doctor.packages(has) == ("fail", "missing: pynacl", "pip install pynacl")


def test_without_lupa_lua_fails():
    found = doctor.lua(lambda module: None)
    assert (found.status, found.message) == ("fail", "lupa, which brings Lua, is not installed")


def test_a_worker_that_does_not_start_fails(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(SandboxUnavailable, match="could not be started"):
        doctor.worker()


def test_a_slow_worker_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "START_SECONDS", 0.0)
    assert doctor.worker().status == "warn"


def bare_lua(source, **_):
    """What Lua without a sandbox makes of a script."""
    from lupa.lua55 import LuaError, LuaRuntime

    lua = LuaRuntime()
    try:
        lua.execute("store = {list = function() return {} end}")
        lua.execute(source)
        return Outcome(status="ok", output=dict(lua.globals().run({}, {})))
    except LuaError as error:
        return Outcome(status="script_error", message=str(error))


def test_a_sandbox_that_does_not_hold_fails(monkeypatch):
    # Those two would never end here.
    quick = [each for each in doctor.ESCAPES if "while true" not in each.source]
    monkeypatch.setattr(doctor, "ESCAPES", tuple(quick))
    found = doctor.holds(bare_lua)
    assert found.status == "fail"
    for each in quick:
        assert each.what in found.message


def test_a_script_that_catches_its_limit_or_ends_its_worker_fails():
    found = doctor.holds(lambda source, **_: Outcome(status="ok", output={"escaped": True}))
    assert "catch the end of its fuel" in found.message
    found = doctor.holds(lambda source, **_: Outcome(status="worker_lost"))
    assert found.message.count("it has ended the worker") == len(doctor.ESCAPES)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("fuel", {"fuel": 10**15, "deadline_seconds": 0.1}),
        ("memory", {"memory_bytes": 2**30, "fuel": 500_000}),
        ("deadline", {"deadline_seconds": 30.0, "fuel": 500_000}),
        ("host_calls", {"host_calls": 1000}),
        ("output_size", {"output_bytes": 10**6}),
    ],
)
def test_a_limit_that_is_not_active_fails(workers, name, instead):
    def run(source, *, limits, **more):
        # A sandbox that does not know this one; another limit ends what would never end.
        return workers.run(source, {}, limits=limits.model_copy(update=instead), **more)

    found = doctor.limits(run)
    assert found.status == "fail"
    assert f"{name} (the script ended as " in found.message


def test_a_layer_of_the_system_that_is_missing_is_told():
    described = {"layers": ["process", "rlimits"], "inactive": {"seccomp": "Function not implemented"}}
    found = doctor.layers(described)
    assert found.status == "warn"
    assert "seccomp: Function not implemented" in found.message


def test_an_old_sqlite_fails():
    assert doctor.sqlite_version((3, 36, 0)).status == "fail"
    assert doctor.sqlite_version(sqlite3.sqlite_version_info).status == "pass"


def test_a_sqlite_without_full_text_search_fails():
    def connect(name):
        connection = sqlite3.connect(name)
        connection.set_authorizer(
            lambda what, *_: sqlite3.SQLITE_DENY if what == sqlite3.SQLITE_CREATE_VTABLE else sqlite3.SQLITE_OK
        )
        return connection

    assert doctor.full_text(connect).status == "fail"


def test_a_file_that_cannot_be_written_fails(place, tmp_path):
    missing = doctor.Place(tmp_path / "gone" / "registry.db", tmp_path, False, {})
    assert "there is no folder" in doctor.folder(missing).message
    elsewhere = doctor.Place(place / "registry.db", tmp_path, False, {})
    assert "cannot be written" in doctor.folder(elsewhere).message


def test_a_folder_that_is_only_readable_fails_and_the_rest_is_examined(place):
    # Root may write anywhere, unless it gives that up.
    powerless = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    if powerless and shutil.which("setpriv") is None:
        pytest.skip("nothing is read-only for root here")
    place.chmod(0o500)
    try:
        words = [*powerless, sys.executable, "-m", "ritesmith", "doctor", "--json"]
        done = subprocess.run(words, cwd=place, env=environment(), capture_output=True, text=True, check=False)
    finally:
        place.chmod(0o700)
    done = Done(done.returncode, done.stdout, done.stderr)
    assert done.code == 1
    assert "cannot be written" in one(done, "folder")["message"]
    assert {one(done, name)["status"] for name in ("schema", "verify", "durability")} == {"pass"}


def test_a_file_system_without_a_write_ahead_log_is_told(tmp_path):
    def connect(file):
        # This way of locking has no shared memory, as some network file systems have none.
        return sqlite3.connect(f"{Path(file).as_uri()}?vfs=unix-dotfile", uri=True)

    found = doctor.commits(tmp_path / "commits.db", connect)
    assert found.status == "warn"
    assert "gives no write-ahead log" in found.message
    assert doctor.commits(tmp_path / "other.db", sqlite3.connect).status == "pass"


def test_a_slow_disk_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "COMMIT_SECONDS", 0.0)
    assert doctor.commits(tmp_path / "commits.db", sqlite3.connect).status == "warn"


def test_a_full_disk_fails():
    assert [doctor.disk_space(free).status for free in (1000, 100_000_000, 10**10)] == ["fail", "warn", "pass"]


@pytest.mark.parametrize(
    ("sql", "status", "words"),
    [
        ("PRAGMA user_version = 900", "fail", "upgrade ritesmith"),
        ("PRAGMA user_version = 3", "warn", "brings it up to date"),
        ("PRAGMA application_id = 77", "fail", "--db"),
    ],
)
def test_a_schema_that_is_not_ours_is_told(place, sql, status, words):
    with closing(sqlite3.connect(place / "registry.db")) as connection:
        connection.execute(sql)
    found = doctor.schema(place / "registry.db")
    assert (found.status, words in found.fix) == (status, True)


def test_an_edited_artifact_fails(place, tmp_path):
    with closing(sqlite3.connect(place / "registry.db")) as connection, connection:
        connection.execute("UPDATE artifacts SET text = text || ' ' WHERE name = 'text.slugify'")
    found = doctor.verified(doctor.Place(place / "registry.db", tmp_path, True, os.environ))
    assert found.status == "fail"
    assert "text.slugify@1" in found.message


def test_what_was_committed_and_not_yet_moved_into_the_file_is_read_too(place):
    with closing(sqlite3.connect(place / "registry.db")) as connection:
        connection.execute("PRAGMA user_version = 900")  # stays in the log as long as this connection is open
        assert doctor.schema(place / "registry.db").status == "fail"


def test_a_run_that_is_not_killed_or_is_lost_fails(tmp_path):
    found = doctor.durability(tmp_path, python=shutil.which("true"))
    assert (found.status, "ended with exit code 0" in found.message) == ("fail", True)
    with pytest.raises((OSError, RiteSmithError)):
        doctor.durability(tmp_path / "gone")


def test_a_run_that_is_lost_with_its_process_fails(tmp_path):
    dies_first = tmp_path / "python"
    dies_first.write_text("#!/bin/sh\nkill -9 $$\n")
    dies_first.chmod(0o700)
    found = doctor.durability(tmp_path, python=str(dies_first))
    assert (found.status, "is lost" in found.message) == ("fail", True)


def test_settings_a_policy_and_secrets_that_are_wrong_fail(cli, place):
    (place / "ritesmith.toml").write_text('[email]\nhost = "m"\n')
    (place / "guardrails").mkdir()
    (place / "guardrails" / "policy.toml").write_text("rules = 7\n")
    (place / "secrets.toml").write_text('MAIL = "long enough"\n')
    (place / "secrets.toml").chmod(0o644)
    done = cli("doctor", "--json")
    assert done.code == 1
    assert {name: one(done, name)["status"] for name in ("settings", "policy", "secrets")} == dict.fromkeys(
        ("settings", "policy", "secrets"), "fail"
    )
    assert one(done, "secrets")["fix"].startswith("chmod 600 ")
    (place / "secrets.toml").chmod(0o600)
    (place / "ritesmith.toml").write_text("")
    shutil.rmtree(place / "guardrails")
    done = cli("doctor", "--json")
    assert done.code == 0
    assert "long enough" not in done.out
    assert "in it: MAIL" in one(done, "secrets")["message"]


def test_a_variable_that_is_no_setting_is_told():
    found = doctor.variables({"RITESMITH_BD": "x", "RITESMITH_SECRET_ANY": "x", "PATH": "x"})
    assert (found.status, found.message) == ("warn", "no settings: RITESMITH_BD (did you mean RITESMITH_DB?)")
    assert doctor.variables({"RITESMITH_DB": "x"}).status == "pass"


def test_a_signing_key_that_others_can_read_fails(tmp_path):
    (tmp_path / "signing.key").write_text("0" * 64)
    (tmp_path / "signing.key").chmod(0o644)
    with pytest.raises(StoreError, match="can be read by others"):
        doctor.signing_key({"RITESMITH_CONFIG": str(tmp_path)})


def test_models_are_only_asked_with_live(cli, place, monkeypatch):
    with ScriptedAuthor(["yes", "yes"]) as server:
        monkeypatch.setenv("RITESMITH_LLM_BASE_URL", server.base_url)
        (place / "ritesmith.toml").write_text(f'[llm]\nbase_url = "{server.base_url}"\nmodel = "tiny"\n')
        done = cli("doctor", "--json")
        assert {one(done, name)["status"] for name in ("of the forge", "of scripts")} == {"skip"}
        assert server.requests == []
        done = cli("doctor", "--live", "--json")
        assert {one(done, name)["status"] for name in ("of the forge", "of scripts")} == {"pass"}
        assert len(server.requests) == 2
    done = cli("doctor", "--live", "--json")  # the server is gone
    assert done.code == 1
    assert {one(done, name)["status"] for name in ("of the forge", "of scripts")} == {"fail"}


def test_a_model_whose_secret_is_missing_fails(place, tmp_path):
    (place / "ritesmith.toml").write_text('[llm]\nmodel = "tiny"\nkey = "MODEL"\n')
    with pytest.raises(NotFound, match="the secret 'MODEL'") as caught:
        doctor.scripts_model(doctor.Place(place / "registry.db", tmp_path, True, {}), live=False)
    assert caught.value.hint == "set RITESMITH_SECRET_MODEL"


def test_the_examined_file_may_be_open_elsewhere(cli, place):
    with RiteSmith.open(str(place / "registry.db"), environment={}) as app:
        app.put_document("orders", "NEW", {"a": 1})
        assert one(cli("doctor", "--json"), "verify")["status"] == "pass"
        assert app.document("orders", "NEW")["value"] == {"a": 1}


def test_settings_that_are_wrong_are_told_once(cli, place):
    (place / "ritesmith.toml").write_text("[http]\nportz = [443]\n")
    done = cli("doctor", "--json")
    assert [name for name in ("settings", "of the forge", "of scripts") if one(done, name)["status"] == "fail"] == [
        "settings"
    ]


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (OSError(28, "No space left on device"), "free some space"),
        (sqlite3.OperationalError("database or disk is full"), "free some space"),
        (OSError(5, "Input/output error"), "see what the system says of it, then run doctor again"),
    ],
)
def test_what_the_system_refuses_is_told_with_a_fix(error, fix):
    def refused():
        raise error

    assert doctor._done("storage", "commits", refused)[2:5:2] == ("fail", fix)
