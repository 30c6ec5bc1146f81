"""Words of an intent: tokens, stems, and the small word lists that reuse and compose share.

English only, and only as a brake. Nothing here decides that two intents mean the same; the lists only help
to see that they may not.
"""

from __future__ import annotations

import re
import unicodedata

STOP = frozenset(
    {
        *("a", "an", "the", "this", "that", "these", "those", "it", "its", "them", "their", "my", "our", "your", "me"),
        *(
            "i",
            "we",
            "you",
            "is",
            "are",
            "be",
            "been",
            "was",
            "were",
            "am",
            "do",
            "does",
            "did",
            "can",
            "could",
            "would",
        ),
        *(
            "should",
            "will",
            "shall",
            "may",
            "please",
            "want",
            "need",
            "like",
            "of",
            "to",
            "in",
            "on",
            "at",
            "by",
            "for",
        ),
        *(
            "from",
            "with",
            "into",
            "as",
            "per",
            "and",
            "or",
            "but",
            "so",
            "then",
            "also",
            "too",
            "which",
            "who",
            "whose",
        ),
        *("what", "how", "where", "there", "here", "some", "any", "given", "each", "every", "all", "just", "out", "up"),
        *(
            "finally",
            "next",
            "after",
            "afterwards",
            "first",
            "result",
            "using",
            "via",
            "has",
            "have",
            "let",
            "us",
            "one",
        ),
    }
)
GENERIC = frozenset(
    {
        *("give", "get", "make", "compute", "calculate", "return", "show", "find", "take", "use", "tell", "produce"),
        *(
            "determine",
            "output",
            "report",
            "work",
            "print",
            "display",
            "provide",
            "fetch",
            "obtain",
            "derive",
            "figure",
        ),
        *("function", "capability", "step", "run", "thing", "value", "data", "input", "helper"),
    }
)
"""Words that say too little to stand for an action by themselves."""

SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("parse", "read", "load"),
    ("average", "mean", "avg"),
    ("sum", "total"),
    ("delete", "remove", "drop", "discard", "erase"),
    ("filter", "keep", "select", "pick"),
    ("sort", "arrange"),
    ("convert", "turn", "transform"),
    ("save", "persist"),
    ("count", "tally"),
    ("group", "bucket"),
    ("join", "merge", "combine", "concatenate", "concat"),
    ("check", "validate", "verify"),
    ("biggest", "largest", "highest", "maximum", "max", "greatest"),
    ("smallest", "lowest", "minimum", "min", "least"),
    ("unique", "distinct", "deduplicate", "dedupe"),
    ("trim", "strip"),
    ("column", "field"),
    ("object", "dict"),
    ("list", "array"),
    ("number", "numeric"),
    ("text", "string"),
)
_IRREGULAR = {
    "mean": "mean",
    "given": "give",
    "sent": "send",
    "sold": "sell",
    "bought": "buy",
    "paid": "pay",
    "feet": "foot",
    "inches": "inch",
    "fell": "fall",
    "fallen": "fall",
    "rose": "rise",
    "risen": "rise",
    "grew": "grow",
    "written": "write",
    "wrote": "write",
    "found": "find",
    "children": "child",
    "people": "person",
    "data": "data",
    "news": "news",
    "ascending": "asc",
    "descending": "desc",
    "exceeding": "exceed",
}


def tokens(text: str) -> list[str]:
    """The words of a text, in order and lower case: camelCase and snake_case split, `x2y` read as `x to y`."""
    text = unicodedata.normalize("NFKC", text).replace("’", "'")
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).casefold()
    text = re.sub(r"\b([a-z]{2,})2([a-z]{2,})\b", r"\1 to \2", text)
    text = re.sub(r"°\s?([cf])\b", lambda found: {"c": " celsius", "f": " fahrenheit"}[found[1]], text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    found = re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)?|[<>!=]=|->|=>|[→≤≥≠<>%=]", text)
    return [word.removesuffix("'s") for word in found]


def stem(word: str) -> str:
    """A word without its common English endings; crude on purpose, the same word always gives the same stem."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return _without_e(word[: -len(ending)] + instead)
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ization", "isation", "ations", "ation", "ing", "ions", "ion", "ed", "er", "or"):
        root = word.removesuffix(ending)
        least = 5 if ending in ("er", "or") else 4 if "ion" in ending else 3
        if root != word and len(root) >= least and re.search(r"[aeiouy]", root):
            if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "lsz":
                root = root[:-1]
            return _without_e(root)
    return _without_e(word)


def _without_e(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


_GROUPS = {stem(word): stem(group[0]) for group in SYNONYMS for word in group}
_STOPPED = frozenset(STOP)
_GENERIC_STEMS = frozenset(stem(word) for word in GENERIC)


def root(word: str) -> str:
    """The stem of a word's synonym group, or its own stem."""
    own = stem(word)
    return _GROUPS.get(own, own)


def content(text: str) -> list[str]:
    """The roots of the words that carry meaning, in order, each once; stop words and numbers left out."""
    found = (root(word) for word in tokens(text) if word not in _STOPPED and word[0].isalpha())
    return list(dict.fromkeys(found))


def is_generic(word_root: str) -> bool:
    """Whether a root says too little to stand for an action by itself."""
    return word_root in _GENERIC_STEMS
