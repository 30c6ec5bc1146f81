"""Keeps an MCP server on a leash: when the process that wanted it is gone, however it went, so is the server.

A script of its own (`python -I -S mcp_keeper.py LEASH COMMAND ...`), never imported. LEASH is the number of the reading
end of a pipe; nobody writes to it, and it ends when whoever holds the other end closes it or dies, also by kill -9. The
server speaks to its client directly, over the streams that it inherits from here.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress

GRACE_SECONDS = 1.0
"""So long the server may take to end after SIGTERM."""
NOT_STARTED = 127
"""The exit code when its command cannot be executed, as in a shell."""


def main(leash: int, command: list[str]) -> int:
    """Run the command until it ends or the leash does, then end all that it left running; its exit code."""
    os.set_inheritable(leash, False)
    ear, bell = os.pipe()
    os.set_blocking(bell, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(bell)
    server = os.fork()
    if server == 0:
        _become(command)
    # The client sees the end of a stream only when nobody else holds it.
    for stream in (0, 1, 2):
        os.close(stream)
    code, patience = None, None
    while code is None:
        listened = [ear] if patience is not None else [ear, leash]
        ready, _, _ = select.select(listened, [], [], patience)
        if ear in ready:
            os.read(ear, 512)
        code = _ended(server)
        if code is None and leash in ready:
            _signal(server, signal.SIGTERM)
            patience = GRACE_SECONDS
        elif code is None and not ready:
            break
    _signal(server, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(server, 0)[1]) if code is None else code


def _become(command: list[str]) -> None:
    # A session of its own: what the server starts in turn is ended with it.
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(NOT_STARTED)


def _ended(server: int) -> int | None:
    done, status = os.waitpid(server, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _signal(server: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(server, number)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]) & 0xFF)
