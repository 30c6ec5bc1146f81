"""Plans of project-smith: which steps run side by side, what placeholders become, and runs of the result."""

from __future__ import annotations

import pytest
from foreign import app, brought, clock, end, project, service
from test_migrate_asl import write

from ritesmith.errors import InvalidInput
from ritesmith.migrate import Options, migrate

__all__ = ["app", "clock", "project", "service"]


def step(id, *after, tool="tool", function=None, inputs=None, **more):
    made = {"id": id, "tool": tool, "function": function or f"f{id}", "inputs": inputs or {}, "depends_on": list(after)}
    return made | {"retry": 0, "on_fail": "halt", "timeout": 45} | more


def plan(*steps, **more):
    return {"status": "success", "nodes": list(steps), "final_output_node": steps[-1]["id"] if steps else 0, **more}


def imported(definition, known=False):
    return migrate("smith-dag", definition, Options(name="imported.p", known=lambda name: known))


def nodes_of(made):
    return {node["id"]: node for node in made.workflow["nodes"]}


def told(made, severity):
    return [f"{each.at} {each.message}" for each in made.report if each.severity == severity]


def shape(made):
    """The workflow as a word: steps in a row, branches in brackets."""
    nodes = nodes_of(made)

    def walk(id, until):
        parts = []
        while id != until:
            node = nodes[id]
            if node["kind"] == "end":
                break
            if node["kind"] == "split":
                parts.append("[" + " | ".join(walk(each["start"], node["join"]) for each in node["branches"]) + "]")
                id = nodes[node["join"]]["next"]
            else:
                parts.append(id if "document" not in node["capability"] else "+")
                id = node["next"]
        return " ".join(parts)

    return walk(made.workflow["start"], None)


GRAPHS = {
    "one": ([step(0)], "f0", 0),
    "row": ([step(0), step(1, 0), step(2, 1)], "f0 f1 f2", 0),
    "diamond": ([step(0), step(1, 0), step(2, 0), step(3, 1, 2)], "f0 [f1 | f2] f3", 0),
    "two rows": ([step(0), step(1), step(2, 0), step(3, 1), step(4, 2, 3)], "[f0 f2 + | f1 f3 +] f4", 0),
    "apart": ([step(0), step(1)], "[f0 | f1]", 0),
    "row that is skipped": ([step(0), step(1, 0), step(2, 0, 1)], "f0 f1 f2", 0),
    "crossing": ([step(0), step(1), step(2, 0), step(3, 0, 1), step(4, 2, 3)], "[f0 | f1] [f2 | f3] f4", 1),
    "full levels": ([step(0), step(1), step(2, 0, 1), step(3, 0, 1), step(4, 2, 3)], "[f0 | f1] [f2 | f3] f4", 0),
    "nested": (
        [step(0), step(1), step(2, 1), step(3, 1), step(4, 2, 3), step(5, 0, 4)],
        "[f0 | f1 [f2 | f3] f4 +] f5",
        0,
    ),
}


@pytest.mark.parametrize(("steps", "expected", "losses"), GRAPHS.values(), ids=GRAPHS)
def test_what_waits_for_nothing_of_each_other_runs_side_by_side(app, steps, expected, losses):
    made = imported(plan(*steps), known=True)
    assert shape(made) == expected
    assert sum("which it did not depend on" in each for each in told(made, "changed")) == losses


def random_graph(random, count):
    return [step(n, *sorted(random.sample(range(n), random.randint(0, min(n, 3))))) for n in range(count)]


@pytest.mark.parametrize("seed", range(40))
def test_every_step_comes_after_all_that_it_waits_for(seed):
    import random

    steps = random_graph(random.Random(seed), random.Random(seed).randint(1, 14))
    made = imported(plan(*steps), known=True)
    nodes = nodes_of(made)
    before = {}

    def walk(id, until, done):
        """Visit the nodes from one to another; what is done before each, and after all."""
        while id != until and nodes[id]["kind"] != "end":
            node = nodes[id]
            if node["kind"] == "split":
                ends = [walk(each["start"], node["join"], set(done)) for each in node["branches"]]
                done = set().union(*ends)
                id = nodes[node["join"]]["next"]
            else:
                assert id not in before, f"seed {seed}: {id} comes twice"
                before[id] = set(done)
                done.add(id)
                id = node["next"]
        return done

    walk(made.workflow["start"], None, set())
    for each in steps:
        assert {f"f{one}" for one in each["depends_on"]} <= before[f"f{each['id']}"], f"seed {seed}"


PLACEHOLDERS = {
    "whole": ("{{STEPS.0}}", {"var": "nodes.f0.output"}),
    "path": ("{{STEPS.0.result.items[0].url}}", {"var": "nodes.f0.output.result.items.0.url"}),
    "text": (
        "see {{STEPS.0.a}} and {{ STEPS.0.b }}",
        {"cat": ["see ", {"var": "nodes.f0.output.a"}, " and ", {"var": "nodes.f0.output.b"}]},
    ),
    "default": ('{{STEPS.0.a | default: "none"}}', {"var": ["nodes.f0.output.a", "none"]}),
    "default number": ("{{STEPS.0.a | default: 5}}", {"var": ["nodes.f0.output.a", 5]}),
    "no such step": ("{{STEPS.9}}", ""),
    "not waited for": ("{{STEPS.2.a}}", ""),
    "other words": ("{{city}}", "{{city}}"),
    "plain": ({"in": ["a", "b"]}, {"literal": {"in": ["a", "b"]}}),
    "nested": ({"q": ["{{STEPS.0}}", 1]}, {"q": [{"var": "nodes.f0.output"}, 1]}),
}


@pytest.mark.parametrize(("value", "expected"), PLACEHOLDERS.values(), ids=PLACEHOLDERS)
def test_placeholders_become_references(value, expected):
    made = imported(plan(step(0), step(1, 0, inputs={"x": value}), step(2, 1)), known=True)
    assert nodes_of(made)["f1"]["with"] == {"x": expected}
    assert len(made.lost) == (expected in ("", "{{city}}"))


def test_a_plan_runs_with_retries_and_what_may_fail(app, clock, tmp_path):
    definition = plan(
        step(0, tool="shop", function="fetch_amd", inputs={"symbol": "AMD"}, on_fail="continue"),
        step(1, tool="shop", function="fetch_intel", inputs={"symbol": "INTC"}, on_fail="continue", retry=2),
        step(2, 0, 1, tool="shop", function="merge", inputs={"amd": "{{STEPS.0.price}}", "intel": "{{STEPS.1.price}}"}),
        step(3, 2, tool="shop", function="report", inputs={"text": "{{STEPS.2.text}}!"}),
    )
    write(app, tmp_path, "shop.fetch_amd", 'fail("down", "no answer")')
    busy = 'if context.attempt < 3 then fail("busy", "later", { retryable = true }) end return { price = 21.5 }'
    write(app, tmp_path, "shop.fetch_intel", busy)
    write(app, tmp_path, "shop.merge", 'return { text = tostring(input.amd) .. " and " .. tostring(input.intel) }')
    write(app, tmp_path, "shop.report", 'return { said = input.text or "" }')
    report = brought(app, tmp_path, "smith-dag", definition, name="imported.p", accept_loss=False)
    assert report["written"], report["report"]
    view = end(app, clock, "imported.p", {})
    assert (view.status, view.output) == ("succeeded", {"said": "nil and 21.5!"})


def test_a_step_that_must_not_fail_ends_the_run(app, clock, tmp_path):
    definition = plan(step(0, tool="shop", function="fetch"), step(1, 0, tool="shop", function="use"))
    write(app, tmp_path, "shop.fetch", 'fail("down", "no answer")')
    write(app, tmp_path, "shop.use", "return { used = true }")
    brought(app, tmp_path, "smith-dag", definition, name="imported.p", accept_loss=False)
    assert end(app, clock, "imported.p", {}).error["code"] == "down"


def test_what_ran_in_a_branch_is_read_after_it(app, clock, tmp_path):
    definition = plan(
        step(0, tool="t", function="a"),
        step(1, tool="t", function="b"),
        step(2, 0, tool="t", function="c", inputs={"of": "{{STEPS.0.n}}"}),
        step(
            3, 1, 2, tool="t", function="d", inputs={"a": "{{STEPS.0.n}}", "b": "{{STEPS.1.n}}", "c": "{{STEPS.2.n}}"}
        ),
    )
    for name, code in {"a": "return { n = 1 }", "b": "return { n = 2 }", "c": "return { n = input.of + 10 }"}.items():
        write(app, tmp_path, f"t.{name}", code)
    write(app, tmp_path, "t.d", "return json.object{ given = input }")
    brought(app, tmp_path, "smith-dag", definition, name="imported.p", accept_loss=False)
    assert end(app, clock, "imported.p", {}).output == {"given": {"a": 1, "b": 2, "c": 11}}


def test_a_tool_without_a_capability_is_a_draft_and_a_loss():
    made = imported(plan(step(0, tool="google_search", function="search", inputs={"query": "x"})))
    assert list(made.capabilities) == ["google_search.search"]
    assert 'fail("not_implemented"' in made.capabilities["google_search.search"]
    assert ["google_search.search" in each for each in told(made, "lost")] == [True]


WRONG = {
    "failed plan": ({"status": "error", "nodes": [step(0)]}, "planning failed"),
    "no step": ({"nodes": []}, "there is no step"),
    "circle": (plan(step(0, 1), step(1, 0)), "wait for each other"),
    "unknown dependency": (plan(step(0, 7)), "there is no such step"),
    "twice": (plan(step(0), step(0)), "stands twice"),
    "final": (plan(step(0), final_output_node=9), "there is no step 9"),
    "id": (plan(step(True)), "an id is a number"),
    "no tool": ({"nodes": [{"id": 0}]}, "$.nodes[0].tool"),
}


@pytest.mark.parametrize(("definition", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_plan_is_refused(definition, words):
    with pytest.raises(InvalidInput) as error:
        imported(definition)
    assert words in str(error.value)
