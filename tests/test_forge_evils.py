"""A model server with the usual evils, over real HTTP: for each the outcome, the rounds, the spend, and what is there.

No pause is waited out: those that the SDK would make are written down instead.
"""

import time
from typing import NamedTuple

import pytest
from conftest import BOOKS, fingerprint
from scripted_forge import EXAMPLES, GOOD, INTENT, flow, lua

from ritesmith.testing import ScriptedReply

FAILING = ScriptedReply(status=500, text="out of order")
OTHER = {"name": "text.other", "intent": "something else"}
OLD = """  local letters = {}
  for word in string.gfind(input.name, "%a+") do table.insert(letters, string.sub(word, 1, 1)) end
  setfenv(1, {})
  return {initials = table.concat(letters), n = table.getn(letters), all = unpack(letters)}"""
GRANT = {"grants": {"store.put": {"namespaces": ["notes"]}}}
PUT = '  store.put{namespace = "notes", key = "k", value = {name = input.name}}\n'
KNOWN = """  local known = {["Ada Lovelace"] = "AL", ["Bo Li"] = "BL"}
  return {initials = known[input.name] or "?"}"""


class Evil(NamedTuple):
    """A script of the server, and what must come of it."""

    replies: list
    made: str = ""
    """The artifact; empty: nothing, and exit code 6."""
    status: str = "active"
    rounds: int = 0
    outcomes: tuple = ("answered",)
    """Of the calls, as the books have them."""
    requests: int = 1
    """Over all calls."""
    tokens: int | None = 120
    codes: tuple = ()
    """Of the findings, in all drafts."""
    pauses: tuple = ()
    settings: str = ""
    said: str = ""
    """In the message of the error, or the reason of the report."""


MADE = "text.initials@1"
TWICE = {"rounds": 1, "outcomes": ("answered", "answered"), "requests": 2, "tokens": 240}
SOON = "[forge]\nsilence_seconds = 0.2\nretries = 0\n"
EVILS = {
    "429 with Retry-After": Evil(
        [ScriptedReply(status=429, headers={"Retry-After": "7"}, text="slow down"), lua()],
        made=MADE,
        requests=2,
        pauses=(7.0,),
    ),
    "429 for a day": Evil(
        [ScriptedReply(status=429, headers={"Retry-After": "86400"}, text="slow down")],
        outcomes=("rate_limited",),
        tokens=0,
        said="slow down",
    ),
    "500 once": Evil(
        [FAILING.model_copy(update={"headers": {"Retry-After": "1"}}), lua()], MADE, requests=2, pauses=(1.0,)
    ),
    "500 always": Evil(
        [FAILING.model_copy(update={"headers": {"Retry-After": "1"}})] * 3,
        outcomes=("server_error",),
        requests=3,
        tokens=None,
        pauses=(1.0, 1.0),
        said="out of order",
    ),
    "a wrong key": Evil([ScriptedReply(status=401, text="who are you")], outcomes=("wrong_key",), tokens=0),
    "a stall before the answer": Evil(
        [ScriptedReply(text=lua(), stall="before")], outcomes=("time_out",), tokens=None, settings=SOON
    ),
    "a stall within the answer": Evil(
        [ScriptedReply(text=lua(), stall="within")], outcomes=("time_out",), tokens=None, settings=SOON
    ),
    "a cut stream": Evil([ScriptedReply(text=lua(), cut=True)], outcomes=("stream_cut",), tokens=None),
    "a stream without an end": Evil(
        [ScriptedReply(text=lua(), finish_reason=None)], outcomes=("stream_cut",), tokens=None
    ),
    "rubbish": Evil([ScriptedReply(body="\x00\x01 not json")], outcomes=("malformed_answer",), tokens=None),
    "nothing": Evil([ScriptedReply(text="", choices=False)], outcomes=("empty_answer",), tokens=None),
    "prose only": Evil(
        ["I am sorry, I can't do that."] * 2, codes=("no_draft", "no_draft"), said="same errors twice", **TWICE
    ),
    "prose, then a draft": Evil(["Surely! Shall I begin?", lua()], MADE, codes=("no_draft",), **TWICE),
    "two drafts": Evil(
        [lua() + lua(GOOD.replace("upper", "lower")), lua()], MADE, codes=("two_capabilities",), **TWICE
    ),
    "two workflows": Evil([flow() + flow(name="text.second"), lua()], MADE, codes=("two_workflows",), **TWICE),
    "a wrong fence": Evil([lua().replace("```lua", "~~~python").replace("```", "~~~")], MADE),
    "prose around it": Evil([f"Here you are:\n\n{lua()}\nI hope that it helps."], MADE),
    "truncated": Evil(
        [ScriptedReply(text=lua()[:200], finish_reason="length"), lua()],
        MADE,
        codes=("truncated_answer", "truncated_answer"),
        **TWICE,
    ),
    "truncated always": Evil(
        [ScriptedReply(text=lua()[:200], finish_reason="length")] * 2,
        codes=("truncated_answer",) * 4,
        said="same errors twice",
        **TWICE,
    ),
    "markdown in JSON": Evil(
        [lua() + flow().replace('"name": "text.initials_slug"', '"name": **text.initials_slug**'), lua()],
        MADE,
        codes=("workflow_not_json",),
        **TWICE,
    ),
    "Lua 5.1": Evil([lua(OLD), lua()], MADE, codes=("unknown_field", "unknown_global"), **TWICE),
    "an extra grant": Evil([lua(**GRANT), lua()], MADE, codes=("grant_unused",), **TWICE),
    "an extra grant again": Evil([lua(**GRANT)] * 2, codes=("grant_unused",), said="same errors twice", **TWICE),
    "an extra grant that is used": Evil([lua(PUT + GOOD, **GRANT)] * 2, codes=("example_not_met",), **TWICE),
    "an endless loop": Evil([lua("  while true do end")] * 2, codes=("endless_loop",), **TWICE),
    "an endless loop that is not seen": Evil(
        [lua("  local n = 0\n  while n < 1 do n = n * 2 end\n" + GOOD), lua()],
        MADE,
        codes=("example_not_met",),
        **TWICE,
    ),
    "nondeterminism": Evil(
        [lua("  return {initials = tostring(os.time())}"), lua("  return {initials = tostring(math.random())}"), lua()],
        MADE,
        rounds=2,
        outcomes=("answered",) * 3,
        requests=3,
        tokens=360,
        codes=("forbidden_global", "example_not_met"),
    ),
    "its own examples pass, the caller's fail": Evil(
        [lua(KNOWN)] * 2, codes=("example_not_met",), said="same errors twice", **TWICE
    ),
    "those that it saw pass, the one held back fails": Evil(
        [lua(KNOWN.replace("{[", '{["Grace Brewster Hopper"] = "GBH", [', 1))],
        codes=("held_back_example_not_met",),
        said="which the model had not seen",
    ),
    "its own example is wrong, the caller's pass": Evil(
        [lua(examples=[EXAMPLES[0], {"input": {"name": "Bo Li"}, "output": {"initials": "XX"}}])],
        MADE,
        codes=(),
    ),
}


@pytest.fixture
def pauses(monkeypatch):
    """What the SDK would have waited, in seconds; it does not."""
    import openai._base_client

    waited = []

    class Time:
        time = time.time
        sleep = waited.append

    monkeypatch.setattr(openai._base_client, "time", Time)
    return waited


@pytest.mark.parametrize("evil", EVILS.values(), ids=EVILS.keys())
def test_what_comes_of_an_evil(forge, place, pauses, evil):
    (place / "ritesmith.toml").write_text(evil.settings)
    before = fingerprint(forge.db, without=BOOKS)
    done = forge(INTENT, replies=evil.replies, examples=EXAMPLES)
    assert done.code == (0 if evil.made else 6), done.out
    report = done.json if evil.made else done.json["error"]["report"]
    assert forge.author.left == 0
    assert report["artifact"] == (evil.made or None)
    assert report["rounds"] == evil.rounds
    assert report["tokens"] == evil.tokens
    assert set(report["findings_by_code"]) >= set(evil.codes)
    calls = report["model_calls"]
    assert [each["outcome"] for each in calls] == list(evil.outcomes)
    assert sum(each["requests"] for each in calls) == evil.requests == len(forge.author.requests)
    assert pauses == list(evil.pauses)
    assert evil.said in (report["reason"] if evil.made else done.json["error"]["message"])
    if evil.made:
        assert report["status"] == evil.status
        assert report["published"] == [evil.made]
    else:
        assert fingerprint(forge.db, without=BOOKS) == before
    rows = forge.rows("SELECT * FROM model_calls ORDER BY id")
    assert [{key: row[key] for key in calls[0]} for row in rows] == calls
