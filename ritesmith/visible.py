"""Text from outside as it may be shown: nothing in it moves a cursor, hides words or turns their direction."""

from __future__ import annotations

import unicodedata

TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of writing, and so what a line seems to say."""


def visible(text: str) -> str:
    """A text with control characters, and what is no character at all, by their numbers; line ends and tabs stay."""
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def _shown(letter: str) -> str:
    if letter in "\n\t":
        return letter
    number = ord(letter)
    nothing = unicodedata.category(letter) in ("Cc", "Cs") or number & 0xFFFE == 0xFFFE
    return f"\\u{number:04x}" if nothing or letter in TURNING else letter
