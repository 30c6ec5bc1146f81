"""The static check of Lua. `tests/guard/*.lua` say, in a comment on the guilty line, which finding is expected there.

A chunk file is cut at lines `----`. In a chunk, `--! code` at the end of a line expects one finding of that code there
(`--! code "words"`: whose message or hint holds these words); no comment means no finding. A first line `--: {...}`
gives parts of the contract; where a chunk has no `run`, an empty one is added, since it is about something else.
"""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ritesmith.contract import read_capability
from ritesmith.errors import InvalidInput
from ritesmith.guard import LuaRules, check_lua, load_rules
from ritesmith.guard.lua_tree import parse, too_deep
from ritesmith.hosts import CATALOG
from ritesmith.models import Capability, Contract, Finding
from ritesmith.sandbox import Sandbox

HERE = Path(__file__).parent
RULES_FILE = HERE.parent / "guardrails" / "lua.toml"
EXPECTED = re.compile(r"--! *(?P<code>\w+)(?: +\"(?P<words>[^\"]*)\")?")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as made:
        yield made


@pytest.fixture(scope="module")
def rules() -> LuaRules:
    return load_rules(RULES_FILE)


def contract(**parts: Any) -> Contract:
    return Contract.model_validate(
        {"name": "test.chunk", "intent": "a chunk", "input": {"type": "object"}, "output": {}} | parts
    )


class Checker:
    def __init__(self, sandbox: Sandbox, rules: LuaRules) -> None:
        self.sandbox = sandbox
        self.rules = rules

    def compile(self, source: str, names: Sequence[str] | None) -> Finding | None:
        return self.sandbox.compile(source, globals=names)

    def __call__(self, source: str, **parts: Any) -> list[Finding]:
        capability = Capability(contract=contract(**parts), source=source)
        return check_lua(capability, catalog=CATALOG, compile=self.compile, rules=self.rules, file="chunk.lua")


@pytest.fixture
def check(sandbox: Sandbox, rules: LuaRules) -> Checker:
    return Checker(sandbox, rules)


# ---------------------------------------------------------------- chunk files


def chunks() -> Iterator[Any]:
    for file in sorted((HERE / "guard").glob("*.lua")):
        first_line = 1
        for text in re.split(r"^----\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
            yield pytest.param(text, first_line, id=f"{file.name}:{first_line}")
            first_line += text.count("\n") + 1


@pytest.mark.parametrize(("text", "first_line"), list(chunks()))
def test_a_chunk_has_the_findings_that_its_comments_say(check: Checker, text: str, first_line: int) -> None:
    parts = json.loads(re.split("--!|\n", text[4:])[0]) if text.startswith("--: ") else {}
    source = text if re.search(r"\brun( =|\()", text) else f"function run() end {text}"
    expected = [
        (number, match["code"], match["words"] or "")
        for number, line in enumerate(text.split("\n"), 1)
        for match in EXPECTED.finditer(line)
    ]
    found = check(source, **parts)

    shown = "\n".join(
        f"{first_line + (each.where.line or 1) - 1}: {each.code}: {each.message} | {each.hint}" for each in found
    )
    assert sorted((each.where.line, each.code) for each in found) == sorted(each[:2] for each in expected), shown
    for line, code, words in expected:
        assert any(
            (each.where.line, each.code) == (line, code) and words in f"{each.message} | {each.hint}" for each in found
        ), f"{first_line + line - 1}: {words!r} is not said in:\n{shown}"
