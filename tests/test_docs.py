"""What the README and docs/ show is executed, and what is made from the code is made again and compared."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import documents
import pytest
from click import Command, Group

from ritesmith import models
from ritesmith.cli.commands import ritesmith as command_tree
from ritesmith.expr import _OPERATIONS, evaluate
from ritesmith.settings import load_settings

README = Path(__file__).parent.parent / "README.md"


DOCS = README.parent / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
UNRUN_MAX = 0
"""Blocks that no test can run. Each says why; a new one is a change here."""


@pytest.fixture(scope="session")
def ready(tmp_path_factory):
    return documents.made_ready(tmp_path_factory.mktemp("ready"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_what_happens(page, tmp_path, ready):
    steps = list(documents.run(page, tmp_path, ready))
    for step in steps:
        assert step.is_as_shown, f"{page.name}:{step.line}: {step.what}\n{step.actual}"
    consoles = [block for block in documents.blocks(page.read_text(encoding="utf-8")) if block.language == "console"]
    commands = sum(f"\n{block.text}".count("\n$ ") for block in consoles if "unrun" not in block.words)
    assert sum(step.kind == "command" for step in steps) == commands


def test_the_recorded_session_is_what_happens(tmp_path):
    """All but the installation: the commands of docs/first-ten-minutes.txt again, as if they stood on a page."""
    text = (DOCS / "first-ten-minutes.txt").read_text(encoding="utf-8")
    _, _, *parts = re.split(r"^(?=\$ )", text, flags=re.MULTILINE)[1:]
    commands = "".join(part.partition("\n[")[0].rstrip("\n") + "\n" for part in parts)
    page = tmp_path / "session.md"
    page.write_text(f"```console\n{commands}```\n", encoding="utf-8")
    steps = list(documents.run(page, tmp_path))
    assert len(steps) == len(parts) > 15
    stale = [f"{step.what}\n{step.actual}" for step in steps if not step.is_as_shown]
    assert stale == [], "run: make session"


def test_tests_that_a_page_names_are_there():
    named = re.findall(r"(tests/\w+\.py)(?:::(\w+))?", "".join(page.read_text(encoding="utf-8") for page in PAGES))
    assert len(named) > 5
    for file, test in named:
        assert f"def {test}" in (README.parent / file).read_text(encoding="utf-8"), f"{file}::{test}"


def unrun(page):
    return [block for block in documents.blocks(page.read_text(encoding="utf-8")) if "unrun" in block.words]


def test_blocks_that_cannot_run_say_why_and_are_counted():
    found = [block for page in PAGES for block in unrun(page)]
    assert [block for block in found if len(block.words["unrun"]) < 10] == []
    assert len(found) == UNRUN_MAX


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_has_a_language_that_is_looked_at(page):
    known = {"console", "python", "json", "toml", "lua", "text", "sh"}
    found = documents.blocks(page.read_text(encoding="utf-8"))
    assert [(block.line, block.language) for block in found if block.language not in known] == []


def test_what_is_elided_may_be_anything_and_the_rest_must_be_as_shown():
    assert documents.matches("run r0123456789 waiting\n...\nlast\n", "run rabcdef0123 waiting\na\nb\nlast\n")
    assert documents.matches("took ... in all\n", "took 3 whole days in all\n")
    assert not documents.matches("run r0123456789 waiting\n", "run rabcdef0123 failed\n")
    assert not documents.matches("first\nlast\n", "first\nmiddle\nlast\n")


def test_the_settings_are_settings(tmp_path):
    text = (DOCS / "outside.md").read_text(encoding="utf-8")
    [example] = [each.text for each in documents.blocks(text) if each.language == "toml" and "[http]" in each.text]
    (tmp_path / "ritesmith.toml").write_text(example)
    assert set(tomllib.loads(example)) >= {"http", "email", "sql", "files", "llm"}
    assert load_settings(tmp_path).files["reports"].write


def anchors(page):
    """What may stand behind # in a link to a page, as GitHub makes it of a heading."""
    text = documents.FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_somewhere(page):
    text = documents.FENCE.sub("", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", text)
    for path, anchor in links:
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), f"{path}#{anchor}"


def test_every_page_is_linked_from_the_readme():
    text = README.read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in text] == []


def test_generated_pages_and_schemas_are_what_the_code_says():
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=README.parent,
        env={**os.environ, "PYTHONPATH": str(README.parent)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), f"run: python docs/generate.py\n{done.stdout}{done.stderr}"


def examples_of_models():
    for page in PAGES:
        for block in documents.blocks(page.read_text(encoding="utf-8")):
            for word in block.words:
                if hasattr(models, word):
                    yield page, block, getattr(models, word)


@pytest.mark.parametrize(
    ("page", "block", "model"), list(examples_of_models()), ids=lambda value: getattr(value, "__name__", "")
)
def test_an_example_of_a_model_is_one(page, block, model):
    model.model_validate_json(block.text)


def test_every_field_of_the_references_stands_in_an_example():
    shown = {}
    for _, block, model in examples_of_models():
        shown.setdefault(model.__name__, set()).update(json.loads(block.text))
    for page in ("workflow-reference.md", "capability-reference.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for mark in re.finditer(r"<!-- fields: (\w+) -->\n.*?\n.*?\n(.*?)<!-- end -->", text, re.DOTALL):
            name, fields = mark[1], set(re.findall(r"^\| `(\w+)`", mark[2], re.MULTILINE))
            if name in shown:
                assert fields <= shown[name], f"{page}: {name}"
            else:
                assert all(f'"{field}"' in text for field in fields), f"{page}: {name}"


def test_the_table_of_operators_holds_and_is_whole():
    text = (DOCS / "workflow-reference.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`)? \| .* \| `(.*)` \| `(.*)` \|$", text, re.MULTILINE)
    assert len(rows) > 10
    for _, expression, value in rows:
        assert evaluate(json.loads(expression), {"input": {"net": 100}}) == json.loads(value), expression
    named = {each for names, _, _ in rows for each in re.findall(r"`([^`]+)`", names)}
    assert named == set(_OPERATIONS)


def every_command(group, path=()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, Group):
            yield from every_command(command, (*path, name))


@pytest.mark.parametrize(("path", "command"), list(every_command(command_tree)), ids=lambda value: str(value))
def test_every_command_and_option_has_help(path, command):
    assert isinstance(command, Command)
    assert command.help, f"{' '.join(path)} has no help"
    bare = [
        each.name for each in command.params if each.param_type_name == "option" and not getattr(each, "help", None)
    ]
    assert set(bare) <= {"kind", "limit"}, f"{' '.join(path)}: options without help: {bare}"


def test_every_dependency_stands_in_the_readme_with_its_reason():
    project = tomllib.loads((README.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = README.read_text(encoding="utf-8").split("## Dependencies")[1]
    names = [re.match(r"[\w-]+", each)[0] for each in project["dependencies"]]
    assert [name for name in names if name not in table] == []
