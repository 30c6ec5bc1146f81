"""The bundled workflows and the demo: each passes the guard and its examples, and its examples go everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ritesmith import hosts
from ritesmith.app import RiteSmith
from ritesmith.contract import capability_of
from ritesmith.guard.workflow_shape import read_workflow
from ritesmith.intake import content_folder
from ritesmith.models import TaskNode, Workflow, WorkflowExample
from ritesmith.rehearsal import Rehearsal, rehearse_workflow
from ritesmith.schemas import problems

FILES = sorted((content_folder() / "workflows").glob("*.json"))
NAMES = [file.stem for file in FILES]
each_workflow = pytest.mark.parametrize("name", NAMES)

DEMO = Path(hosts.__file__).parents[1] / "demo"
STORE = json.loads((DEMO / "store.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RiteSmith]:
    with RiteSmith(tmp_path_factory.mktemp("registry") / "registry.db") as made:
        made.install()
        yield made


def read(name: str) -> Workflow:
    workflow, findings = read_workflow(json.loads(FILES[NAMES.index(name)].read_text("utf-8")), name)
    assert workflow is not None, findings
    return workflow


def rehearse(app: RiteSmith, workflow: Workflow, example: WorkflowExample) -> Rehearsal:
    named = set()
    for node in workflow.nodes:
        if isinstance(node, TaskNode):
            named |= {node.capability} | ({node.compensation.capability} if node.compensation else set())
    folder = content_folder() / "capabilities"
    capabilities = {
        name: capability_of((folder / f"{name.replace('.', '/')}.lua").read_text("utf-8"), name) for name in named
    }
    return rehearse_workflow(app.sandbox, workflow, capabilities, example, published=app.library)


def test_there_are_at_least_ten() -> None:
    assert len(NAMES) >= 10


@each_workflow
def test_it_can_be_found_and_says_how_it_fails(name: str) -> None:
    workflow = read(name)
    assert workflow.name == name
    assert len({workflow.intent, *workflow.aliases}) >= 3
    assert any(example.error or example.status == "failed" for example in workflow.examples)


@each_workflow
def test_it_passes_the_guard_and_its_own_examples(app: RiteSmith, name: str) -> None:
    checked = app.check_file(FILES[NAMES.index(name)])
    assert checked.name == name
    assert [str(finding) for finding in checked.findings] == []
    assert checked.trial.passed == checked.trial.cases == len(read(name).examples) >= 3


@each_workflow
def test_its_examples_go_through_every_node_and_every_compensation(app: RiteSmith, name: str) -> None:
    workflow = read(name)
    paths = [path for example in workflow.examples for path in rehearse(app, workflow, example).path]
    gone = {path.rpartition("/")[2] for path in paths}
    wanted = {node.id for node in workflow.nodes}
    wanted |= {f"{node.id}~undo" for node in workflow.nodes if isinstance(node, TaskNode) and node.compensation}
    assert wanted - gone == set()


def test_a_refund_that_nobody_can_be_told_of_is_undone_newest_first(app: RiteSmith) -> None:
    example = WorkflowExample(input={"order_id": "ORD-1004"}, store=STORE, store_after={})
    seen = rehearse(app, read("orders.refund"), example)
    assert seen.status == "compensated"
    assert seen.error == "invalid_address"
    assert seen.path == ("validate", "policy", "refund", "mark", "notify", "mark~undo", "refund~undo")


@pytest.mark.parametrize(
    ("order_id", "status", "outcome"),
    [
        ("ORD-1001", "succeeded", "refunded"),
        ("ORD-1002", "succeeded", "refunded"),
        ("ORD-1003", "succeeded", "already_refunded"),
        ("ORD-1004", "compensated", ""),
    ],
    ids=["small", "large", "already refunded", "invalid address"],
)
def test_each_order_of_the_demo_shows_what_it_is_there_for(
    app: RiteSmith, order_id: str, status: str, outcome: str
) -> None:
    example = WorkflowExample(
        input={"order_id": order_id}, store=STORE, decisions={"approve": "approved"}, status=status, store_after={}
    )
    seen = rehearse(app, read("orders.refund"), example)
    assert seen.problems == ()
    assert seen.outcome == outcome
    assert ("approve" in seen.path) == (order_id == "ORD-1002")


def test_the_demo_examples_are_met_by_the_bundled_refund_and_the_demo_input_fits_it(app: RiteSmith) -> None:
    workflow = read("orders.refund")
    examples: list[dict[str, Any]] = json.loads((DEMO / "refund_examples.json").read_text("utf-8"))
    for example in examples:
        assert rehearse(app, workflow, WorkflowExample.model_validate(example)).problems == ()
    order = json.loads((DEMO / "order.json").read_text("utf-8"))
    assert problems(workflow.input, order) == []
    assert STORE["orders"][order["order_id"]]["amount"] > 100
