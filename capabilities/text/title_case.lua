--[[ capability
{
  "name": "text.title_case",
  "intent": "convert a text to title case",
  "description": "ASCII letters only; letters with accents stay as they are.",
  "aliases": ["capitalize every word of a text", "capitalise the first letter of each word", "title case"],
  "input": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"text": "the quick brown FOX"}, "output": {"text": "The Quick Brown Fox"}},
    {"input": {"text": "it's o'clock"}, "output": {"text": "It's O'clock"}},
    {"input": {"text": ""}, "output": {"text": ""}}
  ]
}
]]
local function capitalised(first, rest)
  return first:upper() .. rest:lower()
end

function run(input, context)
  return { text = (input.text:gsub("(%a)([%w']*)", capitalised)) }
end
