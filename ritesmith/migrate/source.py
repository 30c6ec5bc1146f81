"""What is read of a foreign definition: every key is marked when it is read, so that none is passed over in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from ritesmith.errors import InvalidInput
from ritesmith.expr import path_text
from ritesmith.models import JSON, Value

Severity = Literal["same", "changed", "lost"]

LEVELS_MAX = 40
PROBLEMS_SHOWN = 50


class Difference(Value):
    """What became of one place of the source."""

    at: str
    """JSON path in the source."""
    severity: Severity
    """`same`: it does what it did; `changed`: it does it otherwise, as told; `lost`: it could not be carried over."""
    message: str
    became: str = ""
    """Where it is now: a node, a capability, a setting; empty where nothing is left of it."""


class Problem(NamedTuple):
    """Why a definition is not one of its kind."""

    at: str
    message: str


class Notes:
    """What is found out about one source while it is read: differences, problems, and what was not read at all."""

    def __init__(self, root: JSON, kind: str) -> None:
        self.root = root
        self.kind = kind
        self.differences: list[Difference] = []
        self.problems: list[Problem] = []
        self.read: set[str] = set()
        self.whole: set[str] = set()

    def add(self, severity: Severity, at: str, message: str, became: str = "") -> None:
        told = Difference(at=at, severity=severity, message=message, became=became)
        if told not in self.differences:
            self.differences.append(told)

    def once(self, severity: Severity, at: str, message: str, became: str = "") -> None:
        """Report what holds for many places, at the first of them."""
        if all(each.message != message for each in self.differences):
            self.add(severity, at, message, became)

    def same(self, at: str, message: str, became: str = "") -> None:
        self.add("same", at, message, became)

    def changed(self, at: str, message: str, became: str = "") -> None:
        self.add("changed", at, message, became)

    def lost(self, at: str, message: str, became: str = "") -> None:
        self.add("lost", at, message, became)

    def problem(self, at: str, message: str) -> None:
        if Problem(at, message) not in self.problems:
            self.problems.append(Problem(at, message))

    def refuse(self) -> None:
        """InvalidInput with every problem so far, if there is one."""
        if self.problems:
            found = [f"{each.at}: {each.message}" for each in self.problems[:PROBLEMS_SHOWN]]
            more = len(self.problems) - len(found)
            raise InvalidInput(
                f"this is no {self.kind} definition that can be imported: "
                + "; ".join(found)
                + f"; {more} more" * bool(more),
                hint="repair it where it comes from, or remove what is not needed, then import it again",
                problems=[each._asdict() for each in self.problems],
            )

    def unread(self) -> list[str]:
        """The paths of all keys and elements that nobody read, the highest of each."""
        found: list[str] = []
        pending: list[tuple[JSON, Any]] = [(self.root, (None, "$"))]
        while pending:
            value, place = pending.pop()
            members: list[tuple[Any, JSON]] = []
            if isinstance(value, dict):
                members = list(value.items())
            elif isinstance(value, list):
                members = list(enumerate(value))
            for key, each in reversed(members):
                path = path_text((place, key))
                if path in self.whole:
                    continue
                if path in self.read:
                    pending.append((each, (place, key)))
                else:
                    found.append(path)
        return sorted(found)

    def close(self) -> None:
        """Report every key that was not read as lost."""
        for path in self.unread():
            self.lost(path, "nothing here corresponds to this field")


class Source:
    """A part of a foreign definition, with its place. Reading a member marks it."""

    def __init__(self, value: JSON, place: Any, notes: Notes) -> None:
        self._value = value
        self._place = place
        self.notes = notes

    @staticmethod
    def of(value: JSON, kind: str) -> Source:
        """The root of a definition. InvalidInput where it is nested too deeply."""
        if _levels(value) > LEVELS_MAX:
            raise InvalidInput(f"this {kind} definition is nested deeper than {LEVELS_MAX} levels")
        return Source(value, (None, "$"), Notes(value, kind))

    @property
    def path(self) -> str:
        return path_text(self._place)

    @property
    def is_object(self) -> bool:
        return isinstance(self._value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self._value, list)

    def peek(self) -> JSON:
        """The value, without saying that it was used."""
        return self._value

    def all(self) -> JSON:
        """The value, with everything in it used."""
        self.notes.whole.add(self.path)
        self.notes.read.add(self.path)
        return self._value

    def has(self, key: str) -> bool:
        return isinstance(self._value, dict) and key in self._value

    def names(self) -> list[str]:
        return list(self._value) if isinstance(self._value, dict) else []

    def member(self, key: str) -> Source | None:
        """The member of an object, marked as read; None where there is none, or null."""
        if not isinstance(self._value, dict) or key not in self._value:
            return None
        found = Source(self._value[key], (self._place, key), self.notes)
        self.notes.read.add(found.path)
        return None if found._value is None else found

    def members(self) -> Iterator[tuple[str, Source]]:
        """Every member of an object, marked as read."""
        for key, value in self._value.items() if isinstance(self._value, dict) else ():
            found = Source(value, (self._place, key), self.notes)
            self.notes.read.add(found.path)
            yield key, found

    def elements(self) -> Iterator[Source]:
        """Every element of a list, marked as read."""
        for index, each in enumerate(self._value if isinstance(self._value, list) else ()):
            found = Source(each, (self._place, index), self.notes)
            self.notes.read.add(found.path)
            yield found

    # -------------------------------------------------------- members of a type; a wrong one is a problem

    def problem(self, message: str) -> None:
        self.notes.problem(self.path, message)

    def text(self, key: str, default: str | None = None, *, needed: bool = False) -> str | None:
        found = self._typed(key, str, "text", needed)
        return default if found is None else str(found)

    def number(self, key: str, default: float | None = None, *, needed: bool = False, least: float = 0) -> float | None:
        found = self._typed(key, int | float, "a number", needed)
        if found is None:
            return default
        if not least <= found <= 1e12:
            self.notes.problem(path_text((self._place, key)), f"a number from {least:g} is needed, found {found!r}")
            return default
        return float(found)

    def list(self, key: str, *, needed: bool = False) -> list[Source]:
        found = self.member(key)
        if found is None or not found.is_list:
            if found is not None or needed:
                self.notes.problem(path_text((self._place, key)), f"a list is needed{_found(found)}")
            return []
        return [*found.elements()]

    def object(self, key: str, *, needed: bool = False) -> Source | None:
        found = self.member(key)
        if found is None or not found.is_object:
            if found is not None or needed:
                self.notes.problem(path_text((self._place, key)), f"an object is needed{_found(found)}")
            return None
        return found

    def _typed(self, key: str, kind: Any, called: str, needed: bool) -> Any:
        found = self.member(key)
        value = None if found is None else found._value
        if isinstance(value, kind) and not isinstance(value, bool):
            return value
        if found is not None or needed:
            self.notes.problem(path_text((self._place, key)), f"{called} is needed{_found(found)}")
        return None


def shown(value: JSON, length: int = 60) -> str:
    """A value as it stands in a sentence."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _found(source: Source | None) -> str:
    return ", and there is none" if source is None else f", found {shown(source.peek())}"


def _levels(value: JSON) -> int:
    """How deep lists and objects nest; without recursion, since it is asked of anything."""
    deepest, level = 0, [value]
    while level:
        deepest += 1
        if deepest > LEVELS_MAX + 1:
            break
        level = [
            each
            for part in level
            if isinstance(part, dict | list)
            for each in (part.values() if isinstance(part, dict) else part)
        ]
    return deepest
