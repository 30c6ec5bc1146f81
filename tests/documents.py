"""The fenced blocks of a document, found, run, and compared with what the page shows.

| block | what is done with it |
|---|---|
| `console` | each line that begins with `$ ` is run by sh, and what it prints is compared with the lines below it |
| `python` | run as a program; what it prints is compared with the comments behind its `print(...)` calls |
| any, with `file=NAME` | written to that file first; unless the page does, a capability or workflow is checked here |
| ... and `refused` | the guard must refuse it |
| `json`, `toml` | parsed |
| any, with `unrun="reason"` | left alone: the reason says what it would need, and the tests count these |
| `text`, `lua` without a file | only shown (tests of their own run the examples of docs/lua.md) |

All blocks of one document share one empty folder, in the order of the page. In what is expected, `...` stands for any
text on a line, and alone on a line for any lines; run ids, times, durations and digests may differ everywhere.

`python tests/documents.py FILE...` runs documents and writes into them what has changed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent.parent
RUN_ID = re.compile(r"\br[0-9a-f]{10}\b")
COMMAND = re.compile(r"^\$ (.*(?:(?<=\\)\n.*)*)\n", re.MULTILINE)
FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=fence)[ ]*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the words behind it, its text, and where the text stands in the document."""

    language: str
    words: dict[str, str]
    text: str
    start: int
    line: int


@dataclass(frozen=True)
class Step:
    """One thing that was run: what it printed, what the page says it prints, and where that stands."""

    kind: Literal["command", "program", "check"]
    what: str
    expected: str
    actual: str
    start: int
    line: int

    @property
    def is_as_shown(self) -> bool:
        return matches(self.expected, self.actual)


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a document, in order."""
    found = []
    for each in FENCE.finditer(text):
        language, *words = shlex.split(each["info"]) or [""]
        pairs = dict(word.partition("=")[::2] for word in words)
        found.append(Block(language, pairs, each["text"], each.start("text"), text.count("\n", 0, each.start()) + 1))
    return found


def steady(text: str) -> list[str]:
    """The lines of a text without what differs from run to run, and without the width of columns."""
    for pattern, word in (
        (RUN_ID, "RUN"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"\b\d\d-\d\d \d\d:\d\d\b", "TIME"),
        (r"\b\d+(\.\d+)? (ms|min|s|h)\b", "DURATION"),
        (r"\b\d+\.\d{3}\b", "SECONDS"),
        (r"\b[0-9a-f]{12,64}\b", "DIGEST"),
        (r" +[█░][█░ ]*", " BAR "),
        (r"─+", "─"),
        (r"(?<=\S) +", " "),
    ):
        text = re.sub(pattern, word, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n").splitlines()


def matches(expected: str, actual: str) -> bool:
    """Whether a text is what was expected of it, but for what may differ and what `...` leaves out."""
    pattern = ""
    for line in steady(expected):
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(map(re.escape, line.split("..."))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in steady(actual))) is not None


def environment(home: Path) -> dict[str, str]:
    """What a new user's shell has: `ritesmith` on the path, 80 columns, no key, and an own empty home."""
    tools = home / "bin"
    tools.mkdir(parents=True, exist_ok=True)
    for name, words in (("ritesmith", f"{shlex.quote(sys.executable)} -m ritesmith"), ("python", sys.executable)):
        (tools / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        (tools / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RITESMITH_", "OPENAI_", "XDG_"))}
    return kept | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(home),
        "USER": "ann",
        "LOGNAME": "ann",
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
    }


def printed(command: list[str], folder: Path, home: Path) -> str:
    """What a command prints, talk and data as a terminal shows them. The folder's own path reads /home/ann/project."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=180,
        check=False,
    )
    return done.stdout.replace(str(folder), "/home/ann/project").replace(str(home), "/home/ann")


def run(document: Path, scratch: Path, ready: Path | None = None) -> Iterator[Step]:
    """Run every block of a document in a new folder below `scratch`; yields what each command and program printed.

    `ready` is a `scratch` with a registry in its folder, copied for a page that makes none itself: making one takes
    seconds.
    """
    folder, home = scratch / "project", scratch / "home"
    text = document.read_text(encoding="utf-8")
    if ready is not None and "$ ritesmith init" not in text:
        shutil.copytree(ready, scratch, dirs_exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    meant: dict[str, str] = {}
    """Run id on the page -> run id here."""
    for block in blocks(text):
        if "unrun" in block.words:
            continue
        if "file" in block.words:
            yield from _written(block, folder, home, text)
        elif block.language == "console":
            yield from _session(block, folder, home, meant)
        elif block.language == "python":
            program = folder / ".example.py"
            program.write_text(block.text, encoding="utf-8")
            shown = "".join(f"{line}\n" for line in re.findall(r"print\(.*\)  # (.*)", block.text))
            yield Step(
                "program",
                block.language,
                shown,
                printed([sys.executable, program.name], folder, home),
                block.start,
                block.line,
            )
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)


def made_ready(scratch: Path) -> Path:
    """A folder with a registry in it, for `run`."""
    folder = scratch / "project"
    folder.mkdir(parents=True)
    printed(["ritesmith", "init"], folder, scratch / "home")
    for each in folder.iterdir():
        if each.name != "registry.db":
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    return scratch


def _written(block: Block, folder: Path, home: Path, page: str) -> Iterator[Step]:
    file = folder / block.words["file"]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(block.text, encoding="utf-8")
    if block.language == "toml":
        tomllib.loads(block.text)
    elif re.search(rf"^\$ ritesmith (check|publish) {re.escape(file.name)}\b", page[block.start :], re.MULTILINE):
        return  # the page checks it itself
    elif '"nodes": [' in block.text or block.text.startswith("--[[ capability"):
        command = f"ritesmith check --json {shlex.quote(block.words['file'])} 2>/dev/null"
        said = json.loads(printed(["sh", "-c", command], folder, home))
        errors = [each["message"] for each in said["findings"] if each["severity"] == "error"]
        expected = "the guard refuses it" if "refused" in block.words else "no errors"
        actual = "the guard refuses it" if errors and "refused" in block.words else "; ".join(errors) or "no errors"
        yield Step("check", file.name, expected, actual, block.start, block.line)


def _session(block: Block, folder: Path, home: Path, meant: dict[str, str]) -> Iterator[Step]:
    for found, following in _with_next(list(COMMAND.finditer(block.text))):
        end = following.start() if following else len(block.text)
        expected, command = block.text[found.end() : end], found[1]
        for shown, here in meant.items():
            command = command.replace(shown, here)
        actual = printed(["sh", "-c", command], folder, home)
        known = set(meant.values())
        new = [each for each in dict.fromkeys(RUN_ID.findall(actual)) if each not in known]
        named = [each for each in dict.fromkeys(RUN_ID.findall(expected)) if each not in meant]
        meant.update(zip(named, new, strict=False))
        for number, each in enumerate(new):
            # A page that is being written says RUN1, RUN2 ... in its commands, in the order in which runs are made.
            meant.setdefault(f"RUN{len(known) + number + 1}", each)
        for shown, here in meant.items():
            if not shown.startswith("RUN"):
                actual = actual.replace(here, shown)
        line = block.line + block.text.count("\n", 0, found.start()) + 1
        yield Step("command", found[1], expected, actual, block.start + found.end(), line)


def _with_next(found: list[re.Match[str]]) -> list[tuple[re.Match[str], re.Match[str] | None]]:
    return list(zip(found, [*found[1:], None], strict=True))


def rewritten(text: str, steps: list[Step]) -> str:
    """The document with what its commands print now, where that is not what it shows."""
    for step in sorted(steps, key=lambda each: each.start, reverse=True):
        if step.kind == "command" and not step.is_as_shown:
            new = "".join(f"{line.rstrip()}\n" for line in step.actual.strip("\n").splitlines())
            text = text[: step.start] + new + text[step.start + len(step.expected) :]
    return text


def main(names: list[str]) -> int:
    wrong = 0
    for name in names:
        document = Path(name)
        old = document.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as scratch:
            steps = list(run(document, Path(scratch).resolve()))
        new = rewritten(old, steps)
        for step in steps:
            if not step.is_as_shown:
                wrong += 1
                print(f"{name}:{step.line}: {step.what}", file=sys.stderr)
                if step.kind != "command":
                    print(step.actual, file=sys.stderr)
        if new != old:
            document.write_text(new, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
