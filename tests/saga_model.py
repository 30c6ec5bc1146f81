"""Random workflows, and a plain model of what each of them must do.

A program is a tree of statements. `compiled` lays it out as the flat graph that the interpreter runs; `Model` walks the
tree itself, recursively, and holds against it what a run left behind. It shares no code with the interpreter. Where the
outcome depends on timing, the model takes the choice from the journal (which branch came first, what somebody
answered), checks that it was one that could be made, and demands everything that follows from it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ritesmith.models import JSON, Entry, Workflow

PATIENCE = 3
"""Attempts of a step that is tried again; of a compensation, which always is."""


# ---------------------------------------------------------------- programs


@dataclass(frozen=True)
class Read:
    """What one argument is taken from."""

    root: str
    """const, input, node or item."""
    name: str = ""
    value: JSON = None
    """The constant, or what stands in for a node that was not visited."""

    def expression(self) -> JSON:
        match self.root:
            case "const":
                return {"literal": self.value}
            case "input":
                return {"var": f"input.{self.name}"}
            case "item":
                return {"var": f"item.{self.name}" if self.name else "item"}
        path = f"nodes.{self.name}.output"
        return {"var": path} if self.value is None else {"var": [path, self.value]}


Reads = dict[str, Read]
Body = list["Statement"]


@dataclass
class Task:
    id: str
    reads: Reads = field(default_factory=dict)
    patient: bool = False
    """It is tried again when it says that this may help."""
    undo: Reads | None = None
    reads_itself: bool = False
    """Its compensation is given its output."""
    handlers: list[tuple[str, Body]] = field(default_factory=list)


@dataclass
class Switch:
    id: str
    of: str
    """The task whose number decides."""
    arms: list[tuple[int, Body]] = field(default_factory=list)
    otherwise: Body = field(default_factory=list)


@dataclass
class Loop:
    """The body again and again, as often as its first task was visited."""

    id: str
    body: Body
    times: int


@dataclass
class Sleep:
    id: str
    seconds: float


@dataclass
class Wait:
    id: str
    deadline: float | None = None
    on_timeout: Body | None = None
    below: int | None = None
    """The number in the payload must be below this."""


@dataclass
class Approval:
    id: str
    deadline: float | None = None
    on_timeout: Body | None = None
    on_reject: Body | None = None


@dataclass
class Split:
    id: str
    join: str
    policy: str
    branches: dict[str, Body]


@dataclass
class Map:
    id: str
    join: str
    policy: str
    items: list[JSON]
    name: str | None
    concurrency: int
    max_items: int
    body: Body


@dataclass
class Call:
    id: str
    program: Program
    reads: Reads = field(default_factory=dict)
    handlers: list[tuple[str, Body]] = field(default_factory=list)


@dataclass
class End:
    id: str
    status: str
    outcome: str
    reads: Reads = field(default_factory=dict)


Statement = Task | Switch | Loop | Sleep | Wait | Approval | Split | Map | Call | End


@dataclass
class Program:
    """A workflow as a tree."""

    name: str
    body: Body
    limits: dict[str, float] = field(default_factory=dict)
    patient: bool = False
    children: dict[str, Program] = field(default_factory=dict)

    @property
    def waits(self) -> list[Wait]:
        return [each for each in statements(self.body) if isinstance(each, Wait)]


def statements(body: Body) -> Iterator[Statement]:
    """Every statement of a body, those within others too, but not those of called programs."""
    for each in body:
        yield each
        for inner in bodies(each):
            yield from statements(inner)


def bodies(statement: Statement) -> list[Body]:
    match statement:
        case Task(handlers=handlers) | Call(handlers=handlers):
            return [body for _, body in handlers]
        case Switch(arms=arms, otherwise=otherwise):
            return [*(body for _, body in arms), otherwise]
        case Loop(body=body) | Map(body=body):
            return [body]
        case Wait(on_timeout=late):
            return [late] if late is not None else []
        case Approval(on_timeout=late, on_reject=no):
            return [body for body in (late, no) if body is not None]
        case Split(branches=branches):
            return list(branches.values())
    return []


# ---------------------------------------------------------------- as a graph


def compiled(program: Program) -> Workflow:
    """The program as a workflow: a flat list of nodes."""
    nodes: list[dict[str, Any]] = []
    start = _laid(nodes, program.body, None)
    return Workflow.model_validate(
        {
            "name": program.name,
            "intent": "to be tried",
            "start": start,
            "nodes": nodes,
            "limits": program.limits,
            "retry": {"max_attempts": PATIENCE if program.patient else 1, "initial_seconds": 5, "multiplier": 2},
        }
    )


def _laid(nodes: list[dict[str, Any]], body: Body, after: str | None) -> Any:
    for statement in reversed(body):
        after = _lay(nodes, statement, after)
    return after


def _given(reads: Reads) -> dict[str, JSON]:
    return {name: read.expression() for name, read in reads.items()}


def _lay(nodes: list[dict[str, Any]], statement: Statement, after: str | None) -> str:
    node: dict[str, Any] = {"id": statement.id, "next": after}

    def to(body: Body | None) -> str | None:
        return None if body is None else _laid(nodes, body, after)

    match statement:
        case Task():
            node |= {"kind": "task", "capability": f"do.{statement.id}", "with": _given(statement.reads)}
            node["on_error"] = [{"code": code, "target": to(body)} for code, body in statement.handlers]
            if statement.patient:
                node["retry"] = {"max_attempts": PATIENCE, "initial_seconds": 10, "max_seconds": 15}
            if statement.undo is not None:
                own = {"own": {"var": f"nodes.{statement.id}.output"}} if statement.reads_itself else {}
                node["compensation"] = {"capability": f"undo.{statement.id}", "with": _given(statement.undo) | own}
        case Switch():
            number = {"var": f"nodes.{statement.of}.output.v"}
            cases = [{"when": {"<": [number, below]}, "target": to(body)} for below, body in statement.arms]
            node = {"id": statement.id, "kind": "switch", "cases": cases, "default": to(statement.otherwise)}
        case Loop():
            first = statement.body[0].id
            again = {"<": [{"var": f"nodes.{first}.output.n"}, statement.times]}
            cases = [{"when": again, "target": first}]
            nodes.append({"id": statement.id, "kind": "switch", "cases": cases, "default": after})
            return str(_laid(nodes, statement.body, statement.id))
        case Sleep():
            node |= {"kind": "sleep", "seconds": statement.seconds}
        case Wait():
            node |= {"kind": "wait", "deadline_seconds": statement.deadline, "on_timeout": to(statement.on_timeout)}
            if statement.below is not None:
                node["success_when"] = {"<": [{"var": f"nodes.{statement.id}.output.v"}, statement.below]}
        case Approval():
            node |= {"kind": "approval", "prompt": "?", "deadline_seconds": statement.deadline}
            node |= {"on_timeout": to(statement.on_timeout), "on_reject": to(statement.on_reject)}
        case Split():
            join = {"id": statement.join, "kind": "join", "policy": statement.policy, "next": after}
            branches = [
                {"id": name, "start": _laid(nodes, body, statement.join)} for name, body in statement.branches.items()
            ]
            nodes.append(join)
            node = {"id": statement.id, "kind": "split", "branches": branches, "join": statement.join}
        case Map():
            join = {"id": statement.join, "kind": "join", "policy": statement.policy, "next": after}
            nodes.append(join)
            node = {
                "id": statement.id,
                "kind": "map",
                "over": {"literal": statement.items},
                "as": statement.name,
                "start": _laid(nodes, statement.body, statement.join),
                "join": statement.join,
                "concurrency": statement.concurrency,
                "max_items": statement.max_items,
            }
        case Call():
            node |= {"kind": "call", "workflow": statement.program.name, "with": _given(statement.reads)}
            node["on_error"] = [{"code": code, "target": to(body)} for code, body in statement.handlers]
        case End():
            output = _given(statement.reads)
            node = {"id": statement.id, "kind": "end", "status": statement.status, "outcome": statement.outcome}
            node["output"] = output
    nodes.append(node)
    return statement.id


# ---------------------------------------------------------------- drawn at random


class Writer:
    """Draws a program."""

    def __init__(self, rng: random.Random, size: int) -> None:
        self.rng = rng
        self.left = size
        self.ids = 0
        self.programs = 0

    def program(self, depth: int = 0) -> Program:
        rng = self.rng
        self.programs += 1
        program = Program(f"test.p{self.programs}", [], patient=rng.random() < 0.3)
        visible: list[str] = []
        body = self.body(program, visible, [], depth, trunk=True)
        # The last statement leads nowhere, so it is one that need not say where to.
        if rng.random() < 0.5:
            body.append(self.task(program, visible, [], depth, plain=True))
        else:
            body.append(self.end(visible))
        program.body = body
        if rng.random() < 0.1:
            program.limits["steps"] = rng.randrange(3, 20)
        if rng.random() < 0.1:
            program.limits["deadline_seconds"] = rng.randrange(10, 300)
        for name, most in (("fuel", 600), ("host_calls", 12), ("bytes", 600)):
            if rng.random() < 0.04:
                program.limits[name] = rng.randrange(1, most)
        return program

    def new(self, kind: str) -> str:
        self.ids += 1
        return f"{kind}{self.ids}"

    def body(self, program: Program, visible: list[str], items: list[Read], depth: int, *, trunk: bool = False) -> Body:
        """Some statements; `visible` grows by the tasks whose outputs are there after them."""
        body: Body = []
        for _ in range(self.rng.choice([0, 1, 1, 2, 2, 3]) + (2 if depth == 0 else 0)):
            if self.left <= 0:
                break
            self.left -= 1
            body.append(self.statement(program, visible, items, depth, trunk))
            if isinstance(body[-1], End):
                break
        return body

    def statement(self, program: Program, visible: list[str], items: list[Read], depth: int, trunk: bool) -> Statement:
        rng = self.rng
        kinds = {"task": 6.0, "sleep": 1.0, "wait": 1.0, "approval": 1.0}
        if depth < 3:
            kinds |= {"split": 1.6, "map": 1.2, "loop": 0.5, "call": 0.8}
            if visible:
                kinds["switch"] = 1.2
        if trunk and depth > 0:
            kinds["end"] = 0.4
        inner = (program, visible, items, depth + 1)

        def aside() -> Body:
            """Statements that are not always come by: what they put out is not there afterwards."""
            return self.body(program, list(visible), items, depth + 1, trunk=trunk)

        match rng.choices(list(kinds), list(kinds.values()))[0]:
            case "task":
                return self.task(program, visible, items, depth, trunk=trunk)
            case "sleep":
                return Sleep(self.new("sleep"), rng.choice([0, 1, 7, 50]))
            case "wait":
                deadline = rng.choice([None, 20, 60])
                late = aside() if deadline and rng.random() < 0.5 else None
                return Wait(self.new("wait"), deadline, late, rng.choice([None, None, 8]))
            case "approval":
                deadline = rng.choice([None, 20, 60])
                late = aside() if deadline and rng.random() < 0.5 else None
                return Approval(self.new("ask"), deadline, late, aside() if rng.random() < 0.6 else None)
            case "split":
                policy = rng.choice(["all", "all", "any", "settled"])
                branches = {
                    f"b{number}": self.body(program, list(visible), items, depth + 1)
                    for number in range(rng.randrange(1, 4))
                }
                return Split(self.new("fan"), self.new("join"), policy, branches)
            case "map":
                elements = [rng.randrange(10) for _ in range(rng.randrange(5))]
                name = self.new("it") if rng.random() < 0.5 else None
                # An element without a name hides those around it.
                named = [each for each in items if each.name] if name else []
                within = [*named, Read("item", name or "")]
                body = self.body(program, list(visible), within, depth + 1)
                if not body:
                    body = [self.task(program, list(visible), within, depth + 1)]
                policy, most = rng.choice(["all", "settled"]), rng.choice([10, 10, 3])
                return Map(self.new("each"), self.new("join"), policy, elements, name, rng.randrange(1, 4), most, body)
            case "loop":
                first = self.task(program, visible, items, depth, plain=True)
                return Loop(self.new("again"), [first, *self.body(*inner)], rng.randrange(1, 4))
            case "call":
                child = self.program(depth + 2)
                program.children[child.name] = child
                return Call(self.new("call"), child, self.reads(visible, items), self.handlers(aside))
            case "end":
                return self.end(visible)
            case "switch":
                arms = [(rng.randrange(1, 10), aside()) for _ in range(rng.randrange(1, 3))]
                return Switch(self.new("pick"), rng.choice(visible), arms, aside())
        raise AssertionError

    def end(self, visible: list[str]) -> End:
        status = self.rng.choice(["succeeded", "succeeded", "succeeded", "failed"])
        return End(self.new("end"), status, self.rng.choice(["", "good", "bad"]), self.reads(visible, []))

    def task(
        self,
        program: Program,
        visible: list[str],
        items: list[Read],
        depth: int,
        *,
        plain: bool = False,
        trunk: bool = False,
    ) -> Task:
        rng = self.rng
        task = Task(self.new("do"), self.reads(visible, items), patient=rng.random() < 0.4)
        if rng.random() < 0.6:
            task.undo, task.reads_itself = self.reads(visible, items), rng.random() < 0.6
        if not plain and depth < 3:
            handled = list(visible)
            task.handlers = self.handlers(lambda: self.body(program, list(handled), items, depth + 1, trunk=trunk))
            if rng.random() < 0.05:
                task.reads["gone"] = Read("node", "nowhere")
        if not task.handlers:
            visible.append(task.id)
        return task

    def handlers(self, aside: Any) -> list[tuple[str, Body]]:
        codes = self.rng.choice([(), (), (), ("broken",), ("handled", "*"), ("*",), ("bad_expression",)])
        return [(code, aside()) for code in codes]

    def reads(self, visible: list[str], items: list[Read]) -> Reads:
        rng = self.rng
        reads = {"c": Read("const", value=rng.randrange(100))}
        if rng.random() < 0.3:
            reads["i"] = Read("input", "c")
        if visible and rng.random() < 0.7:
            reads["o"] = Read("node", rng.choice(visible))
        if rng.random() < 0.2 and self.ids:
            reads["m"] = Read("node", f"do{rng.randrange(1, self.ids + 1)}", "none")
        if items and rng.random() < 0.7:
            reads["e"] = rng.choice(items)
        return reads


# ---------------------------------------------------------------- fate


@dataclass(frozen=True)
class Attempt:
    """What an attempt of a step is going to do, whenever and however often it is executed."""

    calls: tuple[str, ...]
    """Of each host call its nature: `read`, `write` (idempotent), `blind` (not idempotent), `refused` (a write too)."""
    end: str
    """ok, busy (it may be tried again), broken, handled or fuel."""
    fuel: int


class Fate:
    """Decides how every attempt ends, by its place alone: no interleaving and no crash can change it."""

    def __init__(self, seed: int, bad: float, calls: float) -> None:
        self.seed, self.bad, self.calls = seed, bad, calls

    def _drawn(self, *parts: object) -> random.Random:
        return random.Random("/".join(map(str, (self.seed, *parts))))

    def attempt(self, run: str, path: str, attempt: int) -> Attempt:
        rng = self._drawn(run, path, attempt)
        calls: list[str] = []
        while len(calls) < 3 and rng.random() < self.calls:
            calls.append(rng.choice(["read", "write", "write", "blind", "refused"]))
        end = rng.choice(["busy", "busy", "broken", "handled"]) if rng.random() < self.bad else "ok"
        return Attempt(tuple(calls), end, rng.randrange(1, 100))


def result_of(run: str, path: str, arguments: JSON) -> dict[str, JSON]:
    """What a task puts out: a number that depends on all that it was given, and which visit it is."""
    text = json.dumps([run, path, arguments], sort_keys=True)
    visit = path.rpartition("/")[2].partition("#")[2]
    return {"v": int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10, "n": int(visit or 1)}


# ---------------------------------------------------------------- the model


class MissingError(Exception):
    """An argument is read from a node that was not visited."""


@dataclass
class Frame:
    """One way through the tree: the trunk, a branch or an element."""

    prefix: str = ""
    outputs: dict[str, JSON] = field(default_factory=dict)
    items: dict[str, JSON] = field(default_factory=dict)
    visits: dict[str, int] = field(default_factory=dict)
    last: JSON = None

    def path(self, id: str) -> str:
        visit = self.visits.get(id, 0) + 1
        return self.prefix + (id if visit == 1 else f"{id}#{visit}")

    def visit(self, id: str) -> str:
        path = self.path(id)
        self.visits[id] = self.visits.get(id, 0) + 1
        return path

    def put(self, id: str, output: JSON) -> None:
        self.outputs[id] = self.last = output

    def given(self, reads: Reads, input: JSON) -> dict[str, JSON]:
        values: dict[str, JSON] = {}
        for name, read in reads.items():
            match read.root:
                case "const":
                    values[name] = read.value
                case "input":
                    values[name] = input[read.name]
                case "item":
                    values[name] = self.items[read.name]
                case "node":
                    value = self.outputs.get(read.name, read.value)
                    if value is None:
                        raise MissingError(name)
                    values[name] = value
        return values


@dataclass(frozen=True)
class Stopped:
    """It did not come to its end, for a reason that lies elsewhere."""


@dataclass(frozen=True)
class Failed:
    code: str


@dataclass(frozen=True)
class Ended:
    status: str
    outcome: str
    output: JSON


Walked = Stopped | Failed | Ended | None
"""None: it came to its end."""


@dataclass
class Step:
    """Something that a compensation has to undo."""

    path: str
    seq: int
    arguments: JSON
    partial: bool = False
    child: str = ""


@dataclass
class Left:
    """What a run left behind."""

    id: str
    program: Program
    input: JSON
    entries: list[Entry]
    effects: Mapping[tuple[str, int], Sequence[tuple[int, int, str]]]
    """(path, attempt) -> (call, how many times it has reached the world, nature), in the order of the calls."""
    sent: Mapping[str, list[JSON]]
    """Wait node -> the payloads that somebody sent."""
    undo_arguments: Mapping[str, list[JSON]]
    """Path of a step -> what its compensation was given, execution by execution."""


class Model:
    """Holds what runs left behind against what their programs say."""

    def __init__(self, fate: Fate, runs: Mapping[str, Left]) -> None:
        self.fate, self.runs = fate, runs

    def check(self) -> None:
        """Every run did what its program says; AssertionError otherwise."""
        for left in self.runs.values():
            Checker(self.fate, left, self.runs).check()


class Checker:
    """The same for one run."""

    def __init__(self, fate: Fate, left: Left, runs: Mapping[str, Left]) -> None:
        self.fate, self.left, self.runs = fate, left, runs
        self.entries: dict[str, list[Entry]] = {}
        for entry in left.entries:
            self.entries.setdefault(entry.node, []).append(entry)
        self.walked: set[str] = set()
        self.done: list[Step] = []
        self.trunk = Frame()
        self.retries = [entry.seq for entry in left.entries if entry.kind == "run_retried"]
        self.ends = [entry for entry in left.entries if entry.kind == "run_finished"]
        self.limited = bool({"fuel", "host_calls"} & set(left.program.limits))

    def check(self) -> None:
        walked = self.walk(self.left.program.body, self.trunk)
        told = {path for path in self.entries if path and not path.endswith("~undo")}
        stray = told - self.walked
        assert not stray, f"no statement accounts for {stray}"
        wild = {path for path, _ in self.left.effects if "~undo" not in path} - self.walked
        assert not wild, f"no statement accounts for the effects of {wild}"
        self.settled()
        self.ended(walked)

    def settled(self) -> None:
        """Of every write that was begun it is known what came of it, or a person did not want to know."""
        begun: dict[tuple[str, int], int] = {}
        unknown: set[str] = set()
        for entry in self.left.entries:
            call = (entry.node, entry.data.get("index", -1))
            match entry.kind:
                case "call_started":
                    begun[call] = entry.seq
                case "call_finished" | "effect_resolved":
                    begun.pop(call, None)
                    unknown.discard(entry.node)
                case "effect_unknown":
                    unknown.add(entry.node)
                case "run_cancelled" if not entry.data["compensate"]:
                    begun = {call: seq for call, seq in begun.items() if call[0] not in unknown}
        assert not begun, f"what came of {begun}?"

    # ------------------------------------------------------------ the end of the run

    def given_up(self) -> Entry | None:
        """What stopped the run from outside: a person or a limit."""
        stops = [each for each in self.left.entries if each.kind in ("run_cancelled", "run_stopped")]
        return next((each for each in stops if each.seq > max(self.retries, default=0)), None)

    def ended(self, walked: Walked) -> None:
        first = self.ends[-1]
        requested = [each for each in self.left.entries if each.kind == "undo_requested"]
        if requested:
            first = [each for each in self.ends if each.seq < requested[0].seq][-1]
        stop = self.given_up()
        error = (first.data.get("error") or {}).get("code")
        assert self.ends[-1] is self.left.entries[-1], "a run that has ended says so last"
        if stop is None:
            match walked:
                case None:
                    self.same(first.data, {"status": "succeeded", "outcome": "", "output": self.trunk.last})
                case Ended(status, outcome, output):
                    self.same(first.data, {"status": status, "outcome": outcome, "output": output})
                    assert error == ((outcome or "failed") if status == "failed" else None)
                case Failed(code):
                    assert error == code, (error, code)
                case Stopped():
                    raise AssertionError("it stopped, and nothing says why")
        else:
            assert error == stop.data["error"]["code"], (error, stop.kind)
            if stop.kind == "run_stopped":
                assert self.left.program.limits, "it has no limits that it could have passed"
        undone = stop is not None or isinstance(walked, Failed) or bool(requested)
        self.undone(undone, stop, requested != [])

    def same(self, data: Mapping[str, JSON], expected: Mapping[str, JSON]) -> None:
        found = {name: data.get(name) for name in expected}
        assert found == expected, (found, expected)

    def undone(self, given_up: bool, stop: Entry | None, requested: bool) -> None:
        """Newest first, each once, none left out, and the status says what came of it."""
        status = self.ends[-1].data["status"]
        cancelled = stop is not None and stop.kind == "run_cancelled"
        ends = [e for e in self.left.entries if e.kind in ("compensation_succeeded", "compensation_failed")]
        order = [(entry.node.removesuffix("~undo"), entry.kind == "compensation_succeeded") for entry in ends]
        if not given_up or (cancelled and stop is not None and not stop.data["compensate"]):
            assert not order, "what was not given up is not undone"
            if given_up:
                assert status == "cancelled"
            return
        plan = sorted(self.done, key=lambda step: -step.seq)
        if not plan and not requested:
            assert status == ("cancelled" if cancelled else "failed"), status
            return
        passes: list[list[tuple[str, bool]]] = [[]]
        seqs = [entry.seq for entry in self.left.entries if entry.kind == "compensation_resumed"]
        for entry, each in zip(ends, order, strict=True):
            while seqs and entry.seq > seqs[0]:
                seqs.pop(0)
                passes.append([])
            passes[-1].append(each)
        whole = [step.path for step in plan if not step.partial]
        partial = {step.path for step in plan if step.partial}
        first = [path for path, _ in passes[0]]
        assert [path for path in first if path not in partial] == whole, (first, whole)
        assert sorted(first) == sorted([*whole, *partial]), (first, whole, partial)
        for before, after in itertools.pairwise(passes):
            assert [path for path, _ in after] == [path for path, good in before if not good], "what failed, again"
        left = [path for path, good in passes[-1] if not good] if order else []
        assert status == ("compensation_failed" if left else "cancelled" if cancelled else "compensated"), status
        for step in plan:
            self.compensated(step)

    def compensated(self, step: Step) -> None:
        """Every attempt of one compensation ended as its fate says."""
        path = step.path + "~undo"
        kinds = ("attempt_failed", "compensation_failed", "compensation_succeeded")
        ends = [entry for entry in self.entries.get(path, []) if entry.kind in kinds]
        assert [entry.kind for entry in ends].count("compensation_succeeded") <= 1, "nothing is undone twice"
        if step.child:
            undone = ends[-1].kind == "compensation_succeeded"
            assert self.runs[step.child].entries[-1].data["status"] == (
                "compensated" if undone else "compensation_failed"
            )
            return
        attempt, again = 1, 0
        for entry in ends:
            fate = self.fate.attempt(self.left.id, path + "!" * again, attempt)
            self.calls_of(path, attempt, fate, self.left.effects.get((path + "!" * again, attempt), []), whole=True)
            assert entry.attempt == attempt
            assert (entry.kind == "compensation_succeeded") is (fate.end == "ok"), (entry.kind, fate)
            if entry.kind == "attempt_failed":
                assert fate.end == "busy"
                assert attempt < PATIENCE
            again += entry.kind == "compensation_failed"
            attempt = attempt + 1 if entry.kind == "attempt_failed" else 1
        for arguments in self.left.undo_arguments.get(step.path, []):
            assert arguments == step.arguments, (step.path, arguments, step.arguments)

    # ------------------------------------------------------------ statements

    def walk(self, body: Body, frame: Frame) -> Walked:
        for statement in body:
            stopped = self.statement(statement, frame)
            if stopped is not None:
                return stopped
        return None

    def at(self, path: str, *kinds: str) -> list[Entry]:
        """What the journal tells of a place, and with it that the program has such a place."""
        self.walked.add(path)
        return [entry for entry in self.entries.get(path, []) if not kinds or entry.kind in kinds]

    def statement(self, statement: Statement, frame: Frame) -> Walked:
        match statement:
            case Task():
                return self.task(statement, frame)
            case Switch():
                return self.switch(statement, frame)
            case Loop():
                return self.loop(statement, frame)
            case Sleep():
                return self.sleep(statement, frame)
            case Wait() | Approval():
                return self.answer(statement, frame)
            case Split():
                return self.split(statement, frame)
            case Map():
                return self.map(statement, frame)
            case Call():
                return self.call(statement, frame)
            case End():
                path = frame.visit(statement.id)
                if not self.at(path, "run_finished"):
                    return Stopped()
                return Ended(statement.status, statement.outcome, frame.given(statement.reads, self.left.input))

    def task(self, task: Task, frame: Frame) -> Walked:
        path = frame.visit(task.id)
        ends = self.at(path, "step_succeeded", "attempt_failed", "step_failed")
        try:
            arguments = frame.given(task.reads, self.left.input)
        except MissingError:
            if not ends:
                return Stopped()
            assert {entry.kind for entry in ends} == {"step_failed"}
            assert ends[-1].data["error"]["code"] == "bad_expression"
            return self.failed(task, frame, ends[-1])
        most = PATIENCE if task.patient or self.left.program.patient else 1
        for number, entry in enumerate(ends, start=1):
            assert entry.attempt == number, "attempts are counted without a gap"
            fate = self.fate.attempt(self.left.id, path, number)
            code = (entry.data.get("error") or {}).get("code")
            if self.limited and code in ("fuel", "host_calls"):
                assert entry.kind == "step_failed"
            elif fate.end == "ok":
                assert entry.kind == "step_succeeded"
                expected = result_of(self.left.id, path, arguments)
                assert entry.data["output"] == expected, (entry.data["output"], expected)
            else:
                assert code == fate.end
                again = max((each for each in self.retries if each < entry.seq), default=0)
                tried = sum(each.seq < again for each in ends)  # a person's word gives it as many attempts again
                if fate.end == "busy" and number - tried < most and not self.was_given_up(entry.seq):
                    assert entry.kind == "attempt_failed"
                    assert entry.data["retry_at"] >= entry.at
                else:
                    assert entry.kind == "step_failed"
            if number < len(ends):
                retried = any(
                    e.kind == "run_retried" and entry.seq < e.seq < ends[number].seq for e in self.left.entries
                )
                assert entry.kind == "attempt_failed" or retried, "a step that has ended is not tried again unasked"
        for number in range(1, len(ends) + 2):
            code = "" if number > len(ends) else (ends[number - 1].data.get("error") or {}).get("code")
            cut = number > len(ends) or (self.limited and code in ("fuel", "host_calls"))
            fate, made = self.fate.attempt(self.left.id, path, number), self.left.effects.get((path, number), [])
            self.calls_of(path, number, fate, made, whole=not cut)
        wrote = any(
            nature in ("write", "blind") and self.known(path, number, call)
            for (where, number), calls in self.left.effects.items()
            for call, _, nature in calls
            if where == path
        )
        last = ends[-1] if ends else None
        if last is not None and last.kind == "step_succeeded":
            frame.put(task.id, last.data["output"])
            if task.undo is not None:
                own = {"own": last.data["output"]} if task.reads_itself else {}
                self.done.append(Step(path, last.seq, frame.given(task.undo, self.left.input) | own))
            return None
        if task.undo is not None and wrote:
            # An earlier visit may have put something out: that is not what this one did.
            outputs = {id: output for id, output in frame.outputs.items() if id != task.id}
            given = Frame(outputs=outputs, items=frame.items).given(task.undo, self.left.input)
            self.done.append(Step(path, 10**9, given, partial=True))
        if last is None or last.kind == "attempt_failed":
            return Stopped()
        return self.failed(task, frame, last)

    def known(self, path: str, attempt: int, call: int) -> bool:
        """Whether the journal knows that a write happened."""
        return any(
            entry.attempt == attempt
            and entry.data.get("index") == call
            and (
                (entry.kind == "call_finished" and not entry.data.get("error"))
                or (entry.kind == "effect_resolved" and entry.data["happened"])
            )
            for entry in self.entries.get(path, [])
        )

    def was_given_up(self, seq: int) -> bool:
        """Whether the run was given up before this entry, so that nothing is tried again."""
        began = max((each for each in self.retries if each < seq), default=0)
        kinds = ("step_failed", "join_failed", "child_ended", "timed_out", "approval_decided", "callback_received")
        return any(
            entry.kind in ("run_cancelled", "run_stopped")
            or (
                entry.kind in kinds
                and "/" not in entry.node
                and bool(entry.data.get("error"))
                and entry.data.get("next") is None
            )
            for entry in self.left.entries[began : seq - 1]
        )

    def calls_of(
        self, path: str, attempt: int, fate: Attempt, made: Sequence[tuple[int, int, str]], *, whole: bool
    ) -> None:
        """An attempt that has ended made all its calls; one that has not, the first of them; blind writes only once."""
        natures = [nature for _, _, nature in made]
        assert natures == list(fate.calls[: len(made)]), (path, attempt, natures, fate.calls)
        if whole:
            assert len(made) == len(fate.calls), (path, attempt, natures, fate.calls)
        for call, times, nature in made:
            assert times == 1 or nature != "blind", f"{path}: call {call} was repeated {times} times"

    def failed(self, statement: Task | Call, frame: Frame, entry: Entry) -> Walked:
        """To the first handler that the code meets, or the end of this way."""
        code = str((entry.data.get("error") or entry.data.get("handled"))["code"])
        for wanted, body in statement.handlers:
            if wanted in (code, "*"):
                assert entry.data.get("next") is not None, "a handler takes it"
                return self.walk(body, frame)
        assert entry.data.get("next") is None, "nobody handles it"
        return Failed(code)

    def switch(self, switch: Switch, frame: Frame) -> Walked:
        path = frame.visit(switch.id)
        told = self.at(path, "switched")
        if not told:
            return Stopped()
        value = frame.outputs[switch.of]["v"]
        for index, (below, body) in enumerate(switch.arms):
            if value < below:
                assert told[-1].data["case"] == index
                return self.walk(body, frame)
        assert told[-1].data["case"] == "default"
        return self.walk(switch.otherwise, frame)

    def loop(self, loop: Loop, frame: Frame) -> Walked:
        while True:
            stopped = self.walk(loop.body, frame)
            if stopped is not None:
                return stopped
            path = frame.visit(loop.id)
            if not self.at(path, "switched"):
                return Stopped()
            if frame.outputs[loop.body[0].id]["n"] >= loop.times:
                return None

    def sleep(self, sleep: Sleep, frame: Frame) -> Walked:
        path = frame.visit(sleep.id)
        began, ended = self.at(path, "sleep_started"), self.at(path, "sleep_ended")
        if not ended:
            return Stopped()
        assert len(ended) == 1
        until = began[-1].data["until"]
        assert until <= began[-1].at + sleep.seconds
        if ended[0].data["by"] == "timer":
            assert ended[0].at >= until
        else:
            assert self.at(path, "woken")
        return None

    def answer(self, asker: Wait | Approval, frame: Frame) -> Walked:
        path = frame.visit(asker.id)
        asked = self.at(path, "wait_started", "approval_requested")
        told = self.at(path, "callback_received", "approval_decided", "timed_out")
        if not told:
            return Stopped()
        entry = told[-1]
        assert len(told) - 1 <= len(self.retries), "one answer is taken"
        asked = [each for each in asked if each.seq < entry.seq]
        if entry.kind == "timed_out":
            assert entry.at >= asked[-1].data["until"]
            if asker.on_timeout is not None:
                return self.walk(asker.on_timeout, frame)
            return Failed("wait_timeout" if isinstance(asker, Wait) else "approval_timeout")
        if asked[-1].data["until"] is not None:
            assert entry.at < asked[-1].data["until"], "a late answer is refused"
        output = entry.data["output"]
        frame.put(asker.id, output)
        if isinstance(asker, Wait):
            assert output in self.left.sent[asker.id], "nobody sent it"
            if asker.below is not None and output["v"] >= asker.below:
                return Failed("callback_not_successful")
            return None
        if output["decision"] == "rejected":
            return Failed("rejected") if asker.on_reject is None else self.walk(asker.on_reject, frame)
        assert output["decision"] == "approved"
        return None

    def split(self, split: Split, frame: Frame) -> Walked:
        path = frame.visit(split.id)
        if not self.at(path, "split_started"):
            return Stopped()
        frames = {name: Frame(f"{path}/{name}/", dict(frame.outputs), frame.items) for name in split.branches}
        return self.joined(split, frame, {name: (frames[name], split.branches[name]) for name in frames})

    def map(self, each: Map, frame: Frame) -> Walked:
        path = frame.visit(each.id)
        told = self.at(path, "map_started", "step_failed")
        if not told:
            return Stopped()
        if len(each.items) > each.max_items:
            assert told[-1].data["error"]["code"] == "too_many_items"
            return Failed("too_many_items")
        frames = {}
        for index, item in enumerate(each.items):
            items = {**frame.items, each.name: item} if each.name else {"": item}
            frames[index] = Frame(f"{path}/{index}/", dict(frame.outputs), items)
        return self.joined(each, frame, {index: (frames[index], each.body) for index in frames})

    def joined(self, fork: Split | Map, frame: Frame, ways: Mapping[Any, tuple[Frame, Body]]) -> Walked:
        path = frame.path(fork.join)
        told = self.at(path, "joined", "join_failed")
        frames = {name: within for name, (within, _) in ways.items()}
        ends = {name: self.walk(body, within) for name, (within, body) in ways.items()}
        codes = [end.code for end in ends.values() if isinstance(end, Failed)]
        assert not any(isinstance(end, Ended) for end in ends.values())
        if not told:
            return Stopped()
        entry = told[-1]
        if entry.kind == "join_failed":
            if any(self.went_on(within, entry.seq) for within in frames.values()):
                return Stopped()  # somebody had it tried again
            code = entry.data["error"]["code"]
            if fork.policy == "any":
                assert len(codes) == len(ends)
                assert code == "no_branch_succeeded"
            else:
                assert fork.policy == "all", "settled is never failed by a branch"
                assert code in codes, (code, codes)
            return Failed(str(code))
        frame.visit(fork.join)
        whole = {name: each.last for name, each in frames.items() if ends[name] is None}
        output: JSON
        if fork.policy == "any":
            [(winner, output)] = entry.data["output"].items()
            assert ends[winner] is None, "the winner came to its end"
            assert winner == min(whole, key=lambda name: self.last_of(frames[name])), "and was the first"
            assert output == whole[winner]
        else:
            assert not any(isinstance(end, Stopped) for end in ends.values()), "all have come to an end"
            assert fork.policy == "settled" or not codes
            results: dict[Any, JSON] = {}
            told_of = entry.data["output"]
            for name, end in ends.items():
                if fork.policy == "all":
                    results[name] = whole[name]
                elif end is None:
                    results[name] = {"status": "succeeded", "output": whole[name]}
                else:
                    assert isinstance(end, Failed)
                    error = told_of[name]["error"]
                    assert error["code"] == end.code
                    results[name] = {"status": "failed", "error": error}
            output = [results[name] for name in frames] if isinstance(fork, Map) else results
            assert told_of == output, (told_of, output)
        frame.put(fork.join, entry.data["output"])
        return None

    def call(self, call: Call, frame: Frame) -> Walked:
        path = frame.visit(call.id)
        started = self.at(path, "child_started")
        try:
            arguments = frame.given(call.reads, self.left.input)
        except MissingError:
            ends = self.at(path, "step_failed")
            return self.failed(call, frame, ends[-1]) if ends else Stopped()
        if not started:
            return Stopped()
        assert started[-1].data["input"] == arguments
        ends = self.at(path, "child_ended")
        if not ends or ends[-1].data["child"] != started[-1].data["child"]:
            return Stopped()
        entry = ends[-1]
        child = self.runs[entry.data["child"]]
        assert child.program is call.program
        end = next(each for each in child.entries if each.kind == "run_finished").data
        assert (entry.data["status"]) == end["status"]
        if end["status"] == "succeeded":
            assert entry.data["output"] == end["output"]
            frame.put(call.id, end["output"])
            self.done.append(Step(path, entry.seq, None, child=child.id))
            return None
        return self.failed(call, frame, entry)

    def last_of(self, frame: Frame) -> int:
        """Where in the journal the last entry of a branch stands."""
        nodes = (each for each in self.left.entries if each.node.startswith(frame.prefix))
        return max((each.seq for each in nodes if not each.node.endswith("~undo")), default=0)

    def went_on(self, frame: Frame, seq: int) -> bool:
        """Whether something happened in a branch after this entry."""
        return self.last_of(frame) > seq
