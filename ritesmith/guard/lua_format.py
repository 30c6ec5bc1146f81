"""Lua text to the same text in one layout: indentation, spaces and empty lines. Lines break where they did.

Works on tokens, so comments stay where they are, and every token stays as it is written. Call it on text that compiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ritesmith.lua_tokens import TOKEN

INDENT = "  "
_KEYWORDS = frozenset({
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
})  # fmt: skip
_VALUES = frozenset({"end", "nil", "true", "false"})
"""Keywords after which an expression has ended."""
_OPERATORS = frozenset({
    "+", "-", "*", "/", "//", "%", "^", "#", "&", "~", "|", "<<", ">>", "==", "~=", "<=", ">=", "<", ">", "=", "..",
    "and", "or", "not",
})  # fmt: skip
_UNARY = frozenset({"-", "~", "#", "not"})
_CLOSERS = frozenset({"end", "until", "else", "elseif", ")", "}", "]"})
_OPENERS = {"(": ")", "{": "}", "[": "]"}


@dataclass
class _Token:
    kind: str
    """comment, long, quoted, number, name or sign."""
    text: str
    line: int
    """Of the output, from 0: lines break where they did."""
    blank_before: bool = False
    unary: bool = False
    glued: str = ""
    """`before`, `after` or `both`: where no space may stand."""

    @property
    def is_comment(self) -> bool:
        return self.kind == "comment"

    @property
    def is_name(self) -> bool:
        return self.kind == "name" and self.text not in _KEYWORDS

    @property
    def ends_value(self) -> bool:
        """Whether an expression may end with it."""
        if self.kind == "name":
            return self.is_name or self.text in _VALUES
        return self.kind in ("long", "quoted", "number") or self.text in (")", "]", "}", "...")


@dataclass
class _Open:
    """A bracket, block or head of a block that is not closed yet."""

    word: str
    indent: int
    """Of the line where it was opened: its closer stands there again."""
    hanging: bool = False
    """A bracket after which the line ends."""
    head: bool = False
    """Between `if` and `then`, `for` or `while` and `do`, `function` and the end of its parameters."""


def format_lua(source: str) -> str:
    """The text in the one layout, ending in one newline; empty for a text without a token.

    Two spaces a level; spaces around binary operators and inside braces, none inside parentheses and before a call's
    brackets; at most one empty line in a row. The tokens are those of `source`, in their order.

    >>> format_lua("if a==1   then return{b=2}\\nend")
    'if a == 1 then return { b = 2 }\\nend\\n'
    """
    tokens = _tokens(source)
    lines: dict[int, list[_Token]] = {}
    for token in tokens:
        lines.setdefault(token.line, []).append(token)
    layout = _Layout()
    written: list[str] = []
    for line in lines.values():
        if line[0].blank_before and written:
            written.append("")
        written.append(INDENT * layout.indent_of(line) + _joined(line))
    text = "".join(f"{line}\n" for line in written)
    if [(each.kind, each.text) for each in tokens] != [(each.kind, each.text) for each in _tokens(text)]:
        raise AssertionError("the formatter would change what the text says")
    return text


def _tokens(source: str) -> list[_Token]:
    tokens: list[_Token] = []
    line, blank, labels = 0, False, 0
    for match in TOKEN.finditer(source):
        kind = next(name for name in ("space", "comment", "long", "quoted", "number", "name", "sign") if match[name])
        if kind == "space":
            breaks = match[0].count("\n")
            line += min(breaks, 1)
            blank = breaks > 1
            continue
        text = match[0].rstrip() if kind == "comment" else match[0]
        token = _Token(kind, text, line, blank and (not tokens or tokens[-1].line < line))
        before = next((each for each in reversed(tokens) if not each.is_comment), None)
        if text in _UNARY and kind in ("sign", "name"):
            token.unary = before is None or not before.ends_value
        if kind == "sign" and text == "::":
            labels += 1
            token.glued = "after" if labels % 2 else "before"
        tokens.append(token)
        blank = False
    for first, name, last in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (first.text, last.text) == ("<", ">") and name.text in ("const", "close"):
            first.glued, last.glued = "after", "before"
    return tokens


def _joined(line: list[_Token]) -> str:
    text = line[0].text
    for left, right in pairwise(line):
        text += _gap(left, right) + right.text
    return text


def _gap(left: _Token, right: _Token) -> str:
    a, b = left.text, right.text
    if left.is_comment or right.is_comment:
        return " "
    if left.glued == "after" or right.glued == "before":
        return ""
    if b in (",", ";"):
        return ""
    if b in (")", "]"):  # two brackets in a row would begin or end a long string
        return " " if b == "]" and left.kind == "long" else ""
    if a in ("(", "["):
        return " " if a == "[" and right.kind == "long" else ""
    if a == "{" or b == "}":
        return "" if (a, b) == ("{", "}") else " "
    if a in (".", ":") or b in (".", ":"):
        return ""
    if left.unary and a != "not":
        return " " if a == b == "-" else ""
    if b in ("(", "["):
        called = left.is_name or left.kind in ("long", "quoted") or a in (")", "]", "}")
        return "" if called or (a == "function" and b == "(") else " "
    if b == "{":
        return "" if left.is_name or a in (")", "]", "}") else " "
    return " "


class _Layout:
    """How far each line is indented, line by line from the first."""

    def __init__(self) -> None:
        self.open: list[_Open] = []
        self.before: _Token | None = None
        """The last token that is no comment."""
        self.begins = True
        """Whether a statement begins with the next token, whatever it is."""

    def indent_of(self, line: list[_Token]) -> int:
        """The levels of the next line."""
        indent = self._indent(line[0])
        code = [token for token in line if not token.is_comment]
        for token in code:
            self._take(token, indent, last=token is code[-1])
        return indent

    def _indent(self, first: _Token) -> int:
        top = self.open[-1] if self.open else None
        closes = first.kind in ("sign", "name") and not first.is_name
        if top is not None and closes and (first.text in _CLOSERS or (top.head and first.text in ("then", "do"))):
            return top.indent
        base = 0 if top is None else top.indent + 1
        if self.begins or (top is not None and top.head):
            return base
        if top is not None and top.word in _OPENERS:
            between = self.before is not None and self.before.text in (*_OPENERS, ",", ";")
            return base + (top.hanging and not between and not first.is_comment)
        return base + self._goes_on(first)

    def _goes_on(self, first: _Token) -> bool:
        """Whether a line that begins so belongs to the statement before it."""
        before = self.before
        if before is None:
            return False
        if before.text in _OPERATORS or before.text in (",", ".", ":", "local", "return", "in", "goto", "function"):
            return before.kind in ("sign", "name")
        if first.is_comment:
            return False
        if first.kind == "name":
            return first.text in ("and", "or", "not", "in")
        return first.kind != "sign" or first.text not in (";", "::")

    def _take(self, token: _Token, indent: int, *, last: bool) -> None:
        text = token.text if token.kind in ("sign", "name") else ""
        top = self.open[-1] if self.open else None
        self.begins = text in (";", "then", "else", "do", "repeat")
        if text in _OPENERS:
            self.open.append(_Open(text, indent, hanging=last))
        elif text in ("if", "for", "while", "function"):
            self.open.append(_Open(text, indent, head=True))
        elif text == "repeat" or (text == "do" and (top is None or not top.head)):
            self.open.append(_Open(text, indent))
        elif text in ("then", "do") and top is not None:
            top.head = False
        elif text == "elseif" and top is not None:
            top.head = True
        elif text in (")", "}", "]", "end", "until") and self.open:
            self.open.pop()
            if text == ")" and self.open and self.open[-1].word == "function" and self.open[-1].head:
                self.open[-1].head = False
                self.begins = True
        self.before = token
