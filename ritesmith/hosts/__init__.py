"""Host functions: what Lua may ask of the world, each declared once with its schema and its effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ritesmith import grants
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


class Catalog(Mapping[str, HostFunction]):
    """Name -> declaration of every host function."""

    def __getitem__(self, name: str) -> HostFunction:
        return DECLARED[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(DECLARED)

    def __len__(self) -> int:
        return len(DECLARED)


CATALOG = Catalog()


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
    "effect_of",
    "outside_grant",
]
