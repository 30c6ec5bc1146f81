"""JSON Logic as others read it, turned into the strict JSON Logic of conditions here."""

from __future__ import annotations

from collections.abc import Callable

from ritesmith.migrate.draft import literal
from ritesmith.migrate.source import Notes
from ritesmith.models import JSON, Expression

_SAME = frozenset({"<", "<=", ">", ">=", "in", "*", "/", "cat", "and", "or"})
_EQUAL = {"==": "==", "===": "==", "!=": "!=", "!==": "!="}
_BOOLEAN = frozenset({"==", "!=", "<", "<=", ">", ">=", "and", "or", "!", "in"})
KNOWN = frozenset(
    {"missing_some", "%", "merge", "map", "filter", "reduce", "all", "some", "none", "substr", "log", "method"}
)
"""Operators of JSON Logic that have no counterpart."""


class LostError(Exception):
    """A part of a condition has no counterpart; the text says which."""


Resolve = Callable[[str], Expression]
"""The expression for a path of the source; LostError where there is none."""


def condition(logic: JSON, resolve: Resolve, notes: Notes, at: str) -> Expression:
    """A condition of the source as one here, what differs reported. `false` where it could not be carried over.

    That is also what it came to there: an operator that is not known made a condition false.
    """
    try:
        found = expression(logic, resolve)
    except LostError as error:
        notes.lost(at, f"the condition is never true: {error}")
        return False
    if not is_boolean(found):
        notes.changed(at, "the condition must give true or false; there, text and numbers counted as true too")
    if _mixes(logic):
        message = "values of different types fail the step when compared; there, they were converted"
        notes.once("changed", at, message)
    return found


def is_boolean(found: Expression) -> bool:
    """Whether an expression gives true or false by its form."""
    if isinstance(found, bool):
        return True
    return isinstance(found, dict) and len(found) == 1 and next(iter(found)) in _BOOLEAN


def expression(logic: JSON, resolve: Resolve) -> Expression:
    """A part of JSON Logic as an expression; LostError where it has no counterpart."""
    if isinstance(logic, list):
        return [expression(each, resolve) for each in logic]
    if not isinstance(logic, dict):
        return logic
    if len(logic) != 1:
        return literal(logic)
    name, argument = next(iter(logic.items()))
    if name == "var":
        return _var(argument, resolve)
    operands = argument if isinstance(argument, list) else [argument]
    if name == "missing":
        return {"missing": [_path(each, resolve) for each in operands]}
    if name in _EQUAL or name in _SAME or name in ("!", "+", "-", "if", "?:", "!!", "min", "max"):
        return _operation(name, [expression(each, resolve) for each in operands])
    if name in KNOWN:
        raise LostError(f"the operator {name!r} has no counterpart in an expression")
    raise LostError(f"the operator {name!r} is not one of JSON Logic")


def _operation(name: str, operands: list[Expression]) -> Expression:
    count = len(operands)
    if name in _EQUAL and count == 2:
        return {_EQUAL[name]: operands}
    if (name in ("<", "<=") and count in (2, 3)) or (name in (">", ">=", "in", "/") and count == 2):
        return {name: operands}
    if name in ("cat", "*", "+") and count >= 1:
        return {name: operands}
    if name == "-" and count in (1, 2):
        return {name: operands}
    if name in ("and", "or") and count >= 1:
        if not all(map(_may_be_boolean, operands)):
            raise LostError(f"{name!r} takes only true and false here, and one of its operands is something else")
        return {name: operands}
    if name == "!" and count == 1:
        if not _may_be_boolean(operands[0]):
            raise LostError("'!' takes only true and false here")
        return {"!": operands}
    if name == "!!" and count == 1:
        if is_boolean(operands[0]):
            return operands[0]
        raise LostError("'!!' asks whether a value counts as true, and only true and false do here")
    if name in ("if", "?:") and count >= 2:
        return {"if": operands if count % 2 else [*operands, None]}
    if name in ("min", "max") and count >= 1:
        found = operands[0]
        for each in operands[1:]:
            found = {"if": [{"<" if name == "min" else ">": [found, each]}, found, each]}
        return found
    raise LostError(f"{name!r} has {count} operands, and none such is offered here")


def _var(argument: JSON, resolve: Resolve) -> Expression:
    operands = argument if isinstance(argument, list) else [argument]
    if not operands or len(operands) > 2:
        raise LostError(f"'var' has {len(operands)} operands")
    found = resolve(_text(operands[0]))
    if len(operands) == 2 and isinstance(found, dict) and "var" in found:
        path = found["var"] if isinstance(found["var"], str) else found["var"][0]
        return {"var": [path, expression(operands[1], resolve)]}
    return found


def _path(argument: JSON, resolve: Resolve) -> str:
    found = resolve(_text(argument))
    path = found.get("var") if isinstance(found, dict) else None
    if isinstance(path, list):
        path = path[0]
    if not isinstance(path, str):
        raise LostError(f"'missing' asks for {argument!r}, which is no path here")
    return path


def _text(path: JSON) -> str:
    if isinstance(path, int) and not isinstance(path, bool):
        return str(path)
    if not isinstance(path, str):
        raise LostError("'var' has a path that is computed")
    if not path:
        raise LostError("'var' asks for everything at once, which no reference does here")
    return path


def _may_be_boolean(operand: Expression) -> bool:
    if isinstance(operand, dict) and len(operand) == 1:
        return next(iter(operand)) in _BOOLEAN | {"var", "if"}
    return isinstance(operand, bool)


def _mixes(logic: JSON) -> bool:
    """Whether a value is compared in a way in which its type was converted before."""
    if isinstance(logic, list):
        return any(map(_mixes, logic))
    if not isinstance(logic, dict):
        return False
    return any(name in ("==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/") for name in logic) or any(
        map(_mixes, logic.values())
    )
