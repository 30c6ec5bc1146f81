"""Completes a command line: commands and options from a table, names and runs from the registry file.

`ritesmith __complete SHELL ...` is what the scripts of `ritesmith completion` call at every press of Tab, so this is
checked for before anything else is imported, and imports next to nothing itself. It only reads, and whatever goes wrong
completes nothing: a shell is no place for an error.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

WORD = "__complete"
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "completion.json")
MOST = 200
"""Candidates of one kind; a person who has more types another letter."""
SPECIAL = ("$", "@")
FILES, FOLDERS = ":files", ":folders"
"""Instead of a candidate: the shell completes paths itself, those that begin with what follows."""


def main(words: list[str]) -> int:
    """Print what the last of the words may become, one candidate a line, with a tab before what it is.

    The first word is the shell. For bash two follow, the line up to the cursor and the characters at which it breaks
    words; for the others the words of the line, the one that is being typed last.
    """
    shell, given = words[0], words[1:]
    head = 0
    if shell == "bash":
        given, head = _of_bash(given[0], given[1])
    try:
        with open(TABLE, encoding="utf-8") as opened:
            table = json.load(opened)
        found = _complete(table, given)
    except Exception:  # noqa: BLE001  a shell is no place for an error
        return 0
    lines = [_line(shell, value, about, head) for value, about in dict(found).items()]
    with suppress(OSError):  # the shell no longer listens
        os.write(1, "".join(lines).encode())
    return 0


def _line(shell: str, value: str, about: str, head: int) -> str:
    if value.startswith(":"):
        return f"{value}\n"
    if shell == "bash":
        return f"{value[head:]}\n"
    if shell == "zsh":
        quoted = value.replace("\\", "\\\\").replace(":", "\\:")
        return f"{quoted}:{about}\n" if about else f"{quoted}\n"
    return f"{value}\t{about}\n"


def _of_bash(line: str, breaks: str) -> tuple[list[str], int]:
    """The words behind the program's name, and how much of the last one bash takes for words of their own."""
    words: list[str] = []
    word, quote, escaped = "", "", False
    for letter in line:
        if escaped:
            word, escaped = word + letter, False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif quote:
            word, quote = (word, "") if letter == quote else (word + letter, quote)
        elif letter in "'\"":
            quote = letter
        elif letter in " \t\n":
            words, word = ([*words, word] if word else words), ""
        else:
            word += letter
    at = max((word.rfind(each) for each in breaks if each not in " \t\n\"'"), default=-1)
    # The two that readline calls special prefixes stand in front of the word that is replaced, and belong to it.
    return [*words, word][1:], at if word[at:][:1] in SPECIAL and at >= 0 else at + 1


def _complete(table: dict[str, Any], words: list[str]) -> list[tuple[str, str]]:
    """What the last word may become, each with what it is."""
    current, before = words[-1] if words else "", words[:-1]
    path = ""
    given: list[str] = []
    used: set[str] = set()
    db: str | None = None
    expects: str | None = None
    for word in before:
        here = table[path]
        if expects:
            db = word if expects == "--db" else db
            expects = None
        elif word.startswith("-") and word != "-":
            name, _, value = word.partition("=")
            used.add(name)
            if value:
                db = value if name == "--db" else db
            elif here["options"].get(name, [None, None])[1]:
                expects = name
        elif not given and word in here["commands"]:
            path, used = f"{path} {word}".strip(), set()
        else:
            given.append(word)
    here = table[path]
    place = len(given)
    if expects is None and current.startswith("--") and "=" in current:
        expects, _, typed = current.partition("=")
        before_value = expects + "="
    else:
        typed, before_value = current, ""
    if expects is not None:
        kind = here["options"].get(expects, [None, None])[1]
        return _values(kind, typed, before_value, db, given)
    if current.startswith("-"):
        return [
            (name, about)
            for name, (about, _, again) in here["options"].items()
            if name.startswith(current) and (again or name not in used)
        ]
    found = []
    if place == 0:
        found += [(name, about) for name, about in here["commands"].items() if name.startswith(current)]
    arguments = here["arguments"]
    if arguments and (place < len(arguments) or here["many"]):
        kind = arguments[min(place, len(arguments) - 1)]
        if kind == "command":
            about = table.get(" ".join(given), {"commands": {}})["commands"]
            about = about if given else {**about, "exit-codes": "What each exit code means."}
            return found + [(name, told) for name, told in about.items() if name.startswith(typed)]
        found += _values(kind, typed, "", db, given)
    return found


def _values(kind: Any, typed: str, head: str, db: str | None, given: list[str]) -> list[tuple[str, str]]:
    if isinstance(kind, list):
        return [(head + each, "") for each in kind if each.startswith(typed)]
    if kind == "folder":
        return [(f"{FOLDERS}{typed}", "")]
    if kind == "file":
        return [(f"{FILES}{typed}", "")]
    if kind == "input" and typed.startswith("@"):
        return [("@" + path, "") for path in _paths(typed[1:])]
    if kind == "input" and not typed:
        return [("@", "a file"), ("-", "stdin")]
    if kind == "server":
        return [(head + each, "") for each in _servers(db) if each.startswith(typed)]
    if kind == "trusted":
        return [(head + key, name) for key, name in _trusted() if key.startswith(typed)]
    if kind not in KINDS:
        return []
    found = [(head + value, about) for value, about in _of_registry(kind, typed, db, given)]
    # What runs may be a file too.
    return found or ([(f"{FILES}{typed}", "")] if kind == "artifact" else [])


def _paths(typed: str) -> list[str]:
    name = typed.rpartition("/")[2]
    before = typed[: len(typed) - len(name)]
    with os.scandir(before or ".") as entries:
        found = [each.name + "/" * each.is_dir() for each in entries if each.name.startswith(name)]
    return [before + each for each in sorted(found) if name or not each.startswith(".")][:MOST]


# ---------------------------------------------------------------- the registry


def _begins(column: str) -> str:
    """As LIKE, but by the index, and every letter means itself."""
    return f"{column} >= :typed AND {column} < :typed || char(1114111)"


QUERIES = {
    # Of several versions the row is that of the newest.
    "artifact": "SELECT name, kind || ' ' || status, max(version) FROM artifacts"
    f" WHERE {_begins('name')} GROUP BY name ORDER BY name",
    "of_name": "SELECT name || '@' || version, kind || ' ' || status FROM artifacts WHERE name = :name"
    " ORDER BY version DESC",
    "tagged": "SELECT name || '@' || tag, 'tag' FROM tags WHERE name = :name ORDER BY tag",
    "tag": f"SELECT tag, '' FROM tags WHERE name = :before_at AND {_begins('tag')} ORDER BY tag",
    "workflow": "SELECT name, status, max(version) FROM artifacts WHERE kind = 'workflow'"
    f" AND {_begins('name')} GROUP BY name ORDER BY name",
    "draft": "SELECT name || '@' || version, 'draft' FROM artifacts WHERE status = 'draft'"
    f" AND {_begins('name')} ORDER BY name, version",
    "area": "SELECT DISTINCT substr(name, 1, instr(name, '.') - 1) AS area, '' FROM artifacts"
    f" WHERE {_begins('area')} ORDER BY area",
    "run": "SELECT id, workflow || ' ' || status FROM runs"
    f" WHERE (:statuses = '' OR instr(:statuses, ' ' || status || ' ')) AND {_begins('id')} ORDER BY number DESC",
    "node": "SELECT DISTINCT node, '' FROM entries WHERE run = (SELECT max(number) FROM runs WHERE id >= :first"
    f" AND id < :first || char(1114111)) AND node != '' AND {_begins('node')} ORDER BY id",
    "namespace": f"SELECT DISTINCT namespace, '' FROM store WHERE {_begins('namespace')} ORDER BY namespace",
    "key": f"SELECT key, '' FROM store WHERE namespace = :before AND {_begins('key')} ORDER BY key",
}
STATUSES = {
    "open": " pending running sleeping waiting compensating unknown ",
    "waiting": " waiting sleeping ",  # one branch sleeps, another asks
    "failed": " failed ",
    "unknown": " unknown ",
    "compensation_failed": " compensation_failed ",
}
"""Kinds of runs: what a command is given that only some can be given to."""
KINDS = {each: [each] for each in QUERIES} | {each: [each] for each in STATUSES} | {"target": ["waiting", "draft"]}


def _of_registry(kind: str, typed: str, db: str | None, given: list[str]) -> list[tuple[str, str]]:
    import sqlite3

    kinds = ["of_name", "tagged"] if kind == "artifact" and "@" in typed else KINDS[kind]
    file = _registry(db)
    log = f"{file}-wal"
    # Without a log nobody writes, and SQLite would make one, and leave it, only to read.
    alone = "" if os.path.exists(log) and os.path.getsize(log) else "&immutable=1"
    quoted = file.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file:{quoted}?mode=ro{alone}", uri=True, timeout=0.05)
    before = given[-1] if given else ""
    values = {"typed": typed, "name": typed.partition("@")[0], "before": before, "first": given[0] if given else ""}
    values["before_at"] = before.partition("@")[0]
    try:
        found: list[tuple[str, str]] = []
        for each in kinds:
            values["statuses"] = STATUSES.get(each, "")
            query = QUERIES["run" if each in STATUSES else each]
            found += [(row[0], row[1]) for row in connection.execute(f"{query} LIMIT {MOST}", values)]
    finally:
        connection.close()
    return [(value, about) for value, about in found if value.startswith(typed)]


def _servers(db: str | None) -> list[str]:
    """The MCP servers that the project names."""
    import tomllib

    with open(os.path.join(os.path.dirname(_registry(db)), "ritesmith.toml"), "rb") as opened:
        return list(tomllib.load(opened).get("mcp", {}))


def _trusted() -> list[tuple[str, str]]:
    """The keys of others that are trusted, and what they are called; as `signing.Keys` keeps them."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    folder = os.environ.get("RITESMITH_CONFIG") or os.path.join(base, "ritesmith")
    with open(os.path.join(folder, "trusted.keys"), encoding="utf-8") as opened:
        return [(key, name) for key, _, name in (line.strip().partition(" ") for line in opened)]


def _registry(db: str | None) -> str:
    """As `db.find_db`, which knows more and takes longer to import."""
    chosen = db or os.environ.get("RITESMITH_DB")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    folder = os.getcwd()
    while True:
        file = os.path.join(folder, "registry.db")
        if os.path.isfile(file) or os.path.dirname(folder) == folder:
            return file
        folder = os.path.dirname(folder)
