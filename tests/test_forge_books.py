"""What models took: books, sums, budgets that are reserved, other models where one fails, and what servers refuse."""

import json
import signal

import pytest
from conftest import environment, start, until
from scripted_forge import EXAMPLES, INTENT, lua

from ritesmith.books import Books, Budget, OverBudgetError, Session, sums, tokens_at_most, total
from ritesmith.db import open_db
from ritesmith.errors import InvalidInput, ModelUnavailable
from ritesmith.model_server import ModelSettings, models_of
from ritesmith.settings import ForgeSettings, ModelPrice, load_settings
from ritesmith.testing import ManualClock, ScriptedAuthor, ScriptedReply

USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "prompt_tokens_details": {"cached_tokens": 800}}
PRICE = ModelPrice(price_in=2.0, price_cached=0.5, price_out=10.0)
COST = (200 * 2.0 + 800 * 0.5 + 200 * 10.0) / 1_000_000
PRICES = '[forge.prices."tiny"]\nprice_in = 2\nprice_cached = 0.5\nprice_out = 10\n'
DOWN = ScriptedReply(status=503, headers={"retry-after-ms": "1"}, text="down for a while")


@pytest.fixture
def books():
    return Books(open_db(":memory:"), ManualClock(1_800_000_000.0).now, {"tiny": PRICE})


def settings(author, **changes):
    return ModelSettings.model_validate({"base_url": author.base_url, "model": "tiny", "max_retries": 0} | changes)


def session(books, **budget):
    return Session(books, "f1", INTENT, Budget(**budget), clock=lambda: 0.0)


QUESTION = [{"role": "system", "content": "rules " * 30}, {"role": "user", "content": "add two numbers"}]

# ---------------------------------------------------------------- the books


def test_a_call_is_written_down_with_its_tokens_and_its_cost(books):
    with ScriptedAuthor([ScriptedReply(text="hi", usage=USAGE)]) as author:
        session(books).ask([settings(author)], QUESTION, "draft")
    [call] = books.calls()
    assert (call.forge, call.intent, call.purpose, call.model) == ("f1", INTENT, "draft", "tiny")
    assert (call.outcome, call.requests) == ("answered", 1)
    assert (call.tokens_in, call.tokens_cached, call.tokens_out) == (1000, 800, 200)
    assert call.cost == pytest.approx(COST)
    assert call.server == author.base_url
    assert call.seconds > 0


@pytest.mark.parametrize(
    ("reply", "model", "tokens", "cost"),
    [
        (ScriptedReply(text="hi", usage=USAGE), "dear", 1000, None),
        (ScriptedReply(text="hi", usage=None), "tiny", None, None),
        (ScriptedReply(text="hi", usage={"prompt_tokens": 10}), "tiny", 10, None),
        (ScriptedReply(text="hi", usage={"prompt_tokens": 10**20, "completion_tokens": 1}), "tiny", None, None),
        (ScriptedReply(text="hi", usage={"prompt_tokens": 1.5, "completion_tokens": "1"}), "tiny", None, None),
    ],
    ids=["no price", "no counts", "half of the counts", "too many", "no whole numbers"],
)
def test_what_is_not_known_is_none(books, reply, model, tokens, cost):
    with ScriptedAuthor([reply]) as author:
        session(books).ask([settings(author, model=model)], QUESTION, "draft")
    [call] = books.calls()
    assert (call.tokens_in, call.cost) == (tokens, cost)


@pytest.mark.parametrize(
    ("reply", "outcome", "tokens", "cost"),
    [
        (ScriptedReply(status=401), "wrong_key", 0, 0.0),
        (ScriptedReply(status=500), "server_error", None, None),
        (ScriptedReply(text="half of it" * 9, cut=True), "stream_cut", None, None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_call_that_fails_is_written_down_too(books, reply, outcome, tokens, cost):
    with ScriptedAuthor([reply]) as author, pytest.raises(ModelUnavailable):
        session(books).ask([settings(author)], QUESTION, "repair")
    [call] = books.calls()
    assert (call.outcome, call.purpose, call.tokens_in, call.tokens_out, call.cost) == (
        outcome,
        "repair",
        tokens,
        tokens,
        cost,
    )


def test_a_call_whose_process_is_killed_stays_as_sent(place):
    with ScriptedAuthor([ScriptedReply(text=lua(), stall="before")]) as author:
        env = environment(RITESMITH_LLM_BASE_URL=author.base_url, NO_PROXY="127.0.0.1")
        with start("forge", INTENT, folder=place, env=env) as process:
            until(lambda: author.requests, process)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=30)
    [call] = Books(open_db(place / "registry.db"), ManualClock().now, {}).calls()
    assert (call.outcome, call.tokens_in, call.cost) == ("sent", None, None)


def test_ctrl_c_is_written_down(books):
    def interrupt(text):
        raise KeyboardInterrupt

    with ScriptedAuthor(["hi"]) as author, pytest.raises(KeyboardInterrupt):
        session(books).ask([settings(author)], QUESTION, "draft", on_text=interrupt)
    assert [call.outcome for call in books.calls()] == ["interrupted"]


def test_the_credentials_of_a_server_are_not_written_down(books):
    with ScriptedAuthor(["hi"]) as author:
        hidden = author.base_url.replace("//", "//me:geheim@")
        session(books).ask([settings(author, base_url=hidden)], QUESTION, "draft")
    assert "geheim" not in repr(books.calls())


# ---------------------------------------------------------------- sums


def test_sums_tell_what_is_known_and_of_how_many_calls_it_is_not(books):
    clock = ManualClock(1_800_000_000.0)
    books.now = clock.now
    replies = [ScriptedReply(text="hi", usage=USAGE), ScriptedReply(text="hi", usage=None), ScriptedReply(status=401)]
    with ScriptedAuthor(replies) as author:
        for index, model in enumerate(("tiny", "tiny", "other")):
            asking = Session(books, f"f{index}", f"intent {index}", Budget(), clock=lambda: 0.0)
            try:
                asking.ask([settings(author, model=model)], QUESTION, "draft")
            except ModelUnavailable:
                clock.advance(86_400)
    calls = books.calls()
    tiny, other = sums(calls, "model")
    assert (tiny.key, tiny.calls, tiny.failed, tiny.tokens_in, tiny.uncounted, tiny.unpriced) == (
        "tiny",
        2,
        0,
        1000,
        1,
        1,
    )
    assert tiny.cost == pytest.approx(COST)
    assert (other.key, other.calls, other.failed, other.cost) == ("other", 1, 1, 0.0)
    assert [row.key for row in sums(calls, "day")] == ["2027-01-15"]
    assert {row.key for row in sums(calls, "intent")} == {"intent 0", "intent 1", "intent 2"}
    assert total("total", calls).calls == 3
    assert total("total", []).cost is None


def test_calls_are_found_by_day_model_and_words(books):
    clock = ManualClock(1_800_000_000.0)
    books.now = clock.now
    with ScriptedAuthor(["hi"] * 3) as author:
        for intent in ("Add numbers", "sort words", "add words"):
            Session(books, "f", intent, Budget()).ask([settings(author, model=intent[0])], QUESTION, "draft")
            clock.advance(86_400)
    assert [call.intent for call in books.calls(intent="ADD")] == ["Add numbers", "add words"]
    assert [call.intent for call in books.calls(model="s")] == ["sort words"]
    assert [call.intent for call in books.calls(since="2027-01-16", until="2027-01-16")] == ["sort words"]
    assert [call.intent for call in books.calls(until="2027-01-15")] == ["Add numbers"]
    with pytest.raises(InvalidInput, match="is no day"):
        books.calls(since="yesterday")
    with pytest.raises(InvalidInput, match="2027-01-14 is before 2027-01-15"):
        books.calls(since="2027-01-15", until="2027-01-14")


def test_usage_is_shown_by_model_day_and_intent(forge, cli, place):
    (place / "ritesmith.toml").write_text(PRICES)
    assert "no model was asked" in cli("usage").err
    good = ScriptedReply(text=lua(), usage=USAGE)
    report = forge(INTENT, replies=[ScriptedReply(text="no", usage=USAGE), good], examples=EXAMPLES).json
    assert report["cost"] == pytest.approx(2 * COST)
    assert (report["calls"], report["rounds"], report["tokens_cached"]) == (2, 1, 1600)
    forge("something that no model gives", replies=[ScriptedReply(status=401)])
    for by in ("model", "day", "intent"):
        told = cli("usage", "--by", by, "--json").json
        assert told["by"] == by
        assert told["total"]["calls"] == 3
        assert told["total"]["failed"] == 1
        assert sum(row["tokens_in"] for row in told["rows"]) == told["total"]["tokens_in"] == 2000
    assert [row["key"] for row in cli("usage", "--by", "intent", "--json").json["rows"]] == [
        INTENT,
        "something that no model gives",
    ]
    shown = cli("usage")
    assert "tiny" in shown.out
    assert "2,000" in shown.out
    assert f"{2 * COST:.4f}" in shown.out
    every = cli("usage", "--calls", "--json").json["calls"]
    assert [each["outcome"] for each in every] == ["answered", "answered", "wrong_key"]
    assert "wrong_key" in cli("usage", "--calls").out
    assert cli("usage", "--intent", "nothing like it", "--json").json["rows"] == []
    assert cli("usage", "--since", "never").code == 2


def test_provenance_has_tokens_and_cost(forge, cli, place):
    (place / "ritesmith.toml").write_text(PRICES)
    forge(INTENT, replies=[ScriptedReply(text=lua(), usage=USAGE)], examples=EXAMPLES)
    provenance = cli("show", "text.initials", "--json").json["provenance"]
    assert (provenance["tokens"], provenance["cost"]) == (1200, pytest.approx(COST))


def test_without_a_model_nothing_was_spent(forge):
    report = forge("average of a list of numbers").json
    assert (report["tokens"], report["cost"], report["calls"], report["model_calls"]) == (0, 0, 0, [])


# ---------------------------------------------------------------- budgets


def test_no_call_can_pass_a_budget_of_tokens(books):
    asked = tokens_at_most(QUESTION)
    with ScriptedAuthor(["hi"] * 9) as author:
        server = settings(author, max_retries=2, max_tokens=5000)
        roomy = session(books, max_tokens=3 * (asked + 5000)).fitted(server, QUESTION)
        assert (roomy.max_tokens, roomy.max_retries) == (5000, 2)
        tight = session(books, max_tokens=asked + 700).fitted(server, QUESTION)
        assert (tight.max_tokens, tight.max_retries) == (700, 0)
        with pytest.raises(OverBudgetError, match="no room for a call of up to"):
            session(books, max_tokens=asked + 200).fitted(server, QUESTION)
        short = session(books, max_tokens=asked + 700)
        short.ask([server], QUESTION, "draft")
        assert author.requests[0]["max_tokens"] == 700
        short.tokens = asked + 600
        with pytest.raises(OverBudgetError):
            short.ask([server], QUESTION, "repair")
    assert len(author.requests) == len(books.calls()) == 1


def test_an_odd_letter_is_not_fewer_tokens_than_its_bytes():
    assert tokens_at_most([{"role": "user", "content": "ö" * 100}]) == 200 + 16


def test_a_call_without_counts_spends_all_that_was_reserved(books):
    asked = tokens_at_most(QUESTION)
    with ScriptedAuthor([ScriptedReply(text="hi", usage=None), ScriptedReply(status=401)]) as author:
        spending = session(books, max_tokens=100_000)
        spending.ask([settings(author, max_tokens=900)], QUESTION, "draft")
        assert spending.tokens == asked + 900
        with pytest.raises(ModelUnavailable):
            spending.ask([settings(author, max_tokens=900)], QUESTION, "draft")
        assert spending.tokens == asked + 900  # what was refused costs nothing


def test_every_try_that_nobody_answered_spends_what_was_reserved(books):
    asked = tokens_at_most(QUESTION)
    soon = {"headers": {"retry-after-ms": "1"}}
    spending = session(books, max_tokens=100_000)
    with ScriptedAuthor([ScriptedReply(status=500, **soon)] * 3) as author, pytest.raises(ModelUnavailable):
        spending.ask([settings(author, max_tokens=900, max_retries=2)], QUESTION, "draft")
    assert spending.tokens == 3 * (asked + 900)


def test_a_server_that_is_not_there_costs_nothing(books):
    spending = session(books, max_tokens=100_000)
    gone = ModelSettings(base_url="http://127.0.0.1:1/v1", model="tiny", max_retries=0)
    with pytest.raises(ModelUnavailable):
        spending.ask([gone], QUESTION, "draft")
    [call] = books.calls()
    assert (call.outcome, call.tokens_in, call.cost, spending.tokens) == ("unreachable", 0, 0.0, 0)


def test_no_call_can_pass_a_budget_of_money(books):
    asked = tokens_at_most(QUESTION)
    server = ModelSettings(model="tiny", max_tokens=4000, max_retries=5)
    dear = PRICE.cost(asked, 0, 4000)
    assert session(books, max_cost=2.5 * dear).fitted(server, QUESTION).max_retries == 1
    fitted = session(books, max_cost=dear / 2).fitted(server, QUESTION)
    assert PRICE.cost(asked, 0, fitted.max_tokens) <= dear / 2
    assert fitted.max_tokens < 4000
    with pytest.raises(OverBudgetError, match="has no room"):
        session(books, max_cost=PRICE.cost(asked, 0, 10)).fitted(server, QUESTION)
    with pytest.raises(InvalidInput, match="nobody knows what 'other' costs"):
        session(books, max_cost=1).check([server, ModelSettings(model="other")])


def test_a_call_is_cut_where_the_time_ends(books):
    at = iter([0.0, 4.0, 10.0])
    timed = Session(books, "f", INTENT, Budget(max_seconds=10), clock=lambda: next(at))
    assert timed.fitted(ModelSettings(answer_seconds=600), QUESTION).answer_seconds == 6.0
    with pytest.raises(OverBudgetError, match="10 seconds is spent"):
        timed.fitted(ModelSettings(), QUESTION)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--max-tokens", "100"), 6, "no room for a call"),
        (("--max-cost", "0.00001"), 6, "no room for a call that may cost"),
        (("--max-cost", "0"), 2, "0.0"),
        (("--max-seconds", "nan"), 2, "not a number"),
    ],
)
def test_budgets_at_the_command_line(forge, place, options, code, words):
    (place / "ritesmith.toml").write_text(PRICES)
    done = forge.refused(code, INTENT, *options, replies=[lua()], examples=EXAMPLES)
    assert words in done.out + done.err
    assert forge.author.requests == []


def test_a_budget_of_money_needs_prices(forge):
    done = forge.refused(2, INTENT, "--max-cost", "1", replies=[lua()], examples=EXAMPLES)
    assert "price_in" in done.json["error"]["hint"]


# ---------------------------------------------------------------- which model


def chain(author, **more):
    return models_of(ForgeSettings(base_url=author.base_url, model="large", retries=0, **more), {}, lambda name: None)


def test_another_model_is_asked_where_one_is_not_available(books):
    said = []
    with ScriptedAuthor([DOWN, ScriptedReply(status=404), "hi"]) as author:
        models = chain(author, fallback={"a": {"model": "second"}, "b": {"model": "third"}})
        reply = session(books).ask(models.order(), QUESTION, "draft", on_fallback=said.append)
    assert reply.text == "hi"
    assert [call.model for call in books.calls()] == ["large", "second", "third"]
    assert [call.outcome for call in books.calls()] == ["server_error", "model_not_found", "answered"]
    assert "asking second" in said[0]


def test_when_none_answers_each_is_told(books):
    with ScriptedAuthor([DOWN, DOWN]) as author, pytest.raises(ModelUnavailable) as caught:
        session(books).ask(chain(author, fallback={"a": {"model": "second"}}).order(), QUESTION, "draft")
    assert "none of 2 models answers" in caught.value.message
    assert "'large'" in caught.value.message
    assert "'second'" in caught.value.message


def test_a_fallback_may_be_another_server(forge, cli, place):
    with ScriptedAuthor([DOWN]) as first, ScriptedAuthor([lua()]) as other:
        (place / "ritesmith.toml").write_text(
            f'[forge]\nbase_url = "{first.base_url}"\nmodel = "large"\nretries = 0\n'
            f'[forge.fallback.other]\nmodel = "small"\nbase_url = "{other.base_url}"\n'
        )
        done = forge(INTENT, examples=EXAMPLES)
    assert done.code == 0, done.out
    assert [each["model"] for each in done.json["model_calls"]] == ["large", "small"]


def test_what_a_model_wrote_is_no_reason_to_ask_another(forge, place):
    with ScriptedAuthor(["no", "no"]) as author:
        (place / "ritesmith.toml").write_text(
            f'[forge]\nbase_url = "{author.base_url}"\nmodel = "large"\n[forge.fallback.other]\nmodel = "small"\n'
        )
        assert forge(INTENT, examples=EXAMPLES).code == 6
    assert {each["model"] for each in author.requests} == {"large"}


def test_a_cheaper_model_repairs_but_for_the_last_time(forge, place):
    drafts = [lua(f"  return {{ initials = unknown_{index} }}") for index in range(3)]
    with ScriptedAuthor([*drafts, lua()]) as author:
        (place / "ritesmith.toml").write_text(
            f'[forge]\nbase_url = "{author.base_url}"\nmodel = "large"\nsecond_model = "small"\n'
        )
        assert forge(INTENT, examples=EXAMPLES).code == 0
    assert [each["model"] for each in author.requests] == ["large", "small", "small", "large"]


def test_what_a_server_refuses_is_remembered_by_server_and_model(books):
    with ScriptedAuthor([ScriptedReply(text="hi", refuse="stream_options"), "again", "other"]) as author:
        session(books).ask([settings(author)], QUESTION, "draft")
        session(books).ask([settings(author)], QUESTION, "draft")
        session(books).ask([settings(author, model="other")], QUESTION, "draft")
    assert ["stream_options" in each for each in author.requests] == [True, False, False, True]
    assert [call.requests for call in books.calls()] == [2, 1, 1]


@pytest.mark.parametrize(
    ("environ", "server", "key", "model", "others"),
    [
        ({}, "http://own/v1", "own-secret", "large", 2),
        ({"OPENAI_API_KEY": "sk-env-key"}, "http://own/v1", "own-secret", "large", 2),
        ({"RITESMITH_LLM_MODEL": "mine"}, "http://own/v1", "own-secret", "mine", 2),
        (
            {"RITESMITH_LLM_BASE_URL": "http://env/v1", "OPENAI_API_KEY": "sk-env-key"},
            "http://env/v1",
            "sk-env-key",
            "gpt-5-mini",
            0,
        ),
    ],
    ids=["settings", "a key of the environment goes to no other server", "a model", "the environment comes first"],
)
def test_where_the_models_come_from(environ, server, key, model, others):
    settings = ForgeSettings(
        base_url="http://own/v1", key="OWN", model="large", second_model="small", fallback={"a": {"model": "b"}}
    )
    models = models_of(settings, environ, {"OWN": "own-secret"}.get)
    assert (models.first.base_url, models.first.api_key.get_secret_value(), models.first.model) == (server, key, model)
    assert len(models.all) - 1 == others


def test_models_without_a_server_or_a_key_are_none():
    assert models_of(ForgeSettings(model="large"), {}, lambda name: None) is None
    with_key = models_of(ForgeSettings(model="large"), {"OPENAI_API_KEY": "sk-env-key"}, lambda name: None)
    assert (with_key.first.model, with_key.first.base_url) == ("large", None)
    with pytest.raises(InvalidInput, match="the secret 'OWN'"):
        models_of(ForgeSettings(key="OWN"), {}, lambda name: None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[forge]\nmodle = "x"', "did you mean 'model'?"),
        ('[forge]\nbase_url = "localhost"', "a model server is an http or https URL"),
        ("[forge.prices.x]\nprice_in = -1\nprice_out = 1", "price_in"),
        ('[forge.fallback.other]\nmodel = "x"\nkey = "K"', "say 'base_url' too"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path, text, words):
    (tmp_path / "ritesmith.toml").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        load_settings(tmp_path)
    assert words in caught.value.message


def test_a_repair_does_not_grow_with_each_round(forge):
    drafts = [lua(f"  return {{ initials = unknown_{index} }}") for index in range(3)]
    forge(INTENT, replies=[*drafts, lua()], examples=EXAMPLES)
    sizes = [len(json.dumps(each["messages"])) for each in forge.author.requests]
    assert [len(each["messages"]) for each in forge.author.requests] == [2, 4, 4, 4]
    assert abs(sizes[3] - sizes[1]) < 200
    assert len({json.dumps(each["messages"][:2]) for each in forge.author.requests}) == 1
