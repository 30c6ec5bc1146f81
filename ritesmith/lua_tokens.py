"""Lua text to one line of tokens: what is left when layout and comments are taken away."""

from __future__ import annotations

import re

TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>--\[(?P<c>=*)\[.*?\](?P=c)\]|--[^\n]*)
  | (?P<long>\[(?P<l>=*)\[.*?\](?P=l)\])
  | (?P<quoted>"(?:\\\r?\n|\\.|[^"\\\n])*"|'(?:\\\r?\n|\\.|[^'\\\n])*')
  | (?P<number>0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][+-]?[0-9]+)?|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>\.\.\.|\.\.|==|~=|<=|>=|//|::|<<|>>|.)
    """,
    re.VERBOSE | re.DOTALL,
)


def one_line(source: str) -> str:
    """The tokens of a Lua text, one space apart; a string over several lines keeps them."""
    return " ".join(
        match[0]
        for match in TOKEN.finditer(source)
        if match.lastgroup is None or not (match["space"] or match["comment"])
    )
