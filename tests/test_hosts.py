"""Host functions: each declared once, answering as declared, inside its grant, against a real file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from ritesmith.db import open_throwaway
from ritesmith.hosts import CATALOG, HostEnvironment, answer, describe, effect_of, outside_grant, store
from ritesmith.hosts.store import read_world, write_world
from ritesmith.models import Contract
from ritesmith.schemas import problems, schema_problems

NOW = 1_800_000_000.25
EFFECTS = {
    "email.send": "write",
    "file.read": "read",
    "file.write": "write",
    "http.get_json": "read",
    "http.post_json": "write",
    "http.request": "write",
    "id.new": "pure",
    "llm.complete": "read",
    "log.info": "pure",
    "notify.webhook": "write",
    "random.integer": "pure",
    "random.number": "pure",
    "sql.query": "read",
    "store.delete": "write",
    "store.get": "read",
    "store.list": "read",
    "store.put": "write",
    "time.now": "read",
}


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(open_throwaway()) as made:
        yield made


class Host:
    """Calls host functions, and checks every result against its own declaration."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.seed = "r1/a/1/0"

    def __call__(self, name: str, **args: Any) -> Any:
        reply = answer(name, args, HostEnvironment(self.connection, NOW, self.seed, "r1/a/0"))
        assert reply.error is None, reply.error
        assert problems(CATALOG[name].output, reply.result) == []
        return reply.result

    def fails(self, name: str, **args: Any) -> str:
        reply = answer(name, args, HostEnvironment(self.connection, NOW, self.seed, "r1/a/0"))
        assert reply.error is not None, reply.result
        assert reply.error.message
        return reply.error.code


@pytest.fixture
def host(connection: sqlite3.Connection) -> Host:
    return Host(connection)


# ---------------------------------------------------------------- declarations


def test_the_catalog_is_whole_and_says_each_effect() -> None:
    assert {name: declaration.effect for name, declaration in CATALOG.items()} == EFFECTS
    assert list(CATALOG) == sorted(CATALOG)


@pytest.mark.parametrize("name", EFFECTS)
def test_a_declaration_holds_together(name: str) -> None:
    declaration = CATALOG[name]
    assert declaration.name == name
    assert declaration.description.endswith(".")
    for schema in (declaration.input, declaration.output):
        assert schema_problems(schema) == []
        assert schema["type"] == "object"
        assert schema["additionalProperties"] is False
    for plural, schema in declaration.narrows.items():
        assert schema_problems(schema) == []
        argument = {"hosts": "url", "recipients": "to"}.get(plural, plural.removesuffix("s"))
        said = argument in declaration.input["required"] or "default" in declaration.input["properties"].get(
            argument, {}
        )
        assert said or plural == "secrets", "what is narrowed must be said in every call"
    inside = name.startswith(("id.", "log.", "random.", "store.", "time."))
    assert declaration.outside is not inside
    assert declaration.transactional == name.startswith("store.")


@pytest.mark.parametrize("name", EFFECTS)
def test_the_example_of_a_declaration_fits_it_and_lies_inside_its_grant(name: str) -> None:
    told = describe.whole(CATALOG[name])
    example = told["example"]
    grant = example["grants"][name]
    assert problems(CATALOG[name].input, example["args"]) == []
    assert [problems(schema, grant[key]) for key, schema in CATALOG[name].narrows.items() if key in grant] == [
        [] for _ in grant
    ]
    assert outside_grant(CATALOG[name], example["args"], grant) is None
    assert example["call"].startswith(f"{name}{{")
    assert describe.row(CATALOG[name]).items() <= (told | {"narrows": list(told["narrows"])}).items()


@pytest.mark.parametrize("name", EFFECTS)
def test_arguments_are_checked_before_anything_happens(host: Host, name: str) -> None:
    assert host.fails(name, nonsense=1) == "bad_argument"


def test_an_empty_list_is_an_empty_table(connection: sqlite3.Connection) -> None:
    reply = answer("time.now", [], HostEnvironment(connection, NOW, "s", "k"))
    assert reply.error is None


@pytest.mark.parametrize(
    ("grants", "effect"),
    [
        ({}, "pure"),
        ({"log.info": {}, "random.number": {}}, "pure"),
        ({"log.info": {}, "time.now": {}}, "read"),
        ({"store.put": {"namespaces": ["a"]}, "store.get": {"namespaces": ["a"]}}, "write"),
    ],
)
def test_the_effect_of_a_capability_is_the_widest_of_its_grants(grants: dict[str, Any], effect: str) -> None:
    contract = Contract(name="test.it", intent="to be tried", input={}, output={}, grants=grants)
    assert effect_of(contract) == effect


# ---------------------------------------------------------------- grants


@pytest.mark.parametrize(
    ("args", "grant", "inside"),
    [
        ({"namespace": "orders", "key": "x"}, {"namespaces": ["orders"]}, True),
        ({"namespace": "orders", "key": "x"}, {"namespaces": ["a", "orders"]}, True),
        ({"namespace": "order", "key": "x"}, {"namespaces": ["orders"]}, False),
        ({"namespace": "ORDERS", "key": "x"}, {"namespaces": ["orders"]}, False),
        ({"namespace": ["orders"], "key": "x"}, {"namespaces": ["orders"]}, False),
        ({"namespace": {"a": 1}, "key": "x"}, {"namespaces": ["orders"]}, False),
        ({"namespace": None, "key": "x"}, {"namespaces": ["orders"]}, False),
        ({"key": "x"}, {"namespaces": ["orders"]}, False),
        ([], {"namespaces": ["orders"]}, False),
        ({"namespace": "orders", "key": "x"}, {}, False),
        ({"namespace": "orders", "key": "x"}, {"namespaces": []}, False),
    ],
)
@pytest.mark.parametrize("name", ["store.get", "store.put", "store.delete", "store.list"])
def test_a_call_outside_its_grant_is_named(name: str, args: Any, grant: dict[str, Any], inside: bool) -> None:
    refused = outside_grant(CATALOG[name], args, grant)
    assert (refused is None) is inside
    if refused is not None:
        assert refused.startswith(f"{name}: namespace ")
        assert "is not granted" in refused


def test_what_narrows_nothing_is_inside_any_grant() -> None:
    assert outside_grant(CATALOG["time.now"], {}, {}) is None


# ---------------------------------------------------------------- store


def test_a_document_is_put_read_and_deleted(host: Host) -> None:
    assert host("store.get", namespace="orders", key="a") == {"value": None, "version": 0}
    assert host("store.put", namespace="orders", key="a", value={"n": 1}) == {"version": 1}
    assert host("store.put", namespace="orders", key="a", value={"n": 2.5, "t": "ä"}) == {"version": 2}
    assert host("store.get", namespace="orders", key="a") == {"value": {"n": 2.5, "t": "ä"}, "version": 2}
    assert host("store.get", namespace="others", key="a")["version"] == 0
    assert host("store.delete", namespace="orders", key="a") == {"deleted": True}
    assert host("store.delete", namespace="orders", key="a") == {"deleted": False}
    assert host("store.get", namespace="orders", key="a") == {"value": None, "version": 0}


def test_a_write_with_another_version_is_a_conflict_that_may_be_retried(host: Host) -> None:
    host("store.put", namespace="orders", key="a", value={"n": 1}, if_version=0)
    for version in (0, 2):
        assert host.fails("store.put", namespace="orders", key="a", value={"n": 2}, if_version=version) == (
            "store_conflict"
        )
        assert host.fails("store.delete", namespace="orders", key="a", if_version=version) == "store_conflict"
    assert host("store.get", namespace="orders", key="a") == {"value": {"n": 1}, "version": 1}
    args = {"namespace": "orders", "key": "a", "value": {}, "if_version": 9}
    reply = answer("store.put", args, HostEnvironment(host.connection, NOW, "s", "k"))
    assert reply.error is not None
    assert reply.error.retryable
    assert host("store.put", namespace="orders", key="a", value={"n": 2}, if_version=1) == {"version": 2}
    assert host("store.delete", namespace="orders", key="a", if_version=2) == {"deleted": True}


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("^a$", "a", "a\n"),
        ("^[a$]$", "$", "$\n"),
        (r"^a\$$", "a$", "a$\n"),
        (r"^a\\$", "a\\", "a\\\n"),
        ("a|b$", "ax", "xb\n"),
        ("^[]$]$", "]", "x"),
        (r"^[\]$]+$", "]$", "]$\n"),
    ],
)
def test_a_pattern_that_ends_with_a_dollar_lets_no_line_feed_follow(pattern: str, fits: str, does_not: str) -> None:
    schema = {"type": "string", "pattern": pattern}
    assert problems(schema, fits) == []
    assert len(problems(schema, does_not)) == 1


@pytest.mark.parametrize(
    "args",
    [
        {"namespace": "Orders", "key": "a", "value": {}},
        {"namespace": "o" * 64, "key": "a", "value": {}},
        {"namespace": "o.o", "key": "a", "value": {}},
        {"namespace": "o\n", "key": "a", "value": {}},
        {"namespace": "orders", "key": "", "value": {}},
        {"namespace": "orders", "key": "k" * 201, "value": {}},
        {"namespace": "orders", "key": "a\0b", "value": {}},
        {"namespace": "orders", "key": 1, "value": {}},
        {"namespace": "orders", "key": "a", "value": []},
        {"namespace": "orders", "key": "a", "value": None},
        {"namespace": "orders", "key": "a"},
        {"namespace": "orders", "key": "a", "value": {}, "if_version": -1},
        {"namespace": "orders", "key": "a", "value": {}, "if_version": True},
    ],
    ids=repr,
)
def test_a_document_that_could_not_be_found_again_is_refused(host: Host, args: dict[str, Any]) -> None:
    assert host.fails("store.put", **args) == "bad_argument"
    assert read_world(host.connection) == {}


def test_a_document_has_a_largest_size(host: Host) -> None:
    limit = store.DOCUMENT_BYTES_MAX
    fits = {"t": "x" * (limit - len('{"t":""}'))}
    host("store.put", namespace="orders", key="a", value=fits)
    assert host.fails("store.put", namespace="orders", key="a", value={"t": fits["t"] + "x"}) == "store_too_large"
    assert host("store.get", namespace="orders", key="a") == {"value": fits, "version": 1}


def test_a_list_is_in_order_of_keys_and_says_when_there_is_more(host: Host) -> None:
    for key in ("b", "a", "ä", "B", "a%", "a_x", "aax", "10", "9"):
        host("store.put", namespace="orders", key=key, value={"key": key})
    host("store.put", namespace="others", key="a", value={})

    def keys(**args: Any) -> tuple[list[str], bool]:
        listed = host("store.list", namespace="orders", **args)
        assert all(item["value"] == {"key": item["key"]} and item["version"] == 1 for item in listed["items"])
        return [item["key"] for item in listed["items"]], listed["more"]

    assert keys() == (["10", "9", "B", "a", "a%", "a_x", "aax", "b", "ä"], False)
    assert keys(limit=2) == (["10", "9"], True)
    assert keys(limit=9)[1] is False
    assert keys(prefix="a%") == (["a%"], False)
    assert keys(prefix="a_") == (["a_x"], False)
    assert keys(prefix="b") == (["b"], False)
    assert keys(prefix="ä") == (["ä"], False)
    assert keys(prefix="a", limit=2) == (["a", "a%"], True)
    assert keys(prefix="zz") == ([], False)
    assert host.fails("store.list", namespace="orders", limit=0) == "bad_argument"
    assert host.fails("store.list", namespace="orders", limit=1001) == "bad_argument"


def test_a_version_and_a_limit_may_come_as_floats_without_a_fraction(host: Host) -> None:
    """Lua's 1.0 is an integer for JSON Schema."""
    assert host("store.put", namespace="orders", key="a", value={}, if_version=0.0) == {"version": 1}
    host("store.put", namespace="orders", key="b", value={})
    listed = host("store.list", namespace="orders", limit=1.0)
    assert (len(listed["items"]), listed["more"]) == (1, True)


def test_worlds_are_written_and_read(connection: sqlite3.Connection) -> None:
    world = {"b": {"y": {"n": 1}}, "a": {"x": {"n": [1, 2.5, None]}}}
    assert write_world(connection, world, NOW) == 2
    assert write_world(connection, {"a": {"x": {"n": 0}, "z": {}}}, NOW) == 1, "what is there stays"
    assert read_world(connection) == {"a": {"x": {"n": [1, 2.5, None]}, "z": {}}, "b": {"y": {"n": 1}}}


# ---------------------------------------------------------------- time, random, id, log


def test_the_time_is_that_of_the_call(host: Host) -> None:
    assert host("time.now") == {"iso": "2027-01-15T08:00:00Z", "unix": NOW}


def test_random_values_come_from_the_seed_of_the_call(host: Host) -> None:
    drawn = [host("random.integer", min=1, max=10**9), host("random.number"), host("id.new")]
    assert drawn == [host("random.integer", min=1, max=10**9), host("random.number"), host("id.new")]
    host.seed = "r1/a/1/1"
    other = [host("random.integer", min=1, max=10**9), host("random.number"), host("id.new")]
    assert all(one != another for one, another in zip(drawn, other, strict=True))


@pytest.mark.parametrize(("low", "high"), [(1, 6), (1.0, 6.0), (-2, 3), (-3.0, 2)])
def test_every_integer_of_a_range_is_drawn_about_as_often(host: Host, low: float, high: float) -> None:
    counts: dict[int, int] = {}
    for number in range(600):
        host.seed = str(number)
        value = host("random.integer", min=low, max=high)["value"]
        assert type(value) is int
        counts[value] = counts.get(value, 0) + 1
    assert sorted(counts) == list(range(int(low), int(high) + 1))
    assert min(counts.values()) > 60, "the seeds are fixed, and so is what they draw"


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (-(2**63), 2**63 - 1), (2**53, 2**53 + 1)], ids=["one value", "widest", "large"]
)
def test_the_ends_of_a_range_are_kept(host: Host, low: int, high: int) -> None:
    for number in range(50):
        host.seed = str(number)
        assert low <= host("random.integer", min=low, max=high)["value"] <= high


def test_an_empty_range_and_one_beyond_64_bits_are_refused(host: Host) -> None:
    assert host.fails("random.integer", min=2, max=1) == "empty_range"
    assert host.fails("random.integer", min=0, max=1e300) == "bad_argument"
    assert host.fails("random.integer", min=-(2**63) - 1, max=0) == "bad_argument"
    assert host.fails("random.integer", min=0.5, max=1) == "bad_argument"


def test_random_numbers_lie_below_one(host: Host) -> None:
    drawn = []
    for number in range(500):
        host.seed = str(number)
        drawn.append(host("random.number")["value"])
    assert 0 <= min(drawn) < 0.05
    assert 0.95 < max(drawn) < 1
    assert len(set(drawn)) == 500


def test_an_id_may_bear_a_prefix(host: Host) -> None:
    plain = host("id.new")["id"]
    assert len(plain) == 20
    assert host("id.new", prefix="inv")["id"] == f"inv-{plain}"
    for prefix in ("", "Inv", "1a", "a-b", "a\n", "a" * 21):
        assert host.fails("id.new", prefix=prefix) == "bad_argument"


def test_a_log_line_gives_nothing_and_takes_any_data(host: Host) -> None:
    assert host("log.info", message="hello", data=[1, {"a": None}]) == {}
    assert host.fails("log.info", message="x" * 2001) == "bad_argument"
    assert json.dumps(CATALOG["log.info"].model_dump(mode="json"))
