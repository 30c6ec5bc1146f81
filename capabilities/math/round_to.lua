--[[ capability
{
  "name": "math.round_to",
  "intent": "round a number to some decimals",
  "description": "Halves go away from zero: 2.5 to 3, -2.5 to -3.",
  "aliases": ["round to two decimal places", "round a number to the nearest whole"],
  "input": {
    "type": "object",
    "required": ["number", "decimals"],
    "properties": {"number": {"type": "number"}, "decimals": {"type": "integer", "minimum": 0, "maximum": 10}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["number"],
    "properties": {"number": {"type": "number"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"number": 2.345, "decimals": 2}, "output": {"number": 2.35}},
    {"input": {"number": -2.5, "decimals": 0}, "output": {"number": -3.0}},
    {"input": {"number": 7, "decimals": 2}, "output": {"number": 7.0}},
    {"input": {"number": 1.005, "decimals": 2}, "output": {"number": 1.01}}
  ]
}
]]
function run(input, context)
  local number, scale = math.abs(input.number * 1.0), 10.0 ^ input.decimals
  local rounded = number
  -- From 2^52 on a float has no decimals left. Fifteen digits are what a float holds of a written decimal: 1.005 * 100
  -- is 100.49999999999999, and a person who wrote 1.005 expects 1.01.
  if number * scale < 2.0 ^ 52 then
    rounded = math.floor(tonumber(string.format("%.15g", number * scale)) + 0.5) / scale
  end
  return { number = input.number < 0 and -rounded or rounded }
end
