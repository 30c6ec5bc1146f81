"""What a forge is doing, live on a terminal: the phase, the time, and the answer of a model as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from ritesmith.cli.console import counted, err
from ritesmith.cli.options import talk

LINES_SHOWN = 6
TAIL_CHARACTERS = 4_000
"""Of the answer, what is kept to be shown."""


class Progress:
    """The live view. Elsewhere than on a terminal it shows nothing; on one that cannot move its cursor, the phases."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._spinner = Spinner("dots")
        self._phase = ""
        self._began = 0.0
        self._tail = ""
        self._characters = 0

    def said(self, phase: str) -> None:
        """A phase begins."""
        self.pause()
        self._phase, self._began, self._tail, self._characters = phase, time.monotonic(), "", 0
        if not err.is_terminal:
            return
        if err.is_dumb_terminal:
            talk(phase)
            return
        self._live = Live(
            console=err, get_renderable=self._view, transient=True, refresh_per_second=8, redirect_stdout=False
        )
        self._live.start()

    def piece(self, text: str) -> None:
        """A piece of the answer has come."""
        self._characters += len(text)
        self._tail = (self._tail + text)[-TAIL_CHARACTERS:]

    def pause(self) -> None:
        """Leave the terminal to somebody else, until the next phase."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _view(self) -> RenderableType:
        seconds = time.monotonic() - self._began
        came = f", {counted(self._characters, 'character')} so far" if self._characters else ""
        self._spinner.update(text=Text(f"{self._phase}, {seconds:.0f} s{came}"))
        lines = [line[: max(err.width - 2, 1)] for line in self._tail.splitlines()[-LINES_SHOWN:]]
        return Group(self._spinner, *(Text(f"  {line}", style="dim", no_wrap=True) for line in lines))


@contextmanager
def progress() -> Iterator[Progress]:
    """A live view that is gone when the work is done, or failed."""
    view = Progress()
    try:
        yield view
    finally:
        view.pause()
