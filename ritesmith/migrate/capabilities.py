"""The capability files that an import needs: requests to named hosts, and small pure parts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from ritesmith.models import JSON, Schema

ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}


class Shape(NamedTuple):
    """What the fields of an answer are called in the output."""

    status: str = "status"
    body: str = "body"
    headers: str = ""
    """Empty where the source had none."""


PLAIN = Shape()


def file_text(header: dict[str, JSON], code: str) -> str:
    """A capability file: its contract as JSON in the first comment, then the code."""
    text = json.dumps(header, indent=2, ensure_ascii=False)
    level = "="
    while f"]{level}]" in text:
        level += "="
    return f"--[{level}[ capability\n{text}\n]{level}]\n{code}"


# ---------------------------------------------------------------- requests

_REQUEST = """\
local function printed(value)
  return tostring(math.type(value) == "float" and math.tointeger(value) or value)
end

-- Percent-encoded, so that a value cannot change where the request goes.
local function encoded(value)
  return (string.gsub(printed(value), "[^%%w%%-%%._~]", function(letter)
    return string.format("%%%%%%02X", string.byte(letter))
  end))
end

function run(input, context)
%(guards)s  local values = input.values or {}
  local url, last = string.gsub(input.url, "{(%%d+)}", function(index)
    local value = values[tonumber(index)]
    if value == nil then fail("missing_value", "the URL wants a value number " .. index) end
    return encoded(value)
  end)
  if last ~= #values then fail("missing_value", "the URL takes " .. last .. " values, found " .. #values) end
  -- Every failure may be tried again, as it was where this was imported from.
  local sent, answer = pcall(function()
    return http.request{
      method = "%(method)s",
      url = url,
      query = input.query,
      headers = input.headers,%(body)s
    }
  end)
  if not sent then
    fail(answer.code, answer.message, { retryable = %(again)s, details = answer.details })
  end
  local body = answer.json
  if body == nil then body = answer.text or answer.base64 or json.null end
  for _, status in ipairs(input.success) do
    if status == answer.status then
      return { %(status)s = answer.status, %(output_body)s = body%(headers)s }
    end
  end
  fail("http_status", "the status " .. answer.status .. " is none of those that mean success", {
    retryable = %(retry_status)s, details = { status = answer.status, body = body },
  })
end
"""

_PARTIAL = """\
  -- A step that failed is not undone itself, as it was not where this was imported from.
  if context.partial then return { %(status)s = 0, %(body)s = "nothing was sent: the step itself had failed" } end
"""


def request(
    name: str,
    method: str,
    urls: Sequence[str],
    hosts: Sequence[str],
    *,
    open_urls: bool = False,
    secrets: Sequence[str] = (),
    undoes: bool = False,
    shape: Shape = PLAIN,
    retries: Literal["all", "host"] = "all",
    origin: str,
) -> str:
    """A capability that sends one kind of request to the hosts it names.

    `urls` are the URLs that it knows, with {1}, {2} ... for values; with `open_urls` any URL of its hosts is taken.
    `retries`: whether every failure may be tried again, or those of which the host function says so. `undoes`: it is
    used as a compensation.
    """
    count = max((url.count("{") for url in urls), default=0)
    url: Schema = {"type": "string", "enum": list(urls)}
    if open_urls:
        names = "|".join(host.replace(".", "\\.") for host in hosts)
        url = {"type": "string", "pattern": f"^https?://({names})(/.*)?$", "maxLength": 4000}
    properties: dict[str, JSON] = {
        "url": {**url, "description": "{1}, {2} and so on stand for the values, percent-encoded"},
        "values": {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "maxItems": max(count, 1)},
        "query": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
        "headers": {"type": "object", "additionalProperties": _header(secrets)},
        "success": {"type": "array", "items": {"type": "integer", "minimum": 100, "maximum": 499}},
    }
    bodies = method not in ("GET", "HEAD")
    if bodies:
        properties["json"] = {"description": "the body, as JSON"}
        properties["text"] = {"type": "string", "description": "the body, as text"}
    output: dict[str, JSON] = {
        shape.status: {"type": "integer", "minimum": 0, "maximum": 499},
        shape.body: {"description": "the answer: JSON where it is JSON, otherwise text"},
    }
    if shape.headers:
        output[shape.headers] = {"type": "object", "additionalProperties": {"type": "string"}}
    first = urls[0] if urls else f"https://{hosts[0]}/"
    values = ["a"] * first.count("{")
    sample: dict[str, JSON] = {"url": first, "values": values, "success": [200]}
    stub = {"status": 200, "headers": {}, "json": {"done": True}}
    answer: dict[str, JSON] = {shape.status: 200, shape.body: {"done": True}}
    if shape.headers:
        answer[shape.headers] = {}
    refused = {"status": 404, "headers": {}, "json": {"error": "not found"}}
    down = {"code": "http_timeout", "message": "no answer within 30 s", "retryable": True}
    grant: dict[str, JSON] = {"hosts": list(hosts), "methods": [method]}
    if secrets:
        grant["secrets"] = list(secrets)
    if method == "HEAD":
        stub, answer[shape.body] = {"status": 200, "headers": {}, "text": ""}, ""
        refused = {"status": 404, "headers": {}, "text": ""}
    header: dict[str, JSON] = {
        "name": name,
        "intent": f"send a {method} request to {', '.join(hosts)}"[:500],
        "description": origin,
        "input": {
            "type": "object",
            "required": ["url", "success"],
            "properties": properties,
            "additionalProperties": False,
        },
        "output": {
            "type": "object",
            "required": [shape.status, shape.body],
            "properties": output,
            "additionalProperties": False,
        },
        "grants": {"http.request": grant},
        "examples": [
            {"input": sample, "output": answer, "hosts": [{"call": "http.request", "result": stub}]},
            {"input": sample, "error": "http_status", "hosts": [{"call": "http.request", "result": refused}]},
            {"input": sample, "error": "http_timeout", "hosts": [{"call": "http.request", "error": down}]},
        ],
    }
    code = _REQUEST % {
        "guards": _PARTIAL % {"status": shape.status, "body": shape.body} if undoes else "",
        "method": method,
        "body": "\n      json = input.json,\n      text = input.text," if bodies else "",
        "again": "true" if retries == "all" else "answer.retryable",
        "retry_status": "true" if retries == "all" else "false",
        "status": shape.status,
        "output_body": shape.body,
        "headers": f", {shape.headers} = answer.headers" if shape.headers else "",
    }
    if retries != "all":
        code = code.replace("  -- Every failure may be tried again, as it was where this was imported from.\n", "")
    return file_text(header, code)


def _header(secrets: Sequence[str]) -> Schema:
    if not secrets:
        return {"type": "string"}
    secret = {
        "type": "object",
        "required": ["secret"],
        "properties": {"secret": {"type": "string", "enum": list(secrets)}},
        "additionalProperties": False,
    }
    return {"anyOf": [{"type": "string"}, secret]}


# ---------------------------------------------------------------- what must be written by hand


def not_implemented(name: str, origin: str, inputs: Iterable[str], intent: str = "") -> str:
    """A draft with the contract that the import needs. It fails with `not_implemented` until a person writes it."""
    given: dict[str, JSON] = {each: {} for each in sorted(set(inputs))}
    sample: dict[str, JSON] = dict.fromkeys(given, "a")
    other: dict[str, JSON] = dict.fromkeys(given, 1)
    header: dict[str, JSON] = {
        "name": name,
        "intent": intent if len(intent) >= 3 else f"what {origin} did"[:500],
        "description": f"A draft for {origin}: write it, and say what it gives in 'output'.",
        "input": {"type": "object", "properties": given or {"input": {}}, "additionalProperties": False},
        "output": ANY_OBJECT,
        "grants": {},
        "examples": [{"input": sample, "error": "not_implemented"}, {"input": other, "error": "not_implemented"}]
        if given
        else [{"input": {}, "error": "not_implemented"}, {"input": {"input": 1}, "error": "not_implemented"}],
    }
    code = f"""\
function run(input, context)
  -- It was imported with its place in the workflow and without its code, which was not in the definition.
  fail("not_implemented", "{name} is a draft that nobody has written yet")
end
"""
    return file_text(header, code)


# ---------------------------------------------------------------- small pure parts


def checkpoint(name: str, origin: str) -> str:
    """It does nothing; the step that runs it carries a compensation."""
    header: dict[str, JSON] = {
        "name": name,
        "intent": "mark that the run has come here, so that a compensation counts from here on",
        "description": origin,
        "input": {"type": "object", "properties": {"at": {"type": "string"}}, "additionalProperties": False},
        "output": {"type": "object", "required": ["at"], "properties": {"at": {"type": "string"}}},
        "examples": [{"input": {"at": "paid"}, "output": {"at": "paid"}}, {"input": {}, "output": {"at": ""}}],
    }
    return file_text(header, 'function run(input, context)\n  return { at = input.at or "" }\nend\n')


def failing(name: str, origin: str) -> str:
    """It fails with the code that it is given."""
    header: dict[str, JSON] = {
        "name": name,
        "intent": "fail with a given code and message",
        "description": origin,
        "input": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,100}$"},
                "message": {"type": "string", "maxLength": 2000},
            },
            "additionalProperties": False,
        },
        "output": {"type": "object", "properties": {"nothing": {"type": "null"}}, "additionalProperties": False},
        "examples": [
            {"input": {"code": "refused", "message": "it was refused"}, "error": "refused"},
            {"input": {"code": "late", "message": ""}, "error": "late"},
        ],
    }
    return file_text(header, "function run(input, context)\n  fail(input.code, input.message)\nend\n")


_DOCUMENT = """\
local function changed(value, path, from, new)
  if from > #path then
    if new == nil then return json.null end
    return new
  end
  local copy = json.object{}
  if type(value) == "table" then
    if #value > 0 then fail("not_an_object", "a list has no field '" .. path[from] .. "'") end
    for key, each in pairs(value) do copy[key] = each end
  end
  copy[path[from]] = changed(copy[path[from]], path, from + 1, new)
  return copy
end

function run(input, context)
  local document = input.base
  for _, change in ipairs(input.changes) do document = changed(document, change.path, 1, change.value) end
  if document == nil then document = json.null end
  return { document = document }
end
"""


def document(name: str, origin: str) -> str:
    """A document with values set at paths."""
    change: Schema = {
        "type": "object",
        "required": ["path", "value"],
        "properties": {
            "path": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 20},
            "value": {},
        },
        "additionalProperties": False,
    }
    header: dict[str, JSON] = {
        "name": name,
        "intent": "a document with values put at given paths",
        "description": origin,
        "input": {
            "type": "object",
            "required": ["base", "changes"],
            "properties": {"base": {}, "changes": {"type": "array", "items": change, "maxItems": 100}},
            "additionalProperties": False,
        },
        "output": {"type": "object", "required": ["document"], "properties": {"document": {}}},
        "examples": [
            {
                "input": {"base": {"id": 7}, "changes": [{"path": ["order", "total"], "value": 12.5}]},
                "output": {"document": {"id": 7, "order": {"total": 12.5}}},
            },
            {"input": {"base": [1, 2], "changes": []}, "output": {"document": [1, 2]}},
            {
                "input": {"base": {"a": 1, "b": []}, "changes": [{"path": ["c"], "value": None}]},
                "output": {"document": {"a": 1, "b": [], "c": None}},
            },
        ],
    }
    return file_text(header, _DOCUMENT)


def unwrapped(name: str, origin: str) -> str:
    """The documents of a list of outputs of `document`."""
    wrapped: Schema = {"type": "object", "required": ["document"], "properties": {"document": {}}}
    header: dict[str, JSON] = {
        "name": name,
        "intent": "the documents of a list of results",
        "description": origin,
        "input": {
            "type": "object",
            "required": ["results"],
            "properties": {"results": {"type": "array", "items": wrapped}},
            "additionalProperties": False,
        },
        "output": {"type": "object", "required": ["document"], "properties": {"document": {"type": "array"}}},
        "examples": [
            {"input": {"results": [{"document": 1}, {"document": "a"}]}, "output": {"document": [1, "a"]}},
            {"input": {"results": []}, "output": {"document": []}},
        ],
    }
    code = """\
function run(input, context)
  local documents = json.array{}
  for index, result in ipairs(input.results) do
    if result.document == nil then documents[index] = json.null else documents[index] = result.document end
  end
  return { document = documents }
end
"""
    return file_text(header, code)


_TESTS = """\
local TYPES = { IsString = "string", IsNumeric = "number", IsBoolean = "boolean" }

-- A star stands for any letters, a backslash takes the letter after it as it is.
local function matches(value, pattern)
  local parts, index = { "" }, 1
  while index <= #pattern do
    local letter = string.sub(pattern, index, index)
    if letter == "\\\\" and index < #pattern then
      index = index + 1
      parts[#parts] = parts[#parts] .. string.sub(pattern, index, index)
    elseif letter == "*" then
      parts[#parts + 1] = ""
    else
      parts[#parts] = parts[#parts] .. letter
    end
    index = index + 1
  end
  if #parts == 1 then return value == parts[1] end
  if not text.starts_with(value, parts[1]) then return false end
  local at = #parts[1] + 1
  for number = 2, #parts - 1 do
    local from, to = string.find(value, parts[number], at, true)
    if from == nil then return false end
    at = to + 1
  end
  return #value - at + 1 >= #parts[#parts] and text.ends_with(value, parts[#parts])
end

function run(input, context)
  local value = input.value
  if input.test == "StringMatches" then
    return { holds = type(value) == "string" and matches(value, input.pattern or "") }
  end
  if input.test == "IsTimestamp" then
    local looks = type(value) == "string" and string.find(value, "^%d%d%d%d%-%d%d%-%d%dT") ~= nil
    return { holds = looks and date.is_valid(value) }
  end
  return { holds = type(value) == TYPES[input.test] }
end
"""


def tests(name: str, origin: str) -> str:
    """Tests of a value's type, and of a text with wildcards, which conditions do not have here."""
    header: dict[str, JSON] = {
        "name": name,
        "intent": "test the type of a value, or a text against a pattern with stars",
        "description": origin,
        "input": {
            "type": "object",
            "required": ["test", "value"],
            "properties": {
                "test": {"enum": ["IsString", "IsNumeric", "IsBoolean", "IsTimestamp", "StringMatches"]},
                "value": {},
                "pattern": {"type": "string", "maxLength": 1000},
            },
            "additionalProperties": False,
        },
        "output": {"type": "object", "required": ["holds"], "properties": {"holds": {"type": "boolean"}}},
        "examples": [
            {"input": {"test": "IsString", "value": "a"}, "output": {"holds": True}},
            {"input": {"test": "IsNumeric", "value": "1"}, "output": {"holds": False}},
            {"input": {"test": "IsBoolean", "value": False}, "output": {"holds": True}},
            {"input": {"test": "IsTimestamp", "value": "2026-11-21T10:00:00Z"}, "output": {"holds": True}},
            {"input": {"test": "IsTimestamp", "value": "tomorrow"}, "output": {"holds": False}},
            {"input": {"test": "IsString", "value": None}, "output": {"holds": False}},
            {
                "input": {"test": "StringMatches", "value": "log-7.txt", "pattern": "log-*.txt"},
                "output": {"holds": True},
            },
            {
                "input": {"test": "StringMatches", "value": "log-.tx", "pattern": "log-*.txt"},
                "output": {"holds": False},
            },
            {"input": {"test": "StringMatches", "value": "a*c", "pattern": "a\\*c"}, "output": {"holds": True}},
            {"input": {"test": "StringMatches", "value": "abc", "pattern": "a\\*c"}, "output": {"holds": False}},
            {"input": {"test": "StringMatches", "value": "aba", "pattern": "ab*ba"}, "output": {"holds": False}},
        ],
    }
    return file_text(header, _TESTS)
