"""The policy: which rule decides about what, what a project may change in it, and how it is explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ritesmith.app import RiteSmith
from ritesmith.errors import Conflict, InvalidInput, Rejected
from ritesmith.guard.policy import Grant, Policy, Subject, decide, load_policy, subject_of
from ritesmith.hosts import CATALOG
from ritesmith.intake import content_folder
from ritesmith.models import Contract, Limits, Workflow

FILE = content_folder() / "guardrails" / "policy.toml"
BUNDLED = load_policy(FILE)


def subject(source: str = "model", effect: Any = "write", **more: Any) -> Subject:
    grants = {"pure": (), "read": ("store.get",), "write": ("store.put",)}[effect]
    return Subject(
        source=source,
        effect=effect,
        **{"grants": tuple(Grant(function=name, narrowed={"namespaces": ["notes"]}) for name in grants)} | more,
    )


def money(source: str) -> Subject:
    return subject(source, grants=(Grant(function="store.put", narrowed={"namespaces": ["notes", "payments"]}),))


def asks(source: str) -> Subject:
    return subject(source, "read", grants=(Grant(function="llm.complete", narrowed={}),))


def deletes(source: str) -> Subject:
    return subject(source, grants=(Grant(function="store.delete", narrowed={"namespaces": ["notes"]}),))


@pytest.mark.parametrize(
    ("facts", "action", "rule", "risk"),
    [
        pytest.param(subject("model", "pure"), "allow", "pure", "low", id="pure of a model"),
        pytest.param(subject("model", "read"), "allow", "granted-read", "low", id="read of a model"),
        pytest.param(asks("model"), "approve", "model-asks", "medium", id="questions of a model to a model"),
        pytest.param(asks("person"), "allow", "granted-read", "medium", id="questions of a person to a model"),
        pytest.param(subject("person"), "allow", "person-write", "medium", id="write of a person"),
        pytest.param(subject("model"), "approve", "model-write", "medium", id="write of a model"),
        pytest.param(subject("composed"), "approve", "composed-write", "medium", id="composed writes"),
        pytest.param(subject("bundled"), "allow", "bundled", "medium", id="bundled write"),
        pytest.param(money("bundled"), "allow", "bundled", "critical", id="bundled money"),
        pytest.param(money("person"), "approve", "money", "critical", id="money of a person"),
        pytest.param(money("model"), "approve", "money", "critical", id="money of a model"),
        pytest.param(deletes("person"), "approve", "delete", "high", id="delete of a person"),
        pytest.param(subject("person", unknown=("mail.send",)), "deny", "unknown-grant", "medium", id="unknown grant"),
        pytest.param(subject("bundled", unknown=("x.y",)), "deny", "unknown-grant", "medium", id="bundled, unknown"),
        pytest.param(subject("stranger"), "deny", "otherwise", "medium", id="a source that no rule names"),
    ],
)
def test_the_first_rule_that_matches_decides(facts: Subject, action: str, rule: str, risk: str) -> None:
    decision = decide(BUNDLED, facts)
    assert (decision.action, decision.rule, decision.risk) == (action, rule, risk)
    assert decision.reason
    assert decision.tried[-1].matched
    assert all(tried.why_not for tried in decision.tried[:-1])


def test_reading_accounts_while_writing_notes_is_no_movement_of_money() -> None:
    grants = (
        Grant(function="store.get", narrowed={"namespaces": ["accounts"]}),
        Grant(function="store.put", narrowed={"namespaces": ["notes"]}),
    )
    assert decide(BUNDLED, subject("person", grants=grants)).risk == "medium"


@pytest.mark.parametrize(
    ("function", "grant", "decided"),
    [
        ("http.get_json", {}, ("read", "low", "allow", "approve")),
        ("http.request", {}, ("read", "low", "allow", "approve")),
        ("http.request", {"methods": ["GET", "HEAD"]}, ("read", "low", "allow", "approve")),
        ("http.request", {"methods": ["GET", "POST"]}, ("write", "medium", "allow", "approve")),
        ("http.request", {"methods": ["DELETE"]}, ("write", "high", "approve", "approve")),
        ("http.post_json", {}, ("write", "medium", "allow", "approve")),
        ("notify.webhook", {}, ("write", "medium", "allow", "approve")),
    ],
    ids=str,
)
def test_http_of_a_person_is_allowed_unless_it_deletes_and_of_a_model_is_looked_at(
    function: str, grant: dict[str, Any], decided: tuple[str, str, str, str]
) -> None:
    grants = {function: {"hosts": ["api.example.com"], **grant}}
    said = Contract(name="test.it", intent="to be tried", input={}, output={}, grants=grants)
    person, model = (subject_of([said], CATALOG, source=source, limits=Limits()) for source in ("person", "model"))
    mine, its = decide(BUNDLED, person), decide(BUNDLED, model)
    assert (person.effect, mine.risk, mine.action, its.action) == decided


def test_without_rules_everything_is_denied_and_critical() -> None:
    decision = decide(Policy(), subject("bundled", "pure"))
    assert (decision.action, decision.rule, decision.risk) == ("deny", "", "critical")


# ---------------------------------------------------------------- conditions


def one_rule(**conditions: Any) -> Policy:
    rule = {"name": "it", "action": "allow", "reason": "so", **conditions}
    return Policy.model_validate({"risk": [{"level": "low", "reason": "so"}], "rules": [rule]})


WEB = Grant(function="http.request", narrowed={"hosts": ["api.example.com"], "methods": ["GET"], "secrets": ["KEY"]})
MCP = Grant(function="mcp.files.read", narrowed={})


@pytest.mark.parametrize(
    ("conditions", "matches"),
    [
        ({"narrowed": {"hosts": ["*.example.com"]}}, True),
        ({"narrowed": {"hosts": ["*.example.org"]}}, False),
        ({"narrowed": {"hosts": ["api.example.com"], "methods": ["POST"]}}, False),
        ({"functions": ["http.*"], "narrowed": {"secrets": ["*"]}}, True),
        ({"functions": ["mcp.*"], "narrowed": {"secrets": ["*"]}}, False),
        ({"functions": ["mcp.files.*"]}, True),
        ({"functions": ["mcp.files.*"], "only": True}, False),
        ({"functions": ["mcp.files.*", "http.*"], "only": True}, True),
        ({"functions": ["http.*", "mcp.*"], "narrowed": {"hosts": ["api.*"]}, "only": True}, False),
        ({"functions": ["mcp.mail.*"]}, False),
        ({"over": {"fuel": 1000}}, True),
        ({"over": {"fuel": 5000}}, False),
        ({"over": {"host_calls": 5, "fuel": 1000}}, True),
        ({"over": {"steps": 1}}, False),
        ({"unknown": False}, True),
        ({"risk": ["low"]}, True),
        ({"risk": ["high"]}, False),
    ],
)
def test_a_rule_matches_when_all_that_it_names_holds(conditions: dict[str, Any], matches: bool) -> None:
    facts = subject("model", "write", grants=(WEB, MCP), budget={"fuel": 5000, "host_calls": 2})
    decision = decide(one_rule(**conditions), facts)
    assert (decision.action == "allow") is matches
    assert bool(decision.tried[0].why_not) is not matches


def test_only_means_every_value_of_a_grant() -> None:
    policy = one_rule(functions=["http.*"], narrowed={"hosts": ["*.example.com"]}, only=True)
    wide = WEB.model_copy(update={"narrowed": {"hosts": ["api.example.com", "evil.org"]}})
    assert decide(policy, subject(grants=(WEB,))).action == "allow"
    refused = decide(policy, subject(grants=(wide,)))
    assert refused.action == "deny"
    assert "evil.org" in refused.tried[0].why_not
    assert decide(policy, subject(grants=())).action == "deny"


def test_the_facts_come_from_contracts_and_limits() -> None:
    parts = [
        Contract.model_validate(
            {
                "name": f"a.part_{index}",
                "intent": "a part",
                "input": {},
                "output": {},
                "grants": grants,
                "limits": limits,
            }
        )
        for index, (grants, limits) in enumerate(
            [({}, {"fuel": 500}), ({"store.get": {"namespaces": ["a"]}, "no.such": {}}, {"fuel": 700, "host_calls": 3})]
        )
    ]
    flow = Workflow.model_validate(
        {
            "name": "a.flow",
            "intent": "a flow",
            "start": "a",
            "limits": {"steps": 7},
            "nodes": [
                {"id": "a", "kind": "map", "over": [], "start": "c", "join": "b", "max_items": 20},
                {"id": "b", "kind": "join", "next": "d"},
                {"id": "c", "kind": "sleep", "seconds": 1, "next": "b"},
                {"id": "d", "kind": "map", "over": [], "start": "e", "join": "f", "concurrency": 50},
                {"id": "e", "kind": "sleep", "seconds": 1, "next": "f"},
                {"id": "f", "kind": "join"},
            ],
        }
    )
    facts = subject_of(parts, CATALOG, source="person", limits=Limits(), workflow=flow)
    assert facts.effect == "write"  # what does not exist may do anything
    assert facts.unknown == ("no.such",)
    assert {grant.function for grant in facts.grants} == {"store.get", "no.such"}
    assert (facts.budget["fuel"], facts.budget["host_calls"], facts.budget["steps"]) == (700, 100, 7)
    assert (facts.budget["concurrency"], facts.budget["max_items"]) == (50, 1000)


# ---------------------------------------------------------------- a project's own policy


def project(tmp_path: Path, text: str) -> Policy:
    file = tmp_path / "guardrails" / "policy.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return load_policy(FILE, file)


RULE = '[[rules]]\nname = "ours"\naction = "{}"\n{}\nreason = "we say so"\n'


def test_a_project_may_tighten_without_asking(tmp_path: Path) -> None:
    policy = project(tmp_path, "[limits]\nfuel = 1000\nhost_calls = 500\n" + RULE.format("deny", 'effect = ["read"]'))

    decision = decide(policy, subject("bundled", "read"))
    assert (decision.action, decision.rule) == ("deny", "ours")
    assert decision.file.endswith("guardrails/policy.toml")
    assert decision.file != BUNDLED.file
    assert decide(policy, subject("model")).rule == "model-write"
    assert policy.limits.fuel == 1000
    assert policy.limits.host_calls == BUNDLED.limits.host_calls
    assert policy.digest not in ("", BUNDLED.digest)


def test_a_project_loosens_only_what_it_names(tmp_path: Path) -> None:
    lax = RULE.format("allow", 'source = ["model"]')
    decision = decide(project(tmp_path, lax), subject("model"))
    assert (decision.action, decision.rule) == ("approve", "model-write")
    assert decision.note == "the project's rule 'ours' would allow it, but its 'loosens' does not name 'model-write'"

    named = project(tmp_path, 'loosens = ["model-write", "limits.host_calls"]\n[limits]\nhost_calls = 500\n' + lax)
    assert decide(named, subject("model")).action == "allow"
    assert decide(named, money("model")).action == "approve"
    assert named.limits.host_calls == 500


def test_a_projects_risk_counts_where_it_is_the_higher_one(tmp_path: Path) -> None:
    risk = (
        '[[risk]]\nlevel = "{}"\nfunctions = ["store.put"]\nnarrowed = {{ namespaces = ["notes"] }}\nreason = "ours"\n'
    )
    higher = decide(project(tmp_path, risk.format("critical")), subject("person"))
    assert (higher.action, higher.rule, higher.risk, higher.risk_reason) == ("approve", "money", "critical", "ours")
    assert decide(project(tmp_path, risk.format("low")), subject("person")).risk == "medium"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('loosens = ["model-writes"]', "no such rule or limit"),
        ("rules = 5", r"\$\.rules: .*\(found 5\)"),
        ("[[rules]]\nname = 'x'\naction = 'alow'\nreason = 'y'", r"\$\.rules\[0\]\.action: .*'allow'.*alow"),
        ("[[rules]]\nname = 'x'\nacton = 'deny'\nreason = 'y'", "unknown field 'acton' .did you mean 'action'"),
        ("[[rules]]\nname = 'x'\naction = 'deny'\nreason = 'y'\nover = {feul = 5}", "did you mean 'fuel'"),
        ("[[rules]]\nname = 'x'\naction = 'deny'\nreason = 'y'\nover = {fuel = nan}", "finite number"),
        ("[[rules]]\nname = 'x'\naction = 'deny'\nreason = 'y'\nsource = ['modle']", "modle"),
        ("[[rules]]\nname = 'x'\naction = 'deny'\nreason = 'y'\nonly = true", "'only' means nothing without"),
        ("[[rules]]\nname = 'x'\naction = 'deny'\nreason = 'y'\n" * 2, "two rules have the name 'x'"),
        ("".join(f"[[rules]]\nname = '{each}'\naction = 'deny'\nreason = 'y'\n" for each in "xz"), "is never reached"),
        ("[limits]\nfuel = 0", "greater than or equal to 1"),
        ("[limits]\nfuel = 1" + "0" * 400, "limits.fuel is more than 9007199254740992"),
        ("[limits]\ndeadline_seconds = inf", "limits.deadline_seconds is more than"),
        ("[limits]\ndeadline_seconds = nan", "greater than 0|is more than"),
        ("[limits]\nfuel = 'much'", r"\$\.limits\.fuel"),
        ("[limits]\nfuels = 5", "did you mean 'fuel'"),
        ("[run_limits]\nmax_items = -1", r"\$\.run_limits\.max_items"),
        ("not toml", "can't be used as the policy: Expected"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("# " + "x" * 1_100_000, "more than 1048576 bytes"),
    ],
)
def test_a_project_policy_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        project(tmp_path, text)


def test_a_policy_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="can't be used as the policy: 'utf-8'"):
        load_policy(FILE, tmp_path / "policy.toml")


def test_a_project_lowers_what_workflows_may_ask_for(tmp_path: Path) -> None:
    own = "[run_limits]\nsteps = 500\nmax_items = 999_999\nfuel = 1000\nconcurrency = 200\n"
    limits = project(tmp_path, 'loosens = ["run_limits.concurrency"]\n' + own).run_limits
    assert (limits.steps, limits.max_items, limits.fuel, limits.concurrency) == (500, 100_000, 1000, 200)


def test_the_bundled_policy_is_not_its_own_project(tmp_path: Path) -> None:
    assert load_policy(FILE, FILE) == BUNDLED
    assert load_policy(FILE, tmp_path / "none.toml") == BUNDLED


# ---------------------------------------------------------------- in use

WRITER = """--[[ capability
{"name": "notes.keep", "intent": "keep a note",
 "input": {"type": "object", "required": ["id"], "properties": {"id": {"enum": ["a", "b"]}}},
 "output": {"type": "object", "required": ["version"], "properties": {"version": {"type": "integer"}}},
 "grants": {"store.put": {"namespaces": ["%s"]}},
 "examples": [
  {"input": {"id": "a"}, "output": {"version": 1}, "store_after": {"%s": {"a": {"id": "a"}}}},
  {"input": {"id": "b"}, "output": {"version": 1}, "store_after": {"%s": {"b": {"id": "b"}}}}]}
]]
function run(input) return {version = store.put{namespace = "%s", key = input.id, value = {id = input.id}}.version} end
"""


def writer(folder: Path, namespace: str) -> Path:
    file = folder / f"{namespace}.lua"
    file.write_text(WRITER.replace("%s", namespace), encoding="utf-8")
    return file


def test_a_persons_write_is_active_and_a_movement_of_money_waits(tmp_path: Path) -> None:
    with RiteSmith(tmp_path / "registry.db") as app:
        plain = app.publish_file(writer(tmp_path, "notes")).artifact
        pays = app.publish_file(writer(tmp_path, "payments")).artifact
        assert (plain.status, plain.risk) == ("active", "medium")
        assert (pays.status, pays.risk) == ("draft", "critical")
        [approved] = app.approve_artifact(pays.ref, by="ann", digest=pays.digest)
        assert approved.digest == pays.digest


def test_what_the_project_denies_cannot_be_published(tmp_path: Path) -> None:
    project(tmp_path, RULE.format("deny", 'functions = ["store.put"]'))
    with RiteSmith(tmp_path / "registry.db") as app, pytest.raises(Rejected, match="we say so"):
        app.publish_file(writer(tmp_path, "notes"))


def test_a_bundled_artifact_that_the_project_denies_is_left_out(tmp_path: Path) -> None:
    project(tmp_path, RULE.format("deny", 'risk = ["critical"]'))
    told: list[str] = []
    with RiteSmith.open(str(tmp_path / "registry.db"), environment={}, on_install=told.append) as app:
        names = app.registry.names()
        assert "payments.refund" not in names
        assert "orders.refund" not in names
        assert "math.clamp" in names
    assert "left out by the project's policy" in told[0]


def test_a_stricter_policy_holds_for_what_was_published_before(tmp_path: Path) -> None:
    with RiteSmith(tmp_path / "registry.db") as app:
        plain = app.publish_file(writer(tmp_path, "notes")).artifact
        pays = app.publish_file(writer(tmp_path, "payments")).artifact
    project(tmp_path, RULE.format("deny", 'functions = ["store.put"]'))
    with RiteSmith(tmp_path / "registry.db") as app:
        with pytest.raises(Rejected, match="we say so"):
            app.approve_artifact(pays.ref)
        with pytest.raises(Rejected, match="we say so"):
            app.start(plain.ref, {"id": "a"})


def test_a_part_that_was_revoked_is_found_by_the_check_and_keeps_the_whole_from_starting(tmp_path: Path) -> None:
    flow = """{"name": "notes.flow", "intent": "keep a note", "start": "a",
     "input": {"type": "object", "required": ["id"], "properties": {"id": {"enum": ["a", "b"]}}},
     "nodes": [{"id": "a", "kind": "task", "capability": "notes.keep@1", "with": {"id": {"var": "input.id"}},
                "no_compensation": "a note does no harm"}],
     "examples": [{"input": {"id": "a"}, "output": {"version": 1}, "store_after": {"notes": {"a": {"id": "a"}}}}]}"""
    (tmp_path / "flow.json").write_text(flow, encoding="utf-8")
    with RiteSmith(tmp_path / "registry.db") as app:
        part = app.publish_file(writer(tmp_path, "notes")).artifact
        whole = app.publish_file(tmp_path / "flow.json").artifact
        app.registry.set_status(part.digest, "deprecated")
        assert [each.code for each in app.check_file(tmp_path / "flow.json").findings] == ["deprecated_version"]
        assert app.start(whole.ref, {"id": "a"})
        app.registry.set_status(part.digest, "revoked")
        assert [each.code for each in app.check_file(tmp_path / "flow.json").errors] == ["revoked_version"]
        with pytest.raises(Conflict, match=r"'notes.keep@1' was revoked .* 'notes.flow@1' is made of it"):
            app.start(whole.ref, {"id": "a"})


def test_an_approval_names_the_version_that_was_read(tmp_path: Path) -> None:
    with RiteSmith(tmp_path / "registry.db") as app:
        pays = app.publish_file(writer(tmp_path, "payments")).artifact
        with pytest.raises(InvalidInput, match="does not say which version was read"):
            app.approve_artifact(pays.name)
        assert app.approve_artifact(pays.digest[:12]) == [pays]
        with pytest.raises(Conflict, match="waits for no approval; it is active"):
            app.approve_artifact(pays.name)


def test_explain_tells_the_rule_the_reason_and_what_was_tried(cli: Any) -> None:
    done = cli("policy", "explain", "payments.refund", "--source", "model")
    assert done.code == 0
    assert "payments.refund@1 approve: it moves money; a person must have read it" in done.out
    assert "the source is model, not bundled" in done.words

    told = cli("policy", "explain", "orders.refund", "--json").json
    assert (told["artifact"], told["action"], told["rule"]) == ("orders.refund@1", "allow", "bundled")
    assert told["risk"] == "critical"
    assert [tried["rule"] for tried in told["tried"]] == [
        "unknown-grant",
        "pure",
        "model-asks",
        "model-reaches-out",
        "granted-read",
        "bundled",
    ]
    assert told["subject"]["budget"]["steps"] > 0
    assert json.dumps(told["subject"]["grants"]).count("store.delete") == 0

    assert cli("policy", "explain", "no.such").code == 3
