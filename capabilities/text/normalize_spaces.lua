--[[ capability
{
  "name": "text.normalize_spaces",
  "intent": "remove extra spaces from a text",
  "aliases": ["trim a text and collapse repeated whitespace", "clean up the spacing of a text"],
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
    {"input": {"text": "  a   b\t\nc "}, "output": {"text": "a b c"}},
    {"input": {"text": "done"}, "output": {"text": "done"}},
    {"input": {"text": " \n "}, "output": {"text": ""}}
  ]
}
]]
function run(input, context)
  local words = {}
  for word in input.text:gmatch("%S+") do words[#words + 1] = word end
  return { text = table.concat(words, " ") }
end
