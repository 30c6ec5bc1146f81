"""Policy: risk from what an artifact is granted, and by rule whether it may exist, needs a person's yes, or may not.

Rules live in `guardrails/policy.toml`, first match wins. Nothing here asks what the artifact or its author says of it.
A project's own policy, in `guardrails/policy.toml` beside its registry file, may tighten this one without asking, and
loosens only what its `loosens` names.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from ritesmith.contract import near_miss
from ritesmith.errors import InvalidInput
from ritesmith.grants import effect_of
from ritesmith.models import (
    COUNT_MAX,
    EFFECT_ORDER,
    Contract,
    Effect,
    HostFunction,
    Limits,
    MapNode,
    Risk,
    Source,
    Value,
    Workflow,
    WorkflowLimits,
)
from ritesmith.toml_file import read_toml

Action: TypeAlias = Literal["allow", "approve", "deny"]
STRICTNESS: Mapping[str, int] = {"allow": 0, "approve": 1, "deny": 2}
RISK_ORDER: Mapping[str, int] = {"low": 0, "medium": 1, "high": 2, "critical": 3}
BUDGETS = (*Limits.model_fields, "steps", "run_seconds", "concurrency", "max_items")
"""Names that a rule's `over` may use."""
_NO_CONDITIONS = ("name", "level", "action", "reason", "only")


class Grant(Value):
    """Leave to use one host function, and how it is narrowed: hosts, methods, namespaces, secrets."""

    function: str
    narrowed: dict[str, Any] = Field(default={})


class Subject(Value):
    """What a policy looks at: facts about an artifact that neither it nor its author can talk away."""

    source: str
    effect: Effect
    grants: tuple[Grant, ...] = ()
    """Of a workflow: those of all its capabilities."""
    unknown: tuple[str, ...] = ()
    """Granted host functions that do not exist."""
    budget: dict[str, float] = Field(default={})
    """The most that one execution may spend, by the names of `models.Limits`; of a workflow also what its run may:
    `steps`, `run_seconds`, and where it has a map `concurrency` and `max_items`."""


class Conditions(Value):
    """What must hold for a rule to match; all that is named, and an empty list names nothing."""

    source: tuple[Source, ...] = ()
    effect: tuple[Effect, ...] = ()
    functions: tuple[str, ...] = ()
    """Host functions, `*` standing for any rest; one grant must meet this and `narrowed`."""
    narrowed: dict[str, tuple[str, ...]] = Field(default={})
    """What the same grant names: `{hosts = ["*.example.com"]}`; one of its values must be one of these."""
    only: bool = False
    """Every grant must meet `functions` and `narrowed`, with all of its values: it is granted nothing beside these."""
    unknown: bool | None = None
    """Whether a host function is granted that does not exist."""
    over: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default={})
    """It may spend more than this of one of these."""

    @model_validator(mode="after")
    def _can_be_meant(self) -> Self:
        for name in self.over:
            if name not in BUDGETS:
                raise ValueError(f"there is no budget {name!r}; {_meant(name, BUDGETS)}")
        if self.only and not (self.functions or self.narrowed):
            raise ValueError("'only' means nothing without 'functions' or 'narrowed'")
        return self

    @property
    def always(self) -> bool:
        """Whether everything meets it."""
        return all(value in ((), {}, None) for name, value in self if name not in _NO_CONDITIONS)


class RiskRule(Conditions):
    level: Risk
    reason: str


class PolicyRule(Conditions):
    name: str = Field(min_length=1)
    action: Action
    risk: tuple[Risk, ...] = ()
    reason: str


class Policy(Value):
    """The rules, and the digest of the file that they came from; with a project's policy over them, if there is one."""

    limits: Limits = Limits()
    """Of one execution of a capability."""
    run_limits: WorkflowLimits = WorkflowLimits()
    """Of a workflow."""
    risk: tuple[RiskRule, ...] = ()
    rules: tuple[PolicyRule, ...] = ()
    loosens: tuple[str, ...] = ()
    """Of a project's policy: rules of the bundled one that a laxer one of its own overrules, and `limits.fuel` ..."""
    digest: str = ""
    file: str = ""
    project: Policy | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _can_be_meant(self) -> Self:
        for name, most in self.limits:
            if not most <= COUNT_MAX:
                raise ValueError(f"limits.{name} is more than {COUNT_MAX}")
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two rules have the name {name!r}")
        for which, rules in (("rules", self.rules), ("risk", self.risk)):
            always = next((place for place, rule in enumerate(rules[:-1]) if rule.always), None)
            if always is not None:
                raise ValueError(f"{which}[{always + 1}] is never reached: what comes before it meets everything")
        return self


class Tried(Value):
    """One rule that was looked at."""

    file: str
    rule: str
    action: Action
    matched: bool
    why_not: str = ""


class Decision(Value):
    """What the policy says of one artifact: the rule that decided, and why."""

    action: Action
    rule: str
    reason: str
    file: str = ""
    risk: Risk
    risk_reason: str
    note: str = ""
    """Said when a project's laxer rule was not heard."""
    tried: tuple[Tried, ...] = ()


def load_policy(path: Path, project: Path | None = None) -> Policy:
    """Read `guardrails/policy.toml`, and over it a project's own where there is one.

    InvalidInput where one of them is not what Policy says, or where the project loosens what is not there.
    """
    policy = _read(path)
    return (
        policy if project is None or not project.is_file() or project.samefile(path) else _over(policy, _read(project))
    )


def _read(path: Path) -> Policy:
    policy, text = read_toml(path, Policy, "the policy")
    return policy.model_copy(update={"digest": hashlib.sha256(text.encode()).hexdigest(), "file": str(path)})


def _over(policy: Policy, project: Policy) -> Policy:
    known = [rule.name for rule in policy.rules]
    known += [f"{table}.{name}" for table in _LIMIT_TABLES for name in type(getattr(policy, table)).model_fields]
    for name in project.loosens:
        if name not in known:
            raise InvalidInput(
                f"'{project.file}' loosens '{name}', and the policy has no such rule or limit", hint=_meant(name, known)
            )
    tables = {table: _lower(getattr(policy, table), getattr(project, table), table, project) for table in _LIMIT_TABLES}
    digest = hashlib.sha256(f"{policy.digest}\n{project.digest}".encode()).hexdigest()
    return policy.model_copy(update={**tables, "digest": digest, "project": project})


_LIMIT_TABLES = ("limits", "run_limits")


def _lower(most: Value, asked: Value, table: str, project: Policy) -> Value:
    """The limits of a table as a project has them: its own where they are lower, or where it loosens them by name."""
    own = {}
    for name in asked.model_fields_set:
        given = [each for each in (getattr(most, name), getattr(asked, name)) if each is not None]
        own[name] = getattr(asked, name) if f"{table}.{name}" in project.loosens else min(given, default=None)
    return most.model_copy(update=own)


def _meant(name: str, known: Sequence[str]) -> str:
    near = near_miss(name, known)
    return f"did you mean '{near}'?" if near else f"there are: {', '.join(known)}"


def subject_of(
    contracts: Sequence[Contract],
    catalog: Mapping[str, HostFunction],
    *,
    source: str,
    limits: Limits,
    workflow: Workflow | None = None,
) -> Subject:
    """The facts about a capability (its one contract) or a `workflow` (`contracts` are those of its parts)."""
    budget: dict[str, float] = {}
    for name, most in limits.model_dump().items():
        asked = [getattr(each.limits, name) for each in contracts]
        budget[name] = max((most if own is None else min(own, most) for own in asked), default=0)
    if workflow is not None:
        budget |= {"steps": workflow.limits.steps, "run_seconds": workflow.limits.deadline_seconds}
        for each in workflow.nodes:
            if isinstance(each, MapNode):
                asked_for = {"concurrency": each.concurrency, "max_items": each.max_items}
                budget |= {name: max(most, budget.get(name, 0)) for name, most in asked_for.items()}
    grants: list[Grant] = []
    for name, narrowed in (pair for each in contracts for pair in each.grants.items()):
        grant = Grant(function=name, narrowed=narrowed)
        grants += [] if grant in grants else [grant]
    return Subject(
        source=source,
        effect=max((effect_of(each, catalog) for each in contracts), key=EFFECT_ORDER.__getitem__, default="pure"),
        grants=tuple(grants),
        unknown=tuple(sorted({grant.function for grant in grants} - catalog.keys())),
        budget=budget,
    )


def decide(policy: Policy, subject: Subject) -> Decision:
    """The first rule that matches; deny where none does. A risk that no rule names is critical.

    Of a project's policy the first rule that matches overrules it when it is at least as strict, or when the project's
    `loosens` names the rule that it overrules. Its risk counts where it is the higher one.
    """
    risk, risk_reason = _risk(policy, subject) or ("critical", "no rule rates it")
    own = _risk(policy.project, subject) if policy.project is not None else None
    if own is not None and RISK_ORDER[own[0]] > RISK_ORDER[risk]:
        risk, risk_reason = own
    rule, tried = _first(policy, subject, risk)
    action: Action = rule.action if rule else "deny"
    decision = Decision(
        action=action,
        rule=rule.name if rule else "",
        reason=rule.reason if rule else "no rule matches",
        file=policy.file,
        risk=risk,
        risk_reason=risk_reason,
    )
    if policy.project is not None:
        over, more = _first(policy.project, subject, risk)
        tried = more + tried
        if over is not None:
            decision = _overruled(policy.project, over, decision)
    return decision.model_copy(update={"tried": tuple(tried)})


def _overruled(project: Policy, rule: PolicyRule, by: Decision) -> Decision:
    if STRICTNESS[rule.action] < STRICTNESS[by.action] and by.rule not in project.loosens:
        note = f"the project's rule '{rule.name}' would {rule.action} it, but its 'loosens' does not name '{by.rule}'"
        return by.model_copy(update={"note": note})
    said = {"action": rule.action, "rule": rule.name, "reason": rule.reason, "file": project.file}
    return by.model_copy(update=said)


def _risk(policy: Policy, subject: Subject) -> tuple[Risk, str] | None:
    for rating in policy.risk:
        if not _why_not(rating, subject):
            return rating.level, rating.reason
    return None


def _first(policy: Policy, subject: Subject, risk: Risk) -> tuple[PolicyRule | None, list[Tried]]:
    tried: list[Tried] = []
    for rule in policy.rules:
        why_not = _why_not(rule, subject)
        if not why_not and rule.risk and risk not in rule.risk:
            why_not = f"the risk is {risk}, not {_or(rule.risk)}"
        tried.append(Tried(file=policy.file, rule=rule.name, action=rule.action, matched=not why_not, why_not=why_not))
        if not why_not:
            return rule, tried
    return None, tried


def _why_not(rule: Conditions, subject: Subject) -> str:
    """The first condition that does not hold, in words; empty when all do."""
    if rule.source and subject.source not in rule.source:
        return f"the source is {subject.source}, not {_or(rule.source)}"
    if rule.effect and subject.effect not in rule.effect:
        return f"the effect is {subject.effect}, not {_or(rule.effect)}"
    if rule.unknown is not None and bool(subject.unknown) != rule.unknown:
        return "it is granted a host function that does not exist" if subject.unknown else "every granted one exists"
    if rule.only:
        beside = next((grant for grant in subject.grants if not _meets(rule, grant, all)), None)
        if beside is not None:
            return f"it is granted {beside.function} {json.dumps(beside.narrowed)} beside these"
    if (rule.functions or rule.narrowed) and not any(_meets(rule, grant, any) for grant in subject.grants):
        wanted = _or(rule.functions) if rule.functions else "a host function"
        narrowed = "".join(f" for the {name} {_or(values)}" for name, values in rule.narrowed.items())
        return f"it is not granted {wanted}{narrowed}"
    if rule.over and not any(subject.budget.get(name, 0) > most for name, most in rule.over.items()):
        return "it may not spend more than " + " or ".join(f"{most:g} {name}" for name, most in rule.over.items())
    return ""


def _meets(rule: Conditions, grant: Grant, how_many: Callable[[Iterable[bool]], bool]) -> bool:
    """Whether a grant is one that a rule means, with `any` or `all` of what it names."""
    if rule.functions and not _like(grant.function, rule.functions):
        return False
    named = {name: list(_values(grant.narrowed.get(name))) for name in rule.narrowed}
    return all(
        bool(named[name]) and how_many(_like(str(value), patterns) for value in named[name])
        for name, patterns in rule.narrowed.items()
    )


def _values(narrowing: Any) -> Iterable[Any]:
    if isinstance(narrowing, list | tuple | dict):
        return narrowing
    return () if narrowing is None else (narrowing,)


def _like(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _or(words: Sequence[str]) -> str:
    return " or ".join(words)
