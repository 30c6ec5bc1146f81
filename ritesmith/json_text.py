"""JSON texts: read more strictly than Python's own reader does, and from a path in them to its line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence

from ritesmith.models import JSON, Finding

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]|[^\s{}\[\],:"]+', re.DOTALL)
_STEPS = re.compile(r"\.|\[")


def _writer(*, sort_keys: bool) -> Callable[[JSON], str]:
    """As JSONEncoder.encode, which makes its encoder in C anew for every text: made once, it takes half the time."""
    encoder = json.JSONEncoder(sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    # Without its book of open objects a value that contains itself is a RecursionError.
    pieces = make(None, encoder.default, json.encoder.encode_basestring, None, ":", ",", sort_keys, False, False)
    return lambda value: "".join(pieces(value, 0))


compact = _writer(sort_keys=False)
"""The shortest JSON text of a value. TypeError, ValueError or RecursionError where it has none."""
canonical = _writer(sort_keys=True)
"""The same with sorted keys: one text for each value."""


class NotJSON(ValueError):
    """Why a text is no JSON, with line, column and offset where they are known."""

    def __init__(
        self,
        message: str,
        line: int | None = None,
        column: int | None = None,
        offset: int | None = None,
        *,
        twice: bool = False,
    ) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.offset = offset
        self.twice = twice
        """A key stands twice in one object."""


def parse(text: str) -> JSON:
    """The value of a JSON text; NotJSON also for keys that stand twice, numbers that are none, and half characters."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotJSON("it holds half of a surrogate pair, which is not Unicode text") from None
    except json.JSONDecodeError as error:
        raise NotJSON(f"this is not JSON: {error.msg}", error.lineno, error.colno, error.pos) from None
    except _TwiceError as error:
        raise NotJSON(str(error), _line_of_second(text), twice=True) from None
    except RecursionError:
        raise NotJSON("the JSON is nested too deeply") from None
    except ValueError as error:
        raise NotJSON(str(error)) from None
    return value


class _TwiceError(ValueError):
    pass


def _once(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = set[str]()
        twice = next(key for key, _ in pairs if key in names or names.add(key))  # type: ignore[func-returns-value]
        raise _TwiceError(f"the key {twice!r} stands twice in one object")
    return seen


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits} is too large")
    return number


def with_lines(findings: Sequence[Finding], text: str, first_line: int = 1) -> list[Finding]:
    """The findings, each with the line at which its JSON path stands in `text`, or what comes nearest above it.

    Those that have a line already, or no path, stay as they are. `text` is valid JSON, and begins on `first_line`.
    """
    wanted = {each.where.path for each in findings if each.where.path and each.where.line is None}
    if not wanted:
        return list(findings)
    offsets = _offsets(text, wanted)
    placed = []
    for each in findings:
        if each.where.path in wanted and each.where.line is None:
            at = next(offsets[path] for path in reversed(_ways(each.where.path)) if path in offsets)
            line = first_line + text.count("\n", 0, at)
            each = each.model_copy(update={"where": each.where.model_copy(update={"line": line})})
        placed.append(each)
    return placed


def _line_of_second(text: str) -> int:
    """The line of the first key that stands twice in one object, counted from 1; 1 where there is none."""
    seen: set[tuple[int, int | str]] = set()
    for offset, container, _, step in _members(text):
        if (container, step) in seen:
            return text.count("\n", 0, offset) + 1
        seen.add((container, step))
    return 1


def _offsets(text: str, wanted: set[str]) -> dict[str, int]:
    """Path -> offset, for these paths and all above them."""
    on_the_way = {way for path in wanted for way in _ways(path)}
    found = dict.fromkeys(("", "$"), max(0, text.find("{")))
    open_: list[str | None] = ["$"]
    for offset, _, depth, step in _members(text):
        del open_[depth:]
        above = open_[depth - 1]
        path = None
        if above is not None:
            names = [f"[{step}]"] if isinstance(step, int) else [f".{step}", f"['{_escaped(step)}']"]
            path = next((above + name for name in names if above + name in on_the_way), None)
        if path is not None:
            found.setdefault(path, offset)
        open_.append(path)
    return found


def _ways(path: str) -> list[str]:
    """The path and all above it, the shortest first: `$`, `$.nodes`, `$.nodes[1]`, `$.nodes[1].next`."""
    return ["", *(path[: match.start()] for match in _STEPS.finditer(path)), path]


def _escaped(key: str) -> str:
    return key.replace("\\", "\\\\").replace("'", "\\'")


def _members(text: str) -> Iterator[tuple[int, int, int, int | str]]:
    """All members of all objects and lists, in order: offset, number of the container, its depth, key or index."""
    containers: list[tuple[int, bool]] = []
    indexes: list[int] = []
    count = 0
    key: tuple[int, str] | None = None
    for match in _TOKENS.finditer(text):
        token, offset = match[0], match.start()
        if token in "}]":
            if not containers:
                return
            containers.pop()
            indexes.pop()
            continue
        if containers:
            number, is_list = containers[-1]
            if is_list:
                yield offset, number, len(containers), indexes[-1]
                indexes[-1] += 1
            elif key is None:
                key = offset, json.loads(token, strict=False) if "\\" in token else token[1:-1]
                continue
            else:
                yield key[0], number, len(containers), key[1]
                key = None
        if token in "{[":
            count += 1
            containers.append((count, token == "["))
            indexes.append(0)
