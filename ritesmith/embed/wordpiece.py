"""Texts to token ids, as BERT does it: words and signs, then the longest known piece of each, again and again.

The method and the vocabulary are those of bert-base-uncased (Apache-2.0, https://github.com/google-research/bert,
`tokenization.py`).
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

CLASS, SEPARATOR, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
LETTERS_MOST = 100
"""A longer word is unknown as a whole."""
CJK = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F)),
    *((0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


class WordPiece:
    """The tokeniser with one vocabulary: a file of pieces, one a line, whose number is its line."""

    def __init__(self, vocabulary: Path) -> None:
        pieces = vocabulary.read_text(encoding="utf-8").split("\n")
        self.vocabulary = {piece: number for number, piece in enumerate(pieces) if piece}

    def ids(self, text: str, most: int) -> list[int]:
        """The ids of a text between those of its begin and end, at most so many in all."""
        found: list[int] = []
        for word in words(text):
            found += self._pieces(word)
            if len(found) >= most - 2:
                break
        return [self.vocabulary[CLASS], *found[: most - 2], self.vocabulary[SEPARATOR]]

    def _pieces(self, word: str) -> list[int]:
        unknown = [self.vocabulary[UNKNOWN]]
        if len(word) > LETTERS_MOST:
            return unknown
        found: list[int] = []
        start = 0
        while start < len(word):
            head = "##" if start else ""
            for end in range(len(word), start, -1):
                number = self.vocabulary.get(head + word[start:end])
                if number is not None:
                    break
            else:
                return unknown
            found.append(number)
            start = end
        return found


def words(text: str) -> list[str]:
    """Lower case and without accents; a sign, and a character of Chinese, is a word of its own."""
    apart: list[str] = []
    for letter in text:
        kind = unicodedata.category(letter)
        if letter in "\t\n\r" or kind == "Zs":
            apart.append(" ")
        elif letter in ("\0", "\ufffd") or kind.startswith("C"):
            continue
        elif any(low <= ord(letter) <= high for low, high in CJK):
            apart.append(f" {letter} ")
        else:
            apart.append(letter)
    found: list[str] = []
    for word in "".join(apart).split():
        plain = (each for each in unicodedata.normalize("NFD", word.lower()) if unicodedata.category(each) != "Mn")
        found += "".join(f" {each} " if _is_sign(each) else each for each in plain).split()
    return found


def _is_sign(letter: str) -> bool:
    code = ord(letter)
    ascii_sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_sign or unicodedata.category(letter).startswith("P")
