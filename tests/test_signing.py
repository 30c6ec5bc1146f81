"""Signatures: the key of this user, who else is trusted, and that nothing unsigned or edited is executed."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import environment

from ritesmith import db
from ritesmith.app import RiteSmith
from ritesmith.db import open_db
from ritesmith.errors import Conflict, InvalidInput, NotFound, StoreError, Untrusted
from ritesmith.forge.reuse import normalise
from ritesmith.models import Artifact, Provenance
from ritesmith.registry import Registry
from ritesmith.signing import Keys, statement

FACTS = statement("test 1", a=1)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "mine")


@pytest.fixture
def others(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "others")


# ---------------------------------------------------------------- the key


def test_the_key_is_made_on_first_use_for_this_user_alone(keys: Keys) -> None:
    assert keys.own is None
    assert not keys.file.exists()
    key, signature = keys.sign(FACTS)
    assert stat.S_IMODE(keys.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.file.parent.stat().st_mode) == 0o700
    assert [each.name for each in keys.file.parent.iterdir()] == ["signing.key"]
    again = Keys(keys.folder)
    assert again.own == key == keys.own
    assert again.sign(FACTS) == (key, signature)
    again.check("it", FACTS, key, signature)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"RITESMITH_CONFIG": "/a", "XDG_CONFIG_HOME": "/b"}, Path("/a")),
        ({"XDG_CONFIG_HOME": "/b"}, Path("/b/ritesmith")),
        ({}, Path.home() / ".config" / "ritesmith"),
    ],
)
def test_the_folder_of_the_keys_is_named_by_the_environment(environment: dict[str, str], folder: Path) -> None:
    assert Keys.of(environment).folder == folder


def test_a_key_that_others_can_read_is_refused(keys: Keys) -> None:
    keys.sign(FACTS)
    keys.file.chmod(0o640)
    with pytest.raises(StoreError, match=r"can be read by others \(mode 640\)") as caught:
        Keys(keys.folder).sign(FACTS)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("content", ["", "no key", "ab" * 33, "AB" * 32])
def test_a_file_that_holds_no_key_is_refused_and_left(keys: Keys, content: str) -> None:
    keys.file.parent.mkdir()
    keys.file.write_text(content)
    keys.file.chmod(0o600)
    with pytest.raises(StoreError, match="holds no signing key"):
        keys.sign(FACTS)
    assert keys.file.read_text() == content


def test_no_home_and_no_folder_that_can_be_written_are_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no home folder") as caught:
        Keys(None).sign(FACTS)
    assert "RITESMITH_CONFIG" in caught.value.hint
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        Keys(tmp_path / "file").sign(FACTS)


def test_processes_that_make_the_key_at_once_have_the_same(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from ritesmith.signing import Keys
        sys.stdin.readline()
        print(Keys(Path(sys.argv[1])).sign(b"")[0])
        """
    words = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "new")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment()}
    makers = [subprocess.Popen(words, **pipes) for _ in range(4)]
    for each in makers:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    assert len({each.communicate()[0] for each in makers}) == 1


# ---------------------------------------------------------------- trust


def test_another_key_counts_once_it_is_trusted_and_no_longer_when_it_is_not(keys: Keys, others: Keys) -> None:
    key, signature = others.sign(FACTS)
    with pytest.raises(Untrusted, match="which you don't trust") as caught:
        keys.check("'a.b@1'", FACTS, key, signature)
    assert f"ritesmith trust add {key}" in caught.value.hint
    keys.trust(key, "ann's  laptop")
    keys.check("it", FACTS, key, signature)
    assert Keys(keys.folder).trusted == {key: "ann's laptop"}
    assert keys.distrust(key) == "ann's laptop"
    with pytest.raises(Untrusted):
        keys.check("it", FACTS, key, signature)
    assert Keys(keys.folder).trusted == {}


def test_what_is_not_signed_or_was_changed_is_untrusted(keys: Keys) -> None:
    key, signature = keys.sign(FACTS)
    for given in ((None, None), (key, None), ("", b"")):
        with pytest.raises(Untrusted, match=r"'a\.b@1' is not signed"):
            keys.check("'a.b@1'", FACTS, *given)
    wrong: list[Any] = [signature[:-1] + bytes([signature[-1] ^ 1]), b"short", signature + b"x"]
    for each in wrong:
        with pytest.raises(Untrusted, match="is not what the key"):
            keys.check("it", FACTS, key, each)
    with pytest.raises(Untrusted):
        keys.check("it", statement("test 1", a=2), key, signature)


@pytest.mark.parametrize("given", ["", "ann", "a" * 63, "A" * 64, "а" * 64, "../../etc", "f" * 64 + "\n"])
def test_what_is_no_key_is_refused(keys: Keys, given: str) -> None:
    with pytest.raises(InvalidInput):
        keys.trust(given)
    with pytest.raises((InvalidInput, NotFound)):
        keys.distrust(given)


def test_the_own_key_and_a_trusted_one_are_not_trusted_twice(keys: Keys, others: Keys) -> None:
    with pytest.raises(Conflict, match="your own key"):
        keys.trust(keys.sign(FACTS)[0])
    keys.trust(others.sign(FACTS)[0], "ann")
    with pytest.raises(Conflict, match="as 'ann'"):
        keys.trust(others.sign(FACTS)[0])
    with pytest.raises(InvalidInput):
        keys.trust("0" * 63 + "1", "two\x1b[2Jlines")


def test_a_damaged_list_of_trusted_keys_is_refused_with_its_line(keys: Keys, others: Keys) -> None:
    keys.trust(others.sign(FACTS)[0])
    file = keys.file.with_name("trusted.keys")
    file.write_text(file.read_text() + "nonsense\n")
    with pytest.raises(StoreError, match="line 2 holds no key"):
        _ = Keys(keys.folder).trusted


# ---------------------------------------------------------------- signed artifacts


@pytest.fixture
def registry(tmp_path: Path, keys: Keys) -> Iterator[Registry]:
    with closing(open_db(tmp_path / "registry.db")) as connection:
        yield Registry(connection, lambda: 1.0, normalise, keys)


def publish(registry: Registry, name: str = "a.b", text: str = "one", **more: Any) -> Artifact:
    given: dict[str, Any] = {"kind": "capability", "canonical": "", "effect": "pure", "risk": "low", "intent": "so"}
    given["provenance"] = Provenance(source="person", pins={"x.y@1": "0" * 64})
    return registry.publish(name=name, text=text, **given | more)[0]


def test_what_is_published_is_signed_and_stays_so_whatever_its_status(registry: Registry, keys: Keys) -> None:
    artifact = publish(registry, status="draft")
    assert artifact.signer == keys.own == registry.by_digest(artifact.digest).signer
    registry.verify(artifact.digest)
    for status in ("active", "deprecated", "active", "revoked"):
        registry.set_status(artifact.digest, status, "because")  # type: ignore[arg-type]
        registry.verify(artifact.digest)
    assert registry.by_digest(artifact.digest).reason == "because"
    with pytest.raises(Conflict, match="is revoked and cannot become active"):
        registry.set_status(artifact.digest, "active")


@pytest.mark.parametrize(
    "edit",
    [
        "version = 7",
        "name = 'a.c'",
        "kind = 'workflow'",
        "provenance = replace(provenance, '0000', '1111')",
        "provenance = replace(provenance, 'person', 'bundled')",
        "status = 'active'",
        "effect = 'read'",
        "risk = 'high'",
        "reason = 'none'",
        "signer = NULL",
        "signature = NULL",
        "status_signature = zeroblob(64)",
        "status_signer = '" + "1" * 64 + "'",
        "signature = status_signature",
    ],
)
def test_nothing_of_an_artifact_can_be_edited_unseen(registry: Registry, edit: str) -> None:
    artifact = publish(registry, status="draft")
    registry.verify(artifact.digest)  # what was seen right before is looked at again
    registry.connection.execute(f"UPDATE artifacts SET {edit}")
    with pytest.raises(Untrusted):
        registry.verify(artifact.digest)


def test_a_status_that_was_edited_is_not_signed_anew_but_can_be_revoked(registry: Registry) -> None:
    artifact = publish(registry, status="draft")
    registry.connection.execute("UPDATE artifacts SET effect = 'read'")
    with pytest.raises(Untrusted):
        registry.set_status(artifact.digest, "active")
    assert registry.by_digest(artifact.digest).status == "draft"
    registry.set_status(artifact.digest, "revoked", "it was edited")
    assert registry.by_digest(artifact.digest).status == "revoked"


def test_without_keys_nothing_is_signed_and_nothing_verifies(tmp_path: Path) -> None:
    with closing(open_db(tmp_path / "registry.db")) as connection:
        registry = Registry(connection, lambda: 1.0, normalise)
        artifact = publish(registry)
        assert artifact.signer is None
        with pytest.raises(Untrusted, match="there are no keys"):
            registry.verify(artifact.digest)


# ---------------------------------------------------------------- what is executed


AVERAGE = ("stats.average", {"numbers": [1, 2, 6]})


def edited(place: Path, name: str, change: str) -> None:
    with closing(sqlite3.connect(place / "registry.db")) as connection, connection:
        assert connection.execute(f"UPDATE artifacts SET {change} WHERE name = ?", (name,)).rowcount == 1


@pytest.mark.parametrize("change", ["signer = NULL", "signature = zeroblob(64)", "effect = 'write'", "version = 2"])
def test_an_artifact_that_nobody_vouches_for_does_not_start(place: Path, change: str) -> None:
    edited(place, "stats.average", change)
    with RiteSmith.open(str(place / "registry.db")) as app:
        assert app.details("stats.average")["name"] == "stats.average"  # it can be looked at
        with pytest.raises(Untrusted, match=r"stats\.average"):
            app.start(*AVERAGE)
        assert app.runs() == []


def test_a_workflow_with_an_edited_part_does_not_start_and_a_run_under_way_stops_at_it(place: Path) -> None:
    with RiteSmith.open(str(place / "registry.db")) as app:
        run = app.run("orders.refund", {"order_id": "ORD-1002"}).run
    edited(place, "payments.refund", "signature = zeroblob(64)")
    with RiteSmith.open(str(place / "registry.db")) as app:
        with pytest.raises(Untrusted, match=r"payments\.refund@1"):
            app.start("orders.refund", {"order_id": "ORD-1001"})
        with pytest.raises(Untrusted, match=r"payments\.refund@1"):
            app.answer(run, "approved")
        assert app.view(run).status in ("waiting", "running")


def test_the_forge_passes_over_what_nobody_vouches_for_and_says_so(place: Path) -> None:
    edited(place, "stats.average", "signature = zeroblob(64)")
    with RiteSmith.open(str(place / "registry.db")) as app:
        from ritesmith.errors import ForgeError

        with pytest.raises(ForgeError) as caught:
            app.forge("average of a list of numbers", dry_run=True)
    [told] = [each for each in caught.value.facts["report"]["candidates"] if each["ref"] == "stats.average@1"]
    assert told["tier"] == "none"
    assert "is not what the key" in told["reason"]


def test_a_registry_of_another_user_runs_once_their_key_is_trusted(place: Path, tmp_path: Path, config: Path) -> None:
    theirs = Keys(config).own
    assert theirs is not None
    mine = Keys(tmp_path / "mine")
    with RiteSmith.open(str(place / "registry.db"), keys=mine) as app:
        with pytest.raises(Untrusted, match=theirs[:12]):
            app.run(*AVERAGE)
        mine.trust(theirs, "them")
        assert app.run(*AVERAGE).output == {"average": 3}


# ---------------------------------------------------------------- files of before


def old_file(file: Path) -> None:
    """A registry file as it was before artifacts were signed, with one good artifact and one that was edited."""
    migrations = db._migrations()
    from sqlite_utils import Database

    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        migrations._migrations = [each for each in migrations._migrations if each.name < "m004"]
        migrations.apply(Database(connection, execute_plugins=False))
        connection.execute(f"PRAGMA application_id = {db.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 3")
        for name, text in (("a.good", "one"), ("a.edited", "two")):
            from ritesmith.registry import digest_of_text

            provenance = Provenance(source="person", pins={"x.y@1": "0" * 64}).model_dump_json()
            connection.execute(
                "INSERT INTO artifacts VALUES (?, 'capability', ?, 1, ?, '', 'active', 'pure', 'low', 1.0, ?)",
                (digest_of_text(text), name, text, provenance),
            )
        connection.execute("UPDATE artifacts SET text = 'other' WHERE name = 'a.edited'")


def test_a_file_of_before_is_signed_when_it_is_opened_but_for_what_was_edited(tmp_path: Path, keys: Keys) -> None:
    file = tmp_path / "registry.db"
    old_file(file)
    with closing(RiteSmith(file, keys=keys)) as app:
        good, edited_one = [
            row["digest"] for row in app.connection.execute("SELECT digest FROM artifacts ORDER BY name DESC")
        ]
        app.registry.verify(good)
        with pytest.raises((Untrusted, StoreError)):
            app.registry.verify(edited_one)
        assert app.connection.execute("SELECT count(*) FROM parts").fetchone()[0] == 2
        unsigned = app.connection.execute("SELECT name FROM artifacts WHERE signer IS NULL").fetchall()
        assert [row["name"] for row in unsigned] == ["a.edited"]
        app.connection.execute("UPDATE artifacts SET signer = NULL, signature = NULL")
    with closing(RiteSmith(file, keys=keys)) as app, pytest.raises(Untrusted, match="is not signed"):
        app.registry.verify(good)  # a file of now is never signed after the fact


def test_a_process_that_is_killed_while_it_signs_leaves_the_old_file_whole(tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    old_file(file)
    with closing(sqlite3.connect(file)) as connection:
        before = list(connection.iterdump())
    code = """
        import os, signal, sys
        from ritesmith.registry import Registry
        from ritesmith.app import RiteSmith
        adopt = Registry.adopt
        def then_die(registry):
            adopt(registry)
            os.kill(os.getpid(), signal.SIGKILL)
        Registry.adopt = then_die
        RiteSmith(sys.argv[1])
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(file)], env=environment(), check=False)
    assert done.returncode == -9
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 3
        assert list(connection.iterdump()) == before
    with closing(RiteSmith(file)) as app:
        app.registry.verify(app.registry.get("a.good").digest)


def test_a_statement_is_always_spelled_alike() -> None:
    assert statement("x 1", b=1, a="ä") == b'{"a":"\\u00e4","b":1,"ritesmith":"x 1"}'
    assert json.loads(FACTS) == {"ritesmith": "test 1", "a": 1}
