"""Imports follow the layout: who may know whom, read from the code and compared with the table."""

import ast
from pathlib import Path

import pytest

import ritesmith

PACKAGE = Path(ritesmith.__file__).parent

VALUES = {"errors", "models"}
# Module or sub-package -> what of ritesmith it may import. Nothing else knows lupa, openai, tree-sitter or jsonschema.
MAY_IMPORT = {
    "errors": set(),
    "models": {"errors", "notebook"},
    "json_text": {"models"},
    "contract": VALUES | {"json_text"},
    "schemas": VALUES,
    "grants": VALUES,
    "lua_tokens": set(),
    "notebook": set(),
    "formatting": VALUES | {"contract", "guard", "json_text"},
    "templates": VALUES | {"formatting", "hosts"},
    "toml_file": VALUES | {"contract"},
    "settings_table": set(),
    "settings": VALUES | {"toml_file"},
    "config": VALUES | {"contract", "db", "hosts", "settings", "settings_table", "signing"},
    "project": VALUES | {"intake", "settings", "settings_table"},
    "intake": VALUES | {"contract", "json_text", "schemas"},
    "documents": VALUES | {"contract", "intake"},
    "expr": VALUES | {"schemas"},
    "guard": VALUES | {"contract", "expr", "grants", "lua_tokens", "schemas", "toml_file", "guard"},
    "sandbox": VALUES | {"json_text", "lua_tokens", "sandbox"},
    "model_server": VALUES | {"settings"},
    "books": VALUES | {"db", "model_server"},
    "hosts": VALUES | {"grants", "json_text", "model_server", "schemas", "settings", "signing", "hosts"},
    "db": {"errors"},
    "search": VALUES,
    "embed": VALUES | {"embed"},
    "vectors": VALUES | {"db", "embed"},
    "signing": {"errors"},
    "registry": VALUES | {"db", "contract", "search", "signing"},
    "state": VALUES,
    "saga": VALUES | {"expr", "state"},
    "journal": VALUES | {"db", "json_text", "saga"},
    "step": VALUES | {"grants", "saga", "hosts", "schemas", "sandbox"},
    "engine": VALUES | {"journal", "saga", "hosts", "settings", "step"},
    "dry_run": VALUES | {"notebook", "saga", "guard"},
    "callbacks": {"errors"},
    "fork": VALUES | {"saga"},
    "replay": VALUES | {"notebook", "saga", "step"},
    "rehearsal": VALUES | {"db", "engine", "expr", "hosts", "journal", "saga", "sandbox", "step"},
    "bundle": VALUES | {"contract", "json_text", "signing"},
    "compare": VALUES | {"expr"},
    "trace": VALUES | {"notebook", "saga"},
    "visible": set(),
    "views": VALUES | {"compare", "saga", "trace", "views", "visible"},
    "forge": VALUES | {"contract", "expr", "json_text", "schemas", "forge"},
    "migrate": VALUES | {"contract", "expr", "json_text", "migrate"},
    "importing": VALUES | {"contract", "db", "intake", "migrate"},
    "testing": VALUES,
    "doctor": VALUES
    | {"app", "db", "guard", "hosts", "intake", "model_server", "sandbox", "settings", "settings_table", "signing"},
    "cli": VALUES
    | {
        "app",
        "db",
        "doctor",
        "books",
        "drafts",
        "intake",
        "cli",
        "config",
        "contract",
        "forge",
        "model_server",
        "project",
        "sandbox",
        "saga",
        "settings_table",
        "signing",
        "trace",
        "views",
        "visible",
        "__version__",
    },
    "__init__": {"app", "errors"},
    "complete": set(),
    "entry": {"cli", "complete"},
    "__main__": {"entry"},
}
ONLY_IN = {
    "lupa": {"sandbox"},
    "openai": {"model_server"},
    "httpcore2": {"hosts"},
    "tree_sitter": {"guard"},
    "tree_sitter_lua": {"guard"},
    "jsonschema": {"schemas"},
    "mcp": {"hosts"},
    "anyio": {"hosts"},
    "referencing": {"schemas"},
    "re2": {"schemas"},
    "sqlite_utils": {"db"},
    "nacl": {"signing"},
    "sqlite3": {"db", "registry", "journal", "search", "vectors", "hosts", "doctor", "complete"},
    "psycopg": {"hosts"},
    "numpy": {"embed", "vectors"},
    "onnxruntime": {"embed"},
    "rich": {"cli"},
    "click": {"cli"},
}
KNOWS_THE_ORDER = {
    *("app", "artifacts", "authoring", "checking", "drafts", "files"),
    *("forging", "runs", "syncing", "workbench"),
}


def modules():
    for file in sorted(PACKAGE.rglob("*.py")):
        relative = file.relative_to(PACKAGE)
        part = relative.parts[0].removesuffix(".py")
        yield pytest.param(file, part, id=str(relative))


def imported(file):
    """Every imported module of a file, those for type checking only left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "ritesmith":
                yield from (f"ritesmith.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize(("file", "part"), list(modules()))
def test_a_module_imports_only_what_the_layout_allows(file, part):
    names = list(imported(file))
    own = {name.split(".")[1] for name in names if name.startswith("ritesmith.")}
    if part not in KNOWS_THE_ORDER:
        assert part in MAY_IMPORT, f"{part} is not in the layout table"
        assert own <= MAY_IMPORT[part]
    outside = {name.split(".")[0] for name in names}
    assert {name for name, allowed in ONLY_IN.items() if name in outside and part not in allowed} == set()


def test_the_table_names_nothing_that_is_gone():
    parts = {file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in PACKAGE.rglob("*.py")}
    assert set(MAY_IMPORT) <= parts


def test_public_names_are_all_there():
    assert [name for name in ritesmith.__all__ if not hasattr(ritesmith, name)] == []
