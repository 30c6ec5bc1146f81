"""Workflow to findings: structure, references and types, all that can be known without running it.

Which node lies in which branch is found in `workflow_nesting`, who comes before whom in `workflow_flow`. A workflow of
10,000 nodes is checked in about a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, get_args

from ritesmith import expr
from ritesmith.contract import at_most, near_miss
from ritesmith.grants import effect_of
from ritesmith.guard.workflow_flow import Graph
from ritesmith.guard.workflow_nesting import TRUNK, Nesting, finding, nesting_findings, structure_findings
from ritesmith.models import (
    JSON,
    AnyNode,
    ApprovalNode,
    ArtifactStatus,
    CallNode,
    Contract,
    EndNode,
    Expression,
    Finding,
    HostFunction,
    JoinNode,
    MapNode,
    OutcomeStatus,
    RunStatus,
    Schema,
    SleepNode,
    SplitNode,
    SwitchNode,
    TaskNode,
    WaitNode,
    Workflow,
    WorkflowLimits,
)
from ritesmith.schemas import PARTS_MAX, parts_of, problems, schema_problems

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

ERROR: Schema = {
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "node": {"type": "string"},
        "line": {"type": "integer"},
        "details": {},
        "errors": {"type": "object", "additionalProperties": True},
    },
    "required": ["code", "message", "node"],
    "additionalProperties": False,
}
"""Why a branch failed, as a join with the policy `settled` tells it."""


def check_workflow(
    workflow: Workflow,
    *,
    resolve: Callable[[str], Contract | None],
    known_names: Iterable[str],
    catalog: Mapping[str, HostFunction],
    resolve_workflow: Callable[[str], Workflow | None] = lambda reference: None,
    known_workflows: Iterable[str] = (),
    status: Callable[[str], ArtifactStatus | None] = lambda reference: None,
    ceiling: WorkflowLimits | None = None,
    file: str = "",
) -> list[Finding]:
    """Every finding about the sense of a workflow, structure first, then the graph, then node by node, then examples.

    `resolve` gives the contract of a capability by name, `name@version` or digest, `known_names` the names for a near
    miss; `resolve_workflow` and `known_workflows` the same for the workflows that may be called; `catalog` the effect
    and the errors of host functions; `status` the status of the version that a reference names, or of a name's newest
    one; `ceiling` what the policy lets a workflow ask for. Where ids, targets or the nesting are wrong, the graph is
    not judged, since what it says would be about another graph; types still are.
    """
    check = _Check(workflow, resolve, known_names, catalog, resolve_workflow, known_workflows, status, ceiling)
    check.run()
    placed = ((each, each.where.model_copy(update={"file": file})) for each in at_most(check.findings))
    return [each.model_copy(update={"where": where}) for each, where in placed]


# ---------------------------------------------------------------- sense


CALLS_MAX = 20
"""How deep workflows may call each other, the one that is checked aside."""
_NEAR_MISSES_MAX = 20
"""Near misses and ways round that are looked for in one check; each takes time in the size of the workflow."""
_EXECUTION_CODES = (frozenset(get_args(OutcomeStatus)) - {"ok", "fail"}) | {"bad_input", "bad_expression"}
"""Codes with which any step may fail, whatever its capability does."""
_RUN_CODES = _EXECUTION_CODES | {
    *("failed", "compensated", "compensation_failed", "cancelled", "undone_by_parent"),
    *("rejected", "approval_timeout", "wait_timeout", "callback_not_successful"),
    *("too_many_items", "no_branch_succeeded", "bad_workflow"),
    *("run_deadline", "step_limit", "fuel_budget", "host_calls_budget", "bytes_budget"),
}
"""Codes with which any run may fail, whatever its capabilities do."""
_FORMS_MAX = 50
"""Different outputs that a branch may give last and that are told apart; of more, anything is expected."""

_SCHEMA_PARTS_MAX = 5 * PARTS_MAX
"""Schemas within all schemas that a workflow and what it names have, each counted once."""

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


class _Called(NamedTuple):
    """A workflow that a node calls, and what is known of all that it calls in turn."""

    workflow: Workflow | None
    names: frozenset[str]
    """Of the workflow and of all those."""
    codes: frozenset[str] | None
    """With which its run may fail; None where nobody knows."""
    revoked: str | None
    """What one of them names and may not be used any more."""
    too_deep: bool
    """They call each other more than CALLS_MAX deep, or without an end."""


class _Check:
    """One check of one workflow: what it is made of, what was found out, and the findings so far."""

    def __init__(
        self,
        workflow: Workflow,
        resolve: Callable[[str], Contract | None],
        known_names: Iterable[str],
        catalog: Mapping[str, HostFunction],
        resolve_workflow: Callable[[str], Workflow | None],
        known_workflows: Iterable[str],
        status: Callable[[str], ArtifactStatus | None],
        ceiling: WorkflowLimits | None,
    ) -> None:
        self.workflow = workflow
        self.nodes = workflow.nodes
        self.resolve = resolve
        self.known_names = known_names
        self.catalog = catalog
        self.resolve_workflow = resolve_workflow
        self.known_workflows = known_workflows
        self.status = status
        self.ceiling = ceiling
        self.findings: list[Finding] = []
        self.index: dict[str, int] = {}
        for index, node in enumerate(self.nodes):
            self.index.setdefault(node.id, index)
        self.has_map = any(isinstance(node, MapNode) for node in self.nodes)
        self.nesting: Nesting | None = None
        """None where a join is missing or shared, or a way leads to nothing."""
        self.graph: Graph | None = None
        """None where there is no nesting, or a way crosses the border of a branch."""
        self.contracts: dict[str, Contract | None] = {}
        self.calls: dict[str, _Called] = {}
        self.statuses: dict[str, ArtifactStatus | None] = {}
        self.schemas: dict[str, list[tuple[str, str]]] = {}
        self.schema_parts = 0
        self.targets: dict[tuple[int, str], _Target] = {}
        self.items: dict[int, tuple[Schema, dict[str, Schema]]] = {}
        self.joins: dict[int, Schema] = {}
        self.near_misses = 0
        self.ways_round = 0

    def run(self) -> None:
        self.findings += structure_findings(self.workflow, self.index, self._near)
        if not self.findings:
            self.nesting = Nesting(self.nodes, self.index, self.workflow.start)
            self.findings += nesting_findings(self.nesting)
            if not any(each.severity == "error" for each in self.findings):
                self.graph = Graph(self.nesting)
                self._shape_of_graph(self.graph)
        self._own_schemas()
        self._limits()
        for index, node in enumerate(self.nodes):
            self._node(index, node, f"$.nodes[{index}]")
        self._examples()

    def _add(self, code: str, path: str, message: str, hint: str = "", *, warning: bool = False) -> None:
        self.findings.append(finding(code, path, message, hint, warning=warning))

    def _near(self, name: str, known: Iterable[str]) -> str:
        """A hint with the near miss, while there is time for it."""
        self.near_misses += 1
        near = near_miss(name, known) if self.near_misses <= _NEAR_MISSES_MAX else None
        return f"did you mean {near!r}?" if near else ""

    # -------------------------------------------------------- graph

    def _shape_of_graph(self, graph: Graph) -> None:
        for index, node in enumerate(self.nodes):
            if not graph.reached(index):
                self._add("unreachable_node", f"$.nodes[{index}]", f"no way leads from the start to {node.id!r}")
        for cycle in graph.unpausing_cycles():
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
            message = f"the shortest way to an end takes {shortest} steps, and the run may take {most}"
            self._add("steps_too_few", "$.limits.steps", message, "raise limits.steps", warning=True)

    # -------------------------------------------------------- limits

    def _limits(self) -> None:
        """Hold what the run and its maps may spend against what the policy allows; what is not said is the default."""
        if self.ceiling is None:
            return
        for name, asked in self.workflow.limits.model_dump().items():
            self._limit(name, asked, f"$.limits.{name}", name in self.workflow.limits.model_fields_set)
        for index, node in enumerate(self.nodes):
            if isinstance(node, MapNode):
                for name in ("concurrency", "max_items"):
                    self._limit(name, getattr(node, name), f"$.nodes[{index}].{name}", name in node.model_fields_set)

    def _limit(self, name: str, asked: float | None, path: str, said: bool) -> None:
        most = getattr(self.ceiling, name)
        if most is None or (asked is not None and asked <= most):
            return
        given = f"{name} is {asked:,.10g}" if asked is not None else f"{name} has no limit"
        message = f"{given}{'' if said else ' where nothing is said'}, and the policy allows {most:,.10g}"
        self._add("limit_too_high", path, message, f"write {name} of at most {most:.10g}" if not said else "lower it")

    # -------------------------------------------------------- schemas and contracts

    def _sound(self, schema: Schema) -> bool:
        return not self._schema_problems(schema)

    def _schema_problems(self, schema: Schema) -> list[tuple[str, str]]:
        key = json.dumps(schema)
        if key not in self.schemas:
            self.schema_parts += parts_of(schema)
            most = f"the schemas of the workflow have more than {_SCHEMA_PARTS_MAX} schemas in them"
            self.schemas[key] = schema_problems(schema) if self.schema_parts <= _SCHEMA_PARTS_MAX else [("$", most)]
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
        contract = self._capability(name)
        if self._standing("capability", name, path, contract):
            return contract
        if contract is None:
            bare, _, version = name.partition("@")
            if version and self.resolve(bare) is not None:
                self._add("unknown_capability", path, f"the capability {bare!r} has no version {version!r}")
            elif self.resolve_workflow(name) is not None:
                message = f"{name!r} is a workflow, and a capability is needed"
                self._add("unknown_capability", path, message, "a node of kind 'call' runs a workflow")
            else:
                message = f"there is no capability {name!r}"
                self._add("unknown_capability", path, message, self._near(bare, self.known_names))
        return contract

    def _standing(self, kind: str, name: str, path: str, found: Contract | Workflow | None) -> bool:
        """Find a reference to a version that is not to be used any more; whether that says it all."""
        status = self._status(name)
        if status not in ("deprecated", "revoked"):
            return False
        if found is None:
            message, hint = f"no version of the {kind} {name!r} is active, and the newest is {status}", ""
        else:
            newest = self._status(found.name) == "active"
            message = f"the {kind} {name!r} is {status}"
            hint = f"write {found.name!r} for the newest version" if newest else "use another one"
        self._add(f"{status}_version", path, message, hint, warning=status == "deprecated" and found is not None)
        return True

    def _status(self, reference: str) -> ArtifactStatus | None:
        if reference not in self.statuses:
            self.statuses[reference] = self.status(reference)
        return self.statuses[reference]

    def _called(self, reference: str) -> _Called:
        """What a reference to a workflow names; looked up, with all that it calls, once for each reference."""
        if reference not in self.calls:
            found = {reference: self.resolve_workflow(reference)}
            pending = [reference]
            codes: set[str] | None = set(_RUN_CODES)
            revoked: str | None = None
            while pending:
                workflow = found[pending.pop()]
                for node in workflow.nodes if workflow is not None else ():
                    revoked = revoked or next((each for each in _named(node) if self._status(each) == "revoked"), None)
                    if isinstance(node, CallNode) and node.workflow not in found:
                        found[node.workflow] = self.resolve_workflow(node.workflow)
                        pending.append(node.workflow)
                    more = self._codes(node)
                    codes = None if codes is None or more is None else codes | more
            names = frozenset(each.partition("@")[0] for each in found)
            names |= {each.name for each in found.values() if each is not None}  # a digest names nothing
            whole = codes is not None and None not in found.values()
            known = frozenset(codes or ()) if whole else None
            self.calls[reference] = _Called(found[reference], names, known, revoked, _too_deep(reference, found))
        return self.calls[reference]

    def _codes(self, node: AnyNode) -> set[str] | None:
        """The codes with which a node of a called workflow may fail, beside those of any; None where nobody knows."""
        if isinstance(node, EndNode):
            return {node.outcome} if node.status == "failed" and node.outcome else set()
        if isinstance(node, TaskNode):
            contract = self._capability(node.capability)
            return self._codes_of(contract) if contract is not None else None
        return set()

    def _capability(self, name: str) -> Contract | None:
        if name not in self.contracts:
            self.contracts[name] = self.resolve(name)
        return self.contracts[name]

    def _output_schema(self, index: int) -> Schema | None:
        """The type of a node's output; None where the kind has none."""
        node = self.nodes[index]
        if isinstance(node, ApprovalNode):
            return APPROVAL_OUTPUT
        if isinstance(node, WaitNode):
            return node.schema_ if self._sound(node.schema_) else {}
        if isinstance(node, TaskNode):
            contract = self._capability(node.capability)
            return contract.output if contract is not None and self._sound(contract.output) else {}
        if isinstance(node, CallNode):
            called = self._called(node.workflow).workflow
            schema = called.output if called is not None else None
            return schema if schema is not None and self._sound(schema) else {}
        if isinstance(node, JoinNode):
            if index not in self.joins:
                self.joins[index] = self._join_schema(index, node)
            return self.joins[index]
        return None

    def _join_schema(self, index: int, node: JoinNode) -> Schema:
        """What the branches that come together here gave last; no deeper than splits may nest."""
        graph = self.graph
        if graph is None:
            return {}
        bodies = graph.nesting.opened[graph.nesting.opener[index]]
        given = {graph.nesting.bodies[number].branch: self._last_schema(graph, number) for number in bodies}
        if node.policy == "settled":
            given = {branch: _settled(schema) for branch, schema in given.items()}
        if isinstance(self.nodes[graph.nesting.opener[index]], MapNode):
            return {"type": "array", "items": next(iter(given.values()))}
        schema = expr.object_of(given)
        return {**schema, "required": []} if node.policy == "any" else schema

    def _last_schema(self, graph: Graph, number: int) -> Schema:
        """The type of the last output in a body: null where there was none."""
        givers, none = graph.last_givers(number)
        # Compared by identity first: many nodes have the one output of one capability.
        schemas = {id(schema): schema for schema in map(self._output_schema, givers) if schema is not None}
        if len(schemas) > _FORMS_MAX:
            return {}
        return expr.union([*schemas.values(), *([{"type": "null"}] if none or not givers else [])])

    # -------------------------------------------------------- references and types

    def _target(self, path: str, within: int) -> _Target:
        """What is at a path, for who reads it within a map; looked up once."""
        key = (within if path.partition(".")[0] == "item" else TRUNK, path)
        if key not in self.targets:
            self.targets[key] = self._find_target(path, within)
        return self.targets[key]

    def _map_around(self, reader: int) -> int:
        """The body of the innermost map that a vertex lies in; the trunk for none, -1 where nobody can say."""
        if self.graph is None:
            return -1 if self.has_map else TRUNK
        nesting, node = self.graph.nesting, self.graph.node(reader)
        return nesting.bodies[nesting.of[node]].map if nesting.reached[node] else -1

    def _item(self, nesting: Nesting, within: int) -> tuple[Schema, dict[str, Schema]]:
        """The type of `item` in the body of a map, and those of the named elements; no deeper than maps may nest."""
        if within == TRUNK:
            return {}, {}
        if within not in self.items:
            body = nesting.bodies[within]
            node = self.nodes[body.opener]
            assert isinstance(node, MapNode)
            outer = nesting.bodies[body.parent].map
            over, _ = expr.type_of(node.over, lambda path: self._target(path, outer).schema, "")
            element, (_, names) = expr.element(over), self._item(nesting, outer)
            if node.as_ is not None:
                names = {**names, node.as_: element}
                element = expr.object_of(names)
            self.items[within] = element, names
        return self.items[within]

    def _find_target(self, path: str, within: int) -> _Target:
        root, *parts = path.split(".")
        producer, made = None, root == "item"
        if root == "item":
            if within == TRUNK:
                return _unusable("unknown_reference", "there is no 'item' here; only the nodes of a map have one")
            if within < 0 or self.nesting is None:
                return _Target({}, True, None, None)
            schema, whose = self._item(self.nesting, within)[0], "'item'"
        elif root == "run":
            schema, whose = RUN_ROOT, "run"
        elif root == "input":
            if not self._sound(self.workflow.input):
                return _Target({}, True, None, None)
            schema, whose = self.workflow.input, "the workflow's input"
        else:
            node_id, parts = parts[0], parts[2:]
            producer = self.index.get(node_id)
            if producer is None:
                hint = self._near(node_id, self.index) or "name a node that comes before"
                return _unusable("unknown_node", f"there is no node {node_id!r}", hint)
            found = self._output_schema(producer)
            if found is None:
                node = self.nodes[producer]
                hint = f"read that of its join, {node.join!r}" if isinstance(node, SplitNode | MapNode) else ""
                return _unusable("no_output", f"{node_id!r} is a {node.kind} node, which has no output", hint)
            schema, whose = found, f"the output of {node_id!r}"
            made = isinstance(self.nodes[producer], JoinNode)
        if schema == {} and root != "input":
            return _Target({}, True, producer, None)
        followed = expr.follow(schema, parts)
        if followed.schema is None:
            part = parts[followed.failed_at]
            if followed.failed_at:
                whose = f"{'.'.join(parts[: followed.failed_at])!r} of {whose}"
            known = f"it has {', '.join(followed.names[:20])}" if followed.names else ""
            hint = self._near(part, followed.names) or known
            return _unusable("unknown_property", f"{whose} has no {part!r}", hint)
        certain = followed.certain
        if made and not certain:
            # Where all that is known of a branch's output or an element is nothing, what it has is taken on trust.
            certain = any(expr.follow(schema, parts[:count])[:2] == ({}, True) for count in range(1, len(parts)))
        return _Target(followed.schema, certain, producer, None)

    def _type(self, expression: Expression, path: str, reader: int) -> Schema:
        """The type of an expression, with the findings about it. `reader` is the vertex where it is evaluated."""
        if not isinstance(expression, dict | list):
            return {"const": expression}
        within = self._map_around(reader)
        for variable in expr.variables(expression, path):
            if not expr.path_problem(variable.path):
                self._reference(variable, reader, within)
        schema, findings = expr.type_of(expression, lambda at: self._target(at, within).schema, path)
        self.findings.extend(findings)
        return schema

    def _reference(self, variable: expr.Variable, reader: int, within: int) -> None:
        target = self._target(variable.path, within)
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
        unseen = self._unseen(graph.nesting, graph.node(reader), producer)
        if unseen:
            self._add("not_visible", variable.where, *unseen, warning=variable.optional)
            return variable.optional
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

    def _unseen(self, nesting: Nesting, reader: int, producer: int) -> tuple[str, str] | None:
        """Why a node can't see the output of one in a branch that it does not lie in itself: message and hint."""
        around = list(nesting.around(nesting.of[reader]))
        hidden = [number for number in nesting.around(nesting.of[producer]) if number not in around]
        if not nesting.reached[producer] or not hidden:
            return None
        body = nesting.bodies[hidden[-1]]
        join, opener = self.nodes[body.join].id, self.nodes[body.opener]
        message = f"{self.nodes[producer].id!r} is in {nesting.place(hidden[-1])}, and its output stays there"
        output = f"nodes.{join}.output" + (f".{body.branch}" if body.branch else "")
        hint = f"read {output}: what the branch gave last"
        if isinstance(opener, MapNode):
            hint = f"read {output}: what each element gave last"
        if any(nesting.bodies[number].opener == body.opener for number in around):
            hint = f"the branches of {opener.id!r} run side by side; put what they share before it"
        return message, hint

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
        elif isinstance(node, SplitNode):
            self._branch_ids(node, at)
        elif isinstance(node, MapNode):
            self._map(index, node, at)
        elif isinstance(node, JoinNode):
            self._policy(index, node, at)
        elif isinstance(node, CallNode):
            self._call(index, node, at)
        else:
            schema = self._type(node.output, f"{at}.output", index)
            if self.workflow.output is not None and node.status == "succeeded":
                self._fits(schema, self.workflow.output, f"{at}.output", "the workflow's output")
        if getattr(node, "next", "") is None and not self._in_branch(index):
            # A run that ends without an end node has the last output for its own.
            last = self._output_schema(index)
            if last is not None and self.workflow.output is not None:
                self._fits(last, self.workflow.output, f"{at}.next", "the workflow's output")

    def _in_branch(self, index: int) -> bool:
        return self.nesting is not None and self.nesting.of[index] > TRUNK

    def _branch_ids(self, node: SplitNode, at: str) -> None:
        seen: dict[str, int] = {}
        for index, branch in enumerate(node.branches):
            first = seen.setdefault(branch.id, index)
            if first != index:
                message = f"the id {branch.id!r} is branch {first}'s already"
                self._add("duplicate_id", f"{at}.branches[{index}].id", message)

    def _map(self, index: int, node: MapNode, at: str) -> None:
        schema = self._type(node.over, f"{at}.over", index)
        self._fits(schema, {"type": "array"}, f"{at}.over", "what a map goes over")
        least = schema.get("minItems", 0)
        if least > node.max_items:
            message = f"there are {least} elements or more, and the map takes {node.max_items} at most"
            self._add("too_many_items", f"{at}.over", message, "raise 'max_items'")
        around = self._map_around(index)
        if self.nesting is not None and around > TRUNK and node.as_ in self._item(self.nesting, around)[1]:
            message = f"the element 'item.{node.as_}' hides that of a map around this one"
            self._add("hidden_item", f"{at}.as", message, "give it another name", warning=True)

    def _policy(self, index: int, node: JoinNode, at: str) -> None:
        opener = self.nodes[self.nesting.opener[index]] if self.nesting is not None else None
        if node.policy == "any" and isinstance(opener, MapNode):
            message = f"{node.id!r} is the join of the map {opener.id!r}, and 'any' is a policy for splits"
            self._add("join_policy", f"{at}.policy", message, "use 'all', or 'settled' and pick what succeeded")

    def _call(self, index: int, node: CallNode, at: str) -> None:
        called = self._called(node.workflow)
        name = self.workflow.name
        if name in called.names:
            direct = called.workflow is None or called.workflow.name == name
            through = "" if direct else f" through {node.workflow!r}"
            message = f"the workflow {name!r} calls itself{through}"
            self._add("recursive_call", f"{at}.workflow", message, "use a loop within the workflow, or a map")
        elif self._standing("workflow", node.workflow, f"{at}.workflow", called.workflow):
            pass
        elif called.workflow is None:
            self._unknown_workflow(node.workflow, f"{at}.workflow")
        elif called.revoked is not None:
            message = f"the workflow {node.workflow!r} uses {called.revoked!r}, which is revoked"
            self._add("revoked_version", f"{at}.workflow", message, "publish a version of it without that")
        elif called.too_deep:
            message = f"behind {node.workflow!r} more than {CALLS_MAX} workflows call each other, or without an end"
            self._add("calls_too_deep", f"{at}.workflow", message, "let one workflow call the others, side by side")
        if called.workflow is None:
            self._with(node.with_, None, f"{at}.with", index)
            self._handlers(node, "", None, at)
        else:
            self._with(node.with_, (called.workflow.name, called.workflow.input), f"{at}.with", index)
            self._handlers(node, called.workflow.name, called.codes, at)

    def _unknown_workflow(self, name: str, path: str) -> None:
        bare, _, version = name.partition("@")
        if version and self.resolve_workflow(bare) is not None:
            self._add("unknown_workflow", path, f"the workflow {bare!r} has no version {version!r}")
        elif self._capability(name) is not None:
            message = f"{name!r} is a capability, and a workflow is needed"
            self._add("unknown_workflow", path, message, "a node of kind 'task' runs a capability")
        else:
            self._add(
                "unknown_workflow", path, f"there is no workflow {name!r}", self._near(bare, self.known_workflows)
            )

    def _output_problems(self, output: JSON, at: str) -> list[tuple[str, str]]:
        """What the workflow's output schema, if there is a sound one, has against an output."""
        schema = self.workflow.output
        return problems(schema, output, root=at) if schema is not None and self._sound(schema) else []

    def _success(self, index: int) -> int:
        return self.graph.success(index) if self.graph is not None else index

    def _task(self, index: int, node: TaskNode, at: str) -> None:
        contract = self._contract(node.capability, f"{at}.capability")
        self._with(node.with_, _said(contract), f"{at}.with", index)
        if contract is not None:
            self._handlers(node, contract.name, self._codes_of(contract) | _EXECUTION_CODES, at)
        undo = node.compensation
        if undo is not None:
            if node.no_compensation is not None:
                message = f"{node.id!r} has a compensation and a reason to have none"
                self._add("contradiction", f"{at}.no_compensation", message, "keep one of the two", warning=True)
            undo_contract = self._contract(undo.capability, f"{at}.compensation.capability")
            # It runs when the step has succeeded, so the step's own output is there, with all that came before.
            self._with(undo.with_, _said(undo_contract), f"{at}.compensation.with", self._success(index))
        elif contract is not None and not (node.no_compensation or "").strip():
            self._not_undone(node, contract, at)

    def _not_undone(self, node: TaskNode, contract: Contract, at: str) -> None:
        if effect_of(contract, self.catalog) == "write":
            message = f"{node.id!r} writes, and nothing undoes it when a later step fails"
            hint = "name a compensation, or the reason why there is none in 'no_compensation'"
            if contract.compensated_by:
                hint = f"{contract.compensated_by!r} is made to undo it; name it as the compensation"
            self._add("no_compensation", at, message, hint, warning=True)

    def _with(self, given: Mapping[str, Expression], wanted: tuple[str, Schema] | None, path: str, reader: int) -> None:
        """Type the arguments of a step; `wanted` is the name and the input of what it runs, where that is known."""
        types = {key: self._type(each, expr.path_text(((None, path), key)), reader) for key, each in given.items()}
        if wanted is None:
            return
        name, schema = wanted
        self._fits(expr.object_of(types), schema, path, f"input of {name!r}")
        known = schema.get("properties")
        if not isinstance(known, dict) or not known or schema.keys() & _OPENING:
            return
        for key in given:
            if key not in known:
                message = f"input of {name!r}: nothing is said about the property {key!r}"
                at = expr.path_text(((None, path), key))
                self._add("unknown_property", at, message, self._near(key, known), warning=True)

    def _codes_of(self, contract: Contract) -> set[str]:
        """The codes with which a capability is known to fail."""
        codes = {each.error for each in contract.examples if each.error is not None}
        codes |= {stub.error.code for each in contract.examples for stub in each.hosts if stub.error is not None}
        for name in contract.grants:
            codes.update(self.catalog[name].errors if name in self.catalog else ())
        return codes

    def _handlers(self, node: TaskNode | CallNode, name: str, codes: Collection[str] | None, at: str) -> None:
        """Find handlers that nothing comes to; `codes` are those that `name` may fail with, where they are known."""
        seen: set[str] = set()
        for index, handler in enumerate(node.on_error):
            path = f"{at}.on_error[{index}].code"
            if handler.code in seen or "*" in seen:
                message = f"the code {handler.code!r} is met by an earlier handler already"
                self._add("unreachable_handler", path, message, "put '*' last, and each code once", warning=True)
            elif handler.code != "*" and codes is not None and handler.code not in codes:
                message = f"nothing shows that {name!r} can fail with {handler.code!r}"
                own = sorted(set(codes) - _RUN_CODES)
                known = f"what is known of it: {', '.join(own)}" if own else ""
                self._add("unraised_error", path, message, self._near(handler.code, codes) or known, warning=True)
            seen.add(handler.code)

    def _sleep(self, index: int, node: SleepNode, at: str) -> None:
        if (node.seconds is None) == (node.until is None):
            found = "neither" if node.seconds is None else "both"
            self._add("bad_sleep", at, f"a sleep has 'seconds' or 'until', found {found}", "give one of the two")
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
                there = ", ".join(sorted(filter(None, outcomes))[:20])
                hint = self._near(example.outcome, outcomes) or (f"there are: {there}" if there else "")
                self._add("unknown_outcome", f"{at}.outcome", message, hint)
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


def _too_deep(reference: str, found: Mapping[str, Workflow | None]) -> bool:
    """Whether workflows call each other deeper than is offered, level by level from a reference on."""
    level = {reference}
    for _ in range(CALLS_MAX):
        workflows = [workflow for workflow in map(found.get, level) if workflow is not None]
        level = {node.workflow for each in workflows for node in each.nodes if isinstance(node, CallNode)}
    return bool(level)


def _named(node: AnyNode) -> list[str]:
    """The capabilities and workflows that a node names."""
    if isinstance(node, CallNode):
        return [node.workflow]
    if isinstance(node, TaskNode):
        return [node.capability, *([node.compensation.capability] if node.compensation is not None else [])]
    return []


def _said(contract: Contract | None) -> tuple[str, Schema] | None:
    return (contract.name, contract.input) if contract is not None else None


def _settled(output: Schema) -> Schema:
    """How a branch ended, as a join with the policy `settled` tells it."""
    status: Schema = {"enum": ["succeeded", "failed"]}
    return {**expr.object_of({"status": status, "output": output, "error": ERROR}), "required": ["status"]}


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
