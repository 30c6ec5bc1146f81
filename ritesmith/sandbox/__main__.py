"""`python -m ritesmith.sandbox --jsonl`: JSON lines from standard input to standard output."""

from __future__ import annotations

import sys

from ritesmith.sandbox import Sandbox
from ritesmith.sandbox.door import serve


def main() -> int:
    if sys.argv[1:] != ["--jsonl"]:
        print("usage: python -m ritesmith.sandbox --jsonl", file=sys.stderr)
        return 2

    def write(line: str) -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    with Sandbox(workers=1) as sandbox:
        serve(iter(sys.stdin.buffer.readline, b""), write, sandbox)
    return 0


if __name__ == "__main__":
    sys.exit(main())
