"""The verbs on files that are not published yet: begin, lay out, test, and measure them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ritesmith.errors import Conflict, InvalidInput, Rejected
from ritesmith.intake import make_folder, read_text, write_new
from ritesmith.models import JSON, Artifact, HostFunction

if TYPE_CHECKING:
    from ritesmith.checking import Checked
    from ritesmith.sandbox import Sandbox
    from ritesmith.workbench import FuelReport, Tested, Workbench

SUFFIXES = {".lua": "capabilities", ".json": "workflows"}
"""Of a capability's and of a workflow's file, and the folder in which a project keeps them."""
NOTHING_GIVEN: Any = object()


class Formatted(NamedTuple):
    """What became of a file that was to be laid out."""

    file: str
    changed: bool
    """Whether its text was, or with `check` would be, another."""


class Files(ABC):
    """What `RiteSmith` does with files. It brings the parts that are named here first."""

    @property
    @abstractmethod
    def sandbox(self) -> Sandbox:
        """The pool of workers."""

    @property
    @abstractmethod
    def catalog(self) -> Mapping[str, HostFunction]:
        """Every host function of this project."""

    @abstractmethod
    def check_text(self, text: str, file: str) -> Checked:
        """Check a capability file's or a workflow file's text."""

    @abstractmethod
    def host_function(self, name: str) -> dict[str, Any]:
        """All that one host function declares."""

    @abstractmethod
    def _usable(self, reference: str) -> Artifact:
        """What a reference means to a run or a workflow."""

    @cached_property
    def workbench(self) -> Workbench:
        """What tests and measures files; loaded when first asked."""
        from ritesmith.workbench import Workbench

        return Workbench(self)  # type: ignore[arg-type]  # which is a RiteSmith

    def new_file(
        self,
        name: str,
        *,
        workflow: bool = False,
        grants: Sequence[str] = (),
        intent: str = "",
        file: str | Path | None = None,
    ) -> Path:
        """Make the file of a new capability or workflow from a template, which passes `check_file`; return its path.

        `grants` are host functions that it calls, each granted as its declaration shows. Without `file`:
        `capabilities/orders/total.lua` or `workflows/orders.total.json` where such a folder lies here, else
        `orders.total.lua` or `.json`. Raises Conflict where there is a file already, NotFound for a host function that
        there is not, InvalidInput for a name that none can have, Rejected where the policy lets no such thing exist.

        >>> path = smith.new_file("demo.shout", intent="say it louder")
        >>> path.name, smith.check_file(path).errors
        ('demo.shout.lua', ())
        """
        if workflow and grants:
            raise InvalidInput("a workflow is granted nothing", hint="grant it to a capability that is a step of it")
        for grant in grants:
            self.host_function(grant)
        text = self.workbench.begun(name, intent, [self.catalog[each] for each in grants], workflow=workflow)
        path = Path(file) if file else _place_of(name, ".json" if workflow else ".lua")
        if not path.parent.is_dir():
            if file is not None:
                raise InvalidInput(f"there is no folder '{path.parent}'", hint="make it first")
            make_folder(path.parent)
        if not write_new(path, text.encode()):
            raise Conflict(f"'{path}' is there already", hint="choose another name, or another file with --output")
        return path

    def test_file(self, file: str | Path) -> Tested:
        """Run the examples of a capability or workflow file, each in its own throw-away world, and report.

        Of each example: whether it is met, and if not the first difference. Of the file: what the trial looked at, the
        head-room of each limit, and which lines (of a workflow: nodes) no example came to. Nothing is written.
        """
        return self.test_text(read_text(Path(file)), str(file))

    def test_text(self, text: str, file: str) -> Tested:
        """The same of the file's text; what `file` ends in tells what it is.

        >>> tested = smith.test_text(smith.details("math.clamp")["text"], "clamp.lua")
        >>> tested.passed, tested.coverage.missed
        (True, ())
        """
        return self.workbench.test(text, file)

    def fuel(self, reference: str | Path, input: JSON = NOTHING_GIVEN, *, example: int | None = None) -> FuelReport:
        """Run a file, or what is published under a name, once in a throw-away world, and tell where its fuel went.

        Without `input`: on that of its first example, or of `example` (from 1), whose world it also gets; with `input`
        alone there are no documents, and nothing that answers outside. Every instruction is counted, in its line.
        Raises InvalidInput where the input does not fit.

        >>> report = smith.fuel("math.percentage_change", {"initial": 50, "current": 75})
        >>> report.status, report.output
        ('ok', {'percent': 50.0})
        >>> max(report.parts[0].lines, key=lambda each: each.spent).line > 1
        True
        """
        given = input is not NOTHING_GIVEN
        if Path(reference).suffix in SUFFIXES:
            text, workflow = read_text(Path(reference)), Path(reference).suffix == ".json"
        else:
            artifact = self._usable(str(reference))
            text, workflow = artifact.text, artifact.kind == "workflow"
        value = input if given else None
        return self.workbench.fuel(text, str(reference), workflow=workflow, input=value, given=given, example=example)

    def format_text(self, text: str, file: str) -> str:
        """A capability's or workflow's text in the one layout; what `file` ends in tells what it is.

        What it says stays as it is: the contract, every token of the Lua and so its canonical hash, every comment.
        Raises Rejected for Lua that does not compile, InvalidInput for a header or a workflow that is no JSON.

        >>> print(smith.format_text("function run(input) return{a=1}end", "a.lua"), end="")
        function run(input) return { a = 1 } end
        """
        from ritesmith.formatting import format_capability, format_workflow

        if Path(file).suffix == ".json":
            return format_workflow(text, file)
        objection = self.sandbox.compile(text)
        if objection is not None:
            where = objection.where.model_copy(update={"file": file})
            raise Rejected(f"'{file}' does not compile", findings=[objection.model_copy(update={"where": where})])
        return format_capability(text, file)

    def format_files(self, files: Sequence[str | Path], *, check: bool = False) -> list[Formatted]:
        """Lay files out in place, or with `check` only tell which would change. One that cannot be: none is written."""
        texts = {}
        for file in map(Path, files):
            if file.suffix not in SUFFIXES:
                raise InvalidInput(f"'{file}' is neither a capability (.lua) nor a workflow (.json)")
            before = read_text(file)
            texts[file] = (before, self.format_text(before, str(file)))
        if not check:
            for file, (before, after) in texts.items():
                if before != after:
                    _replace(file, after)
        return [Formatted(str(file), before != after) for file, (before, after) in texts.items()]


def _place_of(name: str, suffix: str) -> Path:
    folder = Path(SUFFIXES[suffix])
    if not folder.is_dir():
        return Path(name + suffix)
    return folder / (name + suffix) if suffix == ".json" else folder.joinpath(*name.split(".")).with_suffix(suffix)


def _replace(file: Path, text: str) -> None:
    """Give a file another text, whole or not at all; its mode and the links to it stay."""
    target = Path(os.path.realpath(file))
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        part.write_bytes(text.encode())
        part.chmod(target.stat().st_mode & 0o7777)
        part.replace(target)
    except OSError as error:
        raise InvalidInput(f"'{file}' cannot be written: {error.strerror}") from None
    finally:
        if part.exists():
            part.unlink()
