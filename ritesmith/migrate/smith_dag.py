"""Plans of project-smith, a graph of steps that wait for each other, as workflows.

What runs side by side there runs in branches here. A graph in which the ways cross has no such form: then steps wait
for more than they did, and for which is reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ritesmith.expr import OPERATORS, lookalike
from ritesmith.migrate import capabilities
from ritesmith.migrate.draft import Draft, Migration, Options, cat, literal, slug, var, workflow_name
from ritesmith.migrate.graph import levels
from ritesmith.migrate.source import Source, shown
from ritesmith.models import JSON, Expression

NODES_MAX = 200
BRANCHES_MAX = 100
_PLACEHOLDER = re.compile(
    r"\{\{\s*STEPS\.(?P<number>\d+)(?P<path>(?:\.[A-Za-z0-9_-]+|\[\d+\])*)\s*"
    r"(?:\|\s*default\s*:?\s*(?P<default>\"[^\"]*\"|'[^']*'|[^}|]*?)\s*)?\}\}"
)
_ANY_PLACEHOLDER = re.compile(r"\{\{.*?\}\}", re.DOTALL)
PLACEHOLDER = "{{STEPS."
_INDEX = re.compile(r"\[(\d+)\]")


@dataclass
class _Step:
    """A node of the source."""

    number: int
    """Its place in the list, which is what `STEPS.n` counts."""
    id: str
    source: Source
    name: str
    capability: str
    inputs: Source | None
    after: list[str] = field(default_factory=list)
    tolerant: bool = False
    """`on_fail` is `continue`: what depends on it runs without it."""
    retries: int = 0
    seconds: float | None = None


@dataclass
class _Seq:
    """Parts that run one after the other."""

    parts: list[_Seq | _Par | str]


@dataclass
class _Par:
    """Parts that run side by side."""

    parts: list[_Seq | _Par | str]
    split: str = ""
    join: str = ""


_Part = _Seq | _Par | str


def migrate(value: JSON, options: Options) -> Migration:
    """What a plan becomes. InvalidInput, with every problem, where it is none."""
    return _Plan(Source.of(value, "project-smith"), options).run()


class _Plan:
    def __init__(self, source: Source, options: Options) -> None:
        self.source = source
        self.notes = source.notes
        self.options = options
        self.steps: dict[str, _Step] = {}
        self.order: list[str] = []
        self.waits: dict[str, set[str]] = {}
        """Step -> all that it waits for, itself or through others."""
        self.drafts: dict[str, set[str]] = {}
        self.readable: dict[str, tuple[str, ...]] = {}
        """Step -> where its output is, seen from where the walk stands."""

    def run(self) -> Migration:
        source = self.source
        if not source.is_object:
            source.problem(f"a plan is an object, found {shown(source.peek())}")
        self.notes.refuse()
        self.draft = Draft(self.notes, self.options, workflow_name(self.options.title or "plan", self.options))
        plan = source
        if not source.has("nodes") and source.has("plan"):
            plan = source.object("plan") or source
        status = source.text("status", "success") or ""
        if status == "error":
            source.problem("the plan says that planning failed ('status' is 'error')")
        elif source.has("status"):
            self.notes.same("$.status", f"the plan is {status!r}")
        key = "nodes" if plan.has("nodes") or not plan.has("steps") else "steps"
        for number, each in enumerate(plan.list(key, needed=True)):
            self._read(number, each)
        if not self.steps:
            plan.problem("there is no step")
        if len(self.steps) > NODES_MAX:
            plan.problem(f"there are {len(self.steps)} steps; at most {NODES_MAX} are imported")
        final = self._final(plan)
        self._order_steps()
        self.notes.refuse()
        tree = self._tree(self.order)
        end = self.draft.names.new("end")
        start = self._emit(tree, end, ())
        output = self._reference(final, (), tolerant=True) if final else None
        self.draft.node("end", end, outcome="done", output=output)
        for capability, inputs in self.drafts.items():
            origin = f"the tool {capability.rpartition('.')[0]!r} of project-smith"
            self.draft.capabilities[capability] = capabilities.not_implemented(capability, origin, inputs)
        self._general()
        intent = source.text("request", None) if source.has("request") else None
        return self.draft.finish(
            intent=intent or "a plan of " + ", ".join(dict.fromkeys(each.name for each in self.steps.values())),
            start=start,
            deadline_seconds=None,
            description="Imported from a plan of project-smith.",
        )

    def _general(self) -> None:
        self.notes.changed(
            "$", "the output of the run is that of the final step; there, a model wrote an answer from all results"
        )
        if any(not each.tolerant for each in self.steps.values()):
            self.notes.changed(
                "$", "a step that fails ends the run (on_fail 'halt'); there, what did not depend on it still ran"
            )
        message = "a failure is tried again when its capability says that it may pass; there, whatever it was"
        if any(each.retries for each in self.steps.values()):
            self.notes.changed("$", message)

    # ------------------------------------------------------------ reading

    def _read(self, number: int, source: Source) -> None:
        if not source.is_object:
            source.problem(f"a step is an object, found {shown(source.peek())}")
            return
        given = source.member("id")
        value = number if given is None else given.peek()
        if isinstance(value, bool) or not isinstance(value, int | str):
            source.problem(f"an id is a number, found {shown(value)}")
        if str(value) in self.steps:
            source.problem(f"the id {value!r} stands twice")
        tool = source.text("tool", needed=True) or ""
        function = source.text("function", tool) or tool
        name = self.draft.names.new(function or tool, "step")
        capability = f"{slug(tool, 'tool', 40)}.{slug(function, 'run', 40)}"
        step = _Step(
            number, str(value), source, name, capability, source.object("inputs") if source.has("inputs") else None
        )
        for key in ("thought", "description"):
            if source.has(key):
                self.notes.same(f"{source.path}.{key}", f"a word on why: {shown(source.text(key, ''))}")
        metadata = source.object("metadata") if source.has("metadata") else None
        if metadata is not None and metadata.has("purpose"):
            self.notes.same(f"{metadata.path}.purpose", f"a word on why: {shown(metadata.text('purpose', ''))}")
        if source.has("_normalized_deps"):
            deps = source.member("_normalized_deps")
            if deps is not None:
                deps.all()
            self.notes.same(f"{source.path}._normalized_deps", "what a run wrote there; 'depends_on' says it")
        policy = source.text("on_fail", "halt")
        if policy not in ("halt", "continue"):
            self.notes.changed(f"{source.path}.on_fail", f"{policy!r} is read as 'halt', as it was there")
        step.tolerant = policy == "continue"
        step.retries = int(source.number("retry", 2) or 0)
        step.seconds = source.number("timeout", None)
        after = source.member("depends_on")
        for each in after.elements() if after is not None and after.is_list else ():
            dependency = each.peek()
            if isinstance(dependency, bool) or not isinstance(dependency, int | str):
                each.problem(f"a dependency is the id of a step, found {shown(dependency)}")
            else:
                step.after.append(str(dependency))
        if after is not None and not after.is_list:
            after.problem(f"a list of ids is needed, found {shown(after.peek())}")
        self.steps[step.id] = step

    def _final(self, plan: Source) -> str:
        member = plan.member("final_output_node")
        if member is None:
            return next(reversed(self.steps), "")
        value = str(member.peek())
        if value not in self.steps:
            member.problem(f"there is no step {shown(member.peek())}")
        self.notes.same(member.path, f"the output is that of the step {value}", "end.output")
        return value

    def _order_steps(self) -> None:
        for step in self.steps.values():
            for each in [each for each in step.after if each not in self.steps]:
                self.notes.problem(step.source.path, f"it depends on {each!r}, and there is no such step")
        self.notes.refuse()
        found = levels(self.steps, {each.id: each.after for each in self.steps.values()})
        self.order = [each for level in found for each in level]
        left = [each for each in self.steps if each not in self.order]
        if left:
            self.notes.problem("$", f"the steps {', '.join(left)} wait for each other")
            return
        for each in self.order:
            step = self.steps[each]
            self.waits[each] = {*step.after, *(far for near in step.after for far in self.waits[near])}

    # ------------------------------------------------------------ what runs side by side

    def _tree(self, steps: Sequence[str]) -> _Part:
        """Steps as a tree of what runs one after the other and side by side; further waiting is reported."""
        if len(steps) == 1:
            return steps[0]
        groups = self._groups(steps)
        if len(groups) > 1:
            if len(groups) > BRANCHES_MAX:
                groups = [*groups[: BRANCHES_MAX - 1], [each for group in groups[BRANCHES_MAX - 1 :] for each in group]]
                self.notes.changed("$", f"at most {BRANCHES_MAX} branches run side by side; further steps wait")
                return _Par([*(self._tree(each) for each in groups[:-1]), _Seq([*groups[-1]])])
            return _Par([self._tree(each) for each in groups])
        cut = self._cut(steps)
        first, rest = steps[:cut], steps[cut:]
        inner = self._tree(rest)
        return _Seq([self._tree(first), *(inner.parts if isinstance(inner, _Seq) else [inner])])

    def _groups(self, steps: Sequence[str]) -> list[list[str]]:
        """Steps of which none waits for one of another group."""
        group = {each: each for each in steps}

        def top(each: str) -> str:
            while group[each] != each:
                each = group[each]
            return each

        for each in steps:
            for other in self.steps[each].after:
                if other in group:
                    group[top(each)] = top(other)
        found: dict[str, list[str]] = {}
        for each in steps:
            found.setdefault(top(each), []).append(each)
        return list(found.values())

    def _cut(self, steps: Sequence[str]) -> int:
        """How many steps come first: so that all others wait for them anyway, or else the first level."""
        inside = set(steps)
        for count in range(1, len(steps)):
            first = set(steps[:count])
            if all(first <= self.waits[each] for each in steps[count:]):
                return count
        found = levels(steps, {each: [one for one in self.steps[each].after if one in inside] for each in steps})
        count = len(found[0])
        for each in steps[count:]:
            more = [one for one in steps[:count] if one not in self.waits[each]]
            if more and not (set(self.steps[each].after) & inside - set(steps[:count])):
                self.notes.changed(
                    self.steps[each].source.path,
                    f"it waits for {', '.join(f'step {one}' for one in more)} too, which it did not depend on",
                    self.steps[each].name,
                )
        return count

    # ------------------------------------------------------------ nodes

    def _emit(self, part: _Part, following: str, within: tuple[str, ...]) -> str:
        """Add the nodes of a part, which goes on to a node; the node with which it begins."""
        if isinstance(part, str):
            return self._emit_step(self.steps[part], following)
        if isinstance(part, _Seq):
            starts = [self._first(each) for each in part.parts]
            for index, each in enumerate(part.parts):
                self._emit(each, starts[index + 1] if index + 1 < len(starts) else following, within)
            return starts[0]
        self._first(part)
        branches = []
        seen = dict(self.readable)
        made: dict[str, tuple[str, ...]] = {}
        for number, each in enumerate(part.parts):
            branch = f"branch_{number + 1}"
            self.readable = dict(seen)
            inside = _steps(each)
            branches.append({"id": branch, "start": self._first(each)})
            if isinstance(each, str):
                self._emit(each, part.join, within)
                made[each] = ("nodes", part.join, "output", branch)
            else:
                collect = self.draft.names.new(f"{part.split}_{branch}")
                self._emit(each, collect, within)
                value = {self.steps[one].name: self._output(one) for one in inside}
                capability = self._collecting()
                self.draft.node(
                    "task", collect, capability=capability, with_={"base": value, "changes": []}, next=part.join
                )
                for one in inside:
                    made[one] = ("nodes", part.join, "output", branch, "document", self.steps[one].name)
        self.readable = seen | made
        self.draft.node("split", part.split, branches=branches, join=part.join)
        self.draft.node("join", part.join, policy="all", next=following)
        return part.split

    def _first(self, part: _Part) -> str:
        """The node with which a part begins."""
        if isinstance(part, str):
            return self.steps[part].name
        if isinstance(part, _Seq):
            return self._first(part.parts[0])
        if not part.split:
            part.split = self.draft.names.new("split")
            part.join = self.draft.names.new("join")
        return part.split

    def _output(self, step: str) -> Expression:
        path = self.readable.get(step, ("nodes", self.steps[step].name, "output"))
        return var(*path, default=None)

    def _collecting(self) -> str:
        name = self.draft.capability_name("document")
        if name not in self.draft.capabilities:
            origin = "Imported from a plan of project-smith."
            self.draft.capabilities[name] = capabilities.document(name, origin)
        return name

    def _emit_step(self, step: _Step, following: str) -> str:
        source = step.source
        arguments: dict[str, Expression] = {}
        for key, member in step.inputs.members() if step.inputs is not None else ():
            arguments[key] = self._value(member, step)
        self.readable[step.id] = ("nodes", step.name, "output")
        if self.options.known(step.capability):
            self.notes.same(source.path, f"the tool is the capability {step.capability!r}, which is there", step.name)
        else:
            self.notes.lost(
                source.path,
                f"what the tool did is not in the plan: {step.capability!r} is a draft that fails until it is written",
                step.capability,
            )
            self.drafts.setdefault(step.capability, set()).update(arguments)
        retries = min(step.retries, 99)
        if retries < step.retries:
            self.notes.lost(
                source.path, f"{step.retries} further attempts are asked for; a step is tried 100 times at most"
            )
        more: dict[str, Any] = {}
        if step.seconds:
            more["deadline_seconds"] = step.seconds
            self.notes.once(
                "changed",
                source.path,
                "a timeout counts the work of the step, and not the time that it waits for a service",
            )
        if step.tolerant:
            more["on_error"] = [{"code": "*", "target": following}]
        self.draft.node(
            "task",
            step.name,
            capability=step.capability,
            with_=arguments,
            retry={"max_attempts": retries + 1, "initial_seconds": 1, "multiplier": 1, "max_seconds": 1, "jitter": 0},
            **more,
            next=following,
        )
        self.notes.same(source.path, f"the step {step.id}", step.name)
        return step.name

    # ------------------------------------------------------------ placeholders

    def _value(self, source: Source, step: _Step) -> Expression:
        if source.is_list:
            return [self._value(each, step) for each in source.elements()]
        if source.is_object:
            made = {key: self._value(each, step) for key, each in source.members()}
            if (len(made) == 1 and next(iter(made)) in OPERATORS) or lookalike(made) is not None:
                if PLACEHOLDER in json.dumps(source.peek()):
                    self.notes.lost(source.path, "an object that looks like an operation cannot hold a placeholder")
                return {"literal": source.all()}
            return made
        value = source.all()
        return self._text(value, step, source.path) if isinstance(value, str) else value

    def _text(self, text: str, step: _Step, at: str) -> Expression:
        matches = list(_PLACEHOLDER.finditer(text))
        other = [each[0] for each in _ANY_PLACEHOLDER.finditer(text) if not _PLACEHOLDER.fullmatch(each[0])]
        for each in other:
            self.notes.lost(at, f"{shown(each)} is no placeholder that is known; it stays as text")
        if len(matches) == 1 and matches[0][0] == text.strip():
            return self._placeholder(matches[0], step, at)
        pieces: list[Expression] = []
        last = 0
        for match in matches:
            pieces += [text[last : match.start()], self._placeholder(match, step, at)]
            last = match.end()
        if matches:
            self.notes.once("changed", at, "an object within text fails the step; there, it was written as JSON")
        return cat([*pieces, text[last:]])

    def _placeholder(self, match: re.Match[str], step: _Step, at: str) -> Expression:
        number = int(match["number"])
        wanted = next((each for each in self.steps.values() if each.number == number), None)
        default = _default(match["default"])
        if wanted is None or wanted.id not in self.waits[step.id]:
            why = "there is no such step" if wanted is None else "it does not depend on that step"
            self.notes.lost(at, f"{match[0]} is empty: {why}")
            return default if match["default"] is not None else ""
        if str(number) != wanted.id:
            self.notes.once("changed", at, "STEPS counts the steps from 0, whatever their ids are")
        path = tuple(_INDEX.sub(r".\1", match["path"]).split(".")[1:])
        if match["default"] is not None:
            return var(*self.readable[wanted.id], *path, default=literal(default))
        return self._reference(wanted.id, path, tolerant=wanted.tolerant)

    def _reference(self, step: str, path: Sequence[str], *, tolerant: bool) -> Expression:
        place = self.readable[step]
        if tolerant and self.steps[step].tolerant:
            return var(*place, *path, default=None)
        return var(*place, *path)


def _steps(part: _Part) -> list[str]:
    return [part] if isinstance(part, str) else [step for each in part.parts for step in _steps(each)]


def _default(text: str | None) -> JSON:
    if text is None:
        return None
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text
