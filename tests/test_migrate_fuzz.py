"""Whatever is imported, there is a workflow with a report or a clear refusal, and no field goes by unnoticed.

Definitions that are right are changed at random: parts are exchanged, removed, renamed, repeated. Seeds are printed.
"""

from __future__ import annotations

import copy
import json
import random

import pytest
from asl_corpus import CORPUS

from ritesmith.contract import read_capability
from ritesmith.errors import InvalidInput
from ritesmith.guard.workflow_shape import read_workflow
from ritesmith.migrate import SOURCES, Options, migrate
from ritesmith.migrate.source import Source

REQUEST = {
    "url": "https://a.example.com/x/{{payload.id}}",
    "verb": "POST",
    "headers": {"Content-Type": "application/json", "X-Of": "{{sagaId}}", "Authorization": "Bearer x"},
    "body": {"id": "{{payload.id}}", "more": ["{{nodes.a.response.body.v}}", 1]},
    "successStatusCodes": [200, 201],
}
GRAPH = {
    "name": "everything",
    "version": "v7",
    "failureHandling": {
        "type": "backoff",
        "maxAttempts": 3,
        "initialDelayMillis": 100,
        "maxDelayMillis": 900,
        "multiplier": 3,
        "jitterRatio": 0.5,
    },
    "entrypoint": "a",
    "nodes": [
        {
            "kind": "task",
            "id": "a",
            "action": {
                "mode": "sync",
                "request": {"url": "https://a.example.com/", "verb": "GET"},
                "successStatusCodes": [204],
            },
            "compensation": REQUEST,
            "next": "b",
        },
        {
            "kind": "task",
            "id": "b",
            "action": {
                "mode": "async",
                "request": {**REQUEST, "body": "{{runtime.callback.url}} {{runtime.callback.token}}"},
                "acceptedStatusCodes": [202],
                "callback": {
                    "timeoutMillis": 5000,
                    "successWhen": {"==": [{"var": "callback.body.ok"}, True]},
                    "failureWhen": {"!=": [{"var": "callback.body.error"}, None]},
                },
            },
            "compensation": {"url": "https://a.example.com/undo", "verb": "DELETE"},
            "next": "s",
        },
        {
            "kind": "switch",
            "id": "s",
            "cases": [{"name": "many", "when": {">": [{"var": "payload.n"}, 3]}, "target": "z"}],
            "default": "f",
        },
        {"kind": "sleep", "id": "z", "durationMillis": 2500, "next": "f"},
        {"kind": "split", "id": "f", "branches": ["p", "q"], "join": "j"},
        {"kind": "task", "id": "p", "action": {"mode": "sync", "request": REQUEST}},
        {"kind": "sleep", "id": "q", "durationMillis": 1000},
        {"kind": "join", "id": "j", "next": "e"},
        {"kind": "task", "id": "e", "action": {"mode": "sync", "request": {**REQUEST, "body": "{{prev.body}}"}}},
    ],
    "onSuccessCallback": REQUEST,
    "onFailureCallback": {"url": "https://b.example.com/", "verb": "PUT", "body": "failed"},
}
LINEAR = {
    "name": "in.a.row",
    "version": "v1",
    "failureHandling": {"type": "retry", "maxAttempts": 1, "delayMillis": 700},
    "steps": [
        {"name": "one", "up": REQUEST | {"body": "1"}, "down": REQUEST | {"body": {"u": "{{step.0.up.body.x}}"}}},
        {
            "name": "two",
            "up": REQUEST | {"body": {"p": "{{step.one.body.y}}"}},
            "down": {"url": "https://c.example.com/", "verb": "POST"},
        },
    ],
}
PLAN = {
    "status": "success",
    "nodes": [
        {
            "id": 0,
            "thought": "look it up",
            "tool": "search",
            "function": "run",
            "inputs": {"query": "x", "max": 5},
            "depends_on": [],
            "retry": 1,
            "on_fail": "continue",
            "timeout": 30,
            "metadata": {"purpose": "facts"},
        },
        {"id": 1, "tool": "wiki", "function": "page", "inputs": {"title": "y"}, "depends_on": [], "on_fail": "halt"},
        {
            "id": 2,
            "tool": "write",
            "function": "text",
            "inputs": {"a": '{{STEPS.0.result | default: "none"}}', "b": ["{{STEPS.1}}", {"c": "so: {{STEPS.1.t}}"}]},
            "depends_on": [0, 1],
        },
    ],
    "final_output_node": 2,
}
GRAPH, LINEAR = json.loads(json.dumps([GRAPH, LINEAR]))  # each request a value of its own, which can be changed alone
SEEDS: dict[str, list] = {"trama": [GRAPH, LINEAR], "smith-dag": [PLAN], "asl": list(CORPUS.values())}
JUNK = [
    *(None, True, 0, -1, 1e300, 2**70, "", "x", "$", "$.a", "$$.b", "{{", "{{x}}", "}}", "\x00", "ü", [], {}, [[]]),
    *({"var": "x"}, {"$": 1}, {"value": "{{a}}"}, ["a", 1], {"and": []}, "States.Format('{}", "JSONata"),
    *("https://{{payload.h}}/", "http://x"),
]


def places(value, path=()):
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in members:
        yield from places(each, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def spoiled(value, chance):
    """A definition with some of its parts changed."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
        path = chance.choice([each for each in places(value) if each] or [()])
        if not path:
            return chance.choice(JUNK)
        holder, key = at(value, path[:-1]), path[-1]
        how = chance.randrange(6)
        if how == 0:
            holder[key] = copy.deepcopy(chance.choice(JUNK))
        elif how == 1:
            del holder[key]
        elif how == 2:
            holder[key] = copy.deepcopy(at(value, chance.choice(list(places(value)))))
        elif how == 3 and isinstance(holder, dict):
            holder[chance.choice(["x", f"{key}s", str(key).upper(), "a.b"])] = holder.pop(key)
        elif how == 4 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            names = [each for each in places(value) if isinstance(at(value, each), str)]
            holder[key] = at(value, chance.choice(names)) if names else "y"
    return value


def is_whole(made):
    """What came out has the shape of a workflow and of capability files, and can be told as JSON."""
    workflow, findings = read_workflow(made.workflow, "w.json")
    assert workflow is not None, findings
    for name, text in made.capabilities.items():
        capability, findings = read_capability(text, name)
        assert capability is not None, findings
    json.dumps([each.model_dump() for each in made.report], allow_nan=False)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("seed", range(5))
def test_a_spoiled_definition_is_imported_or_refused(source, seed):
    chance = random.Random(f"{source}/{seed}")
    print(f"seed {source}/{seed}")
    imported = 0
    for number in range(400):
        value = spoiled(chance.choice(SEEDS[source]), chance)
        try:
            made = migrate(source, value, Options(more_hosts=("h.example.com",) * (number % 2)))
        except InvalidInput:
            continue
        else:
            is_whole(made)
            imported += 1
    assert imported > 20, f"seed {source}/{seed}"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "value", [*JUNK, [{"a": 1}], {"nodes": {}}, {"States": {}}, {"nodes": [1, None]}, {"steps": "x"}], ids=repr
)
def test_what_is_no_definition_is_refused(source, value):
    with pytest.raises(InvalidInput):
        migrate(source, value, Options())


DEFINITIONS = [
    *(pytest.param("trama", each, id=each["name"]) for each in (GRAPH, LINEAR)),
    pytest.param("smith-dag", PLAN, id="plan"),
    *(pytest.param("asl", each, id=name) for name, each in CORPUS.items()),
]


def outcome(source, value):
    """All that an import says: what it made, and what it told, or the refusal."""
    try:
        made = migrate(source, value, Options(callback_url="https://gate.example.com"))
    except InvalidInput as error:
        return error.message
    return json.dumps([made.workflow, made.capabilities, [each.model_dump() for each in made.report]], sort_keys=True)


@pytest.mark.parametrize(("source", "definition"), DEFINITIONS)
def test_every_field_of_a_definition_counts(source, definition):
    """A field whose value may change with nothing to be seen was read and thrown away."""
    plain = outcome(source, definition)
    silent = []
    for path in places(definition):
        value = at(definition, path)
        if not path or isinstance(value, dict | list):
            continue
        other = copy.deepcopy(definition)
        at(other, path[:-1])[path[-1]] = (
            {True: False, False: True}.get(value)
            if isinstance(value, bool)
            else (value + 1 if isinstance(value, int | float) else f"{value}q" if isinstance(value, str) else "q")
        )
        if outcome(source, other) == plain:
            silent.append(path)
    assert silent == []


@pytest.mark.parametrize(("source", "definition"), DEFINITIONS)
def test_a_field_that_nobody_knows_is_reported(source, definition):
    """A further key in every object: each is told, but in data, where it is data."""
    for path in places(definition):
        if not isinstance(at(definition, path), dict):
            continue
        other = copy.deepcopy(definition)
        at(other, path)["colourOfTheBikeShed"] = "blue"
        assert "colourOfTheBikeShed" in outcome(source, other), path


def test_the_tracker_tells_what_was_not_read():
    source = Source.of({"a": {"b": 1, "c": [{"d": 2}, 3]}, "e f": None, "g": {"h": 1}, "i": {"j": 1}}, "test")
    inner = source.object("a")
    next(iter(inner.list("c"))).number("d")
    source.member("g")
    source.member("i").all()
    assert source.notes.unread() == ["$.a.b", "$.g.h", "$['e f']"]
    source.notes.close()
    assert [(each.severity, each.at) for each in source.notes.differences] == [
        ("lost", "$.a.b"),
        ("lost", "$.g.h"),
        ("lost", "$['e f']"),
    ]
