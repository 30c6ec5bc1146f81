"""Worker processes: started, shared, killed, replaced, forked around, and gone when nobody needs them."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ritesmith.errors import SandboxError
from ritesmith.models import HostReply, Limits
from ritesmith.sandbox import Sandbox
from ritesmith.sandbox.supervisor import Turns, WorkerLost, WorkerProcess, read_json

CONFINE = Path(__file__).parent.parent / "ritesmith" / "sandbox" / "confine.py"
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has these calls")

GOOD = "function run(input) return {n = input.n * 2} end"
HOSTILE = [
    "function run() while true do end end",
    "function run() local t = {} for i = 1, math.huge do t[i] = ('x'):rep(1000) .. i end end",
    "function run() error({}) end",
    "function run() return setmetatable({}, {__index = error}).x end",
    "function run() local s = ('x'):rep(4000000) while true do local t = s .. 'y' end end",
]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as pool:
        yield pool


def workers_of(sandbox: Sandbox) -> list[WorkerProcess]:
    return [*sandbox._pool._idle, *sandbox._pool._busy]


def children() -> set[int]:
    """Process ids of this process's children, zombies included."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def test_nothing_starts_before_the_first_use(sandbox: Sandbox) -> None:
    assert workers_of(sandbox) == []
    assert sandbox.run(GOOD, {"n": 1}).output == {"n": 2}
    assert workers_of(sandbox) != []


def test_who_need_not_wait_is_told_that_no_worker_is_there_yet_and_one_is_started() -> None:
    for cold in (lambda box: box.begin(GOOD, {"n": 1}, wait=False), lambda box: box.warm() and None):
        with Sandbox(workers=1) as sandbox:
            assert cold(sandbox) is None
            pool = sandbox._pool
            with pool._changed:
                assert pool._changed.wait_for(lambda pool=pool: pool._idle, 20)
            begun = sandbox.begin(GOOD, {"n": 1}, wait=False)
            assert begun is not None
            assert begun.finish().output == {"n": 2}


def test_a_worker_is_replaced_after_its_number_of_calls() -> None:
    with Sandbox(workers=1, recycle_after=3) as sandbox:
        for n in range(10):
            assert sandbox.run(GOOD, {"n": n}).output == {"n": 2 * n}
        assert sandbox._pool.started >= 3


def test_eight_threads_mix_good_and_hostile_scripts_and_every_good_answer_is_right(sandbox: Sandbox) -> None:
    wrong: list[object] = []
    limits = Limits(fuel=1_000_000, memory_bytes=16 * 1024 * 1024, deadline_seconds=2)

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for n in range(25):
            if dice.random() < 0.3:
                outcome = sandbox.run(dice.choice(HOSTILE[:4]), {}, limits=limits)
                if outcome.status not in {"fuel", "memory", "script_error"}:
                    wrong.append(outcome)
            outcome = sandbox.run(GOOD, {"n": seed * 1000 + n}, limits=limits)
            if outcome.output != {"n": 2 * (seed * 1000 + n)}:
                wrong.append(outcome)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_workers_killed_at_random_during_load_lose_no_good_answer(sandbox: Sandbox) -> None:
    seed = 20_261_121
    print(f"seed {seed}")
    dice = random.Random(seed)
    statuses = []
    for n in range(150):
        if dice.random() < 0.2:
            for worker in workers_of(sandbox):
                os.kill(worker.pid, signal.SIGKILL)
        outcome = sandbox.run(GOOD, {"n": n})
        statuses.append(outcome.status)
        assert outcome.output == {"n": 2 * n}
    assert set(statuses) == {"ok"}


def test_a_worker_killed_in_the_middle_is_reported_and_not_run_again_after_a_real_host_call(sandbox: Sandbox) -> None:
    met = []

    def host(name: str, arguments: object) -> HostReply:
        met.append(name)
        for worker in workers_of(sandbox):
            os.kill(worker.pid, signal.SIGKILL)
        return HostReply(result={})

    outcome = sandbox.run("function run() return store.get{} end", {}, functions=["store.get"], host=host)
    assert (outcome.status, outcome.retryable, met) == ("worker_lost", True, ["store.get"])
    assert sandbox.run(GOOD, {"n": 4}).output == {"n": 8}


def test_after_a_kill_a_warm_worker_serves_the_next_call(sandbox: Sandbox) -> None:
    assert sandbox.run(HOSTILE[4], {}, limits=Limits(deadline_seconds=0.3, fuel=10**12)).status == "deadline"
    assert len(sandbox._pool._idle) >= 1
    assert sandbox.run(GOOD, {"n": 4}).output == {"n": 8}


def test_a_script_that_was_begun_is_finished_later_and_nobody_waits_for_a_worker_unasked(sandbox: Sandbox) -> None:
    begun = [sandbox.begin(GOOD, {"n": n}) for n in (1, 2)]
    assert sandbox.begin(GOOD, {"n": 3}, wait=False) is None  # both workers are taken
    assert [each.finish().output for each in begun if each is not None] == [{"n": 2}, {"n": 4}]
    third = sandbox.begin(GOOD, {"n": 3}, wait=False)
    assert third is not None
    assert third.finish() == sandbox.run(GOOD, {"n": 3})


def test_an_input_that_cannot_be_read_takes_no_worker_away(sandbox: Sandbox) -> None:
    class Unreadable(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        sandbox.begin(GOOD, Unreadable(n=1))
    assert not sandbox._pool._busy
    assert sandbox.run(GOOD, {"n": 4}).output == {"n": 8}


def test_a_script_that_was_begun_and_dropped_gives_its_worker_and_its_turn_back(sandbox: Sandbox) -> None:
    for _ in range(3):
        endless = sandbox.begin(HOSTILE[0], {}, limits=Limits(fuel=10**12))
        assert endless is not None
        number = endless.fileno()
        assert number is not None
        assert not select.select([number], [], [], 0)[0]
        endless.drop()
    assert sandbox.run(GOOD, {"n": 4}).output == {"n": 8}


def test_what_was_begun_ends_as_if_it_had_been_run(sandbox: Sandbox) -> None:
    for source, limits in [
        (GOOD, Limits()),
        (HOSTILE[0], Limits(fuel=100_000)),
        (HOSTILE[4], Limits(deadline_seconds=0.2, fuel=10**12)),
        ("function run(", Limits()),
        ("\x1bLua", Limits()),
        ("function run() return store.get{} end", Limits()),
    ]:
        begun = sandbox.begin(source, {"n": 1}, limits=limits)
        assert begun is not None
        ended, run = begun.finish(), sandbox.run(source, {"n": 1}, limits=limits)
        assert (ended.status, ended.code, ended.message, ended.fuel) == (run.status, run.code, run.message, run.fuel)


def test_a_large_result_that_is_looked_at_late_has_come_in_time(sandbox: Sandbox) -> None:
    limits = Limits(deadline_seconds=0.3, output_bytes=8 << 20)
    begun = sandbox.begin("function run() return ('x'):rep(3000000) end", {}, limits=limits)
    assert begun is not None
    assert select.select([begun.fileno()], [], [], 20)[0]
    begun._request.began -= 1
    assert begun.finish().status == "ok"


def test_what_was_begun_in_a_worker_that_is_killed_is_run_again(sandbox: Sandbox) -> None:
    begun = sandbox.begin("function run(input) for i = 1, 3000000 do end return input end", {"n": 1})
    assert begun is not None
    for worker in workers_of(sandbox):
        os.kill(worker.pid, signal.SIGKILL)
    assert begun.finish().output == {"n": 1}


@linux_only
def test_closing_leaves_no_process(sandbox: Sandbox) -> None:
    before = children()
    with Sandbox(workers=2) as other:
        other.run(GOOD, {"n": 1})
        mine = {worker.pid for worker in workers_of(other)}
        assert mine
    assert not mine & children()
    assert not before & mine
    with pytest.raises(SandboxError):
        other.run(GOOD, {"n": 1})


@linux_only
def test_workers_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from ritesmith.sandbox import Sandbox\n"
        "from ritesmith.models import Limits, HostReply\n"
        "box = Sandbox(workers=1)\n"
        "box.run('function run() return 1 end', {})\n"
        "def host(name, arguments):\n"
        "    print(*[w.pid for w in [*box._pool._idle, *box._pool._busy]], flush=True)\n"
        "    return HostReply(result={})\n"
        "box.run('function run() store.get{} while true do end end', {}, functions=['store.get'], host=host,"
        " limits=Limits(fuel=10**15, deadline_seconds=600))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert pids
    handles = [os.pidfd_open(pid) for pid in pids]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    import select

    for handle in handles:
        # Readable once the process has ended, the busy one in its endless loop too.
        assert select.select([handle], [], [], 10)[0] == [handle]
        os.close(handle)


@linux_only
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_workers_of_its_own(sandbox: Sandbox) -> None:
    sandbox.run(GOOD, {"n": 1})
    mine = {worker.pid for worker in workers_of(sandbox)}
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            right = sandbox.run(GOOD, {"n": 5}).output == {"n": 10}
            other = not mine & {worker.pid for worker in workers_of(sandbox)}
            os.write(writer, b"yes" if right and other else b"no")
            sandbox.close()
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    answer = os.read(reader, 10)
    os.close(reader)
    _, status = os.waitpid(child, 0)
    assert (answer, status) == (b"yes", 0)
    assert sandbox.run(GOOD, {"n": 6}).output == {"n": 12}


def test_waiting_groups_take_turns_and_one_too_many_is_refused() -> None:
    turns = Turns(1, waiting_max=4)
    served: list[str] = []
    inside, go = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.take("first"):
            inside.set()
            go.wait()

    def take(group: str) -> None:
        with turns.take(group):
            served.append(group)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait()
    threads = []
    for waiting, group in enumerate(["a", "a", "a", "b"], start=1):
        threads.append(threading.Thread(target=take, args=(group,)))
        threads[-1].start()
        while turns._waiting < waiting:
            pass
    with pytest.raises(SandboxError, match="waiting"), turns.take("c"):
        pass
    go.set()
    for thread in [holder, *threads]:
        thread.join()
    assert served == ["a", "b", "a", "a"]


@pytest.mark.parametrize(
    "said",
    [b"", b"\xff", b"{", b"NaN", b'{"a": Infinity}', b"[" * 100_000, b'"\\ud800"', b"1" * 5000],
    ids=["nothing", "not UTF-8", "half", "nan", "infinity", "deep", "half a surrogate pair", "long number"],
)
def test_what_a_worker_says_is_read_as_hostile(said: bytes) -> None:
    with pytest.raises(WorkerLost):
        read_json(said)


@linux_only
def test_a_confined_process_reaches_no_file_socket_process_or_new_code() -> None:
    script = f"""
import ctypes, importlib.util, mmap, os, socket, sys
spec = importlib.util.spec_from_file_location("confine", {str(CONFINE)!r})
confine = importlib.util.module_from_spec(spec)
spec.loader.exec_module(confine)
out = os.dup(1)
layers, inactive = confine.confine(0, out, os.getppid())
def refused(step):
    try:
        step()
    except OSError:
        return True
    return False
libc = ctypes.CDLL(None, use_errno=True)
def code():
    libc.mmap.restype = ctypes.c_void_p
    if libc.mmap(None, 4096, 7, 0x22, -1, 0) == ctypes.c_void_p(-1).value:
        raise OSError
answers = dict(
    open=refused(lambda: os.open("/etc/passwd", os.O_RDONLY)),
    create=refused(lambda: os.open("new file", os.O_CREAT | os.O_WRONLY)),
    socket=refused(lambda: socket.socket()),
    fork=refused(os.fork),
    execute=refused(lambda: os.execv("/bin/true", ["true"])),
    signal=refused(lambda: os.kill(os.getppid(), 0)),
    unlink=refused(lambda: os.unlink("no such file")),
    listing=refused(lambda: os.listdir("/")),
    other_descriptor=refused(lambda: os.write(2, b"x")),
    code=refused(code),
)
os.write(out, repr((answers, layers, inactive)).encode())
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, timeout=20, check=True)
    answers, layers, inactive = eval(done.stdout.decode())
    if "seccomp" in layers:
        assert all(answers.values()), answers
    else:
        assert inactive["seccomp"]
    assert {"process", "rlimits"} <= set(layers)


def test_describe_lists_the_layers_that_hold(sandbox: Sandbox) -> None:
    described = sandbox.describe()
    assert described["lua_version"].startswith("Lua 5.5")
    assert "rlimits" in described["layers"]
    assert not set(described["layers"]) & set(described["inactive"])
