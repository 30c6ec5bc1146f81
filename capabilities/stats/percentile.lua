--[[ capability
{
  "name": "stats.percentile",
  "intent": "percentile of a list of numbers",
  "description": "Between two numbers it is interpolated linearly (definition 7 of Hyndman and Fan).",
  "aliases": ["value below which a given percent of the numbers lie", "90th percentile of some numbers"],
  "input": {
    "type": "object",
    "required": ["numbers", "percent"],
    "properties": {
      "numbers": {"type": "array", "items": {"type": "number"}},
      "percent": {"type": "number", "minimum": 0, "maximum": 100}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["percentile"],
    "properties": {"percentile": {"type": "number"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"numbers": [10, 20, 30, 40, 50], "percent": 50}, "output": {"percentile": 30.0}},
    {"input": {"numbers": [1, 2], "percent": 25}, "output": {"percentile": 1.25}},
    {"input": {"numbers": [3, 1, 2], "percent": 100}, "output": {"percentile": 3.0}},
    {"input": {"numbers": [], "percent": 50}, "error": "no_numbers"}
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
  return { percentile = at_fraction(sorted_copy(input.numbers), input.percent / 100) }
end
