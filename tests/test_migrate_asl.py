"""State machines in the Amazon States Language: a corpus that passes the guard, and runs that do what it says."""

from __future__ import annotations

import json

import pytest
from asl_corpus import CORPUS, function, machine, task
from foreign import app, brought, carried, clock, end, project, service, told

from ritesmith.contract import capability_of
from ritesmith.errors import InvalidInput
from ritesmith.migrate import Options, migrate

__all__ = ["app", "clock", "project", "service"]


def imported(definition, **options):
    return migrate("asl", definition, Options(**{"name": "imported.m", **options}))


def lost(migration):
    return [f"{each.at} {each.message}" for each in migration.lost]


def nodes_of(migration):
    return {node["id"]: node for node in migration.workflow["nodes"]}


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus_passes_the_guard(app, name):
    made = imported(CORPUS[name], known=lambda wanted: wanted == "imported.deliver")
    drafted = {each: capability_of(text) for each, text in made.capabilities.items()}
    wrong = app.checking.check_workflow_value(made.workflow, "m.json", drafted=drafted).errors
    # A workflow that is called is no part of the definition.
    assert [each.message for each in wrong if "imported.deliver" not in each.message] == []


def test_every_capability_of_an_import_passes_the_trial(app):
    """One of each kind: those of the same kind differ in names only."""
    found = {}
    for definition in CORPUS.values():
        for name, text in imported(definition).capabilities.items():
            found.setdefault(name.rpartition("_")[2] if "not_implemented" not in text else "draft", (name, text))
    assert {"document", "documents", "test", "fail", "post", "draft"} <= set(found)
    for name, text in found.values():
        assert app.check_text(text, f"{name}.lua").errors == ()


RUN = """
local function work(input, context)
  %s
end

function run(input, context)
  if input.example then fail("no_example", "it only runs") end
  local fine, result = pcall(work, input, context)
  if fine then return result end
  if type(result) == "string" then fail("no_sense", result) end
  error(result, 0)
end
"""


def write(app, folder, name, code, examples=2):
    """What a person writes in the place of a draft: a capability that takes and gives any object."""
    header = {
        "name": name,
        "intent": f"what {name} does",
        "input": {"type": "object", "additionalProperties": True},
        "output": {"type": "object", "additionalProperties": True},
        "examples": [{"input": {"example": number}, "error": "no_example"} for number in range(examples)],
    }
    file = folder / f"{name}.lua"
    file.write_text(f"--[[ capability\n{json.dumps(header)}\n]]\n" + RUN % code)
    app.publish_file(file)


@pytest.fixture
def run(app, clock, tmp_path):
    """Import a machine, with capabilities for its tasks, and run it to its end."""

    def call(definition, given, accept=True, **code):
        for name, each in code.items():
            write(app, tmp_path, f"imported.{name}", each)
        report = brought(app, tmp_path, "asl", definition, name="imported.m", accept_loss=accept)
        assert report["written"], (report["report"], report["findings"])
        return end(app, clock, "imported.m", given)

    return call


ECHO = "return json.object{ given = input }"


def test_results_are_kept_beside_the_input(run):
    view = run(
        CORPUS["chain with results kept"],
        {"order_id": "o-1"},
        load_order="return { id = input.id, total = 12.5 }",
        charge='return { id = "p-" .. input.amount .. input.currency }',
        report=ECHO,
    )
    document = {"order_id": "o-1", "order": {"id": "o-1", "total": 12.5}, "charge": {"payment": "p-12.5EUR"}}
    assert (view.status, view.output) == ("succeeded", {"given": {"input": document}})


CHOICES = [
    ({"kind": "private", "value": 1, "least": 0, "name": "", "at": "2031", "flag": False}, "a"),
    ({"kind": "", "value": 25, "least": 20, "name": "", "at": "2031", "flag": False}, "b"),
    ({"kind": "", "value": 25, "least": 30, "name": "log-7.txt", "at": "2031", "flag": False}, "c"),
    (
        {
            "kind": "",
            "value": "25",
            "least": 30,
            "name": "log-7.tx",
            "at": "2029-01-01T00:00:00Z",
            "flag": False,
            "gone": 1,
        },
        "c",
    ),
    ({"kind": "", "least": 30, "name": "x", "at": "2031", "flag": True, "gone": 1}, "c"),
    ({"kind": "", "value": 5, "least": 30, "name": "x", "at": "2031", "flag": False, "gone": 1}, None),
]


@pytest.mark.parametrize(("given", "expected"), CHOICES)
def test_choices_are_made_as_the_rules_say(run, given, expected):
    view = run(CORPUS["choice of every kind"], given)
    if expected is None:
        assert (view.status, view.outcome) == ("failed", "NoKind")
    else:
        assert (view.status, view.output) == ("succeeded", expected)


def test_a_choice_that_nothing_meets_fails(run):
    assert run(CORPUS["no default"], {"n": 2}, accept=False).outcome == "States.NoChoiceMatched"


def test_a_loop_reads_what_was_written_last(run, clock):
    begun = clock.now()
    view = run(
        CORPUS["polling"],
        {"pause": 60},
        submit='return { id = "j-1" }',
        look='if context.node == "look#3" then return { state = "READY" } end return { state = "BUSY" }',
        fetch='return { job = input.job or "none" }',
    )
    assert (view.status, view.output) == ("succeeded", {"job": "j-1"})
    assert clock.now() - begun == pytest.approx(180)


def test_branches_give_a_list(run):
    view = run(
        CORPUS["parallel"],
        {"id": 7},
        address='return { street = "Main " .. input.input.id }',
        phone="return { number = 42 }",
        use=ECHO,
    )
    assert (view.status, view.output) == ("succeeded", {"given": {"street": "Main 7", "number": 42}}), view.error


@pytest.mark.parametrize(
    ("one", "status", "output"),
    [
        ("return { fine = true }", "succeeded", [{"fine": True}, {"two": 2}]),
        ('fail("Rejected", "no")', "succeeded", {"id": 1}),
        ('fail("Other", "no")', "succeeded", {"given": {"id": 1}}),
    ],
    ids=["no failure", "its own handler", "any other"],
)
def test_a_failing_branch_is_handled(run, one, status, output):
    view = run(CORPUS["parallel with a handler"], {"id": 1}, one=one, two="return { two = 2 }", repair=ECHO)
    if "Rejected" in one:  # the error is the document after a handler without a ResultPath
        output = {"Error": "Rejected", "Cause": None}
    assert (view.status, view.output) == (status, output)


def test_a_map_works_on_each_element(run):
    view = run(
        CORPUS["map"],
        {"order": {"id": "o-1", "lines": [{"n": 1}, {"n": 2}]}},
        price="return { price = input.line.n * 10, order = input.order }",
        sum=ECHO,
    )
    assert view.output == {"given": {"lines": [{"price": 10, "order": "o-1"}, {"price": 20, "order": "o-1"}]}}


def test_a_map_over_choices_gives_what_each_way_made(run):
    view = run(CORPUS["map with a choice within"], {"lines": [{"n": 5}, {"n": 50}]}, accept=False)
    assert (view.status, view.output) == ("succeeded", [{"size": "small", "n": 5}, {"size": "big"}])


def test_a_map_over_nothing_gives_nothing(run):
    assert run(CORPUS["map with a choice within"], {"lines": []}, accept=False).output == []


def test_nested_machines_run(run):
    assert run(CORPUS["nested"], {"items": [{"ok": True}]}, accept=False).output == [[{"ok": True}]]


@pytest.mark.parametrize(
    ("risky", "output", "outcome"),
    [
        ("return { fine = true }", {"id": 3, "by": "thank"}, "succeeded"),
        ('fail("OutOfStock", "none left")', {"id": 3, "by": "apologise"}, "succeeded"),
        ('fail("Else", "no")', None, "GaveUp"),
        (
            'if context.attempt < 5 then fail("Busy", "later", { retryable = true }) end return { fine = true }',
            {"id": 3, "by": "thank"},
            "succeeded",
        ),
    ],
    ids=["success", "caught", "caught by all", "tried again"],
)
def test_errors_are_tried_again_and_caught(run, risky, output, outcome):
    view = run(
        CORPUS["retry and catch"],
        {"id": 3},
        risky=risky,
        thank='return { id = input.id, by = "thank" }',
        apologise='return { id = input.id, by = "apologise" }',
    )
    assert view.outcome == outcome
    if output is not None:
        assert view.output == output


def test_waits_sleep(run, clock):
    begun = clock.now()
    view = run(CORPUS["waits"], {"until": "2026-01-02T00:00:00Z"}, accept=False)
    assert view.status == "succeeded"
    assert clock.now() - begun >= 5
    assert view.output == {"until": "2026-01-02T00:00:00Z"}


def test_passes_need_no_step(run):
    view = run(CORPUS["passes"], {}, accept=False)
    assert view.output == {"b": 1, "text": f"1 of {view.run}"}


@pytest.mark.parametrize(("fast", "days"), [(True, 1), (False, 5)])
def test_a_document_is_that_of_the_way_that_was_taken(run, fast, days):
    view = run(CORPUS["merge of ways"], {"fast": fast}, ship=ECHO)
    assert view.output == {"given": {"days": days, "all": {"fast": fast, "days": days}}}


def test_functions_are_computed_and_what_cannot_be_is_told(run):
    view = run(CORPUS["functions"], {"n": 2, "list": [1, 2]})
    assert view.output == {"next": 3, "both": [2, "x"], "first": 1, "has": True, "id": None, "all": None}


def test_a_request_is_made(app, service, clock, tmp_path):
    definition = json.loads(json.dumps(CORPUS["http"]).replace("https://api.example.com", service.url))
    service.says("/v1/orders?dry=no", (201, {"order": 9}))
    report = brought(app, tmp_path, "asl", definition, name="imported.m", accept_loss=False, hosts=[service.moved])
    assert told(report, "lost") == []
    view = end(app, clock, "imported.m", {"id": "o-1"})
    assert (view.status, view.output) == ("succeeded", {"status": 201, "order": {"order": 9}})
    assert (service.seen[0].body, service.seen[0].query) == ({"id": "o-1"}, {"dry": "no"})


def test_a_draft_says_that_nobody_has_written_it(run):
    view = run(CORPUS["one task"], {"name": "Ann"})
    assert (view.status, view.error["code"]) == ("failed", "not_implemented")


def test_a_task_with_a_token_waits_for_its_callback(app, clock, tmp_path):
    definition = machine(
        "Ask",
        {
            "Ask": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "Parameters": {"token.$": "$$.Task.Token"},
                "TimeoutSeconds": 60,
                "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Late"}],
                "ResultPath": "$.answer",
                "End": True,
            },
            "Late": {"Type": "Pass", "Result": "late", "End": True},
        },
    )
    write(app, tmp_path, "imported.sqs_send_message", 'return { sent = input.token or "none" }')
    brought(app, tmp_path, "asl", definition, name="imported.m")
    view = end(app, clock, "imported.m", {"id": 1})
    assert view.status == "waiting"
    app.deliver(view.run, {"yes": True}, node="ask_callback")
    assert carried(app, clock, view.run).output == {"id": 1, "answer": {"yes": True}}
    view = end(app, clock, "imported.m", {"id": 2})
    clock.advance(61)
    assert carried(app, clock, view.run).output == "late"


def test_jsonata_is_refused():
    for definition in (
        machine("A", {"A": {"Type": "Succeed"}}, QueryLanguage="JSONata"),
        machine("A", {"A": {"Type": "Succeed", "QueryLanguage": "JSONata"}}),
    ):
        with pytest.raises(InvalidInput, match="JSONata"):
            imported(definition)


def test_everything_that_is_wrong_is_told_at_once():
    with pytest.raises(InvalidInput) as error:
        imported(
            machine(
                "Strat",
                {
                    "Start": {"Type": "Taks"},
                    "A": {"Type": "Pass", "Next": "Bb"},
                    "B": {"Type": "Choice", "Choices": []},
                    "C": {"Type": "Pass"},
                },
            )
        )
    assert [each["message"] for each in error.value.facts["problems"]] == [
        "there is no state 'Strat' to start at; did you mean 'Start'?",
        "unknown type 'Taks'; did you mean 'Task'?",
        "there is no state 'Bb'; did you mean 'B'?",
        "a Choice has at least one rule",
        "a state has 'Next', or 'End' that is true",
    ]


LOSSES = {
    "heartbeat": (task("f", HeartbeatSeconds=5), "$.States.A.HeartbeatSeconds"),
    "assign": ({"Type": "Pass", "Assign": {"x": 1}, "End": True}, "$.States.A.Assign"),
    "second retrier": (
        task("f", Retry=[{"ErrorEquals": ["A"]}, {"ErrorEquals": ["B"]}]),
        "$.States.A.Retry[1] a step has one policy",
    ),
    "cause": ({"Type": "Pass", "Parameters": {"x.$": "$$.Execution.RoleArn"}, "End": True}, "$$.Execution.RoleArn"),
    "filter": ({"Type": "Pass", "InputPath": "$.a[?(@.b)]", "End": True}, "more than a way to one value"),
    "function": ({"Type": "Pass", "Parameters": {"x.$": "States.Hash($.a, 'MD5')"}, "End": True}, "States.Hash"),
    "resource": (task("score"), f'what "{function("score")}" did is not in the definition'),
    "credentials": (task("f", Credentials={"RoleArn": "x"}), "$.States.A.Credentials"),
}


@pytest.mark.parametrize(("state", "words"), LOSSES.values(), ids=LOSSES)
def test_what_cannot_be_carried_over_is_told(state, words):
    made = imported(machine("A", {"A": state}))
    assert any(words in each for each in lost(made)), lost(made)


def test_a_capability_that_is_there_is_used_and_needs_no_draft():
    made = imported(CORPUS["one task"], known=lambda name: name == "imported.greet")
    assert (made.lost, dict(made.capabilities)) == ((), {})
    assert nodes_of(made)["greet"]["capability"] == "imported.greet"


DOUBLE = "return { a = input.a * 2 }"


def test_a_loop_that_never_paused_pauses_now(run, clock):
    begun = clock.now()
    states = {
        "Grow": {**task("double", Next="More"), "Parameters": {"a.$": "$.a"}},
        "More": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.a", "NumericLessThan": 8, "Next": "Grow"}],
            "Default": "Over",
        },
        "Over": {"Type": "Succeed"},
    }
    assert run(machine("Grow", states), {"a": 1}, double=DOUBLE).output == {"a": 8}
    assert clock.now() - begun == pytest.approx(2)


def test_a_loop_in_a_loop_whose_value_cannot_be_told_is_reported():
    """After the inner way was taken once, what the outer step gives later would no longer be read."""
    states = {
        "Grow": {**task("double", Next="More"), "Parameters": {"a.$": "$.a", "b.$": "$.b"}},
        "More": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.a", "NumericLessThan": 3, "Next": "Mend"},
                {"Variable": "$.b", "NumericLessThan": 5, "Next": "Grow"},
            ],
            "Default": "Over",
        },
        "Mend": {"Type": "Pass", "Parameters": {"a": 7, "b.$": "$.b"}, "Next": "More"},
        "Over": {"Type": "Succeed"},
    }
    assert any(
        "what 'mend_document' gave in a round before" in each for each in lost(imported(machine("Grow", states)))
    )
    del states["More"]["Choices"][1]
    assert not any("in a round before" in each for each in lost(imported(machine("Grow", states))))


def test_a_map_whose_failure_was_handled_is_imported_without_the_handler(app):
    """The state that nothing else leads to is left out with it."""
    inner = {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}}
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Handle"}]
    definition = {
        "StartAt": "All",
        "States": {
            "All": {"Type": "Map", "ItemsPath": "$.all", "ItemProcessor": inner, "Catch": catch, "End": True},
            "Handle": {"Type": "Pass", "End": True},
        },
    }
    made = imported(definition)
    assert "$.States.All.Catch[0] the failure of a map is not handled: it fails the run" in lost(made)
    assert any("no way leads to 'Handle'" in each.message for each in made.report)
    drafted = {each: capability_of(text) for each, text in made.capabilities.items()}
    assert app.checking.check_workflow_value(made.workflow, "m.json", drafted=drafted).errors == ()


def test_a_request_without_an_answer_is_told_to_be_unknown():
    post = {"ApiEndpoint": "https://pay.example.com/a", "Method": "POST"}
    states = {"Pay": {"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Parameters": post, "End": True}}
    told_of = [each.message for each in imported({"StartAt": "Pay", "States": states}).report]
    assert any("got no answer" in each for each in told_of)
    post["Method"] = "GET"
    assert not any("got no answer" in e.message for e in imported({"StartAt": "Pay", "States": states}).report)
