"""What an import makes: names, the nodes of a workflow, its input's schema, and the capability files that it needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ritesmith.migrate.graph import cycles_back, reachable
from ritesmith.migrate.source import Difference, Notes
from ritesmith.models import COUNT_MAX, JSON, Expression, Schema

NODE_LENGTH_MAX = 60
NAME_LENGTH_MAX = 80
NAMESPACE = "imported"
PAUSE_SECONDS = 1
"""What a loop pauses that never paused before."""
PAUSING = frozenset({"sleep", "wait", "approval"})
"""Kinds of nodes that make a loop one that pauses."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")


@dataclass(frozen=True)
class Options:
    """What a person says about an import."""

    name: str | None = None
    """The workflow's name, instead of one made from that in the source."""
    title: str = ""
    """What to make a name of where the source has none, such as its file's name."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Host, with its port, as the source has it -> what is spoken to instead."""
    more_hosts: tuple[str, ...] = ()
    """Hosts that may be spoken to where the source takes the host of a URL from data."""
    callback_url: str = ""
    """What takes callbacks and hands them to `ritesmith deliver`."""
    known: Callable[[str], bool] = lambda name: False
    """Whether there is a capability, or a workflow, of a name already."""


@dataclass(frozen=True)
class Migration:
    """What a definition became. `capabilities` by name, in the order in which they are published."""

    workflow: dict[str, JSON]
    capabilities: dict[str, str]
    report: tuple[Difference, ...]
    settings: tuple[str, ...]
    """Lines for `ritesmith.toml`, without which a step can't reach its service."""
    secrets: tuple[str, ...]

    @property
    def lost(self) -> tuple[Difference, ...]:
        return tuple(each for each in self.report if each.severity == "lost")


def slug(text: str, other: str = "x", length: int = NODE_LENGTH_MAX) -> str:
    """A text as a name of small letters, digits and underscores: `chargeCard-2` is `charge_card_2`."""
    words = "_".join(each.lower() for each in _WORDS.findall(text))
    if not words or not words[0].isalpha():
        words = f"{other}_{words}" if words else other
    return words[:length].rstrip("_")


def workflow_name(given: str, options: Options) -> str:
    """A name for what was called `given`: with its namespace if it has one, otherwise `imported.`."""
    if options.name is not None:
        return options.name
    parts = [slug(each) for each in given.split(".") if _WORDS.search(each)]
    name = ".".join(parts if len(parts) > 1 else [NAMESPACE, *(parts or ["workflow"])])
    return name if len(name) <= NAME_LENGTH_MAX else f"{NAMESPACE}.{slug(given, length=NAME_LENGTH_MAX - 20)}"


class Names:
    """Node ids for what the source names, each taken once."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def new(self, wished: str, other: str = "node") -> str:
        base = slug(wished, other)
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base[: NODE_LENGTH_MAX - len(str(number)) - 1]}_{number}"
        self.taken.add(name)
        return name


@dataclass
class Draft:
    """A workflow in the making."""

    notes: Notes
    options: Options
    name: str
    nodes: list[dict[str, JSON]] = field(default_factory=list)
    capabilities: dict[str, str] = field(default_factory=dict)
    inputs: dict[tuple[str, ...], bool] = field(default_factory=dict)
    """Path into the input that is read -> whether every run reads it."""
    plain_hosts: set[str] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    names: Names = field(default_factory=Names)

    def node(self, kind: str, id: str, **fields: Any) -> dict[str, JSON]:
        """Add a node; fields that are None are left out."""
        made = {"id": id, "kind": kind, **{key.rstrip("_"): each for key, each in fields.items() if each is not None}}
        self.nodes.append(made)
        return made

    def reads(self, path: Sequence[str], always: bool) -> None:
        """Note that a path of the input is read."""
        key = tuple(path)
        self.inputs[key] = self.inputs.get(key, False) or always

    def capability_name(self, suffix: str) -> str:
        """A name in the workflow's namespace: `imported.checkout` has `imported.checkout_post`."""
        return f"{self.name[:NAME_LENGTH_MAX]}_{suffix}"

    def pause_loops(self) -> list[tuple[str, str, str]]:
        """Put a short sleep into every loop that never pauses, since such a loop is refused; each as the node that the
        loop leads back from, the node that it leads back to, and the sleep between them."""
        by_id = {str(node["id"]): node for node in self.nodes}
        quick = {
            id: [each for each in _targets(node) if each in by_id and by_id[each]["kind"] not in PAUSING]
            for id, node in by_id.items()
            if node["kind"] not in PAUSING
        }
        back: set[tuple[str, str]] = set()
        left = dict(quick)
        while left:
            first = next(iter(left))
            back |= cycles_back(left, first)
            for each in reachable(left, first):
                left.pop(each, None)
        made = []
        for from_, to in sorted(back):
            id = self.names.new(f"{from_}_pause")
            _retarget(by_id[from_], to, id)
            self.node("sleep", id, seconds=PAUSE_SECONDS, next=to)
            made.append((from_, to, id))
        return made

    def finish(
        self,
        *,
        intent: str,
        start: str,
        retry: dict[str, JSON] | None = None,
        deadline_seconds: float | None = None,
        steps: int | None = None,
        description: str = "",
    ) -> Migration:
        """The import whole, with every field of the source that was not read among the losses."""
        self.notes.refuse()
        self.notes.close()
        limits: dict[str, JSON] = {}
        if deadline_seconds is not None:
            limits["deadline_seconds"] = deadline_seconds
        if steps is not None:
            limits["steps"] = min(steps, COUNT_MAX)
        workflow: dict[str, JSON] = {
            "name": self.name,
            "intent": intent[:500] if len(intent) >= 3 else f"what {self.name} did",
            **({"description": description} if description else {}),
            "input": input_schema(self.inputs),
            "start": start,
            **({"limits": limits} if limits else {}),
            **({"retry": retry} if retry else {}),
            "nodes": self.nodes,
        }
        settings = []
        if self.ports - {443}:
            settings.append(f"ports = {sorted(self.ports | {443})}")
        if self.plain_hosts:
            names = ", ".join(f'"{each}"' for each in sorted(self.plain_hosts))
            settings.append(f"plain = [{names}]")
        lines = ("[http]", *settings) if settings else ()
        return Migration(workflow, self.capabilities, tuple(self.notes.differences), lines, tuple(sorted(self.secrets)))


_TARGETS = ("next", "default", "start", "on_timeout")
_LISTS = (("cases", "target"), ("on_error", "target"), ("branches", "start"))
"""Where a node names those that may follow it."""


def _targets(node: Mapping[str, Any]) -> list[str]:
    lists = [each[key] for name, key in _LISTS for each in node.get(name, ())]
    return [*(node[key] for key in _TARGETS if key in node), *lists]


def _retarget(node: dict[str, Any], old: str, new: str) -> None:
    for at, key in [
        *((node, key) for key in _TARGETS),
        *((each, key) for name, key in _LISTS for each in node.get(name, ())),
    ]:
        if at.get(key) == old:
            at[key] = new


def input_schema(paths: Mapping[tuple[str, ...], bool]) -> Schema:
    """The schema of an input of which these paths are read; a path that every run reads is required."""
    tree: dict[str, Any] = {}
    for path, always in paths.items():
        at = tree
        for part in path:
            at = at.setdefault(part, {})
            at[_ALWAYS] = at.get(_ALWAYS, False) or always
    return {**_schema(tree), "type": "object"}


_ALWAYS = ""
"""No part of a path is empty, so this key of the tree is free to say whether every run reads it."""


def _schema(tree: Mapping[str, Any]) -> Schema:
    parts = {key: each for key, each in tree.items() if key != _ALWAYS}
    if not parts or all(key.isdecimal() for key in parts):
        return {}
    schema: Schema = {"type": "object"}
    required = [key for key, each in parts.items() if each.get(_ALWAYS)]
    if required:
        schema["required"] = sorted(required)
    schema["properties"] = {key: _schema(parts[key]) for key in sorted(parts)}
    schema["additionalProperties"] = True
    return schema


# ---------------------------------------------------------------- expressions


class Missing:
    """The mark of a reference without default."""


NO_DEFAULT = Missing()


def var(*parts: str, default: Expression | Missing = NO_DEFAULT) -> Expression:
    """A reference, with a default where one is given."""
    path = ".".join(parts)
    return {"var": path} if isinstance(default, Missing) else {"var": [path, default]}


def cat(pieces: Sequence[Expression]) -> Expression:
    """Text joined from pieces; plain text where they are plain."""
    joined: list[Expression] = []
    for piece in pieces:
        if piece == "":
            continue
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    if not joined:
        return ""
    return joined[0] if len(joined) == 1 and isinstance(joined[0], str) else {"cat": joined}


def literal(value: JSON) -> Expression:
    """A value that stands for itself, quoted where it could be taken for an operation."""
    return {"literal": value} if isinstance(value, dict) or (isinstance(value, list) and value) else value
