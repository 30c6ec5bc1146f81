"""A real MCP server for the tests, with the SDK's own server: `mcp_real.py FOLDER [PORT]`, over pipes, or over HTTP.

It writes into FOLDER what it was called with, one JSON a line, so that a test can count the calls.
"""

import json
import os
import signal
import sys
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel

FOLDER = Path(sys.argv[1])
server = MCPServer("desk", log_level="ERROR")


class Count(BaseModel):
    n: int
    label: str


def called(**what):
    with (FOLDER / "calls.jsonl").open("a") as log:
        log.write(json.dumps(what) + "\n")
    return sum(1 for _ in (FOLDER / "calls.jsonl").open())


def key_of(context):
    return (context.request_context.meta or {}).get("ritesmith/idempotency_key")


@server.tool()
def count(label: str, times: int = 1) -> Count:
    """Count a label."""
    return Count(n=called(tool="count", label=label, times=times), label=label)


@server.tool(name="add-line", structured_output=False)
def add_line(line: str, context: Context) -> str:
    """Write a line down."""
    called(tool="add-line", line=line, key=key_of(context))
    return f"wrote {line}"


@server.tool(name="readNote", annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
def read_note() -> list[str]:
    """Read the note."""
    return ["first", "second"]


@server.tool(structured_output=False)
def whoami() -> str:
    """Tell a secret, as a careless server does."""
    return f"I am {os.environ.get('DESK_TOKEN')}, and have {sorted(os.environ)}"


@server.tool(structured_output=False)
def refuse() -> str:
    """Fail."""
    raise ToolError(f"not today, says {os.environ.get('DESK_TOKEN')}")


@server.tool(structured_output=False)
def large(size: int) -> str:
    """Give a text of so many letters."""
    return "x" * size


@server.tool(structured_output=False)
def shoot(context: Context) -> str:
    """Do something, and kill whom the file `target` names before he is told."""
    called(tool="shoot", key=key_of(context))
    target = FOLDER / "target"
    if target.exists():
        pid = int(target.read_text())
        target.unlink()
        os.kill(pid, signal.SIGKILL)
    return "bang"


if __name__ == "__main__":
    (FOLDER / "server.pid").write_text(str(os.getpid()))
    if len(sys.argv) > 2:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
    else:
        server.run("stdio")
