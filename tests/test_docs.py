"""The README's terminal session and Python example are executed; what they print is compared with what stands there."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click import Command, Group

from ritesmith.cli.commands import ritesmith as command_tree
from ritesmith.settings import load_settings

README = Path(__file__).parent.parent / "README.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def session(text):
    """The commands of a console block, each with the output that follows it."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def steady(text):
    """A text without what differs from run to run: run ids, times, durations and their bars, digests, and fuel."""
    for pattern, word in (
        (r"\br[0-9a-f]{10}\b", "RUN"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"\b\d+(\.\d+)? m?s\b", "DURATION"),
        (r"\b\d\.\d{3}\b", "SECONDS"),
        (r"\([0-9a-f]{12}\)", "(DIGEST)"),
        (r"fuel \d+", "fuel N"),
        (r" +[█░][█░ ]*", " BAR "),
    ):
        text = re.sub(pattern, word, text)
    return [line.rstrip() for line in text.strip().splitlines()]


def test_the_session_prints_what_the_readme_shows(tmp_path):
    environment = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(README.parent), "PYTHONIOENCODING": "utf-8"}
    for name in ("OPENAI_API_KEY", "RITESMITH_LLM_BASE_URL", "OPENAI_BASE_URL", "RITESMITH_DB"):
        environment.pop(name, None)
    meant = {}
    [console] = blocks("console")
    commands = session(console)
    assert len(commands) == 6
    for command, expected in commands:
        for shown, actual in meant.items():
            command = command.replace(shown, actual)
        words = shlex.split(command)
        assert words[0] == "ritesmith"
        done = subprocess.run(
            [sys.executable, "-m", "ritesmith", *words[1:]],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert steady(done.stdout) == steady(expected), command
        pairs = zip(
            re.findall(r"\br[0-9a-f]{10}\b", expected), re.findall(r"\br[0-9a-f]{10}\b", done.stdout), strict=True
        )
        meant.update(pairs)


def test_the_python_example_prints_what_its_comment_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    [example] = blocks("python")
    expected = re.search(r"print\(.*\)  # (.*)", example)[1]
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == expected


def test_the_settings_are_settings(tmp_path):
    [example] = [each for each in blocks("toml") if "[http]" in each]
    (tmp_path / "ritesmith.toml").write_text(example)
    assert set(tomllib.loads(example)) >= {"http", "email", "sql", "files", "llm"}
    assert load_settings(tmp_path).files["reports"].write


def test_every_file_that_the_readme_links_to_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert len(links) > 5
    assert [link for link in links if not (README.parent / link).exists()] == []


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
