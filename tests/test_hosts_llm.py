"""`llm.complete` against a scripted model server over real HTTP: answers, budgets that outlive a crash, refusals."""

import json
import socket
from contextlib import closing

import pytest
from host_calls import Caller

from ritesmith import model_server
from ritesmith.app import RiteSmith
from ritesmith.errors import InvalidInput
from ritesmith.hosts import CATALOG, llm
from ritesmith.hosts.base import DECLARED
from ritesmith.settings import LlmSettings, Settings, load_settings
from ritesmith.testing import Blown, ScriptedAuthor, ScriptedReply

KEY = "sk-a-key-that-nobody-may-see"
SCHEMA = {
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": {"enum": ["praise", "complaint"]}},
    "additionalProperties": False,
}
PRAISE = '{"kind": "praise"}'


def caller(author, *, run="r1", secrets=None, **more):
    given = {"base_url": author if isinstance(author, str) else author.base_url, "model": "tiny", "seconds": 20}
    return Caller(Settings(llm=LlmSettings(**given | more)), run=run, secrets=secrets)


def spending(call):
    return [tuple(row) for row in call.connection.execute("SELECT run, tokens, settled FROM spending ORDER BY id")]


# ---------------------------------------------------------------- what works


def test_an_answer_comes_with_what_it_took():
    with ScriptedAuthor(["Four."]) as author, caller(author, price_in=2.0, price_out=10.0) as call:
        got = call("llm.complete", prompt="2 + 2?", system="Be short.", max_tokens=50)
        assert got == {
            "text": "Four.",
            "value": None,
            "model": "scripted",
            "finish_reason": "stop",
            "tokens_in": 100,
            "tokens_out": 20,
            "cost": pytest.approx((100 * 2 + 20 * 10) / 1_000_000),
        }
        assert spending(call) == [("r1", 120, 1)]
    [sent] = author.requests
    assert sent["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "2 + 2?"},
    ]
    assert (sent["model"], sent["max_tokens"]) == ("tiny", 50)


@pytest.mark.parametrize(
    "text", [PRAISE, f"```json\n{PRAISE}\n```", f"\n  {PRAISE}\n"], ids=["plain", "fenced", "spaces"]
)
def test_with_a_schema_the_answer_is_its_value(text):
    with ScriptedAuthor([text]) as author, caller(author) as call:
        got = call("llm.complete", prompt="Well done!", schema=SCHEMA)
        assert (got["value"], got["text"], got["cost"]) == ({"kind": "praise"}, text, None)
    [sent] = author.requests
    assert json.dumps(SCHEMA) in sent["messages"][0]["content"]


def test_the_key_is_sent_to_the_server_and_told_to_nobody(tmp_path):
    with ScriptedAuthor([f"Your key is {KEY}.", "x"]) as author:
        with caller(author, key="MODEL", secrets={"MODEL": KEY}) as call:
            got = call("llm.complete", prompt="What is my key?")
            assert got["text"] == "Your key is [secret MODEL]."
            call("llm.complete", prompt=f"Is it {KEY}?")
        assert [each["authorization"] for each in author.headers] == [f"Bearer {KEY}"] * 2
        assert author.requests[1]["messages"][0]["content"] == "Is it [secret MODEL]?", "nor to the model"
        with caller(author, key="MODEL") as call:
            assert call.fails("llm.complete", prompt="x").code == "no_secret"


# ---------------------------------------------------------------- wrong type, oversized


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"prompt": ""},
        {"prompt": 1},
        {"prompt": ["x"]},
        {"prompt": "x" * 200_001},
        {"prompt": "x", "system": 1},
        {"prompt": "x", "schema": "object"},
        {"prompt": "x", "max_tokens": 0},
        {"prompt": "x", "max_tokens": 1.5},
        {"prompt": "x", "max_tokens": 16_385},
        {"prompt": "x", "model": "huge"},
        {"prompt": "x", "temperature": 2},
    ],
    ids=lambda args: repr(args)[:60],
)
def test_arguments_of_another_shape_are_refused_and_cost_nothing(args):
    with caller("http://127.0.0.1:1/v1") as call:
        assert call.fails("llm.complete", **args).code == "bad_argument"
        assert spending(call) == []


def test_a_schema_that_is_none_is_refused_before_anything_is_spent():
    with caller("http://127.0.0.1:1/v1") as call:
        error = call.fails("llm.complete", prompt="x", schema={"type": "objekt"})
        assert error.code == "bad_schema"
        assert "objekt" in error.message
        assert spending(call) == []


def test_an_answer_that_no_script_could_take_is_too_large():
    with ScriptedAuthor([ScriptedReply(text="x" * 1_100_000, whole=True)]) as author, caller(author) as call:
        assert call.fails("llm.complete", prompt="x").code == "too_large"
        assert spending(call) == [("r1", 120, 1)], "paid for all the same"


# ---------------------------------------------------------------- the budget


def test_a_call_that_the_budget_might_not_cover_is_not_made():
    with ScriptedAuthor(["one", "two"]) as author, caller(author, tokens_per_run=300) as call:
        call("llm.complete", prompt="x", max_tokens=100)
        call("llm.complete", prompt="x", max_tokens=100)
        error = call.fails("llm.complete", prompt="x", max_tokens=100)
        assert (error.code, error.retryable) == ("budget_spent", False)
        assert error.message == "run 'r1' has spent 240 of 300 tokens, and this call may need 117"
        assert error.details == {"spent": 240, "needed": 117, "most": 300}
        assert len(author.requests) == 2
        assert call.fails("llm.complete", prompt="ä" * 150, max_tokens=1).code == "budget_spent", "two bytes each"


def test_a_cost_is_reserved_too():
    prices = {"cost_per_run": 0.01, "price_in": 10.0, "price_out": 100.0}
    with ScriptedAuthor(["one"]) as author, caller(author, **prices) as call:
        call("llm.complete", prompt="x", max_tokens=50)  # 0.003, of at most 0.00517
        error = call.fails("llm.complete", prompt="x", max_tokens=100)
        assert error.code == "budget_spent"
        assert "has spent 0.003 of 0.01, and this call may cost 0.01017" in error.message


def test_each_run_has_its_own_budget_but_those_that_it_calls_share_it():
    with ScriptedAuthor(["one", "two", "three"]) as author, caller(author, tokens_per_run=250, run="child") as call:
        for run, parent in (("root", None), ("middle", "root"), ("child", "middle"), ("other", None)):
            call.connection.execute(
                "INSERT INTO runs (id, workflow, digest, status, fence, parent) VALUES (?, 'w', 'd', 'running', 0, ?)",
                (run, parent),
            )
        args = {"prompt": "x", "max_tokens": 100}
        assert call.reply("llm.complete", args).error is None
        assert call.reply("llm.complete", args, run="root").error is None
        assert call.reply("llm.complete", args, run="middle").error.code == "budget_spent"
        assert call.reply("llm.complete", args, run="other").error is None
        assert spending(call) == [("root", 120, 1), ("root", 120, 1), ("other", 120, 1)]


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (None, 117),
        ({}, 117),
        ({"prompt_tokens": -5, "completion_tokens": -5}, 117),
        ({"prompt_tokens": "many", "completion_tokens": 1.5}, 117),
        ({"prompt_tokens": 0, "completion_tokens": 0}, 0),
        ({"prompt_tokens": 10**30, "completion_tokens": 5}, 117),
    ],
    ids=repr,
)
def test_what_a_server_says_it_took_is_counted_as_far_as_it_makes_sense(usage, counted):
    with ScriptedAuthor([ScriptedReply(text="x", usage=usage)]) as author, caller(author) as call:
        call("llm.complete", prompt="x", max_tokens=100)
        assert spending(call) == [("r1", counted, 1)]


# ---------------------------------------------------------------- unavailable, slow, lying


@pytest.mark.parametrize(
    ("reply", "code", "retryable", "counted"),
    [
        (ScriptedReply(status=401), "refused", False, 0),
        (ScriptedReply(status=403), "refused", False, 0),
        (ScriptedReply(status=404), "refused", False, 0),
        (ScriptedReply(status=413), "refused", False, 0),
        (ScriptedReply(status=429), "rate_limited", True, 0),
        (ScriptedReply(status=500), "unavailable", True, 0),
        (ScriptedReply(status=503), "unavailable", True, 0),
        (ScriptedReply(text="half of it", cut=True), "unavailable", True, 117),
        (ScriptedReply(text="x", finish_reason=None), "unavailable", True, 117),
        (ScriptedReply(body="no json"), "bad_answer", True, 117),
        (ScriptedReply(body="[]"), "bad_answer", True, 117),
        (ScriptedReply(body="<html>", content_type="text/html"), "bad_answer", True, 117),
        (ScriptedReply(choices=False), "bad_answer", True, 117),
    ],
    ids=repr,
)
def test_what_goes_wrong_is_told_apart_and_counted(reply, code, retryable, counted):
    with ScriptedAuthor([reply]) as author, caller(author, key="MODEL", secrets={"MODEL": KEY}) as call:
        error = call.fails("llm.complete", prompt="x", max_tokens=100)
        assert (error.code, error.retryable) == (code, retryable)
        assert [row[1] for row in spending(call)] == [counted]
        assert len(author.requests) == 1, "a question is asked once"


def test_a_server_that_asks_for_a_pause_is_given_it():
    with ScriptedAuthor([ScriptedReply(status=429, headers={"retry-after": "7"})]) as author, caller(author) as call:
        error = call.fails("llm.complete", prompt="x")
        assert (error.code, error.retry_after_seconds) == ("rate_limited", 7.0)
    with ScriptedAuthor([ScriptedReply(status=503, headers={"retry-after": "9e99"})]) as author, caller(author) as call:
        assert call.fails("llm.complete", prompt="x").retry_after_seconds is None


@pytest.mark.parametrize(
    "reply",
    [
        ScriptedReply(stall="before"),
        ScriptedReply(text="half of it", stall="within"),
        ScriptedReply(drip="headers"),
        ScriptedReply(drip="comments"),
        ScriptedReply(drip="whole"),
    ],
    ids=["silent", "stuck", "dripping headers", "dripping comments", "dripping"],
)
def test_a_slow_server_is_left_in_time_and_what_it_may_have_cost_stays_reserved(reply):
    with ScriptedAuthor([reply]) as author, caller(author, seconds=0.3) as call:
        error = call.fails("llm.complete", prompt="x", max_tokens=100)
        assert (error.code, error.retryable) == ("time_out", True)
        assert spending(call) == [("r1", 117, 0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I would say it is praise.", "is not JSON"),
        ("", "is not JSON"),
        ('{"kind": NaN}', "is not JSON"),
        ('{"kind": "\\ud800"}', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[" * 64 + "]" * 64, "more than 60 levels"),
        ('{"kind": 1e999}', "is not JSON"),
        ('{"kind": 1' + "0" * 400 + "}", "a number that is too large"),
        ('{"kind": "praise", "kind": "praise"}', "stands twice"),
        ('{"kind": "spam"}', "does not fit its schema at $.kind"),
        ('{"kind": "praise", "more": 1}', "does not fit its schema"),
        (f"Here it is: ```json\n{PRAISE}\n```", "is not JSON"),
    ],
    ids=lambda text: text[:30],
)
def test_an_answer_that_is_not_what_was_asked_for_may_be_tried_again(text, words):
    with ScriptedAuthor([text]) as author, caller(author) as call:
        error = call.fails("llm.complete", prompt="Well done!", schema=SCHEMA)
        assert (error.code, error.retryable) == ("bad_answer", True)
        assert words in error.message
        assert len(error.message) < 500
        assert spending(call) == [("r1", 120, 1)]


def test_half_an_answer_is_none_for_a_schema_and_told_otherwise():
    half = ScriptedReply(text=PRAISE, finish_reason="length")
    with ScriptedAuthor([half, half]) as author, caller(author) as call:
        assert "cut short" in call.fails("llm.complete", prompt="x", schema=SCHEMA).message
        assert call("llm.complete", prompt="x")["finish_reason"] == "length"


def test_nobody_there_costs_nothing():
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with caller(f"http://127.0.0.1:{port}/v1") as call:
        error = call.fails("llm.complete", prompt="x")
        assert (error.code, error.retryable) == ("unavailable", True)
        assert [row[1] for row in spending(call)] == [0]
    with Caller() as call:
        error = call.fails("llm.complete", prompt="x")
        assert error.code == "not_configured"
        assert "[llm]" in error.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('model = "m"\nbase_url = "localhost:8080"\n', "a model server is an http or https URL"),
        ('model = "m"\nbase_url = "http://ann:hunter2@localhost"\n', "a password does not stand in the settings"),
        ('model = "m"\ncost_per_run = 1.0\nprice_in = 2.0\n', "both 'price_in' and 'price_out'"),
        ('base_url = "http://localhost:8080/v1"\n', "the field 'model' is missing"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path, text, words):
    (tmp_path / "ritesmith.toml").write_text(f"[llm]\n{text}")
    with pytest.raises(InvalidInput) as caught:
        load_settings(tmp_path)
    assert words in caught.value.message
    assert "hunter2" not in str(caught.value)


# ---------------------------------------------------------------- in a run

CAPABILITY = (
    '--[[ capability\n{"name": "mail.kind", "intent": "say whether a message is praise or a complaint",\n'
    ' "input": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}},'
    ' "additionalProperties": false},\n'
    ' "output": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}},\n'
    ' "grants": {"llm.complete": {}},\n "examples": [\n'
    '  {"input": {"text": "Great!"}, "output": {"kind": "praise"}, "hosts": [{"call": "llm.complete", "result":'
    ' {"text": "", "value": {"kind": "praise"}, "model": "m", "finish_reason": "stop", "tokens_in": 1,'
    ' "tokens_out": 1, "cost": null}}]},\n'
    '  {"input": {"text": "Bad!"}, "error": "unavailable",'
    ' "hosts": [{"call": "llm.complete", "error": {"code": "unavailable", "message": "no"}}]}]}\n]]\n'
    "local SCHEMA = json.decode([[" + json.dumps(SCHEMA) + "]])\n"
    "function run(input, context)\n"
    "  local reply = llm.complete{prompt = input.text, schema = SCHEMA, max_tokens = 100}\n"
    '  local value = reply.value\n  if type(value) ~= "table" or not value.kind then fail("odd", "no kind") end\n'
    "  return {kind = tostring(value.kind)}\nend\n"
)


@pytest.fixture
def project(place):
    """A folder with a scripted model server in its settings, and a capability that asks it."""
    with ScriptedAuthor([]) as author:
        (place / "ritesmith.toml").write_text(
            f'[llm]\nbase_url = "{author.base_url}"\nmodel = "tiny"\nkey = "MODEL"\ntokens_per_run = 2000\n'
        )
        (place / "kind.lua").write_text(CAPABILITY)
        (place / "secrets.toml").write_text(f'MODEL = "{KEY}"\n')
        (place / "secrets.toml").chmod(0o600)
        yield place, author


def opened(folder):
    return RiteSmith.open(str(folder / "registry.db"), environment={})


def test_a_run_asks_once_and_a_replay_never(project):
    folder, author = project
    author.add(PRAISE)
    with opened(folder) as app:
        artifact = app.publish_file(folder / "kind.lua").artifact.ref
        run = app.run(artifact, {"text": f"Well done! My key is {KEY}"})
        assert (run.status, run.output) == ("succeeded", {"kind": "praise"})
        assert app.replay(run.run).differences == ()
        assert llm.spent_by(app.connection, run.run).tokens == sum((100, 20))
    assert len(author.requests) == 1
    assert KEY not in json.dumps(author.requests)


@pytest.mark.parametrize("where", ["before the answer is counted", "before it is journalled"])
def test_a_process_that_dies_is_paid_for_and_the_next_one_asks_again(project, monkeypatch, where):
    folder, author = project
    author.add(PRAISE, PRAISE)
    with opened(folder) as app:
        artifact = app.publish_file(folder / "kind.lua").artifact.ref
        with monkeypatch.context() as patched:
            if where == "before the answer is counted":
                real = model_server.ask
                patched.setattr(model_server, "ask", lambda *args: dying(real, *args))
            else:
                declared = llm.complete
                patched.setitem(
                    DECLARED._made,
                    "llm.complete",
                    (CATALOG["llm.complete"], lambda *args: dying(declared, *args)),
                )
            with pytest.raises(Blown):
                app.run(artifact, {"text": "Well done!"})
    with opened(folder) as app:
        [row] = app.runs()
        run = app.drive(row["id"])
        assert (run.status, run.output) == ("succeeded", {"kind": "praise"})
        rows = [tuple(each) for each in app.connection.execute("SELECT tokens, settled FROM spending ORDER BY id")]
    assert len(author.requests) == 2
    assert rows[1] == (120, 1)
    assert rows[0] == (120, 1) if where == "before it is journalled" else (rows[0][0] > 120 and rows[0][1] == 0)


def dying(function, *args):
    function(*args)
    raise Blown("the process died here")


def test_no_file_of_a_project_holds_the_key_but_the_one_that_a_person_wrote(project, capsys):
    folder, author = project
    author.add(
        f'{{"kind": "praise", "key": "{KEY}"}}', ScriptedReply(status=401, text=f"the key {KEY} is wrong"), PRAISE
    )
    with opened(folder) as app:
        artifact = app.publish_file(folder / "kind.lua").artifact.ref
        ended = [app.run(artifact, {"text": "Well done!"}) for _ in range(3)]
        traces = [app.view(run.run).model_dump_json() for run in ended]
    assert [run.status for run in ended] == ["failed", "failed", "succeeded"]
    assert not any(KEY in each for each in traces)
    captured = capsys.readouterr()
    assert KEY not in captured.out + captured.err
    holders = [each.name for each in folder.rglob("*") if each.is_file() and KEY.encode() in each.read_bytes()]
    assert holders == ["secrets.toml"]
