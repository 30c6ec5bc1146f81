"""Conditions and references of workflows: strict JSON Logic over JSON values, evaluated and, before a run, typed.

An expression is JSON. An object with one key that is an operator's name is an operation; every other object, every
array and every plain value stands for itself, and the values inside are expressions again. `{"literal": x}` is x as
it stands, whatever x looks like. A value that isn't a list is short for a list of one: `{"!": x}` is `{"!": [x]}`.

| operator | operands | result |
|---|---|---|
| var | a path, and maybe a default | the value at the path; the default only when the path is missing, never for null |
| missing | paths | array of those paths that are missing |
| == != | two of the same JSON type, or null and anything | boolean; integer and float are one type, boolean is none |
| < <= > >= | two numbers, or two strings (by code point); `<` and `<=` also three | boolean |
| and or | one or more booleans, until the answer is known | boolean |
| ! | one boolean | boolean |
| if | condition, value, (condition, value ...,) otherwise | the value of the first true condition, or the last |
| in | a string and a string, or a value and an array of the value's type or null | boolean |
| cat | one or more strings, numbers, booleans (printed as JSON) | string |
| + * | two or more numbers | number |
| - | one number (negated), or two | number |
| / | two numbers | number; an integer where two integers divide exactly (no digit is lost), otherwise a float |

`+ - *` of integers are integers. A result outside 64 bits (integers) or not finite (floats) is an error.
A path is `input`, `item`, `run`, or `nodes.<id>.output`, then names and array indexes joined by dots. A key with a dot
in it has no path. Inside two arrays or two objects, `==` takes values of different types as different.

An object that is nearly an operation is refused, not taken for data: a single key made of signs only (`===`, `&&`),
an operator in other letters (`Var`), an operator of JSON Logic that isn't offered here with a list of operands (`map`,
`max`), a usual wrong name for `var` with a path (`{"ref": "input.x"}`), and an operation with further keys beside it
where its key is `var` or made of signs. `{"literal": ...}` says that data was meant.

Where it differs from jsonlogic.com, it is stricter: there, what is missing is null, and nearly everything compares.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from ritesmith.errors import InvalidInput
from ritesmith.models import JSON

DEPTH_MAX = 100
"""Levels that an expression may nest."""

ROOTS = ("input", "nodes", "item", "run")


class ExpressionError(InvalidInput):
    """An expression has no value here. `operator` and `where` (a JSON path) say which part of it."""

    code = "expression_error"

    def __init__(self, problem: str, *, operator: str, where: str, hint: str = "") -> None:
        super().__init__(f"{operator!r} at {where}: {problem}", hint=hint, operator=operator, where=where)
        self.problem = problem
        self.operator = operator
        self.where = where


def evaluate(expression: JSON, scope: Mapping[str, JSON], *, where: str = "$") -> JSON:
    """Return the value of the expression.

    `scope` holds the roots `input`, `nodes` (node id -> {"output": ...}), `item` and `run`, those that exist. `where`
    is the JSON path of the expression itself, for messages. Parts of the scope are returned as they are, not copied.
    Raises ExpressionError for a missing path without default, an unknown operator, operands of the wrong or of
    different types, a wrong number of operands, division by zero, a number out of range, nesting over DEPTH_MAX.

    >>> evaluate({"+": [{"var": "input.net"}, {"var": ["input.tax", 0]}]}, {"input": {"net": 5}})
    5
    """
    return _value(expression, scope, (None, where), 0)


def holds(condition: JSON, scope: Mapping[str, JSON], *, where: str = "$") -> bool:
    """Return the value of a condition; ExpressionError where it is not a boolean, or has no value."""
    return _boolean(condition, scope, (None, where), 0, "condition")


def references(expression: JSON) -> list[str]:
    """Every path that the expression reads by `var` or asks for by `missing`, in order, repeated as often as it stands.

    Paths in defaults count; what stands in a `literal`, and an operand that is no path, does not.
    """
    return [each.path for each in variables(expression)]


class Variable(NamedTuple):
    """One path in an expression: where it stands, and whether the expression has a value without it."""

    path: str
    where: str
    optional: bool


def variables(expression: JSON, where: str = "$") -> Iterator[Variable]:
    """Every path in the expression, in order. `optional`: it has a default, or it is an operand of `missing`."""
    pending: list[tuple[JSON, _Place]] = [(expression, (None, where))]
    while pending:
        part, place = pending.pop()
        children: list[tuple[JSON, _Place]] = []
        if isinstance(part, list):
            children = [(each, (place, index)) for index, each in enumerate(part)]
        elif isinstance(part, dict):
            name, argument = next(iter(part.items())) if len(part) == 1 else ("", None)
            if name not in _OPERATIONS:
                children = [(each, (place, key)) for key, each in part.items()]
            elif name == "var":
                operands = argument if isinstance(argument, list) else [argument]
                if operands and isinstance(operands[0], str):
                    yield Variable(operands[0], path_text(place), len(operands) > 1)
                children = [(each, ((place, name), index)) for index, each in enumerate(operands) if index > 0]
            elif name == "missing":
                for each in argument if isinstance(argument, list) else [argument]:
                    if isinstance(each, str):
                        yield Variable(each, path_text(place), True)
            elif name != "literal":
                children = [(argument, (place, name))]
        pending.extend(reversed(children))


# ---------------------------------------------------------------- places and types

_Place: TypeAlias = Any
"""Where a part stands, as a linked list (place above, key), written out only when there is something to say."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def path_text(place: _Place) -> str:
    """A place as a JSON path; keys that are no names stand in brackets, as in RFC 9535: `$.when['=='][0]`."""
    keys = []
    while place[0] is not None:
        place, key = place
        if isinstance(key, int):
            keys.append(f"[{key}]")
        elif _PLAIN_KEY.match(key):
            keys.append(f".{key}")
        else:
            escaped = key.replace("\\", "\\\\").replace("'", "\\'")
            keys.append(f"['{escaped}']")
    return str(place[1]) + "".join(reversed(keys))


_TYPES: Mapping[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def _called(value: JSON) -> str:
    """The type of a value as it reads in a sentence."""
    name = _TYPES.get(type(value), type(value).__name__)
    if name == "null":
        return name
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _same(left: JSON, right: JSON) -> bool:
    """Equality of JSON values, booleans apart from numbers at every depth; without recursion, for deep data."""
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        kind = type(one)
        if _TYPES.get(kind) != _TYPES.get(type(other)):
            return False
        if kind is list:
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif kind is dict:
            if one.keys() != other.keys():
                return False
            pairs.extend((value, other[key]) for key, value in one.items())
        elif one != other:
            return False
    return True


# ---------------------------------------------------------------- evaluation

_Operation: TypeAlias = Callable[[str, JSON, Mapping[str, JSON], _Place, int], JSON]


def _value(expression: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> JSON:
    kind = type(expression)
    if kind is dict:
        if depth >= DEPTH_MAX:
            raise _too_deep(place)
        if len(expression) == 1:
            for name, argument in expression.items():
                operation = _OPERATIONS.get(name)
                if operation is not None:
                    return operation(name, argument, scope, (place, name), depth + 1)
        problem = lookalike(expression)
        if problem is not None:
            raise ExpressionError(problem[1], operator=problem[0], where=path_text(place), hint=_LITERAL_HINT)
        return {key: _value(each, scope, (place, key), depth + 1) for key, each in expression.items()}
    if kind is list:
        if depth >= DEPTH_MAX:
            raise _too_deep(place)
        return [_value(each, scope, (place, index), depth + 1) for index, each in enumerate(expression)]
    return expression


def _too_deep(place: _Place) -> ExpressionError:
    text = path_text(place)
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    return ExpressionError(f"nested deeper than {DEPTH_MAX} levels", operator="expression", where=shown)


def _operands(name: str, argument: JSON, place: _Place, least: int, most: int | None) -> list[JSON]:
    operands = argument if type(argument) is list else [argument]
    problem = count_problem(len(operands), least, most)
    if problem:
        raise ExpressionError(problem, operator=name, where=path_text(place))
    return operands


def count_problem(count: int, least: int, most: int | None) -> str:
    """What is wrong with this number of operands, or nothing."""
    if count >= least and (most is None or count <= most):
        return ""
    wanted = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
    return f"takes {wanted} operand{'' if wanted == '1' else 's'}, found {count}"


def _boolean(expression: JSON, scope: Mapping[str, JSON], place: _Place, depth: int, name: str) -> bool:
    value = _value(expression, scope, place, depth)
    if value is True or value is False:
        return value
    raise ExpressionError(f"wants a boolean, found {_called(value)}", operator=name, where=path_text(place))


def _var(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> JSON:
    operands = _operands(name, argument, place, 1, 2)
    value = _look_up(name, operands[0], scope, place)
    if value is not _ABSENT:
        return value
    if len(operands) == 2:
        return _value(operands[1], scope, (place, 1), depth)
    raise ExpressionError(
        f"there is nothing at {operands[0]!r}",
        operator=name,
        where=path_text(place),
        hint=f'give a default: {{"var": ["{operands[0]}", ...]}}',
    )


def _missing(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> JSON:
    operands = _operands(name, argument, place, 1, None)
    return [path for path in operands if _look_up(name, path, scope, place) is _ABSENT]


class _Absent:
    """The type of the mark for 'nothing there', which null is not."""


_ABSENT = _Absent()


def _look_up(name: str, path: JSON, scope: Mapping[str, JSON], place: _Place) -> JSON:
    parts = _PATHS.get(path) if type(path) is str else None
    if parts is None:
        problem = path_problem(path)
        if problem:
            raise ExpressionError(problem, operator=name, where=path_text(place))
        parts = tuple(path.split("."))
        if len(_PATHS) < _PATHS_MAX:
            _PATHS[path] = parts
    value: JSON = scope
    for part in parts:
        if type(value) is dict or isinstance(value, Mapping):
            if part not in value:
                return _ABSENT
            value = value[part]
        elif type(value) is list:
            if not is_index(part) or int(part) >= len(value):
                return _ABSENT
            value = value[int(part)]
        else:
            return _ABSENT
    return value


_PATHS: dict[str, tuple[str, ...]] = {}
_PATHS_MAX = 10_000

_INDEX = re.compile(r"(0|[1-9][0-9]{0,8})\Z")


def is_index(part: str) -> bool:
    """Whether a part of a path can be an array's index: decimal, no sign, no leading zero."""
    return _INDEX.match(part) is not None


def path_problem(path: JSON) -> str:
    """What is wrong with a path as such, or nothing."""
    if type(path) is not str:
        return f"wants a path as plain text, found {_called(path)}"
    parts = path.split(".")
    if parts[0] not in ROOTS:
        return f"the path {path!r} starts with none of {', '.join(ROOTS)}"
    if "" in parts:
        return f"the path {path!r} has an empty part"
    if parts[0] == "nodes" and (len(parts) < 3 or parts[2] != "output"):
        return f"the path {path!r} must go on as nodes.<id>.output"
    return ""


def _literal(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> JSON:
    return argument


def _equality(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> bool:
    left, right = _values(name, argument, scope, place, depth, 2, 2)
    if left is not None and right is not None and _TYPES.get(type(left)) != _TYPES.get(type(right)):
        raise _mixed(name, left, right, place)
    return _same(left, right) == (name == "==")


def _mixed(name: str, left: JSON, right: JSON, place: _Place) -> ExpressionError:
    return ExpressionError(f"compares {_called(left)} with {_called(right)}", operator=name, where=path_text(place))


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _order(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> bool:
    values = _values(name, argument, scope, place, depth, 2, 3 if name in ("<", "<=") else 2)
    kind = _TYPES.get(type(values[0]))
    for each in values:
        if _TYPES.get(type(each)) not in ("number", "string"):
            problem = f"orders numbers or strings, found {_called(each)}"
            raise ExpressionError(problem, operator=name, where=path_text(place))
        if _TYPES.get(type(each)) != kind:
            raise _mixed(name, values[0], each, place)
    before = _ORDER[name]
    return all(before(values[index], values[index + 1]) for index in range(len(values) - 1))


def _and_or(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> bool:
    decisive = name == "or"
    for index, each in enumerate(_operands(name, argument, place, 1, None)):
        if _boolean(each, scope, (place, index), depth, name) is decisive:
            return decisive
    return not decisive


def _not(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> bool:
    (operand,) = _operands(name, argument, place, 1, 1)
    return not _boolean(operand, scope, place, depth, name)


def _if(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> JSON:
    operands = _operands(name, argument, place, 3, None)
    if len(operands) % 2 == 0:
        raise ExpressionError(_NO_OTHERWISE, operator=name, where=path_text(place))
    for index in range(0, len(operands) - 1, 2):
        if _boolean(operands[index], scope, (place, index), depth, name):
            return _value(operands[index + 1], scope, (place, index + 1), depth)
    return _value(operands[-1], scope, (place, len(operands) - 1), depth)


_NO_OTHERWISE = "takes condition and value in pairs and a last value for otherwise, found no otherwise"


def _in(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> bool:
    needle, haystack = _values(name, argument, scope, place, depth, 2, 2)
    if type(haystack) is str:
        if type(needle) is not str:
            raise ExpressionError(f"looks for {_called(needle)} in a string", operator=name, where=path_text(place))
        return needle in haystack
    if type(haystack) is not list:
        problem = f"looks in an array or a string, found {_called(haystack)}"
        raise ExpressionError(problem, operator=name, where=path_text(place))
    found = False
    for each in haystack:
        if needle is not None and each is not None and _TYPES.get(type(each)) != _TYPES.get(type(needle)):
            raise _mixed(name, needle, each, place)
        found = found or _same(needle, each)
    return found


def _cat(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> str:
    pieces = []
    for index, each in enumerate(_values(name, argument, scope, place, depth, 1, None)):
        if type(each) is str:
            pieces.append(each)
        elif isinstance(each, bool | int | float):
            pieces.append(json.dumps(each))
        else:
            problem = f"joins strings, numbers and booleans, found {_called(each)} as operand {index + 1}"
            raise ExpressionError(problem, operator=name, where=path_text(place))
    return "".join(pieces)


_INTEGER_MAX = 2**63 - 1
_INTEGER_MIN = -(2**63)


def _arithmetic(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> int | float:
    values = _values(name, argument, scope, place, depth, 1 if name == "-" else 2, 2 if name in "-/" else None)
    for index, each in enumerate(values):
        if _TYPES.get(type(each)) != "number":
            problem = f"wants numbers, found {_called(each)} as operand {index + 1}"
            raise ExpressionError(problem, operator=name, where=path_text(place))
    try:
        result = _calculate(name, values)
    except ZeroDivisionError:
        raise ExpressionError("division by zero", operator=name, where=path_text(place)) from None
    except OverflowError:
        raise ExpressionError("the result is out of range", operator=name, where=path_text(place)) from None
    if type(result) is int:
        if not _INTEGER_MIN <= result <= _INTEGER_MAX:
            raise ExpressionError("the integer result needs more than 64 bits", operator=name, where=path_text(place))
        return result
    if not math.isfinite(result):
        raise ExpressionError("the result is not a finite number", operator=name, where=path_text(place))
    return float(result)


def _calculate(name: str, values: list[Any]) -> Any:
    result = values[0]
    if len(values) == 1:
        return -result
    for each in values[1:]:
        if name == "+":
            result = result + each
        elif name == "-":
            result = result - each
        elif name == "*":
            result = result * each
        elif type(result) is int and type(each) is int and each != 0 and result % each == 0:
            result = result // each
        else:
            result = result / each
    return result


def _values(
    name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int, least: int, most: int | None
) -> list[JSON]:
    operands = _operands(name, argument, place, least, most)
    return [_value(each, scope, (place, index), depth) for index, each in enumerate(operands)]


_OPERATIONS: Mapping[str, _Operation] = {
    "var": _var,
    "missing": _missing,
    "literal": _literal,
    "==": _equality,
    "!=": _equality,
    "<": _order,
    "<=": _order,
    ">": _order,
    ">=": _order,
    "and": _and_or,
    "or": _and_or,
    "!": _not,
    "if": _if,
    "in": _in,
    "cat": _cat,
    "+": _arithmetic,
    "-": _arithmetic,
    "*": _arithmetic,
    "/": _arithmetic,
}

OPERATORS = tuple(_OPERATIONS)


# ---------------------------------------------------------------- what is nearly an operation

_FOREIGN = frozenset(
    ["missing_some", "map", "filter", "reduce", "all", "some", "none", "merge", "min", "max", "substr", "log", "method"]
    + ["xor", "not", "eq", "ne", "neq", "lt", "lte", "gt", "gte", "add", "sub", "mul", "div", "mod", "concat"]
)
_WRONG_VAR = frozenset({"vars", "variable", "val", "value", "ref", "$ref", "$var", "path", "get", "from"})
_SIGNS = re.compile(r"[!-/:-@\[-^`{-~]+\Z")
_PATH_TEXT = re.compile(r"(input|item|run|nodes)(\.[A-Za-z0-9_]+)+\Z")
_LITERAL_HINT = 'use one of the operators in an object of one key, or {"literal": ...} where data is meant'


def lookalike(data: Mapping[str, JSON]) -> tuple[str, str] | None:
    """The (operator, problem) of an object that is no operation but looks like one, or None for plain data."""
    if len(data) == 1:
        for name, argument in data.items():
            if _SIGNS.match(name) or (name not in _OPERATIONS and name.strip().lower() in _OPERATIONS):
                return name, "unknown operator"
            if name in _FOREIGN and type(argument) is list:
                return name, "unknown operator"
            if name in _WRONG_VAR and type(argument) is str and _PATH_TEXT.match(argument):
                return name, "unknown operator; a reference is written as 'var'"
        return None
    for name, argument in data.items():
        if name == "var" and type(argument) is str and _PATH_TEXT.match(argument):
            return name, "an operation has one key only"
        if name in _OPERATIONS and _SIGNS.match(name):
            return name, "an operation has one key only"
    return None
