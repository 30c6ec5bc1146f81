"""How the tests of host functions that reach the world call them: declared shapes checked, secrets looked for."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

from ritesmith.db import open_throwaway
from ritesmith.hosts import CATALOG, HostEnvironment, Secrets, answer
from ritesmith.schemas import problems
from ritesmith.settings import Settings

NOW = 1_800_000_000.25
ALWAYS = {"bad_argument"}


class Caller:
    """Calls one host function after another in one environment; use it as a context manager."""

    def __init__(self, settings=None, *, run="r1", secrets=None, **more):
        self.connection: sqlite3.Connection = open_throwaway()
        named = {f"RITESMITH_SECRET_{name}": value for name, value in (secrets or {}).items()}
        self.planted = list((secrets or {}).values())
        self.environment = HostEnvironment(
            self.connection,
            NOW,
            "seed",
            f"{run}/send/0",
            run=run,
            settings=settings or Settings(),
            secrets=Secrets(None, named),
            **more,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with closing(self.connection):
            pass

    def reply(self, name, args, **more):
        reply = answer(name, args, replace(self.environment, **more))
        declaration = CATALOG[name]
        if reply.error is None:
            assert problems(declaration.output, reply.result) == []
        else:
            assert reply.error.message
            assert reply.error.code in ALWAYS | set(declaration.errors), "an error that is not declared"
        text = json.dumps(reply.model_dump(mode="json"))
        assert [each for each in self.planted if each in text] == []
        return reply

    def __call__(self, name, **args):
        reply = self.reply(name, args)
        assert reply.error is None, reply.error
        return reply.result

    def fails(self, name, **args):
        reply = self.reply(name, args)
        assert reply.error is not None, reply.result
        return reply.error
