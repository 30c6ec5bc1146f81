"""Dry run: walk a workflow through every branch on stubs, with the real interpreter and nothing executed.

Each path is one run of `saga` in memory. Where the real run would depend on the world, the walk chooses: each case of a
switch, each error that a step handles, yes, no or no answer to an approval. What a step gives is what an example of its
capability gave, or else a plain value of its output schema. So a condition is assumed, not computed: a path may be one
that no real run can take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ritesmith import saga
from ritesmith.guard.generate import plain
from ritesmith.models import (
    JSON,
    ApprovalNode,
    CallNode,
    Contract,
    Entry,
    Outcome,
    SwitchNode,
    TaskNode,
    Value,
    WaitNode,
    Workflow,
)
from ritesmith.notebook import Card, Shown

PATHS_MAX = 100
STEPS_MAX = 20_000
"""Entries of all paths together."""
PENDING_MAX = 10_000
RUN = "dry"


class Choice(Value):
    """What was assumed at one node."""

    node: str
    """The node path."""
    choice: str
    when: JSON = None
    """The condition of a switch's case."""


class Path(Value):
    """One way through the workflow."""

    nodes: tuple[str, ...]
    choices: tuple[Choice, ...]
    status: str
    """How the run ends, or `cut` where the walk went round a loop again, or came to its bound."""
    outcome: str = ""
    error: str = ""
    undone: tuple[str, ...] = ()


class DryRun(Shown, Value):
    """All paths that were walked, and what they left out."""

    paths: tuple[Path, ...]
    left_out: int = 0
    """Paths that were seen and not walked, at least."""
    not_taken: tuple[str, ...] = ()
    """Choices that no path took, as `node: choice`."""
    not_reached: tuple[str, ...] = ()
    """Nodes that no path came to."""

    def _card(self) -> Card:
        missed = {"left out": self.left_out, "not taken": len(self.not_taken), "not reached": len(self.not_reached)}
        title = ", ".join([f"{len(self.paths)} paths", *(f"{count} {what}" for what, count in missed.items() if count)])
        rows = [(" → ".join(each.nodes), f"{each.status} {each.outcome or each.error}".strip()) for each in self.paths]
        return Card(title, (), ("nodes", "ends"), rows)


Option = tuple[str, Callable[[], saga.Record]]
"""What is chosen, and the entry that follows from it."""


def dry_run(
    workflow: Workflow,
    contract: Callable[[str], Contract | None],
    called: Callable[[str], Workflow | None] = lambda reference: None,
) -> DryRun:
    """Walk a checked workflow; at most PATHS_MAX paths, those that take a choice that no other took first."""
    stubs = _Stubs(workflow, contract, called)
    pending = [_Prefix([], 0, "", "")]
    offered: dict[tuple[str, str], None] = {}
    taken: set[tuple[str, str]] = set()
    reached: set[str] = set()
    paths: list[Path] = []
    steps = 0
    while pending and len(paths) < PATHS_MAX and steps < STEPS_MAX:
        fresh = next((index for index, each in enumerate(pending) if (each.node, each.label) not in taken), 0)
        prefix = pending.pop(fresh)
        walk = _Walk(workflow, stubs, prefix.indexes(), STEPS_MAX - steps)
        paths.append(walk.run())
        steps += walk.steps
        reached |= walk.reached
        taken.update((made.node, made.label) for made in walk.taken)
        for depth, made in enumerate(walk.taken):
            offered.update(dict.fromkeys((made.node, label) for label in made.labels))
            if depth >= len(walk.prefix) and made.first:
                others = [label for label in made.labels if label != made.label]
                more = [_Prefix(walk.taken, depth, made.node, label) for label in others]
                pending += more[: max(0, PENDING_MAX - len(pending))]
    return DryRun(
        paths=tuple(paths),
        left_out=len(pending),
        not_taken=tuple(f"{node}: {label}" for node, label in offered if (node, label) not in taken),
        not_reached=tuple(node.id for node in workflow.nodes if node.id not in reached),
    )


class _Made(NamedTuple):
    """One choice of a path, where there was more than one."""

    node: str
    chosen: int
    labels: Sequence[str]
    """What there was to choose from."""
    first: bool
    """It was the first choice at this node on this path."""

    @property
    def label(self) -> str:
        return self.labels[self.chosen]


class _Prefix(NamedTuple):
    """How a path begins: as another one did up to a depth, and then otherwise."""

    before: Sequence[_Made]
    depth: int
    node: str
    label: str

    def indexes(self) -> list[int]:
        if not self.label:
            return []
        labels = self.before[self.depth].labels
        return [*(made.chosen for made in self.before[: self.depth]), labels.index(self.label)]


class _Stubs:
    """What steps, callbacks and called workflows give."""

    def __init__(
        self,
        workflow: Workflow,
        contract: Callable[[str], Contract | None],
        called: Callable[[str], Workflow | None],
    ) -> None:
        self.workflow = workflow
        self.contract = contract
        self.called = called
        self.input = plain(workflow.input, [example.input for example in workflow.examples])
        self.known: dict[str, JSON] = {}

    def output(self, reference: str) -> JSON:
        if reference not in self.known:
            contract = self.contract(reference)
            seen = [each.output for each in contract.examples if each.error is None] if contract else []
            self.known[reference] = plain(contract.output, seen) if contract else {}
        return self.known[reference]

    def output_of_run(self, reference: str) -> JSON:
        workflow = self.called(reference)
        if workflow is None:
            return None
        seen = [each.output for each in workflow.examples if "output" in each.model_fields_set]
        return plain(workflow.output or {}, seen)

    def payload(self, node: WaitNode) -> JSON:
        seen = [
            each.callbacks[key] for each in self.workflow.examples for key in (node.id, "*") if key in each.callbacks
        ]
        return plain(node.schema_, seen)


@dataclass
class _Walk:
    """One path: the choices of `prefix`, and from there on at each node the first that was not yet made there."""

    workflow: Workflow
    stubs: _Stubs
    prefix: Sequence[int]
    steps_max: int
    steps: int = 0
    now: float = 0.0
    state: saga.State = field(default_factory=saga.State)
    nodes: list[str] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)
    taken: list[_Made] = field(default_factory=list)
    labels: dict[str, set[str]] = field(default_factory=dict)
    """Node id -> what was chosen there on this path."""
    done: int = 0
    """How many finished steps were looked at for something to undo."""
    undoes: bool = False
    """One of them can be undone."""
    choices: list[Choice] = field(default_factory=list)
    asking: str = ""
    """The path of the node whose choice it is."""

    def run(self) -> Path:
        capabilities: dict[str, str] = {}
        self.append(saga.start_record(self.workflow, "", capabilities, self.stubs.input, RUN, 0.0))
        while self.steps < self.steps_max:
            self.look()
            options = self.options(saga.decide(self.workflow, self.state, self.now))
            if options is None:
                break
            record = self.choose(options)
            if record is None:
                return self.path("cut")
            self.append(record)
        return self.path(self.state.status if self.steps < self.steps_max else "cut")

    def append(self, record: saga.Record) -> None:
        self.steps += 1
        entry = Entry(
            run=RUN,
            seq=self.steps,
            at=self.now,
            kind=record.kind,
            node=record.node,
            attempt=record.attempt,
            data=dict(record.data),
        )
        saga.apply(self.state, entry)

    def look(self) -> None:
        """Note the nodes that it stands at."""
        for track in self.state.acting():
            if track.at is not None and track.path not in self.nodes[-20:]:
                self.nodes.append(track.path)
                self.reached.add(track.at)

    def options(self, command: saga.Command) -> list[Option] | None:
        """What may follow a command; None when the run has ended."""
        match command:
            case saga.Finished():
                return None
            case saga.Record(kind="switched"):
                return self.cases(command)
            case saga.Record(kind="map_started"):
                few = {**command.data, "items": list(command.data["items"])[:1]}
                return [("", lambda: saga.Record(command.kind, command.node, command.attempt, few))]
            case saga.Record():
                if command.kind in ("joined", "run_finished") and command.node:
                    self.passed(command.node)
                return [("", lambda: command)]
            case saga.Invoke():
                return self.outcomes(command)
            case saga.Await():
                return self.children(command)
            case saga.Pause():
                return self.answers(command)

    def passed(self, path: str) -> None:
        if path not in self.nodes[-20:]:
            self.nodes.append(path)
        self.reached.add(path.rpartition("/")[2].partition("#")[0])

    def choose(self, options: list[Option]) -> saga.Record | None:
        """Take one of the options; None when all of them were taken at this node on this path before."""
        if len(options) == 1:
            return options[0][1]()
        path = self.asking
        node = path.rpartition("/")[2].partition("#")[0]
        labels = [label for label, _ in options]
        before = self.labels.setdefault(node, set())
        depth = len(self.taken)
        if depth < len(self.prefix):
            index = self.prefix[depth]
        else:
            left = [index for index, label in enumerate(labels) if label not in before]
            if not left:
                return None
            index = left[0]
        self.taken.append(_Made(node, index, labels, not before))
        before.add(labels[index])
        if labels[index] != OK:
            self.choices.append(Choice(node=path, choice=labels[index], when=self.condition(node, labels[index])))
        return options[index][1]()

    def condition(self, node: str, label: str) -> JSON:
        asked = self.workflow.by_id[node]
        if isinstance(asked, SwitchNode) and label.startswith("case "):
            return asked.cases[int(label.removeprefix("case ")) - 1].when
        return None

    # -------------------------------------------------- what may happen at a node

    def cases(self, command: saga.Record) -> list[Option]:
        node = self.node_of(command.node)
        assert isinstance(node, SwitchNode)
        ways: list[tuple[str, Any, str]] = [
            (f"case {index + 1}", index, case.target) for index, case in enumerate(node.cases)
        ]
        return [
            (label, _made(command, {"case": case, "next": target}))
            for label, case, target in [*ways, ("default", "default", node.default)]
        ]

    def outcomes(self, command: saga.Invoke) -> list[Option]:
        output = self.stubs.output(command.capability)
        ends = [(OK, Outcome(status="ok", output=output))]
        node = self.workflow.by_id[command.node]
        if not command.compensation:
            self.asking = command.path
            assert isinstance(node, TaskNode)
            ends += [(label, _failure(code)) for label, code in self.failures(node)]
        return [(label, _concluded(self, command, outcome)) for label, outcome in ends]

    def failures(self, node: TaskNode | CallNode) -> list[tuple[str, str]]:
        """The errors that lead somewhere of their own: those that are handled, and one that undoes what was done."""
        codes = [handler.code for handler in node.on_error]
        failures = [
            (f"fails with {code}" if code != "*" else "fails", code if code != "*" else ASSUMED) for code in codes
        ]
        for done in self.state.done[self.done :]:
            finished = self.workflow.by_id[done.node]
            self.undoes = self.undoes or (isinstance(finished, TaskNode) and finished.compensation is not None)
        self.done = len(self.state.done)
        return failures + ([("fails", ASSUMED)] if self.undoes and "*" not in codes else [])

    def children(self, command: saga.Await) -> list[Option]:
        def ended(status: str, error: dict[str, JSON] | None = None) -> Callable[[], saga.Record]:
            child = saga.State(run=command.child, status=status, error=error)
            track = self.state.track_of(command.path)
            node = self.workflow.by_id[track.at or ""]
            if status == "succeeded" and isinstance(node, CallNode):
                child.output = self.stubs.output_of_run(node.workflow)
            return lambda: saga.child_ended(self.workflow, self.state, command, child)

        if command.wish == "undo":
            return [("", ended("compensated"))]
        if command.wish == "cancel":
            return [("", ended("cancelled"))]
        node = self.node_of(command.path)
        assert isinstance(node, CallNode)
        options: list[Option] = [(OK, ended("succeeded"))]
        for label, code in self.failures(node):
            options.append((label, ended("failed", {"code": code, "message": "assumed by the dry run"})))
        return options

    def answers(self, command: saga.Pause) -> list[Option] | None:
        """What a waiting run may get: the answer it waits for, or none in time; a sleep passes at once."""
        for track in self.state.acting():
            if track.waiting is None or track.waiting.kind not in ("approval", "callback"):
                continue
            node = self.node_of(track.path)
            if isinstance(node, ApprovalNode):
                options = [(word, self.decided(track.path, word)) for word in ("approved", "rejected")]
            else:
                assert isinstance(node, WaitNode)
                met = [(OK, True), ("not successful", False)] if node.success_when is not None else [(OK, True)]
                options = [(label, self.received(track.path, node, good)) for label, good in met]
            if track.waiting.until is not None:
                options.append(("no answer in time", self.later(track.waiting.until)))
            return options
        if command.until is None:
            return None
        return [("", self.later(command.until))]

    def decided(self, path: str, word: str) -> Callable[[], saga.Record]:
        more: dict[str, Any] = {"by": "dry run", "comment": "", "at": self.now, "node": path}
        return lambda: saga.decide_approval(self.workflow, self.state, word, **more)

    def received(self, path: str, node: WaitNode, good: bool) -> Callable[[], saga.Record]:
        def record() -> saga.Record:
            payload = self.stubs.payload(node)
            plainly = node.model_copy(update={"success_when": None})
            nodes = tuple(plainly if each.id == node.id else each for each in self.workflow.nodes)
            workflow = self.workflow.model_copy(update={"nodes": nodes})
            workflow.__dict__.pop("by_id", None)
            made = saga.receive_callback(workflow, self.state, payload, at=self.now, node=path)
            if good:
                return made
            error = {"code": "callback_not_successful", "message": "assumed by the dry run", "node": path}
            return saga.Record(made.kind, made.node, made.attempt, {**made.data, "error": error})

        return record

    def later(self, until: float) -> Callable[[], saga.Record]:
        def record() -> saga.Record:
            self.now = max(self.now, until)
            command = saga.decide(self.workflow, self.state, self.now)
            assert isinstance(command, saga.Record)
            return command

        return record

    def node_of(self, path: str) -> Any:
        self.asking = path
        return self.workflow.by_id[path.rpartition("/")[2].partition("#")[0]]

    def path(self, status: str) -> Path:
        state, error = self.state, ""
        if state.error is not None:
            error = str(state.error.get("code", "")).replace(ASSUMED, "")
            if error == "bad_expression":
                error += f": {state.error.get('message', '')}"
        return Path(
            nodes=tuple(self.nodes),
            choices=tuple(self.choices),
            status=status,
            outcome=state.outcome,
            error=error,
            undone=tuple(state.undone),
        )


ASSUMED = "assumed_by_the_dry_run"
"""The code of an error that stands for any."""
OK = "ok"
"""The choice of what is hoped for; it is not worth a word in the table."""


def _made(command: saga.Record, data: dict[str, Any]) -> Callable[[], saga.Record]:
    return lambda: saga.Record(command.kind, command.node, command.attempt, data)


def _failure(code: str) -> Outcome:
    return Outcome(status="fail", code=code, message="assumed by the dry run")


def _concluded(walk: _Walk, command: saga.Invoke, outcome: Outcome) -> Callable[[], saga.Record]:
    return lambda: saga.conclude(walk.workflow, walk.state, command, outcome, walk.now)
