"""Host functions: what Lua may ask of the world, each declared once with its schema and its effect."""

from __future__ import annotations

from collections.abc import Mapping

from ritesmith.hosts import basics, store
from ritesmith.hosts.base import DECLARED, HostEnvironment, HostFailure, answer, outside_grant
from ritesmith.models import EFFECT_ORDER, Contract, Effect, HostFunction

CATALOG: Mapping[str, HostFunction] = {name: declared[0] for name, declared in sorted(DECLARED.items())}
"""Name -> declaration of every host function."""


def effect_of(contract: Contract) -> Effect:
    """What a capability can do to the world: the widest effect among the host functions it is granted."""
    effects = [CATALOG[name].effect for name in contract.grants if name in CATALOG]
    return max(effects, key=EFFECT_ORDER.__getitem__, default="pure")


__all__ = ["CATALOG", "HostEnvironment", "HostFailure", "answer", "basics", "effect_of", "outside_grant", "store"]
