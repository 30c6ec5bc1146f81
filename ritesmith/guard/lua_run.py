"""What a capability's `run` must be: there, with two parameters, leaving its input alone, answering on every path."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from ritesmith.contract import near_miss
from ritesmith.guard.lua_scope import Function, Scopes
from ritesmith.guard.lua_tree import INDEXES, Node, Report, Tree, short
from ritesmith.guard.lua_types import Types
from ritesmith.models import Contract, Schema

_CONTEXT = ("attempt", "idempotency_key", "node", "now", "partial", "run_id")
_FAIL_CODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_FAIL_OPTIONS = ("details", "retryable")
_NO_STRING = frozenset({"number", "true", "false", "table_constructor", "function_definition"})
# Relations that leave nothing over when all three hold between two values.
_RELATIONS = {"<": "<", ">": ">", "==": "=", "<=": "<=", ">=": ">=", "~=": "<>"}


def check_run(tree: Tree, scopes: Scopes, types: Types, contract: Contract, ends: set[Node], report: Report) -> None:
    """Add every finding about `run` to the report. `ends` is what `lua_scope.flow` found."""
    check = _RunCheck(tree, scopes, types, contract, ends, report)
    check.presence()
    check.input_fields()
    check.input_writes()
    check.failures()
    if types.run is not None:
        check.parameters(types.run)
        check.returns(types.run)


class _RunCheck:
    def __init__(
        self, tree: Tree, scopes: Scopes, types: Types, contract: Contract, ends: set[Node], report: Report
    ) -> None:
        self.tree = tree
        self.scopes = scopes
        self.types = types
        self.contract = contract
        self.ends = ends
        self.report = report

    def presence(self) -> None:
        written = [node for node, _ in self.scopes.globals_written if self.tree.text(node) == "run"]
        if written:
            if self.types.run is None and self.no_function(written[-1]):
                self.report.add(
                    "run_missing", written[-1], "'run' is no function", "write function run(input, context) ... end"
                )
            return
        for var in self.scopes.variables:
            if var.name == "run" and var.owner.node is self.tree.root:
                self.report.add(
                    "run_missing", var.node, "'run' is a local; it must be a global function", "remove the word 'local'"
                )
                return
        first = self.tree.root.children[0] if self.tree.root.children else None
        self.report.add(
            "run_missing",
            first if first is not None else 0,
            "the file defines no function 'run'",
            "write function run(input, context) ... end",
        )

    def no_function(self, target: Node) -> bool:
        """Whether what is assigned here is surely no function."""
        names = target.parent
        if names is None or names.kind != "variable_list" or names.parent is None or len(names.children) != 1:
            return False
        values = names.parent.children[1].children
        return values[0].kind in ("nil", "string", *_NO_STRING) and values[0].kind != "function_definition"

    def parameters(self, run: Function) -> None:
        count = len(run.params)
        if count > 2 and not run.vararg:
            names = ", ".join(param.name for param in run.params)
            self.report.add(
                "run_parameters",
                run.params[2].node,
                f"'run' is called with input and context, and has {count} parameters ({short(names)})",
                "write function run(input, context), and take the rest from input",
            )
        elif count == 0 and not run.vararg and self.contract.input.get("required"):
            self.report.add(
                "run_parameters",
                run.node,
                "'run' takes no parameter, and the contract's input has required properties",
                "write function run(input, context)",
                severity="warning",
            )

    # -------------------------------------------------- input

    def input_fields(self) -> None:
        """Fields that a closed input schema can't have: reading one is always nil."""
        if self.types.input is None:
            return
        for node in self.tree.of("dot_index_expression"):
            self.context_field(node)
            if node in self.types.targets:
                continue
            schema = self.types.input_part(node.children[0])
            name = self.tree.field(node)
            if schema is None or name is None or schema.get("additionalProperties") is not False:
                continue
            properties = schema.get("properties", {})
            if schema.get("type") != "object" or "patternProperties" in schema or name in properties:
                continue
            near = near_miss(name, sorted(properties)) if len(name) < 60 else None
            self.report.add(
                "unknown_input_field",
                node,
                f"the contract's input has no '{short(name)}' here",
                f"did you mean '{near}'?" if near else f"it has: {', '.join(sorted(properties)) or 'nothing'}",
                severity="warning",
            )

    def context_field(self, node: Node) -> None:
        base = node.children[0]
        if base.kind != "identifier" or base.var is None or base.var is not self.types.context:
            return
        name = self.tree.field(node)
        if name is not None and name not in _CONTEXT:
            near = near_miss(name, _CONTEXT) if len(name) < 60 else None
            self.report.add(
                "unknown_context_field",
                node,
                f"the context has no '{short(name)}'",
                f"did you mean '{near}'?" if near else f"it has: {', '.join(_CONTEXT)}",
                severity="warning",
            )

    # -------------------------------------------------- fail

    def failures(self) -> None:
        """Calls of `fail(code, message, options)` whose literal arguments it would itself refuse."""
        for node in self.tree.of("function_call"):
            if self.scopes.path(node.children[0]) != "fail":
                continue
            given = node.children[1].children
            problem = self.failure(given)
            if problem:
                self.report.add("fail_arguments", given[0] if given else node, problem, "write fail(code, message)")

    def failure(self, given: list[Node]) -> str:
        if not given or given[0].kind in ("nil", *_NO_STRING):
            return "'fail' needs a code, a string such as \"not_found\""
        if given[0].kind == "string" and not _FAIL_CODE.fullmatch(self.tree.string(given[0])):
            return (
                f"'{short(self.tree.string(given[0]))}' is no code for 'fail':"
                " a code is made of letters, digits, '_', '.' and '-'"
            )
        if len(given) > 1 and given[1].kind in _NO_STRING:
            return "the message, second argument of 'fail', must be a string"
        if len(given) > 2 and given[2].kind in ("string", "number", "true", "false", "function_definition"):
            return "the options, third argument of 'fail', must be a table"
        if len(given) > 2 and given[2].kind == "table_constructor":
            for field in given[2].children:
                key = self.tree.key(field)
                if key is not None and key not in _FAIL_OPTIONS:
                    return f"'fail' has no option '{short(key)}'; it has: {', '.join(_FAIL_OPTIONS)}"
        return ""

    # -------------------------------------------------- input

    def input_writes(self) -> None:
        for param in (self.types.input, self.types.context):
            for node in param.writes if param is not None else ():
                self.report.add(
                    "input_write",
                    node,
                    f"the parameter '{self.tree.text(node)}' is overwritten",
                    "use a local of another name",
                    severity="warning",
                )
        for target in self.types.targets:
            self.written(target, target)
        for node in self.tree.of("function_call"):
            table = self.scopes.changed_by(node)
            if table is not None:
                self.changed(table, node)

    def written(self, target: Node, at: Node) -> None:
        if target.kind in (*INDEXES, "method_index_expression"):
            self.changed(target.children[0], at)

    def changed(self, table: Node, at: Node) -> None:
        param = self.types.from_input(table)
        if param is not None:
            self.report.add(
                "input_write",
                at,
                f"this changes '{param.name}', which belongs to the caller",
                "make a new table and return it",
            )

    # -------------------------------------------------- returns

    def returns(self, run: Function) -> None:
        if allows_null(self.contract.output):
            return
        for node in run.returns:
            if not node.children:
                self.report.add(
                    "missing_return",
                    node,
                    "'run' returns nothing here, and the contract's output can't be null",
                    "return the output, or fail(code, message)",
                )
        body = run.block
        if body is not None and (body in self.ends or self.complete(body)):
            return
        at = run.node.end - len("end")
        if any(node.children for node in run.returns):
            self.report.add(
                "missing_return",
                at,
                "'run' can come to its end without a return, and the contract's output can't be null",
                "end every path with return, or with fail(code, message)",
                severity="warning" if self.exhaustive(body) else "error",
            )
        else:
            message = "'run' returns nothing, and the contract's output can't be null"
            self.report.add("missing_return", at, message, "return the output")

    def complete(self, body: Node) -> bool:
        """Whether the body ends in ifs whose conditions leave nothing over, and whose branches all leave."""
        conditions: list[Node] = []
        for statement in reversed(body.children):
            if statement.kind != "if_statement":
                break
            branches = [child for child in statement.children if child.kind in ("block", "elseif_statement")]
            tests = [statement, *(each for each in branches if each.kind == "elseif_statement")]
            if len(branches) < len(tests) or not all(each in self.ends for each in branches):
                break
            conditions += [each.children[0] for each in tests]
        said: set[str] = set()
        relations: dict[tuple[str, str], set[str]] = {}
        compared: dict[str, tuple[Node, set[str]]] = {}
        for each in conditions:
            said.add(self.words(each))
            if each.kind == "unary_expression" and self.tree.operator(each) == "not":
                said.add(f"not {self.words(each.children[0])}")
            elif each.kind == "binary_expression" and self.tree.operator(each) in _RELATIONS:
                left, right = map(self.words, each.children)
                relations.setdefault((left, right), set()).update(_RELATIONS[self.tree.operator(each)])
                compared.setdefault(left, (each.children[0], set()))[1].add(right)
        return (
            any(f"not {each}" in said for each in said)
            or any(len(each) == 3 for each in relations.values())
            or any(self.covers(value, literals) for value, literals in compared.values())
        )

    def covers(self, value: Node, literals: Collection[str]) -> bool:
        """Whether these are all values that the contract's input lets an expression have."""
        schema = self.types.input_part(value) or {}
        known = [True, False] if schema.get("type") == "boolean" else schema.get("enum", ())
        words = [str(each).lower() if isinstance(each, bool) else json.dumps(each) for each in known]
        return bool(words) and all(each in literals for each in words)

    def words(self, node: Node) -> str:
        """An expression's text, with strings and spaces written in one way."""
        while node.kind == "parenthesized_expression" and node.children:
            node = node.children[0]
        return json.dumps(self.tree.string(node)) if node.kind == "string" else " ".join(self.tree.text(node).split())

    def exhaustive(self, body: Node | None) -> bool:
        """Whether the open path is an if with elseif and no else, all of whose branches end: maybe it is complete."""
        last = body.children[-1] if body is not None and body.children else None
        if last is None or last.kind != "if_statement":
            return False
        branches = [child for child in last.children[1:] if child.kind in ("block", "elseif_statement")]
        return any(each.kind == "elseif_statement" for each in branches) and all(each in self.ends for each in branches)


def allows_null(schema: Schema) -> bool:
    """Whether null may meet a schema; True where that is not plain to see."""
    work: list[Any] = [schema]
    for _ in range(100):
        if not work:
            return False
        part = work.pop()
        if not isinstance(part, dict):
            if part is not False:
                return True
            continue
        kind = part.get("type")
        if isinstance(kind, str) and kind != "null":
            continue
        if isinstance(kind, list) and "null" not in kind:
            continue
        if "const" in part and part["const"] is not None:
            continue
        if "enum" in part and None not in part["enum"]:
            continue
        choice = part.get("anyOf") or part.get("oneOf")
        if kind is None and choice and "enum" not in part and "const" not in part:
            work.extend(choice)
            continue
        return True
    return True
