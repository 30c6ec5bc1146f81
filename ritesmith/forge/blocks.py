"""A model's reply to a draft: finds the fenced blocks leniently, judges what they hold strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence

from ritesmith.contract import HEADER, read_capability
from ritesmith.json_text import NotJSON, parse
from ritesmith.models import JSON, Finding, Value, Where

# The patterns give nothing back (`*+`) and take blank lines one by one, so that no reply makes them quadratic.
FENCE = re.compile(r"^(?P<indent>[ \t]*+)(?P<mark>`{3,}+|~{3,}+)[ \t]*+(?P<label>[^\s`]*+)[ \t]*$")
BARE_HEADER = re.compile(r"^--\[=*\[\s*capability\b", re.MULTILINE)
NAME = re.compile(r'"name"\s*:\s*"([^"\\]+)"')
RUN = re.compile(r"^[^\S\n]*+(?:local\s+)?(?:function\s+run\b|run\s*=\s*function\b)", re.MULTILINE)
LONG_STRING_END = re.compile(r"\](?P<level>=*+)(?=\])")
LUA_TOKEN = re.compile(
    r"--\[(?P<comment>=*)\[.*?\](?P=comment)\]"
    r"|--(?!\[=*\[)[^\n]*"
    r"|\[(?P<string>=*)\[.*?\](?P=string)\]"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'"
    r"|(?P<broken_long>\[(?P<level>=*)\[)"
    r"|(?P<broken>--\[=*\[|[\"'])"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<bracket>[][(){}])",
    re.DOTALL,
)
OPENS = {"function": 1, "do": 1, "if": 1, "repeat": 1, "end": -1, "until": -1}
REPLY = "reply"
WORKFLOW = "the workflow"


class Draft(Value):
    """What the forge wrote, not yet trusted: capability files as text, and at most one workflow as JSON."""

    capabilities: tuple[str, ...] = ()
    workflow: JSON = None

    @property
    def empty(self) -> bool:
        """Nothing in it that could be checked."""
        return not self.capabilities and self.workflow is None


class _Block(Value):
    label: str
    text: str
    line: int
    """Line of the reply, from 1, where the block's text begins."""
    closed: bool


def parse_draft(text: str, *, truncated: bool = False) -> tuple[Draft, list[Finding]]:
    """Read a reply: the draft in it, and a finding for everything that stops it from being taken as it stands.

    Lenient about order, prose around the blocks, a missing fence, a wrong label, indentation and a model's thinking
    aloud (`<think>`). Strict about content: one workflow at most, valid JSON without repeated keys, one text for each
    capability name, and no block that breaks off. A last block without its closing fence counts only if its JSON
    parses or its Lua closes everything that it opens. `truncated` says that the server stopped at its token limit.

    The findings' codes: no_draft, truncated_answer, two_workflows, two_capabilities, workflow_not_json. Their lines
    are lines of the reply.
    """
    text = _without_thinking(text.replace("\r\n", "\n"))
    findings: list[Finding] = []
    if truncated:
        findings.append(_truncated(text.count("\n") + 1, "the answer stops at the token limit"))
    capabilities: dict[str, str] = {}
    workflows: list[JSON] = []
    snippets: list[str] = []
    blocks = list(_fenced(text))
    if not any(_kind(block) for block in blocks):
        blocks = list(_bare(text)) or blocks
    for block in blocks:
        kind = _kind(block)
        if kind == "workflow":
            value, finding = _read_workflow(block)
            if finding is not None:
                findings.append(finding)
            elif len(workflows) < 2 and value not in workflows:
                workflows.append(value)
            continue
        if kind is None:
            continue
        if not block.closed and not lua_complete(block.text):
            findings.append(_truncated(block.line, "the lua block that begins here breaks off"))
            continue
        for part in _split_headers(block.text):
            if kind == "snippet":
                snippets.append(_tidy(part))
                continue
            tidy = _tidy(part)
            name = capability_name(tidy) or f"?{len(capabilities)}"
            if capabilities.get(name, tidy) != tidy:
                findings.append(
                    Finding(
                        code="two_capabilities",
                        where=Where(file=REPLY, line=block.line),
                        message=f"two different lua blocks define {name!r}",
                        hint="give each capability once",
                    )
                )
                continue
            capabilities[name] = tidy
    if not capabilities and not workflows and len(snippets) == 1:
        # A lone chunk with run() and no header is an attempt; the guard will say that the contract is missing.
        capabilities["?"] = snippets[0]
    if len(workflows) > 1:
        findings.append(
            Finding(
                code="two_workflows",
                where=Where(file=REPLY),
                message="the reply holds workflows that differ",
                hint="give exactly one json block",
            )
        )
    draft = Draft(capabilities=tuple(capabilities.values()), workflow=workflows[0] if len(workflows) == 1 else None)
    if draft.empty and not findings:
        findings.append(
            Finding(
                code="no_draft",
                where=Where(file=REPLY),
                message="the reply holds no capability file and no workflow",
                hint="answer with fenced blocks: ```lua for each capability file, ```json for the workflow",
            )
        )
    return draft, findings


def merge_draft(old: Draft, new: Draft, keep: Collection[str] = ()) -> Draft:
    """The old draft with the blocks that `new` gives again put in their place; what is not given again stays.

    So do the sound blocks that `keep` names, whatever `new` says: capabilities by name, the workflow as WORKFLOW.
    Capabilities are matched by name. A lone capability on both sides is replaced even when its name differs, because
    the name itself may have been what was wrong; so is one that has no readable name when only one such block exists.
    """
    merged = {capability_name(text) or f"?{index}": text for index, text in enumerate(old.capabilities)}
    sound = [name for name in merged if name in keep]
    given = tuple(text for text in new.capabilities if capability_name(text) not in sound)
    workflow = None if WORKFLOW in keep else new.workflow
    new = Draft(capabilities=given, workflow=workflow)
    nameless = [name for name in merged if name.startswith("?")]
    alone = len(old.capabilities) == len(new.capabilities) == 1 and old.workflow is None and new.workflow is None
    if alone:
        return new
    for text in new.capabilities:
        name = capability_name(text)
        if name in merged:
            merged[name] = text
        elif len(nameless) == 1:
            merged = {(name or key) if key == nameless[0] else key: value for key, value in merged.items()}
            merged[name or nameless[0]] = text
            nameless = []
        else:
            merged[name or f"?new{len(merged)}"] = text
    return Draft(capabilities=tuple(merged.values()), workflow=old.workflow if new.workflow is None else new.workflow)


def render(draft: Draft) -> str:
    """A draft as a reply would give it; `parse_draft` reads it back."""
    blocks = [f"```lua\n{text}```\n" for text in draft.capabilities]
    if draft.workflow is not None:
        blocks.append(f"```json\n{json.dumps(draft.workflow, ensure_ascii=False, indent=1)}\n```\n")
    return "".join(blocks)


def with_examples(text: str, examples: Sequence[JSON]) -> str:
    """A capability file with other examples in its header, which must be readable."""
    found = HEADER.match(text)
    if found is None:
        raise ValueError("the text has no header")
    header = json.dumps({**json.loads(found["json"]), "examples": list(examples)}, ensure_ascii=False, indent=2)
    level = next(level for level in ("", "=", "==", "===", "====") if f"]{level}]" not in header)
    return f"--[{level}[ capability\n{header}\n]{level}]{text[found.end() :]}"


def capability_name(text: str) -> str | None:
    """The name in a capability file's header, even when the header is not valid otherwise; None when there is none."""
    capability, _ = read_capability(text)
    if capability is not None:
        return capability.contract.name
    header = HEADER.match(text)
    named = NAME.search(header["json"] if header else text[:2000]) if header or BARE_HEADER.match(text) else None
    return named[1] if named else None


def lua_complete(text: str) -> bool:
    """Whether a Lua text closes every block, bracket, string and comment that it opens. No judgement of its syntax."""
    depth = brackets = 0
    for token in LUA_TOKEN.finditer(text):
        if token["broken"] or token["broken_long"]:
            return False
        if token["word"]:
            depth += OPENS.get(token["word"], 0)
        elif token["bracket"]:
            brackets += 1 if token["bracket"] in "([{" else -1
    return depth == 0 and brackets == 0 and bool(text.strip())


def _fenced(text: str) -> Iterator[_Block]:
    lines = text.split("\n")
    last_end = {
        end["level"]: number for number, line in enumerate(lines, start=1) for end in LONG_STRING_END.finditer(line)
    }
    opened: re.Match[str] | None = None
    held: list[str] = []
    lua = _LuaSoFar()
    first = 0
    for number, line in enumerate(lines, start=1):
        fence = FENCE.match(line)
        if opened is None:
            if fence is not None:
                opened, held, lua, first = fence, [], _LuaSoFar(), number + 1
            continue
        same = fence is not None and fence["mark"][0] == opened["mark"][0] and len(fence["mark"]) >= len(opened["mark"])
        level = lua.open_level() if same else None
        # Inside a long string that the rest of the reply closes, fences belong to the code.
        if not same or (level is not None and last_end.get(level, 0) > number):
            held.append(_dedent(line, opened["indent"]))
            lua.add(held[-1])
            continue
        assert fence is not None
        yield _Block(label=opened["label"].lower(), text="\n".join(held), line=first, closed=True)
        # A labelled fence inside a block means that the closing one was forgotten.
        opened, held, lua, first = (fence, [], _LuaSoFar(), number + 1) if fence["label"] else (None, [], lua, 0)
    if opened is not None and "".join(held).strip():
        yield _Block(label=opened["label"].lower(), text="\n".join(held), line=first, closed=False)


def _bare(text: str) -> Iterator[_Block]:
    """Blocks of a reply without fences: a capability file from its header to its last `end`, or one JSON object."""
    stripped = text.strip().strip("`").strip()
    header = BARE_HEADER.search(text)
    if header is not None:
        body = text[header.start() :]
        last = [match.end() for match in re.finditer(r"^end[ \t]*(?=\n|\Z)", body, re.MULTILINE)]
        cut = body[: last[-1]] if last and lua_complete(body[: last[-1]]) else body
        yield _Block(label="lua", text=cut, line=text.count("\n", 0, header.start()) + 1, closed=False)
        rest = body[len(cut) :]
        brace = re.search(r"^\{", rest, re.MULTILINE)
        if brace is not None:
            yield _object_block(rest, brace.start(), text.count("\n") - rest.count("\n"))
    elif stripped.startswith("{"):
        yield _object_block(text, text.index("{"), 0)


def _object_block(text: str, start: int, lines_before: int) -> _Block:
    body = text[start:]
    try:
        _, end = json.JSONDecoder().raw_decode(body)
    except (ValueError, RecursionError):
        end = len(body)
    return _Block(label="json", text=body[:end], line=lines_before + text.count("\n", 0, start) + 1, closed=False)


def _kind(block: _Block) -> str | None:
    """What a block is by its content, then by its label: capability, snippet, workflow, or None for mere prose."""
    text = block.text.lstrip()
    if BARE_HEADER.match(text):
        return "capability"
    if text.startswith("{"):
        if re.search(r'"nodes"\s*:', text) or (not block.closed and block.label in ("json", "")):
            return "workflow"
        return None
    if HEADER.match(text) or (RUN.search(text) and block.label not in ("json", "python", "javascript", "js")):
        return "snippet"
    if block.label == "json" and '"nodes"' in text:
        return "workflow"
    if block.label == "lua" and not block.closed:
        return "snippet"
    return None


def _read_workflow(block: _Block) -> tuple[JSON, Finding | None]:
    where = Where(file=REPLY, line=block.line)
    text = block.text.rstrip()
    try:
        value = parse(text)
    except NotJSON as error:
        broken = error.offset is not None and (not text.endswith("}") or error.offset >= len(text) - 1)
        if broken and not block.closed:
            return None, _truncated(block.line, "the json block that begins here breaks off")
        return None, Finding(
            code="workflow_not_json",
            where=Where(file=REPLY, line=block.line + (error.line or 1) - 1, column=error.column),
            message=f"in the workflow, {error}",
            hint="plain JSON: double quotes, no comments, no trailing comma, each key once",
        )
    if isinstance(value, dict) and set(value) == {"workflow"} and isinstance(value["workflow"], dict):
        value = value["workflow"]
    if not isinstance(value, dict) or "nodes" not in value:
        return None, Finding(
            code="workflow_not_json",
            where=where,
            message="the json block is not a workflow: it has no 'nodes'",
            hint="one JSON object with name, intent, input, start and nodes",
        )
    return value, None


def _truncated(line: int, message: str) -> Finding:
    return Finding(
        code="truncated_answer",
        where=Where(file=REPLY, line=line),
        message=message,
        hint="give the unfinished block again, shorter; blocks that were complete need not be repeated",
    )


def _without_thinking(text: str) -> str:
    """The reply without `<think>` parts, their lines kept empty so that line numbers stay true."""
    return re.sub(
        r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", lambda part: "\n" * part[0].count("\n"), text, flags=re.DOTALL
    )


class _LuaSoFar:
    """A Lua text line by line, each looked at a fixed number of times, however often it is asked about."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        """From where the open long string begins, else all."""
        self._level: str | None = None

    def add(self, line: str) -> None:
        self._lines.append(line)
        if self._level is not None and f"]{self._level}]" in line:
            self._level = None

    def open_level(self) -> str | None:
        """The equals signs of the long string that the text stands in, None when it stands in none or is broken."""
        if self._level is not None:
            return self._level
        text = "\n".join(self._lines)
        for token in LUA_TOKEN.finditer(text):
            if token["broken"]:
                return None
            if token["broken_long"]:
                self._lines, self._level = [text[token.start() :]], token["level"]
                break
        return self._level


def _split_headers(text: str) -> list[str]:
    starts = [match.start() for match in BARE_HEADER.finditer(text)]
    if len(starts) < 2:
        return [text]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _dedent(line: str, indent: str) -> str:
    return line[len(indent) :] if indent and line.startswith(indent) else line


def _tidy(text: str) -> str:
    return text.strip("\n").rstrip() + "\n"
