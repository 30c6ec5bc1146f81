"""What a person is told: which capability, which line, what was spent, what to change."""

from __future__ import annotations

import re

PLACE = re.compile(r"\Acapability:(\d+): ")

SYNTAX_HINTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"attempt to assign to const variable '(\w+)'"),
        "a loop variable cannot be assigned; copy it: local {0}_now = {0}",
    ),
    (re.compile(r"near '\?'"), "Lua has no ?: operator: write (condition and one or other), or if"),
    (re.compile(r"unexpected symbol near '\['"), "a list is written {{1, 2, 3}}"),
    (re.compile(r"unexpected symbol near '\{'"), "a block has no braces: it ends with `end`"),
    (re.compile(r"unexpected symbol near '//?'"), "a comment is written -- like this"),
    (re.compile(r"near '!'"), "Lua writes 'not equal' as ~= and negation as `not`"),
    (re.compile(r"unexpected symbol near '='"), "Lua has no += -= *= /= operators: write x = x + 1"),
    (re.compile(r"syntax error near '[-+*/%.|&]*='?"), "Lua has no compound assignment: write x = x + 1"),
    (re.compile(r"near '(?:&|&&)'"), "Lua writes `and`"),
    (re.compile(r"near '(?:\||\|\|)'"), "Lua writes `or`"),
    (re.compile(r"'end' expected"), "close the block with `end`"),
    (re.compile(r"'then' expected"), "write `if condition then`; `else if` is written `elseif`"),
    (
        re.compile(r"'=' expected near|syntax error near"),
        "a statement must be an assignment or a call; declare with `local`",
    ),
    (re.compile(r"unfinished string"), "close the string on its line, or use [[ ... ]]"),
    (re.compile(r"unfinished long (?:string|comment)"), "close it with ]]"),
    (re.compile(r"no visible label '(\w+)'"), "Lua has no `continue`: put ::{0}:: at the end of the loop body"),
    (re.compile(r"C stack overflow"), "nest less: brackets, blocks and labels may go about 200 deep"),
    (re.compile(r"<eof> expected near 'end'"), "there is one `end` too many"),
    (re.compile(r"variable '(\w+)' not declared"), "declare it with `local {0}`, or check its spelling"),
    (re.compile(r"attempt to assign to const"), "names that the sandbox offers cannot be replaced"),
)

ABSENT_HINTS = {
    "unpack": "use table.unpack",
    "loadstring": "there is no load in the sandbox",
    "load": "there is no load in the sandbox",
    "pow": "write x ^ y",
    "getn": "write #list",
    "setn": "a list has no settable length",
    "foreach": "write for key, value in pairs(t) do",
    "maxn": "write #list",
    "mod": "write a % b, or math.fmod",
    "log10": "write math.log(x, 10)",
    "cosh": "it is not in Lua 5.5: (math.exp(x) + math.exp(-x)) / 2",
    "sinh": "it is not in Lua 5.5: (math.exp(x) - math.exp(-x)) / 2",
    "tanh": "it is not in Lua 5.5",
    "atan2": "write math.atan(y, x)",
    "bit32": "use the operators & | ~ << >>",
    "bit": "use the operators & | ~ << >>",
    "os": "the sandbox has no os; the time is context.now or time.now{} by grant",
    "io": "the sandbox has no files",
    "print": "the sandbox prints nothing; use log.info{message=...} by grant",
    "require": "the sandbox has no modules: a capability is one file",
    "debug": "the sandbox has no debug library",
    "package": "the sandbox has no modules",
    "collectgarbage": "the sandbox frees memory by itself",
    "dofile": "the sandbox has no files",
    "loadfile": "the sandbox has no files",
    "setfenv": "it is not in Lua 5.5",
    "getfenv": "it is not in Lua 5.5",
    "dump": "bytecode is not offered",
    "trim": "write text.trim(s)",
    "split": "write text.split(s, separator)",
    "startswith": "write text.starts_with(s, beginning)",
    "endswith": "write text.ends_with(s, ending)",
    "starts_with": "write text.starts_with(s, beginning)",
    "ends_with": "write text.ends_with(s, ending)",
    "contains": "write text.contains(s, part)",
    "close": "coroutines cannot be closed in the sandbox",
}
ABSENT = re.compile(r"attempt to (?:call|index) a nil value \((?:global|field|method) '(\w+)'\)")


def place_of(message: str) -> tuple[int | None, str]:
    """The line a Lua message starts with, and the rest of it."""
    match = PLACE.match(message)
    if match is None:
        return None, message
    return int(match[1]), message[match.end() :]


def syntax_hint(message: str, source: str, line: int | None) -> str:
    """What to write instead of what the compiler stumbled over at that line; empty where we cannot tell."""
    lines = source.splitlines()
    text = lines[line - 1] if line and line <= len(lines) else ""
    if "!=" in text and "near '!" in message:
        return "Lua writes 'not equal' as ~="
    compound = re.search(r"(\w+)\s*(\+|-|\*|/|\.\.|%)=[^=]", text)
    if compound and "near" in message:
        name, sign = compound.groups()
        return f"Lua has no {sign}= operator: write {name} = {name} {sign} ..."
    count = re.search(r"(\w+)(\+\+|--)", text)
    if count and "near '" + count[2][0] in message:
        return f"Lua has no {count[2]} operator: write {count[1]} = {count[1]} {count[2][0]} 1"
    if "syntax error" in message and re.match(r"\s*(?:let|const|var)\s", text):
        return "declare a variable with `local`"
    if "syntax error" in message and line and any(re.search(r"\bcontinue\b", each) for each in lines[line - 2 : line]):
        return "Lua has no `continue`: use goto continue, with ::continue:: at the end of the loop body"
    for pattern, hint in SYNTAX_HINTS:
        match = pattern.search(message)
        if match:
            return hint.format(*match.groups())
    return ""


def script_hint(message: str) -> str:
    """What to write instead of a name that is not there; empty where we cannot tell."""
    match = ABSENT.search(message)
    return ABSENT_HINTS.get(match[1], "") if match else ""


def at_line(line: int | None) -> str:
    return f" at line {line}" if line is not None else ""
