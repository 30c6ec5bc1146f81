--[[ capability
{
  "name": "stats.sum",
  "intent": "add up a list of numbers",
  "description": "The sum of no numbers is 0.",
  "aliases": ["total of some numbers", "sum of a list"],
  "input": {
    "type": "object",
    "required": ["numbers"],
    "properties": {"numbers": {"type": "array", "items": {"type": "number"}}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["sum"],
    "properties": {"sum": {"type": "number"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"numbers": [1, 2, 3.5]}, "output": {"sum": 6.5}},
    {"input": {"numbers": []}, "output": {"sum": 0.0}},
    {"input": {"numbers": [1e+308, 1e+308]}, "error": "out_of_range"}
  ]
}
]]
local function sum_of(numbers)
  local sum = 0.0
  for _, number in ipairs(numbers) do sum = sum + number end
  if sum ~= sum or sum == math.huge or sum == -math.huge then
    fail("out_of_range", "the sum is too large to be a number")
  end
  return sum
end

function run(input, context)
  return { sum = sum_of(input.numbers) }
end
