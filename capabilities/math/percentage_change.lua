--[[ capability
{
  "name": "math.percentage_change",
  "intent": "percentage change between two numbers",
  "description": "Relative to the size of the initial number: from -50 to -25 is a rise of 50 percent.",
  "aliases": [
    "by how many percent did a number grow",
    "percent increase or decrease from one value to another",
    "growth rate in percent"
  ],
  "input": {
    "type": "object",
    "required": ["initial", "current"],
    "properties": {"initial": {"type": "number"}, "current": {"type": "number"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["percent"],
    "properties": {"percent": {"type": "number"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"initial": 50, "current": 75}, "output": {"percent": 50.0}},
    {"input": {"initial": 200, "current": 150}, "output": {"percent": -25.0}},
    {"input": {"initial": -50, "current": -25}, "output": {"percent": 50.0}},
    {"input": {"initial": 0, "current": 1}, "error": "zero_initial"},
    {"input": {"initial": 1e-300, "current": 1e+300}, "error": "out_of_range"}
  ]
}
]]
local function finite(value)
  if value ~= value or value == math.huge or value == -math.huge then
    fail("out_of_range", "the result is too large to be a number")
  end
  return value
end

function run(input, context)
  if input.initial == 0 then fail("zero_initial", "initial must not be zero") end
  return { percent = finite((input.current * 1.0 - input.initial) / math.abs(input.initial * 1.0) * 100) }
end
