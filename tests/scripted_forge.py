"""What the tests of the forge share: drafts as a model would write them, and a forge behind a scripted server."""

import json
import sqlite3

from conftest import BOOKS, fingerprint

from ritesmith.testing import ScriptedAuthor

INTENT = "initials of a person's name"
EXAMPLES = [
    {"input": {"name": "Ada Lovelace"}, "output": {"initials": "AL"}},
    {"input": {"name": "Grace Brewster Hopper"}, "output": {"initials": "GBH"}},
    {"input": {"name": "Zebedee Quux"}, "output": {"initials": "ZQ"}},
]
GOOD = """  local letters = {}
  for word in string.gmatch(input.name, "[%w%-]+") do letters[#letters + 1] = string.upper(string.sub(word, 1, 1)) end
  return { initials = table.concat(letters) }"""
TEXT = {"type": "string"}


def obj(**properties):
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


def lua(body=GOOD, **changes):
    """A fenced capability; the plain case is right."""
    header = {
        "name": "text.initials",
        "intent": INTENT,
        "input": obj(name=TEXT),
        "output": obj(initials=TEXT),
        "grants": {},
        "examples": [EXAMPLES[0], {"input": {"name": "Bo Li"}, "output": {"initials": "BL"}}],
    } | changes
    code = f"function run(input, context)\n{body}\nend"
    return f"```lua\n--[[ capability\n{json.dumps(header, indent=1)}\n]]\n{code}\n```\n"


def flow(**changes):
    """A fenced workflow that uses a drafted and a bundled capability."""
    value = {
        "name": "text.initials_slug",
        "intent": "initials of a name as a slug",
        "input": obj(name=TEXT),
        "start": "initials",
        "nodes": [
            {
                "id": "initials",
                "kind": "task",
                "capability": "text.initials",
                "with": {"name": {"var": "input.name"}},
                "next": "slug",
            },
            {
                "id": "slug",
                "kind": "task",
                "capability": "text.slugify",
                "with": {"text": {"var": "nodes.initials.output.initials"}},
                "next": "done",
            },
            {
                "id": "done",
                "kind": "end",
                "outcome": "made",
                "output": {"slug": {"var": "nodes.slug.output.slug"}},
            },
        ],
        "examples": [{"input": {"name": "Ada Lovelace"}, "outcome": "made", "output": {"slug": "al"}}],
    } | changes
    return f"```json\n{json.dumps(value, indent=1)}\n```\n"


class ScriptedForge:
    """Forge with a scripted model, or without one, and return what was done; `author` is the last server."""

    def __init__(self, cli, place, monkeypatch):
        self.cli, self.place, self.monkeypatch = cli, place, monkeypatch
        self.author = None
        self.db = place / "registry.db"

    def __call__(self, intent, *options, replies=None, examples=None, human=False):
        words = ["forge", intent, *options]
        if examples is not None:
            (self.place / "examples.json").write_text(json.dumps(examples))
            words += ["--examples", "examples.json"]
        if not human:
            words.append("--json")
        if replies is None:
            return self.cli(*words)
        with ScriptedAuthor(replies) as self.author, self.monkeypatch.context() as patch:
            patch.setenv("RITESMITH_LLM_BASE_URL", self.author.base_url)
            patch.setenv("RITESMITH_LLM_MODEL", "tiny")
            return self.cli(*words)

    def refused(self, code, *words, **more):
        """It must end with this code, and the registry must be as before to the last row, but for the books."""
        before = fingerprint(self.db, without=BOOKS)
        done = self(*words, **more)
        assert done.code == code, done
        assert fingerprint(self.db, without=BOOKS) == before
        return done

    def rows(self, query, *values):
        connection = sqlite3.connect(self.db)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()

    @property
    def sent(self):
        """Everything that the server was sent, as text."""
        return json.dumps([each["messages"] for each in self.author.requests], ensure_ascii=False)
