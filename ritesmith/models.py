"""The values that pass between the stages: frozen, checked for shape when made, free of behaviour.

Shape is checked here; sense (does the name exist, do the types fit) is checked in `guard/`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from ritesmith.notebook import Card, Shown

JSON: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list of these, or dict from str to these."""

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema, draft 2020-12."""

SEMANTICS_VERSION = 1
"""Version of the interpreter's rules; recorded in every run, so that a later interpreter knows what it resumes."""

NAME_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$"
COUNT_MAX = 2**53
"""The largest limit: numbers up to it are exact in JSON, Lua and SQLite."""
NODE_PATTERN = r"^[a-z][a-z0-9_]*$"


class Value(BaseModel):
    """Base of all values: frozen, and an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)


# ---------------------------------------------------------------- findings


class Where(Value):
    """Where a finding stands: a line (and column) of a file, both from 1, or a JSON path such as `$.nodes[2].next`."""

    file: str = ""
    line: int | None = None
    column: int | None = None
    path: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part not in ("", None))
        return " ".join(part for part in (place, self.path) if part)


class Finding(Value):
    """One rule broken at one place. `message` says what was found, `hint` what to do."""

    code: str
    severity: Literal["error", "warning"] = "error"
    where: Where = Where()
    message: str
    hint: str = ""


# ---------------------------------------------------------------- sandbox


class Limits(Value):
    """What one execution of a script may spend. Passing any of them ends the execution; a script cannot catch it."""

    fuel: int = Field(default=20_000_000, ge=1)
    """VM instructions as the count hook sees them, plus the charges for library work; deterministic."""
    memory_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    """Lua heap above an empty runtime."""
    deadline_seconds: float = Field(default=3.0, gt=0)
    """Wall clock of the worker's own work; time spent waiting for a host function does not count."""
    host_calls: int = Field(default=100, ge=0)
    """Calls of host functions."""
    output_bytes: int = Field(default=1024 * 1024, ge=1)
    """Size of the output as JSON."""


OutcomeStatus: TypeAlias = Literal[
    "ok",
    "reject",
    "script_error",
    "fail",
    "fuel",
    "memory",
    "deadline",
    "host_calls",
    "output_size",
    "grant_denied",
    "bad_result",
    "worker_lost",
]
LIMIT_STATUSES = frozenset({"fuel", "memory", "deadline", "host_calls", "output_size"})


class Outcome(Value):
    """How one execution of a capability ended: `ok` with its output, or one error of a closed list."""

    status: OutcomeStatus
    output: JSON = None
    code: str = ""
    """For `fail`: the code the script gave; otherwise the status itself."""
    message: str = ""
    retryable: bool = False
    """Only a `fail` may say so, and `worker_lost` is."""
    retry_after_seconds: float | None = None
    """What the host function that it failed with asked to wait before the next attempt."""
    details: JSON = None
    line: int | None = None
    fuel: int = 0
    memory_bytes: int = 0
    host_calls: int = 0


class HostReply(Value):
    """What a host function answered: a result, or an error object that the script's pcall may catch."""

    result: JSON = None
    error: HostError | None = None


class HostError(Value):
    """An expected failure of a host function, as the script sees it."""

    code: str
    """A word that a script and `on_error` can tell apart."""
    message: str
    """What went wrong, for people."""
    retryable: bool = False
    """Whether the step's retry applies."""
    details: JSON = None
    """More, for the script."""
    retry_after_seconds: float | None = None
    """How long to wait before the next attempt, at least."""


HostCall: TypeAlias = Callable[[str, JSON], HostReply]
"""(host function's name, arguments) -> reply. It may raise: then the execution is dropped and the exception passes."""


# ---------------------------------------------------------------- capability

Effect: TypeAlias = Literal["pure", "read", "write"]
EFFECT_ORDER: Mapping[str, int] = {"pure": 0, "read": 1, "write": 2}
Risk: TypeAlias = Literal["low", "medium", "high", "critical"]


class HostFunction(Value):
    """The declaration of one host function; catalog, guard, stub, grant check and documentation come from it."""

    name: str
    description: str
    input: Schema
    output: Schema
    effect: Effect
    idempotent: bool = True
    """May be repeated with the same idempotency key when we do not know whether the first call happened."""
    transactional: bool = False
    """Its effect lies in the registry file and is committed in one transaction with the journal entry of the call."""
    outside: bool = False
    """It reaches beyond the registry file and the clock: in an example it must be stubbed."""
    narrows: dict[str, Schema] = {}
    """What a grant must say to narrow it: key of the grant -> schema of the value, which may have a default.

    `namespaces` narrows the argument `namespace`, and so on; `hosts` without an argument `host` the host of `url`,
    `secrets` the names of all {"secret": NAME} among the arguments, `recipients` the addresses in `to`, `cc` and `bcc`.
    """
    reads: dict[str, tuple[JSON, ...]] = {}
    """Argument -> values with which a call of a writing function only reads; of a grant, when it allows no others."""
    repeatable: dict[str, tuple[JSON, ...]] = {}
    """Argument -> values with which a call may be repeated although the function is not idempotent."""
    errors: tuple[str, ...] = ()
    unusable: str = ""
    """Why it may not be called now, and what to do; empty where it may."""


class HostStub(Value):
    """What the world answers to a host call in an example."""

    call: str
    """The host function."""
    with_: JSON = Field(default=None, alias="with")
    """Arguments that must be met; None meets any."""
    result: JSON = None
    """What it answers."""
    error: HostError | None = None
    """Or the failure that it answers."""


class CapabilityExample(Value):
    """One run of a capability in a throw-away world: input and world in; output, or the code of an error, out."""

    input: JSON
    """The input."""
    output: JSON = None
    """What it must give; numbers may differ by a billionth, and `[]` equals `{}`."""
    error: str | None = None
    """Or the code that it must fail with."""
    hosts: tuple[HostStub, ...] = ()
    """What host functions that reach outside answer, in order."""
    store: dict[str, dict[str, JSON]] = {}
    """Documents before the call: namespace -> key -> value."""
    store_after: dict[str, dict[str, JSON]] | None = None
    """Documents that must stand so afterwards (null: must be absent). Required when the call changes the store."""


class CapabilityLimits(Value):
    """Limits that a capability sets for itself; policy caps them."""

    fuel: int | None = Field(default=None, ge=1, le=COUNT_MAX)
    """VM instructions, and the charges for library work: the same on every machine."""
    memory_bytes: int | None = Field(default=None, ge=1024 * 1024, le=COUNT_MAX)
    """Lua heap above an empty runtime."""
    deadline_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Wall clock of the script's own work; waiting for a host function does not count."""
    host_calls: int | None = Field(default=None, ge=0, le=COUNT_MAX)
    """Calls of host functions."""
    output_bytes: int | None = Field(default=None, ge=1, le=COUNT_MAX)
    """Size of the output as JSON."""

    @functools.cached_property
    def given(self) -> dict[str, float]:
        """Those that it sets."""
        return {name: value for name, value in self if value is not None}


class Contract(Value):
    """The header of a capability file."""

    name: str = Field(pattern=NAME_PATTERN, max_length=100)
    """Its name: a namespace, and what it does, such as `math.percentage_change`."""
    intent: str = Field(min_length=3, max_length=500)
    """What it is for, in the words in which somebody asks for it."""
    description: str = ""
    """More that a reader should know."""
    aliases: tuple[str, ...] = ()
    """Other words for the same intent."""
    input: Schema
    """What `run` is given; checked before each call."""
    output: Schema
    """What `run` gives back; checked after each call."""
    grants: dict[str, dict[str, Any]] = {}
    """Host function -> how its use is narrowed."""
    limits: CapabilityLimits = CapabilityLimits()
    """Less than the policy allows to every capability."""
    compensated_by: str | None = Field(default=None, pattern=NAME_PATTERN)
    """The capability that undoes what this one does."""
    examples: tuple[CapabilityExample, ...] = ()
    """At least two; each is run before the capability may exist, and before it is reused."""


class Capability(Value):
    """A capability file, read: its contract, and the whole text, which is what is stored, hashed and executed."""

    contract: Contract
    source: str


# ---------------------------------------------------------------- workflow

Expression: TypeAlias = Any
"""A literal, or strict JSON Logic with references (see `expr`)."""


class Retry(Value):
    """When and how often a failed attempt is tried again."""

    max_attempts: int = Field(default=3, ge=1, le=100)
    """Attempts in all; 1 is no retry."""
    initial_seconds: float = Field(default=1.0, ge=0)
    """The pause after the first attempt."""
    multiplier: float = Field(default=2.0, ge=1)
    """Each further pause is so many times the one before."""
    max_seconds: float = Field(default=60.0, ge=0)
    """The longest pause."""
    jitter: float = Field(default=0.1, ge=0, le=1)
    """The part of a pause by which it may be shorter or longer; from the run's seed."""


class OnError(Value):
    """Where to go when a step failed with this code; `*` meets every code."""

    code: str
    """The code of the failure, or `*`."""
    target: str
    """The node to go to."""


class Compensation(Value):
    """What undoes a finished step. Its `with` may refer to the step's own output."""

    capability: str
    """What undoes it, as for a task."""
    with_: dict[str, Expression] = Field(default={}, alias="with")
    """Its input."""


class Node(Value):
    """A vertex of a workflow, at rest."""

    id: str = Field(pattern=NODE_PATTERN, max_length=60)
    """Its name in this workflow."""


class TaskNode(Node):
    kind: Literal["task"]
    """A capability, called once."""
    capability: str
    """`name`, `name@version` or a digest; publishing pins it to a digest."""
    with_: dict[str, Expression] = Field(default={}, alias="with")
    """The input of the capability, by name."""
    retry: Retry | None = None
    """Instead of the workflow's."""
    deadline_seconds: float | None = Field(default=None, gt=0)
    """Of one attempt: work of the script; it can only be less than what the policy allows."""
    compensation: Compensation | None = None
    """What undoes the step once it has succeeded and the run fails later."""
    no_compensation: str | None = None
    """The reason why a step that writes need not be undone."""
    on_error: tuple[OnError, ...] = ()
    """Where to go when it failed for good, instead of failing the run; the first that meets the code."""
    next: str | None = None
    """The node after it; without one the branch, or the run, ends."""


class Case(Value):
    when: Expression
    """A condition; it must be true or false."""
    target: str
    """The node to go to when it is true."""


class SwitchNode(Node):
    kind: Literal["switch"]
    """The first case that is true."""
    cases: tuple[Case, ...] = Field(min_length=1)
    """Tried in order."""
    default: str
    """Where to go when none is true."""


class SleepNode(Node):
    kind: Literal["sleep"]
    """A durable pause; no process needs to live meanwhile."""
    seconds: Expression = None
    """How long; a number."""
    until: Expression = None
    """Or until when: an ISO 8601 text, or seconds since 1970."""
    next: str | None = None
    """The node after it."""


class WaitNode(Node):
    kind: Literal["wait"]
    """A callback from outside, by `ritesmith deliver`."""
    schema_: Schema = Field(default={}, alias="schema")
    """What the callback's payload must be; it becomes the node's output."""
    deadline_seconds: float | None = Field(default=None, gt=0)
    """How long it is waited for."""
    on_timeout: str | None = None
    """Where to go when nothing came; without it the run fails with `wait_timeout`."""
    success_when: Expression = None
    """A condition over the payload; false fails the run with `callback_not_successful`."""
    next: str | None = None
    """The node after it."""


class ApprovalNode(Node):
    kind: Literal["approval"]
    """A person's yes or no, by `ritesmith approve` or `reject`."""
    prompt: Expression
    """What the person is asked; its digest is recorded with the answer."""
    deadline_seconds: float | None = Field(default=None, gt=0)
    """How long the answer is waited for."""
    on_reject: str | None = None
    """Where to go after a no; without it the run fails with `rejected`."""
    on_timeout: str | None = None
    """Where to go when no answer came; without it the run fails with `approval_timeout`."""
    next: str | None = None
    """The node after a yes."""


class Branch(Value):
    """One way of a split: its nodes run from `start` until they come to the join."""

    id: str = Field(pattern=NODE_PATTERN, max_length=60)
    """Its name: the key of its output in the join."""
    start: str
    """Its first node."""


class SplitNode(Node):
    """Runs its branches side by side; each sees what was there before the split, and what it made itself."""

    kind: Literal["split"]
    """Several branches, side by side."""
    branches: tuple[Branch, ...] = Field(min_length=1, max_length=100)
    """At least one, and the join waits for them."""
    join: str
    """The node at which they come together."""


class MapNode(Node):
    """Runs the nodes from `start` to the join once for each element of `over`."""

    kind: Literal["map"]
    """The same nodes once for each element of a list."""
    over: Expression
    """The list."""
    as_: str | None = Field(default=None, alias="as", pattern=NODE_PATTERN, max_length=60)
    """The element is `item.<as>`, also in maps within this map; without a name it is `item` itself."""
    start: str
    """The first node of each element."""
    join: str
    """The node at which the elements come together."""
    concurrency: int = Field(default=10, ge=1, le=1000)
    """How many elements are under way at a time."""
    max_items: int = Field(default=1000, ge=1, le=100_000)
    """More elements fail the node, before the first is begun."""


class JoinNode(Node):
    """Where the branches of a split, or the elements of a map, come together.

    Output: an object by branch id, or an array in the order of the elements, of what each branch gave last. `all`: the
    first failure fails the join. `any` (of a split only): the first success ends it, and only that branch is in the
    output. `settled`: for each {"status": "succeeded", "output": ...} or {"status": "failed", "error": {...}}.
    """

    kind: Literal["join"]
    """The end of a split or of a map."""
    policy: Literal["all", "any", "settled"] = "all"
    """When the join succeeds: see above."""
    next: str | None = None
    """The node after it."""


class CallNode(Node):
    """Runs another workflow as a run of its own, and waits for its end. Output: that run's output."""

    kind: Literal["call"]
    """Another workflow, as a run of its own."""
    workflow: str
    """`name`, `name@version` or a digest; publishing pins it to a digest."""
    with_: dict[str, Expression] = Field(default={}, alias="with")
    """The input of that workflow, by name."""
    on_error: tuple[OnError, ...] = ()
    """Where to go when that run did not succeed; the first that meets the code."""
    next: str | None = None
    """The node after it."""


class EndNode(Node):
    kind: Literal["end"]
    """The end of the run."""
    status: Literal["succeeded", "failed"] = "succeeded"
    """How the run ends; `failed` compensates nothing by itself."""
    outcome: str = ""
    """A word for how it ended; of a failed run also its code."""
    output: Expression = None
    """The output of the run."""


AnyNode: TypeAlias = Annotated[
    TaskNode | SwitchNode | SleepNode | WaitNode | ApprovalNode | SplitNode | MapNode | JoinNode | CallNode | EndNode,
    Field(discriminator="kind"),
]
NODE_KINDS = ("task", "switch", "sleep", "wait", "approval", "split", "map", "join", "call", "end")


class RunLimits(Value):
    """What a whole run may spend, over all its attempts and processes. None: no limit beside that of each step."""

    steps: int = Field(default=1000, ge=1, le=COUNT_MAX)
    """Visits of nodes, of all branches together."""
    deadline_seconds: float = Field(default=7 * 86_400, gt=0, allow_inf_nan=False)
    """From the start of the run to its end, sleeping and waiting included."""
    fuel: int | None = Field(default=None, ge=1, le=COUNT_MAX)
    """Of all scripts together."""
    host_calls: int | None = Field(default=None, ge=1, le=COUNT_MAX)
    """Of all scripts together."""
    bytes: int | None = Field(default=None, ge=1, le=COUNT_MAX)
    """Size as JSON of all outputs and of all answers of host functions."""


class WorkflowLimits(Value):
    """The most that a policy lets a workflow ask for. None: as much as it likes."""

    steps: int = Field(default=100_000, ge=1, le=COUNT_MAX)
    deadline_seconds: float = Field(default=366 * 86_400, gt=0, allow_inf_nan=False)
    fuel: int | None = Field(default=None, ge=1, le=COUNT_MAX)
    host_calls: int | None = Field(default=None, ge=1, le=COUNT_MAX)
    bytes: int | None = Field(default=None, ge=1, le=COUNT_MAX)
    concurrency: int = Field(default=100, ge=1, le=COUNT_MAX)
    """Of a map: elements under way at a time."""
    max_items: int = Field(default=100_000, ge=1, le=COUNT_MAX)
    """Of a map: elements."""


class WorkflowExample(Value):
    """One run of a workflow in a throw-away world with a virtual clock."""

    input: JSON
    """The input."""
    store: dict[str, dict[str, JSON]] = {}
    """Documents before the run: namespace -> key -> value."""
    hosts: tuple[HostStub, ...] = ()
    """What host functions that reach outside answer, in order."""
    decisions: dict[str, Literal["approved", "rejected"]] = {}
    """What a person decides: approval node -> decision; `*` stands for every approval."""
    callbacks: dict[str, JSON] = {}
    """What arrives from outside: wait node -> payload; `*` stands for every wait."""
    status: str | None = None
    """The run's status; when left out, an example with `outcome` or `output` is met by any."""
    outcome: str | None = None
    """The outcome that the run must end with."""
    output: JSON = None
    """What the run must give, compared as for a capability."""
    error: str | None = None
    """The code that the run failed with."""
    store_after: dict[str, dict[str, JSON]] | None = None
    """Documents that must stand so afterwards (null: must be absent)."""


class Workflow(Value):
    """A graph of nodes, data only. The graph is in the ids."""

    name: str = Field(pattern=NAME_PATTERN, max_length=100)
    """Its name: a namespace, and what it does, such as `orders.refund`."""
    intent: str = Field(min_length=3, max_length=500)
    """What it is for, in the words in which somebody asks for it."""
    description: str = ""
    """More that a reader should know."""
    aliases: tuple[str, ...] = ()
    """Other words for the same intent."""
    input: Schema = {"type": "object"}
    """What a run is given; checked when it starts."""
    output: Schema | None = None
    """What a run gives; checked against every `end` node before it may exist."""
    start: str
    """The first node."""
    limits: RunLimits = RunLimits()
    """What a run may spend."""
    retry: Retry = Retry(max_attempts=1)
    """Of every task that has none of its own; left out, nothing is tried again."""
    nodes: tuple[AnyNode, ...] = Field(min_length=1, max_length=10_000)
    """The nodes, in any order."""
    examples: tuple[WorkflowExample, ...] = ()
    """Runs in a throw-away world, each made before the workflow may exist."""

    @functools.cached_property
    def by_id(self) -> dict[str, AnyNode]:
        """Node id -> node."""
        return {node.id: node for node in self.nodes}


# ---------------------------------------------------------------- registry

ArtifactKind: TypeAlias = Literal["capability", "workflow"]
ArtifactStatus: TypeAlias = Literal["draft", "active", "deprecated", "revoked"]


Source: TypeAlias = Literal["bundled", "person", "composed", "model"]


class Provenance(Value):
    """Where a version comes from and what it was checked with."""

    source: Source
    intent: str = ""
    author: str = ""
    model: str | None = None
    prompt_digest: str | None = None
    tokens: int | None = 0
    """None where the server did not say."""
    cost: float | None = None
    findings: tuple[Finding, ...] = ()
    trial: dict[str, Any] = {}
    pins: dict[str, str] = {}
    """Of a workflow: reference to a capability or a workflow, as its text writes it -> digest."""
    parents: tuple[str, ...] = ()
    """Digests of the artifacts it was made from."""
    guard_version: str = ""
    policy_digest: str = ""
    lua_version: str = ""


class Artifact(Shown, Value):
    """The stored bytes of one capability or workflow, named by the sha256 of its text."""

    digest: str
    kind: ArtifactKind
    name: str
    version: int
    text: str
    canonical: str
    """Equal for texts that differ only in layout, comments or local names."""
    status: ArtifactStatus = "active"
    reason: str = ""
    """Why it was deprecated or revoked."""
    effect: Effect
    risk: Risk
    created_at: float
    """Seconds since 1970, UTC."""
    provenance: Provenance
    signer: str | None = None
    """Public key whose signature is stored with it; None: it is not signed. Whether that is right, `verify` tells."""

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    def _card(self) -> Card:
        facts = [("digest", self.digest), ("source", self.provenance.source), ("author", self.provenance.author)]
        return Card(f"{self.ref} {self.kind}, {self.status}, {self.effect}, risk {self.risk}", facts)


# ---------------------------------------------------------------- runs

RunStatus: TypeAlias = Literal[
    "pending",
    "running",
    "sleeping",
    "waiting",
    "compensating",
    "unknown",
    "succeeded",
    "failed",
    "compensated",
    "compensation_failed",
    "cancelled",
]
FINAL_STATUSES = frozenset({"succeeded", "failed", "compensated", "compensation_failed", "cancelled"})
LEGAL_MOVES: Mapping[str, frozenset[str]] = {
    "pending": frozenset({"running", "cancelled"}),
    "running": frozenset({"sleeping", "waiting", "compensating", "unknown", "succeeded", "failed", "cancelled"}),
    "sleeping": frozenset({"running", "compensating", "failed", "cancelled"}),
    "waiting": frozenset({"running", "sleeping", "compensating", "failed", "cancelled"}),
    "compensating": frozenset({"sleeping", "unknown", "compensated", "compensation_failed", "failed", "cancelled"}),
    "unknown": frozenset({"running", "compensating", "cancelled"}),
    "compensation_failed": frozenset({"compensating"}),
    "failed": frozenset({"running"}),
    "compensated": frozenset(),
    "succeeded": frozenset({"compensating"}),  # a child, when the run that called it is given up
    "cancelled": frozenset(),
}


class Entry(NamedTuple):
    """One row of a run's journal. `hash` covers the previous entry's hash and everything in this one.

    Not checked when it is made, unlike the other values: the hash vouches for it, and every step makes one.
    """

    run: str
    seq: int
    """From 1, without gaps."""
    at: float
    """Seconds since 1970, UTC, by the engine's clock."""
    kind: str
    node: str = ""
    """The node path; empty for entries of the run itself."""
    attempt: int = 0
    data: Mapping[str, Any] = MappingProxyType({})
    hash: str = ""


HostReply.model_rebuild()
