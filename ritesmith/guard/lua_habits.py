"""Habits that are mistakes more often than not: unused locals, unreachable code, endless loops, shadowed parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ritesmith.guard.lua_scope import Function, Loop, Scopes, Var
from ritesmith.guard.lua_tree import Node, Report, Tree, short
from ritesmith.guard.lua_types import Types

_MADE_FROM_NODES = 200
_LEAVERS = frozenset({"assert", "coroutine.yield", "error", "fail", "pcall", "xpcall"})
_RETURNERS = frozenset(
    {
        "getmetatable", "ipairs", "next", "pairs", "rawequal", "rawget", "rawlen", "rawset", "select", "setmetatable",
        "tonumber", "tostring", "type",
    }
)  # fmt: skip
_ITERATORS = frozenset({"ipairs", "pairs", "string.gmatch", "utf8.codes"})


def check_habits(
    tree: Tree,
    scopes: Scopes,
    libraries: Mapping[str, Collection[str]],
    types: Types,
    ends: set[Node],
    report: Report,
) -> None:
    """Add every finding about habits to the report. `ends` is what `lua_scope.flow` found."""
    check = _Habits(tree, scopes, libraries, types, report)
    check.unused()
    check.shadowed()
    check.unreachable(ends - check.endless())
    check.arguments()


class _Habits:
    def __init__(
        self,
        tree: Tree,
        scopes: Scopes,
        libraries: Mapping[str, Collection[str]],
        types: Types,
        report: Report,
    ) -> None:
        self.tree = tree
        self.scopes = scopes
        self.libraries = libraries
        self.types = types
        self.report = report

    def unused(self) -> None:
        for var in self.scopes.variables:
            if var.reads or var.kind not in ("local", "function"):
                continue
            if var.name.startswith("_") or var.attribute == "close":
                continue
            if any(other.reads for other in var.group) or (var.group and var.group[0] is not var):
                continue  # it holds the place of a result that is used
            if self.builtin(var) or (var.writes and all(map(self.among_results, var.writes))):
                continue
            name = short(", ".join(each.name for each in var.group) if var.group else var.name)
            if var.kind == "function":
                message, hint = f"the local function '{name}' is never used", "call it or remove it"
            elif var.writes:
                message, hint = f"the local '{name}' is written and never read", "use its value or remove it"
            else:
                message, hint = f"the local '{name}' is never used", "use it, remove it, or name it '_'"
            self.report.add("unused_local", var.node, message, hint, severity="warning")

    def builtin(self, var: Var) -> bool:
        """`local type, pairs = type, pairs`: a row at the top of a file, not all of which need be used."""
        path = self.scopes.path(var.value) if var.value is not None else None
        library, _, name = (path or "").rpartition(".")
        return name == var.name and (not library or library in self.libraries)

    def among_results(self, target: Node) -> bool:
        """`ok, ignored = f()`: it holds the place of a result."""
        targets, statement = target.parent, target.parent.parent if target.parent is not None else None
        if targets is None or statement is None or statement.kind != "assignment_statement":
            return False
        return len(targets.children) > len(statement.children[1].children)

    def shadowed(self) -> None:
        for node, parameter in self.scopes.shadowing:
            name = parameter.name
            if name.startswith("_") or self.made_from(node, parameter.node):
                continue
            self.report.add(
                "shadowed_parameter",
                node,
                f"'{short(name)}' hides the parameter of the same name",
                "give it another name",
                severity="warning",
            )

    def made_from(self, node: Node, parameter: Node) -> bool:
        """`local x = x or 1`, `for _, x in ipairs(x)`: on purpose, since the new one is made from the old one."""
        name = self.tree.text(node)
        statement: Node | None = node
        while statement is not None and statement.kind not in (
            "variable_declaration", "for_statement", "function_declaration", "function_definition",
        ):  # fmt: skip
            statement = statement.parent
        if statement is None or statement.kind.startswith("function"):
            return False
        work = list(statement.children[0].children[1:] if statement.children else [])
        for _ in range(_MADE_FROM_NODES):
            if not work:
                return False
            each = work.pop()
            if each.kind == "identifier" and each.var is parameter.var and self.tree.text(each) == name:
                return True
            work.extend(each.children)
        return True  # too long to look through: no finding

    # -------------------------------------------------- reach

    def unreachable(self, ends: set[Node]) -> None:
        for block in self.tree.of("block", "chunk"):
            for index, statement in enumerate(block.children[:-1]):
                if statement not in ends:
                    continue
                rest = block.children[index + 1 :]
                if rest[0].kind == "label_statement":
                    continue
                if statement.kind == "function_call" and len(rest) == 1 and rest[0].kind == "return_statement":
                    break  # error(...) return: belt and braces
                self.report.add(
                    "unreachable",
                    rest[0],
                    f"this is never reached: line {self.tree.place(statement.start)[0]} always leaves before it",
                    "remove it, or leave under a condition",
                    severity="warning",
                )
                break

    # -------------------------------------------------- loops

    def endless(self) -> set[Node]:
        """The loops `while true` and `repeat until false` that no break, return, goto, error or yield can leave."""
        found: set[Node] = set()
        if not any(loop.endless for loop in self.scopes.loops):
            return found
        leaving = self.leaving_functions()
        left: set[int] = set()
        for loop in self.scopes.loops:  # inner loops come first
            if (
                loop.returns
                or any(id(inner) in left for inner in loop.inner)
                or any(self.leaves(call, leaving) for call in loop.calls)
                or any(self.jumps_out(goto, loop) for goto in loop.gotos)
                or self.unknown_iterator(loop)
            ):
                left.add(id(loop))
            elif loop.endless and not loop.broken:
                found.add(loop.node)
                self.report.add(
                    "endless_loop",
                    loop.node,
                    "nothing ends this loop: it has no break, no return and no error",
                    "leave it with break or return, or give it a condition",
                )
        return found

    def jumps_out(self, goto: Node, loop: Loop) -> bool:
        name = self.tree.text(goto.children[0]) if goto.children else ""
        return not any(
            loop.node.start <= label.start < loop.node.end for label in self.scopes.labels.get(name, [])[:100]
        )

    def unknown_iterator(self, loop: Loop) -> bool:
        """Whether a generic for calls something of which we don't know that it comes back."""
        if loop.iterator is None:
            return False
        values = loop.iterator.children
        if len(values) != 1 or values[0].kind != "function_call":
            return True
        callee = values[0].children[0]
        if callee.kind == "method_index_expression":
            return self.tree.field(callee) != "gmatch"
        return self.scopes.path(callee) not in _ITERATORS

    def leaving_functions(self) -> set[Function]:
        """Functions that may raise or suspend, by themselves or through what they call."""
        callers: dict[Function, list[Function]] = {}
        leaving: set[Function] = set()
        for function in self.scopes.functions.values():
            for call in function.calls:
                callee = self.scopes.function_of(call.children[0])
                if callee is not None:
                    callers.setdefault(callee, []).append(function)
                elif self.leaves(call, leaving):
                    leaving.add(function)
        for loop in self.scopes.loops:
            if self.unknown_iterator(loop):
                leaving.add(loop.owner)
        work = list(leaving)
        while work:
            for caller in callers.get(work.pop(), ()):
                if caller not in leaving:
                    leaving.add(caller)
                    work.append(caller)
        return leaving

    def leaves(self, call: Node, leaving: Collection[Function]) -> bool:
        """Whether a call may not come back; a call that we know nothing about may."""
        callee, given = call.children[0], call.children[1].children
        if callee.kind == "method_index_expression":
            name = self.tree.field(callee)
            if name is None or name not in self.libraries["string"] or self.types.has_method(name):
                return True
            return name == "gsub" and len(given) > 1 and given[1].kind != "string"
        path = self.scopes.path(callee)
        if path is None:
            function = self.scopes.function_of(callee)
            return function is None or function in leaving
        if path in _LEAVERS:
            return True
        if path == "string.gsub":
            return len(given) > 2 and given[2].kind != "string"
        if path == "table.sort":
            return len(given) > 1
        library, _, name = path.partition(".")
        if name:
            return name not in self.libraries.get(library, ())
        return path not in _RETURNERS

    # -------------------------------------------------- calls

    def arguments(self) -> None:
        """Calls of a local function with more arguments than it takes: the last ones are dropped."""
        for function in self.scopes.functions.values():
            for call in function.calls:
                callee = self.scopes.function_of(call.children[0])
                if callee is None or callee.vararg or callee.block is None:
                    continue  # a function that does nothing stands for one that would take them
                given = call.children[1].children
                if len(given) > len(callee.params) and given[len(callee.params)].kind not in (
                    "function_call", "vararg_expression", "nil",
                ):  # fmt: skip
                    name = self.tree.text(call.children[0])
                    self.report.add(
                        "extra_argument",
                        given[len(callee.params)],
                        f"'{short(name)}' takes {len(callee.params)} arguments, and is called with {len(given)}",
                        "remove the rest, or add a parameter",
                        severity="warning",
                    )
