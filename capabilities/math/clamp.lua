--[[ capability
{
  "name": "math.clamp",
  "intent": "keep a number within a range",
  "aliases": ["limit a number to a minimum and a maximum", "clamp a value between two bounds"],
  "input": {
    "type": "object",
    "required": ["number", "minimum", "maximum"],
    "properties": {"number": {"type": "number"}, "minimum": {"type": "number"}, "maximum": {"type": "number"}},
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
    {"input": {"number": 12, "minimum": 0, "maximum": 10}, "output": {"number": 10}},
    {"input": {"number": 5.5, "minimum": 0, "maximum": 10}, "output": {"number": 5.5}},
    {"input": {"number": -1, "minimum": 0, "maximum": 10}, "output": {"number": 0}},
    {"input": {"number": 1, "minimum": 2, "maximum": 0}, "error": "empty_range"}
  ]
}
]]
function run(input, context)
  if input.minimum > input.maximum then fail("empty_range", "minimum is greater than maximum") end
  return { number = math.max(input.minimum, math.min(input.maximum, input.number)) }
end
