--[[ capability
{
  "name": "stats.outliers",
  "intent": "find the outliers in a list of numbers",
  "description": "Tukey's fences: further than 1.5 interquartile ranges from the quartiles.",
  "aliases": ["which numbers are unusually large or small", "detect extreme values by the interquartile range"],
  "input": {
    "type": "object",
    "required": ["numbers"],
    "properties": {
      "numbers": {"type": "array", "items": {"type": "number"}},
      "distance": {
        "type": "number",
        "minimum": 0,
        "maximum": 1000,
        "description": "how many interquartile ranges from the quartiles; 1.5 when left out"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["outliers", "lower", "upper"],
    "properties": {
      "outliers": {"type": "array", "items": {"type": "number"}, "description": "in the order given"},
      "lower": {"type": "number", "description": "numbers below are outliers"},
      "upper": {"type": "number", "description": "numbers above are outliers"}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"numbers": [10, 11, 12, 13, 14, 95]}, "output": {"outliers": [95], "lower": 7.5, "upper": 17.5}},
    {"input": {"numbers": [1, 2, 3]}, "output": {"outliers": [], "lower": 0.0, "upper": 4.0}},
    {"input": {"numbers": [1, 2]}, "error": "too_few_numbers"}
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
  if #input.numbers < 3 then fail("too_few_numbers", "outliers need at least 3 numbers to stand out from") end
  local sorted = sorted_copy(input.numbers)
  local first, third = at_fraction(sorted, 0.25), at_fraction(sorted, 0.75)
  local reach = (input.distance or 1.5) * (third - first)
  local lower, upper = first - reach, third + reach
  if not (lower > -math.huge and upper < math.huge) then fail("out_of_range", "the numbers lie too far apart") end
  local outliers = {}
  for _, number in ipairs(input.numbers) do
    if number < lower or number > upper then outliers[#outliers + 1] = number end
  end
  return { outliers = outliers, lower = lower, upper = upper }
end
