"""The files of a new project: settings, its own rules, folders for capabilities and workflows. None is overwritten."""

from __future__ import annotations

from pathlib import Path

from ritesmith.intake import make_folder, write_new
from ritesmith.settings import FILE
from ritesmith.settings_table import commented_file

POLICY = """\
# This project's own rules, over those that come with RiteSmith. What stands behind a '#' is not in force.
# A rule, a risk or a limit that is stricter counts as it stands; what is laxer must be named in 'loosens'.
# `ritesmith policy explain NAME` shows which rule decides about an artifact, and why.

#loosens = ["limits.fuel"]

# The most that one execution of a capability may spend.
#[limits]
#fuel = 50_000_000
#deadline_seconds = 2.0

# The most that a workflow may ask for.
#[run_limits]
#steps = 10_000

# What counts as more dangerous here: low, medium, high or critical.
#[[risk]]
#level = "high"
#functions = ["email.send"]
#reason = "customers read it"

# Rules are tried in order, and the first that matches decides: allow, approve (a person must) or deny.
#[[rules]]
#name = "our-hosts"
#functions = ["http.*"]
#narrowed = { hosts = ["*.example.com"] }
#action = "approve"
#reason = "our own servers are asked only by what a person has read"
"""
IGNORED = """\
# What a machine keeps for itself: runs, documents, secrets.
registry.db
registry.db-wal
registry.db-shm
secrets.toml
"""
CAPABILITIES = """\
# Capabilities

One Lua file each; its first comment is its contract: input, output, grants, examples.

    ritesmith check capabilities/FILE.lua      what is wrong with it, and what its examples came to
    ritesmith publish capabilities/FILE.lua    take it into the registry, as the next version of its name
"""
WORKFLOWS = """\
# Workflows

One JSON file each: nodes that name capabilities, and what leads to what.

    ritesmith check workflows/FILE.json --dry-run    what is wrong with it, and every path through it
    ritesmith publish workflows/FILE.json            take it into the registry, as the next version of its name
"""


def files() -> dict[str, str]:
    """Every file of a new project -> its text."""
    return {
        FILE: commented_file(),
        "guardrails/policy.toml": POLICY,
        "capabilities/README.md": CAPABILITIES,
        "workflows/README.md": WORKFLOWS,
        ".gitignore": IGNORED,
    }


def make_files(folder: Path) -> tuple[list[str], list[str]]:
    """Write the files that are not there; return those written, and those left as they were."""
    written: list[str] = []
    kept: list[str] = []
    for name, text in files().items():
        make_folder((folder / name).parent)
        made = write_new(folder / name, text.encode())
        (written if made else kept).append(name)
    return written, kept
