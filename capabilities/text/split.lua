--[[ capability
{
  "name": "text.split",
  "intent": "split a text at a separator",
  "aliases": ["break a text into parts", "turn a comma separated text into a list"],
  "input": {
    "type": "object",
    "required": ["text", "separator"],
    "properties": {
      "text": {"type": "string"},
      "separator": {"type": "string", "minLength": 1, "description": "taken as it stands, not as a pattern"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["values"],
    "properties": {
      "values": {
        "type": "array",
        "items": {"type": "string"},
        "description": "the parts, without spaces around them"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"text": "red, green,blue", "separator": ","}, "output": {"values": ["red", "green", "blue"]}},
    {"input": {"text": "a--b", "separator": "-"}, "output": {"values": ["a", "", "b"]}},
    {"input": {"text": "", "separator": ","}, "output": {"values": [""]}}
  ]
}
]]
local function trimmed(text)
  return text:match("^%s*(.-)%s*$")
end

function run(input, context)
  local values, position = {}, 1
  while true do
    local first, last = input.text:find(input.separator, position, true)
    if not first then break end
    values[#values + 1] = trimmed(input.text:sub(position, first - 1))
    position = last + 1
  end
  values[#values + 1] = trimmed(input.text:sub(position))
  return { values = values }
end
