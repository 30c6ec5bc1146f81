"""State machines in the Amazon States Language (with JSONPath), as workflows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ritesmith.contract import near_miss
from ritesmith.errors import InvalidInput
from ritesmith.expr import OPERATORS, lookalike
from ritesmith.migrate import capabilities
from ritesmith.migrate.asl_values import (
    Computed,
    Const,
    Doc,
    FunctionError,
    Gone,
    Items,
    Obj,
    Overlay,
    Path,
    Pending,
    Phi,
    Ref,
    call,
    parts_of,
    put,
    read,
)
from ritesmith.migrate.draft import PAUSE_SECONDS, Draft, Migration, Options, cat, literal, slug, workflow_name
from ritesmith.migrate.graph import in_order, reachable, reversed_edges, unavoidable
from ritesmith.migrate.http_calls import NO_ANSWER, Call, Requests
from ritesmith.migrate.source import Source, shown
from ritesmith.models import JSON, Expression

TYPES = ("Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map")
STATES_MAX = 500
RUN_SECONDS = 365 * 86_400
"""A year, as long as an execution may take there."""
STEPS = 25_000
"""As many entries as a history may have there."""
CONCURRENCY, CONCURRENCY_MAX, ITEMS_MAX = 40, 100, 10_000
SHAPE = capabilities.Shape("StatusCode", "ResponseBody", "Headers")
ARN = "arn:aws:states:::"
ERRORS = {
    "States.ALL": "*",
    "States.TaskFailed": "*",
    "States.Timeout": "deadline",
    "States.Permissions": "grant_denied",
    "States.Http.StatusCode.429": "http_rate_limited",
    "States.Http.Socket": "http_connect",
}
COMPARED = {
    "Equals": "==",
    "LessThan": "<",
    "LessThanEquals": "<=",
    "GreaterThan": ">",
    "GreaterThanEquals": ">=",
}
TESTS = ("IsString", "IsNumeric", "IsBoolean", "IsTimestamp")
_COMPARISON = re.compile(rf"(String|Numeric|Boolean|Timestamp)({'|'.join(COMPARED)})(Path)?\Z")
_CODE = re.compile(r"[^A-Za-z0-9_.-]")
_OVER = "over"
"""Where a machine ends: no state of a machine, whose names are told apart by the machine's number in front."""


NOTHING = Const(None)


class _AgainError(Exception):
    """A document must be put together on a way, so that it can be told which way was taken: begin again with that."""


@dataclass
class _State:
    """A state of the source, its name made unique over all machines by `key`."""

    key: str
    name: str
    type: str
    source: Source
    machine: _Machine
    id: str
    """Its main node."""
    edges: dict[str, str] = field(default_factory=dict)
    """Label of a way out (`next`, `default`, `choice 0`, `catch 0`) -> key of the state that it leads to, or `over`."""
    given: Doc = NOTHING
    gives: dict[str, Doc] = field(default_factory=dict)
    """By label, the document on that way out."""


@dataclass
class _Machine:
    """A machine: the whole, a branch, or what is done for each element."""

    number: int
    source: Source
    start: str = ""
    states: dict[str, _State] = field(default_factory=dict)
    join: str = ""
    """The node that a branch ends at; empty for the whole."""
    wrapped: bool = True
    """Of a branch: its last step gives {"document": ...}."""


def migrate(value: JSON, options: Options) -> Migration:
    """What a state machine becomes. InvalidInput, with every problem, where it is none."""
    put_together: set[tuple[str, str]] = set()
    while True:
        machine = _Asl(Source.of(value, "Amazon States Language"), options, put_together)
        try:
            return machine.run()
        except _AgainError:
            continue


class _Asl:
    def __init__(self, source: Source, options: Options, put_together: set[tuple[str, str]]) -> None:
        self.source = source
        self.notes = source.notes
        self.options = options
        self.put_together = put_together
        """(state, label) of the ways on which the document is put together by a step."""
        self.states: dict[str, _State] = {}
        self.machines = 0
        self.entry: dict[str, str] = {}
        """State -> the node with which it begins."""
        self.before: list[dict[str, JSON]] = []
        """Steps that the state at hand needs before its own node."""
        self.state: _State | None = None
        self.at = "$"
        self.always: set[str] = set()
        self.drafts: dict[str, tuple[str, set[str]]] = {}
        self.parents: dict[str, Doc] = {}
        """First state of a machine -> what the machine is given."""
        self.order: dict[str, int] = {}
        """Node -> its place among those that come before and after it, once it is asked for."""
        self.more: set[tuple[str, str]] = set()
        """Such ways that were found missing."""
        self.ways: dict[str, list[tuple[str, str]]] = {}
        """State -> the ways that lead to it."""
        self.ids: dict[str, str] = {}
        self.inner: dict[str, list[_Machine]] = {}
        """State -> the machines within it."""
        self.left = False
        """Whether what is read now is read after the state at hand, and not before it."""
        self.around: dict[int, str] = {}
        """Number of a machine within a state -> that state."""
        self.item: Doc | None = None
        """The element, where the template of a Map is read."""

    def run(self) -> Migration:
        source = self.source
        if not source.is_object:
            source.problem(f"a state machine is an object, found {shown(source.peek())}")
        self.notes.refuse()
        comment = source.text("Comment", "") or ""
        name = workflow_name(self.options.title or "workflow", self.options)
        self.draft = Draft(self.notes, self.options, name)
        origin = "Imported from a state machine in the Amazon States Language."
        self.origin = origin
        self.requests = Requests(self.draft, origin, SHAPE, "host")
        if source.has("Version"):
            source.text("Version")
            self.notes.same("$.Version", "the language has had one version")
        seconds = source.number("TimeoutSeconds", least=1)
        machine = self._read(source, 0)
        self.notes.refuse()
        edges = self._edges(machine)
        self.always = unavoidable(edges, machine.start)
        self._follow(machine, Ref(("input",)))
        self._emit(machine)
        if self.more - self.put_together:
            self.put_together |= self.more
            raise _AgainError
        self.requests.write()
        for capability, (made_from, keys) in self.drafts.items():
            self.draft.capabilities[capability] = capabilities.not_implemented(capability, made_from, keys)
        start = self._entry(machine.start)
        for node in self.draft.nodes:
            self._point(node)
        self._pause_loops()
        self._general()
        return self.draft.finish(
            intent=comment if len(comment) >= 3 else f"what the state machine of {name} did",
            start=start,
            deadline_seconds=seconds or RUN_SECONDS,
            steps=STEPS,
            description=origin,
        )

    def _pause_loops(self) -> None:
        made_by = {state.id: state for state in self.states.values()}
        made_by |= {self._way_id(key, label): self.states[key] for key, label in self.put_together}
        for from_, to, id in self.draft.pause_loops():
            at = made_by[from_].source.path if from_ in made_by else "$"
            message = f"the loop back to {to!r} pauses for {PAUSE_SECONDS} second; there, it never paused"
            self.notes.changed(at, message, id)

    def _general(self) -> None:
        if any(state.type == "Choice" for state in self.states.values()):
            message = "a comparison of different types fails the run; there, it was false"
            self.notes.changed("$", message)
        if any(method in ("POST", "PATCH") for method, _, _ in self.requests.kinds):
            self.notes.changed("$", NO_ANSWER)
        if self.draft.capability_name("document") in self.draft.capabilities:
            self.notes.changed("$", "a document that is put together by a step loses its fields that are null")
        if self.drafts:
            message = "what a step gives is an object, and its capability may say more about it in 'output'"
            self.notes.changed("$", message)

    # ------------------------------------------------------------ reading

    def _read(self, source: Source, depth: int) -> _Machine:
        machine = _Machine(self.machines, source)
        self.machines += 1
        self._language(source)
        start = source.text("StartAt", needed=True) or ""
        states = source.object("States", needed=True)
        if states is None:
            return machine
        known = states.names()
        if not known:
            states.problem("there is no state")
        if start not in known:
            near = near_miss(start, known)
            source.problem(f"there is no state {start!r} to start at" + (f"; did you mean {near!r}?" if near else ""))
        machine.start = f"{machine.number}/{start}"
        for name, each in states.members():
            self._read_state(machine, name, each, known)
        if len(self.states) > STATES_MAX:
            source.problem(f"there are more than {STATES_MAX} states, which are the most that are imported")
        self.notes.refuse()
        found = set(reachable(self._edges(machine), machine.start))
        for key in [each for each in machine.states if each not in found]:
            state = machine.states.pop(key)
            del self.states[key]
            state.source.all()
            self.notes.changed(state.source.path, f"no way leads to {state.name!r}; it is left out")
        return machine

    def _language(self, source: Source) -> None:
        language = source.text("QueryLanguage", "JSONPath")
        if language != "JSONPath":
            raise InvalidInput(
                f"{source.path}.QueryLanguage is {language!r}: only definitions that use JSONPath are imported",
                hint="rewrite its Arguments, Output, Assign and Condition with Parameters, ResultPath and rules first",
            )

    def _read_state(self, machine: _Machine, name: str, source: Source, known: Sequence[str]) -> None:
        if not source.is_object:
            source.problem(f"a state is an object, found {shown(source.peek())}")
            return
        self._language(source)
        kind = source.text("Type", needed=True) or ""
        if kind not in TYPES:
            near = near_miss(kind, TYPES)
            source.problem(f"unknown type {kind!r}" + (f"; did you mean {near!r}?" if near else ""))
            return
        if source.has("Comment"):
            source.text("Comment")
            self.notes.same(f"{source.path}.Comment", "a comment")
        key = f"{machine.number}/{name}"
        state = _State(key, name, kind, source, machine, self.draft.names.new(name, "state"))
        machine.states[key] = self.states[key] = state

        def way(label: str, target: str | None, at: str) -> None:
            if target is None or target not in known:
                near = near_miss(target or "", known)
                told = f"there is no state {target!r}" + (f"; did you mean {near!r}?" if near else "")
                self.notes.problem(at, told)
            state.edges[label] = f"{machine.number}/{target}"

        if kind == "Choice":
            rules = source.list("Choices", needed=True)
            if not rules:
                source.problem("a Choice has at least one rule")
            for number, rule in enumerate(rules):
                if rule.is_object:
                    way(f"choice {number}", rule.text("Next", needed=True), rule.path)
                else:
                    rule.problem("a rule is an object")
            if source.has("Default"):
                way("default", source.text("Default"), source.path)
            return
        if kind in ("Succeed", "Fail"):
            state.edges["next"] = _OVER
            return
        over = source.member("End")
        ends = over is not None and over.peek() is True
        if source.has("Next"):
            way("next", source.text("Next"), source.path)
        elif ends:
            state.edges["next"] = _OVER
        else:
            source.problem("a state has 'Next', or 'End' that is true")
        for number, catcher in enumerate(source.list("Catch") if source.has("Catch") else ()):
            if not catcher.is_object:
                catcher.problem("a catcher is an object")
                continue
            way(f"catch {number}", catcher.text("Next", needed=True), catcher.path)
            if kind == "Map":
                self._error_names(catcher)
                self.notes.lost(catcher.path, "the failure of a map is not handled: it fails the run")
                del state.edges[f"catch {number}"]

    def _edges(self, machine: _Machine) -> dict[str, list[str]]:
        """State -> the states that follow, those that end the machine left out."""
        return {key: [to for to in state.edges.values() if to != _OVER] for key, state in machine.states.items()}

    # ------------------------------------------------------------ documents

    def _follow(self, machine: _Machine, given: Doc) -> None:
        """Find the document that each state is given; a state that several ways lead to is given a Phi."""
        edges = self._edges(machine)
        back = reversed_edges(edges)
        for key in in_order(edges, machine.start):
            state = machine.states[key]
            ways = [
                (before, label)
                for before in back.get(key, ())
                for label, to in machine.states[before].edges.items()
                if to == key
            ]
            self.ways[key] = ways
            if key == machine.start:
                self.parents[key] = given
                state.given = Phi(key) if ways else given
            elif len(ways) == 1:
                state.given = self._on(*ways[0])
            else:
                state.given = Phi(key)
            self.state, self.at = state, state.source.path
            state.gives = self._through(state)

    def _on(self, key: str, label: str) -> Doc:
        """The document on a way out of a state."""
        if (key, label) in self.put_together:
            return Ref(("nodes", self._way_id(key, label), "output", "document"))
        return self.states[key].gives[label]

    def _way_id(self, key: str, label: str) -> str:
        """The id of the step that puts a document together on a way."""
        return self._id(f"{self.states[key].id}_{'document' if label == 'next' else slug(label)}")

    def _id(self, wished: str) -> str:
        """A node's id, the same whenever it is asked for."""
        if wished not in self.ids:
            self.ids[wished] = self.draft.names.new(wished)
        return self.ids[wished]

    def _alternatives(self, doc: Phi) -> list[tuple[tuple[str, str] | None, Doc]]:
        """What a Phi may be, each with the way on which it comes; without what leads back to the same."""
        found: list[tuple[tuple[str, str] | None, Doc]] = []
        for way, each in self._births(doc):
            if all(each != other for _, other in found):
                found.append((way, each))
        return found

    def _births(self, doc: Phi) -> list[tuple[tuple[str, str] | None, Doc]]:
        """What a Phi may be, with every way on which it comes to be that."""
        found: list[tuple[tuple[str, str] | None, Doc]] = []
        pending: list[tuple[tuple[str, str] | None, Doc]] = [(None, doc)]
        seen: list[Phi] = []
        while pending:
            way, each = pending.pop(0)
            if not isinstance(each, Phi):
                if (way, each) not in found:
                    found.append((way, each))
                continue
            if each in seen:
                continue
            seen.append(each)
            if each.state in self.parents:
                pending.append((None, read(self.parents[each.state], each.path)))
            pending += [(before, read(self._on(*before), each.path)) for before in self.ways[each.state]]
        return found

    def _expression(self, doc: Doc, *, always: bool = False) -> Expression:
        """The expression for a document; steps that put it together are added to `before`."""
        if isinstance(doc, Ref):
            return {"var": self._reached(doc, always)}
        if isinstance(doc, Const):
            return literal(doc.value)
        if isinstance(doc, Items):
            return [self._expression(each, always=always) for each in doc.items]
        if isinstance(doc, Obj):
            made = {key: self._expression(each, always=always) for key, each in doc.fields}
            if (len(made) == 1 and next(iter(made)) in OPERATORS) or lookalike(made) is not None:
                return self._whole(Overlay(Const({}), tuple(((key,), each) for key, each in doc.fields)))
            return made
        if isinstance(doc, Overlay):
            return self._whole(doc)
        if isinstance(doc, Computed):
            found = doc.expression
            if not isinstance(found, Pending):
                return found
            operands = [self._expression(each, always=always) for each in found.operands]
            return cat(operands) if found.operator == "cat" else {found.operator: operands}
        if isinstance(doc, Phi):
            return self._one_of(doc)
        self.notes.lost(self.at, f"{doc.why}; null stands in its place")
        return None

    def _reached(self, doc: Ref, always: bool = False) -> str:
        if doc.path[0] == "input":
            self.draft.reads(doc.path[1:], always)
        return ".".join(doc.path)

    def _one_of(self, doc: Phi) -> Expression:
        """What a Phi is by the way that was taken: the output that is there tells which."""
        found = self._alternatives(doc)
        written = self._written_again(doc)
        if written - self.put_together:
            self.more |= written
            return None
        if written:
            self.notes.lost(self.at, "what was here is written again on the way, and what it was before is not kept")
        if len(found) == 1:
            return self._expression(found[0][1])
        marks = [(way, each) for way, each in found if isinstance(each, Ref) and each.path[0] == "nodes"]
        others = [(way, each) for way, each in found if not (isinstance(each, Ref) and each.path[0] == "nodes")]
        plain = [each for each in others if isinstance(each[1], Ref | Const | Gone)]
        if len(others) > 1 or len(plain) < len(others):
            ways = {way for way, _ in others if way is not None} - self.put_together
            if ways:
                self.more |= ways
                return None
            self.notes.lost(self.at, "what is here depends on the way that was taken, and cannot be told")
            return None
        if not self.order:
            self.order = {node: index for index, node in enumerate(self._order())}
        order = self.order
        marks.sort(key=lambda each: order.get(each[1].path[1] if isinstance(each[1], Ref) else "", -1))
        stale = self._stale(doc, [each for _, each in marks])
        if stale:
            self.notes.lost(
                self.at,
                f"what is here depends on the way that was taken last: in a loop, what {stale!r} gave in a round "
                "before may stand in its place",
            )
        expression: Expression = self._expression(others[0][1]) if others else None
        chain = marks
        if not others:
            assert isinstance(marks[0][1], Ref)
            expression, chain = None, marks
        for _, each in chain:
            assert isinstance(each, Ref)
            expression = {"var": [self._reached(each), expression]}
        return expression

    def _made_by(self) -> dict[str, tuple[str, str]]:
        """Node -> the way on which its output comes."""
        made = {self._way_id(*way): way for way in self.put_together}
        for key, state in self.states.items():
            ids = (state.id, *(self.ids.get(f"{state.id}_{part}", "") for part in ("callback", "join", "results")))
            made |= dict.fromkeys(ids, (key, "next"))
        return made

    def _beyond(self, way: tuple[str, str], without: str = "") -> list[str]:
        """The states that a way leads to, itself or through others, but for what lies behind `without`."""
        edges = {key: [to for to in each.edges.values() if to != without] for key, each in self.states.items()}
        first = self.states[way[0]].edges[way[1]]
        return [] if first in (_OVER, without) else reachable(edges, first)

    def _stale(self, doc: Phi, marks: Sequence[Doc]) -> str:
        """A node whose output would be taken though something else came after it; empty where there is none."""
        made = self._made_by()
        births = self._births(doc)
        for number, mark in enumerate(marks):
            node = mark.path[1] if isinstance(mark, Ref) else ""
            if node in made:
                later = self._beyond(made[node])
                earlier = [way for way, each in births if each != mark and each not in marks[number:]]
                if any(way is not None and way[0] in later for way in earlier):
                    return node
        return ""

    def _written_again(self, doc: Phi) -> set[tuple[str, str]]:
        """The ways from which a Phi is the output of a node that runs once more before it is read here."""
        assert self.state is not None
        head, here, left = self.states[doc.state], self.state, self.left
        while here.machine.number != head.machine.number:
            if here.machine.number not in self.around:
                return set()
            here, left = self.states[self.around[here.machine.number]], False
        if here is head and not left:
            return set()
        made = self._made_by()
        found = set()
        for way, each in self._births(doc):
            node = each.path[1] if isinstance(each, Ref) and each.path[0] == "nodes" else ""
            if way is None or node not in made:
                continue
            key, label = made[node]
            again = key == head.key or any(key in self._beyond((head.key, one), head.key) for one in head.edges)
            behind = self._beyond((key, label), head.key)
            if again and (here.key in behind or (left and key == here.key and label == "next" and node == here.id)):
                found.add(way)
        return found

    def _order(self) -> list[str]:
        """The nodes of all states, each after those that come before it, and the steps on ways after their state."""
        found: list[str] = []
        for state in self._in_order():
            found += [state.id, self.ids.get(f"{state.id}_callback", "")]
            found += [self._way_id(key, label) for key, label in sorted(self.put_together) if key == state.key]
        return found

    def _in_order(self) -> list[_State]:
        machines = {id(state.machine): state.machine for state in self.states.values()}
        return [
            machine.states[key]
            for machine in machines.values()
            for key in in_order(self._edges(machine), machine.start)
        ]

    def _whole(self, doc: Overlay) -> Expression:
        """A step before the state's own that puts a document together."""
        assert self.state is not None
        id = self.draft.names.new(f"{self.state.id}_input")
        self.before.append({"id": id, "kind": "task", **self._document(doc)})
        return {"var": f"nodes.{id}.output.document"}

    def _document(self, doc: Doc) -> dict[str, JSON]:
        base, changes = (doc.base, doc.changes) if isinstance(doc, Overlay) else (doc, ())
        given = [{"path": list(path), "value": self._expression(each)} for path, each in changes]
        return {
            "capability": self._part("document", capabilities.document),
            "with": {"base": self._expression(base), "changes": given},
        }

    def _part(self, suffix: str, made: Any) -> str:
        name = self.draft.capability_name(suffix)
        if name not in self.draft.capabilities:
            self.draft.capabilities[name] = made(name, self.origin)
        return name

    # ------------------------------------------------------------ paths and templates

    def _path(self, path: str, doc: Doc) -> Doc:
        """What a path, a path into the context, or a call of a function gives."""
        assert self.state is not None
        if path.startswith("$$"):
            return self._context(path)
        if path.startswith("States."):
            try:
                return call(path, lambda each: self._path(each, doc))
            except FunctionError as error:
                return Gone(f"{shown(path)}: {error}")
        parts = parts_of(path)
        if parts is None:
            return Gone(f"the path {path!r} is more than a way to one value")
        return read(doc, parts)

    def _context(self, path: str) -> Doc:
        assert self.state is not None
        parts = parts_of(path[1:])
        if parts is None:
            return Gone(f"the path {path!r} is more than a way to one value")
        if parts[:2] == ("Execution", "Input"):
            return Ref(("input", *parts[2:]))
        if parts[:3] == ("Map", "Item", "Value") and self.item is not None:
            return read(self.item, parts[3:])
        if parts == ("Task", "Token"):
            self.notes.lost(
                self.at, "a run knows no token: the run's id stands in its place, and 'ritesmith token RUN' gives one"
            )
            return Ref(("run", "id"))
        if parts == ("Execution", "Name"):
            self.notes.changed(self.at, "the name of the execution is the run's id")
            return Ref(("run", "id"))
        known: dict[Path, Doc] = {
            ("Execution", "Id"): Ref(("run", "id")),
            ("Execution", "StartTime"): Ref(("run", "started_at")),
            ("StateMachine", "Name"): Ref(("run", "workflow")),
            ("StateMachine", "Id"): Ref(("run", "workflow")),
            ("State", "Name"): Const(self.state.name),
        }
        return known.get(parts) or Gone(f"{path} is nothing that a run tells its steps")

    def _template(self, source: Source, doc: Doc) -> Doc:
        """A payload template: keys that end in `.$` name what is put in."""
        if source.is_list:
            return Items(tuple(self._template(each, doc) for each in source.elements()))
        if not source.is_object:
            return Const(source.all())
        fields: dict[str, Doc] = {}
        for key in source.names():
            member = source.member(key)
            if key.endswith(".$"):
                value = member.peek() if member is not None else None
                if not isinstance(value, str):
                    self.notes.problem(source.path, f"{key!r} is a path or a call of a function, found {shown(value)}")
                else:
                    fields[key[:-2]] = self._path(value, doc)
            else:
                fields[key] = Const(None) if member is None else self._template(member, doc)
        return Obj(tuple(fields.items()))

    def _input(self, state: _State, key: str = "Parameters") -> Doc:
        """What a state works on: its document, by InputPath and Parameters."""
        source = state.source
        doc = self._narrowed(source, "InputPath", state.given)
        parameters = source.member(key)
        return doc if parameters is None else self._template(parameters, doc)

    def _narrowed(self, source: Source, key: str, doc: Doc) -> Doc:
        if not source.has(key):
            return doc
        path = source.member(key)
        if path is None:
            return Const({})
        value = path.peek()
        if not isinstance(value, str):
            path.problem(f"a path is needed, found {shown(value)}")
            return doc
        return self._path(value, doc)

    def _result(self, source: Source, given: Doc, result: Doc) -> Doc:
        """The document after a state, by ResultSelector and ResultPath."""
        selector = source.member("ResultSelector")
        if selector is not None:
            result = self._template(selector, result)
        return self._placed(source, given, result)

    def _placed(self, source: Source, given: Doc, result: Doc) -> Doc:
        if not source.has("ResultPath"):
            return result
        path = source.member("ResultPath")
        if path is None:
            return given
        value = path.peek()
        self.notes.same(path.path, f"the result is at {shown(value)}")
        parts = parts_of(value) if isinstance(value, str) else None
        if parts is None or any(each.isdecimal() for each in parts):
            self.notes.lost(path.path, f"a result cannot be put at {shown(value)}; the document stays as it was")
            return given
        return put(given, parts, result)

    # ------------------------------------------------------------ what flows through a state

    def _through(self, state: _State) -> dict[str, Doc]:
        """The document on each way out of a state; machines within it are read here too."""
        source = state.source
        if state.type in ("Choice", "Wait", "Succeed"):
            doc = self._narrowed(source, "InputPath", state.given)
            doc = self._narrowed(source, "OutputPath", doc)
            return dict.fromkeys(state.edges or ["default"], doc)
        if state.type == "Fail":
            return {"next": Const(None)}
        given = state.given
        if state.type == "Pass":
            result = self._input(state)
            if source.has("Result"):
                fixed = source.member("Result")
                result = Const(None if fixed is None else fixed.all())
            after = self._placed(source, given, result)
        else:
            result = {"Task": self._task_result, "Parallel": self._parallel_result, "Map": self._map_result}[
                state.type
            ](state)
            self.state, self.at = state, source.path
            after = self._result(source, given, result)
        ways = {"next": self._narrowed(source, "OutputPath", after)}
        for number, catcher in enumerate(source.list("Catch") if source.has("Catch") else ()):
            if f"catch {number}" not in state.edges:
                continue
            names = self._error_names(catcher)
            name = names[0] if len(names) == 1 and not names[0].startswith("States.") else None
            untold = "a handler is not told what failed" if name is None else ""
            error = Obj(
                (
                    ("Error", Gone(untold) if name is None else Const(name)),
                    ("Cause", Gone("a handler is not told why a step failed")),
                )
            )
            ways[f"catch {number}"] = self._placed(catcher, given, error)
        return ways

    def _error_names(self, source: Source) -> list[str]:
        names = [each.peek() for each in source.list("ErrorEquals", needed=True)]
        found = [each for each in names if isinstance(each, str)]
        if len(found) < len(names) or not found:
            source.problem("'ErrorEquals' is a list of names of errors")
        return found

    def _task_result(self, state: _State) -> Doc:
        resource = state.source.text("Resource", needed=True) or ""
        output = Ref(("nodes", state.id, "output"))
        if resource.endswith(".waitForTaskToken"):
            return Ref(("nodes", self._callback_id(state), "output"))
        if _is(resource, "lambda:invoke"):
            return Obj((("Payload", output), ("StatusCode", Const(200))))
        if _is(resource, "states:startExecution"):
            return Obj((("Output", output), ("Status", Const("SUCCEEDED"))))
        return output

    def _callback_id(self, state: _State) -> str:
        return self._id(f"{state.id}_callback")

    def _inner(self, state: _State, source: Source, given: Doc) -> _Machine:
        """A machine within a state."""
        around = self.state, self.at
        machine = self._read(source, 1)
        machine.join = self._id(f"{state.id}_join")
        self.around[machine.number] = state.key
        self.notes.refuse()
        self._follow(machine, given)
        self.state, self.at = around
        ends = [each for each in machine.states.values() if "next" in each.edges and each.edges["next"] == _OVER]
        ends = [each for each in ends if each.type != "Fail"]
        if len(ends) == 1 and ends[0].type == "Task":
            doc = self._on(ends[0].key, "next")
            machine.wrapped = doc != Ref(("nodes", ends[0].id, "output"))
        if machine.wrapped:
            self.put_together |= {(each.key, "next") for each in ends}
        return machine

    def _parallel_result(self, state: _State) -> Doc:
        given = self._input(state)
        branches = state.source.list("Branches", needed=True)
        if not branches:
            state.source.problem("a Parallel has at least one branch")
        self.inner[state.key] = machines = [self._inner(state, each, given) for each in branches]
        handled = state.source.has("Catch")
        found: list[Doc] = []
        for number, machine in enumerate(machines):
            path: Path = ("nodes", machine.join, "output", f"branch_{number + 1}")
            path += ("output",) * handled + ("document",) * machine.wrapped
            found.append(Ref(path))
        return Items(tuple(found))

    def _map_result(self, state: _State) -> Doc:
        source = state.source
        key = "ItemProcessor" if source.has("ItemProcessor") else "Iterator"
        inner = source.object(key, needed=True)
        if inner is None:
            return Const([])
        config = inner.object("ProcessorConfig") if inner.has("ProcessorConfig") else None
        if config is not None and config.text("Mode", "INLINE") != "INLINE":
            self.notes.lost(config.path, "a distributed Map runs as one within the run")
        doc = self._narrowed(source, "InputPath", state.given)
        self.item = Ref(("item", state.id))
        template = source.member("ItemSelector" if source.has("ItemSelector") else "Parameters")
        given = self.item if template is None else self._template(template, doc)
        self.item = None
        machine = self._inner(state, inner, given)
        self.inner[state.key] = [machine]
        if machine.wrapped:
            return Ref(("nodes", self._id(f"{state.id}_results"), "output", "document"))
        return Ref(("nodes", machine.join, "output"))

    # ------------------------------------------------------------ nodes

    def _emit(self, machine: _Machine) -> None:
        for key in in_order(self._edges(machine), machine.start):
            state = machine.states[key]
            self.state, self.at, self.before = state, state.source.path, []
            main = getattr(self, f"_emit_{state.type.lower()}")(state)
            self._link(state.key, main)
            self.left = True
            for label in state.edges:
                self._emit_way(state, label)
            self.left = False

    def _link(self, key: str, main: str) -> None:
        """Put the steps that are needed before a node there, and note where a state, or a way, begins."""
        chain = self.before
        for index, node in enumerate(chain):
            node["next"] = chain[index + 1]["id"] if index + 1 < len(chain) else main
        self.draft.nodes.extend(chain)
        self.entry[key] = str(chain[0]["id"]) if chain else main
        self.before = []

    def _way(self, state: _State, label: str) -> str:
        """The target of a way, as a word that is replaced once all nodes are known."""
        if (state.key, label) in self.put_together:
            return f"\0{state.key}\0{label}"
        to = state.edges[label]
        if to != _OVER:
            return f"\0{to}"
        return state.machine.join or self._end_id(state)

    def _end_id(self, state: _State) -> str:
        return self._id(f"{state.id}_end")

    def _emit_way(self, state: _State, label: str) -> None:
        """The step that puts a document together on a way, and the end of a run."""
        to = state.edges[label]
        over = to == _OVER and not state.machine.join and state.type not in ("Succeed", "Fail")
        if (state.key, label) in self.put_together and state.type != "Fail":
            self.before = []
            following = f"\0{to}" if to != _OVER else state.machine.join or self._end_id(state)
            made = self._document(state.gives[label])
            id = self._way_id(state.key, label)
            self._link(f"{state.key}\0{label}", id)
            self.draft.node("task", id, **made, next=following)
        if over:
            self._emit_end(state, self._end_id(state), self._on(state.key, "next"))

    def _emit_end(self, state: _State, id: str, doc: Doc) -> None:
        self.before = []
        output = self._expression(doc, always=state.key in self.always)
        if self.before:
            self.more.add((state.key, "next"))
            self.before = []
        self.draft.node("end", id, outcome="succeeded", output=output)

    def _entry(self, key: str) -> str:
        """The node with which a state begins; a Pass has none of its own."""
        seen: set[str] = set()
        found = f"\0{key}"
        while found.startswith("\0"):
            if found in seen:
                raise InvalidInput(
                    "the states " + ", ".join(repr(each[1:]) for each in sorted(seen)) + " lead in a circle"
                )
            seen.add(found)
            found = self.entry[found[1:]]
        return found

    def _point(self, node: dict[str, JSON]) -> None:
        """Replace the words for targets in a node."""

        def real(target: JSON) -> JSON:
            return self._entry(target[1:]) if isinstance(target, str) and target.startswith("\0") else target

        for key in ("next", "default", "start", "join", "on_timeout"):
            if key in node:
                node[key] = real(node[key])
        for case in node.get("cases", ()):
            case["target"] = real(case["target"])
        for handler in node.get("on_error", ()):
            handler["target"] = real(handler["target"])
        for branch in node.get("branches", ()) if node["kind"] == "split" else ():
            branch["start"] = real(branch["start"])

    def _emit_pass(self, state: _State) -> str:
        made = {key: each for key, each in (state.source.peek() or {}).items() if key in ("Result", "Parameters")}
        told = f": {shown(made, 2000)}" if made else ""
        self.notes.same(state.source.path, f"a Pass, whose values are read where they are needed{told}")
        return self._way(state, "next")

    def _emit_succeed(self, state: _State) -> str:
        doc = self._on(state.key, "next")
        self.notes.same(state.source.path, "the end", state.id)
        if state.machine.join:
            return self._way(state, "next")
        output = self._expression(doc, always=state.key in self.always)
        self.draft.node("end", state.id, outcome="succeeded", output=output)
        return state.id

    def _emit_fail(self, state: _State) -> str:
        source = state.source
        told: dict[str, Expression] = {}
        for key in ("Error", "Cause"):
            fixed = source.text(key, "") or ""
            path = source.text(f"{key}Path")
            if path is not None:
                told[key] = self._expression(self._path(path, state.given))
                if key == "Error":
                    self.notes.lost(f"{source.path}.ErrorPath", "the outcome of a run is written down, not computed")
            else:
                told[key] = fixed
        code = _CODE.sub("_", str(told["Error"]) if isinstance(told["Error"], str) else "")[:100] or "failed"
        self.notes.same(source.path, f"it fails with {code!r}", state.id)
        if not state.machine.join:
            self.draft.node("end", state.id, status="failed", outcome=code, output=told)
            return state.id
        cause = told["Cause"] if isinstance(told["Cause"], str) else cat([told["Cause"]])
        given: dict[str, JSON] = {"code": code, "message": cause}
        self.draft.node(
            "task", state.id, capability=self._part("fail", capabilities.failing), with_=given, next=state.machine.join
        )
        return state.id

    def _emit_wait(self, state: _State) -> str:
        source = state.source
        given: dict[str, Expression] = {}
        for key, name in (("Seconds", "seconds"), ("Timestamp", "until")):
            if source.has(key):
                fixed = source.number(key) if key == "Seconds" else source.text(key)
                if not fixed:
                    given[name] = 0.001 if name == "seconds" else fixed
                else:
                    given[name] = fixed
            path = source.text(f"{key}Path") if source.has(f"{key}Path") else None
            if path is not None:
                doc = self._narrowed(source, "InputPath", state.given)
                given[name] = self._expression(self._path(path, doc), always=state.key in self.always)
        if len(given) != 1 or next(iter(given.values())) is None:
            source.problem("a Wait has one of Seconds, SecondsPath, Timestamp and TimestampPath")
            self.notes.refuse()
        self.draft.node("sleep", state.id, **given, next=self._way(state, "next"))
        self.notes.same(source.path, "a sleep", state.id)
        return state.id

    # ------------------------------------------------------------ choices

    def _emit_choice(self, state: _State) -> str:
        source = state.source
        doc = self._narrowed(source, "InputPath", state.given)
        cases: list[dict[str, JSON]] = []
        for number, rule in enumerate(source.list("Choices")):
            self.at = rule.path
            if rule.has("Comment"):
                rule.text("Comment")
            when = self._rule(rule, doc, 0)
            cases.append({"when": when, "target": self._way(state, f"choice {number}")})
        self.at = source.path
        default = self._way(state, "default") if "default" in state.edges else self._no_choice(state)
        self.draft.node("switch", state.id, cases=cases, default=default)
        self.notes.same(source.path, f"a switch of {len(cases)} cases", state.id)
        return state.id

    def _no_choice(self, state: _State) -> str:
        id = self.draft.names.new(f"{state.id}_no_choice")
        code = "States.NoChoiceMatched"
        if state.machine.join:
            given = {"code": code, "message": f"no rule of {state.name!r} was met"}
            capability = self._part("fail", capabilities.failing)
            self.draft.node("task", id, capability=capability, with_=given, next=state.machine.join)
        else:
            self.draft.node("end", id, status="failed", outcome=code)
        return id

    def _rule(self, rule: Source, doc: Doc, depth: int) -> Expression:
        """A rule of a Choice as a condition; `false` where it has no counterpart, which is reported."""
        for key, name in (("And", "and"), ("Or", "or")):
            if rule.has(key):
                parts = rule.list(key, needed=True)
                if not parts:
                    rule.problem(f"{key!r} has at least one rule")
                return {name: [self._rule(each, doc, depth + 1) for each in parts]}
        if rule.has("Not"):
            inner = rule.object("Not", needed=True)
            return False if inner is None else {"!": [self._rule(inner, doc, depth + 1)]}
        path = rule.text("Variable", needed=True)
        others = [key for key in rule.names() if key not in ("Variable", "Next", "Comment", "Assign")]
        operators = [key for key in others if _is_comparison(key)] or others
        if path is None or len(operators) != 1:
            found = ", ".join(repr(each) for each in others) or "none"
            rule.problem(f"a rule has a Variable and one comparison, or And, Or or Not; found {found}")
            return False
        left = self._path(path, doc)
        member = rule.member(operators[0])
        return self._comparison(operators[0], left, member, doc, rule)

    def _comparison(self, name: str, left: Doc, member: Source | None, doc: Doc, rule: Source) -> Expression:
        value = None if member is None else member.peek()
        if name == "IsPresent":
            return self._present(left, value is True)
        if name == "IsNull":
            found = self._expression(left)
            if isinstance(found, dict) and isinstance(found.get("var"), str):
                found = {"var": [found["var"], None]}
            return {"==" if value is True else "!=": [found, None]}
        if name in TESTS or name == "StringMatches":
            return self._tested(name, left, value, rule)
        match = _COMPARISON.match(name)
        if match is None or (match[1] == "Boolean" and match[2] != "Equals"):
            known = [*TESTS, "StringEquals", "NumericEquals", "BooleanEquals", "StringMatches", "IsPresent", "IsNull"]
            near = near_miss(name, known)
            rule.problem(f"unknown comparison {name!r}" + (f"; did you mean {near!r}?" if near else ""))
            return False
        if match[1] == "Timestamp":
            message = "times are compared as text: both must be written in the same form and zone"
            self.notes.changed(rule.path, message)
        if match[3]:
            right = self._expression(self._path(value, doc)) if isinstance(value, str) else None
        else:
            wanted = {"String": str, "Timestamp": str, "Boolean": bool, "Numeric": (int, float)}[match[1]]
            if not isinstance(value, wanted) or (match[1] == "Numeric" and isinstance(value, bool)):  # type: ignore[arg-type]
                rule.problem(f"{name} compares with {match[1].lower()}, found {shown(value)}")
            right = value
        return {COMPARED[match[2]]: [self._expression(left), right]}

    def _present(self, left: Doc, wanted: bool) -> Expression:
        if isinstance(left, Phi):
            ways = [each for _, each in self._alternatives(left)]
        else:
            ways = [left]
        paths = [self._reached(each) for each in ways if isinstance(each, Ref)]
        fixed = [each for each in ways if not isinstance(each, Ref | Gone)]
        if fixed:
            return wanted
        if not paths:
            return not wanted
        parts = [{"==" if wanted else "!=": [{"missing": [path]}, []]} for path in paths]
        return parts[0] if len(parts) == 1 else {"or" if wanted else "and": parts}

    def _tested(self, name: str, left: Doc, value: JSON, rule: Source) -> Expression:
        """A test that expressions do not have, made by a step before the switch."""
        assert self.state is not None
        found = self._expression(left)
        if isinstance(found, dict) and isinstance(found.get("var"), str):
            found = {"var": [found["var"], None]}
        given: dict[str, Expression] = {"test": name, "value": found}
        if name == "StringMatches":
            if not isinstance(value, str):
                rule.problem(f"StringMatches has a pattern, found {shown(value)}")
            given["pattern"] = value
        id = self.draft.names.new(f"{self.state.id}_test")
        self.before.append(
            {"id": id, "kind": "task", "capability": self._part("test", capabilities.tests), "with": given}
        )
        holds = {"var": f"nodes.{id}.output.holds"}
        return {"!": [holds]} if name in TESTS and value is not True else holds

    # ------------------------------------------------------------ tasks

    def _emit_task(self, state: _State) -> str:
        source = state.source
        resource = source.text("Resource") or ""
        given = self._input(state)
        seconds = source.number("TimeoutSeconds", least=0.001) if source.has("TimeoutSeconds") else None
        waits = resource.endswith(".waitForTaskToken")
        more: dict[str, Any] = {"retry": self._retry(source), "on_error": self._handlers(state)}
        following = self._way(state, "next")
        if waits:
            wait = self._callback_id(state)
            timeout = self._timeout_target(state)
            self.draft.node("wait", wait, deadline_seconds=seconds, on_timeout=timeout, next=following)
            self.notes.changed(
                source.path,
                f"the step, and then a wait for its callback: ritesmith deliver RUN --node {wait}",
                wait,
            )
            self.notes.lost(
                source.path, "a callback that says that the task failed is not one; only its time can be over"
            )
            following = wait
        elif seconds is not None:
            message = "the timeout counts the work of the step, and not the time that it waits for a service"
            self.notes.changed(f"{source.path}.TimeoutSeconds", message)
            more["deadline_seconds"] = seconds
        if _is(resource, "http:invoke"):
            return self._emit_http(state, given, more, following)
        if _is(resource, "states:startExecution"):
            return self._emit_call(state, resource, given, more, following)
        return self._emit_function(state, resource, given, more, following)

    def _emit_http(self, state: _State, given: Doc, more: dict[str, Any], following: str) -> str:
        source = state.source
        url = read(given, ("ApiEndpoint",))
        method = read(given, ("Method",))
        fields = dict(given.fields) if isinstance(given, Obj) else {}
        for key in [
            each
            for each in fields
            if each not in ("ApiEndpoint", "Method", "Headers", "QueryParameters", "RequestBody")
        ]:
            self.notes.lost(
                f"{source.path}.Parameters",
                f"{key!r} of the request: credentials go into a header that names a secret"
                if key == "Authentication"
                else f"{key!r} of the request has no counterpart",
            )
        pieces: list[Expression] = [url.value] if isinstance(url, Const) else []
        if isinstance(url, Computed) and isinstance(url.expression, Pending):
            pieces = [self._expression(each) for each in url.expression.operands]
        elif not pieces:
            pieces = [self._expression(url)]
        headers = dict(each.fields) if isinstance(each := fields.get("Headers"), Obj) else {}
        query = dict(each.fields) if isinstance(each := fields.get("QueryParameters"), Obj) else {}
        verb = method.value if isinstance(method, Const) and isinstance(method.value, str) else "GET"
        if not isinstance(method, Const):
            self.notes.lost(source.path, "the method of a request is written down, not computed; GET is taken")
        body = fields.get("RequestBody")
        made = Call(
            source.path,
            verb.upper(),
            pieces,
            {key: self._expression(each) for key, each in headers.items()},
            list(range(200, 300)),
            json=None if body is None else (self._expression(body),),
            query={key: self._expression(each) for key, each in query.items()} or None,
        )
        found = self.requests.add(made)
        if found is None:
            return self._emit_function(state, "http:invoke", given, more, following)
        capability, arguments = found
        if verb.upper() not in ("GET", "HEAD"):
            more["no_compensation"] = "it had none in the definition"
        self.draft.node("task", state.id, capability=capability, with_=arguments, **_given(more), next=following)
        self.notes.same(source.path, f"a {verb.upper()} request", state.id)
        return state.id

    def _emit_call(self, state: _State, resource: str, given: Doc, more: dict[str, Any], following: str) -> str:
        source = state.source
        self._only(given, "StateMachineArn", "Input")
        arn = read(given, ("StateMachineArn",))
        name = str(arn.value) if isinstance(arn, Const) else state.name
        workflow = f"{self._namespace}.{slug(name.rpartition(':')[2], 'workflow')}"
        inner = read(given, ("Input",))
        arguments = self._arguments(Const({}) if isinstance(inner, Gone) else inner)
        if not self.options.known(workflow):
            self.notes.lost(
                source.path,
                f"the workflow {workflow!r} must be there: import the state machine {name!r} first",
                workflow,
            )
        if ".sync" not in resource:
            self.notes.changed(source.path, "the run waits for the workflow that it calls; there, it did not")
        if more.get("retry"):
            self.notes.lost(f"{source.path}.Retry", "a called workflow is not tried again")
        self.draft.node(
            "call", state.id, workflow=workflow, with_=arguments, on_error=more.get("on_error"), next=following
        )
        return state.id

    def _only(self, given: Doc, *known: str) -> None:
        """Report the parameters of an integration that mean nothing here."""
        for key in _keys(given):
            if key not in known:
                self.notes.lost(self.at, f"the parameter {key!r} has no counterpart")

    @property
    def _namespace(self) -> str:
        return self.draft.name.rpartition(".")[0]

    def _emit_function(self, state: _State, resource: str, given: Doc, more: dict[str, Any], following: str) -> str:
        """A task that names a function or a service: the capability of that name."""
        source = state.source
        bare = resource.removesuffix(".waitForTaskToken").removesuffix(":2").removesuffix(".sync")
        if bare != resource and ".sync" in resource:
            message = "the capability must wait for the job to end, as the integration did"
            self.notes.changed(f"{source.path}.Resource", message)
        if bare == f"{ARN}lambda:invoke":
            self._only(given, "FunctionName", "Payload")
            name = read(given, ("FunctionName",))
            payload = read(given, ("Payload",))
            bare = str(name.value) if isinstance(name, Const) else state.name
            given = Const({}) if isinstance(payload, Gone) else payload
        short = bare.removeprefix(ARN)
        if bare.startswith("arn:") and not bare.startswith(ARN):
            fields = bare.split(":")
            short = fields[6] if len(fields) > 6 else fields[-1]
        capability = f"{self._namespace}.{slug(short, 'task', 40)}"
        if capability == self.draft.name or capability in self.draft.capabilities:
            capability += "_task"
        arguments = self._arguments(given)
        if self.options.known(capability):
            self.notes.same(
                source.path, f"{shown(resource)} is the capability {capability!r}, which is there", capability
            )
        else:
            self.notes.lost(
                source.path,
                f"what {shown(resource)} did is not in the definition: {capability!r} is a draft that fails until it "
                "is written",
                capability,
            )
            self.drafts.setdefault(capability, (f"{resource}", set()))[1].update(arguments)
        self.draft.node("task", state.id, capability=capability, with_=arguments, **_given(more), next=following)
        return state.id

    def _arguments(self, doc: Doc) -> dict[str, Expression]:
        """What a task is given: the fields of an object by name, or anything else as `input`."""
        always = self.state is not None and self.state.key in self.always
        if isinstance(doc, Const) and isinstance(doc.value, dict):
            return {key: literal(each) for key, each in doc.value.items()}
        if isinstance(doc, Obj):
            return {key: self._expression(each, always=always) for key, each in doc.fields}
        self.notes.once("changed", self.at, "a step that is given a whole document has it as 'input'")
        return {"input": self._expression(doc, always=always)}

    def _retry(self, source: Source) -> dict[str, JSON] | None:
        retriers = source.list("Retry") if source.has("Retry") else []
        if not retriers:
            return None
        chosen: dict[str, JSON] | None = None
        for number, each in enumerate(retriers):
            if not each.is_object:
                each.problem("a retrier is an object")
                continue
            names = self._error_names(each)
            count = int(each.number("MaxAttempts", 3) or 0)
            policy: dict[str, JSON] = {
                "max_attempts": min(count, 99) + 1,
                "initial_seconds": each.number("IntervalSeconds", 1) or 1,
                "multiplier": max(each.number("BackoffRate", 2.0) or 2.0, 1),
                "max_seconds": each.number("MaxDelaySeconds", 86_400) or 86_400,
                "jitter": 0,
            }
            if count > 99:
                self.notes.lost(each.path, f"{count} further attempts are asked for; a step is tried 100 times at most")
            if each.text("JitterStrategy", "NONE") == "FULL":
                policy["jitter"] = 1
                self.notes.changed(each.path, "the pause is drawn from 0 to its double, and not from 0 to itself")
            if not {"States.ALL", "States.TaskFailed"} & {*names}:
                self.notes.changed(
                    each.path,
                    f"a step is tried again for every error that may pass, and not only for {', '.join(names)}: its "
                    "capability says which",
                )
            else:
                self.notes.changed(each.path, "only errors that may pass are tried again: a capability says which")
            if chosen is None:
                chosen = policy
            else:
                self.notes.lost(
                    each.path, f"a step has one policy; that of Retry[0] holds, and this is number {number}"
                )
        return chosen

    def _handlers(self, state: _State) -> list[dict[str, JSON]] | None:
        handlers: list[dict[str, JSON]] = []
        seen: set[str] = set()
        for number, catcher in enumerate(state.source.list("Catch") if state.source.has("Catch") else ()):
            if catcher.has("Comment"):
                catcher.text("Comment")
            for name in self._error_names(catcher):
                code = self._code(name, catcher)
                if code is not None and code not in seen and "*" not in seen:
                    handlers.append({"code": code, "target": self._way(state, f"catch {number}")})
                    seen.add(code)
        return handlers or None

    def _code(self, name: str, catcher: Source) -> str | None:
        if name == "States.TaskFailed":
            self.notes.changed(catcher.path, "it meets every error, also a timeout, which it did not meet there")
        if name in ERRORS:
            return ERRORS[name]
        if name.startswith("States."):
            self.notes.lost(catcher.path, f"no step fails with {name}")
            return None
        code = _CODE.sub("_", name)
        self.notes.changed(catcher.path, f"it meets a capability that fails with the code {code!r}")
        return code

    def _timeout_target(self, state: _State) -> str | None:
        for number, catcher in enumerate(state.source.list("Catch") if state.source.has("Catch") else ()):
            if {"States.ALL", "States.Timeout"} & {*self._error_names(catcher)}:
                return self._way(state, f"catch {number}")
        return None

    # ------------------------------------------------------------ machines within

    def _emit_parallel(self, state: _State) -> str:
        source, machines = state.source, self.inner[state.key]
        join = self._id(f"{state.id}_join")
        branches = [
            {"id": f"branch_{number + 1}", "start": f"\0{machine.start}"} for number, machine in enumerate(machines)
        ]
        if len(branches) > 100:
            source.problem(f"there are {len(branches)} branches; at most 100 are run")
            self.notes.refuse()
        self.draft.node("split", state.id, branches=branches, join=join)
        self._no_retry(source)
        if source.has("Catch"):
            self._emit_handled(state, join, len(machines))
        else:
            self.draft.node("join", join, policy="all", next=self._way(state, "next"))
        self.notes.same(source.path, f"a split into {len(branches)} branches", state.id)
        self._emit_inner(state)
        return state.id

    def _no_retry(self, source: Source) -> None:
        for each in source.list("Retry") if source.has("Retry") else ():
            each.all()
            self.notes.lost(each.path, "a split or a map is not tried again; its steps are, by their own policies")

    def _emit_handled(self, state: _State, join: str, count: int) -> None:
        """A join that waits for every branch, and a switch that looks whether one has failed."""
        decides = self.draft.names.new(f"{state.id}_caught")
        self.draft.node("join", join, policy="settled", next=decides)
        cases: list[dict[str, JSON]] = []
        for number, catcher in enumerate(state.source.list("Catch")):
            if catcher.has("Comment"):
                catcher.text("Comment")
            codes = [code for name in self._error_names(catcher) if (code := self._code(name, catcher)) is not None]
            for code in codes:
                cases.append({"when": _failed(join, count, code), "target": self._way(state, f"catch {number}")})
        if not any(case["when"] == _failed(join, count, "*") for case in cases):
            cases.append({"when": _failed(join, count, "*"), "target": self._unhandled(state)})
        self.draft.node("switch", decides, cases=cases, default=self._way(state, "next"))
        message = "every branch is waited for before a failure is handled; there, the first failure stopped the others"
        self.notes.changed(f"{state.source.path}.Catch", message, decides)

    def _unhandled(self, state: _State) -> str:
        id = self.draft.names.new(f"{state.id}_failed")
        if state.machine.join:
            given = {"code": "branch_failed", "message": f"a branch of {state.name!r} failed"}
            capability = self._part("fail", capabilities.failing)
            self.draft.node("task", id, capability=capability, with_=given, next=state.machine.join)
        else:
            self.draft.node("end", id, status="failed", outcome="branch_failed")
        return id

    def _emit_map(self, state: _State) -> str:
        source = state.source
        machines = self.inner.get(state.key, [])
        if not machines:
            source.problem("a Map has an ItemProcessor")
            self.notes.refuse()
        machine = machines[0]
        doc = self._narrowed(source, "InputPath", state.given)
        path = source.text("ItemsPath", "$") or "$"
        over = self._expression(self._path(path, doc), always=state.key in self.always)
        if over == {"var": "input"}:
            self.notes.lost(source.path, "the input of a run is an object, so nothing can be mapped over all of it")
            over = None
        if over is None:
            over = []
        most = int(source.number("MaxConcurrency", 0) or 0) if source.has("MaxConcurrency") else 0
        if most > CONCURRENCY_MAX:
            self.notes.changed(
                f"{source.path}.MaxConcurrency", f"at most {CONCURRENCY_MAX} elements are under way at a time"
            )
        following = self._way(state, "next")
        if machine.wrapped:
            following = self._id(f"{state.id}_results")
            capability = self._part("documents", capabilities.unwrapped)
            given = {"results": {"var": f"nodes.{machine.join}.output"}}
            self.draft.node("task", following, capability=capability, with_=given, next=self._way(state, "next"))
        self.draft.node(
            "map",
            state.id,
            over=over,
            **{"as": state.id},
            start=f"\0{machine.start}",
            join=machine.join,
            concurrency=min(most, CONCURRENCY_MAX) or CONCURRENCY,
            max_items=ITEMS_MAX,
        )
        self.draft.node("join", machine.join, policy="all", next=following)
        self._no_retry(source)
        self.notes.same(source.path, "a map over a list", state.id)
        self.notes.once("changed", source.path, f"a list of more than {ITEMS_MAX} elements fails the map")
        self._emit_inner(state)
        return state.id

    def _emit_inner(self, state: _State) -> None:
        around, before = (self.state, self.at), self.before
        for machine in self.inner[state.key]:
            self._emit(machine)
        (self.state, self.at), self.before = around, before


def _is_comparison(name: str) -> bool:
    return name in (*TESTS, "StringMatches", "IsPresent", "IsNull") or _COMPARISON.match(name) is not None


def _keys(doc: Doc) -> list[str]:
    if isinstance(doc, Const):
        return list(doc.value) if isinstance(doc.value, dict) else []
    return [key for key, _ in doc.fields] if isinstance(doc, Obj) else []


def _is(resource: str, service: str) -> bool:
    """Whether a resource is an integration with a service, however it is waited for."""
    return resource in {f"{ARN}{service}{way}" for way in ("", ".sync", ".sync:2", ".waitForTaskToken")}


def _given(more: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in more.items() if each is not None}


def _failed(join: str, count: int, code: str) -> Expression:
    """Whether one of the branches has failed, with this code."""
    parts: list[Expression] = []
    for number in range(count):
        at = f"nodes.{join}.output.branch_{number + 1}"
        if code == "*":
            parts.append({"==": [{"var": f"{at}.status"}, "failed"]})
        else:
            parts.append({"==": [{"var": [f"{at}.error.code", ""]}, code]})
    return parts[0] if len(parts) == 1 else {"or": parts}
