"""The contract's sense: schemas are schemas, examples fit them, grants are known and narrowed, limits within policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from ritesmith.contract import at_most, near_miss, with_header_lines
from ritesmith.models import Capability, Contract, Finding, HostFunction, Limits, Schema, Where
from ritesmith.schemas import problems, schema_problems

EXAMPLES_MIN = 2


def check_contract(
    capability: Capability, *, catalog: Mapping[str, HostFunction], limits: Limits, file: str = ""
) -> list[Finding]:
    """Every finding about a capability's contract, with JSON paths into it. `limits` is the policy's ceiling."""
    contract = capability.contract
    findings = [*_schemas(contract)]
    if all(
        each.severity == "warning" for each in findings
    ):  # examples can only be held against schemas that are schemas
        findings += _examples(contract)
    findings += [*_grants(contract, catalog), *_limits(contract, limits)]
    placed = ((each, each.where.model_copy(update={"file": file})) for each in at_most(findings))
    return with_header_lines([each.model_copy(update={"where": where}) for each, where in placed], capability.source)


def _schemas(contract: Contract) -> Iterator[Finding]:
    for name, schema in (("input", contract.input), ("output", contract.output)):
        for path, what in schema_problems(schema):
            yield _finding("bad_schema", f"$.{name}{path[1:]}", f"the {name} schema is not valid: {what}")
        if schema.get("type") != "object":
            yield _finding("schema_not_object", f"$.{name}", f"the {name} must be an object", 'say "type": "object"')
        elif _accepts_anything(schema):
            yield _finding(
                "schema_accepts_anything",
                f"$.{name}",
                f"the {name} schema accepts any object",
                "name its properties",
                warning=True,
            )


def _accepts_anything(schema: Schema) -> bool:
    """Whether a schema for objects says nothing about them."""
    said = (name for name, word in schema.items() if word is not True and word not in ({}, []))
    return all(name in _NOTHING_SAID for name in said)


_NOTHING_SAID = ("type", "title", "description", "default", "examples", "$comment", "$defs", "definitions", "$schema")


def _examples(contract: Contract) -> Iterator[Finding]:
    if len(contract.examples) < EXAMPLES_MIN:
        yield _finding(
            "too_few_examples",
            "$.examples",
            f"{len(contract.examples)} examples are given, at least {EXAMPLES_MIN} are needed",
            "an example that ends in an error counts",
        )
    for index, example in enumerate(contract.examples):
        at = f"$.examples[{index}]"
        if ("output" in example.model_fields_set) == (example.error is not None):
            yield _finding("example_shape", at, "an example has either an output or an error", "give one of the two")
            continue
        if example.error != "bad_input":
            for path, what in problems(contract.input, example.input, root=f"{at}.input"):
                yield _finding("example_input", path, f"the input does not fit the input schema: {what}")
        if example.error is None:
            for path, what in problems(contract.output, example.output, root=f"{at}.output"):
                yield _finding("example_output", path, f"the output does not fit the output schema: {what}")
        for place, stub in enumerate(example.hosts):
            if stub.call not in contract.grants:
                yield _finding(
                    "stub_without_grant",
                    f"{at}.hosts[{place}]",
                    f"'{stub.call}' is stubbed but not granted",
                    "remove it",
                )


def _grants(contract: Contract, catalog: Mapping[str, HostFunction]) -> Iterator[Finding]:
    for name, grant in contract.grants.items():
        at = f"$.grants.{name}"
        declaration = catalog.get(name)
        if declaration is None:
            yield _finding("unknown_host_function", at, f"there is no host function {name!r}", _meant(name, catalog))
            continue
        if declaration.unusable:
            yield _finding("unusable_host_function", at, declaration.unusable)
        for key in grant:
            if key not in declaration.narrows:
                allowed = ", ".join(declaration.narrows) or "nothing; write {}"
                yield _finding(
                    "unknown_narrowing", f"{at}.{key}", f"{name} is not narrowed by {key!r}", f"by: {allowed}"
                )
        for key, schema in declaration.narrows.items():
            if key not in grant:
                if "default" in schema:
                    continue
                yield _finding("grant_too_wide", at, f"the grant must say which {key}", f'such as {{"{key}": [...]}}')
                continue
            for path, what in problems(schema, grant[key], root=f"{at}.{key}"):
                yield _finding("bad_grant", path, what)


def _meant(name: str, catalog: Mapping[str, HostFunction]) -> str:
    near = near_miss(name, catalog)
    space, _, rest = name.partition(".")
    if space == "mcp" and rest:
        server = rest.partition(".")[0]
        sync = f"the tools of an MCP server are there after [mcp.{server}] in ritesmith.toml and: ritesmith mcp sync"
        return f"did you mean {near!r}? {sync}" if near and near.startswith(f"mcp.{server}.") else f"{sync} {server}"
    return f"did you mean {near!r}?" if near else f"there are: {', '.join(catalog)}"


def _limits(contract: Contract, ceiling: Limits) -> Iterator[Finding]:
    for name, value in contract.limits.model_dump(exclude_none=True).items():
        most = getattr(ceiling, name)
        if value > most:
            yield _finding(
                "limit_too_high", f"$.limits.{name}", f"{name} is {value}, the policy allows {most}", "lower it"
            )


def _finding(code: str, path: str, message: str, hint: str = "", *, warning: bool = False) -> Finding:
    severity: Literal["error", "warning"] = "warning" if warning else "error"
    return Finding(code=code, severity=severity, where=Where(path=path), message=message, hint=hint)
