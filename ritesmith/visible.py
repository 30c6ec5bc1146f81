"""Text from outside as it may be shown: nothing in it moves a cursor, hides words or turns their direction."""

from __future__ import annotations

import unicodedata

TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of writing, and so what a line seems to say."""
UNSEEN = frozenset(
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2028\u2029\u2060\u2061\u2062\u2063\u2064\u3164\ufeff\uffa0"
)
"""Characters that take no room, or break a line that nobody broke."""


def visible(text: str) -> str:
    """A text with control characters, what nobody sees, and what is no character at all, by their numbers.

    Line ends and tabs stay, and what joins letters and chooses between forms of them: joiners and the first sixteen
    variation selectors, without which scripts and emoji would fall apart. Tag characters and the other 240 selectors,
    in which a whole text can hide, are shown.
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def _shown(letter: str) -> str:
    if letter in "\n\t":
        return letter
    number = ord(letter)
    nothing = unicodedata.category(letter) in ("Cc", "Cs") or number & 0xFFFE == 0xFFFE
    hiding = 0xE0000 <= number <= 0xE0FFF
    if nothing or hiding or letter in TURNING or letter in UNSEEN:
        return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
    return letter
