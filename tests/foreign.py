"""What the tests of imports share: a service on loopback that does as it is told, and a project that may reach it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest

from ritesmith.app import RiteSmith
from ritesmith.models import FINAL_STATUSES
from ritesmith.testing import ManualClock
from ritesmith.trace import RunView


class Asked(NamedTuple):
    """One request that came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


class Service(ThreadingHTTPServer):
    """Answers 200 with what was asked, or what `says` was told for a path; the last answer stays."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.moved = f"127.0.0.1:{self.port}=localhost:{self.port}"
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.seen: list[Asked] = []

    def says(self, path: str, *answers: Any) -> None:
        """What it answers under a path with its query: a status with a JSON value, or a value with status 200."""
        self.answers[path] = [each if isinstance(each, tuple) else (200, each) for each in answers]

    @property
    def paths(self) -> list[str]:
        return [
            each.path + ("?" + "&".join(f"{k}={v}" for k, v in each.query.items()) if each.query else "")
            for each in self.seen
        ]

    def bodies(self, path: str) -> list[Any]:
        return [each.body for each in self.seen if each.path == path]


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length).decode()
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(Asked(self.command, parts.path, dict(parse_qsl(parts.query)), body, headers))
        known = self.server.answers
        answers = known.get(self.path) or known.get(parts.path) or [(200, {"path": parts.path, "asked": body})]
        status, value = answers.pop(0) if len(answers) > 1 else answers[0]
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def project(tmp_path: Path, ready: Path, service: Service) -> Path:
    """A project whose settings open loopback to the service."""
    folder = tmp_path / "project"
    shutil.copytree(ready, folder)
    (folder / "ritesmith.toml").write_text(
        f'[http]\nnetworks = ["127.0.0.0/8", "::1/128"]\nports = [{service.port}]\nplain = ["localhost"]\n'
    )
    return folder


@pytest.fixture
def app(project: Path, clock: ManualClock) -> Iterator[RiteSmith]:
    environment = {"RITESMITH_SECRET_PAY_AUTHORIZATION": "Bearer t0p-5ecret"}
    with closing(RiteSmith.open(str(project / "registry.db"), environment=environment, clock=clock)) as made:
        yield made


def brought(app: RiteSmith, folder: Path, source: str, definition: Any, **how: Any) -> dict[str, Any]:
    """A definition, imported into a folder of its own and published there."""
    file = folder / "definition.json"
    file.write_text(json.dumps(definition), encoding="utf-8")
    given = {"accept_loss": True, "publish": True, "folder": folder / "out", "force": True, **how}
    return app.import_definition(source, file, **given)


def end(app: RiteSmith, clock: ManualClock, workflow: str, given: Any) -> RunView:
    """Run it through all its sleeps and retries, to its end or until it waits."""
    return carried(app, clock, app.start(workflow, given))


def carried(app: RiteSmith, clock: ManualClock, run: str) -> RunView:
    for _ in range(200):
        view = app.drive(run)
        if view.status in FINAL_STATUSES or view.status in ("waiting", "unknown"):
            return view
        [due] = app.connection.execute("SELECT min(due_at) FROM runs WHERE status = 'sleeping'").fetchone()
        clock.advance(max(0.0, due - clock.now()))
    raise AssertionError("it does not end")


def told(report: dict[str, Any], severity: str) -> list[str]:
    """The places and messages of one severity."""
    return [f"{each['at']} {each['message']}" for each in report["report"] if each["severity"] == severity]
