"""How long a command takes, from the start of its process to its first byte of output and to its end.

    python benchmarks/startup.py [--repeats 15] [--others FOLDER]

`ritesmith --help`, a press of Tab, `list`, `search` and `run` of a workflow of five steps, each as a whole process with
a registry file that is there already, beside the help of tools of the same kind. Of these the ones count that are found
in FOLDER (the `bin` of an environment into which they were installed with pip) or else on the PATH; the rows of the
others say so. The commands take turns, so that a machine that is busy for a while slows all of them. Medians, in
milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RITESMITH = (sys.executable, "-m", "ritesmith")
STEPS = 5
OTHERS = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "llm --help": ("llm", "--help"),
    "sqlite-utils --help": ("sqlite-utils", "--help"),
    "datasette --help": ("datasette", "--help"),
    "dbos --help": ("dbos", "--help"),
    "fastmcp --help": ("fastmcp", "--help"),
    "prefect --help": ("prefect", "--help"),
    "gh --help": ("gh", "--help"),
    "temporal --help": ("temporal", "--help"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--others", type=Path, metavar="FOLDER", help="where the other tools are, before the PATH")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "HOME": folder}
        environment |= {"RITESMITH_CONFIG": str(place / "config"), "RITESMITH_DB": str(place / "registry.db")}
        commands = {f"ritesmith {' '.join(words)}": (*RITESMITH, *words) for words in prepared(place, environment)}
        commands |= {name: found for name, words in OTHERS.items() if (found := installed(words, options.others))}
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for repeat in range(options.repeats + 1):
            for name, words in commands.items():
                figure = timed(words, place, environment)
                if repeat:  # the first fills the caches of the disk
                    figures[name].append(figure)
    told(figures, options.repeats)


def prepared(place: Path, environment: dict[str, str]) -> list[tuple[str, ...]]:
    """Make a registry with a workflow of five steps; the words of the commands that are measured."""
    nodes = [
        {
            "id": f"step_{number}",
            "kind": "task",
            "capability": "math.clamp",
            "with": {"number": {"var": "input.number"}, "minimum": 0, "maximum": 9},
            "next": f"step_{number + 1}" if number < STEPS else None,
        }
        for number in range(1, STEPS + 1)
    ]
    flow = {
        "name": "bench.five",
        "intent": "clamp a number five times",
        "input": {"type": "object", "required": ["number"], "properties": {"number": {"type": "number"}}},
        "start": "step_1",
        "nodes": nodes,
        "examples": [{"input": {"number": 5}, "status": "succeeded"}],
    }
    (place / "five.json").write_text(json.dumps(flow))
    for words in (("init",), ("publish", "five.json")):
        subprocess.run((*RITESMITH, *words), cwd=place, env=environment, capture_output=True, check=True)
    run = ("run", "bench.five", "--input", '{"number": 5}')
    tab = ("__complete", "zsh", "show", "text.")  # what a shell asks at a press of Tab
    return [("--help",), tab, ("list",), ("search", "clamp a number"), run]


def installed(words: tuple[str, ...], folder: Path | None) -> tuple[str, ...] | None:
    """The command with where its program is; None when it is nowhere."""
    found = shutil.which(words[0], path=folder) if folder else None
    found = found or shutil.which(words[0])
    return (found, *words[1:]) if found else None


def timed(words: tuple[str, ...], place: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds to the first byte that a process prints, on stdout or stderr, and to its end."""
    began = time.perf_counter()
    with subprocess.Popen(
        words, cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        said = time.perf_counter() - began
        rest = process.stdout.read()
        code = process.wait()
    took = time.perf_counter() - began
    if code:
        raise SystemExit(f"{' '.join(words)} ended with {code}: {(first + rest).decode(errors='replace')[:500]}")
    return (said if first else took), took


def told(figures: dict[str, list[tuple[float, float]]], repeats: int) -> None:
    print(f"{repeats} times each, medians; Python {sys.version.split()[0]}, {os.cpu_count()} CPUs\n")
    print("| command | first output | to its end | fastest |\n|---|---|---|---|")
    for name in [*figures, *(name for name in OTHERS if name not in figures)]:
        if name not in figures:
            print(f"| `{name}` | not installed | | |")
            continue
        first, end = (statistics.median(column) * 1000 for column in zip(*figures[name], strict=True))
        fastest = min(took for _, took in figures[name]) * 1000
        print(f"| `{name}` | {first:.0f} ms | {end:.0f} ms | {fastest:.0f} ms |")


if __name__ == "__main__":
    main()
