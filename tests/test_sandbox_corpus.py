"""The Lua files of `tests/sandbox/`, by the runner that stands there, and sources too large for a file."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ritesmith.models import Limits
from ritesmith.sandbox import Sandbox

LIMITS = Limits(fuel=2_000_000, memory_bytes=32 * 1024 * 1024, deadline_seconds=10)


def load_runner() -> ModuleType:
    path = Path(__file__).parent / "sandbox" / "run.py"
    spec = importlib.util.spec_from_file_location("sandbox_files", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


runner = load_runner()


def named(kind: str) -> list[object]:
    return [pytest.param(path.read_text(), id=path.stem) for path in runner.files(kind)]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as pool:
        yield pool


@pytest.mark.parametrize("source", named("attacks"))
def test_an_attack_is_contained_and_the_budget_ends_it_before_the_clock(sandbox: Sandbox, source: str) -> None:
    status, problem = runner.attack(sandbox, source, LIMITS)
    assert problem == ""
    assert status != "deadline"


@pytest.mark.parametrize("source", named("determinism"))
def test_a_script_has_the_same_outcome_in_every_process(source: str) -> None:
    _, problem = runner.deterministic(source)
    assert problem == ""


@pytest.mark.parametrize("source", named("benign"))
def test_an_ordinary_script_answers_as_its_header_says(sandbox: Sandbox, source: str) -> None:
    _, problem = runner.benign(sandbox, source)
    assert problem == ""


# name -> (source, how it may end)
LARGE = {
    "labels and jumps": (
        "function run() goto a0 " + " ".join(f"::a{i}::" for i in range(6_000)) + " end",
        "reject",
    ),
    "a chain of conditions": (
        "function run(input) local n = input.n " + "if n == 1 then n = 2 else" * 2_500 + " return 1 " + "end " * 2_500,
        "reject",
    ),
    "nested brackets": ("function run() return " + "(" * 20_000 + "1" + ")" * 20_000 + " end", "reject"),
    "nested tables": ("function run() return " + "{" * 20_000 + "}" * 20_000 + " end", "reject"),
    "nested functions": ("function run() " + "return function() " * 2_000 + "end " * 2_001, "reject"),
    "many locals": ("function run() " + " ".join(f"local a{i}" for i in range(5_000)) + " end", "reject"),
    "one long concatenation": ("function run() return " + ".. ".join(["'x' "] * 9_000) + " end", "reject"),
    "many constants": ("function run() return {" + ",".join(f"'{i:04x}'" for i in range(9_000)) + "} end", "ok"),
    "a long line": ("function run() return 1 end --" + "x" * 60_000, "ok"),
    "a long text": ("function run() return #[[" + "x" * 60_000 + "]] end", "ok"),
    "a long name": ("function run() return " + "x" * 60_000 + " end", "bad_result"),
    "a long number": ("function run() return " + "9" * 60_000 + " end", "bad_result"),
    "a text without an end": ("function run() return '" + "\\" * 60_001, "reject"),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_source_made_to_trouble_the_compiler_is_answered(sandbox: Sandbox, name: str) -> None:
    source, status = LARGE[name]
    outcome = sandbox.run(source, {"n": 1}, limits=LIMITS)
    assert outcome.status == status, outcome.message[:200]
    assert len(outcome.message) < 1_000
    assert sandbox.run("function run() return 1 end", {}).output == 1
