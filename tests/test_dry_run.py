"""The dry run: every branch of a workflow is walked once, and the paths are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ritesmith.contract import capability_of
from ritesmith.dry_run import PATHS_MAX, DryRun, dry_run
from ritesmith.guard.workflow_shape import read_workflow
from ritesmith.intake import content_folder
from ritesmith.models import JSON, Contract, Workflow

TASK = {"kind": "task", "capability": "a.step"}
CONTRACTS = {
    name: Contract.model_validate({"name": name, "intent": "a step", "input": {"type": "object"}, "output": output})
    for name, output in {
        "a.step": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}},
        "a.undo": {"type": "object"},
    }.items()
}


def flow(*nodes: dict[str, Any], **more: Any) -> Workflow:
    value = {"name": "a.flow", "intent": "a flow", "start": nodes[0]["id"], "nodes": nodes, **more}
    workflow, findings = read_workflow(value)
    assert workflow is not None, findings
    return workflow


def walked(*nodes: dict[str, Any], **more: Any) -> DryRun:
    return dry_run(flow(*nodes, **more), CONTRACTS.get)


def told(run: DryRun) -> list[tuple[str, str, str]]:
    """Of each path: nodes, choices, and how it ends."""
    return [
        (
            " ".join(path.nodes),
            ", ".join(f"{each.node}: {each.choice}" for each in path.choices),
            " ".join(filter(None, (path.status, path.outcome or path.error))),
        )
        for path in run.paths
    ]


END = {"id": "done", "kind": "end", "outcome": "done"}


def test_each_case_of_a_switch_is_a_path_whatever_its_condition_says() -> None:
    condition = {"==": [1, 2]}
    run = walked(
        {
            "id": "pick",
            "kind": "switch",
            "cases": [{"when": condition, "target": "one"}, {"when": True, "target": "done"}],
            "default": "bad",
        },
        {"id": "one", **TASK, "next": "done"},
        END,
        {"id": "bad", "kind": "end", "status": "failed", "outcome": "bad"},
    )
    assert sorted(told(run)) == [
        ("pick bad", "pick: default", "failed bad"),
        ("pick done", "pick: case 2", "succeeded done"),
        ("pick one done", "pick: case 1", "succeeded done"),
    ]
    assert next(path for path in run.paths if len(path.nodes) == 3).choices[0].when == condition
    assert (run.left_out, run.not_taken, run.not_reached) == (0, (), ())


def test_answers_errors_and_time_outs_are_choices() -> None:
    run = walked(
        {"id": "ask", "kind": "approval", "prompt": "Go?", "deadline_seconds": 5, "on_reject": "done", "next": "hear"},
        {"id": "hear", "kind": "wait", "success_when": {"==": [1, 2]}, "deadline_seconds": 9, "next": "act"},
        {"id": "act", **TASK, "on_error": [{"code": "late", "target": "done"}], "next": "done"},
        END,
    )
    assert sorted(told(run)) == [
        ("ask", "ask: no answer in time", "failed approval_timeout"),
        ("ask done", "ask: rejected", "succeeded done"),
        ("ask hear", "ask: approved, hear: no answer in time", "failed wait_timeout"),
        ("ask hear", "ask: approved, hear: not successful", "failed callback_not_successful"),
        ("ask hear act done", "ask: approved", "succeeded done"),
        ("ask hear act done", "ask: approved, act: fails with late", "succeeded done"),
    ]


def test_a_failure_after_a_step_that_can_be_undone_shows_what_is_undone() -> None:
    run = walked(
        {"id": "first", **TASK, "compensation": {"capability": "a.undo"}, "next": "second"},
        {"id": "second", **TASK, "next": None},
    )
    assert told(run) == [
        ("first second", "", "succeeded"),
        ("first second first~undo", "second: fails", "compensated"),
    ]
    assert run.paths[1].undone == ("first",)


def test_a_loop_is_gone_round_once() -> None:
    run = walked(
        {"id": "try", **TASK, "next": "again"},
        {"id": "again", "kind": "switch", "cases": [{"when": True, "target": "pause"}], "default": "done"},
        {"id": "pause", "kind": "sleep", "seconds": 60, "next": "try"},
        END,
    )
    assert sorted(told(run)) == [
        ("try again done", "again: default", "succeeded done"),
        ("try again pause try#2 again#2 done", "again: case 1, again#2: default", "succeeded done"),
    ]


def test_a_path_that_only_goes_round_is_cut() -> None:
    run = walked(
        {"id": "again", "kind": "switch", "cases": [{"when": True, "target": "pause"}], "default": "pause"},
        {"id": "pause", "kind": "sleep", "seconds": 60, "next": "again"},
    )
    assert {path.status for path in run.paths} == {"cut"}


def test_branches_are_walked_one_after_the_other_and_come_together() -> None:
    run = walked(
        {
            "id": "fan",
            "kind": "split",
            "branches": [{"id": "left", "start": "a"}, {"id": "right", "start": "pick"}],
            "join": "both",
        },
        {"id": "a", **TASK, "next": "both"},
        {"id": "pick", "kind": "switch", "cases": [{"when": True, "target": "b"}], "default": "both"},
        {"id": "b", **TASK, "next": "both"},
        {"id": "both", "kind": "join", "next": "done"},
        END,
    )
    assert run.not_reached == ()
    assert [path.status for path in run.paths] == ["succeeded", "succeeded"]
    assert {choice.choice for path in run.paths for choice in path.choices} == {"case 1", "default"}


def test_a_map_is_walked_with_one_element_and_a_call_with_a_run_that_ends_well_or_badly() -> None:
    run = walked(
        {"id": "each", "kind": "map", "over": {"var": "input.list"}, "as": "x", "start": "one", "join": "all"},
        {"id": "one", **TASK, "with": {"n": {"var": "item.x"}}, "next": "all"},
        {"id": "all", "kind": "join", "next": "sub"},
        {
            "id": "sub",
            "kind": "call",
            "workflow": "b.other",
            "on_error": [{"code": "*", "target": "done"}],
            "next": "done",
        },
        END,
        input={
            "type": "object",
            "required": ["list"],
            "properties": {"list": {"type": "array", "items": {"type": "integer"}}},
        },
    )
    assert run.not_reached == ()
    assert run.paths[0].status == "succeeded"
    assert [[each.choice for each in path.choices] for path in run.paths] == [[], ["fails"]]


def test_many_switches_are_covered_though_not_every_combination_is_walked() -> None:
    count = 12
    nodes = [
        {
            "id": f"s{index}",
            "kind": "switch",
            "cases": [{"when": True, "target": f"s{index + 1}" if index + 1 < count else "done"}],
            "default": f"s{index + 1}" if index + 1 < count else "done",
        }
        for index in range(count)
    ]
    run = walked(*nodes, END)
    assert len(run.paths) == PATHS_MAX
    assert run.left_out > 0
    assert (run.not_taken, run.not_reached) == ((), ())


def test_an_expression_that_fails_on_the_stubs_is_told() -> None:
    run = walked(
        {"id": "one", **TASK, "next": "two"}, {"id": "two", **TASK, "with": {"x": {"var": "nodes.one.output.m"}}}
    )
    assert run.paths[0].status == "failed"
    assert run.paths[0].error.startswith("bad_expression: ")


def test_every_branch_of_the_bundled_workflows_is_walked() -> None:
    files = sorted((content_folder() / "workflows").glob("*.json"))
    contracts = {
        (contract := capability_of(file.read_text("utf-8"), file.name).contract).name: contract
        for file in (content_folder() / "capabilities").rglob("*.lua")
    }
    read = [read_workflow(json.loads(file.read_text("utf-8")), file.name)[0] for file in files]
    workflows = {workflow.name: workflow for workflow in read if workflow is not None}
    assert len(workflows) == len(files)
    for name, workflow in workflows.items():
        run = dry_run(workflow, contracts.get, workflows.get)
        assert (run.left_out, run.not_taken, run.not_reached) == (0, (), ()), name
        assert not any("bad_expression" in path.error or path.status == "cut" for path in run.paths), name


# ---------------------------------------------------------------- the command


def test_check_with_dry_run_prints_the_table_of_paths(cli: Any, place: Any) -> None:
    (place / "refund.json").write_text(cli("show", "orders.refund", "--source").out)
    done = cli("check", "refund.json", "--dry-run")
    assert done.code == 0
    assert "policy: case 1 (validate.amount > 100)" in done.words
    assert "compensated" in done.words

    value: JSON = cli("check", "refund.json", "--dry-run", "--json").json
    paths = value["dry_run"]["paths"]
    assert len(paths) == 11
    assert {path["outcome"] for path in paths} >= {"refunded", "rejected", "not_decided", "already_refunded"}


def test_a_capability_has_no_paths(cli: Any, place: Any) -> None:
    (place / "average.lua").write_text(cli("show", "stats.average", "--source").out)
    assert cli("check", "average.lua", "--dry-run").code == 2


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_workflow_with_errors_is_not_walked(cli: Any, place: Any, as_json: list[str]) -> None:
    (place / "bad.json").write_text(json.dumps({"name": "a.b", "intent": "bad", "start": "no", "nodes": [END]}))
    done = cli("check", "bad.json", "--dry-run", *as_json)
    assert done.code == 5
    assert "dry_run" not in done.out
