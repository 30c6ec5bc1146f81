"""The call to a model, over real HTTP with the real SDK, and the reading of what it answers."""

from __future__ import annotations

import json
import random
import re
import socket

import pytest

from ritesmith.errors import InvalidInput, ModelUnavailable
from ritesmith.forge.blocks import Draft, lua_complete, merge_draft, parse_draft
from ritesmith.model_server import ANSWER_BYTES_MAX, ModelSettings, ask, settings_from_env
from ritesmith.testing import ScriptedAuthor, ScriptedReply

MESSAGES = [{"role": "system", "content": "rules"}, {"role": "user", "content": "add two numbers"}]
SOON = {"retry-after-ms": "1"}


def lua(name: str, body: str = "return {}") -> str:
    header = {
        "name": name,
        "intent": "do a thing",
        "input": {"type": "object"},
        "output": {"type": "object"},
        "examples": [{"input": {}, "output": {}}],
    }
    return f"--[[ capability\n{json.dumps(header)}\n]]\nfunction run(input, context)\n  {body}\nend\n"


WORKFLOW = {
    "name": "a.flow",
    "intent": "do things",
    "start": "one",
    "nodes": [{"id": "one", "kind": "task", "capability": "a.b", "next": None}],
}
FLOW = json.dumps(WORKFLOW, indent=1)


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def settings(author: ScriptedAuthor, **changes: object) -> ModelSettings:
    return ModelSettings.model_validate(
        {"base_url": author.base_url, "api_key": "sk-secret", "model": "small"} | changes
    )


def ask_and_fail(chosen: ModelSettings) -> ModelUnavailable:
    with pytest.raises(ModelUnavailable) as caught:
        ask(chosen, MESSAGES)
    return caught.value


def failure(author: ScriptedAuthor, **changes: object) -> ModelUnavailable:
    error = ask_and_fail(settings(author, **changes))
    assert "sk-secret" not in json.dumps(error.as_dict())
    return error


# ---------------------------------------------------------------- settings


def test_no_key_and_no_server_is_no_settings() -> None:
    assert settings_from_env({"RITESMITH_LLM_MODEL": "small"}) is None


@pytest.mark.parametrize(
    ("environ", "base_url", "has_key", "model"),
    [
        ({"OPENAI_API_KEY": "sk-1"}, None, True, "gpt-5-mini"),
        ({"OPENAI_BASE_URL": "http://a/v1"}, "http://a/v1", False, "gpt-5-mini"),
        (
            {"RITESMITH_LLM_BASE_URL": "http://b/v1", "OPENAI_BASE_URL": "http://a/v1", "RITESMITH_LLM_MODEL": "m"},
            "http://b/v1",
            False,
            "m",
        ),
    ],
    ids=["key only", "server only", "ours before the SDK's"],
)
def test_settings_come_from_the_environment(
    environ: dict[str, str], base_url: str | None, has_key: bool, model: str
) -> None:
    found = settings_from_env(environ)
    assert found is not None
    assert (found.base_url, found.api_key is not None, found.model) == (base_url, has_key, model)


def test_the_key_is_never_shown() -> None:
    found = settings_from_env({"OPENAI_API_KEY": "sk-very-secret"})
    assert "very-secret" not in repr(found) + str(found) + (found.model_dump_json() if found else "")


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://a/v1", "http://", "http://[half", "http://a:99999"])
def test_a_server_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="model server"):
        settings_from_env({"RITESMITH_LLM_BASE_URL": url})


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it() -> None:
    with pytest.raises(InvalidInput) as caught:
        settings_from_env({"OPENAI_API_KEY": "sk-\nsecret"})
    assert "secret" not in caught.value.message


# ---------------------------------------------------------------- the call


def test_an_answer_comes_whole_with_its_counts_and_piece_by_piece_to_the_viewer() -> None:
    text = "```lua\n" + lua("a.b") + "```\n"
    usage = {"prompt_tokens": 900, "completion_tokens": 70, "prompt_tokens_details": {"cached_tokens": 800}}
    seen: list[str] = []
    with ScriptedAuthor([ScriptedReply(text=text, usage=usage, model="small-2026")]) as author:
        reply = ask(settings(author), MESSAGES, on_text=seen.append)
    assert reply.text == text == "".join(seen)
    assert len(seen) > 1
    assert (reply.tokens_in, reply.tokens_cached, reply.tokens_out, reply.cost) == (900, 800, 70, None)
    assert (reply.finish_reason, reply.truncated, reply.model, reply.without) == ("stop", False, "small-2026", ())
    sent = author.requests[0]
    assert (sent["model"], sent["messages"], sent["stream"]) == ("small", MESSAGES, True)
    assert sent["stream_options"] == {"include_usage": True}
    assert author.headers[0]["authorization"] == "Bearer sk-secret"


def test_a_server_without_usage_gives_unknown_counts_not_guesses() -> None:
    with ScriptedAuthor([ScriptedReply(text="hi", usage=None)]) as author:
        reply = ask(settings(author), MESSAGES)
    assert (reply.tokens_in, reply.tokens_cached, reply.tokens_out) == (None, None, None)


def test_a_whole_answer_to_a_stream_request_is_taken() -> None:
    with ScriptedAuthor([ScriptedReply(text="hi", whole=True)]) as author:
        reply = ask(settings(author), MESSAGES)
    assert (reply.text, reply.tokens_out) == ("hi", 20)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
def test_half_a_surrogate_pair_becomes_the_replacement_character(whole: bool) -> None:
    torn = ScriptedReply.model_construct(
        text="a\ud800b\udc00 🙂", model="m\udfff", whole=whole, finish_reason="stop\ud800"
    )
    seen: list[str] = []
    with ScriptedAuthor([torn]) as author:
        reply = ask(settings(author), MESSAGES, on_text=seen.append)
    assert reply.text == "a�b� 🙂" == "".join(seen)
    assert (reply.model, reply.finish_reason) == ("m�", "stop�")
    assert "a�b� 🙂" in reply.model_dump_json()


def test_half_a_surrogate_pair_in_a_refusal_becomes_the_replacement_character() -> None:
    refusal = ScriptedReply(status=401, body='{"error": {"message": "bad \\ud800 key"}}')
    with ScriptedAuthor([refusal]) as author:
        error = failure(author)
    assert "bad � key" in error.message
    assert error.message.encode()


def test_an_answer_that_met_the_token_limit_is_marked() -> None:
    with ScriptedAuthor([ScriptedReply(text="```lua\n--[[ cap", finish_reason="length")]) as author:
        assert ask(settings(author), MESSAGES).truncated


@pytest.mark.parametrize(
    ("option", "instead"),
    [("stream_options", "stream"), ("max_tokens", "max_completion_tokens"), ("stream", "max_tokens")],
)
def test_a_refused_option_is_left_out_and_remembered(option: str, instead: str) -> None:
    with ScriptedAuthor([ScriptedReply(text="hi", refuse=option), "again"]) as author:
        reply = ask(settings(author), MESSAGES)
        ask(settings(author), MESSAGES, without=reply.without)
    assert reply.text == "hi"
    assert reply.without == (option,)
    assert len(author.requests) == 3
    assert author.requests[0].get(option)
    assert all(not sent.get(option) and instead in sent for sent in author.requests[1:])


def test_transient_errors_are_repeated_by_the_sdk() -> None:
    limited = ScriptedReply(status=429, headers={"Retry-After": "0"} | SOON, text="slow down")
    with ScriptedAuthor([limited, ScriptedReply(status=500, headers=SOON), "hi"]) as author:
        assert ask(settings(author), MESSAGES).text == "hi"
    assert len(author.requests) == 3


@pytest.mark.parametrize(
    ("reply", "reason", "retryable", "status", "requests"),
    [
        (ScriptedReply(status=500, headers=SOON), "server_error", True, 500, 3),
        (ScriptedReply(status=429, headers=SOON), "rate_limited", True, 429, 3),
        (ScriptedReply(status=401, text="Incorrect API key: sk-secret"), "wrong_key", False, 401, 1),
        (ScriptedReply(status=403), "forbidden", False, 403, 1),
        (ScriptedReply(status=404, text="no model 'small'"), "model_not_found", False, 404, 1),
        (ScriptedReply(status=413, text="too long"), "refused", False, 413, 1),
        (ScriptedReply(status=500, headers=SOON, body="<html>oh"), "server_error", True, 500, 3),
        (ScriptedReply(body="<html>hello</html>", content_type="text/html"), "malformed_answer", True, None, 1),
        (ScriptedReply(body="not json"), "malformed_answer", True, None, 1),
        (ScriptedReply(body="[" * 100_000), "malformed_answer", True, None, 1),
        (ScriptedReply(body='"text"'), "malformed_answer", True, None, 1),
        (ScriptedReply(body="null"), "malformed_answer", True, None, 1),
        (ScriptedReply(body='{"choices": "none"}'), "empty_answer", True, None, 1),
        (ScriptedReply(body='{"choices": [7, {"delta": 3}]}'), "stream_cut", True, None, 1),
        (
            ScriptedReply(body="data: {rubbish\n\n", content_type="text/event-stream"),
            "malformed_answer",
            True,
            None,
            1,
        ),
        (
            ScriptedReply(body='data: {"error": {"message": "out of memory"}}\n\n', content_type="text/event-stream"),
            "server_error",
            True,
            None,
            1,
        ),
        (
            ScriptedReply(body='data: {"choices": [{"delta": "x"}]}\n\n', content_type="text/event-stream"),
            "stream_cut",
            True,
            None,
            1,
        ),
        (ScriptedReply(body="", content_type="text/event-stream"), "empty_answer", True, None, 1),
        (ScriptedReply(text="hi", choices=False), "empty_answer", True, None, 1),
        (ScriptedReply(text="hi", choices=False, whole=True), "empty_answer", True, None, 1),
        (ScriptedReply(text="half of it" * 9, finish_reason=None), "stream_cut", True, None, 1),
        (ScriptedReply(text="half of it" * 9, cut=True), "stream_cut", True, None, 1),
    ],
    ids=lambda value: None if not isinstance(value, ScriptedReply) else (value.body or value.text or "reply")[:20],
)
def test_every_failure_becomes_one_error_that_says_what_and_whether_to_try_again(
    reply: ScriptedReply, reason: str, retryable: bool, status: int | None, requests: int
) -> None:
    with ScriptedAuthor([reply] * requests) as author:
        error = failure(author)
        assert author.left == 0
    assert (error.facts["reason"], error.facts["retryable"], error.facts["status"]) == (reason, retryable, status)
    assert error.hint
    assert error.facts["tried"]
    assert "'small'" in error.message


@pytest.mark.parametrize("key", ["1", "o", "local"])
def test_a_placeholder_for_a_key_does_not_garble_the_message(key: str) -> None:
    with ScriptedAuthor([ScriptedReply(status=401, text="no local login 111")]) as author:
        error = ask_and_fail(settings(author, api_key=key))
    assert "no local login 111" in error.message


def test_an_unreachable_port_says_so() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with pytest.raises(ModelUnavailable) as caught:
            ask(ModelSettings(base_url=url, max_retries=0), MESSAGES)
    assert (caught.value.facts["reason"], caught.value.facts["retryable"]) == ("unreachable", True)
    assert url in caught.value.message


@pytest.mark.parametrize("where", ["before", "within"])
def test_a_stalled_server_is_given_up_after_the_timeout(where: str) -> None:
    with ScriptedAuthor([ScriptedReply(text="a long answer " * 9, stall=where)]) as author:
        error = failure(author, timeout_seconds=0.2, max_retries=0)
    assert (error.facts["reason"], error.facts["retryable"]) == ("time_out", True)


def test_an_answer_that_drips_for_too_long_is_given_up() -> None:
    ticks = iter(range(0, 10_000, 10))
    with ScriptedAuthor(["a long answer " * 200]) as author, pytest.raises(ModelUnavailable) as caught:
        ask(settings(author, answer_seconds=100), MESSAGES, clock=lambda: float(next(ticks)))
    assert caught.value.facts["reason"] == "time_out"


@pytest.mark.parametrize("drip", ["headers", "comments", "whole", "refusal"])
def test_a_server_that_drips_without_an_end_is_cut_off(drip: str) -> None:
    with ScriptedAuthor([ScriptedReply.model_validate({"drip": drip})] * 3) as author:
        error = failure(author, answer_seconds=0.2)
        assert author.left == 2
    assert (error.facts["reason"], error.facts["retryable"]) == ("time_out", True)
    assert "0.2 seconds" in error.message


def test_a_pause_longer_than_the_time_that_is_left_is_not_begun() -> None:
    busy = ScriptedReply(status=429, headers={"Retry-After": "60"}, text="slow down")
    with ScriptedAuthor([busy, busy, busy]) as author:
        error = failure(author, answer_seconds=30)
        assert author.left == 2
    assert (error.facts["reason"], error.facts["status"]) == ("rate_limited", 429)


@pytest.mark.parametrize(
    "reply",
    [
        ScriptedReply(body='{"x": "' + "x" * ANSWER_BYTES_MAX + '"}'),
        ScriptedReply(body="data: " + "x" * ANSWER_BYTES_MAX, content_type="text/event-stream"),
        ScriptedReply(body=": ping\n\n" * (ANSWER_BYTES_MAX // 8 + 1), content_type="text/event-stream"),
        ScriptedReply(status=400, body="x" * (ANSWER_BYTES_MAX + 1)),
    ],
    ids=["whole", "one line", "comments", "refusal"],
)
def test_an_answer_longer_than_any_is_not_read_to_its_end(reply: ScriptedReply) -> None:
    with ScriptedAuthor([reply]) as author:
        error = failure(author)
    assert (error.facts["reason"], error.facts["retryable"]) == ("too_long", True)


def test_a_refusal_that_breaks_off_is_an_error_of_ours() -> None:
    with ScriptedAuthor([ScriptedReply(status=400, body="{", headers={"Content-Length": "9"}, cut=True)]) as author:
        error = failure(author)
    assert error.facts["reason"] == "stream_cut"


def test_a_request_that_is_refused_for_itself_is_not_repeated_for_ever() -> None:
    too_long = ScriptedReply(status=400, text="the context is 4096 tokens")
    with ScriptedAuthor([too_long, too_long]) as author:
        error = failure(author)
    assert error.facts["reason"] == "refused"
    assert "4096" in error.message


def test_credentials_in_the_server_url_are_not_shown() -> None:
    with pytest.raises(ModelUnavailable) as caught:
        ask(ModelSettings(base_url="http://me:pw@pw@127.0.0.1:1/v1?key=pw", max_retries=0), MESSAGES)
    assert "pw" not in json.dumps(caught.value.as_dict())
    with pytest.raises(InvalidInput) as refused:
        settings_from_env({"RITESMITH_LLM_BASE_URL": "ftp://me:pw@host/v1"})
    assert "pw" not in json.dumps(refused.value.as_dict())


@pytest.mark.parametrize("named", [True, False], ids=["by the environment", "by ritesmith.toml"])
def test_what_the_environment_says_of_one_server_is_sent_to_no_other(
    monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "hush-org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "hush-project")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "hush-admin")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gate: hush-gate")
    with ScriptedAuthor(["hi"]) as author:
        ask(settings(author, from_environment=named), MESSAGES)
    said = set(re.findall(r"hush-\w+", repr(author.headers)))
    assert said == ({"hush-org", "hush-project", "hush-gate"} if named else set())


# ---------------------------------------------------------------- the blocks


def codes(text: str, *, truncated: bool = False) -> list[str]:
    return [finding.code for finding in parse_draft(text, truncated=truncated)[1]]


GOOD = {
    "plain": f"```lua\n{lua('a.b')}```\n```json\n{FLOW}\n```\n",
    "other order and prose": f"Sure!\n\n```json\n{FLOW}\n```\nand now\n```lua\n{lua('a.b')}```\nDone.",
    "no labels": f"```\n{lua('a.b')}```\n```\n{FLOW}\n```",
    "wrong labels": f"```python\n{lua('a.b')}```\n```lua\n{FLOW}\n```",
    "capital labels, tildes": f"~~~Lua\n{lua('a.b')}~~~\n~~~JSON\n{FLOW}\n~~~",
    "last fence missing": f"```lua\n{lua('a.b')}```\n```json\n{FLOW}\n",
    "middle fence missing": f"```lua\n{lua('a.b')}\n```json\n{FLOW}\n```",
    "windows lines": f"```lua\n{lua('a.b')}```\n```json\n{FLOW}\n```\n".replace("\n", "\r\n"),
    "given twice alike": 2 * f"```lua\n{lua('a.b')}```\n```json\n{FLOW}\n```\n",
    "thinking aloud": f"<think>```lua\n{lua('a.x')}``` no</think>```lua\n{lua('a.b')}```\n```json\n{FLOW}\n```".replace(
        "</think>", "</think>\n"
    ),
    "no fence at all": f"{lua('a.b')}\n{FLOW}",
    "wrapped": f"```lua\n{lua('a.b')}```\n```json\n{json.dumps({'workflow': WORKFLOW})}\n```",
    "an example in prose": f'Try {{}}:\n```json\n{{"a": 1}}\n```\n```lua\n{lua("a.b")}```\n```json\n{FLOW}\n```',
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_blocks_are_found_however_they_stand(text: str) -> None:
    draft, findings = parse_draft(text)
    assert findings == []
    assert draft == Draft(capabilities=(lua("a.b"),), workflow=WORKFLOW)


def test_two_headers_in_one_block_are_two_capabilities() -> None:
    draft, findings = parse_draft(f"```lua\n{lua('a.b')}\n{lua('a.c')}```")
    assert (draft.capabilities, findings) == ((lua("a.b"), lua("a.c")), [])


def test_a_fence_inside_a_long_string_belongs_to_the_code() -> None:
    text = lua("a.b", "return {text = [[\n```\ncode\n```\n]]}")
    assert parse_draft(f"```lua\n{text}```")[0].capabilities == (text,)


def test_a_capability_without_a_fence_ends_at_its_last_end() -> None:
    draft, findings = parse_draft(f"Here it is:\n{lua('a.b')}\nHope this helps!")
    assert (draft.capabilities, findings) == ((lua("a.b"),), [])


def test_code_without_a_contract_is_a_draft_that_the_guard_will_judge() -> None:
    draft, findings = parse_draft("```lua\nfunction run(input) return {} end\n```")
    assert (draft.capabilities, findings) == (("function run(input) return {} end\n",), [])


BAD = {
    "nothing": ("", "no_draft"),
    "prose only": ("I can't do that, but you could try using jq.", "no_draft"),
    "only an example": ('```json\n{"input": 1}\n```', "no_draft"),
    "two workflows": (f"```json\n{FLOW}\n```\n```json\n{FLOW.replace('a.flow', 'b.flow')}\n```", "two_workflows"),
    "one name twice": (f"```lua\n{lua('a.b')}```\n```lua\n{lua('a.b', 'return 1')}```", "two_capabilities"),
    "trailing comma": (f"```json\n{FLOW[:-1]},}}\n```", "workflow_not_json"),
    "markdown in JSON": ('```json\n{"name": **a.flow**, "nodes": []}\n```', "workflow_not_json"),
    "a key twice": ('```json\n{"nodes": [], "nodes": [1]}\n```', "workflow_not_json"),
    "not a number": ('```json\n{"nodes": [NaN]}\n```', "workflow_not_json"),
    "deeper than any": ('```json\n{"nodes": ' + "[" * 100_000 + "\n```", "workflow_not_json"),
    "JSON breaks off": (f"```json\n{FLOW[:-20]}", "truncated_answer"),
    "JSON breaks off after a brace": (f"```json\n{FLOW[: FLOW.index('}') + 1]}", "truncated_answer"),
    "Lua breaks off": (f"```lua\n{lua('a.b')[:-6]}", "truncated_answer"),
    "Lua breaks off in its header": ('```lua\n--[[ capability\n{"name": "a.b",', "truncated_answer"),
    "thinking breaks off": ("<think>hmm, ```lua", "no_draft"),
}


@pytest.mark.parametrize(("text", "code"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_taken_is_said(text: str, code: str) -> None:
    assert codes(text) == [code]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```lua\n" + "[=" * 400_000 + "\n```\n", "no_draft"),
        ("```lua\n" + "[=[" * 200_000 + "\n```" * 20_000, "no_draft"),
        ("```lua\n--[[\n" + "```\n]]\n--[[\n" * 100_000, "no_draft"),
        ("```lua\n" * 100_000, "no_draft"),
        ("\n" * 1_000_000, "no_draft"),
        ('```json\n{"a":1}\n```\n' * 100_000, "no_draft"),
        (
            '```json\n{"nodes":1}\n```\n' + "".join(f'```json\n{{"nodes":{n}}}\n```\n' for n in range(50_000)),
            "two_workflows",
        ),
    ],
    ids=[
        "long strings that open",
        "brackets before fences",
        "comments and fences",
        "fences",
        "lines",
        "blocks",
        "workflows",
    ],
)
def test_a_megabyte_of_nonsense_is_read_as_fast_as_it_is_long(text: str, code: str) -> None:
    """What grows with the square of the length takes minutes here."""
    assert codes(text) == [code]


def test_the_finding_of_bad_json_stands_at_the_line_of_the_reply() -> None:
    _, findings = parse_draft('Hello\n\n```json\n{"nodes": [],\n "a": oops}\n```')
    assert (findings[0].where.line, findings[0].where.column) == (5, 7)


def test_a_reply_that_met_the_token_limit_is_truncated_even_if_its_blocks_are_whole() -> None:
    assert codes(f"```lua\n{lua('a.b')}```", truncated=True) == ["truncated_answer"]


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("function run() if x then for i = 1, 2 do end else repeat until y end end", True),
        ("function run() while true do end", False),
        ("return 'end", False),
        ("return [[ end", False),
        ("return {f(1)", False),
        ('-- function\nlocal s = \'function\' --[[ do ]] local t = "if\\""', True),
        ("", False),
    ],
)
def test_lua_is_complete_when_all_that_opens_is_closed(text: str, complete: bool) -> None:
    assert lua_complete(text) is complete


def test_only_the_blocks_given_again_are_replaced() -> None:
    old = Draft(capabilities=(lua("a.b"), lua("a.c")), workflow=WORKFLOW)
    new = Draft(capabilities=(lua("a.c", "return {1}"), lua("a.d")))
    assert merge_draft(old, new) == Draft(
        capabilities=(lua("a.b"), lua("a.c", "return {1}"), lua("a.d")), workflow=WORKFLOW
    )
    assert merge_draft(old, Draft(workflow={"nodes": []})) == Draft(
        capabilities=old.capabilities, workflow={"nodes": []}
    )


def test_a_lone_capability_may_change_its_name() -> None:
    assert merge_draft(Draft(capabilities=(lua("a.b"),)), Draft(capabilities=(lua("a.c"),))).capabilities == (
        lua("a.c"),
    )


def test_a_block_without_a_readable_name_is_the_one_that_is_replaced() -> None:
    old = Draft(capabilities=("function run() end\n", lua("a.c")))
    assert merge_draft(old, Draft(capabilities=(lua("a.b"),))).capabilities == (lua("a.b"), lua("a.c"))


def test_whatever_a_reply_holds_there_is_a_draft_or_a_finding() -> None:
    seed = 20_261_121
    print(f"seed {seed}")
    dice = random.Random(seed)
    parts = [
        "```",
        "```lua\n",
        "```json\n",
        "~~~",
        "{",
        "}",
        '"nodes": []',
        '"',
        "\\",
        "[[",
        "]]",
        "--[[ capability",
        "\n",
    ]
    parts += [
        "function run(input)\n",
        "end\n",
        "if x then ",
        "<think>",
        "</think>",
        "é",
        "\x00",
        "[==[",
        "]==]",
        lua("a.b"),
    ]
    for _ in range(1500):
        text = "".join(dice.choices(parts, k=dice.randrange(1, 20)))
        draft, findings = parse_draft(text)
        assert findings or not draft.empty, text
