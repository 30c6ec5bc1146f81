"""Lua text to a plain tree: caps, then tree-sitter in a process of its own, then nodes that a loop can walk.

The tree holds named nodes only, in a list with every parent before its children; so a pass forwards meets parents
first, a pass backwards meets children first, and no walk needs recursion (a chain of 20,000 additions is a tree
20,000 deep).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from itertools import islice
from typing import Any, Literal

from ritesmith.contract import FINDINGS_MAX, at_most
from ritesmith.guard.lua_parser import PARSER
from ritesmith.guard.lua_worker import LEAVES
from ritesmith.models import Finding, Where

# A string without its end is taken to the end of its line, so that no text is scanned twice.
_TOKENS = re.compile(
    rb"(?:--)?\[(?P<long>=*)\[|--[^\n]*|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?"
    rb"|(?P<open>[({\[]|\b(?:function|if|do|repeat)\b)|(?P<close>[)}\]]|\b(?:end|until)\b)",
    re.DOTALL,
)
INDEXES = ("dot_index_expression", "bracket_index_expression")
"""Kinds of `t.name` and `t[key]`."""
_SIMPLE_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", '"': '"', "'": "'", "\n": "\n",
}  # fmt: skip
_ESCAPE = re.compile(
    r"\\(?:(?P<x>x[0-9a-fA-F]{2})|u\{(?P<u>[0-9a-fA-F]+)\}|(?P<d>\d{1,3})|(?P<z>z)\s*|(?P<c>.))", re.DOTALL
)


class Node:
    """One named node, comments left out. `start` and `end` are byte offsets; `lua_scope` fills `var`."""

    __slots__ = ("children", "end", "kind", "parent", "start", "var")

    def __init__(self, kind: str, start: int, end: int, parent: Node | None, children: list[Node]) -> None:
        self.kind = kind
        self.start = start
        self.end = end
        self.parent = parent
        self.children = children
        self.var: Any = None


class Tree:
    """A parsed file: its nodes (the chunk first), and where the parser gave up, if it did."""

    def __init__(self, source: bytes, nodes: list[Node], error_at: int | None) -> None:
        self.source = source
        self.nodes = nodes
        self.root = nodes[0]
        self.error_at = error_at
        self.by_kind: dict[str, list[Node]] = {}
        for node in nodes:
            if node.kind in self.by_kind:
                self.by_kind[node.kind].append(node)
            else:
                self.by_kind[node.kind] = [node]
        self._lines: list[int] | None = None

    def of(self, *kinds: str) -> list[Node]:
        """All nodes of these kinds, kind by kind."""
        return [node for kind in kinds for node in self.by_kind.get(kind, ())]

    def text(self, node: Node) -> str:
        return self.source[node.start : node.end].decode()

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of a byte offset, both from 1; the column counts characters."""
        if self._lines is None:
            self._lines = [0, *(match.end() for match in re.finditer(rb"\n", self.source))]
        line = bisect_right(self._lines, offset)
        return line, len(self.source[self._lines[line - 1] : offset].decode(errors="replace")) + 1

    def starts(self, node: Node, word: bytes) -> bool:
        return self.source.startswith(word, node.start)

    def operator(self, node: Node) -> str:
        """The operator of a binary or unary expression."""
        if node.kind == "unary_expression":
            begin, end = node.start, node.children[0].start
        else:
            begin, end = node.children[0].end, node.children[1].start
        between = self.source[begin:end]
        if b"--" in between:
            between = re.sub(rb"--\[(=*)\[.*?\]\1\]|--[^\n]*", b"", between, flags=re.DOTALL)
        return between.decode().strip()

    def string(self, node: Node) -> str:
        """The value of a string literal; a byte given by its number becomes the character of that number."""
        text = self.text(node)
        if text[0] in "\"'":
            return _ESCAPE.sub(_unescape, text[1:-1]) if "\\" in text else text[1:-1]
        opening = text.index("[", 1) + 1
        inner = text[opening:-opening]
        return inner[1:] if inner.startswith("\n") else inner

    def number(self, node: Node) -> int | float | None:
        """The value of a numeral, None for one that Python has no word for (a hexadecimal fraction is understood)."""
        text = self.text(node).lower()
        try:
            if not text.startswith("0x"):
                return int(text) if text.isdigit() else float(text)
            if "." in text or "p" in text:
                return float.fromhex(text)
            return int(text, 16)
        except (ValueError, OverflowError):
            return None

    def key(self, field: Node) -> str | None:
        """The name of a field in a table constructor (`x = 1`, `["x"] = 1`), None for a position or a computed key."""
        if len(field.children) != 2:
            return None
        name = field.children[0]
        if name.kind == "identifier" and not self.starts(field, b"["):
            return self.text(name)
        return self.string(name) if name.kind == "string" else None

    def field(self, node: Node) -> str | None:
        """The name in `t.name`, `t:name` or `t["name"]`; None for a computed index."""
        last = node.children[-1]
        if node.kind != "bracket_index_expression":
            return self.text(last)
        return self.string(last) if last.kind == "string" else None


class Report:
    """Findings as they are met. A hint may be a function: it is asked only for findings that are kept."""

    def __init__(self, tree: Tree, file: str) -> None:
        self.tree = tree
        self.file = file
        self.met: dict[tuple[int, str], tuple[str, str, str | Callable[[], str]]] = {}

    def add(
        self,
        code: str,
        at: Node | int,
        message: str,
        hint: str | Callable[[], str] = "",
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        """Note one finding at a node or byte offset; the first of one code at one place is kept."""
        offset = at if isinstance(at, int) else at.start
        self.met.setdefault((offset, code), (severity, message, hint))

    def findings(self, most: int = FINDINGS_MAX) -> list[Finding]:
        """In the order of the text. Past `most` errors are kept first, and a last finding counts those left out."""
        chosen = sorted(self.met.items(), key=lambda item: (item[1][0] != "error", item[0]))[:most]
        shown = []
        for (offset, code), (severity, message, hint) in sorted(chosen):
            line, column = self.tree.place(offset)
            shown.append(
                Finding(
                    code=code,
                    severity="error" if severity == "error" else "warning",
                    where=Where(file=self.file, line=line, column=column),
                    message=message,
                    hint=hint if isinstance(hint, str) else hint(),
                )
            )
        return at_most(shown, left_out=len(self.met) - len(chosen))


def short(text: str, length: int = 60) -> str:
    """A piece of the checked text, made fit for a message."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def too_deep(source: bytes, depth: int) -> int | None:
    """Offset of the first bracket or block nested deeper than `depth`, or None; strings and comments don't count."""
    if sum(source.count(word) for word in (b"(", b"{", b"[", b"function", b"if", b"do", b"repeat")) <= depth:
        return None
    level = 0
    tokens = _TOKENS.finditer(source)
    while True:
        for match in tokens:
            kind = match.lastgroup
            if kind == "open":
                level += 1
                if level > depth:
                    return match.start()
            elif kind == "close":
                level -= 1
            elif kind == "long":
                closing = b"]" + match["long"] + b"]"
                end = source.find(closing, match.end())
                if end < 0:
                    return None  # unfinished: the compiler says so
                tokens = _TOKENS.finditer(source, end + len(closing))
                break
        else:
            return None


def parse(source: bytes) -> Tree:
    """The tree of a text, parsed in a process of its own; ParserLost where that did not survive the text.

    Call it only on text that is short, shallow and accepted by the compiler. Where the parser can't read it, the tree
    has `error_at` and no nodes but the chunk.
    """
    error_at, kinds, starts, ends, parents = PARSER.parse(source)
    no_children: list[Node] = []  # shared by all leaves: half of the nodes
    nodes = [Node("chunk", starts[0], ends[0], None, [])]
    for kind, start, end, above in islice(zip(kinds, starts, ends, parents, strict=True), 1, None):
        parent = nodes[above]
        node = Node(kind, start, end, parent, no_children if kind in LEAVES else [])
        parent.children.append(node)
        nodes.append(node)
    return Tree(source, nodes, error_at)


def _unescape(match: re.Match[str]) -> str:
    if match["x"]:
        return chr(int(match["x"][1:], 16))
    if match["u"]:
        code = int(match["u"], 16)
        return chr(code) if code < 0x110000 else "\ufffd"
    if match["d"]:
        return chr(int(match["d"]) % 256)
    if match["z"]:
        return ""
    return _SIMPLE_ESCAPES.get(match["c"], match["c"])
