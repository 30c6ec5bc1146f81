"""Host calls in a capability's Lua: granted and used agree, and literal arguments fit the declaration and the grant.

A call is followed through constant local aliases (`local get = store.get`) and through `pcall(store.get, {...})`.
What is not a literal can't be judged here: the host function checks its arguments again at run, and so does its grant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ritesmith.contract import near_miss
from ritesmith.grants import host_of
from ritesmith.guard.lua_scope import Scopes
from ritesmith.guard.lua_tree import Node, Report, Tree, short
from ritesmith.models import JSON, Contract, HostFunction, Schema
from ritesmith.schemas import problems

_UNKNOWN = object()
_NO_TABLE = frozenset({"string", "number", "true", "false", "function_definition"})
_Work: TypeAlias = "list[tuple[Node | None, Schema, str]]"
_WORDS = {
    "nil": "nil", "true": "true", "false": "false", "table_constructor": "a table", "function_definition": "a function",
}  # fmt: skip


class Hosts:
    """The host functions that a file could mean: those of the catalog and those its contract names."""

    def __init__(self, contract: Contract, catalog: Mapping[str, HostFunction]) -> None:
        self.catalog = catalog
        self.grants = contract.grants
        self.names = {*catalog, *contract.grants}
        self.prefixes = {
            ".".join(name.split(".")[:count]) for name in self.names for count in range(1, name.count(".") + 1)
        }
        self.namespaces = {name.split(".")[0] for name in self.names}
        self.granted_namespaces = {name.split(".")[0] for name in contract.grants}

    def is_granted_namespace(self, path: str | None) -> bool:
        """Whether a dotted path is a table of host functions that the capability has: `store`, `mcp.files`."""
        return path is not None and path in self.prefixes and path.split(".")[0] in self.granted_namespaces


def check_hosts(tree: Tree, scopes: Scopes, hosts: Hosts, report: Report) -> None:
    """Add every finding about host calls to the report."""
    _HostCheck(tree, scopes, hosts, report).run()


class _HostCheck:
    def __init__(self, tree: Tree, scopes: Scopes, hosts: Hosts, report: Report) -> None:
        self.tree = tree
        self.scopes = scopes
        self.hosts = hosts
        self.report = report
        self.used: set[str] = set()
        self.undecided: set[str] = set()
        self.missing: set[str] = set()

    def run(self) -> None:
        for node in self.scopes.reads:
            if node.var is None or node.var.value is not None:
                self.follow(node)
        for name in sorted(self.hosts.grants):
            if name not in self.used and name.split(".")[0] not in self.undecided:
                match = re.search(rb'"%s"\s*:' % re.escape(name.encode()), self.tree.source)
                self.report.add(
                    "grant_unused",
                    match.start() if match else 0,
                    f"the contract grants '{name}', and nothing in the code uses it",
                    "take it out of grants: a capability holds only what it uses",
                )

    def follow(self, node: Node) -> None:
        """From a name that may stand for a namespace, along the dots, to a host function or to what goes wrong."""
        path = self.scopes.path(node)
        while path is not None and path in self.hosts.prefixes:
            parent = node.parent
            if parent is None or parent.children[0] is not node or not parent.kind.endswith("index_expression"):
                self.escapes(node, path)
                return
            name = self.tree.field(parent)
            if name is None:
                self.escapes(node, path)
                return
            node, path = parent, f"{path}.{name}"
            if path not in self.hosts.prefixes and path not in self.hosts.names:
                self.report.add(
                    "unknown_host_function",
                    node,
                    f"there is no host function '{short(path)}'",
                    self.suggest(path),
                )
                return
        if path in self.hosts.names:
            self.use(node, path)

    def suggest(self, path: str) -> Callable[[], str]:
        def hint() -> str:
            near = near_miss(path, sorted(self.hosts.names)) if len(path) < 60 else None
            space = path.split(".")[0]
            there = ", ".join(sorted(name for name in self.hosts.names if name.startswith(f"{space}.")))
            return f"did you mean '{near}'?" if near else f"there are: {there}"

        return hint

    def escapes(self, node: Node, path: str) -> None:
        """A namespace used as a value: an alias is followed where it is read, anything else is left to the run."""
        var = self.aliased(node)
        if var is not None and var.constant:
            return
        space = path.split(".")[0]
        self.undecided.add(space)
        if space not in self.hosts.granted_namespaces:
            self.no_grant(node, path)
            return
        self.report.add(
            "host_undecided",
            node,
            f"which function of '{path}' is used here can't be told before running",
            f"call it by name ({path}.name{{...}}); the grant is checked when it runs",
            severity="warning",
        )

    def aliased(self, node: Node) -> Any:
        """The local that is declared with this very expression, if there is one."""
        values = node.parent
        statement = values.parent if values is not None and values.kind == "expression_list" else None
        if statement is None or statement.parent is None or statement.parent.kind != "variable_declaration":
            return None
        names = statement.children[0]
        return next((each.var for each in names.children if each.var is not None and each.var.value is node), None)

    def no_grant(self, node: Node, name: str) -> None:
        if name not in self.missing:
            self.missing.add(name)
            declared = self.hosts.catalog.get(name)
            narrowed = ", ".join(f'"{key}": [...]' for key in declared.narrows) if declared else ""
            self.report.add(
                "grant_missing",
                node,
                f"'{name}' is used, and the contract does not grant it",
                f'add it to the contract: "grants": {{"{name}": {{{narrowed}}}}}' if declared else "grant what it uses",
            )

    # -------------------------------------------------- one use

    def use(self, node: Node, name: str) -> None:
        self.used.add(name)
        if name not in self.hosts.grants:
            self.no_grant(node, name)
        declared = self.hosts.catalog.get(name)
        if declared is None:
            return
        if node.kind == "method_index_expression":
            dotted = name.replace(":", ".")
            self.report.add(
                "host_arguments",
                node,
                f"'{name}' is called with ':', which passes the namespace as its argument",
                f"write {dotted}{{...}}",
            )
            return
        arguments = self.arguments(node)
        if arguments is None:
            return
        call, given = arguments
        if len(given) == 1 and given[0].kind == "nil":
            given = []  # the same as none
        if len(given) > 1 or (given and given[0].kind in _NO_TABLE):
            self.report.add(
                "host_arguments",
                call,
                f"'{name}' takes one table of named arguments, found {len(given)} argument{'s' * (len(given) > 1)}",
                f"write {name}{{{_example(declared.input)}}}",
            )
        elif not given or given[0].kind == "table_constructor":
            self.check_table(name, declared, given[0] if given else None, call)

    def arguments(self, node: Node) -> tuple[Node, list[Node]] | None:
        """The call of this function, directly or by pcall, and the arguments it gets; None when it is only named."""
        parent = node.parent
        if parent is None:
            return None
        if parent.kind == "function_call" and parent.children[0] is node:
            return parent, parent.children[1].children
        if parent.kind == "arguments" and parent.parent is not None and parent.children[0] is node:
            caller = parent.parent
            path = self.scopes.path(caller.children[0])
            if path == "pcall":
                return caller, parent.children[1:]
            if path == "xpcall":
                return caller, parent.children[2:]
        return None

    def check_table(self, name: str, declared: HostFunction, table: Node | None, call: Node) -> None:
        narrowed = self.narrowed(name, declared)
        work: _Work = [(table, declared.input, "")]
        while work:
            node, schema, path = work.pop()
            where = call if node is None else node
            fields = node.children if node is not None else []
            kinds = schema.get("type")
            wanted = {kinds} if isinstance(kinds, str) else set(kinds or ())
            positions = [field for field in fields if len(field.children) == 1]
            if wanted and not wanted & {"object", "array"}:
                self.wrong(name, where, path, schema, "a table")
                continue
            if wanted & {"array"} and not (wanted & {"object"} and len(positions) < len(fields)):
                items = schema.get("items")
                if len(positions) < len(fields):
                    self.wrong(name, where, path, schema, "a table with named fields")
                elif isinstance(items, dict):
                    for index, field in enumerate(positions, 1):
                        self.check_value(name, field.children[0], items, f"{path}[{index}]", work)
                continue
            if positions and "object" in wanted:
                self.report.add(
                    "host_arguments",
                    positions[0],
                    f"'{name}' takes named {f'fields in {path}' if path else 'arguments'}, found one without a name",
                    f"write {name}{{{_example(declared.input)}}}",
                )
                continue
            self.check_fields(name, where, schema, path, fields, work)
            if not path:
                self.check_grant(name, fields, narrowed)

    def check_fields(self, name: str, where: Node, schema: Schema, path: str, fields: list[Node], work: _Work) -> None:
        properties = schema.get("properties", {})
        closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
        open_keys = False
        given = set()
        for field in fields:
            key = self.tree.key(field)
            if key is None:
                open_keys = True
                continue
            value = field.children[1]
            if value.kind != "nil":
                given.add(key)
            inner = f"{path}.{key}" if path else key
            if key in properties:
                if isinstance(properties[key], dict):
                    self.check_value(name, value, properties[key], inner, work)
            elif closed:
                near = near_miss(key, sorted(properties)) if len(key) < 60 else None
                there = ", ".join(sorted(properties)) or "none"
                self.report.add(
                    "unknown_argument",
                    field,
                    f"'{name}' has no argument '{short(inner)}'",
                    f"did you mean '{near}'?" if near else f"its arguments are: {there}",
                )
        if open_keys:
            return
        for key in schema.get("required", ()):
            if key not in given:
                inner = f"{path}.{key}" if path else key
                self.report.add(
                    "missing_argument",
                    where,
                    f"'{name}' is called without its argument '{inner}'",
                    f"add {key} = ... ({_words(properties.get(key, {}))})",
                )

    def check_value(self, name: str, node: Node, schema: Schema, path: str, work: _Work) -> None:
        node = self.behind(node)
        if node.kind == "table_constructor":
            if "$ref" not in schema:
                work.append((node, schema, path))
            return
        if node.kind == "function_definition":
            self.wrong(name, node, path, schema, "a function")
            return
        value = self.literal(node)
        if value is _UNKNOWN or (value is None and node.kind == "nil"):
            return
        wrong = problems(schema, value)
        if wrong:
            found = _WORDS.get(node.kind) or ("null" if value is None else f"{short(self.tree.text(node))}")
            self.wrong(name, node, path, schema, f"{found} ({wrong[0][1]})")

    def wrong(self, name: str, node: Node, path: str, schema: Schema, found: str) -> None:
        message = f"'{name}': argument '{short(path)}' is {short(found, 200)}"
        self.report.add("argument_type", node, message, f"it must be {_words(schema)}")

    def behind(self, node: Node) -> Node:
        """The expression behind a constant local; the local itself where it is a table, which may get fields later."""
        found = self.scopes.behind(node)
        return node if found.kind == "table_constructor" and node.kind == "identifier" else found

    def literal(self, node: Node) -> JSON:
        kind = node.kind
        if kind == "string":
            return self.tree.string(node)
        if kind == "number":
            number = self.tree.number(node)
            return _UNKNOWN if number is None else number
        if kind in ("true", "false"):
            return kind == "true"
        if kind == "unary_expression" and node.children[0].kind == "number" and self.tree.operator(node) == "-":
            number = self.tree.number(node.children[0])
            return _UNKNOWN if number is None else -number
        if kind == "dot_index_expression" and self.scopes.path(node) == "json.null":
            return None
        return _UNKNOWN

    # -------------------------------------------------- grants

    def narrowed(self, name: str, declared: HostFunction) -> dict[str, list[Any]]:
        """Argument -> values that the grant allows. A grant's list `namespaces` narrows the argument `namespace`."""
        grant = self.hosts.grants.get(name, {})
        given = {plural: grant.get(plural, schema.get("default")) for plural, schema in declared.narrows.items()}
        return {plural.removesuffix("s"): values for plural, values in given.items() if isinstance(values, list)}

    def check_grant(self, name: str, fields: list[Node], narrowed: Mapping[str, list[Any]]) -> None:
        for field in fields:
            key = self.tree.key(field)
            if key is None:
                continue
            value = self.literal(self.behind(field.children[1]))
            if value is _UNKNOWN:
                continue
            argument = key
            if key == "url" and "host" in narrowed and "host" not in {self.tree.key(each) for each in fields}:
                argument, value = "host", host_of(value)
            if argument in narrowed and value not in narrowed[argument]:
                allowed = ", ".join(f"'{each}'" for each in narrowed[argument]) or "nothing"
                self.report.add(
                    "outside_grant",
                    field.children[1],
                    f"'{name}': {argument} '{short(str(value))}' lies outside the grant",
                    f"the contract allows {allowed}; use that, or widen the grant",
                )


def _example(schema: Schema) -> str:
    names = list(schema.get("required", ())) or list(schema.get("properties", {}))[:1]
    return ", ".join(f"{name} = ..." for name in names)


def _words(schema: Schema) -> str:
    """A schema in few words: its own description, or its type and bounds as the schema says them."""
    if not isinstance(schema, dict) or not schema:
        return "any value"
    kinds = schema.get("type")
    said = [" or ".join(kinds) if isinstance(kinds, list) else str(kinds)] if kinds else []
    said += [f"{key} {short(str(value))}" for key, value in schema.items() if key in _BOUNDS]
    if schema.get("description"):
        said.append(short(str(schema["description"]), 120))
    return ", ".join(said) or "as its schema says"


_BOUNDS = (
    "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern",
    "minItems", "maxItems", "format",
)  # fmt: skip
