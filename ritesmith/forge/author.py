"""The messages that ask a model for a draft, and for its repair."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from ritesmith.forge.blocks import capability_name, parse_draft
from ritesmith.forge.reuse import Request
from ritesmith.models import EFFECT_ORDER, JSON, Contract, Finding, HostFunction, Schema

CATALOG_ENTRIES = 10
NEIGHBOURS = 3
NEIGHBOUR_CHARACTERS = 4_000
"""Of all neighbours together; one that does not fit is left out."""
FINDINGS = 30
Message = dict[str, Any]

# ---------------------------------------------------------------- the messages


def first_messages(
    request: Request,
    catalog: Sequence[HostFunction],
    contracts: Sequence[Contract],
    neighbours: Sequence[str],
) -> list[Message]:
    """The messages that ask for a draft: fixed rules first, so that servers can cache them, then what varies.

    `contracts` come best first; ten of them are shown, and how many more there are. Host functions with a wider effect
    than the request allows are left out. At most three `neighbours` are shown: texts of accepted artifacts, best first.
    Everything that somebody else wrote stands inside `<data>` and can't close it.
    """
    allowed = [each for each in catalog if EFFECT_ORDER[each.effect] <= EFFECT_ORDER[request.effect]]
    lines = [_contract_line(contract) for contract in contracts[:CATALOG_ENTRIES]]
    if len(contracts) > CATALOG_ENTRIES:
        lines.append(f"({len(contracts) - CATALOG_ENTRIES} more exist; these are the nearest)")
    wanted: dict[str, JSON] = {"intent": request.intent}
    if request.name:
        wanted["name"] = request.name
    wanted |= {"effect": request.effect, "examples": list(request.examples)}
    user = fill(
        "request.md",
        host_functions="\n".join(_host_line(each) for each in allowed) or "(none)",
        capabilities="\n".join(lines) or "(none)",
        neighbours=_neighbours(neighbours),
        request=as_data(wanted),
    )
    return [{"role": "system", "content": _prompt("rules.md")}, {"role": "user", "content": user}]


def repair_messages(
    previous: Sequence[Mapping[str, Any]], reply_text: str, findings: Sequence[Finding]
) -> list[Message]:
    """The conversation so far, the reply, and what is wrong with it: one line per finding, each said once.

    Messages of findings that were made while running may hold words out of somebody's data. Of those, only words that
    the draft itself contains, numbers, and the words of Lua's own messages are passed on.
    """
    draft, _ = parse_draft(reply_text)
    blocks = [capability_name(text) or "a lua block without a readable name" for text in draft.capabilities]
    if draft.workflow is not None:
        blocks.append("the workflow")
    written = "\n".join(str(each["content"]) for each in previous if each["role"] == "assistant") + reply_text
    lines = list(dict.fromkeys(_finding_line(finding, written) for finding in findings))
    if len(lines) > FINDINGS:
        lines[FINDINGS:] = [f"(and {len(lines) - FINDINGS} more)"]
    told = fill("repair.md", findings="\n".join(lines), blocks=as_text(", ".join(blocks) or "none"))
    return [
        *(dict(message) for message in previous),
        {"role": "assistant", "content": reply_text},
        {"role": "user", "content": told},
    ]


def fill(template: str, **values: str) -> str:
    """A prompt file with its {{names}} replaced, all at once: a value that looks like a name stays as it is."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _prompt(template))


def as_data(value: JSON) -> str:
    """A JSON value on one line that can't end a data block, open a fence or hide characters."""
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)
    text = text.replace("<", "\\u003c").replace("```", "\\u0060\\u0060\\u0060").replace("~~~", "\\u007e~~")
    return "".join(f"\\u{ord(letter):04x}" if _hidden(letter) else letter for letter in text)


def as_text(text: str, length: int = 200) -> str:
    """Words from elsewhere, made fit to stand in a line of the prompt: one line, no tags, no fences, not long."""
    line = " ".join("".join(" " if _hidden(letter) else letter for letter in text).split())
    line = line.replace("<", "(").replace("```", "'''").replace("~~~", "---")
    return line if len(line) <= length else line[: length - 1] + "…"


def _hidden(letter: str) -> bool:
    return ord(letter) < 0x10000 and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _prompt(name: str) -> str:
    return files("ritesmith.forge").joinpath("prompts", name).read_text(encoding="utf-8").rstrip("\n")


def _host_line(function: HostFunction) -> str:
    line = f"{function.name}{type_text(function.input)} -> {type_text(function.output)} [{function.effect}]"
    if function.narrows:
        fields = ", ".join(f"{key}: {type_text(schema)}" for key, schema in function.narrows.items())
        line += f" grant {{{fields}}}"
    if function.errors:
        line += f" errors {', '.join(function.errors)}"
    return f"{line}: {as_text(function.description)}"


def _contract_line(contract: Contract) -> str:
    effect = "pure" if not contract.grants else f"uses {', '.join(contract.grants)}"
    undo = f", undone by {contract.compensated_by}" if contract.compensated_by else ""
    types = f"{type_text(contract.input)} -> {type_text(contract.output)}"
    return f"{contract.name}{types} [{effect}{undo}]: {as_text(contract.intent)}"


def type_text(schema: Schema | bool, depth: int = 3) -> str:
    """A schema as a short type: `{amount: number, tags?: string[], kind: "a" | "b"}`. Descriptions are left out."""
    if not isinstance(schema, dict):
        return "any"
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        shown = [as_text(json.dumps(value, ensure_ascii=False), 40) for value in values[:8]]
        return " | ".join([*shown, "…"] if len(values) > 8 else shown)
    kind = schema.get("type")
    for union in ("anyOf", "oneOf"):
        if isinstance(schema.get(union), list):
            return " | ".join(dict.fromkeys(type_text(part, depth - 1) for part in schema[union]))
    if isinstance(kind, list):
        return " | ".join(type_text({**schema, "type": each}, depth) for each in kind)
    if kind == "array":
        inner = type_text(schema.get("items", True), depth - 1)
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if kind == "object":
        return _object_text(schema, depth)
    if kind == "string" and isinstance(schema.get("format"), str):
        return f"string({as_text(schema['format'], 20)})"
    return as_text(kind, 20) if isinstance(kind, str) else "any"


def _object_text(schema: Schema, depth: int) -> str:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        extra = schema.get("additionalProperties")
        return f"{{[key]: {type_text(extra, depth - 1)}}}" if isinstance(extra, dict) and extra else "{}"
    if depth <= 0:
        return "{…}"
    required = schema.get("required", [])
    fields = (
        f"{as_text(name, 60)}{'' if name in required else '?'}: {type_text(part, depth - 1)}"
        for name, part in properties.items()
    )
    return f"{{{', '.join(fields)}}}"


def _neighbours(texts: Sequence[str]) -> str:
    shown: list[str] = []
    for text in texts:
        if len(shown) < NEIGHBOURS and sum(map(len, shown)) + len(text) <= NEIGHBOUR_CHARACTERS:
            shown.append(text)
    if not shown:
        return ""
    # Code can't be escaped as JSON and stay an example of form, so only what could close the block is changed.
    bodies = (_harmless(text.strip("\n")) for text in shown)
    return fill("neighbours.md", blocks="\n".join(f'<data name="artifact">\n{body}\n</data>' for body in bodies)) + "\n"


def _harmless(code: str) -> str:
    seen = "".join(letter for letter in code if letter in "\n\t" or not _hidden(letter))
    seen = re.sub(r"<(?=[\s/]*data)", "(", seen, flags=re.IGNORECASE)
    return seen.replace("```", "'''").replace("~~~", "---")


# ---------------------------------------------------------------- redaction

RUNTIME_PREFIXES = ("example", "trial", "dry_run", "rehearsal")
"""Codes of findings that were made by running something, whose messages may quote somebody's data."""
PLAIN_WORDS = frozenset(files("ritesmith.forge").joinpath("plain_words.txt").read_text(encoding="utf-8").split())
"""Words of Lua's own messages and of the guard's, which say nothing about anybody's data."""


def redact(text: str, draft: str) -> str:
    """A run-time message with every run of words that came neither from the draft nor from Lua or the guard as <text>.

    Kept: the draft's own words, numbers, punctuation, and a fixed list of plain words. After CaMeL's rule that the text
    of an error is hidden from the planner while its type and place are kept; finer, because a repair needs the values.
    """
    known = PLAIN_WORDS | {word.lower() for word in re.findall(r"\w+", draft)}

    def shown(word: str) -> bool:
        return word.lower() in known or bool(re.fullmatch(r"\d+(?:[eE]\d+)?", word))

    parts = re.split(r"(\w+)", text)
    out: list[str] = []
    hiding = False
    for place, part in enumerate(parts):
        if place % 2 == 0:
            out.append(part)
        elif shown(part):
            out.append(part)
            hiding = False
        else:
            if hiding and not re.search(r"[\"'{}\[\]:]", out[-1]):
                out.pop()
            else:
                out.append("<text>")
            hiding = True
    return "".join(out)


def _finding_line(finding: Finding, draft: str) -> str:
    message, where = finding.message, str(finding.where)
    if finding.code.startswith(RUNTIME_PREFIXES):
        message, where = redact(message, draft), redact(where, draft)
    line = {"where": where, "code": finding.code, "message": message}
    if finding.severity == "warning":
        line["severity"] = "warning"
    if finding.hint:
        line["hint"] = finding.hint
    return as_data({key: value[:600] for key, value in line.items()}).replace("\\u003ctext>", "<text>")


def prompt_text(messages: Iterable[Mapping[str, Any]]) -> str:
    """The messages as one readable text, for a golden file, a digest or `--explain`."""
    return "".join(f"--- {message['role']} ---\n{message['content']}\n" for message in messages)
