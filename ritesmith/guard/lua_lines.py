"""Lua text to the lines on which something can be executed: what coverage is measured against."""

from __future__ import annotations

from ritesmith.guard.lua_tree import Node, Tree, parse
from ritesmith.models import Value

_NOTHING_TO_RUN = ("do_statement", "label_statement", "else_statement", "empty_statement")
# What a jump is compiled to may be part of the condition before it.
_JUMPS = ("break_statement", "goto_statement")


class Statement(Value):
    """A statement, or the condition of an `elseif`. It ran when anything of `lines` did."""

    line: int
    """Where it begins, from 1."""
    lines: frozenset[int]


def statements(source: str) -> list[Statement]:
    """What can be executed in a text that compiles, in the order of the text; jumps and labels left out.

    Raises ParserLost as `parse`; empty where the parser cannot read the text.
    """
    tree = parse(source.encode())
    found = []
    for node in tree.nodes:
        above = node.parent.kind if node.parent is not None else ""
        if node.kind == "elseif_statement" or (above in ("chunk", "block") and node.kind not in _NOTHING_TO_RUN):
            if node.kind in _JUMPS:
                continue
            found.append(Statement(line=tree.place(node.start)[0], lines=frozenset(_lines(tree, node))))
    return sorted(found, key=lambda each: each.line)


def _lines(tree: Tree, node: Node) -> set[int]:
    """The lines of a statement. Of a function those inside it run when it is called, and so are none of its own; of a
    loop or a condition they are: they do not run without it."""
    first, last = tree.place(node.start)[0], tree.place(max(node.start, node.end - 1))[0]
    lines = set(range(first, last + 1))
    pending = [node]
    while pending:
        inner = pending.pop()
        if inner.kind in ("function_declaration", "function_definition"):
            for child in inner.children:
                if child.kind == "block":
                    begin, end = tree.place(child.start)[0], tree.place(max(child.start, child.end - 1))[0]
                    lines -= set(range(begin, end + 1)) - {first, last}
        else:
            pending += inner.children
    return lines
