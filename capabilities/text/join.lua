--[[ capability
{
  "name": "text.join",
  "intent": "join a list of values into one text",
  "aliases": ["combine values with a separator", "turn a list into a comma separated text"],
  "input": {
    "type": "object",
    "required": ["values"],
    "properties": {
      "values": {"type": "array", "items": {"type": ["string", "number", "boolean"]}},
      "separator": {"type": "string", "description": "a comma and a space when left out"}
    },
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
    {"input": {"values": ["red", "green"]}, "output": {"text": "red, green"}},
    {"input": {"values": [1, 2.5, true], "separator": "-"}, "output": {"text": "1-2.5-true"}},
    {"input": {"values": []}, "output": {"text": ""}}
  ]
}
]]
local function shown(value)
  if type(value) == "string" then return value end
  if type(value) == "number" and value % 1 == 0 and math.abs(value) < 1e15 then return string.format("%d", value) end
  return json.encode(value)
end

function run(input, context)
  local parts = {}
  for index, value in ipairs(input.values) do parts[index] = shown(value) end
  return { text = table.concat(parts, input.separator or ", ") }
end
