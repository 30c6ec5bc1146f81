"""The verbs on artifacts: what is published, compared, taken out of use, carried elsewhere, verified and kept."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import environment, fingerprint

from ritesmith.app import RiteSmith
from ritesmith.bundle import signed, unseal
from ritesmith.cli.console import out
from ritesmith.errors import Conflict, ForgeExhausted, InvalidInput, NotFound, Rejected, StoreError, Untrusted
from ritesmith.intake import bundled_files
from ritesmith.models import Artifact
from ritesmith.sandbox import Sandbox
from ritesmith.signing import Keys
from ritesmith.testing import ManualClock

BUNDLED = len(bundled_files())
DOUBLE = """--[[ capability
{"name": "demo.double", "intent": "twice a number",
 "input": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
           "additionalProperties": false},
 "output": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}},
            "additionalProperties": false},
 "examples": [{"input": {"n": 1}, "output": {"n": 2}}, {"input": {"n": 4}, "output": {"n": 8}}]}
]]
function run(input, context)
  local twice = input.n * 2
  return {n = twice}
end
"""
FLOW = {
    "name": "demo.flow",
    "intent": "double a number and say so",
    "input": {
        "type": "object",
        "required": ["n"],
        "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
    },
    "start": "wait",
    "nodes": [
        {"id": "wait", "kind": "approval", "prompt": "go on?", "next": "double"},
        {
            "id": "double",
            "kind": "task",
            "capability": "demo.double",
            "with": {"n": {"var": "input.n"}},
            "next": "done",
        },
        {"id": "done", "kind": "end", "output": {"n": {"var": "nodes.double.output.n"}}},
    ],
    "examples": [{"input": {"n": 2}, "decisions": {"wait": "approved"}, "output": {"n": 4}}],
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, workers: Sandbox) -> None:
    """All registries of a test share one pool of workers: starting one takes most of their time."""
    monkeypatch.setattr(RiteSmith, "sandbox", property(lambda app: workers))


@pytest.fixture
def app(place: Path) -> Iterator[RiteSmith]:
    with RiteSmith.open(str(place / "registry.db")) as opened:
        yield opened


def text_file(name: str, text: str) -> Path:
    file = Path(name)
    file.write_text(text, encoding="utf-8")
    return file


def capability(app: RiteSmith, text: str = DOUBLE, **how: Any) -> Artifact:
    return app.publish_file(text_file("double.lua", text), **how).artifact


def flow(app: RiteSmith, **changed: Any) -> Artifact:
    return app.publish_file(text_file("flow.json", json.dumps(FLOW | changed))).artifact


FASTER = DOUBLE.replace("input.n * 2", "input.n + input.n")
HOSTILE = DOUBLE.replace('"maximum": 9', '"maximum": 5').replace(
    '{"n": 4}, "output": {"n": 8}', '{"n": 2}, "output": {"n": 4}'
)


# ---------------------------------------------------------------- publishing


def test_bundled_files_are_read_again_only_when_they_look_otherwise(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr("ritesmith.app.bundled_files", lambda: read.append("files") or bundled_files())

    def opened() -> int:
        read.clear()
        with RiteSmith.open(str(place / "registry.db")):
            return len(read)

    opened()
    assert opened() == 0
    monkeypatch.setattr("ritesmith.app.bundled_look", lambda: "of another time")
    assert opened() == 1
    assert opened() == 0


def test_only_a_change_makes_a_version_and_what_says_the_same_is_told(app: RiteSmith) -> None:
    first = app.publish_file(text_file("a.lua", DOUBLE))
    assert (first.artifact.ref, first.new, first.same_as, first.twins, first.breaking) == (
        "demo.double@1",
        True,
        "",
        (),
        (),
    )
    assert not app.publish_file(text_file("a.lua", DOUBLE)).new
    other_words = (
        DOUBLE.replace("twice", "result")
        .replace("  return", "  -- done\n  return")
        .replace("result a number", "twice a number")
    )
    again = app.publish_file(text_file("a.lua", other_words))
    assert (again.new, again.same_as, again.artifact.ref) == (False, "demo.double@1", "demo.double@1")
    assert app.publish_file(text_file("a.lua", other_words), anyway=True).artifact.ref == "demo.double@2"
    assert app.publish_file(text_file("a.lua", FASTER)).artifact.ref == "demo.double@3"
    more_examples = FASTER.replace('"examples": [', '"examples": [{"input": {"n": 3}, "output": {"n": 6}}, ')
    assert app.publish_file(text_file("a.lua", more_examples)).artifact.ref == "demo.double@4"
    assert app.publish_file(text_file("a.lua", DOUBLE)).artifact.ref == "demo.double@1"


def test_the_same_code_under_another_name_is_told(app: RiteSmith) -> None:
    capability(app)
    twin = app.publish_file(text_file("b.lua", DOUBLE.replace("demo.double", "demo.twofold")))
    assert (twin.new, twin.twins) == (True, ("demo.double@1",))
    assert app.details("demo.twofold")["twins"] == ["demo.double@1"]


def test_a_breaking_change_is_said_and_must_be_meant(app: RiteSmith, place: Path) -> None:
    capability(app)
    before = fingerprint(place / "registry.db")
    with pytest.raises(Rejected, match=r"'demo\.double' would break") as caught:
        capability(app, HOSTILE)
    assert "maximum is 5, not 9" in caught.value.findings[0].message
    assert "--breaking" in caught.value.hint
    assert fingerprint(place / "registry.db") == before
    meant = app.publish_file(text_file("a.lua", HOSTILE), breaking=True)
    assert (meant.artifact.ref, len(meant.breaking)) == ("demo.double@2", 1)
    assert app.diff("demo.double")["breaking"] == list(meant.breaking)


def test_a_workflow_file_that_would_break_is_not_run(app: RiteSmith) -> None:
    capability(app)
    flow(app)
    narrowed = json.loads(json.dumps(FLOW))
    narrowed["input"]["properties"]["n"]["maximum"] = 5
    with pytest.raises(Rejected, match="would break"):
        app.start(text_file("flow.json", json.dumps(narrowed)), {"n": 1})
    assert [each.version for each in app.registry.versions("demo.flow")] == [1]


def test_a_name_that_only_looks_right_is_refused_with_its_letter(app: RiteSmith) -> None:
    with pytest.raises(Rejected) as caught:
        capability(app, DOUBLE.replace("demo.double", "dеmo.double"))
    assert "CYRILLIC SMALL LETTER IE" in caught.value.findings[0].hint
    capability(app)
    with pytest.raises(NotFound) as unknown:
        app.details("dеmo.double")
    assert "did you mean 'demo.double'?" in unknown.value.hint
    assert "CYRILLIC SMALL LETTER IE" in unknown.value.hint


# ---------------------------------------------------------------- out of use


def test_a_revoked_part_lets_runs_finish_and_none_start(app: RiteSmith) -> None:
    part = capability(app)
    whole = flow(app)
    under_way = app.run("demo.flow", {"n": 3}).run
    app.revoke("demo.double@1", "it   counts\nwrong", by="ann")
    assert app.registry.by_digest(part.digest).reason == "it counts wrong"
    for reference in ("demo.flow", whole.ref, "demo.double@1"):
        with pytest.raises(Conflict, match=r"'demo\.double@1' was revoked \(it counts wrong\)"):
            app.start(reference, {"n": 1})
    with pytest.raises(Conflict):
        app.fork(under_way, "double")
    assert app.answer(under_way, "approved").output == {"n": 6}
    assert app.under_way(whole) == 0
    [found] = app.verify("demo.flow")["findings"]
    assert (found["code"], found["severity"]) == ("revoked_version", "error")
    assert "it counts wrong" in found["message"]
    # A pin to it is a finding in what is yet to be published, too.
    pinned = json.loads(json.dumps(FLOW)) | {"name": "demo.other"}
    pinned["nodes"][1]["capability"] = "demo.double@1"
    checked = app.check_file(text_file("other.json", json.dumps(pinned)))
    assert [each.code for each in checked.errors] == ["revoked_version"]


def test_what_is_made_of_a_revoked_part_is_not_reused(app: RiteSmith) -> None:
    capability(app)
    flow(app)
    app.revoke("demo.double@1", "it lies")
    with pytest.raises(ForgeExhausted) as caught:
        app.forge("double a number and say so", examples=FLOW["examples"], dry_run=True)  # type: ignore[arg-type]
    [told] = [each for each in caught.value.facts["report"]["candidates"] if each["ref"] == "demo.flow@1"]
    assert (told["tier"], told["reason"]) == (
        "none",
        "'demo.double@1', of which 'demo.flow@1' is made, was revoked: it lies",
    )


def test_a_run_started_before_counts_as_under_way(app: RiteSmith) -> None:
    capability(app)
    whole = flow(app)
    app.run("demo.flow", {"n": 3})
    assert app.under_way(whole) == 1


def test_what_is_revoked_stays_so_and_says_why(app: RiteSmith) -> None:
    capability(app)
    with pytest.raises(InvalidInput, match="does not say which version") as caught:
        app.revoke("demo.double", "wrong")
    assert "demo.double@1 (active)" in caught.value.hint
    with pytest.raises(InvalidInput, match="for a reason"):
        app.revoke("demo.double@1", " ")
    with pytest.raises(InvalidInput, match="at most 500"):
        app.revoke("demo.double@1", "x" * 501)
    app.revoke("demo.double@1", "wrong")
    with pytest.raises(Conflict, match="revoked already: wrong"):
        app.revoke("demo.double@1", "again")
    for verb in (lambda: app.deprecate("demo.double@1", ""), lambda: app.deprecate("demo.double@1", "", undo=True)):
        with pytest.raises(Conflict):
            verb()
    assert not app.publish_file(text_file("a.lua", DOUBLE)).new  # the same text is the same version
    assert app.details("demo.double@1")["status"] == "revoked"
    assert capability(app, FASTER).version == 2


def test_a_deprecated_version_is_not_meant_by_a_name_but_runs_by_its_version(app: RiteSmith) -> None:
    capability(app)
    capability(app, FASTER)
    app.deprecate("demo.double@2", "slower than it looks", by="ann")
    assert app.registry.get("demo.double").version == 1
    assert app.run("demo.double@2", {"n": 2}).output == {"n": 4}
    told = app.details("demo.double@2")
    assert (told["status"], told["reason"]) == ("deprecated", "slower than it looks")
    assert [(each["tier"], each["reason"]) for each in told["history"]] == [
        ("deprecated", "deprecated by ann: slower than it looks")
    ]
    app.deprecate("demo.double@2", "", undo=True)
    assert app.registry.get("demo.double").version == 2
    app.deprecate("demo.double@1", "")
    app.deprecate("demo.double@2", "")
    assert app.details("demo.double")["version"] == 2  # it can still be looked at by its name


# ---------------------------------------------------------------- tags


def test_a_tag_means_a_version_and_moves(app: RiteSmith) -> None:
    capability(app)
    capability(app, FASTER)
    assert app.tag("demo.double@1", "stable", by="ann")[1] is None
    assert app.registry.get("demo.double@stable").version == 1
    assert app.run("demo.double@stable", {"n": 2}).output == {"n": 4}
    assert app.tag("demo.double", "stable")[1] == 1
    assert app.details("demo.double@stable")["tags"] == {"stable": 2}
    pinned = flow(
        app, nodes=[FLOW["nodes"][0], FLOW["nodes"][1] | {"capability": "demo.double@stable"}, FLOW["nodes"][2]]
    )  # type: ignore[index]
    assert list(pinned.provenance.pins) == ["demo.double@2"]  # a workflow is pinned to the version, not to the tag
    app.untag("demo.double", "stable")
    with pytest.raises(InvalidInput, match="or a tag of it"):
        app.registry.get("demo.double@stable")


@pytest.mark.parametrize("tag", ["", "1", "Stable", "a b", "../x", "x" * 41, "x" * 1_000_000, "stаble", "a\n"])
def test_what_cannot_be_a_tag_is_refused_in_few_words(app: RiteSmith, tag: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a tag") as caught:
        app.tag("stats.median@1", tag)
    assert len(caught.value.message) < 200
    assert app.registry.tags("stats.median") == {}


def test_a_name_has_only_so_many_tags_and_a_near_miss_is_named(app: RiteSmith) -> None:
    for number in range(100):
        app.tag("stats.median@1", f"t{number}")
    with pytest.raises(InvalidInput, match="no name has more than 100"):
        app.tag("stats.median@1", "one-more")
    app.tag("stats.median@1", "t99")
    app.untag("stats.median", "t99")
    app.tag("stats.median@1", "stable")
    with pytest.raises(NotFound) as caught:
        app.untag("stats.median", "stabel")
    assert caught.value.hint == "did you mean 'stable'?"
    with pytest.raises(InvalidInput) as unknown:
        app.registry.get("stats.median@stabel")
    assert unknown.value.hint == "did you mean 'stats.median@stable'?"
    app.revoke("stats.sum@1", "for the test")
    with pytest.raises(Conflict, match="is revoked"):
        app.tag("stats.sum@1", "stable")


def test_a_tag_that_was_edited_never_leads_to_another_name(app: RiteSmith) -> None:
    app.tag("stats.sum@1", "stable")
    app.connection.execute(
        "UPDATE tags SET digest = (SELECT digest FROM artifacts WHERE name = 'stats.median') WHERE tag = 'stable'"
    )
    with pytest.raises(StoreError, match=r"the tag 'stats\.sum@stable' leads to 'stats\.median'") as caught:
        app.run("stats.sum@stable", {"numbers": [1, 2, 9]})
    assert "--remove" in caught.value.hint
    assert [each["code"] for each in app.verify(examples=False)["findings"]] == ["tag_edited"]
    app.connection.execute("UPDATE tags SET digest = 'gone'")
    assert ["leads to nothing" in each["message"] for each in app.verify(examples=False)["findings"]] == [True]
    app.untag("stats.sum", "stable")
    assert app.verify(examples=False)["findings"] == []


# ---------------------------------------------------------------- what is made of what, and what differs


def test_uses_and_used_by_are_the_two_ways_through_the_same_pins(app: RiteSmith) -> None:
    part, whole = capability(app), flow(app)
    outer = flow(
        app,
        name="demo.outer",
        start="inner",
        nodes=[
            {"id": "inner", "kind": "call", "workflow": "demo.flow", "with": {"n": {"var": "input.n"}}, "next": "done"},
            {"id": "done", "kind": "end", "output": {"n": {"var": "nodes.inner.output.n"}}},
        ],
        examples=[{"input": {"n": 2}, "decisions": {"*": "approved"}, "output": {"n": 4}}],
    )
    tree = app.uses("demo.outer")
    assert (tree["artifact"], tree["uses"][0]["artifact"]) == (outer.ref, whole.ref)
    assert [each["digest"] for each in tree["uses"][0]["uses"]] == [part.digest]
    back = app.used_by("demo.double")
    assert back["used_by"][0]["artifact"] == whole.ref
    assert back["used_by"][0]["used_by"][0]["artifact"] == outer.ref
    assert app.details("demo.double")["used_by"] == [whole.ref]


def test_a_difference_is_told_by_contract_grants_and_source(app: RiteSmith) -> None:
    capability(app)
    capability(app, FASTER.replace("twice a number", "a number twice"))
    told = app.diff("demo.double")
    assert (told["from"], told["to"], told["breaking"]) == ("demo.double@1", "demo.double@2", [])
    assert told["contract"] == [{"path": "$.intent", "before": "twice a number", "after": "a number twice"}]
    changed = [(row["before"].strip(), row["after"].strip()) for row in told["source"] if row["kind"] == "changed"]
    assert changed == [("local twice = input.n * 2", "local twice = input.n + input.n")]
    assert app.diff("demo.double@2", "demo.double@1")["to"] == "demo.double@1"
    assert app.diff("text.slugify", "orders.mark_refunded")["grants"][0]["path"] == '$["store.get"]'
    with pytest.raises(NotFound, match="is the first version"):
        app.diff("demo.double@1")
    with pytest.raises(InvalidInput, match="is a workflow, and"):
        app.diff("orders.refund", "demo.double")


# ---------------------------------------------------------------- browsing


@pytest.mark.parametrize("width", [60, 80, 119, 120, 200])
def test_a_list_loses_nothing_on_a_narrow_terminal(cli, monkeypatch, width):
    monkeypatch.setattr(out, "_width", width)
    cli("run", "math.percentage_change", "--input", '{"initial": 50, "current": 75}')
    cli("deprecate", "math.clamp")
    for words in (("list", "--versions", "--namespace", "math"), ("search", "percentage change of numbers")):
        shown = cli(*words).out
        assert max(map(len, shown.splitlines())) <= width
        if width >= 80:
            assert "math.percentage_change@1" in shown
            assert "pure, low" in (shown if width < 120 else "pure, low")
    listed = cli("list", "--versions", "--namespace", "math").out
    kinds = "".join(line[: listed.splitlines()[1].index("name")].strip() for line in listed.splitlines())
    assert "deprecated" in (kinds if width < 120 else listed)
    assert ("1 use" in listed) == (width < 120)


def test_the_list_is_narrowed_and_sorted(app: RiteSmith) -> None:
    capability(app)
    capability(app, FASTER)
    app.run("demo.double", {"n": 1})
    app.run("demo.double", {"n": 1})
    app.run("stats.median", {"numbers": [1]})
    rows = app.listing(sort="uses")
    assert [(row["name"], row["uses"]) for row in rows[:3]] == [
        ("demo.double", 2),
        ("stats.median", 1),
        (rows[2]["name"], 0),
    ]
    assert app.listing(sort="last-run")[0]["name"] == "stats.median"
    assert app.listing(sort="created")[0]["name"] == "demo.double"
    assert app.listing(sort="risk", limit=1)[0]["risk"] == "critical"
    assert [row["name"] for row in app.listing(source="person")] == ["demo.double"]
    assert [row["version"] for row in app.listing(namespace="demo", versions=True)] == [1, 2]
    assert app.listing(namespace="dem") == []
    assert {row["risk"] for row in app.listing(risk="critical")} == {"critical"}
    assert {row["effect"] for row in app.listing(effect="read", kind="capability")} == {"read"}
    app.revoke("demo.double@2", "wrong")
    assert [row["version"] for row in app.listing(status="revoked")] == [2]
    assert [row["version"] for row in app.listing(namespace="demo")] == [1]


def test_statistics_count_what_is_there_what_was_reused_and_what_fails(app: RiteSmith) -> None:
    capability(app)
    assert app.stats()["reuse_rate"] is None
    app.forge("twice a number")
    app.run("demo.double", {"n": 1})
    app.run("orders.validate_refund", {"order_id": "ORD-9"})
    app.registry.log_decision("x", "authored", "demo.double@1", "", {"tokens": 700})
    with app.connection:
        app.connection.execute(
            "UPDATE artifacts SET provenance = json_set(provenance, '$.tokens', 700) WHERE name = 'demo.double'"
        )
    told = app.stats()
    assert told["artifacts"]["total"] == BUNDLED + 1
    assert told["artifacts"]["source"] == {"bundled": BUNDLED, "person": 1}
    assert told["forged"] == {"total": 2, "exact": 1, "verified": 0, "composed": 0, "authored": 1}
    assert (told["reuse_rate"], told["tokens_spent"], told["tokens_saved"]) == (0.5, 700, 700)
    assert told["runs"] == 2
    assert [row["name"] for row in told["most_used"]] == ["demo.double", "orders.validate_refund"]
    assert [(row["name"], row["failed"]) for row in told["failing"]] == [("orders.validate_refund", 1)]


# ---------------------------------------------------------------- bundles


@pytest.fixture
def theirs(tmp_path: Path, place: Path, config: Path) -> Iterator[RiteSmith]:
    """Another user's registry, with keys of their own; they trust whoever made the one in `place`."""
    keys = Keys(tmp_path / "their keys")
    key = Keys(config).own
    assert key is not None
    keys.trust(key, "us")
    file = tmp_path / "theirs.db"
    shutil.copy(place / "registry.db", file)
    with RiteSmith.open(str(file), keys=keys) as opened:
        yield opened


def rows(app: RiteSmith) -> dict[str, tuple[int, str]]:
    return fingerprint(Path(app.path))  # type: ignore[no-any-return,no-untyped-call]


def test_a_bundle_carries_an_artifact_with_all_it_is_made_of(app: RiteSmith, theirs: RiteSmith) -> None:
    part, whole = capability(app), flow(app)
    app.registry.add_alias("demo.double", "two times a number", {})
    app.tag("demo.double@1", "stable")
    told = app.export_file("demo.flow")
    assert told["file"] == "demo.flow-1.bundle"
    assert told["artifacts"] == 2
    taken = theirs.import_file(Path(told["file"]), by="bob")
    assert (taken["imported"], taken["kept"], taken["drafts"]) == ([part.ref, whole.ref], [], [])
    for artifact in (part, whole):
        theirs.registry.verify(artifact.digest)
        came = theirs.registry.by_digest(artifact.digest)
        assert (came.text, came.version, came.signer) == (artifact.text, artifact.version, app.keys.own)
        assert came.provenance == artifact.provenance
        assert came.canonical == artifact.canonical
    assert theirs.registry.get("demo.double@stable").digest == part.digest
    assert [hit.name for hit, _ in theirs.search("two times a number")][:1] == ["demo.double"]
    assert theirs.answer(theirs.run("demo.flow", {"n": 4}).run, "approved").output == {"n": 8}
    assert "imported by bob" in theirs.details("demo.flow")["history"][0]["reason"]
    again = theirs.import_file(Path(told["file"]))
    assert (again["imported"], again["kept"]) == ([], [part.ref, whole.ref])
    with pytest.raises(Conflict, match="there is a file"):
        app.export_file("demo.flow")


def test_rebuild_keeps_the_phrases_that_came_with_a_bundle(app: RiteSmith, theirs: RiteSmith) -> None:
    capability(app)
    app.registry.add_alias("demo.double", "two times a number", {"source": "reuse"})
    theirs.import_file(Path(app.export_file("demo.double")["file"]))
    before = theirs.registry.aliases("demo.double")
    assert "two times a number" in before
    theirs.rebuild()
    assert theirs.registry.aliases("demo.double") == before


def test_what_is_more_than_a_bundle_holds_is_told(app: RiteSmith, theirs: RiteSmith) -> None:
    capability(app)
    for number in range(300):
        app.registry.add_alias("demo.double", f"phrase {number}", {})
    app.registry.add_alias("demo.double", "long " * 500, {})
    app.export_file("demo.double", Path("d.bundle"))
    theirs.import_file(Path("d.bundle"))
    assert len(theirs.registry.aliases("demo.double")) == 201
    large = FLOW | {"name": "demo.large", "description": "x" * (1024 * 1024)}
    app.publish_file(text_file("large.json", json.dumps(large)))
    with pytest.raises(InvalidInput, match="1048576"):
        app.export("demo.large")


def test_a_bundle_that_differs_by_a_byte_is_refused_whole(app: RiteSmith, theirs: RiteSmith) -> None:
    capability(app)
    data = app.export("demo.double")[1]
    before = rows(theirs)
    where = Path("changed.bundle")
    head = data.index(b"\n") + 1
    for at in [*range(head), *range(head, len(data), 41), len(data) - 1]:
        for changed in (data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data[:at] + data[at + 1 :]):
            with pytest.raises((Untrusted, InvalidInput)):
                unseal(changed, theirs.keys, "it")
    for changed in (
        data + b"\n",
        data + b" ",
        b"\n" + data,
        data[:-1],
        data[:head],
        b"",
        data.replace(b"\n", b"\r\n", 1),
    ):
        where.write_bytes(changed)
        with pytest.raises((Untrusted, InvalidInput)):
            theirs.import_file(where)
    assert rows(theirs) == before


def test_a_bundle_of_a_key_that_is_not_trusted_is_refused_until_it_is(app: RiteSmith, theirs: RiteSmith) -> None:
    capability(theirs)
    file = Path("theirs.bundle")
    theirs.export_file("demo.double", file)
    key = theirs.keys.own
    assert key is not None
    ours = Keys(Path("our keys"))
    file_of_ours = Path("ours.db")
    shutil.copy(str(app.path), file_of_ours)
    with RiteSmith.open(str(file_of_ours), keys=ours) as receiver:
        with pytest.raises(Untrusted, match="which you don't trust") as caught:
            receiver.import_file(file)
        assert f"ritesmith trust add {key}" in caught.value.hint
        ours.trust(key)
        assert receiver.import_file(file)["imported"] == ["demo.double@1"]
        ours.distrust(key)
        with pytest.raises(Untrusted):
            receiver.start("demo.double", {"n": 1})


def forged_bundle(app: RiteSmith, change: Any, reference: str = "demo.flow") -> Path:
    """A bundle whose signature holds, of a sender who meant no good."""
    bundle, _ = unseal(app.export(reference)[1], app.keys, "it")
    value = json.loads(bundle.model_dump_json())
    change(value)
    file = Path("forged.bundle")
    file.write_bytes(signed(json.dumps(value).encode(), app.keys))
    return file


def _set(path: str, to: Any) -> Any:
    def change(value: Any) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in way:
            value = value[part]
        value[last] = to(value[last]) if callable(to) else to

    return change


BAD = {
    "a missing part": (lambda value: value["artifacts"].pop(0), "lacks 'demo.double@1'"),
    "no root": (lambda value: value["artifacts"].pop(1), "lacks the artifact that it was made for"),
    "a part for nothing": (lambda value: value.update(root=value["artifacts"][0]["digest"]), "does not need"),
    "twice the same": (lambda value: value["artifacts"].append(value["artifacts"][0]), "holds an artifact twice"),
    "nothing": (_set("artifacts", []), "at least 1"),
    "too many": (_set("artifacts", lambda all_: all_[:1] * 201), "at most 200"),
    "a path in a name": (_set("artifacts.0.name", "../../etc/passwd"), "pattern"),
    "a look-alike": (_set("artifacts.0.name", "dеmo.double"), "CYRILLIC SMALL LETTER IE"),
    "an invisible letter": (_set("artifacts.0.name", "demo.dou\u200bble"), "ZERO WIDTH SPACE"),
    "another name": (_set("artifacts.0.name", "demo.triple"), "is the capability 'demo.double' by its own text"),
    "another kind": (_set("artifacts.0.kind", "workflow"), "does not pass|cannot be read|by its own text"),
    "a version of nothing": (_set("artifacts.0.version", 0), "greater than or equal to 1"),
    "another version": (_set("artifacts.0.version", 7), "is not what the key|pinned to other parts|is not what"),
    "another text": (_set("artifacts.0.text", lambda text: text.replace("* 2", "* 3")), "has another digest"),
    "a huge text": (_set("artifacts.0.text", "x" * (1024 * 1024 + 1)), "at most 1048576"),
    "a megabyte of tags": (_set("artifacts.0.tags", ["t" * 10] * 100_000), "at most 100"),
    "one long tag": (_set("artifacts.0.tags", ["t" * 1_000_000]), "pattern"),
    "many phrases": (_set("artifacts.0.aliases", ["a"] * 201), "at most 200"),
    "an unknown field": (_set("artifacts.0.extra", 1), "unknown field 'extra'"),
    "a status of its own": (_set("artifacts.0.status", "approved"), "status"),
    "revoked": (_set("artifacts.0.status", "revoked"), "was revoked where it comes from"),
    "no signature": (_set("artifacts.0.signature", "0" * 128), "is not what the key"),
    "other pins": (
        _set("artifacts.1.provenance", lambda text: text.replace("demo.double@1", "demo.double@2")),
        "pin|lacks",
    ),
    "no provenance": (_set("artifacts.0.provenance", "{}"), "cannot be read"),
    "another provenance": (
        _set("artifacts.0.provenance", lambda text: text.replace('"person"', '"bundled"')),
        "is not what",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_a_bundle_that_is_wrong_is_refused_whole_with_the_reason(
    app: RiteSmith, theirs: RiteSmith, change: Any, message: str
) -> None:
    capability(app)
    flow(app)
    file = forged_bundle(app, change)
    before = rows(theirs)
    with pytest.raises((InvalidInput, Untrusted, Conflict, Rejected)) as caught:
        theirs.import_file(file)
    shown = " ".join([caught.value.message, caught.value.hint])
    assert re.search(message, shown), shown
    assert len(shown) < 1000
    assert rows(theirs) == before


def test_a_text_that_does_not_pass_here_is_refused_with_its_findings(app: RiteSmith, theirs: RiteSmith) -> None:
    from ritesmith.models import Provenance
    from ritesmith.registry import digest_of_text

    wrong = DOUBLE.replace("* 2", "* 3")
    app.registry.publish(
        kind="capability",
        name="demo.double",
        text=wrong,
        canonical="",
        effect="pure",
        risk="low",
        intent="twice a number",
        provenance=Provenance(source="person"),
    )
    file = Path("wrong.bundle")
    app.export_file(digest_of_text(wrong), file)
    before = rows(theirs)
    with pytest.raises(Rejected, match=r"'demo\.double@1' does not pass the guard here") as caught:
        theirs.import_file(file)
    assert caught.value.findings
    assert rows(theirs) == before


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 100, b"SQLite format 3\0", b"ritesmith-bundle 1 ab cd\n{}"])
def test_a_file_that_is_no_bundle_is_told(app: RiteSmith, content: bytes) -> None:
    Path("x.bundle").write_bytes(content)
    with pytest.raises(InvalidInput, match="is no bundle"):
        app.import_file(Path("x.bundle"))


def test_a_file_that_is_too_large_or_missing_is_told(app: RiteSmith) -> None:
    with open("large.bundle", "wb") as large:
        large.truncate(16 * 1024 * 1024 + 1)
    with pytest.raises(InvalidInput, match="more than 16777216 bytes"):
        app.import_file(Path("large.bundle"))
    with pytest.raises(NotFound, match="there is no file"):
        app.import_file(Path("gone.bundle"))


def test_anothers_namespace_is_entered_only_when_that_is_meant(app: RiteSmith, theirs: RiteSmith) -> None:
    capability(app)
    text_file("b.lua", DOUBLE.replace("demo.double", "demo.triple").replace("* 2", "* 2 + 0"))
    theirs.publish_file(Path("b.lua"))
    app.export_file("demo.double", Path("d.bundle"))
    before = rows(theirs)
    with pytest.raises(Conflict, match="would enter the namespace 'demo', which is yours") as caught:
        theirs.import_file(Path("d.bundle"))
    assert caught.value.hint == "if that is meant: --namespace demo"
    assert rows(theirs) == before
    assert theirs.import_file(Path("d.bundle"), namespaces=["demo"])["imported"] == ["demo.double@1"]


def test_a_version_that_is_another_text_here_and_one_revoked_here_are_conflicts(
    app: RiteSmith, theirs: RiteSmith
) -> None:
    capability(app)
    app.export_file("demo.double", Path("d.bundle"))
    capability(theirs, FASTER)
    with pytest.raises(Conflict, match=r"another 'demo\.double@1' here"):
        theirs.import_file(Path("d.bundle"), namespaces=["demo"])
    assert [each.version for each in theirs.registry.versions("demo.double")] == [1]


def test_what_was_revoked_here_does_not_come_back_by_a_bundle(app: RiteSmith, theirs: RiteSmith) -> None:
    capability(app)
    flow(app)
    app.export_file("demo.flow", Path("f.bundle"))
    theirs.import_file(Path("f.bundle"))
    theirs.revoke("demo.double@1", "it lies")
    with pytest.raises(Conflict, match=r"was revoked here \(it lies\)"):
        theirs.import_file(Path("f.bundle"))
    app.revoke("demo.double@1", "it lies")
    with pytest.raises(Conflict, match="cannot be exported"):
        app.export("demo.flow")


def test_what_moves_money_waits_for_a_person_here_too(app: RiteSmith, theirs: RiteSmith) -> None:
    text = app.registry.get("payments.refund").text.replace('"payments.refund"', '"elsewhere.refund"')
    text = text.replace("local function", "-- ours\nlocal function", 1)
    published = app.publish_file(text_file("r.lua", text)).artifact
    app.approve_artifact(published.ref)
    app.export_file("elsewhere.refund", Path("r.bundle"))
    told = theirs.import_file(Path("r.bundle"))
    assert (told["status"], told["drafts"]) == ("draft", ["elsewhere.refund@1"])
    with pytest.raises(Conflict, match="waits for a person's approval"):
        theirs.start("elsewhere.refund@1", {"payment_id": "PAY-1001", "amount": 1})


# ---------------------------------------------------------------- keeping house


def draft(app: RiteSmith, text: str) -> Artifact:
    return app.publish_checked(app.check_text(text, "d.lua"), source="model", author="m", force_approval=True)[0]


def test_prune_takes_old_drafts_that_nothing_refers_to(place: Path) -> None:
    clock = ManualClock()
    with RiteSmith.open(str(place / "registry.db"), clock=clock) as app:
        old, kept = draft(app, DOUBLE), draft(app, DOUBLE.replace("demo.double", "demo.kept").replace("* 2", "* 2 + 0"))
        tagged = draft(app, FASTER.replace("demo.double", "demo.tagged"))
        waits = app.publish_file(
            text_file(
                "f.json",
                json.dumps(
                    FLOW | {"nodes": [FLOW["nodes"][0], FLOW["nodes"][1] | {"capability": kept.ref}, FLOW["nodes"][2]]}
                ),  # type: ignore[index]
            )
        ).artifact
        assert waits.status == "draft"
        run_of = app.connection.execute
        run_of(
            "INSERT INTO runs (id, workflow, digest, status, fence) VALUES ('r1', 'demo.flow', ?, 'succeeded', 0)",
            (waits.digest,),
        )
        app.tag(tagged.ref, "try")
        assert app.prune(days=30) == []
        clock.advance(31 * 86_400)
        assert [each["artifact"] for each in app.prune(days=30, dry_run=True)] == [old.ref]
        assert app.registry.has(old.digest)
        assert [each["artifact"] for each in app.prune(days=30)] == [old.ref]
        assert not app.registry.has(old.digest)
        assert app.registry.names_of_phrase("twice a number") == ["demo.kept", "demo.tagged"]
        assert app.verify()["findings"] == []
        assert capability(app).ref == "demo.double@2"  # a version is never given twice
        run_of("DELETE FROM runs WHERE id = 'r1'")
        assert {each["artifact"] for each in app.prune(days=30)} == {waits.ref, kept.ref}


def test_verify_finds_each_thing_that_was_edited_and_changes_nothing(app: RiteSmith, place: Path) -> None:
    assert app.verify() == {"artifacts": BUNDLED, "examples": True, "findings": []}
    for edit in (
        "UPDATE artifacts SET text = text || ' ' WHERE name = 'stats.sum'",
        "UPDATE artifacts SET signature = zeroblob(64) WHERE name = 'stats.median'",
        "UPDATE artifacts SET status = 'nonsense' WHERE name = 'stats.average'",
        "DELETE FROM search WHERE artifact = (SELECT digest FROM artifacts WHERE name = 'stats.outliers')",
        "DELETE FROM parts WHERE digest = (SELECT digest FROM artifacts WHERE name = 'orders.refund')",
    ):
        app.connection.execute(edit)
    app.revoke("notify.user@1", "spam")
    before = fingerprint(place / "registry.db")
    found = app.verify(examples=False)["findings"]
    assert sorted((each["where"]["file"], each["code"]) for each in found if each["code"] != "revoked_version") == [
        ("", "index_incomplete"),
        ("", "index_incomplete"),
        ("stats.average@1", "row_edited"),
        ("stats.median@1", "untrusted"),
        ("stats.sum@1", "text_edited"),
    ]
    assert "orders.refund@1" in {each["where"]["file"] for each in found if each["code"] == "revoked_version"}
    assert fingerprint(place / "registry.db") == before


@pytest.mark.parametrize("edit", ["status = 'nonsense'", "provenance = '{'", "provenance = '[]'", "version = 'x'"])
def test_a_row_that_was_edited_beyond_reading_is_no_defect(app: RiteSmith, edit: str) -> None:
    try:
        app.connection.execute(f"UPDATE artifacts SET {edit} WHERE name = 'stats.average'")
    except sqlite3.IntegrityError:  # the table takes numbers only
        return
    for look in (app.registry.by_digest, lambda digest: app.registry.versions("stats.average")):
        with pytest.raises(StoreError, match=r"beside the text of 'stats\.average@1' cannot be read"):
            look(app.connection.execute("SELECT digest FROM artifacts WHERE name = 'stats.average'").fetchone()[0])
    found = app.verify(examples=False)["findings"]
    assert [each["code"] for each in found if each["where"]["file"]] == ["row_edited"]


def test_verify_executes_the_examples_of_what_is_not_revoked(app: RiteSmith) -> None:
    from ritesmith.models import Provenance

    text = DOUBLE.replace("* 2", "* 3")
    how: dict[str, Any] = {"kind": "capability", "canonical": "", "effect": "pure", "risk": "low", "intent": "twice"}
    app.registry.publish(name="demo.double", text=text, provenance=Provenance(source="person"), **how)
    found = app.verify("demo.double")["findings"]
    assert [each["code"] for each in found] == ["example_failed", "example_failed"]
    assert app.verify("demo.double", examples=False)["findings"] == []
    app.revoke("demo.double@1", "it does not pass")
    assert app.verify("demo.double@1")["findings"] == []


def test_verify_looks_at_the_schemas(app: RiteSmith) -> None:
    from ritesmith.models import Provenance

    text = DOUBLE.replace('"minimum": 0', '"minimum": "none"')
    how: dict[str, Any] = {"kind": "capability", "canonical": "", "effect": "pure", "risk": "low", "intent": "twice"}
    app.registry.publish(name="demo.double", text=text, provenance=Provenance(source="person"), **how)
    assert {each["code"] for each in app.verify("demo.double")["findings"]} == {"schema_invalid"}


def test_rebuild_makes_every_index_anew_and_keeps_what_was_learned(app: RiteSmith) -> None:
    capability(app)
    flow(app)
    app.registry.add_alias("demo.double", "two times a number", {"source": "reuse"})
    queries = ("two times a number", "refund an order", "slug", "numbers")

    def found() -> list[list[str]]:
        return [[hit.digest for hit, _ in app.search(query)] for query in queries]

    def aliases() -> set[tuple[str, ...]]:
        return {tuple(row) for row in app.connection.execute("SELECT phrase, name, said FROM aliases")}

    before = found(), aliases(), app.used_by("demo.double")
    for table in ("search", "findable", "parts"):
        app.connection.execute(f"DELETE FROM {table}")
    app.connection.execute("DELETE FROM aliases WHERE name = 'stats.sum'")
    assert app.verify(examples=False)["findings"]
    app.connection.execute("INSERT INTO vectors VALUES (1, 'a', 'demo.double', 'm', x'00', x'00')")
    assert app.rebuild() == BUNDLED + 2
    assert app.connection.execute("SELECT count(*) FROM vectors").fetchone()[0] == 0
    assert (found(), aliases(), app.used_by("demo.double")) == before
    assert app.verify(examples=False)["findings"] == []


def test_rebuild_leaves_a_phrase_to_the_name_that_had_it_first(app: RiteSmith) -> None:
    capability(app)
    app.registry.add_alias("stats.sum", "twice a number", {"source": "reuse"})
    assert app.registry.names_of_phrase("twice a number") == ["demo.double", "stats.sum"]
    app.rebuild()
    assert app.registry.names_of_phrase("twice a number") == ["demo.double", "stats.sum"]


def test_a_backup_is_whole_while_others_write(app: RiteSmith, place: Path) -> None:
    code = """
        import sys
        from ritesmith.db import open_db, transaction
        connection = open_db(sys.argv[1])
        number = 0
        print("ready", flush=True)
        while True:
            number += 1
            with transaction(connection):
                connection.execute("INSERT INTO meta VALUES (?, 'a')", (f"a{number}",))
                connection.execute("INSERT INTO meta VALUES (?, 'b')", (f"b{number}",))
        """
    words = [sys.executable, "-c", textwrap.dedent(code), str(place / "registry.db")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment()) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            for number in range(5):
                app.backup(place / f"copy{number}.db")
        finally:
            writer.kill()
    for number in range(5):
        file = place / f"copy{number}.db"
        with closing(sqlite3.connect(file)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            pairs = copy.execute("SELECT value, count(*) FROM meta WHERE value IN ('a', 'b') GROUP BY 1").fetchall()
            assert len({count for _, count in pairs}) <= 1
        with RiteSmith.open(str(file)) as opened:
            assert opened.run("stats.average", {"numbers": [1]}).status == "succeeded"
    assert [each.name for each in place.iterdir() if each.name.startswith(".")] == []


def test_a_backup_overwrites_nothing_and_says_where_it_cannot_be_written(app: RiteSmith, place: Path) -> None:
    (place / "there.db").write_text("mine")
    with pytest.raises(Conflict, match="there is a file"):
        app.backup(place / "there.db")
    assert (place / "there.db").read_text() == "mine"
    with pytest.raises(StoreError, match="cannot be opened"):
        app.backup(place / "no folder" / "copy.db")


def test_a_damaged_registry_is_not_backed_up_as_if_it_were_sound(app: RiteSmith, place: Path) -> None:
    app.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    app.connection.execute("PRAGMA writable_schema = ON")
    app.connection.execute("UPDATE sqlite_master SET rootpage = 2 WHERE name = 'tags'")
    app.connection.execute("PRAGMA writable_schema = RESET")
    with pytest.raises(StoreError, match="damaged"):
        app.backup(place / "copy.db")
    assert not (place / "copy.db").exists()


# ---------------------------------------------------------------- locked


def test_a_locked_file_refuses_every_change_loses_nothing_and_can_be_backed_up(app: RiteSmith, place: Path) -> None:
    capability(app)
    app.export_file("demo.double", Path("d.bundle"))
    app.connection.execute("PRAGMA busy_timeout = 20")
    before = fingerprint(place / "registry.db")
    changes: dict[str, Any] = {
        "publish": lambda: capability(app, FASTER),
        "deprecate": lambda: app.deprecate("demo.double@1", ""),
        "revoke": lambda: app.revoke("demo.double@1", "wrong"),
        "tag": lambda: app.tag("demo.double@1", "stable"),
        "import": lambda: app.import_file(Path("d.bundle")),
        "prune": lambda: app.prune(days=0),
        "rebuild": app.rebuild,
    }
    with closing(sqlite3.connect(place / "registry.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for word, change in changes.items():
            with pytest.raises(StoreError, match="is locked by another process"):
                change()
            assert not app.connection.in_transaction, word
        assert app.verify("demo.double")["findings"] == []
        assert app.backup(place / "copy.db")["artifacts"] == BUNDLED + 1
    assert fingerprint(place / "registry.db") == before
    for change in changes.values():
        if change is not changes["revoke"]:
            change()


# ---------------------------------------------------------------- at once


def test_two_processes_that_publish_the_same_file_at_once_end_with_one_artifact(app: RiteSmith, place: Path) -> None:
    text_file("double.lua", DOUBLE)
    words = [sys.executable, "-m", "ritesmith", "publish", "double.lua", "--json"]
    both = [subprocess.Popen(words, cwd=place, env=environment(), stdout=subprocess.PIPE) for _ in range(2)]
    told = [json.loads(each.communicate()[0]) for each in both]
    assert sorted(each["new"] for each in told) == [False, True]
    assert {each["artifact"] for each in told} == {"demo.double@1"}
    assert len(app.registry.versions("demo.double")) == 1


def test_an_import_that_is_killed_leaves_nothing_of_it(app: RiteSmith, place: Path) -> None:
    capability(app)
    flow(app)
    app.export_file("demo.flow", Path("f.bundle"))
    other = place / "other.db"
    code = """
        import os, signal, sys
        from pathlib import Path
        from ritesmith.app import RiteSmith
        take = RiteSmith._take
        def then_die(self, packed, key, tried):
            done = take(self, packed, key, tried)
            if packed.kind == "workflow":
                os.kill(os.getpid(), signal.SIGKILL)
            return done
        with RiteSmith.open(sys.argv[1]) as app:
            RiteSmith._take = then_die
            app.import_file(Path("f.bundle"))
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(other)], cwd=place, env=environment(), check=False
    )
    assert done.returncode == -9
    with RiteSmith.open(str(other)) as opened:
        assert opened.registry.versions("demo.double") == []
        assert opened.import_file(Path("f.bundle"))["imported"] == ["demo.double@1", "demo.flow@1"]


def test_a_header_of_another_level_is_no_part_of_the_code(cli, place):
    marked = DOUBLE.replace("--[[ capability", "--[=[ capability").replace("\n]]\n", "\n]=]\n")
    (place / "a.lua").write_text(marked.replace("twice a number", "twice [[a number]]"))
    assert cli("publish", "a.lua").code == 0
    shown = cli("show", "demo.double").out
    assert "function run(input, context)" in shown
    assert "]=]" not in shown
    (place / "a.lua").write_text((place / "a.lua").read_text().replace("* 2", "+ input.n"))
    cli("publish", "a.lua", "--breaking")
    assert "maximum" not in json.dumps(json.loads(cli("diff", "demo.double", "--json").out)["source"])


def test_bundled_files_come_back_after_another_program_has_put_in_its_own(app: RiteSmith) -> None:
    def noted() -> dict[str, str]:
        rows = app.connection.execute("SELECT key, value FROM meta WHERE key GLOB 'bundled*'")
        return {row["key"]: row["value"] for row in rows}

    app.install()
    before = noted()
    app.connection.execute("UPDATE meta SET value = 'of other files' WHERE key = 'bundled'")
    told: list[str] = []
    app.install(told.append)
    assert noted() == before
    assert len(told) == 1
