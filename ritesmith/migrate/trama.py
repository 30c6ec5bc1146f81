"""Definitions of Trama, the linear ones (v1) and the graphs of nodes (v2), as workflows.

How Trama read them is kept: a failure of any kind is tried again, the step that failed is not undone itself, a callback
decides on an asynchronous step, what a branch does wrong does not stop its parent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ritesmith.contract import near_miss
from ritesmith.migrate import capabilities, logic
from ritesmith.migrate.draft import (
    NO_DEFAULT,
    PAUSE_SECONDS,
    Draft,
    Migration,
    Missing,
    Options,
    slug,
    var,
    workflow_name,
)
from ritesmith.migrate.graph import cycles_back, dominators, in_order, reachable, reversed_edges, unavoidable
from ritesmith.migrate.http_calls import NO_ANSWER, Call, Requests
from ritesmith.migrate.source import Source, shown
from ritesmith.migrate.templates import Reference, as_text, json_of, pieces_of, text_of, url_of
from ritesmith.models import JSON, Expression

KINDS = ("task", "switch", "sleep", "split", "join")
NODES_MAX = 1000
RUN_SECONDS_MAX = 366 * 86_400
STEPS_MAX = 100_000
SUCCESS = {"GET": [200], "HEAD": [200], "OPTIONS": [200], "POST": [200, 201, 202]}
SUCCESS_OTHERS = [200, 202, 204]
ACCEPTED = [202]
_INDEX = re.compile(r"\[(\d+)\]")
_HOOK = "on success"
"""What comes after the last step: no id of a definition can hold it by accident and matter, as it is only compared."""


@dataclass
class _Node:
    """A node of the source."""

    id: str
    kind: str
    source: Source
    targets: list[str] = field(default_factory=list)
    next: str | None = None
    request: Source | None = None
    undo: Source | None = None
    action: Source | None = None
    callback: Source | None = None
    is_async: bool = False
    cases: list[tuple[Source, str]] = field(default_factory=list)
    default: str = ""
    seconds: float = 0.0
    branches: list[str] = field(default_factory=list)
    join: str = ""


def migrate(value: JSON, options: Options) -> Migration:
    """What a Trama definition becomes. InvalidInput, with every problem, where it is none."""
    return _Trama(Source.of(value, "Trama"), options).run()


class _Trama:
    def __init__(self, source: Source, options: Options) -> None:
        self.source = source
        self.notes = source.notes
        self.options = options
        self.nodes: dict[str, _Node] = {}
        self.steps: list[str] = []
        """Ids of a linear definition, in order; `step.0` counts in it."""
        self.ids: dict[str, str] = {}
        self.branch_of: dict[str, str] = {}
        """Node in a branch -> id of the split."""
        self.branch_ids: dict[str, dict[str, str]] = {}
        """Split -> entry of a branch -> id of the branch."""
        self.missing_told = False

    def run(self) -> Migration:
        source = self.source
        if not source.is_object:
            source.problem(f"a definition is an object, found {shown(source.peek())}")
        self.notes.refuse()
        given = source.text("name", needed=True) or "workflow"
        self.name = given
        self.version = source.text("version", "") or ""
        self.start = self._read_nodes()
        retry = self._retry(source.member("failureHandling"))
        hooks = {key: source.object(key) for key in ("onSuccessCallback", "onFailureCallback")}
        self.notes.refuse()
        self._drop_unreachable()
        self._find_branches()
        self.notes.refuse()
        self.draft = Draft(self.notes, self.options, workflow_name(given, self.options))
        origin = f"Imported from the Trama definition {given!r}" + (
            f", version {self.version}." if self.version else "."
        )
        self.requests = Requests(self.draft, origin)
        for node_id in self.nodes:
            self.ids[node_id] = self.draft.names.new(node_id)
        self.edges = {node.id: list(node.targets) for node in self.nodes.values()}
        for node in self.nodes.values():
            if not node.targets and node.id not in self.branch_of:
                self.edges[node.id] = [_HOOK]
        self.edges[_HOOK] = []
        self.before = dominators(self.edges, self.start)
        trunk = {
            each: [target for target in targets if target not in self.branch_of] for each, targets in self.edges.items()
        }
        self.always = unavoidable(trunk, self.start)
        self.back = reversed_edges(self.edges)
        start = self.ids[self.start]
        failed = hooks["onFailureCallback"]
        if failed is not None:
            start = self._failure_hook(failed, start)
        self.after = self.draft.names.new("on_success") if hooks["onSuccessCallback"] is not None else None
        for node in self.nodes.values():
            self._emit(node)
        if hooks["onSuccessCallback"] is not None:
            self._success_hook(hooks["onSuccessCallback"])
        self._pause_loops()
        self.requests.write()
        self._general(retry)
        loops = bool(cycles_back(self.edges, self.start))
        return self.draft.finish(
            intent=f"{given}: {', '.join(self.ids.values())}"[:300],
            start=start,
            retry=retry,
            deadline_seconds=RUN_SECONDS_MAX,
            steps=STEPS_MAX if loops else None,
            description=origin,
        )

    # ------------------------------------------------------------ reading

    def _read_nodes(self) -> str:
        source = self.source
        if source.has("nodes") or not source.has("steps"):
            start = source.text("entrypoint", needed=True) or ""
            for each in source.list("nodes", needed=True):
                self._read_node(each)
            if source.has("steps"):
                self.notes.lost("$.steps", "a definition with 'nodes' has no steps")
                steps = source.member("steps")
                if steps is not None:
                    steps.all()
            self._check_targets(start)
        else:
            start = self._read_steps()
        if not self.nodes and not self.notes.problems:
            self.notes.problem("$.nodes" if source.has("nodes") else "$.steps", "there is no step")
        if len(self.nodes) > NODES_MAX:
            self.notes.problem("$.nodes", f"there are {len(self.nodes)} nodes; at most {NODES_MAX} are imported")
        return start

    def _read_steps(self) -> str:
        last: _Node | None = None
        for each in self.source.list("steps", needed=True):
            name = each.text("name", needed=True) or f"step {len(self.steps)}"
            if name in self.nodes:
                each.problem(f"the name {name!r} stands twice")
            node = _Node(name, "task", each)
            node.request = each.object("up", needed=True)
            node.undo = each.object("down")
            if node.undo is None:
                self.notes.changed(each.path, "there is no 'down', which Trama wants; nothing undoes this step")
            if last is not None:
                last.next, last.targets = name, [name]
            self.nodes[name] = last = node
            self.steps.append(name)
        return self.steps[0] if self.steps else ""

    def _read_node(self, source: Source) -> None:
        if not source.is_object:
            source.problem(f"a node is an object, found {shown(source.peek())}")
            return
        kind = source.text("kind", needed=True) or ""
        id = source.text("id", needed=True) or ""
        if id in self.nodes:
            source.problem(f"the id {id!r} stands twice")
        if kind not in KINDS:
            near = near_miss(kind, KINDS)
            source.problem(f"unknown kind {kind!r}" + (f"; did you mean {near!r}?" if near else ""))
            return
        node = self.nodes[id] = _Node(id, kind, source)
        if kind == "switch":
            for case in source.list("cases", needed=True):
                target = case.text("target", needed=True) or ""
                node.cases.append((case, target))
                if not case.has("when"):
                    case.problem("the condition 'when' is missing")
            if not node.cases:
                source.problem("a switch has at least one case")
            node.default = source.text("default", needed=True) or ""
            node.targets = [*(target for _, target in node.cases), node.default]
        elif kind == "split":
            branches = source.list("branches", needed=True)
            node.branches = [str(each.peek()) for each in branches if isinstance(each.peek(), str)]
            if len(node.branches) < len(branches) or len(branches) < 2:
                source.problem("a split has two branches or more, each the id of its first node")
            node.join = source.text("join", needed=True) or ""
            node.targets = [*node.branches, node.join]
        else:
            node.next = source.text("next")
            node.targets = [node.next] if node.next is not None else []
            if kind == "task":
                self._read_task(node)
            elif kind == "sleep":
                self._read_sleep(node)

    def _read_task(self, node: _Node) -> None:
        node.action = action = node.source.object("action", needed=True)
        node.undo = node.source.object("compensation")
        if action is None:
            return
        mode = action.text("mode", needed=True) or ""
        if mode == "async-http-callback":
            self.notes.changed(action.path, "the mode 'async-http-callback' is read as 'async'")
            mode = "async"
        if mode not in ("sync", "async"):
            action.problem(f"the mode is 'sync' or 'async', found {mode!r}")
        node.request = action.object("request", needed=True)
        node.is_async = mode == "async"
        if node.is_async:
            node.callback = action.object("callback")
            if node.callback is None:
                action.problem("an asynchronous task has a 'callback' with 'timeoutMillis'")
            else:
                node.seconds = (node.callback.number("timeoutMillis", needed=True, least=1) or 0) / 1000

    def _read_sleep(self, node: _Node) -> None:
        if not node.source.has("durationMillis") and node.source.has("durationSeconds"):
            self.notes.changed(node.source.path, "'durationSeconds' is taken, which Trama did not know")
            node.seconds = node.source.number("durationSeconds", needed=True, least=0.001) or 0
        else:
            node.seconds = (node.source.number("durationMillis", needed=True, least=1) or 0) / 1000

    def _check_targets(self, start: str) -> None:
        def check(target: str, at: str) -> bool:
            if target in self.nodes:
                return True
            near = near_miss(target, self.nodes)
            self.notes.problem(at, f"there is no node {target!r}" + (f"; did you mean {near!r}?" if near else ""))
            return False

        if start:
            check(start, "$.entrypoint")
        joins: dict[str, str] = {}
        for node in list(self.nodes.values()):
            path = node.source.path
            if node.next == "end" and "end" not in self.nodes:
                self.notes.changed(f"{path}.next", "'end' is no node: the run ends here")
                node.next, node.targets = None, []
            for target in dict.fromkeys(node.targets):
                check(target, path)
            if node.kind == "split" and node.join in self.nodes:
                if self.nodes[node.join].kind != "join":
                    self.notes.problem(
                        path, f"the join {node.join!r} is a node of the kind {self.nodes[node.join].kind!r}"
                    )
                if node.join in joins:
                    self.notes.problem(path, f"the join {node.join!r} belongs to the split {joins[node.join]!r}")
                joins[node.join] = node.id
        for node in self.nodes.values():
            if node.kind == "join" and node.id not in joins:
                self.notes.problem(node.source.path, f"no split has the join {node.id!r}")

    def _drop_unreachable(self) -> None:
        edges = {node.id: node.targets for node in self.nodes.values()}
        found = set(reachable(edges, self.start))
        for id in [each for each in self.nodes if each not in found]:
            source = self.nodes.pop(id).source
            source.all()
            self.notes.changed(source.path, f"no way leads to {id!r}; it is left out")

    def _find_branches(self) -> None:
        """Which nodes lie in a branch; they end at the join of their split."""
        for node in self.nodes.values():
            if node.kind != "split":
                continue
            seen: dict[str, str] = {}
            taken: set[str] = set()
            self.branch_ids[node.id] = {}
            for entry in node.branches:
                branch, number = slug(entry, "branch"), 1
                while branch in taken:
                    number += 1
                    branch = f"{slug(entry, 'branch')[:50]}_{number}"
                taken.add(branch)
                self.branch_ids[node.id][entry] = branch
                edges = {each.id: [to for to in each.targets if to != node.join] for each in self.nodes.values()}
                for inner in reachable(edges, entry):
                    if seen.setdefault(inner, entry) != entry:
                        self.notes.problem(
                            node.source.path,
                            f"{inner!r} is in two branches of {node.id!r}; give each branch a node of its own",
                        )
        self._mark_branches(self.start, "")

    def _mark_branches(self, start: str, within: str) -> None:
        """Note the split around each node, from the outside to the inside."""
        edges = {node.id: [node.join] if node.kind == "split" else node.targets for node in self.nodes.values()}
        for id in reachable(edges, start):
            if id in self.branch_of or (id == within and within):
                continue
            if within and self.nodes[within].join == id:
                continue
            if within:
                self.branch_of[id] = within
            node = self.nodes[id]
            if node.kind == "split":
                for entry in dict.fromkeys(node.branches):
                    if entry == node.join:
                        self.notes.problem(node.source.path, "a branch begins at the join")
                    elif entry == id or self.branch_of.get(entry, id) != id:
                        self.notes.problem(
                            node.source.path, f"the branch that begins at {entry!r} leads out of the split"
                        )
                    else:
                        self._mark_branches(entry, id)

    def _retry(self, source: Source | None) -> dict[str, JSON] | None:
        if source is None:
            self.notes.changed("$.failureHandling", "nothing is said about failures: no step is tried again")
            return None
        if not source.is_object:
            source.problem(f"an object is needed, found {shown(source.peek())}")
            return None
        kind = source.text("type", needed=True)
        count = int(source.number("maxAttempts", needed=True) or 0)
        if kind == "retry":
            seconds = (source.number("delayMillis", 0) or 0) / 1000
            policy: dict[str, Any] = {"initial_seconds": seconds, "multiplier": 1, "max_seconds": seconds, "jitter": 0}
        elif kind == "backoff":
            policy = {
                "initial_seconds": (source.number("initialDelayMillis", 0) or 0) / 1000,
                "multiplier": source.number("multiplier", 2.0),
                "max_seconds": (source.number("maxDelayMillis", 0) or 0) / 1000,
                "jitter": source.number("jitterRatio", 0.0),
            }
        else:
            source.problem(f"the type is 'retry' or 'backoff', found {kind!r}")
            return None
        for key, least, most in (("multiplier", 1, 1e6), ("jitter", 0, 1)):
            held = min(max(policy[key], least), most)
            if held != policy[key]:
                self.notes.lost(source.path, f"{key} is {policy[key]:g}, and {held:g} is the nearest that can be said")
                policy[key] = held
        if count > 99:
            self.notes.lost(source.path, f"{count} further attempts are asked for; a step is tried 100 times at most")
        self.notes.same(source.path, f"a step is tried {min(count, 99) + 1} times", "retry")
        if count == 0 and any(node.undo for node in self.nodes.values()):
            self.notes.changed(source.path, "a compensation is tried three times; there, once")
        return {"max_attempts": min(count, 99) + 1, **policy}

    # ------------------------------------------------------------ references

    def _resolver(self, node: str, *, phase: str = "UP", step: str = "", wait: str = "") -> _Names:
        return _Names(self, node, phase, step or node, wait)

    def _template(self, source: Source, key: str) -> tuple[str, str] | None:
        """The text of a template at a key, and its path; None where there is none."""
        member = source.member(key)
        if member is None:
            return None
        value = member.peek()
        if isinstance(value, dict) and isinstance(value.get("value"), str):
            inner = member.member("value")
            return (str(value["value"]), inner.path) if inner is not None else None
        return as_text(member.all()), member.path

    def _call(self, source: Source, names: _Names, accepted: list[int] | None = None) -> Call | None:
        """A request of the source; None where it has no URL."""
        method = (source.text("verb", needed=True) or "").upper()
        url = self._template(source, "url")
        if url is None:
            source.problem("the request has no 'url'")
            return None
        headers: dict[str, Expression] = {}
        given = source.object("headers")
        for key in given.names() if given is not None else ():
            assert given is not None
            template = self._template(given, key)
            if template is None:
                self.notes.lost(given.path, f"the header {key!r} has no value")
            else:
                headers[key] = text_of(names.pieces(*template), names.resolve)
        codes = self._codes(source, "successStatusCodes")
        success = accepted or codes or SUCCESS.get(method, SUCCESS_OTHERS)
        if accepted and codes:
            self.notes.lost(
                f"{source.path}.successStatusCodes", f"{codes} of the request do not count, those of the action do"
            )
        body = self._template(source, "body")
        parts: dict[str, Any] = {}
        if body is not None:
            pieces = names.pieces(*body)
            # A reference alone could be JSON or text; the sender's own word on the type decides.
            kind = next((each for key, each in headers.items() if key.lower() == "content-type"), "")
            alone = len(pieces) == 1 and isinstance(pieces[0], Reference) and "json" not in str(kind)
            found = None if alone else json_of(pieces, names.resolve)
            if found is not None:
                parts["json"] = found
            else:
                parts["text"] = text_of(pieces, names.resolve)
        return Call(source.path, method, url_of(names.pieces(*url), names.resolve), headers, success, **parts)

    def _codes(self, source: Source | None, key: str) -> list[int] | None:
        if source is None or not source.has(key):
            return None
        found = [each.peek() for each in source.list(key)]
        codes = [each for each in found if isinstance(each, int) and not isinstance(each, bool) and 100 <= each <= 599]
        if len(codes) < len(found) or not codes:
            source.problem(f"{key!r} is a list of statuses from 100 to 599")
        return codes

    # ------------------------------------------------------------ nodes

    def _emit(self, node: _Node) -> None:
        id = self.ids[node.id]
        if node.kind == "task":
            self._emit_task(node, id)
        elif node.kind == "switch":
            names = self._resolver(node.id)
            cases: list[JSON] = []
            for case, target in node.cases:
                label = case.text("name")
                when = case.member("when")
                condition = False if when is None else self._condition(when, names)
                told = f"the case {label!r}" if label else "the case"
                self.notes.same(case.path, f"{told} leads to {target!r}", f"{id}.cases[{len(cases)}]")
                cases.append({"when": condition, "target": self.ids[target]})
            self.draft.node("switch", id, cases=cases, default=self.ids[node.default])
        elif node.kind == "sleep":
            self.draft.node("sleep", id, seconds=node.seconds, next=self._next(node))
            self.notes.same(node.source.path, f"a sleep of {node.seconds:g} seconds", id)
        elif node.kind == "split":
            branches = [{"id": branch, "start": self.ids[entry]} for entry, branch in self.branch_ids[node.id].items()]
            self.draft.node("split", id, branches=branches, join=self.ids[node.join])
            self.notes.same(node.source.path, f"a split into {len(branches)} branches", id)
        else:
            self.draft.node("join", id, policy="settled", next=self._next(node))
            self.notes.changed(
                node.source.path,
                "the join gives an object by branch: status 'succeeded' or 'failed', and 'output' or 'error'",
                id,
            )

    def _next(self, node: _Node) -> str | None:
        if node.next is not None:
            return self.ids[node.next]
        around = self.branch_of.get(node.id)
        return self.ids[self.nodes[around].join] if around else self.after

    def _condition(self, source: Source, names: _Names) -> Expression:
        value = source.all()
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                self.notes.lost(source.path, f"the condition {shown(value)} is no JSON Logic, so it is never true")
                return False
        return logic.condition(value, names.path, self.notes, source.path)

    def _emit_task(self, node: _Node, id: str) -> None:
        assert node.request is not None
        following = self._next(node)
        undo = self._undo(node)
        if not node.is_async:
            names = self._resolver(node.id)
            call = self._call(node.request, names, self._codes(node.action, "successStatusCodes"))
            capability, arguments, writes = self._request(call, node, id)
            extra = {} if undo or not writes else {"no_compensation": "it had none in the definition"}
            self.draft.node(
                "task", id, capability=capability, with_=arguments, compensation=undo, **extra, next=following
            )
            self.notes.same(node.source.path, f"the task {node.id!r}", id)
            return
        wait = self.draft.names.new(f"{id}_callback")
        names = self._resolver(node.id, wait=wait)
        accepted = self._codes(node.action, "acceptedStatusCodes") or ACCEPTED
        capability, arguments, _ = self._request(self._call(node.request, names, accepted), node, id)
        reason = f"{wait!r} decides whether it counts"
        self.draft.node("task", id, capability=capability, with_=arguments, no_compensation=reason, next=wait)
        done = self.draft.names.new(f"{id}_done") if undo else following
        assert node.callback is not None
        self.draft.node(
            "wait",
            wait,
            deadline_seconds=node.seconds,
            success_when=self._success_when(node.callback, names, wait),
            next=done,
        )
        if undo:
            checkpoint = self._checkpoint()
            self.draft.node(
                "task", str(done), capability=checkpoint, with_={"at": id}, compensation=undo, next=following
            )
        self.notes.changed(
            node.source.path,
            "a request, and then a wait for its callback, which is delivered with: ritesmith deliver RUN --node "
            + wait,
            f"{id}, {wait}",
        )
        self.notes.lost(
            node.callback.path,
            "a callback that fails or comes too late fails the run; there, the request was sent again"
            if self.source.has("failureHandling")
            else "a callback that fails or comes too late fails the run",
            wait,
        )

    def _request(self, call: Call | None, node: _Node, id: str) -> tuple[str, dict[str, Expression], bool]:
        """The capability and arguments of a task, and whether it writes; a draft where the call cannot be made."""
        found = None if call is None else self.requests.add(call)
        if found is not None and call is not None:
            return *found, call.method not in ("GET", "HEAD")
        name = self.draft.capability_name(id)
        origin = f"the task {node.id!r} of the Trama definition {self.name!r}"
        self.draft.capabilities[name] = capabilities.not_implemented(name, origin, [])
        self.notes.lost(
            node.source.path, f"the request cannot be made; {name!r} is a draft that fails until it is written", name
        )
        return name, {}, False

    def _undo(self, node: _Node) -> dict[str, JSON] | None:
        if node.undo is None:
            return None
        call = self._call(node.undo, self._resolver(node.id, phase="DOWN"))
        found = None if call is None else self.requests.add(call, undoes=True)
        if found is None:
            self.notes.lost(node.undo.path, f"nothing undoes {node.id!r}: its compensation cannot be sent")
            return None
        if node.id in self.branch_of:
            self.notes.lost(
                node.undo.path,
                "a branch is undone when the run fails, and only then; there, one that failed undid itself at once, "
                "and one that succeeded was never undone",
                self.ids[node.id],
            )
        self.notes.same(node.undo.path, f"what undoes {node.id!r}", f"{self.ids[node.id]}.compensation")
        return {"capability": found[0], "with": found[1]}

    def _success_when(self, callback: Source, names: _Names, wait: str) -> Expression | None:
        parts: list[Expression] = []
        for key in ("failureWhen", "successWhen"):
            when = callback.member(key)
            if when is not None:
                found = self._condition(when, names)
                parts.append({"!": [found]} if key == "failureWhen" else found)
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else {"and": parts}

    def _checkpoint(self) -> str:
        name = self.draft.capability_name("checkpoint")
        if name not in self.draft.capabilities:
            text = capabilities.checkpoint(name, f"Imported from the Trama definition {self.name!r}.")
            self.draft.capabilities[name] = text
        return name

    # ------------------------------------------------------------ hooks

    def _failure_hook(self, source: Source, following: str) -> str:
        """A first step whose compensation is the hook: the first is undone last, when all others are."""
        call = self._call(source, self._resolver("", phase="DOWN", step="onFailureCallback"))
        found = None if call is None else self.requests.add(call, undoes=True)
        if found is None:
            self.notes.lost(source.path, "the failure hook cannot be sent")
            return following
        id = self.draft.names.new("on_failure")
        self.draft.node(
            "task",
            id,
            capability=self._checkpoint(),
            with_={"at": "start"},
            compensation={"capability": found[0], "with": found[1]},
            next=following,
        )
        self.notes.changed(
            source.path,
            "it is sent as the last compensation, also when another one failed; if it fails itself, the run ends "
            "compensation_failed",
            id,
        )
        return id

    def _success_hook(self, source: Source) -> None:
        assert self.after is not None
        call = self._call(source, self._resolver(_HOOK, step="onSuccessCallback"))
        found = None if call is None else self.requests.add(call)
        end = self.draft.names.new("succeeded")
        if found is None:
            self.notes.lost(source.path, "the success hook cannot be sent")
            self.draft.node("switch", self.after, cases=[{"when": False, "target": end}], default=end)
        else:
            self.draft.node(
                "task",
                self.after,
                capability=found[0],
                with_=found[1],
                no_compensation="it tells others that the run has succeeded",
                on_error=[{"code": "*", "target": end}],
                next=end,
            )
            self.notes.same(source.path, "it is sent before the run ends, and its failure changes nothing", self.after)
        self.draft.node("end", end, outcome="succeeded")

    # ------------------------------------------------------------ the whole

    def _pause_loops(self) -> None:
        given = {id: node for node, id in self.ids.items()}
        for from_, to, id in self.draft.pause_loops():
            message = f"the loop back to {given[to]!r} pauses for {PAUSE_SECONDS} second; there, it never paused"
            self.notes.changed(self.nodes[given[from_]].source.path, message, id)

    def _general(self, retry: dict[str, JSON] | None) -> None:
        notes = self.notes
        notes.changed(
            "$", f"a run ends after {RUN_SECONDS_MAX // 86_400} days at the latest; there, it never had to", "limits"
        )
        if any(node.undo for node in self.nodes.values()):
            notes.changed(
                "$",
                "when a compensation fails, the others still run, and the run ends compensation_failed; there, it "
                "ended CORRUPTED at once. A run that was undone ends compensated, and not FAILED",
            )
        if any(kind[0] in ("POST", "PATCH") for kind in self.requests.kinds):
            notes.changed("$", NO_ANSWER)


class _Names:
    """What the names in templates and conditions mean at one place."""

    def __init__(self, trama: _Trama, node: str, phase: str, step: str, wait: str) -> None:
        self.trama = trama
        self.notes = trama.notes
        self.node = node
        self.phase = phase
        self.step = step
        self.wait = wait
        self.at = ""

    def pieces(self, template: str, at: str) -> list[str | Reference]:
        self.at = at
        found = pieces_of(template, lambda what: self.notes.lost(at, what))
        if any(isinstance(each, Reference) for each in found) and not self.trama.missing_told:
            self.trama.missing_told = True
            self.notes.changed(
                "$",
                "a name in a template that is missing, or names a list or an object, fails the step; there, it was "
                "empty text, or what Java prints",
            )
        raw = {each.raw for each in found if isinstance(each, Reference)}
        if True in raw:
            self.notes.changed(
                at, "a value in triple braces is put in as it is; in JSON and in URLs it is escaped all the same"
            )
        return found

    def resolve(self, reference: Reference, as_text: bool) -> Expression:
        """The expression for a reference of a template."""
        try:
            return self._find(reference.name, "")
        except logic.LostError as error:
            self.notes.lost(self.at, f"{{{{{reference.name}}}}} is left empty: {error}")
            return "" if as_text else None

    def path(self, path: str) -> Expression:
        """The expression for a path of a condition; LostError where there is none."""
        return self._find(path, None)

    def _find(self, name: str, empty: str | None) -> Expression:
        trama = self.trama
        parts = _INDEX.sub(r".\1", name).split(".")
        if "" in parts:
            raise logic.LostError(f"{name!r} is no path")
        root, rest = parts[0], parts[1:]
        if root in ("payload", "input"):
            trama.draft.reads(rest, always=self.node in trama.always and self.phase == "UP")
            return var("input", *rest)
        plain: dict[str, Expression] = {
            "sagaId": var("run", "id"),
            "sagaName": trama.name,
            "sagaVersion": trama.version,
            "stepName": self.step,
            "phase": self.phase,
        }
        if root in plain and not rest:
            return plain[root]
        if root == "nodes" and len(rest) >= 3 and rest[0] in trama.nodes and rest[1:3] == ["response", "body"]:
            return self._body(rest[0], rest[3:], empty)
        if root == "step" and len(rest) >= 2:
            return self._step(rest[0], rest[1:], empty)
        if root == "prev" and rest[:1] == ["body"]:
            return self._previous(rest[1:], empty)
        if name == "runtime.callback.url" and self.wait:
            return self._callback_url()
        if name == "runtime.callback.token" and self.wait:
            self.notes.lost(
                self.at,
                "a run knows no token: the run's id stands in its place, and 'ritesmith token RUN' gives one",
                self.wait,
            )
            return var("run", "id")
        if root == "callback" and rest[:1] == ["body"] and self.wait and empty is None:
            return var("nodes", self.wait, "output", *rest[1:], default=None)
        known = [*trama.nodes] if root == "nodes" else ["payload", "nodes", "step", "prev", "sagaId", "sagaName"]
        near = near_miss(rest[0] if root == "nodes" and rest else root, known)
        raise logic.LostError(f"{name!r} names nothing that a run has" + (f"; did you mean {near!r}?" if near else ""))

    def _callback_url(self) -> Expression:
        base = self.trama.options.callback_url
        if not base:
            self.notes.lost(
                self.at,
                "nobody takes callbacks yet: the address is empty. Say with --callback-url what hands them to "
                "'ritesmith deliver'",
                self.wait,
            )
            return ""
        address = {"cat": [f"{base.rstrip('/')}/workflows/", var("run", "id"), f"/node/{self.wait}/callback"]}
        self.notes.changed(
            self.at, f"the callback goes to {base}, which must hand it to 'ritesmith deliver'", self.wait
        )
        return address

    def _body(self, node: str, rest: Sequence[str], empty: str | None) -> Expression:
        """A part of what a step was answered."""
        trama = self.trama
        found, id = trama.nodes[node], trama.ids[node]
        if found.kind == "join":
            return self._joined(found, rest)
        if found.kind != "task":
            raise logic.LostError(f"{node!r} is a {found.kind} node and was answered nothing")
        here = trama.before.get(self.node, set())
        certain = node in here and (node != self.node or self.phase == "DOWN")
        if not self.node and self.phase == "DOWN":
            raise logic.LostError("the failure hook is told nothing of the steps")
        if trama.branch_of.get(node) != trama.branch_of.get(self.node):
            self.notes.changed(
                self.at or "$",
                f"a branch sees what came before its split, here {node!r}; there, it did not"
                if certain
                else f"{node!r} is in a branch, whose answers stay there",
            )
        default: Expression | Missing = NO_DEFAULT
        if not certain or empty is None:
            default = empty
            if not certain:
                self.notes.changed(
                    self.at or "$", f"{node!r} may not have run on the way here: then it is {shown(empty)}"
                )
        return var("nodes", id, "output", "body", *rest, default=default)

    def _joined(self, join: _Node, rest: Sequence[str]) -> Expression:
        """A part of what a join gave."""
        trama, id = self.trama, self.trama.ids[join.id]
        split = next(each for each in trama.nodes.values() if each.kind == "split" and each.join == join.id)
        branches = list(trama.branch_ids[split.id].values())
        ended: list[Expression] = [
            {"==": [var("nodes", id, "output", branch, "status"), "succeeded"]} for branch in branches
        ]
        if [*rest] == ["allSucceeded"]:
            return {"and": ended}
        if [*rest] == ["expected"]:
            return len(branches)
        if len(rest) == 3 and rest[0] == "branches" and rest[1].isdecimal() and int(rest[1]) < len(branches):
            if rest[2] == "branchId":
                return split.branches[int(rest[1])]
            if rest[2] == "status":
                return {"if": [ended[int(rest[1])], "SUCCEEDED", "FAILED"]}
        raise logic.LostError(f"of a join there are allSucceeded and expected; {'.'.join(rest)!r} is not there")

    def _step(self, which: str, rest: Sequence[str], empty: str | None) -> Expression:
        trama = self.trama
        if which.isdecimal() and trama.steps:
            if int(which) >= len(trama.steps):
                raise logic.LostError(f"there is no step {which}")
            node = trama.steps[int(which)]
        elif which in trama.nodes:
            node = which
        else:
            raise logic.LostError(f"there is no step {which!r}, or its number is not known before a run")
        if [*rest] == ["name"]:
            return node
        if [*rest] == ["index"] and node in trama.steps:
            return trama.steps.index(node)
        body = rest[1:] if rest[:2] == ["up", "body"] else rest
        if body[:1] != ["body"]:
            raise logic.LostError(f"of a step there is the body of its answer; {'.'.join(rest)!r} is not there")
        return self._body(node, body[1:], empty)

    def _previous(self, rest: Sequence[str], empty: str | None) -> Expression:
        """What the step before was answered, whichever that is."""
        trama = self.trama
        if self.node in trama.branch_of or not self.node:
            raise logic.LostError("which step came before is not known here")
        found, pending, seen = set[str](), list(trama.back.get(self.node, ())), set[str]()
        while pending:
            node = pending.pop()
            if node in seen:
                continue
            seen.add(node)
            if trama.nodes[node].kind == "task":
                found.add(node)
            elif trama.nodes[node].kind == "join":
                raise logic.LostError("what came before is a join")
            else:
                pending.extend(trama.back.get(node, ()))
        if not found:
            raise logic.LostError("no step comes before")
        if len(found) == 1:
            return self._body(next(iter(found)), rest, empty)
        if cycles_back(trama.edges, trama.start):
            raise logic.LostError("in a loop, which of several steps came before is not known")
        order = in_order(trama.edges, trama.start)
        expression: Expression = empty
        for node in sorted(found, key=order.index):
            expression = var("nodes", trama.ids[node], "output", "body", *rest, default=expression)
        return expression
