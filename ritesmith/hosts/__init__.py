"""Host functions: what Lua may ask of the world, each declared once with its schema and its effect."""

from __future__ import annotations

from collections.abc import Mapping

from ritesmith import grants
from ritesmith.hosts import basics, describe, email, file, http, llm, mcp_tools, notify, sql, store
from ritesmith.hosts.base import (
    DECLARED,
    HostEnvironment,
    HostFailure,
    HostUnknown,
    Implementation,
    answer,
    outside_grant,
)
from ritesmith.hosts.secrets import Secrets
from ritesmith.models import Contract, Effect, HostFunction

CATALOG: Mapping[str, HostFunction] = {name: declared[0] for name, declared in sorted(DECLARED.items())}
"""Name -> declaration of every host function."""


def effect_of(said: Contract) -> Effect:
    """What a capability can do to the world: the widest effect among the host functions it is granted."""
    return grants.effect_of(said, CATALOG)


__all__ = [
    "CATALOG",
    "DECLARED",
    "HostEnvironment",
    "HostFailure",
    "HostUnknown",
    "Implementation",
    "Secrets",
    "answer",
    "basics",
    "describe",
    "effect_of",
    "email",
    "file",
    "http",
    "llm",
    "mcp_tools",
    "notify",
    "outside_grant",
    "sql",
    "store",
]
