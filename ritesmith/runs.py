"""The verbs on runs: start, carry on, answer, give up, fork, replay, and look."""

from __future__ import annotations

import getpass
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ritesmith import callbacks, saga, trace
from ritesmith.contract import near_miss
from ritesmith.engine import Bring, Clock, Engine, Library, Watch
from ritesmith.errors import Conflict, InvalidInput, NotFound, RiteSmithError, StoreError
from ritesmith.intake import check_value
from ritesmith.journal import Journal
from ritesmith.models import FINAL_STATUSES, JSON, Artifact, Entry, RunStatus, WaitNode, Workflow
from ritesmith.registry import Registry

if TYPE_CHECKING:
    from ritesmith.books import Books
    from ritesmith.model_server import Models
    from ritesmith.replay import Replay
    from ritesmith.views.account import Account
    from ritesmith.views.run_compare import RunComparison

SENT_SECONDS, SENT_LOOKS = 30.0, 300
"""How long, and how often, to look whether the process that drives a run has taken what was said to the run."""


GOES_ON = frozenset({"pending", "running", "compensating"})
"""Statuses in which a run has something to do, and stands still when nobody does it."""


class Runs(ABC):
    """What `RiteSmith` does with runs. It brings the parts that are named here first."""

    clock: Clock
    new_id: Callable[[], str]
    registry: Registry
    journal: Journal
    library: Library

    @property
    @abstractmethod
    def engine(self) -> Engine:
        """What executes runs."""

    @property
    @abstractmethod
    def books(self) -> Books:
        """The calls of models."""

    @abstractmethod
    def _runnable(self, reference: str | Path, input: JSON) -> Artifact:
        """What a reference means to a new run, which may run on this input."""

    @abstractmethod
    def _first_entry(
        self, artifact: Artifact, input: JSON, run: str, parent: Mapping[str, str] | None = None
    ) -> tuple[Workflow, saga.Record]:
        """The workflow that an artifact is, and the first entry of a run of it, with all that this is pinned to."""

    def start(self, reference: str | Path, input: JSON, *, idempotency_key: str | None = None) -> str:
        """Start a run of a published workflow or capability, or of a workflow file; return its id.

        Nothing is executed yet: `drive` does that. The run is pinned to the versions of this moment. Raises NotFound,
        InvalidInput with the path into the input, or for a key without letters; Conflict when the key belongs to a run
        on other input.
        """
        if idempotency_key == "":
            # As a script gives it whose variable is not set: every such run would be one.
            raise InvalidInput("the idempotency key is empty", hint="give one of its own to each run, or none")
        run, record, input_digest = self._drawn_up(reference, input)
        try:
            self.journal.start(run, record, idempotency_key=idempotency_key, input_digest=input_digest)
        except Conflict as conflict:
            if conflict.facts.get("same_input"):
                return str(conflict.facts["run"])
            raise
        return run

    def _drawn_up(self, reference: str | Path, input: JSON) -> tuple[str, saga.Record, str]:
        """A run that may be made: its id, its first entry and the digest of what is run on what."""
        artifact = self._runnable(reference, input)
        run = self.new_id()
        _, record = self._first_entry(artifact, input, run)
        return run, record, saga.digest_of([artifact.name, input])

    def drive(self, run: str, *, watch: Watch | None = None, wait_seconds: float = 0.0) -> trace.RunView:
        """Carry a run on until it ends or waits; return what it came to. Raises as `Engine.drive`."""
        self.engine.drive(run, watch=watch, wait_seconds=wait_seconds)
        return self.view(run)

    def run(
        self,
        reference: str | Path,
        input: JSON,
        *,
        idempotency_key: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """Start a run and carry it on until it ends or waits. Raises as `start` and `drive`."""
        if idempotency_key is not None:
            run = self.start(reference, input, idempotency_key=idempotency_key)
            return self.drive(run, watch=watch, wait_seconds=wait_seconds)
        run, record, input_digest = self._drawn_up(reference, input)
        lease = self.journal.new(run, record, input_digest=input_digest, watch=watch)
        self.engine.begin(lease, wait_seconds=wait_seconds)
        return self.view(run)

    def answer(
        self,
        run: str,
        decision: str,
        *,
        by: str | None = None,
        comment: str = "",
        digest: str | None = None,
        node: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """Record a person's `approved` or `rejected` on what a run waits for, and carry the run on, as `drive`.

        Raises as `saga.decide_approval`, with nothing recorded.
        """
        said = {"decision": decision, "by": by or user(), "comment": comment, "digest": digest, "node": node}
        return self._bring(run, "approval", said, watch, wait_seconds)

    def deliver(
        self,
        run: str,
        payload: JSON,
        *,
        node: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """Give a run the callback that it waits for at `node`, and carry it on, as `drive`.

        One that comes before the run waits for it, or while another process drives the run, is kept until it is taken.
        Raises InvalidInput when the payload breaks the node's schema, Conflict when it came too late or came before.
        """

        state = saga.fold(self.journal.entries(run))
        workflow = self.library.workflow(state)
        try:
            self._check_payload(run, saga.awaiting(workflow, state, node), payload)
            return self._bring(run, "callback", {"payload": payload, "node": node}, watch, wait_seconds)
        except Conflict as conflict:
            if node is None:
                raise
            self._keep_callback(run, payload, node, conflict)
        return self.view(run)

    def _keep_callback(self, run: str, payload: JSON, node: str, why: Conflict) -> None:
        """Store a callback for later, unless it can never be taken; then `why` it was not taken now, or why never."""
        entries = self.journal.entries(run)
        state = saga.fold(entries)
        if len([track for track in state.waits("callback") if node in (track.path, track.at)]) > 1:
            raise why  # kept, it would be taken by whichever branch is left in the end
        came = [each.data["node"] for each in self.journal.messages(run) if each.kind == "callback"]
        if _answers(entries, node) or any(_means(path, node) or _means(node, path) for path in came):
            raise _came_already(run, node)
        if state.status in FINAL_STATUSES or any(entry.kind == "timed_out" and entry.node == node for entry in entries):
            raise why
        self._check_payload(run, _wait_node(self.library.workflow(state), node, run), payload)
        self.journal.send(run, "callback", {"payload": payload, "node": node})

    def _check_payload(self, run: str, waiter: WaitNode, payload: JSON) -> None:
        # Before success_when looks into it.
        check_value("payload", payload, waiter.schema_, f"'{waiter.id}' of run '{run}'")

    def callback_token(self, run: str, *, node: str | None = None, seconds: float = 86400.0) -> str:
        """A word with which whoever holds it may deliver the callback `node` (a path) of a run, once, for `seconds`.

        Without `node`: the one that the run waits for, or the only one that its workflow has. Raises InvalidInput when
        that leaves a choice, or names no wait node.
        """
        entries = self.journal.entries(run)
        state = saga.fold(entries)
        workflow = self.library.workflow(state)
        if node is None:
            waits = [each.path for each in state.waits("callback")]
            known = waits or [each.id for each in workflow.nodes if isinstance(each, WaitNode)]
            if len(known) != 1:
                if not known:
                    raise InvalidInput(f"the workflow of run '{run}' has no wait node, so it waits for no callback")
                raise InvalidInput(f"run '{run}' may wait at {', '.join(known)}", hint="say which is meant with --node")
            node = known[0]
        _wait_node(workflow, node, run)
        attempt = len(_answers(entries, node)) + 1
        return callbacks.token(self._callback_key(), run, node, attempt, self.clock.now() + seconds)

    def deliver_by_token(
        self, token: str, payload: JSON, *, watch: Watch | None = None, wait_seconds: float = 0.0
    ) -> trace.RunView:
        """As `deliver`, for the run and the node of a token. InvalidInput when the token is none of this registry's,
        Conflict when its time is over or it was used."""
        run, node, attempt = callbacks.read(self._callback_key(), token, self.clock.now())
        if attempt <= len(_answers(self.journal.entries(run), node)):
            raise _came_already(run, node)
        return self.deliver(run, payload, node=node, watch=watch, wait_seconds=wait_seconds)

    def _callback_key(self) -> bytes:
        return bytes.fromhex(self.journal.kept("callback_key", lambda: secrets.token_hex(32)))

    def wake(
        self,
        run: str,
        *,
        node: str | None = None,
        by: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """End a run's sleep, or its pause before a retry, early, and carry it on. Conflict when it does not sleep."""
        return self._bring(run, "wake", {"by": by or user(), "node": node}, watch, wait_seconds)

    def cancel(
        self,
        run: str,
        *,
        compensate: bool = True,
        reason: str = "",
        by: str | None = None,
        watch: Watch | None = None,
    ) -> trace.RunView:
        """Give a run up, and undo what it did unless `compensate` is False.

        Conflict when it has ended, or is being given up already.
        """
        said = {"by": by or user(), "reason": reason, "compensate": compensate}
        return self._bring(run, "cancel", said, watch, 0.0)

    def retry(
        self, run: str, *, by: str | None = None, watch: Watch | None = None, wait_seconds: float = 0.0
    ) -> trace.RunView:
        """Have a failed run go on at the step that failed, with a new deadline and new budgets. Conflict otherwise."""

        def message(workflow: Workflow, state: saga.State) -> saga.Record:
            return saga.retry(workflow, state, by=by or user(), at=self.clock.now())

        return self._tell(run, message, watch, wait_seconds)

    def fork(
        self,
        run: str,
        node: str,
        *,
        workflow: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """Begin a run that takes over what `run` did before `node`, and goes on from there by itself, as `drive`.

        It follows the newest version of its workflow, or the one that `workflow` names. Raises as `fork.fork`, and
        InvalidInput when that version does not take the input of the run.
        """
        from ritesmith.fork import fork

        state = saga.fold(self.journal.entries(run))
        artifact = self._runnable(workflow or state.workflow, state.input)
        forked = self.new_id()
        definition, first = self._first_entry(artifact, state.input, forked)
        with self.journal.lease(run) as lease:
            records, times = fork(self.journal.entries(run), definition, first, node, self.clock.now())
            if records[-1].data["undoes"]:
                lease.append(saga.Record("taken_over", data={"by": forked, "node": node}))
            lease.durably(lambda: self.journal.copy(forked, records, times))
        return self.drive(forked, watch=watch, wait_seconds=wait_seconds)

    def replay(self, run: str) -> Replay:
        """Execute a run again from its journal, touching nothing, and tell where it comes out otherwise.

        Raises JournalMismatch for an edited journal, StoreError for an edited artifact.
        """
        from ritesmith.replay import replay
        from ritesmith.sandbox import lua_version

        entries = self.journal.entries(run)
        workflow = self.library.workflow(saga.fold(entries))
        engine = self.engine
        return replay(entries, workflow, self.library.capability, engine.sandbox, lua_version(), limits=engine.limits)

    def compensate(
        self, run: str, *, by: str | None = None, watch: Watch | None = None, wait_seconds: float = 0.0
    ) -> trace.RunView:
        """Try again to undo what could not be undone. Conflict when there is nothing of that."""
        return self._tell(run, lambda _, state: saga.compensate(state, by=by or user()), watch, wait_seconds)

    def resolve(
        self,
        run: str,
        *,
        happened: bool,
        result: JSON = None,
        by: str | None = None,
        node: str | None = None,
        watch: Watch | None = None,
        wait_seconds: float = 0.0,
    ) -> trace.RunView:
        """Record a person's word on a write of which nobody knows whether it happened; carry the run on, as `drive`.

        Raises InvalidInput when the `result` that it is said to have had is none that its host function gives,
        Conflict when the run has no such write.
        """

        call = saga.unknown_track(saga.fold(self.journal.entries(run)), node).unknown
        if happened and call is not None:
            check_value("result", result, self.engine.catalog[call.function].output, f"what '{call.function}' gives")
        said = {"happened": happened, "result": result, "by": by or user(), "node": node}
        return self._bring(run, "effect", said, watch, wait_seconds)

    def drive_due(
        self, *, watch: Watch | None = None, wait_seconds: float = 0.0, stopped: Callable[[], bool] = lambda: False
    ) -> dict[str, saga.State | RiteSmithError]:
        """Carry on, side by side, every run that has something to do now; return what each came to, or its error."""
        return self.engine.drive_all(self.unfinished(), watch=watch, wait_seconds=wait_seconds, stopped=stopped)

    def serve(
        self,
        *,
        stopped: Callable[[], bool],
        poll_seconds: float = 1.0,
        watch: Watch | None = None,
        on_rest: Callable[[str, saga.State | RiteSmithError], object] = lambda run, came_to: None,
    ) -> None:
        """Carry on every run that has something to do, as it comes up, until `stopped()`; as `Engine.serve`."""
        self.engine.serve(stopped=stopped, poll_seconds=poll_seconds, watch=watch, on_rest=on_rest)

    def _bring(
        self, run: str, kind: str, said: Mapping[str, Any], watch: Watch | None, wait_seconds: float
    ) -> trace.RunView:
        """Say something to a run and carry it on, or have whoever drives it take it: then look what became of it."""

        def message(workflow: Workflow, state: saga.State) -> saga.Record:
            return saga.receive(workflow, state, kind, said, self.clock.now())

        try:
            return self._tell(run, message, watch, wait_seconds)
        except Conflict as conflict:
            if "owner" not in conflict.facts:
                raise
        state = saga.fold(self.journal.entries(run))
        message(self.library.workflow(state), state)  # refused now rather than later
        number = self.journal.send(run, kind, said)
        for _ in range(SENT_LOOKS):
            if all(each.id != number for each in self.journal.messages(run)):
                break
            self.clock.sleep(SENT_SECONDS / SENT_LOOKS)
            with suppress(Conflict):  # it may be free by now
                self.drive(run, watch=watch, wait_seconds=wait_seconds)
        else:
            return self.view(run)  # it is with the run, and will be taken before its next step
        entries = self.journal.entries(run)
        if not any(each.data.get("message") == number for each in entries):
            raise Conflict(f"run '{run}' went on before this could be said to it; it is {saga.fold(entries).status}")
        return trace.view(entries)

    def _tell(self, run: str, message: Bring, watch: Watch | None, wait_seconds: float) -> trace.RunView:
        self.engine.drive(run, message=message, watch=watch, wait_seconds=wait_seconds)
        return self.view(run)

    def view(self, run: str, *, inputs: bool = False) -> trace.RunView:
        """A run as its journal tells it; with `inputs`, also what each step was given, and who must carry it on.

        The inputs are evaluated from its workflow. Where that cannot be read, `without_inputs` of the view says why.
        """
        entries = self.journal.entries(self.run_id(run))
        if not inputs:
            return trace.view(entries)
        try:
            seen = trace.view(entries, self.library.workflow(saga.fold(entries)))
        except (NotFound, StoreError) as error:  # what the journal tells must be seen all the same
            seen = trace.view(entries).model_copy(update={"without_inputs": error.message})
        if seen.status in GOES_ON and self.journal.owner(seen.run) is None:
            left = trace.WaitingView(kind="worker", node="", command=f"ritesmith resume {seen.run}")
            seen = seen.model_copy(update={"waiting": seen.waiting or left, "waits": (*seen.waits, left)})
        return seen

    def compare_runs(self, a: str, b: str) -> RunComparison:
        """How run `b` differs from run `a`, from their journals."""
        from ritesmith.views.run_compare import compare

        runs = [self.run_id(each) for each in (a, b)]
        views, pins = [self.view(each, inputs=True) for each in runs], [self._pins(each) for each in runs]
        return compare(views[0], views[1], pins[0], pins[1])

    def _pins(self, run: str) -> dict[str, JSON]:
        """What a run is bound to, each by its name and version, or by its digest when that is not here."""
        first = self.journal.entries(run)[0].data

        def ref(digest: str) -> str:
            try:
                return self.registry.get(digest).ref
            except NotFound:
                return digest

        bound = {name: ref(digest) for name, digest in first["capabilities"].items()}
        return {first["workflow"]: ref(first["digest"]), "lua": first.get("lua_version", ""), **bound}

    def explain_run(self, run: str, *, models: Models | None = None) -> Account:
        """An account of a run in sentences, by a template, or by a model when the run has ended.

        It is no part of the run: nothing is written but the call of a model into the books of the forge. Figures that
        do not occur in the trace are in `unsupported`. Raises Conflict when a model is to tell of a run that has not
        ended, ModelUnavailable when none answers.
        """
        from ritesmith.views import account

        view = self.view(run, inputs=True)
        if models is None:
            return account.account(view)
        if not view.final:
            raise Conflict(
                f"run '{view.run}' is {view.status}; a model explains runs that have ended",
                hint=f"without --model it is told how it stands: ritesmith explain {view.run}",
            )
        from ritesmith.books import Budget, Session
        from ritesmith.forge.explain import account_messages

        messages = account_messages(view.model_dump(mode="json"))
        session = Session(self.books, f"e{secrets.token_hex(5)}", f"explain run {view.run}", Budget())
        reply = session.ask(models.order(), messages, "explain")
        call = session.calls[-1]
        return account.model_account(
            view,
            reply.text,
            reply.model,
            truncated=reply.truncated,
            tokens_in=call.tokens_in,
            tokens_cached=call.tokens_cached,
            tokens_out=call.tokens_out,
            cost=call.cost,
            seconds=reply.seconds,
        )

    def mermaid(self, run: str) -> str:
        """The graph of a run with what happened at each node, as Mermaid text."""
        from ritesmith.views.diagram import mermaid

        return mermaid(*self._seen(run))

    def svg(self, run: str) -> str:
        """The graph of a run with what happened at each node, and its timeline, as an SVG file."""
        from ritesmith.views.picture import svg

        return svg(*self._seen(run), self.clock.now())

    def html(self, run: str) -> str:
        """All that is known of a run as one HTML file, which needs nothing else."""
        from ritesmith.views.page import html

        return html(*self._seen(run), self.clock.now())

    def _seen(self, run: str) -> tuple[Workflow, trace.RunView]:
        """A run's workflow, without which it cannot be drawn, and its view."""
        seen = self.view(run, inputs=True)
        return self.library.workflow(saga.fold(self.journal.entries(seen.run))), seen

    def runs(
        self, *, status: str | None = None, workflow: str | None = None, stuck: bool = False, limit: int = 50
    ) -> list[dict[str, Any]]:
        """Runs, newest first: id, workflow, status, outcome, started_at, updated_at, due_at, parent, owner.

        `stuck`: only those that go on by nobody, each with `command`, which would help. Raises NotFound with the near
        miss for a workflow or capability that never was, InvalidInput for no status.
        """
        if status is not None and status not in get_args(RunStatus):
            raise InvalidInput(f"a run is never '{status}'", hint=f"it is one of {', '.join(get_args(RunStatus))}")
        if workflow is not None and not self.registry.versions(workflow):
            self.registry.get(workflow)
        rows = self.journal.rows(status=status, workflow=workflow, stuck=stuck, limit=limit)
        if stuck:
            commands = {"unknown": "resolve {} --happened|--did-not-happen", "compensation_failed": "compensate {}"}
            for row in rows:
                row["command"] = f"ritesmith {commands.get(row['status'], 'resume {}').format(row['id'])}"
        return rows

    def unfinished(self) -> list[str]:
        """Runs that have something to do now, oldest first: interrupted ones, and those whose time has come.

        A run that somebody is driving at this moment is none of them.
        """
        return self.journal.due()

    def run_id(self, given: str) -> str:
        """A run's id from a part that begins it; NotFound with the near miss, InvalidInput when several begin so."""
        found = self.journal.beginning(given) if given else []
        if len(found) > 1:
            raise InvalidInput(f"several runs begin with '{given}'", hint="give more of the id")
        if not found:
            near = near_miss(given, [row["id"] for row in self.journal.rows(limit=1000)])
            hint = f"did you mean '{near}'?" if near else "list the runs: ritesmith runs"
            raise NotFound(f"there is no run '{given}'", hint=hint)
        return found[0]


def user() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        return "somebody"


def _means(path: str, node: str) -> bool:
    """Whether a path is that node's: it is named so, or it is the node of that name within a branch."""
    return node in (path, path.rpartition("/")[2])


def _answers(entries: Sequence[Entry], node: str) -> list[Entry]:
    """The callbacks that a run has taken at a node: more than one where a person had it tried again."""
    came = [entry for entry in entries if entry.kind == "callback_received"]
    return [entry for entry in came if _means(entry.node, node) or _means(node, entry.node)]


def _came_already(run: str, node: str) -> Conflict:
    return Conflict(f"the callback '{node}' of run '{run}' has come already; this one is not taken")


def _wait_node(workflow: Workflow, path: str, run: str) -> WaitNode:
    waiter = workflow.by_id.get(path.rsplit("/", 1)[-1].partition("#")[0])
    if not isinstance(waiter, WaitNode):
        near = near_miss(path, [each.id for each in workflow.nodes if isinstance(each, WaitNode)])
        raise InvalidInput(f"'{path}' is no wait node of run '{run}'", hint=f"did you mean '{near}'?" if near else "")
    return waiter
