--[[ capability
{
  "name": "text.word_count",
  "intent": "count the words in a text",
  "aliases": ["how many words does a text have", "number of words, characters and lines", "word count"],
  "input": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["words", "characters", "lines"],
    "properties": {
      "words": {"type": "integer", "minimum": 0},
      "characters": {"type": "integer", "minimum": 0, "description": "Unicode code points"},
      "lines": {"type": "integer", "minimum": 0}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"text": "one two  three"}, "output": {"words": 3, "characters": 14, "lines": 1}},
    {"input": {"text": ""}, "output": {"words": 0, "characters": 0, "lines": 0}},
    {"input": {"text": "déjà vu\n\nencore\n"}, "output": {"words": 3, "characters": 16, "lines": 3}}
  ]
}
]]
local function count(text, pattern)
  local found = 0
  for _ in text:gmatch(pattern) do found = found + 1 end
  return found
end

function run(input, context)
  local text = input.text
  local lines = count(text, "\n")
  if text ~= "" and text:sub(-1) ~= "\n" then lines = lines + 1 end
  return { words = count(text, "%S+"), characters = utf8.len(text), lines = lines }
end
