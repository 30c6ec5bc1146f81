"""Secrets that tests plant, and the search for them in every file that was written since."""

import base64
import sqlite3
from contextlib import closing
from urllib.parse import quote

MARK = "planted/Geheim+"
"""What all planted secrets begin with; coded, it looks different in JSON and in a URL."""


class Planted:
    """Two secrets: TOKEN in the environment, and FILED in a `secrets.toml`."""

    planted = 0
    """How many tests have planted some."""

    def __init__(self, word):
        Planted.planted += 1
        self.token, self.filed = f"{MARK}token\\{word}", f"{MARK}filed\\{word}"
        self.environment = {"RITESMITH_SECRET_TOKEN": self.token}

    def write(self, folder):
        """Put the second one into the folder's `secrets.toml`."""
        file = folder / "secrets.toml"
        file.write_text(f"FILED = '{self.filed}'\n")
        file.chmod(0o600)

    @property
    def values(self):
        return [self.token, self.filed]


def forms(text):
    """How a text may stand in a file: plain, in a URL, and in base64, whatever stands before it."""
    coded = [base64.b64encode(b"\0" * offset + text.encode()).decode()[4:-4] for offset in range(3)]
    return [each.encode() for each in (text, quote(text, safe=""), *coded, *(each.replace("+", "-") for each in coded))]


def found_in(*folders, text=MARK, rows=True):
    """Every file below the folders that holds the text in some form, `secrets.toml` aside.

    With `rows` those of SQLite files are read one by one: a value may lie on two pages.
    """
    wanted = forms(text)
    found = []
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name != "secrets.toml" and _holds(file, wanted, rows):
                found.append(str(file))
    return found


def _holds(file, wanted, rows):
    try:
        content = file.read_bytes()
    except (FileNotFoundError, PermissionError):  # removed meanwhile, or closed by a test that looks what comes of it
        return False
    if rows and content.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            found = [row for name in tables for row in connection.execute(f"SELECT * FROM [{name}]")]
        content += repr(found).encode("utf-8", "replace")
    return any(each in content for each in wanted)
