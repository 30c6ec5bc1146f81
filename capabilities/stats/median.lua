--[[ capability
{
  "name": "stats.median",
  "intent": "median of a list of numbers",
  "aliases": ["the middle value of some numbers", "find the median"],
  "input": {
    "type": "object",
    "required": ["numbers"],
    "properties": {"numbers": {"type": "array", "items": {"type": "number"}}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["median"],
    "properties": {
      "median": {"type": "number", "description": "of an even count, the mean of the two middle numbers"}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"numbers": [5, 1, 9]}, "output": {"median": 5.0}},
    {"input": {"numbers": [4, 1, 3, 2]}, "output": {"median": 2.5}},
    {"input": {"numbers": []}, "error": "no_numbers"}
  ]
}
]]
local function sorted_copy(numbers)
  local sorted = {}
  for index, number in ipairs(numbers) do sorted[index] = number * 1.0 end
  table.sort(sorted)
  return sorted
end

local function at_fraction(sorted, fraction)
  local position = (#sorted - 1) * fraction + 1
  local below = math.floor(position)
  if below == #sorted then return sorted[below] end
  local rest = position - below
  -- Weighted, not by difference: the difference of two far numbers may not be a number.
  return sorted[below] * (1 - rest) + sorted[below + 1] * rest
end

function run(input, context)
  if #input.numbers == 0 then fail("no_numbers", "there are no numbers") end
  return { median = at_fraction(sorted_copy(input.numbers), 0.5) }
end
