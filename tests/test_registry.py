"""The registry on real SQLite: immutable artifacts, counted versions, names of one kind, and search by words."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import ritesmith.search
from ritesmith.app import RiteSmith
from ritesmith.db import open_db, transaction
from ritesmith.errors import Conflict, InvalidInput, NotFound, StoreError
from ritesmith.forge.reuse import normalise
from ritesmith.models import Artifact, Finding, Provenance
from ritesmith.registry import Registry, digest_of_text
from ritesmith.search import schema_words, search, split_words, with_fields
from ritesmith.testing import ManualClock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def registry(file: Path, clock: ManualClock) -> Iterator[Registry]:
    with closing(open_db(file)) as connection:
        yield Registry(connection, clock.now, normalise)


def publish(registry: Registry, name: str = "math.add", text: str = "one", **more: Any) -> tuple[Artifact, bool]:
    given: dict[str, Any] = {
        "kind": "capability",
        "canonical": "c" * 64,
        "effect": "pure",
        "risk": "low",
        "intent": f"what {name} does",
        "provenance": Provenance(source="person", author="ann", findings=(Finding(code="habit", message="so"),)),
    }
    return registry.publish(name=name, text=text, **given | more)


# ---------------------------------------------------------------- publishing


def test_an_artifact_comes_back_as_it_was_published(registry: Registry, clock: ManualClock) -> None:
    text = "-- ä \u2028 \n"
    artifact, new = publish(registry, text=text)
    assert new
    assert artifact.digest == hashlib.sha256(text.encode()).hexdigest() == digest_of_text(text)
    assert (artifact.ref, artifact.status, artifact.created_at) == ("math.add@1", "active", clock.now())
    for reference in ("math.add", "math.add@1", artifact.digest, artifact.digest[:12]):
        assert registry.get(reference) == artifact
    assert registry.by_digest(artifact.digest) == artifact


def test_the_same_text_again_changes_nothing(registry: Registry, clock: ManualClock) -> None:
    first, _ = publish(registry)
    clock.advance(10)
    again, new = publish(registry, risk="high", provenance=Provenance(source="model"))
    assert not new
    assert again == first
    assert len(registry.versions("math.add")) == 1
    assert registry.aliases("math.add") == ["what math.add does"]


def test_another_text_is_the_next_version_and_the_first_stays(registry: Registry) -> None:
    first, _ = publish(registry)
    second, new = publish(registry, text="two")
    assert new
    assert second.ref == "math.add@2"
    assert registry.get("math.add") == second
    assert registry.get("math.add@1") == first
    assert [each.version for each in registry.versions("math.add")] == [1, 2]


def test_a_version_is_never_given_twice(registry: Registry) -> None:
    publish(registry)
    second, _ = publish(registry, text="two")
    registry.set_status(second.digest, "revoked")
    assert publish(registry, text="three")[0].version == 3
    assert publish(registry, text="two") == (second.model_copy(update={"status": "revoked"}), False)


def test_a_name_belongs_to_one_kind(registry: Registry) -> None:
    publish(registry)
    with pytest.raises(Conflict, match=r"'math\.add' is the name of a capability") as caught:
        publish(registry, text="{}", kind="workflow")
    assert "another name" in caught.value.hint
    assert len(registry.versions("math.add")) == 1


def test_a_dry_run_tells_the_version_and_stores_nothing(registry: Registry) -> None:
    assert publish(registry, dry_run=True)[0].ref == "math.add@1"
    assert registry.names() == []
    assert registry.aliases("math.add") == []


def test_a_publication_that_breaks_off_leaves_nothing(registry: Registry) -> None:
    def phrases() -> Iterator[str]:
        yield "add two numbers"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        publish(registry, aliases=phrases())
    assert registry.names() == []
    assert registry.aliases("math.add") == []


def test_publishers_that_race_end_with_one_artifact_a_text_and_no_gap(file: Path, registry: Registry) -> None:
    code = """
        import sys
        from ritesmith.db import open_db
        from ritesmith.models import Provenance
        from ritesmith.registry import Registry
        registry = Registry(open_db(sys.argv[1]), lambda: 1.0, str)
        print("ready", flush=True)
        for number, _ in enumerate(sys.stdin):
            artifact, new = registry.publish(
                kind="capability", name="a.b", text=f"text {number}", canonical="", effect="pure", risk="low",
                intent="race", provenance=Provenance(source="person"))
            print(int(new), artifact.version, flush=True)
        """
    words = [sys.executable, "-c", textwrap.dedent(code), str(file)]
    racers = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for each in racers:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for number in range(1, 31):
            for each in racers:
                assert each.stdin is not None
                each.stdin.write("\n")
                each.stdin.flush()
            told = sorted(each.stdout.readline() for each in racers if each.stdout)
            assert told == [f"0 {number}\n", f"1 {number}\n"]
    finally:
        for each in racers:
            each.kill()
            each.communicate()
    assert [each.version for each in registry.versions("a.b")] == list(range(1, 31))


# ---------------------------------------------------------------- finding by reference


@pytest.mark.parametrize(
    "reference",
    ["math.ad", "math.add@2", "math.add@0", "math.add@-1", "math.add@99999999999999999999", "math", "", "a" * 64, "*"],
)
def test_what_is_not_there_is_not_found(registry: Registry, reference: str) -> None:
    publish(registry)
    with pytest.raises((NotFound, InvalidInput)) as caught:
        registry.get(reference)
    assert caught.value.message


@pytest.mark.parametrize("version", ["", "one", "1.0", "²", "１", " 1", "1 ", "1@1", "9" * 5000])
def test_a_version_is_a_number(registry: Registry, version: str) -> None:
    publish(registry)
    with pytest.raises(InvalidInput, match="must be a number"):
        registry.get(f"math.add@{version}")


def test_a_near_miss_and_the_known_versions_are_named(registry: Registry) -> None:
    publish(registry)
    publish(registry, text="two", status="draft")
    with pytest.raises(NotFound) as caught:
        registry.get("math.addd")
    assert caught.value.hint == "did you mean 'math.add'?"
    with pytest.raises(NotFound, match=r"versions of 'math.add': 1 \(active\), 2 \(draft\)"):
        registry.get("math.add@7")


def test_an_edited_text_is_refused_on_every_load(registry: Registry) -> None:
    artifact, _ = publish(registry)
    publish(registry, "math.sub", "other")
    with transaction(registry.connection):
        registry.connection.execute("UPDATE artifacts SET text = 'One' WHERE digest = ?", (artifact.digest,))
    for load in (
        lambda: registry.get("math.add"),
        lambda: registry.by_digest(artifact.digest),
        lambda: registry.versions("math.add"),
        lambda: registry.newest(),
        lambda: publish(registry),
    ):
        with pytest.raises(StoreError, match=r"'math\.add@1' is not what was published"):
            load()
    assert registry.get("math.sub").name == "math.sub"


# ---------------------------------------------------------------- status


def test_the_newest_active_version_is_meant_by_a_name(registry: Registry) -> None:
    first, _ = publish(registry)
    draft, _ = publish(registry, text="two", status="draft")
    assert registry.get("math.add") == first
    assert [each.ref for each in registry.newest()] == ["math.add@1"]
    assert [each.ref for each in registry.newest(statuses=("active", "draft"))] == ["math.add@2"]
    registry.set_status(draft.digest, "active")
    assert registry.get("math.add").version == 2
    registry.set_status(draft.digest, "deprecated")
    assert registry.get("math.add") == first
    registry.set_status(first.digest, "revoked")
    with pytest.raises(NotFound):
        registry.get("math.add")
    assert registry.get("math.add@1").status == "revoked"


def test_a_draft_runs_when_a_person_has_approved_it(place: Path, tmp_path: Path) -> None:
    with RiteSmith.open(str(place / "registry.db")) as app:
        bundled = app.registry.get("payments.refund")
        text = bundled.text.replace("local function cents_of", "-- changed\nlocal function cents_of", 1)
        checked = app.check_text(text, "refund.lua")
        artifact, new = app.publish_checked(checked, source="model", author="a model", force_approval=True)
        assert (new, artifact.status, artifact.ref) == (True, "draft", "payments.refund@2")
        with pytest.raises(Conflict, match="waits for a person's approval"):
            app.start("payments.refund@2", {"payment_id": "PAY-1001", "amount": 1})
        assert app.registry.get("payments.refund") == bundled
        with pytest.raises(Conflict, match="has the digest"):
            app.approve_artifact("payments.refund@2", digest="0" * 12)
        assert [each.ref for each in app.approve_artifact("payments.refund@2", by="ann")] == ["payments.refund@2"]
        with pytest.raises(Conflict, match="waits for no approval"):
            app.approve_artifact("payments.refund@2")
        assert app.registry.get("payments.refund").version == 2
        told = app.connection.execute("SELECT reason FROM decisions WHERE tier = 'approval'").fetchall()
        assert [row["reason"] for row in told] == ["approved by ann"]


def test_of_two_processes_that_make_a_registry_at_once_one_does_the_work(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "ritesmith", "--db", str(tmp_path / "registry.db"), "init"]
    makers = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = sorted(each.communicate()[1] for each in makers)
    assert [each.returncode for each in makers] == [0, 0]
    assert told[0] == ""
    assert "made" in told[1]
    assert "each checked and tried" in told[1]


# ---------------------------------------------------------------- aliases and search


def test_a_phrasing_is_learned_once_and_found(registry: Registry) -> None:
    publish(registry, aliases=("sum of two numbers",))
    assert registry.add_alias("math.add", "Put two figures together!", {"examples": 2})
    assert not registry.add_alias("math.add", "put two  figures together", {})
    assert registry.aliases("math.add")[-1] == "Put two figures together!"
    assert registry.names_of_phrase("put two figures together") == ["math.add"]
    assert [hit.name for hit in search(registry.connection, "figures")] == ["math.add"]


def library(registry: Registry) -> None:
    publish(registry, "orders.refund", "1", intent="pay back an order", description="Tells the customer by e-mail.")
    publish(registry, "text.parseCSVFile".lower(), "2", intent="read a table", words="parseCSVFile columnNames")
    publish(registry, "validation.email", "3", intent="is this an email address", aliases=("check ann@example.org",))
    publish(registry, "math.add", "4", intent="add numbers")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("refund", ["orders.refund"]),
        ("REFUNDS of orders", ["orders.refund"]),
        ("pay \"back\" an 'order'", ["orders.refund"]),
        ("who's paid back?", ["orders.refund"]),
        ("csv columns", ["text.parsecsvfile"]),
        ("ann@example.org", ["validation.email"]),
        ("e-mail", ["orders.refund"]),
        ("math.add", ["math.add"]),
        ("add* OR NOT (NEAR", ["math.add"]),
        ("intent:refund", ["orders.refund"]),
        ("what???", []),
        ("?", []),
        ('"', []),
        ("", []),
        ("the of and", []),
        ("\ud800", []),
        ("\0", []),
        ("nothing like this", []),
    ],
)
def test_search_by_words_takes_any_text(registry: Registry, query: str, names: list[str]) -> None:
    library(registry)
    found = [hit.name for hit in search(registry.connection, query)]
    assert sorted(found) == sorted(names)
    assert found[:1] == names[:1]


def test_search_takes_as_many_words_as_come(registry: Registry) -> None:
    library(registry)
    query = " ".join(f"w{number}" for number in range(5000)) + " refund"
    assert [hit.name for hit in search(registry.connection, query)] == ["orders.refund"]
    assert len(search(registry.connection, "refund add email table", limit=2)) == 2


def test_search_shows_the_newest_active_version_only(registry: Registry) -> None:
    first, _ = publish(registry, intent="add numbers")
    second, _ = publish(registry, text="two", intent="add numbers")
    publish(registry, text="three", intent="add numbers", status="draft")
    assert [hit.digest for hit in search(registry.connection, "numbers")] == [second.digest]
    registry.set_status(second.digest, "revoked")
    assert [hit.digest for hit in search(registry.connection, "numbers")] == [first.digest]
    registry.set_status(first.digest, "revoked")
    assert search(registry.connection, "numbers") == []


@pytest.mark.parametrize("query", ["total of the invoices", "invoices", "sum rare invoices", "total rare sum invoices"])
def test_words_of_many_artifacts_find_what_plain_bm25_finds(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    with transaction(registry.connection):
        for each in range(40):
            publish(registry, f"a.n{each}", str(each), intent=f"sum of invoices {'total' if each % 4 == 0 else ''}")
        publish(registry, "a.wanted", "x", intent="rare total")
    plain = {hit.name: hit for hit in search(registry.connection, query, 41)}
    monkeypatch.setattr(ritesmith.search, "ROWS_RANKED", 15)
    monkeypatch.setattr(ritesmith.search, "ROWS_COUNTED", 5)
    bounded = search(registry.connection, query, 10)
    assert len(bounded) == 10
    assert {hit.name for hit in bounded} <= plain.keys()
    least = sorted((hit.score for hit in plain.values()), reverse=True)[9]
    # Of rows that hold the same words, plain bm25 likes the shorter ones a little more.
    assert all(plain[hit.name].score >= 0.8 * least for hit in bounded)


def test_artifacts_are_found_by_the_fields_of_their_schemas(registry: Registry) -> None:
    publish(registry, "a.one", "1", intent="alpha", words="text length")
    publish(registry, "a.two", "2", intent="beta", words="text")
    publish(registry, "a.three", "3", intent="gamma", words="textLength")
    found = with_fields(registry.connection, ["text", "length"], "alpha beta", 10)
    assert [(hit.name, hit.by_words) for hit in found] == [("a.one", True), ("a.three", False)]
    assert with_fields(registry.connection, [], "alpha", 10) == []
    assert with_fields(registry.connection, ['"', "text"], "", 1)[0].name == "a.three"


def test_a_phrase_is_learned_without_looking_through_the_index(registry: Registry) -> None:
    library(registry)
    seen: list[str] = []
    registry.connection.set_trace_callback(seen.append)
    registry.add_alias("math.add", "put two figures together", {})
    registry.connection.set_trace_callback(None)
    (update,) = (text for text in seen if text.startswith("UPDATE search"))
    plan = [row["detail"] for row in registry.connection.execute(f"EXPLAIN QUERY PLAN {update}")]
    assert [step for step in plan if step.startswith("SCAN") and not step.endswith("INDEX 0:=")] == []


def test_words_are_taken_apart() -> None:
    assert split_words("parseCSVFile") == "parse csvfile"
    assert split_words("snake_case, camelCase: e-mail@x.org ÄÖ") == "snake case camel case e mail x org äö"
    schema = {"properties": {"a": {"description": "first"}, "b": {"items": {"properties": {"c": {}}}}}}
    assert set(schema_words(schema, None).split()) == {"a", "b", "c", "first"}
