"""What every host function is made of: one declaration, one Python function, one way to fail."""

from __future__ import annotations

import importlib
import json
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ritesmith.errors import InvalidInput
from ritesmith.grants import is_among, narrowed_values
from ritesmith.hosts.secrets import Secrets
from ritesmith.models import JSON, Effect, HostError, HostFunction, HostReply, Schema
from ritesmith.schemas import problems
from ritesmith.settings import Settings

REPLY_BYTES_MAX = 1024 * 1024 - 1024
"""The most that a result may have as JSON: what the sandbox takes, less what stands around it."""
DEPTH_MAX = 60
"""Of JSON that is taken: a script's values have at most 64 levels."""

TOOLS_KEPT_AS = "mcp/"
"""Before the name of an MCP server: the key in the table `meta` of the tools that were taken over from it."""

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""(name of a host, port) -> its IP addresses; raises OSError."""


@dataclass(frozen=True)
class HostEnvironment:
    """What a host function may use. The clock and the seed are values, so that trials and replays can set them."""

    connection: sqlite3.Connection
    now: float
    """Seconds since 1970, UTC."""
    seed: str
    """Differs for every call of every attempt, and is the same when the call is made again after a crash."""
    idempotency_key: str
    run: str = ""
    grant: Mapping[str, Any] = field(default_factory=dict)
    """How the capability is granted this function."""
    settings: Settings = field(default_factory=Settings)
    secrets: Secrets = field(default_factory=lambda: Secrets(environment={}))
    resolve: Resolve | None = None
    """What looks up the names of hosts; None: the system."""
    durably: Callable[[Callable[[], Any]], Any] = lambda work: work()
    """Does work on `connection` where the journal is written, and comes back with its result when that is durable.

    For what a function that reaches outside must keep before it does so; it does nothing else with `connection`.
    """

    def secret(self, name: str) -> str:
        """The value of a secret that a grant or a setting names. HostFailure when there is none."""
        value = self.secrets.get(name)
        if value is None:
            raise HostFailure("no_secret", f"the secret '{name}' is not set")
        return value


class HostFailure(Exception):
    """An expected failure: the script gets it as a Lua error object that pcall can catch."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        details: JSON = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.error = HostError(
            code=code, message=message, retryable=retryable, details=details, retry_after_seconds=retry_after_seconds
        )


class HostUnknown(Exception):
    """A write was sent and nobody knows whether it happened, and it may not be repeated: a person must say.

    Its text says why nobody knows.
    """


Implementation: TypeAlias = Callable[[dict[str, Any], HostEnvironment], JSON]
FILES = {
    **dict.fromkeys(("id", "log", "random", "time"), "basics"),
    **{namespace: namespace for namespace in ("email", "file", "http", "llm", "notify", "sql", "store")},
}
"""Namespace -> the file of this folder that declares its functions."""


class Declarations(Mapping[str, tuple[HostFunction, Implementation]]):
    """Every host function by name: its declaration, and the Python function behind it.

    A file is loaded when one of its functions is asked for: most runs need few of them.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[HostFunction, Implementation]] = {}

    def add(self, declaration: HostFunction, function: Implementation) -> None:
        self._made[declaration.name] = (declaration, function)

    def __getitem__(self, name: str) -> tuple[HostFunction, Implementation]:
        file = FILES.get(name.partition(".")[0])
        if name not in self._made and file is not None:
            importlib.import_module(f"ritesmith.hosts.{file}")
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        for file in FILES.values():
            importlib.import_module(f"ritesmith.hosts.{file}")
        return iter(sorted(self._made))

    def __len__(self) -> int:
        return sum(1 for _ in self)


DECLARED = Declarations()


def host_function(
    name: str,
    description: str,
    *,
    input: Schema,
    output: Schema,
    effect: Effect,
    idempotent: bool = True,
    transactional: bool = False,
    outside: bool = False,
    narrows: Mapping[str, Schema] | None = None,
    reads: Mapping[str, tuple[JSON, ...]] | None = None,
    repeatable: Mapping[str, tuple[JSON, ...]] | None = None,
    errors: tuple[str, ...] = (),
) -> Callable[[Implementation], Implementation]:
    """Declare a host function once; see `models.HostFunction` for the meaning of each field."""

    def declare(function: Implementation) -> Implementation:
        declaration = HostFunction(
            name=name,
            description=description,
            input=input,
            output=output,
            effect=effect,
            idempotent=idempotent,
            transactional=transactional,
            outside=outside,
            narrows=dict(narrows or {}),
            reads=dict(reads or {}),
            repeatable=dict(repeatable or {}),
            errors=errors,
        )
        DECLARED.add(declaration, function)
        return function

    return declare


def answer(
    name: str,
    args: JSON,
    environment: HostEnvironment,
    declared: Mapping[str, tuple[HostFunction, Implementation]] = DECLARED,
) -> HostReply:
    """Call one host function on checked arguments; a failure it expects is a reply, anything else is raised.

    No secret stands in the reply. Raises HostUnknown.
    """
    declaration, function = declared[name]
    args = _with_objects(declaration.input, args)
    wrong = problems(declaration.input, args)
    if wrong:
        path, what = wrong[0]
        return HostReply(error=HostError(code="bad_argument", message=f"{name}: {path}: {what}"))
    try:
        result = function(_with_integers(declaration.input, args), environment)
    except HostFailure as failure:
        return HostReply(error=HostError(**environment.secrets.redact(failure.error.model_dump())))
    except InvalidInput as error:
        # Of a secret that may not be used, such as one that others can read: it is looked for before anything is sent.
        hint = f" ({error.hint})" if error.hint else ""
        return HostReply(error=HostError(code="no_secret", message=f"{name}: {error}{hint}"))
    return HostReply(result=environment.secrets.redact(result))


def reply_bytes(result: JSON) -> int:
    """How many bytes a result has as JSON, to be held against REPLY_BYTES_MAX."""
    return len(json.dumps(result, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def not_for_scripts(value: JSON) -> str | None:
    """Why a value from outside, read by Python's idea of JSON, can be neither journalled nor given to a script."""
    level: list[JSON] = [value]
    depth = 0
    while level:
        for each in level:
            if isinstance(each, int | float) and not -sys.float_info.max <= each <= sys.float_info.max:
                return "it has a number that is too large, or none"
        if depth == DEPTH_MAX and any(isinstance(each, dict | list) for each in level):
            return f"it has more than {DEPTH_MAX} levels"
        level = [inner for each in level if isinstance(each, dict | list) for inner in _within(each)]
        depth += 1
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair, which is not Unicode text"
    return None


def _within(value: dict[str, JSON] | list[JSON]) -> Iterable[JSON]:
    return value.values() if isinstance(value, dict) else value


def _with_objects(schema: Schema, args: JSON) -> JSON:
    """Where an object may stand and need not, an empty list as one: Lua has one empty table."""
    if args == []:
        return {}
    if not isinstance(args, dict):
        return args
    optional = schema.get("properties", {}).keys() - set(schema.get("required", ()))
    objects = {name for name in optional if schema["properties"][name].get("type") == "object"}
    return {name: {} if name in objects and value == [] else value for name, value in args.items()}


def _with_integers(schema: Schema, args: dict[str, Any]) -> dict[str, Any]:
    """What the schema calls an integer, as one: Lua's 10 / 2 arrives as 5.0, which a schema takes for an integer."""
    whole = {name for name, each in schema.get("properties", {}).items() if each.get("type") == "integer"}
    return {name: int(value) if name in whole else value for name, value in args.items()}


def outside_grant(declaration: HostFunction, args: JSON, grant: Mapping[str, Any]) -> str | None:
    """Why a call with these arguments lies outside its grant, in words; None when it is inside."""
    for key, schema in declaration.narrows.items():
        allowed = grant.get(key, schema.get("default", []))
        for argument, value in narrowed_values(declaration, key, args):
            if not is_among(key, value, allowed):
                granted = ", ".join(map(str, allowed)) or "none"
                return f"{declaration.name}: {argument} {value!r} is not granted (granted: {granted})"
    return None
