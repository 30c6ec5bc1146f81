"""Static check of a capability's Lua: caps, then the compiler's word on syntax, then everything that the tree tells.

Nothing here executes the text. What can't be decided without running (computed names, argument values that are not
literals) is left to the sandbox and to the trial.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeAlias

from pydantic import Field

from ritesmith.contract import near_miss
from ritesmith.guard.lua_habits import check_habits
from ritesmith.guard.lua_host import Hosts, check_hosts
from ritesmith.guard.lua_parser import PARSER, ParserLost
from ritesmith.guard.lua_run import check_run
from ritesmith.guard.lua_scope import Scopes, flow, resolve
from ritesmith.guard.lua_tree import INDEXES, Node, Report, Tree, parse, short, too_deep
from ritesmith.guard.lua_types import Types
from ritesmith.models import Capability, Finding, HostFunction, Value, Where
from ritesmith.toml_file import read_toml

Compile: TypeAlias = Callable[[str, Sequence[str] | None], Finding | None]
"""(source, declared global names or None) -> what the Lua compiler objects to. It never executes the source."""

_INDEXES = (*INDEXES, "method_index_expression")
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
NAMES_JUDGED_MAX = 50
METHODS_COMPARED_MAX = 200
"""Names of methods that are looked at for a near miss, and methods that each is compared with."""
CLOSE = 0.75


class LuaRules(Value):
    """What Lua may name, as `guardrails/lua.toml` says it."""

    source_bytes: int = Field(ge=1)
    depth: int = Field(ge=1, le=190)
    names: frozenset[str]
    libraries: dict[str, frozenset[str]]
    signatures: dict[str, str]
    refused: dict[str, str]
    metafields: dict[str, str]
    gone: dict[str, str]
    string_methods: dict[str, str]

    def offered(self) -> frozenset[str]:
        """Every global name that every capability has, host namespaces aside."""
        return self.names | self.libraries.keys()

    def arguments(self, path: str) -> tuple[int, int] | None:
        """How many arguments a function of a library takes at least and at most; None where that is not said."""
        said = self.signatures.get(path)
        if said is None:
            return None
        names = said.split(", ")
        return sum(not name.startswith("[") for name in names), len(names)

    def is_library(self, path: str | None) -> bool:
        """Whether a dotted path is a library or something in one."""
        return path is not None and path.split(".")[0] in self.libraries


def load_rules(path: Path) -> LuaRules:
    """Read `guardrails/lua.toml`; InvalidInput where it is not what LuaRules says."""
    return read_toml(path, LuaRules, "the rules for Lua")[0]


def check_lua(
    capability: Capability,
    *,
    catalog: Mapping[str, HostFunction],
    compile: Compile,
    rules: LuaRules,
    file: str = "",
) -> list[Finding]:
    """Check a capability's Lua without running it; return every finding, in the order of the text.

    Lines are lines of the capability file. Three tiers, each reported whole before the next is tried: caps and
    encoding; syntax, where the compiler is the authority; then names, methods, host calls, `run` and habits together,
    at most 100 findings. The text may be hostile: nothing is raised, and the time is linear in its size.

    `compile` is `Sandbox.compile`; what it raises when no sandbox can be had passes through.
    """
    source = capability.source
    refused = check_source(source, rules, file)
    if refused:
        return refused
    PARSER.start()  # it gets ready while the compiler works
    objection = compile(source, None)
    if objection is not None:
        objection = objection.model_copy(update={"where": objection.where.model_copy(update={"file": file})})
        return [objection.model_copy(update=_TOO_DEEP) if _STACK in objection.message else objection]
    try:
        tree = parse(source.encode())
    except ParserLost as error:
        return [
            Finding(
                code="parser_lost",
                where=Where(file=file),
                message=f"Lua accepts this text, but the guard's parser does not survive it: {error}",
                hint="write it in a plainer way",
            )
        ]
    if tree.error_at is not None:
        line, column = tree.place(tree.error_at)
        return [
            Finding(
                code="parser_disagrees",
                where=Where(file=file, line=line, column=column),
                message="Lua accepts this text, but the guard's parser can't read it from here on",
                hint="write this line in a plainer way",
            )
        ]
    report = Report(tree, file)
    hosts = Hosts(capability.contract, catalog)
    scopes = resolve(tree, rules.offered() | hosts.namespaces | {"run"})
    types = Types(tree, scopes, rules.libraries["string"], capability.contract.input)
    names = _Names(tree, scopes, rules, hosts, report, types)
    names.run()
    name_errors = bool(report.met)
    check_hosts(tree, scopes, hosts, report)
    ends = flow(scopes)
    check_run(tree, scopes, types, capability.contract, ends, report)
    check_habits(tree, scopes, rules.libraries, types, ends, report)
    if not name_errors:
        declared = sorted(filter(_NAME.fullmatch, rules.offered() | hosts.granted_namespaces | names.harmless))
        objection = compile(source, declared)
        if objection is not None and not report.met:
            return [
                objection.model_copy(
                    update={
                        "code": "names_disagree",
                        "where": objection.where.model_copy(update={"file": file}),
                        "hint": objection.hint or "only the offered names exist; declare anything else as local",
                    }
                )
            ]
    return report.findings()


_STACK = "C stack overflow"
_TOO_DEEP = {
    "code": "source_too_deep",
    "message": "something is nested, or goes on, deeper than the compiler can follow",
    "hint": "name the inner parts: use locals and functions",
}


def check_source(source: str, rules: LuaRules, file: str = "") -> list[Finding]:
    """What forbids to look at a text any closer: its size, its encoding, its depth; nothing where it may be read."""

    def finding(code: str, message: str, hint: str, offset: int = 0) -> list[Finding]:
        line = data.count(b"\n", 0, offset) + 1
        return [Finding(code=code, where=Where(file=file, line=line), message=message, hint=hint)]

    try:
        data = source.encode()
    except UnicodeEncodeError as error:
        data = source.encode(errors="replace")
        before = len(source[: error.start].encode())
        return finding("source_not_utf8", "the text has a character that UTF-8 can't hold", "remove it", before)
    if len(data) > rules.source_bytes:
        return finding(
            "source_too_large",
            f"the file has {len(data)} bytes, {rules.source_bytes} are allowed",
            "split it into several capabilities, or take the data out",
        )
    if data.startswith(b"\x1b"):
        return finding("source_bytecode", "the file is Lua bytecode", "give the text")
    zero = data.find(b"\0")
    if zero >= 0:
        return finding("source_not_text", "the file has a zero byte", "remove it", zero)
    deep = too_deep(data, rules.depth)
    if deep is not None:
        return finding(
            "source_too_deep",
            f"brackets and blocks are nested deeper than {rules.depth}",
            "name the inner parts: use locals and functions",
            deep,
        )
    return []


class _Names:
    """Globals, library fields and methods: what exists, what is refused, what is written."""

    def __init__(self, tree: Tree, scopes: Scopes, rules: LuaRules, hosts: Hosts, report: Report, types: Types) -> None:
        self.tree = tree
        self.scopes = scopes
        self.rules = rules
        self.hosts = hosts
        self.report = report
        self.types = types
        self.offered = rules.offered()
        self.written = {tree.text(node) for node, _ in scopes.globals_written}
        self.judged: dict[str, bool] = {}
        self.harmless: set[str] = set()  # names of older Luas, read only as a fallback

    def run(self) -> None:
        self.environment()
        self.globals_written()
        self.globals_read()
        self.fields_and_calls()

    def environment(self) -> None:
        for node in self.scopes.declarations:
            self.report.add(
                "forbidden_global",
                node,
                f"'global' declares names: {self.rules.refused.get('global', 'it would reopen the environment')}",
                "write local",
            )
        for var in self.scopes.variables:
            if var.name == "_ENV":
                why = self.rules.refused.get("_ENV", "it would reopen the environment")
                self.report.add("forbidden_global", var.node, f"'_ENV' is not available: {why}", "rename it")

    def globals_written(self) -> None:
        first: dict[str, tuple[Node, list[str], list[int]]] = {}
        for node, near in self.scopes.globals_written:
            name = self.tree.text(node)
            if name == "run":
                continue
            first.setdefault(name, (node, near, []))[2].append(node.start)
        for name, (node, near, offsets) in first.items():
            if name in self.rules.libraries or name in self.hosts.granted_namespaces:
                message = f"'{name}' is a library; libraries are read-only"
                self.report.add("library_write", node, message, "use a local of another name")
            elif name in self.rules.refused:
                self.report.add("forbidden_global", node, f"'{name}': {self.rules.refused[name]}", "use a local")
            else:
                lines = sorted({self.tree.place(offset)[0] for offset in offsets[:10]})
                also = f" (lines {', '.join(map(str, lines))})" if len(lines) > 1 else ""
                self.report.add(
                    "global_write",
                    node,
                    f"'{short(name)}' is written as a global{also}; only 'run' may be one",
                    self.local_hint(node, name, near),
                )

    def local_hint(self, node: Node, name: str, near: list[str]) -> Callable[[], str]:
        def hint() -> str:
            if node.parent is not None and node.parent.kind == "function_declaration":
                return f"write local function {short(name)}(...), above its first use"
            found = near_miss(name, near) if len(name) < 60 else None
            return f"write local {short(name)} = ..." + (f", or did you mean '{found}'?" if found else "")

        return hint

    def globals_read(self) -> None:
        known = self.offered | self.written | {"run"}
        for node, near in self.scopes.globals_read:
            name = self.tree.text(node)
            if name in known:
                continue
            parent = node.parent
            indexed = (
                self.tree.field(parent)
                if parent is not None and parent.kind in _INDEXES and parent.children[0] is node
                else None
            )
            if name in self.hosts.namespaces and (indexed is not None or name in self.hosts.granted_namespaces):
                continue  # `lua_host` judges these
            self.unknown(node, name, indexed, near)

    def unknown(self, node: Node, name: str, indexed: str | None, near: list[str]) -> None:
        path = f"{name}.{indexed}"
        if path in self.rules.refused or name in self.rules.refused:
            said = path if path in self.rules.refused else name
            self.report.add("forbidden_global", node, f"'{said}' is not available", self.rules.refused[said])
        elif name in self.rules.gone:
            if self.fallback(node):
                self.harmless.add(name)
            else:
                self.report.add("unknown_global", node, f"'{name}' is not in Lua 5.5", self.rules.gone[name])
        else:
            message = f"there is no global '{short(name)}'"
            self.report.add("unknown_global", node, message, self.suggest(name, near))

    def suggest(self, name: str, near: list[str]) -> Callable[[], str]:
        def hint() -> str:
            there = {*near, *self.offered, *self.hosts.granted_namespaces}
            found = near_miss(name, sorted(there | self.rules.refused.keys())) if len(name) < 60 else None
            if found in there:
                return f"did you mean '{found}'?"
            if found is not None:
                return f"'{found}' would not be available either: {self.rules.refused[found]}"
            return "declare it as a local, pass it as a parameter, or take it from input"

        return hint

    def fallback(self, node: Node) -> bool:
        """`table.unpack or unpack`: a name that is only read when there is nothing better."""
        while node.parent is not None and node.parent.kind in ("parenthesized_expression", "dot_index_expression"):
            node = node.parent
        parent = node.parent
        return parent is not None and parent.kind == "binary_expression" and self.tree.operator(parent) in ("or", "and")

    # -------------------------------------------------- fields and methods

    def fields_and_calls(self) -> None:
        for node in self.tree.of(*_INDEXES):
            if node in self.types.targets:
                self.library_write(node, node.children[0])
                self.metafield(node, self.tree.field(node))
            else:
                self.library_read(node)
        for node in self.tree.of("function_call"):
            self.call(node)
        for node in self.tree.of("field"):
            self.metafield(node, self.tree.key(node))

    def metafield(self, node: Node, name: str | None) -> None:
        if name in self.rules.metafields:
            self.report.add("refused_metafield", node, f"'{name}' is not available", self.rules.metafields[name])

    def library_write(self, at: Node, base: Node) -> None:
        path = self.scopes.path(base)
        if self.rules.is_library(path) or self.hosts.is_granted_namespace(path):
            self.report.add(
                "library_write",
                at,
                f"'{path}' is read-only; nothing can be added to it or replaced in it",
                "write a local function and call it by its name",
            )
            return
        root = self.scopes.behind(self.scopes.root(base))
        if root.kind == "function_call" and self.scopes.path(root.children[0]) == "getmetatable":
            given = root.children[1].children
            if given and self.types.is_string(given[0]):
                message = "the methods of strings are read-only"
                self.report.add("library_write", at, message, "write a local function and call it by its name")

    def library_read(self, node: Node) -> None:
        base = self.scopes.path(node.children[0])
        if base is None or base not in self.rules.libraries:
            return
        name = self.tree.field(node)
        offered = self.rules.libraries[base]
        if name is None or name in offered:
            return
        path = f"{base}.{name}"
        if path in self.rules.refused:
            self.report.add("forbidden_field", node, f"'{path}' is not available", self.rules.refused[path])
        elif path in self.rules.gone:
            if not self.fallback(node):
                self.report.add("unknown_field", node, f"'{path}' is not in Lua 5.5", self.rules.gone[path])
        elif not self.fallback(node):
            message = f"the library '{base}' has no '{short(name)}'"
            self.report.add("unknown_field", node, message, self.field_hint(name, base))

    def field_hint(self, name: str, base: str) -> Callable[[], str]:
        def hint() -> str:
            found = near_miss(name, self.rules.libraries[base]) if len(name) < 60 else None
            if found is not None:
                return f"did you mean '{base}.{found}'?"
            if base == "string" and name in self.rules.string_methods:
                return self.rules.string_methods[name]
            return f"it has: {', '.join(sorted(self.rules.libraries[base]))}"

        return hint

    def call(self, node: Node) -> None:
        callee = node.children[0]
        if callee.kind == "method_index_expression":
            self.method_call(callee)
            return
        changed = self.scopes.changed_by(node)
        if changed is not None:
            self.library_write(node, changed)
        self.hidden_library(callee)
        given = node.children[1].children
        self.arguments(node, self.scopes.path(callee), given)
        if len(given) == 3 and given[1].kind == "string" and self.scopes.path(callee) == "rawset":
            self.metafield(given[1], self.tree.string(given[1]))

    def arguments(self, node: Node, path: str | None, given: list[Node]) -> None:
        taken = self.rules.arguments(path) if path is not None else None
        if taken is None:
            return
        least, most = taken
        whole = f"{path}({self.rules.signatures[path or '']})"
        spreads = bool(given) and given[-1].kind in ("function_call", "vararg_expression")
        if len(given) < least and not spreads:
            message = f"'{path}' needs {least} argument{'s' * (least > 1)}, and is called with {len(given)}"
            self.report.add("missing_argument", node, message, f"write {whole}")
        elif len(given) > most and given[most].kind not in ("function_call", "vararg_expression", "nil"):
            message = f"'{path}' takes at most {most} argument{'s' * (most > 1)}, and is called with {len(given)}"
            self.report.add("extra_argument", given[most], message, f"write {whole}", severity="warning")

    def hidden_library(self, callee: Node) -> None:
        """`text.trim(text)` where `text` is a local: nothing in the file can have given it that function."""
        base = callee.children[0] if callee.kind in INDEXES and len(callee.children) == 2 else None
        var = base.var if base is not None and base.kind == "identifier" else None
        if base is None or var is None or f"{var.name}.{self.tree.field(callee)}" not in self.rules.signatures:
            return
        name = f"{var.name}.{self.tree.field(callee)}"
        given = self.types.given(var) if var.kind == "parameter" else []
        plain = self.types.is_string(base) or self.types.from_input(base) is not None
        passed = var.kind == "parameter" and not any(self.rules.is_library(self.scopes.path(each)) for each in given)
        if (plain or passed) and not self.types.has_method(name.partition(".")[2]):
            message = f"'{var.name}' is a local here, and hides the library of that name"
            self.report.add("hidden_library", callee, message, f"give the local another name to call {name}")

    def method_call(self, callee: Node) -> None:
        name = self.tree.field(callee)
        strings = self.rules.libraries["string"]
        base = self.scopes.path(callee.children[0])
        if name in self.rules.libraries.get(base or "", ()):
            message = f"'{base}' is a library, whose functions are called with a dot"
            self.report.add("unknown_method", callee.children[1], message, f"write {base}.{name}(...)")
            return
        if name is None or name in strings or base is not None:
            return
        if self.types.is_string(callee.children[0]):
            message = f"strings have no method '{short(name)}'"
        elif not self.types.has_method(name):
            if self.given_from_outside(callee.children[0]) and not self.mistaken(name):
                return
            message = f"nothing in this file defines a method '{short(name)}', and strings have none"
        else:
            return
        self.report.add("unknown_method", callee.children[1], message, self.method_hint(name))

    def given_from_outside(self, receiver: Node) -> bool:
        """Whether it is, or lies in, the parameter of a function other than `run`: its callers may know better."""
        var = self.scopes.root(receiver).var
        return var is not None and var.kind == "parameter" and var.owner is not self.types.run

    def mistaken(self, name: str) -> bool:
        """Whether a method's name is one of another language's strings, or nearly one that there is."""
        if name in self.rules.string_methods:
            return True
        if name not in self.judged and len(self.judged) < NAMES_JUDGED_MAX and len(name) < 60:
            declared = [node.children[0] for node in self.tree.of("function_declaration")[:METHODS_COMPARED_MAX]]
            own = {self.tree.field(each) or "" for each in declared if each.kind in _INDEXES}
            there = [*self.rules.libraries["string"], *own]
            self.judged[name] = bool(get_close_matches(name, there, n=1, cutoff=CLOSE))
        return self.judged.get(name, False)

    def method_hint(self, name: str) -> Callable[[], str]:
        def hint() -> str:
            if name in self.rules.string_methods:
                return self.rules.string_methods[name]
            there = [*self.rules.libraries["string"], *sorted(self.types.methods)[:200]]
            found = near_miss(name, there) if len(name) < 60 else None
            return f"did you mean '{found}'?" if found else "write a local function, or define the method"

        return hint


__all__ = ["Compile", "LuaRules", "check_lua", "check_source", "load_rules"]
