"""The child that parses: reads Lua texts, writes their trees as numbers. A script of its own, started by `lua_parser`.

The parser is C code that reads hostile text; here it can fall without taking anything with it. This file imports
nothing of ritesmith. Frames, both ways: length (4 bytes, big-endian), then the payload. First the names of the node
kinds, as JSON; then for each text the offset of the first error (-1: none), the count of nodes, and their kinds,
starts, ends and parents as four arrays of 32-bit numbers. Parents stand before their children, children in the order of
the text.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
from array import array
from typing import Any

MEMORY_BYTES = 1024 * 1024 * 1024
SECONDS = 60
"""Of processor time, for everything: a worker that has used it up is replaced."""
# Kinds without named parts that matter; their text says it all.
LEAVES = frozenset(
    {"identifier", "number", "string", "nil", "true", "false", "vararg_expression", "attribute", "global"}
)
DROPPED = frozenset({"comment", "comment_content", "empty_statement", "hash_bang_line"})
DECLARATIONS = ("variable_declaration", "function_declaration", "implicit_variable_declaration")


def main() -> None:
    _confine()
    sys.path.extend(sys.argv[1:])
    import tree_sitter
    import tree_sitter_lua

    language = tree_sitter.Language(tree_sitter_lua.language())
    parser = tree_sitter.Parser(language)
    kinds = [language.node_kind_for_id(each) or "" for each in range(language.node_kind_count)]
    parts = [None if kind in DROPPED else kind not in LEAVES for kind in kinds]
    _write(json.dumps(["identifier" if kind == "global" else kind for kind in kinds]).encode())
    while True:
        head = _read(4)
        if len(head) < 4:
            return
        source = _read(struct.unpack(">I", head)[0])
        _write(_flat(parser.parse(source).root_node, b"global" not in source, parts))


def _flat(root: Any, plain: bool, parts: list[bool | None]) -> bytes:
    """A tree as numbers. A walk without recursion: a chain of 20,000 additions is a tree 20,000 deep."""
    kinds, starts, ends, parents = (
        array("i", [root.kind_id]),
        array("i", [root.start_byte]),
        array("i"),
        array("i", [0]),
    )
    ends.append(root.end_byte)
    error_at = _first_error(root) if root.has_error else -1
    stack: list[tuple[Any, int]] = [] if root.has_error else [(root, 0)]
    while stack:
        raw, parent = stack.pop()
        for child in raw.named_children if plain else _with_global(raw):
            part = parts[child.kind_id]
            if part is None:
                continue
            if part:
                stack.append((child, len(kinds)))
            kinds.append(child.kind_id)
            starts.append(child.start_byte)
            ends.append(child.end_byte)
            parents.append(parent)
    return struct.pack("=ii", error_at, len(kinds)) + b"".join(
        each.tobytes() for each in (kinds, starts, ends, parents)
    )


def _with_global(raw: Any) -> list[Any]:
    """The children of a node with the names that the grammar loses: 'global' is a keyword only where it declares."""
    first = 1 if raw.type in DECLARATIONS else 0
    return [
        child
        for index, child in enumerate(raw.children)
        if child.is_named or (child.type == "global" and index >= first)
    ]


def _first_error(root: Any) -> int:
    node = root
    while True:
        for child in node.children:
            if child.is_missing or child.is_error:
                return int(child.start_byte)
            if child.has_error:
                node = child
                break
        else:
            return int(node.start_byte)


def _read(size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        more = os.read(0, size - len(parts))
        if not more:
            break
        parts += more
    return parts


def _write(payload: bytes) -> None:
    left = memoryview(struct.pack(">I", len(payload)) + payload)
    while left:
        left = left[os.write(1, left) :]


def _confine() -> None:
    import resource

    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_CPU: SECONDS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
    }
    for which, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # a stricter limit is in force already
            resource.setrlimit(which, (most, most))


if __name__ == "__main__":
    main()
