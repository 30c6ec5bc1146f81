"""`time.now`, `random.*`, `id.new`, `log.info`: what every script asks for, made replayable.

Random values and ids are derived from the call's seed with SHA-256, so that a call made again gives the same value;
the time is read once and journalled.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from ritesmith.hosts.base import HostEnvironment, HostFailure, host_function
from ritesmith.models import JSON

INTEGER = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}


@host_function(
    "time.now",
    "The time of the call, UTC.",
    input=NOTHING,
    output={
        "type": "object",
        "required": ["iso", "unix"],
        "properties": {"iso": {"type": "string"}, "unix": {"type": "number"}},
        "additionalProperties": False,
    },
    effect="read",
)
def now(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    moment = datetime.fromtimestamp(environment.now, UTC)
    return {"iso": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "unix": environment.now}


@host_function(
    "random.integer",
    "A random integer from min to max, both included; from the run's seed, not for secrets.",
    input={
        "type": "object",
        "required": ["min", "max"],
        "properties": {"min": INTEGER, "max": INTEGER},
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["value"],
        "properties": {"value": {"type": "integer"}},
        "additionalProperties": False,
    },
    effect="pure",
    errors=("empty_range",),
)
def integer(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    low, high = args["min"], args["max"]
    if low > high:
        raise HostFailure("empty_range", f"random.integer: min {low} is above max {high}")
    # 256 bits against a range of at most 2^64: the bias of the remainder is below 2^-190.
    return {"value": low + int.from_bytes(_bytes(environment.seed), "big") % (high - low + 1)}


@host_function(
    "random.number",
    "A random number from 0 (included) to 1 (excluded); from the run's seed, not for secrets.",
    input=NOTHING,
    output={
        "type": "object",
        "required": ["value"],
        "properties": {"value": {"type": "number"}},
        "additionalProperties": False,
    },
    effect="pure",
)
def number(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    return {"value": (int.from_bytes(_bytes(environment.seed)[:8], "big") >> 11) / 2**53}


@host_function(
    "id.new",
    "A new id, the same when the step is executed again: 20 characters, after the prefix and a hyphen.",
    input={
        "type": "object",
        "properties": {"prefix": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,19}$"}},
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string"}},
        "additionalProperties": False,
    },
    effect="pure",
)
def new(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    name = _bytes(environment.seed).hex()[:20]
    return {"id": f"{args['prefix']}-{name}" if "prefix" in args else name}


@host_function(
    "log.info",
    "A line for the trace.",
    input={
        "type": "object",
        "required": ["message"],
        "properties": {"message": {"type": "string", "maxLength": 2000}, "data": {}},
        "additionalProperties": False,
    },
    output=NOTHING,
    effect="pure",
)
def info(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    # The journal entry of the call is the log line; there is nothing else to do.
    return {}


def _bytes(seed: str) -> bytes:
    return hashlib.sha256(seed.encode()).digest()
