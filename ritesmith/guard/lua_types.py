"""The little that can be known about values without running: what is surely a string, what comes from the input."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any

from ritesmith.guard.lua_scope import Function, Scopes, Var
from ritesmith.guard.lua_tree import INDEXES, Node, Tree
from ritesmith.models import Schema

_STEPS = 12
_CALLS_FOLLOWED = 4
_RUN_WRITES = 10  # a file writes `run` once; a hostile one may do so ten thousand times
_NAME_BYTES = 100
_ITEM = object()
_MAKES_STRINGS = frozenset(
    {
        "tostring", "type", "base64.decode", "base64.decode_url", "base64.encode", "base64.encode_url", "csv.write",
        "date.format", "hash.hmac_sha256", "hash.sha256", "json.encode", "math.type", "string.char", "string.format",
        "string.gsub", "string.lower", "string.rep", "string.reverse", "string.sub", "string.upper", "table.concat",
        "text.lower", "text.pad_end", "text.pad_start", "text.replace", "text.title", "text.trim", "text.trim_end",
        "text.trim_start", "text.upper", "utf8.char",
    }
)  # fmt: skip
_STRING_TO_STRING = frozenset({"format", "gsub", "lower", "rep", "reverse", "sub", "upper"})
_BRANCHING = ("$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "if", "not", "dependentSchemas")


class Types:
    """Answers about expressions; every answer takes a bounded number of steps."""

    def __init__(self, tree: Tree, scopes: Scopes, string_names: Collection[str], input_schema: Schema) -> None:
        self.tree = tree
        self.scopes = scopes
        self.string_names = string_names
        self.input_schema = input_schema
        self.run = self._run_function()
        params = self.run.params if self.run is not None else []
        self.input: Var | None = params[0] if params else None
        self.context: Var | None = params[1] if len(params) > 1 else None
        self.dynamic = False
        self._given: dict[Var, list[Node]] | None = None

    @cached_property
    def targets(self) -> frozenset[Node]:
        """Everything that is assigned to: left sides of assignments and names of functions."""
        left = [each for node in self.tree.of("assignment_statement") for each in node.children[0].children]
        return frozenset(left).union(node.children[0] for node in self.tree.of("function_declaration"))

    def _run_function(self) -> Function | None:
        """The function that the global `run` holds, where that is plain to see."""
        for node, _ in self.scopes.globals_written[: -_RUN_WRITES - 1 : -1]:
            if self.tree.text(node) != "run" or node.parent is None:
                continue
            if node.parent.kind == "function_declaration":
                return self.scopes.functions.get(node.parent)
            index = node.parent.children.index(node)
            values = node.parent.parent.children[1].children if node.parent.parent is not None else []
            if index < len(values):
                return self.scopes.functions.get(values[index]) or self.scopes.function_of(values[index])
        return None

    # -------------------------------------------------- strings

    def is_string(self, node: Node) -> bool:
        """Whether an expression is surely a string."""
        for _ in range(_STEPS):
            kind = node.kind
            if kind == "string":
                return True
            if kind == "parenthesized_expression" and node.children:
                node = node.children[0]
            elif kind == "binary_expression":
                return self.tree.operator(node) == ".." and any(child.kind == "string" for child in node.children)
            elif kind == "identifier" and node.var is not None and node.var.constant and node.var.value is not None:
                node = node.var.value
            elif kind == "function_call":
                callee = node.children[0]
                if callee.kind != "method_index_expression":
                    return self.scopes.path(callee) in _MAKES_STRINGS
                if self.tree.field(callee) not in _STRING_TO_STRING:
                    return False
                node = callee.children[0]
            else:
                schema = self.input_part(node)
                return schema is not None and schema.get("type") == "string"
        return False

    # -------------------------------------------------- the input

    def from_input(self, node: Node) -> Var | None:
        """The parameter of `run` that a value is a part of, through constant locals and loops over pairs; or None."""
        work = [node]
        for _ in range(_STEPS):
            if not work:
                break
            node = self.scopes.root(work.pop())
            if node.kind == "binary_expression" and self.tree.operator(node) in ("or", "and"):
                work += node.children[1:] if self.tree.operator(node) == "and" else reversed(node.children)
            var = node.var if node.kind == "identifier" else None
            if var is None or var.writes:
                continue
            if var is self.input or var is self.context:
                return var
            step = var.value or self.iterated(var)
            work += [step] if step is not None else self.given(var)
        return None

    def given(self, parameter: Var) -> list[Node]:
        """What the file's calls of a local function pass for one of its parameters; the first few of them."""
        if self._given is None:
            self._given = {}
            for function in self.scopes.functions.values():
                for call in function.calls:
                    callee = self.scopes.function_of(call.children[0])
                    params = callee.params if callee is not None else ()
                    for param, value in zip(params, call.children[1].children, strict=False):
                        known = self._given.setdefault(param, [])
                        if len(known) < _CALLS_FOLLOWED:
                            known.append(value)
        return self._given.get(parameter, [])

    def iterated(self, var: Var) -> Node | None:
        """The table that a for loop's second variable is taken from: `t` of `ipairs(t)`, `pairs(t)` or `next, t`."""
        values = var.element_of
        if values is None:
            return None
        if len(values.children) == 2 and self.scopes.path(values.children[0]) == "next":
            return values.children[1]
        if len(values.children) != 1 or values.children[0].kind != "function_call":
            return None
        call = values.children[0]
        given = call.children[1].children
        if self.scopes.path(call.children[0]) in ("pairs", "ipairs") and len(given) == 1:
            return given[0]
        return None

    def input_part(self, node: Node) -> Schema | None:
        """The schema of `input.a.b` or `input.list[i].name`; None where the contract doesn't say it plainly."""
        steps: list[Any] = []
        for _ in range(_STEPS):
            if node.kind == "parenthesized_expression" and node.children:
                node = node.children[0]
            elif node.kind in INDEXES and len(node.children) == 2:
                name = self.tree.field(node)
                steps.append(_ITEM if name is None else name)
                node = node.children[0]
            elif node.kind == "identifier" and node.var is not None and node.var.constant:
                if node.var is self.input:
                    return self._walk(list(reversed(steps)))
                element = self.iterated(node.var)
                if node.var.value is not None:
                    node = node.var.value
                elif element is not None:
                    steps.append(_ITEM)
                    node = element
                else:
                    return None
            else:
                return None
        return None

    def _walk(self, steps: list[Any]) -> Schema | None:
        schema: Any = self.input_schema
        for step in steps:
            if not isinstance(schema, dict) or any(word in schema for word in _BRANCHING):
                return None
            kind = schema.get("type")
            if step is _ITEM:
                schema = schema.get("items") if kind == "array" and "prefixItems" not in schema else None
            else:
                schema = schema.get("properties", {}).get(step) if kind == "object" else None
        if not isinstance(schema, dict) or any(word in schema for word in _BRANCHING):
            return None
        return schema

    # -------------------------------------------------- methods

    def has_method(self, name: str) -> bool:
        """Whether something in this file can have a method of that name."""
        return name in self.methods or self.dynamic

    @cached_property
    def methods(self) -> frozenset[str]:
        """Every name that a table of this file could have as a field; sets `dynamic` where names are made up at run."""
        short = [node for node in self.tree.of("string") if node.end - node.start < _NAME_BYTES]
        names = {self.tree.string(node) for node in short}
        for node in self.tree.of("field"):
            key = self.tree.key(node)
            if key is not None:
                names.add(key)
                self._look_up(key, node.children[-1])
            elif len(node.children) == 2:
                self._computed(node.children[0], node.children[1])
        for node in self.tree.of("assignment_statement"):
            for target, value in zip(node.children[0].children, node.children[1].children, strict=False):
                if target.kind in INDEXES and len(target.children) == 2:
                    name = self.tree.field(target)
                    if name is None:
                        self._computed(target.children[1], value)
                    else:
                        self._look_up(name, value)
        for node in self.tree.of("function_call"):
            given = node.children[1].children
            if len(given) == 3 and self.scopes.path(node.children[0]) == "rawset":
                self._computed(given[1], given[2])
        for node in self.targets:
            if node.kind in ("dot_index_expression", "method_index_expression"):
                names.add(self.tree.text(node.children[-1]))
        for node in self.tree.of("function_declaration"):
            if node.children[0].kind == "dot_index_expression":
                self._look_up(self.tree.text(node.children[0].children[-1]), node)
        return frozenset(names)

    def _look_up(self, name: str, value: Node) -> None:
        if name != "__index":
            return
        if value.kind == "identifier":  # nearly always a class; a function only where we know it to be one
            may_be = [value, *(self.given(value.var) if value.var is not None else ())]
            self.dynamic = self.dynamic or value.var is None or any(map(self._is_function, may_be))
        elif value.kind not in ("table_constructor", "dot_index_expression"):
            self.dynamic = True

    def _computed(self, key: Node, value: Node) -> None:
        passed_on = value.kind == "identifier" and value.var is not None and value.var.kind in ("loop", "parameter")
        if self._is_function(value) or (self._made_up(key) and (passed_on or value.kind == "function_call")):
            self.dynamic = True

    def _is_function(self, value: Node) -> bool:
        return value.kind == "function_definition" or self.scopes.function_of(value) is not None

    def _made_up(self, key: Node) -> bool:
        """Whether the name of a field is put together at run: `"get_" .. name`, `("is_%s"):format(name)`."""
        key = self.scopes.behind(key)
        if key.kind == "binary_expression":
            return self.tree.operator(key) == ".."
        if key.kind != "function_call":
            return False
        callee = key.children[0]
        method = self.tree.field(callee) if callee.kind == "method_index_expression" else None
        return method == "format" or self.scopes.path(callee) == "string.format"
