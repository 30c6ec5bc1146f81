"""`ritesmith --help` answers at once: what is slow to import is not imported for it. Imports are asserted, not time."""

import json
import subprocess
import sys

import pytest
from conftest import environment

SLOW = {
    "openai",
    "jsonschema",
    "mcp",
    "starlette",
    "pydantic",
    "rich",
    "sqlite_utils",
    "lupa",
    "nacl",
    "tree_sitter",
    "httpcore2",
    "httpx2",
    "sqlite3",
    "asyncio",
}
PROBE = """
import json, sys
from ritesmith.cli import main
code = main(sys.argv[1:])
print(json.dumps({"code": code, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def modules_after(*words):
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], env=environment(), capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return told["code"], set(told["modules"])


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--help"], 0), (["forge", "--help"], 0), (["run", "--help"], 0), (["--version"], 0), (["lst"], 2), ([], 2)],
    ids=["help", "forge help", "run help", "version", "unknown command", "nothing"],
)
def test_help_and_mistakes_import_nothing_that_is_slow(words, code):
    got, modules = modules_after(*words)
    assert got == code
    assert "click" in modules
    assert modules & SLOW == set()


def test_looking_at_the_registry_imports_no_model_sdk(ready):
    for words in (["list"], ["show", "stats.average"]):
        code, modules = modules_after("--db", str(ready / "registry.db"), *words)
        assert code == 0
        assert modules & {"openai", "httpcore2", "httpx2", "mcp", "starlette"} == set()


def test_a_forge_without_a_model_imports_no_model_sdk(place):
    code, modules = modules_after("forge", "average of a list of numbers")
    assert code == 0
    assert modules & {"openai", "httpcore2", "httpx2"} == set()


def test_a_run_without_http_imports_nothing_that_speaks_it(place):
    for words in (["run", "stats.average", "--input", '{"numbers": [1, 2]}'], ["hosts", "http.request"]):
        code, modules = modules_after(*words)
        assert code == 0
        assert modules & {"openai", "httpcore2", "httpx2"} == set()
