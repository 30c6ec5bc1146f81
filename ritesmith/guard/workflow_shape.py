"""JSON to workflow, or to findings about its shape: all that its model says, and nothing of what it means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ritesmith.contract import near_miss, shape_findings
from ritesmith.models import (
    JSON,
    NODE_KINDS,
    ApprovalNode,
    Branch,
    CallNode,
    Case,
    Compensation,
    EndNode,
    Finding,
    HostError,
    HostStub,
    JoinNode,
    MapNode,
    OnError,
    Retry,
    RunLimits,
    SleepNode,
    SplitNode,
    SwitchNode,
    TaskNode,
    WaitNode,
    Where,
    Workflow,
    WorkflowExample,
)


def read_workflow(value: JSON, file: str = "") -> tuple[Workflow | None, list[Finding]]:
    """Read a workflow from JSON: the workflow and no findings, or None and every finding about its shape.

    Values are taken as they are: `"5"` is no number and `true` is no integer. Codes: `workflow_shape`,
    `unknown_node_kind`. Keys that stand twice in one object are for the caller, who still has the text.
    """
    try:
        return Workflow.model_validate_json(json.dumps(value), strict=True, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, _read_findings(error, file)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the workflow cannot be read as JSON: {error}"
        return None, [Finding(code="workflow_shape", where=Where(file=file, path="$"), message=message)]


_PARTS: Mapping[str, type[BaseModel]] = {
    "task": TaskNode,
    "switch": SwitchNode,
    "sleep": SleepNode,
    "wait": WaitNode,
    "approval": ApprovalNode,
    "split": SplitNode,
    "map": MapNode,
    "join": JoinNode,
    "call": CallNode,
    "end": EndNode,
    "retry": Retry,
    "limits": RunLimits,
    "cases": Case,
    "branches": Branch,
    "on_error": OnError,
    "compensation": Compensation,
    "examples": WorkflowExample,
    "hosts": HostStub,
    "error": HostError,
}
"""Last name on the way to a value -> its model, for the names that would have been right there."""


def _read_findings(error: ValidationError, file: str) -> list[Finding]:
    findings = []
    found = shape_findings(error, code="workflow_shape", file=file)
    plain = [each for each in found if each.code == "workflow_shape"]
    for problem, told in zip(error.errors(include_url=False, include_context=False), plain, strict=False):
        location = list(problem["loc"])
        if problem["type"] == "too_short" and problem.get("input"):
            continue  # it is called empty only because its members were refused, each with a finding of its own
        change: dict[str, Any] = {}
        if problem["type"].startswith("union_tag"):
            kind = problem["input"].get("kind") if isinstance(problem["input"], dict) else None
            near = near_miss(str(kind), NODE_KINDS) if kind is not None else None
            change = {
                "code": "unknown_node_kind",
                "message": f"unknown node kind {kind!r}" if kind is not None else "the field 'kind' is missing",
                "hint": f"did you mean {near!r}?" if near else f"known are: {', '.join(NODE_KINDS)}",
            }
            if kind is not None:
                location.append("kind")
        elif problem["type"] == "extra_forbidden":
            names = [part for part in location[:-1] if isinstance(part, str)]
            known = _fields(_PARTS.get(names[-1], Workflow) if names else Workflow)
            near = near_miss(str(location[-1]), known)
            change = {"hint": f"did you mean {near!r}?" if near else f"remove it; known are: {', '.join(known)}"}
        if len(location) > 2 and location[0] == "nodes" and location[2] in NODE_KINDS:
            del location[2]  # pydantic's name for the kind; the file has no such level
        path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
        where = told.where.model_copy(update={"path": path})
        findings.append(told.model_copy(update={**change, "where": where}))
    return findings + found[len(plain) :]


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
