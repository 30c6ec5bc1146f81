"""How values show themselves in a session: one line in a terminal, a table in a notebook."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

ROWS_MAX = 50
TEXT_MAX = 300
_CELL = "text-align: left; vertical-align: top; padding: 2px 12px 2px 0"


class Card(NamedTuple):
    """What a value says of itself."""

    title: str
    """In one line, without the name of its class."""
    facts: Sequence[tuple[str, Any]] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()


class Shown:
    """A value with a `__repr__` that can be read, and a table for notebooks; its fields stay as they are."""

    @abstractmethod
    def _card(self) -> Card:
        """What it says of itself."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._card().title}>"

    def _repr_html_(self) -> str:
        """What a notebook shows; everything in it is escaped."""
        card = self._card()
        parts = [f"<p><b>{escape(type(self).__name__)}</b> {escape(card.title)}</p>"]
        if card.facts:
            parts.append(_table((), card.facts))
        if card.rows:
            parts.append(_table(card.head, card.rows[:ROWS_MAX]))
        if len(card.rows) > ROWS_MAX:
            parts.append(f"<p>({len(card.rows) - ROWS_MAX} more)</p>")
        return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["<table>"]
    if head:
        lines.append("<tr>" + "".join(f'<th style="{_CELL}">{escape(each)}</th>' for each in head) + "</tr>")
    lines += ["<tr>" + "".join(f'<td style="{_CELL}">{_words(each)}</td>' for each in row) + "</tr>" for row in rows]
    return "".join([*lines, "</table>"])


def escape(text: str) -> str:
    """The text for HTML."""
    import html  # which loads its table of all entities

    return html.escape(text)


def _words(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return escape(text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…")


def findings_rows(findings: Sequence[Any]) -> list[tuple[str, ...]]:
    """Findings as rows: severity, where, code, message."""
    return [(each.severity, str(each.where), each.code, each.message) for each in findings]


FINDINGS_HEAD = ("severity", "where", "code", "finding")
