"""Grants: what a capability is allowed of a host function, and what one call of it does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ritesmith.models import EFFECT_ORDER, JSON, Contract, Effect, HostFunction


def effect_of(contract: Contract, catalog: Mapping[str, HostFunction]) -> Effect:
    """The effect of a capability: the widest of the host functions granted to it; an unknown one counts as a write."""
    effects: list[Effect] = ["pure"]
    effects += [
        _granted_effect(catalog[name], grant) if name in catalog else "write" for name, grant in contract.grants.items()
    ]
    return max(effects, key=lambda effect: EFFECT_ORDER[effect])


def _granted_effect(declaration: HostFunction, grant: Mapping[str, Any]) -> Effect:
    """A function that only reads with some arguments is a read for whom it is granted with no others."""
    for argument, values in declaration.reads.items():
        granted = grant.get(f"{argument}s", declaration.narrows.get(f"{argument}s", {}).get("default"))
        if isinstance(granted, list) and all(value in values for value in granted):
            return "read"
    return declaration.effect


def hosts_named(contracts: Iterable[Contract]) -> tuple[str, ...]:
    """The hosts that the grants of some capabilities name, each once, in alphabetical order."""
    named = (grant.get("hosts") for contract in contracts for grant in contract.grants.values())
    return tuple(sorted({str(host) for hosts in named if isinstance(hosts, list) for host in hosts}))


def call_effect(declaration: HostFunction, args: JSON) -> Effect:
    """The effect of one call."""
    return "read" if _has_one(declaration, declaration.reads, args) else declaration.effect


def may_repeat(declaration: HostFunction, args: JSON) -> bool:
    """Whether a call of which nobody knows whether it happened may be made again."""
    return declaration.idempotent or _has_one(declaration, declaration.repeatable, args)


def _has_one(declaration: HostFunction, wanted: Mapping[str, Sequence[JSON]], args: JSON) -> bool:
    return any(_argument(declaration, name, args) in values for name, values in wanted.items())


def _argument(declaration: HostFunction, name: str, args: JSON) -> JSON:
    default = declaration.input.get("properties", {}).get(name, {}).get("default")
    return args.get(name, default) if isinstance(args, dict) else default


def narrowed_values(declaration: HostFunction, key: str, args: JSON) -> Iterator[tuple[str, JSON]]:
    """What a call has of that which `key` of a grant narrows, each with the argument where it stands."""
    argument = key.removesuffix("s")
    if argument == "secret":
        yield from (("secret", name) for name in _secrets(args))
    elif argument in declaration.input.get("properties", {}):
        yield argument, _argument(declaration, argument, args)
    elif argument == "host" and isinstance(args, dict):
        yield "host", host_of(args.get("url"))
    elif argument == "recipient" and isinstance(args, dict):
        for name in ("to", "cc", "bcc"):
            listed = args.get(name)
            yield from ((name, each) for each in (listed if isinstance(listed, list) else ()))


def is_among(key: str, value: JSON, allowed: Sequence[JSON]) -> bool:
    """Whether what a grant lists under `key` holds a value; among recipients, `@example.com` is that whole domain."""
    if key != "recipients" or not isinstance(value, str):
        return value in allowed
    name, _, domain = value.rpartition("@")
    parts = [str(each).rpartition("@") for each in allowed]
    # Domains know no case (RFC 5321, 2.4); what stands before the @ is its owner's affair.
    return any(listed in ("", name) and where.lower() == domain.lower() for listed, _, where in parts) and bool(name)


def host_of(url: JSON) -> str:
    """The host of a URL, with the port where it says one; empty where it has none."""
    try:
        parts = urlsplit(str(url))
        return f"{parts.hostname or ''}:{parts.port}" if parts.port is not None else parts.hostname or ""
    except ValueError:
        return ""


def _secrets(args: JSON) -> Iterator[JSON]:
    if isinstance(args, dict) and set(args) == {"secret"}:
        yield args["secret"]
    elif isinstance(args, dict | list):
        for each in args.values() if isinstance(args, dict) else args:
            yield from _secrets(each)
