"""Conditions and references of workflows: strict JSON Logic over JSON values, evaluated and, before a run, typed.

An expression is JSON. An object with one key that is an operator's name is an operation; every other object, every
array and every plain value stands for itself, and the values inside are expressions again. `{"literal": x}` is x as
it stands, whatever x looks like. A value that isn't a list is short for a list of one: `{"!": x}` is `{"!": [x]}`.

| operator | operands | result |
|---|---|---|
| var | a path, and maybe a default | the value at the path; the default only when the path is missing, never for null |
| missing | any number of paths | array of those paths that are missing |
| == != | two of the same JSON type, or null and anything | boolean; integer and float are one type, boolean is none |
| < <= > >= | two numbers, or two strings (by code point); `<` and `<=` also three | boolean |
| and or | one or more booleans, until the answer is known | boolean |
| ! | one boolean | boolean |
| if | condition, value, (condition, value ...,) otherwise | the value of the first true condition, or the last |
| in | a string and a string, or a value and an array of the value's type or null | boolean |
| cat | one or more strings, numbers, booleans (printed as JSON) | string |
| + * | one or more numbers | number |
| - | one number (negated), or two | number |
| / | two numbers | number; an integer where two integers divide exactly (no digit is lost), otherwise a float |

`+ - *` of integers are integers. A result outside 64 bits (integers) or not finite (floats) is an error.
A path is `input`, `item`, `run`, or `nodes.<id>.output`, then names and array indexes joined by dots. A key with a dot
in it has no path. Inside two arrays or two objects, `==` takes values of different types as different.

An object that is nearly an operation is refused, not taken for data: a single key made of signs only (`===`, `&&`),
an operator in other letters (`Var`), an operator of JSON Logic that isn't offered here with a list of operands (`map`,
`max`), a usual wrong name for `var` with a path (`{"ref": "input.x"}`), and an operation with further keys beside it
where its key is `var` or made of signs. `{"literal": ...}` says that data was meant.

Where it differs from jsonlogic.com, each with the reason; `tests/test_expr_jsonlogic.py` sorts every official case:

- a missing path is an error: there it is null, and the work goes on with a value that nobody gave.
- null and empty text are there: `missing` counts them as missing there; here only the path decides, as for `var`.
- nothing is converted: text is no number and types do not mix, since a guess at what was meant hides a mistake.
- only booleans are conditions: there, 0, "" and [] are false and "0" is true, a rule that few languages share; so `and`
  and `or` always answer with a boolean.
- an if has an otherwise: there it may be left out, and the answer is null where no condition is true.
- paths are plain text: no number, nothing empty and no operation, so that every path is known before a run.
- operands are counted: there, those beyond the last that is known are ignored, as if they had been meant so.
- arrays and objects are equal by content: there, only where both are the same piece of data.
- a number is finite: there, a division by zero is infinity or not a number, which JSON can't write.
- another word is a key: an object is an operation only by a name above, so that data needs no quoting; an operator of
  JSON Logic that isn't offered here is refused where it has a list of operands, and is a key otherwise.
"""

from __future__ import annotations

import difflib
import json
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from ritesmith.errors import InvalidInput
from ritesmith.models import JSON, Finding, Schema, Where
from ritesmith.schemas import problems

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
                    yield Variable(operands[0], path_text((place, name)), len(operands) > 1)
                children = [(each, ((place, name), index)) for index, each in enumerate(operands) if index > 0]
            elif name == "missing":
                for each in argument if isinstance(argument, list) else [argument]:
                    if isinstance(each, str):
                        yield Variable(each, path_text((place, name)), True)
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


_COUNTS: Mapping[str, tuple[int, int | None]] = {
    "var": (1, 2),
    "missing": (0, None),
    "==": (2, 2),
    "!=": (2, 2),
    "<": (2, 3),
    "<=": (2, 3),
    ">": (2, 2),
    ">=": (2, 2),
    "and": (1, None),
    "or": (1, None),
    "!": (1, 1),
    "if": (3, None),
    "in": (2, 2),
    "cat": (1, None),
    "+": (1, None),
    "-": (1, 2),
    "*": (1, None),
    "/": (2, 2),
}
"""Operator -> least and most operands; None: any number."""


def _operands(name: str, argument: JSON, place: _Place) -> list[JSON]:
    operands = argument if type(argument) is list else [argument]
    problem = _count_problem(name, len(operands))
    if problem:
        raise ExpressionError(problem, operator=name, where=path_text(place))
    return operands


def _count_problem(name: str, count: int) -> str:
    least, most = _COUNTS[name]
    if count < least or (most is not None and count > most):
        wanted = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        return f"takes {wanted} operand{'' if wanted == '1' else 's'}, found {count}"
    if name == "if" and count % 2 == 0:
        return "takes condition and value in pairs and a last value for otherwise, found no otherwise"
    return ""


def _boolean(expression: JSON, scope: Mapping[str, JSON], place: _Place, depth: int, name: str) -> bool:
    value = _value(expression, scope, place, depth)
    if value is True or value is False:
        return value
    raise ExpressionError(f"wants a boolean, found {_called(value)}", operator=name, where=path_text(place))


def _var(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> JSON:
    operands = [argument] if type(argument) is str else _operands(name, argument, place)
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
    operands = _operands(name, argument, place)
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
    left, right = _values(name, argument, scope, place, depth)
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
    values = _values(name, argument, scope, place, depth)
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
    for index, each in enumerate(_operands(name, argument, place)):
        if _boolean(each, scope, (place, index), depth, name) is decisive:
            return decisive
    return not decisive


def _not(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> bool:
    (operand,) = _operands(name, argument, place)
    return not _boolean(operand, scope, place, depth, name)


def _if(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> JSON:
    operands = _operands(name, argument, place)
    for index in range(0, len(operands) - 1, 2):
        if _boolean(operands[index], scope, (place, index), depth, name):
            return _value(operands[index + 1], scope, (place, index + 1), depth)
    return _value(operands[-1], scope, (place, len(operands) - 1), depth)


def _in(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> bool:
    needle, haystack = _values(name, argument, scope, place, depth)
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
    for index, each in enumerate(_values(name, argument, scope, place, depth)):
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
    values = _values(name, argument, scope, place, depth)
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
    if name == "-" and len(values) == 1:
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


def _values(name: str, argument: JSON, scope: Mapping[str, JSON], place: _Place, depth: int) -> list[JSON]:
    operands = _operands(name, argument, place)
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
    {"missing_some", "map", "filter", "reduce", "all", "some", "none", "merge", "min", "max", "substr", "log", "method"}
    | {"xor", "not", "eq", "ne", "neq", "lt", "lte", "gt", "gte", "add", "sub", "mul", "div", "mod", "concat"}
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


# ---------------------------------------------------------------- static types

# A static type is a JSON Schema. A schema says what a value may be; where it says nothing, nothing is found here, and
# the contract check at run time has the last word. Only what can never work is an error; what may fail is a warning.


def type_of(expression: JSON, schema_at: Callable[[str], Schema | None], where: str) -> tuple[Schema, list[Finding]]:
    """Return the static type of the expression as a JSON Schema, and a finding for each part that can't be right.

    `schema_at` gives the schema of the value at a path, `{}` where it may be anything, None where there can't be one.
    `where` is the JSON path of the expression. Codes: `unknown_operator`, `operand_count`, `bad_path`,
    `unknown_reference`, `type_mismatch`, `division_by_zero`, `expression_depth`; as warnings `type_may_differ` and
    `never_equal`. A part with a finding has the type that it was meant to have, so that one slip is told once.
    """
    typer = _Typer(schema_at)
    return typer.of(expression, (None, where), 0), typer.findings


def fits(given: Schema, wanted: Schema, where: str) -> list[Finding]:
    """Findings about a value of type `given` put where `wanted` is asked for; none when it fits, or nobody can say.

    Errors (no value of the one is a value of the other): `type_mismatch`, `not_admitted`, `missing_property`,
    `unknown_property`. Warnings (some values are refused): the same thing as `type_may_differ`, `may_be_missing`.
    """
    return _fits(given, wanted, (None, where), _Effort())


class Followed(NamedTuple):
    """What a schema says about the value at the end of a path."""

    schema: Schema | None
    """None: by the schema there is no such value."""
    certain: bool
    """Every valid value has it."""
    failed_at: int
    """Where `schema` is None: index of the part that can't be."""
    names: tuple[str, ...]
    """Where `schema` is None: the names that are declared in its place."""


def follow(schema: Schema, parts: list[str]) -> Followed:
    """Walk a path down a schema. An object that declares properties has only these, unless it says otherwise.

    This is stricter than JSON Schema, where more properties are allowed until `additionalProperties` forbids them: a
    reference to a name that nobody declared is a slip more often than a wish. `"additionalProperties": true` opens it.
    """
    certain, effort = True, _Effort()
    for index, part in enumerate(parts):
        found, sure = _part(schema, part, effort)
        if found is None:
            return Followed(None, False, index, tuple(_property_names(schema, effort)))
        schema, certain = found, certain and sure
    return Followed(schema, certain, len(parts), ())


_EVERY_TYPE = frozenset({"null", "boolean", "integer", "fraction", "string", "array", "object"})
_NUMBER = frozenset({"integer", "fraction"})
_SCHEMA_TYPES: Mapping[str, frozenset[str]] = {
    **{name: frozenset({name}) for name in _EVERY_TYPE - {"fraction"}},
    "number": _NUMBER,
}
_SCHEMA_DEPTH_MAX = 40
_SCHEMA_EFFORT_MAX = 5_000


class _Effort:
    """How deep and how long a question about schemas has gone; where it is spent, the answer is 'anything'.

    A schema may refer to itself, several times at each level, so a walk without a bound need not end.
    """

    __slots__ = ("left", "level")

    def __init__(self, level: int = 0, left: list[int] | None = None) -> None:
        self.level = level
        self.left = [_SCHEMA_EFFORT_MAX] if left is None else left

    def deeper(self) -> _Effort:
        self.left[0] -= 1
        return _Effort(self.level + 1, self.left)

    @property
    def spent(self) -> bool:
        return self.level > _SCHEMA_DEPTH_MAX or self.left[0] <= 0


def types_of(schema: Schema) -> frozenset[str]:
    """The JSON types that a value of the schema may have; `fraction` is a number that is no integer."""
    return _types(schema, _Effort())


def _types(schema: Any, effort: _Effort) -> frozenset[str]:
    if schema is False:
        return frozenset()
    result = _EVERY_TYPE
    if not isinstance(schema, dict) or effort.spent:
        return result
    for part in _conjuncts(schema, effort):
        if part is False:
            return frozenset()
        if "const" in part:
            result &= {_kind(part["const"])}
        if isinstance(part.get("enum"), list):
            result &= {_kind(each) for each in part["enum"]}
        named = part.get("type")
        if isinstance(named, str):
            result &= _SCHEMA_TYPES.get(named, _EVERY_TYPE)
        elif isinstance(named, list):
            result &= frozenset().union(*(_SCHEMA_TYPES.get(each, _EVERY_TYPE) for each in named))
        for variants in _variants(part):
            result &= frozenset().union(*(_types(each, effort.deeper()) for each in variants))
    return result


def _kind(value: JSON) -> str:
    kind = _TYPES.get(type(value), "object")
    if kind == "number":
        return "integer" if value == value // 1 else "fraction"
    return kind


def _conjuncts(schema: Any, effort: _Effort) -> list[Any]:
    """The schemas that hold together: the schema itself, what `$ref` names, and the members of `allOf`."""
    if not isinstance(schema, dict):
        return [False] if schema is False else []
    together: list[Any] = [schema]
    if not effort.spent:
        if "$ref" in schema:
            together.extend(_conjuncts(_referred(schema), effort.deeper()))
        for each in schema.get("allOf", ()):
            together.extend(_conjuncts(_beneath(schema, each), effort.deeper()))
    return together


def _variants(schema: Schema) -> list[list[Any]]:
    """The lists of schemas of which one must hold: `anyOf` and `oneOf`."""
    lists = (schema.get("anyOf"), schema.get("oneOf"))
    return [[_beneath(schema, each) for each in variants] for variants in lists if isinstance(variants, list)]


def _referred(schema: Schema) -> Any:
    """What a `$ref` into `$defs` names. Other references may be anything; they are not resolved here."""
    kind, _, name = str(schema["$ref"]).removeprefix("#/").partition("/")
    definitions = schema.get(kind) if kind in ("$defs", "definitions") else None
    if not isinstance(definitions, dict) or name not in definitions:
        return {}
    return _beneath(schema, definitions[name])


def _beneath(schema: Schema, part: Any) -> Any:
    """A part of a schema, with the definitions that its references may name carried along."""
    if isinstance(part, dict):
        for kind in ("$defs", "definitions"):
            if kind in schema and kind not in part:
                part = {**part, kind: schema[kind]}
    return part


def _part(schema: Any, key: str, effort: _Effort) -> tuple[Schema | None, bool]:
    """The schema of one property or element, and whether every value has it; (None, False) where none can."""
    if not isinstance(schema, dict):
        return (None, False) if schema is False else ({}, False)
    kinds = _types(schema, effort)
    if effort.spent or not kinds & {"object", "array"}:
        return ({}, False) if effort.spent else (None, False)
    found: list[Schema] = []
    certain, denied = False, False
    for part in _conjuncts(schema, effort):
        for says, sure in _opinions(part, key, effort):
            certain = certain or sure
            if says is None:
                denied = True
            elif says != {}:
                found.append(says)
    if denied and not found:
        return None, False
    # Without a word about its type, a schema with properties is meant as an object's.
    certain = certain and (kinds == _EVERY_TYPE or len(kinds) == 1)
    if not found:
        return {}, certain
    return (found[0] if len(found) == 1 else {"allOf": found}), certain


def _opinions(part: Any, key: str, effort: _Effort) -> Iterator[tuple[Schema | None, bool]]:
    """What one schema says about a key, as (schema, None for 'none can', {} for 'anything'; every value has it)."""
    if not isinstance(part, dict):
        yield None, False
        return
    kinds = _types({"type": part["type"]}, effort) if "type" in part else _EVERY_TYPE
    if "const" in part:
        yield _constant_part(part["const"], key)
    if "object" in kinds and ("array" not in kinds or not is_index(key) or "properties" in part):
        required = key in part.get("required", ())
        properties = part.get("properties", {})
        patterns = part.get("patternProperties", {})
        if key in properties:
            yield _schema_of(_beneath(part, properties[key])), required
        elif any(re.search(pattern, key) for pattern in patterns):
            yield {}, required
        elif "additionalProperties" in part:
            yield _schema_of(_beneath(part, part["additionalProperties"])), required
        elif properties and not required and "$ref" not in part and "allOf" not in part:
            yield None, False
        elif required:
            yield {}, True
    if "array" in kinds and is_index(key) and "properties" not in part:
        first = part.get("prefixItems", [])
        index = int(key)
        if index >= part.get("maxItems", index + 1):
            yield None, False
        elif index < len(first):
            yield _schema_of(_beneath(part, first[index])), index < part.get("minItems", 0)
        else:
            yield _schema_of(_beneath(part, part.get("items", {}))), index < part.get("minItems", 0)
    elif "type" in part and "object" not in kinds:
        yield None, False
    for variants in _variants(part):
        parts = [_part(each, key, effort.deeper()) for each in variants]
        possible = [each for each, _ in parts if each is not None]
        yield (union(possible) if possible else None), len(possible) == len(parts) and all(sure for _, sure in parts)


def _schema_of(part: Any) -> Schema | None:
    if part is False:
        return None
    return part if isinstance(part, dict) else {}


def _constant_part(value: JSON, key: str) -> tuple[Schema | None, bool]:
    if isinstance(value, dict) and key in value:
        return {"const": value[key]}, True
    if isinstance(value, list) and is_index(key) and int(key) < len(value):
        return {"const": value[int(key)]}, True
    return None, False


def _property_names(schema: Any, effort: _Effort) -> list[str]:
    names: list[str] = []
    if not effort.spent:
        for part in _conjuncts(schema, effort):
            if isinstance(part, dict):
                names.extend(part.get("properties", ()))
                for variants in _variants(part):
                    for each in variants:
                        names.extend(_property_names(each, effort.deeper()))
    return list(dict.fromkeys(names))


def union(schemas: list[Schema]) -> Schema:
    """The schema of a value that one of these schemas describes."""
    # Compared by text, since Python takes 1, 1.0 and true for equal.
    different = {json.dumps(each, sort_keys=True): each for each in schemas}
    if "{}" in different:
        return {}
    return schemas[0] if len(different) == 1 else {"anyOf": list(different.values())}


def element(schema: Schema) -> Schema:
    """The type of every element of an array, whichever it is; `{}` where nobody can say, or there is none."""
    found = _element(schema, _Effort())
    return {} if found is None else found


def _element(schema: Any, effort: _Effort) -> Schema | None:
    """None where there can't be an element."""
    if effort.spent:
        return {}
    if "array" not in _types(schema, effort):
        return None
    found: list[Schema] = []
    for part in _conjuncts(schema, effort):
        choices = [[_element(each, effort.deeper()) for each in variants] for variants in _variants(part)]
        if "const" in part or isinstance(part.get("enum"), list):
            values = [part["const"]] if "const" in part else part["enum"]
            choices.append([{"const": each} for value in values if isinstance(value, list) for each in value])
        if part.get("items") is False or isinstance(part.get("items"), dict):
            choices.append([_beneath(part, each) for each in _elements(part)])
        for choice in choices:
            possible = [each for each in choice if each is not None]
            if not possible:
                return None
            found.append(union(possible))
    told = [each for each in found if each != {}]
    return told[0] if len(told) == 1 else {"allOf": told} if told else {}


def describe(schema: Schema) -> str:
    """The types of a schema as they read in a sentence: 'a number or null'."""
    kinds = types_of(schema)
    if kinds == _EVERY_TYPE:
        return "anything"
    if kinds >= _NUMBER:
        kinds = (kinds - _NUMBER) | {"number"}
    names = sorted(kinds - {"null"}) + (["null"] if "null" in kinds else [])
    spoken = [name if name == "null" else f"{'an' if name[0] in 'aeiou' else 'a'} {name}" for name in names]
    return " or ".join(spoken) if spoken else "nothing at all"


def _finding(code: str, place: _Place, message: str, hint: str = "", *, warning: bool = False) -> Finding:
    where = Where(path=path_text(place))
    return Finding(code=code, severity="warning" if warning else "error", where=where, message=message, hint=hint)


# ---------------------------------------------------------------- typing of expressions

_BOOLEAN: Schema = {"type": "boolean"}
_STRING: Schema = {"type": "string"}
_ORDERED: Schema = {"type": ["number", "string"]}
_PRINTED: Schema = {"type": ["string", "number", "boolean"]}
_SEARCHED: Schema = {"type": ["string", "array"]}


class _Typer:
    """One walk over one expression: gives each part its type and gathers the findings."""

    def __init__(self, schema_at: Callable[[str], Schema | None]) -> None:
        self.schema_at = schema_at
        self.findings: list[Finding] = []

    def of(self, expression: JSON, place: _Place, depth: int) -> Schema:
        if not isinstance(expression, dict | list):
            return {"const": expression}
        if depth >= DEPTH_MAX:
            error = _too_deep(place)
            self.findings.append(Finding(code="expression_depth", where=Where(path=error.where), message=error.problem))
            return {}
        if isinstance(expression, list):
            return _array_of([self.of(each, (place, index), depth + 1) for index, each in enumerate(expression)])
        if len(expression) == 1:
            ((name, argument),) = expression.items()
            if name in _OPERATIONS:
                return self._operation(name, argument, (place, name), depth + 1)
        problem = lookalike(expression)
        if problem is not None:
            name, text = problem
            self._error("unknown_operator", place, f"{name!r}: {text}", _LITERAL_HINT)
            return {}
        return object_of({key: self.of(each, (place, key), depth + 1) for key, each in expression.items()})

    def _error(self, code: str, place: _Place, message: str, hint: str = "") -> None:
        self.findings.append(_finding(code, place, message, hint))

    def _operation(self, name: str, argument: JSON, place: _Place, depth: int) -> Schema:
        if name == "literal":
            return _constant(argument, 0)
        operands = argument if isinstance(argument, list) else [argument]
        problem = _count_problem(name, len(operands))
        if problem:
            self._error("operand_count", place, f"{name!r} {problem}")
            return _RESULTS.get(name, {})
        if name == "var":
            schema = self._path(name, operands[0], place)
            return union([schema, self.of(operands[1], (place, 1), depth)]) if len(operands) == 2 else schema
        if name == "missing":
            for each in operands:
                self._path(name, each, place)
            return {"type": "array", "items": _STRING}
        places = [(place, index) if isinstance(argument, list) else place for index in range(len(operands))]
        schemas = [self.of(each, at, depth) for each, at in zip(operands, places, strict=True)]
        if name in ("==", "!="):
            self._comparable(name, schemas[0], schemas[1], place)
        elif name in _ORDER:
            fine = [self._wants(name, each, _ORDERED, at) for each, at in zip(schemas, places, strict=True)]
            for each in schemas[1:] if all(fine) else ():
                self._comparable(name, schemas[0], each, place)
        elif name in ("and", "or", "!"):
            for each, at in zip(schemas, places, strict=True):
                self._wants(name, each, _BOOLEAN, at)
        elif name == "if":
            for index in range(0, len(schemas) - 1, 2):
                self._wants(name, schemas[index], _BOOLEAN, places[index])
            return union([*schemas[1:-1:2], schemas[-1]])
        elif name == "in":
            self._search(name, schemas, places, place)
        elif name == "cat":
            for each, at in zip(schemas, places, strict=True):
                self._wants(name, each, _PRINTED, at)
        else:
            return self._arithmetic(name, schemas, places)
        return _RESULTS[name]

    def _path(self, name: str, path: JSON, place: _Place) -> Schema:
        problem = path_problem(path)
        if problem:
            near = difflib.get_close_matches(str(path).split(".")[0], ROOTS, n=1)
            hint = f"did you mean {near[0]!r}?" if near and near[0] not in str(path).split(".")[:1] else ""
            self._error("bad_path", place, f"{name!r}: {problem}", hint)
            return {}
        schema = self.schema_at(path)
        if schema is None:
            self._error("unknown_reference", place, f"there can be nothing at {path!r}")
            return {}
        return schema

    def _wants(self, name: str, schema: Schema, wanted: Schema, place: _Place) -> bool:
        """Whether an operand can be of a wanted type; finds what can't, and what may not."""
        kinds, allowed = types_of(schema), types_of(wanted)
        if not kinds & allowed:
            message = f"{name!r} wants {describe(wanted)}, found {describe(schema)}"
            self._error("type_mismatch", place, message)
            return False
        if kinds != _EVERY_TYPE and not kinds <= allowed:
            message = f"{name!r} wants {describe(wanted)}, found {describe(schema)}, and fails where it differs"
            self.findings.append(_finding("type_may_differ", place, message, _NULL_HINT, warning=True))
        return True

    def _comparable(self, name: str, left: Schema, right: Schema, place: _Place) -> None:
        one, other = _comparison_types(left), _comparison_types(right)
        if one and other and not one & other:
            message = f"{name!r} compares {describe(left)} with {describe(right)}"
            self._error("type_mismatch", place, message, "different types never compare; use values of one type")
        elif name in ("==", "!="):
            values, others = _finite(left), _finite(right)
            if values is not None and others is not None and not any(_same(a, b) for a in values for b in others):
                shown = ", ".join(
                    json.dumps(each, ensure_ascii=False) for each in (values if len(values) > 1 else others)
                )
                message = f"the two sides of {name!r} are never equal; possible values: {shown}"
                self.findings.append(_finding("never_equal", place, message, warning=True))

    def _search(self, name: str, schemas: list[Schema], places: list[_Place], place: _Place) -> None:
        needle, haystack = schemas
        if not self._wants(name, haystack, _SEARCHED, places[1]):
            return
        kinds = types_of(haystack)
        if kinds == {"string"}:
            self._wants(name, needle, _STRING, places[0])
        elif kinds == {"array"}:
            wanted = _comparison_types(needle)
            for each in _elements(haystack):
                found = _comparison_types(each)
                if wanted and found and not wanted & found:
                    message = f"{name!r} compares {describe(needle)} with {describe(each)}"
                    self._error("type_mismatch", place, message, "look for a value of the elements' type")
                    return

    def _arithmetic(self, name: str, schemas: list[Schema], places: list[_Place]) -> Schema:
        for each, at in zip(schemas, places, strict=True):
            self._wants(name, each, {"type": "number"}, at)
        if name == "/":
            divisor = schemas[1].get("const")
            if isinstance(divisor, int | float) and not isinstance(divisor, bool) and divisor == 0:
                self._error("division_by_zero", places[1], "division by zero")
        elif all(types_of(each) == {"integer"} for each in schemas):
            return {"type": "integer"}
        return {"type": "number"}


_NULL_HINT = "make the schema narrower, or test for null with 'if' first"
_RESULTS: Mapping[str, Schema] = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "and", "or", "!", "in"), _BOOLEAN),
    **{name: {"type": "number"} for name in "+-*/"},
    "cat": _STRING,
}


def _comparison_types(schema: Schema) -> frozenset[str]:
    """The types that a value has when it is compared: null compares with all, and a number is a number."""
    kinds = types_of(schema) - {"null"}
    return (kinds - _NUMBER) | {"number"} if kinds & _NUMBER else kinds


def _finite(schema: Schema) -> list[JSON] | None:
    """All values of the schema where it lists them, or None."""
    if "const" in schema:
        return [schema["const"]]
    return schema["enum"] if isinstance(schema.get("enum"), list) else None


def _elements(schema: Schema) -> list[Schema]:
    """The types of the elements that an array must have, or may all have."""
    items = schema.get("items")
    return [each for each in [*schema.get("prefixItems", ()), items] if isinstance(each, dict)]


def _array_of(items: list[Schema]) -> Schema:
    return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items), "maxItems": len(items)}


def object_of(properties: dict[str, Schema]) -> Schema:
    """The type of an object that has just these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _constant(value: JSON, depth: int) -> Schema:
    """The type of data: constants at the leaves, so that what is wrong with it is found at its place."""
    if depth < _SCHEMA_DEPTH_MAX:
        if isinstance(value, list):
            return _array_of([_constant(each, depth + 1) for each in value])
        if isinstance(value, dict):
            return object_of({key: _constant(each, depth + 1) for key, each in value.items()})
    return {"const": value}


# ---------------------------------------------------------------- does one type fit the other


def _fits(given: Schema, wanted: Any, place: _Place, effort: _Effort) -> list[Finding]:
    if wanted is True or wanted == {} or given == {} or effort.spent:
        return []
    if not isinstance(wanted, dict):
        return [_finding("type_mismatch", place, "no value is allowed here")]
    if "const" in given:
        return _admits(given["const"], wanted, place)
    for values in _variants(given):
        return _some_fit([_fits(each, wanted, place, effort.deeper()) for each in values], given, wanted, place)
    if isinstance(given.get("enum"), list):
        return _some_fit([_admits(each, wanted, place) for each in given["enum"]], given, wanted, place)
    kinds, allowed = types_of(given), types_of(wanted)
    if not kinds & allowed:
        return [_finding("type_mismatch", place, f"wants {describe(wanted)}, found {describe(given)}")]
    found: list[Finding] = []
    if kinds != _EVERY_TYPE and not kinds <= allowed:
        message = f"wants {describe(wanted)}, found {describe(given)}, which is refused where it differs"
        found.append(_finding("type_may_differ", place, message, _NULL_HINT, warning=True))
    for part in _conjuncts(wanted, effort):
        if part is False:
            return [_finding("type_mismatch", place, "no value is allowed here")]
        for variants in _variants(part):
            found.extend(_one_of(given, variants, place, effort))
        if "object" in kinds:
            found.extend(_object_fits(given, part, place, effort))
        if "array" in kinds:
            found.extend(_array_fits(given, part, place, effort))
    return found


def _some_fit(results: list[list[Finding]], given: Schema, wanted: Schema, place: _Place) -> list[Finding]:
    """One list of findings per possible value: all refused is an error, some refused a warning."""
    refused = [each for each in results if any(finding.severity == "error" for finding in each)]
    if not refused:
        return [finding for each in results for finding in each]
    if len(refused) == len(results):
        return refused[0]
    message = f"some of the possible values are refused: {refused[0][0].message}"
    return [_finding("type_may_differ", place, message, warning=True)]


def _one_of(given: Schema, variants: list[Any], place: _Place, effort: _Effort) -> list[Finding]:
    """One form of several must fit; the findings of the form that fits best, or one that says that none does."""
    results = [_fits(given, each, place, effort.deeper()) for each in variants]
    fitting = [each for each in results if not any(finding.severity == "error" for finding in each)]
    if fitting:
        return min(fitting, key=len)
    if len(results) == 1:
        return results[0]
    forms = "; ".join(dict.fromkeys(each[0].message for each in results))
    return [_finding("type_mismatch", place, f"fits none of the {len(results)} allowed forms: {forms}")]


def _object_fits(given: Schema, wanted: Schema, place: _Place, effort: _Effort) -> list[Finding]:
    found = []
    declared = _property_names(given, effort)
    exact = given.get("additionalProperties") is False
    for key in wanted.get("required", ()):
        schema, certain = _part(given, key, effort)
        if schema is None and (exact or declared):
            found.append(_finding("missing_property", place, f"the property {key!r} is required and not given"))
        elif not certain and declared:
            message = f"the property {key!r} is required here and may be missing"
            found.append(_finding("may_be_missing", place, message, _REQUIRED_HINT, warning=True))
    properties = wanted.get("properties", {})
    rest = _beneath(wanted, wanted.get("additionalProperties", {}))
    for key in declared:
        schema, certain = _part(given, key, effort)
        if schema is None:
            continue
        if key in properties:
            found.extend(_fits(schema, _beneath(wanted, properties[key]), (place, key), effort.deeper()))
        elif any(re.search(pattern, key) for pattern in wanted.get("patternProperties", ())):
            continue
        elif rest is False and certain:
            near = _near(key, properties)
            hint = f"did you mean {near!r}?" if near else f"known are: {', '.join(properties) or 'none'}"
            found.append(_finding("unknown_property", (place, key), f"unknown property {key!r}", hint))
        elif rest is False:
            message = f"the property {key!r} may be there, and is refused here"
            found.append(_finding("type_may_differ", (place, key), message, warning=True))
        else:
            found.extend(_fits(schema, rest, (place, key), effort.deeper()))
    return found


_REQUIRED_HINT = "name it under 'required' in the schema of its producer, or build the object with a default"


def _array_fits(given: Schema, wanted: Schema, place: _Place, effort: _Effort) -> list[Finding]:
    found = []
    first = given.get("prefixItems", [])
    wanted_first = wanted.get("prefixItems", [])
    for index, each in enumerate(first):
        element = wanted_first[index] if index < len(wanted_first) else wanted.get("items", {})
        found.extend(_fits(each, _beneath(wanted, element), (place, index), effort.deeper()))
    items = given.get("items")
    if isinstance(items, dict) and "items" in wanted and not wanted_first:
        found.extend(
            _fits(_beneath(given, items), _beneath(wanted, wanted["items"]), (place, "items"), effort.deeper())
        )
    exact = given.get("maxItems")
    if isinstance(exact, int) and exact < wanted.get("minItems", 0):
        message = f"wants {wanted['minItems']} elements or more, found {exact}"
        found.append(_finding("type_mismatch", place, message))
    return found


_TYPE_ONLY = frozenset({"type", "title", "description", "default", "examples", "$defs", "definitions"})


def _admits(value: JSON, wanted: Schema, place: _Place) -> list[Finding]:
    """Findings about a constant: its type first, then every other keyword of the schema."""
    if not {_kind(value)} & types_of(wanted):
        if "const" not in wanted and "enum" not in wanted:
            return [_finding("type_mismatch", place, f"wants {describe(wanted)}, found {_shown(value)}")]
    elif wanted.keys() <= _TYPE_ONLY:
        return []
    return [
        Finding(code="not_admitted", where=Where(path=path), message=message)
        for path, message in problems(wanted, value, root=path_text(place))
    ]


def _shown(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _near(name: str, known: Any) -> str | None:
    import difflib

    found = difflib.get_close_matches(name, list(known)[:500], n=1, cutoff=0.6)
    return found[0] if found else None
