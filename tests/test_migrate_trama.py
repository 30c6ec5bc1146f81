"""Trama definitions, imported, checked by the guard, published, and run against a service on loopback.

The definitions are shaped as those of Trama's own demonstrations: a checkout, an authorisation that is called back, a
reservation that is undone, a chain of squares, a mix of branches.
"""

from __future__ import annotations

import pytest
from foreign import app, brought, carried, clock, end, project, service, told

from ritesmith.errors import InvalidInput
from ritesmith.migrate import Options, migrate

__all__ = ["app", "clock", "project", "service"]
RETRY = {"type": "retry", "maxAttempts": 2, "delayMillis": 500}


def call(service, path, body=None, verb="POST", **more):
    made = {"url": f"{service.url}{path}", "verb": verb, **more}
    if verb != "GET":
        made["headers"] = {"Content-Type": "application/json", **more.get("headers", {})}
    return made if body is None else {**made, "body": body}


def task(service, id, body=None, *, next=None, undo=True, **more):
    node = {"kind": "task", "id": id, "action": {"mode": "sync", "request": call(service, f"/step/{id}", body, **more)}}
    if undo:
        node["compensation"] = call(service, f"/undo/{id}", {"order": "{{payload.orderId}}"})
    return node | ({"next": next} if next else {})


def asynchronous(service, id, *, next=None, **callback):
    node = task(service, id, {"orderId": "{{payload.orderId}}", "callbackUrl": "{{runtime.callback.url}}"}, next=next)
    node["action"] |= {"mode": "async", "acceptedStatusCodes": [202], "callback": {"timeoutMillis": 60000, **callback}}
    return node


def graph(name, nodes, start=None, **more):
    given = {"name": name, "version": "v1", "failureHandling": RETRY, "entrypoint": start or nodes[0]["id"]}
    return {**given, "nodes": nodes, **more}


def hooks(service):
    return {
        "onSuccessCallback": call(service, "/hook/success", {"orderId": "{{payload.orderId}}", "result": "succeeded"}),
        "onFailureCallback": call(service, "/hook/failure", {"orderId": "{{payload.orderId}}", "result": "failed"}),
    }


def checkout(service):
    method = {"var": "payload.paymentMethod"}
    return graph(
        "checkout-demo",
        [
            task(
                service, "validate", {"orderId": "{{payload.orderId}}", "amount": "{{payload.amount}}"}, next="choose"
            ),
            {
                "kind": "switch",
                "id": "choose",
                "cases": [
                    {"name": "pix", "when": {"==": [method, "pix"]}, "target": "pix-payment"},
                    {"name": "card", "when": {"==": [method, "card"]}, "target": "card-payment"},
                ],
                "default": "pix-payment",
            },
            task(service, "pix-payment", {"orderId": "{{payload.orderId}}", "method": "pix"}, next="notify"),
            asynchronous(service, "card-payment", next="notify"),
            task(service, "notify", {"orderId": "{{payload.orderId}}"}, undo=False),
        ],
        **hooks(service),
    )


ORDER = {"orderId": "o-1", "amount": 12.5, "paymentMethod": "pix"}


@pytest.mark.parametrize("method", ["pix", "transfer"])
def test_the_checkout_runs_to_its_success_hook(app, service, clock, tmp_path, method):
    report = brought(app, tmp_path, "trama", checkout(service), hosts=[service.moved])
    assert report["workflow"] == "imported.checkout_demo"
    view = end(app, clock, "imported.checkout_demo", ORDER | {"paymentMethod": method})
    assert (view.status, view.outcome) == ("succeeded", "succeeded")
    assert service.paths == ["/step/validate", "/step/pix-payment", "/step/notify", "/hook/success"]
    assert service.bodies("/step/validate") == [{"orderId": "o-1", "amount": "12.5"}]
    assert service.bodies("/hook/success") == [{"orderId": "o-1", "result": "succeeded"}]


def test_the_card_waits_for_its_callback(app, service, clock, tmp_path):
    brought(
        app, tmp_path, "trama", checkout(service), hosts=[service.moved], callback_url="https://gate.example.com/trama"
    )
    service.says("/step/card-payment", (202, {"accepted": True}))
    view = end(app, clock, "imported.checkout_demo", ORDER | {"paymentMethod": "card"})
    assert view.status == "waiting"
    [asked] = service.bodies("/step/card-payment")
    there = f"https://gate.example.com/trama/workflows/{view.run}/node/card_payment_callback/callback"
    assert asked == {"orderId": "o-1", "callbackUrl": there}
    app.deliver(view.run, {"status": "done"}, node="card_payment_callback")
    assert carried(app, clock, view.run).status == "succeeded"
    assert service.paths[-2:] == ["/step/notify", "/hook/success"]


def test_a_callback_that_never_comes_undoes_what_was_done_and_not_the_step_that_waits(app, service, clock, tmp_path):
    brought(app, tmp_path, "trama", checkout(service), hosts=[service.moved])
    service.says("/step/card-payment", (202, {"accepted": True}))
    view = end(app, clock, "imported.checkout_demo", ORDER | {"paymentMethod": "card"})
    clock.advance(61)
    assert carried(app, clock, view.run).status == "compensated"
    assert service.paths == ["/step/validate", "/step/card-payment", "/undo/validate", "/hook/failure"]


def test_what_is_not_accepted_at_once_fails_the_step(app, service, clock, tmp_path):
    brought(app, tmp_path, "trama", checkout(service), hosts=[service.moved])
    view = end(app, clock, "imported.checkout_demo", ORDER | {"paymentMethod": "card"})
    assert view.status == "compensated"
    assert service.paths == ["/step/validate", *["/step/card-payment"] * 3, "/undo/validate", "/hook/failure"]


@pytest.mark.parametrize("status", [500, 422, 503])
def test_a_step_that_fails_is_tried_again_and_then_what_came_before_is_undone(app, service, clock, tmp_path, status):
    brought(app, tmp_path, "trama", checkout(service), hosts=[service.moved])
    service.says("/step/notify", (status, {"error": "no"}))
    begun = clock.now()
    view = end(app, clock, "imported.checkout_demo", ORDER)
    assert view.status == "compensated"
    undone = ["/undo/pix-payment", "/undo/validate", "/hook/failure"]
    assert service.paths == ["/step/validate", "/step/pix-payment", *["/step/notify"] * 3, *undone]
    assert clock.now() - begun == pytest.approx(1.0)


def test_the_step_that_failed_is_not_undone_itself(app, service, clock, tmp_path):
    brought(app, tmp_path, "trama", checkout(service), hosts=[service.moved])
    service.says("/step/pix-payment", (422, {"error": "declined"}))
    assert end(app, clock, "imported.checkout_demo", ORDER).status == "compensated"
    assert service.paths == ["/step/validate", *["/step/pix-payment"] * 3, "/undo/validate", "/hook/failure"]


def test_a_step_that_fails_once_succeeds_at_the_second_attempt(app, service, clock, tmp_path):
    brought(app, tmp_path, "trama", checkout(service), hosts=[service.moved])
    service.says("/step/validate", (500, {}), {"valid": True})
    assert end(app, clock, "imported.checkout_demo", ORDER).status == "succeeded"
    assert service.paths.count("/step/validate") == 2


def test_an_input_without_what_is_read_is_refused_before_the_first_step(app, service, clock, tmp_path):
    """A condition that reads a name which the payload does not have took the default there, in silence."""
    brought(app, tmp_path, "trama", checkout(service), hosts=[service.moved])
    with pytest.raises(InvalidInput, match="paymentMethod"):
        app.start("imported.checkout_demo", {"orderId": "o-1", "amount": 1, "payment_method": "card"})


def authorisation(service):
    callback = {
        "failureWhen": {"==": [{"var": "callback.body.status"}, "declined"]},
        "successWhen": {"!=": [{"var": "callback.body.code"}, None]},
    }
    return graph(
        "payment-async",
        [
            asynchronous(service, "authorize", next="capture", **callback),
            task(
                service,
                "capture",
                {"id": "{{nodes.authorize.response.body.id}}", "node": "{{stepName}}"},
                next="notify",
            ),
            task(service, "notify", '{"orderId":"{{payload.orderId}}","saga":"{{sagaId}}"}'),
        ],
        **hooks(service),
    )


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ({"status": "ok", "code": 7}, "succeeded"),
        ({"status": "declined", "code": 7}, "compensated"),
        ({}, "compensated"),
    ],
    ids=["success", "failure", "neither"],
)
def test_a_callback_decides_by_its_conditions(app, service, clock, tmp_path, payload, status):
    brought(app, tmp_path, "trama", authorisation(service), hosts=[service.moved])
    service.says("/step/authorize", (202, {"id": "auth-9"}))
    view = end(app, clock, "imported.payment_async", {"orderId": "o-1"})
    app.deliver(view.run, payload, node="authorize_callback")
    view = carried(app, clock, view.run)
    assert view.status == status
    if status == "succeeded":
        assert service.bodies("/step/capture") == [{"id": "auth-9", "node": "capture"}]
        assert service.bodies("/step/notify") == [{"orderId": "o-1", "saga": view.run}]
    else:
        assert service.paths == ["/step/authorize", "/hook/failure"]


def test_an_accepted_callback_is_undone_when_a_later_step_fails(app, service, clock, tmp_path):
    brought(app, tmp_path, "trama", authorisation(service), hosts=[service.moved])
    service.says("/step/authorize", (202, {"id": "auth-9"}))
    service.says("/step/notify", (500, {}))
    view = end(app, clock, "imported.payment_async", {"orderId": "o-1"})
    app.deliver(view.run, {"status": "ok", "code": 1}, node="authorize_callback")
    assert carried(app, clock, view.run).status == "compensated"
    assert service.paths[-3:] == ["/undo/capture", "/undo/authorize", "/hook/failure"]


def reservation(service, backoff=False):
    def step(name, body):
        headers = {"X-Fail-Step": "{{payload.fail_step}}"}
        down = call(service, f"/step/{name}?phase=down", {"compensate": name}, headers=headers)
        return {
            "name": name,
            "up": call(service, f"/step/{name}?phase=up&from={{{{payload.fail_step}}}}", body, headers=headers),
            "down": down,
        }

    policy = {"type": "backoff", "maxAttempts": 4, "initialDelayMillis": 200, "maxDelayMillis": 1000, "multiplier": 2.0}
    return {
        "name": "reserve-and-charge",
        "version": "v2",
        "failureHandling": policy if backoff else {"type": "retry", "maxAttempts": 1, "delayMillis": 200},
        "steps": [
            step("reserve", {"step": "reserve"}),
            step(
                "charge",
                {
                    "prevStep": "{{step.0.up.body.step}}",
                    "same": "{{step.reserve.body.step}}",
                    "prev": "{{prev.body.step}}",
                },
            ),
        ],
        **hooks(service),
    }


FAULT = {"orderId": "o-1", "fail_step": "a b&c"}


def test_a_linear_definition_runs_its_steps_in_order(app, service, clock, tmp_path):
    brought(app, tmp_path, "trama", reservation(service), hosts=[service.moved])
    service.says("/step/reserve", {"step": "reserve", "status": "done"})
    assert end(app, clock, "imported.reserve_and_charge", FAULT).status == "succeeded"
    assert [(each.path, each.query) for each in service.seen[:2]] == [
        ("/step/reserve", {"phase": "up", "from": "a b&c"}),
        ("/step/charge", {"phase": "up", "from": "a b&c"}),
    ]
    assert service.seen[0].headers["x-fail-step"] == "a b&c"
    assert service.seen[1].body == {"prevStep": "reserve", "same": "reserve", "prev": "reserve"}


def test_a_charge_that_fails_undoes_the_reservation(app, service, clock, tmp_path):
    brought(app, tmp_path, "trama", reservation(service), hosts=[service.moved])
    service.says("/step/reserve", {"step": "reserve"})
    service.says("/step/charge", (500, {}))
    assert end(app, clock, "imported.reserve_and_charge", FAULT).status == "compensated"
    ways = [(each.path, each.query.get("phase")) for each in service.seen]
    assert ways == [
        ("/step/reserve", "up"),
        *[("/step/charge", "up")] * 2,
        ("/step/reserve", "down"),
        ("/hook/failure", None),
    ]


def test_an_undo_that_fails_ends_compensation_failed_and_is_told(app, service, clock, tmp_path):
    report = brought(app, tmp_path, "trama", reservation(service), hosts=[service.moved])
    service.says("/step/reserve", {"step": "reserve"})
    service.says("/step/reserve?phase=down", (500, {}))
    service.says("/step/charge", (500, {}))
    view = end(app, clock, "imported.reserve_and_charge", FAULT)
    assert view.status == "compensation_failed"
    assert service.paths[-1] == "/hook/failure"
    assert any("CORRUPTED" in each for each in told(report, "changed"))


def test_backoff_grows_to_its_bound(app, service, clock, tmp_path):
    brought(app, tmp_path, "trama", reservation(service, backoff=True), hosts=[service.moved])
    service.says("/step/reserve", (500, {}), (500, {}), (500, {}), (500, {}), {"step": "reserve"})
    begun = clock.now()
    assert end(app, clock, "imported.reserve_and_charge", FAULT).status == "succeeded"
    assert clock.now() - begun == pytest.approx(0.2 + 0.4 + 0.8 + 1.0)


def test_a_chain_of_squares_keeps_its_numbers(app, service, clock, tmp_path):
    values = ["{{payload.initial_value}}", *(f"{{{{step.{index}.up.body.result}}}}" for index in range(3))]
    steps = [
        {
            "name": f"square-{index + 1}",
            "up": call(service, f"/square/{index}", value),
            "down": call(service, "/undo", {"lastKnown": value}),
        }
        for index, value in enumerate(values)
    ]
    done = call(service, "/done", {"sagaId": "{{sagaId}}", "final": "{{step.3.up.body.result}}"})
    definition = {
        "name": "squares",
        "version": "v1",
        "failureHandling": RETRY,
        "steps": steps,
        "onSuccessCallback": done,
    }
    brought(app, tmp_path, "trama", definition, hosts=[service.moved])
    for index, result in enumerate((4, 16, 256, 65536)):
        service.says(f"/square/{index}", {"result": result})
    assert end(app, clock, "imported.squares", {"initial_value": 2}).status == "succeeded"
    assert [service.bodies(f"/square/{index}") for index in range(4)] == [[2], [4], [16], [256]]
    assert service.bodies("/done")[0]["final"] == "65536"


def mixed(service):
    return graph(
        "mixed",
        [
            task(service, "t0", {"n": 0}, next="fan"),
            {"kind": "split", "id": "fan", "branches": ["quick", "slow", "pause"], "join": "together"},
            task(service, "quick", undo=False),
            asynchronous(service, "slow") | {"compensation": None},
            {"kind": "sleep", "id": "pause", "durationMillis": 120000, "next": "late"},
            task(service, "late", undo=False),
            {"kind": "join", "id": "together", "next": "all-well"},
            {
                "kind": "switch",
                "id": "all-well",
                "cases": [{"when": {"var": "nodes.together.response.body.allSucceeded"}, "target": "final"}],
                "default": "partly",
            },
            task(service, "final", {"of": "{{nodes.together.response.body.expected}}"}, undo=False),
            task(service, "partly", undo=False),
        ],
    )


@pytest.mark.parametrize("answered", [True, False])
def test_branches_run_side_by_side_and_the_parent_goes_on(app, service, clock, tmp_path, answered):
    report = brought(app, tmp_path, "trama", mixed(service), hosts=[service.moved])
    service.says("/step/slow", (202, {}))
    view = end(app, clock, "imported.mixed", {"orderId": "o-1"})
    if answered:
        app.deliver(view.run, {}, node="slow_callback")
    for _ in range(5):
        clock.advance(60)
        view = carried(app, clock, view.run)
    assert view.status == "succeeded"
    assert {"/step/t0", "/step/quick", "/step/slow", "/step/late"} < set(service.paths)
    assert service.paths[-1] == ("/step/final" if answered else "/step/partly")
    assert any("join gives an object by branch" in each for each in told(report, "changed"))


def test_a_last_step_that_fails_undoes_what_came_before_the_split(app, service, clock, tmp_path):
    brought(app, tmp_path, "trama", mixed(service), hosts=[service.moved])
    service.says("/step/slow", (202, {}))
    service.says("/step/final", (500, {}))
    view = end(app, clock, "imported.mixed", {"orderId": "o-1"})
    app.deliver(view.run, {}, node="slow_callback")
    for _ in range(3):
        clock.advance(60)
        view = carried(app, clock, view.run)
    assert view.status == "compensated"
    assert service.paths[-1] == "/undo/t0"


def test_a_loop_that_never_paused_pauses_now(app, service, clock, tmp_path):
    nodes = [
        task(service, "poll", verb="GET", undo=False, next="done?"),
        {
            "kind": "switch",
            "id": "done?",
            "cases": [{"when": {"==": [{"var": "nodes.poll.response.body.ready"}, True]}, "target": "after"}],
            "default": "poll",
        },
        task(service, "after", undo=False),
    ]
    report = brought(app, tmp_path, "trama", graph("polling", nodes), hosts=[service.moved])
    service.says("/step/poll", {"ready": False}, {"ready": False}, {"ready": True})
    begun = clock.now()
    assert end(app, clock, "imported.polling", {}).status == "succeeded"
    assert service.paths == [*["/step/poll"] * 3, "/step/after"]
    assert clock.now() - begun == pytest.approx(2)
    assert any("pauses for 1 second" in each for each in told(report, "changed"))


def test_a_secret_in_a_header_becomes_the_name_of_one(app, service, clock, tmp_path):
    headers = {"Authorization": "Bearer t0p-5ecret"}
    nodes = [task(service, "pay", {"a": 1}, undo=False, headers=headers)]
    report = brought(app, tmp_path, "trama", graph("pay", nodes), hosts=[service.moved])
    assert report["secrets"] == ["PAY_AUTHORIZATION"]
    for file in (tmp_path / "out").rglob("*.*"):
        assert "t0p-5ecret" not in file.read_text()
    assert end(app, clock, "imported.pay", {}).status == "succeeded"
    assert service.seen[0].headers["authorization"] == "Bearer t0p-5ecret"


# ---------------------------------------------------------------- without a run


def nodes_of(migration):
    return {node["id"]: node for node in migration.workflow["nodes"]}


def imported(definition, **options):
    return migrate("trama", definition, Options(**options))


def lost(migration):
    return [f"{each.at} {each.message}" for each in migration.lost]


def one(url="https://a.example.com/x", verb="POST", **more):
    request = {"url": url, "verb": verb, **more}
    return graph("one", [{"kind": "task", "id": "t", "action": {"mode": "sync", "request": request}}])


TEMPLATES = {
    "text": ("{{payload.a}}", {"text": {"cat": [{"var": "input.a"}]}}, 0),
    "json text": ('{"a": "{{payload.a}}"}', {"json": {"a": {"cat": [{"var": "input.a"}]}}}, 0),
    "json value": (
        '{"a": {{payload.a}}, "b": [{{{payload.b}}}, 1]}',
        {"json": {"a": {"var": "input.a"}, "b": [{"var": "input.b"}, 1]}},
        0,
    ),
    "around": ({"a": "x {{payload.a}} y"}, {"json": {"a": {"cat": ["x ", {"var": "input.a"}, " y"]}}}, 0),
    "alias": ({"a": "{{input.a.b}}"}, {"json": {"a": {"cat": [{"var": "input.a.b"}]}}}, 0),
    "index": ({"a": "{{payload.list[0].id}}"}, {"json": {"a": {"cat": [{"var": "input.list.0.id"}]}}}, 0),
    "comment": ("a{{! not this }}b", {"text": "ab"}, 0),
    "section": ("a{{#payload.x}}b{{#payload.x}}c{{/payload.x}}d{{/payload.x}}e", {"text": "ae"}, 1),
    "inverted": ("a{{^payload.x}}b{{/payload.x}}c", {"text": "ac"}, 1),
    "no end": ("a{{#payload.x}}b", {"text": "a"}, 2),
    "partial": ("a{{> other}}b", {"text": "ab"}, 1),
    "delimiters": ("a{{=<% %>=}}b", {"text": "ab"}, 1),
    "unknown": ("a{{somewhere.else}}b", {"text": "ab"}, 1),
    "all steps": ({"a": "{{steps}}"}, {"json": {"a": ""}}, 1),
    "looks like an operation": ({"in": ["a", "b"]}, {"json": {"literal": {"in": ["a", "b"]}}}, 0),
    "plain": ({"a": [1, None, True]}, {"json": {"a": [1, None, True]}}, 0),
    "wrapped": ({"value": "{{sagaName}} {{sagaVersion}} {{phase}}"}, {"text": "one v1 UP"}, 0),
    "wrapped with more": ({"value": "x", "other": 1}, {"text": "x"}, 1),
    "run": ("{{sagaId}}", {"text": {"cat": [{"var": "run.id"}]}}, 0),
}


@pytest.mark.parametrize(("body", "expected", "losses"), TEMPLATES.values(), ids=TEMPLATES)
def test_templates_become_references_and_text(body, expected, losses):
    made = imported(one(body=body))
    given = nodes_of(made)["t"]["with"]
    assert {key: given[key] for key in ("json", "text") if key in given} == expected
    assert len(made.lost) == losses, lost(made)


LOGIC = {
    "===": ({"===": [{"var": "payload.a"}, 1]}, {"==": [{"var": "input.a"}, 1]}),
    "!==": ({"!==": [{"var": "payload.a"}, 1]}, {"!=": [{"var": "input.a"}, 1]}),
    "between": ({"<": [1, {"var": "payload.a"}, 5]}, {"<": [1, {"var": "input.a"}, 5]}),
    "default": ({"==": [{"var": ["payload.a", 3]}, 3]}, {"==": [{"var": ["input.a", 3]}, 3]}),
    "and": (
        {"and": [{">": [{"var": "payload.a"}, 1]}, {"!": [{"var": "payload.b"}]}]},
        {"and": [{">": [{"var": "input.a"}, 1]}, {"!": [{"var": "input.b"}]}]},
    ),
    "in": ({"in": [{"var": "payload.a"}, ["x", "y"]]}, {"in": [{"var": "input.a"}, ["x", "y"]]}),
    "if": ({"if": [{"var": "payload.a"}, True]}, {"if": [{"var": "input.a"}, True, None]}),
    "?:": ({"?:": [{"var": "payload.a"}, True, False]}, {"if": [{"var": "input.a"}, True, False]}),
    "missing": ({"==": [{"missing": ["payload.a"]}, []]}, {"==": [{"missing": ["input.a"]}, []]}),
    "min": (
        {">": [{"min": [{"var": "payload.a"}, 2]}, 1]},
        {">": [{"if": [{"<": [{"var": "input.a"}, 2]}, {"var": "input.a"}, 2]}, 1]},
    ),
    "!!": ({"!!": [{">": [{"var": "payload.a"}, 1]}]}, {">": [{"var": "input.a"}, 1]}),
    "as text": ('{"==": [{"var": "payload.a"}, 1]}', {"==": [{"var": "input.a"}, 1]}),
    "some": ({"some": [{"var": "payload.a"}, {">": [{"var": ""}, 1]}]}, False),
    "%": ({"==": [{"%": [{"var": "payload.a"}, 2]}, 0]}, False),
    "unknown": ({"matches": [{"var": "payload.a"}, "x"]}, False),
    "truth of a value": ({"!!": [{"var": "payload.a"}]}, False),
    "and of values": ({"and": [{"var": "payload.a"}, "x"]}, False),
    "unknown root": ({"==": [{"var": "payment_method"}, "card"]}, False),
    "unknown node": ({"==": [{"var": "nodes.tt.response.body.x"}, "card"]}, False),
    "everything": ({"==": [{"var": ""}, "card"]}, False),
    "no logic": ("maybe", False),
}


@pytest.mark.parametrize(("when", "expected"), LOGIC.values(), ids=LOGIC)
def test_conditions_are_carried_over_or_told_to_be_lost(when, expected):
    nodes = one()["nodes"]
    switch = {"kind": "switch", "id": "s", "cases": [{"when": when, "target": "t"}], "default": "t"}
    made = imported(graph("logic", [switch, *nodes]))
    assert nodes_of(made)["s"]["cases"][0]["when"] == expected
    assert [each.startswith("$.nodes[0].cases[0].when") for each in lost(made)] == ([True] if expected is False else [])


REQUESTS = {
    "host from data": ({"url": "{{payload.base}}/x"}, {}, "--host NAME"),
    "part of a host": ({"url": "https://{{payload.shop}}.example.com/x"}, {}, "--host NAME"),
    "address": ({"url": "http://10.1.2.3:80/x"}, {}, "--host 10.1.2.3:80=NAME"),
    "user": ({"url": "https://u:p@a.example.com/x"}, {}, "is no name of a host"),
    "other scheme": ({"url": "ftp://a.example.com/x"}, {}, "no URL"),
    "OPTIONS": ({"verb": "OPTIONS"}, {}, "a OPTIONS request"),
    "success above": ({"successStatusCodes": [200, 503]}, {}, "cannot mean success"),
    "body of GET": ({"verb": "GET", "body": "x"}, {}, "no body"),
    "own header": ({"headers": {"Content-Length": "3"}}, {}, "Content-Length"),
}


@pytest.mark.parametrize(("more", "options", "words"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_that_cannot_be_made_is_told(more, options, words):
    made = imported(one(**more), **options)
    assert any(words in each for each in lost(made)), lost(made)


def test_a_host_from_data_is_reached_when_a_person_names_it():
    made = imported(one(url="{{payload.base}}/x"), more_hosts=("shop.example.com",))
    assert made.lost == ()
    node = nodes_of(made)["t"]
    assert node["capability"] == "imported.one_post_any"
    assert node["with"]["url"] == {"cat": [{"var": "input.base"}, "/x"]}
    assert '"hosts": [\n        "shop.example.com"\n      ]' in made.capabilities["imported.one_post_any"]


def test_a_capability_names_exactly_the_hosts_of_its_requests():
    nodes = [
        {
            "kind": "task",
            "id": "a",
            "action": {
                "mode": "sync",
                "request": {"url": "https://A.example.com/{{payload.x}}?q={{payload.y}}", "verb": "GET"},
            },
            "next": "b",
        },
        {
            "kind": "task",
            "id": "b",
            "action": {"mode": "sync", "request": {"url": "https://b.example.com:8443/", "verb": "PUT"}},
        },
    ]
    made = imported(graph("two", nodes))
    assert set(made.capabilities) == {"imported.two_get", "imported.two_put"}
    assert '"a.example.com"' in made.capabilities["imported.two_get"]
    assert "b.example.com" not in made.capabilities["imported.two_get"]
    assert nodes_of(made)["a"]["with"]["url"] == "https://a.example.com/{1}?q={2}"
    assert made.settings == ("[http]", "ports = [443, 8443]")


def test_what_may_not_have_run_has_a_default_and_is_told():
    url = "https://a.example.com/"
    switch = {"kind": "switch", "id": "s", "cases": [{"when": {"var": "payload.a"}, "target": "x"}], "default": "y"}
    x, y = (
        {"kind": "task", "id": id, "action": {"mode": "sync", "request": {"url": url + id, "verb": "GET"}}, "next": "z"}
        for id in "xy"
    )
    body = {"x": "{{nodes.x.response.body.v}}", "last": "{{prev.body.v}}"}
    z = {"kind": "task", "id": "z", "action": {"mode": "sync", "request": {"url": url, "verb": "POST", "body": body}}}
    made = imported(graph("ways", [switch, x, y, z]))
    given = nodes_of(made)["z"]["with"]["json"]
    assert given["x"] == {"cat": [{"var": ["nodes.x.output.body.v", ""]}]}
    assert given["last"]["cat"][0] == {"var": ["nodes.x.output.body.v", {"var": ["nodes.y.output.body.v", ""]}]}
    assert any("'x' may not have run" in each.message for each in made.report if each.severity == "changed")


def test_everything_that_is_wrong_is_told_at_once():
    service = type("S", (), {"url": "http://localhost:5003"})
    broken = graph("broken", [task(service, "validate", next="choose-payement")], start="validaet")
    broken["nodes"] += [
        {"kind": "switch", "id": "choose-payment", "cases": [{"when": True, "target": "pix"}], "default": "pix"},
        {"kind": "task", "id": "pix", "action": {"mode": "async", "request": call(service, "/x")}},
        {"kind": "taks", "id": "other"},
    ]
    with pytest.raises(InvalidInput) as error:
        imported(broken)
    said = [each["message"] for each in error.value.facts["problems"]]
    assert said == [
        "an asynchronous task has a 'callback' with 'timeoutMillis'",
        "unknown kind 'taks'; did you mean 'task'?",
        "there is no node 'validaet'; did you mean 'validate'?",
        "there is no node 'choose-payement'; did you mean 'choose-payment'?",
    ]


def test_forms_that_were_written_and_never_known_are_taken_and_told():
    request = {"url": "https://a.example.com/", "verb": "GET"}
    nodes = [
        {"kind": "sleep", "id": "s", "durationSeconds": 5, "next": "t"},
        {"kind": "task", "id": "t", "action": {"mode": "sync", "request": request}, "next": "end", "max_iterations": 3},
        {"kind": "task", "id": "apart", "action": {"mode": "sync", "request": request}},
    ]
    made = imported(graph("old", nodes))
    assert nodes_of(made)["s"]["seconds"] == 5
    assert "next" not in nodes_of(made)["t"]
    assert lost(made) == ["$.nodes[1].max_iterations nothing here corresponds to this field"]
    assert any("'apart'" in each.message for each in made.report if each.severity == "changed")


def test_two_values_of_a_header_are_two_secrets():
    nodes = one(headers={"X-Api-Key": "first"})["nodes"]
    nodes[0]["compensation"] = {"url": "https://a.example.com/", "verb": "POST", "headers": {"X-Api-Key": "second"}}
    made = imported(graph("keys", nodes))
    assert made.secrets == ("KEYS_X_API_KEY", "KEYS_X_API_KEY_2")
    assert nodes_of(made)["t"]["with"]["headers"] != nodes_of(made)["t"]["compensation"]["with"]["headers"]


def test_an_address_that_is_no_host_is_told_once():
    made = imported_linear("http://127.0.0.1:5003/a", "http://127.0.0.1:5003/b", "http://127.0.0.2/c")
    assert sum("127.0.0.1:5003=NAME" in each.message for each in made.report) == 1
    assert sum("127.0.0.2=NAME" in each.message for each in made.report) == 1
    assert sum("the request cannot be made" in each.message for each in made.report) == 3


def imported_linear(*urls):
    undo = {"url": "https://shop.example.com/undo", "verb": "POST"}
    steps = [{"name": f"s{n}", "up": {"url": url, "verb": "POST"}, "down": undo} for n, url in enumerate(urls)]
    given = {"name": "addresses", "version": "1", "failureHandling": RETRY, "steps": steps}
    return migrate("trama", given, Options())
