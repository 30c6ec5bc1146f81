"""Random workflows in a random world: what they did must be what the plain model of `saga_model` says.

No database, no sandbox, no thread and no real clock: one loop draws what happens next. A run moves on by one command, a
step that is under way by one host call, the process dies, time passes, somebody wakes, cancels, answers (too early, too
late, twice). All of it comes from one seed, which is printed:

    make sim                          thousands of runs
    make sim RUNS=1 SEED=123          the one that failed
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from saga_model import Fate, Left, Model, Program, Writer, compiled, result_of

from ritesmith import saga, trace
from ritesmith.errors import Conflict
from ritesmith.journal import _entry
from ritesmith.models import FINAL_STATUSES, JSON, LEGAL_MOVES, Entry, Outcome, Workflow

NOW = 1_800_000_000.0
QUICK = 250
RUNS = int(os.environ.get("RITESMITH_SIM_RUNS") or 0)
"""How many workflows in each weather; otherwise QUICK, as many as the suite can bear."""
SEED = os.environ.get("RITESMITH_SIM_SEED")
ACTIONS_MAX = 20_000
PATIENCE_SECONDS = 86_400.0
"""Before as much time goes by with nothing done, somebody gives the answers that are waited for."""


@dataclass(frozen=True)
class Weather:
    """How likely what is."""

    bad: float = 0.0
    """That an attempt fails."""
    calls: float = 0.3
    """That a step makes one more host call."""
    crash: float = 0.0
    """That the process dies at a given moment."""
    people: float = 0.0
    """That somebody interferes at a given moment."""


WEATHERS = {
    "calm": Weather(),
    "failing": Weather(bad=0.2, calls=0.6),
    "crashing": Weather(bad=0.03, calls=0.5, crash=0.05),
    "meddling": Weather(bad=0.1, people=0.15),
    "everything": Weather(bad=0.08, calls=0.4, crash=0.03, people=0.08),
}


@dataclass
class Machine:
    """A step that is under way."""

    invoke: saga.Invoke
    calls: tuple[str, ...]
    end: str
    fuel: int
    index: int = 0
    phase: str = "announce"


@dataclass
class Run:
    """One run: its journal, and what a process that drives it has in memory."""

    id: str
    program: Program
    workflow: Workflow
    entries: list[Entry] = field(default_factory=list)
    durable: int = 0
    """How many entries a crash leaves."""
    state: saga.State = field(default_factory=saga.State)
    running: dict[str, saga.Invoke | saga.Await] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    rests: saga.Pause | None = None
    inbox: list[tuple[str, JSON]] = field(default_factory=list)
    """Callbacks that came early: (wait node, payload)."""
    sent: dict[str, list[JSON]] = field(default_factory=dict)
    undo_arguments: dict[str, list[JSON]] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.state.status in FINAL_STATUSES


class World:
    """One process, which may die and come back, the runs that it drives, and all that is outside."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self.rng = random.Random(seed)
        self.weather = weather
        self.fate = Fate(seed, weather.bad * self.rng.choice([0, 1, 1, 3]), weather.calls)
        self.now = NOW
        self.runs: dict[str, Run] = {}
        self.effects: dict[str, dict[tuple[str, int, int], int]] = {}
        """Run -> (path and pass, attempt, call) -> how often that call reached the world."""
        self.happened: set[tuple[str, str, int, int]] = set()
        self.programs: dict[str, Program] = {}
        self.flows: dict[str, Workflow] = {}
        program = Writer(self.rng, self.rng.randrange(2, 20)).program()
        self._know(program)
        self.begin("r1", program.name, {"c": self.rng.randrange(10)}, None)
        self.commit()
        self.kindness = self.rng.randrange(3)
        """How often somebody has a run that failed tried again."""

    def _know(self, program: Program) -> None:
        self.programs[program.name], self.flows[program.name] = program, compiled(program)
        for child in program.children.values():
            self._know(child)

    def begin(self, id: str, name: str, input: JSON, parent: dict[str, str] | None) -> None:
        run = Run(id, self.programs[name], self.flows[name])
        self.runs[id] = run
        self.append(run, saga.start_record(run.workflow, "d" * 64, {}, input, id, self.now, parent=parent))

    # ------------------------------------------------------------ the journal

    def append(self, run: Run, record: saga.Record) -> None:
        """Add an entry, and check all that must hold of a run at every moment."""
        self.now = max(self.now, run.state.updated_at)
        entry, _ = _entry(run.id, len(run.entries) + 1, self.now, record, run.state.last_hash)
        before = run.state.status
        saga.apply(run.state, entry)
        run.entries.append(entry)
        run.rests = None
        after = run.state.status
        assert after == before or after in LEGAL_MOVES[before], f"{before} to {after} by {entry.kind}"
        self.check(run)
        for callback in list(run.inbox):
            if callback in run.inbox:
                self._take(run, callback)

    def _take(self, run: Run, callback: tuple[str, JSON]) -> None:
        if run.ended:
            return
        try:
            record = saga.receive_callback(run.workflow, run.state, callback[1], at=self.now, node=callback[0])
        except Conflict:
            return
        run.inbox.remove(callback)
        self.append(run, record)

    def check(self, run: Run) -> None:
        read = [each._replace(data=json.loads(json.dumps(each.data))) for each in run.entries]
        folded = saga.fold(read)
        assert folded == run.state, "the state is what its entries fold to, also when they were written and read"
        state = run.state
        for track in state.live.values():
            if track.fork is not None:
                assert len(track.fork.open) <= track.fork.concurrency
        limits = run.program.limits
        if not {"compensation_started", "undo_requested"} & {each.kind for each in run.entries}:
            for name in ("fuel", "host_calls"):
                assert getattr(state, name) <= limits.get(name, float("inf")) or self.overdrawn(run, name)

    def overdrawn(self, run: Run, name: str) -> bool:
        """Whether more could be spent than the budget had: to find out what became of a write."""
        return any(entry.kind == "call_started" for entry in run.entries)

    def commit(self) -> None:
        for run in self.runs.values():
            run.durable = len(run.entries)

    def crash(self) -> None:
        """What was not committed is gone, and so is all that is only in memory."""
        for id, run in list(self.runs.items()):
            del run.entries[run.durable :]
            if not run.entries:
                del self.runs[id]
                continue
            run.running, run.machines, run.rests = {}, {}, None
            run.state = saga.fold(run.entries)

    # ------------------------------------------------------------ driving

    def move(self, run: Run) -> None:
        """One command."""
        running = bool(run.running)
        now = max(self.now, run.state.updated_at)
        command = saga.decide(run.workflow, run.state, now, run.running)
        if not running and not isinstance(command, saga.Await | saga.Finished):
            due = run.state.due_at()
            if isinstance(command, saga.Pause):
                assert due == command.until, f"it is due at {due}, and would do something at {command.until}"
            else:
                assert due is not None
                assert due <= now, f"it is due at {due}, and does something already: {command}"
        match command:
            case saga.Record(kind="child_started"):
                self.append(run, command)
                data, origin = command.data, {"run": run.id, "path": command.node}
                self.begin(data["child"], data["workflow"], data["input"], origin)
            case saga.Record():
                self.append(run, command)
            case saga.Invoke():
                self.commit()
                self._start(run, command)
            case saga.Await():
                run.running[command.path] = command
                self._await(run, command)
            case saga.Pause():
                self.commit()
                run.rests = command
                self.check_called(run)
            case saga.Finished():
                self.commit()
                run.rests = saga.Pause(None)
        if run.ended and run.state.parent is not None:
            self._answer_caller(run)

    def check_called(self, run: Run) -> None:
        """A run that is called where nothing is wanted any more has been told so."""
        for track in run.state.live.values():
            command = run.running.get(track.path)
            if track.fork is None and isinstance(command, saga.Await) and self.unwanted(run, track):
                assert command.wish == "cancel", f"{command.child} goes on, and nobody wants it"

    def unwanted(self, run: Run, track: saga.Track) -> bool:
        """Whether the run has failed, or the answer of a fork that the track belongs to is there already."""
        above = track.parent
        while above is not None:
            assert above.fork is not None
            deciding = {"all": "failed", "any": "succeeded"}.get(above.fork.policy)
            if deciding in {each["status"] for each in above.fork.results.values()}:
                return True
            above = above.parent
        return run.state.failure is not None

    def _start(self, run: Run, invoke: saga.Invoke) -> None:
        settling = bool(invoke.calls) and invoke.calls[-1].reply is None
        if not invoke.compensation and not settling:  # to find out what came of a write, one may go beyond
            assert run.state.steps <= run.workflow.limits.steps, "no step beyond the limit"
            assert not self.unwanted(run, run.state.track_of(invoke.path)), "nobody wants its result"
        assert invoke.path not in run.running
        fate = self.fate.attempt(run.id, self.place(run, invoke.path), invoke.attempt)
        run.running[invoke.path] = invoke
        known = sum(call.reply is not None for call in invoke.calls)
        run.machines[invoke.path] = Machine(invoke, fate.calls, fate.end, fate.fuel, known)
        if invoke.compensation:
            run.undo_arguments.setdefault(invoke.path.removesuffix("~undo"), []).append(invoke.input)
        for name in ("fuel", "host_calls"):
            limit = run.state.limits.get(name)
            reserved = [getattr(each, name) for each in run.running.values() if isinstance(each, saga.Invoke)]
            if limit is not None and not invoke.compensation and None not in reserved:
                assert sum(reserved) <= max(0, limit - getattr(run.state, name)), f"more {name} reserved than is left"

    def place(self, run: Run, path: str) -> str:
        """A path, and for a compensation which time round it is."""
        if not path.endswith("~undo"):
            return path
        failed = [e for e in run.entries if e.node == path and e.kind == "compensation_failed"]
        return path + "!" * len(failed)

    def _await(self, run: Run, command: saga.Await) -> None:
        child = self.runs[command.child]
        try:
            if command.wish == "cancel":
                assert self.unwanted(run, run.state.track_of(command.path)), "the journal does not say why"
                compensate = run.state.cancelled != "abandon"
                self.append(child, saga.cancel(child.state, by=run.id, compensate=compensate))
            elif command.wish == "undo":
                self.append(child, saga.request_undo(child.workflow, child.state, by=run.id))
        except Conflict:
            pass
        if child.ended:
            self._answer_caller(child)

    def _answer_caller(self, child: Run) -> None:
        assert child.state.parent is not None
        caller = self.runs[child.state.parent["run"]]
        for path in (child.state.parent["path"], child.state.parent["path"] + saga.UNDO):
            command = caller.running.get(path)
            if isinstance(command, saga.Await) and command.child == child.id:
                del caller.running[path]
                self.append(caller, saga.child_ended(caller.workflow, caller.state, command, child.state))
                if caller.ended and caller.state.parent is not None:
                    self._answer_caller(caller)

    def step(self, run: Run, machine: Machine) -> None:
        """One host call of a step, or a part of it, or its end."""
        invoke = machine.invoke
        path, attempt = invoke.path, invoke.attempt
        place = self.place(run, path)
        if machine.index < len(machine.calls):
            nature, index = machine.calls[machine.index], machine.index
            told = {"index": index, "function": f"f.{nature}", "args_digest": "a"}
            pending = machine.phase == "announce" and len(invoke.calls) > index
            if invoke.host_calls is not None and index >= invoke.host_calls and not pending:
                self._end(run, machine, Outcome(status="host_calls", code="host_calls", host_calls=index))
            elif pending and nature in ("blind", "refused"):
                self._leave(run, machine)
                self.append(run, saga.Record("effect_unknown", path, attempt))
            elif machine.phase == "announce" and nature != "read":
                if not pending:
                    self.append(run, saga.Record("call_started", path, attempt, told))
                    self.commit()
                machine.phase = "effect"
            elif machine.phase in ("announce", "effect"):
                made = self.effects.setdefault(run.id, {})
                made[place, attempt, index] = made.get((place, attempt, index), 0) + 1
                if nature in ("write", "blind"):
                    self.happened.add((run.id, place, attempt, index))
                machine.phase = "finish"
            else:
                answer = {"error": {"code": "no", "message": "no"}} if nature == "refused" else {"result": index}
                self.append(
                    run, saga.Record("call_finished", path, attempt, told | answer | {"write": nature != "read"})
                )
                self.commit()
                machine.index, machine.phase = index + 1, "announce"
            return
        spent = {"fuel": machine.fuel, "host_calls": machine.index}
        if invoke.fuel is not None and machine.fuel > invoke.fuel:
            self._end(run, machine, Outcome(status="fuel", code="fuel", fuel=invoke.fuel, host_calls=machine.index))
        elif machine.end == "ok":
            output = {} if invoke.compensation else result_of(run.id, path, invoke.input)
            self._end(run, machine, Outcome(status="ok", output=output, **spent))
        else:
            busy = machine.end == "busy"
            self._end(run, machine, Outcome(status="fail", code=machine.end, message="no", retryable=busy, **spent))

    def _leave(self, run: Run, machine: Machine) -> None:
        del run.running[machine.invoke.path], run.machines[machine.invoke.path]

    def _end(self, run: Run, machine: Machine, outcome: Outcome) -> None:
        self._leave(run, machine)
        now = max(self.now, run.state.updated_at)
        self.append(run, saga.conclude(run.workflow, run.state, machine.invoke, outcome, now))

    # ------------------------------------------------------------ people

    def resolve(self, run: Run) -> None:
        """Somebody looks whether it happened, and says so."""
        track = self.rng.choice(run.state.unknowns())
        assert track.unknown is not None
        happened = (run.id, self.place(run, track.path), track.attempt, track.unknown.index) in self.happened
        self.append(run, saga.resolve_effect(run.state, happened=happened, result=1, by="ann", node=track.path))
        self.commit()

    def answer(self, run: Run) -> bool:
        """Somebody gives an answer that a run waits for."""
        asked = [each for each in run.state.waits() if each.waiting and each.waiting.kind in ("approval", "callback")]
        if not asked:
            return False
        track = self.rng.choice(asked)
        assert track.waiting is not None
        assert track.at is not None
        try:
            if track.waiting.kind == "callback":
                self.deliver(run, track.at)
            else:
                self.decide(run, track.path)
        except Conflict:
            return False  # too late
        return True

    def decide(self, run: Run, node: str | None) -> None:
        decision = self.rng.choice(["approved", "approved", "rejected"])
        record = saga.decide_approval(
            run.workflow, run.state, decision, by="ann", comment="", at=max(self.now, run.state.updated_at), node=node
        )
        self.append(run, record)
        self.commit()

    def deliver(self, run: Run, node: str) -> None:
        payload = {"v": self.rng.randrange(10), "by": self.rng.randrange(10**6)}
        run.sent.setdefault(node, []).append(payload)
        paths = [each.path for each in run.state.waits("callback") if each.at == node]
        named = self.rng.choice(paths) if paths else node
        at = max(self.now, run.state.updated_at)
        self.append(run, saga.receive_callback(run.workflow, run.state, payload, at=at, node=named))
        self.commit()

    def meddle(self) -> None:
        """Somebody does something to some run, whether it makes sense or not; what makes none is refused."""
        run = self.rng.choice(list(self.runs.values()))
        before, status = len(run.entries), run.state.status
        self.commit()
        try:
            match self.rng.randrange(8):
                case 0 | 1:
                    tracks = run.state.waits("sleep") + run.state.waits("retry")
                    node = self.rng.choice(tracks).path if tracks and not run.ended else None
                    self.append(run, saga.wake(run.state, by="ann", node=node))
                case 2 | 3:
                    self.decide(run, None)
                case 4 | 5:
                    waits = run.program.waits
                    if waits:
                        node = self.rng.choice(waits).id
                        try:
                            self.deliver(run, node)
                        except Conflict:
                            if not run.ended and self.rng.random() < 0.5:
                                run.inbox.append((node, run.sent[node][-1]))
                case 6:
                    self.answer(run)
                case 7:
                    if self.rng.random() < 0.4:
                        self.append(run, saga.cancel(run.state, by="ann", compensate=self.rng.random() < 0.7))
        except Conflict:
            assert (len(run.entries), run.state.status) == (before, status), "what is refused changes nothing"
        self.commit()

    def be_kind(self, run: Run) -> bool:
        """Somebody has a run that went badly taken up again; only one that nobody called."""
        if self.kindness <= 0 or run.state.parent is not None:
            return False
        self.kindness -= 1
        try:
            if run.state.status == "failed":
                self.append(run, saga.retry(run.workflow, run.state, by="ann", at=self.now))
            elif run.state.status == "compensation_failed":
                self.append(run, saga.compensate(run.state, by="ann"))
            else:
                return False
        except Conflict:
            return False
        self.commit()
        return True

    # ------------------------------------------------------------ all of it

    def play(self) -> None:
        """Until every run has ended."""
        for _ in range(ACTIONS_MAX):
            rng, open_ = self.rng, [run for run in self.runs.values() if not run.ended]
            if not open_:
                self.commit()
                if not any(self.be_kind(run) for run in list(self.runs.values())):
                    return
                continue
            if rng.random() < self.weather.crash:
                self.crash()
            elif rng.random() < self.weather.people:
                self.meddle()
            elif rng.random() < 0.02:
                self.now += rng.uniform(0, 5)
            else:
                self._something(open_)
        raise AssertionError("it does not end")

    def _something(self, open_: list[Run]) -> None:
        rng = self.rng
        moves: list[Any] = [run for run in open_ if self._may_move(run)]
        moves += [(run, machine) for run in self.runs.values() for machine in run.machines.values()]
        if moves:
            move = rng.choice(moves)
            if isinstance(move, Run):
                self.move(move)
            else:
                self.step(*move)
            return
        unknown = [run for run in open_ if run.state.unknowns()]
        if unknown and rng.random() < 0.8:
            self.resolve(rng.choice(unknown))
            return
        if rng.random() < 0.5 and any(self.answer(run) for run in rng.sample(open_, len(open_))):
            return
        times = [run.rests.until for run in open_ if run.rests is not None and run.rests.until is not None]
        if times and min(times) < self.now + PATIENCE_SECONDS:
            self.now = max(self.now, min(times)) + rng.choice([0, 0, 0, 1])
            if rng.random() < 0.2:  # just too late
                self.answer(rng.choice(open_))
            return
        if unknown or any(run.state.waits("approval") + run.state.waits("callback") for run in open_):
            return  # a person will come
        raise AssertionError("nothing is to be done, and not all have ended: a run is stuck")

    def _may_move(self, run: Run) -> bool:
        return run.rests is None or (run.rests.until is not None and run.rests.until <= self.now)

    def left(self) -> dict[str, Left]:
        """What all runs left behind, for the model."""
        left = {}
        for run in self.runs.values():
            effects: dict[tuple[str, int], list[tuple[int, int, str]]] = {}
            for (place, attempt, call), times in sorted(self.effects.get(run.id, {}).items()):
                nature = self.fate.attempt(run.id, place, attempt).calls[call]
                effects.setdefault((place, attempt), []).append((call, times, nature))
            input = run.entries[0].data["input"]
            left[run.id] = Left(run.id, run.program, input, run.entries, effects, run.sent, run.undo_arguments)
        return left


def seeds(weather: str) -> Iterator[int]:
    """The seeds of this time: from the one that is given, else from a new one, which is printed."""
    first = int(SEED) if SEED else random.SystemRandom().randrange(10**9)
    print(f"weather {weather}, seeds {first} to {first + (RUNS or QUICK) - 1}")
    yield from range(first, first + (RUNS or QUICK))


@pytest.mark.parametrize("weather", WEATHERS)
def test_random_workflows_do_what_the_plain_model_says(weather: str) -> None:
    seen: Counter[str] = Counter()
    for seed in seeds(weather):
        world = World(seed, WEATHERS[weather])
        try:
            world.play()
            Model(world.fate, world.left()).check()
            for run in world.runs.values():
                assert trace.view(run.entries).status == run.state.status
        except BaseException:
            print(f"weather {weather}, seed {seed}")
            raise
        seen.update(entry.kind for run in world.runs.values() for entry in run.entries)
    print(f"{seen.total()} entries: {dict(seen)}")
    if weather == "everything" and RUNS >= 2000:
        assert set(seen) == saga.ENTRY_KINDS - {"run_forked", "taken_over"}, "every kind of entry was met"
