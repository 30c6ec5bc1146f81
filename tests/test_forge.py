"""`forge` from intent to registered artifact: reuse, compose, and a scripted model server behind the real SDK."""

import json
import re
import sqlite3

import pytest
from conftest import BOOKS, environment, fingerprint, interrupt, start, until
from scripted_forge import EXAMPLES, GOOD, INTENT, TEXT, flow, lua, obj

from ritesmith.app import RiteSmith
from ritesmith.authoring import Authoring
from ritesmith.errors import StoreError
from ritesmith.forging import Forging
from ritesmith.registry import Registry
from ritesmith.testing import ScriptedAuthor, ScriptedReply

FLOW_EXAMPLES = [
    {"input": {"name": "Ada Lovelace"}, "output": {"slug": "al"}},
    {"input": {"name": "Grace Brewster Hopper"}, "output": {"slug": "gbh"}},
]
WRITE = {
    "name": "notes.keep",
    "intent": "keep a note",
    "input": obj(key=TEXT, note=TEXT),
    "output": obj(version={"type": "integer"}),
    "grants": {"store.put": {"namespaces": ["notes"]}},
    "examples": [
        {
            "input": {"key": "a", "note": "x"},
            "output": {"version": 1},
            "store_after": {"notes": {"a": {"note": "x"}}},
        },
        {
            "input": {"key": "b", "note": "y"},
            "output": {"version": 1},
            "store_after": {"notes": {"b": {"note": "y"}}},
        },
    ],
}
WRITE_BODY = """  local stored = store.put{namespace = "notes", key = input.key, value = {note = input.note}}
  return {version = stored.version}"""


# ---------------------------------------------------------------- author


def test_a_syntax_error_is_repaired_then_published_and_run(forge, cli):
    done = forge(INTENT, replies=[lua("  return { initials = "), lua()], examples=EXAMPLES)
    assert done.code == 0, done.out
    report = done.json
    assert (report["tier"], report["artifact"], report["status"]) == ("authored", "text.initials@1", "active")
    assert [tier["tier"] for tier in report["tiers"]] == ["reuse", "compose", "author"]
    assert (report["model"], report["calls"], report["tokens"]) == ("scripted", 2, 240)
    assert report["published"] == ["text.initials@1"]
    assert forge.author.left == 0

    repair = forge.author.requests[1]["messages"][-1]["content"]
    assert "syntax" in repair
    assert "text.initials.lua" in repair
    assert "Ada Lovelace" in forge.sent
    assert "Zebedee" not in forge.sent

    ran = cli("run", "text.initials", "--input", '{"name": "edsger w dijkstra"}', "--json")
    assert ran.json["output"] == {"initials": "EWD"}
    provenance = cli("show", "text.initials", "--json").json["provenance"]
    assert (provenance["source"], provenance["author"], provenance["model"]) == ("model", "scripted", "scripted")
    assert (provenance["intent"], provenance["tokens"]) == (INTENT, 240)
    assert provenance["prompt_digest"]


def test_the_same_intent_again_is_reused_for_no_tokens(forge):
    other_words = lua(intent="first letters of each word of a name", aliases=["monogram of a name"])
    assert forge(INTENT, replies=[other_words], examples=EXAMPLES).code == 0
    for examples in (EXAMPLES, None):
        again = forge("Initials of a person's name.", replies=[], examples=examples).json
        assert (again["tier"], again["artifact"], again["tokens"], again["calls"]) == ("exact", "text.initials@1", 0, 0)
        assert forge.author.requests == []
    assert len(forge.rows("SELECT 1 FROM artifacts WHERE name = 'text.initials'")) == 1


def test_a_workflow_and_its_capability_come_in_one_draft(forge, cli):
    replies = [lua() + flow()]
    done = forge("initials of a name as a slug", replies=replies, examples=FLOW_EXAMPLES)
    assert done.code == 0, done.out
    assert (done.json["artifact"], done.json["kind"]) == ("text.initials_slug@1", "workflow")
    assert done.json["published"] == ["text.initials@1", "text.initials_slug@1"]
    ran = cli("run", "text.initials_slug", "--input", '{"name": "Edsger Dijkstra"}', "--json")
    assert (ran.json["outcome"], ran.json["output"]) == ("made", {"slug": "ed"})
    pins = cli("show", "text.initials_slug", "--json").json["provenance"]["pins"]
    assert set(pins) == {"text.initials@1", "text.slugify@1"}


def test_only_the_faulty_block_must_be_given_again(forge):
    broken = json.loads(flow().removeprefix("```json\n").removesuffix("```\n"))
    broken["nodes"][1]["with"] = {"text": {"var": "nodes.initials.output.initial"}}
    wrong = f"```json\n{json.dumps(broken)}\n```"
    done = forge("initials of a name as a slug", replies=[lua() + wrong, flow()], examples=FLOW_EXAMPLES)
    assert done.json["published"] == ["text.initials@1", "text.initials_slug@1"]
    repair = forge.author.requests[1]["messages"][-1]["content"]
    assert "unknown_property" in repair
    assert "initials" in repair


def test_a_draft_is_for_people_too(forge):
    done = forge(INTENT, replies=[lua()], examples=EXAMPLES, human=True)
    assert done.code == 0
    assert "authored text.initials@1" in done.words
    assert "3 of 3 caller's examples pass" in done.words
    assert "tokens 120 from scripted" in done.words


def test_repairs_end_after_the_given_rounds(forge):
    replies = [lua(f"  return {{ initials = unknown_{index} }}") for index in range(5)]
    done = forge.refused(6, INTENT, "--rounds", "2", replies=replies, examples=EXAMPLES)
    report = done.json["error"]["report"]
    assert report["calls"] == 3
    assert "after 2 repairs" in done.json["error"]["message"]
    assert any("unknown_2" in each["message"] for each in report["findings"])
    assert report["tokens"] == 360
    assert forge.author.left == 2


def test_without_rounds_there_is_one_call(forge):
    forge.refused(6, INTENT, "--rounds", "0", replies=[lua("  return {}"), lua()], examples=EXAMPLES)
    assert len(forge.author.requests) == 1


def test_the_same_errors_twice_stop_the_loop(forge):
    done = forge.refused(6, INTENT, replies=[lua("  return {")] * 4, examples=EXAMPLES)
    assert "same errors twice" in done.json["error"]["message"]
    assert len(forge.author.requests) == 2


def test_an_example_that_the_model_never_saw_decides(forge):
    cheat = """  if input.name == "Ada Lovelace" then return {initials = "AL"} end
  if input.name == "Bo Li" then return {initials = "BL"} end
  return {initials = "GBH"}"""
    done = forge.refused(6, INTENT, replies=[lua(cheat)], examples=EXAMPLES)
    assert "it fails example 3, which the model had not seen" in done.json["error"]["message"]
    assert "Zebedee" not in forge.sent


def test_the_caller_s_examples_outrank_the_model_s_own(forge):
    body = '  return {initials = "??"}'
    own = [
        {"input": {"name": "a"}, "output": {"initials": "??"}},
        {"input": {"name": "b"}, "output": {"initials": "??"}},
    ]
    forge.refused(6, INTENT, "--rounds", "0", replies=[lua(body, examples=own)], examples=EXAMPLES)


def test_an_answer_that_the_model_gives_in_two_halves_is_put_together(forge):
    half = ScriptedReply(text=lua()[:300], finish_reason="length")
    assert forge(INTENT, replies=[half, lua()], examples=EXAMPLES).json["calls"] == 2


def test_a_server_that_fails_between_two_answers_leaves_nothing(forge):
    gone = ScriptedReply(status=401, text="expired")
    done = forge.refused(6, INTENT, replies=[lua("  return {"), gone], examples=EXAMPLES)
    assert done.json["error"]["code"] == "model_unavailable"


def test_ctrl_c_while_the_model_is_asked_leaves_nothing(forge, place):
    before = fingerprint(forge.db, without=BOOKS)
    with ScriptedAuthor([ScriptedReply(text=lua(), stall="before")]) as author:
        env = environment(RITESMITH_LLM_BASE_URL=author.base_url, NO_PROXY="127.0.0.1")
        with start("forge", INTENT, folder=place, env=env, start_new_session=True) as process:
            until(lambda: author.requests, process)
            interrupt(process)
            out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == b""
    assert b"interrupted" in err
    assert b"Traceback" not in err
    assert fingerprint(forge.db, without=BOOKS) == before


def test_a_draft_is_published_whole_or_not_at_all(forge, monkeypatch):
    publish = Registry.publish

    def failing(self, **more):
        if more["kind"] == "workflow":
            raise StoreError("the disk is full")
        return publish(self, **more)

    monkeypatch.setattr(Registry, "publish", failing)
    forge.refused(9, "initials of a name as a slug", replies=[lua() + flow()], examples=FLOW_EXAMPLES)


# ---------------------------------------------------------------- names, effects, budgets


def test_a_name_that_is_taken_is_refused_then_another_is_accepted(forge):
    taken = lua(name="text.title_case")
    done = forge(INTENT, replies=[taken, lua()], examples=EXAMPLES)
    assert done.json["artifact"] == "text.initials@1"
    assert "name_taken" in forge.author.requests[1]["messages"][-1]["content"]
    assert forge.rows("SELECT max(version) AS version FROM artifacts WHERE name = 'text.title_case'") == [
        {"version": 1}
    ]


def test_a_bundled_part_written_again_can_be_left_out_of_the_repair(forge, cli):
    copied = "```lua\n" + cli("show", "text.slugify", "--source").out.replace("-- ", "--  ") + "```\n"
    changed = copied.replace("function run", "-- as it is\nfunction run")
    done = forge(
        "initials of a name as a slug", replies=[lua() + changed + flow(), lua() + flow()], examples=FLOW_EXAMPLES
    )
    assert done.code == 0, done.out
    assert done.json["published"] == ["text.initials@1", "text.initials_slug@1"]


def test_a_name_that_was_asked_for_is_kept(forge):
    done = forge(INTENT, "--name", "people.initials", replies=[lua(), lua(name="people.initials")], examples=EXAMPLES)
    assert done.json["artifact"] == "people.initials@1"
    assert "wrong_name" in forge.author.requests[1]["messages"][-1]["content"]


def test_a_new_version_comes_only_of_a_name_that_was_asked_for(forge, cli):
    assert forge(INTENT, replies=[lua()], examples=EXAMPLES).code == 0
    hyphens = [{"input": {"name": "Jean-Luc Picard"}, "output": {"initials": "JLP"}}]
    better = lua(GOOD.replace("[%w%-]+", "%a+"), intent="initials with hyphens")
    done = forge(
        "initials of a name, hyphens part words", "--name", "text.initials", replies=[better], examples=hyphens
    )
    assert done.json["artifact"] == "text.initials@2", done.out
    ran = cli("run", "text.initials", "--input", '{"name": "Jean-Luc Picard"}', "--json").json
    assert ran["output"] == {"initials": "JLP"}
    assert (
        cli("run", "text.initials@1", "--input", '{"name": "Jean-Luc Picard"}', "--json").json["output"]
        != ran["output"]
    )


def test_a_capability_whose_effect_is_too_wide_is_refused(forge):
    replies = [lua(WRITE_BODY, **WRITE)]
    done = forge.refused(6, "keep a note", "--effect", "read", "--rounds", "0", replies=replies)
    assert "effect_too_wide" in {each["code"] for each in done.json["error"]["report"]["findings"]}
    assert "store.put" not in forge.sent


def test_a_workflow_of_bundled_writes_is_too_wide_as_well(forge):
    notify = {
        "name": "notes.tell",
        "intent": "tell somebody something",
        "input": obj(email=TEXT),
        "start": "tell",
        "nodes": [
            {
                "id": "tell",
                "kind": "task",
                "capability": "notify.user",
                "with": {"message_id": "m1", "email": {"var": "input.email"}, "subject": "s", "text": "t"},
                "no_compensation": "a message can't be called back",
                "next": "done",
            },
            {"id": "done", "kind": "end", "outcome": "told"},
        ],
        "examples": [
            {
                "input": {"email": "a@example.org"},
                "outcome": "told",
                "store_after": {"outbox": {}},
            }
        ],
    }
    replies = [f"```json\n{json.dumps(notify)}\n```"]
    done = forge.refused(6, "tell somebody something", "--effect", "pure", "--rounds", "0", replies=replies)
    assert "effect_too_wide" in {each["code"] for each in done.json["error"]["report"]["findings"]}


def test_what_a_drafted_workflow_calls_counts_as_its_own_effect(forge):
    steps = [
        {
            "id": "go",
            "kind": "call",
            "workflow": "orders.refund",
            "with": {"order_id": {"var": "input.order_id"}},
            "next": "done",
        },
        {"id": "done", "kind": "end", "outcome": "done"},
    ]
    sly = {"name": "orders.glance", "intent": "look", "input": obj(order_id=TEXT), "start": "go", "nodes": steps}
    replies = [f"```json\n{json.dumps(sly)}\n```"]
    done = forge.refused(6, "look at an order politely", "--effect", "read", "--rounds", "0", replies=replies)
    assert "effect_too_wide" in {each["code"] for each in done.json["error"]["report"]["findings"]}


FETCH = """  local got = http.get_json{url = "https://%s/people"}.json
  if type(got) ~= "table" or type(got[input.name]) ~= "string" then fail("nobody", "it is not known there") end
  return { initials = got[input.name] }"""


def fetch(host, *names):
    """A capability that asks a host, and is granted these."""
    answers = [
        {
            **each,
            "hosts": [
                {
                    "call": "http.get_json",
                    "result": {
                        "status": 200,
                        "headers": {},
                        "json": {each["input"]["name"]: each["output"]["initials"]},
                    },
                }
            ],
        }
        for each in EXAMPLES
    ]
    text = lua(FETCH % host, grants={"http.get_json": {"hosts": list(names) or [host]}}, examples=answers)
    return text, answers


ONLY = ("--host", "api.example.com", "--host", "b.example.com:8443")


def test_a_draft_may_be_granted_the_hosts_that_were_named(forge):
    text, answers = fetch("api.example.com")
    done = forge("initials of a person from our service", *ONLY, replies=[text], examples=answers)
    assert (done.code, done.json["artifact"]) == (0, "text.initials@1"), done
    asked = json.loads(
        re.search(r'<data name="request">\n(.*)\n</data>', forge.author.requests[0]["messages"][1]["content"])[1]
    )
    assert asked["hosts"] == ["api.example.com", "b.example.com:8443"]
    assert "http.get_json" in asked["approval"]
    assert "time.now" not in asked["approval"]


@pytest.mark.parametrize("names", [["evil.example.com"], ["api.example.com", "evil.example.com"]])
def test_a_draft_that_wants_another_host_is_refused(forge, names):
    text, answers = fetch("api.example.com", *names)
    done = forge.refused(6, INTENT, *ONLY, "--rounds", "0", replies=[text], examples=answers)
    report = done.json["error"]["report"]
    assert report["findings_by_code"].get("host_not_allowed") == 1, report["findings_by_code"]


def test_what_asks_another_host_is_not_reused(forge, cli, place):
    text, answers = fetch("api.example.com")
    (place / "fetch.lua").write_text(text.removeprefix("```lua\n").removesuffix("```\n"))
    assert cli("publish", "fetch.lua").code == 0
    assert forge(INTENT, *ONLY, "--no-model", examples=answers).json["tier"] == "exact"
    done = forge.refused(6, INTENT, "--host", "b.example.com", "--no-model", examples=answers)
    tried = {each["ref"]: each["reason"] for each in done.json["error"]["report"]["candidates"]}
    assert "only b.example.com is allowed" in tried["text.initials@1"]


@pytest.mark.parametrize("name", ["*", "127.0.0.1", "API.example.com", "https://api.example.com", ""])
def test_what_no_grant_can_name_is_no_host(forge, name):
    done = forge.refused(2, INTENT, "--host", name, replies=[], examples=EXAMPLES)
    assert "no host that a grant can name" in done.json["error"]["message"]


def test_a_budget_that_no_answer_fits_in_asks_nothing(forge):
    done = forge.refused(6, INTENT, "--max-tokens", "100", replies=[lua()], examples=EXAMPLES)
    assert forge.author.requests == []
    assert "100 tokens" in done.json["error"]["message"]
    assert "no room for a call of up to" in done.json["error"]["message"]


def budget_for_one(forge):
    """A budget that has room for the first call, however long the prompt is, and not for another after it."""
    refused = forge.refused(6, INTENT, "--max-tokens", "100", replies=[], examples=EXAMPLES)
    return int(re.search(r"a call of up to (\d+)", refused.json["error"]["message"])[1]) + 500


def test_a_budget_stops_the_repairs(forge):
    budget = budget_for_one(forge)
    dear = ScriptedReply(text=lua("  return {"), usage={"prompt_tokens": 900, "completion_tokens": 100})
    done = forge.refused(6, INTENT, "--max-tokens", str(budget), replies=[dear, lua()], examples=EXAMPLES)
    assert len(forge.author.requests) == 1
    assert f"{budget} tokens" in done.json["error"]["message"]
    report = done.json["error"]["report"]
    assert (report["tokens"], report["rounds"]) == (1000, 0)
    assert done.json["error"]["report"]["findings"]


@pytest.mark.parametrize(
    ("intent", "replies", "examples", "artifact"),
    [
        (INTENT, [lua()], EXAMPLES, "text.initials@1"),
        ("initials of a name as a slug", [lua() + flow()], FLOW_EXAMPLES, "text.initials_slug@1"),
        ("keep a note", [lua(WRITE_BODY, **WRITE)], None, "notes.keep@1"),
        ("process an order refund, with approval above 100", None, None, "orders.refund@1"),
        ("parse this csv, group the rows by city, and give the average of price per city", None, None, "composed."),
    ],
    ids=["capability", "workflow and capability", "write", "reuse", "compose"],
)
def test_a_dry_run_writes_nothing(forge, intent, replies, examples, artifact):
    done = forge.refused(0, intent, "--dry-run", replies=replies, examples=examples)
    assert done.json["artifact"].startswith(artifact)
    assert done.json["dry_run"] is True
    shown = forge.refused(0, intent, "--dry-run", replies=replies, examples=examples, human=True)
    assert "next: ritesmith approve" not in shown.out


def test_a_model_cannot_take_over_the_words_of_another_artifact(forge):
    thief = lua(name="a.thief", aliases=["average of a list of numbers"])
    assert forge(INTENT, replies=[thief], examples=EXAMPLES).code == 0
    assert forge("average of a list of numbers").json["artifact"] == "stats.average@1"


def test_a_drafted_capability_that_nothing_uses_is_not_published(forge):
    replies = [lua(name="text.unused") + lua() + flow()]
    done = forge("initials of a name as a slug", replies=replies, examples=FLOW_EXAMPLES)
    assert done.json["published"] == ["text.initials@1", "text.initials_slug@1"]
    assert forge.rows("SELECT 1 FROM artifacts WHERE name = 'text.unused'") == []


# ---------------------------------------------------------------- approval of what a model wrote


def test_a_write_that_a_model_made_waits_for_a_person(forge, cli):
    done = forge("keep a note for later", replies=[lua(WRITE_BODY, **WRITE)])
    assert (done.code, done.json["status"]) == (0, "draft")
    given = ("--input", '{"key": "k", "note": "n"}')
    for reference in ("notes.keep", "notes.keep@1"):
        refused = cli("run", reference, *given)
        assert refused.code == 4
        assert "ritesmith approve notes.keep@1" in refused.err
    assert cli("store", "list", "notes", "--json").json["documents"] == []
    digest = cli("show", "notes.keep@1", "--json").json["digest"]
    assert cli("approve", "notes.keep@1", "--digest", "0" * 64).code == 4
    approved = cli("approve", "notes.keep@1", "--by", "ann", "--digest", digest)
    assert approved.code == 0
    assert "approved notes.keep@1" in approved.out
    assert cli("run", "notes.keep", *given, "--json").json["output"] == {"version": 1}
    assert cli("approve", "notes.keep@1").code == 4
    [decision] = forge.rows("SELECT * FROM decisions WHERE tier = 'approval'")
    assert (decision["artifact"], decision["reason"]) == ("notes.keep@1", "approved by ann")
    again = forge("keep a note for later", replies=[])
    assert (again.json["tier"], again.json["artifact"], again.json["tokens"]) == ("exact", "notes.keep@1", 0)


def test_a_draft_that_waits_is_shown_again_not_made_again(forge, cli):
    assert forge("keep a note for later", replies=[lua(WRITE_BODY, **WRITE)]).json["status"] == "draft"
    again = forge("Keep a note for later!", replies=[], human=True)
    assert again.code == 0
    assert "waits for a person's approval" in again.words
    assert "ritesmith approve notes.keep@1" in again.out
    assert forge.author.requests == []
    other = [{"input": {"key": "k", "note": "n"}, "output": {"version": 7}, "store_after": {"notes": {"k": None}}}]
    assert forge.refused(6, "keep a note for later", examples=other)
    assert forge.refused(6, "keep a note for later", "--effect", "read")
    assert cli("approve", "notes.keep@1").code == 0


def noting(name="notes.twice"):
    """A person's workflow on what a model wrote."""
    return {
        "name": name,
        "intent": "keep a note by workflow",
        "input": obj(note=TEXT),
        "start": "keep",
        "nodes": [
            {
                "id": "keep",
                "kind": "task",
                "capability": "notes.keep",
                "with": {"key": "k", "note": {"var": "input.note"}},
                "no_compensation": "a note may stay",
                "next": "done",
            },
            {"id": "done", "kind": "end", "outcome": "kept"},
        ],
        "examples": [
            {"input": {"note": "n"}, "outcome": "kept", "store_after": {"notes": {"k": {"note": "n"}}}},
        ],
    }


def test_a_workflow_does_not_smuggle_in_what_nobody_approved(forge, cli, place):
    assert forge("keep a note", replies=[lua(WRITE_BODY, **WRITE)]).json["status"] == "draft"
    (place / "noting.json").write_text(json.dumps(noting()))
    assert cli("publish", "noting.json", "--json").json["status"] == "draft"
    refused = cli("run", "notes.twice", "--input", '{"note": "n"}')
    assert refused.code == 4
    assert cli("store", "list", "notes", "--json").json["documents"] == []
    approved = cli("approve", "notes.twice@1", "--json").json["approved"]
    assert [each["artifact"] for each in approved] == ["notes.keep@1", "notes.twice@1"]
    assert cli("run", "notes.twice", "--input", '{"note": "n"}').code == 0


def test_a_workflow_takes_the_approved_version_not_a_newer_draft(forge, cli, place):
    assert forge("keep a note", replies=[lua(WRITE_BODY, **WRITE)]).code == 0
    assert cli("approve", "notes.keep@1").code == 0
    changed = lua(
        WRITE_BODY.replace("local stored", "-- changed\n  local stored"), **WRITE | {"intent": "keep a longer note"}
    )
    second = forge("keep a longer note", "--name", "notes.keep", replies=[changed])
    assert (second.json["artifact"], second.json["status"]) == ("notes.keep@2", "draft")
    (place / "noting.json").write_text(json.dumps(noting()))
    published = cli("publish", "noting.json", "--json").json
    assert published["status"] == "active"
    assert list(cli("show", "notes.twice", "--json").json["provenance"]["pins"]) == ["notes.keep@1"]


def test_a_draft_of_a_workflow_keeps_the_version_that_it_was_tried_with(forge, cli):
    assert forge("keep a note", replies=[lua(WRITE_BODY, **WRITE)]).code == 0
    assert cli("approve", "notes.keep@1").code == 0
    newer = WRITE | {"name": "notes.keep", "intent": "keep a note anew"}
    whole = lua(WRITE_BODY + "\n", **newer) + f"```json\n{json.dumps(noting('notes.anew'))}\n```\n"
    done = forge("keep a note anew by workflow", replies=[whole, whole], examples=None)
    # The drafted capability bears a taken name, and only the workflow's name could have been asked for.
    assert done.code == 6
    assert forge.rows("SELECT 1 FROM artifacts WHERE name = 'notes.anew'") == []


def test_a_drafted_workflow_and_its_drafted_write_are_approved_together(forge, cli):
    whole = lua(WRITE_BODY, **WRITE) + f"```json\n{json.dumps(noting())}\n```\n"
    done = forge("keep a note by workflow", replies=[whole])
    assert (done.json["artifact"], done.json["status"]) == ("notes.twice@1", "draft"), done.out
    assert cli("run", "notes.twice", "--input", '{"note": "n"}').code == 4
    approved = cli("approve", "notes.twice@1", "--json").json["approved"]
    assert [each["artifact"] for each in approved] == ["notes.keep@1", "notes.twice@1"]
    assert cli("run", "notes.twice", "--input", '{"note": "n"}', "--json").json["outcome"] == "kept"


# ---------------------------------------------------------------- without a model


def test_the_same_words_are_exact_and_tell_that_no_token_was_spent(forge, place):
    examples = json.loads((place / "refund_examples.json").read_text())
    done = forge("process an order refund, with approval above 100", examples=examples)
    assert done.code == 0
    assert (done.json["tier"], done.json["artifact"], done.json["tokens"]) == ("exact", "orders.refund@1", 0)
    assert done.json["candidates"][0]["passed"] == 4


def test_the_same_words_with_an_example_that_fails_are_not_reused(forge, place):
    examples = json.loads((place / "refund_examples.json").read_text())
    examples[1]["outcome"] = "rejected"
    done = forge.refused(6, "process an order refund, with approval above 100", examples=examples)
    [verdict] = [each for each in done.json["error"]["report"]["candidates"] if each["ref"] == "orders.refund@1"]
    assert (verdict["tier"], verdict["passed"], verdict["total"]) == ("none", 3, 4)


AVERAGES = [
    {"input": {"numbers": [1, 2, 6]}, "output": {"average": 3}},
    {"input": {"numbers": [10, 20]}, "output": {"average": 15}},
]


def test_other_words_are_verified_by_two_examples_and_remembered(forge):
    done = forge("what do these numbers come to on average", examples=AVERAGES)
    assert done.code == 0, done.out
    assert (done.json["tier"], done.json["artifact"], done.json["tokens"]) == ("verified", "stats.average@1", 0)
    again = forge("What do these numbers come to on average?")
    assert again.json["tier"] == "exact"


def test_other_words_without_two_examples_are_only_proposed(forge):
    for examples in (None, AVERAGES[:1], [AVERAGES[0], AVERAGES[0]]):
        done = forge.refused(6, "what do these numbers come to on average", examples=examples)
        [verdict] = [each for each in done.json["error"]["report"]["candidates"] if each["ref"] == "stats.average@1"]
        assert verdict["tier"] == "proposed"
        assert "stats.average@1" in done.json["error"]["message"]
        assert "--examples" in done.json["error"]["hint"]


def test_what_no_word_finds_is_found_by_the_fields_of_three_examples(forge):
    examples = [*AVERAGES, {"input": {"numbers": [4]}, "output": {"average": 4}}]
    done = forge("xylophone", "--explain", examples=examples)
    assert (done.json["tier"], done.json["artifact"]) == ("verified", "stats.average@1")
    [found] = [each for each in done.json["candidates"] if each["ref"] == "stats.average@1"]
    assert not found["by_words"]
    assert [each["result"] for each in found["examples"]] == ["passed"] * 3
    two = forge.refused(6, "zither", examples=examples[:2])
    assert "3 different examples must pass" in two.json["error"]["message"]


def test_explain_judges_every_candidate_and_chooses_the_same(forge, cli):
    short = forge("convert fahrenheit to celsius")
    whole = forge("convert fahrenheit to celsius", "--explain")
    assert whole.json["artifact"] == short.json["artifact"] == "units.fahrenheit_to_celsius@1"
    assert len(short.json["candidates"]) == 1 < len(whole.json["candidates"])
    [other] = [each for each in whole.json["candidates"] if each["ref"] == "units.celsius_to_fahrenheit@1"]
    assert (other["tier"], other["misfits"], other["effect"]) == ("proposed", [], "pure")
    assert other["vetoes"][0].startswith("direction")
    people = forge("convert fahrenheit to celsius", "--explain", human=True)
    assert "units.celsius_to_fahrenheit@1  proposed  score" in people.out
    assert "stand the other way round" in " ".join(people.out.split())


def test_search_explains_with_examples_and_changes_nothing(forge, cli, place):
    (place / "examples.json").write_text(json.dumps(AVERAGES))
    before = fingerprint(forge.db)
    done = cli("search", "mean of figures", "--explain", "--examples", "examples.json", "--json")
    assert done.code == 0
    first = done.json["candidates"][0]
    assert (first["ref"], first["tier"], first["own_green"]) == ("stats.average@1", "verified", True)
    said = cli("search", "mean of figures", "--explain", "--examples", "examples.json", "--limit", "1")
    assert "1 passed, 2 passed, its own pass" in said.out
    assert cli("search", "xylophone", "--explain").code == 0
    assert cli("search", "mean", "--examples", "examples.json").code == 2
    assert fingerprint(forge.db) == before


CITIES = "parse this csv, group the rows by city, and give the average of price per city"
CITY_EXAMPLES = [
    {
        "input": {"text": "city,price\nBern,10\nBern,20\nRome,5\n", "group_field": "city", "value_field": "price"},
        "output": {"averages": [{"key": "Bern", "average": 15}, {"key": "Rome", "average": 5}]},
    },
    {
        "input": {"text": "city,price\nOslo,1\nOslo,2\n", "group_field": "city", "value_field": "price"},
        "output": {"averages": [{"key": "Oslo", "average": 1.5}]},
    },
]


def without_ready_made(forge):
    """The library without the workflow that answers CITIES already."""
    connection = sqlite3.connect(forge.db)
    connection.execute("UPDATE artifacts SET status = 'revoked' WHERE name = 'reports.csv_group_average'")
    connection.commit()
    connection.close()


def test_two_examples_verify_the_ready_made_report(forge):
    done = forge(CITIES, examples=CITY_EXAMPLES)
    assert (done.json["tier"], done.json["artifact"]) == ("verified", "reports.csv_group_average@1")


def test_parts_are_composed_and_proved_by_two_examples(forge, cli):
    without_ready_made(forge)
    text_only = [each | {"input": {"text": each["input"]["text"]}} for each in CITY_EXAMPLES]
    done = forge(CITIES, "--name", "reports.cities", examples=text_only)
    assert done.code == 0, done.out
    report = done.json
    assert (report["tier"], report["artifact"], report["status"]) == ("composed", "reports.cities@1", "active")
    assert (report["tokens"], report["model"]) == (0, None)
    assert "made of csv.parse, list.group_by, stats.average_by_group" in report["reason"]
    ran = cli("run", "reports.cities", "--input", json.dumps({"text": "city,price\nBern,4\nBern,6\n"}), "--json")
    assert ran.json["output"] == {"averages": [{"key": "Bern", "average": 5}]}
    assert forge(CITIES).json["tier"] == "exact"


def test_without_examples_a_composition_waits_for_a_person(forge, cli):
    without_ready_made(forge)
    done = forge(CITIES, "--name", "reports.cities", human=True)
    assert done.code == 0
    assert "ritesmith approve reports.cities@1" in done.out
    given = ("--input", json.dumps({"text": "city,price\nBern,4\nBern,6\n"}))
    assert cli("run", "reports.cities", *given).code == 4
    assert cli("approve", "reports.cities@1").code == 0
    assert cli("run", "reports.cities", *given).code == 0


def test_a_composition_that_fails_an_example_is_refused(forge):
    without_ready_made(forge)
    wrong = [CITY_EXAMPLES[0], CITY_EXAMPLES[1] | {"output": {"averages": []}}]
    done = forge.refused(6, CITIES, examples=wrong)
    assert done.json["error"]["report"]["findings"]


def test_a_gap_is_named_and_how_to_fill_it(forge):
    done = forge.refused(6, "parse this csv, translate every row into French, and group the rows by city", human=True)
    assert "no capability for: translate every row into French" in done.err
    assert "RITESMITH_LLM_BASE_URL" in done.err
    assert "tokens 0" in done.out


def test_a_gap_is_what_the_model_is_asked_to_fill(forge):
    assert forge(INTENT, replies=[lua()], examples=EXAMPLES).json["gaps"]


# ---------------------------------------------------------------- not by similar words


TURNED = [
    {"input": {"fahrenheit": 212}, "output": {"celsius": 100}},
    {"input": {"fahrenheit": 32}, "output": {"celsius": 0}},
]


def test_the_other_direction_is_never_reused_on_similar_words(forge):
    connection = sqlite3.connect(forge.db)
    connection.execute("UPDATE artifacts SET status = 'revoked' WHERE name = 'units.fahrenheit_to_celsius'")
    connection.commit()
    connection.close()
    for examples in (None, TURNED):
        for intent in ("fahrenheit to celsius", "convert fahrenheit to celsius", "turn fahrenheit into celsius"):
            done = forge.refused(6, intent, examples=examples)
            verdicts = {each["ref"]: each["tier"] for each in done.json["error"]["report"]["candidates"]}
            assert verdicts["units.celsius_to_fahrenheit@1"] in ("proposed", "none")
            assert not {"exact", "verified"} & set(verdicts.values())


def test_a_revoked_artifact_is_not_reused(forge):
    assert forge("convert fahrenheit to celsius", "--dry-run").json["tier"] == "exact"
    connection = sqlite3.connect(forge.db)
    connection.execute("UPDATE artifacts SET status = 'revoked' WHERE name = 'units.fahrenheit_to_celsius'")
    connection.commit()
    connection.close()
    forge.refused(6, "convert fahrenheit to celsius", examples=TURNED)


def test_a_wider_effect_than_allowed_is_not_reused(forge):
    done = forge.refused(6, "process an order refund, with approval above 100", "--effect", "read")
    [verdict] = [each for each in done.json["error"]["report"]["candidates"] if each["ref"] == "orders.refund@1"]
    assert verdict["tier"] == "none"
    assert "its effect is write" in verdict["reason"]


# ---------------------------------------------------------------- decisions


def test_every_decision_is_logged_with_its_reason(forge):
    forge("average of a list of numbers")
    forge("what do these numbers come to on average", examples=AVERAGES)
    forge(INTENT, replies=[lua()], examples=EXAMPLES)
    rows = forge.rows("SELECT * FROM decisions ORDER BY id")
    assert [(row["tier"], row["artifact"]) for row in rows] == [
        ("exact", "stats.average@1"),
        ("verified", "stats.average@1"),
        ("authored", "text.initials@1"),
    ]
    assert all(row["reason"] and row["intent"] for row in rows)
    assert json.loads(rows[2]["report"])["tokens"] == 120


def test_two_forges_of_one_draft_publish_it_once(forge):
    first = forge(INTENT, replies=[lua()], examples=EXAMPLES)
    second = forge("monogram of someone", replies=[lua(), lua()], examples=EXAMPLES)
    assert first.json["artifact"] == "text.initials@1"
    assert second.code in (0, 6)
    assert len(forge.rows("SELECT 1 FROM artifacts WHERE name = 'text.initials'")) == 1


def test_tokens_that_the_server_does_not_count_are_unknown_and_still_spend_the_budget(forge):
    budget = budget_for_one(forge)
    silent = ScriptedReply(text=lua("  return {"), usage=None)
    done = forge.refused(6, INTENT, "--max-tokens", str(budget), replies=[silent, lua()], examples=EXAMPLES)
    assert len(forge.author.requests) == 1
    assert f"{budget} tokens" in done.json["error"]["message"]
    assert done.json["error"]["report"]["tokens"] is None


def test_what_a_model_wrote_without_an_example_of_the_caller_waits_for_a_person(forge):
    assert forge(INTENT, replies=[lua()]).json["status"] == "draft"
    assert (
        forge("initials of a full name", replies=[lua(name="text.other")], examples=EXAMPLES).json["status"] == "active"
    )


def test_a_model_that_does_not_answer_leaves_the_report_of_what_was_tried(forge):
    refused = forge.refused(6, INTENT, replies=[ScriptedReply(status=404, body="{}")], examples=EXAMPLES)
    report = refused.json["error"]["report"]
    assert [tier["tier"] for tier in report["tiers"]] == ["reuse", "compose", "author"]
    assert report["artifact"] is None


def test_a_repair_cannot_weaken_the_contract(forge):
    anything = {"type": "object", "properties": {"initials": {}}}
    replies = [lua("  return { initials = 1 }"), lua(output=anything), lua()]
    done = forge(INTENT, replies=replies, examples=EXAMPLES)
    assert len(forge.author.requests) == 3
    assert "contract_changed" in forge.author.requests[2]["messages"][-1]["content"]
    assert done.json["artifact"] == "text.initials@1"


def test_a_repair_cannot_change_the_name_or_widen_the_grants(forge):
    bad = "  return { initials = unknown_name }"
    put = {"grants": {"store.put": {"namespaces": ["notes"]}}}
    forge.refused(6, INTENT, "--rounds", "1", replies=[lua(bad), lua(name="text.else")], examples=EXAMPLES)
    refused = forge.refused(6, INTENT, "--rounds", "1", replies=[lua(bad), lua(**put)], examples=EXAMPLES)
    findings = refused.json["error"]["report"]["findings"]
    assert {"code": "contract_changed", "path": "$.grants"} in [
        {"code": each["code"], "path": each["where"]["path"]} for each in findings
    ]


def test_a_sound_block_stays_whatever_a_repair_says(forge, cli):
    wrong = flow(start="nowhere")
    worse = lua(GOOD + " -- another")
    done = forge("initials of a name as a slug", replies=[lua() + wrong, worse + flow()], examples=FLOW_EXAMPLES)
    assert done.json["published"] == ["text.initials@1", "text.initials_slug@1"]
    assert "only these blocks: the workflow. Sound, and kept as they are: text.initials." in forge.sent
    assert "another" not in cli("show", "text.initials", "--source").out


def test_all_blocks_of_a_repair_are_taken_or_none(forge):
    bad = lua("  return { initials = unknown_name }")
    half = lua() + flow().replace('"start"', "start")
    done = forge.refused(
        6, "initials of a name as a slug", "--rounds", "2", replies=[bad + flow(), half, flow()], examples=FLOW_EXAMPLES
    )
    report = done.json["error"]["report"]
    assert report["findings_by_code"]["workflow_not_json"] == 1
    assert any("unknown_name" in each["message"] for each in report["findings"])
    whole = [bad + flow(), half, lua() + flow()]
    assert forge("initials of a name as a slug", "--rounds", "2", replies=whole, examples=FLOW_EXAMPLES).code == 0


def test_an_example_that_only_the_model_made_cannot_stop_a_workflow(forge, cli):
    made_up = [{"input": {"name": "Ada Lovelace"}, "outcome": "made", "output": {"slug": "wrong"}}]
    parts = [EXAMPLES[0], EXAMPLES[1], {"input": {"name": "Bo Li"}, "output": {"initials": "wrong"}}]
    done = forge(
        "initials of a name as a slug", replies=[lua(examples=parts) + flow(examples=made_up)], examples=FLOW_EXAMPLES
    )
    assert (done.json["rounds"], done.json["artifact"]) == (0, "text.initials_slug@1"), done.out
    assert "wrong" not in cli("show", "text.initials", "--source").out
    assert "wrong" not in cli("show", "text.initials_slug", "--source").out


def test_without_an_example_of_the_caller_the_models_own_must_be_met(forge):
    own = [EXAMPLES[0], {"input": {"name": "Bo Li"}, "output": {"initials": "XX"}}]
    forge.refused(6, INTENT, "--rounds", "0", replies=[lua(examples=own)])


def test_a_repair_may_change_a_schema_that_was_wrong(forge):
    done = forge(INTENT, replies=[lua(output={"type": "objet"}), lua()], examples=EXAMPLES)
    assert done.json["artifact"] == "text.initials@1"


# ---------------------------------------------------------------- at once


def test_two_processes_that_forge_one_intent_at_once_end_with_one_artifact(place):
    words = ["forge", "parse this csv, group the rows by city, and give the average of price per city", "--json"]
    both = [start(*words, folder=place) for _ in range(2)]
    told = [json.loads(each.communicate()[0]) for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert len({each["artifact"] for each in told}) == 1
    assert sorted(each["tier"] for each in told) == ["composed", "exact"]
    assert sum(len(each["published"]) for each in told) == 1


def test_what_another_made_while_the_model_was_asked_is_not_repaired_into_a_second_one(forge, monkeypatch):
    check = Authoring.check

    def late(authoring, draft):
        if not others:
            with RiteSmith.open(str(forge.db)) as app:
                checked = app.check_text(lua().removeprefix("```lua\n").removesuffix("```\n"), "initials.lua")
                others.append(app.publish_checked(checked, source="person", author="somebody")[0])
                app.registry.log_decision(INTENT, "authored", others[0].ref, "", {})
        return check(authoring, draft)

    others = []
    monkeypatch.setattr(Authoring, "check", late)
    report = forge(INTENT, replies=[lua(), lua(name="text.second")], examples=EXAMPLES).json
    assert report["findings_by_code"] == {"name_taken": 1}
    assert (report["tier"], report["artifact"], report["calls"]) == ("exact", "text.initials@1", 1)


@pytest.mark.parametrize(
    "second",
    [{"output": {"initials": "XX"}}, {"error": "no_name"}],
    ids=["another output", "an error"],
)
def test_examples_that_contradict_each_other_ask_no_model(forge, second):
    done = forge.refused(2, INTENT, replies=[], examples=[*EXAMPLES, {"input": EXAMPLES[0]["input"], **second}])
    assert "examples 1 and 4 contradict each other" in done.json["error"]["message"]
    assert not forge.author.requests


def test_examples_that_say_the_same_twice_do_not_contradict_each_other(forge):
    assert forge(INTENT, replies=[lua()], examples=[*EXAMPLES, EXAMPLES[0]]).code == 0


@pytest.mark.parametrize("answers", [True, False], ids=["it answers", "it does not answer"])
def test_what_another_made_meanwhile_for_the_same_words_is_used_if_it_answers(forge, monkeypatch, answers):
    body = GOOD if answers else GOOD.replace("string.upper", "string.lower")
    small = [
        {"input": each["input"], "output": {"initials": each["output"]["initials"].lower()}} for each in EXAMPLES[:2]
    ]
    theirs = lua(body, name="people.monogram", **({} if answers else {"examples": small}))
    unless_met, others = Forging.unless_met, []

    def late(forging, make):
        if not others:
            with RiteSmith.open(str(forge.db)) as app:
                checked = app.check_text(theirs.removeprefix("```lua\n").removesuffix("```\n"), "monogram.lua")
                others.append(app.publish_checked(checked, source="person", author="somebody")[0])
                app.registry.log_decision(INTENT, "authored", others[0].ref, "", {})
        return unless_met(forging, make)

    monkeypatch.setattr(Forging, "unless_met", late)
    report = forge(INTENT, replies=[lua()], examples=EXAMPLES).json
    made = forge.rows("SELECT name FROM artifacts WHERE name = 'text.initials'")
    if answers:
        assert (report["tier"], report["artifact"], made) == ("exact", "people.monogram@1", [])
    else:
        assert (report["tier"], report["artifact"], len(made)) == ("authored", "text.initials@1", 1)
    assert report["tokens"] == 120  # what was spent is told all the same


def test_what_the_forge_makes_of_a_name_that_it_breaks_waits_for_a_person(forge, cli):
    assert forge(INTENT, replies=[lua()], examples=EXAMPLES).code == 0
    asked = [{"input": {"full": "Ada Lovelace"}, "output": {"initials": "AL"}}]
    other = lua(GOOD.replace("input.name", "input.full"), input=obj(full=TEXT), examples=[*asked, *asked])
    report = forge("initials of a full name", "--name", "text.initials", replies=[other], examples=asked).json
    assert (report["artifact"], report["status"]) == ("text.initials@2", "draft")
    findings = cli("show", "text.initials@2", "--json").json["provenance"]["findings"]
    assert "breaking_change" in {each["code"] for each in findings}
