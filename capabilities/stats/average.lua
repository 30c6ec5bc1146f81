--[[ capability
{
  "name": "stats.average",
  "intent": "average of a list of numbers",
  "aliases": ["mean of some numbers", "calculate the arithmetic mean", "what is the average"],
  "input": {
    "type": "object",
    "required": ["numbers"],
    "properties": {"numbers": {"type": "array", "items": {"type": "number"}}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["average"],
    "properties": {"average": {"type": "number"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"numbers": [1, 2, 3, 4]}, "output": {"average": 2.5}},
    {"input": {"numbers": [-5]}, "output": {"average": -5.0}},
    {"input": {"numbers": []}, "error": "no_numbers"},
    {"input": {"numbers": [1.7e+308, 1.7e+308]}, "error": "out_of_range"}
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
  if #input.numbers == 0 then fail("no_numbers", "there are no numbers") end
  return { average = sum_of(input.numbers) / #input.numbers }
end
