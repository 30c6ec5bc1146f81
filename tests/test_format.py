"""The one layout of files: what it looks like, that it changes nothing that is said, and that it stays."""

import json
import random
import re
from pathlib import Path

import pytest

from ritesmith.contract import HEADER, read_capability
from ritesmith.errors import InvalidInput
from ritesmith.formatting import WIDTH, capability_file, format_capability, format_json, format_workflow
from ritesmith.guard.lua_format import format_lua
from ritesmith.lua_tokens import TOKEN, one_line

ROOT = Path(__file__).parent.parent
LUA_FILES = sorted([*(ROOT / "capabilities").rglob("*.lua"), *(ROOT / "tests").rglob("*.lua")])
CASES = {
    "spaces": ("x=1+2*-y..'z'", "x = 1 + 2 * -y .. 'z'"),
    "unary": ("return -a - -b,not a,#b,~a,- -c", "return -a - -b, not a, #b, ~a, - -c"),
    "calls": ("f ( a,b ) (c) [ 1 ]. d : e { } 'x'", "f(a, b)(c)[1].d:e{} 'x'"),
    "tables": ("t={1,2;3,a=1,[ 'b' ]=2,{}}", "t = { 1, 2; 3, a = 1, ['b'] = 2, {} }"),
    "long strings in brackets": ("x=a[ [[k]] ]..[==[ ]] ]==]", "x = a[ [[k]] ] .. [==[ ]] ]==]"),
    "attributes": ("local a<const>,b <close> = 1,nil", "local a <const>, b <close> = 1, nil"),
    "comparisons that are none": ("x = a<const", "x = a < const"),
    "labels": ("goto done ; :: done ::", "goto done; ::done::"),
    "functions": (
        "local f = function ( ... ) return ... end",
        "local f = function(...) return ... end",
    ),
    "blocks": (
        "if a then\nb()\nelseif c\nthen d()\nelse\nwhile e do\nf()\nend\nend",
        "if a then\n  b()\nelseif c\nthen d()\nelse\n  while e do\n    f()\n  end\nend",
    ),
    "loops": (
        "for i=1,2 do\nrepeat\nx()\nuntil y\nend\ndo\nz()\nend",
        "for i = 1, 2 do\n  repeat\n    x()\n  until y\nend\ndo\n  z()\nend",
    ),
    "what goes on": (
        "local x = a\n+ b\n.. c\nlocal y =\nd\nreturn\nx,\ny",
        "local x = a\n  + b\n  .. c\nlocal y =\n  d\nreturn\n  x,\n  y",
    ),
    "chains": ("local q = foo\n:bar()\n:baz(1)\nlocal r", "local q = foo\n  :bar()\n  :baz(1)\nlocal r"),
    "two brackets in a line": (
        "f(function()\nx()\nend, {\n1,\n})",
        "f(function()\n  x()\nend, {\n  1,\n})",
    ),
    "hanging": (
        "local t = {\na = 'x'\n.. 'y',\nb = 2,\n}\nf(1,\n2)",
        "local t = {\n  a = 'x'\n    .. 'y',\n  b = 2,\n}\nf(1,\n  2)",
    ),
    "a condition over lines": (
        "if a and\nb then\nc()\nend",
        "if a and\n  b then\n  c()\nend",
    ),
    "comments": (
        "-- one  \nx()--two\nif a then\n--three\nend\n--[[ four\n  stays ]] y()",
        "-- one\nx() --two\nif a then\n  --three\nend\n--[[ four\n  stays ]] y()",
    ),
    "empty lines": ("\n\nx()\n\n\n\ny()\nz()\n\n", "x()\n\ny()\nz()"),
    "the ends of lines": ("x()\r\nif a then\r\ny()\r\nend\r\n", "x()\nif a then\n  y()\nend"),
}


@pytest.mark.parametrize("name", CASES)
def test_lua_is_laid_out(name):
    before, after = CASES[name]
    assert format_lua(before) == after + "\n"
    assert format_lua(after + "\n") == after + "\n"


@pytest.mark.parametrize("file", LUA_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_lua_says_stays_and_a_second_time_changes_nothing(file):
    text = file.read_text(encoding="utf-8")
    try:
        laid_out = format_capability(text)
    except InvalidInput:  # among the bad files of the guard's tests
        assert read_capability(text)[0] is None
        return
    assert format_capability(laid_out) == laid_out
    assert one_line(laid_out) == one_line(text)
    comments = [[match[0].split() for match in TOKEN.finditer(each) if match["comment"]] for each in (text, laid_out)]
    headed = HEADER.match(text) is not None
    assert comments[0][headed:] == comments[1][headed:]
    if headed:
        assert json.loads(HEADER.match(laid_out)["json"]) == json.loads(HEADER.match(text)["json"])


def test_layout_drawn_by_chance_comes_back_to_the_same():
    """However the spaces between the tokens of a line stand, the layout is the same."""
    seed = 20261121
    chance = random.Random(seed)
    for file in LUA_FILES[::4]:
        text = format_lua(HEADER.sub("", file.read_text(encoding="utf-8")))
        lines = []
        for line in text.split("\n"):
            lines.append(chance.choice(["", " ", "\t   "]) + line + chance.choice(["", "  ", "\t"]))
        # A long string's own lines must stay.
        if "[[" not in text and "[=" not in text:
            assert format_lua("\n".join(lines)) == text, f"seed {seed}, {file}"


def test_the_canonical_hash_stays(workers):
    for file in LUA_FILES[:40:8]:
        text = file.read_text(encoding="utf-8")
        assert workers.canonical(format_capability(text)) == workers.canonical(text)


def test_bundled_files_are_laid_out():
    files = dict.fromkeys((ROOT / "capabilities").rglob("*.lua"), format_capability)
    files |= dict.fromkeys((ROOT / "workflows").glob("*.json"), format_workflow)
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    assert [file.name for file, lay_out in files.items() if lay_out(texts[file]) != texts[file]] == []


def test_json_is_on_one_line_where_it_fits():
    short = {"a": [1, 2.5, "x"], "b": {}}
    assert format_json(short) == '{\n  "a": [1, 2.5, "x"],\n  "b": {}\n}'
    words = ["word" * 5] * 6
    laid_out = format_json({"words": words, "inner": {"words": words[:3]}})
    assert laid_out.splitlines()[1:3] == ['  "words": [', f'    "{words[0]}",']
    assert max(map(len, laid_out.splitlines())) <= WIDTH
    assert json.loads(laid_out) == {"words": words, "inner": {"words": words[:3]}}


def test_keys_stand_in_the_order_of_the_contract_and_unknown_ones_last():
    header = '{"odd": 1, "output": {}, "name": "a.b", "intent": "xyz", "input": {}}'
    text = format_capability(f"--[[ capability {header} ]] x()")
    assert re.findall(r'^  "(\w+)"', text, re.MULTILINE) == ["name", "intent", "input", "output", "odd"]
    assert text.endswith("]]\nx()\n")


def test_two_brackets_in_a_row_do_not_end_the_header():
    header = {"lists": [[1], [[2]]], "text": "a]]]b", "end": "\\]]"}
    text = capability_file(header, "x()")
    assert json.loads(HEADER.match(text)["json"]) == header
    assert format_capability(text) == text
    levelled = "--[==[ capability " + json.dumps(header) + "]==] x()"
    assert format_capability(levelled).startswith("--[==[ capability\n")
    assert '"a]]]b"' in format_capability(levelled)


def test_a_header_that_is_no_json_is_refused_with_its_line():
    with pytest.raises(InvalidInput, match=r"'a.lua' cannot be laid out: .*\(line 3\)"):
        format_capability('--[[ capability\n{\n"a": }\n]]', "a.lua")
