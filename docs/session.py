"""Records docs/first-ten-minutes.txt: a new user's session, from an empty folder and a fresh installation.

    python docs/session.py

Makes an environment of its own, installs this checkout as it is, and types the commands below. Each is followed by
what it printed and by the seconds that it took. The tests run the commands again (not the installation) and compare.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "docs" / "first-ten-minutes.txt"

INSTALL = ("python3 -m venv venv", "venv/bin/pip install --quiet --disable-pip-version-check ~/ritesmith")
COMMANDS = (
    "ritesmith --version",
    "ritesmith init --demo",
    "ritesmith list --kind workflow --limit 5",
    'ritesmith search "give a customer the money back"',
    'ritesmith forge "process an order refund, with approval above 100" --examples refund_examples.json',
    "ritesmith run orders.refund --input @order.json",
    'ritesmith approve RUN1 --by ann --comment "the parcel came back"',
    "ritesmith trace RUN1",
    "ritesmith store get payments PAY-1002",
    'ritesmith run orders.refund --input \'{"order_id": "ORD-1004"}\'',
    "ritesmith replay RUN1",
    "ritesmith show units.celsius_to_fahrenheit --source > kelvin.lua",
    "sed -i.bak 's/fahrenheit/kelvin/g; s|\\* 9.0 / 5 + 32|+ 273.15|' kelvin.lua",
    "ritesmith check kelvin.lua",
    "sed -i.bak 's/: 212.0/: 373.15/; s/: -40.0/: 233.15/; s/: 99.5/: 310.65/' kelvin.lua",
    "ritesmith check kelvin.lua",
    "ritesmith publish kelvin.lua",
    "ritesmith run units.celsius_to_kelvin --input '{\"celsius\": 20}'",
    'ritesmith forge "celsius in kelvin"',
    "ritesmith runs",
    "ritesmith doctor | grep holds",
)
HEAD = """A new user's first ten minutes
==============================

Recorded on {day} by `python docs/session.py`, {machine}, as a pipe of 80 columns prints it.
After each command stand the seconds that it took on that machine{busy}.
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        text = recorded(Path(name).resolve())
    RECORD.write_text(text, encoding="utf-8")
    return 0


def recorded(scratch: Path) -> str:
    folder = scratch / "project"
    folder.mkdir()
    (scratch / "ritesmith").symlink_to(ROOT)
    machine = f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} CPUs"
    load = os.getloadavg()[0]
    busy = f", while {load:.0f} other processes were at work there" if load >= 1 else ""
    lines = [HEAD.format(day=datetime.now(UTC).date(), machine=machine, busy=busy)]
    runs: list[str] = []
    spent = 0.0
    for command in INSTALL + COMMANDS:
        for number, run in enumerate(runs, start=1):
            command = command.replace(f"RUN{number}", run)
        began = time.perf_counter()
        printed = typed(command, folder, scratch)
        seconds = time.perf_counter() - began
        spent += seconds
        runs += [each for each in dict.fromkeys(re.findall(r"\br[0-9a-f]{10}\b", printed)) if each not in runs]
        lines += [
            f"$ {command}",
            *(line.rstrip() for line in printed.strip("\n").splitlines()),
            f"[{seconds:.1f} s]",
            "",
        ]
    lines.append(
        f"{len(INSTALL + COMMANDS)} commands took {spent:.0f} seconds; the rest of the ten minutes is reading."
    )
    return "\n".join(lines) + "\n"


def typed(command: str, folder: Path, home: Path) -> str:
    """What a command prints in that folder, for a user who has nothing but the environment made there."""
    path = f"{folder / 'venv' / 'bin'}:{os.environ['PATH']}"
    kept = {name: os.environ[name] for name in ("LANG", "PIP_INDEX_URL", "PIP_CONFIG_FILE") if name in os.environ}
    environment = {**kept, "PATH": path, "HOME": str(home), "USER": "ann", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return done.stdout.replace(str(folder), "/home/ann/project").replace(str(home), "/home/ann")


if __name__ == "__main__":
    sys.exit(main())
