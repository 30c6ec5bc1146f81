"""Where `ritesmith` begins: a press of Tab is answered at once, anything else is a command."""

from __future__ import annotations

import gc
import os
import sys

from ritesmith import complete

INTERRUPTED = 130
"""What a shell says of a command that Ctrl-C has ended: 128 and the number of the signal."""


def main() -> int:
    """Run the command line that this process was started with, and return its exit code."""
    if sys.argv[1:2] == [complete.WORD]:
        return complete.main(sys.argv[2:])
    # What is loaded stays, and what a run makes are trees: there is little to be found by looking for cycles so often.
    gc.set_threshold(50_000, 20, 20)
    # None of pydantic's plugins is ours, and to look for them it reads what is told of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from ritesmith.cli import main as command

        return command()
    except KeyboardInterrupt:  # so early, or so late, that there is nothing to say about it
        return INTERRUPTED
