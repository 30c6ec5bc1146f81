"""JSON Schema as it is applied here: whoever wrote a schema, checking a value ends, and stays in the schema."""

import random

import pytest
from jsonschema import Draft202012Validator

from ritesmith.schemas import _glanced_at, problems, schema_problems


def text(pattern):
    return {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("^[a-z]+$", "abc", "abc\n"),
        (r"^\d{4}-\d\d$", "2026-01", "26-1"),
        (r"\p{L}+", "é", "12"),
        ("^[^\\u0000-\\u001f]*$", "a b", "a\x07b"),
        (r"^\\u0041$", "\\u0041", "A"),
        ("^(a+)+$", "a" * 40, "a" * 40 + "!"),
    ],
)
def test_a_pattern_means_what_json_schema_says_and_ends_in_linear_time(pattern, fits, does_not):
    assert schema_problems(text(pattern)) == []
    assert problems(text(pattern), {"x": fits}) == []
    assert [path for path, _ in problems(text(pattern), {"x": does_not})] == ["$.x"]


@pytest.mark.parametrize("pattern", ["[", "(", "(?=a)", r"(.)\1", "(a{1000}){1000}"])
def test_a_pattern_that_cannot_be_matched_so_is_a_problem_of_the_schema(pattern):
    [(path, message)] = schema_problems(text(pattern))
    assert path == "$.properties.x.pattern"
    assert "cannot be used" in message


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "objet"}, "$.type"),
        ({"patternProperties": {"(a+)+$": {}}}, "$.patternProperties"),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "$.$ref"),
        ({"properties": {"x": {"$ref": "#/$defs/missing"}}}, "$.properties.x.$ref"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "$"),
    ],
    ids=["type", "patternProperties", "remote", "missing", "endless"],
)
def test_what_could_leave_the_schema_or_never_end_is_refused(schema, path):
    assert [found for found, _ in schema_problems(schema)] == [path]


def test_definitions_of_the_schema_itself_may_be_used():
    tree = {
        "$ref": "#/$defs/tree",
        "$defs": {"tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}},
    }
    assert schema_problems(tree) == []
    assert [path for path, _ in problems(tree, {"next": {"next": 1}})] == ["$.next.next"]


def test_what_is_seen_at_a_glance_is_what_jsonschema_says():
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    names = ("a", "b", "c")

    def schema(depth):
        made = {}
        if rng.random() < 0.7:
            kinds = ["object", "array", "string", "integer", "number", "boolean", "null"]
            made["type"] = rng.choice([*kinds, *kinds, kinds[:2]])
        if depth and rng.random() < 0.6:
            made["properties"] = {name: schema(depth - 1) for name in rng.sample(names, rng.randint(0, 3))}
        if rng.random() < 0.3:
            made["required"] = rng.sample(names, rng.randint(0, 2))
        if depth and rng.random() < 0.4:
            made["additionalProperties"] = rng.choice([True, False, schema(depth - 1)])
        if depth and rng.random() < 0.3:
            made["items"] = rng.choice([True, False, schema(depth - 1)])
        for keyword, values in {
            "enum": [["a", 1], [1, True], ["b", None]],
            "prefixItems": [[{"type": "string"}]],
            "patternProperties": [{"^a": {"type": "null"}}],
            "title": ["a"],
            "minimum": [1],
            "const": ["a", 1],
        }.items():
            if rng.random() < 0.05:
                made[keyword] = rng.choice(values)
        return made if rng.random() < 0.95 else rng.random() < 0.5

    def value(depth):
        plain = [None, True, False, 0, 1, 2, 1.0, 0.5, "a", "b", ""]
        if not depth or rng.random() < 0.3:
            return rng.choice(plain)
        if rng.random() < 0.3:
            return [value(depth - 1) for _ in range(rng.randint(0, 3))]
        return {name: value(depth - 1) for name in rng.sample(names, rng.randint(0, 3))}

    seen = 0
    for _ in range(3000):
        each, looked_at = schema(2), value(2)
        if _glanced_at(each)[1](looked_at):
            seen += 1
            assert Draft202012Validator(each).is_valid(looked_at), (each, looked_at)
    assert seen > 100
