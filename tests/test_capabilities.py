"""The bundled capabilities: each passes the guard and its own examples, and a repeated step moves money once."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ritesmith import hosts
from ritesmith.app import RiteSmith
from ritesmith.contract import capability_of
from ritesmith.db import MEMORY, open_db
from ritesmith.hosts.store import read_world, write_world
from ritesmith.intake import content_folder
from ritesmith.models import JSON, Capability, CapabilityExample, HostError, HostReply, Outcome
from ritesmith.rehearsal import rehearse_capability, same
from ritesmith.sandbox import Sandbox
from ritesmith.schemas import problems

FOLDER = content_folder() / "capabilities"
FILES = sorted(FOLDER.rglob("*.lua"))
NAMES = [".".join(file.relative_to(FOLDER).with_suffix("").parts) for file in FILES]
CAPABILITIES = {name: capability_of(file.read_text("utf-8"), name) for name, file in zip(NAMES, FILES, strict=True)}
each_capability = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RiteSmith]:
    with RiteSmith(tmp_path_factory.mktemp("registry") / "registry.db") as made:
        yield made


def test_there_are_capabilities_for_every_namespace() -> None:
    assert len(NAMES) >= 36
    assert {name.split(".")[0] for name in NAMES} >= {
        *("text", "math", "stats", "list", "date", "csv", "units", "validation", "orders", "payments", "notify")
    }


@each_capability
def test_it_passes_the_guard_and_its_own_examples(app: RiteSmith, name: str) -> None:
    checked = app.check_file(FILES[NAMES.index(name)])
    assert [str(finding) for finding in checked.findings] == []
    assert checked.trial.passed == checked.trial.cases == len(CAPABILITIES[name].contract.examples)


@each_capability
def test_it_can_be_found_and_wired(name: str) -> None:
    contract = CAPABILITIES[name].contract
    assert contract.name == name
    assert len({contract.intent, *contract.aliases}) >= 3
    assert len(contract.examples) >= 3
    assert contract.input["additionalProperties"] is False
    assert contract.output["additionalProperties"] is False


def test_one_property_name_has_one_type_everywhere() -> None:
    types: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, capability in CAPABILITIES.items():
        for schema in (capability.contract.input, capability.contract.output):
            for key, part in schema["properties"].items():
                kind = part.get("type", "string" if "enum" in part or "const" in part else "any")
                shown = str(kind).replace("integer", "number")
                types[key][shown].append(name)
    assert {key: dict(kinds) for key, kinds in types.items() if len(kinds) > 1} == {}


@each_capability
def test_what_fits_its_schema_gives_an_output_that_fits_or_a_typed_failure(app: RiteSmith, name: str) -> None:
    seed = f"{name}/1"
    print(f"seed {seed!r}")
    chance = random.Random(seed)
    capability = CAPABILITIES[name]
    contract = capability.contract
    tried = 0
    for _ in range(12):
        given = drawn(contract.input, chance)
        example = chance.choice(contract.examples)
        if chance.random() < 0.5:
            given = {**given, **{key: value for key, value in example.input.items() if chance.random() < 0.7}}
        if problems(contract.input, given):
            continue
        tried += 1
        world = CapabilityExample(input=given, output={}, store=example.store, store_after={})
        seen = rehearse_capability(app.sandbox, capability, world)
        assert seen.status in ("ok", "fail"), (given, seen)
        if seen.status == "ok":
            assert problems(contract.output, seen.output) == [], given
    assert tried > 0


# ---------------------------------------------------------------- money

DEMO = json.loads((Path(hosts.__file__).parents[1] / "demo" / "store.json").read_text("utf-8"))
REFUND, REVERSE = CAPABILITIES["payments.refund"], CAPABILITIES["payments.reverse"]
REFUND_INPUT = {"payment_id": "PAY-1002", "amount": 349}
REVERSE_INPUT = {"payment_id": "PAY-1002", "refund_id": "PAY-1002-R1"}
STEPS_MAX = 30


@pytest.mark.parametrize("happened", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("reversing", [False, True], ids=["refund", "reverse"])
def test_an_attempt_that_stops_at_any_host_call_is_finished_by_the_next_and_pays_once(
    app: RiteSmith, reversing: bool, happened: bool
) -> None:
    calm = scene(app.sandbox, reversing, stop_at=None, happened=happened)
    stop_at = 1
    while (stopped := scene(app.sandbox, reversing, stop_at=stop_at, happened=happened)) is not None:
        assert stopped == calm, f"stopped at call {stop_at}"
        stop_at += 1
        assert stop_at < STEPS_MAX
    assert stop_at > 5


def test_a_reversed_refund_leaves_payment_and_account_as_before(app: RiteSmith) -> None:
    seen = scene(app.sandbox, reversing=True, stop_at=None, happened=False)
    assert seen is not None
    assert same(DEMO["payments"], seen[1]["payments"])
    assert same(DEMO["accounts"], seen[1]["accounts"])
    assert seen[1]["refunds"]["PAY-1002-R1"]["status"] == "reversed"


def scene(sandbox: Sandbox, reversing: bool, *, stop_at: int | None, happened: bool) -> tuple[JSON, Any] | None:
    """Output and world after one attempt that stops at a host call, one that finishes, and one too many; None when
    there is no such call."""
    capability, given = (REVERSE, REVERSE_INPUT) if reversing else (REFUND, REFUND_INPUT)
    with closing(open_db(MEMORY)) as connection:
        write_world(connection, DEMO, 0.0)
        if reversing:
            assert attempt(sandbox, connection, REFUND, REFUND_INPUT, "run/refund").status == "ok"
        if stop_at is not None:
            first = attempt(sandbox, connection, capability, given, "run/step", stop_at, happened)
            if first.status == "ok":
                return None
            assert (first.code, first.retryable) == ("store_conflict", True)
        second = attempt(sandbox, connection, capability, given, "run/step")
        third = attempt(sandbox, connection, capability, given, "run/step")
        assert second.status == third.status == "ok"
        assert second.output == third.output
        return second.output, read_world(connection)


def attempt(
    sandbox: Sandbox,
    connection: Any,
    capability: Capability,
    given: JSON,
    key: str,
    stop_at: int | None = None,
    happened: bool = False,
) -> Outcome:
    calls = 0

    def host(name: str, args: JSON) -> HostReply:
        nonlocal calls
        calls += 1
        environment = hosts.HostEnvironment(connection, 0.0, f"{key}/{calls}", key)
        if calls != stop_at:
            return hosts.answer(name, args, environment)
        if happened:
            hosts.answer(name, args, environment)
        return HostReply(error=HostError(code="store_conflict", message="stopped by the test", retryable=True))

    context = {"run_id": "run", "node": "step", "attempt": 1, "now": "2026-01-01T00:00:00Z", "idempotency_key": key}
    functions = list(capability.contract.grants)
    return sandbox.run(capability.source, given, context=context, functions=functions, host=host)


# ---------------------------------------------------------------- inputs drawn from a schema

TEXTS = ["", "a", "city", "é 😀", "x,y\n1,2\n", '"', '"q""q",2', "a\r\nb", "{", "{a}", "%d", "a@b.co", "007", "\0"]
NUMBERS = [0, 1, -1, 2, 3, 0.1, 2.5, 1e-300, 1e300, -1e300, 1.7e308, 2**53, 2**63 - 1, -(2**63), 99.99]
DATES = ["0001-01-01", "1900-03-01", "2024-02-29", "2026-11-21", "9999-12-31"]
FIELDS = ["city", "price", "a", "é", ""]


def drawn(schema: Any, chance: random.Random) -> Any:
    """A value near the edges of what the schema allows; it may still miss it."""
    if "enum" in schema:
        return chance.choice(schema["enum"])
    kinds = schema.get("type", ["string", "number", "boolean", "object"])
    kind = kinds if isinstance(kinds, str) else chance.choice(kinds)
    if kind == "boolean":
        return chance.choice([True, False])
    if kind in ("number", "integer"):
        edges = [schema[key] for key in ("minimum", "maximum") if key in schema]
        fitting = [each for each in [*edges, *NUMBERS] if not problems({**schema, "type": kind}, each)]
        return chance.choice(fitting)
    if kind == "string":
        if schema.get("format") == "date":
            return chance.choice(DATES)
        return "".join(chance.choices(TEXTS, k=chance.randrange(1, 4)))
    if kind == "array":
        count = chance.choice([schema.get("minItems", 0), 1, 3])
        return [drawn(schema.get("items", {}), chance) for _ in range(count)]
    made = {key: drawn(part, chance) for key, part in schema.get("properties", {}).items()}
    for key in set(made) - set(schema.get("required", ())):
        if chance.random() < 0.5:
            del made[key]
    more = schema.get("additionalProperties", {"type": ["string", "number"]})
    if more is not False:
        made |= {key: drawn(more, chance) for key in chance.sample(FIELDS, chance.randrange(4))}
    return made
