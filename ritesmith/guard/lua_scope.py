"""Who is who in a Lua tree: which variable each name means, what functions and loops hold, what control can reach.

The rules are those of the Lua 5.5 manual, 3.3.4 (for), 3.3.7 (local declarations) and 3.5 (visibility); `resolve` is
one pass with its own stack of work, `flow` one pass backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Sequence
from functools import cached_property
from itertools import zip_longest
from typing import Any

from ritesmith.guard.lua_tree import INDEXES, Node, Tree

_PATH_PARTS = 6
VISIT = None  # as a handler: look up the one for the node's kind
_NEAR_READS = 50
_NEAR_LOCALS = 200
_RAISING_DEPTH = 4  # so many functions that always raise, each by calling the next, are followed
_HELD_MAX = 20  # functions under one name of a field that are told apart
# Functions that change their first argument.
_CHANGERS = frozenset({"rawset", "setmetatable", "table.insert", "table.remove", "table.sort"})


class Var:
    """One local variable. `value` is the expression that it was declared with, when exactly one belongs to it."""

    __slots__ = (
        "attribute", "body", "defaulted", "element_of", "group", "kind", "name", "node", "open", "owner", "reads",
        "value", "writes",
    )  # fmt: skip

    def __init__(self, name: str, node: Node, kind: str, owner: Function) -> None:
        self.name = name
        self.node = node
        self.kind = kind  # local, function, parameter, loop
        self.owner = owner
        self.reads = 0
        self.writes: list[Node] = []
        self.defaulted = False  # by `x = x or ...`, which counts as no write
        self.value: Node | None = None
        self.element_of: Node | None = None  # a generic for's list expression, for its names after the first
        self.group: list[Var] = []  # variables filled by one call of the same declaration
        self.body: Function | None = None  # the function it always holds
        self.attribute = ""
        self.open = False  # inside its own body: a use there keeps nobody else alive

    @property
    def constant(self) -> bool:
        """Never written after its declaration."""
        return not self.writes and not self.defaulted


class Function:
    """One function body, or the chunk itself (`node.kind == "chunk"`)."""

    __slots__ = ("calls", "node", "params", "parent", "returns", "vararg")

    def __init__(self, node: Node, parent: Function | None) -> None:
        self.node = node
        self.parent = parent
        self.params: list[Var] = []
        self.vararg = False
        self.returns: list[Node] = []
        self.calls: list[Node] = []

    @property
    def block(self) -> Node | None:
        last = self.node.children[-1] if self.node.children else None
        return last if last is not None and last.kind == "block" else None


class Loop:
    """One while, repeat or for; `endless` when its condition is a constant that never ends it."""

    __slots__ = ("broken", "calls", "endless", "gotos", "inner", "iterator", "node", "owner", "returns")

    def __init__(self, node: Node, owner: Function, *, endless: bool, iterator: Node | None = None) -> None:
        self.node = node
        self.owner = owner
        self.endless = endless
        self.iterator = iterator  # the expression list of a generic for
        self.broken = False
        self.returns = False
        self.calls: list[Node] = []
        self.gotos: list[Node] = []
        self.inner: list[Loop] = []


class Scopes:
    """What `resolve` found. Every identifier that is a variable has its `Var` in `node.var`; global names have None."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.variables: list[Var] = []
        self.functions: dict[Node, Function] = {}
        self.loops: list[Loop] = []  # inner ones before outer ones
        self.reads: list[Node] = []  # every identifier that is read as a variable
        self.globals_read: list[tuple[Node, list[str]]] = []  # with a few of the locals visible there
        self.globals_written: list[tuple[Node, list[str]]] = []
        self.shadowing: list[tuple[Node, Var]] = []
        self.labels: dict[str, list[Node]] = {}
        self.declarations: list[Node] = []  # `global` statements

    def path(self, node: Node) -> str | None:
        """The dotted global name that an expression stands for (`store.get`, `string`), through constant aliases."""
        parts: list[str] = []
        for _ in range(_PATH_PARTS):
            while node.kind == "parenthesized_expression" and node.children:
                node = node.children[0]
            if node.kind in INDEXES and len(node.children) == 2:
                name = self.tree.field(node)
                if name is None:
                    return None
                parts.append(name)
                node = node.children[0]
            elif node.kind == "identifier":
                if node.var is None:
                    parts.append(self.tree.text(node))
                    return ".".join(reversed(parts))
                if node.var.value is None or not node.var.constant:
                    return None
                node = node.var.value
            else:
                return None
        return None

    def function_of(self, node: Node) -> Function | None:
        """The function that a callee always is: a local function that is never written again."""
        var = node.var if node.kind == "identifier" else None
        if var is None or not var.constant:
            return None
        return var.body or self.functions.get(var.value)

    def functions_of(self, callee: Node) -> Sequence[Function | None]:
        """The functions that a callee can be, None among them for one that nobody knows; empty where nothing is known.

        `errors.raise` and `problem:raise` are whatever this file puts into a field of that name.
        """
        if callee.kind in ("dot_index_expression", "method_index_expression"):
            held = self.fields.get(self.tree.text(callee.children[-1]), ()) if self.path(callee) is None else ()
            return held if len(held) <= _HELD_MAX else (None,)
        return (self.function_of(callee),)

    @cached_property
    def fields(self) -> dict[str, list[Function | None]]:
        """Name of a field -> the functions that the file puts into fields of that name; None for any other value."""
        found: dict[str, list[Function | None]] = {}
        for node in self.tree.of("function_declaration"):
            if node.children[0].kind != "identifier":
                found.setdefault(self.tree.text(node.children[0].children[-1]), []).append(self.functions.get(node))
        pairs = [(self.tree.key(field), field.children[-1]) for field in self.tree.of("field")]
        for node in self.tree.of("assignment_statement"):
            targets, values = node.children[0].children, node.children[1].children
            for target, value in zip_longest(targets, values[: len(targets)], fillvalue=node):
                if target.kind in INDEXES and len(target.children) == 2:
                    pairs.append((self.tree.field(target), value))
        for name, value in pairs:
            if name is not None:
                found.setdefault(name, []).append(self.functions.get(value) or self.function_of(value))
        return found

    def changed_by(self, call: Node) -> Node | None:
        """The table that a call of a library function changes, None for any other call."""
        path, given = self.path(call.children[0]), call.children[1].children
        if path == "table.move" and given:
            return given[4] if len(given) == 5 else given[0]
        return given[0] if path in _CHANGERS and given else None

    def behind(self, node: Node) -> Node:
        """The expression that a constant local was declared with, without brackets around it."""
        for _ in range(_PATH_PARTS):
            while node.kind == "parenthesized_expression" and node.children:
                node = node.children[0]
            if node.kind != "identifier" or node.var is None or node.var.value is None or not node.var.constant:
                break
            node = node.var.value
        return node

    def root(self, node: Node) -> Node:
        """What an index chain starts from: `a` of `a.b[1].c`."""
        while node.kind in INDEXES or node.kind == "parenthesized_expression":
            if not node.children:
                break
            node = node.children[0]
        return node


def resolve(tree: Tree, known: Container[str] = ()) -> Scopes:
    """Resolve every name of a tree. `known` are the globals that exist: for others the locals in sight are noted."""
    return _Resolver(tree, known).run()


class _Resolver:
    """Work is a stack of (handler, argument): a handler pushes what comes after it, last things first."""

    def __init__(self, tree: Tree, known: Container[str]) -> None:
        self.tree = tree
        self.known = known
        self.near_left = _NEAR_READS
        self.found = Scopes(tree)
        self.visible: dict[str, Var] = {}
        self.undo: list[list[tuple[str, Var | None]]] = [[]]
        self.function = Function(tree.root, None)
        self.found.functions[tree.root] = self.function
        self.open_loops: list[Loop | None] = []
        self.work: list[tuple[Callable[[Any], None] | None, Any]] = []
        self.handlers: dict[str, Callable[[Node], None]] = {
            "identifier": self.read,
            "variable_declaration": self.declaration,
            "assignment_statement": self.assignment,
            "function_declaration": self.function_declaration,
            "function_definition": self.function_body,
            "function_call": self.call,
            "dot_index_expression": self.index,
            "method_index_expression": self.index,
            "field": self.field,
            "block": self.block,
            "repeat_statement": self.repeat,
            "while_statement": self.while_loop,
            "for_statement": self.for_loop,
            "break_statement": self.break_,
            "goto_statement": self.goto,
            "label_statement": self.label,
            "return_statement": self.return_,
            "implicit_variable_declaration": self.found.declarations.append,
        }

    def run(self) -> Scopes:
        work, handlers = self.work, self.handlers
        self.push_all(self.tree.root.children)
        while work:
            handler, argument = work.pop()
            if handler is VISIT:
                special = handlers.get(argument.kind)
                if special is None:
                    self.push_all(argument.children)
                else:
                    special(argument)
            else:
                handler(argument)
        return self.found

    def push_all(self, nodes: list[Node]) -> None:
        self.work.extend([(VISIT, node) for node in reversed(nodes)])

    def push(self, *items: tuple[Callable[[Any], None] | None, Any]) -> None:
        self.work.extend(reversed(items))

    # -------------------------------------------------- names

    def read(self, node: Node) -> None:
        name = self.tree.text(node)
        self.found.reads.append(node)
        var = self.visible.get(name)
        if var is None:
            self.found.globals_read.append((node, self.near(name)))
            return
        node.var = var
        if not var.open:
            var.reads += 1

    def write(self, node: Node) -> None:
        if node.kind != "identifier":
            self.push((VISIT, node))
            return
        name = self.tree.text(node)
        var = self.visible.get(name)
        if var is None:
            self.found.globals_written.append((node, self.near(name)))
            return
        node.var = var
        if self.is_default(node, name):
            var.defaulted = True
        else:
            var.writes.append(node)

    def is_default(self, target: Node, name: str) -> bool:
        """`x = x or ...`: what is assigned here is what was there, if anything was."""
        statement = target.parent.parent if target.parent is not None else None
        if statement is None or statement.kind != "assignment_statement" or len(statement.children[0].children) != 1:
            return False
        value = statement.children[1].children[0]
        if value.kind != "binary_expression" or self.tree.operator(value) != "or":
            return False
        return value.children[0].kind == "identifier" and self.tree.text(value.children[0]) == name

    def near(self, name: str) -> list[str]:
        """The locals in sight, which an unknown name may have meant; only for the first few such names."""
        if not self.near_left or name in self.known:
            return []
        self.near_left -= 1
        return list(self.visible)[-_NEAR_LOCALS:]

    def declare(self, var: Var) -> None:
        name = var.name
        before = self.visible.get(name)
        self.undo[-1].append((name, before))
        self.visible[name] = var
        self.found.variables.append(var)
        if before is not None and before.kind == "parameter" and before.owner is self.function and var is not before:
            self.found.shadowing.append((var.node, before))

    def new(self, node: Node, kind: str) -> Var:
        var = Var(self.tree.text(node), node, kind, self.function)
        node.var = var
        return var

    def open_scope(self, _: Any = None) -> None:
        self.undo.append([])

    def close_scope(self, _: Any = None) -> None:
        for name, before in reversed(self.undo.pop()):
            if before is None:
                del self.visible[name]
            else:
                self.visible[name] = before

    # -------------------------------------------------- statements

    def block(self, node: Node) -> None:
        self.open_scope()
        self.work.append((self.close_scope, None))
        self.push_all(node.children)

    def declaration(self, node: Node) -> None:
        if self.tree.starts(node, b"global"):
            self.found.declarations.append(node)
        inner = node.children[0] if node.children else None
        if inner is None:
            return
        if inner.kind == "assignment_statement":
            names, values = inner.children[0], inner.children[1].children
        else:
            names, values = inner, []
        made = self.declared(names, values)
        self.push(*((VISIT, value) for value in values), *((self.declare, var) for var in made))

    def declared(self, names: Node, values: list[Node]) -> list[Var]:
        made: list[Var] = []
        shared = ""
        for child in names.children:
            if child.kind == "attribute":
                attribute = self.tree.text(child).strip("<> ")
                if made:
                    made[-1].attribute = attribute
                else:
                    shared = attribute  # Lua 5.5: one attribute before the names holds for all of them
            elif child.kind == "identifier":
                made.append(self.new(child, "local"))
        spread = (
            len(values) - 1 if values and values[-1].kind in ("function_call", "vararg_expression") else len(values)
        )
        rest = made[spread:]
        for index, var in enumerate(made):
            var.attribute = var.attribute or shared
            if index < spread or (index == spread and len(values) > spread and len(rest) == 1):
                var.value = values[index]
            elif len(values) > spread:
                var.group = rest
        return made

    def assignment(self, node: Node) -> None:
        targets, values = node.children[0], node.children[1]
        self.push(*((VISIT, value) for value in values.children), *((self.write, each) for each in targets.children))

    def function_declaration(self, node: Node) -> None:
        name = node.children[0]
        if self.tree.starts(node, b"local"):
            var = self.new(name, "function")
            self.declare(var)
            self.function_body(node, var)
            return
        if self.tree.starts(node, b"global"):
            self.found.declarations.append(node)
        self.write(name)
        self.function_body(node)

    def function_body(self, node: Node, var: Var | None = None) -> None:
        function = Function(node, self.function)
        self.found.functions[node] = function
        parameters = next((child for child in node.children if child.kind == "parameters"), None)
        body = function.block
        self.push(
            (self.enter, (function, parameters, node, var)),
            *([(VISIT, body)] if body is not None else []),
            (self.leave, var),
        )

    def enter(self, what: tuple[Function, Node | None, Node, Var | None]) -> None:
        function, parameters, node, var = what
        self.function = function
        self.open_loops.append(None)
        self.open_scope()
        if var is not None:
            var.open = True
            var.body = function
        if node.kind == "function_declaration" and node.children[0].kind == "method_index_expression":
            self.declare(Var("self", node, "parameter", function))
        for child in parameters.children if parameters is not None else ():
            if child.kind == "vararg_expression":
                function.vararg = True
            elif child.kind == "identifier":
                param = self.new(child, "parameter")
                if not function.vararg:  # Lua 5.5 can name the varargs: `...args`
                    function.params.append(param)
                self.declare(param)

    def leave(self, var: Var | None) -> None:
        self.close_scope()
        self.open_loops.pop()
        if var is not None:
            var.open = False
        assert self.function.parent is not None
        self.function = self.function.parent

    # -------------------------------------------------- loops and jumps

    def open_loop(self, loop: Loop) -> None:
        self.open_loops.append(loop)

    def close_loop(self, loop: Loop) -> None:
        self.open_loops.pop()
        self.found.loops.append(loop)
        outer = self.open_loops[-1] if self.open_loops else None
        if outer is not None:
            outer.inner.append(loop)

    def while_loop(self, node: Node) -> None:
        loop = Loop(node, self.function, endless=self.constant_truth(node.children[0]) is True)
        self.push((self.open_loop, loop), *((VISIT, child) for child in node.children), (self.close_loop, loop))

    def repeat(self, node: Node) -> None:
        condition = node.children[-1]
        loop = Loop(node, self.function, endless=self.constant_truth(condition) is False)
        body = node.children[0].children if len(node.children) == 2 else []
        self.push(
            (self.open_loop, loop),
            (self.open_scope, None),
            *((VISIT, child) for child in body),
            (VISIT, condition),  # it sees the locals of the body
            (self.close_scope, None),
            (self.close_loop, loop),
        )

    def for_loop(self, node: Node) -> None:
        clause, *body = node.children
        iterator: Node | None = None
        if clause.kind == "for_numeric_clause":
            made, heads = [self.new(clause.children[0], "loop")], clause.children[1:]
        else:
            names, values = clause.children
            made, heads = [self.new(child, "loop") for child in names.children], values.children
            iterator = values
            for var in made[1:]:
                var.element_of = values
        loop = Loop(node, self.function, endless=False, iterator=iterator)
        self.push(
            *((VISIT, head) for head in heads),
            (self.open_loop, loop),
            (self.open_scope, None),
            *((self.declare, var) for var in made),
            *((VISIT, child) for child in body),
            (self.close_scope, None),
            (self.close_loop, loop),
        )

    def constant_truth(self, node: Node) -> bool | None:
        """Whether a condition is a constant, and which; None for one that can change."""
        turned = False
        while node.kind in ("parenthesized_expression", "unary_expression") and node.children:
            if node.kind == "unary_expression":
                if self.tree.operator(node) != "not":
                    return None
                turned = not turned
            node = node.children[0]
        if node.kind in ("true", "number", "string", "table_constructor", "function_definition"):
            return not turned
        if node.kind in ("false", "nil"):
            return turned
        return None

    def loop(self) -> Loop | None:
        return self.open_loops[-1] if self.open_loops else None

    def break_(self, node: Node) -> None:
        loop = self.loop()
        if loop is not None:
            loop.broken = True

    def goto(self, node: Node) -> None:
        loop = self.loop()
        if loop is not None:
            loop.gotos.append(node)

    def label(self, node: Node) -> None:
        if node.children:
            self.found.labels.setdefault(self.tree.text(node.children[0]), []).append(node)

    def return_(self, node: Node) -> None:
        self.function.returns.append(node)
        loop = self.loop()
        if loop is not None:
            loop.returns = True
        self.push_all(node.children)

    # -------------------------------------------------- expressions

    def call(self, node: Node) -> None:
        self.function.calls.append(node)
        loop = self.loop()
        if loop is not None:
            loop.calls.append(node)
        self.push_all(node.children)

    def index(self, node: Node) -> None:
        self.push((VISIT, node.children[0]))  # the second part is a field's name, not a variable

    def field(self, node: Node) -> None:
        if len(node.children) == 2 and node.children[0].kind == "identifier" and not self.tree.starts(node, b"["):
            self.push((VISIT, node.children[1]))
        else:
            self.push_all(node.children)


def never_returns(scopes: Scopes, call: Node, raising: Collection[Function] = ()) -> bool:
    """Whether control surely doesn't come back from a call: error, fail, assert(false), or one of `raising`."""
    path = scopes.path(call.children[0])
    if path == "assert":
        given = call.children[1].children
        return bool(given) and given[0].kind in ("false", "nil")
    if path in ("error", "fail"):
        return True
    functions = scopes.functions_of(call.children[0]) if raising else ()
    return bool(functions) and all(each in raising for each in functions)


def flow(scopes: Scopes) -> set[Node]:
    """The statements and blocks that control never comes out of at their end.

    A function that always ends in an error counts as `error` does, also through another such function.
    """
    raising: set[Function] = set()
    for _ in range(_RAISING_DEPTH):
        ends = _flow(scopes, raising)
        more = {each for each in scopes.functions.values() if not each.returns and each.block in ends}
        if more <= raising:
            break
        raising |= more
    return ends


def _flow(scopes: Scopes, raising: Collection[Function]) -> set[Node]:
    ends: set[Node] = set()
    loops = {loop.node: loop for loop in scopes.loops}
    for node in reversed(scopes.tree.nodes):
        kind = node.kind
        if kind in ("return_statement", "break_statement", "goto_statement"):
            ends.add(node)
        elif kind == "function_call":
            statement = node.parent is not None and node.parent.kind in ("block", "chunk")
            if statement and never_returns(scopes, node, raising):
                ends.add(node)
        elif kind in ("block", "chunk"):
            # A label may be jumped to: what follows it counts as reachable.
            for child in reversed(node.children):
                if child in ends:
                    ends.add(node)
                    break
                if child.kind == "label_statement":
                    break
        elif kind in ("do_statement", "else_statement", "elseif_statement"):
            if node.children and node.children[-1] in ends:
                ends.add(node)
        elif kind == "if_statement":
            branches = [each for each in node.children if each.kind in ("elseif_statement", "else_statement")]
            then = node.children[1] if len(node.children) > 1 else None
            if (
                then is not None
                and then.kind == "block"
                and then in ends
                and branches
                and branches[-1].kind == "else_statement"
                and all(branch in ends for branch in branches)
            ):
                ends.add(node)
        elif kind == "while_statement":
            if loops[node].endless and not loops[node].broken:
                ends.add(node)
        elif kind == "repeat_statement":
            body = node.children[0] if len(node.children) == 2 else None
            if not loops[node].broken and (loops[node].endless or body in ends):
                ends.add(node)
    return ends
