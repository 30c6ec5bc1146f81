"""Where the fuel of one execution went: by line of the script, counted for each instruction."""

from __future__ import annotations

import re

from ritesmith.models import Value

TEXT = re.compile(r"\d{1,18} \d{1,18} -?\d{1,18} \d{1,18}(\n\d{1,9} \d{1,18} \d{1,18})*\n?")


class LineFuel(Value):
    """What one line of the script spent, and the library functions that it called."""

    line: int
    """From 1; 0 for what no line of the script asked for."""
    instructions: int
    """VM instructions, counted one by one."""
    charged: int
    """Fuel of work that runs no instruction: in libraries, in host calls, for a new coroutine."""

    @property
    def spent(self) -> int:
        """Both together."""
        return self.instructions + self.charged


class Profile(Value):
    """What one execution spent, line by line. Exact: every instruction was looked at.

    Fuel counts the instructions of each coroutine by the thousand, with some 15 of each that the counting itself takes.
    So the lines and the fuel of the outcome differ by `overhead - uncounted`; `fuel` is that of the outcome (where fuel
    itself ended the execution, what it wanted to spend).
    """

    lines: tuple[LineFuel, ...] = ()
    """In the order of the text; only lines of which something was executed."""
    input: int = 0
    """Fuel of reading input and context."""
    output: int = 0
    """Fuel of writing the output."""
    uncounted: int = 0
    """Instructions of the lines that make no whole thousand of their coroutine."""
    overhead: int = 0
    """Instructions of the counting itself in the thousands that were counted."""

    @property
    def fuel(self) -> int:
        """What the execution cost."""
        return sum(each.spent for each in self.lines) + self.input + self.output + self.overhead - self.uncounted

    def __add__(self, other: Profile) -> Profile:
        """Several executions as one."""
        lines = {each.line: each for each in self.lines}
        for each in other.lines:
            known = lines.get(each.line)
            if known is not None:
                more = {"instructions": known.instructions + each.instructions}
                each = known.model_copy(update=more | {"charged": known.charged + each.charged})
            lines[each.line] = each
        return Profile(
            lines=tuple(lines[line] for line in sorted(lines)),
            input=self.input + other.input,
            output=self.output + other.output,
            uncounted=self.uncounted + other.uncounted,
            overhead=self.overhead + other.overhead,
        )


def read_profile(text: str) -> Profile | None:
    """The profile that a worker tells of; None for what no worker of ours says."""
    if not TEXT.fullmatch(text):
        return None
    (input, output, uncounted, overhead), *rows = [[int(number) for number in row.split()] for row in text.splitlines()]
    lines = [LineFuel(line=line, instructions=count, charged=charged) for line, count, charged in rows]
    lines.sort(key=lambda each: each.line)
    return Profile(lines=tuple(lines), input=input, output=output, uncounted=uncounted, overhead=overhead)
