"""Policy: risk from what an artifact is granted, and by rule whether it may exist, needs a person's yes, or may not.

Rules live in `guardrails/policy.toml`, first match wins. Nothing here asks what the artifact or its author says of it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from ritesmith.errors import InvalidInput
from ritesmith.models import Effect, Limits, Risk, Value


class RiskRule(Value):
    level: Risk
    effect: tuple[Effect, ...] = ()
    functions: tuple[str, ...] = ()
    reason: str


class PolicyRule(Value):
    name: str
    action: Literal["allow", "approve", "deny"]
    source: tuple[str, ...] = ()
    effect: tuple[Effect, ...] = ()
    risk: tuple[Risk, ...] = ()
    functions: tuple[str, ...] = ()
    reason: str


class Policy(Value):
    """The rules, and the digest of the file that they came from."""

    limits: Limits = Limits()
    risk: tuple[RiskRule, ...] = ()
    rules: tuple[PolicyRule, ...] = ()
    digest: str = ""


class Decision(Value):
    """What the policy says of one artifact: the rule that decided, and why."""

    action: Literal["allow", "approve", "deny"]
    rule: str
    reason: str
    risk: Risk
    risk_reason: str


def load_policy(path: Path) -> Policy:
    """Read `guardrails/policy.toml`; InvalidInput where it is not what Policy says."""
    try:
        text = path.read_text(encoding="utf-8")
        rules = tomllib.loads(text) | {"digest": hashlib.sha256(text.encode()).hexdigest()}
        return Policy.model_validate(rules)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise InvalidInput(
            f"'{path}' can't be used as the policy: {error}", hint="repair or restore the file"
        ) from error


def decide(policy: Policy, *, source: str, effect: Effect, functions: Iterable[str]) -> Decision:
    """The first rule that matches; deny where none does. A risk that no rule names is critical."""
    granted = sorted(set(functions))
    risk: Risk = "critical"
    risk_reason = "no rule rates it"
    for rating in policy.risk:
        if _one_of(effect, rating.effect) and _granted(granted, rating.functions):
            risk, risk_reason = rating.level, rating.reason
            break
    for rule in policy.rules:
        if (
            _one_of(source, rule.source)
            and _one_of(effect, rule.effect)
            and _one_of(risk, rule.risk)
            and _granted(granted, rule.functions)
        ):
            return Decision(action=rule.action, rule=rule.name, reason=rule.reason, risk=risk, risk_reason=risk_reason)
    return Decision(action="deny", rule="", reason="no rule matches", risk=risk, risk_reason=risk_reason)


def _one_of(value: str, allowed: tuple[str, ...]) -> bool:
    return not allowed or value in allowed


def _granted(functions: list[str], patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for name in functions for pattern in patterns)
