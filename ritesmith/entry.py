"""Where `ritesmith` begins: a press of Tab is answered at once, anything else is a command."""

from __future__ import annotations

import sys

from ritesmith import complete


def main() -> int:
    """Run the command line that this process was started with, and return its exit code."""
    if sys.argv[1:2] == [complete.WORD]:
        return complete.main(sys.argv[2:])
    from ritesmith.cli import main as command

    return command()
