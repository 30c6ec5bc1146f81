"""A capability file to a value and back: one Lua file whose first comment holds the contract as JSON."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from ritesmith.errors import InvalidInput
from ritesmith.json_text import NotJSON, parse, with_lines
from ritesmith.models import Capability, Contract, Finding, Where

_ONE_OBJECT = "the comment must hold one JSON object; for one with ']]' in it write --[=[ capability ... ]=]"
FINDINGS_MAX = 100
"""What a person, and a model that repairs, can take in at a time."""
HEADER = re.compile(r"\A\s*--\[(?P<level>=*)\[\s*capability\b(?P<json>.*?)\](?P=level)\]", re.DOTALL)


def read_capability(text: str, file: str = "") -> tuple[Capability | None, list[Finding]]:
    """Read a capability file: the capability and no findings, or None and every finding about its header."""
    match = HEADER.match(text)
    if match is None:
        return None, [
            Finding(
                code="contract_missing",
                where=Where(file=file, line=1),
                message="the file does not open with a '--[[ capability' comment",
                hint="put the contract as JSON in the first comment: --[[ capability { ... } ]]",
            )
        ]
    first_line = text.count("\n", 0, match.start("json")) + 1
    try:
        header = parse(match["json"])
    except NotJSON as error:
        line = first_line + (error.line or 1) - 1
        return None, [
            Finding(
                code="contract_duplicate_key" if error.twice else "contract_not_json",
                where=Where(file=file, line=line, column=error.column),
                message=f"in the contract, {error}",
                hint="keep one of the two" if error.twice else _ONE_OBJECT,
            )
        ]
    try:
        contract = Contract.model_validate_json(json.dumps(header), strict=True, by_alias=True, by_name=False)
        return Capability(contract=contract, source=text), []
    except RecursionError:
        message = "the contract is nested too deeply"
        return None, [Finding(code="contract_not_json", where=Where(file=file, line=first_line), message=message)]
    except ValidationError as error:
        found = shape_findings(error, Contract.model_fields, code="contract_shape", file=file)
        return None, with_lines(found, match["json"], first_line)


def with_header_lines(findings: Sequence[Finding], source: str) -> list[Finding]:
    """Findings about a capability's contract, each with the line of the file at which its path stands."""
    match = HEADER.match(source)
    if match is None:
        return list(findings)
    return with_lines(findings, match["json"], source.count("\n", 0, match.start("json")) + 1)


def code_of(text: str) -> str:
    """The Lua of a capability file, without the header; the whole text where it has none."""
    match = HEADER.match(text)
    return text[match.end() if match else 0 :].strip("\n")


def capability_of(text: str, file: str = "") -> Capability:
    """Read a capability file that is known to be good; InvalidInput with the first finding where it is not."""
    capability, findings = read_capability(text, file)
    if capability is None:
        raise InvalidInput(f"{findings[0].where}: {findings[0].message}", hint=findings[0].hint)
    return capability


def shape_findings(error: ValidationError, known: Any = (), *, code: str, file: str = "") -> list[Finding]:
    """One finding per problem that pydantic saw, with the JSON path and, for an unknown field, the near miss.

    `known`: the names that a field may have, or a function from the path of an unknown one to those beside it.
    """
    findings = []
    problems = error.errors(include_url=False, include_context=False)
    for problem in problems[:FINDINGS_MAX]:
        path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
        hint = ""
        if problem["type"] == "extra_forbidden":
            name = str(problem["loc"][-1])
            near = near_miss(name, known(problem["loc"]) if callable(known) else known)
            message = f"unknown field {name!r}"
            hint = f"did you mean {near!r}?" if near else "remove it"
        elif problem["type"] == "missing":
            message = f"the field {str(problem['loc'][-1])!r} is missing"
        elif problem["type"] == "json_invalid":
            message = "it is nested too deeply"
        elif problem["type"] == "tuple_type":
            message = f"it must be a list (found {_short(problem.get('input'))})"
        elif problem["type"] == "value_error":
            message = problem["msg"].removeprefix("Value error, ")
        else:
            message = f"{problem['msg']} (found {_short(problem.get('input'))})"
            hint = odd_letter(str(problem.get("input"))) if problem["type"] == "string_pattern_mismatch" else ""
        findings.append(Finding(code=code, where=Where(file=file, path=path), message=message, hint=hint))
    return at_most(findings, left_out=len(problems) - len(findings))


def at_most(findings: Sequence[Finding], most: int = FINDINGS_MAX, *, left_out: int = 0) -> list[Finding]:
    """So many of the findings, in their order, errors before warnings where there are more; a last one counts the rest.

    `left_out` are findings that were not even made.
    """
    ranked = sorted(range(len(findings)), key=lambda index: findings[index].severity != "error")
    kept = [findings[index] for index in sorted(ranked[:most])]
    left_out += len(findings) - len(kept)
    if left_out:
        kept.append(
            Finding(
                code="findings_left_out",
                severity="error" if any(each.severity == "error" for each in findings) else "warning",
                where=Where(file=kept[0].where.file),
                message=f"{left_out} more findings are not shown",
                hint="repair these first, then check again",
            )
        )
    return kept


def odd_letter(name: str) -> str:
    """What the first letter of a name is that no name may have, as it may look like another; empty for none."""
    odd = next((letter for letter in name if not letter.isascii() or not letter.isprintable()), None)
    if odd is None:
        return ""
    return f"{odd!r} in it is {unicodedata.name(odd, f'the character U+{ord(odd):04X}')}"


def near_miss(name: str, known: Any) -> str | None:
    """The known name that `name` was most likely meant to be, or None."""
    import difflib

    found = difflib.get_close_matches(name, [str(each) for each in known], n=1, cutoff=0.6)
    return found[0] if found else None


def _short(value: Any, length: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= length else text[: length - 1] + "…"
