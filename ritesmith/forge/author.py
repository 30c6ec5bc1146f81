"""The messages that ask a model for a draft, and for its repair."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from ritesmith.forge.reuse import Request
from ritesmith.forge.words import content
from ritesmith.models import EFFECT_ORDER, JSON, Contract, Finding, HostFunction, Limits, Schema

CATALOG_ENTRIES = 10
HOST_ENTRIES = 4
NEIGHBOURS = 3
NEIGHBOUR_CHARACTERS = 1_500
"""Of all neighbours together; one that does not fit is left out."""
EXAMPLE_CHARACTERS = 1_500
"""Of the caller's examples together; those that do not fit decide all the same."""
LONG_EXAMPLE_CHARACTERS = 12_000
"""Where none of them fits, of the shortest, which is then shown alone."""
ERRORS_SHOWN = 4
FIELDS_SHOWN = 4
"""Of an object inside another one, in the line of a host function."""
FINDINGS = 30
DEPTH = 3
"""To which the types of objects are told."""
Message = dict[str, Any]

# ---------------------------------------------------------------- the messages


def first_messages(
    request: Request,
    catalog: Sequence[HostFunction],
    contracts: Sequence[Contract],
    neighbours: Sequence[str],
    *,
    covered: Mapping[str, str] | None = None,
    gaps: Sequence[str] = (),
    waits: Sequence[str] = (),
    limits: Limits | None = None,
) -> list[Message]:
    """The messages that ask for a draft: fixed rules first, so that servers can cache them, then what varies.

    `contracts` come best first; ten of them are shown, and how many more there are. Host functions with a wider effect
    than the request allows are left out; of the others those are shown that the request speaks of or that the shown
    capabilities use, and the rest by name. At most three `neighbours` are shown: texts of accepted artifacts, best
    first. `covered` is a part of the intent -> the capability that does it, `gaps` the other parts. A draft that is
    granted one of the host functions `waits` waits for a person's approval. Everything that
    somebody else wrote stands inside `<data>` and can't close it.
    """
    shown = contracts[:CATALOG_ENTRIES]
    lines = [_contract_line(contract) for contract in shown]
    if len(contracts) > CATALOG_ENTRIES:
        lines.append(f"({len(contracts) - CATALOG_ENTRIES} more exist; these are the nearest)")
    likely, others = likely_hosts(request, catalog, shown)
    host_lines = [_host_line(each) for each in likely]
    if others:
        host_lines.append(f"(more exist: {', '.join(each.name for each in others)})")
    wanted: dict[str, JSON] = {"intent": request.intent}
    if request.name:
        wanted["name"] = request.name
    wanted["effect"] = request.effect
    if request.hosts:
        wanted["hosts"] = list(request.hosts)
    asked = [name for name in waits if name in {each.name for each in (*likely, *others)}]
    if asked:
        wanted["approval"] = asked
    if limits is not None:
        wanted["limits"] = {"fuel": limits.fuel, "host_calls": limits.host_calls, "seconds": limits.deadline_seconds}
    if covered:
        wanted["covered"] = dict(covered)
    if gaps:
        wanted["gaps"] = list(gaps)
    wanted["examples"] = _examples_that_fit(request.examples)
    user = fill(
        "request.md",
        host_functions="\n".join(host_lines) or "(none)",
        capabilities="\n".join(lines) or "(none)",
        neighbours=_neighbours(neighbours),
        request=as_data(wanted),
    )
    return [{"role": "system", "content": _prompt("rules.md")}, {"role": "user", "content": user}]


def likely_hosts(
    request: Request, catalog: Sequence[HostFunction], contracts: Sequence[Contract]
) -> tuple[list[HostFunction], list[HostFunction]]:
    """The host functions that a draft may well need, best first, and the others that it could be granted.

    What speaks for one: words that it shares with the intent, and use by the capabilities that lie near.
    """
    allowed = [each for each in catalog if EFFECT_ORDER[each.effect] <= EFFECT_ORDER[request.effect]]
    wanted = set(content(request.intent))
    used = [name for contract in contracts for name in contract.grants]

    def score(function: HostFunction) -> int:
        said = set(content(f"{function.name.replace('.', ' ')} {function.description}"))
        return 2 * len(wanted & said) + used.count(function.name)

    likely = sorted((each for each in allowed if score(each)), key=lambda each: (-score(each), each.name))
    likely = likely[:HOST_ENTRIES]
    names = {each.name for each in likely}
    return likely, [each for each in allowed if each.name not in names]


def _examples_that_fit(examples: Sequence[Mapping[str, Any]]) -> list[JSON]:
    shown: list[JSON] = []
    room = EXAMPLE_CHARACTERS
    lengths = [len(json.dumps(each, ensure_ascii=False)) for each in examples]
    for each, length in zip(examples, lengths, strict=True):
        if length <= room:
            shown.append(dict(each))
            room -= length
    shortest = min(lengths, default=0)
    if not shown and 0 < shortest <= LONG_EXAMPLE_CHARACTERS:
        shown.append(dict(examples[lengths.index(shortest)]))
    return shown


def repair_messages(
    previous: Sequence[Mapping[str, Any]],
    written: str,
    findings: Sequence[Finding],
    *,
    blocks: Sequence[str] = (),
    kept: Sequence[str] = (),
    catalog: Sequence[HostFunction] = (),
) -> list[Message]:
    """The conversation so far, what was `written`, and what is wrong with it: one line per finding, each said once.

    `blocks` are to be given again, `kept` are sound and stay. Host functions that a finding names and that were not
    shown are shown now. Messages of findings that were made while running may hold words out of somebody's data. Of
    those, only words that the draft itself contains, numbers, and the words of Lua's own messages are passed on.
    """
    drafted = "\n".join(str(each["content"]) for each in previous if each["role"] == "assistant") + written
    lines = list(dict.fromkeys(_finding_line(finding, drafted) for finding in findings))
    if len(lines) > FINDINGS:
        lines[FINDINGS:] = [f"(and {len(lines) - FINDINGS} more)"]
    told = fill(
        "repair.md",
        findings="\n".join(lines),
        host_functions=_hosts_named(findings, previous, catalog),
        blocks=as_text(", ".join(blocks) or "all"),
        kept=f" Sound, and kept as they are: {as_text(', '.join(kept))}." if kept else "",
    )
    return [
        *(dict(message) for message in previous),
        {"role": "assistant", "content": written},
        {"role": "user", "content": told},
    ]


def _hosts_named(
    findings: Sequence[Finding], previous: Sequence[Mapping[str, Any]], catalog: Sequence[HostFunction]
) -> str:
    said = " ".join(f"{each.message} {each.hint}" for each in findings)
    before = "\n".join(str(each["content"]) for each in previous)
    lines = [
        _host_line(each)
        for each in catalog
        if re.search(rf"(?<![\w.]){re.escape(each.name)}(?![\w.])", said) and f"\n{each.name}{{" not in before
    ]
    return fill("hosts.md", host_functions="\n".join(lines[:HOST_ENTRIES])) + "\n" if lines else ""


def fill(template: str, **values: str) -> str:
    """A prompt file with its {{names}} replaced, all at once: a value that looks like a name stays as it is."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _prompt(template))


def as_data(value: JSON) -> str:
    """A JSON value on one line that can't end a data block, open a fence or hide characters."""
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)
    text = text.replace("<", "\\u003c").replace("```", "\\u0060\\u0060\\u0060").replace("~~~", "\\u007e~~")
    return "".join(json.dumps(letter)[1:-1] if _hidden(letter) or _poses(letter) else letter for letter in text)


def as_text(text: str, length: int = 200) -> str:
    """Words from elsewhere, made fit to stand in a line of the prompt: one line, no tags, no fences, not long."""
    line = " ".join("".join(" " if _hidden(letter) or _poses(letter) else letter for letter in text).split())
    line = line.replace("<", "(").replace("```", "'''").replace("~~~", "---")
    return line if len(line) <= length else line[: length - 1] + "…"


def _hidden(letter: str) -> bool:
    """Whether a person who looks at a text does not see this: tags and variation selectors can spell whole orders."""
    selector = "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef"
    return selector or unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _poses(letter: str) -> bool:
    """Whether it is another form of what opens tags and fences, such as the wide less-than sign."""
    return letter not in "<`~" and unicodedata.normalize("NFKC", letter) in ("<", "`", "~")


def _prompt(name: str) -> str:
    return files("ritesmith.forge").joinpath("prompts", name).read_text(encoding="utf-8").rstrip("\n")


def _host_line(function: HostFunction) -> str:
    given, taken = (type_text(schema, fields=FIELDS_SHOWN) for schema in (function.input, function.output))
    line = f"{function.name}{given} -> {taken} [{function.effect}]"
    if function.narrows:
        fields = ", ".join(f"{key}: {type_text(schema)}" for key, schema in function.narrows.items())
        line += f" grant {{{fields}}}"
    if function.errors:
        more = ", …" if len(function.errors) > ERRORS_SHOWN else ""
        line += f" errors {', '.join(function.errors[:ERRORS_SHOWN])}{more}"
    return f"{line}: {as_text(function.description)}"


def _contract_line(contract: Contract) -> str:
    effect = "pure" if not contract.grants else f"uses {', '.join(contract.grants)}"
    undo = f", undone by {contract.compensated_by}" if contract.compensated_by else ""
    types = f"{type_text(contract.input)} -> {type_text(contract.output)}"
    return f"{contract.name}{types} [{effect}{undo}]: {as_text(contract.intent)}"


def type_text(schema: Schema | bool, depth: int = DEPTH, fields: int | None = None) -> str:
    """A schema as a short type: `{amount: number, tags?: string[], kind: "a" | "b"}`. Descriptions are left out.

    Of an object inside another one at most so many `fields` are told.
    """
    if not isinstance(schema, dict):
        return "any"
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        shown = [as_text(json.dumps(value, ensure_ascii=False), 40) for value in values[:8]]
        return " | ".join([*shown, "…"] if len(values) > 8 else shown)
    kind = schema.get("type")
    for union in ("anyOf", "oneOf"):
        if isinstance(schema.get(union), list):
            return " | ".join(dict.fromkeys(type_text(part, depth - 1, fields) for part in schema[union]))
    if isinstance(kind, list):
        return " | ".join(type_text({**schema, "type": each}, depth, fields) for each in kind)
    if kind == "array":
        inner = type_text(schema.get("items", True), depth - 1, fields)
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if kind == "object":
        return _object_text(schema, depth, fields)
    if kind == "string" and isinstance(schema.get("format"), str):
        return f"string({as_text(schema['format'], 20)})"
    return as_text(kind, 20) if isinstance(kind, str) else "any"


def _object_text(schema: Schema, depth: int, most: int | None) -> str:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        extra = schema.get("additionalProperties")
        return f"{{[key]: {type_text(extra, depth - 1, most)}}}" if isinstance(extra, dict) and extra else "{}"
    if depth <= 0:
        return "{…}"
    required = schema.get("required", [])
    fields = [
        f"{as_text(name, 60)}{'' if name in required else '?'}: {type_text(part, depth - 1, most)}"
        for name, part in properties.items()
    ]
    if most is not None and depth < DEPTH and len(fields) > most:
        fields[most:] = ["…"]
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
    seen = "".join(letter for letter in code if letter in "\n\t" or not (_hidden(letter) or _poses(letter)))
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
