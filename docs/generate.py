"""Writes what the documentation takes from the code: JSON Schemas of the two formats, and the tables made from them.

`python docs/generate.py` writes guardrails/schemas/*.json, docs/host-functions.md, docs/settings.md, the table of
commands ritesmith/completion.json, and between the marks `<!-- fields: NAME -->` and `<!-- end -->` of the other pages
the table of that model. With `--check` it writes nothing and exits with 1 if something would change. The meaning of a
field is the text below it in `ritesmith/models.py`.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ritesmith import models
from ritesmith.cli.commands import ritesmith as command_tree
from ritesmith.cli.completion import table as completion_table
from ritesmith.hosts import CATALOG, describe
from ritesmith.settings_table import SETTINGS, TABLES, Setting, table_of

ROOT = Path(__file__).parent.parent
PAGES = ("workflow-reference.md", "capability-reference.md")
MARKED = re.compile(r"(<!-- fields: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    changed = []
    for file, text in generated():
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            changed.append(file.relative_to(ROOT))
            if "--check" not in arguments:
                file.parent.mkdir(exist_ok=True)
                file.write_text(text, encoding="utf-8")
    for each in changed:
        print(each)
    return 1 if changed and "--check" in arguments else 0


def generated() -> Iterator[tuple[Path, str]]:
    """Every file that is made here, wholly or in parts, with the text that it must have."""
    schemas = {"workflow": schema_of(models.Workflow), "capability": schema_of(models.Contract)}
    parts = {"Limits": schema_of(models.Limits)}
    for name, schema in schemas.items():
        yield (
            ROOT / "guardrails" / "schemas" / f"{name}.json",
            json.dumps(schema, ensure_ascii=False, indent=2) + "\n",
        )
        parts |= schema["$defs"] | {schema["title"]: schema}
    for page in PAGES:
        file = ROOT / "docs" / page
        yield file, MARKED.sub(lambda mark: mark[1] + fields(parts[mark[2]]) + mark[4], file.read_text("utf-8"))
    yield ROOT / "docs" / "host-functions.md", host_functions()
    yield ROOT / "docs" / "settings.md", settings()
    yield (
        ROOT / "ritesmith" / "completion.json",
        json.dumps(completion_table(command_tree, list(CATALOG)), ensure_ascii=False, indent=1) + "\n",
    )


# ---------------------------------------------------------------- schemas


def schema_of(model: type[models.Value]) -> dict[str, Any]:
    """The JSON Schema of a format, with the meanings, and without the titles that only repeat the names."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    for name, part in [*definitions.items(), (model.__name__, schema)]:
        told = _told(getattr(models, name))
        part.pop("description", None)
        if getattr(models, name).__doc__ and getattr(models, name).__doc__ != models.Value.__doc__:
            part["description"] = getattr(models, name).__doc__.split("\n\n")[0]
        for field, each in part.get("properties", {}).items():
            each.pop("title", None)
            annotation, meaning = told[field]
            if meaning:
                each["description"] = meaning
            if "Expression" in annotation:
                each["$comment"] = "object of expressions" if "dict" in annotation else "expression"
            elif "Schema" in annotation:
                each["$comment"] = "JSON Schema"
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": model.__name__}
    return (
        head | {key: value for key, value in schema.items() if key not in ("title", "$defs")} | {"$defs": definitions}
    )


def _told(model: type[models.Value]) -> dict[str, tuple[str, str]]:
    """Field, as the format writes it -> (its annotation, its meaning): what `models.py` says, base classes included."""
    told = {}
    for each in reversed(model.__mro__):
        body = _CLASSES.get(each.__name__, [])
        for statement, after in zip(body, [*body[1:], None], strict=False):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                is_told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                meaning = " ".join(after.value.value.split()) if is_told else ""
                name = model.model_fields[statement.target.id].alias or statement.target.id
                told[name] = (ast.unparse(statement.annotation), meaning)
    return told


_CLASSES = {
    each.name: each.body
    for each in ast.parse(Path(models.__file__).read_text(encoding="utf-8")).body
    if isinstance(each, ast.ClassDef)
}


# ---------------------------------------------------------------- tables


def fields(schema: dict[str, Any]) -> str:
    """The fields of a model as a table."""
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, each in schema["properties"].items():
        default = "required" if name in schema.get("required", ()) else _default(each)
        rows.append(f"| `{name}` | {_cell(kind(each))} | {default} | {_cell(each.get('description', ''))} |")
    return "\n".join(rows) + "\n"


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema or schema["default"] is None:
        return "-"
    text = json.dumps(schema["default"], ensure_ascii=False)
    return f"`{text}`" if len(text) <= 40 else "see there"


def kind(schema: Any) -> str:
    """The type of a value in a few words, with its bounds."""
    if not isinstance(schema, dict) or not schema:
        return "any JSON"
    if "$comment" in schema:
        return str(schema["$comment"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{_HEADINGS.get(name, name)}](#{_HEADINGS.get(name, name).replace(' ', '-')})"
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(kind(each) for each in schema[word] if each != {"type": "null"}))
    types = schema.get("type", "any JSON")
    if isinstance(types, list):
        return " or ".join(types)
    if types == "array":
        inner = schema.get("items", {})
        count = _between(schema.get("minItems"), schema.get("maxItems"))
        return f"list of {kind(inner)}{count and f', {count} items'}"
    if types == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {kind(schema['additionalProperties'])}"
    if types == "string" and ("minLength" in schema or "maxLength" in schema):
        return f"string of {_between(schema.get('minLength'), schema.get('maxLength'))} characters"
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    above = "exclusiveMinimum" in schema
    bounds = f"above {low}" if above and "maximum" not in schema else _between(low, schema.get("maximum"))
    return f"{types}{bounds and f', {bounds}'}"


_HEADINGS = {
    "AnyNode": "nodes",
    "Retry": "retry",
    "OnError": "on_error",
    "Compensation": "compensation",
    "Case": "switch",
    "Branch": "split",
    "RunLimits": "limits",
    "WorkflowExample": "examples",
    "CapabilityExample": "examples",
    "CapabilityLimits": "limits",
    "HostStub": "hosts-of-an-example",
    "HostError": "hosts-of-an-example",
} | {f"{name.title()}Node": name for name in models.NODE_KINDS}


def _between(low: Any, high: Any) -> str:
    high = "2^53" if high == models.COUNT_MAX else f"{high:,}" if isinstance(high, int) else high
    low = f"{low:,}" if isinstance(low, int) else low
    if low is None and high is None:
        return ""
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low is None else f"{low} to {high}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# ---------------------------------------------------------------- host functions


def host_functions() -> str:
    parts = [_HEAD]
    namespaces = dict.fromkeys(name.partition(".")[0] for name in CATALOG)
    parts.append("| function | effect | may be repeated | a grant narrows |\n|---|---|---|---|\n")
    for name, declared in CATALOG.items():
        row = describe.row(declared)
        parts.append(
            f"| [`{name}`](#{name.replace('.', '')}) | {_effect(declared)} | {_repeated(declared)} |"
            f" {', '.join(f'`{each}`' for each in row['narrows']) or '-'} |\n"  # type: ignore[union-attr]
        )
    for namespace in namespaces:
        for name, declared in CATALOG.items():
            if name.partition(".")[0] == namespace:
                parts.append(_host_function(declared))
    parts.append("\n## Errors\n\n" + _ERRORS_HEAD + "\n| code | when | tried again |\n|---|---|---|\n")
    used = {"bad_argument"}.union(*(declared.errors for declared in CATALOG.values()))
    if used != ERRORS.keys():
        raise SystemExit(f"docs/generate.py: ERRORS differs from what is declared: {sorted(used ^ ERRORS.keys())}")
    parts += [f"| `{code}` | {when} | {again} |\n" for code, (when, again) in sorted(ERRORS.items())]
    return "".join(parts)


def _host_function(declared: models.HostFunction) -> str:
    whole: dict[str, Any] = describe.whole(declared)
    touches = "the registry file, in one transaction with the journal" if declared.transactional else ""
    touches = "the world outside; an example must say what it answers" if declared.outside else touches
    lines = [f"\n## {declared.name}\n", declared.description, "", f"- effect: {_effect(declared)}"]
    lines.append(f"- may be repeated when nobody knows whether it happened: {_repeated(declared)}")
    lines += [f"- touches: {touches}"] if touches else []
    for title, schema in (("input", declared.input), ("output", declared.output)):
        lines += ["", _schema_table(title, schema)] if schema.get("properties") else [f"- {title}: nothing"]
    if declared.narrows:
        required = [name for name, each in declared.narrows.items() if "default" not in each]
        lines += ["", _schema_table("grant", {"properties": declared.narrows, "required": required})]
    lines += ["", "Errors: " + ", ".join(f"`{code}`" for code in whole["errors"]), ""]
    example = whole["example"]
    grants = json.dumps(example["grants"], ensure_ascii=False)
    lines += ["```json", f'{{"grants": {grants}}}', "```", "", "```lua", example["call"], "```", ""]
    return "\n".join(lines)


def _schema_table(title: str, schema: dict[str, Any]) -> str:
    rows = [f"| {title} | type | default | meaning |", "|---|---|---|---|"]
    for name, each in schema["properties"].items():
        default = "required" if name in schema.get("required", ()) else _default(each)
        items = each.get("items") if isinstance(each, dict) else None
        meaning = each.get("description") or (items or {}).get("description", "")
        rows.append(f"| `{name}` | {_cell(kind(each))} | {default} | {_cell(meaning)} |")
    return "\n".join(rows)


def _effect(declared: models.HostFunction) -> str:
    return declared.effect + _but("read", declared.reads)


def _repeated(declared: models.HostFunction) -> str:
    return "yes" if declared.idempotent else "no" + _but("yes", declared.repeatable)


def _but(word: str, cases: dict[str, tuple[Any, ...]]) -> str:
    told = [
        f"`{name}` {', '.join(str(value).lower() if value is True else str(value) for value in values)}"
        for name, values in cases.items()
    ]
    return f"; {word} with {' or '.join(told)}" if told else ""


# ---------------------------------------------------------------- settings


def settings() -> str:
    parts = [_SETTINGS_HEAD, "| setting | flag | variable | default | meaning |\n|---|---|---|---|---|\n"]
    for each in SETTINGS:
        if not each.file:
            variables = ", ".join(f"`{name}`" for name in each.variables) or "-"
            flag = f"`{each.flag}`" if each.flag else "-"
            parts.append(f"| {each.name} | {flag} | {variables} | {each.default or '-'} | {_cell(each.about)} |\n")
    parts.append(_FILE_HEAD)
    for table, about in TABLES.items():
        parts.append(f"\n### [{table}]\n\n{about[0].upper() + about[1:]}.\n\n")
        parts.append("| key | default | example | meaning |\n|---|---|---|---|\n")
        parts += [_setting(each) for each in SETTINGS if each.file and table_of(each) == table]
    return "".join(parts)


def _setting(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else "-"
    example = f"`{setting.example}`" if setting.example else "-"
    return f"| `{setting.name.rpartition('.')[2]}` | {default} | {example} | {_cell(setting.about)} |\n"


_SETTINGS_HEAD = """# Settings

A value is taken from a flag, else from the environment, else from `ritesmith.toml` beside the registry file, else it is
the default. `ritesmith config show --origin` shows what holds and where it comes from, `ritesmith config path` where
the file lies, and `ritesmith init` writes one with every setting, commented. What the file says and is no setting is
refused with the near miss; a variable that begins with `RITESMITH_` and is no setting is warned of.

This page is made from [ritesmith/settings_table.py](../ritesmith/settings_table.py) by `python docs/generate.py`.

## By flag and variable

"""

_FILE_HEAD = """
A secret `MAIL` is the variable `RITESMITH_SECRET_MAIL`, or a line `MAIL = "..."` of `secrets.toml` beside the settings,
with mode 600. Settings hold the names of secrets only: a password in a URL is refused.

## In ritesmith.toml

A part in capitals is a name of your own.
"""

_HEAD = """# Host functions

What Lua may ask of the world. A script calls one with one table and gets one table back; each call is granted in the
contract, checked against the schema, journalled, and counted. Nothing else of the world is in a script's reach.

This page is made from the declarations in [ritesmith/hosts](../ritesmith/hosts/) by `python docs/generate.py`.
`ritesmith hosts NAME` prints the same, also for the tools of MCP servers that a project has taken over.

- *effect*: `pure` computes, `read` looks, `write` changes. A capability's effect is the widest of its grants.
- *may be repeated*: what happens when the process died between the call and its answer. A call that may be repeated is
  made again with the same idempotency key. Any other leaves the run `unknown` until `ritesmith resolve` says what
  happened.
- *grant*: the leave in the contract, and what it narrows. An argument outside of it ends the execution with
  `grant_denied`.
- *error*: what the script gets as an error object with `code`, `message` and `retryable`; `pcall` catches it, and a
  script that does not fails with that code. Tried again: whether the step's `retry` applies.

"""

_ERRORS_HEAD = "What a host function answers instead of a result. `Retry-After` of a server is honoured.\n"

ERRORS: dict[str, tuple[str, str]] = {
    "bad_answer": (
        "the model's answer was cut short, is no JSON, or does not fit the schema",
        "where it says `retryable`",
    ),
    "bad_argument": ("the arguments do not fit the input schema", "no"),
    "bad_content": ("`file.write`: the content is not what `encoding` says", "no"),
    "bad_path": ("`file.*`: the path leaves the root, or no file system takes it", "no"),
    "bad_query": ("the database does not take the question, or it is not one that only reads", "no"),
    "bad_schema": ("`llm.complete`: the schema cannot be used", "no"),
    "bad_secret": ("a secret holds letters that a header or a URL cannot carry", "no"),
    "budget_spent": ("`llm.complete`: the run has no tokens or money left for it", "no"),
    "denied": ("`file.*`, `sql.query`: the settings, the system or the database do not allow it", "no"),
    "empty_range": ("`random.integer`: `min` is above `max`", "no"),
    "http_bad_json": ("the answer is no JSON", "no"),
    "http_bad_url": ("the URL is not `https://NAME/...`", "no"),
    "http_blocked": ("the address, the port or plain HTTP may not be reached (`[http]`)", "no"),
    "http_broken": ("the connection broke", "yes, where the call may be repeated"),
    "http_connect": ("no connection", "yes"),
    "http_dns": ("the name has no address", "where the resolver says that it may have one later"),
    "http_encoding": ("the answer is encoded as nobody asked for, or broken", "no"),
    "http_rate_limited": ("status 429", "yes"),
    "http_redirect": ("a redirect leaves the grant or the settings, or there are too many", "no"),
    "http_server_error": ("status 5xx", "503, and any where the call may be repeated"),
    "http_status": ("`get_json`, `post_json`, `webhook`: a status other than 2xx", "no"),
    "http_timeout": ("no answer within the deadlines of `[http]`", "yes, where the call may be repeated"),
    "http_tls": ("TLS failed", "no"),
    "http_too_large": ("the answer, its headers or the body is larger than allowed", "no"),
    "no_secret": ("the secret is not set, or its file is open to others", "no"),
    "no_space": ("`file.write`: the disk or the quota is full", "yes"),
    "no_tls": ("the mail server does not offer STARTTLS", "no"),
    "not_a_file": ("`file.*`: a folder, a device or a pipe", "no"),
    "not_configured": ("`ritesmith.toml` has no such section, or an extra is not installed", "no"),
    "not_found": ("`file.read`: there is no such file", "no"),
    "not_text": ("`file.read`: the file is not UTF-8; read it as base64", "no"),
    "rate_limited": ("the model server answered 429", "yes"),
    "recipient_refused": (
        "the mail server refuses an address; the message was sent to nobody",
        "where it answered 4xx",
    ),
    "refused": ("the mail or model server said no", "mail: where it answered 4xx"),
    "store_conflict": ("`if_version` is not the stored version", "yes"),
    "store_too_large": ("the document is too large", "no"),
    "time_out": ("no answer in time, and nothing was done", "yes"),
    "too_large": ("the file, the rows or the answer is larger than allowed", "no"),
    "too_many_recipients": ("the message has too many recipients", "no"),
    "unavailable": ("the server, the database or the file cannot be used now", "yes, mostly"),
    "wrong_login": ("the user or the password is wrong", "no, unless the server said that it is for now"),
}
"""Code -> when, and whether it is tried again. What a host function declares and what stands here are the same."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
