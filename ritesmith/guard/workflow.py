"""Workflow to findings: shape, graph, references and types, all that can be known without running it.

A graph of 10,000 nodes is checked in about a second: every walk is iterative and near linear. Whether the producer of
an output has run whenever its consumer reads it is dominance in the graph with one vertex more for each producer, which
stands on the edges where it succeeded. Dominators are found as in Lengauer and Tarjan, "A fast algorithm for finding
dominators in a flowgraph" (1979), the simple version; cycles as in Tarjan, "Depth-first search and linear graph
algorithms" (1972).
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from ritesmith import expr
from ritesmith.contract import effect_of, near_miss, shape_findings
from ritesmith.models import (
    JSON,
    NODE_KINDS,
    AnyNode,
    ApprovalNode,
    Case,
    Compensation,
    Contract,
    EndNode,
    Expression,
    Finding,
    HostError,
    HostFunction,
    HostStub,
    OnError,
    OutcomeStatus,
    Retry,
    RunLimits,
    RunStatus,
    Schema,
    SleepNode,
    SwitchNode,
    TaskNode,
    WaitNode,
    Where,
    Workflow,
    WorkflowExample,
)
from ritesmith.schemas import problems, schema_problems

APPROVAL_OUTPUT: Schema = {
    "type": "object",
    "properties": {
        "decision": {"enum": ["approved", "rejected"]},
        "by": {"type": "string"},
        "at": {"type": "string"},
        "comment": {"type": "string"},
    },
    "required": ["decision", "by", "at", "comment"],
    "additionalProperties": False,
}
"""Output of an approval node; it is there after a rejection too, and not after a timeout."""

RUN_ROOT: Schema = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "workflow": {"type": "string"}, "started_at": {"type": "string"}},
    "required": ["id", "workflow", "started_at"],
    "additionalProperties": False,
}
"""What expressions find under `run`."""


def read_workflow(value: JSON, file: str = "") -> tuple[Workflow | None, list[Finding]]:
    """Read a workflow from JSON: the workflow and no findings, or None and every finding about its shape.

    Values are taken as they are: `"5"` is no number and `true` is no integer. Codes: `workflow_shape`,
    `unknown_node_kind`. Keys that stand twice in one object are for the caller, who still has the text.
    """
    try:
        return Workflow.model_validate_json(json.dumps(value), strict=True, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, _read_findings(error, file)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the workflow cannot be read as JSON: {error}"
        return None, [Finding(code="workflow_shape", where=Where(file=file, path="$"), message=message)]


def check_workflow(
    workflow: Workflow,
    *,
    resolve: Callable[[str], Contract | None],
    known_names: Iterable[str],
    catalog: Mapping[str, HostFunction],
    file: str = "",
) -> list[Finding]:
    """Every finding about the sense of a workflow, structure first, then the graph, then node by node, then examples.

    `resolve` gives the contract of a capability by name, `name@version` or digest, `known_names` the names for a near
    miss, `catalog` the effect and the errors of host functions. Where ids or targets are wrong, the graph is not
    judged, since what it says would be about another graph; types still are.
    """
    check = _Check(workflow, resolve, known_names, catalog)
    check.run()
    if not file:
        return check.findings
    placed = (each.where.model_copy(update={"file": file}) for each in check.findings)
    return [each.model_copy(update={"where": where}) for each, where in zip(check.findings, placed, strict=True)]


# ---------------------------------------------------------------- shape

_PARTS: Mapping[str, type[BaseModel]] = {
    "task": TaskNode,
    "switch": SwitchNode,
    "sleep": SleepNode,
    "wait": WaitNode,
    "approval": ApprovalNode,
    "end": EndNode,
    "retry": Retry,
    "limits": RunLimits,
    "cases": Case,
    "on_error": OnError,
    "compensation": Compensation,
    "examples": WorkflowExample,
    "hosts": HostStub,
    "error": HostError,
}
"""Last name on the way to a value -> its model, for the names that would have been right there."""


def _read_findings(error: ValidationError, file: str) -> list[Finding]:
    findings = []
    plain = shape_findings(error, code="workflow_shape", file=file)
    for problem, finding in zip(error.errors(include_url=False, include_context=False), plain, strict=True):
        location = list(problem["loc"])
        if problem["type"] == "too_short" and problem.get("input"):
            continue  # it is called empty only because its members were refused, each with a finding of its own
        change: dict[str, Any] = {}
        if problem["type"].startswith("union_tag"):
            kind = problem["input"].get("kind") if isinstance(problem["input"], dict) else None
            near = near_miss(str(kind), NODE_KINDS) if kind is not None else None
            change = {
                "code": "unknown_node_kind",
                "message": f"unknown node kind {kind!r}" if kind is not None else "the field 'kind' is missing",
                "hint": f"did you mean {near!r}?" if near else f"known are: {', '.join(NODE_KINDS)}",
            }
            if kind is not None:
                location.append("kind")
        elif problem["type"] == "extra_forbidden":
            names = [part for part in location[:-1] if isinstance(part, str)]
            known = _fields(_PARTS.get(names[-1], Workflow) if names else Workflow)
            near = near_miss(str(location[-1]), known)
            change = {"hint": f"did you mean {near!r}?" if near else f"remove it; known are: {', '.join(known)}"}
        if len(location) > 2 and location[0] == "nodes" and location[2] in NODE_KINDS:
            del location[2]  # pydantic's name for the kind; the file has no such level
        path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
        where = finding.where.model_copy(update={"path": path})
        findings.append(finding.model_copy(update={**change, "where": where}))
    return findings


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


# ---------------------------------------------------------------- sense


class _Edge(NamedTuple):
    """A way out of a node. `target` None ends the run. `gives`: the node's output is there on this way."""

    target: str | None
    path: str
    gives: bool


def _edges(node: AnyNode, at: str) -> list[_Edge]:
    """The ways out of a node that stands at the JSON path `at`."""
    if isinstance(node, EndNode):
        return []
    if isinstance(node, SwitchNode):
        cases = [_Edge(case.target, f"{at}.cases[{index}].target", False) for index, case in enumerate(node.cases)]
        return [*cases, _Edge(node.default, f"{at}.default", False)]
    edges = [_Edge(node.next, f"{at}.next", not isinstance(node, SleepNode))]
    if isinstance(node, TaskNode):
        for index, handler in enumerate(node.on_error):
            edges.append(_Edge(handler.target, f"{at}.on_error[{index}].target", False))
    if isinstance(node, ApprovalNode) and node.on_reject is not None:
        edges.append(_Edge(node.on_reject, f"{at}.on_reject", True))
    if isinstance(node, WaitNode | ApprovalNode) and node.on_timeout is not None:
        edges.append(_Edge(node.on_timeout, f"{at}.on_timeout", False))
    return edges


_PAUSES = (SleepNode, WaitNode, ApprovalNode)
_NEAR_MISSES_MAX = 20
"""Near misses and ways round that are looked for in one check; each takes time in the size of the workflow."""
_EXECUTION_CODES = (frozenset(get_args(OutcomeStatus)) - {"ok", "fail"}) | {"bad_input", "bad_expression"}
"""Codes with which any step may fail, whatever its capability does."""


_OPENING = frozenset({"additionalProperties", "patternProperties", "$ref", "allOf", "anyOf", "oneOf"})
"""Keywords that say something about properties which `properties` does not name."""


class _Target(NamedTuple):
    """What is at a path, whoever reads it: its type, or what is wrong with it."""

    schema: Schema
    certain: bool
    producer: int | None
    """Index of the node whose output it is."""
    problem: tuple[str, str, str] | None
    """(code, message, hint)"""


class _Check:
    """One check of one workflow: what it is made of, what was found out, and the findings so far."""

    def __init__(
        self,
        workflow: Workflow,
        resolve: Callable[[str], Contract | None],
        known_names: Iterable[str],
        catalog: Mapping[str, HostFunction],
    ) -> None:
        self.workflow = workflow
        self.nodes = workflow.nodes
        self.resolve = resolve
        self.known_names = known_names
        self.catalog = catalog
        self.findings: list[Finding] = []
        self.index: dict[str, int] = {}
        for index, node in enumerate(self.nodes):
            self.index.setdefault(node.id, index)
        self.graph: _Graph | None = None
        self.contracts: dict[str, Contract | None] = {}
        self.schemas: dict[str, list[tuple[str, str]]] = {}
        self.targets: dict[str, _Target] = {}
        self.near_misses = 0
        self.ways_round = 0

    def run(self) -> None:
        edges = [_edges(node, f"$.nodes[{index}]") for index, node in enumerate(self.nodes)]
        self._structure(edges)
        if not self.findings:
            self.graph = _Graph(edges, self.index, self.workflow.start)
            self._shape_of_graph(self.graph)
        self._own_schemas()
        for index, node in enumerate(self.nodes):
            self._node(index, node, f"$.nodes[{index}]")
        self._examples()

    def _add(self, code: str, path: str, message: str, hint: str = "", *, warning: bool = False) -> None:
        severity: Any = "warning" if warning else "error"
        self.findings.append(Finding(code=code, severity=severity, where=Where(path=path), message=message, hint=hint))

    def _near(self, name: str, known: Iterable[str]) -> str:
        """A hint with the near miss, while there is time for it."""
        self.near_misses += 1
        near = near_miss(name, known) if self.near_misses <= _NEAR_MISSES_MAX else None
        return f"did you mean {near!r}?" if near else ""

    # -------------------------------------------------------- structure and graph

    def _structure(self, edges: list[list[_Edge]]) -> None:
        for index, node in enumerate(self.nodes):
            first = self.index[node.id]
            if first != index:
                self._add("duplicate_id", f"$.nodes[{index}].id", f"the id {node.id!r} is node {first}'s already")
        start = _Edge(self.workflow.start, "$.start", False)
        for edge in itertools.chain([start], *edges):
            if edge.target is not None and edge.target not in self.index:
                message = f"there is no node {edge.target!r}"
                self._add("unknown_target", edge.path, message, self._near(edge.target, self.index))

    def _shape_of_graph(self, graph: _Graph) -> None:
        for index, node in enumerate(self.nodes):
            if not graph.reached(index):
                self._add("unreachable_node", f"$.nodes[{index}]", f"no way leads from the start to {node.id!r}")
        pauses = {index for index, node in enumerate(self.nodes) if isinstance(node, _PAUSES)}
        for cycle in graph.cycles_without(pauses):
            names = [self.nodes[each].id for each in cycle]
            self._add(
                "unbounded_cycle",
                f"$.nodes[{cycle[0]}]",
                f"the cycle {_row([*names, names[0]])} never pauses",
                "put a sleep, wait or approval on the way round",
            )
        endless = graph.endless()
        if endless:
            self._add(
                "never_ends",
                f"$.nodes[{endless[0]}]",
                f"from {_row([self.nodes[each].id for each in endless], ', ')} no way leads to an end",
                "give the loop a way out; as it is, the run fails when its steps are spent",
                warning=True,
            )
        shortest = graph.steps_to_end()
        most = self.workflow.limits.steps
        if shortest is not None and shortest > most:
            message = f"the shortest way to an end has {shortest} nodes, and the run may take {most} steps"
            self._add("steps_too_few", "$.limits.steps", message, "raise limits.steps", warning=True)

    # -------------------------------------------------------- schemas and contracts

    def _sound(self, schema: Schema) -> bool:
        return not self._schema_problems(schema)

    def _schema_problems(self, schema: Schema) -> list[tuple[str, str]]:
        key = json.dumps(schema)
        if key not in self.schemas:
            self.schemas[key] = schema_problems(schema)
        return self.schemas[key]

    def _own_schemas(self) -> None:
        own = [("$.input", self.workflow.input)]
        if self.workflow.output is not None:
            own.append(("$.output", self.workflow.output))
        own += [
            (f"$.nodes[{index}].schema", node.schema_)
            for index, node in enumerate(self.nodes)
            if isinstance(node, WaitNode)
        ]
        for path, schema in own:
            for at, message in self._schema_problems(schema):
                self._add("schema_invalid", path + at.removeprefix("$"), message)

    def _contract(self, name: str, path: str) -> Contract | None:
        if name not in self.contracts:
            self.contracts[name] = self.resolve(name)
        contract = self.contracts[name]
        if contract is None:
            bare, _, version = name.partition("@")
            if version and self.resolve(bare) is not None:
                self._add("unknown_capability", path, f"the capability {bare!r} has no version {version!r}")
            else:
                message = f"there is no capability {name!r}"
                self._add("unknown_capability", path, message, self._near(bare, self.known_names))
        return contract

    def _output_schema(self, node: AnyNode) -> Schema | None:
        """The type of a node's output; None where the kind has none."""
        if isinstance(node, ApprovalNode):
            return APPROVAL_OUTPUT
        if isinstance(node, WaitNode):
            return node.schema_ if self._sound(node.schema_) else {}
        if isinstance(node, TaskNode):
            if node.capability not in self.contracts:
                self.contracts[node.capability] = self.resolve(node.capability)
            contract = self.contracts[node.capability]
            return contract.output if contract is not None and self._sound(contract.output) else {}
        return None

    # -------------------------------------------------------- references and types

    def _target(self, path: str) -> _Target:
        """What is at a path; looked up once for each path."""
        if path not in self.targets:
            self.targets[path] = self._find_target(path)
        return self.targets[path]

    def _find_target(self, path: str) -> _Target:
        root, *parts = path.split(".")
        producer = None
        if root == "item":
            return _unusable("unknown_reference", "there is no 'item' here; only the nodes of a map have one")
        if root == "run":
            schema, whose = RUN_ROOT, "run"
        elif root == "input":
            schema, whose = self.workflow.input if self._sound(self.workflow.input) else {}, "the workflow's input"
        else:
            node_id, parts = parts[0], parts[2:]
            producer = self.index.get(node_id)
            if producer is None:
                return _unusable("unknown_node", f"there is no node {node_id!r}", self._near(node_id, self.index))
            found = self._output_schema(self.nodes[producer])
            if found is None:
                kind = self.nodes[producer].kind
                return _unusable("no_output", f"{node_id!r} is a {kind} node, which has no output")
            if found == {}:
                return _Target({}, True, producer, None)
            schema, whose = found, f"the output of {node_id!r}"
        followed = expr.follow(schema, parts)
        if followed.schema is None:
            part = parts[followed.failed_at]
            if followed.failed_at:
                whose = f"{'.'.join(parts[: followed.failed_at])!r} of {whose}"
            known = f"it has {', '.join(followed.names[:20])}" if followed.names else ""
            hint = self._near(part, followed.names) or known
            return _unusable("unknown_property", f"{whose} has no {part!r}", hint)
        return _Target(followed.schema, followed.certain, producer, None)

    def _type(self, expression: Expression, path: str, reader: int) -> Schema:
        """The type of an expression, with the findings about it. `reader` is the vertex where it is evaluated."""
        if not isinstance(expression, dict | list):
            return {"const": expression}
        for variable in expr.variables(expression, path):
            if not expr.path_problem(variable.path):
                self._reference(variable, reader)
        schema, findings = expr.type_of(expression, lambda at: self._target(at).schema, path)
        self.findings.extend(findings)
        return schema

    def _reference(self, variable: expr.Variable, reader: int) -> None:
        target = self._target(variable.path)
        if target.problem is not None:
            code, message, hint = target.problem
            self._add(code, variable.where, message, hint)
            return
        if target.producer is not None and not self._assigned(target.producer, reader, variable):
            return
        if not target.certain and not variable.optional:
            message = f"{variable.path!r} may be missing, and then this fails"
            hint = f'give a default: {{"var": ["{variable.path}", ...]}}, or name it under \'required\' in its schema'
            self._add("may_be_missing", variable.where, message, hint, warning=True)

    def _assigned(self, producer: int, reader: int, variable: expr.Variable) -> bool:
        """Whether the producer's output is there, or need not be; finds what is wrong otherwise."""
        graph = self.graph
        if graph is None or not graph.reached(reader):
            return True
        success = graph.success(producer)
        if graph.dominates(success, reader):
            return True
        name = self.nodes[producer].id
        if not graph.leads(success, graph.node(reader)):
            code, message = "never_assigned", f"no way leads here on which {name!r} has given its output"
            if variable.optional:
                self._add(code, variable.where, f"{message}, so the default always holds", warning=True)
                return True
            self._add(code, variable.where, message, "read the output of a node that comes before")
            return False
        if variable.optional:
            return True
        message = f"{name!r} has no output yet on every way that leads here"
        self.ways_round += 1
        if self.ways_round <= _NEAR_MISSES_MAX:
            way = [self.nodes[each].id for each in graph.way_round(success, reader)]
            way = [f"{name} (failed or timed out)" if each == name else each for each in way]
            message = f"{name!r} has no output when the run comes by {_row(way)}"
        hint = f'give a default: {{"var": ["{variable.path}", ...]}}, or let every way pass {name!r}'
        self._add("not_assigned", variable.where, message, hint)
        return False

    def _condition(self, expression: Expression, path: str, reader: int) -> None:
        before = len(self.findings)
        schema = self._type(expression, path, reader)
        if any(each.severity == "error" for each in self.findings[before:]):
            return
        kinds = expr.types_of(schema)
        if "boolean" not in kinds:
            message = f"a condition is true or false, found {expr.describe(schema)}"
            self._add("not_boolean", path, message, "compare it with something")
        elif not expr.references(expression):
            self._add("constant_condition", path, "the condition is always the same: it reads nothing", warning=True)
        elif len(kinds) > 1 and schema != {}:
            message = f"a condition is true or false, found {expr.describe(schema)}"
            self._add("type_may_differ", path, message, warning=True)

    def _fits(self, given: Schema, wanted: Schema, path: str, whose: str) -> None:
        if self._sound(wanted):
            for each in expr.fits(given, wanted, path):
                self.findings.append(each.model_copy(update={"message": f"{whose}: {each.message}"}))

    # -------------------------------------------------------- nodes

    def _node(self, index: int, node: AnyNode, at: str) -> None:
        if isinstance(node, TaskNode):
            self._task(index, node, at)
        elif isinstance(node, SwitchNode):
            for number, case in enumerate(node.cases):
                self._condition(case.when, f"{at}.cases[{number}].when", index)
        elif isinstance(node, SleepNode):
            self._sleep(index, node, at)
        elif isinstance(node, WaitNode):
            self._timeout(node, at)
            if node.success_when is not None:
                # It judges the payload, so it is read where the output is there already.
                self._condition(node.success_when, f"{at}.success_when", self._success(index))
        elif isinstance(node, ApprovalNode):
            self._timeout(node, at)
            self._type(node.prompt, f"{at}.prompt", index)
        else:
            schema = self._type(node.output, f"{at}.output", index)
            if self.workflow.output is not None and node.status == "succeeded":
                self._fits(schema, self.workflow.output, f"{at}.output", "the workflow's output")
        if isinstance(node, TaskNode | WaitNode | ApprovalNode) and node.next is None:
            # A run that ends without an end node has the last output for its own.
            last = self._output_schema(node)
            if self.workflow.output is not None and last is not None:
                self._fits(last, self.workflow.output, f"{at}.next", "the workflow's output")

    def _output_problems(self, output: JSON, at: str) -> list[tuple[str, str]]:
        """What the workflow's output schema, if there is a sound one, has against an output."""
        schema = self.workflow.output
        return problems(schema, output, root=at) if schema is not None and self._sound(schema) else []

    def _success(self, index: int) -> int:
        return self.graph.success(index) if self.graph is not None else index

    def _task(self, index: int, node: TaskNode, at: str) -> None:
        contract = self._contract(node.capability, f"{at}.capability")
        self._with(node.with_, contract, f"{at}.with", index)
        if contract is not None:
            self._handlers(node, contract, at)
        undo = node.compensation
        if undo is not None:
            if node.no_compensation is not None:
                message = f"{node.id!r} has a compensation and a reason to have none"
                self._add("contradiction", f"{at}.no_compensation", message, "keep one of the two", warning=True)
            undo_contract = self._contract(undo.capability, f"{at}.compensation.capability")
            # It runs when the step has succeeded, so the step's own output is there, with all that came before.
            self._with(undo.with_, undo_contract, f"{at}.compensation.with", self._success(index))
        elif contract is not None and not (node.no_compensation or "").strip():
            self._not_undone(node, contract, at)

    def _not_undone(self, node: TaskNode, contract: Contract, at: str) -> None:
        if effect_of(contract, self.catalog) == "write":
            message = f"{node.id!r} writes, and nothing undoes it when a later step fails"
            hint = "name a compensation, or the reason why there is none in 'no_compensation'"
            if contract.compensated_by:
                hint = f"{contract.compensated_by!r} is made to undo it; name it as the compensation"
            self._add("no_compensation", at, message, hint, warning=True)

    def _with(self, given: Mapping[str, Expression], contract: Contract | None, path: str, reader: int) -> None:
        types = {key: self._type(each, expr.path_text(((None, path), key)), reader) for key, each in given.items()}
        if contract is None:
            return
        self._fits(expr.object_of(types), contract.input, path, f"input of {contract.name!r}")
        known = contract.input.get("properties")
        if not isinstance(known, dict) or not known or contract.input.keys() & _OPENING:
            return
        for key in given:
            if key not in known:
                message = f"input of {contract.name!r}: nothing is said about the property {key!r}"
                at = expr.path_text(((None, path), key))
                self._add("unknown_property", at, message, self._near(key, known), warning=True)

    def _handlers(self, node: TaskNode, contract: Contract, at: str) -> None:
        if not node.on_error:
            return
        codes = {each.error for each in contract.examples if each.error is not None}
        codes |= {stub.error.code for each in contract.examples for stub in each.hosts if stub.error is not None}
        for name in contract.grants:
            codes.update(self.catalog[name].errors if name in self.catalog else ())
        seen: set[str] = set()
        for index, handler in enumerate(node.on_error):
            path = f"{at}.on_error[{index}].code"
            if handler.code in seen or "*" in seen:
                message = f"the code {handler.code!r} is met by an earlier handler already"
                self._add("unreachable_handler", path, message, "put '*' last, and each code once", warning=True)
            elif handler.code != "*" and handler.code not in codes | _EXECUTION_CODES:
                message = f"nothing shows that {contract.name!r} can fail with {handler.code!r}"
                known = f"its examples and host functions have: {', '.join(sorted(codes))}" if codes else ""
                hint = self._near(handler.code, codes | _EXECUTION_CODES) or known
                self._add("unraised_error", path, message, hint, warning=True)
            seen.add(handler.code)

    def _sleep(self, index: int, node: SleepNode, at: str) -> None:
        if (node.seconds is None) == (node.until is None):
            found = "neither" if node.seconds is None else "both"
            self._add("bad_sleep", at, f"a sleep has 'seconds' or 'until', found {found}")
        if node.seconds is not None:
            schema = self._type(node.seconds, f"{at}.seconds", index)
            wanted: Schema = {"type": "number"}
            if "const" in schema:
                wanted = {"type": "number", "exclusiveMinimum": 0}
            self._fits(schema, wanted, f"{at}.seconds", "seconds to sleep")
        if node.until is not None:
            schema = self._type(node.until, f"{at}.until", index)
            self._fits(schema, {"type": "string"}, f"{at}.until", "time to sleep until")
            if isinstance(node.until, str) and not _is_time(node.until):
                hint = "write it as 2026-11-21T10:00:00Z"
                self._add("bad_sleep", f"{at}.until", f"{node.until!r} is not a date and time", hint)

    def _timeout(self, node: WaitNode | ApprovalNode, at: str) -> None:
        if node.on_timeout is not None and node.deadline_seconds is None:
            message = "'on_timeout' is never taken, since there is no 'deadline_seconds'"
            self._add("no_deadline", f"{at}.on_timeout", message, "give the node a deadline", warning=True)
        whole = self.workflow.limits.deadline_seconds
        if node.deadline_seconds is not None and node.deadline_seconds > whole:
            message = f"the deadline is later than the whole run's, which is {whole:g} seconds"
            self._add("deadline_too_long", f"{at}.deadline_seconds", message, warning=True)

    # -------------------------------------------------------- examples

    def _examples(self) -> None:
        if not self.workflow.examples:
            hint = "add one: an input, and the outcome or output that it must end with"
            message = "the workflow has no example, so nothing shows that it works"
            self._add("no_examples", "$.examples", message, hint, warning=True)
        outcomes = {node.outcome for node in self.nodes if isinstance(node, EndNode)}
        approvals = [node.id for node in self.nodes if isinstance(node, ApprovalNode)]
        waits = {node.id: node for node in self.nodes if isinstance(node, WaitNode)}
        for index, example in enumerate(self.workflow.examples):
            at = f"$.examples[{index}]"
            if self._sound(self.workflow.input):
                for path, message in problems(self.workflow.input, example.input, root=f"{at}.input"):
                    self._add("example_input", path, message, "an example's input must be valid")
            if example.output is not None and example.status in (None, "succeeded"):
                for path, message in self._output_problems(example.output, f"{at}.output"):
                    self._add("example_output", path, message, "no run can end with this output")
            if example.status is not None and example.status not in get_args(RunStatus):
                hint = self._near(example.status, get_args(RunStatus))
                self._add("unknown_status", f"{at}.status", f"there is no run status {example.status!r}", hint)
            if example.outcome and example.outcome not in outcomes:
                message = f"no end node has the outcome {example.outcome!r}"
                self._add("unknown_outcome", f"{at}.outcome", message, self._near(example.outcome, outcomes))
            self._answers(example.decisions, approvals, "approval", f"{at}.decisions")
            self._answers(example.callbacks, waits, "wait", f"{at}.callbacks")
            for name, payload in example.callbacks.items():
                if name in waits and self._sound(waits[name].schema_):
                    for path, message in problems(waits[name].schema_, payload, root=f"{at}.callbacks.{name}"):
                        self._add("example_callback", path, message, "such a callback is refused", warning=True)

    def _answers(self, given: Mapping[str, Any], known: Iterable[str], kind: str, at: str) -> None:
        names = list(known)
        for name in given:
            if name != "*" and name not in names:
                message = f"there is no {kind} node {name!r}"
                self._add("unknown_node", f"{at}.{name}", message, self._near(name, names))


def _unusable(code: str, message: str, hint: str = "") -> _Target:
    return _Target({}, True, None, (code, message, hint))


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _row(names: Sequence[str], joint: str = " > ") -> str:
    """Names in a row, the middle of a long one left out."""
    shown = list(names) if len(names) <= 8 else [*names[:3], "…", *names[-4:]]
    return joint.join(shown)


# ---------------------------------------------------------------- the graph


class _Graph:
    """The workflow as numbers. Vertex i is node i; vertex n+i stands on the ways where node i has given its output."""

    def __init__(self, edges: list[list[_Edge]], index: Mapping[str, int], start: str) -> None:
        self.size = len(edges)
        self.start = index[start]
        self.next: list[list[int]] = [[] for _ in range(2 * self.size)]
        self.exits: set[int] = set()
        self.after: list[list[int]] = []
        """Node -> nodes that come next, by any way."""
        for node, ways in enumerate(edges):
            for edge in ways:
                vertex = node
                if edge.gives:
                    vertex = self.size + node
                    if vertex not in self.next[node]:
                        self.next[node].append(vertex)
                if edge.target is not None:
                    self.next[vertex].append(index[edge.target])
            targets = [index[edge.target] for edge in ways if edge.target is not None]
            if len(targets) < len(ways) or not ways:
                self.exits.add(node)
            self.after.append(targets)
        self._enter, self._leave = _dominator_intervals(self.next, self.start)
        self._leads: tuple[list[int], list[int]] | None = None

    def node(self, vertex: int) -> int:
        return vertex % self.size

    def success(self, node: int) -> int:
        return self.size + node

    def reached(self, vertex: int) -> bool:
        return self._enter[vertex] >= 0

    def dominates(self, vertex: int, other: int) -> bool:
        """Whether every way from the start to `other` passes `vertex`; both are reached, or the answer is False."""
        return 0 <= self._enter[vertex] <= self._enter[other] < self._leave[vertex]

    def leads(self, vertex: int, node: int) -> bool:
        """Whether any way leads from the vertex to the node. Computed for all at once when first asked."""
        if self._leads is None:
            self._leads = self._closure()
        component, bits = self._leads
        return bool(bits[component[vertex]] >> node & 1)

    def _closure(self) -> tuple[list[int], list[int]]:
        component = [0] * len(self.next)
        bits: list[int] = []
        for members in _components(self.next):  # each comes after all that it leads to
            reached = 0
            for vertex in members:
                component[vertex] = len(bits)
                if vertex < self.size:
                    reached |= 1 << vertex
            inside = set(members)
            for vertex in members:
                for each in self.next[vertex]:
                    if each not in inside:
                        reached |= bits[component[each]]
            bits.append(reached)
        return component, bits

    def way_round(self, avoided: int, reader: int) -> list[int]:
        """The nodes of a shortest way from the start to the reader that does not pass the avoided vertex."""
        came_from = {self.start: self.start}
        pending = deque([self.start])
        while pending and reader not in came_from:
            vertex = pending.popleft()
            for each in self.next[vertex]:
                if each != avoided and each not in came_from:
                    came_from[each] = vertex
                    pending.append(each)
        way = [reader]
        while way[-1] != self.start:
            way.append(came_from[way[-1]])
        return [vertex for vertex in reversed(way) if vertex < self.size]

    def cycles_without(self, pauses: set[int]) -> list[list[int]]:
        """One cycle for each knot of nodes that can go round without passing a pause, by number of the first node."""
        after = [
            [] if node in pauses else [each for each in ways if each not in pauses]
            for node, ways in enumerate(self.after)
        ]
        cycles = []
        for members in _components(after):
            if len(members) > 1 or members[0] in after[members[0]]:
                cycles.append(_cycle(min(members), set(members), after))
        return sorted(cycles)

    def endless(self) -> list[int]:
        """The reached nodes from which no way leads to an end."""
        before: list[list[int]] = [[] for _ in range(self.size)]
        for node, ways in enumerate(self.after):
            for each in ways:
                before[each].append(node)
        ending = set(self.exits)
        pending = list(ending)
        while pending:
            for each in before[pending.pop()]:
                if each not in ending:
                    ending.add(each)
                    pending.append(each)
        return [node for node in range(self.size) if node not in ending and self.reached(node)]

    def steps_to_end(self) -> int | None:
        """How many nodes the shortest way from the start to an end has; None where there is no such way."""
        steps = {self.start: 1}
        pending = deque([self.start])
        while pending:
            node = pending.popleft()
            if node in self.exits:
                return steps[node]
            for each in self.after[node]:
                if each not in steps:
                    steps[each] = steps[node] + 1
                    pending.append(each)
        return None


def _cycle(start: int, members: set[int], after: list[list[int]]) -> list[int]:
    """A shortest way from a node of a knot round to itself."""
    came_from: dict[int, int] = {}
    pending = deque([start])
    while start not in came_from:
        node = pending.popleft()
        for each in after[node]:
            if each in members and each not in came_from:
                came_from[each] = node
                pending.append(each)
    cycle = [start]
    while came_from[cycle[-1]] != start:
        cycle.append(came_from[cycle[-1]])
    return [start, *reversed(cycle[1:])]


def _components(after: list[list[int]]) -> Iterator[list[int]]:
    """The strongly connected components, each after all components that it leads to (Tarjan, without recursion)."""
    number = [-1] * len(after)
    low = [0] * len(after)
    open_ = [False] * len(after)
    stack: list[int] = []
    count = 0
    for root in range(len(after)):
        if number[root] >= 0:
            continue
        work = [(root, iter(after[root]))]
        number[root] = low[root] = count
        count += 1
        stack.append(root)
        open_[root] = True
        while work:
            vertex, ways = work[-1]
            for each in ways:
                if number[each] < 0:
                    number[each] = low[each] = count
                    count += 1
                    stack.append(each)
                    open_[each] = True
                    work.append((each, iter(after[each])))
                    break
                if open_[each]:
                    low[vertex] = min(low[vertex], number[each])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[vertex])
                if low[vertex] == number[vertex]:
                    members = []
                    while True:
                        each = stack.pop()
                        open_[each] = False
                        members.append(each)
                        if each == vertex:
                            break
                    yield members


def _dominator_intervals(after: list[list[int]], start: int) -> tuple[list[int], list[int]]:
    """The dominator tree as intervals: a dominates b if enter[a] <= enter[b] < leave[a]; enter is -1 if not reached."""
    order, parent, before = _depth_first(after, start)
    dominator = _dominators(parent, before)
    size = [1] * len(order)
    for each in range(len(order) - 1, 0, -1):
        size[dominator[each]] += size[each]
    enter, leave = [-1] * len(after), [-1] * len(after)
    first = [0] * len(order)
    free = [1] * len(order)
    for each, vertex in enumerate(order):
        if each:
            above = dominator[each]
            first[each] = free[above]
            free[above] += size[each]
            free[each] = first[each] + 1
        enter[vertex], leave[vertex] = first[each], first[each] + size[each]
    return enter, leave


def _depth_first(after: list[list[int]], start: int) -> tuple[list[int], list[int], list[list[int]]]:
    """Vertices in depth-first order, and by their number in it: the parent in the tree, and all predecessors."""
    number = {start: 0}
    order, parent = [start], [0]
    work = [(0, iter(after[start]))]
    while work:
        above, ways = work[-1]
        for each in ways:
            if each not in number:
                number[each] = len(order)
                order.append(each)
                parent.append(above)
                work.append((number[each], iter(after[each])))
                break
        else:
            work.pop()
    before: list[list[int]] = [[] for _ in order]
    for each, vertex in enumerate(order):
        for target in after[vertex]:
            before[number[target]].append(each)
    return order, parent, before


def _dominators(parent: list[int], before: list[list[int]]) -> list[int]:
    """The immediate dominator of each vertex, all named by their depth-first number; 0 is the root."""
    count = len(parent)
    semi, label = list(range(count)), list(range(count))
    ancestor = [-1] * count
    waiting: list[list[int]] = [[] for _ in range(count)]
    dominator = [0] * count

    def best(vertex: int) -> int:
        """The vertex of least semidominator on the way up the forest, with the way made shorter for the next time."""
        way = []
        each = vertex
        while ancestor[each] >= 0 and ancestor[ancestor[each]] >= 0:
            way.append(each)
            each = ancestor[each]
        for each in reversed(way):
            above = ancestor[each]
            if semi[label[above]] < semi[label[each]]:
                label[each] = label[above]
            ancestor[each] = ancestor[above]
        return label[vertex]

    for vertex in range(count - 1, 0, -1):
        for each in before[vertex]:
            semi[vertex] = min(semi[vertex], semi[best(each)])
        waiting[semi[vertex]].append(vertex)
        above = parent[vertex]
        ancestor[vertex] = above
        for each in waiting[above]:
            lowest = best(each)
            dominator[each] = lowest if semi[lowest] < semi[each] else above
        waiting[above] = []
    for vertex in range(1, count):
        if dominator[vertex] != semi[vertex]:
            dominator[vertex] = dominator[dominator[vertex]]
    return dominator
